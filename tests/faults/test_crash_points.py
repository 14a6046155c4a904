"""A crash before and after every call that leaves the process, and at pairs of the calls that change anything.

`--one-of 1` plays all of them, as `make soak` does. `make test` plays all crashes after a call, which leave the store
as those before the next call do, and one of five of the others and of the pairs.
Between two calls nothing outlives the process, so a crash anywhere else is one of these.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from dev.standins.server import Request
from leads.errors import Transient
from leads.intake import accept
from leads.lead import State
from leads.operate import replay
from leads.transport import Response
from tests.faults.harness import (
    CRMS,
    DYNAMICS,
    HUBSPOT,
    KEYLESS,
    WRITES,
    Crash,
    Crm,
    FaultWorld,
    fault_world,
    no_answer,
)
from tests.world import PERSON, post, row

NOBODY = post(userDetails={"country": "US"})
Scenario = Callable[[FaultWorld], None]
accepted: dict[str, bytes] = {}


def receive(w: FaultWorld, body: bytes) -> None:
    """POST a lead; what was answered with 202 is promised."""
    receipt = w.run(lambda: accept.receive(w.app, body, w.clock))
    if receipt:
        accepted[receipt.id] = body


def one_post(w: FaultWorld) -> None:
    """A lead by HTTPS, which the marketplace sends again when it got no answer."""
    receive(w, post())
    if not accepted:
        receive(w, post())
    w.deliver_visible()


def two_steps(w: FaultWorld) -> None:
    """Two steps of one customer for one offer."""
    receive(w, post(actionCode="INS"))
    receive(w, post(actionCode="PLT"))
    w.deliver_visible()
    w.sweep()


def two_rows(w: FaultWorld) -> None:
    """Two rows of the watched table, and one from before the app."""
    w.inbox.tables["MarketplaceLeads"] = [
        row("a", w.now),
        row("b", w.now),
        row("old", w.now - timedelta(days=30)),
    ]
    w.watch()
    w.deliver_visible()


def a_retry(w: FaultWorld) -> None:
    """A CRM that refuses twice, after it did the work the first time."""
    troubles = iter([True, False])

    def wire(request: object) -> Response:
        done = next(troubles, None)
        if done is None:
            return w.answer(request)  # type: ignore[arg-type]
        if done:
            w.answer(request)  # type: ignore[arg-type]
        # 503 says that it was not even begun.
        return Response(500 if done else 503, {}, b"<html>Out of order</html>")

    w.wire = wire
    receive(w, post())
    w.deliver_visible()


def a_look_that_fails(w: FaultWorld) -> None:
    """A CRM that does the work and gives no answer, and then cannot be asked what became of it; replayed once dead."""
    statuses = iter([0, 503, 400])

    def wire(request: Request) -> Response:
        status = next(statuses, 400)
        if not status:
            w.answer(request)
            no_answer()
        return Response(status, {}, json.dumps(w.kind.refusal).encode())

    w.wire = wire
    receive(w, post())
    w.settle(timedelta(minutes=45))
    w.wire = w.answer
    for lead_id in {delivery.lead_id for delivery in w.deliveries()}:
        while not w.run(lambda: (replay.replay(w.app, lead_id, w.kind.name, w.clock), True)[1]):  # noqa: B023
            pass
    w.deliver_visible()


def our_own_bug(w: FaultWorld) -> None:
    """The CRM has done the work, and then ours raises, until the host gives the message up and `recover` takes it."""
    troubles = iter([True] * 5)

    def wire(request: Request) -> Response:
        answer = w.answer(request)
        if next(troubles, False):
            raise KeyError("a bug of ours")
        return answer

    w.wire = wire
    receive(w, post())
    for _ in range(6):
        w.deliver_visible()
        w.now += timedelta(minutes=2)


def given_up(w: FaultWorld) -> None:
    """A storage that fails four times; the fifth process is killed wherever it is, and the host gives up."""
    receive(w, post())
    for message in w.messages:
        if message.destination == w.kind.name:
            message.dequeued = 4
    w.deliver_visible()


def a_dead_one_replayed(w: FaultWorld) -> None:
    """A lead that was refused, told of, closed, and replayed once the cause was mended."""
    w.wire = lambda _: Response(400, {}, json.dumps(w.kind.refusal).encode())
    receive(w, post())
    w.settle(timedelta(hours=3))
    w.wire = w.answer
    for lead_id in {delivery.lead_id for delivery in w.deliveries()}:
        # An operator whose command broke off gives it again, and a cautious one gives it twice.
        for _ in range(2):
            while not w.run(lambda: (replay.replay(w.app, lead_id, None, w.clock), True)[1]):  # noqa: B023
                pass
    w.deliver_visible()


def a_replay_of_one_that_waits(w: FaultWorld) -> None:
    """Only the CRM's delivery died and the notification waits, so that the lead is open when it is replayed."""
    w.wire = lambda _: Response(400, {}, json.dumps(w.kind.refusal).encode())
    troubles = iter([True, True])

    def fail() -> None:
        if next(troubles, False):
            raise Transient("It is away.", "It is tried again.")

    w.pager.fail = fail
    receive(w, post())
    w.deliver_visible()
    w.sweep()
    w.wire = w.answer
    for delivery in w.deliveries():
        if delivery.state == State.DEAD:
            while not w.run(lambda: (replay.replay(w.app, delivery.lead_id, w.kind.name, w.clock), True)[1]):  # noqa: B023
                pass
    w.sweep()
    w.deliver_visible()


def lost_messages(w: FaultWorld) -> None:
    """A queue that an operator emptied."""
    receive(w, post())
    w.messages.clear()
    w.now += timedelta(minutes=3)
    w.sweep()


def nobody_twice(w: FaultWorld) -> None:
    """Two customers whose contact data is withheld, with the very same bytes, a day apart."""
    for _ in range(2):
        known = len(accepted)
        while len(accepted) == known:
            receive(w, NOBODY)
        w.deliver_visible()
        w.now += timedelta(hours=24)


def a_lost_key(w: FaultWorld) -> None:
    """A POST that was refused because the id key was lost, and the key that an operator restored."""
    while not accepted:
        receive(w, post())
    key = w.store.get("state", "state", "id-key")
    assert key
    while not w.store.containers.get("quarantine"):
        w.store.delete("state", "state", "id-key")
        w.app = w.process()
        receive(w, post(userDetails=PERSON | {"email": "another@contoso.com"}))
        w.store.upsert("state", key)
        w.app = w.process()


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        one_post,
        two_steps,
        two_rows,
        a_retry,
        a_look_that_fails,
        our_own_bug,
        given_up,
        a_dead_one_replayed,
        a_replay_of_one_that_waits,
        lost_messages,
        nobody_twice,
        a_lost_key,
    )
}


def crashing(w: FaultWorld, at: tuple[int, ...], *, only_writes: bool, after: bool = False) -> list[str]:
    """Crash at the calls of these numbers; the list fills with the names of all calls."""
    calls: list[str] = []

    def hook(point: str, when: str) -> None:
        name = point.partition(".")[2]
        if only_writes and name not in WRITES and not point.startswith(("wire.PATCH", "wire.POST", "pager")):
            return
        if when == "before":
            calls.append(point)
        if len(calls) - 1 in at and (when == "after") is after:
            raise Crash

    w.hook = hook
    return calls


def play(
    scenario: Scenario,
    at: tuple[int, ...] = (),
    *,
    only_writes: bool = False,
    after: bool = False,
    kind: Crm = DYNAMICS,
) -> list[str]:
    """Play a scenario with crashes, let it settle, and check every promise. Returns the calls made."""
    accepted.clear()
    with fault_world(kind) as w:
        calls = crashing(w, at, only_writes=only_writes, after=after)
        scenario(w)
        w.settle()
        w.hook = lambda *_: None
        w.check(accepted)
        w.check_counts()
        delivered = [d for d in w.deliveries() if d.destination == kind.name and d.state == State.DELIVERED]
        assert len(delivered) == len(w.deliveries()) / len(kind.names), "every lead reached the CRM in the end"
        customers = {d.lead_id[:16] for d in delivered}
        w.check_crm(records=len(customers))
        w.check_pagers()
        if scenario in (two_rows, nobody_twice, a_lost_key):
            assert len(customers) == 2
    return calls


@pytest.fixture
def one_of(pytestconfig: pytest.Config) -> int:
    """Of how many crashes one is played, where not all are."""
    found: int = pytestconfig.getoption("--one-of")
    return found


AT_THE_CRM = (two_steps, a_retry, a_look_that_fails, our_own_bug)
"""The scenarios in which another CRM makes a difference."""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (name, kind)
        for name, scenario in SCENARIOS.items()
        for kind in CRMS
        if kind is not HUBSPOT or scenario in AT_THE_CRM
    ],
    ids=lambda each: each if isinstance(each, str) else each.name,
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_call_loses_and_doubles_nothing(name: str, after: bool, kind: Crm, one_of: int) -> None:
    calls = play(SCENARIOS[name], kind=kind)
    for at in range(0, len(calls), 1 if after else one_of):
        try:
            play(SCENARIOS[name], (at,), after=after, kind=kind)
        except AssertionError as error:
            raise AssertionError(
                f"{name}, {'after' if after else 'before'} call {at} ({calls[at]}): {error}"
            ) from error


@pytest.mark.parametrize(
    ("name", "kind"),
    # A CRM whose writes can be repeated forgives more, so one of them for one scenario is enough.
    [*((name, KEYLESS) for name in SCENARIOS), ("a_retry", DYNAMICS)],
    ids=lambda each: each if isinstance(each, str) else each.name,
)
def test_a_crash_at_any_two_changes_loses_and_doubles_nothing(name: str, kind: Crm, one_of: int) -> None:
    pairs = 0
    for first, second in _pairs(SCENARIOS[name], kind):
        pairs += 1
        if (first + second) % one_of:
            continue
        try:
            play(SCENARIOS[name], (first, second), only_writes=True, kind=kind)
        except AssertionError as error:
            raise AssertionError(f"{name}, before changes {first} and {second}: {error}") from error
    assert pairs > 50


def _pairs(scenario: Scenario, kind: Crm) -> Iterator[tuple[int, int]]:
    """All pairs of changes: the second one is counted in the run that the first crash leads to."""
    for first in range(len(play(scenario, only_writes=True, kind=kind))):
        for second in range(first + 1, len(play(scenario, (first,), only_writes=True, kind=kind))):
            yield first, second


def rerouted(at: tuple[int, ...], *, after: bool = False) -> tuple[list[str], str]:
    """Change the routes between intake and delivery, with crashes. Returns the calls, and where the lead went."""
    accepted.clear()
    with fault_world(DYNAMICS, {"LEADS_ROUTES": "> dynamics"}) as w:
        calls = crashing(w, at, only_writes=False, after=after)
        receive(w, post())
        stored = [delivery.destination for delivery in w.deliveries()]
        w.environ["LEADS_ROUTES"] = "> pager"
        w.app = w.process()
        if not accepted:
            receive(w, post())
        w.deliver_visible()
        w.settle()
        w.hook = lambda *_: None
        (chosen,) = stored or ["pager"]
        w.check(accepted, [chosen])
        (one,) = w.deliveries()
        assert (one.destination, one.state) == (chosen, State.DELIVERED)
        case = w.app.ledger.case(one.lead_id)
        assert case
        assert case.lead.route == f"1: > {chosen}", "it says which route decided"
        w.check_crm(records=chosen == "dynamics")
        assert bool(w.pager.sent) is (chosen == "pager")
    return calls, chosen


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_beside_a_change_of_the_routes_decides_once(after: bool) -> None:
    calls, _ = rerouted(())
    went = set()
    for at in range(len(calls)):
        try:
            went.add(rerouted((at,), after=after)[1])
        except AssertionError as error:
            raise AssertionError(f"{'after' if after else 'before'} call {at} ({calls[at]}): {error}") from error
    assert went == {"dynamics", "pager"}, "what was redone before it was decided went by the routes of then"


def test_a_hostile_person_is_in_no_log() -> None:
    """The harness searches logs, messages and causes of every run above; it must be able to find something."""
    with pytest.raises(AssertionError, match="personal data"), fault_world() as w:
        w.broken.append(f"KeyError: {PERSON['email']}")


def purged(at: tuple[int, ...], *, after: bool = False) -> list[str]:
    """Let the retention of a lead end, with crashes; the same POST comes again afterwards."""
    with fault_world() as w:
        receive(w, post())
        w.settle()
        arrived = w.now
        w.now += timedelta(days=400)
        calls = crashing(w, at, only_writes=False, after=after)
        w.sweep()
        w.hook = lambda *_: None
        w.settle(timedelta(days=3), at_least=timedelta(hours=30))
        assert w.store.tables["leads"] == {}
        assert w.store.containers["raw"] == {}
        assert w.store.tables["journal"] == {}
        w.run(lambda: accept.receive(w.app, post(), arrived))
        w.settle()
        assert w.store.tables["leads"] == {}, "an event is never accepted again"
        assert w.store.containers["raw"] == {}
    return calls


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_in_purge_leaves_nothing_of_the_customer_behind(after: bool, one_of: int) -> None:
    calls = purged(())
    for at in range(0, len(calls), 1 if after else one_of):
        purged((at,), after=after)
        for second in range(at + 1, len(calls), 17):
            purged((at, second), after=after)
