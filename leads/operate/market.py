"""The account's offers as operators see them: what is kept of each, what a look found, and what connect did."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from leads import offers
from leads.app import App
from leads.offers import PREFIX, Offer
from leads.partner_center import SETTINGS, Settings
from leads.reader import Reader
from leads.store.ledger import STATE
from leads.store.protocol import Changed, Row
from leads.sweep import drift, verdict

OFFERS_A_CALL = 2000
TRIES = 3
_PRODUCT = re.compile(r"[a-z0-9-]{1,64}")
_LOOKED = (
    *("offer_id", "type", "alias", "titles", "verdict", "place", "draft", "press", "differs_since", "published_at"),
    *("publishing", "looked_at", "unread"),
)
"""What a look at an offer finds out; the rest of its row is the app's own."""


class Mark(StrEnum):
    """What `connect` knows of its change of a draft."""

    BEGAN = "began"
    DONE = "done"
    REFUSED = "refused"


class NotAnOffer(ValueError):
    """What should be kept is not an offer. The text says why, and quotes nothing of it."""


def kept(app: App) -> dict[str, Any]:
    """The offers as they were last seen, how an offer would name this app, and how the last look of the sweep went."""
    here = verdict.here(app.settings, app.environ)
    note = app.ledger.note(drift.NOTE).values
    return {
        "here": {"addresses": list(here.addresses), "account": here.account},
        "watched": Settings.read(Reader(app.environ, SETTINGS)).wanted,
        "listed_at": str(note.get("listed_at", "")),
        "cause": str(note.get("cause", "")),
        "remedy": str(note.get("remedy", "")),
        "offers": [as_json(offer) for offer in offers.known(app.ledger)],
    }


def as_json(offer: Offer) -> dict[str, Any]:
    """An offer as an operation answers with it; `from_json` reads it again."""
    return {"product": offer.product, "title": offer.title, **offers.row(offer).values}


def from_json(entry: Mapping[str, Any]) -> Offer:
    """The offer that `as_json` wrote. Raises NotAnOffer."""
    product = entry.get("product")
    if not isinstance(product, str) or not _PRODUCT.fullmatch(product):
        raise NotAnOffer("product must be the GUID of an offer.")
    values = {str(name): value for name, value in entry.items() if isinstance(value, str | bool)}
    try:
        return offers.read_row(Row(STATE, f"{PREFIX}{product}", values))
    except (ValueError, TypeError):
        raise NotAnOffer("A title or a time of the offer cannot be read.") from None


def keep(app: App, looked: Sequence[Offer], *, whole: bool) -> int:
    """Keep what somebody found out about offers, and return how many there are. With `whole` they are all there are."""
    known = {offer.product: offer for offer in offers.known(app.ledger)}
    for offer in looked:
        before = known.pop(offer.product, None) or Offer(offer.product, offer.offer_id)
        _write(app, before, lambda old, new=offer: replace(old, **{one: getattr(new, one) for one in _LOOKED}))
    for gone in known.values() if whole else ():
        app.store.delete(STATE, STATE, f"{PREFIX}{gone.product}")
    return len(looked)


def mark(app: App, offer: Offer, known: Mark, to: str, now: datetime) -> None:
    """Keep what `connect` knows of its change of an offer's draft to `to`."""
    row = app.store.get(STATE, STATE, f"{PREFIX}{offer.product}")
    _write(app, offers.read_row(row) if row else offer, lambda old: marked(old, known, to, now))


def _write(app: App, offer: Offer, change: Any) -> None:
    """Write a change of an offer, over whatever the sweep writes at the same time. Raises Changed in the end."""
    for attempt in range(TRIES):
        changed: Offer = change(offer)
        if changed == offer and offer.etag:
            return
        try:
            offers.keep(app.ledger, changed)
        except Changed:
            row = app.store.get(STATE, STATE, f"{PREFIX}{offer.product}")
            if attempt == TRIES - 1:
                raise
            offer = offers.read_row(row) if row else replace(offer, etag="")
        else:
            return


def marked(offer: Offer, known: Mark, to: str, now: datetime) -> Offer:
    """An offer after `connect` began to write `to` into its draft, or knows that this is done, or was refused."""
    if known == Mark.BEGAN:
        return replace(offer, connecting_since=now, connecting_to=to)
    ended = replace(offer, connecting_since=None, connecting_to="")
    return replace(ended, connected_at=now, connected_to=to) if known == Mark.DONE else ended
