"""How many leads came on each day and where they stand, counted from the journal without reading the finished ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice

from leads.app import App
from leads.lead import Attempt, Outcome, State
from leads.operate.page.chart import Day
from leads.store.ledger import Line
from leads.store.rows import time_read

DAYS = 30
OPEN_READ = 100
"""Open leads that are read one by one to see where they wait; the others only count as open."""

_WORST = (State.DEAD, State.OPEN, State.DELIVERED, State.SKIPPED)


@dataclass
class Place:
    """One destination: its deliveries by state, and its newest trouble."""

    name: str
    states: Counter[State] = field(default_factory=Counter)
    trouble: Attempt | None = None
    newest_dead: tuple[datetime, str] | None = None
    """When the newest lead that died here arrived, and its id."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What came in the last `DAYS` days, and all that is open, however old."""

    days: tuple[Day, ...]
    """Oldest first; the last is today (UTC)."""
    places: tuple[Place, ...]
    """In the order of LEADS_DESTINATIONS; after them those that are no longer in it."""
    open: int
    """Leads with a delivery that is open, as their list has them: one that the sweep has yet to close is none."""
    unread: int
    """Open leads beyond `OPEN_READ`, which no place counts."""


def count(app: App, now: datetime) -> Counts:
    """Count, with one query a day and one an open lead."""
    first = now.date() - timedelta(days=DAYS - 1)
    days = {first + timedelta(days=n): Counter[State]() for n in range(DAYS)}
    places = {name: Place(name) for name in app.settings.destinations}
    lines = list(app.ledger.open_lines())
    opened = {line.lead_id for line in lines}
    waiting = sum(_count_open(app, line, days, places) for line in islice(lines, OPEN_READ))
    for line in lines[OPEN_READ:]:
        _count_lead(days, line.arrived_at, [State.OPEN])
    for day in days:
        for row in app.ledger.day_lines(f"{day:%Y-%m-%d}"):
            at = time_read(row.values.get("arrived_at"))
            if at is None or row.key in opened:
                continue  # A replayed lead has both lines, and the open one is the newer.
            states = {name[3:]: State(str(value)) for name, value in row.values.items() if name.startswith("to_")}
            _count_lead(days, at, states.values())
            for name, state in states.items():
                _count_delivery(places, name, state, at, row.key)
    for place in places.values():
        _find_trouble(app, place)
    made = tuple(
        Day(day, states[State.DELIVERED], states[State.OPEN], states[State.DEAD], states[State.SKIPPED])
        for day, states in days.items()
    )
    unread = max(0, len(lines) - OPEN_READ)
    return Counts(made, tuple(places.values()), waiting + unread, unread)


def _count_open(app: App, line: Line, days: dict[date, Counter[State]], places: dict[str, Place]) -> bool:
    """Count a lead that has an open line, and say whether a delivery of it is open."""
    case = app.ledger.case(line.lead_id)
    deliveries = case.deliveries if case else ()
    states = [delivery.state for delivery in deliveries] or [State.OPEN]
    _count_lead(days, line.arrived_at, states)
    for delivery in deliveries:
        place = _count_delivery(places, delivery.destination, delivery.state, line.arrived_at, line.lead_id)
        last = delivery.last
        if delivery.state != State.OPEN or last is None or last.outcome == Outcome.OK:
            continue
        if place.trouble is None or place.trouble.at < last.at:
            place.trouble = last
    return State.OPEN in states


def _count_lead(days: dict[date, Counter[State]], arrived_at: datetime, states: Iterable[State]) -> None:
    """A lead stands as its worst delivery does."""
    there = set(states)
    if arrived_at.date() in days:
        days[arrived_at.date()][next((state for state in _WORST if state in there), State.OPEN)] += 1


def _count_delivery(places: dict[str, Place], name: str, state: State, at: datetime, lead_id: str) -> Place:
    place = places.setdefault(name, Place(name))
    place.states[state] += 1
    if state == State.DEAD:
        place.newest_dead = max(place.newest_dead or (at, lead_id), (at, lead_id))
    return place


def _find_trouble(app: App, place: Place) -> None:
    """What the newest lead died of, where nothing newer is in the way."""
    if place.newest_dead is None:
        return
    delivery = app.ledger.delivery(place.newest_dead[1], place.name)
    last = delivery.last if delivery else None
    if last and last.outcome != Outcome.OK and (place.trouble is None or place.trouble.at < last.at):
        place.trouble = last
