"""A stand-in for a Slack incoming webhook, and the channel that it posts to.

It answers `ok` to a message with text, `no_text` and `invalid_payload` to others, `invalid_token` where the secret part
of the URL is wrong (docs.slack.dev, "Sending messages using incoming webhooks"). Only the elements of `rich_text` that
the app uses are drawn; another is shown as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from dev.certificate import server_files
from dev.standins import Item, template
from dev.standins.server import Answer, Call, Request, Server

TITLE = "Slack"
ADDRESS = ("SLACK_WEBHOOK_URL",)

TOKEN = "XvN3secretPartOfTheUrl"
PATH = f"/services/T0123ABCD/B0456EFGH/{TOKEN}"


def url(server: Server) -> str:
    """The webhook's whole URL, credential included."""
    return f"https://localhost:{server.port}{PATH}"


@contextmanager
def webhook(directory: Path) -> Iterator[Server]:
    """A webhook on localhost with a certificate of the CA in `directory`. Its requests are in `calls`."""

    def answer(request: Request) -> Answer:
        if request.path != PATH:
            return Answer(403, "invalid_token")
        message = request.json()
        if request.method != "POST" or not isinstance(message, dict):
            return Answer(400, "invalid_payload")
        if not message.get("text"):
            return Answer(400, "no_text")
        return Answer(200, "ok")

    server = Server(answer, server_files(directory)[1])
    server.start()
    try:
        yield server
    finally:
        server.close()


@dataclass
class Channel:
    """The channel that the webhook posts to."""

    server: Server

    def environ(self) -> dict[str, str]:
        """The settings with which the app posts here."""
        return {"SLACK_WEBHOOK_URL": url(self.server)}

    def received(self) -> list[Item]:
        """The messages as Slack shows them."""
        return [_item(call) for call in tuple(self.server.calls) if call.status == 200]


@contextmanager
def start(directory: Path, _: Mapping[str, str]) -> Iterator[Channel]:
    """Post what comes to one channel."""
    with webhook(directory) as server:
        yield Channel(server)


def _item(call: Call) -> Item:
    message = call.json()
    return Item(call.at, unescape(message["text"]), "a message in the channel", _MESSAGE.render(message=message))


_MESSAGE = template(
    """{% extends "layout.html" %}
{% block style %}
body { padding: 16px; display: grid; gap: 10px; }
p, blockquote { margin: 0; white-space: pre-wrap; }
blockquote { border-left: 4px solid var(--rule); padding-left: 12px; }
b { font-weight: 600; } code { color: var(--ink); background: var(--tint); }
{% endblock %}
{% macro show(element) %}
{% if element.type == "link" %}<a href="{{ element.url }}" target="_blank">{{ element.text }}</a>
{%- elif element.type != "text" %}<code>{{ element | tojson }}</code>
{%- elif element.style and element.style.bold %}<b>{{ element.text }}</b>
{%- elif element.style and element.style.italic %}<i class="soft">{{ element.text }}</i>
{%- elif element.style and element.style.code %}<code>{{ element.text }}</code>
{%- else %}{{ element.text }}
{%- endif %}
{% endmacro %}
{% block body %}
{% for block in message.blocks %}{% for part in block.elements %}
{% set tag = "blockquote" if part.type == "rich_text_quote" else "p" %}
<{{ tag }}>{% for element in part.elements %}{{ show(element) | trim("\r\n") if element.text != "\n" else "\n" }}
{%- endfor %}</{{ tag }}>
{% endfor %}{% endfor %}
{% endblock %}"""
)
