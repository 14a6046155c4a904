"""What CRM destinations share: the words of a record and of its steps, values that fit, further fields by a setting.

Lengths count UTF-16 units, as the CRMs do.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from types import MappingProxyType
from typing import Any

from leads import redact
from leads.lead import Contact, Lead, Stage
from leads.messages import languages
from leads.reader import Reader

Constant = str | int | float | bool | None
"""What a field may be set to by a setting such as …_FIELDS; None leaves the field out."""

UNKNOWN = "(unknown)"
"""What stands in a field that the CRM demands and the customer left empty."""
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


def clean(text: str) -> str:
    """The text without the characters that XML, and so some CRMs, refuse."""
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
    inside = not kept[-1:].isspace() and not text[end].isspace()
    at_word = kept.rsplit(None, 1)[0] if inside and len(kept.split()) > 1 else kept
    return (at_word if len(at_word) * 2 >= len(kept) else kept).rstrip() + MARK


def private(lead: Lead) -> tuple[str, ...]:
    """The customer's own data, whole and word by word: none of it may be in an error or a log."""
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
    """What a further field gets: the part of the lead that is named, or the constant itself."""
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


def website(lead: Lead) -> str:
    """The customer's web site, where one came among the fields that this app does not know."""
    for key, value in lead.extra.items():
        if key.replace("_", "").lower() in _WEBSITES and isinstance(value, str) and "." in value:
            return value if value.lower().startswith(("http://", "https://")) else f"https://{value}"
    return ""


def facts(lead: Lead) -> list[str]:
    """What is known of the step besides who did it, a line each; the last one is the lead id, the app's own mark."""
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


def description(lead: Lead, limit: int) -> str:
    """What a record says of the step that made it, in at most `limit` units.

    The customer's own words come first; when there are too many, they are cut and the facts stay.
    """
    known = cut(clean("\n".join(facts(lead))), limit // 2)
    if not lead.message:
        return known
    return f"{cut(clean(lead.message), limit - units(known) - 2)}\n\n{known}"


def title(lead: Lead) -> str:
    """What the customer pressed, in two or three words: `Contact me`."""
    return _words(lead)[0]


def step_title(lead: Lead) -> str:
    """One line for the step: when, what, which offer."""
    return clean(f"{lead.created_at:%Y-%m-%d %H:%M} UTC: {title(lead)}, {lead.offer_name}".rstrip(" ,"))


def step_text(lead: Lead) -> str:
    """Everything that is known of the step, whole, as plain text: the words of a stranger, which no CRM may render."""
    contact = lead.contact
    lines = [
        lead.message,
        "" if not lead.message else " ",
        f"{sentence(lead)}.",
        *facts(lead),
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
    return clean("\n".join(line for line in lines if line))


def last_name(lead: Lead) -> str:
    """The last name, else what may stand for it where a CRM demands one: company, part of the address, `(unknown)`."""
    contact = lead.contact
    names = (line(contact.last_name), line(contact.company), clean(contact.email).partition("@")[0].strip(), UNKNOWN)
    return next(name for name in names if name)


def line(text: str) -> str:
    """The text, clean and on one line."""
    return " ".join(clean(text).split())


def offer_key(lead: Lead) -> str:
    """What identifies the lead's offer: its id, else its title, without regard to case."""
    return (lead.offer or lead.offer_title).casefold().encode(errors="replace").decode()


def same_offer(one: Lead, other: Lead) -> bool:
    """Whether both are of one offer. A lead by HTTPS has the offer's title only, one by table has its id as well."""
    titles = (one.offer_title.casefold(), other.offer_title.casefold())
    return offer_key(one) == offer_key(other) or (not (one.offer and other.offer) and titles[0] == titles[1] != "")


def safe(text: str, private: Iterable[str]) -> str:
    """A CRM's words, one line of at most 300 characters, without the customer's data (`private`)."""
    return redact.safe(redact.without(text, private))


def whole_sentence(start: str, words: str) -> str:
    """The start and a CRM's words as a whole sentence."""
    whole = f"{start.rstrip('.')}: {words}" if words else start
    return whole if whole.endswith((".", "!", "?", "…")) else f"{whole}."


def further_fields(
    reader: Reader, setting: str, name: re.Pattern[str], fixed: Collection[str], example: str
) -> Mapping[str, Constant]:
    """Further fields by a setting that holds a JSON object: field to a path into the lead, a constant, or `null`.

    `name` is what a field's name looks like, `fixed` are those, in lower case, that are not for this setting. A wrong
    field is noted as a problem and left out.
    """
    text = reader.text(setting)
    if not text:
        return MappingProxyType({})
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        reader.problem(
            setting, "It must be a JSON object.", f"Write it like {example}; until then the app writes none of them."
        )
        return MappingProxyType({})
    good: dict[str, Constant] = {}
    for field, value in parsed.items():
        cause = _wrong(field, value, name, fixed)
        if cause:
            reader.problem(setting, cause, "This field is left out until it is corrected.")
        else:
            good[field] = value
    return MappingProxyType(good)


def _wrong(field: str, value: object, name: re.Pattern[str], fixed: Collection[str]) -> str:
    if not name.fullmatch(field):
        return f"{field!r} cannot be the name of a field."
    if field.partition("@")[0].lower() in fixed:
        return f"{field!r} cannot be set here: it is read-only, or the app or another setting decides it."
    if not isinstance(value, str | int | float | bool | None):
        return f"{field!r} has a value that is not a text, a number, true or false."
    if isinstance(value, float) and not math.isfinite(value):
        return f"{field!r} has a number that is not finite."
    if isinstance(value, str) and value.startswith(("lead.", "campaign.")) and not is_path(value):
        return f"{field!r} names a part of the lead that does not exist."
    return ""
