"""What is asked of Microsoft Graph: one draft, or a look at the folder in which drafts are.

Application permission Mail.ReadWrite, limited to the mailbox by role based access control for applications in Exchange
Online. A draft is 201 with an id (learn.microsoft.com/graph/api/user-post-messages).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from leads import transport
from leads.errors import Failure, Misconfigured, Rejected, Transient
from leads.mail import graph as graph_api
from leads.mail.settings import Graph
from leads.transport import Deadline, Response

_ID = re.compile(r"[A-Za-z0-9_=+/-]{1,512}")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(?::\d{1,5})?")


def make_draft(graph: Graph, draft: Mapping[str, Any], deadline: Deadline, now: datetime) -> str:
    """Make the draft and return the host that shows it and its id. Raises a `leads.errors.Failure`."""
    answer = graph_api.request(graph, "POST", "messages", deadline, json=draft)
    if answer.status != 201:
        raise _failure(graph, answer, now)
    made = answer.json()
    id_ = made.get("id") if isinstance(made, dict) else None
    if not isinstance(id_, str) or not _ID.fullmatch(id_):
        raise Transient(
            f"{transport.host(graph.url)} did not say which draft it made.",
            "The app tries again, which may make a second draft. If it keeps failing, check FOLLOW_UP_GRAPH_URL.",
            unanswered=True,
        )
    return " ".join(filter(None, (_shown_by(made.get("webLink")), id_)))


def look(graph: Graph, deadline: Deadline, now: datetime) -> None:
    """Ask for the folder in which drafts are. Raises a `leads.errors.Failure` where it is not shown."""
    answer = graph_api.request(graph, "GET", "mailFolders/drafts?$select=displayName", deadline)
    if answer.status != 200:
        raise _failure(graph, answer, now)


def _shown_by(link: Any) -> str:
    """The host of `webLink`, by which Outlook on the web shows the draft; empty where there is none."""
    try:
        parts = urlsplit(link if isinstance(link, str) else "")
    except ValueError:
        return ""
    return parts.netloc if parts.scheme == "https" and _HOST.fullmatch(parts.netloc) else ""


def _failure(graph: Graph, answer: Response, now: datetime) -> Failure:
    host, code = transport.host(graph.url), graph_api.code(answer)
    said = f"{answer.status} {code}".strip()
    passing = transport.refusal(answer, host, now, said)
    if passing:
        return passing
    if answer.status in (401, 403):
        return Misconfigured(
            f"{host} does not let this app into the mailbox ({said}).",
            "Give the app the role Application Mail.ReadWrite in Exchange Online, with a scope that holds the mailbox "
            "in FOLLOW_UP_MAILBOX. A change there can take two hours.",
        )
    if answer.status == 404 or code in graph_api.NO_MAILBOX:
        return Misconfigured(
            f"{host} does not know the mailbox ({said}).",
            "Check FOLLOW_UP_MAILBOX: the address with which its owner signs in, of a mailbox in Exchange Online.",
        )
    if answer.status < 400:
        return Misconfigured(f"{host} did not answer as Microsoft Graph does ({said}).", "Check FOLLOW_UP_GRAPH_URL.")
    return Rejected(f"{host} refused the draft ({said}).", "Look the code up in the documentation of Microsoft Graph.")
