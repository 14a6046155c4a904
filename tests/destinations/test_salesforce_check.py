"""What `check` finds in an org (REST API Developer Guide, sObject Describe), as its page tells it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev.standins.salesforce import StandIn
from dev.standins.salesforce.objects import Field
from leads.contract import Finding
from leads.destinations import salesforce
from leads.transport import Deadline
from tests.destinations.salesforce_leads import settings


def findings(org: StandIn, **extra: str) -> dict[str, Finding]:
    return {found.name: found for found in salesforce.check(settings(org, **extra), Deadline.after(30))}


def wrong(org: StandIn, **extra: str) -> dict[str, str]:
    """What is wrong, each with cause and remedy."""
    found = [one for one in findings(org, **extra).values() if not one.ok]
    assert all(one.cause and one.remedy for one in found)
    return {one.name: f"{one.cause} {one.remedy}" for one in found}


def test_all_is_well_and_nothing_is_written(org: StandIn) -> None:
    found = findings(org)
    assert list(found) == ["sign-in", "organization", "leads", "lead key", "steps", "step key", "contacts"]
    assert all(one.ok for one in found.values())
    assert found["organization"].cause == "Calls used today, out of those allowed: 18/5000."
    assert {call.method for call in org.api_calls} == {"GET"}
    assert org.leads == {}


def test_a_wrong_secret_ends_it(org: StandIn) -> None:
    assert list(findings(org, client_secret="other")) == ["sign-in"]


def test_a_version_that_there_is_not_ends_it(org: StandIn) -> None:
    found = wrong(org, api_version="99.0")
    assert list(found) == ["organization"]
    assert "SALESFORCE_API_VERSION" in found["organization"]


@pytest.mark.parametrize(
    ("kind", "name", "finding"),
    [("Lead", "MarketplaceLeadKey__c", "lead key"), ("Task", "MarketplaceStepKey__c", "step key")],
)
def test_a_key_field_that_is_not_as_it_has_to_be(org: StandIn, kind: str, name: str, finding: str) -> None:
    fields = org.org.objects[kind]
    fields[name] = Field("string", 20, unique=False, writable=False)
    told = wrong(org)[finding]
    for words in ("not unique", "no external id", "not writable", "shorter than 64"):
        assert words in told
    del fields[name]
    assert f"has no field {name}" in wrong(org)[finding]


def test_fields_that_there_are_not(org: StandIn) -> None:
    del org.org.objects["Lead"]["HasOptedOutOfEmail"]
    fields = '{"Nowhere__c": 1, "IsDeletedToo__c": null}'
    assert "no HasOptedOutOfEmail, Nowhere__c in Lead" in wrong(org, fields=fields)["leads"]
    assert wrong(org, fields='{"HasOptedOutOfEmail": null}') == {}


def test_a_field_that_the_org_demands(org: StandIn) -> None:
    org.org.objects["Lead"]["Budget__c"] = Field("string", 20, required=True)
    assert "requires Budget__c" in wrong(org)["leads"]
    assert wrong(org, fields='{"Budget__c": "unknown"}') == {}


def test_a_shorter_field_is_a_remark_and_pick_lists_are_no_matter(org: StandIn) -> None:
    lead = org.org.objects["Lead"]
    lead["Title"] = replace(lead["Title"], length=40)
    org.org.country_pick_lists("IT")
    del lead["Country"]
    found = findings(org)["leads"]
    assert found.ok
    assert "Title (40)" in found.cause


@pytest.mark.parametrize(
    ("kind", "finding", "words"),
    [
        ("Lead", "leads", "Read, Create and Edit on Lead"),
        ("Task", "steps", "Edit Tasks"),
        ("Contact", "contacts", "Read on Contact"),
    ],
)
def test_a_permission_that_is_missing(org: StandIn, kind: str, finding: str, words: str) -> None:
    org.fail(200, html='{"fields": []}', path=f"{kind}/describe", times=2)
    assert words in wrong(org)[finding]
    org._server.failures.clear()
    org.fail(404, "NOT_FOUND", path=f"{kind}/describe", times=2)
    assert finding in wrong(org)


def test_answers_of_a_stranger(org: StandIn) -> None:
    for body in ("[]", "{}", '{"fields": 7}', '{"fields": [1]}', "<html>"):
        org.fail(200, html=body, times=20)
        wrong(org)
        org._server.failures.clear()


def test_web_to_lead_says_that_nothing_is_proved(org: StandIn) -> None:
    (found,) = findings(org, mode="web").values()
    assert found.ok
    assert "accepted, no proof of delivery" in found.cause
    assert org.calls == []
