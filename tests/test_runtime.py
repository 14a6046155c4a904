"""The app under Microsoft's own worker code, on Python 3.13: indexing, bindings, and a lead from call to record."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient, TextBase64DecodePolicy

ROOT = Path(__file__).resolve().parent.parent
DRIVER = Path(__file__).with_name("runtime_driver.py")
VENV = ROOT / ".local" / "venv313"
RUNTIME = "azure-functions-runtime==1.3.0"
LEAD = {
    "userDetails": {"firstName": "Some", "lastName": "One", "email": "someone@contoso.com", "country": "USA"},
    "leadSource": "AzureMarketplace",
    "actionCode": "INS",
    "offerTitle": "Test Microsoft",
}

Invoke = Callable[..., dict[str, Any]]


def python313() -> str | None:
    """A Python 3.13 that starts, on the path or among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates = [shutil.which("python3.13"), shutil.which("python3")]
    candidates += [str(path) for path in sorted(pyenv.glob("3.13*/bin/python3.13"))]
    for candidate in filter(None, candidates):
        found = subprocess.run(
            [candidate, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False
        )
        if found.stdout.strip() == "3 13":
            return candidate
    return None


@pytest.fixture(scope="module")
def python() -> str:
    """The Python of a virtual environment with what is deployed and the runtime, made once for each set of pins."""
    base = python313()
    if base is None:
        pytest.skip("Microsoft's worker code needs Python 3.13, and there is none on this machine")
    pins = f"{(ROOT / 'requirements.txt').read_text()}\n{RUNTIME}\n"
    stamp = VENV / "pins.txt"
    VENV.parent.mkdir(exist_ok=True)
    with (VENV.parent / "venv313.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != pins:
            subprocess.run([base, "-m", "venv", "--clear", str(VENV)], check=True)
            pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "-r", str(ROOT / "requirements.txt"), RUNTIME], check=True)
            stamp.write_text(pins)
    return str(VENV / "bin" / "python")


@pytest.fixture(scope="module")
def worker(python: str, azurite: str) -> Iterator[tuple[dict[str, list[dict[str, Any]]], Invoke]]:
    """The functions with their bindings, and a way to call one."""
    environ = {
        "PATH": os.environ["PATH"],
        "AzureWebJobsStorage": azurite,
        "LEADS_DESTINATIONS": "console",
        "LEADS_WATCH_SCHEDULE": "30 * * * * *",
        "PYTHONPATH": "",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with (
        # A file and no pipe: nobody reads it while the app logs.
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            [python, str(DRIVER), str(ROOT)],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        first = process.stdout.readline()
        log.seek(0)
        assert first, log.read()
        stdin, stdout = process.stdin, process.stdout

        def invoke(name: str, value: dict[str, Any] | str, **metadata: str) -> dict[str, Any]:
            stdin.write(json.dumps([name, value, metadata]) + "\n")
            stdin.flush()
            answer: dict[str, Any] = json.loads(stdout.readline())
            assert answer["ok"], answer["error"]
            return answer

        yield json.loads(first), invoke
        stdin.close()
        assert process.wait(30) == 0


Worker = tuple[dict[str, list[dict[str, Any]]], Invoke]


def trigger(functions: dict[str, list[dict[str, Any]]], name: str) -> dict[str, Any]:
    return next(binding for binding in functions[name] if str(binding["type"]).endswith("Trigger"))


def test_every_trigger_is_indexed(worker: Worker) -> None:
    functions, _ = worker
    assert {name: trigger(functions, name)["type"] for name in functions} == {
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
    functions, _ = worker
    binding = trigger(functions, name)
    assert (binding["route"], binding["authLevel"].lower()) == (route, "function")
    assert {str(method).upper() for method in binding["methods"]} == methods
    assert [b["name"] for b in functions[name] if b["type"] == "http"] == ["$return"]


def test_the_page_is_open_to_browsers_without_a_key(worker: Worker) -> None:
    binding = trigger(worker[0], "page")
    assert (binding["route"], binding["authLevel"].lower()) == ("page/{*path}", "anonymous")


@pytest.mark.parametrize(
    ("name", "queue"), [("deliver_lead", "lead-deliveries"), ("recover_delivery", "lead-deliveries-poison")]
)
def test_queue_triggers_listen_to_the_state_storage(worker: Worker, name: str, queue: str) -> None:
    binding = trigger(worker[0], name)
    assert (binding["queueName"], binding["connection"]) == (queue, "AzureWebJobsStorage")


@pytest.mark.parametrize(
    ("name", "schedule"), [("watch_tables", "30 * * * * *"), ("sweep_open_leads", "0 */5 * * * *")]
)
def test_timers_run_as_the_settings_say(worker: Worker, name: str, schedule: str) -> None:
    assert trigger(worker[0], name)["schedule"] == schedule


def test_a_lead_goes_from_call_to_delivery(worker: Worker, azurite: str) -> None:
    _, invoke = worker
    with contextlib.suppress(ResourceNotFoundError):
        QueueClient.from_connection_string(azurite, "lead-deliveries").clear_messages()
    answer = invoke(
        "receive_lead",
        {
            "method": "POST",
            "url": "https://app.example/api/leads",
            "headers": {"content-type": "application/json"},
            "body": json.dumps(LEAD),
        },
    )
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
        invoke("deliver_lead", message.content, Id=message.id, DequeueCount="1", InsertionTime=now, PopReceipt="p")
        invoke("recover_delivery", message.content, Id=message.id, DequeueCount="1", PopReceipt="p")
        queue.clear_messages()

    shown = invoke("health", {"method": "GET", "url": "https://app.example/api/health"})
    assert shown["status"] in (200, 503)


@pytest.mark.parametrize("name", ["watch_tables", "sweep_open_leads"])
def test_timers_can_be_called_late(worker: Worker, name: str) -> None:
    worker[1](name, json.dumps({"IsPastDue": True, "ScheduleStatus": {}, "Schedule": {"AdjustForDST": True}}))
