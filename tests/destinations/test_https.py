"""HTTPS at the wire: github.com/standard-webhooks/standard-webhooks, `spec/standard-webhooks.md` (1.0.0)."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]
from standardwebhooks import Webhook, WebhookVerificationError

from dev.azurite import DEV
from dev.certificate import server_files
from dev.standins.https import SECRET, TOKEN, receiver, url
from dev.standins.server import Answer, Failure, Server
from leads import enabled, errors, transport
from leads.contract import Step
from leads.destinations import https
from leads.lead import Lead
from leads.messages.alert import Alert
from leads.reader import Reader
from leads.transport import Deadline, Response
from tests.destinations.test_contract import samples
from tests.message_samples import HOSTILE, SAMPLES, hostile_lead, sample

ROOT = Path(__file__).parents[2]
OTHER = f"whsec_{b64encode(bytes(range(32))).decode()}"
ALERT = Alert("dead", "dynamics", 3, datetime(2026, 11, 3, tzinfo=UTC), "The CRM is full.", "Correct it.", "replay")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture
def server(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server_files(directory)[0]))
    with receiver(directory) as running:
        yield running


def read(**values: str) -> tuple[https.Settings, list[str]]:
    reader = Reader({"HTTPS_URL": "https://example.com/", "HTTPS_SECRET": SECRET} | values, https.SETTINGS)
    settings = https.Settings.read(reader)
    for problem in reader.problems:
        assert "MfKQ9r8" not in str(problem)
        assert TOKEN not in str(problem)
    return settings, [problem.setting for problem in reader.problems]


def settings_for(server: Server, **values: str) -> https.Settings:
    settings, problems = read(HTTPS_URL=url(server), **values)
    assert problems == []
    return settings


def step(**values: Any) -> Step:
    known: dict[str, Any] = {"now": datetime.now(UTC), "deadline": Deadline.after(20)}
    return Step(**known | values)


def schema(name: str) -> Draft202012Validator:
    read = json.loads((ROOT / f"docs/schemas/{name}.json").read_text())
    Draft202012Validator.check_schema(read)
    return Draft202012Validator(read, format_checker=FormatChecker())


LEAD_SCHEMA, ALERT_SCHEMA = schema("lead-1"), schema("alert-1")


# --- what is sent


def test_the_librarys_vector_is_that_of_the_specification() -> None:
    moment = datetime.fromtimestamp(1614265330, UTC)
    signed = Webhook(SECRET).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", moment, '{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_lead_is_posted_and_the_specifications_library_takes_it(server: Server) -> None:
    lead = sample("contact_me")
    assert https.send(lead, step(), settings_for(server)) == lead.id
    (call,) = server.calls
    assert (call.method, call.path, call.query["token"]) == ("POST", "/hooks/leads", TOKEN)
    assert call.headers["content-type"] == "application/json"
    assert call.headers["webhook-id"] == lead.id
    event = Webhook(SECRET).verify(call.body, dict(call.headers))
    assert event["type"] == "lead.created"
    assert event["timestamp"] == event["data"]["arrived_at"] == "2026-09-28T11:52:00Z"
    data = event["data"]
    assert data["offer"] == {"id": "contoso.invoice-flow", "title": "Contoso Invoice Flow"}
    assert data["contact"]["email"] == "ada.rossi@example.com"
    assert data["message"] == lead.message
    assert data["campaign"] == {"mktcmpid": "spring-2026", "utm_source": "newsletter"}
    assert (data["is_test"], data["is_old"]) == (False, False)


def test_a_time_of_another_zone_is_signed_in_utc(server: Server) -> None:
    elsewhere = datetime.now(timezone(timedelta(hours=5, minutes=30)))
    https.send(sample("create"), step(now=elsewhere), settings_for(server))
    Webhook(SECRET).verify(server.calls[0].body, dict(server.calls[0].headers))


def test_each_secret_signs_while_it_is_changed_and_none_other(server: Server) -> None:
    https.send(sample("create"), step(), settings_for(server, HTTPS_SECRET=f"{OTHER}, {SECRET}"))
    (call,) = server.calls
    assert len(call.headers["webhook-signature"].split(" ")) == 2
    for secret in (OTHER, SECRET):
        Webhook(secret).verify(call.body, dict(call.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(call.body, dict(call.headers))


def test_the_id_and_the_body_are_the_same_on_a_retry_and_on_a_replay(server: Server) -> None:
    settings, lead = settings_for(server), sample("contact_me")
    server.failures.append(Failure(Answer(500)))
    with pytest.raises(errors.Transient):
        https.send(lead, step(), settings)
    https.send(lead, step(uncertain=True), settings)
    https.send(lead, step(remote_id=lead.id, replayed=True), settings)
    assert len(server.calls) == 3
    assert {call.headers["webhook-id"] for call in server.calls} == {lead.id}
    assert len({call.body for call in server.calls}) == 1
    assert "." not in lead.id, "a dot would end the id in what is signed"


def test_test_leads_and_old_leads_are_marked(server: Server) -> None:
    https.send(sample("test"), step(), settings_for(server))
    https.send(sample("create"), step(old=True), settings_for(server))
    told = [(call.json()["data"]["is_test"], call.json()["data"]["is_old"]) for call in server.calls]
    assert told == [(True, False), (False, True)]


def test_an_alert_is_an_event_of_its_own_type(server: Server) -> None:
    settings = settings_for(server)
    https.alert(ALERT, Deadline.after(20), settings)
    (call,) = server.calls
    event = Webhook(SECRET).verify(call.body, dict(call.headers))
    ALERT_SCHEMA.validate(event)
    assert event["type"] == "alert.raised"
    assert event["data"]["cause"] == "The CRM is full."
    assert call.headers["webhook-id"].startswith("alert-")
    server.failures.append(Failure(Answer(503)))
    with pytest.raises(errors.Transient):
        https.alert(ALERT, Deadline.after(20), settings)


# --- the schema


@pytest.mark.parametrize("lead", [*SAMPLES.values(), *samples()], ids=lambda lead: lead.id or "fixture")
def test_every_lead_is_as_the_schema_says(lead: Lead) -> None:
    LEAD_SCHEMA.validate(https._lead_event(lead, step()))


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_are_as_the_schema_says(value: str) -> None:
    LEAD_SCHEMA.validate(json.loads(https._body(https._lead_event(hostile_lead(value), step()))))


@given(st.text())
def test_any_text_is_unicode_and_stays_what_it_is(text: str) -> None:
    body = https._body({"data": text})
    body.encode()
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert json.loads(body)["data"] == text


def test_the_schema_names_every_field_and_asks_for_each() -> None:
    data = https._lead_event(sample("contact_me"), step())["data"]
    told = LEAD_SCHEMA.schema["properties"]["data"]
    assert set(told["properties"]) == set(told["required"]) == set(data)
    assert set(told["properties"]["contact"]["required"]) == set(data["contact"])


# --- settings


def test_the_proxy_of_the_machine_is_no_setting_of_ours() -> None:
    assert "HTTPS_PROXY" not in {setting.name for setting in https.SETTINGS}
    found = enabled.read(
        "https",
        {"HTTPS_URL": "https://example.com", "HTTPS_SECRET": SECRET, "HTTPS_PROXY": "http://proxy.example:3128"},
    )
    assert (found.problems, found.warnings) == ((), ())


def test_the_url_is_used_as_it_came_and_never_printed() -> None:
    settings, problems = read(HTTPS_URL=f"https://example.com/x/?token={TOKEN}/")
    assert problems == []
    assert settings.url.endswith(f"{TOKEN}/")
    assert TOKEN not in repr(settings)
    assert "MfKQ9r8" not in repr(settings)


@pytest.mark.parametrize("value", ["", "http://example.com", "example.com", f"http://example.com/?token={TOKEN}"])
def test_a_url_that_is_none_is_told(value: str) -> None:
    assert read(HTTPS_URL=value)[1] == ["HTTPS_URL"]


@pytest.mark.parametrize(
    "value",
    [
        "",
        ",",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_" + "A" * 100,
        f"{SECRET[:-2]} {SECRET[-2:]}",
        f"{SECRET[:-1]}\u044f",
        f"{SECRET},MfKQ9r8",
        SECRET.replace("whsec_", "whsk_"),
    ],
)
def test_a_secret_that_is_none_is_told(value: str) -> None:
    assert read(HTTPS_SECRET=value)[1] == ["HTTPS_SECRET"]


@given(st.binary(min_size=24, max_size=64), st.booleans())
def test_every_secret_that_the_specification_allows_is_taken(key: bytes, padded: bool) -> None:
    coded = b64encode(key).decode()
    assert read(HTTPS_SECRET=f"whsec_{coded if padded else coded.rstrip('=')}")[1] == []


# --- refusals


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, None),
        (202, None),
        (301, errors.Misconfigured),
        (308, errors.Misconfigured),
        (400, errors.Misconfigured),
        (401, errors.Misconfigured),
        (403, errors.Misconfigured),
        (404, errors.Misconfigured),
        (408, errors.Transient),
        (410, errors.Misconfigured),
        (413, errors.Rejected),
        (422, errors.Rejected),
        (429, errors.Throttled),
        (502, errors.Transient),
        (504, errors.Transient),
    ],
)
def test_only_2xx_is_success(server: Server, status: int, expected: type[errors.Failure] | None) -> None:
    headers = {"Location": "https://localhost/elsewhere", "Retry-After": "17"}
    server.failures.append(Failure(Answer(status, {"detail": "SECRET ada.rossi@example.com"}, headers)))
    if expected is None:
        https.send(sample("create"), step(), settings_for(server))
        return
    with pytest.raises(expected) as caught:
        https.send(sample("create"), step(), settings_for(server))
    told = f"{caught.value.cause} {caught.value.remedy}"
    assert str(status) in told
    assert not any(word in told for word in (TOKEN, "SECRET ada", "ada.rossi", "/elsewhere"))
    assert len(server.calls) == 1, "no redirect is followed"
    if status in (429, 502, 504):
        assert caught.value.retry_after == 17


def test_a_receiver_with_another_secret_says_so(server: Server) -> None:
    with pytest.raises(errors.Misconfigured, match=r"\(401\)") as caught:
        https.send(sample("create"), step(), settings_for(server, HTTPS_SECRET=OTHER))
    assert "HTTPS_SECRET" in caught.value.remedy


def test_check_asks_without_delivering(server: Server) -> None:
    settings = settings_for(server)
    (finding,) = https.check(settings, Deadline.after(9))
    assert finding.ok
    assert [call.method for call in server.calls] == ["OPTIONS"]
    server.close()
    (finding,) = https.check(settings, Deadline.after(9))
    assert not finding.ok
    assert TOKEN not in f"{finding.cause} {finding.remedy}"


# --- the receivers that docs/examples/ has


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("example", ["receive.py", "receive.cjs"])
def test_the_example_takes_what_is_signed_and_nothing_else(
    example: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = ROOT / "docs/examples" / example
    assert len(source.read_text().splitlines()) <= 23, "twenty lines, and one that says how"
    program = sys.executable if example.endswith(".py") else shutil.which("node")
    if program is None or not (DEV / "node_modules/standardwebhooks").exists():
        pytest.skip("Node.js or its packages are not installed")
    port = free_port()
    # Plain HTTP: what stands before a receiver ends TLS.
    post, here = transport.request, f"http://127.0.0.1:{port}"
    monkeypatch.setattr(transport, "request", lambda method, _, **more: post(method, here, **more))
    environ = os.environ | {"PORT": str(port), "WEBHOOK_SECRET": SECRET, "NODE_PATH": str(DEV / "node_modules")}
    output = (tmp_path / "out").open("w+")
    with subprocess.Popen([program, str(source)], env=environ, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            for _ in range(200):
                try:
                    requests.get(here, timeout=9)
                    break
                except requests.ConnectionError:
                    time.sleep(0.05)
            lead = hostile_lead("田中さん 😀 \u2028 </script>")
            https.send(lead, step(), read()[0])
            https.send(lead, step(), read(HTTPS_SECRET=f"{OTHER},{SECRET}")[0])
            https.alert(ALERT, Deadline.after(20), read()[0])
            with pytest.raises(errors.Misconfigured, match=r"\(401\)"):
                https.send(lead, step(), read(HTTPS_SECRET=OTHER)[0])
            with pytest.raises(errors.Misconfigured, match=r"\(401\)"):
                https.send(lead, step(now=datetime.now(UTC) - timedelta(minutes=6)), read()[0])
            tampered: Response = post(
                "POST",
                here,
                deadline=Deadline.after(9),
                headers={"webhook-id": "x", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"},
                data=b"{}",
            )
            assert tampered.status == 401
        finally:
            process.terminate()
    output.seek(0)
    told = output.read()
    output.close()
    assert told.count(f"{lead.id} lead.created") == 2
    assert told.count(" alert.raised") == 1
    assert "田中さん" in told
