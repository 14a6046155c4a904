"""A flat Azure Table for Excel and Power BI: one row a lead, typed, its contact in columns of their own.

Keys sort by arrival: `PartitionKey` is the month, `RowKey` begins with the second. A row is written whole each time, so
a repeated lead is one row, and what people change in it is lost with a replay. `remote_id` is both keys.
Facts: learn.microsoft.com/power-query/connectors/azure-table-storage; "Understanding the Table service data model" for
the limits (64 KiB a text, 1 MiB a row).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from leads.contract import Finding, Kind, Step
from leads.errors import Failure
from leads.lead import Lead
from leads.messages.plain import block, line
from leads.reader import Reader, Setting
from leads.settings import INBOX_TABLES, OWN_TABLES, Account, account, account_settings
from leads.store.azure_flat import FlatTable
from leads.transport import Deadline

KIND = Kind.FEED
TITLE = "Table"
NAME = "leadsflat"
SETTINGS = (
    *(
        replace(setting, own=True)
        for setting in account_settings(
            "TABLE_STORAGE", "The storage account with the table: its connection string. Best one of its own"
        )
    ),
    Setting("TABLE_NAME", "The table, in small letters and digits", NAME),
    INBOX_TABLES,
)

_NAME = re.compile(r"[a-z][a-z0-9]{2,62}")
_TAKEN = OWN_TABLES | {"marketplaceleads"}
"""The app's own tables and Microsoft's, whatever account they are in."""
_TEXT, _LONG_TEXT = 8_000, 16_000
"""Characters of a text, and of what the app does not know: within the limits of a row, and of a cell of Excel."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Which table."""

    storage: Account | None = None
    name: str = NAME

    @classmethod
    def read(cls, reader: Reader) -> Settings:
        """Read TABLE_STORAGE in either form, TABLE_NAME and LEADS_INBOX_TABLES, noting every problem."""
        known = len(reader.problems)
        storage = account(reader, "TABLE_STORAGE")
        if storage is None and len(reader.problems) == known:
            reader.problem(
                "TABLE_STORAGE",
                "It is not set.",
                "Set a storage account's connection string, or TABLE_STORAGE__accountName with a managed identity.",
            )
        name = reader.text("TABLE_NAME", NAME)
        if not _NAME.fullmatch(name):
            reader.problem(
                "TABLE_NAME",
                "It cannot be the name of the table.",
                "Use 3 to 63 lowercase letters and digits, starting with a letter: Power BI finds no others when it "
                "signs in with an account of your organization.",
            )
        elif name in _TAKEN:
            reader.problem("TABLE_NAME", "The app keeps something else in a table of this name.", "Use another name.")
        elif name in (watched.lower() for watched in reader.items(INBOX_TABLES.name)):
            # Each row would come in as a lead, which makes the next row.
            reader.problem("TABLE_NAME", "LEADS_INBOX_TABLES has a table of this name.", "Use another name.")
        return cls(storage, name)


def send(lead: Lead, step: Step, settings: Settings) -> str:
    """Write the row of `lead`, and return its keys."""
    partition, key = _keys(lead)
    _table(settings).write(partition, key, columns(lead, old=step.old), step.deadline)
    return f"{partition}/{key}"


def preview(lead: Lead, step: Step, settings: Settings) -> str:
    """The row, as `send` would write it, a column on each line."""
    del settings
    row = dict(zip(("PartitionKey", "RowKey"), _keys(lead), strict=True)) | columns(lead, old=step.old)
    return "\n".join(f"{name}: {_shown(value)}" for name, value in row.items())


def erase(lead_id: str, remote_id: str, deadline: Deadline, settings: Settings) -> None:
    """Delete the row of a lead; none is fine. Without its keys the table is searched. Raises a Failure."""
    table = _table(settings)
    partition, _, key = remote_id.partition("/")
    known = [(partition, key)] if key.endswith(lead_id) else table.keys("LeadId", lead_id, deadline)
    for found in known:
        table.erase(*found, deadline)


def check(settings: Settings, deadline: Deadline) -> Iterator[Finding]:
    """Look whether rows can be read and written, by looking for one and deleting one that there never was."""
    table = _table(settings)
    for name, look in (
        ("read", lambda: table.keys("PartitionKey", "check", deadline)),
        ("write", lambda: table.erase("check", "check", deadline)),
    ):
        try:
            look()
        except Failure as failure:
            yield Finding(name, ok=False, cause=failure.cause, remedy=failure.remedy)
            return
        yield Finding(name, ok=True)


def columns(lead: Lead, *, old: bool) -> dict[str, str | bool | datetime]:
    """The columns of a lead, the same ones for each: an empty text is stored too, so that no column comes and goes."""
    contact = lead.contact
    return {
        "LeadId": lead.id,
        "Customer": lead.customer,
        "Arrived": lead.arrived_at.astimezone(UTC),
        "Created": lead.created_at.astimezone(UTC),
        "Via": lead.via.value,
        "Stage": lead.stage.value,
        "Source": line(lead.source, _TEXT, links=True),
        "Action": line(lead.action, _TEXT, links=True),
        "Offer": line(lead.offer, _TEXT, links=True),
        "OfferTitle": line(lead.offer_title, _TEXT, links=True),
        "FirstName": line(contact.first_name, _TEXT, links=True),
        "LastName": line(contact.last_name, _TEXT, links=True),
        "Email": line(contact.email, _TEXT, links=True),
        "Phone": line(contact.phone, _TEXT, links=True),
        "Country": line(contact.country, _TEXT, links=True),
        "Company": line(contact.company, _TEXT, links=True),
        "JobTitle": line(contact.title, _TEXT, links=True),
        "Message": block(lead.message, _TEXT, links=True),
        "Campaign": line("; ".join(f"{name}={value}" for name, value in lead.campaign.items()), _TEXT, links=True),
        "IsTest": lead.is_test,
        "IsOld": old,
        "DoNotContact": lead.do_not_contact,
        "ContactWithheld": lead.contact_withheld,
        "Issues": line("; ".join(lead.issues), _TEXT, links=True),
        "Extra": line(json.dumps(dict(lead.extra), ensure_ascii=False) if lead.extra else "", _LONG_TEXT, links=True),
    }


def _keys(lead: Lead) -> tuple[str, str]:
    arrived = lead.arrived_at.astimezone(UTC)
    return f"{arrived:%Y-%m}", f"{arrived:%Y%m%dT%H%M%SZ}-{lead.id}"


def _table(settings: Settings) -> FlatTable:
    if settings.storage is None:
        raise ValueError("A destination with wrong settings is never asked to send.")
    return FlatTable(settings.storage, settings.name)


def _shown(value: str | bool | datetime) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
