"""One lead in: raw, open line, event, lead with its deliveries, ring. Every step is idempotent and can be redone.

After a crash behind `raw` the hourly listing of the sweep finds the bytes; behind the open line the sweep finds the
line; and whoever brings the same event again goes on where the crash was.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from leads import log
from leads.app import App
from leads.intake import normalize, payload
from leads.lead import Lead, Via
from leads.store.ledger import ACCEPTED, BACKFILLED, GONE, QUARANTINE, RAW, UNREADABLE, Line, Seen
from leads.store.rows import time_read, time_text

BODY_LIMIT = 256 * 1024
"""Bytes of a POST; real leads have one or two kilobytes."""

REPEAT_WINDOW = timedelta(hours=2)
"""How long after midnight (UTC) an equal POST of the day before still counts as the same event."""

_CODE = re.compile(r"[A-Za-z0-9_.-]{0,100}")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of an arrival."""

    id: str
    """The lead id; the event where the bytes could not be made a lead yet."""
    repeated: bool = False
    quarantined: bool = False


class NotALead(Exception):
    """The bytes of a POST are no lead; they are in quarantine. `reason` says why, safely."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TooLarge(NotALead):
    """The body is larger than any lead; only its size is kept."""


def receive(app: App, body: bytes, now: datetime) -> Receipt:
    """Accept the body of a POST. Raises NotALead after the bytes are safe in quarantine, and TooLarge."""
    if len(body) > BODY_LIMIT:
        quarantine(app, b"", Via.HTTPS, f"too large: {len(body)} bytes, not kept", now, size=len(body))
        raise TooLarge(f"The body has {len(body)} bytes; at most {BODY_LIMIT} are taken.")
    try:
        payload.read(body)
    except payload.NotALead as error:
        quarantine(app, body, Via.HTTPS, error.reason, now)
        raise NotALead(error.reason) from None
    return accept(app, _event_of_post(app, body, now), Via.HTTPS, body, now)


def _event_of_post(app: App, body: bytes, now: datetime) -> tuple[str, str]:
    """The event and the name of its raw. A retry that crosses midnight counts as the same event."""
    content = payload.canonical(body)
    earlier = now - REPEAT_WINDOW
    if earlier.date() != now.date():
        event = app.identity.of_post(content, earlier.strftime("%Y-%m-%d"))
        name = raw_name(event, earlier)
        raw = app.store.get_blob(RAW, name)
        arrived_at = time_read(raw.metadata.get("arrived_at")) if raw else None
        if arrived_at and arrived_at > earlier:
            return event, name
    event = app.identity.of_post(content, now.strftime("%Y-%m-%d"))
    return event, raw_name(event, now)


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
    app: App, arrival: tuple[str, str], via: Via, body: bytes, now: datetime, *, bring_in: bool = False
) -> Receipt:
    """Take one arrival all the way: `arrival` is its event and the name of its raw.

    A known event is a no-op, except that what a crash left undone is completed. With `bring_in` an event that was
    only noted as older than the app becomes a lead after all.
    """
    event, raw = arrival
    seen = app.ledger.seen(event)
    if seen is None or (bring_in and seen.fate == BACKFILLED):
        app.ledger.keep_raw(raw, body, via, now)
        return _go_on(app, event, raw, via, body, now, now)
    if seen.fate == UNREADABLE:
        # Perhaps a later version can read it; if not, it is in quarantine already.
        again = redo(app, seen.raw, now)
        if again is not None:
            return again
    if via != Via.TABLE:
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
    return _go_on(app, PurePosixPath(raw).stem, raw, via, blob.data, arrived_at, now)


def _go_on(app: App, event: str, raw: str, via: Via, body: bytes, arrived_at: datetime, now: datetime) -> Receipt:
    # Read before: a storage that fails or a lost id key is no fault of these bytes.
    _ = app.identity
    try:
        lead = _lead(app, event, raw, via, body, arrived_at)
    except Exception as error:  # noqa: BLE001 - a bug of ours in reading must not cost the lead: its bytes are kept
        quarantine(app, body, via, f"could not be read: {type(error).__name__}", arrived_at, event=event)
        # Known from now on, so that a row that is seen again each day is kept and told once.
        app.ledger.remember(event, Seen("", raw, UNREADABLE), now)
        return Receipt(event, quarantined=True)
    line = Line(lead.id, raw, arrived_at)
    app.ledger.open(line)
    seen = app.ledger.remember(event, Seen(lead.id, raw), now)
    if seen.fate in (BACKFILLED, UNREADABLE):
        # Only what is brought in on purpose, or read again by an operator, comes so far with such an event.
        seen = app.ledger.rewrite(event, replace(seen, lead_id=lead.id, raw=raw, fate=ACCEPTED), now)
    if seen.raw != raw:
        app.store.delete_blob(RAW, raw)
    if seen.fate == GONE:
        app.ledger.drop_open_line(lead.id)
        return Receipt(event, repeated=True)
    if seen.lead_id != lead.id:
        app.ledger.open(replace(line, lead_id=seen.lead_id, raw=seen.raw))
        app.ledger.drop_open_line(lead.id)
    lead = replace(lead, id=seen.lead_id, raw=seen.raw)
    if not app.ledger.add(lead, app.settings.destinations, now):
        return Receipt(lead.id, repeated=True)
    if _is_gone(app, event):
        # Its customer was forgotten between the event and the lead, and nobody else would find this lead.
        app.ledger.erase(lead.id, f"{arrived_at:%Y-%m-%d}", lead.raw, now)
        return Receipt(event, repeated=True)
    _tell(app, lead)
    return Receipt(lead.id)


def _is_gone(app: App, event: str) -> bool:
    seen = app.ledger.seen(event)
    return seen is not None and seen.fate == GONE


def _lead(app: App, event: str, raw: str, via: Via, body: bytes, arrived_at: datetime) -> Lead:
    fields = payload.read_row_bytes(body) if via == Via.TABLE else payload.read(body)
    lead = normalize.normalize(fields, via=via, arrived_at=arrived_at, stages=app.settings.stages)
    customer = app.identity.customer(normalize.email_key(lead.contact.email), event)
    return replace(lead, id=f"{customer}-{event}", raw=raw)


def _tell(app: App, lead: Lead) -> None:
    """Log the new lead and ring for its deliveries."""
    log.event(
        "lead_accepted",
        lead=lead.id,
        via=lead.via,
        source=_code(lead.source),
        action=_code(lead.action),
        offer=_code(lead.offer),
        stage=lead.stage,
        is_test=lead.is_test,
        destinations=",".join(app.settings.destinations),
    )
    for destination in app.settings.destinations:
        app.ring(lead.id, destination)


def _code(text: str) -> str:
    """A code that came from outside, as far as it may be logged: what does not look like one could be personal."""
    return text if _CODE.fullmatch(text) else "other"


def quarantine(
    app: App, body: bytes, via: Via, reason: str, now: datetime, *, event: str = "", size: int | None = None
) -> None:
    """Keep bytes that are no lead, once, with the reason; the sweep alerts."""
    digest = hashlib.sha256(body or reason.encode()).hexdigest()
    name = f"{now:%Y/%m/%d}/{digest}.bin"
    size = len(body) if size is None else size
    note = {
        "reason": reason.encode("ascii", "replace").decode()[:200],
        "via": via.value,
        "at": time_text(now),
        "size": str(size),
        "event": event,
    }
    # Before the bytes are there, so that no crash hides them from the sweep, which lists no other days.
    app.ledger.change(f"quarantine:{now:%Y-%m-%d}", now)
    if app.store.put_blob(QUARANTINE, name, body, note):
        log.event("quarantined", blob=name, via=via, reason=note["reason"], size=size)
