"""One record per customer and offer, whatever the order, whatever fails, whatever people do in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dev.standins.salesforce import StandIn
from leads.contract import Earlier, Step
from leads.destinations import salesforce
from leads.destinations.salesforce import mapping
from leads.errors import Failure
from leads.lead import Contact, Lead, State
from leads.transport import Deadline
from tests.destinations import salesforce_leads as given_leads
from tests.destinations.dynamics_leads import NOW, lead

FLAGS = {*mapping.OPT_OUT, "Status", "Description", "Company", "LastName"}


@dataclass
class Case:
    """A lead with what is stored of its delivery."""

    lead: Lead
    remote_id: str = ""
    state: State = State.OPEN
    replayed: bool = False
    uncertain: bool = False


@dataclass
class World:
    """Delivery as the app does it, around the real destination and the stand-in."""

    org: StandIn
    told: salesforce.Settings
    cases: list[Case] = field(default_factory=list)

    def arrive(self, action: str, offer: str) -> None:
        self.cases.append(Case(lead(action, event=len(self.cases), offer=offer, offer_title="")))

    def attempt(self, case: Case, *, crash: bool = False) -> None:
        others = [Earlier(one.lead, one.state, one.remote_id) for one in self.cases]
        number = self.cases.index(case)
        step = Step(
            NOW,
            Deadline.after(30),
            tuple(others[:number]),
            tuple(others[number + 1 :]),
            case.remote_id,
            case.replayed,
            case.uncertain,
        )
        before = self.rows()
        try:
            told = salesforce.send(case.lead, step, self.told)
        except Failure as failure:
            case.remote_id = failure.remote_id or case.remote_id
            case.uncertain |= failure.unanswered
            return
        finally:
            self.check_that_people_keep_their_work(before, case.lead)
        if crash:
            case.uncertain = True
        else:
            case.state, case.remote_id, case.uncertain = State.DELIVERED, told, False

    def rows(self) -> dict[str, dict[str, Any]]:
        return {id_: dict(row) for table in self.org.org.tables.values() for id_, row in table.items()}

    def check_that_people_keep_their_work(self, before: dict[str, dict[str, Any]], one: Lead) -> None:
        """Of what was there, only the empty is filled, and a rating raised; by a lead that may."""
        after = self.rows()
        for id_, row in before.items():
            for name in {name for name in after[id_] if after[id_][name] != row.get(name)} - {"LastModifiedDate"}:
                assert not one.do_not_contact
                assert name not in FLAGS
                assert not row["IsDeleted"]
                assert not row.get(name) or name == "Rating"
                if name == "Rating":
                    assert mapping.ORDER.index(after[id_][name]) > mapping.ORDER.index(row.get(name) or "")


ACTIONS = st.sampled_from(["PLT", "INS", "StartTestDrive", "DNC", "NEW"])
EVENTS = st.one_of(
    st.tuples(st.just("arrive"), ACTIONS, st.sampled_from(["contoso.a", "contoso.b"])),
    st.tuples(st.just("deliver"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("replay"), st.integers(0, 9)),
    st.tuples(st.sampled_from(["convert", "delete", "close", "merge"]), st.integers(0, 9)),
    st.tuples(st.just("edit"), st.integers(0, 9), st.sampled_from(["Hot", "Warm", "Cold", None])),
    st.tuples(st.just("fail"), st.sampled_from(["lost", "refused", "throttled"]), st.sampled_from(["Lead", "Task"])),
)


def play(world: World, events: list[tuple[Any, ...]]) -> None:
    org = world.org.org
    for event in events:
        open_ones = sorted(id_ for id_, row in org.live("Lead").items() if not row["IsConverted"])
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
                    before = set(world.rows())
                    case.replayed = True
                    world.attempt(case)
                    assert set(world.rows()) == before
            case ("convert", number) if open_ones:
                org.convert(open_ones[number % len(open_ones)])
            case ("close", number) if open_ones:
                org.edit("Lead", open_ones[number % len(open_ones)], Status="Closed - Not Converted")
            case ("delete", number) if open_ones:
                org.delete(open_ones[number % len(open_ones)])
            case ("merge", number) if open_ones:
                org.merge(org.insert("Lead", {"LastName": "S", "Company": "C"}), open_ones[number % len(open_ones)])
            case ("edit", number, rating) if open_ones:
                org.edit("Lead", open_ones[number % len(open_ones)], Rating=rating, Title="typed")
            case ("fail", "lost", path):
                world.org.fail(close=True, do_the_work_first=True, path=f"sobjects/{path}")
            case ("fail", "refused", path):
                world.org.fail(503, path=f"sobjects/{path}")
            case ("fail", "throttled", path):
                world.org.fail(403, "REQUEST_LIMIT_EXCEEDED", path=f"sobjects/{path}")


def finish(world: World) -> None:
    """Nothing fails any more, and every delivery is tried until it is over."""
    world.org._server.failures.clear()
    for case in world.cases:
        if case.state == State.OPEN:
            world.attempt(case)
        assert case.state == State.DELIVERED


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENTS, max_size=25), st.booleans())
def test_at_most_one_record_and_every_lead_arrives_once(
    org: StandIn, events: list[tuple[Any, ...]], bin_blocks: bool
) -> None:
    org.reset()
    org.org.bin_blocks = bin_blocks
    world = World(org, given_leads.settings(org))
    play(world, events)
    finish(world)

    for offer in ("contoso.a", "contoso.b"):
        stem = mapping.key_stem(lead(offer=offer))
        mine = [row for row in org.leads.values() if str(row.get("MarketplaceLeadKey__c")).startswith(stem)]
        assert len(mine) <= 1
    tasks = [row["MarketplaceStepKey__c"] for row in org.org.tables["Task"].values()]
    assert len(tasks) == len(set(tasks)) <= len(world.cases)
    for case in world.cases:
        assert case.remote_id in world.rows()
        if case.remote_id in {*org.leads, *org.org.live("Contact")}:
            assert case.lead.id in tasks, "a step that is called delivered stands on its record"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(ACTIONS, min_size=1, max_size=5),
    st.lists(st.tuples(st.sampled_from(["lost", "refused", "throttled"]), st.just(".")), max_size=5),
    st.randoms(use_true_random=False),
)
def test_in_any_order_the_rating_is_the_best_and_each_lead_has_one_task(
    org: StandIn, actions: list[str], failures: list[tuple[str, str]], random: Any
) -> None:
    org.reset()
    world = World(org, given_leads.settings(org))
    for action in actions:
        world.arrive(action, "contoso.a")
    play(world, [("fail", *failure) for failure in failures])
    order = world.cases * 3
    random.shuffle(order)
    best = ""
    for case in order:
        if case.state == State.OPEN:
            world.attempt(case, crash=random.random() < 0.2)
        for row in org.leads.values():
            assert mapping.ORDER.index(row.get("Rating") or "") >= mapping.ORDER.index(best)
            best = row.get("Rating") or ""
    finish(world)
    (row,) = org.leads.values()
    wanted = [mapping.RATING.get(case.lead.stage, "") for case in world.cases if not case.lead.do_not_contact]
    highest = max(wanted, key=mapping.ORDER.index, default="")
    assert mapping.ORDER.index(row.get("Rating") or "") >= mapping.ORDER.index(highest)
    assert len(org.tasks) == len(actions)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_written(org: StandIn, email: str, offer: str, words: str) -> None:
    org.reset()
    one = lead(offer=offer, contact=Contact(email=f"{email}@{words}"), message=words, extra={email: words})
    told = given_leads.settings(org, fields='{"City": "lead.contact.email"}')
    id_ = salesforce.send(one, given_leads.step(), told)
    assert salesforce.send(one, given_leads.step(uncertain=True), told) == id_
    assert (len(org.leads), len(org.tasks)) == (1, 1)
