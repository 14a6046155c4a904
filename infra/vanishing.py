"""Tell which settings of a running app a deployment would take away. Any Python 3.9 will do.

    az bicep build-params --file FILE --stdout | python3 infra/vanishing.py NAMES DESTINATIONS

NAMES are the settings of the app that have a value, apart by white space, DESTINATIONS is its LEADS_DESTINATIONS. Each
loss is a line on standard output; none is no loss. Values of other settings are neither asked for nor shown. Exit code
1: what the file sets could not be read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parent / "main.json"
OF_THE_PLATFORM = ("AzureWebJobsStorage", "DEPLOYMENT_STORAGE_CONNECTION_STRING", "WEBSITE_", "FUNCTIONS_", "SCM_")
"""What Azure sets by itself begins like this, and comes back by itself."""


def set_by_template() -> set[str]:
    """The names of the settings that the template gives every app."""
    template = json.loads(TEMPLATE.read_text(encoding="utf-8"))
    variables = template["resources"]["app"]["properties"]["template"]["variables"]
    return {*variables["identitySettings"], *variables["platformSettings"]}


def set_by_file(built: str) -> dict[str, str]:
    """The settings by name that a built parameter file gives, as app.bicep takes them: an empty one is left out.

    Raises ValueError, KeyError, TypeError or AttributeError where it is none.
    """
    parameters = json.loads(json.loads(built)["parametersJson"])["parameters"]
    given = parameters.get("settings", {"value": {}})["value"]
    secret = parameters.get("secretSettings", {"value": []})["value"]
    return {
        **{name: str(value) for name, value in given.items() if value not in ("", None)},
        **dict.fromkeys(secret, ""),
    }


def destinations(value: str) -> list[str]:
    """The names in a value of LEADS_DESTINATIONS."""
    return [name.strip().lower() for name in value.split(",") if name.strip()]


def lost(names: list[str], old: str, built: str) -> list[str]:
    """What the app has, and would not have any more, as lines for people."""
    given = set_by_file(built)
    gone = set(names) - given.keys() - set_by_template()
    found = sorted(name for name in gone if not name.startswith(OF_THE_PLATFORM))
    if "LEADS_DESTINATIONS" in given:
        kept = destinations(given["LEADS_DESTINATIONS"])
        found += [f"LEADS_DESTINATIONS without {name}" for name in destinations(old) if name not in kept]
    return found


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: az bicep build-params --file FILE --stdout | python3 infra/vanishing.py NAMES DESTINATIONS")
    try:
        print("\n".join(lost(sys.argv[1].split(), sys.argv[2], sys.stdin.read())))
    except (ValueError, KeyError, TypeError, AttributeError):
        sys.exit("What the parameter file sets could not be read from the answer of: az bicep build-params")
