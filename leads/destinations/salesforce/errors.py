"""What an answer of Salesforce means: the body's code first, then the status, always with a cause and a remedy.

Codes are those of the REST API Developer Guide (status codes and error responses) and of the SOAP API's list of
`StatusCode`, which REST shares; a body is an array of `message`, `errorCode` and sometimes `fields`. Those of the token
endpoint are of Salesforce Help, "OAuth 2.0 authorization errors".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from leads import crm, transport
from leads.errors import Failure, Misconfigured, Rejected, Throttled, Transient
from leads.transport import Response

GUIDE = "see docs/destinations/salesforce.md"

EXISTS = "DUPLICATE_VALUE"
GONE = frozenset({"ENTITY_IS_DELETED", "CANNOT_UPDATE_CONVERTED_LEAD", "INVALID_CROSS_REFERENCE_KEY", "NOT_FOUND"})
"""The record was deleted, merged or converted since it was looked at."""
TOO_LONG = "STRING_TOO_LONG"
OF_A_FIELD = frozenset(
    {
        TOO_LONG,
        EXISTS,
        "FIELD_INTEGRITY_EXCEPTION",
        "INVALID_CROSS_REFERENCE_KEY",
        "INVALID_EMAIL_ADDRESS",
        "INVALID_FIELD",
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "INVALID_TYPE_ON_FIELD_IN_RECORD",
        "JSON_PARSER_ERROR",
        "MALFORMED_ID",
        "NUMBER_OUTSIDE_VALID_RANGE",
    }
)
"""A field's name or value is refused: without it the rest may be taken."""

_THROTTLED = frozenset({"REQUEST_LIMIT_EXCEEDED"})
_TRANSIENT = frozenset({"UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "QUERY_TIMEOUT", "REQUEST_RUNNING_TOO_LONG"})
_PERMISSIONS = f"Give the app's user the permission set with these objects and fields ({GUIDE})."
_MISCONFIGURED = {
    "INVALID_SESSION_ID": (
        "The sign-in worked, but Salesforce does not take its token.",
        "Give the External Client App the scope api, and let its policies allow the user from any address.",
    ),
    "INVALID_TYPE": ("The app's user may not see leads, tasks or contacts.", _PERMISSIONS),
    "INSUFFICIENT_ACCESS": ("The app's user lacks a permission.", _PERMISSIONS),
    "INACTIVE_OWNER_OR_USER": (
        "The record would belong to a user who is not active.",
        "Correct the lead assignment rule, or the OwnerId in SALESFORCE_FIELDS.",
    ),
    "API_DISABLED_FOR_ORG": (
        "The org's edition has no API, or the user may not use it.",
        "Give the user the permission API Enabled; an edition without API needs SALESFORCE_MODE=web.",
    ),
    "STORAGE_LIMIT_EXCEEDED": ("The org's data storage is full.", "Free storage in Salesforce, or buy more."),
    "DUPLICATES_DETECTED": (
        "A duplicate rule of the org blocks the lead.",
        "Let the rule allow leads of the app's user, with or without an alert.",
    ),
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": (
        "A validation rule of the org refuses the record",
        "Exclude the app's user from the rule, or set what it asks for in SALESFORCE_FIELDS.",
    ),
    "REQUIRED_FIELD_MISSING": (
        "The org demands a field that a lead does not bring",
        "Set it in SALESFORCE_FIELDS, or make the field optional.",
    ),
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": (
        "A trigger of the org refuses the record",
        "Ask whoever wrote it to let the app's leads pass.",
    ),
    "CANNOT_EXECUTE_FLOW_TRIGGER": (
        "A flow of the org failed over the record",
        "Ask whoever made it to let the app's leads pass.",
    ),
}
_SIGN_IN = {
    "invalid_client_id": (
        "This org does not know the consumer key.",
        "Copy the consumer key into SALESFORCE_CLIENT_ID, and check that SALESFORCE_URL is this org's My Domain.",
    ),
    "invalid_client": ("The consumer secret is wrong.", "Copy it again into SALESFORCE_CLIENT_SECRET."),
    "no client credentials user": (
        "The External Client App has no user to run as.",
        "Under its Policies > OAuth Flows, enable the client credentials flow and name a Run As user.",
    ),
    "not supported on this domain": (
        "This address is not the org's My Domain.",
        "Set SALESFORCE_URL to the address under Setup > My Domain.",
    ),
    "approved": (
        "The user has not approved the External Client App.",
        "Under its Policies, pre-authorize admin approved users, and add the user's permission set.",
    ),
    "audience": (
        "Salesforce does not take the token's audience, which follows the My Domain.",
        "Set SALESFORCE_URL to the address under Setup > My Domain, with .sandbox. in it for a sandbox.",
    ),
    "assertion": (
        "Salesforce does not accept the signature of the private key.",
        "Upload the certificate that belongs to SALESFORCE_PRIVATE_KEY to the External Client App.",
    ),
    "user": (
        "The app's user is not active, or does not exist.",
        "Correct SALESFORCE_USERNAME, or activate the user.",
    ),
    "grant_type": (
        "The External Client App does not allow this flow.",
        "Enable the client credentials flow in it (with SALESFORCE_PRIVATE_KEY: the JWT bearer flow).",
    ),
}
"""By the error's name, or by words of its description. The first that is found counts."""

_NAMED = re.compile(
    r"No such column '(\w+)'|duplicate value found: (\w+) duplicates|create/update fields: ([\w, ]+)|"
    r"(?:^|: ?)(\w+): (?:data value too large|bad value for restricted|invalid email|invalid)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Error:
    """One error of an answer."""

    code: str
    message: str
    """Salesforce's own words: not safe to show."""
    fields: tuple[str, ...]


def reported(response: Response) -> tuple[Error, ...]:
    """The errors of an answer; none where it has no body of this kind."""
    body = response.json()
    found = [one for one in body if isinstance(one, dict)] if isinstance(body, list) else []
    return tuple(
        Error(
            str(one.get("errorCode") or ""),
            str(one.get("message") or ""),
            tuple(str(name) for name in one["fields"]) if isinstance(one.get("fields"), list) else (),
        )
        for one in found
    )


def code(response: Response) -> str:
    """The code of the answer's first error; empty where there is none."""
    errors = reported(response)
    return errors[0].code if errors else ""


def named(response: Response, names: Iterable[str]) -> list[str]:
    """Those of the fields `names` that the answer complains about."""
    words: set[str] = set()
    for error in reported(response):
        words |= {name.lower() for name in error.fields}
        for found in _NAMED.findall(error.message):
            words |= {word.lower() for part in found for word in re.findall(r"\w+", part)}
        if "country" in words or (not words and "country" in error.message.lower()):
            # Of a pick-list Salesforce names the field of the label, whichever was set.
            words |= {"country", "countrycode"}
    return [name for name in names if name.lower() in words]


def allowed_length(response: Response) -> int:
    """The length that a "too long" answer allows; 0 where it does not say."""
    found = re.search(r"max length=(\d{1,9})", " ".join(error.message for error in reported(response)))
    return int(found[1]) if found else 0


def failure(
    response: Response, doing: str, where: str, now: datetime, private: Iterable[str], keys: Collection[str]
) -> Failure:
    """The failure that the answer to `doing` ("make the lead") means.

    `private` is what must not be shown, `keys` are the fields that hold the app's own keys.
    """
    name = code(response)
    words = crm.safe(reported(response)[0].message, private) if reported(response) else ""
    status = f"HTTP {response.status}{f', {name}' if re.fullmatch('[A-Z_]{1,60}', name) else ''}"
    about = f"{where} refused to {doing} ({status})"
    if name in _THROTTLED:
        return Throttled(
            f"The org has used up the calls that Salesforce allows it ({status}).",
            "The app tries again. If it keeps failing, look at API usage under Setup > Company Information.",
        )
    if name in _TRANSIENT:
        return Transient(f"{where} is busy ({status}).", "Nothing to do: the app tries again.")
    passing = transport.refusal(response, where, now, status)
    if passing:
        return passing
    if name in OF_A_FIELD and (missing := named(response, keys)):
        return Misconfigured(
            f"{about}: the org has no field {missing[0]} as the app needs it, or the user may not see or set it.",
            "Make it as a unique external id of 64 characters, give the permission set read and edit of it, and name "
            f"it in SALESFORCE_LEAD_KEY or SALESFORCE_STEP_KEY ({GUIDE}).",
        )
    known = _MISCONFIGURED.get("INSUFFICIENT_ACCESS" if name.startswith("INSUFFICIENT_ACCESS") else name)
    if known:
        cause, remedy = known
        return Misconfigured(
            f"{about}: {cause}" if cause.endswith(".") else crm.whole_sentence(f"{about}: {cause}", words), remedy
        )
    if response.status == 300 and response.json() is not None:
        return Rejected(
            f"{about}: several records have the same key.", "Make the key field unique, then replay the lead."
        )
    if not name or response.status < 400:
        return Misconfigured(
            f"{where} does not answer like Salesforce ({status}).",
            "Set SALESFORCE_URL to the address under Setup > My Domain, as https://contoso.my.salesforce.com.",
        )
    if response.status in (401, 403):
        return Misconfigured(crm.whole_sentence(about, words), _PERMISSIONS)
    if response.status == 404:
        return Misconfigured(
            crm.whole_sentence(about, words),
            f"Check SALESFORCE_URL and SALESFORCE_API_VERSION, and the permissions of the user ({GUIDE}).",
        )
    return Rejected(
        crm.whole_sentence(about, words),
        "Correct what Salesforce complains about, there or in SALESFORCE_FIELDS; then replay the lead.",
    )


def of_required(response: Response, names: Collection[str]) -> Failure | None:
    """The failure of a field among `names` that Salesforce demands and refuses; None for any other answer."""
    found = named(response, names) if code(response) in OF_A_FIELD else []
    if not found:
        return None
    return Misconfigured(
        f"Salesforce demands the field {found[0]} and does not take what the app writes there ({code(response)}).",
        f"Look in Object Manager what was changed at {found[0]} of Lead, and let the permission set edit it ({GUIDE}).",
    )


def of_sign_in(response: Response, where: str, now: datetime) -> Failure:
    """The failure that an answer of the token endpoint means."""
    body = response.json()
    error = str(body.get("error") or "") if isinstance(body, dict) else ""
    words = str(body.get("error_description") or "") if isinstance(body, dict) else ""
    status = f"HTTP {response.status}{f', {error}' if re.fullmatch('[a-z_]{1,40}', error) else ''}"
    passing = transport.refusal(response, where, now, status)
    if passing:
        return passing
    if "rate" in error or "rate exceeded" in words:
        return Throttled(
            f"{where} does not allow another sign-in right now ({status}).", "Nothing to do: the app tries again."
        )
    if not error:
        return Misconfigured(
            f"{where} does not answer like Salesforce ({status}).",
            "Set SALESFORCE_URL to the address under Setup > My Domain, as https://contoso.my.salesforce.com.",
        )
    both = f"{error} {words}".lower()
    cause, remedy = _SIGN_IN.get(error) or next(
        (found for part, found in _SIGN_IN.items() if part in both),
        (
            crm.whole_sentence("Salesforce refused the sign-in", crm.safe(words, ())),
            f"Compare the External Client App with the set-up instructions ({GUIDE}).",
        ),
    )
    return Misconfigured(f"{cause} ({status})", remedy)
