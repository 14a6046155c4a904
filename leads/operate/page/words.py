"""The words of the operators' page about leads: masked or revealed, always plain and without tricks."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from urllib.parse import quote

from leads import redact
from leads.lead import Lead, Mark, Stage, State, Via
from leads.messages import languages, notification, plain
from leads.messages.message import Fact
from leads.messages.plain import cut
from leads.offers import Offer, Verdict
from leads.operate import health
from leads.operate.listing import Summary
from leads.sweep import verdict

# No browser makes links of words, and an offer's id must be as it is when it is copied.
line, block = partial(plain.line, links=True), partial(plain.block, links=True)

MESSAGE_LIMIT = 8000
BYTES_LIMIT = 12_000
"""Characters of raw bytes that are shown; a real lead has one or two thousand."""

VIA: Mapping[Via, str] = {
    Via.HTTPS: "by HTTPS",
    Via.TABLE: "through the table",
    Via.IMPORT: "by import",
}
NOTHING: Mapping[str, str] = {
    "": "No lead has arrived yet. The overview shows how to connect Partner Center.",
    "open": "Nothing is open: every lead is finished.",
    "dead": "Nothing died. A delivery that the app gave up would wait here for you to replay it.",
    "delivered": "No lead has been delivered everywhere yet.",
    "skipped": "No lead was skipped everywhere. Test leads and leads older than the app may be.",
}


def day(of: date) -> str:
    """`21 Nov`."""
    month = languages.load("en").texts["time.months"][of.month - 1]
    return f"{of.day} {month[:3]}"


def some(number: int, one: str, several: str = "") -> str:
    """`1 lead`, `2,000 leads`."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def span(seconds: float) -> str:
    """How long something took: `0.8 s`, `45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


@dataclass(frozen=True, slots=True)
class Notice:
    """What became of the button that was pressed."""

    text: str
    bad: bool = False


def notice(query: Mapping[str, str]) -> Notice | None:
    """What the address says was done. Only words of ours are ever shown."""
    done, number = query.get("done", ""), query.get("n", "")
    if done == "replayed" and number.isascii() and number.isdecimal() and len(number) < 5:
        count = int(number)
        if count == 0:
            return Notice("There was nothing to replay: it is under way already.", bad=True)
        return Notice(f"{'1 delivery is' if count == 1 else f'{count} deliveries are'} on the way again.")
    if done == "taken":
        return Notice("It could be read now: here is the lead.")
    if done == "unreadable":
        return Notice("It still cannot be read as a lead, and stays here.", bad=True)
    return None


@dataclass(frozen=True, slots=True)
class Offered:
    """One offer of the account, as the page shows it."""

    title: str
    offer_id: str
    word: str
    """The verdict, or that there is none yet."""
    dot: str
    """How that feels: `d` good, `o` to be looked at, `x` bad, `s` neither."""
    said: tuple[str, ...]
    last_at: datetime | None
    looked_at: datetime | None

    @property
    def order(self) -> tuple[int, str]:
        """Where it stands in the list: what needs attention first, then by title."""
        return "xods".index(self.dot), self.title.casefold()

    @classmethod
    def of(cls, offer: Offer) -> Offered:
        """The words about an offer as it was last seen."""
        known = offer.verdict
        where = "nowhere" if known == Verdict.NOWHERE else f"to {offer.place}"
        said = [f"Its live leads go {where}."] if offer.place else []
        if known == Verdict.NOT_COMPARABLE:
            said += verdict.evidence(offer)
        else:
            said += verdict.written(offer)
        if offer.press:
            said.append(f"Its draft differs ({offer.draft}). Press “{offer.press}” in Partner Center.")
        if offer.publishing:
            said.append("A publication is under way.")
        if offer.unread:
            said.append(f"The last look could not read it: {offer.unread}")
        dot = {
            Verdict.THIS_APP: "d",
            Verdict.ELSEWHERE: "x",
            Verdict.NOWHERE: "x",
            Verdict.NOT_COMPARABLE: "o",
        }.get(known, "s")  # type: ignore[call-overload]
        return cls(
            title=line(offer.title, 200),
            offer_id=line(offer.offer_id, 100),
            word=verdict.WORDS.get(known, "not looked at yet"),
            dot="o" if offer.unread and dot != "x" else dot,
            said=tuple(line(sentence, 500).replace("`", "") for sentence in said),
            last_at=offer.last_at,
            looked_at=offer.looked_at,
        )


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the overview, and the page behind it."""

    path: str
    number: int
    label: str
    alarm: str = ""
    """`wait` or `bad`: how it feels when it is not zero."""

    @property
    def mood(self) -> str:
        """How it feels."""
        return self.alarm if self.number else ""


_LOOKED_AT: Mapping[str, tuple[str, str]] = {
    "": ("check", "Check all settings"),
    "open": ("leads?state=open", "See what is open"),
    "destinations": ("leads?state=open", "See what is open"),
    "dead": ("leads?state=dead", "See what died"),
    "quarantine": ("quarantine", "Open the quarantine"),
}
"""By what a reason is about: the address of the page where it is looked at, and what the link says."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of health, with the commands in it apart, and where on the page it is looked at."""

    pieces: tuple[tuple[str, bool], ...]
    """Text, and whether it is a command."""
    path: str
    label: str
    """What the link there says."""

    @classmethod
    def of(cls, reason: health.Reason) -> Reason:
        """Part the sentences at their backquotes. Where the page has the list itself, no command is needed."""
        text = f"{reason.setting}: " if reason.setting else ""
        remedy = "" if reason.about else reason.remedy
        pieces = f"{text}{reason.cause} {remedy}".strip().split("`")
        path, label = _LOOKED_AT[reason.about]
        return cls(tuple((piece, number % 2 == 1) for number, piece in enumerate(pieces) if piece), path, label)


def headline(dead: int, reasons: int, *, any_lead: bool, ran: bool) -> str:
    """How it is, in a few words. `ran` says whether the sweep ever did; before that nothing can be wrong for long."""
    if dead:
        return "One lead needs you" if dead == 1 else f"{dead} leads need you"
    if reasons and not ran:
        return "It has just started"
    if reasons:
        return "One thing needs a look" if reasons == 1 else f"{reasons} things need a look"
    return "All is well" if any_lead else "Ready for the first lead"


@dataclass(frozen=True, slots=True)
class ListedLead:
    """A lead in a list."""

    id: str
    arrived_at: datetime
    who: str
    detail: str
    """E-mail address and company, as far as they came."""
    did: str
    stage: Stage
    offer: str
    exceptions: tuple[tuple[str, str], ...]
    """Destination and state of each delivery that died or is under way, the dead first."""
    rest: str
    """How many others there are, and how they stand."""
    is_well: bool
    """Whether any of the others was delivered."""

    @classmethod
    def of(cls, summary: Summary, *, revealed: bool) -> ListedLead:
        """The row of a lead and its deliveries."""
        lead, contact = summary.lead, summary.lead.contact
        name = line(contact.name, 80)
        email = line(contact.email, 120)
        company = line(contact.company, 80)
        if not revealed:
            name, email, company = redact.mask_name(name), redact.mask_email(email), redact.safe(company)
        who = name or company or email or _nobody(lead)
        detail = " · ".join(part for part in (email, company) if part and part != who)
        english = languages.load("en")
        return cls(
            id=lead.id,
            arrived_at=lead.arrived_at,
            who=who,
            detail=detail,
            did=english.say(f"deed.{notification.deed(lead)}.badge"),
            stage=lead.stage,
            offer=line(lead.offer_name, 80),
            exceptions=_exceptions(summary),
            rest=_rest(summary),
            is_well=any(each.state == State.DELIVERED for each in summary.deliveries),
        )


def _exceptions(summary: Summary) -> tuple[tuple[str, str], ...]:
    order = (State.DEAD, State.OPEN)
    found = [each for each in summary.deliveries if each.state in order]
    found.sort(key=lambda each: order.index(each.state))
    return tuple((each.destination, each.state.value) for each in found)


def _rest(summary: Summary) -> str:
    """`delivered`, `all 11 delivered`, `9 delivered, 2 skipped`."""
    numbers = Counter(each.state for each in summary.deliveries)
    said = [(numbers[state], state.value) for state in (State.DELIVERED, State.SKIPPED) if numbers[state]]
    whole = len(summary.deliveries)
    if not whole:
        return "sent to nobody" if summary.state == State.SKIPPED else ""
    if len(said) == 1 and said[0][0] == whole:
        return said[0][1] if whole == 1 else f"all {whole} {said[0][1]}"
    return ", ".join(f"{number} {state}" for number, state in said)


def _nobody(lead: Lead) -> str:
    if lead.contact_withheld:
        return "Microsoft withheld the person"
    return "Nobody is named" if lead.source or lead.action or lead.offer_name else "Being taken in"


def facts(lead: Lead, moment: Callable[[datetime], str], *, revealed: bool, marks: Collection[Mark] = ()) -> list[Fact]:
    """What came with a lead, as far as it came, and what the domain of the address says."""
    english = languages.load("en")
    contact = lead.contact
    name, email, phone = line(contact.name), line(contact.email), line(contact.phone)
    # What nobody expects there: an address that a link to the listing carried, or one in the wrong field.
    masked = (lambda text: text) if revealed else redact.safe
    address = notification.reply_to(lead)
    link = f"mailto:{quote(address, safe='@')}" if revealed and address else ""
    if not revealed:
        name, email, phone = redact.mask_name(name), redact.mask_email(email), redact.mask_phone(phone)
    offer = [line(lead.offer_title), line(lead.offer)]
    campaign = [masked(f"{line(key, 40)} = {line(value, 120)}") for key, value in list(lead.campaign.items())[:20]]
    found = [
        Fact("Name", name),
        Fact("E-mail", email, link),
        Fact(english.say("label.marks"), ", ".join(english.say(f"mark.{mark}") for mark in marks)),
        Fact("Phone", phone),
        Fact("Company", masked(line(contact.company))),
        Fact("Title", masked(line(contact.title))),
        Fact("Country", english.country(line(contact.country, 60))),
        Fact("Offer", "\n".join(part for part in offer if part)),
        Fact("Source", "-".join(part for part in (line(lead.source, 60), line(lead.action, 60)) if part)),
        Fact("Stage", english.say(f"stage.{lead.stage}")),
        Fact("Campaign", "\n".join(campaign)),
        Fact("Created", moment(lead.created_at)),
    ]
    if revealed:
        extra = [
            f"{line(key, 60)} = {line(json.dumps(value, ensure_ascii=False), 300)}"
            for key, value in list(lead.extra.items())[:20]
        ]
        found.append(Fact("Also came", "\n".join(extra)))
    return [fact for fact in found if fact.value]


def message(lead: Lead) -> str:
    """The customer's own words."""
    return block(lead.message, MESSAGE_LIMIT)


def bytes_text(data: bytes) -> str:
    """Bytes as they arrived, readable: JSON indented, everything else line by line, and never a trick.

    Only what is small is indented: deeply nested JSON grows a thousandfold.
    """
    text = data[: 4 * BYTES_LIMIT].decode("utf-8", "replace")
    if len(data) <= BYTES_LIMIT:
        with contextlib.suppress(ValueError, RecursionError):
            text = json.dumps(json.loads(data), ensure_ascii=False, indent=2)
    return cut("\n".join(_plain_lines(text)), BYTES_LIMIT)


def _plain_lines(text: str) -> Iterator[str]:
    for each in text[: 2 * BYTES_LIMIT].split("\n"):
        yield " " * min(len(each) - len(each.lstrip(" ")), 40) + line(each, 2000)
