"""What may be logged or shown: personal data masked, other people's words cut."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from urllib.parse import urlsplit

LIMIT = 300
"""Characters of a third party's message that are kept."""

_URL = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://[^\s\"'<>]+", re.IGNORECASE)
_QUERY = re.compile(r"([?&][\w.$~-]{1,60})=[^\s&\"'<>]*")
_EMAIL = re.compile(r"(?<![^\s@<>\"'(),;:=])[^\s@<>\"'(),;:=]+(?:@|%40)[^\s@<>\"'(),;:=]+")
_PAIR = re.compile(
    r"\b((?:\w{0,40}[_-])?(?:secret|password|passwd|pwd|token|assertion|api[_-]?key|accountkey|sharedaccesskey|sig"
    r"|signature|authorization)[\"']?\s*[=:]\s*)(?:[\"'][^\"']*[\"']?|(?:bearer|basic)\s+\S+|[^\s,;&\"']+)",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(bearer|basic)\s+[^\s,;\"']{8,}", re.IGNORECASE)
_PHONE = re.compile(r"(?<![\w.-])(?!\d{8}(?:-\d{4}){3}-\d{12}\b)\+?\(?\d(?:[\s().\-/]{0,2}\d){7,}(?![\w-])")
_OPAQUE = re.compile(r"(?<![\w~+/.-])(?=[\w~+/.-]*\d)(?=[\w~+/.-]*[a-z])(?=[\w~+/.-]*[A-Z])[\w~+/.-]{24,}={0,2}")
_QUOTED = re.compile(
    r"(?<!\w)['\"\u2018\u201c\u00ab\u201e]([^'\"\u2018\u2019\u201c\u201d\u00bb]{2,300})['\"\u2019\u201d\u00bb\u201c]"
)
_COLUMN = re.compile(r"[a-z0-9_.]+")
"""How columns and tables are called: what is quoted so is their name, and an operator needs it."""
_RUN, _FOREIGN_RUN = 12, 2
"""Characters in a row, of any letters and of letters beyond ASCII, that cannot stand in both texts by chance."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def mask_email(email: str) -> str:
    """`ada.lovelace@example.com` → `a…@example.com`. Anything else is masked whole, and so are two letters."""
    local, at, domain = email.strip().rpartition("@")
    if not (local and at and domain) or any(character.isspace() for character in domain):
        return "…" if email.strip() else ""
    return f"{_initial(local)}@{domain}"


def mask_name(name: str) -> str:
    """`Ada Lovelace` → `A… L…`. Of a word of two letters, which can be a whole name, nothing is left."""
    return " ".join(_initial(word) for word in name.split())


def _initial(word: str) -> str:
    return f"{word[0]}…" if len(word) > 2 else "…"


def mask_phone(phone: str) -> str:
    """`+390669812345` → `+39…45`. Fewer than seven digits are masked whole."""
    digits = "".join(character for character in phone if character.isdecimal())
    if len(digits) < 7:
        return "…" if phone.strip() else ""
    plus = "+" if phone.strip().startswith("+") else ""
    return f"{plus}{digits[:2]}…{digits[-2:]}"


def safe(text: str, limit: int = LIMIT) -> str:
    """A third party's message as it may be recorded: one line, at most `limit` characters, without what identifies.

    E-mail addresses, phone numbers, URLs beyond their host, values named like secrets, and long mixed runs of letters
    and digits are taken out. GUIDs and error codes stay.
    """
    # Far more than is kept, so that nothing is cut in two before it is recognized; yet bounded for a megabyte of HTML.
    text = _CONTROL.sub(" ", text[: 20 * limit])
    text = _URL.sub(lambda match: _host_only(match[0]), text)
    text = _QUERY.sub(lambda match: f"{match[1]}=…", text)
    text = _PAIR.sub(lambda match: f"{match[1]}…", text)
    text = _BEARER.sub(lambda match: f"{match[1]} …", text)
    text = _EMAIL.sub("…@…", text)
    text = _OPAQUE.sub("…", text)
    text = _PHONE.sub("…", text)
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def without(text: str, private: Iterable[str]) -> str:
    """A third party's message without a customer's data: whole values, quoted parts of them, and runs of words.

    Columns' names stay, since no value is searched for in them. What is left still has to go through `safe`.
    """
    text = " ".join(text[: 20 * LIMIT].split())
    lower, hidden = _lower(text), bytearray(len(text))
    values = {_lower(" ".join(value.split())) for value in private} - {""}
    for start, end in (*_wholes(lower, values), *_quotes(text, lower, values), *_runs(lower, values)):
        hidden[start:end] = b"\1" * (end - start)
    return "".join(
        "…" if covered else "".join(letter for letter, _ in run)
        for covered, run in groupby(zip(text, hidden, strict=True), key=lambda pair: pair[1])
    )


def _wholes(text: str, values: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Where a whole value stands. Two Latin letters count as a word of their own only."""
    for value in values:
        whole = re.escape(value)
        if len(value) < 3 and value.isascii():
            whole = rf"(?<![a-z0-9]){whole}(?![a-z0-9])"
        yield from (match.span() for match in re.finditer(whole, text))


def _quotes(text: str, lower: str, values: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Where something is quoted that stands in a value."""
    for match in _QUOTED.finditer(lower):
        start, end = match.span(1)
        quoted = match[1].strip(" .…")
        if len(quoted) < 3 or _COLUMN.fullmatch(text[start:end]):
            continue
        if any(re.search(rf"(?<!\w){re.escape(quoted)}", value) for value in values if quoted in value):
            yield start, end


def _runs(text: str, values: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Where a run of letters stands that a value has, too."""
    for size in (_RUN, _FOREIGN_RUN):
        known = {value[at : at + size] for value in values for at in range(len(value) - size + 1)}
        for at in range(len(text) - size + 1):
            run = text[at : at + size]
            if run in known and (size == _RUN or (run.isalpha() and not any(map(str.isascii, run)))):
                yield at, at + size


def _lower(text: str) -> str:
    """The text without case, letter by letter, so that each stays where it is."""
    return "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)


def _host_only(url: str) -> str:
    """Paths can be secrets, too: those of webhooks are."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    return f"{url.partition('://')[0]}://{host}/…" if host else "…"
