"""Settings: read once from the environment, checked, frozen. Every problem is listed, none is raised.

A wrong setting never turns a lead away: what cannot be read falls back to its default here, and the problem is told
by `check`, by health and by one alert.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from urllib.parse import urlsplit

from leads.lead import Stage
from leads.ncrontab import is_schedule
from leads.reader import Problem, Reader

STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        "INS": Stage.INITIAL_INTEREST,
        "PLT": Stage.ACTIVE,
        "CREATE": Stage.ACTIVE,
        "STARTTESTDRIVE": Stage.TRIAL,
        "DNC": Stage.DO_NOT_CONTACT,
    }
)
"""Stage by action code (upper case), after Microsoft's documents of 2017 and 2018; see docs/adr/."""

RETRY_SCHEDULE = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""Seconds before each attempt; together 75 h 35 m, a weekend and more (Standard Webhooks 1.0.0)."""

TEST_LEADS = ("notify", "deliver", "ignore")

_QUOTABLE = re.compile(r"[\w .,:-]{1,30}")


@dataclass(frozen=True, slots=True)
class Account:
    """A storage account, by connection string or by managed identity."""

    name: str
    """The account's name; `devstoreaccount1` for the local emulator."""
    connection_string: str = field(default="", repr=False)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """URL by service (`blob`, `queue`, `table`), for an account reached by managed identity."""
    client_id: str = ""
    """The client id of a user-assigned identity; the system-assigned one without it."""


def account(reader: Reader, prefix: str) -> Account | None:
    """Read a storage account in either of the forms that the Functions host knows; None where it is not set.

    A connection string is in `<prefix>` itself. With a managed identity the account is `<prefix>__accountName`, or
    `<prefix>__tableServiceUri` and its siblings, and a user-assigned identity is `<prefix>__clientId`
    (learn.microsoft.com/azure/azure-functions/functions-reference#connections).
    """
    connection = reader.text(prefix)
    if connection:
        parts = dict(part.partition("=")[::2] for part in connection.split(";"))
        development = parts.get("UseDevelopmentStorage", "").lower() == "true"
        name = "devstoreaccount1" if development else parts.get("AccountName", "")
        if not name:
            reader.problem(
                prefix, "It is no connection string of a storage account.", "Copy it from Access keys of the account."
            )
            return None
        return Account(name=name.lower(), connection_string=connection)
    name = reader.text(f"{prefix}__accountName")
    endpoints = {}
    for service in ("blob", "queue", "table"):
        uri = reader.url(f"{prefix}__{service}ServiceUri", schemes=("https", "http"))
        if uri or name:
            endpoints[service] = uri or f"https://{name}.{service}.core.windows.net"
    if not endpoints:
        return None
    # The host asks for blobServiceUri and queueServiceUri only, so the others are told from the first of them.
    known, uri = next(iter(endpoints.items()))
    first = urlsplit(uri).hostname or ""
    for service in ("blob", "queue", "table"):
        endpoints.setdefault(service, uri.replace(f".{known}.", f".{service}.", 1))
    return Account(
        name=(name or first.partition(".")[0]).lower(),
        endpoints=MappingProxyType(endpoints),
        client_id=reader.text(f"{prefix}__clientId"),
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that intake, watch, delivery and sweep need. Destinations read their own."""

    storage: Account | None = None
    inbox: Account | None = None
    """The app's own storage where LEADS_INBOX is not set; None where that is wrong, lest another table be read."""
    inbox_tables: tuple[str, ...] = ("MarketplaceLeads",)
    destinations: tuple[str, ...] = ("console",)
    test_leads: str = "notify"
    stages: Mapping[str, Stage] = field(default_factory=lambda: STAGES)
    watch_schedule: str = "0 * * * * *"
    sweep_schedule: str = "0 */5 * * * *"
    retry_schedule: tuple[int, ...] = RETRY_SCHEDULE
    backfill_days: int = 7
    retention_days: int = 365
    problems: tuple[Problem, ...] = ()


def read(environ: Mapping[str, str]) -> Settings:
    """Read all settings of this module out of `environ`; what is wrong is in `problems`, with defaults in its place."""
    reader = Reader(environ)
    storage = account(reader, "AzureWebJobsStorage")
    if storage is None:
        reader.problem(
            "AzureWebJobsStorage",
            "There is no storage account to keep the leads in.",
            "Set its connection string, or AzureWebJobsStorage__accountName with a managed identity.",
        )
    known = len(reader.problems)
    inbox = account(reader, "LEADS_INBOX")
    if inbox is None and len(reader.problems) == known:
        inbox = storage
    settings = Settings(
        storage=storage,
        inbox=inbox,
        inbox_tables=_tables(reader),
        destinations=_destinations(reader),
        test_leads=reader.choice("LEADS_TEST_LEADS", "notify", TEST_LEADS),
        stages=_stages(reader),
        watch_schedule=_schedule(reader, "LEADS_WATCH_SCHEDULE", "0 * * * * *"),
        sweep_schedule=_schedule(reader, "LEADS_SWEEP_SCHEDULE", "0 */5 * * * *"),
        retry_schedule=_retry_schedule(reader),
        backfill_days=reader.integer("LEADS_BACKFILL_DAYS", 7, 0, 3650),
        retention_days=reader.integer("LEADS_RETENTION_DAYS", 365, 1, 36500),
    )
    return replace(settings, problems=tuple(reader.problems))


def _quoted(item: str) -> str:
    """A part of a setting as a problem may quote it: not where a secret may have been pasted into the wrong field."""
    return repr(item) if _QUOTABLE.fullmatch(item) else "What stands there"


def _tables(reader: Reader) -> tuple[str, ...]:
    """What cannot be a table is left out, since names of tables are logged: it may be a connection string."""
    tables = []
    for item in reader.items("LEADS_INBOX_TABLES", "MarketplaceLeads"):
        if 3 <= len(item) <= 63 and item.isascii() and item.isalnum() and item[0].isalpha():
            tables.append(item)
        else:
            reader.problem(
                "LEADS_INBOX_TABLES",
                f"{_quoted(item)} cannot be the name of an Azure table.",
                "Names have 3 to 63 letters and digits and start with a letter; this one is not read.",
            )
    return tuple(tables) or ("MarketplaceLeads",)


def _destinations(reader: Reader) -> tuple[str, ...]:
    """Names that cannot be right are kept in a storable form: their deliveries tell of the problem, lead by lead."""
    names = []
    for item in reader.items("LEADS_DESTINATIONS", "console"):
        name = re.sub(r"[^a-z0-9_]+", "_", item.lower()).strip("_")[:40]
        if name != item.lower() or not name[:1].isalpha():
            reader.problem(
                "LEADS_DESTINATIONS",
                f"{_quoted(item)} cannot be the name of a destination.",
                "Separate the names by commas, for example console,dynamics.",
            )
        names.append(name if name[:1].isalpha() else f"x_{name}"[:40])
    if not names:
        reader.problem("LEADS_DESTINATIONS", "It names no destination.", "Name one; console is used until then.")
    return tuple(dict.fromkeys(names)) or ("console",)


def _stages(reader: Reader) -> Mapping[str, Stage]:
    stages = dict(STAGES)
    for item in reader.items("LEADS_STAGES"):
        code, _, stage = (part.strip() for part in item.partition(":"))
        if code and stage in set(Stage):
            stages[code.upper()] = Stage(stage)
        else:
            reader.problem(
                "LEADS_STAGES",
                f"{_quoted(item)} is not of the form CODE:stage.",
                f"The stages are {', '.join(Stage)}.",
            )
    return MappingProxyType(stages)


def _schedule(reader: Reader, name: str, default: str) -> str:
    value = reader.text(name, default)
    if is_schedule(value):
        return value
    reader.problem(
        name,
        "It has not the six fields of an NCRONTAB schedule, or a number is out of its range.",
        f"Put the seconds first, as in '{default}', which is used until then.",
    )
    return default


def _retry_schedule(reader: Reader) -> tuple[int, ...]:
    value = reader.text("LEADS_RETRY_SCHEDULE")
    if not value:
        return RETRY_SCHEDULE
    waits = [part.strip() for part in value.split(",")]
    if all(wait.isdecimal() and int(wait) <= 86400 for wait in waits) and len(waits) <= 30:
        return tuple(int(wait) for wait in waits)
    reader.problem(
        "LEADS_RETRY_SCHEDULE",
        "It is no list of whole seconds.",
        "Separate at most 30 waits of 0 to 86400 seconds by commas; the default is used until then.",
    )
    return RETRY_SCHEDULE
