"""The local host as a child of `make run`, and the way of each lead as its log events tell it."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import IO, Any

from dev import host
from dev.run_screen import Screen

Event = dict[str, Any]


class Stop(Exception):
    """`make run` cannot go on. The text says why and what to do."""


class App:
    """The local host as a child, and what it has printed about leads so far."""

    def __init__(self, screen: Screen, environ: Mapping[str, str], hold: int) -> None:
        self._news: queue.Queue[Event] = queue.Queue()
        self._screen = screen
        self._ready = threading.Event()
        self._last = ""
        self._shown: set[str] = set()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dev.host"],
            cwd=host.ROOT,
            env={**environ, "HOST_LOG": "json", "STOP_WITH_STDIN": "1", "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(hold,),
        )
        if self.process.stdout is None:
            raise RuntimeError("a pipe was asked for")
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()

    def wait_until_ready(self) -> None:
        """Return when it serves. Raises Stop if it ends instead."""
        self._ready.wait(60)
        if self.process.poll() is not None or not self._ready.is_set():
            raise Stop(f"The app did not start. {self._last}")

    def forget(self) -> None:
        """Drop the news so far: what is waited for next comes later."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._news.get_nowait()

    def wait_for_lead(self, seconds: float) -> bool:
        """Wait until all deliveries of a lead accepted from now on are finished; False if it takes too long."""
        deadline = time.monotonic() + seconds
        open_ones: dict[str, int] = {}
        while True:
            try:
                event = self._news.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return False
            lead = event["lead"]
            if event["event"] == "lead_accepted":
                # Routes choose among the destinations that are enabled, and may choose none.
                open_ones[lead] = len([name for name in event["destinations"].split(",") if name])
            elif lead in open_ones:
                open_ones[lead] -= 1
            if open_ones.get(lead) == 0:
                return True

    def stop(self) -> None:
        """End it in good order; what does not end in time is as safe as after a crash."""
        with contextlib.suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        try:
            self.process.wait(host.GRACE_SECONDS + 5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _read(self, lines: IO[bytes]) -> None:
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            try:
                record = json.loads(text)
                message, name, level = record["message"], record["logger"], record["level"]
            except (ValueError, KeyError, TypeError):
                # Not from the log: Python itself, as when the app cannot be imported.
                self._last = text
                self._screen.detail(text)
                continue
            self._last = message
            if self._screen.verbose:
                self._screen.line(message)
            if message.startswith("Functions:"):
                self._ready.set()
            elif name == "leads" and message.startswith("{"):
                self._tell(json.loads(message), level)
            elif name == "leads.console":
                self._screen.step(f"the log: {message}")
            elif level != "INFO":
                self._complain(_short(message))
        self._ready.set()

    def _tell(self, event: Event, level: str) -> None:
        kind = event["event"]
        if kind in ("lead_accepted", "delivery_finished"):
            self._news.put(event)
        which = "" if self._screen.timed else f", lead {event.get('lead')}"
        if kind == "lead_accepted":
            self._screen.step(f"accepted and kept: lead {event['lead']}")
        elif kind == "lead_repeated" and event.get("via") == "https":
            self._screen.step(f"the same lead again: {event['lead']}")
        elif kind == "delivery_attempt" and event["outcome"] != "ok":
            why = f"{event.get('cause') or ''} {event.get('remedy') or ''}".rstrip()
            self._screen.step(f"{event['destination']}: {event['outcome']}{which}. {why}")
        elif kind == "delivery_finished":
            why = f" ({event['reason']})" if event.get("reason") else ""
            self._screen.step(f"{event['destination']}: {event['state']}{why}{which}")
        elif level != "INFO":
            words = [str(event.get(key) or "") for key in ("setting", "subject", "table", "error", "cause", "remedy")]
            self._complain(f"{kind}: {' '.join(word for word in words if word)}")

    def _complain(self, text: str) -> None:
        """Show a problem once: timers run into the same one every few seconds."""
        if text not in self._shown:
            self._shown.add(text)
            self._screen.step(text)


def _short(message: str) -> str:
    """The first line of a log message, and of a function's failure the exception alone."""
    first, *rest = message.strip().splitlines() or [""]
    failed = re.match(r"Executed 'Functions\.(\w+)' \(Failed", first)
    return f"{failed[1]} failed: {rest[-1]}" if failed and rest else first
