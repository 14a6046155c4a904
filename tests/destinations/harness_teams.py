"""A stand-in for a Teams workflow, for the tests of `teams`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.certificate import server_files
from dev.standins.server import Answer, Request, Server

PATH = "/powerautomate/automations/direct/workflows/0f1e/triggers/manual/paths/invoke"
SIGNATURE = "hT2-secret_signature%2Fof"
RUN = "08584355217321309214CU12"


def url(server: Server) -> str:
    """The webhook's whole URL, credential included."""
    return f"https://localhost:{server.port}{PATH}?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={SIGNATURE}"


@contextmanager
def workflow(directory: Path) -> Iterator[Server]:
    """A workflow on localhost with a certificate of the CA in `directory`. Its requests are in `calls`."""

    def answer(request: Request) -> Answer:
        if (
            request.method != "POST"
            or request.path != PATH
            or request.query.get("sig") != SIGNATURE.replace("%2F", "/")
        ):
            return Answer(401, {"error": {"code": "SecurityTokenIsInvalid", "message": "x"}})
        if not request.headers.get("content-type", "").startswith("application/json"):
            return Answer(400, {"error": {"code": "InvalidRequestContent", "message": "x"}})
        return Answer(202, headers={"x-ms-workflow-run-id": RUN})

    server = Server(answer, server_files(directory)[1])
    server.start()
    try:
        yield server
    finally:
        server.close()
