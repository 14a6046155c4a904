"""The sweep at a million leads a day: what it costs grows with the leads between two runs, and with nothing else.

`docs/performance.md` takes its figures from here; `python -m tests.sweep.test_million` counts the whole five minutes.
"""

from __future__ import annotations

import sys
from collections import Counter

from leads import delivery
from leads.intake.accept import receive
from tests.test_cost import Counting
from tests.world import PERSON, FakeDestination, Pager, post, world

FIVE_MINUTES = 1_000_000 * 5 // (24 * 60)
"""Leads that arrive between two sweeps: 3,472."""
OPERATIONS = 4
"""Of a sweep for one lead: its rows are read, its line goes from the worklist to its day, its bytes are looked up."""
ROWS = 7


def swept(leads: int, sweeps: int = 3) -> list[Counter[str]]:
    """What each sweep costs between which so many leads come and are delivered to two destinations."""
    costs = []
    with world(crm=FakeDestination(), people=Pager(), environ={"LEADS_FLOOD": "0"}) as w:
        for number in range(leads * sweeps):
            receive(w.app, post(userDetails=PERSON | {"email": f"{number}@contoso.com"}), w.now)
            if (number + 1) % leads:
                continue
            due, w.bell.waiting = w.bell.waiting, []
            for _, lead_id, destination in due:
                delivery.deliver(w.app, lead_id, destination, w.now)
            w.forward(minutes=5)
            counts: Counter[str] = Counter()
            w.app.store = Counting(w.store, counts)
            w.app.__dict__.pop("ledger", None)
            w.sweep()
            w.app.store = w.store
            w.app.__dict__.pop("ledger", None)
            assert not w.store.tables["journal"].keys() & {("open", lead_id) for _, lead_id, _ in due}
            costs.append(counts)
    return costs


def test_a_sweep_costs_the_same_for_each_lead_however_many_there_are() -> None:
    for leads in (20, 200):
        for counts in swept(leads, 2):
            assert counts["tables"] <= OPERATIONS * leads + 60
            assert counts["rows"] <= ROWS * leads + 60
            assert counts["blob_writes"] <= 30, "the first run lists the days of the last month"


if __name__ == "__main__":
    for found in swept(int(sys.argv[1]) if len(sys.argv) > 1 else FIVE_MINUTES):
        print(dict(found))
