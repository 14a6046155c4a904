"""The package under Microsoft's own worker code, on Python 3.13: indexing, bindings, a lead from call to record.

The Python that runs it has the worker and nothing else: what the app needs has to come out of the package.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient, TextBase64DecodePolicy

from tests.runtime import LEAD, ROOT, Worker, environment, started


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, unzipped into an empty folder."""
    folder = tmp_path_factory.mktemp("package")
    maker = [sys.executable, str(ROOT / "infra" / "package.py"), "--python", environment("worker", requirements=None)]
    subprocess.run([*maker, str(folder / "app.zip")], check=True)
    with zipfile.ZipFile(folder / "app.zip") as archive:
        archive.extractall(folder / "wwwroot")
    return folder / "wwwroot"


@pytest.fixture(scope="module")
def worker(package: Path, azurite: str) -> Iterator[Worker]:
    """A worker with the settings of a fresh app."""
    with started(environment("worker", requirements=None), azurite, package) as running:
        yield running


def trigger(worker: Worker, name: str) -> dict[str, Any]:
    return next(binding for binding in worker.functions[name] if str(binding["type"]).endswith("Trigger"))


def test_every_trigger_is_indexed(worker: Worker) -> None:
    assert {name: trigger(worker, name)["type"] for name in worker.functions} == {
        "receive_lead": "httpTrigger",
        "watch_tables": "timerTrigger",
        "deliver_lead": "queueTrigger",
        "recover_delivery": "queueTrigger",
        "sweep_open_leads": "timerTrigger",
        "health": "httpTrigger",
        "ops": "httpTrigger",
        "page": "httpTrigger",
    }


@pytest.mark.parametrize(
    ("name", "route", "methods"),
    [
        ("receive_lead", "leads", {"GET", "HEAD", "POST"}),
        ("health", "health", {"GET"}),
        ("ops", "ops/{*path}", {"GET", "POST"}),
    ],
)
def test_http_triggers_have_their_routes_and_ask_for_a_function_key(
    worker: Worker, name: str, route: str, methods: set[str]
) -> None:
    binding = trigger(worker, name)
    assert (binding["route"], binding["authLevel"].lower()) == (route, "function")
    assert {str(method).upper() for method in binding["methods"]} == methods
    assert [b["name"] for b in worker.functions[name] if b["type"] == "http"] == ["$return"]


def test_the_page_is_open_to_browsers_without_a_key(worker: Worker) -> None:
    binding = trigger(worker, "page")
    assert (binding["route"], binding["authLevel"].lower()) == ("page/{*path}", "anonymous")


@pytest.mark.parametrize(
    ("name", "queue"), [("deliver_lead", "lead-deliveries"), ("recover_delivery", "lead-deliveries-poison")]
)
def test_queue_triggers_listen_to_the_state_storage(worker: Worker, name: str, queue: str) -> None:
    binding = trigger(worker, name)
    assert (binding["queueName"], binding["connection"]) == (queue, "AzureWebJobsStorage")


@pytest.mark.parametrize(
    ("name", "schedule"), [("watch_tables", "30 * * * * *"), ("sweep_open_leads", "0 */5 * * * *")]
)
def test_timers_run_as_the_settings_say(worker: Worker, name: str, schedule: str) -> None:
    assert trigger(worker, name)["schedule"] == schedule


def test_a_lead_goes_from_call_to_delivery(worker: Worker, azurite: str) -> None:
    with contextlib.suppress(ResourceNotFoundError):
        QueueClient.from_connection_string(azurite, "lead-deliveries").clear_messages()
    answer = worker.receive(LEAD)
    assert answer["status"] == 202
    lead_id = json.loads(answer["body"])["id"]

    with QueueClient.from_connection_string(
        azurite, "lead-deliveries", message_decode_policy=TextBase64DecodePolicy()
    ) as queue:
        message = queue.receive_message()
        assert message is not None, "the doorbell rang"
        rung = json.loads(message.content)
        assert rung["lead"] == lead_id
        now = datetime.now(UTC).isoformat()
        rest = {"Id": message.id, "DequeueCount": "1", "PopReceipt": "p"}
        worker.invoke("deliver_lead", message.content, InsertionTime=now, **rest)
        worker.invoke("recover_delivery", message.content, **rest)
        queue.clear_messages()

    shown = worker.invoke("health", {"method": "GET", "url": "https://app.example/api/health"})
    assert shown["status"] in (200, 503)


@pytest.mark.parametrize("name", ["watch_tables", "sweep_open_leads"])
def test_timers_can_be_called_late(worker: Worker, name: str) -> None:
    worker.invoke(name, json.dumps({"IsPastDue": True, "ScheduleStatus": {}, "Schedule": {"AdjustForDST": True}}))


def test_every_module_of_the_app_and_of_its_dependencies_comes_out_of_the_package(
    worker: Worker, package: Path
) -> None:
    """The worker brings azure-functions and Werkzeug too; those of the package go first, as in Azure."""
    answer = worker.invoke("modules", "")
    outside = {name: file for name, file in answer["modules"].items() if not file.startswith(str(package))}
    assert {name.partition(".")[0] for name in outside} <= {"azure_functions_runtime"}
    assert {"leads", "azure.functions", "azure.data.tables", "requests"} <= answer["modules"].keys()
    loaded = [file for name, file in answer["compiled"].items() if name.startswith("leads")]
    assert loaded
    assert all(file.endswith(".cpython-313.pyc") for file in loaded)


def test_the_package_is_left_as_it_was(worker: Worker, package: Path) -> None:
    """Azure mounts it read-only."""
    with zipfile.ZipFile(package.parent / "app.zip") as archive:
        there = {file.relative_to(package).as_posix() for file in package.rglob("*") if file.is_file()}
        assert there == set(archive.namelist())


def test_it_tells_which_build_runs_and_on_which_python(worker: Worker, package: Path) -> None:
    told = json.loads(worker.invoke("health", {"method": "GET", "url": "https://app.example/api/health"})["body"])
    assert told["build"] == (package / "build.txt").read_text().strip()
    assert told["python"].startswith(json.loads((ROOT / "infra" / "runtime.json").read_text())["python"] + ".")
