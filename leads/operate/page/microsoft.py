"""Sign in with Microsoft: the authorization code flow of OpenID Connect, by msal, with PKCE, state and nonce.

What was begun is kept in a cookie of the browser that began it, signed by us, for ten minutes: an answer that was begun
in another browser finds none that fits. msal compares state and nonce and sends the verifier; since version 1.38 it
checks nothing else of an ID token, so that is done here. The token comes from Microsoft's own endpoint over TLS, which
stands for its signature (OpenID Connect Core 1.0, section 3.1.3.7, point 6). Headers of the platform are not trusted.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import azure.functions as func

from leads import oauth, operators
from leads.app import App
from leads.errors import Misconfigured
from leads.operate.page import door, session
from leads.transport import Deadline

PATH, BACK = "microsoft", "microsoft/back"
"""Where signing in begins, and where Microsoft sends the browser back to; below the page."""
COOKIE = "ops_sign_in"
LIFETIME = timedelta(minutes=10)
SKEW = 120
"""Seconds that Microsoft's clock and ours may differ."""

_PURPOSE = "microsoft"
_ERROR = re.compile(r"[a-z_]{1,40}")


class Refused(Exception):
    """Nobody is let in. The text says why, in words that are safe to show; `operator` is who tried, where known."""

    def __init__(self, reason: str, operator: str = "") -> None:
        super().__init__(reason)
        self.operator = operator


def begin(app: App, request: func.HttpRequest, page: str, to: str, now: datetime) -> tuple[str, str]:
    """Where to send the browser, and the cookie that says what was begun.

    `page` is the path of the page, `to` the address of it to go on to. Raises a Failure, and `door.Busy`.
    """
    with door.alone():
        client = _client(operators.read(app.environ))
        flow = client.initiate_auth_code_flow([], redirect_uri=_back(app, request, page), prompt="select_account")
    kept = {name: flow[name] for name in ("state", "nonce", "code_verifier", "redirect_uri", "scope")}
    content = {"flow": kept, "to": to, "until": int((now + LIFETIME).timestamp())}
    sealed = session.seal(app, _PURPOSE, json.dumps(content).encode())
    return flow["auth_uri"], session.set_cookie(request, app.environ, sealed, COOKIE, LIFETIME)


def finish(app: App, request: func.HttpRequest, now: datetime) -> tuple[str, str]:
    """Who came back from Microsoft, and the address to go on to. Raises Refused, a Failure, and `door.Busy`."""
    kept = session.unseal(app, _PURPOSE, session.cookie(request, app.environ, COOKIE))
    begun = json.loads(kept) if kept else {}
    if not begun or begun["until"] <= now.timestamp():
        raise Refused("This sign-in was not begun in this browser, or more than ten minutes ago.")
    flow, answer = begun["flow"], dict(request.params)
    if not hmac.compare_digest(answer.get("state", "").encode("utf-8", "surrogatepass"), flow["state"].encode()):
        raise Refused("This answer belongs to another sign-in.")
    if "error" in answer or not answer.get("code"):
        error = answer.get("error", "")
        raise Refused(f"Microsoft did not let you in{f' ({error})' if _ERROR.fullmatch(error) else ''}.")
    settings = operators.read(app.environ)
    with door.alone():
        client = _client(settings)
        try:
            claims = client.acquire_token_by_auth_code_flow(flow, answer)["id_token_claims"]
            return _operator(claims, settings, now), begun["to"]
        except (ValueError, KeyError, TypeError, AttributeError, RuntimeError):
            # What msal raises for a nonce of another sign-in, and for a token that cannot be read.
            raise Refused("Microsoft's answer does not fit this sign-in.") from None


def _operator(claims: Mapping[str, Any], settings: operators.Settings, now: datetime) -> str:
    """The name of whoever the ID token speaks of. Raises Refused where it is not for us, or not of one who may."""
    mine = settings.credentials
    tenant = mine.tenant_id.lower()
    expected = {
        "iss": f"{mine.authority.rstrip('/')}/{tenant}/v2.0",
        "aud": mine.client_id,
        "tid": tenant,
    }
    if any(str(claims.get(name, "")).lower() != value.lower() for name, value in expected.items()):
        raise Refused("Microsoft's answer is for another app or directory.")
    seconds = now.timestamp()
    if not seconds - SKEW < float(claims["exp"]) or not float(claims.get("nbf", 0)) < seconds + SKEW:
        raise Refused("Microsoft's answer has expired, or the clock of this app is wrong.")
    ids = [str(claims.get(name, "")) for name in ("preferred_username", "oid")]
    name = next(filter(None, ids), "")
    if not {each.casefold() for each in ids if each} & settings.allow:
        raise Refused("You may not use this page. Ask whoever runs it to add you to OPERATORS_ALLOW.", name)
    return name


def _client(settings: operators.Settings) -> Any:
    if settings.problems:
        raise Misconfigured(
            " ".join(f"{problem.setting}: {problem.cause}" for problem in settings.problems),
            " ".join(f"{problem.setting}: {problem.remedy}" for problem in settings.problems),
        )
    return oauth.person(settings.credentials, Deadline.after(door.SECONDS))


def _back(app: App, request: func.HttpRequest, page: str) -> str:
    """The app's own address that Microsoft sends the browser back to; no request can name another."""
    own = app.environ.get("LEADS_URL", "").strip().rstrip("/") or door.site(request, app.environ)
    return f"{own}{page}{BACK}"
