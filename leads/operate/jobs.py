"""What takes longer than one request: a row that says how far it has come, and whoever comes by takes it further.

Each look at a job's page works for a moment, and so does the sweep, so a job goes on when the browser is closed. It
looks first and waits for a yes. What is personal in it (an address, an uploaded file, what was found) goes when it has
ended, at the latest an hour after; the row then says who did what, how much and when.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from leads import log
from leads.app import App
from leads.errors import Failure
from leads.operate import operations, stretches
from leads.operate.stretches import LOOK, WORK, DatesAsked, Stretch
from leads.store.ledger import STATE
from leads.store.protocol import Changed, Row, Value
from leads.store.rows import known_values, time_read, time_text

JOBS = "jobs"
"""The container of uploaded files and of what was found."""
NEW, ASK, DONE, FAILED, DROPPED = "new", "ask", "done", "failed", "dropped"
"""The phases beside `look` and `work`: being made, waiting for a yes, and the three ends."""
ENDS = frozenset({DONE, FAILED, DROPPED})
PHASES = frozenset({NEW, LOOK, ASK, WORK, *ENDS})
PAGE_SECONDS, SWEEP_SECONDS = 2.0, 30.0
"""How long one look at a page works, and one run of the sweep."""
BUSY = timedelta(minutes=2)
"""How long a job is left to whoever took it last. It is given back at the end of a stretch, unless that crashed."""
KEPT, REMEMBERED, UNREAD = timedelta(hours=1), timedelta(days=7), timedelta(days=1)
"""How long a job waits for a yes, and what it found is kept; how long it is remembered that it was done; and how long
one of another version, which this one cannot read, is left to it."""
TRIES = 5
"""Stretches in a row that may fail unforeseen."""
AT_ONCE, LISTED = 20, 50
"""Jobs that may not have ended, and those that are remembered at most."""
RESULT_LIMIT = 32 * 1024 * 1024
"""Bytes of a download, which must be put together in memory."""
ID = re.compile(r"[0-9a-f]{16}")

_PARTITION = "job"
_IMPERSONAL = ("destination", "state", "order", "table")
"""What was given and may be remembered."""
_LONG = ("cursor", "given", "found", "done", "shown", "parts")
"""What may be long, and is kept as JSON in as many columns as it takes."""
_COLUMN = 30_000
"""Characters of a column; a text of Azure Table storage has 32,768."""
_working = threading.Lock()


class TooMany(Exception):
    """As many jobs are under way as there may be."""


class Gone(Exception):
    """What the job found is no longer kept, or is too much for one download. The text says which."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job and how far it has come."""

    id: str
    kind: str
    phase: str
    operator: str
    """Who began it, as the log has them."""
    way: str
    made_at: datetime
    changed_at: datetime
    busy_until: datetime | None = None
    cursor: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    found: Mapping[str, int] = field(default_factory=dict)
    """What looking counted."""
    done: Mapping[str, int] = field(default_factory=dict)
    """What working counted."""
    shown: tuple[Mapping[str, Any], ...] = ()
    parts: tuple[str, ...] = ()
    """Blobs with what was found, whole."""
    has_blobs: bool = False
    """Whether there can be any, an uploaded file among them."""
    question: str = ""
    """`dates` where it asks how the dates of a file are written."""
    tries: int = 0
    cause: str = ""
    remedy: str = ""
    etag: str = ""

    @property
    def is_under_way(self) -> bool:
        """Whether it goes on by itself."""
        return self.phase in (LOOK, WORK)


def begin(
    app: App,
    kind: str,
    given: Mapping[str, Any],
    now: datetime,
    *,
    operator: str,
    way: str,
    upload: bytes | None = None,
) -> Job:
    """Make a job, which then looks; one that changes nothing needs no yes. Raises TooMany."""
    jobs = every(app)
    if sum(job.phase not in ENDS for job in jobs) >= AT_ONCE:
        raise TooMany
    for old in [job for job in jobs if job.phase in ENDS and not job.has_blobs][LISTED:]:
        app.store.delete(STATE, _PARTITION, old.id)
    phase = WORK if kind == "check" else LOOK
    job = Job(secrets.token_hex(8), kind, NEW, operator, way, now, now, given=dict(given))
    # The row is first, so that no blob is ever without one that the sweep finds.
    job = replace(job, has_blobs=kind in ("customer", "discard", "discard-leads", "import"))
    job = replace(job, etag=app.store.insert(STATE, _row(job)))
    if upload is not None:
        app.store.put_blob(JOBS, f"{job.id}/{stretches.UPLOAD}", upload, {})
    return _save(app, replace(job, phase=phase))


def read(app: App, job_id: str, now: datetime) -> Job | None:
    """A job. One whose time is over is cleaned up before."""
    row = app.store.get(STATE, _PARTITION, job_id) if ID.fullmatch(job_id) else None
    job = _readable(row) if row else None
    return _tidy(app, job, now) if job else None


def every(app: App) -> list[Job]:
    """All jobs that are remembered, the newest first, as far as this version can read them."""
    return _newest_first(map(_readable, app.store.rows(STATE, _PARTITION)))


def _newest_first(jobs: Iterable[Job | None]) -> list[Job]:
    return sorted(filter(None, jobs), key=lambda job: (job.made_at, job.id), reverse=True)


def say_yes(app: App, job: Job, now: datetime, operator: str, way: str, **given: str) -> Job:
    """Let a job that asks begin its work, in the name of who says yes. Raises Changed where it asks nothing now."""
    if job.phase != ASK or job.question:
        raise Changed
    begun = replace(job, phase=WORK, operator=operator, way=way, given={**job.given, **given})
    return _save(app, replace(begun, cursor="", changed_at=now))


def say_dates(app: App, job: Job, order: str, now: datetime) -> Job:
    """Tell a job how the dates of its file are written. Raises Changed where it does not ask."""
    if job.phase != ASK or not job.question:
        raise Changed
    given = {**job.given, "dates": order}
    return _save(app, replace(job, phase=LOOK, given=given, question="", cursor="", changed_at=now))


def drop(app: App, job: Job, now: datetime) -> Job:
    """End a job before its end. What is done stays done. Raises Changed where it has ended.

    Whoever is at it just now stops within a second or two, and what is kept of it is deleted when that is over.
    """
    if job.phase in ENDS:
        raise Changed
    ended = _ended(job, DROPPED, now)
    if not _is_taken(job, now):
        return _clean(app, _save(app, ended), now)
    done = {**job.done, "interrupted": 1} if job.phase == WORK else job.done
    return _save(app, replace(ended, busy_until=job.busy_until, done=done))


def go_on(app: App, job_id: str, now: datetime, seconds: float = PAGE_SECONDS) -> Job | None:
    """Take a job further for some seconds, unless somebody else does; and return it as it stands.

    One at a time in a process, since each holds a thread that intake may need.
    """
    job = read(app, job_id, now)
    if job is None or not job.is_under_way or _is_taken(job, now) or not _working.acquire(blocking=False):
        return job
    try:
        if job.busy_until is not None and job.phase == WORK:
            # Whoever took it last never gave it back, and did more than was written down.
            job = replace(job, done={**job.done, "interrupted": 1})
        taken = _save(app, replace(job, busy_until=now + BUSY))
        return _work(app, taken, now, seconds)
    except Changed:
        return read(app, job_id, now)
    finally:
        _working.release()


def go_on_all(app: App, now: datetime, seconds: float = SWEEP_SECONDS) -> None:
    """Take each job further that has not ended, and clean up after those that have."""
    stop_at = time.monotonic() + seconds
    read = [(row, _readable(row)) for row in app.store.rows(STATE, _PARTITION)]
    for row in [row for row, job in read if job is None]:
        _forget_unread(app, row, now)
    for job in _newest_first(job for _, job in read):
        try:
            if job.is_under_way:
                go_on(app, job.id, now, max(0.0, stop_at - time.monotonic()))
            elif _tidy(app, job, now).phase in ENDS and now - job.changed_at > REMEMBERED:
                app.store.delete(STATE, _PARTITION, job.id)
        except Exception as error:  # noqa: BLE001 - the other jobs have their turn all the same
            log.event("operation_failed", operation=job.kind, error=type(error).__name__)


def result(app: App, job: Job) -> list[dict[str, Any]]:
    """Everything that a job found, in the answers of its operations. Raises Gone."""
    if not job.parts:
        raise Gone("What was found is kept for an hour after the end, and is no longer here.")
    found: list[dict[str, Any]] = []
    size = 0
    for name in job.parts:
        blob = app.store.get_blob(JOBS, f"{job.id}/{name}")
        if blob is None:
            raise Gone("What was found is kept for an hour after the end, and is no longer here.")
        size += len(blob.data)
        if size > RESULT_LIMIT:
            raise Gone(f"It is more than {RESULT_LIMIT // 2**20} MB. `python -m leads export` writes it.")
        found += json.loads(blob.data)
    return found


def _work(app: App, job: Job, now: datetime, seconds: float) -> Job:
    """One stretch of a job that was taken."""
    works = job.phase == WORK

    def perform(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return operations.perform(app, name, arguments, now, job.operator, job.way)

    stretch = Stretch(
        app,
        now,
        job.phase,
        dict(job.given),
        job.cursor,
        dict(job.done if works else job.found),
        [dict(each) for each in job.shown],
        perform,
        lambda blob: _blob(app, job, blob),
        lambda blob, data: app.store.put_blob(JOBS, f"{job.id}/{blob}", data, {}),
        lambda: _is_unchanged(app, job),
    )
    try:
        stretches.run(job.kind, stretch, time.monotonic() + seconds)
    except DatesAsked:
        return _save(app, replace(job, phase=ASK, question="dates", busy_until=None, changed_at=now))
    except (Failure, operations.WrongUse, stretches.Refused) as error:
        told = (error.cause, error.remedy) if isinstance(error, Failure) else (str(error), "")
        return _fail(app, _progress(app, job, stretch, now), *told, now)
    except Exception as error:  # noqa: BLE001 - whatever broke, the next stretch goes on where this one stopped
        return _failed(app, _progress(app, job, stretch, now), error, now)
    job = replace(_progress(app, job, stretch, now), tries=0, cause="", remedy="")
    if stretch.cursor:
        return _save(app, job)
    if not works and stretches.amount(job.kind, job.found):
        return _save(app, replace(job, phase=ASK))
    return _clean(app, _save(app, _ended(job, DONE, now)), now)


def _progress(app: App, job: Job, stretch: Stretch, now: datetime) -> Job:
    """The job as its last whole step left it, given back to whoever comes next."""
    parts = _kept(app, job, stretch.parts)
    job = replace(job, cursor=stretch.cursor, shown=tuple(stretch.shown), parts=parts, busy_until=None, changed_at=now)
    return replace(job, done=stretch.counts) if job.phase == WORK else replace(job, found=stretch.counts)


def _failed(app: App, job: Job, error: Exception, now: datetime) -> Job:
    """Note that a stretch failed unforeseen; the next goes on where it stopped, unless there were too many."""
    from leads.operate import check

    log.event("operation_failed", operation=job.kind, error=type(error).__name__)
    cause, remedy = check.explained(error)
    if job.tries + 1 >= TRIES:
        return _fail(app, job, cause, remedy, now)
    return _save(app, replace(job, tries=job.tries + 1, cause=cause, remedy=remedy))


def _fail(app: App, job: Job, cause: str, remedy: str, now: datetime) -> Job:
    ended = replace(_ended(job, FAILED, now), cause=cause, remedy=remedy)
    return _clean(app, _save(app, ended), now)


def _ended(job: Job, phase: str, now: datetime) -> Job:
    """The job without what was given and is personal."""
    given = {name: value for name, value in job.given.items() if name in _IMPERSONAL}
    return replace(
        job, phase=phase, given=given, cursor="", question="", busy_until=None, changed_at=now, cause="", remedy=""
    )


def _clean(app: App, job: Job, now: datetime) -> Job:
    """Take out what a job that has ended needs no longer: its file at once, what it found after `KEPT`."""
    over = job.phase == DROPPED or now - job.changed_at > KEPT
    cleaned = job
    if job.has_blobs and (over or job.kind == "import"):
        for name, _ in list(app.store.blobs(JOBS, f"{job.id}/")):
            app.store.delete_blob(JOBS, name)
        cleaned = replace(cleaned, has_blobs=False, parts=())
    if over and job.kind != "check":
        cleaned = replace(cleaned, shown=())
    return _save(app, cleaned) if cleaned != job else job


def _tidy(app: App, job: Job, now: datetime) -> Job:
    """Drop a job for whose yes nobody came, and clean up after one that has ended."""
    with contextlib.suppress(Changed):
        if job.phase in (NEW, ASK) and now - job.changed_at > KEPT:
            job = _save(app, _ended(job, DROPPED, now))
        if job.phase in ENDS and not _is_taken(job, now):
            return _clean(app, job, now)
    return job


def _forget_unread(app: App, row: Row, now: datetime) -> None:
    """Delete, a day after, what another version wrote and this one cannot read: it may name people."""
    made_at = None
    with contextlib.suppress(ValueError):
        made_at = time_read(row.values.get("made_at"))
    if made_at is None or now - made_at > UNREAD:
        for name, _ in list(app.store.blobs(JOBS, f"{row.key}/")):
            app.store.delete_blob(JOBS, name)
        app.store.delete(STATE, _PARTITION, row.key)


def _is_unchanged(app: App, job: Job) -> bool:
    row = app.store.get(STATE, _PARTITION, job.id)
    return row is not None and row.etag == job.etag


def _is_taken(job: Job, now: datetime) -> bool:
    return job.busy_until is not None and now < job.busy_until <= now + BUSY


def _blob(app: App, job: Job, name: str) -> bytes | None:
    blob = app.store.get_blob(JOBS, f"{job.id}/{name}")
    return blob.data if blob else None


def _kept(app: App, job: Job, parts: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The blobs with what was found, and one more for these. A name of its own lets none of a crashed stretch count."""
    filled = [part for part in parts if any(part.values())]
    if not filled:
        return job.parts
    name = f"{job.phase}-{secrets.token_hex(6)}"
    app.store.put_blob(JOBS, f"{job.id}/{name}", json.dumps(filled).encode(), {})
    return (*job.parts, name)


def _save(app: App, job: Job) -> Job:
    """Write a job that is still as it was read. Raises Changed."""
    return replace(job, etag=app.store.replace(STATE, _row(job)))


def _row(job: Job) -> Row:
    values: dict[str, Value] = {
        "kind": job.kind,
        "phase": job.phase,
        "operator": job.operator,
        "way": job.way,
        "made_at": time_text(job.made_at),
        "changed_at": time_text(job.changed_at),
        "busy_until": time_text(job.busy_until) if job.busy_until else "",
        "has_blobs": job.has_blobs,
        "question": job.question,
        "tries": job.tries,
        "cause": job.cause,
        "remedy": job.remedy,
    }
    long = {name: getattr(job, name) for name in _LONG}
    text = json.dumps(long)
    values |= {f"text{at}": text[start : start + _COLUMN] for at, start in enumerate(range(0, len(text), _COLUMN))}
    return Row(_PARTITION, job.id, values, job.etag)


def _readable(row: Row) -> Job | None:
    """The job in a row; None where another version wrote what this one cannot read, or has no words for."""
    try:
        job = _job(row)
    except (KeyError, TypeError, ValueError):
        return None
    return job if job.kind in stretches.KINDS and job.phase in PHASES else None


def _job(row: Row) -> Job:
    values = row.values
    made_at, changed_at = time_read(values["made_at"]), time_read(values["changed_at"])
    if made_at is None or changed_at is None:
        raise ValueError("A job has no time at which it was made.")
    names = sorted((name for name in values if name.startswith("text")), key=lambda name: int(name[4:]))
    long = json.loads("".join(str(values[name]) for name in names))
    return Job(
        id=row.key,
        kind=str(values["kind"]),
        phase=str(values["phase"]),
        operator=str(values["operator"]),
        way=str(values["way"]),
        made_at=made_at,
        changed_at=changed_at,
        busy_until=time_read(values["busy_until"]),
        has_blobs=values["has_blobs"] is True,
        question=str(values["question"]),
        tries=int(values["tries"]),
        cause=str(values["cause"]),
        remedy=str(values["remedy"]),
        etag=row.etag,
        **{**known_values(Job, long), "shown": tuple(long["shown"]), "parts": tuple(long["parts"])},
    )
