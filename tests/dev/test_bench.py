"""docs/performance.md says what the bench measured, and its paper what the code counts. No clock is asserted."""

from __future__ import annotations

import json
import re

import pytest

from dev import bench_report, cost
from leads.intake.watch import ROWS_PER_RUN
from leads.sweep.sweep import LAST_SECONDS, LOOK_SECONDS

PAGE = bench_report.DOCUMENT.read_text(encoding="utf-8")
MADE = json.loads(bench_report.FIGURES.read_text(encoding="utf-8"))


def test_the_table_is_that_of_the_figures() -> None:
    assert bench_report.computed(PAGE, MADE) == PAGE, "run: python -m dev.bench_report"


def test_what_is_counted_is_counted_by_a_test() -> None:
    named = [line.test for line in bench_report.LINES if line.test]
    assert named
    assert [name for name in named if not (bench_report.ROOT / name).is_file()] == []


def test_what_was_not_reached_says_by_how_much_and_why() -> None:
    slow = dict.fromkeys(MADE["figures"], 1e6)
    text = bench_report.table(slow)
    missed = re.findall(r"^\* \*\*.+\*\*: .+, wanted .+\. Why: .{10,}\.$", text, re.MULTILINE)
    assert text.count("| not reached |") == len(missed) > 5
    good = bench_report.table(dict.fromkeys(MADE["figures"], 0.01) | {"deliveries_a_second": 50, "sweep_rows": 0})
    assert "not reached" not in good


def test_counted_figures_are_those_that_were_wanted() -> None:
    """A figure that is counted does not depend on the machine."""
    figures = MADE["figures"]
    assert figures["post_calls"] <= 6
    assert figures["delivery_calls"] <= 3
    assert figures["sweep_calls"] <= 7
    assert figures["sweep_rows"] == 0
    assert figures["old_row_operations"] < 1.1
    assert figures["cost_idle"] <= 0.60


@pytest.mark.parametrize(
    ("at", "leads"),
    [
        ("420,000", LAST_SECONDS * 2000),
        ("864,000", 6000 / 2 / 300 * 86_400),
        ("1,700,000", LOOK_SECONDS / 0.01 / 300 * 86_400),
        ("7,200,000", ROWS_PER_RUN * 24 * 60),
        ("28,000,000", 2000 / (2 * cost.DELIVERY.queue) * 86_400),
        ("57,000,000", 2000 / 3 * 86_400),
    ],
)
def test_what_ends_first_is_computed_from_the_code(at: str, leads: float) -> None:
    assert f"\n| {at} |" in PAGE
    assert int(at.replace(",", "")) == pytest.approx(leads, rel=0.04)


def test_the_bill_of_a_million_a_day_is_computed() -> None:
    bill = cost.bill(30e6, 2, cost.prices(cost.DOCUMENT.read_text(encoding="utf-8")), grants=True)
    assert f"${round(bill.total, -1):,.0f} by HTTPS" in PAGE
    assert f"${round(bill.compute + bill.logs, -1):,.0f} of it\n" in PAGE
