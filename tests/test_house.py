"""The rooms of `leads/`: who may import whom, read off the syntax trees (docs/adr/0009-rooms.md)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import leads

ROOT = Path(__file__).parent.parent
LEADS = ROOT / "leads"
FLOORS = (
    ("triggers", "__main__"),
    ("operate",),
    ("sweep",),
    ("problems",),
    ("intake", "delivery"),
    ("retry",),
    ("offers",),
    ("app",),
    ("store",),
    ("settings",),
    ("routes",),
    ("enabled",),
    ("destinations",),
    ("crm",),
    ("mail", "marks"),
    ("messages",),
    ("contract",),
    ("partner_center", "operators"),
    ("oauth",),
    ("entra_errors",),
    ("transport",),
    ("errors",),
    ("lead", "reader", "log", "redact", "ncrontab", "__init__"),
)
"""From the roof to the ground. A room imports from the floors below it, never from above and never from its own."""
AZURE_STORAGE = {f"leads/store/{name}.py" for name in ("azure", "azure_flat", "azure_inbox", "connections", "doorbell")}
UP = {"leads.destinations.table": {"leads.settings", "leads.store.azure_flat"}}
"""What may look up: the flat table lies in an account of Azure Storage, which only the store knows how to reach."""


def modules() -> dict[str, Path]:
    """Every module of the app by its dotted name."""
    found = {}
    for path in sorted(LEADS.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(path: Path) -> Iterator[str]:
    """The modules that a module names, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: say the whole name"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else str(node.module)


def room(module: str) -> str:
    """The part of the house in which a module stands."""
    return module.split(".")[1] if "." in module else "__init__"


def floor(module: str) -> int:
    """The number of the floor, counted from the ground."""
    names = [floor for floor, rooms in enumerate(reversed(FLOORS)) if room(module) in rooms]
    assert names, f"{module} stands in no room that docs/adr/0009-rooms.md knows"
    return names[0]


@pytest.mark.parametrize("module", MODULES)
def test_arrows_never_go_up(module: str) -> None:
    for other in imported(MODULES[module]):
        if other.split(".")[0] == "leads" and room(other) != room(module):
            assert floor(other) < floor(module) or other in UP.get(module, ()), f"{module} imports {other}"


def test_there_is_no_circle() -> None:
    arrows = {name: {o for o in imported(path) if o in MODULES and o != name} for name, path in MODULES.items()}
    left = dict(arrows)
    while left:
        free = [name for name, others in left.items() if not others & left.keys()]
        assert free, f"these import each other: {', '.join(sorted(left))}"
        for name in free:
            del left[name]


def test_destinations_never_import_each_other() -> None:
    for module, path in MODULES.items():
        if module.startswith("leads.destinations."):
            own = ".".join(module.split(".")[:3])
            others = {o for o in imported(path) if o.startswith("leads.destinations.")}
            assert all(f"{other}.".startswith(f"{own}.") for other in others), module


def test_only_the_store_knows_azure_storage() -> None:
    sdks = ("azure.data", "azure.storage", "azure.core")
    know = {str(path.relative_to(ROOT)) for path in MODULES.values() if any(o.startswith(sdks) for o in imported(path))}
    assert know <= AZURE_STORAGE | {"leads/oauth.py"}


def test_what_draws_on_a_terminal_is_not_deployed() -> None:
    """`rich` is of the operator's machine: one module knows it, when it draws, and no lock of the package has it."""
    know = {module for module, path in MODULES.items() if any(o.split(".")[0] == "rich" for o in imported(path))}
    assert know == {"leads.operate.cli.screen"}
    for name in ("requirements.txt", "infra/requirements-package.txt"):
        assert not re.search(r"(?m)^rich\b", (ROOT / name).read_text("utf-8")), name
    code = "import sys, function_app; sys.exit(any('rich' in name or 'operate.cli' in name for name in sys.modules))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_faces_of_packages_hold_a_docstring_and_nothing_else() -> None:
    """A destination's face is the destination; whatever else stands in a face is paid for at every cold start."""
    for path in LEADS.rglob("__init__.py"):
        if path == LEADS / "__init__.py" or path.parent.parent == LEADS / "destinations":
            continue
        body = ast.parse(path.read_text("utf-8")).body
        assert len(body) == 1, path
        assert isinstance(body[0], ast.Expr), path


def test_the_map_names_every_module_in_the_corridor() -> None:
    for path in (ROOT / "leads").glob("*.py"):
        assert path.stem == "__init__" or f"`{path.stem}`" in (leads.__doc__ or ""), path.stem
