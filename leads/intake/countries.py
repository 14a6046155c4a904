"""A country's ISO 3166-1 alpha-2 code from its codes or from its name in any language of the Unicode CLDR.

The names stand in a file, made by `dev/make_countries.py`, that is searched as it is: reading it costs less than a
millisecond, and a cold start with an ordinary code does not even read it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

from leads.lead import COUNTRIES

_DROPPED = re.compile("[\u0300-\u036f\u0591-\u05c7\u0640\u064b-\u0655'’ʻʼ`´׳]")

_SHARED = {"CG", "CD", "KP", "KR", "MF", "SX"}
"""Countries that share a name and differ by what stands in parentheses behind it."""

FILE = Path(__file__).with_name("countries.txt")
"""A line for each country: its code, then its folded names, each between two tabs."""


def alpha2(text: str) -> str | None:
    """The alpha-2 code of the country that `text` names, or None where it names none or more than one."""
    if len(text) > 200:
        return None
    whole, bare = fold(text), fold(text.partition("(")[0])
    code = _named(whole)
    if code is None and bare != whole:
        code = _named(bare)
        return None if code in _SHARED else code
    return code


def fold(name: str) -> str:
    """The name without case, punctuation, and the accents and vowel signs of Latin, Arabic and Hebrew script.

    Marks of other scripts are letters and stay. So do the accents of a name of one or two letters, since it would look
    like a code: "Mỹ" is Vietnamese for the United States, and MY is Malaysia.
    """
    folded = unicodedata.normalize("NFKD", name).casefold().replace(".", "").replace("&", " and ")
    folded = _DROPPED.sub("", folded)
    folded = " ".join("".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded).split())
    composed = unicodedata.normalize("NFKC", name).casefold().strip()
    accented = len(composed) < 3 and composed.isalpha() and folded.isascii() and not composed.isascii()
    return composed if accented else folded


def _named(key: str) -> str | None:
    if not key:
        return None
    return _country(key) or (_country(key[4:]) if key.startswith("the ") else None)


def _country(key: str) -> str | None:
    if len(key) == 2 and key.upper() in COUNTRIES:
        return key.upper()
    table = _table()
    at = table.find(f"\t{key}\t".encode(errors="replace"))
    start = table.rfind(b"\n", 0, at) + 1
    return table[start : start + 2].decode() if at >= 0 else None


@cache
def _table() -> bytes:
    return FILE.read_bytes()
