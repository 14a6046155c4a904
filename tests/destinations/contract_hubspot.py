"""HubSpot, with a stand-in for its API as its far end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.standins import hubspot
from dev.standins.server import Answer
from leads.errors import Misconfigured, Throttled, Transient
from tests.destinations.contract import Contract, Wire

LIMIT = {"status": "error", "message": "x", "errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING"}
ANSWERS = {
    Wire.THROTTLED: Answer(429, LIMIT, {"Retry-After": "120"}),
    Wire.BROKEN: Answer(502, "<html>bad gateway</html>"),
    Wire.HTML: Answer(200, "<!DOCTYPE html><title>Something else</title>"),
    Wire.UNAUTHORIZED: Answer(401, hubspot.error(401, "INVALID_AUTHENTICATION")),
    Wire.FORBIDDEN: Answer(403, hubspot.error(403, "MISSING_SCOPES")),
}


@contextmanager
def contract(directory: Path) -> Iterator[Contract]:
    with hubspot.start(directory, {}) as running:

        def answer(wire: Wire) -> None:
            running.fail(ANSWERS.get(wire), times=99, close=wire == Wire.UNANSWERED)

        yield Contract(
            "hubspot",
            environ={**running.environ(), "HUBSPOT_ACCOUNT": "12345", "REQUESTS_CA_BUNDLE": running.ca_file},
            wrong={
                "HUBSPOT_TOKEN": {"HUBSPOT_TOKEN": ""},
                "HUBSPOT_API_VERSION": {"HUBSPOT_API_VERSION": "v3"},
                "HUBSPOT_KEY": {"HUBSPOT_KEY": "My key"},
                "HUBSPOT_DO_NOT_CONTACT": {"HUBSPOT_DO_NOT_CONTACT": "Do not contact"},
                "HUBSPOT_OPT_OUT": {"HUBSPOT_KEY": ""},
                "HUBSPOT_FIELDS": {"HUBSPOT_FIELDS": "{"},
                "HUBSPOT_ACCOUNT": {"HUBSPOT_ACCOUNT": "contoso"},
                "HUBSPOT_URL": {"HUBSPOT_URL": "http://api.hubapi.com"},
            },
            secrets=(hubspot.TOKEN,),
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
            reset=running.server.failures.clear,
            arrived=lambda: len(running.account.contacts) + len(running.account.notes),
            writes_once=True,
        )
