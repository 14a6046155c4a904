"""Timer schedules: NCRONTAB with seconds, as the Functions host reads it."""

from __future__ import annotations

import re

_LIMITS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
"""Seconds, minutes, hours, days, months, days of the week from Sunday."""
_PART = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?|[A-Za-z]{3,9}(?:-[A-Za-z]{3,9})?)(?:/[1-9]\d?)?", re.ASCII)


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
