"""What a crash or a lost message left undone: every open line of the journal is looked at until its lead is closed.

It also alerts, lists raw bytes that never became an event (hourly), purges (daily) and sends the digest, each from
stored state only.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import PurePosixPath

from leads import concerns, intake, log, purge
from leads.app import App
from leads.delivery import is_claimed
from leads.errors import Failure
from leads.lead import Delivery, State
from leads.ledger import BACKFILLED, GONE, RAW, Case, Line
from leads.rows import time_read, time_text
from leads.store import Changed, Value

OVERDUE = timedelta(minutes=2)
RING_AGAIN = timedelta(hours=1)
LIST_RAW = timedelta(hours=1)
PURGE = timedelta(days=1)
LINES_PER_RUN = 2000
"""Open lines that one run looks at; the next run goes on behind them."""


@dataclass
class _Tally:
    redone: int = 0
    rung: int = 0
    closed: int = 0
    open: int = 0
    oldest: datetime | None = None
    dead: int = 0
    finished: list[tuple[Line, Case]] = field(default_factory=list)
    trouble: dict[tuple[str, str], list[Delivery]] = field(default_factory=dict)


def sweep(app: App, now: datetime) -> None:
    """Look at the open leads once; redo, ring, alert, close, and do the hourly and the daily work when it is due."""
    note = app.ledger.note("sweep")
    values = dict(note.values)
    tally = _Tally()
    start = str(values.get("cursor", ""))
    lines = list(islice(app.ledger.open_lines(start), LINES_PER_RUN))
    for line in lines:
        _look(app, line, now, tally)
    values["cursor"] = f"{lines[-1].lead_id}0" if len(lines) == LINES_PER_RUN else ""
    if _due(values, "raw_listed_at", now, LIST_RAW):
        daily = _due(values, "purged_at", now, PURGE)
        since = now - timedelta(days=concerns.DAYS_LISTED) if daily else time_read(values.get("raw_listed_at")) or now
        tally.redone += _list_raw(app, since, now)
        values["raw_listed_at"] = time_text(now)
    concerns.tell_deliveries(app, tally.trouble, now)
    concerns.tell_quarantine(app, time_read(values.get("ran_at")) or now, now)
    concerns.tell_watch(app, time_read(values.get("first_ran_at")) or now, now)
    concerns.tell_settings(app, now)
    for line, case in tally.finished:
        _close(app, line, case, tally)
    if _due(values, "purged_at", now, PURGE):
        log.event("purge_ran", purged=purge.purge(app, now))
        values["purged_at"] = time_text(now)
    _send_digest(app, now)
    values |= {"ran_at": time_text(now), "first_ran_at": values.get("first_ran_at") or time_text(now)}
    values |= {"open": tally.open - tally.closed, "oldest_open_at": time_text(tally.oldest) if tally.oldest else ""}
    values["dead"] = _count_dead(app, {line.lead_id for line in lines}, tally, now)
    values["misconfigured"] = ", ".join(sorted(name for kind, name in tally.trouble if kind == "misconfigured"))
    try:
        app.ledger.write_note(replace(note, values=values))
    except Changed:
        return  # Another sweep ran at the same time, and its note is as good.
    log.event(
        "sweep_ran",
        open=tally.open - tally.closed,
        oldest_open_seconds=round((now - tally.oldest).total_seconds()) if tally.oldest else 0,
        redone=tally.redone,
        rung=tally.rung,
        closed=tally.closed,
        dead=tally.dead,
    )


def _send_digest(app: App, now: datetime) -> None:
    """Send yesterday's digest when it is due; one that fails is tried again by the next sweep."""
    if not app.environ.get("EMAIL_DIGEST"):
        return
    from leads import digest

    note = app.ledger.note("digest")
    try:
        sent = digest.run(app.environ, time_read(note.values.get("sent_at")), now, app.ledger.leads_between)
    except Failure as failure:
        log.event("digest_failed", cause=failure.cause, remedy=failure.remedy)
        return
    if sent:
        with contextlib.suppress(Changed):
            app.ledger.write_note(replace(note, values={"sent_at": time_text(now)}))


def _count_dead(app: App, looked_at: set[str], tally: _Tally, now: datetime) -> int:
    """The dead deliveries of leads of the last days, for health: of the open leads, and of those that are closed."""
    closed = (
        row
        for back in range(concerns.DAYS_LISTED)
        for row in app.ledger.day_lines(f"{now - timedelta(days=back):%Y-%m-%d}")
        if row.key not in looked_at
    )
    return tally.dead + sum(
        value == State.DEAD for row in closed for name, value in row.values.items() if name.startswith("to_")
    )


def _due(values: dict[str, Value], name: str, now: datetime, every: timedelta) -> bool:
    last = time_read(values.get(name))
    # A time to come was noted by a clock that ran ahead: it counts for nothing.
    return last is None or not timedelta(0) <= now - last < every


def _look(app: App, line: Line, now: datetime, tally: _Tally) -> None:
    tally.open += 1
    case = app.ledger.case(line.lead_id)
    if case is None:
        _redo(app, line, now, tally)
        return
    for delivery in case.deliveries:
        if _overdue(delivery, now):
            try:
                app.ledger.save(replace(delivery, rung_at=now))
            except Changed:
                continue
            app.ring(delivery.lead_id, delivery.destination)
            tally.rung += 1
        kind = concerns.trouble(delivery)
        if kind:
            tally.trouble.setdefault((kind, delivery.destination), []).append(delivery)
        tally.dead += delivery.state == State.DEAD
    if all(delivery.state != State.OPEN for delivery in case.deliveries):
        tally.finished.append((line, case))
    else:
        tally.oldest = min(tally.oldest or line.arrived_at, line.arrived_at)


def _redo(app: App, line: Line, now: datetime, tally: _Tally) -> None:
    """Finish an intake that stopped behind its open line, or drop a line that leads nowhere."""
    seen = app.ledger.seen(line.lead_id.partition("-")[2])
    if seen is not None and (seen.fate == GONE or (seen.fate != BACKFILLED and seen.lead_id != line.lead_id)):
        app.ledger.drop_open_line(line.lead_id)
        tally.closed += 1
        return
    tally.oldest = min(tally.oldest or line.arrived_at, line.arrived_at)
    if intake.redo(app, line.raw, now) is None:
        log.event("lead_stuck", lead=line.lead_id, reason="its bytes are no longer in raw")
        return
    tally.redone += 1


def _overdue(delivery: Delivery, now: datetime) -> bool:
    return (
        delivery.state == State.OPEN
        and now - delivery.next_at > OVERDUE
        and not is_claimed(delivery, now)
        and (delivery.rung_at is None or not timedelta(0) <= now - delivery.rung_at < RING_AGAIN)
    )


def _list_raw(app: App, since: datetime, now: datetime) -> int:
    """Accept raw bytes that never became an event: the intake stopped right behind the first step."""
    redone = 0
    for day in concerns.days_since(since, now):
        for name, _ in app.store.blobs(RAW, f"{day:%Y/%m/%d}/"):
            seen = app.ledger.seen(PurePosixPath(name).stem)
            if seen is None or seen.fate == BACKFILLED:
                intake.redo(app, name, now)
                redone += 1
            elif seen.raw != name or seen.fate == GONE:
                app.store.delete_blob(RAW, name)
    return redone


def _close(app: App, line: Line, case: Case, tally: _Tally) -> None:
    """Close a finished lead. One that died stays open until the operators know."""
    dead = [d for d in case.deliveries if d.state == State.DEAD]
    for delivery in dead:
        current = app.ledger.delivery(delivery.lead_id, delivery.destination)
        if current is None or (current.state == State.DEAD and current.alerted_at is None):
            return
    summary: dict[str, Value] = {f"to_{d.destination}": d.state for d in case.deliveries}
    summary |= {"stage": case.lead.stage, "offer": case.lead.offer_name[:200], "is_test": case.lead.is_test}
    summary["offer_id"] = case.lead.offer[:200]
    try:
        app.ledger.close(line, summary)
    except Changed:
        return
    tally.closed += 1
