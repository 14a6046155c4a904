"""The queue that says «look at this delivery»: the only module that imports azure.storage.queue.

The store is the truth and the queue is a doorbell: a message carries ids only, never expires, and may be lost,
doubled or late without harm. The twin in memory is `leads.store.testing.MemoryDoorbell`.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from leads.settings import DESTINATION, Account

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient

QUEUE = "lead-deliveries"
POISON_QUEUE = "lead-deliveries-poison"
LONGEST_DELAY = 86_400.0
"""Seconds; the queue itself would take seven days."""

_LEAD_ID = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}")


class Doorbell(Protocol):
    """What rings for deliveries."""

    def ring(self, lead_id: str, destination: str, delay: float = 0.0) -> None:
        """Ask that a delivery be looked at, in `delay` seconds (at most a day) at the earliest."""


class QueueDoorbell:
    """The `Doorbell` on an Azure Storage queue, or on Azurite's."""

    def __init__(self, account: Account) -> None:
        self._account = account
        # One client for all threads, which keeps its connection: a ring costs one round trip and no handshake.
        self._lock = Lock()

    @cached_property
    def _queue(self) -> QueueClient:
        from azure.storage.queue import QueueClient, TextBase64DecodePolicy, TextBase64EncodePolicy

        from leads.store.connections import transport

        options: dict[str, Any] = {
            # host.json says messageEncoding base64; a plain message would go straight to the poison queue.
            "message_encode_policy": TextBase64EncodePolicy(),
            "message_decode_policy": TextBase64DecodePolicy(),
            "transport": transport(5, 10),
            "retry_total": 1,
            # Left to itself the library waits a quarter of a minute, and so does the caller who waits for 202.
            "initial_backoff": 1,
            "random_jitter_range": 1,
        }
        if self._account.connection_string:
            return QueueClient.from_connection_string(self._account.connection_string, QUEUE, **options)
        from leads.oauth import ManagedIdentityCredential

        credential = ManagedIdentityCredential(self._account.client_id)
        return QueueClient(self._account.endpoints["queue"], QUEUE, credential=credential, **options)

    def ring(self, lead_id: str, destination: str, delay: float = 0.0) -> None:
        from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

        with self._lock:
            queue = self._queue
        text = message(lead_id, destination)
        visibility = math.ceil(min(max(delay, 0.0), LONGEST_DELAY))
        try:
            queue.send_message(text, visibility_timeout=visibility, time_to_live=-1)
        except ResourceNotFoundError:
            with contextlib.suppress(ResourceExistsError):
                queue.create_queue()
            queue.send_message(text, visibility_timeout=visibility, time_to_live=-1)


def message(lead_id: str, destination: str) -> str:
    """The text of a message: ids only."""
    return json.dumps({"lead": lead_id, "destination": destination})


def read(text: str | bytes) -> tuple[str, str] | None:
    """The lead id and destination in a message, or None when the message is not ours."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    lead_id, destination = content.get("lead"), content.get("destination")
    if (
        isinstance(lead_id, str)
        and isinstance(destination, str)
        and _LEAD_ID.fullmatch(lead_id)
        and DESTINATION.fullmatch(destination)
    ):
        return lead_id, destination
    return None
