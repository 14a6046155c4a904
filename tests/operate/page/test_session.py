"""Who may use the page."""

from __future__ import annotations

import string
from collections.abc import Iterator
from datetime import timedelta

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.intake import accept
from leads.operate import operations
from leads.operate.page import session as ops_session
from tests.world import NOON, World, post, world

URL = "https://contoso.azurewebsites.net/api/page/"
NAME = "__Host-ops_session"


@pytest.fixture
def w() -> Iterator[World]:
    with world() as made:
        yield made


def request(cookie: str = "", url: str = URL, **headers: str) -> func.HttpRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return func.HttpRequest("POST", url, headers={"Cookie": cookie, **named}, body=b"")


def cookie(session: ops_session.Session) -> str:
    return f"{NAME}={session.text}"


def test_a_session_holds_for_a_working_day(w: World) -> None:
    session = ops_session.begin(w.app, NOON)
    sent = request(f"other=1; {cookie(session)}")
    assert ops_session.read(w.app, sent, NOON) == session
    assert ops_session.read(w.app, sent, NOON + timedelta(hours=7, minutes=59)) == session
    assert ops_session.read(w.app, sent, NOON + timedelta(hours=8)) is None


@pytest.mark.parametrize("others", ['a={"x":1}', "a b=1", "bare", "a[1]=2", "name=é", "x=1,2"])
def test_cookies_of_other_applications_do_not_end_it(w: World, others: str) -> None:
    session = ops_session.begin(w.app, NOON)
    assert ops_session.read(w.app, request(f"{others}; {cookie(session)}"), NOON) == session


def test_two_sessions_differ(w: World) -> None:
    one, other = ops_session.begin(w.app, NOON), ops_session.begin(w.app, NOON)
    assert one.text != other.text
    assert one.token != other.token


def test_nobody_else_makes_one(w: World) -> None:
    session = ops_session.begin(w.app, NOON, "Ada")
    end, noise, who, signature = session.text.split(".")
    with world() as other:
        foreign = ops_session.begin(other.app, NOON).text
    forged = [
        "",
        "..",
        f"{int(end) + 1}.{noise}.{who}.{signature}",
        f"{end}.{noise}.a2V5IEdyYWNl.{signature}",
        f"{end}.{noise}..{signature}",
        f"{end}.{noise}.a.{signature}",
        f"{end}.{noise}.abcde.{signature}",
        f"{end}.{noise}.{who}.{signature[:-1]}",
        f"{end}.{noise}.{who}.",
        f"{end}.{noise}.{who}.{session.token}",
        foreign,
    ]
    for text in forged:
        assert ops_session.read(w.app, request(f"{NAME}={text}"), NOON) is None, text
    assert ops_session.read(w.app, request(), NOON) is None


def test_what_does_not_look_like_a_session_costs_no_look_at_the_store(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("a stranger made the app read its store")

    monkeypatch.setattr(w.store, "get", asked)
    end = int((NOON + timedelta(days=40)).timestamp())
    for text in ("", "x", "..", f"{end}.{'0' * 32}..{'0' * 64}", f"1.{'0' * 32}..{'0' * 64}"):
        assert ops_session.read(w.app, request(f"{NAME}={text}"), NOON) is None


@pytest.mark.parametrize("name", ["", "Ada Lovelace", "李明", "a.b@c.example", "x" * 80, "😀" * 80])
def test_a_session_has_the_name_that_was_given(w: World, name: str) -> None:
    session = ops_session.begin(w.app, NOON, name)
    read = ops_session.read(w.app, request(cookie(session)), NOON)
    assert read
    assert (read.operator, read.way) == (name, "key")


def test_signing_out_ends_it_on_the_server_too(w: World) -> None:
    mine, other = ops_session.begin(w.app, NOON), ops_session.begin(w.app, NOON)
    ops_session.end(w.app, mine, NOON)
    assert ops_session.read(w.app, request(cookie(mine)), NOON) is None
    assert ops_session.read(w.app, request(cookie(other)), NOON) == other


def test_what_was_signed_out_is_noted_until_it_would_have_ended_anyway(w: World) -> None:
    def noted() -> int:
        return sum(key.startswith("signed-out:") for _, key in w.store.tables["state"])

    for hour in range(30):
        now = NOON + timedelta(hours=hour)
        ops_session.end(w.app, ops_session.begin(w.app, now), now)
        assert noted() <= 10
    assert "ops_session" not in str(w.store.tables["state"])


def test_everybody_is_signed_out_at_once_and_lead_ids_stay(w: World) -> None:
    lead_id = accept.receive(w.app, post(), w.now).id
    sessions = [ops_session.begin(w.app, NOON) for _ in range(3)]
    operations.perform(w.app, "sign-out-all", {}, NOON)
    assert [ops_session.read(w.app, request(cookie(each)), NOON) for each in sessions] == [None] * 3
    again = ops_session.begin(w.app, NOON)
    assert ops_session.read(w.app, request(cookie(again)), NOON) == again
    w.restart()
    assert accept.receive(w.app, post(), w.now).id == lead_id


def test_the_id_key_signs_no_session(w: World) -> None:
    session = ops_session.begin(w.app, NOON)
    assert session.key != w.app.identity.key


@given(st.text())
def test_any_cookie_is_read(text: str) -> None:
    with world() as w:
        assert ops_session.read(w.app, request(text), NOON) is None
        assert ops_session.read(w.app, request(f"{NAME}={text}"), NOON) is None


@given(st.text())
def test_any_token_is_compared(text: str) -> None:
    with world() as w:
        assert not ops_session.begin(w.app, NOON).sent(request(), text)


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "same-origin", "origin": "null"}, True),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "none"}, False),
        ({"origin": "https://contoso.azurewebsites.net"}, True),
        ({"origin": "https://leads.contoso.com", "host": "leads.contoso.com"}, True),
        ({"origin": "null"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "https://evil.example", "sec_fetch_site": "same-origin"}, True),
        ({}, True),
    ],
)
def test_where_a_form_comes_from(w: World, headers: dict[str, str], taken: bool) -> None:
    session = ops_session.begin(w.app, NOON)
    assert session.sent(request(**headers), session.token) is taken
    assert not session.sent(request(**headers), ops_session.begin(w.app, NOON).token)


def test_the_cookie(w: World) -> None:
    session = ops_session.begin(w.app, NOON)
    assert ops_session.set_cookie(request(), {}, session.text) == (
        f"__Host-ops_session={session.text}; Max-Age=28800; Path=/; HttpOnly; SameSite=Lax; Secure"
    )
    local = request(url="http://localhost:7071/api/ops/")
    assert ops_session.set_cookie(local, {}, session.text) == (
        f"ops_session={session.text}; Max-Age=28800; Path=/; HttpOnly; SameSite=Lax"
    )
    assert ops_session.set_cookie(request(), {}, "").startswith("__Host-ops_session=; Max-Age=0; Path=/;")


@pytest.mark.parametrize(
    ("site", "url", "local"),
    [
        ("", "http://localhost:7071/api/page/", True),
        ("localhost:7071", "http://127.0.0.1:7071/api/page/", True),
        ("", URL, False),
        ("contoso.azurewebsites.net", URL, False),
        ("contoso.azurewebsites.net", "http://localhost/api/page/", False),
        ("localhost:7071", URL, False),
    ],
)
def test_a_host_header_does_not_make_a_deployed_app_local(site: str, url: str, local: bool) -> None:
    assert ops_session.is_local(request(url=url), {"WEBSITE_HOSTNAME": site} if site else {}) is local


def test_the_value_needs_no_escaping_on_its_way_through_the_host(w: World) -> None:
    allowed = set("0123456789.-_") | set(string.ascii_letters)
    assert set(ops_session.begin(w.app, NOON, 'Ada, 李明; "x"').text) <= allowed
