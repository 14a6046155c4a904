"""E-mail address and phone number, brought to one form. A text that is neither stays as it came."""

from __future__ import annotations

import re
import unicodedata

_PHONE_LIMIT = 250

_PLAIN = re.compile(
    r"(?=.{3,254}\Z)(?=[^@]{1,64}@)[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*"
    r"@((?:(?!..--)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63})"
)
"""An address that email-validator takes as it is, but for the case of its domain: nearly every one. Importing that
library costs more than all the rest of a lead."""
_RESERVED = frozenset({"arpa", "invalid", "local", "localhost", "onion", "test"})
"""Ends of domains that email-validator has to judge."""


def email(text: str) -> str | None:
    """The address in `text`, with its domain in lower-case ASCII (IDNA), or None where there is no valid one.

    Takes off `mailto:`, angle brackets with the name before them, and quotes. The local part keeps its case. No DNS is
    asked, and domains reserved for tests count as valid.
    """
    address = text.strip()
    bracketed = re.search(r"<([^<>]*)>[^<>]*$", address)
    if bracketed:
        address = bracketed[1].strip()
    if address[:7].lower() == "mailto:":
        address = address[7:].partition("?")[0]
    address = address.strip("\"' \t").rstrip(".,; ")
    if (plain := _PLAIN.fullmatch(address)) and plain[1].rpartition(".")[2].lower() not in _RESERVED:
        return f"{address[: -len(plain[1])]}{plain[1].lower()}"
    return _judged(address)


def _judged(address: str) -> str | None:
    from email_validator import validate_email

    try:
        valid = validate_email(address, check_deliverability=False, test_environment=True)
    except ValueError:  # EmailNotValidError, and the UnicodeError of its IDNA library
        return None
    return f"{valid.local_part}@{valid.ascii_domain}"


def email_key(text: str) -> str | None:
    """The identity of a customer: the valid address in `text` without case, or None where there is none."""
    address = email(text)
    return unicodedata.normalize("NFC", address.casefold()) if address else None


def phone(text: str, country: str) -> str | None:
    """The number in `text` as E.164, an extension behind it (`+16502530000 ext. 12`), or None where it is not valid.

    `country` is the alpha-2 code that a number without its country code is read for; empty where it is not known.
    """
    import phonenumbers

    if len(text) > _PHONE_LIMIT:
        return None
    number = re.sub(r"^\s*(?:tel|phone|mobile)\s*[:.]\s*", "", text, flags=re.IGNORECASE)
    forms = [number]
    if prefixed := re.match(r"\s*\(?00\)?(?=[\s\d(-])", number):
        forms.append("+" + number[prefixed.end() :].lstrip())
    for form in forms:
        try:
            parsed = phonenumbers.parse(form, country or None)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(parsed):
            whole = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
            return f"{whole} ext. {parsed.extension}" if parsed.extension else whole
    return None
