"""A country's ISO 3166-1 alpha-2 code from its codes or from its name in any language that pycountry knows.

Codes and English names cost a few milliseconds. The translations (159 catalogues, 0.3 s) are read when first needed,
so a cold start with an ordinary lead does not pay for them.
"""

from __future__ import annotations

import gettext
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

_NAMES = ("name", "common_name", "official_name")

_SPOKEN = {
    "GB": "uk,great britain,britain,england,scotland,wales,northern ireland,gran bretagna,grande bretagne,gran bretana,"
    "großbritannien,inglaterra,inghilterra,angleterre,великобритания,英国,イギリス,영국",
    "US": "america,the states,eeuu,eua,сша,美国,アメリカ,미국",
    "GR": "el",
    "KR": "korea,south korea,corea del sud,corea del sur,coree du sud,coreia do sul,sudkorea,zuid korea,韓国,韩国,한국",
    "KP": "north korea,dprk",
    "RU": "russia,rusia,russie,russland,rusland,rosja,rusya,россия,ロシア,俄罗斯,러시아",
    "CZ": "czech republic",
    "TR": "turkey",
    "NL": "holland,the netherlands",
    "AE": "uae,emirates",
    "VN": "vietnam",
    "CI": "ivory coast",
    "TW": "taiwan,台湾,臺灣,대만",
    "TH": "ประเทศไทย",
    "HK": "hong kong sar,hong kong sar china",
    "MO": "macau,macao sar,macau sar china",
    "CN": "mainland china,prc",
    "MK": "macedonia",
    "SZ": "swaziland",
    "CV": "cape verde",
    "MM": "burma",
    "VA": "vatican,vatican city",
    "PS": "palestine",
    "BN": "brunei",
    "SY": "syria",
    "LA": "laos",
    "CD": "dr congo,drc,congo kinshasa",
    "CG": "congo brazzaville,republic of the congo",
    "TL": "east timor",
    "FK": "falkland islands",
    "SH": "saint helena",
    "MF": "saint martin",
    "VI": "us virgin islands",
    "VG": "british virgin islands",
}
"""Names that people use and ISO does not."""


def alpha2(text: str) -> str | None:
    """The alpha-2 code of the country that `text` names, or None where it names none or more than one."""
    if len(text) > 200:
        return None
    for name in (text, text.partition("(")[0]):
        key = _fold(name)
        found = key and (_english().get(key) or _english().get(key.removeprefix("the ")) or _translated().get(key))
        if found:
            return found
    return None


@cache
def _english() -> dict[str, str]:
    import pycountry

    names: dict[str, str] = {}
    for country in pycountry.countries:
        for attribute in ("alpha_2", "alpha_3", *_NAMES):
            if name := getattr(country, attribute, None):
                names[_fold(name)] = country.alpha_2
    for code, spoken in _SPOKEN.items():
        names.update(dict.fromkeys(map(_fold, spoken.split(",")), code))
    return names


@cache
def _translated() -> dict[str, str]:
    """Country by folded name. A name that means different countries in different languages goes with the majority."""
    votes: dict[str, Counter[str]] = {}
    for catalogue in _catalogues():
        for name, code in catalogue.items():
            votes.setdefault(name, Counter())[code] += 1
    names = {}
    for name, counter in votes.items():
        code, count = counter.most_common(1)[0]
        if 2 * count > counter.total():
            names[name] = code
    return names


def _catalogues() -> Iterator[dict[str, str]]:
    """For each language, the code by folded name."""
    import pycountry

    countries: list[Any] = list(pycountry.countries)
    for path in sorted(Path(pycountry.LOCALES_DIR).glob("*/LC_MESSAGES/iso3166-1.mo")):
        with path.open("rb") as file:
            translate = gettext.GNUTranslations(file).gettext
        yield {
            _fold(translate(name)): country.alpha_2
            for country in countries
            for attribute in _NAMES
            if (name := getattr(country, attribute, None))
        }


def _fold(name: str) -> str:
    """The name without case, Latin accents and punctuation. Marks of other scripts are letters and stay."""
    folded = unicodedata.normalize("NFKD", name).casefold().replace(".", "").replace("&", " and ")
    folded = "".join(c for c in folded if not "\u0300" <= c <= "\u036f" and c not in "'’ʻ`")
    return " ".join("".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded).split())
