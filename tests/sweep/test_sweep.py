"""What the sweep finds and mends, from stored state only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from leads import settings
from leads.destinations import email
from leads.errors import Misconfigured, Rejected, Transient
from leads.intake import accept, payload, watch
from leads.lead import Lead, Via
from leads.messages.alert import Alert
from leads.operate import health
from leads.store.ledger import GONE, DayLine, Line, Seen
from leads.sweep import digest, purge, raws
from tests.world import FakeDestination, Pager, World, failing, post, world


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
    receipt = accept.receive(w.app, post(), w.now)
    w.drain()
    w.sweep()
    assert open_lines(w) == 0
    (line,) = w.app.ledger.day_lines("2026-11-21")
    assert (line.lead_id, line.states, line.stage) == (
        receipt.id,
        {"crm": "delivered", "mail": "delivered"},
        "initial_interest",
    )
    assert line.seconds == {"crm": 0.0, "mail": 0.0}


def test_lost_messages_are_rung_again_once_an_hour(w: World) -> None:
    w.places["crm"].always = w.places["mail"].always = failing(Transient)
    accept.receive(w.app, post(), w.now)
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
    event, raw = accept._event_of_post(w.app, post(), payload.read(post()), w.now)
    w.app.ledger.keep_raw(raw, post(), Via.HTTPS, w.now)
    w.forward(minutes=61)
    w.sweep()
    (lead_id,) = w.ids()
    assert lead_id.endswith(event)
    case = w.app.ledger.case(lead_id)
    assert case
    assert case.lead.arrived_at == w.now - timedelta(minutes=61)


def test_an_open_line_without_its_event_is_finished_by_the_next_sweep(w: World) -> None:
    event, raw = accept._event_of_post(w.app, post(), payload.read(post()), w.now)
    w.app.ledger.keep_raw(raw, post(), Via.HTTPS, w.now)
    lead = accept._lead(w.app, event, raw, Via.HTTPS, post(), w.now)
    w.app.ledger.open(Line(lead.id, raw, w.now))
    w.sweep()
    assert w.ids() == [lead.id]
    w.live(minutes=10)
    assert w.states() == {"crm": "delivered", "mail": "delivered"}


def test_a_dead_delivery_is_told_once_with_cause_remedy_and_command(w: World) -> None:
    w.places["crm"].always = failing(Rejected)
    for offer in "abc":
        accept.receive(w.app, post(offerTitle=offer), w.now)
    w.live(hours=30)
    assert [(a.kind, a.subject, a.count) for a in alerts(w) if a.kind == "dead"] == [("dead", "Fake", 3)]
    alert = alerts(w)[0]
    assert (alert.cause, alert.remedy) == ("It did not work.", "Correct it.")
    assert alert.command == "python -m leads replay --dead --destination crm"
    assert open_lines(w) == 0


def test_a_dead_lead_stays_open_until_somebody_took_the_alert(w: World) -> None:
    mail = w.places["mail"]
    assert isinstance(mail, Pager)
    w.places["crm"].always = failing(Rejected)
    mail.refuse = failing(Transient)
    accept.receive(w.app, post(), w.now)
    w.live(hours=3)
    assert open_lines(w) == 1
    mail.refuse = None
    w.live(hours=2)
    assert (len(alerts(w)), open_lines(w)) == (1, 0)


def test_a_channel_in_trouble_is_tried_last_and_never_left_out() -> None:
    order: list[str] = []

    @dataclass
    class Named(Pager):
        name: str = ""

        def alert(self, alert: Alert, *details: object) -> None:
            order.append(self.name)
            super().alert(alert, *details)

    sick = Named(name="sick", always=failing(Misconfigured))
    with world(crm=FakeDestination(), sick=sick, well=Named(name="well")) as w:
        accept.receive(w.app, post(), w.now)
        w.live(minutes=10)
    assert order == ["well", "sick"]
    assert [(a.kind, a.destination) for a in sick.alerts] == [("misconfigured", "sick")]


def test_a_misconfigured_destination_is_taken_at_the_first_attempt_and_again_after_a_day(w: World) -> None:
    w.places["crm"].always = failing(Misconfigured)
    accept.receive(w.app, post(), w.now)
    w.live(minutes=6)
    assert [(a.kind, a.count) for a in alerts(w)] == [("misconfigured", 1)]
    w.live(hours=23)
    assert len(alerts(w)) == 1
    w.live(hours=3)
    assert [a.kind for a in alerts(w) if a.kind == "misconfigured"] == ["misconfigured"] * 2


def test_a_thousand_dead_leads_make_one_alert(w: World) -> None:
    w.places["crm"].always = failing(Rejected)
    for number in range(1000):
        accept.receive(w.app, post(userDetails={"email": f"{number}@contoso.com"}), w.now)
    w.live(minutes=30)
    assert [(a.kind, a.count) for a in alerts(w) if a.destination == "crm"] == [("dead", 1000)]


def test_quarantine_is_told_once(w: World) -> None:
    for body in (b"{", b"[]"):
        with pytest.raises(accept.NotALead):
            accept.receive(w.app, body, w.now)
    w.live(hours=3)
    assert [(a.kind, a.count) for a in alerts(w) if a.kind == "quarantine"] == [("quarantine", 2)]
    with pytest.raises(accept.NotALead):
        accept.receive(w.app, b"more", w.now)
    w.live(minutes=10)
    assert [(a.kind, a.count) for a in alerts(w) if a.kind == "quarantine"] == [("quarantine", 2), ("quarantine", 1)]


def only_sweeps(w: World, minutes: int) -> None:
    """Let time pass in which sweeps run and nothing else does."""
    for _ in range(0, minutes, 5):
        w.sweep()
        w.forward(minutes=5)
    w.sweep()


def test_a_silent_watch_is_told(w: World) -> None:
    only_sweeps(w, 15)
    assert alerts(w) == []
    only_sweeps(w, 5)
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

    def noting(leads: tuple[Lead, ...], day: date, *_: object) -> bool:
        days.append((day, len(leads)))
        return bool(leads)

    monkeypatch.setattr(email, "send_digest", noting)
    environ = {
        "LEADS_DESTINATIONS": "crm,email",
        "EMAIL_DIGEST": "daily",
        "EMAIL_TO": "sales@contoso.com",
        "EMAIL_FROM": "leads@contoso.com",
        "EMAIL_SMTP_URL": "smtp://localhost:25",
    }
    monkeypatch.setattr(email, "send", lambda *_: "sent")
    with world(crm=FakeDestination(), environ=environ) as w:
        accept.receive(w.app, post(), w.now)
        w.live(hours=6)
        accept.receive(w.app, post(offerTitle="Viewer"), w.now)
        w.live(days=2)
    assert days == [(date(2026, 11, 20), 0), (date(2026, 11, 21), 2), (date(2026, 11, 22), 0)]


DIGEST_ONLY = {
    "LEADS_DESTINATIONS": "crm,email",
    "LEADS_ROUTES": "> crm",
    "EMAIL_DIGEST": "daily",
    "EMAIL_TO": "sales@contoso.com",
    "EMAIL_FROM": "leads@contoso.com",
    "EMAIL_SMTP_URL": "smtp://localhost:25",
}
"""A CRM gets every lead, and people the digest only."""


def test_no_number_of_test_leads_hides_the_leads_of_a_day_from_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    mails: list[Any] = []
    monkeypatch.setattr(email, "_post", lambda mail, *_: mails.append(mail))
    monkeypatch.setattr(digest, "READ", 10)
    with world(crm=FakeDestination(), environ=DIGEST_ONLY) as w:
        for number in range(12):
            accept.receive(w.app, post(description=f"MSFT_TEST_{number:018}"), w.now)
        w.forward(minutes=1)
        accept.receive(w.app, post(), w.now)
        w.drain()
        w.sweep()
        w.forward(hours=20)
        w.sweep()
    (mail,) = mails
    assert mail["Subject"].endswith("1")


def test_a_digest_of_a_flood_reads_some_leads_and_counts_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host kills a sweep after five minutes, whatever the digest still has to read."""
    mails: list[Any] = []
    monkeypatch.setattr(email, "_post", lambda mail, *_: mails.append(mail))
    with world(crm=FakeDestination(), environ=DIGEST_ONLY) as w:
        for number in range(1200):
            accept.receive(w.app, post(userDetails={"email": f"p{number}@contoso.com"}), w.now)
        w.drain()
        w.forward(hours=1)
        w.sweep()
        w.forward(hours=19)
        read: list[str] = []
        case = w.app.ledger.case
        monkeypatch.setattr(w.app.ledger, "case", lambda lead_id: (read.append(lead_id), case(lead_id))[1])  # type: ignore[func-returns-value]
        w.sweep()
    (mail,) = mails
    assert mail["Subject"].endswith("1200")
    assert len(read) <= 1000


def test_a_bug_in_one_digest_does_not_send_another_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    def noting(*arguments: Any) -> bool:
        (to,) = next(each for each in arguments if isinstance(each, email.Settings)).addresses
        if to == "b@contoso.com":
            raise ValueError("a bug of ours")
        sent.append(to)
        return True

    monkeypatch.setattr(email, "send_digest", noting)
    environ = {"LEADS_DESTINATIONS": "email:a,email:b,email:c"}
    for name in "abc":
        instance = f"EMAIL_{name.upper()}_"
        environ |= {f"{instance}TO": f"{name}@contoso.com", f"{instance}SMTP_URL": "smtp://localhost:25"}
        environ |= {f"{instance}DIGEST": "daily", f"{instance}FROM": "leads@contoso.com"}
    with world(environ=environ) as w:
        for _ in range(3):
            with pytest.raises(RuntimeError, match="digest"):
                w.sweep()
            w.forward(minutes=5)
    assert sent == ["a@contoso.com", "c@contoso.com"]


def test_a_replay_between_looking_and_closing_wins(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    receipt = accept.receive(w.app, post(), w.now)
    w.drain()
    close = w.app.ledger.close

    def replayed_first(line: Line, summary: DayLine, now: datetime) -> None:
        w.app.ledger.open(line)
        close(line, summary, now)

    monkeypatch.setattr(w.app.ledger, "close", replayed_first)
    w.sweep()
    assert w.app.ledger.open_line(receipt.id) is not None


def test_more_open_leads_than_one_run_looks_at_are_all_looked_at(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leads.sweep.sweep.LINES_PER_RUN", 4)
    for number in range(10):
        accept.receive(w.app, post(offerTitle=str(number)), w.now)
    w.drain()
    for _ in range(3):
        w.sweep()
    assert open_lines(w) == 0


def test_retention_ends_a_lead_but_not_the_memory_of_its_event(w: World) -> None:
    receipt = accept.receive(w.app, post(), w.now)
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
    assert accept.receive(w.app, post(), arrived).repeated
    assert w.ids() == []


def test_purge_leaves_an_open_lead_alone(w: World) -> None:
    receipt = accept.receive(w.app, post(), w.now)
    w.live(minutes=10)
    w.app.ledger.open(Line(receipt.id, "", w.now))
    w.forward(days=400)
    assert purge.purge(w.app, w.now) == 0
    assert w.ids() == [receipt.id]


def test_bytes_that_came_back_after_forgetting_are_deleted_again(w: World) -> None:
    receipt = accept.receive(w.app, post(), w.now)
    w.live(minutes=70)
    raw = next(iter(w.store.containers["raw"]))
    w.app.ledger.erase(receipt.id, "2026-11-21", raw, w.now)
    w.app.ledger.keep_raw(raw, post(), Via.HTTPS, w.now)
    w.live(minutes=70)
    assert w.store.containers["raw"] == {}
    assert w.ids() == []


def test_an_alert_that_nobody_took_is_told_again_in_the_next_hour(w: World) -> None:
    mail = w.places["mail"]
    assert isinstance(mail, Pager)
    mail.refuse = failing(Transient)
    w.forward(minutes=20)
    w.sweep()
    mail.refuse = None
    for _ in range(24):
        w.forward(minutes=10)
        w.sweep()
    assert [a.kind for a in alerts(w)] == ["watch_silent"]


def test_a_second_silence_of_the_watch_within_a_day_is_told_too(w: World) -> None:
    only_sweeps(w, 20)
    w.live(hours=2)
    only_sweeps(w, 180)
    assert [a.kind for a in alerts(w)] == ["watch_silent"] * 2


@pytest.mark.parametrize("away", [timedelta(minutes=20), timedelta(hours=3), timedelta(days=1)])
def test_an_app_that_was_off_blames_no_watch_for_it(w: World, away: timedelta) -> None:
    w.live(minutes=10)
    w.forward(seconds=away.total_seconds())
    w.restart()
    w.sweep()
    w.live(minutes=30)
    assert alerts(w) == []
    only_sweeps(w, 20)
    assert [a.kind for a in alerts(w)] == ["watch_silent"]


def test_other_wrong_settings_are_told_without_waiting_for_the_reminder() -> None:
    with world(mail=Pager(), environ={"LEADS_BACKFILL_DAYS": "x"}) as w:
        w.live(hours=3)
        w.app.settings = settings.read({**w.app.environ, "LEADS_BACKFILL_DAYS": "1", "LEADS_TEST_LEADS": "y"})
        w.live(hours=3)
        assert [a.cause.partition(":")[0] for a in alerts(w)] == ["LEADS_BACKFILL_DAYS", "LEADS_TEST_LEADS"]


def test_what_comes_into_quarantine_where_something_was_taken_out_is_told(w: World) -> None:
    with pytest.raises(accept.NotALead):
        accept.receive(w.app, b"{", w.now)
    w.live(hours=2)
    (name,) = w.store.containers["quarantine"]
    w.store.delete_blob("quarantine", name)
    w.live(hours=2)
    with pytest.raises(accept.NotALead):
        accept.receive(w.app, b"[", w.now)
    w.live(hours=2)
    assert [(a.kind, a.count) for a in alerts(w)] == [("quarantine", 1)] * 2


def test_quarantine_is_told_after_a_weekend_in_which_nobody_took_alerts(w: World) -> None:
    mail = w.places["mail"]
    assert isinstance(mail, Pager)
    w.live(hours=1)
    mail.refuse = failing(Transient)
    with pytest.raises(accept.NotALead):
        accept.receive(w.app, b"{", w.now)
    w.live(hours=63)
    mail.refuse = None
    w.live(hours=3)
    assert [(a.kind, a.count) for a in alerts(w)] == [("quarantine", 1)]


def test_a_lead_that_cannot_be_read_keeps_no_other_waiting(w: World) -> None:
    w.places["crm"].always = failing(Rejected)
    ids = sorted(accept.receive(w.app, post(offerTitle=offer), w.now).id for offer in "abcde")
    w.drain()
    row = w.store.get("leads", ids[0][:16], f"{ids[0][17:]}:crm")
    assert row
    w.store.upsert("leads", replace(row, values={**row.values, "state": "of a later version"}))
    with pytest.raises(RuntimeError, match="1 leads"):
        w.sweep()
    assert [line.lead_id for line in w.app.ledger.open_lines()] == [ids[0]]
    assert [(a.kind, a.count) for a in alerts(w)] == [("dead", 4)]
    assert health.health(w.app, w.now + timedelta(hours=2)).open == 1


@pytest.mark.parametrize("broken", ["raw", "digest"])
def test_a_part_that_fails_keeps_no_other_waiting(w: World, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def fail(*_: object) -> None:
        raise ConnectionError

    w.places["crm"].always = failing(Rejected)
    accept.receive(w.app, post(), w.now)
    w.drain()
    if broken == "raw":
        monkeypatch.setattr(raws, "look", fail)
    else:
        w.app.settings = replace(w.app.settings, destinations=(*w.app.settings.destinations, "email"))
        w.app.environ = {**w.app.environ, "EMAIL_DIGEST": "daily"}
        monkeypatch.setattr(digest, "run", fail)
    with pytest.raises(RuntimeError, match={"raw": "raw", "digest": "digest"}[broken]):
        w.sweep()
    assert alerts(w)[0].kind == "dead"
    assert open_lines(w) == 0
    assert w.app.ledger.note("sweep").values["figures"], "the note is written"


def test_more_raw_than_one_run_looks_up_is_all_looked_up(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leads.sweep.raws.Look.left", 3)
    monkeypatch.setattr("leads.sweep.raws.Look.__init__.__defaults__", (3, 0))
    for number in range(10):
        body = post(offerTitle=str(number))
        _, raw = accept._event_of_post(w.app, body, payload.read(body), w.now - timedelta(days=number))
        w.app.ledger.keep_raw(raw, body, Via.HTTPS, w.now)
    w.forward(minutes=3)
    looked_up: list[str] = []
    seen = w.app.ledger.seen

    def noting(event: str) -> Seen | None:
        looked_up.append(event)
        return seen(event)

    monkeypatch.setattr(w.app.ledger, "seen", noting)
    for _ in range(4):
        w.sweep()
    assert len(w.ids()) == 10
    assert len(looked_up) >= 10
    assert w.app.ledger.note("sweep").values["raw_cursor"] == ""


def test_a_run_without_time_still_goes_on_where_the_last_one_stopped(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leads.sweep.sweep.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("leads.sweep.sweep.LIST_SECONDS", 0.0)
    for number in range(5):
        accept.receive(w.app, post(offerTitle=str(number)), w.now)
    w.drain()
    for _ in range(5):
        w.sweep()
    assert open_lines(w) == 0


def test_purge_goes_on_until_all_that_is_old_is_gone(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "LEADS_PER_RUN", 3)
    for number in range(9):
        accept.receive(w.app, post(offerTitle=str(number)), w.now)
    w.live(minutes=10)
    w.forward(days=367)
    for _ in range(4):
        w.sweep()
        w.forward(minutes=5)
    assert w.ids() == []


def test_the_bytes_of_the_event_count_where_its_line_names_others(w: World) -> None:
    event, raw = accept._event_of_post(w.app, post(), payload.read(post()), w.now)
    w.app.ledger.keep_raw(raw, post(), Via.HTTPS, w.now)
    lead = accept._lead(w.app, event, raw, Via.HTTPS, post(), w.now)
    w.app.ledger.open(Line(lead.id, f"2026/11/22/{event}.json", w.now))
    w.app.ledger.remember(event, Seen(lead.id, raw), w.now)
    w.sweep()
    assert w.ids() == [lead.id]


def test_a_destination_that_cannot_be_loaded_keeps_no_other_from_telling() -> None:
    class Broken(Pager):
        @property
        def Settings(self) -> Any:
            raise ImportError("no module named x")

    with world(a=Broken(), mail=Pager(), environ={"LEADS_BACKFILL_DAYS": "x"}) as w:
        w.sweep()
        assert [a.kind for a in alerts(w)] == ["settings"]
