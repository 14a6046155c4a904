"""A stand-in for a Teams workflow ("When a Teams webhook request is received"), and the channel that it posts to.

It takes a card with 202 and a run id before it posts, and a body without a card all the same; only a URL with the right
`sig` opens it (MicrosoftDocs/msteams-docs `connectors-using.md`; the URL's form from public code). Elements of a card
look as adaptivecards.io (1.4) says; of those only the ones that the app uses are drawn, another is shown as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.certificate import server_files
from dev.standins import Item, template
from dev.standins.server import Answer, Call, Request, Server

TITLE = "Teams"
ADDRESS = ("TEAMS_WEBHOOK_URL",)

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


@dataclass
class Channel:
    """The channel that the workflow posts to."""

    server: Server

    def environ(self) -> dict[str, str]:
        """The settings with which the app posts here."""
        return {"TEAMS_WEBHOOK_URL": url(self.server)}

    def received(self) -> list[Item]:
        """The cards as Teams shows them."""
        taken = [call for call in tuple(self.server.calls) if call.status == 202]
        return [_item(call) for call in taken if (call.json() or {}).get("attachments")]


@contextmanager
def start(directory: Path, _: Mapping[str, str]) -> Iterator[Channel]:
    """Post what comes to one channel."""
    with workflow(directory) as server:
        yield Channel(server)


def _item(call: Call) -> Item:
    card = call.json()["attachments"][0]["content"]
    return Item(call.at, str(card.get("fallbackText", "")), "a card in the channel", _CARD.render(card=card))


_CARD = template(
    """{% extends "layout.html" %}
{% block style %}
body { padding: 16px; display: grid; gap: 12px; }
.container { display: grid; gap: 4px; }
.bleed { margin: -16px -16px 0; padding: 16px; }
.separator { border-top: 1px solid var(--rule); padding-top: 8px; }
.emphasis { background: var(--tint); padding: 8px 12px; }
.accent, .warning, .good, .attention { background: color-mix(in srgb, var(--tone) 14%, var(--paper)); }
.accent { --tone: #0f6cbd; } .warning { --tone: #c2410c; } .good { --tone: #0e7a3b; } .attention { --tone: #b3141e; }
.columns { display: flex; gap: 8px; }
.Small { font-size: 13px; } .ExtraLarge { font-size: 22px; line-height: 1.3; } .Bolder { font-weight: 600; }
.italic { font-style: italic; } .isSubtle { color: var(--soft); } .Monospace { font-family: monospace; }
nav { display: flex; flex-wrap: wrap; gap: 8px; }
nav a { border: 1px solid var(--rule); border-radius: 4px; padding: 4px 12px; text-decoration: none; }
pre { white-space: pre-wrap; }
{% endblock %}
{% macro show(element) %}
{% if element.type == "Container" %}
<div class="container {{ element.style }} {{ 'bleed' if element.bleed }} {{ 'separator' if element.separator }}">
{% for item in element["items"] %}{{ show(item) }}{% endfor %}
</div>
{% elif element.type == "RichTextBlock" %}
<p>{% for run in element.inlines %}<span class="{{ run.size }} {{ run.weight }} {{ run.fontType }}
{{- ' italic' if run.italic }}{{ ' isSubtle' if run.isSubtle }}">{{ run.text }}</span>{% endfor %}</p>
{% elif element.type == "ColumnSet" %}
<div class="columns">
{% for column in element.columns %}
<div style="{{ 'flex: 1' if column.width == 'stretch' else 'flex: 0 0 ' ~ column.width }}">
{% for item in column["items"] %}{{ show(item) }}{% endfor %}
</div>
{% endfor %}
</div>
{% else %}
<pre>{{ element | tojson }}</pre>
{% endif %}
{% endmacro %}
{% block body %}
{% for element in card.body %}{{ show(element) }}{% endfor %}
<nav>{% for action in card.actions %}<a href="{{ action.url }}" target="_blank">{{ action.title }}</a>{% endfor %}</nav>
{% endblock %}"""
)
