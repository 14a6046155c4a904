"""A Salesforce org: its records, what people do to them, and the REST API that the app uses.

Answers follow the REST API Developer Guide (Create a Record, sObject Rows, QueryAll, Status Codes and Error Responses,
Conditional Request Headers) and the Object Reference. Codes and words of refusals are those of the guide and of public
threads. Not modelled: sharing, triggers, flows, assignment rules.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from dev.standins.salesforce.objects import KEY, OBJECTS, PREFIXES, Field, Record, described, whole_id
from dev.standins.server import Answer, Request

BASE = "/services/data/"
VERSIONS = ("60.0", "66.0", "68.0")

_SELECT = re.compile(r"SELECT ([\w, ]+) FROM (\w+) WHERE (.+)", re.DOTALL)
_TERM = re.compile(r"(\w+) (=|LIKE|IN) (\([^)]*\)|'(?:[^'\\]|\\.)*')")
_TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'")


def refused(status: int, code: str, message: str, *fields: str) -> Answer:
    """An error as Salesforce tells it."""
    problem: dict[str, Any] = {"message": message, "errorCode": code}
    return Answer(status, [problem | ({"fields": list(fields)} if fields else {})])


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str, *fields: str) -> None:
        super().__init__(message)
        self.answer = refused(status, code, message, *fields)


@dataclass
class Org:
    """One org. `holds` tells whether a bearer token is good."""

    holds: Callable[[str], bool]
    lead_key: str = "MarketplaceLeadKey__c"
    step_key: str = "MarketplaceStepKey__c"
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    bin_blocks: bool = False
    """Whether a value that stands in the Recycle Bin counts as taken; no document says."""
    refuses: Callable[[str, Record], Answer | None] = lambda *_: None
    """A rule of the org: what it answers to a record that somebody creates or changes."""
    objects: dict[str, dict[str, Field]] = field(default_factory=dict)
    tables: dict[str, dict[str, Record]] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.objects = {kind: dict(fields) for kind, fields in OBJECTS.items()}
        self.objects["Lead"][self.lead_key] = KEY
        self.objects["Task"][self.step_key] = KEY
        self.tables = {kind: {} for kind in OBJECTS}
        self._number = 0

    def country_pick_lists(self, *codes: str) -> None:
        """Switch on State and Country/Territory Picklists, with these codes active."""
        self.objects["Lead"]["CountryCode"] = Field("picklist", 10, restricted=codes)

    # What people do

    def live(self, kind: str) -> dict[str, Record]:
        """The records that a person sees."""
        return {id_: row for id_, row in self.tables[kind].items() if not row["IsDeleted"]}

    def edit(self, kind: str, id_: str, **values: Any) -> None:
        """Save a record with these values."""
        self.tables[kind][id_] |= {**values, "LastModifiedDate": self._now()}

    def delete(self, id_: str) -> None:
        """Delete a lead or a contact, and with it what hangs on it. All of it goes to the Recycle Bin."""
        with self.lock:
            self._row(id_)["IsDeleted"] = True
            for row in self.tables["Task"].values():
                row["IsDeleted"] |= row.get("WhoId") == id_

    def purge(self, id_: str) -> None:
        """Delete for good, as after fifteen days in the Recycle Bin."""
        for table in self.tables.values():
            table.pop(id_, None)

    def convert(self, id_: str) -> str:
        """Convert a lead: its tasks go to the contact, whose id is returned."""
        row = self.tables["Lead"][id_]
        contact = self.insert("Contact", {"LastName": row["LastName"], "Email": row.get("Email")})
        self.edit("Lead", id_, IsConverted=True, ConvertedContactId=contact, Status="Closed - Converted")
        self._move_tasks(id_, contact)
        return contact

    def merge(self, kept: str, lost: str) -> None:
        """Merge two records: the one that lost is deleted and points to the one that is kept."""
        self._row(lost).update(IsDeleted=True, MasterRecordId=kept)
        self._move_tasks(lost, kept)

    def _move_tasks(self, old: str, new: str) -> None:
        for row in self.tables["Task"].values():
            if row.get("WhoId") == old:
                row["WhoId"] = new

    def _row(self, id_: str) -> Record:
        return next(table[id_] for table in self.tables.values() if id_ in table)

    # The API

    def answer(self, request: Request) -> Answer:
        """Answer a request below `/services/data/`."""
        if not self.holds(request.headers.get("authorization", "").removeprefix("Bearer ")):
            return refused(401, "INVALID_SESSION_ID", "Session expired or invalid")
        version, _, path = request.path.removeprefix(BASE).partition("/")
        try:
            with self.lock:
                if version.removeprefix("v") not in VERSIONS:
                    raise _not_found()
                answer = self._routed(request, path)
        except _Refused as error:
            answer = error.answer
        return Answer(answer.status, answer.body, {**answer.headers, "Sforce-Limit-Info": "api-usage=18/5000"})

    def _routed(self, request: Request, path: str) -> Answer:
        match [request.method, *filter(None, path.split("/"))]:
            case ["GET"]:
                return Answer(200, {"sobjects": f"{request.path}sobjects"})
            case ["GET", "queryAll"]:
                return self._query(request.query.get("q", ""))
            case ["GET", "sobjects", kind, "describe"] if kind in self.objects:
                return Answer(200, described(kind, self.objects[kind]))
            case ["POST", "sobjects", kind] if kind in self.objects:
                values = _object(request)
                return Answer(201, {"id": self._created(kind, values), "success": True, "errors": []})
            case ["PATCH", "sobjects", kind, id_] if kind in self.objects:
                return self._changed(request, kind, id_)
        raise _not_found()

    def _query(self, soql: str) -> Answer:
        parsed = _SELECT.fullmatch(soql)
        if not parsed:
            raise _Refused(400, "MALFORMED_QUERY", "unexpected token")
        names, kind, condition = parsed[1].split(", "), parsed[2], parsed[3]
        if kind not in self.objects:
            raise _Refused(400, "INVALID_TYPE", f"sObject type '{kind}' is not supported.")
        terms = _TERM.findall(condition)
        if " OR ".join(f"{name} {operator} {value}" for name, operator, value in terms) != condition:
            raise _Refused(400, "MALFORMED_QUERY", "unexpected token")
        for name in [*names, *(term[0] for term in terms)]:
            if name not in self.objects[kind]:
                raise _Refused(
                    400,
                    "INVALID_FIELD",
                    f"\nSELECT {name} FROM\n       ^\nERROR at Row:1:Column:8\nNo such column '{name}' on entity "
                    f"'{kind}'. If you are attempting to use a custom field, be sure to append the '__c'",
                )
        found = [row for row in self.tables[kind].values() if any(_meets(row, *term) for term in terms)]
        records = [{"attributes": {"type": kind}, **{name: row.get(name) for name in names}} for row in found]
        return Answer(200, {"totalSize": len(records), "done": True, "records": records})

    def _created(self, kind: str, values: Record) -> str:
        self._check(kind, values)
        missing = [name for name, one in self.objects[kind].items() if one.required and not values.get(name)]
        if missing:
            problem = f"Required fields are missing: [{', '.join(missing)}]"
            raise _Refused(400, "REQUIRED_FIELD_MISSING", problem, *missing)
        for name, one in self.objects[kind].items():
            if one.unique and values.get(name):
                self._check_unique(kind, name, values[name])
        who = values.get("WhoId")
        if who:
            self._check_who(str(who))
        return self.insert(kind, values)

    def _changed(self, request: Request, kind: str, id_: str) -> Answer:
        row, values = self.tables[kind].get(id_), _object(request)
        if row is None:
            raise _not_found()
        if row["IsDeleted"]:
            raise _Refused(404, "ENTITY_IS_DELETED", "entity is deleted")
        if row.get("IsConverted"):
            raise _Refused(400, "CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
        since = request.headers.get("if-unmodified-since")
        if since and datetime.fromisoformat(row["LastModifiedDate"]) > parsedate_to_datetime(since):
            return Answer(412)
        self._check(kind, values)
        self.edit(kind, id_, **values)
        return Answer(204)

    def _check(self, kind: str, values: Record) -> None:
        fields = self.objects[kind]
        for name, value in values.items():
            if name not in fields:
                raise _Refused(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {kind}")
            self._check_value(name, fields[name], value)
        answer = self.refuses(kind, values)
        if answer:
            problem = answer.body[0]
            raise _Refused(answer.status, problem["errorCode"], problem["message"], *problem.get("fields", ()))

    def _check_value(self, name: str, about: Field, value: Any) -> None:
        if not about.writable:
            problem = f"Unable to create/update fields: {name}. Please check the security settings of this field."
            raise _Refused(400, "INVALID_FIELD_FOR_INSERT_UPDATE", problem, name)
        wanted = {"boolean": bool, "int": int}.get(about.type, str)
        if value is not None and not isinstance(value, wanted):
            problem = f"Cannot deserialize instance of {about.type} from VALUE_STRING value {value}"
            raise _Refused(400, "JSON_PARSER_ERROR", problem)
        if isinstance(value, str) and re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", value):
            raise _Refused(400, "JSON_PARSER_ERROR", "Illegal unquoted character")
        if isinstance(value, str) and len(value.encode("utf-16-le")) // 2 > about.length > 0:
            problem = f"{name}: data value too large: {value} (max length={about.length})"
            raise _Refused(400, "STRING_TOO_LONG", problem, name)
        if about.type == "email" and value and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", str(value)):
            raise _Refused(400, "INVALID_EMAIL_ADDRESS", f"{name}: invalid email address: {value}", name)
        if about.restricted and value not in about.restricted:
            if name == "CountryCode":
                problem = "There's a problem with this country, even though it may appear correct."
                raise _Refused(400, "FIELD_INTEGRITY_EXCEPTION", problem, "Country")
            problem = f"{name}: bad value for restricted picklist field: {value}"
            raise _Refused(400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", problem, name)

    def _check_unique(self, kind: str, name: str, value: str) -> None:
        for id_, row in self.tables[kind].items():
            # Unique without "case sensitive", as the set-up makes it.
            same = str(row.get(name) or "").lower() == value.lower()
            if same and (self.bin_blocks or not row["IsDeleted"]):
                problem = f"duplicate value found: {name} duplicates value on record with id: {id_[:15]}"
                raise _Refused(400, "DUPLICATE_VALUE", problem)

    def _check_who(self, who: str) -> None:
        row = self.tables["Lead"].get(who) or self.tables["Contact"].get(who)
        if row is None:
            raise _Refused(400, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        if row["IsDeleted"]:
            raise _Refused(400, "ENTITY_IS_DELETED", "entity is deleted")
        if row.get("IsConverted"):
            raise _Refused(400, "CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")

    def insert(self, kind: str, values: Record) -> str:
        """Put a record in, as a person does who types it in."""
        self._number += 1
        id_ = whole_id(f"{PREFIXES[kind]}5g00000{self._number:05d}")
        now = self._now()
        row = {"Id": id_, "IsDeleted": False, "CreatedDate": now, "LastModifiedDate": now}
        if kind == "Lead":
            row |= {"IsConverted": False, "MasterRecordId": None, "Status": "Open - Not Contacted"}
        self.tables[kind][id_] = {**row, **values}
        return id_

    def _now(self) -> str:
        return f"{self.clock():%Y-%m-%dT%H:%M:%S}.000+0000"


def _object(request: Request) -> Record:
    body = request.json()
    if not isinstance(body, dict):
        raise _Refused(400, "JSON_PARSER_ERROR", "The HTTP entity body is required, but this request has no body.")
    return body


def _not_found() -> _Refused:
    return _Refused(404, "NOT_FOUND", "The requested resource does not exist")


def _meets(row: Record, name: str, operator: str, value: str) -> bool:
    wanted = [re.sub(r"\\(.)", r"\1", text).lower() for text in _TEXT.findall(value)]
    mine = str(row.get(name) or "").lower()
    if operator == "LIKE":
        return mine.startswith(wanted[0].removesuffix("%"))
    return mine in wanted
