"""The end of a lead and of bytes that were none: after their retention, or when a customer asks to be forgotten."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, takewhile

from leads.app import App
from leads.ledger import GONE, JOURNAL, LEADS, OPEN, QUARANTINE, RAW
from leads.store import Changed

LEADS_PER_RUN = 500
"""Leads that one run erases; the next run goes on."""
ENTRIES_PER_RUN = 2000
"""Entries of the quarantine that one run deletes."""


def purge(app: App, now: datetime) -> int:
    """Erase what arrived longer ago than LEADS_RETENTION_DAYS: finished leads (open ones stay) and quarantine.

    Returns how many leads were erased. Where these are `LEADS_PER_RUN` there may be more.
    """
    cutoff = now - timedelta(days=app.settings.retention_days)
    _purge_quarantine(app, f"{cutoff:%Y/%m/%d}")
    days = app.ledger.day_lines_before(f"{cutoff:%Y-%m-%d}")
    old = (row for row in days if app.ledger.open_line(row.key) is None)
    purged = 0
    for row in islice(old, LEADS_PER_RUN):
        erase(app, row.key, row.partition, str(row.values.get("raw", "")), now)
        purged += 1
    return purged


def _purge_quarantine(app: App, day: str) -> None:
    """Delete the bytes in quarantine that came before a day (`2026/11/21`), by which their names begin."""
    names = (name for name, _ in app.store.blobs(QUARANTINE, ""))
    for name in list(islice(takewhile(lambda name: name < day, names), ENTRIES_PER_RUN)):
        app.store.delete_blob(QUARANTINE, name)


def erase(app: App, lead_id: str, day: str, raw: str, now: datetime) -> None:
    """Erase a lead's bytes, rows and journal lines.

    The event stays and is never accepted again, but not its lead id: with the id key, the customer's half of it would
    still tell whether an address was here. It is marked first and the journal comes last, so that whatever a crash
    leaves is erased the next time.
    """
    customer, _, event = lead_id.partition("-")
    seen = app.ledger.seen(event)
    if seen is not None and seen.fate != GONE:
        with contextlib.suppress(Changed):
            app.ledger.rewrite(event, replace(seen, lead_id="", fate=GONE), now)
    for name in {raw, seen.raw if seen else ""} - {""}:
        app.store.delete_blob(RAW, name)
    for row in list(app.store.rows(LEADS, customer, event, f"{event};")):
        app.store.delete(LEADS, row.partition, row.key)
    app.store.delete(JOURNAL, OPEN, lead_id)
    if day:
        app.store.delete(JOURNAL, day, lead_id)
