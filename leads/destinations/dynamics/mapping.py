"""From a lead to rows of Dataverse: the columns of a record, the text of a note, the follow-up task.

Types and lengths are those of Microsoft's common data model (table `lead`, 12/2022). Lengths count UTF-16 units, as
Dataverse does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from leads import crm
from leads.crm import Constant
from leads.lead import Lead, Stage

Columns = dict[str, Any]

HOT, WARM, COLD = 1, 2, 3
RATING: Mapping[Stage, int] = {
    Stage.ACTIVE: HOT,
    Stage.TRIAL: WARM,
    Stage.INITIAL_INTEREST: COLD,
    Stage.DO_NOT_CONTACT: COLD,
}
"""`leadqualitycode` by stage; a lead of unknown stage leaves the rating to Dynamics."""

LOWER: Mapping[int, tuple[int | None, ...]] = {HOT: (WARM, COLD, None), WARM: (COLD, None), COLD: (None,)}
"""The ratings below each. One that an organization added of its own is never touched."""

LENGTHS: Mapping[str, int] = {
    "subject": 300,
    "firstname": 50,
    "lastname": 50,
    "companyname": 100,
    "jobtitle": 100,
    "address1_country": 80,
    "description": 2000,
}
WHOLE: Mapping[str, int] = {"emailaddress1": 100, "telephone1": 50, "websiteurl": 200}
"""Columns that are useless when cut: a longer value stands in the note only."""

NOTE_LENGTH = 100_000
TASK_DUE = timedelta(hours=24)
DO_NOT = ("donotemail", "donotbulkemail", "donotphone", "donotpostalmail", "donotsendmm")

_TAG = re.compile(r"<(?=[A-Za-z/!?])")


def record(lead: Lead, lead_source_code: int, owner: str, extra: Mapping[str, Constant]) -> Columns:
    """All columns of a new record."""
    contact = lead.contact
    title = crm.title(lead)
    offer = lead.offer_name
    texts = {
        "subject": ("TEST " if lead.is_test else "") + (f"{offer}: {title}" if offer else title),
        "firstname": contact.first_name,
        "lastname": contact.last_name,
        "emailaddress1": contact.email if "@" in contact.email else "",
        "telephone1": contact.phone,
        "companyname": contact.company,
        "jobtitle": contact.title,
        "address1_country": crm.country(contact.country),
        "websiteurl": crm.website(lead),
    }
    row: Columns = {column: fit(column, crm.line(value)) for column, value in texts.items()}
    row["lastname"] = fit("lastname", crm.last_name(lead))
    row["description"] = crm.description(lead, LENGTHS["description"])
    row |= {"leadsourcecode": lead_source_code, "leadqualitycode": RATING.get(lead.stage)}
    if owner:
        row["ownerid@odata.bind"] = owner
    row |= {column: crm.value_of(lead, constant) for column, constant in extra.items()}
    if lead.do_not_contact:
        row |= dict.fromkeys(DO_NOT, True)
    return {column: value for column, value in row.items() if value not in (None, "")}


def fit(column: str, value: str) -> str:
    """The value as it fits the column: cut, or nothing where a part of it is useless."""
    if column in WHOLE:
        return value if crm.units(value) <= WHOLE[column] else ""
    return crm.cut(value, LENGTHS[column])


def note(lead: Lead, record_id: str) -> Columns:
    """The note of one step: everything that is known of it, whole."""
    # Timelines show a note as HTML, and these are the words of a stranger: a space ends every tag before it begins.
    text = _TAG.sub("< ", crm.step_text(lead))
    return {
        "subject": crm.cut(crm.step_title(lead), 500),
        "notetext": crm.cut(text, NOTE_LENGTH),
        "objectid_lead@odata.bind": f"/leads({record_id})",
    }


def task(lead: Lead, record_id: str, owner: str, now: datetime) -> Columns:
    """The task of calling the customer back, due in 24 hours."""
    contact = lead.contact
    ways = [way for way in (contact.phone, contact.email) if way]
    lines = [
        f"{crm.sentence(lead)}.",
        f"Reach them at {' or '.join(ways)}." if ways else "No way to reach them came with the lead.",
        f"Their words: {lead.message}" if lead.message else "",
    ]
    row: Columns = {
        "subject": crm.cut(crm.clean(crm.sentence(lead)), 200),
        "description": crm.cut(crm.clean("\n".join(line for line in lines if line)), 2000),
        "scheduledend": f"{now + TASK_DUE:%Y-%m-%dT%H:%M:%SZ}",
        "regardingobjectid_lead_task@odata.bind": f"/leads({record_id})",
    }
    if owner:
        row["ownerid@odata.bind"] = owner
    return row
