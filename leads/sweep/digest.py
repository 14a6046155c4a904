"""When the digest of a day is due, and sending it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta, tzinfo

from leads.lead import Lead
from leads.messages.digest import bounds
from leads.reader import Reader
from leads.transport import SEND_SECONDS, Deadline

HOUR = 7
"""The hour of the local day at which yesterday's digest becomes due."""


def due(last_sent: datetime | None, now: datetime, zone: tzinfo) -> date | None:
    """The day whose digest is to be sent now, which is yesterday in `zone` from 7:00 on; None if it was sent.

    `last_sent` is when a digest was last sent, or found to be empty. All times are aware.
    """
    local = now.astimezone(zone)
    if local.hour < HOUR:
        return None
    # A time to come was noted by a clock that ran ahead: it counts for nothing.
    if last_sent is not None and now >= last_sent >= datetime.combine(local.date(), time(HOUR), zone):
        return None
    return local.date() - timedelta(days=1)


def run(
    environ: Mapping[str, str],
    last_sent: datetime | None,
    now: datetime,
    leads_between: Callable[[datetime, datetime], Iterable[Lead]],
) -> bool:
    """Send yesterday's digest by e-mail if it is asked for and due; then true, and the caller notes `now` as sent.

    `leads_between` gives the leads that arrived from one moment until before another. True also for an empty day.
    Raises a `leads.errors.Failure` when the mail could not be sent; the next sweep tries again.
    """
    from leads.destinations import email

    reader = Reader(environ)
    if "email" not in (name.lower() for name in reader.items("LEADS_DESTINATIONS")):
        return False
    settings = email.Settings.read(reader)
    day = due(last_sent, now, settings.digest_zone) if settings.digest and not reader.problems else None
    if day is None:
        return False
    leads = leads_between(*bounds(day, settings.digest_zone))
    email.send_digest(tuple(leads), day, now, Deadline.after(SEND_SECONDS), settings)
    return True
