"""What one lead and one step do at the wire, and what they leave in Dynamics."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from dev.standins.dynamics import TENANT_ID, StandIn
from leads import transport
from leads.destinations import dynamics
from leads.destinations.dynamics import columns, records
from leads.errors import Misconfigured, Rejected, Throttled, Transient
from leads.lead import Contact, Lead
from leads.transport import Deadline
from tests.destinations.dynamics_leads import CUSTOMER, JOHN, lead, settings, step


@pytest.fixture(autouse=True)
def _no_memory() -> None:
    columns._refused.clear()


def calls(crm: StandIn) -> list[tuple[str, str, int]]:
    """Method, table and status of each request so far."""
    return [(c.method, c.path.rpartition("/")[2].partition("(")[0], c.status) for c in crm.api_calls]


def rating(crm: StandIn, guid: str) -> object:
    return crm.leads[guid].get("leadqualitycode")


# The first step


def test_first_step_is_two_requests_with_these_urls_headers_and_bodies(crm: StandIn) -> None:
    one = lead()
    guid = dynamics.send(one, step(), settings(crm))

    record, note = crm.api_calls
    assert (record.method, record.path, record.query) == ("PATCH", f"/api/data/v9.2/leads({guid})", {})
    for call in (record, note):
        assert call.headers["if-none-match"] == "*"
        assert "if-match" not in call.headers
        assert call.headers["accept"] == "application/json"
        assert call.headers["odata-version"] == call.headers["odata-maxversion"] == "4.0"
        assert call.headers["content-type"].startswith("application/json")
        assert call.headers["authorization"].startswith("Bearer ")
    assert record.json() == {
        "subject": "Contoso Planner: Contact me",
        "firstname": "John",
        "lastname": "Smith",
        "emailaddress1": "jsmith@microsoft.com",
        "telephone1": "+14255550100",
        "companyname": "Microsoft",
        "jobtitle": "CTO",
        "address1_country": "United States",
        "description": (
            "Could you call me about prices?\n\n"
            "Offer: Contoso Planner (contoso.planner)\n"
            "Pressed: Contact me (PLT)\n"
            "Came from: SPZA\n"
            "When: 2026-11-03 16:06 UTC\n"
            f"Lead id: {CUSTOMER}-0000000000000001"
        ),
        "leadsourcecode": 8,
        "leadqualitycode": 1,
    }
    assert note.method == "PATCH"
    assert note.path.startswith("/api/data/v9.2/annotations(")
    body = note.json()
    assert body["objectid_lead@odata.bind"] == f"/leads({guid})"
    assert body["subject"] == "2026-11-03 16:06 UTC: Contact me, Contoso Planner"
    assert body["notetext"].startswith("Could you call me about prices?\n")
    assert "John Smith of Microsoft asked to be contacted about Contoso Planner." in body["notetext"]


def test_the_record_is_named_by_customer_offer_and_generation() -> None:
    one = lead()
    assert UUID(dynamics.record_id(one)).version == 5
    assert dynamics.record_id(one) == dynamics.record_id(lead("INS", event=2))
    assert dynamics.record_id(one) == dynamics.record_id(replace(one, offer="CONTOSO.Planner"))
    others = {
        dynamics.record_id(one, 1),
        dynamics.record_id(replace(one, offer="contoso.other")),
        dynamics.record_id(replace(one, id="0000000000000000-0000000000000001")),
        dynamics.record_id(replace(one, offer="")),
        dynamics.record_id(replace(one, offer="", offer_title="")),
    }
    assert len(others | {dynamics.record_id(one)}) == 6


def test_ids_never_change() -> None:
    """A release that computed other ids would write every customer a second time."""
    assert dynamics.record_id(lead()) == "c94d6ac0-3a8d-58cf-9731-b82175ef1cfe"


def test_send_again_changes_nothing(crm: StandIn) -> None:
    one = lead()
    guid = dynamics.send(one, step(), settings(crm))
    before = (dict(crm.leads[guid]), {k: dict(v) for k, v in crm.notes.items()})
    for again in (step(), step(remote_id=guid, replayed=True), step(remote_id=f"{guid}/note")):
        assert dynamics.send(one, again, settings(crm)) == guid
    assert (crm.leads[guid], crm.notes) == before


def test_what_a_person_edited_stays(crm: StandIn) -> None:
    first, second = lead("INS"), lead("PLT", event=2, contact=replace(JOHN, phone="+14255550199"))
    guid = dynamics.send(first, step(), settings(crm))
    crm.leads[guid] |= {"telephone1": "+1 typed", "subject": "Mine", "description": "Called him.", "versionnumber": 9}
    note = next(iter(crm.notes.values()))
    note["notetext"] = "Edited"
    dynamics.send(second, step((first, guid)), settings(crm))
    dynamics.send(first, step(), settings(crm))
    kept = crm.leads[guid]
    assert (kept["telephone1"], kept["subject"], kept["description"]) == ("+1 typed", "Mine", "Called him.")
    assert note["notetext"] == "Edited"
    assert "+14255550199" in next(n for n in crm.notes.values() if n is not note)["notetext"]


# Later steps


def test_later_step_looks_raises_with_the_etag_and_adds_its_note(crm: StandIn) -> None:
    first, second = lead("INS"), lead("PLT", event=2)
    guid = dynamics.send(first, step(), settings(crm))
    etag = f'W/"{crm.leads[guid]["versionnumber"]}"'
    crm.calls.clear()

    assert dynamics.send(second, step((first, guid)), settings(crm)) == guid

    look, raised, note = crm.api_calls
    assert (look.method, look.path) == ("GET", f"/api/data/v9.2/leads({guid})")
    assert look.query == {"$select": "statecode,leadqualitycode,_masterid_value"}
    assert (raised.method, raised.path, raised.json()) == ("PATCH", look.path, {"leadqualitycode": 1})
    assert raised.headers["if-match"] == etag
    assert "if-none-match" not in raised.headers
    assert note.json()["objectid_lead@odata.bind"] == f"/leads({guid})"
    assert rating(crm, guid) == 1
    assert len(crm.leads) == 1
    assert len(crm.notes) == 2


@pytest.mark.parametrize("order", [("PLT", "StartTestDrive", "INS"), ("INS", "PLT", "StartTestDrive")])
def test_the_rating_never_falls(crm: StandIn, order: tuple[str, ...]) -> None:
    seen: list[tuple[Lead, str]] = []
    for number, action in enumerate(order):
        one = lead(action, event=number)
        seen.append((one, dynamics.send(one, step(*seen), settings(crm))))
    assert {told for _, told in seen} == set(crm.leads)
    assert [row["leadqualitycode"] for row in crm.leads.values()] == [1]


def test_a_step_that_does_not_raise_makes_two_requests(crm: StandIn) -> None:
    first = lead("PLT")
    guid = dynamics.send(first, step(), settings(crm))
    crm.calls.clear()
    dynamics.send(lead("INS", event=2), step((first, guid)), settings(crm))
    assert calls(crm) == [("GET", "leads", 200), ("PATCH", "annotations", 204)]


def test_a_rating_that_the_organization_added_stays(crm: StandIn) -> None:
    first = lead("INS")
    guid = dynamics.send(first, step(), settings(crm))
    crm.leads[guid]["leadqualitycode"] = 100_000_001
    dynamics.send(lead("PLT", event=2), step((first, guid)), settings(crm))
    assert rating(crm, guid) == 100_000_001


def test_a_person_who_saves_at_the_same_time_wins(crm: StandIn) -> None:
    """The etag is stale: look again, and raise from what stands then."""
    first = lead("INS")
    guid = dynamics.send(first, step(), settings(crm))

    def save() -> None:
        crm.leads[guid] |= {"versionnumber": 77, "leadqualitycode": 1}

    crm.calls.clear()
    crm.fail(412, "", "The version of the existing record doesn't match.", method="PATCH", path=r"leads\(", before=save)
    dynamics.send(lead("StartTestDrive", event=2), step((first, guid)), settings(crm))
    assert [method for method, _, _ in calls(crm)] == ["GET", "PATCH", "GET", "PATCH"]
    assert rating(crm, guid) == 1


def test_a_record_that_changes_all_the_time_is_tried_later(crm: StandIn) -> None:
    first = lead("INS")
    guid = dynamics.send(first, step(), settings(crm))
    crm.fail(412, "", "stale", method="PATCH", path=r"leads\(", times=3)
    with pytest.raises(Transient) as caught:
        dynamics.send(lead("PLT", event=2), step((first, guid)), settings(crm))
    assert caught.value.remote_id == ""


def test_steps_at_the_same_time_share_the_record(crm: StandIn) -> None:
    """Neither knows of the other: the second finds the record that the first made."""
    first, second = lead("INS"), lead("PLT", event=2)
    one = dynamics.send(first, step((second, "")), settings(crm))
    two = dynamics.send(second, step((first, "")), settings(crm))
    assert one == two
    assert list(crm.leads) == [one]
    assert rating(crm, one) == 1
    assert len(crm.notes) == 2


def test_another_offer_is_another_record(crm: StandIn) -> None:
    first, second = lead(), lead(event=2, offer="contoso.other", offer_title="Contoso Other")
    one = dynamics.send(first, step(), settings(crm))
    assert dynamics.send(second, step((first, one)), settings(crm)) != one
    assert len(crm.leads) == 2


def test_the_same_offer_by_its_title_only_is_the_same_record(crm: StandIn) -> None:
    """By HTTPS comes the title, in the table the id too."""
    first, second = lead(offer=""), lead(event=2)
    one = dynamics.send(first, step(), settings(crm))
    assert dynamics.send(second, step((first, one)), settings(crm)) == one
    assert len(crm.leads) == 1


# Closed, deleted and merged records


@pytest.mark.parametrize("qualified", [True, False])
def test_a_new_step_on_a_closed_record_makes_the_next_one(crm: StandIn, qualified: bool) -> None:
    first, second, third = lead("INS"), lead("PLT", event=2), lead("INS", event=3)
    guid = dynamics.send(first, step(), settings(crm))
    crm.close_lead(guid, qualified=qualified)
    new = dynamics.send(second, step((first, guid)), settings(crm))
    assert new == dynamics.record_id(second, 1)
    assert dynamics.send(third, step((first, guid), (second, new)), settings(crm)) == new
    assert len(crm.leads) == 2


def test_an_older_record_that_a_person_opened_again_takes_the_step(crm: StandIn) -> None:
    one, two, three = lead("INS"), lead("PLT", event=2), lead("PLT", event=3)
    older = dynamics.send(one, step(), settings(crm))
    crm.leads[older]["statecode"] = 2
    newer = dynamics.send(two, step((one, older)), settings(crm))
    assert newer != older
    del crm.leads[newer]
    crm.leads[older]["statecode"] = 0
    assert dynamics.send(three, step((one, older), (two, newer)), settings(crm)) == older
    assert list(crm.leads) == [older]


def test_a_closed_record_that_the_app_forgot_makes_the_next_one(crm: StandIn) -> None:
    first, second = lead("INS"), lead("PLT", event=2)
    guid = dynamics.send(first, step(), settings(crm))
    crm.close_lead(guid)
    assert dynamics.send(second, step(), settings(crm)) == dynamics.record_id(second, 1)


def test_a_new_step_on_a_deleted_record_makes_the_next_one(crm: StandIn) -> None:
    first, second = lead("INS"), lead("PLT", event=2)
    guid = dynamics.send(first, step(), settings(crm))
    crm.delete("leads", guid)
    new = dynamics.send(second, step((first, guid)), settings(crm))
    assert new == dynamics.record_id(second, 1)
    assert list(crm.leads) == [new]


def test_a_replay_never_brings_back_what_a_person_deleted(crm: StandIn) -> None:
    one = lead()
    guid = dynamics.send(one, step(), settings(crm))
    crm.delete("leads", guid)
    with pytest.raises(Rejected, match="a person deleted it") as caught:
        dynamics.send(one, step(remote_id=guid, replayed=True), settings(crm))
    assert "Restore it in Dynamics" in caught.value.remedy
    assert caught.value.remote_id == guid
    assert crm.leads == {}
    assert crm.notes == {}


def test_a_replay_adds_no_note_that_a_person_deleted(crm: StandIn) -> None:
    one = lead()
    guid = dynamics.send(one, step(), settings(crm))
    crm.delete("annotations", next(iter(crm.notes)))
    assert dynamics.send(one, step(remote_id=guid, replayed=True), settings(crm)) == guid
    assert crm.notes == {}


@pytest.mark.parametrize("left", ["note", "task"])
def test_a_retry_never_brings_back_what_a_person_deleted(crm: StandIn, left: str) -> None:
    one, told = lead(), settings(crm, follow_up="task")
    guid = dynamics.send(one, step(), told)
    crm.delete("leads", guid)
    assert dynamics.send(one, step(remote_id=f"{guid}/{left}"), told) == guid
    assert (crm.leads, crm.notes, crm.tasks) == ({}, {}, {})


def test_a_merged_record_leads_to_the_one_that_was_kept(crm: StandIn) -> None:
    first, second = lead("INS"), lead("PLT", event=2)
    guid = dynamics.send(first, step(), settings(crm))
    kept = "99999999-9999-4999-8999-999999999999"
    crm.leads[kept] = {**crm.leads[guid], "leadid": kept, "statecode": 0}
    crm.close_lead(guid, qualified=False)
    crm.leads[guid]["_masterid_value"] = kept
    assert dynamics.send(second, step((first, guid)), settings(crm)) == kept
    assert rating(crm, kept) == 1
    assert len(crm.leads) == 2


def test_a_record_closed_while_the_rating_is_raised_makes_the_next_one(crm: StandIn) -> None:
    first, second = lead("INS"), lead("PLT", event=2)
    guid = dynamics.send(first, step(), settings(crm))
    crm.fail(400, "0x8004022e", "is read-only", method="PATCH", path=r"leads\(", before=lambda: crm.close_lead(guid))
    assert dynamics.send(second, step((first, guid)), settings(crm)) == dynamics.record_id(second, 1)


# Do not contact


def test_a_new_record_of_a_dnc_lead_has_the_flags(crm: StandIn) -> None:
    guid = dynamics.send(lead("DNC"), step(), settings(crm))
    row = crm.leads[guid]
    flags = ("donotemail", "donotbulkemail", "donotphone", "donotpostalmail", "donotsendmm")
    assert all(row[flag] is True for flag in flags)
    assert row["leadqualitycode"] == 3
    assert "followemail" not in crm.api_calls[0].json()


def test_a_dnc_lead_adds_its_note_and_changes_nothing_else(crm: StandIn) -> None:
    first, second = lead("INS"), lead("DNC", event=2)
    guid = dynamics.send(first, step(), settings(crm))
    del crm.leads[guid]["leadqualitycode"]
    before = dict(crm.leads[guid])
    dynamics.send(second, step((first, guid)), settings(crm, follow_up="task"))
    assert crm.leads[guid] == before
    assert len(crm.notes) == 2
    assert crm.tasks == {}


# Records of another system


def theirs(crm: StandIn, email: str = "JSmith@Microsoft.com", **columns: object) -> str:
    guid = f"99999999-9999-4999-8999-{len(crm.leads):012d}"
    crm.leads[guid] = {
        "leadid": guid,
        "emailaddress1": email,
        "statecode": 0,
        "leadqualitycode": 3,
        "createdon": "2026-01-01T00:00:00Z",
        "versionnumber": 5,
        **columns,
    }
    return guid


def test_a_record_of_another_system_is_reused_when_wanted(crm: StandIn) -> None:
    guid = theirs(crm)
    wanted = settings(crm, match="email")
    first, second = lead("INS"), lead("PLT", event=2)
    assert dynamics.send(first, step(), wanted) == guid
    search = crm.api_calls[0]
    assert search.path == "/api/data/v9.2/leads"
    assert search.query["$filter"] == "emailaddress1 eq 'jsmith@microsoft.com' and statecode eq 0"
    assert search.query["$orderby"] == "createdon desc"
    assert dynamics.send(second, step((first, guid)), wanted) == guid
    assert list(crm.leads) == [guid]
    assert rating(crm, guid) == 1
    assert len(crm.notes) == 2


def test_a_record_of_another_system_is_left_alone_otherwise(crm: StandIn) -> None:
    guid = theirs(crm)
    assert dynamics.send(lead(), step(), settings(crm)) != guid
    assert len(crm.leads) == 2


def test_no_match_means_a_record_of_our_own(crm: StandIn) -> None:
    theirs(crm, "other@contoso.com")
    theirs(crm, statecode=1)
    first = lead(offer="contoso.other")
    wanted = settings(crm, match="email")
    one = dynamics.send(first, step(), wanted)
    assert one == dynamics.record_id(first)
    # What the app itself made for another offer is no match.
    assert dynamics.send(lead(event=2), step((first, one)), wanted) == dynamics.record_id(lead())


@pytest.mark.parametrize("email", ["o'neil@x.com", "a+b@x.com", "a&$top=1@x.com", "ü@x.com", "a%27@x.com"])
def test_an_address_is_quoted_in_the_search(crm: StandIn, email: str) -> None:
    guid = theirs(crm, email)
    one = lead(contact=Contact(email=email))
    assert dynamics.send(one, step(), settings(crm, match="email")) == guid


def test_a_deleted_match_is_not_searched_on_a_retry(crm: StandIn) -> None:
    guid = theirs(crm)
    wanted = settings(crm, match="email")
    first = lead("INS")
    assert dynamics.send(first, step(), wanted) == guid
    crm.delete("leads", guid)
    assert dynamics.send(first, step(remote_id=f"{guid}/note"), wanted) == guid
    assert crm.leads == {}
    second = lead("PLT", event=2)
    assert dynamics.send(second, step((first, guid)), wanted) == dynamics.record_id(second, 0)


# Follow-up


def test_a_follow_up_task_is_made_once(crm: StandIn) -> None:
    wanted = settings(crm, follow_up="task")
    one = lead(
        "StartTestDrive", contact=Contact("Ada", "Lovelace", "ada@contoso.com", "+390669812345", "IT", "Contoso")
    )
    guid = dynamics.send(one, step(), wanted)
    for again in (step(), step(remote_id=f"{guid}/note"), step(remote_id=f"{guid}/task")):
        dynamics.send(one, again, wanted)
    (task,) = crm.tasks.values()
    assert task["subject"] == "Ada Lovelace of Contoso started a test drive of Contoso Planner"
    assert task["scheduledend"] == "2026-11-04T16:05:06Z"
    assert task["_regardingobjectid_value"] == guid
    assert "+390669812345 or ada@contoso.com" in task["description"]
    assert one.message in task["description"]


@pytest.mark.parametrize("one", [lead(is_test=True), lead("DNC")])
def test_no_follow_up_for_test_and_dnc_leads(crm: StandIn, one: Lead) -> None:
    dynamics.send(one, step(), settings(crm, follow_up="task"))
    assert crm.tasks == {}


def test_no_follow_up_unless_wanted(crm: StandIn) -> None:
    dynamics.send(lead(), step(), settings(crm))
    assert crm.tasks == {}


def test_the_owner_gets_record_and_task(crm: StandIn) -> None:
    team = "55555555-5555-4555-8555-555555555555"
    crm.dataverse.others["teams"].add(team)
    guid = dynamics.send(lead(), step(), settings(crm, owner=f"team:{team}", follow_up="task"))
    assert crm.leads[guid]["_ownerid_value"] == team
    assert next(iter(crm.tasks.values()))["_ownerid_value"] == team


# What a failure leaves


def test_a_failed_note_is_all_that_is_left(crm: StandIn) -> None:
    one = lead()
    crm.fail(503, path="annotations")
    with pytest.raises(Transient) as caught:
        dynamics.send(one, step(), settings(crm))
    guid = dynamics.record_id(one)
    assert caught.value.remote_id == f"{guid}/note"
    crm.leads[guid]["leadqualitycode"] = 3  # a person disagrees
    crm.close_lead(guid)
    crm.calls.clear()
    assert dynamics.send(one, step(remote_id=f"{guid}/note"), settings(crm)) == guid
    assert calls(crm) == [("PATCH", "annotations", 204)]
    assert rating(crm, guid) == 3


def test_a_failed_task_is_all_that_is_left(crm: StandIn) -> None:
    one, wanted = lead(), settings(crm, follow_up="task")
    crm.throttle()
    crm.fail(503, path="tasks")
    with pytest.raises(Throttled) as throttled:
        dynamics.send(one, step(), wanted)
    assert throttled.value.remote_id == ""
    with pytest.raises(Transient) as caught:
        dynamics.send(one, step(), wanted)
    guid = dynamics.record_id(one)
    assert caught.value.remote_id == f"{guid}/task"
    crm.delete("annotations", next(iter(crm.notes)))
    assert dynamics.send(one, step(remote_id=caught.value.remote_id), wanted) == guid
    assert len(crm.tasks) == 1
    assert crm.notes == {}


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("how", ["close", "hang", "502"])
def test_a_lost_answer_makes_no_second_record(
    crm: StandIn, monkeypatch: pytest.MonkeyPatch, how: str, closed: bool
) -> None:
    monkeypatch.setattr(transport, "READ_SECONDS", 0.2)
    one = lead()
    guid = dynamics.record_id(one)
    crm.fail(
        502 if how == "502" else 503,
        path=r"leads\(",
        do_the_work_first=True,
        close=how == "close",
        hang=how == "hang",
        html="<html>Bad gateway</html>" if how == "502" else "",
    )
    with pytest.raises(Transient) as caught:
        dynamics.send(one, step(), settings(crm))
    assert caught.value.remote_id == f"{guid}/record"
    if closed:  # by a flow that qualifies every lead at once, for instance
        crm.close_lead(guid)
    assert dynamics.send(one, step(remote_id=caught.value.remote_id), settings(crm)) == guid
    assert list(crm.leads) == [guid]
    assert len(crm.notes) == 1


def test_an_unanswered_request_that_did_nothing_is_done_again(crm: StandIn) -> None:
    one = lead()
    crm.fail(close=True)
    with pytest.raises(Transient) as caught:
        dynamics.send(one, step(), settings(crm))
    crm.fail(503)
    with pytest.raises(Transient) as again:
        dynamics.send(one, step(remote_id=caught.value.remote_id), settings(crm))
    assert caught.value.remote_id == again.value.remote_id == f"{dynamics.record_id(one)}/record"
    guid = dynamics.send(one, step(remote_id=again.value.remote_id), settings(crm))
    assert list(crm.leads) == [guid]


def test_a_refusal_does_not_count_as_asked(crm: StandIn) -> None:
    crm.fail(400, "0x80040265", "No.", path=r"leads\(")
    with pytest.raises(Rejected) as caught:
        dynamics.send(lead(), step(), settings(crm))
    assert caught.value.remote_id == ""


@pytest.mark.parametrize("status", [409, 412, 500])
def test_duplicate_key_by_any_status_is_there_already(crm: StandIn, status: int) -> None:
    one = lead("INS")
    guid = dynamics.send(one, step(), settings(crm))
    crm.fail(status, "0x80040237", "Cannot insert duplicate key.", path=r"leads\(")
    assert dynamics.send(lead("INS", event=2), step(), settings(crm)) == guid


def test_the_deadline_ends_an_attempt(crm: StandIn) -> None:
    clock = [0.0]
    deadline = Deadline(30, lambda: clock[0])

    def pass_by() -> None:
        clock[0] = 31

    crm.fail(204, path=r"leads\(", do_the_work_first=True, before=pass_by)
    one = lead()
    with pytest.raises(Transient):
        dynamics.send(one, step(deadline=deadline), settings(crm))
    assert not crm.notes


def test_without_an_address_it_is_misconfigured() -> None:
    with pytest.raises(Misconfigured, match="DYNAMICS_URL"):
        dynamics.send(lead(), step(), dynamics.Settings())


# Links and foreign remote ids


def test_the_link_leads_to_the_record_that_took_the_lead(crm: StandIn) -> None:
    one, guid = lead(), str(UUID(int=3))
    for remote_id in (guid, f"{guid}/note"):
        link = dynamics.record_url(one, [(one, remote_id)], settings(crm))
        assert link == f"{crm.url}/main.aspx?pagetype=entityrecord&etn=lead&id={guid}"
    there = dynamics.Settings(url="https://contoso.api.crm4.dynamics.com")
    assert dynamics.record_url(one, [], there).startswith("https://contoso.crm4.dynamics.com/main.aspx?")
    assert dynamics.record_url(one, [(one, guid)], dynamics.Settings()) == ""


def test_before_the_lead_arrived_the_link_leads_to_the_record_of_its_customer_and_offer() -> None:
    there = dynamics.Settings(url="https://contoso.crm4.dynamics.com")
    matching = replace(there, match="email")
    one, before = lead(), replace(lead(), id="9f86d081884c7d65-0000000000000001")
    other_offer = replace(before, offer="contoso.other", offer_title="Other")
    first, second = str(UUID(int=1)), str(UUID(int=2))

    def linked(made: dynamics.Settings, *known: tuple[Lead, str]) -> str:
        return dynamics.record_url(one, known, made)[-36:]

    assert linked(there) == dynamics.record_id(one)
    assert linked(there, (one, ""), (before, second), (before, first)) == second
    assert linked(there, (one, ""), (other_offer, second), (before, first)) == first
    assert linked(there, (one, f"{first}/record"), (before, second)) == second, "asked for, and no answer came"
    for nothing in ("", "something", "8eb0", f"{first}/else"):
        assert linked(there, (one, nothing)) == dynamics.record_id(one)
    # Where the first step may be on a record of another system, a link would be a guess.
    assert linked(matching) == ""
    assert linked(matching, (one, ""), (before, first)) == first


def test_a_remote_id_that_is_none_is_passed_over(crm: StandIn) -> None:
    one = lead()
    guid = dynamics.send(one, step((lead(event=0), "00Q5g000000abcd"), remote_id="00Q5g000000abcd"), settings(crm))
    assert guid == dynamics.record_id(one)


# Throughput


def test_a_thousand_leads_make_two_requests_each_on_one_connection(crm: StandIn) -> None:
    told = settings(crm)
    made = [lead("INS", event=number, customer=f"{number:016x}") for number in range(1000)]
    for one in made:
        dynamics.send(one, step(), told)
    assert len(crm.api_calls) == 2000
    assert len([call for call in crm.calls if call.path.startswith(f"/{TENANT_ID}/oauth2")]) <= 1
    assert len(crm.leads) == len(crm.notes) == 1000
    assert len(crm._server.open) <= 2


# Rare turns


def test_a_record_that_was_asked_for_and_that_another_step_lost_to_a_person(crm: StandIn) -> None:
    """The answer was lost, another step found the record, a person deleted it: this step is news all the same."""
    first, second = lead("INS"), lead("PLT", event=2)
    guid = dynamics.send(second, step(), settings(crm))
    crm.delete("leads", guid)
    told = dynamics.send(first, step((second, guid), remote_id=f"{guid}/record"), settings(crm))
    assert told == dynamics.record_id(first, 1)
    assert list(crm.leads) == [told]


def test_records_merged_in_a_circle_end_in_a_new_one(crm: StandIn) -> None:
    first, second = lead("INS"), lead("PLT", event=2)
    guid = dynamics.send(first, step(), settings(crm))
    crm.close_lead(guid, qualified=False)
    crm.leads[guid]["_masterid_value"] = guid
    assert dynamics.send(second, step((first, guid)), settings(crm)) == dynamics.record_id(second, 1)


def test_a_rule_that_closes_every_record_is_told(crm: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "GENERATIONS", 3)
    for event in range(3):
        crm.close_lead(dynamics.send(lead(event=event), step(), settings(crm)))
    with pytest.raises(Rejected, match="closed or deleted 3 times"):
        dynamics.send(lead(event=9), step(), settings(crm))


def test_no_right_to_raise_the_rating_is_misconfigured(crm: StandIn) -> None:
    first = lead("INS")
    guid = dynamics.send(first, step(), settings(crm))
    crm.dataverse.privileges.discard("prvWriteLead")
    with pytest.raises(Misconfigured, match="prvWriteLead"):
        dynamics.send(lead("PLT", event=2), step((first, guid)), settings(crm))


def test_a_plug_in_that_refuses_the_note(crm: StandIn) -> None:
    crm.fail(400, "0x80040265", "No notes.", path="annotations")
    with pytest.raises(Rejected, match=r"refused to add the note .*: No notes\.") as caught:
        dynamics.send(lead(), step(), settings(crm))
    assert caught.value.remote_id == f"{dynamics.record_id(lead())}/note"
    assert len(crm.leads) == 1
