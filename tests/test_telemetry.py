"""Every event reaches Application Insights whichever way its telemetry goes, and nothing that is private goes along.

The ways are those of docs/adr/0010-opentelemetry.md. Microsoft's worker code and its exporter are the real ones; the
ingestion endpoint stands at the wire, and takes `/v2.1/track` as the exporter sends it (azure-monitor-opentelemetry-
exporter 1.0.0b58: gzip, a JSON list of envelopes). The host is not here: what it would do with a worker's capability
is quoted in that decision.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.runtime import LEAD, Worker, environment, started

EXPORTER = "azure-monitor-opentelemetry==1.8.11"
HOST_IS_SILENT = "WorkerOpenTelemetryEnabled"
"""The capability by which a worker tells the host to export none of its logs."""
ADVISED = {
    "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "true",
    "PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME": "leads",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "azure_sdk,requests,urllib,urllib3,httpx",
}
"""The settings that docs/adr/0010-opentelemetry.md names."""


@contextmanager
def ingestion() -> Iterator[tuple[dict[str, str], list[dict[str, Any]]]]:
    """The settings that send telemetry here, and the envelopes that came."""
    envelopes: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came = json.loads(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            # Live metrics ask here too, whether anybody looks: nobody does, and what they bring is no envelope.
            came = came if self.path == "/v2.1/track" else []
            envelopes.extend(came)
            answer = json.dumps({"itemsReceived": len(came), "itemsAccepted": len(came), "errors": []}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    connection = f"InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint={url};LiveEndpoint={url}"
    # What Microsoft's exporter reports of itself goes elsewhere by default.
    quiet = {"APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true"}
    try:
        yield {"APPLICATIONINSIGHTS_CONNECTION_STRING": connection} | quiet, envelopes
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def by_the_worker(storage: str, settings: dict[str, str]) -> Iterator[tuple[Worker, list[dict[str, Any]]]]:
    """A worker that exports its telemetry itself, and the envelopes that came, all of them once it has ended."""
    python = environment("venv313-otel", EXPORTER)
    with ingestion() as (where, envelopes), started(python, storage, **settings, **where) as worker:
        yield worker, envelopes


def receive(worker: Worker, title: str) -> tuple[str, list[dict[str, Any]]]:
    """Send a lead of its own, and return its id and the events that were handed to the host."""
    answer = worker.receive(LEAD | {"offerTitle": title})
    events = [json.loads(message) for _, message in answer["logs"] if message.startswith('{"event"')]
    return json.loads(answer["body"])["id"], events


def messages(envelopes: list[dict[str, Any]]) -> list[str]:
    """What would stand in the column `message` of `traces`."""
    return [each["data"]["baseData"]["message"] for each in envelopes if each["data"]["baseType"] == "MessageData"]


def test_by_the_host_every_event_is_a_message_of_its_own(azurite: str) -> None:
    with started(environment("venv313"), azurite) as worker:
        assert HOST_IS_SILENT not in worker.capabilities
        lead_id, events = receive(worker, "by the host")
    assert [event["event"] for event in events] == ["lead_accepted"]
    assert events[0]["lead"] == lead_id


def test_by_the_worker_the_same_event_is_exported_word_for_word(azurite: str) -> None:
    with by_the_worker(azurite, ADVISED) as (worker, envelopes):
        assert worker.capabilities[HOST_IS_SILENT] == "true"
        lead_id, events = receive(worker, "by the worker")
    exported = [json.loads(message) for message in messages(envelopes)]
    assert exported == events
    assert [(event["event"], event["lead"]) for event in exported] == [("lead_accepted", lead_id)]


def test_by_the_worker_no_address_of_a_call_is_exported(azurite: str) -> None:
    with by_the_worker(azurite, ADVISED) as (worker, envelopes):
        receive(worker, "no address")
    assert envelopes
    assert [each for each in envelopes if each["data"]["baseType"] == "RemoteDependencyData"] == []
    assert "devstoreaccount1" not in json.dumps(envelopes)


def test_without_those_settings_the_exporter_takes_every_address_along(azurite: str) -> None:
    switch = {"PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "true"}
    # Else the exporter keeps five traces a second, and which ones is chance.
    switch |= {"OTEL_TRACES_SAMPLER": "microsoft.fixed_percentage", "OTEL_TRACES_SAMPLER_ARG": "1.0"}
    with by_the_worker(azurite, switch) as (worker, envelopes):
        receive(worker, "every address")
    calls = [each["data"]["baseData"] for each in envelopes if each["data"]["baseType"] == "RemoteDependencyData"]
    assert any("/devstoreaccount1/raw/" in call.get("data", "") for call in calls)


@pytest.mark.parametrize(
    ("setting", "lost"),
    [("PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY", False), ("PYTHON_ENABLE_OPENTELEMETRY", True)],
)
def test_what_a_switch_without_its_packages_does(azurite: str, setting: str, lost: bool) -> None:
    with started(environment("venv313"), azurite, **{setting: "true"}) as worker:
        assert (HOST_IS_SILENT in worker.capabilities) is lost
        assert receive(worker, setting)[1], "the app still logs"
