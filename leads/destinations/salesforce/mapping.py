"""From a lead to records of Salesforce: the fields of a Lead, the Task of a step, the form of Web-to-Lead.

Lengths are those of the object reference for Lead and Task (developer.salesforce.com, Object Reference).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from leads import crm
from leads.destinations.salesforce.settings import Settings
from leads.lead import COUNTRIES, Lead, Stage

Values = dict[str, Any]
"""A record's fields by name."""

RATING: Mapping[Stage, str] = {
    Stage.ACTIVE: "Hot",
    Stage.TRIAL: "Warm",
    Stage.INITIAL_INTEREST: "Cold",
    Stage.DO_NOT_CONTACT: "Cold",
}
"""`Rating` by stage; a lead of unknown stage leaves it empty."""
ORDER = ("", "Cold", "Warm", "Hot")
"""Ratings from the lowest. One that an org added of its own is never touched."""

LENGTHS: Mapping[str, int] = {
    "FirstName": 40,
    "LastName": 80,
    "Company": 255,
    "Title": 128,
    "Country": 80,
    "LeadSource": 255,
    "Description": 32_000,
}
WHOLE: Mapping[str, int] = {"Email": 80, "Phone": 40, "Website": 255}
"""Fields that are useless when cut: a longer value stands in the task only."""
REQUIRED = frozenset({"LastName", "Company"})
"""Salesforce takes no lead without these."""
FILLED = ("FirstName", "Email", "Phone", "Title", "Website", "CountryCode", "Country")
"""What a later step adds to a record where it is empty."""
OPT_OUT = ("HasOptedOutOfEmail", "DoNotCall")
SOURCE = "Microsoft marketplace"
SUBJECT_LENGTH = 255

_FORM: Mapping[str, str] = {
    "FirstName": "first_name",
    "LastName": "last_name",
    "Company": "company",
    "Title": "title",
    "Email": "email",
    "Phone": "phone",
    "Website": "URL",
    "Country": "country",
    "LeadSource": "lead_source",
    "Description": "description",
    "Rating": "rating",
    "HasOptedOutOfEmail": "emailOptOut",
    "DoNotCall": "doNotCall",
}
"""What the standard fields are called in a form of Web-to-Lead."""


def key(lead: Lead, generation: int = 0) -> str:
    """The key of the record that the lead's customer has for its offer; another generation after a deletion."""
    return f"{key_stem(lead)}{generation}"


def key_stem(lead: Lead) -> str:
    """What the keys of all generations begin with. No character of it means anything in SOQL's LIKE."""
    return f"{lead.customer}-{sha256(crm.offer_key(lead).encode()).hexdigest()[:16]}-"


def record(lead: Lead, settings: Settings, *, codes: bool) -> Values:
    """All fields of a new Lead but its key. With `codes` the org has pick-lists of countries, which go by ISO code."""
    contact = lead.contact
    texts = {
        "FirstName": contact.first_name,
        "LastName": crm.last_name(lead),
        "Company": contact.company or crm.UNKNOWN,
        "Title": contact.title,
        "Email": contact.email if "@" in contact.email else "",
        "Phone": contact.phone,
        "Website": crm.website(lead),
        "Country": crm.country(contact.country),
        "LeadSource": SOURCE,
    }
    row: Values = {name: fit(name, crm.line(value)) for name, value in texts.items()}
    row["Company"] = row["Company"] or crm.UNKNOWN
    row["Description"] = crm.description(lead, LENGTHS["Description"])
    row["Rating"] = RATING.get(lead.stage)
    if codes and contact.country in COUNTRIES:
        row["CountryCode"] = contact.country
        del row["Country"]
    row |= {name: crm.value_of(lead, constant) for name, constant in settings.fields.items()}
    if lead.do_not_contact:
        row |= dict.fromkeys(OPT_OUT, True)
    return {name: value for name, value in row.items() if value not in (None, "")}


def fit(name: str, value: str) -> str:
    """The value as it fits the field: cut, or nothing where a part of it is useless."""
    if name in WHOLE:
        return value if crm.units(value) <= WHOLE[name] else ""
    return crm.cut(value, LENGTHS[name])


def task(lead: Lead, who: str, settings: Settings) -> Values:
    """The completed Task that says what the customer did: everything that is known of the step, whole."""
    test = "TEST " if lead.is_test else ""
    return {
        "Subject": crm.cut(f"{test}{crm.step_title(lead)}", SUBJECT_LENGTH),
        "Description": crm.cut(crm.step_text(lead), LENGTHS["Description"]),
        "Status": "Completed",
        "ActivityDate": f"{lead.created_at:%Y-%m-%d}",
        "WhoId": who,
        settings.step_key: lead.id,
    }


def form(lead: Lead, settings: Settings) -> dict[str, str]:
    """The form of Web-to-Lead. Its description has the whole step, since there is no task."""
    row = record(lead, settings, codes=False)
    if "Description" not in settings.fields:
        row["Description"] = crm.cut(crm.step_text(lead), LENGTHS["Description"])
    written = {name: "1" if value is True else "0" if value is False else str(value) for name, value in row.items()}
    return {"oid": settings.oid} | {_FORM.get(name, name): value for name, value in written.items()}


def preview(lead: Lead, settings: Settings) -> str:
    """What would be written, as JSON: the record where it is made, and the step on it; or the form."""
    if settings.web:
        shown = {"the form of Web-to-Lead": form(lead, settings)}
    else:
        made = {**record(lead, settings, codes=False), settings.lead_key: key(lead)}
        shown = {
            "the lead, where there is none yet": made,
            "the task on it": task(lead, "the lead's id", settings),
        }
    return json.dumps(shown, ensure_ascii=False, indent=2)
