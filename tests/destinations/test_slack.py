"""Slack at the wire: docs.slack.dev, "Sending messages using incoming webhooks", "Rich text block", "Rate limits"."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.certificate import server_files
from dev.standins.server import Answer, Failure, Server
from dev.standins.slack import PATH, TOKEN, url, webhook
from leads import errors
from leads.contract import Earlier, Link, Step
from leads.destinations import slack
from leads.destinations.slack import blocks
from leads.messages import summary
from leads.messages.alert import Alert
from leads.messages.notification import compose
from leads.reader import Reader
from leads.transport import Deadline
from tests.message_samples import HOSTILE, NOW, SAMPLES, VOICE, hostile_lead, sample

ALERT = Alert("dead", "dynamics", 3, NOW, "The CRM is full.", "Correct it.", "python -m leads replay --dead")


@dataclass
class Clock:
    """A clock that the test winds."""

    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture
def server(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server_files(directory)[0]))
    slack._turns.cache_clear()
    with webhook(directory) as running:
        yield running


def settings_for(server: Server, **more: str) -> slack.Settings:
    reader = Reader({"SLACK_WEBHOOK_URL": url(server), **more}, slack.SETTINGS)
    settings = slack.Settings.read(reader)
    assert not reader.problems
    return settings


def step(**values: Any) -> Step:
    known: dict[str, Any] = {"now": NOW, "deadline": Deadline.after(20)}
    return Step(**known | values)


def elements(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from elements(value)
    elif isinstance(node, list):
        for value in node:
            yield from elements(value)


def shown(body: bytes) -> str:
    """The words of a message as people read them."""
    return "".join(str(element["text"]) for element in elements(json.loads(body)["blocks"]) if "text" in element)


def test_the_message_arrives_as_blocks_with_the_words_of_the_card(server: Server) -> None:
    lead = sample("contact_me")
    assert slack.send(lead, step(), settings_for(server)) == "posted"
    (call,) = server.calls
    assert (call.method, call.path) == ("POST", PATH)
    assert call.headers["content-type"].startswith("application/json")
    message = call.json()
    assert message["text"] == "Contact me: Ada Rossi, Fabrikam S.p.A. · Contoso Invoice Flow"
    assert {block["type"] for block in message["blocks"]} == {"rich_text"}
    assert len(message["blocks"]) <= 50
    words = shown(call.body)
    for told in ("Ada Rossi", "Fabrikam S.p.A.", "Italy", "Contoso Invoice Flow", "Contact them today", "12 offices"):
        assert told in words
    links = [element["url"] for element in elements(message) if element.get("type") == "link"]
    assert links == ["mailto:ada.rossi@example.com"], "Slack documents no link for a phone number; it stands as text"
    assert "+390669812345" in words


def test_the_record_in_a_crm_is_linked(server: Server) -> None:
    record = Link("Dynamics 365", "https://contoso.crm4.dynamics.com/main.aspx?id=1")
    slack.send(sample("contact_me"), step(records=(record,)), settings_for(server))
    links = {element["url"]: element["text"] for element in elements(server.calls[0].json()) if "url" in element}
    assert links[record.url] == "Open in Dynamics 365"


def test_the_language_is_that_of_the_settings(server: Server) -> None:
    slack.send(sample("contact_me"), step(), settings_for(server, LEADS_LANGUAGE="ru"))
    assert "Свяжитесь сегодня" in shown(server.calls[0].body)


def test_a_message_that_was_posted_is_not_posted_again_unless_replayed(server: Server) -> None:
    settings = settings_for(server)
    assert slack.send(sample("contact_me"), step(remote_id="posted"), settings) == "posted"
    assert not server.calls
    slack.send(sample("contact_me"), step(remote_id="posted", replayed=True), settings)
    assert len(server.calls) == 1


# --- what Slack answers


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (400, "invalid_payload", errors.Rejected),
        (400, "invalid_blocks", errors.Rejected),
        (400, "no_text", errors.Rejected),
        (400, "too_many_attachments", errors.Rejected),
        (400, "user_not_found", errors.Misconfigured),
        (403, "action_prohibited", errors.Misconfigured),
        (403, "invalid_token", errors.Misconfigured),
        (403, "posting_to_general_channel_denied", errors.Misconfigured),
        (403, "team_disabled", errors.Misconfigured),
        (404, "channel_not_found", errors.Misconfigured),
        (404, "no_active_hooks", errors.Misconfigured),
        (404, "no_service", errors.Misconfigured),
        (404, "no_service_id", errors.Misconfigured),
        (404, "no_team", errors.Misconfigured),
        (410, "channel_is_archived", errors.Misconfigured),
        (200, "no_service", errors.Misconfigured),
        (200, "<!DOCTYPE html><title>Sign in</title>", errors.Misconfigured),
        (200, "", errors.Misconfigured),
        (302, "found", errors.Misconfigured),
        (429, "rate_limited", errors.Throttled),
        (500, "rollup_error", errors.Transient),
        (503, "<html>", errors.Transient),
    ],
)
def test_answers_are_told_by_their_text(server: Server, status: int, text: str, expected: type[errors.Failure]) -> None:
    headers = {"Retry-After": "17", "Location": f"https://localhost{PATH}"}
    server.failures.append(Failure(Answer(status, text, headers)))
    with pytest.raises(expected) as caught:
        slack.send(sample("contact_me"), step(), settings_for(server))
    told = f"{caught.value.cause} {caught.value.remedy}"
    assert str(status) in told
    assert TOKEN not in told
    assert "<" not in told
    assert caught.value.remedy
    assert len(server.calls) == 1
    if expected is errors.Throttled:
        assert caught.value.retry_after == 17


def test_no_connection_is_transient_and_names_no_url(server: Server) -> None:
    settings = settings_for(server)
    server.close()
    with pytest.raises(errors.Transient) as caught:
        slack.send(sample("contact_me"), step(), settings)
    assert TOKEN not in f"{caught.value.cause} {caught.value.remedy} {caught.value!r}"


def test_settings_show_no_credential_and_take_any_https_address() -> None:
    for value in (f"https://hooks.slack-gov.com/services/{TOKEN}", f"https://chat.example/hooks/{TOKEN}/"):
        reader = Reader({"SLACK_WEBHOOK_URL": value}, slack.SETTINGS)
        settings = slack.Settings.read(reader)
        assert not reader.problems
        assert settings.webhook_url == value
        assert TOKEN not in repr(settings)
    for value in ("", f"http://hooks.slack.com/services/{TOKEN}", TOKEN):
        reader = Reader({"SLACK_WEBHOOK_URL": value}, slack.SETTINGS)
        slack.Settings.read(reader)
        (problem,) = reader.problems
        assert problem.setting == "SLACK_WEBHOOK_URL"
        assert TOKEN not in str(problem)


# --- one message a second


def test_one_message_a_second_goes_to_a_webhook_and_the_others_are_told_when(server: Server) -> None:
    clock, settings = Clock(), settings_for(server)

    def sent(at: float) -> float | None:
        clock.at = at
        try:
            slack.send(sample("create"), step(deadline=Deadline.after(20, clock)), settings)
        except errors.Paced as throttled:
            return None if throttled.unanswered else throttled.retry_after
        return None

    assert sent(1000.0) is None
    assert [sent(1000.0) for _ in range(3)] == [1.0, 2.0, 3.0], "each another time"
    assert sent(1000.9) == pytest.approx(3.1)
    assert sent(1001.0) is None
    assert sent(1010.0) is None
    assert sent(1010.25) == pytest.approx(0.75)
    assert len(server.calls) == 3, "who waits asks nobody"


def test_nothing_without_text_is_sent_since_slack_refuses_it(server: Server) -> None:
    """An alert repeats what an attempt said, and that may have no remedy."""
    slack.alert(replace(ALERT, cause="", remedy="", command=""), Deadline.after(20), settings_for(server))
    (call,) = server.calls
    assert all(element["text"] for element in elements(call.json()) if element.get("type") in ("text", "link"))


def test_alerts_and_summaries_wait_for_their_turn_too_and_another_webhook_does_not(server: Server) -> None:
    clock, settings = Clock(), settings_for(server)
    slack.alert(ALERT, Deadline.after(20, clock), settings)
    with pytest.raises(errors.Throttled):
        slack.alert(ALERT, Deadline.after(20, clock), settings)
    with pytest.raises(errors.Throttled):
        slack.summary([sample("create")], 1, "slack 16:15", Deadline.after(20, clock), settings)
    other = replace(settings, webhook_url=f"{url(server)}?other")
    slack.alert(ALERT, Deadline.after(20, clock), other)
    assert len(server.calls) == 2


# --- what people read


@pytest.mark.parametrize(
    "value", [*HOSTILE, "<!channel> <@U123> <https://evil.example|click> *b* _i_ `c` ~s~ &lt;!here>"]
)
def test_hostile_values_become_no_mention_no_link_and_no_markup(server: Server, value: str) -> None:
    lead = hostile_lead(value)
    slack.send(lead, step(earlier=(Earlier(replace(lead, id="a-b"), None, ""),)), settings_for(server))
    (call,) = server.calls
    message = call.json()
    assert blocks.length(call.body.decode()) <= blocks.BUDGET
    kinds = {element["type"] for element in elements(message) if "type" in element}
    assert kinds <= {"rich_text", "rich_text_section", "rich_text_quote", "text"}, "nothing that Slack makes active"
    assert not any(active in call.body.decode() for active in ("<!", "<@", "<#", "<http", "<script"))
    assert not set("<>") & set(message["text"])


@given(st.text())
def test_no_text_steers_the_top_level_text(text: str) -> None:
    escaped = blocks._escaped(text)
    assert not set("<>") & set(escaped)
    assert escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


def test_the_largest_lead_there_can_be_stays_within_the_budget_and_says_that_it_was_cut() -> None:
    lead = hostile_lead("\U0001f600" * 10_000)
    body = blocks.body(compose(lead, [lead] * 30, NOW, VOICE), "It was cut.")
    assert blocks.length(body.decode()) <= blocks.BUDGET
    assert "It was cut." in shown(body)


@pytest.mark.parametrize("kind", SAMPLES)
def test_an_ordinary_lead_is_not_cut(kind: str) -> None:
    assert "It was cut." not in shown(blocks.body(compose(sample(kind), [], NOW, VOICE), "It was cut."))


def test_a_summary_has_as_many_lines_as_slack_takes_and_counts_the_rest(server: Server) -> None:
    lead = sample("contact_me")
    slack.summary([lead] * summary.LINES, 500, "slack 16:15", Deadline.after(20), settings_for(server))
    body = server.calls[0].body
    words = shown(body)
    lines = words.count("Ada Rossi")
    assert blocks.length(body.decode()) <= blocks.BUDGET
    assert lines >= 100
    assert f"Not listed here: {500 - lines}" in words
    assert "slack 16:15" in words


def test_an_alert_says_what_why_and_the_remedy(server: Server) -> None:
    slack.alert(ALERT, Deadline.after(20), settings_for(server))
    words = shown(server.calls[0].body)
    for told in ("Leads could not be delivered to dynamics", "The CRM is full.", "Correct it.", "replay --dead", "3"):
        assert told in words


# --- check


def test_check_asks_for_the_webhook_and_posts_nothing(server: Server) -> None:
    settings = settings_for(server)
    (finding,) = slack.check(settings, Deadline.after(9))
    assert finding.ok
    assert server.calls[0].status == 400
    (finding,) = slack.check(replace(settings, webhook_url=f"{url(server)}x"), Deadline.after(9))
    assert not finding.ok
    assert "SLACK_WEBHOOK_URL" in finding.remedy
    server.failures.append(Failure(Answer(410, "channel_is_archived")))
    (finding,) = slack.check(settings, Deadline.after(9))
    assert (finding.ok, finding.cause) == (False, "The channel of the webhook is archived (410 channel_is_archived).")


def test_the_preview_is_what_is_posted(server: Server) -> None:
    settings = settings_for(server)
    slack.send(sample("contact_me"), step(), settings)
    assert json.loads(slack.preview(sample("contact_me"), step(), settings)) == server.calls[0].json()
