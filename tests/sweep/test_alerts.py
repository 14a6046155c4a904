"""Who hears of trouble, and that nobody is taken for told who was not."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from leads import settings
from leads.app import App
from leads.contract import Kind
from leads.errors import Misconfigured, Rejected, Transient
from leads.intake import accept, normalize, watch
from leads.operate import check, discard, health, quarantine
from leads.store.ledger import UNREADABLE
from leads.sweep import concerns
from leads.sweep.configuration import configuration
from tests.world import FakeDestination, Pager, World, failing, post, row, world

DEPLOYED = {"WEBSITE_HOSTNAME": "contoso.azurewebsites.net"}


def open_lines(w: World) -> int:
    return len(list(w.app.ledger.open_lines()))


def told(pager: FakeDestination) -> list[tuple[str, str, int]]:
    assert isinstance(pager, Pager)
    return [(alert.kind, alert.destination or alert.subject, alert.count) for alert in pager.alerts]


def findings(w: World, part: str) -> list[check.Result]:
    return list(check.look(w.app, part, w.now))


@pytest.mark.parametrize(
    ("environ", "link"),
    [
        (DEPLOYED, "https://contoso.azurewebsites.net/api/page/leads?state=dead"),
        (DEPLOYED | {"LEADS_URL": "https://leads.contoso.com"}, "https://leads.contoso.com/api/page/leads?state=dead"),
        ({"WEBSITE_HOSTNAME": "localhost:7071"}, ""),
        ({}, ""),
    ],
)
def test_an_alert_links_to_the_app_by_the_address_that_people_open(environ: dict[str, str], link: str) -> None:
    mail = Pager()
    with world(crm=FakeDestination(always=failing(Rejected)), mail=mail, environ=environ) as w:
        accept.receive(w.app, post(), w.now)
        w.drain()
        w.sweep()
    (alert,) = [each for each in mail.alerts if each.kind == "dead"]
    assert alert.link == link
    assert "someone" not in alert.link


class TestToldMeansTaken:
    def test_a_dead_lead_waits_for_the_only_channel_though_that_is_in_trouble_itself(self) -> None:
        """One mail was refused and e-mail is all there is: today the lead is closed as told although no one was."""
        mail = Pager(failures=[failing(Rejected)], refuse=failing(Transient))
        with world(mail=mail) as w:
            accept.receive(w.app, post(), w.now)
            w.live(hours=3)
            assert (open_lines(w), told(mail)) == (1, [])
            mail.refuse = None
            w.live(hours=2)
            assert (open_lines(w), told(mail)) == (0, [("dead", "mail", 1)])

    def test_a_dead_lead_waits_while_the_channel_cannot_read_its_settings(self) -> None:
        """A vault's hiccup of twenty minutes."""
        broken = (("MAIL_TO", "Its Key Vault reference was not resolved.", "Check the secret."),)
        mail = Pager(problems=broken, refuse=failing(Misconfigured))
        with world(crm=FakeDestination(always=failing(Rejected)), mail=mail) as w:
            accept.receive(w.app, post(), w.now)
            w.live(minutes=20)
            assert open_lines(w) == 1
            mail.problems, mail.refuse = (), None
            w.live(hours=2)
            assert ("dead", "crm", 1) in told(mail)
            assert open_lines(w) == 0

    def test_where_there_is_no_channel_the_log_counts_and_everybody_says_so(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with world(crm=FakeDestination(always=failing(Rejected)), environ=DEPLOYED) as w:
            accept.receive(w.app, post(), w.now)
            w.live(minutes=20)
            assert open_lines(w) == 0
            logged = [json.loads(r.message) for r in caplog.records if '"event": "alert"' in r.message]
            assert ("dead", "crm") in [(event["kind"], event["subject"]) for event in logged]
            text = "Nobody would get an alert"
            assert text in " ".join(reason.cause for reason in health.health(w.app, w.now).reasons)
            assert text in " ".join(result.cause for result in findings(w, "settings") if not result.ok)

    def test_on_one_machine_the_log_is_on_the_screen(self) -> None:
        with world() as w:
            (remark,) = configuration(w.app).remarks
            assert "Nobody would get" in remark.cause
            assert configuration(w.app).problems == ()

    def test_a_channel_that_cannot_be_loaded_is_no_channel_that_took_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        mail = Pager()
        with world(crm=FakeDestination(always=failing(Rejected)), mail=mail) as w:
            accept.receive(w.app, post(), w.now)
            w.drain()
            with monkeypatch.context() as patch:
                patch.setattr(Pager, "Settings", property(lambda _: (_ for _ in ()).throw(ImportError("gone"))))
                w.live(minutes=20)
                assert open_lines(w) == 1
            w.live(hours=2)
            assert ("dead", "crm", 1) in told(mail)


class TestWhoHears:
    def test_those_on_call_hear_and_salespeople_do_not(self) -> None:
        sales, ops = Pager(), Pager()
        environ = {"LEADS_DESTINATIONS": "crm,sales", "LEADS_ALERTS": "ops"}
        with world(crm=FakeDestination(always=failing(Rejected)), sales=sales, ops=ops, environ=environ) as w:
            accept.receive(w.app, post(), w.now)
            w.live(minutes=20)
            assert told(ops) == [("dead", "crm", 1)]
            assert told(sales) == []
            assert (len(sales.got), len(ops.got)) == (1, 0), "who hears of trouble need not get leads"

    def test_by_default_every_notification_hears_and_check_says_so(self) -> None:
        with world(crm=FakeDestination(), sales=Pager(), feed=Pager(KIND=Kind.FEED)) as w:
            (remark,) = [result for result in findings(w, "settings") if result.name == "LEADS_ALERTS"]
        assert remark.ok
        assert "these destinations get the alerts: sales." in remark.cause

    def test_a_name_that_cannot_tell_is_a_problem(self) -> None:
        with world(crm=FakeDestination(), mail=Pager(), environ={"LEADS_ALERTS": "crm,mail"}) as w:
            (problem,) = configuration(w.app).problems
        assert (problem.setting, problem.cause) == ("LEADS_ALERTS", "crm cannot send alerts.")

    @pytest.mark.parametrize("alerts", ["mial:ops", "crm", "ops", "mial, crm, ops"])
    def test_where_none_of_those_on_call_can_hear_the_notifications_do(self, alerts: str) -> None:
        crm = FakeDestination(always=failing(Rejected))
        ops = Pager(problems=(("OPS_TO", "It is not set.", "Set it."),), refuse=failing(Misconfigured))
        environ = {"LEADS_DESTINATIONS": "crm,mail", "LEADS_ALERTS": alerts}
        with world(crm=crm, mail=Pager(), ops=ops, environ=environ) as w:
            accept.receive(w.app, post(), w.now)
            w.live(hours=2)
            assert ("dead", "crm", 1) in told(w.places["mail"])
            assert ("settings", "app") in [each[:2] for each in told(w.places["mail"])]
            assert open_lines(w) == 0


class TestDestinationsAreGone:
    """LEADS_DESTINATIONS is lost: today leads go to the console, health says ok and nobody is told."""

    @pytest.fixture
    def w(self) -> Iterator[World]:
        with world(crm=FakeDestination(), mail=Pager(), environ=DEPLOYED) as made:
            made.sweep()
            yield made

    def lose(self, w: World, value: str) -> None:
        environ = {**w.app.environ, "LEADS_DESTINATIONS": value}
        app = App(settings.read(environ), environ)
        app.store, app.inbox, app.doorbell = w.store, w.inbox, w.bell
        w.app = app

    @pytest.mark.parametrize("value", ["", " , ", "@Microsoft.KeyVault(SecretUri=https://x)"])
    def test_a_deployed_app_goes_by_the_last_good_list_and_tells(self, w: World, value: str) -> None:
        self.lose(w, value)
        assert w.app.destinations == ("crm", "mail")
        w.sweep()
        assert ("settings", "app") in [found[:2] for found in told(w.places["mail"])]
        (reason,) = [each for each in health.health(w.app, w.now).reasons if "last good" in each.cause]
        assert reason.setting == "LEADS_DESTINATIONS"
        assert reason.cause == "It is not set. Leads go by its last good value: crm, mail."
        w.sweep()
        assert w.app.destinations == ("crm", "mail"), "what is lost is not noted as the last good list"

    def test_a_list_with_a_slip_is_no_good_list(self, w: World) -> None:
        self.lose(w, "crm,mial")
        w.sweep()
        self.lose(w, "")
        assert w.app.destinations == ("crm", "mail")

    def test_one_machine_has_its_default(self) -> None:
        with world(environ={"LEADS_DESTINATIONS": "", "WEBSITE_HOSTNAME": "localhost:7071"}) as w:
            assert w.app.destinations == ("console",)
            assert configuration(w.app).problems == ()

    def test_a_deployed_app_that_never_had_any_says_that_nobody_reads_its_leads(self) -> None:
        with world(environ={"LEADS_DESTINATIONS": "", **DEPLOYED}) as w:
            causes = [problem.cause for problem in configuration(w.app).problems]
        assert "It is not set. Leads go to console only, which nobody reads." in causes


def test_health_and_the_alert_tell_what_check_tells_before_the_first_lead() -> None:
    """Today health says ok with wrong recipients, no way to send and no webhook, while check lists four faults."""
    wrong = {"LEADS_DESTINATIONS": "email,teams,mail", "EMAIL_TO": "not an address"}
    with world(mail=Pager(), environ=wrong) as w:
        watch.watch(w.app, w.now)
        w.sweep()
        failed = {(result.name, result.cause) for result in findings(w, "settings") if not result.ok}
        reasons = {(reason.setting, reason.cause) for reason in health.health(w.app, w.now).reasons}
        assert len(failed) >= 3
        assert reasons == failed
        (alert,) = w.places["mail"].alerts  # type: ignore[attr-defined]
        assert (alert.kind, alert.count) == ("settings", len(failed))
        assert all(f"{setting}: {cause}" in alert.cause for setting, cause in failed)


def test_a_setting_that_is_wrong_again_on_the_same_day_is_told_again() -> None:
    mail = Pager()
    with world(mail=mail, environ={"LEADS_RETENTION_DAYS": "x"}) as w:

        def deploy(environ: dict[str, str]) -> None:
            w.app = App(settings.read(environ), environ)
            w.app.store, w.app.inbox, w.app.doorbell = w.store, w.inbox, w.bell

        wrong = dict(w.app.environ)
        w.live(hours=3)
        assert told(mail) == [("settings", "app", 1)]
        deploy(wrong | {"LEADS_RETENTION_DAYS": "30"})
        w.live(hours=3)
        deploy(wrong)
        w.live(hours=3)
        assert told(mail) == [("settings", "app", 1)] * 2


def test_a_destination_that_is_well_again_is_told_with_what_it_got_since() -> None:
    mail = Pager()
    crm = FakeDestination(TITLE="Dynamics 365", always=failing(Misconfigured))
    with world(crm=crm, mail=mail) as w:
        for number in range(5):
            accept.receive(w.app, post(offerTitle=str(number)), w.now)
        w.live(hours=1)
        assert told(mail) == [("misconfigured", "crm", 5)]
        crm.always = None
        w.live(hours=8)
        assert told(mail)[1:] == [("well", "crm", 5)]
        assert mail.alerts[-1].cause == "Dynamics 365 works again: 5 leads were delivered since."
        w.live(hours=30)
        assert len(mail.alerts) == 2, "once"
        crm.always = failing(Misconfigured)
        accept.receive(w.app, post(offerTitle="later"), w.now)
        w.live(minutes=20)
        assert told(mail)[2:] == [("misconfigured", "crm", 1)], "what fails from now on is news"


def test_a_lead_that_was_refused_says_nothing_of_its_destination() -> None:
    mail = Pager()
    with world(crm=FakeDestination(failures=[failing(Rejected)]), mail=mail) as w:
        accept.receive(w.app, post(offerTitle="a"), w.now)
        accept.receive(w.app, post(offerTitle="b"), w.now)
        w.live(hours=5)
        assert [kind for kind, _, _ in told(mail)] == ["dead"]


def test_a_watch_that_runs_hourly_is_not_silent_between() -> None:
    mail = Pager()
    with world(mail=mail, environ={"LEADS_WATCH_SCHEDULE": "0 0 * * * *"}) as w:
        for minute in range(0, 24 * 60, 5):
            if minute % 60 == 0:
                watch.watch(w.app, w.now)
            w.sweep()
            assert health.health(w.app, w.now).reasons == (), minute
            w.forward(minutes=5)
        assert told(mail) == []
        for _ in range(0, 120, 5):
            w.sweep()
            w.forward(minutes=5)
        assert told(mail) == [("watch_silent", "MarketplaceLeads", 1)]
        assert mail.alerts[0].cause == "The table MarketplaceLeads was not read for more than 2 hours."


def test_a_row_that_cannot_be_read_is_told_and_copied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError

    mail = Pager()
    with world(mail=mail) as w:
        w.inbox.tables["MarketplaceLeads"] = [row("bad", w.now)]
        with monkeypatch.context() as patch:
            patch.setattr(normalize, "normalize", broken)
            for _ in range(3 * 24):
                watch.watch(w.app, w.now)
                w.sweep()
                w.forward(hours=1)
        event = accept.event_of_row(w.app, "MarketplaceLeads", w.inbox.tables["MarketplaceLeads"][0])
        seen = w.app.ledger.seen(event)
        assert seen
        assert seen.fate == UNREADABLE
        assert told(mail) == [("quarantine", "intake", 1)]
        assert len(w.store.containers["quarantine"]) == len(w.store.containers["raw"]) == 1
        (entry,) = w.store.containers["quarantine"]
        quarantine.replay_quarantined(w.app, entry, w.now)
        w.live(minutes=10)
        assert len(w.ids()) == 1, "a later version that can read it takes it from quarantine"
        assert w.states() == {"mail": "delivered"}


def test_what_comes_into_quarantine_after_it_was_cleared_is_told_as_well() -> None:
    mail = Pager()
    with world(mail=mail) as w:

        def come(*bodies: bytes) -> None:
            for body in bodies:
                with pytest.raises(accept.NotALead):
                    accept.receive(w.app, body, w.now)
            w.live(minutes=5)

        come(b"{1", b"{2", b"{3")
        w.live(hours=1)
        discard.quarantined(w.app, since=None, before=w.now, reason="", cursor="", yes=True)
        come(b"{4", b"{5")
        w.live(hours=3)
        assert told(mail) == [("quarantine", "intake", 3), ("quarantine", "intake", 2)]


def test_what_is_in_quarantine_is_a_reason_until_it_is_gone() -> None:
    with world(mail=Pager()) as w:
        watch.watch(w.app, w.now)
        w.sweep()
        with pytest.raises(accept.NotALead):
            accept.receive(w.app, b"{", w.now)
        assert quarantine.count(w.app) == 1, "the page counts what came just now"
        w.sweep()
        state = health.health(w.app, w.now)
        assert (state.quarantined, state.status) == (1, "attention")
        assert "quarantine" in state.reasons[0].cause
        (name,) = w.store.containers["quarantine"]
        w.store.delete_blob("quarantine", name)
        w.live(hours=2)
        assert health.health(w.app, w.now).reasons == ()
        assert w.app.ledger.changes() == [], "nothing is listed any more"


def test_quarantine_is_listed_only_while_something_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with world(mail=Pager()) as w:
        listed: list[str] = []
        blobs = w.store.blobs

        def noting(container: str, prefix: str) -> Any:
            listed.append(f"{container}/{prefix}")
            return blobs(container, prefix)

        w.sweep()
        monkeypatch.setattr(w.store, "blobs", noting)
        w.live(days=2)
        assert len([name for name in listed if name.startswith("quarantine")]) <= 2 * 2, "a peek each day"


def test_bytes_that_could_not_be_noted_are_found_when_the_tables_are_well_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mail = Pager()
    with world(mail=mail) as w:
        w.live(minutes=10)

        def fail(*_: object) -> None:
            raise ConnectionError

        with monkeypatch.context() as patch:
            patch.setattr(w.store, "upsert", fail)
            with pytest.raises(accept.NotALead):
                accept.receive(w.app, b"{", w.now)
        w.forward(hours=2)
        w.live(minutes=10)
        assert ("quarantine", "intake", 1) in told(mail)


def test_millions_of_junk_bodies_keep_no_sweep_from_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concerns, "COUNTED", 50)
    mail = Pager()
    with world(mail=mail) as w:
        for number in range(300):
            with pytest.raises(accept.NotALead):
                accept.receive(w.app, f"junk {number}".encode(), w.now)
        read: list[str] = []
        blobs = w.store.blobs

        def noting(container: str, *given: str) -> Any:
            for name, note in blobs(container, *given):
                read.extend([name] * (container == "quarantine"))
                yield name, note

        monkeypatch.setattr(w.store, "blobs", noting)
        w.sweep()
        counted, told_of, looked_through, peek = 50, 50, 300, 1
        assert len(read) <= counted + told_of + looked_through + peek
        read.clear()
        assert accept.take_waiting(w.app, w.now, is_late=lambda: len(read) >= 10) == 0
        assert len(read) == 10, "a look for leads among them ends in time"
        w.live(hours=3)
        assert told(mail) == [("quarantine", "intake", 50)]


def test_whoever_reads_the_alert_of_a_flood_of_junk_reads_one_number(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    mail = Pager()
    with world(mail=mail) as w:
        for number in range(300):
            with pytest.raises(accept.NotALead):
                accept.receive(w.app, f"junk {number}".encode(), w.now)
        w.live(hours=2)
        assert told(mail) == [("quarantine", "intake", 300)]


def test_the_digest_reads_the_leads_of_its_day_only() -> None:
    with world() as w:
        for _ in range(3):
            accept.receive(w.app, post(offerTitle=str(w.now)), w.now)
            w.forward(days=1)
        read: list[str] = []
        case = w.app.ledger.case
        w.app.ledger.case = lambda lead_id: (read.append(lead_id), case(lead_id))[1]  # type: ignore[method-assign,func-returns-value]
        begin = datetime(2026, 11, 22, tzinfo=w.now.tzinfo)
        found, _ = w.app.ledger.leads_between(begin, begin + timedelta(days=1), 100)
        assert len(found) == len(read) == 1
