"""The files that Azure reads say what the design needs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from dev.settings import groups
from leads import problems, settings
from leads.contract import RULES, Kind
from leads.transport import CONNECTIONS, SEND_SECONDS

ROOT = Path(__file__).resolve().parent.parent
DEPLOYED = {"function_app.py", "host.json", "leads", "requirements.txt"}


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return found


def seconds(span: str) -> int:
    hours, minutes, rest = (int(part) for part in span.split(":"))
    return hours * 3600 + minutes * 60 + rest


def pinned(name: str) -> dict[str, list[str]]:
    """The versions by package of a file that `make lock` wrote. Each has a hash, and nothing has an address."""
    found: dict[str, list[str]] = {}
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    for line in text.splitlines():
        if line and not line.lstrip().startswith("#"):
            pin = re.fullmatch(r"([a-z0-9.-]+)==([0-9a-z.]+)( ; [^#:]+?)?((?: +--hash=sha256:[0-9a-f]{64})+)", line)
            assert pin, f"{name}: {line[:80]} is not a pin with a hash"
            found.setdefault(pin[1], []).append(pin[2])
    return found


LOCKS = ("requirements.txt", "requirements-dev.txt", "infra/requirements-package.txt", "dev/requirements-audit.txt")


def level(category: str) -> str:
    """The level of a log category: the longest prefix in host.json decides, as in .NET's filter rules."""
    levels = read("host.json")["logging"]["logLevel"]
    parts = category.split(".")
    prefixes = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return str(next((levels[prefix] for prefix in prefixes if prefix in levels), levels["default"]))


class TestHostJson:
    def test_retries_survive(self) -> None:
        queues = read("host.json")["extensions"]["queues"]
        claim = 3 * SEND_SECONDS
        assert seconds(queues["visibilityTimeout"]) == 120 > claim, "else a retry finds the claim of the last try"
        assert queues["maxDequeueCount"] == 5
        assert queues["messageEncoding"] == "base64"
        assert seconds(queues["maxPollingInterval"]) <= 3, "leads arrive within seconds"

    def test_an_instance_makes_many_deliveries_at_once_and_has_threads_for_more(self) -> None:
        """Azure asks for an instance for each `batchSize` messages; a CRM is served one at a time all the same."""
        queues = read("host.json")["extensions"]["queues"]
        assert (queues["batchSize"], queues["newBatchThreshold"]) == (16, 8)
        template = (ROOT / "infra/modules/app.bicep").read_text(encoding="utf-8")
        threads = re.findall(r"PYTHON_THREADPOOL_THREAD_COUNT: '(\d+)'", template)
        assert threads == [str(CONNECTIONS)], "each thread keeps its connection"
        timers, http = 2, 6
        assert queues["batchSize"] + queues["newBatchThreshold"] + timers + http <= CONNECTIONS
        most = re.search(r"param maximumInstances int = (\d+)", (ROOT / "infra/main.bicep").read_text(encoding="utf-8"))
        assert RULES[Kind.CRM].one_at_a_time
        assert most
        assert int(most[1]) < 52, "Dynamics refuses more requests of one user at a time"

    def test_no_failure_and_no_event_is_sampled_away(self) -> None:
        sampling = read("host.json")["logging"]["applicationInsights"]["samplingSettings"]
        assert {"Exception", "Trace"} <= set(sampling["excludedTypes"].split(";"))
        source = (ROOT / "function_app.py").read_text(encoding="utf-8")
        for name in re.findall(r"^def (\w+)\(", source, re.MULTILINE):
            assert level(f"Function.{name}.User") == "Information", "events are logged as INFO"
            assert level(f"Function.{name}") == "Warning", "the host's two lines a call say what the request says"
        assert level("Host.Results") == "Information", "each call is a request, with its time and how it ended"

    def test_strangers_cannot_fill_the_daily_cap_of_the_logs_through_the_route_that_asks_for_no_key(self) -> None:
        """The host logs two lines a call under `Function.<name>`, and what the app itself logs under `….User`."""
        assert level("Function.page") == "Warning"
        assert level("Function.page.User") == "Information", "who signed in is told"
        sampling = read("host.json")["logging"]["applicationInsights"]["samplingSettings"]
        assert sampling["isEnabled"] is True
        assert "Request" not in sampling["excludedTypes"].split(";")

    def test_calls_of_the_host_are_not_tracked_with_their_addresses(self) -> None:
        assert read("host.json")["logging"]["applicationInsights"]["enableDependencyTracking"] is False

    def test_no_call_is_turned_away_because_the_machine_is_busy(self) -> None:
        assert read("host.json")["extensions"]["http"]["dynamicThrottlesEnabled"] is False, "Microsoft may not retry"

    def test_the_rest(self) -> None:
        host = read("host.json")
        assert host["version"] == "2.0"
        assert host["extensionBundle"]["version"] == "[4.*, 5.0.0)"
        assert host["extensions"]["http"]["routePrefix"] == "api"
        assert SEND_SECONDS < seconds(host["functionTimeout"]) <= 600, "600 is the most that every plan allows"


class TestSample:
    def test_it_is_the_defaults_besides_what_a_trial_needs(self) -> None:
        values = read("local.settings.sample.json")["Values"]
        assert all(isinstance(value, str) for value in values.values())
        found = settings.read(values)
        assert found.problems == ()
        assert found.watch_schedule == "*/5 * * * * *"
        assert found.destinations == ("dynamics", "email", "teams")
        default = settings.Settings()
        same = replace(
            found,
            storage=default.storage,
            inbox=default.inbox,
            watch_schedule=default.watch_schedule,
            destinations=default.destinations,
        )
        assert same == default

    def test_as_it_comes_only_the_destinations_have_to_be_set_up(self) -> None:
        values = read("local.settings.sample.json")["Values"]
        app = settings.read(values)
        found = problems.find(app, values, app.destinations)
        assert {problem.setting.split("_")[0] for problem in found.problems} == {"DYNAMICS", "EMAIL", "TEAMS"}

    def test_it_runs_on_azurite_and_holds_no_secret(self) -> None:
        values = read("local.settings.sample.json")["Values"]
        assert values["AzureWebJobsStorage"] == "UseDevelopmentStorage=true"
        assert values["FUNCTIONS_WORKER_RUNTIME"] == "python"
        secret = re.compile("SECRET|CERTIFICATE|TOKEN|WEBHOOK|SMTP_URL|KEY$")
        declared = {one.name: one.secret for group in groups().values() for one in group}
        values.pop("AzureWebJobsStorage")  # which names the emulator
        assert [name for name, value in values.items() if declared.get(name, secret.search(name)) and value] == []


class TestRequirements:
    @pytest.mark.parametrize("name", LOCKS)
    def test_all_are_pinned_by_hash_and_name_no_address(self, name: str) -> None:
        assert pinned(name)
        assert not re.search(r"://|--(extra-)?index|--find-links|--trusted", (ROOT / name).read_text(encoding="utf-8"))

    def test_each_python_has_its_worker_library(self) -> None:
        assert pinned("requirements.txt")["azure-functions"] == ["1.26.0", "2.3.0"]

    def test_what_is_deployed_is_what_was_tested(self) -> None:
        tested, deployed = pinned("requirements-dev.txt"), pinned("infra/requirements-package.txt")
        assert {name: versions for name, versions in deployed.items() if versions[0] not in tested[name]} == {}
        assert deployed["azure-functions"] == ["2.3.0"]
        assert pinned("requirements.txt").items() <= tested.items()

    def test_the_package_has_a_lock_without_markers(self) -> None:
        """Pip evaluates markers for the machine that builds, not for the one that runs."""
        assert ";" not in (ROOT / "infra" / "requirements-package.txt").read_text(encoding="utf-8")

    @pytest.mark.parametrize("name", LOCKS)
    def test_what_a_person_wrote_is_in_the_lock(self, name: str) -> None:
        source = "requirements.in" if name.startswith("infra/") else name.replace(".txt", ".in")
        lines = (ROOT / source).read_text(encoding="utf-8").splitlines()
        wanted = {line for line in lines if line and not line.startswith(("#", "-"))}
        assert wanted
        assert wanted - pinned(name).keys() == set(), "run: make lock"

    def test_nothing_heavy_is_deployed(self) -> None:
        heavy = {"aiohttp", "azure-identity", "httpx", "pandas", "pydantic", "powerplatform-dataverse-client"}
        assert not heavy & set(pinned("requirements.txt"))


def test_nothing_but_the_app_is_deployed() -> None:
    patterns = [
        line for line in (ROOT / ".funcignore").read_text().splitlines() if line.strip() and not line.startswith("#")
    ]
    left = {path.name for path in ROOT.iterdir() if not any(fnmatch(path.name, pattern) for pattern in patterns)}
    assert left <= DEPLOYED
    assert not any(fnmatch(name, pattern) for name in DEPLOYED for pattern in patterns)


def test_the_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (ROOT / "dev" / "package-lock.json").read_text()
