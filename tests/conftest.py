"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.azurite import Azurite


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """The connection string of an Azurite in memory on free ports, one for each test process."""
    with Azurite() as running:
        yield running.connection_string
