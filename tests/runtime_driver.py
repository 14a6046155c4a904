"""Runs this project's app under Microsoft's worker code (`azure-functions-runtime`), as Azure's worker process would.

It is run by `test_runtime.py` with a Python 3.13 of its own. First it prints what it tells the host at its start, one
JSON object on one line: `{"capabilities": …, "functions": …}`, the functions with their bindings; then, for every line
`[function, value, trigger metadata]` on stdin, one line with what came out: `{"ok": …, "error": …, "status": …,
"body": …, "logs": …}`. A value is an HTTP request as an object, or a text.

`logs` are level and message of each record that the worker would have sent to the host. The worker's own handler is not
in the package; as there (azure-functions-python-worker, `AsyncLoggingHandler`) it sits at the root logger and sends the
formatted message. The root logger keeps Python's level, a stricter one than the worker's, so nothing leans on it.

Asked for the function `modules`, it tells which modules were loaded from where.

The modules of Microsoft's package are internal to it, so its version is pinned. The host is not in it: what the host
would have done (routes, keys, cron, queues) is up to `dev.host`.
"""

import asyncio
import importlib
import json
import logging
import os
import sys
import types
import uuid
from typing import Any

APP_DIR, OUT = sys.argv[1], sys.stdout


class Message(types.SimpleNamespace):
    """What the worker takes for any protobuf message: it makes them by keyword and reads their attributes."""


class BindingInfo(Message):
    in_, out, inout = 0, 1, 2
    undefined, string, binary, stream = 0, 1, 2, 3


class StatusResult(Message):
    Failure, Success, Cancelled = 0, 1, 2


PROTOS = types.SimpleNamespace(
    BindingInfo=BindingInfo,
    StatusResult=StatusResult,
    **{
        name: type(name, (Message,), {})
        for name in (
            "WorkerInitResponse",
            "WorkerMetadata",
            "FunctionMetadataResponse",
            "RpcFunctionMetadata",
            "RpcRetryOptions",
            "RpcException",
            "FunctionLoadResponse",
        )
    },
)


def request(**fields: Any) -> Message:
    return Message(request=Message(**fields), properties={"host": "127.0.0.1", "protos": PROTOS})


class ToHost(logging.Handler):
    """Keeps what the worker would send to the host, until an answer takes it along."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.logs.append((record.levelname, self.format(record)))

    def taken(self) -> list[tuple[str, str]]:
        logs, self.logs = self.logs, []
        return logs


def say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), file=OUT, flush=True)


def modules() -> dict[str, Any]:
    """Where the modules that are no part of Python were loaded from, and which bytecode was taken."""
    found = {name: getattr(module, "__spec__", None) for name, module in sys.modules.items()}
    outside = {
        name: spec
        for name, spec in found.items()
        if spec and spec.origin and spec.has_location and not spec.origin.startswith((sys.base_prefix, __file__))
    }
    compiled = {name: spec.cached for name, spec in outside.items() if spec.cached and os.path.exists(spec.cached)}
    return {"ok": True, "error": "", "modules": {n: s.origin for n, s in outside.items()}, "compiled": compiled}


async def main() -> None:
    # The order of Azure's worker: the package's dependencies, the worker's own, the app.
    sys.path.insert(0, f"{APP_DIR}/.python_packages/lib/site-packages")
    sys.path.append(APP_DIR)
    runtime: Any = importlib.import_module("azure_functions_runtime")
    invocation: Any = importlib.import_module("azure_functions_runtime.native_invocation")
    datum: Any = importlib.import_module("azure_functions_runtime.bindings.datumdef").Datum

    def http(value: dict[str, Any]) -> Any:
        def texts(name: str) -> dict[str, Any]:
            return {key: datum(text, "string") for key, text in value.get(name, {}).items()}

        parts = {"method": datum(value["method"], "string"), "url": datum(value["url"], "string")}
        parts["body"] = datum(value.get("body", "").encode(), "bytes")
        return datum({**parts, "headers": texts("headers"), "query": texts("query"), "params": texts("params")}, "http")

    host = ToHost()
    logging.getLogger().addHandler(host)
    runtime.start_threadpool_executor()
    started = await runtime.worker_init_request(
        request(worker_init_request=Message(capabilities={}, function_app_directory=APP_DIR))
    )
    if started.result.status != StatusResult.Success:
        sys.exit(f"{started.result.exception.message}\n{started.result.exception.stack_trace}")
    indexed = await runtime.functions_metadata_request(
        request(functions_metadata_request=Message(function_app_directory=APP_DIR))
    )
    if indexed.result.status != StatusResult.Success:
        sys.exit(f"{indexed.result.exception.message}\n{indexed.result.exception.stack_trace}")
    functions = {metadata.name: metadata for metadata in indexed.function_metadata_results}
    bindings = {name: [json.loads(raw) for raw in metadata.raw_bindings] for name, metadata in functions.items()}
    say({"capabilities": started.capabilities, "functions": bindings})

    for line in sys.stdin:
        name, value, metadata = json.loads(line)
        if name == "modules":
            say(modules())
            continue
        trigger = next(
            binding
            for binding in map(json.loads, functions[name].raw_bindings)
            if str(binding["type"]).lower().endswith("trigger")
        )
        given = http(value) if isinstance(value, dict) else datum(value, "json" if "IsPastDue" in value else "string")
        ok, returned, _, error, trace = await invocation.invocation_request_native(
            str(uuid.uuid4()),
            functions[name].function_id,
            [(trigger["name"], given)],
            {key: datum(text, "string") for key, text in metadata.items()},
        )
        answer = {"ok": ok, "error": f"{error}\n{trace}" if error else "", "logs": host.taken()}
        if returned is not None and returned.type == "http":
            answer |= {
                "status": int(returned.value["status_code"].value),
                "body": returned.value["body"].value.decode(),
            }
        say(answer)


if __name__ == "__main__":
    # What the app itself prints must not be taken for an answer.
    sys.stdout = sys.stderr
    asyncio.run(main())
