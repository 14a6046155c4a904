"""`make bench`: what a start, a lead and a look cost on this machine, before and after, as docs/performance.md has it.

`python -m dev.bench --write` also writes the figures to docs/performance.json, and the table of the document from them.
Timings are for people; no test asserts one. What is measured in turn is compared: the machine's own pace cancels out.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dev import bench_report, cost
from dev.azurite import Azurite
from dev.bench_child import BODY
from dev.certificate import server_files
from dev.standins import dynamics, https
from dev.standins.server import Answer, Request, Server
from leads import delivery, settings
from leads.app import App
from leads.intake import accept, watch
from leads.store.testing import MemoryDoorbell, MemoryInbox, MemoryStore
from leads.sweep import sweep

ROOT = Path(__file__).resolve().parent.parent
RUNS = 9
"""New processes of each kind, in turn."""
QUARTER = (0.025, 0.075)
"""A quarter of a core: seconds in which a process runs, and is stopped."""
CRM_SECONDS = 0.25
DELIVERIES, MEMORY = 240, 1500
"""Leads of the two long measurements."""

Figures = dict[str, float]


class Counting:
    """Counts the calls of a store, an inbox or a doorbell, and as `rows` what they list."""

    def __init__(self, inner: Any, calls: Counter[str]) -> None:
        self._inner = inner
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)

        def call(*args: Any, **named: Any) -> Any:
            self._calls["calls"] += 1
            found = attribute(*args, **named)
            return self._counted(found) if isinstance(found, Iterator) else found

        return call if callable(attribute) else attribute

    def _counted(self, found: Iterator[Any]) -> Iterator[Any]:
        for each in found:
            self._calls["rows"] += 1
            yield each


def child(environ: Mapping[str, str], *what: str, quarter: bool = False) -> tuple[float, dict[str, Any]]:
    """Seconds from the start of a new process to the line that it says, and that line, with `cpu_seconds` of it all."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "dev.bench_child", *what],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    over = threading.Event()
    if quarter:
        threading.Thread(target=_slow, args=(process.pid, over), daemon=True).start()
    line = process.stdout.readline()
    took = time.perf_counter() - began
    over.set()
    process.send_signal(signal.SIGCONT)
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return took, {**json.loads(line), "cpu_seconds": used.ru_utime + used.ru_stime}


def _slow(pid: int, over: threading.Event) -> None:
    while not over.wait(QUARTER[0]):
        os.kill(pid, signal.SIGSTOP)
        over.wait(QUARTER[1])
        os.kill(pid, signal.SIGCONT)


@contextmanager
def slow(certificate: Path) -> Iterator[Server]:
    """A server that takes everything, and its time."""

    def answer(_: Request) -> Answer:
        time.sleep(CRM_SECONDS)
        return Answer(204)

    server = Server(answer, certificate)
    server.start()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def deployed() -> Iterator[dict[str, str]]:
    """The settings of an app with a managed identity, all over TLS: storage, Entra, and a CRM that takes its time."""
    import certifi

    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        entra = stack.enter_context(dynamics.StandIn(folder))
        identity = entra.add_identity()
        ca, server = server_files(folder)
        crm = stack.enter_context(slow(server))
        # As long as the list that everybody has, since reading it is a part of a start.
        bundle = folder / "trusted.pem"
        bundle.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + ca.read_bytes())
        azurite = stack.enter_context(Azurite(certificate=server))
        uris = {
            f"AzureWebJobsStorage__{service}ServiceUri": f"https://127.0.0.1:{port}/devstoreaccount1"
            for service, port in zip(("blob", "queue", "table"), azurite.ports, strict=True)
        }
        yield {
            **entra.identity_environ(),
            **uris,
            "AzureWebJobsStorage__credential": "managedidentity",
            "AzureWebJobsStorage__clientId": identity.client_id,
            "BENCH_IDENTITY": identity.client_id,
            "BENCH_CRM": f"https://localhost:{crm.port}",
            "LEADS_DESTINATIONS": "console,dynamics",
            "REQUESTS_CA_BUNDLE": str(bundle),
            "SSL_CERT_FILE": str(bundle),
        }


def starts(figures: Figures) -> None:
    """From the start of a process to its first 202, side by side, and what the imports alone cost."""
    kinds = {"hello": ("hello", "IT"), "naive": ("naive", "IT"), "leads": ("leads", "IT")}
    kinds |= {"italia": ("leads", "Italia"), "unknown": ("leads", "Nowhere at all")}
    with deployed() as environ:
        for quarter in (False, True):
            taken: dict[str, list[float]] = {name: [] for name in kinds}
            used: dict[str, list[float]] = {name: [] for name in kinds}
            for run in range(RUNS // (2 if quarter else 1) + 1):
                for name, (which, country) in kinds.items():
                    took, said = child(environ, "call", which, country, quarter=quarter)
                    assert said["status"] == 202, f"{name} answered {said['status']}"
                    if run:  # the first has no bytecode yet, and no tables
                        taken[name].append(took)
                        used[name].append(said["cpu_seconds"])
            of = "quarter_" if quarter else ""
            for name, times in taken.items():
                figures[f"{of}{name}_ms"] = 1000 * statistics.median(times)
                pairs = [mine / hello for mine, hello in zip(times, taken["hello"], strict=True)]
                figures[f"{of}{name}_ratio"] = statistics.median(pairs)
                figures[f"{of}{name}_cpu_ratio"] = min(used[name]) / min(used["hello"])
    cpu: dict[str, list[float]] = {"azure.functions": [], "function_app": []}
    for _ in range(RUNS):
        for module, times in cpu.items():
            times.append(child({"AzureWebJobsStorage": ""}, "import", module)[1]["cpu_ms"])
    ours, theirs = (min(cpu[module]) for module in ("function_app", "azure.functions"))
    figures |= {"import_ms": ours, "import_ratio": ours / theirs}


def in_memory(**environ: str) -> App:
    """An app over the twins, with the console as its destination unless something else is said."""
    given = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"} | environ
    app = App(settings.read(given), given)
    app.store, app.inbox, app.doorbell = MemoryStore(), MemoryInbox(), MemoryDoorbell(datetime.now(UTC))
    return app


def body(number: int) -> bytes:
    """A lead, of another customer each time."""
    return (BODY % (number, "Italia")).encode()


def operations(figures: Figures) -> None:
    """Count the storage operations of one lead on its whole way, and of looks with nothing to do."""
    app, calls = in_memory(), Counter[str]()
    now = datetime.now(UTC).replace(hour=12, minute=1)
    app.identity  # noqa: B018 - read once in a process's life
    store, bell = app.store, app.doorbell
    accept.receive(app, body(0), now)

    def count(name: str, work: Callable[[], Any]) -> None:
        calls.clear()
        app.store, app.doorbell = Counting(store, calls), Counting(bell, calls)
        app.__dict__.pop("ledger", None)
        work()
        figures[f"{name}_calls"], figures[f"{name}_rows"] = calls["calls"], calls["rows"]

    count("post", lambda: accept.receive(app, body(1), now))
    lead_id = next(row.key for row in app.store.rows("journal", "open"))
    count("delivery", lambda: delivery.deliver(app, lead_id, "console", now))
    for hours in range(30):
        for lead in [row.key for row in store.rows("journal", "open")]:
            delivery.deliver(app, lead, "console", now + timedelta(hours=hours))
        sweep.sweep(app, now + timedelta(hours=hours))
    count("sweep", lambda: sweep.sweep(app, now + timedelta(hours=29, minutes=5)))


def watching(figures: Figures) -> None:
    """A first look at 50,000 old rows, and new rows by the second, on the twins."""
    app, calls, rows = in_memory(), Counter[str](), 50_000
    now, store = datetime.now(UTC), app.store
    app.inbox.tables["MarketplaceLeads"] = [  # type: ignore[attr-defined]
        {"PartitionKey": "11:2F3:2F2020", "RowKey": str(number), "Timestamp": "2020-11-03T00:00:00.0000000Z"}
        for number in range(rows)
    ]
    app.store = Counting(store, calls)
    minute, before = 0, -rows
    while calls["calls"] - before > rows / 100:
        before = calls["calls"]
        watch.watch(app, now + timedelta(minutes=minute))
        minute += 1
    figures["old_row_operations"] = calls["calls"] / rows
    app.store, new = store, 1000
    app.__dict__.pop("ledger", None)
    at = now + timedelta(minutes=minute)
    app.inbox.tables["MarketplaceLeads"] = [  # type: ignore[attr-defined]
        {
            "PartitionKey": watch.day_key(at),
            "RowKey": f"new{number}",
            "Timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.0000000Z",
            "ActionCode": "INS",
            "CustomerInfo": json.dumps({"FirstName": "Ada", "Email": f"ada{number}@example.com"}),
        }
        for number in range(new)
    ]
    began = time.process_time()
    watch.watch(app, at)
    figures["new_rows_a_second"] = new / (time.process_time() - began)


def histories(figures: Figures) -> None:
    """A delivery to somebody with 400 large leads."""
    app, now = in_memory(), datetime.now(UTC)
    text = "A long story. " * 500
    for number in range(400):
        at = now + timedelta(seconds=number)
        lead = body(7).replace(b'"Hi"', json.dumps(f"{number} {text}").encode())
        last = accept.receive(app, lead, at).id
    began = time.process_time()
    app.ledger.history(last)
    figures["history_ms"] = 1000 * (time.process_time() - began)
    tracemalloc.start()
    app.ledger.history(last)
    figures["history_mib"] = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()


def long_ones(figures: Figures) -> None:
    """Deliveries to a receiver that takes its time, and memory after many leads, in processes of their own."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(slow(server_files(folder)[1]))
        azurite = stack.enter_context(Azurite())
        environ = {
            "AzureWebJobsStorage": azurite.connection_string,
            "LEADS_DESTINATIONS": "https",
            "HTTPS_URL": https.url(server),
            "HTTPS_SECRET": https.SECRET,
            "REQUESTS_CA_BUNDLE": str(server_files(folder)[0]),
        }
        said = child(environ, "deliveries", str(DELIVERIES))[1]
        figures |= {"deliveries_a_second": said["a_second"], "delivery_cpu_ms": said["cpu_ms"]}
        said = child(environ | {"LEADS_DESTINATIONS": "console"}, "memory", str(MEMORY))[1]
        figures |= {f"memory_{name}": mib for name, mib in said.items()}


def costs(figures: Figures) -> None:
    """What dev.cost computes."""
    price = cost.prices(cost.DOCUMENT.read_text(encoding="utf-8"))
    rest = cost.TOGETHER + cost.DELIVERY * 2
    figures["cost_table"] = cost.priced((cost.BY_TABLE + rest) * 1000, price, kept=1000).total
    figures["cost_https"] = cost.priced((cost.LEAD + rest) * 1000, price, kept=1000).total
    figures["cost_idle"] = cost.bill(0, 1, price, grants=True).total


def main() -> None:
    """Measure, print, and with `--write` write it down."""
    figures: Figures = {}
    load = os.getloadavg()[0]
    parts = (starts, operations, watching, histories, long_ones, costs)
    for part in parts:
        print(f"{part.__name__} …", file=sys.stderr, flush=True)
        part(figures)
    made = {
        "when": f"{datetime.now(UTC):%d %B %Y}".lstrip("0"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": round(load, 1),
        "figures": {name: float(f"{value:.4g}") for name, value in figures.items()},
    }
    if "--write" in sys.argv:
        bench_report.FIGURES.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
        bench_report.write()
    print(bench_report.table(figures))


if __name__ == "__main__":
    main()
