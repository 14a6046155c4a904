"""Slack, with a stand-in for an incoming webhook as its far end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from dev.certificate import server_files
from dev.standins.server import Answer, Failure
from dev.standins.slack import TOKEN, url, webhook
from leads.destinations import slack
from leads.errors import Misconfigured, Throttled, Transient
from tests.destinations.contract import Contract, Wire

ANSWERS = {
    Wire.THROTTLED: Answer(429, "rate_limited", {"Retry-After": "120"}),
    Wire.BROKEN: Answer(500, "rollup_error"),
    Wire.HTML: Answer(404, "<!DOCTYPE html><title>Gone</title>"),
    Wire.UNAUTHORIZED: Answer(403, "invalid_token"),
    Wire.FORBIDDEN: Answer(403, "action_prohibited"),
}


@contextmanager
def contract(directory: Path) -> Iterator[Contract]:
    # The suite sends more than one message a second; test_slack.py has the pause.
    with webhook(directory) as server, patch.object(slack, "PAUSE", 0.0):

        def answer(wire: Wire) -> None:
            server.failures.append(Failure(ANSWERS.get(wire), times=99, close=wire == Wire.UNANSWERED))

        yield Contract(
            "slack",
            environ={"SLACK_WEBHOOK_URL": url(server), "REQUESTS_CA_BUNDLE": str(server_files(directory)[0])},
            wrong={"SLACK_WEBHOOK_URL": {"SLACK_WEBHOOK_URL": "slack"}},
            secrets=(TOKEN, "/services/"),
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
            arrived=lambda: len([call for call in server.calls if call.status == 200]),
        )
