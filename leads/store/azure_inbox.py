"""The watched tables in Azure Table storage, which are only ever read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

from leads.settings import Account
from leads.store.azure import PAGE, Clients
from leads.store.protocol import Page


class AzureInbox:
    """The `Inbox` in an Azure storage account, or in Azurite."""

    def __init__(self, account: Account) -> None:
        self.account = account.name
        self._clients = Clients(account)

    def pages(self, table: str, condition: str, token: str = "") -> Iterator[Page]:
        """All pages of rows that meet `condition`, from `token` on; from the beginning where the service refuses it."""
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        client = self._clients.tables.get_table_client(table)
        start = json.loads(token) if token else None
        dates: list[str] = []

        def note(answer: Any) -> None:
            dates.append(answer.http_response.headers.get("Date", ""))

        pages = client.query_entities(condition, results_per_page=PAGE, raw_response_hook=note).by_page(start)
        try:
            for page in pages:
                token = ""
                rows = [_inbox_row(entity) for entity in page]
                following = getattr(pages, "continuation_token", None)
                served_at = parsedate_to_datetime(dates[-1]) if dates and dates[-1] else None
                yield Page(rows, json.dumps(following) if following else "", served_at)
        except ResourceNotFoundError:
            return
        except HttpResponseError as error:
            if not token or error.status_code != 400:
                raise
            # A token that outlived what it points to: to begin again costs time, and to ask again would never end.
            yield from self.pages(table, condition)


def _inbox_row(entity: Any) -> dict[str, Any]:
    """Keep the row's time as the service wrote it: a datetime would lose its seventh digit."""
    stamp = entity.metadata["timestamp"]
    return {**entity, "Timestamp": getattr(stamp, "tables_service_value", None) or stamp.isoformat()}
