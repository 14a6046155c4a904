"""HubSpot's API as this app uses it: one request at a time, and every answer classified.

No address of a customer is ever in a URL: contacts are looked up by `batch/read`, and unsubscribed by
`statuses/batch/unsubscribe-all`, which both take it in the body. Paths are those of the API specification of 2026-03.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from leads import transport
from leads.destinations.hubspot import errors
from leads.destinations.hubspot.settings import Settings
from leads.errors import Failure
from leads.transport import Deadline, Response

Record = dict[str, Any]

NOTE_TO_CONTACT = 202
"""HubSpot's number for the association of a note with a contact."""
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Api:
    """One attempt's way to the account."""

    settings: Settings
    deadline: Deadline
    now: datetime

    def call(self, method: str, path: str, body: Any = None) -> Response:
        """Send one request and return its answer, whatever it says. Raises Transient when no answer came."""
        headers = {"Accept": "application/json", "Authorization": f"Bearer {self.settings.token}"}
        return transport.request(
            method, f"{self.settings.url}{path}", deadline=self.deadline, headers=headers, json=body
        )

    def objects(self, rest: str) -> str:
        """The path of CRM objects in the API's version."""
        return f"/crm/objects/{self.settings.version}/{rest}"

    def failure(self, response: Response, doing: str) -> Failure:
        """The failure that the answer to `doing` means."""
        return errors.failure(response, doing, self.now)

    def parsed(self, response: Response, doing: str) -> Record:
        """The JSON object of a good answer. Raises a Failure for any other."""
        body = response.json()
        if response.status not in (200, 201, 207) or not isinstance(body, dict):
            raise self.failure(response, doing)
        return body

    def find(self, by: str, value: str, properties: Collection[str]) -> Record | None:
        """The contact with that value of a unique property, or None. Raises a Failure.

        An answer of 207 has errors beside the results; where the only error is that there is no such contact, it is not
        a failure.
        """
        doing = "look for the contact"
        body = {
            "idProperty": by,
            "inputs": [{"id": value}],
            "properties": sorted(properties),
            "propertiesWithHistory": [],
        }
        response = self.call("POST", self.objects("contacts/batch/read"), body)
        if errors.is_absent(response):
            return None
        found = _records(self.parsed(response, doing).get("results"))
        return found[0] if found else None

    def read(self, contact: str, properties: Collection[str]) -> Record | None:
        """The contact of that id, or None where it is gone. Raises a Failure."""
        names = quote(",".join(sorted(properties)), safe=",")
        response = self.call("GET", self.objects(f"contacts/{contact}?properties={names}"))
        return None if errors.is_absent(response) else self.parsed(response, "read the contact")

    def notes(self, contact: str) -> list[str] | None:
        """The bodies of all notes on the contact, or None where it is gone. Raises a Failure.

        It reads the contact's associations, which show what was just written; search does so moments later.
        """
        doing = "list the contact's notes"
        path = self.objects(f"contacts/{contact}?associations=notes")
        ids: list[str] = []
        while path:
            response = self.call("GET", path)
            if errors.is_absent(response):
                return None
            listed = self.parsed(response, doing)
            # The first page is that of the contact, the next ones are of the association alone.
            page = _inner(_inner(listed, "associations"), "notes") if "properties" in listed else listed
            ids += [str(one.get("id") or one.get("toObjectId")) for one in _dicts(page.get("results"))]
            path = _next(page)
        bodies: list[str] = []
        for start in range(0, len(ids), _BATCH):
            body = {
                "inputs": [{"id": one} for one in ids[start : start + _BATCH]],
                "properties": ["hs_note_body"],
                "propertiesWithHistory": [],
            }
            found = self.parsed(self.call("POST", self.objects("notes/batch/read"), body), doing)
            bodies += [str(one["properties"].get("hs_note_body") or "") for one in _records(found.get("results"))]
        return bodies


def identifier(record: Record, doing: str, api: Api, response: Response) -> str:
    """The id of a record that was just written. Raises a Failure where the answer has none."""
    id_ = str(record.get("id", ""))
    if not id_.isdecimal():
        raise api.failure(response, doing)
    return id_


def _inner(record: Record, name: str) -> Record:
    found = record.get(name)
    return found if isinstance(found, dict) else {}


def _next(page: Record) -> str:
    """Path and query of the next page, on the address of the settings whatever host the link names."""
    link = _inner(_inner(page, "paging"), "next").get("link")
    if not isinstance(link, str):
        return ""
    try:
        parts = urlsplit(link)
    except ValueError:
        return ""
    return f"{parts.path}?{parts.query}" if parts.path.startswith("/crm/") and parts.query else ""


def _records(value: object) -> list[Record]:
    return [one for one in _dicts(value) if isinstance(one.get("properties"), dict)]


def _dicts(value: object) -> list[Record]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
