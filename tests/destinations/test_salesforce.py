"""What one lead and one step do at the wire, and what they leave in Salesforce.

URLs, headers and bodies are those of the REST API Developer Guide: Create a Record, sObject Rows, QueryAll, Duplicate
Rule Header, Assignment Rule Header, Conditional Request Headers; and of Salesforce Help for the token endpoint.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dev.standins.salesforce import CLIENT_ID, SECRET, USERNAME, StandIn
from leads.contract import Step
from leads.destinations import salesforce
from leads.destinations.salesforce import api, mapping, web
from leads.errors import Misconfigured, Rejected, Transient
from leads.lead import Contact, Lead
from tests.destinations.dynamics_leads import CUSTOMER, JOHN, lead
from tests.destinations.salesforce_leads import settings, step

DATA = "/services/data/v66.0"


def calls(org: StandIn) -> list[tuple[str, str, int]]:
    """Method, last part of the path and status of each request to the REST API so far."""
    return [(c.method, c.path.removeprefix(DATA).split("/")[-1], c.status) for c in org.api_calls]


def only(org: StandIn) -> dict[str, object]:
    """The one lead that there is."""
    (row,) = org.leads.values()
    return row


# The first step


def test_first_step_is_a_look_a_lead_and_a_task_with_these_urls_headers_and_bodies(org: StandIn) -> None:
    one = lead()
    id_ = salesforce.send(one, step(), settings(org))

    token, probe, look, made, task = org.calls
    assert (probe.path, probe.status) == (look.path, 400), "asked once an hour: has it pick-lists of countries?"
    assert "CountryCode" in probe.query["q"]
    assert "CountryCode" not in look.query["q"]
    assert (token.path, token.query) == ("/services/oauth2/token", {})
    assert token.form() == {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": SECRET}
    assert (look.method, look.path) == ("GET", f"{DATA}/queryAll")
    assert " FROM Lead WHERE MarketplaceLeadKey__c LIKE 'a1b2c3d4e5f60718-" in look.query["q"]
    assert (made.method, made.path, made.query) == ("POST", f"{DATA}/sobjects/Lead", {})
    assert made.headers["sforce-duplicate-rule-header"] == "allowSave=true"
    assert made.headers["sforce-auto-assign"] == "TRUE"
    for call in (look, made, task):
        assert call.headers["authorization"].startswith("Bearer ")
        assert call.headers["accept"] == "application/json"
    assert made.json() == {
        "FirstName": "John",
        "LastName": "Smith",
        "Company": "Microsoft",
        "Title": "CTO",
        "Email": "jsmith@microsoft.com",
        "Phone": "+14255550100",
        "Country": "United States",
        "LeadSource": "Microsoft marketplace",
        "Rating": "Hot",
        "Description": (
            "Could you call me about prices?\n\n"
            "Offer: Contoso Planner (contoso.planner)\n"
            "Pressed: Contact me (PLT)\n"
            "Came from: SPZA\n"
            "When: 2026-11-03 16:06 UTC\n"
            f"Lead id: {CUSTOMER}-0000000000000001"
        ),
        "MarketplaceLeadKey__c": mapping.key(one),
    }
    assert (task.method, task.path) == ("POST", f"{DATA}/sobjects/Task")
    assert "sforce-auto-assign" not in task.headers
    body = task.json()
    assert body["WhoId"] == id_
    assert body["MarketplaceStepKey__c"] == one.id
    assert (body["Status"], body["ActivityDate"]) == ("Completed", "2026-11-03")
    assert body["Subject"] == "2026-11-03 16:06 UTC: Contact me, Contoso Planner"
    assert "John Smith of Microsoft asked to be contacted about Contoso Planner." in body["Description"]


def test_keys_never_change() -> None:
    """A release that computed other keys would write every customer a second time."""
    assert mapping.key(lead()) == "a1b2c3d4e5f60718-a90b6605b110c606-0"


def test_the_record_is_named_by_customer_offer_and_generation() -> None:
    one = lead()
    assert mapping.key(one) == mapping.key(replace(one, offer="CONTOSO.Planner"))
    others = {
        mapping.key(one, 1),
        mapping.key(replace(one, offer="contoso.other")),
        mapping.key(replace(one, id="0000000000000000-0000000000000001")),
        mapping.key(replace(one, offer="", offer_title="")),
    }
    assert len(others | {mapping.key(one)}) == 5
    assert all(re.fullmatch(r"[0-9a-f-]{35}", key) for key in others), "no character of it is special in SOQL"


def test_no_url_holds_anything_personal(org: StandIn) -> None:
    first, second = lead("INS"), lead("PLT", event=2)
    told = salesforce.send(first, step(), settings(org))
    salesforce.send(second, step((first, told), uncertain=True), settings(org))
    for call in org.calls:
        for part in ("jsmith", "%40", "@", "John", "Smith"):
            assert part not in call.path + str(call.query)


def test_send_again_changes_nothing(org: StandIn) -> None:
    one = lead()
    id_ = salesforce.send(one, step(), settings(org))
    before = ({k: dict(v) for k, v in org.leads.items()}, {k: dict(v) for k, v in org.tasks.items()})
    for again in (
        step(),
        step(uncertain=True),
        step(remote_id=id_, replayed=True),
        step(remote_id=f"{id_}/task"),
        step(remote_id=f"{id_}/task", uncertain=True),
    ):
        assert salesforce.send(one, again, settings(org)) == id_
    assert (org.leads, org.tasks) == before


# Later steps


def test_later_step_looks_raises_and_adds_its_task(org: StandIn) -> None:
    first, second = lead("INS"), lead("PLT", event=2)
    id_ = salesforce.send(first, step(), settings(org))
    org.calls.clear()

    assert salesforce.send(second, step((first, id_)), settings(org)) == id_

    _, raised, task = org.api_calls
    assert (raised.method, raised.path, raised.json()) == ("PATCH", f"{DATA}/sobjects/Lead/{id_}", {"Rating": "Hot"})
    assert raised.headers["sforce-auto-assign"] == "FALSE"
    assert raised.headers["sforce-duplicate-rule-header"] == "allowSave=true"
    changed = datetime.strptime(raised.headers["if-unmodified-since"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    assert changed == datetime.fromisoformat(str(org.leads[id_]["CreatedDate"]))
    assert task.json()["WhoId"] == id_
    assert (len(org.leads), len(org.tasks)) == (1, 2)


@pytest.mark.parametrize("order", [("PLT", "StartTestDrive", "INS"), ("INS", "PLT", "StartTestDrive")])
def test_the_rating_never_falls(org: StandIn, order: tuple[str, ...]) -> None:
    seen: list[tuple[Lead, str]] = []
    for number, action in enumerate(order):
        one = lead(action, event=number)
        seen.append((one, salesforce.send(one, step(*seen), settings(org))))
    assert only(org)["Rating"] == "Hot"


@pytest.mark.parametrize(
    ("typed", "stays"), [("Warm", "Warm"), ("Hot", "Hot"), ("Boiling", "Boiling"), (None, None), ("Cold", "Hot")]
)
def test_a_rating_that_a_person_set_stays(org: StandIn, typed: str | None, stays: str | None) -> None:
    first = lead("INS")
    id_ = salesforce.send(first, step(), settings(org))
    org.org.edit("Lead", id_, Rating=typed)
    salesforce.send(lead("PLT", event=2), step((first, id_)), settings(org))
    assert org.leads[id_]["Rating"] == stays


def test_a_rating_that_a_person_lowered_is_not_raised_again(org: StandIn) -> None:
    first, second = lead("INS"), lead("PLT", event=2)
    id_ = salesforce.send(first, step(), settings(org))
    salesforce.send(second, step((first, id_)), settings(org))
    org.org.edit("Lead", id_, Rating="Cold")
    salesforce.send(lead("PLT", event=3), step((first, id_), (second, id_)), settings(org))
    assert org.leads[id_]["Rating"] == "Cold"


def test_a_step_that_was_stuck_counts_as_one_that_may_have_written(org: StandIn) -> None:
    """The first one's process died after it made the record, so nobody knows where it is."""
    first, second = lead("INS"), lead("PLT", event=2)
    id_ = salesforce.send(first, step(), settings(org))
    salesforce.send(second, step((first, "")), settings(org))
    assert org.leads[id_]["Rating"] == "Hot"


def test_what_is_empty_is_filled_and_what_a_person_typed_stays(org: StandIn) -> None:
    first = lead("INS", contact=Contact(last_name="Smith", email="jsmith@microsoft.com"))
    id_ = salesforce.send(first, step(), settings(org))
    org.org.edit("Lead", id_, Title="Boss", Description="Called him.", HasOptedOutOfEmail=False, Country="Italy")
    salesforce.send(lead("PLT", event=2), step((first, id_)), settings(org))
    row = org.leads[id_]
    assert (row["FirstName"], row["Phone"]) == ("John", "+14255550100")
    assert (row["Title"], row["Description"], row["Country"]) == ("Boss", "Called him.", "Italy")
    assert (row["Company"], row["LastName"]) == ("(unknown)", "Smith"), "what Salesforce demands is not empty"


def test_a_person_who_saves_at_the_same_time_wins(org: StandIn) -> None:
    """Conditional Request Headers: 412 where the record was changed after the date; then it is looked at again."""
    first = lead("INS")
    id_ = salesforce.send(first, step(), settings(org))
    org.fail(
        412, method="PATCH", path="Lead/", before=lambda: org.org.edit("Lead", id_, Rating="Warm", FirstName="Jack")
    )
    salesforce.send(lead("PLT", event=2), step((first, id_)), settings(org))
    assert (org.leads[id_]["Rating"], org.leads[id_]["FirstName"]) == ("Warm", "Jack")


def test_the_condition_holds_a_change_back(org: StandIn) -> None:
    first = lead("INS")
    id_ = salesforce.send(first, step(), settings(org))

    def later() -> None:
        org.org.clock = lambda: datetime(2030, 1, 1, tzinfo=UTC)
        org.org.edit("Lead", id_, Rating="Warm")

    org.fail(method="PATCH", do_the_work_first=True, status=412, before=later)
    salesforce.send(lead("PLT", event=2), step((first, id_)), settings(org))
    assert org.leads[id_]["Rating"] == "Warm"


def test_a_record_that_changes_all_the_time_is_tried_later(org: StandIn) -> None:
    first = lead("INS")
    id_ = salesforce.send(first, step(), settings(org))
    org.fail(412, method="PATCH", times=3)
    with pytest.raises(Transient) as caught:
        salesforce.send(lead("PLT", event=2), step((first, id_)), settings(org))
    assert caught.value.remote_id == ""


def test_steps_at_the_same_time_share_the_record(org: StandIn) -> None:
    """Both look and find nothing; the second one's insert is refused as a duplicate, and it looks again."""
    first, second = lead("INS"), lead("PLT", event=2)
    made: list[str] = []
    org.fail(
        method="POST",
        path="sobjects/Lead",
        status=400,
        code="DUPLICATE_VALUE",
        before=lambda: made.append(salesforce.send(first, step(), settings(org))),
        message="duplicate value found: MarketplaceLeadKey__c duplicates value on record with id: 00Q5g0000000001",
    )
    assert salesforce.send(second, step((first, "")), settings(org)) == made[0]
    assert (len(org.leads), len(org.tasks)) == (1, 2)
    assert only(org)["Rating"] == "Hot"


def test_two_processes_at_the_same_time(org: StandIn) -> None:
    from concurrent.futures import ThreadPoolExecutor

    told = settings(org)
    made = [lead(action, event=number) for number, action in enumerate(["PLT", "INS", "StartTestDrive", "DNC"] * 4)]
    others = [(one, "") for one in made]
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda one: salesforce.send(one, step(*others), told), made))
    assert ids == set(org.leads)
    assert (len(org.leads), len(org.tasks)) == (1, len(made))


def test_another_offer_is_another_record(org: StandIn) -> None:
    first, second = lead(), lead(event=2, offer="contoso.other", offer_title="Contoso Other")
    one = salesforce.send(first, step(), settings(org))
    assert salesforce.send(second, step((first, one)), settings(org)) != one


def test_the_same_offer_by_its_title_only_is_the_same_record(org: StandIn) -> None:
    """By HTTPS comes the title, in the table the id too."""
    first, second = lead(offer=""), lead(event=2)
    one = salesforce.send(first, step(), settings(org))
    assert salesforce.send(second, step((first, one)), settings(org)) == one


# Closed, converted, merged and deleted records


def test_a_step_goes_on_a_closed_lead_whose_status_stays(org: StandIn) -> None:
    first = lead("INS")
    id_ = salesforce.send(first, step(), settings(org))
    org.org.edit("Lead", id_, Status="Closed - Not Converted")
    assert salesforce.send(lead("PLT", event=2), step((first, id_)), settings(org)) == id_
    assert org.leads[id_]["Status"] == "Closed - Not Converted"
    assert len(org.tasks) == 2


@pytest.mark.parametrize("remembered", [True, False])
def test_a_step_of_a_converted_lead_goes_to_the_contact(org: StandIn, remembered: bool) -> None:
    first, second, third = lead("INS"), lead("PLT", event=2), lead("PLT", event=3)
    id_ = salesforce.send(first, step(), settings(org))
    contact = org.org.convert(id_)
    before = dict(org.leads[id_])
    known = [(first, id_)] if remembered else []
    assert salesforce.send(second, step(*known), settings(org)) == contact
    assert salesforce.send(third, step(*known, (second, contact)), settings(org)) == contact
    assert org.leads == {id_: before}
    assert [task["WhoId"] for task in org.tasks.values()] == [contact] * 3


@pytest.mark.parametrize("method", ["PATCH", "POST"])
def test_a_lead_that_is_converted_under_way(org: StandIn, method: str) -> None:
    """CANNOT_UPDATE_CONVERTED_LEAD (Salesforce Help 000384333) when it is filled in, or when the task is made."""
    first, second = lead("INS"), lead("PLT", event=2)
    id_ = salesforce.send(first, step(), settings(org))
    made: list[str] = []
    org.fail(400, "CANNOT_UPDATE_CONVERTED_LEAD", method=method, before=lambda: made.append(org.org.convert(id_)))
    try:
        told = salesforce.send(second, step((first, id_)), settings(org))
    except Transient as changed:
        again = step((first, id_), remote_id=changed.remote_id)
        told = salesforce.send(second, again, settings(org))
    assert [told] == made
    assert {task["WhoId"] for task in org.tasks.values()} == {told}


@pytest.mark.parametrize("remembered", [True, False])
def test_a_merged_lead_leads_to_the_one_that_was_kept(org: StandIn, remembered: bool) -> None:
    """A merge deletes the loser, which has the id of the other in MasterRecordId; only queryAll shows it."""
    first, second = lead("INS"), lead("PLT", event=2)
    id_ = salesforce.send(first, step(), settings(org))
    kept = org.org.insert("Lead", {"LastName": "Smith", "Company": "Microsoft", "Rating": "Warm"})
    org.org.merge(kept, id_)
    known = [(first, id_)] if remembered else []
    assert salesforce.send(second, step(*known), settings(org)) == kept
    assert list(org.leads) == [kept]
    assert org.leads[kept]["Rating"] == "Warm", "not what the app wrote"
    assert len(org.tasks) == 2


def test_a_merged_contact_is_followed_too(org: StandIn) -> None:
    first = lead("INS")
    id_ = salesforce.send(first, step(), settings(org))
    contact, kept = org.org.convert(id_), org.org.insert("Contact", {"LastName": "Smith"})
    org.org.merge(kept, contact)
    assert salesforce.send(lead("PLT", event=2), step((first, contact)), settings(org)) == kept


@pytest.mark.parametrize("bin_blocks", [True, False])
@pytest.mark.parametrize("purged", [True, False])
@pytest.mark.parametrize("remembered", [True, False])
def test_a_new_step_on_a_deleted_lead_makes_the_next_one(
    org: StandIn, bin_blocks: bool, purged: bool, remembered: bool
) -> None:
    org.org.bin_blocks = bin_blocks
    first, second, third = lead("INS"), lead("PLT", event=2), lead("INS", event=3)
    id_ = salesforce.send(first, step(), settings(org))
    org.org.delete(id_)
    if purged:
        org.org.purge(id_)
    known = [(first, id_)] if remembered else []
    new = salesforce.send(second, step(*known), settings(org))
    assert list(org.leads) == [new]
    assert org.leads[new]["MarketplaceLeadKey__c"] == mapping.key(second, 0 if purged else 1)
    assert salesforce.send(third, step(*known, (second, new)), settings(org)) == new
    assert len(org.leads) == 1


def test_a_replay_never_brings_back_what_a_person_deleted(org: StandIn) -> None:
    one = lead()
    id_ = salesforce.send(one, step(), settings(org))
    org.org.delete(id_)
    with pytest.raises(Rejected, match="a person deleted it") as caught:
        salesforce.send(one, step(remote_id=id_, replayed=True), settings(org))
    assert "Recycle Bin" in caught.value.remedy
    assert caught.value.remote_id == id_
    assert (org.leads, org.tasks) == ({}, {})


def test_a_retry_never_brings_back_what_a_person_deleted(org: StandIn) -> None:
    """Deleted between two attempts: with the record known, with the task written, and with nothing but the record."""
    one = lead()
    id_ = salesforce.send(one, step(), settings(org))
    org.org.delete(id_)
    assert salesforce.send(one, step(remote_id=f"{id_}/task"), settings(org)) == id_
    assert salesforce.send(one, step(uncertain=True), settings(org)) == id_
    org.org.tables["Task"].clear()
    assert salesforce.send(one, step(uncertain=True), settings(org)) == id_
    assert (org.leads, org.tasks) == ({}, {})


def test_a_retry_adds_no_task_that_a_person_deleted(org: StandIn) -> None:
    one = lead()
    id_ = salesforce.send(one, step(), settings(org))
    org.org.tables["Task"][next(iter(org.tasks))]["IsDeleted"] = True
    assert salesforce.send(one, step(remote_id=f"{id_}/task", uncertain=True), settings(org)) == id_
    assert org.tasks == {}


def test_a_replay_of_a_lead_that_moved_tells_where_it_is_now(org: StandIn) -> None:
    one = lead()
    id_ = salesforce.send(one, step(), settings(org))
    contact = org.org.convert(id_)
    org.calls.clear()
    assert salesforce.send(one, step(remote_id=id_, replayed=True), settings(org)) == contact
    assert {call.method for call in org.api_calls} == {"GET"}


def test_requests_are_as_many_as_the_page_says(org: StandIn) -> None:
    first, second, fourth, fifth = (lead("INS", event=number) for number in range(1, 5))
    third = lead("PLT", event=5)

    def cost(one: Lead, at: Step) -> int:
        org.calls.clear()
        salesforce.send(one, at, settings(org))
        return sum(call.status != 401 for call in org.api_calls)

    assert cost(first, step()) == 3 + 1, "once an hour it asks which fields there are"
    id_ = next(iter(org.leads))
    assert cost(second, step((first, id_))) == 2
    assert cost(third, step((first, id_))) == 3, "the rating is raised"
    assert cost(fifth, step((first, id_), uncertain=True)) == 3, "it looks for its task"
    org.org.convert(id_)
    assert cost(fourth, step((first, id_))) == 3


def test_a_rating_is_raised_without_any_memory_only_where_it_is_empty(org: StandIn) -> None:
    id_ = salesforce.send(lead("INS"), step(), settings(org))
    salesforce.send(lead("PLT", event=2), step(), settings(org))
    assert org.leads[id_]["Rating"] == "Cold"
    org.org.edit("Lead", id_, Rating=None)
    salesforce.send(lead("PLT", event=3), step(), settings(org))
    assert org.leads[id_]["Rating"] == "Hot"


def test_a_phone_number_and_a_web_address_that_are_too_long_are_left_out(org: StandIn) -> None:
    site = f"https://example.com/{'x' * 300}"
    one = lead(contact=replace(JOHN, phone="1" * 60), extra={"website": site})
    salesforce.send(one, step(), settings(org))
    assert not {"Phone", "Website"} & only(org).keys()
    assert "1" * 60 in next(iter(org.tasks.values()))["Description"]


# Uncertain attempts


@pytest.mark.parametrize("status", [0, 500, 502, 504])
@pytest.mark.parametrize("path", ["sobjects/Lead", "sobjects/Task"])
@pytest.mark.parametrize("work_done", [True, False])
def test_a_lost_answer_makes_no_second_record(org: StandIn, status: int, path: str, work_done: bool) -> None:
    one = lead()
    org.fail(status or 200, "UNKNOWN_EXCEPTION", path=path, close=not status, do_the_work_first=work_done)
    with pytest.raises(Transient) as caught:
        salesforce.send(one, step(), settings(org))
    assert caught.value.unanswered
    org.calls.clear()
    again = step(remote_id=caught.value.remote_id, uncertain=True)
    id_ = salesforce.send(one, again, settings(org))
    assert org.api_calls[0].method == "GET", "it looks before it writes"
    assert list(org.leads) == [id_]
    assert len(org.tasks) == 1


# Do not contact


def test_a_new_record_of_a_dnc_lead_has_the_flags(org: StandIn) -> None:
    id_ = salesforce.send(lead("DNC"), step(), settings(org))
    row = org.leads[id_]
    assert (row["HasOptedOutOfEmail"], row["DoNotCall"], row["Rating"]) == (True, True, "Cold")


def test_a_dnc_lead_adds_its_task_and_changes_nothing_else(org: StandIn) -> None:
    first = lead("NEW", contact=Contact(last_name="Smith"))
    id_ = salesforce.send(first, step(), settings(org))
    before = dict(org.leads[id_])
    salesforce.send(lead("DNC", event=2), step((first, id_)), settings(org))
    assert org.leads[id_] == before
    assert len(org.tasks) == 2


# Fields


def test_country_pick_lists_go_by_code(org: StandIn) -> None:
    org.org.country_pick_lists("US", "IT")
    salesforce.send(lead(), step(), settings(org))
    assert only(org)["CountryCode"] == "US"
    assert "Country" not in only(org)


def test_a_country_that_the_pick_list_lacks_is_left_out(org: StandIn) -> None:
    org.org.country_pick_lists("IT")
    salesforce.send(lead(), step(), settings(org))
    assert only(org).keys() & {"Country", "CountryCode"} == set()
    assert "Country: United States" in next(iter(org.tasks.values()))["Description"]


def test_long_values_are_cut_at_a_word_and_stand_whole_in_the_task(org: StandIn) -> None:
    words = "Analytical Engines of London and Turin " * 9
    salesforce.send(lead(contact=replace(JOHN, company=words, email=f"{'x' * 90}@contoso.com")), step(), settings(org))
    row, task = only(org), next(iter(org.tasks.values()))
    assert len(str(row["Company"])) <= 255
    assert str(row["Company"]).endswith(("London…", "of…", "and…", "Turin…", "Engines…", "Analytical…"))
    assert "Email" not in row
    assert words.strip() in task["Description"]
    assert f"{'x' * 90}@contoso.com" in task["Description"]


def test_a_strangers_words_are_words(org: StandIn) -> None:
    hostile = "<script>alert(1)</script> {!$User.Id} ' OR Id != '"
    salesforce.send(lead(message=hostile, offer=hostile), step(), settings(org))
    assert hostile in next(iter(org.tasks.values()))["Description"]


def test_further_fields(org: StandIn) -> None:
    told = '{"City": "lead.campaign.town", "NumberOfEmployees": 10, "Title": null, "LeadSource": "Web"}'
    salesforce.send(lead(campaign={"town": "Turin"}), step(), settings(org, fields=told))
    row = only(org)
    assert (row["City"], row["NumberOfEmployees"], row["LeadSource"]) == ("Turin", 10, "Web")
    assert "Title" not in row


def test_without_a_name_company_or_address(org: StandIn) -> None:
    salesforce.send(lead(contact=Contact(email="ada@contoso.com")), step(), settings(org))
    assert (only(org)["LastName"], only(org)["Company"]) == ("ada", "(unknown)")


# Sign-in


def test_a_token_is_kept_until_it_is_refused(org: StandIn) -> None:
    told = settings(org)
    salesforce.send(lead(), step(), told)
    salesforce.send(lead(event=2, customer="b" * 16), step(), told)
    assert len([call for call in org.calls if call.path.endswith("token")]) == 1
    org.tokens.clear()
    salesforce.send(lead(event=3, customer="c" * 16), step(), told)
    assert len([call for call in org.calls if call.path.endswith("token")]) == 2
    assert len(org.leads) == 3


@pytest.fixture(scope="module")
def key() -> tuple[str, object]:
    """A private key in PEM, and its public half."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    made = rsa.generate_private_key(65537, 2048)
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode(), made.public_key()


def test_a_private_key_signs_in_as_a_user(org: StandIn, key: tuple[str, object]) -> None:
    """Salesforce Help, OAuth 2.0 JWT Bearer Flow: RS256; iss: consumer key, sub: user name, aud: the login server."""
    import jwt

    pem, org.public_key = key
    told = settings(org, client_secret="", private_key=pem.replace("\n", "\\n"), username=USERNAME)
    salesforce.send(lead(), step(), told)
    form = org.calls[0].form()
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert set(form) == {"grant_type", "assertion"}
    claims = jwt.decode(form["assertion"], options={"verify_signature": False})
    assert (claims["iss"], claims["sub"], claims["aud"]) == (CLIENT_ID, USERNAME, "https://login.salesforce.com")
    assert 0 < claims["exp"] - datetime.now(UTC).timestamp() <= 180
    assert len(org.leads) == 1


@pytest.mark.parametrize(
    ("host", "server"),
    [
        ("contoso.my.salesforce.com", "login"),
        ("contoso-dev-ed.develop.my.salesforce.com", "login"),
        ("contoso--test.sandbox.my.salesforce.com", "test"),
        ("contoso--test.my.salesforce.com", "test"),
        ("contoso--test.cs84.my.salesforce.com", "test"),
        ("velocity-force-1234.scratch.my.salesforce.com", "test"),
    ],
)
def test_the_audience_follows_the_my_domain(host: str, server: str) -> None:
    assert api.audience(f"https://{host}") == f"https://{server}.salesforce.com"


# Web-to-Lead


def test_web_to_lead_posts_this_form_and_proves_nothing(org: StandIn) -> None:
    """The form is that of Salesforce Help, "Generate leads from your website"; Microsoft's connector posts it, too."""
    told = settings(org, mode="web", client_id="", client_secret="")
    assert salesforce.send(lead(), step(), told) == "accepted, no proof of delivery"
    (call,) = org.calls
    assert (call.method, call.path, call.query) == ("POST", "/servlet/servlet.WebToLead", {"encoding": "UTF-8"})
    assert call.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in call.headers
    form = call.form()
    assert form["oid"] == told.oid
    assert (form["first_name"], form["last_name"], form["company"]) == ("John", "Smith", "Microsoft")
    assert (form["email"], form["phone"], form["title"]) == ("jsmith@microsoft.com", "+14255550100", "CTO")
    assert (form["country"], form["lead_source"]) == ("United States", "Microsoft marketplace")
    assert "asked to be contacted about Contoso Planner" in form["description"]
    assert only(org)["LastName"] == "Smith"


def test_web_to_lead_knows_flags_and_fields_by_number(org: StandIn) -> None:
    told = settings(org, mode="web", fields='{"00N5g000001AbCd": "lead.offer", "Campaign_ID": "7015g000000AAAA"}')
    salesforce.send(lead("DNC"), step(), told)
    form = org.calls[0].form()
    assert (form["emailOptOut"], form["doNotCall"]) == ("1", "1")
    assert (form["00N5g000001AbCd"], form["Campaign_ID"]) == ("contoso.planner", "7015g000000AAAA")


def test_web_to_lead_is_posted_once_more_only_by_a_replay(org: StandIn) -> None:
    told = settings(org, mode="web")
    assert salesforce.send(lead(), step(remote_id=web.ACCEPTED), told) == web.ACCEPTED
    assert org.calls == []
    salesforce.send(lead(), step(remote_id=web.ACCEPTED, replayed=True), told)
    assert len(org.leads) == 1


def test_web_to_lead_with_a_wrong_organization_id_is_misconfigured(org: StandIn) -> None:
    with pytest.raises(Misconfigured, match="Web-to-Lead") as caught:
        salesforce.send(lead(), step(), settings(org, mode="web", oid="00D000000000000"))
    assert "SALESFORCE_OID" in caught.value.remedy


def test_a_lead_that_was_deleted_for_good_behind_a_lost_answer_is_made_again(org: StandIn) -> None:
    """Nothing tells it from one that never was: the page says that this is not promised."""
    one = lead()
    org.fail(200, path="sobjects/Lead", close=True, do_the_work_first=True)
    with pytest.raises(Transient):
        salesforce.send(one, step(), settings(org))
    (lost,) = org.leads
    org.org.delete(lost)
    org.org.purge(lost)
    salesforce.send(one, step(uncertain=True), settings(org))
    assert len(org.leads) == 1


def test_web_to_lead_may_bring_a_lead_twice_where_an_answer_was_lost(org: StandIn) -> None:
    web_form = settings(org, mode="web")
    org.calls.clear()
    for again in (step(), step(uncertain=True)):
        salesforce.send(lead(), again, web_form)
    assert [call.method for call in org.calls] == ["POST", "POST"]


def test_web_to_lead_is_never_a_fallback(org: StandIn) -> None:
    org.fail(close=True, times=9)
    with pytest.raises(Transient):
        salesforce.send(lead(), step(), settings(org))
    assert not [call for call in org.calls if "WebToLead" in call.path]


def test_after_a_change_of_mode_the_lead_is_made_by_its_key(org: StandIn) -> None:
    id_ = salesforce.send(lead(), step(remote_id=web.ACCEPTED, replayed=True), settings(org))
    assert list(org.leads) == [id_]


# Links and previews


def test_the_link_leads_to_the_record_of_this_lead_else_of_its_customer_and_offer(org: StandIn) -> None:
    told = settings(org)
    one, before = lead(event=2), lead("INS")
    id_ = salesforce.send(before, step(), told)
    assert salesforce.record_url(one, [(one, ""), (before, id_)], told) == f"{org.url}/{id_}"
    assert salesforce.record_url(one, [(one, f"{id_}/task")], told) == f"{org.url}/{id_}"
    assert salesforce.record_url(one, [(one, "")], told) == ""
    assert salesforce.record_url(one, [(one, web.ACCEPTED)], told) == ""
    other = replace(before, offer="contoso.other", offer_title="Other")
    assert salesforce.record_url(one, [(one, ""), (other, id_)], told) == ""


def test_the_preview_is_what_would_be_written(org: StandIn) -> None:
    shown = salesforce.preview(lead(), step(), settings(org))
    assert org.calls == []
    for part in ('"LastName": "Smith"', mapping.key(lead()), '"Rating": "Hot"', '"MarketplaceStepKey__c"'):
        assert part in shown
    form = salesforce.preview(lead(), step(), settings(org, mode="web"))
    assert '"last_name": "Smith"' in form
    assert "task" not in form
