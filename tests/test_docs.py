"""The documentation says what the code does: every setting, destination, link and target."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from dev.settings import REFUSED, documentation, groups, sample
from leads import enabled, problems, settings
from leads.lead import Stage
from leads.messages import languages
from leads.reader import Setting

ROOT = Path(__file__).parent.parent
DOCS = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SETTINGS = (ROOT / "docs/settings.md").read_text()


def declared() -> dict[str, Setting]:
    return {setting.name: setting for group in groups().values() for setting in group}


def test_the_tables_of_settings_are_made_from_what_the_code_declares() -> None:
    assert documentation(SETTINGS) == SETTINGS, "run python -m dev.settings"


def test_the_sample_is_made_from_what_the_code_declares() -> None:
    assert sample() == (ROOT / "local.settings.sample.json").read_text(), "run python -m dev.settings"


def test_no_other_setting_is_named_in_the_documentation_of_settings() -> None:
    prefixes = "|".join(["LEADS", *(name.upper() for name in enabled.names())])
    named = set(re.findall(rf"`((?:{prefixes})_[A-Z_]+)`", SETTINGS))
    assert named - declared().keys() <= {*REFUSED, *problems.FOREIGN, "LEADS_DESTINATION", "EMAIL_EMEA_TO"}


def test_the_declared_defaults_are_those_that_the_code_uses() -> None:
    written = settings.read({name: one.default for name, one in declared().items() if name.startswith("LEADS_")})
    empty = settings.read({})
    for field in fields(settings.Settings):
        assert getattr(written, field.name) == getattr(empty, field.name), field.name
    for name in enabled.names():
        defaults = {one.name: one.default for one in enabled.load(name).SETTINGS}
        assert enabled.read(name, defaults).settings == enabled.read(name, {}).settings, name


def test_every_setting_says_in_one_line_what_it_means() -> None:
    for name, one in declared().items():
        assert one.meaning, name
        assert "\n" not in one.meaning, name
        assert "|" not in one.meaning, name


@pytest.mark.parametrize("name", enabled.names())
def test_what_is_secret_is_an_instances_own_or_says_why_not(name: str) -> None:
    shared = {one.name for one in enabled.load(name).SETTINGS if one.secret and not one.own}
    # Two instances of e-mail deliver to their own recipients by one server.
    assert shared <= {"EMAIL_SMTP_URL"}


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
