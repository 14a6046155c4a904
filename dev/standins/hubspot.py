"""A stand-in for HubSpot's API and the contacts of one account, over TLS on this machine.

Requests, answers and required fields are those of HubSpot's API specification of 2026-03 (contacts, notes, properties,
subscriptions); error bodies those of developers.hubspot.com, "Error handling", with the codes that public projects
report (`PROPERTY_DOESNT_EXIST`, `INVALID_OPTION`, `CONFLICTING_UNIQUE_VALUE`). A contact that is there is refused with
409, and batch/read answers 207 with `OBJECT_NOT_FOUND` where one is missing.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dev.certificate import server_files
from dev.standins import Item, template
from dev.standins.server import Answer, Call, Failure, Request, Server

TITLE = "HubSpot"
ADDRESS = ("HUBSPOT_TOKEN",)

TOKEN = "pat-eu1-stand-in-0f1e2d3c4b5a"
VERSION = "2026-03"
KEY = "marketplace_lead"
FLAG = "marketplace_do_not_contact"
SCOPES = {
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "communication_preferences.statuses.batch.write",
}
STAGES = ("subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer")

_OBJECTS = f"/crm/objects/{VERSION}"
_UNSUBSCRIBE = f"/communication-preferences/{VERSION}/statuses/batch/unsubscribe-all"
_EMAIL = re.compile(r"[\x21-\x7e]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_NOTE_LIMIT = 65_536
_READ_ONLY = {"archivable": False, "readOnlyDefinition": True, "readOnlyValue": True}


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, category: str, *errors: tuple[str, str], message: str = "No.", **more: Any) -> None:
        super().__init__(message)
        self.answer = Answer(status, error(status, category, *errors, message=message) | more)


def error(status: int, category: str, *errors: tuple[str, str], message: str = "No.") -> dict[str, Any]:
    """An error's body; `errors` are pairs of a property's name and a code."""
    return {
        "status": "error",
        "message": message,
        "correlationId": str(uuid.uuid4()),
        "category": category,
        "context": {"status": [str(status)]},
        "errors": [
            {"message": f"{name}: {code}", "code": code, "context": {"propertyName": [name]}} for name, code in errors
        ],
        "links": {},
    }


def _property(name: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    options = [{"label": value, "value": value, "hidden": False} for value in more.pop("options", ())]
    field_type = {"string": "text", "bool": "booleancheckbox", "enumeration": "select"}[kind]
    return {
        "name": name,
        "label": name,
        "description": "",
        "groupName": "contactinformation",
        "type": kind,
        "fieldType": field_type,
        "options": options,
        "hasUniqueValue": False,
    } | more


def _properties() -> dict[str, dict[str, Any]]:
    texts = ("firstname", "lastname", "phone", "company", "jobtitle", "country", "website", "city")
    yes_or_no = [{"label": "Yes", "value": "true", "hidden": False}, {"label": "No", "value": "false", "hidden": False}]
    made = [
        _property("email", hasUniqueValue=True),
        *(_property(name) for name in texts),
        _property("lifecyclestage", "enumeration", options=STAGES),
        _property("hs_object_id", modificationMetadata=_READ_ONLY),
        _property(KEY, hasUniqueValue=True),
        _property(FLAG, "bool") | {"options": yes_or_no},
    ]
    return {one["name"]: one for one in made}


@dataclass
class Record:
    """A contact, or a note with the contact that it is on."""

    properties: dict[str, str]
    at: datetime
    contact: str = ""


@dataclass
class Account:
    """One account: its contacts, notes and properties, and who has been unsubscribed from e-mail."""

    token: str = TOKEN
    scopes: set[str] = field(default_factory=lambda: set(SCOPES))
    properties: dict[str, dict[str, Any]] = field(default_factory=_properties)
    contacts: dict[str, Record] = field(default_factory=dict)
    notes: dict[str, Record] = field(default_factory=dict)
    secondary: dict[str, str] = field(default_factory=dict)
    """Addresses that a merged contact has besides its own, with its id."""
    unsubscribed: set[str] = field(default_factory=set)
    page: int = 500
    """How many associations one answer lists."""
    _last: int = 100

    def merge(self, loser: str, winner: str) -> None:
        """Merge two contacts: the id of one is gone, its address and its notes are the other's."""
        gone = self.contacts.pop(loser)
        if gone.properties.get("email"):
            self.secondary[gone.properties["email"]] = winner
        for note in self.notes.values():
            note.contact = winner if note.contact == loser else note.contact

    def delete(self, contact: str) -> None:
        """Delete a contact, as a person does."""
        del self.contacts[contact]

    def notes_on(self, contact: str) -> list[str]:
        """The bodies of the contact's notes, in the order in which they came."""
        return [note.properties["hs_note_body"] for note in self.notes.values() if note.contact == contact]

    def answer(self, request: Request) -> Answer:
        """Answer a request to the API."""
        try:
            return self._answer(request)
        except Refusal as refusal:
            return refusal.answer

    def _answer(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            raise Refusal(401, "INVALID_AUTHENTICATION")
        routes: tuple[tuple[str, str, str, Callable[..., Answer]], ...] = (
            ("GET", rf"/crm/properties/{VERSION}/contacts", "crm.objects.contacts.read", self._list_properties),
            ("POST", rf"{_OBJECTS}/contacts/batch/read", "crm.objects.contacts.read", self._find),
            ("POST", rf"{_OBJECTS}/contacts", "crm.objects.contacts.write", self._make),
            ("GET", rf"{_OBJECTS}/contacts/(\d+)", "crm.objects.contacts.read", self._read),
            ("GET", rf"{_OBJECTS}/contacts/(\d+)/associations/notes", "crm.objects.contacts.read", self._associated),
            ("PATCH", rf"{_OBJECTS}/contacts/(\d+)", "crm.objects.contacts.write", self._change),
            ("POST", rf"{_OBJECTS}/notes/batch/read", "crm.objects.contacts.read", self._read_notes),
            ("POST", rf"{_OBJECTS}/notes", "crm.objects.contacts.write", self._add_note),
            ("POST", _UNSUBSCRIBE, "communication_preferences.statuses.batch.write", self._unsubscribe),
        )
        for method, path, scope, act in routes:
            match = re.fullmatch(path, request.path)
            if match and method == request.method:
                if scope not in self.scopes:
                    body = error(403, "MISSING_SCOPES") | {
                        "errors": [{"message": "x", "context": {"requiredGranularScopes": [scope]}}]
                    }
                    return Answer(403, body)
                return act(request, *match.groups())
        return Answer(404, "<html><body>404</body></html>")

    def _list_properties(self, _: Request) -> Answer:
        return Answer(200, {"results": list(self.properties.values())})

    def _find(self, request: Request) -> Answer:
        body = _demand(request, "inputs", "properties", "propertiesWithHistory")
        by, value = body.get("idProperty", "hs_object_id"), body["inputs"][0]["id"]
        if by != "hs_object_id" and not self.properties.get(by, {}).get("hasUniqueValue"):
            raise Refusal(400, "VALIDATION_ERROR", (by, "PROPERTY_DOESNT_EXIST"))
        found = self._by(by, value.lower() if by == "email" else value)
        if found:
            return Answer(200, _batch([self._shown(found, body["properties"])]))
        missing = error(404, "OBJECT_NOT_FOUND") | {"context": {"ids": [value]}}
        return Answer(207, _batch([]) | {"numErrors": 1, "errors": [missing]})

    def _by(self, name: str, value: str) -> str:
        if name == "email" and value in self.secondary:
            return self.secondary[value]
        return next((id_ for id_, one in self.contacts.items() if one.properties.get(name) == value), "")

    def _make(self, request: Request) -> Answer:
        body = _demand(request, "properties", "associations")
        values = self._valid(body["properties"])
        if not {"email", "firstname", "lastname"} & values.keys():
            raise Refusal(400, "VALIDATION_ERROR", ("email", "REQUIRED_FIELD"))
        there = self._by("email", values.get("email", "-"))
        if there:
            raise Refusal(409, "CONFLICT", message=f"Contact already exists. Existing ID: {there}")
        unique = [name for name, one in self.properties.items() if one["hasUniqueValue"] and name != "email"]
        taken = [name for name in unique if values.get(name) and self._by(name, values[name])]
        if taken:
            raise Refusal(400, "VALIDATION_ERROR", (taken[0], "CONFLICTING_UNIQUE_VALUE"))
        made = self._id()
        self.contacts[made] = Record(values, datetime.now(UTC))
        return Answer(201, self._shown(made, list(values)))

    def _read(self, request: Request, contact: str) -> Answer:
        self._there(contact)
        shown = self._shown(contact, request.query.get("properties", "email").split(","))
        if request.query.get("associations") == "notes" and (page := self._page(contact, 0)):
            shown["associations"] = {"notes": page}
        return Answer(200, shown)

    def _associated(self, request: Request, contact: str) -> Answer:
        self._there(contact)
        return Answer(200, self._page(contact, int(request.query["after"])))

    def _page(self, contact: str, start: int) -> dict[str, Any]:
        own = [id_ for id_, note in self.notes.items() if note.contact == contact]
        if not own:
            return {}
        page: dict[str, Any] = {
            "results": [{"id": id_, "type": "contact_to_note"} for id_ in own[start : start + self.page]]
        }
        after = start + self.page
        if after < len(own):
            link = f"https://api.hubapi.com{_OBJECTS}/contacts/{contact}/associations/notes?after={after}"
            page["paging"] = {"next": {"after": str(after), "link": link}}
        return page

    def _change(self, request: Request, contact: str) -> Answer:
        self._there(contact)
        body = _demand(request, "properties")
        self.contacts[contact].properties |= self._valid(body["properties"])
        self.contacts[contact].at = datetime.now(UTC)
        return Answer(200, self._shown(contact, list(body["properties"])))

    def _add_note(self, request: Request) -> Answer:
        body = _demand(request, "properties", "associations")
        values = body["properties"]
        if not values.get("hs_timestamp") or len(values.get("hs_note_body", "")) > _NOTE_LIMIT:
            raise Refusal(400, "VALIDATION_ERROR", ("hs_timestamp", "REQUIRED_FIELD"))
        contact = ""
        for one in body["associations"]:
            if one["types"] != [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 202}]:
                raise Refusal(400, "VALIDATION_ERROR")
            contact = one["to"]["id"]
            if contact not in self.contacts:
                raise Refusal(400, "VALIDATION_ERROR", message=f"Could not find contact {contact}")
        made = self._id()
        self.notes[made] = Record(values, datetime.now(UTC), contact)
        return Answer(201, _object(made, values))

    def _read_notes(self, request: Request) -> Answer:
        body = _demand(request, "inputs", "properties", "propertiesWithHistory")
        asked = [one["id"] for one in body["inputs"]]
        return Answer(200, _batch([_object(id_, self.notes[id_].properties) for id_ in asked if id_ in self.notes]))

    def _unsubscribe(self, request: Request) -> Answer:
        if request.query.get("channel") != "EMAIL":
            raise Refusal(400, "VALIDATION_ERROR")
        asked = _demand(request, "inputs")["inputs"]
        if not asked:
            raise Refusal(400, "VALIDATION_ERROR")
        self.unsubscribed |= set(asked)
        return Answer(200, _batch([{"subscriberIdString": one, "statuses": []} for one in asked]))

    def _there(self, contact: str) -> None:
        if contact not in self.contacts:
            raise Refusal(404, "OBJECT_NOT_FOUND")

    def _valid(self, values: Mapping[str, Any]) -> dict[str, str]:
        wrong = []
        for name, value in values.items():
            about = self.properties.get(name)
            if about is None:
                wrong.append((name, "PROPERTY_DOESNT_EXIST"))
            elif not isinstance(value, str):
                wrong.append((name, "INVALID_VALUE"))
            elif about.get("modificationMetadata", {}).get("readOnlyValue"):
                wrong.append((name, "READ_ONLY_VALUE"))
            elif about["options"] and value not in [one["value"] for one in about["options"]]:
                wrong.append((name, "INVALID_OPTION"))
            elif name == "email" and not _EMAIL.fullmatch(value):
                wrong.append((name, "INVALID_EMAIL"))
        if wrong:
            raise Refusal(400, "VALIDATION_ERROR", *wrong, message=f"Property values were not valid: {dict(values)}")
        return {name: value.lower() if name == "email" else value for name, value in values.items()}

    def _shown(self, contact: str, names: list[str]) -> dict[str, Any]:
        record = self.contacts[contact]
        return _object(contact, {name: record.properties[name] for name in names if name in record.properties})

    def _id(self) -> str:
        self._last += 1
        return str(self._last)


def _demand(request: Request, *names: str) -> dict[str, Any]:
    """The body, with every field that the specification demands."""
    body = request.json()
    if not isinstance(body, dict) or not set(names) <= body.keys():
        raise Refusal(400, "VALIDATION_ERROR", message="Invalid input JSON")
    return body


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _object(id_: str, properties: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": id_,
        "properties": dict(properties),
        "createdAt": _now(),
        "updatedAt": _now(),
        "archived": False,
    }


def _batch(results: list[Any]) -> dict[str, Any]:
    return {"status": "COMPLETE", "results": results, "startedAt": _now(), "completedAt": _now()}


@dataclass
class StandIn:
    """An account at `https://localhost:<port>`."""

    server: Server
    account: Account
    ca_file: str

    @property
    def calls(self) -> list[Call]:
        """Every request so far."""
        return self.server.calls

    def fail(self, answer: Answer | None = None, **how: Any) -> None:
        """Let the next requests fail, as `dev.standins.server.Failure` says."""
        self.server.failures.append(Failure(answer, **how))

    def environ(self) -> dict[str, str]:
        """The settings with which the app writes here, with all that HubSpot can do of what it is asked."""
        return {
            "HUBSPOT_URL": f"https://localhost:{self.server.port}",
            "HUBSPOT_TOKEN": self.account.token,
            "HUBSPOT_KEY": KEY,
            "HUBSPOT_DO_NOT_CONTACT": FLAG,
            "HUBSPOT_OPT_OUT": "true",
        }

    def received(self) -> list[Item]:
        """The contacts as a salesperson sees them, each with its notes."""
        account = self.account
        return [_item(account, contact, record) for contact, record in tuple(account.contacts.items())]


@contextmanager
def start(directory: Path, _: Mapping[str, str]) -> Iterator[StandIn]:
    """An account whose service key has every scope, and the two properties that docs/destinations/hubspot.md makes."""
    account = Account()
    ca_file, server_file = server_files(directory)
    server = Server(account.answer, server_file)
    server.start()
    try:
        yield StandIn(server, account, str(ca_file.resolve()))
    finally:
        server.close()


def _item(account: Account, contact: str, record: Record) -> Item:
    notes = [note for note in tuple(account.notes.values()) if note.contact == contact]
    values = record.properties
    name = " ".join(filter(None, (values.get("firstname"), values.get("lastname")))) or values.get("email", contact)
    unsubscribed = values.get("email") in account.unsubscribed
    return Item(
        max(one.at for one in (record, *notes)),
        name,
        f"a contact, with {len(notes)} on its timeline" if notes else "a contact",
        _CONTACT.render(values=values, notes=list(reversed(notes)), unsubscribed=unsubscribed),
    )


# HubSpot renders the body of a note, so it is rendered here.
_CONTACT = template(
    """{% extends "layout.html" %}
{% block style %}
body { padding: 16px; }
h2 { font-size: 15px; margin: 16px 0 4px; }
ol { list-style: none; border-left: 2px solid var(--rule); padding-left: 14px; display: grid; gap: 10px; }
{% endblock %}
{% block body %}
<dl>{% for name, value in values.items() %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}
{% if unsubscribed %}<dt>E-mail</dt><dd>unsubscribed from all</dd>{% endif %}</dl>
{% if notes %}
<h2>Timeline</h2>
<ol>
{% for note in notes %}
<li><span class="soft">Note, {{ note.properties.hs_timestamp }}</span><br>{{ note.properties.hs_note_body | safe }}</li>
{% endfor %}
</ol>
{% endif %}
{% endblock %}"""
)
