"""What is known of each lead, in the four tables `events`, `leads`, `journal` and `state`, and in the blobs `raw`."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from leads.errors import Misconfigured
from leads.lead import Delivery, Lead, State, Via, halves
from leads.store.identity import Identity
from leads.store.protocol import Changed, Exists, Row, Store, Value
from leads.store.rows import delivery_row, is_delivery, lead_row, read_delivery, read_lead, time_read, time_text

EVENTS, LEADS, JOURNAL, STATE = "events", "leads", "journal", "state"
RAW, QUARANTINE = "raw", "quarantine"
OPEN = "open"
ACCEPTED, BACKFILLED, GONE = "accepted", "backfilled", "gone"
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
    """`accepted`; `backfilled` for a row older than the app, which became no lead; `gone` after purge or `forget`."""
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the journal."""

    lead_id: str
    raw: str
    arrived_at: datetime
    etag: str = ""


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
        return Seen(str(value["lead"]), str(value.get("raw", "")), str(value.get("fate", ACCEPTED)), row.etag)

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
        self.store.upsert(JOURNAL, Row(OPEN, line.lead_id, values))

    def open_line(self, lead_id: str) -> Line | None:
        """The open line of a lead, if it has work left."""
        row = self.store.get(JOURNAL, OPEN, lead_id)
        return _line(row) if row else None

    def open_lines(self, start: str = "") -> Iterator[Line]:
        """All open lines in the order of lead ids, from `start` on."""
        return map(_line, self.store.rows(JOURNAL, OPEN, start))

    def close(self, line: Line, summary: Mapping[str, Value]) -> None:
        """Write the day line of a finished lead, then delete its open line.

        Raises Changed when the open line is not the one that was read: somebody opened the lead again.
        """
        day = line.arrived_at.strftime("%Y-%m-%d")
        values = {"raw": line.raw, "arrived_at": time_text(line.arrived_at), **summary}
        self.store.upsert(JOURNAL, Row(day, line.lead_id, values))
        self.store.delete(JOURNAL, OPEN, line.lead_id, line.etag)

    def drop_open_line(self, lead_id: str) -> None:
        """Delete an open line that leads nowhere."""
        self.store.delete(JOURNAL, OPEN, lead_id)

    def day_lines(self, day: str) -> Iterator[Row]:
        """The finished leads that arrived on a day (`2026-11-21`)."""
        return self.store.rows(JOURNAL, day)

    def day_lines_before(self, day: str) -> Iterator[Row]:
        """The finished leads that arrived before a day."""
        return self.store.rows_before(JOURNAL, day)

    def leads_between(self, begin: datetime, end: datetime) -> Iterator[Lead]:
        """The leads that arrived from `begin` on and before `end`, open and finished ones."""
        days = range((end.astimezone(UTC).date() - begin.astimezone(UTC).date()).days + 1)
        finished = (row for day in days for row in self.day_lines(f"{begin.astimezone(UTC) + timedelta(day):%Y-%m-%d}"))
        ids = {row.key for row in finished} | {line.lead_id for line in self.open_lines()}
        for lead_id in sorted(ids):
            case = self.case(lead_id)
            if case is not None and begin <= case.lead.arrived_at < end:
                yield case.lead

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

    def note_flood(self, destination: str, now: datetime) -> bool:
        """Note a flood of a destination; False where it is noted already."""
        note = self.note(f"flood:{destination}")
        if note.values.get("since"):
            return False
        with contextlib.suppress(Changed):
            self.write_note(replace(note, values={"since": time_text(now)}))
            return True
        return False

    def keep_raw(self, name: str, data: bytes, via: Via, arrived_at: datetime, *, old: bool = False) -> bool:
        """Write the bytes of an event once, as they arrived; False when there are some of that name.

        `old` is what the lead will be, for whoever makes it after a crash.
        """
        note = {"via": via.value, "arrived_at": time_text(arrived_at)} | ({"old": "true"} if old else {})
        return self.store.put_blob(RAW, name, data, note)

    def erase(self, lead_id: str, day: str, raw: str, now: datetime) -> None:
        """Erase a lead's bytes, rows and journal lines.

        The event stays and is never accepted again, but not its lead id: with the id key, the customer's half of it
        would still tell whether an address was here. It is marked first and the journal comes last, so that whatever a
        crash leaves is erased the next time.
        """
        customer, event = halves(lead_id)
        seen = self.seen(event)
        if seen is not None and seen.fate != GONE:
            with contextlib.suppress(Changed):
                self.rewrite(event, replace(seen, lead_id="", fate=GONE), now)
        for name in {raw, seen.raw if seen else ""} - {""}:
            self.store.delete_blob(RAW, name)
        for row in list(self.store.rows(LEADS, customer, event, f"{event};")):
            self.store.delete(LEADS, row.partition, row.key)
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
    arrived_at = time_read(row.values.get("arrived_at"))
    if arrived_at is None:
        raise ValueError("A line of the journal has no time of arrival.")
    return Line(row.key, str(row.values.get("raw", "")), arrived_at, row.etag)
