"""A real SMTP server with TLS and sign-in, and a stand-in for Microsoft Graph, for the tests of `email`."""

from __future__ import annotations

import base64
import email
import socket
import ssl
from asyncio import WriteTransport
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from dev.certificate import server_files
from dev.standins.server import Answer, Request, Server

USER, PASSWORD = "sales app@contoso", "p:a/s#s?w@rd"
"""Both need percent-encoding in a URL."""
USER_INFO = "sales%20app%40contoso:p%3Aa%2Fs%23s%3Fw%40rd"


def _transport(server: SMTP) -> WriteTransport:
    return cast(WriteTransport, server.transport)


@dataclass
class Mail:
    """A mail as the server took it."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    encrypted: bool
    signed_in: bool

    @property
    def message(self) -> EmailMessage:
        """The mail, parsed."""
        return email.message_from_bytes(self.content, policy=default)


@dataclass
class Postbox:
    """What the server took, and what it is to answer instead of taking: by command, for RCPT by address too."""

    mails: list[Mail] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    break_at: str = ""
    """The command at which the server closes the connection; `DATA` is taken first."""

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._breaks("MAIL", server):
            return "421 4.3.0 bye"
        envelope.mail_from = address
        return self.answers.get("MAIL", "250 2.1.0 OK")

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answers.get(f"RCPT {address}") or self.answers.get("RCPT") or "250 2.1.5 OK"
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.answers.get("DATA", "250 2.0.0 queued")
        if answer.startswith("2"):
            self.mails.append(
                Mail(
                    envelope.mail_from or "",
                    tuple(envelope.rcpt_tos),
                    cast(bytes, envelope.content),
                    encrypted=session.ssl is not None or _transport(server).get_extra_info("ssl_object") is not None,
                    signed_in=bool(session.authenticated),
                )
            )
        self._breaks("DATA", server)
        return answer

    def _breaks(self, command: str, server: SMTP) -> bool:
        if self.break_at == command:
            _transport(server).abort()
        return self.break_at == command


class Authenticator:
    """Accepts one account."""

    def __init__(self, postbox: Postbox) -> None:
        self.postbox = postbox

    def __call__(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        if "AUTH" in self.postbox.answers:
            return AuthResult(success=False, handled=False, message=self.postbox.answers["AUTH"])
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=good, handled=False)


class Implicit(Controller):
    """TLS from the first byte."""

    def factory(self) -> SMTP:
        return SMTP(self.handler, auth_require_tls=False, **self.SMTP_kwargs)


@contextmanager
def smtp_server(
    directory: Path, *, implicit_tls: bool = False, offers_tls: bool = True, signs_in: bool = True
) -> Iterator[tuple[Postbox, int]]:
    """An SMTP server on localhost with a certificate of the CA in `directory`; yields its postbox and its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server_files(directory)[1])
    postbox = Postbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sign_in: dict[str, Any] = {"authenticator": Authenticator(postbox), "auth_required": True} if signs_in else {}
    if implicit_tls:
        controller: Controller = Implicit(postbox, "127.0.0.1", port, ssl_context=context, **sign_in)
    else:
        tls: dict[str, Any] = {"tls_context": context, "require_starttls": True} if offers_tls else {}
        if not offers_tls:
            sign_in = {}
        controller = Controller(postbox, "127.0.0.1", port, **tls, **sign_in)
    with suppress_noise():
        controller.start()
        try:
            yield postbox, port
        finally:
            controller.stop()


@contextmanager
def suppress_noise() -> Iterator[None]:
    """Connections that break on purpose make the server log; nobody wants to read that."""
    import logging

    logger = logging.getLogger("mail.log")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        with suppress(ValueError):
            logger.setLevel(before)


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
