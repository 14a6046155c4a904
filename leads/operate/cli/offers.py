"""The commands `offers` and `connect`: where each offer of the account sends its leads, and pointing it at this app.

Partner Center is asked from here, with the settings of this machine; what is found is kept by the app, if it can be
reached, and what it knows of each offer is shown beside.
"""

from __future__ import annotations

import getpass
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from leads import offers as offer_list
from leads import settings as app_settings
from leads.errors import Failure, Throttled
from leads.offers import Offer, Verdict, full_id, read_publisher
from leads.operate import connect, market
from leads.operate.cli import azure
from leads.operate.cli.look import FINDING, FINE, WRONG_USE, Call
from leads.operate.cli.screen import Screen, printable, some
from leads.operate.operations import WrongUse
from leads.partner_center import CALL_SECONDS, SETTINGS, TYPES, Catalog, PartnerCenter, Product, Reading, Settings
from leads.reader import Problem, Reader
from leads.sweep import verdict
from leads.sweep.verdict import Here, Judgement
from leads.transport import LONGEST_WAIT, Deadline

LOOK_SECONDS = 2 * CALL_SECONDS
"""What one look at one offer may take, with up to five calls."""
THROTTLED_TRIES = 5
THROTTLED_SECONDS = 30.0
"""The wait after a 429 that names none."""
pause, clock = time.sleep, time.monotonic
_T = TypeVar("_T")

_MOODS = {Verdict.THIS_APP: "good", Verdict.NOT_COMPARABLE: "wait", Verdict.NEVER_PUBLISHED: "soft"}
_WHERE = "Partner Center > Marketplace offers"


@dataclass
class Market:
    """The account, seen from this machine, and what the app knows of it."""

    client: PartnerCenter
    here: Here
    publisher: str
    catalog: Catalog
    known: dict[str, Offer]
    unknown_because: str
    """Why the app could not be asked; empty where it was."""
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class Seen:
    """One offer after a look."""

    offer: Offer
    reading: Reading
    judged: Judgement


def offers(call: Call, options: Namespace, screen: Screen) -> int:
    """Tell where each offer sends its leads. Changes nothing at Partner Center."""
    there = _enter(call, options, screen)
    if there is None:
        return WRONG_USE
    now = datetime.now(UTC)
    seen = [_look(there, product, now) for product in screen.progress(there.catalog.products, "offers")]
    _keep(call, there, seen, screen)
    covered = verdict.not_covered(there.catalog.products, TYPES)
    screen.answer(
        {
            "offers": [_as_json(one, there) for one in seen],
            "not_covered": list(covered),
            "unread": there.catalog.unread,
            "remarks": [there.unknown_because] if there.unknown_because else [],
        }
    )
    for one in seen:
        _show(one, there, screen)
    _show_rest(there, seen, covered, screen)
    found = sum(one.judged.verdict in verdict.FINDINGS for one in seen)
    return FINDING if found or there.catalog.unread else FINE


def _enter(call: Call, options: Namespace, screen: Screen) -> Market | None:
    """Sign in and read the list of offers. None, and the reason told, where there are no settings for that."""
    reader = Reader(options.environ, (*SETTINGS, *offer_list.SETTINGS))
    made = Settings.read(reader)
    publisher = read_publisher(reader)
    if not made.wanted:
        screen.trouble(
            "The sign-in to Partner Center is not set up.",
            "Set PARTNER_CENTER_TENANT_ID, PARTNER_CENTER_CLIENT_ID and PARTNER_CENTER_CLIENT_SECRET; docs/connect.md "
            "says how to get them.",
        )
        return None
    if reader.problems:
        for problem in reader.problems:
            screen.trouble(f"{problem.setting}: {problem.cause}", problem.remedy)
        return None
    kept, because = _kept(call)
    client = PartnerCenter(made)
    catalog = _patient(lambda: client.catalog(Deadline.after(LOOK_SECONDS)))
    known = {offer.product: offer for offer in map(market.from_json, kept.get("offers", ()))}
    return Market(client, _here(kept, options), publisher, catalog, known, because)


def _kept(call: Call) -> tuple[dict[str, Any], str]:
    """What the app knows, or why it could not be asked: where leads go can be told without it."""
    try:
        return call("offers", {}), ""
    except Failure as failure:
        return {}, f"What the app knows of its leads is not shown: {failure.cause} {failure.remedy}"
    except WrongUse:
        raise
    except Exception as error:  # noqa: BLE001 - its text may hold a connection string
        from leads.operate.check import explained

        return {}, f"What the app knows of its leads is not shown: {' '.join(explained(error))}"


def _here(kept: Mapping[str, Any], options: Namespace) -> Here:
    """This app: as it says itself, else as the settings of this machine say; its address at last by `--url`."""
    mine = verdict.here(app_settings.read(options.environ), options.environ)
    its = kept.get("here", {})
    # Of --url only the host counts, as everywhere.
    given = verdict.here(app_settings.Settings(), {"WEBSITE_HOSTNAME": verdict.host_and_path(options.url or "")[0]})
    addresses = (*its.get("addresses", ()), *mine.addresses, *given.addresses)
    return Here(tuple(dict.fromkeys(addresses)), str(its.get("account") or mine.account))


def _patient(ask: Callable[[], _T]) -> _T:
    """What Partner Center answers, waiting as long as it wants where it asks for fewer calls. Raises its failures."""
    for _ in range(THROTTLED_TRIES):
        try:
            return ask()
        except Throttled as failure:
            pause(min(failure.retry_after or THROTTLED_SECONDS, LONGEST_WAIT))
    return ask()


def _look(there: Market, product: Product, now: datetime) -> Seen:
    if product.deprecated:
        reading = Reading(product)
    else:
        reading = _patient(lambda: there.client.look(product, Deadline.after(LOOK_SECONDS)))
    judged = verdict.judge(reading, there.here)
    offer = verdict.listed(product, there.known.get(product.id))
    return Seen(offer if product.deprecated else verdict.seen(offer, reading, judged, now), reading, judged)


def _keep(call: Call, there: Market, seen: Sequence[Seen], screen: Screen) -> None:
    """Let the app keep what was found: it knows offers by their titles from then on."""
    if there.unknown_because:
        return
    try:
        entries = [market.as_json(one.offer) for one in seen]
        call("keep-offers", {"offers": entries, "whole": not there.catalog.unread})
    except Failure as failure:
        screen.trouble(f"The app did not keep this: {failure.cause}", failure.remedy)


def _as_json(one: Seen, there: Market) -> dict[str, Any]:
    offer, judged = one.offer, one.judged
    return {
        "offer_id": offer.offer_id,
        "id": full_id(offer, there.publisher),
        "title": offer.title,
        "titles": dict(offer.titles),
        "type": offer.type,
        "alias": offer.alias,
        "verdict": judged.verdict.value,
        "cause": judged.cause,
        "remedy": judged.remedy,
        "place": offer.place,
        "draft": offer.draft,
        "differs": offer.differs_since is not None,
        "press": offer.press,
        "publishing": judged.publishing,
        "published_at": _moment(offer.published_at),
        "last_lead_at": _moment(offer.last_at),
        "remarks": list(judged.remarks),
        "evidence": list(_evidence(one)),
    }


def _evidence(one: Seen) -> tuple[str, ...]:
    if one.judged.verdict == Verdict.NOT_COMPARABLE:
        return verdict.evidence(one.offer)
    return verdict.written(one.offer)


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _show(one: Seen, there: Market, screen: Screen) -> None:
    offer, judged = one.offer, one.judged
    word = screen.paint(verdict.WORDS[judged.verdict].ljust(18), _MOODS.get(judged.verdict, "bad"))
    kind = TYPES.get(offer.type, offer.type)
    screen.line(f"{word}  {screen.paint(printable(offer.title), 'strong')}  {printable(offer.offer_id)}  {kind}")
    for language, text in offer.titles:
        if text != offer.title:
            screen.line(f"      in {printable(language)}: {printable(text)}")
    said = [judged.cause, *judged.remarks, *_evidence(one)]
    if offer.press:
        said.append(f'Its draft differs ({offer.draft}). Press "{offer.press}" there to bring it to customers.')
    if not there.unknown_because and judged.verdict != Verdict.DEPRECATED:
        last = f"{offer.last_at:%Y-%m-%d %H:%M} UTC" if offer.last_at else "not known"
        said.append(f"Its last lead here: {last}.")
    for sentence in filter(None, said):
        screen.line(f"      {printable(sentence)}")
    if judged.remedy:
        screen.line(f"      {screen.paint('→', 'good')} {printable(judged.remedy)}")


def _show_rest(there: Market, seen: Sequence[Seen], covered: Sequence[str], screen: Screen) -> None:
    if there.catalog.unread:
        screen.line(f"\n{some(there.catalog.unread, 'entry', 'entries')} of the list could not be read.")
    if there.unknown_because:
        screen.line(f"\n{printable(there.unknown_because)}")
    if covered:
        screen.line(
            f"\nNot checked, because the list has none: {', '.join(covered)}. "
            "If you have such offers, check them by hand."
        )
    found = sum(one.judged.verdict in verdict.FINDINGS for one in seen)
    screen.line(f"\n{some(len(seen), 'offer')}, {found} need attention." if found else f"\n{some(len(seen), 'offer')}.")


def connect_offers(call: Call, options: Namespace, screen: Screen) -> int:
    """Point the drafts of offers at this app, after showing what changes. Never publishes."""
    if bool(options.offers) == options.all:
        screen.trouble("Which offers?", "Name them as `offers` lists them, or give --all.")
        return WRONG_USE
    there = _enter(call, options, screen)
    if there is None:
        return WRONG_USE
    chosen, alone = _chosen(there, options)
    for product, reason in alone:
        screen.line(f"left alone  {printable(product.offer_id)}  {printable(reason)}")
    if not chosen:
        screen.line("There is nothing to connect.")
        screen.answer(_result([], [], [], alone))
        return FINE
    wanted = _wanted(there, options, screen)
    plans, failed = _plans(there, chosen, wanted, screen)
    if not plans or not screen.confirmed(f"Set the draft of {some(len(plans), 'offer')}?", yes=options.yes):
        screen.answer(_result([], plans, failed, alone))
        return FINDING if failed else FINE
    done = [plan for plan in plans if _apply(call, there, plan, failed, screen)]
    if done:
        screen.line(
            f'\nOnly drafts have changed. {_WHERE} > the offer > "{verdict.PUBLISH}", and later "Go live": that '
            "brings everything in the draft to customers."
        )
    screen.answer(_result(done, [], failed, alone))
    return FINDING if failed else FINE


_Failed = list[tuple[Product, Failure]]


def _result(
    done: Sequence[connect.Plan],
    would: Sequence[connect.Plan],
    failed: _Failed,
    alone: Sequence[tuple[Product, str]],
) -> dict[str, Any]:
    def told(plan: connect.Plan) -> dict[str, Any]:
        return {
            "offer_id": plan.product.offer_id,
            "before": verdict.name(plan.before),
            "after": verdict.name(plan.after),
            "press": verdict.PUBLISH,
        }

    return {
        "connected": [told(plan) for plan in done],
        "would_connect": [told(plan) for plan in would],
        "failed": [{"offer_id": one.offer_id, "cause": f.cause, "remedy": f.remedy} for one, f in failed],
        "left_alone": [{"offer_id": one.offer_id, "reason": reason} for one, reason in alone],
    }


def _chosen(there: Market, options: Namespace) -> tuple[list[Product], list[tuple[Product, str]]]:
    """The offers to connect, and with `--all` those that are left alone with the reason. Raises WrongUse."""
    if options.offers:
        return [_named(there.catalog, name) for name in dict.fromkeys(options.offers)], []
    chosen, alone = [], []
    for product in there.catalog.products:
        reason = connect.left_alone(
            _look(there, product, datetime.now(UTC)).reading, there.here, take_over=options.replace
        )
        if reason:
            alone.append((product, reason))
        else:
            chosen.append(product)
    return chosen, alone


def _named(catalog: Catalog, name: str) -> Product:
    wanted = name.casefold()
    for product in catalog.products:
        offer_id = product.offer_id.casefold()
        if wanted in (offer_id, product.id) or wanted.partition(".")[2] == offer_id:
            return product
    raise WrongUse(f"There is no offer {printable(name)!r}. `python -m leads offers` lists them.")


def _wanted(there: Market, options: Namespace, screen: Screen) -> connect.Wanted:
    """What the drafts should say, with its key. Raises WrongUse where that cannot be had."""
    try:
        if options.by == "https":
            if not there.here.addresses:
                raise WrongUse("The command does not know the app's address. Set LEADS_URL, or give --url.")
            address = there.here.addresses[0]
            host = verdict.host_and_path(address)[0]
            key = azure.function_key(host.partition(":")[0]) or _asked(f"Key of the function receive_lead at {host}")
            return connect.https(address, key)
        account = (options.account or there.here.account).strip().lower()
        if not account:
            raise WrongUse(
                "The command does not know the storage account of the inbox. Set LEADS_INBOX, or give --account."
            )
        if there.here.account and account != there.here.account:
            screen.trouble(f"This app does not watch {account}, but {there.here.account}.", "Check --account.")
        key, endpoint = azure.storage(account)
        suffix = connect.suffix_of(endpoint) or connect.SUFFIXES[0]
        return connect.table(account, key or _asked(f"Access key of the storage account {account}"), suffix)
    except connect.WrongValue as error:
        raise WrongUse(str(error)) from None


def _asked(what: str) -> str:
    """A key from whoever sits at the terminal; it is not echoed. Raises WrongUse where nobody does."""
    if not sys.stdin.isatty():
        raise WrongUse(
            f"{what}: the Azure CLI does not know it, and there is no terminal to ask. Run `az login` first."
        )
    return getpass.getpass(f"{what} (not shown): ")


def _plans(
    there: Market, chosen: Sequence[Product], wanted: connect.Wanted, screen: Screen
) -> tuple[list[connect.Plan], _Failed]:
    plans: list[connect.Plan] = []
    failed: _Failed = []
    for product in chosen:
        try:
            plan = _patient(lambda one=product: connect.plan(there.client, one, wanted, Deadline.after(LOOK_SECONDS)))  # type: ignore[misc]
        except Failure as failure:
            failed.append((product, failure))
            screen.trouble(f"{product.offer_id}: {failure.cause}", failure.remedy)
            continue
        plans.append(plan)
        screen.line(f"{printable(product.offer_id)}  {verdict.name(plan.before)} → {verdict.name(plan.after)}")
        for name in plan.stale:
            screen.line(f"      {printable(name)} is removed: Partner Center keeps the settings of one way only.")
    return plans, failed


def _apply(call: Call, there: Market, plan: connect.Plan, failed: _Failed, screen: Screen) -> bool:
    product = plan.product
    base = {"product": product.id, "offer_id": product.offer_id, "type": product.type, "alias": product.alias}

    def mark(known: market.Mark) -> None:
        if there.unknown_because:
            return
        try:
            call("mark-offer", {**base, "mark": known.value, "to": verdict.name(plan.after)})
        except Failure as failure:
            if known == market.Mark.BEGAN:
                raise
            screen.trouble(f"The app did not keep this: {failure.cause}", failure.remedy)

    screen.line(f"{printable(product.offer_id)}: waiting for Partner Center …")
    try:
        connect.apply(there.client, plan, mark, pause, clock)
    except Failure as failure:
        failed.append((product, failure))
        screen.trouble(f"{product.offer_id}: {failure.cause}", failure.remedy)
        return False
    screen.line(
        f"{printable(product.offer_id)}: {screen.paint('done', 'good')}. Its draft says {verdict.name(plan.after)}."
    )
    return True
