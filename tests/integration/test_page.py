"""The operators' page in a real browser: headless Chromium, with the accessibility rules of axe-core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Keys

from leads.intake import accept
from tests.browser import Browser, browser, missing
from tests.month import CROWD, crowd, month
from tests.page import KEY, Site, serve
from tests.world import World, post, world

AXE = Path(__file__).parents[2] / "dev/node_modules/axe-core/axe.min.js"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202egnp.exe"

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed; run make install"),
]


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as made:
        yield made


@pytest.fixture
def chrome(window: Browser) -> Browser:
    """The browser, without a session and as wide as a desk."""
    window.execute_cdp_cmd("Network.clearBrowserCookies", {})
    window.look(1200)
    window.get("about:blank")
    window.log()
    return window


@pytest.fixture
def site() -> Iterator[Site]:
    with month() as made, serve(made) as served:
        yield served


def sign_in(chrome: Browser, site: Site) -> None:
    chrome.get(f"{site.url}/api/ops/?code={KEY}")


def violations(chrome: Browser) -> list[str]:
    """What axe-core finds wrong with the page that is shown."""
    chrome.execute_script(AXE.read_text(encoding="utf-8"))
    found = chrome.execute_async_script(
        "const done = arguments[0]; axe.run({rules: {'target-size': {enabled: true}}}).then(done)"
    )
    assert found["passes"]
    return [
        f"{each['id']}: {each['help']}: {[node['html'][:200] for node in each['nodes']]}"
        for each in [*found["violations"], *(i for i in found["incomplete"] if i["id"] != "color-contrast")]
    ]


def addresses(site: Site) -> list[str]:
    dead = next(s for s in _dead(site.world))
    lists = ["leads", "leads?state=dead", "leads?state=open", "leads?state=skipped"]
    return ["", *lists, f"leads/{dead}", "offers", "quarantine"]


def _dead(world: World) -> list[str]:
    rows = world.store.tables["leads"].values()
    return [f"{r.partition}-{r.key.partition(':')[0]}" for r in rows if r.values.get("state") == "dead"]


LOOKS: dict[str, Callable[[Browser], None]] = {
    "desktop, light": lambda chrome: chrome.look(1200),
    "desktop, dark": lambda chrome: chrome.look(1200, dark=True),
    "phone, light": lambda chrome: chrome.look(390, 844, mobile=True),
    "phone, dark": lambda chrome: chrome.look(390, 844, dark=True, mobile=True),
}


class TestEverybodyCanUseIt:
    @pytest.mark.parametrize("look", ["desktop, light", "phone, dark"])
    def test_axe_finds_nothing(self, chrome: Browser, site: Site, look: str) -> None:
        with pytest.raises(accept.NotALead):
            accept.receive(site.world.app, b"no lead", site.world.now)
        name = next(iter(site.world.store.containers["quarantine"]))
        LOOKS[look](chrome)
        chrome.get(f"{site.url}/api/page/")
        assert violations(chrome) == []
        sign_in(chrome, site)
        for path in [*addresses(site), f"quarantine/{name}", "nonsense", "?done=replayed&n=2", "?done=replayed&n=0"]:
            chrome.get(f"{site.url}/api/page/{path}")
            chrome.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true })")
            assert violations(chrome) == [], path

    @pytest.mark.parametrize("look", LOOKS)
    def test_axe_finds_nothing_where_data_is_revealed(self, chrome: Browser, site: Site, look: str) -> None:
        LOOKS[look](chrome)
        sign_in(chrome, site)
        chrome.follow("form[action='/api/page/'] button")
        assert violations(chrome) == []
        chrome.get(f"{site.url}/api/page/leads/{_dead(site.world)[0]}")
        chrome.follow("[aria-labelledby='person'] .main")
        chrome.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert violations(chrome) == []

    @pytest.mark.parametrize("look", ["desktop, dark", "phone, light"])
    def test_axe_finds_nothing_on_an_empty_page(self, chrome: Browser, look: str) -> None:
        LOOKS[look](chrome)
        with world() as made, serve(made) as site:
            sign_in(chrome, site)
            for path in ("", "leads", "offers", "quarantine"):
                chrome.get(f"{site.url}/api/page/{path}")
                assert violations(chrome) == [], path

    @pytest.mark.parametrize("width", [320, 390, 768, 1024, 1600])
    def test_nothing_has_to_be_scrolled_sideways(self, chrome: Browser, site: Site, width: int) -> None:
        chrome.look(width, 800, mobile=width < 700)
        sign_in(chrome, site)
        for path in addresses(site):
            chrome.get(f"{site.url}/api/page/{path}")
            wide = chrome.execute_script(
                "return document.scrollingElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wide <= 0, path

    def test_by_keyboard(self, chrome: Browser, site: Site) -> None:
        sign_in(chrome, site)
        chrome.press(Keys.TAB)
        assert chrome.execute_script("return document.activeElement.textContent") == "Skip to the content"
        assert chrome.execute_script("return document.activeElement.getBoundingClientRect().top") >= 0
        chrome.press(Keys.ENTER)
        assert chrome.execute_script("return document.activeElement.id") == "main"
        reached = []
        for _ in range(60):
            chrome.press(Keys.TAB)
            focus = "const e = document.activeElement, s = getComputedStyle(e.closest('.leads li') || e);"
            outline = chrome.execute_script(f"{focus} return [e.textContent.trim(), s.outlineStyle, s.outlineWidth]")
            if outline[0] == "Sign out":
                break
            assert outline[1:] == ["solid", "3px"], outline
            reached.append(outline[0])
        assert outline[0] == "Sign out"
        wanted = {"Show as a table", "Show personal data", "All leads", "Replay 2 dead at Dynamics 365", "Find"}
        assert wanted <= set(reached)

    def test_it_follows_the_system_in_dark_and_light(self, chrome: Browser, site: Site) -> None:
        sign_in(chrome, site)
        paper = "return getComputedStyle(document.body).backgroundColor"
        light = chrome.execute_script(paper)
        chrome.look(1200, dark=True)
        assert chrome.execute_script(paper) != light


class TestAtSize:
    """Eleven destinations: two of them broken, or all."""

    @pytest.fixture(params=[2, 11])
    def broken(self, request: pytest.FixtureRequest) -> int:
        return int(request.param)

    @pytest.fixture
    def site(self, broken: int) -> Iterator[Site]:
        with crowd(11, broken=tuple(CROWD)[:broken], leads=300, whole=3) as made, serve(made) as served:
            yield served

    def test_axe_finds_nothing(self, chrome: Browser, site: Site, broken: int) -> None:
        LOOKS["desktop, dark" if broken == 2 else "phone, light"](chrome)
        sign_in(chrome, site)
        chrome.get(f"{site.url}/api/page/")
        chrome.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert violations(chrome) == []
        chrome.get(f"{site.url}/api/page/leads")
        chrome.one("#who").send_keys("radium")
        chrome.one(".find summary").click()
        chrome.one("#offer").send_keys("planner")
        chrome.follow(".find button")
        assert chrome.current_url == f"{site.url}/api/page/find"
        assert "Radium & Fils" in chrome.text
        assert violations(chrome) == []

    def test_nothing_grows_out_of_its_place(self, chrome: Browser, site: Site) -> None:
        size = (
            "const box = e => e.getBoundingClientRect(); const all = s => [...document.querySelectorAll(s)].map(box);"
        )
        for width, most in ((320, 7000), (1200, 3000)):
            chrome.look(width, 800, mobile=width < 700)
            sign_in(chrome, site)
            page = "document.scrollingElement"
            assert chrome.execute_script(f"return {page}.scrollWidth - document.documentElement.clientWidth") <= 0
            assert chrome.execute_script(f"return {page}.scrollHeight") < most
            assert chrome.execute_script(f"{size} return Math.max(...all('.plot').map(b => b.height))") < 160
            assert chrome.execute_script(f"{size} return Math.max(...all('.chart .d').map(b => b.width))") < 24
            assert chrome.execute_script(f"{size} return Math.max(...all('.leads .states').map(b => b.height))") < 100
        chrome.look(360, 800, mobile=True)
        assert chrome.execute_script(f"{size} return all('.bar nav')[0].height") < 50, "the menu is one line on a phone"
        assert chrome.log() == []


class TestKey:
    def test_it_is_typed_once_and_seen_nowhere(self, chrome: Browser, site: Site) -> None:
        chrome.get(f"{site.url}/api/page/")
        assert "A key opens this page" in chrome.text
        chrome.one("#operator").send_keys("Grace Hopper")
        chrome.one("#key").send_keys(KEY)
        chrome.follow(".key button")
        assert chrome.current_url == f"{site.url}/api/page/"
        assert "leads need you" in chrome.text
        chrome.follow(".leads li:first-child a")
        assert "/api/page/leads/" in chrome.current_url
        assert KEY not in chrome.page_source
        assert [path for path in site.asked if KEY in path] == []
        assert site.referrers == {""}
        assert chrome.execute_script("return document.cookie") == ""

    def test_a_wrong_key_opens_nothing(self, chrome: Browser, site: Site) -> None:
        chrome.get(f"{site.url}/api/page/leads")
        chrome.one("#key").send_keys("another-key-of-this-app")
        chrome.follow(".key button")
        assert "This key does not open the function ops." in chrome.text
        chrome.one("#key").send_keys(KEY)
        chrome.follow(".key button")
        assert chrome.current_url == f"{site.url}/api/page/leads", "where the link pointed"

    def test_going_back_does_not_show_a_page_after_signing_out(self, chrome: Browser, site: Site) -> None:
        sign_in(chrome, site)
        chrome.follow("footer button")
        assert "A key opens this page" in chrome.text
        chrome.go_back("A key opens this page")


class TestDoing:
    def test_personal_data_is_revealed_by_one_click(self, chrome: Browser, site: Site) -> None:
        sign_in(chrome, site)
        assert "emmy" not in chrome.page_source.lower()
        chrome.follow("form[action='/api/page/'] button")
        assert "Emmy Noether" in chrome.text
        assert chrome.current_url == f"{site.url}/api/page/"
        chrome.get(chrome.current_url)
        assert "Emmy Noether" not in chrome.text

    def test_replaying(self, chrome: Browser, site: Site) -> None:
        sign_in(chrome, site)
        chrome.follow("form[action$='/replay'] button")
        assert "2 deliveries would be sent again: 2 to Dynamics 365." in chrome.text
        chrome.follow("main form button.main")
        assert "2 deliveries are on the way again." in chrome.text
        before = len(site.asked)
        chrome.refresh()
        assert [asked.partition(" ")[0] for asked in site.asked[before:]] == ["GET"], "nothing is sent twice"
        site.world.live(minutes=10)
        assert _dead(site.world) == []

    def test_one_page_is_one_request(self, chrome: Browser, site: Site) -> None:
        sign_in(chrome, site)
        for path in addresses(site):
            before = len(site.asked)
            chrome.get(f"{site.url}/api/page/{path}")
            assert len(site.asked) == before + 1
            assert chrome.execute_script("return performance.getEntriesByType('resource').length") == 0
        assert chrome.log() == []


class TestOtherSites:
    """127.0.0.1 and localhost are two sites to a browser."""

    def elsewhere(self, chrome: Browser, site: Site, html: str) -> None:
        sign_in(chrome, site)
        chrome.get(f"http://127.0.0.1:{site.port}/elsewhere")
        chrome.execute_script("document.body.innerHTML = arguments[0]", html)

    def test_a_link_to_a_lead_opens(self, chrome: Browser, site: Site) -> None:
        lead_id = _dead(site.world)[0]
        self.elsewhere(chrome, site, f"<a href='{site.url}/api/page/leads/{lead_id}'>Look</a>")
        chrome.follow("a")
        assert "Where it is" in chrome.text

    def test_a_form_does_nothing(self, chrome: Browser, site: Site) -> None:
        button = "<button name=destination value=dynamics>Win</button>"
        html = f"<form method=post action='{site.url}/api/page/replay'>{button}</form>"
        self.elsewhere(chrome, site, html)
        before = _dead(site.world)
        chrome.follow("button")
        assert "A key opens this page" in chrome.text
        assert _dead(site.world) == before

    def test_it_cannot_be_framed(self, chrome: Browser, site: Site) -> None:
        self.elsewhere(chrome, site, f"<iframe src='{site.url}/api/page/'></iframe>")
        chrome.switch_to.frame(chrome.one("iframe"))
        assert "Marketplace leads" not in chrome.text
        chrome.switch_to.default_content()


def test_hostile_words_are_only_words(chrome: Browser) -> None:
    with world() as made, serve(made) as site:
        names = ("firstName", "lastName", "email", "phone", "company", "title", "country")
        body = post(userDetails=dict.fromkeys(names, HOSTILE), offerTitle=HOSTILE, description=HOSTILE, odd=HOSTILE)
        lead_id = accept.receive(made.app, body, made.now).id
        made.live(minutes=10)
        sign_in(chrome, site)
        for path in ("", "leads", f"leads/{lead_id}"):
            chrome.get(f"{site.url}/api/page/{path}")
            chrome.follow("main form[action] button:not(.main)" if path != f"leads/{lead_id}" else "button.main")
            assert "<script>alert(2)</script>" in chrome.text
            assert chrome.all("main img, script") == []
            assert "\u202e" not in chrome.text
        assert chrome.log() == []
