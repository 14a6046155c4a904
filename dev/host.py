"""A local host: runs `function_app.py` without Core Tools, much as Azure runs it.

It indexes the v2 programming model, serves HTTP functions on 127.0.0.1, calls timers by NCRONTAB in UTC, and gives
queue messages to functions with the visibility, dequeue counts and poison moves that host.json asks for.
`python -m dev.host` runs it. Environment variables win over `local.settings.json`, which wins over
`local.settings.sample.json`. `PORT` is 7071 unless set; with `AUTH=1` function keys are asked for (they stand in
`.local/keys.json`); `VERBOSE=1` shows the log lines of libraries too; `HOST_LOG=json` makes each line a JSON object;
`LOCAL_DIR` is another folder than `.local`.

What it does not model: scaling, several instances and their leases, cold start, App Service Authentication (EasyAuth),
input and output bindings, retry policies, function timeouts, the worker's pool of threads, Application Insights,
the admin API, storage by managed identity. Unlike Azure's host, it makes the queues it listens to.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import azure.functions as func

from dev import host_functions, host_http, host_keys, host_queue, host_timer, serving
from dev.host_functions import HostError

ROOT = Path(__file__).resolve().parent.parent
LOCAL = Path(os.environ.get("LOCAL_DIR") or ROOT / ".local")
"""Where keys, timers and the data of `make run` are kept."""
GRACE_SECONDS = 10.0
"""How long calls under way may take to end after Ctrl-C."""
NOT_MODELLED = "It does not model scaling, leases, cold start, EasyAuth, output bindings and function timeouts."

log = logging.getLogger("host")


def settings(environ: Mapping[str, str], root: Path = ROOT) -> dict[str, str]:
    """The app settings: `environ` over `local.settings.json` over `local.settings.sample.json` in `root`.

    Raises HostError if one of those files cannot be read as settings.
    """
    merged: dict[str, str] = {}
    for name in ("local.settings.sample.json", "local.settings.json"):
        path = root / name
        if not path.is_file():
            continue
        try:
            values = json.loads(path.read_text(encoding="utf-8"))["Values"]
            merged |= {str(key): str(value) for key, value in values.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise HostError(
                f"{name} must be a JSON object with an object 'Values'. Correct it, or delete it."
            ) from None
    return merged | dict(environ)


class Host:
    """Runs the functions of `app`. Settings are read from the environment, as the functions themselves do.

    `port` 0 picks a free one; `state` is the folder for keys and timers. Raises HostError for an app or a host.json
    that Azure would refuse, and OSError if the port is taken.
    """

    def __init__(
        self, app: func.FunctionApp, host_json: Mapping[str, Any], state: Path, *, port: int = 7071, auth: bool = False
    ) -> None:
        self.functions = host_functions.index(app)
        options = host_queue.Options.read(host_json)
        prefix = str(host_json.get("extensions", {}).get("http", {}).get("routePrefix", "api"))
        web = [function for function in self.functions if function.kind == "httpTrigger"]
        keys = host_keys.read(state / "keys.json", [function.name for function in web]) if auth else None
        monitor = host_timer.Monitor(state / "timers.json")
        self._stopping = threading.Event()
        self.timers = [
            host_timer.Timer(function, monitor, self._stopping)
            for function in self.functions
            if function.kind == "timerTrigger"
        ]
        self.listeners = [
            host_queue.Listener(function, options, self._stopping)
            for function in self.functions
            if function.kind == "queueTrigger"
        ]
        limit = int(os.environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT") or serving.BODY_LIMIT)
        self.server = host_http.Server(web, prefix, port, keys, limit)

    @property
    def url(self) -> str:
        """Where the HTTP functions are, without a slash at the end."""
        return f"http://localhost:{self.server.port}"

    def describe(self) -> str:
        """What it runs, a line for each function."""
        lines = ["Functions:", ""]
        lines += [
            f"  {route.function.name}: [{','.join(route.methods)}] {self.url}{route.template}"
            for route in self.server.routes
        ]
        lines += [f"  {timer.name}: timer {timer.schedule}" for timer in self.timers]
        lines += [f"  {listener.name}: queue {listener.queue_name}" for listener in self.listeners]
        keys = f"Function keys are in {LOCAL.name}/keys.json." if self.server.keys else "No function key is asked for."
        return "\n".join([*lines, "", f"This is the local host, not Azure's. {NOT_MODELLED} {keys}"])

    def start(self) -> None:
        """Begin to serve, in threads."""
        threading.Thread(target=self.server.serve_forever, args=(0.1,), name="http", daemon=True).start()
        for thread in (*self.timers, *self.listeners):
            thread.start()

    def stop(self, grace: float = GRACE_SECONDS) -> bool:
        """Take nothing new, let calls under way end, and say whether they did within `grace` seconds.

        What did not is as safe as if the process had been killed: its message comes back, its timer fires again.
        """
        self._stopping.set()
        self.server.shutdown()
        self.server.server_close()
        deadline = time.monotonic() + grace
        ended = self.server.wait_until_idle(grace)
        for thread in (*self.timers, *self.listeners):
            thread.join(max(0.0, deadline - time.monotonic()))
            ended = ended and not thread.is_alive()
        return ended


class Lines(logging.Formatter):
    """Log lines as `func start` shows them; the app's own JSON events as `event key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback of an exception below it."""
        text = super().format(record)
        if record.name == "leads":
            with contextlib.suppress(ValueError):
                fields = json.loads(record.getMessage())
                text = f"{fields.pop('event')} " + " ".join(f"{key}={_shown(value)}" for key, value in fields.items())
        when = datetime.fromtimestamp(record.created, UTC).isoformat("T", "milliseconds").replace("+00:00", "Z")
        return f"[{when}] {text}"


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and " " in value else str(value)


class JsonLines(logging.Formatter):
    """Log lines for a program that reads them: `time`, `level`, `logger`, `message`."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object on one line."""
        return json.dumps(
            {
                "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
                "level": record.levelname,
                "logger": record.name,
                "message": super().format(record),
            },
            ensure_ascii=False,
        )


def _configure_logging(*, as_json: bool, verbose: bool) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines() if as_json else Lines())
    if not verbose:
        handler.addFilter(lambda r: r.levelno >= logging.WARNING or r.name.partition(".")[0] in ("host", "leads"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Our own polling would fill the screen.
    logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)


def _wait_for_end_of_stdin(stopping: threading.Event) -> None:
    while os.read(0, 1024):
        continue
    stopping.set()


def _make() -> Host:
    os.environ.update(settings(os.environ))
    port = os.environ.get("PORT") or "7071"
    if not port.isdecimal() or int(port) > 65535:
        raise HostError(f"PORT is {port}, which is no port. Use a number up to 65535.")
    host_json = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    app = host_functions.load(ROOT)
    try:
        return Host(app, host_json, LOCAL, port=int(port), auth=os.environ.get("AUTH") == "1")
    except OSError as error:
        raise HostError(f"Port {port} of 127.0.0.1 cannot be used ({error.strerror}). Set PORT to another.") from None


def main() -> int:
    """Run until SIGINT or SIGTERM, or until stdin closes where `STOP_WITH_STDIN` is set. Returns the exit code."""
    _configure_logging(as_json=os.environ.get("HOST_LOG") == "json", verbose=os.environ.get("VERBOSE") == "1")
    stopping = threading.Event()

    def stop(*_: object) -> None:
        if stopping.is_set():
            os._exit(1)
        stopping.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    if os.environ.get("STOP_WITH_STDIN"):
        threading.Thread(target=_wait_for_end_of_stdin, args=(stopping,), daemon=True).start()
    try:
        host = _make()
    except HostError as error:
        log.critical("%s", error)
        return 1
    log.info("%s", host.describe())
    host.start()
    stopping.wait()
    log.info("Stopping.")
    ended = host.stop()
    logging.shutdown()
    # Threads that did not end in time would keep the process.
    os._exit(0 if ended else 1)


if __name__ == "__main__":
    sys.exit(main())
