"""From a lead to rows of Dataverse: the columns of a record, the text of a note, the follow-up task.

Types and lengths are those of Microsoft's common data model (table `lead`, 12/2022). Lengths count UTF-16 units, as
Dataverse does.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from leads.lead import Contact, Lead, Stage

Constant = str | int | float | bool | None
"""What a column may be set to by DYNAMICS_FIELDS; None leaves the column out."""

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
"""Columns whose value is of no use when cut: a longer one stands in the note only."""

NOTE_LENGTH = 100_000
TASK_DUE = timedelta(hours=24)
DO_NOT = ("donotemail", "donotbulkemail", "donotphone", "donotpostalmail", "donotsendmm")
UNKNOWN_NAME = "(unknown)"
MARK = "…"

_PRESSED = {
    "PLT": ("Contact me", "asked to be contacted about"),
    "INS": ("Get it now", "got"),
    "CREATE": ("Create", "pressed Create for"),
    "STARTTESTDRIVE": ("Test drive", "started a test drive of"),
    "DNC": ("Do not contact", "must not be contacted about"),
}
_MEANT = {
    Stage.INITIAL_INTEREST: ("Interest", "showed interest in"),
    Stage.TRIAL: ("Trial", "started a trial of"),
    Stage.ACTIVE: ("Active", "wants"),
    Stage.DO_NOT_CONTACT: ("Do not contact", "must not be contacted about"),
    Stage.UNKNOWN: ("Marketplace lead", "showed interest in"),
}
_WEBSITES = frozenset({"website", "websiteurl", "companywebsite"})
_PROPERTIES = {Lead: ("customer", "event", "offer_name"), Contact: ("name",)}
_UNSAFE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")


def clean(text: str) -> str:
    """The text without the characters that XML, and so Dataverse, refuses."""
    return _UNSAFE.sub("", text)


def units(text: str) -> int:
    """The length of the text in UTF-16 units."""
    return len(text) + sum(character > "\uffff" for character in text)


def cut(text: str, limit: int) -> str:
    """The text, cut at a word and marked with `…` where it has more than `limit` UTF-16 units."""
    if units(text) <= limit:
        return text
    size = end = 0
    for character in text:
        size += units(character)
        if size > limit - 1:
            break
        end += 1
    kept = text[:end]
    at_word = kept.rsplit(None, 1)[0] if not text[end].isspace() and len(kept.split()) > 1 else kept
    return (at_word if len(at_word) * 2 >= len(kept) else kept).rstrip() + MARK


def record(lead: Lead, lead_source_code: int, owner: str, extra: Mapping[str, Constant]) -> Columns:
    """All columns of a new record."""
    contact = lead.contact
    title, _ = _words(lead)
    offer = lead.offer_name
    texts = {
        "subject": ("TEST " if lead.is_test else "") + (f"{offer}: {title}" if offer else title),
        "firstname": contact.first_name,
        "lastname": contact.last_name,
        "emailaddress1": contact.email if "@" in contact.email else "",
        "telephone1": contact.phone,
        "companyname": contact.company,
        "jobtitle": contact.title,
        "address1_country": country(contact.country),
        "websiteurl": _website(lead),
    }
    row: Columns = {column: fit(column, " ".join(clean(value).split())) for column, value in texts.items()}
    names = (row["lastname"], row["companyname"], clean(contact.email).partition("@")[0].strip(), UNKNOWN_NAME)
    row["lastname"] = fit("lastname", next(name for name in names if name))
    row["description"] = fit("description", _description(lead))
    row |= {"leadsourcecode": lead_source_code, "leadqualitycode": RATING.get(lead.stage)}
    if owner:
        row["ownerid@odata.bind"] = owner
    row |= {column: value_of(lead, constant) for column, constant in extra.items()}
    if lead.do_not_contact:
        row |= dict.fromkeys(DO_NOT, True)
    return {column: value for column, value in row.items() if value not in (None, "")}


def fit(column: str, value: str) -> str:
    """The value as it fits the column: cut, or nothing where a part of it is of no use."""
    if column in WHOLE:
        return value if units(value) <= WHOLE[column] else ""
    return cut(value, LENGTHS[column])


def note(lead: Lead, record_id: str) -> Columns:
    """The note of one step: everything that is known of it, whole."""
    title, _ = _words(lead)
    contact = lead.contact
    lines = [
        lead.message,
        "" if not lead.message else " ",
        f"{sentence(lead)}.",
        *_facts(lead),
        *(
            f"{label}: {value}"
            for label, value in (
                ("Name", contact.name),
                ("E-mail", contact.email),
                ("Phone", contact.phone),
                ("Company", contact.company),
                ("Job title", contact.title),
                ("Country", country(contact.country)),
            )
            if value
        ),
        *(
            f"{key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
            for key, value in lead.extra.items()
        ),
        "Microsoft withheld the customer's contact data." if lead.contact_withheld else "",
        *(f"Not understood: {issue}" for issue in lead.issues),
    ]
    # Timelines show a note as HTML, and these are the words of a stranger: a space ends every tag before it begins.
    text = _TAG.sub("< ", clean("\n".join(line for line in lines if line)))
    return {
        "subject": cut(clean(f"{lead.created_at:%Y-%m-%d %H:%M} UTC: {title}, {lead.offer_name}".rstrip(" ,")), 500),
        "notetext": cut(text, NOTE_LENGTH),
        "objectid_lead@odata.bind": f"/leads({record_id})",
    }


def task(lead: Lead, record_id: str, owner: str, now: datetime) -> Columns:
    """The task of calling the customer back, due in 24 hours."""
    contact = lead.contact
    ways = [way for way in (contact.phone, contact.email) if way]
    lines = [
        f"{sentence(lead)}.",
        f"Reach them at {' or '.join(ways)}." if ways else "No way to reach them came with the lead.",
        f"Their words: {lead.message}" if lead.message else "",
    ]
    row: Columns = {
        "subject": cut(clean(sentence(lead)), 200),
        "description": cut(clean("\n".join(line for line in lines if line)), 2000),
        "scheduledend": f"{now + TASK_DUE:%Y-%m-%dT%H:%M:%SZ}",
        "regardingobjectid_lead_task@odata.bind": f"/leads({record_id})",
    }
    if owner:
        row["ownerid@odata.bind"] = owner
    return row


def private(lead: Lead) -> tuple[str, ...]:
    """All that the customer told of themselves, whole and word by word: what must not be in an error or a log."""
    contact = [getattr(lead.contact, part.name) for part in fields(Contact)]
    return (
        lead.contact.name,
        *contact,
        *(word for value in contact for word in value.split()),
        lead.message,
        *lead.campaign.values(),
        *_texts(lead.extra),
    )


def _texts(value: Any) -> list[str]:
    """All text in a JSON value, keys aside."""
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [value] if isinstance(value, str) else [text for part in parts for text in _texts(part)]


def sentence(lead: Lead) -> str:
    """What happened: "<name> of <company> started a test drive of <offer>"."""
    who = lead.contact.name or lead.contact.email or "A customer"
    company = f" of {lead.contact.company}" if lead.contact.company else ""
    _, verb = _words(lead)
    return f"{who}{company} {verb} {lead.offer_name or 'an offer'}"


def country(code: str) -> str:
    """The English name of an ISO 3166 alpha-2 code; anything else as it came."""
    from leads.messages import languages

    return languages.country("en", code)


def is_path(text: str) -> bool:
    """Whether the text names a part of a lead: `lead.offer`, `lead.contact.company`, `lead.extra.<key>`."""
    first, _, rest = text.removeprefix("lead.").partition(".")
    if first in ("campaign", "extra"):
        return bool(rest)
    if first == "contact":
        return rest in _parts(Contact)
    return not rest and first in _parts(Lead) - {"contact"}


def value_of(lead: Lead, constant: Constant) -> Constant:
    """What a column of DYNAMICS_FIELDS gets: the part of the lead that is named, or the constant itself."""
    if not isinstance(constant, str):
        return constant
    if not constant.startswith(("lead.", "campaign.")):
        return clean(constant)
    value: Any = lead
    path = constant.removeprefix("lead.")
    first, _, rest = path.partition(".")
    for part in (first, rest) if rest else (first,):
        value = value.get(part, "") if isinstance(value, Mapping) else getattr(value, part)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, str):
        return clean(str(value))
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bool | int | float | None):
        return value
    return clean(json.dumps(dict(value) if isinstance(value, Mapping) else list(value), ensure_ascii=False))


def _parts(kind: type[Lead | Contact]) -> set[str]:
    return {part.name for part in fields(kind)} | set(_PROPERTIES[kind])


def _words(lead: Lead) -> tuple[str, str]:
    return _PRESSED.get(lead.action.upper()) or _MEANT[lead.stage]


def _website(lead: Lead) -> str:
    for key, value in lead.extra.items():
        if key.replace("_", "").lower() in _WEBSITES and isinstance(value, str) and "." in value:
            return value if value.lower().startswith(("http://", "https://")) else f"https://{value}"
    return ""


def _facts(lead: Lead) -> list[str]:
    title, _ = _words(lead)
    offer = f"{lead.offer_title} ({lead.offer})" if lead.offer and lead.offer_title else lead.offer_name
    campaign = ", ".join(f"{key}={value}" for key, value in lead.campaign.items())
    pairs = (
        ("Offer", offer),
        ("Pressed", f"{title} ({lead.action})" if lead.action else ""),
        ("Came from", lead.source),
        ("When", f"{lead.created_at:%Y-%m-%d %H:%M} UTC"),
        ("Campaign", campaign),
        ("Lead id", lead.id),
    )
    return [f"{label}: {value}" for label, value in pairs if value]


def _description(lead: Lead) -> str:
    """The customer's own words first; when there are too many, they are cut and the facts stay."""
    limit = LENGTHS["description"]
    facts = cut(clean("\n".join(_facts(lead))), limit // 2)
    if not lead.message:
        return facts
    return f"{cut(clean(lead.message), limit - units(facts) - 2)}\n\n{facts}"
