"""A stand-in for the tables of a storage account, and the rows that Excel would show.

It knows what a flat table needs: making a table, writing a row whole, deleting one, and the question for equal values
("Table service REST API", learn.microsoft.com/rest/api/storageservices). Whether a request is signed with the key of
the account it sees only by a header: tests of their own ask Azurite, which checks that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dev.certificate import server_files
from dev.standins import Item, template
from dev.standins.server import Answer, Request, Server

TITLE = "Table"
ADDRESS = ("TABLE_STORAGE", "TABLE_STORAGE__accountName", "TABLE_STORAGE__tableServiceUri")

ACCOUNT = "leadsexcel"
KEY = "bm8gcmVhbCBhY2NvdW50IGhhcyB0aGlzIGtleSwgaXQgaXMgYSBzdGFuZC1pbg=="

_ROW = re.compile(r"/(\w+)\(PartitionKey='(.*)',\s*RowKey='(.*)'\)")
_EQUAL = re.compile(r"(\w+) eq '(.*)'")

Row = Mapping[str, Any]


@dataclass
class Tables:
    """The account: its rows by table and keys, with when each was written."""

    server: Server = field(init=False)
    rows: dict[str, dict[tuple[str, str], Row]] = field(default_factory=dict)
    written: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def answer(self, request: Request) -> Answer:
        """Answer as the Table service does."""
        if not request.headers.get("authorization", "").startswith(f"SharedKey {ACCOUNT}:"):
            return _error(403, "AuthenticationFailed")
        path = request.path.removeprefix(f"/{ACCOUNT}")
        if path == "/Tables" and request.method == "POST":
            name = request.json()["TableName"]
            known = name in self.rows
            self.rows.setdefault(name, {})
            return _error(409, "TableAlreadyExists") if known else Answer(201, {"TableName": name})
        found = _ROW.fullmatch(path)
        table = self.rows.get(found[1] if found else path.strip("/()"))
        if table is None:
            return _error(404, "TableNotFound")
        if found is None:
            return Answer(200, {"value": [dict(row) for row in table.values() if _meets(row, request.query)]})
        keys = (found[2], found[3])
        if request.method == "PUT":
            table[keys] = request.json()
            self.written[keys] = datetime.now(UTC)
            return Answer(204, headers={"ETag": "W/\"datetime'2026-11-29T00%3A00%3A00Z'\""})
        return Answer(204) if table.pop(keys, None) is not None else _error(404, "ResourceNotFound")

    def environ(self) -> dict[str, str]:
        """The settings with which the app writes here."""
        endpoint = f"https://localhost:{self.server.port}/{ACCOUNT}"
        connection = f"DefaultEndpointsProtocol=https;AccountName={ACCOUNT};AccountKey={KEY};TableEndpoint={endpoint};"
        return {"TABLE_STORAGE": connection}

    def received(self) -> list[Item]:
        """The rows, each as one of a sheet."""
        return [self._item(keys, row) for table in tuple(self.rows.values()) for keys, row in tuple(table.items())]

    def _item(self, keys: tuple[str, str], row: Row) -> Item:
        shown = {name: value for name, value in row.items() if "@" not in name}
        who = " ".join(filter(None, (row["FirstName"], row["LastName"]))) or row["LeadId"]
        return Item(self.written[keys], str(who), "a row, column by column", _ROW_OF_SHEET.render(row=shown))


@contextmanager
def storage(directory: Path) -> Iterator[Tables]:
    """An account on localhost with a certificate of the CA in `directory`."""
    tables = Tables()
    tables.server = Server(tables.answer, server_files(directory)[1])
    tables.server.start()
    try:
        yield tables
    finally:
        tables.server.close()


@contextmanager
def start(directory: Path, _: Mapping[str, str]) -> Iterator[Tables]:
    """Keep the rows that come."""
    with storage(directory) as tables:
        yield tables


def _meets(row: Row, query: Mapping[str, str]) -> bool:
    asked = _EQUAL.fullmatch(query.get("$filter", ""))
    return asked is None or row.get(asked[1]) == asked[2]


def _error(status: int, code: str) -> Answer:
    return Answer(status, {"odata.error": {"code": code, "message": {"lang": "en-US", "value": "x"}}})


_ROW_OF_SHEET = template(
    """{% extends "layout.html" %}
{% block style %}
body { padding: 16px; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid var(--rule); padding: 2px 8px; text-align: left; font-weight: 400; vertical-align: top; }
th { background: var(--tint); width: 11em; }
td { white-space: pre-line; }
{% endblock %}
{% block body %}
<table>
{% for name, value in row.items() %}<tr><th scope="row">{{ name }}</th><td>{{ value }}</td></tr>{% endfor %}
</table>
{% endblock %}"""
)
"""Turned by a quarter, so that all columns can be seen."""
