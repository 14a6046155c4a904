"""Stand-ins on this machine for the far ends of destinations: `make run` shows what arrives in them, tests fail them.

The stand-in for a destination is one module here of the destination's name. `make run` finds it by that, and needs:

* `TITLE`: what it stands in for, as people say it ("Dynamics 365").
* `ADDRESS`: the settings that name a real one. Where one of them is set, no stand-in is started.
* `start(directory, environ)`: a context manager whose block has a running `StandIn`. `directory` keeps what should
  outlast a run, such as certificates; `environ` has the settings so far, for what the user has said of it already.

It listens on 127.0.0.1 only, over TLS where the real one does (`dev.standins.server`; `make run` lets the app trust its
certificates), answers and refuses as the vendor documents it, and names the documents. Nothing here is deployed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from jinja2 import Environment, FileSystemLoader, Template

_TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was received, as a person at the far end sees it."""

    at: datetime
    title: str
    note: str
    """What stands beside the title: to whom, where."""
    html: str
    """A whole document. No script of it runs, and nothing is loaded from elsewhere."""


class StandIn(Protocol):
    """A stand-in that runs."""

    def environ(self) -> dict[str, str]:
        """The settings that point the app at it."""
        ...

    def received(self) -> Sequence[Item]:
        """What it received, in any order."""
        ...


class Module(Protocol):
    """A module of this package that stands in for a destination."""

    TITLE: str
    ADDRESS: tuple[str, ...]
    start: Callable[[Path, Mapping[str, str]], AbstractContextManager[StandIn]]


def find(destination: str) -> Module | None:
    """The module for a destination, if there is one."""
    if find_spec(f"{__name__}.{destination}") is None:
        return None
    module = importlib.import_module(f"{__name__}.{destination}")
    return module if hasattr(module, "start") else None


def template(source: str) -> Template:
    """A template for `Item.html`. It extends `layout.html`, and escapes what it is given."""
    return _TEMPLATES.from_string(source)
