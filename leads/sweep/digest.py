"""When the digest of a day is due, and sending it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, tzinfo

from leads import enabled
from leads.lead import Lead
from leads.messages.digest import bounds
from leads.transport import SEND_SECONDS, Deadline

READ = 1000
"""Leads of a day that are read for its digest; the others are counted. The host kills a sweep after five minutes,
and reading one lead takes some hundredths of a second.
"""
HOUR = 7
"""The hour of the local day at which yesterday's digest becomes due."""


def due(last_sent: datetime | None, now: datetime, zone: tzinfo) -> date | None:
    """The day that needs its digest now, which is yesterday in `zone` from 7:00 on; None if it was sent.

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
    name: str,
    environ: Mapping[str, str],
    last_sent: datetime | None,
    now: datetime,
    leads_between: Callable[[datetime, datetime, int], tuple[Sequence[Lead], Sequence[str]]],
    link: str = "",
) -> bool:
    """Send yesterday's digest to the e-mail destination `name` if it asks for one that is due.

    Then true, and the caller notes `now` as sent, also for an empty day. `leads_between` gives the leads that arrived
    from one moment until before another, and `link` is the page of all leads. Raises a `leads.errors.Failure` when the
    mail could not be sent; the next sweep tries again.
    """
    place = enabled.read(name, environ)
    send, settings = getattr(place.module, "send_digest", None), place.settings
    if send is None or not settings.digest or place.problems:
        return False
    day = due(last_sent, now, settings.digest_zone)
    if day is None:
        return False
    leads, others = leads_between(*bounds(day, settings.digest_zone), READ)
    send(tuple(leads), day, now, Deadline.after(SEND_SECONDS), settings, link, others)
    return True
