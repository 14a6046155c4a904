"""The digest: one mail with the leads of a day, and what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from leads.lead import Lead, Stage, halves
from leads.messages import notification
from leads.messages.languages import Language
from leads.messages.message import Button, Tone
from leads.messages.plain import line

ROW_LIMIT = 80
"""Leads that a digest lists, the keenest first; more are counted. Gmail cuts mails at 102 KB; a row is about 1 KB."""

_READ = 200
"""Characters of a title that are looked at: thousands of long ones take minutes to make safe."""
_ORDER = (Stage.ACTIVE, Stage.TRIAL, Stage.INITIAL_INTEREST, Stage.UNKNOWN, Stage.DO_NOT_CONTACT)


@dataclass(frozen=True, slots=True)
class Mention:
    """One lead of the day."""

    clock: str
    who: str
    company: str
    did: str


@dataclass(frozen=True, slots=True)
class Group:
    """The day's leads for one offer at one stage, in order of arrival. The keenest stage comes first."""

    offer: str
    stage: str
    total: int
    rows: tuple[Mention, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """What a digest says, in plain text. The fields up to `footer` are those that every mail's layout wants."""

    subject: str
    tone: Tone
    badge: str
    headline: str
    summary: str
    step: str
    notes: tuple[str, ...]
    footer: str
    language: str
    groups: tuple[Group, ...]
    buttons: tuple[Button, ...] = ()


def bounds(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """When `day` begins and ends in `zone`: 23 or 25 hours apart where clocks change. The end is not part of it."""
    return datetime.combine(day, time(), zone), datetime.combine(day + timedelta(days=1), time(), zone)


def compose(
    leads: Iterable[Lead], day: date, zone: tzinfo, language: Language, link: str = "", others: Sequence[str] = ()
) -> Digest | None:
    """The digest of those of `leads` that arrived on `day` in `zone`; None on an empty day.

    `link` is the page of all leads; empty where its address is not known. Test leads are left out: on the
    next morning nobody needs them. `others` are the ids of leads of that day that are only counted.
    """
    begin, end = bounds(day, zone)
    found = sorted(
        (lead for lead in leads if not lead.is_test and begin <= lead.arrived_at < end),
        key=lambda lead: (lead.arrived_at, lead.id),
    )
    if not found:
        return None
    say, written = language.say, language.day(day)
    listed = sorted(found, key=lambda lead: _ORDER.index(lead.stage))[:ROW_LIMIT]
    total = len(found) + len(others)
    customers = {lead.customer for lead in found} | {halves(lead_id)[0] for lead_id in others}
    notes = (say("digest.more", n=total - len(listed)),) if total > len(listed) else ()
    return Digest(
        subject=say("digest.subject", date=written, n=total),
        tone=Tone.WARM,
        badge=say("digest.badge"),
        headline=say("digest.title", date=written),
        summary=say("digest.summary", n=total, customers=len(customers)),
        step="",
        notes=notes,
        footer=say("note.footer"),
        language=language.code,
        groups=tuple(_groups(found, listed, zone, language)),
        buttons=(Button(say("button.page"), link),) if link else (),
    )


def _groups(found: Sequence[Lead], listed: Sequence[Lead], zone: tzinfo, language: Language) -> list[Group]:
    def place(lead: Lead) -> tuple[str, int]:
        return line(lead.offer_name[:_READ], 120), _ORDER.index(lead.stage)

    totals = Counter(map(place, found))
    rows: dict[tuple[str, int], list[Mention]] = {}
    for lead in listed:
        rows.setdefault(place(lead), []).append(_row(lead, zone, language))
    # Anybody can invent an offer in a POST: those that have a row come before those that are only counted.
    shown = list(dict.fromkeys((*rows, *totals)))[:ROW_LIMIT]
    groups = []
    for offer, order in sorted(shown, key=lambda at: (not at[0], at[0].casefold(), at)):
        at, stage = (offer, order), language.say(f"stage.{_ORDER[order]}")
        groups.append(Group(offer or language.say("digest.no_offer"), stage, totals[at], tuple(rows.get(at, ()))))
    return groups


def _row(lead: Lead, zone: tzinfo, language: Language) -> Mention:
    local = lead.arrived_at.astimezone(zone)
    who = notification.who(lead, language)
    company = line(lead.contact.company, 80)
    return Mention(f"{local:%H:%M}", line(who, 80), "" if company == who else company, notification.did(lead, language))
