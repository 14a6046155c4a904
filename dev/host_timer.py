"""Timers of the local host: six-field NCRONTAB in UTC, one call at a time, one late call after a pause.

As in Azure, a schedule of a minute or more is monitored: when the app starts after its next call was due, it is
called once, with `past_due`, however many calls were missed. A changed schedule forgets that.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from azure.functions.timer import TimerRequest
from croniter import CroniterBadDateError, croniter

from dev.host_functions import Function, HostError, resolve

_FIELD = re.compile(r"(\*|([0-9]+|[A-Za-z]{3})(-([0-9]+|[A-Za-z]{3}))?)(/[0-9]+)?")


def check(schedule: str) -> str:
    """`schedule`, if it is NCRONTAB with six fields. Raises HostError otherwise."""
    fields = schedule.split()
    good = len(fields) == 6 and all(_FIELD.fullmatch(part) for field in fields for part in field.split(","))
    try:
        if good and croniter.is_valid(schedule, second_at_beginning=True):
            following(schedule, datetime.now(UTC))
            return schedule
    except CroniterBadDateError:
        raise HostError(f"The schedule '{schedule}' names no day that ever comes.") from None
    raise HostError(f"The schedule '{schedule}' is no NCRONTAB with six fields (seconds first).")


def following(schedule: str, moment: datetime) -> datetime:
    """The first time after `moment` that the schedule names."""
    # NCRONTAB wants both day fields to match, where Vixie cron takes either.
    times = croniter(schedule, moment, second_at_beginning=True, day_or=False)
    found: datetime = times.get_next(datetime)
    return found


class Monitor:
    """When each timer is next due, kept in a file so that a restart knows what was missed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def _read(self) -> dict[str, Any]:
        try:
            stored = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return stored if isinstance(stored, dict) else {}

    def missed(self, name: str, schedule: str, now: datetime) -> bool:
        """Whether a call of `name` was due before `now` and did not happen."""
        entry = self._read().get(name, {})
        return entry.get("schedule") == schedule and datetime.fromisoformat(entry["next"]) < now

    def note(self, name: str, schedule: str, due: datetime) -> None:
        """Remember that `name` is next due at `due`."""
        with self._lock:
            entries = self._read() | {name: {"schedule": schedule, "next": due.isoformat()}}
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps(entries, indent=2))
            new.replace(self._path)


class Timer(threading.Thread):
    """Calls one function whenever its schedule says so, until `stopping` is set."""

    def __init__(
        self,
        function: Function,
        monitor: Monitor,
        stopping: threading.Event,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(name=function.name, daemon=True)
        self.schedule = check(resolve(str(function.trigger["schedule"])))
        self._function = function
        self._monitor = monitor
        self._stopping = stopping
        self._clock = clock

    def run(self) -> None:
        """Wait and call, again and again. What a call raises is logged and changes nothing."""
        due = now = self._clock()
        first = following(self.schedule, now)
        monitored = following(self.schedule, first) - first >= timedelta(minutes=1)
        if monitored and self._monitor.missed(self.name, self.schedule, now):
            self._call(late=True)
        elif self._function.trigger.get("runOnStartup"):
            self._call(late=False)
        while True:
            # Waking up a little early must not call twice.
            due = following(self.schedule, max(due, self._clock()))
            if monitored:
                self._monitor.note(self.name, self.schedule, due)
            if self._stopping.wait(max(0.0, (due - self._clock()).total_seconds())):
                return
            self._call(late=False)

    def _call(self, *, late: bool) -> None:
        try:
            self._function.run(TimerRequest(past_due=late), "Timer fired at " + self._clock().isoformat("T", "seconds"))
        except Exception:
            return
