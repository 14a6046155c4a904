"""What a crash or a lost message left undone: every open line of the journal is looked at until its lead is closed.

It also alerts, counts, lists raw bytes that never became an event (hourly), purges (daily) and sends the digest, each
from stored state only. A run without work costs the same whatever the history: it reads what is open and new.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from leads import enabled, log
from leads.app import App
from leads.delivery import FLOOD_WINDOW, is_claimed
from leads.errors import Failure
from leads.intake import accept
from leads.lead import Contact, Delivery, Lead, Outcome, State, halves
from leads.store.ledger import BACKFILLED, GONE, SWEEP, Case, DayLine, Line
from leads.store.protocol import Changed, Row, Value
from leads.store.rows import time_read, time_text
from leads.sweep import concerns, counting, drift, floods, purge, raws, silence
from leads.sweep.alerts import through
from leads.sweep.cycle import Cycle, figures

OVERDUE = timedelta(minutes=2)
RING_AGAIN = timedelta(hours=1)
PURGE = timedelta(days=1)
TELL_SILENCE = timedelta(hours=12)
TAKE_WAITING = timedelta(hours=1)
REPLAYED = timedelta(minutes=30)
"""A line that a replay wrote is closed after this at the earliest: a sweep that read the lead before has ended then."""
LINES_PER_RUN = 10_000
"""Open lines that one run looks at; the next run goes on behind them."""
STUCK_PER_RUN = 5
"""Leads that cannot be looked at before a run takes it that the storage is broken."""
LOOK_SECONDS, LIST_SECONDS, CLOSE_SECONDS, LAST_SECONDS = 60.0, 100.0, 180.0, 210.0
"""Seconds since its start after which a run ends looking, listing and closing, and begins nothing more, however much
is left: the host ends it at 300."""


@dataclass(frozen=True, slots=True)
class _Finished:
    """A lead without work left."""

    line: Line
    summary: DayLine
    dead: tuple[Delivery, ...]
    fresh: tuple[str, ...]
    """Destinations with which it was done within the hour. A lead may be closed long after that."""
    recovered: tuple[str, ...]
    """Destinations that took it after the alert about them."""


@dataclass
class _Run:
    """One run: what it works with, and what came of it."""

    app: App
    now: datetime
    values: dict[str, Value]
    """What the sweep's note says, and will say."""
    cycle: Cycle
    troubled: dict[str, concerns.Troubled]
    redone: int = 0
    rung: int = 0
    closed: int = 0
    is_whole: bool = False
    """Whether the cycle came to its end in this run."""
    finished: list[_Finished] = field(default_factory=list)
    leads: list[Lead] = field(default_factory=list)
    """Those that were looked at, without what their customers wrote: there may be thousands."""
    has_listed: bool = False
    """Whether this run did the hourly listing, so that other hourly work is left to the next one."""
    closed_at: Counter[str] = field(default_factory=Counter)
    """Deliveries of the leads that this run closed, by destination, as far as they ended within the hour."""
    opened_at: Counter[str] = field(default_factory=Counter)
    """Deliveries of open leads that arrived within the hour, by destination."""
    held: dict[str, list[floods.Held]] = field(default_factory=dict)
    """Deliveries that wait for a summary, by destination."""
    stuck: int = 0
    changes: list[Row] = field(default_factory=list)
    through: dict[tuple[str, str], datetime | None] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def is_late(self, seconds: float) -> bool:
        """Whether the run is at work for longer than that."""
        return time.monotonic() - self.began > seconds

    def is_reported(self, kind: str, delivery: Delivery) -> bool:
        """Whether somebody took an alert that counted this delivery."""
        if delivery.alerted_at is None:
            return False
        about = (kind, delivery.destination)
        if about not in self.through:
            self.through[about] = through(self.app, *about)
        upto = self.through[about]
        return upto is not None and delivery.alerted_at <= upto


def sweep(app: App, now: datetime) -> None:
    """Look at the open leads once; redo, ring, alert, close, and do the hourly and the daily work when it is due.

    A lead or a part of the work that fails does not keep the rest waiting. Raises RuntimeError at the end if any did.
    """
    note = app.ledger.note(SWEEP)
    values = dict(note.values)
    last = figures(values.get("figures"))
    under_way = figures(values.get("cycle"))
    cycle = under_way or Cycle.after(last.began_at if last else "", now)
    run = _Run(app, now, values, cycle, concerns.read_troubled(values.get("troubled")))
    failed = [
        name
        for name, work, until in (
            ("lines", lambda: _look_at_lines(run), CLOSE_SECONDS),
            ("raw", lambda: _look_at_raw(run), CLOSE_SECONDS),
            ("deliveries", lambda: _tell_deliveries(run), CLOSE_SECONDS),
            ("unnoted", lambda: _find_unnoted(run), CLOSE_SECONDS),
            ("changes", lambda: run.changes.extend(app.ledger.changes()), CLOSE_SECONDS),
            ("quarantine", lambda: _tell_quarantine(run), CLOSE_SECONDS),
            ("waiting", lambda: _take_waiting(run), CLOSE_SECONDS),
            ("watch", lambda: _tell_watch(run), CLOSE_SECONDS),
            ("settings", lambda: _tell_settings(run), CLOSE_SECONDS),
            ("closing", lambda: _close_finished(run), CLOSE_SECONDS),
            ("recovery", lambda: _tell_recovery(run), LAST_SECONDS),
            ("floods", lambda: _look_at_floods(run), LAST_SECONDS),
            ("routes", lambda: _keep_routes(run), LAST_SECONDS),
            ("arrivals", lambda: silence.note(app, run.leads, now), LAST_SECONDS),
            ("silence", lambda: _tell_silence(run), LAST_SECONDS),
            ("offers", lambda: drift.look(app, now), LAST_SECONDS),
            ("counting", lambda: _count(run), LAST_SECONDS),
            ("digest", lambda: _send_digest(run), LAST_SECONDS),
            ("purge", lambda: _purge(run), LAST_SECONDS),
        )
        if run.is_late(until) or not _done(name, work)
    ]
    _note(run, failed=bool(failed))
    try:
        app.ledger.write_note(replace(note, values=values))
    except Changed:
        return  # Another sweep ran at the same time, and its note is as good.
    whole = figures(values.get("figures")) or Cycle(run.cycle.began_at)
    oldest = time_read(whole.oldest_open_at)
    log.event(
        "sweep_ran",
        open=whole.open,
        oldest_open_seconds=round((now - oldest).total_seconds()) if oldest else 0,
        redone=run.redone,
        rung=run.rung,
        closed=run.closed,
        dead=int(values.get("dead", 0)),
    )
    if failed or run.stuck:
        raise RuntimeError(f"The sweep could not end all of its work: {run.stuck} leads; {', '.join(failed)}.")


def _note(run: _Run, *, failed: bool) -> None:
    values, now = run.values, run.now
    values["first_ran_at"] = str(values.get("first_ran_at", "")) or time_text(now)
    if not failed:
        values["ran_at"] = time_text(now)
    if run.is_whole:
        values["figures"], values["cycle"] = run.cycle.text(), ""
        counting.note_open(values, run.cycle.open, now)
    else:
        values["cycle"] = run.cycle.text()
    values["troubled"] = concerns.troubled_text(run.troubled)
    good = concerns.good_destinations(run.app)
    if good:
        values["destinations"] = ",".join(good)


def _done(name: str, work: Callable[[], object]) -> bool:
    """Do a part of the work; whether it ended well."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - reported by the caller, after the other parts had their turn
        log.event("sweep_failed", part=name, error=type(error).__name__)
        return False
    return True


def _look_at_lines(run: _Run) -> None:
    """Look at open lines from where the last run stopped, to the end or as far as this run may go."""
    for looked, line in enumerate(run.app.ledger.open_lines(run.cycle.cursor), 1):
        try:
            _look(run, line)
        except Exception as error:  # noqa: BLE001 - raised below, after the other leads had their turn
            _stuck(run, line.lead_id, error)
            run.cycle.add_open(line.arrived_at)
        run.cycle.cursor = f"{line.lead_id}0"
        if looked == LINES_PER_RUN or run.stuck == STUCK_PER_RUN or run.is_late(LOOK_SECONDS):
            return
    run.is_whole = True


def _stuck(run: _Run, lead_id: str, error: Exception) -> bool:
    """Log a lead or an event that could not be looked at; returns whether there are too many of them."""
    run.stuck += 1
    log.event("lead_stuck", lead=lead_id, reason=f"it could not be looked at ({type(error).__name__})")
    return run.stuck >= STUCK_PER_RUN


def _look(run: _Run, line: Line) -> None:
    case = run.app.ledger.case(line.lead_id)
    if case is None:
        _redo(run, line)
        return
    run.leads.append(replace(floods.brief(case.lead), contact=Contact()))
    deliveries = tuple(_look_at_delivery(run, case, delivery) for delivery in case.deliveries)
    if all(delivery.state != State.OPEN for delivery in deliveries):
        dead = tuple(delivery for delivery in deliveries if delivery.state == State.DEAD)
        well = tuple(each.destination for each in deliveries if _is_recovery(run, each))
        fresh = tuple(each.destination for each in deliveries if _is_fresh(each.finished_at, run.now))
        run.finished.append(_Finished(line, DayLine.of(case, line.raw), dead, fresh, well))
        return
    run.cycle.add_open(line.arrived_at)
    for delivery in deliveries:
        if _is_fresh(line.arrived_at, run.now):
            run.opened_at[delivery.destination] += 1
        if delivery.state == State.OPEN:
            run.cycle.add_waiting(delivery.destination)
        elif _is_recovery(run, delivery):
            run.cycle.add_delivered(delivery.destination)


def _is_fresh(at: datetime | None, now: datetime) -> bool:
    return at is not None and timedelta(0) <= now - at < FLOOD_WINDOW


def _is_recovery(run: _Run, delivery: Delivery) -> bool:
    """Whether a destination took a delivery after the alert about it."""
    troubled = run.troubled.get(delivery.destination)
    if troubled is None or delivery.state != State.DELIVERED or delivery.finished_at is None:
        return False
    return time_text(delivery.finished_at) >= troubled.since


def _look_at_delivery(run: _Run, case: Case, delivery: Delivery) -> Delivery:
    """Ring for a delivery that is overdue, note one that waits for a summary, and count one that is in trouble."""
    if floods.is_held(delivery):
        delivery = _look_at_trouble(run, case, delivery)
        run.held.setdefault(delivery.destination, []).append(floods.Held(delivery, floods.brief(case.lead)))
        return delivery
    if _overdue(delivery, run.now):
        try:
            delivery = run.app.ledger.save(replace(delivery, rung_at=run.now))
        except Changed:
            return delivery  # A process is working on it just now.
        run.app.ring(delivery.lead_id, delivery.destination)
        run.rung += 1
    return _look_at_trouble(run, case, delivery)


def _look_at_trouble(run: _Run, case: Case, delivery: Delivery) -> Delivery:
    kind = _trouble(delivery)
    if not kind:
        return delivery
    is_reported = run.is_reported(kind, delivery)
    if kind == concerns.DEAD and is_reported:
        return delivery
    if delivery.alerted_at is None and not is_claimed(delivery, run.now):
        if kind == concerns.DEAD:
            run.app.ledger.keep_dead(DayLine.of(case), run.now)
        try:
            # With this stamp the delivery counts as reported once somebody took an alert of this cycle or a later one.
            delivery = run.app.ledger.save(replace(delivery, alerted_at=time_read(run.cycle.began_at)))
        except Changed:
            return delivery
    since = delivery.attempts[0].at if delivery.attempts else run.now
    fresh = not is_reported and delivery.alerted_at is not None
    run.cycle.add_trouble(kind, delivery.destination, delivery.lead_id, since, fresh=fresh)
    return delivery


def _trouble(delivery: Delivery) -> str:
    """What is wrong with a delivery that the operators should know: `dead`, `misconfigured`, or nothing."""
    if delivery.state == State.DEAD:
        return concerns.DEAD
    if delivery.state == State.OPEN and delivery.last and delivery.last.outcome == Outcome.MISCONFIGURED:
        return concerns.MISCONFIGURED
    return ""


def _overdue(delivery: Delivery, now: datetime) -> bool:
    return (
        delivery.state == State.OPEN
        and now - delivery.next_at > OVERDUE
        and not is_claimed(delivery, now)
        and (delivery.rung_at is None or not timedelta(0) <= now - delivery.rung_at < RING_AGAIN)
    )


def _redo(run: _Run, line: Line) -> None:
    """Finish an intake that stopped behind its open line, or drop a line that leads nowhere."""
    app = run.app
    seen = app.ledger.seen(halves(line.lead_id)[1])
    if seen is not None and seen.fate == GONE:
        # Whoever replays a lead while it is erased may leave a delivery of it, and this line.
        app.ledger.erase(line.lead_id, line.day, "", run.now)
        run.closed += 1
        return
    if seen is not None and seen.fate != BACKFILLED and seen.lead_id != line.lead_id:
        app.ledger.drop_open_line(line.lead_id)
        run.closed += 1
        return
    run.cycle.add_open(line.arrived_at)
    # The line may name bytes that gave way to those of the event, when two intakes of one event met midnight.
    if accept.redo(app, (seen.raw if seen else "") or line.raw, run.now) is None:
        log.event("lead_stuck", lead=line.lead_id, reason="its bytes are no longer in raw")
        return
    run.redone += 1


def _look_at_raw(run: _Run) -> None:
    look = raws.Look(
        run.app,
        run.now,
        is_late=lambda: run.is_late(LIST_SECONDS),
        failed=lambda event, error: _stuck(run, event, error),
    )
    try:
        run.has_listed = raws.look(look, run.values)
    finally:
        run.redone += look.redone


def _tell_deliveries(run: _Run) -> None:
    if run.is_whole:
        alerted = concerns.tell_deliveries(run.app, run.cycle, run.now, is_late=lambda: run.is_late(CLOSE_SECONDS))
        run.troubled = alerted | run.troubled
        # This run may close what was just reported.
        run.through.clear()


def _tell_recovery(run: _Run) -> None:
    if run.is_whole:
        concerns.tell_recovery(run.app, run.cycle, run.troubled, run.now)


def _tell_watch(run: _Run) -> None:
    """Tell of a watch that is silent while sweeps run. Where nothing ran, the app was off, and the watch begins too."""
    if time_read(run.values.get("here_at")) is None or _was_away(run, "here_at"):
        run.values["back_at"] = time_text(run.now)
    run.values["here_at"] = time_text(run.now)
    concerns.tell_watch(run.app, time_read(run.values.get("back_at")) or run.now, run.now)


def _was_away(run: _Run, note: str) -> bool:
    """Whether the run that is noted there was too long ago for sweeps to have come on their schedule since."""
    at = time_read(run.values.get(note))
    return at is not None and run.now - at > concerns.silent_after(run.app.settings.sweep_schedule)


def _find_unnoted(run: _Run) -> None:
    """Look for bytes in quarantine that could not be noted: daily, and after a time in which no sweep could run."""
    ran_at = time_read(run.values.get("ran_at"))
    if _was_away(run, "ran_at") or counting.is_due(run.values.get("unnoted_at"), run.now, PURGE):
        concerns.find_unnoted(run.app, ran_at or run.now, run.now)
        run.values["unnoted_at"] = time_text(run.now)


def _tell_settings(run: _Run) -> None:
    were_wrong = run.values.get("settings_wrong") is True
    run.values["settings_wrong"] = concerns.tell_settings(run.app, run.now, were_wrong=were_wrong)


def _tell_quarantine(run: _Run) -> None:
    changes = [row for row in run.changes if concerns.is_quarantine(row)]
    run.values["quarantined"] = concerns.tell_quarantine(run.app, changes, run.now)


def _take_waiting(run: _Run) -> None:
    """Accept, once an hour, the leads that could not be stored when they came: they wait in quarantine."""
    if run.values.get("quarantined") and counting.is_due(run.values.get("waiting_at"), run.now, TAKE_WAITING):
        run.redone += accept.take_waiting(run.app, run.now, is_late=lambda: run.is_late(LIST_SECONDS))
        if not run.is_late(LIST_SECONDS):
            run.values["waiting_at"] = time_text(run.now)


def _tell_silence(run: _Run) -> None:
    # Hourly, and not in the run that lists, unless every run does.
    every = 2 * TELL_SILENCE if run.has_listed else TELL_SILENCE
    if counting.is_due(run.values.get("silence_at"), run.now, every):
        known = frozenset(filter(None, str(run.values.get("silences", "")).split(",")))
        began = time_read(run.values.get("first_ran_at")) or run.now
        run.values["silences"] = ",".join(sorted(silence.report(run.app, began, run.now, known)))
        run.values["silence_at"] = time_text(run.now)


def _keep_routes(run: _Run) -> None:
    """Keep the routes while they can be read: leads go by them when LEADS_ROUTES cannot be read any more."""
    text = run.app.settings.routes
    if text == str(run.values.get("routes", "")):
        return
    from leads import routes

    if not routes.parse(text, run.app.destinations).problems:
        run.app.ledger.keep_routes(text)
        run.values["routes"] = text


def _look_at_floods(run: _Run) -> None:
    """Note floods that begin or end, and send the summaries of what was held back."""
    before = time_read(run.values.get("floods_at"))
    run.values["floods_at"] = time_text(run.now)
    if not (run.opened_at or run.closed_at or run.held or run.values.get("flooded")):
        return
    # A process notes a flood of its own accord as well, and then holds leads back.
    known = run.app.ledger.flooded()
    counts = floods.count(run.app, run.values, run.closed_at, run.opened_at, run.now)
    for name, held in run.held.items():
        if run.is_late(LAST_SECONDS):
            break
        floods.sum_up(run.app, name, held, run.now)
    run.values["flooded"] = ",".join(floods.note(run.app, counts, known, before, run.now))


def _close_finished(run: _Run) -> None:
    """Close what is finished, as far as the time goes; the rest is found again by the next run."""
    noted: set[str] = set()
    for lead in run.finished:
        if run.is_late(CLOSE_SECONDS):
            return
        # One that died stays open until the operators know.
        if _was_replayed_just_now(lead.line, run.now) or not all(
            run.is_reported(concerns.DEAD, each) for each in lead.dead
        ):
            continue
        if lead.line.day not in noted:
            run.app.ledger.change(f"day:{lead.line.day}", run.now)
            noted.add(lead.line.day)
        try:
            run.app.ledger.close(lead.line, lead.summary, run.now)
        except Changed:
            continue
        run.closed += 1
        run.closed_at.update(lead.fresh)
        for name in lead.recovered:
            run.troubled[name].delivered += 1


def _was_replayed_just_now(line: Line, now: datetime) -> bool:
    # A time more than a day ahead was written by a clock that counts for nothing.
    return line.replayed_at is not None and -timedelta(days=2) < now - line.replayed_at < REPLAYED


def _count(run: _Run) -> None:
    counting.count(run.app, run.changes, run.values, run.now, is_late=lambda: run.is_late(LAST_SECONDS))


def _purge(run: _Run) -> None:
    if not counting.is_due(run.values.get("purged_at"), run.now, PURGE):
        return
    purged = purge.purge(run.app, run.now, is_late=lambda: run.is_late(LAST_SECONDS))
    log.event("purge_ran", purged=purged)
    if not purged or (purged < purge.LEADS_PER_RUN and not run.is_late(LAST_SECONDS)):
        run.values["purged_at"] = time_text(run.now)


def _send_digest(run: _Run) -> None:
    """Send yesterday's digests that are due; one that fails is tried again by the next sweep."""
    sent = json.loads(str(run.values.get("digests_sent", "{}")))
    failed: Exception | None = None
    for name in run.app.destinations:
        if enabled.split(name)[0] != "email":
            continue
        from leads.sweep import digest

        try:
            between, link = run.app.ledger.leads_between, f"{run.app.page}leads" if run.app.page else ""
            done = digest.run(name, run.app.environ, time_read(sent.get(name)), run.now, between, link)
        except Failure as failure:
            log.event("digest_failed", cause=failure.cause, remedy=failure.remedy)
            continue
        except Exception as error:  # noqa: BLE001 - raised below: it must not make the others be sent again
            failed = error
            continue
        if done:
            sent[name] = time_text(run.now)
    run.values["digests_sent"] = json.dumps(sent)
    if failed is not None:
        raise failed
