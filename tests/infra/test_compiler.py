"""The templates under Microsoft's compiler: no finding, main.json is what they compile to, refusals in words."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from dev import bicep
from tests.infra import deployment
from tests.infra.deployment import INFRA, needs_compiler

FILES = sorted([*INFRA.rglob("*.bicep"), *INFRA.glob("*.bicepparam")])
ENTRIES = [INFRA / "main.bicep", INFRA / "azd.bicep", INFRA / "upgrade.bicep"]

pytestmark = needs_compiler


@pytest.mark.parametrize("file", ENTRIES, ids=lambda file: file.name)
def test_the_linter_finds_nothing(file: Path) -> None:
    done = bicep.run("lint", file)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_is_formatted(file: Path) -> None:
    done = bicep.run("format", file, "--stdout")
    assert done.returncode == 0, done.stderr
    assert done.stdout == file.read_text(encoding="utf-8"), f"run: bicep format {file}"


def without_generator(template: Any) -> Any:
    """The template without the note of who compiled it, which differs between versions of the compiler."""
    if isinstance(template, dict):
        return {key: without_generator(value) for key, value in template.items() if key != "_generator"}
    return [without_generator(value) for value in template] if isinstance(template, list) else template


@pytest.mark.parametrize("name", ["main", "upgrade"])
def test_the_published_template_is_what_they_compile_to(name: str) -> None:
    published = json.loads((INFRA / f"{name}.json").read_text(encoding="utf-8"))
    wrote = published["metadata"]["_generator"]["version"]
    done = bicep.run("build", INFRA / f"{name}.bicep", "--stdout")
    assert done.returncode == 0, done.stderr
    compiled = json.loads(done.stdout)
    here = compiled["metadata"]["_generator"]["version"]
    if here != wrote:
        pytest.skip(f"infra/{name}.json was written by Bicep {wrote}, and {here} is here: they were not compared")
    assert without_generator(compiled) == without_generator(published), "run: make templates"


class TestRules:
    SOURCE = (INFRA / "bicepconfig.json").read_text(encoding="utf-8")

    def test_each_is_an_error_or_off_with_a_reason(self) -> None:
        levels = dict(re.findall(r'^        "([\w-]+)": \{ "level": "(\w+)" \}', self.SOURCE, re.MULTILINE))
        assert len(levels) > 50
        assert set(levels.values()) == {"error", "off"}
        reasoned = re.findall(
            r'^        // .{20,}\n        "([\w-]+)": \{ "level": "off" \}', self.SOURCE, re.MULTILINE
        )
        assert [name for name, level in levels.items() if level == "off"] == reasoned

    @pytest.mark.parametrize(
        ("name", "old", "new", "finding"),
        [
            ("main.bicep", "param tags { *: string } = {}", "param tags object = {}", "use-user-defined-types"),
            (
                "main.bicep",
                "module vault 'modules/vault.bicep' = {",
                "module vault 'modules/vault.bicep' = {\n  name: 'x'",
                "no-module-",
            ),
            ("main.bicep", "@secure()\nparam secrets", "param secrets", "secure-secrets-in-params"),
            (
                "main.bicep",
                "output alerted bool = !empty(alertEmail)",
                "output alerted bool = true",
                "no-hardcoded-out",
            ),
            ("main.bicep", "    sku: storageSku\n", "    skuName: storageSku\n", "BCP035"),
            ("modules/app.bicep", "httpsOnly: true", "httpOnly: true", "BCP089"),
            ("modules/app.bicep", "reserved: true", "reserved: 'yes'", "BCP036"),
            ("modules/state.bicep", "storageAccounts@2025-01-01", "storageAccounts@2025-01-02", "BCP081"),
        ],
    )
    def test_the_check_can_fail(self, tmp_path: Path, name: str, old: str, new: str, finding: str) -> None:
        shutil.copytree(INFRA, tmp_path, dirs_exist_ok=True)
        file = tmp_path / name
        source = file.read_text(encoding="utf-8")
        assert old in source
        file.write_text(source.replace(old, new, 1), encoding="utf-8")
        done = bicep.run("lint", tmp_path / "main.bicep")
        assert finding in done.stderr


@pytest.mark.parametrize("file", [deployment.MAIN, deployment.FULL], ids=lambda file: file.name)
def test_the_whole_deployment_can_be_predicted(file: Path) -> None:
    """Else `az deployment group what-if` would leave things out."""
    found = deployment.snapshot(file)
    assert found["diagnostics"] == []
    assert "[" not in json.dumps([each.get("copy") for each in found["predictedResources"]]).strip("[]")


PACKAGE = "https://example.com/releases/download/v1.2.3/released-package.zip"
"""The package of full.bicepparam."""
NO_PACKAGES = (
    "http://example.com/released-package.zip",
    "released-package.zip",
    "https:///released-package.zip",
    "https://released-package.zip",
    "https://example.com/released-package.tar.gz",
    "https://example.com/released package.zip",
    "https://user:secret-signature@example.com/released-package.zip",
    "https://contoso.blob.core.windows.net/x/released-package.zip?sig=secret-signature",
)


class TestWrongParameters:
    """They are refused before anything is created, all at once and in words."""

    def refused(self, tmp_path: Path, *changes: tuple[str, str]) -> str:
        source = deployment.FULL.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in source
            source = source.replace(old, new, 1)
        file = tmp_path / "wrong.bicepparam"
        file.write_text(source, encoding="utf-8")
        code, said, found = deployment.predicted(file)
        assert code == 1, "it was not refused"
        assert found == {}
        assert deployment.HUSH not in said
        return said

    def test_tables_that_none_can_have(self, tmp_path: Path) -> None:
        wrong = ["Other-Leads", "4Leads", "ab", "Tables", "x" * 64, ""]
        listed = ", ".join(f"'{name}'" for name in wrong)
        said = self.refused(tmp_path, ("'MarketplaceLeads', 'OtherLeads'", f"'MarketplaceLeads', {listed}"))
        for name in wrong:
            assert f'inboxTables: no table can be called "{name}".' in said
        assert '"MarketplaceLeads"' not in said

    @pytest.mark.parametrize("address", ["operations", "a@b.c, d@e.f", "Ops <a@b.c>", "a@localhost"])
    def test_an_address_that_is_none(self, tmp_path: Path, address: str) -> None:
        said = self.refused(tmp_path, ("'operations@contoso.com'", f"'{address}'"))
        assert f'alertEmail: "{address}" is not an e-mail address.' in said

    def test_secrets_and_settings_at_the_wrong_place(self, tmp_path: Path) -> None:
        said = self.refused(
            tmp_path,
            ("'TEAMS_WEBHOOK_URL'", "'TEAMS_WEBHOK_URL', 'DYNAMICS_URL'"),
            ("LEADS_LANGUAGE: ''", "TEAMS_WEBHOOK_URL: 'https://x'\n  EMAIL_EMEA_SMTP_URL: 'x'\n  EMAIL_SMTP_URL: ''"),
        )
        assert "the app has no secret setting TEAMS_WEBHOK_URL. It has: " in said
        assert "the app has no secret setting DYNAMICS_URL." in said
        assert "settings: TEAMS_WEBHOOK_URL is a secret." in said
        assert "settings: EMAIL_EMEA_SMTP_URL is a secret." in said
        assert "settings: EMAIL_SMTP_URL" not in said, "one that is empty counts as not set"
        assert "settings: DYNAMICS_URL" not in said
        assert "secretSettings: the app has no secret setting EMAIL_EMEA_SMTP_URL" not in said

    def test_a_longer_name_that_is_no_secret_is_none(self, tmp_path: Path) -> None:
        """As IN_TO is a secret here, SIGN_IN_TO would be that of the instance `sign`, were it not declared itself."""
        shutil.copytree(INFRA, tmp_path / "infra")
        names = tmp_path / "infra" / "settings.json"
        known = json.loads(names.read_text(encoding="utf-8"))
        known["EMAIL"] = {"plain": ["TO", "SIGN_IN_TO"], "secret": ["IN_TO"]}
        names.write_text(json.dumps(known), encoding="utf-8")
        file = tmp_path / "infra" / "some.bicepparam"
        file.write_text("using 'main.bicep'\nparam settings = { EMAIL_SIGN_IN_TO: 'x' }\n", encoding="utf-8")
        arguments = ["--subscription-id", deployment.SUBSCRIPTION, "--tenant-id", deployment.TENANT]
        arguments += ["--resource-group", "g", "--location", "westeurope"]
        done = bicep.run("snapshot", file, "--mode", "overwrite", *arguments)
        assert done.returncode == 0, done.stderr
        file.write_text("using 'main.bicep'\nparam settings = { EMAIL_EMEA_IN_TO: 'x' }\n", encoding="utf-8")
        done = bicep.run("snapshot", file, "--mode", "overwrite", *arguments)
        assert "EMAIL_EMEA_IN_TO is a secret" in done.stderr + done.stdout

    def test_a_budget_that_nobody_would_hear_of(self, tmp_path: Path) -> None:
        said = self.refused(tmp_path, ("'operations@contoso.com'", "''"), ("'2026-12-01'", "'2026-12-02'"))
        assert "monthlyBudget: nobody would hear of it. Set alertEmail too." in said
        assert "monthlyBudgetFrom: say with which month the budget begins" in said

    @pytest.mark.parametrize("uri", NO_PACKAGES)
    def test_a_package_that_is_no_https_address_of_a_zip(self, tmp_path: Path, uri: str) -> None:
        said = self.refused(tmp_path, (PACKAGE, uri))
        assert "packageUri: it is not the address of a package. It begins with https://, ends with .zip" in said
        assert "secret-signature" not in said

    def test_a_value_that_is_no_text(self, tmp_path: Path) -> None:
        said = self.refused(tmp_path, ("LEADS_LANGUAGE: ''", "LEADS_BACKFILL_DAYS: 7"))
        assert '"LEADS_BACKFILL_DAYS" expected a value of type "string"' in said


class TestUpgrade:
    """A second template, which changes nothing but the code."""

    def predicted(self, tmp_path: Path, uri: str, more: str = "") -> tuple[int, str, dict[str, Any]]:
        file = tmp_path / "upgrade.bicepparam"
        file.write_text(f"using '../../infra/upgrade.bicep'\nparam packageUri = '{uri}'\n{more}", encoding="utf-8")
        return deployment.predicted(file)

    def test_it_publishes_to_the_app_of_the_first_deployment_and_touches_nothing_else(self, tmp_path: Path) -> None:
        code, said, found = self.predicted(tmp_path, PACKAGE)
        assert code == 0, said
        (resource,) = found["predictedResources"]
        app = deployment.resource(deployment.MAIN, "Microsoft.Web/sites")
        assert resource["id"] == f"{app['id']}/extensions/onedeploy"
        assert resource["properties"] == {"packageUri": PACKAGE, "remoteBuild": False}
        assert found["diagnostics"] == []

    def test_an_app_of_another_name_can_be_named(self, tmp_path: Path) -> None:
        _, _, found = self.predicted(tmp_path, PACKAGE, "param functionApp = 'contoso-abc'")
        assert found["predictedResources"][0]["name"] == "contoso-abc/onedeploy"

    @pytest.mark.parametrize("uri", ["", *NO_PACKAGES])
    def test_what_is_no_package_is_refused(self, tmp_path: Path, uri: str) -> None:
        code, said, found = self.predicted(tmp_path, uri)
        assert (code, found) == (1, {})
        assert "packageUri: it is not the address of a package." in said


class TestAzd:
    AZD = INFRA / "azd.bicepparam"

    def test_it_passes_every_parameter_on(self) -> None:
        source = (INFRA / "azd.bicep").read_text(encoding="utf-8")
        passed = set(re.findall(r"^    (\w+): ", source, re.MULTILINE))
        assert deployment.template()["parameters"].keys() <= passed

    def test_it_gives_every_output(self) -> None:
        source = (INFRA / "azd.bicep").read_text(encoding="utf-8")
        assert set(re.findall(r"^output (\w+) ", source, re.MULTILINE)) == deployment.template()["outputs"].keys()

    def test_it_makes_the_group_and_else_the_same_deployment(self) -> None:
        def comparable(file: Path, group: str) -> dict[str, Any]:
            """Resources by id; what only a running deployment can know is left out, since its expressions differ."""
            found = deployment.snapshot(file, group)["predictedResources"]
            return {each["id"]: re.sub(r'"\[.*?\]"', "", json.dumps(each, sort_keys=True)) for each in found}

        there, here = comparable(self.AZD, ""), comparable(deployment.MAIN, deployment.GROUP)
        group = f"/subscriptions/{deployment.SUBSCRIPTION}/resourceGroups/{deployment.GROUP}"
        assert json.loads(there.pop(group))["tags"] == {"azd-env-name": deployment.GROUP}
        assert there == here

    def test_no_secret_is_among_the_plain_parameters(self) -> None:
        assert deployment.HUSH not in json.dumps(deployment.snapshot(self.AZD, ""))
