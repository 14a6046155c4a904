"""A stand-in for Marketo's REST API and the people of one account, over TLS on this machine.

Calls and answers are those of AdobeDocs/marketo-developer.en ("Authentication", "Leads", "Activities", "Error codes")
and of Marketo's own specification (07/2026). Everything is answered with 200, failures too, except a wrong secret. Like
Marketo's examples, an answer has `errors` only where there are some.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from dev.certificate import server_files
from dev.standins import Item, template
from dev.standins.server import Answer, Call, Failure, Request, Server

TITLE = "Marketo"
ADDRESS = ("MARKETO_MUNCHKIN_ID", "MARKETO_URL")

CLIENT_ID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
SECRET = "StandInSecretOfLaunchPoint"
ACTIVITY = 100_001
FORM = 1029
FIELDS = ("firstName", "lastName", "company", "title", "phone", "country", "leadSource", "utmSource")
FLAGS = ("unsubscribed", "doNotCall")
LENGTH = 255
ATTRIBUTE_BYTES = 65_536

Values = dict[str, Any]


class Refusal(Exception):
    """A call that fails as a whole, inside an answer of 200."""

    def __init__(self, code: str, message: str = "No.") -> None:
        super().__init__(message)
        self.answer = failed(code, message)


def failed(code: str, message: str = "No.") -> Answer:
    """The answer to a call that failed as a whole."""
    return Answer(200, {"requestId": _request_id(), "success": False, "errors": [{"code": code, "message": message}]})


def skipped(code: str, message: str = "No.", key: str = "reasons") -> Values:
    """A record that was not written: people have `reasons`, activities have `errors`."""
    return {"status": "skipped", key: [{"code": code, "message": message}]}


def succeeded(*records: Values, **more: Any) -> Answer:
    """The answer to a call that succeeded as a whole, whatever became of its records."""
    return Answer(200, {"requestId": _request_id(), "success": True, "result": list(records), **more})


def _request_id() -> str:
    return f"{secrets.token_hex(2)}#{secrets.token_hex(6)}"


def _activity_type() -> Values:
    return {
        "id": ACTIVITY,
        "apiName": "marketplaceStep",
        "name": "Marketplace Step",
        "status": "approved",
        "primaryAttribute": {"apiName": "leadId", "name": "Lead Id", "dataType": "string"},
        "attributes": [
            {"apiName": "offer", "name": "Offer", "dataType": "string"},
            {"apiName": "action", "name": "Action", "dataType": "string"},
            {"apiName": "text", "name": "Text", "dataType": "text"},
        ],
    }


@dataclass
class Account:
    """One account: its people and activities, its fields, forms and partitions."""

    secret: str = SECRET
    secret_in_body: bool = True
    """Whether the sign-in takes the secret in the body, beside the query that the documents name."""
    denied: set[str] = field(default_factory=set)
    """Paths that the API user may not call."""
    fields: set[str] = field(default_factory=lambda: {"id", "email", *FIELDS, *FLAGS})
    form_fields: set[str] = field(default_factory=lambda: {"email", *FIELDS})
    partitions: list[str] = field(default_factory=lambda: ["Default", "Europe"])
    activity_type: Values = field(default_factory=_activity_type)
    people: dict[int, Values] = field(default_factory=dict)
    changed: dict[int, datetime] = field(default_factory=dict)
    activities: list[Values] = field(default_factory=list)
    submitted: int = 0
    tokens: set[str] = field(default_factory=set)
    page: int = 300
    """How many activities one answer lists."""
    _last: int = 1000

    def add(self, **values: Any) -> int:
        """A person that somebody made in Marketo."""
        self._last += 1
        self.people[self._last] = values
        self.changed[self._last] = datetime.now(UTC)
        return self._last

    def merge(self, loser: int, winner: int) -> None:
        """Merge two people: one id is gone, its address and activities are the other's."""
        self.people[winner]["email"] = self.people.pop(loser)["email"]
        for one in self.activities:
            one["leadId"] = winner if one["leadId"] == loser else one["leadId"]

    def steps(self, person: int) -> list[str]:
        """The lead ids of the person's activities, in the order in which they came."""
        return [one["primaryAttributeValue"] for one in self.activities if one["leadId"] == person]

    def answer(self, request: Request) -> Answer:
        """Answer a call."""
        if request.path == "/identity/oauth/token":
            return self._token(request)
        try:
            return self._rest(request)
        except Refusal as refusal:
            return refusal.answer

    def _token(self, request: Request) -> Answer:
        given = {**(request.form() if self.secret_in_body else {}), **request.query}
        if given.get("grant_type") != "client_credentials" or (given.get("client_id"), given.get("client_secret")) != (
            CLIENT_ID,
            self.secret,
        ):
            return Answer(401, {"error": "invalid_client", "error_description": "Bad client credentials"})
        token = f"{secrets.token_hex(16)}:sn"
        self.tokens.add(token)
        return Answer(
            200, {"access_token": token, "token_type": "bearer", "expires_in": 3599, "scope": "api@example.com"}
        )

    def _rest(self, request: Request) -> Answer:
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            raise Refusal("601", "Access token invalid")
        if request.path in self.denied:
            raise Refusal("603", "Access denied")
        described = re.fullmatch(r"/rest/v1/activities/external/type/(\w+)/describe\.json", request.path)
        match request.method, request.path:
            case "POST", "/rest/v1/leads.json" if request.query.get("_method") == "GET":
                return self._find(dict(parse_qsl(request.body.decode())))
            case "POST", "/rest/v1/leads.json":
                return self._sync(request.json())
            case "POST", "/rest/v1/leads/submitForm.json":
                return self._submit(request.json())
            case "POST", "/rest/v1/activities/external.json":
                return self._add(request.json())
            case "GET", "/rest/v1/activities/pagingtoken.json":
                since = datetime.fromisoformat(request.query["sinceDatetime"])
                return Answer(
                    200, {"requestId": _request_id(), "success": True, "nextPageToken": f"{since.isoformat()}#0"}
                )
            case "GET", "/rest/v1/activities.json":
                return self._activities(request.query)
            case "GET", "/rest/v1/leads/describe2.json":
                shown = [_described(name) for name in sorted(self.fields)]
                return succeeded({"name": "API Lead", "searchableFields": [], "fields": shown})
            case "GET", "/rest/v1/leads/partitions.json":
                return succeeded(*({"id": number, "name": name} for number, name in enumerate(self.partitions, 1)))
            case "GET", "/rest/v1/activities/external/types.json":
                brief = {name: self.activity_type[name] for name in ("id", "apiName", "name", "status")}
                return succeeded(brief)
            case "GET", _ if described:
                return succeeded(self.activity_type)
        raise Refusal("610", "Requested resource not found")

    def _find(self, query: Mapping[str, str]) -> Answer:
        by, values = query["filterType"], query["filterValues"].split(",")
        found = [
            {"id": number, **{name: person.get(name) for name in query["fields"].split(",") if name != "id"}}
            for number, person in self.people.items()
            if (str(number) if by == "id" else str(person.get(by, "")).lower()) in [value.lower() for value in values]
        ]
        return succeeded(*found)

    def _sync(self, body: Values) -> Answer:
        (values,) = body["input"]
        unknown = [name for name in values if name not in self.fields]
        if unknown:
            return succeeded(skipped("1006", f"Field '{unknown[0]}' not found"))
        if body.get("partitionName") and body["partitionName"] not in self.partitions:
            return succeeded(skipped("1008", "Access denied to partition"))
        too_long = any(isinstance(value, str) and len(value) > LENGTH for value in values.values())
        if too_long:
            return succeeded(skipped("1003", "Value is too long"))
        if body["action"] == "updateOnly":
            if values["id"] not in self.people:
                return succeeded(skipped("1004", "Lead not found"))
            if "company" in values:
                return succeeded(skipped("1021", "Company update not allowed"))
            self.people[values["id"]] |= {name: value for name, value in values.items() if name != "id"}
            self.changed[values["id"]] = datetime.now(UTC)
            return succeeded({"id": values["id"], "status": "updated"})
        same = [one for one in self.people.values() if str(one.get("email", "")).lower() == values["email"].lower()]
        if same:
            code = "1005" if len(same) == 1 else "1007"
            return succeeded(skipped(code, "Lead already exists"))
        return succeeded({"id": self.add(**values), "status": "created"})

    def _submit(self, body: Values) -> Answer:
        values = body["input"][0]["leadFormFields"]
        unknown = [name for name in values if name not in self.form_fields]
        if body["formId"] != FORM:
            return succeeded(skipped("1013", "Form not found"))
        if unknown:
            return succeeded(skipped("1006", f"Field '{unknown[0]}' not found"))
        self.submitted += 1
        there = next((number for number, one in self.people.items() if one.get("email") == values["email"]), 0)
        if there:
            self.people[there] |= values
            return succeeded({"id": there, "status": "updated"})
        return succeeded({"id": self.add(**values), "status": "created"})

    def _add(self, body: Values) -> Answer:
        (one,) = body["input"]
        kind = self.activity_type
        known = {attribute["apiName"]: attribute["dataType"] for attribute in kind["attributes"]}
        given = {attribute["apiName"]: attribute["value"] for attribute in one["attributes"]}
        if one["activityTypeId"] != kind["id"] or kind["status"] != "approved":
            return succeeded(skipped("1013", "Activity type not found", "errors"))
        if one["leadId"] not in self.people:
            return succeeded(skipped("1004", "Lead not found", "errors"))
        if given.keys() - known.keys():
            return succeeded(skipped("1006", "Field not found", "errors"))
        if sum(len(str(value).encode()) for value in given.values()) > ATTRIBUTE_BYTES:
            return succeeded(skipped("1049", "Attributes array too long", "errors"))
        datetime.fromisoformat(one["activityDate"])
        self.activities.append(one)
        self.changed[one["leadId"]] = datetime.now(UTC)
        number = len(self.activities)
        return succeeded({"id": number, "marketoGUID": str(number), "status": "added"})

    def _activities(self, query: Mapping[str, str]) -> Answer:
        since, _, start = query["nextPageToken"].partition("#")
        later = [
            one
            for one in self.activities
            if datetime.fromisoformat(one["activityDate"]) >= datetime.fromisoformat(since)
        ]
        page = later[int(start) : int(start) + self.page]
        shown = [
            {"id": number, "marketoGUID": str(number), **one}
            for number, one in enumerate(page, int(start))
            if str(one["leadId"]) == query["leadIds"] and str(one["activityTypeId"]) == query["activityTypeIds"]
        ]
        after = int(start) + self.page
        return succeeded(*shown, nextPageToken=f"{since}#{after}", moreResult=after < len(later))


def _described(name: str) -> Values:
    read_only = name == "id"
    return {"name": name, "displayName": name, "dataType": "string", "updateable": not read_only, "crmManaged": False}


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
        """The settings with which the app writes people and activities here."""
        return {
            "MARKETO_URL": f"https://localhost:{self.server.port}",
            "MARKETO_CLIENT_ID": CLIENT_ID,
            "MARKETO_CLIENT_SECRET": self.account.secret,
            "MARKETO_ACTIVITY_TYPE_ID": str(ACTIVITY),
        }

    def received(self) -> list[Item]:
        """The people as a marketer sees them, each with the activity log."""
        account = self.account
        return [_item(account, number, person) for number, person in tuple(account.people.items())]


@contextmanager
def start(directory: Path, _: Mapping[str, str]) -> Iterator[StandIn]:
    """An account with the custom activity that docs/destinations/marketo.md makes."""
    account = Account()
    ca_file, server_file = server_files(directory)
    server = Server(account.answer, server_file)
    server.start()
    try:
        yield StandIn(server, account, str(ca_file.resolve()))
    finally:
        server.close()


def _item(account: Account, number: int, person: Values) -> Item:
    log = [one for one in tuple(account.activities) if one["leadId"] == number]
    steps = [
        (one["activityDate"], {part["apiName"]: part["value"] for part in one["attributes"]}) for one in reversed(log)
    ]
    name = " ".join(filter(None, (person.get("firstName"), person.get("lastName")))) or str(person.get("email"))
    return Item(
        account.changed[number],
        name,
        f"a person, with {len(log)} in the activity log" if log else "a person",
        _PERSON.render(person=person, steps=steps),
    )


_PERSON = template(
    """{% extends "layout.html" %}
{% block style %}
body { padding: 16px; }
h2 { font-size: 15px; margin: 16px 0 4px; }
ol { list-style: none; border-left: 2px solid var(--rule); padding-left: 14px; display: grid; gap: 10px; }
ol p { white-space: pre-line; }
b { font-weight: 600; }
{% endblock %}
{% block body %}
<dl>{% for name, value in person.items() %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
{% if steps %}
<h2>Activity log</h2>
<ol>
{% for at, parts in steps %}
<li><span class="soft">Marketplace step, {{ at }}</span><br><b>{{ parts.action }}: {{ parts.offer }}</b>
<p>{{ parts.text }}</p></li>
{% endfor %}
</ol>
{% endif %}
{% endblock %}"""
)
