"""Timer schedules: NCRONTAB with seconds, as the Functions host reads it."""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import cache
from itertools import pairwise

_LIMITS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
"""Seconds, minutes, hours, days, months, days of the week from Sunday."""
_PART = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?|[A-Za-z]{3,9}(?:-[A-Za-z]{3,9})?)(?:/[1-9]\d?)?", re.ASCII)


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FOUR_YEARS = 4 * 366


@cache
def longest_interval(schedule: str) -> timedelta:
    """The longest time between two runs of a schedule that `is_schedule` takes; four years where it never runs.

    A run needs the day of the month and the day of the week both (github.com/atifaziz/NCrontab).
    """
    seconds, minutes, hours, days, months, weekdays = map(_numbers, schedule.split(), _LIMITS)
    moments = sorted(hour * 3600 + minute * 60 + second for hour in hours for minute in minutes for second in seconds)
    dates = [
        day
        for day in (date(2024, 1, 1) + timedelta(n) for n in range(_FOUR_YEARS))
        if day.day in days and day.month - 1 in months and (day.weekday() + 1) % 7 in weekdays
    ]
    if not dates or not moments:
        return timedelta(days=_FOUR_YEARS)
    within = max((later - sooner for sooner, later in pairwise(moments)), default=0)
    nights = [(later - sooner).days for sooner, later in pairwise(dates)] or [_FOUR_YEARS]
    return timedelta(seconds=max(within, max(nights) * 86_400 - moments[-1] + moments[0]))


def _numbers(field: str, limits: tuple[int, int]) -> frozenset[int]:
    """The numbers that a field stands for; months count from 0 here, as days of the week do."""
    low, high = limits
    base = 1 if limits == _LIMITS[4] else 0
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        start = low if span == "*" else _number(first)
        # `5/15` goes on to the end; a bare number is itself alone.
        end = _number(last) if dash else high if span == "*" or step else start
        # `fri-mon` and `22-2` turn around at the end.
        numbers = range(start, end + 1) if start <= end else (*range(start, high + 1), *range(low, end + 1))
        found.update(number - base for number in numbers[:: int(step or 1)])
    return frozenset(found)


def _number(text: str) -> int:
    if text.isdecimal():
        return int(text)
    name = text[:3].lower()
    return _DAYS.index(name) if name in _DAYS else _MONTHS.index(name) + 1 if name in _MONTHS else 0


def is_schedule(text: str) -> bool:
    """Whether `text` has six fields, each a list of `*`, numbers, names or ranges with or without a step."""
    fields = text.split()
    return len(fields) == len(_LIMITS) and all(map(_is_field, fields, _LIMITS))


def _is_field(text: str, limits: tuple[int, int]) -> bool:
    low, high = limits
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None or any(not low <= int(number) <= high for number in match.groups() if number):
            return False
    return True
