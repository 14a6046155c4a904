"""The whole app in memory, for tests: the real code over the twins, with a clock that the test sets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from leads import delivery, enabled, settings
from leads.app import App
from leads.contract import Kind, Step
from leads.errors import Failure
from leads.intake import watch
from leads.lead import Lead
from leads.messages.alert import Alert
from leads.reader import Reader, Setting
from leads.settings import Settings
from leads.store.testing import MemoryDoorbell, MemoryInbox, MemoryStore
from leads.sweep import sweep

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

PERSON = {
    "firstName": "Some",
    "lastName": "One",
    "email": "someone@contoso.com",
    "phone": "16175555555",
    "country": "USA",
    "company": "Contoso",
    "title": "Esquire",
}


def post(**changes: Any) -> bytes:
    """A body as the marketplace sends it."""
    body = {
        "userDetails": PERSON,
        "leadSource": "AzureMarketplace",
        "actionCode": "INS",
        "offerTitle": "Contoso Planner",
        "description": "",
    }
    return json.dumps(body | changes).encode()


def row(key: str, stamp: datetime, *, partition: str | None = None, **changes: Any) -> dict[str, Any]:
    """A row as the marketplace writes it."""
    return {
        "PartitionKey": partition or watch.day_key(stamp),
        "RowKey": key,
        "Timestamp": stamp.strftime("%Y-%m-%dT%H:%M:%S.%f") + "7Z",
        "ActionCode": "INS",
        "CreatedTime": "",
        "CustomerInfo": json.dumps({"FirstName": "Some", "LastName": "One", "Email": f"{key}@contoso.com"}),
        "Description": "Campaigns: ",
        "LeadSource": "AzureMarketplace",
        "OfferDisplayName": "Contoso Planner",
    } | changes


@dataclass
class FakeDestination:
    """A destination that does as the test says, and remembers what it got."""

    KIND: Kind = Kind.CRM
    TITLE: str = "Fake"
    SETTINGS: tuple[Setting, ...] = ()
    got: list[tuple[Lead, Step]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    """Raised one after the other; after them all goes well."""
    always: Exception | None = None
    problems: tuple[tuple[str, str, str], ...] = ()

    @property
    def Settings(self) -> Any:
        def read(reader: Reader) -> None:
            for problem in self.problems:
                reader.problem(*problem)

        return SimpleNamespace(read=read)

    def send(self, lead: Lead, step: Step, _: Any) -> str:
        self.got.append((lead, step))
        if self.always:
            raise self.always
        if self.failures:
            raise self.failures.pop(0)
        return f"remote-{lead.event}"


class Noting:
    """Stands before the store or the doorbell and notes the names of its calls."""

    def __init__(self, inner: object, calls: list[str]) -> None:
        self.inner, self.calls = inner, calls

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self.inner, name)


@dataclass
class Pager(FakeDestination):
    """A notification destination that takes alerts."""

    KIND: Kind = Kind.NOTIFICATION
    alerts: list[Alert] = field(default_factory=list)
    refuse: Failure | None = None

    def alert(self, alert: Alert, *_: object) -> None:
        """Take an alert, unless the test wants it refused."""
        if self.refuse:
            raise self.refuse
        self.alerts.append(alert)


@dataclass
class World:
    """An app in memory and its clock."""

    app: App
    store: MemoryStore
    inbox: MemoryInbox
    bell: MemoryDoorbell
    now: datetime
    places: dict[str, FakeDestination]

    def forward(self, **time: float) -> None:
        """Move the clock."""
        self.now += timedelta(**time)
        self.bell.now = self.now

    def drain(self) -> int:
        """Do what the host would: deliver every message that is visible now. Returns how many there were."""
        done = 0
        while self.bell.handle(lambda lead_id, name: delivery.deliver(self.app, lead_id, name, self.now)):
            done += 1
        return done

    def sweep(self) -> None:
        sweep.sweep(self.app, self.now)

    def live(self, **time: float) -> None:
        """Let time pass with everything running: messages when visible, watch and sweep every five minutes."""
        end = self.now + timedelta(**time)
        while self.now < end:
            self.drain()
            watch.watch(self.app, self.now)
            self.sweep()
            self.drain()
            upcoming = [at for at, _, _ in self.bell.waiting if at > self.now]
            step = min([*upcoming, self.now + timedelta(minutes=5), end])
            self.forward(seconds=max((step - self.now).total_seconds(), 0.001))
        self.drain()

    def states(self) -> dict[str, str]:
        """The state of every delivery, by destination; for tests with one lead."""
        return {
            row.key.partition(":")[2]: str(row.values["state"])
            for row in self.store.tables.get("leads", {}).values()
            if ":" in row.key
        }

    def ids(self) -> list[str]:
        """All lead ids."""
        rows = self.store.tables.get("leads", {}).values()
        return sorted(f"{row.partition}-{row.key}" for row in rows if ":" not in row.key)

    def restart(self) -> None:
        """A new process: nothing but what was stored."""
        forget_sends()
        self.app = _app(self.app.settings, self.app.environ, self.store, self.inbox, self.bell)


def forget_sends() -> None:
    """A process that has just begun has sent nothing yet, and nobody waits for it."""
    delivery._lines.clear()
    delivery._sends.clear()
    delivery._noted.clear()


def _app(
    made: Settings, environ: Mapping[str, str], store: MemoryStore, inbox: MemoryInbox, bell: MemoryDoorbell
) -> App:
    app = App(made, environ)
    app.store, app.inbox, app.doorbell = store, inbox, bell
    return app


@contextmanager
def world(
    *, now: datetime = NOON, environ: Mapping[str, str] | None = None, **places: FakeDestination
) -> Iterator[World]:
    """Make an app in memory with fake destinations; without any, one CRM called `crm`."""
    places = places or {"crm": FakeDestination()}
    environ = {"LEADS_DESTINATIONS": ",".join(places), "AzureWebJobsStorage": "UseDevelopmentStorage=true"} | dict(
        environ or {}
    )
    made = settings.read(environ)
    store, bell = MemoryStore(), MemoryDoorbell(now)
    inbox = MemoryInbox(clock=lambda: bell.now)
    forget_sends()
    load, names = enabled.load, enabled.names
    enabled.load = lambda name: places[name] if name in places else places.get(name.partition(":")[0]) or load(name)  # type: ignore[assignment,return-value]
    enabled.names = lambda: (*names(), *places)  # type: ignore[assignment]
    try:
        yield World(_app(made, environ, store, inbox, bell), store, inbox, bell, now, places)
    finally:
        enabled.load, enabled.names = load, names


def failing(kind: type[Failure], **details: Any) -> Failure:
    """A failure of a destination."""
    return kind("It did not work.", "Correct it.", **details)


__all__ = [
    "NOON",
    "PERSON",
    "FakeDestination",
    "Noting",
    "Pager",
    "World",
    "failing",
    "post",
    "replace",
    "row",
    "world",
]
