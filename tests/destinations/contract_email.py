"""E-mail, with an SMTP server with TLS and sign-in as its far end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.certificate import server_files
from dev.standins.email import PASSWORD, USER_INFO, smtp_server
from leads.errors import Misconfigured, Throttled, Transient
from tests.destinations.contract import Contract, Wire


@contextmanager
def contract(directory: Path) -> Iterator[Contract]:
    with smtp_server(directory) as (postbox, port):

        def answer(wire: Wire) -> None:
            match wire:
                case Wire.THROTTLED:
                    postbox.answers["MAIL"] = "452 4.3.1 slow down"
                case Wire.BROKEN:
                    postbox.answers["MAIL"] = "451 4.3.0 out of order"
                case Wire.UNANSWERED:
                    postbox.break_at = "MAIL"
                case Wire.UNAUTHORIZED:
                    postbox.answers["AUTH"] = "535 5.7.8 bad credentials"
                case Wire.FORBIDDEN:
                    postbox.answers["MAIL"] = "550 5.7.1 not allowed"

        def reset() -> None:
            postbox.answers.clear()
            postbox.break_at = ""

        authority = str(server_files(directory)[0])
        yield Contract(
            "email",
            environ={
                "EMAIL_TO": "ada@contoso.com",
                "EMAIL_FROM": "Marketplace leads <leads@contoso.com>",
                "EMAIL_SMTP_URL": f"smtp://{USER_INFO}@localhost:{port}",
                "SSL_CERT_FILE": authority,
                "REQUESTS_CA_BUNDLE": authority,
            },
            wrong={
                "EMAIL_TO": {"EMAIL_TO": "ada"},
                "EMAIL_FROM": {"EMAIL_FROM": ""},
                "EMAIL_SMTP_URL": {"EMAIL_SMTP_URL": f"http://{USER_INFO}@localhost"},
            },
            secrets=(PASSWORD, USER_INFO.partition(":")[2]),
            outcomes={
                Wire.THROTTLED: Throttled,
                Wire.BROKEN: Transient,
                Wire.UNANSWERED: Transient,
                Wire.UNAUTHORIZED: Misconfigured,
                Wire.FORBIDDEN: Misconfigured,
            },
            answer=answer,
            reset=reset,
            arrived=lambda: len(postbox.mails),
        )
