"""Alert rules and workbook ask for events and fields that the code logs, in queries that Azure can read."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from functools import cache
from typing import Any

import pytest

from leads import log
from leads.errors import Rejected
from leads.intake.accept import receive
from tests.infra import deployment
from tests.infra.deployment import INFRA, ROOT
from tests.world import FakeDestination, failing, post, world


def alert_queries() -> dict[str, str]:
    """The query of every alert rule that asks for events, by its name."""
    variables = deployment.module("alerts")["variables"]
    reports = {rule["name"]: rule["query"] + "\n" + variables["reported"] for rule in variables["reports"]}
    watches = {rule["name"]: rule["query"] for rule in variables["watches"]}
    return {name: variables["events"] + query for name, query in (reports | watches).items()}


def refused_query() -> str:
    """The query of the rule for leads that were answered with an error."""
    rule = deployment.module("alerts")["resources"]["refused"]["properties"]
    query: str = rule["criteria"]["allOf"][0]["query"]
    return query


def workbook() -> list[dict[str, Any]]:
    """The parts of the workbook."""
    found: dict[str, Any] = json.loads((INFRA / "workbook.json").read_text(encoding="utf-8"))
    assert found["fallbackResourceIds"] == ["<insights>"], "monitoring.bicep puts the resource in"
    return [item for item in found["items"] if item["type"] == 3]


QUERIES = alert_queries() | {f"workbook: {item['name']}": item["content"]["query"] for item in workbook()}


@cache
def emitted() -> dict[str, set[str]]:
    """The fields that the code really logs with each event: a query never finds what is in the vocabulary alone."""
    found: dict[str, set[str]] = {}
    for file in (ROOT / "leads").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "log.event":
                name = node.args[0]
                assert isinstance(name, ast.Constant), f"{file.name}: the name of an event is not computed"
                assert isinstance(name.value, str)
                found.setdefault(name.value, set()).update(keyword.arg or "" for keyword in node.keywords)
    return found


class TestQueries:
    @pytest.mark.parametrize("name", QUERIES)
    def test_it_asks_for_events_and_fields_that_the_code_logs(self, name: str) -> None:
        query = QUERIES[name]
        assert "startswith '{\"event\"'" in query
        events = set(re.findall(r'\bevent == "(\w+)"', query))
        events |= set(re.findall(r'"(\w+)"', " ".join(re.findall(r"\bevent in \(([^)]*)\)", query))))
        assert events, "a query names its events"
        assert events <= log.EVENTS.keys()
        fields = set(re.findall(r"\be\.(\w+)", query)) | set(re.findall(r"\be\['(\w+)'\]", query))
        known = set().union(*(log.EVENTS[event] for event in events))
        assert fields - {"event"} <= known
        logged = emitted()
        assert events <= logged.keys()
        assert fields - {"event"} <= set().union(*(logged[event] for event in events))

    @pytest.mark.parametrize("name", QUERIES)
    def test_its_brackets_and_quotes_match(self, name: str) -> None:
        bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", QUERIES[name])
        assert "'" not in bare
        assert '"' not in bare
        assert bare.count("(") == bare.count(")")
        assert bare.count("[") == bare.count("]")
        assert all(line.startswith(("|", " ", "traces")) for line in QUERIES[name].split("\n") if line.strip())

    def test_microsofts_own_parser_takes_them(self) -> None:
        """Syntax, names, functions and their types, by the language service of Azure Data Explorer."""
        asked = QUERIES | {"refused": refused_query(), "broken": "traces | where no_such_column == 1"}
        node = shutil.which("node")
        if node is None:
            pytest.skip("node is not here: the queries were not parsed")
        done = subprocess.run(
            [node, str(ROOT / "dev" / "check_kql.cjs")],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=False,
        )
        if "Cannot find module" in done.stderr:
            pytest.skip("@kusto/language-service-next is not in dev/node_modules: the queries were not parsed")
        assert done.returncode == 0, done.stderr
        findings = json.loads(done.stdout)
        assert [finding for finding in findings if not finding.startswith("broken: ")] == []
        assert len(findings) == 1, "the check itself finds what is wrong"

    def test_an_event_begins_as_the_queries_expect(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        log.event("watch_ran", table="MarketplaceLeads", rows=1)
        assert caplog.messages[0].startswith('{"event"')

    def test_whatever_the_app_reports_is_an_alert(self) -> None:
        asked = ((name, re.findall(r'kind\) == "(\w+)"', query)) for name, query in alert_queries().items())
        kinds = {kind: name for name, found in asked for kind in found}
        documented = re.search(r'kind: str\n    """([^"]*)"""', (ROOT / "leads" / "messages" / "alert.py").read_text())
        assert documented
        assert kinds.keys() == set(re.findall(r"`(\w+)`", documented[1]))
        assert kinds["watch_silent"] == "watch-silent"

    def test_a_lead_that_is_open_too_long_and_a_silent_watch_are_alerts(self) -> None:
        rules = {rule["name"]: rule for rule in deployment.module("alerts")["variables"]["watches"]}
        assert rules["oldest-open"]["threshold"] == 3600
        assert rules["oldest-open"]["operator"] == "GreaterThan"
        silent = re.search(r"iff\(failures >= runs, ([\d.]+), coalesce\(oldest", rules["oldest-open"]["query"])
        assert silent
        assert float(silent[1]) > 3600, "a sweep that does not run is no sign that all is well"
        assert deployment.template()["parameters"]["watchSilence"]["defaultValue"] == "PT15M"

    def test_a_refused_lead_is_an_alert(self) -> None:
        assert '"receive_lead"' in refused_query()
        assert re.search(r"^def receive_lead\(", (ROOT / "function_app.py").read_text(), re.MULTILINE)

    def test_why_a_delivery_is_dead_is_asked_where_it_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        with world(crm=FakeDestination(failures=[failing(Rejected)])) as made:
            receive(made.app, post(), made.now)
            made.drain()
        logged = [json.loads(message) for message in caplog.messages if message.startswith('{"event"')]
        (attempt,) = [e for e in logged if e["event"] == "delivery_attempt"]
        (finished,) = [e for e in logged if e["event"] == "delivery_finished"]
        assert finished["state"] == "dead"
        asked = set(re.findall(r"\be\.(\w+)", QUERIES["workbook: dead"])) - {"event"}
        assert [field for field in asked if not attempt.get(field) and not finished.get(field)] == []

    def test_the_workbook_shows_what_was_promised(self) -> None:
        names = {item["name"] for item in workbook()}
        assert {"leads by offer", "leads by stage", "funnel", "latency", "states", "dead", "open over time"} <= names
        assert all(item["content"]["timeContextFromParameter"] == "Time" for item in workbook())
