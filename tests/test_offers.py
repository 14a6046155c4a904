"""What a look at an offer means, what is kept of it, and which offer a title names."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads import offers
from leads.offers import END, PREFIX, Offer, Verdict
from leads.partner_center import TYPES, Product, Reading, Submission, Title, Tree, Trouble, Where
from leads.store.protocol import Row
from leads.sweep import drift, silence, verdict
from leads.sweep.verdict import Here, judge

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HERE = Here(("https://leads.contoso.com", "contoso-leads.azurewebsites.net"), "leadsinbox")
PLANNER = Product("aaaaaaaa-0000-4000-8000-000000000001", "planner", "softwareAsAService", "Planner (internal)")
TABLE, MASKED = Where("table", "leadsinbox"), Where("table")
URL = Where("httpsEndpoint", "leads.contoso.com", "/api/leads", keyed=True)
CRM = Where("dynamics", "contoso.crm4.dynamics.com")
NONE = Where("none")


def reading(
    live: Where | None,
    draft: Where | None = None,
    *,
    preview: Where | None = None,
    submissions: tuple[Submission, ...] = (),
) -> Reading:
    return Reading(PLANNER, Tree(live), draft if draft is not None else live, preview, submissions)


def not_live(draft: Where | None, *troubles: Trouble) -> Reading:
    return Reading(PLANNER, None, draft, troubles=troubles)


def published(at: datetime) -> Submission:
    return Submission("live", "completed", "succeeded", at)


# Verdicts


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (TABLE, Verdict.THIS_APP),
        (URL, Verdict.THIS_APP),
        (Where("httpsEndpoint", "contoso-leads.azurewebsites.net", "/api/leads", keyed=True), Verdict.THIS_APP),
        (Where("table", "oldinbox"), Verdict.ELSEWHERE),
        (Where("httpsEndpoint", "hooks.example", "/api/leads"), Verdict.ELSEWHERE),
        (Where("httpsEndpoint", "leads.contoso.com", "/api/other"), Verdict.ELSEWHERE),
        (Where("httpsEndpoint", "leads.contoso.com:8443", "/api/leads"), Verdict.ELSEWHERE),
        (CRM, Verdict.ELSEWHERE),
        (Where("carrierPigeon"), Verdict.ELSEWHERE),
        (Where("blob", "leadsinbox"), Verdict.ELSEWHERE),
        (NONE, Verdict.NOWHERE),
        (None, Verdict.NOWHERE),
        (MASKED, Verdict.NOT_COMPARABLE),
        (Where("httpsEndpoint"), Verdict.NOT_COMPARABLE),
        (Where(""), Verdict.UNREAD),
    ],
)
def test_the_verdict_is_about_where_live_leads_go(live: Where | None, expected: Verdict) -> None:
    found = judge(reading(live), HERE)
    assert found.verdict == expected
    assert bool(found.cause) == (expected != Verdict.THIS_APP)
    assert bool(found.remedy) == (expected in verdict.FINDINGS)
    assert not found.differs


def test_an_app_that_does_not_know_itself_cannot_compare() -> None:
    assert judge(reading(TABLE), Here()).verdict == Verdict.NOT_COMPARABLE
    found = judge(reading(URL), Here())
    assert found.verdict == Verdict.NOT_COMPARABLE
    assert "LEADS_URL" in found.cause


def test_not_live_is_never_published_and_trouble_is_could_not_be_read() -> None:
    assert judge(not_live(TABLE), HERE).verdict == Verdict.NEVER_PUBLISHED
    trouble = Trouble("live", "Partner Center is not working right now (503).", "Try again later.")
    found = judge(not_live(TABLE, trouble), HERE)
    assert (found.verdict, found.cause, found.remedy) == (Verdict.UNREAD, trouble.cause, trouble.remedy)


def test_trouble_with_the_draft_is_a_remark() -> None:
    trouble = Trouble("draft", "Partner Center is not working right now (503).", "Try again later.")
    found = judge(replace(reading(TABLE), draft=None, troubles=(trouble,)), HERE)
    assert found.verdict == Verdict.THIS_APP
    assert found.remarks == ("Its draft could not be read: Partner Center is not working right now (503).",)


def test_a_deprecated_offer_is_judged_not() -> None:
    assert judge(replace(reading(CRM), product=replace(PLANNER, deprecated=True)), HERE).verdict == Verdict.DEPRECATED


@pytest.mark.parametrize(
    ("live", "draft", "preview", "press"),
    [
        (CRM, TABLE, None, "Review and publish"),
        (CRM, TABLE, CRM, "Review and publish"),
        (CRM, TABLE, TABLE, "Go live"),
        (CRM, CRM, None, ""),
        # A masked string may be the same.
        (MASKED, MASKED, None, ""),
        (MASKED, TABLE, None, ""),
        (None, NONE, None, ""),
        (None, TABLE, None, "Review and publish"),
    ],
)
def test_a_draft_that_differs_says_what_to_press(
    live: Where | None, draft: Where, preview: Where | None, press: str
) -> None:
    found = judge(reading(live, draft, preview=preview), HERE)
    assert (found.differs, found.press) == (bool(press), press)


def test_a_publication_and_a_missing_key_are_remarks() -> None:
    bare = replace(URL, keyed=False)
    found = judge(reading(bare, submissions=(Submission("preview", "running", "pending"),)), HERE)
    assert found.verdict == Verdict.THIS_APP
    assert found.publishing
    assert [remark.partition(".")[0] for remark in found.remarks] == [
        "A publication is under way",
        "Its address shows no function key",
    ]


def test_no_path_and_no_query_is_ever_shown() -> None:
    where = Where("httpsEndpoint", "hooks.example", "/services/SECRET", keyed=True)
    found = judge(reading(where), HERE)
    kept = verdict.seen(Offer(PLANNER.id, "planner"), reading(where), found, NOW)
    assert "SECRET" not in f"{found}{kept}{offers.row(kept)}"
    assert kept.place == "HTTPS (hooks.example)"


# What is kept


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
TIME = st.integers(0, 2**40).map(lambda microseconds: NOW + timedelta(microseconds=microseconds))
OFFERS = st.builds(
    Offer,
    product=st.uuids().map(str),
    offer_id=st.from_regex(r"[a-z0-9][a-z0-9_-]{2,49}", fullmatch=True),
    type=TEXT,
    alias=TEXT,
    titles=st.lists(st.builds(Title, TEXT, TEXT), max_size=5).map(tuple),
    publishers=st.lists(st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True), max_size=3, unique=True).map(tuple),
    verdict=st.sampled_from(["", *Verdict]),
    place=TEXT,
    differs_since=st.none() | TIME,
    published_at=st.none() | TIME,
    publishing=st.booleans(),
    looked_at=st.none() | TIME,
    alerted=TEXT,
    last_at=st.none() | TIME,
    last_by_table_at=st.none() | TIME,
    arrivals=TEXT,
    connected_at=st.none() | TIME,
    connected_to=TEXT,
    connecting_since=st.none() | TIME,
    connecting_to=TEXT,
)


@given(OFFERS)
def test_a_row_gives_back_the_offer(offer: Offer) -> None:
    kept = offers.row(offer)
    assert kept.partition == "state"
    assert PREFIX <= kept.key < END
    assert offers.read_row(kept) == offer


def test_rows_of_other_versions_are_read_and_titles_fit_a_property() -> None:
    assert offers.read_row(Row("state", "offer:x", {"later": "1"})) == Offer("x", "")
    long = Offer("x", "planner", titles=tuple(Title(f"l{n}", "𝔘" * 300) for n in range(100)))
    kept = str(offers.row(long).values["titles"])
    assert len(kept.encode("utf-16-le")) <= 2 * 32_000
    assert len(json.loads(kept)) > 30


def look(known: Offer, found: Reading, now: datetime = NOW) -> Offer:
    return verdict.seen(known, found, judge(found, HERE), now)


def test_a_look_that_fails_leaves_what_was_known() -> None:
    known = look(Offer(PLANNER.id, "planner"), reading(CRM))
    failed = look(known, not_live(None, Trouble("live", "Out of order.", "")), NOW)
    assert failed == replace(known, unread="Out of order.")
    assert look(failed, reading(CRM)) == known


def test_a_draft_differs_since_it_was_first_seen_so() -> None:
    known = look(Offer(PLANNER.id, "planner"), reading(CRM, TABLE))
    later = look(known, reading(CRM, TABLE), NOW + timedelta(days=3))
    assert known.differs_since == later.differs_since == NOW
    assert later.draft == "Azure Table (leadsinbox)"
    assert look(later, reading(TABLE, TABLE)).differs_since is None


def test_what_connect_wrote_waits_until_a_later_publication_even_when_all_is_masked() -> None:
    known = Offer(PLANNER.id, "planner", connected_at=NOW, connected_to="Azure Table (new)")
    before = reading(MASKED, submissions=(published(NOW - timedelta(days=9)),))
    after = reading(MASKED, submissions=(published(NOW + timedelta(days=1)),))
    assert look(known, before).press == "Review and publish"
    assert look(known, before).differs_since == NOW
    assert look(known, after).press == ""
    # Somebody set it otherwise since.
    assert look(known, replace(before, live=Tree(CRM), draft=CRM)).press == ""


def test_evidence_is_the_last_lead_and_what_connect_wrote() -> None:
    offer = Offer("x", "planner", published_at=NOW, connected_at=NOW, connected_to="Azure Table (leadsinbox)")
    after = replace(offer, last_by_table_at=NOW + timedelta(hours=1))
    assert "after its last publication" in verdict.evidence(after)[0]
    before = replace(offer, last_by_table_at=NOW - timedelta(hours=1))
    assert "before its last publication" in verdict.evidence(before)[0]
    assert "No lead of it ever" in verdict.evidence(offer)[0]
    assert verdict.evidence(offer)[1] == (
        "`connect` wrote Azure Table (leadsinbox) into its draft on 2026-11-21 12:00 UTC."
    )
    assert "did not learn how that ended" in verdict.written(replace(offer, connecting_since=NOW))[1]


def test_an_offer_of_the_list_keeps_what_is_known_and_its_present_name() -> None:
    known = look(Offer(PLANNER.id, "planner"), reading(CRM))
    assert verdict.listed(replace(PLANNER, alias="New"), known) == replace(known, type=PLANNER.type, alias="New")
    gone = verdict.listed(replace(PLANNER, deprecated=True), known)
    assert gone.verdict == Verdict.DEPRECATED
    assert verdict.listed(PLANNER, gone).verdict == ""


# Titles


def offer(number: int, *titles: str, publishers: tuple[str, ...] = ()) -> Offer:
    return Offer(
        f"guid-{number}", f"offer-{number}", titles=tuple(Title("xx", t) for t in titles), publishers=publishers
    )


def test_a_title_names_an_offer_only_where_it_is_the_only_one() -> None:
    known = [offer(1, "Contoso Planner", "Contoso Planer"), offer(2, "Contoso Board"), offer(3, "Contoso Board")]
    assert offers.by_title("contoso  PLANER ", known) == known[0]
    assert offers.by_title("Contoso Board", known) is None
    assert offers.by_title("Contoso", known) is None
    assert offers.by_title("", [offer(4, "")]) is None


def test_a_title_that_one_offer_has_in_two_languages_is_still_one() -> None:
    known = [offer(1, "Contoso Planner", "CONTOSO PLANNER")]
    assert offers.by_title("Contoso Planner", known) == known[0]


def test_the_publisher_is_the_one_that_is_set_else_the_one_that_all_leads_named() -> None:
    assert offers.full_id(offer(1), "contoso") == "contoso.offer-1"
    assert offers.full_id(offer(1), "") == ""
    assert offers.full_id(offer(1, publishers=("fabrikam",)), "") == "fabrikam.offer-1"
    assert offers.full_id(offer(1, publishers=("fabrikam",)), "contoso") == "contoso.offer-1"
    assert offers.full_id(offer(1, publishers=("fabrikam", "contoso")), "") == ""


def test_a_lead_of_the_table_names_the_publisher_of_its_own_offer_only() -> None:
    known = silence.named(offer(1), "Fabrikam.Offer-1")
    assert known.publishers == ("fabrikam",)
    for other in ("fabrikam.offer-1", "offer-1", "fabrikam.offer-2", ".offer-1", "a,b.offer-1", ""):
        assert silence.named(known, other) == known
    for publisher in ("a", "b", "c", "d"):
        known = silence.named(known, f"{publisher}.offer-1")
    assert len(known.publishers) == 3


# Whose turn it is, and what to tell


def test_every_offer_is_looked_at_within_a_day_by_one_look_each_sweep() -> None:
    known = {str(number): Offer(f"{number:03}", f"offer-{number}") for number in range(280)}
    now = NOW
    for _ in range(288):
        now += timedelta(minutes=5)
        chosen = drift.next_look(known.values(), now)
        if chosen:
            known[str(int(chosen.product))] = replace(chosen, looked_at=now)
    assert all(each.looked_at and now - each.looked_at <= timedelta(days=1) for each in known.values())


def test_no_offer_is_looked_at_twice_in_an_hour_and_no_deprecated_one_ever() -> None:
    fresh = Offer("1", "a", looked_at=NOW - timedelta(minutes=59))
    gone = Offer("2", "b", verdict=Verdict.DEPRECATED)
    ahead = Offer("3", "c", looked_at=NOW + timedelta(days=30))
    assert drift.next_look([fresh, gone], NOW) is None
    assert drift.next_look([fresh, gone, ahead], NOW) == ahead
    assert drift.next_look([fresh, gone], NOW + timedelta(minutes=1)) == fresh


def test_trouble_is_elsewhere_nowhere_or_a_draft_that_waits_a_week() -> None:
    def told(found: Reading, days: int = 0) -> str:
        known = look(Offer(PLANNER.id, "planner"), found)
        return drift.trouble(known, NOW + timedelta(days=days))

    assert told(reading(CRM)) == "elsewhere: Dynamics 365 (contoso.crm4.dynamics.com)"
    assert told(reading(NONE)) == "nowhere"
    assert told(reading(MASKED), 100) == ""
    assert told(not_live(TABLE), 100) == ""
    assert told(reading(TABLE, CRM), 6) == ""
    assert told(reading(TABLE, CRM), 7) == "waits: Dynamics 365 (contoso.crm4.dynamics.com)"
    under_way = (Submission("live", "running", "pending"),)
    assert told(reading(TABLE, CRM, submissions=under_way), 7) == ""


def test_types_that_the_list_does_not_name_are_told() -> None:
    missing = verdict.not_covered([PLANNER], TYPES)
    assert "SaaS" not in missing
    assert "consulting services" in missing
