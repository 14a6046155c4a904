"""The tables of the stand-in's Dataverse: what is in a record, how it is bound to others, how it is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dev.standins.dynamics import columns
from dev.standins.dynamics.columns import Column, Refusal, payload_error

Record = dict[str, Any]

GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BIND = re.compile(r"(?:https://[^/]+/api/data/v9\.\d)?/?(\w+)\(([0-9a-fA-F-]{36})\)")


@dataclass
class Table:
    """A table: its names, its columns, its navigation properties (name → target sets), its records by GUID."""

    name: str
    key: str
    privilege: str
    columns: dict[str, Column]
    bindings: dict[str, tuple[str, ...]]
    records: dict[str, Record] = field(default_factory=dict)

    @property
    def entity_set(self) -> str:
        """The name in URLs."""
        return f"{self.name}s"

    def lookup(self, navigation: str) -> str:
        """The column in which a navigation property is read: `objectid_lead` is in `_objectid_value`."""
        return f"_{navigation.partition('_')[0]}_value"

    def readable(self) -> set[str]:
        """All columns that a query may name."""
        lookups = {self.lookup(name) for name in self.bindings}
        return {*self.columns, *lookups, self.key, "versionnumber"}


def tables() -> dict[str, Table]:
    """The tables by entity set. Navigation names are those of the Dataverse table reference."""
    owner = {"ownerid": ("systemusers", "teams")}
    regarding = ("leads",)
    made = (
        Table(
            "lead",
            "leadid",
            "Lead",
            dict(columns.LEAD),
            {
                **owner,
                "masterid": regarding,
                "parentaccountid": ("accounts",),
                "parentcontactid": ("contacts",),
                "campaignid": ("campaigns",),
                "transactioncurrencyid": ("transactioncurrencies",),
            },
        ),
        Table("annotation", "annotationid", "Note", dict(columns.NOTE), {**owner, "objectid_lead": regarding}),
        Table(
            "task",
            "activityid",
            "Activity",
            dict(columns.TASK),
            {**owner, "regardingobjectid_lead_task": regarding, "regardingobjectid_lead": regarding},
        ),
        Table(
            "phonecall",
            "activityid",
            "Activity",
            dict(columns.PHONE_CALL),
            {**owner, "regardingobjectid_lead_phonecall": regarding, "regardingobjectid_lead": regarding},
        ),
    )
    return {table.entity_set: table for table in made}


def etag(record: Mapping[str, Any]) -> str:
    """The record's weak ETag."""
    return f'W/"{record["versionnumber"]}"'


def read_body(table: Table, body: Any, exists: Mapping[str, set[str]]) -> tuple[Record, set[str]]:
    """What a body writes, and the entity sets it binds to. `exists` has the GUIDs of each entity set.

    Raises Refusal for an unknown column or navigation property, a wrong value, or a record that is not there. Columns
    that the server owns (`fullname`) are passed over.
    """
    if not isinstance(body, dict):
        raise payload_error(table.entity_set, "The body is no JSON object.")
    written: Record = {}
    targets: set[str] = set()
    for name, value in body.items():
        if name.startswith("@") or name == table.key:
            continue
        if name.endswith("@odata.bind"):
            target, guid = _bound(table, name.removesuffix("@odata.bind"), value, exists)
            targets.add(target)
            written[table.lookup(name.removesuffix("@odata.bind"))] = guid
            continue
        column = table.columns.get(name)
        if column is None:
            kind = f"Microsoft.Dynamics.CRM.{table.name}"
            raise Refusal(400, "0x0", f"Could not find a property named '{name}' on type '{kind}'.")
        columns.check(table.name, name, column, value)
        if column.writable:
            written[name] = value
    return written, targets


def _bound(table: Table, navigation: str, value: Any, exists: Mapping[str, set[str]]) -> tuple[str, str]:
    if navigation not in table.bindings:
        raise payload_error(
            table.entity_set,
            f"An undeclared property '{navigation}' which only has property annotations in the payload but no property "
            "value was found in the payload.",
        )
    match = _BIND.fullmatch(value) if isinstance(value, str) else None
    if not match or match[1] not in table.bindings[navigation]:
        raise payload_error(table.entity_set, f"Invalid value for '{navigation}@odata.bind'.")
    target, guid = match[1], match[2].lower()
    if guid not in exists.get(target, set()):
        raise missing(target.removesuffix("s"), guid)
    return target, guid


def missing(name: str, guid: str) -> Refusal:
    """The refusal for a record that is not there."""
    return Refusal(404, "0x80040217", f"Entity '{name}' With Id = {guid} Does Not Exist")


def created(table: Table, guid: str, written: Record, owner: str, version: int) -> Record:
    """Put a new record into the table."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    record: Record = {table.key: guid, "createdon": written.get("overriddencreatedon") or now, "_ownerid_value": owner}
    if "statecode" in table.columns:
        if written.get("statecode", 0) != 0:
            raise _status(table, written)
        record |= {"statecode": 0, "statuscode": 1}
    table.records[guid] = record
    try:
        updated(table, record, written, version)
    except Refusal:
        del table.records[guid]
        raise
    return record


def updated(table: Table, record: Record, written: Record, version: int) -> None:
    """Write into a record of the table. A closed lead takes nothing but a new state."""
    if record.get("statecode") and table.name == "lead" and "statecode" not in written:
        raise Refusal(400, "0x8004022e", "The object cannot be updated because it is read-only.")
    if table.name == "lead" and {"statecode", "statuscode"} & written.keys():
        state: int = written["statecode"] if "statecode" in written else record["statecode"]
        written = {"statuscode": columns.STATUS_OF_STATE[state][0]} | written
        if written["statuscode"] not in columns.STATUS_OF_STATE[state]:
            raise _status(table, written)
    record |= {name: value for name, value in written.items() if name != "overriddencreatedon"}
    record |= {"modifiedon": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "versionnumber": version}
    if table.name == "lead":
        record["fullname"] = f"{record.get('firstname') or ''} {record.get('lastname') or ''}".strip() or None


def _status(table: Table, written: Record) -> Refusal:
    return Refusal(
        400,
        "0x80048408",
        f"{written.get('statuscode')} is not a valid status code for state code {written.get('statecode')} on "
        f"{table.name}.",
    )
