"""The form of the Deploy button: made from the declared settings, right for the template, and filled in.

Rules of the portal that its schema does not hold are from learn.microsoft.com (form-view-overview) and from public
forms; that the portal shows it as these tests fill it in was never seen.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from dev import button, cost, form
from dev import settings as lists
from leads import enabled, problems
from leads import settings as app_settings
from leads.messages import languages
from leads.reader import Reader
from tests.destinations import vendor
from tests.infra import deployment
from tests.infra.deployment import needs_compiler
from tests.infra.portal import Element, Form, parsed, paths

WRITTEN = form.FORM.read_text(encoding="utf-8")
FORM: dict[str, Any] = json.loads(WRITTEN)
VIEW = FORM["view"]
STEPS: list[dict[str, Any]] = VIEW["properties"]["steps"]
PARAMETERS: dict[str, Any] = VIEW["outputs"]["parameters"]
TEMPLATE = deployment.template()["parameters"]
PACKAGE = "https://github.com/contoso/leads/releases/download/v0.1.0/released-package.zip"


def elements(inside: list[Element] | None = None, *path: str) -> Iterator[tuple[tuple[str, ...], Element]]:
    """Every element with its path, sections too."""
    if inside is None:
        for step in STEPS:
            yield from elements(step["elements"], step["name"])
        return
    for each in inside:
        yield (*path, each["name"]), each
        yield from elements(each.get("elements", []), *path, each["name"])


ELEMENTS = dict(elements())
INPUTS = {
    path: each
    for path, each in ELEMENTS.items()
    if not each["type"].endswith(("Section", "InfoBox", "TextBlock", "ResourceScope"))
}


def expressions(value: Any) -> Iterator[str]:
    """Every expression in a part of the form."""
    if isinstance(value, dict):
        for each in value.values():
            yield from expressions(each)
    elif isinstance(value, list):
        for each in value:
            yield from expressions(each)
    elif isinstance(value, str) and value.startswith("[") and not value.startswith("[["):
        yield value


class TestWhatItIsMadeFrom:
    def test_it_is_what_the_settings_make(self) -> None:
        assert form.text(form.package(WRITTEN)) == WRITTEN, "run: python -m dev.settings"

    def test_it_knows_every_destination_by_its_title(self) -> None:
        chosen = ELEMENTS["destinations", "chosen"]["constraints"]["allowedValues"]
        titles = {name: enabled.load(name).TITLE for name in enabled.names() if name != "console"}
        assert {each["value"]: each["label"] for each in chosen} == titles

    def test_its_names_are_those_of_the_app_and_each_that_it_leaves_out_is_for_another_page(self) -> None:
        groups = {name: {each.name for each in group} for name, group in lists.groups().items()}
        known = set().union(*groups.values())
        asked = {*PARAMETERS["settings"], *PARAMETERS["secrets"]}
        assert asked <= known
        elsewhere = groups["operators"] | groups["partner_center"] | groups["app"] | lists.set_by_template()
        left_out = {name for name in known - asked - elsewhere if lists.OF_IDENTITY not in name}
        assert left_out == set()
        assert {name for name in asked if name.startswith("LEADS_")} == {"LEADS_DESTINATIONS", *form.OF_THE_APP}

    def test_secrets_are_passwords_and_nothing_else_is(self) -> None:
        secret = {each.name for group in lists.groups().values() for each in group if each.secret}
        passwords = {path[-1] for path, each in INPUTS.items() if each["type"].endswith("PasswordBox")}
        assert passwords == set(PARAMETERS["secrets"]) == secret & {*PARAMETERS["settings"], *PARAMETERS["secrets"]}
        assert not any("defaultValue" in ELEMENTS[path] for path in INPUTS if path[-1] in passwords)

    def test_a_secret_of_which_nobody_says_when_it_is_needed_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(form, "WAYS", {})
        with pytest.raises(ValueError, match=r"Say in WAYS of dev/form\.py when DYNAMICS_CLIENT_SECRET is asked for"):
            form.form("")

    def test_the_lists_are_those_of_the_code(self) -> None:
        def allowed(name: str) -> list[str]:
            (found,) = [each for path, each in INPUTS.items() if path[-1] == name]
            return [each["value"] for each in found["constraints"]["allowedValues"]]

        assert allowed("LEADS_LANGUAGE") == list(languages.codes())
        assert allowed("LEADS_TEST_LEADS") == list(app_settings.TEST_LEADS)
        assert allowed("DYNAMICS_FOLLOW_UP") == ["none", "task"]
        assert allowed("EMAIL_DIGEST") == ["none", "daily"]

    def test_it_says_what_a_month_costs_before_anything_is_asked_that_costs(self) -> None:
        shown = [path[-1] for path in ELEMENTS if path[0] == "start"]
        assert shown.index("cost") < shown.index("alertEmail") < shown.index("byHttps")
        text = ELEMENTS["start", "cost"]["options"]["text"]
        document = cost.DOCUMENT.read_text(encoding="utf-8")
        amounts = re.findall(r"\$[\d.]+", text)
        assert len(amounts) == 3
        assert all(f" {amount} |" in document or f"**{amount}**" in document for amount in amounts)


class TestRulesOfThePortal:
    @vendor.needs
    def test_it_follows_microsofts_schema(self) -> None:
        (schema,) = vendor.read("portal/uiFormDefinition.schema.json")
        assert [error.message for error in Draft7Validator(schema).iter_errors(FORM)] == []

    def test_it_has_what_the_schema_does_not_insist_on(self) -> None:
        assert VIEW["kind"] == "Form"
        assert VIEW["properties"]["title"]
        outputs = VIEW["outputs"]
        assert outputs.keys() == {"kind", "resourceGroupId", "location", "parameters"}
        assert outputs["kind"] == "ResourceGroup"
        assert STEPS[0]["elements"][0]["type"] == "Microsoft.Common.ResourceScope"

    def test_each_output_is_a_parameter_and_each_parameter_that_is_needed_an_output(self) -> None:
        assert PARAMETERS.keys() <= TEMPLATE.keys()
        assert {name for name, each in TEMPLATE.items() if "defaultValue" not in each} <= PARAMETERS.keys()

    def test_types_agree(self) -> None:
        python = {"string": str, "int": int, "array": list, "object": dict, "secureObject": dict}
        for name, value in Form(FORM, {"packageUri": PACKAGE}).parameters().items():
            assert type(value) is python[TEMPLATE[name]["type"]], name

    def test_every_path_leads_to_an_element(self) -> None:
        inside_scope = {("resourceGroup", "id"), ("location", "name")}
        for expression in expressions(FORM):
            for path in paths(parsed(expression)):
                place = path if path in ELEMENTS else path[:2]
                assert place in ELEMENTS, expression
                assert path in INPUTS or path[2:] in inside_scope, expression

    def test_a_password_goes_into_the_secure_parameter_only(self) -> None:
        assert TEMPLATE["secrets"]["type"].startswith("secure")
        for name, value in PARAMETERS.items():
            for expression in expressions(value):
                types = {ELEMENTS[path]["type"] for path in paths(parsed(expression)) if path in ELEMENTS}
                assert not any(each.endswith("PasswordBox") for each in types) or name == "secrets", expression
        for name, value in PARAMETERS["secrets"].items():
            assert [path[-1] for path in paths(parsed(value)) if path[-1] == name] == [name]

    def test_defaults_are_the_templates(self) -> None:
        fresh = Form(FORM, {"packageUri": PACKAGE}).parameters()
        for name in ("name", "alertEmail", "alwaysReadyHttp"):
            assert fresh[name] == TEMPLATE[name]["defaultValue"]
        limits = (TEMPLATE["name"]["minLength"], TEMPLATE["name"]["maxLength"])
        pattern = ELEMENTS["start", "name"]["constraints"]["regex"]
        assert [bool(re.search(pattern, "x" * length)) for length in (limits[0] - 1, *limits, limits[1] + 1)] == [
            False,
            True,
            True,
            False,
        ]

    def test_names_are_names_and_there_once(self) -> None:
        names = [path[-1] for path in ELEMENTS] + [step["name"] for step in STEPS if step["name"] != "destinations"]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[A-Za-z_]\w*", name) for name in names)

    def test_each_input_has_a_tooltip_that_names_its_setting(self) -> None:
        for path, each in INPUTS.items():
            assert len(each["toolTip"]) > 15, path
            if path[-1].isupper():
                assert each["toolTip"].endswith(f"It is the setting {path[-1]}.")

    def test_no_text_is_html_or_an_expression_by_mistake(self) -> None:
        def texts(value: Any) -> Iterator[str]:
            for key, each in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(each, str) and key in ("label", "toolTip", "text", "placeholder", "validationMessage"):
                    yield each
                elif isinstance(each, (dict, list)):
                    yield from texts(each)

        for text in texts(VIEW["properties"]):
            assert not re.search(r"[<>`*]|^\[", text.replace(" > ", " ")), text

    def test_nothing_calls_an_interface_of_azure(self) -> None:
        kinds = {each["type"] for each in ELEMENTS.values()}
        assert not {kind for kind in kinds if "ApiControl" in kind}

    def test_javascript_reads_the_patterns_as_these_tests_do(self) -> None:
        if shutil.which("node") is None:
            pytest.skip("there is no Node here")
        asked = [(each["constraints"]["regex"], name, sample) for name, sample, each in _samples()]
        program = "console.log(JSON.stringify(JSON.parse(process.argv[1]).map(a => new RegExp(a[0]).test(a[2]))))"
        done = subprocess.run(["node", "-e", program, json.dumps(asked)], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == [bool(re.search(pattern, sample)) for pattern, _, sample in asked]
        assert len({name for _, name, _ in asked}) >= len(form.PATTERNS)


GUID = "11111111-2222-3333-4444-555555555555"
PEM = "-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----\\n"
CERTIFICATE = f"{PEM}-----BEGIN CERTIFICATE-----\\nMIIC\\n-----END CERTIFICATE-----\\n"
GOOD: dict[str, tuple[str, ...]] = {
    "TENANT_ID": (GUID, "contoso.onmicrosoft.com"),
    "CLIENT_ID": (GUID,),
    "CERTIFICATE": (CERTIFICATE, CERTIFICATE.removesuffix("\\n")),
    "AUTHORITY": ("https://login.microsoftonline.us",),
    "GRAPH_URL": ("https://graph.microsoft.us",),
    "DYNAMICS_URL": ("https://contoso.crm4.dynamics.com", "https://contoso.crm4.dynamics.com/main.aspx?appid=1"),
    "DYNAMICS_OWNER": (f"team:{GUID}", f"systemuser:{GUID}"),
    "DYNAMICS_LEAD_SOURCE_CODE": ("8", "100000001"),
    "EMAIL_TO": ("sales@contoso.com", "a.b@contoso.com, c+d@sub.contoso.co.uk"),
    "EMAIL_FROM": ("leads@contoso.com",),
    "EMAIL_GRAPH_SENDER": ("leads@contoso.com",),
    "EMAIL_SMTP_URL": ("smtp://user:p%40ss@smtp.contoso.com:587", "smtps://relay", "smtp://10.0.0.4:25"),
    "FOLLOW_UP_MAILBOX": ("ada@contoso.com",),
    "FOLLOW_UP_TEMPLATES": ("https://contoso.blob.core.windows.net/follow-up",),
    "HTTPS_URL": ("https://erp.contoso.com/leads?token=x",),
    "HTTPS_SECRET": ("whsec_" + "a" * 32, "whsec_" + "a" * 43 + "=, whsec_" + "b" * 86 + "=="),
    "HUBSPOT_TOKEN": ("pat-na1" + "-11111111-2222-3333-4444-555555555555",),
    "HUBSPOT_API_VERSION": ("2026-03",),
    "HUBSPOT_KEY": ("lead_key",),
    "HUBSPOT_DO_NOT_CONTACT": ("do_not_contact",),
    "HUBSPOT_ACCOUNT": ("12345678",),
    "HUBSPOT_URL": ("https://api.hubapi.com",),
    "MARKETO_MUNCHKIN_ID": ("123-ABC-456", "123-abc-456"),
    "MARKETO_CLIENT_ID": (GUID,),
    "MARKETO_CLIENT_SECRET": ("aB3dE5gH7",),
    "MARKETO_FORM_ID": ("1042",),
    "MARKETO_ACTIVITY_TYPE_ID": ("100001",),
    "MARKETO_APP_URL": ("https://app-ab12.marketo.com",),
    "MARKETO_URL": ("https://123-abc-456.mktorest.com/rest",),
    "SALESFORCE_URL": ("https://contoso.my.salesforce.com", "https://contoso--uat.sandbox.my.salesforce.com/"),
    "SALESFORCE_PRIVATE_KEY": (PEM,),
    "SALESFORCE_API_VERSION": ("66.0", "v66.0"),
    "SALESFORCE_LEAD_KEY": ("MarketplaceLeadKey__c",),
    "SALESFORCE_STEP_KEY": ("MarketplaceStepKey__c",),
    "SALESFORCE_OID": ("00D000000000001", "00D000000000001AAA"),
    "SLACK_WEBHOOK_URL": ("https://hooks.slack.com/services/T0/B0/x",),
    "TABLE_NAME": ("leadsflat",),
    "TABLE_STORAGE": (
        "DefaultEndpointsProtocol=https;AccountName=contosoleads;AccountKey=a==;EndpointSuffix=core.windows.net",
    ),
    "TEAMS_WEBHOOK_URL": (
        "https://prod-12.westeurope.logic.azure.com:443/workflows/1/triggers/manual/paths/invoke?api-version=1&sig=x",
        "https://default1.23.environment.api.powerplatform.com:443/powerautomate/automations/direct/w/1?sig=x",
    ),
    "FIELDS": ('{"leadsource": "Web"}',),
    "LEADS_OWN_DOMAINS": ("contoso.com", "contoso.com, fabrikam.co.uk"),
    "LEADS_TIME_ZONE": ("Europe/Rome", "America/Argentina/Buenos_Aires", "UTC"),
}
"""Values that people have, by setting or by the end of its name."""
BAD: dict[str, tuple[str, ...]] = {
    "TENANT_ID": ("contoso", "my tenant"),
    "CLIENT_ID": ("my-app", GUID[:-1]),
    "CERTIFICATE": ("MIIC", CERTIFICATE.replace("\\n", "")),
    "AUTHORITY": ("http://login.microsoftonline.us", "login.microsoftonline.us"),
    "DYNAMICS_URL": ("contoso.crm4.dynamics.com", "http://contoso.crm4.dynamics.com", "https://", "https://a b"),
    "DYNAMICS_OWNER": ("ada@contoso.com", f"user:{GUID}"),
    "DYNAMICS_LEAD_SOURCE_CODE": ("Web", "-1", "0"),
    "EMAIL_TO": ("sales", "sales@contoso.com; ada@contoso.com", "a@b.com b@b.com"),
    "EMAIL_FROM": ("leads", "leads@"),
    "EMAIL_SMTP_URL": ("smtp.contoso.com", "smtp://user:p@ss@smtp.contoso.com", "https://smtp.contoso.com"),
    "FOLLOW_UP_MAILBOX": ("ada",),
    "FOLLOW_UP_TEMPLATES": ("https://contoso.blob.core.windows.net/follow-up?sig=x", "https://contoso.blob.core/"),
    "HTTPS_URL": ("http://erp.contoso.com", "erp.contoso.com"),
    "HTTPS_SECRET": ("secret", "whsec_short", "a" * 32),
    "HUBSPOT_TOKEN": ("pat na1", "short"),
    "HUBSPOT_API_VERSION": ("v3", "2026-13"),
    "HUBSPOT_KEY": ("lead key",),
    "HUBSPOT_ACCOUNT": ("contoso",),
    "MARKETO_MUNCHKIN_ID": ("123-ABC", "https://123-ABC-456.mktorest.com"),
    "MARKETO_FORM_ID": ("form", "0"),
    "MARKETO_APP_URL": ("app-ab12.marketo.com",),
    "SALESFORCE_URL": ("https://login.salesforce.com", "http://contoso.my.salesforce.com", "contoso"),
    "SALESFORCE_API_VERSION": ("66", "latest"),
    "SALESFORCE_LEAD_KEY": ("MarketplaceLeadKey",),
    "SALESFORCE_OID": ("contoso", "00D1"),
    "SLACK_WEBHOOK_URL": ("hooks.slack.com/services/T0/B0/x",),
    "TABLE_NAME": ("Leads-flat", "ab"),
    "TABLE_STORAGE": ("contosoleads", "https://contosoleads.table.core.windows.net"),
    "TEAMS_WEBHOOK_URL": (
        "https://contoso.webhook.office.com/webhookb2/1",
        "https://Outlook.Office.com/webhook/1",
        "teams.microsoft.com/l/channel",
    ),
    "FIELDS": ("LeadSource=Web", "[1]"),
    "LEADS_OWN_DOMAINS": ("contoso", "contoso.com fabrikam.com"),
    "LEADS_TIME_ZONE": ("CET+1", "Rome time"),
}
"""What people write by mistake."""


PIECES = (
    *" \t\n.,;:/?#@&=%<>[]{}()'\"\\-_+~0aZ\x1f",
    "..",
    "//",
    "https://",
    "x" * 70,
    "\u00e9",
    "\u2028",
    "%40",
    "@b.co,",
)
"""What turns a good value into another one."""


def _of(name: str, table: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """What a table has for a setting: under its name, or under an end of it that several have."""
    if name in table:
        return table[name]
    if name.startswith(("MARKETO_CLIENT", "SALESFORCE_CLIENT")):
        return ()
    return next((values for end, values in table.items() if end.isupper() and name.endswith(f"_{end}")), ())


def _patterned() -> Iterator[tuple[str, Element]]:
    for path, each in INPUTS.items():
        if path[-1].isupper() and "regex" in each["constraints"]:
            yield path[-1], each


def _samples() -> Iterator[tuple[str, str, Element]]:
    for name, each in _patterned():
        for sample in (*_of(name, GOOD), *_of(name, BAD)):
            yield name, sample, each


def found_wrong(name: str, value: str) -> list[str]:
    """What the app itself says of a value."""
    kinds = [kind for kind in form.destinations() if name.startswith(f"{kind.upper()}_")]
    if not kinds:
        reader = Reader({name: value}, problems.of_app())
        from leads import marks

        marks.own_domains(reader)
        languages.read_zone(reader)
    else:
        module = enabled.load(kinds[0])
        # Which way mail goes decides what is read at all.
        graph = {"EMAIL_GRAPH_SENDER": "leads@contoso.com"} if name.startswith("EMAIL_GRAPH") else {}
        reader = Reader({**graph, name: value}, module.SETTINGS)
        module.Settings.read(reader)
    absent = "It is not set", "names an app registration", "is set too"
    told = [each for each in (*reader.problems, *reader.warnings) if each.setting == name]
    return [str(each) for each in told if not any(words in each.cause for words in absent)]


class TestPatterns:
    def test_each_pattern_has_samples(self) -> None:
        assert {name for name, _ in _patterned()} == {name for name, _, _ in _samples()}
        used = {name for name in form.PATTERNS if name in {found for found, _ in _patterned()}}
        assert used == set(form.PATTERNS), "a pattern for a setting that is not asked for"

    @pytest.mark.parametrize(("name", "sample"), sorted({(n, v) for n, _ in _patterned() for v in _of(n, GOOD)}))
    def test_the_form_takes_what_people_have_and_so_does_the_app(self, name: str, sample: str) -> None:
        (element,) = [each for found, each in _patterned() if found == name]
        assert re.search(element["constraints"]["regex"], sample)
        assert found_wrong(name, sample) == []

    @pytest.mark.parametrize(("name", "sample"), sorted({(n, v) for n, _ in _patterned() for v in _of(n, BAD)}))
    def test_the_form_refuses_what_is_wrong(self, name: str, sample: str) -> None:
        (element,) = [each for found, each in _patterned() if found == name]
        assert not re.search(element["constraints"]["regex"], sample)
        assert element["constraints"]["validationMessage"].endswith(".")

    @pytest.mark.parametrize(
        "name",
        sorted(
            name
            for name, element in _patterned()
            # Whether it is JSON, a key or a certificate, and whether there is such a time zone, no pattern can say.
            if not name.endswith(("_FIELDS", "_CERTIFICATE", "_PRIVATE_KEY", "_TIME_ZONE"))
        ),
    )
    @hypothesis_settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_whatever_a_pattern_takes_the_app_takes(self, name: str, data: st.DataObject) -> None:
        (element,) = [each for found, each in _patterned() if found == name]
        value = data.draw(st.sampled_from((*_of(name, GOOD), *_of(name, BAD))))
        for _ in range(data.draw(st.integers(0, 4))):
            place = data.draw(st.integers(0, len(value)))
            piece = data.draw(st.sampled_from(["", *PIECES]) | st.characters(codec="utf-8"))
            value = value[:place] + piece + value[place + data.draw(st.integers(0, 2)) :]
        if re.search(element["constraints"]["regex"], value):
            assert found_wrong(name, value.removesuffix("\n")) == []


def filled(kind: str, way: str = "") -> dict[str, Any]:
    """What a person writes for a destination, with everything that is rarely needed too."""
    given: dict[str, Any] = {"packageUri": PACKAGE, f"{kind}_more": True}
    if way:
        given[f"{kind}_way"] = way
    for setting in form.declared(kind):
        values = _of(setting.name, GOOD)
        if values:
            given[setting.name] = values[0]
    return given | {
        "DYNAMICS_CLIENT_SECRET": "s3cret~",
        "EMAIL_GRAPH_CLIENT_SECRET": "s3cret~",
        "FOLLOW_UP_GRAPH_CLIENT_SECRET": "s3cret~",
        "FOLLOW_UP_SELLER": "Ada Byron, Contoso",
        "SALESFORCE_CLIENT_ID": "3MVG9",
        "SALESFORCE_CLIENT_SECRET": "0123ABCD",
        "SALESFORCE_USERNAME": "app@contoso.com",
        "EMAIL_DIGEST_TIME_ZONE": "Europe/Rome",
        "HUBSPOT_LIFECYCLE_STAGE": "lead",
        "MARKETO_PARTITION": "Default",
    }


WAYS = [(kind, way.name) for kind in form.destinations() for way in form.WAYS.get(kind, (form.Way("", ""),))]


def environ_of(parameters: dict[str, Any]) -> dict[str, str]:
    """The environment of the app that such a deployment makes: the template drops what is empty."""
    named = {name: parameters["secrets"][name] for name in parameters["secretSettings"] if name}
    given = {**parameters["settings"], **named, "AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    return {name: value for name, value in given.items() if value}


class TestFilledIn:
    @pytest.mark.parametrize(("kind", "way"), WAYS)
    def test_each_way_of_each_destination_makes_an_app_without_a_problem(self, kind: str, way: str) -> None:
        made = Form(FORM, {**filled(kind, way), "chosen": [kind]})
        assert made.complaints() == {}
        parameters = made.parameters()
        environ = environ_of(parameters)
        settings = app_settings.read(environ)
        assert settings.destinations == (kind,)
        found = problems.find(settings, environ, settings.destinations)
        assert found.problems == ()
        assert found.broken == frozenset()
        given = {name for name, value in parameters["secrets"].items() if value}
        assert {name for name in parameters["secretSettings"] if name} == given, (
            "a reference for each value and no other"
        )

    @pytest.mark.parametrize(("kind", "way"), WAYS)
    def test_nothing_of_other_ways_and_of_other_destinations_is_asked_for_or_passed_on(
        self, kind: str, way: str
    ) -> None:
        made = Form(FORM, {**filled(kind, way), "chosen": [kind]})
        others = {each.name for other in form.destinations() if other != kind for each in form.declared(other)}
        asked = made.shown.keys()
        assert not asked & others
        parameters = made.parameters()
        passed = {name for part in ("settings", "secrets") for name, value in parameters[part].items() if value}
        assert not passed & others
        for each in form.WAYS.get(kind, ()):
            own = next(one for one in form.WAYS[kind] if one.name == way)
            assert not (set(each.needs) - set(own.needs)) & (asked | passed)

    @pytest.mark.parametrize("kind", form.destinations())
    def test_what_a_destination_cannot_do_without_is_asked_for(self, kind: str) -> None:
        missing = Form(FORM, {"packageUri": PACKAGE, "chosen": [kind]}).complaints()
        environ = {"LEADS_DESTINATIONS": kind, "AzureWebJobsStorage": "UseDevelopmentStorage=true"}
        place = enabled.read(kind, environ)
        assert {problem.setting for problem in place.problems if "not set" in problem.cause} <= missing.keys() | {
            "SALESFORCE_CLIENT_SECRET",
        }

    def test_all_destinations_together(self) -> None:
        everything: dict[str, Any] = {}
        for kind in form.destinations():
            everything |= filled(kind, next((way.name for way in form.WAYS.get(kind, ())), ""))
        made = Form(FORM, {**everything, "chosen": list(form.destinations())})
        assert made.complaints() == {}
        environ = environ_of(made.parameters())
        settings = app_settings.read(environ)
        assert settings.destinations == form.destinations()
        assert problems.find(settings, environ, settings.destinations).problems == ()

    def test_without_a_destination_the_app_is_told_of_none_and_says_so(self) -> None:
        """health says it: tests/sweep/test_alerts.py, a deployed app that never had any."""
        made = Form(FORM, {"packageUri": PACKAGE})
        assert made.complaints() == {}
        parameters = made.parameters()
        assert parameters["settings"]["LEADS_DESTINATIONS"] == ""
        assert parameters["secretSettings"] == [""]
        assert app_settings.read(environ_of(parameters)).destinations == ("console",)

    def test_the_package_has_to_be_named_and_https_leads_need_an_instance(self) -> None:
        assert Form(FORM, {"packageUri": ""}).complaints().keys() == {"packageUri"}
        assert Form(FORM, {"packageUri": "http://x/y.zip"}).complaints().keys() == {"packageUri"}
        assert Form(FORM, {"packageUri": PACKAGE, "byHttps": True}).parameters()["alwaysReadyHttp"] == 1

    @needs_compiler
    @pytest.mark.parametrize("chosen", [(), form.destinations()], ids=["none", "all"])
    def test_the_template_takes_what_the_form_gives(self, chosen: tuple[str, ...], tmp_path: Path) -> None:
        everything: dict[str, Any] = {"packageUri": PACKAGE, "alertEmail": "ada@contoso.com"}
        for kind in chosen:
            everything |= filled(kind, next((way.name for way in form.WAYS.get(kind, ())), ""))
        parameters = Form(FORM, {**everything, "chosen": list(chosen)}).parameters()
        file = tmp_path / "form.bicepparam"
        lines = "".join(f"param {name} = {_bicep(value)}\n" for name, value in parameters.items() if name != "secrets")
        file.write_text(f"using '../../infra/main.bicep'\n{lines}", encoding="utf-8")
        settings = deployment.app_settings(file)
        assert {name for name in settings if name.startswith("LEADS_DEST")} == (
            {"LEADS_DESTINATIONS"} if chosen else set()
        )
        kept = {
            each["name"].rpartition("/")[2] for each in deployment.resources(file, "Microsoft.KeyVault/vaults/secrets")
        }
        assert kept == {name.replace("_", "-") for name in parameters["secretSettings"] if name}
        assert deployment.resource(file, "Microsoft.Web/sites/extensions")["properties"]["packageUri"] == PACKAGE


def _bicep(value: Any) -> str:
    """A value as Bicep writes it."""
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${")
        return f"'{escaped}'"
    if isinstance(value, dict):
        return "{\n" + "".join(f"  {name}: {_bicep(each)}\n" for name, each in value.items()) + "}"
    return f"[{', '.join(map(_bicep, value))}]" if isinstance(value, list) else json.dumps(value)


class TestButton:
    def test_the_links_name_files_of_this_version_and_are_encoded_once(self) -> None:
        links = button.links("contoso/market-leads")
        start = "https://portal.azure.com/#create/Microsoft.Template/uri/"
        raw = f"https%3A%2F%2Fraw.githubusercontent.com%2Fcontoso%2Fmarket-leads%2F{button.TAG}%2Finfra%2F"
        assert links == {
            "Deploy": f"{start}{raw}main.json/uiFormDefinitionUri/{raw}form.json",
            "Upgrade": f"{start}{raw}upgrade.json",
        }
        for link in links.values():
            for file in re.findall(r"%2Finfra%2F(\w+\.json)", link):
                assert (deployment.INFRA / file).exists()

    def test_the_form_gets_the_package_of_this_version_and_keeps_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        copy = tmp_path / "form.json"
        copy.write_text(WRITTEN, encoding="utf-8")
        monkeypatch.setattr(button, "FORM", copy)
        assert "[Deploy](https://portal.azure.com/" in button.main(["contoso/leads"])
        address = button.package("contoso/leads")
        assert form.package(copy.read_text(encoding="utf-8")) == address
        assert Form(json.loads(copy.read_text(encoding="utf-8")), {}).complaints() == {}
        assert form.text(address) == copy.read_text(encoding="utf-8"), "python -m dev.settings leaves it as it is"
        with pytest.raises(SystemExit) as well:
            button.main(["--check", "contoso/leads", button.TAG])
        assert well.value.code == 0
        with pytest.raises(SystemExit, match="run make button REPO=fork/leads"):
            button.main(["--check", "fork/leads", button.TAG])
        with pytest.raises(SystemExit, match=r"The tag is v9\.9\.9"):
            button.main(["--check", "contoso/leads", "v9.9.9"])

    @pytest.mark.parametrize("arguments", [[], ["contoso"], ["https://github.com/a/b"], ["a/b c"], ["--check", "a/b"]])
    def test_wrong_use_changes_nothing(self, arguments: list[str]) -> None:
        with pytest.raises(SystemExit, match="Say whose repository it is"):
            button.main(arguments)
        assert form.FORM.read_text(encoding="utf-8") == WRITTEN
