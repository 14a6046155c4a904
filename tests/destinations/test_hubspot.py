"""HubSpot on the wire: what is asked, in which order, and what its answers become.

Documents: HubSpot's API specification of 2026-03 (contacts, notes, properties, subscriptions); developers.hubspot.com,
"Error handling", "Usage guidelines", "Notes guide". Nothing here ran against a real account.
"""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from dev.standins import hubspot as standin
from dev.standins.hubspot import FLAG, KEY, StandIn, error
from dev.standins.server import Answer, Call
from leads.contract import Finding, Step
from leads.destinations import hubspot
from leads.destinations.hubspot import mapping
from leads.errors import Failure, Misconfigured, Rejected, Skip, Throttled, Transient
from leads.lead import Contact, Lead
from leads.reader import Reader
from leads.transport import Deadline
from tests.destinations import vendor
from tests.destinations.dynamics_leads import JOHN, NOW, lead

NOBODY = replace(JOHN, email="")
CONTACTS = "/crm/objects/2026-03/contacts"
NOTES = "/crm/objects/2026-03/notes"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with standin.start(tmp_path_factory.mktemp("hubspot"), {}) as running:
        yield running


@pytest.fixture
def crm(started: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in, empty."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", started.ca_file)
    vars(started.account).update(vars(standin.Account()))
    started.server.failures.clear()
    started.calls.clear()
    return started


def settings(crm: StandIn, **changes: str) -> hubspot.Settings:
    environ = {**crm.environ(), **{f"HUBSPOT_{name.upper()}": value for name, value in changes.items()}}
    reader = Reader(environ, hubspot.SETTINGS)
    read = hubspot.Settings.read(reader)
    assert reader.problems == []
    return read


def send(crm: StandIn, one: Lead, remote_id: str = "", changes: Mapping[str, str] | None = None, **more: Any) -> str:
    step = Step(now=NOW, deadline=Deadline.after(30), remote_id=remote_id, **more)
    return hubspot.send(one, step, settings(crm, **(changes or {})))


def failure(crm: StandIn, one: Lead, **more: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        send(crm, one, **more)
    return caught.value


def asked(crm: StandIn) -> list[str]:
    return [f"{call.method} {call.path}" for call in crm.calls]


def of(crm: StandIn, method: str, path: str) -> Call:
    return next(call for call in crm.calls if (call.method, call.path) == (method, path))


def person(crm: StandIn, **properties: str) -> str:
    """A contact that somebody made in HubSpot."""
    crm.account.contacts["7"] = standin.Record({"email": JOHN.email, **properties}, datetime.now(UTC))
    return "7"


def test_a_new_customer_costs_two_requests(crm: StandIn) -> None:
    """Specification of 2026-03: `associations` is required on create; the note's guide has `hs_timestamp`."""
    one = lead()
    told = send(crm, one)
    assert asked(crm) == [f"POST {CONTACTS}", f"POST {NOTES}"]
    contact, note = crm.calls
    assert contact.headers["authorization"] == f"Bearer {standin.TOKEN}"
    assert contact.headers["content-type"] == "application/json"
    assert contact.json() == {
        "properties": {
            "email": "jsmith@microsoft.com",
            "firstname": "John",
            "lastname": "Smith",
            "phone": "+14255550100",
            "company": "Microsoft",
            "jobtitle": "CTO",
            "country": "United States",
            "lifecyclestage": "lead",
            KEY: one.id,
        },
        "associations": [],
    }
    assert note.json()["properties"]["hs_timestamp"] == "2026-11-03T16:06:06.000Z"
    assert note.json()["associations"] == [
        {"to": {"id": told}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 202}]}
    ]
    body = note.json()["properties"]["hs_note_body"]
    for part in ("Contact me", "Contoso Planner", "Could you call me about prices?", one.id):
        assert part in body
    assert told in crm.account.contacts


def test_the_version_is_a_setting(crm: StandIn) -> None:
    crm.fail(Answer(404, error(404, "RESOURCE_NOT_FOUND")))
    failure(crm, lead(), changes={"api_version": "2027-03"})
    assert asked(crm) == ["POST /crm/objects/2027-03/contacts"]


def test_what_a_person_typed_stays_and_what_is_empty_is_filled(crm: StandIn) -> None:
    contact = person(crm, firstname="Johnny", phone="", lifecyclestage="customer")
    assert send(crm, lead()) == contact
    assert asked(crm) == [
        f"POST {CONTACTS}",
        f"POST {CONTACTS}/batch/read",
        f"PATCH {CONTACTS}/7",
        f"POST {NOTES}",
    ]
    properties = crm.account.contacts[contact].properties
    assert properties["firstname"] == "Johnny"
    assert properties["phone"] == "+14255550100"
    assert properties["lifecyclestage"] == "customer"
    assert KEY not in properties, "the mark says who made a contact, and this one was there"
    assert len(crm.account.notes_on(contact)) == 1


def test_a_later_step_is_a_note_on_the_same_contact_and_moves_no_stage_back(crm: StandIn) -> None:
    contact = send(crm, lead("INS"))
    crm.account.contacts[contact].properties["lifecyclestage"] = "opportunity"
    assert send(crm, lead("PLT", event=2)) == contact
    assert send(crm, lead("PLT", event=3, offer="contoso.other", offer_title="Other")) == contact
    assert crm.account.contacts[contact].properties["lifecyclestage"] == "opportunity"
    assert len(crm.account.notes_on(contact)) == 3


def test_no_address_is_ever_in_a_url(crm: StandIn) -> None:
    one = lead("DNC")
    contact = send(crm, one)
    send(crm, lead(event=2), uncertain=True)
    send(crm, one, contact, replayed=True)
    crm.account.delete(contact)
    failure(crm, one, remote_id=contact, replayed=True)
    for call in crm.calls:
        assert "@" not in call.path + str(call.query)
        assert "%40" not in call.path


def test_an_address_is_found_whatever_its_case(crm: StandIn) -> None:
    contact = send(crm, lead())
    assert send(crm, lead(event=2, contact=replace(JOHN, email="JSmith@microsoft.com"))) == contact


def test_a_lost_answer_makes_no_second_contact_and_no_second_note(crm: StandIn) -> None:
    one = lead()
    crm.fail(path="contacts$", method="POST", do_the_work_first=True, close=True)
    first = failure(crm, one)
    assert first.unanswered
    crm.fail(path="notes$", method="POST", do_the_work_first=True, close=True)
    second = failure(crm, one, remote_id=first.remote_id, uncertain=True)
    assert second.remote_id.endswith("/note")
    contact = send(crm, one, second.remote_id, uncertain=True)
    assert list(crm.account.contacts) == [contact]
    assert len(crm.account.notes_on(contact)) == 1


def test_the_note_is_found_among_many_by_the_contacts_associations_and_not_by_search(crm: StandIn) -> None:
    crm.account.page = 2
    contact = send(crm, lead(event=1))
    for event in range(2, 8):
        send(crm, lead(event=event))
    crm.calls.clear()
    assert send(crm, lead(event=6), f"{contact}/note", uncertain=True) == contact
    assert f"POST {NOTES}" not in asked(crm)
    assert of(crm, "GET", f"{CONTACTS}/{contact}").query == {"associations": "notes"}
    assert asked(crm).count(f"GET {CONTACTS}/{contact}/associations/notes") == 3
    assert not [call for call in crm.calls if "search" in call.path]
    assert len(crm.account.notes_on(contact)) == 7


def test_the_next_page_is_asked_of_the_address_of_the_settings(crm: StandIn) -> None:
    """Links name api.hubapi.com; the token goes to no host but that of HUBSPOT_URL."""
    crm.account.page = 1
    contact = send(crm, lead())
    send(crm, lead(event=2))
    assert send(crm, lead(event=2), f"{contact}/note", uncertain=True) == contact
    assert len(crm.account.notes_on(contact)) == 2


def test_without_an_address_the_contact_is_found_by_the_apps_own_key(crm: StandIn) -> None:
    one = lead(contact=NOBODY)
    crm.fail(path="contacts$", method="POST", do_the_work_first=True, close=True)
    lost = failure(crm, one)
    contact = send(crm, one, lost.remote_id, uncertain=True)
    assert list(crm.account.contacts) == [contact]
    assert "email" not in crm.account.contacts[contact].properties
    assert crm.account.contacts[contact].properties[KEY] == one.id
    assert of(crm, "POST", f"{CONTACTS}/batch/read").json()["idProperty"] == KEY


@pytest.mark.parametrize(
    ("contact", "name"),
    [(NOBODY, "Smith"), (Contact(company="Microsoft"), "Microsoft"), (Contact(), "(unknown)")],
)
def test_without_an_address_there_is_always_a_last_name(crm: StandIn, contact: Contact, name: str) -> None:
    made = send(crm, lead(contact=contact))
    assert crm.account.contacts[made].properties["lastname"] == name


def test_without_an_address_and_without_a_key_the_lead_is_skipped(crm: StandIn) -> None:
    with pytest.raises(Skip) as skipped:
        send(crm, lead(contact=NOBODY), changes={"key": "", "opt_out": "false"})
    assert "HUBSPOT_KEY" in skipped.value.reason
    assert crm.calls == []


def test_an_address_that_hubspot_does_not_take_costs_the_address_and_not_the_lead(crm: StandIn) -> None:
    odd = lead("DNC", contact=replace(JOHN, email="jürgen@exämple.com"))
    contact = send(crm, odd)
    assert "email" not in crm.account.contacts[contact].properties
    assert "jürgen@exämple.com" in crm.account.notes_on(contact)[0]
    assert crm.account.unsubscribed == set()
    told = failure(crm, odd, changes={"key": "", "opt_out": "false"})
    assert isinstance(told, Rejected)
    assert "HUBSPOT_KEY" in told.remedy


def test_do_not_contact_sets_the_flags_of_a_new_contact(crm: StandIn) -> None:
    contact = send(crm, lead("DNC"))
    assert crm.account.contacts[contact].properties[FLAG] == "true"
    assert crm.account.unsubscribed == {JOHN.email}
    call = of(crm, "POST", "/communication-preferences/2026-03/statuses/batch/unsubscribe-all")
    assert call.query == {"channel": "EMAIL"}
    assert call.json() == {"inputs": [JOHN.email]}


def test_do_not_contact_changes_nothing_in_a_contact_that_was_there(crm: StandIn) -> None:
    contact = person(crm, firstname="Johnny")
    before = dict(crm.account.contacts[contact].properties)
    send(crm, lead("DNC"))
    assert crm.account.contacts[contact].properties == before
    assert crm.account.unsubscribed == set()
    assert len(crm.account.notes_on(contact)) == 1


def test_requests_are_as_many_as_the_page_says(crm: StandIn) -> None:
    def cost(one: Lead) -> int:
        crm.calls.clear()
        send(crm, one)
        return len(crm.calls)

    person(crm, **mapping.contact(lead(), settings(crm), address=JOHN.email))
    assert cost(lead("INS", event=2)) == 3
    crm.account.contacts["7"].properties.pop("phone")
    assert cost(lead("PLT", event=3)) == 4
    other = replace(JOHN, email="other@contoso.com")
    assert cost(lead("DNC", event=4, customer="f" * 16, contact=other)) == 3, "contact, opt-out, note"


def test_an_opt_out_is_not_taken_back_when_the_customer_asks_for_more(crm: StandIn) -> None:
    contact = send(crm, lead("DNC"))
    send(crm, lead("PLT", event=2))
    assert crm.account.contacts[contact].properties[FLAG] == "true"
    assert crm.account.unsubscribed == {JOHN.email}


def test_a_note_that_a_person_deleted_behind_a_lost_answer_is_written_again(crm: StandIn) -> None:
    """Nothing tells it from one that was never written: the page says that this is not promised."""
    one = lead()
    contact = send(crm, one)
    crm.account.notes.clear()
    assert send(crm, one, f"{contact}/note", uncertain=True) == contact
    assert len(crm.account.notes_on(contact)) == 1


def test_nobody_is_unsubscribed_unless_it_is_asked_for(crm: StandIn) -> None:
    contact = send(crm, lead("DNC"), changes={"opt_out": "false", "do_not_contact": ""})
    assert FLAG not in crm.account.contacts[contact].properties
    assert crm.account.unsubscribed == set()


def test_the_opt_out_is_completed_after_a_lost_answer_by_the_apps_own_mark(crm: StandIn) -> None:
    one = lead("DNC")
    crm.fail(path="contacts$", method="POST", do_the_work_first=True, close=True)
    lost = failure(crm, one)
    assert crm.account.unsubscribed == set()
    send(crm, one, lost.remote_id, uncertain=True)
    assert crm.account.unsubscribed == {JOHN.email}


def test_the_opt_out_of_somebody_elses_contact_is_never_completed(crm: StandIn) -> None:
    person(crm)
    crm.fail(path="contacts$", method="POST", close=True)
    lost = failure(crm, lead("DNC"))
    send(crm, lead("DNC"), lost.remote_id, uncertain=True)
    assert crm.account.unsubscribed == set()


def test_an_opt_out_that_failed_is_done_by_the_next_attempt(crm: StandIn) -> None:
    one = lead("DNC")
    crm.account.scopes.remove("communication_preferences.statuses.batch.write")
    told = failure(crm, one)
    assert isinstance(told, Misconfigured)
    assert "communication_preferences.statuses.batch.write" in told.cause
    assert told.remote_id.endswith("/opt-out")
    crm.account.scopes |= standin.SCOPES
    contact = send(crm, one, told.remote_id)
    assert crm.account.unsubscribed == {JOHN.email}
    assert len(crm.account.notes_on(contact)) == 1


def test_each_property_that_the_account_does_not_take_is_left_out_with_a_warning(
    crm: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    del crm.account.properties["jobtitle"]
    crm.account.properties["country"]["options"] = [{"label": "USA", "value": "USA", "hidden": False}]
    fields = json.dumps({"no_such": "x", "city": "campaign.city", "hs_object_id": 1, "company": None})
    with caplog.at_level(logging.WARNING, "leads"):
        contact = send(
            crm,
            lead(campaign={"city": "Turin"}),
            changes={"fields": fields.replace('"hs_object_id": 1, ', ""), "lifecycle_stage": "cold"},
        )
    properties = crm.account.contacts[contact].properties
    assert properties["city"] == "Turin"
    assert not {"jobtitle", "country", "lifecyclestage", "no_such", "company"} & properties.keys()
    events = [json.loads(record.message) for record in caplog.records]
    told = {event["cause"]: event["setting"] for event in events if event["event"] == "settings_problem"}
    assert told == {
        "HubSpot does not take the property jobtitle (PROPERTY_DOESNT_EXIST).": "HUBSPOT_FIELDS",
        "HubSpot does not take the property country (INVALID_OPTION).": "HUBSPOT_FIELDS",
        "HubSpot does not take the property no_such (PROPERTY_DOESNT_EXIST).": "HUBSPOT_FIELDS",
        "HubSpot does not take the property lifecyclestage (INVALID_OPTION).": "HUBSPOT_LIFECYCLE_STAGE",
    }
    assert asked(crm) == [f"POST {CONTACTS}", f"POST {CONTACTS}", f"POST {NOTES}"]


def test_where_hubspot_does_not_say_which_those_of_the_setting_go_together(crm: StandIn) -> None:
    crm.fail(Answer(400, error(400, "VALIDATION_ERROR")), path="contacts$")
    contact = send(crm, lead(), changes={"fields": '{"city": "Turin"}'})
    assert "city" not in crm.account.contacts[contact].properties


@pytest.mark.parametrize(("name", "one"), [(KEY, lead()), (FLAG, lead("DNC"))])
def test_the_key_and_the_flag_are_never_left_out(crm: StandIn, name: str, one: Lead) -> None:
    del crm.account.properties[name]
    told = failure(crm, one)
    assert isinstance(told, Misconfigured)
    assert name in told.cause
    assert crm.account.contacts == {}


def test_a_contact_that_a_person_deleted_is_not_made_again_by_a_retry_or_a_replay(crm: StandIn) -> None:
    one = lead()
    crm.fail(Answer(503, "x"), path="notes$")
    failed = failure(crm, one)
    contact = failed.remote_id.removesuffix("/note")
    crm.account.delete(contact)
    for uncertain in (False, True):
        assert send(crm, one, failed.remote_id, uncertain=uncertain) == contact
    assert crm.account.contacts == {}
    told = failure(crm, one, remote_id=contact, replayed=True)
    assert isinstance(told, Rejected)
    assert crm.account.contacts == {}
    assert send(crm, lead(event=2)) in crm.account.contacts, "who comes back is news"


def test_the_step_goes_to_the_contact_into_which_another_was_merged(crm: StandIn) -> None:
    one = lead()
    crm.fail(Answer(503, "x"), path="notes$")
    failed = failure(crm, one)
    contact = failed.remote_id.removesuffix("/note")
    crm.account.contacts["8"] = standin.Record({"email": "john@smith.example"}, datetime.now(UTC))
    crm.account.merge(contact, "8")
    assert send(crm, one, failed.remote_id) == "8"
    assert len(crm.account.notes_on("8")) == 1
    assert send(crm, one, failed.remote_id, uncertain=True) == "8"
    assert len(crm.account.notes_on("8")) == 1
    assert send(crm, one, contact, replayed=True) == "8"
    assert send(crm, lead(event=2)) == "8"
    assert list(crm.account.contacts) == ["8"]


def test_a_contact_that_the_address_does_not_find_is_found_by_the_refusal(crm: StandIn) -> None:
    """ "Contact already exists. Existing ID: …" (HubSpot/hubspot-api-nodejs#545)."""
    contact = person(crm)
    empty = {"status": "COMPLETE", "results": [], "startedAt": "x", "completedAt": "x"}
    crm.fail(Answer(207, empty), path="batch/read", times=2)
    assert send(crm, lead()) == contact


def test_a_replay_of_what_arrived_writes_nothing(crm: StandIn) -> None:
    contact = send(crm, lead())
    crm.calls.clear()
    assert send(crm, lead(), contact, replayed=True) == contact
    assert asked(crm) == [f"GET {CONTACTS}/{contact}"]


@pytest.mark.parametrize(
    ("answer", "kind", "words", "wait"),
    [
        (Answer(401, error(401, "INVALID_AUTHENTICATION")), Misconfigured, "HUBSPOT_TOKEN", None),
        (Answer(403, error(403, "MISSING_SCOPES")), Misconfigured, "scopes", None),
        (Answer(404, "<html>"), Misconfigured, "HUBSPOT_API_VERSION", None),
        (Answer(302, None, {"Location": "https://x.example"}), Misconfigured, "HUBSPOT_URL", None),
        (Answer(201, {"properties": {}}), Misconfigured, "HUBSPOT_URL", None),
        (Answer(400, error(400, "VALIDATION_ERROR")), Rejected, "HUBSPOT_FIELDS", None),
        (Answer(423, error(423, "LOCKED")), Transient, "", 2.0),
        (Answer(429, {"policyName": "DAILY", "errorType": "RATE_LIMIT"}), Throttled, "", 3600.0),
        (Answer(429, {"policyName": "TEN_SECONDLY_ROLLING"}, {"Retry-After": "7"}), Throttled, "", 7.0),
        (Answer(477, error(477, "MIGRATION"), {"Retry-After": "3600"}), Throttled, "", 3600.0),
        *((Answer(status, "x"), Transient, "", None) for status in (500, 502, 503, 504, 521, 524)),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_what_answers_become(crm: StandIn, answer: Answer, kind: type[Failure], words: str, wait: float | None) -> None:
    """developers.hubspot.com, "Error handling" and "Usage guidelines"."""
    crm.fail(answer, times=9)
    told = failure(crm, lead())
    assert type(told) is kind
    assert words in told.remedy
    assert told.retry_after == wait
    assert told.cause.endswith((".", ")"))


def test_nothing_that_hubspot_says_of_the_customer_is_shown(crm: StandIn) -> None:
    """Its messages repeat property values; the correlation id is what its support asks for."""
    body = error(400, "VALIDATION_ERROR", message="jsmith@microsoft.com John Smith is not valid")
    crm.fail(Answer(400, body))
    told = failure(crm, lead())
    for part in ("jsmith", "John", "Smith"):
        assert part not in told.cause + told.remedy
    assert body["correlationId"] in told.cause


def test_a_stranger_cannot_put_markup_into_a_timeline(crm: StandIn) -> None:
    contact = send(crm, lead(message='<img src=x onerror="alert(1)">&lt;b>\nsecond line'))
    body = crm.account.notes_on(contact)[0]
    assert "<img" not in body
    assert "&lt;img" in body
    assert "&amp;lt;b&gt;<br>second line" in body


@how(deadline=None)
@given(
    st.text(max_size=400),
    st.sampled_from(["<", "&", "x", "é", "😀", "a b "]),
    st.integers(0, 17_000),
    st.booleans(),
)
def test_a_note_always_fits_and_always_has_the_lead_id(text: str, filler: str, times: int, test: bool) -> None:
    words = text + filler * times
    one = lead(message=words, campaign={"utm": words}, source=words[:8000], is_test=test)
    body = mapping.note(one)["hs_note_body"]
    assert len(body) <= 65_536
    assert one.id in body
    assert set(html.unescape(body.replace("<br>", ""))) >= {"C"}
    assert "<" not in body.replace("<br>", "")


def test_values_that_are_too_long_are_cut_at_a_word_and_stand_whole_in_the_note(crm: StandIn) -> None:
    long = "Association of " + "very " * 80 + "long names"
    contact = send(crm, lead(contact=replace(JOHN, company=long, phone="1" * 300)))
    properties = crm.account.contacts[contact].properties
    assert len(properties["company"]) <= 255
    assert properties["company"].endswith("very…")
    assert "phone" not in properties
    assert long in crm.account.notes_on(contact)[0]


def test_further_properties_are_text(crm: StandIn) -> None:
    for name in ("seats", "partner", "campaign"):
        crm.account.properties[name] = standin._property(name)
    fields = '{"seats": 10, "partner": true, "campaign": "campaign.utm_source", "website": null}'
    contact = send(crm, lead(campaign={"utm_source": "mail"}), changes={"fields": fields})
    properties = crm.account.contacts[contact].properties
    assert {name: properties[name] for name in ("seats", "partner", "campaign")} == {
        "seats": "10",
        "partner": "true",
        "campaign": "mail",
    }


def test_the_preview_is_what_is_written(crm: StandIn) -> None:
    one = lead("DNC", message="<b>No more</b>")
    text = hubspot.preview(one, Step(now=NOW, deadline=Deadline.after(30)), settings(crm))
    assert crm.calls == []
    contact = send(crm, one)
    for name, value in crm.account.contacts[contact].properties.items():
        assert f"  {name}: {value}\n" in text
    assert crm.account.notes_on(contact)[0] in text.replace("<br>\n", "<br>")
    assert "Unsubscribed from all e-mail" in text
    with pytest.raises(Skip):
        hubspot.preview(
            lead(contact=NOBODY), Step(now=NOW, deadline=Deadline.after(30)), settings(crm, key="", opt_out="false")
        )


def test_the_page_of_a_contact(crm: StandIn) -> None:
    known = [(lead(), "123/note"), (lead(event=2), "124")]
    made = settings(crm, account="4711")
    assert hubspot.record_url(lead(), known, made) == "https://app.hubspot.com/contacts/4711/record/0-1/123"
    assert hubspot.record_url(lead(), [(lead(), ""), *known], made).endswith("/123")
    assert hubspot.record_url(lead(), [(lead(), "c94d6ac0-3a8d")], made) == ""
    assert hubspot.record_url(lead(), known, settings(crm)) == ""


def test_what_is_no_remote_id_is_no_contact(crm: StandIn) -> None:
    for remote_id in ("accepted", "12/else", "../7", "٣"):
        assert send(crm, lead(), remote_id, uncertain=True) in crm.account.contacts


# --- check -----------------------------------------------------------------------------------------------------------


def check(crm: StandIn, **changes: str) -> dict[str, Finding]:
    return {found.name: found for found in hubspot.check(settings(crm, **changes), Deadline.after(30))}


def test_check_finds_nothing_wrong_and_writes_nothing(crm: StandIn) -> None:
    found = check(crm, fields='{"city": "campaign.city"}')
    assert list(found) == ["token", "scopes", "opt-out", "properties", "key", "do not contact", "lifecycle stage"]
    assert [one for one in found.values() if not one.ok] == []
    assert crm.account.contacts == {}
    assert crm.account.unsubscribed == set()


def test_check_of_a_token_that_is_not_accepted_looks_no_further(crm: StandIn) -> None:
    found = check(crm, token="pat-eu1-another-one")
    assert list(found) == ["token"]
    assert "HUBSPOT_TOKEN" in found["token"].remedy


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        ("crm.objects.contacts.read", "token"),
        ("crm.objects.contacts.write", "scopes"),
        ("communication_preferences.statuses.batch.write", "opt-out"),
    ],
)
def test_check_names_the_scope_that_is_missing(crm: StandIn, scope: str, name: str) -> None:
    crm.account.scopes.remove(scope)
    found = check(crm)
    assert not found[name].ok
    assert scope in found[name].cause


@pytest.mark.parametrize(
    ("changes", "name", "cause", "setting"),
    [
        ({"key": "no_such"}, "key", "does not exist", "HUBSPOT_KEY"),
        ({"key": "city"}, "key", "does not have unique values", "HUBSPOT_KEY"),
        ({"do_not_contact": "no_such"}, "do not contact", "does not exist", "HUBSPOT_DO_NOT_CONTACT"),
        ({"do_not_contact": "city"}, "do not contact", "cannot hold yes and no", "HUBSPOT_DO_NOT_CONTACT"),
        ({"lifecycle_stage": "Lead"}, "lifecycle stage", "no lifecycle stage Lead", "HUBSPOT_LIFECYCLE_STAGE"),
        ({"fields": '{"no_such": "x"}'}, "properties", "no property no_such", "HUBSPOT_FIELDS"),
    ],
)
def test_check_names_each_mistake_and_its_setting(
    crm: StandIn, changes: dict[str, str], name: str, cause: str, setting: str
) -> None:
    found = check(crm, **changes)
    assert [one.name for one in found.values() if not one.ok] == [name]
    assert cause in found[name].cause
    assert setting in found[name].remedy


def test_check_says_which_properties_hubspot_sets_itself(crm: StandIn) -> None:
    crm.account.properties["score"] = standin._property("score", calculated=True)
    found = check(crm, fields='{"score": "x"}')
    assert "HubSpot itself sets score" in found["properties"].cause


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "setting"),
    [
        ({"HUBSPOT_TOKEN": "two words"}, "HUBSPOT_TOKEN"),
        ({"HUBSPOT_API_VERSION": "2026-13"}, "HUBSPOT_API_VERSION"),
        ({"HUBSPOT_OPT_OUT": "true"}, "HUBSPOT_OPT_OUT"),
        ({"HUBSPOT_OPT_OUT": "yes"}, "HUBSPOT_OPT_OUT"),
        ({"HUBSPOT_FIELDS": '{"email": "x"}'}, "HUBSPOT_FIELDS"),
        ({"HUBSPOT_FIELDS": '{"mark": "x"}', "HUBSPOT_KEY": "mark"}, "HUBSPOT_FIELDS"),
        ({"HUBSPOT_FIELDS": '{"city": "lead.no_such"}'}, "HUBSPOT_FIELDS"),
        ({"HUBSPOT_URL": "http://api.hubapi.com"}, "HUBSPOT_URL"),
    ],
)
def test_settings_that_are_wrong(environ: dict[str, str], setting: str) -> None:
    reader = Reader({"HUBSPOT_TOKEN": "pat-eu1-0123456789", **environ}, hubspot.SETTINGS)
    made = hubspot.Settings.read(reader)
    assert [problem.setting for problem in reader.problems] == [setting]
    assert not made.opt_out


def test_no_stage_is_written_where_none_is_asked_for(crm: StandIn) -> None:
    contact = send(crm, lead(), changes={"lifecycle_stage": "none"})
    assert "lifecyclestage" not in crm.account.contacts[contact].properties


# --- HubSpot's own specification -------------------------------------------------------------------------------------


@vendor.needs
def test_requests_and_the_stand_ins_answers_are_as_the_specification_says(crm: StandIn) -> None:
    documents = vendor.read(*(f"hubspot/{name}.json" for name in ("contacts", "notes", "properties", "subscriptions")))
    with vendor.overheard(crm.server) as heard:
        contact = send(crm, lead("DNC"))
        send(crm, lead(event=2), uncertain=True)
        send(crm, lead(event=3, contact=NOBODY))
        send(crm, lead(), contact, replayed=True)
        list(hubspot.check(settings(crm), Deadline.after(30)))
        del crm.account.properties["city"]
        send(
            crm,
            lead(event=4, customer="b" * 16, contact=replace(JOHN, email="b@x.com")),
            changes={"fields": '{"city": "x"}'},
        )
    assert len(heard) > 15
    for request, answer in heard:
        assert vendor.wrong(request, answer, documents) == [], f"{request.method} {request.path}"
