"""What `check` finds in an environment."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dev.standins.dynamics import StandIn
from leads import transport
from leads.contract import Finding
from leads.destinations import dynamics
from leads.destinations.dynamics import checks
from leads.transport import Deadline, Response
from tests.destinations.dynamics_leads import settings

OWNER = "55555555-5555-4555-8555-555555555555"


def findings(crm: StandIn, **extra: str) -> dict[str, Finding]:
    return {found.name: found for found in dynamics.check(settings(crm, **extra), Deadline.after(30))}


def wrong(crm: StandIn, **extra: str) -> list[str]:
    """The names of what is wrong; each comes with cause and remedy."""
    found = [one for one in findings(crm, **extra).values() if not one.ok]
    assert all(one.cause and one.remedy for one in found)
    return [one.name for one in found]


def test_all_is_well_and_nothing_is_written(crm: StandIn) -> None:
    found = findings(crm)
    assert list(found) == ["sign-in", "environment", "lead table", "privileges", "columns", "lead source code", "owner"]
    assert all(one.ok and not one.cause for one in found.values())
    assert {call.method for call in crm.api_calls} == {"GET"}
    assert crm.leads == {}


def test_the_requests(crm: StandIn) -> None:
    findings(crm)
    user = crm.dataverse.members[crm.client_id]
    base = "/api/data/v9.2/"
    lead = f"{base}EntityDefinitions(LogicalName='lead')"
    kind = "Microsoft.Dynamics.CRM."
    asked = {call.path: call.query for call in crm.api_calls}
    assert list(asked) == [
        f"{base}WhoAmI",
        lead,
        f"{base}systemusers({user})/{kind}RetrieveUserSetOfPrivilegesByNames(PrivilegeNames=@p)",
        f"{lead}/Attributes",
        f"{lead}/Attributes/{kind}StringAttributeMetadata",
        f"{lead}/Attributes/{kind}MemoAttributeMetadata",
        f"{lead}/Attributes(LogicalName='leadsourcecode')/{kind}PicklistAttributeMetadata",
    ]
    names = next(query["@p"] for path, query in asked.items() if "systemusers" in path)
    assert json.loads(names) == list(checks.NEEDED)


def test_a_wrong_secret_ends_it(crm: StandIn) -> None:
    crm.registration.secrets.clear()
    found = findings(crm)
    assert list(found) == ["sign-in"]
    assert "7000215" in found["sign-in"].cause


def test_no_application_user_ends_it(crm: StandIn) -> None:
    crm.dataverse.members.clear()
    found = findings(crm)
    assert list(found) == ["sign-in", "environment"]
    assert "not an enabled user" in found["environment"].cause


def test_no_sales(crm: StandIn) -> None:
    crm.dataverse.has_sales = False
    found = findings(crm)
    assert "Sales is not installed" in found["lead table"].cause


def test_missing_privileges_are_named(crm: StandIn) -> None:
    crm.dataverse.privileges -= {"prvCreateNote", "prvAppendActivity", "prvAssignLead"}
    assert "prvCreateNote." in findings(crm)["privileges"].cause
    assert "prvCreateNote, prvAppendActivity." in findings(crm, follow_up="task")["privileges"].cause
    assert "prvCreateNote, prvAssignLead." in findings(crm, owner=f"team:{OWNER}")["privileges"].cause


def test_columns_that_there_are_not(crm: StandIn) -> None:
    del crm.dataverse.tables["leads"].columns["websiteurl"]
    told = '{"new_a": 1, "fax": 2, "new_B@odata.bind": "/x(1)", "address1_composite": "x", "new_null": null}'
    found = findings(crm, fields=told)["columns"]
    assert not found.ok
    assert "does not have websiteurl, new_a, address1_composite" in found.cause
    assert findings(crm, fields='{"websiteurl": null}')["columns"].ok


def test_shorter_and_secured_columns_are_remarks(crm: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = transport.request

    def request(method: str, url: str, **rest: Any) -> Response:
        answer = ask(method, url, **rest)
        body = answer.body.replace(b'"LogicalName": "jobtitle"', b'"LogicalName": "jobtitle", "IsSecured": true')
        body = body.replace(b'"MaxLength": 2000', b'"MaxLength": 1500')
        return Response(answer.status, answer.headers, body)

    monkeypatch.setattr(transport, "request", request)
    found = findings(crm)["columns"]
    assert found.ok
    assert "jobtitle" in found.cause
    assert "description (1500)" in found.cause


def test_the_lead_source_code(crm: StandIn) -> None:
    found = findings(crm, lead_source_code="100000001")["lead source code"]
    assert "no lead source 100000001" in found.cause
    assert "one of 1, 2, 3" in found.remedy


@pytest.mark.parametrize("kind", ["systemuser", "team"])
def test_the_owner(crm: StandIn, kind: str) -> None:
    told = f"{kind}:{OWNER}"
    crm.fail(200, path=f"{kind}s.{OWNER}", body={"isdisabled": False})
    assert findings(crm, owner=told)["owner"].ok
    crm.fail(200, path=f"{kind}s.{OWNER}", body={"isdisabled": True})
    assert not findings(crm, owner=told)["owner"].ok
    crm.fail(404, "0x80040217", "Does Not Exist", path=f"{kind}s.{OWNER}")
    assert "does not exist" in findings(crm, owner=told)["owner"].cause


def test_answers_of_a_stranger(crm: StandIn) -> None:
    bodies: list[Any] = [[], {}, {"value": 7}, {"RolePrivileges": [1]}, {"OptionSet": {"Options": None}}]
    for body in bodies:
        crm.fail(200, times=20, body=body or [body])
        wrong(crm)
        crm.reset()
    crm.fail(200, times=20, html="<html>")
    assert "does not answer like a Dynamics" in findings(crm)["environment"].cause


def test_out_of_order_is_told_for_each(crm: StandIn) -> None:
    crm.fail(503, path="EntityDefinitions", times=9)
    assert wrong(crm) == ["lead table", "columns", "lead source code"]
