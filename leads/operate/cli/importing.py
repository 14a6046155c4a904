"""The command `import`: what would become of each record is shown first, and done after that."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from typing import Any

from leads.operate.cli.look import FINDING, FINE, WRONG_USE, Call, person
from leads.operate.cli.screen import Screen, aligned, printable, some

SHOWN = 20
"""Lines of a preview; the others are counted."""
_FATES = {
    "new": "would become a lead",
    "taken": "became a lead",
    "same": "customer, offer and day of a lead that is there; --force takes it all the same",
    "repeated": "imported before",
    "unreadable": "could not be read",
    "accepted": "a lead already",
    "backfilled": "noted as older than the app; would become a lead",
    "gone": "purged or forgotten; stays out",
}


def import_leads(call: Call, options: Namespace, screen: Screen) -> int:
    """Bring leads in from a CSV file, or old rows from the watched table, after a preview."""
    if bool(options.file) == bool(options.table):
        screen.trouble("What should be imported?", "Give a CSV file, or --table NAME.")
        return WRONG_USE
    return _import_table(call, options, screen) if options.table else _import_file(call, options, screen)


def _import_file(call: Call, options: Namespace, screen: Screen) -> int:
    from leads.operate import importing

    try:
        records, unknown = importing.read(options.file.read_bytes(), options.dates)
    except OSError as error:
        screen.trouble(f"{options.file} cannot be read ({error.strerror}).")
        return WRONG_USE
    except importing.NotATable as error:
        screen.trouble(str(error))
        return WRONG_USE
    if unknown:
        screen.line(f"Columns that are kept as extra fields: {', '.join(map(printable, unknown))}")
    results = [
        one
        for chunk in screen.progress(_chunks(records), f"times {importing.RECORDS_A_CALL} records looked at")
        for one in call("import", {"records": chunk, "force": options.force})["results"]
    ]
    _show_results(results, screen)
    never = _never_came(records, results)
    for each in never:
        screen.line(f"never came by itself: {each['count']:>4}  {each['week']}  {printable(each['offer'])}")
    wanted = [record for record, result in zip(records, results, strict=True) if result["fate"] == "new"]
    code = FINDING if any(result["fate"] == "unreadable" for result in results) else FINE
    if not wanted or not screen.confirmed(f"Bring {some(len(wanted), 'lead')} in?", yes=options.yes):
        screen.answer({"imported": 0, "results": results, "never_came": never})
        return code
    done: list[dict[str, Any]] = []
    for chunk in screen.progress(_chunks(wanted), f"times {importing.RECORDS_A_CALL} records brought in"):
        done += call("import", {"records": chunk, "force": options.force, "yes": True})["results"]
    return max(code, _told(done, screen))


def _never_came(records: list[dict[str, Any]], results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many leads of the file are not here, by offer and week (ISO 8601): what was lost before this app saw it."""
    from leads.operate import importing

    counts = Counter(
        importing.missed(record, result)
        for record, result in zip(records, results, strict=True)
        if result["fate"] == "new"
    )
    return [{"offer": offer, "week": week, "count": count} for (offer, week), count in sorted(counts.items())]


def _chunks(records: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    from leads.operate.importing import RECORDS_A_CALL as SIZE

    return [records[start : start + SIZE] for start in range(0, len(records), SIZE)]


def _show_results(results: list[dict[str, Any]], screen: Screen) -> None:
    if not results:
        return
    rows = aligned(
        [
            (result["fate"], result["day"], result["stage"], person(result), result["offer"])
            for result in results[:SHOWN]
        ]
    )
    for row, result in zip(rows, results, strict=False):
        told = f"  as {result['lead']}" if result["lead"] else f"  {result['issues'][0]}" if result["issues"] else ""
        screen.line(f"  {'  '.join(row)}{printable(told)}".rstrip())
    if len(results) > SHOWN:
        screen.line(f"  and {len(results) - SHOWN} more")
    _count(results, screen)


def _count(results: list[dict[str, Any]], screen: Screen) -> None:
    for fate, count in Counter(result["fate"] for result in results).items():
        screen.line(f"{count} {fate}: {_FATES.get(fate, '')}")


def _told(done: list[dict[str, Any]], screen: Screen) -> int:
    taken = [result for result in done if result["fate"] == "taken"]
    screen.answer({"imported": len(taken), "results": done})
    _count(done, screen)
    return FINDING if any(result["fate"] == "unreadable" for result in done) else FINE


def _import_table(call: Call, options: Namespace, screen: Screen) -> int:
    counts = _walk(call, options.table, screen, yes=False)
    for fate, count in sorted(counts.items()):
        screen.line(f"{count} {fate}: {_FATES.get(fate, '')}")
    wanted = counts["backfilled"] + counts["new"]
    if not counts:
        screen.line(f"{options.table} has no row, or is not there.")
    if not wanted or not screen.confirmed(f"Bring {some(wanted, 'row')} in?", yes=options.yes):
        screen.answer({"imported": 0, "rows": dict(counts)})
        return FINE
    done = _walk(call, options.table, screen, yes=True)
    screen.answer({"imported": done["taken"], "rows": dict(done)})
    screen.line(f"{some(done['taken'], 'row')} came in.")
    return FINDING if done["unreadable"] else FINE


def _walk(call: Call, table: str, screen: Screen, *, yes: bool) -> Counter[str]:
    """Go through the table in answers of bounded size, and count what becomes of its rows."""
    counts: Counter[str] = Counter()
    token, skip = "", 0
    with screen.working(f"reading {printable(table)}") as tell:
        while True:
            page = call("import-table", {"table": table, "token": token, "skip": skip, "yes": yes})
            counts.update(page["rows"])
            token, skip = page["token"], page["skip"]
            if not token and not skip:
                return counts
            tell(f"{counts.total():,} rows")
