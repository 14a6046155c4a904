"""Dynamics 365 Sales: one record of the table `lead` per customer and offer, each step of the customer a note on it."""

from __future__ import annotations

from collections.abc import Iterator

from leads.contract import Finding, Kind
from leads.destinations.dynamics.records import preview, record_id, record_url, send
from leads.destinations.dynamics.settings import SETTINGS, Settings
from leads.transport import Deadline

__all__ = ["KIND", "SETTINGS", "TITLE", "Settings", "check", "preview", "record_id", "record_url", "send"]

KIND = Kind.CRM
TITLE = "Dynamics 365"


def check(settings: Settings, deadline: Deadline) -> Iterator[Finding]:
    """Ask Dynamics whether leads could be written, without writing any. Raises nothing."""
    from leads.destinations.dynamics.checks import check as look

    return look(settings, deadline)
