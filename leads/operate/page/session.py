"""Who may use the page: whoever signed in, for a working day, until signing out.

A session is a cookie that says until when it holds and whose it is, signed with a key of its own in the table `state`.
That key is read with each request, so that a new one ends every session at once. docs/adr/0007-page.md tells why.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import azure.functions as func

from leads.app import App
from leads.store.ledger import STATE
from leads.store.protocol import Exists, Row
from leads.store.rows import time_read, time_text

COOKIE = "ops_session"
LIFETIME = timedelta(hours=8)
LOCAL = ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - compared, not bound
"""Names of the machine itself."""

_KEY, _SIGNED_OUT = "session-key", "signed-out:"
"""Rows of the table `state`. A semicolon follows the colon in ASCII."""
_SHAPE = re.compile(r"(\d{10,11})\.[0-9a-f]{32}\.([A-Za-z0-9_-]{0,400})\.[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that was let in.

    `text`, the cookie's value, is `<end, in epoch seconds>.<random>.<operator, in Base64>.<signature>`.
    """

    text: str
    key: bytes

    @property
    def operator(self) -> str:
        """The name under which somebody signed in; empty where none was given."""
        coded = self.text.split(".")[2]
        return base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)).decode("utf-8", "replace")

    @property
    def token(self) -> str:
        """What every form carries, so that no other site can send one: it follows from the session, which they lack."""
        return _sign(self.key, "form", self.text)

    def sent(self, request: func.HttpRequest, token: str) -> bool:
        """Whether a form came from a page of this session, by its token and by what the browser says of its origin."""
        given = token.encode("utf-8", "surrogatepass")
        return is_from_here(request) and hmac.compare_digest(given, self.token.encode())


def is_from_here(request: func.HttpRequest) -> bool:
    """Whether a form came from a page of this app, as far as the browser says."""
    fetched = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if fetched:
        return str(fetched) == "same-origin"
    if origin and origin != "null":  # which is what our own referrer policy makes of it
        here = str(request.headers.get("host") or urlsplit(request.url).netloc)
        return str(urlsplit(origin).netloc) == here
    return True


def begin(app: App, now: datetime, operator: str = "") -> Session:
    """Let a browser in until `LIFETIME` from now."""
    key = _key(app)
    if key is None:
        with contextlib.suppress(Exists):
            app.store.insert(STATE, _new_key())
        key = _key(app)
    if key is None:
        raise RuntimeError("The session key could not be read back.")
    name = base64.urlsafe_b64encode(operator.encode("utf-8", "replace")).decode().rstrip("=")
    claim = f"{int((now + LIFETIME).timestamp())}.{secrets.token_hex(16)}.{name}"
    return Session(f"{claim}.{_sign(key, 'session', claim)}", key)


def read(app: App, request: func.HttpRequest, now: datetime) -> Session | None:
    """The session that the request's cookie stands for; None where there is none, it is over, or it is forged.

    What does not even look like one costs no look at the store.
    """
    text = _cookie(request, cookie_name(request, app.environ))
    shape = _SHAPE.fullmatch(text)
    if shape is None or not now.timestamp() < int(shape[1]) <= (now + LIFETIME).timestamp():
        return None
    key = _key(app)
    claim, _, signature = text.rpartition(".")
    if key is None or not hmac.compare_digest(signature.encode(), _sign(key, "session", claim).encode()):
        return None
    if app.store.get(STATE, STATE, _signed_out(text)):
        return None
    return Session(text, key)


def end(app: App, session: Session, now: datetime) -> None:
    """End a session for good: its hash is kept until it would have ended by itself, and no longer."""
    until = {"until": time_text(now + LIFETIME)}
    app.store.upsert(STATE, Row(STATE, _signed_out(session.text), until))
    for row in list(app.store.rows(STATE, STATE, _SIGNED_OUT, _SIGNED_OUT.replace(":", ";"))):
        over = time_read(row.values.get("until"))
        if over is None or over < now:
            app.store.delete(STATE, row.partition, row.key)


def end_all(app: App) -> None:
    """End every session at once, by a new key."""
    app.store.upsert(STATE, _new_key())


def set_cookie(request: func.HttpRequest, environ: Mapping[str, str], session: Session | None) -> str:
    """The `Set-Cookie` header that keeps the session in the browser, or ends it where `session` is None.

    `Lax` and not `Strict`, so that a link to a lead opens from a mail or a chat: a GET changes nothing here.
    """
    age = int(LIFETIME.total_seconds()) if session else 0
    # A browser would not keep a secure cookie for plain HTTP, which only the local host speaks.
    secure = "" if is_local(request, environ) else "; Secure"
    value = session.text if session else ""
    return f"{cookie_name(request, environ)}={value}; Max-Age={age}; Path=/; HttpOnly; SameSite=Lax{secure}"


def cookie_name(request: func.HttpRequest, environ: Mapping[str, str]) -> str:
    """With the prefix, a browser takes it from this very host by HTTPS only, so no neighbour can plant one."""
    return COOKIE if is_local(request, environ) else f"__Host-{COOKIE}"


def is_local(request: func.HttpRequest, environ: Mapping[str, str]) -> bool:
    """Whether the app runs on the machine of whoever looks at it. Azure says by itself what it is called."""
    site = urlsplit(f"//{environ.get('WEBSITE_HOSTNAME', '').strip()}").hostname
    return (site is None or site in LOCAL) and urlsplit(request.url).hostname in LOCAL


def _cookie(request: func.HttpRequest, wanted: str) -> str:
    # Not by SimpleCookie, which drops all that stands behind another application's cookie of a form that it dislikes.
    pairs = (pair.strip().partition("=") for pair in request.headers.get("cookie", "").split(";"))
    return next((value for name, _, value in pairs if name == wanted), "")


def _key(app: App) -> bytes | None:
    row = app.store.get(STATE, STATE, _KEY)
    return bytes.fromhex(str(row.values["key"])) if row else None


def _new_key() -> Row:
    return Row(STATE, _KEY, {"key": secrets.token_hex(32)})


def _signed_out(text: str) -> str:
    return f"{_SIGNED_OUT}{hashlib.sha256(text.encode()).hexdigest()}"


def _sign(key: bytes, purpose: str, text: str) -> str:
    return hmac.new(key, f"{purpose}\0{text}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
