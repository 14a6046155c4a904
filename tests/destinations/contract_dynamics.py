"""Dynamics, with the stand-in for Entra and Dataverse as its far end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.standins.dynamics import StandIn
from leads import oauth
from leads.errors import Misconfigured, Throttled, Transient
from tests.destinations.contract import Contract, Wire


@contextmanager
def contract(directory: Path) -> Iterator[Contract]:
    oauth._client.cache_clear()
    with StandIn(directory) as crm:

        def answer(wire: Wire) -> None:
            match wire:
                case Wire.THROTTLED:
                    crm.throttle("requests", "120", times=99)
                case Wire.BROKEN:
                    crm.fail(500, "0x80040216", "An unexpected error occurred.", times=99)
                case Wire.UNANSWERED:
                    crm.fail(close=True, times=99)
                case Wire.HTML:
                    crm.fail(200, html="<!DOCTYPE html><title>Sign in</title>", times=99)
                case Wire.UNAUTHORIZED:
                    crm.fail(401, times=99)
                case Wire.FORBIDDEN:
                    crm.fail(403, "0x80040220", "Principal user is missing prvCreateLead privilege", times=99)

        yield Contract(
            "dynamics",
            environ={**crm.environ(), "DYNAMICS_FOLLOW_UP": "task"},
            wrong={
                "DYNAMICS_URL": {"DYNAMICS_URL": ""},
                "DYNAMICS_TENANT_ID": {"DYNAMICS_TENANT_ID": "my tenant"},
                "DYNAMICS_CLIENT_ID": {"DYNAMICS_CLIENT_ID": "my app"},
                "DYNAMICS_CLIENT_SECRET": {"DYNAMICS_CLIENT_SECRET": ""},
                "DYNAMICS_CERTIFICATE": {"DYNAMICS_CLIENT_SECRET": "", "DYNAMICS_CERTIFICATE": "MIIC"},
                "DYNAMICS_AUTHORITY": {"DYNAMICS_AUTHORITY": "login"},
                "DYNAMICS_LEAD_SOURCE_CODE": {"DYNAMICS_LEAD_SOURCE_CODE": "Web"},
                "DYNAMICS_OWNER": {"DYNAMICS_OWNER": "me"},
                "DYNAMICS_FOLLOW_UP": {"DYNAMICS_FOLLOW_UP": "call"},
                "DYNAMICS_FIELDS": {"DYNAMICS_FIELDS": "{"},
                "DYNAMICS_MATCH": {"DYNAMICS_MATCH": "name"},
                "DYNAMICS_PASSWORD": {"DYNAMICS_PASSWORD": crm.client_secret},
            },
            secrets=(crm.client_secret, "eyJ"),
            outcomes={
                Wire.THROTTLED: Throttled,
                Wire.BROKEN: Transient,
                Wire.UNANSWERED: Transient,
                Wire.HTML: Misconfigured,
                Wire.UNAUTHORIZED: Misconfigured,
                Wire.FORBIDDEN: Misconfigured,
            },
            says_how_long=frozenset({Wire.THROTTLED}),
            answer=answer,
            reset=lambda: crm._server.failures.clear(),
            arrived=lambda: len(crm.leads) + len(crm.notes) + len(crm.tasks),
            writes_once=True,
        )
