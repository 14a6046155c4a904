"""Bytes in raw that never became an event: the intake stopped right behind its first step.

All that arrived since the last listing is looked up within the hour, and each day once more as a whole two days later,
for bytes with a wrong time. So nothing is looked up more often than that, however much arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from leads.app import App
from leads.intake import accept
from leads.store.ledger import BACKFILLED, GONE, RAW, UNREADABLE
from leads.store.protocol import Value
from leads.store.rows import time_read, time_text
from leads.sweep.counting import is_due

HOURLY = timedelta(hours=1)
FRESH = timedelta(minutes=2)
"""Bytes that came just now are left to their own intake, and to the next listing."""
SECOND_LOOK = timedelta(days=2)
DAYS_LISTED = 14
"""The most days back that are listed."""
RAWS_PER_RUN = 5000
"""Blobs that one run looks up; the next run goes on behind them."""


@dataclass
class Look:
    """One run's look-ups, and what limits them."""

    app: App
    now: datetime
    is_late: Callable[[], bool]
    failed: Callable[[str, Exception], bool]
    """Called with an event that could not be looked up, and why; returns whether to stop here."""
    left: int = RAWS_PER_RUN
    redone: int = 0


def look(run: Look, values: dict[str, Value]) -> bool:
    """Look up what is due, if anything is, and note in `values` how far it came; whether something was due."""
    if not values.get("raw_goal"):
        if not is_due(values.get("raw_listed_at"), run.now, HOURLY):
            return False
        values["raw_listed_at"], values["raw_goal"] = time_text(run.now), time_text(run.now - FRESH)
    if _new_ones(run, values):
        _whole_days(run, values)
    return True


def _new_ones(run: Look, values: dict[str, Value]) -> bool:
    """Look up what arrived since the last listing; whether it came to the end."""
    goal = time_read(values["raw_goal"]) or run.now
    oldest = run.now - timedelta(days=DAYS_LISTED)
    upto = time_read(values.get("raw_upto")) or oldest
    # Noted by a clock that ran ahead, it says nothing of what arrived meanwhile.
    upto = oldest if upto > run.now else max(upto, oldest)

    def arrived_since(note: object) -> bool:
        at = time_read(note)
        return at is None or upto < at <= goal or at > run.now + FRESH

    days = _days(upto, run.now)
    if not _listed(run, values, "raw_cursor", days, arrived_since):
        return False
    if not values.pop("raw_failed", False):
        values["raw_upto"] = time_text(goal)
    values["raw_goal"] = ""
    return True


def _whole_days(run: Look, values: dict[str, Value]) -> None:
    """Look every blob of a day up that ended a day ago, whenever it says that it arrived."""
    last, oldest = run.now - SECOND_LOOK, run.now - timedelta(days=DAYS_LISTED)
    done = str(values.get("raw_day", ""))
    # Noted by a clock that ran ahead, it says nothing either.
    known = bool(done) and done <= f"{last:%Y-%m-%d}"
    first = max(datetime.fromisoformat(f"{done}T00:00:00Z"), oldest) if known else oldest
    for day in list(_days(first, last))[1:]:
        if not _listed(run, values, "raw_day_cursor", [day], lambda _: True):
            return
        if values.pop("raw_failed", False):
            return
        values["raw_day"] = f"{day:%Y-%m-%d}"


def _days(first: datetime, last: datetime) -> Iterator[datetime]:
    for back in range((last.date() - first.date()).days, -1, -1):
        yield last - timedelta(days=back)


def _listed(
    run: Look,
    values: dict[str, Value],
    cursor: str,
    days: Iterator[datetime] | list[datetime],
    wanted: Callable[[object], bool],
) -> bool:
    """Look up the wanted ones of these days, behind the name where the last run stopped; whether it came to the end."""
    start = str(values.get(cursor, ""))
    for day in days:
        if f"{day:%Y/%m/%d}" < start[:10]:
            continue
        for name, note in run.app.store.blobs(RAW, f"{day:%Y/%m/%d}/"):
            if name <= start or not wanted(note.get("arrived_at")):
                continue
            stop = False
            try:
                run.redone += _look_up(run.app, name, run.now)
            except Exception as error:  # noqa: BLE001 - reported by the caller, after the other bytes had their turn
                values["raw_failed"] = True
                stop = run.failed(PurePosixPath(name).stem, error)
            run.left -= 1
            if run.left <= 0 or stop or run.is_late():
                values[cursor] = name
                return False
    values[cursor] = ""
    return True


def _look_up(app: App, name: str, now: datetime) -> bool:
    """Accept the bytes of this name if they are not a lead yet, and say so; delete those of a lead that is gone.

    What could not be read may be read by a later version of the app.
    """
    seen = app.ledger.seen(PurePosixPath(name).stem)
    if seen is None or seen.fate in (BACKFILLED, UNREADABLE):
        receipt = accept.redo(app, name, now)
        return receipt is not None and not receipt.quarantined
    if seen.raw != name or seen.fate == GONE:
        app.store.delete_blob(RAW, name)
    return False
