"""A line on the app's log for every lead: proof that leads arrive before any real destination is set up."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Self

from leads.contract import Kind, Step
from leads.lead import Lead
from leads.reader import Reader, Setting

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
    del settings
    nth = "first step" if not step.earlier else f"step {len(step.earlier) + 1}"
    test = ", a test lead" if lead.is_test else ""
    _logger.info("lead %s: %s of this customer, %s%s", lead.id, nth, lead.stage.replace("_", " "), test)
    return ""
