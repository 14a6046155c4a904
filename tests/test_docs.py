"""The documentation says what the code does: every setting, destination, link and target."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from leads import enabled, settings
from leads.lead import Stage
from leads.messages import languages

ROOT = Path(__file__).parent.parent
DOCS = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SETTINGS = (ROOT / "docs/settings.md").read_text()
PREFIXES = "|".join(["LEADS", *(name.upper() for name in enabled.names())])
REFUSED = {"DYNAMICS_USERNAME", "DYNAMICS_PASSWORD"}
OF_THE_COMMAND = {"LEADS_OPS_KEY"}
"""Read by `python -m leads` on the operator's machine; docs/cli.md has them."""


def used() -> set[str]:
    """Every setting that the code reads."""
    code = "\n".join(path.read_text() for path in (ROOT / "leads").rglob("*.py"))
    return set(re.findall(rf'"((?:{PREFIXES})_[A-Z_]+)"', code)) - OF_THE_COMMAND | {"AzureWebJobsStorage"}


def sample() -> dict[str, str]:
    values: dict[str, str] = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    return values


def documented() -> dict[str, str]:
    """Settings and their defaults as the tables of docs/settings.md have them."""
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", SETTINGS, re.MULTILINE))


def test_every_setting_is_documented_and_nothing_else_is() -> None:
    assert set(documented()) | REFUSED == used()
    assert all(name in SETTINGS for name in REFUSED)


def test_every_setting_is_in_the_sample_and_nothing_else_is() -> None:
    assert set(sample()) - {"FUNCTIONS_WORKER_RUNTIME"} == used() - REFUSED


def test_the_sample_and_the_documentation_agree_on_defaults() -> None:
    ours = {"AzureWebJobsStorage", "LEADS_DESTINATIONS", "LEADS_WATCH_SCHEDULE", "FUNCTIONS_WORKER_RUNTIME"}
    for name, default in documented().items():
        if name not in ours:
            text = default.strip("`") if default.startswith("`") else ""
            assert sample()[name] in (text, ""), name


def test_the_defaults_in_the_documentation_are_those_of_the_code() -> None:
    defaults = {name: default.strip("`") for name, default in documented().items() if default.startswith("`")}
    written = settings.read({name: value for name, value in defaults.items() if name.startswith("LEADS_")})
    empty = settings.read({})
    names = ["destinations", "test_leads", "stages", "watch_schedule", "sweep_schedule", "retry_schedule"]
    for name in [*names, "backfill_days", "retention_days", "inbox_tables"]:
        assert getattr(written, name) == getattr(empty, name), name


def test_every_stage_and_language_is_documented() -> None:
    for stage in Stage:
        assert f"`{stage}`" in SETTINGS
    for path in languages.FOLDER.glob("*.toml"):
        assert f"`{path.stem}`" in SETTINGS


@pytest.mark.parametrize("name", enabled.names())
def test_every_destination_has_a_page_that_is_linked(name: str) -> None:
    assert (ROOT / f"docs/destinations/{name}.md").is_file()
    assert f"destinations/{name}.md" in (ROOT / "README.md").read_text()
    assert f"`{name}`" in SETTINGS


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not link.startswith(("http://", "https://", "mailto:")):
            assert (path.parent / link).exists(), f"{path.name} links to {link}"


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_that_are_named_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", path.read_text())) <= targets


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
        waiting += [(page.parent / link).resolve() for link in links if not link.startswith(("http", "mailto:"))]
    decisions = set((ROOT / "docs/adr").glob("*.md"))
    assert {path for path in DOCS if path.is_relative_to(ROOT / "docs")} - decisions <= reached


def test_the_map_of_the_package_names_modules_that_exist() -> None:
    names = set(re.findall(r"`(\w+)`", (ROOT / "leads/__init__.py").read_text().split('"""')[1]))
    assert {name for name in names if not list((ROOT / "leads").glob(f"{name}*"))} == set()


def test_the_triggers_stay_thin() -> None:
    assert len((ROOT / "function_app.py").read_text().splitlines()) <= 80
