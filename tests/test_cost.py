"""docs/cost.md says what dev/cost.py computes from the prices in it, and computes it rightly."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dev import cost
from leads import delivery
from leads.intake import watch
from leads.intake.accept import receive
from leads.lead import State
from leads.settings import Settings
from leads.store.ledger import DayLine, Line
from leads.store.testing import _check
from tests.world import PERSON, FakeDestination, Pager, World, post, row, world

ROOT = Path(__file__).resolve().parent.parent
PAGE = cost.DOCUMENT.read_text(encoding="utf-8")
PRICE = cost.prices(PAGE)


def test_the_tables_are_those_that_are_computed() -> None:
    assert cost.computed(PAGE) == PAGE, "run: python -m dev.cost"


def test_every_price_is_dated_and_stands_in_one_place() -> None:
    assert "US list prices in November 2026" in PAGE
    source = Path(cost.__file__).read_text(encoding="utf-8")
    used = set(re.findall(r'price\["([\w-]+)"\]|free\["([\w-]+)"\]|"(10k-[\w-]+)"', source))
    assert {name for names in used for name in names if name} == set(PRICE)
    assert len(re.findall(r"^\| `[\w-]+` \| [\d.,]+ \|", PAGE, re.MULTILINE)) == len(PRICE), "no price stands twice"


@pytest.mark.parametrize("volume", [0, 100, 1_000, 100_000])
def test_every_volume_is_shown_before_and_after_free_grants(volume: int) -> None:
    bare = cost.bill(volume, 1, PRICE, grants=False)
    paid = cost.bill(volume, 1, PRICE, grants=True)
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| {volume:,} | "))
    assert cost.dollars(bare.total) in row
    assert f"**{cost.dollars(paid.total)}**" in row
    assert 0 <= paid.total <= bare.total


def test_by_hand() -> None:
    """Ten million leads to one destination, before free grants, on paper."""
    more = cost.bill(10_000_000, 1, PRICE, grants=False)
    idle = cost.bill(0, 1, PRICE, grants=False)
    assert more.compute - idle.compute == pytest.approx(20e6 * 0.5 * 0.000026 + 20 * 0.40)
    assert more.logs - idle.logs == pytest.approx(10e6 * 5 * 1.25 / 1e6 * 2.76)
    tables, queue = 10e6 * 49.03 / 1e4 * 0.00036, 10e6 * 3 / 1e4 * 0.004
    blobs, kept = 10e6 / 1e4 * 0.05, 10e6 * 12 * 6 / 1e6 * 0.045
    assert more.storage - idle.storage == pytest.approx(tables + queue + blobs + kept)


def test_an_instance_that_is_always_ready_costs_what_its_vendor_says() -> None:
    assert cost.dollars(cost.always_ready(PRICE)) == "$5.26"


def test_an_app_that_waits_stays_within_the_free_grants() -> None:
    assert cost.IDLE.runs < PRICE["free-executions"]
    assert cost.IDLE.runs * cost.MEMORY_GB < PRICE["free-gb-seconds"]
    idle = cost.bill(0, 1, PRICE, grants=True)
    assert (idle.compute, idle.logs) == (0, 0)


def test_the_short_version_is_true() -> None:
    some = cost.bill(500, 3, PRICE, grants=True)
    assert some.total == pytest.approx(0.50, abs=0.05), "about fifty cents"
    looks = cost.HOST.queue / 1e4 * PRICE["10k-queue"]
    assert looks == pytest.approx(some.total * 2 / 3, rel=0.1), "two thirds of them"
    listing, read = (cost.PROBE.blob_others / 1e4 * PRICE[name] for name in ("10k-blob-write", "10k-blob-other"))
    assert listing == pytest.approx(0.44, abs=0.005)
    assert read == pytest.approx(0.04, abs=0.006)
    assert cost.bill(500, 3, PRICE, grants=True).compute == 0
    attempts = cost.bill(1, 10, PRICE, grants=False).total - cost.bill(1, 0, PRICE, grants=False).total
    assert attempts < 0.005, "ten attempts of one delivery are far below a cent"
    assert cost.ALERT_RULES * PRICE["alert-rule"] > cost.bill(1000, 3, PRICE, grants=True).total


def test_what_was_wanted() -> None:
    """A thousand leads to two destinations for six cents, an idle month for sixty (issue: fast from cold)."""
    rest = cost.TOGETHER + cost.DELIVERY * 2
    assert cost.priced((cost.BY_TABLE + rest) * 1000, PRICE, kept=1000).total <= 0.06
    assert cost.priced((cost.LEAD + rest) * 1000, PRICE, kept=1000).total <= 0.07, "by HTTPS; see docs/cost.md"
    assert cost.bill(0, 1, PRICE, grants=True).total <= 0.60


def test_the_host_looks_at_the_queues_as_often_as_is_counted() -> None:
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    assert host["extensions"]["queues"]["maxPollingInterval"] == "00:00:03"
    assert cost.HOST.queue == cost.MONTH / 3


def test_the_number_of_alert_rules_is_that_of_the_template() -> None:
    template = json.loads((ROOT / "infra" / "main.json").read_text(encoding="utf-8"))
    alerts = template["resources"]["alerts"]["properties"]["template"]
    variables = alerts["variables"]
    on_logs = [r for r in alerts["resources"].values() if r["type"] == "Microsoft.Insights/scheduledQueryRules"]
    assert len(on_logs) == 3, "one for each of `reports`, one for each of `watches`, and `refused`"
    assert len(variables["reports"]) + len(variables["watches"]) + 1 == cost.ALERT_RULES
    assert variables["statuses"].count("'metric'") == cost.SITE_RULES


def test_the_schedules_are_those_that_are_counted() -> None:
    assert Settings().watch_schedule == "0 * * * * *"
    assert Settings().sweep_schedule == "0 */5 * * * *"
    assert Settings().retention_days == 365


def test_a_page_without_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="options"):
        cost.computed(PAGE.replace("<!-- computed: options -->", ""))


@pytest.mark.parametrize(
    ("value", "text"), [(0, "$0.00"), (0.001, "< $0.01"), (0.005, "$0.01"), (1234.5, "$1,234.50"), (-2, "-$2.00")]
)
def test_amounts_are_shown_in_dollars(value: float, text: str) -> None:
    assert cost.dollars(value) == text


CALLS = {
    **dict.fromkeys(("insert", "insert_all", "upsert", "replace", "get", "delete"), "tables"),
    **dict.fromkeys(("rows", "page", "rows_before", "any_row", "pages"), "tables"),
    **dict.fromkeys(("put_blob", "blobs"), "blob_writes"),
    **dict.fromkeys(("get_blob", "delete_blob"), "blob_others"),
    "ring": "queue",
}
"""What Azure bills a call of storage as. A listing is one page."""


class Counting:
    """Stands before a store, an inbox or a doorbell and counts its calls by what they are billed as.

    What listings give is counted as `rows`.
    """

    def __init__(self, inner: Any, counts: Counter[str]) -> None:
        self.inner, self.counts = inner, counts

    def __getattr__(self, name: str) -> Any:
        if name not in CALLS:
            return getattr(self.inner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self.counts[CALLS[name]] += 1
            found = getattr(self.inner, name)(*arguments, **named)
            return self._counted(found) if isinstance(found, Iterator) else found

        return call

    def _counted(self, found: Iterator[Any]) -> Iterator[Any]:
        for each in found:
            self.counts["rows"] += 1
            yield each


HOURS, LEADS = 4, 20


class Records(logging.Handler):
    """Counts what the app logs, as `records`."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self.counts = counts

    def emit(self, record: logging.LogRecord) -> None:
        self.counts["records"] += 1


@contextmanager
def recording(counts: Counter[str]) -> Iterator[None]:
    handler, logger = Records(counts), logging.getLogger("leads")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def counted(destinations: int, leads: int, *, https: bool = False) -> Counter[str]:
    """The operations of some hours in which so many leads come in, after an hour to settle."""
    places: dict[str, Any] = {f"place{i}": FakeDestination() for i in range(destinations)}
    counts: Counter[str] = Counter()
    with world(**places) as made, recording(counts):
        made.app.store = Counting(made.store, counts)
        made.app.inbox = Counting(made.inbox, counts)
        made.app.doorbell = Counting(made.bell, counts)
        made.inbox.tables["MarketplaceLeads"] = []
        for minute in range(60 * (HOURS + 1)):
            if minute == 60:
                counts.clear()
                began = stored(made)
            if minute >= 60 and minute % 3 == 0 and minute < 60 + 3 * leads:
                arrive(made, f"lead{minute}", counts, https=https)
            watch.watch(made.app, made.now)
            if minute % 5 == 0:
                made.sweep()
            drain(made, counts)
            made.forward(minutes=1)
        counts["bytes"] = stored(made) - began
        return counts


def stored(made: World) -> int:
    """The bytes that storage bills for what it holds."""
    rows = sum(_check(row) for table in made.store.tables.values() for row in table.values())
    return rows + sum(len(blob.data) for blobs in made.store.containers.values() for blob in blobs.values())


def arrive(made: World, name: str, counts: Counter[str], *, https: bool) -> None:
    if https:
        counts["runs"] += 1
        receive(made.app, post(userDetails=PERSON | {"email": f"{name}@contoso.com"}), made.now)
    else:
        made.inbox.tables["MarketplaceLeads"].append(row(name, made.now))


def drain(made: World, counts: Counter[str]) -> None:
    while message := made.bell.take():
        counts["runs"] += 1
        counts["queue"] += 2  # taken and deleted
        delivery.deliver(made.app, *message, made.now)


class TestIdle:
    """A sweep without work: at most seven calls and no row, whatever the history (issue: flat as history grows)."""

    def history(self, made: World, leads: int) -> None:
        """Finished leads of the last months as they are stored, many of them dead, all of them counted."""
        for number in range(leads):
            at = made.now - timedelta(hours=number % 2000, days=1)
            states = {"place0": State.DEAD if number % 10 == 0 else State.DELIVERED}
            line = DayLine(f"{number:016x}-{number:016x}", f"{at:%Y/%m/%d}/{number:016x}.json", at, states)
            made.app.ledger.close(Line(line.lead_id, line.raw, at), line, made.now)

    def sweeps(self, leads: int) -> list[Counter[str]]:
        """What each sweep of a day costs, once all has settled."""
        with world(place0=Pager()) as made:
            self.history(made, leads)
            watch.watch(made.app, made.now)
            for _ in range(3 * 12):
                made.sweep()
                made.forward(minutes=5)
            costs = []
            for _ in range(24 * 12):
                watch.watch(made.app, made.now)
                counts: Counter[str] = Counter()
                made.app.store = Counting(made.store, counts)
                made.app.__dict__.pop("ledger", None)
                made.sweep()
                made.app.store = made.store
                made.app.__dict__.pop("ledger", None)
                costs.append(counts)
                made.forward(minutes=5)
            return costs

    def test_a_sweep_without_work_takes_seven_calls_and_no_row(self) -> None:
        costs = self.sweeps(0)
        for counts in costs:
            assert counts["rows"] == 0
        calls = sorted(counts.total() - counts["rows"] for counts in costs)
        assert calls[len(calls) // 2] == 5
        assert calls[-4] <= 7, "also where the hourly work is due"
        assert calls[-1] <= 12, "and once a day with the listing of a whole day and the purge"

    def test_history_costs_nothing(self) -> None:
        few, many = self.sweeps(50), self.sweeps(5000)
        dead = 500  # listed hourly while there are any, being what waits for a person
        for one, other in zip(few, many, strict=True):
            assert one.total() - one["rows"] == other.total() - other["rows"]
            assert other["rows"] <= dead
        assert sum(counts["rows"] > 0 for counts in many) <= 24


def test_the_bytes_of_a_lead_are_looked_up_twice_at_most() -> None:
    """Today it is 51 times in their life."""
    looked: Counter[str] = Counter()
    with world() as made:
        seen = made.app.ledger.seen
        sweep_only = False

        def noting(event: str) -> Any:
            if sweep_only:
                looked[event] += 1
            return seen(event)

        made.app.ledger.seen = noting  # type: ignore[method-assign]
        for minute in range(0, 6 * 24 * 60, 5):
            if minute % 60 == 0 and minute < 3 * 24 * 60:
                receive(made.app, post(offerTitle=str(minute)), made.now)
            made.drain()
            sweep_only = True
            made.sweep()
            sweep_only = False
            made.forward(minutes=5)
        assert len(looked) == 72, "each is looked up"
        assert max(looked.values()) == 2


class TestCounts:
    """dev/cost.py has at least what the app needs, and not much more."""

    def test_an_app_that_waits(self) -> None:
        found = counted(1, 0)
        runs = (HOURS * 60, HOURS * 12)
        found["records"] += sum(runs)  # the requests
        for kind in ("tables", "blob_writes", "queue", "records"):
            held = getattr(cost.WATCH, kind) * runs[0] + getattr(cost.SWEEP, kind) * runs[1]
            assert found[kind] <= held <= found[kind] * 1.3

    @pytest.mark.parametrize("https", [False, True])
    @pytest.mark.parametrize("destinations", [1, 3])
    def test_a_lead_and_its_deliveries(self, destinations: int, https: bool) -> None:
        found, idle = counted(destinations, LEADS, https=https), counted(destinations, 0)
        found["records"] += found["runs"]
        assert (found["bytes"] - idle["bytes"]) / LEADS <= 1000 * cost.LEAD_KB
        assert (found["rows"] - idle["rows"]) / LEADS <= cost.ROWS
        for kind in ("runs", "tables", "queue", "blob_writes", "blob_others", "records"):
            held = getattr(cost.LEAD + cost.DELIVERY * destinations, kind)
            needed = (found[kind] - idle[kind]) / LEADS
            assert needed <= held
            if not https and kind not in ("runs", "records"):
                assert held <= needed * 1.35

    def test_a_delivery(self) -> None:
        three, one = counted(3, LEADS), counted(1, LEADS)
        for kind in ("runs", "tables", "queue"):
            assert (three[kind] - one[kind]) / LEADS / 2 == pytest.approx(getattr(cost.DELIVERY, kind), rel=0.1)
