"""Take out what nobody needs: entries of the quarantine by the thousand, and leads or entries by name."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from leads.app import App
from leads.operate import forget, quarantine
from leads.store.ledger import QUARANTINE

IDS_A_CALL = 100
SECONDS = 20
"""How long one call works at most."""


def discard(app: App, ids: Sequence[str], now: datetime) -> list[dict[str, Any]]:
    """Erase leads and entries of the quarantine, and say of each whether there was one and what is left `by_hand`.

    Raises `leads.operate.forget.NotACustomer` for an e-mail address: a whole customer is for `forget`.
    """
    if any("@" in each for each in ids):
        raise forget.NotACustomer("ids has to name leads and entries of the quarantine. `forget` takes an address.")
    results = []
    for each in ids:
        erased = forget.forget(app, each, now)
        gone = bool(erased["leads"] or erased["quarantine"])
        results.append({"id": each, "gone": gone, "by_hand": erased["by_hand"]})
    return results


def quarantined(
    app: App,
    *,
    since: datetime | None,
    before: datetime,
    reason: str,
    cursor: str,
    yes: bool,
    seconds: float = SECONDS,
) -> dict[str, Any]:
    """Count a stretch of the entries from `since` on and before `before`, and with `yes` delete them.

    `reason` is a part of their reason. `reasons` has how many have which; `kept` are those that are a lead after all:
    their event is known, or they wait to be taken in, so they are discarded by name only. `before` and `cursor` are for
    the next call; `cursor` is empty at the end.
    """
    stop_at = time.monotonic() + seconds
    reasons: Counter[str] = Counter()
    kept = size = 0
    following = ""
    # The time is looked at behind every entry, also behind one from before `since`: there may be a million of that day.
    for entry in quarantine.entries(app, after=cursor or (f"{since:%Y/%m/%d}/" if since else "")):
        wanted = (since is None or entry.at >= since) and entry.at < before
        if wanted and reason.casefold() in entry.reason.casefold():
            if entry.event or entry.waits:
                kept += 1
            else:
                reasons[entry.reason.partition(":")[0]] += 1
                size += entry.size
                if yes:
                    app.store.delete_blob(QUARANTINE, entry.name)
        if time.monotonic() >= stop_at:
            following = entry.name
            break
    return {
        "reasons": dict(reasons),
        "kept": kept,
        "bytes": size,
        "before": before.isoformat(),
        "cursor": following,
    }
