"""Where is my lead? What was asked for, and what was found. It comes in a POST, so that no address stands in a URL."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from leads.app import App
from leads.intake.contact import email_key
from leads.lead import State
from leads.operate import listing, stories
from leads.operate.page.words import ListedLead

FIELDS = ("who", "offer", "destination", "state", "since", "until")
TEXT_LIMIT = 200
"""Characters of a field."""
READ = 100
"""Leads that one search reads beyond those that it shows: the name of a lead stands in no index."""
FIRST, LAST = date(2000, 1, 1), date(2199, 12, 31)
"""No day outside of these is asked for in earnest, and none of them leads out of the calendar."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, as it was typed."""

    who: str = ""
    """An address, a lead id, or words of name, company and address."""
    offer: str = ""
    destination: str = ""
    state: str = ""
    since: str = ""
    """The first day, `2026-11-21`."""
    until: str = ""
    """The last day."""

    @classmethod
    def read(cls, form: Mapping[str, str]) -> Search:
        """Take it out of a form. What cannot be seen is left out, since the page does not give it back as it came."""
        typed = {name: _line(form.get(name, "")) for name in FIELDS}
        return cls(**typed | {"state": typed["state"] if typed["state"] in {*State} else ""})

    @property
    def fields(self) -> dict[str, str]:
        """What was typed, for the forms that go on from here."""
        return {name: value for name in FIELDS if (value := getattr(self, name))}

    @property
    def lead_id(self) -> str:
        """The id of the one lead that is looked for, whole or its second half; empty if it is none."""
        return self.who if stories.ID.fullmatch(self.who) else ""

    @property
    def is_dated(self) -> bool:
        """Whether its days, where there are any, are days; a browser's own field for them sends nothing else."""
        with contextlib.suppress(ValueError):
            return all(date.fromisoformat(day) for day in (self.since, self.until) if day)
        return False

    @property
    def is_detailed(self) -> bool:
        """Whether more was asked for than the one field that always shows."""
        return bool(set(self.fields) - {"who"})


def _line(text: str) -> str:
    return " ".join("".join(letter for letter in text if letter.isprintable() or letter.isspace()).split())[:TEXT_LIMIT]


def results(
    app: App, search: Search, now: datetime, zone: tzinfo, *, limit: int, cursor: str, revealed: bool
) -> dict[str, Any]:
    """What was found, as the template of lists needs it. Raises WrongCursor."""
    found = _found(app, search, now, zone, limit, cursor)
    return {
        "search": search,
        "leads": [ListedLead.of(summary, revealed=revealed) for summary in found.leads],
        "cursor": found.cursor,
        "begun": cursor,
        "looked_back_to": found.looked_back_to if found.cursor else None,
        "by_name": bool(search.who) and not email_key(search.who),
        "revealed": revealed,
    }


def _found(app: App, search: Search, now: datetime, zone: tzinfo, limit: int, cursor: str) -> listing.Listed:
    destination, state = search.destination, search.state
    since, until = _day(search.since, zone), _day(search.until, zone)
    # As a whole a lead stands as its worst delivery does; at one destination it may stand otherwise.
    narrow = state if not destination or state in (State.OPEN, State.DEAD) else ""

    def chosen(states: Mapping[str, str]) -> bool:
        return destination in states and state in ("", states[destination])

    address = bool(email_key(search.who))
    return listing.listing(
        app,
        now=now,
        state=narrow or None,
        offer=search.offer or None,
        since=since,
        until=until + timedelta(days=1) if until else None,
        customer=search.who if address else None,
        words="" if address else search.who,
        chosen=chosen if destination else None,
        limit=limit,
        reads=READ,
        cursor=cursor,
    )


def _day(text: str, zone: tzinfo) -> datetime | None:
    """The midnight with which a day begins on the clocks of `zone`; None without any."""
    if not text:
        return None
    return datetime.combine(min(max(date.fromisoformat(text), FIRST), LAST), time(), zone)
