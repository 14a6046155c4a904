"""Many leads at once: who is flooded, and one summary instead of a message each (design, "People are not flooded")."""

from __future__ import annotations

import contextlib
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from leads import delivery, enabled, log
from leads.app import App
from leads.contract import RULES, Flood
from leads.errors import Failure, Misconfigured, Transient
from leads.lead import Attempt, Contact, Delivery, Lead, Outcome, State
from leads.messages.alert import Alert
from leads.store.protocol import Changed, Value
from leads.store.rows import ATTEMPTS_KEPT, time_read, time_text
from leads.sweep.alerts import due, note_taken, send
from leads.transport import SEND_SECONDS, Deadline

LISTED = 200
"""Leads that a summary lists; the others are counted."""
SUMMED = 2000
"""Leads in one summary: each is recorded behind it, and a sweep that were stopped there would tell the rest again."""
BRIEF = 200
"""Characters of a text of a lead that a sweep keeps in memory."""
SLICE = timedelta(minutes=10)
"""What is counted together: with 90 destinations and a sweep each minute an hour fits into a column of the note."""


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery that waits for a summary, and the beginning of its lead."""

    delivery: Delivery
    lead: Lead


def brief(lead: Lead) -> Lead:
    """As much of a lead as a line of a summary shows: ten thousand whole ones are more than an instance's memory."""
    person = lead.contact
    contact = Contact(
        first_name=person.first_name[:BRIEF],
        last_name=person.last_name[:BRIEF],
        email=person.email[:BRIEF],
        company=person.company[:BRIEF],
    )
    return replace(
        lead,
        source=lead.source[:BRIEF],
        action=lead.action[:BRIEF],
        offer=lead.offer[:BRIEF],
        offer_title=lead.offer_title[:BRIEF],
        contact=contact,
        message="",
        campaign={},
        extra={},
        issues=(),
    )


def is_held(one: Delivery) -> bool:
    """Whether a delivery waits for a summary."""
    return one.state == State.OPEN and one.reason == delivery.HELD


def count(
    app: App, values: dict[str, Value], closed: Mapping[str, int], opened: Mapping[str, int], now: datetime
) -> dict[str, int]:
    """How many leads went to each destination within the last hour.

    `closed` are the deliveries of the leads that this sweep closed, and `opened` those of open leads that arrived
    within the hour. What earlier sweeps closed is remembered in the sweep's note, in slices of time.
    """
    slices: list[list[Any]] = json.loads(str(values.get("flood_slices", "[]")))
    kept = [each for each in slices if _is_recent(str(each[0]), now)]
    if closed:
        began = time_read(kept[-1][0]) if kept else None
        if began is None or not timedelta(0) <= now - began < SLICE:
            kept.append([time_text(now), {}])
        kept[-1][1] = Counter(kept[-1][1]) + Counter(closed)
    values["flood_slices"] = json.dumps(kept)
    total = Counter(opened)
    for _, counts in kept:
        total.update({str(name): int(number) for name, number in counts.items()})
    return {name: total[name] for name in app.destinations}


def _is_recent(text: str, now: datetime) -> bool:
    at = time_read(text)
    return at is not None and timedelta(0) <= now - at < delivery.FLOOD_WINDOW


def note(
    app: App, counts: Mapping[str, int], known: Sequence[str], before: datetime | None, now: datetime
) -> list[str]:
    """Note floods that begin, and end those that are over at a quarter of the hour; returns who is flooded now.

    `known` are those of which one is noted already, be it by a process of its own accord. `before` is when
    a sweep last looked, since a quarter may begin at any of them, whatever their schedule.
    """
    flooded = []
    for name in dict.fromkeys([*app.destinations, *known]):
        many = bool(app.settings.flood) and counts.get(name, 0) > app.settings.flood and _holds_back(name)
        if not many and name not in known:
            continue
        begun = app.ledger.note_flood(name, now) if many else False
        if begun or many:
            flooded.append(name)
            _alert(app, name, counts.get(name, 0), now)
        elif _has_begun(delivery.quarter(now) - timedelta(minutes=15), before, now):
            app.ledger.end_flood(name)
        else:
            flooded.append(name)
    return flooded


def _holds_back(name: str) -> bool:
    """Whether leads are held back from a destination in a flood. To one that cannot be loaded none goes at all."""
    try:
        return RULES[enabled.load(name).KIND].flood != Flood.DELIVERED
    except (KeyError, ImportError):
        return False


def _has_begun(quarter: datetime, before: datetime | None, now: datetime) -> bool:
    # A time to come was noted by a clock that ran ahead: it counts for nothing.
    return before is None or before > now or quarter > before


def _alert(app: App, name: str, number: int, now: datetime) -> None:
    if not due(app, "flood", name, now, again_after=delivery.FLOOD_WINDOW, about=name):
        return
    title = enabled.title(name)
    alert = Alert(
        kind="flood",
        subject=title,
        destination=name,
        count=number,
        since=now - delivery.FLOOD_WINDOW,
        cause=f"{number} leads for {title} came within an hour, so it gets one summary every 15 minutes.",
        remedy="Check on the page whether these leads are real. CRMs and feeds still get every lead. "
        "LEADS_FLOOD sets the limit.",
        command="python -m leads list --since 1h",
    )
    if send(app, alert):
        note_taken(app, "flood", name, now, name)


def sum_up(app: App, name: str, held: Sequence[Held], now: datetime) -> int:
    """Send one summary of what was held back and is due, then record each delivery; returns how many there were.

    It is about the oldest `SUMMED`; the next sweep sends one about the others. A summary is named by destination,
    quarter of the hour and leads, so one that a crash repeats can be known as the same.
    """
    due = [one for one in held if one.delivery.next_at <= now and not delivery.is_claimed(one.delivery, now)]
    due = sorted(due, key=lambda one: one.lead.arrived_at)[:SUMMED]
    if not due:
        return 0
    # Several runs may share a quarter, and a mailbox swallows what has a name that it knows.
    which = zlib.crc32("".join(sorted(one.delivery.lead_id for one in due)).encode())
    label = f"{name} {delivery.quarter(now) - timedelta(minutes=15):%Y-%m-%dT%H:%MZ} {which:08x}"
    failure = _send_summary(app, name, label, [one.lead for one in due])
    attempt = Attempt(now, failure.outcome if failure else Outcome.OK)
    if failure:
        attempt = replace(attempt, cause=failure.cause, remedy=failure.remedy)
    for one in due:
        _record(app, one.delivery, attempt, failure, now)
    log.event("summed_up", destination=name, leads=len(due), outcome=attempt.outcome)
    return len(due)


def _send_summary(app: App, name: str, label: str, leads: Sequence[Lead]) -> Failure | None:
    """Send one summary; what kept it from being sent."""
    try:
        place = delivery.enabled_place(app, name)
        send = getattr(place.module, "summary", None)
        if send is None:
            return Misconfigured(f"{place.title} cannot send a summary.", "Set LEADS_FLOOD to 0, or use another.")
        send(leads[:LISTED], len(leads), label, Deadline.after(SEND_SECONDS), place.settings)
    except Failure as failure:
        return failure
    except ImportError as error:
        return delivery.unloadable(error)
    except Exception as error:  # noqa: BLE001 - a bug of ours there must not keep the others waiting, nor these for ever
        log.event("sweep_failed", part=f"summary to {name}", error=type(error).__name__)
        return Transient(
            "Internal error: this app, not the destination, failed.",
            "Look for sweep_failed in the logs and report it; the delivery stays on its schedule.",
        )
    return None


def _record(app: App, one: Delivery, attempt: Attempt, failure: Failure | None, now: datetime) -> None:
    """Record an attempt. One that failed keeps the schedule of all attempts, to the quarter behind its wait."""
    tried = replace(
        one,
        tries=one.tries + 1,
        attempts=(*one.attempts, attempt)[-ATTEMPTS_KEPT:],
        attempt_count=one.attempt_count + 1,
    )
    if failure is None:
        tried = replace(tried, state=State.DELIVERED, remote_id="in a summary", reason="", finished_at=now)
    else:
        # One seed for all, so that what waits as long comes in one summary again.
        tried, wait = delivery.on_schedule(app, tried, failure, one.destination)
        if wait is None:
            tried = replace(tried, state=State.DEAD, reason="", finished_at=now, alerted_at=None)
        else:
            tried = replace(tried, next_at=delivery.quarter(now + timedelta(seconds=wait)))
    with contextlib.suppress(Changed):
        app.ledger.save(tried)
