"""Which leads there are: the newest first, out of the journal, with what each of them holds.

One call reads a bounded number of rows, however much there is, and says how far it looked; a cursor goes on from there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from leads.app import App
from leads.intake.contact import email_key
from leads.lead import Attempt, Delivery, Lead, Outcome, State, Via
from leads.store.ledger import CHANGED, COUNTED, HISTORY_LIMIT, DayLine, Line, worst
from leads.store.rows import time_text

SLICE = 5000
"""Lines of the journal that are put in order of arrival at once: the leads of a day, as a rule all of them."""
LINES_PER_CALL = 10_000
"""Lines of the journal after which a call ends."""
FOLDED = 1000
"""Characters of a text that are looked through for words."""
LEADS_PER_CALL = 500
"""Leads that a call reads, beyond those that it gives."""

_FIRST_OPEN, _OPEN, _DEAD, _OF_CUSTOMER = "first", "open", "dead", "customer"
_END = "~"
"""Where a partition that was looked at whole goes on: it sorts behind every lead id."""
_CUSTOMER = re.compile(r"[0-9a-f]{16}")
_CURSOR = re.compile(
    r"(first|open|dead|customer|\d{4}-\d{2}-\d{2})/([0-9a-f-]{33}|~|)/(\d{4}-\d{2}-\d{2}T[\d:.]{15}Z [0-9a-f-]{33}|)"
)


@dataclass(frozen=True, slots=True)
class Summary:
    """A lead and how it stands, for lists. Where the intake has not finished, `lead` holds little but its id."""

    lead: Lead
    deliveries: tuple[Delivery, ...]

    @property
    def state(self) -> State:
        """How the lead stands: as its worst delivery does. One that has no delivery yet is open.

        One that a route sent to nobody has none for good, and is skipped.
        """
        if not self.deliveries and self.lead.route:
            return State.SKIPPED
        return worst([delivery.state for delivery in self.deliveries])

    @property
    def trouble(self) -> Attempt | None:
        """The newest attempt that failed, of deliveries that are not delivered."""
        failed = [
            delivery.last
            for delivery in self.deliveries
            if delivery.state in (State.OPEN, State.DEAD) and delivery.last and delivery.last.outcome != Outcome.OK
        ]
        return max(failed, key=lambda attempt: attempt.at, default=None)


@dataclass(frozen=True, slots=True)
class Listed:
    """A stretch of a list."""

    leads: tuple[Summary, ...]
    cursor: str = ""
    """Where the next call goes on; empty where there is nothing left to look at."""
    looked_back_to: datetime | None = None
    """Every lead that arrived since then was looked at; None where every lead was, or where they are not in order of
    arrival beyond the first `SLICE`."""


class WrongCursor(ValueError):
    """The text is not a cursor from a list."""


Chosen = Callable[[Mapping[str, str]], bool]
"""Whether a lead is asked for, by the state of each of its deliveries; the keys are the destinations."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which leads are asked for."""

    state: State | None
    offer: str | None
    since: datetime | None
    chosen: Chosen | None
    until: datetime | None = None
    words: str = ""
    customer: str = ""
    """The first half of a lead id."""

    def may_be_met_by(self, line: DayLine) -> bool:
        """Whether a finished lead can be one, as far as its line shows, so that few leads are read in vain."""
        states = {name: state.value for name, state in line.states.items()}
        if not self.may_be(line):
            return False
        if self.state is not None and (self.state == State.OPEN or self.state not in states.values()):
            return False
        if self.chosen and not self.chosen(states):
            return False
        return self._is_offer(line.offer, line.offer_title)

    def is_met_by(self, summary: Summary) -> bool:
        """Whether a lead is one."""
        states = {delivery.destination: delivery.state.value for delivery in summary.deliveries}
        if not self.is_in_time(summary.lead.arrived_at) or not self._is_named(summary.lead):
            return False
        if not self._is_offer(summary.lead.offer, summary.lead.offer_title) or (
            self.chosen and not self.chosen(states)
        ):
            return False
        if self.state in (State.OPEN, State.DEAD):
            return summary.state == self.state or self.state in states.values()
        return self.state is None or summary.state == self.state

    def may_be(self, line: Line | DayLine) -> bool:
        """Whether a lead can be one by its id and arrival, which every line tells."""
        return self.is_in_time(line.arrived_at) and line.lead_id.startswith(self.customer)

    def is_in_time(self, arrived_at: datetime) -> bool:
        """Whether a lead that arrived then can be one."""
        return (self.since is None or arrived_at >= self.since) and (self.until is None or arrived_at < self.until)

    def _is_offer(self, *names: str) -> bool:
        # What cannot be seen is a part of every name, and would choose all leads, also to be discarded.
        wanted = _folded(self.offer or "").strip()
        return not self.offer or (bool(wanted) and any(wanted in _folded(name) for name in names))

    def _is_named(self, lead: Lead) -> bool:
        if not self.words:
            return True
        contact = lead.contact
        named = " ".join(map(_folded, (contact.name, contact.company, contact.email)))
        return all(word in named for word in _folded(self.words).split())


def _folded(text: str) -> str:
    """Text without regard to case, accents and what cannot be seen: `Jose` finds `José`."""
    # Python sorts a stack of marks in quadratic time, and a search reads a hundred leads.
    letters = unicodedata.normalize("NFKD", text[:FOLDED].casefold())
    return "".join(each for each in letters if not unicodedata.combining(each) and unicodedata.category(each)[0] != "C")


@dataclass(frozen=True, slots=True)
class _At:
    """A place in a list: a partition of the journal, a slice of it, and the last lead of it that was looked at."""

    partition: str = ""
    """A day, `dead`, or `open` for the open leads behind the first slice of them; empty for the beginning."""
    start: str = ""
    """The lead id with which the slice begins, or `_END`."""
    after: str = ""
    """Arrival and id of the last lead."""

    @classmethod
    def read(cls, cursor: str) -> _At:
        """The place in a cursor. Raises WrongCursor."""
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            raise WrongCursor("This cursor does not come from a list.")
        return cls(*match.groups())

    def text(self) -> str:
        """The cursor of the place; empty at the beginning."""
        return f"{self.partition}/{self.start}/{self.after}" if self.partition else ""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A lead that may be asked for."""

    lead_id: str
    arrived_at: datetime
    line: Line | None
    """Its open line, where it has one."""

    @property
    def order(self) -> str:
        """Text that sorts by arrival."""
        return _order(self.arrived_at, self.lead_id)


def listing(
    app: App,
    *,
    now: datetime,
    state: str | None = None,
    offer: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    customer: str | None = None,
    words: str = "",
    chosen: Chosen | None = None,
    limit: int = 50,
    reads: int | None = None,
    cursor: str = "",
) -> Listed:
    """The newest leads by arrival, newest first, from `cursor` on, as far as one call looks.

    `state` is `open` or `dead` (any delivery is), `delivered` or `skipped` (the lead stands so as a whole). `offer` is
    a part of the offer's title or id. `customer` is an e-mail address, or the first half of a lead id. `words` have to
    stand in the name, the company or the address, each in any of them; since the journal holds none of these, every
    lead must be read. Neither regards case and accents. `until` is when none arrived any more. `chosen` decides by
    where the lead's deliveries stand. `reads` is how many leads the call may read beyond those that it gives,
    `LEADS_PER_CALL` otherwise. Within a day of more than `SLICE` leads, and among more than that many dead or open
    ones, the order is by slices. Raises ValueError for another state, and WrongCursor.
    """
    wanted = _Wanted(State(state) if state else None, offer, since, chosen, until, words)
    at = _At.read(cursor) if cursor else _At()
    if at.partition == _OF_CUSTOMER and not customer:
        raise WrongCursor("This cursor is of another list.")
    if customer:
        wanted = replace(wanted, customer=customer_key(app, customer))
        known = _customers(app, wanted.customer) if at.partition in ("", _OF_CUSTOMER) else None
        if known is not None:
            return _stretch([summary for summary in known if wanted.is_met_by(summary)], limit, at)
    return _Walk(app, wanted, now, at, LEADS_PER_CALL if reads is None else reads).listed(limit)


def _stretch(found: Sequence[Summary], limit: int, at: _At) -> Listed:
    """Leads that are all read already, from a place on."""
    left = [summary for summary in found if not at.after or _order(summary.lead.arrived_at, summary.lead.id) < at.after]
    given, more = tuple(left[:limit]), left[limit:]
    if not more:
        return Listed(given)
    last = given[-1].lead
    following = _At(_OF_CUSTOMER, after=_order(last.arrived_at, last.id))
    return Listed(given, following.text(), more[0].lead.arrived_at)


def _order(arrived_at: datetime, lead_id: str) -> str:
    """Text that sorts by arrival."""
    return f"{time_text(arrived_at)} {lead_id}"


def customer_key(app: App, customer: str) -> str:
    """The first half of the lead ids of a customer, by e-mail address; empty where it is not an address."""
    if _CUSTOMER.fullmatch(customer):
        return customer
    key = email_key(customer)
    return app.identity.customer(key, "") if key else ""


def _customers(app: App, key: str) -> list[Summary] | None:
    """The leads of a customer, the newest first; None where they are too many to be read at once."""
    found = [Summary(case.lead, case.deliveries) for case in app.ledger.customer(key)] if key else []
    if sum(1 + len(summary.deliveries) for summary in found) >= HISTORY_LIMIT:
        return None
    return sorted(found, key=lambda summary: (summary.lead.arrived_at, summary.lead.id), reverse=True)


@dataclass
class _Walk:
    """Going through the journal: the newest day first, or the dead or the open ones."""

    app: App
    wanted: _Wanted
    now: datetime
    at: _At
    reads: int
    lines: int = 0
    """Lines read so far."""
    opened: dict[str, Line] = field(default_factory=dict)
    """The first slice of the open leads."""
    more_open: str = ""
    """Where the next slice of them begins."""

    def listed(self, limit: int) -> Listed:
        """Look until there are enough leads, or for as long as one call may."""
        found: list[Summary] = []
        read, last = 0, None
        for at, candidate in self._candidates():
            if candidate is None:
                if self.lines >= LINES_PER_CALL:
                    return Listed(tuple(found), at.text(), last)
                continue
            summary = self._summary(candidate)
            read += 1
            if summary is not None and self.wanted.is_met_by(summary):
                if len(found) == limit:
                    return Listed(tuple(found), self.at.text(), last)
                found.append(summary)
            self.at, last = at, candidate.arrived_at
            if read >= self.reads + limit:
                return Listed(tuple(found), at.text(), last)
        return Listed(tuple(found))

    def _candidates(self) -> Iterator[tuple[_At, _Candidate | None]]:
        """Candidates, each with its place; and with none the place of each slice that is to be read next."""
        self._read_open()
        begin = self.at
        for partition in self._partitions():
            start, after = (begin.start, begin.after) if partition == begin.partition else ("", "")
            if start == _END:
                continue
            while True:
                candidates, following = self._slice(partition, start)
                for candidate in candidates:
                    if not after or candidate.order < after:
                        yield _At(partition, start, candidate.order), candidate
                if not following:
                    break
                start, after = following, ""
                yield _At(partition, start), None
            yield _At(partition, _END), None

    def _read_open(self) -> None:
        lines = list(islice(self.app.ledger.open_lines(), SLICE + 1))
        self.lines += len(lines)
        if len(lines) > SLICE:
            self.more_open = lines.pop().lead_id
        self.opened = {line.lead_id: line for line in lines}

    def _partitions(self) -> Iterator[str]:
        """What there is to look at from the present place on."""
        if self.at.partition != _OPEN:
            if self.wanted.state == State.OPEN:
                yield _FIRST_OPEN
            elif self.wanted.state == State.DEAD:
                yield _DEAD
            else:
                yield from self._days()
        if self.more_open:
            yield _OPEN

    def _days(self) -> Iterator[str]:
        """The days that have leads, from the newest on. Where a day is not counted yet, it is noted as changed."""
        newest = self.at.partition or (f"{self.wanted.until.astimezone(UTC):%Y-%m-%d}" if self.wanted.until else "~")
        oldest = f"{self.wanted.since.astimezone(UTC):%Y-%m-%d}" if self.wanted.since else ""
        near = max(oldest, f"{self.now - timedelta(days=92):%Y-%m-%d}")
        other = {row.key.removeprefix(f"{CHANGED}day:") for row in self.app.ledger.changes("day:")}
        other |= {line.day for line in self.opened.values()}
        if newest >= near:
            yield from self._known_days(near, newest, other)
        if oldest < near:
            before = f"{datetime.fromisoformat(near) - timedelta(days=1):%Y-%m-%d}"
            yield from self._known_days(oldest, min(newest, before), other)

    def _known_days(self, first: str, last: str, other: Iterable[str]) -> Iterator[str]:
        counted = {row.key.removeprefix(COUNTED) for row in self.app.ledger.day_counts(first, last)}
        self.lines += len(counted)
        yield from sorted({day for day in {*counted, *other} if first <= day <= last}, reverse=True)

    def _slice(self, partition: str, start: str) -> tuple[list[_Candidate], str]:
        """The leads of a slice, the newest first, and where the next slice begins."""
        following = ""
        opened = {} if start else {each.lead_id: each for each in self.opened.values() if self._is_in(partition, each)}
        finished: list[DayLine] = []
        if partition == _OPEN:
            lines = list(islice(self.app.ledger.open_lines(start or self.more_open), SLICE + 1))
            self.lines += len(lines)
            following = lines.pop().lead_id if len(lines) > SLICE else ""
            opened = {line.lead_id: line for line in lines}
        elif partition != _FIRST_OPEN:
            ledger = self.app.ledger
            rows = ledger.dead_lines(start) if partition == _DEAD else ledger.day_lines(partition, start)
            finished = list(islice(rows, SLICE + 1))
            self.lines += len(finished)
            following = finished.pop().lead_id if len(finished) > SLICE else ""
        # A replayed lead has both lines, and the open one is the newer.
        candidates = [
            _Candidate(line.lead_id, line.arrived_at, None)
            for line in finished
            if line.lead_id not in self.opened and self.wanted.may_be_met_by(line)
        ]
        candidates += [
            _Candidate(line.lead_id, line.arrived_at, line) for line in opened.values() if self.wanted.may_be(line)
        ]
        return sorted(candidates, key=lambda each: each.order, reverse=True), following

    def _is_in(self, partition: str, line: Line) -> bool:
        return partition in (_FIRST_OPEN, _DEAD) or partition == line.day

    def _summary(self, candidate: _Candidate) -> Summary | None:
        if candidate.line is None and self.more_open and self.app.ledger.open_line(candidate.lead_id):
            return None  # It was replayed, and comes with the open ones.
        case = self.app.ledger.case(candidate.lead_id)
        if case:
            return Summary(case.lead, case.deliveries)
        if candidate.line is None:
            return None
        at = candidate.arrived_at
        return Summary(Lead(Via.HTTPS, at, at, id=candidate.lead_id, raw=candidate.line.raw), ())
