"""What the sweep learns of offers and of how often leads come, and what it tells of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dev.standins.partner_center import Offer as Entry
from dev.standins.partner_center import StandIn, dynamics, https, table
from leads import offers
from leads.contract import Kind
from leads.errors import Failure, Misconfigured, Rejected
from leads.intake import accept, watch
from leads.messages.alert import Alert
from leads.offers import Offer
from leads.store.ledger import STATE
from leads.store.protocol import Row
from leads.sweep import drift, silence
from leads.sweep.silence import Arrivals
from tests.world import FakeDestination, World, post, row, world

HOST = "contoso-leads.azurewebsites.net"


@dataclass
class Pager(FakeDestination):
    """A notification destination that takes alerts."""

    KIND: Kind = Kind.NOTIFICATION
    alerts: list[Alert] = field(default_factory=list)
    refuse: Failure | None = None

    def alert(self, alert: Alert, *_: object) -> None:
        if self.refuse:
            raise self.refuse
        self.alerts.append(alert)


def made(environ: dict[str, str]) -> Iterator[World]:
    with world(environ={"WEBSITE_HOSTNAME": HOST, **environ}, crm=FakeDestination(), mail=Pager()) as one:
        watch.watch(one.app, one.now)
        yield one


@pytest.fixture
def w() -> Iterator[World]:
    yield from made({})


@pytest.fixture
def watched(center: StandIn) -> Iterator[World]:
    yield from made(center.environ())


def told(w: World, *kinds: str) -> list[tuple[str, str]]:
    """Kind of each alert of these kinds, and the destination or subject that it is about."""
    return [(alert.kind, alert.destination or alert.subject) for alert in pager(w).alerts if alert.kind in kinds]


def pager(w: World) -> Pager:
    mail = w.places["mail"]
    assert isinstance(mail, Pager)
    return mail


def known(w: World) -> dict[str, Offer]:
    return {offer.offer_id: offer for offer in offers.known(w.app.ledger)}


def hours(w: World, count: int) -> None:
    for _ in range(count):
        w.forward(hours=1)
        watch.watch(w.app, w.now)
        w.sweep()


def add_here(center: StandIn, offer_id: str, **more: Any) -> Entry:
    return center.account.add(offer_id, https(f"https://{HOST}/api/leads?code=k3y"), **more)


# One look at one offer in each sweep


def test_without_settings_nothing_is_asked_and_nothing_kept(w: World, center: StandIn) -> None:
    w.sweep()
    assert center.calls == []
    assert w.app.store.get(STATE, STATE, drift.NOTE) is None


def test_each_sweep_looks_at_one_offer_until_all_are_seen(watched: World, center: StandIn) -> None:
    for number in range(5):
        add_here(center, f"offer-{number}")
    add_here(center, "gone", deprecated=True)
    for count in range(1, 6):
        watched.sweep()
        assert sum(offer.looked_at is not None for offer in known(watched).values()) == count
        watched.forward(minutes=5)
    trees = [call for call in center.calls if "resource-tree" in call.path]
    lists = [call for call in center.calls if call.path.endswith("/product") and "$version" in call.query]
    watched.sweep()
    assert (len(trees), len(lists)) == (5, 1)
    assert [call for call in center.calls if "resource-tree" in call.path] == trees
    assert known(watched)["gone"].looked_at is None
    assert known(watched)["offer-0"].title == "Offer-0"


def test_offers_that_come_go_and_change_their_name_are_followed(watched: World, center: StandIn) -> None:
    add_here(center, "planner")
    add_here(center, "board")
    watched.sweep()
    del center.account.offers[1]
    center.account.offers[0].alias = "Planner 2"
    add_here(center, "draw")
    hours(watched, 1)
    assert sorted(known(watched)) == ["draw", "planner"]
    assert known(watched)["planner"].alias == "Planner 2"


def test_drift_is_told_once_for_each_change_and_once_when_it_is_well(watched: World, center: StandIn) -> None:
    entry = add_here(center, "planner")
    hours(watched, 3)
    assert told(watched, "offer", "well") == []
    entry.leads["live"] = dynamics()
    hours(watched, 6)
    assert told(watched, "offer", "well") == [("offer", "Planner")]
    alert = pager(watched).alerts[-1]
    assert "go to Dynamics 365 (contoso.crm4.dynamics.com), not to this app" in alert.cause
    assert "connect" in alert.remedy
    entry.leads["live"] = {"leadDestination": "none"}
    hours(watched, 6)
    entry.leads["live"] = entry.leads["draft"]
    hours(watched, 6)
    assert told(watched, "offer", "well") == [("offer", "Planner"), ("offer", "Planner"), ("well", "Planner")]


def test_a_draft_that_waits_is_told_after_a_week_and_what_cannot_be_compared_never(
    watched: World, center: StandIn
) -> None:
    entry = add_here(center, "planner")
    center.account.add("board", table("elsewhere"))
    hours(watched, 2)
    entry.leads["draft"] = dynamics()
    hours(watched, 24 * 6)
    assert told(watched, "offer") == []
    hours(watched, 30)
    assert told(watched, "offer") == [("offer", "Planner")]
    assert 'Press "Review and publish"' in pager(watched).alerts[-1].remedy
    center.account.publish(entry)
    center.account.publish(entry, "live")
    hours(watched, 2)
    assert told(watched, "offer") == [("offer", "Planner")] * 2, "published: now it goes elsewhere"


def test_what_nobody_took_is_told_again(watched: World, center: StandIn) -> None:
    center.account.add("planner", dynamics())
    pager(watched).refuse = Rejected("No.", "")
    hours(watched, 2)
    pager(watched).refuse = None
    hours(watched, 2)
    assert told(watched, "offer") == [("offer", "Planner")]
    hours(watched, 3)
    assert told(watched, "offer") == [("offer", "Planner")]


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_partner_center_out_of_order_disturbs_nothing_and_is_noted(
    watched: World, center: StandIn, status: int
) -> None:
    add_here(center, "planner")
    watched.sweep()
    before = known(watched)["planner"]
    center.fail(status, times=100)
    receipt = accept.receive(watched.app, post(), watched.now)
    watched.drain()
    hours(watched, 2)
    assert watched.app.ledger.open_line(receipt.id) is None, "the lead was closed all the same"
    assert known(watched)["planner"].verdict == before.verdict
    note = watched.app.ledger.note(drift.NOTE).values
    assert note["cause"]
    assert note["remedy"]
    assert told(watched, "offer") == []
    center._server.failures.clear()
    hours(watched, 1)
    assert watched.app.ledger.note(drift.NOTE).values["cause"] == ""


def test_no_key_is_kept_or_told(watched: World, center: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    center.account.add("planner", https("https://hooks.example/SECRETPATH?code=SECRETKEY"))
    center.account.add("board", table("other", "U0VDUkVULVNFQ1JFVC1TRUNSRVQtU0VDUkVULVNFQ1JFVA=="))
    hours(watched, 3)
    assert told(watched, "offer") == [("offer", "Planner")]
    kept = f"{list(watched.store.tables.items())}{pager(watched).alerts}{caplog.text}"
    assert "SECRET" not in kept.replace("CLIENT_SECRET", "")
    assert "U0VDUkV" not in kept


def test_a_sweep_with_nothing_to_look_at_costs_one_read(
    watched: World, center: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_here(center, "planner")
    add_here(center, "gone", deprecated=True)
    watched.sweep()
    watched.forward(minutes=5)
    calls, before = len(center.calls), watched.app.ledger.note(drift.NOTE).etag
    reads = noted(watched, monkeypatch)
    watched.sweep()
    assert len(center.calls) == calls
    assert [args[2] for args in reads if args[0] == STATE and ("offer" in args[2] or args[2] == drift.NOTE)] == [
        drift.NOTE
    ]
    assert watched.app.ledger.note(drift.NOTE).etag == before


# Titles fill the offer of a lead


def teach(w: World, *entries: Offer) -> None:
    for entry in entries:
        offers.keep(w.app.ledger, entry)


PLANNER = Offer("guid-1", "planner", titles=(("en-us", "Contoso Planner"), ("de-de", "Contoso Planer")))


def accepted(w: World, **changes: object) -> tuple[str, str, tuple[str, ...]]:
    receipt = accept.receive(w.app, post(**changes), w.now)
    case = w.app.ledger.case(receipt.id)
    assert case
    return case.lead.offer, case.lead.offer_title, case.lead.issues


def test_a_lead_by_https_gets_the_id_of_the_one_offer_with_its_title() -> None:
    with world(environ={"PARTNER_CENTER_PUBLISHER": "Contoso"}) as w:
        teach(w, PLANNER)
        assert accepted(w, offerTitle="CONTOSO planer") == ("contoso.planner", "CONTOSO planer", (offers.BY_TITLE,))
        assert accepted(w, offerTitle="Contoso Board") == ("", "Contoso Board", ())
        lead = accepted(w, leadSource="SPZA-PLT|fabrikam.draw")
        assert lead[0] == "fabrikam.draw"


def test_without_a_publisher_it_is_what_the_leads_of_the_table_named(watched: World, center: StandIn) -> None:
    w = watched
    add_here(center, "planner", titles={"en-us": "Contoso Planner"})
    w.sweep()
    assert accepted(w)[0] == ""
    w.inbox.tables["MarketplaceLeads"] = [row("1", w.now, ProductId="Contoso.planner")]
    watch.watch(w.app, w.now)
    w.drain()
    w.sweep()
    assert known(w)["planner"].publishers == ("contoso",)
    assert known(w)["planner"].last_by_table_at == w.now
    w.forward(minutes=11)
    assert accepted(w, description="again")[0] == "contoso.planner"


def test_without_a_setting_that_asks_for_it_intake_does_not_look(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    teach(w, replace(PLANNER, publishers=("contoso",)))
    reads = noted(w, monkeypatch)
    assert accepted(w)[0] == ""
    assert not [args for args in reads if offers.PREFIX in args]


def test_a_list_that_cannot_be_read_costs_no_lead(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    w.app.environ = {**w.app.environ, "PARTNER_CENTER_PUBLISHER": "contoso"}
    teach(w, PLANNER)
    broken = w.app.store.get(STATE, STATE, "offer:guid-1")
    assert broken
    w.app.store.upsert(STATE, replace(broken, values={**broken.values, "titles": "no JSON"}))
    assert accepted(w)[:2] == ("", "Contoso Planner")
    w.sweep()

    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(offers, "known", fail)
    w.forward(minutes=11)
    assert accepted(w, description="again")[:2] == ("", "Contoso Planner")


def test_a_row_that_cannot_be_read_is_written_anew_by_the_next_look(watched: World, center: StandIn) -> None:
    entry = add_here(center, "planner")
    watched.app.store.upsert(STATE, Row(STATE, f"offer:{entry.id}", {"titles": "no JSON", "looked_at": "yesterday"}))
    watched.sweep()
    assert known(watched)["planner"].title == "Planner"


def test_a_bug_in_the_look_is_noted_and_the_sweep_counts_as_done(
    watched: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(drift, "take_list", fail)
    watched.sweep()
    assert "ZeroDivisionError" in str(watched.app.ledger.note(drift.NOTE).values["cause"])


def noted(w: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What is read of the tables from now on: table, partition, and key or first key."""
    reads: list[tuple[str, ...]] = []

    def note(real: Callable[..., Any]) -> Callable[..., Any]:
        def read(*args: str, **more: Any) -> Any:
            reads.append(args)
            return real(*args, **more)

        return read

    for name in ("rows", "get"):
        monkeypatch.setattr(w.store, name, note(getattr(w.store, name)))
    return reads


def test_the_list_is_read_once_in_ten_minutes(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    w.app.environ = {**w.app.environ, "PARTNER_CENTER_PUBLISHER": "contoso"}
    reads = noted(w, monkeypatch)
    for number in range(5):
        accepted(w, description=str(number))
        w.forward(minutes=3)
    assert len([args for args in reads if args[0] == STATE and offers.PREFIX in args]) == 2


# Arrivals and silence


def come(w: World, name: str, **changes: object) -> None:
    accept.receive(w.app, post(description=name, **changes), w.now)
    w.drain()
    w.sweep()


def days(w: World, count: int) -> None:
    for _ in range(count):
        w.forward(days=1)
        watch.watch(w.app, w.now)
        w.sweep()


def test_silence_is_told_once_and_that_leads_come_again(w: World) -> None:
    for number in range(12):
        come(w, str(number))
        days(w, 1)
    assert told(w, "silence", "well") == []
    days(w, 2)
    assert told(w, "silence") == [("silence", "marketplace")]
    alert = pager(w).alerts[-1] if pager(w).alerts[-1].kind == "silence" else pager(w).alerts[-2]
    assert alert.cause.startswith("No lead has come for 2 whole days")
    days(w, 20)
    assert told(w, "silence") == [("silence", "marketplace")]
    come(w, "at last")
    days(w, 1)
    assert told(w, "silence", "well") == [("silence", "marketplace"), ("well", "marketplace")]
    days(w, 1)
    assert len(told(w, "well")) == 1


def test_tests_and_imports_end_no_silence_and_off_means_off() -> None:
    for environ, expected in (({}, 1), ({"LEADS_SILENCE": "off"}, 0), ({"LEADS_SILENCE": "30"}, 0)):
        for one in made(environ):
            come(one, "1")
            days(one, 4)
            come(one, "2", userDetails={"firstName": "MSFT_TEST_636573304831318844"})
            days(one, 6)
            assert len(told(one, "silence")) == expected


def test_an_offer_with_ten_leads_is_watched_by_itself(w: World) -> None:
    teach(w, PLANNER, Offer("guid-2", "board", titles=(("en-us", "Contoso Board"),)))
    for number in range(11):
        come(w, f"planner {number}")
        w.forward(hours=2)
    come(w, "board", offerTitle="Contoso Board")
    for number in range(4):
        days(w, 1)
        come(w, f"stranger {number}", offerTitle="Nobody's")
    days(w, 1)
    assert told(w, "silence") == [("silence", "Contoso Planner")]
    assert known(w)["planner"].last_at is not None
    assert Arrivals.read(known(w)["board"].arrivals).counts.keys() == {datetime(2026, 11, 22, tzinfo=UTC).date()}


def test_a_lead_that_is_looked_at_often_counts_once(w: World) -> None:
    w.places["crm"].always = Misconfigured("No.", "Correct it.")
    accept.receive(w.app, post(), w.now)
    for _ in range(5):
        w.drain()
        w.sweep()
        w.forward(minutes=20)
    kept = Arrivals.read(str(w.app.ledger.note(silence.NOTE).values[silence.NOTE]))
    assert list(kept.counts.values()) == [1]


def test_a_sweep_without_new_leads_reads_nothing_more(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    come(w, "1")
    w.forward(minutes=5)
    reads = noted(w, monkeypatch)
    w.sweep()
    assert not [args for args in reads if silence.NOTE in args or offers.PREFIX in args]


# Well again


def test_a_lead_that_was_refused_says_nothing_about_its_destination(w: World) -> None:
    w.places["crm"].failures = [Rejected("No such country.", "Correct it.")]
    accept.receive(w.app, post(), w.now)
    w.live(hours=1)
    accept.receive(w.app, post(description="good"), w.now)
    w.live(hours=2)
    assert told(w, "dead", "well") == [("dead", "crm")]
