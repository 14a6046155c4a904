"""What the sweep finds and mends, from stored state only."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest

from leads import intake, purge, watch
from leads.alerts import Alert
from leads.destinations import Kind, email
from leads.errors import Failure, Misconfigured, Rejected, Transient
from leads.lead import Via
from leads.ledger import GONE, Line
from tests.world import FakeDestination, World, failing, post, world


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


@pytest.fixture
def w() -> Iterator[World]:
    with world(crm=FakeDestination(), mail=Pager()) as made:
        watch.watch(made.app, made.now)
        yield made


def alerts(w: World) -> list[Alert]:
    mail = w.places["mail"]
    assert isinstance(mail, Pager)
    return mail.alerts


def open_lines(w: World) -> int:
    return len(list(w.app.ledger.open_lines()))


def test_a_finished_lead_is_closed_into_its_day(w: World) -> None:
    receipt = intake.receive(w.app, post(), w.now)
    w.drain()
    w.sweep()
    assert open_lines(w) == 0
    (line,) = w.app.ledger.day_lines("2026-11-21")
    assert (line.key, line.values["to_crm"], line.values["stage"]) == (receipt.id, "delivered", "initial_interest")


def test_lost_messages_are_rung_again_once_an_hour(w: World) -> None:
    w.places["crm"].always = w.places["mail"].always = failing(Transient)
    intake.receive(w.app, post(), w.now)
    w.bell.waiting.clear()
    w.sweep()
    assert w.bell.waiting == [], "nothing is overdue yet"
    w.forward(minutes=3)
    w.sweep()
    assert len(w.bell.waiting) == 2
    w.bell.waiting.clear()
    w.forward(minutes=50)
    w.sweep()
    assert w.bell.waiting == []
    w.forward(minutes=11)
    w.sweep()
    assert len(w.bell.waiting) == 2


def test_raw_bytes_that_never_became_an_event_are_accepted_within_the_hour(w: World) -> None:
    w.sweep()
    event, raw = intake._event_of_post(w.app, post(), w.now)
    w.app.ledger.keep_raw(raw, post(), Via.HTTPS, w.now)
    w.forward(minutes=61)
    w.sweep()
    (lead_id,) = w.ids()
    assert lead_id.endswith(event)
    case = w.app.ledger.case(lead_id)
    assert case
    assert case.lead.arrived_at == w.now - timedelta(minutes=61)


def test_an_open_line_without_its_event_is_finished_by_the_next_sweep(w: World) -> None:
    event, raw = intake._event_of_post(w.app, post(), w.now)
    w.app.ledger.keep_raw(raw, post(), Via.HTTPS, w.now)
    lead = intake._lead(w.app, event, raw, Via.HTTPS, post(), w.now)
    w.app.ledger.open(Line(lead.id, raw, w.now))
    w.sweep()
    assert w.ids() == [lead.id]
    w.live(minutes=10)
    assert w.states() == {"crm": "delivered", "mail": "delivered"}


def test_a_dead_delivery_is_told_once_with_cause_remedy_and_command(w: World) -> None:
    w.places["crm"].always = failing(Rejected)
    for offer in "abc":
        intake.receive(w.app, post(offerTitle=offer), w.now)
    w.live(hours=30)
    assert [(a.kind, a.subject, a.count) for a in alerts(w) if a.kind == "dead"] == [("dead", "crm", 3)]
    alert = alerts(w)[0]
    assert (alert.cause, alert.remedy) == ("It did not work.", "Mend it.")
    assert alert.command == "python -m leads replay --dead --destination crm"
    assert open_lines(w) == 0


def test_a_dead_lead_stays_open_until_somebody_took_the_alert(w: World) -> None:
    mail = w.places["mail"]
    assert isinstance(mail, Pager)
    w.places["crm"].always = failing(Rejected)
    mail.refuse = failing(Transient)
    intake.receive(w.app, post(), w.now)
    w.live(hours=3)
    assert open_lines(w) == 1
    mail.refuse = None
    w.live(hours=2)
    assert (len(alerts(w)), open_lines(w)) == (1, 0)


def test_an_alert_about_a_destination_does_not_go_through_it(w: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    w.places["mail"].always = failing(Misconfigured)
    intake.receive(w.app, post(), w.now)
    w.live(minutes=10)
    assert alerts(w) == []
    told = [json.loads(r.message) for r in caplog.records if '"event": "alert"' in r.message]
    assert [(event["kind"], event["subject"]) for event in told] == [("misconfigured", "mail")]


def test_a_misconfigured_destination_is_told_at_the_first_attempt_and_again_after_a_day(w: World) -> None:
    w.places["crm"].always = failing(Misconfigured)
    intake.receive(w.app, post(), w.now)
    w.live(minutes=6)
    assert [(a.kind, a.count) for a in alerts(w)] == [("misconfigured", 1)]
    w.live(hours=23)
    assert len(alerts(w)) == 1
    w.live(hours=3)
    assert [a.kind for a in alerts(w) if a.kind == "misconfigured"] == ["misconfigured"] * 2


def test_a_thousand_dead_leads_make_one_alert(w: World) -> None:
    w.places["crm"].always = failing(Rejected)
    for number in range(1000):
        intake.receive(w.app, post(userDetails={"email": f"{number}@contoso.com"}), w.now)
    w.live(minutes=30)
    assert [(a.kind, a.count) for a in alerts(w)] == [("dead", 1000)]


def test_quarantine_is_told_once(w: World) -> None:
    for body in (b"{", b"[]"):
        with pytest.raises(intake.NotALead):
            intake.receive(w.app, body, w.now)
    w.live(hours=3)
    assert [(a.kind, a.count) for a in alerts(w) if a.kind == "quarantine"] == [("quarantine", 2)]
    with pytest.raises(intake.NotALead):
        intake.receive(w.app, b"more", w.now)
    w.live(minutes=10)
    assert [(a.kind, a.count) for a in alerts(w) if a.kind == "quarantine"] == [("quarantine", 2), ("quarantine", 1)]


def test_a_silent_watch_is_told(w: World) -> None:
    w.forward(minutes=14)
    w.sweep()
    assert alerts(w) == []
    w.forward(minutes=2)
    w.sweep()
    assert [(a.kind, a.subject) for a in alerts(w)] == [("watch_silent", "MarketplaceLeads")]
    w.live(hours=5)
    assert len(alerts(w)) == 1


def test_wrong_settings_are_told_together() -> None:
    with world(mail=Pager(), environ={"LEADS_BACKFILL_DAYS": "x", "LEADS_TEST_LEADS": "y"}) as w:
        w.sweep()
        (alert,) = alerts(w)
        assert (alert.kind, alert.count) == ("settings", 2)
        assert "LEADS_BACKFILL_DAYS" in alert.remedy
        assert "LEADS_TEST_LEADS" in alert.remedy


def test_the_digest_is_sent_once_a_day_with_the_leads_of_the_day_before(monkeypatch: pytest.MonkeyPatch) -> None:
    days: list[tuple[date, int]] = []
    monkeypatch.setattr(
        email, "send_digest", lambda leads, day, *_: days.append((day, len(leads))) or bool(leads), raising=True
    )
    settings = {
        "LEADS_DESTINATIONS": "crm,email",
        "EMAIL_DIGEST": "daily",
        "EMAIL_TO": "sales@contoso.com",
        "EMAIL_FROM": "leads@contoso.com",
        "EMAIL_SMTP_URL": "smtp://localhost:25",
    }
    monkeypatch.setattr(email, "send", lambda *_: "sent")
    with world(crm=FakeDestination(), environ=settings) as w:
        intake.receive(w.app, post(), w.now)
        w.live(hours=6)
        intake.receive(w.app, post(offerTitle="Viewer"), w.now)
        w.live(days=2)
    assert days == [(date(2026, 11, 20), 0), (date(2026, 11, 21), 2), (date(2026, 11, 22), 0)]


def test_a_replay_between_looking_and_closing_wins(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    receipt = intake.receive(w.app, post(), w.now)
    w.drain()
    close = w.app.ledger.close

    def replayed_first(line: Line, summary: dict[str, str]) -> None:
        w.app.ledger.open(line)
        close(line, summary)

    monkeypatch.setattr(w.app.ledger, "close", replayed_first)
    w.sweep()
    assert w.app.ledger.open_line(receipt.id) is not None


def test_more_open_leads_than_one_run_looks_at_are_all_looked_at(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leads.sweep.LINES_PER_RUN", 4)
    for number in range(10):
        intake.receive(w.app, post(offerTitle=str(number)), w.now)
    w.drain()
    for _ in range(3):
        w.sweep()
    assert open_lines(w) == 0


def test_retention_ends_a_lead_but_not_the_memory_of_its_event(w: World) -> None:
    receipt = intake.receive(w.app, post(), w.now)
    w.live(minutes=10)
    arrived = w.now
    w.forward(days=364)
    w.sweep()
    assert w.ids() == [receipt.id]
    w.forward(days=3)
    w.sweep()
    assert w.ids() == []
    assert w.store.containers["raw"] == {}
    assert list(w.app.ledger.day_lines("2026-11-21")) == []
    seen = w.app.ledger.seen(receipt.id[17:])
    assert seen
    assert seen.fate == GONE
    assert intake.receive(w.app, post(), arrived).repeated
    assert w.ids() == []


def test_purge_leaves_an_open_lead_alone(w: World) -> None:
    receipt = intake.receive(w.app, post(), w.now)
    w.live(minutes=10)
    w.app.ledger.open(Line(receipt.id, "", w.now))
    w.forward(days=400)
    assert purge.purge(w.app, w.now) == 0
    assert w.ids() == [receipt.id]


def test_bytes_that_came_back_after_forgetting_are_deleted_again(w: World) -> None:
    receipt = intake.receive(w.app, post(), w.now)
    w.live(minutes=70)
    raw = next(iter(w.store.containers["raw"]))
    purge.erase(w.app, receipt.id, "2026-11-21", raw, w.now)
    w.app.ledger.keep_raw(raw, post(), Via.HTTPS, w.now)
    w.live(minutes=70)
    assert w.store.containers["raw"] == {}
    assert w.ids() == []
