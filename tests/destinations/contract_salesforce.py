"""Salesforce by its REST API, with the stand-in for an org as its far end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.standins.salesforce import SECRET, USERNAME, StandIn
from leads.errors import Misconfigured, Throttled, Transient
from tests.destinations.contract import Contract, Wire


@contextmanager
def contract(directory: Path) -> Iterator[Contract]:
    with StandIn(directory) as org:

        def answer(wire: Wire) -> None:
            match wire:
                case Wire.THROTTLED:
                    org.fail(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", times=99)
                case Wire.BROKEN:
                    org.fail(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred.", times=99)
                case Wire.UNANSWERED:
                    org.fail(close=True, times=99)
                case Wire.HTML:
                    org.fail(200, html="<!DOCTYPE html><title>Login</title>", times=99)
                case Wire.UNAUTHORIZED:
                    org.fail(401, "INVALID_SESSION_ID", "Session expired or invalid", times=99)
                case Wire.FORBIDDEN:
                    org.fail(403, "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights", times=99)

        key = {"SALESFORCE_CLIENT_SECRET": "", "SALESFORCE_PRIVATE_KEY": "MIIC", "SALESFORCE_USERNAME": USERNAME}
        yield Contract(
            "salesforce",
            environ=org.environ(),
            wrong={
                "SALESFORCE_URL": {"SALESFORCE_URL": "https://login.salesforce.com"},
                "SALESFORCE_CLIENT_ID": {"SALESFORCE_CLIENT_ID": ""},
                "SALESFORCE_CLIENT_SECRET": {"SALESFORCE_CLIENT_SECRET": ""},
                "SALESFORCE_PRIVATE_KEY": key,
                "SALESFORCE_USERNAME": {**key, "SALESFORCE_USERNAME": ""},
                "SALESFORCE_API_VERSION": {"SALESFORCE_API_VERSION": "latest"},
                "SALESFORCE_LEAD_KEY": {"SALESFORCE_LEAD_KEY": "Id' OR Name LIKE '%__c"},
                "SALESFORCE_STEP_KEY": {"SALESFORCE_STEP_KEY": "Marketplace Step"},
                "SALESFORCE_FIELDS": {"SALESFORCE_FIELDS": "{"},
                "SALESFORCE_MODE": {"SALESFORCE_MODE": "soap"},
                "SALESFORCE_OID": {"SALESFORCE_OID": "contoso"},
            },
            secrets=(SECRET, "00D5g!"),
            outcomes={
                Wire.THROTTLED: Throttled,
                Wire.BROKEN: Transient,
                Wire.UNANSWERED: Transient,
                Wire.HTML: Misconfigured,
                Wire.UNAUTHORIZED: Misconfigured,
                Wire.FORBIDDEN: Misconfigured,
            },
            answer=answer,
            reset=lambda: org._server.failures.clear(),
            arrived=lambda: len(org.leads) + len(org.tasks),
            writes_once=True,
        )
