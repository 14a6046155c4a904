from __future__ import annotations

import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.certificate import server_files
from dev.standins.dynamics import CLIENT_ID, StandIn
from dev.standins.email import PASSWORD, USER, USER_INFO, Postbox, smtp_server
from dev.standins.server import Answer, Failure
from leads import errors, oauth
from leads.contract import Earlier, Step
from leads.destinations import email
from leads.lead import Contact, Delivery, State
from leads.mail import smtp as _smtp
from leads.mail.settings import MOST_RECIPIENTS, SETTINGS, Mailbox, Settings
from leads.mail.smtp import Refusal
from leads.messages.alert import Alert
from leads.reader import Reader
from leads.store.rows import delivery_row, read_delivery
from leads.transport import Deadline
from tests.destinations.harness_email import GraphStandIn, graph_server
from tests.message_samples import HOSTILE, NOW, earlier, hostile_lead, sample

TO = "ada@contoso.com, Bo Ek <bo@contoso.com>, cy@contoso.com"
FROM = "Marketplace leads <leads@contoso.com>"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture
def trusted(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = str(server_files(directory)[0])
    monkeypatch.setenv("SSL_CERT_FILE", ca)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca)


@pytest.fixture
def smtp(directory: Path, trusted: None) -> Iterator[tuple[Postbox, Settings]]:
    with smtp_server(directory) as (postbox, port):
        yield postbox, read(EMAIL_SMTP_URL=f"smtp://{USER_INFO}@localhost:{port}")


def read(**values: str) -> Settings:
    reader = Reader({"EMAIL_TO": TO, "EMAIL_FROM": FROM} | values, SETTINGS)
    settings = Settings.read(reader)
    assert not reader.problems
    return settings


def problems(**values: str) -> list[str]:
    reader = Reader({"EMAIL_TO": TO, "EMAIL_FROM": FROM} | values, SETTINGS)
    Settings.read(reader)
    assert not any("secret" in str(problem) for problem in reader.problems)
    return [problem.setting for problem in reader.problems]


def step(**values: Any) -> Step:
    return Step(now=NOW, deadline=Deadline.after(20), **values)


def parts(mail: EmailMessage) -> tuple[str, str]:
    text, html = mail.iter_parts()
    assert (mail.get_content_type(), text.get_content_type()) == ("multipart/alternative", "text/plain")
    assert html.get_content_type() == "text/html"
    return str(text.get_content()), str(html.get_content())


# --- by SMTP


def test_a_mail_goes_to_everyone_encrypted_and_signed_in(smtp: tuple[Postbox, Settings]) -> None:
    postbox, settings = smtp
    lead = sample("contact_me")
    remote_id = email.send(lead, step(), settings)
    (mail,) = postbox.mails
    assert mail.encrypted
    assert mail.signed_in
    assert mail.sender == "leads@contoso.com"
    assert mail.recipients == ("ada@contoso.com", "bo@contoso.com", "cy@contoso.com")
    message = mail.message
    assert message["Message-ID"] == f"<{lead.id}@contoso.com>"
    assert remote_id == f"{lead.id}@contoso.com"
    assert message["From"] == FROM
    assert str(message["To"]) == TO
    assert message["Reply-To"] == "Ada Rossi <ada.rossi@example.com>"
    assert message["Date"].datetime == NOW
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["Subject"] == "Contact me: Ada Rossi, Fabrikam S.p.A. · Contoso Invoice Flow"
    text, html = parts(message)
    for words in ("Contact them today", "Ada Rossi", "ada.rossi@example.com", "Italy", "Fabrikam S.p.A.", lead.id):
        assert words in text
        assert words in html
    assert "> We have 12 offices in Italy." in text


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_tls_from_the_first_byte(directory: Path, trusted: None) -> None:
    with smtp_server(directory, implicit_tls=True) as (postbox, port):
        email.send(sample("create"), step(), read(EMAIL_SMTP_URL=f"smtps://{USER_INFO}@localhost:{port}"))
        (mail,) = postbox.mails
        assert mail.encrypted
        assert mail.signed_in


def test_a_relay_without_sign_in(directory: Path, trusted: None) -> None:
    with smtp_server(directory, signs_in=False) as (postbox, port):
        email.send(sample("create"), step(), read(EMAIL_SMTP_URL=f"smtp://localhost:{port}"))
        assert postbox.mails[0].encrypted
        assert not postbox.mails[0].signed_in


def test_nothing_is_sent_unencrypted(directory: Path, trusted: None) -> None:
    with smtp_server(directory, offers_tls=False) as (postbox, port):
        with pytest.raises(errors.Misconfigured, match="STARTTLS"):
            email.send(sample("create"), step(), read(EMAIL_SMTP_URL=f"smtp://{USER_INFO}@localhost:{port}"))
        assert not postbox.mails


def test_a_certificate_that_nobody_trusts_or_for_another_name_is_refused(
    directory: Path, smtp: tuple[Postbox, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    postbox, settings = smtp
    assert settings.server
    other_name = replace(settings, server=replace(settings.server, host="127.1"))
    with pytest.raises(errors.Misconfigured, match="certificate"):
        email.send(sample("create"), step(), other_name)
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(errors.Misconfigured, match="certificate"):
        email.send(sample("create"), step(), settings)
    assert not postbox.mails


def test_the_wrong_kind_of_tls_is_told(directory: Path, trusted: None) -> None:
    with (
        smtp_server(directory) as (_, port),
        pytest.raises(errors.Misconfigured, match="TLS"),
    ):
        email.send(sample("create"), step(), read(EMAIL_SMTP_URL=f"smtps://localhost:{port}"))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"MAIL": "421 4.3.2 shutting down"}, errors.Transient),
        ({"MAIL": "451 4.7.0 temporary"}, errors.Transient),
        ({"MAIL": "452 4.3.1 storage"}, errors.Throttled),
        ({"MAIL": "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"}, errors.Throttled),
        ({"MAIL": "530 5.7.57 Client not authenticated"}, errors.Misconfigured),
        ({"MAIL": "550 5.7.60 SMTP; Client does not have permissions to send as this sender"}, errors.Misconfigured),
        ({"MAIL": "501 5.1.7 bad sender"}, errors.Misconfigured),
        ({"RCPT": "450 4.2.1 greylisted ada@contoso.com"}, errors.Transient),
        ({"RCPT": "452 4.5.3 too many"}, errors.Throttled),
        ({"RCPT": "550 5.1.1 ada@contoso.com unknown"}, errors.Misconfigured),
        ({"RCPT": "421 4.7.0 bye"}, errors.Transient),
        ({"RCPT": "550 5.7.54 Unable to relay ada@contoso.com"}, errors.Misconfigured),
        ({"DATA": "452 4.3.1 full"}, errors.Throttled),
        ({"DATA": "550 5.7.1 sender may not"}, errors.Misconfigured),
        ({"DATA": "552 5.3.4 too big for ada@contoso.com"}, errors.Rejected),
        ({"DATA": "554 5.6.0 spam"}, errors.Rejected),
        ({"AUTH": "535 5.7.139 Authentication unsuccessful, basic authentication is disabled"}, errors.Misconfigured),
        ({"AUTH": "454 4.7.0 Temporary authentication failure"}, errors.Transient),
    ],
)
def test_refusals(smtp: tuple[Postbox, Settings], answers: dict[str, str], expected: type[errors.Failure]) -> None:
    postbox, settings = smtp
    postbox.answers = answers
    with pytest.raises(expected) as caught:
        email.send(sample("contact_me"), step(), settings)
    told = f"{caught.value.cause} {caught.value.remedy}"
    assert not any(part in told for part in ("ada@", PASSWORD, USER, "Rossi"))
    assert next(iter(answers.values()))[:3] in told
    assert caught.value.remedy
    assert caught.value.remote_id == ""
    assert not postbox.mails


def test_a_wrong_password_is_misconfigured(smtp: tuple[Postbox, Settings]) -> None:
    postbox, settings = smtp
    assert settings.server
    with pytest.raises(errors.Misconfigured, match="did not accept user and password"):
        email.send(sample("create"), step(), replace(settings, server=replace(settings.server, password="wrong")))
    assert not postbox.mails


def test_whoever_got_the_mail_does_not_get_it_again(smtp: tuple[Postbox, Settings]) -> None:
    postbox, settings = smtp
    postbox.answers = {"RCPT bo@contoso.com": "550 5.1.1 unknown", "RCPT cy@contoso.com": "450 4.2.1 later"}
    with pytest.raises(errors.Misconfigured) as caught:
        email.send(sample("contact_me"), step(), settings)
    assert "2 of 3 recipients: number 2, 3 of EMAIL_TO (550 5.1.1, 450 4.2.1)" in caught.value.cause
    assert [mail.recipients for mail in postbox.mails] == [("ada@contoso.com",)]
    assert "contoso.com" not in caught.value.remote_id.partition(" got ")[2]

    postbox.answers = {"RCPT cy@contoso.com": "450 4.2.1 later"}
    with pytest.raises(errors.Transient) as caught_again:
        email.send(sample("contact_me"), step(remote_id=caught.value.remote_id), settings)
    assert postbox.mails[1].recipients == ("bo@contoso.com",)

    postbox.answers = {"DATA": "451 4.3.0 later"}
    with pytest.raises(errors.Transient) as caught_third:
        email.send(sample("contact_me"), step(remote_id=caught_again.value.remote_id), settings)
    assert caught_third.value.remote_id == caught_again.value.remote_id

    postbox.answers = {}
    remote_id = email.send(sample("contact_me"), step(remote_id=caught_third.value.remote_id), settings)
    assert [mail.recipients for mail in postbox.mails[2:]] == [("cy@contoso.com",)]
    assert str(postbox.mails[2].message["To"]) == TO
    assert remote_id == f"{sample('contact_me').id}@contoso.com"


def test_as_many_recipients_as_there_may_be_get_the_mail_once(smtp: tuple[Postbox, Settings]) -> None:
    postbox, settings = smtp
    many = ",".join(f"person{number}@contoso.com" for number in range(MOST_RECIPIENTS))
    postbox.answers = {"RCPT person7@contoso.com": "550 5.1.1 unknown"}
    settings = replace(settings, to=read(EMAIL_SMTP_URL="smtp://localhost", EMAIL_TO=many).to)
    settings = replace(settings, sender=Mailbox(f"leads@{'notifications.' * 7}contoso.com"))
    remote_id = ""
    for _ in range(2):
        with pytest.raises(errors.Misconfigured) as caught:
            email.send(sample("contact_me"), step(remote_id=remote_id), settings)
        stored = Delivery(sample("contact_me").id, "email", State.OPEN, NOW, remote_id=caught.value.remote_id)
        remote_id = read_delivery(delivery_row(stored)).remote_id
    assert [len(mail.recipients) for mail in postbox.mails] == [MOST_RECIPIENTS - 1]


def test_a_corrected_address_gets_what_the_wrong_one_missed(smtp: tuple[Postbox, Settings]) -> None:
    postbox, settings = smtp
    postbox.answers = {"RCPT bo@contoso.com": "550 5.1.1 unknown"}
    with pytest.raises(errors.Misconfigured) as caught:
        email.send(sample("contact_me"), step(), settings)
    corrected = read(EMAIL_SMTP_URL="smtp://localhost", EMAIL_TO="ada@contoso.com,bob@contoso.com,cy@contoso.com")
    email.send(sample("contact_me"), step(remote_id=caught.value.remote_id), replace(settings, to=corrected.to))
    assert postbox.mails[1].recipients == ("bob@contoso.com",)


def test_a_mail_that_was_sent_is_not_sent_again_unless_replayed(smtp: tuple[Postbox, Settings]) -> None:
    postbox, settings = smtp
    remote_id = email.send(sample("contact_me"), step(), settings)
    assert email.send(sample("contact_me"), step(remote_id=remote_id), settings) == remote_id
    assert len(postbox.mails) == 1
    again = email.send(sample("contact_me"), step(remote_id=remote_id, replayed=True), settings)
    assert again == f"{sample('contact_me').id}.2026092812@contoso.com"
    assert postbox.mails[1].message["Message-ID"] == f"<{again}>"
    assert len(postbox.mails[1].recipients) == 3


@pytest.mark.parametrize("command", ["MAIL", "DATA"])
def test_a_connection_that_breaks_is_transient(smtp: tuple[Postbox, Settings], command: str) -> None:
    postbox, settings = smtp
    postbox.break_at = command
    with pytest.raises(errors.Transient):
        email.send(sample("contact_me"), step(), settings)
    # After DATA the server has the mail although its answer was lost; the next one has the same Message-ID.
    assert len(postbox.mails) == (command == "DATA")


def test_nobody_listening_and_a_server_that_says_nothing_are_transient() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings = read(EMAIL_SMTP_URL=f"smtp://localhost:{silent.getsockname()[1]}")
        for scheme in ("smtp", "smtps"):
            silent_too = read(EMAIL_SMTP_URL=f"{scheme}://localhost:{silent.getsockname()[1]}")
            with pytest.raises(errors.Transient, match=r"in time|took longer"):
                email.send(sample("create"), Step(now=NOW, deadline=Deadline.after(0.2)), silent_too)
    with pytest.raises(errors.Transient, match="No connection"):
        email.send(sample("create"), step(), settings)


def test_a_server_may_look_a_mail_through_for_as_long_as_there_is(
    smtp: tuple[Postbox, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who gives up after the mail was sent and before it was taken sends it a second time."""
    _, settings = smtp
    patience = []
    data = smtplib.SMTP.data

    def watched(client: smtplib.SMTP, mail: bytes) -> tuple[int, bytes]:
        assert client.sock
        patience.append(client.sock.gettimeout())
        return data(client, mail)

    monkeypatch.setattr(smtplib.SMTP, "data", watched)
    email.send(sample("create"), step(), settings)
    assert patience[0] is not None
    assert patience[0] > _smtp.STEP_SECONDS


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_server_that_dribbles_does_not_outlast_the_deadline(directory: Path, trusted: None, scheme: str) -> None:
    over = threading.Event()

    def dribble() -> None:
        plain, _ = listener.accept()
        with suppress(OSError), plain:
            connection = tls.wrap_socket(plain, server_side=True) if scheme == "smtps" else plain
            for _ in range(60):
                connection.sendall(b"220-wait\r\n")
                over.wait(0.1)

    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(server_files(directory)[1])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=dribble)
        thread.start()
        settings = read(EMAIL_SMTP_URL=f"{scheme}://localhost:{listener.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(errors.Transient):
            email.send(sample("create"), Step(now=NOW, deadline=Deadline.after(0.5)), settings)
        assert time.monotonic() - began < 4
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("greeting", "expected"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", errors.Misconfigured),
        (b"421 4.3.2 too many connections\r\n", errors.Transient),
        (b"554 5.7.1 no service for you\r\n", errors.Misconfigured),
        (b"554 no service\r\n", errors.Misconfigured),
        (b"220 " + b"x" * 100_000, errors.Misconfigured),
    ],
)
def test_a_server_that_does_not_want_to_talk(greeting: bytes, expected: type[errors.Failure]) -> None:
    def talk() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(greeting)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=talk)
        thread.start()
        with pytest.raises(expected):
            email.send(sample("create"), step(), read(EMAIL_SMTP_URL=f"smtp://localhost:{listener.getsockname()[1]}"))
        thread.join()


@hypothesis.settings(deadline=None)
@given(code=st.integers(-1, 999), text=st.binary(max_size=40))
def test_any_answer_makes_a_refusal_with_digits_only(code: int, text: bytes) -> None:
    assert re.fullmatch(r"-?\d{1,3}( [245]\.\d{1,3}\.\d{1,3})?", str(Refusal.of(code, text)))


# --- by Microsoft Graph


@pytest.fixture
def graph(directory: Path, trusted: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[GraphStandIn, Settings]]:
    tokens: list[bool] = []

    def token(credentials: oauth.Credentials, resource: str, *, deadline: Deadline, fresh: bool = False) -> str:
        assert (credentials.client_id, credentials.secret) == ("0f8fad5b-d9cb-469f-a165-70867728950e", "secret")
        assert resource.startswith("https://localhost")
        tokens.append(fresh)
        return "good" if fresh or len(tokens) > 1 else "stale"

    monkeypatch.setattr(oauth, "token", token)
    with graph_server(directory) as standin:
        yield (
            standin,
            read(
                EMAIL_FROM="",
                EMAIL_GRAPH_SENDER="leads@contoso.com",
                EMAIL_GRAPH_URL=standin.url,
                EMAIL_GRAPH_TENANT_ID="0f8fad5b-d9cb-469f-a165-70867728950e",
                EMAIL_GRAPH_CLIENT_ID="0f8fad5b-d9cb-469f-a165-70867728950e",
                EMAIL_GRAPH_CLIENT_SECRET="secret",
            ),
        )


def test_graph_takes_the_same_mail_and_a_stale_token_is_renewed(graph: tuple[GraphStandIn, Settings]) -> None:
    standin, settings = graph
    lead = sample("contact_me")
    assert email.send(lead, step(), settings) == f"{lead.id}@contoso.com"
    (mail,) = standin.mails
    assert [call.status for call in standin.server.calls] == [401, 202]
    assert mail["Message-ID"] == f"<{lead.id}@contoso.com>"
    assert str(mail["To"]) == TO
    assert mail["From"] == "leads@contoso.com"
    assert mail["Reply-To"] == "Ada Rossi <ada.rossi@example.com>"
    assert "Contact them today" in parts(mail)[0]


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "ErrorInvalidRecipients", errors.Misconfigured),
        (400, "ErrorMimeContentInvalidBase64String", errors.Rejected),
        (403, "ErrorAccessDenied", errors.Misconfigured),
        (403, "ErrorSendAsDenied", errors.Misconfigured),
        (404, "ErrorInvalidUser", errors.Misconfigured),
        (404, "MailboxNotEnabledForRESTAPI", errors.Misconfigured),
        (413, "", errors.Rejected),
        (429, "ApplicationThrottled", errors.Throttled),
        (503, "ada@contoso.com is busy", errors.Transient),
    ],
)
def test_refusals_of_graph(
    graph: tuple[GraphStandIn, Settings], status: int, code: str, expected: type[errors.Failure]
) -> None:
    standin, settings = graph
    body = {"error": {"code": code, "message": "ada@contoso.com may not"}}
    standin.server.failures.append(Failure(Answer(status, body, {"retry-after": "30"})))
    with pytest.raises(expected) as caught:
        email.send(sample("contact_me"), step(), settings)
    assert "ada@" not in f"{caught.value.cause} {caught.value.remedy}"
    assert str(status) in caught.value.cause
    if status in (429, 503):
        assert caught.value.retry_after == 30


def test_a_token_that_stays_refused_is_misconfigured(graph: tuple[GraphStandIn, Settings]) -> None:
    standin, settings = graph
    standin.server.failures.append(Failure(Answer(401), times=2))
    with pytest.raises(errors.Misconfigured, match=r"401"):
        email.send(sample("contact_me"), step(), settings)


def test_graph_by_a_real_sign_in(crm: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def lets_in(token: str) -> bool:
        known = crm.entra.tokens.get(token)
        return known is not None and known.resource == standin.url

    with graph_server(Path(crm.ca_file).parent, lets_in=lets_in) as standin:
        crm.entra.resources.add(standin.url)
        by_secret = {
            "EMAIL_GRAPH_SENDER": "leads@contoso.com",
            "EMAIL_GRAPH_URL": standin.url,
            "EMAIL_GRAPH_AUTHORITY": crm.authority,
            "EMAIL_GRAPH_TENANT_ID": crm.tenant_id,
            "EMAIL_GRAPH_CLIENT_ID": CLIENT_ID,
            "EMAIL_GRAPH_CLIENT_SECRET": crm.client_secret,
        }
        email.send(sample("contact_me"), step(), read(**by_secret))
        crm.revoke_tokens()
        email.send(sample("create"), step(), read(**by_secret))
        assert len(standin.mails) == 2

        with pytest.raises(errors.Misconfigured) as caught:
            email.send(sample("create"), step(), read(**by_secret | {"EMAIL_GRAPH_CLIENT_SECRET": "wrong~secret"}))
        assert "wrong~secret" not in f"{caught.value.cause} {caught.value.remedy}"

        crm.add_identity(system_assigned=True)
        for name, value in crm.identity_environ().items():
            monkeypatch.setenv(name, value)
        email.send(sample("create"), step(), read(EMAIL_GRAPH_SENDER="leads@contoso.com", EMAIL_GRAPH_URL=standin.url))
        assert len(standin.mails) == 3


# --- headers


def test_the_mails_about_one_customer_make_up_a_thread(smtp: tuple[Postbox, Settings]) -> None:
    postbox, settings = smtp
    long_domain = "f1a2b3c4-0000-4000-8000-a1b2c3d4e5f6.azurecomm.net"
    settings = replace(settings, sender=replace(settings.sender, address=f"DoNotReply@{long_domain}"))
    before = earlier("third_step")
    email.send(sample("third_step"), step(earlier=tuple(Earlier(lead, None, "") for lead in before)), settings)
    mail = postbox.mails[0]
    first = f"<{before[0].id}@{long_domain}>"
    assert first.encode() in mail.content
    assert f"<{sample('third_step').id}@{long_domain}>".encode() in mail.content
    assert b"=?" not in mail.content.partition(b"Subject:")[0]
    assert (mail.message["In-Reply-To"], mail.message["References"]) == (first, first)
    assert "(step 3)" in mail.message["Subject"]


@pytest.mark.parametrize("kind", ["do_not_contact", "test", "withheld"])
def test_nobody_is_answered_who_must_not_or_cannot_be(smtp: tuple[Postbox, Settings], kind: str) -> None:
    postbox, settings = smtp
    email.send(sample(kind), step(), settings)
    message = postbox.mails[0].message
    assert message["Reply-To"] is None
    text, html = parts(message)
    assert "mailto:" not in html
    assert "tel:" not in html
    if kind == "do_not_contact":
        assert "ada.rossi@example.com" not in text + html
        assert "+390669812345" not in text + html


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_become_no_header_and_no_second_mail(smtp: tuple[Postbox, Settings], value: str) -> None:
    postbox, settings = smtp
    lead = hostile_lead(value)
    history = (Earlier(replace(lead, id="aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb"), None, ""),)
    email.send(lead, step(earlier=history), settings)
    (mail,) = postbox.mails
    assert mail.recipients == ("ada@contoso.com", "bo@contoso.com", "cy@contoso.com")
    message = mail.message
    assert sorted(message.keys()) == [
        "Auto-Submitted",
        "Content-Type",
        "Date",
        "From",
        "In-Reply-To",
        "MIME-Version",
        "Message-ID",
        "References",
        "Subject",
        "To",
        "X-Auto-Response-Suppress",
    ]
    assert not any(part.defects for part in message.walk())
    assert len(message["Subject"]) <= 250
    assert not re.search("[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]", message["Subject"])
    assert all(len(line) <= 998 for line in mail.content.split(b"\r\n"))
    text, _ = parts(message)
    assert "\u202e" not in text
    assert len(text) < 12_000


@pytest.mark.parametrize(
    "address", ["a..b@example.com", ".a@example.com", "a@x..com", "a@x.com.", "=?utf-8?q?x?=@x.com"]
)
def test_an_address_that_no_header_can_take_does_not_stop_the_mail(
    smtp: tuple[Postbox, Settings], address: str
) -> None:
    postbox, settings = smtp
    email.send(replace(sample("contact_me"), contact=Contact("Ada", "", address)), step(), settings)
    assert postbox.mails[0].message["Reply-To"] is None


@pytest.mark.parametrize("name", ['Ada "Boss" Rossi, Ltd <x@y.z>', "Łukasz (QA)", "=?utf-8?q?x?=", "a\r\nBcc: x@y.z"])
def test_a_hostile_name_beside_a_good_address_stays_a_name(smtp: tuple[Postbox, Settings], name: str) -> None:
    postbox, settings = smtp
    email.send(replace(sample("contact_me"), contact=Contact(name, "", "ada@example.com")), step(), settings)
    message = postbox.mails[0].message
    assert [address.addr_spec for address in message["Reply-To"].addresses] == ["ada@example.com"]
    assert message["Bcc"] is None


@hypothesis.settings(deadline=None)
@given(st.text(max_size=300))
def test_any_subject_survives_the_way_through_a_header(text: str) -> None:
    message = EmailMessage(email._policy())
    message["Subject"] = wanted = email.header(text)
    import email as library
    from email.policy import default

    assert library.message_from_bytes(message.as_bytes(), policy=default)["Subject"].split() == wanted.split()


# --- alerts and digest


def test_an_alert_says_what_since_when_and_the_remedy(smtp: tuple[Postbox, Settings]) -> None:
    postbox, settings = smtp
    alert = Alert("dead", "dynamics", 3, NOW, "It failed <b>all</b>.", "Correct it.", "python -m leads replay --dead")
    for _ in range(2):
        email.alert(alert, Deadline.after(20), settings)
    first, second = (mail.message for mail in postbox.mails)
    assert first["References"] == second["References"]
    assert first["Message-ID"].startswith(first["References"][: -len("@contoso.com>")])
    assert first["Subject"] == "Alert: Leads could not be delivered to dynamics"
    assert first["Reply-To"] is None
    text, html = parts(first)
    for words in ("Correct it.", "python -m leads replay --dead", "28 September 2026, 12:03 UTC", "Leads given up"):
        assert words in text
        assert words in html
    assert "&lt;b&gt;all&lt;/b&gt;" in html


def test_alerts_and_digests_go_to_those_who_can_be_reached(smtp: tuple[Postbox, Settings]) -> None:
    postbox, settings = smtp
    postbox.answers = {"RCPT bo@contoso.com": "550 5.1.1 unknown"}
    email.alert(Alert("dead", "dynamics", 3, NOW, "a", "b"), Deadline.after(20), settings)
    assert email.send_digest([sample("create")], NOW.date(), NOW, Deadline.after(20), settings)
    assert [mail.recipients for mail in postbox.mails] == [("ada@contoso.com", "cy@contoso.com")] * 2
    postbox.answers = {"RCPT": "550 5.1.1 unknown"}
    with pytest.raises(errors.Misconfigured):
        email.alert(Alert("dead", "dynamics", 3, NOW, "a", "b"), Deadline.after(20), settings)


def test_a_digest_is_one_mail_and_an_empty_day_is_none(smtp: tuple[Postbox, Settings]) -> None:
    postbox, settings = smtp
    day = NOW.date()
    assert not email.send_digest([sample("test")], day, NOW, Deadline.after(20), settings)
    assert not postbox.mails
    assert email.send_digest([sample("create"), sample("withheld")], day, NOW, Deadline.after(20), settings)
    message = postbox.mails[0].message
    assert message["Subject"] == "Leads of 28 September 2026: 2"
    assert message["Message-ID"] == "<digest-2026-09-28@contoso.com>"
    assert "Ada Rossi" in parts(message)[1]


# --- check


def test_check_goes_all_the_way_and_sends_nothing(smtp: tuple[Postbox, Settings]) -> None:
    postbox, settings = smtp
    assert [(finding.name, finding.ok) for finding in email.check(settings, Deadline.after(20))] == [
        ("mail server", True)
    ]
    postbox.answers = {"RCPT bo@contoso.com": "550 5.1.1 bo@contoso.com unknown"}
    findings = list(email.check(settings, Deadline.after(20)))
    assert [(finding.name, finding.ok) for finding in findings] == [("mail server", True), ("recipients", False)]
    assert "1 of 3 recipients: number 2 of EMAIL_TO" in findings[1].cause
    assert "bo@" not in findings[1].cause
    postbox.answers = {"AUTH": "535 5.7.3 no"}
    (finding,) = email.check(settings, Deadline.after(20))
    assert not finding.ok
    assert finding.remedy
    assert not postbox.mails


def test_check_signs_in_to_graph(graph: tuple[GraphStandIn, Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    standin, settings = graph
    assert [finding.ok for finding in email.check(settings, Deadline.after(20))] == [True]

    def refuse(*_: Any, **__: Any) -> str:
        raise errors.Misconfigured("The secret is wrong.", "Make a new one.")

    monkeypatch.setattr(oauth, "token", refuse)
    (finding,) = email.check(settings, Deadline.after(20))
    assert (finding.ok, finding.cause, finding.remedy) == (False, "The secret is wrong.", "Make a new one.")
    assert not standin.mails


# --- settings


def test_settings_are_read_and_show_no_secret() -> None:
    settings = read(
        EMAIL_SMTP_URL="smtps://user%40contoso:topsecret%2F@smtp.example.com",
        EMAIL_DIGEST="daily",
        EMAIL_DIGEST_TIME_ZONE="Europe/Stockholm",
        LEADS_TIME_ZONE="Europe/Rome",
        LEADS_LANGUAGE="pt-BR",
    )
    assert settings.server
    assert (settings.server.host, settings.server.port) == ("smtp.example.com", 465)
    assert (settings.server.user, settings.server.password) == ("user@contoso", "topsecret/")
    assert settings.digest
    assert str(settings.digest_zone) == "Europe/Stockholm"
    assert str(settings.voice.zone) == "Europe/Rome"
    assert settings.language.code == "pt"
    assert "topsecret" not in repr(settings)
    graph = read(
        EMAIL_GRAPH_SENDER="leads@contoso.com",
        EMAIL_GRAPH_TENANT_ID="0f8fad5b-d9cb-469f-a165-70867728950e",
        EMAIL_GRAPH_CLIENT_ID="0f8fad5b-d9cb-469f-a165-70867728950e",
        EMAIL_GRAPH_CLIENT_SECRET="topsecret",
    )
    assert graph.graph
    assert graph.graph.credentials.secret == "topsecret"
    assert "topsecret" not in repr(graph)
    assert (
        read(EMAIL_SMTP_URL="smtp://smtp.example.com").server
        == Settings.read(Reader({"EMAIL_SMTP_URL": "smtp://smtp.example.com:587"}, SETTINGS)).server
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, ["EMAIL_SMTP_URL"]),
        ({"EMAIL_SMTP_URL": "smtp://h", "EMAIL_TO": ""}, ["EMAIL_TO"]),
        ({"EMAIL_SMTP_URL": "smtp://h", "EMAIL_TO": "ada@contoso.com, nobody"}, ["EMAIL_TO"]),
        ({"EMAIL_SMTP_URL": "smtp://h", "EMAIL_TO": "a@b.c\r\nBcc: d@e.f"}, ["EMAIL_TO"]),
        ({"EMAIL_SMTP_URL": "smtp://h", "EMAIL_TO": ",".join(f"a{n}@b.c" for n in range(51))}, ["EMAIL_TO"]),
        ({"EMAIL_SMTP_URL": "smtp://h", "EMAIL_FROM": ""}, ["EMAIL_FROM"]),
        ({"EMAIL_SMTP_URL": "smtp://h", "EMAIL_FROM": "leads"}, ["EMAIL_FROM"]),
        ({"EMAIL_SMTP_URL": "https://h"}, ["EMAIL_SMTP_URL"]),
        ({"EMAIL_SMTP_URL": "smtp://u:secret/x@h"}, ["EMAIL_SMTP_URL"]),
        ({"EMAIL_SMTP_URL": "smtp://u:secret#x@h"}, ["EMAIL_SMTP_URL"]),
        ({"EMAIL_SMTP_URL": "smtp://u@h"}, ["EMAIL_SMTP_URL"]),
        ({"EMAIL_SMTP_URL": "smtp://h:port"}, ["EMAIL_SMTP_URL"]),
        ({"EMAIL_SMTP_URL": "smtp://h", "EMAIL_GRAPH_SENDER": "l@contoso.com"}, ["EMAIL_SMTP_URL"]),
        ({"EMAIL_GRAPH_SENDER": "l@contoso.com"}, []),
        ({"EMAIL_GRAPH_SENDER": "4f0d9d2e", "EMAIL_FROM": ""}, ["EMAIL_GRAPH_SENDER"]),
        (
            {"EMAIL_GRAPH_SENDER": "l@contoso.com", "EMAIL_GRAPH_CLIENT_ID": "0f8fad5b-d9cb-469f-a165-70867728950e"},
            ["EMAIL_GRAPH_CLIENT_SECRET"],
        ),
        (
            {"EMAIL_GRAPH_SENDER": "l@contoso.com", "EMAIL_GRAPH_CLIENT_SECRET": "secret"},
            ["EMAIL_GRAPH_TENANT_ID", "EMAIL_GRAPH_CLIENT_ID"],
        ),
    ],
)
def test_every_problem_names_its_setting(values: dict[str, str], expected: list[str]) -> None:
    assert problems(**values) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EMAIL_DIGEST", "hourly"),
        ("EMAIL_DIGEST_TIME_ZONE", "Mars/Olympus"),
        ("LEADS_TIME_ZONE", "../../etc/passwd"),
        ("LEADS_LANGUAGE", "tlh"),
    ],
)
def test_what_has_a_harmless_default_is_a_warning_and_stops_no_mail(name: str, value: str) -> None:
    reader = Reader({"EMAIL_TO": TO, "EMAIL_FROM": FROM, "EMAIL_SMTP_URL": "smtp://h", name: value}, SETTINGS)
    Settings.read(reader)
    assert not reader.problems
    assert [warning.setting for warning in reader.warnings] == [name]


@hypothesis.settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["EMAIL_TO", "EMAIL_FROM", "EMAIL_SMTP_URL", "EMAIL_GRAPH_SENDER"]), st.text()))
def test_any_settings_are_read_without_an_exception(values: dict[str, str]) -> None:
    Settings.read(Reader(values, SETTINGS))
