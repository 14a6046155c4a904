"""Function keys of the local host: made once, kept in a file that only its owner can read."""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Keys:
    """A key for each function, and two for all of them, as in Azure: the host key and the master key."""

    functions: dict[str, str]
    host: str = field(repr=False)
    master: str = field(repr=False)

    def allow(self, function: str, level: str, given: str) -> bool:
        """Whether the key `given` opens `function`, whose auth level is `level` (ANONYMOUS, FUNCTION, ADMIN)."""
        level = level.upper()
        if level == "ANONYMOUS":
            return True
        good = [self.master] if level == "ADMIN" else [self.master, self.host, self.functions[function]]
        return any(hmac.compare_digest(given.encode(), key.encode()) for key in good)


def read(path: Path, functions: Iterable[str]) -> Keys:
    """The keys in the file `path`, after making those that are missing (56 characters each)."""
    stored = json.loads(path.read_text()) if path.exists() else {}
    known = stored.get("functions", {})
    keys = Keys(
        {name: known.get(name) or _new() for name in functions},
        stored.get("host") or _new(),
        stored.get("master") or _new(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"master": keys.master, "host": keys.host, "functions": keys.functions}, file, indent=2)
    new.replace(path)
    return keys


def _new() -> str:
    return secrets.token_urlsafe(42)
