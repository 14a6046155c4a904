"""What may be logged or shown: personal data masked, URLs without their query, other people's words cut."""

from __future__ import annotations

import re
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
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def mask_email(email: str) -> str:
    """`ada.lovelace@example.com` → `a…@example.com`. What is no address is masked whole."""
    local, at, domain = email.strip().rpartition("@")
    if not (local and at and domain) or any(character.isspace() for character in domain):
        return "…" if email.strip() else ""
    return f"{local[0]}…@{domain}"


def mask_name(name: str) -> str:
    """`Ada Lovelace` → `A… L…`."""
    return " ".join(f"{word[0]}…" for word in name.split())


def mask_phone(phone: str) -> str:
    """`+390669812345` → `+39…45`. Fewer than seven digits are masked whole."""
    digits = "".join(character for character in phone if character.isdecimal())
    if len(digits) < 7:
        return "…" if phone.strip() else ""
    plus = "+" if phone.strip().startswith("+") else ""
    return f"{plus}{digits[:2]}…{digits[-2:]}"


def url_without_query(url: str) -> str:
    """Scheme, host, port and path of a URL: without user, query and fragment, where keys and signatures are."""
    try:
        parts = urlsplit(url.strip())
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname
    except ValueError:
        return "…"
    if not parts.scheme or not host:
        return "…"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path}"


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


def _host_only(url: str) -> str:
    """Paths can be secrets, too: those of webhooks are."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    return f"{url.partition('://')[0]}://{host}/…" if host else "…"
