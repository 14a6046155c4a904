"""What one look at an offer means: where its live leads go, whether that is this app, and what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from leads.offers import Offer, Verdict
from leads.partner_center import Product, Reading, Way, Where
from leads.settings import Settings

PATH = "/api/leads"
"""Where this app takes leads by HTTPS."""
PUBLISH = "Review and publish"
"""The button in Partner Center that begins a publication; "Go live" ends it."""
FINDINGS = (Verdict.ELSEWHERE, Verdict.NOWHERE, Verdict.UNREAD)
"""Verdicts that need attention."""

WORDS: Mapping[str, str] = {
    Verdict.THIS_APP: "this app",
    Verdict.ELSEWHERE: "elsewhere",
    Verdict.NOWHERE: "nowhere",
    Verdict.NEVER_PUBLISHED: "never published",
    Verdict.UNREAD: "could not be read",
    Verdict.NOT_COMPARABLE: "cannot be compared",
    Verdict.DEPRECATED: "deprecated",
}
"""Each verdict as people read it, on every screen."""

_LOCAL = ("localhost", "127.0.0.1", "0.0.0.0")  # noqa: S104 - compared, not bound
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


CONNECT = (
    "If its leads belong here, set this app under Customer leads of the offer in Partner Center, or by "
    "`python -m leads connect` with its id. Then publish the offer."
)
"""What to do about an offer whose leads go elsewhere, or nowhere."""


def compare(where: Where | None, here: Here) -> tuple[Verdict, str]:
    """Whether a place is this app, and where it is not clear, why."""
    if where is None:
        return Verdict.NOWHERE, "The offer has no Customer leads."
    if not where.way:
        return Verdict.UNREAD, "Partner Center names a destination in a form that this app does not know."
    if where.way == Way.NONE:
        return Verdict.NOWHERE, "No destination is set under Customer leads."
    if where.way == Way.TABLE:
        return _compare_table(where, here)
    if where.way == Way.HTTPS:
        return _compare_https(where, here)
    return Verdict.ELSEWHERE, f"Leads go to {name(where)}."


def _compare_table(where: Where, here: Here) -> tuple[Verdict, str]:
    if not where.place:
        return Verdict.NOT_COMPARABLE, "Microsoft masks the connection string, so the app cannot see its account."
    if not here.account:
        return Verdict.NOT_COMPARABLE, "The app does not know which storage account it watches: set LEADS_INBOX."
    if where.place == here.account:
        return Verdict.THIS_APP, ""
    return Verdict.ELSEWHERE, f"Leads go to the table of another account, {where.place}."


def _compare_https(where: Where, here: Here) -> tuple[Verdict, str]:
    if not where.place:
        return Verdict.NOT_COMPARABLE, "Partner Center does not show the address."
    if not here.addresses:
        return Verdict.NOT_COMPARABLE, "The app does not know its own address: set LEADS_URL."
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
        return CONNECT
    if verdict == Verdict.UNREAD:
        return "Look at Customer leads of the offer in Partner Center."
    return ""


def here(settings: Settings, environ: Mapping[str, str]) -> Here:
    """This app: by `LEADS_URL`, by the name that the platform gives it, and by the account of the watched tables."""
    own = (settings.url, environ.get("WEBSITE_HOSTNAME", "").strip())
    account = settings.inbox.name if settings.inbox else ""
    # On one machine the platform's name is that of the local host, and the account an emulator: nothing to an offer.
    return Here(
        tuple(one for one in own if one and host_and_path(one)[0].partition(":")[0] not in _LOCAL),
        "" if account == "devstoreaccount1" else account,
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


def not_covered(products: Sequence[Product], types: Mapping[str, str]) -> tuple[str, ...]:
    """The types of offers of which the list names none: if there are such offers, they were not looked at."""
    there = {product.type for product in products}
    return tuple(words for type_, words in types.items() if type_ not in there)


def evidence(offer: Offer) -> tuple[str, ...]:
    """What speaks for or against an offer with a table that cannot be compared, in sentences."""
    said, last_by_table = [], offer.last_by_table_at
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
