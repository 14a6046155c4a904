"""Trouble on real storage: poison messages, a storage that stops, an emptied queue, races of operators and purge.

`STOPS` is how often the storage stops, once unless set.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from azure.storage.queue import QueueClient

from dev import host as hosts
from dev.azurite import Azurite
from dev.standins.dynamics import StandIn
from leads import delivery, enabled, settings
from leads.app import App
from leads.contract import Kind, Step
from leads.intake import accept, watch
from leads.lead import Lead, Outcome, State
from leads.operate import forget
from leads.operate import replay as replaying
from leads.reader import Reader, Setting
from leads.store.doorbell import POISON_QUEUE, QUEUE
from leads.store.ledger import EVENTS, GONE, JOURNAL, LEADS, OPEN, STATE
from leads.store.testing import MemoryDoorbell
from leads.sweep import purge, sweep
from tests.integration.local import (
    TABLE,
    LocalHost,
    Senders,
    Storage,
    body,
    check,
    environ,
    figure,
    found,
    process,
    send,
    settle,
    until,
    write_row,
)
from tests.world import FakeDestination, row, world

STOPS = int(os.environ.get("STOPS", "1"))
DELIVERED = {"console": State.DELIVERED, "dynamics": State.DELIVERED}


@pytest.fixture
def storage() -> Iterator[str]:
    with Azurite() as running:
        yield running.connection_string


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[StandIn]:
    with StandIn(tmp_path / "crm") as running:
        yield running


@dataclass
class Place:
    """A destination that does what the test says, in this process."""

    KIND: Kind = Kind.CRM
    TITLE: str = "Place"
    SETTINGS: tuple[Setting, ...] = ()
    work: Callable[[], None] = lambda: None
    got: list[str] = field(default_factory=list)

    class Settings:
        """There is nothing to set."""

        @classmethod
        def read(cls, reader: Reader) -> None:
            """Read nothing."""

    def send(self, lead: Lead, step: Step, made: Any) -> str:
        self.got.append(lead.id)
        self.work()
        return ""


@contextlib.contextmanager
def with_place(connection_string: str, place: Place) -> Iterator[App]:
    """The app over real storage with `place` as its only destination; it rings in memory."""
    load, names = enabled.load, enabled.names
    with (
        patch.object(enabled, "load", lambda name: place if name == "place" else load(name)),
        patch.object(enabled, "names", lambda: (*names(), "place")),
        process(environ(connection_string, LEADS_DESTINATIONS="place")) as app,
    ):
        yield app


def ring_all(app: App, now: datetime) -> int:
    """Deliver what was rung for."""
    assert isinstance(app.doorbell, MemoryDoorbell)
    app.doorbell.now = now
    count = 0
    while message := app.doorbell.take():
        delivery.deliver(app, *message, now)
        count += 1
    return count


def states(app: App, lead_id: str) -> dict[str, str]:
    case = app.ledger.case(lead_id)
    assert case
    return {one.destination: one.state for one in case.deliveries}


# --- the poison path ---


def test_a_message_that_the_host_gives_up_is_recorded_and_delivered_at_last(
    storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole of it: function_app.py under the local host, its queues on Azurite, a bug of ours for two calls."""
    host_json = {
        "extensions": {
            "http": {"routePrefix": "api"},
            "queues": {"maxDequeueCount": 2, "maxPollingInterval": "00:00:00.2", "visibilityTimeout": "00:00:01"},
        }
    }
    calls = []

    def fail() -> None:
        calls.append(1)
        if len(calls) <= 2:
            raise KeyError("a bug of ours")

    place = Place(work=fail)
    monkeypatch.setenv("AzureWebJobsStorage", storage)
    with with_place(storage, place) as app:
        app.settings = settings.read({**app.environ, "LEADS_RETRY_SCHEDULE": "0,1"})
        del app.doorbell  # the real one: the queue
        monkeypatch.setattr("leads.app.app", lambda: app)
        import function_app

        host = hosts.Host(function_app.app, host_json, tmp_path, port=0)
        host.start()
        try:
            status, lead_id = send(host.server.port, body(1))
            assert status == 202
            until(lambda: states(app, lead_id) == {"place": State.DELIVERED}, "the delivery after the poison queue")
            last = app.ledger.delivery(lead_id, "place")
            with QueueClient.from_connection_string(storage, POISON_QUEUE) as poison:
                until(lambda: not poison.peek_messages(), "the end of the poison message")
        finally:
            assert host.stop()
    assert last
    assert [attempt.outcome for attempt in last.attempts] == [Outcome.TRANSIENT, Outcome.OK]
    assert last.attempts[0].cause.startswith("Internal error")
    assert len(place.got) == 3


def test_a_bug_that_stays_ends_as_dead_and_alerted() -> None:
    """The host gives a message up the moment its fifth call failed, in the claim of that call."""
    with world(crm=FakeDestination(always=KeyError("a bug of ours"))) as w:
        lead_id = accept.receive(w.app, body(1), w.now).id
        end = w.now + timedelta(hours=100)
        while w.now < end and w.states() != {"crm": "dead"}:
            while message := w.bell.take():
                for _ in range(5):
                    with pytest.raises(RuntimeError):
                        delivery.deliver(w.app, *message, w.now)
                    w.forward(minutes=2)
                w.forward(minutes=-2)
                delivery.recover(w.app, *message, w.now)
            w.sweep()
            w.forward(minutes=5)
        w.sweep()
        dead = w.app.ledger.delivery(lead_id, "crm")
        assert dead
        assert dead.state == State.DEAD
        assert dead.attempt_count == len(w.app.settings.retry_schedule)
        assert dead.alerted_at is not None


# --- the storage stops ---


def test_a_storage_that_stops_and_comes_back_costs_nothing(tmp_path: Path, crm: StandIn) -> None:
    rows = []
    with Storage(tmp_path / "azurite") as storage:
        settings_of = environ(storage.connection_string, crm)
        with LocalHost(tmp_path, settings_of) as host:
            with Senders(host.port) as senders:
                for turn in range(STOPS):
                    rows.append(write_row(storage.connection_string, f"row{turn}"))
                    enough = len(senders.accepted) + 10
                    until(lambda: len(senders.accepted) >= enough, "the next leads")  # noqa: B023
                    refused = senders.answers[503]
                    storage.stop()
                    until(lambda: senders.answers[503] > refused, "an answer without storage")  # noqa: B023
                    storage.start()
                enough = len(senders.accepted) + 10
                until(lambda: len(senders.accepted) >= enough, "leads after the last start")
            assert host.process.poll() is None
        with process(settings_of) as app:
            settle(app)
            leads = check(app, senders, rows, crm).leads
    figure(
        "storage stopped",
        times=STOPS,
        accepted=len(senders.accepted),
        lost=0,
        leads=len(leads),
        answers=dict(senders.answers),
    )
    assert set(senders.answers) == {202, 503}


# --- the queue is emptied ---


def test_what_an_operator_deletes_from_the_queue_is_rung_for_again(storage: str, tmp_path: Path, crm: StandIn) -> None:
    settings_of = environ(storage, crm)
    now = datetime.now(UTC)
    with process(settings_of) as app, QueueClient.from_connection_string(storage, QUEUE) as queue:
        del app.doorbell  # the real one
        ids = {accept.receive(app, body(number), now).id for number in range(10)}
        assert queue.get_queue_properties().approximate_message_count == 20
        queue.clear_messages()
        # The sweep of three minutes later; a new process delivers.
        sweep.sweep(app, now + timedelta(minutes=3))
        assert queue.get_queue_properties().approximate_message_count == 20
        with LocalHost(tmp_path, settings_of):
            until(lambda: all(states(app, lead_id) == DELIVERED for lead_id in ids), "the delivery of all")
        assert len(crm.notes) == len(ids)
    figure("queue emptied", leads=len(ids), messages_deleted=20, lost=0, sent_twice=0)


# --- races ---


def test_a_row_that_is_read_again_does_not_keep_its_lead_open() -> None:
    with world() as w:
        w.inbox.tables[TABLE] = [row("a", w.now)]
        watch.watch(w.app, w.now)
        (line,) = w.app.ledger.open_lines()
        w.forward(minutes=1)
        watch.watch(w.app, w.now)
        (again,) = w.app.ledger.open_lines()
        assert again.etag == line.etag


def test_a_replay_that_races_the_close_of_its_lead_wins(storage: str) -> None:
    place = Place()
    with with_place(storage, place) as app, ThreadPoolExecutor(2) as pool:
        now = datetime.now(UTC)
        ids = [accept.receive(app, body(number), now).id for number in range(30)]
        assert ring_all(app, now) == len(ids)
        won = 0
        for turn in range(3):
            now += timedelta(minutes=10)
            start = threading.Barrier(2)

            def close(now: datetime = now, start: threading.Barrier = start) -> None:
                start.wait()
                sweep.sweep(app, now)

            def replay(now: datetime = now, start: threading.Barrier = start) -> int:
                start.wait()
                return sum(replaying.replay(app, lead_id, None, now) for lead_id in ids)

            done = pool.submit(close), pool.submit(replay)
            done[0].result()
            won += done[1].result()
            open_lines = {line.key for line in app.store.rows(JOURNAL, OPEN)}
            for lead_id in ids:
                if State.OPEN in states(app, lead_id).values():
                    assert lead_id in open_lines, f"turn {turn}: nobody would look at an open delivery again"
            ring_all(app, now)
            assert all(states(app, lead_id) == {"place": State.DELIVERED} for lead_id in ids)
        settle(app)
        assert not list(app.store.rows(JOURNAL, OPEN))
        assert len(place.got) == len(ids) + won


def test_what_is_forgotten_while_it_is_delivered_does_not_come_back(storage: str) -> None:
    started, ended = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        assert ended.wait(30)

    place = Place(work=wait)
    with with_place(storage, place) as app, ThreadPoolExecutor(1) as pool:
        written = write_row(storage, "forgetful")
        now = datetime.now(UTC)
        watch.watch(app, now)
        (lead_id,) = found(app).leads
        under_way = pool.submit(ring_all, app, now)
        assert started.wait(30)
        told = forget.forget(app, "forgetful@fabrikam.com", now)
        assert told["leads"] == [lead_id]
        assert told["by_hand"], "that it was on its way is told"
        ended.set()
        under_way.result(30)
        assert not list(app.store.rows_before(LEADS, "~"))
        app.store.delete(STATE, STATE, f"watch:{TABLE.lower()}")
        settle(app)
        everything = found(app)
        assert not everything.leads
        assert not everything.raw
        assert not [line.key for line in app.store.rows_before(JOURNAL, "~")]
        seen = app.ledger.seen(accept.event_of_row(app, TABLE, written))
        assert seen
        assert seen.fate == GONE
        assert place.got == [lead_id]


def test_a_purge_leaves_alone_what_is_under_way(storage: str) -> None:
    started, ended = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        assert ended.wait(30)

    place = Place(work=wait)
    with with_place(storage, place) as app, ThreadPoolExecutor(1) as pool:
        now = datetime.now(UTC)
        long_ago = now - timedelta(days=400)
        assert isinstance(app.doorbell, MemoryDoorbell)
        app.doorbell.now = long_ago
        old = accept.receive(app, body(1), long_ago).id
        ended.set()
        ring_all(app, long_ago)
        sweep.sweep(app, long_ago + timedelta(minutes=5))
        assert not app.ledger.open_line(old)
        started.clear()
        ended.clear()
        # It was sent again today, and is on its way while the purge runs.
        assert replaying.replay(app, old, None, now) == 1
        under_way = pool.submit(ring_all, app, now)
        assert started.wait(30)
        assert purge.purge(app, now) == 0
        ended.set()
        under_way.result(30)
        assert states(app, old) == {"place": State.DELIVERED}
        # The line of a replay is closed half an hour later at the earliest.
        sweep.sweep(app, now + timedelta(minutes=35))
        assert app.ledger.case(old) is None or purge.purge(app, now + timedelta(days=1)) == 1
        everything = found(app)
        assert not everything.leads
        assert not everything.raw
        assert len(place.got) == 2


def test_a_table_read_again_in_full_after_a_purge_brings_nothing_back(storage: str) -> None:
    place = Place()
    with with_place(storage, place) as app:
        for number in range(30):
            write_row(storage, f"row{number}")
        now = datetime.now(UTC)
        watch.watch(app, now)
        ring_all(app, now)
        sweep.sweep(app, now)
        assert len(place.got) == 30
        later = now + timedelta(days=app.settings.retention_days + 2)
        assert purge.purge(app, later) == 30
        assert not found(app).leads
        # As if the app had never looked at the table, whose rows are new by its clock.
        app.store.delete(STATE, STATE, f"watch:{TABLE.lower()}")
        app.settings = settings.read({**app.environ, "LEADS_BACKFILL_DAYS": "999"})
        watch.watch(app, later)
        ring_all(app, later)
        settle(app)
        assert not found(app).leads
        assert not found(app).raw
        assert len(place.got) == 30
        events = list(app.store.rows_before(EVENTS, "~"))
        assert [event.values["fate"] for event in events] == [GONE] * 30
    figure("table read again after a purge", rows=30, accepted_twice=0, sent_twice=0)
