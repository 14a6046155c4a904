"""What operators can ask and do, by name, with JSON values in and out: the CLI calls these directly or over HTTP.

Modules that only one operation needs are imported by it, since the page comes through here as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from typing import Any

from leads.app import App
from leads.intake import accept
from leads.lead import State
from leads.operate import as_json, audit, health, listing, quarantine, replay, stories
from leads.operate.listing import Chosen, Listed
from leads.store.rows import time_read

LIST_LIMIT = 200
"""Leads that one answer lists; it has to stay below the megabyte that `leads.transport` reads."""
SELECT_LIMIT = 1000

Arguments = Mapping[str, Any]


class WrongUse(Exception):
    """The arguments are not those of the operation. The text says which one, and quotes no value."""


def perform(
    app: App, name: str, arguments: Arguments, now: datetime, operator: str = "", way: str = "key"
) -> dict[str, Any]:
    """Perform an operation, and log what `operator`, who came in by `way`, looked at or changed.

    Raises WrongUse, and a `leads.errors.Failure` where a person has to correct something.
    """
    operation = OPERATIONS.get(name)
    if operation is None:
        raise WrongUse(f"There is no operation with that name. There are {', '.join(sorted(OPERATIONS))}.")
    content = operation(app, arguments, now)
    audit.performed(name, arguments, content, operator, way)
    return content


def text(arguments: Arguments, name: str, *, required: bool = False) -> str:
    """A text among the arguments, trimmed; empty where it is missing. Raises WrongUse."""
    value = arguments.get(name)
    if value is not None and not isinstance(value, str):
        raise WrongUse(f"{name} must be a text.")
    value = (value or "").strip()
    if required and not value:
        raise WrongUse(f"{name} is missing.")
    return value


def number(arguments: Arguments, name: str, default: int, most: int) -> int:
    """A whole number from 0 to `most` among the arguments. Raises WrongUse."""
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise WrongUse(f"{name} must be a whole number from 0 to {most}.")
    return value


def flag(arguments: Arguments, name: str) -> bool:
    """Whether a switch is on among the arguments."""
    return arguments.get(name) is True


def since(arguments: Arguments, name: str = "since") -> datetime | None:
    """A time among the arguments, in ISO 8601; without an offset it is UTC. Raises WrongUse."""
    value = text(arguments, name)
    if not value:
        return None
    try:
        return time_read(value)
    except (ValueError, OverflowError):
        raise WrongUse(f"{name} must be a time in ISO 8601, such as 2026-11-21 or 2026-11-21T12:00:00Z.") from None


def _state(arguments: Arguments) -> State | None:
    state = text(arguments, "state")
    if state not in ("", *State):
        raise WrongUse(f"state must be one of {', '.join(State)}.")
    return State(state) if state else None


def _found(app: App, arguments: Arguments, now: datetime, limit: int, chosen: Chosen | None = None) -> Listed:
    state = _state(arguments)
    try:
        return listing.listing(
            app,
            now=now,
            state=state,
            offer=text(arguments, "offer") or None,
            since=since(arguments),
            until=since(arguments, "until"),
            customer=text(arguments, "customer") or None,
            chosen=chosen,
            limit=limit,
            cursor=text(arguments, "cursor"),
        )
    except listing.WrongCursor:
        raise WrongUse("cursor must be one that a list gave.") from None


def _stretch(found: Listed) -> dict[str, Any]:
    """Where a list goes on, and how far it looked."""
    looked = found.looked_back_to
    return {
        "more": bool(found.cursor or looked),
        "cursor": found.cursor,
        "looked_back_to": looked.isoformat() if looked else "",
    }


def _health(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    del arguments
    return health.health(app, now).as_json()


def _list(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    limit = number(arguments, "limit", 50, LIST_LIMIT)
    found = _found(app, arguments, now, limit)
    revealed = flag(arguments, "reveal")
    return {"leads": [as_json.summary(each, revealed=revealed) for each in found.leads], **_stretch(found)}


def _quarantine(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    """The newest entries; with `after`, which is a name or empty, those behind it in the order of names."""
    del now
    limit, begin = number(arguments, "limit", LIST_LIMIT, LIST_LIMIT), since(arguments)
    if "after" in arguments:
        found = list(islice(quarantine.entries(app, begin, text(arguments, "after")), limit + 1))
    else:
        found = quarantine.newest(app, limit + 1, begin)
    return {"entries": [as_json.entry(each) for each in found[:limit]], "more": len(found) > limit}


def _show(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    found = stories.story(app, text(arguments, "id", required=True), now)
    if found is None:
        return {}
    return as_json.story(found)


def _select(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    """What a replay by filters is about, oldest first: leads, each with the destinations in question.

    Those are the deliveries of the wanted `state`, or the dead ones where none is wanted. With a `destination` and no
    state it is also every lead that was never on its way there. Removed destinations are left out.
    """
    state, destination = _state(arguments), text(arguments, "destination")
    everything = bool(destination) and state is None
    if destination:
        replay.require(app, destination)
    wanted, enabled = state or State.DEAD, app.destinations

    def in_question(states: Mapping[str, str]) -> list[str]:
        known = [name for name in states if name in enabled]
        names = [name for name in known if states[name] == wanted and destination in ("", name)]
        return [*names, destination] if everything and states and destination not in states else names

    # A list takes `delivered` to mean the lead as a whole, and here it is about each delivery.
    asked = {**arguments, "state": State.DEAD.value if wanted == State.DEAD and not everything else ""}
    limit = number(arguments, "limit", SELECT_LIMIT, SELECT_LIMIT)
    found = _found(app, asked, now, limit, lambda states: bool(in_question(states)))
    chosen = [
        {"id": each.lead.id, "destinations": in_question({d.destination: d.state.value for d in each.deliveries})}
        for each in reversed(found.leads)
    ]
    return {"leads": chosen, **_stretch(found)}


def _replay(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    lead_id = text(arguments, "id", required=True)
    if not stories.ID.fullmatch(lead_id):
        return {"id": lead_id, "known": False, "opened": 0}
    if "-" not in lead_id:
        seen = app.ledger.seen(lead_id)
        lead_id = seen.lead_id if seen and seen.lead_id else lead_id
    known = app.ledger.case(lead_id) is not None
    way = replay.hurry if flag(arguments, "hurry") else replay.replay
    opened = way(app, lead_id, text(arguments, "destination") or None, now)
    return {"id": lead_id, "known": known, "opened": opened}


def _route(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    """Where a lead would go now: one that is here, by its id, or the one in a text."""
    from leads.operate import routing

    lead_id, body = text(arguments, "id"), text(arguments, "text")
    if bool(lead_id) == bool(body):
        raise WrongUse("Give either id or text.")
    if lead_id:
        case = app.ledger.case(lead_id) if stories.ID.fullmatch(lead_id) and "-" in lead_id else None
        return routing.explain(app, case.lead) if case else {}
    try:
        return routing.explain(app, routing.read(app, body.encode("utf-8", "surrogatepass"), now))
    except routing.NotALead as error:
        raise WrongUse(f"The text is not a lead: {error.reason}") from None


def _reroute(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    """What the routes as they are would change of one lead; with `yes` they decide again."""
    from leads.operate import routing

    lead_id = text(arguments, "id", required=True)
    case = app.ledger.case(lead_id) if stories.ID.fullmatch(lead_id) and "-" in lead_id else None
    if case is None:
        return {"id": lead_id, "known": False, "new": [], "dropped": []}
    new, dropped = routing.change(app, case)
    if flag(arguments, "yes"):
        routing.apply(app, case, now)
    return {"id": lead_id, "known": True, "new": new, "dropped": dropped}


def _skip(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    from leads.operate.skip import LINES_A_CALL, skip

    name, cursor = text(arguments, "destination", required=True), text(arguments, "cursor")
    lines = number(arguments, "lines", LINES_A_CALL, LINES_A_CALL)
    return asdict(skip(app, name, now, cursor=cursor, yes=flag(arguments, "yes"), lines=lines))


def _preview(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    from leads.operate.preview import preview

    name = text(arguments, "destination", required=True)
    return {"text": preview(app, text(arguments, "id", required=True), name, now)}


def _replay_quarantined(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    try:
        return {"id": quarantine.replay_quarantined(app, text(arguments, "name", required=True), now), "reason": ""}
    except accept.NotALead as error:
        return {"id": "", "reason": error.reason}


def _checks(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    from leads.operate import check

    del arguments, now
    return {"parts": list(check.parts(app))}


def _check(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    from leads.operate import check

    part = text(arguments, "part", required=True)
    if part not in check.parts(app):
        raise WrongUse("part must be one of those that the operation checks names.")
    seconds = number(arguments, "seconds", int(check.SECONDS), int(check.SECONDS))
    return {"results": [asdict(result) for result in check.look(app, part, now, seconds)]}


def _send_test(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    from leads.operate import sample

    step = text(arguments, "step")
    if step not in ("", *sample.STEPS):
        raise WrongUse(f"step must be one of {', '.join(sample.STEPS)}.")
    receipt = accept.receive(app, sample.body(step, text(arguments, "email"), now), now)
    return {"id": receipt.id, "repeated": receipt.repeated}


def _customer(app: App, arguments: Arguments, now: datetime, order: str) -> dict[str, Any]:
    """A stretch of the search for a customer: `order` is one of the functions of `leads.operate.forget`."""
    from leads.operate import forget

    who, cursor = text(arguments, "who", required=True), text(arguments, "cursor")
    seconds = number(arguments, "seconds", forget.SECONDS, forget.SECONDS)
    try:
        found: dict[str, Any] = getattr(forget, order)(app, who, now, cursor, seconds)
    except forget.NotACustomer as error:
        raise WrongUse(str(error)) from None
    return found


def _forget(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    return _customer(app, arguments, now, "forget")


def _belongings(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    return _customer(app, arguments, now, "belongings")


def _export(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    return _customer(app, arguments, now, "give")


def _discard(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    from leads.operate import discard, forget

    ids = arguments.get("ids")
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise WrongUse("ids must be a list of texts.")
    if len(ids) > discard.IDS_A_CALL:
        raise WrongUse(f"ids may hold {discard.IDS_A_CALL} at most.")
    try:
        return {"results": discard.discard(app, ids, now)}
    except forget.NotACustomer as error:
        raise WrongUse(str(error)) from None


def _discard_quarantined(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    from leads.operate import discard

    return discard.quarantined(
        app,
        since=since(arguments),
        before=since(arguments, "before") or now,
        reason=text(arguments, "reason"),
        cursor=text(arguments, "cursor"),
        yes=flag(arguments, "yes"),
        seconds=number(arguments, "seconds", discard.SECONDS, discard.SECONDS),
    )


def _import(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    from leads.operate import importing

    records = arguments.get("records")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise WrongUse("records must be a list of objects.")
    if len(records) > importing.RECORDS_A_CALL:
        raise WrongUse(f"records may hold {importing.RECORDS_A_CALL} at most.")
    yes, force = flag(arguments, "yes"), flag(arguments, "force")
    return {"results": importing.take(app, records, now, yes=yes, force=force)}


def _import_table(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    from leads.operate import importing

    table, token = text(arguments, "table", required=True), text(arguments, "token")
    skip, rows = number(arguments, "skip", 0, 1000), number(arguments, "rows", importing.ROWS_A_CALL, 200)
    yes = flag(arguments, "yes")
    try:
        return importing.take_rows(app, table, now, token=token, skip=skip, yes=yes, rows_a_call=max(1, rows))
    except importing.NotATable as error:
        raise WrongUse(str(error)) from None


def _offers(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    from leads.operate import market

    del arguments, now
    return market.kept(app)


def _keep_offers(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    from leads.operate import market

    del now
    entries = arguments.get("offers")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise WrongUse("offers must be a list of objects.")
    if len(entries) > market.OFFERS_A_CALL:
        raise WrongUse(f"offers may hold {market.OFFERS_A_CALL} at most.")
    try:
        looked = [market.from_json(entry) for entry in entries]
    except market.NotAnOffer as error:
        raise WrongUse(str(error)) from None
    return {"kept": market.keep(app, looked, whole=flag(arguments, "whole"))}


def _mark_offer(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    from leads.operate import market

    known = text(arguments, "mark", required=True)
    if known not in set(market.Mark):
        raise WrongUse(f"mark must be one of {', '.join(market.Mark)}.")
    try:
        offer = market.from_json(arguments)
    except market.NotAnOffer as error:
        raise WrongUse(str(error)) from None
    market.mark(app, offer, market.Mark(known), text(arguments, "to")[:200], now)
    return {}


def _sign_out_all(app: App, arguments: Arguments, now: datetime) -> dict[str, Any]:
    from leads.operate.page import session

    del arguments, now
    session.end_all(app)
    return {"signed_out": True}


OPERATIONS: Mapping[str, Callable[[App, Arguments, datetime], dict[str, Any]]] = {
    "belongings": _belongings,
    "check": _check,
    "checks": _checks,
    "discard": _discard,
    "discard-quarantined": _discard_quarantined,
    "export": _export,
    "forget": _forget,
    "health": _health,
    "import": _import,
    "import-table": _import_table,
    "keep-offers": _keep_offers,
    "list": _list,
    "mark-offer": _mark_offer,
    "offers": _offers,
    "preview": _preview,
    "quarantine": _quarantine,
    "replay": _replay,
    "replay-quarantined": _replay_quarantined,
    "reroute": _reroute,
    "route": _route,
    "select": _select,
    "send-test": _send_test,
    "show": _show,
    "skip": _skip,
    "sign-out-all": _sign_out_all,
}
