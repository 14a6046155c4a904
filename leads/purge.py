"""The end of a lead: after its retention, or when its customer asks to be forgotten."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from leads.app import App
from leads.ledger import GONE, JOURNAL, LEADS, OPEN, RAW
from leads.store import Changed

LEADS_PER_RUN = 2000


def purge(app: App, now: datetime) -> int:
    """Erase finished leads that arrived longer ago than LEADS_RETENTION_DAYS; open ones stay. Returns how many."""
    cutoff = (now - timedelta(days=app.settings.retention_days)).strftime("%Y-%m-%d")
    purged = 0
    for row in islice(app.ledger.day_lines_before(cutoff), LEADS_PER_RUN):
        if app.ledger.open_line(row.key) is None:
            erase(app, row.key, row.partition, str(row.values.get("raw", "")), now)
            purged += 1
    return purged


def erase(app: App, lead_id: str, day: str, raw: str, now: datetime) -> None:
    """Erase a lead's bytes, rows and journal lines.

    The event stays, without personal data, and is never accepted again. It is marked first and the journal comes
    last, so that whatever a crash leaves is erased the next time.
    """
    customer, _, event = lead_id.partition("-")
    seen = app.ledger.seen(event)
    if seen is not None and seen.fate != GONE:
        with contextlib.suppress(Changed):
            app.ledger.rewrite(event, replace(seen, fate=GONE), now)
    for name in {raw, seen.raw if seen else ""} - {""}:
        app.store.delete_blob(RAW, name)
    for row in list(app.store.rows(LEADS, customer, event, f"{event};")):
        app.store.delete(LEADS, row.partition, row.key)
    app.store.delete(JOURNAL, OPEN, lead_id)
    if day:
        app.store.delete(JOURNAL, day, lead_id)
