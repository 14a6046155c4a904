"""What the operators' page says: each address's template and its values, all plain text and free of tricks.

Personal data is masked unless the wish is to reveal it; what is masked is not in the values at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from leads import enabled, offers, partner_center
from leads.app import App
from leads.contract import Link
from leads.lead import Delivery, Lead, State
from leads.messages import languages
from leads.operate import listing, quarantine, stories
from leads.operate.page import find, overview, words
from leads.operate.page.words import ListedLead
from leads.reader import Reader
from leads.sweep import drift

LISTED, QUARANTINED = 50, 30
"""Leads, and entries of the quarantine, that a list shows."""


_SHOWN = (State.OPEN, State.DEAD, State.DELIVERED, State.SKIPPED)


class NotFound(Exception):
    """There is no page at this address. Says so in words that are safe to show."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of the page."""

    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    posted: bool
    root: str
    """Where the app's routes begin, as an absolute URL: `https://contoso.azurewebsites.net/api/`."""


@dataclass(frozen=True, slots=True)
class View:
    """A page to show."""

    template: str
    values: Mapping[str, Any]
    status: int = 200
    refresh: int = 0
    """Seconds after which the browser asks for it again; never where it is 0."""


@dataclass(frozen=True, slots=True)
class Done:
    """Something was done, and the browser goes on to this address of the page."""

    path: str


@dataclass(frozen=True, slots=True)
class Clock:
    """How the page writes times: in English, on the clocks of LEADS_TIME_ZONE."""

    now: datetime
    zone: tzinfo = UTC

    @classmethod
    def read(cls, environ: Mapping[str, str], now: datetime) -> Clock:
        """Read the zone out of the settings; `check` reports its problem, if it has one."""
        return cls(now, languages.read_zone(Reader(environ, languages.SETTINGS)))

    def moment(self, moment: datetime) -> str:
        """`21 November 2026, 12:00 UTC`."""
        return languages.load("en").moment(moment, self.zone)

    def ago(self, moment: datetime) -> str:
        """`7 min ago`."""
        return languages.load("en").ago(moment, self.now)

    def stamp(self, moment: datetime) -> str:
        """`21 Nov, 12:00:05`."""
        local = moment.astimezone(self.zone)
        return f"{words.day(local.date())}, {local:%H:%M:%S}"


def answer(app: App, wish: Wish, now: datetime, clock: Clock) -> View | Done:
    """Do what is wished. A POST to the address of a page reveals its personal data. Raises NotFound."""
    name, _, rest = wish.path.partition("/")
    if not wish.path:
        return _overview(app, wish, now, clock)
    if name == "leads":
        return _lead(app, rest, wish, now, clock) if rest else _leads(app, wish, now)
    if wish.path == "find":
        return _found(app, wish, now, clock) if wish.posted else Done("leads")
    if wish.path == "offers":
        return _offers(app)
    if name == "quarantine":
        return _bytes(app, rest, wish, now) if rest else _quarantine(app, wish)
    raise NotFound("There is no such page.")


def _overview(app: App, wish: Wish, now: datetime, clock: Clock) -> View:
    return View(
        "overview",
        {
            "section": "",
            "title": "Overview",
            "notice": words.notice(wish.query),
            "intake": f"{wish.root}leads",
            "local": wish.root.startswith("http://"),
            **overview.values(app, now, clock.ago, revealed=wish.posted),
        },
    )


def _leads(app: App, wish: Wish, now: datetime) -> View:
    state = wish.query.get("state", "")
    if state not in ("", *State):
        raise NotFound("There is no such list.")
    try:
        found = listing.listing(app, now=now, state=state or None, limit=LISTED, cursor=wish.query.get("after", ""))
    except listing.WrongCursor:
        raise NotFound("There is no such list.") from None
    here = {name: wish.query[name] for name in ("state", "after") if wish.query.get(name)}
    return View(
        "leads",
        {
            "section": "leads",
            "title": f"{state.capitalize()} leads" if state else "Leads",
            "notice": words.notice(wish.query),
            "search": find.Search(),
            "destinations": app.destinations,
            "filters": (("", "All"), *((each.value, each.value.capitalize()) for each in _SHOWN)),
            "filter": state,
            "query": f"?{urlencode(here)}" if here else "",
            "leads": [ListedLead.of(summary, revealed=wish.posted) for summary in found.leads],
            "older": f"?{urlencode({**here, 'after': found.cursor})}" if found.cursor else "",
            "looked_back_to": found.looked_back_to if found.cursor else None,
            "revealed": wish.posted,
            "nothing": words.NOTHING.get(state, words.NOTHING[""]),
        },
    )


def _found(app: App, wish: Wish, now: datetime, clock: Clock) -> View | Done:
    """Search, as the form says; what is found is masked unless the form says that it be shown."""
    search = find.Search.read(wish.form)
    if search.lead_id:
        return Done(f"leads/{search.lead_id}")
    if not search.is_dated:
        raise NotFound("A day must be written like 2026-11-21.")
    revealed, cursor = wish.form.get("reveal") == "1", wish.form.get("after", "")
    try:
        found = find.results(app, search, now, clock.zone, limit=LISTED, cursor=cursor, revealed=revealed)
    except listing.WrongCursor:
        raise NotFound("There is no such list.") from None
    return View("found", {"section": "leads", "title": "Search", "destinations": app.destinations, **found})


def _lead(app: App, lead_id: str, wish: Wish, now: datetime, clock: Clock) -> View | Done:
    story = stories.story(app, lead_id, now)
    if story is None:
        raise NotFound("There is no lead with this id. It may have been purged, or part of the id is missing.")
    if story.lead is None and story.quarantine:
        return Done(f"quarantine/{story.quarantine.name}")
    if story.lead is None:
        raise NotFound(stories.FATES.get(story.fate, "It is still being taken in. Look again in a minute."))
    shown = wish.posted
    return View(
        "lead",
        {
            "section": "leads",
            "title": f"Lead {story.id[-6:]}",
            "notice": words.notice(wish.query),
            "revealed": shown,
            "lead": story.lead,
            "row": ListedLead.of(listing.Summary(story.lead, story.deliveries), revealed=shown),
            "via": words.VIA[story.lead.via],
            "deliveries": story.deliveries,
            "links": dict(_links(app, story.lead, story.deliveries)),
            "elsewhere": [name for name in app.destinations if name not in {d.destination for d in story.deliveries}],
            "facts": words.facts(story.lead, clock.moment, revealed=shown, marks=app.marks(story.lead)),
            "message": words.message(story.lead) if shown else "",
            "message_length": len(story.lead.message),
            "issues": story.lead.issues,
            "raw": words.bytes_text(story.raw) if shown and story.raw else "",
            "others": [ListedLead.of(other, revealed=shown) for other in reversed(story.others)],
        },
    )


def _links(app: App, lead: Lead, deliveries: Sequence[Delivery]) -> Iterator[tuple[str, Link]]:
    """By destination, where what it made of the lead can be opened."""
    for delivery in deliveries:
        if not delivery.remote_id or delivery.destination not in app.destinations:
            continue
        try:
            place = enabled.read(delivery.destination, app.environ)
        except (KeyError, ImportError):
            continue
        record_url = getattr(place.module, "record_url", None)
        url = record_url(lead, [(lead, delivery.remote_id)], place.settings) if record_url else ""
        if url.startswith("https://"):
            yield delivery.destination, Link(place.title, url)


def _quarantine(app: App, wish: Wish) -> View:
    entries = list(islice(quarantine.latest(app, quarantine.COUNTED), QUARANTINED))
    return View(
        "quarantine",
        {
            "section": "quarantine",
            "title": "Quarantine",
            "notice": words.notice(wish.query),
            "entries": entries,
            "more": max(0, quarantine.count(app) - len(entries)),
            "via": words.VIA,
        },
    )


def _offers(app: App) -> View:
    """Where each offer sends its leads, as it was last seen: nothing here asks Partner Center."""
    kept = app.ledger.note(drift.NOTE).values
    return View(
        "offers",
        {
            "section": "offers",
            "title": "Offers",
            "notice": None,
            "offers": sorted(map(words.Offered.of, offers.known(app.ledger)), key=lambda one: one.order),
            "cause": str(kept.get("cause", "")),
            "remedy": str(kept.get("remedy", "")),
            "watched": partner_center.Settings.read(Reader(app.environ, partner_center.SETTINGS)).wanted,
        },
    )


def _bytes(app: App, name: str, wish: Wish, now: datetime) -> View:
    story = stories.story(app, name, now)
    if story is None or story.quarantine is None:
        raise NotFound("There is nothing with this name in quarantine. It may have been replayed.")
    return View(
        "bytes",
        {
            "section": "quarantine",
            "title": "In quarantine",
            "notice": words.notice(wish.query),
            "entry": story.quarantine,
            "via": words.VIA,
            "kept": bool(story.raw),
            "revealed": wish.posted,
            "text": words.bytes_text(story.raw) if wish.posted and story.raw else "",
        },
    )
