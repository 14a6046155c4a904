"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.azurite import Azurite
from dev.standins.partner_center import StandIn
from leads import oauth


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """The connection string of an Azurite in memory on free ports, one for each test process."""
    with Azurite() as running:
        yield running.connection_string


@pytest.fixture(scope="session")
def _partner_center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("partner-center")) as running:
        yield running


@pytest.fixture
def center(_partner_center: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in for Partner Center, without offers, with the environment set so that the app signs in to it."""
    _partner_center.reset()
    oauth._client.cache_clear()
    for name, value in _partner_center.environ().items():
        monkeypatch.setenv(name, value)
    return _partner_center
