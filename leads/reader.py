"""Settings as modules declare them, and reading them out of an environment: problems are gathered, none is raised."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting, declared where it is used. What lists settings anywhere is made from these, or held equal to them."""

    name: str
    """As for a destination without an instance: `EMAIL_TO`. An instance `emea` reads `EMAIL_EMEA_TO`."""
    meaning: str
    """One line for docs/settings.md, in Markdown."""
    default: str = ""
    secret: bool = False
    own: bool = False
    """Whether an instance must have its own. Else it falls back to what is set for the destination without one.

    Addresses, recipients and secrets are always own: two instances must never deliver to one place by mistake.
    """


@dataclass(frozen=True, slots=True)
class Problem:
    """A setting that is wrong, why, and what to do. Holds no value of a secret setting."""

    setting: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.cause} {self.remedy}"


def instance_name(name: str, kind: str, instance: str) -> str:
    """What an instance calls a setting of its kind: `EMAIL_TO` of `email`, `emea` is `EMAIL_EMEA_TO`.

    A setting that does not begin with the kind's name is shared and keeps its name.
    """
    prefix = f"{kind.upper()}_"
    return f"{prefix}{instance.upper()}_{name.removeprefix(prefix)}" if instance and name.startswith(prefix) else name


class Reader:
    """Reads declared settings out of an environment and gathers every problem on the way.

    With an `instance` of a destination's `kind` each setting is read under the instance's name first. Raises KeyError
    for a setting that is not among the declared ones, since nothing would list it.
    """

    def __init__(
        self, environ: Mapping[str, str], declared: Sequence[Setting], kind: str = "", instance: str = ""
    ) -> None:
        self._environ = environ
        self._declared = {setting.name: setting for setting in declared}
        self._names = {name: instance_name(name, kind, instance) for name in self._declared}
        self.problems: list[Problem] = []
        """What must be corrected before the destination that reads it can deliver."""
        self.warnings: list[Problem] = []
        """What has a harmless default in its place, such as English for an unknown language."""

    def called(self, name: str) -> str:
        """The name under which the setting is to be set, for people: its own, or the shared one where that is used."""
        own = self._names.get(name, name)
        shared = name in self._declared and not self._declared[name].own
        return name if shared and not self._raw(own) and self._raw(name) else own

    def worded(self, text: str) -> str:
        """`text` with every declared setting in it called as this instance has to set it."""
        if all(own == name for name, own in self._names.items()):
            return text
        return re.sub(r"\b[A-Z][A-Za-z0-9_]{3,}\b", lambda match: self.called(match[0]), text)

    def problem(self, setting: str, cause: str, remedy: str) -> None:
        """Note that `setting` is wrong. `cause` must not quote a secret."""
        self.problems.append(Problem(self.called(setting), self.worded(cause), self.worded(remedy)))

    @contextmanager
    def mildly(self) -> Iterator[None]:
        """Let what is found wrong in the block be warnings: it must not keep a destination from delivering."""
        known = len(self.problems)
        yield
        self.warnings += self.problems[known:]
        del self.problems[known:]

    def is_set(self, name: str) -> bool:
        """Whether the setting holds anything, be it wrong."""
        return bool(self._value(name))

    def text(self, name: str, default: str = "", *, required: bool = False) -> str:
        """The setting's trimmed text. An empty setting counts as not set."""
        value = self._value(name)
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
        self.problem(
            name, f"It must be one of {', '.join(allowed)}.", f"Use one of them; until then the app uses {default}."
        )
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
            f"It must be a whole number from {minimum} to {maximum}.",
            f"Correct it; until then the app uses {default}.",
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
            self.problem(name, f"It must be a URL that starts with {wanted}.", "Paste the whole URL.")
            return ""
        return value.rstrip("/")

    def _value(self, name: str) -> str:
        setting = self._declared[name]
        return self._raw(self._names[name]) or ("" if setting.own else self._raw(name))

    def _raw(self, name: str) -> str:
        return self._environ.get(name, "").strip()
