"""Count what changed: the finished leads of a day, and the dead ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from leads.app import App
from leads.store.ledger import CHANGED, COUNTED, DEAD, STATE
from leads.store.protocol import Row, Value
from leads.store.rows import time_read, time_text
from leads.sweep import days

HOURLY = timedelta(hours=1)
SETTLED = timedelta(minutes=10)
"""What changed this long ago has changed for all to see: the run that noted it has ended."""
DEAD_DAYS = 14
"""Leads that arrived earlier are not news for health; lists have them as long as they are kept."""
FEW = 1000
"""As many dead leads are counted whenever one comes or goes, being one page of storage; more of them hourly."""

OPENED_DAYS = 31
"""Days of which the sweep's note keeps how many leads were open: what a chart of 30 shows, with the one that begins."""

_DAY = f"{CHANGED}day:"
_OPENED = "opened"


def is_due(last: object, now: datetime, every: timedelta) -> bool:
    """Whether it is time again, by when it was last done as a note says."""
    before = time_read(last)
    # A time to come was noted by a clock that ran ahead: it counts for nothing.
    return before is None or not timedelta(0) <= now - before < every


def count(
    app: App, changes: Sequence[Row], values: dict[str, Value], now: datetime, *, is_late: Callable[[], bool]
) -> None:
    """Count the changed days hourly, the newest first, and the dead leads when they changed.

    `changes` is what `Ledger.changes` gave; `values`, the sweep's note, gets the number of the `dead`.
    """
    _count_dead(app, [row for row in changes if row.key == f"{CHANGED}{DEAD}"], values, now)
    changed = [row for row in changes if row.key.startswith(_DAY)]
    if not changed or not is_due(values.get("counted_at"), now, HOURLY):
        return
    # A lead that is replayed counts where it will end.
    replayed = {line.lead_id for line in app.ledger.open_lines() if line.replayed_at}
    for row in reversed(changed):
        if is_late():
            return
        day = row.key.removeprefix(_DAY)
        counts = days.count(line for line in app.ledger.day_lines(day) if line.lead_id not in replayed)
        if counts.leads:
            app.store.upsert(STATE, days.row(day, counts))
        else:
            app.store.delete(STATE, STATE, f"{COUNTED}{day}")
        if _is_settled(row, now):
            app.ledger.unchange(row)
    values["counted_at"] = time_text(now)


def _count_dead(app: App, changes: Sequence[Row], values: dict[str, Value], now: datetime) -> None:
    known = int(values.get("dead_leads", 0))
    hourly = is_due(values.get("dead_counted_at"), now, HOURLY)
    if not (changes or (known and hourly)) or (known > FEW and not hourly):
        return
    since, leads, dead = now - timedelta(days=DEAD_DAYS), 0, 0
    for line in app.ledger.dead_lines():
        leads += 1
        dead += line.dead if line.arrived_at >= since else 0
    values |= {"dead": dead, "dead_leads": leads, "dead_counted_at": time_text(now)}
    for row in changes:
        if _is_settled(row, now):
            app.ledger.unchange(row)


def _is_settled(row: Row, now: datetime) -> bool:
    at = time_read(row.values.get("at"))
    # A time more than a day ahead was written by a clock that counts for nothing.
    return at is None or not -timedelta(days=2) < now - at < SETTLED


def note_open(values: dict[str, Value], leads: int, now: datetime) -> None:
    """Keep the most leads that were open at once on each day (UTC), as whole looks of the sweep found them."""
    most = opened(values)
    day = f"{now:%Y-%m-%d}"
    most[day] = max(most.get(day, 0), leads)
    values[_OPENED] = json.dumps({day: most[day] for day in sorted(most)[-OPENED_DAYS:]})


def opened(values: Mapping[str, Value]) -> dict[str, int]:
    """The most leads that were open at once, by day (`2026-11-21`), out of the sweep's note."""
    return dict(json.loads(str(values.get(_OPENED, "{}"))))
