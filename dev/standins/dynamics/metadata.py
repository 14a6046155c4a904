"""Answers about tables and columns: `EntityDefinitions`, as a check command and a set-up tool ask for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dev.standins.dynamics.columns import Column, Refusal
from dev.standins.dynamics.tables import Table

_PATH = re.compile(
    r"EntityDefinitions\(LogicalName='(\w+)'\)(/Attributes(?:\(LogicalName='(\w+)'\))?)?"
    r"(?:/Microsoft\.Dynamics\.CRM\.(\w+)AttributeMetadata)?"
)
_KINDS = {
    "text": "String",
    "date": "DateTime",
    "guid": "Uniqueidentifier",
    "yes/no": "Boolean",
    "whole": "Integer",
    "decimal": "Money",
    "option": "Picklist",
}


def definition(path: str, query: Mapping[str, str], tables: Mapping[str, Table]) -> dict[str, Any]:
    """What `EntityDefinitions(LogicalName='…')` and the paths below it answer. Raises Refusal for what is not there."""
    match = _PATH.fullmatch(path)
    if not match:
        raise Refusal(404, "0x8006088a", f"Resource not found for the segment '{path.partition('/')[0]}'.")
    name, attributes, attribute, cast = match.groups()
    table = next((table for table in tables.values() if table.name == name), None)
    if table is None:
        raise Refusal(404, "0x80060888", f"Could not find an entity with name {name}.")
    if not attributes:
        return _selected(
            {"LogicalName": name, "EntitySetName": table.entity_set, "PrimaryIdAttribute": table.key}, query
        )
    found = {
        column: _attribute(column, about)
        for column, about in table.columns.items()
        if cast in (None, _kind(column, about))
    }
    if attribute is None:
        return {"value": [_selected(one, query) for one in found.values()]}
    if attribute not in found:
        raise Refusal(404, "0x80060888", f"Could not find an attribute with name {attribute} on entity {name}.")
    return _selected(found[attribute], query)


def _kind(name: str, column: Column) -> str:
    special = {"statecode": "State", "statuscode": "Status", "description": "Memo", "notetext": "Memo"}
    return special.get(name) or _KINDS[column.kind]


def _attribute(name: str, column: Column) -> dict[str, Any]:
    made: dict[str, Any] = {
        "LogicalName": name,
        "AttributeType": _kind(name, column),
        "IsValidForCreate": column.writable and name != "statecode",
        "IsValidForUpdate": column.writable,
        "MaxLength": column.length or None,
    }
    if column.options:
        label: dict[str, Any] = {"UserLocalizedLabel": None, "LocalizedLabels": []}
        made["OptionSet"] = {"Options": [{"Value": value, "Label": label} for value in column.options]}
    return made


def _selected(found: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    names = {name.strip() for name in query.get("$select", "").split(",") if name.strip()}
    names |= {name.split("(")[0].strip() for name in [query.get("$expand", "")] if name}
    return {key: value for key, value in found.items() if not names or key in names}
