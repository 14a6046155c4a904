"""The flat table: at the wire, on Azurite, and what Excel finds in it.

learn.microsoft.com: "Azure Table Storage" (Power Query), "Understanding the Table service data model", "Table service
error codes".
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import TableServiceClient

from dev.certificate import server_files
from dev.standins.server import Answer, Failure
from dev.standins.table import Tables, storage
from leads import enabled, errors
from leads.contract import Step
from leads.destinations import table
from leads.lead import Contact
from leads.reader import Reader
from leads.transport import Deadline
from tests.message_samples import HOSTILE, NOW, SAMPLES, hostile_lead, sample

LEAD = replace(sample("contact_me"), arrived_at=datetime(2026, 11, 3, 16, 5, 6, 123456, tzinfo=UTC))
KEYS = f"2026-11/20261103T160506Z-{LEAD.id}"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture
def tables(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tables]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server_files(directory)[0]))
    with storage(directory) as running:
        yield running


def settings_for(environ: dict[str, str]) -> table.Settings:
    settings, problems = read(**environ)
    assert problems == []
    return settings


def read(**values: str) -> tuple[table.Settings, list[str]]:
    reader = Reader(values, table.SETTINGS)
    settings = table.Settings.read(reader)
    return settings, [problem.setting for problem in reader.problems]


def step(**values: Any) -> Step:
    known: dict[str, Any] = {"now": NOW, "deadline": Deadline.after(20)}
    return Step(**known | values)


# --- the wire


def test_a_row_is_written_whole_and_typed(tables: Tables) -> None:
    assert table.send(LEAD, step(), settings_for(tables.environ())) == KEYS
    call = tables.server.calls[-1]
    assert (call.method, call.status) == ("PUT", 204), "insert or replace entity: no If-Match"
    assert "if-match" not in call.headers
    row = call.json()
    assert row["FirstName"] == "Ada"
    assert row["Email"] == "ada.rossi@example.com"
    assert row["OfferTitle"] == "Contoso Invoice Flow"
    assert row["Message"] == LEAD.message
    assert row["Campaign"] == "mktcmpid=spring-2026; utm_source=newsletter"
    assert row["Arrived@odata.type"] == row["Created@odata.type"] == "Edm.DateTime"
    assert row["IsTest"] is False


def test_test_leads_and_old_leads_are_marked(tables: Tables) -> None:
    settings = settings_for(tables.environ())
    table.send(sample("test"), step(), settings)
    table.send(LEAD, step(old=True), settings)
    marks = [(row["IsTest"], row["IsOld"]) for row in tables.rows["leadsflat"].values()]
    assert marks == [(True, False), (False, True)]


def test_keys_sort_by_arrival_and_a_repeated_lead_is_one_row(tables: Tables) -> None:
    settings = settings_for(tables.environ())
    leads = [
        replace(LEAD, id=f"{9 - n:016x}-{9 - n:016x}", arrived_at=LEAD.arrived_at + timedelta(days=9 * n))
        for n in range(5)
    ]
    for lead in [*reversed(leads), *leads]:
        table.send(lead, step(), settings)
    rows = tables.rows["leadsflat"]
    assert [rows[keys]["LeadId"] for keys in sorted(rows)] == [lead.id for lead in leads]


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_lead_has_the_same_columns(kind: str) -> None:
    assert table.columns(sample(kind), old=False).keys() == table.columns(LEAD, old=True).keys()


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_keep_within_the_limits_of_a_row(value: str) -> None:
    everywhere = replace(
        hostile_lead(value),
        contact=Contact(**{part.name: value for part in fields(Contact)}),
        extra={value: value},
        campaign={value: value},
    )
    row = table.columns(everywhere, old=False)
    texts = [text for text in row.values() if isinstance(text, str)]
    assert max(len(text.encode("utf-16-le")) for text in texts) <= 64 * 1024
    assert max(len(text.encode("utf-16-le")) // 2 for text in texts) <= 32_767, (
        "the characters that a cell of Excel has"
    )
    assert sum(len(text.encode("utf-16-le")) for text in texts) < 1024 * 1024 - 8192


@pytest.mark.parametrize(
    ("status", "code", "expected", "told"),
    [
        (400, "PropertyValueTooLarge", errors.Rejected, "PropertyValueTooLarge"),
        (403, "AuthenticationFailed", errors.Misconfigured, "TABLE_STORAGE"),
        (403, "AuthorizationFailure", errors.Misconfigured, "Networking"),
        (403, "AuthorizationPermissionMismatch", errors.Misconfigured, "Storage Table Data Contributor"),
        (403, "KeyBasedAuthenticationNotPermitted", errors.Misconfigured, "TABLE_STORAGE__accountName"),
        (403, "AccountIsDisabled", errors.Misconfigured, "subscription"),
        (403, "SomethingNew", errors.Misconfigured, "403 SomethingNew"),
        (404, "ResourceNotFound", errors.Misconfigured, "404"),
        (409, "TableBeingDeleted", errors.Transient, "being deleted"),
        (429, "TooManyRequests", errors.Throttled, "429"),
        (500, "OperationTimedOut", errors.Transient, "500"),
        (503, "ServerBusy", errors.Transient, "503"),
    ],
)
def test_refusals(tables: Tables, status: int, code: str, expected: type[errors.Failure], told: str) -> None:
    body = {"odata.error": {"code": code, "message": {"value": f"{LEAD.contact.email} secret"}}}
    tables.server.failures.append(Failure(Answer(status, body, {"Retry-After": "17"}), times=99))
    with pytest.raises(expected) as caught:
        table.send(LEAD, step(), settings_for(tables.environ()))
    words = f"{caught.value.cause} {caught.value.remedy}"
    assert told in words
    assert "secret" not in words
    assert LEAD.contact.email not in words
    if status in (429, 503):
        assert caught.value.retry_after == 17
        assert len(tables.server.calls) == 1, "waiting is what the schedule is for"


def test_an_account_that_does_not_answer_ends_with_the_deadline(tables: Tables) -> None:
    tables.server.failures.append(Failure(None, hang=True))
    with pytest.raises(errors.Transient) as caught:
        table.send(LEAD, step(deadline=Deadline.after(0.3)), settings_for(tables.environ()))
    assert caught.value.unanswered
    tables.server.release()


def test_no_connection_is_transient(tables: Tables) -> None:
    settings = settings_for(tables.environ())
    tables.server.close()
    with pytest.raises(errors.Transient) as caught:
        table.send(LEAD, step(), settings)
    assert "AccountKey" not in f"{caught.value.cause} {caught.value.remedy} {caught.value!r}"


def test_a_connection_string_that_the_library_cannot_read_is_misconfigured() -> None:
    settings = settings_for({"TABLE_STORAGE": "AccountName=leadsexcel"})
    with pytest.raises(errors.Misconfigured, match="cannot be read"):
        table.send(LEAD, step(), settings)


def test_check_reads_and_writes_nothing_that_stays(tables: Tables) -> None:
    settings = settings_for(tables.environ())
    assert [(finding.name, finding.ok) for finding in table.check(settings, Deadline.after(9))] == [
        ("read", True),
        ("write", True),
    ]
    assert tables.rows == {}
    body = {"odata.error": {"code": "AuthorizationPermissionMismatch", "message": {"value": "x"}}}
    tables.server.failures.append(Failure(Answer(403, body), method="DELETE"))
    table.send(LEAD, step(), settings)
    _, finding = table.check(settings, Deadline.after(9))
    assert not finding.ok
    assert "Storage Table Data Contributor" in finding.remedy


def test_the_preview_is_the_row(tables: Tables) -> None:
    told = table.preview(LEAD, step(), settings_for(tables.environ()))
    assert told.startswith("PartitionKey: 2026-11\nRowKey: 20261103T160506Z-")
    assert "Company: Fabrikam S.p.A." in told
    assert tables.server.calls == []


# --- settings


def test_both_forms_of_an_account() -> None:
    connection = settings_for({"TABLE_STORAGE": "AccountName=leadsexcel;AccountKey=c2VjcmV0"})
    assert connection.storage is not None
    assert connection.storage.name == "leadsexcel"
    assert "c2VjcmV0" not in repr(connection)
    identity = settings_for(
        {"TABLE_STORAGE__accountName": "leadsexcel", "TABLE_STORAGE__clientId": "11111111-2222-3333-4444-555555555555"}
    )
    assert identity.storage is not None
    assert identity.storage.endpoints["table"] == "https://leadsexcel.table.core.windows.net"
    assert identity.storage.client_id.startswith("1111")


@pytest.mark.parametrize(
    ("values", "setting"),
    [
        ({}, "TABLE_STORAGE"),
        ({"TABLE_STORAGE": "secret"}, "TABLE_STORAGE"),
        ({"TABLE_STORAGE": "AccountName=a", "TABLE_NAME": "LeadsFlat"}, "TABLE_NAME"),
        ({"TABLE_STORAGE": "AccountName=a", "TABLE_NAME": "leads"}, "TABLE_NAME"),
        ({"TABLE_STORAGE": "AccountName=a", "TABLE_NAME": "marketplaceleads"}, "TABLE_NAME"),
        ({"TABLE_STORAGE": "AccountName=a", "TABLE_NAME": "l1"}, "TABLE_NAME"),
        (
            {"TABLE_STORAGE": "AccountName=a", "TABLE_NAME": "ours", "LEADS_INBOX_TABLES": "MarketplaceLeads, Ours"},
            "TABLE_NAME",
        ),
    ],
)
def test_what_is_wrong_is_told_once(values: dict[str, str], setting: str) -> None:
    assert read(**values)[1] == [setting]


def test_an_instance_never_writes_to_the_account_of_another() -> None:
    found = enabled.read("table:bi", {"TABLE_STORAGE": "AccountName=a", "TABLE_NAME": "shared"})
    assert [problem.setting for problem in found.problems] == ["TABLE_BI_STORAGE"]
    found = enabled.read("table:bi", {"TABLE_BI_STORAGE__accountName": "b", "TABLE_NAME": "shared"})
    assert found.problems == ()
    assert (found.settings.storage.name, found.settings.name) == ("b", "shared")


# --- on Azurite, which checks signatures and types


@pytest.fixture
def real(azurite: str) -> tuple[table.Settings, Any]:
    name = f"t{uuid.uuid4().hex}"
    client = TableServiceClient.from_connection_string(azurite).get_table_client(name)
    return settings_for({"TABLE_STORAGE": azurite, "TABLE_NAME": name}), client


def test_the_table_comes_into_being_and_holds_types(real: tuple[table.Settings, Any]) -> None:
    settings, client = real
    lead = replace(LEAD, extra={"colour": "brass", "n": [1, None]})
    partition, _, key = table.send(lead, step(), settings).partition("/")
    row = client.get_entity(partition, key)
    assert isinstance(row["Arrived"], datetime)
    assert row["Arrived"] == lead.arrived_at
    assert row["DoNotContact"] is False
    assert row["Company"] == "Fabrikam S.p.A."
    assert row["Extra"] == '{"colour": "brass", "n": [1, null]}'
    assert set(table.columns(lead, old=False)) == set(row) - {"PartitionKey", "RowKey"}


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_are_kept(real: tuple[table.Settings, Any], value: str) -> None:
    settings, client = real
    table.send(hostile_lead(value), step(), settings)
    assert len(list(client.list_entities())) == 1


def test_a_lead_is_erased_by_its_keys_or_found_without_them(real: tuple[table.Settings, Any]) -> None:
    settings, client = real
    deadline = Deadline.after(20)
    table.erase(LEAD.id, "", deadline, settings)
    other = replace(LEAD, id="0123456789abcdef-0123456789abcdef")
    known = table.send(LEAD, step(), settings)
    table.send(other, step(), settings)
    table.erase(LEAD.id, known, deadline, settings)
    table.erase(LEAD.id, known, deadline, settings)
    assert [row["LeadId"] for row in client.list_entities()] == [other.id]
    table.erase(LEAD.id, "", deadline, settings)
    table.erase(other.id, "", deadline, settings)
    assert list(client.list_entities()) == []


def test_check_on_a_table_that_is_not_there_yet(real: tuple[table.Settings, Any]) -> None:
    settings, _ = real
    assert all(finding.ok for finding in table.check(settings, Deadline.after(20)))
