"""Has no lead come for far longer than usual? From how many came on which day, and nothing else.

The sweep notes each lead that it looks at, so that no finished lead is ever read for this: for the app in one row of
the table `state`, for each offer of the list in its own.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise

from leads import offers
from leads.app import App
from leads.lead import Lead, Via
from leads.messages.alert import Alert
from leads.offers import Offer
from leads.store.protocol import Changed
from leads.store.rows import time_read, time_text
from leads.sweep import alerts

LEARNED = timedelta(days=90)
"""How far back the gaps between leads are looked at."""
ENOUGH = 10
"""Leads from which on their gaps say something; an offer with fewer is not watched by itself."""
LEAST, LEAST_UNTIL_ENOUGH = 2, 7
"""Days of silence that are never worth a word, with enough leads and with fewer."""
ONCE = timedelta(days=3650)
"""Each silence is reported once."""
PUBLISHERS_KEPT = 3
NOTE = "arrivals"
APP = "marketplace"
"""What an alert calls all offers together."""


@dataclass(frozen=True, slots=True)
class Silence:
    """No lead came for longer than usual."""

    since: date
    """The day of the last lead, or the day on which the app began to wait for the first one."""
    days: int
    """Whole days without a lead, today not among them."""
    usual: int
    """The longest such time of the last 90 days; 0 where none is known."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How many leads came on which UTC day."""

    counts: Mapping[date, int]
    until: datetime | None = None
    """When the newest lead arrived that is counted."""

    @classmethod
    def read(cls, text: str) -> Arrivals:
        """Out of the text of a row; empty where there is none."""
        kept = json.loads(text or "{}")
        counts = {date.fromisoformat(day): int(count) for day, count in kept.get("days", {}).items()}
        return cls(counts, time_read(kept.get("until")))

    def text(self) -> str:
        """As it is kept in a row."""
        days = {day.isoformat(): count for day, count in sorted(self.counts.items())}
        return json.dumps({"days": days, "until": time_text(self.until) if self.until else ""})

    def with_leads(self, moments: Sequence[datetime], today: date) -> Arrivals:
        """These and the leads that arrived at `moments`, each counted once however often it is looked at.

        A lead that comes late, behind one that is counted, makes its day one with a lead and is not counted: a number
        that is too small only lets the silence be learned for longer.
        """
        counts = dict(self.counts)
        for at in moments:
            if self.until is None or at > self.until:
                counts[at.date()] = counts.get(at.date(), 0) + 1
            else:
                counts.setdefault(at.date(), 1)
        last = max(counts, default=today)
        kept = {day: count for day, count in counts.items() if day == last or today - day <= LEARNED}
        return Arrivals(kept, max((at for at in (self.until, *moments) if at), default=None))


def silence(counts: Mapping[date, int], began: date, today: date, after: int | None = None) -> Silence | None:
    """The silence that is worth an alert, or None.

    `counts` are the leads by UTC day of arrival, tests left out; `began` is the day on which the app first ran. Twice
    the longest gap of the last 90 days is allowed, at least two days, and seven as long as fewer than ten leads are
    known. `after` is a number of days that replaces all that.
    """
    days = sorted(day for day, count in counts.items() if count > 0 and day <= today)
    last = days[-1] if days else began
    recent = [day for day in days if today - day <= LEARNED]
    usual = max(((later - earlier).days - 1 for earlier, later in pairwise(recent)), default=0)
    known = sum(counts[day] for day in days)
    allowed = after if after is not None else max(2 * usual, LEAST if known >= ENOUGH else LEAST_UNTIL_ENOUGH)
    silent = (today - last).days - 1
    return Silence(last, silent, usual) if silent >= allowed else None


def counts(lead: Lead) -> bool:
    """Whether a lead ends a silence: tests and imports say nothing about whether leads come."""
    return not lead.is_test and lead.via != Via.IMPORT


def note(app: App, leads: Sequence[Lead], now: datetime) -> None:
    """Note the leads that a sweep looked at, for the app and for the offers of the list that they are of."""
    came = [lead for lead in leads if counts(lead)]
    if not came:
        return
    kept = app.ledger.note(NOTE)
    before = Arrivals.read(str(kept.values.get(NOTE, "")))
    after = before.with_leads([lead.arrived_at for lead in came], now.date())
    if after == before:
        return
    fresh = [lead for lead in came if before.until is None or lead.arrived_at > before.until]
    _note_offers(app, fresh, now)
    with contextlib.suppress(Changed):
        app.ledger.write_note(replace(kept, values={NOTE: after.text()}))


def _note_offers(app: App, leads: Sequence[Lead], now: datetime) -> None:
    known = offers.known(app.ledger) if leads else ()
    theirs: dict[str, list[Lead]] = {}
    for lead in leads:
        offer = find(lead, known)
        if offer is not None:
            theirs.setdefault(offer.product, []).append(lead)
    for offer in known:
        changed = with_leads(offer, theirs.get(offer.product, []), now)
        if changed != offer:
            with contextlib.suppress(Changed):
                offers.keep(app.ledger, changed)


def find(lead: Lead, known: Iterable[Offer]) -> Offer | None:
    """The offer of the list that a lead is of: by the id behind its publisher, else by its title."""
    known = tuple(known)
    offer_id = lead.offer.partition(".")[2].casefold()
    if not offer_id:
        return offers.by_title(lead.offer_title, known)
    return next((offer for offer in known if offer.offer_id.casefold() == offer_id), None)


def with_leads(offer: Offer, leads: Sequence[Lead], now: datetime) -> Offer:
    """An offer after leads of it: when the last one came, how many on which day, and which publisher they named."""
    if not leads:
        return offer
    came = [lead.arrived_at for lead in leads]
    by_table = [lead.arrived_at for lead in leads if lead.via == Via.TABLE]
    for lead in leads:
        if lead.via == Via.TABLE:
            offer = named(offer, lead.offer)
    return replace(
        offer,
        last_at=max(at for at in (offer.last_at, *came) if at),
        last_by_table_at=max((at for at in (offer.last_by_table_at, *by_table) if at), default=None),
        arrivals=Arrivals.read(offer.arrivals).with_leads(came, now.date()).text(),
    )


def named(offer: Offer, lead_offer: str) -> Offer:
    """The offer with the publisher noted that a lead named in `publisher.offer`, if that is this offer."""
    publisher, dot, offer_id = lead_offer.casefold().partition(".")
    if not (dot and publisher) or "," in publisher or offer_id != offer.offer_id.casefold():
        return offer
    if publisher in offer.publishers or len(offer.publishers) >= PUBLISHERS_KEPT:
        return offer
    return replace(offer, publishers=(*offer.publishers, publisher))


def report(app: App, began: datetime, now: datetime, known: frozenset[str]) -> frozenset[str]:
    """Alert about a silence once, of the app or else of single offers, and once when leads come again.

    `began` is when the app first ran; `known` are the silences that were reported and are not over, as the last call
    returned them. So nothing is looked up for what is not silent.
    """
    after = app.settings.silence_days
    if after == 0:
        return known
    kept = Arrivals.read(str(app.ledger.note(NOTE).values.get(NOTE, "")))
    whole = silence(kept.counts, began.date(), now.date(), after)
    reported = set(known)
    _report(app, APP, "", whole, kept, now, reported)
    if whole is not None:
        return frozenset(reported)
    for offer in offers.known(app.ledger):
        arrivals = Arrivals.read(offer.arrivals)
        if sum(arrivals.counts.values()) >= ENOUGH:
            found = silence(arrivals.counts, began.date(), now.date())
            _report(app, offer.title, offer.product, found, arrivals, now, reported)
    return frozenset(reported)


def _report(
    app: App, subject: str, product: str, found: Silence | None, arrivals: Arrivals, now: datetime, known: set[str]
) -> None:
    key = product or APP
    if found is None and key not in known:
        return
    known.add(key)
    reported = str(app.ledger.note(alerts.note_name("silence", key)).values.get("about", ""))
    about = found.since.isoformat() if found else ""
    if reported == about and not found:
        known.discard(key)
    if reported == about or not alerts.due(app, "silence", key, now, again_after=ONCE, about=about):
        return
    if alerts.send(app, _alert(subject, found, now) if found else _well(subject, arrivals, now)):
        alerts.note_taken(app, "silence", key, now, about)


def _alert(subject: str, found: Silence, now: datetime) -> Alert:
    usual = f"the longest gap in the last 90 days was {found.usual}" if found.usual else "that is unusual"
    return Alert(
        kind="silence",
        subject=subject,
        count=found.days,
        since=datetime(found.since.year, found.since.month, found.since.day, tzinfo=now.tzinfo),
        cause=f"No lead has come for {found.days} whole days; {usual}.",
        remedy="Check whether the offers still send their leads here (the offers on the page, or "
        "`python -m leads offers`) and whether a key was rotated: Validate in Partner Center sends a test lead, which "
        "must arrive. If business is only quiet, do nothing.",
        command="python -m leads check",
    )


def _well(subject: str, arrivals: Arrivals, now: datetime) -> Alert:
    last = arrivals.until or now
    cause = f"Leads are coming in again; the last one came at {last:%Y-%m-%d %H:%M} UTC."
    return Alert("well", subject, 1, last, cause, "Nothing to do.")
