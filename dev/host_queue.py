"""Queue triggers of the local host, with the visibility, dequeue counts and poison moves of Azure's queue extension.

As there: a message is invisible for ten minutes while it is worked on; deleted after a good call; after a bad one
visible again after `visibilityTimeout`; after `maxDequeueCount` bad ones copied to `<queue>-poison`, where it expires
after seven days. A poison queue has none of its own: there, a message whose call fails stays invisible for the rest
of its ten minutes and is tried again for ever. A message that is not base64 goes to the poison queue uncalled.
(Azure/azure-webjobs-sdk, QueueListener and QueueProcessor.) A call of more than ten minutes is not modelled.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
import random
import threading
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.functions import queue as functions_queue
from azure.storage.queue import LinearRetry, QueueClient
from azure.storage.queue import QueueMessage as Stored

from dev.host_functions import Function, HostError, resolve

log = logging.getLogger("host")

WORKING = timedelta(minutes=10)
POISON_LIFE = timedelta(days=7)
_SHORTEST_POLL = 0.1
_Message: Any = functions_queue.QueueMessage
"""It has no types of its own."""


@dataclass(frozen=True, slots=True)
class Options:
    """`extensions.queues` of host.json, with Azure's defaults; times in seconds."""

    batch: int = 16
    threshold: int = 8
    tries: int = 5
    visibility: float = 0.0
    longest_poll: float = 60.0
    base64: bool = True

    @classmethod
    def read(cls, host_json: Mapping[str, Any]) -> Options:
        """Read them. Raises HostError for what Azure would refuse."""
        queues = host_json.get("extensions", {}).get("queues", {})
        batch = int(queues.get("batchSize", 16))
        if not 1 <= batch <= 32:
            raise HostError("host.json: extensions.queues.batchSize must be 1 to 32.")
        encoding = str(queues.get("messageEncoding", "base64")).lower()
        if encoding not in ("base64", "none"):
            raise HostError("host.json: extensions.queues.messageEncoding must be base64 or none.")
        return cls(
            batch,
            int(queues.get("newBatchThreshold", batch // 2)),
            int(queues.get("maxDequeueCount", 5)),
            _seconds(str(queues.get("visibilityTimeout", "00:00:00"))),
            max(_SHORTEST_POLL, _seconds(str(queues.get("maxPollingInterval", "00:01:00")))),
            encoding == "base64",
        )


def _seconds(span: str) -> float:
    try:
        hours, minutes, seconds = span.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        raise HostError(f"host.json: '{span}' is no time of the form hh:mm:ss.") from None


class Listener(threading.Thread):
    """Gives the messages of one queue to one function, several at a time, until `stopping` is set."""

    def __init__(self, function: Function, options: Options, stopping: threading.Event) -> None:
        super().__init__(name=function.name, daemon=True)
        self.queue_name = resolve(str(function.trigger["queueName"]))
        setting = str(function.trigger.get("connection") or "AzureWebJobsStorage")
        connection = os.environ.get(setting, "")
        if not connection:
            raise HostError(f"{setting} is not set. The local host needs a connection string and knows no other form.")
        self._function = function
        self._options = options
        self._stopping = stopping
        # Messages are read and copied as they are: decoding is up to us, since a failure means poison.
        self._queue = _client(connection, self.queue_name)
        self._poison = None
        if not self.queue_name.endswith("-poison"):
            self._poison = _client(connection, f"{self.queue_name}-poison")

    def run(self) -> None:
        """Poll and call. A storage that does not answer is polled again; nothing is lost by that."""
        running: set[Future[None]] = set()
        pause = _SHORTEST_POLL
        with ThreadPoolExecutor(self._options.batch + self._options.threshold, self.name) as pool:
            while not self._stopping.is_set():
                messages = self._receive()
                running |= {pool.submit(self._work, message) for message in messages}
                if messages:
                    pause = _SHORTEST_POLL
                    while len(running) > self._options.threshold:
                        running = wait(running, return_when=FIRST_COMPLETED).not_done
                else:
                    self._stopping.wait(pause)
                    pause = min(self._options.longest_poll, pause * random.uniform(1.6, 2.4))

    def _receive(self) -> list[Stored]:
        try:
            pages = self._queue.receive_messages(
                messages_per_page=self._options.batch, visibility_timeout=int(WORKING.total_seconds())
            ).by_page()
            return list(next(pages, ()))
        except ResourceNotFoundError:
            _create(self._queue)
        except AzureError as error:
            log.warning("The queue %s cannot be read (%s). Trying again.", self.queue_name, type(error).__name__)
        return []

    def _work(self, message: Stored) -> None:
        try:
            body = self._body(message)
            if body is None:
                log.warning("A message in %s is not base64.", self.queue_name)
                self._move_to_poison(message)
            elif self._call(message, body):
                self._queue.delete_message(message)
            elif self._poison is None:
                return
            elif (message.dequeue_count or 0) >= self._options.tries:
                self._move_to_poison(message)
            else:
                self._queue.update_message(message, visibility_timeout=int(self._options.visibility))
        except ResourceNotFoundError:
            log.warning("A message in %s was worked on by someone else meanwhile.", self.queue_name)
        except AzureError as error:
            # It becomes visible again by itself.
            log.warning("A message in %s could not be completed (%s).", self.queue_name, type(error).__name__)

    def _body(self, message: Stored) -> bytes | None:
        content = str(message.content)
        if not self._options.base64:
            return content.encode()
        try:
            return base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError):
            return None

    def _call(self, message: Stored, body: bytes) -> bool:
        given = _Message(
            id=message.id,
            body=body,
            dequeue_count=message.dequeue_count,
            expiration_time=message.expires_on,
            insertion_time=message.inserted_on,
            time_next_visible=message.next_visible_on,
            pop_receipt=message.pop_receipt,
        )
        try:
            self._function.run(given, f"New queue message detected on '{self.queue_name}'.")
        except Exception:
            return False
        return True

    def _move_to_poison(self, message: Stored) -> None:
        if self._poison is None:
            return
        log.warning("Moving a message from %s to %s-poison.", self.queue_name, self.queue_name)
        life = int(POISON_LIFE.total_seconds())
        try:
            self._poison.send_message(message.content, time_to_live=life)
        except ResourceNotFoundError:
            _create(self._poison)
            self._poison.send_message(message.content, time_to_live=life)
        self._queue.delete_message(message)


def _client(connection: str, name: str) -> QueueClient:
    # The libraries' own retries wait for a minute, which would hold up the end of the host.
    retries = LinearRetry(backoff=1, retry_total=3)
    try:
        return QueueClient.from_connection_string(connection, name, retry_policy=retries)
    except ValueError:
        raise HostError(f"The connection string for the queue {name} cannot be read. Paste it whole.") from None


def _create(queue: QueueClient) -> None:
    try:
        queue.create_queue()
        log.info("Made the queue %s, which was missing.", queue.queue_name)
    except ResourceExistsError:
        return
    except AzureError as error:
        log.warning("The queue %s could not be made (%s).", queue.queue_name, type(error).__name__)
