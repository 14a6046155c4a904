"""Is everything in order? Each part of the app is asked a harmless question, and answers in plain words.

Nothing is changed by it but a row, a blob and a message of its own, which mean nothing to the app.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from leads import enabled, partner_center, transport
from leads.app import App
from leads.contract import Finding
from leads.errors import Failure
from leads.intake import watch
from leads.operate import health
from leads.reader import Problem, Reader
from leads.store.ledger import QUARANTINE, STATE
from leads.store.protocol import Row
from leads.sweep import drift
from leads.sweep.configuration import configuration
from leads.transport import Deadline

SECONDS = 18.0
"""What one destination's check may take; an answer over HTTP has to come within 20."""
NO_LEAD = "0" * 16 + "-" + "0" * 16
"""The id in the message that is sent to try the queue: of no lead, so its delivery does nothing."""

STATE_ACCOUNT, INBOX_ACCOUNT = "AzureWebJobsStorage", "LEADS_INBOX"
"""The settings that name the two storage accounts."""

_STORAGE = {
    "AuthenticationFailed": (
        "The storage account refuses the key or the identity.",
        "Copy the connection string again from Access keys into {setting}; rotating the keys changes it.",
    ),
    "AuthorizationFailure": (
        "The storage account's firewall refuses this app (Partner Center calls it a StorageException).",
        "Under Networking of the account in {setting}, allow all networks: Microsoft publishes no addresses.",
    ),
    "AuthorizationPermissionMismatch": (
        "The app's identity lacks a role on the storage account.",
        "Give it Storage Blob Data Owner and Storage Queue and Table Data Contributor on the account in {setting}.",
    ),
    "KeyBasedAuthenticationNotPermitted": (
        "The storage account does not allow access by key.",
        "Allow storage account key access in its Configuration, or use the managed identity ({setting}__accountName).",
    ),
    "AccountIsDisabled": (
        "The storage account is disabled.",
        "Check whether the subscription of the account in {setting} is disabled or over its spending limit.",
    ),
    "InvalidHeaderValue": (
        "The storage emulator is older than the app's libraries.",
        "Start Azurite with --skipApiVersionCheck, as `make run` does.",
    ),
}
_READER = "Give it Storage Table Data Reader on the account in {setting}, and no more: the app only reads there."
_UNREACHABLE = frozenset({"ServiceRequestError", "ServiceResponseError", "ServiceRequestTimeoutError"})


@dataclass(frozen=True, slots=True)
class Result:
    """What one look found. `cause` and `remedy` are safe to show; a `cause` of what is fine is a remark."""

    part: str
    name: str
    ok: bool
    cause: str = ""
    remedy: str = ""
    seconds: float = 0.0
    waits_for: tuple[str, ...] = ()
    """What must be put right before this can be asked: settings, or `part, name` of another look."""

    @property
    def failed(self) -> bool:
        """Whether this is a fault of its own: it was asked, and is not ok."""
        return not self.ok and not self.waits_for

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Result:
        """A result out of JSON, whatever else stands there. That of an older app waits for nothing."""
        part, name, ok, cause, remedy = (values[each] for each in ("part", "name", "ok", "cause", "remedy"))
        return cls(part, name, ok, cause, remedy, values.get("seconds", 0.0), tuple(values.get("waits_for", ())))


OWN = frozenset(("settings", "storage", "inbox", "runs", "function key", "partner center"))
"""The parts that are no destinations."""


def parts(app: App) -> tuple[str, ...]:
    """What there is to look at, in order."""
    market = ("partner center",) if partner_center.Settings.read(_market_reader(app)).wanted else ()
    try:
        destinations = app.destinations
    except Exception:  # noqa: BLE001 - the storage's own part reports what is wrong with it
        destinations = app.settings.destinations
    return ("settings", "storage", "inbox", "runs", "function key", *market, *destinations)


def look(app: App, part: str, now: datetime, seconds: float = SECONDS) -> Iterator[Result]:
    """Look at one part, and give each finding as it comes. What is asked elsewhere has `seconds`. Raises nothing."""
    ways: dict[str, Callable[[App, datetime], Iterator[Finding]]] = {
        "settings": _settings,
        "storage": _storage,
        "inbox": _inbox,
        "runs": _runs,
        "function key": lambda app, _: _function_key(app, seconds),
        "partner center": lambda app, _: _partner_center(app, seconds),
    }
    way = ways.get(part) or (lambda app, _: _destination(app, part, seconds))
    missing = _missing(app, part)
    found = iter((Finding(part, ok=False, waits_for=(missing,)),)) if missing else way(app, now)
    while True:
        started = time.monotonic()
        try:
            finding = next(found, None)
        except Exception as error:  # noqa: BLE001 - whatever is broken, the operator has to learn what
            finding, found = _failed(part, error), iter(())
        if finding is None:
            return
        if finding.waits_for:
            yield not_asked(part, finding.name, finding.waits_for)
            continue
        result = Result(part, finding.name, finding.ok, finding.cause, finding.remedy)
        yield replace(result, seconds=round(time.monotonic() - started, 3))


def not_asked(part: str, name: str, waits_for: tuple[str, ...]) -> Result:
    """What stands in place of an answer where something else must be put right first."""
    return Result(part, name, False, f"Not asked, since this comes first: {', '.join(waits_for)}.", waits_for=waits_for)


def once(results: Iterable[Result]) -> Iterator[Result]:
    """The same results as they come, each fault once: what fails for the same reason as another part waits for that."""
    said: dict[tuple[str, str], Result] = {}
    for result in results:
        fault = (result.cause, result.remedy)
        # Settings are wrong each by itself, however alike that sounds.
        if result.failed and result.part != "settings":
            first = said.setdefault(fault, result)
            if first is not result:
                yield not_asked(result.part, result.name, (f"{first.part}, {first.name}",))
                continue
        yield result


def first(results: Sequence[Result]) -> Result | None:
    """The fault to begin with: the one for which most others wait, and of several the one that was found first.

    That deliveries wait is last, since it follows from what keeps them waiting.
    """
    waiting = Counter(name for result in results for name in result.waits_for)
    faults = sorted((result for result in results if result.failed), key=lambda fault: fault.part == "runs")
    return max(faults, key=lambda fault: waiting[fault.name] + waiting[f"{fault.part}, {fault.name}"], default=None)


def called(result: Result) -> str:
    """What a look is called where it stands alone: that at a destination has its title before it."""
    return result.name if result.part in OWN else f"{enabled.title(result.part)}, {result.name}"


def explained(error: Exception, setting: str = STATE_ACCOUNT) -> tuple[str, str]:
    """Cause and remedy of a failure of the storage that `setting` names, or of whatever else went wrong.

    An error that has a note `LEADS_INBOX` came from the inbox.
    """
    if isinstance(error, Failure):
        return error.cause, error.remedy
    if INBOX_ACCOUNT in getattr(error, "__notes__", ()):
        setting = INBOX_ACCOUNT
    code = getattr(error, "error_code", None)
    name = str(getattr(code, "value", code))
    if name in _STORAGE:
        cause, remedy = _STORAGE[name]
        if name == "AuthorizationPermissionMismatch" and setting == INBOX_ACCOUNT:
            remedy = _READER
        return cause, remedy.format(setting=setting)
    kind = type(error).__name__
    if kind in _UNREACHABLE:
        return (
            "The storage account does not answer.",
            f"Check its name in {setting}; on a local machine, check that `make run` is running.",
        )
    if kind == "ClientAuthenticationError":
        return (
            "The storage account refuses the key or the identity.",
            f"Copy the connection string again into {setting}, or give the app's identity its roles on the account.",
        )
    return (
        f"It failed with an unexpected error ({kind}).",
        "Try again. If it keeps failing, report it with the name of the error.",
    )


def of_inbox(app: App) -> str:
    """The setting that names the inbox's account."""
    return STATE_ACCOUNT if app.settings.inbox == app.settings.storage else INBOX_ACCOUNT


def _failed(name: str, error: Exception, setting: str = STATE_ACCOUNT) -> Finding:
    cause, remedy = explained(error, setting)
    return Finding(name, ok=False, cause=cause, remedy=remedy)


def _tried(name: str, question: Callable[[], str | None], setting: str = STATE_ACCOUNT) -> Finding:
    """The finding of a question to the storage that `setting` names: it returns a remark, or nothing, or raises."""
    try:
        return Finding(name, ok=True, cause=question() or "")
    except Exception as error:  # noqa: BLE001 - whatever is broken, the operator has to learn what
        return _failed(name, error, setting)


def _settings(app: App, now: datetime) -> Iterator[Finding]:
    """Every setting that is wrong, at once: of the app, of each destination and of Partner Center; then remarks."""
    del now
    found = configuration(app)
    for problem in found.problems:
        yield Finding(problem.setting, ok=False, cause=problem.cause, remedy=problem.remedy)
    for problem in found.remarks:
        yield Finding(problem.setting, ok=True, cause=problem.cause, remedy=problem.remedy)
    if not found.problems:
        yield Finding("all settings", ok=True)


def _missing(app: App, part: str) -> str:
    """The setting without which this part cannot be asked; empty where it can."""
    if part not in ("storage", "inbox", "runs"):
        return ""
    if app.settings.storage is None:
        return STATE_ACCOUNT
    return INBOX_ACCOUNT if part == "inbox" and app.settings.inbox is None else ""


def _market_reader(app: App) -> Reader:
    return Reader(app.environ, partner_center.SETTINGS)


def _storage(app: App, now: datetime) -> Iterator[Finding]:
    """Whether tables, blobs and the queue can be written, read and cleaned up, and the id key is there."""
    name = f"check-{secrets.token_hex(8)}"

    def tables() -> None:
        app.store.insert(STATE, Row("check", name, {"at": now.isoformat()}))
        if app.store.get(STATE, "check", name) is None:
            raise RuntimeError("a row that was written is not there")
        app.store.delete(STATE, "check", name)

    def blobs() -> None:
        app.store.put_blob(QUARANTINE, f"check/{name}", b"", {})
        if app.store.get_blob(QUARANTINE, f"check/{name}") is None:
            raise RuntimeError("a blob that was written is not there")
        app.store.delete_blob(QUARANTINE, f"check/{name}")

    def key() -> None:
        _ = app.identity

    yield _tried("tables", tables)
    yield _tried("blobs", blobs)
    yield _tried("queue", lambda: app.doorbell.ring(NO_LEAD, "console"))
    yield _tried("id key", key)


def _inbox(app: App, now: datetime) -> Iterator[Finding]:
    """Whether the watched tables are there, and when the last row came."""

    def question(table: str) -> str:
        page = next(app.inbox.pages(table, f"PartitionKey eq '{watch.day_key(now)}'"), None)
        if page is None:
            return "The table is not there yet. Microsoft makes it with the first lead; Validate sends one."
        last = str(app.ledger.note(f"watch:{table.lower()}").values.get("last_row_at", ""))
        return f"The last row came at {last[:16].replace('T', ' ')} UTC." if last else "No row has been seen yet."

    for table in app.settings.inbox_tables:
        yield _tried(f"table {table}", lambda table=table: question(table), of_inbox(app))  # type: ignore[misc]


def _runs(app: App, now: datetime) -> Iterator[Finding]:
    """When watch and sweep last ran, and whether leads are stuck. Wrong settings are another part's."""
    state = health.health(app, now)
    settings = {(problem.cause, problem.remedy) for problem in configuration(app).problems}
    wrong = [reason for reason in state.reasons if (reason.cause, reason.remedy) not in settings]
    for reason in wrong:
        yield Finding("watch and sweep", ok=False, cause=reason.cause, remedy=reason.remedy)
    if not wrong:
        last = state.last_sweep
        ran = f"The last sweep ran at {last:%Y-%m-%d %H:%M} UTC; {state.open} leads are open." if last else ""
        yield Finding("watch and sweep", ok=True, cause=ran)


def _function_key(app: App, seconds: float) -> Iterator[Finding]:
    """Whether the deployed app asks for a key where leads come in."""
    site = app.environ.get("WEBSITE_HOSTNAME", "").strip()
    if not app.is_deployed:
        yield Finding("asked for", ok=True, cause="Not checked on a local machine, where keys are off unless AUTH=1.")
        return
    answer = transport.request("GET", f"https://{site}/api/leads", deadline=Deadline.after(seconds))
    if answer.status == 401:
        yield Finding("asked for", ok=True)
    elif answer.status == 200:
        yield Finding(
            "asked for",
            ok=False,
            cause="The app takes leads without a key: anybody can send some.",
            remedy="Deploy function_app.py as it is: its auth level is FUNCTION.",
        )
    else:
        yield Finding(
            "asked for",
            ok=False,
            cause=f"{site} answered {answer.status} where leads come in.",
            remedy="Check that the app is running, and look at its access restrictions: Partner Center must get in.",
        )


def _partner_center(app: App, seconds: float) -> Iterator[Finding]:
    """Whether Partner Center lets the app in, and how the last look of the sweep went."""
    reader = _market_reader(app)
    made = partner_center.Settings.read(reader)
    if reader.problems:
        yield Finding("sign-in", ok=False, waits_for=_settings_of(reader.problems))
        return
    catalog = partner_center.PartnerCenter(made).catalog(Deadline.after(seconds))
    count = len(catalog.products)
    yield Finding("sign-in", ok=True, cause=f"It lists {count} offer{'' if count == 1 else 's'}.")
    if catalog.unread:
        yield Finding(
            "list of offers",
            ok=False,
            cause=f"{catalog.unread} entries of the list could not be read.",
            remedy="Compare the offers on the page, or `python -m leads offers`, with those in Partner Center.",
        )
    note = app.ledger.note(drift.NOTE).values
    if note.get("cause"):
        yield Finding("last look", ok=False, cause=str(note["cause"]), remedy=str(note.get("remedy", "")))


def _settings_of(problems: Iterable[Problem]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(problem.setting for problem in problems))


def _destination(app: App, name: str, seconds: float) -> Iterator[Finding]:
    """What a destination finds out about itself, if its settings are complete."""
    try:
        place = enabled.read(name, app.environ)
    except KeyError:
        yield Finding(name, ok=False, waits_for=("LEADS_DESTINATIONS",))
        return
    if place.problems:
        yield Finding("settings", ok=False, waits_for=_settings_of(place.problems))
        return
    look = getattr(place.module, "check", None)
    if look:
        yield from look(place.settings, Deadline.after(seconds))
    else:
        yield Finding("settings", ok=True, cause="Only a delivery shows whether it works; `send-test` makes one.")
