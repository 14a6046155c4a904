"""The account's offers as they were last seen: a row each in the table `state`, and which of them a title names.

What one look at an offer means is in `leads.sweep.verdict`. Intake reads this, so it costs a cold start little.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from weakref import WeakKeyDictionary

from leads import log
from leads.app import App
from leads.lead import Lead
from leads.reader import Reader, Setting
from leads.store.ledger import STATE, Ledger
from leads.store.protocol import Row, Value
from leads.store.rows import time_read, time_text

SETTINGS = (
    Setting(
        "PARTNER_CENTER_PUBLISHER",
        "The publisher id, the part before the dot in `publisher.offer`. Empty: what all table leads of an offer name",
    ),
)
"""Every setting of this module."""
_ASKED_FOR = ("PARTNER_CENTER_PUBLISHER", "PARTNER_CENTER_CLIENT_ID", "PARTNER_CENTER_MANAGED_IDENTITY_CLIENT_ID")
"""One of these is set where titles should lead to offers; without any, intake does not look for a list."""
PREFIX, END = "offer:", "offer;"
"""What the keys of the rows begin with, and the first key behind them."""
REMEMBERED = timedelta(minutes=10)
"""How long a process goes by the titles that it read."""
BY_TITLE = "offer: by title"
"""What is noted on a lead that got its offer from its title."""
_TITLES_UNITS = 24_000
"""UTF-16 units of a row's property for the titles; Azure takes 32,768."""


class Verdict(StrEnum):
    """Where the live leads of an offer go."""

    THIS_APP = "this_app"
    ELSEWHERE = "elsewhere"
    NOWHERE = "nowhere"
    NEVER_PUBLISHED = "never_published"
    UNREAD = "could_not_be_read"
    NOT_COMPARABLE = "cannot_be_compared"
    DEPRECATED = "deprecated"


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer as it was last seen, and what this app did and reported about it. All times are in UTC."""

    product: str
    """Partner Center's GUID of it."""
    offer_id: str
    type: str = ""
    alias: str = ""
    titles: tuple[tuple[str, str], ...] = ()
    """What customers of the live offer read: language and text."""
    publishers: tuple[str, ...] = ()
    """Publisher ids that leads of this offer named."""
    verdict: str = ""
    """What the last look that could read it found; empty before one."""
    place: str = ""
    """Where its live leads go, as people read it."""
    draft: str = ""
    """Where the draft would send them."""
    press: str = ""
    differs_since: datetime | None = None
    published_at: datetime | None = None
    publishing: bool = False
    looked_at: datetime | None = None
    unread: str = ""
    """Why the last look failed."""
    alerted: str = ""
    """The trouble that the last alert reported."""
    last_at: datetime | None = None
    """When its last lead arrived here, tests and imports aside."""
    last_by_table_at: datetime | None = None
    arrivals: str = ""
    """How many leads of it came on which day (`leads.sweep.silence`)."""
    connected_at: datetime | None = None
    """When `connect` last knew that its change of the draft was done."""
    connected_to: str = ""
    """What it wrote: the way and the account or host."""
    connecting_since: datetime | None = None
    """When `connect` began a change whose end it has not learned."""
    connecting_to: str = ""
    etag: str = ""

    @property
    def title(self) -> str:
        """What people call it: its English title, else any, else the internal name, else the id."""
        english = (text for language, text in self.titles if language.startswith("en"))
        return next(english, "") or next((text for _, text in self.titles), "") or self.alias or self.offer_id


_TIMES = (
    "differs_since",
    "published_at",
    "looked_at",
    "last_at",
    "last_by_table_at",
    "connected_at",
    "connecting_since",
)
_TEXTS = (
    "offer_id",
    "type",
    "alias",
    "verdict",
    "place",
    "draft",
    "press",
    "unread",
    "alerted",
    "arrivals",
    "connected_to",
    "connecting_to",
)


def row(offer: Offer) -> Row:
    """The row of an offer."""
    titles = list(offer.titles)
    while len((kept := json.dumps(titles, ensure_ascii=False)).encode("utf-16-le")) > 2 * _TITLES_UNITS:
        titles.pop()
    values: dict[str, Value] = {one: getattr(offer, one) for one in _TEXTS}
    values |= {"titles": kept, "publishers": ",".join(offer.publishers), "publishing": offer.publishing}
    for one in _TIMES:
        at = getattr(offer, one)
        values[one] = time_text(at) if at else ""
    return Row(STATE, f"{PREFIX}{offer.product}", values, offer.etag)


def read_row(kept: Row) -> Offer:
    """The offer in a row that `row` made; what is missing in it is empty."""
    value = kept.values
    known: dict[str, Any] = {one: str(value.get(one, "")) for one in _TEXTS}
    known |= {one: time_read(value.get(one)) for one in _TIMES}
    titles = json.loads(str(value.get("titles", "")) or "[]")
    return Offer(
        product=kept.key.removeprefix(PREFIX),
        titles=tuple((str(language), str(text)) for language, text in titles),
        publishers=tuple(one for one in str(value.get("publishers", "")).split(",") if one),
        publishing=value.get("publishing") is True,
        etag=kept.etag,
        **known,
    )


def fold(title: str) -> str:
    """A title as it is compared: without regard to case, spaces and the form of its letters."""
    return " ".join(unicodedata.normalize("NFKC", title).casefold().split())


def by_title(title: str, offers: Iterable[Offer]) -> Offer | None:
    """The one offer whose live title this is in any language; None where there is none, or more than one."""
    wanted = fold(title)
    found = [offer for offer in offers if wanted and any(fold(text) == wanted for _, text in offer.titles)]
    return found[0] if len(found) == 1 else None


def read_publisher(reader: Reader) -> str:
    """The publisher id in small letters; empty where none is set, or one that cannot be right."""
    value = reader.text("PARTNER_CENTER_PUBLISHER").lower()
    if not value or re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,49}", value):
        return value
    reader.problem(
        "PARTNER_CENTER_PUBLISHER",
        "It must be a publisher id: letters, digits, - and _ only.",
        "Copy it from Partner Center: Account settings > Organization profile > Identifiers.",
    )
    return ""


def full_id(offer: Offer, publisher: str) -> str:
    """`publisher.offer` as a table row names it; empty where the publisher is not known.

    That is the one that is set, else the one that all leads of this offer named.
    """
    known = publisher or (offer.publishers[0] if len(offer.publishers) == 1 else "")
    return f"{known}.{offer.offer_id}" if known else ""


def known(ledger: Ledger) -> tuple[Offer, ...]:
    """The offers of the list as they are kept, in the order of their GUIDs."""
    return tuple(map(_readable, ledger.store.rows(STATE, STATE, PREFIX, END)))


def _readable(kept: Row) -> Offer:
    """The offer in a row; of one that cannot be read, only which it is, so that the next look writes it anew."""
    try:
        return read_row(kept)
    except (ValueError, TypeError):
        return Offer(kept.key.removeprefix(PREFIX), str(kept.values.get("offer_id", "")), etag=kept.etag)


def keep(ledger: Ledger, offer: Offer) -> Offer:
    """Write an offer. Raises Changed when it is not as it was read."""
    return replace(offer, etag=ledger.write_note(row(offer)).etag)


_memory: WeakKeyDictionary[Ledger, tuple[datetime, tuple[Offer, ...]]] = WeakKeyDictionary()


def of_lead(app: App, lead: Lead, now: datetime) -> Lead:
    """The lead with its offer's id, where it came with a title only and that names one offer of the list.

    Nothing waits for it, and whatever fails, the lead is taken as it is.
    """
    if lead.offer or not lead.offer_title or lead.is_test or not any(app.environ.get(name) for name in _ASKED_FOR):
        return lead
    try:
        read_at, offers = _memory.get(app.ledger) or (None, ())
        if read_at is None or not timedelta(0) <= now - read_at < REMEMBERED:
            offers = known(app.ledger)
            _memory[app.ledger] = (now, offers)
        offer = by_title(lead.offer_title, offers)
        found = full_id(offer, read_publisher(Reader(app.environ, SETTINGS))) if offer else ""
    except Exception as error:  # noqa: BLE001 - a list that cannot be read must not cost a lead
        log.event("offers_failed", part="title", error=type(error).__name__)
        return lead
    return replace(lead, offer=found, issues=(*lead.issues, BY_TITLE)) if found else lead
