"""Who may use the page."""

from __future__ import annotations

from datetime import timedelta

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.operate.page import session as ops_session
from tests.world import NOON

KEY = b"k" * 32
URL = "https://contoso.azurewebsites.net/api/page/"


def request(cookie: str = "", url: str = URL, **headers: str) -> func.HttpRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return func.HttpRequest("POST", url, headers={"Cookie": cookie, **named}, body=b"")


def cookie(session: ops_session.Session) -> str:
    return f"{ops_session.COOKIE}={session.text}"


def test_a_session_holds_for_a_working_day() -> None:
    session = ops_session.begin(KEY, NOON)
    sent = request(f"other=1; {cookie(session)}")
    assert ops_session.read(sent, KEY, NOON) == session
    assert ops_session.read(sent, KEY, NOON + timedelta(hours=7, minutes=59)) == session
    assert ops_session.read(sent, KEY, NOON + timedelta(hours=8)) is None


@pytest.mark.parametrize("others", ['a={"x":1}', "a b=1", "bare", "a[1]=2", "name=é", "x=1,2"])
def test_cookies_of_other_applications_do_not_end_it(others: str) -> None:
    session = ops_session.begin(KEY, NOON)
    assert ops_session.read(request(f"{others}; {cookie(session)}"), KEY, NOON) == session


def test_two_sessions_differ() -> None:
    one, other = ops_session.begin(KEY, NOON), ops_session.begin(KEY, NOON)
    assert one.text != other.text
    assert one.token != other.token


def test_nobody_else_makes_one() -> None:
    session = ops_session.begin(KEY, NOON)
    end, noise, signature = session.text.split(".")
    forged = [
        "",
        "..",
        f"{int(end) + 1}.{noise}.{signature}",
        f"{end}.{noise}.{signature[:-1]}",
        f"{end}.{noise}.",
        f"{end}.{noise}.{session.token}",
        ops_session.begin(b"x" * 32, NOON).text,
    ]
    for text in forged:
        assert ops_session.read(request(f"{ops_session.COOKIE}={text}"), KEY, NOON) is None, text
    assert ops_session.read(request(), KEY, NOON) is None


@given(st.text())
def test_any_cookie_is_read(text: str) -> None:
    assert ops_session.read(request(text), KEY, NOON) is None
    assert ops_session.read(request(f"{ops_session.COOKIE}={text}"), KEY, NOON) is None


@given(st.text())
def test_any_token_is_compared(text: str) -> None:
    assert not ops_session.begin(KEY, NOON).sent(request(), text)


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
def test_where_a_form_comes_from(headers: dict[str, str], taken: bool) -> None:
    session = ops_session.begin(KEY, NOON)
    assert session.sent(request(**headers), session.token) is taken
    assert not session.sent(request(**headers), ops_session.begin(KEY, NOON).token)


def test_the_cookie() -> None:
    session = ops_session.begin(KEY, NOON)
    assert ops_session.set_cookie(request(), "/api/page", session) == (
        f"ops_session={session.text}; Max-Age=28800; Path=/api/page; HttpOnly; SameSite=Lax; Secure"
    )
    local = request(url="http://localhost:7071/api/ops/")
    assert ops_session.set_cookie(local, "/api/page", session).endswith("; SameSite=Lax")
    assert ops_session.set_cookie(request(), "/api/page", None).startswith("ops_session=; Max-Age=0; Path=/api/page;")


def test_the_value_needs_no_escaping_on_its_way_through_the_host() -> None:
    assert set(ops_session.begin(KEY, NOON).text) <= set("0123456789abcdef.")
