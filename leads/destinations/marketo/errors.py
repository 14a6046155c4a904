"""What an answer of Marketo means. It says 200 and fails: in `errors` of the answer, in `reasons` of a record, or in
`errors` of an activity.

Source: AdobeDocs/marketo-developer.en, "Error codes". Its messages may repeat what the customer wrote, so only codes
are shown, and the name of a field where it is one that the app sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from leads import transport
from leads.errors import Failure, Misconfigured, Rejected, Throttled, Transient
from leads.transport import Response

GUIDE = "see docs/destinations/marketo.md"
TOKEN = frozenset({"600", "601", "602"})
"""The access token is missing, wrong or expired: one more try with a new one."""
EXISTS = frozenset({"1005", "1007"})
"""There is such a person already, or there are several."""
NOT_FOUND = "1004"
NOTHING_FOUND = "702"
"""What some searches answer where nothing matches; most say so by an empty result."""
NO_FIELD = frozenset({"1006", "1011"})
"""A field that the account does not have."""
COMPANY = "1021"
BAD_VALUE = frozenset({"1001", "1003"})
"""A value of the wrong type, or too long. The message may tell the value instead of the field."""

DAILY_WAIT = 3600.0
"""Seconds to wait when the day's calls are used up: they come back at midnight, central time."""
RATE_WAIT = 20.0
"""Seconds over which Marketo counts a hundred calls."""

_SLOW = frozenset({"606", "615"})
_PASSING = frozenset({"502", "604", "608", "611", "614", "713", "719"})
_UNKNOWN_END = frozenset({"500", "502", "604", "611"})
"""Time-outs and system errors: what was asked may have been done."""
_MISCONFIGURED = {
    "603": (
        "the API user may not do this",
        f"Give its role the permissions that it needs, or allow the addresses of the function app ({GUIDE}).",
    ),
    "610": ("there is no such address", "Check MARKETO_MUNCHKIN_ID, and MARKETO_URL where it is set."),
    "616": ("the subscription does not have it", "Ask your contact at Adobe, or leave the setting for it empty."),
    "703": ("the subscription does not have it", "Ask your contact at Adobe, or leave the setting for it empty."),
    "1008": ("the API user may not write into the partition", "Give its role the workspace, or set MARKETO_PARTITION."),
    "1009": ("a partition must be named", "Set MARKETO_PARTITION to the name of one."),
    "1013": ("there is no such form or activity", "Check MARKETO_FORM_ID and MARKETO_ACTIVITY_TYPE_ID."),
}
_CODE = re.compile(r"[0-9]{3,4}")
_QUOTED = re.compile(r"['\"‘’]([A-Za-z][A-Za-z0-9_]{0,127})['\"‘’]")


def codes(listed: object) -> list[str]:
    """The codes in a list of errors or reasons."""
    found = [str(one.get("code", "")) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return [code for code in found if _CODE.fullmatch(code)]


def named(listed: object, names: Iterable[str]) -> list[str]:
    """Those of the fields sent that the errors name between quotes."""
    messages = (
        [str(one.get("message", "")) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    )
    quoted = {name.lower() for message in messages for name in _QUOTED.findall(message)}
    return [name for name in names if name.lower() in quoted]


def of_status(response: Response, now: datetime) -> Failure | None:
    """The failure that the HTTP status means, or a body that is not Marketo's; None where the body must be read."""
    passing = transport.refusal(response, "Marketo", now)
    if passing:
        return passing
    if response.status in (413, 414):
        return Rejected(f"The request was too large for Marketo ({response.status}).", "Report this as a bug.")
    body = response.json()
    if response.status != 200 or not isinstance(body, dict) or not isinstance(body.get("success"), bool):
        return Misconfigured(
            f"Marketo's address does not answer like its API (HTTP {response.status}).",
            "Check MARKETO_MUNCHKIN_ID, and MARKETO_URL where it is set.",
        )
    return None


def of_identity(response: Response, now: datetime) -> Failure:
    """The failure of a sign-in. Nothing of the lead has left with it."""
    passing = transport.refusal(response, "Marketo's sign-in", now)
    if passing:
        passing.unanswered = False
        return passing
    body = response.json()
    if response.status in (400, 401) and isinstance(body, dict):
        return Misconfigured(
            f"Marketo does not accept the client id and secret (HTTP {response.status}).",
            "Copy both again from Admin > Integration > LaunchPoint > View Details into MARKETO_CLIENT_ID and "
            "MARKETO_CLIENT_SECRET; they belong to the account of MARKETO_MUNCHKIN_ID.",
        )
    return Misconfigured(
        f"Marketo's sign-in does not answer like Marketo (HTTP {response.status}).",
        "Check MARKETO_MUNCHKIN_ID, and MARKETO_URL where it is set.",
    )


def failure(listed: object, doing: str) -> Failure:
    """The failure that the errors or reasons behind `doing` ("write the person") mean."""
    found = codes(listed)
    code = found[0] if found else ""
    detail = f"error {', '.join(found)}" if found else "no reason given"
    about = f"Marketo refused to {doing} ({detail})"
    passes = "Nothing to do: the app tries again."
    if code == "607":
        return Throttled(
            f"The account has used up its calls to Marketo for today ({detail}).",
            "Nothing to do: the app tries again. If it happens often, ask Adobe for more, or find out which "
            "integration uses so many.",
            retry_after=DAILY_WAIT,
        )
    if code in _SLOW:
        return Throttled(f"Marketo asks for fewer calls for now ({detail}).", passes, retry_after=RATE_WAIT)
    if code in TOKEN:
        return Misconfigured(
            f"Marketo does not accept the token that it issued ({detail}).",
            f"Check in LaunchPoint that the service and its API-only user exist and are active ({GUIDE}).",
        )
    if code in _MISCONFIGURED:
        cause, remedy = _MISCONFIGURED[code]
        return Misconfigured(f"{about}: {cause}.", remedy)
    # What is not listed begins with 6 where the request was not carried out, which time may change.
    if not code or code in _PASSING or (code.startswith(("5", "6")) and code not in ("605", "609", "612", "613")):
        return Transient(
            f"Marketo is not working right now ({detail}).",
            "The app tries again by itself.",
            unanswered=not code or code in _UNKNOWN_END,
        )
    return Rejected(
        f"{about}.",
        "Look up the code in Marketo's documentation of REST API error codes, correct what it complains about in "
        "Marketo or in MARKETO_FIELDS; then replay the lead.",
    )


def records(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of an answer."""
    result = body.get("result")
    return [one for one in result if isinstance(one, dict)] if isinstance(result, list) else []
