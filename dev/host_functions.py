"""What the local host knows of an app: its functions, their triggers, and how one is called."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import logging
import os
import re
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions as func

log = logging.getLogger("host")

TRIGGERS = ("httpTrigger", "timerTrigger", "queueTrigger")


class HostError(Exception):
    """The app cannot be run as it is. The text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the app. `trigger` is its trigger's binding as `function.json` would hold it."""

    name: str
    trigger: Mapping[str, Any]
    call: Callable[..., Any]

    @property
    def kind(self) -> str:
        """One of `TRIGGERS`."""
        return str(self.trigger["type"])

    def run(self, value: object, reason: str) -> Any:
        """Call it with what its trigger gives, and return what it returns; what it raises comes out."""
        run_id = uuid.uuid4()
        log.info("Executing 'Functions.%s' (Reason='%s', Id=%s)", self.name, reason, run_id)
        began = time.monotonic()
        try:
            result = self.call(**{self.trigger["name"]: value})
            if inspect.iscoroutine(result):
                result = asyncio.run(result)
        except BaseException:
            took = (time.monotonic() - began) * 1000
            log.exception("Executed 'Functions.%s' (Failed, Id=%s, Duration=%.0fms)", self.name, run_id, took)
            raise
        took = (time.monotonic() - began) * 1000
        log.info("Executed 'Functions.%s' (Succeeded, Id=%s, Duration=%.0fms)", self.name, run_id, took)
        return result


def load(root: Path) -> func.FunctionApp:
    """Import `function_app.py` of the folder `root` and return its app. Raises HostError if there is none."""
    if not (root / "function_app.py").is_file():
        raise HostError(f"There is no function_app.py in {root}.")
    sys.path.insert(0, str(root))
    module = importlib.import_module("function_app")
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionApp)]
    if len(apps) != 1:
        raise HostError(f"function_app.py has {len(apps)} objects of type FunctionApp. It must have one.")
    return apps[0]


def index(app: func.FunctionApp) -> tuple[Function, ...]:
    """All functions of `app`. Raises HostError for what the platform would refuse or this host does not model."""
    functions = []
    for built in app.get_functions():
        name = str(built.get_function_name())
        bindings = [json.loads(raw) for raw in built.get_raw_bindings()]
        triggers = [binding for binding in bindings if str(binding["type"]) in TRIGGERS]
        others = [
            str(b["type"]) for b in bindings if b not in triggers and (b["type"], b["name"]) != ("http", "$return")
        ]
        if len(triggers) != 1 or others:
            raise HostError(
                f"{name} has the bindings {', '.join(str(b['type']) for b in bindings)}. "
                "The local host knows functions with one HTTP, timer or queue trigger and no other binding."
            )
        call = built.get_user_function()
        wants, gets = set(inspect.signature(call).parameters), {triggers[0]["name"]}
        if wants != gets:
            raise HostError(f"{name} takes {', '.join(sorted(wants))}, but its trigger gives {', '.join(gets)}.")
        functions.append(Function(name, triggers[0], call))
    names = [function.name.lower() for function in functions]
    if len(set(names)) != len(names):
        raise HostError("Two functions have the same name.")
    return tuple(functions)


def resolve(text: str) -> str:
    """`text` with each `%NAME%` replaced by that setting. Raises HostError if one is not set."""

    def value(found: re.Match[str]) -> str:
        setting = os.environ.get(found[1], "")
        if not setting:
            raise HostError(f"The setting {found[1]} is not set, but a trigger of the app needs it.")
        return setting

    return re.sub(r"%([^%]+)%", value, text)
