"""Dynamics 365 Sales: one record of the table `lead` per customer and offer, each step of the customer a note on it."""

from __future__ import annotations

from leads.contract import Kind
from leads.destinations.dynamics.checks import check
from leads.destinations.dynamics.records import likely_record, record_id, record_url, send
from leads.destinations.dynamics.settings import Settings

__all__ = ["KIND", "Settings", "check", "likely_record", "record_id", "record_url", "send"]

KIND = Kind.CRM
