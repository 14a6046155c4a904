"""One lead in: raw, open line, event, lead with its deliveries, ring. Every step is idempotent and can be redone.

After a crash behind `raw` the hourly listing of the sweep finds the bytes; behind the open line the sweep finds the
line; and whoever brings the same event again goes on where the crash was.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from leads import log, offers
from leads.app import App
from leads.errors import Failure
from leads.intake import normalize, payload, times
from leads.intake.payload import Fields, NotALead
from leads.lead import Lead, Via
from leads.store.ledger import ACCEPTED, BACKFILLED, GONE, QUARANTINE, RAW, UNREADABLE, Line, Seen
from leads.store.protocol import Blob, Changed
from leads.store.rows import time_read, time_text

__all__ = [
    "BODY_LIMIT",
    "LOGGED_AN_HOUR",
    "REPEAT_WINDOW",
    "NotALead",
    "Receipt",
    "TooLarge",
    "accept",
    "event_of_post",
    "event_of_row",
    "names_somebody",
    "quarantine",
    "quarantined_words",
    "raw_name",
    "receive",
    "receive_row",
    "redo",
    "take_quarantined",
    "take_waiting",
]

if TYPE_CHECKING:
    from leads.routes import Decision

BODY_LIMIT = 256 * 1024
"""Bytes of a POST; real leads have one or two kilobytes."""

REPEAT_WINDOW = timedelta(hours=2)
"""How long after midnight (UTC) an equal POST of the day before still counts as the same event."""

SLOT = timedelta(minutes=10)
"""How long equal POSTs that name nobody count as one event: two customers may send the very same bytes."""

_OFFER = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}\.[a-z0-9][a-z0-9._-]{0,120}", re.IGNORECASE | re.ASCII)
"""`publisher.offer` as Microsoft names it."""
_TEST = re.compile(r"MSFT_TEST_\d{18}", re.ASCII)
SHORT = 2
"""Letters of a name that is found in an offer's id only as a word of its own."""
LOGGED_AN_HOUR = 100
"""Events of one name that a stranger can cause, and that one process logs in an hour."""
SIZES_TOLD = 5
"""Sizes of bodies that an alert names, the newest ones."""
PLACE = "waiting"
"""The row of the table `state` that says where the next look for leads in quarantine goes on."""
WAITS = "could not be stored when it came:"
"""The beginning of the reason of bytes that are a lead and wait in quarantine."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of an arrival."""

    id: str
    """The lead id; the event where the bytes could not be made a lead yet."""
    repeated: bool = False
    quarantined: bool = False


class TooLarge(NotALead):
    """The body is larger than any lead; only its size is kept."""


def receive(app: App, body: bytes, now: datetime) -> Receipt:
    """Accept the body of a POST. Raises NotALead after the bytes are safe in quarantine, and TooLarge.

    Any other exception means that the lead is not durable. Then the bytes are in quarantine or in raw, as far as
    anything could be stored at all, and the sweep takes them in.
    """
    if len(body) > BODY_LIMIT:
        quarantine(app, b"", Via.HTTPS, f"too large: {len(body)} bytes, not kept", now, size=len(body))
        raise TooLarge(f"The body has {len(body)} bytes; the app takes {BODY_LIMIT} at most.")
    try:
        fields = payload.read(body)
    except NotALead as error:
        quarantine(app, body, Via.HTTPS, error.reason, now)
        raise
    except Exception:  # noqa: BLE001 - a bug of ours in reading: it comes up again after raw, and is reported there
        fields = Fields()
    try:
        event, raw = _event_of_post(app, body, fields, now)
        is_first = app.ledger.keep_raw(raw, body, Via.HTTPS, now)
    except Exception as error:
        why = error.cause if isinstance(error, Failure) else f"The storage failed ({type(error).__name__})."
        with contextlib.suppress(Exception):
            quarantine(app, body, Via.HTTPS, f"{WAITS} {why}", now, waits=True)
        raise
    # Whether the event is known was not asked before: nearly every POST is new, and this write shows it.
    if is_first:
        return _go_on(app, event, raw, Via.HTTPS, body, now, now)
    seen = app.ledger.seen(event)
    if seen is None:
        return redo(app, raw, now) or _go_on(app, event, raw, Via.HTTPS, body, now, now)
    return _again(app, event, seen, Via.HTTPS, now)


def _event_of_post(app: App, body: bytes, fields: Fields, now: datetime) -> tuple[str, str]:
    """The event and the name of its raw. A retry that crosses midnight, or the end of a slot, is the same event."""
    earlier = now - _repeat_window(fields)
    if _span(fields, earlier) != _span(fields, now):
        known = _known_event(app, body, fields, earlier)
        if known and (known[2] > earlier or not names_somebody(fields)):
            return known[:2]
    event = event_of_post(app, body, fields, now)
    return event, raw_name(event, now)


def _event_of_waiting(app: App, body: bytes, fields: Fields, at: datetime) -> str:
    """The event of a POST that waited in quarantine since `at`: its retry may have come in already, behind midnight."""
    later = at + _repeat_window(fields)
    if _span(fields, later) != _span(fields, at):
        known = _known_event(app, body, fields, later)
        if known and (known[2] < later or not names_somebody(fields)):
            return known[0]
    return _event_of_post(app, body, fields, at)[0]


def _known_event(app: App, body: bytes, fields: Fields, at: datetime) -> tuple[str, str, datetime] | None:
    """The event that a POST at this time is, the name of its raw, and when that came; None where there is none."""
    event = event_of_post(app, body, fields, at)
    name = raw_name(event, at)
    raw = app.store.get_blob(RAW, name)
    arrived_at = time_read(raw.metadata.get("arrived_at")) if raw else None
    return (event, name, arrived_at) if arrived_at else None


def _repeat_window(fields: Fields) -> timedelta:
    return REPEAT_WINDOW if names_somebody(fields) else SLOT


def event_of_post(app: App, body: bytes, fields: Fields, at: datetime) -> str:
    """The event that a POST at this time is: its canonical content in the span of time that makes equal ones one."""
    return app.identity.of_post(payload.canonical(body), _span(fields, at))


def _span(fields: Fields, at: datetime) -> str:
    """The UTC day; the ten minutes for a POST that names nobody, since a double costs less than a loss."""
    return f"{at:%Y-%m-%d}" if names_somebody(fields) else _slot(at)


def _slot(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H}:{at.minute // 10}0"


def names_somebody(fields: Fields) -> bool:
    """Whether a name, an address or a phone number came, so that equal content means the same customer."""
    return bool(fields.first_name or fields.last_name or fields.email or fields.phone)


def receive_row(app: App, table: str, row: Mapping[str, Any], now: datetime) -> Receipt:
    """Accept a row of the watched table."""
    event = event_of_row(app, table, row)
    return accept(app, (event, raw_name(event, now)), Via.TABLE, payload.row_bytes(row), now)


def event_of_row(app: App, table: str, row: Mapping[str, Any]) -> str:
    """The event that a row of the watched table is, whatever its other columns say now or later."""
    return app.identity.of_row(app.inbox.account, table, str(row["PartitionKey"]), str(row["RowKey"]))


def raw_name(event: str, day: datetime) -> str:
    """The name of the blob that holds an event's bytes."""
    return f"{day:%Y/%m/%d}/{event}.json"


def accept(
    app: App,
    arrival: tuple[str, str],
    via: Via,
    body: bytes,
    now: datetime,
    *,
    bring_in: bool = False,
    old: bool = False,
) -> Receipt:
    """Take one arrival all the way: `arrival` is its event and the name of its raw.

    A known event is a no-op, except that what a crash left undone is completed. With `bring_in` an event that was
    only noted as older than the app becomes a lead after all. `old` says that the lead is from the past: no news.
    """
    event, raw = arrival
    seen = app.ledger.seen(event)
    if seen is not None and not (bring_in and seen.fate == BACKFILLED):
        return _again(app, event, seen, via, now)
    if app.ledger.keep_raw(raw, body, via, now, old=old):
        return _go_on(app, event, raw, via, body, now, now, old=old)
    return redo(app, raw, now) or _go_on(app, event, raw, via, body, now, now, old=old)


def _again(app: App, event: str, seen: Seen, via: Via, now: datetime) -> Receipt:
    """An event that is known: complete what a crash left undone."""
    if seen.fate == UNREADABLE:
        # Perhaps a later version can read it; if not, it is in quarantine already.
        again = redo(app, seen.raw, now)
        if again is not None:
            return again
    if via != Via.TABLE and _may_log(app, "lead_repeated", now):
        log.event("lead_repeated", lead=seen.lead_id or event, via=via)
    if seen.fate == ACCEPTED and _is_unfinished(app, seen.lead_id):
        redo(app, seen.raw, now)
    return Receipt(seen.lead_id or event, repeated=True)


def _is_unfinished(app: App, lead_id: str) -> bool:
    """Whether an intake stopped between the open line and the lead. The line of a whole lead is left to the sweep,
    which closes it only as it read it: a row that is looked at each minute would keep its lead open.
    """
    return app.ledger.open_line(lead_id) is not None and app.ledger.case(lead_id) is None


def redo(app: App, raw: str, now: datetime) -> Receipt | None:
    """Do again every step behind `raw`; None where those bytes are gone."""
    blob = app.store.get_blob(RAW, raw)
    if blob is None:
        return None
    via = Via(blob.metadata.get("via", Via.HTTPS))
    arrived_at = time_read(blob.metadata.get("arrived_at")) or now
    old = blob.metadata.get("old") == "true"
    return _go_on(app, PurePosixPath(raw).stem, raw, via, blob.data, arrived_at, now, old=old)


def _go_on(
    app: App,
    event: str,
    raw: str,
    via: Via,
    body: bytes,
    arrived_at: datetime,
    now: datetime,
    *,
    old: bool = False,
) -> Receipt:
    # Read first: a storage failure or a lost id key has nothing to do with these bytes.
    _ = app.identity
    try:
        lead = replace(_lead(app, event, raw, via, body, arrived_at), old=old)
    except Exception as error:  # noqa: BLE001 - a bug of ours in reading must not cost the lead: its bytes are kept
        quarantine(app, body, via, f"could not be read: {type(error).__name__}", arrived_at, event=event)
        # Known from now on, so that a row that is seen again each day is kept and reported once.
        app.ledger.remember(event, Seen("", raw, UNREADABLE), now)
        return Receipt(event, quarantined=True)
    lead = offers.of_lead(app, lead, now)
    line = Line(lead.id, raw, arrived_at)
    app.ledger.open(line)
    seen = app.ledger.remember(event, Seen(lead.id, raw), now)
    if seen.fate in (BACKFILLED, UNREADABLE):
        # Only an import, or an operator who reads it again, comes here with such an event.
        seen = app.ledger.rewrite(event, replace(seen, lead_id=lead.id, raw=raw, fate=ACCEPTED), now)
    if seen.raw != raw or seen.fate == GONE:
        app.store.delete_blob(RAW, raw)
    if seen.fate == GONE:
        app.ledger.drop_open_line(lead.id)
        return Receipt(event, repeated=True)
    if seen.lead_id != lead.id:
        app.ledger.open(replace(line, lead_id=seen.lead_id, raw=seen.raw))
        app.ledger.drop_open_line(lead.id)
    lead = replace(lead, id=seen.lead_id, raw=seen.raw)
    decision = app.decide(lead)
    destinations = decision.destinations
    lead = replace(lead, route=_route(decision))
    if not app.ledger.add(lead, destinations, now):
        return Receipt(lead.id, repeated=True)
    if _is_gone(app, event):
        # Its customer was forgotten between the event and the lead, and nobody else would find this lead.
        app.ledger.erase(lead.id, f"{arrived_at:%Y-%m-%d}", lead.raw, now)
        return Receipt(event, repeated=True)
    _announce(app, lead, destinations)
    return Receipt(lead.id)


def _route(decision: Decision) -> str:
    """The route that decided, for people: its number and its text. What a `+` route added stands in the deliveries."""
    last = decision.routes[-1] if decision.routes and decision.route is not None else None
    return f"{last.route}: {last.text}"[:300] if last else ""


def _is_gone(app: App, event: str) -> bool:
    seen = app.ledger.seen(event)
    return seen is not None and seen.fate == GONE


def _lead(app: App, event: str, raw: str, via: Via, body: bytes, arrived_at: datetime) -> Lead:
    fields = payload.read_row_bytes(body) if via == Via.TABLE else payload.read(body)
    lead = normalize.normalize(fields, via=via, arrived_at=arrived_at, stages=app.settings.stages)
    customer = app.identity.customer(normalize.email_key(lead.contact.email), event)
    return replace(lead, id=f"{customer}-{event}", raw=raw)


def _announce(app: App, lead: Lead, destinations: Sequence[str]) -> None:
    """Log the new lead and ring for its deliveries."""
    log.event(
        "lead_accepted",
        lead=lead.id,
        via=lead.via,
        source=_known(lead.source, normalize.SOURCES),
        action=_known(lead.action, (*normalize.ACTIONS, *app.settings.stages)),
        offer=_offer(lead),
        stage=lead.stage,
        is_test=lead.is_test,
        destinations=",".join(destinations),
    )
    for destination in destinations:
        app.ring(lead.id, destination)


def _known(code: str, known: Iterable[str]) -> str:
    """A code that came from outside, as far as it may be logged: any other may be the name of a person."""
    is_known = code.casefold() in {"", *(one.casefold() for one in known)} or _TEST.fullmatch(code)
    return code if is_known else "other"


def _offer(lead: Lead) -> str:
    """The offer, as far as it may be logged: what looks like an offer's id, and holds nothing of the customer."""
    if not lead.offer:
        return ""
    offer, contact = lead.offer.casefold(), lead.contact
    words = re.split(r"[\W_]+", f"{contact.name} {contact.email.rpartition('@')[0]} {contact.phone}".casefold())
    is_personal = any(part in offer for part in words if len(part) > SHORT) or bool(
        set(words) & set(re.split(r"[\W_]+", offer)) - {""}
    )
    return lead.offer if _OFFER.fullmatch(lead.offer) and not is_personal else "other"


def take_waiting(app: App, now: datetime, *, is_late: Callable[[], bool]) -> int:
    """Accept what waits in quarantine because it could not be stored when it came; returns how much was taken.

    Looks at every day of which anything is noted, and at the last two in any case, since nothing could be noted while
    the tables failed; as far as the time goes, and goes on there the next time. Raises Misconfigured while the id key
    is still lost, and at the end the last error of an entry that could not be taken.
    """
    _ = app.identity
    taken, failed = 0, None
    place = app.ledger.note(PLACE)
    start = str(place.values.get("name", ""))
    noted = {change.key.rpartition(":")[2] for change in app.ledger.changes("quarantine:")}
    for came in sorted(noted | {f"{now - timedelta(days=back):%Y-%m-%d}" for back in (0, 1)}):
        day, before = came.replace("-", "/"), taken
        if day < start[: len(day)]:
            continue
        for name, note in app.store.blobs(QUARANTINE, f"{day}/", start):
            # Asked for each entry: listing millions of what strangers sent takes longer than a sweep has.
            if is_late():
                with contextlib.suppress(Changed):
                    app.ledger.write_note(replace(place, values={"name": name}))
                return taken
            if not note.get("waits"):
                continue
            try:
                blob = app.store.get_blob(QUARANTINE, name)
                if blob is not None:
                    take_quarantined(app, blob, now)
                    taken += 1
                    if taken == before + 1:
                        # The next sweep counts the day anew, so that nobody is told of what is no longer there.
                        app.ledger.change(f"quarantine:{came}", now)
            except NotALead:
                continue
            except Exception as error:  # noqa: BLE001 - raised below, after the others had their turn
                failed = error
    if start:
        with contextlib.suppress(Changed):
            app.ledger.write_note(replace(place, values={"name": ""}))
    if failed is not None:
        raise failed
    return taken


def take_quarantined(app: App, blob: Blob, now: datetime) -> Receipt:
    """Accept bytes in quarantine as the lead that they are after all, which arrived when they did.

    Raises NotALead where they still are not one, and leaves them where they are.
    """
    note = blob.metadata
    via = Via(note.get("via") or Via.HTTPS)
    at = times.moment(note.get("at") or "") or now
    # A listing of blobs gives what is empty as None.
    event = note.get("event") or _event_of_waiting(app, blob.data, payload.read(blob.data), at)
    seen = app.ledger.seen(event)
    raw = seen.raw if seen and seen.raw else raw_name(event, at)
    app.ledger.keep_raw(raw, blob.data, via, at)
    receipt = redo(app, raw, now)
    if receipt is None or receipt.quarantined:
        raise NotALead("The bytes still cannot be read.")
    app.store.delete_blob(QUARANTINE, blob.name)
    return receipt


def quarantine(
    app: App,
    body: bytes,
    via: Via,
    reason: str,
    at: datetime,
    *,
    event: str = "",
    size: int | None = None,
    waits: bool = False,
) -> None:
    """Keep bytes that are not a lead, with the reason; the sweep alerts.

    Equal ones are kept once for their event, else once in ten minutes. `waits` says that they are a lead, which the
    sweep takes in. `size` is that of bytes that are not kept.
    """
    span = event or _slot(at)
    digest = hashlib.sha256(span.encode() + b"\0" + (body or reason.encode())).hexdigest()
    name = f"{at:%Y/%m/%d}/{digest}.bin"
    kept = len(body)
    size = kept if size is None else size
    note = {
        "reason": reason.encode("ascii", "replace").decode()[:200],
        "via": via.value,
        "at": time_text(at),
        "size": str(size),
        "kept": str(kept),
        "event": event,
    } | ({"waits": "true"} if waits else {})
    # Before the bytes are there, so that no crash hides them from the sweep, which lists no other days. Where the
    # tables fail the bytes are kept all the same, and found within a day, a lead hourly while other things are there.
    with contextlib.suppress(Exception):
        app.ledger.change(f"quarantine:{at:%Y-%m-%d}", at)
    if app.store.put_blob(QUARANTINE, name, body, note) and _may_log(app, "quarantined", at):
        log.event("quarantined", blob=name, via=via, reason=note["reason"], size=size)


def quarantined_words(notes: Sequence[Mapping[str, str]]) -> tuple[str, str]:
    """What an alert says of entries in quarantine, by what was noted of each: a cause and a remedy."""
    waiting = [note for note in notes if note.get("waits")]
    large = [int(note["size"]) for note in notes if note.get("kept") == "0" and note.get("size", "0") != "0"]
    others = len(notes) - len(waiting) - len(large)
    causes, remedies = [], []
    if waiting:
        why = (waiting[-1].get("reason") or "").removeprefix(WAITS).strip()
        causes.append(f"Leads that could not be stored when they came: {len(waiting)}. {why}")
        remedies.append(
            "Leads that could not be stored are kept, and come in by themselves once that works again. The check on "
            "the page, or `python -m leads check`, says what is wrong."
        )
    if large:
        sizes = ", ".join(f"{size:,}" for size in large[-SIZES_TOLD:])
        causes.append(f"Bodies too large for a lead, over {BODY_LIMIT // 1024} KiB: {len(large)}, of {sizes} bytes.")
        remedies.append(
            "The app refused what was too large, and did not keep it. Leads are far smaller: find out who else has the "
            "URL of the function receive_lead, and give Partner Center a new key if necessary."
        )
    if others:
        causes.append(f"Bodies or rows that could not be read as a lead: {others}.")
        remedies.append(
            "What could not be read is kept: look at it on the page (Quarantine), or with "
            "`python -m leads list --quarantined`. If it is a lead after all, replay it there."
        )
    return " ".join(causes), " ".join(remedies)


def _may_log(app: App, name: str, now: datetime) -> bool:
    """Whether there is room in the log for another event that a stranger with the address can cause at will.

    The log has a daily cap, which must not be filled before real trouble is logged. What is stored, and which alerts
    are sent, does not depend on the log.
    """
    hour = f"{now:%Y-%m-%dT%H}"
    last, count = app.logged.get(name, (hour, 0))
    count = count + 1 if last == hour else 1
    app.logged[name] = (hour, count)
    return count <= LOGGED_AN_HOUR
