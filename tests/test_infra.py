"""The templates of infra/: syntax, names, roles, settings, and that alerts and workbook ask for what the code logs."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tree_sitter import Node

from dev import check_bicep as bicep
from leads import enabled, log, settings
from leads.errors import Rejected
from leads.intake.accept import receive
from leads.operate import api
from leads.store import doorbell, ledger
from tests.world import FakeDestination, failing, post, world

ROOT = Path(__file__).resolve().parent.parent
INFRA = ROOT / "infra"
MAIN = bicep.parse(INFRA / "main.bicep")
PARAMETERS = bicep.parse(INFRA / "main.bicepparam")

HOST_SETTINGS = {
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
    "FUNCTIONS_WORKER_RUNTIME",  # Flex Consumption has it in functionAppConfig.runtime
}
"""What the Functions host reads, and the app only in part."""

REFUSED = {"DYNAMICS_USERNAME", "DYNAMICS_PASSWORD"}
"""What the app reads in order to refuse it."""


OF_THE_COMMAND_LINE = {"LEADS_OPERATOR", "LEADS_OPS_KEY"}
"""What a person sets beside the command line, and no app."""


def python(node: Node) -> Any:
    """Objects, arrays and texts of a syntax tree as those of Python; anything else as its source."""
    if node.type == "object":
        return {name: python(value) for name, value in bicep.members(node).items()}
    if node.type == "array":
        return [python(child) for child in node.named_children if child.type != "comment"]
    text = bicep.text(node)
    return text.strip("'") if node.type == "string" else text


def resources(module: str) -> dict[str, Any]:
    """The resources of a module by symbolic name."""
    found = bicep.declarations(bicep.parse(INFRA / "modules" / f"{module}.bicep"), "resource")
    return {name: python(obj) for name, node in found.items() if (obj := bicep.body(node)) is not None}


def variable(root: Node, name: str) -> Any:
    """The value of a variable, or of an assignment of a .bicepparam file."""
    return python(bicep.declarations(root, "variable")[name].children[-1])


def decorators(node: Node) -> list[str]:
    """The decorators that stand above a declaration."""
    above = node.prev_sibling
    if above is None or above.type != "decorators":
        return []
    return [bicep.text(child) for child in above.named_children]


MODULES = sorted(file.stem for file in (INFRA / "modules").glob("*.bicep"))
TEMPLATES = [INFRA / "main.bicep", *(INFRA / "modules" / f"{name}.bicep" for name in MODULES)]


class TestTheCheck:
    @pytest.mark.parametrize("file", bicep.files(), ids=lambda file: file.name)
    def test_it_finds_nothing_in_the_templates(self, file: Path) -> None:
        assert bicep.check(file, bicep.load()) == []

    @pytest.mark.parametrize(
        ("file", "old", "new", "finding"),
        [
            ("modules/app.bicep", "httpsOnly: true", "httpOnly: true", "has no property httpOnly"),
            ("modules/app.bicep", "reserved: true", "reserved: true }", "syntax error"),
            ("modules/app.bicep", "instanceCount: alwaysReadyHttp", "instanceCount: alwaysReady", "is not declared"),
            ("modules/app.bicep", "  serverFarmId: plan.id", "  serverFarmId: plan.id\n    hostNames: []", "read-only"),
            ("modules/app.bicep", "sites@2024-11-01", "sites@2022-03-01", "is compared with version 2024-11-01"),
            (
                "modules/app.bicep",
                "instanceCount: always",
                "instances: always",
                "alwaysReady[] has no property instances",
            ),
            (
                "modules/app.bicep",
                "value: setting.value",
                "secret: setting.value",
                "appSettings[] has no property secret",
            ),
            ("modules/state.bicep", "kind: 'StorageV2'", "kind: 'StorageV7'", "storageAccounts.kind is none of"),
            ("modules/state.bicep", "  location: location\n", "", "storageAccounts needs location"),
            ("modules/state.bicep", "sku: {\n    name: sku", "sku: {\n    tier: sku", "storageAccounts.sku needs name"),
            ("modules/alerts.bicep", "timeAggregation: 'Count'", "timeAggregation: 'Sum'", "timeAggregation is none"),
            ("modules/alerts.bicep", "emailAddress: email", "email: email", "emailReceivers[] needs emailAddress"),
            ("main.bicep", "    tables: inboxTables\n", "", "inbox.bicep needs parameter tables"),
            ("main.bicep", "    tables: inboxTables", "    tableNames: inboxTables", "no parameter tableNames"),
            ("main.bicep", "inbox.outputs.accountName", "inbox.outputs.name", "inbox.bicep has no output name"),
            ("main.bicep", "'modules/app.bicep'", "'br/public:avm/res/web/site:0.16.0'", "is no file here"),
            ("main.bicep", "every: alertEvery", "every: 'PT15M'", "alertEvery is not used"),
            ("main.bicepparam", "param retentionDays", "param retention", "there is no parameter retention"),
        ],
    )
    def test_it_finds_what_is_wrong(self, tmp_path: Path, file: str, old: str, new: str, finding: str) -> None:
        shutil.copytree(INFRA, tmp_path, dirs_exist_ok=True)
        broken = tmp_path / file
        source = broken.read_text()
        assert old in source
        broken.write_text(source.replace(old, new, 1))
        assert finding in "\n".join(bicep.check(broken, bicep.load()))

    @pytest.mark.parametrize("file", ["dev/check_bicep.py", "infra/vanishing.py", "infra/package.py"])
    def test_what_people_have_to_read_stays_small(self, file: str) -> None:
        assert len((ROOT / file).read_text(encoding="utf-8").splitlines()) <= 300

    def test_a_compiler_agrees_where_there_is_one(self) -> None:
        compiler = bicep.compilers()
        if not compiler:
            pytest.skip("neither bicep nor az bicep is here: the templates are checked, but not compiled")
        done = subprocess.run([*compiler, str(INFRA / "main.bicep")], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


class TestParameters:
    @pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
    def test_each_parameter_and_output_is_described(self, file: Path) -> None:
        root = bicep.parse(file)
        for kind in ("parameter", "output"):
            for name, node in bicep.declarations(root, kind).items():
                text = next((d for d in decorators(node) if d.startswith("@description('")), "")
                assert re.search(r"\.'\)$", text), f"{file.name}: {name} needs a description in whole sentences"

    @pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
    def test_secrets_are_secure_and_never_come_out(self, file: Path) -> None:
        root = bicep.parse(file)
        for name, node in bicep.declarations(root, "parameter").items():
            assert ("@secure()" in decorators(node)) == (name == "secrets"), name
        for name, node in bicep.declarations(root, "output").items():
            assert "secrets" not in bicep.text(node), name
        assert not re.search(r"\blist\w*\(", file.read_text()), "no key is read by a template"

    def test_main_bicepparam_gives_defaults_that_deploy(self) -> None:
        for name, node in bicep.declarations(MAIN, "parameter").items():
            assert any(child.type == "=" for child in node.children), f"{name} needs a default"
        assert variable(PARAMETERS, "settings")["LEADS_DESTINATIONS"] == "console"
        assert variable(PARAMETERS, "alertEmail") == ""

    def test_the_inbox_has_a_name_that_partner_center_takes(self) -> None:
        limits = [d for d in decorators(bicep.declarations(MAIN, "parameter")["name"]) if "Length" in d]
        assert limits == ["@minLength(2)", "@maxLength(8)"]
        longest = "x" * 8 + "inbox" + "y" * 10
        assert "'${name}inbox${take(suffix, 10)}'" in (INFRA / "main.bicep").read_text()
        assert re.fullmatch(r"[a-z0-9]{3,24}", longest)
        assert len("x" * 8 + "-" + "y" * 13) <= 24, "the vault's name"


class TestStorage:
    @pytest.mark.parametrize(("module", "keys"), [("state", "false"), ("inbox", "true")])
    def test_only_the_inbox_has_keys_and_none_is_public(self, module: str, keys: str) -> None:
        properties = resources(module)["account"]["properties"]
        assert properties["allowSharedKeyAccess"] == keys
        assert properties["allowBlobPublicAccess"] == "false"
        assert properties["supportsHttpsTrafficOnly"] == "true"
        assert properties["minimumTlsVersion"] == "TLS1_2"
        assert properties["publicNetworkAccess"] == "Enabled", "Microsoft writes from addresses it does not publish"

    def test_it_has_every_place_that_the_app_uses(self) -> None:
        source = (INFRA / "modules" / "state.bicep").read_text()
        loops = {
            kind: set(re.findall(r"'([\w-]+)'", names))
            for kind, names in re.findall(r"for (container|table|queue) in \[([^\]]*)\]", source)
        }
        assert loops["container"] == {ledger.RAW, ledger.QUARANTINE}
        assert loops["table"] == {ledger.EVENTS, ledger.LEADS, ledger.JOURNAL, ledger.STATE}
        assert loops["queue"] == {doorbell.QUEUE, doorbell.POISON_QUEUE}
        assert "'quarantine', deploymentContainer]" in source

    def test_raw_and_quarantine_end_with_the_retention(self) -> None:
        (rule,) = resources("state")["lifecycle"]["properties"]["policy"]["rules"]
        assert rule["definition"]["filters"]["prefixMatch"] == ["raw/", "quarantine/"]
        assert rule["definition"]["actions"] == {
            "baseBlob": {"delete": {"daysAfterCreationGreaterThan": "retentionDays"}}
        }
        assert rule["enabled"] == "true"

    def test_what_is_forgotten_is_gone_at_once(self) -> None:
        assert resources("state")["blobs"]["properties"]["deleteRetentionPolicy"] == {"enabled": "false"}

    def test_microsofts_table_is_there(self) -> None:
        assert settings.Settings().inbox_tables == tuple(variable(PARAMETERS, "inboxTables"))


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
    "alerts": set(),
    "app": set(),
}


class TestRoles:
    @pytest.mark.parametrize("module", MODULES)
    def test_the_identity_has_exactly_the_roles_it_needs(self, module: str) -> None:
        root = bicep.parse(INFRA / "modules" / f"{module}.bicep")
        given = variable(root, "roles") if "roles" in bicep.declarations(root, "variable") else {}
        assert set(given) == NEEDED[module]
        assert given == {name: ROLES[name] for name in given}
        source = (INFRA / "modules" / f"{module}.bicep").read_text()
        assert source.count("Microsoft.Authorization/roleAssignments@") == bool(given)

    @pytest.mark.parametrize("module", [name for name, roles in NEEDED.items() if roles])
    def test_a_role_is_given_on_one_resource_and_to_the_app_alone(self, module: str) -> None:
        assignment = resources(module)["assignments"]
        (symbol,) = {"state": ["account"], "inbox": ["account"], "vault": ["vault"], "monitoring": ["insights"]}[module]
        assert assignment["scope"] == symbol
        assert assignment["name"] == f"guid({symbol}.id, principalId, role.value)"
        assert assignment["properties"]["principalId"] == "principalId"
        assert assignment["properties"]["principalType"] == "ServicePrincipal"

    def test_the_main_template_gives_none_itself(self) -> None:
        assert "roleAssignments" not in (INFRA / "main.bicep").read_text()


class TestApp:
    def test_it_is_a_flex_consumption_app_of_the_right_size(self) -> None:
        found = resources("app")
        assert found["plan"]["sku"] == {"name": "FC1", "tier": "FlexConsumption"}
        config = found["app"]["properties"]["functionAppConfig"]
        assert config["runtime"] == {"name": "python", "version": "3.13"}
        assert config["scaleAndConcurrency"]["instanceMemoryMB"] == "instanceMemory"
        assert bicep.text(bicep.declarations(MAIN, "parameter")["instanceMemory"]).endswith("= 512")
        assert config["deployment"]["storage"]["authentication"]["type"] == "UserAssignedIdentity"

    def test_it_takes_https_only_and_no_password(self) -> None:
        found = resources("app")
        assert found["app"]["properties"]["httpsOnly"] == "true"
        assert found["app"]["properties"]["siteConfig"]["minTlsVersion"] == "1.2"
        assert {found[name]["name"] for name in ("ftpPublishing", "scmPublishing")} == {"ftp", "scm"}
        assert all(found[name]["properties"] == {"allow": "false"} for name in ("ftpPublishing", "scmPublishing"))

    def test_a_body_is_limited_to_what_the_app_takes(self) -> None:
        root = bicep.parse(INFRA / "modules" / "app.bicep")
        limit = int(variable(root, "platformSettings")["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"])
        assert api.BODY_LIMIT < limit == 5 * 1024 * 1024, "what is a little too large is still told by the app"

    def test_secrets_are_references_that_its_identity_resolves(self) -> None:
        source = (INFRA / "modules" / "app.bicep").read_text()
        assert "@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${replace(setting, '_', '-')})" in source
        assert resources("app")["app"]["properties"]["keyVaultReferenceIdentity"] == "identityId"
        assert resources("vault")["values"]["name"] == "replace(secret.key, '_', '-')"

    def test_telemetry_is_taken_from_identities_only(self) -> None:
        found = resources("monitoring")
        assert found["insights"]["properties"]["DisableLocalAuth"] == "true"
        assert found["workspace"]["properties"]["workspaceCapping"] == {"dailyQuotaGb": "dailyCapGb"}
        assert found["workspace"]["properties"]["retentionInDays"] == "retentionDays"


def set_by_template() -> set[str]:
    """The settings that the template gives the app by itself."""
    root = bicep.parse(INFRA / "modules" / "app.bicep")
    return set(variable(root, "platformSettings")) | set(variable(root, "identitySettings"))


def offered() -> set[str]:
    """The settings that main.bicepparam names for people to fill in."""
    return set(variable(PARAMETERS, "settings")) | set(variable(PARAMETERS, "secrets"))


def read_by_code() -> set[str]:
    """The settings that the code names, of the app itself and of its destinations."""
    prefixes = ("LEADS_", *(f"{name.upper()}_" for name in enabled.names()))
    found = set()
    for file in (ROOT / "leads").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(prefixes):
                found |= {node.value} if re.fullmatch(r"[A-Z0-9_]+", node.value) else set()
    return found - REFUSED - OF_THE_COMMAND_LINE


class TestSettings:
    def test_each_that_the_code_reads_is_set_or_offered(self) -> None:
        named = set_by_template() | offered()
        by_identity = {name.partition("__")[0] for name in named if "__" in name}
        assert read_by_code() - named - by_identity == set()

    def test_each_of_the_sample_is_set_or_offered(self) -> None:
        sample = json.loads((ROOT / "local.settings.sample.json").read_text(encoding="utf-8"))["Values"]
        named = set_by_template() | offered() | HOST_SETTINGS | OF_THE_COMMAND_LINE
        by_identity = {name.partition("__")[0] for name in named if "__" in name}
        assert set(sample) - named - by_identity == set()

    def test_none_is_set_that_the_code_does_not_know(self) -> None:
        known = read_by_code() | HOST_SETTINGS | {"LEADS_INBOX__accountName", "LEADS_INBOX__clientId"}
        assert (set_by_template() | offered()) - known == set()

    def test_the_app_understands_what_the_template_sets(self) -> None:
        environ = dict.fromkeys(set_by_template(), "x") | {
            "AzureWebJobsStorage__accountName": "leadsstate",
            "AzureWebJobsStorage__clientId": "11111111-2222-3333-4444-555555555555",
            "LEADS_INBOX__accountName": "leadsinbox",
            "LEADS_INBOX__clientId": "11111111-2222-3333-4444-555555555555",
            "LEADS_INBOX_TABLES": "MarketplaceLeads",
            "LEADS_RETENTION_DAYS": "365",
        }
        found = settings.read(environ)
        assert found.problems == ()
        assert found.storage is not None
        assert found.inbox is not None
        assert (found.storage.name, found.inbox.name) == ("leadsstate", "leadsinbox")
        assert found.storage.client_id == found.inbox.client_id != ""

    def test_secrets_and_settings_are_kept_apart(self) -> None:
        plain, secret = set(variable(PARAMETERS, "settings")), set(variable(PARAMETERS, "secrets"))
        assert not plain & secret
        telling = re.compile("SECRET|CERTIFICATE|TOKEN|WEBHOOK|SMTP_URL|PASSWORD|_KEY$")
        assert [name for name in plain if telling.search(name)] == []

    def test_each_secret_comes_from_the_variable_of_its_name(self) -> None:
        secrets = variable(PARAMETERS, "secrets")
        assert secrets == {name: f"readEnvironmentVariable('{name}', '')" for name in secrets}
        source = (INFRA / "main.bicepparam").read_text()
        assert re.findall(r"^  // '(\w+)'$", source, re.MULTILINE) == list(secrets), "the list to choose from"
        assert variable(PARAMETERS, "secretSettings") == []

    def test_no_setting_has_a_value_yet(self) -> None:
        filled = {name: value for name, value in variable(PARAMETERS, "settings").items() if value}
        assert filled == {"LEADS_DESTINATIONS": "console"}


def alert_queries() -> dict[str, str]:
    """The query of every alert rule that asks for events, by its name."""
    root = bicep.parse(INFRA / "modules" / "alerts.bicep")
    events, reported = variable(root, "events"), variable(root, "reported")
    found = {}
    for name, end in (("reports", reported), ("watches", "")):
        for rule in variable(root, name):
            found[rule["name"]] = events + rule["query"] + end
    return found


def workbook() -> list[dict[str, Any]]:
    """The parts of the workbook."""
    found: dict[str, Any] = json.loads((INFRA / "workbook.json").read_text(encoding="utf-8"))
    assert found["fallbackResourceIds"] == ["<insights>"], "monitoring.bicep puts the resource in"
    return [item for item in found["items"] if item["type"] == 3]


QUERIES = alert_queries() | {f"workbook: {item['name']}": item["content"]["query"] for item in workbook()}


def emitted() -> dict[str, set[str]]:
    """The fields that the code really logs with each event: a query never finds what is in the vocabulary alone."""
    found: dict[str, set[str]] = {}
    for file in (ROOT / "leads").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "log.event":
                name = node.args[0]
                assert isinstance(name, ast.Constant), f"{file.name}: the name of an event is not computed"
                assert isinstance(name.value, str)
                found.setdefault(name.value, set()).update(keyword.arg or "" for keyword in node.keywords)
    return found


class TestQueries:
    @pytest.mark.parametrize("name", QUERIES)
    def test_it_asks_for_events_and_fields_that_the_code_logs(self, name: str) -> None:
        query = QUERIES[name]
        assert "startswith '{\"event\"'" in query
        events = set(re.findall(r'\bevent == "(\w+)"', query))
        events |= set(re.findall(r'"(\w+)"', " ".join(re.findall(r"\bevent in \(([^)]*)\)", query))))
        assert events, "a query names its events"
        assert events <= log.EVENTS.keys()
        fields = set(re.findall(r"\be\.(\w+)", query)) | set(re.findall(r"\be\['(\w+)'\]", query))
        known = set().union(*(log.EVENTS[event] for event in events))
        assert fields - {"event"} <= known
        logged = emitted()
        assert events <= logged.keys()
        assert fields - {"event"} <= set().union(*(logged[event] for event in events))

    @pytest.mark.parametrize("name", QUERIES)
    def test_its_brackets_and_quotes_match(self, name: str) -> None:
        bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", QUERIES[name])
        assert "'" not in bare
        assert '"' not in bare
        assert bare.count("(") == bare.count(")")
        assert bare.count("[") == bare.count("]")
        assert all(line.startswith(("|", " ", "traces")) for line in QUERIES[name].split("\n") if line.strip())

    def test_microsofts_own_parser_takes_them(self) -> None:
        """Syntax, names, functions and their types, by the language service of Azure Data Explorer."""
        refused = resources("alerts")["refused"]["properties"]["criteria"]["allOf"][0]["query"]
        asked = QUERIES | {"refused": refused.replace("\\n", "\n"), "broken": "traces | where no_such_column == 1"}
        node = shutil.which("node")
        if node is None:
            pytest.skip("node is not here: the queries were not parsed")
        done = subprocess.run(
            [node, str(ROOT / "dev" / "check_kql.cjs")],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=False,
        )
        if "Cannot find module" in done.stderr:
            pytest.skip("@kusto/language-service-next is not in dev/node_modules: the queries were not parsed")
        assert done.returncode == 0, done.stderr
        findings = json.loads(done.stdout)
        assert [finding for finding in findings if not finding.startswith("broken: ")] == []
        assert len(findings) == 1, "the check itself finds what is wrong"

    def test_an_event_begins_as_the_queries_expect(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        log.event("watch_ran", table="MarketplaceLeads", rows=1)
        assert caplog.messages[0].startswith('{"event"')

    def test_whatever_the_app_reports_is_an_alert(self) -> None:
        asked = ((name, re.findall(r'kind\) == "(\w+)"', query)) for name, query in alert_queries().items())
        kinds = {kind: name for name, found in asked for kind in found}
        documented = re.search(r'kind: str\n    """([^"]*)"""', (ROOT / "leads" / "messages" / "alert.py").read_text())
        assert documented
        assert kinds.keys() == set(re.findall(r"`(\w+)`", documented[1]))
        assert kinds["watch_silent"] == "watch-silent"

    def test_a_lead_that_is_open_too_long_and_a_silent_watch_are_alerts(self) -> None:
        rules = {rule["name"]: rule for rule in variable(bicep.parse(INFRA / "modules" / "alerts.bicep"), "watches")}
        assert rules["oldest-open"]["threshold"] == "3600"
        assert rules["oldest-open"]["operator"] == "GreaterThan"
        silent = re.search(r"iff\(failures >= runs, ([\d.]+), coalesce\(oldest", rules["oldest-open"]["query"])
        assert silent
        assert float(silent[1]) > 3600, "a sweep that does not run is no sign that all is well"
        assert rules["watch-silent"]["window"] == "watchSilence"
        assert (rules["watch-silent"]["operator"], rules["watch-silent"]["threshold"]) == ("LessThan", "1")
        default = bicep.text(bicep.declarations(MAIN, "parameter")["watchSilence"])
        assert default.endswith("= 'PT15M'")

    def test_a_refused_lead_is_an_alert(self) -> None:
        query = resources("alerts")["refused"]["properties"]["criteria"]["allOf"][0]["query"]
        assert '"receive_lead"' in query
        assert re.search(r"^def receive_lead\(", (ROOT / "function_app.py").read_text(), re.MULTILINE)

    def test_every_rule_tells_people(self) -> None:
        found = resources("alerts")
        rules = [found[name] for name in ("reportRules", "watchRules", "refused")]
        assert all(rule["properties"]["actions"] == {"actionGroups": ["people.id"]} for rule in rules)
        assert found["people"]["properties"]["emailReceivers"][0]["emailAddress"] == "email"

    def test_why_a_delivery_is_dead_is_asked_where_it_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        with world(crm=FakeDestination(failures=[failing(Rejected)])) as made:
            receive(made.app, post(), made.now)
            made.drain()
        logged = [json.loads(message) for message in caplog.messages if message.startswith('{"event"')]
        (attempt,) = [e for e in logged if e["event"] == "delivery_attempt"]
        (finished,) = [e for e in logged if e["event"] == "delivery_finished"]
        assert finished["state"] == "dead"
        asked = set(re.findall(r"\be\.(\w+)", QUERIES["workbook: dead"])) - {"event"}
        assert [field for field in asked if not attempt.get(field) and not finished.get(field)] == []

    def test_rules_can_be_made_before_the_first_log(self) -> None:
        found = resources("alerts")
        rules = [found[name] for name in ("reportRules", "watchRules", "refused")]
        assert all(rule["properties"]["skipQueryValidation"] == "true" for rule in rules)

    def test_the_workbook_shows_what_was_promised(self) -> None:
        names = {item["name"] for item in workbook()}
        assert {"leads by offer", "leads by stage", "funnel", "latency", "states", "dead", "open over time"} <= names
        assert all(item["content"]["timeContextFromParameter"] == "Time" for item in workbook())


class TestAzd:
    def test_it_deploys_the_same(self) -> None:
        source = (ROOT / "azure.yaml").read_text()
        assert re.search(r"^name: [a-z0-9]([-a-z0-9]*[a-z0-9])?$", source, re.MULTILINE)
        for line in (
            "  provider: bicep",
            "  path: infra",
            "  module: main",
            "    language: python",
            "    host: function",
        ):
            assert f"\n{line}\n" in source + "\n"
        service = re.search(r"^services:\n  (\w+):\n    project: \.$", source, re.MULTILINE)
        assert service
        assert resources("app")["app"]["tags"] == f"union(tags, {{ 'azd-service-name': '{service[1]}' }})"


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


class TestDocuments:
    def test_the_short_way_takes_at_most_eight_commands(self) -> None:
        block = re.search(r"<!-- readme -->\n```bash\n(.*?)```", page("docs/deploy.md"), re.DOTALL)
        assert block
        commands = [line for line in block[1].splitlines() if line.strip() and not line.startswith("#")]
        assert 1 <= len(commands) <= 8
        assert not any(line.endswith("\\") or "&&" in line or ";" in line for line in commands), "no command is hidden"

    def test_the_long_way_takes_at_most_eight_commands(self) -> None:
        block = re.search(r"<!-- by hand -->\n```bash\n(.*?)```", page("docs/deploy.md"), re.DOTALL)
        assert block
        lines = re.sub(r"\\\n\s*", " ", block[1]).splitlines()
        assert 1 <= len([line for line in lines if line.strip() and not line.startswith("#")]) <= 8

    def test_the_readme_takes_no_more(self) -> None:
        if not (ROOT / "README.md").exists():
            pytest.skip("there is no README yet")
        blocks = re.findall(r"```(?:bash|sh|console)?\n(.*?)```", page("README.md"), re.DOTALL)
        for block in (block for block in blocks if "infra/deploy.sh" in block):
            assert len([line for line in block.splitlines() if line.strip() and not line.startswith("#")]) <= 8

    @pytest.mark.parametrize("name", ["infra/README.md", "docs/deploy.md", "docs/cost.md"])
    def test_it_says_that_nobody_has_deployed_it(self, name: str) -> None:
        assert re.search(r"never\s+compiled or deployed|nobody has run this app in Azure", page(name))

    def test_every_parameter_is_explained(self) -> None:
        explained = set(re.findall(r"^\| `(\w+)` \|", page("docs/deploy.md"), re.MULTILINE))
        assert set(bicep.declarations(MAIN, "parameter")) <= explained

    def test_every_output_is_explained(self) -> None:
        assert all(f"`{name}`" in page("docs/deploy.md") for name in bicep.declarations(MAIN, "output"))

    @pytest.mark.parametrize("name", ["deploy", "which-way-in", "cost", "upgrade", "adr/0006-infra"])
    def test_its_links_lead_somewhere(self, name: str) -> None:
        file = ROOT / "docs" / f"{name}.md"
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", file.read_text(encoding="utf-8")):
            if not link.startswith("http"):
                target = (file.parent / link).resolve()
                assert target.exists() or target in PROMISED, f"{name}: {link}"

    def test_a_lock_keeps_data_and_not_old_keys(self) -> None:
        source = re.sub(r"\\\n\s*", " ", page("docs/upgrade.md"))
        locks = re.findall(r"^az lock (create|delete) .*--resource <(\w+)>$", source, re.MULTILINE)
        assert sorted(locks) == [
            (verb, f"{name}Account") for verb in ("create", "delete") for name in ("inbox", "state")
        ]
        assert source.count("\naz lock ") == len(locks)


PROMISED = {
    ROOT / "docs" / name for name in ("operations.md", "settings.md", "security.md", "destinations/dynamics.md")
}
"""Pages that are written apart from these."""
