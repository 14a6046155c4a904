"""What is kept of a customer: found, given to the customer, or forgotten (GDPR, articles 15 and 17).

Everything is searched for the address: the quarantine, open lines and arrivals that are not a lead yet, every lead, and
the inbox, which is only read. That is the direction in which a lead moves, so none slips past. Since anybody who knows
the address in Partner Center can send megabytes, one call searches for some seconds and says where the next one goes
on.

What stays is the events: that something was seen, without saying of whom, so that a row that is read again brings
nothing back. Queue messages and logs hold no personal data. A delivery that is under way while its lead is forgotten is
recorded conditionally, so it brings no row back either; but the destination may get the lead in that moment, so the
answer says so.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from leads import enabled, log
from leads.app import App
from leads.errors import Failure
from leads.intake import accept, payload
from leads.intake.contact import email_key
from leads.intake.normalize import ISSUE_LIMIT, normalize
from leads.lead import Contact, Delivery, Lead, State, Via
from leads.operate import export, quarantine, stories, traces
from leads.operate.quarantine import Entry
from leads.store.ledger import GONE, LEADS, QUARANTINE, RAW, Case, Line, Seen
from leads.store.protocol import Blob
from leads.store.rows import is_delivery, read_lead
from leads.sweep import erasing

EVERYTHING = "g"
"""Sorts behind every partition of the table `leads`, since those are hexadecimal."""
SECONDS = 20
"""How long one call searches at most."""
ANSWER_LIMIT = 200_000
"""Bytes of records after which an answer ends; the last of them may be half a megabyte."""
PASSES = 3
"""How often `forget` searches at most: as long as a search found something, more may have come in during it."""
ROWS_A_STEP = 100

BELONGINGS, EXPORT, FORGET = "belongings", "export", "forget"


class NotACustomer(Exception):
    """What was given names no customer to search for. The text quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a search has come: the pass, whether it found anything yet, the stage, and what was last looked at."""

    number: int = 1
    found: bool = False
    stage: int = 0
    at: str = ""

    @classmethod
    def read(cls, cursor: str) -> _Place:
        try:
            number, found, stage, at = json.loads(cursor) if cursor else (1, False, 0, "")
        except (ValueError, TypeError, RecursionError):
            raise NotACustomer("The cursor must be the one that the last answer gave.") from None
        known = isinstance(number, int) and isinstance(found, bool) and isinstance(stage, int) and isinstance(at, str)
        if not known or not (1 <= number <= PASSES and 0 <= stage < len(_STAGES)):
            raise NotACustomer("The cursor must be the one that the last answer gave.")
        return cls(number, found, stage, at)

    @property
    def cursor(self) -> str:
        return json.dumps([self.number, self.found, self.stage, self.at])


@dataclass
class _Search:
    """One call of a search."""

    app: App
    who: str
    now: datetime
    order: str
    seconds: float = SECONDS
    key: str = ""
    needles: frozenset[str] = frozenset()
    customer: str = ""
    place: _Place = field(default_factory=_Place)
    leads: list[str] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    by_hand: list[dict[str, str]] = field(default_factory=list)
    mentioned_in: list[str] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0
    searched: dict[str, int] = field(default_factory=dict)
    unsearched: list[dict[str, str]] = field(default_factory=list)

    def run(self) -> str:
        """Search as far as the time goes, and return the cursor of the next call; empty at the end."""
        stop_at = time.monotonic() + self.seconds
        began = self.place
        for number in range(began.stage, len(_STAGES)):
            if began.number > 1 and _STAGES[number] == "inbox":
                continue  # Nothing is erased there, so the first pass has reported it.
            look: Callable[[str], Iterator[str]] = getattr(self, f"_{_STAGES[number]}")
            for at in look(began.at if number == began.stage else ""):
                if time.monotonic() >= stop_at or self.size > ANSWER_LIMIT:
                    return _Place(began.number, self._has_found, number, at).cursor
        if self.order == FORGET and self._has_found and began.number < PASSES:
            return _Place(began.number + 1).cursor
        return ""

    @property
    def _has_found(self) -> bool:
        return self.place.found or bool(self.leads or self.entries)

    def _count(self, what: str, number: int = 1) -> None:
        if self.place.number == 1:
            self.searched[what] = self.searched.get(what, 0) + number

    def _arrivals(self, after: str) -> Iterator[str]:
        """Raw of intakes that stopped right behind their first step, which the sweep would go on with in an hour."""
        for day in (self.now - timedelta(days=1), self.now):
            for name, _ in self.app.store.blobs(RAW, f"{day:%Y/%m/%d}/", after):
                if name <= after:
                    continue
                self._count("arrivals")
                blob = self.app.store.get_blob(RAW, name) if self.app.ledger.seen(_event(name)) is None else None
                if blob and traces.in_bytes(blob.data, self.needles):
                    if self._is_anothers(blob):
                        self.mentioned_in.append(_event(name))
                    else:
                        self.arrival(name)
                yield name

    def _quarantine(self, after: str) -> Iterator[str]:
        for name, _ in self.app.store.blobs(QUARANTINE, "", after):
            if name <= after or not quarantine.NAME.fullmatch(name):
                continue
            self._count("entries of the quarantine")
            blob = self.app.store.get_blob(QUARANTINE, name)
            if blob and traces.in_bytes(blob.data, self.needles):
                if self._is_anothers(blob):
                    self.mentioned_in.append(name)
                else:
                    self.entry(quarantine.entry(name, blob.metadata), blob.data)
            yield name

    def _unfinished(self, after: str) -> Iterator[str]:
        for line in self.app.ledger.open_lines(after):
            if line.lead_id <= after:
                continue
            if self.app.ledger.case(line.lead_id) is None:
                blob = self.app.store.get_blob(RAW, line.raw)
                hers = line.lead_id.startswith(f"{self.customer}-")
                if blob and (hers or traces.in_bytes(blob.data, self.needles)):
                    if not hers and self._is_anothers(blob):
                        self.mentioned_in.append(line.lead_id)
                    else:
                        self.unfinished(line)
            yield line.lead_id

    def _leads(self, after: str) -> Iterator[str]:
        partition, _, key = after.partition("-")
        for row in self.app.store.rows_before(LEADS, EVERYTHING, partition):
            if is_delivery(row) or (row.partition, row.key) <= (partition, key):
                continue
            self._count("leads")
            lead = read_lead(row)
            own = lead.contact.email
            if row.partition == self.customer or self._is_hers(own):
                self.case(self.app.ledger.case(lead.id) or Case(lead, ()))
            elif traces.in_row(row.values, self.needles) or (_is_cut(lead) and self._raw_holds(lead.raw)):
                # Only the bytes of an unreadable body show whose it is.
                if lead.contact == Contact():
                    self.case(self.app.ledger.case(lead.id) or Case(lead, ()))
                else:
                    self.mentioned_in.append(lead.id)
            yield lead.id

    def _inbox(self, after: str) -> Iterator[str]:
        """Rows of the watched tables: they hold everything that Microsoft ever wrote, and the app only reads there."""
        try:
            number, token, skip = json.loads(after) if after else (0, "", 0)
            tables = self.app.settings.inbox_tables[number:]
        except (ValueError, TypeError):
            raise NotACustomer("The cursor must be the one that the last answer gave.") from None
        for at, table in enumerate(tables, number):
            try:
                yield from self._rows(at, table, token, skip)
            except Exception as error:  # noqa: BLE001 - our own data is erased all the same, and this is reported
                from leads.operate import check

                cause, remedy = check.explained(error, check.of_inbox(self.app))
                self.unsearched.append({"where": f"inbox table {table}", "why": f"{cause} {remedy}".strip()})
            token, skip = "", 0

    def _rows(self, at: int, table: str, token: str, skip: int) -> Iterator[str]:
        for page in self.app.inbox.pages(table, "", token):
            for start in range(skip, len(page.rows), ROWS_A_STEP):
                for row in page.rows[start : start + ROWS_A_STEP]:
                    self._count(f"rows of the inbox table {table}")
                    if traces.in_row(row, self.needles):
                        self.row(table, row)
                yield json.dumps([at, token, start + ROWS_A_STEP])
            token, skip = page.token, 0
            yield json.dumps([at, token, 0] if token else [at + 1, "", 0])

    def _is_hers(self, own: str) -> bool:
        """Whether an address is the customer's."""
        return bool(own) and (own.casefold() == self.who.casefold() or email_key(own) == self.key)

    def _is_anothers(self, blob: Blob) -> bool:
        """Whether bytes that are not a lead yet are the lead of somebody else, in whose words the address stands."""
        via = Via.TABLE if blob.metadata.get("via") == Via.TABLE else Via.HTTPS
        try:
            fields = payload.read_row_bytes(blob.data) if via == Via.TABLE else payload.read(blob.data)
            # As the lead will have it: an address with a control character in it is hers as well.
            own = normalize(fields, via=via, arrived_at=self.now, stages=self.app.settings.stages).contact.email
        except Exception:  # noqa: BLE001 - what is no lead, or what a bug of ours cannot read, goes with whoever it names
            return False
        is_unread = fields.contact_unread and not fields.email
        return accept.names_somebody(fields) and not is_unread and not self._is_hers(own)

    def _raw_holds(self, name: str) -> bool:
        blob = self.app.store.get_blob(RAW, name)
        return blob is not None and traces.in_bytes(blob.data, self.needles)

    def case(self, case: Case) -> None:
        """A lead of the customer."""
        lead = case.lead
        if self.order == FORGET:
            try:
                erasing.erase(erasing.places(self.app), case)
            except Failure as failure:
                # Without its rows here nothing would say any more where the lead is to be erased.
                where = f"lead {lead.id}, which therefore stays"
                self.unsearched.append({"where": where, "why": f"{failure.cause} {failure.remedy}".strip()})
                return
        self.leads.append(lead.id)
        self.by_hand += _by_hand(self.app, case, self.now, with_row=not self.needles)
        if self.order == EXPORT:
            blob = self.app.store.get_blob(RAW, lead.raw)
            self._give(export.of_lead(case, blob.data if blob else None))
        if self.order == FORGET:
            self.app.ledger.erase(lead.id, f"{lead.arrived_at:%Y-%m-%d}", lead.raw, self.now)

    def unfinished(self, line: Line) -> None:
        """An intake that stopped before its lead was written."""
        self.leads.append(line.lead_id)
        if self.order == EXPORT:
            self._give_raw(line.raw, line.arrived_at)
        if self.order == FORGET:
            self._bar(line.lead_id[-16:])
            self.app.ledger.erase(line.lead_id, f"{line.arrived_at:%Y-%m-%d}", line.raw, self.now)

    def arrival(self, name: str) -> None:
        """Bytes that no event is known of."""
        self.leads.append(_event(name))
        if self.order == EXPORT:
            self._give_raw(name, self.now)
        if self.order == FORGET:
            self._bar(_event(name))
            self.app.store.delete_blob(RAW, name)

    def entry(self, entry: Entry, data: bytes) -> None:
        """Bytes in quarantine."""
        self.entries.append(entry.name)
        if self.order == EXPORT:
            self._give(export.of_bytes(entry.at, data))
        if self.order == FORGET:
            discard_entry(self.app, entry, self.now)

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        """A row of the inbox in which the address stands."""
        named = {"where": f"inbox table {table}", "what": _keys(row)}
        fields = payload.read_row(row)
        if not self._is_hers(fields.email or "") and not (fields.contact_unread and not fields.email):
            self.mentioned_in.append(f"{named['where']}: {named['what']}")
            return
        self.by_hand.append(named)
        if self.order == EXPORT:
            self._give(export.of_row(table, payload.row_bytes(row)))

    def _give_raw(self, name: str, at: datetime) -> None:
        blob = self.app.store.get_blob(RAW, name)
        if blob:
            self._give(export.of_bytes(at, blob.data))

    def _give(self, record: dict[str, Any]) -> None:
        self.records.append(record)
        self.size += len(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace"))

    def _bar(self, event: str) -> None:
        _bar(self.app, event, self.now)


_STAGES = ("quarantine", "unfinished", "arrivals", "leads", "inbox")


def belongings(app: App, who: str, now: datetime, cursor: str = "", seconds: float = SECONDS) -> dict[str, Any]:
    """A stretch of the search for what is kept of a customer, by e-mail address.

    `who` may also be a lead id, its second half, or the name of an entry of the quarantine: then it is that alone.
    `leads` and `quarantine` name what `forget` would erase, `by_hand` what it cannot, `mentioned_in` leads and rows of
    other customers in which the address stands. `searched` counts what was looked at, by kind, and `unsearched` names
    what could not be searched. `cursor` is for the next call; it is empty at the end. Raises NotACustomer.
    """
    return _search(app, who, now, cursor, BELONGINGS, seconds)


def give(app: App, who: str, now: datetime, cursor: str = "", seconds: float = SECONDS) -> dict[str, Any]:
    """The same with `records`, which say what was found in words for the customer."""
    return _search(app, who, now, cursor, EXPORT, seconds)


def forget(app: App, who: str, now: datetime, cursor: str = "", seconds: float = SECONDS) -> dict[str, Any]:
    """The same, and erase what is found. It can be repeated."""
    found = _search(app, who, now, cursor, FORGET, seconds)
    if found["leads"] or found["quarantine"]:
        log.event("forgotten", leads=len(found["leads"]), quarantined=len(found["quarantine"]))
    return found


def _search(app: App, who: str, now: datetime, cursor: str, order: str, seconds: float) -> dict[str, Any]:
    who = who.strip()
    search = _Search(app, who, now, order, seconds, place=_Place.read(cursor))
    following = ""
    if quarantine.NAME.fullmatch(who):
        blob = app.store.get_blob(QUARANTINE, who)
        search.searched["entries of the quarantine"] = 1
        if blob:
            search.entry(quarantine.entry(who, blob.metadata), blob.data)
    elif stories.ID.fullmatch(who):
        _search_one(search, who)
    else:
        search.key, search.needles = email_key(who) or "", traces.needles(who)
        if not search.key:
            raise NotACustomer(
                "Give an e-mail address, a lead id, or the name of an entry of the quarantine; this does not look like "
                "one of them. Where a lead came with an address that cannot be right, give the lead's id."
            )
        search.customer = app.identity.customer(search.key, "")
        following = search.run()
    if search.leads:
        search.by_hand.append({"where": "Partner Center", "what": "the customer's leads in the Referrals workspace"})
    return {
        "leads": search.leads,
        "quarantine": search.entries,
        "by_hand": search.by_hand,
        "mentioned_in": search.mentioned_in,
        "searched": search.searched,
        "unsearched": search.unsearched,
        "cursor": following,
        **({"records": search.records} if order == EXPORT else {}),
        **({"forgotten": len(search.leads) + len(search.entries)} if order == FORGET else {}),
    }


def _search_one(search: _Search, lead_id: str) -> None:
    """Look for one lead, by its id or the second half of it."""
    ledger = search.app.ledger
    seen = ledger.seen(lead_id[-16:])
    known = seen.lead_id if seen and seen.lead_id and "-" not in lead_id else lead_id
    search.searched["leads"] = 1
    case, line = ledger.case(known), ledger.open_line(known)
    if case:
        search.case(case)
    elif line:
        search.unfinished(line)


def discard_entry(app: App, entry: Entry, now: datetime) -> None:
    """Delete an entry of the quarantine for good: what it came from is not taken in again either."""
    if entry.event:
        _bar(app, entry.event, now)
        app.store.delete_blob(RAW, accept.raw_name(entry.event, entry.at))
    app.store.delete_blob(QUARANTINE, entry.name)


def _bar(app: App, event: str, now: datetime) -> None:
    """Note an event that never became a lead, so that the row it came from is not taken in at the next look."""
    app.ledger.remember(event, Seen("", fate=GONE), now)


def _event(raw: str) -> str:
    return PurePosixPath(raw).stem


def _is_cut(lead: Lead) -> bool:
    """Whether raw may hold words of the customer that the row does not."""
    return len(lead.issues) >= ISSUE_LIMIT or any("cut to" in issue or "raw" in issue for issue in lead.issues)


def _by_hand(app: App, case: Case, now: datetime, *, with_row: bool) -> Iterator[dict[str, str]]:
    """What this app has no power over, or must not touch; with its row, where the inbox is not searched for it."""
    erased = erasing.places(app)
    for delivery in case.deliveries:
        if delivery.remote_id and delivery.destination not in erased:
            yield {"where": delivery.destination, "what": _record(app, case.lead, delivery)}
        elif delivery.uncertain and delivery.destination not in erased:
            what = f"perhaps a record of lead {delivery.lead_id}: an attempt ended without an answer; search there"
            yield {"where": delivery.destination, "what": what}
        if delivery.state == State.OPEN and delivery.claimed_until is not None:
            what = f"lead {delivery.lead_id} was on its way just now; look there in two minutes"
            yield {"where": delivery.destination, "what": what}
    yield from _digests(app, case.lead, now)
    row = _row(app, case.lead) if with_row else ""
    if row:
        yield {"where": "inbox table", "what": row}


def _digests(app: App, lead: Lead, now: datetime) -> Iterator[dict[str, str]]:
    """The digests that name the customer, as far as the day is over: whoever gets them need not get the lead."""
    for name in () if lead.is_test else app.destinations:
        try:
            settings = enabled.read(name, app.environ).settings
        except (KeyError, ImportError):
            continue
        if getattr(settings, "digest", False):
            day = lead.arrived_at.astimezone(settings.digest_zone).date()
            if day < now.astimezone(settings.digest_zone).date():
                yield {"where": name, "what": f"the digest of {day}, which lists the leads of that day"}


def _record(app: App, lead: Lead, delivery: Delivery) -> str:
    what = delivery.remote_id
    try:
        place = enabled.read(delivery.destination, app.environ)
    except (KeyError, ImportError):
        return what
    record_url = getattr(place.module, "record_url", None)
    return f"{what} {record_url(lead, [(lead, what)], place.settings)}".strip() if record_url else what


def _row(app: App, lead: Lead) -> str:
    """The row of the watched table that a lead came from, by its keys."""
    blob = app.store.get_blob(RAW, lead.raw) if lead.via == Via.TABLE else None
    if blob is None:
        return ""
    with contextlib.suppress(ValueError, AttributeError):
        return _keys(json.loads(blob.data))
    return ""


def _keys(row: Mapping[str, Any]) -> str:
    return f"PartitionKey {row.get('PartitionKey')}, RowKey {row.get('RowKey')}"
