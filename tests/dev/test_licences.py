"""The list of licences is what is installed, and nothing that asks for something is passed over in silence."""

from __future__ import annotations

import pytest

from dev import licences

PAGE = licences.PAGE.read_text("utf-8")


def test_the_page_is_true() -> None:
    assert licences.findings(PAGE) == []


def test_writing_the_page_anew_changes_nothing() -> None:
    assert licences.written(PAGE) == PAGE


def test_a_table_is_made_from_what_is_installed() -> None:
    assert licences.written(PAGE.replace("| requests | Apache-2.0 |", "| httpx | MIT |", 1)) == PAGE


@pytest.mark.parametrize(
    ("before", "after", "finding"),
    [
        ("| requests | Apache-2.0 |\n", "", "requests declares Apache-2.0"),
        ("| requests | Apache-2.0 |", "| requests | MIT |", "requests declares Apache-2.0"),
        ("| requests |", "| httpx | MIT |\n| requests |", "httpx is listed and no longer used"),
        ("`certifi` (", "`httpx` (", "httpx is explained and no longer used"),
        ("`certifi` (", "certifi (", "what MPL-2.0 of certifi means"),
        ("`axe-core` (", "axe-core (", "what MPL-2.0 of axe-core means"),
    ],
)
def test_what_is_not_so_is_a_finding(before: str, after: str, finding: str) -> None:
    assert before in PAGE
    assert any(finding in told for told in licences.findings(PAGE.replace(before, after, 1)))


@pytest.mark.parametrize(
    ("licence", "harmless"),
    [
        ("MIT License", True),
        ("Apache-2.0 OR BSD-3-Clause", True),
        ("", False),
        ("GPL-3.0-only", False),
        ("GNU Lesser General Public License v2 (LGPLv2)", False),
        ("Mozilla Public License 2.0 (MPL 2.0)", False),
        ("MIT AND GPL-2.0-only", False),
        ("Proprietary", False),
        ("Use is not permitted", False),
    ],
)
def test_only_what_asks_for_nothing_is_harmless(licence: str, harmless: bool) -> None:
    assert licences._harmless(licence) is harmless
