"""What the pages about deploying say is what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.infra import deployment
from tests.infra.deployment import ROOT


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def block(mark: str) -> list[str]:
    """The commands of docs/deploy.md under a mark; a command that goes on in the next line is one."""
    found = re.search(rf"<!-- {mark} -->\n```bash\n(.*?)```", page("docs/deploy.md"), re.DOTALL)
    assert found
    lines = re.sub(r"\\\n\s*", " ", found[1]).splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def test_the_short_way_takes_at_most_eight_commands() -> None:
    commands = block("readme")
    assert 1 <= len(commands) <= 8
    assert not any("&&" in line or ";" in line for line in commands), "no command is hidden"


def test_the_long_way_takes_at_most_eight_commands() -> None:
    assert 1 <= len(block("by hand")) <= 8


def test_azd_takes_two() -> None:
    assert block("azd") == ["azd auth login", "azd up"]


def test_the_readme_takes_no_more() -> None:
    blocks = re.findall(r"```(?:bash|sh|console)?\n(.*?)```", page("README.md"), re.DOTALL)
    for found in (found for found in blocks if "infra/deploy.sh" in found):
        assert len([line for line in found.splitlines() if line.strip() and not line.startswith("#")]) <= 8


@pytest.mark.parametrize("name", ["infra/README.md", "docs/deploy.md", "docs/cost.md"])
def test_it_says_that_nobody_has_deployed_it(name: str) -> None:
    assert re.search(r"never\s+deployed|nobody has run this app in Azure", page(name))


@pytest.mark.parametrize("name", ["infra/README.md", "docs/deploy.md", "docs/adr/0006-infra.md", "infra/main.bicep"])
def test_none_says_that_it_was_never_compiled(name: str) -> None:
    assert not re.search(r"never\s+compiled|check_bicep|bicep_schemas|tree.sitter", page(name))


def test_every_parameter_is_explained() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", page("docs/deploy.md"), re.MULTILINE))
    assert deployment.template()["parameters"].keys() <= explained


def test_every_output_is_explained() -> None:
    assert all(f"`{name}`" in page("docs/deploy.md") for name in deployment.template()["outputs"])


def test_the_default_of_every_number_is_the_templates() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]+)`? \|", page("docs/deploy.md"), re.MULTILINE))
    for name, each in deployment.template()["parameters"].items():
        if each["type"] in ("int", "bool"):
            assert rows[name].strip() == json.dumps(each["defaultValue"]), name


@pytest.mark.parametrize("name", ["deploy", "which-way-in", "cost", "upgrade", "adr/0006-infra"])
def test_its_links_lead_somewhere(name: str) -> None:
    file = ROOT / "docs" / f"{name}.md"
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", file.read_text(encoding="utf-8")):
        if not link.startswith("http"):
            assert (file.parent / link).resolve().exists(), f"{name}: {link}"


def test_a_lock_keeps_data_and_not_old_keys() -> None:
    source = re.sub(r"\\\n\s*", " ", page("docs/upgrade.md"))
    locks = re.findall(r"^az lock (create|delete) .*--resource <(\w+)>$", source, re.MULTILINE)
    assert sorted(locks) == [(verb, f"{name}Account") for verb in ("create", "delete") for name in ("inbox", "state")]
    assert source.count("\naz lock ") == len(locks)


@pytest.mark.parametrize("file", sorted((ROOT / "docs").rglob("*.md")), ids=lambda file: file.name)
def test_no_command_replaces_a_key_that_partner_center_has(file: Path) -> None:
    """Setting a key without a value makes a new one: whoever repeats the command loses leads by HTTPS."""
    source = re.sub(r"\\\n\s*", " ", file.read_text(encoding="utf-8"))
    for line in re.findall(r"^az functionapp function keys set .*receive_lead.*$", source, re.MULTILINE):
        assert '--key-name "$NEW"' in line, line
        assert "NEW=marketplace-$(date " in source, "a name that nothing has yet"
