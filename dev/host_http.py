"""HTTP of the local host: routes, methods, keys, and request bodies that are read with care."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote

import azure.functions as func

from dev.host_functions import Function, HostError
from dev.host_keys import Keys

log = logging.getLogger("host")

BODY_LIMIT = 100 * 1024 * 1024
"""Bytes; what Azure's host takes unless FUNCTIONS_REQUEST_BODY_SIZE_LIMIT says otherwise."""
READ_SECONDS = 30.0
BUSY = 100
"""Requests that are worked on at a time; one more gets 503. Azure adds instances, or answers 429, by its own limits."""
_ALL_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
_LINE_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Route:
    """The way to one HTTP function."""

    function: Function
    template: str
    """As in `/api/ops/{*path}`."""
    pattern: re.Pattern[str]
    methods: tuple[str, ...]
    auth: str
    """ANONYMOUS, FUNCTION or ADMIN."""

    @classmethod
    def of(cls, function: Function, prefix: str) -> Route:
        """The route of an HTTP function under the route prefix of host.json."""
        own = str(function.trigger.get("route") or function.name)
        template = "/" + "/".join(part for part in (prefix.strip("/"), own.strip("/")) if part)
        methods = tuple(str(method).upper() for method in function.trigger.get("methods") or _ALL_METHODS)
        return cls(function, template, _pattern(template), methods, str(function.trigger["authLevel"]).upper())

    def match(self, path: str) -> dict[str, str] | None:
        """The route's parameters, if `path` is one of its paths."""
        found = self.pattern.fullmatch(path)
        return None if found is None else {name: unquote(value or "") for name, value in found.groupdict().items()}

    @property
    def weight(self) -> tuple[int, ...]:
        """Literal parts come before parameters, and parameters before a rest, as in ASP.NET."""
        return tuple(2 if part.startswith("{*") else "{" in part for part in self.template.split("/"))


def _pattern(template: str) -> re.Pattern[str]:
    pattern = ""
    for part in template.strip("/").split("/"):
        parameter = re.fullmatch(r"\{(\*?)(\w+)(\??)\}", part)
        if parameter is None and "{" in part:
            raise HostError(f"The local host does not know routes like {template}.")
        if parameter is None:
            pattern += "/" + re.escape(part)
        elif parameter[1]:
            pattern += f"(?:/(?P<{parameter[2]}>.*))?"
        else:
            pattern += f"(?:/(?P<{parameter[2]}>[^/]+))" + parameter[3]
    return re.compile(pattern + "/?", re.IGNORECASE)


class _Refused(Exception):
    """The request is answered with this status, no function sees it, and the connection is closed."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Server(ThreadingHTTPServer):
    """Serves the HTTP functions on 127.0.0.1. `port` 0 picks a free one. Raises OSError if it is taken."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self, functions: Sequence[Function], prefix: str, port: int, keys: Keys | None, body_limit: int = BODY_LIMIT
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.routes = sorted((Route.of(function, prefix) for function in functions), key=lambda route: route.weight)
        self.keys = keys
        self.body_limit = body_limit
        self._working = 0
        self._idle = threading.Condition()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def begin(self) -> bool:
        """Count a call that is under way; False where there are too many."""
        with self._idle:
            self._working += 1
            return self._working <= BUSY

    def end(self) -> None:
        """Count it as answered."""
        with self._idle:
            self._working -= 1
            self._idle.notify_all()

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until every call under way is answered; False if that takes longer than `seconds`."""
        with self._idle:
            return self._idle.wait_for(lambda: self._working == 0, seconds)

    def handle_error(self, *_: object) -> None:
        """A client that goes away is no news."""
        log.debug("A connection was broken.", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = READ_SECONDS
    server: Server

    def version_string(self) -> str:
        return "local-host"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: the functions' own lines are enough, and a request line holds the key."""

    def _serve(self) -> None:
        has_room = self.server.begin()
        try:
            try:
                self._answer(*self._call(has_room))
            except _Refused as refused:
                self.close_connection = True
                self._answer(refused.status, {}, b"")
            except TimeoutError:
                self.close_connection = True
                self._answer(408, {}, b"")
        finally:
            self.server.end()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _serve  # noqa: N815 - http.server's names

    def _call(self, has_room: bool) -> tuple[int, Mapping[str, str], bytes]:
        path, _, query = self.path.partition("?")
        body = self._body()
        if not has_room:
            return 503, {"Retry-After": "1"}, b""
        params = _joined(parse_qsl(query, keep_blank_values=True))
        for route in self.server.routes:
            found = route.match(path)
            if found is None or self.command not in route.methods:
                continue
            given = self.headers.get("x-functions-key") or params.get("code", "")
            if self.server.keys is not None and not self.server.keys.allow(route.function.name, route.auth, given):
                return 401, {}, b""
            request = func.HttpRequest(
                method=self.command,
                url=f"http://{self.headers.get('host') or f'127.0.0.1:{self.server.port}'}{self.path}",
                headers=_joined(list(self.headers.items())),
                params=params,
                route_params=found,
                body=body,
            )
            try:
                result = route.function.run(request, "This function was programmatically called via the host APIs.")
            except Exception:
                return 500, {}, b""
            return _response(result)
        return 404, {}, b""

    def _body(self) -> bytes:
        codings = [value.strip().lower() for value in self.headers.get_all("transfer-encoding", [])]
        lengths = {value.strip() for value in self.headers.get_all("content-length", [])}
        if codings:
            # Both together is how requests are smuggled past a proxy.
            if codings != ["chunked"] or lengths:
                raise _Refused(400)
            return self._chunked()
        if not lengths:
            return b""
        length = lengths.pop()
        if lengths or not (length.isascii() and length.isdecimal()):
            raise _Refused(400)
        if len(length) > 18 or int(length) > self.server.body_limit:
            raise _Refused(413)
        return self._exactly(int(length))

    def _chunked(self) -> bytes:
        body = bytearray()
        while size := self._chunk_size():
            if len(body) + size > self.server.body_limit:
                raise _Refused(413)
            body += self._exactly(size)
            if self.rfile.readline(_LINE_LIMIT).strip(b"\r\n"):
                raise _Refused(400)
        while self.rfile.readline(_LINE_LIMIT).strip(b"\r\n"):
            continue
        return bytes(body)

    def _chunk_size(self) -> int:
        found = re.fullmatch(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?\r?\n", self.rfile.readline(_LINE_LIMIT))
        if found is None:
            raise _Refused(400)
        return int(found[1], 16)

    def _exactly(self, length: int) -> bytes:
        body = self.rfile.read(length)
        if len(body) < length:
            raise _Refused(400)
        return body

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status >= 200 and status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)


def _joined(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _response(result: Any) -> tuple[int, Mapping[str, str], bytes]:
    if result is None:
        return 204, {}, b""
    if isinstance(result, str):
        return 200, {"Content-Type": "text/plain; charset=utf-8"}, result.encode()
    if not isinstance(result, func.HttpResponse):
        log.error("An HTTP function must return an HttpResponse or a str, not %s.", type(result).__name__)
        return 500, {}, b""
    headers = {name: value for name, value in result.headers.items() if name.lower() != "content-length"}
    if "content-type" not in {name.lower() for name in headers}:
        text = str(result.mimetype).startswith("text/")
        headers["Content-Type"] = f"{result.mimetype}; charset={result.charset}" if text else str(result.mimetype)
    return result.status_code, headers, result.get_body()
