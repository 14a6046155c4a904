"""What the CLI shows: plain lines on any output, color and progress on a terminal only."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

LOG_SECONDS = 10.0
"""Seconds between two lines in a log about how far work is."""
clock = time.monotonic
_T = TypeVar("_T")

_COLORS = {"good": "32", "bad": "31", "wait": "33", "soft": "2", "strong": "1"}
_MOODS = {
    "delivered": "good",
    "ok": "good",
    "dead": "bad",
    "rejected": "bad",
    "misconfigured": "bad",
    "open": "wait",
    "transient": "wait",
    "throttled": "wait",
    "skipped": "soft",
}


class Screen:
    """Where a command writes. With `as_json` lines are not shown, and the one answer is JSON."""

    def __init__(self, *, as_json: bool = False, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.as_json = as_json
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._colored = self._out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    @property
    def width(self) -> int:
        """Columns of the terminal; 0 where there is none, and lines may be as long as they are."""
        return shutil.get_terminal_size().columns if self._out.isatty() else 0

    def paint(self, text: str, mood: str) -> str:
        """The text in the color of a mood (`good`, `bad`, `wait`, `soft`, `strong`), where there are colors."""
        return f"\033[{_COLORS[mood]}m{text}\033[0m" if self._colored and mood in _COLORS and text else text

    def state(self, state: str, width: int = 0) -> str:
        """A state or an outcome in its color."""
        return self.paint(state.ljust(width), _MOODS.get(state, ""))

    def line(self, text: str = "") -> None:
        """Show a line, unless the answer is JSON."""
        if not self.as_json:
            print(text, file=self._out, flush=True)

    def answer(self, content: Mapping[str, Any]) -> None:
        """Give the answer in JSON, if it is asked for."""
        if self.as_json:
            print(escaped(content), file=self._out, flush=True)

    def trouble(self, cause: str, remedy: str = "") -> None:
        """Tell what went wrong, and what to do, on the error output."""
        print(f"{printable(cause)} {printable(remedy)}".rstrip(), file=self._err, flush=True)

    def confirmed(self, question: str, *, yes: bool) -> bool:
        """Whether to go on: `yes` was given, or whoever sits at the terminal says so."""
        if yes:
            return True
        if self.as_json or not (sys.stdin.isatty() and self._out.isatty()):
            self.line("Nothing was changed. Add --yes to do it.")
            return False
        try:
            return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:
            return False

    @contextmanager
    def working(self, what: str, total: int | None = None) -> Iterator[Callable[[str], None]]:
        """Show that work goes on, with what the callable is given: a bar on a terminal, in a log a line now and then.

        Where `total` is known each call is one step of it. A log gets nothing of what is done within seconds.
        """
        if self.as_json:
            yield lambda _: None
            return
        bar = _bar(self._err) if self._err.isatty() else None
        if bar is None:
            yield self._in_log(what)
            return
        with bar:
            task = bar.add_task(what, total=total)
            yield lambda text: bar.update(task, description=text, advance=1)

    def _in_log(self, what: str) -> Callable[[str], None]:
        last = clock()

        def tell(text: str) -> None:
            nonlocal last
            if clock() - last >= LOG_SECONDS:
                last = clock()
                print(printable(text or what), file=self._err, flush=True)

        return tell

    def progress(self, items: Sequence[_T], what: str) -> Iterator[_T]:
        """Go through the items, and show how many are done."""
        with self.working(what, len(items)) as tell:
            for done, item in enumerate(items, 1):
                yield item
                tell(f"{done} of {len(items)} {what}")


def _bar(out: TextIO) -> Progress | None:
    """A bar for a terminal; None where its library is not installed, as beside the deployed app."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        return None
    text = TextColumn("{task.description}", markup=False)
    return Progress(BarColumn(), text, TimeRemainingColumn(), console=Console(file=out), transient=True)


def escaped(content: Mapping[str, Any]) -> str:
    """The content as JSON in which no letter moves a terminal: what is not printable is escaped, as JSON may.

    Python escapes what ASCII has of it; U+009B begins a command as well, and others turn text around.
    """
    text = json.dumps(content, ensure_ascii=False, indent=2)
    return "".join(letter if letter.isprintable() or letter == "\n" else _escape(letter) for letter in text)


def _escape(letter: str) -> str:
    return json.dumps(letter)[1:-1]


def printable(text: object) -> str:
    """Text from outside as one line that does nothing to a terminal: no escape codes, no text that runs backwards."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))


def some(count: int, one: str, many: str = "") -> str:
    """A number with its noun: `1 lead`, `2 leads`."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def block(text: str, indent: str) -> Iterator[str]:
    """Text from outside as lines that do nothing to a terminal."""
    for each in text.splitlines():
        yield f"{indent}{printable(each)}"


def columns(text: str) -> int:
    """Columns of a terminal that a text takes: letters of East Asia take two, and marks above others none."""
    return sum(0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF") for each in text)


def fitted(text: str, width: int) -> str:
    """The text in exactly that many columns: padded, or cut with an ellipsis."""
    if columns(text) > width:
        while columns(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - columns(text))


def aligned(rows: Iterable[Sequence[str]]) -> list[list[str]]:
    """Cells padded so that the columns stand below each other; the last one is left as it is."""
    table = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in table]
