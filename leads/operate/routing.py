"""Where a lead goes and why: by the routes as they are, and what would change if they decided again."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from leads import delivery, enabled, log, routes
from leads.app import App
from leads.contract import RULES
from leads.intake import normalize, payload
from leads.intake.accept import BODY_LIMIT
from leads.lead import Delivery, Lead, State, Via
from leads.operate import replay
from leads.store.ledger import Case
from leads.store.protocol import Changed

REASON = "the routes no longer choose this destination"


class NotALead(Exception):
    """The text is not a lead. `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def explain(app: App, lead: Lead) -> dict[str, Any]:
    """Where a lead would go now, route by route, and what is wrong with LEADS_ROUTES. Asks no destination anything."""
    made = routes.parse(app.settings.routes, app.destinations)
    decision = app.decide(lead)
    decided = asdict(decision)
    return {
        "destinations": list(decision.destinations),
        "route": decision.route,
        "routes": decided["routes"],
        "problems": [asdict(problem) for problem in made.problems],
    }


def read(app: App, text: bytes, now: datetime) -> Lead:
    """The lead in a text: a body as Microsoft posts it, or a row of the table as JSON. Raises NotALead."""
    if len(text) > BODY_LIMIT:
        raise NotALead("It is larger than any lead.")
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        row = None
    is_row = isinstance(row, dict) and {"PartitionKey", "RowKey"} <= row.keys()
    try:
        fields = payload.read_row(row) if is_row and isinstance(row, dict) else payload.read(text)
    except payload.NotALead as error:
        raise NotALead(error.reason) from None
    via = Via.TABLE if is_row else Via.HTTPS
    lead = normalize.normalize(fields, via=via, arrived_at=now, stages=app.settings.stages)
    return replace(lead, id="0" * 16 + "-" + "0" * 16)


def change(app: App, case: Case) -> tuple[list[str], list[str]]:
    """What the routes as they are would change of a lead: destinations that are new, and open ones to be skipped."""
    wanted = app.decide(case.lead).destinations
    held = {one.destination for one in case.deliveries}
    new = [name for name in wanted if name not in held and _gets(case.lead, name)]
    dropped = [one.destination for one in case.deliveries if one.state == State.OPEN and one.destination not in wanted]
    return new, dropped


def _gets(lead: Lead, name: str) -> bool:
    """Whether its kind takes a lead that the routes send on late: none is drafted to a customer, none old is news."""
    try:
        rules = RULES[enabled.load(name).KIND]
    except (KeyError, ImportError):
        return False
    return rules.replayed and (rules.old or not lead.old)


def apply(app: App, case: Case, now: datetime) -> tuple[int, int]:
    """Let the routes decide again about a lead; returns how many deliveries were added and how many skipped.

    What is delivered is neither repeated nor touched.
    """
    new, dropped = change(app, case)
    if not new and not dropped:
        return 0, 0
    with replay.opening(app, case, now):
        added = [name for name in new if replay.add(app, case.lead.id, name, now)]
    for name in added:
        log.event("replayed", lead=case.lead.id, destination=name)
        app.ring(case.lead.id, name)
    skipped = sum(_skip(app, one, now) for one in case.deliveries if one.destination in dropped)
    return len(added), skipped


def _skip(app: App, one: Delivery, now: datetime) -> bool:
    if delivery.is_claimed(one, now):
        return False
    try:
        app.ledger.save(replace(delivery.released(one), state=State.SKIPPED, reason=REASON, finished_at=now))
    except Changed:
        return False
    log.event("skipped", lead=one.lead_id, destination=one.destination)
    return True
