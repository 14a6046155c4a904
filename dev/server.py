"""A small HTTPS server on 127.0.0.1 that records every request and fails as scripted."""

from __future__ import annotations

import json
import re
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """A request as it arrived. Header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON, or None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """An answer: a dict or list is sent as JSON, a string as HTML."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call(Request):
    """A request with the status it was answered with; 0 where the connection was closed instead."""

    status: int


@dataclass
class Failure:
    """A scripted failure of the next `times` requests that match."""

    answer: Answer | None
    times: int = 1
    method: str = ""
    path: str = ""
    do_the_work_first: bool = False
    close: bool = False
    hang: bool = False
    before: Callable[[], None] | None = None

    def matches(self, request: Request) -> bool:
        """Tell whether it applies: the same method if one is given, and the pattern found in the path."""
        return self.times > 0 and self.method in ("", request.method) and bool(re.search(self.path, request.path))


class Server:
    """Serves `answer` over TLS with keep-alive, a thread for each connection, until it is closed."""

    def __init__(self, answer: Callable[[Request], Answer], certificate: Path, port: int = 0) -> None:
        self._answer = answer
        self.calls: list[Call] = []
        self.failures: list[Failure] = []
        self.connections = 0
        self.lock = threading.RLock()
        self.released = threading.Event()
        self._open: set[socket.socket] = set()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        self._http = _Http(("127.0.0.1", port), _handler(self))
        self._http.context = context
        self.port: int = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving, drop every connection, let hanging requests go."""
        self.released.set()
        if self._thread.is_alive():
            self._http.shutdown()
        self._http.server_close()
        with self.lock:
            for connection in self._open:
                _drop(connection)

    def release(self) -> None:
        """Let the requests go that hang now; later ones hang again."""
        self.released.set()
        self.released = threading.Event()

    def handle(self, request: Request) -> Answer | None:
        """Answer one request and record it. None closes the connection without a word."""
        with self.lock:
            failure = next((one for one in self.failures if one.matches(request)), None)
            if failure:
                failure.times -= 1
        if failure and failure.before:
            failure.before()
        answer: Answer | None = None
        if failure is None or failure.do_the_work_first:
            answer = self._answer(request)
        released = self.released
        if failure:
            answer = None if failure.close or failure.hang else failure.answer
        with self.lock:
            self.calls.append(Call(**vars(request), status=answer.status if answer else 0))
        if failure and failure.hang:
            released.wait(60)
        return answer

    def opened(self, connection: socket.socket) -> None:
        """Note an open connection."""
        with self.lock:
            self.connections += 1
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self.lock:
            self._open.discard(connection)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    context: ssl.SSLContext

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        # The handshake happens in the connection's own thread, so that a slow client holds up nobody.
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of our own bugs. A client that hangs up is what many tests are about."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 64 * 1024

        def setup(self) -> None:
            super().setup()
            server.opened(self.connection)

        def finish(self) -> None:
            server.closed(self.connection)
            super().finish()

        def log_message(self, *_: Any) -> None:
            """Calls are recorded instead."""

        def version_string(self) -> str:
            return "Microsoft-HTTPAPI/2.0"

        def respond(self) -> None:
            parts = urlsplit(self.path)
            answer = server.handle(
                Request(
                    method=self.command,
                    path=unquote(parts.path),
                    query=dict(parse_qsl(parts.query, keep_blank_values=True)),
                    headers={key.lower(): value for key, value in self.headers.items()},
                    body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
                )
            )
            if answer is None:
                self.close_connection = True
                _drop(self.connection)
                return
            self.send(answer)

        def send(self, answer: Answer) -> None:
            kind, body = "text/html; charset=utf-8", b""
            if isinstance(answer.body, str):
                body = answer.body.encode()
            elif answer.body is not None:
                kind, body = "application/json; odata.metadata=minimal", json.dumps(answer.body).encode()
            self.send_response(answer.status)
            headers = {"Content-Type": kind} if body else {}
            for key, value in {**headers, **answer.headers}.items():
                self.send_header(key, value)
            if answer.status not in (204, 304):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = respond  # noqa: N815

    return Handler


def _drop(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        connection.close()
