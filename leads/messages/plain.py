"""Text from outside, made safe to show: one line or a block, without tricks, and no longer than allowed.

What is returned is plain text still: whoever puts it into HTML, a header or a card escapes it for that place.
"""

from __future__ import annotations

import re
import unicodedata

LINE_LIMIT = 200
"""Characters that a name, a company or any other field of one line may take in a message."""

_DROPPED = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u2060-\u2064\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_ENDS_OF_LINES = re.compile("\r\n|[\r\n\v\f\u0085\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_STACKED = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
_PIECE = 1000
_BLANK_LINES = re.compile(r"\n{3,}")
_LINKS = re.compile(r"(?i)[a-z][a-z0-9+.-]{1,20}:(?=\S)|\bwww(?=\.)|\\(?=\\)")
_DOMAINS = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}+@[\w.-]+"  # an address, which stays as it is
    r"|(?<!\w)(?P<domain>(?:[\w-]{1,63}\.){1,10}(?:(?i:xn)--[\w-]{1,59}|[^\W\d_]{2,24}))(?![\w-])"
)
"""Mail programs make a link of `evil.example`, too, without any `https:` before it."""
_BREAK = "\u200b"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=.{{1,64}}@.{{1,253}}\Z)(?!.*=\?){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+")


def is_address(text: str) -> bool:
    """Whether `text` is an e-mail address that any header can take: ASCII, a dot-atom, no quotes, no encoded word."""
    return _ADDRESS.fullmatch(text) is not None


def block(text: str, limit: int, *, links: bool = False) -> str:
    """`text` with its lines kept, at most `limit` characters long.

    Characters that reorder text (such as U+202E, right-to-left override) and controls become U+FFFD, so that a reader
    sees that something was there; invisible ones are taken out. Joiners stay, since emoji and Persian need them.
    Unless `links` is true, a zero-width space stops mail programs from making links of what looks like an address of a
    page, with or without its `https:`. E-mail addresses stay as they are.
    """
    text = _REORDERING.sub("\ufffd", _DROPPED.sub("", _ENDS_OF_LINES.sub("\n", text)))
    text = _STACKED.sub(r"\1", _CONTROLS.sub("\ufffd", text))
    text = "\n".join(" ".join(part.split()) for part in _composed(text).split("\n"))
    # What breaks links only makes a text longer, so nothing beyond this can be shown.
    text = _BLANK_LINES.sub("\n\n", text).strip()[: limit + 1]
    return cut(text if links else _DOMAINS.sub(_broken, _LINKS.sub(rf"\g<0>{_BREAK}", text)), limit)


def _composed(text: str) -> str:
    """The text in NFC, by pieces: Python takes forty seconds for a hundred thousand marks of Hebrew on one letter."""
    return "".join(unicodedata.normalize("NFC", text[at : at + _PIECE]) for at in range(0, len(text), _PIECE))


def _broken(match: re.Match[str]) -> str:
    return match[0].replace(".", f"{_BREAK}.") if match["domain"] else match[0]


def line(text: str, limit: int = LINE_LIMIT, *, links: bool = False) -> str:
    """`text` as one line with single spaces, at most `limit` characters long; otherwise like `block`."""
    return block(" ".join(_ENDS_OF_LINES.sub(" ", text).split()), limit, links=links)


def cut(text: str, limit: int) -> str:
    """The first `limit` characters of `text`; an ellipsis as the last of them says that more followed."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
