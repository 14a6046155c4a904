"""Structured log events: one JSON object a line, with fixed names and fields, and nothing in it that is personal.

They end in the table `traces` of Application Insights; the workbook and the alert rules of `infra/` query them by name.
The whole event is the message, since a message is all that every way there keeps: the host's, and OpenTelemetry's
(docs/adr/0010-opentelemetry.md). `EVENTS` is the whole vocabulary, and an event outside it is a bug.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

EVENTS: dict[str, tuple[str, ...]] = {
    "lead_accepted": ("lead", "via", "source", "action", "offer", "stage", "is_test", "destinations"),
    "lead_repeated": ("lead", "via"),
    "intake_failed": ("error",),
    "quarantined": ("blob", "via", "reason", "size"),
    "delivery_attempt": ("lead", "destination", "attempt", "outcome", "seconds", "cause", "remedy"),
    "delivery_finished": ("lead", "destination", "state", "attempts", "latency_seconds", "reason"),
    "delivery_internal_error": ("lead", "destination", "error"),
    "flood_noted": ("destination",),
    "summed_up": ("destination", "leads", "outcome"),
    "doorbell_failed": ("lead", "destination", "error"),
    "watch_ran": ("table", "rows", "accepted", "repeated", "quarantined", "backfilled", "full_scan"),
    "watch_failed": ("table", "error"),
    "sweep_ran": ("open", "oldest_open_seconds", "redone", "rung", "closed", "dead"),
    "sweep_failed": ("part", "error"),
    "purge_ran": ("purged",),
    "settings_problem": ("setting", "cause", "remedy"),
    "lead_stuck": ("lead", "reason"),
    "page_failed": ("error",),
    "operation_failed": ("operation", "error"),
    "operation_done": ("operation", "lead", "count", "operator", "way"),
    "signed_in": ("way", "operator"),
    "sign_in_refused": ("operator",),
    "replayed": ("lead", "destination"),
    "skipped": ("lead", "destination"),
    "forgotten": ("leads", "quarantined"),
    "digest_failed": ("cause", "remedy"),
    "offers_failed": ("part", "error"),
    "alert_failed": ("kind", "destination", "cause"),
    "alert": ("kind", "subject", "count", "since", "cause", "remedy"),
}

_INFORMATION = frozenset(
    {
        "lead_accepted",
        "lead_repeated",
        "delivery_attempt",
        "delivery_finished",
        "watch_ran",
        "sweep_ran",
        "purge_ran",
        "replayed",
        "skipped",
        "forgotten",
        "operation_done",
        "signed_in",
    }
)
_held: ContextVar[list[Callable[[], None]] | None] = ContextVar("held", default=None)
_logger = logging.getLogger("leads")
# The root logger lets pass what the process around it chose; an exporter inside the worker chooses nothing.
_logger.setLevel(logging.INFO)


def event(name: str, /, **fields: str | float | bool | datetime | None) -> None:
    """Log the event `name` with its fields. Raises KeyError for a name or a field outside the vocabulary."""
    unknown = fields.keys() - set(EVENTS[name])
    if unknown:
        raise KeyError(f"{name} has no field {', '.join(sorted(unknown))}")
    line = {"event": name} | {
        key: value.isoformat() if isinstance(value, datetime) else value for key, value in fields.items()
    }
    level = logging.INFO if name in _INFORMATION else logging.WARNING
    held = _held.get()
    if held is None:
        _logger.log(level, "%s", json.dumps(line, ensure_ascii=False))
    else:
        held.append(lambda: _logger.log(level, "%s", json.dumps(line, ensure_ascii=False)))


@contextmanager
def held() -> Iterator[list[Callable[[], None]]]:
    """Hold back what this thread logs; whoever gets the list calls each of it.

    The host knows a function's lines by the thread that it called, and would not add those of another to its trace
    (learn.microsoft.com/azure/azure-functions/functions-reference-python#log-from-created-threads).
    """
    lines: list[Callable[[], None]] = []
    token = _held.set(lines)
    try:
        yield lines
    finally:
        _held.reset(token)
