"""A list reads a bounded number of rows however much there is, says how far it looked, and loses nothing on the way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads.errors import Rejected
from leads.intake import accept
from leads.lead import State
from leads.operate import counts, listing, operations, replay
from leads.store.ledger import DayLine, Line
from tests.world import NOON, FakeDestination, World, failing, post, world


def everything(w: World, **wish: Any) -> list[str]:
    """All leads of a list, call by call; no call looks without end, and none goes round in circles."""
    found: list[str] = []
    cursor, seen = "", set()
    while True:
        stretch = listing.listing(w.app, now=w.now, cursor=cursor, **wish)
        found += [summary.lead.offer_title for summary in stretch.leads]
        cursor = stretch.cursor
        if not cursor:
            return found
        assert cursor not in seen
        seen.add(cursor)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_page_by_page_every_lead_comes_once(data: st.DataObject) -> None:
    small = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 9)), data.draw(st.integers(0, 3))
    with pytest.MonkeyPatch.context() as patch, world(crm=FakeDestination()) as w:
        patch.setattr(listing, "SLICE", small[0])
        patch.setattr(listing, "LINES_PER_CALL", small[1])
        patch.setattr(listing, "LEADS_PER_CALL", small[2])
        titles: dict[str, State] = {}
        for number in range(data.draw(st.integers(0, 9))):
            w.places["crm"].always = failing(Rejected) if data.draw(st.booleans()) else None
            lead_id = accept.receive(w.app, post(offerTitle=f"{number}"), w.now).id
            fate = data.draw(st.sampled_from(["open", "closed", "replayed"]))
            if fate != "open":
                w.drain()
                w.sweep()
            if fate == "replayed":
                replay.replay(w.app, lead_id, None, w.now)
            case = w.app.ledger.case(lead_id)
            assert case
            titles[f"{number}"] = case.deliveries[0].state
            w.bell.waiting.clear()
            w.forward(hours=data.draw(st.sampled_from([0, 5, 40, 900])))
        limit = data.draw(st.integers(1, 3))
        assert sorted(everything(w, limit=limit)) == sorted(titles)
        for state in State:
            wanted = sorted(title for title, stands in titles.items() if stands == state)
            assert sorted(everything(w, limit=limit, state=state)) == wanted
        since = w.now - timedelta(hours=50)
        recent = everything(w, limit=limit, since=since)
        assert len(recent) == len(set(recent))


class TestManyLeads:
    """A million leads, of which the twin holds as many as tell them from few."""

    @pytest.fixture
    def w(self) -> Iterator[World]:
        with world(crm=FakeDestination()) as made:
            for number in range(30_000):
                at = NOON - timedelta(minutes=number * 2)
                at -= timedelta(seconds=1)
                line = DayLine(f"{number:016x}-{number:016x}", "raw", at, {"crm": State.DELIVERED}, offer_title="a")
                made.app.ledger.close(Line(line.lead_id, "raw", at), line, NOON)
                if number % 720 == 0:
                    made.app.ledger.change(f"day:{line.day}", NOON)
            yield made

    def rows(self, w: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        read: list[str] = []
        rows = w.store.rows

        def counting(table: str, partition: str, *bounds: str) -> Iterator[Any]:
            for row in rows(table, partition, *bounds):
                read.append(partition)
                yield row

        monkeypatch.setattr(w.store, "rows", counting)
        return read

    def test_a_filter_that_matches_nothing_ends_and_says_how_far_it_looked(
        self, w: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = self.rows(w, monkeypatch)
        found = operations.perform(w.app, "list", {"offer": "nothing is called so"}, w.now)
        assert found["leads"] == []
        assert found["more"]
        assert len(read) <= listing.LINES_PER_CALL + listing.SLICE + 100
        calls = 1
        while found["cursor"]:
            arguments = {"offer": "nothing is called so", "cursor": found["cursor"]}
            found = operations.perform(w.app, "list", arguments, w.now)
            calls += 1
        assert 2 <= calls <= 4
        assert not found["more"]

    def test_the_overview_reads_a_bounded_number_of_rows(self, w: World, monkeypatch: pytest.MonkeyPatch) -> None:
        w.sweep()
        read = self.rows(w, monkeypatch)
        found = counts.count(w.app, w.now)
        assert sum(day.delivered for day in found.days) == pytest.approx(29 * 720 + 361, abs=2)
        assert found.came.leads[State.DELIVERED] == sum(day.delivered for day in found.days)
        bound = counts.NEW_READ + counts.OPEN_LISTED + counts.DEAD_READ + 2 * counts.DAYS + 100
        assert len(read) <= bound

    def test_the_newest_ones_cost_a_day(self, w: World, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(12):
            accept.receive(w.app, post(offerTitle=str(number)), w.now)
        w.drain()
        w.sweep()
        read = self.rows(w, monkeypatch)
        assert len(listing.listing(w.app, now=w.now + timedelta(seconds=1), limit=10).leads) == 10
        assert len([partition for partition in read if partition.startswith("2")]) <= 361 + 12


def test_how_far_it_looked_is_the_arrival_of_the_last_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LEADS_PER_CALL", 1)
    with world() as w:
        for _ in range(5):
            accept.receive(w.app, post(offerTitle=str(w.now)), w.now)
            w.forward(minutes=6)
        found = listing.listing(w.app, now=w.now, offer="2026-11-21 12:00", limit=1)
    assert found.looked_back_to == NOON + timedelta(minutes=18)
    assert found.cursor


@pytest.mark.parametrize("cursor", ["x", "//", "2026-11-21//x", "open/'/", "leads/~/", "dead/../../"])
def test_a_cursor_that_no_list_gave_is_wrong_use(cursor: str) -> None:
    with world() as w, pytest.raises(operations.WrongUse, match="cursor"):
        operations.perform(w.app, "list", {"cursor": cursor}, w.now)
