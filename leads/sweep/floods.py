"""Many leads at once: who is flooded, and one summary instead of a message each (design, "People are not flooded")."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from leads import delivery, log
from leads.app import App
from leads.errors import Failure, Misconfigured
from leads.lead import Attempt, Delivery, Lead, Outcome, State
from leads.store.protocol import Changed
from leads.store.rows import ATTEMPTS_KEPT, time_read, time_text
from leads.transport import SEND_SECONDS, Deadline

LISTED = 200
"""Leads that a summary lists; the others are counted."""
BUCKET = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery that waits for a summary, and its lead."""

    delivery: Delivery
    lead: Lead


def is_held(one: Delivery) -> bool:
    """Whether a delivery waits for a summary."""
    return one.state == State.OPEN and one.reason == delivery.HELD


def count(app: App, closed: Counter[str], opened: Counter[str], now: datetime) -> dict[str, int]:
    """How many leads went to each destination within the last hour.

    `closed` are the deliveries of the leads that this sweep closed, and `opened` those of open leads that
    arrived within the hour. What earlier sweeps closed is remembered in slices of time.
    """
    note = app.ledger.note("flood")
    slices: list[list[object]] = json.loads(str(note.values.get("slices", "[]")))
    kept = [each for each in slices if _is_recent(str(each[0]), now)]
    if closed:
        kept.append([time_text(now), dict(closed)])
    if kept != slices:
        with contextlib.suppress(Changed):
            app.ledger.write_note(replace(note, values={"slices": json.dumps(kept[-100:])}))
    total = Counter(opened)
    for _, counts in kept:
        total.update(counts if isinstance(counts, dict) else {})
    return dict(total)


def _is_recent(text: str, now: datetime) -> bool:
    at = time_read(text)
    return at is not None and timedelta(0) <= now - at < delivery.FLOOD_WINDOW


def note(app: App, counts: Mapping[str, int], now: datetime) -> list[str]:
    """Note new floods, and end those that are over at a quarter of the hour; returns the names of the new ones."""
    begun = []
    for name in app.destinations:
        known = app.ledger.note(f"flood:{name}") if counts.get(name) or name in _flooded(app) else None
        if known is None:
            continue
        since = time_read(known.values.get("since"))
        many = bool(app.settings.flood) and counts.get(name, 0) > app.settings.flood
        if many and since is None:
            if app.ledger.note_flood(name, now):
                begun.append(name)
        elif not many and since is not None and now - since >= timedelta(minutes=15):
            with contextlib.suppress(Changed):
                app.ledger.write_note(replace(known, values={}))
    return begun


def _flooded(app: App) -> frozenset[str]:
    names = str(app.ledger.note("flood").values.get("names", ""))
    return frozenset(filter(None, names.split(",")))


def sum_up(app: App, name: str, held: Sequence[Held], now: datetime) -> int:
    """Send one summary of what was held back and is due, then record each delivery; returns how many there were.

    The summary is named by destination and quarter of the hour, so one that a crash repeats can be known as the same.
    """
    due = sorted((one for one in held if one.delivery.next_at <= now), key=lambda one: one.lead.arrived_at)
    if not due:
        return 0
    label = f"{name} {delivery.quarter(now) - timedelta(minutes=15):%Y-%m-%dT%H:%MZ}"
    failure: Failure | None = None
    try:
        place = delivery.enabled_place(app, name)
        send = getattr(place.module, "summary", None)
        if send is None:
            raise Misconfigured(f"{place.title} cannot send a summary.", "Set LEADS_FLOOD to 0, or use another.")
        send([one.lead for one in due[:LISTED]], len(due), label, Deadline.after(SEND_SECONDS), place.settings)
    except Failure as failed:
        failure = failed
    attempt = Attempt(now, failure.outcome if failure else Outcome.OK)
    if failure:
        attempt = replace(attempt, cause=failure.cause, remedy=failure.remedy)
    for one in due:
        _record(app, one.delivery, attempt, now)
    log.event("summed_up", destination=name, leads=len(due), outcome=attempt.outcome)
    return len(due)


def _record(app: App, one: Delivery, attempt: Attempt, now: datetime) -> None:
    tried = replace(
        one,
        tries=one.tries + 1,
        attempts=(*one.attempts, attempt)[-ATTEMPTS_KEPT:],
        attempt_count=one.attempt_count + 1,
    )
    if attempt.outcome == Outcome.OK:
        tried = replace(tried, state=State.DELIVERED, remote_id="in a summary", reason="", finished_at=now)
    elif tried.tries >= len(app.settings.retry_schedule) or attempt.outcome == Outcome.REJECTED:
        tried = replace(tried, state=State.DEAD, reason="", finished_at=now, alerted_at=None)
    else:
        tried = replace(tried, next_at=delivery.quarter(now))
    with contextlib.suppress(Changed):
        app.ledger.save(tried)
