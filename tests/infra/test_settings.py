"""The settings that the files of infra name are those that the app declares, and its secrets are kept apart."""

from __future__ import annotations

import re

from dev import settings as lists
from leads import enabled, settings
from tests.infra import deployment
from tests.infra.deployment import MAIN, needs_compiler
from tests.infra.standin import assigned

HOST_SETTINGS = {
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
    "PYTHON_THREADPOOL_THREAD_COUNT",
}
"""What the Functions host reads, and the app only in part."""

PARAMETERS = MAIN.read_text(encoding="utf-8")


def plain() -> dict[str, str]:
    """The settings that main.bicepparam names for people to fill in, with what stands there."""
    return assigned(str(MAIN))[0]


def secret() -> list[str]:
    """The secrets that main.bicepparam names, in their order."""
    return re.findall(r"^  (\w+): readEnvironmentVariable\('\w+', ''\)$", PARAMETERS, re.MULTILINE)


def declared() -> dict[str, bool]:
    """Every setting that the app declares, and whether it is a secret."""
    return {each.name: each.secret for group in lists.groups().values() for each in group}


def test_the_lists_are_made_from_what_the_code_declares() -> None:
    assert lists.parameters(PARAMETERS) == PARAMETERS, "run: python -m dev.settings"
    assert lists.known() == lists.KNOWN.read_text(encoding="utf-8"), "run: python -m dev.settings"


def test_each_that_the_app_declares_is_set_or_offered() -> None:
    named = lists.set_by_template() | set(plain()) | set(secret())
    by_identity = {name.partition("__")[0] for name in named if "__" in name}
    missing = {name for name in declared() if name.partition("__")[0] not in named | by_identity}
    assert missing == set(lists.OF_THE_COMMAND)


def test_none_is_set_that_the_app_does_not_declare() -> None:
    named = lists.set_by_template() | set(plain()) | set(secret())
    assert named - declared().keys() - HOST_SETTINGS == set()


def test_each_destination_can_sign_in_as_the_apps_identity() -> None:
    """Without its client id a user-assigned identity is not found."""
    names = {each.name for kind in enabled.names() for each in enabled.load(kind).SETTINGS}
    signing_in = {name for name in names if name.endswith("MANAGED_IDENTITY_CLIENT_ID")}
    assert signing_in
    assert signing_in <= lists.set_by_template()


def test_the_app_understands_what_the_template_sets() -> None:
    environ = dict.fromkeys(lists.set_by_template(), "x") | {
        "AzureWebJobsStorage__accountName": "leadsstate",
        "AzureWebJobsStorage__clientId": "11111111-2222-3333-4444-555555555555",
        "LEADS_INBOX__accountName": "leadsinbox",
        "LEADS_INBOX__clientId": "11111111-2222-3333-4444-555555555555",
        "LEADS_INBOX_TABLES": "MarketplaceLeads",
        "LEADS_RETENTION_DAYS": "365",
    }
    found = settings.read(environ)
    assert found.problems == ()
    assert found.storage is not None
    assert found.inbox is not None
    assert (found.storage.name, found.inbox.name) == ("leadsstate", "leadsinbox")
    assert found.storage.client_id == found.inbox.client_id != ""


def test_secrets_and_settings_are_kept_apart() -> None:
    assert not set(plain()) & set(secret())
    assert not any(declared()[name] for name in plain())
    assert all(declared()[name] for name in secret())


def test_each_secret_comes_from_the_variable_of_its_name() -> None:
    assert re.findall(r"^  (\w+): readEnvironmentVariable\('(\w+)', ''\)$", PARAMETERS, re.MULTILINE) == [
        (name, name) for name in secret()
    ]
    assert re.findall(r"^  // '(\w+)'$", PARAMETERS, re.MULTILINE) == secret(), "the list to choose from"
    assert assigned(str(MAIN))[1] == []


def test_no_setting_has_a_value_yet() -> None:
    assert {name: value for name, value in plain().items() if value} == {"LEADS_DESTINATIONS": "console"}


@needs_compiler
def test_the_compiler_reads_the_file_as_these_tests_do() -> None:
    set_by_file = deployment.app_settings(MAIN).keys() - lists.set_by_template()
    assert set_by_file == {name for name, value in plain().items() if value}
