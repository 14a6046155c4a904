"""infra/deploy.sh against stand-ins for `az`, `pac` and `curl`: order, second run, failures, secrets, asking."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from dev import check_bicep as bicep
from leads.intake.accept import receive
from leads.operate import api, operations
from tests.infra import standin
from tests.world import post, world

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "infra" / "deploy.sh"
VANISHING = ROOT / "infra" / "vanishing.py"
SECRET = "hush-hush-client-secret"

STEPS = (
    "account show",
    "group exists",
    "functionapp list-flexconsumption-locations",
    "group create",
    "deployment group create",
    "functionapp config appsettings list",
    "functionapp deployment source config-zip",
    "rest",
    "functionapp function show",
    "functionapp function keys list",
    "functionapp function keys set",
    "functionapp function keys list",
)

MAY_FAIL = ("functionapp list-flexconsumption-locations", "rest")
"""Steps whose failure stops nothing."""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="deploy.sh needs bash")


@dataclass(frozen=True)
class Machine:
    """A machine on which `az`, `pac` and `curl` are stand-ins."""

    home: Path
    script: Path = SCRIPT

    def deploy(
        self, *arguments: str, fail: str = "", answer: str | None = None, secret: str = SECRET
    ) -> subprocess.CompletedProcess[str]:
        """Run deploy.sh; with an `answer` it runs at a terminal on which that is typed."""
        environ = {
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
            "STANDIN_HOME": str(self.home),
            "STANDIN_FAIL": fail,
            "DEPLOY_PAUSE": "0",
            "DYNAMICS_CLIENT_SECRET": secret,
            "TMPDIR": str(self.home / "tmp"),
        }
        command = ["bash", str(self.script), *arguments]
        if answer is None:
            return subprocess.run(
                command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
            )
        master, slave = pty.openpty()
        try:
            os.write(master, f"{answer}\n".encode())
            return subprocess.run(
                command, env=environ, stdin=slave, capture_output=True, text=True, timeout=60, check=False
            )
        finally:
            os.close(master)
            os.close(slave)

    def calls(self, name: str = "az") -> list[list[str]]:
        """The arguments of every recorded call of one program."""
        file = self.home / "calls.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [call["arguments"] for call in map(json.loads, lines) if call["name"] == name]

    def commands(self) -> list[str]:
        """The `az` commands without their options."""
        return [" ".join(call[: next(i for i, a in enumerate(call) if a.startswith("-"))]) for call in self.calls()]

    def forget_calls(self) -> None:
        (self.home / "calls.jsonl").unlink()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "bin").mkdir()
    (tmp_path / "tmp").mkdir()
    commands = {name: f"{standin.__file__} {name}" for name in ("az", "pac", "curl")} | {"python3": ""}
    for name, command in commands.items():
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {command} "$@"\n')
        program.chmod(0o755)
    return Machine(tmp_path)


def test_a_first_run_does_every_step_in_order_and_ends_with_the_url(machine: Machine) -> None:
    done = machine.deploy("--yes", "contoso-leads", "westeurope")
    assert done.returncode == 0, done.stderr
    assert machine.commands() == [*STEPS, "functionapp function keys list"]
    assert f"{standin.OUTPUTS['leadUrl']}?code={standin.KEY}" in done.stdout
    assert "It has arrived:" in done.stdout
    assert "console      delivered" in done.stdout
    assert standin.LEAD_ID in done.stdout
    assert str(standin.OUTPUTS["identityClientId"]) in done.stdout
    assert "Nobody is told when leads are in trouble" in done.stdout


def test_every_step_works_on_the_same_group(machine: Machine) -> None:
    machine.deploy("--yes", "contoso-leads", "westeurope")
    for call in machine.calls()[3:]:
        assert any("contoso-leads" in word for word in call)


def test_a_second_run_changes_nothing_but_what_was_edited(machine: Machine) -> None:
    first = machine.deploy("--yes", "contoso-leads", "westeurope")
    machine.forget_calls()
    second = machine.deploy("--yes", "contoso-leads")
    assert second.returncode == 0, second.stderr
    assert "group create" not in machine.commands()
    assert "functionapp function keys set" not in machine.commands()
    assert first.stdout.splitlines()[-12:] == second.stdout.splitlines()[-12:]


class TestVanishing:
    """What an app that is there would lose is told before anything is changed."""

    @pytest.fixture
    def used(self, machine: Machine) -> Machine:
        """A machine whose app has a destination and a setting that main.bicepparam does not have."""
        machine.deploy("--yes", "contoso-leads", "westeurope")
        file = machine.home / "azure.json"
        azure = json.loads(file.read_text())
        azure["settings"] |= {"LEADS_DESTINATIONS": "console,Dynamics, teams", "TEAMS_WEBHOOK_URL": "x", "BY_HAND": "y"}
        file.write_text(json.dumps(azure))
        machine.forget_calls()
        return machine

    LOSSES = "\nBY_HAND\nTEAMS_WEBHOOK_URL\nLEADS_DESTINATIONS without dynamics\nLEADS_DESTINATIONS without teams\n"

    def test_with_yes_it_is_refused_with_the_remedy(self, used: Machine) -> None:
        done = used.deploy("--yes", "contoso-leads")
        assert done.returncode == 1
        assert self.LOSSES in done.stderr
        assert "infra/contoso-leads.bicepparam" in done.stderr
        assert "--drop-settings" in done.stderr
        assert "deployment group create" not in used.commands()

    @pytest.mark.parametrize("answers", ["y\nn", "y\n"])
    def test_a_person_is_asked_and_may_refuse(self, used: Machine, answers: str) -> None:
        done = used.deploy("contoso-leads", answer=answers)
        assert done.returncode == 2
        assert done.stdout.count("Go on?") == 2
        assert self.LOSSES in done.stderr
        assert "Nothing was changed." in done.stderr
        assert "deployment group create" not in used.commands()

    def test_a_person_is_asked_and_may_agree(self, used: Machine) -> None:
        done = used.deploy("contoso-leads", answer="y\ny")
        assert done.returncode == 0, done.stderr
        assert "deployment group create" in used.commands()
        again = used.deploy("--yes", "contoso-leads")
        assert again.returncode == 0, again.stderr
        assert "would lose" not in again.stderr

    def test_it_goes_on_when_told_to_drop_them(self, used: Machine) -> None:
        done = used.deploy("--yes", "--drop-settings", "contoso-leads")
        assert done.returncode == 0, done.stderr
        assert "deployment group create" in used.commands()

    def test_nobody_is_asked_where_the_file_has_them(self, used: Machine) -> None:
        own = used.home / "own.bicepparam"
        text = (ROOT / "infra" / "main.bicepparam").read_text()
        for old, new in (
            ("'console' // for example 'dynamics,email,teams'", "'teams,dynamics,console,email'"),
            ("  // 'TEAMS_WEBHOOK_URL'", "  'TEAMS_WEBHOOK_URL'"),
            ("  LEADS_TEST_LEADS: ''", "  LEADS_TEST_LEADS: ''\n  BY_HAND: 'y'"),
        ):
            assert old in text
            text = text.replace(old, new)
        own.write_text(text)
        done = used.deploy("--yes", "--parameters", str(own), "contoso-leads")
        assert done.returncode == 0, done.stderr
        assert "would lose" not in done.stderr

    @pytest.mark.parametrize(
        "step", ["functionapp list --", "functionapp config appsettings list", "bicep build-params"]
    )
    def test_nothing_is_deployed_where_it_cannot_be_found_out(self, used: Machine, step: str) -> None:
        done = used.deploy("--yes", "contoso-leads", fail=f"az {step}:1")
        assert done.returncode == 1
        assert "Azure is not amused" in done.stderr
        assert "Stopped at: Settings that the app has" in done.stderr
        assert "deployment group create" not in used.commands()

    @pytest.mark.parametrize(
        "built", ["", "no JSON", "[]", "{}", '{"parametersJson": "[]"}', '{"parametersJson": "{\\"parameters\\": 7}"}']
    )
    def test_an_answer_that_it_cannot_read_is_no_consent(self, built: str) -> None:
        done = subprocess.run(
            [sys.executable, str(VANISHING), "A B", "console"], input=built, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "could not be read" in done.stderr

    def test_what_the_template_sets_itself_never_vanishes(self) -> None:
        root = bicep.parse(ROOT / "infra" / "modules" / "app.bicep")
        declared = [bicep.declarations(root, "variable")[f"{kind}Settings"] for kind in ("identity", "platform")]
        names = [name for node in declared for name in bicep.members(node.children[-1])]
        parameters = {"settings": {"value": {"EMPTY": "", "NUMBER": 0}}}
        built = json.dumps({"parametersJson": json.dumps({"parameters": parameters})})
        done = subprocess.run(
            [sys.executable, str(VANISHING), "\n".join([*names, "NUMBER", "EMPTY", "OTHER"]), ""],
            input=built,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "EMPTY\nOTHER\n"


def test_settings_that_the_app_does_not_know_are_reported(machine: Machine) -> None:
    more = ["LEADS_WATCH_SCHEDULE", "LEADS_WATCH_SCHEDULES", "DYNAMICS_URI", "TEAMS_WEBHOOK_URL", "WEBSITE_X", "Y__z"]
    (machine.home / "azure.json").write_text(json.dumps({"more_settings": more}))
    done = machine.deploy("--yes", "contoso-leads", "westeurope")
    assert done.returncode == 0, done.stderr
    assert "CHANGELOG.md: DYNAMICS_URI LEADS_WATCH_SCHEDULES\n" in done.stderr


@pytest.mark.parametrize("step", [step for step in dict.fromkeys(STEPS) if step not in MAY_FAIL])
def test_after_a_failure_in_the_middle_the_same_command_goes_on(machine: Machine, step: str) -> None:
    failed = machine.deploy("--yes", "contoso-leads", "westeurope", fail=f"az {step}:99")
    assert failed.returncode == 1
    assert "Azure is not amused" in failed.stderr, "what Azure said is shown"
    assert "Stopped at: " in failed.stderr
    assert "run the same command again" in failed.stderr
    assert standin.KEY not in failed.stdout
    again = machine.deploy("--yes", "contoso-leads", "westeurope")
    assert again.returncode == 0, again.stderr
    assert f"?code={standin.KEY}" in again.stdout


@pytest.mark.parametrize(
    ("step", "calls"),
    [
        ("functionapp deployment source config-zip", 3),
        ("functionapp function show", 3),
        ("functionapp function keys list", 5),  # two that fail, none, the new one, that of the operators
        ("functionapp function keys set", 3),
    ],
)
def test_what_takes_azure_some_minutes_is_tried_again(machine: Machine, step: str, calls: int) -> None:
    done = machine.deploy("--yes", "contoso-leads", "westeurope", fail=f"az {step}:2")
    assert done.returncode == 0, done.stderr
    assert machine.commands().count(step) == calls
    assert f"?code={standin.KEY}" in done.stdout


def test_without_the_operators_key_the_url_is_shown_all_the_same(machine: Machine) -> None:
    done = machine.deploy("--yes", "contoso-leads", "westeurope", fail="--function-name ops:99")
    assert done.returncode == 0, done.stderr
    assert "on its way" in done.stdout
    assert f"?code={standin.KEY}" in done.stdout


def test_an_app_that_was_deleted_is_made_anew(machine: Machine) -> None:
    (machine.home / "azure.json").write_text(json.dumps({"group": "westeurope", "deployed": True}))
    done = machine.deploy("--yes", "contoso-leads")
    assert done.returncode == 0, done.stderr
    assert "It has arrived:" in done.stdout


@pytest.mark.parametrize("location", ["westeurope", "West Europe"])
def test_a_place_with_flex_consumption_is_taken(machine: Machine, location: str) -> None:
    done = machine.deploy("--yes", "contoso-leads", location)
    assert done.returncode == 0, done.stderr


def test_a_place_without_flex_consumption_is_refused_before_anything_is_made(machine: Machine) -> None:
    done = machine.deploy("--yes", "contoso-leads", "europe")
    assert done.returncode == 2
    assert "Choose one of these: northeurope westeurope" in done.stderr
    assert "group create" not in machine.commands()


def test_places_that_cannot_be_asked_for_stop_nothing(machine: Machine) -> None:
    done = machine.deploy("--yes", "contoso-leads", "westeurope", fail="az functionapp list-flex:99")
    assert done.returncode == 0, done.stderr


def test_a_file_named_like_the_group_goes_before_the_common_one(machine: Machine) -> None:
    clone = machine.home / "a clone"
    for folder in ("infra", "leads"):
        shutil.copytree(ROOT / folder, clone / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("function_app.py", "host.json", "requirements.txt"):
        shutil.copy(ROOT / name, clone)
    own = clone / "infra" / "contoso-leads.bicepparam"
    shutil.copy(clone / "infra" / "main.bicepparam", own)
    there = Machine(machine.home, clone / "infra" / "deploy.sh")
    for arguments, file in (
        (["contoso-leads"], own),
        (["fabrikam-leads"], own.with_name("main.bicepparam")),
        (["--parameters", str(own), "fabrikam-leads"], own),
    ):
        there.deploy("--yes", "--no-test-lead", *arguments, "westeurope")
        (call,) = [call for call in there.calls() if call[:3] == ["deployment", "group", "create"]]
        assert call[call.index("--parameters") + 1] == str(file)
        there.forget_calls()


class TestDynamics:
    URL = "https://contoso.crm4.dynamics.com"

    def test_the_app_becomes_a_user_of_it(self, machine: Machine) -> None:
        done = machine.deploy("--yes", "--dynamics", self.URL, "contoso-leads", "westeurope")
        assert done.returncode == 0, done.stderr
        (call,) = machine.calls("pac")
        assert call[:4] == ["admin", "assign-user", "--environment", self.URL]
        assert call[call.index("--user") + 1] == standin.OUTPUTS["identityClientId"]
        assert call[call.index("--role") + 1] == "Marketplace leads"
        assert "--application-user" in call
        assert f"The app is a user of {self.URL}" in done.stdout

    def test_a_failure_stops_nothing_and_is_told(self, machine: Machine) -> None:
        done = machine.deploy("--yes", "--dynamics", self.URL, "contoso-leads", "westeurope", fail="pac:99")
        assert done.returncode == 0, done.stderr
        assert "not a user of Dynamics yet" in done.stderr
        assert "New app user" in done.stdout

    def test_without_pac_nothing_is_done(self, machine: Machine) -> None:
        (machine.home / "bin" / "pac").unlink()
        done = machine.deploy("--yes", "--dynamics", self.URL, "contoso-leads", "westeurope")
        assert done.returncode == 2
        assert "Power Platform CLI" in done.stderr
        assert machine.calls() == []

    def test_the_documentation_makes_that_role(self) -> None:
        assert '--role "Marketplace leads"' in (ROOT / "docs" / "destinations" / "dynamics.md").read_text()


def test_secrets_that_cannot_be_read_anew_stop_nothing(machine: Machine) -> None:
    done = machine.deploy("--yes", "contoso-leads", "westeurope", fail="az rest:99")
    assert done.returncode == 0, done.stderr
    assert "within 24 hours" in done.stderr


def test_a_test_lead_that_is_refused_is_a_failure_with_its_status(machine: Machine) -> None:
    done = machine.deploy("--yes", "contoso-leads", "westeurope", fail="curl:99")
    assert done.returncode == 1
    assert "instead of 202" in done.stderr
    assert "Stopped at: A test lead" in done.stderr


@pytest.mark.parametrize(
    ("state", "told"), [("dead", "A destination refused it:"), ("skipped", "It has arrived:"), ("open", "on its way")]
)
def test_it_tells_what_became_of_the_test_lead(machine: Machine, state: str, told: str) -> None:
    (machine.home / "azure.json").write_text(json.dumps({"state": state}))
    done = machine.deploy("--yes", "contoso-leads", "westeurope")
    assert done.returncode == 0, done.stderr
    assert told in done.stdout
    assert f"console      {state}" in done.stdout


def test_it_can_do_without_a_test_lead(machine: Machine) -> None:
    done = machine.deploy("--yes", "--no-test-lead", "contoso-leads", "westeurope")
    assert done.returncode == 0, done.stderr
    assert machine.calls("curl") == []
    assert machine.commands() == list(STEPS)


def test_no_secret_is_shown_or_is_an_argument(machine: Machine) -> None:
    done = machine.deploy("--yes", "contoso-leads", "westeurope")
    shown = done.stdout + done.stderr
    arguments = json.dumps(machine.calls("az") + machine.calls("curl"))
    for secret in (SECRET, standin.KEY, standin.OPS_KEY):
        assert secret not in arguments
    assert SECRET not in shown
    assert standin.OPS_KEY not in shown
    assert shown.count(standin.KEY) == 1
    line = next(line for line in done.stdout.splitlines() if standin.KEY in line)
    above = done.stdout.splitlines()[done.stdout.splitlines().index(line) - 1]
    assert "credential" in above
    assert list((machine.home / "tmp").iterdir()) == [], "nothing stays behind"


def test_every_az_command_is_shown_before_it_runs(machine: Machine) -> None:
    done = machine.deploy("--yes", "contoso-leads", "westeurope")
    shown = [line for line in done.stderr.splitlines() if line.startswith("+ az ")]
    assert len(shown) == len(machine.calls())


def test_without_a_person_to_ask_nothing_is_created(machine: Machine) -> None:
    done = machine.deploy("contoso-leads", "westeurope")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert machine.commands() == list(STEPS[:3])


@pytest.mark.parametrize("answer", ["", "n", "no", "what?"])
def test_it_asks_before_it_spends(machine: Machine, answer: str) -> None:
    done = machine.deploy("contoso-leads", "westeurope", answer=answer)
    assert done.returncode == 2
    assert "docs/cost.md" in done.stdout
    assert "Nothing was created." in done.stderr
    assert machine.commands() == list(STEPS[:3])


def test_it_goes_on_after_a_yes(machine: Machine) -> None:
    done = machine.deploy("contoso-leads", "westeurope", answer="y")
    assert done.returncode == 0, done.stderr
    assert "It has arrived:" in done.stdout


def test_a_new_group_needs_a_location(machine: Machine) -> None:
    done = machine.deploy("--yes", "contoso-leads")
    assert done.returncode == 2
    assert "westeurope" in done.stderr
    assert "group create" not in machine.commands()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--what"],
        ["a", "b", "c"],
        ["a", "--parameters"],
        ["a", "--dynamics"],
        ["--parameters", "no/such.bicepparam", "a"],
    ],
)
def test_wrong_use_does_nothing(machine: Machine, arguments: list[str]) -> None:
    done = machine.deploy(*arguments)
    assert done.returncode == 2
    assert machine.calls() == []


def test_help_tells_how_it_is_used(machine: Machine) -> None:
    done = machine.deploy("--help")
    assert done.returncode == 0
    assert "RESOURCE_GROUP" in done.stdout
    assert machine.calls() == []


def test_the_test_lead_is_shaped_as_microsofts(machine: Machine) -> None:
    machine.deploy("--yes", "contoso-leads", "westeurope")
    call = machine.calls("curl")[0]
    lead = json.loads(call[call.index("--data") + 1])
    assert lead["leadSource"] == "AzureMarketplace"
    assert lead["actionCode"] == "INS"
    mark = lead["description"]
    assert mark.startswith("MSFT_TEST_")
    assert len(mark) == len("MSFT_TEST_636573304831318844")
    assert lead["userDetails"]["email"] == f"{mark}@test.com"
    with world() as made:
        receive(made.app, json.dumps(lead).encode(), made.now)
        made.drain()
        assert made.states() == {"crm": "skipped"}, "the app knows it for a test lead"


def test_the_question_after_it_is_one_that_the_app_answers(machine: Machine) -> None:
    machine.deploy("--yes", "contoso-leads", "westeurope")
    call = machine.calls("curl")[1]
    assert f"{api.HEADER}: 1".lower() in call
    config = json.loads((machine.home / "calls.jsonl").read_text().splitlines()[-1])["config"]
    assert f"/api/ops/{api.PATH}show" in config
    with world() as made:
        lead = receive(made.app, post(), made.now).id
        asked = json.loads(call[call.index("--data") + 1]) | {"id": lead}
        story = operations.perform(made.app, "show", asked, made.now)
        assert [(d["destination"], d["state"]) for d in story["deliveries"]] == [("crm", "open")]


def test_the_package_holds_the_app_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "app.zip"
    subprocess.run([sys.executable, str(ROOT / "infra" / "package.py"), str(target)], check=True)
    names = zipfile.ZipFile(target).namelist()
    assert {"function_app.py", "host.json", "requirements.txt", "leads/lead.py"} <= set(names)
    assert {name.partition("/")[0] for name in names} == {"function_app.py", "host.json", "requirements.txt", "leads"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    first = target.read_bytes()
    subprocess.run([sys.executable, str(ROOT / "infra" / "package.py"), str(target)], check=True)
    assert target.read_bytes() == first, "the same app makes the same package"
