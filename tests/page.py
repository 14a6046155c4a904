"""The operators' page for tests: a visitor that speaks to it as the host does, and a site for browsers."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import azure.functions as func
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from dev.serving import Server
from leads.operate.page import session, web
from tests.world import World

SITE = "https://contoso.azurewebsites.net"
KEY = "function-key-of-ops"


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def read(self) -> str:
        """What a person reads: no tags, no style, single spaces."""
        body = re.sub(r"<(style|head)\b.*?</\1>", " ", self.text, flags=re.DOTALL)
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


@dataclass
class Visitor:
    """A browser: keeps the cookie, follows a redirect, and sends a form with its token."""

    world: World
    site: str = SITE
    cookie: str = ""
    url: str = ""
    last: Answer | None = None
    asked: list[str] = field(default_factory=list)
    """Every address that was asked for."""
    sent: dict[str, str] = field(default_factory=lambda: {"Sec-Fetch-Site": "same-origin"})

    def ask(self, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        """Send one request and follow no redirect."""
        self.url = urljoin(f"{self.site}/api/page/", url)
        self.asked.append(self.url)
        parts = urlsplit(self.url)
        route = "ops" if parts.path.startswith("/api/ops") else "page"
        rest = parts.path.removeprefix(f"/api/{route}").strip("/")
        request = func.HttpRequest(
            method,
            self.url,
            headers={"Cookie": self.cookie} | (self.sent if headers is None else headers),
            params=dict(parse_qsl(parts.query)),
            route_params={"path": rest} if rest else {},
            body=body,
        )
        serve = web.answer if route == "ops" else web.page
        found = serve(self.world.app, request, self.world.now)
        answered = Answer(found.status_code, dict(found.headers), found.get_body())
        if "Set-Cookie" in answered.headers:
            self.cookie = answered.headers["Set-Cookie"].partition(";")[0]
        self.last = answered
        return answered

    def open(self, url: str = "") -> Answer:
        """Go to an address, and where it sends on to."""
        answered = self.ask("GET", url)
        return self.open(answered.headers["Location"]) if answered.status == 303 else answered

    def sign_in(self) -> Answer:
        """Come in as if the key had been asked for; `TestDoor` and `tests/test_security.py` ask for it."""
        request = func.HttpRequest("GET", f"{self.site}/api/page/", body=b"")
        name = session.cookie_name(request, self.world.app.environ)
        self.cookie = f"{name}={session.begin(self.world.app, self.world.now).text}"
        return self.open()

    def press(self, label: str, upload: tuple[str, bytes] | None = None, **typed: str) -> Answer:
        """Fill in the form whose button says so on the page that is open, press it, and go where it sends on to."""
        assert self.last
        for attributes, inside in re.findall(
            r"<form([^>]* method=\"post\"[^>]*)>(.*?)</form>", self.last.text, re.DOTALL
        ):
            button = re.search(r"<button[^>]*>([^<]*)", inside)
            fields = _fields(inside)
            if button and unescape(button[1]) == label and typed.keys() <= fields.keys():
                action = re.search(r'action="([^"]*)"', attributes)
                assert action
                data: dict[str, Any] = {**fields, **typed}
                if upload:
                    data["file"] = (io.BytesIO(upload[1]), upload[0])
                kind = "multipart/form-data" if "multipart/form-data" in attributes else None
                sent = EnvironBuilder(method="POST", data=data, content_type=kind).get_request()
                headers = self.sent | {"Content-Type": sent.headers["Content-Type"]}
                answered = self.ask("POST", unescape(action[1]), sent.get_data(), headers)
                return self.open(answered.headers["Location"]) if answered.status == 303 else answered
        raise AssertionError(f"There is no button {label!r}.")


def _fields(form: str) -> dict[str, str]:
    """What a browser would send of a form that nobody filled in."""
    fields = {}
    for tag in re.findall(r"<(?:input|select|textarea)[^>]*>", form):
        name = re.search(r' name="([^"]*)"', tag)
        value = re.search(r' value="([^"]*)"', tag)
        if name and 'type="file"' not in tag:
            fields[name[1]] = unescape(value[1]) if value and "checkbox" not in tag else ""
    return fields


def visitor(world: World) -> Visitor:
    """A visitor that was let in."""
    made = Visitor(world)
    made.sign_in()
    return made


@dataclass
class Site:
    """The page behind a host that asks for keys, and what it was asked."""

    world: World
    port: int
    asked: list[str]
    """Method and path with query, in order."""
    referrers: set[str]

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://localhost:{self.port}"


@contextmanager
def serve(world: World) -> Iterator[Site]:
    """Serve the page of a world to real browsers, on a free port of this machine."""

    @Request.application
    def application(request: Request) -> Response:
        target = str(request.environ["RAW_URI"])
        site.asked.append(f"{request.method} {target}")
        site.referrers.add(request.headers.get("Referer", ""))
        if request.path == "/elsewhere" or not request.path.startswith("/api/"):
            return Response(status=200 if request.path == "/elsewhere" else 404, mimetype="text/html")
        ops = request.path.startswith("/api/ops")
        if ops and (request.headers.get("x-functions-key") or request.args.get("code")) != KEY:
            return Response(status=401)
        asked = func.HttpRequest(
            request.method,
            f"http://{request.host}{target}",
            headers=dict(request.headers),
            params=request.args.to_dict(),
            body=request.get_data(),
            route_params={},
        )
        found = (web.answer if ops else web.page)(world.app, asked, world.now)
        return Response(found.get_body(), found.status_code, list(found.headers.items()), mimetype=found.mimetype)

    server = Server(application)
    site = Site(world, server.port, [], set())
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
