"""A stand-in for Microsoft Graph, for the tests of `email`."""

from __future__ import annotations

import base64
import email
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from dev.certificate import server_files
from dev.standins.server import Answer, Request, Server


@dataclass
class GraphStandIn:
    """Microsoft Graph's `sendMail`: takes MIME in base64 from the one mailbox there is."""

    server: Server
    mails: list[EmailMessage] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.port}"


@contextmanager
def graph_server(
    directory: Path, mailbox: str = "leads@contoso.com", lets_in: Callable[[str], bool] = "good".__eq__
) -> Iterator[GraphStandIn]:
    """The stand-in on localhost with a certificate of the CA in `directory`; `lets_in` judges access tokens."""

    def answer(request: Request) -> Answer:
        if not lets_in(request.headers.get("authorization", "").removeprefix("Bearer ")):
            return Answer(401, {"error": {"code": "InvalidAuthenticationToken", "message": "x"}})
        if request.path != f"/v1.0/users/{mailbox}/sendMail":
            return Answer(404, {"error": {"code": "ErrorInvalidUser", "message": f"{mailbox} not found"}})
        if request.headers.get("content-type") != "text/plain":
            return Answer(400, {"error": {"code": "RequestBodyRead", "message": "x"}})
        try:
            content = base64.b64decode(request.body, validate=True)
        except ValueError:
            return Answer(400, {"error": {"code": "ErrorMimeContentInvalidBase64String", "message": "x"}})
        standin.mails.append(email.message_from_bytes(content, policy=default))
        return Answer(202)

    server = Server(answer, server_files(directory)[1])
    standin = GraphStandIn(server)
    server.start()
    try:
        yield standin
    finally:
        server.close()
