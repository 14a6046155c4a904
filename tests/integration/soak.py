"""More than this machine can take: a flood of POSTs, and a backlog of rows. `make soak` runs it at full size.

The flood is an open loop: a request begins at its time, whether the earlier ones were answered or not. To say what
part of the limit is Azurite's, its bare rate of inserts is measured on the same machine with nothing in between.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import heapq
import hmac
import json
import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from azure.data.tables import TableServiceClient

from dev.azurite import Azurite
from dev.standins.dynamics import StandIn
from dev.standins.server import Answer, Request
from leads import delivery
from leads.errors import Misconfigured
from leads.intake import accept, watch
from leads.store.ledger import JOURNAL, OPEN
from leads.sweep import alerts, sweep
from tests.integration.local import (
    TABLE,
    LocalHost,
    Senders,
    body,
    check,
    environ,
    figure,
    found,
    process,
    until,
)
from tests.world import NOON, FakeDestination, failing, row, world

OPERATIONS = 6
"""Calls of storage that one lead takes on its way in with one destination: four of tables, a blob, a message."""
CLIENT_SECONDS = 30.0


@dataclass
class Flood:
    """What came of a flood."""

    offered: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    """By status, and by name where no answer came."""
    accepted: dict[bytes, str] = field(default_factory=dict)
    seconds: float = 0.0
    slowest: float = 0.0
    """Seconds that a 202 took at most."""


async def _post(port: int, content: bytes, flood: Flood) -> None:
    began = time.monotonic()
    try:
        async with asyncio.timeout(CLIENT_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                head = "POST /api/leads HTTP/1.1\r\nHost: localhost\r\nConnection: close"
                writer.write(f"{head}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
                answer = await reader.read()
            finally:
                writer.close()
        status = answer[9:12].decode() or "closed"
    except TimeoutError:
        status = "no answer"
    except OSError:
        status = "no connection"
    if status == "202":
        flood.accepted[content] = json.loads(answer.partition(b"\r\n\r\n")[2])["id"]
        flood.slowest = max(flood.slowest, time.monotonic() - began)
    flood.answers[status] += 1


async def _offer(port: int, rate: int, seconds: float, flood: Flood) -> None:
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            group.create_task(_post(port, body(number, customers=5_000), flood))
            flood.offered += 1
            ahead = began + (number + 1) / rate - time.monotonic()
            if ahead > 0.002:
                await asyncio.sleep(ahead)
            elif number % 20 == 0:
                await asyncio.sleep(0)
        flood.seconds = time.monotonic() - began


def offer(port: int, rate: int, seconds: float) -> Flood:
    """Offer `rate` POSTs a second, each a lead of its own, and wait for all answers."""
    flood = Flood()
    asyncio.run(_offer(port, rate, seconds, flood))
    return flood


def bare_rate(connection_string: str, seconds: float = 5.0) -> float:
    """Rows a second that Azurite takes one by one over 16 connections, from a client that does nothing else."""
    parts = dict(part.partition("=")[::2] for part in connection_string.split(";") if part)
    found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/(\w+)", parts["TableEndpoint"])
    assert found
    port, account = int(found[1]), found[2]
    table = "bare"
    with TableServiceClient.from_connection_string(connection_string) as service:
        service.create_table_if_not_exists(table)
    date = format_datetime(datetime.now(UTC), usegmt=True)
    signed = f"{date}\n/{account}/{account}/{table}".encode()
    digest = hmac.new(base64.b64decode(parts["AccountKey"]), signed, hashlib.sha256).digest()
    head = (
        f"POST /{account}/{table} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"x-ms-date: {date}\r\nx-ms-version: 2019-02-02\r\n"
        f"Authorization: SharedKeyLite {account}:{base64.b64encode(digest).decode()}\r\nAccept: application/json\r\n"
        "Content-Type: application/json\r\nPrefer: return-no-content\r\nDataServiceVersion: 3.0\r\n"
    )
    count = 0
    end = time.monotonic() + seconds

    async def insert(worker: int) -> None:
        nonlocal count
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        number = 0
        while time.monotonic() < end:
            row = json.dumps({"PartitionKey": f"{worker}-{number}", "RowKey": "k", "Text": "x" * 500}).encode()
            writer.write(f"{head}Content-Length: {len(row)}\r\n\r\n".encode() + row)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 204"), answer[:200]
            number += 1
            count += 1
        writer.close()

    async def all_of_them() -> None:
        await asyncio.gather(*(insert(worker) for worker in range(16)))

    began = time.monotonic()
    asyncio.run(all_of_them())
    return count / (time.monotonic() - began)


def flood(folder: Path, rate: int, seconds: float) -> Flood:
    """Offer more than the host can take; check that every answer was kept to."""
    with Azurite() as azurite:
        bare = bare_rate(azurite.connection_string)
        with LocalHost(folder, environ(azurite.connection_string, LEADS_SWEEP_SCHEDULE="0 0 0 1 1 *")) as host:
            before = host.memory()
            made = offer(host.port, rate, seconds)
            memory = host.memory("VmHWM")
            assert host.process.poll() is None, "the host is gone"
            with process(environ(azurite.connection_string)) as app:
                everything = found(app)
    lost = [lead_id for lead_id in made.accepted.values() if lead_id not in everything.leads]
    torn = [content for content, lead_id in made.accepted.items() if everything.raw[lead_id[17:]] != content]
    figure(
        "flood of POSTs",
        offered=made.offered,
        offered_a_second=round(made.offered / made.seconds),
        answers=dict(made.answers),
        lost=len(lost),
        accepted_a_second=round(len(made.accepted) / made.seconds, 1),
        slowest_202_seconds=round(made.slowest, 1),
        mib_before=round(before),
        mib_peak=round(memory),
        azurite_rows_a_second=round(bare),
        azurite_could_take_leads_a_second=round(bare / OPERATIONS),
    )
    assert not lost
    assert not torn
    # 503 is the answer of one who is busy; whoever finds no room in front of the door gets none at all.
    assert set(made.answers) <= {"202", "503", "no connection", "no answer", "closed"}
    assert made.accepted
    return made


class Crm(StandIn):
    """The stand-in of Dynamics, counting how many requests are under way at a time."""

    def __init__(self, directory: Path) -> None:
        self._lock = threading.Lock()
        self._now = self.most = 0
        super().__init__(directory)

    def _answer(self, request: Request) -> Answer:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            return super()._answer(request)
        finally:
            with self._lock:
                self._now -= 1


def write_backlog(connection_string: str, count: int) -> list[dict[str, Any]]:
    """Write that many rows into the watched table, as if the app had been away for long."""
    today = watch.day_key(datetime.now(UTC))
    rows = [
        {
            "PartitionKey": today,
            "RowKey": f"row{number:06}",
            "ActionCode": "INS",
            "CustomerInfo": json.dumps({"FirstName": "Some", "Email": f"row{number % 20_000}@fabrikam.com"}),
            "Description": "Campaigns: ",
            "LeadSource": "AzureMarketplace",
            "OfferDisplayName": "Contoso Planner",
        }
        for number in range(count)
    ]
    with TableServiceClient.from_connection_string(connection_string) as service:
        table = service.create_table_if_not_exists(TABLE)
        for start in range(0, count, 100):
            table.submit_transaction([("create", row) for row in rows[start : start + 100]])
    return rows


@contextmanager
def broken_secret(crm: Crm) -> Iterator[None]:
    """A CRM that refuses to sign the app in, as after an expired secret."""
    secrets = set(crm.registration.secrets)
    crm.registration.secrets.clear()
    yield
    crm.registration.secrets.update(secrets)


def backlog(folder: Path, count: int, seconds: float, sweeps: str = "*/30 * * * * *") -> None:
    """Let the host work off that many rows, to a CRM whose secret is mended only after it was told of."""
    with Azurite() as azurite, Crm(folder / "crm") as crm:
        schedule = ",".join(["0", "3", *["10"] * 28])
        settings_of = environ(
            azurite.connection_string,
            crm,
            LEADS_DESTINATIONS="dynamics",
            LEADS_RETRY_SCHEDULE=schedule,
            LEADS_SWEEP_SCHEDULE=sweeps,
            LEADS_WATCH_SCHEDULE="*/10 * * * * *",
        )
        rows = write_backlog(azurite.connection_string, count)
        began = time.monotonic()
        with LocalHost(folder, settings_of) as host:

            def told(kind: str) -> int:
                return sum(event["kind"] == kind for event in host.events("alert"))

            with broken_secret(crm):
                until(lambda: told("misconfigured"), "the alert", seconds, pause=0.5)
                swept = len(host.events("sweep_ran"))
                until(lambda: len(host.events("sweep_ran")) >= swept + 3, "more sweeps", seconds, pause=0.5)
            until(lambda: len(crm.notes) >= count, "the delivery of all", seconds, pause=1.0)
            delivered = time.monotonic() - began
            with process(settings_of) as app:
                until(lambda: not any(app.store.rows(JOURNAL, OPEN)), "the end of all open lines", seconds, pause=1.0)
            closed = time.monotonic() - began
            alerted = Counter(f"{event['kind']} {event['subject']}" for event in host.events("alert"))
            refused = sum(event["outcome"] == "misconfigured" for event in host.events("delivery_attempt"))
            memory = host.memory("VmHWM")
        with process(settings_of) as app:
            check(app, Senders(0), rows, crm)
            assert all(accept.event_of_row(app, TABLE, row) for row in rows)
    figure(
        "backlog of rows",
        rows=count,
        lost=0,
        delivered_after_seconds=round(delivered),
        closed_after_seconds=round(closed),
        most_requests_at_once_at_the_crm=crm.most,
        refused_attempts=refused,
        alerts=dict(alerted),
        mib_peak=round(memory),
    )
    assert crm.most == 1, "a CRM is served one at a time"
    hours = 1 + int(delivered // 3600) + 1
    assert 1 <= alerted["misconfigured dynamics"] <= hours


@dataclass
class Bell:
    """A doorbell in memory that stays quick with many messages."""

    now: datetime
    waiting: list[tuple[datetime, str, str]] = field(default_factory=list)

    def ring(self, lead_id: str, destination: str, delay: float = 0.0) -> None:
        """Put a message into the queue."""
        heapq.heappush(self.waiting, (self.now + timedelta(seconds=delay), lead_id, destination))

    def due(self) -> Iterator[tuple[str, str]]:
        """Take the messages that are visible now."""
        while self.waiting and self.waiting[0][0] <= self.now:
            _, lead_id, destination = heapq.heappop(self.waiting)
            yield lead_id, destination


def backlog_in_memory(count: int) -> None:
    """Let the app work off that many rows over the twin in memory, by a clock of its own, minute for minute."""
    with world(crm=FakeDestination(always=failing(Misconfigured))) as w:
        bell = w.app.doorbell = Bell(w.now)
        began, refused = time.monotonic(), 0
        w.inbox.tables[TABLE] = [row(f"row{number:06}", w.now) for number in range(count)]
        crm, end = w.places["crm"], w.now + timedelta(days=3)
        told = 0
        with patch("leads.sweep.concerns.send", wraps=alerts.send) as send:
            while w.now < end:
                watch.watch(w.app, w.now)
                for message in bell.due():
                    delivery.deliver(w.app, *message, w.now)
                sweep.sweep(w.app, w.now)
                told = sum(call.args[1].kind == "misconfigured" for call in send.call_args_list)
                if told and crm.always:
                    crm.always, refused = None, len(crm.got)
                if len(w.ids()) == count and not any(w.store.rows(JOURNAL, OPEN)):
                    break
                w.now += timedelta(minutes=1)
                bell.now = w.now
        states = Counter(str(found.values["state"]) for found in w.store.rows_before("leads", "~") if ":" in found.key)
        sends = Counter(lead.id for lead, _ in crm.got[refused:])
    figure(
        "backlog of rows in memory",
        rows=count,
        lost=count - states["delivered"],
        delivered=states["delivered"],
        sent_twice=sum(times > 1 for times in sends.values()),
        refused_attempts=refused,
        alerts=told,
        minutes_by_the_clock_of_the_app=round((w.now - NOON).total_seconds() / 60),
        seconds=round(time.monotonic() - began),
    )
    assert states == {"delivered": count}
    assert set(sends.values()) == {1}
    assert told == 1


def main() -> None:
    """Run all of it at the size that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=1_000, help="POSTs a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long they are offered")
    parser.add_argument("--rows", type=int, default=5_000, help="rows of the backlog on Azurite; 0 for none")
    parser.add_argument("--rows-in-memory", type=int, default=50_000, help="rows of the one in memory; 0 for none")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if wanted.seconds:
            flood(Path(folder) / "flood", wanted.rate, wanted.seconds)
        if wanted.rows:
            backlog(Path(folder) / "backlog", wanted.rows, 4 * 3600.0)
        if wanted.rows_in_memory:
            backlog_in_memory(wanted.rows_in_memory)


if __name__ == "__main__":
    main()
