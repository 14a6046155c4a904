"""Is all well? Said from a few stored rows."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from leads import __version__, enabled
from leads.app import App
from leads.errors import Misconfigured
from leads.store.ledger import SWEEP
from leads.store.rows import time_read
from leads.sweep.concerns import silent_after
from leads.sweep.configuration import configuration
from leads.sweep.cycle import Cycle, figures

ROOT = Path(__file__).resolve().parents[2]
"""The folder of the app."""
_OPEN = "Look at the open leads on the page, or at `python -m leads list --open`."
SLOW = timedelta(hours=1)
"""How long a lead may be open before health says so."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is not well. Commands stand in backquotes."""

    cause: str
    remedy: str
    setting: str = ""
    """The setting that is wrong, where it is one."""
    about: str = ""
    """What is to be looked at, where that is a list: `open`, `destinations`, `dead` or `quarantine`."""


@cache
def build_id() -> str:
    """What the package was made of, as infra/package.py wrote it beside host.json; empty where there is no package."""
    try:
        return (ROOT / "build.txt").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Health:
    """How the app is. What it counts is as old as the last whole look of the sweep at all open leads."""

    reasons: tuple[Reason, ...]
    open: int
    """Leads with work left."""
    oldest_open_seconds: int
    """How long the oldest of them waits."""
    dead: int
    """Deliveries that died, of leads of the last 14 days."""
    quarantined: int
    """Entries of the quarantine."""
    last_watch: Mapping[str, datetime | None]
    """By table."""
    last_sweep: datetime | None
    version: str = field(default=__version__)
    build: str = field(default_factory=build_id)
    python: str = field(default_factory=platform.python_version)

    @property
    def status(self) -> str:
        """`ok`, or `attention` where there are reasons."""
        return "attention" if self.reasons else "ok"

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values; times are ISO 8601 or None."""
        return {
            "status": self.status,
            **asdict(self),
            "last_watch": {table: _text(at) for table, at in self.last_watch.items()},
            "last_sweep": _text(self.last_sweep),
            "reasons": [
                {"cause": reason.cause, "remedy": reason.remedy, "setting": reason.setting} for reason in self.reasons
            ],
        }


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def health(app: App, now: datetime) -> Health:
    """Say whether all is well: from the sweep's note, the watch's, the id key and the settings."""
    sweep = app.ledger.note(SWEEP).values
    last_sweep = time_read(sweep.get("ran_at"))
    whole = figures(sweep.get("figures")) or Cycle("")
    oldest = time_read(whole.oldest_open_at)
    dead, quarantined = int(sweep.get("dead", 0)), int(sweep.get("quarantined", 0))
    notes = {table: app.ledger.note(f"watch:{table.lower()}").values for table in app.settings.inbox_tables}
    watched = {table: time_read(values.get("ran_at")) for table, values in notes.items()}
    starts = [sweep.get("first_ran_at"), *(values.get("first_run_at") for values in notes.values())]
    started = min(filter(None, map(time_read, starts)), default=None)
    reasons = [Reason(problem.cause, problem.remedy, problem.setting) for problem in configuration(app).problems]
    reasons += _lost_key(app)
    reasons += _silent("The sweep", last_sweep, started, now, silent_after(app.settings.sweep_schedule))
    for table, ran_at in watched.items():
        reasons += _silent(f"The watch of {table}", ran_at, started, now, silent_after(app.settings.watch_schedule))
    reasons += _stuck(whole, oldest, now)
    reasons += _needs_a_person(dead, quarantined)
    return Health(
        reasons=tuple(reasons),
        open=whole.open,
        oldest_open_seconds=max(0, round((now - oldest).total_seconds())) if oldest else 0,
        dead=dead,
        quarantined=quarantined,
        last_watch=watched,
        last_sweep=last_sweep,
    )


def _lost_key(app: App) -> Iterator[Reason]:
    try:
        _ = app.identity
    except Misconfigured as failure:
        yield Reason(failure.cause, failure.remedy)


def _silent(
    who: str, ran_at: datetime | None, started: datetime | None, now: datetime, allowed: timedelta
) -> Iterator[Reason]:
    """`started` is when the app first did anything: one that has just begun is not unwell."""
    if ran_at is None and (started is None or now - started > allowed):
        yield Reason(f"{who} has not run yet.", "It runs within minutes after the start of the app.")
    if ran_at is not None and now - ran_at > allowed:
        yield Reason(f"{who} last ran at {ran_at:%Y-%m-%d %H:%M} UTC.", "The logs say why its function fails.")


def _stuck(whole: Cycle, oldest: datetime | None, now: datetime) -> Iterator[Reason]:
    if oldest and now - oldest > SLOW:
        leads = "The one open lead waits" if whole.open == 1 else f"{whole.open} leads are open, the oldest"
        yield Reason(f"{leads} since {oldest:%Y-%m-%d %H:%M} UTC.", _OPEN, about="open")
    if whole.misconfigured:
        named = enabled.titles(whole.misconfigured)
        yield Reason(f"These destinations need attention: {named}.", _OPEN, about="destinations")


def _needs_a_person(dead: int, quarantined: int) -> Iterator[Reason]:
    if dead:
        what = "delivery" if dead == 1 else "deliveries"
        yield Reason(
            f"{dead} {what} of the last 14 days died.",
            "Look at the dead leads on the page and replay them there, or use `python -m leads replay --dead`.",
            about="dead",
        )
    if quarantined:
        one = quarantined == 1
        what = "One thing that arrived is" if one else f"{quarantined} things that arrived are"
        yield Reason(
            f"{what} in quarantine: {'it' if one else 'they'} could not be read as a lead, or could not be stored.",
            "Look at the quarantine on the page, or at `python -m leads list --quarantined`; replay what is a lead. "
            "What could not be stored comes in by itself once it can be.",
            about="quarantine",
        )
