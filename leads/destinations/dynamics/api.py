"""The Dataverse Web API as this app uses it: one request at a time, signed in, and every answer classified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from leads import oauth, transport
from leads.destinations.dynamics import errors
from leads.destinations.dynamics.mapping import Columns
from leads.destinations.dynamics.settings import Settings
from leads.errors import Failure, Transient
from leads.transport import Deadline, Response

_HEADERS = {
    "Accept": "application/json",
    "OData-MaxVersion": "4.0",
    "OData-Version": "4.0",
}


@dataclass(frozen=True, slots=True)
class Api:
    """One attempt's way to the organization."""

    settings: Settings
    deadline: Deadline
    now: datetime
    private: tuple[str, ...] = ()
    """What the customer wrote, which is removed from every text of Dataverse that is shown."""

    def token(self, *, fresh: bool = False) -> str:
        """An access token for the organization. Raises what `oauth.token` raises."""
        return oauth.token(self.settings.credentials, self.settings.url, deadline=self.deadline, fresh=fresh)

    def call(
        self, method: str, path: str, *, row: Columns | None = None, condition: Mapping[str, str] | None = None
    ) -> Response:
        """Send one request and return its answer, whatever it says. A 401 is tried once more with a new token.

        Raises Transient when no answer came, and what `token` raises.
        """
        response = self._once(method, path, row, condition or {}, self.token())
        if response.status == 401:
            response = self._once(method, path, row, condition or {}, self.token(fresh=True))
        return response

    def _once(self, method: str, path: str, row: Columns | None, condition: Mapping[str, str], token: str) -> Response:
        headers = {**_HEADERS, "Authorization": f"Bearer {token}", **condition}
        url = f"{self.settings.url}/api/data/v9.2/{path}"
        try:
            return transport.request(method, url, deadline=self.deadline, headers=headers, json=row)
        except Transient as unanswered:
            raise errors.Unanswered(
                unanswered.cause,
                "The app tries again. If it keeps failing, DYNAMICS_URL is not the address of a Dynamics "
                "environment, or a firewall blocks the way.",
                unanswered=unanswered.unanswered,
            ) from None

    def failure(self, response: Response, doing: str) -> Failure:
        """The failure that the answer to `doing` means."""
        return errors.failure(response, doing, transport.host(self.settings.url), self.now, self.private)

    def read(self, path: str, select: str, doing: str) -> dict[str, Any] | None:
        """A row, or None where there is none. Raises a Failure."""
        response = self.call("GET", f"{path}?$select={select}")
        if response.status == 404 and errors.speaks_of_row(response):
            return None
        return self.parsed(response, doing)

    def find(self, table: str, condition: str, rest: str, doing: str) -> list[dict[str, Any]]:
        """The rows of the table that meet the condition. Raises a Failure."""
        wanted = quote(condition, safe="", errors="replace")
        found = self.parsed(self.call("GET", f"{table}?$filter={wanted}&{rest}"), doing).get("value")
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []

    def parsed(self, response: Response, doing: str) -> dict[str, Any]:
        """The JSON object of a good answer. Raises a Failure for any other."""
        body = response.json()
        if response.status != 200 or not isinstance(body, dict):
            raise self.failure(response, doing)
        return body


def is_done(response: Response) -> bool:
    """Whether the answer says that a row was written, and is Dataverse's own."""
    return response.status in (200, 201, 204) and not errors.is_foreign(response)
