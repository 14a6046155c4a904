"""One delivery: claimed once, recorded whatever comes, tried again on the schedule, given up loudly."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from leads import delivery
from leads.contract import Kind, Link
from leads.errors import Misconfigured, Paced, Rejected, Throttled, Transient
from leads.intake import accept
from leads.lead import Delivery, Lead, Outcome, State
from leads.operate import importing, replay
from leads.settings import RETRY_SCHEDULE
from leads.store.protocol import Changed
from tests.world import PERSON, FakeDestination, Pager, World, failing, post, world


@pytest.fixture
def w() -> Iterator[World]:
    with world() as made:
        yield made


def stored(w: World, destination: str = "crm") -> Delivery:
    found = w.app.ledger.delivery(w.ids()[0], destination)
    assert found
    return found


def test_a_lead_is_delivered_with_its_remote_id(w: World) -> None:
    accept.receive(w.app, post(), w.now)
    w.drain()
    done = stored(w)
    assert (done.state, done.attempt_count, done.claimed_until) == (State.DELIVERED, 1, None)
    assert done.remote_id.startswith("remote-")
    assert done.last
    assert done.last.outcome == Outcome.OK


@pytest.mark.parametrize("kind", [Transient, Throttled, Misconfigured])
def test_what_may_pass_is_tried_again_on_the_schedule(w: World, kind: type[Transient]) -> None:
    w.places["crm"].failures = [failing(kind)] * 3
    accept.receive(w.app, post(), w.now)
    w.live(hours=1)
    assert w.states() == {"crm": "delivered"}
    starts = [step.now for _, step in w.places["crm"].got]
    waits = [(b - a).total_seconds() for a, b in pairwise(starts)]
    assert [0.8 * s <= wait <= 1.2 * s + 2 for s, wait in zip((5, 300, 1800), waits, strict=True)] == [True] * 3


def test_a_refused_lead_is_dead_at_once(w: World) -> None:
    w.places["crm"].always = failing(Rejected)
    accept.receive(w.app, post(), w.now)
    w.live(hours=2)
    assert w.states() == {"crm": "dead"}
    assert len(w.places["crm"].got) == 1


def test_an_outage_of_a_weekend_is_survived_and_one_of_a_week_ends_dead(w: World) -> None:
    w.places["crm"].always = failing(Transient)
    accept.receive(w.app, post(), w.now)
    w.live(hours=58)
    assert w.states() == {"crm": "open"}
    w.live(hours=40)
    assert w.states() == {"crm": "dead"}
    assert len(w.places["crm"].got) == len(RETRY_SCHEDULE)
    assert {(attempt.cause, attempt.remedy) for attempt in stored(w).attempts} == {("It did not work.", "Correct it.")}


def test_the_destinations_own_wish_is_honoured_up_to_a_day(w: World) -> None:
    w.places["crm"].failures = [failing(Throttled, retry_after=7200.0), failing(Throttled, retry_after=10.0**9)]
    accept.receive(w.app, post(), w.now)
    w.drain()
    assert stored(w).next_at - w.now >= timedelta(hours=2)
    w.live(hours=2, minutes=6)
    second = w.places["crm"].got[1][1].now
    assert stored(w).next_at - second == pytest.approx(timedelta(days=1), abs=timedelta(seconds=5))


def test_a_turn_that_the_app_itself_waits_for_costs_a_second_and_no_attempt_of_the_schedule(w: World) -> None:
    """Of five leads at once one goes to Slack a second; the schedule would let the last three wait five minutes."""
    w.places["crm"].failures = [failing(Paced, retry_after=1.0) for _ in range(20)]
    accept.receive(w.app, post(), w.now)
    for _ in range(21):
        assert w.drain() == 1
        assert stored(w).tries <= 1
        w.forward(seconds=2)
    assert stored(w).state == State.DELIVERED


def test_a_message_that_is_doubled_or_late_does_nothing(w: World) -> None:
    receipt = accept.receive(w.app, post(), w.now)
    w.drain()
    for _ in range(3):
        delivery.deliver(w.app, receipt.id, "crm", w.now)
    assert len(w.places["crm"].got) == 1
    assert w.bell.waiting == []


def test_a_message_before_its_time_waits_if_it_is_close_and_is_dropped_if_not(w: World) -> None:
    w.places["crm"].failures = [failing(Transient), failing(Transient)]
    receipt = accept.receive(w.app, post(), w.now)
    w.drain()
    w.bell.waiting.clear()
    delivery.deliver(w.app, receipt.id, "crm", w.now)
    assert len(w.bell.waiting) == 1, "five seconds are waited for"
    w.forward(seconds=10)
    w.drain()
    w.bell.waiting.clear()
    delivery.deliver(w.app, receipt.id, "crm", w.now)
    assert (len(w.places["crm"].got), w.bell.waiting) == (2, []), "five minutes are left to the other bell"


def test_a_claimed_delivery_is_left_alone_until_the_claim_ends(w: World) -> None:
    receipt = accept.receive(w.app, post(), w.now)
    w.app.ledger.save(replace(stored(w), claimed_until=w.now + delivery.CLAIM))
    w.drain()
    assert w.places["crm"].got == []
    w.forward(seconds=91)
    delivery.deliver(w.app, receipt.id, "crm", w.now)
    assert w.states() == {"crm": "delivered"}


def test_recording_never_recreates_what_was_deleted_meanwhile(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    receipt = accept.receive(w.app, post(), w.now)

    def forget(*_: object) -> str:
        for key in list(w.store.tables["leads"]):
            w.store.delete("leads", *key)
        return "x"

    monkeypatch.setattr(w.places["crm"], "send", forget)
    delivery.deliver(w.app, receipt.id, "crm", w.now)
    assert w.store.tables["leads"] == {}


def test_a_bug_lets_the_host_try_again_and_quotes_nothing(w: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    receipt = accept.receive(w.app, post(), w.now)
    w.places["crm"].failures = [KeyError("someone@contoso.com")]
    with pytest.raises(RuntimeError, match=r"KeyError in world\.py") as raised:
        w.drain()
    assert "contoso.com" not in f"{raised.value}{raised.value.__cause__}{caplog.text}"
    w.forward(minutes=2)
    delivery.deliver(w.app, receipt.id, "crm", w.now)
    assert w.states() == {"crm": "delivered"}


def test_a_package_that_cannot_be_loaded_makes_the_lead_wait(w: World) -> None:
    """An app published for another Python: what a destination imports when it sends is not there."""
    w.places["crm"].failures = [ImportError("No module named '_cffi_backend'", name="_cffi_backend")]
    accept.receive(w.app, post(), w.now)
    w.drain()
    attempt = stored(w).attempts[-1]
    assert attempt.outcome == Outcome.MISCONFIGURED
    assert "_cffi_backend cannot be loaded" in attempt.cause
    assert "docs/deploy.md" in attempt.remedy
    assert stored(w).state is State.OPEN
    w.live(minutes=40)
    assert w.states() == {"crm": "delivered"}


def test_a_package_that_cannot_be_loaded_uses_up_no_attempt(w: World) -> None:
    accept.receive(w.app, post(), w.now)
    w.places["crm"].always = ImportError("No module named '_cffi_backend'", name="_cffi_backend")
    w.live(hours=200)
    held = stored(w)
    assert (held.state, held.tries) == (State.OPEN, 0)
    w.places["crm"].always = None
    w.live(hours=1)
    assert stored(w).state == State.DELIVERED


def test_what_the_host_gave_up_returns_to_the_schedule(w: World) -> None:
    receipt = accept.receive(w.app, post(), w.now)
    w.bell.waiting.clear()
    w.forward(minutes=10)
    delivery.recover(w.app, receipt.id, "crm", w.now)
    assert stored(w).last is not None
    assert stored(w).attempts[-1].outcome == Outcome.TRANSIENT
    assert "Internal error" in stored(w).attempts[-1].cause
    delivery.recover(w.app, receipt.id, "crm", w.now)
    assert stored(w).attempt_count == 1, "a doubled poison message counts once"
    w.live(minutes=5)
    assert w.states() == {"crm": "delivered"}


def test_settings_problems_are_all_told_and_heal_by_themselves(w: World) -> None:
    w.places["crm"].problems = (("CRM_URL", "It is not set.", "Set it."), ("CRM_KEY", "It is empty.", "Fill it."))
    accept.receive(w.app, post(), w.now)
    w.drain()
    attempt = stored(w).attempts[-1]
    assert attempt.outcome == Outcome.MISCONFIGURED
    assert attempt.cause == "CRM_URL: It is not set. CRM_KEY: It is empty."
    w.places["crm"].problems = ()
    w.live(hours=1)
    assert w.states() == {"crm": "delivered"}


def test_a_destination_that_does_not_exist_says_so() -> None:
    with world(environ={"LEADS_DESTINATIONS": "dynamcis"}) as w:
        accept.receive(w.app, post(), w.now)
        w.drain()
        attempt = stored(w, "dynamcis").attempts[-1]
        assert attempt.outcome == Outcome.MISCONFIGURED
        assert "no destination named dynamcis" in attempt.cause
        assert "replay" in attempt.remedy


def test_deliveries_to_a_destination_that_was_removed_wait_and_go_on_when_it_is_back() -> None:
    with world(crm=FakeDestination(), mail=FakeDestination()) as w:
        accept.receive(w.app, post(), w.now)
        both = w.app.settings
        w.app.settings = replace(both, destinations=("mail",))
        w.live(minutes=20)
        assert w.states() == {"crm": "open", "mail": "delivered"}
        (last, *_) = reversed(stored(w).attempts)
        assert last.outcome == Outcome.MISCONFIGURED
        assert "LEADS_DESTINATIONS" in last.cause
        assert "skip --destination" in last.remedy
        assert w.places["crm"].got == []
        w.app.settings = both
        w.live(hours=3)
        assert w.states() == {"crm": "delivered", "mail": "delivered"}


def test_deliveries_to_a_destination_that_stays_removed_die_on_their_schedule() -> None:
    with world(crm=FakeDestination(), mail=FakeDestination()) as w:
        accept.receive(w.app, post(), w.now)
        w.app.settings = replace(w.app.settings, destinations=("mail",))
        w.live(hours=100)
        assert w.states() == {"crm": "dead", "mail": "delivered"}


TEST_LEAD = post(userDetails=PERSON | {"firstName": "MSFT_TEST_636573304831318844"})


@pytest.mark.parametrize(
    ("policy", "crm", "notified"),
    [("notify", "skipped", "delivered"), ("deliver", "delivered", "delivered"), ("ignore", "skipped", "skipped")],
)
def test_test_leads_go_where_the_setting_says(policy: str, crm: str, notified: str) -> None:
    mail = FakeDestination(KIND=Kind.NOTIFICATION)
    with world(environ={"LEADS_TEST_LEADS": policy}, crm=FakeDestination(), mail=mail) as w:
        accept.receive(w.app, TEST_LEAD, w.now)
        w.drain()
        assert w.states() == {"crm": crm, "mail": notified}


def test_an_old_lead_reaches_the_crm_but_shouts_at_nobody() -> None:
    with world(crm=FakeDestination(), mail=FakeDestination(KIND=Kind.NOTIFICATION)) as w:
        record = {"userDetails": PERSON, "offerTitle": "Contoso Planner", "createdTime": "2026-11-01T00:00:00Z"}
        importing.take(w.app, [record], w.now, yes=True, force=False)
        w.drain()
        assert w.states() == {"crm": "delivered", "mail": "skipped"}
        assert w.places["crm"].got[0][1].old
        replay.replay(w.app, w.ids()[0], "mail", w.now)
        w.drain()
        assert w.states() == {"crm": "delivered", "mail": "delivered"}, "an operator who asks for it gets it"


def test_a_step_knows_the_customers_earlier_ones_in_the_order_of_arrival(w: World) -> None:
    for action in ("PLT", "INS", "StartTestDrive"):
        accept.receive(w.app, post(actionCode=action), w.now)
        w.forward(hours=1)
    w.drain()
    lead, step = next((lead, step) for lead, step in w.places["crm"].got if lead.action == "StartTestDrive")
    assert [earlier.lead.action for earlier in step.earlier] == ["PLT", "INS"]
    assert {earlier.state for earlier in step.earlier} <= {State.DELIVERED, State.OPEN}
    assert lead.customer == step.earlier[0].lead.customer


def test_what_a_failed_attempt_left_behind_is_known_to_the_next(w: World) -> None:
    w.places["crm"].failures = [failing(Transient, remote_id="half-done")]
    accept.receive(w.app, post(), w.now)
    w.live(minutes=1)
    assert [step.remote_id for _, step in w.places["crm"].got] == ["", "half-done"]


def test_two_workers_make_one_attempt(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    receipt = accept.receive(w.app, post(), w.now)
    calls: list[int] = []
    save = w.app.ledger.save

    def interleaved(changed: Delivery) -> Delivery:
        if not calls:
            calls.append(1)
            delivery.deliver(w.app, receipt.id, "crm", w.now)
        return save(changed)

    monkeypatch.setattr(w.app.ledger, "save", interleaved)
    delivery.deliver(w.app, receipt.id, "crm", w.now)
    assert len(w.places["crm"].got) == 1


def test_a_claim_outlived_is_not_recorded_over_another(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    receipt = accept.receive(w.app, post(), w.now)

    def slow(*_: object) -> str:
        current = w.app.ledger.delivery(receipt.id, "crm")
        assert current
        w.app.ledger.save(replace(current, remote_id="by another worker"))
        return "late"

    monkeypatch.setattr(w.places["crm"], "send", slow)
    delivery.deliver(w.app, receipt.id, "crm", w.now)
    assert stored(w).remote_id == "by another worker"
    with pytest.raises(Changed):
        w.app.ledger.save(replace(stored(w), etag='W/"old"'))


class Linked(FakeDestination):
    """A CRM that can say where a record is."""

    def record_url(self, lead: Lead, known: Sequence[tuple[Lead, str]], settings: None) -> str:
        return f"https://crm.example/{len(known)}/{known[0][1]}" if known[0][0].id == lead.id else ""


def test_a_notification_is_told_where_the_record_is_in_the_crm() -> None:
    with world(crm=Linked(), pager=FakeDestination(Kind.NOTIFICATION)) as w:
        w.places["pager"].failures = [failing(Transient)]
        accept.receive(w.app, post(), w.now)
        w.live(minutes=1)
        accept.receive(w.app, post(actionCode="PLT"), w.now)
        w.drain()
        first, second = w.places["pager"].got[1:]
        assert first[1].records == (Link("Fake", f"https://crm.example/1/remote-{first[0].event}"),)
        assert second[1].records == (Link("Fake", f"https://crm.example/2/remote-{second[0].event}"),)
        assert all(step.records == () for _, step in w.places["crm"].got), "a CRM has no use for it"


def test_nothing_is_sent_when_looking_for_a_flood_outlasted_the_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    with world(environ={"LEADS_FLOOD": "5"}, mail=FakeDestination(Kind.NOTIFICATION)) as w:
        for number in range(2):
            accept.receive(w.app, post(userDetails={"email": f"{number}@contoso.com"}), w.now)
        clock = [0.0]
        monkeypatch.setattr("time.monotonic", lambda: clock[0])
        is_flooded = w.app.ledger.is_flooded

        def slow(name: str) -> bool:
            clock[0] += 95  # a storage that is asked four times, 25 seconds each
            return is_flooded(name)

        monkeypatch.setattr(w.app.ledger, "is_flooded", slow)
        with pytest.raises(RuntimeError):
            w.drain()
        assert len(w.places["mail"].got) == 1, "another process may have taken the claim of the second meanwhile"


@pytest.mark.parametrize(("kind", "ends"), [(Kind.NOTIFICATION, "delivered"), (Kind.CRM, "dead")])
def test_a_notification_that_two_of_three_recipients_have_is_no_dead_lead(kind: Kind, ends: str) -> None:
    refused = Misconfigured(
        "mail.example refused number 2 of EMAIL_TO.", "Correct EMAIL_TO.", remote_id="mail got by two"
    )
    with world(mail=FakeDestination(kind, always=refused), pager=(pager := Pager())) as w:
        accept.receive(w.app, post(), w.now)
        w.live(hours=90)
        assert w.states()["mail"] == ends
        assert any("number 2 of EMAIL_TO" in alert.cause for alert in pager.alerts)
        case = w.app.ledger.case(w.ids()[0])
        assert case
        (mail,) = (each for each in case.deliveries if each.destination == "mail")
        assert ends == "dead" or mail.reason == "Not everybody got it. mail.example refused number 2 of EMAIL_TO."


@pytest.mark.parametrize("failed", [Transient, Rejected])
def test_a_recipient_whom_no_alert_has_named_makes_a_dead_lead(failed: type[Transient | Rejected]) -> None:
    refused = failed("mail.example is busy for number 2 of EMAIL_TO.", "Wait.", remote_id="mail got by two")
    with world(mail=FakeDestination(Kind.NOTIFICATION, always=refused), pager=(pager := Pager())) as w:
        accept.receive(w.app, post(), w.now)
        w.live(hours=90)
        assert w.states()["mail"] == "dead"
        assert [alert.kind for alert in pager.alerts] == ["dead"]
