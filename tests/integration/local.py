"""A local host and an Azurite that can be killed and started again, senders of leads meanwhile, and the promise."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest.mock import patch

from azure.data.tables import TableServiceClient

from dev import host as hosts
from dev.azurite import Azurite
from dev.standins.dynamics import StandIn
from leads import delivery, settings
from leads.app import App
from leads.intake import accept, payload, watch
from leads.lead import Delivery, Lead, State
from leads.store.ledger import EVENTS, JOURNAL, LEADS, OPEN, RAW
from leads.store.protocol import Row
from leads.store.rows import is_delivery, read_delivery, read_lead
from leads.store.testing import MemoryDoorbell
from leads.sweep import sweep

DURABLE = Path(__file__).with_name("durable.cjs")
TABLE = "MarketplaceLeads"
QUEUES = json.loads((hosts.ROOT / "host.json").read_text())["extensions"]["queues"]
AT_ONCE: int = QUEUES["batchSize"] + QUEUES["newBatchThreshold"]
"""Deliveries that an instance works on at a time at most."""
PATIENCE = 180.0
"""Seconds that anything on this machine may take before a test says that it will not happen."""


def until(true: Callable[[], object], what: str, seconds: float = PATIENCE, pause: float = 0.01) -> None:
    """Wait for another process, with a deadline."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:.0f} seconds"
        time.sleep(pause)


class Storage:
    """An Azurite whose acknowledged writes survive SIGKILL (see durable.cjs), always on the same ports."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = (0, 0, 0)
        self.start()

    def start(self, *, durable: bool = True) -> None:
        """Start it on the data that there is; much faster where it need not be `durable`."""
        with patch.dict(os.environ, {"NODE_OPTIONS": f"--require {DURABLE}"} if durable else {}):
            self._running = Azurite(self._folder, self._ports)
        self._ports = self._running.ports
        self.connection_string = self._running.connection_string

    def kill(self) -> None:
        """End it as a power cut would."""
        self._running.process.send_signal(signal.SIGKILL)
        self._running.stop()

    def stop(self) -> None:
        """End it in good order."""
        self._running.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class LocalHost:
    """`python -m dev.host` as a process of its own, always on the same port; what it logs goes to a file."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.log = folder / "host.log"
        self._environ = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "LOCAL_DIR": str(folder / "local"),
            "PORT": "0",
            "HOST_LOG": "json",
            "STOP_WITH_STDIN": "1",
            "PYTHONUNBUFFERED": "1",
            **environ,
        }
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start it and wait until it serves."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        begin = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dev.host"],
                cwd=hosts.ROOT,
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        def said() -> bytes:
            with self.log.open("rb") as log:
                log.seek(begin)
                return log.read()

        def ready() -> object:
            assert self.process.poll() is None, said()[-2000:].decode(errors="replace")
            return b"Functions:" in said()

        until(ready, "the start of the host")
        if not self.port:
            found = re.search(rb"http://localhost:(\d+)", said())
            assert found
            self.port = int(found[1])
            self._environ["PORT"] = str(self.port)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        """End it in good order."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._wait()

    def _wait(self) -> None:
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        self.process.wait()

    def memory(self, which: str = "VmRSS") -> float:
        """Resident memory now (`VmRSS`) or at its peak (`VmHWM`), in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{which}:\s+(\d+) kB", status)
        assert found
        return int(found[1]) / 1024

    def records(self) -> Iterator[dict[str, Any]]:
        """All log lines of all its lives; the last one of a killed life may be torn."""
        for line in self.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict):
                    yield record

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The app's own events of one kind."""
        found = []
        for record in self.records():
            if record.get("logger") == "leads" and f'"{kind}"' in record["message"]:
                event = json.loads(record["message"])
                if event["event"] == kind:
                    found.append(event)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def environ(connection_string: str, crm: StandIn | None = None, **changes: str) -> dict[str, str]:
    """The settings of an app that delivers to the stand-in of Dynamics and to the console."""
    base = {
        "AzureWebJobsStorage": connection_string,
        "LEADS_INBOX": "",
        "LEADS_INBOX_TABLES": TABLE,
        "LEADS_DESTINATIONS": "console,dynamics" if crm else "console",
        "LEADS_WATCH_SCHEDULE": "* * * * * *",
        "LEADS_SWEEP_SCHEDULE": "*/5 * * * * *",
        # Each lead is counted at its destination here, and a summary names hundreds.
        "LEADS_FLOOD": "0",
    }
    return base | (crm.environ() if crm else {}) | changes


def body(number: int, customers: int = 40) -> bytes:
    """A lead of one of the customers, unlike any other."""
    person = {"firstName": "Some", "lastName": "One", "email": f"person{number % customers}@contoso.com"}
    return json.dumps(
        {
            "userDetails": person,
            "leadSource": "AzureMarketplace",
            "actionCode": "INS",
            "offerTitle": "Contoso Planner",
            "description": f"lead number {number}",
        }
    ).encode()


def send(port: int, content: bytes, seconds: float = 90.0) -> tuple[int, str]:
    """POST a body; the status and the lead id, or 0 where no answer came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("POST", "/api/leads", content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text)["id"] if answer.status == 202 else ""
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


@dataclass
class Senders:
    """People who send leads without a pause, every third time the same one again, until the block ends."""

    port: int
    threads: int = 4
    sent: set[bytes] = field(default_factory=set)
    accepted: dict[bytes, str] = field(default_factory=dict)
    answers: Counter[int] = field(default_factory=Counter)
    split: list[bytes] = field(default_factory=list)
    """Bodies that were answered with two ids; there must be none."""

    def __enter__(self) -> Self:
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self.threads)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                number = next(self._numbers)
            content = body(number)
            for _ in range(2 if number % 3 == 0 else 1):
                self._send(content)

    def _send(self, content: bytes) -> None:
        with self._lock:
            self.sent.add(content)
        status, lead_id = send(self.port, content)
        with self._lock:
            self.answers[status] += 1
            if status == 202 and self.accepted.setdefault(content, lead_id) != lead_id:
                self.split.append(content)
        if not status:
            # Nobody listens: the process is dead at this moment.
            self._stopping.wait(0.02)


def write_row(connection_string: str, key: str) -> dict[str, Any]:
    """Write a row as the marketplace does; it is returned once the storage has acknowledged it."""
    row = {
        "PartitionKey": watch.day_key(datetime.now(UTC)),
        "RowKey": key,
        "ActionCode": "INS",
        "CustomerInfo": json.dumps({"FirstName": "Some", "LastName": "One", "Email": f"{key}@fabrikam.com"}),
        "Description": "Campaigns: ",
        "LeadSource": "AzureMarketplace",
        "OfferDisplayName": "Contoso Planner",
    }
    with TableServiceClient.from_connection_string(connection_string, retry_total=6) as service:
        service.create_table_if_not_exists(TABLE).upsert_entity(row)
    return row


@contextlib.contextmanager
def process(settings_of: Mapping[str, str]) -> Iterator[App]:
    """The app in this process over the same storage, with a bell of its own: what a restart would be."""
    with patch.dict(os.environ, settings_of):
        app = App(settings.read(settings_of), settings_of)
        app.doorbell = MemoryDoorbell(datetime.now(UTC))
        yield app


class Console(logging.Handler):
    """Counts what the console destination prints in this process."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def settle(app: App, hours: float = 100.0) -> timedelta:
    """Do all that the coming hours would do, with a clock that is put forward; how long it took by that clock.

    The queue counts for nothing here, as if every message had been lost: the sweep alone finds what is left.
    """
    bell = app.doorbell
    assert isinstance(bell, MemoryDoorbell)
    # Past every claim and past the two minutes after which a delivery is overdue.
    begin = now = datetime.now(UTC) + timedelta(minutes=5)
    while now - begin < timedelta(hours=hours):
        bell.now = now
        watch.watch(app, now)
        sweep.sweep(app, now)
        while message := bell.take():
            delivery.deliver(app, *message, now)
        listed = now - begin > timedelta(minutes=70)
        if listed and not bell.waiting and not any(app.store.rows(JOURNAL, OPEN)):
            return now - begin
        now += timedelta(minutes=20)
    raise AssertionError("leads were still open after the whole schedule")


@dataclass
class Found:
    """All that the storage holds."""

    leads: dict[str, Lead]
    deliveries: dict[str, dict[str, Delivery]]
    raw: dict[str, bytes]
    """By event."""


def found(app: App) -> Found:
    """Read everything."""
    leads, deliveries = {}, dict[str, dict[str, Delivery]]()
    raw = dict[str, bytes]()
    for row in _all(app, LEADS):
        if is_delivery(row):
            one = read_delivery(row)
            deliveries.setdefault(one.lead_id, {})[one.destination] = one
        else:
            lead = read_lead(row)
            leads[lead.id] = lead
    for name, _ in app.store.blobs(RAW, ""):
        blob = app.store.get_blob(RAW, name)
        assert blob
        event = Path(name).stem
        assert event not in raw, "an event has two raws"
        raw[event] = blob.data
    return Found(leads, deliveries, raw)


def _all(app: App, table: str) -> list[Row]:
    return list(app.store.rows_before(table, "~"))


def check(app: App, senders: Senders, rows: list[dict[str, Any]], crm: StandIn) -> Found:
    """The promise of design §1, and nothing doubled."""
    all_of_it = found(app)
    expected = app.settings.destinations
    assert not senders.split, "the same body got two ids"
    for content, lead_id in senders.accepted.items():
        assert lead_id in all_of_it.leads, "a lead that was answered with 202 is gone"
        assert all_of_it.raw[lead_id[17:]] == content, "raw is not what arrived"
    by_event = {lead_id[17:] for lead_id in all_of_it.leads}
    for row in rows:
        assert accept.event_of_row(app, TABLE, row) in by_event, "a row of the table is no lead"
    bodies = Counter(all_of_it.raw[lead_id[17:]] for lead_id in all_of_it.leads)
    assert not [content for content, count in bodies.items() if count > 1], "one body became two leads"
    posted = {content for content in bodies if payload.read(content).timestamp is None}
    assert posted <= senders.sent, "a lead has bytes that nobody sent"
    assert len(all_of_it.leads) == len(posted) + len(rows), "there are leads that nobody sent"
    assert len(_all(app, EVENTS)) == len(all_of_it.leads) == len(by_event)
    for lead_id in all_of_it.leads:
        states = {name: one.state for name, one in all_of_it.deliveries[lead_id].items()}
        assert states == dict.fromkeys(expected, State.DELIVERED)
    assert not any(app.store.rows(JOURNAL, OPEN)), "a lead was never closed"
    days = [row.key for row in _all(app, JOURNAL)]
    assert sorted(days) == sorted(all_of_it.leads), "every lead stands once among the finished"
    assert len(crm.leads) == len({lead.customer for lead in all_of_it.leads.values()}), "a customer has two records"
    assert len(crm.notes) == len(all_of_it.leads), "a step is missing, or was noted twice"
    return all_of_it


def console_sends(host: LocalHost, console: Console) -> int:
    """How often the console destination was told of a lead, by all processes."""
    told = [record for record in host.records() if record.get("logger") == "leads.console"]
    return len(console.lines) + len(told)


def figure(name: str, **values: object) -> None:
    """Say a figure, for `make soak` and for docs/reliability.md; `FIGURES` is a file that they are added to."""
    line = json.dumps({"figure": name, **values})
    print(line)
    if path := os.environ.get("FIGURES"):
        with Path(path).open("a") as file:
            file.write(line + "\n")
