"""A stand-in for a seller's mailbox behind Microsoft Graph, for the app's sign-in, and for a container of templates.

Graph makes a draft with 201 and its id and `webLink` (learn.microsoft.com/graph/api/user-post-messages), and shows the
folder of drafts (…/mailfolder-get). The app may into the mailboxes that Exchange lets it in: another is 403
`ErrorAccessDenied` (learn.microsoft.com/exchange/permissions-exo/application-rbac), one that there is not 404. Blob
storage lists and shows files to a token of its own (learn.microsoft.com/rest/api/storageservices/list-blobs).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from dev.certificate import server_files
from dev.standins import Item, template
from dev.standins.entra import IDENTITY_PATH, Entra, Identity, Registration
from dev.standins.server import Answer, Request, Server

TITLE = "Outlook drafts"
ADDRESS = ("FOLLOW_UP_MAILBOX",)

MAILBOX, SELLER = "ada@contoso.com", "Ada Byron, Contoso"
TENANT_ID = "11111111-1111-4111-8111-111111111111"
CLIENT_ID = "66666666-6666-4666-8666-666666666666"
SECRET = "stand-in~drafts"
STORAGE = "https://storage.azure.com"
CONTAINER = "/follow-up"

_USERS = re.compile(r"/v1\.0/users/([^/]+)/(messages|mailFolders/drafts)")


@dataclass
class Drafts:
    """The mailbox, the authority and the container, and what is in them."""

    given: Mapping[str, str]
    drafts: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    """The templates in the container, by name."""
    entra: Entra = field(init=False)
    server: Server = field(init=False)

    @property
    def url(self) -> str:
        """Where Graph, Entra and the storage account are."""
        return f"https://localhost:{self.server.port}"

    @property
    def mailbox(self) -> str:
        """The one mailbox that the app may into."""
        return self.given.get("FOLLOW_UP_MAILBOX") or MAILBOX

    def environ(self) -> dict[str, str]:
        """The settings with which the app makes drafts here."""
        return {
            "FOLLOW_UP_MAILBOX": self.mailbox,
            "FOLLOW_UP_SELLER": self.given.get("FOLLOW_UP_SELLER") or SELLER,
            "FOLLOW_UP_GRAPH_URL": self.url,
            "FOLLOW_UP_GRAPH_AUTHORITY": self.url,
            "FOLLOW_UP_GRAPH_TENANT_ID": TENANT_ID,
            "FOLLOW_UP_GRAPH_CLIENT_ID": CLIENT_ID,
            "FOLLOW_UP_GRAPH_CLIENT_SECRET": SECRET,
        }

    def identity_environ(self) -> dict[str, str]:
        """What App Service tells the app about its managed identity."""
        return {"IDENTITY_ENDPOINT": f"{self.url}{IDENTITY_PATH}", "IDENTITY_HEADER": self.entra.identity_header}

    def received(self) -> list[Item]:
        """The drafts as their owner sees them."""
        return [_item(at, draft) for at, draft in tuple(self.drafts)]

    def answer(self, request: Request) -> Answer:
        """Answer as whoever is asked."""
        known = _USERS.fullmatch(request.path)
        if known:
            return self._graph(request, unquote(known[1]), known[2])
        if request.path.startswith(CONTAINER):
            return self._storage(request)
        if request.path == "/owa/":
            found = [draft for _, draft in self.drafts if draft["id"] == request.query.get("ItemID")]
            return Answer(200, _item(datetime.now(UTC), found[0]).html) if found else Answer(404, "")
        return self.entra.answer(request)

    def _holds(self, request: Request, resource: str) -> bool:
        token = self.entra.holder(request.headers.get("authorization", "").removeprefix("Bearer "))
        return token is not None and token.resource == resource

    def _graph(self, request: Request, mailbox: str, what: str) -> Answer:
        if not self._holds(request, self.url):
            return _error(401, "InvalidAuthenticationToken", "Access token validation failure.")
        if mailbox.rpartition("@")[2] != self.mailbox.rpartition("@")[2]:
            return _error(404, "ErrorInvalidUser", f"The requested user '{mailbox}' is invalid.")
        if mailbox != self.mailbox:
            return _error(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        if what != "messages":
            return Answer(200, {"id": "AAMkAGVm", "displayName": "Drafts"}) if request.method == "GET" else Answer(405)
        sent = request.json()
        if request.method != "POST" or not isinstance(sent, dict):
            return _error(400, "RequestBodyRead", "The message is not readable.")
        made = {"id": f"AAMkAGVm/{len(self.drafts):04}+x=", "isDraft": True, **sent}
        made["webLink"] = f"{self.url}/owa/?ItemID={quote(made['id'], safe='')}&exvsurl=1&viewmodel=ReadMessageItem"
        self.drafts.append((datetime.now(UTC), made))
        return Answer(201, made)

    def _storage(self, request: Request) -> Answer:
        if not self._holds(request, STORAGE) or not request.headers.get("x-ms-version"):
            return Answer(403, "<Error><Code>AuthorizationPermissionMismatch</Code></Error>")
        if request.query.get("comp") == "list":
            blobs = "".join(f"<Blob><Name>{escape(name)}</Name></Blob>" for name in sorted(self.files))
            return Answer(200, f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker /></EnumerationResults>")
        content = self.files.get(unquote(request.path.removeprefix(f"{CONTAINER}/")))
        if content is None:
            return Answer(404, "<Error><Code>BlobNotFound</Code></Error>")
        return Answer(200, content)


@contextmanager
def start(directory: Path, environ: Mapping[str, str]) -> Iterator[Drafts]:
    """Keep drafts for one seller, and let one app registration and one managed identity sign in."""
    running = Drafts(environ)
    running.server = Server(running.answer, server_files(directory)[1])
    running.entra = Entra(running.url)
    running.entra.resources.add(running.url)
    running.entra.registrations[CLIENT_ID] = Registration(CLIENT_ID, secrets={SECRET})
    running.entra.identities.append(Identity("", "77777777-7777-4777-8777-777777777777", system_assigned=True))
    running.server.start()
    try:
        yield running
    finally:
        running.server.close()


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message}})


def _item(at: datetime, draft: Mapping[str, Any]) -> Item:
    to = [recipient["emailAddress"] for recipient in draft["toRecipients"]]
    people = ", ".join(f"{one.get('name', '')} <{one['address']}>".strip() for one in to)
    subject, text = str(draft["subject"]), str(draft["body"]["content"])
    return Item(at, subject, f"a draft to {people}", _DRAFT.render(to=people, subject=subject, text=text))


_DRAFT = template(
    """{% extends "layout.html" %}
{% block style %}body { margin: 16px; } pre { white-space: pre-wrap; font: inherit; }{% endblock %}
{% block body %}<p class="soft">Draft, not sent</p>
<dl><dt>To</dt><dd>{{ to }}</dd><dt>Subject</dt><dd>{{ subject }}</dd></dl>
<pre>{{ text }}</pre>{% endblock %}"""
)
