"""What the operators have to be told: dead and misconfigured deliveries, quarantine, a silent watch, wrong settings.

Everything is told from stored state, once, grouped by destination and hour; `leads.sweep.alerts` says it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from leads import log
from leads.app import App
from leads.delivery import is_claimed
from leads.intake import accept
from leads.lead import Delivery, Outcome, State
from leads.messages.alert import Alert
from leads.store.ledger import QUARANTINE
from leads.store.protocol import Changed, Value
from leads.store.rows import time_read, time_text
from leads.sweep import recovery
from leads.sweep.alerts import REMINDER, due, send, told

WATCH_SILENT = timedelta(minutes=15)
DAYS_LISTED = 14
"""The most days back that a listing of blobs goes."""

_HELP = {"dead": "replay --dead --destination {}", "misconfigured": "check"}

Troubles = Mapping[tuple[str, str], Sequence[Delivery]]
"""Deliveries in trouble by kind of trouble and destination."""


def trouble(delivery: Delivery) -> str:
    """What is wrong with a delivery that the operators should know: `dead`, `misconfigured`, or nothing."""
    if delivery.state == State.DEAD:
        return "dead" if delivery.alerted_at is None else ""
    if delivery.state == State.OPEN and delivery.last and delivery.last.outcome == Outcome.MISCONFIGURED:
        return "misconfigured"
    return ""


def tell_deliveries(app: App, troubles: Troubles, now: datetime) -> frozenset[str]:
    """Tell of deliveries that died, or that wait for a person; each once, and those that wait again after a day.

    Returns the destinations that were told to be unwell themselves.
    """
    unwell = set()
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
            since=min((d.attempts[0].at for d in deliveries if d.attempts), default=now),
            cause=last.cause if last else "",
            remedy=last.remedy if last else "",
            command=f"python -m leads {_HELP[kind].format(destination)}",
        )
        if send(app, alert, broken):
            if any(recovery.is_unwell(delivery) for delivery in fresh):
                unwell.add(destination)
            for delivery in fresh:
                _mark(app, delivery, now)
    return frozenset(unwell)


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
    """Tell of bytes that came into quarantine. `since` is when this was last looked at.

    What nobody took yet is remembered with the time since when it waits, however long notifications are broken.
    """
    note = app.ledger.note("quarantine")
    since = min(time_read(note.values.get("waits_since")) or since, since)
    days = [f"{day:%Y/%m/%d}" for day in days_since(since, now)]
    entries = {day: [note for _, note in app.store.blobs(QUARANTINE, f"{day}/")] for day in days}
    counts = {day: len(notes) for day, notes in entries.items()}
    # What was replayed or forgotten no longer counts as told, so that what comes in its place is.
    known = {day: min(int(note.values.get(_day(day), 0)), counts[day]) for day in days}
    fresh = sum(counts.values()) - sum(known.values())
    taken = False
    if fresh and due(app, "quarantine", "intake", now):
        newest = sorted((note for notes in entries.values() for note in notes), key=lambda note: note.get("at", ""))
        cause, remedy = accept.quarantined_words(newest[-fresh:])
        alert = Alert(
            kind="quarantine",
            subject="intake",
            count=fresh,
            since=since,
            cause=cause,
            remedy=remedy,
            command="python -m leads list --quarantined",
        )
        taken = send(app, alert)
    values: dict[str, Value] = {_day(day): n for day, n in (counts if taken else known).items() if n}
    if fresh and not taken:
        values["waits_since"] = time_text(since)
    if values != note.values:
        with contextlib.suppress(Changed):
            app.ledger.write_note(replace(note, values=values))


def _day(day: str) -> str:
    """The name of the field with the count of a day: names of properties have no slash and begin with a letter."""
    return f"d{day.replace('/', '')}"


def tell_watch(app: App, first: datetime, now: datetime) -> None:
    """Tell of a watched table that was not read for a quarter of an hour. `first` is when the app began to run."""
    for table in app.settings.inbox_tables:
        note = app.ledger.note(f"watch:{table.lower()}")
        ran_at = time_read(note.values.get("ran_at")) or first
        about = time_text(ran_at)
        if now - ran_at <= WATCH_SILENT or not due(
            app, "watch_silent", table.lower(), now, again_after=REMINDER, about=about
        ):
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
        if send(app, alert):
            told(app, "watch_silent", table.lower(), now, about)


def tell_settings(app: App, now: datetime) -> None:
    """Tell of all wrong settings at once, daily while they last, and when others are wrong than were told."""
    problems = app.settings.problems
    about = ",".join(sorted({problem.setting for problem in problems}))
    if not problems or not due(app, "settings", "app", now, again_after=REMINDER, about=about):
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
    if send(app, alert):
        told(app, "settings", "app", now, about)


def days_since(since: datetime, now: datetime) -> list[datetime]:
    """The days from the one before `since` to today."""
    count = min((now.date() - min(since, now).date()).days + 1, DAYS_LISTED)
    return [now - timedelta(days=back) for back in range(max(count, 1), -1, -1)]
