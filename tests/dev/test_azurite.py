"""Azurite starts, stops, keeps what it was given, and never outlives the process that started it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from azure.data.tables import TableClient, TableServiceClient
from azure.storage.blob import ContainerClient
from azure.storage.queue import QueueClient

from dev import azurite as emulator

ROOT = Path(__file__).resolve().parents[2]
STARTER = """
import sys
from pathlib import Path
from dev.azurite import Azurite
running = Azurite(Path(sys.argv[1]))
print(running.process.pid, running.connection_string, flush=True)
sys.stdin.read()
"""


def wait_for_end(pid: int) -> None:
    """Return when the process is gone; the test's own timeout is pytest's."""
    with contextlib.suppress(ProcessLookupError):
        for _ in range(600):
            os.kill(pid, 0)
            subprocess.run(["sleep", "0.05"], check=True)
        raise AssertionError(f"{pid} still runs")


def test_all_three_services_work_with_the_storage_libraries(azurite: str) -> None:
    with QueueClient.from_connection_string(azurite, "any-queue") as queue:
        queue.create_queue()
        queue.send_message("x")
        assert queue.receive_message() is not None
    with TableClient.from_connection_string(azurite, "AnyTable") as table:
        table.create_table()
        table.create_entity({"PartitionKey": "p", "RowKey": "r"})
    with ContainerClient.from_connection_string(azurite, "any-container") as container:
        container.create_container()
        container.upload_blob("b", b"x")


def test_data_survives_stopping_and_the_death_of_who_started_it(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert starter.stdout is not None
    pid, connection = starter.stdout.readline().split(maxsplit=1)
    try:
        with TableServiceClient.from_connection_string(connection.strip()) as service:
            service.create_table("Kept").create_entity({"PartitionKey": "p", "RowKey": "r"})
        os.killpg(starter.pid, signal.SIGKILL)
        wait_for_end(int(pid))
    finally:
        starter.communicate()
    with (
        emulator.Azurite(tmp_path) as again,
        TableClient.from_connection_string(again.connection_string, "Kept") as table,
    ):
        assert table.get_entity("p", "r")["RowKey"] == "r"
    again.stop()
    assert again.process.returncode == 0


def test_ports_that_are_taken_are_told(azurite: str) -> None:
    port = int(azurite.partition("BlobEndpoint=http://127.0.0.1:")[2].partition("/")[0])
    assert not emulator.port_is_free(port)
    with pytest.raises(emulator.Unavailable, match="did not start"):
        emulator.Azurite(ports=(port, 0, 0))


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (None, "Node.js was not found"),
        ("echo v18.19.0", "Node.js 18.19.0 is too old"),
        ("echo what", "Node.js does not start"),
        ("exit 3", "Node.js does not start"),
        ("echo v20.0.0", ""),
    ],
)
def test_node_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, told: str) -> None:
    if script is not None:
        node = tmp_path / "node"
        node.write_text(f"#!/bin/sh\n{script}\n")
        node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    if told:
        with pytest.raises(emulator.Unavailable, match=told):
            emulator.node_version()
    else:
        assert emulator.node_version() == "20.0.0"


def test_npm_that_fails_or_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = shutil.which("node")
    assert node is not None
    (tmp_path / "node").symlink_to(node)
    monkeypatch.setattr(emulator, "_INSTALLED", tmp_path / "never")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(emulator.Unavailable, match="npm was not found"):
        emulator.install()
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho no network >&2; exit 1\n")
    npm.chmod(0o755)
    with pytest.raises(emulator.Unavailable, match="no network"):
        emulator.install()
