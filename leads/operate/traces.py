"""Whether an address stands somewhere: in bytes of any encoding, and in the values of a row, however it is written."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote_plus

from leads.intake.contact import email as read_email

LEVELS = 3
"""How often JSON may stand in a text of JSON: Microsoft's own `CustomerInfo` is one such text in a row. A form and HTML
may stand around any of them, and in it.
"""
FORMS = 16
"""Readings of one text that are looked at: enough for `LEVELS` of JSON, and a bound on what junk can cost."""

_ESCAPED = re.compile(r"\\(?:u([0-9a-f]{4})|(.))", re.DOTALL)
"""What JSON escapes, in lower case."""
_CONTROLS = dict.fromkeys("bfnrt", " ")
_REFERENCE = re.compile(r"&#?[0-9a-z]+;?")
"""A letter as HTML may write it, in lower case: `&#64;`, `&#x40;`, `&commat;`."""
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


def needles(who: str) -> frozenset[str]:
    """The forms in which an address may stand somewhere: as given, its domain in ASCII, and in its own letters."""
    forms = {who.strip()}
    address = read_email(who)
    if address:
        local, _, domain = address.rpartition("@")
        forms.add(address)
        with contextlib.suppress(UnicodeError):
            forms.add(f"{local}@{domain.encode('ascii').decode('idna')}")
    # Anything shorter than an address would be found everywhere.
    return frozenset(form.casefold() for form in forms if "@" in form.strip("@") and " " not in form)


def in_bytes(data: bytes, needles: frozenset[str]) -> bool:
    """Whether one of the addresses stands in bytes."""
    # The @ of an address has a zero byte beside it in the wide encodings.
    encodings = ("utf-8", *_WIDE) if b"\0" in data else ("utf-8",)
    return in_texts((data.decode(encoding, "replace") for encoding in encodings), needles)


def in_row(values: Mapping[str, object], needles: frozenset[str]) -> bool:
    """Whether one of the addresses stands in a value of a row; what holds JSON is read as JSON, too."""
    return in_texts((value for value in values.values() if isinstance(value, str)), needles)


def in_texts(texts: Iterable[str], needles: frozenset[str]) -> bool:
    """Whether one of the addresses stands in a text, also where JSON, a form or HTML escaped its letters."""
    return any(_stands_alone(needle, form) for text in texts for form in _forms(text.casefold()) for needle in needles)


def _forms(text: str) -> Iterator[str]:
    """The text, and what it says when the JSON, the form or the HTML in it is read, whichever stands in the other."""
    forms = [text]
    # It grows while it is gone through. What needs the fewest readings comes first.
    for form in forms:
        yield form
        read = (each.casefold() for each in _read(form))
        forms += [each for each in read if each not in forms][: FORMS - len(forms)]


def _read(text: str) -> Iterator[str]:
    if "\\" in text:
        yield _ESCAPED.sub(_unescaped, text)
    if "%" in text:
        yield unquote_plus(text)
    if "&" in text:
        yield _REFERENCE.sub(_referred, text)


def _referred(match: re.Match[str]) -> str:
    try:
        return html.unescape(match[0])
    except ValueError:  # more digits than Python reads, which are no letter
        return match[0]


def _unescaped(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    return _CONTROLS.get(match[2], match[2])


def _stands_alone(needle: str, text: str) -> bool:
    """Whether an address stands in a text, and not as a part of a longer one, which is somebody else's.

    Letters beyond ASCII beside it are words: some languages put no space between them.
    """
    bounded = rf"(?<![a-z0-9])(?<![a-z0-9][._%+-]){re.escape(needle)}(?![.-]?[a-z0-9])"
    return needle in text and re.search(bounded, text) is not None
