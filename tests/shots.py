"""Takes the pictures of the operators' page and of mails for the documents: `python -m tests.shots docs/images`.

A mail is the golden file that `test_notification.py` or `test_digest.py` holds equal to what is sent.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from dev.standins.dynamics import StandIn
from leads.intake import accept
from tests.browser import Browser, browser
from tests.month import crowd, month
from tests.page import KEY, Site, serve
from tests.world import FakeDestination, Pager, post, world

GOLDEN = Path(__file__).parent / "golden" / "en"
MAILS = {
    "contact-me": "third_step",
    "do-not-contact": "do_not_contact",
    "test-lead": "test",
    "withheld": "withheld",
    "digest": "digest",
}
"""The pictures of mails, and the golden files that they show."""


def main(folder: Path) -> None:
    """Write the pictures into `folder`."""
    with browser() as chrome:
        for name, golden in MAILS.items():
            mail(chrome, golden, folder / f"mail-{name}.png")
        mail(chrome, "third_step", folder / "mail-phone.png", width=390)
        mail(chrome, "third_step", folder / "mail-dark.png", dark=True)
        with month(well=True) as made, serve(made) as site:
            shoot(chrome, site, folder / "page-light.png")
        with month() as made, serve(made) as site:
            shoot(chrome, site, folder / "page-dark.png", dark=True)
            shoot(chrome, site, folder / "page-phone.png", width=390)
            rows = made.store.tables["leads"].values()
            dead = max((row for row in rows if row.values.get("state") == "dead"), key=lambda row: str(row.values))
            path = f"leads/{dead.partition}-{dead.key.partition(':')[0]}"
            shoot(chrome, site, folder / "page-lead.png", path, click="[aria-labelledby='person'] .main")
        with crowd(11, broken=("dynamics", "slack")) as made, serve(made) as site:
            shoot(chrome, site, folder / "page-eleven.png")
            shoot(chrome, site, folder / "page-find.png", "leads", typed="radium")
        with month() as made, serve(made) as site:
            shoot(chrome, site, folder / "page-tasks.png", "jobs")
            chrome.get(f"{site.url}/api/page/customer")
            chrome.one("input[name=who]").send_keys("emmy+0@invariant.example")
            chrome.follow(".form button")
            chrome.shoot(folder / "page-customer.png")
        with world() as made, serve(made) as site:
            made.live(minutes=5)
            shoot(chrome, site, folder / "page-empty.png")
        ways(chrome, folder)


def ways(chrome: Browser, folder: Path) -> None:
    """Take pictures on the ways from an alert to its end: a wrong secret of Dynamics, a flood, a quarantined body."""
    with TemporaryDirectory() as scratch, StandIn(Path(scratch)) as crm, patch.dict(os.environ, crm.environ()):
        wrong = {"LEADS_DESTINATIONS": "dynamics", "DYNAMICS_CLIENT_SECRET": "x" * 40, "LEADS_ALERTS": "mail"}
        with world(environ={**crm.environ(), **wrong}, mail=Pager()) as made, serve(made) as site:
            accept.receive(made.app, post(), made.now)
            made.live(minutes=3)
            shoot(chrome, site, folder / "page-check.png", "check", click=".form button", until="Check again")
    with world(crm=FakeDestination(TITLE="Dynamics 365")) as made, serve(made) as site:
        for number in range(40):
            accept.receive(made.app, post(userDetails={"email": f"x{number}@spam.example"}), made.now)
        made.live(minutes=5)
        chrome.get(f"{site.url}/api/ops/?code={KEY}")
        chrome.get(f"{site.url}/api/page/discard")
        chrome.one("input[name=offer]").send_keys("planner")
        chrome.follow("section:has([name=offer]) button")
        chrome.shoot(folder / "page-flood.png", full=False)
    with world(crm=FakeDestination(TITLE="Dynamics 365")) as made, serve(made) as site:
        for body in (b"{'not': 'JSON'}", b'["no", "lead"]'):
            with suppress(accept.NotALead):
                accept.receive(made.app, body, made.now)
            made.forward(minutes=7)
        shoot(chrome, site, folder / "page-quarantine.png", "quarantine")


def mail(chrome: Browser, golden: str, path: Path, *, width: int = 700, dark: bool = False) -> None:
    """Take a picture of a mail."""
    chrome.look(width, 400, dark=dark, mobile=width < 600)
    chrome.get((GOLDEN / f"{golden}.html").as_uri())
    chrome.shoot(path)


def shoot(
    chrome: Browser,
    site: Site,
    path: Path,
    page: str = "",
    *,
    width: int = 1200,
    dark: bool = False,
    click: str = "",
    typed: str = "",
    until: str = "",
) -> None:
    """Take one picture, of what a click leads to or of what is found; of a task's page once it says `until`."""
    chrome.look(width, 844 if width > 600 else 1500, dark=dark, mobile=width < 600)
    chrome.get(f"{site.url}/api/ops/?code={KEY}")
    chrome.get(f"{site.url}/api/page/{page}")
    if click:
        chrome.follow(click)
    if typed:
        chrome.one("#who").send_keys(typed)
        chrome.follow(".find button")
    while until not in chrome.text:
        chrome.refresh()
    chrome.shoot(path, full=width > 600)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
