"""Sending one mail by Microsoft Graph `sendMail`, as MIME, so that it is the very mail that SMTP would send.

Application permission Mail.Send. Graph keeps a copy under Sent Items: only its JSON form could say no to that, and
that form can carry neither two alternatives nor threading.
Facts: learn.microsoft.com/graph/api/user-sendmail and learn.microsoft.com/graph/throttling-limits.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime

from leads import oauth, transport
from leads.errors import Failure, Misconfigured, Rejected
from leads.mail.settings import Graph, sendmail_url
from leads.transport import Deadline, Response

_CODE = re.compile(r"[A-Za-z_]{1,60}")
_RECIPIENTS = frozenset({"ErrorInvalidRecipients"})
_MAILBOX = frozenset({"ErrorInvalidUser", "MailboxNotEnabledForRESTAPI", "MailboxNotHostedInExchangeOnline"})


def send(graph: Graph, mail: bytes, deadline: Deadline, now: datetime) -> None:
    """Hand `mail` to Graph, which takes the recipients from its header. Raises a `leads.errors.Failure`."""
    answer = _post(graph, mail, deadline, fresh=False)
    if answer.status == 401:
        answer = _post(graph, mail, deadline, fresh=True)
    if answer.status != 202:
        raise _failure(graph, answer, now)


def sign_in(graph: Graph, deadline: Deadline, *, fresh: bool = False) -> str:
    """A token for Graph. Raises a `leads.errors.Failure`."""
    return oauth.token(graph.credentials, graph.url, deadline=deadline, fresh=fresh)


def _post(graph: Graph, mail: bytes, deadline: Deadline, *, fresh: bool) -> Response:
    token = sign_in(graph, deadline, fresh=fresh)
    return transport.request(
        "POST",
        sendmail_url(graph),
        deadline=deadline,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "text/plain"},
        data=base64.b64encode(mail),
    )


def _failure(graph: Graph, answer: Response, now: datetime) -> Failure:
    code = _code(answer)
    told = f"({answer.status}{f' {code}' if code else ''})"
    host = transport.host(graph.url)
    passing = transport.refusal(answer, host, now, told.strip("()"))
    if passing:
        return passing
    if answer.status in (401, 403):
        return Misconfigured(
            f"{host} does not let this app send from the mailbox {told}.",
            "Give the app the application permission Mail.Send with admin consent; where Exchange restricts it to some "
            "mailboxes, add the one in EMAIL_GRAPH_SENDER.",
        )
    if answer.status == 404 or code in _MAILBOX:
        return Misconfigured(
            f"{host} knows no mailbox of that name {told}.",
            "Check EMAIL_GRAPH_SENDER: the user name or object id of a mailbox in Exchange Online.",
        )
    if code in _RECIPIENTS:
        return Misconfigured(f"{host} refused the recipients {told}.", "Check every address in EMAIL_TO.")
    return Rejected(f"{host} refused the mail {told}.", "Look the code up in the documentation of Microsoft Graph.")


def _code(answer: Response) -> str:
    body = answer.json()
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""
