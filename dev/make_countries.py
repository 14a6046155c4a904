"""Makes the two tables of country names out of the Unicode CLDR: `python -m dev.make_countries`.

One has the names by which a lead's country is understood, the other what messages call it. The CLDR comes with Babel,
which is needed here only; `dev/country_names.txt` has what the CLDR lacks. Run this after a change of either, and when
messages learn a language: a test holds the committed tables against what this makes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from babel import localedata
from babel.core import get_global

from leads.intake import countries
from leads.lead import COUNTRIES
from leads.messages import languages

NAMES = Path(__file__).with_name("country_names.txt")
LANGUAGES = ("de", "en", "es", "fr", "it", "ja", "pt", "ru", "sv")
"""The languages in which messages name countries."""


def codes() -> dict[str, str]:
    """The alpha-2 code by folded alpha-3 code, also those that ISO 3166-3 lists as replaced by one country."""
    aliases = get_global("territory_aliases")
    return {
        code.lower(): targets[0]
        for code, targets in aliases.items()
        if len(code) == 3 and code.isalpha() and len(targets) == 1 and targets[0] in COUNTRIES
    }


def own_names() -> dict[str, str]:
    """The code by folded name of what is written down here; `-` is the code of what names no country for certain.

    Raises ValueError where a name stands for two countries.
    """
    found: dict[str, str] = {}
    for line in NAMES.read_text("utf-8").splitlines():
        code, colon, names = line.partition(":")
        if line.startswith("#") or not colon:
            continue
        for name in map(countries.fold, names.split(";")):
            if found.setdefault(name, code) != code:
                raise ValueError(f"{NAMES.name}: {name} stands for {found[name]} and for {code}")
    return found


def territories(locale: str) -> dict[str, str]:
    """The names of the countries in a language or region of the CLDR, by code."""
    names = localedata.load(locale).get("territories", {})
    return {code: str(name) for code, name in names.items() if code in COUNTRIES}


def translated() -> dict[str, str]:
    """The code by folded name in all languages of the CLDR.

    A name that means different countries in different languages goes with the majority of them, and with none where
    there is no majority. One or two Latin letters are no name: "Y" is a yes in many forms.
    """
    speakers: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for locale in localedata.locale_identifiers():
        for code, name in territories(locale).items():
            speakers[countries.fold(name)][code].add(locale.partition("_")[0])
    found = {}
    for name, by_code in speakers.items():
        votes = Counter({code: len(who) for code, who in by_code.items()})
        code, count = votes.most_common(1)[0]
        if 2 * count > votes.total() and not (name.isascii() and len(name) < 3):
            found[name] = code
    return found


def understood() -> str:
    """The table for intake: a line for each country, its code and all its folded names, each between two tabs."""
    names: dict[str, list[str]] = {code: [] for code in sorted(COUNTRIES)}
    for name, code in sorted((translated() | own_names() | codes()).items()):
        if code != "-":
            names[code].append(name)
    lines = ["\t".join((code, *of_country, "")) for code, of_country in names.items()]
    return "\n".join((*head(), *lines, ""))


def said() -> str:
    """The table for messages: a line of codes, then a line for each language with the names in the same order."""
    lines = [("code", *sorted(COUNTRIES))]
    for language in LANGUAGES:
        names = territories(language)
        lines.append((language, *(names[code] for code in sorted(COUNTRIES))))
    return "\n".join((*head(), *("\t".join(line) for line in lines), ""))


def head() -> Iterator[str]:
    """Where the names come from, and the licence under which they may be copied, which has to go with them."""
    yield f"# Made by dev/make_countries.py from the Unicode CLDR in Babel {version('babel')}; not edited by hand."
    yield "#"
    licence = Path(localedata.__file__).with_name("locale-data") / "LICENSE.unicode"
    for line in licence.read_text("utf-8").strip().splitlines():
        yield f"# {line}".rstrip()


def main() -> None:
    """Write the tables."""
    countries.FILE.write_text(understood(), "utf-8")
    languages.COUNTRIES.write_text(said(), "utf-8")


if __name__ == "__main__":
    main()
