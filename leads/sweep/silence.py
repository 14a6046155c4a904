"""Has no lead come for far longer than usual? From how many came on which day, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

LEARNED = timedelta(days=90)
"""How far back the gaps between leads are looked at."""
ENOUGH = 10
"""Leads from which on their gaps say something; an offer with fewer is not watched by itself."""
LEAST, LEAST_UNTIL_ENOUGH = 2, 7
"""Days of silence that are never worth a word, with enough leads and with fewer."""


@dataclass(frozen=True, slots=True)
class Silence:
    """No lead came for longer than usual."""

    since: date
    """The day of the last lead, or the day on which the app began to wait for the first one."""
    days: int
    """Whole days without a lead, today not among them."""
    usual: int
    """The longest such time of the last 90 days; 0 where none is known."""


def silence(counts: Mapping[date, int], began: date, today: date, after: int | None = None) -> Silence | None:
    """The silence that is worth telling, or None.

    `counts` are the leads by UTC day of arrival, tests left out; `began` is the day on which the app first ran. Twice
    the longest gap of the last 90 days is allowed, at least two days, and seven as long as fewer than ten leads are
    known. `after` is a number of days that replaces all that.
    """
    days = sorted(day for day, count in counts.items() if count > 0 and day <= today)
    last = days[-1] if days else began
    recent = [day for day in days if today - day <= LEARNED]
    usual = max(((later - earlier).days - 1 for earlier, later in pairwise(recent)), default=0)
    known = sum(counts[day] for day in days)
    allowed = after if after is not None else max(2 * usual, LEAST if known >= ENOUGH else LEAST_UNTIL_ENOUGH)
    silent = (today - last).days - 1
    return Silence(last, silent, usual) if silent >= allowed else None
