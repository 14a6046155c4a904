"""Erase leads and entries of the quarantine after their retention."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice

from leads import log
from leads.app import App
from leads.errors import Failure
from leads.store.ledger import QUARANTINE
from leads.sweep import erasing

LEADS_PER_RUN = 500
"""Leads that one run erases; the next run goes on."""
ENTRIES_PER_RUN = 2000
"""Entries of the quarantine that one run deletes."""


def purge(app: App, now: datetime, *, is_late: Callable[[], bool] = lambda: False) -> int:
    """Erase what arrived longer ago than LEADS_RETENTION_DAYS: finished leads (open ones stay) and quarantine.

    Returns how many leads were erased, as far as the time goes. Where these are `LEADS_PER_RUN` there may be more. A
    lead that a destination of ours does not let go of stays until the next run. That destination, which may take half
    a minute to say so, is not asked again in this one: what it may hold stays as well.
    """
    cutoff = now - timedelta(days=app.settings.retention_days)
    _purge_quarantine(app, f"{cutoff:%Y-%m-%d}", is_late)
    lines = app.ledger.day_lines_before(f"{cutoff:%Y-%m-%d}")
    old = (line for line in lines if app.ledger.open_line(line.lead_id) is None)
    places = erasing.places(app)
    purged, kept = 0, ""
    for line in old:
        if purged == LEADS_PER_RUN or is_late():
            break
        case = app.ledger.case(line.lead_id) if places else None
        try:
            if case and not kept:
                erasing.erase(places, case)
        except Failure as failure:
            kept = type(failure).__name__
        if kept and case and erasing.may_hold(places, case):
            continue
        app.ledger.erase(line.lead_id, line.day, line.raw, now)
        purged += 1
    if kept:
        log.event("sweep_failed", part="purge", error=kept)
    return purged


def _purge_quarantine(app: App, before: str, is_late: Callable[[], bool]) -> None:
    """Delete the bytes in quarantine that came before a day (`2026-11-21`). The sweep then finds those days empty."""
    came = (row.key.rpartition(":")[2] for row in app.ledger.changes("quarantine:"))
    names = (
        name for day in came if day < before for name, _ in app.store.blobs(QUARANTINE, f"{day.replace('-', '/')}/")
    )
    for name in list(islice(names, ENTRIES_PER_RUN)):
        if is_late():
            return
        app.store.delete_blob(QUARANTINE, name)
