"""Settings: every problem is listed with its remedy, and none is raised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads import enabled, settings
from leads.intake import accept
from leads.lead import Stage
from leads.reader import Reader, Setting
from leads.settings import Account, account, account_settings, read
from tests.world import post, world

STORAGE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
NAMES = (
    "AzureWebJobsStorage",
    "LEADS_INBOX",
    "LEADS_INBOX_TABLES",
    "LEADS_DESTINATIONS",
    "LEADS_TEST_LEADS",
    "LEADS_STAGES",
    "LEADS_WATCH_SCHEDULE",
    "LEADS_SWEEP_SCHEDULE",
    "LEADS_RETRY_SCHEDULE",
    "LEADS_BACKFILL_DAYS",
    "LEADS_RETENTION_DAYS",
)


def problems(**environ: str) -> list[str]:
    return [problem.setting for problem in read(STORAGE | environ).problems]


def test_the_defaults_are_those_of_the_documentation() -> None:
    made = read(STORAGE)
    assert made == settings.Settings(
        storage=Account("devstoreaccount1", "UseDevelopmentStorage=true"),
        inbox=Account("devstoreaccount1", "UseDevelopmentStorage=true"),
    )
    assert made.problems == ()


def test_without_storage_there_is_a_problem_and_no_exception() -> None:
    assert [problem.setting for problem in read({}).problems] == ["AzureWebJobsStorage"]


def test_all_problems_are_listed_at_once() -> None:
    wrong = dict.fromkeys(NAMES[1:], "///")
    found = problems(**wrong)
    assert set(found) == set(NAMES[1:])
    for problem in read(STORAGE | wrong).problems:
        assert problem.cause.endswith(".")
        assert problem.remedy.endswith(".")


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=60)))
def test_no_setting_raises(environ: dict[str, str]) -> None:
    made = read(environ)
    assert made.destinations
    assert all(settings.DESTINATION.fullmatch(name) for name in made.destinations)
    assert made.retry_schedule
    assert len(made.watch_schedule.split()) == 6


def test_a_connection_string_is_read() -> None:
    text = "DefaultEndpointsProtocol=https;AccountName=Contoso;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net"
    made = read({"AzureWebJobsStorage": text, "LEADS_INBOX": text.replace("Contoso", "inbox")})
    assert made.storage
    assert made.inbox
    assert (made.storage.name, made.inbox.name) == ("contoso", "inbox")
    assert "c2VjcmV0" not in repr(made)


def test_an_account_reached_by_managed_identity_is_read() -> None:
    made = account(Reader({"A__accountName": "contoso", "A__clientId": "id"}, account_settings("A", "")), "A")
    assert made
    assert made.endpoints == {
        service: f"https://contoso.{service}.core.windows.net" for service in ("blob", "queue", "table")
    }
    assert made.client_id == "id"
    only_tables = account(
        Reader({"A__tableServiceUri": "https://inbox.table.core.windows.net"}, account_settings("A", "")), "A"
    )
    assert only_tables
    assert (only_tables.name, only_tables.endpoints["table"]) == ("inbox", "https://inbox.table.core.windows.net")


def test_an_unresolved_key_vault_reference_says_so_without_its_address() -> None:
    reader = Reader({"X": "@Microsoft.KeyVault(SecretUri=https://vault/secrets/x)"}, (Setting("X", ""),))
    assert reader.text("X", required=True) == ""
    (problem, *_) = reader.problems
    assert "Key Vault" in problem.cause
    assert "vault/" not in str(problem)


def test_stages_are_changed_by_code_whatever_its_case() -> None:
    made = read(STORAGE | {"LEADS_STAGES": "plt:initial_interest, INS:active,NEW:trial"})
    assert (made.stages["PLT"], made.stages["INS"], made.stages["NEW"]) == (
        Stage.INITIAL_INTEREST,
        Stage.ACTIVE,
        Stage.TRIAL,
    )
    assert made.stages["DNC"] == Stage.DO_NOT_CONTACT
    assert problems(LEADS_STAGES="PLT:hot") == ["LEADS_STAGES"]


def test_destinations_are_named_in_any_case_and_once() -> None:
    assert read(STORAGE | {"LEADS_DESTINATIONS": "Console, dynamics,console"}).destinations == ("console", "dynamics")


def test_a_name_that_cannot_be_right_keeps_its_leads() -> None:
    made = read(STORAGE | {"LEADS_DESTINATIONS": "dynamics;e-mail"})
    assert made.destinations == ("dynamics_e_mail",)
    assert [problem.setting for problem in made.problems] == ["LEADS_DESTINATIONS"]


def test_more_destinations_than_a_transaction_can_hold_turn_no_lead_away() -> None:
    names = ",".join(f"console:i{number}" for number in range(120))
    with world(environ={"LEADS_DESTINATIONS": names}) as w:
        accept.receive(w.app, post(), w.now)
        assert len(w.states()) == 90
        assert "more than 90" in str(w.app.settings.problems)


def test_a_retry_schedule_of_ones_own() -> None:
    assert read(STORAGE | {"LEADS_RETRY_SCHEDULE": "0, 1,2"}).retry_schedule == (0, 1, 2)
    for wrong in ("0,x", "-1", "0,,1", "86401", ",".join("1" * 31)):
        assert problems(LEADS_RETRY_SCHEDULE=wrong) == ["LEADS_RETRY_SCHEDULE"], wrong


def test_destinations_are_found_by_their_file_names_without_being_imported() -> None:
    assert {"console", "dynamics", "email", "teams"} <= set(enabled.names())
    assert not any(name.startswith("_") for name in enabled.names())


def test_the_services_that_the_host_does_not_ask_for_are_told_from_those_that_it_does() -> None:
    made = read(
        {
            "AzureWebJobsStorage__blobServiceUri": "https://contoso.blob.core.usgovcloudapi.net",
            "AzureWebJobsStorage__queueServiceUri": "https://contoso.queue.core.usgovcloudapi.net",
        }
    )
    assert made.storage
    assert made.storage.endpoints["table"] == "https://contoso.table.core.usgovcloudapi.net"


@pytest.mark.parametrize(
    ("schedule", "good"),
    [
        ("*/5 * * * * *", True),
        ("0 0,30 9-17 * * MON-FRI", True),
        ("0 0 0 1 Jan 0", True),
        ("a b c d e f", False),
        ("61 * * * * *", False),
        ("0 * * * * 7", False),
        ("0 */0 * * * *", False),
        ("* * * * *", False),
    ],
)
def test_a_schedule_that_the_host_would_refuse_is_told(schedule: str, good: bool) -> None:
    assert problems(LEADS_WATCH_SCHEDULE=schedule) == ([] if good else ["LEADS_WATCH_SCHEDULE"])


def test_silence_is_off_or_a_number_of_days() -> None:
    assert [settings.read({"LEADS_SILENCE": said}).silence_days for said in ("", "off", "OFF", "3")] == [None, 0, 0, 3]
    for wrong in ("0", "never", "1000", "-1"):
        made = settings.read({"LEADS_SILENCE": wrong})
        assert made.silence_days is None
        assert "LEADS_SILENCE" in {problem.setting for problem in made.problems}
