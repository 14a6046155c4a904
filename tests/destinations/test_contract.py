"""One suite that every destination passes. See `contract.py` for what a new destination has to bring."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from leads import enabled
from leads.contract import Earlier, Kind, Step
from leads.errors import Failure, Skip, Transient
from leads.intake import normalize, payload
from leads.intake.jsontext import NotALead
from leads.lead import Contact, Lead, Stage, State, Via
from leads.reader import Reader
from leads.settings import STAGES
from leads.transport import Deadline
from tests.destinations.contract import Contract, Wire

NOW = datetime(2026, 11, 3, 16, 5, 6, tzinfo=UTC)
FIXTURES = Path(__file__).parent.parent / "fixtures"
CONTRACTS = sorted(path.stem.removeprefix("contract_") for path in Path(__file__).parent.glob("contract_*.py"))
PERSON = Contact(
    "Augusta", "Byron", "augusta.byron@example.com", "+390669812345", "IT", "Analytical Engines", "Countess"
)
PERSONAL = ("Augusta", "Byron", "augusta.byron", "69812345", "Analytical", "Countess", "the brass one")
HOSTILE = (
    "Robert'); DROP TABLE leads;--",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "a\r\nBcc: victim@example.com\r\n\r\nbody",
    "\x00\x01\x1f\x7f\ufffe",
    "\ud800 lone surrogate",
    "\u202egnp.exe \u200b\u2066",
    "=cmd|' /C calc'!A0",
    '{"a": 1}\\"\\u0000',
    "{{7*7}}{% raw %}${jndi:ldap://x}%s%n{0}",
    "http://evil.example/?a=b&c=d#e",
    "x" * 8000,
    "😀" * 4000,
    "Ω≈ç√∫˜µ≤≥÷ 田中さん مرحبا",
    " ",
)


@dataclass
class Running:
    """A destination at work."""

    contract: Contract
    module: Any
    settings: Any
    numbers: Iterator[int]

    def lead(self, **changes: Any) -> Lead:
        """A lead of a customer that nobody knows yet."""
        number = next(self.numbers)
        return replace(LEAD, id=f"{number:016x}-{number:016x}", **changes)

    def send(self, lead: Lead, **step: Any) -> str:
        told = self.module.send(lead, Step(**{"now": NOW, "deadline": Deadline.after(20), **step}), self.settings)
        assert isinstance(told, str)
        return told

    def arrives(self, lead: Lead) -> None:
        """It arrives, or is skipped with a reason where it is not for this destination."""
        before = self.contract.arrived()
        if self.contract.skips(lead):
            with pytest.raises(Skip) as skipped:
                self.send(lead)
            assert skipped.value.reason
            assert self.contract.arrived() == before
        else:
            self.send(lead)
            assert (self.contract.arrived() > before) is self.contract.keeps

    def failure(self, lead: Lead, **step: Any) -> Failure:
        with pytest.raises(Failure) as caught:
            self.send(lead, **step)
        return caught.value


LEAD = Lead(
    via=Via.HTTPS,
    arrived_at=NOW,
    created_at=NOW,
    source="SPZA",
    action="PLT",
    offer="contoso.planner",
    offer_title="Contoso Planner",
    stage=Stage.ACTIVE,
    contact=PERSON,
    message="I would like to see the brass one.",
)


@pytest.fixture(scope="module", params=CONTRACTS)
def started(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contract]:
    module = importlib.import_module(f"tests.destinations.contract_{request.param}")
    start: Callable[[Path], AbstractContextManager[Contract]] = module.contract
    with start(tmp_path_factory.mktemp(request.param)) as contract:
        yield contract


NUMBERS = count(1)


@pytest.fixture
def running(started: Contract, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    for name, value in started.environ.items():
        monkeypatch.setenv(name, value)
    module = enabled.load(started.name)
    reader = Reader(started.environ, module.SETTINGS)
    settings = module.Settings.read(reader)
    assert reader.problems == []
    started.reset()
    yield Running(started, module, settings, NUMBERS)
    started.reset()


def samples() -> list[Lead]:
    """Every sample that is a lead."""
    found = []
    for path in sorted((FIXTURES / "https").glob("*")):
        try:
            read = payload.read(path.read_bytes())
        except NotALead:
            continue
        found.append(normalize.normalize(read, via=Via.HTTPS, arrived_at=NOW, stages=STAGES))
    for path in sorted((FIXTURES / "table").glob("*.json")):
        for row in json.loads(path.read_bytes()):
            read = payload.read_row(row)
            found.append(normalize.normalize(read, via=Via.TABLE, arrived_at=NOW, stages=STAGES))
    return found


def hidden(running: Running, *texts: str) -> None:
    """Nothing personal, nothing secret, and no URL with its query is in these texts."""
    for text in texts:
        for part in (*PERSONAL, *running.contract.secrets):
            assert part not in text
        assert "?" not in text.replace("? ", " ").removesuffix("?")


def test_every_destination_has_a_contract() -> None:
    assert set(CONTRACTS) == set(enabled.names())


def test_the_module_is_what_a_destination_is(running: Running) -> None:
    module = running.module
    assert module.KIND in Kind
    assert module.__doc__
    assert module.TITLE
    assert list(inspect.signature(module.send).parameters) == ["lead", "step", "settings"]
    assert is_dataclass(module.Settings)
    assert vars(module.Settings)["__dataclass_params__"].frozen


def test_no_secret_is_printed_with_the_settings(running: Running) -> None:
    for secret in running.contract.secrets:
        assert secret not in repr(running.settings)


def test_each_wrong_setting_is_told_with_cause_and_remedy(running: Running) -> None:
    names = {name for name in running.contract.environ if name.startswith(f"{running.contract.name.upper()}_")}
    assert running.contract.wrong or not names
    for setting, changes in running.contract.wrong.items():
        reader = Reader({**running.contract.environ, **changes}, running.module.SETTINGS)
        running.module.Settings.read(reader)
        told = [problem for problem in reader.problems if problem.setting == setting]
        assert told, setting
        for problem in told:
            assert problem.cause.endswith(".")
            assert problem.remedy.endswith((".", ")"))
            for secret in running.contract.secrets:
                assert secret not in str(problem)


def test_reading_settings_never_raises(running: Running) -> None:
    names = [*running.contract.environ, *running.contract.wrong]
    for value in (*HOSTILE, "", "://", "[", "https://[", "https://x:99999999"):
        reader = Reader(dict.fromkeys(names, value), running.module.SETTINGS)
        running.module.Settings.read(reader)


def test_a_lead_arrives(running: Running, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    before = running.contract.arrived()
    with caplog.at_level("DEBUG", "leads"):
        told = running.send(running.lead())
    assert (running.contract.arrived() > before) is running.contract.keeps
    printed = capsys.readouterr()
    hidden(running, told, caplog.text, printed.out, printed.err)


def test_the_same_lead_again_after_a_crash_arrives_once(running: Running) -> None:
    one = running.lead()
    first = running.send(one)
    arrived = running.contract.arrived()
    second = running.send(one, uncertain=True)
    if running.contract.writes_once:
        assert second == first
        assert running.contract.arrived() == arrived


def test_a_replay_of_what_arrived_is_no_failure(running: Running) -> None:
    one = running.lead()
    first = running.send(one)
    arrived = running.contract.arrived()
    running.send(one, remote_id=first, replayed=True)
    if running.contract.writes_once:
        assert running.contract.arrived() == arrived


@pytest.mark.parametrize("wire", list(Wire))
def test_a_failure_is_told_and_the_next_attempt_succeeds(
    running: Running, wire: Wire, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    contract = running.contract
    if wire not in contract.outcomes:
        pytest.skip("cannot be met there")
    one = running.lead()
    arrived = contract.arrived()
    contract.answer(wire)
    with caplog.at_level("DEBUG", "leads"):
        failure = running.failure(one)
    assert isinstance(failure, contract.outcomes[wire])
    assert failure.cause
    assert failure.remedy
    assert contract.arrived() == arrived
    assert failure.retry_after == (120 if wire in contract.says_how_long else None)
    printed = capsys.readouterr()
    hidden(
        running, failure.cause, failure.remedy, str(failure), failure.remote_id, caplog.text, printed.out, printed.err
    )
    contract.reset()
    running.send(one, remote_id=failure.remote_id, uncertain=failure.unanswered)
    assert contract.arrived() > arrived


def test_an_attempt_ends_with_its_deadline(running: Running) -> None:
    if not running.contract.outcomes:
        pytest.skip("asks nobody")
    before = running.contract.arrived()
    over = Deadline(10, lambda: 11)
    assert isinstance(running.failure(running.lead(), deadline=over), Transient)
    assert running.contract.arrived() == before


def test_later_steps_of_a_customer_arrive(running: Running) -> None:
    first = running.lead()
    told = running.send(first)
    for action, stage in (("StartTestDrive", Stage.TRIAL), ("DNC", Stage.DO_NOT_CONTACT), ("NEW", Stage.UNKNOWN)):
        event = f"{next(NUMBERS):016x}"
        later = replace(
            first,
            id=f"{first.customer}-{event}",
            action=action,
            stage=stage,
            do_not_contact=stage == Stage.DO_NOT_CONTACT,
        )
        before = running.contract.arrived()
        earlier = (Earlier(first, State.DELIVERED, told),)
        if running.module.KIND == Kind.CUSTOMER:
            with pytest.raises(Skip):
                running.send(later, earlier=earlier)
            assert running.contract.arrived() == before, "once for a customer and offer"
        else:
            running.send(later, earlier=earlier)
            assert (running.contract.arrived() > before) is running.contract.keeps


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_arrive(running: Running, value: str) -> None:
    contact = Contact(**{part.name: value for part in fields(Contact)})
    hostile = running.lead(
        source=value,
        action=value,
        offer=value,
        offer_title=value,
        contact=contact,
        message=value,
        campaign={value: value},
        extra={value: value, "nested": {"a": [1, None, value]}},
        issues=(value,),
    )
    running.arrives(hostile)
    running.arrives(replace(hostile, id=running.lead().id, contact=replace(contact, email=PERSON.email)))


def test_every_sample_arrives(running: Running) -> None:
    found = samples()
    assert len(found) >= 10
    for sample in found:
        running.arrives(replace(sample, id=running.lead().id))


def test_a_lead_without_anything_arrives(running: Running) -> None:
    empty = running.lead(
        source="", action="", offer="", offer_title="", stage=Stage.UNKNOWN, contact=Contact(), message=""
    )
    running.arrives(replace(empty, contact_withheld=True))


def test_a_preview_tells_what_would_be_written_and_writes_nothing(running: Running) -> None:
    show = running.module.preview
    before = running.contract.arrived()
    step = Step(NOW, Deadline(0, lambda: 1))
    shown = show(running.lead(), step, running.settings)
    assert "Augusta" in shown or not running.contract.keeps
    for secret in running.contract.secrets:
        assert secret not in shown
    for value in HOSTILE:
        assert show(
            running.lead(message=value, source=value, contact=replace(PERSON, first_name=value)), step, running.settings
        )
    assert running.contract.arrived() == before


def test_every_setting_is_declared_and_what_is_secret_is_marked(running: Running) -> None:
    declared = {setting.name: setting for setting in running.module.SETTINGS}
    for name, value in running.contract.environ.items():
        if name.startswith(f"{running.contract.name.upper()}_"):
            assert name in declared
            if any(secret in value for secret in running.contract.secrets if len(secret) > 4):
                assert declared[name].secret, name


def test_what_a_module_may_have_takes_what_the_contract_says(running: Running) -> None:
    known = {
        "check": ["settings", "deadline"],
        "preview": ["lead", "step", "settings"],
        "record_url": ["lead", "known", "settings"],
        "summary": ["leads", "total", "name", "deadline", "settings"],
        "alert": ["alert", "deadline", "settings"],
        "erase": ["lead_id", "remote_id", "deadline", "settings"],
    }
    for name, parameters in known.items():
        function = getattr(running.module, name, None)
        if function is not None:
            assert list(inspect.signature(function).parameters) == parameters, name


def summing_up(running: Running) -> Callable[..., None]:
    """The destination's summary, of a notification."""
    if running.module.KIND != Kind.NOTIFICATION:
        assert not hasattr(running.module, "summary")
        pytest.skip("only notifications have a summary")

    def summary(leads: list[Lead], total: int, **more: Any) -> None:
        deadline = more.get("deadline") or Deadline.after(20)
        running.module.summary(leads, total, f"{running.contract.name} 2026-11-03T16:15", deadline, running.settings)

    return summary


def test_many_leads_become_one_message_and_a_repeated_one_is_no_failure(
    running: Running, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = summing_up(running)
    before = running.contract.arrived()
    with caplog.at_level("DEBUG", "leads"):
        for times in (1, 2):
            summary([running.lead()] * 200, 1234)
            assert running.contract.arrived() == before + times * running.contract.keeps
    printed = capsys.readouterr()
    hidden(running, caplog.text, printed.out, printed.err)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_summary_of_hostile_leads_arrives(running: Running, value: str) -> None:
    summary = summing_up(running)
    before = running.contract.arrived()
    contact = Contact(**{part.name: value for part in fields(Contact)})
    hostile = running.lead(offer=value, offer_title=value, action=value, source=value, contact=contact)
    summary([hostile] * 200, 200)
    assert running.contract.arrived() == before + running.contract.keeps


def test_a_summary_that_fails_says_so(running: Running) -> None:
    summary = summing_up(running)
    for wire in running.contract.outcomes:
        running.contract.answer(wire)
        with pytest.raises(running.contract.outcomes[wire]):
            summary([running.lead()], 1)
        running.contract.reset()
    if running.contract.outcomes:
        with pytest.raises(Transient):
            summary([running.lead()], 1, deadline=Deadline(10, lambda: 11))
