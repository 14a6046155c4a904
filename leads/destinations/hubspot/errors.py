"""What an answer of HubSpot means: its error codes and category first, then the status, with a cause and a remedy.

Sources: developers.hubspot.com (Error handling; Usage guidelines), and the error bodies of the API specification of
2026-03. HubSpot's own messages may repeat what the customer wrote, so they are never shown. The category, the codes and
the correlation id are; HubSpot's support finds the request by that id.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any

from leads import transport
from leads.errors import Failure, Misconfigured, Rejected, Throttled, Transient
from leads.transport import Response

GUIDE = "see docs/destinations/hubspot.md"
TAKEN = frozenset({"CONFLICTING_UNIQUE_VALUE", "STORAGE_UNIQUE_CONFLICT"})
"""Codes for a unique value that another contact has."""
DAILY_WAIT = 3600.0
"""Seconds to wait when the day's requests are used up: they come back at midnight of the account's time zone."""
LOCK_WAIT = 2.0
"""Seconds that HubSpot asks to wait after 423."""

_WORD = re.compile(r"[A-Z][A-Z0-9_]{1,60}")
_CORRELATION = re.compile(r"[0-9a-fA-F-]{8,40}")
_SCOPE = re.compile(r"[a-z][a-z_.]{2,80}")
_EXISTING = re.compile(r"Existing ID: (\d{1,20})")


def codes(response: Response) -> dict[str, str]:
    """The code of each property that the answer complains about, by the property's name."""
    found = {}
    for one in _list(_body(response).get("errors")):
        context = one.get("context")
        named = context.get("propertyName") if isinstance(context, dict) else None
        names = named if isinstance(named, list) else [one.get("in")]
        for name in names:
            if isinstance(name, str):
                found[name] = _word(one.get("code")) or _word(one.get("subCategory")) or "REFUSED"
    return found


def refused(response: Response, names: Collection[str]) -> dict[str, str]:
    """Those of the properties that were sent which a 400 complains about, each with its code."""
    return {name: code for name, code in codes(response).items() if name in names} if response.status == 400 else {}


def exists(response: Response, unique: Collection[str]) -> bool:
    """Whether a new contact was refused because another has its value of a `unique` property."""
    taken = any(name in unique and code in TAKEN for name, code in codes(response).items())
    return response.status == 409 or (response.status == 400 and taken)


def existing(response: Response) -> str:
    """The id of the contact that exists already, where the refusal names it."""
    found = _EXISTING.search(str(_body(response).get("message", "")))
    return found[1] if found else ""


def is_absent(response: Response) -> bool:
    """Whether the answer says that there is no such record, and not that there is no such address."""
    return response.status == 404 and _word(_body(response).get("category")) in (
        "OBJECT_NOT_FOUND",
        "RESOURCE_NOT_FOUND",
    )


def failure(response: Response, doing: str, now: datetime) -> Failure:
    """The failure that the answer to `doing` ("make the contact") means."""
    body = _body(response)
    detail = _detail(response, body)
    about = f"HubSpot refused to {doing} ({detail})"
    if response.status == 429 and body.get("policyName") == "DAILY":
        return Throttled(
            f"The account has used up its requests to HubSpot for today ({detail}).",
            "Nothing to do: the app tries again. If it happens often, HubSpot shows which integration uses so many.",
            retry_after=response.retry_after(now) or DAILY_WAIT,
        )
    if response.status == 423:
        return Transient(
            f"The record is locked in HubSpot for now ({detail}).",
            "Nothing to do: the app tries again.",
            retry_after=response.retry_after(now) or LOCK_WAIT,
        )
    if response.status == 477:
        return Throttled(
            f"HubSpot is moving the account to another data centre ({detail}).",
            "Nothing to do: the app tries again.",
            retry_after=response.retry_after(now),
        )
    passing = transport.refusal(response, "HubSpot", now, detail)
    if passing:
        return passing
    if response.status == 401:
        return Misconfigured(
            f"HubSpot does not accept the token ({detail}).",
            f"Make a service key, or copy it again, whole, into HUBSPOT_TOKEN ({GUIDE}).",
        )
    if response.status == 403:
        scopes = _scopes(body)
        lacks = f" It lacks {', '.join(scopes)}." if scopes else ""
        return Misconfigured(
            f"{about}: the token may not do this.{lacks}", f"Give the service key its scopes ({GUIDE})."
        )
    if is_absent(response):
        return Transient(
            f"{about}: somebody deleted or merged it in the meantime.", "Nothing to do: the app looks for it again."
        )
    if response.status < 400 or not body or response.status in (404, 405):
        return Misconfigured(
            f"{about}: it does not answer like HubSpot's API.",
            "Check HUBSPOT_API_VERSION, and HUBSPOT_URL where it is set.",
        )
    return Rejected(
        f"{about}.",
        "Find out in HubSpot which rule of your properties the lead breaks, relax it or leave the property out in "
        "HUBSPOT_FIELDS; then replay the lead.",
    )


def _detail(response: Response, body: dict[str, Any]) -> str:
    category = _word(body.get("category")) or _word(body.get("errorType"))
    correlation = body.get("correlationId")
    known = isinstance(correlation, str) and _CORRELATION.fullmatch(correlation)
    parts = [str(response.status), category, *sorted(set(codes(response).values()))]
    return " ".join(part for part in parts if part) + (f", correlation id {correlation}" if known else "")


def _scopes(body: dict[str, Any]) -> list[str]:
    """The scopes that HubSpot says are missing: in the context of the answer, or of its first errors."""
    found = []
    for one in (body, *_list(body.get("errors"))):
        context = one.get("context")
        for key in ("missingScopes", "requiredGranularScopes", "requiredScopes"):
            named = context.get(key) if isinstance(context, dict) else None
            found += [scope for scope in named if isinstance(scope, str)] if isinstance(named, list) else []
    return list(dict.fromkeys(scope for scope in found if _SCOPE.fullmatch(scope)))[:5]


def _word(value: object) -> str:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _list(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _body(response: Response) -> dict[str, Any]:
    body = response.json()
    return body if isinstance(body, dict) else {}
