"""Send a lead again: its finished deliveries are opened, and the way of every delivery does the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from leads import enabled, log
from leads.app import App
from leads.delivery import is_claimed
from leads.errors import Misconfigured
from leads.lead import Delivery, State
from leads.store.ledger import LEADS, Case, DayLine, Line
from leads.store.protocol import Changed, Exists
from leads.store.rows import delivery_row


def replay(app: App, lead_id: str, destination: str | None, now: datetime) -> int:
    """Open finished deliveries of a lead again, and return how many.

    With a destination it is that one, also where the lead never had a delivery to it; else those that died, or all
    finished ones where none did. What is open already is left alone, and so is a destination that was removed: there a
    delivery would only wait and die. Raises Misconfigured where nothing but such a one is asked for.
    """
    case = app.ledger.case(lead_id)
    if case is None:
        return 0
    missing = False
    if destination is not None:
        require(app, destination)
        held = [d for d in case.deliveries if d.destination == destination and d.state != State.OPEN]
        missing = not any(d.destination == destination for d in case.deliveries)
    else:
        finished = [d for d in case.deliveries if d.state != State.OPEN]
        wanted = [d for d in finished if d.state == State.DEAD] or finished
        held = [d for d in wanted if d.destination in app.destinations]
        if wanted and not held:
            require(app, wanted[0].destination)
    if not held and not missing:
        return 0
    opened: list[str] = []
    with opening(app, case, now):
        opened += [d.destination for d in held if _reopen(app, d, now)]
        if destination is not None and missing and add(app, lead_id, destination, now, replayed=True):
            opened.append(destination)
    if any(d.state == State.DEAD for d in held):
        _take_back(app, lead_id, now)
    for name in opened:
        log.event("replayed", lead=lead_id, destination=name)
        app.ring(lead_id, name)
    return len(opened)


@contextmanager
def opening(app: App, case: Case, now: datetime) -> Iterator[None]:
    """Keep a finished lead's open line from being closed while deliveries of it are opened or added.

    The line is written before: the sweep does not close it for half an hour, and by then whatever read the lead while
    it still was finished has ended. It is written again behind, since this process may have slept meanwhile.
    """
    line = Line(case.lead.id, case.lead.raw, case.lead.arrived_at, replayed_at=now)
    app.ledger.change(f"day:{line.day}", now)
    app.ledger.open(line)
    yield
    app.ledger.open(line)


def _take_back(app: App, lead_id: str, now: datetime) -> None:
    """What was dead is no longer, as far as it is on its way again; the sweep sets right what a crash leaves."""
    case = app.ledger.case(lead_id)
    if case is not None:
        app.ledger.keep_dead(DayLine.of(case), now)


def require(app: App, destination: str) -> None:
    """Raise Misconfigured for a destination that no lead goes to."""
    if destination not in app.destinations:
        raise Misconfigured(
            f"LEADS_DESTINATIONS has no {destination!r}.",
            f"Add it there first. There are {', '.join(enabled.names())}.",
        )


def hurry(app: App, lead_id: str, destination: str | None, now: datetime) -> int:
    """Make the next attempt of a lead's open deliveries, or of the one to a destination, now; returns of how many.

    It is for when somebody removed the cause and the schedule would wait. An attempt that is under way or due is left
    alone.
    """
    case = app.ledger.case(lead_id)
    hurried = 0
    for delivery in case.deliveries if case else ():
        waits = delivery.state == State.OPEN and delivery.next_at > now and not is_claimed(delivery, now)
        if not waits or destination not in (None, delivery.destination):
            continue
        try:
            app.ledger.save(replace(delivery, next_at=now))
        except Changed:
            continue  # A process is working on it just now.
        app.ring(lead_id, delivery.destination)
        hurried += 1
    return hurried


def _reopen(app: App, delivery: Delivery, now: datetime) -> bool:
    current: Delivery | None = delivery
    while current is not None and current.state != State.OPEN:
        opened = replace(
            current,
            state=State.OPEN,
            next_at=now,
            tries=0,
            claimed_until=None,
            rung_at=None,
            alerted_at=None,
            finished_at=None,
            reason="",
            replayed=True,
        )
        try:
            app.ledger.save(opened)
        except Changed:
            current = app.ledger.delivery(delivery.lead_id, delivery.destination)
        else:
            return True
    return False


def add(app: App, lead_id: str, destination: str, now: datetime, *, replayed: bool = False) -> bool:
    """Add an open delivery to a lead whose line is kept open; False where it has one to that destination.

    `replayed` says that an operator asked for this destination by its name.
    """
    try:
        app.store.insert(
            LEADS, delivery_row(Delivery(lead_id, destination, State.OPEN, next_at=now, replayed=replayed))
        )
    except Exists:
        return False
    return True
