"""How many leads came on each day, and where they stand."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from leads.errors import Misconfigured, Rejected
from leads.intake import accept
from leads.operate import counts as ops_counts
from leads.operate import listing, replay
from leads.operate.page import chart as ops_chart
from leads.operate.page.chart import HEIGHT, WIDTH, Day
from leads.store.ledger import Line
from leads.store.protocol import Value
from leads.sweep import counting
from tests.world import NOON, FakeDestination, failing, post, world

DAY = NOON.date()


def test_nothing_yet() -> None:
    with world() as made:
        counts = ops_counts.count(made.app, made.now)
    assert [day.day for day in counts.days] == [DAY - timedelta(days=n) for n in range(29, -1, -1)]
    assert sum(day.total for day in counts.days) == 0
    assert [place.name for place in counts.places] == ["crm"]
    assert (counts.open, counts.unread) == (0, 0)


def test_each_lead_counts_once_by_its_worst_delivery() -> None:
    chat = FakeDestination()
    with world(crm=FakeDestination(), chat=chat) as made:
        for number, trouble in enumerate((None, failing(Rejected), failing(Misconfigured))):
            chat.always = trouble
            accept.receive(made.app, post(userDetails={"email": f"{number}@contoso.com"}), made.now)
            made.drain()
        made.live(minutes=3)
        counts = ops_counts.count(made.app, made.now)
    assert counts.days[-1] == Day(DAY, delivered=1, open=1, dead=1)
    crm, there = counts.places
    assert (dict(crm.states), crm.trouble) == ({"delivered": 3}, None)
    assert dict(there.states) == {"delivered": 1, "dead": 1, "open": 1}
    assert there.trouble
    assert there.trouble.cause == "It did not work."
    assert counts.open == 1


def test_closed_ones_are_counted_from_the_journal_alone() -> None:
    chat = FakeDestination(always=Rejected("It was refused.", "Correct it."))
    with world(chat=chat) as made:
        accept.receive(made.app, post(), made.now)
        made.live(minutes=10)
        assert list(made.app.ledger.open_lines()) == []
        made.forward(days=3)
        counts = ops_counts.count(made.app, made.now)
    assert counts.days[-4].dead == 1
    assert counts.places[0].trouble
    assert counts.places[0].trouble.cause == "It was refused."


def test_a_replayed_lead_counts_once() -> None:
    with world() as made:
        lead_id = accept.receive(made.app, post(), made.now).id
        made.live(minutes=10)
        replay.replay(made.app, lead_id, None, made.now)
        counts = ops_counts.count(made.app, made.now)
    assert counts.days[-1] == Day(DAY, open=1)
    assert dict(counts.places[0].states) == {"open": 1}


def test_what_is_older_than_the_chart() -> None:
    with world() as made:
        accept.receive(made.app, post(), made.now)
        made.live(minutes=10)
        made.forward(days=30)
        counts = ops_counts.count(made.app, made.now)
    assert sum(day.total for day in counts.days) == 0


def test_a_destination_that_was_removed_is_still_told() -> None:
    with world(old=FakeDestination()) as made:
        accept.receive(made.app, post(), made.now)
        made.live(minutes=10)
        store = made.store
    with world() as made:
        made.store = store
        made.restart()
        counts = ops_counts.count(made.app, made.now)
    assert [(place.name, dict(place.states)) for place in counts.places] == [("crm", {}), ("old", {"delivered": 1})]


def test_many_open_leads_are_not_all_read() -> None:
    with world() as made:
        for number in range(ops_counts.OPEN_READ + 5):
            made.app.ledger.open(Line(f"{number:016x}-{number:016x}", "raw", made.now))
        counts = ops_counts.count(made.app, made.now)
    assert counts.days[-1].open == counts.open == ops_counts.OPEN_READ + 5
    assert counts.unread == 5


def test_a_lead_that_arrived_is_not_open_until_the_sweep_closes_it() -> None:
    with world() as made:
        accept.receive(made.app, post(), made.now)
        assert ops_counts.count(made.app, made.now).open == 1
        made.drain()
        assert list(made.app.ledger.open_lines())
        assert ops_counts.count(made.app, made.now).open == 0
        assert listing.listing(made.app, now=made.now, state="open").leads == ()


@given(st.lists(st.tuples(*[st.integers(0, 3000)] * 4), min_size=1, max_size=40))
def test_bars_stay_in_the_drawing(counts: list[tuple[int, int, int, int]]) -> None:
    days = [Day(DAY + timedelta(days=n), *each) for n, each in enumerate(counts)]
    chart = ops_chart.draw(days)
    assert chart.top >= max(day.total for day in days)
    assert chart.top % 2 == 0
    assert (chart.busiest is None) == (chart.total == 0)
    for bar in chart.bars:
        assert 0 <= bar.x <= WIDTH
        end = HEIGHT + 0.02
        for part in bar.parts:
            assert part.start + part.length <= end + 0.02
            end = part.start
            assert part.start >= -0.03
        assert len(bar.parts) == sum(1 for n in (bar.day.delivered, bar.day.skipped, bar.day.open, bar.day.dead) if n)


def test_one_dead_lead_among_thousands_is_seen() -> None:
    (bar,) = ops_chart.draw([Day(DAY, delivered=3999, dead=1)]).bars
    assert [(part.kind, part.length >= 2) for part in bar.parts] == [("d", True), ("x", True)]
    assert bar.parts[-1].start == 0, "the bar is as high as it must be"


@given(st.floats(0, 10**7), st.floats(0, 10**7))
def test_a_longer_time_stands_further_right(one: float, other: float) -> None:
    first, second = sorted((one, other))
    assert 0 <= ops_chart.place(first) <= ops_chart.place(second) <= ops_chart.SPAN


class TestWhatCame:
    def test_leads_that_are_open_elsewhere_count(self) -> None:
        """With one destination out of order no lead is finished, and what came last is news all the same."""
        with world(crm=FakeDestination(), chat=FakeDestination(always=failing(Misconfigured))) as made:
            accept.receive(made.app, post(), made.now)
            made.live(minutes=10)
            came = ops_counts.count(made.app, made.now).came
        assert came.offers["Contoso Planner"].last == NOON
        assert (dict(came.countries), dict(came.stages)) == ({"US": 1}, {"initial_interest": 1})
        assert came.places["crm"].median is not None
        assert came.places["chat"].median is None

    def test_nothing_reads_finished_leads(self) -> None:
        """Figures come from the rows that the sweep keeps: without any lead and any day line they are the same."""
        with world() as made:
            for number in range(5):
                accept.receive(made.app, post(userDetails={"email": f"{number}@contoso.com"}), made.now)
            made.live(hours=3)
            before = ops_counts.count(made.app, made.now)
            made.store.tables["leads"].clear()
            made.store.tables["journal"].clear()
            assert ops_counts.count(made.app, made.now) == before
        assert before.came.places["crm"].took.total() == 5


class TestOpenOverTime:
    def test_the_sweep_keeps_the_most_of_each_day(self) -> None:
        crm = FakeDestination(always=failing(Misconfigured))
        with world(crm=crm) as made:
            for number in range(3):
                accept.receive(made.app, post(userDetails={"email": f"{number}@contoso.com"}), made.now)
            made.live(minutes=10)
            crm.always = None
            made.live(hours=26)
            counts = ops_counts.count(made.app, made.now)
            assert counts.opened[-2:] == (3, 0)
            assert counts.opened[-3] is None, "before the first sweep nothing is known"
            accept.receive(made.app, post(), made.now)
            assert ops_counts.count(made.app, made.now).opened[-1] == 1, "also what no sweep has seen yet"

    def test_what_is_kept_is_bounded(self) -> None:
        values: dict[str, Value] = {}
        for number in range(500):
            counting.note_open(values, number % 7, NOON + timedelta(days=number))
        assert len(counting.opened(values)) == counting.OPENED_DAYS
        assert max(counting.opened(values)) == f"{NOON + timedelta(days=499):%Y-%m-%d}"
