"""What operators do on the page: each task from its form to its end, what it asks, and what it costs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from leads.contract import Finding
from leads.errors import Misconfigured, Rejected, Transient
from leads.intake import accept
from leads.operate import forget, importing, jobs, operations, stretches
from leads.operate.page import acts, session, web
from leads.store.ledger import LEADS
from tests.month import month
from tests.page import Answer, Visitor, visitor
from tests.world import FakeDestination, Pager, World, failing, post, row, world

HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.exe" + "A" * 8000
ADA = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada.lovelace@analytical.example"}


@pytest.fixture
def quiet() -> Iterator[World]:
    with world(crm=FakeDestination(TITLE="Contoso CRM"), chat=Pager(TITLE="Chat")) as made:
        yield made


@pytest.fixture
def chat() -> Iterator[World]:
    """A lead that was delivered to `crm` and died at `chat`."""
    with world(crm=FakeDestination(TITLE="Contoso CRM"), chat=Pager(TITLE="Chat", always=failing(Rejected))) as made:
        take(made)
        yield made


def take(w: World, **changes: Any) -> str:
    receipt = accept.receive(w.app, post(**({"userDetails": ADA, "actionCode": "PLT"} | changes)), w.now)
    w.live(minutes=10)
    return receipt.id


def events(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    made = [json.loads(record.getMessage()) for record in caplog.records if record.name == "leads"]
    return [each for each in made if each["event"] == "operation_done"]


def watch(browser: Visitor) -> Answer:
    """Look at a page for as long as it asks to be read again."""
    assert browser.last
    while "Refresh" in browser.last.headers:
        browser.open(browser.url)
    return browser.last


class TestTasks:
    def test_each_is_one_click_away_and_says_what_it_does(self, quiet: World) -> None:
        browser = visitor(quiet)
        assert "Tasks" in browser.open().read
        browser.open("jobs")
        for path, name, _ in acts._TASKS:
            came = browser.open(path)
            assert (came.status, name in came.read) == (200, True)
        assert {path for path, _, _ in acts._TASKS} | {"jobs", "preview"} == acts.PAGES.keys() == web.ACTS

    def test_what_was_done_lately_is_listed(self, chat: World) -> None:
        browser = visitor(chat)
        browser.cookie = f"__Host-ops_session={session.begin(chat.app, chat.now, 'Grace Hopper').text}"
        assert '<option value="chat" selected>' in browser.open("replay?destination=chat").text
        browser.press("Look", what="dead", destination="chat")
        browser.press("Replay 1 delivery")
        read = browser.open("jobs").read
        assert "Replay: Chat done 1 delivery is on the way again." in read
        assert "Grace Hopper" in read

    def test_strangers_learn_nothing_of_a_job(self, chat: World) -> None:
        browser = visitor(chat)
        browser.open("check")
        browser.press("Check everything")
        job = browser.url
        assert Visitor(chat).open(job).status == 403

    @pytest.mark.parametrize("path", ["jobs/0123456789abcdef", "jobs/x", "check/x", "test/x", "preview/x"])
    def test_what_is_not_there(self, quiet: World, path: str) -> None:
        assert visitor(quiet).open(path).status == 404

    def test_a_form_of_another_site_begins_nothing(self, chat: World) -> None:
        browser = visitor(chat)
        browser.open("skip")
        browser.sent = {"Sec-Fetch-Site": "cross-site"}
        assert browser.press("Look", destination="chat").status == 403
        assert jobs.every(chat.app) == []

    def test_too_many_at_once_is_said(self, chat: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jobs, "AT_ONCE", 1)
        browser = visitor(chat)
        for _ in range(2):
            browser.open("replay")
            came = browser.press("Look", what="dead", destination="chat")
        assert (came.status, "1 tasks are under way" in came.read) == (409, True)


class TestCheck:
    def test_part_by_part(self, quiet: World) -> None:
        quiet.places["chat"].problems = (("CHAT_URL", "It is not set.", "Paste it."),)
        browser = visitor(quiet)
        assert (
            "storage: can the app write to tables, blobs and the queue? Everything else depends on it."
            in browser.open("check").read
        )
        browser.press("Check everything")
        read = watch(browser).read
        assert read.index("Settings CHAT_URL") < read.index("Storage tables") < read.index("Chat settings")
        assert "CHAT_URL needs attention It is not set. Paste it." in read
        assert "Chat settings Not asked, since this comes first: CHAT_URL." in read
        assert "Begin with CHAT_URL: Paste it." in read

    def test_it_begins_with_the_cause_and_not_with_what_waits_for_it(self) -> None:
        crm = FakeDestination(TITLE="Contoso CRM", always=failing(Misconfigured))
        with world(crm=crm) as w:
            take(w)
            w.sweep()

            def refused(*_: Any) -> Iterator[Finding]:
                yield Finding("sign-in", ok=False, cause="The secret has expired.", remedy="Make a new one.")

            crm.check = refused  # type: ignore[attr-defined]
            browser = visitor(w)
            browser.open("check")
            browser.press("Check everything")
            read = watch(browser).read
        assert "These destinations need attention: Contoso CRM." in read
        assert "Begin with Contoso CRM, sign-in: Make a new one." in read

    def test_what_hangs_on_the_storage_is_not_asked_again(self, quiet: World, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: Any) -> None:
            raise OSError

        monkeypatch.setattr(quiet.store, "put_blob", broken)
        monkeypatch.setattr(quiet.bell, "ring", broken)
        browser = visitor(quiet)
        browser.open("check")
        browser.press("Check everything")
        read = watch(browser).read
        assert "blobs needs attention It failed" in read
        assert "queue Not asked, since this comes first: storage, blobs." in read


class TestTestLead:
    @pytest.mark.parametrize(("step", "label"), acts._STEPS)
    def test_each_step_is_sent_and_followed(self, quiet: World, step: str, label: str) -> None:
        browser = visitor(quiet)
        browser.open("test")
        asked = browser.press("Go on", step=step, email="me@contoso.com").read
        assert f"One lead, “{label}”, would go to Contoso CRM, Chat." in asked
        assert quiet.ids() == []
        came = browser.press("Send it")
        assert "on its way" in came.read
        assert "Refresh" in came.headers
        quiet.live(minutes=1)
        came = browser.open(browser.url)
        assert "The test lead has arrived everywhere it goes" in came.read
        assert "Refresh" not in came.headers
        assert not [url for url in browser.asked if "contoso.com" in url]

    def test_nothing_else_is_sent(self, quiet: World) -> None:
        browser = visitor(quiet)
        browser.open("test")
        assert browser.press("Go on", step="rm -rf").status == 400


class TestReplaying:
    def test_what_waits_is_tried_now(self) -> None:
        with world(crm=FakeDestination(TITLE="Contoso CRM", always=failing(Misconfigured))) as w:
            take(w)
            w.places["crm"].always = None
            browser = visitor(w)
            browser.open("waiting")
            browser.press("Look")
            assert "1 delivery waits for its next attempt: 1 to Contoso CRM." in watch(browser).read
            browser.press("Try 1 delivery now")
            assert "1 delivery is on the way again." in watch(browser).read
            w.drain()
            assert w.states() == {"crm": "delivered"}

    def test_one_that_waits(self) -> None:
        with world(crm=FakeDestination(always=failing(Transient))) as w:
            lead_id = take(w)
            w.places["crm"].always = None
            browser = visitor(w)
            browser.open(f"leads/{lead_id}")
            assert "What waits of this lead would be tried now: Fake (open)." in browser.press("Try now").read
            browser.press("Try now")
            w.drain()
            assert w.states() == {"crm": "delivered"}

    def test_to_a_destination_that_was_added(self, quiet: World) -> None:
        lead_id = take(quiet)
        quiet.app.environ = {**quiet.app.environ, "LEADS_DESTINATIONS": "crm,chat,later"}
        quiet.app.settings = session_settings(quiet)
        quiet.places["later"] = FakeDestination(TITLE="Later")
        browser = visitor(quiet)
        browser.open("replay")
        browser.press("Look", what="missing", destination="later")
        assert "1 delivery would be sent again: 1 to Later." in watch(browser).read
        browser.press("No, drop it")
        browser.open(f"leads/{lead_id}")
        asked = browser.press("Send it there", destination="later").read
        assert "sent again to Later (it never was on its way there)." in asked
        browser.press("Replay")
        quiet.drain()
        assert quiet.states()["later"] == "delivered"

    def test_by_the_routes(self, chat: World) -> None:
        chat.app.environ = {**chat.app.environ, "LEADS_DESTINATIONS": "crm,chat,later", "LEADS_ROUTES": "> crm,later"}
        chat.app.settings = session_settings(chat)
        chat.places["later"] = FakeDestination(TITLE="Later")
        browser = visitor(chat)
        browser.open("replay")
        assert browser.press("Look", what="routes").status == 400
        browser.press("Look", what="routes", since="2026-11-01")
        read = watch(browser).read
        assert "The routes would change 1 lead of 1." in read
        assert "to Later" in read
        browser.press("Change 1 lead")
        assert "1 lead changed." in watch(browser).read
        chat.drain()
        assert chat.states() == {"crm": "delivered", "chat": "dead", "later": "delivered"}

    def test_the_quarantine_is_read_again(self, quiet: World, monkeypatch: pytest.MonkeyPatch) -> None:
        for body in (b"no lead", b"none either"):
            with pytest.raises(accept.NotALead):
                accept.receive(quiet.app, body, quiet.now)
        browser = visitor(quiet)
        browser.open("quarantine")
        browser.open("replay")
        browser.press("Look", what="quarantine")
        assert "2 entries in quarantine." in watch(browser).read
        browser.press("Read 2 entries again")
        assert "0 of 2 could be read as a lead now; the others stay." in watch(browser).read

    def test_nothing_died(self, quiet: World) -> None:
        browser = visitor(quiet)
        browser.open("replay")
        browser.press("Look", what="dead")
        read = watch(browser).read
        assert "There is nothing to replay." in read
        assert "done" in read

    def test_who_said_yes_is_logged(self, chat: World, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        browser = visitor(chat)
        browser.open("replay")
        browser.press("Look", what="dead")
        watch(browser)
        browser.cookie = f"__Host-ops_session={session.begin(chat.app, chat.now, 'Grace', 'microsoft').text}"
        browser.open(browser.url)
        browser.press("Replay 1 delivery")
        (done,) = events(caplog)
        assert (done["operation"], done["count"], done["operator"], done["way"]) == ("replay", 1, "Grace", "microsoft")


def session_settings(w: World) -> Any:
    from leads import settings

    return settings.read(w.app.environ)


class TestEnding:
    def test_skipping(self) -> None:
        with world(crm=FakeDestination(TITLE="Contoso CRM", always=failing(Misconfigured))) as w:
            take(w)
            browser = visitor(w)
            browser.open("skip?destination=crm")
            browser.press("Look", destination="crm")
            read = watch(browser).read
            assert "1 delivery to Contoso CRM still open." in read
            assert "They are not sent, and count as skipped." in read
            browser.press("End 1 delivery")
            assert "1 delivery to Contoso CRM ended as skipped." in watch(browser).read
            assert w.states() == {"crm": "skipped"}

    def test_discarding_from_the_quarantine_shows_how_many_first(self, quiet: World) -> None:
        for number in range(3):
            with pytest.raises(accept.NotALead):
                accept.receive(quiet.app, b"no lead %d" % number, quiet.now)
        browser = visitor(quiet)
        browser.open("discard")
        quiet.forward(minutes=1)
        browser.press("Look", what="quarantine", since="2026-11-01", reason="JSON")
        assert "3 entries, 27 bytes." in watch(browser).read
        quiet.forward(minutes=1)
        with pytest.raises(accept.NotALead):
            accept.receive(quiet.app, b"came later", quiet.now)
        browser.press("Discard 3 entries")
        assert "3 entries discarded." in watch(browser).read
        assert len(quiet.store.containers["quarantine"]) == 1, "what came since was not shown"

    def test_discarding_a_lead_from_its_page(self, chat: World) -> None:
        browser = visitor(chat)
        browser.open(f"leads/{chat.ids()[0]}")
        browser.press("Discard it")
        read = watch(browser).read
        assert "1 lead or entry found." in read
        assert "A… L… · Contoso Planner · 2026-11-21" in read
        browser.press("Discard 1 lead or entry")
        read = watch(browser).read
        assert "1 lead or entry discarded." in read
        assert "Contoso CRM : remote-" in read, "what is left to be deleted by hand"
        assert chat.ids() == []

    def test_what_is_left_to_be_deleted_by_hand_is_never_lost(
        self, quiet: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither by a crash right behind the erasing, nor because there is much of it."""
        for number in range(20):
            take(quiet, userDetails={"email": f"p{number}@else.example"})
        browser, records = visitor(quiet), [lead.id[-16:] for lead, _ in quiet.places["crm"].got]
        browser.open("discard")
        browser.press("Look", ids="\n".join(quiet.ids()))
        assert "41 things elsewhere to be deleted by hand." in watch(browser).read
        save = jobs._save

        def killed(app: Any, job: Any) -> Any:
            if job.done:
                raise KeyboardInterrupt
            return save(app, job)

        with monkeypatch.context() as patched:
            patched.setattr(jobs, "_save", killed)
            with pytest.raises(KeyboardInterrupt):
                browser.press("Discard 20 leads and entries")
        assert quiet.ids() == []
        quiet.forward(minutes=3)
        jobs.go_on_all(quiet.app, quiet.now)
        browser.open(browser.url)
        whole = json.loads(browser.press("Download the whole list (JSON)").body)
        told = [each["what"] for each in whole["by_hand"] if each["where"] == "crm"]
        assert len(told) == 20
        assert all(any(record in each for each in told) for record in records)

    def test_the_leads_of_a_flood_are_discarded_and_no_others(
        self, quiet: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(jobs, "PAGE_SECONDS", 0.0)
        monkeypatch.setattr(stretches, "LISTED", 3)
        early = take(quiet, userDetails={"email": "early@else.example"})
        since = quiet.now
        for number in range(8):
            take(quiet, userDetails={"email": f"p{number}@else.example"})
        other = take(quiet, userDetails={"email": "o@else.example"}, offerTitle="Board", offerId="board")
        browser = visitor(quiet)
        browser.open("discard")
        assert browser.press("Look", what="leads").status == 400, "all leads at once are never meant"
        browser.press("Look", what="leads", since=f"{since:%Y-%m-%dT%H:%M}", offer="planner")
        assert "8 leads found." in watch(browser).read
        late = take(quiet, userDetails={"email": "late@else.example"})
        browser.press("Discard 8 leads")
        assert "8 leads discarded." in watch(browser).read
        assert set(quiet.ids()) == {early, other, late}, "what came since the look was not shown"

    @pytest.mark.parametrize("offer", ["\u200b", "\u0301", "\u00b4"])
    def test_an_offer_that_cannot_be_seen_chooses_no_lead(self, quiet: World, offer: str) -> None:
        """It comes along when a name is copied, and a part of nothing is a part of every name."""
        kept = {take(quiet), take(quiet, offerTitle="Board")}
        browser = visitor(quiet)
        browser.open("discard")
        browser.press("Look", what="leads", offer=offer)
        assert "2 leads found." not in watch(browser).read
        assert set(quiet.ids()) == kept
        listed = operations.perform(quiet.app, "list", {"offer": offer}, quiet.now)
        assert listed["leads"] == []

    @pytest.mark.parametrize("ids", ["ada.lovelace@analytical.example", "x", "0" * 17, " "])
    def test_only_ids_are_discarded(self, chat: World, ids: str) -> None:
        browser = visitor(chat)
        browser.open("discard")
        assert browser.press("Look", ids=ids).status == 400

    def test_signing_everybody_out(self, quiet: World, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        other, browser = visitor(quiet), visitor(quiet)
        browser.open("sessions")
        assert browser.press("Sign everybody out").status == 403
        assert other.open().status == 403
        assert [each["operation"] for each in events(caplog)] == ["sign-out-all"]


class TestCustomer:
    WHO = "ada.lovelace@analytical.example"

    def find(self, w: World, who: str = WHO) -> Visitor:
        browser = visitor(w)
        browser.open("customer")
        browser.press("Find", who=who)
        watch(browser)
        return browser

    def test_what_is_found_is_shown_first(self, chat: World) -> None:
        read = self.find(chat)
        assert read.last
        assert "For a…@analytical.example . Found 1 lead, and 0 entries in quarantine." in read.last.read
        assert "Delete by hand, since this app does not Contoso CRM : remote-" in read.last.read
        assert len(chat.ids()) == 1

    def test_the_address_is_typed_again(self, chat: World) -> None:
        browser = self.find(chat)
        came = browser.press("Erase all of it", again="ada.lovelace@analytical.exampl")
        assert (came.status, "This is not the same as what you entered at first." in came.read) == (409, True)
        assert len(chat.ids()) == 1
        browser.press("Erase all of it", again=" ADA.Lovelace@analytical.example")
        read = watch(browser).read
        assert "1 lead or entry erased." in read
        assert "a…@" not in read
        assert chat.ids() == []
        whole = json.loads(browser.press("Download the whole list (JSON)").body)
        assert {each["where"] for each in whole["by_hand"]} == {"crm", "Partner Center"}

    def test_an_export_is_downloaded_by_a_button(self, chat: World) -> None:
        browser = self.find(chat)
        browser.press("Export for the customer", again=self.WHO)
        watch(browser)
        page = browser.last
        read = browser.press("Download to read (HTML)")
        assert read.headers["Content-Disposition"] == 'attachment; filename="customer.html"'
        assert "sandbox" in read.headers["Content-Security-Policy"]
        assert "Lovelace" in read.text
        browser.last = page
        content = json.loads(browser.press("Download for machines (JSON)").body)
        assert (content["customer"], len(content["records"])) == (self.WHO, 1)
        assert not [url for url in browser.asked if "lovelace" in url.lower() or "%40" in url]

    def test_whoever_downloads_what_somebody_else_exported_is_logged(
        self, chat: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        browser = self.find(chat)
        browser.press("Export for the customer", again=self.WHO)
        watch(browser)
        other = Visitor(chat)
        other.cookie = f"__Host-ops_session={session.begin(chat.app, chat.now, 'Mallory').text}"
        other.open(browser.url)
        caplog.clear()
        assert "Lovelace" in other.press("Download to read (HTML)").text
        (logged,) = events(caplog)
        assert (logged["operation"], logged["operator"], logged["count"]) == ("download", "Mallory", 1)

    def test_in_many_stretches_it_is_the_same(self, chat: World, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(5):
            take(chat, offerTitle=f"Offer {number}")
        monkeypatch.setattr(jobs, "PAGE_SECONDS", 0.0)
        monkeypatch.setattr(stretches, "SECONDS", 0)
        browser = self.find(chat)
        browser.press("Export for the customer", again=self.WHO)
        watch(browser)
        content = json.loads(browser.press("Download for machines (JSON)").body)
        assert len(content["records"]) == 6

    def test_nothing_is_kept(self, quiet: World) -> None:
        browser = self.find(quiet, "nobody@else.example")
        assert browser.last
        assert "Nothing is kept here of this customer. Looked at" in browser.last.read

    def test_a_lead_id_will_do(self, chat: World) -> None:
        browser = self.find(chat, chat.ids()[0])
        browser.press("Erase all of it", again=chat.ids()[0] if chat.ids() else "")
        assert "1 lead or entry erased." in watch(browser).read

    @pytest.mark.parametrize("who", ["", "nobody", "x" * 9000])
    def test_what_names_nobody(self, quiet: World, who: str) -> None:
        browser = visitor(quiet)
        browser.open("customer")
        assert browser.press("Find", who=who).status == 400

    def test_what_could_not_be_searched_is_said(self, chat: World, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: Any) -> None:
            raise Misconfigured("The inbox refuses the key.", "Correct LEADS_INBOX.")

        monkeypatch.setattr(chat.inbox, "pages", broken)
        browser = self.find(chat)
        assert browser.last
        assert (
            "Not searched inbox table MarketplaceLeads : The inbox refuses the key. Correct LEADS_INBOX."
            in browser.last.read
        )


CSV = "Email,Contact Name,Company,Offer,Created\nzoe@else.example,Zoe Else,Else,Planner,{}\n"


class TestImport:
    def upload(self, w: World, text: str, **typed: str) -> tuple[Visitor, Answer]:
        browser = visitor(w)
        browser.open("import")
        browser.press("Upload and look", ("leads.csv", text.encode()), **typed)
        return browser, watch(browser)

    def test_the_preview_then_a_yes(self, quiet: World) -> None:
        browser, came = self.upload(quiet, CSV.format("2026-11-20"))
        assert "1 would become a lead." in came.read
        assert "Z… E… z…@else.example · Planner · 2026-11-20" in came.read
        assert quiet.ids() == []
        browser.press("Bring 1 lead in")
        assert "1 became a lead." in watch(browser).read
        assert len(quiet.ids()) == 1
        _, came = self.upload(quiet, CSV.format("2026-11-20"))
        assert "1 was imported before." in came.read

    def test_dates_that_can_be_read_in_two_ways_are_asked(self, quiet: World) -> None:
        browser, came = self.upload(quiet, CSV.format("3/4/2026"))
        assert "no day above 12 shows which" in came.read
        browser.press("Month first: 3/4 is March 4")
        assert "Planner · 2026-03-04" in watch(browser).read

    def test_what_is_here_stays_out_unless_it_is_wished(self, quiet: World) -> None:
        take(quiet, userDetails={"email": "zoe@else.example"}, offerTitle="Planner")
        _, came = self.upload(quiet, CSV.format("2026-11-21"))
        assert "1 has customer, offer and day of a lead that is here" in came.read
        _, came = self.upload(quiet, CSV.format("2026-11-21"), force="1")
        assert "1 would become a lead." in came.read

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "Choose a file that is not empty."),
            ("a,b\n1,2\n", "No column of the first line is known."),
            ('Email\n"x\n', "a quotation mark is out of place"),
        ],
    )
    def test_what_is_not_a_table(self, quiet: World, text: str, said: str) -> None:
        _, came = self.upload(quiet, text)
        assert (came.status, said in came.read) == (400, True)
        assert jobs.every(quiet.app) == []

    def test_what_never_came_by_itself_is_counted_by_offer_and_week(self, quiet: World) -> None:
        rows = ["2026-11-09,Planner"] * 3 + ["2026-11-16,Planner", "2026-11-17,Board", ",Board"]
        lines = [f"p{n}@else.example,{each}" for n, each in enumerate(rows)]
        take(quiet, userDetails={"email": "here@else.example"}, offerTitle="Board")
        lines.append("here@else.example,2026-11-21,Board")
        browser, came = self.upload(quiet, "\n".join(["Email,Created,Offer", *lines]))
        assert "Board · 2026-W47: 1 Board · no date: 1 Planner · 2026-W46: 3 Planner · 2026-W47: 1" in came.read
        browser.press("Bring 6 leads in")
        assert "Planner · 2026-W46: 3" in watch(browser).read

    def test_a_file_is_read_once(self, quiet: World, monkeypatch: pytest.MonkeyPatch) -> None:
        reads, read = [], importing.read

        def noted(*given: Any) -> Any:
            reads.append(given)
            return read(*given)

        monkeypatch.setattr(importing, "read", noted)
        monkeypatch.setattr(jobs, "PAGE_SECONDS", 0.0)
        lines = "".join(f"p{n}@else.example,P {n},Else,Planner,2026-11-20\n" for n in range(35))
        browser, _ = self.upload(quiet, CSV.partition("\n")[0] + "\n" + lines)
        browser.press("Bring 35 leads in")
        watch(browser)
        assert len(reads) == 2, "when it came, and when it was looked at"
        assert quiet.store.containers["jobs"] == {}

    def test_what_would_take_long_to_read_is_refused_in_words(self, quiet: World) -> None:
        _, came = self.upload(quiet, "Email\n" + "a\n" * acts.LINES)
        assert (came.status, "It has more than 10,000 lines. Split it" in came.read) == (400, True)

    def test_what_is_too_large_is_refused_in_words(self, quiet: World) -> None:
        _, came = self.upload(quiet, "Email\n" + "x" * (acts.UPLOAD_LIMIT + 20_000))
        assert came.status == 413
        assert "It takes 4 MB at once" in came.read
        assert "Split the file" in came.read

    def test_in_many_stretches_it_is_the_same(self, quiet: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jobs, "PAGE_SECONDS", 0.0)
        lines = "".join(f"p{n}@else.example,P {n},Else,Planner,2026-11-20\n" for n in range(35))
        browser, came = self.upload(quiet, CSV.partition("\n")[0] + "\n" + lines)
        assert "35 would become a lead." in came.read
        browser.press("Bring 35 leads in")
        assert "35 became a lead." in watch(browser).read

    def test_old_rows_of_the_table(self, quiet: World) -> None:
        old = quiet.now.replace(year=2025)
        quiet.inbox.tables["MarketplaceLeads"] = [row(f"old{n}", old) for n in range(12)]
        quiet.live(minutes=5)
        assert quiet.ids() == []
        browser = visitor(quiet)
        browser.open("import")
        browser.press("Look at MarketplaceLeads")
        assert "12 is older than the app, and would become a lead." in watch(browser).read
        browser.press("Bring 12 rows in")
        assert "12 became a lead." in watch(browser).read
        assert len(quiet.ids()) == 12


class TestRoutes:
    def test_without_any(self, quiet: World) -> None:
        assert "every lead goes to Contoso CRM, Chat" in visitor(quiet).open("routes").read

    def test_as_they_are_understood(self, chat: World) -> None:
        lead_id = chat.ids()[0]
        chat.app.settings = session_settings_with(chat, "country=DE > crm; offer=*planner* > chat; > crm")
        browser = visitor(chat)
        read = browser.open("routes").read
        assert "1. country=DE > crm" in read
        came = browser.press("Try this lead", id=lead_id).read
        assert "This lead goes to Chat" in came
        assert "country=DE > crm does not fit country=DE" in came
        assert "Route 2 ended the reading." in came
        came = browser.press("Try this text", text=json.dumps({"userDetails": {"country": "DE"}})).read
        assert "This lead goes to Contoso CRM" in came
        assert len(chat.ids()) == 1

    def test_what_cannot_be_read_is_said(self, chat: World) -> None:
        chat.app.settings = session_settings_with(chat, "contry=DE > crm")
        browser = visitor(chat)
        assert "Until that is corrected, leads go to all destinations." in browser.open("routes").read
        assert browser.press("Try this text", text="no lead").status == 400
        came = browser.press("Try this text", text='{"a": "' + "x" * 300_000 + '"}')
        assert (came.status, "larger than any lead" in came.read, len(came.body) < 60_000) == (400, True, True)
        assert browser.press("Try this lead", id="0" * 16 + "-" + "0" * 16).status == 404

    def test_they_decide_again_about_one(self, chat: World) -> None:
        chat.app.environ = {**chat.app.environ, "LEADS_DESTINATIONS": "crm,chat,later"}
        chat.app.settings = session_settings(chat)
        chat.places["later"] = FakeDestination(TITLE="Later")
        browser = visitor(chat)
        browser.open(f"leads/{chat.ids()[0]}")
        assert "to Later" in browser.press("Where it goes and why").read
        browser.press("Let them decide again")
        chat.drain()
        assert chat.states()["later"] == "delivered"


def session_settings_with(w: World, routes: str) -> Any:
    from leads import settings

    w.app.__dict__.pop("routes", None)
    return settings.read({**w.app.environ, "LEADS_ROUTES": routes})


class TestPreview:
    def test_what_would_be_sent(self, chat: World, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        crm = chat.places["crm"]
        crm.preview = lambda lead, *_: f"name: {lead.contact.name}\n{HOSTILE}"  # type: ignore[attr-defined]
        browser = visitor(chat)
        browser.open(f"leads/{chat.ids()[0]}")
        assert "Lovelace" not in browser.open(f"preview/{chat.ids()[0]}").read
        came = browser.press("Show it", destination="crm")
        assert "name: Ada Lovelace" in came.read
        assert "<img" not in came.text
        assert "\u202e" not in came.text
        assert [each["operation"] for each in events(caplog)] == ["preview"]

    def test_a_destination_without_one_says_so(self, chat: World) -> None:
        browser = visitor(chat)
        browser.open(f"preview/{chat.ids()[0]}")
        came = browser.press("Show it", destination="chat")
        assert (came.status, "Chat has no preview." in came.read) == (409, True)


class TestHostile:
    def test_a_customer_who_types_tricks_is_only_words(self, quiet: World) -> None:
        person = {"firstName": HOSTILE, "lastName": "<script>", "email": "x@y.example", "company": HOSTILE}
        lead_id = take(quiet, userDetails=person, offerTitle=HOSTILE, description=HOSTILE)
        csv = f'Email,Company,Offer,{"<b>odd</b>"}\nq@y.example,"{HOSTILE}","{HOSTILE}",1\n'
        browser = visitor(quiet)
        seen = []
        browser.open("discard")
        browser.press("Look", ids=lead_id)
        seen.append(watch(browser))
        browser.open("customer")
        browser.press("Find", who="x@y.example")
        seen.append(watch(browser))
        browser.open("import")
        browser.press("Upload and look", ("x.csv", csv.encode()))
        seen.append(watch(browser))
        browser.open("routes")
        seen += [browser.press("Try this text", text=HOSTILE), browser.press("Try this lead", id="<b>")]
        browser.open(f"leads/{lead_id}")
        seen += [browser.press("Where it goes and why"), browser.open("jobs"), browser.open("skip?destination=<b>")]
        for came in seen:
            body = came.text.partition("</style>")[2]
            assert not [each for each in ("<img", "<script", "<b>", "\u202e", "onerror=alert(1)>") if each in body]
            assert len(came.text) < 60_000

    def test_an_operators_name_is_only_words(self, chat: World) -> None:
        browser = visitor(chat)
        browser.cookie = f"__Host-ops_session={session.begin(chat.app, chat.now, '<b>Eve').text}"
        browser.open("replay")
        browser.press("Look", what="dead")
        assert "<b>" not in watch(browser).text


class Counting:
    """Stands before the store and counts what is asked of it."""

    def __init__(self, inner: Any, counts: Counter[str]) -> None:
        self.inner, self.counts = inner, counts

    def __getattr__(self, name: str) -> Any:
        def counted(*given: Any, **named: Any) -> Any:
            self.counts["calls"] += 1
            found = getattr(self.inner, name)(*given, **named)
            return self._each(found) if hasattr(found, "__next__") else found

        return counted

    def _each(self, found: Iterator[Any]) -> Iterator[Any]:
        for each in found:
            self.counts["rows"] += 1
            yield each


@pytest.mark.parametrize("kind", ["replay", "waiting", "skip", "discard", "customer", "check"])
def test_no_request_costs_more_than_a_page_of_rows(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 120 leads open or dead, each request does one step, of some calls."""
    monkeypatch.setattr(jobs, "PAGE_SECONDS", 0.0)
    monkeypatch.setattr(stretches, "SECONDS", 0)
    failure = Rejected if kind == "replay" else Misconfigured
    with world(crm=FakeDestination(always=failing(failure))) as w:
        for number in range(120):
            accept.receive(w.app, post(userDetails={"email": f"p{number}@else.example"}), w.now)
        w.drain()
        w.sweep()
        assert sum(":" in key for _, key in w.store.tables[LEADS]) == 120
        counts: Counter[str] = Counter()
        store = Counting(w.store, counts)
        w.app.store = store
        w.app.ledger.store = store
        browser = visitor(w)
        browser.open(kind)
        typed = {
            "replay": {"what": "dead"},
            "skip": {"destination": "crm"},
            "discard": {"what": "quarantine"},
            "customer": {"who": "p1@else.example"},
        }
        labels = {"customer": "Find", "check": "Check everything"}
        answered = browser.press(labels.get(kind, "Look"), None, **typed.get(kind, {}))
        most: Counter[str] = Counter()
        for _ in range(15):
            counts.clear()
            answered = browser.open(browser.url)
            most |= counts
            if "Refresh" not in answered.headers:
                break
        assert most["calls"] <= 130, most
        assert most["rows"] <= 1000, most


def test_the_month_of_the_pictures_shows_each_screen() -> None:
    with month() as w:
        browser = visitor(w)
        for path in acts.PAGES:
            assert browser.open(path).status in (200, 404)


def test_forgetting_is_searched_in_small_steps() -> None:
    assert stretches.SECONDS < forget.SECONDS
