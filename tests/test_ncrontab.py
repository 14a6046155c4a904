"""How long a timer is quiet at most between two runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from leads.ncrontab import longest_interval
from leads.sweep.concerns import silent_after


@pytest.mark.parametrize(
    ("schedule", "longest"),
    [
        ("0 * * * * *", timedelta(minutes=1)),
        ("*/15 * * * * *", timedelta(seconds=15)),
        ("0 */5 * * * *", timedelta(minutes=5)),
        ("30 5/15 * * * *", timedelta(minutes=15)),
        ("0 0 * * * *", timedelta(hours=1)),
        ("0 0,10,20 * * * *", timedelta(minutes=40)),
        ("0 0 22-2 * * *", timedelta(hours=20)),
        ("0 0 8-18 * * MON-FRI", timedelta(days=2, hours=14)),
        ("0 0 8 * * mon", timedelta(days=7)),
        ("0 0 0 1 January *", timedelta(days=366)),
        ("0 0 0 1 */6 *", timedelta(days=184)),
        ("0 0 0 31 2 *", timedelta(days=4 * 366)),
    ],
)
def test_the_longest_time_between_two_runs(schedule: str, longest: timedelta) -> None:
    assert longest_interval(schedule) == longest


def test_a_timer_may_be_quiet_for_two_of_its_intervals_and_a_quarter_of_an_hour_at_least() -> None:
    assert silent_after("0 * * * * *") == timedelta(minutes=15)
    assert silent_after("0 0 * * * *") == timedelta(hours=2)
