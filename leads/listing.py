"""Which leads there are: the newest first, out of the journal, with what each of them holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from leads.app import App
from leads.contact import email_key
from leads.lead import Attempt, Delivery, Lead, Outcome, State, Via
from leads.ledger import Line
from leads.rows import time_read
from leads.store import Row

DAYS = 31
"""Days that are read one by one before all that is older is read at once."""

_CUSTOMER = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Summary:
    """A lead and how it stands, for lists. Where the intake has not finished, `lead` holds little but its id."""

    lead: Lead
    deliveries: tuple[Delivery, ...]

    @property
    def state(self) -> State:
        """How the lead stands: as its worst delivery does. One that has no delivery yet is open."""
        states = {delivery.state for delivery in self.deliveries}
        worst = (state for state in (State.DEAD, State.OPEN, State.DELIVERED, State.SKIPPED) if state in states)
        return next(worst, State.OPEN)

    @property
    def trouble(self) -> Attempt | None:
        """The newest attempt that failed, of deliveries that are not delivered."""
        failed = [
            delivery.last
            for delivery in self.deliveries
            if delivery.state in (State.OPEN, State.DEAD) and delivery.last and delivery.last.outcome != Outcome.OK
        ]
        return max(failed, key=lambda attempt: attempt.at, default=None)


def listing(
    app: App,
    *,
    now: datetime,
    state: str | None = None,
    offer: str | None = None,
    since: datetime | None = None,
    customer: str | None = None,
    limit: int = 50,
) -> list[Summary]:
    """The newest leads by arrival, newest first.

    `state` is `open` or `dead` (any delivery is), `delivered` or `skipped` (the lead stands so as a whole). `offer` is
    a part of the offer's title or id, without regard to case. `customer` is an e-mail address, or the first half of a
    lead id. Raises ValueError for another state.
    """
    wanted = State(state) if state else None
    found: list[Summary] = []
    for summary in _customers(app, customer) if customer else _newest(app, wanted, offer, since, now):
        if (since is None or summary.lead.arrived_at >= since) and _meets(summary, wanted, offer):
            found.append(summary)
            if len(found) >= limit:
                break
    return found


def customer_key(app: App, customer: str) -> str:
    """The first half of the lead ids of a customer, by e-mail address; empty where it is no address."""
    if _CUSTOMER.fullmatch(customer):
        return customer
    key = email_key(customer)
    return app.identity.customer(key, "") if key else ""


def _customers(app: App, customer: str) -> list[Summary]:
    cases = app.ledger.history(customer_key(app, customer))
    found = [Summary(case.lead, case.deliveries) for case in cases]
    return sorted(found, key=lambda summary: (summary.lead.arrived_at, summary.lead.id), reverse=True)


def _newest(
    app: App, state: State | None, offer: str | None, since: datetime | None, now: datetime
) -> Iterator[Summary]:
    """Leads by arrival, newest first, without those that the journal alone shows not to be asked for."""
    floor = now - timedelta(days=DAYS)
    opened = {line.lead_id: line for line in app.ledger.open_lines()}
    day = now + timedelta(days=1)
    while day.date() >= (max(since, floor) if since else floor).date():
        yield from _read(app, app.ledger.day_lines(f"{day:%Y-%m-%d}"), opened, state, offer, f"{day:%Y-%m-%d}")
        day -= timedelta(days=1)
    if since is None or since < floor:
        before = f"{day + timedelta(days=1):%Y-%m-%d}"
        yield from _read(app, app.ledger.day_lines_before(before), opened, state, offer, "")


def _read(
    app: App, rows: Iterator[Row], opened: dict[str, Line], state: State | None, offer: str | None, day: str
) -> Iterator[Summary]:
    """The leads of one day, or with no `day` of all lines that are left."""
    lines = {lead_id: line for lead_id, line in opened.items() if not day or f"{line.arrived_at:%Y-%m-%d}" == day}
    for lead_id in lines:
        del opened[lead_id]
    arrived = {lead_id: line.arrived_at for lead_id, line in lines.items()}
    for row in rows:
        # A replayed lead has both lines, and the open one is the newer.
        at = time_read(row.values.get("arrived_at"))
        if at and row.key not in arrived and _may_meet(row, state, offer):
            arrived[row.key] = at
    for lead_id, at in sorted(arrived.items(), key=lambda item: (item[1], item[0]), reverse=True):
        case = app.ledger.case(lead_id)
        if case:
            yield Summary(case.lead, case.deliveries)
        elif lead_id in lines:
            yield Summary(Lead(Via.HTTPS, at, at, id=lead_id, raw=lines[lead_id].raw), ())


def _may_meet(row: Row, state: State | None, offer: str | None) -> bool:
    """Whether a finished lead can meet the filters, as far as its line tells, so that few leads are read in vain."""
    states = [value for name, value in row.values.items() if name.startswith("to_")]
    if state is not None and (state == State.OPEN or state not in states):
        return False
    names = (str(row.values.get(name, "")) for name in ("offer", "offer_id"))
    return not offer or any(offer.casefold() in name.casefold() for name in names)


def _meets(summary: Summary, state: State | None, offer: str | None) -> bool:
    if offer and not any(
        offer.casefold() in name.casefold() for name in (summary.lead.offer, summary.lead.offer_title)
    ):
        return False
    if state in (State.OPEN, State.DEAD):
        return summary.state == state or any(delivery.state == state for delivery in summary.deliveries)
    return state is None or summary.state == state
