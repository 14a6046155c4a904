"""Azure Table and Blob storage: the only module that imports azure.data.tables and azure.storage.blob.

The SDKs are imported at the first use of each, since not every function needs both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from leads.settings import Account
from leads.store.connections import transport
from leads.store.protocol import Blob, Changed, Exists, Row

if TYPE_CHECKING:
    from azure.data.tables import TableClient, TableServiceClient
    from azure.storage.blob import BlobServiceClient

_T = TypeVar("_T")

PAGE = 1000
"""Rows a page: the most that Azure Table storage returns in one answer."""

_CONNECT, _READ = 5, 20
"""Timeouts in seconds."""
_RETRIES: Mapping[str, Any] = {"retry_total": 3}
_BLOB_PAUSES: Mapping[str, Any] = {"initial_backoff": 1, "increment_base": 2, "random_jitter_range": 1}
"""Seconds. Left to itself the library of blobs waits a quarter of a minute before it tries again, and so does the
caller who waits for 202."""


class Clients:
    """The SDK's clients for one account, made when first asked for."""

    def __init__(self, account: Account) -> None:
        self._account = account
        # Threads that need the first client at once share it, with its connections and its TLS context.
        self._lock = Lock()

    @property
    def tables(self) -> TableServiceClient:
        with self._lock:
            return self._tables

    @property
    def blobs(self) -> BlobServiceClient:
        with self._lock:
            return self._blobs

    @cached_property
    def _credential(self) -> Any:
        from leads.oauth import ManagedIdentityCredential

        return ManagedIdentityCredential(self._account.client_id)

    @cached_property
    def _tables(self) -> TableServiceClient:
        from azure.data.tables import TableServiceClient

        options = {**_RETRIES, "raw_request_hook": _count, "transport": transport(_CONNECT, _READ)}
        if self._account.connection_string:
            return TableServiceClient.from_connection_string(self._account.connection_string, **options)
        return TableServiceClient(self._account.endpoints["table"], credential=self._credential, **options)

    @cached_property
    def _blobs(self) -> BlobServiceClient:
        from azure.storage.blob import BlobServiceClient

        options = {**_RETRIES, **_BLOB_PAUSES, "transport": transport(_CONNECT, _READ)}
        if self._account.connection_string:
            return BlobServiceClient.from_connection_string(self._account.connection_string, **options)
        return BlobServiceClient(self._account.endpoints["blob"], credential=self._credential, **options)


class AzureStore:
    """The `Store` in an Azure storage account, or in Azurite."""

    def __init__(self, account: Account) -> None:
        self._clients = Clients(account)
        self._table_clients: dict[str, TableClient] = {}

    def _table(self, name: str) -> TableClient:
        if name not in self._table_clients:
            self._table_clients[name] = self._clients.tables.get_table_client(name)
        return self._table_clients[name]

    def _write(self, table: str, operation: Callable[[TableClient], _T]) -> _T:
        from azure.core.exceptions import ResourceNotFoundError

        client = self._table(table)
        try:
            return operation(client)
        except ResourceNotFoundError:
            # Nothing but the table itself can be missing where a row is written whatever was there.
            self._clients.tables.create_table_if_not_exists(table)
            return operation(client)

    def insert(self, table: str, row: Row) -> str:
        from azure.core.exceptions import ResourceExistsError

        try:
            return str(self._write(table, lambda client: client.create_entity(_entity(row)))["etag"])
        except ResourceExistsError:
            # The library maps every 409 to this, also that of a table which is being deleted.
            if self.get(table, row.partition, row.key) is None:
                raise
            raise Exists from None

    def insert_all(self, table: str, rows: Sequence[Row]) -> None:
        from azure.core.exceptions import ResourceNotFoundError
        from azure.data.tables import TableTransactionError

        operations = [("create", _entity(row)) for row in rows]
        client = self._table(table)
        answers: list[Any] = []
        for first in (True, False):
            try:
                client.submit_transaction(operations, raw_response_hook=answers.append)
            except (TableTransactionError, ResourceNotFoundError) as error:
                if _code(error) == "EntityAlreadyExists":
                    if _repeated(answers) and all(map(partial(self._written, table), rows)):
                        return
                    raise Exists from None
                if _code(error) != "TableNotFound" or not first:
                    raise
                self._clients.tables.create_table_if_not_exists(table)
            else:
                return

    def upsert(self, table: str, row: Row) -> None:
        from azure.data.tables import UpdateMode

        self._write(table, lambda client: client.upsert_entity(_entity(row), mode=UpdateMode.REPLACE))

    def replace(self, table: str, row: Row) -> str:
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
        from azure.data.tables import UpdateMode

        answers: list[Any] = []
        try:
            return str(
                self._table(table).update_entity(
                    _entity(row),
                    mode=UpdateMode.REPLACE,
                    etag=row.etag,
                    match_condition=MatchConditions.IfNotModified,
                    raw_response_hook=answers.append,
                )["etag"]
            )
        except (ResourceModifiedError, ResourceNotFoundError):
            if _repeated(answers) and (own := self._written(table, row)):
                return own
            raise Changed from None

    def _written(self, table: str, row: Row) -> str:
        """The ETag of a row that stands as given, else nothing.

        The library asks again after a 500 or a lost answer; then its own first try, which took effect, is in the way.
        """
        there = self.get(table, row.partition, row.key)
        return there.etag if there is not None and there.values == row.values else ""

    def get(self, table: str, partition: str, key: str) -> Row | None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return _row(self._table(table).get_entity(partition, key))
        except ResourceNotFoundError:
            return None

    def delete(self, table: str, partition: str, key: str, etag: str = "") -> bool:
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError

        client = self._table(table)
        answers: list[Any] = []
        condition: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {}
        try:
            client.delete_entity(partition, key, raw_response_hook=answers.append, **condition)
        except ResourceModifiedError:
            raise Changed from None
        # The library takes it as done where there is nothing.
        return bool(answers) and answers[-1].http_response.status_code != 404

    def rows(self, table: str, partition: str, start: str = "", end: str = "") -> Iterator[Row]:
        condition = "PartitionKey eq @partition"
        if start:
            condition += " and RowKey ge @start"
        if end:
            condition += " and RowKey lt @end"
        return self._query(table, condition, {"partition": partition, "start": start, "end": end})

    def page(self, table: str, partition: str, most: int, columns: Sequence[str] = ()) -> tuple[Sequence[Row], bool]:
        from azure.core.exceptions import ResourceNotFoundError

        chosen = ["PartitionKey", "RowKey", *columns] if columns else None
        rows: list[Row] = []
        try:
            pages = (
                self._table(table)
                .query_entities(
                    "PartitionKey eq @partition",
                    parameters={"partition": partition},
                    select=chosen,
                    results_per_page=most,
                )
                .by_page()
            )
            # A page may be short, or empty, and still not be the last.
            while len(rows) < most and (found := next(pages, None)) is not None:
                rows += map(_row, found)
        except ResourceNotFoundError:
            return [], True
        return rows[:most], len(rows) <= most and not getattr(pages, "continuation_token", None)

    def rows_before(self, table: str, partition: str, start: str = "") -> Iterator[Row]:
        condition = "PartitionKey lt @partition" + (" and PartitionKey ge @start" if start else "")
        return self._query(table, condition, {"partition": partition, "start": start})

    def any_row(self, table: str) -> bool:
        return any(True for _ in self._query(table, "PartitionKey ge @partition", {"partition": ""}))

    def _query(self, table: str, condition: str, parameters: Mapping[str, str]) -> Iterator[Row]:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            for entity in self._table(table).query_entities(
                condition, parameters=dict(parameters), results_per_page=PAGE
            ):
                yield _row(entity)
        except ResourceNotFoundError:
            return

    def put_blob(self, container: str, name: str, data: bytes, metadata: Mapping[str, str]) -> bool:
        from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

        blob = self._clients.blobs.get_blob_client(container, name)
        for first in (True, False):
            try:
                blob.upload_blob(data, metadata=dict(metadata), overwrite=False)
            except ResourceExistsError as error:
                # The library maps every 409 to this, also that of a container which is being deleted.
                if _code(error) != "BlobAlreadyExists":
                    raise
                return False
            except ResourceNotFoundError as error:
                if _code(error) != "ContainerNotFound" or not first:
                    raise
                self._create_container(container)
            else:
                break
        return True

    def _create_container(self, container: str) -> None:
        from azure.core.exceptions import ResourceExistsError

        with contextlib.suppress(ResourceExistsError):
            self._clients.blobs.create_container(container)

    def get_blob(self, container: str, name: str) -> Blob | None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            stream = self._clients.blobs.get_blob_client(container, name).download_blob()
            return Blob(name, stream.readall(), dict(stream.properties.metadata or {}))
        except ResourceNotFoundError:
            return None

    def delete_blob(self, container: str, name: str) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            self._clients.blobs.get_blob_client(container, name).delete_blob()
        except ResourceNotFoundError:
            return

    def blobs(self, container: str, prefix: str, start: str = "") -> Iterator[tuple[str, Mapping[str, str]]]:
        from azure.core.exceptions import ResourceNotFoundError

        client = self._clients.blobs.get_container_client(container)
        beginning: dict[str, Any] = {"start_from": start} if start else {}
        try:
            for blob in client.list_blobs(prefix, include=["metadata"], **beginning):
                # Azurite knows nothing of `start_from`, and lists from the first blob on.
                if blob.name >= start:
                    yield blob.name, dict(blob.metadata or {})
        except ResourceNotFoundError:
            return


def _count(request: Any) -> None:
    request.context["tries"] = request.context.get("tries", 0) + 1


def _repeated(answers: Sequence[Any]) -> bool:
    """Whether the library sent the request of these answers more than once."""
    return bool(answers) and answers[-1].context.get("tries", 0) > 1


def _code(error: Exception) -> str:
    """The service's code for an error, which the SDKs give as text or as an enum."""
    code = getattr(error, "error_code", "")
    return str(getattr(code, "value", code))


def _entity(row: Row) -> dict[str, Any]:
    return {"PartitionKey": row.partition, "RowKey": row.key, **row.values}


def _row(entity: Any) -> Row:
    values = {key: value for key, value in entity.items() if key not in ("PartitionKey", "RowKey")}
    return Row(entity["PartitionKey"], entity["RowKey"], values, entity.metadata["etag"])
