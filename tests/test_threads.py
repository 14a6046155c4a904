"""Many deliveries at once in one process, as host.json allows: each is made once, and nobody waits for a slow CRM."""

from __future__ import annotations

import heapq
import json
import math
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from threading import Event, Lock
from typing import Any
from uuid import uuid4

import pytest

from dev.certificate import server_files
from dev.standins import dynamics, email, https, teams
from leads import delivery, settings
from leads.app import App
from leads.contract import Kind, Step
from leads.intake.accept import receive
from leads.lead import Lead, State
from leads.store.testing import MemoryDoorbell
from tests.world import PERSON, FakeDestination, World, post, world

ROOT = Path(__file__).resolve().parent.parent
QUEUES = json.loads((ROOT / "host.json").read_text())["extensions"]["queues"]
AT_ONCE: int = QUEUES["batchSize"] + QUEUES["newBatchThreshold"]
PATIENCE = 60


@dataclass
class Watched(FakeDestination):
    """Counts how many are sent at the same time."""

    lock: Any = field(default_factory=Lock)
    now: int = 0
    most: int = 0
    waits_for: Event | None = None
    full: Event = field(default_factory=Event)
    """Set when sixteen were sent at the same time."""
    last: tuple[int, Event] | None = None
    """How many come, and what is set when the last one did."""

    def send(self, lead: Lead, step: Step, settings: Any) -> str:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            if self.most >= 16:
                self.full.set()
        try:
            if self.waits_for:
                assert self.waits_for.wait(PATIENCE), "it was held up by a slow CRM"
            sent = super().send(lead, step, settings)
            if self.last and len(self.got) == self.last[0]:
                self.last[1].set()
            return sent
        finally:
            with self.lock:
                self.now -= 1


def arrive(w: World, leads: int) -> None:
    for number in range(leads):
        receive(w.app, post(userDetails=PERSON | {"email": f"{number}@contoso.com"}), w.now)


def drain(w: World, pool: ThreadPoolExecutor) -> None:
    """Deliver all that is visible at once, and again what rang meanwhile, until nothing rings any more."""
    while w.bell.waiting:
        due = [message for message in w.bell.waiting if message[0] <= w.now]
        w.bell.waiting = [message for message in w.bell.waiting if message not in due]
        list(pool.map(lambda message: delivery.deliver(w.app, message[1], message[2], w.now), due))
        w.forward(seconds=16)


def test_each_is_made_once_and_a_slow_crm_holds_nobody_up() -> None:
    """The CRMs answer only when sixteen notifications were under way at once, and those only then as well."""
    full = Event()
    slow, other = Watched(Kind.CRM, waits_for=full), Watched(Kind.CRM, waits_for=full)
    people, feed = Watched(Kind.NOTIFICATION, waits_for=full, full=full), Watched(Kind.FEED)
    with world(slow=slow, other=other, people=people, feed=feed) as w, ThreadPoolExecutor(AT_ONCE) as pool:
        arrive(w, 40)
        w.bell.waiting.sort(key=lambda message: message[2] == "feed")
        drain(w, pool)
        assert people.most >= 16
        for place in (slow, other, people, feed):
            assert Counter(lead.id for lead, _ in place.got) == Counter(w.ids())
        assert (slow.most, other.most) == (1, 1), "each CRM is served one at a time"
        assert {row.values["state"] for row in w.store.tables["leads"].values() if ":" in row.key} == {"delivered"}


def test_a_feed_that_does_not_answer_takes_few_of_the_threads_and_all_once_it_does() -> None:
    """It answers only when everybody else is done. Attempts that ran into its time-out showed that it is slow."""
    done = Event()
    feed, people = Watched(Kind.FEED, waits_for=done), Watched(Kind.NOTIFICATION)
    with world(feed=feed, people=people) as w, ThreadPoolExecutor(AT_ONCE) as pool:
        line = delivery._line("feed")
        assert line
        for _ in range(3):
            assert line.enter()
            line.leave(20.0)
        arrive(w, 60)
        w.bell.waiting.sort(key=lambda message: message[2] != "feed")
        people.last = (60, done)
        drain(w, pool)
        assert feed.most == delivery.SLOW_PLACES
        assert Counter(lead.id for lead, _ in feed.got) == Counter(w.ids())
        assert line.pace < delivery.SLOW_SECONDS, "what answers again is served as before"


def test_a_crowd_at_a_crm_comes_one_after_the_other() -> None:
    """A thousand leads for a CRM that takes a quarter of a second: turns, and no crowd that grows with its square."""
    with world(crm=FakeDestination()) as w:
        line = delivery._line("crm")
        assert line
        turns, waiting = 0, [(w.now + timedelta(milliseconds=10 * number), number) for number in range(1000)]
        free, chance = w.now, Random(20)
        while waiting:
            now, number = heapq.heappop(waiting)
            if now >= free:
                free = now + timedelta(seconds=line.pace)
                continue
            turns += 1
            wait = line.turn(now)
            assert delivery.BUSY_SECONDS <= wait <= delivery.LONGEST_LINE
            # A queue knows whole seconds, and is polled a little later.
            later = math.ceil(wait) + chance.random() / 2
            heapq.heappush(waiting, (now + timedelta(seconds=later), number))
        assert turns <= 5 * 1000
        assert (free - w.now).total_seconds() <= 2 * 250, "the CRM works at least half of the time"


def test_ten_leads_at_once_are_in_the_crm_as_soon_as_it_can_take_them() -> None:
    """The CRM answers the first one only when the other nine have found it busy; then nobody waits for a bell."""
    others = Event()
    crm = Watched(Kind.CRM, waits_for=others)
    with world(crm=crm) as w, ThreadPoolExecutor(AT_ONCE) as pool:
        arrive(w, 10)
        rung, due, w.bell.waiting = w.app.ring, w.bell.waiting, []
        busy = Counter[str]()

        def ring(lead_id: str, destination: str, delay: float = 0.0) -> None:
            rung(lead_id, destination, delay)
            busy[lead_id] += 1
            if len(busy) == 9:
                others.set()

        w.app.ring = ring  # type: ignore[method-assign]
        list(pool.map(lambda message: delivery.deliver(w.app, message[1], message[2], w.now), due))
        assert crm.most == 1
        # The last one may have found the place taken when the first already looked for whom to serve.
        assert 9 <= len({lead.id for lead, _ in crm.got}) == len(crm.got)
        drain(w, pool)
        assert Counter(lead.id for lead, _ in crm.got) == Counter(w.ids()), "their bells ring all the same, for nothing"


def test_whoever_has_a_place_goes_on_for_a_while_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "SERVE_SECONDS", 0.0)
    with world(crm=FakeDestination()) as w:
        arrive(w, 2)
        first, second = w.ids()
        line = delivery._line("crm")
        assert line
        line.miss(second)
        delivery.deliver(w.app, first, "crm", w.now)
        assert [lead.id for lead, _ in w.places["crm"].got] == [first]
        assert list(line.missed) == [second]


def test_who_is_served_before_its_time_breeds_no_bells() -> None:
    """A CRM that asks for a minute would get twice as many bells each time that one finds it busy."""
    with world(crm=FakeDestination()) as w:
        arrive(w, 2)
        first, second = w.ids()
        there = w.app.ledger.delivery(second, "crm")
        assert there
        w.app.ledger.save(replace(there, next_at=w.now + timedelta(seconds=50)))
        w.bell.waiting = []
        line = delivery._line("crm")
        assert line
        assert line.enter()
        delivery.deliver(w.app, second, "crm", w.now)
        line.leave(0.25)
        delivery.deliver(w.app, first, "crm", w.now)
        assert not line.missed
        assert [lead_id for _, lead_id, _ in w.bell.waiting] == [second]


def test_a_clock_that_ran_ahead_keeps_nobody_from_a_crm() -> None:
    with world(crm=FakeDestination()) as w:
        line = delivery._line("crm")
        assert line
        line.turn(w.now + timedelta(days=1))
        assert line.turn(w.now) == delivery.BUSY_SECONDS


def test_one_delivery_that_many_threads_are_rung_for_is_made_once() -> None:
    feed = Watched(Kind.FEED)
    with world(feed=feed) as w, ThreadPoolExecutor(AT_ONCE) as pool:
        arrive(w, 20)
        w.bell.waiting = [message for message in w.bell.waiting for _ in range(8)]
        drain(w, pool)
        assert Counter(lead.id for lead, _ in feed.got) == Counter(w.ids())


def test_a_flood_is_counted_by_all_threads_together() -> None:
    people = Watched(Kind.NOTIFICATION)
    with world(people=people) as w, ThreadPoolExecutor(AT_ONCE) as pool:
        arrive(w, 200)
        due, w.bell.waiting = w.bell.waiting, []
        # They began one after the other, and come to the count in any order.
        messages = [(*message[1:], w.now + timedelta(milliseconds=200 - number)) for number, message in enumerate(due)]
        list(pool.map(lambda message: delivery.deliver(w.app, *message), messages))
        assert len(people.got) == w.app.settings.flood
        assert w.app.ledger.is_flooded("people")


FRESH = """
import json, sys, threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
import function_app
from leads import delivery
from leads.app import app

messages = json.loads(sys.argv[1])
begin = threading.Barrier(len(messages))

def work(message):
    begin.wait()
    delivery.deliver(app(), *message, datetime.now(UTC))

with ThreadPoolExecutor(len(messages)) as pool:
    list(pool.map(work, messages))
"""
"""A process that has just begun, with a message for each of its threads."""


def test_a_cold_process_takes_all_it_may_take_at_once(azurite: str, tmp_path: Path) -> None:
    """Everything is imported, connected and signed in to for the first time, by as many threads as host.json has."""
    authority = str(server_files(tmp_path)[0])
    environ = {
        "AzureWebJobsStorage": azurite,
        "LEADS_DESTINATIONS": "https,teams,email,dynamics",
        "LEADS_FLOOD": "0",
        "REQUESTS_CA_BUNDLE": authority,
        "SSL_CERT_FILE": authority,
    }
    with ExitStack() as stack:
        ends = {
            name: stack.enter_context(module.start(tmp_path, {}))
            for name, module in (("https", https), ("teams", teams), ("email", email), ("dynamics", dynamics))
        }
        for end in ends.values():
            environ |= end.environ()
        app = App(settings.read(environ), environ)
        app.doorbell = MemoryDoorbell(datetime.now(UTC))
        ids = [
            receive(app, post(userDetails=PERSON | {"email": f"{uuid4().hex}@contoso.com"}), datetime.now(UTC)).id
            for _ in range(AT_ONCE // len(ends))
        ]
        messages = [(lead_id, name) for lead_id in ids for name in ends]
        done = subprocess.run(
            [sys.executable, "-c", FRESH, json.dumps(messages)],
            env={"PATH": os.environ["PATH"]} | environ,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        states = {
            (lead_id, each.destination): each.state
            for lead_id in ids
            for case in filter(None, [app.ledger.case(lead_id)])
            for each in case.deliveries
        }
        assert len(states) == len(messages)
        for name in ("https", "teams", "email"):
            assert [states[lead_id, name] for lead_id in ids] == ["delivered"] * len(ids), done.stderr
            assert len(ends[name].received()) == len(ids), name
        delivered = [states[lead_id, "dynamics"] for lead_id in ids].count(State.DELIVERED)
        assert 1 <= delivered == len(ends["dynamics"].received())
