"""The operators' page for tests: a visitor that speaks to it as the host does, and a site for browsers."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import azure.functions as func
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
    sent: dict[str, str] = field(default_factory=lambda: {"Sec-Fetch-Site": "same-origin"})

    def ask(self, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        """Send one request and follow no redirect."""
        self.url = urljoin(f"{self.site}/api/page/", url)
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

    def press(self, label: str, **typed: str) -> Answer:
        """Press the button that says so on the page that is open, and go where it sends on to.

        What is `typed` stands in the fields of these names, chosen or written.
        """
        assert self.last
        for action, inside in re.findall(
            r'<form method="post" action="([^"]*)">(.*?)</form>', self.last.text, re.DOTALL
        ):
            button = re.search(r"<button[^>]*>([^<]*)", inside)
            if button and unescape(button[1]) == label:
                fields = re.findall(r'name="([^"]*)" value="([^"]*)"', inside)
                body = urlencode({name: unescape(value) for name, value in fields} | typed).encode()
                answered = self.ask("POST", unescape(action), body)
                return self.open(answered.headers["Location"]) if answered.status == 303 else answered
        raise AssertionError(f"There is no button {label!r}.")


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
