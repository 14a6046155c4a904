"""Figures and alerts come from whole looks at all open leads, and what is counted of a day is counted anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from leads.errors import Misconfigured, Rejected
from leads.intake import accept
from leads.lead import Stage, State
from leads.operate import health, replay, sample
from leads.store.ledger import DayLine
from leads.store.testing import _check
from leads.sweep import days
from tests.world import FakeDestination, Pager, World, failing, post, world

DAY = "2026-11-21"


@pytest.fixture
def w() -> Iterator[World]:
    with world(crm=FakeDestination(), mail=Pager(), environ={"LEADS_FLOOD": "0"}) as made:
        yield made


def told(w: World) -> list[tuple[str, str, int]]:
    mail = w.places["mail"]
    assert isinstance(mail, Pager)
    return [
        (alert.kind, alert.destination or alert.subject, alert.count)
        for alert in mail.alerts
        if alert.kind != "watch_silent"
    ]


def receive(w: World, count: int) -> list[str]:
    return [accept.receive(w.app, post(offerTitle=str(number)), w.now).id for number in range(count)]


class TestWholeCycles:
    @pytest.fixture(autouse=True)
    def slices(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("leads.sweep.sweep.LINES_PER_RUN", 4)

    def test_one_alert_has_the_number_of_all_though_they_were_seen_in_slices(self, w: World) -> None:
        w.places["crm"].always = failing(Rejected)
        receive(w, 10)
        w.live(hours=3)
        assert told(w) == [("dead", "crm", 10)]
        assert list(w.app.ledger.open_lines()) == []

    def test_those_that_wait_for_a_person_as_well(self, w: World) -> None:
        w.places["crm"].always = failing(Misconfigured)
        receive(w, 10)
        w.live(hours=23)
        assert told(w) == [("misconfigured", "crm", 10)]
        w.live(hours=3)
        assert told(w) == [("misconfigured", "crm", 10)] * 2, "again after a day"

    def test_health_has_the_number_of_all_whichever_slice_a_run_saw(self, w: World) -> None:
        """Today it says `ok, open 0` while 2,000 leads are stuck, where a run began behind the last line."""
        w.places["crm"].always = failing(Misconfigured)
        receive(w, 8)
        w.live(hours=2)
        for _ in range(6):
            w.sweep()
            state = health.health(w.app, w.now)
            assert (state.open, state.status) == (8, "attention")
            assert state.oldest_open_seconds == 7200
            w.forward(seconds=1)
            w.now = w.now.replace(second=0)

    def test_a_crash_before_the_alert_was_noted_repeats_it_with_the_same_number(
        self, w: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        w.places["crm"].always = failing(Rejected)
        receive(w, 6)
        w.drain()

        def crash(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        w.sweep()
        with monkeypatch.context() as patch:
            patch.setattr("leads.sweep.concerns.note_taken", crash)
            with pytest.raises(KeyboardInterrupt):
                w.sweep()
        assert len(list(w.app.ledger.open_lines())) == 6, "nobody was told as far as is known"
        w.live(hours=2)
        assert told(w) == [("dead", "crm", 6)] * 2
        assert list(w.app.ledger.open_lines()) == []


class TestDays:
    def counts(self, w: World) -> days.Counts:
        found = dict(map(days.read, w.app.ledger.day_counts()))
        return found[DAY]

    def test_what_is_counted(self, w: World) -> None:
        w.places["crm"].failures = [failing(Rejected)]
        person = {"email": "a@contoso.com", "country": "IT", "firstName": "A"}
        accept.receive(w.app, post(userDetails=person, actionCode="PLT", leadSource="SPZA-PLT|contoso.planner"), w.now)
        w.drain()
        accept.receive(w.app, post(userDetails=person), w.now)
        accept.receive(w.app, sample.body("", "", w.now), w.now)
        w.forward(seconds=30)
        w.live(hours=2)
        counts = self.counts(w)
        assert counts.leads == {State.DEAD: 1, State.DELIVERED: 2}
        assert counts.tests == 1
        assert counts.places["crm"].states == {State.DEAD: 1, State.DELIVERED: 1, State.SKIPPED: 1}
        assert counts.places["mail"].states == {State.DELIVERED: 3}
        assert (counts.places["mail"].slowest, counts.places["mail"].took.total()) == (30.0, 3)
        assert counts.countries == {"IT": 2}
        assert counts.stages == {"active": 1, "initial_interest": 1}
        assert {name: offer.leads for name, offer in counts.offers.items()} == {
            "contoso.planner": 1,
            "Contoso Planner": 1,
        }

    def test_nothing_is_added_up(self, w: World) -> None:
        receive(w, 3)
        w.live(hours=5)
        before = self.counts(w)
        w.app.ledger.change(f"day:{DAY}", w.now)
        w.live(hours=3)
        assert self.counts(w) == before
        assert before.leads == {State.DELIVERED: 3}
        assert w.app.ledger.changes() == [], "what did not change is not read again"

    def test_a_crash_between_closing_and_counting_is_counted(self, w: World) -> None:
        receive(w, 2)
        w.drain()
        note = w.app.ledger.note("sweep")
        w.sweep()
        w.store.upsert("state", note)
        w.live(hours=2)
        assert self.counts(w).leads == {State.DELIVERED: 2}

    def test_a_replayed_lead_counts_where_it_ends(self, w: World) -> None:
        w.places["crm"].failures = [failing(Rejected)]
        (lead_id,) = receive(w, 1)
        w.live(hours=2)
        assert self.counts(w).leads == {State.DEAD: 1}
        replay.replay(w.app, lead_id, None, w.now)
        assert health.health(w.app, w.now + timedelta(minutes=1)).dead == 1, "as of the last sweep"
        w.sweep()
        assert health.health(w.app, w.now).dead == 0
        w.live(hours=3)
        assert self.counts(w).leads == {State.DELIVERED: 1}
        assert list(w.app.ledger.dead_lines()) == []

    def test_what_was_erased_is_no_longer_counted(self, w: World) -> None:
        (first, second) = receive(w, 2)
        w.live(hours=2)
        w.app.ledger.erase(first, DAY, "", w.now)
        w.live(hours=2)
        assert self.counts(w).leads == {State.DELIVERED: 1}
        w.app.ledger.erase(second, DAY, "", w.now)
        w.live(hours=2)
        assert w.app.ledger.day_counts() == []


class TestDead:
    def test_a_dead_lead_is_counted_as_soon_as_it_is_seen_and_once(self, w: World) -> None:
        """Also while its other delivery waits: it stays open then."""
        w.places["crm"].always = failing(Rejected)
        w.places["mail"].always = failing(Misconfigured)
        receive(w, 2)
        w.drain()
        for _ in range(3):
            w.sweep()
            assert health.health(w.app, w.now).dead == 2
            w.forward(minutes=5)
        assert len(list(w.app.ledger.open_lines())) == 2

    def test_nothing_reads_finished_leads(self, w: World, monkeypatch: pytest.MonkeyPatch) -> None:
        w.places["crm"].failures = [failing(Rejected)]
        receive(w, 20)
        w.live(hours=4)
        read: list[str] = []
        rows = w.store.rows

        def noting(table: str, partition: str, *bounds: str) -> Any:
            read.append(f"{table}/{partition}")
            return rows(table, partition, *bounds)

        monkeypatch.setattr(w.store, "rows", noting)
        w.live(hours=5)
        assert {name for name in read if name.startswith("journal/2")} == set()


states = st.sampled_from(list(State))
lines = st.lists(
    st.builds(
        DayLine,
        lead_id=st.just("a-b"),
        raw=st.just("raw"),
        arrived_at=st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 2), timezones=st.just(UTC)),  # noqa: DTZ001
        states=st.dictionaries(st.sampled_from(["crm", "https:erp", "email:emea"]), states, max_size=3),
        seconds=st.dictionaries(st.sampled_from(["crm", "https:erp"]), st.floats(0, 10**6), max_size=2),
        stage=st.sampled_from(Stage),
        offer=st.text(st.characters(exclude_categories=["Cs"]), max_size=100),
        offer_title=st.text(st.characters(exclude_categories=["Cs"]), max_size=100),
        country=st.sampled_from(["", "DE", "IT"]),
        is_test=st.booleans(),
    ),
    max_size=30,
)


@given(lines)
def test_counts_survive_being_stored_and_fit_into_a_row(found: list[DayLine]) -> None:
    counts = days.count(found)
    stored = days.row(DAY, counts)
    _check(stored)
    assert days.read(stored) == (DAY, counts)


@given(st.lists(lines, max_size=4))
def test_several_days_are_the_sum_of_each(several: list[list[DayLine]]) -> None:
    summed = days.Counts()
    for found in several:
        summed.add(days.count(found))
    whole = days.count([line for found in several for line in found])
    assert summed.leads == whole.leads
    assert summed.tests == whole.tests
    assert summed.countries == whole.countries
    assert {name: (p.states, p.took, p.slowest) for name, p in summed.places.items()} == {
        name: (p.states, p.took, p.slowest) for name, p in whole.places.items()
    }
    assert {name: (o.leads, o.last) for name, o in summed.offers.items()} == {
        name: (o.leads, o.last) for name, o in whole.offers.items()
    }


@hypothesis_settings(max_examples=50)
@given(st.lists(st.floats(0.1, 10**6), min_size=1, max_size=50))
def test_the_median_is_within_a_tenth(seconds: list[float]) -> None:
    place = days.count(
        DayLine("a-b", "raw", datetime(2026, 1, 1, tzinfo=UTC), {}, seconds={"crm": each}) for each in seconds
    ).places["crm"]
    exact = sorted(seconds)[(len(seconds) - 1) // 2]
    assert place.median == pytest.approx(exact, rel=0.1)
    assert place.slowest == max(seconds)


def test_offers_that_strangers_invent_do_not_outgrow_a_row() -> None:
    found = [
        DayLine("a-b", "raw", datetime(2026, 1, 1, tzinfo=UTC), {}, offer="😀" * 100, offer_title=f"{n:03}" + "😀" * 97)
        for n in range(5)
    ]
    found += [
        DayLine("a-b", "raw", datetime(2026, 1, 1, tzinfo=UTC), {}, offer=f"{n:04}" + "😀" * 96, offer_title="😀" * 100)
        for n in range(500)
    ]
    stored = days.row(DAY, days.count(found))
    _check(stored)
    _, counts = days.read(stored)
    assert sum(offer.leads for offer in counts.offers.values()) == 505
    assert Counter(offer.leads for offer in counts.offers.values())[505 - 5 - days.OFFERS + 1] == 1


def test_a_place_without_deliveries_has_no_median() -> None:
    assert days.Place().median is None
