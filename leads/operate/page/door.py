"""Whether a key that somebody typed opens the page: the app asks its own route `ops`, which the host guards.

Anybody can send the form, and each question makes the app call itself on threads that intake needs. So what cannot be
a key is refused without asking, and each process asks one question at a time.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import azure.functions as func

from leads import transport
from leads.errors import Misconfigured
from leads.operate.api import HEADER
from leads.operate.page.session import is_local
from leads.transport import Deadline

SECONDS = 5.0
"""What one question may take."""

_KEY = re.compile(r"[A-Za-z0-9_+/=.~-]{16,256}")
"""Azure makes keys of 56 such characters; people can set others."""
_asking = threading.Lock()


class Busy(Exception):
    """Somebody else is signing in just now."""


@contextmanager
def alone() -> Iterator[None]:
    """Hold the one right to ask. Raises Busy while somebody else does."""
    if not _asking.acquire(blocking=False):
        raise Busy
    try:
        yield
    finally:
        _asking.release()


def can_be_key(text: str) -> bool:
    """Whether a text can be a key at all, by its length and its alphabet."""
    return _KEY.fullmatch(text) is not None


def opens(request: func.HttpRequest, environ: Mapping[str, str], root: str, key: str) -> bool:
    """Ask whether a key opens the route `ops`; `root` is what all routes begin with.

    Raises Busy, Misconfigured where the app's own route answers something else, and Transient where nothing answers.
    """
    url = f"{site(request, environ)}{root}ops/"
    with alone():
        headers = {HEADER: "1", "x-functions-key": key}
        status = transport.request("GET", url, deadline=Deadline.after(SECONDS), headers=headers).status
    if status not in (204, 401):
        raise Misconfigured(
            f"The app asked its own route ops whether this key is right, and {transport.host(url)} answered {status}.",
            "The app must be able to reach itself: check its access restrictions, and App Service authentication.",
        )
    return status == 204


def site(request: func.HttpRequest, environ: Mapping[str, str]) -> str:
    """Where the app itself is: as Azure says, whatever the request claims."""
    site = environ.get("WEBSITE_HOSTNAME", "").strip()
    if is_local(request, environ):
        return f"http://{site or urlsplit(request.url).netloc}"
    if not site:
        raise Misconfigured(
            "The app does not know its own address, so it cannot ask whether this key is right.",
            "Set WEBSITE_HOSTNAME to its host name, as Azure does.",
        )
    return f"https://{site}"
