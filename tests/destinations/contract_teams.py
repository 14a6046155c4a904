"""Teams, with a stand-in for a workflow as its far end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.certificate import server_files
from dev.standins.server import Answer, Failure
from dev.standins.teams import SIGNATURE, url, workflow
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
    with workflow(directory) as server:

        def answer(wire: Wire) -> None:
            failure = Failure(ANSWERS.get(wire), times=99, close=wire == Wire.UNANSWERED)
            server.failures.append(failure)

        yield Contract(
            "teams",
            environ={"TEAMS_WEBHOOK_URL": url(server), "REQUESTS_CA_BUNDLE": str(server_files(directory)[0])},
            wrong={"TEAMS_WEBHOOK_URL": {"TEAMS_WEBHOOK_URL": "teams"}},
            secrets=(SIGNATURE, SIGNATURE.split("%", 1)[0], "sig="),
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
            arrived=lambda: len([call for call in server.calls if call.status == 202]),
        )
