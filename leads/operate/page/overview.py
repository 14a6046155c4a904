"""What the overview says: how it is, what needs attention, and the last 30 days in numbers and small pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leads import enabled
from leads.app import App
from leads.lead import Attempt, State
from leads.messages import languages
from leads.operate import counts as ops_counts
from leads.operate import health, listing, quarantine
from leads.operate.counts import Counts
from leads.operate.health import Health
from leads.operate.page import chart as ops_chart
from leads.operate.page import words
from leads.operate.page.chart import Chart, Day
from leads.operate.page.find import Search
from leads.operate.page.words import ListedLead, day
from leads.sweep import days as of_days

LATEST = 6
"""Leads that the overview shows."""
TROUBLES = 6
"""Destinations in trouble that are shown in full; the others are folded behind their names."""
RANKED = 6
"""Offers and countries that are named; the others are one row."""

Ago = Callable[[datetime], str]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A destination that needs attention, or that is tried again and again."""

    name: str
    dead: int
    open: int
    last: Attempt | None
    """What the newest of it failed with."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How long deliveries took from arrival: to one destination, or to all of them."""

    name: str
    """Empty for all of them."""
    median: str
    slowest: str
    middle: float
    """Where the median stands in the picture."""
    end: float
    """Where the slowest stands in it."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """One row of what is counted: an offer, a country, a stage."""

    name: str
    leads: int
    share: float
    """The length of its bar."""
    last: datetime | None = None
    """When the last one arrived, where that is counted."""


def values(app: App, now: datetime, ago: Ago, *, revealed: bool) -> dict[str, Any]:
    """What the overview's template needs, but for the address of the app."""
    state = health.health(app, now)
    counts = ops_counts.count(app, now)
    quarantined = quarantine.count(app)
    latest = listing.listing(app, now=now, limit=LATEST).leads
    dead = sum(each.dead for each in counts.days)
    troubles = _troubles(counts)
    # What is wrong at a destination stands there already, with its cause.
    covered: tuple[str, ...] = ("destinations", "dead") if troubles else ()
    covered += ("open",) if any(trouble.open for trouble in troubles) else ()
    reasons = [words.Reason.of(reason) for reason in state.reasons if reason.about not in covered]
    chart = ops_chart.draw(counts.days)
    tiles = (
        words.Tile("leads", counts.days[-1].total, "arrived today"),
        words.Tile("leads?state=open", counts.open, "open", "wait"),
        words.Tile("leads?state=dead", dead, "dead", "bad"),
        words.Tile("quarantine", quarantined, "in quarantine", "wait"),
    )
    return {
        "revealed": revealed,
        "search": Search(),
        "mood": "bad" if dead else "wait" if reasons or troubles else "good",
        "headline": words.headline(
            dead, len(reasons) + len(troubles), any_lead=bool(latest), ran=bool(state.last_sweep)
        ),
        "summary": _summary(state, latest, ago),
        "reasons": reasons,
        "troubles": troubles[:TROUBLES],
        "more_troubles": troubles[TROUBLES:],
        "tiles": tiles if latest or any(tile.number for tile in tiles) else (),
        "chart": chart,
        "chart_summary": _chart_summary(chart),
        "opened": ops_chart.draw(
            [Day(each.day, open=n or 0) for each, n in zip(counts.days, counts.opened, strict=True)]
        ),
        "opened_known": counts.opened,
        "opened_summary": _opened_summary(counts),
        "day": day,
        "well": _well(counts, {trouble.name for trouble in troubles}),
        "unread": counts.unread,
        "speeds": _speeds(counts),
        "ticks": ops_chart.TICKS,
        "offers": _offers(counts.came),
        "countries": _countries(counts.came),
        "stages": _stages(counts.came),
        "latest": [ListedLead.of(summary, revealed=revealed) for summary in latest],
    }


def _summary(state: Health, latest: Sequence[listing.Summary], ago: Ago) -> str:
    """When the app last did what it does."""
    ran = list(state.last_watch.values())
    oldest = min((at for at in ran if at), default=None) if all(ran) else None
    known = (
        ("The last lead arrived", latest[0].lead.arrived_at if latest else None),
        ("the inbox was looked at" if latest else "The inbox was looked at", oldest),
        ("open leads were swept" if latest or oldest else "Open leads were swept", state.last_sweep),
    )
    told = [f"{what} {ago(at)}" for what, at in known if at]
    return f"{', '.join(told)}." if told else "Its first look at the inbox comes within minutes."


def _chart_summary(chart: Chart) -> str:
    span = f"in the last {ops_counts.DAYS} days"
    if chart.busiest is None:
        return f"No lead {span}."
    return f"{words.some(chart.total, 'lead')} {span}, most on {day(chart.busiest.day)} ({chart.busiest.total})."


def _opened(counts: Counts) -> list[tuple[Day, int | None]]:
    return list(zip(counts.days, counts.opened, strict=True))


def _opened_summary(counts: Counts) -> str:
    known = [(n, each.day) for each, n in _opened(counts) if n is not None]
    most, at = max(known, default=(0, counts.days[-1].day))
    since = "" if known[0][1] == counts.days[0].day else f" It is counted since {day(known[0][1])}."
    if not most:
        return f"No lead had to wait.{since}"
    return f"{words.some(most, 'lead')} at most, on {day(at)}.{since}"


def _troubles(counts: Counts) -> list[Trouble]:
    """The destinations in trouble: those with dead deliveries first, the most of them on top."""
    found = [
        Trouble(place.name, place.states[State.DEAD], place.states[State.OPEN], place.trouble)
        for place in counts.places
        if place.states[State.DEAD] or place.trouble
    ]
    return sorted(found, key=lambda each: (-each.dead, -each.open))


def _well(counts: Counts, troubled: set[str]) -> dict[str, Any]:
    """The destinations that work, and the one line that says so."""
    places = [place for place in counts.places if place.name not in troubled]
    waiting = sum(place.states[State.OPEN] for place in places)
    if not any(place.states.total() for place in places):
        how = "nothing to deliver yet"
    elif waiting:
        how = f"{words.some(waiting, 'delivery', 'deliveries')} under way"
    else:
        how = "all delivered"
    who = enabled.title(places[0].name) if len(places) == 1 else f"{len(places)} destinations"
    return {
        "says": f"{who}, {how}",
        "places": [{"name": place.name, **{state.value: place.states[state] for state in State}} for place in places],
    }


def _speeds(counts: Counts) -> list[Speed]:
    """All destinations together, where there are several, and each that got anything."""
    every, named = of_days.Place(), []
    for place in counts.places:
        took = counts.came.places.get(place.name)
        if took and took.median is not None:
            every.add(took)
            named.append(_speed(place.name, took))
    return [_speed("", every), *named] if len(named) > 1 else named


def _speed(name: str, took: of_days.Place) -> Speed:
    median = took.median or 0.0
    return Speed(
        name,
        words.span(median),
        words.span(took.slowest),
        ops_chart.place(median),
        ops_chart.place(took.slowest),
    )


def _offers(came: of_days.Counts) -> list[Ranked]:
    offers = sorted(came.offers.items(), key=lambda item: (item[0] == "…", -item[1].leads, item[0]))
    most = max((offer.leads for _, offer in offers), default=0)
    titles = Counter(offer.title for _, offer in offers)

    def called(name: str, offer: of_days.Offer) -> str:
        if name == "…":
            return "Others"
        title = f"{offer.title} ({name})" if titles[offer.title] > 1 and name != offer.title else offer.title
        return words.line(title or name, 100) or "No offer is named"

    return _cut(
        [
            Ranked(called(name, offer), offer.leads, ops_chart.share(offer.leads, most), offer.last)
            for name, offer in offers
        ]
    )


def _countries(came: of_days.Counts) -> list[Ranked]:
    english = languages.load("en")
    return _ranked({english.country(code) if code else "No country is named": n for code, n in came.countries.items()})


def _stages(came: of_days.Counts) -> list[Ranked]:
    english = languages.load("en")
    return _ranked({english.say(f"stage.{stage}"): n for stage, n in came.stages.items()})


def _ranked(numbers: Mapping[str, int]) -> list[Ranked]:
    most = max(numbers.values(), default=0)
    ranked = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
    return _cut([Ranked(name, n, ops_chart.share(n, most)) for name, n in ranked])


def _cut(rows: list[Ranked]) -> list[Ranked]:
    """The first rows, and one without a bar for all others."""
    if len(rows) <= RANKED + 1:
        return rows
    others = rows[RANKED:]
    leads = sum(row.leads for row in others)
    last = max((row.last for row in others if row.last), default=None)
    return [*rows[:RANKED], Ranked(f"{len(others)} others", leads, 0.0, last)]
