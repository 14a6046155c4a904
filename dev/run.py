"""`make run`: the whole app on this machine, with two sample leads to watch on their way.

It starts Azurite (where `AzureWebJobsStorage` is development storage), a stand-in for each enabled destination whose
address is not set, a page that shows what those received, and the local host as a child process. Samples are sent only
where nothing real could receive them. Ctrl-C ends all of it. So does the death of this process, however it comes:
children watch the pipe to it. The data in `.local/azurite` stays for the next run. `PORT`, `AUTH`, `VERBOSE` and
`LOCAL_DIR` are as in `dev.host`; the page is on the next port where that is free.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from dev import azurite, certificate, host, run_samples, serving, standins
from dev.host_functions import HostError
from dev.run_app import App, Stop
from dev.run_screen import Screen
from dev.standins import StandIn, page

PATIENCE = 30.0
"""Seconds that a sample lead may take before we say that something is wrong."""


def storage(environ: dict[str, str], screen: Screen, stack: contextlib.ExitStack, hold: int) -> bool:
    """Start Azurite where it is asked for, and set the connection string. Returns whether it was."""
    if not environ.get("AzureWebJobsStorage", "").lower().startswith("usedevelopmentstorage=true"):
        screen.fact("Storage", "the account that AzureWebJobsStorage names")
        return False
    if not azurite.installed():
        screen.fact("Storage", "installing the emulator Azurite into dev/node_modules, once")
    azurite.install()
    emulator = start_azurite(hold)
    usual = emulator.ports == azurite.PORTS
    stack.callback(emulator.stop)
    ports = ", ".join(str(port) for port in emulator.ports)
    why = "" if usual else " (10000 to 10002 are taken)"
    screen.fact("Storage", f"Azurite on ports {ports}{why}, data in {host.LOCAL.name}/azurite")
    if not usual:
        environ["AzureWebJobsStorage"] = emulator.connection_string
    return True


def start_azurite(hold: int) -> azurite.Azurite:
    """Start it on its usual ports, or on free ones where another program has or takes one of those."""
    data = host.LOCAL / "azurite"
    if usual_ports_are_free():
        try:
            return azurite.Azurite(data, azurite.PORTS, (hold,))
        except azurite.Unavailable:
            if usual_ports_are_free():
                raise
    return azurite.Azurite(data, hold=(hold,))


def usual_ports_are_free() -> bool:
    """Whether nothing listens where `UseDevelopmentStorage=true` looks."""
    return all(azurite.port_is_free(port) for port in azurite.PORTS)


def lock() -> int:
    """Let only one run work in this folder. Children hold the lock too, so a killed run's leftovers are waited for."""
    host.LOCAL.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(host.LOCAL / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    began = time.monotonic()
    while time.monotonic() < began + host.GRACE_SECONDS + 10:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.1)
        else:
            return descriptor
    os.close(descriptor)
    raise Stop("`make run` already runs in this folder. Stop it with Ctrl-C first.")


def share(environ: Mapping[str, str], stack: contextlib.ExitStack) -> None:
    """Tell `python -m leads` in another terminal which settings are in force, for as long as this runs."""
    sample = json.loads((host.ROOT / "local.settings.sample.json").read_text(encoding="utf-8"))["Values"]
    values = {name: value for name, value in environ.items() if name in sample or os.environ.get(name) != value}
    path = host.LOCAL / "settings.json"
    stack.callback(path.unlink, missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump({"Values": values}, file, indent=2)


def send_samples(screen: Screen, app: App, url: str, environ: Mapping[str, str]) -> None:
    """Send one lead by each way in and wait for its deliveries; where there are routes, some by HTTP that differ."""
    import requests
    from azure.data.tables import TableServiceClient

    now = datetime.now(UTC)
    headers = {}
    if environ.get("AUTH") == "1":
        keys = json.loads((host.LOCAL / "keys.json").read_text())
        headers["x-functions-key"] = keys["functions"]["receive_lead"]
    samples = run_samples.routed(now) if environ.get("LEADS_ROUTES", "").strip() else run_samples.one(now)
    for title, body in samples.items():
        screen.section(title)
        app.forget()
        screen.step("POST /api/leads")
        answer = requests.post(url, body, headers=headers, timeout=PATIENCE)
        screen.step(f"answered: {answer.status_code} {answer.text[:200]}")
        if answer.status_code == 202:
            wait_for(screen, app)

    table = environ.get("LEADS_INBOX_TABLES", "").split(",")[0].strip() or "MarketplaceLeads"
    screen.section("A lead comes in as a table row")
    app.forget()
    with TableServiceClient.from_connection_string(environ["AzureWebJobsStorage"]) as service:
        row = run_samples.row(now)
        service.create_table_if_not_exists(table).create_entity(row)
    screen.step(f"row written to {table}, partition {row['PartitionKey']}; the watch will find it")
    wait_for(screen, app)


def wait_for(screen: Screen, app: App) -> None:
    """Wait until all deliveries of one lead are finished, or say that they are not."""
    if not app.wait_for_lead(PATIENCE):
        screen.step("not delivered yet. What was accepted is kept and tried again; VERBOSE=1 shows what happens.")


def enabled(environ: Mapping[str, str]) -> list[str]:
    """The destinations that leads go to, each once."""
    names = [name.strip().lower() for name in environ.get("LEADS_DESTINATIONS", "").split(",")]
    return [name for name in dict.fromkeys(names) if name]


def start_standins(environ: dict[str, str], screen: Screen, stack: contextlib.ExitStack) -> dict[str, StandIn]:
    """Start one for each enabled destination whose address is not set, and point the app at it. They come by title."""
    running = dict[str, StandIn]()
    pointing = dict[str, str]()
    for name in enabled(environ):
        module = standins.find(name)
        if module is None:
            continue
        title, given = standins.title(name, module), standins.given(name, environ)
        real = real_address(name, module, environ)
        if real:
            screen.fact(title, f"the real one that {real} names")
            continue
        running[title] = stack.enter_context(module.start(host.LOCAL / "standin", given))
        pointing |= standins.called(name, running[title].environ())
        own = " or ".join(standins.called(name, dict.fromkeys(module.ADDRESS, "")))
        screen.fact(title, f"a stand-in on this machine; {own} names a real one")
    if running:
        environ |= pointing | trust(environ)
    return running


def real_address(name: str, module: standins.Module, environ: Mapping[str, str]) -> str:
    """The setting that names a real one for a destination: its own, or one that instances share; empty without any."""
    found = next((each for each in module.ADDRESS if standins.given(name, environ).get(each)), "")
    (own,) = standins.called(name, {found: ""})
    return own if environ.get(own) else found


def trust(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings with which the app trusts the stand-ins' certificates, beside those it trusts anyway."""
    import certifi

    folder = host.LOCAL / "standin"
    usual = Path(environ.get("REQUESTS_CA_BUNDLE") or certifi.where())
    bundle = folder / "trusted.pem"
    bundle.write_bytes(usual.read_bytes() + b"\n" + certificate.server_files(folder)[0].read_bytes())
    return {"REQUESTS_CA_BUNDLE": str(bundle.resolve()), "SSL_CERT_FILE": str(bundle.resolve())}


def show(running: Mapping[str, StandIn], port: int, stack: contextlib.ExitStack) -> str:
    """Serve the page that shows what they received, and return its address."""
    try:
        server = serving.Server(page.application(running), port)
    except OSError:
        server = serving.Server(page.application(running))
    threading.Thread(target=server.serve_forever, args=(0.1,), name="page", daemon=True).start()
    stack.callback(server.shutdown)
    return f"http://localhost:{server.port}"


def reason_to_send_nothing(environ: Mapping[str, str], *, emulated: bool) -> str:
    """Why no sample is sent, or nothing where none of this could reach anybody."""
    if not emulated or any(
        environ.get(name) for name in environ if name.startswith("LEADS_INBOX") and name != "LEADS_INBOX_TABLES"
    ):
        return "the storage is a real one"
    real = []
    for name in enabled(environ):
        module = standins.find(name)
        if name.partition(":")[0] != "console" and (module is None or real_address(name, module, environ)):
            real.append(name)
    return f"it would go to {' and '.join(real)} for real" if real else ""


def run(stack: contextlib.ExitStack) -> None:
    """Start everything, show it, and wait for the end. Raises Stop, azurite.Unavailable or HostError if it cannot."""
    environ = host.settings(os.environ)
    screen = Screen(environ.get("VERBOSE") == "1")
    port = environ["PORT"] = environ.get("PORT") or "7071"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise Stop(f"PORT is {port}, which is no port. Use a number from 1 to 65535.")
    hold = lock()
    stack.callback(os.close, hold)
    if not azurite.port_is_free(int(port)):
        raise Stop(f"Port {port} is taken by another program. Choose another one: make run PORT={int(port) + 1}")
    screen.section("Marketplace leads, on this machine")
    emulated = storage(environ, screen, stack, hold)
    nothing = reason_to_send_nothing(environ, emulated=emulated)
    running = start_standins(environ, screen, stack)
    share(environ, stack)
    url = f"http://localhost:{port}/api"
    app = App(screen, environ, hold)
    stack.callback(app.stop)
    app.wait_until_ready()
    asks = f", asks for a key of {host.LOCAL.name}/keys.json" if environ.get("AUTH") == "1" else ""
    screen.fact("App", f"{url}/leads{asks}")
    if nothing:
        screen.line(f"\nNo sample is sent, since {nothing}.")
    else:
        send_samples(screen, app, f"http://127.0.0.1:{port}/api/leads", environ)
    screen.section("Up and running. Ctrl-C stops it.", timed=False)
    screen.fact("Send one", f"curl -d '{run_samples.CURL_BODY}' {url}/leads")
    if running:
        screen.fact("Received", f"{show(running, int(port) + 1, stack)} shows what arrived where")
    screen.fact("Look", f"{url}/ops/")
    screen.line()
    app.process.wait()
    raise Stop("The app ended by itself. VERBOSE=1 shows why.")


def main() -> int:
    """Run until Ctrl-C or SIGTERM. Returns the exit code: 0 after a wished end, 1 otherwise."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    # Said for both: a process that a script started in the background inherits that SIGINT is ignored.
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    code = 0
    with contextlib.ExitStack() as stack:
        try:
            run(stack)
        except KeyboardInterrupt:
            print("\nStopping. What came in is kept for the next run.", flush=True)
        except (Stop, azurite.Unavailable, HostError) as error:
            print(f"\n{error}", file=sys.stderr, flush=True)
            code = 1
        # The way out is not to be interrupted: it takes seconds at most.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return code


if __name__ == "__main__":
    sys.exit(main())
