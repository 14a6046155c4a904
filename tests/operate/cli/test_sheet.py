"""A list as CSV: it reads back as it was, and no cell of it is a formula (OWASP, "CSV Injection")."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.operate.cli import sheet

FORMULAS = (
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "  =1",
    "＝1",
    "x;=1",
    "x; +1",
    "x\t@SUM(1)",
)


def read(text: str, separator: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=separator))


@pytest.mark.parametrize("value", FORMULAS)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_no_cell_is_a_formula_wherever_it_is_opened(value: str, separator: str) -> None:
    text = "\n".join(sheet.lines(["name", "company"], [[value, f"x{value}"], ["Ada", value]]))
    for row in read(text, separator):
        for cell in row:
            assert not re.match(r"[\s\"]*[=+@＝＋＠－-]", cell), cell


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=5))
def test_every_text_stays_one_cell_of_one_line(rows: list[list[str]]) -> None:
    lines = list(sheet.lines(["a", "b"], rows))
    assert len(lines) == 1 + len(rows)
    assert read("\n".join(lines)) == [["a", "b"], *([sheet.safe(cell) for cell in row] for row in rows)]


def test_what_is_harmless_stays_as_it_is() -> None:
    for text in ("Ada Rossi", "ada+news@example.com", "Müller-Lüdenscheidt", 'say "yes", please', "田中さん"):
        assert sheet.safe(text) == text
    assert sheet.safe("+390669812345") == "'+390669812345"
