"""What an answer of Dataverse means: the body's code first, then the status, always with a cause and a remedy.

Codes are from Microsoft's Web API error reference and the table `Dataverse codes` of its troubleshooting pages; bodies
may be empty, have an empty code, or be a gateway's HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from leads import crm
from leads.errors import Failure, Misconfigured, Rejected, Throttled, Transient
from leads.transport import Response

EXISTS = frozenset({"0x80040237", "0x80060892"})
"""A row of this id is there already."""
_ABSENT = frozenset({"", "0x80040217", "0x80060891"})
_THROTTLED = frozenset({"0x80072322", "0x80072321", "0x80072326"})
COLUMN_SECURED = frozenset({"0x8004f502", "0x8004f507"})
"""Column security forbids to set a column, on create and on update."""
NO_OPTION = "0x8004431a"
TOO_LONG = "0x80044331"
UNKNOWN_COLUMN = frozenset({"0x0", "0x80048d19", "0x80060888"})
_NO_TABLE = "0x8006088a"
NO_ACCESS = "0x80048306"
PRIVILEGE = "0x80040220"
NO_SUCH_ROW = "0x80040217"
PLUG_IN = "0x80040265"
DUPLICATE_RULE = "0x80040333"

_COLUMN_NAMES = re.compile(r"property (?:named )?'(\w+)|\b(\w+)'? attribute\b|\bof '(\w+)' on record")

_LITERAL = re.compile(r"literal '.*' to the expected", re.DOTALL)
"""A value that Dataverse quotes; a customer may have typed anything there."""

GUIDE = "see docs/destinations/dynamics.md"
_ROLE = f"Give the application user the security role with the privileges listed there ({GUIDE})."
_USER = (
    "In the Power Platform admin centre, under the environment's Settings > Users + permissions > Application users, "
    f"add the app by its client id, or enable it ({GUIDE})."
)
_NO_USER = "The sign-in worked, but the app is not an enabled user of this environment."

_MISCONFIGURED = {
    "0x80042f09": ("The application user has no security role.", _ROLE),
    PRIVILEGE: ("The application user's security role lacks a privilege.", _ROLE),
    NO_ACCESS: (
        "The application user's security role does not reach this record or its owner.",
        f"Give it the role with privileges for the whole organization, not for its own records only ({GUIDE}).",
    ),
    **dict.fromkeys(
        COLUMN_SECURED,
        (
            "A column is protected by column security and the application user may not set it.",
            "Add the application user to the column security profile, or remove the column from the settings.",
        ),
    ),
    "0x80072560": (_NO_USER, _USER),
    "0x80041d1f": (_NO_USER, _USER),
    "0x80040225": (_NO_USER, _USER),
    _NO_TABLE: (
        "The environment has no table for leads: Dynamics 365 Sales is not installed in it.",
        "Set DYNAMICS_URL to the environment with Dynamics 365 Sales, or install Sales in this one.",
    ),
}
_REJECTED = {
    DUPLICATE_RULE: (
        "A duplicate detection rule of the organization refused the record.",
        "Find the record that is there already, or relax the rule for the application user; then replay the lead.",
    ),
    PLUG_IN: (
        "A plug-in or workflow of the organization refused the record",
        "Ask whoever wrote it to let the lead pass; then replay the lead.",
    ),
    NO_SUCH_ROW: (
        "Dynamics does not have (any more) what the lead refers to",
        "Check DYNAMICS_OWNER and the lookups in DYNAMICS_FIELDS; then replay the lead.",
    ),
}


class Unanswered(Transient):
    """No answer, or one of a server out of order: what was asked may or may not have been done."""


def code(response: Response) -> str:
    """The answer's error code as `0x` and eight lower-case digits; empty where there is none."""
    value = str(_error(response).get("code", "")).strip().lower()
    if re.fullmatch(r"-\d{1,10}", value):
        return f"0x{int(value) & 0xFFFFFFFF:08x}"
    return value


def message(response: Response) -> str:
    """The answer's own words: not safe to show, see `safe`."""
    return str(_error(response).get("message", ""))


def exists(response: Response) -> bool:
    """Whether a create that must not overwrite was refused because the row is there already."""
    found = code(response)
    return found in EXISTS or (response.status == 412 and found != DUPLICATE_RULE)


def speaks_of_row(response: Response) -> bool:
    """Whether a 404 speaks of the row, and not of the table or the address."""
    return isinstance(response.json(), dict) and code(response) in _ABSENT


def is_throttled(response: Response) -> bool:
    """Whether the answer is a service protection limit."""
    return response.status == 429 or code(response) in _THROTTLED


def is_foreign(response: Response) -> bool:
    """Whether something else than Dataverse answered: a sign-in page, a web site, a redirect."""
    html = response.body.lstrip()[:1] == b"<" or "html" in response.headers.get("content-type", "").lower()
    nothing_there = response.status in (404, 405) and not _error(response)
    return 300 <= response.status < 400 or nothing_there or (html and response.status < 500)


def failure(response: Response, doing: str, where: str, now: datetime, private: Iterable[str]) -> Failure:
    """The failure that the answer to `doing` ("make the record") means. `private` is what must not be shown."""
    found = code(response)
    words = crm.safe(message(response), private)
    about = f"{where} refused to {doing} (HTTP {response.status}{f', {found}' if found else ''})"
    if is_throttled(response):
        return Throttled(
            f"{where} limits how much this app may send (HTTP {response.status}{f', {found}' if found else ''}).",
            "Nothing to do: the app tries again when Dynamics allows.",
            retry_after=response.retry_after(now),
        )
    if found in _REJECTED:
        cause, remedy = _REJECTED[found]
        return Rejected(crm.whole_sentence(f"{about}: {cause}", words), remedy)
    if response.status == 401:
        return Misconfigured(f"{about}: {_NO_USER}", _USER)
    if response.status < 400 or is_foreign(response):
        return Misconfigured(
            f"{where} does not answer like a Dynamics environment (HTTP {response.status}).",
            "Set DYNAMICS_URL to the environment's address, such as https://contoso.crm4.dynamics.com.",
        )
    if response.status >= 500 or response.status in (408, 409, 425):
        return Unanswered(
            f"{where} is not working (HTTP {response.status}{f', {found}' if found else ''}).",
            "The app tries again on its schedule.",
            retry_after=response.retry_after(now),
            unanswered=True,
        )
    if response.status == 404 and found == "0x80060888":
        found = _NO_TABLE
    if found in _MISCONFIGURED:
        cause, remedy = _MISCONFIGURED[found]
        missing = re.search(r"\bprv[A-Za-z0-9_]+", message(response))
        if missing and found in (PRIVILEGE, NO_ACCESS):
            cause = f"The application user's security role lacks the privilege {missing[0]}."
        return Misconfigured(f"{about}: {cause}", remedy)
    if response.status == 403:
        return Misconfigured(crm.whole_sentence(f"{about}: the application user may not", words), _ROLE)
    return Rejected(
        crm.whole_sentence(f"{about}", words),
        "Correct what Dynamics complains about, there or in DYNAMICS_FIELDS; then replay the lead.",
    )


def named_columns(response: Response, columns: Iterable[str]) -> list[str]:
    """Those of the columns that the answer's words name. A value that is quoted there is not taken for a name."""
    text = _LITERAL.sub("", message(response)).lower()
    words = {word for found in _COLUMN_NAMES.findall(text) for word in found}
    return [column for column in columns if column.partition("@")[0].lower() in words]


def allowed_length(response: Response) -> int | None:
    """The length that a "too long" answer allows; None where it does not say."""
    found = re.search(r"maximum allowed length of '?(\d{1,9})", message(response))
    return int(found[1]) if found else None


def _error(response: Response) -> dict[str, object]:
    parsed = response.json()
    error = parsed.get("error") if isinstance(parsed, dict) else None
    return error if isinstance(error, dict) else {}
