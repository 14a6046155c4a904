"""The small version of soak.py: more than the host can take for some seconds, and a backlog with a broken CRM."""

from __future__ import annotations

from pathlib import Path

from tests.integration import soak


def test_a_flood_is_answered_with_202_or_503_and_every_202_is_kept(tmp_path: Path) -> None:
    made = soak.flood(tmp_path, rate=300, seconds=4)
    assert made.offered == 1200


def test_a_backlog_is_worked_off_with_one_alert_and_a_bounded_crowd_at_the_crm(tmp_path: Path) -> None:
    soak.backlog(tmp_path, 40, 180, sweeps="*/2 * * * * *")


def test_a_large_backlog_is_worked_off_in_memory_with_one_alert() -> None:
    soak.backlog_in_memory(2_500)
