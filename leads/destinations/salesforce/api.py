"""The REST API of Salesforce as this app uses it: one request at a time, signed in, and every answer classified."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from leads import transport
from leads.destinations.salesforce import errors
from leads.destinations.salesforce.settings import Settings
from leads.errors import Failure, Misconfigured, Transient
from leads.transport import Deadline, Response

_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_SECONDS = 180

_tokens: dict[tuple[str, ...], str] = {}
"""The token of each app and user in this process. Salesforce does not say how long one lasts: until a 401."""


def audience(url: str) -> str:
    """For whom a JWT is: the login server for production, or that for sandboxes, by the My Domain `url`.

    Salesforce Help, "OAuth 2.0 JWT Bearer Flow": `aud` is https://login.salesforce.com or https://test.salesforce.com.
    A sandbox's host is `contoso--dev.sandbox.my.salesforce.com`, without `.sandbox` in orgs without enhanced domains.
    """
    host = urlsplit(url).hostname or ""
    sandbox = "--" in host.partition(".")[0] or ".sandbox." in host or ".scratch." in host
    return f"https://{'test' if sandbox else 'login'}.salesforce.com"


def quoted(text: str) -> str:
    """A text as SOQL writes it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@dataclass(frozen=True, slots=True)
class Api:
    """One attempt's way to the org."""

    settings: Settings
    deadline: Deadline
    now: datetime
    private: tuple[str, ...] = ()
    """What the customer wrote, which is removed from every text of Salesforce that is shown."""

    def token(self, *, fresh: bool = False) -> str:
        """An access token, from memory where possible. Raises Misconfigured, Throttled or Transient."""
        mine = self.settings
        who = (mine.url, mine.client_id, mine.client_secret, mine.private_key, mine.username)
        if fresh:
            _tokens.pop(who, None)
        kept = _tokens.get(who)
        if kept is None:
            try:
                kept = _tokens[who] = self._new_token()
            except Failure as failure:
                # Whatever became of the sign-in, nothing of the lead has left.
                failure.unanswered = False
                raise
        return kept

    def call(
        self, method: str, path: str, *, row: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send one request and return its answer, whatever it says. A 401 is tried once more with a new token.

        `path` is below the version's address. Raises Transient when no answer came, and what `token` raises.
        """
        response = self._once(method, path, row, headers or {}, self.token())
        if response.status == 401:
            response = self._once(method, path, row, headers or {}, self.token(fresh=True))
        return response

    def find(self, names: Iterable[str], kind: str, condition: str) -> Response:
        """Ask for the fields `names` of records, also of those that were deleted, merged or archived."""
        # Names are ours or checked by the settings, and values went through `quoted`.
        soql = f"SELECT {', '.join(names)} FROM {kind} WHERE {condition}"  # noqa: S608
        return self.call("GET", f"queryAll?q={quote(soql, safe='')}")

    def failure(self, response: Response, doing: str) -> Failure:
        """The failure that the answer to `doing` means."""
        keys = (self.settings.lead_key, self.settings.step_key)
        return errors.failure(response, doing, transport.host(self.settings.url), self.now, self.private, keys)

    def parsed(self, response: Response, doing: str) -> dict[str, Any]:
        """The JSON object of a good answer. Raises a Failure for any other."""
        body = response.json()
        if response.status != 200 or not isinstance(body, dict):
            raise self.failure(response, doing)
        return body

    def rows(self, response: Response, doing: str) -> list[dict[str, Any]]:
        """The records of a good answer to `find`. Raises a Failure for any other."""
        found = self.parsed(response, doing).get("records")
        if not isinstance(found, list):
            raise self.failure(response, doing)
        return [row for row in found if isinstance(row, dict) and row.get("Id")]

    def _once(
        self, method: str, path: str, row: Mapping[str, Any] | None, headers: Mapping[str, str], token: str
    ) -> Response:
        url = f"{self.settings.url}/services/data/v{self.settings.api_version}/{path}"
        sent = {"Accept": "application/json", "Authorization": f"Bearer {token}", **headers}
        return _request(method, url, deadline=self.deadline, headers=sent, json=row)

    def _new_token(self) -> str:
        mine = self.settings
        if mine.private_key:
            form = {"grant_type": _JWT, "assertion": _assertion(mine)}
        else:
            form = {
                "grant_type": "client_credentials",
                "client_id": mine.client_id,
                "client_secret": mine.client_secret,
            }
        answer = _request("POST", f"{mine.url}/services/oauth2/token", deadline=self.deadline, data=form)
        body = answer.json()
        token = body.get("access_token") if isinstance(body, dict) else None
        if answer.status != 200 or not isinstance(token, str) or not token:
            raise errors.of_sign_in(answer, transport.host(mine.url), self.now)
        return token


def _request(method: str, url: str, **rest: Any) -> Response:
    try:
        return transport.request(method, url, **rest)
    except Transient as silent:
        silent.remedy = (
            "The app tries again. If it keeps failing, SALESFORCE_URL is not the org's My Domain, "
            "or a firewall blocks the way."
        )
        raise


def _assertion(settings: Settings) -> str:
    """What the private key signs: that the app asks in the user's name. Valid for three minutes of real time."""
    import jwt
    from cryptography.exceptions import UnsupportedAlgorithm

    claims = {
        "iss": settings.client_id,
        "sub": settings.username,
        "aud": audience(settings.url),
        "exp": int(time.time()) + _ASSERTION_SECONDS,
    }
    try:
        return jwt.encode(claims, settings.private_key, algorithm="RS256")
    except (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
        raise Misconfigured(
            "The private key cannot be used.",
            "Set SALESFORCE_PRIVATE_KEY to an RSA key in PEM without a passphrase.",
        ) from None
