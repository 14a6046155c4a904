"""The operators' routes: who is let in, which page answers, and the headers that keep a page to itself.

`/api/ops/` asks the host's key and lets a browser in; `/api/page/` is the page itself, for browsers that were let in.
docs/adr/0007-page.md tells why these are two. What the pages say is in `views`.
"""

from __future__ import annotations

import platform
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import azure.functions as func

from leads import __version__, log
from leads.app import App
from leads.messages.templating import render
from leads.operate.health import build_id
from leads.operate.page import session as ops_session
from leads.operate.page import views
from leads.operate.page.session import Session
from leads.operate.page.views import Clock, Done, NotFound, View, Wish

TEMPLATES = Path(__file__).parent / "templates"
FORM_LIMIT = 16 * 1024
"""Bytes of a form; those of the page have a few hundred."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

_TRICKS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Characters that control or reorder what stands around them. No template has one, so what has came from outside."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request, where it goes, and whose it is."""

    request: func.HttpRequest
    now: datetime
    clock: Clock
    root: str
    """What all routes of the app begin with: `/api/`."""
    path: str
    """What follows the route's own name, without slashes around it."""
    session: Session | None = None

    @property
    def home(self) -> str:
        """Where the page is."""
        return f"{self.root}page/"

    def show(self, view: View) -> func.HttpResponse:
        """Answer with a page."""
        nonce = secrets.token_urlsafe(16)
        text = render(
            f"{view.template}.html",
            TEMPLATES,
            **{"section": None, "notice": None} | dict(view.values),
            base=self.home,
            root=self.root,
            session=self.session,
            nonce=nonce,
            version=__version__,
            build=build_id(),
            python=platform.python_version(),
            now=self.now,
            moment=self.clock.moment,
            ago=self.clock.ago,
            stamp=self.clock.stamp,
        )
        headers = _HEADERS | {"Content-Security-Policy": _POLICY.format(nonce=nonce)}
        return func.HttpResponse(
            _TRICKS.sub("\ufffd", text), status_code=view.status, mimetype="text/html", headers=headers
        )

    def go(self, path: str, cookie: str = "") -> func.HttpResponse:
        """Send the browser on to another address of the page."""
        headers = _HEADERS | {"Location": f"{self.home}{path}"} | ({"Set-Cookie": cookie} if cookie else {})
        return func.HttpResponse(status_code=303, headers=headers)

    def cookie(self, session: Session | None) -> str:
        """The header that begins a session in the browser, or ends it."""
        return ops_session.set_cookie(self.request, self.home.rstrip("/"), session)

    def fail(self, status: int, title: str, cause: str = "", remedy: str = "") -> func.HttpResponse:
        """Answer with what went wrong, in words that are safe to show."""
        return self.show(View("failed", {"title": title, "cause": cause, "remedy": remedy}, status))

    def broken(self, error: Exception) -> func.HttpResponse:
        """Answer that something of ours is out of order."""
        from leads.operate import check

        log.event("page_failed", error=type(error).__name__)
        return self.fail(503, "Something has to be mended", *check.explained(error))


def answer(app: App, request: func.HttpRequest, now: datetime) -> func.HttpResponse:
    """Answer a request whose key the host has checked: the JSON API, or the way in to the page."""
    from leads.operate import api

    answered: func.HttpResponse | None = api.answer(app, request, now)
    if answered is not None:
        return answered
    visit = _visit(app, request, now, "ops")
    if visit.path or request.method not in ("GET", "HEAD"):
        return visit.fail(404, "There is no such page")
    try:
        return visit.go("", visit.cookie(ops_session.begin(app.identity.key, now)))
    except Exception as error:  # noqa: BLE001 - whatever is broken, the operator has to learn what
        return visit.broken(error)


def page(app: App, request: func.HttpRequest, now: datetime) -> func.HttpResponse:
    """Answer a request for the page, which anybody can send."""
    visit = _visit(app, request, now, "page")
    try:
        session = ops_session.read(request, app.identity.key, now)
    except Exception as error:  # noqa: BLE001 - strangers are not told what is broken
        log.event("page_failed", error=type(error).__name__)
        return visit.fail(503, "It cannot be opened now", "Open it with the key of the function ops, and it says why.")
    if session is None:
        return visit.show(View("closed", {"title": "A key opens this page"}, 403))
    visit = replace(visit, session=session)
    try:
        return _let_in(app, visit, session)
    except NotFound as error:
        return visit.fail(404, "It is not here", str(error))
    except Exception as error:  # noqa: BLE001 - whatever is broken, the operator has to learn what
        return visit.broken(error)


def _let_in(app: App, visit: Visit, session: Session) -> func.HttpResponse:
    form = _form(visit.request)
    posted = visit.request.method == "POST"
    if posted and not session.sent(visit.request, form.get("token", "")):
        return visit.fail(
            403,
            "Nothing was changed",
            "This did not come from a button of this page, or the page is of an earlier session.",
            "Open the page again, and press the button once more.",
        )
    if posted and visit.path == "sign-out":
        return visit.go("", visit.cookie(None))
    wish = Wish(visit.path, visit.request.params, form, posted, f"{_origin(visit.request)}{visit.root}")
    found = views.answer(app, wish, visit.now, visit.clock)
    return visit.go(found.path) if isinstance(found, Done) else visit.show(found)


def _visit(app: App, request: func.HttpRequest, now: datetime, route: str) -> Visit:
    """Find the route's name in the URL: what stands before it is the host's prefix, whatever that is."""
    root, _, rest = urlsplit(request.url).path.partition(f"/{route}")
    path = request.route_params.get("path")
    path = unquote(rest) if path is None else path
    return Visit(request, now, Clock.read(app.environ, now), f"{root}/", path.strip("/"))


def _origin(request: func.HttpRequest) -> str:
    """Where the app is. In Azure that is HTTPS, whatever the way behind its front end."""
    scheme = "http" if ops_session.is_local(request) else "https"
    return f"{scheme}://{urlsplit(request.url).netloc}"


def _form(request: func.HttpRequest) -> dict[str, str]:
    body = request.get_body()
    if request.method != "POST" or len(body) > FORM_LIMIT:
        return {}
    fields = parse_qs(body.decode("utf-8", "replace"))
    return {name: values[-1] for name, values in fields.items()}
