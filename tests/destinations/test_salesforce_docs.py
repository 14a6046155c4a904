"""The page on Salesforce names every setting and field, and says what the app says."""

from __future__ import annotations

import re
from pathlib import Path

from leads.destinations import salesforce
from leads.destinations.salesforce import checks, errors, mapping, settings, web

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/destinations/salesforce.md").read_text(encoding="utf-8")


def test_every_setting_stands_in_the_table_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(SALESFORCE_\w+)` \|(.*?)\|", PAGE, re.MULTILINE))
    assert {name: default.strip(" `") for name, default in rows.items()} == {
        setting.name: setting.default for setting in salesforce.SETTINGS
    }


def test_there_are_at_most_twelve_clicks_and_they_are_counted() -> None:
    steps = PAGE.split("<!-- set-up -->")[1].split("\n\n")[0]
    numbers = re.findall(r"^(\d+)\.", steps, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 13)]
    assert "Twelve clicks" in PAGE
    for key in (settings.Settings().lead_key, settings.Settings().step_key):
        assert f"`{key.removesuffix('__c')}`" in steps


def test_every_field_that_is_written_is_named() -> None:
    for name in (*mapping.LENGTHS, *mapping.WHOLE, *mapping.FILLED, *mapping.OPT_OUT, "Rating"):
        assert f"`{name}`" in PAGE, name
    assert f"`{mapping.SOURCE}`" in PAGE


def test_what_check_says_is_what_it_says() -> None:
    code = "".join(Path(str(module.__file__)).read_text("utf-8") for module in (checks, errors))
    code = re.sub(r'"\s*\n\s*f?"', "", code)
    table = PAGE.split("## What `check` says")[1].split("\n## ")[0]
    cells = re.findall(r"^\| .+? \| ([a-z, -]+): (.+) \|$", table, re.MULTILINE)
    names = {name for cell, _ in cells for name in cell.split(", ")}
    assert names == {"sign-in", "organization", "leads", "lead key", "step key", "steps", "contacts"}
    words = [part.strip(" .") for _, cell in cells for part in re.split(r" / |…", cell)]
    assert [part for part in words if part not in code and part != "refused to show what it offers"] == []


def test_every_code_of_the_table_is_known() -> None:
    table = PAGE.split("## Failures")[1].split("\n## ")[0]
    code = Path(errors.__file__).read_text("utf-8")
    for name in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)", table):
        assert name in code, name


def test_the_mode_without_proof_says_so() -> None:
    assert f"**{web.ACCEPTED}**" in PAGE
