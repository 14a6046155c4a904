"""Templates: plain text files that people who know no code can edit, by language, offer and stage.

A file begins with lines `subject:` and `greeting:`, of each of which there may be several; the first whose variables
all have a value is taken, so the last may have none. After an empty line follows the text. A line of it that names a
variable without a value is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from leads.destinations.follow_up import languages
from leads.lead import Lead
from leads.messages.plain import line

FOLDER = Path(__file__).parent / "templates"
ENGLISH = "en"
LARGEST = 65_536
"""Bytes of a file."""
VARIABLES = ("first_name", "last_name", "name", "company", "offer", "country", "seller")
GREETING = "greeting"
NAME = re.compile(r"[a-z]{2}/(?:[^/]+/)?(?:initial_interest|trial|active|unknown)\.txt")
"""A file's name, in lower case: language, offer where it is for one only, stage."""
REMEDY = "Correct the file as docs/destinations/follow_up.md says."

_HEAD = re.compile(r"(subject|greeting)\s*:\s*(.*)", re.IGNORECASE)
_VARIABLE = re.compile(r"\{([^{}]*)\}")
_BLANK_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was read."""

    language: str
    subjects: tuple[str, ...] = ()
    greetings: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()

    def filled(self, values: Mapping[str, str]) -> tuple[str, str]:
        """Subject and text with the values in their places; an empty value counts as missing."""
        subject, greeting = _first(self.subjects, values), _first(self.greetings, values)
        whole = {**values, GREETING: greeting}
        kept = (_filled(each, whole) for each in self.lines if all(whole[name] for name in _VARIABLE.findall(each)))
        return subject, _BLANK_LINES.sub("\n\n", "\n".join(kept)).strip() + "\n"


def candidates(lead: Lead) -> Iterator[str]:
    """The names of the files that fit, best first: by language, then for the offer (id, title) before any offer."""
    for language in dict.fromkeys((languages.of_country(lead.contact.country), ENGLISH)):
        for offer in dict.fromkeys((lead.offer, lead.offer_title, "")):
            folder = f"{language}/{offer.lower()}" if offer else language
            yield f"{folder}/{lead.stage}.txt"


@cache
def shipped() -> Mapping[str, Path]:
    """The files of the package by name."""
    return {path.relative_to(FOLDER).as_posix(): path for path in sorted(FOLDER.rglob("*.txt"))}


def parse(name: str, text: str) -> tuple[Template, list[str]]:
    """The template in a file, and what is wrong with it, in sentences that quote nothing but names of variables."""
    head: dict[str, list[str]] = {"subject": [], GREETING: []}
    lines = text.splitlines()
    body = next((place for place, each in enumerate(lines) if not each.strip()), len(lines))
    problems: list[str] = []
    for place, each in enumerate(lines[:body], 1):
        found = _HEAD.fullmatch(each.strip())
        if found:
            head[found[1].lower()].append(found[2])
            problems += _unknown(place, found[2], VARIABLES)
        else:
            problems.append(f"Line {place} must begin with subject: or greeting:, or be empty.")
    for place, each in enumerate(lines[body:], body + 1):
        problems += _unknown(place, each, (*VARIABLES, GREETING))
    for key, values in head.items():
        if not values or not values[-1] or _VARIABLE.search(values[-1]):
            problems.append(f"The last line {key}: must be one without variables, for leads that lack them.")
    if not any(each.strip() for each in lines[body:]):
        problems.append("There is no text below the first empty line.")
    return Template(name[:2].lower(), tuple(head["subject"]), tuple(head[GREETING]), tuple(lines[body:])), problems


def shown(name: str) -> str:
    """A file's name as it can be shown."""
    return line(name, 100, links=True)


def _unknown(place: int, text: str, known: tuple[str, ...]) -> Iterator[str]:
    for name in _VARIABLE.findall(text):
        if name not in known:
            yield f"Line {place} names {{{line(name, 40, links=True)}}}; the variables are {', '.join(known)}."
    if re.search(r"[{}]", _VARIABLE.sub("", text)):
        yield f"Line {place} has a brace that stands for no variable."


def _first(choices: tuple[str, ...], values: Mapping[str, str]) -> str:
    fits = (each for each in choices if all(values[name] for name in _VARIABLE.findall(each)))
    return _filled(next(fits), values)


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: values[found[1]], text)
