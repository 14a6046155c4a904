"""Drafts for customers, with a stand-in for a mailbox behind Microsoft Graph as their far end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.certificate import server_files
from dev.standins.follow_up import SECRET, start
from dev.standins.server import Answer, Failure
from leads.errors import Misconfigured, Throttled, Transient
from leads.lead import Lead
from leads.messages import notification
from tests.destinations.contract import Contract, Wire

ANSWERS = {
    Wire.THROTTLED: Answer(429, {"error": {"code": "ApplicationThrottled"}}, {"Retry-After": "120"}),
    Wire.BROKEN: Answer(500, {}),
    Wire.HTML: Answer(200, "<!DOCTYPE html><title>Hello</title>"),
    Wire.UNAUTHORIZED: Answer(401, {}),
    Wire.FORBIDDEN: Answer(403, {"error": {"code": "ErrorAccessDenied"}}),
}


def skips(lead: Lead) -> bool:
    return lead.contact_withheld or not notification.reply_to(lead)


@contextmanager
def contract(directory: Path) -> Iterator[Contract]:
    with start(directory, {}) as running:

        def answer(wire: Wire) -> None:
            failure = Failure(ANSWERS.get(wire), times=99, path=r"^/v1\.0/", close=wire == Wire.UNANSWERED)
            running.server.failures.append(failure)

        yield Contract(
            "follow_up",
            environ={**running.environ(), "REQUESTS_CA_BUNDLE": str(server_files(directory)[0])},
            wrong={
                "FOLLOW_UP_MAILBOX": {"FOLLOW_UP_MAILBOX": "ada"},
                "FOLLOW_UP_TEMPLATES": {"FOLLOW_UP_TEMPLATES": "https://contoso.blob.core.windows.net/a/b"},
            },
            secrets=(SECRET,),
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
            reset=lambda: running.server.failures.clear(),
            arrived=lambda: len(running.drafts),
            skips=skips,
        )
