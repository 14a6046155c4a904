"""Where is this lead? All that is known of one: its deliveries, its bytes, the customer's other leads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from leads.app import App
from leads.lead import Delivery, Lead
from leads.operate.listing import Summary
from leads.operate.quarantine import NAME, Entry, entry, latest
from leads.store.ledger import QUARANTINE, RAW

LOOKED_BACK = timedelta(days=31)
"""How far back the quarantine is searched for an event."""
LOOKED_AT = 5000
"""Entries of it that are looked at for that: one page of a listing."""

FATES: Mapping[str, str] = {
    "backfilled": "This row is older than the app, so the app noted it and did not deliver it. "
    "The page (Import), or `python -m leads import --table`, brings such rows in.",
    "gone": "This lead was purged after its retention, or forgotten at the customer's request.",
}
"""What became of an event that is not a lead, in words for operators."""

ID = re.compile(r"(?:[0-9a-f]{16}-)?[0-9a-f]{16}")
"""A lead id, or its second half."""


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known of a lead, or of an event that became none."""

    id: str
    """The lead id; the event where there is no lead; the blob's name for an entry of the quarantine."""
    lead: Lead | None = None
    deliveries: tuple[Delivery, ...] = ()
    raw: bytes | None = None
    """The bytes as they arrived; None where they are gone."""
    is_open: bool = False
    """Whether the journal has work left for it."""
    fate: str = ""
    """`accepted`, `backfilled` (older than the app, so it became no lead) or `gone` (purged or forgotten)."""
    quarantine: Entry | None = None
    others: tuple[Summary, ...] = ()
    """The other leads of the customer, oldest first."""


def story(app: App, lead_id: str, now: datetime) -> Story | None:
    """All that is known of a lead id, of an event (the second half of a lead id), or of an entry of the quarantine."""
    if NAME.fullmatch(lead_id):
        blob = app.store.get_blob(QUARANTINE, lead_id)
        return Story(lead_id, raw=blob.data, quarantine=entry(lead_id, blob.metadata)) if blob else None
    if not ID.fullmatch(lead_id):
        return None
    event = lead_id[-16:]
    seen = app.ledger.seen(event)
    known = seen.lead_id if seen and seen.lead_id else lead_id
    if known != lead_id != event:
        return None
    case = app.ledger.case(known) if "-" in known else None
    line = app.ledger.open_line(known) if "-" in known else None
    name = case.lead.raw if case else line.raw if line else seen.raw if seen else ""
    blob = app.store.get_blob(RAW, name) if name else None
    held = None
    if case is None:
        held = next((one for one in latest(app, LOOKED_AT, now - LOOKED_BACK) if one.event == event), None)
        if held and blob is None:
            blob = app.store.get_blob(QUARANTINE, held.name)
        if line is None and seen is None and held is None:
            return None
    others = [] if case is None else app.ledger.customer(case.lead.customer)
    return Story(
        known,
        lead=case.lead if case else None,
        deliveries=case.deliveries if case else (),
        raw=blob.data if blob else None,
        is_open=line is not None,
        fate=seen.fate if seen else "",
        quarantine=held,
        others=tuple(Summary(other.lead, other.deliveries) for other in others if other.lead.id != known),
    )
