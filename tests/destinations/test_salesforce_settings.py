"""The settings of Salesforce: read, checked, and every problem told with its remedy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.destinations import salesforce
from leads.reader import Reader
from tests.destinations.salesforce_leads import problems

PEM = "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"
GOOD = {
    "SALESFORCE_URL": "https://contoso.my.salesforce.com",
    "SALESFORCE_CLIENT_ID": "3MVG9.key",
    "SALESFORCE_CLIENT_SECRET": "f3Kd0aZ-secret",
}


def read(**changes: str) -> salesforce.Settings:
    reader = Reader({**GOOD, **changes}, salesforce.SETTINGS)
    settings = salesforce.Settings.read(reader)
    assert reader.problems == []
    return settings


def test_defaults() -> None:
    assert read() == salesforce.Settings(
        url="https://contoso.my.salesforce.com",
        client_id="3MVG9.key",
        client_secret="f3Kd0aZ-secret",
        api_version="66.0",
        lead_key="MarketplaceLeadKey__c",
        step_key="MarketplaceStepKey__c",
    )


@pytest.mark.parametrize(
    ("pasted", "url"),
    [
        ("https://Contoso.my.salesforce.com/", "contoso.my.salesforce.com"),
        ("https://contoso.lightning.force.com/lightning/page/home", "contoso.my.salesforce.com"),
        ("https://contoso--dev.sandbox.lightning.force.com", "contoso--dev.sandbox.my.salesforce.com"),
        ("https://contoso.my.salesforce-setup.com/lightning/setup/SetupOneHome/home", "contoso.my.salesforce.com"),
    ],
)
def test_the_address_of_any_page_will_do(pasted: str, url: str) -> None:
    assert read(SALESFORCE_URL=pasted).url == f"https://{url}"


@pytest.mark.parametrize(
    ("changes", "setting", "words"),
    [
        ({"SALESFORCE_URL": ""}, "SALESFORCE_URL", "not set"),
        ({"SALESFORCE_URL": "contoso"}, "SALESFORCE_URL", "https://"),
        ({"SALESFORCE_URL": "http://contoso.my.salesforce.com"}, "SALESFORCE_URL", "not encrypted"),
        ({"SALESFORCE_URL": "https://me:pass@contoso.my.salesforce.com"}, "SALESFORCE_URL", "user name or a password"),
        ({"SALESFORCE_URL": "https://test.salesforce.com"}, "SALESFORCE_URL", "My Domain"),
        ({"SALESFORCE_CLIENT_ID": ""}, "SALESFORCE_CLIENT_ID", "not set"),
        ({"SALESFORCE_CLIENT_SECRET": ""}, "SALESFORCE_CLIENT_SECRET", "Neither"),
        ({"SALESFORCE_PRIVATE_KEY": PEM, "SALESFORCE_USERNAME": "x"}, "SALESFORCE_CLIENT_SECRET", "Keep one"),
        (
            {"SALESFORCE_CLIENT_SECRET": "", "SALESFORCE_PRIVATE_KEY": "MIIC", "SALESFORCE_USERNAME": "x"},
            "SALESFORCE_PRIVATE_KEY",
            "PEM",
        ),
        ({"SALESFORCE_CLIENT_SECRET": "", "SALESFORCE_PRIVATE_KEY": PEM}, "SALESFORCE_USERNAME", "not set"),
        ({"SALESFORCE_API_VERSION": "66"}, "SALESFORCE_API_VERSION", "66.0"),
        ({"SALESFORCE_LEAD_KEY": "Key"}, "SALESFORCE_LEAD_KEY", "custom field"),
        ({"SALESFORCE_STEP_KEY": "a b__c"}, "SALESFORCE_STEP_KEY", "custom field"),
        ({"SALESFORCE_MODE": "form"}, "SALESFORCE_MODE", "rest, web"),
        ({"SALESFORCE_MODE": "web"}, "SALESFORCE_OID", "not set"),
        ({"SALESFORCE_OID": "00D"}, "SALESFORCE_OID", "Company Information"),
        ({"SALESFORCE_FIELDS": "[]"}, "SALESFORCE_FIELDS", "JSON object"),
        ({"SALESFORCE_FIELDS": '{"Rating": "Hot"}'}, "SALESFORCE_FIELDS", "Rating"),
        ({"SALESFORCE_FIELDS": '{"marketplaceleadkey__c": "x"}'}, "SALESFORCE_FIELDS", "marketplaceleadkey__c"),
        ({"SALESFORCE_FIELDS": '{"a b": "x"}'}, "SALESFORCE_FIELDS", "name of a field"),
        ({"SALESFORCE_FIELDS": '{"X__c": [1]}'}, "SALESFORCE_FIELDS", "X__c"),
        ({"SALESFORCE_FIELDS": '{"X__c": "lead.contact.age"}'}, "SALESFORCE_FIELDS", "part of the lead"),
        ({"SALESFORCE_CLIENT_SECRET": "@Microsoft.KeyVault(x)"}, "SALESFORCE_CLIENT_SECRET", "Key Vault"),
    ],
)
def test_every_problem_is_told(changes: dict[str, str], setting: str, words: str) -> None:
    told = problems({**GOOD, **changes})
    assert words in told[setting]
    assert len(told) == 1, "one mistake, one problem"
    for secret in ("f3Kd0aZ", "me:pass", "MIIC"):
        assert secret not in str(told)


def test_web_to_lead_needs_an_address_and_the_organization_only() -> None:
    web = {
        "SALESFORCE_MODE": "Web",
        "SALESFORCE_URL": "https://webto.salesforce.com",
        "SALESFORCE_OID": "00D5g0000001234",
    }
    assert problems(web) == {}


def test_an_instance_has_its_own_org_and_shares_the_names_of_fields() -> None:
    environ = {
        "SALESFORCE_EMEA_URL": "https://contoso-emea.my.salesforce.com",
        "SALESFORCE_EMEA_CLIENT_SECRET": "e",
        "SALESFORCE_LEAD_KEY": "Key__c",
    }
    reader = Reader(GOOD | environ, salesforce.SETTINGS, "salesforce", "emea")
    settings = salesforce.Settings.read(reader)
    assert reader.problems == []
    assert (settings.url, settings.client_secret) == ("https://contoso-emea.my.salesforce.com", "e")
    assert (settings.client_id, settings.lead_key) == ("3MVG9.key", "Key__c")


def test_nothing_secret_is_printed() -> None:
    assert "f3Kd0aZ" not in repr(read())
    key = read(SALESFORCE_CLIENT_SECRET="", SALESFORCE_PRIVATE_KEY=PEM.replace("\n", "\\n"), SALESFORCE_USERNAME="ada")
    assert key.private_key == PEM
    assert "PRIVATE" not in repr(key)


NAMES = [setting.name for setting in salesforce.SETTINGS]


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=60)))
def test_reading_never_raises(environ: dict[str, str]) -> None:
    problems(environ)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_may_stand_in_fields(value: Any) -> None:
    problems({**GOOD, "SALESFORCE_FIELDS": json.dumps(value)})
