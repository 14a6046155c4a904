"""The stand-in for Dataverse answers as documented. Each test names the page or the public code that it rests on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from dev.standins.dynamics import USER_ID, StandIn
from dev.standins.dynamics.dataverse import BASE, PRIVILEGES, THROTTLES
from leads import transport
from leads.errors import Transient
from leads.transport import Deadline, Response

LEAD = "0b7c6f2e-1111-4c1e-9d2a-0a1b2c3d4e5f"
NOTE = "0b7c6f2e-2222-4c1e-9d2a-0a1b2c3d4e5f"
OTHER = "0b7c6f2e-3333-4c1e-9d2a-0a1b2c3d4e5f"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("standin")) as standin:
        yield standin


class Client:
    """Sends requests to the stand-in with a token of its own."""

    def __init__(self, crm: StandIn) -> None:
        self.crm = crm
        self.sign_in()

    def sign_in(self) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.crm.client_id,
            "client_secret": self.crm.client_secret,
            "scope": f"{self.crm.url}/.default",
        }
        url = f"{self.crm.authority}/{self.crm.tenant_id}/oauth2/v2.0/token"
        self.token = requests.post(url, form, timeout=5).json()["access_token"]

    def __call__(self, method: str, path: str, body: Any = None, deadline: float = 5, **headers: str) -> Response:
        sent = {"Authorization": f"Bearer {self.token}", "OData-Version": "4.0", "OData-MaxVersion": "4.0"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.crm.url}{BASE}/{path}"
        return transport.request(method, url, deadline=Deadline.after(deadline), headers=sent, json=body)


@pytest.fixture
def crm(running: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    running.reset()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", running.ca_file)
    return running


@pytest.fixture
def send(crm: StandIn) -> Client:
    return Client(crm)


def error(response: Response) -> tuple[int, str]:
    return response.status, response.json()["error"]["code"]


def person(**more: Any) -> dict[str, Any]:
    return {"subject": "Contact me", "lastname": "Lovelace", **more}


# perform-conditional-operations-using-web-api, use-upsert-insert-update-record


def test_upsert_creates_and_updates_with_204_alike(crm: StandIn, send: Client) -> None:
    for _ in range(2):
        response = send("PATCH", f"leads({LEAD})", person())
        assert (response.status, response.body) == (204, b"")
        assert response.headers["odata-entityid"] == f"{crm.url}{BASE}/leads({LEAD})"
    assert list(crm.leads) == [LEAD]


def test_upsert_with_representation_tells_created_from_updated(send: Client) -> None:
    answers = [send("PATCH", f"leads({LEAD})", person(), Prefer="return=representation") for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 200]
    assert answers[0].json()["leadid"] == LEAD
    assert answers[0].json()["@odata.etag"] == answers[0].headers["etag"]


def test_if_none_match_prevents_an_update(crm: StandIn, send: Client) -> None:
    assert send("PATCH", f"leads({LEAD})", person(), If_None_Match="*").status == 204
    response = send("PATCH", f"leads({LEAD})", person(subject="changed"), If_None_Match="*")
    assert error(response) == (412, "")
    assert response.json()["error"]["message"] == "A record with matching key values already exists."
    assert crm.leads[LEAD]["subject"] == "Contact me"


def test_if_none_match_null_prevents_nothing(crm: StandIn, send: Client) -> None:
    """The trap: compose-http-requests-handle-errors proposes this header as a default for all requests."""
    send("PATCH", f"leads({LEAD})", person())
    assert send("PATCH", f"leads({LEAD})", person(subject="changed"), If_None_Match="null").status == 204
    assert crm.leads[LEAD]["subject"] == "changed"


def test_if_match_any_prevents_a_create(crm: StandIn, send: Client) -> None:
    response = send("PATCH", f"leads({LEAD})", person(), If_Match="*")
    assert error(response) == (404, "")
    assert response.json()["error"]["message"] == f"lead With Id = {LEAD} Does Not Exist"
    assert crm.leads == {}
    send("PATCH", f"leads({LEAD})", person())
    assert send("PATCH", f"leads({LEAD})", person(subject="changed"), If_Match="*").status == 204


def test_if_match_with_an_etag_is_optimistic_concurrency(crm: StandIn, send: Client) -> None:
    send("PATCH", f"leads({LEAD})", person())
    etag = send("GET", f"leads({LEAD})?$select=leadqualitycode").headers["etag"]
    assert etag.startswith('W/"')
    assert send("PATCH", f"leads({LEAD})", {"leadqualitycode": 1}, If_Match=etag).status == 204
    stale = send("PATCH", f"leads({LEAD})", {"leadqualitycode": 3}, If_Match=etag)
    assert error(stale) == (412, "")
    assert crm.leads[LEAD]["leadqualitycode"] == 1
    assert error(send("DELETE", f"leads({LEAD})", If_Match=etag)) == (412, "")


def test_two_writers_with_one_etag_cannot_both_win(crm: StandIn, send: Client) -> None:
    send("PATCH", f"leads({LEAD})", person())
    etag = send("GET", f"leads({LEAD})").headers["etag"]
    statuses: list[int] = []

    def write(value: int) -> None:
        statuses.append(send("PATCH", f"leads({LEAD})", {"leadqualitycode": value}, If_Match=etag).status)

    threads = [threading.Thread(target=write, args=(1 + n % 3,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [204] + [412] * 7


def test_a_conditional_get_of_what_has_not_changed_is_304(send: Client) -> None:
    send("PATCH", f"leads({LEAD})", person())
    etag = send("GET", f"leads({LEAD})").headers["etag"]
    assert send("GET", f"leads({LEAD})", If_None_Match=etag).status == 304


# create-entity-web-api


def test_post_creates_and_names_the_record(crm: StandIn, send: Client) -> None:
    response = send("POST", "leads", person())
    (guid,) = crm.leads
    assert response.status == 204
    assert response.headers["odata-entityid"].endswith(f"/leads({guid})")
    body = send("POST", "leads?$select=leadid", person(), Prefer="return=representation")
    assert body.status == 201
    assert "odata-entityid" not in body.headers
    assert {key for key in body.json() if not key.startswith("@")} == {"leadid"}


def test_post_with_an_id_that_is_there(send: Client) -> None:
    send("POST", "leads", person(leadid=LEAD))
    assert error(send("POST", "leads", person(leadid=LEAD))) == (412, "0x80040237")


def test_the_server_fills_in_state_owner_name_and_time(crm: StandIn, send: Client) -> None:
    """lead.md: fullname is read-only, statecode starts at 0, overriddencreatedon becomes createdon."""
    row = person(firstname="Ada", fullname="Somebody Else", overriddencreatedon="2018-09-28T10:00:00Z")
    assert send("PATCH", f"leads({LEAD})", row).status == 204
    made = crm.leads[LEAD]
    assert (made["fullname"], made["statecode"], made["statuscode"]) == ("Ada Lovelace", 0, 1)
    assert made["_ownerid_value"] == USER_ID
    assert made["createdon"] == "2018-09-28T10:00:00Z"


# What the tables refuse: Lead.cdm.json for lengths, the web service error codes for the rest


@pytest.mark.parametrize(
    ("column", "longest"),
    [
        ("subject", 300),
        ("firstname", 50),
        ("lastname", 50),
        ("emailaddress1", 100),
        ("telephone1", 50),
        ("mobilephone", 20),
        ("companyname", 100),
        ("jobtitle", 100),
        ("websiteurl", 200),
        ("description", 2000),
        ("address1_country", 80),
        ("address1_postalcode", 20),
    ],
)
def test_a_text_that_is_too_long(send: Client, column: str, longest: int) -> None:
    assert send("PATCH", f"leads({LEAD})", person(**{column: "x" * longest})).status == 204
    response = send("PATCH", f"leads({LEAD})", person(**{column: "x" * (longest + 1)}))
    assert error(response) == (400, "0x80044331")
    assert f"'{column}'" in response.json()["error"]["message"]
    assert f"'{longest}'" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("leadsourcecode", 11, "0x8004431a"),
        ("leadqualitycode", 0, "0x8004431a"),
        ("leadsourcecode", "Web", "0x80048d19"),
        ("donotemail", "yes", "0x80048d19"),
        ("subject", 7, "0x80048d19"),
        ("numberofemployees", 2_000_000, "0x80044330"),
        ("new_offer", "x", "0x0"),
        ("Subject", "x", "0x0"),
        ("statecode", 1, "0x80048408"),
        ("statuscode", 3, "0x80048408"),
    ],
)
def test_a_value_that_is_refused(crm: StandIn, send: Client, column: str, value: Any, code: str) -> None:
    response = send("PATCH", f"leads({LEAD})", {**person(), column: value})
    assert error(response) == (400, code)
    assert crm.leads == {}


def test_a_refused_update_changes_nothing(crm: StandIn, send: Client) -> None:
    send("PATCH", f"leads({LEAD})", person())
    before = dict(crm.leads[LEAD])
    send("PATCH", f"leads({LEAD})", {"subject": "changed", "leadqualitycode": 9})
    assert crm.leads[LEAD] == before


def test_null_clears_a_column(crm: StandIn, send: Client) -> None:
    send("PATCH", f"leads({LEAD})", person(leadqualitycode=1))
    assert send("PATCH", f"leads({LEAD})", {"leadqualitycode": None}).status == 204
    assert crm.leads[LEAD]["leadqualitycode"] is None


def test_columns_and_options_can_be_the_organizations_own(crm: StandIn, send: Client) -> None:
    columns = crm.dataverse.tables["leads"].columns
    del columns["websiteurl"]
    response = send("PATCH", f"leads({LEAD})", person(websiteurl="https://example.com"))
    assert error(response) == (400, "0x0")
    assert "Could not find a property named 'websiteurl'" in response.json()["error"]["message"]


def test_a_body_that_is_no_json(crm: StandIn, send: Client) -> None:
    headers = {"Authorization": f"Bearer {send.token}", "Content-Type": "application/json"}
    response = requests.post(f"{crm.url}{BASE}/leads", b"{", headers=headers, timeout=5)
    assert response.status_code == 400
    headers["Content-Type"] = "text/plain"
    assert requests.post(f"{crm.url}{BASE}/leads", b"{}", headers=headers, timeout=5).status_code == 400


# Binding: annotation, task and phonecall in the Dataverse table reference (public code for the bodies of errors)


@pytest.mark.parametrize(
    ("entity_set", "navigation", "column"),
    [
        ("annotations", "objectid_lead", "_objectid_value"),
        ("tasks", "regardingobjectid_lead_task", "_regardingobjectid_value"),
        ("phonecalls", "regardingobjectid_lead_phonecall", "_regardingobjectid_value"),
    ],
)
def test_follow_ups_are_bound_to_their_lead(
    crm: StandIn, send: Client, entity_set: str, navigation: str, column: str
) -> None:
    bound = {"subject": "x", f"{navigation}@odata.bind": f"/leads({LEAD})"}
    assert error(send("PATCH", f"{entity_set}({NOTE})", bound)) == (404, "0x80040217")
    send("PATCH", f"leads({LEAD})", person())
    assert send("PATCH", f"{entity_set}({NOTE})", bound, If_None_Match="*").status == 204
    assert crm.dataverse.tables[entity_set].records[NOTE][column] == LEAD
    assert error(send("PATCH", f"{entity_set}({NOTE})", bound, If_None_Match="*")) == (412, "")
    wrong = {f"{navigation.title()}@odata.bind": f"/leads({LEAD})"}
    assert error(send("PATCH", f"{entity_set}({OTHER})", wrong)) == (400, "0x80048d19")
    assert error(send("PATCH", f"{entity_set}({OTHER})", {**bound, f"{navigation}@odata.bind": LEAD}))[0] == 400


def test_an_owner_has_to_be_there(crm: StandIn, send: Client) -> None:
    owned = person(**{"ownerid@odata.bind": f"/teams({OTHER})"})
    assert error(send("PATCH", f"leads({LEAD})", owned)) == (404, "0x80040217")
    crm.dataverse.others["teams"].add(OTHER)
    assert send("PATCH", f"leads({LEAD})", owned).status == 204
    assert crm.leads[LEAD]["_ownerid_value"] == OTHER


def test_users_and_teams_that_may_own_can_be_asked_for(crm: StandIn, send: Client) -> None:
    crm.dataverse.others["teams"].add(OTHER)
    assert send("GET", f"teams({OTHER})?$select=teamid").json()["teamid"] == OTHER
    assert send("GET", f"systemusers({USER_ID})?$select=isdisabled").json()["isdisabled"] is False
    assert error(send("GET", f"systemusers({OTHER})")) == (404, "0x80040217")


def test_a_deleted_lead_takes_its_notes_and_tasks_with_it(crm: StandIn, send: Client) -> None:
    send("PATCH", f"leads({LEAD})", person())
    send("PATCH", f"annotations({NOTE})", {"objectid_lead@odata.bind": f"/leads({LEAD})"})
    send("PATCH", f"tasks({NOTE})", {"regardingobjectid_lead_task@odata.bind": f"/leads({LEAD})"})
    assert send("DELETE", f"leads({LEAD})").status == 204
    assert (crm.leads, crm.notes, crm.tasks) == ({}, {}, {})
    assert error(send("GET", f"leads({LEAD})")) == (404, "0x80040217")
    assert error(send("DELETE", f"leads({LEAD})")) == (404, "0x80040217")


def test_closed_leads_are_read_only_until_reactivated(crm: StandIn, send: Client) -> None:
    """lead.md: qualified and disqualified leads are read-only; 0x8004022e CannotUpdateBecauseItIsReadOnly."""
    send("PATCH", f"leads({LEAD})", person())
    for qualified in (True, False):
        crm.close_lead(LEAD, qualified=qualified)
        assert error(send("PATCH", f"leads({LEAD})", {"subject": "changed"})) == (400, "0x8004022e")
        note = {"objectid_lead@odata.bind": f"/leads({LEAD})"}
        assert send("PATCH", f"annotations({NOTE})", note).status == 204
    assert send("PATCH", f"leads({LEAD})", {"statecode": 0}).status == 204
    assert crm.leads[LEAD]["statuscode"] == 1
    assert send("PATCH", f"leads({LEAD})", {"subject": "changed"}).status == 204


# query-data-web-api


def test_rows_are_found_by_columns_joined_with_and(crm: StandIn, send: Client) -> None:
    for number, email in enumerate(["Ada@example.com", "ada@example.com", "o'neil@example.com"]):
        send("PATCH", f"leads({LEAD[:-1]}{number})", person(emailaddress1=email, leadqualitycode=number + 1))
    crm.close_lead(f"{LEAD[:-1]}0")

    def found(query: str) -> list[int]:
        rows = send("GET", f"leads?$select=leadqualitycode&{query}").json()["value"]
        assert all(row["@odata.etag"] and row["leadid"] for row in rows)
        return [row["leadqualitycode"] for row in rows]

    assert found("$filter=emailaddress1 eq 'ADA@example.com'") == [1, 2]
    assert found("$filter=emailaddress1 eq 'ada@example.com' and statecode eq 0") == [2]
    assert found("$filter=emailaddress1 eq 'o''neil@example.com'") == [3]
    assert found("$filter=companyname eq null and leadqualitycode ge 2") == [2, 3]
    assert found("$orderby=leadqualitycode desc&$top=2") == [3, 2]
    for query in ("$filter=nonsense eq 1", "$select=nonsense", "$filter=contains(subject,'a')", "$orderby=nonsense"):
        assert send("GET", f"leads?{query}").status == 400


def test_keys_that_are_no_guid_are_not_valid(send: Client) -> None:
    """define-alternate-keys-entity: "The key in the request URI is not valid for resource …"."""
    response = send("PATCH", "leads(mpc_leadkey='x')", person())
    assert response.status == 400
    assert "The key in the request URI is not valid" in response.json()["error"]["message"]


# Who may do what: web service error codes, troubleshoot/power-platform/dataverse


def test_a_token_that_is_no_good_is_401_without_a_body(crm: StandIn, send: Client) -> None:
    assert send("GET", "WhoAmI").status == 200
    crm.revoke_tokens()
    response = send("GET", "WhoAmI")
    assert (response.status, response.body) == (401, b"")
    assert response.headers["www-authenticate"].startswith("Bearer ")
    send.sign_in()
    assert send("GET", "WhoAmI").json()["UserId"] == USER_ID


def test_an_expired_token_is_401(crm: StandIn) -> None:
    crm.entra.token_seconds = 0
    assert Client(crm)("GET", "WhoAmI").status == 401


def test_an_app_that_is_no_user_of_the_organization(crm: StandIn, send: Client) -> None:
    crm.dataverse.members.clear()
    assert error(send("GET", "WhoAmI")) == (403, "0x80072560")


def test_a_disabled_user(crm: StandIn, send: Client) -> None:
    crm.dataverse.disabled.add(crm.client_id)
    assert error(send("GET", "WhoAmI")) == (403, "0x80040225")


def test_a_user_without_a_role(crm: StandIn, send: Client) -> None:
    crm.dataverse.privileges.clear()
    assert error(send("POST", "leads", person())) == (403, "0x80042f09")


@pytest.mark.parametrize(
    ("missing", "method", "path"),
    [
        ("prvCreateLead", "POST", "leads"),
        ("prvReadLead", "GET", "leads"),
        ("prvWriteLead", "PATCH", f"leads({LEAD})"),
        ("prvDeleteLead", "DELETE", f"leads({LEAD})"),
        ("prvCreateNote", "POST", "annotations"),
        ("prvAppendNote", "POST", "annotations"),
        ("prvAppendToLead", "POST", "annotations"),
        ("prvCreateActivity", "POST", "tasks"),
        ("prvAppendActivity", "POST", "tasks"),
    ],
)
def test_a_missing_privilege_is_named(crm: StandIn, send: Client, missing: str, method: str, path: str) -> None:
    send("PATCH", f"leads({LEAD})", person())
    crm.dataverse.privileges.discard(missing)
    bodies = {
        "annotations": {"objectid_lead@odata.bind": f"/leads({LEAD})"},
        "tasks": {"regardingobjectid_lead_task@odata.bind": f"/leads({LEAD})"},
    }
    response = send(method, path, None if method in {"GET", "DELETE"} else bodies.get(path, person()))
    assert error(response) == (403, "0x80040220")
    assert missing in response.json()["error"]["message"]


def test_the_privileges_can_be_asked_for(crm: StandIn, send: Client) -> None:
    """RetrieveUserPrivileges, bound to systemuser (Web API function reference)."""
    path = f"systemusers({USER_ID})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()"
    assert {one["PrivilegeName"] for one in send("GET", path).json()["RolePrivileges"]} == PRIVILEGES


def test_a_secured_column_on_create_and_on_update(crm: StandIn, send: Client) -> None:
    """0x8004F502 AttributePrivilegeCreateIsMissing, 0x8004F507 AttributePermissionUpdateIsMissingDuringUpdate."""
    crm.dataverse.secured.add("leadsourcecode")
    assert error(send("PATCH", f"leads({LEAD})", person(leadsourcecode=8))) == (403, "0x8004F502")
    assert send("PATCH", f"leads({LEAD})", person()).status == 204
    assert error(send("PATCH", f"leads({LEAD})", {"leadsourcecode": 8})) == (403, "0x8004F507")


def test_an_environment_without_sales(crm: StandIn, send: Client) -> None:
    crm.dataverse.has_sales = False
    assert error(send("PATCH", f"leads({LEAD})", person())) == (404, "0x8006088a")
    assert send("GET", "EntityDefinitions(LogicalName='lead')?$select=LogicalName").status == 404
    assert send("GET", "WhoAmI").status == 200


def test_duplicate_rules_apply_only_when_asked(crm: StandIn, send: Client) -> None:
    """manage-duplicate-detection-create-update."""
    crm.dataverse.duplicate_rule_status = 500
    rows = [person(emailaddress1="ada@example.com")] * 2
    assert [send("POST", "leads", row).status for row in rows] == [204, 204]
    sent = {"Authorization": f"Bearer {send.token}", "MSCRM.SuppressDuplicateDetection": "false"}
    refused = requests.post(f"{crm.url}{BASE}/leads", json=rows[0], headers=sent, timeout=5)
    assert (refused.status_code, refused.json()["error"]["code"]) == (500, "0x80040333")


# Metadata


def test_what_is_there_can_be_asked_for(send: Client) -> None:
    lead = "EntityDefinitions(LogicalName='lead')"
    assert send("GET", f"{lead}?$select=LogicalName").json()["LogicalName"] == "lead"
    rows = send("GET", f"{lead}/Attributes?$select=LogicalName,MaxLength,IsValidForCreate").json()["value"]
    attributes = {row["LogicalName"]: row for row in rows}
    assert attributes["subject"]["MaxLength"] == 300
    assert attributes["statecode"]["IsValidForCreate"] is False
    texts = send(
        "GET", f"{lead}/Attributes/Microsoft.Dynamics.CRM.StringAttributeMetadata?$select=LogicalName,MaxLength"
    )
    assert {"LogicalName": "lastname", "MaxLength": 50} in texts.json()["value"]
    picklist = "Microsoft.Dynamics.CRM.PicklistAttributeMetadata?$select=LogicalName&$expand=OptionSet($select=Options)"
    options = send("GET", f"{lead}/Attributes(LogicalName='leadsourcecode')/{picklist}").json()["OptionSet"]["Options"]
    assert [option["Value"] for option in options] == list(range(1, 11))
    assert send("GET", f"{lead}/Attributes(LogicalName='nonsense')").status == 404


# Failures that are scripted


@pytest.mark.parametrize("limit", list(THROTTLES))
def test_service_protection_limits(crm: StandIn, send: Client, limit: str) -> None:
    """api-limits: 429 with one of three codes and Retry-After."""
    crm.throttle(limit, "120")
    response = send("POST", "leads", person())
    assert error(response) == (429, THROTTLES[limit][0])
    assert response.headers["retry-after"] == "120"
    assert send("POST", "leads", person()).status == 204


def test_a_timeout_after_the_work_was_done(crm: StandIn, send: Client) -> None:
    crm.fail(hang=True, do_the_work_first=True, method="PATCH")
    with pytest.raises(Transient, match="did not answer in time"):
        send("PATCH", f"leads({LEAD})", person(), deadline=0.3)
    assert list(crm.leads) == [LEAD]


def test_a_connection_closed_after_the_work_was_done(crm: StandIn, send: Client) -> None:
    crm.fail(close=True, do_the_work_first=True)
    with pytest.raises(Transient, match="broke the connection"):
        send("PATCH", f"leads({LEAD})", person())
    assert list(crm.leads) == [LEAD]
    assert crm.calls[-1].status == 0


def test_failures_apply_to_what_matches_as_often_as_told(crm: StandIn, send: Client) -> None:
    crm.fail(503, times=2, method="PATCH", path=r"annotations\(")
    crm.fail(502, html="<html>Bad gateway</html>", path="WhoAmI")
    assert send("PATCH", f"leads({LEAD})", person()).status == 204
    bound = {"objectid_lead@odata.bind": f"/leads({LEAD})"}
    assert [send("PATCH", f"annotations({NOTE})", bound).status for _ in range(3)] == [503, 503, 204]
    gateway = send("GET", "WhoAmI")
    assert (gateway.status, gateway.json()) == (502, None)
    assert gateway.headers["content-type"].startswith("text/html")


def test_a_clock_can_be_put_forward_before_a_failure(crm: StandIn, send: Client) -> None:
    told: list[str] = []
    crm.fail(500, before=lambda: told.append("later"))
    assert send("GET", "WhoAmI").status == 500
    assert told == ["later"]


def test_a_connection_is_kept_alive(crm: StandIn, send: Client) -> None:
    send("GET", "WhoAmI")
    before = crm.connections
    for _ in range(5):
        send("PATCH", f"leads({LEAD})", person())
        send("GET", "leads(nonsense)")
    assert crm.connections == before


def test_who_never_finishes_the_tls_handshake_holds_up_nobody(crm: StandIn, send: Client) -> None:
    with socket.create_connection(("127.0.0.1", int(crm.url.rpartition(":")[2]))):
        send.sign_in()
        assert send("GET", "WhoAmI").status == 200


def test_calls_are_recorded_whole(crm: StandIn, send: Client) -> None:
    send("PATCH", f"leads({LEAD})?$select=leadid", person(), If_None_Match="*")
    call = crm.api_calls[-1]
    assert (call.method, call.path, call.status) == ("PATCH", f"{BASE}/leads({LEAD})", 204)
    assert call.query == {"$select": "leadid"}
    assert call.headers["if-none-match"] == "*"
    assert call.json() == person()
    assert len(crm.calls) == 2


def test_the_authority_outlives_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with StandIn(tmp_path) as first:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", first.ca_file)
    with StandIn(tmp_path) as second:
        assert Client(second)("GET", "WhoAmI").status == 200
