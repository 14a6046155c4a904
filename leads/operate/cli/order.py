"""The commands that change something. What is much is shown first."""

from __future__ import annotations

import time
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from leads.operate.cli.look import (
    FINDING,
    FINE,
    WRONG_USE,
    Call,
    counted,
    filters,
    moment,
    person,
    search,
    tell_search,
)
from leads.operate.cli.screen import Screen, printable, some
from leads.transport import Deadline, host, request

POLL_SECONDS = 0.5
LISTED, DISCARDED = 200, 100
"""Leads that `discard` takes at once, and that one call does."""
MOST = 1000
"""Leads that one replay by filters is about; there is another command for the next."""
pause = time.sleep


def send_test(call: Call, options: Namespace, screen: Screen) -> int:
    """Send a test lead and follow it until every destination is done."""
    if options.address:
        sent = _post(options, screen)
        if not sent:
            return FINDING
    else:
        sent = call("send-test", {"step": options.step or "", "email": options.email or ""})
    screen.line(f"sent: lead {sent['id']}")
    story: dict[str, Any] = {}
    told: dict[str, tuple[str, int]] = {}
    for _ in range(max(1, round(options.wait / POLL_SECONDS))):
        story = call("show", {"id": sent["id"]})
        _tell(story, told, screen)
        states = [delivery["state"] for delivery in story.get("deliveries", ())]
        if states and "open" not in states:
            break
        pause(POLL_SECONDS)
    screen.answer(story)
    left = [delivery for delivery in story.get("deliveries", ()) if delivery["state"] == "open"]
    if left or not story.get("deliveries"):
        names = ", ".join(delivery["destination"] for delivery in left) or "its deliveries"
        screen.trouble(
            f"Not finished after {options.wait} seconds: {names}.",
            f"The lead is kept. Check that the app is running; `python -m leads show {sent['id']}` says more.",
        )
        return FINDING
    return FINDING if any(delivery["state"] == "dead" for delivery in story["deliveries"]) else FINE


def _post(options: Namespace, screen: Screen) -> dict[str, Any]:
    """Send it as Partner Center would, to the very address that was given there."""
    from leads.operate import sample

    content = sample.body(options.step or "", options.email or "", datetime.now(UTC))
    headers = {"Content-Type": "application/json"}
    answer = request("POST", options.address, deadline=Deadline.after(30), headers=headers, data=content)
    said = answer.json()
    if answer.status == 202 and isinstance(said, dict) and isinstance(said.get("id"), str):
        return said
    remedies = {
        401: "The key after ?code= is wrong. Copy the URL of the function receive_lead again, whole.",
        403: "Something before the app refuses the call: its access restrictions, or App Service authentication.",
        404: "There is no such route. The address ends with /api/leads?code=…",
    }
    screen.trouble(
        f"{host(options.address)} answered {answer.status} instead of 202.",
        remedies.get(answer.status, "See /api/health of the app, and `python -m leads check`."),
    )
    return {}


def _tell(story: Mapping[str, Any], told: dict[str, tuple[str, int]], screen: Screen) -> None:
    """Show what changed since the last look."""
    for delivery in story.get("deliveries", ()):
        name, state = delivery["destination"], delivery["state"]
        now = (state, delivery["attempt_count"])
        if told.get(name) == now:
            continue
        told[name] = now
        last = delivery["attempts"][-1] if delivery["attempts"] else None
        why = delivery["reason"]
        if last and last["cause"] and state != "delivered":
            why = f"{last['outcome']}: {last['cause']} {last['remedy']}"
        screen.line(f"  {name}: {screen.state(state)}{f'  {printable(why)}' if why else ''}")


def replay(call: Call, options: Namespace, screen: Screen) -> int:
    """Open finished deliveries again: of the named leads, or of all that the filters find."""
    if options.quarantined:
        return _replay_quarantine(call, options, screen)
    if options.routes:
        return _reroute(call, options, screen)
    if options.ids:
        if filters(options).keys() - {"state"} or options.state not in (None, "open"):
            screen.trouble(
                "Filters do not work with an ID: the command replays what you name.", "Leave out one of them."
            )
            return WRONG_USE
        orders: list[dict[str, Any]] = [{"id": each, "destination": options.destination or ""} for each in options.ids]
    else:
        if not (options.state or options.since or options.destination):
            screen.trouble("What should be replayed?", "Give an ID, --dead, --since or --destination.")
            return WRONG_USE
        found = _selected(call, options, screen)
        orders = [{"id": each["id"], "destination": name} for each in found["leads"] for name in each["destinations"]]
        counts = Counter(order["destination"] for order in orders)
        told = ", ".join(f"{count} to {name}" for name, count in sorted(counts.items()))
        more = " (there are more)" if found["more"] else ""
        screen.line(f"{some(len(found['leads']), 'lead')}: {told or 'nothing to replay'}{more}.")
        if orders and not screen.confirmed("Replay them?", yes=options.yes):
            screen.answer({"would_replay": orders})
            return FINE
    if options.state == "open":
        orders = [{**order, "hurry": True} for order in orders]
    results = [_replay_one(call, order) for order in screen.progress(orders, "deliveries")]
    opened = sum(result["opened"] for result in results)
    unknown = [result["id"] for result in results if not result["known"] and not result["quarantined"]]
    screen.answer({"opened": opened, "results": results})
    screen.line(f"{opened} {'delivery is' if opened == 1 else 'deliveries are'} on the way again.")
    for result in results:
        if result["reason"]:
            screen.trouble(f"{result['id']}: {result['reason']}")
    for each in unknown:
        screen.trouble(f"There is no lead with the id {each}.")
    return FINDING if unknown or any(result["reason"] for result in results) else FINE


def _reroute(call: Call, options: Namespace, screen: Screen) -> int:
    """Let the routes as they are decide again, after showing what would change."""
    if options.destination:
        screen.trouble("--destination does not go with --routes.", "The routes say where leads go.")
        return WRONG_USE
    if options.ids:
        ids = list(options.ids)
    elif filters(options):
        ids = [lead["id"] for lead in call("list", {**filters(options), "limit": 200})["leads"]]
    else:
        screen.trouble("Which leads?", "Give an ID, --since, --open, --dead, --offer or --customer.")
        return WRONG_USE
    found = [call("reroute", {"id": each}) for each in screen.progress(ids, "leads")]
    changed = [each for each in found if each["new"] or each["dropped"]]
    for each in changed:
        told = [*(f"to {name}" for name in each["new"]), *(f"no longer to {name}" for name in each["dropped"])]
        screen.line(f"  {each['id']}  {', '.join(told)}")
    unknown = [each["id"] for each in found if not each["known"]]
    for each in unknown:
        screen.trouble(f"There is no lead with the id {each}.")
    screen.line(f"The routes would change {some(len(changed), 'lead')} of {len(found)}.")
    if not changed or not screen.confirmed("Change them?", yes=options.yes):
        screen.answer({"would_change": changed})
        return FINDING if unknown else FINE
    for each in screen.progress(changed, "leads"):
        call("reroute", {"id": each["id"], "yes": True})
    screen.answer({"changed": changed})
    screen.line(f"{some(len(changed), 'lead')} changed.")
    return FINDING if unknown else FINE


def skip(call: Call, options: Namespace, screen: Screen) -> int:
    """End the open deliveries to a destination, after showing how many there are."""
    arguments = {"destination": options.destination}
    found, busy = _through_open(call, arguments, screen)
    screen.line(f"{some(found + busy, 'delivery', 'deliveries')} to {options.destination} still open.")
    if not found:
        screen.answer({"skipped": 0, "busy": busy})
        return FINDING if busy else FINE
    if not screen.confirmed("End them? They are not sent.", yes=options.yes):
        screen.answer({"would_skip": found})
        return FINE
    done, busy = _through_open(call, {**arguments, "yes": True}, screen)
    screen.answer({"skipped": done, "busy": busy})
    screen.line(f"{some(done, 'delivery', 'deliveries')} ended.")
    if busy:
        screen.trouble(f"{some(busy, 'delivery', 'deliveries')} under way just now.", "Run this again in two minutes.")
    return FINDING if busy else FINE


def _through_open(call: Call, arguments: Mapping[str, Any], screen: Screen) -> tuple[int, int]:
    """How many deliveries `skip` finds, and how many of them are busy, over all open leads."""
    count = busy = 0
    cursor = ""
    with screen.working("going through the open leads") as tell:
        while True:
            answer = call("skip", {**arguments, "cursor": cursor})
            count, busy, cursor = count + answer["count"], busy + answer["busy"], answer["cursor"]
            if not cursor:
                return count, busy
            tell(some(count, "delivery", "deliveries"))


def _selected(call: Call, options: Namespace, screen: Screen) -> dict[str, Any]:
    """What a replay by filters is about, in answers of bounded size."""
    leads: list[dict[str, Any]] = []
    cursor = ""
    with screen.working("looking for leads") as tell:
        while True:
            found = call("select", {**filters(options), "destination": options.destination or "", "cursor": cursor})
            leads += found["leads"]
            cursor = found["cursor"]
            if not cursor or len(leads) >= MOST:
                return {"leads": leads, "more": bool(cursor)}
            tell(some(len(leads), "lead"))


def _replay_one(call: Call, order: Mapping[str, Any]) -> dict[str, Any]:
    if "/" not in order["id"]:
        return {"reason": "", "quarantined": False, **call("replay", order)}
    done = call("replay-quarantined", {"name": order["id"]})
    taken = bool(done["id"])
    return {
        "id": done["id"] or order["id"],
        "known": taken,
        "opened": taken,
        "quarantined": True,
        "reason": done["reason"],
    }


def _quarantined(call: Call, since: Mapping[str, str]) -> list[dict[str, Any]]:
    """All entries, in answers of bounded size."""
    entries: list[dict[str, Any]] = []
    while True:
        found = call("quarantine", {**since, "after": entries[-1]["name"] if entries else ""})
        entries += found["entries"]
        if not found["more"]:
            return entries


def _replay_quarantine(call: Call, options: Namespace, screen: Screen) -> int:
    entries = _quarantined(call, {"since": options.since.isoformat()} if options.since else {})
    screen.line(f"{some(len(entries), 'entry', 'entries')} in quarantine.")
    if entries and not screen.confirmed("Read them again? What is a lead now is delivered.", yes=options.yes):
        screen.answer({"would_replay": [{"name": entry["name"]} for entry in entries]})
        return FINE
    results = [
        call("replay-quarantined", {"name": entry["name"]}) | {"name": entry["name"]}
        for entry in screen.progress(entries, "entries")
    ]
    screen.answer({"results": results})
    taken = sum(bool(result["id"]) for result in results)
    screen.line(f"{taken} of {len(results)} could be read as a lead now; the others stay.")
    return FINE


def sign_out_all(call: Call, options: Namespace, screen: Screen) -> int:
    """End every session of the page."""
    screen.line("Whoever uses the page has to sign in again. The key of the function ops stays as it is.")
    if not screen.confirmed("Sign everybody out?", yes=options.yes):
        screen.answer({"signed_out": False})
        return FINE
    screen.answer(call("sign-out-all", {}))
    screen.line("Every session has ended.")
    return FINE


def forget(call: Call, options: Namespace, screen: Screen) -> int:
    """Erase all that is kept of a customer, and tell what must be deleted by hand elsewhere."""
    found = search(call, "belongings", options.who, screen)
    count = len(found["leads"]) + len(found["quarantine"])
    entries = some(len(found["quarantine"]), "entry", "entries")
    code = tell_search(found, screen)
    screen.line(f"Found {some(len(found['leads']), 'lead')}, and {entries} in quarantine.")
    if count and not screen.confirmed("Erase them? This cannot be undone.", yes=options.yes):
        screen.answer({"would_forget": found})
        return FINE
    done = search(call, "forget", options.who, screen) if count else found
    screen.answer(done)
    if count:
        screen.line(f"{done['forgotten']} erased. The events stay, without personal data, so that nothing comes back.")
    if done["by_hand"]:
        screen.line("\nDelete by hand, since this app does not:")
        for each in done["by_hand"]:
            screen.line(f"  {printable(each['where'])}: {printable(each['what'])}")
    if done["mentioned_in"]:
        screen.line("\nThe address also appears in records of other customers. Look at them, and forget leads by id:")
        for each in done["mentioned_in"]:
            screen.line(f"  {printable(each)}")
    if not count:
        elsewhere = " here; what is left is to be deleted by hand" if done["by_hand"] else ""
        screen.trouble(f"Nothing is kept of this customer{elsewhere}. Looked at {counted(found['searched'])}.")
        return FINDING
    return code


def discard(call: Call, options: Namespace, screen: Screen) -> int:
    """Take out entries of the quarantine, or leads, after showing what they are."""
    if options.quarantined and not options.ids:
        return _discard_quarantined(call, options, screen)
    if not options.ids and not filters(options):
        screen.trouble(
            "What should be discarded?", "Give an ID, --quarantined, or a filter such as --offer or --since."
        )
        return WRONG_USE
    if options.ids and filters(options):
        screen.trouble("Filters do not work with an ID: the command discards what you name.", "Leave out one of them.")
        return WRONG_USE
    ids = options.ids
    if not ids:
        found = call("list", {**filters(options), "limit": LISTED})
        for lead in found["leads"]:
            told = f"{moment(lead['arrived_at'])}  {lead['state']:<9}  {lead['id']}  {person(lead)}"
            screen.line(f"  {printable(told)}")
        if found["more"]:
            screen.line(f"These are the newest {len(found['leads'])}; run it again for the others.")
        ids = [lead["id"] for lead in found["leads"]]
    things = some(len(ids), "lead or entry", "leads and entries")
    if not ids or not screen.confirmed(f"Discard {things}? This cannot be undone.", yes=options.yes):
        screen.answer({"would_discard": ids})
        screen.line("" if ids else "Nothing matches that.")
        return FINE
    results = [
        result
        for start in screen.progress(range(0, len(ids), DISCARDED), f"times {DISCARDED}")
        for result in call("discard", {"ids": ids[start : start + DISCARDED]})["results"]
    ]
    screen.answer({"results": results})
    screen.line(f"{sum(result['gone'] for result in results)} of {len(results)} are gone.")
    for result in results:
        for each in result["by_hand"]:
            screen.line(f"  by hand: {printable(each['where'])}: {printable(each['what'])}")
        if not result["gone"]:
            screen.trouble(f"There is nothing with the id {result['id']}.")
    return FINE if all(result["gone"] for result in results) else FINDING


def _discard_quarantined(call: Call, options: Namespace, screen: Screen) -> int:
    given = {"reason": options.reason or ""}
    given |= {"since": options.since.isoformat()} if options.since else {}
    reasons, kept, size, before = _walk_quarantine(call, given, screen)
    for reason, count in reasons.most_common():
        screen.line(f"  {count:>7}  {printable(reason)}")
    screen.line(f"{some(reasons.total(), 'entry', 'entries')}, {size:,} bytes.")
    if kept:
        screen.line(
            f"{some(kept, 'entry stays', 'entries stay')}: a row or a lead that this version could not read, or one "
            "that waits. `replay --quarantined` reads them again; by name they can be discarded."
        )
    if not reasons or not screen.confirmed("Discard them? This cannot be undone.", yes=options.yes):
        screen.answer({"would_discard": dict(reasons), "kept": kept})
        return FINE
    # What has come since was not shown.
    done, *_ = _walk_quarantine(call, {**given, "before": before, "yes": True}, screen)
    screen.answer({"discarded": done.total(), "reasons": dict(done), "kept": kept})
    screen.line(f"{done.total()} discarded.")
    return FINE


def _walk_quarantine(call: Call, given: Mapping[str, Any], screen: Screen) -> tuple[Counter[str], int, int, str]:
    """Go through the quarantine in calls of bounded length.

    Returns how many entries have which reason, how many stay, bytes, and the time before which all of them came.
    """
    reasons: Counter[str] = Counter()
    kept, size, cursor = 0, 0, ""
    with screen.working("going through the quarantine") as tell:
        while True:
            found = call("discard-quarantined", {**given, "cursor": cursor})
            given = {**given, "before": found["before"]}
            reasons.update(found["reasons"])
            kept, size, cursor = kept + found["kept"], size + found["bytes"], found["cursor"]
            if not cursor:
                return reasons, kept, size, found["before"]
            tell(f"{reasons.total():,} entries")
