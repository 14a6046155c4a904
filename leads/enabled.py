"""The destinations there are, and loading those that are enabled, with their settings."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from leads.contract import Destination
from leads.reader import Problem, Reader, Setting

CUSTOMERS = frozenset({"follow_up"})
"""The destinations of the kind `customer`, known without importing any: intake decides where a lead goes."""

_FOLDER = Path(__file__).parent / "destinations"


@dataclass(frozen=True, slots=True)
class Enabled:
    """A destination with its settings, and what is wrong with them."""

    name: str
    """What it is called everywhere: `email`, or with an instance `email:emea`."""
    module: Destination
    settings: Any
    problems: tuple[Problem, ...]
    """What keeps it from delivering."""
    warnings: tuple[Problem, ...]
    """What has a harmless default in its place."""
    worded: Callable[[str], str]
    """A text of the destination's with its settings called as this instance has to set them."""

    @property
    def title(self) -> str:
        """What people read: `E-mail`, or `E-mail, emea`."""
        return _titled(self.name, self.module)


def title(name: str) -> str:
    """What people read, whatever the settings: `E-mail, emea`. One that cannot be loaded is called by its id."""
    try:
        return _titled(name, load(name))
    except Exception:  # noqa: BLE001 - what is said of a broken destination must not break with it
        return name


def titles(names: Iterable[str]) -> str:
    """Several in a sentence: `E-mail, emea; Teams`."""
    return "; ".join(map(title, names))


def _titled(name: str, module: Destination) -> str:
    return ", ".join(filter(None, (module.TITLE, split(name)[1])))


@cache
def names() -> tuple[str, ...]:
    """All destinations there are, in alphabetical order, without importing any."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules([str(_FOLDER)])))


def split(name: str) -> tuple[str, str]:
    """The destination and the instance in a name; the instance is empty where there is none."""
    kind, _, instance = name.partition(":")
    return kind, instance


def load(name: str) -> Destination:
    """Import the destination `name`, whatever its instance. Raises KeyError if it does not exist."""
    kind, _ = split(name)
    if kind not in names():
        raise KeyError(name)
    return cast(Destination, importlib.import_module(f"leads.destinations.{kind}"))


def read(name: str, environ: Mapping[str, str]) -> Enabled:
    """Load the destination `name` with its settings out of `environ`. Raises KeyError if it does not exist."""
    kind, instance = split(name)
    module = load(name)
    reader = Reader(environ, module.SETTINGS, kind, instance)
    settings = module.Settings.read(reader)
    collision = _collision(kind, instance, module.SETTINGS)
    if collision:
        reader.problems.insert(0, collision)
    return Enabled(name, module, settings, tuple(reader.problems), tuple(reader.warnings), reader.worded)


def _collision(kind: str, instance: str, declared: tuple[Setting, ...]) -> Problem | None:
    """The problem of an instance that would give its settings names that the destination uses already."""
    prefix = f"{kind}_{instance}_".upper()
    taken = [setting.name for setting in declared if setting.name.startswith(prefix)] if instance else []
    if not taken:
        return None
    return Problem(
        "LEADS_DESTINATIONS",
        f"The settings of {kind}:{instance} would have names that {kind} has already, such as {taken[0]}.",
        f"Give the instance a name other than {instance}.",
    )
