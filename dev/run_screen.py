"""What `make run` shows: short facts, and steps with the time since their section began, or the time of day."""

from __future__ import annotations

import os
import sys
import threading
import time
from datetime import datetime


class Screen:
    """What the user sees. The time of day is the local one."""

    def __init__(self, verbose: bool) -> None:
        self.verbose = verbose
        self.timed = False
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._bold = ("\033[1m", "\033[0m") if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else ("", "")

    def line(self, text: str = "") -> None:
        """Show a line as it is."""
        with self._lock:
            print(text, flush=True)

    def section(self, title: str, *, timed: bool = True) -> None:
        """Begin a section. Its steps are timed from now; otherwise they get the time of day."""
        self._began = time.monotonic()
        self.timed = timed
        self.line(f"\n{title.join(self._bold)}")

    def fact(self, name: str, text: str) -> None:
        """Show a name and what it stands for."""
        self.line(f"  {name:<14} {text}")

    def step(self, text: str) -> None:
        """Show what just happened."""
        when = f"{time.monotonic() - self._began:6.2f} s" if self.timed else f"{datetime.now():%H:%M:%S}"  # noqa: DTZ005
        self.line(f"  {when}   {text}")

    def detail(self, text: str) -> None:
        """Show more about the step above."""
        self.line(f"             {text}")
