"""Teams: an Adaptive Card to a Workflows webhook ("Post to a channel when a webhook request is received").

The workflow answers 202 before it posts, so delivered means accepted by the workflow, not shown in the channel, and
`remote_id` says so. A replay posts a second card: a webhook cannot recognize a repeated one. The URL is a credential.
Facts: learn.microsoft.com/microsoftteams/platform (webhooks and connectors; cards format), adaptivecards.io (1.4).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from leads import transport
from leads.contract import Kind, Step
from leads.destinations.teams import card
from leads.errors import Failure, Misconfigured, Rejected
from leads.lead import Lead
from leads.messages import alert as alerts_text
from leads.messages import languages, notification
from leads.messages import summary as summaries
from leads.messages.alert import Alert
from leads.messages.message import Message
from leads.messages.notification import Voice, plain_voice
from leads.reader import Reader, Setting
from leads.transport import Deadline, Response

KIND = Kind.NOTIFICATION
TITLE = "Microsoft Teams"
SETTINGS = (
    Setting("TEAMS_WEBHOOK_URL", "The URL of the workflow. It is a credential", secret=True, own=True),
    *languages.SETTINGS,
)

_NAME = "TEAMS_WEBHOOK_URL"
_CODE = re.compile(r"[A-Za-z]{1,60}")
_RUN = re.compile(r"[A-Za-z0-9_-]{1,80}")
_RENEW = (
    "Open the workflow in Teams or Power Automate: it has to exist, be switched on, have an owner, and let anyone "
    f"trigger it. Then copy its URL into {_NAME} again."
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to post, and in which words."""

    webhook_url: str = field(default="", repr=False)
    voice: Voice = field(default_factory=plain_voice)

    @classmethod
    def read(cls, reader: Reader) -> Settings:
        """Read TEAMS_WEBHOOK_URL, LEADS_LANGUAGE and LEADS_TIME_ZONE, noting every problem."""
        # The URL is used exactly as it came: it is signed.
        url = reader.text(_NAME) if reader.url(_NAME, required=True) else ""
        if url and f".{urlsplit(url).hostname}".endswith((".webhook.office.com", ".outlook.office.com")):
            reader.problem(
                _NAME,
                "It belongs to an Office 365 connector, and Microsoft has retired those.",
                "Make a workflow from the template 'Post to a channel when a webhook request is received' and use its "
                "URL; see docs/destinations/teams.md.",
            )
        return cls(url, Voice.read(reader))


def send(lead: Lead, step: Step, settings: Settings) -> str:
    """Post the card about `lead`, unless the workflow took it already, and return that it was accepted."""
    if step.remote_id and not step.replayed:
        return step.remote_id
    return _post(_card(notification.of_step(lead, step, settings.voice), settings), step.deadline, settings, step.now)


def preview(lead: Lead, step: Step, settings: Settings) -> str:
    """The request's body, as `send` would post it."""
    body = _card(notification.of_step(lead, step, settings.voice), settings)
    return json.dumps(json.loads(body), ensure_ascii=False, indent=2)


def summary(leads: Sequence[Lead], total: int, name: str, deadline: Deadline, settings: Settings) -> None:
    """Post one card about `total` leads, with as many lines of `leads` as a card takes."""
    for message in summaries.ever_shorter(leads, total, name, settings.voice):
        body = _card(message, settings)
        if len(body) <= card.BUDGET:
            break
    _post(body, deadline, settings, datetime.now(UTC))


def alert(alert: Alert, deadline: Deadline, settings: Settings) -> None:
    """Alert the operators. Raises a `leads.errors.Failure` when that fails."""
    _post(_card(alerts_text.compose(alert, settings.voice), settings), deadline, settings, datetime.now(UTC))


def _card(message: Message, settings: Settings) -> bytes:
    return card.envelope(message, settings.voice.language.say("note.cut"))


def _post(body: bytes, deadline: Deadline, settings: Settings, now: datetime) -> str:
    answer = transport.request(
        "POST",
        settings.webhook_url,
        deadline=deadline,
        headers={"Content-Type": "application/json"},
        data=body,
    )
    if not 200 <= answer.status < 300:
        raise _failure(answer, now)
    run = answer.headers.get("x-ms-workflow-run-id", "")
    return f"accepted, workflow run {run}" if _RUN.fullmatch(run) else "accepted"


def _failure(answer: Response, now: datetime) -> Failure:
    code = _code(answer)
    detail = f"({answer.status}{f' {code}' if code else ''})"
    passing = transport.refusal(answer, "The Teams workflow", now, detail.strip("()"))
    if passing:
        return passing
    if answer.status == 413:
        return Rejected(
            f"The card was too large for the Teams workflow {detail}.",
            "Look the lead up on the page, and report this as a bug: cards are kept below the limit.",
        )
    return Misconfigured(f"The Teams workflow did not take the card {detail}.", _RENEW)


def _code(answer: Response) -> str:
    body = answer.json()
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""
