"""The form of the Deploy button, infra/form.json, made from the settings that the app declares.

It is a form of the portal's page for custom deployments (schema uiFormDefinition of 2021-09-09; learn.microsoft.com,
form-view-overview). `python -m dev.settings` writes it, and tests/infra/test_form.py fills it in.

What a setting may be is asked of the destination's own code: `Asked` lets it read its settings, and notes what it
demands. Only what a regular expression of the form can say better stands here, in PATTERNS, and tests hold that to the
code too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev import cost
from dev import settings as lists
from leads import enabled, settings
from leads.messages import languages
from leads.reader import Reader, Setting

ROOT = Path(__file__).resolve().parent.parent
FORM: Path = ROOT / "infra" / "form.json"
SCHEMA = "https://schema.management.azure.com/schemas/2021-09-09/uiFormDefinition.schema.json#"
REGIONS = "https://learn.microsoft.com/azure/azure-functions/flex-consumption-how-to#view-currently-supported-regions"
GUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
DOMAIN = rf"(?=[^ ,]{{4,250}}( |,|$))({LABEL}\.)+[A-Za-z]{{2,63}}"
ADDRESS = rf"(?=[^@]{{1,64}}@[^ ,]{{4,180}}( |,|$))[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@({LABEL}\.)+[A-Za-z]{{2,20}}"
CONNECTOR = "({}|{})".format(
    *(
        re.sub("[a-z]", lambda letter: f"[{letter[0].upper()}{letter[0]}]", host.replace(".", r"\."))
        for host in ("webhook.office.com", "outlook.office.com")
    )
)
"""Hosts of Office 365 connectors, in any case."""

HOST = rf"{LABEL}(\.{LABEL})*"
URL = rf"https://{HOST}(:[0-9]{{1,5}})?(/[!-~]*)?"
SIGNING = "whsec_(([A-Za-z0-9+/]{4}){8,21}([A-Za-z0-9+/]{2}==)?|([A-Za-z0-9+/]{4}){8,20}[A-Za-z0-9+/]{3}=)"
"""A secret of Standard Webhooks: 24 to 64 bytes in Base64."""
PEM = r"-----BEGIN [A-Z ]+-----\\n.*-----END [A-Z ]+-----(\\n)?"
"""PEM in one line. A box for passwords drops line breaks, and what is left would not be PEM any more."""

EMPTY = "''"
"""An expression for an empty text."""

_GUID = (GUID, "Paste the id as the portal shows it: 36 characters with four hyphens.")
_TENANT = (f"({GUID}|{DOMAIN})", "Paste the directory (tenant) id of the app registration.")
_PEM = (PEM, "Write it in one line, with \\n where the lines of the PEM file break.")
_ONE_ADDRESS = (ADDRESS, "Write one e-mail address, such as leads@contoso.com.")
_HTTPS = (URL, "Paste the whole URL. It begins with https://.")
_JSON = (r"\{.*\}", "Write a JSON object, in one line.")
_PROPERTY = ("[A-Za-z][A-Za-z0-9_]{0,99}", "Copy the internal name of the property, without spaces.")
_NUMBER = ("[1-9][0-9]{0,8}", "Write a whole number above 0.")
_FIELD = ("[A-Za-z][A-Za-z0-9_]{0,39}__c", "Write the API name of the field with its __c.")


def _credentials(prefix: str) -> dict[str, tuple[str, str]]:
    return {f"{prefix}_TENANT_ID": _TENANT, f"{prefix}_CLIENT_ID": _GUID, f"{prefix}_CERTIFICATE": _PEM}


PATTERNS: Mapping[str, tuple[str, str]] = {
    **_credentials("DYNAMICS"),
    **_credentials("EMAIL_GRAPH"),
    **_credentials("FOLLOW_UP_GRAPH"),
    "DYNAMICS_OWNER": (f"(systemuser|team):{GUID}", "Write systemuser: or team:, and the GUID behind it."),
    "DYNAMICS_FIELDS": _JSON,
    "EMAIL_TO": (f"{ADDRESS}( *, *{ADDRESS})*", "Write e-mail addresses, separated by commas."),
    "EMAIL_FROM": _ONE_ADDRESS,
    "EMAIL_GRAPH_SENDER": _ONE_ADDRESS,
    "EMAIL_SMTP_URL": (
        rf"smtps?://([A-Za-z0-9._~!$&*+=%-]+:[A-Za-z0-9._~!$&*+=%-]+@)?{HOST}(:[1-9][0-9]{{1,3}})?",
        "Write it as smtp://user:password@host:587. In user and password, @ is %40, : is %3A, / is %2F, # is %23.",
    ),
    "FOLLOW_UP_MAILBOX": _ONE_ADDRESS,
    "FOLLOW_UP_TEMPLATES": (
        rf"https://{HOST}/[A-Za-z0-9$-]+",
        "Paste the URL of the container, without a signature behind it.",
    ),
    "HTTPS_SECRET": (
        rf"{SIGNING}( *, *{SIGNING})*",
        "Write whsec_ and 24 to 64 random bytes in Base64. docs/destinations/https.md says how to make one.",
    ),
    "HUBSPOT_TOKEN": ("[!-~]{10,500}", "Copy the key again, whole. It has no spaces."),
    "HUBSPOT_API_VERSION": ("20[0-9][0-9]-(0[1-9]|1[0-2])", "Write a year and a month, such as 2026-03."),
    "HUBSPOT_KEY": _PROPERTY,
    "HUBSPOT_DO_NOT_CONTACT": _PROPERTY,
    "HUBSPOT_ACCOUNT": ("[0-9]{1,15}", "Copy the Hub ID, a number, from the menu of your account."),
    "HUBSPOT_FIELDS": _JSON,
    "MARKETO_MUNCHKIN_ID": ("[0-9]{3}-[A-Za-z]{3}-[0-9]{3}", "It looks like 123-ABC-456."),
    "MARKETO_CLIENT_ID": ("[!-~]{4,200}", "Copy it again from LaunchPoint. It has no spaces."),
    "MARKETO_CLIENT_SECRET": ("[!-~]{4,200}", "Copy it again from LaunchPoint. It has no spaces."),
    "MARKETO_FORM_ID": _NUMBER,
    "MARKETO_ACTIVITY_TYPE_ID": _NUMBER,
    "MARKETO_FIELDS": _JSON,
    "SALESFORCE_URL": (
        rf"https://(?!(login|test)\.salesforce\.com){HOST}/?",
        "Paste the My Domain of your org, such as https://contoso.my.salesforce.com.",
    ),
    "SALESFORCE_PRIVATE_KEY": _PEM,
    "SALESFORCE_API_VERSION": (r"v?[0-9]{2,3}\.0", "Write it as 66.0."),
    "SALESFORCE_LEAD_KEY": _FIELD,
    "SALESFORCE_STEP_KEY": _FIELD,
    "SALESFORCE_FIELDS": _JSON,
    "SALESFORCE_OID": (
        "00D[A-Za-z0-9]{12}([A-Za-z0-9]{3})?",
        "Copy it from Setup > Company Information: 15 or 18 letters and digits that begin with 00D.",
    ),
    "TABLE_NAME": ("[a-z][a-z0-9]{2,62}", "Use 3 to 63 small letters and digits, a letter first."),
    "TABLE_STORAGE": (
        "([!-~]*;)?AccountName=[a-z0-9]{3,24}(;[!-~]*)?",
        "Copy the connection string from Access keys of the storage account.",
    ),
    "TEAMS_WEBHOOK_URL": (
        rf"https://(?!([A-Za-z0-9-]+\.)*{CONNECTOR}){HOST}(:[0-9]{{1,5}})?/[!-~]*",
        "Paste the whole URL of the workflow. That of an Office 365 connector does not work any more.",
    ),
    "LEADS_OWN_DOMAINS": (f"{DOMAIN}( *, *{DOMAIN})*", "Write domains, separated by commas."),
    "LEADS_TIME_ZONE": ("(UTC|[A-Z][A-Za-z]+(/[A-Z][A-Za-z_-]+){1,2})", "Write it as Europe/Rome."),
}
"""What a value looks like, and what to do where it does not: for the form, by setting. The whole value has to match."""

TIPS: Mapping[str, str] = {
    "EMAIL_FROM": "The sender, as leads@contoso.com",
    "DYNAMICS_OWNER": "Who owns new records: systemuser: or team: with the GUID behind it. Empty: the app's own user",
}
"""Meanings whose angle brackets the portal would take for HTML."""


@dataclass(frozen=True, slots=True)
class Way:
    """One of the ways in which a destination can be set up, which a person chooses."""

    name: str
    label: str
    needs: tuple[str, ...] = ()
    """The settings that are asked for then, and must be given."""
    sets: Mapping[str, str] = field(default_factory=dict)
    """Settings that follow from the choice."""


def _sign_in(prefix: str, *more: str) -> tuple[Way, ...]:
    registration = (*more, f"{prefix}_TENANT_ID", f"{prefix}_CLIENT_ID")
    return (
        Way("identity", "The app's own identity, without a secret", more),
        Way("secret", "App registration with a client secret", (*registration, f"{prefix}_CLIENT_SECRET")),
        Way("certificate", "App registration with a certificate", (*registration, f"{prefix}_CERTIFICATE")),
        Way(
            "federated",
            "App registration that trusts the app's identity",
            registration,
            {f"{prefix}_FEDERATED": "true"},
        ),
    )


WAYS: Mapping[str, tuple[Way, ...]] = {
    "dynamics": _sign_in("DYNAMICS"),
    "email": (
        Way("smtp", "A mail server (SMTP)", ("EMAIL_FROM", "EMAIL_SMTP_URL")),
        *_sign_in("EMAIL_GRAPH", "EMAIL_GRAPH_SENDER"),
    ),
    "follow_up": _sign_in("FOLLOW_UP_GRAPH"),
    "marketo": (
        Way("rest", "A person, and an activity for each step", (), {"MARKETO_MODE": "rest"}),
        Way("form", "A form is submitted", ("MARKETO_FORM_ID",), {"MARKETO_MODE": "form"}),
    ),
    "salesforce": (
        Way("secret", "Consumer key and consumer secret", ("SALESFORCE_CLIENT_ID", "SALESFORCE_CLIENT_SECRET")),
        Way(
            "key",
            "Consumer key and private key",
            ("SALESFORCE_CLIENT_ID", "SALESFORCE_PRIVATE_KEY", "SALESFORCE_USERNAME"),
        ),
        Way("web", "Web-to-Lead, without proof of delivery", ("SALESFORCE_OID",), {"SALESFORCE_MODE": "web"}),
    ),
}
"""The first is the default."""

OF_THE_APP = ("LEADS_LANGUAGE", "LEADS_TIME_ZONE", "LEADS_OWN_DOMAINS", "LEADS_TEST_LEADS")
"""What the form asks of the app's own settings. The others are for people who know why, in the portal or a file."""


class Asked(Reader):
    """Notes what code demands of the settings that it reads."""

    def __init__(self, environ: Mapping[str, str], declared: Sequence[Setting]) -> None:
        super().__init__(environ, declared)
        self.required: set[str] = set()
        self.urls: set[str] = set()
        self.choices: dict[str, tuple[str, ...]] = {}
        self.numbers: set[str] = set()

    def text(self, name: str, default: str = "", *, required: bool = False) -> str:
        """Read it, and note whether it must be there."""
        if required:
            self.required.add(name)
        return super().text(name, default, required=required)

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """Read it, and note what it may be."""
        self.choices[name] = allowed
        return super().choice(name, default, allowed)

    def integer(self, name: str, default: int, minimum: int, maximum: int) -> int:
        """Read it, and note that it is a number."""
        self.numbers.add(name)
        return super().integer(name, default, minimum, maximum)

    def url(self, name: str, *, required: bool = False, schemes: tuple[str, ...] = ("https",)) -> str:
        """Read it, and note that it is a URL."""
        self.urls.add(name)
        return super().url(name, required=required, schemes=schemes)


def asked(kind: str) -> Asked:
    """What a destination demands. Some settings it reads only where others are set, so it is asked twice."""
    module = enabled.load(kind)
    nothing = Asked({}, module.SETTINGS)
    everything = Asked({each.name: "x" for each in module.SETTINGS}, module.SETTINGS)
    for reader in (nothing, everything):
        module.Settings.read(reader)
    everything.required = nothing.required | {each.setting for each in nothing.problems if "not set" in each.cause}
    return everything


def destinations() -> tuple[str, ...]:
    """The destinations that the form offers. Without one of them leads go to the console."""
    return tuple(name for name in enabled.names() if name != "console")


def declared(kind: str) -> tuple[Setting, ...]:
    """The settings of a destination that the form can set."""
    elsewhere = lists.set_by_template()
    return tuple(
        each for each in lists.groups()[kind] if each.name not in elsewhere and lists.OF_IDENTITY not in each.name
    )


def form(package: str) -> dict[str, Any]:
    """The form, whose package has the address `package` unless a person writes another; empty: it must be written."""
    plain: dict[str, str] = {"LEADS_DESTINATIONS": _listed({kind: _chosen(kind) for kind in destinations()})}
    secret: dict[str, str] = {}
    needed: dict[str, str] = {}
    sections = []
    for kind in destinations():
        section, values, conditions = _section(kind)
        sections.append(section)
        names = {each.name for each in declared(kind) if each.secret}
        plain |= {name: value for name, value in values.items() if name not in names}
        secret |= {name: value for name, value in values.items() if name in names}
        needed |= {name: condition for name, condition in conditions.items() if name in names}
    of_app = {each.name: each for each in (*settings.SETTINGS, *_of_messages())}
    choices = {"LEADS_LANGUAGE": languages.codes(), "LEADS_TEST_LEADS": settings.TEST_LEADS}
    details = [_element(of_app[name], "LEADS", choices=tuple(choices.get(name, ()))) for name in OF_THE_APP]
    plain |= {name: f"[coalesce(steps('details').{name}, '')]" for name in OF_THE_APP}
    steps = [_start(package), _where(sections), {"name": "details", "label": "Details", "elements": details}]
    return {
        "$schema": SCHEMA,
        "view": {
            "kind": "Form",
            "properties": {"title": "Marketplace leads", "steps": steps},
            "outputs": {
                "kind": "ResourceGroup",
                "resourceGroupId": "[steps('start').scope.resourceGroup.id]",
                "location": "[steps('start').scope.location.name]",
                "parameters": {
                    "location": "[steps('start').scope.location.name]",
                    "name": "[steps('start').name]",
                    "alertEmail": "[coalesce(steps('start').alertEmail, '')]",
                    "alwaysReadyHttp": "[if(equals(steps('start').byHttps, true), 1, 0)]",
                    "packageUri": "[steps('start').packageUri]",
                    "settings": plain,
                    "secretSettings": f"[split({_listed(needed)[1:-1]}, ',')]",
                    "secrets": secret,
                },
            },
        },
    }


def text(package: str) -> str:
    """The text of infra/form.json."""
    return json.dumps(form(package), indent=2) + "\n"


def package(written: str) -> str:
    """The address of the package that a written form has by default."""
    found = re.search(r'"name": "packageUri",.*?"defaultValue": "([^"]*)"', written, re.DOTALL)
    return found[1] if found else ""


def _of_messages() -> tuple[Setting, ...]:
    from leads import marks

    return (*marks.SETTINGS, *languages.SETTINGS)


def _start(package: str) -> dict[str, Any]:
    price = cost.prices(cost.DOCUMENT.read_text(encoding="utf-8"))
    alerts = cost.ALERT_RULES * price["alert-rule"] + cost.SITE_RULES * price["metric-rule"]
    few = cost.bill(1_000, 3, price, grants=True).total
    kinds = ("Web/sites", "Storage/storageAccounts", "KeyVault/vaults", "OperationalInsights/workspaces")
    return {
        "name": "start",
        "label": "Start",
        "elements": [
            {
                "name": "scope",
                "type": "Microsoft.Common.ResourceScope",
                "location": {
                    "label": "Region",
                    "toolTip": "Where everything is created. Azure has the plan Flex Consumption in many regions, and "
                    "refuses it in the others.",
                    "resourceTypes": [f"Microsoft.{kind}" for kind in kinds],
                },
            },
            _info("regions", "Choose a region that has the plan Flex Consumption. Microsoft lists them here.", REGIONS),
            _info(
                "cost",
                f"What a month costs, in US dollars without tax: about {cost.dollars(few)} with up to 1,000 leads, "
                f"{cost.dollars(alerts)} more with an address for alerts, and {cost.dollars(cost.always_ready(price))} "
                "more where leads come by HTTPS too. Computed from list prices of November 2026, and never read off a "
                "bill.",
            ),
            {
                "name": "name",
                "type": "Microsoft.Common.TextBox",
                "label": "Start of every name",
                "defaultValue": "leads",
                "toolTip": "Everything that is created has a name that begins like this.",
                "constraints": {
                    "required": True,
                    "regex": "^[a-z][a-z0-9]{1,7}$",
                    "validationMessage": "Use 2 to 8 small letters and digits, a letter first.",
                },
            },
            {
                "name": "alertEmail",
                "type": "Microsoft.Common.TextBox",
                "label": "Who is alerted",
                "placeholder": "leads@contoso.com",
                "toolTip": "Whom Azure Monitor writes to when leads are in trouble. Empty: nobody.",
                "constraints": {
                    "required": False,
                    "regex": f"^{ADDRESS}$",
                    "validationMessage": _ONE_ADDRESS[1],
                },
            },
            {
                "name": "byHttps",
                "type": "Microsoft.Common.CheckBox",
                "label": "Leads come by HTTPS too",
                "toolTip": "An instance of the app is then always ready. The Azure Table, which Partner Center takes "
                "as well, needs none.",
            },
            {
                "name": "packageUri",
                "type": "Microsoft.Common.TextBox",
                "label": "Package",
                "defaultValue": package,
                "toolTip": "The address of released-package.zip, as the page of the release links to it.",
                "constraints": {
                    "required": True,
                    "regex": r"^https://[^ /?#@\\]+/[^ ?#@\\]*\.zip$",
                    "validationMessage": "It begins with https:// and ends with .zip.",
                },
            },
        ],
    }


def _where(sections: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": "destinations",
        "label": "Destinations",
        "elements": [
            {
                "name": "chosen",
                "type": "Microsoft.Common.DropDown",
                "label": "Where leads go",
                "placeholder": "The log only",
                "toolTip": "Each destination that you choose gets every lead. Without one, leads are kept and written "
                "to the log, and health says so.",
                "multiselect": True,
                "selectAll": False,
                "constraints": {
                    "required": False,
                    "allowedValues": [{"label": enabled.load(kind).TITLE, "value": kind} for kind in destinations()],
                },
            },
            *sections,
        ],
    }


def _chosen(kind: str) -> str:
    """The condition under which a destination is chosen."""
    return f"contains(coalesce(steps('destinations').chosen, parse('[]')), '{kind}')"


def _listed(items: Mapping[str, str]) -> str:
    """An expression for those names whose conditions hold, each with a comma behind it."""
    parts = ", ".join(f"if({condition}, '{name},', '')" for name, condition in items.items())
    return f"[concat({parts})]"


def _section(kind: str) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """A destination's part of the form, the value of each setting, and for settings in it when they are there.

    Raises ValueError for a secret that is not always needed and of which WAYS does not say when it is.
    """
    found, prefix, chosen = asked(kind), kind.upper(), _chosen(kind)
    ways = WAYS.get(kind, ())
    place, way, more = f"steps('destinations').{kind}", f"{kind}_way", f"{kind}_more"
    when: dict[str, list[str]] = {}
    sets: dict[str, list[tuple[str, str]]] = {}
    for each in ways:
        condition = f"equals({place}.{way}, '{each.name}')"
        for name in each.needs:
            when.setdefault(name, []).append(condition)
        for name, value in each.sets.items():
            sets.setdefault(name, []).append((condition, value))
    always, sometimes, rarely = [], [], []
    values: dict[str, str] = {}
    conditions: dict[str, str] = {}
    for setting in declared(kind):
        name = setting.name
        value = f"coalesce({place}.{name}, '')"
        if name in sets:
            for condition, text in reversed(sets[name]):
                values[name] = f"if({condition}, '{text}', {values.get(name, EMPTY)})"
        elif name in when:
            condition = _any(when[name])
            sometimes.append(_element(setting, prefix, found, required=True, visible=f"[{condition}]"))
            values[name], conditions[name] = f"if({condition}, {value}, '')", f"if({chosen}, {condition}, false)"
        elif name in found.required:
            always.append(_element(setting, prefix, found, required=True))
            values[name], conditions[name] = value, chosen
        elif setting.secret:
            raise ValueError(f"Say in WAYS of dev/form.py when {name} is asked for.")
        else:
            condition = f"equals({place}.{more}, true)"
            rarely.append(_element(setting, prefix, found, visible=f"[{condition}]"))
            values[name] = f"if({condition}, {value}, '')"
    elements = [*always, *([_choice(way, ways)] if ways else []), *sometimes]
    elements += [_more(more), *rarely] if rarely else []
    section = {
        "name": kind,
        "type": "Microsoft.Common.Section",
        "label": enabled.load(kind).TITLE,
        "elements": elements,
        "visible": f"[{chosen}]",
    }
    return section, {name: f"[if({chosen}, {value}, '')]" for name, value in values.items()}, conditions


def _any(conditions: list[str]) -> str:
    return conditions[0] if len(conditions) == 1 else f"or({', '.join(conditions)})"


def _choice(name: str, ways: tuple[Way, ...]) -> dict[str, Any]:
    return {
        "name": name,
        "type": "Microsoft.Common.DropDown",
        "label": "How",
        "defaultValue": ways[0].label,
        "toolTip": "What is asked for below depends on it.",
        "constraints": {
            "required": True,
            "allowedValues": [{"label": way.label, "value": way.name} for way in ways],
        },
    }


def _more(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "Microsoft.Common.CheckBox",
        "label": "Show what is rarely needed",
        "toolTip": "All of it can be left empty.",
    }


def _info(name: str, text: str, uri: str = "") -> dict[str, Any]:
    options = {"style": "Info", "text": text} | ({"uri": uri} if uri else {})
    return {"name": name, "type": "Microsoft.Common.InfoBox", "options": options}


def _element(
    setting: Setting,
    prefix: str,
    found: Asked | None = None,
    *,
    required: bool = False,
    visible: str = "",
    choices: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The element for a setting."""
    name = setting.name
    label = _label(name.removeprefix(f"{prefix}_"))
    choices = choices or (found.choices.get(name, ()) if found else ())
    pattern = PATTERNS.get(name)
    if not pattern and found and name in found.urls:
        pattern = _HTTPS
    if not pattern and found and name in found.numbers:
        pattern = _NUMBER
    constraints: dict[str, Any] = {"required": required}
    if pattern:
        constraints |= {"regex": f"^{pattern[0]}$", "validationMessage": pattern[1]}
    element: dict[str, Any] = {"name": name, "type": "Microsoft.Common.TextBox", "label": label}
    element["toolTip"] = f"{_plain(TIPS.get(name, setting.meaning))}. It is the setting {name}."
    if choices:
        element |= {"type": "Microsoft.Common.DropDown", "defaultValue": setting.default}
        constraints = {"required": True, "allowedValues": [{"label": each, "value": each} for each in choices]}
    elif setting.secret:
        element |= {"type": "Microsoft.Common.PasswordBox", "label": {"password": label, "confirmPassword": label}}
        element["options"] = {"hideConfirmation": True}
    elif setting.default:
        element["placeholder"] = setting.default
    return element | {"constraints": constraints} | ({"visible": visible} if visible else {})


def _label(rest: str) -> str:
    """A name as people read it: `LEAD_SOURCE_CODE` is "Lead source code"."""
    words = rest.lower().split("_")
    upper = {"url", "id", "smtp", "api", "oid"}
    shown = [word.upper() if word in upper else word for word in words]
    return " ".join([shown[0][:1].upper() + shown[0][1:], *shown[1:]])


def _plain(markdown: str) -> str:
    """A meaning as the portal shows it: without marks."""
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", markdown).replace("`", "").replace("*", "").rstrip(".")


if __name__ == "__main__":
    FORM.write_text(text(package(FORM.read_text("utf-8"))), "utf-8")
