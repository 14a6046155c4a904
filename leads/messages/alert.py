"""What an alert says: titles and labels in the operators' language, cause and remedy in the words of what failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from leads.messages.message import Button, Fact, Message, Tone
from leads.messages.notification import Voice
from leads.messages.plain import block, line

TEXT_LIMIT = 2000
"""Characters of cause and of remedy that an alert shows."""


@dataclass(frozen=True, slots=True)
class Alert:
    """What the operators should know. No field holds personal data, a secret or a URL with its query."""

    kind: str
    """`dead`, `misconfigured`, `quarantine`, `watch_silent`, `settings`, `offer` or `silence`; flood; or well, when one
    of these is over."""
    subject: str
    """The destination, table, setting or offer that is concerned, as people call it."""
    count: int
    """How many leads wait, or how many things are wrong."""
    since: datetime
    cause: str
    remedy: str
    command: str = ""
    """The command that helps once the remedy was applied."""
    destination: str = ""
    """The name of the destination that is concerned, where it is one, as settings and commands have it."""
    link: str = ""
    """The address of the operators' page where it is put right; empty where the app does not know its own address."""


def compose(alert: Alert, voice: Voice) -> Message:
    """The message about `alert`: what happened, since when, how much waits, the remedy, and the way to it.

    That is a button to the page, or where its address is not known the command.
    """
    say = voice.language.say
    kind = alert.kind if voice.language.has(f"alert.{alert.kind}.title") else "other"
    title = say(f"alert.{kind}.title", subject=line(alert.subject, 80))
    well = kind == "well"
    badge = say("alert.well.badge" if well else "alert.badge")
    return Message(
        subject=f"{badge}: {title}",
        tone=Tone.GOOD if well else Tone.ALARM,
        badge=badge,
        headline=title,
        summary=line(alert.cause, TEXT_LIMIT, links=True),
        step="",
        next_title=say("alert.remedy"),
        next_text=block(alert.remedy, TEXT_LIMIT, links=True),
        facts=(
            Fact(say("alert.since"), voice.language.moment(alert.since, voice.zone)),
            Fact(say(f"alert.{kind}.count"), str(alert.count)),
        ),
        buttons=(Button(say("button.page"), alert.link),) if alert.link else (),
        command_title=say("alert.command"),
        command="" if alert.link else line(alert.command, links=True),
        # The app keeps no lead that never reached it.
        notes=() if kind in ("offer", "silence") else (say("alert.safe"),),
        footer=say("alert.footer"),
        language=voice.language.code,
    )
