"""Where is my lead? By address, name, offer, destination, state and time; bounded, and said how far it looked."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leads.errors import Misconfigured, Rejected
from leads.intake import accept
from leads.operate.page import find
from tests.page import Answer, Visitor, visitor
from tests.world import NOON, FakeDestination, World, failing, post, world

NONE = "No lead fits this. Everything that is kept was looked at"


def take(made: World, name: str, offer: str = "Contoso Planner", email: str = "", company: str = "") -> str:
    email = email or f"{name.lower().replace(' ', '.')}@fabrikam.example"
    user = {"firstName": name, "email": email, "company": company}
    lead_id = accept.receive(made.app, post(userDetails=user, offerTitle=offer), made.now).id
    made.live(minutes=10)
    return lead_id


def look(browser: Visitor, **fields: str) -> Answer:
    browser.open("leads")
    return browser.press("Find", None, **fields)


def post_to(browser: Visitor, **fields: str) -> Answer:
    """Send what no form of the page would."""
    token = re.findall(r'name="token" value="([^"]*)"', browser.open("leads").text)[0]
    found = browser.ask("POST", "find", urlencode({"token": token, **fields}).encode())
    return browser.open(found.headers["Location"]) if found.status == 303 else found


def ids(answer: Answer) -> list[str]:
    return re.findall(r'<div class="who"><a href="/api/page/leads/([0-9a-f-]{33})"', answer.text)


@pytest.fixture
def made() -> Iterator[World]:
    with world(crm=FakeDestination(TITLE="CRM"), chat=FakeDestination(TITLE="Chat")) as w:
        yield w


class TestWho:
    @pytest.mark.parametrize("typed", ["jose@fabrikam.example", " Jose@Fabrikam.example ", "<jose@fabrikam.example>"])
    def test_by_address(self, made: World, typed: str) -> None:
        jose = take(made, "José", email="jose@fabrikam.example")
        take(made, "Ada")
        found = look(visitor(made), who=typed)
        assert ids(found) == [jose]
        assert "1 lead. " in found.read

    @pytest.mark.parametrize("typed", ["josé", "JOSE garcia", "garcia", "@fabrikam", "fabrikam inc", "García Fabrikam"])
    def test_by_words_of_name_company_and_address(self, made: World, typed: str) -> None:
        jose = take(made, "José García", company="Fabrikam, Inc.")
        take(made, "Ada", email="ada@analytical.example")
        assert ids(look(visitor(made), who=typed)) == [jose]

    def test_by_id_one_is_at_the_lead(self, made: World) -> None:
        lead_id = take(made, "Ada")
        for typed in (lead_id, lead_id[-16:]):
            assert "Where it is" in look(visitor(made), who=typed).read

    @pytest.mark.parametrize("typed", ["nobody@fabrikam.example", "nobody", "ada turing"])
    def test_nobody(self, made: World, typed: str) -> None:
        take(made, "Ada")
        assert NONE in look(visitor(made), who=typed).read

    def test_no_address_of_the_page_and_no_line_of_the_log_has_it(
        self, made: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        take(made, "Ada")
        browser = visitor(made)
        caplog.clear()
        caplog.set_level("INFO")
        found = look(browser, who="ada@fabrikam.example")
        assert browser.url.endswith("/api/page/find")
        assert not re.findall(r'(?:href|action)="[^"]*fabrikam', found.text)
        assert "fabrikam" not in caplog.text
        done = [json.loads(record.getMessage()) for record in caplog.records]
        assert [(each["operation"], each["count"]) for each in done if each["event"] == "operation_done"] == [
            ("find", 1)
        ]

    def test_it_is_masked_until_it_is_asked_for(self, made: World, caplog: pytest.LogCaptureFixture) -> None:
        take(made, "Adalbert")
        browser = visitor(made)
        assert "Adalbert" not in look(browser, who="fabrikam").text
        caplog.set_level("INFO")
        assert "Adalbert" in browser.press("Show personal data").text
        assert '"reveal"' in caplog.text
        assert "Adalbert" not in browser.press("Hide personal data").text

    def test_from_the_overview(self, made: World) -> None:
        ada = take(made, "Ada")
        browser = visitor(made)
        assert ids(browser.press("Find", who="ada")) == [ada]


class TestWhich:
    def test_by_offer_destination_state_and_time(self, made: World) -> None:
        crm, chat = made.places["crm"], made.places["chat"]
        well = take(made, "Ada", "Planner")
        made.forward(days=1)
        chat.always = failing(Rejected)
        died = take(made, "Emmy", "Board")
        made.forward(days=1)
        chat.always, crm.always = None, failing(Misconfigured)
        waits = take(made, "Grace", "Board")
        browser = visitor(made)
        first, second = f"{NOON:%Y-%m-%d}", f"{NOON + timedelta(days=1):%Y-%m-%d}"
        for fields, expected in (
            ({}, [waits, died, well]),
            ({"offer": "board"}, [waits, died]),
            ({"state": "dead"}, [died]),
            ({"state": "open"}, [waits]),
            ({"state": "delivered"}, [well]),
            ({"destination": "chat", "state": "dead"}, [died]),
            ({"destination": "crm", "state": "dead"}, []),
            ({"destination": "crm", "state": "open"}, [waits]),
            ({"destination": "chat", "state": "delivered"}, [waits, well]),
            ({"destination": "crm", "state": "delivered"}, [died, well]),
            ({"destination": "elsewhere"}, []),
            ({"since": second}, [waits, died]),
            ({"until": second}, [died, well]),
            ({"since": first, "until": first}, [well]),
            ({"since": second, "until": first}, []),
            ({"who": "emmy", "offer": "board", "destination": "chat", "state": "dead", "since": second}, [died]),
            ({"who": "emmy@fabrikam.example", "offer": "planner"}, []),
        ):
            assert ids(look(browser, **fields)) == expected, fields

    def test_what_was_asked_for_stands_in_the_form(self, made: World) -> None:
        take(made, "Ada")
        fields = {"who": "ada", "offer": "board", "destination": "chat", "state": "dead", "since": "2026-11-20"}
        found = look(visitor(made), **fields)
        assert '<option value="chat" selected>Chat</option>' in found.text
        assert "<option selected>dead</option>" in found.text
        for value in ("ada", "board", "2026-11-20"):
            assert f'value="{value}"' in found.text

    def test_days_are_those_of_the_clocks_that_the_page_shows(self) -> None:
        with world(environ={"LEADS_TIME_ZONE": "Asia/Tokyo"}, now=NOON.replace(hour=16)) as made:
            lead_id = take(made, "Ada")  # It is the 22nd in Tokyo.
            browser = visitor(made)
            assert ids(look(browser, since="2026-11-22", until="2026-11-22")) == [lead_id]
            assert ids(look(browser, until="2026-11-21")) == []

    def test_what_is_not_a_day_is_said(self, made: World) -> None:
        assert "must be written like 2026-11-21" in look(visitor(made), since="21.11.").read


class TestBeyond:
    def go_on(self, browser: Visitor, found: Answer) -> list[str]:
        """Everything that is found, stretch by stretch."""
        seen = ids(found)
        while "Look further back" in found.text:
            found = browser.press("Look further back")
            assert browser.url.endswith("/api/page/find")
            seen += ids(found)
        return seen

    @pytest.mark.parametrize("who", ["ada", "ada@fabrikam.example"])
    def test_all_come_once_the_newest_first(self, made: World, monkeypatch: pytest.MonkeyPatch, who: str) -> None:
        monkeypatch.setattr("leads.operate.page.views.LISTED", 3)
        monkeypatch.setattr(find, "READ", 2)
        wanted = []
        for number in range(11):
            wanted.append(take(made, "Ada", f"Offer {number}"))
            take(made, "Emmy")
        browser = visitor(made)
        found = look(browser, who=who)
        assert len(ids(found)) <= 3
        assert "Looked back to 21 November 2026" in found.read
        assert self.go_on(browser, found) == wanted[::-1]
        assert "Everything that is kept was looked at" in (browser.last or found).read
        assert ids(browser.press("Begin with the newest again")) == ids(found)

    def test_a_customer_of_more_leads_than_are_read_at_once(self, made: World, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("store.ledger", "operate.listing"):
            monkeypatch.setattr(f"leads.{module}.HISTORY_LIMIT", 10)
        monkeypatch.setattr("leads.operate.page.views.LISTED", 3)
        wanted = []
        for number in range(7):
            wanted.append(take(made, "Ada", f"Offer {number}"))
            take(made, "Emmy")
        browser = visitor(made)
        assert self.go_on(browser, look(browser, who="ada@fabrikam.example")) == wanted[::-1]

    def test_a_search_reads_a_bounded_number_of_leads(self, made: World) -> None:
        for number in range(find.READ + 130):
            accept.receive(made.app, post(userDetails={"firstName": f"Ada {number}"}), made.now)
            made.forward(minutes=1)
        made.drain()
        made.sweep()
        browser = visitor(made)
        browser.open("leads")
        read: Counter[str] = Counter()
        case = made.app.ledger.case

        def counted(lead_id: str) -> Any:
            read["leads"] += 1
            return case(lead_id)

        made.app.ledger.case = counted  # type: ignore[method-assign]
        found = browser.press("Find", who="nobody")
        assert "None among those that were looked at so far" in found.read
        assert read["leads"] <= find.READ + 50
        read.clear()
        assert NONE.replace("No lead fits this", "None beyond those") in browser.press("Look further back").read

    @pytest.mark.parametrize("cursor", ["x", "2026-11-21//", "customer//", "open/../x"])
    def test_another_cursor_is_answered(self, made: World, cursor: str) -> None:
        take(made, "Ada")
        for who in ("ada", "ada@fabrikam.example"):
            assert post_to(visitor(made), who=who, after=cursor).status in (200, 404)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from([*find.FIELDS, "after", "reveal"]),
        st.one_of(st.text(max_size=50), st.dates().map(str), st.sampled_from(["0001-01-01", "9999-12-31", "dead"])),
    )
)
def test_whatever_is_typed_is_answered(made: World, fields: dict[str, str]) -> None:
    plain = {name: value.encode("utf-8", "replace").decode() for name, value in fields.items()}
    found = post_to(visitor(made), **plain)
    assert found.status in (200, 404)
    assert "<script" not in found.text


def test_hostile_words_are_only_words(made: World) -> None:
    hostile = '"><script>alert(1)</script>\u202e'
    take(made, hostile, hostile, company=hostile)
    browser = visitor(made)
    for found in (look(browser, who=hostile, offer="<script>"), browser.press("Show personal data")):
        assert len(ids(found)) == 1
        body = found.text.split("</style>")[1]
        assert "<script" not in body
        assert "\u202e" not in body


def test_a_get_is_the_list(made: World) -> None:
    assert visitor(made).open("find").status == 200
