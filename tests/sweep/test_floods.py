"""Many leads at once: people get a summary each quarter of an hour; feeds and CRMs get every lead."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from leads.contract import Kind
from leads.errors import Misconfigured, Transient
from leads.intake import accept
from leads.lead import Lead, State
from leads.messages.alert import Alert
from leads.operate import replay
from leads.store.protocol import Value
from leads.sweep import floods, silence, sweep
from tests.world import NOON, FakeDestination, World, failing, forget_sends, post, world


@dataclass
class Mailbox(FakeDestination):
    """A notification that takes summaries."""

    KIND: Kind = Kind.NOTIFICATION
    summaries: list[tuple[int, int, str]] = field(default_factory=list)
    """Leads listed, leads in all, and the summary's name."""
    refuses: int = 0
    broken: Exception | None = None
    """What every summary raises."""
    alerts: list[Alert] = field(default_factory=list)

    def summary(self, leads: Sequence[Lead], total: int, name: str, *_: Any) -> None:
        if self.broken:
            raise self.broken
        if self.refuses:
            self.refuses -= 1
            raise failing(Transient)
        self.summaries.append((len(leads), total, name))

    def alert(self, alert: Alert, *_: object) -> None:
        self.alerts.append(alert)


@contextmanager
def flooded(**environ: str) -> Iterator[tuple[World, Mailbox]]:
    mail = Mailbox()
    crm, feed = FakeDestination(Kind.CRM), FakeDestination(Kind.FEED)
    with world(environ={"LEADS_DESTINATIONS": "mail,crm,feed", **environ}, mail=mail, crm=crm, feed=feed) as w:
        yield w, mail


def come(w: World, number: int, start: int = 0) -> None:
    for each in range(start, start + number):
        accept.receive(w.app, post(userDetails={"email": f"{each}@contoso.com"}), w.now)


def test_three_hundred_leads_in_a_minute_are_sixty_mails_a_summary_and_three_hundred_posts() -> None:
    with flooded() as (w, mail):
        come(w, 300)
        w.drain()
        assert len(mail.got) == 60
        w.live(minutes=40)
        assert len(mail.got) == 60
        assert [total for _, total, _ in mail.summaries] == [240]
        assert mail.summaries[0][0] == 200, "it lists 200 and counts the others"
        assert len(w.places["feed"].got) == len(w.places["crm"].got) == 300
        assert not list(w.app.ledger.open_lines()), "each delivery was recorded"
        (alert,) = [each for each in mail.alerts if each.kind == "flood"]
        assert (alert.subject, alert.destination) == ("Fake", "mail")


def test_a_process_that_sent_nothing_heeds_what_the_sweep_noted() -> None:
    with flooded() as (w, mail):
        come(w, 100)
        w.drain()
        w.sweep()
        forget_sends()  # another process
        before = len(mail.got)
        come(w, 10, start=1000)
        w.drain()
        assert len(mail.got) - before <= 1, "the first lead of a process costs no look"


def test_the_note_ends_at_a_quarter_with_fewer_and_single_mails_go_on() -> None:
    with flooded() as (w, mail):
        come(w, 100)
        w.live(hours=2)
        assert w.app.ledger.is_flooded("mail") is False
        come(w, 1, start=5000)
        w.drain()
        assert len(mail.got) == 61


def test_a_summary_that_fails_keeps_its_deliveries_open_to_the_next_quarter() -> None:
    with flooded() as (w, mail):
        mail.refuses = 1
        come(w, 70)
        w.live(minutes=50)
        assert [total for _, total, _ in mail.summaries] == [10]
        held = [one for lead in w.ids() if (one := w.app.ledger.delivery(lead, "mail")) and one.attempt_count == 2]
        assert len(held) == 10, "the failure counted as an attempt"


def test_a_summary_that_a_crash_repeats_has_the_same_name() -> None:
    with flooded() as (w, mail):
        come(w, 70)
        w.drain()
        w.forward(minutes=15)
        save = w.app.ledger.save
        w.app.ledger.save = lambda _: (_ for _ in ()).throw(ConnectionError())  # type: ignore[method-assign,assignment]
        with suppress(RuntimeError):
            w.sweep()
        w.app.ledger.save = save  # type: ignore[method-assign]
        w.sweep()
        names = [name for _, _, name in mail.summaries]
        assert len(names) == 2
        assert len(set(names)) == 1
        assert names[0].startswith("mail 2026-11-21T12:15")


def test_summaries_of_one_quarter_about_other_leads_have_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "LINES_PER_RUN", 8)
    with flooded(LEADS_FLOOD="2", LEADS_DESTINATIONS="mail") as (w, mail):
        come(w, 20)
        w.drain()
        w.forward(minutes=15)
        for _ in range(3):
            w.sweep()
            w.forward(minutes=4)
        assert sum(total for _, total, _ in mail.summaries) == 18
        assert len({name for _, _, name in mail.summaries}) == 3, "a mailbox swallows a mail whose id it has seen"


def test_a_summary_is_about_as_many_as_a_sweep_can_record_and_the_next_one_about_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(floods, "SUMMED", 30)
    with flooded(LEADS_FLOOD="2", LEADS_DESTINATIONS="mail") as (w, mail):
        come(w, 80)
        w.drain()
        w.forward(minutes=15)
        for _ in range(4):
            w.sweep()
            w.forward(minutes=5)
        assert [total for _, total, _ in mail.summaries] == [30, 30, 18]
        assert len({name for _, _, name in mail.summaries}) == 3


def test_ten_thousand_large_leads_fit_into_the_memory_of_an_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance has 512 MB, and a lead may have 120,000 characters: a sweep keeps but a line's worth of each."""
    kept: list[Lead] = []

    def noting(app: object, leads: Sequence[Lead], now: object) -> None:
        kept.extend(leads)

    def summed(app: object, name: str, held: Sequence[floods.Held], now: object) -> int:
        kept.extend(one.lead for one in held)
        return 0

    long = "x" * 7000
    names = ("firstName", "lastName", "email", "phone", "country", "company", "title")
    with flooded(LEADS_FLOOD="2", LEADS_DESTINATIONS="mail") as (w, _):
        for number in range(5):
            more = {"leadSource": long, "actionCode": long, "offerTitle": long, "description": long, "more": long}
            accept.receive(w.app, post(userDetails=dict.fromkeys(names, f"{number}{long}"), **more), w.now)
        w.drain()
        monkeypatch.setattr(floods, "sum_up", summed)
        monkeypatch.setattr(silence, "note", noting)
        w.sweep()
    assert len(kept) == 5 + 3
    assert max(len(pickle.dumps(lead)) for lead in kept) < 4000


def test_what_is_being_sent_just_now_is_in_no_summary() -> None:
    with flooded(LEADS_FLOOD="2", LEADS_DESTINATIONS="mail") as (w, mail):
        come(w, 3)
        w.drain()
        (held,) = [lead for lead in w.ids() if (one := w.app.ledger.delivery(lead, "mail")) and floods.is_held(one)]
        w.app.ledger.end_flood("mail")
        forget_sends()
        send = mail.send

        def slow(*given: Any) -> str:
            w.sweep()
            return send(*given)

        mail.send = slow  # type: ignore[method-assign,assignment]
        replay.hurry(w.app, held, "mail", w.now)
        w.drain()
        assert (len(mail.got), mail.summaries) == (3, [])


def test_switched_off_everybody_gets_every_lead() -> None:
    with flooded(LEADS_FLOOD="0") as (w, mail):
        come(w, 100)
        w.live(minutes=20)
        assert len(mail.got) == 100
        assert mail.summaries == []


def test_what_would_go_to_a_customer_is_skipped_without_a_summary() -> None:
    reply = FakeDestination(Kind.CUSTOMER)
    with world(environ={"LEADS_DESTINATIONS": "reply"}, reply=reply) as w:
        come(w, 70)
        w.live(minutes=40)
        states = [w.app.ledger.delivery(lead, "reply") for lead in w.ids()]
        ends = {(one.state.value, one.reason) for one in states if one}
        assert sorted(ends) == [("delivered", ""), ("skipped", "flood")]
        assert len(reply.got) == 60


def test_few_leads_cost_no_look() -> None:
    with flooded() as (w, _):
        come(w, 1)
        w.live(minutes=10)
        assert not list(w.store.rows("state", "state", "flood:", "flood;"))


FEW = {"LEADS_FLOOD": "5", "LEADS_DESTINATIONS": "mail"}


def last(w: World, hours: int) -> None:
    """Let hours pass in which little happens."""
    for _ in range(4 * hours):
        w.forward(minutes=15)
        w.drain()
        w.sweep()


def states(w: World, name: str) -> set[State]:
    return {one.state for lead in w.ids() if (one := w.app.ledger.delivery(lead, name))}


@pytest.mark.parametrize(
    "broken",
    [failing(Transient), failing(Misconfigured), ImportError("no"), ValueError("a bug of ours")],
    ids=lambda broken: type(broken).__name__,
)
def test_what_is_held_back_survives_an_outage_of_a_weekend_like_every_lead(broken: Exception) -> None:
    with flooded(**FEW) as (w, mail):
        come(w, 7)
        w.drain()
        mail.broken = broken
        last(w, hours=60)
        assert State.DEAD not in states(w, "mail")
        mail.broken = None
        last(w, hours=30)
        assert states(w, "mail") == {State.DELIVERED}


def test_a_destination_whose_summary_has_a_bug_keeps_no_other_waiting_and_its_leads_end_dead() -> None:
    with flooded(LEADS_FLOOD="5", LEADS_DESTINATIONS="mail,other") as (w, mail):
        mail.broken = ValueError("a bug of ours")
        w.places["other"] = other = Mailbox()
        come(w, 7)
        w.drain()
        last(w, hours=1)
        assert [total for _, total, _ in other.summaries] == [2]
        last(w, hours=100)
        assert states(w, "mail") == {State.DELIVERED, State.DEAD}
        assert [each.count for each in other.alerts if each.kind == "dead"] == [2]


def test_a_setting_that_is_wrong_in_a_flood_is_alerted_at_once() -> None:
    with flooded(LEADS_FLOOD="5", LEADS_DESTINATIONS="mail,other") as (w, mail):
        mail.broken = failing(Misconfigured)
        w.places["other"] = other = Mailbox()
        come(w, 7)
        w.drain()
        last(w, hours=1)
        (alert,) = [each for each in other.alerts if each.kind == "misconfigured"]
        assert (alert.destination, alert.count) == ("mail", 2)
        mail.broken = None
        last(w, hours=3)
        assert [total for _, total, _ in mail.summaries] == [2], "telling it sends nothing twice"


def test_an_outage_is_no_flood() -> None:
    with flooded(**FEW) as (w, mail):
        mail.always = failing(Transient)
        come(w, 4)
        last(w, hours=5)
        assert not w.app.ledger.is_flooded("mail"), "four attempts each, and none reached anybody"
        mail.always = None
        last(w, hours=12)
        assert len({lead.id for lead, _ in mail.got}) == 4
        assert states(w, "mail") == {State.DELIVERED}
        assert mail.summaries == []


def test_a_flood_that_a_process_notes_of_its_own_accord_ends_too() -> None:
    with flooded(LEADS_FLOOD="6", LEADS_DESTINATIONS="mail") as (w, _):
        come(w, 3)
        w.drain()
        for lead in w.ids():
            replay.replay(w.app, lead, "mail", w.now)
        w.drain()
        come(w, 1, start=1000)
        w.drain()
        assert w.app.ledger.is_flooded("mail"), "six went out, though the sweep knows of three leads"
        last(w, hours=2)
        assert not w.app.ledger.is_flooded("mail")
        assert states(w, "mail") == {State.DELIVERED}


def test_a_flood_ends_whatever_the_schedule_of_the_sweep() -> None:
    with flooded(**FEW) as (w, _):
        come(w, 10)
        w.drain()
        w.sweep()
        w.forward(minutes=7)
        for _ in range(4):
            w.forward(hours=1)
            w.drain()
            w.sweep()
        assert not w.app.ledger.is_flooded("mail")


def test_a_flood_ends_at_a_quarter_also_while_another_part_of_the_sweep_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "note", lambda *_: 1 / 0)
    with flooded(**FEW) as (w, _):
        w.forward(minutes=7)
        come(w, 10)
        w.drain()
        ended = None
        for _each in range(75):
            with suppress(RuntimeError):
                w.sweep()
            w.drain()
            if ended is None and not w.app.ledger.is_flooded("mail"):
                ended = w.now
            w.forward(minutes=1)
        assert ended == NOON + timedelta(minutes=75), (
            "an hour later there are no longer too many, and then a quarter begins"
        )


def test_an_hour_of_counts_fits_into_a_column_of_the_note() -> None:
    names = [f"email:a{number:019}" for number in range(90)]
    with world(environ={"LEADS_DESTINATIONS": ",".join(names)}, email=Mailbox()) as w:
        values: dict[str, Value] = {}
        for _ in range(100):
            counts = floods.count(w.app, values, dict.fromkeys(names, 20), {}, w.now)
            w.forward(minutes=1)
        assert len(str(values["flood_slices"])) < 32_768
        assert 50 * 20 <= counts[names[0]] <= 60 * 20


def test_a_backlog_of_a_crm_is_no_flood_of_mails() -> None:
    with flooded(LEADS_FLOOD="5", LEADS_DESTINATIONS="mail,crm") as (w, mail):
        w.places["crm"].always = failing(Misconfigured)
        for number in range(4):
            come(w, 4, start=10 * number)
            last(w, hours=2)
        w.places["crm"].always = None
        for lead in w.ids():
            replay.hurry(w.app, lead, "crm", w.now)
        w.drain()
        w.sweep()
        assert not list(w.app.ledger.open_lines()), "16 leads were closed just now, and their mails are hours old"
        come(w, 2, start=500)
        w.drain()
        assert len(mail.got) == 18
        assert not [each for each in mail.alerts if each.kind == "flood"]


def test_a_slip_in_the_list_of_destinations_does_not_keep_a_flood_from_being_noted() -> None:
    with flooded(LEADS_FLOOD="5", LEADS_DESTINATIONS="mail,maill") as (w, mail):
        come(w, 7)
        w.drain()
        last(w, hours=1)
        assert [total for _, total, _ in mail.summaries] == [2]
        assert [each.destination for each in mail.alerts if each.kind == "flood"] == ["mail"]
