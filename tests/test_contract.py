"""The contract of destinations in the app's own hands: kinds, instances, Skip, uncertain; with toys as far ends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from leads import delivery, enabled, problems
from leads.contract import RULES, Flood, Kind
from leads.errors import Misconfigured, Rejected, Transient
from leads.intake import accept
from leads.lead import Delivery, Mark, Outcome, State
from leads.messages.alert import compose
from leads.messages.notification import plain_voice
from leads.operate import health, operations, replay
from leads.reader import Problem
from leads.store.doorbell import message, read
from tests.destinations.toys import Toy
from tests.world import PERSON, Pager, World, failing, post, world

ROOT = Path(__file__).parent.parent


@contextmanager
def toy_world(kind: Kind = Kind.CRM, names: str = "toy", **environ: str) -> Iterator[tuple[World, Toy]]:
    toy = Toy(kind)
    given = {"LEADS_DESTINATIONS": names, "TOY_SHELF": "ground", **environ}
    with world(environ=given, toy=toy) as w:  # type: ignore[arg-type]
        yield w, toy


def stored(w: World, name: str = "toy") -> Delivery:
    (lead_id,) = w.ids()
    found = w.app.ledger.delivery(lead_id, name)
    assert found
    return found


class TestKinds:
    @pytest.mark.parametrize("kind", list(Kind))
    def test_the_documented_table_is_the_code(self, kind: Kind) -> None:
        guide = (ROOT / "docs/adding-a-destination.md").read_text()
        rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", guide, re.MULTILINE)
        cells = [cell.strip() for cell in dict(rows)[kind.value].split("|")]
        rules = RULES[kind]
        said = {"no": False, "yes": True}
        tests = {"never": frozenset(), "`notify`, `deliver`": {"notify", "deliver"}, "`deliver`": {"deliver"}}
        floods = {"each lead": Flood.DELIVERED, "a summary": Flood.SUMMED_UP, "skipped": Flood.SKIPPED}
        assert set(tests[cells[0]]) == set(rules.tests)
        assert said[cells[1]] is rules.old
        assert said[cells[2]] is rules.replayed_old
        assert said[cells[3]] is rules.replayed
        assert floods[cells[4]] == rules.flood
        assert said[cells[5]] is rules.unnamed
        assert said[cells[6]] is rules.one_at_a_time

    @pytest.mark.parametrize("policy", ["notify", "deliver", "ignore"])
    @pytest.mark.parametrize("kind", list(Kind))
    def test_test_leads(self, kind: Kind, policy: str) -> None:
        with toy_world(kind, LEADS_TEST_LEADS=policy) as (w, toy):
            body = post(userDetails=PERSON | {"firstName": "MSFT_TEST_636573304831318844"})
            accept.receive(w.app, body, w.now)
            w.drain()
            gets = policy in RULES[kind].tests
            assert w.states() == {"toy": "delivered" if gets else "skipped"}
            assert bool(toy.shelves.get("ground")) is gets

    @pytest.mark.parametrize("kind", list(Kind))
    def test_a_replay(self, kind: Kind) -> None:
        with toy_world(kind) as (w, toy):
            receipt = accept.receive(w.app, post(), w.now)
            w.drain()
            assert w.states() == {"toy": "delivered"}
            replay.replay(w.app, receipt.id, "toy", w.now)
            w.drain()
            assert w.states() == {"toy": "delivered" if RULES[kind].replayed else "skipped"}
            assert len(toy.steps) == (2 if RULES[kind].replayed else 1)


class TestInstances:
    NAMES = "toy,toy:upper,toy:lower"

    def test_each_reads_its_own_settings_and_what_may_be_shared(self) -> None:
        shelves = {"TOY_UPPER_SHELF": "upper", "TOY_LOWER_SHELF": "lower"}
        with toy_world(Kind.CRM, self.NAMES, **shelves, TOY_LABEL="all toys", TOY_LOWER_LABEL="low") as (w, toy):
            accept.receive(w.app, post(), w.now)
            w.drain()
            assert w.states() == dict.fromkeys(self.NAMES.split(","), "delivered")
            assert {shelf: len(held) for shelf, held in toy.shelves.items()} == {"ground": 1, "upper": 1, "lower": 1}
            labels = {name: enabled.read(name, w.app.environ).settings.label for name in self.NAMES.split(",")}
            assert labels == {"toy": "all toys", "toy:upper": "all toys", "toy:lower": "low"}
            assert enabled.read("toy:upper", w.app.environ).title == "Toy, upper"

    def test_what_is_each_ones_own_is_never_taken_from_another(self) -> None:
        with toy_world(names="toy,toy:upper") as (w, toy):
            accept.receive(w.app, post(), w.now)
            w.drain()
            assert w.states() == {"toy": "delivered", "toy:upper": "open"}
            last = stored(w, "toy:upper").last
            assert last
            assert last.outcome == Outcome.MISCONFIGURED
            assert "TOY_UPPER_SHELF" in last.cause
            assert list(toy.shelves) == ["ground"], "nothing went to another's shelf"
            found = problems.find(w.app.settings, w.app.environ, w.app.destinations)
            assert [problem.setting for problem in found.problems] == ["TOY_UPPER_SHELF"]

    def test_a_failure_names_the_setting_of_the_instance(self) -> None:
        with toy_world(names="toy:upper", TOY_UPPER_SHELF="upper") as (w, toy):
            toy.failures = [Misconfigured("TOY_SHELF is full.", "Put another into TOY_SHELF.")]
            accept.receive(w.app, post(), w.now)
            w.drain()
            last = stored(w, "toy:upper").last
            assert last
            assert (last.cause, last.remedy) == ("TOY_UPPER_SHELF is full.", "Put another into TOY_UPPER_SHELF.")

    def test_a_name_that_collides_with_a_setting_is_refused_with_a_reason(self) -> None:
        place = enabled.read("email:graph", {"EMAIL_GRAPH_SENDER": "leads@contoso.com"})
        assert place.problems[0].setting == "LEADS_DESTINATIONS"
        assert "EMAIL_GRAPH" in place.problems[0].cause
        assert not any(problem.setting == "LEADS_DESTINATIONS" for problem in enabled.read("email:emea", {}).problems)

    def test_one_name_everywhere(self) -> None:
        with toy_world(names="toy:upper", TOY_UPPER_SHELF="upper") as (w, _):
            receipt = accept.receive(w.app, post(), w.now)
            assert [(lead, name) for _, lead, name in w.bell.waiting] == [(receipt.id, "toy:upper")]
            assert read(message(receipt.id, "toy:upper")) == (receipt.id, "toy:upper")
            w.live(minutes=10)
            (listed,) = operations.perform(w.app, "list", {}, w.now)["leads"]
            assert listed["deliveries"] == {"toy:upper": "delivered"}
            found = operations.perform(w.app, "select", {"destination": "toy:upper", "state": "delivered"}, w.now)
            assert found["leads"] == [{"id": receipt.id, "destinations": ["toy:upper"]}]
            for table in w.store.tables.values():
                for row in table.values():
                    assert all(name.isidentifier() for name in row.values), "a property has the name of a destination"

    @pytest.mark.parametrize("name", ["toy:", ":upper", "toy:UP-PER", "toy:1", "toy:a b", "toy:upper:more", "to y"])
    def test_what_cannot_be_a_name_is_told_and_no_lead_is_lost(self, name: str) -> None:
        with toy_world(names=f"toy,{name}") as (w, toy):
            assert [problem.setting for problem in w.app.settings.problems] == ["LEADS_DESTINATIONS"]
            accept.receive(w.app, post(), w.now)
            w.live(minutes=10)
            assert len(toy.shelves["ground"]) == 1

    def test_slips_of_the_pen_are_told_with_the_nearest_name(self) -> None:
        environ = {"LEADS_DESTINATION": "x", "LEADS_LANGAUGE": "it", "TOY_UPPER_SHLEF": "x"}
        environ |= {"HTTPS_PROXY": "http://p", "https_proxy": "http://p", "leads_alerts": "x"}
        with toy_world(Kind.CRM, "toy:upper", TOY_UPPER_SHELF="upper", **environ) as (w, _):
            found = problems.find(w.app.settings, w.app.environ, w.app.destinations)
        assert {problem.setting: problem.remedy for problem in found.problems} == {
            "LEADS_DESTINATION": "Did you mean `LEADS_DESTINATIONS`?",
            "LEADS_LANGAUGE": "Did you mean `LEADS_LANGUAGE`?",
            "leads_alerts": "Did you mean `LEADS_ALERTS`?",
            "TOY_UPPER_SHLEF": "Did you mean `TOY_UPPER_SHELF`?",
        }

    def test_a_slip_in_the_name_of_a_destination(self) -> None:
        with toy_world(names="emial") as (w, _):
            (problem, *_) = problems.find(w.app.settings, w.app.environ, w.app.destinations).problems
        assert problem == Problem("LEADS_DESTINATIONS", "There is no destination 'emial'.", problem.remedy)
        assert problem.remedy.startswith("Did you mean `email`?")


class TestTitles:
    def test_people_read_titles_and_commands_have_names(self) -> None:
        pager = Pager(TITLE="Chat")
        toy = Toy(Kind.CRM, failures=[failing(Misconfigured)] * 9)
        environ = {"LEADS_DESTINATIONS": "toy:upper,pager", "TOY_UPPER_SHELF": "upper"}
        with world(environ=environ, toy=toy, pager=pager) as w:  # type: ignore[arg-type]
            accept.receive(w.app, post(), w.now)
            w.live(minutes=30)
            (alert,) = pager.alerts
            message = compose(alert, plain_voice())
            assert "Toy, upper" in message.headline
            assert "toy:upper" not in message.headline
            toy.failures = [failing(Rejected)]
            w.live(hours=4)
            dead = pager.alerts[-1]
            assert (dead.kind, dead.subject, dead.destination) == ("dead", "Toy, upper", "toy:upper")
            assert dead.command.endswith("replay --dead --destination toy:upper")

    def test_health_says_titles(self) -> None:
        with toy_world(names="toy:upper,toy:lower", TOY_UPPER_SHELF="upper") as (w, _):
            accept.receive(w.app, post(), w.now)
            w.live(minutes=30)
            causes = [reason.cause for reason in health.health(w.app, w.now).reasons]
            assert "These destinations need attention: Toy, lower." in causes

    def test_one_that_cannot_be_loaded_is_called_by_its_name(self) -> None:
        assert enabled.title("nowhere:emea") == "nowhere:emea"
        with patch.object(enabled, "load", side_effect=SyntaxError("a bug")):
            assert enabled.title("email") == "email"
        assert enabled.titles(["email:emea", "teams"]) == "E-mail, emea; Microsoft Teams"


class TestSkip:
    def test_a_destination_may_pass_a_lead_over_with_its_reason_on_every_screen(self) -> None:
        with toy_world() as (w, _):
            receipt = accept.receive(w.app, post(userDetails=PERSON | {"company": "Nobody Inc."}), w.now)
            w.live(minutes=10)
            assert w.states() == {"toy": "skipped"}
            assert stored(w).reason == "it is of Nobody Inc."
            assert stored(w).attempt_count == 0, "it was no attempt"
            story = operations.perform(w.app, "show", {"id": receipt.id}, w.now)
            assert story["deliveries"][0]["reason"] == "it is of Nobody Inc."

    def test_an_operator_ends_what_waits_for_a_destination(self) -> None:
        with toy_world(names="toy,toy:upper") as (w, _):
            for number in range(3):
                accept.receive(w.app, post(offerTitle=f"Offer {number}"), w.now)
            w.drain()
            shown = operations.perform(w.app, "skip", {"destination": "toy:upper"}, w.now)
            assert shown == {"count": 3, "busy": 0, "cursor": ""}
            assert set(w.states().values()) == {"delivered", "open"}, "only shown"
            operations.perform(w.app, "skip", {"destination": "toy:upper", "yes": True}, w.now)
            w.live(minutes=10)
            assert w.states() == {"toy": "delivered", "toy:upper": "skipped"}
            assert not list(w.app.ledger.open_lines())


class TestUncertain:
    def test_the_first_attempt_is_certain(self) -> None:
        with toy_world() as (w, toy):
            accept.receive(w.app, post(), w.now)
            w.drain()
            assert [step.uncertain for _, step in toy.steps] == [False]
            assert stored(w).uncertain is False

    def test_a_refusal_leaves_it_certain(self) -> None:
        with toy_world() as (w, toy):
            toy.failures = [failing(Transient), failing(Misconfigured)]
            accept.receive(w.app, post(), w.now)
            w.live(minutes=30)
            assert [step.uncertain for _, step in toy.steps] == [False, False, False]
            assert len(toy.shelves["ground"]) == 1

    def test_a_lost_answer_makes_the_next_attempt_look(self) -> None:
        with toy_world() as (w, toy):
            toy.loses_answers = 1
            accept.receive(w.app, post(), w.now)
            w.live(minutes=30)
            assert [step.uncertain for _, step in toy.steps] == [False, True]
            assert len(toy.shelves["ground"]) == 1
            assert stored(w).uncertain is False, "a definite answer clears it"

    def test_looks_that_fail_and_a_wrong_setting_keep_it(self) -> None:
        with toy_world() as (w, toy):
            toy.loses_answers = 1
            toy.looks = [failing(Transient), failing(Misconfigured)]
            accept.receive(w.app, post(), w.now)
            w.drain()
            environ = w.app.environ
            w.app.environ = {**environ, "TOY_SHELF": ""}
            w.live(minutes=10)
            w.app.environ = environ
            w.live(hours=40)
            assert w.states() == {"toy": "delivered"}
            assert {step.uncertain for _, step in toy.steps[1:]} == {True}
            assert len(toy.shelves["ground"]) == 1

    def test_a_claim_that_nobody_recorded_makes_it_uncertain(self) -> None:
        with toy_world() as (w, toy):
            receipt = accept.receive(w.app, post(), w.now)
            held = stored(w)
            w.app.ledger.save(replace(held, claimed_until=w.now + delivery.CLAIM))
            toy.shelves["ground"] = [receipt.id]  # the process was killed behind its request
            w.live(minutes=15)
            assert w.states() == {"toy": "delivered"}
            assert [step.uncertain for _, step in toy.steps] == [True]
            assert toy.shelves["ground"] == [receipt.id]

    def test_an_exception_keeps_it_through_release_and_recovery(self) -> None:
        with toy_world() as (w, toy):
            receipt = accept.receive(w.app, post(), w.now)
            broken = patch.object(toy, "send", side_effect=KeyError("a bug"))
            with broken, pytest.raises(RuntimeError):
                delivery.deliver(w.app, receipt.id, "toy", w.now)
            assert stored(w).uncertain
            assert stored(w).claimed_until is None
            delivery.recover(w.app, receipt.id, "toy", w.now)
            assert stored(w).uncertain
            w.live(minutes=30)
            assert [step.uncertain for _, step in toy.steps] == [True]

    def test_a_claim_that_the_host_gave_up_keeps_it(self) -> None:
        """The fifth process was killed behind its request, and the host moved the message to the poison queue."""
        with toy_world() as (w, toy):
            receipt = accept.receive(w.app, post(), w.now)
            w.app.ledger.save(replace(stored(w), claimed_until=w.now + delivery.CLAIM))
            toy.shelves["ground"] = [receipt.id]
            w.bell.waiting.clear()
            w.forward(minutes=10)
            delivery.recover(w.app, receipt.id, "toy", w.now)
            assert stored(w).claimed_until is None
            assert stored(w).uncertain
            w.live(minutes=30)
            assert toy.shelves["ground"] == [receipt.id]

    def test_what_was_skipped_meanwhile_keeps_it_for_a_replay(self) -> None:
        with toy_world(names="toy,toy:upper", TOY_UPPER_SHELF="upper") as (w, toy):
            toy.loses_answers = 2
            test = PERSON | {"firstName": "MSFT_TEST_636573304831318844"}
            receipt = accept.receive(w.app, post(userDetails=test), w.now)
            w.app.settings = replace(w.app.settings, test_leads="deliver")
            w.drain()
            w.app.settings = replace(w.app.settings, test_leads="ignore")
            operations.perform(w.app, "skip", {"destination": "toy:upper", "yes": True}, w.now)
            w.live(minutes=30)
            assert w.states() == {"toy": "skipped", "toy:upper": "skipped"}
            w.app.settings = replace(w.app.settings, test_leads="deliver")
            replay.replay(w.app, receipt.id, None, w.now)
            w.drain()
            assert w.states() == {"toy": "delivered", "toy:upper": "delivered"}
            assert toy.shelves == {"ground": [receipt.id], "upper": [receipt.id]}

    def test_a_claim_that_was_skipped_keeps_it(self) -> None:
        with toy_world() as (w, toy):
            receipt = accept.receive(w.app, post(), w.now)
            w.app.ledger.save(replace(stored(w), claimed_until=w.now + delivery.CLAIM))
            w.forward(minutes=3)
            operations.perform(w.app, "skip", {"destination": "toy", "yes": True}, w.now)
            assert w.states() == {"toy": "skipped"}
            replay.replay(w.app, receipt.id, "toy", w.now)
            w.drain()
            assert [step.uncertain for _, step in toy.steps] == [True]

    def test_a_replay_keeps_it(self) -> None:
        with toy_world() as (w, toy):
            toy.loses_answers = 1
            toy.looks = [failing(Transient)] * 12
            receipt = accept.receive(w.app, post(), w.now)
            w.live(hours=100)
            assert w.states() == {"toy": "dead"}
            toy.looks = []
            replay.replay(w.app, receipt.id, None, w.now)
            w.drain()
            assert w.states() == {"toy": "delivered"}
            assert toy.steps[-1][1].uncertain
            assert len(toy.shelves["ground"]) == 1


class TestMarks:
    @pytest.mark.parametrize("kind", list(Kind))
    def test_notifications_and_what_goes_to_customers_are_told_what_the_address_says(self, kind: Kind) -> None:
        with toy_world(kind, LEADS_OWN_DOMAINS="example.com") as (w, toy):
            accept.receive(w.app, post(userDetails=PERSON | {"email": "ada@mail.example.com"}), w.now)
            w.drain()
            ((_, step),) = toy.steps
            assert step.marks == ((Mark.OWN,) if kind in (Kind.NOTIFICATION, Kind.CUSTOMER) else ())


class TestOneAtATime:
    def test_a_busy_crm_neither_waits_nor_claims_and_holds_nobody_up(self) -> None:
        with toy_world(Kind.CRM, names="toy,toy:upper", TOY_UPPER_SHELF="upper") as (w, _):
            receipt = accept.receive(w.app, post(), w.now)
            w.bell.waiting.clear()
            line = delivery._line("toy")
            assert line is not None
            assert line.enter()
            delivery.deliver(w.app, receipt.id, "toy", w.now)
            delivery.deliver(w.app, receipt.id, "toy:upper", w.now)
            line.leave(0.1)
            assert w.states() == {"toy": "open", "toy:upper": "delivered"}
            assert stored(w, "toy").claimed_until is None
            assert stored(w, "toy").attempt_count == 0
            ((at, _, name),) = w.bell.waiting
            assert name == "toy"
            assert timedelta(seconds=5) <= at - w.now <= timedelta(seconds=15)
            w.live(minutes=1)
            assert w.states()["toy"] == "delivered"

    @pytest.mark.parametrize("kind", [kind for kind in Kind if not RULES[kind].one_at_a_time])
    def test_others_are_served_side_by_side(self, kind: Kind) -> None:
        with toy_world(kind):
            line = delivery._line("toy")
            assert line is not None
            assert all(line.enter() for _ in range(24))


class TestPreview:
    def test_what_would_be_written_is_shown_and_nothing_is_sent(self) -> None:
        with toy_world(TOY_LABEL="shelf") as (w, toy):
            receipt = accept.receive(w.app, post(), w.now)
            found = operations.perform(w.app, "preview", {"id": receipt.id, "destination": "toy"}, w.now)
            assert found == {"text": "shelf: Contoso Planner, step 1"}
            assert toy.steps == []

    def test_unknown_leads_and_destinations_are_told(self) -> None:
        with toy_world() as (w, _):
            unknown = {"id": "0" * 16 + "-" + "0" * 16, "destination": "toy"}
            assert operations.perform(w.app, "preview", unknown, w.now) == {"text": ""}
            receipt = accept.receive(w.app, post(), w.now)
            with pytest.raises(Misconfigured, match="LEADS_DESTINATIONS"):
                operations.perform(w.app, "preview", {"id": receipt.id, "destination": "nowhere"}, w.now)


def test_no_module_outside_its_room_names_a_crm() -> None:
    crms = [name for name in enabled.names() if enabled.load(name).KIND == Kind.CRM]
    # Microsoft's own API names where offers send their leads, and kinds of offers by its products.
    files = ("partner_center.py", "offers.py", "operate/connect.py", "sweep/verdict.py")
    of_partner_center = {ROOT / "leads" / name for name in files}
    for path in set((ROOT / "leads").rglob("*.py")) - of_partner_center:
        parts = path.relative_to(ROOT / "leads").parts
        text = path.read_text().lower()
        for name in crms:
            if parts[:2] != ("destinations", name) and parts != ("destinations", f"{name}.py"):
                assert name not in text, f"{path.relative_to(ROOT)} names {name}"


def test_a_delivery_reads_once_and_writes_twice() -> None:
    calls: list[str] = []
    with toy_world() as (w, _):
        receipt = accept.receive(w.app, post(), w.now)

        class Counting:
            def __getattr__(self, name: str) -> Any:
                calls.append(name)
                return getattr(w.store, name)

        w.app.ledger.store = Counting()
        delivery.deliver(w.app, receipt.id, "toy", w.now)
    assert calls == ["page", "replace", "replace"]


def test_a_customer_with_a_thousand_leads_costs_a_bounded_read() -> None:
    with toy_world() as (w, toy):
        large = "x" * 7000
        for number in range(120):
            accept.receive(w.app, post(offerTitle=f"Offer {number}", description=large), w.now)
            w.forward(minutes=1)
        last = accept.receive(w.app, post(offerTitle="Last"), w.now)
        w.bell.waiting.clear()
        delivery.deliver(w.app, last.id, "toy", w.now)
        (_, step) = toy.steps[-1]
        offers = [one.lead.offer_name for one in step.earlier]
        assert offers == [f"Offer {number}" for number in range(70, 120)], "the newest, oldest first"
        assert all(one.lead.message == "" for one in step.earlier), "not their long texts"
        assert json.dumps([one.lead.offer for one in step.earlier]).__len__() < 10_000
        found = w.app.ledger.delivery(last.id, "toy")
        assert found
        assert found.state == State.DELIVERED
