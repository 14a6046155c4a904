"""Do the account's offers still send their leads here? One look at one offer in each sweep, and the alert about it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from leads import log, offers, partner_center
from leads.app import App
from leads.errors import Failure
from leads.messages.alert import Alert
from leads.offers import PREFIX, Offer, Verdict
from leads.partner_center import Catalog, PartnerCenter, Product, Settings
from leads.reader import Reader
from leads.store.ledger import STATE
from leads.store.protocol import Changed, Value
from leads.store.rows import time_read, time_text
from leads.sweep import alerts, verdict
from leads.transport import Deadline

NOTE = "partner-center"
"""The row of the table `state` that says when the list was last read, and what went wrong."""
LIST_AGAIN = timedelta(hours=1)
LOOK_SECONDS = 25.0
"""What a sweep spends on it at most."""
LOOK_AGAIN = timedelta(hours=1)
"""The least time between two looks at one offer."""
WAITS_LONG = timedelta(days=7)
"""After this long a draft that differs is worth an alert: somebody forgot to publish it."""


def look(app: App, now: datetime) -> None:
    """Read the list of offers when that is due, look at the next one, and alert about what changed.

    Does nothing without settings. A failure at Partner Center is noted for `check`, and disturbs nothing else.
    """
    reader = Reader(app.environ, partner_center.SETTINGS)
    settings = Settings.read(reader)
    if not settings.wanted or reader.problems:
        return
    note = app.ledger.note(NOTE)
    values: dict[str, Value] = {**note.values, "cause": "", "remedy": ""}
    listed_at, next_at = time_read(values.get("listed_at")), time_read(values.get("next_at"))
    list_due = listed_at is None or not timedelta(0) <= now - listed_at < LIST_AGAIN
    if not list_due and next_at is not None and timedelta(0) < next_at - now <= LOOK_AGAIN:
        return
    seen: Offer | None = None
    try:
        client, deadline = PartnerCenter(settings), Deadline.after(LOOK_SECONDS)
        if list_due:
            take_list(app, client.catalog(deadline))
            values["listed_at"] = time_text(now)
        known = offers.known(app.ledger)
        chosen = next_look(known, now)
        if chosen is not None:
            seen = _look_at(app, client, chosen, deadline, now)
            known = tuple(seen if offer.product == seen.product else offer for offer in known)
        values["next_at"] = time_text(_next_at(known, now))
    except Failure as failure:
        log.event("offers_failed", part="look", error=type(failure).__name__)
        values |= {"cause": failure.cause, "remedy": failure.remedy, "next_at": ""}
    except Changed:
        pass  # Somebody wrote the same offer at the same time; its turn comes again.
    except Exception as error:  # noqa: BLE001 - a bug of ours here must not make the whole sweep count as failed
        log.event("offers_failed", part="look", error=type(error).__name__)
        cause = f"The look at the offers failed with an unexpected error ({type(error).__name__})."
        values |= {"cause": cause, "remedy": "Report it with the name of the error.", "next_at": ""}
    if values != note.values:
        with contextlib.suppress(Changed):
            app.ledger.write_note(replace(note, values=values))
    if seen is not None:
        report(app, seen, now)


def _next_at(known: Iterable[Offer], now: datetime) -> datetime:
    """When the next offer is due, an hour from now at the latest."""
    due = [offer.looked_at + LOOK_AGAIN if offer.looked_at else now for offer in known if not _is_gone(offer)]
    return min([*due, now + LOOK_AGAIN])


def _is_gone(offer: Offer) -> bool:
    return offer.verdict == Verdict.DEPRECATED


def _look_at(app: App, client: PartnerCenter, offer: Offer, deadline: Deadline, now: datetime) -> Offer:
    product = Product(offer.product, offer.offer_id, offer.type, offer.alias)
    reading = client.look(product, deadline)
    judged = verdict.judge(reading, verdict.here(app.settings, app.environ))
    return offers.keep(app.ledger, verdict.seen(offer, reading, judged, now))


def take_list(app: App, catalog: Catalog) -> None:
    """Keep the offers of the list; one that is no longer in it is dropped, where the whole list could be read."""
    known = {offer.product: offer for offer in offers.known(app.ledger)}
    for product in catalog.products:
        before = known.pop(product.id, None)
        offer = verdict.listed(product, before)
        if offer != before:
            with contextlib.suppress(Changed):
                offers.keep(app.ledger, offer)
    for gone in known.values() if not catalog.unread else ():
        app.store.delete(STATE, STATE, f"{PREFIX}{gone.product}")


def next_look(offers: Iterable[Offer], now: datetime) -> Offer | None:
    """The offer that was not looked at for longest, an hour at least; None where none is due.

    One for each sweep: with a sweep every five minutes, 288 offers are seen within a day.
    """

    def last(offer: Offer) -> tuple[float, str]:
        # A time to come was noted by a clock that ran ahead: it counts for nothing.
        at = offer.looked_at if offer.looked_at is not None and offer.looked_at <= now else None
        return (at.timestamp() if at else 0.0), offer.product

    due = [
        (last(offer), offer)
        for offer in offers
        if not _is_gone(offer) and now.timestamp() - last(offer)[0] >= LOOK_AGAIN.total_seconds()
    ]
    return min(due, key=lambda pair: pair[0])[1] if due else None


def trouble(offer: Offer, now: datetime) -> str:
    """What an alert should say of an offer: `elsewhere: PLACE`, `nowhere`, `waits: PLACE`, or nothing."""
    if offer.verdict == Verdict.ELSEWHERE:
        return f"elsewhere: {offer.place}"
    if offer.verdict == Verdict.NOWHERE:
        return "nowhere"
    if offer.differs_since is not None and now - offer.differs_since >= WAITS_LONG and not offer.publishing:
        return f"waits: {offer.draft}"
    return ""


def report(app: App, offer: Offer, now: datetime) -> None:
    """Alert about an offer once for each change, and once when the trouble is over."""
    about = trouble(offer, now)
    if about == offer.alerted or not alerts.due(app, "offer", offer.product, now):
        return
    alert = _alert(offer, now) if about else _well(offer, now)
    if alerts.send(app, alert):
        with contextlib.suppress(Changed):
            offers.keep(app.ledger, replace(offer, alerted=about))


def _alert(offer: Offer, now: datetime) -> Alert:
    if offer.verdict in (Verdict.ELSEWHERE, Verdict.NOWHERE):
        where = f"go to {offer.place}" if offer.verdict == Verdict.ELSEWHERE else "go nowhere"
        cause = f"The leads of the live offer {offer.offer_id} {where}, not to this app."
        remedy = verdict.CONNECT
        since = offer.published_at or now
    else:
        cause = f"The draft of {offer.offer_id} sends leads to {offer.draft}, and has not been published for a week."
        remedy = f'Press "{offer.press}" on the offer in Partner Center, or undo the change to the draft.'
        since = offer.differs_since or now
    return Alert("offer", offer.title, 1, since, cause, remedy, "python -m leads offers")


def _well(offer: Offer, now: datetime) -> Alert:
    if offer.verdict == Verdict.THIS_APP:
        cause = f"The leads of {offer.offer_id} come to this app."
    elif offer.verdict == Verdict.NOT_COMPARABLE:
        cause = f"The leads of {offer.offer_id} now go to {offer.place}. The app cannot tell whether that is this app."
    else:
        cause = f"{offer.offer_id} is no longer live."
    return Alert("well", offer.title, 1, now, cause, "Nothing to do.")
