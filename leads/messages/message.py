"""What any message consists of, in plain text; templates and cards give it its looks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """How a message feels; templates and cards give it a color."""

    URGENT = "urgent"
    WARM = "warm"
    CALM = "calm"
    GOOD = "good"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Fact:
    """One labelled value. `link` is empty or a `mailto:` or `tel:` address that was checked."""

    label: str
    value: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Button:
    """Something to press: what it says and where it leads."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Message:
    """What a message says, in plain text, in the order in which it is read."""

    subject: str
    tone: Tone
    badge: str
    headline: str
    summary: str
    step: str
    """Which step of the customer this is, from the second on."""
    next_title: str
    next_text: str
    facts: tuple[Fact, ...]
    buttons: tuple[Button, ...] = ()
    quote_title: str = ""
    quote: str = ""
    earlier_title: str = ""
    earlier: tuple[str, ...] = ()
    lines_title: str = ""
    lines: tuple[str, ...] = ()
    """What a summary lists, a line for each lead."""
    command_title: str = ""
    command: str = ""
    notes: tuple[str, ...] = ()
    footer: str = ""
    language: str = "en"
