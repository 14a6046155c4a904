"""A toy destination of each kind, as small as a destination can be; the contract suite and the faults run with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from leads.contract import Kind, Step
from leads.errors import Failure, Skip, Transient
from leads.lead import Lead
from leads.reader import Reader, Setting


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the toy puts what it gets, and what people there call themselves."""

    shelf: str = ""
    label: str = ""

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.text("TOY_SHELF", required=True), reader.text("TOY_LABEL", "toys"))


@dataclass
class Toy:
    """A destination that keeps what it gets on the shelf that its settings name.

    It has no key of its own to make a repetition harmless, so after an uncertain attempt it looks first.
    """

    KIND: Kind
    TITLE: str = "Toy"
    SETTINGS: tuple[Setting, ...] = (
        Setting("TOY_SHELF", "Where things are put", own=True),
        Setting("TOY_LABEL", "What people call it", "toys"),
    )
    Settings: type[Shelf] = Shelf
    shelves: dict[str, list[str]] = field(default_factory=dict)
    steps: list[tuple[str, Step]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    """Raised one after the other, before anything is put anywhere; after them all goes well."""
    looks: list[Failure] = field(default_factory=list)
    """Raised by its looks."""
    loses_answers: int = 0
    """How many times it does the work and gives no answer."""

    def send(self, lead: Lead, step: Step, settings: Shelf) -> str:
        self.steps.append((settings.shelf, step))
        shelf = self.shelves.setdefault(settings.shelf, [])
        if lead.contact.company == "Nobody Inc.":
            raise Skip("it is of Nobody Inc.")
        if step.uncertain:
            if self.looks:
                raise self.looks.pop(0)
            if lead.id in shelf:
                return f"toy-{lead.event}"
        if self.failures:
            raise self.failures.pop(0)
        shelf.append(lead.id)
        if self.loses_answers:
            self.loses_answers -= 1
            raise Transient("The shelf did not answer in time.", "Nothing to do: the app tries again.", unanswered=True)
        return f"toy-{lead.event}"

    def preview(self, lead: Lead, step: Step, settings: Shelf) -> str:
        return f"{settings.label}: {lead.offer_name}, step {len(step.earlier) + 1}"

    def record_url(self, lead: Lead, known: list[tuple[Lead, str]], settings: Shelf) -> str:
        return f"https://toys.example/{settings.shelf}/{known[0][1]}" if known and known[0][1] else ""
