"""What a month costs, computed: `python -m dev.cost` writes the tables of docs/cost.md anew.

The prices stand in a table of docs/cost.md, with their date, and nowhere else. The operations stand here, and
tests/test_cost.py counts them by running the app: it fails when a change of the app needs more of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "cost.md"
VOLUMES = (0, 100, 1_000, 100_000)
MONTH = 365 / 12 * 86_400
"""Seconds of a month."""
MEMORY_GB = 0.5
RECORD_KB = 1.25
"""Kilobytes that one record of the logs takes with all its columns. An estimate; see the workspace."""
LEAD_KB = 6
"""Kilobytes that stay of one lead: raw, lead, deliveries, journal, with what storage adds to each."""
YEAR = 12
"""Months that leads are kept (LEADS_RETENTION_DAYS)."""
ALERT_RULES = 7
"""Rules on logs."""
SITE_RULES = 2
"""Rules on the site's own counts, where leads come by HTTPS; one otherwise."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Operations of one lead, one delivery, one run of a timer or one month."""

    runs: float = 0
    """Runs of a function."""
    seconds: float = 0
    """Seconds in which an instance works, as they are billed: a whole one at least, overlapping calls once."""
    records: float = 0
    """Records of the logs: a request for each run, and the app's events."""
    tables: float = 0
    """Table operations; a transaction is one."""
    queue: float = 0
    """Queue operations."""
    blob_writes: float = 0
    """Blob operations that write or list."""
    blob_others: float = 0
    """All other blob operations, such as renewing a lease."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __mul__(self, times: float) -> Counts:
        return Counts(*(value * times for value in astuple(self)))


ROWS = 30
"""Rows that listings give for one lead in its life, a thousand to a page: what they cost beyond their first page."""
LEAD = Counts(runs=1, seconds=1, records=2, tables=46 + ROWS / 1000, blob_writes=1)
"""From its arrival to its last look by the sweep, without its deliveries. The way in by the table needs more operations
(the watch sees a row again in every run of the next quarter of an hour), HTTPS has the run: the dearer of both."""
BY_TABLE = Counts(records=1, tables=46 + ROWS / 1000, blob_writes=1)
"""The same of a lead that came in by the table: the watch runs anyhow."""
TOGETHER = Counts(seconds=1)
"""All deliveries of a lead: their messages are rung for together, and one instance works on them at once."""
DELIVERY = Counts(runs=1, records=3, tables=3, queue=3)
"""One attempt."""
WATCH = Counts(runs=1, seconds=1, records=2, tables=6)
"""One run that finds nothing new, for one table."""
SWEEP = Counts(runs=1, seconds=1, records=2, tables=6, blob_writes=0.1)
"""One run that finds nothing to do, with its share of the hourly and the daily work."""
PROBE = Counts(blob_others=MONTH / 30)
"""The host looks every 30 seconds whether its storage is there: with a cheap read since August 2026
(Azure/azure-functions-host#11925), by listing containers from April on (#11765)."""
HOST = Counts(queue=MONTH / 3, blob_others=MONTH / 10) + PROBE
"""One instance of the host all month, as if it looked at a queue every three seconds, and renewed its locks. An
estimate: there are two queues, and they are looked at so often only while there is work; with a watch each minute there
is hardly a time without an instance."""
IDLE = WATCH * (MONTH / 60) + SWEEP * (MONTH / 300) + HOST


@dataclass(frozen=True, slots=True)
class Bill:
    """What a month costs, in US dollars, by part."""

    compute: float
    storage: float
    logs: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.compute + self.storage + self.logs


def prices(document: str) -> dict[str, float]:
    """The price table of the document by the names in backquotes: US dollars, or amounts that are free."""
    rows = re.findall(r"^\| `([\w-]+)` \| ([\d.,]+) \|", document, re.MULTILINE)
    return {name: float(value.replace(",", "")) for name, value in rows}


def bill(leads: float, destinations: int, price: Mapping[str, float], *, grants: bool) -> Bill:
    """A month with so many leads, each delivered to every destination at the first attempt, in its second year."""
    counts = IDLE + (LEAD + TOGETHER + DELIVERY * destinations) * leads
    return priced(counts, price, grants=grants, kept=leads)


def priced(counts: Counts, price: Mapping[str, float], *, grants: bool = False, kept: float = 0) -> Bill:
    """What these operations cost, and to keep so many leads a month for a year."""
    free = price if grants else dict.fromkeys(price, 0.0)
    gb_seconds = max(0.0, counts.seconds * MEMORY_GB - free["free-gb-seconds"])
    runs = max(0.0, counts.runs - free["free-executions"])
    log_gb = max(0.0, counts.records * RECORD_KB / 1e6 - free["free-log-gb"])
    operations = {
        "10k-table": counts.tables,
        "10k-queue": counts.queue,
        "10k-blob-write": counts.blob_writes,
        "10k-blob-other": counts.blob_others,
    }
    return Bill(
        compute=gb_seconds * price["gb-second"] + runs / 1e6 * price["million-executions"],
        storage=sum(count / 1e4 * price[name] for name, count in operations.items())
        + kept * YEAR * LEAD_KB / 1e6 * price["gb-stored"],
        logs=log_gb * price["gb-log"],
    )


def always_ready(price: Mapping[str, float]) -> float:
    """One instance that is always ready, for a month."""
    return MONTH * MEMORY_GB * price["always-ready-gb-second"]


def by_volume(price: Mapping[str, float]) -> str:
    """The table of what a month costs by its leads."""
    lines = [
        "| leads a month | destinations | compute | storage | logs | before free grants | **after free grants** |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for leads in VOLUMES:
        for destinations in (1, 3) if leads else (1,):
            full = bill(leads, destinations, price, grants=False)
            paid = bill(leads, destinations, price, grants=True)
            parts = " | ".join(map(dollars, (full.compute, full.storage, full.logs, full.total)))
            shown = str(destinations) if leads else "any"
            lines.append(f"| {leads:,} | {shown} | {parts} | **{dollars(paid.total)}** |")
    return "\n".join(lines)


def with_options(price: Mapping[str, float]) -> str:
    """The table of whole bills, after free grants and with three destinations, next to the other ways."""
    alerts = ALERT_RULES * price["alert-rule"] + SITE_RULES * price["metric-rule"]
    ready = always_ready(price)
    lines = [
        "| leads a month | bare | with alerts | and always ready | Microsoft's table alone | Power Automate Premium |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for leads in VOLUMES:
        bare = bill(leads, 3, price, grants=True).total
        own = leads / 1000 * price["microsoft-1000-leads"]
        row = (bare, bare + alerts, bare + alerts + ready, own, price["power-automate-premium"])
        lines.append(f"| {leads:,} | {' | '.join(map(dollars, row))} |")
    return "\n".join(lines)


def watch(price: Mapping[str, float], seconds: float) -> float:
    """The watch alone, with one run in so many seconds, for a month and before free grants."""
    return priced(WATCH * (MONTH / seconds), price).total


def options(price: Mapping[str, float]) -> str:
    """The table of what can be chosen."""
    rows = {
        f"Alert rules (`alertEmail`): {ALERT_RULES} on logs, every 15 minutes, and {SITE_RULES} on the site": (
            ALERT_RULES * price["alert-rule"] + SITE_RULES * price["metric-rule"]
        ),
        "One HTTPS instance that is always ready (`alwaysReadyHttp = 1`), 512 MB": always_ready(price),
        "The watch each 15 seconds instead of each minute, before free grants": watch(price, 15) - watch(price, 60),
        "The watch each 5 minutes instead of each minute, before free grants": watch(price, 300) - watch(price, 60),
        "Deliveries of 1,000 leads that take five seconds instead of one": priced(Counts(seconds=4000), price).total,
        "The host's look at its storage, where the host is older than August 2026": (
            priced(Counts(blob_writes=PROBE.blob_others), price).total - priced(PROBE, price).total
        ),
    }
    lines = ["| option | a month |", "|---|---:|"]
    lines += [f"| {name} | {dollars(value)} |" for name, value in rows.items()]
    return "\n".join(lines)


def per_thousand(price: Mapping[str, float]) -> str:
    """The table of what a thousand leads more cost, before free grants."""
    lines = [
        "| destinations | runs | seconds | records | table operations | queue operations | by HTTPS | by the table |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for destinations in (1, 2, 3, 5):
        rest = TOGETHER + DELIVERY * destinations
        counts = (LEAD + rest) * 1000
        shown = (counts.runs, counts.seconds, counts.records, counts.tables, counts.queue)
        numbers = " | ".join(f"{value:,.0f}" for value in shown)
        both = [dollars(priced((way + rest) * 1000, price, kept=1000).total) for way in (LEAD, BY_TABLE)]
        lines.append(f"| {destinations} | {numbers} | {' | '.join(both)} |")
    return "\n".join(lines)


BEFORE = {"1,000 leads to two destinations": 0.10, "a month without a lead": 0.76}
"""What this page computed before, without the host's look at its storage."""


def before_and_after(price: Mapping[str, float]) -> str:
    """The table of what was computed before, and is now."""
    rest = TOGETHER + DELIVERY * 2
    https, table = (priced((way + rest) * 1000, price, kept=1000).total for way in (LEAD, BY_TABLE))
    leads, idle = BEFORE
    lines = ["| what | before | wanted | now |", "|---|---:|---:|---:|"]
    lines += [f"| {leads}, by the table | ${BEFORE[leads]:.2f} | $0.06 | ${table:.3f} |"]
    lines += [f"| {leads}, by HTTPS | ${BEFORE[leads]:.2f} | $0.06 | ${https:.3f} |"]
    lines += [f"| {idle} | ${BEFORE[idle]:.2f} | $0.60 | ${bill(0, 1, price, grants=True).total:.3f} |"]
    return "\n".join(lines)


def dollars(value: float) -> str:
    """An amount as it is shown: cents, and less than a cent as such."""
    if 0 < value < 0.005:
        return "< $0.01"
    return f"{'-' if value < 0 else ''}${abs(value):,.2f}"


TABLES: Mapping[str, Callable[[Mapping[str, float]], str]] = {
    "by volume": by_volume,
    "options": options,
    "whole bills": with_options,
    "per thousand": per_thousand,
    "before and after": before_and_after,
}


def computed(document: str) -> str:
    """The document with every table between `<!-- computed: NAME -->` and `<!-- end -->` computed from its prices."""
    price = prices(document)
    for name, table in TABLES.items():
        pattern = rf"(<!-- computed: {name} -->\n).*?(<!-- end -->)"
        document, found = re.subn(pattern, rf"\g<1>{table(price)}\n\g<2>", document, flags=re.DOTALL)
        if found != 1:
            raise ValueError(f"docs/cost.md has {found} places for the table {name!r}, not one.")
    return document


if __name__ == "__main__":
    DOCUMENT.write_text(computed(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
