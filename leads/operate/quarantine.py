"""The quarantine, which holds bytes that are not a lead: what is there, and reading it again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from leads.app import App
from leads.intake import accept, times
from leads.lead import Via
from leads.store.ledger import QUARANTINE
from leads.sweep import concerns

COUNTED = 1000
"""Entries of a day that are counted outside the sweep."""
NAME = re.compile(r"\d{4}/\d{2}/\d{2}/[0-9a-f]{64}\.bin")
"""What an entry is called."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Bytes in quarantine."""

    name: str
    """`yyyy/mm/dd/<sha256>.bin`"""
    at: datetime
    via: Via
    reason: str
    size: int
    """Bytes as they arrived."""
    kept: int
    """Number of bytes kept: 0 of what was empty, or larger than any lead."""
    event: str = ""
    """The event that they are, where that was known."""
    waits: bool = False
    """Whether they are a lead that could not be stored when it came, and that the sweep takes in."""


def entries(app: App, since: datetime | None = None, after: str = "") -> Iterator[Entry]:
    """What came into quarantine since a time, or at all, in the order of names: those behind the name `after`."""
    for name, note in app.store.blobs(QUARANTINE, "", after or (f"{since:%Y/%m/%d}/" if since else "")):
        if name > after and NAME.fullmatch(name):
            one = entry(name, note)
            if since is None or one.at >= since:
                yield one


def newest(app: App, most: int, since: datetime | None = None) -> list[Entry]:
    """The newest entries, newest first: days are listed whole, and only as many of them as it takes."""
    found: list[Entry] = []
    for prefix in _days(app, since):
        listed = [entry(name, note) for name, note in app.store.blobs(QUARANTINE, prefix) if NAME.fullmatch(name)]
        found += _newest_first(one for one in listed if since is None or one.at >= since)
        if len(found) >= most:
            return found[:most]
    # What came while the tables failed could not be noted, and may be of any day.
    return _newest_first(entries(app, since))[:most]


def latest(app: App, most: int, since: datetime | None = None) -> Iterator[Entry]:
    """What came last, day by day, as far as `most` entries are looked at: so that a flood of them costs no more.

    Of a day it is those that are listed first, since an entry is called by its bytes, and these newest first.
    """
    for prefix in _days(app, since):
        blobs = islice(app.store.blobs(QUARANTINE, prefix), most)
        found = [entry(name, note) for name, note in blobs if NAME.fullmatch(name)]
        most -= len(found)
        yield from _newest_first(found)
        if most <= 0:
            return


def _days(app: App, since: datetime | None) -> list[str]:
    """How the names begin of what came on each day that has any, the newest day first."""
    first = f"{since:%Y/%m/%d}/" if since else ""
    prefixes = (f"{row.key.rpartition(':')[2].replace('-', '/')}/" for row in app.ledger.changes("quarantine:"))
    return sorted((each for each in prefixes if each >= first), reverse=True)


def _newest_first(found: Iterable[Entry]) -> list[Entry]:
    return sorted(found, key=lambda one: (one.at, one.name), reverse=True)


def count(app: App) -> int:
    """How many entries there are as the sweep counted them; a day on which more came is listed, to a limit."""
    changes = app.ledger.changes("quarantine:")
    known = concerns.counted_entries(app) if changes else {}
    total = 0
    for change in changes:
        day = change.key.rpartition(":")[2]
        values = known[day].values if day in known else {}
        if values.get("came") == change.values["at"]:
            total += int(values["count"])
        else:
            total += sum(1 for _ in islice(app.store.blobs(QUARANTINE, f"{day.replace('-', '/')}/"), COUNTED))
    return total


def entry(name: str, note: Mapping[str, str]) -> Entry:
    """The entry of that name, out of what was noted beside its bytes."""
    day = datetime.strptime(name[:10], "%Y/%m/%d").replace(tzinfo=UTC)
    via, size, kept = note.get("via", ""), note.get("size", ""), note.get("kept", "")
    return Entry(
        name,
        at=times.moment(note.get("at") or "") or day,
        via=Via(via) if via in set(Via) else Via.HTTPS,
        reason=note.get("reason") or "",
        size=int(size) if size.isdecimal() else 0,
        kept=int(kept) if kept.isdecimal() else 0,
        # A listing of blobs gives what is empty as None.
        event=note.get("event") or "",
        waits=bool(note.get("waits")),
    )


def replay_quarantined(app: App, name: str, now: datetime) -> str:
    """Read bytes in quarantine again, since a newer version may understand them, and return the lead id.

    The lead counts as arrived when the bytes did. Raises `accept.NotALead` where they still are not one.
    """
    blob = app.store.get_blob(QUARANTINE, name) if NAME.fullmatch(name) else None
    if blob is None:
        raise accept.NotALead("There is nothing with this name in quarantine.")
    if not blob.data:
        raise accept.NotALead("Only the size of this was kept: it was empty, or larger than any lead.")
    lead_id = accept.take_quarantined(app, blob, now).id
    app.ledger.change(f"quarantine:{name[:10].replace('/', '-')}", now)
    return lead_id
