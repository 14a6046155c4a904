"""Slack: a message to an incoming webhook, with the same words as the card in Teams.

Slack answers `ok` as soon as it posted. A webhook cannot recognize a repeated message: after a lost answer, and on a
replay, it appears twice. One message a second and process goes to each webhook, alerts included; the next one waits as
a throttled delivery. The URL is a credential. Facts: docs.slack.dev, "Sending messages using incoming webhooks" and
"Rate limits"; its changelog of 17 May 2016 and public clients for what an error's text means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from threading import Lock

from leads import transport
from leads.contract import Finding, Kind, Step
from leads.destinations.slack import blocks
from leads.errors import Failure, Misconfigured, Paced, Rejected
from leads.lead import Lead
from leads.messages import alert as alerts_text
from leads.messages import languages, notification
from leads.messages import summary as summaries
from leads.messages.alert import Alert
from leads.messages.message import Message
from leads.messages.notification import Voice
from leads.reader import Reader, Setting
from leads.transport import Deadline, Response

KIND = Kind.NOTIFICATION
TITLE = "Slack"
SETTINGS = (
    Setting(
        "SLACK_WEBHOOK_URL",
        "The URL of an incoming webhook. Whoever has it can post: it is a credential",
        secret=True,
        own=True,
    ),
    *languages.SETTINGS,
)
PAUSE = 1.0
"""Seconds between two messages to one webhook (docs.slack.dev, "Rate limits": one a second, short bursts above)."""

_NAME = "SLACK_WEBHOOK_URL"
_NEW = f"Make a new incoming webhook in Slack for the app, as docs/destinations/slack.md says, and put it into {_NAME}."
_CODE = re.compile(r"[a-z_]{1,60}")
_GONE = {
    "action_prohibited": (
        "An administrator of the workspace does not allow this webhook to post.",
        "Ask them to allow it.",
    ),
    "channel_is_archived": ("The channel of the webhook is archived.", f"Unarchive it in Slack, or: {_NEW}"),
    "channel_not_found": ("The channel of the webhook is gone.", _NEW),
    "invalid_token": ("The webhook was revoked.", _NEW),
    "no_active_hooks": ("The webhook is switched off.", _NEW),
    "no_service": ("The webhook was removed or switched off.", _NEW),
    "no_service_id": ("The webhook's URL is incomplete.", f"Copy it again, whole and unchanged, into {_NAME}."),
    "no_team": ("The workspace of the webhook is gone.", _NEW),
    "posting_to_general_channel_denied": (
        "Only some people may post in the webhook's channel.",
        "Allow it in Slack, or make the webhook for another channel.",
    ),
    "team_disabled": ("The workspace of the webhook is switched off.", _NEW),
    "user_not_found": ("The person that the webhook writes to is gone.", _NEW),
}
_REFUSED = frozenset(
    ("invalid_payload", "invalid_blocks", "msg_blocks_too_long", "msg_too_long", "no_text", "too_many_attachments")
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to post, and in which words."""

    webhook_url: str = field(default="", repr=False)
    voice: Voice = field(default_factory=lambda: Voice(languages.load(languages.DEFAULT), UTC))

    @classmethod
    def read(cls, reader: Reader) -> Settings:
        """Read SLACK_WEBHOOK_URL, LEADS_LANGUAGE and LEADS_TIME_ZONE, noting every problem."""
        url = reader.text(_NAME) if reader.url(_NAME, required=True) else ""
        return cls(url, Voice.read(reader))


def send(lead: Lead, step: Step, settings: Settings) -> str:
    """Post the message about `lead`, unless it was posted already. A webhook gives no id, so this returns "posted"."""
    if step.remote_id and not step.replayed:
        return step.remote_id
    _post(_body(notification.of_step(lead, step, settings.voice), settings), step.deadline, settings, step.now)
    return "posted"


def preview(lead: Lead, step: Step, settings: Settings) -> str:
    """The request's body, as `send` would post it."""
    body = _body(notification.of_step(lead, step, settings.voice), settings)
    return json.dumps(json.loads(body), ensure_ascii=False, indent=2)


def summary(leads: Sequence[Lead], total: int, name: str, deadline: Deadline, settings: Settings) -> None:
    """Post one message about `total` leads, with as many lines of `leads` as a message takes."""
    for message in summaries.ever_shorter(leads, total, name, settings.voice):
        body = _body(message, settings)
        if blocks.length(body.decode()) <= blocks.BUDGET:
            break
    _post(body, deadline, settings, datetime.now(UTC))


def alert(alert: Alert, deadline: Deadline, settings: Settings) -> None:
    """Alert the operators. Raises a `leads.errors.Failure` when that fails, also where it has to wait."""
    _post(_body(alerts_text.compose(alert, settings.voice), settings), deadline, settings, datetime.now(UTC))


def check(settings: Settings, deadline: Deadline) -> Iterator[Finding]:
    """Look whether the webhook exists, by a message without text, which Slack refuses. Raises nothing."""
    now = datetime.now(UTC)
    try:
        failure = _failure(_ask(b"{}", deadline, settings), now)
    except Failure as wrong:
        failure = wrong
    if isinstance(failure, Rejected):
        yield Finding("webhook", ok=True, cause="It exists. Only `send-test` shows which channel it posts to.")
    else:
        yield Finding("webhook", ok=False, cause=failure.cause, remedy=failure.remedy)


def _body(message: Message, settings: Settings) -> bytes:
    return blocks.body(message, settings.voice.language.say("note.cut"))


def _post(body: bytes, deadline: Deadline, settings: Settings, now: datetime) -> None:
    deadline.remaining()
    _take_turn(settings.webhook_url, deadline)
    answer = _ask(body, deadline, settings)
    if not (answer.status == 200 and answer.body.strip() == b"ok"):
        raise _failure(answer, now)


def _ask(body: bytes, deadline: Deadline, settings: Settings) -> Response:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return transport.request("POST", settings.webhook_url, deadline=deadline, headers=headers, data=body)


def _failure(answer: Response, now: datetime) -> Failure:
    code = _code(answer)
    detail = f"{answer.status}{f' {code}' if code else ''}"
    if code in _GONE:
        cause, remedy = _GONE[code]
        return Misconfigured(f"{cause.removesuffix('.')} ({detail}).", remedy)
    if code in _REFUSED:
        return Rejected(
            f"Slack did not understand the message ({detail}).",
            "Look the lead up on the page, and report this as a bug: messages are kept within Slack's limits.",
        )
    passing = transport.refusal(answer, "Slack", now, detail)
    if passing:
        return passing
    return Misconfigured(f"The answer to the message is not one of Slack's ({detail}).", _NEW)


def _code(answer: Response) -> str:
    """The error that an answer's text names; nothing where it is a page, or anything else."""
    text = answer.body[:100].decode("ascii", "replace").strip()
    return text if _CODE.fullmatch(text) else ""


class _Turns:
    """When messages went to one webhook, and until when the waiting ones have to wait."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.sent = float("-inf")
        self.promised = float("-inf")


@cache
def _turns(url: str) -> _Turns:
    del url
    return _Turns()


def _take_turn(url: str, deadline: Deadline) -> None:
    """Let one message through. Raises Paced where another went less than `PAUSE` ago.

    Each one that waits gets another time, so that a hundred leads at once do not all come back together.
    """
    turns, now = _turns(url), deadline.clock()
    with turns.lock:
        if now - turns.sent >= PAUSE:
            turns.sent = now
            return
        turns.promised = max(turns.promised, turns.sent) + PAUSE
        wait = turns.promised - now
    raise Paced(
        "Slack takes one message a second, and another one went just before.",
        "The app sends it again in a moment.",
        retry_after=wait,
    )
