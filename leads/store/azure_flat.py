"""A table that people look into with Excel and Power BI: one flat row a lead, in an account of theirs.

Unlike the store, it fails as a destination does: with a `leads.errors.Failure`, before its deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from leads import transport
from leads.errors import Failure, Misconfigured, Rejected, Transient
from leads.settings import Account
from leads.store.azure import Clients
from leads.transport import CONNECT_SECONDS, READ_SECONDS, Deadline, Response

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError
    from azure.data.tables import TableClient, TableServiceClient

_T = TypeVar("_T")

_REMEDIES = {
    "AuthenticationFailed": (
        "The storage account refuses the key.",
        "Copy the connection string again from Access keys of the account into TABLE_STORAGE.",
    ),
    "AuthorizationFailure": (
        "The storage account's firewall refuses this app.",
        "Let the app in under Networking of the account that TABLE_STORAGE names.",
    ),
    "AuthorizationPermissionMismatch": (
        "The app's identity lacks a role on the storage account.",
        "Give it Storage Table Data Contributor on the account that TABLE_STORAGE names.",
    ),
    "KeyBasedAuthenticationNotPermitted": (
        "The storage account does not allow access by key.",
        "Allow storage account key access in its Configuration, or name it by TABLE_STORAGE__accountName instead.",
    ),
    "AccountIsDisabled": (
        "The storage account is disabled.",
        "Check whether its Azure subscription is disabled or over its spending limit.",
    ),
}


class FlatTable:
    """The table `name` in `account`. It comes into being at the first write."""

    def __init__(self, account: Account, name: str) -> None:
        self._account = account
        self._name = name

    def write(self, partition: str, key: str, values: Mapping[str, Any], deadline: Deadline) -> None:
        """Write a row, whatever was there before. Aware times become `Edm.DateTime`. Raises a Failure."""
        from azure.core.exceptions import ResourceNotFoundError
        from azure.data.tables import UpdateMode

        entity = {"PartitionKey": partition, "RowKey": key, **values}

        def work(service: TableServiceClient, table: TableClient, options: Mapping[str, Any]) -> None:
            try:
                table.upsert_entity(entity, mode=UpdateMode.REPLACE, **options)
            except ResourceNotFoundError:
                service.create_table_if_not_exists(self._name, **options)
                table.upsert_entity(entity, mode=UpdateMode.REPLACE, **options)

        self._within(deadline, work)

    def erase(self, partition: str, key: str, deadline: Deadline) -> None:
        """Delete a row; a missing one is fine. Raises a Failure."""
        from azure.core.exceptions import ResourceNotFoundError

        def work(_: TableServiceClient, table: TableClient, options: Mapping[str, Any]) -> None:
            try:
                table.delete_entity(partition, key, **options)
            except ResourceNotFoundError:
                return

        self._within(deadline, work)

    def keys(self, column: str, value: str, deadline: Deadline) -> list[tuple[str, str]]:
        """The keys of all rows that have `value` in a column. It reads the whole table. Raises a Failure."""
        from azure.core.exceptions import ResourceNotFoundError

        def work(_: TableServiceClient, table: TableClient, options: Mapping[str, Any]) -> list[tuple[str, str]]:
            condition, wanted = f"{column} eq @value", {"value": value}
            try:
                found = table.query_entities(condition, parameters=wanted, select=["PartitionKey", "RowKey"], **options)
                return [(row["PartitionKey"], row["RowKey"]) for row in found]
            except ResourceNotFoundError:
                return []

        return self._within(deadline, work)

    def _within(
        self, deadline: Deadline, work: Callable[[TableServiceClient, TableClient, Mapping[str, Any]], _T]
    ) -> _T:
        from azure.core.exceptions import AzureError

        left = deadline.remaining()
        options = {
            "retry_total": 0,
            "connection_timeout": min(CONNECT_SECONDS, left),
            "read_timeout": min(READ_SECONDS, left),
        }

        def task() -> _T:
            with Clients(self._account).tables as service:
                return work(service, service.get_table_client(self._name), options)

        try:
            # The library bounds each read of the socket, and neither all of them together nor the look-up of a name.
            return transport.within(left, task)
        except TimeoutError:
            raise Transient(
                "The storage account did not answer in time.", "Nothing to do: the app tries again.", unanswered=True
            ) from None
        except ValueError:
            raise Misconfigured(
                "The connection string of the storage account cannot be read.",
                "Copy it again from Access keys of the account into TABLE_STORAGE, whole and unchanged.",
            ) from None
        except AzureError as error:
            raise _failure(error) from None


def _failure(error: AzureError) -> Failure:
    """What went wrong, in our own words: the library's quote the request."""
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ServiceResponseError

    code = getattr(error, "error_code", "")
    code = str(getattr(code, "value", code) or "")
    if code in _REMEDIES:
        return Misconfigured(*_REMEDIES[code])
    if not isinstance(error, HttpResponseError) or error.status_code is None:
        if isinstance(error, ClientAuthenticationError):
            return Misconfigured(
                "The app's managed identity gets no token for the storage account.",
                "Check that the identity exists; TABLE_STORAGE__clientId names a user-assigned one.",
            )
        return Transient(
            "No connection to the storage account could be made, or it broke.",
            "The app tries again. If it keeps failing, check the account's name in TABLE_STORAGE.",
            unanswered=isinstance(error, ServiceResponseError),
        )
    status = error.status_code
    answered: Mapping[str, str] = getattr(error.response, "headers", None) or {}
    headers = {name.lower(): value for name, value in answered.items()}
    detail = f"{status} {code}".strip()
    passing = transport.refusal(Response(status, headers, b""), "The storage account", datetime.now(UTC), detail)
    if passing:
        return passing
    if status == 409:
        return Transient(f"The table is being deleted ({detail}).", "Nothing to do: the app tries again.")
    if status in (400, 413):
        return Rejected(
            f"The table does not take the row ({detail}).",
            "Look the lead up on the page, and report this as a bug: rows are kept within the table's limits.",
        )
    return Misconfigured(
        f"The storage account did not take the row ({detail}).",
        "Check TABLE_STORAGE: it must be the connection string of a storage account with tables, or name one.",
    )
