"""What the way of a lead needs of tables and blobs: few operations, each idempotent or conditional.

The real ones are in `azure` and `azure_inbox`, their twins in memory in `testing`; both pass the same contract tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

Value = str | int | bool


class Exists(Exception):
    """A row of that key is there already."""


class Changed(Exception):
    """The row is not the one that was read: somebody else changed or deleted it in between."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table of ours."""

    partition: str
    key: str
    values: Mapping[str, Value] = field(default_factory=dict)
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Blob:
    """One blob with what was noted beside its bytes."""

    name: str
    data: bytes
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the watched table, and where the next one begins; an empty token says that it was the last."""

    rows: Sequence[Mapping[str, Any]]
    token: str
    served_at: datetime | None = None
    """When the storage answered, by its own clock and to the second."""


class Store(Protocol):
    """Our own storage account. Tables and containers come into being at the first write."""

    def insert(self, table: str, row: Row) -> str:
        """Add a row and return its ETag. Raises Exists."""

    def insert_all(self, table: str, rows: Sequence[Row]) -> None:
        """Add rows of one partition, all or none. Raises Exists when any of them is there."""

    def upsert(self, table: str, row: Row) -> None:
        """Write a row, whatever was there before."""

    def replace(self, table: str, row: Row) -> str:
        """Write a row that still has `row.etag`, and return its new ETag. Raises Changed."""

    def get(self, table: str, partition: str, key: str) -> Row | None:
        """Read one row."""

    def delete(self, table: str, partition: str, key: str, etag: str = "") -> bool:
        """Delete a row, and say whether it was there; a missing one is fine, and may be one that an answer that was
        lost has deleted already. With `etag`, raises Changed when the row has another one.
        """

    def rows(self, table: str, partition: str, start: str = "", end: str = "") -> Iterator[Row]:
        """All rows of a partition in the order of their keys, from `start` (included) to `end` (excluded)."""

    def page(self, table: str, partition: str, most: int, columns: Sequence[str] = ()) -> tuple[Sequence[Row], bool]:
        """The first rows of a partition in the order of their keys, `most` (up to 1,000) of them, and whether these
        are all. With `columns` only those are read.
        """

    def rows_before(self, table: str, partition: str, start: str = "") -> Iterator[Row]:
        """All rows of the partitions that sort before `partition`, from the partition `start` on."""

    def any_row(self, table: str) -> bool:
        """Whether the table holds anything."""

    def put_blob(self, container: str, name: str, data: bytes, metadata: Mapping[str, str]) -> bool:
        """Write a blob once; False when one of that name is there already, which then stays as it is."""

    def get_blob(self, container: str, name: str) -> Blob | None:
        """Read a blob."""

    def delete_blob(self, container: str, name: str) -> None:
        """Delete a blob; a missing one is fine."""

    def blobs(self, container: str, prefix: str, start: str = "") -> Iterator[tuple[str, Mapping[str, str]]]:
        """Names and metadata of all blobs with names that begin with `prefix`, in order, from the name `start` on."""


class Inbox(Protocol):
    """The storage that Microsoft writes its rows to. It is only ever read."""

    account: str

    def pages(self, table: str, condition: str, token: str = "") -> Iterator[Page]:
        """All pages of rows that meet the OData `condition`, also empty ones, from `token` on.

        A table that does not exist has no pages: Microsoft makes it with the first lead.
        """
