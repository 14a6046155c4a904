"""What a lead and a look may cost in operations of storage, with every feature on that could add one."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from dev.standins.partner_center import StandIn, https
from leads import delivery
from leads.contract import Kind
from leads.intake import watch
from leads.intake.accept import receive
from leads.lead import State
from leads.store.ledger import DayLine, Line
from tests.test_cost import Counting
from tests.world import PERSON, FakeDestination, Pager, World, post, row, world

EVERYTHING = {
    "WEBSITE_HOSTNAME": "contoso-leads.azurewebsites.net",
    "LEADS_ROUTES": "+ mark=free > people; offer=contoso* stage=active country=IT > crm,feed; mark=own > none; > crm",
    "LEADS_OWN_DOMAINS": "contoso.net",
    "LEADS_ALERTS": "people",
    "LEADS_STAGES": "XYZ:trial",
    "LEADS_SILENCE": "3",
    "LEADS_TEST_LEADS": "deliver",
    "LEADS_LANGUAGE": "de",
    "LEADS_TIME_ZONE": "Europe/Rome",
}
SOMEBODY = PERSON | {"email": "ada@gmail.com", "country": "Italia"}
PARTS = 3
"""Where the routes send such a lead."""


def busy(center: StandIn) -> Any:
    """A world with everything on, and offers that are looked at."""
    center.account.add("planner", https("https://contoso-leads.azurewebsites.net/api/leads?code=k3y"))
    crm, feed, people = FakeDestination(), FakeDestination(Kind.FEED), Pager()
    return world(environ=EVERYTHING | center.environ(), crm=crm, feed=feed, people=people)


def lead(number: int) -> bytes:
    return post(
        userDetails=SOMEBODY | {"email": f"ada{number}@gmail.com"},
        leadSource="SPZA-PLT|contoso.planner",
        actionCode="PLT",
    )


def counting(w: World) -> Counter[str]:
    counts: Counter[str] = Counter()
    w.app.store, w.app.doorbell = Counting(w.store, counts), Counting(w.bell, counts)
    w.app.__dict__.pop("ledger", None)
    w.app.__dict__.pop("identity", None)
    return counts


def settled(w: World) -> None:
    """A day has passed, so what is done once a day or once in a process's life is done."""
    w.app.inbox.tables["MarketplaceLeads"] = []  # type: ignore[attr-defined]
    receive(w.app, lead(0), w.now)
    w.live(hours=25)
    w.forward(minutes=1)


def test_a_lead_with_everything_on(center: StandIn) -> None:
    with busy(center) as w:
        settled(w)
        counts = counting(w)
        w.app.identity  # noqa: B018 - read once in a process's life
        receive(w.app, lead(1), w.now)  # and so are the offers
        counts.clear()
        receive(w.app, lead(2), w.now)
        assert counts["queue"] == PARTS
        assert counts.total() <= 5 + PARTS
        assert counts["rows"] == 0


@pytest.mark.parametrize("destination", ["crm", "feed", "people"])
def test_a_delivery_with_everything_on(center: StandIn, destination: str) -> None:
    with busy(center) as w:
        settled(w)
        lead_id = receive(w.app, lead(3), w.now).id
        counts = counting(w)
        delivery.deliver(w.app, lead_id, destination, w.now)
        spent = counts.total() - counts["rows"]
        done = w.app.ledger.delivery(lead_id, destination)
        assert done
        assert done.state == State.DELIVERED
        assert spent <= 3 + (destination == "people"), "and once a minute whether people are flooded"


def test_a_look_at_nothing_with_everything_on(center: StandIn) -> None:
    with busy(center) as w:
        for number in range(3000):
            at = w.now - timedelta(hours=number % 700, days=1)
            states = {"crm": State.DELIVERED}
            line = DayLine(f"{number:016x}-{number:016x}", f"{at:%Y/%m/%d}/{number:016x}.json", at, states)
            w.app.ledger.close(Line(line.lead_id, line.raw, at), line, w.now)
        settled(w)
        costs = []
        for _ in range(24):
            watch.watch(w.app, w.now)
            counts = counting(w)
            w.sweep()
            costs.append((counts.total() - counts["rows"], counts["rows"]))
            w.forward(minutes=5)
        calls, rows = sorted(calls for calls, _ in costs), [rows for _, rows in costs]
        assert calls[len(calls) // 2] <= 7
        assert sum(rows) <= 24, "what is due of the offers, and nothing of the past"


def test_a_run_of_the_watch_with_everything_on(center: StandIn) -> None:
    with busy(center) as w:
        settled(w)
        counts: Counter[str] = Counter()
        w.app.store, w.app.inbox = Counting(w.store, counts), Counting(w.inbox, counts)
        w.app.doorbell = Counting(w.bell, counts)
        w.app.__dict__.pop("ledger", None)
        watch.watch(w.app, w.now)
        nothing = counts.total() - counts["rows"]
        assert nothing <= 7
        counts.clear()
        w.inbox.tables["MarketplaceLeads"] = [row("new", w.now)]
        w.forward(minutes=1)
        watch.watch(w.app, w.now)
        assert counts["queue"] == 1, "it goes to the CRM alone"
        assert counts.total() - counts["rows"] - nothing <= 5 + 1 + 2, (
            "as by HTTPS, a look whether it is known, a watermark"
        )
