"""Where each offer sends its leads: what was found, what that means, what is kept of it, and which offer a title names.

Nothing here asks anybody. What Partner Center says is in `leads.partner_center`; what is kept is a row for each offer
in the table `state`.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from leads.partner_center import Product, Reading, Title, Way, Where
from leads.store.ledger import STATE
from leads.store.protocol import Row, Value
from leads.store.rows import time_read, time_text

PATH = "/api/leads"
"""Where this app takes leads by HTTPS."""
PREFIX, END = "offer:", "offer;"
"""What the keys of the rows begin with, and the first key behind them."""
LOOK_AGAIN = timedelta(hours=1)
"""The least time between two looks at one offer."""
WAITS_LONG = timedelta(days=7)
"""After this long a draft that differs is worth an alert: somebody forgot to publish it."""
PUBLISH = "Review and publish"
"""The button in Partner Center that begins a publication; "Go live" ends it."""
PUBLISHERS_KEPT = 3
_TITLES_UNITS = 24_000
"""UTF-16 units of a row's property for the titles; Azure takes 32,768."""


class Mark(StrEnum):
    """What `connect` knows of its change of a draft."""

    BEGAN = "began"
    DONE = "done"
    REFUSED = "refused"


class Verdict(StrEnum):
    """Where the live leads of an offer go."""

    THIS_APP = "this_app"
    ELSEWHERE = "elsewhere"
    NOWHERE = "nowhere"
    NEVER_PUBLISHED = "never_published"
    UNREAD = "could_not_be_read"
    NOT_COMPARABLE = "cannot_be_compared"
    DEPRECATED = "deprecated"


FINDINGS = (Verdict.ELSEWHERE, Verdict.NOWHERE, Verdict.UNREAD)
"""Verdicts that somebody has to do something about."""

_WAYS = {
    Way.NONE: "nowhere",
    Way.TABLE: "Azure Table",
    Way.HTTPS: "HTTPS",
    Way.BLOB: "Azure Blob, which Microsoft no longer fills",
    Way.DYNAMICS: "Dynamics 365",
    "email": "e-mail",
    "marketo": "Marketo",
    "salesforce": "Salesforce",
}


@dataclass(frozen=True, slots=True)
class Here:
    """This app, as an offer would name it."""

    addresses: tuple[str, ...] = ()
    """Its URLs without path; the first is the one to write."""
    account: str = ""
    """The storage account of the watched tables."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a look at an offer means."""

    verdict: Verdict
    cause: str = ""
    remedy: str = ""
    differs: bool = False
    """Whether the draft sends leads to another place than the live offer."""
    press: str = ""
    """The button in Partner Center that brings the draft to customers, where it differs."""
    publishing: bool = False
    remarks: tuple[str, ...] = ()


def name(where: Where) -> str:
    """A place as people may read it: kind and host or account, without path and query."""
    way = _WAYS.get(where.way, where.way or "unknown")
    if where.place:
        return f"{way} ({where.place})"
    return f"{way} (masked)" if where.way in (Way.TABLE, Way.BLOB) else way


def compare(where: Where | None, here: Here) -> tuple[Verdict, str]:
    """Whether a place is this app, and where it is not clear, why."""
    if where is None:
        return Verdict.NOWHERE, "The offer has no Customer leads."
    if not where.way:
        return Verdict.UNREAD, "Partner Center names no destination in a form that this app knows."
    if where.way == Way.NONE:
        return Verdict.NOWHERE, "No destination is set under Customer leads."
    if where.way == Way.TABLE:
        return _compare_table(where, here)
    if where.way == Way.HTTPS:
        return _compare_https(where, here)
    return Verdict.ELSEWHERE, f"Leads go to {name(where)}."


def _compare_table(where: Where, here: Here) -> tuple[Verdict, str]:
    if not where.place:
        return Verdict.NOT_COMPARABLE, "Microsoft masks the connection string, so its account is not known."
    if not here.account:
        return Verdict.NOT_COMPARABLE, "The storage account that this app watches is not known here: set LEADS_INBOX."
    if where.place == here.account:
        return Verdict.THIS_APP, ""
    return Verdict.ELSEWHERE, f"Leads go to the table of another account, {where.place}."


def _compare_https(where: Where, here: Here) -> tuple[Verdict, str]:
    if not where.place:
        return Verdict.NOT_COMPARABLE, "Partner Center does not show the address."
    if not here.addresses:
        return Verdict.NOT_COMPARABLE, "This app's own address is not known here: set LEADS_URL."
    for address in here.addresses:
        place, path = host_and_path(address)
        if where.place == place and where.path == f"{path}{PATH}":
            return Verdict.THIS_APP, ""
        if where.place == place:
            return Verdict.ELSEWHERE, f"The address is on this app's host, but its path is not {path}{PATH}."
    return Verdict.ELSEWHERE, f"Leads go to {name(where)}."


def host_and_path(address: str) -> tuple[str, str]:
    """Host (with a port that is not 443) and path of an address, as `partner_center.Where` holds them."""
    parts = urlsplit(address if "://" in address else f"https://{address}")
    port = f":{parts.port}" if parts.port not in (None, 443) else ""
    return f"{parts.hostname or ''}{port}", parts.path.rstrip("/").lower()


def judge(reading: Reading, here: Here) -> Judgement:
    """What a look at an offer means. Only what is live is judged; the rest are remarks."""
    if reading.product.deprecated:
        return Judgement(Verdict.DEPRECATED, "It was taken off the marketplace, so no leads are expected.")
    trouble = reading.trouble("live")
    if trouble:
        return Judgement(
            Verdict.UNREAD, trouble.cause, trouble.remedy, publishing=reading.publishing, remarks=_unread(reading)
        )
    if reading.live is None:
        verdict, cause = Verdict.NEVER_PUBLISHED, "It is not live."
    else:
        verdict, cause = compare(reading.live.leads, here)
    live = reading.live.leads if reading.live else None
    differs = reading.live is not None and reading.draft is not None and not _same(reading.draft, live)
    remarks = list(_unread(reading))
    if reading.publishing:
        remarks.append("A publication is under way.")
    if live is not None and verdict == Verdict.THIS_APP and live.way == Way.HTTPS and not live.keyed:
        remarks.append("Its address shows no function key. If leads are refused, connect it again.")
    press = ""
    if differs:
        press = "Go live" if reading.preview is not None and _same(reading.preview, reading.draft) else PUBLISH
    return Judgement(verdict, cause, _remedy(verdict), differs, press, reading.publishing, tuple(remarks))


def _same(one: Where | None, other: Where | None) -> bool:
    """Whether two places are the same as far as they can be compared: what came masked may be anything of its kind."""
    one, other = one or Where(Way.NONE), other or Where(Way.NONE)
    return one == other or (one.way == other.way and not (one.place and other.place))


def _unread(reading: Reading) -> tuple[str, ...]:
    return tuple(f"Its {one.part} could not be read: {one.cause}" for one in reading.troubles if one.part != "live")


def _remedy(verdict: Verdict) -> str:
    if verdict in (Verdict.ELSEWHERE, Verdict.NOWHERE):
        return "If its leads belong here, run `python -m leads connect` with its id, then publish the offer."
    if verdict == Verdict.UNREAD:
        return "Look at Customer leads of the offer in Partner Center."
    return ""


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer as it was last seen, and what this app did and told about it. All times are in UTC."""

    product: str
    """Partner Center's GUID of it."""
    offer_id: str
    type: str = ""
    alias: str = ""
    titles: tuple[Title, ...] = ()
    """What customers of the live offer read, by language."""
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
    told: str = ""
    """The trouble that the operators were last told of."""
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
        english = (title.text for title in self.titles if title.language.startswith("en"))
        return next(english, "") or next((title.text for title in self.titles), "") or self.alias or self.offer_id


_TIMES = ("differs_since", "published_at", "looked_at", "connected_at", "connecting_since")
_TEXTS = (
    "offer_id",
    "type",
    "alias",
    "verdict",
    "place",
    "draft",
    "press",
    "unread",
    "told",
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
    """The offer in a row that `row` made, in this or another version."""
    value = kept.values
    known: dict[str, Any] = {one: str(value.get(one, "")) for one in _TEXTS}
    known |= {one: time_read(value.get(one)) for one in _TIMES}
    titles = json.loads(str(value.get("titles", "")) or "[]")
    return Offer(
        product=kept.key.removeprefix(PREFIX),
        titles=tuple(Title(str(language), str(text)) for language, text in titles),
        publishers=tuple(one for one in str(value.get("publishers", "")).split(",") if one),
        publishing=value.get("publishing") is True,
        etag=kept.etag,
        **known,
    )


def listed(product: Product, known: Offer | None) -> Offer:
    """An offer of the list, with what is known of it."""
    known = known or Offer(product.id, product.offer_id)
    verdict = known.verdict
    if product.deprecated != (verdict == Verdict.DEPRECATED):
        verdict = Verdict.DEPRECATED if product.deprecated else ""
    return replace(known, offer_id=product.offer_id, type=product.type, alias=product.alias, verdict=verdict)


def seen(known: Offer, reading: Reading, judgement: Judgement, now: datetime) -> Offer:
    """An offer after a look. What could not be read leaves what was known as it is."""
    if judgement.verdict == Verdict.UNREAD:
        return replace(known, looked_at=now, unread=judgement.cause)
    live = reading.live.leads if reading.live else None
    differs = waits(known, reading, judgement)
    return replace(
        known,
        titles=reading.live.titles if reading.live else (),
        verdict=judgement.verdict,
        place=name(live) if live else "",
        draft=name(reading.draft) if reading.draft else "",
        press=judgement.press or (PUBLISH if differs else ""),
        differs_since=(known.differs_since or now) if differs else None,
        published_at=reading.published_at,
        publishing=judgement.publishing,
        looked_at=now,
        unread="",
    )


def waits(known: Offer, reading: Reading, judgement: Judgement) -> bool:
    """Whether the draft of a live offer waits for its publication: it differs, or `connect` wrote it afterwards.

    Two masked connection strings look alike, so what `connect` noted is the only sign of a change between them.
    """
    wrote_at = known.connecting_since or known.connected_at
    if judgement.differs or wrote_at is None or reading.live is None:
        return judgement.differs
    if reading.trouble("submissions") or reading.draft is None or reading.draft.way not in (Way.TABLE, Way.HTTPS):
        return False
    return reading.published_at is None or reading.published_at < wrote_at


def evidence(offer: Offer, last_by_table: datetime | None) -> tuple[str, ...]:
    """What speaks for or against an offer whose table cannot be compared, in sentences.

    `last_by_table` is when the last lead of this offer came out of the table.
    """
    said = []
    if last_by_table is not None and offer.published_at is not None:
        when = f"{last_by_table:%Y-%m-%d %H:%M} UTC"
        if last_by_table >= offer.published_at:
            said.append(f"A lead of it came out of the table on {when}, after its last publication.")
        else:
            said.append(f"Its last lead came out of the table on {when}, before its last publication.")
    elif last_by_table is not None:
        said.append(f"Its last lead came out of the table on {last_by_table:%Y-%m-%d %H:%M} UTC.")
    else:
        said.append("No lead of it ever came out of the table.")
    return (*said, *written(offer))


def written(offer: Offer) -> tuple[str, ...]:
    """What `connect` did to the offer, in sentences; nothing where it never did."""
    said = []
    if offer.connected_at is not None:
        said.append(f"`connect` wrote {offer.connected_to} into its draft on {offer.connected_at:%Y-%m-%d %H:%M} UTC.")
    if offer.connecting_since is not None:
        began = f"`connect` began to write {offer.connecting_to} on {offer.connecting_since:%Y-%m-%d %H:%M} UTC"
        said.append(f"{began}, and did not learn how that ended. Run it again to be sure.")
    return tuple(said)


def marked(offer: Offer, mark: Mark, to: str, now: datetime) -> Offer:
    """An offer after `connect` began to write `to` into its draft, or knows that this is done, or was refused."""
    if mark == Mark.BEGAN:
        return replace(offer, connecting_since=now, connecting_to=to)
    ended = replace(offer, connecting_since=None, connecting_to="")
    return replace(ended, connected_at=now, connected_to=to) if mark == Mark.DONE else ended


def fold(title: str) -> str:
    """A title as it is compared: without regard to case, spaces and the form of its letters."""
    return " ".join(unicodedata.normalize("NFKC", title).casefold().split())


def by_title(title: str, offers: Iterable[Offer]) -> Offer | None:
    """The one offer whose live title this is in any language; None where there is none, or more than one."""
    wanted = fold(title)
    found = [offer for offer in offers if wanted and any(fold(one.text) == wanted for one in offer.titles)]
    return found[0] if len(found) == 1 else None


def full_id(offer: Offer, publisher: str) -> str:
    """`publisher.offer` as a table row names it; empty where the publisher is not known.

    That is the one that is set, else the one that all leads of this offer named.
    """
    known = publisher or (offer.publishers[0] if len(offer.publishers) == 1 else "")
    return f"{known}.{offer.offer_id}" if known else ""


def named(offer: Offer, lead_offer: str) -> Offer:
    """The offer with the publisher noted that a lead named in `publisher.offer`, if that is this offer."""
    publisher, dot, offer_id = lead_offer.casefold().partition(".")
    if not (dot and publisher) or "," in publisher or offer_id != offer.offer_id.casefold():
        return offer
    if publisher in offer.publishers or len(offer.publishers) >= PUBLISHERS_KEPT:
        return offer
    return replace(offer, publishers=(*offer.publishers, publisher))


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
        if offer.verdict != Verdict.DEPRECATED and now.timestamp() - last(offer)[0] >= LOOK_AGAIN.total_seconds()
    ]
    return min(due, key=lambda pair: pair[0])[1] if due else None


def trouble(offer: Offer, now: datetime) -> str:
    """What the operators should hear of an offer: `elsewhere: PLACE`, `nowhere`, `waits: PLACE`, or nothing."""
    if offer.verdict == Verdict.ELSEWHERE:
        return f"elsewhere: {offer.place}"
    if offer.verdict == Verdict.NOWHERE:
        return "nowhere"
    if offer.differs_since is not None and now - offer.differs_since >= WAITS_LONG and not offer.publishing:
        return f"waits: {offer.draft}"
    return ""


def not_covered(products: Sequence[Product], types: Mapping[str, str]) -> tuple[str, ...]:
    """The types of offers of which the list names none: if there are such offers, they were not looked at."""
    there = {product.type for product in products}
    return tuple(words for type_, words in types.items() if type_ not in there)
