"""Werkzeug's server as this project's local ones need it: on 127.0.0.1 only, with connections that are kept."""

from __future__ import annotations

import io
import logging
import re
import socket
import ssl
import sys
from typing import Any, ClassVar
from wsgiref.types import WSGIApplication

from werkzeug.exceptions import BadRequest, HTTPException, MisdirectedRequest, RequestEntityTooLarge, RequestTimeout
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

log = logging.getLogger("host")

BODY_LIMIT = 100 * 1024 * 1024
"""Bytes; what Azure's host takes unless FUNCTIONS_REQUEST_BODY_SIZE_LIMIT says otherwise."""
READ_SECONDS = 30.0
_LINE_LIMIT = 4096
_OWN_NAMES = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_MISDIRECTED = "This server answers requests to localhost, 127.0.0.1 and [::1] only.\n"


class Server(ThreadedWSGIServer):
    """Serves a WSGI application on 127.0.0.1 to requests that name this machine. `port` 0 picks a free one.

    A web page elsewhere whose name was made to point to 127.0.0.1 (DNS rebinding) gets 421: the browser still says the
    page's name in `Host`. Raises OSError if the port is taken.
    """

    def __init__(
        self,
        application: WSGIApplication,
        port: int = 0,
        *,
        handler: type[Handler] | None = None,
        body_limit: int = BODY_LIMIT,
        context: ssl.SSLContext | None = None,
    ) -> None:
        # Werkzeug itself would end the process where a port is taken.
        with socket.create_server(("127.0.0.1", port), backlog=256) as listener:
            super().__init__("127.0.0.1", port, application, handler or Handler, fd=listener.fileno())
        self.ssl_context = context
        self.body_limit = body_limit

    def get_request(self) -> tuple[socket.socket, Any]:
        """Take a connection. The TLS handshake is up to its own thread, so that a slow client holds up nobody."""
        connection, address = super().get_request()
        if self.ssl_context:
            connection = self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, *_: object) -> None:
        """Tell of our own bugs. A client that goes away is no news."""
        if not isinstance(sys.exception(), OSError):
            log.error("A local server failed.", exc_info=True)


class Handler(WSGIRequestHandler):
    """Reads the whole body before the application sees the request, so that the connection can be kept.

    Werkzeug's own closes it after each answer, and takes lengths and chunks that lie.
    """

    server: Server
    protocol_version = "HTTP/1.1"
    timeout: ClassVar[float | None] = READ_SECONDS
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024

    def log(self, *_: object) -> None:
        """Nothing: a request line holds the key."""

    def log_request(self, *_: object) -> None:
        """Nothing either: Werkzeug's stumbles over addresses that are none."""

    def run_wsgi(self) -> None:
        """Answer one request."""
        application: WSGIApplication = self.server.app
        environ: dict[str, Any] = {"REQUEST_METHOD": self.command}
        try:
            environ = self._checked_environ()
        except HTTPException as refused:
            self.close_connection = True
            application = Response(refused.description if refused.code == 421 else None, refused.code)
        body, status, headers = run_wsgi_app(application, environ, buffered=True)
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.writelines(body)
        self.wfile.flush()

    def _checked_environ(self) -> dict[str, Any]:
        """The request as WSGI has it, with its whole body. Raises HTTPException for one that is refused."""
        try:
            environ = self.make_environ()
            if not _OWN_NAMES.fullmatch(environ.get("HTTP_HOST", "localhost")):
                raise MisdirectedRequest(_MISDIRECTED)
            body = self._body()
        except TimeoutError:
            raise RequestTimeout from None
        except ValueError:
            raise BadRequest from None
        return environ | {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}

    def _body(self) -> bytes:
        """The body. Raises HTTPException, ValueError, and TimeoutError where the client is too slow."""
        codings = [value.strip().lower() for value in self.headers.get_all("transfer-encoding", [])]
        lengths = {value.strip() for value in self.headers.get_all("content-length", [])}
        if codings:
            # Both together is how requests are smuggled past a proxy.
            if codings != ["chunked"] or lengths:
                raise BadRequest
            return self._chunked()
        if len(lengths) > 1 or not all(re.fullmatch("[0-9]+", length) for length in lengths):
            raise BadRequest
        return self._exactly(int(max(lengths, default="0")))

    def _chunked(self) -> bytes:
        body = bytearray()
        while size := self._chunk_size():
            body += self._exactly(size, len(body))
            if self.rfile.readline(_LINE_LIMIT).strip(b"\r\n"):
                raise BadRequest
        while self.rfile.readline(_LINE_LIMIT).strip(b"\r\n"):
            continue
        return bytes(body)

    def _chunk_size(self) -> int:
        found = re.fullmatch(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?\r?\n", self.rfile.readline(_LINE_LIMIT))
        if found is None:
            raise BadRequest
        return int(found[1], 16)

    def _exactly(self, length: int, before: int = 0) -> bytes:
        if before + length > self.server.body_limit:
            raise RequestEntityTooLarge
        body = self.rfile.read(length)
        if len(body) < length:
            raise BadRequest
        return body
