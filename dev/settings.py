"""Lists of settings, made from what the modules of the app declare: `python -m dev.settings` writes them anew.

The tables of docs/settings.md and local.settings.sample.json; tests hold both to this.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from leads import enabled, problems
from leads.operate.page import microsoft
from leads.reader import Setting

ROOT = Path(__file__).resolve().parent.parent
DOCS, SAMPLE = ROOT / "docs" / "settings.md", ROOT / "local.settings.sample.json"
OF_IDENTITY = "__"
"""In the names for a managed identity, which the sample does without."""
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
    found = {"app": of_app, "operators": _without_instances(microsoft.SETTINGS)}
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
            raise ValueError(f"docs/settings.md needs the comments <!-- settings: {name} --> and <!-- end --> once.")
    return text


def sample() -> str:
    """The text of local.settings.sample.json."""
    values = {"AzureWebJobsStorage": "", "FUNCTIONS_WORKER_RUNTIME": ""}
    for settings in groups().values():
        values |= {each.name: each.default for each in settings if OF_IDENTITY not in each.name}
    for name in ("LEADS_OPERATOR", "LEADS_OPS_KEY"):
        values.pop(name)
    return json.dumps({"IsEncrypted": False, "Values": values | LOCAL}, indent=2) + "\n"


if __name__ == "__main__":
    DOCS.write_text(documentation(DOCS.read_text("utf-8")), "utf-8")
    SAMPLE.write_text(sample(), "utf-8")
