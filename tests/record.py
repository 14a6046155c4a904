"""Record what the app leaves in its storage, for a later version to read: `python -m tests.record`, before a release.

A recording is never edited afterwards: it is what stands in the storage accounts of people who upgrade.
"""

from __future__ import annotations

import base64
import contextlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from leads import __version__
from leads.errors import Transient
from leads.intake import watch
from leads.intake.accept import NotALead, receive
from leads.store import doorbell
from leads.store.testing import MemoryStore
from tests.world import NOON, FakeDestination, World, failing, post, row, world

FOLDER = Path(__file__).with_name("fixtures") / "recorded"
DELIVERED, OPEN = post(description="Please call me."), row("open", NOON - timedelta(minutes=5))


def live(made: World) -> None:
    """One lead that is delivered and done, one that waits for its second attempt, one thing in quarantine."""
    receive(made.app, DELIVERED, made.now)
    made.drain()
    made.sweep()
    made.places["crm"].failures.append(failing(Transient))
    made.inbox.tables["MarketplaceLeads"] = [OPEN]
    watch.watch(made.app, made.now)
    made.drain()
    with contextlib.suppress(NotALead):
        receive(made.app, b"no lead at all", made.now)


def dump(store: MemoryStore) -> dict[str, Any]:
    """All that is stored."""
    return {
        "tables": {
            table: [{"partition": r.partition, "key": r.key, "values": dict(r.values)} for r in rows.values()]
            for table, rows in store.tables.items()
        },
        "blobs": {
            container: [
                {"name": b.name, "data": base64.b64encode(b.data).decode(), "metadata": dict(b.metadata)}
                for b in blobs.values()
            ]
            for container, blobs in store.containers.items()
        },
    }


def record() -> dict[str, Any]:
    """What this version leaves, and the ids of the two leads."""
    with world(crm=FakeDestination()) as made:
        live(made)
        messages = [doorbell.message(lead, destination) for _, lead, destination in made.bell.waiting]
        names = {
            str(r.values.get("message") or "open"): f"{r.partition}-{r.key}"
            for r in made.store.tables["leads"].values()
            if ":" not in r.key
        }
        return {
            "version": __version__,
            "delivered": names["Please call me."],
            "open": names["open"],
            "messages": messages,
            **dump(made.store),
        }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    target = FOLDER / f"{__version__}.json"
    target.write_text(json.dumps(record(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{target.name} was written.")
