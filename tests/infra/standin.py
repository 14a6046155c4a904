"""Stands in for `az`, `pac`, `curl` and infra/package.py.

It records every call, keeps what it was told to create, and fails when asked to.

It is run as `python standin.py NAME ARGUMENTS...`; `STANDIN_HOME` is the folder with `calls.jsonl` and `azure.json`.
`STANDIN_FAIL` is `WORDS:N`: the first N calls whose command line has these words fail, as Azure's do, with
`STANDIN_SAYS` on standard error and the exit code `STANDIN_CODE`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

BUILD = "0123abcd4567"
OPS_KEY = "ops-key-9876543210fEdCbA=="
LEAD_ID = "0123456789abcdef-fedcba9876543210"
OUTPUTS = {
    "functionApp": "leads-abc",
    "leadUrl": "https://leads-abc.azurewebsites.net/api/leads",
    "inboxAccount": "leadsinboxabc",
    "inboxEndpointSuffix": "core.windows.net",
    "inboxAccountId": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/leadsinboxabc",
    "stateAccount": "leadsstateabc",
    "identityClientId": "11111111-2222-3333-4444-555555555555",
    "vault": "leads-abc",
    "alerted": False,
}


def assigned(file: str) -> tuple[dict[str, str], list[str]]:
    """The parameters `settings` and `secretSettings` of a .bicepparam file that is written as main.bicepparam is."""
    source = Path(file).read_text(encoding="utf-8")
    blocks = dict(re.findall(r"^param (\w+) = [\[{]\n(.*?)^[\]}]", source, re.DOTALL | re.MULTILINE))
    settings = dict(re.findall(r"^  (\w+): '([^']*)'", blocks["settings"], re.MULTILINE))
    return settings, re.findall(r"^  '(\w+)'", blocks["secretSettings"], re.MULTILINE)


def az(arguments: list[str], azure: dict[str, Any]) -> int:
    """Answer as the Azure CLI does."""
    line = " ".join(arguments)
    options = dict(pairwise(arguments))
    if line.startswith("version"):
        print(json.dumps({"azure-cli": azure.get("version", "2.91.0"), "extensions": {}}))
    elif line.startswith("account show"):
        print("Subscription    User\n--------------  ----\nContoso         a@b.c")
    elif line.startswith("group exists"):
        print(json.dumps("group" in azure))
    elif line.startswith("functionapp list-flexconsumption-locations"):
        print("northeurope\nwesteurope")
    elif line.startswith("group create"):
        azure["group"] = options["--location"]
    elif line.startswith("deployment group create"):
        assert "group" in azure, "deployed into a group that does not exist"
        azure["deployed"] = True
        given, secret = assigned(options["--parameters"])
        more = ["LEADS_INBOX__accountName", *secret, *azure.get("more_settings", ())]
        azure["settings"] = {name: value for name, value in given.items() if value} | dict.fromkeys(more, "x")
        print(json.dumps({name: {"type": "String", "value": value} for name, value in OUTPUTS.items()}))
    elif line.startswith("functionapp list --"):
        assert options["--query"] == """[?tags."azd-service-name"=='leads'].name"""
        print(OUTPUTS["functionApp"] if "settings" in azure else "")
    elif line.startswith("bicep build-params"):
        given, secret = assigned(options["--file"])
        parameters = {"settings": {"value": given}, "secretSettings": {"value": secret}}
        # As `BuildParamsCommand` of Bicep writes it: JSON within JSON.
        print(json.dumps({"parametersJson": json.dumps({"parameters": parameters}), "templateJson": "{}"}))
    elif line.startswith("functionapp config appsettings list"):
        if "settings" not in azure:
            print("ERROR: (ResourceNotFound) The app was not found.", file=sys.stderr)
            return 3
        if options["--query"] == "[?name=='LEADS_DESTINATIONS'].value":
            print(azure["settings"].get("LEADS_DESTINATIONS", ""))
            return 0
        assert options["--query"] == "[?value].name", "values of settings are nobody's business"
        print("\n".join(name for name, value in azure["settings"].items() if value))
    elif line.startswith("rest --method"):
        assert "published" in azure, "a role takes minutes until it is known, and secrets are read with it"
        return rest(options, azure)
    elif line.startswith("functionapp deployment source config-zip"):
        assert "deployed" in azure, "published to an app that does not exist"
        assert options["--build-remote"] == "false", "Azure would install what the runtime cannot load"
        azure["published"] = Path(options["--src"]).read_text(encoding="utf-8")
    elif line.startswith("functionapp function show"):
        return 0 if "published" in azure else 3
    elif line.startswith("functionapp function keys"):
        print("azure-cli 2.87 hides the keys of a function: they are not asked for like this", file=sys.stderr)
        return 2
    else:
        print(f"az stand-in does not know: {line}", file=sys.stderr)
        return 2
    return 0


def rest(options: dict[str, str], azure: dict[str, Any]) -> int:
    """Answer as Azure Resource Manager does."""
    path, _, version = options["--url"].partition("?api-version=")
    assert path.startswith("/subscriptions/{subscriptionId}/resourceGroups/contoso-leads/"), path
    assert version
    keys = azure.setdefault("keys", {"default": "the-hosts-own-key"})
    if path.endswith("/sites/leads-abc/config/configreferences/appsettings/refresh"):
        return 0
    if path.endswith("/functions/ops/listkeys"):
        print(json.dumps({"default": OPS_KEY}))
    elif path.endswith("/functions/receive_lead/listkeys"):
        # What Azure answers until it knows, as text; then the flat list.
        unclear = azure.get("unclear_keys", [])
        print(unclear.pop(0) if unclear else json.dumps(keys))
    elif path.endswith("/functions/receive_lead/keys/marketplace"):
        assert options["--method"] == "put"
        body = json.loads(Path(options["--body"].removeprefix("@")).read_text(encoding="utf-8"))["properties"]
        assert body["name"] == "marketplace"
        assert len(body["value"]) >= 40
        keys["marketplace"] = body["value"]
        azure["set"] = azure.get("set", 0) + 1
        if azure.pop("lost_answer", None):
            print("ERROR: the connection was closed without an answer", file=sys.stderr)
            return 1
    else:
        print(f"az stand-in does not know: {options['--url']}", file=sys.stderr)
        return 2
    return 0


def package(arguments: list[str], azure: dict[str, Any]) -> int:
    """Write a package as infra/package.py does, and tell its build id."""
    Path(arguments[0]).write_text(BUILD, encoding="utf-8")
    print(BUILD)
    return 0


def curl(arguments: list[str], config: str, azure: dict[str, Any]) -> int:
    """Answer as the deployed app does."""
    body, status = "", 404
    if "/api/ops/api/show" in config and OPS_KEY in config and "x-leads-request: 1" in arguments:
        assert json.loads(arguments[arguments.index("--data") + 1]) == {"id": LEAD_ID}
        azure["looked"] = azure.get("looked", 0) + 1
        state = azure.get("state", "delivered") if azure["looked"] > 1 else "open"
        body, status = json.dumps({"deliveries": [{"destination": "console", "state": state}]}), 200
    elif "/api/ops/api/health" in config and OPS_KEY in config and "x-leads-request: 1" in arguments:
        build = azure.get("running", azure["published"])
        body, status = json.dumps({"build": build, "python": "3.13.9"} if build else {}), 200
    elif f'/api/leads?code={azure["keys"].get("marketplace")}"' in config and "published" in azure:
        body, status = json.dumps({"id": LEAD_ID}), 202
    print(f"{body}\n{status}", end="")
    return 0


def main() -> int:
    """Record the call, then fail or answer."""
    home = Path(os.environ["STANDIN_HOME"])
    name, *arguments = sys.argv[1:]
    config = sys.stdin.read() if name == "curl" else ""
    with (home / "calls.jsonl").open("a", encoding="utf-8") as calls:
        calls.write(json.dumps({"name": name, "arguments": arguments, "config": config}) + "\n")
    file = home / "azure.json"
    azure = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    words, _, times = os.environ.get("STANDIN_FAIL", "").rpartition(":")
    if words and words in " ".join([name, *arguments]) and azure.get("failed", 0) < int(times):
        azure["failed"] = azure.get("failed", 0) + 1
        file.write_text(json.dumps(azure), encoding="utf-8")
        print(os.environ.get("STANDIN_SAYS", "ERROR: (Conflict) Azure is not amused."), file=sys.stderr)
        return int(os.environ.get("STANDIN_CODE", "1"))
    code = 0
    if name == "az":
        code = az(arguments, azure)
    elif name == "curl":
        code = curl(arguments, config, azure)
    elif name == "package":
        code = package(arguments, azure)
    file.write_text(json.dumps(azure), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
