"""Azurite, the storage emulator from npm: installed into `dev/node_modules`, started on 127.0.0.1, stopped with us.

`python -m dev.azurite` installs it and does nothing else. Two flags are needed: the storage libraries send API
versions that Azurite does not know (`--skipApiVersionCheck`), and it would report home (`--disableTelemetry`).

It writes to disk every five seconds and when it ends. Killing us ends it in good order; killing Azurite itself with
SIGKILL loses its last seconds, as Azure Storage never would.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

DEV = Path(__file__).resolve().parent
PORTS = (10000, 10001, 10002)
"""Where `UseDevelopmentStorage=true` looks for blobs, queues and tables."""
OLDEST_NODE = 20

_ENTRY = DEV / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
_INSTALLED = DEV / "node_modules" / ".installed-lock.json"
_LOCK = DEV / "package-lock.json"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key that every copy of Azurite has; Microsoft publishes it."""
_WATCH_PARENT = (
    "data:text/javascript,process.stdin.resume().on('end',()=>{"
    "process.kill(process.pid,'SIGTERM');setTimeout(()=>process.exit(1),10000).unref()})"
)
"""Ends Azurite in good order when the other end of its stdin closes, which no death of ours can prevent."""


class Unavailable(Exception):
    """Azurite cannot be had here. The text says why and what to do."""


def installed() -> bool:
    """Whether `dev/node_modules` holds what the lock file says."""
    return _ENTRY.exists() and _INSTALLED.exists() and _INSTALLED.read_bytes() == _LOCK.read_bytes()


def install() -> None:
    """Install Azurite as the lock file says, if that has not been done. Raises Unavailable."""
    node_version()
    if installed():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm was not found. It comes with Node.js: install Node.js 20 or later.")
    # Azurite declares Node 22 and runs on 20 as well.
    command = [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error", "--engine-strict=false"]
    done = subprocess.run(command, cwd=DEV, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"npm could not install Azurite into dev/node_modules:\n{done.stderr.strip()}")
    shutil.copyfile(_LOCK, _INSTALLED)


def node_version() -> str:
    """The version of the Node.js on the path, as `20.1.0`. Raises Unavailable without one, or when it is too old."""
    node = shutil.which("node")
    if node is None:
        raise Unavailable("Node.js was not found. Install Node.js 20 or later: the storage emulator runs on it.")
    done = subprocess.run([node, "--version"], check=False, capture_output=True, text=True)
    found = re.fullmatch(r"v((\d+)\.\S+)", done.stdout.strip())
    if done.returncode or found is None:
        raise Unavailable("Node.js does not start. Install Node.js 20 or later: the storage emulator runs on it.")
    if int(found[2]) < OLDEST_NODE:
        raise Unavailable(f"Node.js {found[1]} is too old. Install Node.js 20 or later.")
    return found[1]


def port_is_free(port: int) -> bool:
    """Whether something could listen on 127.0.0.1 at `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Azurite:
    """A running Azurite. It ends when `stop` is called or this process dies, however that happens.

    `location` is the folder of its data, None keeps everything in memory; `ports` are those of blobs, queues and
    tables, 0 for a free one; `hold` are file descriptors that it keeps open until it has ended. With `certificate`, a
    PEM with key and chain for localhost, it listens with TLS and takes tokens of Entra.
    Raises Unavailable if it does not start within a minute.
    """

    def __init__(
        self,
        location: Path | None = None,
        ports: tuple[int, int, int] = (0, 0, 0),
        hold: tuple[int, ...] = (),
        certificate: Path | None = None,
    ) -> None:
        if not _ENTRY.exists():
            raise Unavailable("Azurite is not installed. Run `make install`.")
        command = ["node", "--import", _WATCH_PARENT, str(_ENTRY), "--silent", "--skipApiVersionCheck"]
        command += ["--disableTelemetry"]
        command += ["--inMemoryPersistence"] if location is None else ["--location", str(location)]
        if certificate:
            command += ["--oauth", "basic", "--cert", str(certificate), "--key", str(certificate)]
        for name, port in zip(("blob", "queue", "table"), ports, strict=True):
            command += [f"--{name}Host", "127.0.0.1", f"--{name}Port", str(port)]
        # A file and no pipe: Azurite writes while it stops, and a reader that is gone would kill it before it saved.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        # Its own session: Ctrl-C reaches us alone, and the app stops before its storage does.
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=hold,
        )
        try:
            self.ports = self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    @property
    def connection_string(self) -> str:
        """What the storage libraries connect with."""
        blob, queue, table = (f"http://127.0.0.1:{port}/devstoreaccount1" for port in self.ports)
        return (
            f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={_KEY};"
            f"BlobEndpoint={blob};QueueEndpoint={queue};TableEndpoint={table};"
        )

    def _wait_until_ready(self) -> tuple[int, int, int]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            said = os.pread(self._output.fileno(), 64 * 1024, 0).decode(errors="replace")
            found = re.findall(r"Azurite (\w+) service is successfully listening at https?://\S+:(\d+)", said)
            ports = {name: int(port) for name, port in found}
            if len(ports) == 3:
                return ports["Blob"], ports["Queue"], ports["Table"]
            if self.process.poll() is not None:
                raise Unavailable(f"Azurite did not start:\n{said.strip()[-2000:]}")
            time.sleep(0.05)
        raise Unavailable("Azurite did not start within a minute.")

    def stop(self) -> None:
        """End it in good order, so that all data is on disk. Calling it twice is fine."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._output.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


if __name__ == "__main__":
    try:
        install()
    except Unavailable as error:
        sys.exit(str(error))
