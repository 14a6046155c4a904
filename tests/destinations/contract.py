"""What the contract suite needs of a destination: settings that work, a far end that answers as told, what arrived.

For a new destination write `contract_<name>.py` with a function `contract(directory)` that yields a `Contract`, and
`test_contract.py` runs every one of its tests against it. `directory` is for files, such as a certificate authority.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from leads.errors import Failure
from leads.lead import Lead


class Wire(StrEnum):
    """How the far end answers from now on, until it is reset."""

    THROTTLED = "throttled"
    """Asks to wait 120 seconds where its protocol knows that."""
    BROKEN = "broken"
    """Out of order: 500, 451 or the like."""
    UNANSWERED = "unanswered"
    """The connection breaks before the answer, and nothing was done."""
    HTML = "html"
    """A page of something else."""
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True)
class Contract:
    """One destination and its far end."""

    name: str
    environ: Mapping[str, str] = field(default_factory=dict)
    """The settings with which it works; also put into the process's environment."""
    wrong: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Setting → changes of `environ` that make exactly this setting wrong."""
    secrets: tuple[str, ...] = ()
    """What must never be shown."""
    outcomes: Mapping[Wire, type[Failure] | tuple[type[Failure], ...]] = field(default_factory=dict)
    """The answers that it can meet, and the failure that each has to become."""
    says_how_long: frozenset[Wire] = frozenset()
    """The answers that ask to wait 120 seconds."""
    answer: Callable[[Wire], None] = lambda _: None
    """Let the far end answer so."""
    reset: Callable[[], None] = lambda: None
    """Let the far end work again. What arrived stays."""
    arrived: Callable[[], int] = lambda: 0
    """How many things it holds."""
    keeps: bool = True
    """Whether things arrive anywhere at all."""
    writes_once: bool = False
    """Whether the same lead sent again without a remote id, but uncertain, as after a crash, changes nothing."""
    skips: Callable[[Lead], bool] = lambda _: False
    """Whether a lead is not for this destination, and is skipped."""
