"""The destinations there are, and loading those that are enabled."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import cast

from leads.contract import Destination

_FOLDER = Path(__file__).parent / "destinations"


def names() -> tuple[str, ...]:
    """All destinations there are, in alphabetical order, without importing any."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules([str(_FOLDER)]) if not m.name.startswith("_")))


def load(name: str) -> Destination:
    """Import the destination `name`. Raises KeyError if there is none of that name."""
    if name not in names():
        raise KeyError(name)
    return cast(Destination, importlib.import_module(f"leads.destinations.{name}"))
