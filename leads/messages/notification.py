"""What a message says about a lead: the one place that decides it, for e-mail, Teams and Slack alike.

The result is plain text in parts, already free of tricks (`plain`). How it looks is up to templates and cards.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from urllib.parse import quote

from leads.contract import Link, Step
from leads.lead import Lead, Mark, Stage
from leads.messages import languages
from leads.messages.languages import Language
from leads.messages.message import Button, Fact, Message, Tone
from leads.messages.plain import LINE_LIMIT, block, is_address, line
from leads.reader import Reader

MESSAGE_LIMIT = 4000
"""Characters of the customer's own words that a message shows."""
EARLIER_LIMIT = 5
"""Earlier steps of the customer that a message lists."""
RECENT = timedelta(days=180)
"""How long ago an earlier step may be for a message to say that the customer was here."""

_PHONE = re.compile(r"\+[0-9]{6,15}")
_DEEDS = {
    "PLT": "contact_me",
    "INS": "get_it_now",
    "CREATE": "create",
    "STARTTESTDRIVE": "test_drive",
}
_SOURCES = {
    "AZUREMARKETPLACE": "azure_marketplace",
    "AZUREPORTAL": "azure_portal",
    "SPZA": "appsource",
    "APPSOURCE": "appsource",
    "TESTDRIVE": "test_drive",
}
_STAGE_DEEDS = {Stage.INITIAL_INTEREST: "interest", Stage.TRIAL: "trial", Stage.ACTIVE: "active"}


_TONES = {
    "contact_me": Tone.URGENT,
    "create": Tone.URGENT,
    "active": Tone.URGENT,
    "do_not_contact": Tone.CALM,
    "test": Tone.GOOD,
}


@dataclass(frozen=True, slots=True)
class Voice:
    """How messages speak: their language, and the clocks they go by."""

    language: Language
    zone: tzinfo

    @classmethod
    def read(cls, reader: Reader) -> Voice:
        """Read LEADS_LANGUAGE and LEADS_TIME_ZONE.

        What is wrong with them is a warning only: a message in English is better than none.
        """
        with reader.mildly():
            return cls(languages.read(reader), languages.read_zone(reader))


def plain_voice() -> Voice:
    """English, by the clocks of UTC: how messages speak where nothing is set."""
    return Voice(languages.load(languages.DEFAULT), UTC)


def deed(lead: Lead) -> str:
    """What the customer did, as a key of the wording: by the action's code, else by the stage."""
    if lead.is_test:
        return "test"
    if lead.do_not_contact or lead.stage is Stage.DO_NOT_CONTACT:
        return "do_not_contact"
    by_source = "test_drive" if lead.source.upper() == "TESTDRIVE" else ""
    return _DEEDS.get(lead.action.upper(), "") or by_source or _STAGE_DEEDS.get(lead.stage, "unknown")


def did(lead: Lead, language: Language) -> str:
    """What the customer did, in a seller's words: `Pressed “Contact me” in AppSource`."""
    place = f"place.{_SOURCES.get(lead.source.upper(), '')}"
    return language.say(
        f"deed.{deed(lead)}.did",
        place=language.say(place) if language.has(place) else "",
        code=line(lead.action, 40) or "?",
    )


def who(lead: Lead, language: Language) -> str:
    """The customer's name, else company, else address, else words for nobody."""
    contact = lead.contact
    if lead.contact_withheld and not lead.is_test:
        return language.say("withheld.who")
    # A lead that nobody may contact is called by no address, which would invite people to.
    address = "" if deed(lead) == "do_not_contact" else line(contact.email)
    return line(contact.name) or line(contact.company) or address or language.say("note.someone")


def reply_to(lead: Lead) -> str:
    """The address that an answer may go to; empty for a test lead, for one not to contact, and for what is none."""
    if deed(lead) in {"test", "do_not_contact"}:
        return ""
    return lead.contact.email if is_address(lead.contact.email) else ""


def of_step(lead: Lead, step: Step, voice: Voice) -> Message:
    """The message about `lead` with all that a destination knows besides."""
    earlier, later = [before.lead for before in step.earlier], [after.lead for after in step.later]
    return compose(lead, earlier, step.now, voice, later=later, records=step.records, marks=step.marks)


def compose(
    lead: Lead,
    earlier: Iterable[Lead],
    now: datetime,
    voice: Voice,
    *,
    later: Iterable[Lead] = (),
    records: Sequence[Link] = (),
    marks: Collection[Mark] = (),
) -> Message:
    """The message about `lead` as read at `now`, with what the customer did before and since, oldest first."""
    say = voice.language.say
    kind = deed(lead)
    steps = [step for step in earlier if lead.is_test or not step.is_test]
    about = f"deed.{kind}"
    advice = "withheld" if lead.contact_withheld and kind not in {"test", "do_not_contact"} else about
    name = say("test.headline") if kind == "test" else who(lead, voice.language)
    badge = say(f"{about}.badge")
    return Message(
        subject=_subject(lead, f"{badge} ({say('step.short', n=len(steps) + 1)})" if steps else badge, name),
        tone=Tone.CALM if advice == "withheld" else _TONES.get(kind, Tone.WARM),
        badge=badge,
        headline=name,
        summary=" · ".join(
            part
            for part in (
                did(lead, voice.language),
                line(lead.offer_name),
                voice.language.ago(lead.created_at, now),
            )
            if part
        ),
        step=_step(steps, now, voice.language),
        next_title=say(f"{advice}.next"),
        next_text=say(f"{advice}.advice"),
        facts=tuple(fact for fact in _facts(lead, kind, now, voice, marks) if fact.value),
        buttons=_buttons(lead, kind, voice, records),
        quote_title=say("label.message"),
        quote="" if lead.is_test else block(lead.message, MESSAGE_LIMIT),
        earlier_title=say("step.earlier"),
        earlier=_earlier(steps, voice),
        notes=_notes(lead, kind, [step for step in later if not step.is_test], voice.language),
        footer=f"{say('note.footer')} {say('label.lead')}: {line(lead.id)}",
        language=voice.language.code,
    )


def _subject(lead: Lead, badge: str, name: str) -> str:
    company = line(lead.contact.company, 80)
    people = name if lead.is_test or not company or company == name else f"{line(name, 80)}, {company}"
    return " · ".join(part for part in (f"{badge}: {people}", line(lead.offer_name, 80)) if part)


def _step(earlier: Sequence[Lead], now: datetime, language: Language) -> str:
    """Which step of the customer it is, from the second on, and when they were last here if that is not long ago."""
    if not earlier:
        return ""
    last = max(step.created_at for step in earlier)
    recent = (language.say("step.here", ago=language.ago(last, now)),) if now - last <= RECENT else ()
    return " · ".join((language.step(len(earlier) + 1), *recent))


def _facts(lead: Lead, kind: str, now: datetime, voice: Voice, marks: Collection[Mark]) -> list[Fact]:
    language, contact = voice.language, lead.contact
    say = language.say
    when = f"{language.moment(lead.created_at, voice.zone)} ({language.ago(lead.created_at, now)})"
    thing = [
        Fact(say("label.offer"), line(lead.offer_name)),
        Fact(say("label.source"), _source(lead, language)),
        Fact(say("label.campaign"), _campaign(lead)),
        Fact(say("label.when"), when),
    ]
    if kind == "test":
        return thing
    person = [
        Fact(say("label.who"), line(contact.name)),
        Fact(say("label.title"), line(contact.title)),
        Fact(say("label.company"), line(contact.company)),
        Fact(say("label.country"), line(language.country(contact.country))),
    ]
    if kind != "do_not_contact":
        address = reply_to(lead)
        number = contact.phone if _PHONE.fullmatch(contact.phone) else ""
        person += [
            Fact(say("label.email"), line(contact.email), _mailto(address) if address else ""),
            Fact(say("label.marks"), ", ".join(say(f"mark.{mark}") for mark in marks)),
            Fact(say("label.phone"), line(contact.phone), f"tel:{number}" if number else ""),
        ]
    return person + thing


def _mailto(address: str) -> str:
    return f"mailto:{quote(address, safe='@')}"


def _source(lead: Lead, language: Language) -> str:
    key = f"source.{_SOURCES.get(lead.source.upper(), '')}"
    code = "-".join(part for part in (line(lead.source, 60), line(lead.action, 60)) if part)
    return f"{language.say(key)} ({code})" if language.has(key) else code


def _campaign(lead: Lead) -> str:
    pairs = [f"{line(key, 40)} = {line(value, 100)}" for key, value in lead.campaign.items()]
    return line("; ".join(pairs), 400)


def _buttons(lead: Lead, kind: str, voice: Voice, records: Sequence[Link]) -> tuple[Button, ...]:
    say = voice.language.say
    buttons = []
    address = reply_to(lead)
    if address:
        buttons.append(Button(say("button.email"), _mailto(address)))
    if kind not in {"test", "do_not_contact"} and _PHONE.fullmatch(lead.contact.phone):
        buttons.append(Button(say("button.phone"), f"tel:{lead.contact.phone}"))
    if kind != "test":
        safe = (record for record in records if record.url.startswith("https://"))
        buttons += [Button(say("button.record", crm=record.title), record.url) for record in safe]
    return tuple(buttons)


def _earlier(steps: list[Lead], voice: Voice) -> tuple[str, ...]:
    language = voice.language
    lines = [
        " · ".join(
            part
            for part in (
                language.day(step.created_at.astimezone(voice.zone).date()),
                did(step, language),
                line(step.offer_name, 80),
            )
            if part
        )
        for step in steps[-EARLIER_LIMIT:]
    ]
    more = len(steps) - len(lines)
    return (*lines, language.say("step.more", n=more)) if more else tuple(lines)


def _notes(lead: Lead, kind: str, later: list[Lead], language: Language) -> tuple[str, ...]:
    notes = []
    if kind == "test":
        return ()
    if later:
        notes.append(language.say("note.later", did=did(later[-1], language)))
    contact = lead.contact
    shown = (contact.name, contact.company, contact.title, contact.email, contact.phone, lead.offer_name)
    if len(lead.message) > MESSAGE_LIMIT or any(len(text) > LINE_LIMIT for text in shown):
        notes.append(language.say("note.cut"))
    fields = dict.fromkeys(issue.partition(":")[0].strip().lower() for issue in lead.issues)
    known = [language.say(f"label.{name}") for name in fields if language.has(f"label.{name}")]
    if known and kind != "do_not_contact":
        notes.append(language.say("note.unchecked", fields=", ".join(known)))
    return tuple(notes)
