"""What a crash or a lost message left undone: every open line of the journal is looked at until its lead is closed.

It also alerts, lists raw bytes that never became an event (hourly), purges (daily) and sends the digest, each from
stored state only.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from leads import log
from leads.app import App
from leads.delivery import is_claimed
from leads.errors import Failure
from leads.intake import accept
from leads.lead import Delivery, Lead, State, halves
from leads.store.ledger import BACKFILLED, GONE, RAW, Case, Line
from leads.store.protocol import Changed, Value
from leads.store.rows import time_read, time_text
from leads.sweep import concerns, drift, purge, recovery, silence

OVERDUE = timedelta(minutes=2)
RING_AGAIN = timedelta(hours=1)
LIST_RAW = timedelta(hours=1)
LIST_ALL_RAW = timedelta(days=1)
PURGE = timedelta(days=1)
TELL_SILENCE = timedelta(hours=1)
LINES_PER_RUN = 2000
"""Open lines that one run looks at; the next run goes on behind them."""
RAWS_PER_RUN = 5000
"""Blobs of raw that one run looks up; the next run goes on behind them."""
STUCK_PER_RUN = 5
"""Leads that cannot be looked at before a run takes it that the storage is broken."""
LOOK_SECONDS, LIST_SECONDS, CLOSE_SECONDS = 60.0, 100.0, 180.0
"""Seconds since its start after which a run ends each of these, however much is left: the host ends it at 300. What
comes behind closing is not begun after that, either."""


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
    delivered: list[Delivery] = field(default_factory=list)
    leads: list[Lead] = field(default_factory=list)
    stuck: int = 0
    began: float = field(default_factory=time.monotonic)

    def late(self, seconds: float) -> bool:
        """Whether the run is at work for longer than that."""
        return time.monotonic() - self.began > seconds


def sweep(app: App, now: datetime) -> None:
    """Look at the open leads once; redo, ring, alert, close, and do the hourly and the daily work when it is due.

    A lead or a part of the work that fails does not keep the rest waiting. Raises RuntimeError at the end if any did.
    """
    note = app.ledger.note("sweep")
    values = dict(note.values)
    tally = _Tally()
    looked_at: set[str] = set()
    failed = [
        name
        for name, work in (
            ("lines", lambda: _look_at_lines(app, values, now, tally, looked_at)),
            ("raw", lambda: _list_raw(app, values, now, tally)),
            ("waiting", lambda: _take_waiting(app, values, now, tally)),
            ("deliveries", lambda: _tell_deliveries(app, values, now, tally)),
            ("quarantine", lambda: concerns.tell_quarantine(app, time_read(values.get("ran_at")) or now, now)),
            ("watch", lambda: concerns.tell_watch(app, time_read(values.get("first_ran_at")) or now, now)),
            ("settings", lambda: concerns.tell_settings(app, now)),
            ("closing", lambda: _close_finished(app, tally)),
            ("purge", lambda: _purge(app, values, now)),
            ("arrivals", lambda: silence.note(app, tally.leads, now)),
            ("silence", lambda: _tell_silence(app, values, now)),
            ("offers", lambda: drift.look(app, now)),
        )
        if tally.late(CLOSE_SECONDS) or not _done(name, work)
    ]
    values |= {"first_ran_at": values.get("first_ran_at") or time_text(now)}
    if not failed:
        values["ran_at"] = time_text(now)
    values |= {"open": tally.open - tally.closed, "oldest_open_at": time_text(tally.oldest) if tally.oldest else ""}
    values["dead"] = _count_dead(app, looked_at, tally, now)
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
    _send_digest(app, now)
    if failed or tally.stuck:
        raise RuntimeError(f"The sweep could not end all of its work: {tally.stuck} leads; {', '.join(failed)}.")


def _look_at_lines(app: App, values: dict[str, Value], now: datetime, tally: _Tally, looked_at: set[str]) -> None:
    """Look at open lines from where the last run stopped, and note which they were."""
    start, values["cursor"] = str(values.get("cursor", "")), ""
    for line in app.ledger.open_lines(start):
        looked_at.add(line.lead_id)
        try:
            _look(app, line, now, tally)
        except Exception as error:  # noqa: BLE001 - told below, after the other leads had their turn
            _stuck(tally, line.lead_id, error)
            tally.oldest = min(tally.oldest or line.arrived_at, line.arrived_at)
        if len(looked_at) == LINES_PER_RUN or tally.stuck == STUCK_PER_RUN or tally.late(LOOK_SECONDS):
            values["cursor"] = f"{line.lead_id}0"
            return


def _stuck(tally: _Tally, lead_id: str, error: Exception) -> None:
    tally.stuck += 1
    log.event("lead_stuck", lead=lead_id, reason=f"it could not be looked at ({type(error).__name__})")


def _done(name: str, work: Callable[[], object]) -> bool:
    """Do a part of the work; whether it ended well."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - told by the caller, after the other parts had their turn
        log.event("sweep_failed", part=name, error=type(error).__name__)
        return False
    return True


def _tell_deliveries(app: App, values: dict[str, Value], now: datetime, tally: _Tally) -> None:
    told = concerns.tell_deliveries(app, tally.trouble, now)
    troubled = {destination for _, destination in tally.trouble}
    values["broken"] = recovery.tell(app, str(values.get("broken", "")), told, troubled, tally.delivered, now)


def _tell_silence(app: App, values: dict[str, Value], now: datetime) -> None:
    if _due(values, "silence_at", now, TELL_SILENCE):
        silence.tell(app, time_read(values.get("first_ran_at")) or now, now)
        values["silence_at"] = time_text(now)


def _purge(app: App, values: dict[str, Value], now: datetime) -> None:
    if not _due(values, "purged_at", now, PURGE):
        return
    purged = purge.purge(app, now)
    log.event("purge_ran", purged=purged)
    if purged < purge.LEADS_PER_RUN:
        values["purged_at"] = time_text(now)


def _send_digest(app: App, now: datetime) -> None:
    """Send yesterday's digests that are due; one that fails is tried again by the next sweep."""
    from leads import enabled

    for name in app.destinations:
        if enabled.split(name)[0] != "email":
            continue
        from leads.sweep import digest

        note = app.ledger.note(f"digest:{name}")
        try:
            sent = digest.run(name, app.environ, time_read(note.values.get("sent_at")), now, app.ledger.leads_between)
        except Failure as failure:
            log.event("digest_failed", cause=failure.cause, remedy=failure.remedy)
            continue
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
        if delivery.state == State.DELIVERED:
            tally.delivered.append(delivery)
    tally.leads.append(case.lead)
    if all(delivery.state != State.OPEN for delivery in case.deliveries):
        tally.finished.append((line, case))
    else:
        tally.oldest = min(tally.oldest or line.arrived_at, line.arrived_at)


def _redo(app: App, line: Line, now: datetime, tally: _Tally) -> None:
    """Finish an intake that stopped behind its open line, or drop a line that leads nowhere."""
    seen = app.ledger.seen(halves(line.lead_id)[1])
    if seen is not None and (seen.fate == GONE or (seen.fate != BACKFILLED and seen.lead_id != line.lead_id)):
        app.ledger.drop_open_line(line.lead_id)
        tally.closed += 1
        return
    tally.oldest = min(tally.oldest or line.arrived_at, line.arrived_at)
    # The line may name bytes that gave way to those of the event, when two intakes of one event met midnight.
    if accept.redo(app, (seen.raw if seen else "") or line.raw, now) is None:
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


def _list_raw(app: App, values: dict[str, Value], now: datetime, tally: _Tally) -> None:
    """Accept raw bytes that never became an event: the intake stopped right behind the first step.

    The bytes since the last listing are listed hourly, those of two weeks daily. What is too long for one run goes on
    in the next, behind the name where it stopped.
    """
    cursor = str(values.get("raw_cursor", ""))
    if not cursor:
        if not _due(values, "raw_listed_at", now, LIST_RAW):
            return
        values["raw_since"] = str(values.get("raw_listed_at", "")) or time_text(now)
        if _due(values, "all_raw_listed_at", now, LIST_ALL_RAW):
            values["raw_since"] = time_text(now - timedelta(days=concerns.DAYS_LISTED))
            values["all_raw_listed_at"] = time_text(now)
        values["raw_began_at"] = time_text(now)
    looked_up = 0
    for day in concerns.days_since(time_read(values.get("raw_since")) or now, now):
        if f"{day:%Y/%m/%d}" < cursor[:10]:
            continue
        for name, _ in app.store.blobs(RAW, f"{day:%Y/%m/%d}/"):
            if name <= cursor:
                continue
            try:
                tally.redone += _look_up(app, name, now)
            except Exception as error:  # noqa: BLE001 - told by the caller, after the other bytes had their turn
                _stuck(tally, PurePosixPath(name).stem, error)
            looked_up += 1
            if looked_up == RAWS_PER_RUN or tally.stuck >= STUCK_PER_RUN or tally.late(LIST_SECONDS):
                values["raw_cursor"] = name
                return
    values["raw_cursor"] = ""
    values["raw_listed_at"] = str(values.get("raw_began_at", "")) or time_text(now)


def _take_waiting(app: App, values: dict[str, Value], now: datetime, tally: _Tally) -> None:
    """Accept, once an hour, the leads that could not be stored when they came."""
    if _due(values, "waiting_at", now, LIST_RAW):
        tally.redone += accept.take_waiting(app, now)
        values["waiting_at"] = time_text(now)


def _look_up(app: App, name: str, now: datetime) -> bool:
    """Accept the bytes of this name if their event is not known, and say so; delete those of a lead that is gone."""
    seen = app.ledger.seen(PurePosixPath(name).stem)
    if seen is None or seen.fate == BACKFILLED:
        accept.redo(app, name, now)
        return True
    if seen.raw != name or seen.fate == GONE:
        app.store.delete_blob(RAW, name)
    return False


def _close_finished(app: App, tally: _Tally) -> None:
    """Close what is finished, as far as the time goes; the rest is found again by the next run."""
    for line, case in tally.finished:
        if tally.late(CLOSE_SECONDS):
            return
        _close(app, line, case, tally)


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
