"""Is a destination well again? What was told as trouble is told once more when it is over."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leads.app import App
from leads.lead import Delivery, Outcome, State
from leads.messages.alert import Alert
from leads.store.rows import time_read, time_text
from leads.sweep import alerts


@dataclass(frozen=True, slots=True)
class Broken:
    """A destination whose trouble was told."""

    name: str
    since: datetime
    delivered: int = 0
    """Leads that it took since."""
    until: datetime | None = None
    """Deliveries that ended up to then are counted."""


def read(text: str) -> dict[str, Broken]:
    """The destinations in trouble, out of the text of a row."""
    found = {}
    for name, kept in json.loads(text or "{}").items():
        since = time_read(kept.get("since"))
        if since is not None:
            found[str(name)] = Broken(str(name), since, int(kept.get("delivered", 0)), time_read(kept.get("until")))
    return found


def text(broken: Iterable[Broken]) -> str:
    """As it is kept in a row."""
    kept: dict[str, Any] = {
        one.name: {
            "since": time_text(one.since),
            "delivered": one.delivered,
            "until": time_text(one.until) if one.until else "",
        }
        for one in broken
    }
    return json.dumps(kept) if kept else ""


def is_unwell(delivery: Delivery) -> bool:
    """Whether a delivery's trouble is its destination's, and not that of its lead alone."""
    last = delivery.last
    return last is not None and last.outcome in (Outcome.MISCONFIGURED, Outcome.TRANSIENT, Outcome.THROTTLED)


def tell(
    app: App, kept: str, told: Iterable[str], troubled: Iterable[str], delivered: Sequence[Delivery], now: datetime
) -> str:
    """Tell of destinations that are well again, and return what is to be kept for the next run.

    `kept` is what the last run returned; `told` are destinations whose trouble was told in this one, `troubled` those
    in trouble now; `delivered` are the deliveries that this run saw ended well.
    """
    broken = read(kept)
    for name in told:
        broken.setdefault(name, Broken(name, now, until=now))
    left = []
    for one in broken.values():
        after = one.until or one.since
        fresh = [d for d in delivered if d.destination == one.name and d.finished_at and d.finished_at > after]
        count = one.delivered + sum(d.state == State.DELIVERED for d in fresh)
        newest = max((d.finished_at for d in fresh if d.finished_at), default=after)
        if one.name in troubled or not count or not alerts.due(app, "well", one.name, now):
            left.append(Broken(one.name, one.since, count, newest))
            continue
        leads = "1 lead was" if count == 1 else f"{count} leads were"
        cause = f"{one.name} is well again: {leads} delivered since {one.since:%Y-%m-%d %H:%M} UTC."
        if not alerts.send(app, Alert("well", one.name, count, one.since, cause, "Nothing to do.")):
            left.append(Broken(one.name, one.since, count, newest))
    return text(left)
