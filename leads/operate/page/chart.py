"""The pictures of the page, as rectangles of SVG, in attributes only, since the page allows no inline style."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 1000, 100
"""Units of a chart. It is stretched to its place, so neither is a pixel."""
GAP = 0.28
"""The part of a day's width that stays empty between bars."""
LEAST = 2.0
"""Height below which no part of a bar goes: one dead lead among thousands must be seen."""
SPAN, MARGIN = 128, 5
"""Pixels of a picture of how long deliveries took, and how far from its edges nothing is marked."""
SHORTEST, LONGEST = 0.1, 7 * 86400.0
"""Seconds at its two ends; between them it is logarithmic."""


@dataclass(frozen=True, slots=True)
class Day:
    """The leads that arrived on one day, by how they stand: each counts once, by its worst delivery."""

    day: date
    delivered: int = 0
    open: int = 0
    dead: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        """All leads of the day."""
        return self.delivered + self.open + self.dead + self.skipped


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a bar."""

    kind: str
    """`d` delivered, `s` skipped, `o` open, `x` dead: the class that gives it its color."""
    start: float
    """Where it begins, from the top."""
    length: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of the chart."""

    day: Day
    x: float
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn: the bars from left to right, and the value of the line at the top."""

    bars: tuple[Bar, ...]
    step: float
    """Width of a day."""
    width: float
    """Width of a bar."""
    top: int
    total: int
    skipped: bool
    """Whether a bar has a part for skipped leads, which the legend then names."""
    busiest: Day | None
    """The day with the most leads, the latest of several; None without any lead."""


def draw(days: Sequence[Day]) -> Chart:
    """Draw `days`, oldest first. There must be at least one."""
    most = max(day.total for day in days)
    top = _nice(most)
    step = WIDTH / len(days)
    bars = tuple(
        Bar(day, round(number * step, 2), tuple(_stacked(day, HEIGHT / top))) for number, day in enumerate(days)
    )
    return Chart(
        bars,
        step=round(step, 2),
        width=round(step * (1 - GAP), 2),
        top=top,
        total=sum(day.total for day in days),
        skipped=any(day.skipped for day in days),
        busiest=max(days, key=lambda day: (day.total, day.day)) if most else None,
    )


def _stacked(day: Day, unit: float) -> Iterator[Part]:
    counts = {"d": day.delivered, "s": day.skipped, "o": day.open, "x": day.dead}
    lengths = {kind: max(count * unit, LEAST) for kind, count in counts.items() if count}
    # What the small ones gain the longest gives, so that the bar stays as high as it is.
    gained = sum(lengths.values()) - day.total * unit
    if gained > 0:
        longest = max(lengths, key=lambda kind: lengths[kind])
        lengths[longest] -= min(gained, lengths[longest] - LEAST)
    end = float(HEIGHT)
    for kind, length in lengths.items():
        end -= length
        yield Part(kind, round(end, 2), round(length, 2))


def share(number: int, most: int) -> float:
    """The length of a bar for `number`, of `WIDTH` for the `most`."""
    return round(WIDTH * number / max(1, most), 1)


def place(seconds: float) -> float:
    """Where a time stands in a picture that is `SPAN` pixels wide."""
    first, last = math.log10(SHORTEST), math.log10(LONGEST)
    at = (math.log10(min(max(seconds, SHORTEST), LONGEST)) - first) / (last - first)
    return round(MARGIN + (SPAN - 2 * MARGIN) * at, 1)


TICKS: Mapping[str, float] = {
    text: place(at) for text, at in (("1 s", 1), ("1 min", 60), ("1 h", 3600), ("1 d", 86400))
}
"""The lines of a picture of times, and where they stand."""


def _nice(most: int) -> int:
    """The next number that reads well on an axis: 4, 6, 8, 10, 12, 16, 20, 40 and so on."""
    scale: int = 10 ** (len(str(most)) - 1)
    steps = (step * scale // 10 for step in (10, 12, 16, 20, 40, 60, 80, 100))
    return max(4, next(step for step in steps if step >= most))
