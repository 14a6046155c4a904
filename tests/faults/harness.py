"""The whole app in one thread, with a host that tries again and a world that fails where it is told to.

Everything of ours is the real code: intake, watch, delivery, sweep, purge and the destination of a CRM. Below it stand
the twins of store and doorbell and, instead of a socket, the CRM's stand-in. Every call that crosses that line can be
made to crash the process, before or after it took effect.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

from dev.standins.dynamics.dataverse import Dataverse
from dev.standins.entra import Token
from dev.standins.hubspot import KEY, TOKEN, Account
from dev.standins.hubspot import error as hubspot_error
from dev.standins.salesforce.org import Org
from dev.standins.server import Request
from leads import delivery, enabled, oauth, settings, transport
from leads.app import App
from leads.contract import Kind, Step
from leads.destinations import dynamics
from leads.destinations.hubspot import mapping as hubspot
from leads.destinations.salesforce.api import Api
from leads.destinations.salesforce.mapping import key
from leads.errors import Transient
from leads.intake import watch
from leads.lead import Delivery, Lead, State
from leads.reader import Reader, Setting, instance_name
from leads.store.ledger import SWEEP
from leads.store.rows import is_delivery, read_delivery
from leads.store.testing import VISIBLE_AGAIN, WORKING, MemoryInbox, MemoryStore
from leads.sweep import days, sweep
from leads.transport import Response
from tests.faults import keyless
from tests.world import NOON, forget_sends

ENVIRON = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
WRITES = frozenset({"insert", "insert_all", "upsert", "replace", "delete", "put_blob", "delete_blob", "ring"})
GIVEN_UP_AFTER = 5
SWEEP_EVERY = timedelta(minutes=5)


@dataclass(frozen=True)
class Crm:
    """A CRM at the other end of the wire, as its stand-in plays it, without a socket."""

    name: str
    """Its name as a destination."""
    environ: Mapping[str, str]
    start: Callable[[], Any]
    """A far end that is empty, has `answer(request)`, and takes the bearer `token`."""
    refusal: Any
    """The body of a 400 that is for good."""
    key: Callable[[Lead], str]
    """The key of the record that a lead belongs to."""
    records: Callable[[Any], list[str]]
    """The keys of the records at the far end."""
    steps: Callable[[Any], list[str]]
    """The keys of the steps that stand on them; the leads' ids where `by_lead`."""
    by_lead: bool = False
    """Whether it has no keys of its own to tell a repetition by, so that its steps are known by their leads."""
    pagers: tuple[str, ...] = ("pager",)
    """The notifications beside it: instances of one destination."""

    @property
    def names(self) -> tuple[str, ...]:
        """All destinations of its world."""
        return (self.name, *self.pagers)


def _dataverse() -> Dataverse:
    url, client = DYNAMICS.environ["DYNAMICS_URL"], DYNAMICS.environ["DYNAMICS_CLIENT_ID"]
    far = Dataverse(url, lambda text: Token(client, url, 0.0) if text == "token" else None)
    far.members[client] = "33333333-3333-3333-3333-333333333333"
    return far


DYNAMICS = Crm(
    "dynamics",
    {
        "DYNAMICS_URL": "https://contoso.crm.dynamics.com",
        "DYNAMICS_TENANT_ID": "11111111-1111-1111-1111-111111111111",
        "DYNAMICS_CLIENT_ID": "22222222-2222-2222-2222-222222222222",
        "DYNAMICS_CLIENT_SECRET": "s3cret-of-the-test",
    },
    _dataverse,
    {"error": {"code": "0x80040265", "message": "A plug-in says no."}},
    dynamics.record_id,
    lambda far: list(far.tables["leads"].records),
    lambda far: list(far.tables["annotations"].records),
)
SALESFORCE = Crm(
    "salesforce",
    {
        "SALESFORCE_URL": "https://contoso.my.salesforce.com",
        "SALESFORCE_CLIENT_ID": "3MVG9.key",
        "SALESFORCE_CLIENT_SECRET": "s3cret-of-the-test",
    },
    lambda: Org("token".__eq__),
    [{"errorCode": "SOMETHING_NEW", "message": "No."}],
    key,
    lambda far: [row[far.lead_key] for row in far.live("Lead").values()],
    lambda far: list(far.live("Task")),
)
KEYLESS = Crm(
    "notes",
    {},
    keyless.Notes,
    {},
    keyless.key,
    lambda far: list(dict.fromkeys(customer for _, customer in far.made)),
    lambda far: [lead_id for lead_id, _ in far.made],
    by_lead=True,
    pagers=("pager:emea", "pager:us"),
)
"""Cannot repeat itself, and stands beside two instances of one notification."""
_LEAD_ID = re.compile(r"Lead id: ([0-9a-f-]{33})")
HUBSPOT = Crm(
    "hubspot",
    {"HUBSPOT_TOKEN": TOKEN, "HUBSPOT_KEY": KEY},
    Account,
    hubspot_error(400, "VALIDATION_ERROR"),
    lambda lead: hubspot.email(lead) or lead.id,
    lambda far: [one.properties.get("email") or one.properties[KEY] for one in far.contacts.values()],
    lambda far: [_LEAD_ID.findall(one.properties["hs_note_body"])[0] for one in far.notes.values()],
    by_lead=True,
)
"""Has a key for the customer's record and none for a step, which it looks for."""
CRMS = (DYNAMICS, SALESFORCE, HUBSPOT, KEYLESS)


class Crash(BaseException):
    """The process is gone, as after SIGKILL: nothing catches it but the host."""


Hook = Callable[[str, str], None]


@dataclass
class Crossing:
    """A place whose every call is announced before and after it took effect."""

    inner: Any
    place: str
    hook: Hook

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.inner, name)
        if not callable(attribute):
            return attribute

        def call(*args: Any, **named: Any) -> Any:
            point = f"{self.place}.{name}"
            self.hook(point, "before")
            result = attribute(*args, **named)
            if isinstance(result, Iterator):
                result = iter(list(result))
            self.hook(point, "after")
            return result

        return call


@dataclass
class Pager:
    """A notification destination; its message cannot be taken back, so each send counts."""

    world: FaultWorld
    KIND: Kind = Kind.NOTIFICATION
    TITLE: str = "Pager"
    SETTINGS: tuple[Setting, ...] = (Setting("PAGER_NUMBER", "Who is called", own=True),)
    sent: list[tuple[str, str]] = field(default_factory=list)
    """Leads with the number that was called, which is the destination's name."""
    alerts: list[Any] = field(default_factory=list)
    fail: Callable[[], None] = lambda: None

    class Settings:
        """The number."""

        @classmethod
        def read(cls, reader: Reader) -> str:
            """Read it."""
            return reader.text("PAGER_NUMBER", required=True)

    def send(self, lead: Lead, step: Step, made: str) -> str:
        self.world.hook("pager.send", "before")
        self.world.check_schedule(lead.id, made)
        self.fail()
        self.sent.append((lead.id, made))
        self.world.hook("pager.send", "after")
        return ""

    def alert(self, alert: Any, *_: Any) -> None:
        self.alerts.append(alert)


@dataclass
class Message:
    """A message in the queue."""

    visible: datetime
    lead_id: str
    destination: str
    dequeued: int = 0


class FaultWorld:
    """What outlives a process, a clock, and a host that runs the functions."""

    def __init__(self, kind: Crm, environ: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self.environ = {
            **ENVIRON,
            "LEADS_DESTINATIONS": ",".join(kind.names),
            **{instance_name("PAGER_NUMBER", *enabled.split(name)): name for name in kind.pagers},
            **kind.environ,
            **(environ or {}),
        }
        self.now = NOON
        self.store, self.inbox = MemoryStore(), MemoryInbox(clock=lambda: self.now)
        self.messages: list[Message] = []
        self.crm = kind.start()
        self.token: Callable[[], str] = lambda: "token"
        self.pager = Pager(self)
        self.hook: Hook = lambda *_: None
        self.wire: Callable[[Request], Response] = self.answer
        self.crashes = 0
        self.crm_attempts = 0
        self.broken: list[str] = []
        self.skew = timedelta(0)
        self.app = self.process()

    @property
    def clock(self) -> datetime:
        """The time as this process believes it to be."""
        return self.now + self.skew

    def process(self) -> App:
        """A new process: nothing but what was stored."""
        forget_sends()
        app = App(settings.read(self.environ), self.environ)
        app.store = Crossing(self.store, "store", lambda *point: self.hook(*point))
        app.inbox = Crossing(self.inbox, "inbox", lambda *point: self.hook(*point))
        app.doorbell = Crossing(self, "doorbell", lambda *point: self.hook(*point))
        return app

    def ring(self, lead_id: str, destination: str, delay: float = 0.0) -> None:
        """Put a message into the queue."""
        self.messages.append(Message(self.now + timedelta(seconds=delay), lead_id, destination))

    def answer(self, request: Request) -> Response:
        """Answer as the CRM does."""
        answer = self.crm.answer(request)
        body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        headers = {key.lower(): str(value) for key, value in answer.headers.items()}
        return Response(answer.status, headers, body.encode() if answer.body is not None else b"")

    def request(self, method: str, url: str, *, deadline: Any, headers: Any = None, json: Any = None, **_: Any) -> Any:
        """Stand in for `leads.transport.request`."""
        from urllib.parse import parse_qsl, unquote, urlsplit

        self.hook(f"wire.{method}", "before")
        parts = urlsplit(url)
        body = b"" if json is None else _dumps(json)
        headers = {**(headers or {}), **({} if json is None else {"Content-Type": "application/json"})}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        lower = {key.lower(): value for key, value in headers.items()}
        answer = self.wire(Request(method, unquote(parts.path), query, lower, body))
        self.hook(f"wire.{method}", "after")
        return answer

    def run(self, work: Callable[[], Any]) -> Any:
        """Run one function as the host does: a crash starts a new process, an error is only logged."""
        try:
            return work()
        except Crash:
            self.crashes += 1
            self.app = self.process()
        except Exception as error:  # noqa: BLE001 - as the host: logged, and the trigger fires again
            self.broken.append(f"{type(error).__name__}: {error}")
        return None

    def watch(self) -> None:
        self.run(lambda: watch.watch(self.app, self.clock))

    def sweep(self) -> None:
        self.run(lambda: sweep.sweep(self.app, self.clock))

    def deliver_visible(self) -> None:
        """Hand every visible message to a function."""
        while due := [message for message in self.messages if message.visible <= self.now]:
            self.deliver_one(min(due, key=lambda message: message.visible))

    def deliver_one(self, message: Message) -> None:
        """Hand one message to a function: as the twin of the doorbell does, and five times at most."""
        message.visible = self.now + WORKING
        message.dequeued += 1
        work = delivery.recover if message.dequeued > GIVEN_UP_AFTER else delivery.deliver
        crashes = self.crashes
        ended = self.run(lambda: (work(self.app, message.lead_id, message.destination, self.clock), True)[1])
        if ended and message in self.messages:
            self.messages.remove(message)
        elif crashes == self.crashes:
            # After the last the host moves it to the poison queue at once, where the next function is waiting for it.
            message.visible = self.now + (VISIBLE_AGAIN if message.dequeued != GIVEN_UP_AFTER else timedelta(0))

    def settle(self, limit: timedelta = timedelta(hours=100), at_least: timedelta = timedelta(minutes=70)) -> None:
        """Let everything run until nothing is left to do and every hourly look was had, or the limit is reached."""
        end = self.now + limit
        listed = self.now + at_least
        while self.now < end:
            self.deliver_visible()
            self.watch()
            troubles = self.crashes + len(self.broken)
            note = self.store.get("state", "state", SWEEP)
            goes_on = bool(note and note.values.get("cycle"))
            self.sweep()
            # One that storage stopped halfway is gone on with, so it sees the rest only.
            if troubles == self.crashes + len(self.broken) and not goes_on:
                self.check_overdue()
            self.deliver_visible()
            if self.now > listed and not self.messages and not self.open_lines():
                return
            # A long wait is not worth a look every five minutes, unless something waits for a sweep.
            upcoming = min([message.visible for message in self.messages] + [self.now + timedelta(minutes=30)])
            self.now = max(self.now + timedelta(minutes=5), upcoming)

    def check_overdue(self) -> None:
        """After a sweep nothing is open and due for longer than it allows, but what it rang for within the hour."""
        for found in self.deliveries():
            overdue = self.now - found.next_at > sweep.OVERDUE + SWEEP_EVERY
            if found.state != State.OPEN or not overdue or delivery.is_claimed(found, self.now):
                continue
            waits = any((m.lead_id, m.destination) == (found.lead_id, found.destination) for m in self.messages)
            rung = found.rung_at is not None and abs(self.now - found.rung_at) < sweep.RING_AGAIN
            assert waits or rung, "a delivery is open and due, and nothing will ring for it"

    def open_lines(self) -> list[str]:
        return [row.key for row in self.store.rows("journal", "open")]

    def deliveries(self) -> list[Delivery]:
        rows = self.store.tables.get("leads", {}).values()
        return [read_delivery(row) for row in rows if is_delivery(row)]

    def check_schedule(self, lead_id: str, destination: str) -> None:
        """No attempt comes earlier than its schedule, by the clock of whoever makes it."""
        customer, _, event = lead_id.partition("-")
        row = self.store.get("leads", customer, f"{event}:{destination}")
        assert row, "a lead is sent only while it is stored"
        found = read_delivery(row)
        assert found.state == State.OPEN
        assert found.next_at <= self.clock, "an attempt came before its time"

    def check(self, accepted: Mapping[str, bytes], chosen: Collection[str] = ()) -> None:
        """The promise of design §1, for every lead that was answered with 202 (`accepted`) or stood in the table.

        `chosen` are the destinations that routes led them to; none: all of them.
        """
        by_lead: dict[str, dict[str, Delivery]] = {}
        for found in self.deliveries():
            by_lead.setdefault(found.lead_id, {})[found.destination] = found
        for lead_id, body in accepted.items():
            assert set(by_lead.get(lead_id, {})) == set(chosen or self.kind.names), "a lead that was accepted is gone"
            raws = [blob for name, blob in self.store.containers["raw"].items() if lead_id[17:] in name]
            assert [raw.data for raw in raws] == [body], "raw is not what arrived, or not there once"
        for lead_id, mine in by_lead.items():
            for one in mine.values():
                assert one.state != State.OPEN, f"a delivery was left open: {lead_id} {one.destination}"
        assert self.open_lines() == [], "a lead was never closed"
        journal = self.store.tables.get("journal", {})
        finished = [key for partition, key in journal if partition not in ("open", "dead")]
        assert sorted(finished) == sorted(by_lead), "every lead stands once among the finished"
        dead = {lead_id for lead_id, mine in by_lead.items() if any(one.state == State.DEAD for one in mine.values())}
        assert {key for partition, key in journal if partition == "dead"} == dead, (
            "the dead ones stand there, and only they"
        )
        assert len(by_lead) == len({lead_id[17:] for lead_id in by_lead}), "an event became two leads"
        attempts = sum(one.attempt_count for one in self.deliveries())
        sends = len(self.pager.sent) + self.crm_attempts
        assert sends <= attempts + self.crashes + len(self.broken), "more was sent than was recorded"

    def check_counts(self) -> None:
        """Some hours later what is counted of the days is what is there, and nothing is left to look at."""
        for _ in range(3):
            self.now += timedelta(minutes=61)
            self.sweep()
        counted = days.Counts()
        for row in self.app.ledger.day_counts():
            counted.add(days.read(row)[1])
        there = Counter((one.destination, one.state) for one in self.deliveries())
        found = {(name, state): n for name, place in counted.places.items() for state, n in place.states.items()}
        assert found == there, "what is counted is not what is there"
        assert self.app.ledger.changes() == [], "the sweep is never done"
        told = {alert.destination for alert in self.pager.alerts if alert.kind == "dead"}
        assert {name for name, state in there if state == State.DEAD} <= told, "a dead delivery that nobody was told of"

    def check_crm(self, *, records: int) -> None:
        """One record per customer and offer, one step on it per lead."""
        assert len(self.kind.records(self.crm)) == records
        delivered = [d for d in self.deliveries() if d.destination == self.kind.name and d.state == State.DELIVERED]
        steps = self.kind.steps(self.crm)
        assert len(steps) == len(delivered)
        if self.kind.by_lead:
            assert sorted(steps) == sorted(d.lead_id for d in delivered), "a lead was written twice, or not at all"

    def check_pagers(self) -> None:
        """Each instance of a notification got every lead that is called delivered there, by its own number."""
        for one in self.deliveries():
            if one.destination in self.kind.pagers and one.state == State.DELIVERED:
                assert (one.lead_id, one.destination) in self.pager.sent, "an instance was left out"


def _dumps(value: Any) -> bytes:
    return json.dumps(value).encode()


def no_answer(*_: Any) -> Response:
    """Time out, as seen by the caller."""
    raise Transient("contoso.example did not answer in time.", "It is tried again.", unanswered=True)


class _Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def fault_world(kind: Crm = DYNAMICS, environ: Mapping[str, str] | None = None) -> Iterator[FaultWorld]:
    """Make a world whose CRM is the stand-in, called without a socket, and whose logs are searched at the end."""
    made = FaultWorld(kind, environ)
    load, names = enabled.load, enabled.names
    crm = keyless.DESTINATION if kind is KEYLESS else load(kind.name)

    class Counted:
        """The CRM's destination, counting attempts."""

        KIND, TITLE = crm.KIND, crm.TITLE
        SETTINGS, Settings = crm.SETTINGS, crm.Settings

        @staticmethod
        def send(lead: Lead, step: Step, settings: Any) -> str:
            made.check_schedule(lead.id, kind.name)
            made.crm_attempts += 1
            return crm.send(lead, step, settings)

    places: dict[str, Any] = {kind.name: Counted, "pager": made.pager}
    keeper = _Keeper()
    root = logging.getLogger("leads")
    level = root.level
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    try:
        with (
            patch.object(enabled, "load", lambda name: places.get(enabled.split(name)[0]) or load(name)),
            patch.object(enabled, "names", lambda: tuple(dict.fromkeys((*names(), *places)))),
            patch.object(transport, "request", made.request),
            # A crash ends the one thread that there is, and its calls have numbers.
            patch.object(watch, "ROWS_AT_ONCE", 1),
            patch.object(oauth, "token", lambda *_, **__: made.token()),
            patch.object(Api, "token", lambda *_, **__: made.token()),
        ):
            yield made
    finally:
        root.removeHandler(keeper)
        root.setLevel(level)
    told = "\n".join([*keeper.lines, *made.broken, *(repr(vars(message)) for message in made.messages)])
    causes = [attempt.cause + attempt.remedy for found in made.deliveries() for attempt in found.attempts]
    for secret in ("contoso.com>", "someone@", "Some One", "16175555555", "s3cret", "sig="):
        assert secret not in told, "personal data or a secret was logged"
        assert secret not in "\n".join(causes), "personal data or a secret is in a recorded cause"


__all__ = ["Crash", "FaultWorld", "fault_world", "no_answer", "replace"]
