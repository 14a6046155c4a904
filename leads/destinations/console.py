"""A line on the app's log for every lead: proof that leads arrive before any real destination is set up."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from leads.contract import Kind, Step
from leads.lead import Lead
from leads.reader import Reader, Setting
from leads.transport import Deadline

KIND = Kind.NOTIFICATION
TITLE = "Console"
SETTINGS: tuple[Setting, ...] = ()

_logger = logging.getLogger("leads.console")


@dataclass(frozen=True, slots=True)
class Settings:
    """There is nothing to set."""

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Read nothing."""
        del reader
        return cls()


def send(lead: Lead, step: Step, settings: Settings) -> str:
    """Log one line without personal data; there is no id to return."""
    _logger.info("%s", preview(lead, step, settings))
    return ""


def preview(lead: Lead, step: Step, settings: Settings) -> str:
    """The line, as `send` would log it."""
    del settings
    nth = "first step" if not step.earlier else f"step {len(step.earlier) + 1}"
    test = ", a test lead" if lead.is_test else ""
    return f"lead {lead.id}: {nth} of this customer, {lead.stage.replace('_', ' ')}{test}"


def summary(leads: Sequence[Lead], total: int, name: str, deadline: Deadline, settings: Settings) -> None:
    """Log one line about `total` leads."""
    del leads, deadline, settings
    _logger.info("summary %s: %d leads", name, total)
