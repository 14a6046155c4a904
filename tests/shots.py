"""Takes the pictures of the operators' page for the documents: `python -m tests.shots docs/images`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.browser import Browser, browser
from tests.month import month
from tests.page import KEY, Site, serve
from tests.world import world


def main(folder: Path) -> None:
    """Write the pictures into `folder`."""
    with browser() as chrome:
        with month(well=True) as made, serve(made) as site:
            shoot(chrome, site, folder / "page-light.png")
        with month() as made, serve(made) as site:
            shoot(chrome, site, folder / "page-dark.png", dark=True)
            shoot(chrome, site, folder / "page-phone.png", width=390)
            rows = made.store.tables["leads"].values()
            dead = max((row for row in rows if row.values.get("state") == "dead"), key=lambda row: str(row.values))
            path = f"leads/{dead.partition}-{dead.key.partition(':')[0]}"
            shoot(chrome, site, folder / "page-lead.png", path, click="[aria-labelledby='person'] .main")
        with world() as made, serve(made) as site:
            made.live(minutes=5)
            shoot(chrome, site, folder / "page-empty.png")


def shoot(
    chrome: Browser, site: Site, path: Path, page: str = "", *, width: int = 1200, dark: bool = False, click: str = ""
) -> None:
    """Take one picture."""
    chrome.look(width, 844 if width > 600 else 1500, dark=dark, mobile=width < 600)
    chrome.get(f"{site.url}/api/ops/?code={KEY}")
    chrome.get(f"{site.url}/api/page/{page}")
    if click:
        chrome.follow(click)
    chrome.shoot(path, full=width > 600)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
