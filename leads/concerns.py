"""What the operators have to be told: dead and misconfigured deliveries, quarantine, a silent watch, wrong settings.

Everything is told from stored state, once, grouped by destination and hour; `leads.alerts` says it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from leads import log
from leads.alerts import REMINDER, Alert, due, send
from leads.app import App
from leads.delivery import is_claimed
from leads.lead import Delivery, Outcome, State
from leads.ledger import QUARANTINE
from leads.rows import time_read
from leads.store import Changed, Value

WATCH_SILENT = timedelta(minutes=15)
DAYS_LISTED = 14
"""The most days back that a listing of blobs goes."""

Troubles = Mapping[tuple[str, str], Sequence[Delivery]]
"""Deliveries in trouble by kind of trouble and destination."""


def trouble(delivery: Delivery) -> str:
    """What is wrong with a delivery that the operators should know: `dead`, `misconfigured`, or nothing."""
    if delivery.state == State.DEAD:
        return "dead" if delivery.alerted_at is None else ""
    if delivery.state == State.OPEN and delivery.last and delivery.last.outcome == Outcome.MISCONFIGURED:
        return "misconfigured"
    return ""


def tell_deliveries(app: App, troubles: Troubles, now: datetime) -> None:
    """Tell of deliveries that died, or that wait for a person; each once, and those that wait again after a day."""
    broken = frozenset(destination for _, destination in troubles)
    for (kind, destination), deliveries in sorted(troubles.items()):
        fresh = [d for d in deliveries if d.alerted_at is None or now - d.alerted_at >= REMINDER]
        if not fresh or not due(app, kind, destination, now):
            continue
        last = fresh[-1].last
        alert = Alert(
            kind=kind,
            subject=destination,
            count=len(deliveries),
            since=min(d.attempts[0].at for d in deliveries if d.attempts),
            cause=last.cause if last else "",
            remedy=last.remedy if last else "",
            command=f"python -m leads replay --dead --destination {destination}" if kind == "dead" else "",
        )
        if send(app, alert, broken):
            for delivery in fresh:
                _mark(app, delivery, now)


def _mark(app: App, delivery: Delivery, now: datetime) -> None:
    """Note that the operators know. What changed meanwhile is told by a later sweep, if there is still need."""
    current = app.ledger.delivery(delivery.lead_id, delivery.destination)
    if current is None or current.state != delivery.state or is_claimed(current, now):
        return
    try:
        app.ledger.save(replace(current, alerted_at=now))
    except Changed:
        return


def tell_quarantine(app: App, since: datetime, now: datetime) -> None:
    """Tell of bytes that came into quarantine. `since` is when this was last looked at."""
    days = [f"{day:%Y/%m/%d}" for day in days_since(since, now)]
    counts = {day: sum(1 for _ in app.store.blobs(QUARANTINE, f"{day}/")) for day in days}
    told = app.ledger.note("quarantine")
    known = {day: int(told.values.get(f"d{day.replace('/', '')}", 0)) for day in counts}
    fresh = sum(max(0, counts[day] - known[day]) for day in counts)
    if not fresh or not due(app, "quarantine", "intake", now):
        return
    alert = Alert(
        kind="quarantine",
        subject="intake",
        count=fresh,
        since=now,
        cause="Bytes arrived that could not be read as a lead.",
        remedy="Look at them with `python -m leads list --quarantined`; what is a lead after all can be replayed.",
        command="python -m leads list --quarantined",
    )
    if send(app, alert):
        values: dict[str, Value] = {f"d{day.replace('/', '')}": count for day, count in counts.items()}
        try:
            app.ledger.write_note(replace(told, values=values))
        except Changed:
            return


def tell_watch(app: App, first: datetime, now: datetime) -> None:
    """Tell of a watched table that was not read for a quarter of an hour. `first` is when the app began to run."""
    for table in app.settings.inbox_tables:
        note = app.ledger.note(f"watch:{table.lower()}")
        ran_at = time_read(note.values.get("ran_at")) or first
        if now - ran_at <= WATCH_SILENT or not due(app, "watch_silent", table.lower(), now, again_after=REMINDER):
            continue
        alert = Alert(
            kind="watch_silent",
            subject=table,
            count=1,
            since=ran_at,
            cause=f"The table {table} was not read for more than {WATCH_SILENT.seconds // 60} minutes.",
            remedy="See why watch_tables fails in the logs; check LEADS_INBOX. Leads wait in the table meanwhile.",
            command="python -m leads check",
        )
        send(app, alert)


def tell_settings(app: App, now: datetime) -> None:
    """Tell of all wrong settings at once, daily while they last."""
    problems = app.settings.problems
    if not problems or not due(app, "settings", "app", now, again_after=REMINDER):
        return
    for problem in problems:
        log.event("settings_problem", setting=problem.setting, cause=problem.cause, remedy=problem.remedy)
    alert = Alert(
        kind="settings",
        subject="app",
        count=len(problems),
        since=now,
        cause=" ".join(f"{problem.setting}: {problem.cause}" for problem in problems),
        remedy=" ".join(f"{problem.setting}: {problem.remedy}" for problem in problems),
        command="python -m leads check",
    )
    send(app, alert)


def days_since(since: datetime, now: datetime) -> list[datetime]:
    """The days from the one before `since` to today."""
    count = min((now.date() - min(since, now).date()).days + 1, DAYS_LISTED)
    return [now - timedelta(days=back) for back in range(max(count, 1), -1, -1)]
