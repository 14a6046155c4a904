"""Failures, each from the wire: what this app says, and that the lead is neither lost nor doubled.

Codes: REST API Developer Guide, "Status Codes and Error Responses"; SOAP API Developer Guide, `StatusCode`; Salesforce
Help, "OAuth 2.0 authorization errors". Words of Salesforce are quoted from public threads.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.standins.salesforce import SECRET, USERNAME, StandIn
from dev.standins.salesforce.objects import Field
from dev.standins.salesforce.org import refused
from leads.destinations import salesforce
from leads.destinations.salesforce import errors
from leads.errors import Failure, Misconfigured, Rejected, Throttled, Transient
from leads.lead import Contact, Lead
from leads.transport import Response
from tests.destinations.dynamics_leads import JOHN, NOW, lead
from tests.destinations.salesforce_leads import settings, step

PERSONAL = ("John", "Smith", "jsmith", "4255550100", "about prices")


def failed(org: StandIn, one: Lead | None = None, **extra: str) -> Failure:
    """The failure of sending a lead, which is told in words and holds nothing secret or personal."""
    with pytest.raises(Failure) as caught:
        salesforce.send(one or lead(), step(), settings(org, **extra))
    failure = caught.value
    assert failure.cause.endswith((".", ")", "…"))
    assert failure.remedy.endswith((".", ")"))
    for hidden in (*PERSONAL, SECRET, "00D5g!", "?"):
        assert hidden not in failure.cause + failure.remedy + failure.remote_id
    return failure


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "REQUEST_LIMIT_EXCEEDED", Throttled),
        (429, "", Throttled),
        (400, "UNABLE_TO_LOCK_ROW", Transient),
        (503, "SERVER_UNAVAILABLE", Transient),
        (500, "UNKNOWN_EXCEPTION", Transient),
        (403, "API_DISABLED_FOR_ORG", Misconfigured),
        (403, "INSUFFICIENT_ACCESS_OR_READONLY", Misconfigured),
        (400, "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", Misconfigured),
        (403, "FORBIDDEN", Misconfigured),
        (404, "NOT_FOUND", Misconfigured),
        (400, "INVALID_TYPE", Misconfigured),
        (400, "INACTIVE_OWNER_OR_USER", Misconfigured),
        (400, "STORAGE_LIMIT_EXCEEDED", Misconfigured),
        (400, "DUPLICATES_DETECTED", Misconfigured),
        (400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", Misconfigured),
        (400, "REQUIRED_FIELD_MISSING", Misconfigured),
        (400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", Misconfigured),
        (401, "INVALID_SESSION_ID", Misconfigured),
        (300, "", Rejected),
        (302, "", Misconfigured),
        (400, "SOMETHING_NEW", Rejected),
    ],
)
def test_the_table_of_errors(org: StandIn, status: int, code: str, kind: type[Failure]) -> None:
    org.fail(status, code, "Jsmith@microsoft.com of John Smith is refused", method="POST", times=2)
    failure = failed(org)
    assert type(failure) is kind
    assert failure.unanswered is (status == 500)
    assert code in failure.cause
    assert org.leads == {}
    org._server.failures.clear()
    salesforce.send(lead(), step(uncertain=failure.unanswered), settings(org))
    assert (len(org.leads), len(org.tasks)) == (1, 1)


def test_a_rule_is_told_in_its_own_words(org: StandIn) -> None:
    org.fail(400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", "Enter a budget, John Smith", method="POST")
    failure = failed(org)
    assert "A validation rule of the org refuses the record: Enter a budget, …" in failure.cause
    assert "SALESFORCE_FIELDS" in failure.remedy


@pytest.mark.parametrize(
    ("change", "words", "setting"),
    [
        ({"client_id": "3MVG9.other"}, "does not know the consumer key", "SALESFORCE_CLIENT_ID"),
        ({"client_secret": "other"}, "consumer secret is wrong", "SALESFORCE_CLIENT_SECRET"),
    ],
)
def test_a_wrong_sign_in(org: StandIn, change: dict[str, str], words: str, setting: str) -> None:
    failure = failed(org, None, **change)
    assert isinstance(failure, Misconfigured)
    assert words in failure.cause
    assert setting in failure.remedy
    assert not failure.unanswered


def test_no_user_to_run_as(org: StandIn) -> None:
    org.run_as = ""
    assert "no user to run as" in failed(org).cause


@pytest.mark.parametrize(
    ("error", "description", "words"),
    [
        ("invalid_grant", "request not supported on this domain", "not the org's My Domain"),
        ("invalid_grant", "user hasn't approved this consumer", "not approved"),
        ("invalid_app_access", "user is not admin approved to access this app", "not approved"),
        ("invalid_grant", "audience is invalid", "audience"),
        ("invalid_grant", "invalid assertion", "signature of the private key"),
        ("inactive_user", "user is inactive", "not active"),
        ("unsupported_grant_type", "grant type not supported", "does not allow this flow"),
        ("invalid_grant", "authentication failure", "Salesforce refused the sign-in: authentication failure."),
    ],
)
def test_what_the_token_endpoint_says(error: str, description: str, words: str) -> None:
    body = json.dumps({"error": error, "error_description": description}).encode()
    failure = errors.of_sign_in(Response(400, {}, body), "contoso.my.salesforce.com", NOW)
    assert isinstance(failure, Misconfigured)
    assert words in failure.cause


def test_a_sign_in_that_fails_left_nothing_of_the_lead(org: StandIn) -> None:
    org.fail(path="token", close=True)
    failure = failed(org)
    assert isinstance(failure, Transient)
    assert not failure.unanswered
    org.fail(400, path="token", html=json.dumps({"error": "invalid_grant", "error_description": "login rate exceeded"}))
    assert isinstance(failed(org), Throttled)
    org.fail(404, path="token", html="<!DOCTYPE html><title>URL No Longer Exists</title>")
    assert "SALESFORCE_URL" in failed(org).remedy


def test_a_private_key_that_is_none(org: StandIn) -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMIIC\n-----END PRIVATE KEY-----"
    failure = failed(org, client_secret="", private_key=pem, username=USERNAME)
    assert isinstance(failure, Misconfigured)
    assert "SALESFORCE_PRIVATE_KEY" in failure.remedy


@pytest.mark.parametrize("kind", ["Lead", "Task"])
def test_without_its_key_field_the_org_is_misconfigured(org: StandIn, kind: str) -> None:
    name = {"Lead": "MarketplaceLeadKey__c", "Task": "MarketplaceStepKey__c"}[kind]
    del org.org.objects[kind][name]
    failure = failed(org)
    assert isinstance(failure, Misconfigured)
    assert name in failure.cause
    assert len(org.tasks) == 0


# Fields that the org does not take


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if "settings_problem" in record.message]


@pytest.mark.parametrize("name", ["Rating", "Title", "HasOptedOutOfEmail", "LeadSource", "Description"])
def test_a_field_that_the_org_has_not_is_left_out_with_a_warning(
    org: StandIn, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    del org.org.objects["Lead"][name]
    with caplog.at_level(logging.INFO, "leads"):
        salesforce.send(lead("DNC"), step(), settings(org))
    (row,) = org.leads.values()
    assert name not in row
    assert row["LastName"] == "Smith"
    assert [name in line for line in warned(caplog)] == [True]
    salesforce.send(lead("PLT", event=2), step(), settings(org))
    assert len(org.tasks) == 2


def test_each_refused_field_is_left_out(org: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("Title", "Phone", "LeadSource", "DoNotCall"):
        del org.org.objects["Lead"][name]
    told = '{"Nowhere__c": "x", "NumberOfEmployees": 10}'
    with caplog.at_level(logging.INFO, "leads"):
        salesforce.send(lead("DNC"), step(), settings(org, fields=told))
    (row,) = org.leads.values()
    assert row["NumberOfEmployees"] == 10
    assert len(warned(caplog)) == 5


@pytest.mark.parametrize(
    ("code", "message", "fields"),
    [
        ("INVALID_EMAIL_ADDRESS", "Email: invalid email address: jsmith", ("Email",)),
        ("FIELD_INTEGRITY_EXCEPTION", "Email is odd", ("Email",)),
        ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "bad value for restricted picklist field: x", ("Email",)),
        ("INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: Email. Please check …", ()),
        ("DUPLICATE_VALUE", "duplicate value found: Email duplicates value on record with id: 00Q5g0000000001", ()),
    ],
)
def test_a_refused_value_is_left_out(org: StandIn, code: str, message: str, fields: tuple[str, ...]) -> None:
    org.fail(400, code, message, fields=fields, method="POST", path="Lead")
    salesforce.send(lead(), step(), settings(org))
    (row,) = org.leads.values()
    assert "Email" not in row
    assert row["Title"] == "CTO"
    assert "jsmith@microsoft.com" in next(iter(org.tasks.values()))["Description"]


def test_a_shorter_field_is_cut_to_its_length(org: StandIn) -> None:
    org.org.objects["Lead"]["Company"] = Field("string", 19, required=True)
    org.org.objects["Lead"]["Phone"] = Field("phone", 5)
    one = lead(contact=replace(JOHN, company="Analytical Engines of London"))
    salesforce.send(one, step(), settings(org))
    (row,) = org.leads.values()
    assert row["Company"] == "Analytical Engines…"
    assert "Phone" not in row, "half a number is of no use"


def test_a_required_field_is_never_left_out(org: StandIn) -> None:
    org.fail(400, "FIELD_INTEGRITY_EXCEPTION", "no", fields=("Company", "Title"), method="POST")
    told = failed(org)
    assert isinstance(told, Misconfigured)
    assert "Company" in told.cause + told.remedy
    assert len([call for call in org.api_calls if call.method == "POST"]) == 1


def test_fields_that_nobody_names_go_together(org: StandIn) -> None:
    salesforce.send(lead(), step(), settings(org, fields='{"NumberOfEmployees": "many", "City": "Turin"}'))
    (row,) = org.leads.values()
    assert row.keys() & {"NumberOfEmployees", "City"} == set()


def test_a_refused_value_without_a_name_and_without_further_fields_is_rejected(org: StandIn) -> None:
    org.fail(400, "JSON_PARSER_ERROR", "Unexpected character", method="POST")
    assert isinstance(failed(org), Rejected)


def test_a_refused_change_does_not_keep_the_step_away(org: StandIn) -> None:
    first, second = lead("INS", contact=Contact(last_name="Smith")), lead("PLT", event=2)
    id_ = salesforce.send(first, step(), settings(org))
    org.fail(400, "INVALID_FIELD_FOR_INSERT_UPDATE", "x", fields=("Phone",), method="PATCH")
    salesforce.send(second, step((first, id_)), settings(org))
    assert (org.leads[id_]["Rating"], org.leads[id_].get("Phone")) == ("Hot", None)
    assert len(org.tasks) == 2


def test_a_key_that_the_user_may_not_see_is_misconfigured(org: StandIn) -> None:
    """Sharing hides a record from the query, but its key is taken."""
    org.fail(
        400, "DUPLICATE_VALUE", "duplicate value found: <unknown> duplicates value on record", method="POST", times=3
    )
    failure = failed(org)
    assert isinstance(failure, Misconfigured)
    assert "View All Records" in failure.remedy


def test_a_task_without_its_record_is_finished_later(org: StandIn) -> None:
    org.fail(403, "INSUFFICIENT_ACCESS_OR_READONLY", path="Task")
    failure = failed(org)
    (id_,) = org.leads
    assert failure.remote_id == f"{id_}/task"
    org.calls.clear()
    assert salesforce.send(lead(), step(remote_id=failure.remote_id), settings(org)) == id_
    assert [call.method for call in org.api_calls] == ["GET", "POST"]
    assert (len(org.leads), len(org.tasks)) == (1, 1)


@given(
    st.integers(200, 599),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from(["errorCode", "message", "fields"]),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["errorCode", "message", "fields"]), inner),
    ),
)
def test_any_answer_is_a_failure_in_words(status: int, body: Any) -> None:
    response = Response(status, {}, json.dumps(body).encode())
    failure = errors.failure(response, "make the lead", "contoso.my.salesforce.com", NOW, (), ("Key__c",))
    assert failure.cause
    assert failure.remedy
    errors.named(response, ["Email"])
    errors.allowed_length(response)
    assert errors.of_sign_in(response, "contoso.my.salesforce.com", NOW).remedy


@given(st.lists(st.text(min_size=3, max_size=20)), st.text(max_size=40))
def test_what_the_customer_told_is_never_shown(private: list[str], rest: str) -> None:
    answer = refused(400, "SOMETHING_NEW", " ".join([rest, *private, "jsmith@microsoft.com", "+1 (425) 555-0100"]))
    response = Response(400, {}, json.dumps(answer.body).encode())
    failure = errors.failure(response, "make the lead", "h.example", NOW, private, ())
    shown = failure.cause.partition("SOMETHING_NEW)")[2].lower()
    for part in (*private, "jsmith", "555-0100"):
        assert part.lower() not in shown or not part.strip(" .…:")


@pytest.mark.parametrize("body", ["[]", "{}", "null", '{"records": 1}'])
def test_an_answer_of_a_stranger(org: StandIn, body: str) -> None:
    org.fail(200, html=body, path="queryAll")
    assert isinstance(failed(org), Misconfigured)


def test_records_without_an_id_are_none(org: StandIn) -> None:
    org.fail(200, html='{"records": [1, null, {}, {"Id": ""}]}', path="queryAll")
    salesforce.send(lead(), step(), settings(org))
    assert len(org.leads) == 1
