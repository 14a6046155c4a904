"""How many leads came on each day and where they stand: from what the sweep counted, and what is open and new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice

from leads.app import App
from leads.lead import Attempt, Outcome, State
from leads.operate.page.chart import Day
from leads.store.ledger import CHANGED, SWEEP, Case, DayLine, Line, worst
from leads.store.protocol import Value
from leads.sweep import counting
from leads.sweep import days as of_days
from leads.sweep.cycle import Cycle, figures

DAYS = 30
OPEN_LISTED = 1000
"""Open lines that are listed: one page of storage. Where there are more, the sweep's figures say how many."""
OPEN_READ = 100
"""Open leads that are read one by one to see where they wait; the others only count as open."""
DEAD_READ = 1000
"""Lines of dead leads that are read for the newest of each destination."""
NEW_READ = 2000
"""Finished leads that are counted here, of days that changed since the sweep counted them, the newest first."""


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
    came: of_days.Counts
    """All leads of these days by destination, offer, country and stage, with the time deliveries took: the finished
    ones and, of those that are open, the first `OPEN_READ`."""
    opened: tuple[int | None, ...]
    """The most leads that were open at once on each of `days`; None where the sweep kept nothing of it."""


@dataclass
class _Gathered:
    days: dict[date, Counter[State]]
    places: dict[str, Place]
    came: of_days.Counts = field(default_factory=of_days.Counts)


def count(app: App, now: datetime) -> Counts:
    """Count, with a bounded number of rows however much there is."""
    first = now.date() - timedelta(days=DAYS - 1)
    got = _Gathered(
        {first + timedelta(days=n): Counter() for n in range(DAYS)}, {name: Place(name) for name in app.destinations}
    )
    lines = list(islice(app.ledger.open_lines(), OPEN_LISTED + 1))
    waiting = sum(_count_open(app, line, got) for line in lines[:OPEN_READ])
    sweep = app.ledger.note(SWEEP)
    unread = _count_unread(sweep.values, lines, got)
    by_day = _finished(app, f"{first:%Y-%m-%d}", f"{now:%Y-%m-%d}", {line.lead_id for line in lines})
    for day, counts in by_day.items():
        got.came.add(counts)
        got.days[date.fromisoformat(day)] += counts.leads
        for name, place in counts.places.items():
            got.places.setdefault(name, Place(name)).states += place.states
    for line in islice(app.ledger.dead_lines(), DEAD_READ):
        _find_newest(line, got)
    for shown in got.places.values():
        _find_trouble(app, shown)
    made = tuple(
        Day(day, states[State.DELIVERED], states[State.OPEN], states[State.DEAD], states[State.SKIPPED])
        for day, states in got.days.items()
    )
    opened = _opened(sweep.values, got.days, now.date(), waiting + unread)
    return Counts(made, tuple(got.places.values()), waiting + unread, unread, got.came, opened)


def _opened(kept: Mapping[str, Value], days: Iterable[date], today: date, now_open: int) -> tuple[int | None, ...]:
    most = counting.opened(kept)
    # What waits now may wait for the first time since the sweep looked.
    most[f"{today:%Y-%m-%d}"] = max(most.get(f"{today:%Y-%m-%d}", 0), now_open)
    return tuple(most.get(f"{day:%Y-%m-%d}") for day in days)


def _finished(app: App, first: str, last: str, opened: set[str]) -> Mapping[str, of_days.Counts]:
    """The counts of each day. What changed since the sweep counted it is counted here, as far as that is little."""
    known = dict(map(of_days.read, app.ledger.day_counts(first, last)))
    changed = (row.key.removeprefix(f"{CHANGED}day:") for row in app.ledger.changes("day:"))
    left = NEW_READ
    for day in sorted((day for day in changed if first <= day <= last), reverse=True):
        lines = list(islice(app.ledger.day_lines(day), left + 1))
        left -= len(lines)
        if left < 0:
            break
        # A replayed lead has both lines, and the open one is the newer.
        known[day] = of_days.count(line for line in lines if line.lead_id not in opened)
    return known


def _count_open(app: App, line: Line, got: _Gathered) -> bool:
    """Count a lead that has an open line, and say whether a delivery of it is open."""
    case: Case | None = app.ledger.case(line.lead_id)
    deliveries = case.deliveries if case else ()
    stands = worst([delivery.state for delivery in deliveries])
    if line.arrived_at.date() in got.days:
        got.days[line.arrived_at.date()][stands] += 1
        if case:
            got.came.add(of_days.count([DayLine.of(case)]))
    for delivery in deliveries:
        place = got.places.setdefault(delivery.destination, Place(delivery.destination))
        place.states[delivery.state] += 1
        if delivery.state == State.DEAD:
            place.newest_dead = max(
                place.newest_dead or (line.arrived_at, line.lead_id), (line.arrived_at, line.lead_id)
            )
        last = delivery.last
        if delivery.state == State.OPEN and last and last.outcome != Outcome.OK:
            place.trouble = max(place.trouble or last, last, key=lambda attempt: attempt.at)
    return not deliveries or any(delivery.state == State.OPEN for delivery in deliveries)


def _count_unread(kept: Mapping[str, Value], lines: Sequence[Line], got: _Gathered) -> int:
    """Count the open leads that are not read one by one, and say how many they are."""
    if len(lines) <= OPEN_LISTED:
        rest = lines[OPEN_READ:]
        by_day = Counter(line.arrived_at.date() for line in rest)
        unread = len(rest)
    else:
        whole = figures(kept.get("figures")) or Cycle("")
        by_day = Counter({date.fromisoformat(day): n for day, n in whole.arrived.items()})
        by_day -= Counter(line.arrived_at.date() for line in lines[:OPEN_READ])
        # The first look at a great many may not have ended.
        unread = max(whole.open, len(lines)) - OPEN_READ
    for day, number in by_day.items():
        if day in got.days:
            got.days[day][State.OPEN] += number
    return unread


def _find_newest(line: DayLine, got: _Gathered) -> None:
    for name, state in line.states.items():
        if state == State.DEAD:
            place = got.places.setdefault(name, Place(name))
            place.newest_dead = max(place.newest_dead or (line.arrived_at, ""), (line.arrived_at, line.lead_id))


def _find_trouble(app: App, place: Place) -> None:
    """What the newest lead died of, where nothing newer is in the way."""
    if place.newest_dead is None:
        return
    delivery = app.ledger.delivery(place.newest_dead[1], place.name)
    last = delivery.last if delivery and delivery.state == State.DEAD else None
    if last and last.outcome != Outcome.OK and (place.trouble is None or place.trouble.at < last.at):
        place.trouble = last
