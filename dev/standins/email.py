"""A stand-in for a mail server: SMTP with TLS and sign-in (RFC 5321, 3207, 4954), and the mails that it took."""

from __future__ import annotations

import email
import logging
import socket
import ssl
from asyncio import WriteTransport
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from dev.certificate import server_files
from dev.standins import Item, template

TITLE = "E-mail"
ADDRESS = ("EMAIL_SMTP_URL", "EMAIL_GRAPH_SENDER")

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
    at: datetime

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
                    at=datetime.now(UTC),
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
    logger = logging.getLogger("mail.log")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        with suppress(ValueError):
            logger.setLevel(before)


@dataclass
class Mailboxes:
    """The mailboxes of everybody who was written to."""

    postbox: Postbox
    port: int
    given: Mapping[str, str]

    def environ(self) -> dict[str, str]:
        """The settings with which the app sends here; to whom and from whom stay as the user has set them."""
        return {
            "EMAIL_SMTP_URL": f"smtp://{USER_INFO}@localhost:{self.port}",
            "EMAIL_TO": self.given.get("EMAIL_TO") or "sales@contoso.com",
            "EMAIL_FROM": self.given.get("EMAIL_FROM") or "Marketplace leads <leads@contoso.com>",
        }

    def received(self) -> list[Item]:
        """The mails as a mail program shows them."""
        return [_item(mail) for mail in tuple(self.postbox.mails)]


@contextmanager
def start(directory: Path, environ: Mapping[str, str]) -> Iterator[Mailboxes]:
    """Take mails for anybody."""
    with smtp_server(directory) as (postbox, port):
        yield Mailboxes(postbox, port, environ)


def _item(mail: Mail) -> Item:
    message = mail.message
    html, text = message.get_body(("html",)), message.get_body(("plain",))
    # Links lead out of the frame that the page shows the mail in.
    shown = html.get_content().replace("<head>", '<head><base target="_blank">', 1) if html else ""
    return Item(
        mail.at,
        str(message["Subject"] or ""),
        f"from {message['From']} to {', '.join(mail.recipients)}",
        shown or _TEXT.render(text=text.get_content() if text else ""),
    )


_TEXT = template(
    """{% extends "layout.html" %}
{% block style %}pre { margin: 16px; white-space: pre-wrap; }{% endblock %}
{% block body %}<pre>{{ text }}</pre>{% endblock %}"""
)
