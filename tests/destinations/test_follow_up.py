"""Drafts for customers, at the wire: what Graph is sent, what nobody gets, and what a stranger cannot write by them.

Documents: learn.microsoft.com/graph/api/user-post-messages, …/graph/api/resources/message, …/graph/errors,
…/rest/api/storageservices/list-blobs and get-blob.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from babel.core import get_global
from hypothesis import given
from hypothesis import strategies as st

from dev.certificate import server_files
from dev.standins import follow_up as standin
from dev.standins.follow_up import CONTAINER, Drafts
from dev.standins.server import Answer, Failure
from leads import enabled, errors, oauth
from leads.contract import Earlier, Finding, Step
from leads.destinations import follow_up
from leads.destinations.follow_up import languages, mapping, template
from leads.errors import Skip
from leads.intake import accept
from leads.lead import Contact, Lead, Mark, Stage, State, Via
from leads.operate import replay
from leads.reader import Reader
from leads.transport import Deadline
from tests.message_samples import HOSTILE, SAMPLES, hostile_lead
from tests.world import PERSON, post, world

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
LEAD = SAMPLES["contact_me"]
GERMAN = (
    "subject: {offer}\nsubject: Ihre Anfrage\ngreeting: Guten Tag {name},\ngreeting: Guten Tag,\n\n{greeting}\nhallo\n"
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("follow_up")


@pytest.fixture
def box(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Drafts]:
    oauth._client.cache_clear()
    with standin.start(directory, {}) as running:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server_files(directory)[0]))
        for name, value in running.identity_environ().items():
            monkeypatch.setenv(name, value)
        yield running


def read(box: Drafts, **changes: str) -> follow_up.Settings:
    reader = Reader(box.environ() | changes, follow_up.SETTINGS, "follow_up")
    settings = follow_up.Settings.read(reader)
    assert reader.problems == []
    return settings


def with_files(box: Drafts, **files: str | bytes) -> follow_up.Settings:
    """Settings with templates in a container; `__` in a name stands for a slash."""
    made = {name.replace("__", "/") + ".txt": text for name, text in files.items()}
    box.files = {name: text.encode() if isinstance(text, str) else text for name, text in made.items()}
    return read(box, FOLLOW_UP_TEMPLATES=f"{box.url}{CONTAINER}")


def step(**values: Any) -> Step:
    return Step(**{"now": NOW, "deadline": Deadline.after(20), **values})


def made(box: Drafts, lead: Lead, settings: follow_up.Settings | None = None, **values: Any) -> dict[str, Any]:
    """The draft that is made of a lead."""
    follow_up.send(lead, step(**values), settings or read(box))
    return box.drafts[-1][1]


def text_of(box: Drafts, lead: Lead, settings: follow_up.Settings | None = None) -> str:
    draft = made(box, lead, settings)
    return f"{draft['subject']}\n\n{draft['body']['content']}"


class TestWire:
    def test_one_draft_as_microsoft_documents_it(self, box: Drafts) -> None:
        told = follow_up.send(LEAD, step(), read(box))
        (call,) = [call for call in box.server.calls if call.path.startswith("/v1.0/")]
        assert (call.method, call.path, call.status) == ("POST", "/v1.0/users/ada@contoso.com/messages", 201)
        assert call.headers["content-type"] == "application/json"
        assert call.headers["authorization"].startswith("Bearer ")
        assert call.json() == {
            "subject": "Contoso Invoice Flow: how can we help?",
            "body": {
                "contentType": "text",
                "content": "Dear Ada Rossi,\n\n"
                "Thank you for getting in touch with us through the Microsoft marketplace.\n"
                "You are interested in Contoso Invoice Flow.\n\n"
                "Would you like to tell me in a few words what you want to achieve? I will gladly show you how it "
                "works, or answer your\nquestions right here. If a call suits you better, send me two or three times "
                "that fit.\n\nKind regards\nAda Byron, Contoso\n",
            },
            "toRecipients": [{"emailAddress": {"address": "ada.rossi@example.com", "name": "Ada Rossi"}}],
        }
        assert told == f"localhost:{box.server.port} {box.drafts[0][1]['id']}"

    def test_the_preview_is_the_draft_by_the_templates_of_now_and_makes_none(self, box: Drafts) -> None:
        settings = with_files(box, en__active=GERMAN)
        shown = follow_up.preview(LEAD, step(), settings)
        assert shown.startswith("To: Ada Rossi <ada.rossi@example.com>\nSubject: Contoso Invoice Flow\n\nGuten Tag Ada")
        assert box.drafts == []
        assert text_of(box, LEAD, settings) in shown.replace("Subject: ", "")
        with pytest.raises(Skip, match="not to be contacted"):
            follow_up.preview(SAMPLES["do_not_contact"], step(), settings)
        box.files["en/active.txt"] = b"subject: {nonsense}\n\nx\n"
        with pytest.raises(errors.Misconfigured, match=r"active\.txt"):
            follow_up.preview(LEAD, step(), settings)

    def test_nothing_is_ever_sent(self, box: Drafts) -> None:
        for lead in SAMPLES.values():
            with contextlib.suppress(Skip):
                follow_up.send(lead, step(), read(box))
        paths = {call.path for call in box.server.calls if call.path.startswith("/v1.0/")}
        assert paths == {"/v1.0/users/ada@contoso.com/messages"}

    def test_the_link_is_the_one_that_graph_gave(self, box: Drafts) -> None:
        told = follow_up.send(LEAD, step(), read(box))
        settings = read(box)
        assert follow_up.record_url(LEAD, [(LEAD, told)], settings) == box.drafts[0][1]["webLink"]
        other = replace(LEAD, id="0000000000000000-0000000000000001")
        assert follow_up.record_url(LEAD, [(other, told)], settings) == ""
        assert follow_up.record_url(LEAD, [(LEAD, "AAMk")], settings) == ""
        assert follow_up.record_url(LEAD, [], settings) == ""

    @pytest.mark.parametrize("link", [None, "", "http://outlook.example/owa", "https://a b/", "https://[", 5])
    def test_a_draft_without_a_link_counts_all_the_same(self, box: Drafts, link: object) -> None:
        box.server.failures.append(Failure(Answer(201, {"id": "AAMk=", "webLink": link}), path="/messages"))
        assert follow_up.send(LEAD, step(), read(box)) == "AAMk="

    @pytest.mark.parametrize("body", [{}, {"id": 5}, {"id": "a b"}, [], "<html>"])
    def test_an_answer_without_an_id_is_no_success(self, box: Drafts, body: Any) -> None:
        box.server.failures.append(Failure(Answer(201, body), path="/messages"))
        with pytest.raises(errors.Transient) as caught:
            follow_up.send(LEAD, step(), read(box))
        assert caught.value.unanswered

    @pytest.mark.parametrize(
        ("status", "code", "expected"),
        [
            (400, "ErrorInvalidRecipients", errors.Rejected),
            (403, "ErrorAccessDenied", errors.Misconfigured),
            (404, "ErrorInvalidUser", errors.Misconfigured),
            (400, "MailboxNotEnabledForRESTAPI", errors.Misconfigured),
            (413, "", errors.Rejected),
            (302, "", errors.Misconfigured),
            (429, "ApplicationThrottled", errors.Throttled),
            (503, "ada.rossi@example.com is busy", errors.Transient),
        ],
    )
    def test_refusals(self, box: Drafts, status: int, code: str, expected: type[errors.Failure]) -> None:
        body = {"error": {"code": code, "message": "ada.rossi@example.com may not"}}
        box.server.failures.append(Failure(Answer(status, body, {"retry-after": "30"}), path="/messages"))
        with pytest.raises(expected) as caught:
            follow_up.send(LEAD, step(), read(box))
        assert "ada.rossi" not in f"{caught.value.cause} {caught.value.remedy}"
        assert str(status) in caught.value.cause

    def test_a_token_that_was_revoked_is_renewed(self, box: Drafts) -> None:
        follow_up.send(LEAD, step(), read(box))
        box.entra.tokens.clear()
        follow_up.send(replace(LEAD, id="0000000000000000-0000000000000001"), step(), read(box))
        assert len(box.drafts) == 2

    def test_with_the_managed_identity(self, box: Drafts) -> None:
        by_identity = {"FOLLOW_UP_MAILBOX": "ada@contoso.com", "FOLLOW_UP_GRAPH_URL": box.url}
        reader = Reader(by_identity, follow_up.SETTINGS)
        follow_up.send(LEAD, step(), follow_up.Settings.read(reader))
        assert len(box.drafts) == 1

    def test_a_mailbox_outside_the_scope_is_told_with_the_role(self, box: Drafts) -> None:
        with pytest.raises(errors.Misconfigured) as caught:
            follow_up.send(LEAD, step(), read(box, FOLLOW_UP_MAILBOX="bo@contoso.com"))
        assert "Application Mail.ReadWrite" in caught.value.remedy

    def test_a_crash_that_left_an_id_makes_no_second_draft(self, box: Drafts) -> None:
        assert follow_up.send(LEAD, step(remote_id="AAMk"), read(box)) == "AAMk"
        assert box.drafts == []


class TestNone:
    """Who gets no draft, with the reason."""

    @pytest.mark.parametrize(
        ("lead", "about", "reason"),
        [
            (SAMPLES["do_not_contact"], {}, "the customer is not to be contacted"),
            (replace(LEAD, do_not_contact=True), {}, "the customer is not to be contacted"),
            (SAMPLES["withheld"], {}, "Microsoft withheld the contact data"),
            (replace(LEAD, via=Via.IMPORT), {}, "it was imported"),
            (LEAD, {"marks": (Mark.OWN, Mark.FREE)}, "the address is one of your own (LEADS_OWN_DOMAINS)"),
            (SAMPLES["test"], {}, "there is no address that an answer can go to"),
            (replace(LEAD, contact=Contact(email="call me")), {}, "there is no address that an answer can go to"),
        ],
    )
    def test_reasons(self, box: Drafts, lead: Lead, about: dict[str, Any], reason: str) -> None:
        with pytest.raises(Skip) as skipped:
            follow_up.send(lead, step(**about), read(box))
        assert skipped.value.reason == reason
        assert box.server.calls == []

    @pytest.mark.parametrize("mark", [Mark.FREE, Mark.DISPOSABLE])
    def test_other_marks_do_not_matter(self, box: Drafts, mark: Mark) -> None:
        assert made(box, LEAD, marks=(mark,))

    @pytest.mark.parametrize(
        ("changes", "twice"),
        [
            ({}, True),
            ({"stage": Stage.TRIAL}, True),
            ({"offer": "", "offer_title": "CONTOSO INVOICE FLOW"}, True),
            ({"offer_title": ""}, True),
            ({"offer": "contoso.other", "offer_title": "Contoso Other"}, False),
        ],
    )
    @pytest.mark.parametrize("when", ["earlier", "later"])
    def test_one_for_a_customer_and_offer(self, box: Drafts, changes: dict[str, Any], twice: bool, when: str) -> None:
        other = Earlier(replace(LEAD, **changes), State.DELIVERED, "AAMk")
        if not twice:
            assert follow_up.send(LEAD, step(**{when: (other,)}), read(box))
            return
        with pytest.raises(Skip, match="already"):
            follow_up.send(LEAD, step(**{when: (other,)}), read(box))

    @pytest.mark.parametrize("state", [None, State.SKIPPED, State.DEAD])
    def test_an_earlier_lead_without_a_draft_is_no_reason(self, box: Drafts, state: State | None) -> None:
        assert made(box, LEAD, earlier=(Earlier(LEAD, state, ""),))

    def test_an_earlier_lead_goes_first(self, box: Drafts) -> None:
        with pytest.raises(errors.Transient) as caught:
            follow_up.send(LEAD, step(earlier=(Earlier(LEAD, State.OPEN, ""),)), read(box))
        assert not caught.value.unanswered
        assert made(box, LEAD, later=(Earlier(LEAD, State.OPEN, ""),))

    def test_the_rules_of_its_kind_keep_out_tests_old_leads_and_replays(self, box: Drafts) -> None:
        environ = {**box.environ(), "LEADS_DESTINATIONS": "follow_up", "LEADS_TEST_LEADS": "deliver"}
        with world(environ=environ) as w:
            accept.receive(w.app, post(userDetails=PERSON | {"firstName": "MSFT_TEST_636573304831318844"}), w.now)
            w.drain()
            assert w.states() == {"follow_up": "skipped"}
        with world(environ=environ) as w:
            receipt = accept.receive(w.app, post(), w.now)
            w.drain()
            assert w.states() == {"follow_up": "delivered"}
            replay.replay(w.app, receipt.id, "follow_up", w.now)
            w.drain()
            assert w.states() == {"follow_up": "skipped"}
        assert len(box.drafts) == 1

    def test_your_own_people_get_none_through_the_whole_app(self, box: Drafts) -> None:
        environ = {**box.environ(), "LEADS_DESTINATIONS": "follow_up", "LEADS_OWN_DOMAINS": "contoso.com"}
        with world(environ=environ) as w:
            accept.receive(w.app, post(userDetails=PERSON | {"email": "ada@emea.contoso.com"}), w.now)
            w.drain()
            (lead_id,) = w.ids()
            found = w.app.ledger.delivery(lead_id, "follow_up")
            assert found
            assert found.reason == "the address is one of your own (LEADS_OWN_DOMAINS)"
        assert box.drafts == []


class TestStrangers:
    """What comes from outside is one short line without links, or nothing."""

    @pytest.mark.parametrize(
        "name", ["Ada", "José María", "O’Neil", "Jean-Luc", "J.", "李", "Мария", "प्रिया", "D'Arcy"]
    )
    def test_names(self, name: str) -> None:
        assert mapping.name_of(name) == name

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "Click here now",
            "evil.com",
            "Win $1000",
            "Ada https://evil.example",
            "ada@evil.example",
            "Call 0190",
            "n/a",
            "test",
            "Unknown",
            "A" * 41,
            "Ada\nBcc: x",
            "evil。com",
            "ｅｖｉｌ．ｃｏｍ",
            "Ada\u202e",
            "-",
            "...",
            "😀",
            "<b>Ada</b>",
        ],
    )
    def test_what_is_no_name_gets_a_neutral_greeting(self, box: Drafts, name: str) -> None:
        assert mapping.name_of(name) == ""
        if name:
            for contact in (Contact(first_name=name, last_name="Rossi"), Contact(first_name="Ada", last_name=name)):
                draft = made(box, replace(LEAD, contact=replace(contact, email="a@example.com")))
                assert draft["body"]["content"].startswith("Hello,\n")
                assert draft["toRecipients"] == [{"emailAddress": {"address": "a@example.com"}}]

    @pytest.mark.parametrize(
        "company", ["Fabrikam S.p.A.", "Novo Nordisk A/S", "AT&T", "日本電気", "3M", "Wilson, Sons & Co."]
    )
    def test_companies(self, company: str) -> None:
        assert mapping.short(company, 60) == company

    @pytest.mark.parametrize(
        "company",
        [
            "www.evil.example",
            "evil.example",
            "mailto:x",
            "Call +39 06 6981 2345",
            "x" * 61,
            "a\r\nb",
            "10.0.0.1",
            "a@b",
        ],
    )
    def test_what_could_become_a_link_is_left_out(self, company: str) -> None:
        assert mapping.short(company, 60) == ""

    @pytest.mark.parametrize("value", HOSTILE)
    def test_hostile_values(self, box: Drafts, value: str) -> None:
        hostile = hostile_lead(value)
        lead = replace(hostile, contact=replace(hostile.contact, email="a@example.com"), stage=Stage.ACTIVE)
        draft = made(box, lead)
        assert len(draft["toRecipients"]) == 1
        assert "\n" not in draft["subject"]
        whole = json.dumps(draft["subject"]) + draft["body"]["content"]
        assert not re.search(r"evil|victim|javascript|<|\u202e|xxxx", whole)

    def test_the_customers_own_words_are_never_quoted(self, box: Drafts) -> None:
        for stage in ("active", "trial", "initial_interest", "unknown"):
            assert "12 offices" not in text_of(box, replace(LEAD, stage=Stage(stage)))
        assert not {"message", "email", "campaign"} & set(template.VARIABLES)

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        for found in (mapping.short(text, 60), mapping.name_of(text)):
            assert len(found) <= 60
            assert len(found.splitlines()) <= 1
            assert not re.search(r"://|@|www\.", found)


class TestTemplates:
    def test_every_stage_has_one_that_is_shipped_in_english(self, box: Drafts) -> None:
        assert set(template.shipped()) == {f"en/{stage}.txt" for stage in Stage if stage is not Stage.DO_NOT_CONTACT}
        texts = {text_of(box, replace(LEAD, stage=Stage(name[3:-4]))) for name in template.shipped()}
        assert len(texts) == 4
        for name, path in template.shipped().items():
            assert template.parse(name, path.read_text("utf-8"))[1] == []

    def test_a_line_without_its_value_is_left_out(self, box: Drafts) -> None:
        text = text_of(box, replace(LEAD, offer_title=""), read(box, FOLLOW_UP_SELLER=""))
        assert text.startswith("Your request: how can we help?\n\nDear Ada Rossi,\n\nThank you")
        assert "interested in" not in text
        assert text.endswith("Kind regards\n")

    @pytest.mark.parametrize(
        ("country", "offer", "expected"),
        [
            ("AT", "contoso.invoice-flow", "german for the id"),
            ("AT", "contoso.other", "german"),
            ("FR", "contoso.other", "english of the publisher"),
            ("", "contoso.invoice-flow", "english for the title"),
            ("Wakanda", "contoso.other", "english of the publisher"),
        ],
    )
    def test_by_language_then_offer(self, box: Drafts, country: str, offer: str, expected: str) -> None:
        head = "subject: x\ngreeting: y\n\n"
        settings = with_files(
            box,
            **{
                "de__Contoso.Invoice-Flow__active": f"{head}german for the id",
                "de__active": f"{head}german",
                "de__trial": f"{head}another stage",
                "en__active": f"{head}english of the publisher",
                "en__Contoso Invoice Flow__active": f"{head}english for the title",
            },
        )
        title = "Contoso Invoice Flow" if offer == "contoso.invoice-flow" else "Other"
        lead = replace(LEAD, contact=replace(LEAD.contact, country=country), offer=offer, offer_title=title)
        assert made(box, lead, settings)["body"]["content"] == f"{expected}\n"

    def test_what_the_container_lacks_is_taken_from_the_package(self, box: Drafts) -> None:
        assert "Thank you for trying" in text_of(
            box, replace(LEAD, stage=Stage.TRIAL), with_files(box, de__active=GERMAN)
        )

    def test_an_edited_file_counts_at_once_and_the_country_is_named_in_its_language(self, box: Drafts) -> None:
        german = replace(LEAD, contact=replace(LEAD.contact, country="DE"))
        settings = with_files(box, de__active=GERMAN)
        assert text_of(box, german, settings) == "Contoso Invoice Flow\n\nGuten Tag Ada Rossi,\nhallo\n"
        box.files["de/active.txt"] = GERMAN.replace("hallo", "nach {country} für {company}").encode("utf-8-sig")
        assert "nach Deutschland für Fabrikam S.p.A." in text_of(box, german, settings)
        listed = next(call for call in box.server.calls if call.query.get("comp") == "list")
        assert (listed.path, listed.query["restype"]) == (CONTAINER, "container")
        assert listed.headers["x-ms-version"]
        assert listed.headers["x-ms-date"] == "Sun, 29 Nov 2026 12:00:00 GMT"

    @pytest.mark.parametrize(
        ("text", "cause"),
        [
            (GERMAN.replace("{offer}", "{ofer}"), "Line 1 names {ofer}; the variables are first_name, "),
            (GERMAN.replace("hallo", "{message}"), "Line 7 names {message}; "),
            (GERMAN.replace("{name}", "{greeting}"), "Line 3 names {greeting}; "),
            (GERMAN.replace("hallo", "{name"), "Line 7 has a brace that stands for no variable."),
            (GERMAN.replace("subject: Ihre Anfrage\n", ""), "The last line subject: must be one without variables"),
            (GERMAN.replace("greeting", "dear"), "Line 3 must begin with subject: or greeting:, or be empty."),
            ("subject: x\ngreeting: y\n", "There is no text below the first empty line."),
            ("", "The last line subject: must be one without variables"),
        ],
    )
    def test_check_and_send_refuse_what_cannot_be_filled(self, box: Drafts, text: str, cause: str) -> None:
        settings = with_files(box, en__active=text)
        with pytest.raises(errors.Misconfigured) as caught:
            follow_up.send(LEAD, step(), settings)
        assert cause in caught.value.cause
        assert "en/active.txt" in caught.value.cause
        findings = {finding.name: finding for finding in follow_up.check(settings, Deadline.after(20))}
        assert not findings["template en/active.txt"].ok
        assert cause in findings["template en/active.txt"].cause
        assert box.drafts == []

    def test_what_is_no_utf8_or_too_large_is_told(self, box: Drafts) -> None:
        for content, cause in ((b"\xff\xfe", "not UTF-8"), (b"x" * 70_000, "larger than 64 KiB")):
            settings = with_files(box, en__active=content)
            with pytest.raises(errors.Misconfigured, match=cause):
                follow_up.send(LEAD, step(), settings)

    @pytest.mark.parametrize(
        ("status", "expected"), [(403, errors.Misconfigured), (404, errors.Misconfigured), (503, errors.Transient)]
    )
    def test_a_container_that_is_not_shown(self, box: Drafts, status: int, expected: type[errors.Failure]) -> None:
        settings = with_files(box)
        box.server.failures.append(Failure(Answer(status, "<Error>ada.rossi@example.com</Error>"), path=CONTAINER))
        with pytest.raises(expected) as caught:
            follow_up.send(LEAD, step(), settings)
        assert "ada.rossi" not in caught.value.cause
        assert not caught.value.unanswered
        assert box.drafts == []

    def test_without_an_identity_the_role_is_named(self, box: Drafts, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("IDENTITY_ENDPOINT")
        with pytest.raises(errors.Misconfigured) as caught:
            follow_up.send(LEAD, step(), with_files(box))
        assert "Storage Blob Data Reader" in caught.value.remedy

    def test_a_listing_that_goes_on_is_told(self, box: Drafts) -> None:
        settings = with_files(box)
        box.server.failures.append(Failure(Answer(200, "<NextMarker>2!76</NextMarker>"), path=CONTAINER))
        with pytest.raises(errors.Misconfigured, match="more files than the app can list"):
            follow_up.send(LEAD, step(), settings)

    @given(st.text())
    def test_any_text_is_a_template_or_is_told(self, text: str) -> None:
        found, problems = template.parse("en/active.txt", text)
        if not problems:
            subject, body = found.filled(mapping.values(LEAD, "", "en"))
            assert len(subject.splitlines()) == 1
            assert body.strip()

    def test_every_language_is_official_where_it_is_taken_for_the_countrys(self) -> None:
        spoken = get_global("territory_languages")
        for language, countries in languages.SPOKEN.items():
            for country in countries.split():
                official = {
                    code.partition("_")[0]
                    for code, about in spoken[country].items()
                    if str(about.get("official_status", "")) in ("official", "de_facto_official")
                }
                assert language in official, country
        assert languages.of_country("DE") == "de"
        assert languages.of_country("US") == languages.of_country("XX") == languages.of_country("") == "en"


class TestCheck:
    def findings(self, settings: follow_up.Settings) -> list[Finding]:
        return list(follow_up.check(settings, Deadline.after(20)))

    def test_all_is_well_and_nothing_is_made(self, box: Drafts) -> None:
        mailbox, templates = self.findings(with_files(box, de__active=GERMAN))
        assert (mailbox.name, mailbox.ok, templates.ok) == ("mailbox", True, True)
        assert templates.cause == "1 of yours, 4 of the app."
        call = next(call for call in box.server.calls if call.path.startswith("/v1.0/"))
        assert (call.method, call.path) == ("GET", "/v1.0/users/ada@contoso.com/mailFolders/drafts")
        assert box.drafts == []

    @pytest.mark.parametrize("mailbox", ["bo@contoso.com", "ada@fabrikam.com"])
    def test_a_mailbox_that_is_not_open_to_it(self, box: Drafts, mailbox: str) -> None:
        found = self.findings(read(box, FOLLOW_UP_MAILBOX=mailbox))[0]
        assert not found.ok
        assert found.remedy

    @pytest.mark.parametrize(
        "name", ["en__Active_", "deutsch__active", "active", "en__a__b__active", "en__do_not_contact"]
    )
    def test_a_file_that_no_lead_would_find_is_told(self, box: Drafts, name: str) -> None:
        told = self.findings(with_files(box, **{name: GERMAN}))[1]
        assert (told.ok, told.cause) == (False, "No lead is ever answered with it.")


def test_routes_choose_the_seller_by_an_instance() -> None:
    environ = {
        "FOLLOW_UP_EMEA_MAILBOX": "bo@contoso.com",
        "FOLLOW_UP_MAILBOX": "ada@contoso.com",
        "FOLLOW_UP_SELLER": "Ada",
        "FOLLOW_UP_TEMPLATES": "https://contoso.blob.core.windows.net/follow-up/",
    }
    place = enabled.read("follow_up:emea", environ)
    assert place.problems == ()
    assert place.settings.graph.sender == "bo@contoso.com"
    assert place.settings.seller == "", "nobody signs with another's name"
    assert place.settings.templates == "https://contoso.blob.core.windows.net/follow-up"
    assert [problem.setting for problem in enabled.read("follow_up:us", environ).problems] == ["FOLLOW_UP_US_MAILBOX"]


@pytest.mark.parametrize(
    "url",
    [
        "http://contoso.blob.core.windows.net/follow-up",
        "https://contoso.blob.core.windows.net",
        "https://contoso.blob.core.windows.net/a/b",
        "https://contoso.blob.core.windows.net/a?sv=2020&sig=secret",
    ],
)
def test_what_is_no_container_is_a_problem_that_shows_no_signature(url: str) -> None:
    place = enabled.read("follow_up", {"FOLLOW_UP_MAILBOX": "ada@contoso.com", "FOLLOW_UP_TEMPLATES": url})
    (problem,) = place.problems
    assert problem.setting == "FOLLOW_UP_TEMPLATES"
    assert "secret" not in str(problem)


def test_the_kinds_that_intake_knows_without_importing_are_those_of_the_modules() -> None:
    customers = {name for name in enabled.names() if enabled.load(name).KIND == "customer"}
    assert customers == enabled.CUSTOMERS


def test_the_stand_in_shows_the_draft_as_its_owner_sees_it(box: Drafts) -> None:
    follow_up.send(replace(LEAD, contact=replace(LEAD.contact, company="<script>")), step(), read(box))
    (item,) = box.received()
    assert item.title == "Contoso Invoice Flow: how can we help?"
    assert "Draft, not sent" in item.html
    assert "Dear Ada Rossi," in item.html
    assert "<script>" not in item.html
    assert datetime.now(UTC) - item.at < timedelta(minutes=1)
    assert set(standin.ADDRESS) & set(box.environ())
