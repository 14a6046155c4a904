"""End deliveries on purpose: those to a destination that is not wanted any more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from leads import log
from leads.app import App
from leads.delivery import is_claimed, released
from leads.lead import State
from leads.store.protocol import Changed

LINES_A_CALL = 500
"""Open leads that one call looks at, at most; the next goes on behind them."""
REASON = "an operator ended it"


@dataclass(frozen=True, slots=True)
class Skipped:
    """What one call found, and did."""

    count: int
    """Deliveries that were open, and are skipped now where that was asked for."""
    busy: int
    """Deliveries that are under way just now and were left alone."""
    cursor: str
    """Where the next call goes on; empty at the end."""


def skip(
    app: App, destination: str, now: datetime, *, cursor: str = "", yes: bool = False, lines: int = LINES_A_CALL
) -> Skipped:
    """Count the open deliveries to a destination from `cursor` on, and with `yes` end them as skipped."""
    count = busy = 0
    found = list(islice(app.ledger.open_lines(cursor), lines + 1))
    for line in found[:lines]:
        delivery = app.ledger.delivery(line.lead_id, destination)
        if delivery is None or delivery.state != State.OPEN:
            continue
        if is_claimed(delivery, now):
            busy += 1
            continue
        if yes:
            done = replace(released(delivery), state=State.SKIPPED, reason=REASON, finished_at=now)
            try:
                app.ledger.save(done)
            except Changed:
                busy += 1
                continue
            log.event("skipped", lead=line.lead_id, destination=destination)
        count += 1
    return Skipped(count, busy, found[lines].lead_id if len(found) > lines else "")
