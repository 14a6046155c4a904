"""The diagrams of the documents are what the code draws today, are well-formed, and say in words what they show."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from dev import diagrams
from leads.lead import State

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", diagrams.DRAWINGS)
def test_the_picture_in_the_documents_is_the_one_that_is_drawn(name: str) -> None:
    assert (IMAGES / f"{name}.svg").read_text("utf-8") == diagrams.DRAWINGS[name]().svg(), "run make pictures"


@pytest.mark.parametrize("name", diagrams.DRAWINGS)
def test_everything_stays_within_the_picture_and_within_its_box(name: str) -> None:
    drawing = diagrams.DRAWINGS[name]()
    root = ET.fromstring(drawing.svg())
    boxes = [
        tuple(float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        for rect in root.iter(f"{SVG}rect")
        if "x" in rect.attrib
    ]
    for text in root.iter(f"{SVG}text"):
        x, y, words = float(text.attrib["x"]), float(text.attrib["y"]), text.text or ""
        # Wider than any of the usual fonts is on average.
        half = len(words) * (6.4 if text.attrib.get("class") == "s" else 7.9) / 2
        left = x if text.attrib["text-anchor"] == "start" else x - half
        assert left >= 0, words
        assert left + 2 * half <= drawing.width, words
        assert 12 <= y <= drawing.height - 4, words
        for box_x, box_y, width, height in boxes:
            if box_x < x < box_x + width and box_y < y < box_y + height:
                assert box_x <= left, words
                assert left + 2 * half <= box_x + width, words


@pytest.mark.parametrize("name", diagrams.DRAWINGS)
def test_it_can_be_read_in_the_dark_and_without_seeing_it(name: str) -> None:
    svg = diagrams.DRAWINGS[name]().svg()
    assert "prefers-color-scheme: dark" in svg
    described = re.search(r"<desc[^>]*>([^<]{80,})</desc>", svg)
    assert described
    assert 'aria-labelledby="t d"' in svg


def test_the_states_are_those_of_the_code() -> None:
    assert all(f">{state}<" in diagrams.states().svg() for state in State)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(5, "5 s"), (300, "5 min"), (305, "5 min"), (7200, "2 h"), (9305, "2 h 35"), (272105, "75 h 35")],
)
def test_times_are_told_as_people_say_them(seconds: int, told: str) -> None:
    assert diagrams.span(seconds) == told
