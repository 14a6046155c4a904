"""What strangers meet first: licence, rules, forms, workflows, the dev container.

None of it ran on GitHub; its syntax is checked here, by the schemas that check-jsonschema carries (SchemaStore's).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from leads import __version__, triggers
from tests.world import world

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
SCHEMAS = {
    "vendor.github-workflows": WORKFLOWS,
    "custom.github-workflows-require-timeout": WORKFLOWS,
    "vendor.dependabot": [ROOT / ".github/dependabot.yml"],
    "vendor.github-issue-forms": sorted(
        set((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")) - {ROOT / ".github/ISSUE_TEMPLATE/config.yml"}
    ),
    "vendor.github-issue-config": [ROOT / ".github/ISSUE_TEMPLATE/config.yml"],
}


def workflow(name: str) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(ROOT / ".github/workflows" / name)
    return found


def steps(name: str) -> list[dict[str, str]]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_files_of_github_follow_their_schema(schema: str) -> None:
    assert SCHEMAS[schema]
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, SCHEMAS[schema])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_file_of_github_is_checked() -> None:
    checked = {path for paths in SCHEMAS.values() for path in paths}
    assert set((ROOT / ".github").rglob("*.yml")) == checked


def test_ci_runs_exactly_what_everybody_runs_on_every_python_that_is_supported() -> None:
    job = workflow("ci.yml")["jobs"]["test"]
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert job["container"] == "python:${{ matrix.python }}-bookworm"


def test_a_release_is_tested_and_checked_before_it_is_made() -> None:
    jobs = workflow("release.yml")["jobs"]
    assert workflow("release.yml")["on"] == {"push": {"tags": ["v*"]}}
    assert jobs["release"]["needs"] == "test"
    assert [step["run"] for step in jobs["test"]["steps"] if "run" in step] == [".ci/run"]
    steps = [step.get("run") or step["uses"] for step in jobs["release"]["steps"]]
    order = ["dev.button --check", "make templates", "git diff --exit-code", "make package", "sha256sum"]
    order += ["attest-build-provenance", "gh release create"]
    places = [next(i for i, step in enumerate(steps) if words in step) for words in order]
    assert places == sorted(places)
    runtime = json.loads((ROOT / "infra/runtime.json").read_text())["python"]
    assert jobs["release"]["steps"][1]["with"]["python-version"] == runtime, "which makes the bytecode"
    assert not any("${{" in step.get("run", "") for step in jobs["release"]["steps"]), "a tag's name is no code"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_read_only_and_its_actions_have_one_version(path: Path) -> None:
    assert workflow(path.name)["permissions"] == {"contents": "read"}
    more = {name: job["permissions"] for name, job in workflow(path.name)["jobs"].items() if "permissions" in job}
    release = {"release": {"contents": "write", "id-token": "write", "attestations": "write"}}
    security = {"analyze": {"contents": "read", "security-events": "write"}}
    assert more == {"release.yml": release, "codeql.yml": security}.get(path.name, {})
    for step in steps(path.name):
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@v\d+\.\d+\.\d+", step["uses"]), step["uses"]


def test_commands_of_workflows_and_editors_exist() -> None:
    commands = [step["run"] for path in WORKFLOWS for step in steps(path.name) if "run" in step]
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    tasks = json.loads((ROOT / ".vscode/tasks.json").read_text())["tasks"]
    commands += [container["postCreateCommand"], *(task["command"] for task in tasks)]
    for command in commands:
        assert set(re.findall(r"\bmake ([a-z-]+)", command)) <= TARGETS, command
        for path in re.findall(r"(?:infra|\.ci)/[\w./-]+", command):
            assert (ROOT / path).exists(), command


def test_the_dev_container_has_what_the_app_needs() -> None:
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    infra = "".join(path.read_text() for path in [*(ROOT / "infra").glob("*.json"), *(ROOT / "infra").rglob("*.bicep")])
    deployed = re.search(r"""(?:version: '|"python": ")(3\.\d+)['"]""", infra)
    assert deployed
    assert container["image"] == f"mcr.microsoft.com/devcontainers/python:{deployed[1]}-bookworm"
    assert container["features"]["ghcr.io/devcontainers/features/azure-cli:1"]["installBicep"] is True
    assert int(container["features"]["ghcr.io/devcontainers/features/node:1"]["version"]) >= 22, "Azurite's own wish"
    assert "azure-functions-core-tools@4." in container["onCreateCommand"]
    assert container["forwardPorts"] == [7071]


def test_the_editor_has_three_tasks() -> None:
    tasks = json.loads((ROOT / ".vscode/tasks.json").read_text())["tasks"]
    assert [task["command"] for task in tasks] == ["make run", "make test", ".venv/bin/pytest ${relativeFile}"]


def test_the_licence_is_mit() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith("MIT License\n\nCopyright (c) 2026 marketplace-leads contributors\n")
    assert 'license = "MIT"' in (ROOT / "pyproject.toml").read_text()


def test_what_contributing_names_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for path in re.findall(r"(?<![\w/])(?:tests|dev|docs|leads)/[\w./-]*\w", text):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"python -m (dev\.\w+)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module
    for path, words in re.findall(r"pytest (\S+\.py) -k (\w+)", text):
        assert re.search(rf"def test_\w*{words}", (ROOT / path).read_text()), words


def test_it_is_said_that_the_workflows_never_ran() -> None:
    assert "never ran on GitHub" in (ROOT / "CONTRIBUTING.md").read_text()


def test_the_version_is_the_same_wherever_it_is_said() -> None:
    command = subprocess.run([sys.executable, "-m", "leads", "--version"], capture_output=True, text=True, check=True)
    with world() as w:
        health = json.loads(triggers.answer_health(w.app, w.now).get_body())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert {command.stdout.strip(), health["version"], project, newest[1]} == {__version__}


def test_dependabot_looks_at_every_folder_with_pinned_packages() -> None:
    (pip,) = [
        each["directories"]
        for each in YAML(typ="safe").load(ROOT / ".github/dependabot.yml")["updates"]
        if each["package-ecosystem"] == "pip"
    ]
    pinned = {
        path.parent for folder in (ROOT, ROOT / "dev", ROOT / "infra") for path in folder.glob("requirements*.txt")
    }
    assert {ROOT / folder.strip("/") for folder in pip} == pinned
