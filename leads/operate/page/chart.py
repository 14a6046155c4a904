"""The chart of the page: leads per day as bars of SVG, in attributes only, since the page allows no inline style."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 1000, 100
"""Units of the drawing. It is stretched to its place, so neither is a pixel."""
GAP = 0.28
"""The part of a day's width that stays empty between bars."""


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
    """Where it begins: from the top in a bar, from the left in a meter."""
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
    bars = []
    for number, day in enumerate(days):
        counts = {"d": day.delivered, "s": day.skipped, "o": day.open, "x": day.dead}
        stacked = tuple(
            Part(part.kind, round(HEIGHT - part.start - part.length, 2), part.length)
            for part in _row(counts, HEIGHT / top)
        )
        bars.append(Bar(day, round(number * step, 2), stacked))
    busiest = max(days, key=lambda day: (day.total, day.day)) if most else None
    width = round(step * (1 - GAP), 2)
    return Chart(
        tuple(bars),
        round(step, 2),
        width,
        top,
        sum(day.total for day in days),
        any(day.skipped for day in days),
        busiest,
    )


def meter(counts: Mapping[str, int]) -> tuple[Part, ...]:
    """Counts by kind as parts of one line that is `WIDTH` long."""
    return tuple(_row(counts, WIDTH / max(1, sum(counts.values()))))


def _row(counts: Mapping[str, int], unit: float) -> Iterator[Part]:
    start = 0.0
    for kind, count in counts.items():
        if count:
            yield Part(kind, round(start, 2), round(count * unit, 2))
        start += count * unit


def _nice(most: int) -> int:
    """The next number that reads well on an axis: 4, 6, 8, 10, 12, 16, 20, 40 and so on."""
    scale: int = 10 ** (len(str(most)) - 1)
    steps = (step * scale // 10 for step in (10, 12, 16, 20, 40, 60, 80, 100))
    return max(4, next(step for step in steps if step >= most))
