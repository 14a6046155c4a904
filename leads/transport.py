"""The one way out over HTTP: timeouts, no redirects, capped bodies, and errors that are safe to show.

Built on `requests`, which msal brings anyway. Webhook URLs are credentials and `requests` prints URLs in its errors,
so nothing of an exception's text is ever passed on: it is classified and told in our own words.
"""

from __future__ import annotations

import json as jsonlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from leads.errors import Transient

if TYPE_CHECKING:
    import requests

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
BODY_LIMIT = 1024 * 1024
LONGEST_WAIT = 86400.0
"""The most that a `Retry-After` is believed, in seconds."""
SEND_SECONDS = 30.0
"""What one attempt of a delivery may take, with all its calls and tokens. A claim lasts three times as long."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment by which something has to be over, on a clock that never jumps."""

    at: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> Deadline:
        """The deadline `seconds` from now."""
        return cls(clock() + seconds, clock)

    def remaining(self) -> float:
        """Seconds left. Raises Transient when there are none."""
        left = self.at - self.clock()
        if left <= 0:
            raise Transient(
                f"The attempt took longer than {SEND_SECONDS:.0f} seconds.",
                "Nothing to do: it is tried again on the schedule.",
            )
        return left


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: status, headers (keys in lower case) and at most 1 MiB of body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON, or None where it is none."""
        try:
            return jsonlib.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def retry_after(self, now: datetime) -> float | None:
        """Seconds that the `Retry-After` header asks to wait, from a number or an HTTP date; None without one.

        At most 24 hours; what is neither (`-1`, `inf`) counts as none.
        """
        value = self.headers.get("retry-after", "").strip()
        if not value:
            return None
        if value.isdecimal():
            return min(float(value), LONGEST_WAIT)
        try:
            until = parsedate_to_datetime(value)
            if until.tzinfo is None:
                until = until.replace(tzinfo=UTC)
            return min(max(0.0, (until - now).total_seconds()), LONGEST_WAIT)
        except (ValueError, OverflowError):
            return None


@cache
def session() -> requests.Session:
    """The process's one session: connections are kept alive, cookies are not kept."""
    from http.cookiejar import DefaultCookiePolicy

    import requests

    made = requests.Session()
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # It logs whole URLs, in debug messages and in a warning about malformed headers.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    return made


def host(url: str) -> str:
    """The only part of a URL that may be shown."""
    try:
        return urlsplit(url).hostname or "the server"
    except ValueError:
        return "the server"


def request(
    method: str,
    url: str,
    *,
    deadline: Deadline,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    data: bytes | Mapping[str, str] | None = None,
) -> Response:
    """Send one request and read its answer, whatever its status.

    A body longer than 1 MiB is cut there. Raises Transient when no whole answer came: no connection, TLS refused, a
    timeout, a broken body.
    """
    import requests
    import urllib3

    where = host(url)
    try:
        with session().request(
            method,
            url,
            headers=dict(headers or {}),
            json=json,
            data=data,
            timeout=(min(CONNECT_SECONDS, deadline.remaining()), min(READ_SECONDS, deadline.remaining())),
            allow_redirects=False,
            stream=True,
        ) as answer:
            body = _read(answer, deadline)
            return Response(answer.status_code, {key.lower(): value for key, value in answer.headers.items()}, body)
    except requests.exceptions.SSLError:
        cause, remedy = (
            f"{where} has no certificate that this app trusts.",
            "Check the URL and the certificate.",
        )
    except requests.exceptions.ConnectTimeout:
        cause, remedy = f"{where} did not accept a connection in time.", "Check that the URL is right."
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
        cause, remedy = f"{where} did not answer in time.", "Nothing to do if it passes: it is tried again."
    except (requests.exceptions.ConnectionError, urllib3.exceptions.HTTPError):
        cause, remedy = f"No connection to {where} could be made or kept.", "Check that the URL is right."
    except (OSError, ValueError) as error:
        cause = f"The request to {where} failed ({type(error).__name__})."
        remedy = "Check that the URL is right."
    raise Transient(cause, remedy)


def _read(answer: requests.Response, deadline: Deadline) -> bytes:
    body = bytearray()
    # A piece is what one read of the socket brings, so a server that dribbles cannot outlast the deadline unseen.
    while len(body) < BODY_LIMIT and (piece := answer.raw.read1(16 * 1024, decode_content=True)):
        deadline.remaining()
        body += piece
    return bytes(body[:BODY_LIMIT])
