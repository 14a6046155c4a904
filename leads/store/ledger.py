"""What is known of each lead, in the four tables `events`, `leads`, `journal` and `state`, and in the blobs `raw`."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from leads.errors import Misconfigured
from leads.lead import COUNTRIES, Delivery, Lead, Stage, State, Via, halves
from leads.store.identity import Identity
from leads.store.protocol import Changed, Exists, Row, Store, Value
from leads.store.rows import delivery_row, is_delivery, lead_row, read_delivery, read_lead, time_read, time_text

EVENTS, LEADS, JOURNAL, STATE = "events", "leads", "journal", "state"
RAW, QUARANTINE = "raw", "quarantine"
OPEN, DEAD = "open", "dead"
"""The partitions of the journal that are not days."""
ACCEPTED, BACKFILLED, UNREADABLE, GONE = "accepted", "backfilled", "unreadable", "gone"
SWEEP = "sweep"
"""The note of the sweep."""
CHANGED = "changed:"
"""How the names of the rows in `state` begin that say what the sweep has to look at; see `Ledger.change`."""
COUNTED = "day:"
"""What the names of the rows in `state` begin with that hold the counts of a day."""
HISTORY_PAGE = 100
"""Rows of a customer that a delivery reads whole."""
HISTORY_LIMIT = 1000
"""Rows of a customer that are read at all: one page of table storage."""
OTHERS_READ = 50
"""Other leads of a customer with more than a page that a delivery knows, the newest."""
LIGHT = (
    *("via", "arrived_at", "created_at", "source", "action", "offer", "offer_title", "stage"),
    *("is_test", "do_not_contact", "contact_withheld", "first_name", "last_name", "email", "company"),
    *("state", "next_at", "remote_id", "attempt_count"),
)
"""The columns of leads and deliveries that are read of the other leads of such a customer."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An event that was seen before, and as which lead."""

    lead_id: str
    raw: str = ""
    fate: str = ACCEPTED
    """`accepted`; `gone` after purge or `forget`. Two became no lead: `backfilled` is a row older than the app,
    `unreadable` is what a bug of ours keeps in quarantine."""
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """An open line of the journal."""

    lead_id: str
    raw: str
    arrived_at: datetime
    replayed_at: datetime | None = None
    """When a replay wrote it."""
    etag: str = ""

    @property
    def day(self) -> str:
        """The day of arrival: `2026-11-21`."""
        return f"{self.arrived_at:%Y-%m-%d}"


@dataclass(frozen=True, slots=True)
class Case:
    """A lead with all its deliveries."""

    lead: Lead
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class History:
    """A lead, and what else its customer did."""

    case: Case | None
    others: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class DayLine:
    """What the journal keeps of a finished lead under the day of its arrival, and of a dead one once more.

    It holds no personal data. The states are JSON in one column: a property's name is an identifier on Azure, and the
    name of a destination is not always one.
    """

    lead_id: str
    raw: str
    arrived_at: datetime
    states: Mapping[str, State]
    """How each delivery stands, by destination."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """From arrival to delivered, by destination; not where an operator replayed it, which is long by nature."""
    stage: Stage = Stage.UNKNOWN
    offer: str = ""
    offer_title: str = ""
    country: str = ""
    """ISO 3166-1 alpha-2, or empty."""
    is_test: bool = False

    @classmethod
    def of(cls, case: Case, raw: str = "") -> Self:
        """The line of a lead as it stands."""
        lead, country = case.lead, case.lead.contact.country
        took = {
            each.destination: round((each.finished_at - lead.arrived_at).total_seconds(), 3)
            for each in case.deliveries
            if each.state == State.DELIVERED and each.finished_at and not each.replayed
        }
        return cls(
            lead_id=lead.id,
            raw=raw or lead.raw,
            arrived_at=lead.arrived_at,
            states={each.destination: each.state for each in case.deliveries},
            seconds=took,
            stage=lead.stage,
            offer=lead.offer[:100],
            offer_title=lead.offer_title[:100],
            country=country if country in COUNTRIES else "",
            is_test=lead.is_test,
        )

    @property
    def day(self) -> str:
        """The day of arrival: `2026-11-21`."""
        return f"{self.arrived_at:%Y-%m-%d}"

    @property
    def dead(self) -> int:
        """How many of its deliveries are dead."""
        return sum(state == State.DEAD for state in self.states.values())


def worst(states: Iterator[State] | Sequence[State]) -> State:
    """How a lead stands: as its worst delivery does. One that has no delivery yet is open."""
    there = set(states)
    order = (State.DEAD, State.OPEN, State.DELIVERED, State.SKIPPED)
    return next((state for state in order if state in there), State.OPEN)


class Ledger:
    """Reads and writes what is known; every write is idempotent or conditional."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def identity(self) -> Identity:
        """Read the id key, making it once in a deployment's life.

        Raises Misconfigured when it is missing although there are leads: with a new key every known event would be
        taken for a new one.
        """
        key = self._id_key()
        if key is None and self.store.any_row(LEADS):
            # Another instance may have made the key and its first lead since.
            key = self._id_key()
            if key is None:
                raise Misconfigured(
                    "The row id-key of the table state is missing, although there are leads.",
                    "Restore that row from a backup of the table state. Until then leads that are posted are kept in "
                    "quarantine and come in once the row is back; rows wait in their table.",
                )
        if key is None:
            with contextlib.suppress(Exists):
                self.store.insert(STATE, Row(STATE, "id-key", {"key": secrets.token_hex(32)}))
            key = self._id_key()
        if key is None:
            raise RuntimeError("The id key could not be read back.")
        return Identity(key)

    def _id_key(self) -> bytes | None:
        row = self.store.get(STATE, STATE, "id-key")
        return bytes.fromhex(str(row.values["key"])) if row else None

    def seen(self, event: str) -> Seen | None:
        """What is known of an event."""
        row = self.store.get(EVENTS, event, "event")
        if row is None:
            return None
        value = row.values
        return Seen(str(value["lead"]), str(value["raw"]), str(value["fate"]), row.etag)

    def remember(self, event: str, seen: Seen, now: datetime) -> Seen:
        """Note an event, once: the answer is what stands, which may be an earlier note than this one."""
        values = {"lead": seen.lead_id, "raw": seen.raw, "fate": seen.fate, "seen_at": time_text(now)}
        try:
            return replace(seen, etag=self.store.insert(EVENTS, Row(event, "event", values)))
        except Exists:
            there = self.seen(event)
            if there is None:
                raise RuntimeError("An event was there and is gone.") from None
            return there

    def rewrite(self, event: str, seen: Seen, now: datetime) -> Seen:
        """Change what is noted of an event. Raises Changed when it is not as it was read."""
        values = {"lead": seen.lead_id, "raw": seen.raw, "fate": seen.fate, "seen_at": time_text(now)}
        return replace(seen, etag=self.store.replace(EVENTS, Row(event, "event", values, seen.etag)))

    def add(self, lead: Lead, destinations: Sequence[str], now: datetime) -> bool:
        """Insert a lead with an open delivery to each destination, all or none; False when it was there."""
        deliveries = [Delivery(lead.id, name, State.OPEN, next_at=now) for name in destinations]
        try:
            self.store.insert_all(LEADS, [lead_row(lead), *map(delivery_row, deliveries)])
        except Exists:
            return False
        return True

    def case(self, lead_id: str) -> Case | None:
        """A lead and its deliveries."""
        customer, event = halves(lead_id)
        lead, deliveries = None, []
        # The colon parts an event from its destinations, and the semicolon follows it in ASCII.
        for row in self.store.rows(LEADS, customer, event, f"{event};"):
            if is_delivery(row):
                deliveries.append(read_delivery(row))
            else:
                lead = read_lead(row)
        return Case(lead, tuple(deliveries)) if lead else None

    def history(self, lead_id: str) -> History:
        """A lead and the other leads of its customer, each with its deliveries.

        One page of rows has them for all but a few customers. Of one with more, the newest `OTHERS_READ` are read with
        what `LIGHT` names, so that a thousand large leads of one address cost no more than that.
        """
        customer, _ = halves(lead_id)
        rows, whole = self.store.page(LEADS, customer, HISTORY_PAGE)
        cases = _cases(rows)
        if whole:
            own = cases.pop(lead_id, None)
            return History(own, tuple(cases.values()))
        light, _ = self.store.page(LEADS, customer, HISTORY_LIMIT, LIGHT)
        others = _cases(light)
        others.pop(lead_id, None)
        newest = sorted(others.values(), key=lambda case: case.lead.arrived_at)[-OTHERS_READ:]
        return History(self.case(lead_id), tuple(newest))

    def customer(self, customer: str) -> list[Case]:
        """The leads of a customer with their deliveries, oldest first: `HISTORY_LIMIT` rows at most."""
        rows, _ = self.store.page(LEADS, customer, HISTORY_LIMIT)
        cases = _cases(rows).values()
        return sorted(cases, key=lambda case: (case.lead.created_at, case.lead.arrived_at, case.lead.id))

    def delivery(self, lead_id: str, destination: str) -> Delivery | None:
        """One delivery."""
        customer, event = halves(lead_id)
        row = self.store.get(LEADS, customer, f"{event}:{destination}")
        return read_delivery(row) if row else None

    def save(self, delivery: Delivery) -> Delivery:
        """Write a delivery that is still as it was read. Raises Changed, also when it was deleted."""
        return replace(delivery, etag=self.store.replace(LEADS, delivery_row(delivery)))

    def open(self, line: Line) -> None:
        """Write the open line of a lead. A line that is there gets a new ETag, so that nobody closes it meanwhile."""
        values: dict[str, Value] = {"raw": line.raw, "arrived_at": time_text(line.arrived_at), "state": OPEN}
        if line.replayed_at is not None:
            values["replayed_at"] = time_text(line.replayed_at)
        self.store.upsert(JOURNAL, Row(OPEN, line.lead_id, values))

    def open_line(self, lead_id: str) -> Line | None:
        """The open line of a lead, if it has work left."""
        row = self.store.get(JOURNAL, OPEN, lead_id)
        return _line(row) if row else None

    def open_lines(self, start: str = "") -> Iterator[Line]:
        """All open lines in the order of lead ids, from `start` on."""
        return map(_line, self.store.rows(JOURNAL, OPEN, start))

    def close(self, line: Line, finished: DayLine, now: datetime) -> None:
        """Write the day line of a finished lead, and the one of a dead lead; then delete its open line.

        The day must be noted as changed before (`change`). Raises Changed when the open line is not the one that
        was read: somebody opened the lead again.
        """
        self.store.upsert(JOURNAL, _day_row(line.day, finished))
        # Only a lead that was replayed can have a dead line of an earlier end.
        if finished.dead or line.replayed_at is not None:
            self.keep_dead(finished, now)
        if not self.store.delete(JOURNAL, OPEN, line.lead_id, line.etag):
            seen = self.seen(halves(line.lead_id)[1])
            if seen is not None and seen.fate == GONE:
                # Somebody erased the lead since it was looked at, and these lines came back.
                self.store.delete(JOURNAL, DEAD, line.lead_id)
                self.store.delete(JOURNAL, line.day, line.lead_id)

    def keep_dead(self, line: DayLine, now: datetime) -> None:
        """Write the line of a lead with a dead delivery, or delete it where none is dead. The sweep counts again."""
        self.change(DEAD, now)
        if line.dead:
            self.store.upsert(JOURNAL, _day_row(DEAD, line))
        else:
            self.store.delete(JOURNAL, DEAD, line.lead_id)

    def drop_open_line(self, lead_id: str) -> None:
        """Delete an open line that leads nowhere."""
        self.store.delete(JOURNAL, OPEN, lead_id)

    def day_lines(self, day: str, start: str = "") -> Iterator[DayLine]:
        """The finished leads that arrived on a day (`2026-11-21`) in the order of lead ids, from `start` on."""
        return map(_day_line, self.store.rows(JOURNAL, day, start))

    def day_lines_before(self, day: str) -> Iterator[DayLine]:
        """The finished leads that arrived before a day."""
        return map(_day_line, self.store.rows_before(JOURNAL, day))

    def dead_lines(self, start: str = "") -> Iterator[DayLine]:
        """The leads with a dead delivery in the order of lead ids, from `start` on."""
        return map(_day_line, self.store.rows(JOURNAL, DEAD, start))

    def leads_between(self, begin: datetime, end: datetime, most: int) -> tuple[list[Lead], list[str]]:
        """The first `most` leads that arrived from `begin` on and before `end`, open and finished ones, and the ids of
        the others, which are not read. Finished tests are left out, so that they take no lead's place.
        """
        first, last = begin.astimezone(UTC), end.astimezone(UTC)
        days = [f"{first + timedelta(day):%Y-%m-%d}" for day in range((last.date() - first.date()).days + 1)]
        finished = (line for day in days for line in self.day_lines(day))
        lines: dict[str, DayLine | Line] = {line.lead_id: line for line in finished if begin <= line.arrived_at < end}
        lines |= {line.lead_id: line for line in self.open_lines() if begin <= line.arrived_at < end}
        kept = (line for line in lines.values() if not (isinstance(line, DayLine) and line.is_test))
        ordered = sorted(kept, key=lambda line: (line.arrived_at, line.lead_id))
        cases = (self.case(line.lead_id) for line in ordered[:most])
        leads = [case.lead for case in cases if case is not None and begin <= case.lead.arrived_at < end]
        return leads, [line.lead_id for line in ordered[most:]]

    def change(self, what: str, now: datetime) -> None:
        """Note, before it happens, that the sweep has to look at something again.

        It is `day:2026-11-21` for the finished leads of a day, `quarantine:2026-11-21` for the bytes that came into
        quarantine on a day, and `dead` for the dead leads.
        """
        self.store.upsert(STATE, Row(STATE, f"{CHANGED}{what}", {"at": time_text(now)}))

    def changes(self, what: str = "") -> list[Row]:
        """What was noted by `change`, all of it or what begins so: each with the time `at` which."""
        start = f"{CHANGED}{what}"
        # The tilde follows whatever a name has.
        return list(self.store.rows(STATE, STATE, start, f"{start}~"))

    def unchange(self, row: Row) -> None:
        """Take back what `changes` gave, unless it was noted again since."""
        with contextlib.suppress(Changed):
            self.store.delete(STATE, STATE, row.key, row.etag)

    def day_counts(self, first: str = "", last: str = "~") -> list[Row]:
        """The rows with the counts of the days from `first` to `last`, in their order; see `leads.sweep.days`."""
        return list(self.store.rows(STATE, STATE, f"{COUNTED}{first}", f"{COUNTED}{last}~"))

    def last_destinations(self) -> tuple[str, ...]:
        """The last good value of LEADS_DESTINATIONS, as the sweep noted it; nothing before the first sweep."""
        names = str(self.note(SWEEP).values.get("destinations", ""))
        return tuple(filter(None, names.split(",")))

    def note(self, name: str) -> Row:
        """Read a row of the table `state`; an empty one without ETag where it was never written."""
        return self.store.get(STATE, STATE, name) or Row(STATE, name)

    def write_note(self, note: Row) -> Row:
        """Write a row of the table `state`. Raises Changed when it is not as it was read."""
        if note.etag:
            return replace(note, etag=self.store.replace(STATE, note))
        try:
            return replace(note, etag=self.store.insert(STATE, note))
        except Exists:
            raise Changed from None

    def is_flooded(self, destination: str) -> bool:
        """Whether a flood is noted of a destination."""
        return bool(self.note(f"flood:{destination}").values.get("since"))

    def flooded(self) -> list[str]:
        """The destinations of which a flood is noted."""
        rows = self.store.rows(STATE, STATE, "flood:", "flood;")
        return [row.key.removeprefix("flood:") for row in rows]

    def note_flood(self, destination: str, now: datetime) -> bool:
        """Note a flood of a destination; False where it is noted already."""
        note = self.note(f"flood:{destination}")
        if note.values.get("since"):
            return False
        with contextlib.suppress(Changed):
            self.write_note(replace(note, values={"since": time_text(now)}))
            return True
        return False

    def end_flood(self, destination: str) -> None:
        """Note that a flood is over."""
        self.store.delete(STATE, STATE, f"flood:{destination}")

    def keep_routes(self, text: str) -> None:
        """Keep routes that can be read."""
        self.store.upsert(STATE, Row(STATE, "routes", {"text": text}))

    def keep_raw(self, name: str, data: bytes, via: Via, arrived_at: datetime, *, old: bool = False) -> bool:
        """Write the bytes of an event once, as they arrived; False when there are some of that name.

        `old` is what the lead will be, for whoever makes it after a crash.
        """
        note = {"via": via.value, "arrived_at": time_text(arrived_at)} | ({"old": "true"} if old else {})
        return self.store.put_blob(RAW, name, data, note)

    def erase(self, lead_id: str, day: str, raw: str, now: datetime) -> None:
        """Erase a lead's bytes, rows and journal lines.

        The event stays and is never accepted again, but not its lead id: with the id key, the customer's half of it
        would still show whether an address was here. It is marked first and the journal comes last, so that whatever a
        crash leaves is erased the next time.
        """
        customer, event = halves(lead_id)
        seen = self.seen(event)
        if seen is not None and seen.fate != GONE:
            with contextlib.suppress(Changed):
                self.rewrite(event, replace(seen, lead_id="", fate=GONE), now)
        for name in {raw, seen.raw if seen else ""} - {""}:
            self.store.delete_blob(RAW, name)
        # The lead is the last of its rows: without it nothing that is asked for again would find the others.
        for row in reversed(list(self.store.rows(LEADS, customer, event, f"{event};"))):
            if is_delivery(row) and row.values.get("state") == State.DEAD:
                self.change(DEAD, now)
            self.store.delete(LEADS, row.partition, row.key)
        if day:
            self.change(f"day:{day}", now)
        self.store.delete(JOURNAL, DEAD, lead_id)
        self.store.delete(JOURNAL, OPEN, lead_id)
        if day:
            self.store.delete(JOURNAL, day, lead_id)


def _cases(rows: Iterable[Row]) -> dict[str, Case]:
    """Leads with their deliveries, by lead id."""
    leads: dict[str, Lead] = {}
    deliveries: dict[str, list[Delivery]] = {}
    for row in rows:
        if is_delivery(row):
            delivery = read_delivery(row)
            deliveries.setdefault(delivery.lead_id, []).append(delivery)
        else:
            lead = read_lead(row)
            leads[lead.id] = lead
    return {lead_id: Case(lead, tuple(deliveries.get(lead_id, ()))) for lead_id, lead in leads.items()}


def _line(row: Row) -> Line:
    values = row.values
    return Line(row.key, str(values["raw"]), _arrival(row), time_read(values.get("replayed_at")), row.etag)


def _day_row(partition: str, line: DayLine) -> Row:
    values: dict[str, Value] = {
        "raw": line.raw,
        "arrived_at": time_text(line.arrived_at),
        "states": json.dumps(dict(line.states)),
        "seconds": json.dumps(dict(line.seconds)),
        "stage": line.stage,
        "offer": line.offer,
        "offer_title": line.offer_title,
        "country": line.country,
        "is_test": line.is_test,
    }
    return Row(partition, line.lead_id, values)


def _day_line(row: Row) -> DayLine:
    values = row.values
    stage = str(values["stage"])
    return DayLine(
        lead_id=row.key,
        raw=str(values["raw"]),
        arrived_at=_arrival(row),
        states={name: State(state) for name, state in json.loads(str(values["states"])).items()},
        seconds=json.loads(str(values["seconds"])),
        # A later version may know more stages; after a rollback they mean nothing.
        stage=Stage(stage) if stage in set(Stage) else Stage.UNKNOWN,
        offer=str(values["offer"]),
        offer_title=str(values["offer_title"]),
        country=str(values["country"]),
        is_test=values["is_test"] is True,
    )


def _arrival(row: Row) -> datetime:
    arrived_at = time_read(row.values["arrived_at"])
    if arrived_at is None:
        raise ValueError("A line of the journal has no time of arrival.")
    return arrived_at
