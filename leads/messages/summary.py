"""What a summary says: one message about many leads, where single ones would flood people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from leads.lead import Contact, Lead
from leads.messages import notification
from leads.messages.message import Message, Tone
from leads.messages.notification import Voice
from leads.messages.plain import cut, line

LINES = 200
"""Leads that a summary lists at most; more are counted."""

_SIZES = ((LINES, 160), (LINES, 60), (150, 60), (100, 60), (50, 60), (20, 60))
"""Lines and characters of each: the longest that the place takes is sent."""
_READ = 200
"""Characters of a text that are looked at for a line."""


def compose(leads: Sequence[Lead], total: int, name: str, voice: Voice) -> Message:
    """The message about `total` leads, of which it lists the first `LINES` of `leads`, each in one line.

    `name` stands in it, so that people know a summary that a crash repeats.
    """
    return next(ever_shorter(leads, total, name, voice))


def ever_shorter(leads: Sequence[Lead], total: int, name: str, voice: Voice) -> Iterator[Message]:
    """The same message again and again, each shorter than the one before, for a place that takes only so much."""
    lines = [_line(lead, voice) for lead in leads[:LINES]]
    for most, characters in _SIZES:
        yield _message([cut(one, characters) for one in lines[:most]], total, name, voice)


def _message(lines: Sequence[str], total: int, name: str, voice: Voice) -> Message:
    say = voice.language.say
    title, more = say("summary.title", n=total), total - len(lines)
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
        lines=tuple(lines),
        notes=(*notes, say("summary.again", name=line(name, 120, links=True))),
        footer=say("note.footer"),
        language=voice.language.code,
    )


def _line(lead: Lead, voice: Voice) -> str:
    lead = _beginning(lead)
    badge = voice.language.say(f"deed.{notification.deed(lead)}.badge")
    who, company = notification.who(lead, voice.language), line(lead.contact.company, 60)
    people = line(who, 60) if not company or company == who else f"{line(who, 60)}, {company}"
    clock = f"{lead.arrived_at.astimezone(voice.zone):%H:%M}"
    return " · ".join(part for part in (clock, badge, people, line(lead.offer_name, 60)) if part)


def _beginning(lead: Lead) -> Lead:
    """The lead with no more of its texts than a line shows: two hundred long ones take seconds to make safe."""
    person = lead.contact
    contact = Contact(
        person.first_name[:_READ], person.last_name[:_READ], person.email[:_READ], company=person.company[:_READ]
    )
    return replace(lead, contact=contact, offer=lead.offer[:_READ], offer_title=lead.offer_title[:_READ])
