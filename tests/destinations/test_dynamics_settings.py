"""The settings of Dynamics: read, checked, and every problem told with its remedy."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.destinations import dynamics
from leads.oauth import Credentials
from leads.reader import Reader
from tests.destinations.dynamics_leads import problems

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
SECRET = "Abc8Q~secret"
PEM = "\n".join(f"-----BEGIN {what}-----\nx\n-----END {what}-----" for what in ("PRIVATE KEY", "CERTIFICATE"))
GOOD = {
    "DYNAMICS_URL": "https://contoso.crm4.dynamics.com",
    "DYNAMICS_TENANT_ID": GUID,
    "DYNAMICS_CLIENT_ID": GUID,
    "DYNAMICS_CLIENT_SECRET": SECRET,
}


def read(**changes: str) -> dynamics.Settings:
    reader = Reader({**GOOD, **changes}, dynamics.SETTINGS)
    settings = dynamics.Settings.read(reader)
    assert reader.problems == []
    return settings


def test_defaults() -> None:
    assert read() == dynamics.Settings(
        url="https://contoso.crm4.dynamics.com",
        credentials=Credentials(
            tenant_id=GUID,
            client_id=GUID,
            secret=SECRET,
            authority="https://login.microsoftonline.com",
            prefix="DYNAMICS",
        ),
        lead_source_code=8,
        owner="",
        follow_up="none",
        match="none",
        fields={},
    )


@pytest.mark.parametrize(
    "pasted",
    [
        "https://Contoso.crm4.dynamics.com/",
        "https://contoso.crm4.dynamics.com/main.aspx?appid=1&pagetype=entitylist",
        "https://contoso.crm4.dynamics.com/api/data/v9.2/",
    ],
)
def test_the_address_of_any_page_will_do(pasted: str) -> None:
    assert read(DYNAMICS_URL=pasted).url == "https://contoso.crm4.dynamics.com"


@pytest.mark.parametrize(
    ("changes", "setting", "words"),
    [
        ({"DYNAMICS_USERNAME": "ada@contoso.com"}, "DYNAMICS_USERNAME", "app registration"),
        ({"DYNAMICS_PASSWORD": "hunter2"}, "DYNAMICS_PASSWORD", "not supported: it stops working"),
        ({"DYNAMICS_URL": ""}, "DYNAMICS_URL", "not set"),
        ({"DYNAMICS_URL": "contoso"}, "DYNAMICS_URL", "https://"),
        ({"DYNAMICS_URL": "http://contoso.crm.dynamics.com"}, "DYNAMICS_URL", "not encrypted"),
        ({"DYNAMICS_URL": "https://me:pass@contoso.crm.dynamics.com"}, "DYNAMICS_URL", "user name or a password"),
        ({"DYNAMICS_AUTHORITY": "http://login.example.com"}, "DYNAMICS_AUTHORITY", "not encrypted"),
        ({"DYNAMICS_TENANT_ID": "my tenant"}, "DYNAMICS_TENANT_ID", "requested tenant identifier is not valid"),
        ({"DYNAMICS_TENANT_ID": ""}, "DYNAMICS_TENANT_ID", "not set"),
        ({"DYNAMICS_CLIENT_ID": "my app"}, "DYNAMICS_CLIENT_ID", "GUID"),
        ({"DYNAMICS_CLIENT_ID": ""}, "DYNAMICS_CLIENT_ID", "not set"),
        ({"DYNAMICS_CLIENT_SECRET": ""}, "DYNAMICS_CLIENT_SECRET", "there is no credential for it"),
        ({"DYNAMICS_CERTIFICATE": PEM}, "DYNAMICS_CLIENT_SECRET", "Keep one"),
        ({"DYNAMICS_FEDERATED": "true"}, "DYNAMICS_CLIENT_SECRET", "Keep one"),
        ({"DYNAMICS_FEDERATED": "maybe"}, "DYNAMICS_FEDERATED", "one of false, true"),
        ({"DYNAMICS_MANAGED_IDENTITY_CLIENT_ID": "x"}, "DYNAMICS_MANAGED_IDENTITY_CLIENT_ID", "GUID"),
        ({"DYNAMICS_CLIENT_SECRET": "", "DYNAMICS_CERTIFICATE": "MIIC"}, "DYNAMICS_CERTIFICATE", "PEM"),
        ({"DYNAMICS_LEAD_SOURCE_CODE": "Web"}, "DYNAMICS_LEAD_SOURCE_CODE", "whole number"),
        ({"DYNAMICS_OWNER": GUID}, "DYNAMICS_OWNER", "systemuser:<guid> or team:<guid>"),
        ({"DYNAMICS_OWNER": "user:" + GUID}, "DYNAMICS_OWNER", "systemuser:<guid>"),
        ({"DYNAMICS_OWNER": "team:7"}, "DYNAMICS_OWNER", "team:<guid>"),
        ({"DYNAMICS_FOLLOW_UP": "call"}, "DYNAMICS_FOLLOW_UP", "task"),
        ({"DYNAMICS_MATCH": "phone"}, "DYNAMICS_MATCH", "email"),
        ({"DYNAMICS_FIELDS": "{"}, "DYNAMICS_FIELDS", "JSON"),
        ({"DYNAMICS_FIELDS": "[]"}, "DYNAMICS_FIELDS", "JSON object"),
        ({"DYNAMICS_FIELDS": '{"leadid": "x"}'}, "DYNAMICS_FIELDS", "leadid"),
        ({"DYNAMICS_FIELDS": '{"ownerid@odata.bind": "x"}'}, "DYNAMICS_FIELDS", "ownerid"),
        ({"DYNAMICS_FIELDS": '{"a b": "x"}'}, "DYNAMICS_FIELDS", "name of a field"),
        ({"DYNAMICS_FIELDS": '{"new_x": {"a": 1}}'}, "DYNAMICS_FIELDS", "new_x"),
        ({"DYNAMICS_FIELDS": '{"new_x": NaN}'}, "DYNAMICS_FIELDS", "new_x"),
        ({"DYNAMICS_FIELDS": '{"new_x": "lead.contact.age"}'}, "DYNAMICS_FIELDS", "part of the lead"),
        ({"DYNAMICS_CLIENT_SECRET": "@Microsoft.KeyVault(x)"}, "DYNAMICS_CLIENT_SECRET", "Key Vault"),
    ],
)
def test_every_problem_is_told(changes: dict[str, str], setting: str, words: str) -> None:
    told = problems({**GOOD, **changes})
    assert words in told[setting]
    for secret in (SECRET, "hunter2", "me:pass"):
        assert secret not in str(told)


def test_one_wrong_column_does_not_cost_the_others() -> None:
    reader = Reader(
        {**GOOD, "DYNAMICS_FIELDS": '{"leadid": 1, "new_x": "campaign.src", "jobtitle": null, "new_y": 2}'},
        dynamics.SETTINGS,
    )
    assert dynamics.Settings.read(reader).fields == {"new_x": "campaign.src", "jobtitle": None, "new_y": 2}
    assert len(reader.problems) == 1


def test_ways_to_sign_in() -> None:
    certificate = read(DYNAMICS_CLIENT_SECRET="", DYNAMICS_CERTIFICATE=PEM.replace("\n", "\\n"))
    assert certificate.credentials.certificate == PEM
    federated = read(DYNAMICS_CLIENT_SECRET="", DYNAMICS_FEDERATED="True", DYNAMICS_TENANT_ID="contoso.onmicrosoft.com")
    assert federated.credentials.federated
    assert federated.credentials.tenant_id == "contoso.onmicrosoft.com"
    identity = {"DYNAMICS_CLIENT_SECRET": "", "DYNAMICS_CLIENT_ID": "", "DYNAMICS_TENANT_ID": ""}
    named = read(**identity, DYNAMICS_MANAGED_IDENTITY_CLIENT_ID=GUID.upper())
    assert named.credentials.managed_identity_client_id == GUID
    assert read(**identity).credentials.client_id == ""


def test_owner_and_other_clouds() -> None:
    assert read(DYNAMICS_OWNER=f"Team:{GUID.upper()}").owner == f"/teams({GUID})"
    assert read(DYNAMICS_OWNER=f"systemuser: {GUID}").owner == f"/systemusers({GUID})"
    cloud = read(DYNAMICS_AUTHORITY="https://login.microsoftonline.us/")
    assert cloud.credentials.authority == "https://login.microsoftonline.us"


def test_nothing_secret_is_printed() -> None:
    assert SECRET not in repr(read())
    assert "PRIVATE" not in repr(read(DYNAMICS_CLIENT_SECRET="", DYNAMICS_CERTIFICATE=PEM))


NAMES = [
    *("URL", "TENANT_ID", "CLIENT_ID", "CLIENT_SECRET", "CERTIFICATE", "AUTHORITY", "OWNER", "FOLLOW_UP", "MATCH"),
    *("FIELDS", "LEAD_SOURCE_CODE", "FEDERATED", "MANAGED_IDENTITY_CLIENT_ID", "USERNAME"),
]


@given(st.dictionaries(st.sampled_from([f"DYNAMICS_{name}" for name in NAMES]), st.text(max_size=60)))
def test_reading_never_raises(environ: dict[str, str]) -> None:
    problems(environ)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_may_stand_in_fields(value: Any) -> None:
    import json

    problems({**GOOD, "DYNAMICS_FIELDS": json.dumps(value)})
