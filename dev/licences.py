"""The licences of what this project uses: docs/licences.md lists them, and `make audit` holds the list to be true.

`python -m dev.licences` writes the tables of that page anew, from what is installed. A licence that asks something of
whoever passes the app on must be explained on the page, under *What asks for something*.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"
TABLES = {"Deployed": "requirements.txt", "For development and tests": "requirements-dev.txt"}
"""The headings of the page, and the file whose packages stand below each."""
_EXPLAINED = "What asks for something"
_PERMISSIVE = re.compile(
    r"\b(?:MIT|0?BSD|Apache|ISC|Zlib|CC0|Unlicense|BlueOak|Python Software Foundation|PSF)\b", re.IGNORECASE
)
_DEMANDING = re.compile(
    r"GPL|General Public|\b(?:MPL|Mozilla|EUPL|EPL|CDDL|SSPL|BUSL|CC-BY-SA|CC-BY-NC)", re.IGNORECASE
)


def license_of(about: metadata.PackageMetadata) -> str:
    """The license that a distribution declares; empty where it declares none."""
    fields: Any = about
    classified = [
        value.rpartition(" :: ")[2] for value in fields.get_all("Classifier") or () if value.startswith("License ::")
    ]
    named = str(fields.get("License-Expression") or fields.get("License") or "").strip()
    # Some put the whole text of the license there.
    return named if named and len(named) < 60 and "\n" not in named else " or ".join(classified)


def findings(text: str) -> list[str]:
    """What the page says that is not so, and what it does not say."""
    found = []
    licences = _npm()
    for heading, used in _used().items():
        listed, declared = _listed(text, heading), _declared(used)
        licences |= declared
        for name, licence in declared.items():
            if listed.get(name) != licence:
                found.append(f"{name} declares {licence or 'no licence'}. Run python -m dev.licences.")
        found += [f"{name} is listed and no longer used." for name in sorted(listed.keys() - used)]
    explained = set(re.findall(r"`([\w.-]+)`", _section(text, _EXPLAINED)))
    for name in sorted(name for name, licence in licences.items() if not _harmless(licence) and name not in explained):
        found.append(f"say under «{_EXPLAINED}» what {licences[name] or 'no licence'} of {name} means.")
    every = licences.keys() | set().union(*_used().values())
    found += [f"{name} is explained and no longer used." for name in explained - every]
    return [f"docs/licences.md: {finding}" for finding in sorted(found)]


def written(text: str) -> str:
    """The page with its tables made anew."""
    for heading, used in _used().items():
        # A package of another Python or platform is not installed here: what is known of it stays.
        rows = {name: row for name, row in _listed(text, heading).items() if name in used} | _declared(used)
        table = "".join(f"| {name} | {licence} |\n" for name, licence in sorted(rows.items()))
        before, head, rest = text.partition(f"\n## {heading}\n\n| package | licence |\n|---|---|\n")
        text = before + head + table + re.sub(r"\A(?:\|.*\n)*", "", rest)
    return text


def _used() -> dict[str, set[str]]:
    """The packages below each heading, as PyPI writes their names; each stands below one."""
    found: dict[str, set[str]] = {}
    for heading, lock in TABLES.items():
        text = (ROOT / lock).read_text(encoding="utf-8")
        names = {re.sub(r"[-_.]+", "-", name).lower() for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}
        found[heading] = names.difference(*found.values())
    return found


def _declared(names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in sorted(names):
        try:
            found[name] = license_of(metadata.metadata(name))
        except metadata.PackageNotFoundError:
            continue
    return found


def _npm() -> dict[str, str]:
    lock = json.loads((ROOT / "dev" / "package-lock.json").read_text(encoding="utf-8"))
    return {
        path.rpartition("node_modules/")[2]: str(entry.get("license", ""))
        for path, entry in lock["packages"].items()
        if path
    }


def _listed(page: str, heading: str) -> dict[str, str]:
    rows = re.findall(r"^\| ([\w.-]+) \| ([^|]*?) \|$", _section(page, heading), re.MULTILINE)
    return dict(rows[1:])


def _section(page: str, heading: str) -> str:
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def _harmless(licence: str) -> bool:
    return bool(_PERMISSIVE.search(licence)) and not _DEMANDING.search(licence)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
