"""Stand-ins on this machine for the far ends of destinations: `make run` shows what arrives in them, tests fail them.

The stand-in for a destination is one module here of the destination's name. `make run` finds it by that, and needs:

* `TITLE`: what it stands in for, as people say it ("Dynamics 365").
* `ADDRESS`: the settings that name a real one. Where one of them is set, no stand-in is started.
* `start(directory, environ)`: a context manager whose block has a running `StandIn`. `directory` keeps what should
  outlast a run, such as certificates; `environ` has the settings so far, for what the user has said of it already.

Each instance of a destination (`email:emea`) has a stand-in of its own, which knows nothing of that: `given` and
`called` translate between its settings and those of the instance.

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

from leads import enabled
from leads.reader import instance_name

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


def find(name: str) -> Module | None:
    """The module for a destination, whatever its instance, if there is one."""
    destination = enabled.split(name)[0]
    if find_spec(f"{__name__}.{destination}") is None:
        return None
    module = importlib.import_module(f"{__name__}.{destination}")
    return module if hasattr(module, "start") else None


def title(name: str, module: Module) -> str:
    """What people call one: `E-mail`, or `E-mail, emea` where it stands in for an instance."""
    return ", ".join(filter(None, (module.TITLE, enabled.split(name)[1])))


def given(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The settings as the destination without an instance would find them, for what stands in for `name`."""
    destination, instance = enabled.split(name)
    settings = enabled.load(name).SETTINGS if instance else ()
    own = {each.name: environ.get(instance_name(each.name, destination, instance), "") for each in settings}
    shared = {each.name: environ.get(each.name, "") for each in settings if not each.own}
    return {**environ, **{key: value or shared.get(key, "") for key, value in own.items()}}


def called(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Settings for the destination without an instance, called as `name` reads them."""
    return {instance_name(key, *enabled.split(name)): value for key, value in environ.items()}


def template(source: str) -> Template:
    """A template for `Item.html`. It extends `layout.html`, and escapes what it is given."""
    return _TEMPLATES.from_string(source)
