"""What a destination is: a module in `leads.destinations` with `KIND`, `Settings` and `send`, as `Destination` says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from leads.lead import Lead, State
from leads.reader import Reader
from leads.transport import Deadline


class Kind(StrEnum):
    """What a destination is for: it decides what becomes of test leads and of old leads."""

    CRM = "crm"
    NOTIFICATION = "notification"


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
    """When the attempt, with all its calls and tokens, has to be over."""
    earlier: tuple[Earlier, ...] = ()
    """The customer's earlier leads, oldest first; one page of storage at most."""
    later: tuple[Earlier, ...] = ()
    """The customer's later leads, oldest first: there are some when this one was stuck, or is replayed."""
    remote_id: str = ""
    """What an earlier attempt of this very delivery left at the destination, if anything."""
    replayed: bool = False
    """True when an operator asked for this delivery again."""
    records: tuple[Link, ...] = ()
    """Where the lead's record is in each CRM, for a notification: as far as that can be said without asking."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a destination's `check` looked at. The cause of one that is fine is a remark."""

    name: str
    ok: bool
    cause: str = ""
    remedy: str = ""


class ReadsSettings(Protocol):
    """The `Settings` class of a destination: a frozen dataclass that reads itself."""

    @classmethod
    def read(cls, reader: Reader) -> Any:
        """Read the destination's settings, telling the reader of every problem instead of raising."""


class Destination(Protocol):
    """What a module in this package provides."""

    KIND: Kind
    TITLE: str
    """What people call it."""
    Settings: ReadsSettings

    def send(self, lead: Lead, step: Step, settings: Any) -> str:
        """Deliver the lead once and return the destination's id for it, or raise a `leads.errors.Failure`.

        It may be called again for a lead that already arrived, and then changes nothing where the destination
        allows that.
        """
