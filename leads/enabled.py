"""The destinations there are, and loading those that are enabled, with their settings."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from leads.contract import Destination
from leads.reader import Problem, Reader

_FOLDER = Path(__file__).parent / "destinations"


def names() -> tuple[str, ...]:
    """All destinations there are, in alphabetical order, without importing any."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules([str(_FOLDER)]) if not m.name.startswith("_")))


def load(name: str) -> Destination:
    """Import the destination `name`. Raises KeyError if there is none of that name."""
    if name not in names():
        raise KeyError(name)
    return cast(Destination, importlib.import_module(f"leads.destinations.{name}"))


@dataclass(frozen=True, slots=True)
class Enabled:
    """A destination with its settings, and what is wrong with them."""

    name: str
    module: Destination
    settings: Any
    problems: tuple[Problem, ...]
    """What keeps it from delivering."""
    warnings: tuple[Problem, ...]
    """What has a harmless default in its place."""


def read(name: str, environ: Mapping[str, str]) -> Enabled:
    """Load the destination `name` with its settings out of `environ`. Raises KeyError if there is none of that name."""
    module = load(name)
    reader = Reader(environ)
    settings = module.Settings.read(reader)
    return Enabled(name, module, settings, tuple(reader.problems), tuple(reader.warnings))
