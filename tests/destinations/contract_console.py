"""The console keeps nothing and cannot fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.destinations.contract import Contract


@contextmanager
def contract(_: Path) -> Iterator[Contract]:
    yield Contract("console", keeps=False)
