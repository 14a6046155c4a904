"""What a deployment would create: storage, roles, the app and its settings, secrets, alert rules, a budget.

What holds for every deployment is read from the compiled template, so it is checked on every machine. What depends on
parameters is read from the compiler's predictions, for main.bicepparam and for full.bicepparam, which differs from the
defaults in every parameter.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from leads import settings
from leads.operate import api, jobs
from leads.store import doorbell, ledger
from tests.infra import deployment
from tests.infra.deployment import FULL, INFRA, MAIN, needs_compiler

ROLES = {
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "Storage Table Data Reader": "76199698-9eea-4c19-bc75-cec21354c6b6",
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
}
"""Ids of Azure's built-in roles (learn.microsoft.com/azure/role-based-access-control/built-in-roles)."""

NEEDED = {
    "state": {"Storage Blob Data Owner", "Storage Queue Data Contributor", "Storage Table Data Contributor"},
    "inbox": {"Storage Table Data Reader"},
    "vault": {"Key Vault Secrets User"},
    "monitoring": {"Monitoring Metrics Publisher"},
}
SCOPES = {"state": "account", "inbox": "account", "vault": "vault", "monitoring": "insights"}
"""The one resource on which each module gives its roles."""


def resource(module: str, name: str) -> dict[str, Any]:
    """A resource of a compiled module by its symbolic name."""
    found: dict[str, Any] = deployment.module(module)["resources"][name]
    return found


class TestParameters:
    @pytest.mark.parametrize("kind", ["parameters", "outputs"])
    @pytest.mark.parametrize("name", ["main", *deployment.MODULES])
    def test_each_is_described_in_whole_sentences(self, name: str, kind: str) -> None:
        template = deployment.template() if name == "main" else deployment.module(name)
        for each, found in template.get(kind, {}).items():
            assert found["metadata"]["description"].endswith("."), f"{name}: {each}"

    @pytest.mark.parametrize("name", ["main", *deployment.MODULES])
    def test_secrets_are_secure_and_never_come_out(self, name: str) -> None:
        template = deployment.template() if name == "main" else deployment.module(name)
        secure = {each for each, found in template["parameters"].items() if found["type"].startswith("secure")}
        assert secure == ({"secrets"} if name in ("main", "vault") else set())
        assert "secrets" not in json.dumps(template.get("outputs", {}))
        assert not re.search(r"\blist\w*\(", json.dumps(template)), "no key is read by a template"

    def test_each_has_a_default_so_that_an_empty_file_deploys(self) -> None:
        assert [name for name, each in deployment.template()["parameters"].items() if "defaultValue" not in each] == []

    def test_names_stay_within_azures_limits(self) -> None:
        name = deployment.template()["parameters"]["name"]
        assert (name["minLength"], name["maxLength"]) == (2, 8)
        assert len("x" * 8 + "inbox" + "y" * 10) <= 24, "a storage account"
        assert len("x" * 8 + "-" + "y" * 13) <= 24, "a vault"

    @needs_compiler
    def test_the_inbox_has_a_name_that_partner_center_takes(self) -> None:
        for file in (MAIN, FULL):
            for account in deployment.resources(file, "Microsoft.Storage/storageAccounts"):
                assert re.fullmatch(r"[a-z0-9]{3,24}", account["name"])


class TestStorage:
    @pytest.mark.parametrize(("module", "keys"), [("state", False), ("inbox", True)])
    def test_only_the_inbox_has_keys_and_none_is_public(self, module: str, keys: bool) -> None:
        properties = resource(module, "account")["properties"]
        assert properties["allowSharedKeyAccess"] is keys
        assert properties["allowBlobPublicAccess"] is False
        assert properties["supportsHttpsTrafficOnly"] is True
        assert properties["minimumTlsVersion"] == "TLS1_2"
        assert properties["publicNetworkAccess"] == "Enabled", "Microsoft writes from addresses it does not publish"

    def test_what_is_forgotten_is_gone_at_once(self) -> None:
        assert resource("state", "blobs")["properties"]["deleteRetentionPolicy"] == {"enabled": False}

    @needs_compiler
    def test_it_has_every_place_that_the_app_uses(self) -> None:
        def names(kind: str) -> set[str]:
            found = deployment.resources(MAIN, f"Microsoft.Storage/storageAccounts/{kind}")
            return {each["name"].rpartition("/")[2] for each in found}

        assert names("blobServices/containers") == {ledger.RAW, ledger.QUARANTINE, jobs.JOBS, "deployments"}
        assert names("queueServices/queues") == {doorbell.QUEUE, doorbell.POISON_QUEUE}
        own = {ledger.EVENTS, ledger.LEADS, ledger.JOURNAL, ledger.STATE}
        assert names("tableServices/tables") == own | set(settings.Settings().inbox_tables)

    @needs_compiler
    @pytest.mark.parametrize(("file", "days"), [(MAIN, 365), (FULL, 30)])
    def test_raw_and_quarantine_end_with_the_retention(self, file: Path, days: int) -> None:
        found = deployment.resource(file, "Microsoft.Storage/storageAccounts/managementPolicies")
        rule, of_jobs = found["properties"]["policy"]["rules"]
        assert rule["definition"]["filters"]["prefixMatch"] == [f"{ledger.RAW}/", f"{ledger.QUARANTINE}/"]
        assert rule["definition"]["actions"] == {"baseBlob": {"delete": {"daysAfterCreationGreaterThan": days}}}
        assert rule["enabled"] is True
        assert of_jobs["definition"]["filters"]["prefixMatch"] == [f"{jobs.JOBS}/"]
        assert of_jobs["definition"]["actions"] == {"baseBlob": {"delete": {"daysAfterCreationGreaterThan": 7}}}

    @needs_compiler
    def test_other_tables_and_copies_can_be_had(self) -> None:
        tables = deployment.resources(FULL, "Microsoft.Storage/storageAccounts/tableServices/tables")
        assert {"MarketplaceLeads", "OtherLeads"} <= {each["name"].rpartition("/")[2] for each in tables}
        accounts = deployment.resources(FULL, "Microsoft.Storage/storageAccounts")
        assert [each["sku"]["name"] for each in accounts] == ["Standard_ZRS"] * 2


class TestRoles:
    @pytest.mark.parametrize("module", deployment.MODULES)
    def test_the_identity_has_exactly_the_roles_it_needs(self, module: str) -> None:
        template = deployment.module(module)
        given = template.get("variables", {}).get("roles", {})
        assert given == {name: ROLES[name] for name in NEEDED.get(module, ())}
        assignments = [r for r in template["resources"].values() if r["type"].endswith("/roleAssignments")]
        assert len(assignments) == bool(given)

    @pytest.mark.parametrize("module", NEEDED)
    def test_a_role_is_given_on_one_resource_and_to_the_app_alone(self, module: str) -> None:
        assignment = resource(module, "assignments")
        on = resource(module, SCOPES[module])
        assert on["type"] in assignment["scope"]
        assert assignment["properties"]["principalId"] == "[parameters('principalId')]"
        assert assignment["properties"]["principalType"] == "ServicePrincipal"
        assert "parameters('principalId')" in assignment["name"], "a new identity must not meet an old assignment"

    def test_the_main_template_gives_none_itself(self) -> None:
        kinds = [each["type"] for each in deployment.template()["resources"].values()]
        assert "Microsoft.Authorization/roleAssignments" not in kinds

    @needs_compiler
    @pytest.mark.parametrize("file", [MAIN, FULL])
    def test_no_deployment_gives_more(self, file: Path) -> None:
        found = deployment.resources(file, "Microsoft.Authorization/roleAssignments")
        ids = [each["properties"]["roleDefinitionId"].rpartition("/")[2] for each in found]
        assert sorted(ids) == sorted(ROLES[name] for names in NEEDED.values() for name in names)


class TestApp:
    def test_it_runs_the_python_that_the_package_is_made_for(self) -> None:
        runtime = json.loads((INFRA / "runtime.json").read_text(encoding="utf-8"))
        site = resource("app", "app")["properties"]["functionAppConfig"]
        fixed = json.dumps(deployment.module("app")["variables"])
        assert site["runtime"]["name"] == "python"
        assert runtime["python"] in (site["runtime"]["version"], *re.findall(r'"python": "([\d.]+)"', fixed))

    def test_it_takes_https_only_and_no_password(self) -> None:
        properties = resource("app", "app")["properties"]
        assert properties["httpsOnly"] is True
        assert properties["siteConfig"]["minTlsVersion"] == "1.2"
        for name in ("ftpPublishing", "scmPublishing"):
            assert resource("app", name)["properties"] == {"allow": False}

    def test_a_body_is_limited_to_what_the_app_takes(self) -> None:
        limit = int(deployment.module("app")["variables"]["platformSettings"]["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"])
        assert api.BODY_LIMIT < limit == 5 * 1024 * 1024, "what is a little too large is still told by the app"

    @needs_compiler
    @pytest.mark.parametrize(
        ("file", "memory", "instances", "ready"),
        [(MAIN, 512, 40, []), (FULL, 2048, 50, [{"name": "http", "instanceCount": 1}])],
    )
    def test_it_is_a_flex_consumption_app_of_the_right_size(
        self, file: Path, memory: int, instances: int, ready: list[Any]
    ) -> None:
        assert deployment.resource(file, "Microsoft.Web/serverfarms")["sku"] == {
            "name": "FC1",
            "tier": "FlexConsumption",
        }
        config = deployment.resource(file, "Microsoft.Web/sites")["properties"]["functionAppConfig"]
        assert config["runtime"] == {"name": "python", "version": "3.13"}
        assert config["scaleAndConcurrency"] == {
            "maximumInstanceCount": instances,
            "instanceMemoryMB": memory,
            "alwaysReady": ready,
        }
        assert config["deployment"]["storage"]["authentication"]["type"] == "UserAssignedIdentity"

    @needs_compiler
    def test_it_has_the_settings_of_the_file_and_no_empty_one(self) -> None:
        found = deployment.app_settings(FULL)
        assert found["LEADS_DESTINATIONS"] == "dynamics,email,teams"
        assert found["LEADS_INBOX_TABLES"] == "MarketplaceLeads,OtherLeads"
        assert found["LEADS_RETENTION_DAYS"] == "30"
        assert "LEADS_LANGUAGE" not in found
        assert all(found.values())

    def test_telemetry_is_taken_from_identities_only(self) -> None:
        assert resource("monitoring", "insights")["properties"]["DisableLocalAuth"] is True

    @needs_compiler
    def test_logs_have_a_cap(self) -> None:
        workspace = deployment.resource(FULL, "Microsoft.OperationalInsights/workspaces")["properties"]
        assert workspace["workspaceCapping"] == {"dailyQuotaGb": 2}
        assert workspace["retentionInDays"] == 60


@needs_compiler
class TestSecrets:
    def test_the_app_gets_references_and_its_identity_resolves_them(self) -> None:
        found = deployment.app_settings(FULL)
        vault = deployment.resource(FULL, "Microsoft.KeyVault/vaults")
        kept = {each["name"].rpartition("/")[2] for each in deployment.resources(FULL, f"{vault['type']}/secrets")}
        assert kept == {"DYNAMICS-CLIENT-SECRET", "EMAIL-EMEA-SMTP-URL", "TEAMS-WEBHOOK-URL"}
        for name in kept:
            value = found[name.replace("-", "_")]
            assert re.fullmatch(rf".*@Microsoft\.KeyVault\(VaultName=\{{0\}};SecretName=\{{1\}}\).*'{name}'.*", value)
        site = deployment.resource(FULL, "Microsoft.Web/sites")
        assert [*site["identity"]["userAssignedIdentities"]] == [site["properties"]["keyVaultReferenceIdentity"]]

    def test_a_secret_that_is_not_given_again_stays_as_it_is(self) -> None:
        for each in deployment.resources(FULL, "Microsoft.KeyVault/vaults/secrets"):
            name = each["name"].rpartition("/")[2].replace("-", "_")
            assert each["condition"] == f"[not(empty(tryGet(parameters('secrets'), '{name}')))]"

    def test_no_value_is_shown(self) -> None:
        assert deployment.HUSH not in json.dumps(deployment.snapshot(FULL))

    @pytest.mark.parametrize(("file", "protected"), [(MAIN, None), (FULL, True)])
    def test_purge_protection_is_on_or_left_out(self, file: Path, protected: bool | None) -> None:
        """Azure refuses `false`."""
        vault = deployment.resource(file, "Microsoft.KeyVault/vaults")
        assert vault["properties"].get("enablePurgeProtection") is protected


class TestPackage:
    """The code, published by the template itself."""

    @needs_compiler
    def test_without_an_address_the_code_is_left_alone(self) -> None:
        assert deployment.resources(MAIN, "Microsoft.Web/sites/extensions") == []

    @needs_compiler
    def test_with_one_azure_takes_the_package_as_it_is(self) -> None:
        code = deployment.resource(FULL, "Microsoft.Web/sites/extensions")
        assert code["name"] == f"{deployment.resource(FULL, 'Microsoft.Web/sites')['name']}/onedeploy"
        assert code["properties"] == {
            "packageUri": "https://example.com/releases/download/v1.2.3/released-package.zip",
            "remoteBuild": False,
        }

    def test_it_is_published_after_the_roles_on_its_container(self) -> None:
        """Module by module: a module is done when all of it is, the roles too."""
        modules = deployment.template()["resources"]
        assert "app" in modules["package"]["dependsOn"]
        assert {"state", "vault"} <= set(modules["app"]["dependsOn"])
        assert resource("state", "assignments")["type"] == "Microsoft.Authorization/roleAssignments"

    def test_an_empty_name_of_a_secret_counts_for_nothing(self) -> None:
        """A form's list ends with one."""
        assert "''" in FULL.read_text(encoding="utf-8").split("param secretSettings")[1].splitlines()[0]


class TestWords:
    """What to do next stands among the outputs, which the portal shows after a deployment."""

    @needs_compiler
    def test_it_is_said_where_things_are(self) -> None:
        outputs = deployment.template()["outputs"]
        assert [name for name in outputs if name.startswith("next")] == ["nextConnect", "nextTestLead", "nextPage"]
        words = {name: json.dumps(outputs[name]["value"]) for name in outputs}
        assert "> Security + networking > Access keys" in words["nextConnect"]
        assert "Press Validate there" in words["nextTestLead"]
        assert "/api/page/" in words["nextPage"]
        assert "Functions > ops > Function keys > default" in words["nextPage"]


@needs_compiler
class TestAlerts:
    def names(self, file: Path, kind: str) -> set[str]:
        return {each["name"] for each in deployment.resources(file, f"Microsoft.Insights/{kind}")}

    def test_without_an_address_there_is_none(self) -> None:
        for kind in ("scheduledQueryRules", "metricAlerts", "actionGroups"):
            assert self.names(MAIN, kind) == set()

    def test_with_an_address_there_are_all(self) -> None:
        assert self.names(FULL, "scheduledQueryRules") == {
            f"contoso-{name}"
            for name in ("dead", "misconfigured", "quarantine", "settings", "oldest-open", "watch-silent", "refused")
        }
        assert self.names(FULL, "metricAlerts") == {"contoso-site-5xx", "contoso-site-401"}
        (people,) = deployment.resources(FULL, "Microsoft.Insights/actionGroups")
        (receiver,) = people["properties"]["emailReceivers"]
        assert receiver["emailAddress"] == "operations@contoso.com"

    def test_every_rule_tells_people(self) -> None:
        (people,) = deployment.resources(FULL, "Microsoft.Insights/actionGroups")
        for rule in deployment.resources(FULL, "Microsoft.Insights/scheduledQueryRules"):
            assert rule["properties"]["actions"] == {"actionGroups": [people["id"]]}
            assert rule["properties"]["skipQueryValidation"] is True, "a rule is made before the first log"
            assert rule["properties"]["evaluationFrequency"] == "PT5M"
        for rule in deployment.resources(FULL, "Microsoft.Insights/metricAlerts"):
            assert rule["properties"]["actions"] == [{"actionGroupId": people["id"]}]

    def test_what_azure_answers_in_the_apps_place_is_an_alert(self) -> None:
        found = deployment.resources(FULL, "Microsoft.Insights/metricAlerts")
        asked = [each["properties"]["criteria"]["allOf"][0] for each in found]
        assert {each["metricName"] for each in asked} == {"Http5xx", "Http401"}
        assert {(each["operator"], each["threshold"], each["timeAggregation"]) for each in asked} == {
            ("GreaterThan", 0, "Total")
        }

    def test_a_stranger_without_a_key_is_news_only_where_leads_come_by_https(self, tmp_path: Path) -> None:
        file = tmp_path / "table.bicepparam"
        source = FULL.read_text(encoding="utf-8")
        file.write_text(source.replace("alwaysReadyHttp = 1", "alwaysReadyHttp = 0"), encoding="utf-8")
        assert self.names(file, "metricAlerts") == {"contoso-site-5xx"}

    def test_the_watch_may_be_silent_as_long_as_the_parameter_says(self) -> None:
        rule = deployment.resource(FULL, "Microsoft.Insights/scheduledQueryRules", "contoso-watch-silent")
        assert rule["properties"]["windowSize"] == "PT1H"
        (condition,) = rule["properties"]["criteria"]["allOf"]
        assert (condition["operator"], condition["threshold"]) == ("LessThan", 1)


@needs_compiler
class TestBudget:
    def test_there_is_none_by_default(self) -> None:
        found = deployment.resources(MAIN, "Microsoft.Consumption/budgets")
        assert [each.get("condition", True) for each in found] == []

    def test_it_tells_the_same_people_and_stops_nothing(self) -> None:
        budget = deployment.resource(FULL, "Microsoft.Consumption/budgets")["properties"]
        assert budget["amount"] == 20
        assert budget["timeGrain"] == "Monthly"
        assert budget["timePeriod"] == {"startDate": "2026-12-01"}, "Azure refuses to move it: it is no date of today"
        told = budget["notifications"].values()
        assert {(each["thresholdType"], each["threshold"]) for each in told} == {
            ("Actual", 80),
            ("Actual", 100),
            ("Forecasted", 100),
        }
        assert all(each["contactEmails"] == ["operations@contoso.com"] and each["enabled"] for each in told)


@needs_compiler
def test_every_resource_has_the_tags() -> None:
    for each in deployment.snapshot(FULL)["predictedResources"]:
        if "location" in each:
            assert each["tags"]["team"] == "marketing", each["type"]


@needs_compiler
def test_the_parameter_file_of_the_tests_differs_from_every_default() -> None:
    given = set(re.findall(r"^param (\w+) =", FULL.read_text(encoding="utf-8"), re.MULTILINE))
    assert given == deployment.template()["parameters"].keys() - {"location"}
