"""Fields → Lead: golden tables of what comes and what it becomes, and properties that hold for anything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads.intake import contact, countries, payload, times
from leads.intake.normalize import email_key, normalize
from leads.intake.payload import Fields
from leads.lead import Contact, Lead, Stage, Via
from leads.settings import STAGES

FIXTURES = Path(__file__).parent.parent / "fixtures"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TEST = "MSFT_TEST_636573304831318844"


def lead_of(fields: Fields) -> Lead:
    return normalize(fields, via=Via.HTTPS, arrived_at=NOW, stages=STAGES)


def posted(**value: Any) -> Lead:
    """The lead of a POST with these fields."""
    return lead_of(payload.read(json.dumps(value).encode()))


def row(row_key: str) -> Lead:
    """The lead of a sample row."""
    for path in sorted((FIXTURES / "table").glob("*.json")):
        for one in json.loads(path.read_text("utf-8")):
            if one["RowKey"] == row_key:
                return normalize(payload.read_row(one), via=Via.TABLE, arrived_at=NOW, stages=STAGES)
    raise KeyError(row_key)


def fixture(name: str) -> Lead:
    return lead_of(payload.read((FIXTURES / "https" / name).read_bytes()))


# --- countries ---

COUNTRIES = {
    # codes
    "IT": "IT",
    "it": "IT",
    " us ": "US",
    "USA": "US",
    "deu": "DE",
    "U.S.": "US",
    "U.S.A.": "US",
    "UK": "GB",
    "U.K.": "GB",
    "EL": "GR",
    # English, as ISO says it and as people say it
    "Italy": "IT",
    "UNITED STATES": "US",
    "United States of America": "US",
    "United States of America (USA)": "US",
    "America": "US",
    "United Kingdom": "GB",
    "Great Britain": "GB",
    "England": "GB",
    "Northern Ireland": "GB",
    "Russia": "RU",
    "Russian Federation": "RU",
    "Korea": "KR",
    "South Korea": "KR",
    "Korea, Republic of": "KR",
    "North Korea": "KP",
    "Czech Republic": "CZ",
    "Czechia": "CZ",
    "Turkey": "TR",
    "Türkiye": "TR",
    "Holland": "NL",
    "The Netherlands": "NL",
    "Netherlands": "NL",
    "Taiwan": "TW",
    "Taiwan, Province of China": "TW",
    "Hong Kong SAR": "HK",
    "Macau": "MO",
    "Viet Nam": "VN",
    "Vietnam": "VN",
    "Iran": "IR",
    "Bolivia": "BO",
    "Venezuela": "VE",
    "Tanzania": "TZ",
    "Moldova": "MD",
    "North Macedonia": "MK",
    "Côte d'Ivoire": "CI",
    "Cote d’Ivoire": "CI",
    "Ivory Coast": "CI",
    "The Gambia": "GM",
    "Bosnia & Herzegovina": "BA",
    "UAE": "AE",
    "Samoa": "WS",
    "Georgia": "GE",
    "Niger": "NE",
    "Nigeria": "NG",
    "Congo": "CG",
    "DR Congo": "CD",
    # other languages
    "Italia": "IT",
    "Stati Uniti": "US",
    "Deutschland": "DE",
    "Vereinigte Staaten": "US",
    "Großbritannien": "GB",
    "Österreich": "AT",
    "Schweiz": "CH",
    "Suisse": "CH",
    "États-Unis": "US",
    "Etats-Unis": "US",
    "Royaume-Uni": "GB",
    "Allemagne": "DE",
    "España": "ES",
    "Estados Unidos": "US",
    "Corea del Sur": "KR",
    "México": "MX",
    "Mexico": "MX",
    "Brasil": "BR",
    "Nederland": "NL",
    "Duitsland": "DE",
    "Sverige": "SE",
    "Norge": "NO",
    "Suomi": "FI",
    "Danmark": "DK",
    "Polska": "PL",
    "Česko": "CZ",
    "Magyarország": "HU",
    "România": "RO",
    "Éire": "IE",
    "Ελλάδα": "GR",
    "Россия": "RU",
    "Російська Федерація": "RU",
    "Україна": "UA",
    "България": "BG",
    "日本": "JP",
    "中国": "CN",
    "中國": "CN",
    "美国": "US",
    "台灣": "TW",
    "대한민국": "KR",
    "한국": "KR",
    "ไทย": "TH",
    "ประเทศไทย": "TH",
    "भारत": "IN",
    "ישראל": "IL",
    "مصر": "EG",
    "Việt Nam": "VN",
    "Almanya": "DE",
    # none
    "Narnia": None,
    "Earth": None,
    "Europe": None,
    "World": None,
    "test": None,
    "null": None,
    "unknown": None,
    "None": None,
    "Other": None,
    "XX": None,
    "n/a": None,
    "-": None,
    "": None,
    "Kosovo": None,
    "123": None,
    "x" * 9_000: None,
}


@pytest.mark.parametrize(("text", "code"), COUNTRIES.items(), ids=[text[:20] for text in COUNTRIES])
def test_country(text: str, code: str | None) -> None:
    assert countries.alpha2(text) == code


def test_every_country_is_known_by_all_that_iso_calls_it() -> None:
    import pycountry

    for country in pycountry.countries:
        for attribute in ("alpha_2", "alpha_3", "name", "common_name", "official_name"):
            if name := getattr(country, attribute, None):
                assert countries.alpha2(name.upper()) == country.alpha_2


def test_translations_of_the_ten_languages_that_are_most_spoken_in_business() -> None:
    import gettext

    import pycountry

    for language in ("de", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "zh_CN"):
        translate = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, [language]).gettext
        for code in ("US", "GB", "DE", "FR", "IT", "ES", "JP", "CN", "BR", "IN", "CA", "AU", "CH", "PL", "SE"):
            assert countries.alpha2(translate(pycountry.countries.lookup(code).name)) == code, (language, code)


# --- phones ---


@pytest.mark.parametrize(
    ("text", "country", "expected"),
    [
        ("16175555555", "US", "+16175555555"),
        ("(617) 555-5555", "US", "+16175555555"),
        ("+1 617.555.5555", "", "+16175555555"),
        ("+39 06 698 12345", "IT", "+390669812345"),
        ("06 698 12345", "IT", "+390669812345"),
        ("0039 06 698 12345", "IT", "+390669812345"),
        ("0039 06 698 12345", "US", "+390669812345"),
        ("0039 06 698 12345", "", "+390669812345"),
        ("00 39 06 698 12345", "", "+390669812345"),
        ("(+39) 06 698 12345", "", "+390669812345"),
        ("+39 06 698 12345", "DE", "+390669812345"),
        ("390669812345", "IT", "+390669812345"),
        ("011 39 06 698 12345", "US", "+390669812345"),
        ("tel:+390669812345", "", "+390669812345"),
        ("Tel. 06 698 12345", "IT", "+390669812345"),
        ("020 7946 0958", "GB", "+442079460958"),
        ("+44 (0)20 7946 0958", "GB", "+442079460958"),
        ("030 227 32152", "DE", "+493022732152"),
        ("+49 30/227-32152", "", "+493022732152"),
        ("03-3580-3311", "JP", "+81335803311"),
        ("０３－３５８０－３３１１", "JP", "+81335803311"),
        ("11 98765-4321", "BR", "+5511987654321"),
        ("650-253-0000 ext. 12", "US", "+16502530000 ext. 12"),
        ("650-253-0000 x12", "US", "+16502530000 ext. 12"),
        ("+16502530000;ext=12", "", "+16502530000 ext. 12"),
        ("1-800-FLOWERS", "US", "+18003569377"),
        # what is no number
        ("1234567890", "US", None),
        ("0000000000", "US", None),
        ("06 698 12345", "", None),
        ("06 698 12345", "XX", None),
        ("+999 123 456", "", None),
        ("no phone", "US", None),
        ("+", "US", None),
        ("00", "", None),
        ("1" * 300, "US", None),
        ("+1 617 555 5555 / +1 650 253 0000", "US", None),
    ],
)
def test_phone(text: str, country: str, expected: str | None) -> None:
    assert contact.phone(text, country) == expected
    assert expected is None or contact.phone(expected, "") == expected


# --- e-mail ---


@pytest.mark.parametrize(
    ("text", "expected", "key"),
    [
        ("someone@contoso.com", "someone@contoso.com", "someone@contoso.com"),
        ("  Some.One@Contoso.COM ", "Some.One@contoso.com", "some.one@contoso.com"),
        ("mailto:someone@contoso.com", "someone@contoso.com", "someone@contoso.com"),
        ("MAILTO:someone@contoso.com?subject=Hi", "someone@contoso.com", "someone@contoso.com"),
        ("<someone@contoso.com>", "someone@contoso.com", "someone@contoso.com"),
        ("Some One <someone@contoso.com>", "someone@contoso.com", "someone@contoso.com"),
        ("'someone@contoso.com'", "someone@contoso.com", "someone@contoso.com"),
        ("someone@contoso.com.", "someone@contoso.com", "someone@contoso.com"),
        ("some+one@contoso.com", "some+one@contoso.com", "some+one@contoso.com"),
        ("someone@müller.de", "someone@xn--mller-kva.de", "someone@xn--mller-kva.de"),
        ("someone@MÜLLER.de", "someone@xn--mller-kva.de", "someone@xn--mller-kva.de"),
        ("someone@xn--mller-kva.de", "someone@xn--mller-kva.de", "someone@xn--mller-kva.de"),
        ("JOSÉ@contoso.com", "JOSÉ@contoso.com", "josé@contoso.com"),
        ("someone@例え.jp", "someone@xn--r8jz45g.jp", "someone@xn--r8jz45g.jp"),
        ("lead@customer.test", "lead@customer.test", "lead@customer.test"),
        (f"{TEST}@test.com", f"{TEST}@test.com", f"{TEST.lower()}@test.com"),
        ("someone", None, None),
        ("someone@", None, None),
        ("someone@contoso", None, None),
        ("some one@contoso.com", None, None),
        ("a@b.co, c@d.co", None, None),
        ("someone@contoso..com", None, None),
        ("someone@-contoso.com", None, None),
        ("n/a", None, None),
        ("", None, None),
        ("x" * 300 + "@contoso.com", None, None),
        ("@" * 8_000, None, None),
        ("<" * 8_000, None, None),
    ],
)
def test_email(text: str, expected: str | None, key: str | None) -> None:
    assert contact.email(text) == expected
    assert email_key(text) == key
    if expected and key:
        assert contact.email(expected) == expected
        assert email_key(expected) == key == email_key(key)


# --- source, action, offer, stage ---

ORIGINS = [
    # LeadSource, ActionCode → source, action, offer, offer title, stage
    ("AzureMarketplace", "INS", "AzureMarketplace", "INS", "", "", Stage.INITIAL_INTEREST),
    ("SPZA", "PLT", "SPZA", "PLT", "", "", Stage.ACTIVE),
    ("AzurePortal", "Create", "AzurePortal", "Create", "", "", Stage.ACTIVE),
    ("TestDrive", "StartTestDrive", "TestDrive", "StartTestDrive", "", "", Stage.TRIAL),
    ("AzureMarketplace", "StartTestDrive", "AzureMarketplace", "StartTestDrive", "", "", Stage.TRIAL),
    ("TestDrive", "", "TestDrive", "", "", "", Stage.TRIAL),
    ("TestDrive", "INS", "TestDrive", "INS", "", "", Stage.TRIAL),
    ("TestDrive", "DNC", "TestDrive", "DNC", "", "", Stage.DO_NOT_CONTACT),
    ("SPZA", "DNC", "SPZA", "DNC", "", "", Stage.DO_NOT_CONTACT),
    ("SPZA", "XYZ9", "SPZA", "XYZ9", "", "", Stage.UNKNOWN),
    ("SomethingNew", "INS", "SomethingNew", "INS", "", "", Stage.INITIAL_INTEREST),
    ("", "", "", "", "", "", Stage.UNKNOWN),
    # known codes in any case, and the names of AppSource
    ("azuremarketplace", "ins", "AzureMarketplace", "INS", "", "", Stage.INITIAL_INTEREST),
    ("AZUREPORTAL", "CREATE", "AzurePortal", "Create", "", "", Stage.ACTIVE),
    ("AppSource (SPZA)", "PLT", "SPZA", "PLT", "", "", Stage.ACTIVE),
    ("AppSource", "PLT", "SPZA", "PLT", "", "", Stage.ACTIVE),
    # combined
    ("SPZA-PLT|contoso.planner", "", "SPZA", "PLT", "contoso.planner", "", Stage.ACTIVE),
    ("SPZA-PLT|contoso.planner", "PLT", "SPZA", "PLT", "contoso.planner", "", Stage.ACTIVE),
    ("AppSource (SPZA)-PLT|contoso.planner", "", "SPZA", "PLT", "contoso.planner", "", Stage.ACTIVE),
    (" SPZA - PLT | contoso.planner ", "", "SPZA", "PLT", "contoso.planner", "", Stage.ACTIVE),
    ("SPZA|contoso.planner", "", "SPZA", "", "contoso.planner", "", Stage.UNKNOWN),
    ("AzureMarketplace-INS", "", "AzureMarketplace", "INS", "", "", Stage.INITIAL_INTEREST),
    ("SPZA-PLT|a.b|c", "", "SPZA", "PLT", "", "a.b|c", Stage.ACTIVE),
    ("|", "", "", "", "", "", Stage.UNKNOWN),
    (
        "AzurePortal-Create|checkpoint.check-point-r77-10sg-byol",
        "",
        "AzurePortal",
        "Create",
        "checkpoint.check-point-r77-10sg-byol",
        "",
        Stage.ACTIVE,
    ),
    (
        "SPZA-INS|docusign.3701c77e-1cfa-4c56-91e6-3ed0b622145a",
        "",
        "SPZA",
        "INS",
        "docusign.3701c77e-1cfa-4c56-91e6-3ed0b622145a",
        "",
        Stage.INITIAL_INTEREST,
    ),
    (f"{TEST}-{TEST}|Contoso Test", "", TEST, TEST, "", "Contoso Test", Stage.UNKNOWN),
    # free text
    ("Test run through MS Flow", "", "Test run through MS Flow", "", "", "", Stage.UNKNOWN),
    ("Trade fair - Milan", "", "Trade fair - Milan", "", "", "", Stage.UNKNOWN),
    ("Partner-Web", "INS", "Partner-Web", "INS", "", "", Stage.INITIAL_INTEREST),
]


@pytest.mark.parametrize(("lead_source", "action_code", "source", "action", "offer", "title", "stage"), ORIGINS)
def test_origin(
    lead_source: str, action_code: str, source: str, action: str, offer: str, title: str, stage: Stage
) -> None:
    lead = posted(leadSource=lead_source, actionCode=action_code)
    assert (lead.source, lead.action, lead.offer, lead.offer_title, lead.stage) == (
        source,
        action,
        offer,
        title,
        stage,
    )
    assert lead.do_not_contact is (action == "DNC")


def test_the_fields_of_their_own_win_over_lead_source_which_is_kept() -> None:
    lead = posted(leadSource="SPZA-PLT|contoso.planner", actionCode="INS", productId="contoso.other")
    assert (lead.action, lead.offer, lead.stage) == ("INS", "contoso.other", Stage.INITIAL_INTEREST)
    assert lead.extra == {"LeadSource": "SPZA-PLT|contoso.planner"}
    assert len(lead.issues) == 2


def test_half_an_offer_id_is_made_whole_by_lead_source() -> None:
    lead = posted(leadSource="SPZA-PLT|contoso.planner", productId="planner")
    assert (lead.offer, lead.extra, lead.issues) == ("contoso.planner", {}, ())


def test_stages_are_a_setting() -> None:
    fields = Fields(lead_source="AzureMarketplace", action_code="xyz9")
    stages = {**STAGES, "XYZ9": Stage.DO_NOT_CONTACT}
    lead = normalize(fields, via=Via.HTTPS, arrived_at=NOW, stages=stages)
    assert lead.stage is Stage.DO_NOT_CONTACT
    assert lead.do_not_contact
    assert lead.issues == ()


def test_no_setting_takes_do_not_contact_away() -> None:
    stages = {**STAGES, "DNC": Stage.ACTIVE}
    lead = normalize(Fields(action_code="dnc"), via=Via.TABLE, arrived_at=NOW, stages=stages)
    assert (lead.action, lead.stage, lead.do_not_contact) == ("DNC", Stage.ACTIVE, True)


def test_unknown_codes_are_told() -> None:
    assert posted(leadSource="New", actionCode="XYZ9").issues == (
        "source: is not known; kept as it came",
        "action: is a code that is not known; LEADS_STAGES can give it a stage",
    )


# --- description ---


@pytest.mark.parametrize(
    ("text", "message", "campaign"),
    [
        ("", "", {}),
        (" ", "", {}),
        ("Campaigns: ", "", {}),
        ("Campaigns:", "", {}),
        ("campaigns: abc_12", "", {"campaigns": "abc_12"}),
        ("Campaigns: a, b", "", {"campaigns": "a, b"}),
        ('Campaigns: {"mktcmpid": "1"}', "", {"mktcmpid": "1"}),
        ("Campaigns: \r\nPlease call me.", "Please call me.", {}),
        ("Campaigns: spring\nPlease call me.", "Please call me.", {"campaigns": "spring"}),
        ('{"mktcmpid":"1234","partnerid":"98765"}', "", {"mktcmpid": "1234", "partnerid": "98765"}),
        (' {"src": "news", "n": 7, "l": [1], "b": true} ', "", {"src": "news", "n": "7", "l": "[1]", "b": "true"}),
        ("{}", "", {}),
        ('{"mktcmpid": "1234"', '{"mktcmpid": "1234"', {}),
        ("{curly words}", "{curly words}", {}),
        ("[1]", "[1]", {}),
        (TEST, "", {}),
        ("We would like a demo next week.", "We would like a demo next week.", {}),
        ("Hello,\r\n\r\n\tcall me.\x00\x07\r", "Hello,\n\n\tcall me.", {}),
        ("Our campaigns: many", "Our campaigns: many", {}),
        ("e\u0301té", "été", {}),
    ],
)  # fmt: skip
def test_description(text: str, message: str, campaign: dict[str, str]) -> None:
    lead = posted(description=text)
    assert (lead.message, lead.campaign) == (message, campaign)
    assert lead.extra == {}


# --- times ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("11/3/2026 4:05:06 PM", "2026-11-03T16:05:06"),
        ("11/03/2026 04:05:06 AM", "2026-11-03T04:05:06"),
        ("11/3/2026 12:00:00 AM", "2026-11-03T00:00:00"),
        ("11/3/2026 12:30 PM", "2026-11-03T12:30:00"),
        ("11/3/2026 4:05:06\u202fp.m.", "2026-11-03T16:05:06"),
        ("11/3/2026 16:05", "2026-11-03T16:05:00"),
        ("11/3/2026 4:05:06.1234567 PM", "2026-11-03T16:05:06.123456"),
        ("11/3/2026 4:05:06 PM +01:00", "2026-11-03T15:05:06"),
        ("11/3/2026 4:05:06 PM UTC", "2026-11-03T16:05:06"),
        ("11/3/2026", "2026-11-03T00:00:00"),
        ("13/11/2026 16:05", "2026-11-13T16:05:00"),
        ("03.11.2026 16:05:06", "2026-11-03T16:05:06"),
        ("2026-11-03T16:07:00Z", "2026-11-03T16:07:00"),
        ("2026-11-03T16:07:00.1234567Z", "2026-11-03T16:07:00.123456"),
        ("2026-11-03T16:07:00.1234567+01:00", "2026-11-03T15:07:00.123456"),
        ("2026-11-03T16:07:00-0500", "2026-11-03T21:07:00"),
        ("2026-11-03 16:07:00.1234567 +01:00", "2026-11-03T15:07:00.123456"),
        ("2026-11-03 16:07:00 UTC", "2026-11-03T16:07:00"),
        ("2026-11-03 16:07", "2026-11-03T16:07:00"),
        ("2026-11-03", "2026-11-03T00:00:00"),
        ("20261103", "2026-11-03T00:00:00"),
        ("202611031605", None),
        ("2026-11-03t16:07:00z", "2026-11-03T16:07:00"),
        ("2026-W45-2", None),
        ("20261103160506", "2026-11-03T16:05:06"),
        ("636737558587117715", "2018-09-28T18:24:18.711771"),
        ("/Date(1762185906000)/", "2025-11-03T16:05:06"),
        ("\\/Date(1762185906000+0100)\\/", "2025-11-03T16:05:06"),
        ("1762185906", "2025-11-03T16:05:06"),
        ("1762185906.25", "2025-11-03T16:05:06"),
        ("1762185906000", "2025-11-03T16:05:06"),
        ("1762185906000000", "2025-11-03T16:05:06"),
        ("Tue, 03 Nov 2026 16:05:06 GMT", "2026-11-03T16:05:06"),
        ("3 Nov 2026 17:05:06 +0100", "2026-11-03T16:05:06"),
        ("Nov  3 2026  4:05PM", "2026-11-03T16:05:00"),
        ("Tuesday, November 3, 2026 4:05:06 PM", "2026-11-03T16:05:06"),
        ("1/1/0001 12:00:00 AM", "0001-01-01T00:00:00"),
        ("yesterday", None),
        ("13/13/2026", None),
        ("11/3/2026 13:00 PM", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("999999999999999999", "3169-11-16T09:46:39.999999"),
        ("/Date(99999999999999999)/", None),
        ("٢٠٢٦-١١-٠٣", None),
        ("12345", None),
        ("", None),
    ],
)
def test_moment(text: str, expected: str | None) -> None:
    moment = times.moment(text)
    assert moment == (datetime.fromisoformat(expected).replace(tzinfo=UTC) if expected else None)
    assert moment is None or moment.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("created", "stamp", "expected", "issues"),
    [
        ("11/3/2026 4:05:06 PM", "2026-11-04T00:00:00Z", "2026-11-03T16:05:06", 0),
        (None, "2026-11-04T00:00:00.1234567Z", "2026-11-04T00:00:00.123456", 0),
        (None, None, "2026-11-21T12:00:00", 0),
        ("soon", "2026-11-04T00:00:00Z", "2026-11-04T00:00:00", 1),
        ("1/1/0001 12:00:00 AM", "2026-11-04T00:00:00Z", "2026-11-04T00:00:00", 1),
        ("1/1/3026 12:00:00 AM", None, "2026-11-21T12:00:00", 1),
        ("1/1/1999", "1601-01-01T00:00:00Z", "2026-11-21T12:00:00", 2),
        ("1/1/2027 12:00:00 AM", None, "2027-01-01T00:00:00", 0),
    ],
)
def test_created_at(created: str | None, stamp: str | None, expected: str, issues: int) -> None:
    lead = lead_of(Fields(created_time=created, timestamp=stamp))
    assert lead.created_at == datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert len(lead.issues) == issues


@pytest.mark.parametrize(
    ("created", "stamp", "expected", "noted"),
    [
        ("3/5/2026", "2026-05-03T09:00:00.1234567Z", "2026-05-03", "day first is nearer"),
        ("3/5/2026 8:15:00 AM", "2026-03-05T08:15:04.1234567Z", "2026-03-05T08:15:00", ""),
        ("03-05-2026 23:59", "2026-05-04T00:00:01Z", "2026-05-03T23:59:00", "day first is nearer"),
        ("12/11/2026", None, "2026-11-12", "day first is nearer"),
        ("11/12/2026", None, "2026-11-12", "month first is nearer"),
        ("11/11/2026", None, "2026-11-11", ""),
        ("13/5/2026", "2026-05-13T00:00:00Z", "2026-05-13", ""),
        ("5/13/2026", "2026-05-13T00:00:00Z", "2026-05-13", ""),
        ("3.5.2026", "2026-03-05T00:00:00Z", "2026-05-03", ""),
        ("3/5/1999", "2026-05-03T00:00:00Z", "2026-05-03", "not a plausible time"),
    ],
)
def test_a_date_that_can_be_read_in_two_ways_is_the_one_nearer_to_when_the_lead_came(
    created: str, stamp: str | None, expected: str, noted: str
) -> None:
    lead = lead_of(Fields(created_time=created, timestamp=stamp))
    assert lead.created_at == datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert bool(lead.issues) == bool(noted)
    assert any(noted in issue for issue in lead.issues) or not noted


@given(
    st.datetimes(datetime(2011, 1, 1), datetime(2026, 11, 20)),  # noqa: DTZ001 - hypothesis wants them so
    st.sampled_from(times.Order),
    st.booleans(),
)
def test_a_date_in_either_order_is_the_day_on_which_its_row_was_written(
    written: datetime, order: times.Order, dashes: bool
) -> None:
    day_first = order is times.Order.DAY_FIRST
    text = written.strftime("%d/%m/%Y %H:%M:%S" if day_first else "%m/%d/%Y %H:%M:%S")
    lead = lead_of(Fields(created_time=text.replace("/", "-") if dashes else text, timestamp=f"{written.isoformat()}Z"))
    assert lead.created_at == written.replace(microsecond=0, tzinfo=UTC)


def test_times_are_in_utc() -> None:
    rome = datetime(2026, 11, 21, 13, 0, tzinfo=timezone(timedelta(hours=1)))
    for arrived_at in (rome, datetime(2026, 11, 21, 12, 0)):  # noqa: DTZ001
        lead = normalize(Fields(), via=Via.IMPORT, arrived_at=arrived_at, stages=STAGES)
        assert lead.arrived_at == lead.created_at == NOW
        assert lead.arrived_at.utcoffset() == timedelta(0)


# --- names, limits, flags ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Some \t One\r\n", "Some One"),
        ("McDonald", "McDonald"),
        ("IBM", "IBM"),
        ("van der Berg", "van der Berg"),
        ("Jose\u0301", "José"),
        ("A\u00a0B\u2003C\u2028D", "A B C D"),
        ("So\x00me\x1b", "Some"),
        ("👩‍💻", "👩‍💻"),
        ("Some\ud800", "Some\ufffd"),
        ("<b>Some</b>", "<b>Some</b>"),
        ("نرگس‌خانم", "نرگس‌خانم"),
    ],
)
def test_names_keep_their_case(text: str, expected: str) -> None:
    lead = posted(userDetails={"firstName": text, "company": text, "title": text})
    assert {lead.contact.first_name, lead.contact.company, lead.contact.title} == {expected}


def test_what_is_not_understood_stays_as_it_came_and_is_told() -> None:
    lead = posted(userDetails={"email": "n/a", "phone": "1234567890", "country": "Narnia", "firstName": "x"})
    assert lead.contact == Contact(first_name="x", email="n/a", phone="1234567890", country="Narnia")
    assert lead.issues == (
        "country: is not a known country; kept as it came",
        "email: is not a valid address; kept as it came",
        "phone: is not a valid number; kept as it came",
    )


def test_long_fields_are_cut_and_told() -> None:
    lead = posted(userDetails={"firstName": "😀" * 10_000, "email": "x" * 9_000}, description="é" * 8_001)
    assert lead.contact.first_name == "😀" * 8_000
    assert len(lead.contact.email) == len(lead.message) == 8_000
    assert "first_name: cut to 8000 characters" in lead.issues
    assert "message: cut to 8000 characters" in lead.issues


def test_stacked_marks_take_no_time() -> None:
    marks = "\u0301\u0316" * 60_000
    started = time.monotonic()
    lead = posted(userDetails={"firstName": marks}, description=json.dumps({"a": marks}), x=marks, **{marks: 1})
    assert time.monotonic() - started < 3
    storable(lead)


def test_extra_that_does_not_fit_is_left_out_and_told() -> None:
    lead = posted(a="x" * 20_000, b=["y" * 7_000] * 2, c="kept", d={"z": "é" * 100})
    assert lead.extra == {"a": "x" * 8_000, "c": "kept", "d": {"z": "é" * 100}}
    assert lead.issues == ("extra: cut to 8000 characters", "extra: not all of it fits; the rest is in raw only")


def test_extra_keys_that_become_the_same_are_told() -> None:
    lead = posted(**{"a": 1, "a\0": 2, "o": {"b": 1, "b\0": 2}, "k" * 9_000: 3})
    assert lead.extra == {"a": 1, "o": {"b": 2}, "k" * 8_000: 3}
    assert lead.issues == ("extra: not all of it fits; the rest is in raw only", "extra: cut to 8000 characters")


def test_issues_are_at_most_fifty() -> None:
    fields = Fields(issues=tuple(f"field{n}: is odd" for n in range(80)), email="n/a")
    assert len(lead_of(fields).issues) == 50


@pytest.mark.parametrize(
    ("value", "is_test"),
    [
        ({"userDetails": {"firstName": TEST}}, True),
        ({"userDetails": {"lastName": TEST}}, True),
        ({"userDetails": {"company": f"{TEST} "}}, True),
        ({"userDetails": {"title": TEST}}, True),
        ({"description": TEST}, True),
        ({"leadSource": f"{TEST}-{TEST}|Contoso Test"}, True),
        ({"actionCode": TEST}, True),
        ({"userDetails": {"email": "someone@test.com"}}, False),
        ({"userDetails": {"firstName": "MSFT_TEST_1"}}, False),
        ({"description": f"What is {TEST}?"}, False),
        ({}, False),
    ],
)
def test_test_leads(value: dict[str, Any], is_test: bool) -> None:
    assert posted(**value).is_test is is_test


@pytest.mark.parametrize(
    ("value", "withheld"),
    [
        ({}, True),
        ({"userDetails": {"firstName": " ", "email": None}}, True),
        ({"userDetails": {"country": "US", "company": "Contoso University"}}, True),
        ({"userDetails": {"lastName": "One"}}, False),
        ({"userDetails": {"email": "n/a"}}, False),
        ({"userDetails": {"phone": 1}}, False),
        ({"userDetails": "unreadable"}, False),
        ({"userDetails": {"email": ["someone@contoso.com"]}}, False),
    ],
)
def test_contact_withheld(value: dict[str, Any], withheld: bool) -> None:
    assert posted(**value).contact_withheld is withheld


def test_the_publisher_is_kept() -> None:
    assert posted(PublisherDisplayName="Contoso").extra == {"PublisherDisplayName": "Contoso"}


# --- the samples, whole ---

SOMEONE = Contact("Some", "One", "someone@contoso.com", "+16175555555", "US", "Contoso", "Esquire")
TESTER = Contact(TEST, TEST, f"{TEST}@test.com", "1234567890", "US", TEST, TEST)
SMITH = Contact("John", "Smith", "jsmith@microsoft.com", "1234567890", "US", "Microsoft", "CTO")
FLOW = "Test run through Power Automate"
INTEREST: dict[str, Any] = {"source": "AzureMarketplace", "action": "INS", "stage": Stage.INITIAL_INTEREST}
OLD_TEST = "MSFT_TEST_636737558587117715"


def made(created_at: datetime = NOW, **changes: Any) -> Lead:
    return Lead(via=changes.pop("via", Via.HTTPS), arrived_at=NOW, created_at=created_at, **changes)


@pytest.mark.parametrize(
    ("lead", "expected"),
    [
        (
            fixture("documented_2018.json"),
            made(
                source="Test run through MS Flow",
                offer_title="Test Microsoft",
                contact=SOMEONE,
                issues=("source: is not known; kept as it came",),
            ),
        ),
        (
            fixture("documented_pascal_case.json"),
            made(**INTEREST, offer_title="Test Microsoft", contact=SOMEONE, message=FLOW),
        ),
        (
            fixture("real_camel_case.json"),
            made(**INTEREST, offer_title="Test Microsoft", contact=SOMEONE, message=FLOW),
        ),
        (fixture("test_lead.json"), made(**INTEREST, offer_title="Contoso Test", contact=TESTER, is_test=True)),
        (
            fixture("salesforce_test_lead.json"),
            made(
                source=TEST,
                action=TEST,
                offer_title="Contoso Test",
                contact=TESTER,
                is_test=True,
                extra={"oid": "00Do0000000ZHog", "encoding": "UTF-8"},
            ),
        ),
        (
            fixture("personal_data_withheld.json"),
            made(
                source="SPZA",
                action="INS",
                stage=Stage.INITIAL_INTEREST,
                offer_title="Contoso Planner",
                contact=Contact(country="US"),
                contact_withheld=True,
            ),
        ),
        (
            fixture("translated_keys.json"),
            made(
                source="AzurePortal",
                action="Create",
                stage=Stage.ACTIVE,
                contact=Contact("Some", "One", "someone@contoso.com", "+390669812345", "IT", "Contoso", "Direttore"),
            ),
        ),
        (
            row("0a8f1c52-6a4e-4d0b-9a51-2f6f4f1b7e10"),
            made(
                via=Via.TABLE,
                **INTEREST,
                offer_title="Contoso Test",
                contact=Contact(OLD_TEST, OLD_TEST, f"{OLD_TEST}@test.com", "1234567890", "US", OLD_TEST, OLD_TEST),
                is_test=True,
            ),
        ),
        (
            row("5a1c9f3e-31c4-4a5e-8a0a-9e6f0e7d2b11"),
            made(
                datetime(2026, 11, 3, 16, 5, 6, tzinfo=UTC),
                via=Via.TABLE,
                source="SPZA",
                action="PLT",
                offer="docusign.3701c77e-1cfa-4c56-91e6-3ed0b622145a",
                offer_title="Contoso Planner",
                stage=Stage.ACTIVE,
                contact=SMITH,
                issues=(
                    "phone: is not a valid number; kept as it came",
                    "created_time: could be read day first or month first; month first is nearer to when the lead came",
                ),
            ),
        ),
        (
            row("7c1e"),
            made(
                datetime(2026, 11, 3, 16, 7, tzinfo=UTC),
                via=Via.TABLE,
                source="TestDrive",
                action="StartTestDrive",
                offer="bitnami.openedxcypress",
                offer_title="Open edX on Cypress",
                stage=Stage.TRIAL,
                contact=SMITH,
                issues=("phone: is not a valid number; kept as it came",),
            ),
        ),
        (
            row("b"),
            made(
                via=Via.TABLE,
                source="AzurePortal",
                action="Create",
                offer="checkpoint.check-point-r77-10sg-byol",
                offer_title="Check Point",
                stage=Stage.ACTIVE,
                contact=Contact("John", "Smith", "jsmith@microsoft.com", "+390669812345", "IT", "Microsoft", "CTO"),
                campaign={"mktcmpid": "blogpost_12", "partnerid": "98765"},
            ),
        ),
        (
            row("c"),
            made(
                via=Via.TABLE,
                source="SPZA",
                action="DNC",
                offer_title="Contoso Planner",
                stage=Stage.DO_NOT_CONTACT,
                contact=Contact("Some", "One", "someone@contoso.com"),
                message="We would like a demo next week.",
                do_not_contact=True,
            ),
        ),
        (
            row("d"),
            made(
                via=Via.TABLE,
                source="SPZA",
                action="PLT",
                offer="contoso.planner",
                offer_title="Contoso Planner",
                stage=Stage.ACTIVE,
                contact_withheld=True,
            ),
        ),
        (
            row("e"),
            made(
                via=Via.TABLE,
                source="SomethingNew",
                action="XYZ9",
                offer_title="Contoso Planner",
                contact_withheld=True,
                issues=(
                    "source: is not known; kept as it came",
                    "action: is a code that is not known; LEADS_STAGES can give it a stage",
                ),
            ),
        ),
        (
            row("flat"),
            made(
                via=Via.TABLE,
                **INTEREST,
                offer_title="Contoso Planner",
                contact=Contact("Some", "One", "someone@contoso.com", "+493022732152", "DE"),
                extra={"PublisherDisplayName": "Contoso Ltd.", "Seats": 25},
            ),
        ),
    ],
)
def test_samples(lead: Lead, expected: Lead) -> None:
    assert lead == expected


@pytest.mark.parametrize("name", sorted(path.name for path in (FIXTURES / "https").glob("*[.json|.bin]")))
def test_every_sample_body_is_a_storable_lead(name: str) -> None:
    if name.endswith("broken.txt"):
        pytest.skip("this one is no JSON")
    storable(fixture(name))


def test_bodies_that_differ_in_encoding_only_make_the_same_lead() -> None:
    assert fixture("real_camel_case_bom.bin") == fixture("real_camel_case_utf16.bin")


# --- anything at all ---

WORDS = st.text(st.characters(exclude_categories=()), max_size=60)
TEXT = WORDS | st.sampled_from(
    [
        *[TEST, "Campaigns: x", "SPZA-PLT|a.b", "a@b.co", "+390669812345", "1/1/2026", "/Date(1)/", "9" * 18, "-", "|"],
        *["{}", '{"a": "\\ud800"}', '{"a": 1e999}', '{"a": NaN}', '{"a":' * 5_000],
        *["{" * 9_000, "😀" * 9_000, "\0" * 9],
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(SCALARS, lambda of: st.lists(of, max_size=4) | st.dictionaries(WORDS, of, max_size=4), max_leaves=9)
ANY_FIELDS = st.builds(
    Fields,
    **{
        name: st.none() | TEXT
        for name in sorted(set(Fields.__dataclass_fields__) - {"extra", "issues", "contact_unread"})
    },
    extra=st.dictionaries(TEXT, JSON, max_size=5),
)

unhurried = settings(deadline=None)
"""The first address and the first phone number load large libraries."""


def strings(value: Any) -> list[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.items() for part in item for text in strings(part)]
    if isinstance(value, list | tuple):
        return [text for part in value for text in strings(part)]
    return []


def storable(lead: Lead) -> None:
    """What a table, JSON and every destination take."""
    person = [getattr(lead.contact, name) for name in Contact.__dataclass_fields__]
    lines = [lead.source, lead.action, lead.offer, lead.offer_title, *person, *lead.issues]
    for text in [*lines, lead.message, *strings(lead.campaign), *strings(lead.extra)]:
        assert len(text) <= 8_000
        assert len(text.encode("utf-16-le")) // 2 <= 32_768
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)
    assert not any(re.search(r"[\n\t]", text) for text in lines)
    for value in (lead.extra, lead.campaign, lead.issues):
        stored = json.dumps(value, ensure_ascii=False, allow_nan=False)
        assert len(stored) <= 16_000
        assert len(stored.encode("utf-16-le")) // 2 <= 32_768
    assert len(lead.issues) <= 50
    assert lead.id == lead.raw == ""


@unhurried
@given(ANY_FIELDS)
def test_any_fields_become_a_lead_and_always_the_same(fields: Fields) -> None:
    lead = lead_of(fields)
    storable(lead)
    assert lead == lead_of(fields)
    assert email_key(lead.contact.email) == email_key(fields.email or "") or not email_key(fields.email or "")


@unhurried
@given(st.dictionaries(st.sampled_from(["userDetails", "leadSource", "Description", "phone", "x"]) | WORDS, JSON))
def test_any_json_object_becomes_a_lead(value: dict[str, Any]) -> None:
    storable(posted(**value))


@unhurried
@given(st.dictionaries(st.sampled_from(["CustomerInfo", "LeadSource", "Timestamp", "CreatedTime"]) | WORDS, TEXT))
def test_any_row_becomes_a_lead(columns: dict[str, str]) -> None:
    storable(normalize(payload.read_row(columns), via=Via.TABLE, arrived_at=NOW, stages=STAGES))


@unhurried
@given(WORDS | st.from_regex(r"[^@\s]{1,9}@[^@\s]{1,9}\.[a-z]{2,3}"))
def test_an_email_key_stays_what_it_is(text: str) -> None:
    key = email_key(text)
    if key is not None:
        assert email_key(contact.email(text) or "") == key
        assert email_key(key) == key


@unhurried
@given(st.from_regex(contact._PLAIN, fullmatch=True) | st.from_regex(r"\A[a-z.+-]{1,66}@[a-z.-]{1,66}\.[a-z-]{1,9}\Z"))
def test_a_plain_address_is_read_as_the_library_reads_it(address: str) -> None:
    assert contact.email(address) == contact._judged(address.rstrip(".,; "))


@unhurried
@given(TEXT, st.sampled_from(["", "US", "IT", "XX"]))
def test_any_text_may_be_a_phone_a_country_or_a_time(text: str, country: str) -> None:
    contact.phone(text, country)
    countries.alpha2(text)
    times.moment(text)


# --- cold start ---


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_importing_normalize_loads_none_of_the_heavy_libraries() -> None:
    heavy = {"phonenumbers", "pycountry", "email_validator", "idna", "dns", "azure.data.tables", "requests"}
    assert not heavy & loaded_after("import leads.intake.normalize")
