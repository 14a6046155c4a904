"""LEADS_ROUTES: which leads go to which destinations. Only reads the text and decides; knows no store and asks nobody.

The setting is a list of routes, `conditions > destinations`, separated by `;` or by new lines. They are read in order:
one that begins with `+` adds its destinations and the reading goes on; the first other one that matches ends it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product

from leads.lead import COUNTRIES, Lead, Mark, Stage
from leads.reader import Problem

SETTING = "LEADS_ROUTES"
KEYS = ("offer", "country", "stage", "source", "action", "mark")

Glob = tuple[str, ...]
"""A value as it is compared: the text between its stars, so a value without one is a single part. `UNKNOWN` is `?`."""

UNKNOWN: Glob = ()
_ALL: Glob = ("", "")

_SINGLE = ("country", "stage", "source", "action")
"""The keys of which a lead has one value only."""
_CLOSED: dict[str, tuple[str, ...]] = {"stage": tuple(Stage), "mark": tuple(Mark)}
_OTHER_CODES = {"uk": "GB", "el": "GR"}
"""Codes that ISO does not have although official lists use them."""

_CURLY = "“”„‟«»＂"
_SINGLE_QUOTES = "'‘’‚`"
_HELD = re.compile(f'"[^"]*"|[{_CURLY}][^{_CURLY}"]*[{_CURLY}"]')
_IN_CURLY = re.compile(f"[{_CURLY}]")
_STRAIGHT = re.compile('"[^"]*"')
_WORD = re.compile(r"\S+")
_STARS = re.compile(r"\*+")
_SHOWN = 30
_COMBINATIONS = 1000


@dataclass(frozen=True, slots=True)
class Condition:
    """`key=value,value`: holds where one of the values is the lead's."""

    key: str
    values: tuple[Glob, ...]
    text: str
    """As it is written."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route. It matches a lead for which all its conditions hold."""

    number: int
    """Its place among the routes, counted from 1."""
    text: str
    """As it is written."""
    adds: bool
    """Whether it begins with `+`."""
    conditions: tuple[Condition, ...]
    """Without those that hold for every lead (`country=*`)."""
    destinations: tuple[str, ...]
    """Empty for `none`."""


@dataclass(frozen=True, slots=True)
class Routes:
    """What LEADS_ROUTES says. Where there is a problem, `routes` is empty: half of a list would decide wrongly."""

    routes: tuple[Route, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def asks_for_marks(self) -> bool:
        """Whether a decision can depend on a lead's marks, which cost something to find out."""
        return any(condition.key == "mark" for route in self.routes for condition in route.conditions)


@dataclass(frozen=True, slots=True)
class Facts:
    """What routes look at in a lead, as `Lead` has it."""

    offer: str = ""
    offer_title: str = ""
    country: str = ""
    stage: str = Stage.UNKNOWN
    source: str = ""
    action: str = ""
    marks: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one route said about a lead."""

    route: int
    text: str
    matched: bool
    condition: str | None
    """The first condition that does not hold, as it is written."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a lead goes, and why."""

    destinations: tuple[str, ...]
    """In the order of the enabled ones; what is not enabled any more comes last."""
    route: int | None
    """The route that ended the reading; None where none did, so that all destinations were chosen."""
    routes: tuple[Verdict, ...]
    """The routes that were read, up to the one that ended the reading."""


def facts(lead: Lead, marks: Collection[str] = ()) -> Facts:
    """What routes look at in `lead`, which does not carry its marks itself."""
    return Facts(
        offer=lead.offer,
        offer_title=lead.offer_title,
        country=lead.contact.country,
        stage=lead.stage,
        source=lead.source,
        action=lead.action,
        marks=marks,
    )


def decide(routes: Routes, lead: Facts, enabled: Sequence[str], customers: Collection[str] = ()) -> Decision:
    """Choose the destinations of a lead out of the `enabled` ones.

    `customers` are those of kind `customer`: where LEADS_ROUTES says anything, also something that cannot be read,
    they must be named and do not belong to all destinations.
    """
    texts = _texts(lead)
    unknown = {"offer": not texts["offer"], "country": lead.country.upper() not in COUNTRIES}
    chosen: dict[str, None] = {}
    verdicts = []
    ended = None
    for route in routes.routes:
        against = None
        for condition in route.conditions:
            if not _holds(condition, texts[condition.key], unknown.get(condition.key, False)):
                against = condition.text
                break
        verdicts.append(Verdict(route.number, route.text, against is None, against))
        if against is None:
            chosen.update(dict.fromkeys(route.destinations))
            if not route.adds:
                ended = route.number
                break
    if ended is None:
        left_out = customers if routes.routes or routes.problems else ()
        chosen.update(dict.fromkeys(name for name in enabled if name not in left_out))
    names = dict.fromkeys(name for name in enabled if name in chosen) | chosen
    return Decision(tuple(names), ended, tuple(verdicts))


def fold(text: str) -> str:
    """The form in which values are compared: NFC, without case, spaces collapsed."""
    composed = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(composed.split())


def _texts(lead: Facts) -> dict[str, tuple[str, ...]]:
    return {
        "offer": tuple(text for text in (fold(lead.offer), fold(lead.offer_title)) if text),
        "country": (fold(lead.country),),
        "stage": (fold(lead.stage),),
        "source": (fold(lead.source),),
        "action": (fold(lead.action),),
        "mark": tuple(lead.marks),
    }


def _holds(condition: Condition, texts: tuple[str, ...], unknown: bool) -> bool:
    for value in condition.values:
        if not value:
            if unknown:
                return True
            continue
        for text in texts:
            if _matches(value, text):
                return True
    return False


def _matches(glob: Glob, text: str) -> bool:
    """Each part is looked for once, behind the one before it: taking the first place is never wrong for `*` alone."""
    if len(glob) < 2:
        return glob == (text,)
    first, last = glob[0], glob[-1]
    at, end = len(first), len(text) - len(last)
    if end < at or not text.startswith(first) or not text.endswith(last):
        return False
    for part in glob[1:-1]:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


# --- reading the text ---


def parse(text: str, enabled: Collection[str] | None) -> Routes:
    """Read the text of LEADS_ROUTES; every problem is noted with route, line and column (from 1), none is raised.

    Give the text untrimmed, so that lines are counted as the operator sees them. `enabled` are the names of the
    destinations that a route may name. None takes every name: for the last routes that could be read, which may name
    what has been taken out of LEADS_DESTINATIONS since.
    """
    names = None if enabled is None else {name.lower(): name for name in enabled}
    routes: list[Route] = []
    problems: list[Problem] = []
    number = 0
    for line_number, line in enumerate(re.split("\r\n|\r|\n", text), 1):
        masked = _HELD.sub(lambda match: "_" * len(match[0]), line)
        for start, end in _spans(masked, ";", 0, len(line)):
            if start < end:
                number += 1
                reading = _Reading(number, line_number, line, masked, names, problems)
                if route := reading.route(start, end):
                    routes.append(route)
    return Routes((), tuple(problems)) if problems else Routes(tuple(routes))


def _spans(masked: str, separator: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the parts between separators stand, without the spaces around them. An empty part is an empty span."""
    while start <= end:
        stop = masked.find(separator, start, end)
        stop = end if stop < 0 else stop
        part = masked[start:stop]
        first = start + len(part) - len(part.lstrip())
        yield first, first + len(part.strip())
        start = stop + 1


class _Reading:
    """One route being read. `masked` is the line with what stands in quotes blotted out, so that signs are signs."""

    def __init__(
        self,
        number: int,
        line_number: int,
        line: str,
        masked: str,
        enabled: dict[str, str] | None,
        problems: list[Problem],
    ) -> None:
        self.number = number
        self.line_number = line_number
        self.line = line
        self.masked = masked
        self.enabled = enabled
        self.problems = problems

    def problem(self, start: int, end: int, cause: str, remedy: str) -> None:
        """Note what is wrong from `start` to `end` of the line; `{}` in the cause stands for that part."""
        place = f"Route {self.number}, line {self.line_number}, column {start + 1}:"
        self.problems.append(Problem(SETTING, f"{place} {cause.format(_shown(self.line[start:end]))}", remedy))

    def route(self, start: int, end: int) -> Route | None:
        known = len(self.problems)
        adds = self.masked[start] == "+"
        begin = start + adds
        arrow = self.masked.find(">", begin, end)
        if arrow < 0 and not self.open_quote(begin, end):
            self.problem(start, end, "{} has no >.", "Write conditions > destinations, for example country=DE > email.")
        if arrow < 0:
            return None
        conditions = self.conditions(begin, arrow)
        second = self.masked.find(">", arrow + 1, end)
        if second >= 0:
            self.problem(
                second,
                end,
                "There is a second >: {}.",
                "Put ; or a new line between two routes, and straight double quotes around a value that holds >.",
            )
            return None
        destinations = self.destinations(arrow, end, adds)
        if len(self.problems) > known:
            return None
        return Route(self.number, self.line[start:end], adds, conditions, destinations)

    def conditions(self, start: int, end: int) -> tuple[Condition, ...]:
        found = []
        words = [match.span() for match in _WORD.finditer(self.masked, start, end)]
        while words:
            first, stop = words.pop(0)
            torn = [(first, stop)]
            while words and self.belong(torn[-1], words[0]):
                torn.append(words.pop(0))
            if len(torn) > 1:
                whole = "".join(self.line[a:b] for a, b in torn)
                self.problem(
                    first,
                    torn[-1][1],
                    "{} has a space beside a comma or =, and a space begins a new condition.",
                    f"Write it without spaces: {whole if len(whole) <= 2 * _SHOWN else 'country=DE,AT'}.",
                )
            elif condition := self.condition(first, stop):
                found.append(condition)
        return tuple(condition for condition in found if _ALL not in condition.values)

    def belong(self, before: tuple[int, int], after: tuple[int, int]) -> bool:
        """Whether two words look like one condition that a space tears apart."""
        left, right = self.masked[slice(*before)], self.masked[slice(*after)]
        return left[-1] == "=" or right[0] in ",=" or (left[-1] == "," and "=" not in right)

    def condition(self, start: int, end: int) -> Condition | None:
        if self.curly(start, end):
            return None
        text = self.line[start:end]
        equals = self.masked.find("=", start, end)
        if equals < 0:
            self.problem(
                start,
                end,
                "{} is not a condition.",
                'Write key=value. A value with spaces stands in quotes: offer="Contoso Planner".',
            )
            return None
        key = self.line[start:equals].lower()
        if key not in KEYS:
            self.problem(
                start,
                equals,
                "{} is not a key." if key else "There is no key before =.",
                f"The keys are {', '.join(KEYS)}.",
            )
            return None
        second = self.masked.find("=", equals + 1, end)
        if second >= 0:
            self.problem(
                equals + 1,
                end,
                "{} holds a second =.",
                "Put a space between two conditions, and straight double quotes around a value that holds =.",
            )
            return None
        values = [self.value(key, a, b) for a, b in _spans(self.masked, ",", equals + 1, end)]
        good = tuple(value for value in values if value is not None)
        return Condition(key, tuple(dict.fromkeys(good)), text) if len(good) == len(values) else None

    def curly(self, start: int, end: int) -> bool:
        """Note curly quotes outside straight ones."""
        outside = _STRAIGHT.sub(lambda match: "_" * len(match[0]), self.line[start:end])
        found = _IN_CURLY.search(outside)
        if found:
            at = start + found.start()
            self.problem(at, at + 1, "{} is a curly quote.", 'Type straight double quotes: ".')
        return found is not None

    def open_quote(self, start: int, end: int) -> bool:
        """Note a straight quote that is opened and not closed."""
        at = self.masked.find('"', start, end)
        if at >= 0:
            self.problem(at, end, "{} has a quote that is not closed on its line.", 'Close it with ".')
        return at >= 0

    def value(self, key: str, start: int, end: int) -> Glob | None:
        text = self.line[start:end]
        if not text:
            self.problem(
                start,
                end,
                f"A value of {key} is empty.",
                "Write a value behind = and behind each comma"
                + (f"; {key}=? holds for leads without a known one." if key in ("offer", "country") else "."),
            )
            return None
        if text[0] in _SINGLE_QUOTES:
            self.problem(start, end, "{} begins with a single quote.", 'Type straight double quotes: ".')
            return None
        if '"' in text:
            if self.open_quote(start, end):
                return None
            if text.find('"', 1) != len(text) - 1 or text[0] != '"':
                self.problem(
                    start,
                    end,
                    "{} has quotes inside.",
                    "Put quotes around the whole value; write * for a quote inside it.",
                )
                return None
            text = text[1:-1]
        value = _STARS.sub("*", fold(text))
        if not value:
            self.problem(
                start, end, "There is nothing between the quotes.", "Write a value, or take the condition out."
            )
            return None
        if value == "?" and key in ("offer", "country"):
            return UNKNOWN
        glob = tuple(value.split("*"))
        if key in _CLOSED and not any(_matches(glob, name) for name in _CLOSED[key]):
            self.problem(start, end, f"{{}} is not a {key}.", f"There are {', '.join(_CLOSED[key])}.")
            return None
        if key == "country" and len(glob) == 1 and value.upper() not in COUNTRIES:
            other = _OTHER_CODES.get(value)
            self.problem(
                start,
                end,
                "{} is not a country code of ISO 3166.",
                f"Write {other}."
                if other
                else "Write its code of two letters, such as DE; ? holds for countries that are not known.",
            )
            return None
        return glob

    def destinations(self, arrow: int, end: int, adds: bool) -> tuple[str, ...]:
        spans = list(_spans(self.masked, ",", arrow + 1, end))
        if spans == [(end, end)]:
            self.problem(
                arrow, end, "There is no destination behind {}.", "Name one; > none sends the lead to no destination."
            )
            return ()
        names = [self.line[a:b].lower() for a, b in spans]
        if names == ["none"] and not adds:
            return ()
        found = []
        for name, (start, stop) in zip(names, spans, strict=True):
            if name == "none":
                self.problem(
                    start,
                    stop,
                    "none adds nothing to a route with +." if adds else "none stands beside a destination.",
                    "Take the route out." if adds and len(names) == 1 else "Write none alone, or take it out.",
                )
            elif not name:
                self.problem(start, stop, "A destination is empty.", "Write a name behind > and behind each comma.")
            elif self.enabled is None:
                found.append(name)
            elif name in self.enabled:
                found.append(self.enabled[name])
            else:
                self.problem(start, stop, "{} is not an enabled destination.", self.instead(name))
        return tuple(dict.fromkeys(found))

    def instead(self, name: str) -> str:
        """What to write in the place of a name that is not enabled."""
        enabled = self.enabled or {}
        if _IN_CURLY.search(name) or '"' in name:
            return "Write the names without quotes."
        if "*" in name:
            return "Write each name in full, separated by commas: a destination takes no *."
        if len(name.split()) > 1:
            return "Separate names by commas, and routes by ; or a new line."
        listed = [*islice(enabled.values(), 20)]
        more = f" and {len(enabled) - 20} more" if len(enabled) > 20 else ""
        return f"LEADS_DESTINATIONS lists {', '.join(listed) or 'none'}{more}. Name one of them, or list it there."


def _shown(part: str) -> str:
    """A part of the setting as a problem may quote it: a long one may be a secret that was pasted into this field."""
    return repr(part if len(part) <= _SHOWN else f"{part[:12]}…")


# --- what is allowed and still looks like a mistake ---


def warnings(
    routes: Routes, enabled: Sequence[str], customers: Collection[str] = (), offers: Collection[tuple[str, str]] = ()
) -> list[Problem]:
    """What is worth a second look in routes that could be read.

    `offers` are the known offers, each its id and its title; the title is empty where it does not lead to the id.
    """
    if not routes.routes:
        return []
    found = [*_unreachable(routes.routes)]
    enders = [route for route in routes.routes if not route.adds]
    left_out = ", ".join(name for name in enabled if name in customers)
    everywhere = f"every destination except {left_out}" if left_out else "every destination"
    if all(route.conditions for route in enders):
        found.append(
            _warning(
                f"No route takes the rest: a lead that matches no route without + goes to {everywhere}.",
                "If that is not meant, end the list with a route that has neither + nor conditions, such as > none.",
            )
        )
    named = {name for route in routes.routes for name in route.destinations}
    found += [
        _warning(
            f"No route names {name}, which is enabled.", "Name it in a route, or take it out of LEADS_DESTINATIONS."
        )
        for name in enabled
        if name not in named
    ]
    for offer, title in offers:
        names = tuple(name for name in (fold(offer), fold(title)) if name)
        if not any(_takes_offer(route, names) for route in enders):
            found.append(
                _warning(
                    f"The offer {offer or title} matches no route without +, so its leads go to {everywhere}.",
                    "Name it in a route, or end the list with a route without conditions.",
                )
            )
    return [*found, *_ids_only(routes.routes, offers)]


def _warning(cause: str, remedy: str) -> Problem:
    return Problem(SETTING, cause, remedy)


def _takes_offer(route: Route, names: tuple[str, ...]) -> bool:
    """Whether a lead of the offer can match, whatever else the route asks for."""
    return all(_holds(condition, names, unknown=False) for condition in route.conditions if condition.key == "offer")


def _ids_only(routes: Sequence[Route], offers: Collection[tuple[str, str]]) -> Iterator[Problem]:
    """Conditions on an offer's id that leads by HTTPS miss, since those carry the title only."""
    known = [(fold(offer), bool(title)) for offer, title in offers]
    for route in routes:
        for condition in route.conditions:
            if condition.key != "offer":
                continue
            for value in condition.values:
                text = "*".join(value)
                resolved = [titled for offer, titled in known if _matches(value, offer)]
                if "." in text and " " not in text and not (resolved and all(resolved)):
                    yield _warning(
                        f"Route {route.number} asks for the offer id {_shown(text)}. Leads that come by HTTPS carry "
                        "only the offer's title, and the list of offers does not lead from a title to this id.",
                        "Add the title to the condition, or bring the list of offers up to date.",
                    )


def _unreachable(routes: Sequence[Route]) -> Iterator[Problem]:
    """Routes that no lead can match, or whose leads are all taken by routes above them. Says only what is certain."""
    above = _Above()
    for place, route in enumerate(routes):
        if _contradicts(route):
            yield _warning(
                f"Route {route.number} can never match, since two of its conditions exclude each other.",
                "Write values of one key into one condition, separated by commas.",
            )
        elif above.take(route):
            yield _warning(
                f"Route {route.number} can never be reached, since routes above it take all its leads.",
                "Put it above them, or take it out.",
            )
        elif not route.adds and not route.conditions:
            rest = [str(later.number) for later in routes[place + 1 :]]
            if rest:
                names = ", ".join(rest[:10]) + (f" and {len(rest) - 10} more" if len(rest) > 10 else "")
                yield _warning(
                    f"What stands below route {route.number} can never be reached (route {names}), since it takes "
                    "every lead.",
                    "Put the route without conditions last.",
                )
            return
        elif not route.adds:
            above.add(route)


def _contradicts(route: Route) -> bool:
    """Whether two conditions on a key with one value have no value in common. A country that is unknown has no code."""
    return any(
        one.key == other.key
        and one.key in _SINGLE
        and all(len(value) < 2 for value in (*one.values, *other.values))
        and not {*one.values} & {*other.values}
        for one, other in combinations(route.conditions, 2)
    )


class _Above:
    """The routes that take leads away from those below, found by a piece of text of the condition they share least.

    So thousands of routes are not each compared with all the others.
    """

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], list[Route]] = {}
        self.lengths: set[int] = set()

    def add(self, route: Route) -> None:
        """Note a route with conditions."""
        pieces = [
            [(condition.key, max(value, key=len, default="?")) for value in condition.values]
            for condition in route.conditions
        ]
        for key, piece in min(pieces, key=lambda of_one: sum(len(self.routes.get(place, ())) for place in of_one)):
            self.lengths.add(len(piece))
            self.routes.setdefault((key, piece), []).append(route)

    def take(self, route: Route) -> bool:
        """Whether each combination of the route's values is taken by one of the routes."""
        lists = [[(condition.key, value) for value in condition.values] for condition in route.conditions]
        combined = [*islice(product(*lists), _COMBINATIONS + 1)] if lists else []
        return 0 < len(combined) <= _COMBINATIONS and all(
            any(_takes(other, values) for other in self.candidates(values)) for values in combined
        )

    def candidates(self, values: Iterable[tuple[str, Glob]]) -> Iterator[Route]:
        """The routes of which a piece stands in one of the values: the only ones that can take them."""
        for key, value in values:
            text = "*".join(value) if value else "?"
            for length in self.lengths:
                for piece in {text[start : start + length] for start in range(len(text) - length + 1)}:
                    yield from self.routes.get((key, piece), ())


def _takes(other: Route, values: Sequence[tuple[str, Glob]]) -> bool:
    """Whether `other` matches every lead with these values. A star in one is matched by a star in the other only."""
    return all(
        any(
            key == condition.key and (value == taker or bool(value and taker and _matches(taker, "*".join(value))))
            for key, value in values
            for taker in condition.values
        )
        for condition in other.conditions
    )
