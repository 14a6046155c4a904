"""The commands that only look: `list`, `show`, `check` and `export`."""

from __future__ import annotations

import base64
import contextlib
import json
import os
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from leads.operate.cli import sheet
from leads.operate.cli.screen import Screen, aligned, block, columns, escaped, fitted, printable, some
from leads.operate.stories import FATES

if TYPE_CHECKING:
    from leads.operate.check import Result

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Performs an operation of `leads.operate.operations`, here or at a deployed app."""

FINE, FINDING, WRONG_USE = 0, 1, 2
"""Exit codes."""
WIDE = 150
"""Columns from which on a lead takes one line of a terminal."""
NARROWEST = 80
"""Columns that a list takes at least; in a window that has fewer its lines wrap."""
_WHEN, _DID, _ID, _PLACES, _GAP = len("2026-11-21 12:00"), 14, 33, 40, "  "
"""Columns of a list on a terminal, and what stands between them."""
LOOKS = 20
"""Calls that one list makes, each of bounded size, before it says how far it looked."""

_CONTACT = ("first_name", "last_name", "email", "phone", "country", "company", "title")
_COLUMNS = (
    *("arrived_at", "created_at", "state", "stage", "id", "name", "email", "company", "offer_title", "offer"),
    *("source", "action", "via", "is_test", "do_not_contact", "cause", "remedy"),
)
"""The columns of a list as CSV, in the words of the list as JSON."""


def filters(options: Namespace) -> dict[str, Any]:
    """The filters that `list` and `replay` share, as arguments of an operation."""
    given = {
        "state": options.state,
        "offer": options.offer,
        "since": options.since.isoformat() if options.since else None,
        "customer": options.customer,
    }
    return {name: value for name, value in given.items() if value}


def list_leads(call: Call, options: Namespace, screen: Screen) -> int:
    """List the newest leads, or what is in quarantine."""
    if options.quarantined:
        return _list_quarantine(call, options, screen)
    found = _listed(call, options)
    screen.answer(found)
    if screen.as_json:
        return FINE
    leads = found["leads"]
    if options.csv:
        return _list_as_csv(leads, found["cursor"], screen)
    if not leads:
        screen.line("No lead." if filters(options) else "No lead has arrived yet. `send-test` sends one.")
        _tell_the_end(found, screen)
        return FINE
    if screen.width:
        _show_leads(leads, screen, revealed=options.reveal)
    else:
        _print_leads(leads, screen)
    if found["more"] and len(leads) >= options.limit:
        screen.line(f"These are the newest {len(leads)}; --limit shows more.")
    _tell_the_end(found, screen)
    if not options.reveal:
        screen.line(screen.paint("Names and addresses are masked; --reveal and `show ID` show them.", "soft"))
    return FINE


def _print_leads(leads: Sequence[Mapping[str, Any]], screen: Screen) -> None:
    """Leads for a file or another program: one line each, in a form that stays as it is."""
    cells = aligned(
        [
            (moment(lead["arrived_at"]), lead["state"], lead["stage"], lead["id"], _who(lead), _offer(lead))
            for lead in leads
        ]
    )
    for lead, row in zip(leads, cells, strict=True):
        places = ", ".join(f"{name} {state}" for name, state in lead["deliveries"].items())
        screen.line(f"{'  '.join(row)}  {places}")
        if lead["cause"]:
            screen.line(f"    {printable(lead['cause'])} {printable(lead['remedy'])}")


def _show_leads(leads: Sequence[Mapping[str, Any]], screen: Screen, *, revealed: bool) -> None:
    """Leads for somebody at a terminal, below a header: two lines each, or one where that is wide enough."""
    width = max(screen.width, NARROWEST)
    is_wide = width >= WIDE
    room = width - _WHEN - _DID - 3 * len(_GAP)
    if is_wide:
        room -= _ID + _PLACES + 2 * len(_GAP)
    who = room * 3 // 5
    offer = room - who
    places = _PLACES if is_wide else width - _ID - 2 * len(_GAP)

    def lines(when: str, did: str, person: str, title: str, where: str, lead_id: str) -> list[str]:
        cells = [fitted(when, _WHEN), fitted(did, _DID), fitted(person, who), fitted(title, offer)]
        if is_wide:
            return [_GAP.join([*cells, where, lead_id])]
        return [_GAP.join(cells).rstrip(), f"{_GAP}{where}{_GAP}{lead_id}"]

    for each in lines("ARRIVED (UTC)", "WHAT", "WHO", "OFFER", fitted("DESTINATIONS", places), "ID"):
        screen.line(screen.paint(each, "soft"))
    for lead in leads:
        did, person, title = map(printable, (_did(lead), _person(lead, revealed=revealed), _offer(lead)))
        when, where = moment(lead["arrived_at"])[:_WHEN], _places(lead, places, screen)
        for each in lines(when, did, person, title, where, lead["id"]):
            screen.line(each)
        if lead["cause"]:
            for each in wrap(printable(f"{lead['cause']} {lead['remedy']}"), width - 4):
                screen.line(f"    {screen.paint(each, 'bad' if lead['state'] == 'dead' else 'wait')}")


def _did(lead: Mapping[str, Any]) -> str:
    """What the customer did, in the words of the page; an older app names the stage."""
    return str(lead.get("did") or lead["stage"])


def _person(lead: Mapping[str, Any], *, revealed: bool) -> str:
    if revealed:
        return ", ".join(filter(None, (person(lead), lead["company"])))
    return ", ".join(part for part in (lead["name"] or lead["email"], lead["company"]) if part) or "no contact data"


def _places(lead: Mapping[str, Any], width: int, screen: Screen) -> str:
    """Destinations and their states in so many columns: what is not delivered first, the others as a number."""
    states: dict[str, str] = dict(lead["deliveries"])
    well = [name for name, state in states.items() if state == "delivered"]
    parts = [(name, state) for name, state in states.items() if name not in well]
    named = [*parts, *((name, "delivered") for name in well)]
    counted = [*parts, (f"{len(well)}", "delivered")] if well else parts
    # In words where it fits, then with numbers: that of each state at last.
    for each in (named, counted, [(str(n), state) for state, n in Counter(states.values()).items()]):
        text = ", ".join(f"{name} {state}" for name, state in each)
        if columns(text) <= width:
            break
    painted = ", ".join(f"{name} {screen.state(state)}" for name, state in each)
    return painted + " " * (width - columns(text))


def _list_as_csv(leads: Sequence[Mapping[str, Any]], cursor: str, screen: Screen) -> int:
    rows = (
        [
            *(lead[column] for column in _COLUMNS),
            "; ".join(f"{name}: {state}" for name, state in lead["deliveries"].items()),
        ]
        for lead in leads
    )
    for text in sheet.lines((*_COLUMNS, "deliveries"), rows):
        screen.line(text)
    if cursor:
        screen.trouble(f"These are {some(len(leads), 'lead')}.", f"--after '{cursor}' goes on.")
    return FINE


def _listed(call: Call, options: Namespace) -> dict[str, Any]:
    """The leads that are asked for, in answers of bounded size, and where the last one stopped."""
    leads: list[dict[str, Any]] = []
    cursor = options.after or ""
    for _ in range(LOOKS):
        asked = {"limit": options.limit - len(leads), "reveal": options.reveal, "cursor": cursor}
        found = call("list", {**filters(options), **asked})
        leads += found["leads"]
        cursor = found["cursor"]
        if not cursor or len(leads) >= options.limit:
            break
    return {**found, "leads": leads}


def _tell_the_end(found: Mapping[str, Any], screen: Screen) -> None:
    """How far a list looked, where it did not come to the end."""
    if found["cursor"]:
        since = f" that arrived since {moment(found['looked_back_to'])}" if found["looked_back_to"] else ""
        screen.line(f"Looked at the leads{since}; --after '{found['cursor']}' goes on.")


def _list_quarantine(call: Call, options: Namespace, screen: Screen) -> int:
    since = {"since": options.since.isoformat()} if options.since else {}
    found = call("quarantine", {**since, "limit": options.limit})
    screen.answer(found)
    for entry in found["entries"]:
        screen.line(f"{moment(entry['at'])}  {entry['via']:<6}  {entry['size']:>7} bytes  {printable(entry['reason'])}")
        screen.line(f"    {entry['name']}")
    if not found["entries"]:
        screen.line("Nothing has come into quarantine since then." if since else "Quarantine is empty.")
    if found["more"]:
        screen.line(f"These are the newest {len(found['entries'])}; --limit shows more.")
    return FINE


def moment(text: str | None) -> str:
    """A time as it is shown: to the second, in UTC."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S}" if text else ""


def person(lead: Mapping[str, Any]) -> str:
    """Name and address, as far as they came."""
    address = f"<{lead['email']}>" if lead["email"] else ""
    return f"{lead['name']} {address}".strip() or "no contact data"


def _who(lead: Mapping[str, Any]) -> str:
    notes = [note for note, said in (("test", lead["is_test"]), ("do not contact", lead["do_not_contact"])) if said]
    told = ", ".join([person(lead), *([lead["company"]] if lead["company"] else [])])
    return f"{told} ({', '.join(notes)})" if notes else told


def _offer(lead: Mapping[str, Any]) -> str:
    return str(lead["offer_title"] or lead["offer"] or "no offer")


def _preview(call: Call, options: Namespace, screen: Screen) -> int:
    found = call("preview", {"id": options.id, "destination": options.destination})
    screen.answer(found)
    if not found["text"]:
        screen.trouble("There is no lead with this id.", "It may have been purged.")
        return FINDING
    for line in found["text"].splitlines():
        screen.line(printable(line))
    return FINE


def show(call: Call, options: Namespace, screen: Screen) -> int:
    """Tell the whole story of a lead, with its personal data; or what a destination would write of it."""
    if options.destination:
        return _preview(call, options, screen)
    story = call("show", {"id": options.id})
    screen.answer(story)
    if not story:
        screen.trouble("There is no lead, event or entry of the quarantine with this id.", "It may have been purged.")
        return FINDING
    if screen.as_json:
        return FINE
    screen.line(screen.paint(printable(story["id"]), "strong"))
    if story["lead"]:
        _show_lead(story["lead"], screen)
    elif story["quarantine"]:
        entry = story["quarantine"]
        _fact(
            screen,
            "quarantine",
            f"{entry['reason']} ({entry['via']}, {entry['size']} bytes, {moment(entry['at'])} UTC)",
        )
        if entry["name"] != story["id"]:
            _fact(screen, "", entry["name"])
    else:
        _fact(screen, "", FATES.get(story["fate"], "It is still being taken in."))
    for delivery in story["deliveries"]:
        _show_delivery(delivery, screen)
    if story["others"]:
        screen.line("\nOther leads of this customer")
        for other in story["others"]:
            screen.line(
                f"  {moment(other['arrived_at'])}  {screen.state(other['state'])}  {other['id']}  {_offer(other)}"
            )
    _show_raw(story, screen)
    return FINE


def _show_lead(lead: Mapping[str, Any], screen: Screen) -> None:
    contact = lead["contact"]
    came = f"{moment(lead['arrived_at'])} UTC by {lead['via']}"
    origin = " ".join(part for part in (lead["source"], lead["action"]) if part)
    flags = [name for name in ("is_test", "do_not_contact", "contact_withheld") if lead[name]]
    facts: dict[str, object] = {
        "arrived": came,
        "created": f"{moment(lead['created_at'])} UTC",
        "stage": f"{lead['stage']}{f' ({origin})' if origin else ''}",
        "offer": " ".join(
            part for part in (lead["offer_title"], f"({lead['offer']})" if lead["offer"] else "") if part
        ),
        **{name: contact[name] for name in _CONTACT},
        **{f"campaign {name}": value for name, value in lead["campaign"].items()},
        **{f"extra {name}": json.dumps(value, ensure_ascii=False) for name, value in lead["extra"].items()},
        "flags": ", ".join(flags),
        "route": lead["route"],
    }
    for name, value in facts.items():
        if value:
            _fact(screen, name.replace("_", " "), value)
    if lead["message"]:
        _fact(screen, "message", "")
        for each in block(lead["message"], "    "):
            screen.line(each)
    for issue in lead["issues"]:
        _fact(screen, "issue", issue)


def _fact(screen: Screen, name: str, value: object) -> None:
    screen.line(f"  {screen.paint(printable(name).ljust(12), 'soft')} {printable(value)}".rstrip())


def _show_delivery(delivery: Mapping[str, Any], screen: Screen) -> None:
    screen.line(f"\n{screen.paint(delivery['destination'], 'strong')} {screen.state(delivery['state'])}")
    lost = delivery["attempt_count"] - len(delivery["attempts"])
    if lost > 0:
        screen.line(f"  {lost} earlier attempts are no longer kept.")
    for attempt in delivery["attempts"]:
        seconds = f"{attempt['seconds']:.2f} s"
        screen.line(f"  {moment(attempt['at'])}  {screen.state(attempt['outcome'], 13)}  {seconds:>8}")
        if attempt["cause"]:
            screen.line(f"      {printable(attempt['cause'])}")
            screen.line(f"      {screen.paint('→', 'good')} {printable(attempt['remedy'])}")
    if delivery["state"] == "open":
        screen.line(f"  next attempt at {moment(delivery['next_at'])} UTC")
    if delivery["reason"]:
        screen.line(f"  {printable(delivery['reason'])}")
    if delivery["remote_id"]:
        screen.line(f"  record there: {printable(delivery['remote_id'])}")


def _show_raw(story: Mapping[str, Any], screen: Screen) -> None:
    raw, coded = story.get("raw"), story.get("raw_base64", "")
    if raw is None and coded:
        with contextlib.suppress(UnicodeDecodeError):
            raw = base64.b64decode(coded).decode()
    if raw is not None:
        screen.line("\nRaw, as it arrived")
        for each in block(raw, "  "):
            screen.line(each)
    elif coded:
        screen.line(f"\nRaw, as it arrived, in Base64\n  {coded}")
    else:
        screen.line("\nThe raw bytes were deleted, or never kept.")


def _route(call: Call, options: Namespace, screen: Screen) -> int:
    """Where a lead would go and why, without asking any destination."""
    file = Path(options.route)
    given = {"text": file.read_bytes().decode("utf-8", "replace")} if file.is_file() else {"id": options.route}
    found = call("route", given)
    screen.answer(found)
    if not found:
        screen.trouble("There is neither a file nor a lead with this name.", "Give the path of a file, or a lead id.")
        return FINDING
    for each in found["routes"]:
        why = "matches" if each["matched"] else f"does not match: {each['condition']}"
        screen.line(f"  {each['route']}  {printable(each['text'])}  {printable(why)}")
    ended = f"route {found['route']}" if found["route"] else "no route ended the reading"
    screen.line(f"goes to {', '.join(found['destinations']) or 'nobody'} ({ended})")
    for problem in found["problems"]:
        screen.trouble(f"{problem['setting']}: {problem['cause']}", problem["remedy"])
    return FINDING if found["problems"] else FINE


def check(call: Call, options: Namespace, screen: Screen) -> int:
    """Ask every part a harmless question, and tell each answer as it comes."""
    if options.route:
        return _route(call, options, screen)
    from leads.operate import check as looks

    results = []
    for result in looks.once(_asked(call, screen)):
        results.append(result)
        _show_result(result, screen)
    failed, waiting = sum(result.failed for result in results), sum(bool(result.waits_for) for result in results)
    begin = looks.first(results)
    screen.answer(
        {
            "ok": begin is None,
            "first": {"part": begin.part, "name": begin.name, "remedy": begin.remedy} if begin else None,
            "results": [asdict(result) for result in results],
        }
    )
    if begin is None:
        screen.line("\nAll is well.")
        return FINE
    verb = "needs" if failed == 1 else "need"
    screen.line(f"\n{failed} of {len(results)} {verb} attention{f', {waiting} not asked' if waiting else ''}.")
    screen.line(f"Begin with {screen.paint(printable(looks.called(begin)), 'strong')}: {printable(begin.remedy)}")
    return FINDING


def _asked(call: Call, screen: Screen) -> Iterator[Result]:
    """What each part answers, one part after the other."""
    from leads.operate.check import Result

    for part in call("checks", {})["parts"]:
        with screen.working(f"asking {printable(part)}"):
            found = call("check", {"part": part})["results"]
        for each in found:
            yield Result.read(each)


def _show_result(result: Result, screen: Screen) -> None:
    mark = screen.paint("ok  ", "good") if result.ok else screen.paint("FAIL", "bad")
    name = f"{printable(result.part):<22} {printable('' if result.name == result.part else result.name):<28}"
    if result.waits_for:
        screen.line(f"{screen.paint('-   ', 'soft')}  {name} not asked: {printable(', '.join(result.waits_for))} first")
        return
    screen.line(f"{mark}  {name} {result.seconds:6.2f} s")
    if result.cause:
        screen.line(f"      {printable(result.cause)}")
    if result.remedy:
        screen.line(f"      {screen.paint('→', 'good')} {printable(result.remedy)}")


def search(call: Call, operation: str, who: str, screen: Screen) -> dict[str, Any]:
    """Search for a customer, or forget one, in calls of bounded length, and return their answers as one."""
    whole: dict[str, Any] = {"leads": [], "quarantine": [], "by_hand": [], "mentioned_in": [], "unsearched": []}
    searched: Counter[str] = Counter()
    cursor = ""
    with screen.working("looking") as tell:
        while True:
            found = call(operation, {"who": who, "cursor": cursor})
            for name, items in found.items():
                if isinstance(items, list):
                    there = whole.setdefault(name, [])
                    for item in items:
                        if item not in there:
                            there.append(item)
            whole["forgotten"] = whole.get("forgotten", 0) + found.get("forgotten", 0)
            searched.update(found["searched"])
            cursor = found["cursor"]
            if not cursor:
                return {**whole, "searched": dict(searched)}
            tell(f"looked at {counted(searched)}")


def counted(searched: Mapping[str, int]) -> str:
    """What was searched, in words."""
    return ", ".join(f"{count:,} {what}" for what, count in searched.items()) or "nothing: there is nothing yet"


def tell_search(found: Mapping[str, Any], screen: Screen) -> int:
    """Say how far a search went. What could not be searched is a finding."""
    screen.line(f"Looked at {counted(found['searched'])}.")
    for each in found["unsearched"]:
        screen.trouble(f"Not searched: {each['where']}.", each["why"])
    return FINDING if found["unsearched"] else FINE


def export(call: Call, options: Namespace, screen: Screen) -> int:
    """Write all that is kept of a customer, for the customer: as JSON, and with a file also as a page to read."""
    found = search(call, "export", options.who, screen)
    # It is for the customer, so what is said of other customers' leads stays out.
    content = {"customer": options.who, "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "records": found["records"]}
    count = len(content["records"])
    if options.output:
        from leads.operate.export import page

        file = options.output.with_suffix(".json") if options.output.suffix == ".html" else options.output
        try:
            _write(file, escaped(content) + "\n")
            _write(file.with_suffix(".html"), page(content))
        except OSError as error:
            screen.trouble(f"{file} cannot be written ({error.strerror}).", "Give a different --output.")
            return WRONG_USE
        screen.answer({"written": [str(file), str(file.with_suffix(".html"))], "records": count})
        screen.line(f"Written to {file}, and to read {file.with_suffix('.html')}: {some(count, 'record')}.")
    else:
        Screen(as_json=True).answer(content)
    if found["mentioned_in"]:
        places = some(len(found["mentioned_in"]), "lead or row", "leads and rows")
        screen.trouble(f"The address also stands in {places} of others, left out here.")
    if not count:
        screen.trouble(f"Nothing is kept of this customer. Looked at {counted(found['searched'])}.")
    code = tell_search(found, screen) if options.output else FINDING if found["unsearched"] else FINE
    return code if count else FINDING


def _write(path: Path, text: str) -> None:
    """Write a file that holds personal data: for nobody else on this machine, also where it was there before."""
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(target, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
