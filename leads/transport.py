"""The one way out over HTTP: timeouts, no redirects, capped bodies, and errors that are safe to show.

Built on `requests`, which msal brings anyway. Webhook URLs are credentials and `requests` prints URLs in its errors,
so nothing of an exception's text is ever passed on: it is classified and reported in our own words.
"""

from __future__ import annotations

import contextlib
import io
import json as jsonlib
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from leads.errors import Failure, Throttled, Transient

if TYPE_CHECKING:
    import requests

_Result = TypeVar("_Result")

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
BODY_LIMIT = 1024 * 1024
LONGEST_WAIT = 86400.0
"""The most that a `Retry-After` is believed, in seconds."""
SEND_SECONDS = 30.0
"""What one attempt of a delivery may take, with all its calls and tokens. A claim lasts three times as long."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment by which something must be over, on a clock that never jumps."""

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
                "The app tries again on its schedule.",
            )
        return left


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: status, headers (keys in lower case), and the body as far as it was read."""

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


CONNECTIONS = 32
"""Connections to one host that are kept: as many as the worker has threads (PYTHON_THREADPOOL_THREAD_COUNT)."""

_current = threading.local()
"""The deadline of the request that this thread sends."""
_making = threading.RLock()
"""Held while what all threads share is made, so that threads which need it first at once make it once."""


def session() -> requests.Session:
    """The process's one session: connections are kept alive, cookies are not kept."""
    with _making:
        return _session()


@cache
def _session() -> requests.Session:
    from http.cookiejar import DefaultCookiePolicy

    import requests

    made = requests.Session()
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _adapter()
    made.mount("https://", adapter)
    made.mount("http://", adapter)
    # It logs whole URLs, in debug messages and in a warning about malformed headers.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    return made


@cache
def trusting() -> type[requests.adapters.HTTPAdapter]:
    """The class of adapters that read the trusted certificates once in a process's life.

    Left to itself the library reads them anew for each connection, which takes longer than the handshake.
    """
    import requests
    from certifi import where

    class Trusting(requests.adapters.HTTPAdapter):
        def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
            host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
            if host["scheme"] == "https":
                certificates = verify if isinstance(verify, str) else where()
                pool = {"cert_reqs": "CERT_REQUIRED", "ssl_context": trust(certificates)}
            return host, pool

        def cert_verify(self, *_: Any) -> None:
            """Leave the connection's TLS as it is: a file named here would be read again."""

    return Trusting


def trust(certificates: str) -> ssl.SSLContext:
    """TLS that trusts the certificates in this file or folder and asks for the right host name."""
    with _making:
        return _trust(certificates)


@cache
def _trust(certificates: str) -> ssl.SSLContext:
    from urllib3.util import create_urllib3_context

    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    folder = os.path.isdir(certificates)
    context.load_verify_locations(None if folder else certificates, certificates if folder else None)
    return context


def _adapter() -> requests.adapters.HTTPAdapter:
    """The adapter that closes its connections at the deadline.

    A timeout of the library starts anew with each byte that a server sends, and knows nothing of the time that
    looking up a name takes.
    """
    import http.client

    import urllib3
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Answer(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
            super().__init__(sock, *arguments, **named)
            self.fp = io.BufferedReader(_Bounded(sock, self.fp))

    class Plain(HTTPConnection):
        response_class = Answer

        def _new_conn(self) -> socket.socket:
            return _connected(self, super()._new_conn)

    class Secure(HTTPSConnection):
        response_class = Answer

        def _new_conn(self) -> socket.socket:
            return _connected(self, super()._new_conn)

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    pools = {"http": PlainPool, "https": SecurePool}

    class Adapter(trusting()):  # type: ignore[misc]
        def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
            super().init_poolmanager(*arguments, **named)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:
            manager = super().proxy_manager_for(*arguments, **named)
            manager.pool_classes_by_scheme = pools
            return manager

    made: requests.adapters.HTTPAdapter = Adapter(pool_connections=20, pool_maxsize=CONNECTIONS)
    return made


class _Bounded(io.RawIOBase):
    """What a server sends, read for as long as the deadline lasts."""

    def __init__(self, sock: socket.socket, stream: Any) -> None:
        self._sock, self._stream = sock, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        with contextlib.suppress(OSError):
            self._sock.settimeout(min(READ_SECONDS, _current.deadline.remaining()))
        read: int | None = self._stream.readinto1(buffer)
        return read

    def close(self) -> None:
        self._stream.close()
        super().close()


def _connected(connection: Any, connect: Callable[[], socket.socket]) -> socket.socket:
    from urllib3.exceptions import ConnectTimeoutError

    try:
        return within(min(CONNECT_SECONDS, _current.deadline.remaining()), connect)
    except TimeoutError:
        raise ConnectTimeoutError(connection, "It took too long.") from None


def within(seconds: float, work: Callable[[], _Result]) -> _Result:
    """What `work` returns or raises, or TimeoutError after `seconds`: looking up a name cannot be interrupted.

    Late work goes on in a thread of its own, and its result is dropped.
    """
    done: list[Callable[[], _Result]] = []

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits
            done.append(_raising(error))
        else:
            done.append(lambda: result)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not done:
        raise TimeoutError
    return done[0]()


def _raising(error: Exception) -> Callable[[], NoReturn]:
    def again() -> NoReturn:
        raise error

    return again


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
    limit: int = BODY_LIMIT,
) -> Response:
    """Send one request and read its answer, whatever its status.

    A body longer than `limit` bytes is cut there. Raises Transient when no whole answer came. It is `unanswered` unless
    the request cannot have left: a name that is not found, a connection or TLS that is refused.
    """
    import requests
    import urllib3

    where = host(url)
    timeouts = (min(CONNECT_SECONDS, deadline.remaining()), min(READ_SECONDS, deadline.remaining()))
    _current.deadline = deadline
    try:
        with session().request(
            method,
            url,
            headers=dict(headers or {}),
            json=json,
            data=data,
            timeout=timeouts,
            allow_redirects=False,
            stream=True,
        ) as answer:
            body = _read(answer, deadline, limit)
            return Response(answer.status_code, {key.lower(): value for key, value in answer.headers.items()}, body)
    except Transient as late:
        late.unanswered = True
        raise
    except requests.exceptions.SSLError:
        raise Transient(
            f"{where} has no certificate that this app trusts.", "Check the URL and the certificate."
        ) from None
    except requests.exceptions.ConnectTimeout:
        raise Transient(f"{where} did not accept a connection in time.", "Check that the URL is right.") from None
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
        cause, remedy, unanswered = f"{where} did not answer in time.", "Nothing to do: the app tries again.", True
    except (requests.exceptions.ConnectionError, urllib3.exceptions.HTTPError) as error:
        unanswered = not _never_sent(error)
        cause = f"{where} broke the connection." if unanswered else f"No connection to {where} could be made."
        remedy = "The app tries again by itself." if unanswered else "Check that the URL is right."
    except (OSError, ValueError) as error:
        cause = f"The request to {where} failed ({type(error).__name__})."
        remedy, unanswered = "Check that the URL is right.", isinstance(error, OSError)
    raise Transient(cause, remedy, unanswered=unanswered)


def _never_sent(error: Exception) -> bool:
    """Whether the connection failed before anything of the request could leave: the name, the address, the port."""
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    inner = error.args[0] if error.args else None
    return isinstance(inner, MaxRetryError) and isinstance(inner.reason, NewConnectionError)


def refusal(answer: Response, who: str, now: datetime, detail: str = "") -> Failure | None:
    """The failure that an answer's status alone means, the same for every HTTP API; None for all others.

    429 is throttled, 408 and 5xx are transient, each with the wait that `Retry-After` asks for. `who` begins the
    sentence: `The Teams workflow`. `detail` stands in parentheses behind it: the status, unless given.
    """
    detail, wait = detail or str(answer.status), answer.retry_after(now)
    if answer.status == 429:
        return Throttled(
            f"{who} asks for fewer requests for now ({detail}).",
            "Nothing to do: the app tries again.",
            retry_after=wait,
        )
    if answer.status >= 500 or answer.status == 408:
        return Transient(
            f"{who} is not working right now ({detail}).",
            "The app tries again by itself.",
            retry_after=wait,
            unanswered=answer.status != 503,
        )
    return None


def _read(answer: requests.Response, deadline: Deadline, limit: int) -> bytes:
    body = bytearray()
    # A piece is what one read of the socket brings, so a server that dribbles cannot outlast the deadline unseen.
    while len(body) < limit and (piece := answer.raw.read1(16 * 1024, decode_content=True)):
        deadline.remaining()
        body += piece
    return bytes(body[:limit])
