"""From a lead to Marketo: the fields of a person, the fields of a form, and the activity of a step.

Field names are those of Marketo's REST API (experienceleague.adobe.com, "List of standard fields"); its string fields
hold 255 characters, the attributes of an activity 65,536 bytes together (error 1049), an address ASCII only ("Leads").
"""

from __future__ import annotations

import json
from typing import Any

from leads import crm
from leads.destinations.marketo.settings import Settings
from leads.lead import Lead
from leads.messages import plain

Fields = dict[str, Any]

LINE = 255
"""Units of a field. What is longer stands whole in the activity's text."""
ATTRIBUTES = 60_000
"""Bytes of an activity's attributes as JSON, some way below the limit."""
LEAD_SOURCE = "Microsoft marketplace"
NEVER_UPDATED = frozenset({"email", "company", "unsubscribed", "doNotCall"})
"""Fields that are written into a new person only: the key; companies, which Sync Leads does not update; the flags."""


def email(lead: Lead) -> str:
    """The lead's address; empty where Marketo could not take it: it wants ASCII, and looks it up in a list."""
    address = lead.contact.email
    return address if plain.is_address(address) and len(address) <= LINE else ""


def person(lead: Lead, settings: Settings) -> Fields:
    """The fields of a new person. A do-not-contact lead sets both flags."""
    contact = lead.contact
    made: Fields = {
        "email": email(lead),
        "firstName": _fit(contact.first_name),
        "lastName": _fit(contact.last_name),
        "company": _fit(contact.company),
        "title": _fit(contact.title),
        "phone": crm.line(contact.phone) if crm.units(contact.phone) <= LINE else "",
        "country": _fit(crm.country(contact.country)),
        "leadSource": LEAD_SOURCE,
        **{name: crm.value_of(lead, constant) for name, constant in settings.fields.items()},
    }
    if lead.do_not_contact:
        made |= {"unsubscribed": True, "doNotCall": True}
    return {name: _clean(value) for name, value in made.items() if value not in (None, "")}


def form(lead: Lead, settings: Settings) -> Fields:
    """The fields of a form. It overwrites what is there, so no flag is among them: one could be somebody's choice."""
    return {name: value for name, value in person(lead, settings).items() if name not in ("unsubscribed", "doNotCall")}


def activity(lead: Lead, person_id: int, settings: Settings) -> Fields:
    """The activity of a step: its primary attribute is the lead id, by which it is found again."""
    title = f"{'TEST. ' if lead.is_test else ''}{crm.title(lead)}"
    text, size = crm.step_text(lead), ATTRIBUTES
    while len(json.dumps(text)) > ATTRIBUTES:
        size = size * 3 // 4
        text = crm.cut(text, size)
    attributes = {
        "offer": _fit(lead.offer_name) or crm.UNKNOWN,
        "action": _fit(f"{title} ({lead.action})" if lead.action else title),
        "text": text,
    }
    return {
        "leadId": person_id,
        "activityDate": f"{lead.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "activityTypeId": settings.activity_type,
        "primaryAttributeValue": lead.id,
        "attributes": [{"apiName": name, "value": value} for name, value in attributes.items()],
    }


def _fit(value: str) -> str:
    return crm.cut(crm.line(value), LINE)


def _clean(value: Any) -> Any:
    return crm.clean(value) if isinstance(value, str) else value
