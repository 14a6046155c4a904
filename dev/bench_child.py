"""What `dev.bench` measures in a new process: `python -m dev.bench_child WHAT …`. Each says its figures as a JSON line.

The worker of Azure is not in it: a start here is that of Python, the imports, and the function's first call.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

BODY = (
    '{"userDetails": {"firstName": "Ada", "lastName": "Example", "email": "ada%s@example.com", '
    '"phone": "+390669820001", "country": "%s", "company": "Example Mills"}, '
    '"leadSource": "SPZA-PLT|contoso.planner", "description": "Hi"}'
)
ONCE = 16
"""Calls at once."""


def say(**figures: Any) -> None:
    """Give the figures to the parent."""
    print(json.dumps(figures), flush=True)


def imported(module: str) -> None:
    """The CPU that an import takes, in milliseconds."""
    began = time.process_time()
    __import__(module)
    say(cpu_ms=1000 * (time.process_time() - began))


def first_call(which: str, country: str) -> None:
    """The first call of a function with a lead. The parent measures how long it took from the start of the process."""
    import azure.functions as func

    body = (BODY % (os.urandom(4).hex(), country)).encode()
    request = func.HttpRequest("POST", "https://app.example/api/leads", body=body)
    if which == "leads":
        import function_app

        app = function_app.app
    else:
        app = func.FunctionApp()
        app.route("leads", methods=["POST"])({"hello": _hello, "naive": _naive}[which])
    functions = {built.get_function_name(): built.get_user_function() for built in app.get_functions()}
    answer = functions.get("receive_lead", next(iter(functions.values())))(request)
    say(status=answer.status_code)


def _hello(req: Any) -> Any:
    import azure.functions as func

    return func.HttpResponse(f"Hello, {len(req.get_body())} bytes", status_code=202)


def _naive(req: Any) -> Any:
    """What one writes first: the CRM inside the call, with the managed identity, and nothing kept."""
    import azure.functions as func
    import requests

    session, lead = requests.Session(), req.get_json()
    url = os.environ["BENCH_CRM"]
    token = session.get(
        os.environ["IDENTITY_ENDPOINT"],
        params={"resource": url, "api-version": "2019-08-01", "client_id": os.environ["BENCH_IDENTITY"]},
        headers={"x-identity-header": os.environ["IDENTITY_HEADER"]},
        timeout=30,
    ).json()["access_token"]
    person = lead["userDetails"]
    row = {"subject": lead["leadSource"], "lastname": person["lastName"], "emailaddress1": person["email"]}
    headers = {"Authorization": f"Bearer {token}"}
    answer = session.post(f"{url}/api/data/v9.2/leads", json=row, headers=headers, timeout=30)
    return func.HttpResponse(status_code=202 if answer.ok else 500)


def deliveries(count: int) -> None:
    """Deliveries of so many leads, as many at once as host.json has, and the memory before and after."""
    from leads import delivery
    from leads.app import app
    from leads.intake import accept
    from leads.store.testing import MemoryDoorbell

    queues = json.loads((Path(__file__).parent.parent / "host.json").read_text())["extensions"]["queues"]
    made = app()
    made.doorbell = MemoryDoorbell(datetime.now(UTC))
    ids = [accept.receive(made, (BODY % (n, "IT")).encode(), datetime.now(UTC)).id for n in range(count)]
    destination = made.destinations[0]

    def work(lead_id: str) -> None:
        delivery.deliver(made, lead_id, destination, datetime.now(UTC))

    with ThreadPoolExecutor(queues["batchSize"] + queues["newBatchThreshold"]) as pool:
        work(ids[0])
        began, cpu = time.perf_counter(), time.process_time()
        list(pool.map(work, ids[1:]))
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
    say(a_second=(count - 1) / took, cpu_ms=1000 * cpu / (count - 1))


def memory(count: int) -> None:
    """What a process holds after a tenth of its leads and after all, with their deliveries, many at once."""
    from leads import delivery
    from leads.app import app
    from leads.intake import accept
    from leads.store.testing import MemoryDoorbell

    made = app()
    made.doorbell = MemoryDoorbell(datetime.now(UTC))

    def work(number: int) -> None:
        now = datetime.now(UTC)
        lead_id = accept.receive(made, (BODY % (number, "Italia")).encode(), now).id
        delivery.deliver(made, lead_id, made.destinations[0], now)

    held: list[float] = []
    with ThreadPoolExecutor(ONCE) as pool:
        for numbers in (range(count // 10), range(count // 10, count)):
            list(pool.map(work, numbers))
            held.append(_mebibytes("VmRSS"))
    say(early=held[0], late=held[1], peak=_mebibytes("VmHWM"))


def _mebibytes(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


WHAT: dict[str, Callable[..., None]] = {
    "import": imported,
    "call": first_call,
    "deliveries": lambda count: deliveries(int(count)),
    "memory": lambda count: memory(int(count)),
}

if __name__ == "__main__":
    WHAT[sys.argv[1]](*sys.argv[2:])
