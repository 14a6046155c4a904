"""Alert the operators, from stored state only, so that no crash can swallow what they should know."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from leads import log
from leads.app import App
from leads.errors import Failure
from leads.messages.alert import Alert
from leads.store.protocol import Changed, Value
from leads.store.rows import time_read, time_text
from leads.sweep.configuration import channels
from leads.transport import SEND_SECONDS, Deadline

PAGES: Mapping[str, str] = {
    "dead": "leads?state=dead",
    "misconfigured": "check",
    "quarantine": "quarantine",
    "watch_silent": "check",
    "settings": "check",
    "offer": "offers",
    "silence": "check",
    "flood": "leads",
    "well": "",
}
"""Where on the operators' page each kind of alert is put right. No address says of whom it is."""
REMINDER = timedelta(hours=24)
"""After this long an alert about trouble that lasts is sent again."""


def due(
    app: App, kind: str, subject: str, now: datetime, *, again_after: timedelta = timedelta(0), about: str = ""
) -> bool:
    """Whether an alert of this kind and subject may be sent now; if so the hour is taken, and nobody else sends it.

    There is one an hour at most. Where nothing else remembers what was alerted, `about` names the trouble, and
    `again_after` is the time until it is worth another alert once somebody took one (`note_taken`).
    """
    note = app.ledger.note(note_name(kind, subject))
    tried_at, taken_at = time_read(note.values.get("tried_at")), time_read(note.values.get("taken_at"))
    if tried_at is not None and _hour(tried_at) == _hour(now):
        return False
    if (
        taken_at is not None
        and timedelta(0) <= now - taken_at < again_after
        and str(note.values.get("about", "")) == about
    ):
        return False
    values: Mapping[str, Value] = {**note.values, "tried_at": time_text(now)}
    try:
        app.ledger.write_note(replace(note, values=values))
    except Changed:
        return False
    return True


def note_taken(app: App, kind: str, subject: str, now: datetime, about: str = "") -> None:
    """Note that somebody took an alert, so that the same trouble makes no other too soon."""
    note = app.ledger.note(note_name(kind, subject))
    values: Mapping[str, Value] = {**note.values, "taken_at": time_text(now), "about": about}
    with contextlib.suppress(Changed):
        app.ledger.write_note(replace(note, values=values))


def taken_at(app: App, kind: str, subject: str) -> datetime | None:
    """When somebody last took such an alert."""
    return time_read(app.ledger.note(note_name(kind, subject)).values.get("taken_at"))


def through(app: App, kind: str, destination: str) -> datetime | None:
    """The begin of the last cycle whose trouble with a destination somebody took an alert about.

    Deliveries that were stamped with it, or with an earlier one, are alerted.
    """
    return time_read(app.ledger.note(note_name(kind, destination)).values.get("about"))


def note_name(kind: str, subject: str) -> str:
    """The row of the table `state` that remembers what was alerted."""
    return f"alert:{kind}:{subject}"


def send(app: App, alert: Alert, broken: frozenset[str] = frozenset()) -> bool:
    """Log an alert and send it by every channel; whether somebody took it.

    A channel in trouble (`broken`, the one concerned, wrong settings) is tried last and never left out: perhaps it
    takes this one. Where there is no channel at all, the log is all there is, and counts; `check` and health say so.
    A failing alert makes no further alert.
    """
    if app.page:
        alert = replace(alert, link=app.page + PAGES.get(alert.kind, ""))
    log.event(
        "alert",
        kind=alert.kind,
        subject=alert.destination or alert.subject,
        count=alert.count,
        since=alert.since,
        cause=alert.cause,
        remedy=alert.remedy,
    )
    asked = sorted(
        channels(app), key=lambda each: not each.is_sound or each.name in broken or each.name == alert.destination
    )
    taken = 0
    for channel in asked:
        try:
            channel.alert(alert, Deadline.after(SEND_SECONDS))
        except Failure as failure:
            log.event("alert_failed", kind=alert.kind, destination=channel.name, cause=failure.cause)
        except Exception as error:  # noqa: BLE001 - one destination's bug must not keep the others from alerting
            log.event("alert_failed", kind=alert.kind, destination=channel.name, cause=type(error).__name__)
        else:
            taken += 1
    return not asked or taken > 0


def _hour(moment: datetime) -> tuple[int, int]:
    return moment.toordinal(), moment.hour
