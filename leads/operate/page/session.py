"""Who may use the page: whoever once opened it with the function key of `ops`, for a working day, without that key.

The host checks the key at `/api/ops/`; here it becomes a cookie that says until when it holds, signed with a key that
never leaves the store. docs/adr/0007-page.md tells why.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import azure.functions as func

COOKIE = "ops_session"
LIFETIME = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that was let in. `text`, the cookie's value, is `<end, in epoch seconds>.<random>.<signature>`."""

    text: str
    key: bytes

    @property
    def token(self) -> str:
        """What every form carries, so that no other site can send one: it follows from the session, which they lack."""
        return _sign(self.key, "form", self.text)

    def sent(self, request: func.HttpRequest, token: str) -> bool:
        """Whether a form came from a page of this session, by its token and by what the browser says of its origin."""
        fetched = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        if fetched:
            own = fetched == "same-origin"
        elif origin and origin != "null":  # which is what our own referrer policy makes of it
            own = urlsplit(origin).netloc == (request.headers.get("host") or urlsplit(request.url).netloc)
        else:
            own = True
        return own and hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self.token.encode())


def begin(key: bytes, now: datetime) -> Session:
    """Let a browser in until `LIFETIME` from now. `key` is that of `leads.store.identity`."""
    claim = f"{int((now + LIFETIME).timestamp())}.{secrets.token_hex(16)}"
    return Session(f"{claim}.{_sign(key, 'session', claim)}", key)


def read(request: func.HttpRequest, key: bytes, now: datetime) -> Session | None:
    """The session that the request's cookie stands for; None where there is none, it is over, or it is forged."""
    text = _cookie(request)
    claim, _, signature = text.rpartition(".")
    if not hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), _sign(key, "session", claim).encode()):
        return None
    end = int(claim.partition(".")[0])
    return Session(text, key) if now.timestamp() < end else None


def set_cookie(request: func.HttpRequest, path: str, session: Session | None) -> str:
    """The `Set-Cookie` header that keeps the session in the browser, or ends it where `session` is None.

    `Lax` and not `Strict`, so that a link to a lead opens from a mail or a chat: a GET changes nothing here.
    """
    age = int(LIFETIME.total_seconds()) if session else 0
    # A browser would not keep a secure cookie for plain HTTP, which only the local host speaks.
    secure = "" if is_local(request) else "; Secure"
    return f"{COOKIE}={session.text if session else ''}; Max-Age={age}; Path={path}; HttpOnly; SameSite=Lax{secure}"


def is_local(request: func.HttpRequest) -> bool:
    """Whether the app runs on the machine of whoever looks at it."""
    return urlsplit(request.url).hostname in ("localhost", "127.0.0.1", "::1")


def _cookie(request: func.HttpRequest) -> str:
    # Not by SimpleCookie, which drops all that stands behind another application's cookie of a form that it dislikes.
    pairs = (pair.strip().partition("=") for pair in request.headers.get("cookie", "").split(";"))
    return next((value for name, _, value in pairs if name == COOKIE), "")


def _sign(key: bytes, purpose: str, text: str) -> str:
    """The lead ids are made with the same key and a kind of their own, so that nothing can stand for anything else."""
    return hmac.new(key, f"ops {purpose}\0{text}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
