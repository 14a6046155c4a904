"""Reads settings out of an environment and gathers every problem on the way: none is raised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Problem:
    """A setting that is wrong, why, and what to do. Holds no value of a secret setting."""

    setting: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.cause} {self.remedy}"


class Reader:
    """Reads settings out of an environment and gathers every problem on the way."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[Problem] = []
        """What has to be mended before the destination that reads it can deliver."""
        self.warnings: list[Problem] = []
        """What has a harmless default in its place, such as English for an unknown language."""

    def problem(self, setting: str, cause: str, remedy: str) -> None:
        """Note that `setting` is wrong. `cause` must not quote a secret."""
        self.problems.append(Problem(setting, cause, remedy))

    def text(self, name: str, default: str = "", *, required: bool = False) -> str:
        """The setting's trimmed text. An empty setting counts as not set."""
        value = self.environ.get(name, "").strip()
        if value.startswith("@Microsoft.KeyVault("):
            self.problem(
                name,
                "Its Key Vault reference was not resolved.",
                "Check that the secret exists and that the app's identity has the role Key Vault Secrets User.",
            )
            return default
        if not value and required:
            self.problem(name, "It is not set.", "Set it in the function app's settings.")
        return value or default

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """The setting's text in lower case, one of `allowed`."""
        value = self.text(name, default).lower()
        if value in allowed:
            return value
        self.problem(name, f"It is none of {', '.join(allowed)}.", f"Use one of them; {default} is used until then.")
        return default

    def items(self, name: str, default: str = "") -> tuple[str, ...]:
        """The comma-separated parts of the setting, trimmed, without empty and repeated ones."""
        parts = (part.strip() for part in self.text(name, default).split(","))
        return tuple(dict.fromkeys(part for part in parts if part))

    def integer(self, name: str, default: int, minimum: int, maximum: int) -> int:
        """The setting as a whole number within its limits."""
        value = self.text(name, str(default))
        if value.isdecimal() and minimum <= int(value) <= maximum:
            return int(value)
        self.problem(
            name,
            f"It is no whole number from {minimum} to {maximum}.",
            f"Use one; {default} is used until then.",
        )
        return default

    def url(self, name: str, *, required: bool = False, schemes: tuple[str, ...] = ("https",)) -> str:
        """The setting as an absolute URL of one of `schemes`, without a trailing slash."""
        value = self.text(name, required=required)
        if not value:
            return ""
        try:
            parts = urlsplit(value)
            good = parts.scheme in schemes and bool(parts.hostname) and not any(c.isspace() for c in value)
        except ValueError:
            good = False
        if not good:
            wanted = " or ".join(f"{scheme}://" for scheme in schemes)
            self.problem(name, f"It is no URL that starts with {wanted}.", "Paste the whole URL.")
            return ""
        return value.rstrip("/")
