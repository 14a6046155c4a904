"""From a lead to HubSpot: the properties of a contact, and the note of a step.

Internal names are those of HubSpot's default contact properties (developers.hubspot.com, CRM > Properties; Notes guide
for `hs_note_body`, 65,536 characters). Every value is sent as text, as the specification of 2026-03 has it.
"""

from __future__ import annotations

import html
import re

from leads import crm
from leads.destinations.hubspot.settings import Settings
from leads.lead import Lead

Properties = dict[str, str]

LINE = 255
"""Units of a one-line property. HubSpot takes more; what is longer stands whole in the note."""
NOTE = 65_536
WHOLE = frozenset({"phone", "website"})
"""Properties that are useless when cut: a longer value stands in the note only."""

_EMAIL = re.compile(r"[^\s@,;<>\"]{1,64}@[^\s@,;<>\"]{1,189}\.[^\s@,;<>\"]{2,63}")


def email(lead: Lead) -> str:
    """The lead's address, in lower case as HubSpot keeps it; empty where what came cannot be one."""
    address = crm.clean(lead.contact.email)
    return address.lower() if _EMAIL.fullmatch(address) else ""


def contact(lead: Lead, settings: Settings, *, address: str) -> Properties:
    """The properties of a new contact; without an address it is found by HUBSPOT_KEY, and always has a last name."""
    person = lead.contact
    made = {
        "email": address,
        "firstname": _fit("firstname", person.first_name),
        "lastname": _fit("lastname", person.last_name if address else crm.last_name(lead)),
        "phone": _fit("phone", person.phone),
        "company": _fit("company", person.company),
        "jobtitle": _fit("jobtitle", person.title),
        "country": _fit("country", crm.country(person.country)),
        "website": _fit("website", crm.website(lead)),
        "lifecyclestage": settings.stage,
        **{name: _text(crm.value_of(lead, constant)) for name, constant in settings.fields.items()},
    }
    if settings.key:
        made[settings.key] = lead.id
    if settings.do_not_contact and lead.do_not_contact:
        made[settings.do_not_contact] = "true"
    return {name: value for name, value in made.items() if value}


def fillable(properties: Properties, settings: Settings) -> Properties:
    """Those of a contact's properties that may be written into one that was there, where it has nothing."""
    never = {"email", "lifecyclestage", settings.key, settings.do_not_contact}
    return {name: value for name, value in properties.items() if name not in never}


def note(lead: Lead) -> Properties:
    """The note of a step. Its body is rich text, so a stranger's words are escaped; the lead id is always in it."""
    text = f"{'TEST. ' if lead.is_test else ''}{crm.step_title(lead)}\n{crm.step_text(lead)}"
    body, size = _rich(text), NOTE
    while len(body) > NOTE:
        size = size * 3 // 4
        kept = crm.cut(text, size)
        body = _rich(kept if lead.id in kept else f"{kept}\nLead id: {lead.id}")
    return {"hs_timestamp": f"{lead.created_at:%Y-%m-%dT%H:%M:%S.000Z}", "hs_note_body": body}


def _rich(text: str) -> str:
    return html.escape(text, quote=False).replace("\n", "<br>")


def _fit(name: str, value: str) -> str:
    value = crm.line(value)
    if name in WHOLE:
        return value if crm.units(value) <= LINE else ""
    return crm.cut(value, LINE)


def _text(value: crm.Constant) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else crm.clean(str(value)).strip()
