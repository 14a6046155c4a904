"""What needs an alert: dead and misconfigured deliveries, quarantine, a silent watch, wrong settings.

Each alert comes from stored state, once, grouped by destination and hour; `leads.sweep.alerts` says it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import islice

from leads import enabled, log
from leads.app import App
from leads.intake import accept
from leads.lead import Outcome
from leads.messages.alert import Alert
from leads.ncrontab import longest_interval
from leads.store.ledger import CHANGED, QUARANTINE, STATE
from leads.store.protocol import Row, Value
from leads.store.rows import known_values, time_read, time_text
from leads.sweep import counting
from leads.sweep.alerts import REMINDER, due, note_taken, send, taken_at
from leads.sweep.configuration import configuration
from leads.sweep.cycle import Cycle, Trouble

DEAD, MISCONFIGURED = "dead", "misconfigured"
COUNTED = 20_000
"""Entries of a day in quarantine that are counted, since whoever has the address can send millions."""
SILENT = timedelta(minutes=15)
"""How long a timer may be quiet that runs more often than that."""

_HELP = {DEAD: "replay --dead --destination {}", MISCONFIGURED: "check"}
_CAME = f"{CHANGED}quarantine:"
_ENTRIES = "quarantined:"
"""What the names of the rows in `state` begin with that hold how many entries of a day are in quarantine."""


@dataclass
class Troubled:
    """A destination in trouble of which somebody took an alert, until somebody takes the one that it works again."""

    since: str
    """When somebody took it, as times are stored."""
    delivered: int = 0
    """Leads delivered there since, among those that are closed."""


def read_troubled(text: object) -> dict[str, Troubled]:
    """The troubled destinations out of the sweep's note."""
    return {name: Troubled(**known_values(Troubled, values)) for name, values in json.loads(str(text or "{}")).items()}


def troubled_text(troubled: dict[str, Troubled]) -> str:
    """The troubled destinations as the sweep's note keeps them."""
    return json.dumps({name: asdict(each) for name, each in troubled.items()})


def tell_deliveries(app: App, cycle: Cycle, now: datetime, *, is_late: Callable[[], bool]) -> dict[str, Troubled]:
    """Tell of deliveries that died, or that wait for a person, with the number of a whole cycle.

    Each makes one alert, and while some wait, another after a day. Returns the destinations of which somebody took one,
    and that can work again.
    """
    broken = frozenset(name for by_name in cycle.troubles.values() for name in by_name)
    troubled = {}
    for kind, destination, trouble in _grouped(cycle):
        if is_late():
            break
        if not (trouble.fresh or _is_reminder(app, kind, destination, now)) or not due(app, kind, destination, now):
            continue
        delivery = app.ledger.delivery(trouble.lead_id, destination)
        last = delivery.last if delivery else None
        alert = Alert(
            kind=kind,
            subject=enabled.title(destination),
            destination=destination,
            count=trouble.count,
            since=time_read(trouble.since) or now,
            cause=last.cause if last else "",
            remedy=last.remedy if last else "",
            command=f"python -m leads {_HELP[kind].format(destination)}",
        )
        if send(app, alert, broken):
            note_taken(app, kind, destination, now, about=cycle.began_at)
            # A lead that was refused says nothing of the destination.
            if last is None or last.outcome != Outcome.REJECTED:
                troubled[destination] = Troubled(time_text(now))
    return troubled


def _grouped(cycle: Cycle) -> list[tuple[str, str, Trouble]]:
    return sorted(
        ((kind, name, trouble) for kind, by_name in cycle.troubles.items() for name, trouble in by_name.items()),
        key=lambda each: each[:2],
    )


def _is_reminder(app: App, kind: str, destination: str, now: datetime) -> bool:
    last = taken_at(app, kind, destination) if kind == MISCONFIGURED else None
    return last is not None and not timedelta(0) <= now - last < REMINDER


def tell_recovery(app: App, cycle: Cycle, troubled: dict[str, Troubled], now: datetime) -> None:
    """Alert that destinations work again: nothing waits for a person there, and leads arrived since.

    Those of which somebody took it are taken out of `troubled`.
    """
    for name, each in list(troubled.items()):
        count = each.delivered + cycle.delivered.get(name, 0)
        if not count or name in cycle.troubles.get(MISCONFIGURED, {}) or not due(app, "well", name, now):
            continue
        leads = "1 lead was" if count == 1 else f"{count} leads were"
        alert = Alert(
            kind="well",
            subject=enabled.title(name),
            destination=name,
            count=count,
            since=time_read(each.since) or now,
            cause=f"{enabled.title(name)} works again: {leads} delivered since.",
            remedy="Nothing is left to do, unless leads died there in the meantime: replay those on the page.",
            command=f"python -m leads {_HELP[DEAD].format(name)}",
        )
        if send(app, alert):
            note_taken(app, "well", name, now)
            # What fails there from now on is news.
            note_taken(app, MISCONFIGURED, name, now)
            del troubled[name]


def find_unnoted(app: App, since: datetime, now: datetime) -> None:
    """Note the days on which bytes came into quarantine while the tables failed, so that nobody could note it then."""
    count = max(0, min((now.date() - since.date()).days, counting.DEAD_DAYS))
    for back in range(count + 1, -1, -1):
        day = f"{now - timedelta(days=back):%Y-%m-%d}"
        entries = app.store.blobs(QUARANTINE, f"{day.replace('-', '/')}/")
        if next(entries, None) is not None and not app.ledger.changes(f"quarantine:{day}"):
            app.ledger.change(f"quarantine:{day}", now)


def is_quarantine(change: Row) -> bool:
    """Whether a change, as the ledger notes it, is about bytes that came into quarantine."""
    return change.key.startswith(_CAME)


def tell_quarantine(app: App, changes: Sequence[Row], now: datetime) -> int:
    """Tell of bytes that came into quarantine, and return how many are there.

    `changes` names the days on which any came; nothing is read where there are none. A day is listed when more came,
    and hourly, since what was replayed or forgotten is no longer there and makes no alert.
    """
    if not changes:
        return 0
    known = counted_entries(app)
    entries = [_entries(app, change, known.get(change.key.removeprefix(_CAME)), now) for change in changes]
    present = {day: values for day, values in entries if values["count"]}
    fresh = {day: values for day, values in present.items() if int(values["count"]) > int(values["alerted"])}
    if fresh and due(app, "quarantine", "intake", now):
        cause, remedy = accept.quarantined_words(_newest(app, fresh))
        alert = Alert(
            kind="quarantine",
            subject="intake",
            count=sum(int(values["count"]) - int(values["alerted"]) for values in fresh.values()),
            since=min(time_read(values["since"]) or now for values in fresh.values()),
            cause=cause,
            remedy=remedy,
            command="python -m leads list --quarantined",
        )
        if send(app, alert):
            for values in fresh.values():
                values |= {"alerted": values["count"], "told": values.get("newest", "~")}
    for day, values in present.items():
        if day not in known or dict(known[day].values) != values:
            app.store.upsert(STATE, Row(STATE, f"{_ENTRIES}{day}", values))
    return sum(int(values["count"]) for values in present.values())


def _newest(app: App, fresh: Mapping[str, Mapping[str, Value]]) -> list[Mapping[str, str]]:
    """What was noted beside the entries that made no alert yet."""
    found = []
    for day, values in fresh.items():
        count = int(values["count"]) - int(values["alerted"])
        found += sorted(_notes(app, day), key=lambda note: note.get("at", ""))[-count:]
    return found


def _notes(app: App, day: str) -> Iterator[Mapping[str, str]]:
    """What was noted beside the entries of a day, as far as they are counted."""
    return (note for _, note in islice(app.store.blobs(QUARANTINE, f"{day.replace('-', '/')}/"), COUNTED))


def counted_entries(app: App) -> dict[str, Row]:
    """What the sweep knows of the entries of each day: their `count`, and the change `came` after which it counted."""
    return {row.key.removeprefix(_ENTRIES): row for row in app.store.rows(STATE, STATE, _ENTRIES, f"{_ENTRIES}~")}


def _entries(app: App, change: Row, known: Row | None, now: datetime) -> tuple[str, dict[str, Value]]:
    """A day, how many entries it has, how many of them were alerted, and since when others wait."""
    day, came = change.key.removeprefix(_CAME), str(change.values["at"])
    values: dict[str, Value] = dict(known.values) if known else {"alerted": 0, "count": 0, "since": came, "told": ""}
    if values.get("came") != came or counting.is_due(values.get("listed_at"), now, counting.HOURLY):
        if int(values["alerted"]) >= int(values["count"]):
            values["since"] = came
        times = [note.get("at") or "" for note in _notes(app, day)]
        count, told = len(times), str(values.get("told", "~"))
        # What was deleted must not stand in for what came later: nobody was told of that.
        values |= {
            "came": came,
            "listed_at": time_text(now),
            "count": count,
            "alerted": min(int(values["alerted"]), count - sum(at > told for at in times)),
            "newest": max(times, default=""),
        }
        if not count:
            app.store.delete(STATE, STATE, f"{_ENTRIES}{day}")
            app.ledger.unchange(change)
    return day, values


def silent_after(schedule: str) -> timedelta:
    """How long a timer of this schedule may be quiet before something is wrong with it."""
    return max(SILENT, 2 * longest_interval(schedule))


def tell_watch(app: App, first: datetime, now: datetime) -> None:
    """Tell of a watched table that was not read for far too long. `first` is since when the app has been running."""
    allowed = silent_after(app.settings.watch_schedule)
    for table in app.settings.inbox_tables:
        note = app.ledger.note(f"watch:{table.lower()}")
        ran_at = max(time_read(note.values.get("ran_at")) or first, first)
        about = time_text(ran_at)
        if now - ran_at <= allowed or not due(
            app, "watch_silent", table.lower(), now, again_after=REMINDER, about=about
        ):
            continue
        alert = Alert(
            kind="watch_silent",
            subject=table,
            count=1,
            since=ran_at,
            cause=f"The table {table} was not read for more than {_span(allowed)}.",
            remedy="The check on the page says whether the inbox can be read. If it cannot, correct LEADS_INBOX; if it "
            "can, the logs say why watch_tables fails. Until then leads wait in the table.",
            command="python -m leads check",
        )
        if send(app, alert):
            note_taken(app, "watch_silent", table.lower(), now, about)


def _span(time: timedelta) -> str:
    minutes = round(time.total_seconds() / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"


def tell_settings(app: App, now: datetime, *, were_wrong: bool) -> bool:
    """Alert all wrong settings at once, daily while they last, and at once when others are wrong than last time.

    Returns whether any are. `were_wrong` says what the last call returned: what was right in between is news.
    """
    problems = configuration(app).problems
    if not problems:
        if were_wrong:
            note_taken(app, "settings", "app", now)
        return False
    about = ",".join(sorted({problem.setting for problem in problems}))
    if not due(app, "settings", "app", now, again_after=REMINDER, about=about):
        return True
    for problem in problems:
        log.event("settings_problem", setting=problem.setting, cause=problem.cause, remedy=problem.remedy)
    alert = Alert(
        kind="settings",
        subject="app",
        count=len(problems),
        since=now,
        cause=" ".join(f"{problem.setting}: {problem.cause}" for problem in problems),
        remedy=" ".join(f"{problem.setting}: {problem.remedy}" for problem in problems),
        command="python -m leads check",
    )
    if send(app, alert):
        note_taken(app, "settings", "app", now, about)
    return True


def good_destinations(app: App) -> tuple[str, ...]:
    """LEADS_DESTINATIONS where there is nothing wrong with it; else nothing."""
    wrong = any(problem.setting == "LEADS_DESTINATIONS" for problem in app.settings.problems)
    known = all(enabled.split(name)[0] in enabled.names() for name in app.settings.destinations)
    return app.settings.destinations if app.names_destinations and known and not wrong else ()
