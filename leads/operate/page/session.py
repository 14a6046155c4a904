"""Who may use the page: whoever signed in, for a working day, until signing out.

A session is a cookie that says when it ends and who signed in, signed with a key of its own in the table `state`. That
key is read with each request, so that a new one ends every session at once, and so are the settings that say who may
come in. docs/adr/0007-page.md says why.
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

from leads import operators
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
_SEALED = re.compile(r"[A-Za-z0-9_-]{1,3000}\.[0-9a-f]{64}")
_SHAPE = re.compile(r"(\d{10,11})\.[0-9a-f]{32}\.((?:[A-Za-z0-9_-]{4}){0,150}(?:[A-Za-z0-9_-]{2,3})?)\.[0-9a-f]{64}")
"""One letter behind the fours is no Base64, and it is read before anybody knows who wrote it."""


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that was let in.

    `text`, the cookie's value, is `<end, in epoch seconds>.<random>.<way and operator, in Base64>.<signature>`.
    """

    text: str
    key: bytes

    @property
    def way(self) -> str:
        """By which way somebody came in: `key` or `microsoft`."""
        return self._who[0]

    @property
    def operator(self) -> str:
        """The name under which somebody signed in; empty where none was given. Only Microsoft's is proven."""
        return self._who[2]

    @property
    def _who(self) -> tuple[str, str, str]:
        return decoded(self.text.split(".")[2]).decode("utf-8", "replace").partition(" ")

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


def begin(app: App, now: datetime, operator: str = "", way: str = "key") -> Session:
    """Let a browser in until `LIFETIME` from now."""
    key = _key_or_new(app)
    claim = f"{int((now + LIFETIME).timestamp())}.{secrets.token_hex(16)}.{encoded(f'{way} {operator}'.encode())}"
    return Session(f"{claim}.{_signature(app, key, claim, way)}", key)


def seal(app: App, purpose: str, content: bytes) -> str:
    """A text for a cookie that nobody can change: it holds the content, and can be read for `purpose` only."""
    claim = encoded(content)
    return f"{claim}.{_sign(_key_or_new(app), purpose, claim)}"


def unseal(app: App, purpose: str, text: str) -> bytes | None:
    """The content of a text that `seal` made; None for any other."""
    claim, _, signature = text.rpartition(".")
    key = _key(app) if _SEALED.fullmatch(text) else None
    if key is None or not hmac.compare_digest(signature.encode(), _sign(key, purpose, claim).encode()):
        return None
    return decoded(claim)


def encoded(content: bytes) -> str:
    """Base64 of letters that a cookie takes."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decoded(text: str) -> bytes:
    """What was encoded."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def read(app: App, request: func.HttpRequest, now: datetime) -> Session | None:
    """The session that the request's cookie stands for; None where there is none, it is over, or it is forged.

    What does not even look like one costs no look at the store.
    """
    text = cookie(request, app.environ)
    shape = _SHAPE.fullmatch(text)
    if shape is None or not now.timestamp() < int(shape[1]) <= (now + LIFETIME).timestamp():
        return None
    key = _key(app)
    if key is None:
        return None
    claim, _, signature = text.rpartition(".")
    session = Session(text, key)
    if not hmac.compare_digest(signature.encode(), _signature(app, key, claim, session.way).encode()):
        return None
    return None if app.store.get(STATE, STATE, _signed_out(text)) else session


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


def set_cookie(
    request: func.HttpRequest,
    environ: Mapping[str, str],
    value: str,
    name: str = COOKIE,
    lifetime: timedelta = LIFETIME,
) -> str:
    """The `Set-Cookie` header that keeps a value in the browser, or ends it where it is empty.

    `Lax` and not `Strict`, so that a link to a lead opens from a mail or a chat: a GET changes nothing here.
    """
    age = int(lifetime.total_seconds()) if value else 0
    # A browser would not keep a secure cookie for plain HTTP, which only the local host speaks.
    secure = "" if is_local(request, environ) else "; Secure"
    return f"{cookie_name(request, environ, name)}={value}; Max-Age={age}; Path=/; HttpOnly; SameSite=Lax{secure}"


def cookie_name(request: func.HttpRequest, environ: Mapping[str, str], name: str = COOKIE) -> str:
    """With the prefix, a browser takes it from this very host by HTTPS only, so no neighbour can plant one."""
    return name if is_local(request, environ) else f"__Host-{name}"


def is_local(request: func.HttpRequest, environ: Mapping[str, str]) -> bool:
    """Whether the app runs on the machine of whoever looks at it. Azure says by itself what it is called."""
    site = urlsplit(f"//{environ.get('WEBSITE_HOSTNAME', '').strip()}").hostname
    return (site is None or site in LOCAL) and urlsplit(request.url).hostname in LOCAL


def cookie(request: func.HttpRequest, environ: Mapping[str, str], name: str = COOKIE) -> str:
    """The value of a cookie; empty where the browser sent none."""
    wanted = cookie_name(request, environ, name)
    # Not by SimpleCookie, which drops all that stands behind another application's cookie of a form that it dislikes.
    pairs = (pair.strip().partition("=") for pair in request.headers.get("cookie", "").split(";"))
    return next((value for sent, _, value in pairs if sent == wanted), "")


def _key(app: App) -> bytes | None:
    row = app.store.get(STATE, STATE, _KEY)
    return bytes.fromhex(str(row.values["key"])) if row else None


def _key_or_new(app: App) -> bytes:
    key = _key(app)
    if key is None:
        with contextlib.suppress(Exists):
            app.store.insert(STATE, _new_key())
        key = _key(app)
    if key is None:
        raise RuntimeError("The session key could not be read back.")
    return key


def _new_key() -> Row:
    return Row(STATE, _KEY, {"key": secrets.token_hex(32)})


def _signed_out(text: str) -> str:
    return f"{_SIGNED_OUT}{hashlib.sha256(text.encode()).hexdigest()}"


def _signature(app: App, key: bytes, claim: str, way: str) -> str:
    """Whoever is taken off OPERATORS_ALLOW is out, and whoever came in by a key that opens no more."""
    return _sign(key, "session", f"{claim}\n{operators.rule(app.environ, way)}")


def _sign(key: bytes, purpose: str, text: str) -> str:
    return hmac.new(key, f"{purpose}\0{text}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
