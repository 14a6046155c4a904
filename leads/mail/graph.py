"""A mailbox by Microsoft Graph; and sending one mail by `sendMail`, as MIME, the very mail that SMTP would send.

Application permission Mail.Send. Graph keeps a copy under Sent Items: only its JSON form could say no to that, and
that form can carry neither two alternatives nor threading.
Facts: learn.microsoft.com/graph/api/user-sendmail and learn.microsoft.com/graph/throttling-limits.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from leads import oauth, transport
from leads.errors import Failure, Misconfigured, Rejected
from leads.mail.settings import Graph
from leads.transport import Deadline, Response

NO_MAILBOX = frozenset({"ErrorInvalidUser", "MailboxNotEnabledForRESTAPI", "MailboxNotHostedInExchangeOnline"})
"""Graph's codes for a mailbox that does not exist."""

_CODE = re.compile(r"[A-Za-z_]{1,60}")
_RECIPIENTS = frozenset({"ErrorInvalidRecipients"})


def send(graph: Graph, mail: bytes, deadline: Deadline, now: datetime) -> None:
    """Hand `mail` to Graph, which takes the recipients from its header. Raises a `leads.errors.Failure`."""
    headers = {"Content-Type": "text/plain"}
    answer = request(graph, "POST", "sendMail", deadline, headers=headers, data=base64.b64encode(mail))
    if answer.status != 202:
        raise _failure(graph, answer, now)


def sign_in(graph: Graph, deadline: Deadline, *, fresh: bool = False) -> str:
    """A token for Graph. Raises a `leads.errors.Failure`."""
    return oauth.token(graph.credentials, graph.url, deadline=deadline, fresh=fresh)


def request(
    graph: Graph,
    method: str,
    path: str,
    deadline: Deadline,
    *,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    data: bytes | None = None,
) -> Response:
    """One request about the mailbox, again with a new token where the one in memory is refused.

    `path` is what follows the mailbox, with its query. Raises a `leads.errors.Failure` where no answer came.
    """
    url = f"{graph.url}/v1.0/users/{quote(graph.sender, safe='@')}/{path}"

    def ask(*, fresh: bool) -> Response:
        sent = {**(headers or {}), "Authorization": f"Bearer {sign_in(graph, deadline, fresh=fresh)}"}
        return transport.request(method, url, deadline=deadline, headers=sent, json=json, data=data)

    answer = ask(fresh=False)
    return ask(fresh=True) if answer.status == 401 else answer


def _failure(graph: Graph, answer: Response, now: datetime) -> Failure:
    said = code(answer)
    detail = f"({answer.status}{f' {said}' if said else ''})"
    host = transport.host(graph.url)
    passing = transport.refusal(answer, host, now, detail.strip("()"))
    if passing:
        return passing
    if answer.status in (401, 403):
        return Misconfigured(
            f"{host} does not let this app send from the mailbox {detail}.",
            "Give the app the application permission Mail.Send with admin consent; where Exchange restricts it to some "
            "mailboxes, add the one in EMAIL_GRAPH_SENDER.",
        )
    if answer.status == 404 or said in NO_MAILBOX:
        return Misconfigured(
            f"{host} does not know the mailbox {detail}.",
            "Check EMAIL_GRAPH_SENDER: the user name or object id of a mailbox in Exchange Online.",
        )
    if said in _RECIPIENTS:
        return Misconfigured(f"{host} refused the recipients {detail}.", "Check every address in EMAIL_TO.")
    return Rejected(f"{host} refused the mail {detail}.", "Look the code up in the documentation of Microsoft Graph.")


def code(answer: Response) -> str:
    """Graph's own code for what went wrong; empty where it gave none."""
    body = answer.json()
    error = body.get("error") if isinstance(body, dict) else None
    said = error.get("code") if isinstance(error, dict) else None
    return said if isinstance(said, str) and _CODE.fullmatch(said) else ""
