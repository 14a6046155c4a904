"""A small HTTPS server on 127.0.0.1 that records every request and fails as scripted."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from werkzeug import wrappers

from dev import serving


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
    """An answer: a dict or list is sent as JSON, a string as HTML, bytes as they are."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call(Request):
    """A request with the status it was answered with; 0 where the connection was closed instead."""

    status: int
    at: datetime


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
        self.open: set[socket.socket] = set()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        self._http = serving.Server(
            wrappers.Request.application(self._respond), port, handler=_handler(self), context=context
        )
        self.port: int = self._http.port
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
            for connection in self.open:
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
            self.calls.append(Call(**vars(request), status=answer.status if answer else 0, at=datetime.now(UTC)))
        if failure and failure.hang:
            released.wait(60)
        return answer

    def _respond(self, request: wrappers.Request) -> wrappers.Response:
        answer = self.handle(
            Request(
                method=request.method,
                path=request.path,
                query=request.args.to_dict(),
                headers={name.lower(): value for name, value in request.headers.items()},
                body=request.get_data(),
            )
        )
        if answer is None:
            raise ConnectionAbortedError
        kind, body = "text/html; charset=utf-8", answer.body
        if body is not None and not isinstance(body, str | bytes):
            kind, body = "application/json; odata.metadata=minimal", json.dumps(body)
        response = wrappers.Response(body, answer.status, content_type=kind)
        if not body:
            del response.headers["Content-Type"]
        response.headers.update(answer.headers)
        return response


def _handler(server: Server) -> type[serving.Handler]:
    class Handler(serving.Handler):
        timeout = None

        def setup(self) -> None:
            super().setup()
            with server.lock:
                server.connections += 1
                server.open.add(self.connection)

        def finish(self) -> None:
            with server.lock:
                server.open.discard(self.connection)
            super().finish()

    return Handler


def _drop(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        connection.close()
