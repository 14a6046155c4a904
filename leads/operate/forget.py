"""What is kept of a customer, and how it is forgotten (GDPR, articles 15 and 17).

The customer's leads are one partition. Besides, every lead, the quarantine and intakes that are not finished are
searched for the address. What stays is the events: that something was seen, without saying of whom, so that a row that
is read again brings nothing back. Queue messages and logs hold no personal data.

A delivery that is under way while its lead is forgotten is recorded conditionally, so it brings no row back either; but
the destination may get the lead in that moment, and so it is told.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from leads import enabled, log
from leads.app import App
from leads.intake import accept
from leads.intake.contact import email as read_email
from leads.intake.contact import email_key
from leads.lead import Delivery, Lead, State, Via
from leads.operate import quarantine
from leads.operate.quarantine import Entry
from leads.store.ledger import GONE, LEADS, QUARANTINE, RAW, Case, Line, Seen
from leads.store.protocol import Row
from leads.store.rows import is_delivery, read_lead

EVERYTHING = "g"
"""Sorts behind every partition of the table `leads`, since those are hexadecimal."""
PASSES = 3
"""How often the search is repeated, for what came in during the one before."""

_LEAD_ID = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}")
_ESCAPED = re.compile(r"\\(?:u([0-9a-f]{4})|.)", re.DOTALL)
"""What JSON escapes, in lower case; all but its code points part words here."""


@dataclass
class _Found:
    cases: dict[str, Case] = field(default_factory=dict)
    unfinished: list[Line] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    mentioned_in: list[str] = field(default_factory=list)


def belongings(app: App, who: str, now: datetime) -> dict[str, Any]:
    """What is kept of a customer, by e-mail address, or of one lead, by its id.

    `leads` and `quarantine` name what `forget` would erase, `by_hand` what it cannot, `mentioned_in` leads of other
    customers in which the address stands.
    """
    return _told(app, _find(app, who, now))


def forget(app: App, who: str, now: datetime) -> dict[str, Any]:
    """Erase what `belongings` finds, and return that with the number of `forgotten` things. It can be repeated."""
    told: dict[str, Any] = {"leads": [], "quarantine": [], "by_hand": [], "mentioned_in": []}
    for _ in range(PASSES):
        found = _find(app, who, now)
        for name, new in _told(app, found).items():
            told[name] += [each for each in new if each not in told[name]]
        if not (found.cases or found.unfinished or found.strays or found.entries):
            break
        _erase(app, found, now)
    log.event("forgotten", leads=len(told["leads"]), quarantined=len(told["quarantine"]))
    return {**told, "forgotten": len(told["leads"]) + len(told["quarantine"])}


def _told(app: App, found: _Found) -> dict[str, Any]:
    unfinished = [line.lead_id for line in found.unfinished]
    named = {lead_id[-16:] for lead_id in unfinished} | {entry.event for entry in found.entries}
    strays = [event for event in map(_event, found.strays) if event not in named]
    return {
        "leads": [*found.cases, *unfinished, *strays],
        "quarantine": [entry.name for entry in found.entries],
        "by_hand": _once(_by_hand(app, found)),
        "mentioned_in": found.mentioned_in,
    }


def _once(told: Iterator[dict[str, str]]) -> list[dict[str, str]]:
    """Each once: a customer's steps are one record in a CRM."""
    return list({tuple(each.values()): each for each in told}.values())


def _erase(app: App, found: _Found, now: datetime) -> None:
    for lead_id, case in found.cases.items():
        app.ledger.erase(lead_id, f"{case.lead.arrived_at:%Y-%m-%d}", case.lead.raw, now)
    for line in found.unfinished:
        _bar(app, line.lead_id[-16:], now)
        app.ledger.erase(line.lead_id, f"{line.arrived_at:%Y-%m-%d}", line.raw, now)
    for name in found.strays:
        _bar(app, _event(name), now)
        app.store.delete_blob(RAW, name)
    for entry in found.entries:
        if entry.event:
            _bar(app, entry.event, now)
            app.store.delete_blob(RAW, accept.raw_name(entry.event, entry.at))
        app.store.delete_blob(QUARANTINE, entry.name)


def _bar(app: App, event: str, now: datetime) -> None:
    """Note an event that never became a lead, so that the row it came from is not taken in at the next look."""
    app.ledger.remember(event, Seen("", fate=GONE), now)


def _find(app: App, who: str, now: datetime) -> _Found:
    if _LEAD_ID.fullmatch(who):
        case, line = app.ledger.case(who), app.ledger.open_line(who)
        unfinished = [line] if line and not case else []
        return _Found({who: case} if case else {}, unfinished)
    key, needles = email_key(who), _needles(who)
    if not needles:
        return _Found()
    found = _Found()
    customer = app.identity.customer(key, "") if key else ""
    for row in app.store.rows_before(LEADS, EVERYTHING):
        if is_delivery(row) or not (row.partition == customer or _stands_in(row, needles)):
            continue
        lead = read_lead(row)
        if row.partition == customer or _is_of(lead, who, key):
            case = app.ledger.case(lead.id)
            found.cases[lead.id] = case or Case(lead, ())
        else:
            found.mentioned_in.append(lead.id)
    for line in app.ledger.open_lines():
        blob = app.store.get_blob(RAW, line.raw) if app.ledger.case(line.lead_id) is None else None
        if blob and (line.lead_id.startswith(f"{customer}-") or _holds(blob.data, needles)):
            found.unfinished.append(line)
    found.strays += [name for name in _raws_without_event(app, now) if _raw_holds(app, name, needles)]
    for name, note in app.store.blobs(QUARANTINE, ""):
        blob = app.store.get_blob(QUARANTINE, name) if quarantine.NAME.fullmatch(name) else None
        if blob and _holds(blob.data, needles):
            found.entries.append(quarantine.entry(name, note))
    return found


def _raws_without_event(app: App, now: datetime) -> Iterator[str]:
    """Raw of intakes that stopped right behind their first step, which the sweep would go on with within the hour."""
    for day in (now - timedelta(days=1), now):
        for name, _ in app.store.blobs(RAW, f"{day:%Y/%m/%d}/"):
            if app.ledger.seen(_event(name)) is None:
                yield name


def _event(raw: str) -> str:
    return PurePosixPath(raw).stem


def _raw_holds(app: App, name: str, needles: frozenset[str]) -> bool:
    blob = app.store.get_blob(RAW, name)
    return blob is not None and _holds(blob.data, needles)


def _needles(who: str) -> frozenset[str]:
    """The forms in which an address may stand somewhere: as given, its domain in ASCII, and in its own letters."""
    forms = {who.strip()}
    address = read_email(who)
    if address:
        local, _, domain = address.rpartition("@")
        forms.add(address)
        with contextlib.suppress(UnicodeError):
            forms.add(f"{local}@{domain.encode('ascii').decode('idna')}")
    # Anything shorter than an address would be found everywhere.
    return frozenset(form.casefold() for form in forms if "@" in form.strip("@"))


def _stands_in(row: Row, needles: frozenset[str]) -> bool:
    texts = (value.casefold() for value in row.values.values() if isinstance(value, str))
    return any(_stands_alone(needle, text) for text in texts for needle in needles)


def _stands_alone(needle: str, text: str) -> bool:
    """Whether an address stands in a text, and not as a part of a longer one, which is somebody else's.

    Letters beyond ASCII beside it are words: some languages put no space between them.
    """
    bounded = rf"(?<![a-z0-9])(?<![a-z0-9][._%+-]){re.escape(needle)}(?![.-]?[a-z0-9])"
    return needle in text and re.search(bounded, text) is not None


def _holds(data: bytes, needles: frozenset[str]) -> bool:
    """Whether one of the addresses stands in bytes of whatever encoding, also where JSON escaped its `@` or letters."""
    texts = [data.decode(encoding, "replace").casefold() for encoding in ("utf-8", "utf-16-le", "utf-16-be")]
    texts.append(_ESCAPED.sub(lambda match: chr(int(match[1], 16)) if match[1] else " ", texts[0]))
    return any(_stands_alone(needle, text) for text in texts for needle in needles)


def _is_of(lead: Lead, who: str, key: str | None) -> bool:
    own = lead.contact.email
    return bool(own) and (own.casefold() == who.strip().casefold() or (key is not None and email_key(own) == key))


def _by_hand(app: App, found: _Found) -> Iterator[dict[str, str]]:
    """What this app has no power over, or must not touch."""
    for case in found.cases.values():
        for delivery in case.deliveries:
            if delivery.remote_id:
                yield {"where": delivery.destination, "what": _record(app, case.lead, delivery)}
            if delivery.state == State.OPEN and delivery.claimed_until is not None:
                told = f"lead {delivery.lead_id} was on its way just now; look there in two minutes"
                yield {"where": delivery.destination, "what": told}
        row = _row(app, case.lead)
        if row:
            yield {"where": "inbox table", "what": row}
    if found.cases or found.unfinished or found.strays:
        yield {"where": "Partner Center", "what": "the customer's leads in the Referrals workspace"}


def _record(app: App, lead: Lead, delivery: Delivery) -> str:
    what = delivery.remote_id
    if delivery.destination not in enabled.names():
        return what
    place = enabled.read(delivery.destination, app.environ)
    record_url = getattr(place.module, "record_url", None)
    return f"{what} {record_url(lead, [(lead, what)], place.settings)}".strip() if record_url else what


def _row(app: App, lead: Lead) -> str:
    """The row of the watched table that a lead came from, by its keys; the app only ever reads there."""
    blob = app.store.get_blob(RAW, lead.raw) if lead.via == Via.TABLE else None
    if blob is None:
        return ""
    with contextlib.suppress(ValueError, AttributeError):
        row = json.loads(blob.data)
        return f"PartitionKey {row.get('PartitionKey')}, RowKey {row.get('RowKey')}"
    return ""
