"""What one step of each kind of job does: one operation, the same that the command calls, of bounded length.

A job looks first, and changes nothing by that; what it found is shown, and it works when an operator said yes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any

from leads import enabled, redact
from leads.app import App
from leads.intake.times import Order
from leads.lead import State
from leads.operate import quarantine, stories
from leads.store.ledger import QUARANTINE

LOOK, WORK = "look", "work"
UPLOAD, RECORDS_READ = "upload", "records"
"""The blobs of an import: the file as it was uploaded, and its records."""
SHOWN = 30
"""Things of one sort that are listed; the others are counted."""
LISTED, LINES, RECORDS, ROWS, NAMES = 25, 25, 10, 10, 100
"""Leads that one selection gives, open leads that one step of `skip` looks at, records of a file, rows of a table, and
names of the quarantine."""
SECONDS = 1
"""How long one step searches."""
ASKED_EVERY = 1.0
"""Seconds after which a stretch looks whether the job was dropped."""
ASKS = 6
"""Seconds that one part of `check` may take."""

_TEXT_LIMIT = 300


class DatesAsked(Exception):
    """The dates of a file can be read in two ways, and a person has to say which."""


class Refused(Exception):
    """The job cannot go on. The text says why, in words that are safe to show."""


@dataclass
class Stretch:
    """What a step works with, and where it writes what came of it."""

    app: App
    now: datetime
    phase: str
    """`look`, or `work` once an operator said yes."""
    given: dict[str, Any]
    cursor: str
    counts: dict[str, int]
    """How much was found, or done, by name."""
    shown: list[dict[str, Any]]
    perform: Callable[[str, Mapping[str, Any]], dict[str, Any]]
    file: Callable[[str], bytes | None]
    """The blob of that name which the job has; None where it has none."""
    keep: Callable[[str, bytes], object]
    """Keep a blob of that name until the job has ended."""
    is_wanted: Callable[[], bool]
    """Whether nobody dropped the job meanwhile."""
    parts: list[dict[str, Any]] = field(default_factory=list)
    """Answers that are kept whole, for a download."""

    @property
    def works(self) -> bool:
        """Whether it changes anything."""
        return self.phase == WORK

    def count(self, name: str, number: int = 1) -> None:
        """Count something."""
        if number:
            self.counts[name] = self.counts.get(name, 0) + number

    def show(self, sort: str, **item: Any) -> bool:
        """List something, once, unless there are `SHOWN` of its sort. Returns whether it is new."""
        shown = {"sort": sort} | {k: v[:_TEXT_LIMIT] if isinstance(v, str) else v for k, v in item.items()}
        if shown in self.shown:
            return False
        if sum(each["sort"] == sort for each in self.shown) < SHOWN:
            self.shown.append(shown)
        return True

    def tally(self, sort: str, **item: str) -> None:
        """Count something among what is listed, unless there are `SHOWN` others of its sort."""
        wanted = {"sort": sort} | {name: value[:_TEXT_LIMIT] for name, value in item.items()}
        for each in self.shown:
            if each.items() >= wanted.items():
                each["count"] += 1
                return
        self.show(sort, **item, count=1)

    @cached_property
    def records(self) -> tuple[list[dict[str, Any]], list[str]]:
        """The records of the uploaded file, and its columns that are not known. Raises DatesAsked, and Refused.

        The file is read once: that takes a second for 10,000 records, and each look would begin with it.
        """
        from leads.operate import importing

        if kept := self.file(RECORDS_READ):
            records, unknown = json.loads(kept)
            return records, unknown
        upload = self.file(UPLOAD)
        if upload is None:
            raise Refused("The app no longer has the uploaded file. Upload it again.")
        try:
            found = importing.read(upload, Order(self.given["dates"]) if self.given.get("dates") else None)
        except importing.AmbiguousDates:
            raise DatesAsked from None
        except importing.NotATable as error:
            raise Refused(str(error)) from None
        self.keep(RECORDS_READ, json.dumps(found).encode())
        return found


def _check(stretch: Stretch) -> None:
    """One part."""
    parts = stretch.perform("checks", {})["parts"]
    at = int(stretch.cursor or 0)
    part = parts[at] if at < len(parts) else ""
    stretch.counts["parts"] = len(parts)
    for result in stretch.perform("check", {"part": part, "seconds": ASKS})["results"] if part else ():
        # Every finding must be seen, so each part is a sort of its own.
        stretch.show(f"check {part}", **{**result, "waits_for": list(result["waits_for"])})
    stretch.count("looked")
    stretch.cursor = str(at + 1) if at + 1 < len(parts) else ""


def _skip(stretch: Stretch) -> None:
    given = {"destination": stretch.given["destination"], "cursor": stretch.cursor, "lines": LINES}
    found = stretch.perform("skip", {**given, "yes": stretch.works})
    stretch.count("deliveries", found["count"])
    stretch.count("busy", found["busy"])
    stretch.cursor = found["cursor"]


def _queue(stretch: Stretch) -> tuple[str, list[Any]]:
    """Where the next selection begins, and what is left of the last one."""
    if not stretch.cursor:
        return "", []
    after, left = json.loads(stretch.cursor)
    return str(after), list(left)


def _keep(stretch: Stretch, after: str, left: list[Any]) -> None:
    """Go on with what is left, then with the next selection, if there is one."""
    stretch.cursor = json.dumps([after, left]) if after or left else ""


def _replay(stretch: Stretch) -> None:
    """One selection of leads when there is none left, else one delivery."""
    after, left = _queue(stretch)
    given = {name: stretch.given.get(name, "") for name in ("state", "destination", "since", "offer")}
    hurry = given["state"] == "open"
    if not left:
        found = stretch.perform("select", {**given, "limit": LISTED, "cursor": after})
        left = [[each["id"], name] for each in found["leads"] for name in each["destinations"]]
        after = found["cursor"]
        if hurry:
            left = [one for one in left if _waits(stretch, *one)]
        if not stretch.works:
            for lead_id, name in left:
                stretch.count("deliveries")
                stretch.count(f"to {name}")
                stretch.show("lead", thing=lead_id, text=enabled.title(name))
            left = []
    else:
        lead_id, name = left.pop(0)
        order = {"id": lead_id, "destination": name, "hurry": hurry}
        delivery = stretch.app.ledger.delivery(lead_id, name)
        # What a stretch that crashed has sent already is not sent once more.
        if hurry or delivery is None or delivery.state == State.DEAD:
            stretch.count("deliveries", stretch.perform("replay", order)["opened"])
        stretch.count("looked")
    _keep(stretch, after, left)


def _waits(stretch: Stretch, lead_id: str, name: str) -> bool:
    """Whether a delivery waits for its next attempt."""
    delivery = stretch.app.ledger.delivery(lead_id, name)
    return delivery is not None and delivery.next_at > stretch.now


def _reroute(stretch: Stretch) -> None:
    """One selection of leads when there is none left, else one lead."""
    after, left = _queue(stretch)
    if not left:
        given = {"since": stretch.given["since"], "limit": LISTED, "cursor": after}
        found = stretch.perform("list", given)
        left, after = [each["id"] for each in found["leads"]], found["cursor"]
    else:
        lead_id = left.pop(0)
        told = stretch.perform("reroute", {"id": lead_id, "yes": stretch.works})
        stretch.count("looked")
        if told["new"] or told["dropped"]:
            stretch.count("leads")
            words = [f"to {enabled.title(name)}" for name in told["new"]]
            words += [f"no longer to {enabled.title(name)}" for name in told["dropped"]]
            if not stretch.works:
                stretch.show("lead", thing=lead_id, text=", ".join(words))
    _keep(stretch, after, left)


def _discard_quarantined(stretch: Stretch) -> None:
    given = {name: stretch.given.get(name, "") for name in ("since", "before", "reason")}
    asked = {**given, "cursor": stretch.cursor, "yes": stretch.works, "seconds": SECONDS}
    found = stretch.perform("discard-quarantined", asked)
    for reason, number in found["reasons"].items():
        stretch.count("entries", number)
        stretch.count(f"because {reason}"[:200], number)
    stretch.count("kept", found["kept"])
    stretch.count("bytes", found["bytes"])
    stretch.cursor = found["cursor"]


def _reread(stretch: Stretch) -> None:
    """Some names of the quarantine when there is none left, else one entry."""
    after, left = _queue(stretch)
    if not left:
        names = [each.name for each in islice(quarantine.entries(stretch.app, after=after), NAMES)]
        after = names[-1] if len(names) == NAMES else ""
        left = names if stretch.works else []
        if not stretch.works:
            stretch.count("entries", len(names))
    else:
        done = stretch.perform("replay-quarantined", {"name": left.pop(0)})
        stretch.count("looked")
        stretch.count("taken", int(bool(done["id"])))
        if done["id"]:
            stretch.show("lead", thing=done["id"], text="could be read now")
    _keep(stretch, after, left)


def _discard(stretch: Stretch) -> None:
    """One lead, or one entry of the quarantine."""
    ids = stretch.given["ids"]
    at = int(stretch.cursor or 0)
    _discard_one(stretch, ids[at])
    stretch.cursor = str(at + 1) if at + 1 < len(ids) else ""


def _discard_leads(stretch: Stretch) -> None:
    """One selection of leads when there is none left, else one lead."""
    after, left = _queue(stretch)
    if not left:
        given = {name: stretch.given.get(name, "") for name in ("since", "until", "offer")}
        found = stretch.perform("list", {**given, "limit": LISTED, "cursor": after})
        left, after = [each["id"] for each in found["leads"]], found["cursor"]
    else:
        _discard_one(stretch, left.pop(0))
    _keep(stretch, after, left)


def _discard_one(stretch: Stretch, name: str) -> None:
    from leads.operate import forget

    if stretch.works:
        (result,) = stretch.perform("discard", {"ids": [name]})["results"]
        stretch.count("things", int(result["gone"]))
        stretch.count("looked")
        by_hand = result["by_hand"]
    else:
        there = _describe(stretch.app, name)
        stretch.count("things" if there else "unknown")
        stretch.show("thing", thing=name, text=there or "There is nothing with this id.")
        # Before anything is erased, so that no crash loses where else it stands.
        by_hand = forget.belongings(stretch.app, name, stretch.now)["by_hand"]
    stretch.parts.append({"by_hand": by_hand})
    for each in by_hand:
        stretch.count("by hand", int(stretch.show("by hand", where=enabled.title(each["where"]), text=each["what"])))


def _describe(app: App, name: str) -> str:
    """What a lead or an entry of the quarantine is, with its person masked; empty where there is none."""
    if quarantine.NAME.fullmatch(name):
        blob = app.store.get_blob(QUARANTINE, name)
        return (quarantine.entry(name, blob.metadata).reason or "No reason is noted") if blob else ""
    if not stories.ID.fullmatch(name):
        return ""
    seen = app.ledger.seen(name) if "-" not in name else None
    known = seen.lead_id if seen else name
    case = app.ledger.case(known) if "-" in known else None
    if case is None:
        return "A lead that is still being taken in" if "-" in known and app.ledger.open_line(known) else ""
    lead = case.lead
    person = redact.mask_name(lead.contact.name) or redact.mask_email(lead.contact.email) or "Nobody is named"
    return f"{person} · {lead.offer_name or 'no offer'} · {lead.arrived_at:%Y-%m-%d}"


def _customer(stretch: Stretch) -> None:
    """A second of the search for a customer; once an operator said so, of the export, or of forgetting."""
    order = stretch.given["order"] if stretch.works else "belongings"
    given = {"who": stretch.given["who"], "cursor": stretch.cursor, "seconds": SECONDS}
    found = stretch.perform(order, given)
    part = {name: value for name, value in found.items() if isinstance(value, list)}
    # The file for the customer names them, and the job's row no longer does by then.
    stretch.parts.append(part | ({"who": [stretch.given["who"]]} if found.get("records") else {}))
    for lead_id in found["leads"]:
        stretch.count("leads")
        if not stretch.works:
            stretch.show("lead", thing=lead_id, text="")
    for name in found["quarantine"]:
        stretch.count("entries")
        if not stretch.works:
            stretch.show("entry", thing=name, text="")
    for each in found["by_hand"]:
        stretch.count("by hand", int(stretch.show("by hand", where=enabled.title(each["where"]), text=each["what"])))
    for each in found["mentioned_in"]:
        stretch.count("mentioned", int(stretch.show("mentioned", text=each)))
    for each in found["unsearched"]:
        stretch.count("unsearched", int(stretch.show("unsearched", where=each["where"], text=each["why"])))
    stretch.count("records", len(found.get("records", ())))
    for what, number in found["searched"].items():
        stretch.count(f"searched {what}", number)
    stretch.cursor = found["cursor"]


def _import(stretch: Stretch) -> None:
    """Some records of the uploaded file."""
    from leads.operate import importing

    records, unknown = stretch.records
    at = int(stretch.cursor or 0)
    if not at and unknown:
        stretch.show("columns", text=", ".join(unknown))
    some = records[at : at + RECORDS]
    given = {"records": some, "force": stretch.given.get("force") is True, "yes": stretch.works}
    for record, result in zip(some, stretch.perform("import", given)["results"], strict=True):
        stretch.count(result["fate"])
        if not stretch.works:
            if result["fate"] == "new":
                offer, week = importing.missed(record, result)
                stretch.tally("missed", week=week, text=offer)
            who = " ".join(part for part in (result["name"], result["email"]) if part) or "no contact data"
            told = " · ".join(part for part in (who, result["offer"], result["day"]) if part)
            stretch.show("record", fate=result["fate"], text=told, lead=result["lead"])
    stretch.counts["records"] = len(records)
    stretch.count("looked", len(some))
    stretch.cursor = str(at + RECORDS) if at + RECORDS < len(records) else ""


def _import_table(stretch: Stretch) -> None:
    """Some rows of a watched table."""
    token, skip = json.loads(stretch.cursor) if stretch.cursor else ("", 0)
    given = {"table": stretch.given["table"], "token": token, "skip": skip, "rows": ROWS}
    found = stretch.perform("import-table", {**given, "yes": stretch.works})
    for fate, number in found["rows"].items():
        stretch.count(fate, number)
        stretch.count("looked", number)
    stretch.cursor = json.dumps([found["token"], found["skip"]]) if found["token"] or found["skip"] else ""


KINDS: Mapping[str, Callable[[Stretch], None]] = {
    "check": _check,
    "customer": _customer,
    "discard": _discard,
    "discard-leads": _discard_leads,
    "discard-quarantined": _discard_quarantined,
    "import": _import,
    "import-table": _import_table,
    "replay": _replay,
    "reread": _reread,
    "reroute": _reroute,
    "skip": _skip,
}
"""What one step of each kind of job does. It ends a phase by an empty cursor."""


def amount(kind: str, found: Mapping[str, int]) -> int:
    """How many things a job would change, after its look."""
    names = {
        "customer": ("leads", "entries", "by hand"),
        "discard": ("things",),
        "discard-leads": ("things",),
        "discard-quarantined": ("entries",),
        "import": ("new",),
        "import-table": ("new", "backfilled"),
        "replay": ("deliveries",),
        "reread": ("entries",),
        "reroute": ("leads",),
        "skip": ("deliveries",),
    }
    return sum(found.get(name, 0) for name in names[kind])


def run(kind: str, stretch: Stretch, stop_at: float) -> None:
    """Take steps until the phase is over, until `stop_at` on the monotonic clock, or until somebody drops the job.

    It is one step at least.
    """
    asked_at = time.monotonic()
    while True:
        KINDS[kind](stretch)
        now = time.monotonic()
        if not stretch.cursor or now >= stop_at:
            return
        if now - asked_at >= ASKED_EVERY:
            if not stretch.is_wanted():
                return
            asked_at = now
