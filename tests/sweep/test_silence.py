"""When silence is worth a word."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.sweep.silence import silence

TODAY = date(2026, 11, 21)
LONG_AGO = TODAY - timedelta(days=400)


def came(*back: int, each: int = 1) -> dict[date, int]:
    """Leads on days that are so many days back."""
    return {TODAY - timedelta(days=days): each for days in back}


@pytest.mark.parametrize(
    ("back", "each", "days"),
    [
        # Leads on each day: two whole days without one are too many.
        (range(2, 60), 1, None),
        (range(3, 60), 1, 2),
        # One a week: usual are six whole days without one, so twelve are too many.
        (range(12, 90, 7), 1, None),
        (range(13, 90, 7), 1, 12),
        # Fewer than ten leads are known: a week at least.
        ((7,), 9, None),
        ((8,), 9, 7),
        ((8,), 10, 7),
        ((3,), 10, 2),
        # What was long ago teaches nothing, but it was the last lead.
        ((100, 200), 1, 99),
    ],
)
def test_twice_the_longest_gap_is_allowed(back: tuple[int, ...], each: int, days: int | None) -> None:
    found = silence(came(*back, each=each), LONG_AGO, TODAY)
    assert (found.days if found else None) == days


def test_an_app_that_never_had_a_lead_waits_a_week_from_its_first_day() -> None:
    assert silence({}, TODAY - timedelta(days=7), TODAY) is None
    found = silence({}, TODAY - timedelta(days=8), TODAY)
    assert found is not None
    assert (found.since, found.days, found.usual) == (TODAY - timedelta(days=8), 7, 0)


def test_a_number_of_days_replaces_what_is_usual() -> None:
    assert silence(came(2), LONG_AGO, TODAY, after=2) is None
    assert silence(came(3), LONG_AGO, TODAY, after=2) is not None
    assert silence(came(3, 60), LONG_AGO, TODAY, after=2) is not None


@given(
    st.dictionaries(st.integers(0, 200).map(lambda back: TODAY - timedelta(days=back)), st.integers(0, 5), max_size=40)
)
def test_a_lead_today_or_yesterday_is_no_silence_and_leads_only_ever_shorten_one(counts: dict[date, int]) -> None:
    for back in (0, 1):
        assert silence({**counts, TODAY - timedelta(days=back): 1}, LONG_AGO, TODAY) is None
    found = silence(counts, LONG_AGO, TODAY)
    if found:
        assert found.days >= 2
        assert found.days >= 2 * found.usual
        assert not any(count for day, count in counts.items() if day > found.since)
