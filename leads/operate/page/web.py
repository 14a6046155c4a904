"""The operators' routes: who is let in, which page answers, and the headers that keep a page to itself.

`/api/ops/` is behind the host's key: the JSON API, and the question whether a key is right. `/api/page/` is the page
itself, for browsers that signed in there. docs/adr/0007-page.md says why there are two. What the pages say is in
`views`.
"""

from __future__ import annotations

import platform
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import azure.functions as func

from leads import __version__, enabled, log, operators
from leads.app import App
from leads.errors import Failure
from leads.messages.templating import render
from leads.operate import api, audit
from leads.operate.health import build_id
from leads.operate.page import door, microsoft, views
from leads.operate.page import session as ops_session
from leads.operate.page.session import Session
from leads.operate.page.views import Clock, Done, NotFound, View, Wish

TEMPLATES = Path(__file__).parent / "templates"
FORM_LIMIT = 16 * 1024
"""Bytes of a form; those of the page have a few hundred."""
ACTS = frozenset(
    (
        "check",
        "customer",
        "discard",
        "import",
        "jobs",
        "preview",
        "replay",
        "routes",
        "sessions",
        "skip",
        "test",
        "waiting",
    )
)
"""What stands first in the addresses that `leads.operate.page.acts` answers."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Strict-Transport-Security": "max-age=31536000",
}
_POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

_TRICKS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Characters that control or reorder what stands around them. No template has one, so what has came from outside."""
_BEYOND = re.compile(
    r"(?!sign-|microsoft)[a-z0-9][A-Za-z0-9/.-]{0,200}(?:\?(?:state|destination|still)=[a-z0-9:]{1,40})?"
)
"""Addresses of the page to which signing in goes on."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request, where it goes, and who sent it."""

    app: App
    request: func.HttpRequest
    now: datetime
    clock: Clock
    root: str
    """What all routes of the app begin with: `/api/`."""
    path: str
    """What follows the route's own name, without slashes around it."""
    form: Mapping[str, str]
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
            titled=enabled.title,
        )
        headers = _HEADERS | {"Content-Security-Policy": _POLICY.format(nonce=nonce)}
        if view.refresh:
            headers["Refresh"] = str(view.refresh)
        return func.HttpResponse(
            _TRICKS.sub("\ufffd", text), status_code=view.status, mimetype="text/html", headers=headers
        )

    def go(self, path: str, cookie: str = "") -> func.HttpResponse:
        """Send the browser on to another address of the page."""
        headers = _HEADERS | {"Location": f"{self.home}{path}"} | ({"Set-Cookie": cookie} if cookie else {})
        return func.HttpResponse(status_code=303, headers=headers)

    def cookie(self, session: Session | None) -> str:
        """The header that begins a session in the browser, or ends it."""
        return ops_session.set_cookie(self.request, self.app.environ, session.text if session else "")

    def ask_for_key(self, trouble: str = "", status: int = 403) -> func.HttpResponse:
        """Answer with the form that lets one in. What it says first is what went wrong with the last try."""
        query = urlsplit(self.request.url).query
        wanted = self.form.get("to", f"{self.path}?{query}" if query else self.path)
        to = wanted if _BEYOND.fullmatch(wanted) else ""
        ways = operators.read(self.app.environ)
        title = "A key opens this page" if ways.key_opens else "Sign in to open this page"
        values = {"title": title, "trouble": trouble, "to": to, "key": ways.key_opens, "microsoft": ways.is_on}
        return self.show(View("closed", values, status))

    def busy(self) -> func.HttpResponse:
        """Answer that somebody else is signing in just now."""
        answered = self.ask_for_key("Somebody else is signing in just now. Try again in some seconds.", 429)
        answered.headers["Retry-After"] = f"{door.SECONDS:.0f}"
        return answered

    def let_in(self, operator: str, way: str, to: str) -> func.HttpResponse:
        """Begin a session, and go on to where the link pointed."""
        try:
            session = ops_session.begin(self.app, self.now, operator, way)
        except Exception as error:  # noqa: BLE001 - whatever is broken, the operator has to learn what
            return self.broken(error)
        log.event("signed_in", way=way, operator=operator)
        return self.go(to if _BEYOND.fullmatch(to) else "", self.cookie(session))

    def fail(self, status: int, title: str, cause: str = "", remedy: str = "") -> func.HttpResponse:
        """Answer with what went wrong, in words that are safe to show."""
        return self.show(View("failed", {"title": title, "cause": cause, "remedy": remedy}, status))

    def broken(self, error: Exception) -> func.HttpResponse:
        """Answer that something of ours is not working."""
        from leads.operate import check

        log.event("page_failed", error=type(error).__name__)
        return self.fail(503, "Something needs fixing", *check.explained(error))


def answer(app: App, request: func.HttpRequest, now: datetime) -> func.HttpResponse:
    """Answer a request whose key the host has checked: the JSON API, or whether the key is right."""
    answered: func.HttpResponse | None = api.answer(app, request, now)
    if answered is not None:
        return answered
    visit = _visit(app, request, now, "ops")
    if visit.path or request.method not in ("GET", "HEAD"):
        return visit.fail(404, "There is no such page")
    if request.headers.get(api.HEADER) == "1":
        return func.HttpResponse(status_code=204, headers=_HEADERS)
    if not ops_session.is_local(request, app.environ):
        # A key that stood in the address is in the browser's history: it opens nothing, so that nobody gets used to it.
        return visit.go("")
    try:
        return visit.go("", visit.cookie(ops_session.begin(app, now)))
    except Exception as error:  # noqa: BLE001 - whatever is broken, the operator has to learn what
        return visit.broken(error)


def page(app: App, request: func.HttpRequest, now: datetime) -> func.HttpResponse:
    """Answer a request for the page, which anybody can send."""
    visit = _visit(app, request, now, "page")
    if visit.path == "sign-in" and request.method == "POST":
        return _sign_in(visit)
    if visit.path in (microsoft.PATH, microsoft.BACK) and request.method == "GET":
        return _by_microsoft(visit)
    try:
        session = ops_session.read(app, request, now)
    except Exception as error:  # noqa: BLE001 - strangers do not learn what is broken
        log.event("page_failed", error=type(error).__name__)
        return visit.fail(503, "The page cannot be opened now", "Sign in with the key of the function ops to see why.")
    if session is None:
        return visit.ask_for_key()
    visit = replace(visit, session=session)
    try:
        return _let_in(visit, session)
    except NotFound as error:
        return visit.fail(404, "It is not here", str(error))
    except Exception as error:  # noqa: BLE001 - whatever is broken, the operator has to learn what
        return visit.broken(error)


def _sign_in(visit: Visit) -> func.HttpResponse:
    """Exchange the key in the form for a session, if the app's own route says that it is right."""
    key, request = visit.form.get("key", "").strip(), visit.request
    if not operators.read(visit.app.environ).key_opens:
        return visit.ask_for_key("The key does not open this page any more.")
    if not ops_session.is_from_here(request):
        return visit.ask_for_key("This did not come from the form on this page.")
    if not door.can_be_key(key):
        return visit.ask_for_key("This cannot be a key. Copy it whole: it has 16 characters at least, and no space.")
    try:
        right = door.opens(request, visit.app.environ, visit.root, key)
    except door.Busy:
        return visit.busy()
    except Failure as failure:
        return visit.fail(503, "The key could not be checked", failure.cause, failure.remedy)
    if not right:
        return visit.ask_for_key("This key does not open the function ops.")
    return visit.let_in(audit.name(visit.form.get("operator", "")), "key", visit.form.get("to", ""))


def _by_microsoft(visit: Visit) -> func.HttpResponse:
    """Send the browser to Microsoft, or let in whom Microsoft sent back."""
    app, request, now = visit.app, visit.request, visit.now
    try:
        if visit.path == microsoft.PATH:
            to = request.params.get("to", "")
            url, cookie = microsoft.begin(app, request, visit.home, to if _BEYOND.fullmatch(to) else "", now)
            return func.HttpResponse(status_code=303, headers=_HEADERS | {"Location": url, "Set-Cookie": cookie})
        operator, to = microsoft.finish(app, request, now)
    except door.Busy:
        return visit.busy()
    except microsoft.Refused as refused:
        if refused.operator:
            log.event("sign_in_refused", operator=audit.name(refused.operator))
        answered = visit.ask_for_key(str(refused))
        answered.headers["Set-Cookie"] = ops_session.set_cookie(request, app.environ, "", microsoft.COOKIE)
        return answered
    except Failure as failure:
        return visit.fail(503, "Signing in with Microsoft does not work now", failure.cause, failure.remedy)
    except Exception as error:  # noqa: BLE001 - strangers do not learn what is broken
        log.event("page_failed", error=type(error).__name__)
        return visit.fail(503, "The page cannot be opened now", "See GET /api/health of the app.")
    return visit.let_in(audit.name(operator), "microsoft", to)


def _let_in(visit: Visit, session: Session) -> func.HttpResponse:
    app, posted = visit.app, visit.request.method == "POST"
    upload = None
    if posted and visit.request.headers.get("content-type", "").startswith("multipart/form-data"):
        from leads.operate.page.acts import UPLOAD_LIMIT

        if len(visit.request.get_body()) > UPLOAD_LIMIT + FORM_LIMIT:
            return visit.fail(
                413,
                "This is too large for the page",
                f"It takes {UPLOAD_LIMIT // 2**20} MB at once, since it shares its memory with the leads that come in.",
                "Split the file, each part with the first line of the whole.",
            )
        form, upload = _parts(visit.request)
        visit = replace(visit, form=form)
    if posted and not session.sent(visit.request, visit.form.get("token", "")):
        return visit.fail(
            403,
            "Nothing was changed",
            "This did not come from a button of this page, or the page belongs to an earlier session.",
            "Open the page again, and press the button once more.",
        )
    if posted and visit.path == "sign-out":
        ops_session.end(app, session, visit.now)
        return visit.go("", visit.cookie(None))
    wish = Wish(visit.path, visit.request.params, visit.form, posted, f"{_origin(visit)}{visit.root}")
    if wish.path.partition("/")[0] in ACTS:
        return _act(visit, session, wish, upload)
    found = views.answer(app, wish, visit.now, visit.clock)
    if posted:
        _log(visit.path, found, session)
    return visit.go(found.path) if isinstance(found, Done) else visit.show(found)


def _act(visit: Visit, session: Session, wish: Wish, upload: bytes | None) -> func.HttpResponse:
    """Answer where operators act. The operations log what is done, so nothing is logged here."""
    from leads.operate.page import acts

    found = acts.answer(acts.Act(visit.app, wish, session, visit.now, visit.clock, upload))
    if isinstance(found, acts.File):
        headers = _HEADERS | {
            "Content-Disposition": f'attachment; filename="{found.name}"',
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        }
        return func.HttpResponse(found.data, mimetype=found.mime, headers=headers)
    return visit.go(found.path) if isinstance(found, Done) else visit.show(found)


def _log(path: str, found: View | Done, session: Session) -> None:
    """Log what a button did: it revealed the page that it stands on, or searched."""
    _, _, subject = path.partition("/")
    if path == "find":
        shown = found.values if isinstance(found, View) else {}
        what, count = "reveal" if shown.get("revealed") else "find", len(shown.get("leads", ()))
        audit.done(what, session.operator, count=count, way=session.way)
    elif isinstance(found, View):
        shown = found.values.get("leads", found.values.get("latest"))
        audit.done("reveal", session.operator, subject, 1 if shown is None else len(shown), way=session.way)


def _visit(app: App, request: func.HttpRequest, now: datetime, route: str) -> Visit:
    """Find the route's name in the URL: what stands before it is the host's prefix, whatever that is."""
    root, _, rest = urlsplit(request.url).path.partition(f"/{route}")
    path = request.route_params.get("path")
    path = unquote(rest) if path is None else path
    return Visit(app, request, now, Clock.read(app.environ, now), f"{root}/", path.strip("/"), _form(request))


def _origin(visit: Visit) -> str:
    """Where the app is. In Azure that is HTTPS, whatever the way behind its front end."""
    scheme = "http" if ops_session.is_local(visit.request, visit.app.environ) else "https"
    return f"{scheme}://{urlsplit(visit.request.url).netloc}"


def _form(request: func.HttpRequest) -> dict[str, str]:
    body = request.get_body()
    if request.method != "POST" or len(body) > FORM_LIMIT:
        return {}
    fields = parse_qs(body.decode("utf-8", "replace"))
    return {name: values[-1] for name, values in fields.items()}


def _parts(request: func.HttpRequest) -> tuple[dict[str, str], bytes | None]:
    """The fields of a form that was sent in parts, and the one file in it; nothing where they cannot be read."""
    try:
        file = request.files.get("file")
        return {str(name): str(value) for name, value in request.form.items()}, file.read() if file else None
    except (ValueError, LookupError):
        return {}, None
