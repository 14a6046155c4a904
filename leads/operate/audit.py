"""Who looked at personal data and who changed something: a log event for each, which names no customer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from leads import log
from leads.operate import stories
from leads.operate.quarantine import NAME

HEADER = "X-Leads-Operator"
"""The name that an operator gives, in a call of the API; what is not ASCII in it is percent-encoded UTF-8."""
NAME_LIMIT = 80

Arguments = Mapping[str, Any]
Content = Mapping[str, Any]


def _fates(content: Content, fate: str) -> int:
    return sum(result["fate"] == fate for result in content["results"])


COUNTS: Mapping[str, Callable[[Arguments, Content], int]] = {
    "belongings": lambda _, content: _found(content),
    "import": lambda _, content: _fates(content, "taken"),
    "import-table": lambda _, content: content["rows"].get("taken", 0),
    "discard": lambda _, content: sum(result["gone"] for result in content["results"]),
    "discard-quarantined": lambda given, content: sum(content["reasons"].values()) if given.get("yes") is True else 0,
    "export": lambda _, content: _found(content),
    "forget": lambda _, content: _found(content),
    "keep-offers": lambda _, content: content["kept"],
    "list": lambda given, content: len(content["leads"]) if given.get("reveal") is True else 0,
    "mark-offer": lambda *_: 1,
    "preview": lambda _, content: int(bool(content["text"])),
    "replay": lambda _, content: content["opened"],
    "replay-quarantined": lambda _, content: int(bool(content["id"])),
    "reroute": lambda given, content: len(content["new"] + content["dropped"]) if given.get("yes") is True else 0,
    "send-test": lambda *_: 1,
    "show": lambda _, content: int(bool(content)),
    "sign-out-all": lambda *_: 1,
    "skip": lambda given, content: content["count"] if given.get("yes") is True else 0,
}
"""The operations that show personal data or change something, each with how much it was. A count of 0 is not logged,
except for a search for a customer.
"""


def _found(content: Content) -> int:
    return len(content["leads"]) + len(content["quarantine"])


def name(text: str) -> str:
    """A name that an operator gave, as one line of `NAME_LIMIT` characters at most."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:NAME_LIMIT]


def performed(operation: str, arguments: Arguments, content: Content, operator: str, way: str = "key") -> None:
    """Log an operation, if it is one of `COUNTS`."""
    if operation not in COUNTS:
        return
    count = COUNTS[operation](arguments, content)
    began = "who" in arguments and not arguments.get("cursor")
    if count or began:
        lead = str(arguments.get("id") or arguments.get("who") or arguments.get("name") or "")
        done(operation, operator, lead, count, way)


def done(operation: str, operator: str, lead: str = "", count: int = 1, way: str = "key") -> None:
    """Log what an operator did, with `count` leads or entries of the quarantine, or with one `lead`.

    `way` is how they came in: a name beside a `key` is what somebody says, one by `microsoft` is proven.
    """
    known = lead if stories.ID.fullmatch(lead) or NAME.fullmatch(lead) else ""
    log.event("operation_done", operation=operation, lead=known, count=count, operator=name(operator), way=way)
