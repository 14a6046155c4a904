"""The flat table, with a stand-in for a storage account as its far end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.certificate import server_files
from dev.standins.server import Answer, Failure
from dev.standins.table import KEY, storage
from leads.errors import Misconfigured, Throttled, Transient
from tests.destinations.contract import Contract, Wire


def refused(status: int, code: str) -> Answer:
    return Answer(status, {"odata.error": {"code": code, "message": {"value": "x"}}})


ANSWERS = {
    Wire.THROTTLED: Answer(
        429, {"odata.error": {"code": "TooManyRequests", "message": {"value": "x"}}}, {"Retry-After": "120"}
    ),
    Wire.BROKEN: refused(500, "InternalError"),
    Wire.HTML: Answer(200, "<!DOCTYPE html><title>Sign in</title>"),
    Wire.UNAUTHORIZED: refused(403, "AuthenticationFailed"),
    Wire.FORBIDDEN: refused(403, "AuthorizationPermissionMismatch"),
}


@contextmanager
def contract(directory: Path) -> Iterator[Contract]:
    with storage(directory) as tables:

        def answer(wire: Wire) -> None:
            tables.server.failures.append(Failure(ANSWERS.get(wire), times=99, close=wire == Wire.UNANSWERED))

        yield Contract(
            "table",
            environ={**tables.environ(), "REQUESTS_CA_BUNDLE": str(server_files(directory)[0])},
            wrong={
                "TABLE_STORAGE": {"TABLE_STORAGE": "leads"},
                "TABLE_NAME": {"TABLE_NAME": "LeadsFlat"},
            },
            secrets=(KEY, KEY[:20], "AccountKey"),
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
            reset=lambda: tables.server.failures.clear(),
            arrived=lambda: sum(map(len, tables.rows.values())),
            writes_once=True,
        )
