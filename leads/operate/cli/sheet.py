"""Rows as CSV (RFC 4180) that a spreadsheet opens, and in which nothing that a customer typed becomes a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from leads.operate.cli.screen import printable

_FORMULA = re.compile("(^|[;,|])( *)(?=[=+@\uff1d\uff0b\uff20\uff0d-])")
"""Where a formula would begin (OWASP, "CSV Injection"): at the start of a cell, or behind what some countries' Excel
takes for the end of one."""


def lines(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The lines of the file, without their ends. The first begins with a mark by which Excel knows UTF-8."""
    yield "\ufeff" + _line(columns)
    for row in rows:
        yield _line([safe(value) for value in row])


def safe(value: object) -> str:
    """A value as one line of text, with an apostrophe wherever a formula would begin."""
    return _FORMULA.sub(r"\1\2'", printable(value))


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="").writerow(cells)
    return text.getvalue()
