"""The table of country names: made from the CLDR, held against all that pycountry's translations understand."""

from __future__ import annotations

import gettext
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pycountry
import pytest
from babel import localedata
from hypothesis import example, given
from hypothesis import strategies as st

from dev import make_countries
from leads.intake import countries
from leads.lead import COUNTRIES
from leads.messages import languages

ATTRIBUTES = ("name", "common_name", "official_name")

OTHERWISE = {
    "poblacht dhaonlathach an chongo": ("DZ", "CD", "pycountry's Irish has it under Algeria"),
    "орталық африка республикасы": ("NP", "CF", "pycountry's Kazakh has it under Nepal"),
    "ಹೊಂಡುರಾಸ್": ("MX", "HN", "pycountry's Kannada has it under Mexico"),
    "ਕੋਲੰਬੀਆ": ("KH", "CO", "pycountry's Punjabi has it under Cambodia"),
    "ګیانا": ("GN", "GY", "Guyana in Pashto; pycountry has it under Guinea"),
    "fransuz polineziyasy": ("FR", "PF", "French Polynesia in Turkmen; pycountry has it under France"),
    "angula": ("AI", None, "Angola in Tashelhit, Anguilla in pycountry"),
    "nijeri": ("NG", None, "Niger in Swahili, Nigeria in pycountry"),
    "male": ("MT", None, "Mali in Aghem, Malta in pycountry, and the answer to another question of a form"),
}
"""What is understood in another way than out of pycountry, and why."""

TITLE = "a state's full title, which the CLDR does not have"
LANGUAGE = "a language that the CLDR does not have"
SPELLING = "another spelling than the CLDR's, or ISO's form of it with a title or an article"
MISSED = {TITLE: 12_786, LANGUAGE: 830, SPELLING: 7_429}
"""How many folded names that pycountry has are not understood any more, by the reason; they are kept as they came.

Most are titles such as "Kingdom of …" in 159 languages, which no form lists. What people do write can be added to
`dev/country_names.txt`.
"""

LANGUAGES = {
    "ar": 176, "bg": 224, "ca": 238, "cs": 232, "da": 227, "de": 235, "el": 216, "es": 233, "et": 238, "fi": 237,
    "fr": 235, "he": 208, "hi": 176, "hr": 230, "hu": 235, "id": 235, "it": 237, "ja": 223, "ko": 221, "lt": 226,
    "lv": 225, "nb_NO": 236, "nl": 236, "pl": 237, "pt": 235, "pt_BR": 230, "ro": 230, "ru": 223, "sk": 235,
    "sl": 229, "sr": 220, "sv": 230, "th": 226, "tr": 236, "uk": 229, "zh_CN": 235, "zh_TW": 224,
}  # fmt: skip
"""How many of the 249 countries are understood by pycountry's translation of their short name, at least."""

SPELT_OTHERWISE = {"ar", "et", "he", "hi", "th"}
"""Languages of which pycountry spells a few large countries in another way than the CLDR does."""

WHERE_CUSTOMERS_ARE = (
    "AE AT AU BE BG BR CA CH CL CN CO CY CZ DE EE EG ES FI FR GB GR HK HR ID IE IL IN IS IT JP KE KR KW LT LU LV MA MX "
    "MY NL NO PH PK PL PT QA RO RU SE SG SI SK TH TR TW UA US ZA"
)


@cache
def english() -> dict[str, str]:
    """The code by folded code and English name."""
    names = {}
    for country in pycountry.countries:
        for attribute in ("alpha_2", "alpha_3", *ATTRIBUTES):
            if name := getattr(country, attribute, None):
                names[countries.fold(name)] = country.alpha_2
    return names


def translation(language: str) -> Callable[[str], str]:
    path = Path(pycountry.LOCALES_DIR) / language / "LC_MESSAGES" / "iso3166-1.mo"
    with path.open("rb") as file:
        return gettext.GNUTranslations(file).gettext


@cache
def translated() -> dict[str, list[tuple[str, str, str]]]:
    """Language, attribute and code of all translations, by folded name."""
    names = defaultdict(list)
    for path in sorted(Path(pycountry.LOCALES_DIR).glob("*/LC_MESSAGES/iso3166-1.mo")):
        language = path.parts[-3]
        translate = translation(language)
        for country in pycountry.countries:
            for attribute in ATTRIBUTES:
                if name := getattr(country, attribute, None):
                    names[countries.fold(translate(name))].append((language, attribute, country.alpha_2))
    return names


def majority(uses: list[tuple[str, str, str]]) -> str | None:
    """The country that most languages mean by a name; where one language has it twice, the last one counts."""
    votes = Counter({language: code for language, _, code in uses}.values())
    code, count = votes.most_common(1)[0]
    return code if 2 * count > votes.total() else None


def test_the_committed_tables_are_what_the_command_makes() -> None:
    assert countries.FILE.read_text("utf-8") == make_countries.understood(), "run python -m dev.make_countries"
    assert languages.COUNTRIES.read_text("utf-8") == make_countries.said(), "run python -m dev.make_countries"


def test_the_table_has_every_country_once_and_each_name_once() -> None:
    head: list[str] = []
    lines: list[str] = []
    for line in countries.FILE.read_text("utf-8").splitlines():
        (head if line.startswith("#") else lines).append(line)
    assert [line[:2] for line in lines] == sorted(COUNTRIES)
    assert not any("\t" in line for line in head)
    names = [name for line in lines for name in line.split("\t")[1:-1]]
    assert len(names) == len(set(names)) > 30_000
    assert all(countries.fold(name) == name for name in names)
    assert not {code.lower() for code in COUNTRIES} & set(names)


@pytest.mark.parametrize("file", [countries.FILE, languages.COUNTRIES], ids=["understood", "said"])
def test_the_licence_goes_with_the_table(file: Path) -> None:
    head = " ".join(line[2:] for line in file.read_text("utf-8").splitlines() if line.startswith("#"))
    assert "UNICODE LICENSE V3" in head
    assert "Copyright © 2004-2025 Unicode, Inc." in head
    assert "SPDX-License-Identifier: Unicode-3.0" in head


def test_all_that_iso_calls_a_country_is_understood() -> None:
    assert len(english()) > 900
    assert {name: countries.alpha2(name) for name in english()} == english()


def test_what_pycountry_understands_is_understood_in_the_same_way_or_listed() -> None:
    otherwise, missed = {}, Counter[str]()
    listed = {countries.fold(name): (was, now) for name, (was, now, _) in OTHERWISE.items()}
    known_languages = {locale.partition("_")[0] for locale in localedata.locale_identifiers()}
    for name, uses in translated().items():
        was, now = english().get(name) or majority(uses), countries.alpha2(name)
        if was is None or now == was:
            continue
        if now is not None or name in listed:
            otherwise[name] = (was, now)
        elif all(attribute == "official_name" for _, attribute, _ in uses):
            missed[TITLE] += 1
        elif not {language.partition("_")[0].partition("@")[0] for language, _, _ in uses} & known_languages:
            missed[LANGUAGE] += 1
        else:
            missed[SPELLING] += 1
    assert otherwise == listed
    assert missed == MISSED


@pytest.mark.parametrize("language", LANGUAGES)
def test_short_names_in_the_languages_of_customers_are_understood(language: str) -> None:
    translate = translation(language)
    found = {
        country.alpha_2: countries.alpha2(translate(getattr(country, "common_name", country.name)))
        for country in pycountry.countries
    }
    assert sum(found[code] == code for code in found) >= LANGUAGES[language]
    assert all(code in (None, country) for country, code in found.items())
    if language not in SPELT_OTHERWISE:
        assert [code for code in WHERE_CUSTOMERS_ARE.split() if found[code] != code] == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Mỹ", "US"),
        ("Áo", "AT"),
        ("Bỉ", "BE"),
        ("Ý", "IT"),
        ("my", "MY"),
        ("AO", "AO"),
        ("ＵＳ", "US"),
        ("Y", None),
        ("n", None),
        ("Male", None),
        ("DDR", "DE"),
        ("YUG", None),
        ("XXX", None),
        ("EU", None),
        ("в'єтнам", "VN"),
        ("В’єтнам", "VN"),
        ("צ'ילה", "CL"),
        ("السّويد", "SE"),
        ("The Kingdom of the Sun", None),
        ("Germany\tFrance", None),
        ("Germany\n", "DE"),
        ("\ud800", None),
        ("a\ud800", None),
        ("# SPDX", None),
        ("Germany (West)", "DE"),
        ("the United States (USA)", "US"),
        ("Korea (South)", "KR"),
        ("Korea (North)", "KP"),
        ("Korea (which?)", None),
        ("Congo (Kinshasa)", "CD"),
        ("Congo (the other)", None),
        ("(Germany)", "DE"),
        ("the", None),
        ("the ", None),
    ],
)
def test_edges(text: str, code: str | None) -> None:
    assert countries.alpha2(text) == code


@pytest.mark.parametrize("language", make_countries.LANGUAGES)
def test_what_messages_call_a_country_is_understood_as_that_country(language: str) -> None:
    names = {code: languages.country(language, code) for code in COUNTRIES}
    assert {code: countries.alpha2(name) for code, name in names.items()} == {code: code for code in COUNTRIES}


def test_messages_name_countries_in_each_of_their_languages() -> None:
    assert {*languages.codes()} <= {*make_countries.LANGUAGES}
    assert languages.country("tlh", "DE") == "Germany"
    assert [languages.country("de", code) for code in ("XX", "Wakanda", "")] == ["XX", "Wakanda", ""]


@given(st.text(max_size=12) | st.text(st.sampled_from("\t\nae'. éß한ア\u0301\ud800"), max_size=6))
@example("\t")
def test_a_folded_name_stays_as_it_is_and_never_leaves_its_place_in_a_line(text: str) -> None:
    folded = countries.fold(text)
    assert not set(folded) & set("\t\n\r")
    assert countries.fold(folded) == folded
    assert countries.alpha2(text) is None or countries.alpha2(text) in COUNTRIES


def work(action: Callable[[], object]) -> Counter[str]:
    """How often each function, of Python and of C, is called on the way."""
    calls = Counter[str]()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            calls[frame.f_code.co_name] += 1
        elif event == "c_call":
            calls[argument.__name__] += 1

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("text", ["Italia", "Wakanda", "Deutschland", "日本", "x" * 200, "Wakanda (the kingdom of)"])
def test_a_name_costs_one_file_and_a_few_searches(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycountry", None)
    countries._table.cache_clear()
    first, second = work(lambda: countries.alpha2(text)), work(lambda: countries.alpha2(text))
    assert first["read_bytes"] == 1
    assert second["read_bytes"] == second["open"] == 0
    assert 1 <= second["find"] <= 2
    assert second.total() < 100 + 10 * len(text)
    assert len(countries._table()) < 900_000


def test_a_code_does_not_even_read_the_file() -> None:
    countries._table.cache_clear()
    for text in ("it", " US ", "U.S.", "DE"):
        assert countries.alpha2(text)
    assert countries._table.cache_info().currsize == 0
