"""Microsoft's own worker code for Python, in a process and a virtual environment of its own, driven by a test."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

ROOT = Path(__file__).resolve().parent.parent
DRIVER = Path(__file__).with_name("runtime_driver.py")
RUNTIME = "azure-functions-runtime==1.3.0"
LEAD = {
    "userDetails": {"firstName": "Some", "lastName": "One", "email": "someone@contoso.com", "country": "USA"},
    "leadSource": "AzureMarketplace",
    "actionCode": "INS",
    "offerTitle": "Test Microsoft",
}


class Invoke(Protocol):
    """Calls a function with what its trigger brings, and returns what the driver answers."""

    def __call__(self, name: str, value: dict[str, Any] | str, **metadata: str) -> dict[str, Any]: ...


@dataclass
class Worker:
    """A worker that has started and indexed the app."""

    capabilities: dict[str, str]
    """What it told the host of itself."""
    functions: dict[str, list[dict[str, Any]]]
    """The bindings of each function."""
    invoke: Invoke

    def receive(self, lead: dict[str, Any]) -> dict[str, Any]:
        """Send a lead as the marketplace does."""
        return self.invoke(
            "receive_lead",
            {
                "method": "POST",
                "url": "https://app.example/api/leads",
                "headers": {"content-type": "application/json"},
                "body": json.dumps(lead),
            },
        )


def environment(name: str, *more: str, requirements: Path | None = ROOT / "requirements.txt") -> str:
    """The Python of a virtual environment with `requirements` and with `more`, made once for each set of pins.

    Skips the test where there is no Python 3.13, which the worker code needs.
    """
    base = python313()
    if base is None:
        pytest.skip("Microsoft's worker code needs Python 3.13, and there is none on this machine")
    home = ROOT / ".local" / name
    pins = "\n".join([requirements.read_text() if requirements else "", RUNTIME, *more, ""])
    stamp = home / "pins.txt"
    home.parent.mkdir(exist_ok=True)
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != pins:
            subprocess.run([base, "-m", "venv", "--clear", str(home)], check=True)
            if requirements:
                _install(home, "-r", str(requirements))
            _install(home, RUNTIME, *more)
            stamp.write_text(pins)
    return str(home / "bin" / "python")


def _install(home: Path, *what: str) -> None:
    """By uv, which takes a fifth of the time; by pip where that fails, since uv knows nothing of pip.conf."""
    python = str(home / "bin" / "python")
    quickly = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python, *what]
    if subprocess.run(quickly, stderr=subprocess.DEVNULL, check=False).returncode:
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
        subprocess.run(pip, check=True)


@contextmanager
def started(python: str, storage: str, app: Path = ROOT, /, **environ: str) -> Iterator[Worker]:
    """A worker of the app in a folder, with these settings, and its end in good order."""
    settings = {
        "PATH": os.environ["PATH"],
        "AzureWebJobsStorage": storage,
        "LEADS_DESTINATIONS": "console",
        "LEADS_WATCH_SCHEDULE": "30 * * * * *",
        "PYTHONPATH": "",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with (
        # A file and no pipe: nobody reads it while the app logs.
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            [python, str(DRIVER), str(app)],
            env=settings | environ,
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

        yield Worker(**json.loads(first), invoke=invoke)
        stdin.close()
        assert process.wait(30) == 0


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
