from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dev.certificate import server_files
from dev.standins.server import Answer, Failure, Server
from dev.standins.teams import RUN, SIGNATURE, url, workflow
from leads import errors
from leads.contract import Earlier, Step
from leads.destinations import teams
from leads.destinations.teams import card as _teams_card
from leads.messages.alert import Alert
from leads.messages.notification import compose
from leads.reader import Reader
from leads.transport import Deadline
from tests.message_samples import HOSTILE, NOW, VOICE, hostile_lead, sample

SECRET = "sig=secret"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture
def server(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server_files(directory)[0]))
    with workflow(directory) as running:
        yield running


def settings_for(server: Server, **more: str) -> teams.Settings:
    reader = Reader({"TEAMS_WEBHOOK_URL": url(server), **more}, teams.SETTINGS)
    settings = teams.Settings.read(reader)
    assert not reader.problems
    return settings


def step(**values: Any) -> Step:
    return Step(now=NOW, deadline=Deadline.after(20), **values)


def elements(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from elements(value)
    elif isinstance(node, list):
        for value in node:
            yield from elements(value)


def test_the_card_arrives_in_the_envelope_that_workflows_want(server: Server) -> None:
    lead = sample("contact_me")
    remote_id = teams.send(lead, step(), settings_for(server))
    assert remote_id == f"accepted, workflow run {RUN}"
    (call,) = server.calls
    body = call.json()
    assert body["type"] == "message"
    (attachment,) = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    text = json.dumps(card, ensure_ascii=False)
    for words in ("Ada Rossi", "Fabrikam S.p.A.", "Italy", "Contoso Invoice Flow", "Contact them today", "12 offices"):
        assert words in text
    assert [action["url"] for action in card["actions"]] == ["mailto:ada.rossi@example.com", "tel:+390669812345"]


def test_the_language_is_that_of_the_settings(server: Server) -> None:
    teams.send(sample("contact_me"), step(), settings_for(server, LEADS_LANGUAGE="ru"))
    assert "Свяжитесь сегодня" in server.calls[0].body.decode()


def test_a_card_that_was_accepted_is_not_posted_again_unless_replayed(server: Server) -> None:
    settings = settings_for(server)
    assert teams.send(sample("contact_me"), step(remote_id="accepted"), settings) == "accepted"
    assert not server.calls
    teams.send(sample("contact_me"), step(remote_id="accepted", replayed=True), settings)
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"error": {"code": "WorkflowTriggerIsNotEnabled", "message": SECRET}}, errors.Misconfigured),
        (401, {"error": {"code": "DirectApiAuthorizationRequired", "message": SECRET}}, errors.Misconfigured),
        (404, {"error": {"code": "WorkflowNotFound", "message": SECRET}}, errors.Misconfigured),
        (302, None, errors.Misconfigured),
        (413, None, errors.Rejected),
        (429, {"error": {"code": "x y", "message": SECRET}}, errors.Throttled),
        (502, "<html>", errors.Transient),
        (408, ["?"], errors.Transient),
    ],
)
def test_refusals(server: Server, status: int, body: Any, expected: type[errors.Failure]) -> None:
    headers = {"retry-after": "17", "location": "https://localhost/elsewhere"}
    server.failures.append(Failure(Answer(status, body, headers)))
    with pytest.raises(expected) as caught:
        teams.send(sample("contact_me"), step(), settings_for(server))
    told = f"{caught.value.cause} {caught.value.remedy}"
    assert SECRET not in told
    assert SIGNATURE not in told
    assert str(status) in told
    assert caught.value.remedy
    if expected is errors.Throttled:
        assert caught.value.retry_after == 17
    assert len(server.calls) == 1


def test_no_connection_is_transient_and_names_no_url(server: Server) -> None:
    settings = settings_for(server)
    server.close()
    with pytest.raises(errors.Transient) as caught:
        teams.send(sample("contact_me"), step(), settings)
    assert SIGNATURE not in f"{caught.value.cause} {caught.value.remedy} {caught.value!r}"


def test_settings_show_no_credential_and_tell_every_problem() -> None:
    reader = Reader({"TEAMS_WEBHOOK_URL": "https://prod.example/workflows/1?sig=topsecret/"}, teams.SETTINGS)
    settings = teams.Settings.read(reader)
    assert not reader.problems
    assert settings.webhook_url.endswith("sig=topsecret/")
    assert "topsecret" not in repr(settings)
    for value in ("", "http://example.com/?sig=topsecret", "https://contoso.webhook.office.com/webhookb2/topsecret"):
        reader = Reader({"TEAMS_WEBHOOK_URL": value}, teams.SETTINGS)
        teams.Settings.read(reader)
        (problem,) = reader.problems
        assert problem.setting == "TEAMS_WEBHOOK_URL"
        assert "topsecret" not in str(problem)


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_become_no_link_no_mention_and_no_markup(server: Server, value: str) -> None:
    lead = hostile_lead(value)
    teams.send(lead, step(earlier=(Earlier(replace(lead, id="a-b"), None, ""),)), settings_for(server))
    (call,) = server.calls
    assert len(call.body) <= _teams_card.BUDGET
    card = call.json()["attachments"][0]["content"]
    assert "actions" not in card
    for element in elements(card):
        assert "entities" not in element
        assert element.get("type") not in ("TextBlock", "FactSet", "Fact", "Input.Text")
        if element.get("type") == "TextRun":
            assert "selectAction" not in element
            assert not any(active in element["text"] for active in ("<at>", "<script", "${", "{{", "](", "\u202e"))
            assert not any(c in element["text"] for c in "\r\n")


def test_the_largest_lead_there_can_be_stays_within_the_budget_and_says_that_it_was_cut(server: Server) -> None:
    lead = hostile_lead("\U0001f600" * 10_000)
    message = compose(lead, [lead] * 30, NOW, VOICE)
    body = _teams_card.envelope(message, "It was cut.")
    assert len(body) <= _teams_card.BUDGET
    assert "It was cut." in body.decode()
    many_lines = compose(hostile_lead("a\nb\n" * 3_000), [], NOW, VOICE)
    assert len(_teams_card.envelope(many_lines, "It was cut.")) <= _teams_card.BUDGET


def test_an_ordinary_lead_is_not_cut() -> None:
    body = _teams_card.envelope(compose(sample("contact_me"), [], NOW, VOICE), "It was cut.")
    assert "It was cut." not in body.decode()


def test_an_alert_says_what_why_and_the_remedy(server: Server) -> None:
    alert = Alert("dead", "dynamics", 3, NOW, "The CRM is full.", "Correct it.", "python -m leads replay --dead")
    teams.alert(alert, Deadline.after(20), settings_for(server))
    text = server.calls[0].body.decode()
    for words in (
        "Leads could not be delivered to dynamics",
        "The CRM is full.",
        "Correct it.",
        "replay --dead",
        '"3"',
    ):
        assert words in text


def test_a_failing_alert_raises_a_failure(server: Server) -> None:
    server.failures.append(Failure(Answer(503)))
    with pytest.raises(errors.Transient):
        teams.alert(Alert("settings", "app", 1, NOW, "a", "b"), Deadline.after(20), settings_for(server))
