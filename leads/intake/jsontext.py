"""JSON from outside, read so that nothing in it breaks the reader and no repeated key is lost."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

DEPTH_LIMIT = 100
"""Levels of nesting that are read; far from where Python's own stack ends."""


class NotALead(Exception):
    """The bytes hold no JSON object. `reason` is a sentence that quotes none of them, safe to log and to send back."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TooDeep(Exception):
    """The body begins as a JSON object that is nested deeper than is read; whether it ends as one is not known."""


class Pairs(tuple[tuple[str, Any], ...]):
    """A JSON object as its keys and values, in order."""

    __slots__ = ()


class Kept:
    """A JSON object being made, in which a repeated key becomes `key (2)`."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._counts: dict[str, int] = {}

    def keep(self, key: str, value: Any) -> None:
        """Add `value`, its `Pairs` made into dicts."""
        unique = key
        while unique in self.values:
            self._counts[key] = self._counts.get(key, 1) + 1
            unique = f"{key} ({self._counts[key]})"
        self.values[unique] = plain(value)


def plain(value: Any) -> Any:
    """The value with dicts in the place of `Pairs`."""
    if isinstance(value, Pairs):
        whole = Kept()
        for key, child in value:
            whole.keep(key, child)
        return whole.values
    return [plain(child) for child in value] if isinstance(value, list) else value


def decode(body: bytes) -> str:
    """The text of `body`: UTF-8, UTF-16 or UTF-32, with or without a byte order mark. Raises NotALead."""
    try:
        return body.decode(json.detect_encoding(body))
    except UnicodeDecodeError:
        raise NotALead("The body is not JSON: its bytes are not text in UTF-8, UTF-16 or UTF-32.") from None


def read_object(body: bytes) -> Pairs:
    """The JSON object that `body` is. Raises NotALead for anything else, TooDeep beyond `DEPTH_LIMIT`."""
    text = decode(body)
    if not text.strip():
        raise NotALead("The body is empty.")
    try:
        value = parse(text)
    except RecursionError:
        if text.lstrip().startswith("{"):
            raise TooDeep from None
        raise NotALead("The body is not a JSON object.") from None
    except ValueError:
        raise NotALead("The body is not JSON.") from None
    if not isinstance(value, Pairs):
        raise NotALead("The body is JSON, but not an object.")
    return value


def parse(text: str, *, strict: bool = True) -> Any:
    """The value of a JSON text, objects as `Pairs`; NaN and numbers beyond Python's reach as their text.

    Raises ValueError for what is not JSON, RecursionError for what is nested deeper than `DEPTH_LIMIT`. Without
    `strict`, control characters may stand in strings.
    """
    value = json.loads(
        text,
        strict=strict,
        object_pairs_hook=Pairs,
        parse_int=_integer,
        parse_float=_float,
        parse_constant=str,
    )
    _check_depth(value)
    return value


def canonical(body: bytes) -> bytes:
    """The content of a POST for its event hash: equal for equal JSON, whatever its key order, spacing and encoding.

    Where equality is in doubt (a repeated key, NaN, a number that Python would print differently, a nesting deeper
    than `DEPTH_LIMIT`) or the bytes are no JSON it is the body itself, so that two different leads never look like
    one. Never raises.
    """
    try:
        value = json.loads(
            decode(body),
            object_pairs_hook=_unambiguous,
            parse_int=_exact_integer,
            parse_float=_exact_float,
            parse_constant=_exact_integer,
        )
        # How deep Python itself reads depends on its version and on who calls; the same bytes must not.
        _check_depth(value)
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError, NotALead):
        return body


def _check_depth(value: Any) -> None:
    """Raise RecursionError for a value that is nested deeper than `DEPTH_LIMIT`."""
    level, depth = _containers([value]), 0
    while level:
        depth += 1
        if depth > DEPTH_LIMIT:
            raise RecursionError
        level = _containers(child for node in level for child in _children(node))


def _containers(values: Iterable[Any]) -> list[Pairs | dict[str, Any] | list[Any]]:
    return [value for value in values if isinstance(value, Pairs | dict | list)]


def _children(node: Pairs | dict[str, Any] | list[Any]) -> Iterable[Any]:
    if isinstance(node, Pairs):
        return [value for _, value in node]
    return node.values() if isinstance(node, dict) else node


def _integer(literal: str) -> int | str:
    try:
        return int(literal)
    except ValueError:  # more digits than Python reads
        return literal


def _float(literal: str) -> float | str:
    value = float(literal)
    return value if math.isfinite(value) else literal


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a repeated key")
    return value


def _exact_integer(literal: str) -> int:
    value = int(literal)
    if str(value) != literal:
        raise ValueError("another spelling of the same number")
    return value


def _exact_float(literal: str) -> float:
    value = float(literal)
    if repr(value) != literal:
        raise ValueError("another spelling of the same number")
    return value
