"""Draws the diagrams of the documents as SVG, from what the code says: `python -m dev.diagrams docs/images`.

Each follows the reader's choice of light or dark, and can be read without any colour: a box says in words what it is, a
way that is not the usual one is dashed, and the picture's description tells the whole of it.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import accumulate
from pathlib import Path

from dev import cost as costs
from leads import enabled
from leads.lead import State
from leads.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
STYLE = """
    .page { fill: #ffffff } .box { fill: #f6f8fb; stroke: #5b6b82 } .good { fill: #e8f1ee; stroke: #2f7d6b }
    .end { fill: #fdf3e4; stroke: #b0741a; stroke-width: 3 } .box, .good { stroke-width: 1.5 }
    text { fill: #1c2533 } .b { font-weight: 600 } .s { font-size: 12px; fill: #46546a }
    .l { fill: none; stroke: #5b6b82; stroke-width: 1.6 } .a { marker-end: url(#a) } .d { stroke-dasharray: 5 4 }
    .m { fill: #5b6b82 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 } .box { fill: #1b2430; stroke: #8b9bb4 } .good { fill: #12312a; stroke: #5fb8a1 }
      .end { fill: #3a2a10; stroke: #e0a44c } text { fill: #e6edf3 } .s { fill: #b6c2d1 }
      .l { stroke: #8b9bb4 } .m { fill: #8b9bb4 }
    }
"""


@dataclass
class Drawing:
    """A picture, `width` by `height` units, with what it says in one line and in full."""

    width: int
    height: int
    title: str
    description: str
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, *, look: str = "", anchor: str = "middle") -> None:
        """One line of text; `y` is its foot."""
        kind = f' class="{look}"' if look else ""
        self.parts.append(f'<text{kind} x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words, quote=False)}</text>')

    def box(self, x: float, y: float, width: float, height: float, lines: Iterable[str], look: str = "box") -> None:
        """A box, its first line in bold."""
        self.parts.append(f'<rect class="{look}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8"/>')
        every = list(lines)
        top = y + height / 2 - 17 * (len(every) - 1) / 2 + 5
        for number, line in enumerate(every):
            self.text(x + width / 2, top + 17 * number, line, look="s" if number else "b")

    def way(self, path: str, *, dashed: bool = False, arrow: bool = True) -> None:
        """A line along an SVG path."""
        look = " ".join(["l", *(["d"] if dashed else []), *(["a"] if arrow else [])])
        self.parts.append(f'<path class="{look}" d="{path}"/>')

    def svg(self) -> str:
        """The file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" role="img" '
            'aria-labelledby="t d" font-family="system-ui, -apple-system, \'Segoe UI\', sans-serif" font-size="14">'
        )
        mark = (
            '<defs><marker id="a" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
            'orient="auto-start-reverse"><path class="m" d="M0 0 10 5 0 10z"/></marker></defs>'
        )
        about = [f'<title id="t">{escape(self.title)}</title>', f'<desc id="d">{escape(self.description)}</desc>']
        back = f'<rect class="page" width="{self.width}" height="{self.height}" rx="10"/>'
        lines = [head, *about, f"<style>{STYLE}  </style>", mark, back, *self.parts]
        return "\n  ".join(lines) + "\n</svg>\n"


def span(seconds: int) -> str:
    """A time as people say it: `5 s`, `35 min`, `7 h 35`."""
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes:02}" if minutes else f"{hours} h"


def retry() -> Drawing:
    """The attempts of a delivery that fails each time, on two scales: the first three hours, and all of it."""
    at = list(accumulate(Settings().retry_schedule))
    listed = ", ".join("at once" if second == 0 else f"after {span(second)}" for second in at)
    drawing = Drawing(
        960,
        380,
        f"The {at[-1] // 3600} hours of a retry",
        f"A delivery that fails is tried {len(at)} times: {listed}. After the last it is dead, and the operators get "
        "an alert. Each wait is up to a fifth shorter or longer. From Friday at six to Monday at eight it is 62 hours.",
    )
    early = [second for second in at if second <= 3 * 3600]
    whole = at[-1] * 1.02
    for top, name, end, marks in (
        (70, "the first three hours", 3 * 3600, early),
        (220, "all of it", whole, at[len(early) - 1 :]),
    ):
        drawing.text(30, top - 32, name, look="b", anchor="start")
        drawing.way(f"M40 {top + 20}H920", arrow=False)
        groups: list[list[int]] = []
        for second in marks:
            if groups and 880 * (second - groups[-1][0]) / end < 12:
                groups[-1].append(second)
            else:
                groups.append([second])
        beside = -100.0
        for group in groups:
            x = 40 + 880 * group[0] / end
            drawing.parts.append(f'<circle class="m" cx="{x:g}" cy="{top + 20}" r="6"/>')
            # What stands too close to its neighbour has its words below the line.
            low = x - beside < 80
            beside = -100.0 if low else x
            numbers = ", ".join(str(at.index(second) + 1) for second in group)
            when = ", ".join("at once" if second == 0 else span(second) for second in group)
            drawing.text(max(x, 66), top + (50 if low else 4), f"try {numbers}", look="b")
            drawing.text(max(x, 66), top + (66 if low else -12), when, look="s")
    width = 880 * 62 * 3600 / whole
    drawing.box(40, 310, width, 28, ["a weekend: Friday 18:00 to Monday 08:00, 62 hours"], "good")
    drawing.box(56 + width, 310, 864 - width, 28, ["dead, and alerted"], "end")
    note = "Each wait varies by a fifth, and is longer where the destination asks for it."
    drawing.text(40, 362, note, look="s", anchor="start")
    return drawing


def states() -> Drawing:
    """The states of a delivery and what leads from one to another."""
    drawing = Drawing(
        960,
        440,
        "The states of a delivery",
        "A delivery begins as open. It is delivered when the destination took it; skipped when it was not meant for "
        "there; dead when the destination refuses it for good, or after the last attempt. After any other failure it "
        "stays open and is tried again. Only a replay makes it open again.",
    )
    drawing.box(24, 208, 190, 64, ["accepted", "lead and route are stored"])
    drawing.way("M214 240H286")
    drawing.box(290, 100, 190, 280, [State.OPEN, "on its way,", "or waiting for its time"])
    for y, name, what, why in (
        (100, State.DELIVERED, "the destination took it", "ok"),
        (208, State.SKIPPED, "not meant for there", "for a reason, or by an operator"),
        (316, State.DEAD, "given up, and alerted", "rejected, or the last try failed"),
    ):
        drawing.box(736, y, 200, 64, [name, what], "end" if name is State.DEAD else "good")
        drawing.way(f"M480 {y + 32}H732")
        drawing.text(606, y + 24, why, look="s")
    drawing.way("M340 100C320 34 450 34 430 96")
    drawing.text(385, 40, "transient, throttled: again, later", look="s")
    drawing.text(385, 23, "misconfigured: alerted at once, and tried again later", look="s")
    drawing.way("M836 380V414H385V384", dashed=True)
    drawing.text(610, 406, "replay: the whole schedule anew (also of delivered, skipped)", look="s")
    return drawing


def no_leads() -> Drawing:
    """What to look at when no leads arrive, as docs/operations.md tells it."""
    steps = (
        ("Is it in list --since 30d?", "yes", "It arrived: look at its deliveries", "show ID"),
        ("Is it in list --quarantined?", "yes", "It could not be read: its bytes are kept", "show, then replay"),
        (
            "Does check find anything?",
            "yes",
            "Do what its remedy says",
            "a missing table is no fault: Microsoft never wrote",
        ),
        (
            "Is the destination set, and published?",
            "no",
            "Partner Center: Offer setup, Customer leads",
            "then publish the offer",
        ),
        (
            "Does a test lead arrive?",
            "no",
            "HTTPS: send-test --address URL. Table: key, firewall",
            "Validate in Partner Center sends one",
        ),
    )
    drawing = Drawing(
        960,
        40 + 88 * len(steps) + 70,
        "No leads arrive",
        "Ask in this order. "
        + " ".join(f"{ask} If {answer}: {then} ({how})." for ask, answer, then, how in steps)
        + " Else compare with the Referrals workspace, which has every lead, and import what is missing.",
    )
    for number, (ask, answer, then, how) in enumerate(steps):
        y = 24 + 88 * number
        drawing.box(24, y, 330, 56, [f"{number + 1}. {ask}"])
        drawing.way(f"M354 {y + 28}H496")
        drawing.text(425, y + 20, answer, look="b")
        drawing.box(500, y, 436, 56, [then, how], "good")
        drawing.way(f"M189 {y + 56}V{y + 86}")
        drawing.text(199, y + 76, "yes" if answer == "no" else "no", look="b", anchor="start")
    y = 24 + 88 * len(steps)
    drawing.box(
        24,
        y,
        912,
        56,
        ["Compare with Referrals in Partner Center", "it has every lead: export what is missing, and import it"],
        "end",
    )
    return drawing


def ways() -> Drawing:
    """How leads come in and where they go, with every destination that there is."""
    groups: dict[str, list[str]] = {}
    for name in enabled.names():
        if name == "console":  # a line in the log, which is for whoever develops
            continue
        title = (ROOT / f"docs/destinations/{name}.md").read_text(encoding="utf-8").partition("\n")[0]
        kind = str(importlib.import_module(f"leads.destinations.{name}").KIND)
        groups.setdefault(kind, []).append(re.split(r"[:(]", title.removeprefix("# "))[0].strip())
    words = {"crm": "CRMs", "notification": "People", "feed": "Other systems", "customer": "The customer"}
    kinds = [(words[kind], groups[kind]) for kind in words if kind in groups]
    rows = [(head, [", ".join(titles[n : n + 2]) for n in range(0, len(titles), 2)]) for head, titles in kinds]
    heights = [44 + 17 * len(lines) for _, lines in rows]
    height = max(40 + sum(heights) + 16 * (len(rows) - 1), 300)
    listed = "; ".join(f"{head}: {', '.join(titles)}" for head, titles in kinds)
    drawing = Drawing(
        960,
        height,
        "Ways in and ways out",
        "In: rows of an Azure Table within a minute, calls to an HTTPS endpoint within seconds, CSV files by hand. "
        f"The app keeps each lead first, then understands it, counts it once and delivers it. Out: {listed}.",
    )
    middle = height / 2
    for offset, lines, dashed in (
        (-104, ["Azure Table", "within a minute"], False),
        (-28, ["HTTPS endpoint", "within seconds"], False),
        (48, ["CSV of Referrals", "what is missing, by hand"], True),
    ):
        drawing.box(24, middle + offset, 210, 56, lines)
        drawing.way(f"M234 {middle + offset + 28:g}L346 {middle + offset / 4:g}", dashed=dashed)
    drawing.box(
        350,
        middle - 75,
        220,
        150,
        [
            "Marketplace leads",
            "kept first, as it came",
            "understood, counted once",
            "tried for 75 hours",
            "never dead in silence",
        ],
        "good",
    )
    y = (height - sum(heights) - 16 * (len(rows) - 1)) / 2
    for (head, lines), tall in zip(rows, heights, strict=True):
        drawing.box(660, y, 276, tall, [head, *lines])
        drawing.way(f"M570 {middle + (y + tall / 2 - middle) / 4:g}L656 {y + tall / 2:g}")
        y += tall + 16
    return drawing


def bars(drawing: Drawing, x: float, y: float, rows: Sequence[tuple[str, float, str, str]]) -> None:
    """A bar for each row of name, length, words and look; the longest takes the whole width."""
    most, width = max(length for _, length, _, _ in rows), drawing.width - x - 200
    for number, (name, length, words, look) in enumerate(rows):
        top, long = y + 30 * number, max(width * length / most, 2)
        drawing.text(x - 10, top + 15, name, look="s", anchor="end")
        drawing.parts.append(f'<rect class="{look}" x="{x:g}" y="{top:g}" width="{long:.0f}" height="20" rx="4"/>')
        drawing.text(x + long + 8, top + 15, words, look="s", anchor="start")


def performance() -> Drawing:
    """Before and after, from the figures of the last `python -m dev.bench --write`."""
    found = json.loads((ROOT / "docs/performance.json").read_text(encoding="utf-8"))["figures"]
    parts = (
        ("A first lead from “Italia”, in starts of a hello world", 973 / 134, found["italia_ratio"], "{:.1f}"),
        ("Deliveries a second to a receiver that takes 250 ms", 1.9, found["deliveries_a_second"], "{:.0f}"),
        ("Rows that an idle sweep reads, at 100,000 leads a month", 44408, found["sweep_rows"], "{:,.0f}"),
        ("A thousand leads to two destinations, by the table", 0.10, found["cost_table"], "${:.2f}"),
    )
    told = "; ".join(
        f"{name}: before {form.format(before)}, after {form.format(after)}" for name, before, after, form in parts
    )
    drawing = Drawing(960, 40 + 110 * len(parts), "Before and after", f"{told}.")
    for number, (name, before, after, form) in enumerate(parts):
        y = 40 + 110 * number
        drawing.text(30, y, name, look="b", anchor="start")
        bars(
            drawing,
            100,
            y + 14,
            [("before", before, form.format(before), "box"), ("after", after, form.format(after), "good")],
        )
    return drawing


def cost() -> Drawing:
    """What a month costs by its leads, as docs/cost.md computes it."""
    price = costs.prices(costs.DOCUMENT.read_text(encoding="utf-8"))
    bills = [(leads, costs.bill(leads, 3, price, grants=True).total) for leads in costs.VOLUMES]
    told = "; ".join(f"{leads:,} leads: {costs.dollars(total)}" for leads, total in bills)
    drawing = Drawing(
        960,
        60 + 30 * len(bills) + 30,
        "What a month costs",
        f"By the number of leads, each to three destinations, after Azure's free grants, without alert rules. {told}.",
    )
    drawing.text(30, 36, "A month, by its leads, each to three destinations", look="b", anchor="start")
    bars(drawing, 150, 56, [(f"{leads:,} leads", total, costs.dollars(total), "good") for leads, total in bills])
    return drawing


DRAWINGS: dict[str, Callable[[], Drawing]] = {
    "retry": retry,
    "states": states,
    "no-leads": no_leads,
    "ways": ways,
    "performance": performance,
    "cost": cost,
}
"""The diagrams by the names of their files."""


if __name__ == "__main__":
    for name, draw in DRAWINGS.items():
        (Path(sys.argv[1]) / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")
