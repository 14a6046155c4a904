"""One record per customer and offer, whatever the order, whatever fails, whatever people do in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dev.standins.dynamics import StandIn
from leads.contract import Earlier, Step
from leads.destinations import dynamics
from leads.destinations.dynamics import mapping
from leads.errors import Failure
from leads.lead import Contact, Lead, State
from leads.transport import Deadline
from tests.destinations import dynamics_leads as given_leads
from tests.destinations.dynamics_leads import NOW, lead

RANK = {1: 3, 2: 2, 3: 1, None: 0}


@dataclass
class Case:
    """A lead with what is stored of its delivery."""

    lead: Lead
    remote_id: str = ""
    state: State = State.OPEN
    replayed: bool = False


@dataclass
class World:
    """Delivery as the app does it, around the real destination and the stand-in."""

    crm: StandIn
    told: dynamics.Settings
    cases: list[Case] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    now: datetime = NOW

    def arrive(self, action: str, offer: str) -> None:
        self.cases.append(Case(lead(action, event=len(self.cases), offer=offer, offer_title="")))

    def attempt(self, case: Case, *, crash: bool = False) -> None:
        others = [Earlier(one.lead, one.state, one.remote_id) for one in self.cases]
        number = self.cases.index(case)
        deadline = Deadline.after(30)
        earlier, later = tuple(others[:number]), tuple(others[number + 1 :])
        step = Step(self.now, deadline, earlier, later, case.remote_id, case.replayed)
        before = {key: dict(row) for table in self.tables for key, row in table.items()}
        try:
            told = dynamics.send(case.lead, step, self.told)
        except Failure as failure:
            case.remote_id = failure.remote_id or case.remote_id
            return
        finally:
            self.check_that_people_keep_their_work(before, case.lead)
        if not crash:
            case.state, case.remote_id = State.DELIVERED, told

    @property
    def tables(self) -> tuple[dict[str, dict[str, Any]], ...]:
        return self.crm.leads, self.crm.notes, self.crm.tasks

    def check_that_people_keep_their_work(self, before: dict[str, dict[str, Any]], one: Lead) -> None:
        """Nothing that was there is changed but a rating, upwards, by a lead that may."""
        after = {key: row for table in self.tables for key, row in table.items()}
        for key, row in before.items():
            changed = {name for name in after[key] if after[key][name] != row.get(name)}
            assert changed <= {"leadqualitycode", "versionnumber", "modifiedon"}
            if changed:
                assert not one.do_not_contact
                assert RANK[after[key]["leadqualitycode"]] > RANK[row.get("leadqualitycode")]

    def delete(self, guid: str) -> None:
        self.crm.delete("leads", guid)
        self.deleted.add(guid)


ACTIONS = st.sampled_from(["PLT", "INS", "StartTestDrive", "DNC", "NEW"])
EVENTS = st.one_of(
    st.tuples(st.just("arrive"), ACTIONS, st.sampled_from(["contoso.a", "contoso.b"])),
    st.tuples(st.just("deliver"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("replay"), st.integers(0, 9)),
    st.tuples(st.just("close"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("edit"), st.integers(0, 9), st.sampled_from([1, 2, 3, None])),
    st.tuples(
        st.just("fail"),
        st.sampled_from(["lost", "refused", "throttled"]),
        st.sampled_from([r"leads\(", "annotations", "tasks"]),
    ),
)


def play(world: World, events: list[tuple[Any, ...]]) -> None:
    crm = world.crm
    for event in events:
        match event:
            case ("arrive", action, offer):
                world.arrive(action, offer)
            case ("deliver", number, crash) if world.cases:
                case = world.cases[number % len(world.cases)]
                if case.state == State.OPEN:
                    world.attempt(case, crash=crash)
            case ("replay", number) if world.cases:
                case = world.cases[number % len(world.cases)]
                if case.state == State.DELIVERED:
                    before = set(crm.leads)
                    case.replayed = True
                    world.attempt(case)
                    assert set(crm.leads) == before
            case ("close", number, qualified) if crm.leads:
                crm.close_lead(sorted(crm.leads)[number % len(crm.leads)], qualified=qualified)
            case ("delete", number) if crm.leads:
                world.delete(sorted(crm.leads)[number % len(crm.leads)])
            case ("edit", number, rating) if crm.leads:
                row = crm.leads[sorted(crm.leads)[number % len(crm.leads)]]
                row |= {"leadqualitycode": rating, "subject": "typed", "versionnumber": row["versionnumber"] + 1000}
            case ("fail", "lost", path):
                crm.fail(close=True, do_the_work_first=True, path=path)
            case ("fail", "refused", path):
                crm.fail(503, path=path)
            case ("fail", "throttled", path):
                crm.throttle()


def finish(world: World) -> None:
    """Nothing fails any more, and every delivery is tried until it is over."""
    world.crm._server.failures.clear()
    for case in world.cases:
        if case.state == State.OPEN:
            world.attempt(case)
        assert case.state == State.DELIVERED


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENTS, max_size=25))
def test_at_most_one_open_record_and_every_lead_arrives(crm: StandIn, events: list[tuple[Any, ...]]) -> None:
    crm.reset()
    given_leads.oauth_forgets()
    world = World(crm, given_leads.settings(crm, follow_up="task"))
    play(world, events)
    finish(world)

    for offer in ("contoso.a", "contoso.b"):
        mine = [guid for number in range(20) if (guid := dynamics.record_id(lead(offer=offer), number)) in crm.leads]
        open_ones = [guid for guid in mine if not crm.leads[guid]["statecode"]]
        assert len(open_ones) <= 1
    for case in world.cases:
        assert case.remote_id in crm.leads or case.remote_id in world.deleted
    notes = [row["_objectid_value"] for row in crm.notes.values()]
    assert len(notes) <= len(world.cases)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(ACTIONS, min_size=1, max_size=5),
    st.lists(st.tuples(st.sampled_from(["lost", "refused", "throttled"]), st.just(".")), max_size=5),
    st.randoms(use_true_random=False),
)
def test_in_any_order_the_rating_is_the_best_and_each_lead_has_one_note(
    crm: StandIn, actions: list[str], failures: list[tuple[str, str]], random: Any
) -> None:
    crm.reset()
    given_leads.oauth_forgets()
    world = World(crm, given_leads.settings(crm))
    for action in actions:
        world.arrive(action, "contoso.a")
    play(world, [("fail", *failure) for failure in failures])
    order = world.cases * 3
    random.shuffle(order)
    best = 0
    for case in order:
        if case.state == State.OPEN:
            world.attempt(case, crash=random.random() < 0.2)
        for row in crm.leads.values():
            assert RANK[row.get("leadqualitycode")] >= best
            best = RANK[row.get("leadqualitycode")]
    finish(world)
    (row,) = crm.leads.values()
    first = next(call for call in crm.api_calls if call.method == "PATCH" and "leads(" in call.path)
    assert first.headers["if-none-match"] == "*"
    steps = [case.lead.stage for case in world.cases if not case.lead.do_not_contact]
    wanted = max((RANK[code] for stage in steps for code in [mapping.RATING.get(stage)]), default=0)
    assert RANK[row.get("leadqualitycode")] >= wanted
    assert len(crm.notes) == len(actions)


def test_two_processes_at_the_same_time(crm: StandIn) -> None:
    """Both look, both make: one is told that the record is there, and uses it."""
    from concurrent.futures import ThreadPoolExecutor

    told = given_leads.settings(crm, follow_up="task")
    made = [lead(action, event=number) for number, action in enumerate(["PLT", "INS", "StartTestDrive", "DNC"] * 5)]
    with ThreadPoolExecutor(8) as pool:
        guids = list(pool.map(lambda one: dynamics.send(one, given_leads.step(), told), made))
    assert set(guids) == set(crm.leads)
    assert len(crm.leads) == 1
    assert len(crm.notes) == len(made)
    assert next(iter(crm.leads.values()))["leadqualitycode"] == 1


def test_a_step_that_was_stuck_while_later_ones_passed(crm: StandIn) -> None:
    world = World(crm, given_leads.settings(crm))
    for action in ("INS", "PLT", "StartTestDrive"):
        world.arrive(action, "contoso.a")
    world.attempt(world.cases[1])
    world.attempt(world.cases[2])
    crm.close_lead(world.cases[1].remote_id)
    world.now += timedelta(days=3)
    world.attempt(world.cases[0])
    assert world.cases[0].remote_id == dynamics.record_id(world.cases[0].lead, 1)
    world.arrive("INS", "contoso.a")
    world.attempt(world.cases[3])
    assert world.cases[3].remote_id == world.cases[0].remote_id
    assert len(crm.leads) == 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_looked_for_and_written(crm: StandIn, email: str, offer: str, words: str) -> None:
    one = lead(offer=offer, contact=Contact(email=f"{email}@{words}"), message=words, extra={email: words})
    told = given_leads.settings(crm, match="email", fields='{"address1_city": "lead.contact.email"}')
    guid = dynamics.send(one, given_leads.step(), told)
    assert dynamics.send(one, given_leads.step(), told) == guid
