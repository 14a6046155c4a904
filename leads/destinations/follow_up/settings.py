"""Settings of `follow_up`: the mailbox, who signs, the templates, and how to sign in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from leads import oauth
from leads.mail.settings import GRAPH, Graph
from leads.messages.plain import is_address, line
from leads.oauth import Credentials
from leads.reader import Reader, Setting

SETTINGS = (
    Setting("FOLLOW_UP_MAILBOX", "The seller's mailbox in Exchange Online, in which drafts are made", own=True),
    Setting("FOLLOW_UP_SELLER", "Who signs, as `Ada Byron, Contoso`: `{seller}` of the templates", own=True),
    Setting(
        "FOLLOW_UP_TEMPLATES",
        "The URL of a blob container with your templates. Empty: the app's own, in English",
    ),
    Setting("FOLLOW_UP_GRAPH_URL", "Microsoft Graph of other clouds", GRAPH),
    *oauth.settings("FOLLOW_UP_GRAPH"),
)
"""Every setting of `follow_up`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """In which mailbox the drafts lie, who signs them, and which templates they use."""

    graph: Graph = field(default_factory=lambda: Graph(sender="", credentials=Credentials(prefix="FOLLOW_UP_GRAPH")))
    seller: str = ""
    templates: str = ""
    """URL of the container, without a slash at its end; empty where there is none."""

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Read all `FOLLOW_UP_*` settings, noting every problem."""
        mailbox = reader.text("FOLLOW_UP_MAILBOX", required=True)
        if mailbox and not is_address(mailbox):
            reader.problem("FOLLOW_UP_MAILBOX", "It must be an e-mail address.", "Write it as ada@contoso.com.")
        graph = Graph(
            sender=mailbox,
            url=reader.url("FOLLOW_UP_GRAPH_URL") or GRAPH,
            credentials=oauth.read(reader, "FOLLOW_UP_GRAPH"),
        )
        return cls(graph, line(reader.text("FOLLOW_UP_SELLER"), links=True), _templates(reader))


def _templates(reader: Reader) -> str:
    url = reader.url("FOLLOW_UP_TEMPLATES")
    parts = urlsplit(url)
    if url and (parts.query or parts.fragment or parts.username or not parts.path.strip("/") or "/" in parts.path[1:]):
        reader.problem(
            "FOLLOW_UP_TEMPLATES",
            "It must be the URL of a blob container, and nothing else.",
            "Write it as https://contoso.blob.core.windows.net/follow-up, without a signature: it is read with the "
            "function app's managed identity.",
        )
        return ""
    return url
