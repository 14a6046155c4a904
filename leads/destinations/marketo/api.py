"""Marketo's REST API as this app uses it: one call at a time, signed in, and every answer read for its failures.

No address of a customer is ever in a URL: people are looked up by POST with `_method=GET`, which takes the query in the
body (AdobeDocs/marketo-developer.en, "Leads"). Tokens go in a header, since those in a query end in 2026
("Authentication").
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from leads import transport
from leads.destinations.marketo import errors
from leads.destinations.marketo.settings import Settings
from leads.errors import Failure
from leads.transport import Deadline, Response

Body = dict[str, Any]

MARGIN = timedelta(minutes=1)
"""A token is not used in its last minute."""

_tokens: dict[tuple[str, str, str], tuple[str, datetime]] = {}
"""The process's tokens by address, client and secret, each with the moment until which it is used."""


@dataclass(frozen=True, slots=True)
class Api:
    """One attempt's way to the account."""

    settings: Settings
    deadline: Deadline
    now: datetime

    def token(self, *, fresh: bool = False) -> str:
        """An access token, from memory where possible. Raises Misconfigured, Throttled or Transient."""
        mine = self.settings
        who = mine.url, mine.client_id, mine.client_secret
        kept = _tokens.get(who)
        if kept and kept[1] > self.now and not fresh:
            return kept[0]
        try:
            answer = self._sign_in()
        except Failure as failure:
            # Whatever became of the sign-in, nothing of the lead has left.
            failure.unanswered = False
            raise
        body = answer.json()
        token = body.get("access_token") if answer.status == 200 and isinstance(body, dict) else None
        if not isinstance(token, str) or not token:
            raise errors.of_identity(answer, self.now)
        seconds = body.get("expires_in")
        life = timedelta(seconds=seconds if isinstance(seconds, int) and 0 <= seconds <= 3600 else 0)
        _tokens[who] = token, self.now + life - MARGIN
        return token

    def _sign_in(self) -> Response:
        """Ask for a token. The secret goes in the body, where no log of URLs sees it.

        Marketo's documents put it in the query and do not mention the body: after a 400 or 401 it is asked once more
        their way.
        """
        url = f"{self.settings.url}/identity/oauth/token"
        form = {
            "grant_type": "client_credentials",
            "client_id": self.settings.client_id,
            "client_secret": self.settings.client_secret,
        }
        answer = transport.request("POST", url, deadline=self.deadline, data=form)
        if answer.status in (400, 401):
            answer = transport.request("POST", f"{url}?{urlencode(form)}", deadline=self.deadline)
        return answer

    def call(
        self, method: str, path: str, doing: str, *, json: Any = None, form: Mapping[str, str] | None = None
    ) -> Body:
        """The body of an answer that succeeded as a whole. A refused token is renewed once. Raises a Failure."""
        body = self._once(method, path, json, form, self.token())
        if body["success"] is not True and errors.TOKEN & set(errors.codes(body.get("errors"))):
            body = self._once(method, path, json, form, self.token(fresh=True))
        if errors.NOTHING_FOUND in errors.codes(body.get("errors")):
            return {**body, "result": []}
        if body["success"] is not True:
            raise errors.failure(body.get("errors"), doing)
        return body

    def _once(self, method: str, path: str, json: Any, form: Mapping[str, str] | None, token: str) -> Body:
        headers = {"Accept": "application/json", "Authorization": f"Bearer {token}"}
        url = f"{self.settings.url}{path}"
        answer = transport.request(method, url, deadline=self.deadline, headers=headers, json=json, data=form)
        failed = errors.of_status(answer, self.now)
        if failed:
            raise failed
        body: Body = answer.json()
        return body

    def find(self, by: str, value: str, fields: Collection[str]) -> Body | None:
        """The person with that value of a field, the newest where there are several, or None. Raises a Failure."""
        form = {"filterType": by, "filterValues": value, "fields": ",".join(dict.fromkeys(["id", "email", *fields]))}
        body = self.call("POST", "/rest/v1/leads.json?_method=GET", "look for the person", form=form)
        found = [one for one in errors.records(body) if isinstance(one.get("id"), int)]
        newest = max(found, key=lambda one: int(one["id"]), default=None)
        return None if newest is None else {**newest, "several": len(found) > 1}

    def has_activity(self, person: int, kind: int, key: str, since: datetime) -> bool:
        """Whether the person has an activity of that type with that primary attribute, from `since` on.

        It pages to the end, since a page may be empty and not the last one ("Activities"). Raises a Failure, Transient
        too when the deadline comes first.
        """
        doing = "list the person's activities"
        asked = urlencode({"sinceDatetime": f"{since:%Y-%m-%dT%H:%M:%SZ}"})
        token = self.call("GET", f"/rest/v1/activities/pagingtoken.json?{asked}", doing).get("nextPageToken")
        while isinstance(token, str) and token:
            query = urlencode({"nextPageToken": token, "activityTypeIds": kind, "leadIds": person})
            body = self.call("GET", f"/rest/v1/activities.json?{query}", doing)
            if any(one.get("primaryAttributeValue") == key for one in errors.records(body)):
                return True
            token = body.get("nextPageToken") if body.get("moreResult") is True else None
        return False
