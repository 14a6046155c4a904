"""The pages on HubSpot and Marketo name every setting, count their clicks, and say what the app says."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dev.standins import hubspot as hubspot_standin
from dev.standins import marketo as marketo_standin
from leads.contract import RULES
from leads.destinations import hubspot, marketo
from leads.destinations.marketo import api, checks
from leads.reader import Reader
from leads.transport import Deadline

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / f"docs/destinations/{name}.md").read_text("utf-8") for name in ("hubspot", "marketo")}

Break = Callable[[Any], dict[str, str]]


@pytest.mark.parametrize("name", PAGES)
def test_every_setting_is_named(name: str) -> None:
    for setting in importlib.import_module(f"leads.destinations.{name}").SETTINGS:
        assert f"`{setting.name}`" in PAGES[name]


@pytest.mark.parametrize("name", PAGES)
def test_there_are_at_most_twelve_steps_and_they_are_counted(name: str) -> None:
    steps = PAGES[name].split("<!-- set-up -->")[1].split("<!-- end -->")[0]
    numbers = re.findall(r"^(\d+)\. ", steps, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 13)]
    assert "Twelve clicks and commands" in PAGES[name]


@pytest.mark.parametrize("name", PAGES)
def test_it_says_that_it_never_ran_against_a_real_account(name: str) -> None:
    assert "**This has not been run against a real account.**" in PAGES[name]
    assert f"tests/destinations/test_{name}_live.py" in PAGES[name]


def test_every_scope_of_hubspot_is_named() -> None:
    for scope in hubspot_standin.SCOPES:
        assert f"`{scope}`" in PAGES["hubspot"]


def test_every_attribute_of_the_activity_is_named() -> None:
    for attribute in checks.ATTRIBUTES:
        assert f"`{attribute}`" in PAGES["marketo"]


def test_what_may_run_at_once_is_that_of_the_template() -> None:
    instances = re.search(
        r"^param maximumInstances int = (\d+)$", (ROOT / "infra/main.bicep").read_text("utf-8"), re.MULTILINE
    )
    assert instances
    assert f"at most {instances[1]} instances" in PAGES["marketo"]
    assert RULES[marketo.KIND].one_at_a_time


def rows(name: str) -> list[str]:
    """What check says, by the table of the page."""
    table = PAGES[name].split("## What check says")[1].split("\n## ")[0]
    return re.findall(r"^\| (?!mistake|---)[^|]+ \| ([^|]+) \| [^|]+ \|$", table, re.MULTILINE)


def no_key(account: hubspot_standin.Account) -> dict[str, str]:
    del account.properties[hubspot_standin.KEY]
    return {}


def no_scope(account: hubspot_standin.Account) -> dict[str, str]:
    account.scopes.remove("crm.objects.contacts.write")
    return {}


HUBSPOT: list[Break] = [
    lambda _: {"HUBSPOT_TOKEN": "pat-eu1-another-one"},
    no_scope,
    no_key,
    lambda _: {"HUBSPOT_KEY": "city"},
    lambda _: {"HUBSPOT_DO_NOT_CONTACT": "city"},
    lambda _: {"HUBSPOT_LIFECYCLE_STAGE": "Lead"},
    lambda _: {"HUBSPOT_FIELDS": '{"no_such": "x"}'},
    lambda _: {"HUBSPOT_API_VERSION": "2027-03"},
]


def draft(account: marketo_standin.Account) -> dict[str, str]:
    account.activity_type["status"] = "draft"
    return {}


def lacking(account: marketo_standin.Account) -> dict[str, str]:
    account.activity_type["attributes"].pop()
    return {}


def short(account: marketo_standin.Account) -> dict[str, str]:
    account.activity_type["attributes"][2]["dataType"] = "string"
    return {}


def denied(account: marketo_standin.Account) -> dict[str, str]:
    account.denied.add("/rest/v1/leads.json")
    return {}


MARKETO: list[Break] = [
    lambda _: {"MARKETO_CLIENT_SECRET": "another"},
    denied,
    lambda _: {"MARKETO_FIELDS": '{"noSuch": "x"}'},
    lambda _: {"MARKETO_PARTITION": "Nowhere"},
    lambda _: {"MARKETO_ACTIVITY_TYPE_ID": "7"},
    draft,
    lacking,
    short,
    lambda _: {"MARKETO_ACTIVITY_TYPE_ID": ""},
]


@pytest.mark.parametrize(
    ("name", "module", "standin", "mistakes"),
    [
        ("hubspot", hubspot, hubspot_standin, HUBSPOT),
        ("marketo", marketo, marketo_standin, MARKETO),
    ],
)
def test_the_page_says_what_check_says(
    name: str, module: Any, standin: Any, mistakes: list[Break], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with standin.start(tmp_path, {}) as running:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", running.ca_file)
        assert len(rows(name)) == len(mistakes)
        for row, mistake in zip(rows(name), mistakes, strict=True):
            vars(running.account).update(vars(standin.Account()))
            api._tokens.clear()
            environ = running.environ() | mistake(running.account)
            settings = module.Settings.read(Reader(environ, module.SETTINGS))
            told = " ".join(found.cause for found in module.check(settings, Deadline.after(30)))
            assert row.removesuffix(" …") in told
