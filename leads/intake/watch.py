"""New rows of the watched tables since the last look.

Azure tables raise no events and do not index `Timestamp`, so there are two ways of looking. Every run reads the
partitions of the last days one by one, which is cheap as long as the keys are days. A full scan by `Timestamp` on the
first run, then daily, finds what the keys do not show; while the newest row's key is not the day on which it was
written it runs every 15 minutes. Rows with a known event are no-ops, so both overlap generously. One run works off a
bounded number of rows, several at a time, and notes where the next one goes on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from leads import log
from leads.app import App
from leads.errors import Misconfigured
from leads.intake import accept
from leads.intake.accept import Receipt
from leads.settings import OWN_TABLES
from leads.store.ledger import BACKFILLED, Seen
from leads.store.protocol import Changed, Row, Value
from leads.store.rows import time_read, time_text

OVERLAP = timedelta(minutes=15)
FULL_SCAN = timedelta(days=1)
FULL_SCAN_OF_STRANGE_KEYS = timedelta(minutes=15)
ROWS_PER_RUN = 5000
"""Rows of a full scan that one run works off; the next run goes on where it stopped."""

RUN_SECONDS = 90.0
"""Seconds after which a run begins no further page: the host ends it at 300, and a page of new rows may take 60."""
DAYS_AT_LEAST = 10
"""Days that a run asks for however late it is. A first run with ten years of LEADS_BACKFILL_DAYS asks for thousands."""
FAILURES_PER_RUN = 10
"""Rows that cannot be taken before a run takes it that the storage is broken."""
ROWS_AT_ONCE = 8
"""Rows that are taken at the same time, since each waits for the storage most of its time. The connections that the
storage library keeps are ten."""


@dataclass
class _Run:
    """One look at one table."""

    app: App
    table: str
    now: datetime
    oldest: str
    """Rows with an earlier `Timestamp` only get an event: they are older than the app."""
    budget: int = ROWS_PER_RUN
    rows: int = 0
    accepted: int = 0
    repeated: int = 0
    quarantined: int = 0
    backfilled: int = 0
    newest: str = ""
    """The `Timestamp` of the newest row read."""
    newest_is_day: bool = False
    """Whether that row lies where Microsoft's keys and its time say."""
    served_at: str = ""
    """When the storage answered the first question of the scan, by its own clock."""
    failed: list[str] = field(default_factory=list)
    """What kept rows from being taken."""
    stop_at: float = math.inf
    """When to begin no further page, by the monotonic clock."""

    @property
    def is_late(self) -> bool:
        """Whether the time for this run is used up."""
        return time.monotonic() >= self.stop_at


def watch(app: App, now: datetime) -> None:
    """Look at every watched table once. A table that fails does not keep the others waiting; its error is raised."""
    failed = []
    stop_at = time.monotonic() + RUN_SECONDS
    for table in app.settings.inbox_tables:
        try:
            _refuse_own(app, table)
            _watch_table(app, table, now, stop_at)
        except Exception as error:  # noqa: BLE001 - raised below, after the other tables had their turn
            log.event("watch_failed", table=table, error=type(error).__name__)
            failed.append(f"{table} ({type(error).__name__})")
    if failed:
        raise RuntimeError(f"These tables could not be read to the end: {', '.join(failed)}. The next run goes on.")


def _refuse_own(app: App, table: str) -> None:
    """Raise Misconfigured for a table of our own: every lead read from it would make the next one."""
    storage = app.settings.storage
    if table.lower() in OWN_TABLES and storage is not None and app.inbox.account == storage.name:
        raise Misconfigured(
            f"{table} is a table of this app, which the app never watches.",
            "Name Microsoft's table, MarketplaceLeads, in LEADS_INBOX_TABLES.",
        )


def _watch_table(app: App, table: str, now: datetime, stop_at: float) -> None:
    """Look at one table: the partitions of the last days, then a stretch of the full scan if one is due."""
    note = app.ledger.note(f"watch:{table.lower()}")
    if note.values.get("account") != app.inbox.account:
        # Noted before anything is read: what comes while the first runs fail is not older than the app. Watermarks say
        # nothing of another account.
        first_run_at = str(note.values.get("first_run_at", "")) or time_text(now)
        blank = replace(note, values={})
        note = _advance(app, blank, {"first_run_at": first_run_at, "account": app.inbox.account})
    oldest = _older_than_the_app(app, note, now)
    run = _Run(app, table, now, time_text(oldest), stop_at=stop_at)
    note = _advance(app, note, _read_days(run, note, oldest))
    scan = _scan(run, note)
    ran: dict[str, Value] = {} if run.failed else {"ran_at": time_text(now)}
    _advance(app, note, ran | scan | _newest(run, note))
    log.event(
        "watch_ran",
        table=table,
        rows=run.rows,
        accepted=run.accepted,
        repeated=run.repeated,
        quarantined=run.quarantined,
        backfilled=run.backfilled,
        full_scan=bool(scan),
    )
    if run.failed:
        raise RuntimeError(f"{len(run.failed)} rows could not be taken: {', '.join(sorted(set(run.failed)))}.")


def _older_than_the_app(app: App, note: Row, now: datetime) -> datetime:
    """What was written before this moment is older than the app."""
    return (time_read(note.values.get("first_run_at")) or now) - timedelta(days=app.settings.backfill_days)


def is_older_than_the_app(app: App, table: str, row: Mapping[str, Any], now: datetime) -> bool:
    """Whether a row of a watched table is from before the app, so that it becomes a lead only on purpose."""
    note = app.ledger.note(f"watch:{table.lower()}")
    return str(row["Timestamp"]) < time_text(_older_than_the_app(app, note, now))


def day_key(day: datetime) -> str:
    """The PartitionKey of a day as Microsoft writes it: `9/28/2018` with each slash as `:2F`."""
    return f"{day.month}:2F{day.day}:2F{day.year}"


def is_day_of(key: str, stamp: str) -> bool:
    """Whether a PartitionKey is the day of the row's `Timestamp`, or one beside it, exactly as `day_key` writes it.

    Partitions are asked for by their keys, so a day that is written in any other way is never found by them.
    """
    written = time_read(stamp)
    return written is not None and any(key == day_key(written + timedelta(days=days)) for days in (-1, 0, 1))


def _days(watermark: datetime, now: datetime) -> Iterator[datetime]:
    """Each day from tomorrow back to the one before the watermark: Microsoft's day may not be ours."""
    day = now + timedelta(days=1)
    while day.date() >= (watermark - timedelta(days=1)).date():
        yield day
        day -= timedelta(days=1)


def _since(moment: datetime) -> str:
    return f"Timestamp ge datetime'{time_text(moment)}'"


def _read_days(run: _Run, note: Row, oldest: datetime) -> dict[str, Value]:
    """Read the partitions of the days since the watermark; what the note should say afterwards.

    The watermark moves only when every row is durable. A pass that is too long for one run goes on where it stopped;
    one in which a row could not be taken begins again.
    """
    values = note.values
    # A clock that once ran ahead must not make this one skip anything.
    watermark = min(time_read(values.get("watermark")) or oldest, run.now)
    stopped_on, token = str(values.get("pass_day", "")), str(values.get("pass_token", ""))
    began = str(values.get("pass_began_at", "")) or time_text(run.now)
    looked = 0
    for day in _days(watermark, run.now):
        if stopped_on and f"{day:%Y-%m-%d}" > stopped_on:
            continue
        is_over = looked >= DAYS_AT_LEAST and run.is_late
        looked += 1
        condition = f"PartitionKey eq '{day_key(day)}' and {_since(watermark - OVERLAP)}"
        stop = "" if is_over else _work_off(run, condition, token if f"{day:%Y-%m-%d}" == stopped_on else "")
        if is_over or stop:
            under_way: dict[str, Value] = {"pass_began_at": began, "pass_day": f"{day:%Y-%m-%d}", "pass_token": stop}
            return under_way | {"pass_failed": bool(run.failed) or values.get("pass_failed") is True}
    done: dict[str, Value] = {"pass_began_at": "", "pass_day": "", "pass_token": "", "pass_failed": False}
    return done if run.failed or values.get("pass_failed") is True else done | {"watermark": began}


def _scan(run: _Run, note: Row) -> dict[str, Value]:
    """Work off a stretch of the full scan, if one is under way or due; what the note should say afterwards.

    The watermark of scans is when the last *completed* one began, by the clock of the storage itself, whatever ours
    says: whatever was written behind its cursor is newer than that. Where the storage did not say the time it is the
    newest `Timestamp` that was known by then; and where no row was, the next scan reads everything once more.
    """
    values = note.values
    watermark = str(values.get("scan_watermark", ""))
    began, cursor = str(values.get("scan_began_at", "")), str(values.get("scan_cursor", ""))
    following = str(values.get("scan_following", ""))
    if run.is_late:
        return {}
    if not began:
        last = time_read(values.get("scanned_at"))
        every = FULL_SCAN if values.get("keys_are_days") is True else FULL_SCAN_OF_STRANGE_KEYS
        if last is not None and timedelta(0) <= run.now - last < every:
            return {}
        began, cursor = time_text(run.now), ""
        following = max(str(values.get("last_row_at", "")), run.newest)
    run.served_at = ""
    since, failed_before = time_read(watermark), len(run.failed)
    begins = not cursor
    stop = _work_off(run, _since(since - OVERLAP) if since else "", cursor)
    if begins:
        following = run.served_at or following
    failed = len(run.failed) > failed_before or values.get("scan_failed") is True
    if stop:
        return {"scan_began_at": began, "scan_cursor": stop, "scan_following": following, "scan_failed": failed}
    done: dict[str, Value] = {"scan_began_at": "", "scan_cursor": "", "scan_following": "", "scan_failed": False}
    return done if failed else done | {"scanned_at": began, "scan_watermark": max(watermark, following)}


def _work_off(run: _Run, condition: str, token: str) -> str:
    """Take all rows that meet the condition; where the budget of rows or of time ends first, the token to go on from.

    A row that cannot be taken does not keep the others waiting, unless there are many: then its error is raised.
    """
    for page in run.app.inbox.pages(run.table, condition, token):
        if page.served_at and not run.served_at:
            run.served_at = time_text(page.served_at)
        _take_all(run, page.rows)
        run.budget -= len(page.rows)
        if page.token and (run.budget <= 0 or run.is_late):
            return page.token
    return ""


def _take_all(run: _Run, rows: Sequence[Mapping[str, Any]]) -> None:
    """Make the rows of a page durable, several at a time. All that were begun have ended when this returns or raises.

    What a row comes to is counted, and logged, in the thread of the function and in the order of the rows.
    """
    take = partial(_tried, run.app, run.table, run.now, run.oldest)
    if ROWS_AT_ONCE == 1 or len(rows) < 2:
        _tally(run, rows, map(take, rows))
        return
    from concurrent.futures import ThreadPoolExecutor

    _ = run.app.identity  # made once, not by each thread
    pool = ThreadPoolExecutor(ROWS_AT_ONCE)
    try:
        _tally(run, rows, pool.map(take, rows))
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a row came to."""

    receipt: Receipt | None
    """None where the row only got an event, or failed."""
    error: Exception | None
    lines: Sequence[Callable[[], None]]
    """What was to be logged."""


def _tried(app: App, table: str, now: datetime, oldest: str, row: Mapping[str, Any]) -> _Taken:
    with log.held() as lines:
        try:
            return _Taken(_take(app, table, now, oldest, row), None, lines)
        except Exception as error:  # noqa: BLE001 - counted and raised by the caller
            return _Taken(None, error, lines)


def _take(app: App, table: str, now: datetime, oldest: str, row: Mapping[str, Any]) -> Receipt | None:
    """Make one row durable: as a lead, or as an event only where it is older than the app; then there is no receipt."""
    if str(row["Timestamp"]) < oldest:
        app.ledger.remember(accept.event_of_row(app, table, row), Seen("", fate=BACKFILLED), now)
        return None
    return accept.receive_row(app, table, row, now)


def _tally(run: _Run, rows: Sequence[Mapping[str, Any]], all_taken: Iterable[_Taken]) -> None:
    """Count what the rows came to. Raises the last error where so many failed that the storage is broken."""
    for row, taken in zip(rows, all_taken, strict=True):
        for line in taken.lines:
            line()
        run.rows += 1
        stamp = str(row["Timestamp"])
        if stamp >= run.newest:
            run.newest, run.newest_is_day = stamp, is_day_of(str(row["PartitionKey"]), stamp)
        receipt = taken.receipt
        if taken.error is not None:
            run.failed.append(type(taken.error).__name__)
            if len(run.failed) == FAILURES_PER_RUN:
                raise taken.error
        elif receipt is None:
            run.backfilled += 1
        else:
            run.quarantined += receipt.quarantined
            run.repeated += receipt.repeated
            run.accepted += not (receipt.quarantined or receipt.repeated)


def _newest(run: _Run, note: Row) -> dict[str, Value]:
    """What the newest row that was ever seen looks like."""
    if not run.rows or run.newest < str(note.values.get("last_row_at", "")):
        return {}
    return {"last_row_at": run.newest, "keys_are_days": run.newest_is_day}


def _advance(app: App, note: Row, values: Mapping[str, Value]) -> Row:
    """Write the note on, unless another watch did so meanwhile: then its note stands, and is read.

    A pass that another watch overtook is lost work, never a lost row: each reads every row before it notes that it did.
    Raises RuntimeError where that watch reads another account, as it does while a change of LEADS_INBOX is under way:
    what was read here says nothing of the rows there.
    """
    try:
        return app.ledger.write_note(replace(note, values={**note.values, **values}))
    except Changed:
        there = app.ledger.note(note.key)
        if there.values.get("account") != app.inbox.account:
            raise RuntimeError("Another process watches the table of this name in another account.") from None
        return there
