"""The log events: one vocabulary, all of it used, all of it documented."""

from __future__ import annotations

import ast
import json
import logging
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from leads import log
from leads.errors import Misconfigured, Rejected
from leads.intake import accept
from leads.operate import replay
from tests.world import FakeDestination, failing, post, world

ROOT = Path(__file__).parent.parent
TELEMETRY = (ROOT / "docs/telemetry.md").read_text("utf-8")


def used() -> dict[str, set[str]]:
    """Every event that the code logs, with the fields that it gives."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "leads").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "log.event":
                name = ast.literal_eval(node.args[0])
                found.setdefault(name, set()).update(str(keyword.arg) for keyword in node.keywords)
    return found


def documented() -> dict[str, tuple[str, ...]]:
    """The events of docs/telemetry.md with their fields, in order."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \| ([^|]*) \|$", TELEMETRY, re.MULTILINE)
    return {name: tuple(re.findall(r"`(\w+)`", fields)) for name, fields in rows}


def test_every_event_is_used_with_all_its_fields() -> None:
    assert {name: set(fields) for name, fields in log.EVENTS.items()} == used()


def test_every_event_and_field_is_documented_and_nothing_else_is() -> None:
    assert documented() == log.EVENTS


def test_the_documented_levels_are_those_of_the_code(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", TELEMETRY, re.MULTILINE))
    for name in log.EVENTS:
        caplog.clear()
        log.event(name)
        assert rows[name].strip() == caplog.records[0].levelname.lower(), name


def test_an_event_is_one_line_of_json(caplog: pytest.LogCaptureFixture) -> None:
    log.event("alert", kind="dead", count=2, since=datetime(2026, 11, 21, tzinfo=UTC), cause="Ümläut\nand more")
    line = caplog.records[0].getMessage()
    assert "\n" not in line
    assert json.loads(line) == {
        "event": "alert",
        "kind": "dead",
        "count": 2,
        "since": "2026-11-21T00:00:00+00:00",
        "cause": "Ümläut\nand more",
    }


def test_what_is_outside_the_vocabulary_is_a_bug() -> None:
    with pytest.raises(KeyError):
        log.event("something_else")
    with pytest.raises(KeyError, match="email"):
        log.event("lead_accepted", email="someone@contoso.com")


def test_one_lead_can_be_followed_by_its_id_through_every_function(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with world(crm=FakeDestination(failures=[failing(Misconfigured), failing(Rejected)])) as w:
        lead_id = accept.receive(w.app, post(), w.now).id
        w.live(minutes=20)
        replay.replay(w.app, lead_id, None, w.now)
        w.live(minutes=6)
        accept.receive(w.app, post(), w.now)
    events = [json.loads(record.getMessage()) for record in caplog.records if record.name == "leads"]
    assert [event["event"] for event in events if event.get("lead") == lead_id] == [
        "lead_accepted",
        "delivery_attempt",
        "delivery_attempt",
        "delivery_finished",
        "replayed",
        "delivery_attempt",
        "delivery_finished",
        "lead_repeated",
    ]
    assert "someone@" not in caplog.text
    assert "contoso.com" not in caplog.text


def test_the_workbook_and_the_alert_rules_ask_for_events_that_exist() -> None:
    for path in (ROOT / "infra/workbook.json", *(ROOT / "infra/modules").glob("*.bicep")):
        names = set(re.findall(r'event == \\*"(\w+)', path.read_text("utf-8")))
        assert names <= log.EVENTS.keys(), path.name
