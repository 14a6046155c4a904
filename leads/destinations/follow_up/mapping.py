"""What a draft says of a lead. Name, company and offer come from a stranger, who must not write to others by it.

So each is one short line in which nothing can become a link, or it counts as missing. The customer's own words are
never among them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from leads.lead import COUNTRIES, Lead
from leads.messages import languages
from leads.messages.plain import line

_LONGEST_NAME, _LONGEST_COMPANY, _LONGEST_OFFER = 40, 60, 80
_LINK = re.compile(
    r"://|www\.|[@<>\\]|[^\W\d_]{2,}:\S|\w[.。][^\W\d_]{2,}|\d+\.\d+\.\d+|(?:\d[\s().+-]*){7,}", re.IGNORECASE
)
"""What mail programs, or people, make addresses and numbers of."""
_WORD_ENDS = re.compile(r"[ ]+")
_NO_NAMES = frozenset(
    {"test", "tester", "testing", "none", "null", "unknown", "admin", "user", "name", "na", "xxx", "asdf"}
)
"""What forms are filled with instead of a name."""


def values(lead: Lead, seller: str, language: str) -> dict[str, str]:
    """The variables of templates; an empty one is missing. `language` is that of the template."""
    contact = lead.contact
    first, last = name_of(contact.first_name), name_of(contact.last_name)
    # A text that is half a name and half something else does not count as a name.
    if bool(first) != bool(contact.first_name.strip()) or bool(last) != bool(contact.last_name.strip()):
        first = last = ""
    country = contact.country if contact.country in COUNTRIES else ""
    return {
        "first_name": first,
        "last_name": last,
        "name": f"{first} {last}".strip(),
        "company": short(contact.company, _LONGEST_COMPANY),
        "offer": short(lead.offer_title, _LONGEST_OFFER),
        "country": languages.country(language, country),
        "seller": seller,
    }


def draft(lead: Lead, subject: str, body: str, name: str) -> dict[str, Any]:
    """The message as Microsoft Graph takes it, in plain text, to the customer alone."""
    to = {"address": lead.contact.email, **({"name": name} if name else {})}
    return {
        "subject": subject,
        "body": {"contentType": "text", "content": body},
        "toRecipients": [{"emailAddress": to}],
    }


def name_of(text: str) -> str:
    """`text` if it looks like the name of a person, else nothing.

    At most two words of letters, in any script, with hyphens, apostrophes, and a full stop after an initial.
    """
    name = short(text, _LONGEST_NAME)
    words = _WORD_ENDS.split(name) if name else []
    good = 0 < len(words) <= 2 and all(map(_is_word, words)) and name.casefold() not in _NO_NAMES
    return name if good else ""


def short(text: str, longest: int) -> str:
    """`text` if it is one short line without anything that could become a link, else nothing."""
    flat = line(text, longest + 1, links=True)
    folded = unicodedata.normalize("NFKC", flat)
    trick = "\ufffd" in flat or len(flat) > longest or len(text.strip().splitlines()) > 1
    return "" if trick or _LINK.search(folded) or not any(map(str.isalnum, flat)) else flat


def _is_word(word: str) -> bool:
    stem = word.removesuffix(".") if len(word) <= 3 else word
    parts = re.split(r"[-'’·]", stem)
    return all(part and all(unicodedata.category(c)[0] in "LM" for c in part) for part in parts)
