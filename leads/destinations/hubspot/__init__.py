"""HubSpot: one contact per customer, each step of the customer a note on it."""

from __future__ import annotations

from collections.abc import Iterator

from leads.contract import Finding, Kind
from leads.destinations.hubspot.records import preview, record_url, send
from leads.destinations.hubspot.settings import SETTINGS, Settings
from leads.transport import Deadline

__all__ = ["KIND", "SETTINGS", "TITLE", "Settings", "check", "preview", "record_url", "send"]

KIND = Kind.CRM
TITLE = "HubSpot"


def check(settings: Settings, deadline: Deadline) -> Iterator[Finding]:
    """Ask HubSpot whether leads could be written, without writing any. Raises nothing."""
    from leads.destinations.hubspot.checks import check as look

    return look(settings, deadline)
