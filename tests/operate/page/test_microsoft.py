"""Signing in with Microsoft, against the stand-in for Entra: who is let in, and which answers are not for us."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import azure.functions as func
import pytest
from azure.functions.http import HttpResponseConverter

from dev.standins import entra
from dev.standins.entra import Entra, Person, Registration
from dev.standins.server import Request
from leads import transport
from leads.errors import Transient
from leads.intake import accept
from leads.operate.health import health
from leads.operate.page import microsoft, session, web
from leads.transport import Response
from tests.page import KEY, SITE, Answer, Visitor
from tests.world import World, post, world

AUTHORITY = "https://login.microsoftonline.com"
TENANT, OTHER_TENANT = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
APP, SECRET = "33333333-3333-4333-8333-333333333333", "abc8Q~secret-of-the-operators-app"
BACK = f"{SITE}/api/page/microsoft/back"
ADA = Person("aaaaaaaa-0000-4000-8000-000000000001", "Ada@contoso.com", TENANT)
EVE = Person("eeeeeeee-0000-4000-8000-000000000002", "eve@contoso.com", TENANT)
ENVIRON = {
    "WEBSITE_HOSTNAME": "contoso.azurewebsites.net",
    "OPERATORS_TENANT_ID": TENANT,
    "OPERATORS_CLIENT_ID": APP,
    "OPERATORS_CLIENT_SECRET": SECRET,
    "OPERATORS_ALLOW": f"ada@contoso.com, {'ab' * 4}-0000-4000-8000-000000000003",
}


@dataclass
class Directory:
    """Entra at the wire of the app, and as browsers see it."""

    w: World
    entra: Entra
    asked: list[str]

    def request(self, method: str, url: str, **sent: Any) -> Response:
        self.asked.append(f"{method} {urlsplit(url).path}")
        assert sent["deadline"].remaining() <= 5
        data = sent.get("data") or b""
        body = data if isinstance(data, bytes) else urlencode(data).encode()
        answer = self.entra.answer(self._read(method, url, body))
        return Response(answer.status, dict(answer.headers), json.dumps(answer.body).encode())

    def visit(self, url: str) -> str:
        """Go there in a browser, and return where it sends one."""
        answer = self.entra.answer(self._read("GET", url))
        assert answer.status == 302, answer.body
        return answer.headers["Location"]

    @staticmethod
    def _read(method: str, url: str, body: bytes = b"") -> Request:
        parts = urlsplit(url)
        return Request(method, parts.path, dict(parse_qsl(parts.query)), {}, body)


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Directory]:
    with world() as w:
        w.app.environ = {**w.app.environ, **ENVIRON}
        made = Directory(w, Entra(AUTHORITY, lambda: w.now.timestamp()), [])
        made.entra.registrations[APP] = Registration(APP, secrets={SECRET}, redirect_uris={BACK})
        made.entra.person = ADA
        monkeypatch.setattr(transport, "request", made.request)
        yield made


class Browser(Visitor):
    """A visitor that keeps two cookies."""

    def ask(self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        before = self.cookie
        answered = super().ask(method, url, body, None if headers is None else dict(headers))
        if "Set-Cookie" in answered.headers:
            kept = dict(pair.split("=", 1) for pair in before.split("; ") if pair)
            kept |= dict([self.cookie.split("=", 1)])
            self.cookie = "; ".join(f"{name}={value}" for name, value in kept.items())
        return answered


def begin(directory: Directory, path: str = "microsoft", browser: Browser | None = None) -> tuple[Browser, str]:
    """Press the button, sign in at Microsoft, and return with where that sends one."""
    browser = browser or Browser(directory.w)
    sent = browser.ask("GET", path)
    assert sent.status == 303, sent.read
    return browser, directory.visit(sent.headers["Location"])


def events(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(record.getMessage()) for record in caplog.records if record.name == "leads"]


def assert_out(directory: Directory, browser: Browser, came: Answer, told: str) -> None:
    assert came.status in (403, 503), came.status
    assert told in came.read
    assert browser.open("").status == 403


class TestComingIn:
    @pytest.mark.parametrize("person", [ADA, replace(EVE, object_id="abababab-0000-4000-8000-000000000003")])
    def test_whoever_may_is_let_in_by_name_or_object_id(
        self, directory: Directory, person: Person, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        directory.entra.person = person
        browser, back = begin(directory)
        came = browser.ask("GET", back)
        assert (came.status, came.headers["Location"]) == (303, "/api/page/")
        assert browser.open("").status == 200
        assert {"event": "signed_in", "way": "microsoft", "operator": person.username} in events(caplog)
        for secret in (SECRET, *directory.entra.codes, *directory.entra.tokens):
            assert secret not in caplog.text
            assert secret not in str(came.headers)

    def test_each_look_and_change_has_the_name_and_says_that_it_is_proven(
        self, directory: Directory, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        accept.receive(directory.w.app, post(), directory.w.now)
        browser, back = begin(directory)
        browser.ask("GET", back)
        browser.open("leads")
        browser.press("Show personal data")
        (done,) = [each for each in events(caplog) if each["event"] == "operation_done"]
        assert (done["operation"], done["operator"], done["way"]) == ("reveal", "Ada@contoso.com", "microsoft")

    def test_what_is_asked_of_microsoft(self, directory: Directory) -> None:
        sent = Browser(directory.w).ask("GET", "microsoft")
        url = urlsplit(sent.headers["Location"])
        asked = dict(parse_qsl(url.query))
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{AUTHORITY}/{TENANT}/oauth2/v2.0/authorize"
        assert (asked["client_id"], asked["redirect_uri"], asked["response_type"]) == (APP, BACK, "code")
        assert asked["code_challenge_method"] == "S256"
        assert len(asked["state"]) >= 16
        assert asked["nonce"]
        assert set(asked["scope"].split()) == {"openid", "profile"}, "nothing that would let the app act for somebody"
        assert "HttpOnly" in sent.headers["Set-Cookie"]
        assert sent.headers["Set-Cookie"].startswith("__Host-ops_sign_in=")
        assert "Max-Age=600" in sent.headers["Set-Cookie"]

    def test_one_comes_to_where_the_link_pointed(self, directory: Directory) -> None:
        closed = Browser(directory.w).open("leads?state=dead")
        link = re.findall(r'href="(/api/page/microsoft[^"]*)"', closed.text)[0]
        browser, back = begin(directory, link)
        assert browser.ask("GET", back).headers["Location"] == "/api/page/leads?state=dead"

    @pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "%0d%0aX: y", "sign-out", "microsoft"])
    def test_and_nowhere_else(self, directory: Directory, to: str) -> None:
        browser, back = begin(directory, f"microsoft?to={to}")
        assert browser.ask("GET", back).headers["Location"] == "/api/page/"

    def test_the_browser_comes_back_to_the_apps_own_address_whatever_the_request_says(
        self, directory: Directory
    ) -> None:
        sent = Browser(directory.w, "https://evil.example").ask("GET", "microsoft")
        assert dict(parse_qsl(urlsplit(sent.headers["Location"]).query))["redirect_uri"] == BACK
        directory.w.app.environ = {**directory.w.app.environ, "LEADS_URL": "https://leads.contoso.com/"}
        sent = Browser(directory.w).ask("GET", "microsoft")
        asked = dict(parse_qsl(urlsplit(sent.headers["Location"]).query))
        assert asked["redirect_uri"] == "https://leads.contoso.com/api/page/microsoft/back"


class TestAnswersThatAreNotForUs:
    def test_a_replayed_answer(self, directory: Directory) -> None:
        browser, back = begin(directory)
        kept = browser.cookie
        assert browser.ask("GET", back).status == 303
        thief = Browser(directory.w, cookie=kept)
        assert_out(directory, thief, thief.ask("GET", back), "54005")

    def test_an_answer_in_a_browser_that_began_nothing(self, directory: Directory) -> None:
        """Somebody is sent a link that would sign them in as somebody else."""
        _, back = begin(directory)
        victim = Browser(directory.w)
        asked = len(directory.asked)
        assert_out(directory, victim, victim.ask("GET", back), "not begun in this browser")
        assert len(directory.asked) == asked, "Microsoft was not asked"

    def test_answers_of_two_browsers_that_are_swapped(self, directory: Directory) -> None:
        one, back_of_one = begin(directory)
        directory.entra.person = EVE
        other, back_of_other = begin(directory)
        asked = len(directory.asked)
        assert_out(directory, one, one.ask("GET", back_of_other), "belongs to another sign-in")
        assert_out(directory, other, other.ask("GET", back_of_one), "belongs to another sign-in")
        assert len(directory.asked) == asked

    def test_a_code_of_another_sign_in_under_the_right_state(self, directory: Directory) -> None:
        browser, back = begin(directory)
        _, other = begin(directory)
        code = dict(parse_qsl(urlsplit(other).query))["code"]
        came = browser.ask("GET", re.sub(r"code=[^&]*", f"code={code}", back))
        assert_out(directory, browser, came, "501481")

    def test_a_nonce_of_another_sign_in(self, directory: Directory) -> None:
        directory.entra.claims = {"nonce": "another"}
        browser, back = begin(directory)
        assert_out(directory, browser, browser.ask("GET", back), "does not fit this sign-in")

    def test_what_was_begun_too_long_ago(self, directory: Directory) -> None:
        browser, back = begin(directory)
        directory.w.forward(minutes=10)
        assert_out(directory, browser, browser.ask("GET", back), "more than ten minutes ago")

    @pytest.mark.parametrize(
        ("claims", "told"),
        [
            ({"aud": "44444444-4444-4444-8444-444444444444"}, "another app or directory"),
            ({"aud": [APP]}, "another app or directory"),
            ({"tid": OTHER_TENANT}, "another app or directory"),
            ({"iss": f"{AUTHORITY}/{OTHER_TENANT}/v2.0"}, "another app or directory"),
            ({"iss": f"https://evil.example/{TENANT}/v2.0"}, "another app or directory"),
            ({"iss": ""}, "another app or directory"),
            ({"exp": 1}, "expired"),
            ({"exp": None}, "does not fit"),
            ({"exp": "soon"}, "does not fit"),
            ({"nbf": 4_000_000_000}, "expired"),
        ],
    )
    def test_a_token_that_is_foreign_or_expired(self, directory: Directory, claims: dict[str, Any], told: str) -> None:
        directory.entra.claims = claims
        browser, back = begin(directory)
        assert_out(directory, browser, browser.ask("GET", back), told)

    def test_somebody_of_another_directory_with_the_same_name(self, directory: Directory) -> None:
        directory.entra.person = replace(ADA, tenant_id=OTHER_TENANT)
        browser, back = begin(directory)
        assert_out(directory, browser, browser.ask("GET", back), "another app or directory")

    @pytest.mark.parametrize("part", ["flow", "signature", "all"])
    def test_a_cookie_that_was_changed(self, directory: Directory, part: str) -> None:
        browser, back = begin(directory)
        claim, _, signature = browser.cookie.partition("=")[2].rpartition(".")
        content = json.loads(session.decoded(claim))
        content["to"] = "https://evil.example"
        forged = session.encoded(json.dumps(content).encode())
        text = {"flow": f"{forged}.{signature}", "signature": f"{claim}.{'0' * 64}", "all": "x"}[part]
        browser.cookie = f"__Host-ops_sign_in={text}"
        assert_out(directory, browser, browser.ask("GET", back), "not begun in this browser")

    def test_what_was_begun_is_no_session_and_a_session_is_no_beginning(self, directory: Directory) -> None:
        browser, back = begin(directory)
        begun = browser.cookie.partition("=")[2]
        assert Browser(directory.w, cookie=f"__Host-ops_session={begun}").open("").status == 403
        mine = session.begin(directory.w.app, directory.w.now).text
        thief = Browser(directory.w, cookie=f"__Host-ops_sign_in={mine}")
        assert_out(directory, thief, thief.ask("GET", back), "not begun in this browser")


class TestWhoMayNot:
    @pytest.mark.parametrize("allow", ["", "somebody@contoso.com", "contoso.com", "*", "@contoso.com", TENANT])
    def test_nobody_but_those_who_are_named(
        self, directory: Directory, allow: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        directory.w.app.environ = {**directory.w.app.environ, "OPERATORS_ALLOW": allow}
        browser, back = begin(directory)
        assert_out(directory, browser, browser.ask("GET", back), "You may not use this page.")
        assert {"event": "sign_in_refused", "operator": "Ada@contoso.com"} in events(caplog)

    def test_an_address_that_somebody_gave_themselves_is_not_believed(self, directory: Directory) -> None:
        """`email` and `name` can be set by people; only the sign-in name of the own directory counts."""
        directory.entra.person = EVE
        directory.entra.claims = {"email": "ada@contoso.com", "name": "ada@contoso.com", "upn": "ada@contoso.com"}
        browser, back = begin(directory)
        assert_out(directory, browser, browser.ask("GET", back), "You may not use this page.")

    def test_somebody_who_presses_cancel(self, directory: Directory) -> None:
        directory.entra.person = None
        browser, back = begin(directory)
        assert_out(directory, browser, browser.ask("GET", back), "Microsoft did not let you in (access_denied).")

    def test_an_error_that_is_none_of_microsofts_is_not_shown(self, directory: Directory) -> None:
        directory.entra.person = None
        browser, back = begin(directory)
        came = browser.ask("GET", back.replace("access_denied", "%3Cb%3E+call+0900"))
        assert "0900" not in came.text

    @pytest.mark.parametrize(
        "header", ["X-MS-CLIENT-PRINCIPAL", "X-MS-CLIENT-PRINCIPAL-NAME", "X-MS-TOKEN-AAD-ID-TOKEN"]
    )
    def test_headers_of_the_platform_are_not_trusted(self, directory: Directory, header: str) -> None:
        came = Browser(directory.w).ask("GET", "", headers={header: "ada@contoso.com"})
        assert came.status == 403


def assert_nobody(w: World, setting: str) -> None:
    """Health, and so `check` and the alert, say that nobody can come in."""
    (reason,) = [each for each in health(w.app, w.now).reasons if each.setting.startswith("OPERATORS")]
    assert (reason.setting, "nobody can open the page" in reason.cause) == (setting, True)


class TestSettings:
    def test_the_button_is_there_only_where_it_is_set_up(self, directory: Directory) -> None:
        text = Browser(directory.w).open("").read
        assert "Sign in with Microsoft" in text
        assert "Key of the function" in text
        with world() as w:
            assert "Microsoft" not in Browser(w).open("").read

    @pytest.mark.parametrize("value", ["off", "OFF", "no", "false"])
    def test_the_key_can_be_switched_off_for_the_page(self, directory: Directory, value: str) -> None:
        directory.w.app.environ = {**directory.w.app.environ, "OPERATORS_KEY": value}
        browser = Browser(directory.w)
        came = browser.open("")
        assert 'name="key"' not in came.text
        assert "Sign in to open this page" in came.read
        came = browser.ask("POST", "sign-in", urlencode({"key": KEY}).encode())
        assert_out(directory, browser, came, "The key does not open this page any more.")
        assert directory.asked == []

    @pytest.mark.parametrize(
        "changes",
        [
            {"OPERATORS_ALLOW": "somebody.else@contoso.com"},
            {"OPERATORS_TENANT_ID": OTHER_TENANT},
            dict.fromkeys((name for name in ENVIRON if name.startswith("OPERATORS_")), ""),
        ],
    )
    def test_whoever_is_taken_off_the_list_is_out(self, directory: Directory, changes: dict[str, str]) -> None:
        browser, back = begin(directory)
        assert browser.ask("GET", back).status == 303
        before = directory.w.app.environ
        directory.w.app.environ = {**before, "OPERATORS_CLIENT_SECRET": "a new one", "LEADS_FLOOD": "7"}
        assert browser.open("").status == 200
        directory.w.app.environ = {**before, **changes}
        assert browser.open("").status == 403

    def test_whoever_came_in_by_the_key_is_out_when_it_opens_no_more(self, directory: Directory) -> None:
        browser = Browser(directory.w)
        browser.cookie = f"__Host-{session.COOKIE}={session.begin(directory.w.app, directory.w.now).text}"
        assert browser.open("").status == 200
        directory.w.app.environ = {**directory.w.app.environ, "OPERATORS_ALLOW": "somebody.else@contoso.com"}
        assert browser.open("").status == 200, "a list of names is nothing to the key"
        directory.w.app.environ = {**directory.w.app.environ, "OPERATORS_KEY": "off"}
        assert browser.open("").status == 403

    def test_switched_off_without_microsoft_it_says_that_nobody_can_come_in(self) -> None:
        with world() as w:
            w.app.environ = {**w.app.environ, "OPERATORS_KEY": "off"}
            assert "nobody can open it" in Browser(w).open("").read
            assert_nobody(w, "OPERATORS_KEY")

    def test_switched_off_while_nobody_is_named_it_says_so(self, directory: Directory) -> None:
        changes = {"OPERATORS_KEY": "off", "OPERATORS_ALLOW": ""}
        directory.w.app.environ = {**directory.w.app.environ, **changes}
        assert_nobody(directory.w, "OPERATORS_ALLOW")

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"OPERATORS_TENANT_ID": "contoso.onmicrosoft.com"}, "OPERATORS_TENANT_ID"),
            ({"OPERATORS_TENANT_ID": ""}, "OPERATORS_TENANT_ID"),
            ({"OPERATORS_CLIENT_ID": ""}, "OPERATORS_CLIENT_ID"),
            ({"OPERATORS_CLIENT_SECRET": ""}, "OPERATORS_CLIENT_SECRET"),
            ({"OPERATORS_CLIENT_SECRET": "another-secret"}, "OPERATORS_CLIENT_SECRET"),
        ],
    )
    def test_what_is_wrong_is_told_with_its_setting(
        self, directory: Directory, changes: dict[str, str], named: str
    ) -> None:
        directory.w.app.environ = {**directory.w.app.environ, **changes}
        browser = Browser(directory.w)
        came = browser.ask("GET", "microsoft")
        if came.status == 303:
            came = browser.ask("GET", directory.visit(came.headers["Location"]))
        assert_out(directory, browser, came, named)
        assert "another-secret" not in came.text
        assert SECRET not in came.text

    def test_the_managed_identity_can_stand_for_the_secret(
        self, directory: Directory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        changes = {"OPERATORS_CLIENT_SECRET": "", "OPERATORS_FEDERATED": "true"}
        directory.w.app.environ = {**directory.w.app.environ, **changes}
        directory.w.now = datetime.now(UTC)  # msal counts the seconds that a token lasts by the clock of the machine
        identity = entra.Identity("", "55555555-5555-4555-8555-555555555555", system_assigned=True)
        directory.entra.identities.append(identity)
        directory.entra.federate(directory.entra.registrations[APP], identity)
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{AUTHORITY}{entra.IDENTITY_PATH}")
        monkeypatch.setenv("IDENTITY_HEADER", directory.entra.identity_header)
        read = Directory._read

        def with_headers(method: str, url: str, body: bytes = b"") -> Request:
            return replace(read(method, url, body), headers={"x-identity-header": directory.entra.identity_header})

        monkeypatch.setattr(Directory, "_read", staticmethod(with_headers))
        browser, back = begin(directory)
        assert browser.ask("GET", back).status == 303
        assert browser.open("").status == 200


class TestNoDoorForStrangers:
    def test_one_at_a_time(self, directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
        browser, back = begin(directory)
        busy: list[Answer] = []

        def slow(method: str, url: str, **sent: Any) -> Response:
            busy.append(Browser(directory.w).ask("GET", "microsoft"))
            busy.append(Browser(directory.w).ask("POST", "sign-in", urlencode({"key": KEY}).encode()))
            return directory.request(method, url, **sent)

        monkeypatch.setattr(transport, "request", slow)
        assert browser.ask("GET", back).status == 303
        assert {answer.status for answer in busy} == {429}

    def test_microsoft_out_of_reach(self, directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: Any, **__: Any) -> Response:
            raise Transient("login.microsoftonline.com did not answer in time.", "Try again.")

        browser, back = begin(directory)
        with monkeypatch.context() as patched:
            patched.setattr(transport, "request", broken)
            assert "did not answer in time" in Browser(directory.w).ask("GET", "microsoft").read
            assert_out(directory, browser, browser.ask("GET", back), "did not answer in time")

    def test_storage_out_of_reach(self, directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: Any) -> None:
            raise ConnectionError("AccountKey=secret")

        monkeypatch.setattr(directory.w.store, "get", broken)
        came = Browser(directory.w).ask("GET", "microsoft")
        assert came.status == 503
        assert "secret" not in came.text

    def test_a_lead_needs_none_of_it(self, directory: Directory) -> None:
        directory.w.app.environ = {**directory.w.app.environ, "OPERATORS_TENANT_ID": "nonsense"}
        assert accept.receive(directory.w.app, post(), directory.w.now).id


def test_its_cookies_come_through_the_worker(directory: Directory) -> None:
    request = func.HttpRequest("GET", f"{SITE}/api/page/microsoft", body=b"", route_params={"path": "microsoft"})
    datum = HttpResponseConverter.encode(web.page(directory.w.app, request, directory.w.now), expected_type=None)
    (cookie,) = datum.value["cookies"]
    assert cookie["__Host-ops_sign_in"]["samesite"] == "Lax"
    assert microsoft.COOKIE in str(cookie)
