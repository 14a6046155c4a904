"""Record what the app leaves in its storage and which settings it takes: `python -m tests.record`, before a release.

A recording is never edited after the release: it is what people have who upgrade. docs/upgrade.md says what is
promised to them.
"""

from __future__ import annotations

import base64
import contextlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from dev.settings import groups
from leads import __version__
from leads.errors import Rejected, Transient
from leads.intake import watch
from leads.intake.accept import NotALead, receive
from leads.store import doorbell
from leads.store.testing import MemoryStore
from tests.world import NOON, PERSON, FakeDestination, World, failing, post, row, world

FOLDER = Path(__file__).with_name("fixtures") / "recorded"
DELIVERED, OPEN = post(description="Please call me."), row("open", NOON - timedelta(minutes=5))
DEAD = post(userDetails={**PERSON, "email": "dead@contoso.com"})
ROUTES = {"LEADS_ROUTES": "offer=other* > none; > crm"}


def live(made: World) -> None:
    """A delivered lead, a dead one, one that waits for its second attempt, and one thing in quarantine."""
    receive(made.app, DELIVERED, made.now)
    made.drain()
    made.places["crm"].failures.append(failing(Rejected))
    receive(made.app, DEAD, made.now)
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
    """What this version leaves, the ids of the three leads, and the names of all settings."""
    with world(environ=ROUTES, crm=FakeDestination()) as made:
        live(made)
        messages = [doorbell.message(lead, destination) for _, lead, destination in made.bell.waiting]
        names = {
            str(r.values["email"]).partition("@")[0]: f"{r.partition}-{r.key}"
            for r in made.store.tables["leads"].values()
            if ":" not in r.key
        }
        return {
            "version": __version__,
            "delivered": names["someone"],
            "open": names["open"],
            "dead": names["dead"],
            "settings": sorted({setting.name for group in groups().values() for setting in group}),
            "messages": messages,
            **dump(made.store),
        }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    target = FOLDER / f"{__version__}.json"
    target.write_text(json.dumps(record(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{target.name} was written.")
