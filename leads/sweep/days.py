"""What is counted of each day: its finished leads by how they ended, by destination, offer, country and stage.

The sweep counts the lines of a day anew, hourly and only where some changed; nothing is ever added up, so no crash can
count a lead twice. Whoever shows figures reads these rows, never the finished leads.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from leads.lead import State
from leads.store.ledger import COUNTED, STATE, DayLine, worst
from leads.store.protocol import Row
from leads.store.rows import time_read, time_text

OFFERS = 50
"""Offers of a day that are counted apart, the commonest; anybody can invent one in a POST. The others are one."""
STEPS = 4
"""Steps of the histogram of seconds between a number and its double: each is 19 % wide."""
SHORTEST = 0.1
"""Seconds below which all is the same."""


@dataclass
class Place:
    """The deliveries of a day to one destination."""

    states: Counter[State] = field(default_factory=Counter)
    took: Counter[int] = field(default_factory=Counter)
    """How many were delivered how fast, by step of the histogram."""
    slowest: float = 0.0
    """Seconds from arrival to delivered."""

    @property
    def median(self) -> float | None:
        """Seconds from arrival to delivered that half of the deliveries did not exceed, within 10 %."""
        left = (self.took.total() + 1) // 2
        for step, count in sorted(self.took.items()):
            left -= count
            if left <= 0:
                return min(math.exp2(step / STEPS), self.slowest)
        return None

    def add(self, other: Place) -> None:
        """Take the figures of another day in."""
        self.states += other.states
        self.took += other.took
        self.slowest = max(self.slowest, other.slowest)


@dataclass
class Offer:
    """The leads of a day for one offer, tests aside."""

    title: str
    leads: int
    last: datetime
    """When the last one arrived."""


@dataclass
class Counts:
    """The finished leads of a day, or of several."""

    leads: Counter[State] = field(default_factory=Counter)
    """By their worst delivery; tests included, as in all that is by destination."""
    tests: int = 0
    places: dict[str, Place] = field(default_factory=dict)
    offers: dict[str, Offer] = field(default_factory=dict)
    """By `publisher.offer`, else by title; `…` stands for those beyond `OFFERS`."""
    countries: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        """Take the figures of another day in."""
        self.leads += other.leads
        self.tests += other.tests
        self.countries += other.countries
        self.stages += other.stages
        for name, place in other.places.items():
            self.places.setdefault(name, Place()).add(place)
        for name, offer in other.offers.items():
            known = self.offers.setdefault(name, Offer(offer.title, 0, offer.last))
            if offer.last >= known.last:
                known.title, known.last = offer.title, offer.last
            known.leads += offer.leads


def count(lines: Iterable[DayLine]) -> Counts:
    """Count the finished leads of a day."""
    counts = Counts()
    for line in lines:
        counts.leads[worst(list(line.states.values()))] += 1
        for name, state in line.states.items():
            counts.places.setdefault(name, Place()).states[state] += 1
        for name, seconds in line.seconds.items():
            place = counts.places.setdefault(name, Place())
            place.took[round(STEPS * math.log2(max(seconds, SHORTEST)))] += 1
            place.slowest = max(place.slowest, seconds)
        if line.is_test:
            counts.tests += 1
            continue
        counts.countries[line.country] += 1
        counts.stages[line.stage] += 1
        name = line.offer or line.offer_title
        offer = counts.offers.setdefault(name, Offer(line.offer_title, 0, line.arrived_at))
        offer.leads += 1
        if line.arrived_at >= offer.last:
            offer.title, offer.last = line.offer_title, line.arrived_at
    return counts


def row(day: str, counts: Counts) -> Row:
    """The row of the table `state` that keeps the counts of a day (`2026-11-21`)."""
    places = {
        name: {"states": dict(place.states), "took": dict(place.took), "slowest": place.slowest}
        for name, place in counts.places.items()
    }
    offers = {
        name: {"title": offer.title, "leads": offer.leads, "last": time_text(offer.last)}
        for name, offer in _commonest(counts.offers).items()
    }
    return Row(
        STATE,
        f"{COUNTED}{day}",
        {
            "leads": json.dumps(dict(counts.leads)),
            "tests": counts.tests,
            "places": json.dumps(places),
            "offers": json.dumps(offers, ensure_ascii=False),
            "countries": json.dumps(dict(counts.countries)),
            "stages": json.dumps(dict(counts.stages)),
        },
    )


def _commonest(offers: Mapping[str, Offer]) -> dict[str, Offer]:
    ranked = sorted(offers.items(), key=lambda item: (-item[1].leads, item[0]))
    kept, others = dict(ranked[:OFFERS]), [offer for _, offer in ranked[OFFERS:]]
    if others:
        kept["…"] = Offer("", sum(offer.leads for offer in others), max(offer.last for offer in others))
    return kept


def read(found: Row) -> tuple[str, Counts]:
    """The day (`2026-11-21`) and the counts in a row that `row` made."""
    names = ("leads", "tests", "places", "offers", "countries", "stages")
    values = {name: json.loads(str(found.values[name])) for name in names}
    places = {
        name: Place(
            Counter({State(state): n for state, n in place["states"].items()}),
            Counter({int(step): n for step, n in place["took"].items()}),
            place["slowest"],
        )
        for name, place in values["places"].items()
    }
    offers = {
        name: Offer(offer["title"], offer["leads"], _time(offer["last"])) for name, offer in values["offers"].items()
    }
    return found.key.removeprefix(COUNTED), Counts(
        leads=Counter({State(state): n for state, n in values["leads"].items()}),
        tests=values["tests"],
        places=places,
        offers=offers,
        countries=Counter(values["countries"]),
        stages=Counter(values["stages"]),
    )


def _time(text: str) -> datetime:
    moment = time_read(text)
    if moment is None:
        raise ValueError("An offer has no time of its last lead.")
    return moment
