"""What a deployment would create, for the tests: as the template says it, and as the compiler predicts it.

`infra/main.json`, the compiled template, is there on every machine; test_compiler.py holds it equal to the templates.
A snapshot is the compiler's own prediction for one parameter file, with everything evaluated that can be known before a
deployment; what cannot stays an expression in square brackets.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from dev import bicep

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
INFRA = ROOT / "infra"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
TENANT = "00000000-0000-0000-0000-000000000002"
GROUP = "contoso-leads"
HUSH = "hush-hush-client-secret"

needs_compiler = pytest.mark.skipif(
    bicep.compiler() is None,
    reason="the Bicep compiler is not here: tests read infra/main.json, which could not be compared with the templates",
)


@cache
def template() -> dict[str, Any]:
    """The compiled template."""
    found: dict[str, Any] = json.loads((INFRA / "main.json").read_text(encoding="utf-8"))
    return found


MODULES = sorted(file.stem for file in (INFRA / "modules").glob("*.bicep"))


def module(name: str) -> dict[str, Any]:
    """The compiled template of one file of infra/modules."""
    found: dict[str, Any] = template()["resources"][name]["properties"]["template"]
    return found


def predicted(file: Path, *, group: str = GROUP) -> tuple[int, str, dict[str, Any]]:
    """The compiler's exit code, its findings, and its prediction for a parameter file."""
    with tempfile.TemporaryDirectory() as folder:
        # The compiler writes beside the file that it reads, and finds bicepconfig.json above it.
        clone = Path(folder) / "infra"
        shutil.copytree(INFRA, clone)
        copy = clone / f"of-test-{file.name}"
        copy.write_text(file.read_text(encoding="utf-8").replace("../../infra/", ""), encoding="utf-8")
        scope = ["--location", "westeurope", *(["--resource-group", group] if group else [])]
        environ = {"DYNAMICS_CLIENT_SECRET": HUSH, "AZURE_ENV_NAME": GROUP, "AZURE_LOCATION": "westeurope"}
        with mock.patch.dict(os.environ, environ):
            done = bicep.run(
                *("snapshot", copy, "--mode", "overwrite", "--subscription-id", SUBSCRIPTION, "--tenant-id", TENANT),
                *scope,
            )
        answer = copy.with_name(f"{copy.stem}.snapshot.json")
        found = json.loads(answer.read_text(encoding="utf-8")) if answer.exists() else {}
        return done.returncode, done.stderr + done.stdout, found


@cache
def snapshot(file: Path, group: str = GROUP) -> dict[str, Any]:
    """The prediction for a parameter file that is without a finding."""
    code, said, found = predicted(file, group=group)
    assert code == 0, said
    return found


MAIN = INFRA / "main.bicepparam"
FULL = HERE / "full.bicepparam"


def resources(file: Path, kind: str, group: str = GROUP) -> list[dict[str, Any]]:
    """The predicted resources of a type, such as `Microsoft.Web/sites`."""
    return [each for each in snapshot(file, group)["predictedResources"] if each["type"] == kind]


def resource(file: Path, kind: str, name: str = "") -> dict[str, Any]:
    """The one predicted resource of a type, among several the one whose name begins like that."""
    (found,) = [each for each in resources(file, kind) if each["name"].startswith(name)]
    return found


def app_settings(file: Path) -> dict[str, str]:
    """The settings of the app as they would be deployed."""
    site = resource(file, "Microsoft.Web/sites")
    return {each["name"]: each["value"] for each in site["properties"]["siteConfig"]["appSettings"]}
