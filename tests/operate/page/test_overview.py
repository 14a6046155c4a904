"""What the overview says at any size: trouble first, what works in one line, and the promise in numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from leads.contract import Kind
from leads.errors import Misconfigured, Rejected, Transient
from leads.intake import accept
from leads.operate.page import words
from tests.month import CROWD, crowd
from tests.page import visitor
from tests.world import NOON, FakeDestination, World, failing, post, world

SHOWN = ["Dynamics", "365", "dead", "Slack", "open", "9", "delivered"]


@pytest.fixture(scope="module")
def eleven() -> Iterator[World]:
    """Eleven destinations, of which two are broken, and 2,000 leads."""
    with crowd(11, broken=("dynamics", "slack"), whole=8) as made:
        yield made


class TestEleven:
    def test_trouble_stands_first_with_cause_and_button(self, eleven: World) -> None:
        read = visitor(eleven).open().read
        first = "Dynamics 365 8 dead See them at Dynamics 365 Replay 8 dead at Dynamics 365 Dynamics has no column"
        second = "Slack 8 open See them at Slack Try what waits at Slack Slack refuses the webhook"
        assert read.index("8 leads need you") < read.index(first) < read.index(second) < read.index("arrived today")
        assert "Make a new one and set SLACK_WEBHOOK_URL." in read
        for said_already in ("of the last 14 days died", "These destinations need attention", "8 leads are open"):
            assert said_already not in read

    def test_what_works_folds_into_one_line(self, eleven: World) -> None:
        came = visitor(eleven).open()
        assert '<summary><span class="dot d">9 destinations, all delivered</span></summary>' in came.text
        assert "E-mail, emea 2,008 0 0" in came.read

    def test_a_row_shows_exceptions_only(self, eleven: World) -> None:
        for path in ("", "leads"):
            states = re.findall(r'<div class="states">(.*?)</div>', visitor(eleven).open(path).text, re.DOTALL)
            assert states
            for each in states:
                assert re.sub(r"<[^>]*>|\s+", " ", each).split() == SHOWN

    def test_see_them_opens_the_leads_that_died_there(self, eleven: World) -> None:
        browser = visitor(eleven)
        found = browser.press("See them")
        assert browser.url.endswith("/api/page/find")
        assert found.text.count("Dynamics 365</option>") == 1
        assert "8 leads." in found.read

    def test_what_died_and_what_waits_at_one_place_is_seen_each(self) -> None:
        crm = FakeDestination(TITLE="CRM", always=failing(Rejected))
        with world(crm=crm) as made:
            accept.receive(made.app, post(userDetails={"email": "one@else.example"}), made.now)
            made.live(minutes=10)
            crm.always = failing(Misconfigured)
            for number in range(2):
                accept.receive(made.app, post(userDetails={"email": f"{number}@else.example"}), made.now)
            made.live(minutes=10)
            browser = visitor(made)
            assert "1 lead." in browser.press("See the dead").read
            browser.open()
            assert "2 leads." in browser.press("See the open").read

    def test_it_is_a_small_page(self, eleven: World) -> None:
        for path in ("", "leads"):
            assert len(visitor(eleven).open(path).body) < 60_000

    def test_the_promise_in_numbers(self, eleven: World) -> None:
        read = visitor(eleven).open().read
        assert re.search(r"Destination 1 s 1 min 1 h 1 d Median Slowest All \d min \d+ min Dynamics 365 2\.\d s", read)
        assert "Contoso Board 334 16 h ago" in read
        assert "Contoso Insights for Retail 336 2 h ago" in read, "leads that are open count as well"
        assert "United States 336" in read
        assert "6 others 832" in read
        assert "Stage Leads Active 670 Initial interest 670 Trial 668" in read

    def test_open_over_time(self, eleven: World) -> None:
        read = visitor(eleven).open().read
        assert "16 leads at most, on 17 Nov." in read
        assert "21 Nov 0 0 6 0 8" in read, "the last number is the most that were open at once"


def test_everything_is_broken() -> None:
    with crowd(11, broken=tuple(CROWD), leads=0, whole=2) as made:
        read = visitor(made).open().read
    assert read.count("Try what waits") == 9
    assert read.count("Replay 2 dead") == 2
    assert "5 more: Marketo; HTTPS endpoint, erp; E-mail, emea; Microsoft Teams, sales; Azure Table" in read
    assert "Each of them needs a look, above." in read
    assert "Dynamics 365 dead E-mail dead" in read
    assert "and 8 more" in read
    assert "From arrival to delivered" not in read


@pytest.mark.parametrize(("deliveries", "said"), [(1, "delivered"), (5, "all 5 delivered")])
def test_a_row_of_a_lead_that_was_delivered(deliveries: int, said: str) -> None:
    with crowd(deliveries, leads=0, whole=2) as made:
        text = visitor(made).open().text
    states = re.findall(r'<div class="states">(.*?)</div>', text, re.DOTALL)
    assert {" ".join(re.sub(r"<[^>]*>", " ", each).split()) for each in states} == {said}


def test_what_is_under_way_is_no_trouble() -> None:
    with world(crm=FakeDestination(), chat=FakeDestination()) as made:
        accept.receive(made.app, post(), made.now)
        made.sweep()
        read = visitor(made).open().read
    assert "2 destinations, 2 deliveries under way" in read
    assert "See them" not in read


def test_what_is_tried_again_needs_a_look_and_no_person() -> None:
    with world(crm=FakeDestination(TITLE="CRM", always=failing(Transient)), chat=FakeDestination(TITLE="Chat")) as made:
        accept.receive(made.app, post(), made.now)
        made.live(minutes=3)
        came = visitor(made).open()
    assert "One thing needs a look" in came.read
    assert 'class="card trouble wait"' in came.text
    assert "Chat, all delivered" in came.read


def test_a_reason_links_to_where_it_is_looked_at() -> None:
    with world() as made:
        accept.receive(made.app, post(), made.now)
        made.live(minutes=10)
        with pytest.raises(accept.NotALead):
            accept.receive(made.app, b"no lead", made.now)
        made.sweep()
        made.forward(hours=3)
        came = visitor(made).open()
    assert '<a class="button" href="/api/page/quarantine">Open the quarantine</a>' in came.text
    assert '<a class="button" href="/api/page/check">Check all settings</a>' in came.text
    assert "python -m leads" not in came.read


def test_an_offer_is_told_from_another_of_the_same_title() -> None:
    with world() as made:
        for offer in ("contoso.one", "contoso.two", ""):
            source = f"AzureMarketplace-INS|{offer}" if offer else "AzureMarketplace"
            accept.receive(made.app, post(leadSource=source, offerTitle="Planner" if offer else ""), made.now)
        made.live(minutes=10)
        read = visitor(made).open().read
    for name in ("Planner (contoso.one) 1", "Planner (contoso.two) 1", "No offer is named 1"):
        assert name in read


def test_strangers_cannot_fill_the_overview_with_offers() -> None:
    with world(crm=FakeDestination(KIND=Kind.CRM)) as made:
        for number in range(90):
            accept.receive(made.app, post(offerTitle=f"{'x' * 90} {number}"), made.now)
        made.live(hours=2)
        came = visitor(made).open()
    assert "others 84" in came.read
    assert len(came.body) < 60_000


def test_a_month_ago_is_over() -> None:
    with world(crm=FakeDestination(always=failing(Rejected))) as made:
        accept.receive(made.app, post(), made.now)
        made.live(minutes=10)
        made.now = NOON + timedelta(days=31)
        made.live(minutes=10)
        read = visitor(made).open().read
    assert "What came in 30 days" not in read
    assert "No lead in the last 30 days." in read


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (3599, "1 h"),
        (3660, "1 h 1 min"),
        (86399, "1 d"),
        (93600, "1 d 2 h"),
    ],
)
def test_times_in_words(seconds: float, text: str) -> None:
    assert words.span(seconds) == text
