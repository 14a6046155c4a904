"""Many leads at once: people get a summary each quarter of an hour; feeds and CRMs get every lead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from leads.contract import Kind
from leads.errors import Transient
from leads.intake import accept
from leads.lead import Lead
from leads.messages.alert import Alert
from tests.world import FakeDestination, World, failing, forget_sends, post, world


@dataclass
class Mailbox(FakeDestination):
    """A notification that takes summaries."""

    KIND: Kind = Kind.NOTIFICATION
    summaries: list[tuple[int, int, str]] = field(default_factory=list)
    """Leads listed, leads in all, and the summary's name."""
    refuses: int = 0
    alerts: list[Alert] = field(default_factory=list)

    def summary(self, leads: Sequence[Lead], total: int, name: str, *_: Any) -> None:
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
