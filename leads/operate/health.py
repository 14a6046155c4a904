"""Is all well? Said from a few stored rows."""

from __future__ import annotations

import platform
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from leads import __version__
from leads.app import App
from leads.errors import Misconfigured
from leads.store.rows import time_read

SILENT = timedelta(minutes=15)
"""How long watch and sweep may be quiet; they run each minute and every five minutes unless set otherwise."""
ROOT = Path(__file__).resolve().parents[2]
"""The folder of the app."""
SLOW = timedelta(hours=1)
"""How long a lead may be open before health says so."""


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
        "build": build_id(),
        "python": platform.python_version(),
        "open": int(sweep.get("open", 0)),
        "oldest_open_seconds": max(0, round((now - oldest).total_seconds())) if oldest else 0,
        "dead": dead,
        "last_watch": {table: ran_at.isoformat() if ran_at else None for table, ran_at in watched.items()},
        "last_sweep": last_sweep.isoformat() if last_sweep else None,
        "reasons": reasons,
    }


@cache
def build_id() -> str:
    """What the package was made of, as infra/package.py wrote it beside host.json; empty where there is no package."""
    try:
        return (ROOT / "build.txt").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _silent(who: str, ran_at: datetime | None, started: datetime | None, now: datetime) -> list[str]:
    """`started` is when the app first did anything: one that has just begun is not unwell."""
    if ran_at is None and (started is None or now - started > SILENT):
        return [f"{who} has not run yet. It runs within minutes after the start of the app."]
    if ran_at is not None and now - ran_at > SILENT:
        return [f"{who} last ran at {ran_at:%Y-%m-%d %H:%M} UTC. See why its function fails in the logs."]
    return []
