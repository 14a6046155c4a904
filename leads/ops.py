"""What operators ask and order: is all well, which leads are there, where is this one, send it again.

The CLI, the JSON API and the page all answer from here. Personal data is in what these functions return; to mask it is
for whoever shows it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from leads import __version__
from leads.app import App
from leads.errors import Misconfigured
from leads.lead import Delivery, Lead
from leads.ledger import QUARANTINE, RAW
from leads.listing import Summary, listing
from leads.quarantine import NAME, Entry, entry, quarantined, replay_quarantined
from leads.replaying import hurry, replay, require
from leads.rows import time_read

__all__ = [
    "Entry",
    "Story",
    "Summary",
    "health",
    "hurry",
    "listing",
    "quarantined",
    "replay",
    "replay_quarantined",
    "require",
    "story",
]

SILENT = timedelta(minutes=15)
"""How long watch and sweep may be quiet; they run each minute and every five minutes unless set otherwise."""
SLOW = timedelta(hours=1)
"""How long a lead may be open before health says so."""
LOOKED_BACK = timedelta(days=31)
"""How far back the quarantine is searched for an event."""

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


def health(app: App, now: datetime) -> dict[str, object]:
    """Say whether all is well, from a few stored rows.

    `status` is `ok`, or `attention` with the `reasons` in whole sentences. Times are ISO 8601 or None; `last_watch` is
    by table. `dead` counts the deliveries of the last 14 days that died; it is as old as the last sweep.
    """
    sweep = app.ledger.note("sweep").values
    last_sweep = time_read(sweep.get("ran_at"))
    oldest = time_read(sweep.get("oldest_open_at"))
    dead, misconfigured = int(sweep.get("dead", 0)), str(sweep.get("misconfigured", ""))
    notes = {table: app.ledger.note(f"watch:{table.lower()}").values for table in app.settings.inbox_tables}
    watched = {table: time_read(values.get("ran_at")) for table, values in notes.items()}
    starts = [sweep.get("first_ran_at"), *(values.get("first_run_at") for values in notes.values())]
    started = min(filter(None, map(time_read, starts)), default=None)
    reasons = [str(problem) for problem in app.settings.problems]
    try:
        _ = app.identity
    except Misconfigured as failure:
        reasons.append(f"{failure.cause} {failure.remedy}")
    reasons += _silent("The sweep", last_sweep, started, now)
    for table, ran_at in watched.items():
        reasons += _silent(f"The watch of {table}", ran_at, started, now)
    if oldest and now - oldest > SLOW:
        reasons.append(
            f"The oldest open lead waits since {oldest:%Y-%m-%d %H:%M} UTC. See `python -m leads list --open`."
        )
    if misconfigured:
        reasons.append(f"These destinations need a person: {misconfigured}. See `python -m leads list --open`.")
    if dead:
        what = "delivery" if dead == 1 else "deliveries"
        died = f"{dead} {what} of the last 14 days died."
        reasons.append(f"{died} See `python -m leads list --dead`, then `python -m leads replay --dead`.")
    return {
        "status": "attention" if reasons else "ok",
        "version": __version__,
        "open": int(sweep.get("open", 0)),
        "oldest_open_seconds": max(0, round((now - oldest).total_seconds())) if oldest else 0,
        "dead": dead,
        "last_watch": {table: ran_at.isoformat() if ran_at else None for table, ran_at in watched.items()},
        "last_sweep": last_sweep.isoformat() if last_sweep else None,
        "reasons": reasons,
    }


def _silent(who: str, ran_at: datetime | None, started: datetime | None, now: datetime) -> list[str]:
    """`started` is when the app first did anything: one that has just begun is not unwell."""
    if ran_at is None and (started is None or now - started > SILENT):
        return [f"{who} has not run yet. It runs within minutes after the start of the app."]
    if ran_at is not None and now - ran_at > SILENT:
        return [f"{who} last ran at {ran_at:%Y-%m-%d %H:%M} UTC. See why its function fails in the logs."]
    return []


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
        held = next((one for one in quarantined(app, now - LOOKED_BACK, now) if one.event == event), None)
        if held and blob is None:
            blob = app.store.get_blob(QUARANTINE, held.name)
        if line is None and seen is None and held is None:
            return None
    others = [] if case is None else app.ledger.history(case.lead.customer)
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
