"""Which leads there are: the newest first, out of the journal, with what each of them holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from leads.app import App
from leads.intake.contact import email_key
from leads.lead import Attempt, Delivery, Lead, Outcome, State, Via
from leads.store.ledger import Line
from leads.store.protocol import Row
from leads.store.rows import time_read

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


Chosen = Callable[[Mapping[str, str]], bool]
"""Whether a lead is asked for, by the state of each of its deliveries; the keys are the destinations."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which leads are asked for."""

    state: State | None
    offer: str | None
    chosen: Chosen | None

    def may_be_met_by(self, row: Row) -> bool:
        """Whether a finished lead can be one, as far as its line tells, so that few leads are read in vain."""
        states = {name[3:]: str(value) for name, value in row.values.items() if name.startswith("to_")}
        if self.state is not None and (self.state == State.OPEN or self.state not in states.values()):
            return False
        if self.chosen and not self.chosen(states):
            return False
        return self._is_offer(*(str(row.values.get(name, "")) for name in ("offer", "offer_id")))

    def is_met_by(self, summary: Summary) -> bool:
        """Whether a lead is one."""
        states = {delivery.destination: delivery.state.value for delivery in summary.deliveries}
        if not self._is_offer(summary.lead.offer, summary.lead.offer_title) or (
            self.chosen and not self.chosen(states)
        ):
            return False
        if self.state in (State.OPEN, State.DEAD):
            return summary.state == self.state or self.state in states.values()
        return self.state is None or summary.state == self.state

    def _is_offer(self, *names: str) -> bool:
        return not self.offer or any(self.offer.casefold() in name.casefold() for name in names)


def listing(
    app: App,
    *,
    now: datetime,
    state: str | None = None,
    offer: str | None = None,
    since: datetime | None = None,
    customer: str | None = None,
    chosen: Chosen | None = None,
    limit: int = 50,
) -> list[Summary]:
    """The newest leads by arrival, newest first.

    `state` is `open` or `dead` (any delivery is), `delivered` or `skipped` (the lead stands so as a whole). `offer` is
    a part of the offer's title or id, without regard to case. `customer` is an e-mail address, or the first half of a
    lead id. `chosen` decides by where the lead's deliveries stand. Raises ValueError for another state.
    """
    wanted = _Wanted(State(state) if state else None, offer, chosen)
    found: list[Summary] = []
    for summary in _customers(app, customer) if customer else _newest(app, wanted, since, now):
        if (since is None or summary.lead.arrived_at >= since) and wanted.is_met_by(summary):
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
    cases = app.ledger.customer(customer_key(app, customer))
    found = [Summary(case.lead, case.deliveries) for case in cases]
    return sorted(found, key=lambda summary: (summary.lead.arrived_at, summary.lead.id), reverse=True)


def _newest(app: App, wanted: _Wanted, since: datetime | None, now: datetime) -> Iterator[Summary]:
    """Leads by arrival, newest first, without those that the journal alone shows not to be asked for."""
    floor = now - timedelta(days=DAYS)
    opened = {line.lead_id: line for line in app.ledger.open_lines()}
    day = now + timedelta(days=1)
    while day.date() >= (max(since, floor) if since else floor).date():
        yield from _read(app, app.ledger.day_lines(f"{day:%Y-%m-%d}"), opened, wanted, f"{day:%Y-%m-%d}")
        day -= timedelta(days=1)
    if since is None or since < floor:
        before = f"{day + timedelta(days=1):%Y-%m-%d}"
        yield from _read(app, app.ledger.day_lines_before(before), opened, wanted, "")


def _read(app: App, rows: Iterator[Row], opened: dict[str, Line], wanted: _Wanted, day: str) -> Iterator[Summary]:
    """The leads of one day, or with no `day` of all lines that are left."""
    lines = {lead_id: line for lead_id, line in opened.items() if not day or f"{line.arrived_at:%Y-%m-%d}" == day}
    for lead_id in lines:
        del opened[lead_id]
    arrived = {lead_id: line.arrived_at for lead_id, line in lines.items()}
    for row in rows:
        # A replayed lead has both lines, and the open one is the newer.
        at = time_read(row.values.get("arrived_at"))
        if at and row.key not in arrived and wanted.may_be_met_by(row):
            arrived[row.key] = at
    for lead_id, at in sorted(arrived.items(), key=lambda item: (item[1], item[0]), reverse=True):
        case = app.ledger.case(lead_id)
        if case:
            yield Summary(case.lead, case.deliveries)
        elif lead_id in lines:
            yield Summary(Lead(Via.HTTPS, at, at, id=lead_id, raw=lines[lead_id].raw), ())
