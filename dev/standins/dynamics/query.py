"""OData queries as far as the stand-in knows them: `$select`, `$filter` (comparisons, `and`), `$orderby`, `$top`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dev.standins.dynamics.columns import Refusal

_COMPARISON = re.compile(r"\s*(\w+)\s+(eq|ne|gt|ge|lt|le)\s+('(?:[^']|'')*'|[\w.:+-]+)\s*(?:\s+and\s+|$)")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "gt": lambda left, right: left is not None and left > right,
    "ge": lambda left, right: left is not None and left >= right,
    "lt": lambda left, right: left is not None and left < right,
    "le": lambda left, right: left is not None and left <= right,
}


def matching(
    rows: Iterable[Mapping[str, Any]], query: Mapping[str, str], readable: set[str], entity: str
) -> list[Mapping[str, Any]]:
    """The rows that `$filter`, `$orderby` and `$top` leave, in their order. Raises Refusal for an unknown column."""
    tests = _tests(query.get("$filter", ""), readable, entity)
    found = [row for row in rows if all(_OPERATORS[verb](_folded(row.get(name)), value) for name, verb, value in tests)]
    for part in reversed([part.split() for part in query.get("$orderby", "").split(",") if part.strip()]):
        known(part[0], readable, entity)
        found.sort(key=lambda row: _sortable(row.get(part[0])), reverse=part[-1] == "desc")
    top = query.get("$top", "")
    return found[: int(top)] if top.isdecimal() else found


def selected(query: Mapping[str, str], readable: set[str], entity: str) -> set[str]:
    """The columns that `$select` asks for; all of them without one."""
    names = [name.strip() for name in query.get("$select", "").split(",") if name.strip()]
    for name in names:
        known(name, readable, entity)
    return set(names) or readable


def known(name: str, readable: set[str], entity: str) -> None:
    """Raise Refusal for a column that the table does not have."""
    if name not in readable:
        raise Refusal(
            400, "0x80060888", f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{entity}'."
        )


def _tests(text: str, readable: set[str], entity: str) -> list[tuple[str, str, Any]]:
    tests, position = [], 0
    while position < len(text):
        match = _COMPARISON.match(text, position)
        if not match:
            raise Refusal(400, "0x80060888", f"Syntax error at position {position} in '{text}'.")
        known(match[1], readable, entity)
        tests.append((match[1], match[2], _folded(_literal(match[3]))))
        position = match.end()
    return tests


def _literal(text: str) -> Any:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    if text in ("null", "true", "false"):
        return {"null": None, "true": True, "false": False}[text]
    try:
        return float(text)
    except ValueError:
        return text


def _folded(value: Any) -> Any:
    """Dataverse compares text without regard to case."""
    return value.casefold() if isinstance(value, str) else value


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, _folded(value))
