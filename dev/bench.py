"""`make bench`: what a start, a lead and a look cost on this machine. Timings are for people; no test asserts one."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from dev.azurite import Azurite
from leads import delivery, settings
from leads.app import App
from leads.intake import accept, watch
from leads.settings import Account
from leads.store.azure import AzureStore
from leads.store.testing import MemoryDoorbell, MemoryInbox, MemoryStore
from leads.sweep import sweep

_COMMON = "import function_app, azure.data.tables"
STARTS = {
    "the worker, before any call": "import function_app",
    "receive_lead, up to its first lead": f"{_COMMON}, leads.web, leads.store.azure, "
    "azure.storage.blob, azure.storage.queue, leads.intake.normalize, phonenumbers, email_validator",
    "deliver_lead to Dynamics": f"{_COMMON}, leads.delivery, leads.destinations.dynamics, msal",
    "deliver_lead to e-mail": f"{_COMMON}, leads.delivery, leads.destinations.email, jinja2",
    "watch_tables": f"{_COMMON}, leads.intake.watch",
    "sweep_open_leads": f"{_COMMON}, leads.sweep.sweep, azure.storage.blob",
}
RUNS = 5
BODY = (
    b'{"userDetails": {"firstName": "Ada", "lastName": "Example", "email": "ada%d@example.com", '
    b'"phone": "+390669820001", "country": "Italia", "company": "Example Mills"}, '
    b'"leadSource": "SPZA-PLT|contoso.planner", "description": "Hi"}'
)


class Counting:
    """Counts the calls of a store or a doorbell."""

    def __init__(self, inner: Any, calls: Counter[str]) -> None:
        self._inner = inner
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)

        def call(*args: Any, **named: Any) -> Any:
            self._calls[name] += 1
            return attribute(*args, **named)

        return call if callable(attribute) else attribute


def starts() -> None:
    """Time the imports of each function in new processes."""
    print("Imports, in a new process with warm bytecode (median of", RUNS, "runs, less the interpreter's own start)")
    empty = statistics.median(_start("pass") for _ in range(RUNS))
    for name, code in STARTS.items():
        _start(code)
        print(f"  {1000 * (statistics.median(_start(code) for _ in range(RUNS)) - empty):6.0f} ms  {name}")


def _start(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env={"PATH": "", "AzureWebJobsStorage": ""})
    return time.perf_counter() - began


def in_memory() -> App:
    """An app over the twins, with the console as its destination."""
    app = App(settings.read({"AzureWebJobsStorage": "UseDevelopmentStorage=true"}), {})
    app.store, app.inbox, app.doorbell = MemoryStore(), MemoryInbox(), MemoryDoorbell(datetime.now(UTC))
    return app


def operations() -> None:
    """Count the storage operations of one lead on its whole way."""
    app, calls = in_memory(), Counter[str]()
    app.store, app.doorbell = Counting(app.store, calls), Counting(app.doorbell, calls)
    now = datetime.now(UTC)
    app.identity  # noqa: B018 - read once in a process's life
    print("Operations of one lead with one destination")
    sizes: dict[str, Callable[[], Any]] = {
        "intake": lambda: accept.receive(app, BODY % 1, now),
        "delivery": lambda: delivery.deliver(app, next(iter(_ids(app))), "console", now),
        "sweep that closes it": lambda: sweep.sweep(app, now + timedelta(minutes=5)),
        "watch with nothing new": lambda: watch.watch(app, now),
    }
    for name, work in sizes.items():
        calls.clear()
        work()
        print(f"  {sum(calls.values()):4} {name}: {', '.join(f'{count} {call}' for call, count in calls.items())}")


def _ids(app: App) -> list[str]:
    return [row.key for row in app.store.rows("journal", "open")]


def throughput() -> None:
    """Time intake in memory and on Azurite, and a look at 50,000 rows."""
    now = datetime.now(UTC)
    app = in_memory()
    _time("intake in memory (normalizing, ids, the twin)", 2000, lambda number: accept.receive(app, BODY % number, now))
    app.inbox.tables["MarketplaceLeads"] = [  # type: ignore[attr-defined]
        {"PartitionKey": "11:2F3:2F2020", "RowKey": str(number), "Timestamp": "2020-11-03T00:00:00.0000000Z"}
        for number in range(50_000)
    ]
    _time("a first run over old rows, in memory", 50_000, _watching(app, now), at_once=True)
    with Azurite() as azurite:
        real = App(settings.read({"AzureWebJobsStorage": azurite.connection_string}), {})
        raw = AzureStore(Account("devstoreaccount1", azurite.connection_string))
        from leads.store.protocol import Row

        _time("one insert into a table of Azurite", 300, lambda number: raw.insert("bench", Row("p", str(number))))
        _time("intake on Azurite, one after the other", 100, lambda number: accept.receive(real, BODY % number, now))


def _watching(app: App, now: datetime) -> Callable[[int], None]:
    def work(_: int) -> None:
        for minute in range(50_000 // watch.ROWS_PER_RUN + 1):
            watch.watch(app, now + timedelta(minutes=minute))

    return work


def _time(name: str, count: int, work: Callable[[int], Any], *, at_once: bool = False) -> None:
    work(-1) if not at_once else None
    began = time.perf_counter()
    for number in range(1 if at_once else count):
        work(number)
    took = time.perf_counter() - began
    print(f"  {1000 * took / count:8.2f} ms, {count / took:7.0f} a second  {name}")


def main() -> None:
    """Print all of it."""
    starts()
    operations()
    print("Throughput, one after the other")
    throughput()


if __name__ == "__main__":
    main()
