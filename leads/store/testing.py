"""The twins in memory of `protocol` and `doorbell`: for tests, and true to the limits of the real ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from threading import RLock
from typing import Any

from leads.store.protocol import Blob, Changed, Exists, Page, Row, Value

PROPERTY_UNITS = 32_768
"""UTF-16 units that a text in Azure Table storage has at most: 64 KiB."""
KEY_UNITS = 512
"""UTF-16 units that a PartitionKey, and a RowKey, has at most: 1 KiB."""
NAME_LENGTH, PROPERTIES = 255, 252
"""Characters in the name of a property, and properties of a row beside its keys and its Timestamp."""
ROW_BYTES, TRANSACTION_BYTES, TRANSACTION_ROWS = 1024**2, 4 * 1024**2, 100


class MemoryStore:
    """The `Store` in a dictionary. Threads may share it: each operation happens as a whole."""

    def __init__(self) -> None:
        self._lock = RLock()
        self.containers: dict[str, dict[str, Blob]] = {}
        self._partitions: dict[str, dict[str, dict[str, Row]]] = {}
        self._etags = itertools.count(1)

    @property
    def tables(self) -> dict[str, dict[tuple[str, str], Row]]:
        """All rows by table, partition and key, for a test to look at."""
        return {
            table: {(partition, key): row for partition, rows in partitions.items() for key, row in rows.items()}
            for table, partitions in self._partitions.items()
        }

    def _write(self, table: str, row: Row) -> str:
        _check(row)
        etag = f'W/"{next(self._etags)}"'
        partition = self._partitions.setdefault(table, {}).setdefault(row.partition, {})
        partition[row.key] = replace(row, values=dict(row.values), etag=etag)
        return etag

    def _partition(self, table: str, partition: str) -> dict[str, Row]:
        return self._partitions.get(table, {}).get(partition, {})

    def insert(self, table: str, row: Row) -> str:
        with self._lock:
            if self.get(table, row.partition, row.key):
                raise Exists
            return self._write(table, row)

    def insert_all(self, table: str, rows: Sequence[Row]) -> None:
        if len(rows) > TRANSACTION_ROWS or len({row.partition for row in rows}) != 1:
            raise ValueError("A transaction has at most 100 rows, all of one partition.")
        if len({row.key for row in rows}) != len(rows):
            raise ValueError("A transaction has at most one operation for a row.")
        if sum(map(_check, rows)) > TRANSACTION_BYTES:
            raise ValueError("A transaction has at most 4 MiB.")
        with self._lock:
            if any(self.get(table, row.partition, row.key) for row in rows):
                raise Exists
            for row in rows:
                self._write(table, row)

    def upsert(self, table: str, row: Row) -> None:
        with self._lock:
            self._write(table, row)

    def replace(self, table: str, row: Row) -> str:
        with self._lock:
            there = self.get(table, row.partition, row.key)
            if there is None or there.etag != row.etag:
                raise Changed
            return self._write(table, row)

    def get(self, table: str, partition: str, key: str) -> Row | None:
        return self._partition(table, partition).get(key)

    def delete(self, table: str, partition: str, key: str, etag: str = "") -> bool:
        with self._lock:
            there = self.get(table, partition, key)
            if etag and there is not None and there.etag != etag:
                raise Changed
            return self._partition(table, partition).pop(key, None) is not None

    def rows(self, table: str, partition: str, start: str = "", end: str = "") -> Iterator[Row]:
        with self._lock:
            rows = sorted(self._partition(table, partition).items())
        for key, row in rows:
            if key >= start and (not end or key < end):
                yield row

    def page(self, table: str, partition: str, most: int, columns: Sequence[str] = ()) -> tuple[Sequence[Row], bool]:
        rows = list(self.rows(table, partition))
        if columns:
            rows = [
                replace(row, values={name: value for name, value in row.values.items() if name in columns})
                for row in rows
            ]
        return rows[:most], len(rows) <= most

    def rows_before(self, table: str, partition: str, start: str = "") -> Iterator[Row]:
        for name in sorted(self._partitions.get(table, {})):
            if start <= name < partition:
                yield from self.rows(table, name)

    def any_row(self, table: str) -> bool:
        return any(self._partitions.get(table, {}).values())

    def put_blob(self, container: str, name: str, data: bytes, metadata: Mapping[str, str]) -> bool:
        for key, value in metadata.items():
            if not (key.isidentifier() and value.isascii() and value.isprintable()):
                raise ValueError("Metadata of a blob has identifiers as names and printable ASCII as values.")
        with self._lock:
            blobs = self.containers.setdefault(container, {})
            if name in blobs:
                return False
            blobs[name] = Blob(name, bytes(data), dict(metadata))
            return True

    def get_blob(self, container: str, name: str) -> Blob | None:
        return self.containers.get(container, {}).get(name)

    def delete_blob(self, container: str, name: str) -> None:
        self.containers.get(container, {}).pop(name, None)

    def blobs(self, container: str, prefix: str, start: str = "") -> Iterator[tuple[str, Mapping[str, str]]]:
        with self._lock:
            blobs = sorted(self.containers.get(container, {}).items())
        for name, blob in blobs:
            if name.startswith(prefix) and name >= start:
                yield name, blob.metadata


def _check(row: Row) -> int:
    r"""Refuse with a ValueError what Azure refuses of a row, and return the bytes that the row takes there.

    Keys are at most 1 KiB each, without / \ # ? and control characters. There are at most 252 properties; the name of
    one is an identifier as in C# and at most 255 characters long, and its text at most 64 KiB. A row is at most 1 MiB,
    names included, and a transaction of 100 rows, each once, at most 4 MiB. Sources, all on learn.microsoft.com:
    "Understanding the Table service data model"; of transactions "Performing entity group transactions"; how the bytes
    of a row are counted, "Understanding Windows Azure Storage Billing – Bandwidth, Transactions, and Capacity". A
    number is of 32 bits, as the service reads a number in JSON that has no type beside it.
    """
    for key in (row.partition, row.key):
        if any(c in key for c in "/\\#?") or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in key):
            raise ValueError("A key of Azure Table storage has no / \\ # ? and no control character.")
        if _units(key) > KEY_UNITS:
            raise ValueError("A key of Azure Table storage has at most 1 KiB.")
    if len(row.values) > PROPERTIES:
        raise ValueError("A row of Azure Table storage has at most 252 properties beside its keys.")
    size = 4 + 2 * (_units(row.partition) + _units(row.key))
    for name, value in row.values.items():
        _check_name(name)
        size += 8 + 2 * len(name) + _check_value(name, value)
    if size > ROW_BYTES:
        raise ValueError("A row of Azure Table storage has at most 1 MiB.")
    return size


@cache
def _check_name(name: str) -> None:
    if not name.isidentifier() or len(name) > NAME_LENGTH:
        raise ValueError(f"{name[:40]!r} cannot be the name of a property in Azure Table storage.")


def _check_value(name: str, value: Value) -> int:
    """The bytes that a value takes."""
    if isinstance(value, str):
        units = _units(value)
        if units > PROPERTY_UNITS:
            raise ValueError(f"The property {name} is longer than 64 KiB.")
        return 4 + 2 * units
    if not -(2**31) <= value < 2**31:
        raise ValueError(f"The property {name} is no 32-bit number.")
    return 1 if isinstance(value, bool) else 4


def _units(text: str) -> int:
    """How long a text is in UTF-16."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


@dataclass
class MemoryInbox:
    """The `Inbox` in a dictionary of tables, in pages of `page` rows. It understands the conditions of watch."""

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    account: str = "inbox"
    page: int = 1000
    clock: Callable[[], datetime] | None = None
    """The storage's own clock; without it answers do not give the time."""

    def pages(self, table: str, condition: str, token: str = "") -> Iterator[Page]:
        if table not in self.tables:
            return
        rows = sorted(
            (row for row in self.tables[table] if _meets(row, condition)),
            key=lambda row: (row["PartitionKey"], row["RowKey"]),
        )
        start = int(token or 0)
        while True:
            end = start + self.page
            served_at = self.clock().replace(microsecond=0) if self.clock else None
            yield Page(rows[start:end], str(end) if end < len(rows) else "", served_at)
            if end >= len(rows):
                return
            start = end


def _meets(row: Mapping[str, Any], condition: str) -> bool:
    """Whether a row meets `PartitionKey eq 'x' and Timestamp ge datetime'…'`, either part, or none."""
    for part in filter(None, condition.split(" and ")):
        name, operator, value = part.split(" ", 2)
        if (name, operator) == ("PartitionKey", "eq"):
            if row[name] != value.strip("'"):
                return False
        elif (name, operator) == ("Timestamp", "ge"):
            if str(row[name]) < value.removeprefix("datetime").strip("'"):
                return False
        else:
            raise ValueError(f"The twin does not know the condition {part!r}.")
    return True


WORKING = timedelta(minutes=10)
"""How long the host hides a message that it works on (Azure/azure-webjobs-sdk, QueueListener): a killed process leaves
it hidden for the rest of that."""
VISIBLE_AGAIN = timedelta(minutes=2)
"""When a message comes back after its function raised: `visibilityTimeout` in host.json."""


@dataclass
class MemoryDoorbell:
    """The `Doorbell` in a list, on a clock that the test sets."""

    now: datetime
    waiting: list[tuple[datetime, str, str]] = field(default_factory=list)

    def ring(self, lead_id: str, destination: str, delay: float = 0.0) -> None:
        self.waiting.append((self.now + timedelta(seconds=delay), lead_id, destination))

    def take(self) -> tuple[str, str] | None:
        """Take the message that has waited longest and is visible now."""
        due = [message for message in self.waiting if message[0] <= self.now]
        if not due:
            return None
        first = min(due)
        self.waiting.remove(first)
        return first[1], first[2]

    def handle(self, work: Callable[[str, str], None]) -> bool:
        """Give the next visible message to `work`, as the host does; False where there is none.

        It is deleted when that has ended. After an Exception, which is raised on, it comes back in two minutes; after
        anything else the process is gone, and it comes back when its ten minutes are over.
        """
        message = self.take()
        if message is None:
            return False
        away = (self.now + WORKING, *message)
        self.waiting.append(away)
        try:
            work(*message)
        except Exception:
            self.waiting.remove(away)
            self.waiting.append((self.now + VISIBLE_AGAIN, *message))
            raise
        self.waiting.remove(away)
        return True
