"""Marketo, with a stand-in for its REST API as its far end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.standins import marketo
from dev.standins.server import Answer
from leads.destinations.marketo import api, mapping
from leads.errors import Misconfigured, Throttled, Transient
from tests.destinations.contract import Contract, Wire

ANSWERS = {
    Wire.THROTTLED: Answer(429, "slow down", {"Retry-After": "120"}),
    Wire.BROKEN: marketo.failed("611", "System error"),
    Wire.HTML: Answer(200, "<!DOCTYPE html><title>Something else</title>"),
    Wire.UNAUTHORIZED: marketo.failed("601", "Access token invalid"),
    Wire.FORBIDDEN: marketo.failed("603", "Access denied"),
}


@contextmanager
def contract(directory: Path) -> Iterator[Contract]:
    api._tokens.clear()
    with marketo.start(directory, {}) as running:

        def answer(wire: Wire) -> None:
            # A sign-in knows none of these codes, so it goes on as usual.
            path = "^/rest/" if wire in (Wire.BROKEN, Wire.UNAUTHORIZED, Wire.FORBIDDEN) else ""
            running.fail(ANSWERS.get(wire), times=99, close=wire == Wire.UNANSWERED, path=path)

        yield Contract(
            "marketo",
            environ={
                **running.environ(),
                "MARKETO_MUNCHKIN_ID": "123-ABC-456",
                "REQUESTS_CA_BUNDLE": running.ca_file,
            },
            wrong={
                "MARKETO_MUNCHKIN_ID": {"MARKETO_MUNCHKIN_ID": "app-ab12", "MARKETO_URL": ""},
                "MARKETO_CLIENT_ID": {"MARKETO_CLIENT_ID": ""},
                "MARKETO_CLIENT_SECRET": {"MARKETO_CLIENT_SECRET": "two words"},
                "MARKETO_MODE": {"MARKETO_MODE": "soap"},
                "MARKETO_FORM_ID": {"MARKETO_MODE": "form"},
                "MARKETO_ACTIVITY_TYPE_ID": {"MARKETO_ACTIVITY_TYPE_ID": "marketplaceStep"},
                "MARKETO_FIELDS": {"MARKETO_FIELDS": "{"},
                "MARKETO_APP_URL": {"MARKETO_APP_URL": "app-ab12"},
                "MARKETO_URL": {"MARKETO_URL": "http://123-abc-456.mktorest.com"},
            },
            secrets=(marketo.SECRET,),
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
            arrived=lambda: len(running.account.people) + len(running.account.activities),
            writes_once=True,
            skips=lambda lead: not mapping.email(lead),
        )
