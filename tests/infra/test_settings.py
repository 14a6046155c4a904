"""The settings that the files of infra name are those that the app reads, and its secrets are kept apart."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from leads import enabled, settings
from tests.infra import deployment
from tests.infra.deployment import INFRA, MAIN, ROOT, needs_compiler
from tests.infra.standin import assigned

HOST_SETTINGS = {
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
    "FUNCTIONS_WORKER_RUNTIME",  # Flex Consumption has it in functionAppConfig.runtime
}
"""What the Functions host reads, and the app only in part."""

REFUSED = {"DYNAMICS_USERNAME", "DYNAMICS_PASSWORD"}
"""What the app reads in order to refuse it."""

OF_THE_COMMAND_LINE = {"LEADS_OPERATOR", "LEADS_OPS_KEY"}
"""What a person sets beside the command line, and no app."""

OF_OTHERS = {"HUBSPOT_DEFINED"}
"""Words of a vendor's that look like a setting."""

PARAMETERS = MAIN.read_text(encoding="utf-8")


def read_by_code() -> set[str]:
    """The settings that the code names, of the app itself and of its destinations."""
    prefixes = ("LEADS_", "PARTNER_CENTER_", *(f"{name.upper()}_" for name in enabled.names()))
    found = set()
    for file in (ROOT / "leads").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(prefixes):
                found |= {node.value} if re.fullmatch(r"[A-Z0-9_]+", node.value) else set()
    return found - REFUSED - OF_THE_COMMAND_LINE - OF_OTHERS


def plain() -> dict[str, str]:
    """The settings that main.bicepparam names for people to fill in, with what stands there."""
    return assigned(str(MAIN))[0]


def secret() -> list[str]:
    """The secrets that main.bicepparam names, in their order."""
    return re.findall(r"^  (\w+): readEnvironmentVariable\('\w+', ''\)$", PARAMETERS, re.MULTILINE)


def set_by_template() -> set[str]:
    """The settings that the template gives the app by itself."""
    variables: dict[str, dict[str, Any]] = deployment.module("app")["variables"]
    return {*variables["platformSettings"], *variables["identitySettings"]}


def named() -> set[str]:
    """Every setting that is set or offered."""
    return set_by_template() | set(plain()) | set(secret())


def of_connections() -> set[str]:
    """The settings that are set in the host's form for an identity: `NAME__accountName` stands for `NAME`."""
    return {name.partition("__")[0] for name in named() if "__" in name}


def test_each_that_the_code_reads_is_set_or_offered() -> None:
    assert read_by_code() - named() - of_connections() == set()


def test_each_of_the_sample_is_set_or_offered() -> None:
    sample = json.loads((ROOT / "local.settings.sample.json").read_text(encoding="utf-8"))["Values"]
    assert set(sample) - named() - HOST_SETTINGS - OF_THE_COMMAND_LINE - of_connections() == set()


def test_none_is_set_that_the_code_does_not_know() -> None:
    known = read_by_code() | HOST_SETTINGS | {"LEADS_INBOX__accountName", "LEADS_INBOX__clientId"}
    assert named() - known == set()


def test_the_app_understands_what_the_template_sets() -> None:
    environ = dict.fromkeys(set_by_template(), "x") | {
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
    telling = re.compile("SECRET|CERTIFICATE|TOKEN|WEBHOOK|SMTP_URL|PASSWORD|_KEY$")
    declared = {one.name: one.secret for kind in enabled.names() for one in enabled.load(kind).SETTINGS}
    assert [name for name in plain() if declared.get(name, telling.search(name))] == []


def test_each_secret_comes_from_the_variable_of_its_name() -> None:
    assert re.findall(r"^  (\w+): readEnvironmentVariable\('(\w+)', ''\)$", PARAMETERS, re.MULTILINE) == [
        (name, name) for name in secret()
    ]
    assert re.findall(r"^  // '(\w+)'$", PARAMETERS, re.MULTILINE) == secret(), "the list to choose from"
    assert assigned(str(MAIN))[1] == []


def test_the_template_knows_the_same_secrets() -> None:
    """It refuses others in secretSettings, and these in settings."""
    known = json.loads((INFRA / "secrets.json").read_text(encoding="utf-8"))
    assert [f"{place}_{field}" for place, fields in known.items() for field in fields] == secret()


def test_no_setting_has_a_value_yet() -> None:
    assert {name: value for name, value in plain().items() if value} == {"LEADS_DESTINATIONS": "console"}


@needs_compiler
def test_the_compiler_reads_the_file_as_these_tests_do() -> None:
    set_by_file = deployment.app_settings(MAIN).keys() - set_by_template()
    assert set_by_file == {name for name, value in plain().items() if value}
