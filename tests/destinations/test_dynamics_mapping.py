"""What a lead becomes: columns, notes, tasks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.standins.dynamics import columns as real
from leads import crm
from leads.destinations.dynamics import mapping
from leads.lead import Contact, Lead, Stage
from tests.destinations.dynamics_leads import JOHN, NOW, STAGES, lead

GUID = "c94d6ac0-3a8d-58cf-9731-b82175ef1cfe"
TEXT = st.text(st.characters(), max_size=400)


def record(one: Lead, **extra: crm.Constant) -> mapping.Columns:
    return mapping.record(one, 8, "", extra)


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@pytest.mark.parametrize(
    ("contact", "first", "last"),
    [
        (Contact("Ada", "Lovelace", company="Contoso"), "Ada", "Lovelace"),
        (Contact("Ada", company="Contoso", email="ada@x.com"), "Ada", "Contoso"),
        (Contact(email="ada@x.com"), None, "ada"),
        (Contact("Ada"), "Ada", "(unknown)"),
        (Contact(), None, "(unknown)"),
    ],
)
def test_there_is_always_a_last_name(contact: Contact, first: str | None, last: str) -> None:
    row = record(lead(contact=contact))
    assert row.get("firstname") == first
    assert row["lastname"] == last


@pytest.mark.parametrize(
    ("action", "subject", "rating"),
    [
        ("PLT", "Contoso Planner: Contact me", 1),
        ("Create", "Contoso Planner: Create", 1),
        ("StartTestDrive", "Contoso Planner: Test drive", 2),
        ("INS", "Contoso Planner: Get it now", 3),
        ("DNC", "Contoso Planner: Do not contact", 3),
        ("NEW", "Contoso Planner: Marketplace lead", None),
    ],
)
def test_topic_and_rating_by_what_the_customer_did(action: str, subject: str, rating: int | None) -> None:
    row = record(lead(action))
    assert row["subject"] == subject
    assert row.get("leadqualitycode") == rating


def test_the_stage_speaks_where_the_code_is_new() -> None:
    assert record(lead("NEW", stage=Stage.TRIAL))["subject"] == "Contoso Planner: Trial"
    assert record(lead("NEW", offer="", offer_title=""))["subject"] == "Marketplace lead"
    assert record(lead(is_test=True))["subject"].startswith("TEST ")


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        ("StartTestDrive", "John Smith of Microsoft started a test drive of Contoso Planner"),
        ("PLT", "John Smith of Microsoft asked to be contacted about Contoso Planner"),
        ("INS", "John Smith of Microsoft got Contoso Planner"),
    ],
)
def test_the_task_says_what_happened(action: str, sentence: str) -> None:
    assert mapping.task(lead(action), GUID, "", NOW)["subject"] == sentence


def test_the_task_of_a_lead_without_anything() -> None:
    task = mapping.task(lead(contact=Contact(), offer="", offer_title="", message=""), GUID, "", NOW)
    assert task["subject"] == "A customer asked to be contacted about an offer"
    assert "No way to reach them" in task["description"]


def test_campaign_and_country_are_told() -> None:
    row = record(lead(campaign={"mktcmpid": "blog_12", "utm_source": "x"}, contact=replace(JOHN, country="Italia")))
    assert "Campaign: mktcmpid=blog_12, utm_source=x" in row["description"]
    assert row["address1_country"] == "Italia"
    assert record(lead(contact=replace(JOHN, country="BO")))["address1_country"] == "Bolivia"
    assert record(lead(contact=replace(JOHN, country="ZZ")))["address1_country"] == "ZZ"


@pytest.mark.parametrize(
    ("extra", "url"),
    [
        ({"website": "contoso.com"}, "https://contoso.com"),
        ({"Company_Website": "http://contoso.com/a"}, "http://contoso.com/a"),
        ({"website": "none"}, None),
        ({"website": 7}, None),
        ({}, None),
    ],
)
def test_website(extra: dict[str, Any], url: str | None) -> None:
    assert record(lead(extra=extra)).get("websiteurl") == url


def test_values_that_are_no_use_when_cut_are_left_to_the_note() -> None:
    address = f"{'a' * 60}@{'b' * 60}.com"
    one = lead(contact=replace(JOHN, email=address, phone="1" * 51), extra={"website": "x." + "y" * 200})
    row = record(one)
    assert not {"emailaddress1", "telephone1", "websiteurl"} & row.keys()
    text = mapping.note(one, GUID)["notetext"]
    assert address in text
    assert "1" * 51 in text
    assert "emailaddress1" not in record(lead(contact=replace(JOHN, email="no address")))


def test_long_words_of_the_customer_are_cut_at_a_word_and_stand_whole_in_the_note() -> None:
    words = "offer " * 1300
    row = record(lead(message=words))
    assert utf16(row["description"]) <= 2000
    assert "offer…\n\nOffer: Contoso Planner" in row["description"]
    assert words.strip() in mapping.note(lead(message=words), GUID)["notetext"]


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("short", 5, "short"),
        ("one two three", 9, "one two…"),
        ("one two three", 8, "one two…"),
        ("one two three", 7, "one…"),
        ("one two three four", 15, "one two three…"),
        ("onetwothree", 5, "onet…"),
        ("😀😀😀", 6, "😀😀😀"),
        ("😀😀😀", 5, "😀😀…"),
        ("a verylongwordthatfillsall", 20, "a verylongwordthatf…"),
    ],
)
def test_cut(text: str, limit: int, cut: str) -> None:
    assert crm.cut(text, limit) == cut


@given(st.lists(st.text("abc", min_size=1, max_size=4), min_size=6, max_size=12), st.integers(11, 40))
def test_a_cut_keeps_every_word_that_fits(words: list[str], limit: int) -> None:
    text = " ".join(words)
    fitting = [" ".join(words[:count]) for count in range(1, len(words)) if len(" ".join(words[:count])) < limit]
    assert crm.cut(text, limit) == (text if len(text) <= limit else f"{fitting[-1]}…")


@given(TEXT, st.integers(1, 100))
def test_cut_never_exceeds(text: str, limit: int) -> None:
    result = crm.cut(text, limit)
    assert utf16(result) <= limit
    assert result == text or result.endswith("…")


def test_a_stranger_cannot_put_markup_into_a_timeline() -> None:
    one = lead(message='<img src="https://evil.example/x"> 1 < 2 </p>', contact=replace(JOHN, first_name="<script>"))
    text = mapping.note(one, GUID)["notetext"]
    assert "<img" not in text
    assert "<script" not in text
    assert "</p" not in text
    assert "1 < 2" in text


@given(
    st.builds(
        lead,
        st.sampled_from(sorted(STAGES)),
        contact=st.builds(Contact, *[TEXT] * 7),
        message=TEXT,
        offer=TEXT,
        offer_title=TEXT,
        source=TEXT,
        campaign=st.dictionaries(TEXT, TEXT, max_size=3),
        extra=st.dictionaries(TEXT, st.recursive(st.none() | st.floats() | TEXT, st.lists, max_leaves=3), max_size=3),
        issues=st.tuples(TEXT),
        is_test=st.booleans(),
    )
)
def test_whatever_a_lead_holds_fits_the_columns(one: Lead) -> None:
    extra: dict[str, crm.Constant] = {"address1_city": "lead.contact.company", "sic": None}
    for table, row in (
        (real.LEAD, record(one, **extra)),
        (real.NOTE, mapping.note(one, GUID)),
        (real.TASK, mapping.task(one, GUID, "", NOW)),
    ):
        json.dumps(row, allow_nan=False).encode().decode("ascii")
        for column, value in row.items():
            if "@" in column or column in ("address1_city", "scheduledend"):
                continue
            if isinstance(value, str):
                assert 0 < utf16(value) <= table[column].length
                assert not any("\ud800" <= character <= "\udfff" or character == "\0" for character in value)
            else:
                assert table[column].kind in ("option", "yes/no")
    assert record(one)["lastname"].strip()


def test_columns_of_the_setting() -> None:
    one = lead(campaign={"utm_source": "blog"}, extra={"planId": "gold", "seats": 3, "nan": float("nan"), "list": [1]})
    row = record(
        one,
        new_source="campaign.utm_source",
        new_campaign="lead.campaign.utm_source",
        new_plan="lead.extra.planId",
        new_seats="lead.extra.seats",
        new_list="lead.extra.list",
        new_nan="lead.extra.nan",
        new_none="lead.extra.none",
        new_stage="lead.stage",
        new_when="lead.created_at",
        new_company="lead.contact.company",
        new_name="lead.contact.name",
        new_customer="lead.customer",
        new_test="lead.is_test",
        new_issues="lead.issues",
        new_constant="Marketplace",
        new_number=7,
        new_flag=False,
        jobtitle=None,
        subject="lead.offer_name",
    )
    assert {name: row[name] for name in sorted(row) if name.startswith("new_")} == {
        "new_campaign": "blog",
        "new_company": "Microsoft",
        "new_constant": "Marketplace",
        "new_customer": one.customer,
        "new_flag": False,
        "new_issues": "[]",
        "new_list": "[1]",
        "new_name": "John Smith",
        "new_nan": "nan",
        "new_number": 7,
        "new_plan": "gold",
        "new_seats": 3,
        "new_source": "blog",
        "new_stage": "active",
        "new_test": False,
        "new_when": "2026-11-03T16:06:06Z",
    }
    assert record(lead("DNC"), donotemail=False)["donotemail"] is True
    assert "jobtitle" not in row
    assert row["subject"] == "Contoso Planner"


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("lead.offer", True),
        ("lead.contact.company", True),
        ("lead.extra.anything at all", True),
        ("lead.campaign.utm.x", True),
        ("campaign.utm_source", True),
        ("lead.contact", False),
        ("lead.contact.age", False),
        ("lead.extra", False),
        ("lead.nothing", False),
        ("lead.__class__", False),
        ("lead.offer.upper", False),
        ("campaign.", False),
    ],
)
def test_paths(path: str, good: bool) -> None:
    assert crm.is_path(path) is good


def test_every_length_is_the_tables() -> None:
    for column, length in {**mapping.LENGTHS, **mapping.WHOLE}.items():
        assert real.LEAD[column].length == length
