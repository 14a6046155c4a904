"""Salesforce: one lead per customer and offer, each step of the customer a completed task on it; or Web-to-Lead."""

from __future__ import annotations

from collections.abc import Iterator

from leads.contract import Finding, Kind, Step
from leads.destinations.salesforce.records import record_url, send
from leads.destinations.salesforce.settings import SETTINGS, Settings
from leads.lead import Lead
from leads.transport import Deadline

__all__ = ["KIND", "SETTINGS", "TITLE", "Settings", "check", "preview", "record_url", "send"]

KIND = Kind.CRM
TITLE = "Salesforce"


def check(settings: Settings, deadline: Deadline) -> Iterator[Finding]:
    """Ask Salesforce whether leads could be written, without writing any. Raises nothing."""
    from leads.destinations.salesforce.checks import check as look

    return look(settings, deadline)


def preview(lead: Lead, step: Step, settings: Settings) -> str:
    """What `send` would write for a customer who has no record yet, as text."""
    from leads.destinations.salesforce.mapping import preview as text

    del step
    return text(lead, settings)
