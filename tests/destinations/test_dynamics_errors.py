"""Failures, each from the wire: what this app says, and that the lead is neither lost nor doubled."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.standins.dynamics import SECRET, StandIn
from leads import crm as words
from leads import oauth
from leads.destinations import dynamics
from leads.destinations.dynamics import columns, errors
from leads.errors import Failure, Misconfigured, Rejected, Throttled, Transient
from leads.lead import Lead
from leads.transport import Response
from tests.destinations.dynamics_leads import JOHN, NOW, lead, problems, settings, step

PERSONAL = ("John", "Smith", "jsmith", "4255550100", "about prices")


@pytest.fixture(autouse=True)
def _no_memory() -> None:
    columns._refused.clear()


def failed(crm: StandIn, one: Lead | None = None, **extra: str) -> Failure:
    """The failure of sending a lead, which is told in words and holds nothing secret or personal."""
    with pytest.raises(Failure) as caught:
        dynamics.send(one or lead(), step(), settings(crm, **extra))
    failure = caught.value
    assert failure.cause.endswith((".", ")", "…"))
    assert failure.remedy.endswith(".")
    for text in (*PERSONAL, SECRET, "Bearer", "?$", "/api/"):
        assert text not in f"{failure} {failure.cause} {failure.remedy}"
    return failure


def said(failure: Failure) -> str:
    return f"{failure.cause} {failure.remedy}"


# The eight lead-configuration errors of the marketplace documentation, in its order


def test_1_unable_to_sign_in_no_application_user(crm: StandIn) -> None:
    crm.dataverse.members.clear()
    failure = failed(crm)
    assert isinstance(failure, Misconfigured)
    assert "0x80072560" in failure.cause
    assert "The sign-in worked, but the app is not an enabled user of this environment." in failure.cause
    assert "Application users" in failure.remedy


def test_1_unable_to_sign_in_disabled_application_user(crm: StandIn) -> None:
    crm.dataverse.disabled.add(crm.client_id)
    assert "not an enabled user" in failed(crm).cause


def test_1_unable_to_sign_in_token_refused_twice(crm: StandIn) -> None:
    crm.fail(401, times=2, html="HTTP Error 401 - Unauthorized: Access is denied")
    failure = failed(crm)
    assert isinstance(failure, Misconfigured)
    assert "not an enabled user" in failure.cause
    assert [call.status for call in crm.api_calls] == [401, 401]


def test_2_no_create_permission_for_leadsourcecode_and_the_lead_arrives_still(
    crm: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    crm.dataverse.secured.add("leadsourcecode")
    with caplog.at_level(logging.INFO, "leads"):
        guid = dynamics.send(lead(), step(), settings(crm))
    assert "leadsourcecode" not in crm.leads[guid]
    assert [call.status for call in crm.api_calls] == [403, 204, 204]
    assert "settings_problem" in caplog.text
    assert "The application user may not set the column: leadsourcecode." in caplog.text
    # The next lead does not pay for it again.
    crm.calls.clear()
    dynamics.send(lead(event=2, customer="b" * 16), step(), settings(crm))
    assert len(crm.api_calls) == 2


def test_3_tenant_not_found(crm: StandIn) -> None:
    failure = failed(crm, tenant_id="99999999-2222-4222-8222-222222222222")
    assert isinstance(failure, Misconfigured)
    assert "AADSTS90002" in said(failure)


def test_4_no_roles_are_assigned(crm: StandIn) -> None:
    crm.dataverse.privileges.clear()
    failure = failed(crm)
    assert isinstance(failure, Misconfigured)
    assert "0x80042f09" in failure.cause
    assert "The application user has no security role." in failure.cause
    assert "security role" in failure.remedy


def test_5_application_not_found(crm: StandIn) -> None:
    failure = failed(crm, client_id="22222222-2222-4222-8222-222222222222")
    assert isinstance(failure, Misconfigured)
    assert "AADSTS700016" in said(failure)


def test_6_tenant_identifier_is_not_valid(crm: StandIn) -> None:
    told = problems({**crm.environ(), "DYNAMICS_TENANT_ID": "contoso"})
    assert "the requested tenant identifier is not valid" in told["DYNAMICS_TENANT_ID"]
    # What looks right here and is not for Entra:
    body = {"error": "invalid_request", "error_description": "AADSTS900023: Specified tenant identifier is neither…"}
    crm.fail(400, path="openid-configuration", body=body)
    failure = failed(crm, tenant_id="not.a.tenant")
    assert isinstance(failure, Misconfigured)
    assert "AADSTS900023" in said(failure)


def test_7_invalid_client_secret(crm: StandIn) -> None:
    failure = failed(crm, client_secret="00000000-0000-4000-8000-000000000000")
    assert isinstance(failure, Misconfigured)
    assert "AADSTS7000215" in said(failure)
    assert "00000000" not in said(failure)


def test_8_request_channel_timed_out(crm: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leads.transport.READ_SECONDS", 0.2)
    crm.fail(hang=True)
    failure = failed(crm)
    assert isinstance(failure, Transient)
    assert failure.cause == "localhost did not answer in time."
    assert "DYNAMICS_URL is not the address of a Dynamics environment" in failure.remedy


def test_8_not_a_dynamics_instance(crm: StandIn) -> None:
    for status in (200, 302, 403, 404, 405):
        crm.fail(status, html="<!DOCTYPE html><title>Welcome</title>", headers={"Location": "/login"})
        failure = failed(crm)
        assert isinstance(failure, Misconfigured)
        assert "does not answer like a Dynamics environment" in failure.cause
        assert "DYNAMICS_URL" in failure.remedy
    crm.fail(404, body={"message": "no such route"})
    assert "does not answer like a Dynamics" in failed(crm).cause


# Further refusals


@pytest.mark.parametrize(
    ("status", "code", "message", "kind", "words"),
    [
        (403, "0x80040220", "Principal user is missing prvAppendToLead privilege", Misconfigured, "prvAppendToLead."),
        (403, "0x80040220", "SecLib::CheckPrivilege failed", Misconfigured, "lacks a privilege"),
        (403, "-2147220960", "is missing prvCreateLead privilege", Misconfigured, "prvCreateLead"),
        (403, "0x80048306", "missing CreateAccess", Misconfigured, "does not reach this record or its owner"),
        (403, "0x80040225", "disabled", Misconfigured, "not an enabled user"),
        (403, "0x80041D1F", "disabled", Misconfigured, "not an enabled user"),
        (403, "0x8004f502", "a secured field", Misconfigured, "column security"),
        (403, "", "", Misconfigured, "may not"),
        (404, "0x8006088a", "Resource not found for the segment 'leads'.", Misconfigured, "Sales is not installed"),
        (404, "0x80060888", "Could not find an entity", Misconfigured, "Sales is not installed"),
        (404, "0x80040217", "queue With Id = 1 Does Not Exist", Rejected, "does not have"),
        (400, "0x80040265", "No leads from jsmith@microsoft.com today", Rejected, "No leads from … today"),
        (500, "0x80040265", "Plug-in said no to John Smith", Rejected, "said no to …"),
        (500, "0x80040333", "duplicate", Rejected, "refused the record: duplicate."),
        (412, "0x80040333", "duplicate", Rejected, "duplicate detection rule"),
        (400, "0x80048408", "3 is not a valid status code", Rejected, "not a valid status code"),
        (413, "", "", Rejected, "HTTP 413"),
        (409, "", "conflict", Transient, "HTTP 409"),
        (500, "0x80040216", "An unexpected error occurred.", Transient, "is not working"),
        (502, "", "", Transient, "is not working"),
        (503, "", "", Transient, "is not working"),
        (504, "", "", Transient, "is not working"),
    ],
)
def test_refusals(crm: StandIn, status: int, code: str, message: str, kind: type[Failure], words: str) -> None:
    crm.fail(status, code, message, times=9)
    failure = failed(crm)
    assert isinstance(failure, kind)
    assert words in failure.cause


@pytest.mark.parametrize("limit", ["requests", "time", "concurrency"])
@pytest.mark.parametrize(("header", "seconds"), [("120", 120.0), ("Tue, 03 Nov 2026 16:06:06 GMT", 60.0)])
def test_throttled(crm: StandIn, limit: str, header: str, seconds: float) -> None:
    crm.throttle(limit, retry_after=header)
    failure = failed(crm)
    assert isinstance(failure, Throttled)
    assert failure.retry_after == seconds
    assert failure.remote_id == ""


def test_out_of_order_may_say_when(crm: StandIn) -> None:
    crm.fail(503, headers={"Retry-After": "77"})
    failure = failed(crm)
    assert isinstance(failure, Transient)
    assert failure.retry_after == 77


def test_a_token_is_renewed_once(crm: StandIn) -> None:
    told = settings(crm)
    dynamics.send(lead(), step(), told)
    crm.revoke_tokens()
    crm.calls.clear()
    dynamics.send(lead(event=2, customer="c" * 16), step(), told)
    assert [call.status for call in crm.api_calls] == [401, 204, 204]
    assert [call.status for call in crm.calls if "oauth2" in call.path] == [200]


def test_the_token_is_for_the_environment(crm: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[oauth.Credentials, str]] = []

    def token(credentials: oauth.Credentials, resource: str, **_: object) -> str:
        asked.append((credentials, resource))
        raise Transient("Out of order.")

    monkeypatch.setattr(oauth, "token", token)
    with pytest.raises(Transient) as caught:
        dynamics.send(lead(), step(), settings(crm))
    assert caught.value.remote_id == ""
    environ = crm.environ()
    expected = oauth.Credentials(
        tenant_id=environ["DYNAMICS_TENANT_ID"],
        client_id=environ["DYNAMICS_CLIENT_ID"],
        secret=environ["DYNAMICS_CLIENT_SECRET"],
        authority=environ["DYNAMICS_AUTHORITY"],
        prefix="DYNAMICS",
    )
    assert asked == [(expected, crm.url)]


def test_a_managed_identity_signs_in(crm: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    crm.add_identity(system_assigned=True)
    for name, value in crm.identity_environ().items():
        monkeypatch.setenv(name, value)
    dynamics.send(lead(), step(), settings(crm, client_id="", client_secret="", tenant_id=""))
    assert len(crm.leads) == 1


def test_a_managed_identity_vouches_for_an_app_of_another_tenant(crm: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    crm.entra.federate(crm.registration, crm.add_identity(system_assigned=True, member=False))
    for name, value in crm.identity_environ().items():
        monkeypatch.setenv(name, value)
    dynamics.send(lead(), step(), settings(crm, client_secret="", federated="true"))
    assert len(crm.leads) == 1


# Columns that the organization does not take


def test_an_unknown_column_is_left_out(crm: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    told = settings(crm, fields='{"new_campaign": "lead.contact.first_name", "address1_city": "Roma"}')
    with caplog.at_level(logging.INFO, "leads"):
        guid = dynamics.send(lead(), step(), told)
    assert crm.leads[guid]["address1_city"] == "Roma"
    assert "no such column" in caplog.text
    assert "DYNAMICS_FIELDS" in caplog.text
    assert not any(text in caplog.text for text in PERSONAL)
    crm.calls.clear()
    dynamics.send(lead(event=2, customer="b" * 16), step(), told)
    assert len(crm.api_calls) == 2


def test_a_standard_column_that_was_removed_is_left_out(crm: StandIn) -> None:
    del crm.dataverse.tables["leads"].columns["jobtitle"]
    guid = dynamics.send(lead(), step(), settings(crm))
    assert crm.leads[guid]["companyname"] == "Microsoft"


def test_an_unknown_lookup_is_left_out(crm: StandIn) -> None:
    told = settings(crm, fields='{"new_Region@odata.bind": "/new_regions(1)", "address1_city": "Roma"}')
    guid = dynamics.send(lead(), step(), told)
    assert crm.leads[guid]["address1_city"] == "Roma"


def test_a_value_of_another_kind_is_left_out_for_this_lead_only(crm: StandIn) -> None:
    told = settings(crm, fields='{"numberofemployees": "lead.extra.seats"}')
    guid = dynamics.send(lead(extra={"seats": "property 'emailaddress1' attribute"}), step(), told)
    assert crm.leads[guid]["emailaddress1"] == "jsmith@microsoft.com"
    again = dynamics.send(lead(event=2, customer="b" * 16, extra={"seats": 7}), step(), told)
    assert crm.leads[again]["numberofemployees"] == 7


def test_an_option_that_there_is_not_is_left_out(crm: StandIn) -> None:
    guid = dynamics.send(lead(), step(), settings(crm, lead_source_code="100000001"))
    assert "leadsourcecode" not in crm.leads[guid]


def test_too_long_is_cut_to_what_fits(crm: StandIn) -> None:
    told = settings(crm, fields='{"sic": "lead.message"}')
    guid = dynamics.send(lead(), step(), told)
    assert crm.leads[guid]["sic"] == "Could you call me…"


def test_too_long_without_a_length_is_left_out(crm: StandIn) -> None:
    crm.fail(400, "0x80044331", "The length of the 'jobtitle' attribute of the 'lead' entity is too long.")
    guid = dynamics.send(lead(), step(), settings(crm))
    assert "jobtitle" not in crm.leads[guid]


def test_extra_columns_go_when_dynamics_does_not_say_why(crm: StandIn) -> None:
    crm.fail(400, "0x80040203", "Invalid argument")
    guid = dynamics.send(lead(), step(), settings(crm, fields='{"address1_city": "Roma"}'))
    assert "address1_city" not in crm.leads[guid]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("0x80048306", "missing CreateAccess"),
        ("0x80040220", "Principal user is missing prvAssignLead privilege"),
        ("0x80040220", "Principal user is missing prvReadUser privilege"),
    ],
)
def test_an_owner_who_cannot_own_does_not_stop_the_lead(crm: StandIn, code: str, message: str) -> None:
    crm.fail(403, code, message)
    told = settings(crm, owner="team:55555555-5555-4555-8555-555555555555")
    crm.dataverse.others["teams"].add("55555555-5555-4555-8555-555555555555")
    guid = dynamics.send(lead(), step(), told)
    assert crm.leads[guid]["_ownerid_value"] != "55555555-5555-4555-8555-555555555555"


def test_an_owner_who_left_does_not_stop_the_lead(crm: StandIn) -> None:
    told = settings(crm, owner="systemuser:55555555-5555-4555-8555-555555555555", follow_up="task")
    dynamics.send(lead(), step(), told)
    assert len(crm.tasks) == 1


def test_a_rating_that_may_not_be_set_does_not_stop_the_note(crm: StandIn) -> None:
    first = lead("INS")
    guid = dynamics.send(first, step(), settings(crm))
    crm.dataverse.secured.add("leadqualitycode")
    for event in (2, 3):
        crm.calls.clear()
        assert dynamics.send(lead(event=event), step((first, guid)), settings(crm)) == guid
    assert [call.status for call in crm.api_calls] == [200, 204]
    assert len(crm.notes) == 3


def test_what_is_refused_is_tried_again_after_an_hour(crm: StandIn) -> None:
    crm.dataverse.secured.add("leadsourcecode")
    dynamics.send(lead(), step(), settings(crm))
    assert columns.accepted({"leadsourcecode": 8}, f"{crm.url}/leads", NOW) == {}
    assert columns.accepted({"leadsourcecode": 8}, f"{crm.url}/leads", NOW + columns.REMEMBERED) != {}


# Reading answers


@given(st.integers(200, 599), st.binary(max_size=200), st.text(max_size=20))
def test_any_answer_is_some_failure(status: int, body: bytes, kind: str) -> None:
    response = Response(status, {"content-type": kind, "retry-after": kind}, body)
    failure = errors.failure(response, "make the record", "contoso.crm4.dynamics.com", NOW, PERSONAL)
    assert failure.cause
    assert failure.remedy


@given(st.text(), st.lists(st.text(min_size=3, max_size=20), max_size=4))
def test_what_the_customer_told_is_not_repeated(text: str, private: list[str]) -> None:
    told = words.safe(" ".join([text, *private, "jsmith@microsoft.com", "+1 (425) 555-0100"]), private)
    assert len(told) <= 300
    assert "jsmith@microsoft.com" not in told
    assert "555-0100" not in told
    assert not any(value.strip() in told for value in private if len(value.strip()) >= 3 and value.isascii())


def test_fields_that_this_app_does_not_know_are_not_repeated(crm: StandIn) -> None:
    told = lead(extra={"Notes": "ask for Zenobia", "More": {"people": ["Hypatia"]}, "Seats": 5})
    crm.fail(400, "0x80040265", "The plug-in wants no 'ask for Zenobia' and no Hypatia.")
    with pytest.raises(Rejected) as refused:
        dynamics.send(told, step(), settings(crm))
    assert "The plug-in wants no" in refused.value.cause
    assert "Zenobia" not in refused.value.cause
    assert "Hypatia" not in refused.value.cause


@pytest.mark.parametrize(
    "message",
    [
        "Could not find a property named 'jobtitle' on type 'Microsoft.Dynamics.CRM.lead'.",
        "The property 'jobtitle' does not exist on type 'Microsoft.Dynamics.CRM.lead'.",
        "Invalid property 'jobtitle' was found in entity 'Microsoft.Dynamics.CRM.lead'.",
        "An undeclared property 'jobtitle' which only has property annotations",
        "Caller user with ID 1 does not have Create permissions for the jobtitle attribute in the lead entity.",
        "A validation error occurred. The length of the 'jobtitle' attribute of the 'lead' entity exceeded",
        "A validation error occurred. The value 5 of 'jobtitle' on record of type 'lead' is outside the valid range.",
    ],
)
def test_the_column_is_found_in_the_words(message: str) -> None:
    import json

    response = Response(400, {}, json.dumps({"error": {"code": "0x0", "message": message}}).encode())
    assert errors.named_columns(response, ["jobtitle", "lead", "firstname", "JobTitle@odata.bind"]) == [
        "jobtitle",
        "JobTitle@odata.bind",
    ]


def test_john_is_john() -> None:
    """The personal words that these tests look for are those of the lead."""
    assert all(any(text in value for value in (*PERSONAL_OF_JOHN,)) for text in PERSONAL)


PERSONAL_OF_JOHN = (JOHN.first_name, JOHN.last_name, JOHN.email, JOHN.phone, lead().message)


def test_too_long_without_a_column_is_rejected(crm: StandIn) -> None:
    crm.fail(400, "0x80044331", "A validation error occurred.")
    assert isinstance(failed(crm), Rejected)
