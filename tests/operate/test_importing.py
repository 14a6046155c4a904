"""CSV files of any make become leads once, and old rows come in on purpose."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads.contract import Kind
from leads.intake import accept
from leads.intake.times import Order
from leads.lead import Via
from leads.operate import importing
from tests.world import FakeDestination, World, post, row, world

REFERRALS = (
    "Referral ID,Referral name,Customer name,Contact first name,Contact last name,Contact e-mail,Contact Phone Number,"
    "Country/Region,Solution,Lead Source,Created Date,Notes\r\n"
    "R-1,Lead one,Analytical Engines,Ada,Lovelace,ada@example.com,+44 20 7946 0001,United Kingdom,Contoso Planner,"
    "AzureMarketplace,11/13/2026,Please call.\r\n"
    "R-2,Lead two,Compilers,Grace,Hopper,grace@example.com,,USA,Contoso Planner,SPZA-PLT|contoso.planner,"
    '2026-11-04T08:00:00Z,"Two\nlines, and a comma"\r\n'
)
BLOB = (
    "LeadSource;ActionCode;CustomerInfo;CreatedTime;Description;OfferDisplayName\n"
    'AzureMarketplace;INS;"{""FirstName"":""Some"",""LastName"":""One"",""Email"":""someone@contoso.com""}";'
    "2026-11-05;Campaigns: ;Contoso Planner\n"
)


def read(text: str) -> list[dict[str, Any]]:
    return importing.read(text.encode())[0]


def take(w: World, text: str, *, yes: bool = True, force: bool = False) -> list[dict[str, Any]]:
    return importing.take(w.app, read(text), w.now, yes=yes, force=force)


def fates(results: list[dict[str, Any]]) -> list[str]:
    return [result["fate"] for result in results]


def test_an_export_of_partner_center_becomes_leads() -> None:
    with world() as w:
        results = take(w, REFERRALS)
        assert fates(results) == ["taken", "taken"]
        ada, grace = (w.app.ledger.case(result["lead"]) for result in results)
    assert ada
    assert grace
    assert ada.lead.via == Via.IMPORT
    assert ada.lead.contact.name == "Ada Lovelace"
    assert ada.lead.contact.email == "ada@example.com"
    assert ada.lead.contact.phone == "+442079460001"
    assert ada.lead.contact.country == "GB"
    assert ada.lead.contact.company == "Analytical Engines"
    assert ada.lead.offer_title == "Contoso Planner"
    assert ada.lead.message == "Please call."
    assert f"{ada.lead.created_at:%Y-%m-%d}" == "2026-11-13"
    assert ada.lead.extra["Referral ID"] == "R-1"
    assert grace.lead.message == "Two\nlines, and a comma"
    assert (grace.lead.source, grace.lead.action, grace.lead.offer) == ("SPZA", "PLT", "contoso.planner")


def test_the_former_blob_csv_becomes_leads() -> None:
    with world() as w:
        (result,) = take(w, BLOB)
        case = w.app.ledger.case(result["lead"])
    assert case
    assert case.lead.contact.email == "someone@contoso.com"
    assert case.lead.contact.first_name == "Some"
    assert case.lead.action == "INS"
    assert case.lead.offer_title == "Contoso Planner"
    assert case.lead.issues == ()


def test_the_preview_changes_nothing() -> None:
    with world() as w:
        assert fates(take(w, REFERRALS, yes=False)) == ["new", "new"]
        assert w.ids() == []
        assert not any(w.store.containers.values())


def test_a_file_that_is_imported_twice_brings_nothing_new_even_by_force() -> None:
    with world() as w:
        take(w, REFERRALS)
        assert fates(take(w, REFERRALS)) == ["repeated", "repeated"]
        w.forward(days=30)
        assert fates(take(w, REFERRALS, force=True)) == ["repeated", "repeated"]
        assert len(w.ids()) == 2


def test_a_record_twice_in_a_file_is_one_lead() -> None:
    with world() as w:
        text = "Email,Offer\na@example.com,X\na@example.com,X\n"
        assert fates(take(w, text, yes=False)) == ["new", "same"]
        assert fates(take(w, text, force=True)) == ["taken", "repeated"]


def test_what_came_by_itself_is_shown_and_skipped_unless_forced() -> None:
    with world() as w:
        there = accept.receive(w.app, post(), w.now).id
        same_day = f"Email,Offer,Created\nSomeone@Contoso.com,contoso planner,{w.now:%Y-%m-%d} 18:00\n"
        (result,) = take(w, same_day)
        assert (result["fate"], result["lead"]) == ("same", there)
        other_day = f"Email,Offer,Created\nsomeone@contoso.com,Contoso Planner,{w.now - timedelta(days=3):%Y-%m-%d}\n"
        assert fates(take(w, other_day, yes=False)) == ["new"]
        other_offer = f"Email,Offer,Created\nsomeone@contoso.com,Contoso Mixer,{w.now:%Y-%m-%d}\n"
        assert fates(take(w, other_offer, yes=False)) == ["new"]
        no_day = "Email,Offer\nsomeone@contoso.com,Contoso Planner\n"
        w.forward(days=9)
        assert fates(take(w, no_day)) == ["same"]
        assert fates(take(w, same_day, force=True)) == ["taken"]
        assert len(w.ids()) == 2


def csv_of(*dates: str) -> str:
    rows = "".join(f"a{number}@example.com,X,{date}\n" for number, date in enumerate(dates))
    return f"Email,Offer,Created\n{rows}"


@pytest.mark.parametrize(
    ("dates", "days"),
    [
        (("3/5/2026", "4/5/2026", "23/5/2026"), ["2026-05-03", "2026-05-04", "2026-05-23"]),
        (("3/5/2026", "5/23/2026 8:00:00 AM"), ["2026-03-05", "2026-05-23"]),
        (("3/5/2026 23:30", "23-5-2026"), ["2026-05-03", "2026-05-23"]),
        (("2026-05-03", "5/5/2026", ""), ["2026-05-03", "2026-05-05", "2026-11-21"]),
    ],
)
def test_one_day_above_twelve_says_how_the_whole_file_writes_dates(dates: tuple[str, ...], days: list[str]) -> None:
    with world() as w:
        results = take(w, csv_of(*dates), yes=False)
        assert [result["day"] for result in results] == days
        assert not any(result["issues"] for result in results)


@pytest.mark.parametrize("dates", [("3/5/2026", "4/6/2026"), ("3/5/2026", "23/5/2026", "5/23/2026")])
def test_dates_that_nothing_settles_are_asked_for(dates: tuple[str, ...]) -> None:
    text = csv_of(*dates).encode()
    with pytest.raises(importing.NotATable, match="--dates day-first or --dates month-first"):
        importing.read(text)
    assert importing.read(text, Order.DAY_FIRST)[0][0]["createdTime"].startswith("2026-05-03")
    assert importing.read(text, Order.MONTH_FIRST)[0][0]["createdTime"].startswith("2026-03-05")


def test_equal_records_that_name_nobody_are_as_many_leads() -> None:
    text = "Company,Offer,Created\nContoso,X,2026-11-20\nContoso,X,2026-11-20\nContoso,Y,2026-11-20\n"
    with world() as w:
        assert fates(take(w, text, yes=False)) == ["new"] * 3
        assert fates(take(w, text)) == ["taken"] * 3
        assert len(w.ids()) == 3
        assert fates(take(w, text)) == ["repeated"] * 3
        assert len(w.ids()) == 3


def test_a_lead_of_last_week_is_news_when_it_is_imported() -> None:
    with world(crm=FakeDestination(), mail=FakeDestination(Kind.NOTIFICATION)) as w:
        take(w, f"Email,Offer,Created\na@example.com,X,{w.now - timedelta(days=2):%Y-%m-%d}\n")
        w.live(minutes=6)
        assert w.states() == {"crm": "delivered", "mail": "delivered"}


def test_an_old_lead_goes_to_crms_and_not_to_people() -> None:
    with world(crm=FakeDestination(), mail=FakeDestination(Kind.NOTIFICATION)) as w:
        take(w, "Email,Offer,Created\na@example.com,X,2025-01-01\n")
        w.live(minutes=6)
        assert w.states() == {"crm": "delivered", "mail": "skipped"}


def test_forgotten_leads_stay_out() -> None:
    from leads.operate import forget

    with world() as w:
        take(w, REFERRALS)
        forget.forget(w.app, "ada@example.com", w.now)
        assert fates(take(w, REFERRALS, force=True)) == ["gone", "repeated"]


def test_results_are_masked() -> None:
    with world() as w:
        text = json.dumps(take(w, REFERRALS, yes=False))
    assert "Lovelace" not in text
    assert "ada@" not in text


def test_a_crash_between_raw_and_the_rest_is_mended_by_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with world() as w:
        with monkeypatch.context() as patched:
            patched.setattr(w.app.ledger, "open", crash)
            with pytest.raises(KeyboardInterrupt):
                take(w, "Email,Offer\na@example.com,X\n")
        assert w.ids() == []
        w.live(hours=2)
        assert w.states() == {"crm": "delivered"}
        assert fates(take(w, "Email,Offer\na@example.com,X\n")) == ["repeated"]


@pytest.mark.parametrize(
    "header",
    ["Email", "E-mail", "EMAIL ADDRESS", "Contact email", "customer_email", " e mail ", "Contact E-Mail Address"],
)
def test_headers_are_matched_leniently(header: str) -> None:
    (record,) = read(f"{header},Offer\na@example.com,X\n")
    assert record == {"userDetails": {"email": "a@example.com"}, "offerTitle": "X"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_files_of_any_encoding_and_delimiter_are_read(encoding: str, delimiter: str) -> None:
    text = delimiter.join(["Email", "Company"]) + "\n" + delimiter.join(["a@example.com", "Müller & Söhne"]) + "\n"
    records, unknown = importing.read(text.encode(encoding))
    assert records == [{"userDetails": {"email": "a@example.com", "company": "Müller & Söhne"}}]
    assert unknown == []


def test_a_full_name_is_split_and_unknown_columns_are_kept() -> None:
    records, unknown = importing.read(b"Contact name,Email,Deal size,Title\nAda King Lovelace,a@example.com,9,x\n")
    assert unknown == ["Deal size", "Title"]
    (record,) = records
    assert record["userDetails"] == {"firstName": "Ada", "lastName": "King Lovelace", "email": "a@example.com"}
    assert record["Deal size"] == "9"
    with world() as w:
        (result,) = importing.take(w.app, records, w.now, yes=True, force=False)
        case = w.app.ledger.case(result["lead"])
    assert case
    assert case.lead.extra == {"Deal size": "9", "column Title": "x"}


def test_of_two_columns_of_one_meaning_the_filled_one_counts() -> None:
    (record,) = read("Email,Contact email,Email\n,a@example.com,b@example.com\n")
    assert record == {"userDetails": {"email": "a@example.com"}, "column Email": "b@example.com"}


def test_short_and_long_rows_are_read() -> None:
    short, long = read("Email,Offer\na@example.com\nb@example.com,X,more\n")
    assert short == {"userDetails": {"email": "a@example.com"}}
    assert long == {"userDetails": {"email": "b@example.com"}, "offerTitle": "X", "column 3": "more"}


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\x00\x01\x02", b"a,b\n1,2\n", b'Email\n"never closed', b"PK\x03\x04"])
def test_what_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(importing.NotATable):
        importing.read(data)


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=5))
def test_whatever_stands_in_the_cells_becomes_a_lead(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["Email", "Name", "Notes", "Whatever"], *rows])
    try:
        records = importing.read(text.getvalue().encode())[0]
    except importing.NotATable:
        assert "\0" in text.getvalue()
        return
    with world() as w:
        results = importing.take(w.app, records, w.now, yes=True, force=True)
        assert set(fates(results)) <= {"taken", "repeated"}
        assert all(w.app.ledger.case(result["lead"]) for result in results if result["fate"] == "taken")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(importing.NotATable):
        records, unknown = importing.read(b"Email,Offer\n" + data)
        assert unknown == []
        assert all(isinstance(record, dict) for record in records)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.text(max_size=12) | st.sampled_from(["userDetails", "email", "createdTime"]), JSON, max_size=4)
)
def test_any_record_over_the_api_becomes_a_lead(record: dict[str, Any]) -> None:
    with world() as w:
        (result,) = importing.take(w.app, [record], w.now, yes=True, force=False)
        assert result["fate"] == "taken"


def test_a_record_that_is_too_large_is_not_taken() -> None:
    with world() as w:
        results = importing.take(w.app, [{"notes": "x" * accept.BODY_LIMIT}], w.now, yes=True, force=True)
        assert fates(results) == ["unreadable"]
        assert w.ids() == []


def walk(w: World, *, yes: bool) -> dict[str, int]:
    counts: dict[str, int] = {}
    token, skip, calls = "", 0, 0
    while True:
        page = importing.take_rows(w.app, "MarketplaceLeads", w.now, token=token, skip=skip, yes=yes)
        for fate, count in page["rows"].items():
            counts[fate] = counts.get(fate, 0) + count
        token, skip, calls = page["token"], page["skip"], calls + 1
        assert calls < 100
        if not token and not skip:
            return counts


def test_old_rows_are_brought_in_on_purpose() -> None:
    with world(crm=FakeDestination(), mail=FakeDestination(Kind.NOTIFICATION)) as w:
        w.inbox.page = 300
        old = [row(f"old{n}", w.now - timedelta(days=100)) for n in range(450)]
        w.inbox.tables["MarketplaceLeads"] = [*old, row("new", w.now)]
        w.live(minutes=6)
        assert len(w.ids()) == 1
        assert walk(w, yes=False) == {"backfilled": 450, "accepted": 1}
        assert walk(w, yes=True) == {"taken": 450, "accepted": 1}
        assert walk(w, yes=True) == {"accepted": 451}
        w.live(minutes=6)
        assert len(w.places["crm"].got) == 451
        assert len(w.places["mail"].got) == 1
        assert walk(w, yes=False) == {"accepted": 451}


def test_a_table_that_is_not_there_has_no_rows() -> None:
    with world() as w:
        assert walk(w, yes=True) == {}


# What Partner Center's export says beyond a lead


def referral(number: int, day: str, **more: str) -> str:
    cells = {"Referral ID": f"R-{number}", "Contact e-mail": f"c{number}@example.com", "Created Date": day} | {
        "Solution": "Contoso Planner",
        **more,
    }
    return f"{','.join(cells)}\r\n{','.join(cells.values())}\r\n"


def test_a_referral_is_one_lead_whatever_its_other_columns_say_later() -> None:
    with world() as w:
        assert fates(take(w, referral(1, "2026-11-03", Status="New"))) == ["taken"]
        assert fates(take(w, referral(1, "2026-11-03", Status="Closed"))) == ["repeated"]
        assert fates(take(w, referral(1, "2026-11-05", Solution="Renamed"), force=True)) == ["repeated"]
        assert fates(take(w, referral(2, "2026-11-03", Status="New"))) == ["taken"]


@pytest.mark.parametrize(
    ("said", "action", "stage"),
    [
        ("Contact me", "PLT", "active"),
        ("get it now", "INS", "initial_interest"),
        ("Test Drive", "StartTestDrive", "trial"),
        ("PLT", "PLT", "active"),
        ("Free trial", "Free trial", "unknown"),
    ],
)
def test_call_to_action_is_the_button(said: str, action: str, stage: str) -> None:
    with world() as w:
        (result,) = take(w, referral(1, "2026-11-03", **{"Call to action": said}))
        case = w.app.ledger.case(result["lead"])
    assert case
    assert (case.lead.action, case.lead.stage) == (action, stage)
