"""A stand-in for a receiver of signed leads: it verifies as Standard Webhooks 1.0.0 says, and answers 204, or 401.

The signature is computed by the specification's own library; how old a timestamp is does not matter here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from standardwebhooks import Webhook

from dev.certificate import server_files
from dev.standins import Item, template
from dev.standins.server import Answer, Call, Request, Server

TITLE = "HTTPS"
ADDRESS = ("HTTPS_URL",)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "hook-4f1c9d"


def url(server: Server) -> str:
    """Where it listens, with a token in the query as many receivers have it."""
    return f"https://localhost:{server.port}/hooks/leads?token={TOKEN}"


def is_signed(request: Request, secret: str = SECRET) -> bool:
    """Whether one of the signatures is the one that `secret` makes."""
    headers = request.headers
    try:
        moment = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        wanted = Webhook(secret).sign(headers["webhook-id"], moment, request.body.decode())
    except (KeyError, ValueError):
        return False
    return wanted in headers.get("webhook-signature", "").split(" ")


@contextmanager
def receiver(directory: Path) -> Iterator[Server]:
    """A receiver on localhost with a certificate of the CA in `directory`. Its requests are in `calls`."""

    def answer(request: Request) -> Answer:
        if request.path != "/hooks/leads" or request.query.get("token") != TOKEN:
            return Answer(404)
        if request.method == "OPTIONS":
            return Answer(204, headers={"Allow": "OPTIONS, POST"})
        return Answer(204 if request.method == "POST" and is_signed(request) else 401)

    server = Server(answer, server_files(directory)[1])
    server.start()
    try:
        yield server
    finally:
        server.close()


def taken(server: Server) -> list[Call]:
    """The events that it took."""
    return [call for call in tuple(server.calls) if call.method == "POST" and call.status == 204]


@dataclass
class Receiver:
    """What receives."""

    server: Server

    def environ(self) -> dict[str, str]:
        """The settings with which the app posts here."""
        return {"HTTPS_URL": url(self.server), "HTTPS_SECRET": SECRET}

    def received(self) -> list[Item]:
        """The bodies, with the headers that sign them."""
        return [_item(call) for call in taken(self.server)]


@contextmanager
def start(directory: Path, _: Mapping[str, str]) -> Iterator[Receiver]:
    """Take what comes."""
    with receiver(directory) as server:
        yield Receiver(server)


def _item(call: Call) -> Item:
    event = call.json()
    signed = {name: value for name, value in call.headers.items() if name.startswith("webhook-")}
    body = json.dumps(event, ensure_ascii=False, indent=2)
    return Item(call.at, str(event["type"]), "a signed body", _EVENT.render(signed=signed, body=body))


_EVENT = template(
    """{% extends "layout.html" %}
{% block style %}
body { padding: 16px; display: grid; gap: 12px; }
pre { margin: 0; white-space: pre-wrap; }
{% endblock %}
{% block body %}
<dl>{% for name, value in signed.items() %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
<pre>{{ body }}</pre>
{% endblock %}"""
)
