"""What one look at all open leads has found. A long one takes several runs and is kept in the sweep's note meanwhile.

Figures and alerts come from whole cycles, never from the slice that one run saw.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from leads.store.rows import known_values, time_read, time_text


@dataclass
class Trouble:
    """Deliveries to one destination that died, or that wait for a person."""

    since: str
    """When the first attempt of the earliest was made."""
    count: int = 0
    fresh: int = 0
    """Of those, how many no alert has reported."""
    lead_id: str = ""
    """One of them, a fresh one where there is any: its last attempt has cause and remedy."""


@dataclass
class Cycle:
    """The figures of a look at all open leads, as far as it has come. Times are as they are stored."""

    began_at: str
    """Later for each cycle, whatever the clock says: deliveries are stamped with it."""
    cursor: str = ""
    """The lead id from which the next run goes on; empty at the beginning."""
    open: int = 0
    """Leads with work left."""
    oldest_open_at: str = ""
    """When the oldest of them arrived."""
    waiting: dict[str, int] = field(default_factory=dict)
    """Open deliveries by destination."""
    arrived: dict[str, int] = field(default_factory=dict)
    """Leads with work left by the day of their arrival."""
    delivered: dict[str, int] = field(default_factory=dict)
    """Deliveries of these leads since the alert about their destination, by destination."""
    troubles: dict[str, dict[str, Trouble]] = field(default_factory=dict)
    """By kind (`dead`, `misconfigured`) and destination."""

    @classmethod
    def after(cls, last: str, now: datetime) -> Cycle:
        """A new cycle, after the one that began at `last`."""
        before = time_read(last)
        return cls(time_text(now if before is None or now > before else before + timedelta(microseconds=1)))

    @classmethod
    def read(cls, text: str) -> Cycle:
        """The cycle in a text that `text` made."""
        values = json.loads(text)
        troubles = {
            kind: {name: Trouble(**known_values(Trouble, trouble)) for name, trouble in by_name.items()}
            for kind, by_name in values.pop("troubles").items()
        }
        return cls(**known_values(cls, values), troubles=troubles)

    def text(self) -> str:
        """The cycle as the sweep's note keeps it."""
        return json.dumps(asdict(self))

    def add_open(self, arrived_at: datetime) -> None:
        """Count a lead with work left."""
        self.open += 1
        self.oldest_open_at = min(self.oldest_open_at or time_text(arrived_at), time_text(arrived_at))
        day = f"{arrived_at:%Y-%m-%d}"
        self.arrived[day] = self.arrived.get(day, 0) + 1

    def add_waiting(self, destination: str) -> None:
        """Count an open delivery."""
        self.waiting[destination] = self.waiting.get(destination, 0) + 1

    def add_delivered(self, destination: str) -> None:
        """Count a delivery to a destination after the alert about that destination."""
        self.delivered[destination] = self.delivered.get(destination, 0) + 1

    def add_trouble(self, kind: str, destination: str, lead_id: str, since: datetime, *, fresh: bool) -> None:
        """Count a delivery in trouble."""
        by_name = self.troubles.setdefault(kind, {})
        trouble = by_name.setdefault(destination, Trouble(time_text(since), lead_id=lead_id))
        trouble.since = min(trouble.since, time_text(since))
        trouble.count += 1
        if fresh:
            trouble.fresh += 1
            trouble.lead_id = lead_id

    @property
    def misconfigured(self) -> tuple[str, ...]:
        """The destinations that wait for a person."""
        return tuple(sorted(self.troubles.get("misconfigured", ())))


def figures(text: object) -> Cycle | None:
    """The figures of the last whole cycle, out of the sweep's note."""
    return Cycle.read(text) if isinstance(text, str) and text else None
