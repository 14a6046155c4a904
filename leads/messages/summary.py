"""What a summary says: one message about many leads, where single ones would flood people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leads.lead import Lead
from leads.messages import notification
from leads.messages.message import Message, Tone
from leads.messages.notification import Voice
from leads.messages.plain import cut, line

LINES = 200
"""Leads that a summary lists at most; more are counted."""

_SIZES = ((LINES, 160), (LINES, 60), (150, 60), (100, 60), (50, 60), (20, 60))
"""Lines and characters of each: the longest that the place takes is sent."""


def compose(leads: Sequence[Lead], total: int, name: str, voice: Voice) -> Message:
    """The message about `total` leads, of which it lists the first `LINES` of `leads`, each in one line.

    `name` stands in it, so that people know a summary that a crash repeats.
    """
    return next(ever_shorter(leads, total, name, voice))


def ever_shorter(leads: Sequence[Lead], total: int, name: str, voice: Voice) -> Iterator[Message]:
    """The same message again and again, each shorter than the one before, for a place that takes only so much."""
    for lines, characters in _SIZES:
        yield _message(leads[:lines], total, name, voice, characters)


def _message(listed: Sequence[Lead], total: int, name: str, voice: Voice, characters: int) -> Message:
    say = voice.language.say
    title, more = say("summary.title", n=total), total - len(listed)
    notes = (say("digest.more", n=more),) if more > 0 else ()
    return Message(
        subject=title,
        tone=Tone.WARM,
        badge=say("summary.badge"),
        headline=title,
        summary=say("summary.about"),
        step="",
        next_title=say("summary.next"),
        next_text=say("summary.advice"),
        facts=(),
        lines_title=say("summary.leads"),
        lines=tuple(_line(lead, voice, characters) for lead in listed),
        notes=(*notes, say("summary.again", name=line(name, 120))),
        footer=say("note.footer"),
        language=voice.language.code,
    )


def _line(lead: Lead, voice: Voice, characters: int) -> str:
    badge = voice.language.say(f"deed.{notification.deed(lead)}.badge")
    who, company = notification.who(lead, voice.language), line(lead.contact.company, 60)
    people = line(who, 60) if not company or company == who else f"{line(who, 60)}, {company}"
    clock = f"{lead.arrived_at.astimezone(voice.zone):%H:%M}"
    return cut(" · ".join(part for part in (clock, badge, people, line(lead.offer_name, 60)) if part), characters)
