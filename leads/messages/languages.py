"""The languages of messages: one TOML file each, named by its ISO 639-1 code; what one lacks is said in English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from leads.reader import Reader, Setting

FOLDER = Path(__file__).parent / "wordings"
COUNTRIES = Path(__file__).with_name("countries.txt")
DEFAULT = "en"
SETTINGS = (
    Setting(
        "LEADS_LANGUAGE", "The language of notifications: `de`, `en`, `es`, `fr`, `it`, `ja`, `pt`, `ru`, `sv`", DEFAULT
    ),
    Setting("LEADS_TIME_ZONE", "The time zone of times in notifications, as `Europe/Rome`", "UTC"),
)


@dataclass(frozen=True, slots=True)
class Language:
    """One language's wording, and how it writes dates, times and countries. Its file is read where words are made."""

    code: str

    @property
    def texts(self) -> Mapping[str, Any]:
        """The file's values by dotted key, over those of English."""
        return _texts(self.code)

    def say(self, key: str, /, **values: object) -> str:
        """The wording under `key`, such as `deed.create.next`, with its words in braces filled in.

        Raises KeyError for a key that English lacks, and for a word in braces that is not given.
        """
        return str(self.texts[key]).format(**values) if values else str(self.texts[key])

    def has(self, key: str) -> bool:
        """Whether there is wording under `key`."""
        return key in self.texts

    def day(self, day: date) -> str:
        """A date as people write it: `28 September 2026`."""
        return self.say("time.date", day=day.day, month=self.texts["time.months"][day.month - 1], year=day.year)

    def moment(self, moment: datetime, zone: tzinfo) -> str:
        """A moment on the clocks of `zone`: `28 September 2026, 14:03 CEST`."""
        local = moment.astimezone(zone)
        return self.say("time.moment", date=self.day(local.date()), clock=f"{local:%H:%M} {_zone(local)}")

    def ago(self, moment: datetime, now: datetime) -> str:
        """How long before `now` the moment was; "just now" also for one that lies ahead by a clock's error."""
        passed = now - moment
        if passed < timedelta(minutes=1):
            return self.say("time.now")
        if passed < timedelta(hours=1):
            return self.say("time.minutes", n=int(passed.total_seconds() // 60))
        if passed < timedelta(days=2):
            return self.say("time.hours", n=int(passed.total_seconds() // 3600))
        return self.say("time.days", n=passed.days)

    def step(self, number: int) -> str:
        """Which step of the customer this is, counted from 1: `Third step of this customer`."""
        steps = self.texts["step.nth"]
        return str(steps[number - 1]) if number <= len(steps) else self.say("step.later", n=number)

    def country(self, code: str) -> str:
        """The country's name in this language, from ISO 3166-1 alpha-2; `code` itself where it is unknown."""
        return country(self.code, code)


@cache
def codes() -> tuple[str, ...]:
    """All languages there are, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load(code: str) -> Language:
    """The language of that code. Raises KeyError if there is none."""
    if code not in codes():
        raise KeyError(code)
    return Language(code)


@cache
def _texts(code: str) -> Mapping[str, Any]:
    return wording(DEFAULT) | wording(code)


@cache
def wording(code: str) -> dict[str, Any]:
    """The values of one language's file alone, by dotted key."""
    import tomllib

    return dict(_flat(tomllib.loads((FOLDER / f"{code}.toml").read_text("utf-8"))))


def read(reader: Reader) -> Language:
    """The language of LEADS_LANGUAGE: a code, also with a region (`pt-BR`); English where the app does not have that
    language.
    """
    code = reader.text("LEADS_LANGUAGE", DEFAULT).lower().replace("_", "-").partition("-")[0]
    if code in codes():
        return load(code)
    reader.problem(
        "LEADS_LANGUAGE",
        f"The app does not have this language. It has {', '.join(codes())}.",
        "Use one of them; until then the app uses English.",
    )
    return load(DEFAULT)


def read_zone(reader: Reader, name: str = "LEADS_TIME_ZONE") -> tzinfo:
    """The time zone of an IANA name (`Europe/Rome`); UTC where it is not set or unknown."""
    value = reader.text(name)
    if not value or value.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        # ZoneInfo raises all three: for unknown names, for paths, and for folders of the time zone database.
        reader.problem(
            name,
            "This machine does not know this time zone.",
            "Use an IANA name such as Europe/Rome; until then the app uses UTC.",
        )
        return UTC


def _zone(local: datetime) -> str:
    name = local.tzname() or ""
    return f"UTC{name}" if name[:1] in ("+", "-") else name


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in values.items():
        found += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return found


def country(language: str, code: str) -> str:
    """The country's name in a language (ISO 639-1), from ISO 3166-1 alpha-2; `code` itself where it is unknown."""
    return _countries(language).get(code, code)


@cache
def _countries(language: str) -> dict[str, str]:
    """The countries' names by code; in English where the file, made by `dev/make_countries.py`, lacks the language."""
    lines = (line.split("\t") for line in COUNTRIES.read_text("utf-8").splitlines() if not line.startswith("#"))
    names = {first: rest for first, *rest in lines}
    return dict(zip(names["code"], names.get(language, names[DEFAULT]), strict=True))
