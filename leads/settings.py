"""Settings: read once from the environment, checked, frozen. Every problem is listed, none is raised.

A wrong setting never turns a lead away: what cannot be read falls back to its default here, and `check`, health and one
alert report the problem.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from urllib.parse import urlsplit

from leads.lead import Stage
from leads.ncrontab import is_schedule
from leads.reader import Problem, Reader, Setting

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

OWN_TABLES = frozenset({"events", "leads", "journal", "state"})
"""The app's own tables, in lower case as Azure compares them. They are never watched."""

TEST_LEADS = ("notify", "deliver", "ignore")

DESTINATION = re.compile(r"[a-z][a-z0-9_]{0,39}(?::[a-z][a-z0-9]{0,19})?")
"""What the name of a destination looks like, with or without an instance."""

DESTINATIONS = 90
"""The most destinations: a lead is written with all its deliveries in one transaction, of 100 rows."""

_QUOTABLE = re.compile(r"[\w .,:-]{1,30}")


def account_settings(name: str, meaning: str) -> tuple[Setting, ...]:
    """The settings of a storage account in the two forms that the Functions host knows."""
    of_identity = f"With a managed identity, in place of the connection string in `{name}`"
    return (
        Setting(name, meaning, secret=True),
        Setting(f"{name}__accountName", f"{of_identity}: the account's name"),
        Setting(f"{name}__credential", f"{of_identity}: `managedidentity`"),
        Setting(f"{name}__clientId", f"{of_identity}: the client id of a user-assigned one"),
        *(
            Setting(f"{name}__{service}ServiceUri", f"{of_identity}: the address of its {service} service")
            for service in ("blob", "queue", "table")
        ),
    )


INBOX_TABLES = Setting(
    "LEADS_INBOX_TABLES", "The tables to watch, separated by commas. The name is Microsoft's", "MarketplaceLeads"
)
SETTINGS = (
    *account_settings("AzureWebJobsStorage", "The app's own storage: its connection string"),
    *account_settings(
        "LEADS_INBOX", "The storage with the table that Microsoft writes to. Empty: the app's own storage"
    ),
    INBOX_TABLES,
    Setting(
        "LEADS_BACKFILL_DAYS",
        "The first run makes no leads of rows older than this, so that a new deployment does not report the past "
        "(`python -m leads import --table` brings them in). An imported lead older than this sends no notification",
        "7",
    ),
    Setting(
        "LEADS_WATCH_SCHEDULE",
        "When the tables are read: six fields, seconds first, UTC. The watch counts as silent after two of its "
        "longest intervals without a look, and after a quarter of an hour at least",
        "0 * * * * *",
    ),
    Setting(
        "LEADS_SWEEP_SCHEDULE",
        "When open leads are looked at",
        "0 */5 * * * *",
    ),
    Setting(
        "LEADS_DESTINATIONS",
        "Where leads go, separated by commas; an instance of a destination as `email:emea`. Open deliveries to one "
        "that you take out wait as `misconfigured`; `skip --destination NAME` ends them",
        "console",
    ),
    Setting(
        "LEADS_TEST_LEADS",
        "Microsoft's test leads: `notify` sends them to notifications while CRMs record `skipped`; `deliver` "
        "sends them everywhere; `ignore` nowhere",
        "notify",
    ),
    Setting(
        "LEADS_STAGES",
        "What an action code means, as `CODE:stage`, added to the default. The stages are "
        "`initial_interest`, `trial`, `active`, `do_not_contact`, `unknown`. Microsoft's own meaning changed "
        "over the years: [ADR 2](adr/0002-stages.md)",
        "INS:initial_interest,PLT:active,Create:active,StartTestDrive:trial,DNC:do_not_contact",
    ),
    Setting(
        "LEADS_RETRY_SCHEDULE",
        "Seconds before each attempt, at most 30 attempts, each at most a day. The first attempt is made at "
        "once, whatever stands first. Each wait varies by a fifth",
        "0,5,300,1800,7200,18000,36000,50400,72000,86400",
    ),
    Setting(
        "LEADS_RETENTION_DAYS",
        "After this the app deletes finished leads, with raw bytes and attempts, and entries of the quarantine",
        "365",
    ),
    Setting(
        "LEADS_SILENCE",
        "When the app reports that no lead has come: `off` for never, or a number of days. Empty: after twice the "
        "longest time without a lead of the last 90 days, at least two days, and seven as long as fewer than ten "
        "leads are known",
    ),
    Setting(
        "LEADS_ALERTS",
        "Who gets alerts, as `email:ops,teams:ops`; they need not get leads. Empty: all notifications",
    ),
    Setting(
        "LEADS_ROUTES",
        "Which leads go to which destinations, as `country=DE > email:emea; > console`. Empty: all go everywhere",
    ),
    Setting(
        "LEADS_FLOOD",
        "Above so many leads an hour a notification destination gets one summary each quarter of an hour; 0: never",
        "60",
    ),
    Setting("LEADS_URL", "The address that people open, if the app has a domain of its own"),
    Setting("LEADS_OPERATOR", "Your name in the log of what operators do, on the operator's machine only"),
    Setting("LEADS_OPS_KEY", "The key of the function `ops`, on the operator's machine only", secret=True),
)
"""Every setting of this module, in the order of the documentation."""


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
                prefix,
                "It must be the connection string of a storage account.",
                "Copy it from Access keys of the account.",
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
    # The host asks for blobServiceUri and queueServiceUri only, so the others follow from the first of them.
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
    """The app's own storage where LEADS_INBOX is not set; None where that is wrong, so that no other table is read."""
    inbox_tables: tuple[str, ...] = ("MarketplaceLeads",)
    destinations: tuple[str, ...] = ("console",)
    alerts: tuple[str, ...] = ()
    """Who gets alerts; every notification destination where there is nothing."""
    url: str = ""
    """The address that people open, if it is not WEBSITE_HOSTNAME."""
    test_leads: str = "notify"
    stages: Mapping[str, Stage] = field(default_factory=lambda: STAGES)
    watch_schedule: str = "0 * * * * *"
    sweep_schedule: str = "0 */5 * * * *"
    retry_schedule: tuple[int, ...] = RETRY_SCHEDULE
    backfill_days: int = 7
    retention_days: int = 365
    flood: int = 60
    """Leads an hour to one notification destination above which they are summed up; 0 switches that off."""
    routes: str = field(default="", repr=False)
    """LEADS_ROUTES as it is set: `leads.routes` reads it."""
    silence_days: int | None = None
    """Days without a lead that are worth an alert; 0 for never, None for what is learned."""
    problems: tuple[Problem, ...] = ()


def read(environ: Mapping[str, str]) -> Settings:
    """Read all settings of this module out of `environ`; what is wrong is in `problems`, with defaults in its place."""
    reader = Reader(environ, SETTINGS)
    storage = account(reader, "AzureWebJobsStorage")
    if storage is None:
        reader.problem(
            "AzureWebJobsStorage",
            "The app has no storage account to keep the leads in.",
            "Set its connection string, or AzureWebJobsStorage__accountName with a managed identity.",
        )
    known = len(reader.problems)
    inbox = account(reader, "LEADS_INBOX")
    if inbox is None and len(reader.problems) == known:
        inbox = storage
    is_shared = inbox is not None and storage is not None and inbox.name == storage.name
    settings = Settings(
        storage=storage,
        inbox=inbox,
        inbox_tables=_tables(reader, is_shared=is_shared),
        destinations=_enabled(reader),
        alerts=_destinations(reader, "LEADS_ALERTS", ""),
        url=_origin(reader),
        test_leads=reader.choice("LEADS_TEST_LEADS", "notify", TEST_LEADS),
        stages=_stages(reader),
        watch_schedule=_schedule(reader, "LEADS_WATCH_SCHEDULE", "0 * * * * *"),
        sweep_schedule=_schedule(reader, "LEADS_SWEEP_SCHEDULE", "0 */5 * * * *"),
        retry_schedule=_retry_schedule(reader),
        backfill_days=reader.integer("LEADS_BACKFILL_DAYS", 7, 0, 3650),
        retention_days=reader.integer("LEADS_RETENTION_DAYS", 365, 1, 36500),
        flood=reader.integer("LEADS_FLOOD", 60, 0, 1_000_000),
        routes=_routes(reader, environ),
        silence_days=_silence(reader),
    )
    return replace(settings, problems=tuple(reader.problems))


def _quoted(item: str) -> str:
    """A part of a setting as a problem may quote it: not where a secret may have been pasted into the wrong field."""
    return repr(item) if _QUOTABLE.fullmatch(item) else "What stands there"


def _tables(reader: Reader, *, is_shared: bool) -> tuple[str, ...]:
    """What cannot be a table is left out, since names of tables are logged: it may be a connection string.

    So are the app's own tables, where Microsoft's are in the same account: each lead would become the next one.
    """
    tables = []
    for item in reader.items("LEADS_INBOX_TABLES", "MarketplaceLeads"):
        if is_shared and item.lower() in OWN_TABLES:
            reader.problem(
                "LEADS_INBOX_TABLES",
                f"{item} is a table of this app.",
                "Name the table that Microsoft writes to, which is MarketplaceLeads; the app does not read this one.",
            )
        elif 3 <= len(item) <= 63 and item.isascii() and item.isalnum() and item[0].isalpha():
            tables.append(item)
        else:
            reader.problem(
                "LEADS_INBOX_TABLES",
                f"{_quoted(item)} cannot be the name of an Azure table.",
                "Names have 3 to 63 letters and digits and start with a letter; the app does not read this one.",
            )
    return tuple(tables) or ("MarketplaceLeads",)


def _destinations(reader: Reader, name: str, default: str) -> tuple[str, ...]:
    """Names that cannot be right are kept in a storable form: their deliveries report the problem, lead by lead."""
    names = []
    for item in reader.items(name, default):
        kind, colon, instance = item.lower().partition(":")
        if DESTINATION.fullmatch(item.lower()):
            names.append(item.lower())
            continue
        reader.problem(
            name,
            f"{_quoted(item)} cannot be the name of a destination.",
            "Separate names by commas, as in console,email:emea. An instance has up to 20 lowercase letters and "
            "digits.",
        )
        kind = re.sub(r"[^a-z0-9_]+", "_", kind).strip("_")[:40]
        instance = re.sub(r"[^a-z0-9]+", "", instance)[:20].lstrip("0123456789")
        kind = kind if kind[:1].isalpha() else f"x_{kind}"[:40]
        names.append(f"{kind}:{instance}" if colon and instance else kind)
    names = list(dict.fromkeys(names))
    if len(names) > DESTINATIONS:
        reader.problem(
            name,
            f"It names more than {DESTINATIONS} destinations.",
            "Remove some; those after the limit get nothing.",
        )
    return tuple(names[:DESTINATIONS])


def _enabled(reader: Reader) -> tuple[str, ...]:
    names = _destinations(reader, "LEADS_DESTINATIONS", "console")
    if not names:
        reader.problem(
            "LEADS_DESTINATIONS", "It does not name a destination.", "Name one; until then the app uses console."
        )
    return names or ("console",)


def _origin(reader: Reader) -> str:
    """Scheme and host: links are made from it, so nothing else that was pasted with it may stay."""
    parts = urlsplit(reader.url("LEADS_URL", schemes=("https", "http")))
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}" if parts.hostname else ""


def _routes(reader: Reader, environ: Mapping[str, str]) -> str:
    """LEADS_ROUTES as it stands, since problems name lines and columns.

    Also a reference to Key Vault that was not resolved: no routes at all would send leads everywhere.
    """
    reader.text("LEADS_ROUTES")
    return environ.get("LEADS_ROUTES", "") if reader.is_set("LEADS_ROUTES") else ""


def _stages(reader: Reader) -> Mapping[str, Stage]:
    stages = dict(STAGES)
    for item in reader.items("LEADS_STAGES"):
        code, _, stage = (part.strip() for part in item.partition(":"))
        if code and stage in set(Stage):
            stages[code.upper()] = Stage(stage)
        else:
            reader.problem(
                "LEADS_STAGES",
                f"{_quoted(item)} must be of the form CODE:stage.",
                f"The stages are {', '.join(Stage)}.",
            )
    return MappingProxyType(stages)


def _schedule(reader: Reader, name: str, default: str) -> str:
    value = reader.text(name, default)
    if is_schedule(value):
        return value
    reader.problem(
        name,
        "It must be an NCRONTAB schedule of six fields, each number in its range.",
        f"Put the seconds first, as in '{default}', which the app uses until then.",
    )
    return default


def _silence(reader: Reader) -> int | None:
    value = reader.text("LEADS_SILENCE").lower()
    if not value or value == "off":
        return 0 if value else None
    if value.isdecimal() and 1 <= int(value) <= 365:
        return int(value)
    reader.problem(
        "LEADS_SILENCE",
        "It must be off or a number of days from 1 to 365.",
        "Correct it; until then the app learns what is usual.",
    )
    return None


def _retry_schedule(reader: Reader) -> tuple[int, ...]:
    value = reader.text("LEADS_RETRY_SCHEDULE")
    if not value:
        return RETRY_SCHEDULE
    waits = [part.strip() for part in value.split(",")]
    if all(wait.isdecimal() and int(wait) <= 86400 for wait in waits) and len(waits) <= 30:
        return tuple(int(wait) for wait in waits)
    reader.problem(
        "LEADS_RETRY_SCHEDULE",
        "It must be a list of whole seconds.",
        "Separate at most 30 waits of 0 to 86400 seconds by commas; until then the app uses the default.",
    )
    return RETRY_SCHEDULE
