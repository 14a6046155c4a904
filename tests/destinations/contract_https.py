"""HTTPS, with a receiver that verifies as its far end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.certificate import server_files
from dev.standins.https import SECRET, TOKEN, receiver, taken, url
from dev.standins.server import Answer, Failure
from leads.errors import Misconfigured, Throttled, Transient
from tests.destinations.contract import Contract, Wire

ANSWERS = {
    Wire.THROTTLED: Answer(429, {}, {"Retry-After": "120"}),
    Wire.BROKEN: Answer(500, {}),
    Wire.HTML: Answer(404, "<!DOCTYPE html><title>Gone</title>"),
    Wire.UNAUTHORIZED: Answer(401, {}),
    Wire.FORBIDDEN: Answer(403, {}),
}


@contextmanager
def contract(directory: Path) -> Iterator[Contract]:
    with receiver(directory) as server:

        def answer(wire: Wire) -> None:
            server.failures.append(Failure(ANSWERS.get(wire), times=99, close=wire == Wire.UNANSWERED))

        yield Contract(
            "https",
            environ={
                "HTTPS_URL": url(server),
                "HTTPS_SECRET": SECRET,
                "REQUESTS_CA_BUNDLE": str(server_files(directory)[0]),
            },
            wrong={
                "HTTPS_URL": {"HTTPS_URL": "http://localhost/"},
                "HTTPS_SECRET": {"HTTPS_SECRET": "whsec_c2hvcnQ="},
            },
            secrets=(SECRET, SECRET.removeprefix("whsec_"), TOKEN),
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
            reset=lambda: server.failures.clear(),
            arrived=lambda: len({call.headers["webhook-id"] for call in taken(server)}),
            writes_once=True,
        )
