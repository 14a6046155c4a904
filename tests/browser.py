"""A real browser for tests: headless Chromium, driven by chromedriver over W3C WebDriver. Nothing is downloaded."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

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
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key under which WebDriver names an element (W3C WebDriver, section 12)."""

KEYS = {"tab": "\ue004", "enter": "\ue007"}


def missing() -> str:
    """Why there is no browser to test in; empty if there is one."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(absent)} not found; on Debian: apt-get install chromium chromium-driver" if absent else ""


@dataclass
class Browser:
    """One window of the browser."""

    url: str
    """The session's address at chromedriver."""
    http: requests.Session

    def call(self, command: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        """Send one command. Raises AssertionError with the browser's words when it cannot be done."""
        data = None if method == "GET" else body or {}
        value = self.http.request(method, f"{self.url}/{command}", json=data, timeout=60).json()["value"]
        if isinstance(value, dict) and "error" in value:
            raise AssertionError(f"{value['error']}: {value['message'].splitlines()[0]}")
        return value

    def devtools(self, command: str, **params: Any) -> Any:
        """Send a command of the Chrome DevTools Protocol."""
        return self.call("goog/cdp/execute", {"cmd": command, "params": params})

    def get(self, url: str) -> None:
        """Open an address and wait until it is loaded."""
        self.call("url", {"url": url})

    @property
    def location(self) -> str:
        """The address of the page that is shown."""
        return str(self.call("url", method="GET"))

    @property
    def source(self) -> str:
        """The HTML of the page that is shown."""
        return str(self.call("source", method="GET"))

    @property
    def text(self) -> str:
        """What a person can read on the page."""
        return str(self.run("return document.body.innerText"))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page, from outside of it."""
        return self.call("execute/sync", {"script": script, "args": list(arguments)})

    def wait_for(self, script: str, *arguments: Any) -> Any:
        """Run a script whose last argument is called with the answer."""
        return self.call("execute/async", {"script": script, "args": list(arguments)})

    def all(self, selector: str) -> list[str]:
        """The elements that a CSS selector finds."""
        return [each[ELEMENT] for each in self.call("elements", {"using": "css selector", "value": selector})]

    def one(self, selector: str) -> str:
        """The one element that a CSS selector finds."""
        found = self.all(selector)
        assert len(found) == 1, f"{selector} finds {len(found)} elements"
        return found[0]

    def click(self, selector: str) -> None:
        """Press an element."""
        self.call(f"element/{self.one(selector)}/click")

    def follow(self, selector: str, seconds: float = 15) -> None:
        """Press an element that leads to another page, and wait until that is loaded."""
        self.run("window.left = true")
        self.click(selector)
        end = time.monotonic() + seconds
        while self.run("return window.left === true || document.readyState !== 'complete'"):
            assert time.monotonic() < end, f"{selector} led nowhere"

    def type(self, selector: str, text: str) -> None:
        """Type into an element."""
        self.call(f"element/{self.one(selector)}/value", {"text": text})

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        actions = [{"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def look(self, width: int, height: int = 900, *, dark: bool = False, mobile: bool = False) -> None:
        """Make the window that large (CSS pixels), and ask for dark or light."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", media="", features=[scheme])

    def screenshot(self, path: Path, *, full: bool = True) -> None:
        """Write a PNG of the page, in its whole length if `full`."""
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=full)
        path.write_bytes(base64.b64decode(shot["data"]))

    def log(self) -> list[str]:
        """What the browser complained about since the last look, broken policies among it."""
        return [entry["message"] for entry in self.call("se/log", {"type": "browser"})]


@contextmanager
def browser() -> Iterator[Browser]:
    """A fresh browser without any history, and its end."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        driver = subprocess.Popen(
            [shutil.which("chromedriver") or "chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            with requests.Session() as http:
                # A proxy of the environment has no business between two programs of this machine.
                http.trust_env = False
                yield from _session(http, _port(driver), folder)
        finally:
            driver.terminate()
            driver.wait(10)


def _port(driver: subprocess.Popen[str]) -> int:
    assert driver.stdout
    for line in driver.stdout:
        if found := re.search(r"started successfully on port (\d+)", line):
            return int(found[1])
    raise AssertionError("chromedriver did not start.")


def _session(http: requests.Session, port: int, folder: str) -> Iterator[Browser]:
    root = f"http://127.0.0.1:{port}/session"
    options = {"binary": shutil.which("chromium"), "args": [*FLAGS, f"--user-data-dir={folder}"]}
    wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
    made = http.post(root, json={"capabilities": {"alwaysMatch": wanted}}, timeout=60).json()["value"]
    assert "sessionId" in made, made.get("message", made)
    url = f"{root}/{made['sessionId']}"
    try:
        yield Browser(url, http)
    finally:
        http.delete(url, timeout=60)
