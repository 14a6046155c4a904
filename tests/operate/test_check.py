"""The checks: each failure has its cause and its remedy."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ServiceRequestError

from leads import entra_errors, settings, transport
from leads.app import App
from leads.contract import Finding
from leads.destinations.dynamics import errors
from leads.errors import Failure, Misconfigured, Transient
from leads.intake import accept
from leads.operate import check, forget, operations
from leads.operate.check import Result
from leads.reader import Reader
from leads.transport import Response
from tests.world import NOON, FakeDestination, post, row, world

ROOT = Path(__file__).parent.parent.parent


def look(app: App, part: str) -> list[Result]:
    return list(check.look(app, part, NOON))


def everything(app: App) -> list[Result]:
    return [result for part in check.parts(app) for result in look(app, part)]


def failed(results: list[Result]) -> list[Result]:
    return [result for result in results if not result.ok]


class Asking(FakeDestination):
    """A destination with a check of its own."""

    findings: tuple[Finding, ...] = ()
    error: Exception | None = None

    def check(self, _: Any, deadline: transport.Deadline) -> Iterator[Finding]:
        assert deadline.remaining() < 20
        yield from self.findings
        if self.error:
            raise self.error


def test_all_is_well_in_a_running_app() -> None:
    with world() as w:
        w.live(minutes=6)
        results = everything(w.app)
    assert failed(results) == []
    assert {result.part for result in results} == {"settings", "storage", "inbox", "runs", "function key", "crm"}
    assert all(result.seconds >= 0 for result in results)


def test_looking_changes_nothing_of_the_app() -> None:
    with world() as w:
        accept.receive(w.app, post(), w.now)
        w.live(minutes=6)
        blobs = {name: set(held) for name, held in w.store.containers.items()}
        before = {name: dict(rows) for name, rows in w.store.tables.items()}
        everything(w.app)
        w.drain()
        assert {name: dict(rows) for name, rows in w.store.tables.items()} == before
        assert {name: set(held) for name, held in w.store.containers.items() if held} == blobs
        assert len(w.places["crm"].got) == 1


def test_all_wrong_settings_are_alerted_at_once() -> None:
    environ = {
        "LEADS_DESTINATIONS": "dynamics,teams,carrier_pigeon",
        "LEADS_RETENTION_DAYS": "x",
        "TEAMS_WEBHOOK_URL": "@Microsoft.KeyVault(SecretUri=https://vault/secrets/teams)",
    }
    app = App(settings.read(environ), environ)
    results = failed(look(app, "settings"))
    names = {result.name for result in results}
    assert {"AzureWebJobsStorage", "LEADS_RETENTION_DAYS", "LEADS_DESTINATIONS", "DYNAMICS_URL"} <= names
    assert {"TEAMS_WEBHOOK_URL"} <= names
    assert all(result.cause and result.remedy for result in results)


def test_a_harmless_default_is_a_remark_and_no_failure() -> None:
    class Mild(FakeDestination):
        @property
        def Settings(self) -> Any:
            def read(reader: Reader) -> None:
                with reader.mildly():
                    reader.problem("LEADS_MOOD", "It is no mood.", "Smile.")

            return type("Settings", (), {"read": staticmethod(read)})

    with world(crm=Mild()) as w:
        results = look(w.app, "settings")
    assert [(result.name, result.ok) for result in results] == [
        ("LEADS_MOOD", True),
        ("LEADS_ALERTS", True),
        ("all settings", True),
    ]


def test_without_storage_every_part_says_so() -> None:
    app = App(settings.read({}), {})
    for part in ("storage", "inbox", "runs"):
        results = failed(look(app, part))
        assert results, part
        assert all("AzureWebJobsStorage" in f"{result.cause} {result.remedy}" for result in results)


def http_error(code: str) -> HttpResponseError:
    error = HttpResponseError("AccountName=secret; https://secret.example/?sig=secret")
    error.error_code = code  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (http_error("AuthenticationFailed"), "refuses the key"),
        (http_error("AuthorizationFailure"), "StorageException"),
        (http_error("AuthorizationPermissionMismatch"), "lacks a role"),
        (http_error("KeyBasedAuthenticationNotPermitted"), "access by key"),
        (http_error("AccountIsDisabled"), "disabled"),
        (http_error("InvalidHeaderValue"), "older"),
        (http_error("SomethingElse"), "HttpResponseError"),
        (ServiceRequestError("secret"), "does not answer"),
        (ClientAuthenticationError("secret"), "refuses"),
        (Transient("A cause.", "A remedy."), "A cause."),
        (ValueError("secret"), "ValueError"),
    ],
)
def test_a_failure_of_storage_has_cause_and_remedy_and_quotes_nothing(error: Exception, cause: str) -> None:
    told = check.explained(error)
    assert cause in told[0]
    assert told[1]
    assert "secret" not in " ".join(told)


@pytest.mark.parametrize(
    "code",
    [
        "AuthenticationFailed",
        "AuthorizationFailure",
        "AuthorizationPermissionMismatch",
        "KeyBasedAuthenticationNotPermitted",
        "AccountIsDisabled",
    ],
)
def test_a_failure_of_storage_names_the_setting_and_no_more_rights_than_are_needed(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the inbox the app needs nothing but to read: its identity must not be made an owner there."""

    def broken(*_: Any) -> None:
        raise http_error(code)

    connection = (
        f"DefaultEndpointsProtocol=https;AccountName=inbox;AccountKey={'A' * 86}==;EndpointSuffix=core.windows.net"
    )
    with world(environ={"LEADS_INBOX": connection}) as w:
        monkeypatch.setattr(w.inbox, "pages", broken)
        monkeypatch.setattr(w.store, "put_blob", broken)
        (inbox,) = failed(look(w.app, "inbox"))
        (own,) = failed(look(w.app, "storage"))
        unsearched = forget.belongings(w.app, "ada@example.com", NOON)["unsearched"]
        with pytest.raises(HttpResponseError) as told:
            operations.perform(w.app, "import-table", {"table": "MarketplaceLeads"}, NOON)
    assert "LEADS_INBOX" in inbox.remedy
    assert not {"Owner", "Contributor"} & set(inbox.remedy.split())
    assert "AzureWebJobsStorage" in own.remedy
    assert inbox.remedy in unsearched[0]["why"]
    assert inbox.remedy == check.explained(told.value)[1], "which is what the page and the command say"


def test_each_part_of_storage_is_asked_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> bool:
        raise http_error("AuthorizationPermissionMismatch")

    with world() as w:
        monkeypatch.setattr(w.store, "put_blob", broken)
        results = look(w.app, "storage")
    assert [(result.name, result.ok) for result in results] == [
        ("tables", True),
        ("blobs", False),
        ("queue", True),
        ("id key", True),
    ]


def test_the_inbox_says_when_its_last_row_came() -> None:
    with world(environ={"LEADS_INBOX_TABLES": "MarketplaceLeads,Other"}) as w:
        w.inbox.tables["MarketplaceLeads"] = [row("a", w.now - timedelta(hours=1))]
        w.live(minutes=1)
        there, missing = look(w.app, "inbox")
    assert there.ok
    assert "2026-11-21 11:00" in there.cause
    assert missing.ok
    assert "not there yet" in missing.cause


def test_watch_and_sweep_that_do_not_run_are_found() -> None:
    with world() as w:
        results = look(w.app, "runs")
    assert [result.ok for result in results] == [False, False]
    assert "sweep" in results[0].cause
    assert all(result.remedy for result in results)


def test_a_wrong_setting_is_told_once_only() -> None:
    with world(environ={"LEADS_RETENTION_DAYS": "x"}) as w:
        w.live(minutes=6)
        assert failed(look(w.app, "runs")) == []


@pytest.mark.parametrize(("status", "ok"), [(401, True), (200, False), (403, False), (404, False), (503, False)])
def test_a_deployed_app_has_to_ask_for_a_key(status: int, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def request(method: str, url: str, **_: Any) -> Response:
        asked.append(f"{method} {url}")
        return Response(status, {}, b"")

    monkeypatch.setattr(transport, "request", request)
    with world(environ={"WEBSITE_HOSTNAME": "contoso.azurewebsites.net"}) as w:
        (result,) = look(w.app, "function key")
    assert asked == ["GET https://contoso.azurewebsites.net/api/leads"]
    assert result.ok is ok
    assert ok or result.remedy


def test_a_local_app_is_not_asked_for_a_key() -> None:
    with world(environ={"WEBSITE_HOSTNAME": "localhost:7071"}) as w:
        (result,) = look(w.app, "function key")
    assert result.ok


def test_a_destination_tells_what_it_finds() -> None:
    place = Asking()
    place.findings = (Finding("sign-in", ok=True), Finding("table", ok=False, cause="It is gone.", remedy="Make it."))
    place.error = RuntimeError("secret")
    with world(crm=place) as w:
        results = look(w.app, "crm")
    assert [(result.name, result.ok) for result in results] == [("sign-in", True), ("table", False), ("crm", False)]
    assert "secret" not in results[2].cause


def test_a_destination_with_wrong_settings_is_not_asked() -> None:
    place = Asking(problems=(("CRM_URL", "It is not set.", "Set it."), ("CRM_URL", "Again.", "Set it.")))
    place.error = AssertionError("asked")
    with world(crm=place) as w:
        (result,) = look(w.app, "crm")
    assert not result.ok
    assert result.cause.count("CRM_URL") == 1
    assert result.waits_for == ("CRM_URL",)
    assert not result.failed


def test_a_fault_is_said_once_and_the_one_that_holds_up_most_comes_first() -> None:
    refused: Any = {"cause": "The storage account does not answer.", "remedy": "Check its name."}
    found = [
        Result("settings", "A_TO", ok=False, cause="It is not set.", remedy="Set it."),
        Result("settings", "A_FROM", ok=False, cause="It is not set.", remedy="Set it."),
        Result("storage", "tables", ok=False, **refused),
        Result("storage", "blobs", ok=False, **refused),
        Result("storage", "queue", ok=False, cause="Its role is missing.", remedy="Give it."),
        Result("inbox", "table", ok=False, **refused),
        Result("crm", "sign-in", ok=True),
    ]
    told = list(check.once(found))
    assert [result.name for result in told if result.failed] == ["A_TO", "A_FROM", "tables", "queue"]
    assert {result.name: result.waits_for for result in told if result.waits_for} == {
        "blobs": ("storage, tables",),
        "table": ("storage, tables",),
    }
    first = check.first(told)
    assert first is not None
    assert first.name == "tables"
    assert check.first(told[-1:]) is None


def test_the_settings_of_the_sign_in_are_looked_at_too() -> None:
    environ = {"OPERATORS_TENANT_ID": "contoso", "OPERATORS_ALOW": "ada@contoso.com"}
    with world(environ=environ) as w:
        found = {result.name: result for result in failed(look(w.app, "settings"))}
    assert "GUID" in found["OPERATORS_TENANT_ID"].cause
    assert found["OPERATORS_ALOW"].remedy == "Did you mean `OPERATORS_ALLOW`?"


def test_a_destination_that_breaks_while_it_reads_hides_nothing_of_the_others() -> None:
    class Broken(FakeDestination):
        @property
        def Settings(self) -> Any:
            raise ValueError("secret=abc")

    with world(crm=Broken(), mail=FakeDestination(problems=(("MAIL_TO", "It is not set.", "Set it."),))) as w:
        found = failed(look(w.app, "settings"))
        assert {"MAIL_TO", "LEADS_DESTINATIONS"} <= {result.name for result in found}
        assert any("crm could not be read (ValueError)" in result.cause for result in found)
        assert not any("secret" in f"{result.cause}{result.remedy}" for result in found)


def test_an_unknown_destination_is_no_crash() -> None:
    with world(environ={"LEADS_DESTINATIONS": "crm,nowhere"}) as w:
        assert "nowhere" in check.parts(w.app)
        (result,) = look(w.app, "nowhere")
        assert not result.ok
        assert any("nowhere" in found.cause for found in failed(look(w.app, "settings")))


def test_real_storage_is_tried_and_left_clean(azurite: str) -> None:
    environ = {"AzureWebJobsStorage": azurite, "LEADS_DESTINATIONS": "console"}
    app = App(settings.read(environ), environ)
    results = look(app, "storage") + look(app, "inbox")
    assert failed(results) == []
    assert list(app.store.rows("state", "check")) == []
    assert list(app.store.blobs("quarantine", "check/")) == []


def test_storage_that_does_not_answer_is_told_as_that() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    connection = (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=Zm9v;"
        f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;QueueEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
        f"TableEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
    )
    environ = {"AzureWebJobsStorage": connection}
    app = App(settings.read(environ), environ)
    (result, *_) = check.look(app, "inbox", NOON)
    assert not result.ok
    assert "does not answer" in result.cause


def entra(number: int, status: int = 400, error: str = "invalid_request") -> Failure:
    body = json.dumps({"error": error, "error_description": f"AADSTS{number}: words of Microsoft."})
    return entra_errors.of_entra(Response(status, {}, body.encode()), "DYNAMICS")


def dataverse(code: str, message: str, status: int = 403) -> Failure:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    return errors.failure(Response(status, {}, body), "make the record", "contoso", NOON, ())


LEAD_WRITER = "Principal user (Id=1) is missing prvCreateLead privilege"


@pytest.mark.parametrize(
    ("microsofts", "failure", "cause", "remedy"),
    [
        ("Unable to sign in to Dynamics CRM", dataverse("", "", 401), "not an enabled user", "Application users"),
        (
            "create permissions for the leadsourcecode attribute",
            dataverse("0x80040220", LEAD_WRITER),
            "lacks the privilege prvCreateLead",
            "security role",
        ),
        ("no active subscriptions for the tenant", entra(90002), "tenant was not found", "DYNAMICS_TENANT_ID"),
        ("no roles are assigned to user", dataverse("0x80042f09", "no roles"), "no security role", "security role"),
        (
            "was not found in the directory",
            entra(700016, error="unauthorized_client"),
            "not found",
            "DYNAMICS_CLIENT_ID",
        ),
        ("not valid external domain format", entra(900023), "malformed", "DYNAMICS_TENANT_ID"),
        ("Invalid client secret is provided", entra(7000215, 401, "invalid_client"), "secret is wrong", "Value"),
        (
            "timed out while waiting for a reply after 00:02:00",
            errors.failure(Response(200, {}, b"<html>"), "x", "contoso", NOON, ()),
            "does not answer like a Dynamics environment",
            "DYNAMICS_URL",
        ),
    ],
)
def test_the_eight_errors_of_microsofts_own_connector_have_cause_and_remedy_here(
    microsofts: str, failure: Failure, cause: str, remedy: str
) -> None:
    """The messages are those of the FAQ on lead management (12/03/2021)."""
    assert isinstance(failure, Misconfigured)
    assert cause in failure.cause
    assert remedy in failure.remedy
    assert microsofts in (ROOT / "docs/operations.md").read_text("utf-8")
