"""The page on Dynamics names every setting and privilege, and says what the app says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from dev import check_az
from leads import oauth
from leads.contract import RULES
from leads.destinations import dynamics
from leads.destinations.dynamics import checks, columns, errors, settings
from leads.entra_errors import _HELP

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/destinations/dynamics.md").read_text(encoding="utf-8")
CODE = Path(oauth.__file__).read_text(encoding="utf-8")


def test_every_setting_is_named() -> None:
    assert {one.name for one in settings.SETTINGS} - set(re.findall(r"DYNAMICS_[A-Z_]+[A-Z]", PAGE)) == set()


def test_every_privilege_is_named_and_given() -> None:
    script = PAGE.split("<!-- set-up -->")[1].split("```")[1]
    for privilege in checks.NEEDED:
        assert f"`{privilege}`" in PAGE
        assert f"'{privilege}'" in script
    for privilege in checks.NEEDED_FOR_TASKS + checks.NEEDED_FOR_OWNER:
        assert f"`{privilege}`" in PAGE


def test_there_are_at_most_twelve_commands_and_they_are_counted() -> None:
    script = PAGE.split("<!-- set-up -->")[1].split("```")[1].removeprefix("bash")
    numbers = re.findall(r"^# (\d+)\.", script, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 12)]
    for block in re.split(r"^# \d+\.", script, flags=re.MULTILINE)[1:]:
        assert any(line and not line.startswith("#") for line in block.splitlines()[1:]), "a number without a command"
    assert "Eleven commands" in PAGE


def commands(mark: str) -> list[list[str]]:
    """The words of the `az` commands in the block behind a mark; `make check-docs` lets azure-cli itself parse them."""
    return list(check_az.commands(PAGE.split(f"<!-- {mark} -->")[1].split("```")[1]))


def test_a_certificate_has_commands() -> None:
    (made,) = commands("certificate")
    assert made[:3] == ["ad", "sp", "create-for-rbac"]
    assert "--create-cert" in made
    block = PAGE.split("<!-- certificate -->")[1].split("```")[1]
    assert block.index("export DYNAMICS_CERTIFICATE=") < block.index("infra/deploy.sh") < block.index("\nrm ")


def test_a_new_credential_leaves_the_old_one_alone() -> None:
    resets = [words for words in commands("renewal") if words[:4] == ["ad", "app", "credential", "reset"]]
    assert [{"--create-cert", "--cert"} & set(words) for words in resets] == [set(), {"--create-cert"}, {"--cert"}]
    assert all("--append" in words for words in resets)


def test_a_federated_credential_has_commands() -> None:
    login, app, credential, other_login, principal = commands("federated")
    assert app[:3] == ["ad", "app", "create"]
    assert app[app.index("--sign-in-audience") + 1] == "AzureADMultipleOrgs"
    assert credential[:4] == ["ad", "app", "federated-credential", "create"]
    given = json.loads(credential[credential.index("--parameters") + 1])
    assert given["audiences"] == ["api://AzureADTokenExchange"]
    assert re.fullmatch(r"https://login\.microsoftonline\.com/[^/]+/v2\.0", given["issuer"])
    assert given["name"]
    assert given["subject"]
    assert "output identityObjectId " in (ROOT / "infra/main.bicep").read_text(encoding="utf-8")
    assert principal[:3] == ["ad", "sp", "create"]
    assert (login[0], other_login[0]) == ("login", "login")
    block = PAGE.split("<!-- federated -->")[1].split("```")[1]
    tenant = "<tenant of the function app>"
    assert f"az login --tenant {tenant}\n" in block, "registration and credential are made where the identity is"
    assert f"/{tenant}/v2.0" in block


def test_what_is_sent_at_the_same_time_is_below_the_limit() -> None:
    found = re.search(
        r"^param maximumInstances int = (\d+)$", (ROOT / "infra/main.bicep").read_text("utf-8"), re.MULTILINE
    )
    assert found
    assert f"at most {found[1]} instances" in PAGE
    assert RULES[dynamics.KIND].one_at_a_time
    assert int(found[1]) < 52


def test_the_eight_errors_are_told_as_the_app_tells_them() -> None:
    rows = dict(re.findall(r"^\| ([1-8]) \| [^|]+ \| ([^|]+) \|", PAGE, re.MULTILINE))
    assert len(rows) == 8
    assert errors._NO_USER in rows["1"]
    assert "The application user may not set the column: leadsourcecode." in rows["2"]
    assert "The application user may not set the column" in Path(columns.__file__).read_text(encoding="utf-8")
    for number, code in (("3", 90002), ("5", 700016), ("7", 7000215)):
        assert f"{_HELP[code][0]} (AADSTS{code})" in rows[number]
    assert errors._MISCONFIGURED["0x80042f09"][0] in rows["4"]
    assert rows["6"].strip() in re.sub(r'"\s*\n\s*"', "", CODE)
    assert "does not answer like a Dynamics environment." in rows["8"]
