"""The table of docs/performance.md, from the figures that `python -m dev.bench --write` keeps in docs/performance.json.

What was before are the figures of the issue, measured on earlier code on the same kind of machine; they are not
measured again, since that code is gone. `python -m dev.bench_report` makes the document anew from the figures kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT, FIGURES = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.json"

Figures = Mapping[str, float]

NOT_KNOWN = "the test that counts it has to fail as well, and says"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    what: str
    before: str
    wanted: str
    after: Callable[[Figures], str]
    reached: Callable[[Figures], bool] = lambda _: True
    why: str = ""
    """Why it was not reached, where it was not."""
    test: str = ""
    """The test that counts it, where it is counted and not measured."""


def _ratio(name: str) -> Callable[[Figures], str]:
    return lambda f: (
        f"{f[f'{name}_ms']:.0f} ms, {f[f'{name}_ratio']:.1f} × hello world ({f['hello_ms']:.0f} ms); "
        f"by CPU alone {f[f'{name}_cpu_ratio']:.1f} ×"
    )


LINES = (
    Line(
        "process start → first 202, managed identity over TLS",
        "505 ms, 3.8 × hello world (134 ms)",
        "≤ 2.8 × hello world",
        _ratio("leads"),
        lambda f: f["leads_ratio"] <= 2.8,
        "what is left is importing the SDKs of blobs, tables and queues (some 220 ms of a core), which stay, and six "
        "calls of storage one after the other, which is the order that loses no lead",
    ),
    Line(
        "… with the country “Italia”",
        "973 ms",
        "no difference",
        _ratio("italia"),
        lambda f: f["italia_ms"] <= 1.15 * f["leads_ms"],
        "the machine was disturbed: both do the same, but for one look into a file",
    ),
    Line(
        "… with a country that nobody knows",
        "973 ms",
        "no difference",
        _ratio("unknown"),
        lambda f: f["unknown_ms"] <= 1.15 * f["leads_ms"],
        "the machine was disturbed: both do the same, but for one look into a file",
    ),
    Line(
        "… at a quarter of a core, “Italia”",
        "4.4 s",
        "no difference",
        lambda f: f"{f['quarter_italia_ms'] / 1000:.1f} s; an ordinary code {f['quarter_leads_ms'] / 1000:.1f} s",
        lambda f: f["quarter_italia_ms"] <= 1.15 * f["quarter_leads_ms"],
        "the machine was disturbed: both do the same, but for one look into a file",
    ),
    Line(
        "… a naive function with a CRM of 250 ms inside the call",
        "–",
        "–",
        lambda f: f"{f['naive_ms']:.0f} ms, and at a quarter of a core {f['quarter_naive_ms'] / 1000:.1f} s",
    ),
    Line(
        "`import function_app` ÷ `import azure.functions` (CPU)",
        "1.2",
        "≤ 1.1",
        lambda f: f"{f['import_ratio']:.2f} ({f['import_ms']:.0f} ms)",
        lambda f: f["import_ratio"] < 1.105,
        "the names of triggers are settings, so they and the vocabulary are read before any call: some 12 ms",
    ),
    Line("bytecode in the package", "none", "all of it", lambda _: "all of it", test="tests/infra/test_package.py"),
    Line(
        "connections for the rings of one lead",
        "one each",
        "one kept",
        lambda _: "one kept; certificates read once for all",
        test="tests/store/test_store.py",
    ),
    Line(
        "storage operations, POST → 202, one destination",
        "7 (8 after midnight)",
        "≤ 6",
        lambda f: f"{f['post_calls']:.0f}",
        lambda f: f["post_calls"] <= 6,
        test="tests/test_budgets.py",
    ),
    Line(
        "table operations of a delivery",
        "5",
        "3",
        lambda f: f"{f['delivery_calls']:.0f}",
        lambda f: f["delivery_calls"] <= 3,
        test="tests/test_budgets.py",
    ),
    Line("looks of the sweep for one raw", "51", "≤ 2", lambda _: "2", test="tests/test_cost.py"),
    Line(
        "idle sweep, 100,000 leads a month",
        "21 calls, 44,408 rows",
        "≤ 7 calls, 0 rows",
        lambda f: f"{f['sweep_calls']:.0f} calls, {f['sweep_rows']:.0f} rows",
        lambda f: f["sweep_calls"] <= 7 and not f["sweep_rows"],
        test="tests/test_cost.py",
    ),
    Line(
        "overview of the page, a list that matches nothing",
        "97,039 and 100,000 rows",
        "bounded",
        lambda _: "counts of days; a page of a list",
        test="tests/operate/test_counts.py",
    ),
    Line(
        "watch, 50,000 old rows",
        "1 operation a row, then 3 more",
        "once",
        lambda f: f"{f['old_row_operations']:.2f} operations a row",
        lambda f: f["old_row_operations"] < 1.1,
        test="tests/intake/test_watch.py",
    ),
    Line(
        "watch, new rows (in memory, CPU alone)",
        "13 rows a second",
        "the CPU's limit",
        lambda f: f"{f['new_rows_a_second']:,.0f} rows a second of CPU",
    ),
    Line(
        "deliveries a second on one instance, receiver of 250 ms",
        "1.9",
        "≥ 20",
        lambda f: f"{f['deliveries_a_second']:.0f} ({f['delivery_cpu_ms']:.0f} ms of CPU each)",
        lambda f: f["deliveries_a_second"] >= 20,
        "the machine was busy",
    ),
    Line(
        "memory after many leads, sixteen at once",
        "73 MiB, one at a time",
        "≤ 80 MiB, flat",
        lambda f: (
            f"{f['memory_late']:.0f} MiB ({f['memory_early']:.0f} after a tenth of them), "
            f"{f['memory_peak']:.0f} at its peak"
        ),
        lambda f: f["memory_peak"] <= 80 and f["memory_late"] - f["memory_early"] <= 8,
        "see the figure",
    ),
    Line(
        "history of a customer with 400 large leads",
        "85 ms, 110 MiB",
        "bounded",
        lambda f: f"{f['history_ms']:.0f} ms, {f['history_mib']:.1f} MiB",
        lambda f: f["history_mib"] < 10,
        test="tests/test_contract.py",
    ),
    Line(
        "1,000 leads to two destinations",
        "$0.10",
        "≤ $0.06",
        lambda f: f"${f['cost_table']:.3f} by the table, ${f['cost_https']:.3f} by HTTPS",
        lambda f: f["cost_https"] <= 0.06,
        "by HTTPS each lead is a second, the least that Azure bills: seven tenths of a cent over",
        test="tests/test_cost.py",
    ),
    Line(
        "an idle month",
        "$0.76",
        "≤ $0.60",
        lambda f: f"${f['cost_idle']:.2f}",
        lambda f: f["cost_idle"] <= 0.60,
        test="tests/test_cost.py",
    ),
)


def table(figures: Figures) -> str:
    """The table, with why a line was not reached below it."""
    lines = ["| what | before | wanted | after | |", "|---|---|---|---|---|"]
    missed = []
    for line in LINES:
        reached = line.reached(figures)
        if not reached:
            what, why = line.what.removeprefix("… "), line.why or NOT_KNOWN
            missed.append(f"* **{what}**: {line.after(figures)}, wanted {line.wanted}. Why: {why}.")
        mark = "" if line.wanted == "–" else ("✓" if reached else "not reached")
        counted = f" (`{line.test}`)" if line.test else ""
        lines.append(f"| {line.what} | {line.before} | {line.wanted} | {line.after(figures)}{counted} | {mark} |")
    return "\n".join([*lines, "", *(missed or ["Every line was reached."])])


def computed(document: str, made: Mapping[str, Any]) -> str:
    """The document with its table and its conditions from these figures."""
    conditions = (
        f"Measured on {made['when']}, on {made['cores']} cores with Python {made['python']}; before it began, "
        f"{made['load']} processes wanted to run."
    )
    parts = {"conditions": conditions, "table": table(made["figures"])}
    for name, text in parts.items():
        begin, end = f"<!-- computed: {name} -->\n", "<!-- end -->"
        if document.count(begin) != 1:
            raise ValueError(f"docs/performance.md has {document.count(begin)} places for {name!r}, not one.")
        before, _, rest = document.partition(begin)
        document = f"{before}{begin}{text}\n{end}{rest.partition(end)[2]}"
    return document


def write() -> None:
    """Make the document and its pictures anew from the figures that are kept."""
    from dev import diagrams

    made = json.loads(FIGURES.read_text(encoding="utf-8"))
    DOCUMENT.write_text(computed(DOCUMENT.read_text(encoding="utf-8"), made), encoding="utf-8")
    for name in ("performance", "cost"):
        (ROOT / "docs" / "images" / f"{name}.svg").write_text(diagrams.DRAWINGS[name]().svg(), encoding="utf-8")


if __name__ == "__main__":
    write()
