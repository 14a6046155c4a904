"""Marketo Engage: one person per customer, each step of the customer an activity; or a form, as Microsoft does."""

from __future__ import annotations

from collections.abc import Iterator

from leads.contract import Finding, Kind
from leads.destinations.marketo.records import preview, record_url, send
from leads.destinations.marketo.settings import SETTINGS, Settings
from leads.transport import Deadline

__all__ = ["KIND", "SETTINGS", "TITLE", "Settings", "check", "preview", "record_url", "send"]

KIND = Kind.CRM
TITLE = "Marketo"


def check(settings: Settings, deadline: Deadline) -> Iterator[Finding]:
    """Ask Marketo whether leads could be written, without writing any. Raises nothing."""
    from leads.destinations.marketo.checks import check as look

    return look(settings, deadline)
