"""Makes the table by which country names are understood, out of the Unicode CLDR: `python -m dev.make_countries`.

The CLDR comes with Babel, which is needed here only. `dev/country_names.txt` has what it lacks. Run this after a change
of either; a test holds the committed table against what this makes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from babel import localedata
from babel.core import get_global

from leads import countries
from leads.lead import COUNTRIES

NAMES = Path(__file__).with_name("country_names.txt")


def codes() -> dict[str, str]:
    """The alpha-2 code by folded alpha-3 code, also those that ISO 3166-3 lists as replaced by one country."""
    aliases: dict[str, list[str]] = get_global("territory_aliases")
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


def translated() -> dict[str, str]:
    """The code by folded name in all languages of the CLDR.

    A name that means different countries in different languages goes with the majority of them, and with none where
    there is no majority. One or two Latin letters are no name: "Y" is Italy in one language and a yes in many forms.
    """
    languages: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for locale in localedata.locale_identifiers():
        for code, name in localedata.load(locale).get("territories", {}).items():
            if code in COUNTRIES:
                languages[countries.fold(str(name))][code].add(locale.partition("_")[0])
    found = {}
    for name, by_code in languages.items():
        votes = Counter({code: len(speakers) for code, speakers in by_code.items()})
        code, count = votes.most_common(1)[0]
        if 2 * count > votes.total() and not (name.isascii() and len(name) < 3):
            found[name] = code
    return found


def table() -> str:
    """The file's text: a head with the licence, then a line for each country, its code and all its folded names."""
    names: dict[str, list[str]] = {code: [] for code in sorted(COUNTRIES)}
    for name, code in sorted((translated() | own_names() | codes()).items()):
        if code != "-":
            names[code].append(name)
    lines = ["\t".join((code, *of_country, "")) for code, of_country in names.items()]
    return "\n".join((*head(), *lines, ""))


def head() -> Iterator[str]:
    """Where the names come from, and the licence under which they may be copied, which has to go with them."""
    yield f"# Made by dev/make_countries.py from the Unicode CLDR in Babel {version('babel')}; not edited by hand."
    yield "#"
    licence = Path(localedata.__file__).with_name("locale-data") / "LICENSE.unicode"
    for line in licence.read_text("utf-8").strip().splitlines():
        yield f"# {line}".rstrip()


def main() -> None:
    """Write the table."""
    countries.FILE.write_text(table(), "utf-8")


if __name__ == "__main__":
    main()
