"""What a destination is: a module or package in `leads.destinations`, as `Destination` says.

Besides what `Destination` demands, a module may have these, which are found by their names:

* `check(settings, deadline) -> Iterator[Finding]`: look whether leads could be delivered, without delivering any.
* `preview(lead, step, settings) -> str`: what `send` would write, as text, without writing it or looking what is there.
  It may raise Skip, too.
* `record_url(lead, known, settings) -> str`: the page of what it made of the lead, as far as that can be said without
  asking; empty where it cannot. `known` are leads of the customer with their remote ids: this one first, then the
  newest first.
* `summary(leads, total, name, deadline, settings)`: of a notification, one message about many leads that were held back
  in a flood; `total` may be more than `leads`. `name` is the same when it is repeated after a crash.
* `alert(alert, deadline, settings)`: alert the operators.
* `erase(lead_id, remote_id, deadline, settings)`: erase what is kept of a lead in a place that is ours; again is fine.

Each of them raises a `leads.errors.Failure` when it cannot do its work, except `check`, which reports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol

from leads.lead import Lead, Mark, State
from leads.reader import Reader, Setting
from leads.transport import Deadline


class Kind(StrEnum):
    """What a destination is for: `RULES` says what follows from it."""

    CRM = "crm"
    NOTIFICATION = "notification"
    FEED = "feed"
    """Gets everything, also test leads and old ones, marked as such."""
    CUSTOMER = "customer"
    """Prepares what goes to the customer."""


class Flood(StrEnum):
    """What becomes of a destination's deliveries above LEADS_FLOOD leads an hour."""

    DELIVERED = "delivered"
    SUMMED_UP = "summed up"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a kind of destination gets."""

    tests: frozenset[str]
    """The values of LEADS_TEST_LEADS with which it gets test leads."""
    old: bool
    """Whether it gets leads that were brought in on purpose: imports, and rows from before the app."""
    replayed_old: bool
    """Whether it gets an old lead when an operator replays it."""
    replayed: bool
    """Whether it gets a lead again when an operator replays it."""
    flood: Flood
    unnamed: bool
    """Whether it gets leads that go to all destinations, where LEADS_ROUTES is set."""
    one_at_a_time: bool
    """Whether a process makes one attempt at a time: a CRM's limits are per user."""


RULES: Mapping[Kind, Rules] = MappingProxyType(
    {
        Kind.CRM: Rules(
            tests=frozenset({"deliver"}),
            old=True,
            replayed_old=True,
            replayed=True,
            flood=Flood.DELIVERED,
            unnamed=True,
            one_at_a_time=True,
        ),
        Kind.NOTIFICATION: Rules(
            tests=frozenset({"notify", "deliver"}),
            old=False,
            replayed_old=True,
            replayed=True,
            flood=Flood.SUMMED_UP,
            unnamed=True,
            one_at_a_time=False,
        ),
        Kind.FEED: Rules(
            tests=frozenset({"notify", "deliver"}),
            old=True,
            replayed_old=True,
            replayed=True,
            flood=Flood.DELIVERED,
            unnamed=True,
            one_at_a_time=False,
        ),
        Kind.CUSTOMER: Rules(
            tests=frozenset(),
            old=False,
            replayed_old=False,
            replayed=False,
            flood=Flood.SKIPPED,
            unnamed=False,
            one_at_a_time=False,
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Earlier:
    """Another lead of the same customer, and how this destination took it."""

    lead: Lead
    state: State | None
    """None where the lead never had a delivery to this destination."""
    remote_id: str


@dataclass(frozen=True, slots=True)
class Link:
    """A page of another system: what people call that system, and the address."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Step:
    """What a destination may know besides the lead itself."""

    now: datetime
    deadline: Deadline
    """When the attempt, with all its calls and tokens, must be over."""
    earlier: tuple[Earlier, ...] = ()
    """The customer's earlier leads, oldest first, as far as they are read."""
    later: tuple[Earlier, ...] = ()
    """The customer's later leads, oldest first: there are some when this one was stuck, or is replayed."""
    remote_id: str = ""
    """What an earlier attempt of this very delivery left at the destination, if anything."""
    replayed: bool = False
    """True when an operator asked for this delivery again."""
    uncertain: bool = False
    """True when an earlier attempt may have written something and nobody knows.

    A destination that cannot repeat itself harmlessly looks before it writes.
    """
    old: bool = False
    """True when the lead was brought in on purpose: an import, or a row from before the app."""
    records: tuple[Link, ...] = ()
    """Where the lead's record is in each CRM, for a notification: as far as that can be said without asking."""
    marks: tuple[Mark, ...] = ()
    """What the domain of the customer's address says about them, for a notification and for what goes to customers."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a destination's `check` looked at. The cause of one that is fine is a remark."""

    name: str
    ok: bool
    cause: str = ""
    remedy: str = ""
    waits_for: tuple[str, ...] = ()
    """What must be put right before this can be asked: where there is something, it was not asked, and is not ok."""


class ReadsSettings(Protocol):
    """The `Settings` class of a destination: a frozen dataclass that reads itself."""

    @classmethod
    def read(cls, reader: Reader) -> Any:
        """Read the destination's settings, noting every problem instead of raising it."""


class Destination(Protocol):
    """What every module in `leads.destinations` provides."""

    KIND: Kind
    TITLE: str
    """What people call it: `E-mail`."""
    SETTINGS: tuple[Setting, ...]
    """Every setting that its `Settings` reads, in the order of the documentation."""
    Settings: ReadsSettings

    def send(self, lead: Lead, step: Step, settings: Any) -> str:
        """Deliver the lead once and return the destination's id for it.

        It may be called again for a lead that already arrived, and then changes nothing where the destination
        allows that. Raises a `leads.errors.Failure`, or `leads.errors.Skip` where the lead is not for this destination.
        """
