"""The operators' page: every address, who is let in, what is masked, and what no answer lacks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import quote, urlencode

import azure.functions as func
import pytest
from azure.functions.http import HttpResponseConverter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leads import offers, transport
from leads.contract import Kind
from leads.errors import Misconfigured, Rejected, Transient
from leads.intake import accept
from leads.offers import Offer
from leads.operate import operations, quarantine, stories
from leads.operate.page import session, web
from leads.operate.page.words import bytes_text
from leads.store.ledger import QUARANTINE, Line
from leads.sweep import drift
from leads.transport import Deadline, Response
from tests.destinations.toys import Toy
from tests.month import offered
from tests.page import KEY, SITE, Answer, Visitor, visitor
from tests.world import NOON, FakeDestination, World, failing, post, world

ADA = {
    "firstName": "Ada",
    "lastName": "Lovelace",
    "email": "ada.lovelace@analytical.example",
    "phone": "+442079460958",
    "country": "United Kingdom",
    "company": "Analytical Engines",
    "title": "Countess",
}
PERSONAL = ("Ada", "Lovelace", "ada.lovelace@", "2079460958", "secret plans")


def take(world: World, **changes: Any) -> str:
    """Take a lead in, and everything that follows for some minutes. Returns its id."""
    given = {"userDetails": ADA, "description": "I have secret plans.", "actionCode": "PLT"} | changes
    receipt = accept.receive(world.app, post(**given), world.now)
    world.live(minutes=10)
    return receipt.id


def events(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What the app logged, but for the storage's own lines."""
    return [json.loads(record.getMessage()) for record in caplog.records if record.name == "leads"]


@pytest.fixture
def quiet() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture
def busy() -> Iterator[World]:
    """One lead that was delivered to `crm` and died at `chat`."""
    with world(
        crm=FakeDestination(TITLE="Contoso CRM"), chat=FakeDestination(TITLE="Chat", always=failing(Rejected))
    ) as made:
        take(made)
        yield made


class Host:
    """What stands before the app's own route `ops`: it checks the key, as Azure does, and counts the questions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, w: World) -> None:
        self.w = w
        self.asked: list[str] = []
        self.status = 0
        monkeypatch.setattr(transport, "request", self.answer)

    def answer(self, method: str, url: str, *, headers: dict[str, str], deadline: Deadline, **_: Any) -> Response:
        self.asked.append(url)
        assert deadline.remaining() <= 5
        if self.status:
            return Response(self.status, {}, b"")
        if headers["x-functions-key"] != KEY:
            return Response(401, {}, b"")
        request = func.HttpRequest(method, url, headers=headers, body=b"", route_params={"path": ""})
        return Response(web.answer(self.w.app, request, self.w.now).status_code, {}, b"")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, quiet: World) -> Host:
    quiet.app.environ = {**quiet.app.environ, "WEBSITE_HOSTNAME": "contoso.azurewebsites.net"}
    return Host(monkeypatch, quiet)


def sign_in(browser: Visitor, key: str = KEY, **fields: str) -> Answer:
    return browser.ask("POST", "sign-in", urlencode({"key": key, **fields}).encode())


class TestDoor:
    def test_the_key_is_exchanged_for_a_session(self, quiet: World, host: Host) -> None:
        browser = Visitor(quiet)
        assert browser.open().status == 403
        came = sign_in(browser)
        assert (came.status, came.headers["Location"], came.body) == (303, "/api/page/", b"")
        assert KEY not in str(came.headers)
        assert browser.open().status == 200
        assert host.asked == ["https://contoso.azurewebsites.net/api/ops/"]

    def test_no_form_or_link_puts_the_key_into_an_address(self, quiet: World) -> None:
        text = Visitor(quiet).open().text
        assert '<form class="key" method="post" action="/api/page/sign-in">' in text
        assert "code" not in re.sub("<code>.*?</code>", "", text.partition("</style>")[2])

    def test_a_key_in_an_address_opens_nothing(self, quiet: World) -> None:
        came = Visitor(quiet).ask("GET", f"/api/ops/?code={KEY}")
        assert (came.status, came.headers["Location"]) == (303, "/api/page/")
        assert "Set-Cookie" not in came.headers

    def test_on_ones_own_machine_the_address_alone_opens_it(self, quiet: World) -> None:
        browser = Visitor(quiet, "http://localhost:7071")
        assert browser.open("/api/ops/").status == 200

    def test_a_wrong_key_opens_nothing_and_says_so(self, quiet: World, host: Host) -> None:
        browser = Visitor(quiet)
        came = sign_in(browser, "another-key-of-the-app")
        assert (came.status, browser.cookie) == (403, "")
        assert "This key does not open the function ops." in came.read
        assert "another-key" not in came.text
        assert len(host.asked) == 1

    @pytest.mark.parametrize(
        "key", ["", "short", "with a space in the middle", "k" * 257, "schlüssel" * 3, "\r\nX: y" * 4]
    )
    def test_what_cannot_be_a_key_is_refused_without_asking(self, quiet: World, host: Host, key: str) -> None:
        assert sign_in(Visitor(quiet), key).status == 403
        assert host.asked == []

    def test_one_question_at_a_time(self, quiet: World, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        nested: list[Answer] = []

        def slow(*given: Any, **more: Any) -> Response:
            nested.append(sign_in(Visitor(quiet)))
            return host.answer(*given, **more)

        monkeypatch.setattr(transport, "request", slow)
        assert sign_in(Visitor(quiet)).status == 303
        assert nested[0].status == 429
        assert nested[0].headers["Retry-After"] == "5"
        assert "Try again in some seconds" in nested[0].read
        assert len(host.asked) == 1
        monkeypatch.setattr(transport, "request", host.answer)
        assert sign_in(Visitor(quiet)).status == 303, "the way is free again"

    @pytest.mark.parametrize("status", [200, 302, 303, 403, 404, 500])
    def test_only_the_hosts_own_word_counts(self, quiet: World, host: Host, status: int) -> None:
        host.status = status
        browser = Visitor(quiet)
        came = sign_in(browser)
        assert (came.status, browser.cookie) == (503, "")
        assert f"answered {status}" in came.read
        assert "access restrictions" in came.read

    def test_a_question_that_fails_does_not_block_the_next(
        self, quiet: World, host: Host, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: Any, **__: Any) -> Response:
            raise Transient("contoso.azurewebsites.net did not answer in time.", "Try again.")

        monkeypatch.setattr(transport, "request", broken)
        assert "did not answer in time" in sign_in(Visitor(quiet)).read
        monkeypatch.setattr(transport, "request", host.answer)
        assert sign_in(Visitor(quiet)).status == 303

    def test_the_app_asks_itself_and_nobody_whom_the_request_names(self, quiet: World, host: Host) -> None:
        for site in ("https://evil.example", "http://localhost:1"):
            sign_in(Visitor(quiet, site))
        assert set(host.asked) == {"https://contoso.azurewebsites.net/api/ops/"}

    def test_without_an_address_of_its_own_it_asks_nobody(self, quiet: World, host: Host) -> None:
        quiet.app.environ = {name: value for name, value in quiet.app.environ.items() if name != "WEBSITE_HOSTNAME"}
        assert "WEBSITE_HOSTNAME" in sign_in(Visitor(quiet, "https://evil.example")).read
        assert host.asked == []

    def test_a_form_of_another_site_signs_nobody_in(self, quiet: World, host: Host) -> None:
        browser = Visitor(quiet, sent={"Sec-Fetch-Site": "cross-site"})
        assert sign_in(browser).status == 403
        assert (browser.cookie, host.asked) == ("", [])

    @pytest.mark.parametrize(
        "path", ["leads", "leads?state=dead", "jobs/0123456789abcdef?still=1", f"leads/{'0' * 16}-{'1' * 16}"]
    )
    def test_after_signing_in_one_is_where_the_link_pointed(self, quiet: World, host: Host, path: str) -> None:
        assert f'name="to" value="{path}"' in Visitor(quiet).open(path).text
        assert sign_in(Visitor(quiet), to=path).headers["Location"] == f"/api/page/{path}"
        assert host.asked

    @pytest.mark.parametrize(
        "to", ["//evil.example", "https://evil.example", "\r\nX: y", "/..//x", "sign-out", "a?b=c", "é"]
    )
    def test_it_leads_nowhere_else(self, quiet: World, host: Host, to: str) -> None:
        assert sign_in(Visitor(quiet), to=to).headers["Location"] == "/api/page/"
        assert host.asked

    def test_signing_in_is_logged_with_the_name_that_was_given(
        self, quiet: World, host: Host, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        sign_in(Visitor(quiet), operator=" Grace\n Hopper ")
        assert host.asked
        assert events(caplog) == [{"event": "signed_in", "way": "key", "operator": "Grace Hopper"}]
        assert KEY not in caplog.text

    def test_the_cookie_comes_through_the_worker(self, quiet: World, host: Host) -> None:
        body = urlencode({"key": KEY}).encode()
        request = func.HttpRequest("POST", f"{SITE}/api/page/sign-in", body=body, route_params={"path": "sign-in"})
        datum = HttpResponseConverter.encode(web.page(quiet.app, request, quiet.now), expected_type=None)
        assert host.asked
        cookie = datum.value["cookies"][0]["__Host-ops_session"]
        assert {name: value for name, value in cookie.items() if value} == {
            "path": "/",
            "max-age": "28800",
            "httponly": True,
            "secure": True,
            "samesite": "Lax",
        }

    @pytest.mark.parametrize("address", ["/api/ops", "/api/ops/"])
    def test_with_and_without_a_slash(self, quiet: World, address: str) -> None:
        assert Visitor(quiet).ask("GET", address).headers["Location"] == "/api/page/"

    def test_strangers_learn_nothing(self, busy: World) -> None:
        lead_id = busy.ids()[0]
        for path in ("", "leads", f"leads/{lead_id}", "quarantine", "offers", "nonsense"):
            for method in ("GET", "POST"):
                came = Visitor(busy).ask(method, path)
                assert came.status == 403
                assert "A key opens this page" in came.read
                assert "Analytical" not in came.text
                assert "Version" not in came.text
                assert lead_id not in came.text.replace(f'value="{path}"', ""), "but for the address that was typed"

    def test_a_stranger_is_answered_the_same_whether_there_is_such_a_lead(self, busy: World) -> None:
        lead_id, unknown = busy.ids()[0], f"{'0' * 16}-{'1' * 16}"

        def answer(each: str) -> tuple[int, str]:
            came = Visitor(busy).open(f"leads/{each}")
            return came.status, re.sub('nonce="[^"]*"', "", came.text).replace(each, "")

        assert answer(lead_id) == answer(unknown)

    def test_a_session_ends(self, quiet: World) -> None:
        browser = visitor(quiet)
        quiet.now += timedelta(hours=8)
        assert browser.open().status == 403

    def test_signing_out(self, quiet: World) -> None:
        browser = visitor(quiet)
        kept = browser.cookie
        assert browser.press("Sign out").status == 403
        assert browser.cookie == "__Host-ops_session="
        browser.cookie = kept
        assert browser.open().status == 403, "whoever has copied the cookie is out as well"

    def test_no_page_ever_holds_the_key(self, busy: World) -> None:
        browser = visitor(busy)
        for path in ("", "leads", f"leads/{busy.ids()[0]}", "quarantine", "offers"):
            assert KEY not in browser.open(path).text

    def test_other_addresses_of_the_api(self, quiet: World) -> None:
        assert Visitor(quiet).ask("GET", "/api/ops/nonsense/x").status == 404


class TestHeaders:
    def pages(self, world: World) -> Iterator[Answer]:
        browser = visitor(world)
        for path in ("", "leads", f"leads/{world.ids()[0]}", "quarantine", "offers", "nonsense", "leads/nonsense"):
            yield browser.open(path)
        yield Visitor(world).open("")
        yield browser.ask("POST", "replay")
        yield browser.ask("GET", "/api/ops/")

    def test_every_answer_keeps_to_itself(self, busy: World) -> None:
        for came in self.pages(busy):
            assert came.headers["Cache-Control"] == "no-store"
            assert came.headers["Referrer-Policy"] == "no-referrer"
            assert came.headers["X-Content-Type-Options"] == "nosniff"
            assert came.headers["X-Frame-Options"] == "DENY"
            assert came.headers["Strict-Transport-Security"] == "max-age=31536000"

    def test_the_policy_is_strict(self, busy: World) -> None:
        nonces = set()
        for came in self.pages(busy):
            if not came.body:
                continue
            nonce = re.findall(r'<style nonce="([^"]+)">', came.text)
            assert came.headers["Content-Security-Policy"] == (
                f"default-src 'none'; style-src 'nonce-{nonce[0]}'; img-src data:; form-action 'self'; "
                "base-uri 'none'; frame-ancestors 'none'"
            )
            nonces.add(nonce[0])
            assert "<script" not in came.text
            assert not re.search(r"<[^>]+\s(style|on\w+)=", came.text)
            assert not re.search(r'(?:src|href|action)="(?:https?:)?//', came.text)
        assert len(nonces) > 5

    def test_a_page_is_small(self, busy: World) -> None:
        for number in range(60):
            take(busy, userDetails=ADA | {"email": f"ada{number}@analytical.example"})
        for came in self.pages(busy):
            assert len(came.body) < 60_000


class TestForgery:
    def forms(self, world: World) -> list[str]:
        return ["replay", f"leads/{world.ids()[0]}/replay", f"leads/{world.ids()[0]}", "", "sign-out"]

    @pytest.mark.parametrize("token", ["", "token=", "token=0", "token=%ff", "x" * 20_000])
    def test_without_the_token_nothing_is_done(self, busy: World, token: str) -> None:
        browser = visitor(busy)
        before, cookie = busy.states(), browser.cookie
        for path in self.forms(busy):
            came = browser.ask("POST", path, f"{token}&destination=chat".encode())
            assert came.status == 403
            assert "Nothing was changed" in came.read
            assert "Lovelace" not in came.text
        assert (busy.states(), browser.cookie) == (before, cookie)

    @pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
    def test_a_form_of_another_site_is_refused(self, busy: World, headers: dict[str, str]) -> None:
        browser = visitor(busy)
        browser.sent = headers
        assert browser.press("Replay 1 dead").status == 403
        assert busy.states()["chat"] == "dead"

    def test_the_token_of_another_session_is_of_no_use(self, busy: World) -> None:
        browser, other = visitor(busy), visitor(busy)
        other.open()
        other.cookie = browser.cookie
        assert other.press("Replay 1 dead").status == 403

    def test_a_get_changes_nothing(self, busy: World) -> None:
        browser, before = visitor(busy), busy.store.tables
        lead_id = busy.ids()[0]
        for path in (f"leads/{lead_id}/replay", "sign-out"):
            assert browser.ask("GET", path).status == 404
        for path in ("replay", "check", "skip", "sessions", "discard", "customer", "import", "test", "waiting", "jobs"):
            assert browser.ask("GET", f"{path}?destination=chat&yes=1&do=yes").status == 200
        assert busy.store.tables == before


class TestOverview:
    def test_all_is_well(self, quiet: World) -> None:
        take(quiet, actionCode="INS")
        read = visitor(quiet).open().read
        assert "All is well" in read
        assert (
            "The last lead arrived 10 min ago, the inbox was looked at 5 min ago, open leads were swept 5 min ago."
            in read
        )
        assert "1 lead in the last 30 days, most on 21 Nov (1)." in read
        assert "Fake, all delivered Deliveries of the last 30 days" in read
        assert "Replay" not in read

    def test_what_died_is_told_with_cause_and_remedy(self, busy: World) -> None:
        read = visitor(busy).open().read
        assert "One lead needs you" in read
        assert "Chat 1 dead See them at Chat Replay 1 dead at Chat It did not work. 10 min ago Correct it." in read
        assert "Contoso CRM, all delivered" in read

    def test_what_waits_is_told_too(self) -> None:
        with world(crm=FakeDestination(always=failing(Misconfigured))) as made:
            take(made)
            read = visitor(made).open().read
        assert re.search(
            r"Fake 1 open See them at Fake Try what waits at Fake It did not work. \d min ago Correct it.", read
        )

    def test_empty_it_teaches(self, quiet: World) -> None:
        read = visitor(quiet).open().read
        assert "No lead yet" in read
        assert "Paste this address into Partner Center" in read
        assert f"{SITE}/api/leads?code= key" in read

    def test_before_the_first_sweep(self, quiet: World) -> None:
        came = visitor(quiet).open()
        assert "It has just started Its first look at the inbox comes within minutes." in came.read
        assert 'class="card trouble wait"' in came.text
        quiet.live(minutes=5)
        assert "Ready for the first lead" in visitor(quiet).open().read

    def test_silence_needs_a_look(self, quiet: World) -> None:
        take(quiet)
        quiet.forward(hours=2)
        read = visitor(quiet).open().read
        assert "2 things need a look" in read
        assert "The sweep last ran at 2026-11-21 12:05 UTC." in read

    def test_the_chart_has_a_table(self, busy: World) -> None:
        came = visitor(busy).open()
        assert came.text.count('<tr><th scope="row">') == 30 + 2, "the days, and the destination that works"
        assert "21 Nov 0 0 1 0 0" in came.read

    def test_replaying_all_that_died_at_a_destination(self, busy: World) -> None:
        busy.places["chat"].always = None
        browser = visitor(busy)
        assert "1 delivery would be sent again: 1 to Chat." in browser.press("Replay 1 dead").read
        assert "1 delivery is on the way again." in browser.press("Replay 1 delivery").read
        busy.live(minutes=10)
        assert busy.states() == {"crm": "delivered", "chat": "delivered"}
        assert "Replay" not in browser.open().read

    def test_the_chart_names_every_color_it_has(self, busy: World) -> None:
        skipped = "delivered open dead skipped"
        assert skipped not in visitor(busy).open().read
        with world(environ={"LEADS_TEST_LEADS": "ignore"}) as made:
            take(made, description="MSFT_TEST_638000000000000000")
            assert made.states() == {"crm": "skipped"}
            assert skipped in visitor(made).open().read

    def test_what_died_elsewhere_is_left_alone(self, busy: World) -> None:
        busy.places["chat"].always = None
        busy.places["crm"].always = failing(Rejected)
        take(busy, offerTitle="newer")
        browser = visitor(busy)
        came = browser.press("Replay 1 dead", destination="chat")
        assert "1 delivery would be sent again: 1 to Chat." in came.read

    @pytest.mark.parametrize(
        "query", ["done=replayed", "done=replayed&n=<b>", "done=x&n=1", "done=replayed&n=99999999"]
    )
    def test_a_notice_says_only_our_words(self, busy: World, query: str) -> None:
        came = visitor(busy).open(f"?{query}")
        assert 'role="status"' not in came.text


class TestMasking:
    def test_personal_data_is_masked_until_it_is_asked_for(self, busy: World) -> None:
        browser = visitor(busy)
        for path in ("", "leads", f"leads/{busy.ids()[0]}"):
            masked = browser.open(path)
            assert not [word for word in PERSONAL if word in masked.text]
            assert "A… L…" in masked.read
            revealed = browser.press("Show personal data")
            assert revealed.status == 200
            assert "Ada Lovelace" in revealed.read
            assert "Ada Lovelace" not in browser.open(path).read

    def test_a_story_revealed_is_whole(self, busy: World) -> None:
        browser = visitor(busy)
        masked = browser.open(f"leads/{busy.ids()[0]}").read
        assert "Phone +44…58" in masked
        assert "The customer wrote 20 characters." in masked
        assert "As it arrived" not in masked
        read = browser.press("Show personal data").read
        assert "Phone +442079460958" in read
        assert "I have secret plans." in read
        assert '"firstName": "Ada"' in read
        assert 'href="mailto:ada.lovelace@analytical.example"' in (browser.last or masked).text  # type: ignore[union-attr]


class TestWhoLooked:
    def test_what_is_revealed_and_replayed_is_logged(self, busy: World, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        lead_id, browser = busy.ids()[0], visitor(busy)
        browser.cookie = f"__Host-ops_session={session.begin(busy.app, busy.now, 'Grace').text}"
        for path in ("", "leads", f"leads/{lead_id}"):
            browser.open(path)
            browser.press("Show personal data")
        browser.open(f"leads/{lead_id}")
        browser.press("Replay to Chat")
        browser.press("Replay")
        done = [each for each in events(caplog) if each["event"] == "operation_done"]
        assert [(each["operation"], each["lead"], each["count"], each["operator"]) for each in done] == [
            ("reveal", "", 1, "Grace"),
            ("reveal", "", 1, "Grace"),
            ("reveal", lead_id, 1, "Grace"),
            ("replay", lead_id, 1, "Grace"),
        ]

    def test_an_address_in_another_field_is_masked_too(self) -> None:
        """Links to a listing carry addresses, and people type theirs into the wrong field."""
        person = {
            "firstName": "Ada",
            "email": "ada@home.example",
            "company": "ada@work.example",
            "title": "+44 20 7946 0958",
        }
        with world() as w:
            said = '{"utm_source": "letter", "email": "ada@link.example"}'
            accept.receive(w.app, post(userDetails=person, description=said), w.now)
            browser, (lead_id,) = visitor(w), w.ids()
            shown = [browser.open(path).text for path in ("", "leads", f"leads/{lead_id}")]
            shown.append(str(operations.perform(w.app, "list", {}, w.now)))
            assert not [page for page in shown for part in ("ada@", "7946") if part in page]
            assert "utm_source = letter" in shown[2]
            assert "ada@link.example" in browser.press("Show personal data").text

    def test_looking_at_what_is_masked_is_not_logged(self, busy: World, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        visitor(busy).open("leads")
        assert "operation_done" not in caplog.text


class TestLists:
    def test_states(self, busy: World) -> None:
        browser = visitor(busy)
        assert "A… L…" in browser.open("leads?state=dead").read
        assert "Nothing is open" in browser.open("leads?state=open").read
        assert browser.open("leads?state=nonsense").status == 404
        assert "A… L…" in browser.open("leads").read

    def test_empty(self, quiet: World) -> None:
        assert "No lead has arrived yet." in visitor(quiet).open("leads").read


class TestStory:
    def test_each_attempt_is_told(self, busy: World) -> None:
        read = visitor(busy).open(f"leads/{busy.ids()[0]}").read
        assert "Arrived by HTTPS 21 Nov, 12:00:00" in read
        assert "Chat dead Replay to Chat rejected 21 Nov, 12:00:00 · 0.0 s It did not work. Correct it." in read
        assert "Contoso CRM delivered Replay to Contoso CRM ok" in read
        assert "Record there: remote-" in read

    def test_an_open_delivery_tells_when_it_goes_on(self) -> None:
        with world(crm=FakeDestination(always=failing(Transient))) as made:
            lead_id = take(made)
            read = visitor(made).open(f"leads/{lead_id}").read
        assert "Fake open Try now at Fake transient" in read
        assert "Next attempt 21 Nov, 12:" in read
        assert "Replay to" not in read

    def test_replaying_by_the_second_half_of_an_id(self, busy: World) -> None:
        lead_id = busy.ids()[0]
        browser = visitor(busy)
        token = re.findall(r'name="token" value="([^"]*)"', browser.open().text)[0]
        body = urlencode({"token": token, "id": lead_id[-16:], "yes": "1"}).encode()
        came = browser.ask("POST", "replay", body)
        assert came.headers["Location"] == f"/api/page/leads/{lead_id}?done=replayed&n=1"

    def test_replaying_one(self, busy: World) -> None:
        browser = visitor(busy)
        browser.open(f"leads/{busy.ids()[0]}")
        busy.places["chat"].always = None
        assert "sent again to Chat (dead)" in browser.press("Replay to Chat").read
        assert "1 delivery is on the way again." in browser.press("Replay").read
        busy.live(minutes=10)
        assert busy.states()["chat"] == "delivered"
        assert len(busy.places["crm"].got) == 1

    def test_pressing_twice_does_it_once(self, busy: World) -> None:
        browser = visitor(busy)
        browser.open(f"leads/{busy.ids()[0]}")
        page = browser.press("Replay to Chat")
        browser.press("Replay")
        browser.last = page
        assert "There was nothing to replay" in browser.press("Replay").read

    def test_what_a_destination_made_is_a_link_where_it_can_be_opened(self) -> None:
        toy = Toy(Kind.CRM)
        with world(environ={"LEADS_DESTINATIONS": "toy", "TOY_SHELF": "ground"}, toy=toy) as w:  # type: ignore[arg-type]
            lead_id = take(w)
            came = visitor(w).open(f"leads/{lead_id}")
            address = f"https://toys.example/ground/toy-{lead_id[-16:]}"
            assert f'<a href="{address}" rel="noopener noreferrer">Open in Toy</a>' in came.text

    def test_an_instance_is_called_by_its_title_and_replayed_by_its_name(self) -> None:
        toy = Toy(Kind.CRM)
        environ = {"LEADS_DESTINATIONS": "toy:upper", "TOY_UPPER_SHELF": "upper"}
        with world(environ=environ, toy=toy) as w:  # type: ignore[arg-type]
            lead_id = take(w)
            assert "Toy, upper, all delivered" in visitor(w).open().read
            browser = visitor(w)
            opened = browser.open(f"leads/{lead_id}").text
            assert f'<a href="https://toys.example/upper/toy-{lead_id[-16:]}"' in opened
            assert "Open in Toy, upper" in opened
            assert "Toy, upper delivered Replay to Toy, upper ok" in browser.open(f"leads/{lead_id}").read
            browser.press("Replay to Toy, upper")
            assert "1 delivery is on the way again." in browser.press("Replay").read
            w.drain()
            assert [shelf for shelf, _ in toy.steps] == ["upper", "upper"]

    def test_a_delivery_without_a_record_has_no_link(self, busy: World) -> None:
        assert "Open in" not in visitor(busy).open(f"leads/{busy.ids()[0]}").text

    @pytest.mark.parametrize(
        ("email", "said"),
        [
            ("ada@analytical.example", ""),
            ("ada@sales.contoso.com", "your own company"),
            ("ada@mailinator.com", "free mail or access provider, disposable"),
        ],
    )
    def test_marks_are_shown_also_while_the_address_is_masked(self, email: str, said: str) -> None:
        with world(environ={"LEADS_OWN_DOMAINS": "contoso.com"}, crm=FakeDestination()) as w:
            page = visitor(w).open(f"leads/{take(w, userDetails=ADA | {'email': email})}")
            shown = re.search(r"<dt>Kind of address</dt><dd><bdi>(.*?)</bdi>", page.text)
            assert (shown[1] if shown else "") == said
            assert email not in page.text

    def test_other_steps_of_the_customer(self, busy: World) -> None:
        other = take(busy, actionCode="StartTestDrive")
        came = visitor(busy).open(f"leads/{other}")
        assert "Other steps of this customer" in came.read
        assert busy.ids()[0] in came.text

    def test_unknown_ids(self, busy: World) -> None:
        browser = visitor(busy)
        for lead_id in ("0" * 16 + "-" + "0" * 16, "nonsense", "..%2f", "%00", "'"):
            came = browser.open(f"leads/{lead_id}")
            assert came.status == 404
            assert "It is not here" in came.read

    def test_a_lead_that_is_gone(self, busy: World) -> None:
        lead_id = busy.ids()[0]
        seen = busy.app.ledger.seen(lead_id[17:])
        assert seen
        for table in ("leads", "journal"):
            for partition, key in busy.store.tables[table]:
                busy.store.delete(table, partition, key)
        busy.app.ledger.rewrite(lead_id[17:], replace(seen, fate="gone"), busy.now)
        assert "purged after its retention" in visitor(busy).open(f"leads/{lead_id}").read


class TestQuarantine:
    def keep(self, world: World, body: bytes = b"no lead of ada.lovelace@analytical.example") -> str:
        with pytest.raises(accept.NotALead):
            accept.receive(world.app, body, world.now)
        return next(iter(world.store.containers[QUARANTINE]))

    def test_empty(self, quiet: World) -> None:
        assert "Quarantine is empty" in visitor(quiet).open("quarantine").read

    def test_an_entry(self, quiet: World) -> None:
        name = self.keep(quiet)
        browser = visitor(quiet)
        assert "1 in quarantine" in browser.open().read
        assert f'href="/api/page/quarantine/{name}"' in browser.open("quarantine").text
        masked = browser.open(f"quarantine/{name}")
        assert "ada.lovelace" not in masked.text
        assert "no lead of ada.lovelace@analytical.example" in browser.press("Show them").read

    def test_what_still_is_no_lead_stays(self, quiet: World) -> None:
        name = self.keep(quiet)
        browser = visitor(quiet)
        browser.open("quarantine")
        assert "One entry of 42 bytes would be read again." in browser.press("Replay").read
        assert "It still cannot be read as a lead, and stays here." in browser.press("Read it again").read
        assert quiet.store.get_blob(QUARANTINE, name)

    def test_what_can_be_read_now_becomes_a_lead(self, quiet: World) -> None:
        name = self.keep(quiet)
        old = quiet.store.containers[QUARANTINE].pop(name)
        quiet.store.put_blob(QUARANTINE, name, post(), old.metadata)
        browser = visitor(quiet)
        browser.open(f"quarantine/{name}")
        browser.press("Replay")
        assert quiet.ids() == [], "nothing comes in before a yes"
        assert "It could be read now: here is the lead." in browser.press("Read it again").read
        assert "S… O…" in browser.open("leads").read

    def test_what_is_gone(self, quiet: World) -> None:
        name = self.keep(quiet)
        browser = visitor(quiet)
        page = browser.open(f"quarantine/{name}")
        quiet.store.containers[QUARANTINE].clear()
        browser.last = page
        assert browser.press("Replay").status == 404
        assert browser.open(f"quarantine/{name}").status == 404

    def test_a_flood_of_strangers_costs_a_page(self, quiet: World, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(130):
            if number % 13 == 0:
                quiet.forward(days=1)
            self.keep(quiet, b"no lead %d" % number)
        monkeypatch.setattr(quarantine, "COUNTED", 60)
        monkeypatch.setattr(stories, "LOOKED_AT", 60)
        listed, blobs = [], quiet.store.blobs

        def counted(*given: str) -> Iterator[tuple[str, Mapping[str, str]]]:
            for each in blobs(*given):
                listed.append(each)
                yield each

        browser = visitor(quiet)
        quiet.sweep()
        monkeypatch.setattr(quiet.store, "blobs", counted)
        came = browser.open("quarantine")
        assert "100 others are not shown." in came.read
        assert len(came.body) < 60_000
        assert len(listed) <= 65
        stamps = re.findall(r'<time datetime="([^"]*)"', came.text)
        assert stamps == sorted(stamps, reverse=True)
        listed.clear()
        assert browser.open(f"leads/{'0' * 16}-{'0' * 16}").status == 404
        assert len(listed) <= 65

    def test_only_the_size_was_kept(self, quiet: World) -> None:
        with pytest.raises(accept.TooLarge):
            accept.receive(quiet.app, b"x" * 300_000, quiet.now)
        name = next(iter(quiet.store.containers[QUARANTINE]))
        listed = visitor(quiet).open("quarantine").read
        assert ("300000 bytes, not kept" in listed, "Replay" in listed) == (True, False)
        assert "nothing is lost" not in listed
        read = visitor(quiet).open(f"quarantine/{name}").read
        assert "300000 bytes" in read
        assert "Only the size was kept" in read
        assert "Replay" not in read


class TestTrouble:
    def break_storage(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object) -> None:
            raise ConnectionError("https://account.example/?sig=secret")

        monkeypatch.setattr(world.store, "rows", broken)
        monkeypatch.setattr(world.store, "get", broken)

    def test_operators_learn_what_is_broken(self, quiet: World, monkeypatch: pytest.MonkeyPatch) -> None:
        browser = visitor(quiet)
        held = session.read(
            quiet.app, func.HttpRequest("GET", SITE, headers={"Cookie": browser.cookie}, body=b""), NOON
        )
        monkeypatch.setattr(session, "read", lambda *_: held)
        self.break_storage(quiet, monkeypatch)
        came = browser.open()
        assert came.status == 503
        assert "Something needs fixing It failed with an unexpected error (ConnectionError)." in came.read
        assert "secret" not in came.text

    def test_nobody_is_let_in_without_storage(self, quiet: World, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        browser, known = Visitor(quiet), visitor(quiet)
        self.break_storage(quiet, monkeypatch)
        came = sign_in(browser)
        assert host.asked
        assert (came.status, "Set-Cookie" in came.headers) == (503, False)
        assert "ConnectionError" in came.read
        assert browser.ask("GET", "").status == 403
        stranger = known.ask("GET", "")
        assert stranger.status == 503
        assert "ConnectionError" not in stranger.text

    def test_an_expected_failure_is_told_in_its_own_words(self, busy: World) -> None:
        busy.store.delete("state", "state", "id-key")
        busy.restart()
        assert "The row id-key of the table state is missing" in visitor(busy).open().read

    def test_the_page_shows_leads_of_unfinished_intake(self, quiet: World) -> None:
        quiet.app.ledger.open(Line("0" * 16 + "-" + "1" * 16, "2026/11/21/x.json", quiet.now))
        assert "Being taken in" in visitor(quiet).open().read


HOSTILE = "<script>alert(1)</script>\u202e\u2066\x00\x1b[31m\"'&{{7*7}}</dd>\ud83d"


class TestHostileValues:
    def test_nothing_from_outside_is_markup(self) -> None:
        # Tables take no half of a surrogate pair, so no destination can leave one.
        told = HOSTILE.removesuffix("\ud83d")
        chat = FakeDestination(always=Rejected(told, told, remote_id=told))
        with world(crm=FakeDestination(), chat=chat) as made:
            user = dict.fromkeys(ADA, HOSTILE) | {"email": f'{HOSTILE}"@x.example'}
            lead_id = take(
                made, userDetails=user, description=HOSTILE, offerTitle=HOSTILE, leadSource=HOSTILE, odd=HOSTILE
            )
            with pytest.raises(accept.NotALead):
                accept.receive(made.app, HOSTILE.encode("utf-8", "surrogatepass"), made.now)
            name = next(iter(made.store.containers[QUARANTINE]))
            browser = visitor(made)
            for path, button in (
                ("", "Show personal data"),
                ("leads", "Show personal data"),
                (f"leads/{lead_id}", "Show personal data"),
                (f"quarantine/{name}", "Show them"),
            ):
                for came in (browser.open(path), browser.press(button)):
                    assert came.status == 200
                    body = came.text.split("</style>")[1]
                    assert "<script" not in body
                    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", unescape(body))
                    assert "49" not in re.findall(r"alert\(1\)[^<]*?(49)", body)

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
    def test_any_words_are_shown(self, name: str, company: str, words: str) -> None:
        with world() as made:
            lead_id = take(made, userDetails={"firstName": name, "company": company, "email": words}, description=words)
            browser = visitor(made)
            for path in ("", f"leads/{lead_id}"):
                assert browser.open(path).status == 200
                assert browser.press("Show personal data").status == 200

    @settings(max_examples=50, deadline=None)
    @given(st.binary(max_size=300))
    def test_any_bytes_are_shown(self, data: bytes) -> None:
        shown = bytes_text(data)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]", shown)

    @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40), st.text(max_size=20))
    def test_any_address_is_answered(self, busy: World, path: str, state: str) -> None:
        browser = visitor(busy)
        assert browser.ask("GET", f"/api/page/{quote(path)}?state={quote(state, errors='replace')}").status in (
            200,
            303,
            404,
        )


def test_the_policy_has_no_loophole() -> None:
    assert "unsafe" not in web._POLICY
    assert "*" not in web._POLICY


class TestOffers:
    def test_before_a_look_it_says_how_to_have_one(self, quiet: World) -> None:
        page = visitor(quiet).open("offers")
        assert page.status == 200
        assert "No offer is known yet" in page.read
        assert "python -m leads offers" in page.read

    def test_each_offer_with_where_it_goes_and_its_last_lead(self, quiet: World) -> None:
        for made in offered(quiet):
            offers.keep(quiet.app.ledger, made)
        page = visitor(quiet).open("offers")
        for words in (
            "Contoso Planner this app",
            "Contoso Board elsewhere Its live leads go to Dynamics 365 (contoso.crm4.dynamics.com).",
            "Press “Review and publish” in Partner Center.",
            "cannot be compared",
            "connect wrote Azure Table (leadsinbox) into its draft on",
            "not looked at yet",
            "planner · last lead",
            "no lead of it is known here",
        ):
            assert words in page.read
        assert '<a href="/api/page/offers" aria-current="page">Offers</a>' in page.text

    def test_what_partner_center_refused_is_told(self, quiet: World) -> None:
        note = quiet.app.ledger.note(drift.NOTE)
        values = {"cause": "Partner Center refuses the sign-in (401).", "remedy": "Check PARTNER_CENTER_CLIENT_ID."}
        quiet.app.ledger.write_note(replace(note, values=values))
        page = visitor(quiet).open("offers").read
        assert "Partner Center could not be asked. Partner Center refuses the sign-in (401). Check" in page

    def test_hostile_titles_are_only_words(self, quiet: World) -> None:
        hostile = "<script>alert(1)</script>\u202egnp.exe"
        offers.keep(quiet.app.ledger, Offer("guid-1", "x", alias=hostile, place=hostile, verdict="elsewhere"))
        page = visitor(quiet).open("offers")
        assert "<script" not in page.text
        assert "\u202e" not in page.text
