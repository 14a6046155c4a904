"""What each stand-in shows of what it received, and the page that shows all of it."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
import requests

from dev import host, run, serving, standins
from dev.standins import Item, page
from leads import enabled, oauth
from leads.contract import Kind, Step
from leads.reader import Reader
from leads.transport import Deadline
from tests import browser
from tests.message_samples import SAMPLES, hostile_lead

NAMES = [name for name in enabled.names() if standins.find(name) and enabled.load(name).KIND != Kind.CUSTOMER]
"""What goes to the customer is for some leads only, and has a test of its own."""
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@dataclass
class Fake:
    items: list[Item] = field(default_factory=list)

    def environ(self) -> dict[str, str]:
        return {}

    def received(self) -> list[Item]:
        return self.items


@contextmanager
def served(**running: standins.StandIn) -> Iterator[str]:
    server = serving.Server(page.application(running))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.port}"
    finally:
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", NAMES)
def test_a_stand_in_takes_a_lead_and_shows_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "LOCAL", tmp_path)
    oauth._client.cache_clear()
    module = standins.find(name)
    assert module
    destination = importlib.import_module(f"leads.destinations.{name}")
    with module.start(tmp_path / "standin", {}) as running:
        assert list(running.received()) == []
        environ = running.environ() | run.trust({})
        for setting, value in environ.items():
            monkeypatch.setenv(setting, value)
        reader = Reader(environ, destination.SETTINGS)
        settings = destination.Settings.read(reader)
        assert reader.problems == []
        assert set(module.ADDRESS) & set(environ), "its settings count as the address of a real one"
        hostile = replace(hostile_lead("<script>alert(1)</script>"), id=f"{'b' * 16}-{'b' * 16}")
        if name in ("follow_up", "marketo"):  # which have no place for a customer without an address
            hostile = replace(hostile, contact=replace(hostile.contact, email="mallory@example.net"))
        if name == "slack":  # which takes one message a second
            monkeypatch.setattr(destination, "PAUSE", 0.0)
        for lead in (SAMPLES["contact_me"], hostile):
            step = Step(datetime.now(UTC), Deadline.after(30))
            destination.send(lead, step, settings)
        seen = sorted(running.received(), key=lambda item: "Ada Rossi" not in unescape(item.html))
        assert len(seen) == 2
        for item in seen:
            assert datetime.now(UTC) - item.at < timedelta(minutes=1)
            assert item.title
            assert "<script" not in item.html
        words = unescape(seen[0].html)
        assert "Ada" in words
        for shown in ("Fabrikam S.p.A.", "Can you show us how approvals work?"):
            assert (shown in words) is (name != "follow_up"), "which never quotes a customer"


def test_who_gets_the_mail_stays_as_the_user_has_set_it(tmp_path: Path) -> None:
    module = standins.find("email")
    assert module
    given = {"EMAIL_TO": "ada@contoso.com", "EMAIL_FROM": ""}
    with module.start(tmp_path, given) as running:
        assert running.environ()["EMAIL_TO"] == "ada@contoso.com"
        assert running.environ()["EMAIL_FROM"]


def test_an_instance_has_a_stand_in_of_its_own_with_settings_of_its_own(tmp_path: Path) -> None:
    module = standins.find("email:emea")
    assert module is standins.find("email")
    assert module
    environ = {"EMAIL_TO": "all@contoso.com", "EMAIL_FROM": "leads@contoso.com", "EMAIL_US_TO": "us@contoso.com"}
    given = standins.given("email:us", environ)
    assert (given["EMAIL_TO"], given["EMAIL_FROM"]) == ("us@contoso.com", "leads@contoso.com")
    assert standins.given("email:emea", environ)["EMAIL_TO"] == "", "who gets the mail is never taken from another"
    with module.start(tmp_path, given) as running:
        called = standins.called("email:us", running.environ())
        place = enabled.read("email:us", called)
        assert place.problems == ()
        assert place.settings.addresses == ("us@contoso.com",)
        assert all(name.startswith("EMAIL_US_") for name in called)
    assert standins.title("email:us", module) == "E-mail, us"
    assert standins.title("email", module) == "E-mail"


@pytest.mark.parametrize("name", ["page", "server", "nonsense", "console"])
def test_other_names_have_no_stand_in(name: str) -> None:
    assert standins.find(name) is None


def test_the_page_shows_the_newest_first_and_knows_when_there_is_more() -> None:
    crm, mail = Fake(), Fake()
    with served(CRM=crm, Mail=mail) as url:
        before = requests.get(f"{url}/state", timeout=9).text
        assert "Nothing yet." in requests.get(url, timeout=9).text
        crm.items = [Item(NOW + timedelta(seconds=n), f"number {n}", "", "<p>") for n in range(30)]
        assert requests.get(f"{url}/state", timeout=9).text != before
        answer = requests.get(url, timeout=9)
        titles = [f"number {n}" for n in range(30) if f"<h3>number {n}<" in answer.text]
        assert titles == [f"number {n}" for n in range(10, 30)], "as many as can be read"
        assert answer.text.index("number 29") < answer.text.index("number 10")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert requests.get(f"{url}/other", timeout=9).status_code == 404
        assert requests.get(url, headers={"Host": "evil.example"}, timeout=9).status_code == 421


@pytest.mark.skipif(bool(browser.missing()), reason=browser.missing())
def test_nothing_that_was_received_runs_in_the_browser() -> None:
    html = "<p>Words<script>top.ran = 1</script><img src=x onerror='top.ran = 1'><p style='height: 500px'>"
    fake = Fake([Item(NOW, "<script>top.ran = 1</script>", "<img src=x onerror='top.ran = 1'>", html)])
    with served(**{"<b>Mail": fake}) as url, browser.browser() as chrome:
        chrome.get(url)
        assert chrome.execute_script("return window.ran") is None
        assert "<script>top.ran = 1</script>" in chrome.text
        frame = chrome.one("iframe")
        assert 500 < frame.size["height"] < 600, "a frame is as high as what is in it"
        chrome.switch_to.frame(frame)
        assert chrome.text.startswith("Words")
