"""A stand-in for the Dataverse Web API: the tables that leads are written to, with its answers and its refusals.

Sources: powerapps-docs `webapi/` (perform-conditional-operations, create-entity, compose-http-requests-handle-errors),
the list of web service error codes, and public code where no document says it. Nothing was compared with a real tenant.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from threading import RLock
from typing import Any

from dev.standins.dynamics import metadata, query, tables
from dev.standins.dynamics.columns import Refusal, payload_error
from dev.standins.dynamics.tables import Record, Table
from dev.standins.entra import Token
from dev.standins.server import Answer, Request

BASE = "/api/data/v9.2"
PRIVILEGES = frozenset(
    f"prv{verb}{what}"
    for what in ("Lead", "Note", "Activity")
    for verb in ("Create", "Read", "Write", "Delete", "Append", "AppendTo", "Assign")
)
THROTTLES = {
    "requests": ("0x80072322", "Number of requests exceeded the limit of 6000 over time window of 300 seconds."),
    "time": (
        "0x80072321",
        "Combined execution time of incoming requests exceeded limit of 1,200,000 milliseconds over 300 seconds.",
    ),
    "concurrency": ("0x80072326", "Number of concurrent requests exceeded the limit of 52."),
}


def error(status: int, code: str, message: str) -> Answer:
    """An error as the Web API writes it."""
    return Answer(status, {"error": {"code": code, "message": message}}, {"OData-Version": "4.0"})


class Dataverse:
    """One organization. Its attributes may be changed at any time to make it refuse things."""

    def __init__(self, url: str, holder: Callable[[str], Token | None]) -> None:
        self.url = url
        self.lock = RLock()
        self.tables = tables.tables()
        self.organization_id, self.business_unit_id = str(uuid.uuid4()), str(uuid.uuid4())
        self.members: dict[str, str] = {}
        """The application users: client id → id of the user in the organization."""
        self.disabled: set[str] = set()
        """The client ids whose application user is disabled."""
        self.others: dict[str, set[str]] = {"systemusers": set(), "teams": set()}
        """GUIDs of records that may be bound to, by entity set."""
        self.privileges = set(PRIVILEGES)
        """What the application users may do. Empty means that they have no security role."""
        self.secured: set[str] = set()
        """Columns of `lead` that column security keeps from them."""
        self.has_sales = True
        self.duplicate_rule_status = 0
        """HTTP status with which a duplicate detection rule on the e-mail refuses (500 or 412); 0: no rule."""
        self._holder = holder
        self._version = 1_000_000

    def answer(self, request: Request) -> Answer:
        """Answer one request."""
        token = self._holder(request.headers.get("authorization", "").removeprefix("Bearer "))
        if token is None or token.resource != self.url:
            challenge = f"Bearer authorization_uri=https://login.microsoftonline.com/, resource_id={self.url}/"
            return Answer(401, None, {"WWW-Authenticate": challenge})
        with self.lock:
            try:
                return self._answer(request, request.path.removeprefix(f"{BASE}/"), token.client_id)
            except Refusal as refusal:
                return error(refusal.status, refusal.code, refusal.message)

    def _answer(self, request: Request, path: str, client_id: str) -> Answer:
        user = self._user(client_id)
        if request.headers.get("odata-version", "4.0") not in ("4.0", "4.01"):
            raise Refusal(400, "0x80060888", "The OData-Version header is not supported.")
        if path in ("WhoAmI", "WhoAmI()"):
            ids = {"BusinessUnitId": self.business_unit_id, "UserId": user, "OrganizationId": self.organization_id}
            return self._json(200, ids)
        known = {name: table for name, table in self.tables.items() if self.has_sales or name != "leads"}
        if path.startswith(f"systemusers({user})/Microsoft.Dynamics.CRM.RetrieveUser"):
            names = sorted(self.privileges)
            if path.endswith("SetOfPrivilegesByNames(PrivilegeNames=@p)"):
                names = sorted(self.privileges & set(json.loads(request.query["@p"])))
            return self._json(200, {"RolePrivileges": [{"Depth": "Global", "PrivilegeName": one} for one in names]})
        if path.startswith("EntityDefinitions"):
            return self._json(200, metadata.definition(path, request.query, known))
        match = re.fullmatch(r"(\w+)(?:\(([^)]*)\))?", path)
        if match and match[1] in ("systemusers", "teams") and request.method == "GET":
            return self._principal(match[1], str(match[2]).lower(), user)
        if not match or match[1] not in known:
            raise Refusal(404, "0x8006088a", f"Resource not found for the segment '{path.partition('(')[0]}'.")
        table, key = known[match[1]], match[2]
        if key is None:
            handle = {"GET": self._list, "POST": self._post}.get(request.method)
            if handle is None:
                raise Refusal(405, "0x80060888", f"The requested resource does not support '{request.method}'.")
            return handle(request, table, user)
        if not tables.GUID.fullmatch(key.lower()):
            kind = f"Microsoft.Dynamics.CRM.{table.name}"
            raise Refusal(400, "0x80060888", f"The key in the request URI is not valid for resource '{kind}'.")
        on_one = {"GET": self._get, "PATCH": self._patch, "DELETE": self._delete}.get(request.method)
        if on_one is None:
            raise Refusal(405, "0x80060888", f"The requested resource does not support '{request.method}'.")
        return on_one(request, table, key.lower(), user)

    def _principal(self, entity_set: str, guid: str, user: str) -> Answer:
        """A user or a team that may own records."""
        if guid not in {*self.others[entity_set], user}:
            raise tables.missing(entity_set.removesuffix("s"), guid)
        return self._json(
            200, {"systemuserid": guid, "isdisabled": False} if entity_set == "systemusers" else {"teamid": guid}
        )

    def _user(self, client_id: str) -> str:
        """The application user of the token's client."""
        if client_id not in self.members:
            raise Refusal(403, "0x80072560", "The user is not a member of the organization.")
        if client_id in self.disabled:
            raise Refusal(
                403, "0x80040225", "The specified user is either disabled or is not a member of any business unit."
            )
        if not self.privileges:
            raise Refusal(403, "0x80042f09", "RetrievePrivilegeForUser: The user has not been assigned any roles.")
        return self.members[client_id]

    def _needs(self, verb: str, table: Table, user: str) -> None:
        privilege = f"prv{verb}{table.privilege}"
        if privilege not in self.privileges:
            raise Refusal(
                403,
                "0x80040220",
                f"Principal user (Id={user}, type=8, roleCount=1, privilegeCount={len(self.privileges)}, accessMode="
                f"'4 Non-interactive') is missing {privilege} privilege on entity '{table.name}'.",
            )

    def _list(self, request: Request, table: Table, user: str) -> Answer:
        self._needs("Read", table, user)
        readable = table.readable()
        names = query.selected(request.query, readable, table.name)
        rows = query.matching(table.records.values(), request.query, readable, table.name)
        return self._json(200, {"value": [self._shown(table, row, names) for row in rows]}, table)

    def _get(self, request: Request, table: Table, guid: str, user: str) -> Answer:
        self._needs("Read", table, user)
        names = query.selected(request.query, table.readable(), table.name)
        record = table.records.get(guid)
        if record is None:
            raise tables.missing(table.name, guid)
        if request.headers.get("if-none-match") == tables.etag(record):
            return Answer(304, None, {"OData-Version": "4.0"})
        return self._one(200, table, record, names)

    def _post(self, request: Request, table: Table, user: str) -> Answer:
        body = self._body(request, table)
        guid = str(body.get(table.key) or uuid.uuid4()).lower() if isinstance(body, dict) else ""
        if guid in table.records:
            raise Refusal(412, "0x80040237", "Cannot insert duplicate key.")
        record = self._create(request, table, guid, body, user)
        return self._written(request, table, record, created=True, is_post=True)

    def _patch(self, request: Request, table: Table, guid: str, user: str) -> Answer:
        """Upsert, with the conditions of perform-conditional-operations. `If-None-Match: null` is no condition."""
        body, record = self._body(request, table), table.records.get(guid)
        if record is not None and request.headers.get("if-none-match") == "*":
            raise Refusal(412, "", "A record with matching key values already exists.")
        condition = request.headers.get("if-match")
        if record is None:
            if condition:
                raise Refusal(404, "", f"{table.name} With Id = {guid} Does Not Exist")
            record = self._create(request, table, guid, body, user)
            return self._written(request, table, record, created=True)
        if condition not in (None, "*", tables.etag(record)):
            raise Refusal(412, "", "The version of the existing record doesn't match the RowVersion property provided.")
        self._needs("Write", table, user)
        written = self._checked(table, body, user, "0x8004F507", "update")
        tables.updated(table, record, written, self._next_version())
        return self._written(request, table, record, created=False)

    def _delete(self, request: Request, table: Table, guid: str, user: str) -> Answer:
        self._needs("Delete", table, user)
        record = table.records.get(guid)
        if record is None:
            raise tables.missing(table.name, guid)
        if request.headers.get("if-match", "*") not in ("*", tables.etag(record)):
            raise Refusal(412, "", "The version of the existing record doesn't match the RowVersion property provided.")
        self.delete(table.entity_set, guid)
        return Answer(204, None, {"OData-Version": "4.0"})

    def delete(self, entity_set: str, guid: str) -> None:
        """Delete a record; a lead takes its notes and activities with it."""
        with self.lock:
            del self.tables[entity_set].records[guid]
            for table in self.tables.values():
                for column in ("_objectid_value", "_regardingobjectid_value"):
                    for child in [one for one, row in table.records.items() if row.get(column) == guid]:
                        del table.records[child]

    def _create(self, request: Request, table: Table, guid: str, body: Any, user: str) -> Record:
        self._needs("Create", table, user)
        written = self._checked(table, body, user, "0x8004F502", "create")
        self._check_duplicate(request, table, written)
        return tables.created(table, guid, written, user, self._next_version())

    def _checked(self, table: Table, body: Any, user: str, secured_code: str, verb: str) -> Record:
        exists = {name: set(one.records) for name, one in self.tables.items()} | self.others
        written, targets = tables.read_body(table, body, {**exists, "systemusers": {*self.others["systemusers"], user}})
        if table.name == "lead" and self.secured & written.keys():
            raise Refusal(403, secured_code, f"The user does not have {verb} permissions to a secured field.")
        if "leads" in targets:
            self._needs("Append", table, user)
            self._needs("AppendTo", self.tables["leads"], user)
        return written

    def _check_duplicate(self, request: Request, table: Table, written: Record) -> None:
        asked = request.headers.get("mscrm.suppressduplicatedetection", "").lower() == "false"
        if not (asked and self.duplicate_rule_status and table.name == "lead"):
            return
        email = written.get("emailaddress1")
        if email and any(row.get("emailaddress1") == email for row in table.records.values()):
            raise Refusal(
                self.duplicate_rule_status,
                "0x80040333",
                "A record was not created or updated because a duplicate of the current record already exists.",
            )

    def _body(self, request: Request, table: Table) -> Any:
        if "json" not in request.headers.get("content-type", ""):
            raise payload_error(
                table.entity_set, "A supported MIME type could not be found that matches the content type."
            )
        return request.json()

    def _written(
        self, request: Request, table: Table, record: Record, *, created: bool, is_post: bool = False
    ) -> Answer:
        if "return=representation" in request.headers.get("prefer", ""):
            names = query.selected(request.query, table.readable(), table.name)
            answer = self._one(201 if created else 200, table, record, names)
            return Answer(answer.status, answer.body, {**answer.headers, "Preference-Applied": "return=representation"})
        where = f"{self.url}{BASE}/{table.entity_set}({record[table.key]})"
        headers = {"OData-Version": "4.0", "OData-EntityId": where} | ({"Location": where} if is_post else {})
        return Answer(204, None, headers)

    def _one(self, status: int, table: Table, record: Record, names: set[str]) -> Answer:
        return self._json(status, self._shown(table, record, names), table, {"ETag": tables.etag(record)})

    def _shown(self, table: Table, record: Any, names: set[str]) -> dict[str, Any]:
        columns = {name: record.get(name) for name in sorted({*names, table.key})}
        return {"@odata.etag": tables.etag(record), **columns}

    def _json(
        self, status: int, body: dict[str, Any], table: Table | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        context = f"{self.url}{BASE}/$metadata#{table.entity_set if table else 'Microsoft.Dynamics.CRM'}"
        return Answer(status, {"@odata.context": context, **body}, {"OData-Version": "4.0", **(headers or {})})

    def _next_version(self) -> int:
        self._version += 1
        return self._version
