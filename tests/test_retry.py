"""When to try again."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.retry import LONGEST_WAIT, wait
from leads.settings import RETRY_SCHEDULE


def test_the_schedule_survives_a_weekend() -> None:
    *_, last = accumulate(RETRY_SCHEDULE)
    assert last == 75 * 3600 + 35 * 60 + 5


@given(st.integers(0, 9), st.text())
def test_a_wait_is_the_schedules_with_a_fifth_of_jitter(tries: int, seed: str) -> None:
    planned = wait(RETRY_SCHEDULE, tries, None, seed)
    assert planned is not None
    assert 0.8 * RETRY_SCHEDULE[tries] - 1e-6 <= planned <= min(1.2 * RETRY_SCHEDULE[tries] + 1e-6, LONGEST_WAIT)


@given(st.integers(0, 9), st.floats(0, 1e12), st.text())
def test_the_destinations_wish_counts_where_it_is_longer_and_up_to_a_day(tries: int, wish: float, seed: str) -> None:
    got = wait(RETRY_SCHEDULE, tries, wish, seed)
    assert got is not None
    assert min(wish, LONGEST_WAIT) <= got <= LONGEST_WAIT


def test_the_schedule_ends() -> None:
    assert wait(RETRY_SCHEDULE, len(RETRY_SCHEDULE), 5.0, "x") is None
    assert wait((), 0, None, "x") is None


def test_deliveries_that_failed_together_do_not_return_together() -> None:
    assert len({wait(RETRY_SCHEDULE, 3, None, str(number)) for number in range(100)}) == 100


def test_the_answer_is_the_same_whenever_it_is_asked() -> None:
    assert wait(RETRY_SCHEDULE, 4, None, "x") == pytest.approx(wait(RETRY_SCHEDULE, 4, None, "x") or 0.0)
