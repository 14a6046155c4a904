"""A real browser for tests: headless Chromium, driven by Selenium and Debian's chromedriver. Nothing is downloaded."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)

PATIENCE = 120
"""Seconds after which a page or a script counts as hanging; a busy machine takes a quarter of that."""


def missing() -> str:
    """Why there is no browser to test in; empty if there is one."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(absent)} not found; on Debian: apt-get install chromium chromium-driver" if absent else ""


class Browser(Chrome):
    """One window of the browser."""

    @property
    def text(self) -> str:
        """What a person can read on the page."""
        return str(self.execute_script("return document.body.innerText"))

    def all(self, selector: str) -> list[WebElement]:
        """The elements that a CSS selector finds."""
        return self.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """The one element that a CSS selector finds."""
        found = self.all(selector)
        assert len(found) == 1, f"{selector} finds {len(found)} elements"
        return found[0]

    def follow(self, selector: str) -> None:
        """Press an element that leads to another page, and wait until that is loaded."""
        # While a page goes, the driver may say of its elements that they belong to no document: it is asked again.
        wait, left = WebDriverWait(self, PATIENCE, 0.01, (WebDriverException,)), self.one("html")
        self.one(selector).click()
        wait.until(staleness_of(left), f"{selector} led nowhere")
        wait.until(lambda _: self.execute_script("return document.readyState") == "complete")

    def go_back(self, until: str) -> None:
        """Press Back, and wait until the page says something. Back alone may return before the page is shown."""
        self.back()
        WebDriverWait(self, PATIENCE, 0.01).until(lambda _: until in self.text, f"the page never said {until}")

    def press(self, key: str) -> None:
        """Press a key, wherever the focus is."""
        ActionChains(self, 0).send_keys(key).perform()

    def look(self, width: int, height: int = 900, *, dark: bool = False, mobile: bool = False) -> None:
        """Make the window that large (CSS pixels), and ask for dark or light."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": [scheme]})

    def shoot(self, path: Path, *, full: bool = True) -> None:
        """Write a PNG of the page, in its whole length if `full`."""
        shot = self.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": full})
        path.write_bytes(base64.b64decode(shot["data"]))

    def log(self) -> list[str]:
        """What the browser complained about since the last look, broken policies among it."""
        return [entry["message"] for entry in self.get_log("browser")]  # type: ignore[no-untyped-call]


@contextmanager
def browser() -> Iterator[Browser]:
    """A fresh browser without any history, and its end."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # A proxy of the environment has no business between two programs of this machine.
    with patch.dict(os.environ, {"no_proxy": "localhost,127.0.0.1"}):
        made = Browser(options, ChromeService(shutil.which("chromedriver")))
    made.set_script_timeout(PATIENCE)
    with made:
        yield made
