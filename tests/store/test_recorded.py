"""An upgrade loses nothing: what earlier versions left in storage and queue is read by this one, what was set is still
read; a rollback loses nothing either."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.settings import groups
from leads import __version__
from leads.errors import Misconfigured
from leads.intake import watch
from leads.intake.accept import receive
from leads.lead import Outcome, Stage, State
from leads.operate import health, jobs, replay
from leads.store import doorbell
from leads.store.ledger import SWEEP
from leads.store.protocol import Row, Value
from leads.sweep import days
from tests import record
from tests.world import NOON, FakeDestination, Pager, World, failing, post, world

RECORDINGS = sorted(record.FOLDER.glob("*.json"))
AHEAD: dict[str, Value] = {"from_a_later_version": "unheard of", "a_later_number": 7, "a_later_flag": True}


def load(made: World, recording: dict[str, Any], more: dict[str, Any]) -> None:
    """Put a recording into an empty world; every row also gets what `more` holds."""
    for table, rows in recording["tables"].items():
        for r in rows:
            made.store.insert(table, Row(r["partition"], r["key"], {**r["values"], **more}))
    for container, blobs in recording["blobs"].items():
        for b in blobs:
            made.store.put_blob(container, b["name"], base64.b64decode(b["data"]), b["metadata"])
    for message in recording["messages"]:
        ids = doorbell.read(message)
        assert ids, "the message of an earlier version is understood"
        made.bell.ring(*ids)
    made.inbox.tables["MarketplaceLeads"] = [record.OPEN]


@pytest.fixture(params=[(file, more) for file in RECORDINGS for more in ({}, AHEAD)], ids=lambda p: p[0].stem)
def upgraded(request: pytest.FixtureRequest) -> Iterator[tuple[World, dict[str, Any]]]:
    """This version, ten minutes after an earlier or a later one was replaced by it."""
    file, more = request.param
    recording = json.loads(Path(file).read_text(encoding="utf-8"))
    with world(now=NOON + timedelta(minutes=10), crm=FakeDestination()) as made:
        load(made, recording, more)
        yield made, recording


def test_leads_and_deliveries_are_read(upgraded: tuple[World, dict[str, Any]]) -> None:
    made, recording = upgraded
    case = made.app.ledger.case(recording["delivered"])
    assert case is not None
    assert case.lead.id == recording["delivered"]
    assert case.lead.contact.email == "someone@contoso.com"
    assert case.lead.contact.name == "Some One"
    assert case.lead.message == "Please call me."
    assert case.lead.stage is Stage.INITIAL_INTEREST
    delivery = made.app.ledger.delivery(recording["delivered"], "crm")
    assert delivery is not None
    assert delivery.state is State.DELIVERED
    assert delivery.remote_id == f"remote-{case.lead.event}"
    waiting = made.app.ledger.delivery(recording["open"], "crm")
    assert waiting is not None
    assert (waiting.state, waiting.tries, len(waiting.attempts)) == (State.OPEN, 1, 1)
    dead = made.app.ledger.delivery(recording["dead"], "crm")
    assert dead is not None
    assert (dead.state, dead.attempts[0].outcome, dead.attempts[0].remedy) == (
        State.DEAD,
        Outcome.REJECTED,
        "Correct it.",
    )


def test_what_was_delivered_stays_and_what_waits_is_delivered(upgraded: tuple[World, dict[str, Any]]) -> None:
    made, recording = upgraded
    made.live(hours=2)
    assert [lead.id for lead, _ in made.places["crm"].got] == [recording["open"]]
    assert made.ids() == sorted(recording[name] for name in ("delivered", "open", "dead"))
    assert list(made.app.ledger.open_lines()) == []


def test_what_died_can_be_replayed(upgraded: tuple[World, dict[str, Any]]) -> None:
    made, recording = upgraded
    assert replay.replay(made.app, recording["dead"], "crm", made.now) == 1
    made.live(hours=2)
    assert recording["dead"] in [lead.id for lead, _ in made.places["crm"].got]
    assert list(made.app.ledger.open_lines()) == []


def test_events_that_were_seen_are_known(upgraded: tuple[World, dict[str, Any]]) -> None:
    made, recording = upgraded
    assert receive(made.app, record.DELIVERED, made.now).id == recording["delivered"]
    watch.watch(made.app, made.now)
    assert made.ids() == sorted(recording[name] for name in ("delivered", "open", "dead"))


def test_quarantine_and_raw_are_there(upgraded: tuple[World, dict[str, Any]]) -> None:
    made, recording = upgraded
    assert len(recording["blobs"]["quarantine"]) == 1
    case = made.app.ledger.case(recording["delivered"])
    assert case is not None
    blob = made.app.store.get_blob("raw", case.lead.raw)
    assert blob is not None
    assert blob.data == record.DELIVERED


def test_the_sweep_runs_on_with_what_a_later_version_noted() -> None:
    """After a rollback: figures, a cycle under way, what is in trouble, counts of a day and a task, each with more."""
    mail = Pager()
    with world(crm=FakeDestination(always=failing(Misconfigured)), mail=mail) as w:
        receive(w.app, post(), w.now)
        w.live(minutes=10)
        jobs.begin(w.app, "replay", {}, w.now, operator="", way="")
        note = w.app.ledger.note(SWEEP)
        values = {name: _later(value) for name, value in note.values.items()}
        w.app.ledger.write_note(replace(note, values=values | {"cycle": values["figures"]}))
        for row in w.store.tables["state"].values():
            if row.partition == "job":
                w.store.upsert("state", replace(row, values={name: _later(text) for name, text in row.values.items()}))
        counted = days.row("2026-11-21", days.Counts(tests=2))
        day, counts = days.read(replace(counted, values={**counted.values, **AHEAD}))
        assert (day, counts.tests) == ("2026-11-21", 2)
        w.live(hours=1)
        assert health.health(w.app, w.now).open == 1
        assert [job.phase for job in jobs.every(w.app)] == ["look"]
        assert "misconfigured" in [alert.kind for alert in mail.alerts]


def _later(value: Any) -> Any:
    """A text of JSON objects with more in each of them."""
    try:
        read = json.loads(value, object_hook=lambda each: each | {"later": 1} if "began_at" in each else each)
    except (TypeError, ValueError):
        return value
    if isinstance(read, dict) and {"shown", "parts"} <= read.keys():
        read |= AHEAD
    return json.dumps(read) if isinstance(read, dict) else value


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_every_setting_is_still_read(file: Path) -> None:
    recorded = set(json.loads(file.read_text(encoding="utf-8"))["settings"])
    assert recorded - {setting.name for group in groups().values() for setting in group} == set()


def test_this_version_has_its_recording() -> None:
    assert record.FOLDER / f"{__version__}.json" in RECORDINGS, "run python -m tests.record"


def test_a_recording_is_made_as_the_app_stores_today() -> None:
    today = record.record()
    assert set(today["tables"]) == {"events", "leads", "journal", "state"}
    assert len(today["messages"]) == 1
