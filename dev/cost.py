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
LOG_KB = 5
"""Kilobytes of logs of one run: its request, the host's lines and the app's event. An estimate; see the workspace."""
LEAD_KB = 20
"""Kilobytes that stay of one lead: raw, lead, deliveries, journal, with what storage adds to each. An estimate."""
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
    """Runs of a function; each is billed for one second, the least there is."""
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


LEAD = Counts(runs=1, tables=46, blob_writes=1)
"""From its arrival to its last look by the sweep, without its deliveries. The way in by the table needs more operations
(the watch sees a row again in every run of the next quarter of an hour), HTTPS has the run: the dearer of both."""
DELIVERY = Counts(runs=1, tables=3, queue=3)
"""One attempt."""
WATCH = Counts(runs=1, tables=6)
"""One run that finds nothing new, for one table."""
SWEEP = Counts(runs=1, tables=6, blob_writes=0.1)
"""One run that finds nothing to do, with its share of the hourly and the daily work."""
HOST = Counts(queue=MONTH / 2, blob_writes=MONTH / 30, blob_others=MONTH / 10)
"""One instance of the host all month, as if it looked at a queue every two seconds, and renewed its locks. An estimate:
there are two queues, and they are looked at so often only while there is work; with a watch each minute there is hardly
a time without an instance. Since April 2026 the host also lists containers every 30 seconds
(Azure/azure-functions-host#11765)."""
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
    counts = IDLE + (LEAD + DELIVERY * destinations) * leads
    free = price if grants else dict.fromkeys(price, 0.0)
    gb_seconds = max(0.0, counts.runs * MEMORY_GB - free["free-gb-seconds"])
    runs = max(0.0, counts.runs - free["free-executions"])
    log_gb = max(0.0, counts.runs * LOG_KB / 1e6 - free["free-log-gb"])
    operations = {
        "10k-table": counts.tables,
        "10k-queue": counts.queue,
        "10k-blob-write": counts.blob_writes,
        "10k-blob-other": counts.blob_others,
    }
    return Bill(
        compute=gb_seconds * price["gb-second"] + runs / 1e6 * price["million-executions"],
        storage=sum(count / 1e4 * price[name] for name, count in operations.items())
        + leads * YEAR * LEAD_KB / 1e6 * price["gb-stored"],
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
    counts = WATCH * (MONTH / seconds)
    return (
        counts.runs * (MEMORY_GB * price["gb-second"] + price["million-executions"] / 1e6)
        + counts.runs * LOG_KB / 1e6 * price["gb-log"]
        + counts.tables / 1e4 * price["10k-table"]
    )


def options(price: Mapping[str, float]) -> str:
    """The table of what can be chosen."""
    rows = {
        f"Alert rules (`alertEmail`): {ALERT_RULES} on logs, every 15 minutes, and {SITE_RULES} on the site": (
            ALERT_RULES * price["alert-rule"] + SITE_RULES * price["metric-rule"]
        ),
        "One HTTPS instance that is always ready (`alwaysReadyHttp = 1`), 512 MB": always_ready(price),
        "The watch each 15 seconds instead of each minute, before free grants": watch(price, 15) - watch(price, 60),
        "The watch each 5 minutes instead of each minute, before free grants": watch(price, 300) - watch(price, 60),
    }
    lines = ["| option | a month |", "|---|---:|"]
    lines += [f"| {name} | {dollars(value)} |" for name, value in rows.items()]
    return "\n".join(lines)


def per_thousand(price: Mapping[str, float]) -> str:
    """The table of what a thousand leads more cost, before free grants."""
    lines = ["| destinations | runs | table operations | queue operations | cost |", "|---:|---:|---:|---:|---:|"]
    for destinations in (1, 2, 3, 5):
        counts = (LEAD + DELIVERY * destinations) * 1000
        more = bill(1000, destinations, price, grants=False).total - bill(0, 1, price, grants=False).total
        numbers = " | ".join(f"{value:,.0f}" for value in (counts.runs, counts.tables, counts.queue))
        lines.append(f"| {destinations} | {numbers} | {dollars(more)} |")
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
