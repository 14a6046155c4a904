"""What the tests of destinations share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.standins.dynamics import StandIn
from dev.standins.salesforce import StandIn as Salesforce
from leads import oauth
from leads.destinations.salesforce import fields


@pytest.fixture(scope="session")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """The stand-in for Entra and Dynamics, one for each test process."""
    with StandIn(tmp_path_factory.mktemp("standin")) as running:
        yield running


@pytest.fixture
def crm(organization: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in, empty, with the environment set so that the app signs in to it."""
    organization.reset()
    oauth._client.cache_clear()
    for name, value in organization.environ().items():
        monkeypatch.setenv(name, value)
    return organization


@pytest.fixture(scope="session")
def salesforce_org(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Salesforce]:
    """The stand-in for a Salesforce org, one for each test process."""
    with Salesforce(tmp_path_factory.mktemp("salesforce")) as running:
        yield running


@pytest.fixture
def org(salesforce_org: Salesforce, monkeypatch: pytest.MonkeyPatch) -> Salesforce:
    """The org, empty, with the environment set so that the app trusts it."""
    salesforce_org.reset()
    fields._absent.clear()
    for name, value in salesforce_org.environ().items():
        monkeypatch.setenv(name, value)
    return salesforce_org
