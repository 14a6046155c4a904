"""When to try again: a pure function of the tries so far, the schedule (`leads.settings`) and what is asked for."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

LONGEST_WAIT = 86_400.0
"""Seconds: a day."""

JITTER = 0.2
"""The share by which a wait is longer or shorter, so that deliveries that failed together do not return together."""


def wait(schedule: Sequence[int], tries: int, retry_after: float | None, seed: str) -> float | None:
    """Seconds until the attempt after `tries` failed ones, or None when the schedule is exhausted.

    It is the longer of the schedule's wait, jittered, and what the destination asked for, and at most a day. The
    jitter hangs on `seed` and `tries` only, so that the answer is the same whenever it is asked.
    """
    if tries >= len(schedule):
        return None
    share = zlib.crc32(f"{seed}/{tries}".encode()) / 0xFFFF_FFFF
    planned = schedule[tries] * (1 - JITTER + 2 * JITTER * share)
    return min(max(planned, retry_after or 0.0), LONGEST_WAIT)
