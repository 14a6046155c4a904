"""The words of the page about a job: what it found, what it would do, how far it is, and what it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from leads import enabled
from leads.operate import check
from leads.operate.check import Result
from leads.operate.jobs import ASK, DONE, DROPPED, FAILED, NEW, Job
from leads.operate.stretches import LOOK, WORK

TITLES: Mapping[str, str] = {
    "check": "Check",
    "customer": "What is kept of a customer",
    "discard": "Discard by id",
    "discard-leads": "Discard leads",
    "discard-quarantined": "Discard from the quarantine",
    "import": "Import a file",
    "import-table": "Import old rows",
    "replay": "Replay",
    "reread": "Read the quarantine again",
    "reroute": "Let the routes decide again",
    "skip": "Skip what waits",
}
PHASES: Mapping[str, tuple[str, str]] = {
    NEW: ("being made", "open"),
    LOOK: ("looking", "open"),
    ASK: ("asks you", "open"),
    WORK: ("working", "open"),
    DONE: ("done", "delivered"),
    FAILED: ("failed", "dead"),
    DROPPED: ("dropped", "skipped"),
}
"""How a phase is called, and the tag that gives it its color."""
_FATES = {
    "new": "would become a lead",
    "taken": "became a lead",
    "same": "has customer, offer and day of a lead that is here, and stays out",
    "repeated": "was imported before",
    "unreadable": "could not be read",
    "accepted": "is a lead already",
    "backfilled": "is older than the app, and would become a lead",
    "gone": "was purged or forgotten, and stays out",
}

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Told:
    """What the page says of a job."""

    title: str
    said: Sequence[str]
    """Sentences, what is most important first."""
    button: str = ""
    """What the button says that lets it work."""
    warning: str = ""
    """What must be known before."""

    @property
    def grave(self) -> bool:
        """Whether it cannot be undone."""
        return "undone" in self.warning


def some(number: int, one: str, many: str = "") -> str:
    """`1 lead`, `2,000 leads`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def told(job: Job) -> Told:
    """What the page says of a job."""
    if job.kind == "check":
        return Told(TITLES[job.kind], _checked(job))
    found = _FOUND[job.kind](job, job.found) if job.found or job.phase != LOOK else []
    if job.phase in (NEW, LOOK):
        return Told(_title(job), found or ["It looks first, and changes nothing by that."])
    if job.phase == ASK and job.question:
        return Told(
            _title(job),
            ["The dates of this file can be read day first or month first, and no day above 12 shows which."],
        )
    if job.phase == ASK:
        button, warning = _asked(job)
        return Told(_title(job), found, button, warning)
    done = _DONE[job.kind](job, job.done) if job.done else []
    if job.done.get("interrupted"):
        done = [*done, "It was interrupted on the way, so it may have done more than it counted."]
    if job.phase == DROPPED:
        return Told(_title(job), ["It was dropped. What it had done by then stays done.", *done])
    if not done:
        done = found if job.phase != WORK else []
    return Told(_title(job), done)


def progress(job: Job) -> tuple[int, int]:
    """How much is done, and of how much; of nothing where that is not known."""
    totals: Mapping[str, tuple[int, int]] = {
        "check": (job.done.get("looked", 0), job.done.get("parts", 0)),
        "discard": (job.done.get("looked", 0), job.found.get("things", 0) + job.found.get("unknown", 0)),
        "discard-leads": (job.done.get("looked", 0), job.found.get("things", 0)),
        "discard-quarantined": (job.done.get("entries", 0), job.found.get("entries", 0)),
        "import": (job.done.get("looked", 0), job.done.get("records", 0)),
        "import-table": (job.done.get("looked", 0), job.found.get("looked", 0)),
        "replay": (job.done.get("looked", 0), job.found.get("deliveries", 0)),
        "reread": (job.done.get("looked", 0), job.found.get("entries", 0)),
        "reroute": (job.done.get("looked", 0), job.found.get("looked", 0)),
        "skip": (job.done.get("deliveries", 0), job.found.get("deliveries", 0)),
    }
    done, of = totals.get(job.kind, (0, 0)) if job.phase == WORK else (0, 0)
    return min(done, of), of


def _title(job: Job) -> str:
    name = str(job.given.get("destination") or "")
    if job.kind == "replay" and job.given.get("state") == "open":
        return f"Try now{f' at {enabled.title(name)}' if name else ''}"
    return f"{TITLES[job.kind]}{f': {enabled.title(name)}' if name else ''}"


def _place(job: Job) -> str:
    return enabled.title(str(job.given.get("destination") or ""))


def looked(job: Job) -> list[Result]:
    """What a check found, each fault once."""
    results = (check.Result.read(each) for each in job.shown if str(each["sort"]).startswith("check "))
    return list(check.once(results))


def _checked(job: Job) -> list[str]:
    results = looked(job)
    wrong, waiting = sum(each.failed for each in results), sum(bool(each.waits_for) for each in results)
    if not results:
        return ["It begins now."]
    begin = check.first(results)
    if begin is None:
        return ["All is well." if job.phase == DONE else "All is well so far."]
    verb = "needs" if wrong == 1 else "need"
    said = [f"{wrong} of {some(len(results), 'answer')} {verb} attention{f', {waiting} not asked' if waiting else ''}."]
    return [*said, f"Begin with {check.called(begin)}: {begin.remedy}"] if job.phase == DONE and begin.remedy else said


def _open(job: Job, counts: Counts) -> list[str]:
    said = [f"{some(counts.get('deliveries', 0), 'delivery', 'deliveries')} to {_place(job)} still open."]
    if counts.get("busy"):
        said.append(f"{some(counts['busy'], 'delivery', 'deliveries')} under way just now are left alone.")
    return said


def _skipped(job: Job, counts: Counts) -> list[str]:
    said = [f"{some(counts.get('deliveries', 0), 'delivery', 'deliveries')} to {_place(job)} ended as skipped."]
    if counts.get("busy"):
        said.append(f"{some(counts['busy'], 'delivery', 'deliveries')} under way: start again in two minutes.")
    return said


def _to_replay(job: Job, counts: Counts) -> list[str]:
    number = counts.get("deliveries", 0)
    by = [f"{count:,} to {enabled.title(name[3:])}" for name, count in sorted(counts.items()) if name[:3] == "to "]
    if job.given.get("state") == "open":
        waits = "waits for its next attempt" if number == 1 else "wait for their next attempt"
        return [f"{some(number, 'delivery', 'deliveries')} {waits}{': ' if by else ''}{', '.join(by)}."]
    if not number:
        return ["There is nothing to replay."]
    return [f"{some(number, 'delivery', 'deliveries')} would be sent again: {', '.join(by)}."]


def _replayed(job: Job, counts: Counts) -> list[str]:
    del job
    number = counts.get("deliveries", 0)
    return [f"{some(number, 'delivery is', 'deliveries are')} on the way again."]


def _to_change(job: Job, counts: Counts) -> list[str]:
    del job
    return [f"The routes would change {some(counts.get('leads', 0), 'lead')} of {counts.get('looked', 0):,}."]


def _changed(job: Job, counts: Counts) -> list[str]:
    del job
    return [f"{some(counts.get('leads', 0), 'lead')} changed."]


def _entries(job: Job, counts: Counts) -> list[str]:
    del job
    number, size = counts.get("entries", 0), counts.get("bytes", 0)
    said = [f"{some(number, 'entry', 'entries')}, {some(size, 'byte')}." if number else "No entry is like that."]
    said += [f"{count:,}: {name[8:]}" for name, count in sorted(counts.items()) if name[:8] == "because "]
    if counts.get("kept"):
        stay = some(counts["kept"], "entry stays", "entries stay")
        said.append(f"{stay}: a row or a lead that this version could not read. Replay them, or discard them by name.")
    return said


def _discarded(job: Job, counts: Counts) -> list[str]:
    del job
    return [f"{some(counts.get('entries', 0), 'entry', 'entries')} discarded."]


def _to_read(job: Job, counts: Counts) -> list[str]:
    del job
    return [f"{some(counts.get('entries', 0), 'entry', 'entries')} in quarantine."]


def _read(job: Job, counts: Counts) -> list[str]:
    del job
    number = counts.get("looked", 0)
    return [f"{counts.get('taken', 0):,} of {number:,} could be read as a lead now; the others stay."]


def _things(job: Job, counts: Counts) -> list[str]:
    said = [f"{_called(job, counts)} found."]
    if counts.get("unknown"):
        said.append(f"There is nothing with {some(counts['unknown'], 'id')}.")
    if counts.get("by hand"):
        said.append(f"{some(counts['by hand'], 'thing')} elsewhere to be deleted by hand.")
    return said


def _gone(job: Job, counts: Counts) -> list[str]:
    return [f"{_called(job, counts)} discarded."]


def _called(job: Job, counts: Counts) -> str:
    number = counts.get("things", 0)
    return some(number, "lead") if job.kind == "discard-leads" else some(number, "lead or entry", "leads and entries")


def _kept(job: Job, counts: Counts) -> list[str]:
    del job
    leads, entries = counts.get("leads", 0), counts.get("entries", 0)
    said = [f"Found {some(leads, 'lead')}, and {some(entries, 'entry', 'entries')} in quarantine."]
    if not leads and not entries:
        said = ["Nothing is kept here of this customer."]
    if counts.get("by hand"):
        said.append(f"{some(counts['by hand'], 'thing')} elsewhere to be deleted by hand.")
    if counts.get("unsearched"):
        said.append("Not everything could be searched.")
    return [*said, _searched(counts)]


def _searched(counts: Counts) -> str:
    looked = [f"{count:,} {name[9:]}" for name, count in counts.items() if name[:9] == "searched "]
    return f"Looked at {', '.join(looked) or 'nothing: there is nothing yet'}."


def _served(job: Job, counts: Counts) -> list[str]:
    if job.given.get("order") == "forget":
        number = counts.get("leads", 0) + counts.get("entries", 0)
        said = [f"{some(number, 'lead or entry', 'leads and entries')} erased."]
        if counts.get("unsearched"):
            said.append("Not everything could be searched or erased: see below, and begin again when that is repaired.")
        said.append("The events stay, without personal data, so that nothing comes back.")
    else:
        said = [f"{some(counts.get('records', 0), 'record')} for the customer."]
    return [*said, _searched(counts)]


def _fates(job: Job, counts: Counts) -> list[str]:
    del job
    # What was only looked at would, and what was done did.
    return [f"{counts[fate]:,} {words}." for fate, words in _FATES.items() if counts.get(fate)] or ["No record."]


_Words = Callable[[Job, Counts], list[str]]
_FOUND: Mapping[str, _Words] = {
    "customer": _kept,
    "discard": _things,
    "discard-leads": _things,
    "discard-quarantined": _entries,
    "import": _fates,
    "import-table": _fates,
    "replay": _to_replay,
    "reread": _to_read,
    "reroute": _to_change,
    "skip": _open,
}
_DONE: Mapping[str, _Words] = {
    "customer": _served,
    "discard": _gone,
    "discard-leads": _gone,
    "discard-quarantined": _discarded,
    "import": _fates,
    "import-table": _fates,
    "replay": _replayed,
    "reread": _read,
    "reroute": _changed,
    "skip": _skipped,
}


def _asked(job: Job) -> tuple[str, str]:
    """What the button says that lets a job work, and what must be known before."""
    found = job.found
    number = found.get("deliveries", 0)
    deliveries = some(number, "delivery", "deliveries")
    if job.kind == "replay" and job.given.get("state") == "open":
        return f"Try {deliveries} now", ""
    once = "This cannot be undone."
    asked: Mapping[str, tuple[str, str]] = {
        "discard": (f"Discard {_called(job, found)}", once),
        "discard-leads": (f"Discard {_called(job, found)}", once),
        "discard-quarantined": (f"Discard {some(found.get('entries', 0), 'entry', 'entries')}", once),
        "import": (f"Bring {some(found.get('new', 0), 'lead')} in", ""),
        "import-table": (f"Bring {some(found.get('new', 0) + found.get('backfilled', 0), 'row')} in", ""),
        "replay": (f"Replay {deliveries}", "A CRM gets no second record; a notification is sent again."),
        "reread": (f"Read {some(found.get('entries', 0), 'entry', 'entries')} again", ""),
        "reroute": (f"Change {some(found.get('leads', 0), 'lead')}", "What is delivered stays delivered."),
        "skip": (f"End {deliveries}", "They are not sent, and count as skipped."),
    }
    return asked.get(job.kind, ("", ""))
