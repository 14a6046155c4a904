"""Lists of settings, made from what the modules of the app declare: `python -m dev.settings` writes them anew.

The tables of docs/settings.md, local.settings.sample.json, infra/main.bicepparam, infra/settings.json, by which the
template and deploy.sh know which settings there are, and infra/form.json, the form of the Deploy button (dev/form.py);
tests hold all of them to this. Where there is a compiler, the template is compiled anew too.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from dev import bicep
from leads import enabled, operators, problems
from leads.reader import Setting

ROOT = Path(__file__).resolve().parent.parent
DOCS, SAMPLE = ROOT / "docs" / "settings.md", ROOT / "local.settings.sample.json"
INFRA = ROOT / "infra"
KNOWN, PARAMETERS, TEMPLATE = INFRA / "settings.json", INFRA / "main.bicepparam", INFRA / "main.json"
OF_IDENTITY = "__"
"""In the names for a managed identity, which the sample does without."""
OF_THE_COMMAND = ("LEADS_OPERATOR", "LEADS_OPS_KEY")
"""What a person sets beside the command line, and no app."""
LOCAL = {
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "FUNCTIONS_WORKER_RUNTIME": "python",
    "LEADS_DESTINATIONS": "dynamics,email,teams",
    "LEADS_WATCH_SCHEDULE": "*/5 * * * * *",
}
"""What the sample has instead of the defaults."""
REFUSED = ("DYNAMICS_USERNAME", "DYNAMICS_PASSWORD")
"""Settings that exist only to be refused."""


def groups() -> dict[str, tuple[Setting, ...]]:
    """All settings by the heading under which the documentation has them; each once."""
    of_app = problems.of_app()
    shared = {setting.name for setting in of_app}
    found = {"app": of_app, "operators": _without_instances(operators.SETTINGS)}
    found["partner_center"] = _without_instances(problems.of_partner_center())
    for name in enabled.names():
        own = (setting for setting in enabled.load(name).SETTINGS if setting.name not in shared)
        found[name] = tuple(setting for setting in own if setting.name not in REFUSED)
    return found


def _without_instances(settings: Iterable[Setting]) -> tuple[Setting, ...]:
    return tuple(replace(setting, own=False) for setting in settings)


def table(settings: Iterable[Setting]) -> str:
    """The Markdown table of settings."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for setting in settings:
        default = f"`{setting.default}`" if setting.default else ""
        marks = [word for word, on in (("secret", setting.secret), ("each instance has its own", setting.own)) if on]
        about = f" *({', '.join(marks)})*" if marks else ""
        rows.append(f"| `{setting.name}` | {default} | {setting.meaning}{about} |".replace("|  |", "| |"))
    return "\n".join(rows)


def documentation(text: str) -> str:
    """The page with its tables made anew. A table stands between `<!-- settings: NAME -->` and `<!-- end -->`.

    Raises ValueError where a group has no table on the page.
    """
    for name, settings in groups().items():
        if not settings:
            continue
        pattern = rf"(<!-- settings: {name} -->\n).*?(<!-- end -->)"
        made = f"{table(settings)}\n"
        text, count = re.subn(pattern, lambda found, made=made: found[1] + made + found[2], text, flags=re.DOTALL)  # type: ignore[misc]
        if count != 1:
            raise ValueError(
                f"docs/settings.md has no table for {name}: write a heading and, each on a line of its own below it, "
                f"<!-- settings: {name} --> and <!-- end -->, once."
            )
    return text


def sample() -> str:
    """The text of local.settings.sample.json."""
    values = {"AzureWebJobsStorage": "", "FUNCTIONS_WORKER_RUNTIME": ""}
    for settings in groups().values():
        values |= {each.name: each.default for each in settings if OF_IDENTITY not in each.name}
    for name in OF_THE_COMMAND:
        values.pop(name)
    return json.dumps({"IsEncrypted": False, "Values": values | LOCAL}, indent=2) + "\n"


def known() -> str:
    """The text of infra/settings.json: for each prefix the rest of the names, which instances have too."""
    found: dict[str, dict[str, list[str]]] = {}
    for group, settings in groups().items():
        prefix = "LEADS" if group == "app" else group.upper()
        own = [
            each
            for each in settings
            if each.name.startswith(f"{prefix}_") and OF_IDENTITY not in each.name and each.name not in OF_THE_COMMAND
        ]
        rest = {each.name.removeprefix(f"{prefix}_"): each.secret for each in own}
        found[prefix] = {
            kind: [name for name in rest if rest[name] == on] for kind, on in (("plain", 0), ("secret", 1))
        }
    return json.dumps(found, indent=2) + "\n"


def set_by_template() -> set[str]:
    """The settings that the template gives every app by itself."""
    variables = json.loads(TEMPLATE.read_text("utf-8"))["resources"]["app"]["properties"]["template"]["variables"]
    return {*variables["platformSettings"], *variables["identitySettings"]}


def parameters(text: str) -> str:
    """The parameter file with its lists of settings and secrets made anew."""
    elsewhere = {name.partition(OF_IDENTITY)[0] for name in set_by_template()} | set(OF_THE_COMMAND)
    offered = [
        [each for each in settings if each.name not in elsewhere and OF_IDENTITY not in each.name]
        for settings in groups().values()
    ]
    blank = "''"
    hint = {
        "LEADS_DESTINATIONS": "'console' // for example 'dynamics,email,teams'",
        "DYNAMICS_URL": f"{blank} // https://contoso.crm4.dynamics.com",
    }
    plain = [[f"  {one.name}: {hint.get(one.name, blank)}\n" for one in group if not one.secret] for group in offered]
    secret = [one.name for group in offered for one in group if one.secret]
    made = {
        "settings": "\n".join("".join(group) for group in plain if group),
        "secretSettings": "".join(f"  // '{name}'\n" for name in secret),
        "secrets": "".join(f"  {name}: readEnvironmentVariable('{name}', '')\n" for name in secret),
    }
    for name, lines in made.items():
        text, count = re.subn(
            rf"(^param {name} = [{{[]\n).*?(^[}}\]])", rf"\g<1>{lines}\g<2>", text, flags=re.MULTILINE | re.DOTALL
        )
        if count != 1:
            raise ValueError(f"infra/main.bicepparam has {count} parameters {name}, not one.")
    return text


if __name__ == "__main__":
    try:
        DOCS.write_text(documentation(DOCS.read_text("utf-8")), "utf-8")
    except ValueError as error:
        # Whoever adds a destination reads it.
        sys.exit(str(error))
    SAMPLE.write_text(sample(), "utf-8")
    KNOWN.write_text(known(), "utf-8")
    PARAMETERS.write_text(parameters(PARAMETERS.read_text("utf-8")), "utf-8")
    if bicep.compiler():
        bicep.run("build", INFRA / "main.bicep", "--outfile", TEMPLATE)
    else:
        print("The Bicep compiler is not here: run make templates where it is, since main.json holds these names too.")
    # The form is made from these lists and from the template as it is by now.
    subprocess.run([sys.executable, "-m", "dev.form"], check=True)
