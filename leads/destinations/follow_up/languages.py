"""The language in which a customer is written to, by country.

That of the official languages which most people there speak, by the Unicode CLDR 47; English where it stands close to
another, is not listed, or the country is unknown. A person reads every draft.
"""

from __future__ import annotations

from collections.abc import Mapping

ENGLISH = "en"
SPOKEN: Mapping[str, str] = {
    "ar": "AE BH DZ EG EH IQ JO KW LB LY MA MR OM PS QA SA SY TN YE",
    "az": "AZ",
    "bg": "BG",
    "bn": "BD",
    "bs": "BA",
    "ca": "AD",
    "cs": "CZ",
    "da": "DK",
    "de": "AT CH DE LI",
    "el": "CY GR",
    "es": "AR BO CL CO CR CU DO EC ES GQ GT HN MX NI PA PE PR PY SV UY VE",
    "et": "EE",
    "fa": "AF IR",
    "fi": "FI",
    "fr": "BF BJ BL CD CG CI CM DJ FR GA GF GN GP LU MC MF MQ NC NE PF PM RE TG WF YT",
    "he": "IL",
    "hr": "HR",
    "hu": "HU",
    "hy": "AM",
    "id": "ID",
    "is": "IS",
    "it": "IT SM VA",
    "ja": "JP",
    "ka": "GE",
    "km": "KH",
    "ko": "KP KR",
    "ky": "KG",
    "lo": "LA",
    "lt": "LT",
    "lv": "LV",
    "mk": "MK",
    "mn": "MN",
    "ms": "BN MY",
    "my": "MM",
    "ne": "NP",
    "nl": "BE BQ NL SR",
    "no": "NO",
    "pl": "PL",
    "pt": "AO BR CV GW MZ PT ST",
    "ro": "MD RO",
    "ru": "BY KZ RU",
    "sk": "SK",
    "sl": "SI",
    "sq": "AL",
    "sr": "ME RS",
    "sv": "AX SE",
    "th": "TH",
    "tr": "TR",
    "uk": "UA",
    "uz": "UZ",
    "vi": "VN",
    "zh": "CN HK MO TW",
}
"""Countries (ISO 3166-1 alpha-2) by language (ISO 639-1)."""


def of_country(code: str) -> str:
    """The language of a country, English where none is known."""
    return next((language for language, countries in SPOKEN.items() if code in countries.split()), ENGLISH)
