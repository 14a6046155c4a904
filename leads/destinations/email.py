"""E-mail to the people who sell: one mail a lead, by SMTP or Microsoft Graph, and the mails that go with it.

The Message-ID is the lead's own, so a mail that a crash repeats can be known as the same; only a replay gets another.
The mails about one customer refer to the first of them and form one thread. `remote_id` is the Message-ID, followed
after a partial refusal by marks of those who got the mail, so that the next attempt skips them.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from email.headerregistry import Address, HeaderRegistry, MessageIDHeader
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from typing import Any, cast

from leads.contract import Finding, Kind, Step
from leads.errors import Failure
from leads.lead import Lead
from leads.mail import graph, smtp
from leads.mail.settings import SETTINGS, Mailbox, Settings
from leads.mail.smtp import Refusal
from leads.messages import alert as alerts_text
from leads.messages import digest, notification, templating
from leads.messages import summary as summaries
from leads.messages.alert import Alert
from leads.messages.message import Message
from leads.messages.plain import cut, line
from leads.transport import Deadline

__all__ = ["KIND", "SETTINGS", "TITLE", "Settings", "alert", "check", "preview", "send", "send_digest", "summary"]

KIND = Kind.NOTIFICATION
TITLE = "E-mail"

_GOT = " got "
_MARK = 4
"""Characters of a recipient's mark: short, so that those of all recipients have room in a remote id."""


def send(lead: Lead, step: Step, settings: Settings) -> str:
    """Send the mail about `lead` to everyone who has not got it yet, and return its Message-ID."""
    mail_id = f"{lead.id}@{settings.sender.domain}"
    known, partly, marks = step.remote_id.partition(_GOT)
    if partly:
        mail_id = known
    elif known and step.replayed:
        # Mailboxes may drop a mail with an id that they have seen.
        mail_id = f"{lead.id}.{step.now:%Y%m%d%H}@{settings.sender.domain}"
    elif known:
        return known
    mail = _about(lead, step, settings, mail_id)
    got = {marks[at : at + _MARK] for at in range(0, len(marks), _MARK)} if partly else set()
    waiting = [address for address in settings.addresses if _mark(address) not in got]
    if not waiting:
        return mail_id
    try:
        refused = _post(mail, waiting, settings, step.deadline, step.now)
        got.update(_mark(address) for address in waiting if address not in refused)
        if refused and settings.server:
            raise smtp.refused_recipients(settings.server, refused, settings.addresses)
    except Failure as failure:
        failure.remote_id = f"{mail_id}{_GOT}{''.join(sorted(got))}" if got else ""
        raise
    return mail_id


def preview(lead: Lead, step: Step, settings: Settings) -> str:
    """Headers and text of the mail that `send` would send; its HTML says the same."""
    mail = _about(lead, step, settings, f"{lead.id}@{settings.sender.domain}")
    headers = "\n".join(f"{name}: {mail[name]}" for name in ("From", "To", "Reply-To", "Subject") if mail[name])
    text = mail.get_body(("plain",))
    return f"{headers}\n\n{text.get_content() if text else ''}"


def _about(lead: Lead, step: Step, settings: Settings, mail_id: str) -> EmailMessage:
    """The mail about `lead`."""
    message = notification.of_step(lead, step, settings.voice)
    reply_to = notification.reply_to(lead)
    if reply_to:
        message = replace(message, notes=(*message.notes, settings.language.say("note.reply")))
    mail = _mail(message, settings, mail_id, step.now)
    if reply_to:
        mail["Reply-To"] = Address(_name(lead.contact.name), addr_spec=reply_to)
    if step.earlier:
        first = f"<{step.earlier[0].lead.id}@{settings.sender.domain}>"
        mail["In-Reply-To"] = first
        mail["References"] = first
    return mail


def summary(leads: Sequence[Lead], total: int, name: str, deadline: Deadline, settings: Settings) -> None:
    """Send one mail about `total` leads. Its Message-ID is made of `name`, so a repeated one can be known as the same.

    Raises a `leads.errors.Failure` when nobody got it. The mails about single leads report a refused recipient.
    """
    now = datetime.now(UTC)
    known = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:16]
    mail_id = f"summary-{known}@{settings.sender.domain}"
    mail = _mail(summaries.compose(leads, total, name, settings.voice), settings, mail_id, now)
    _post(mail, settings.addresses, settings, deadline, now)


def alert(alert: Alert, deadline: Deadline, settings: Settings) -> None:
    """Alert the operators. Raises a `leads.errors.Failure` when nobody took the alert."""
    message = alerts_text.compose(alert, settings.voice)
    now = datetime.now(UTC)
    trouble = hashlib.sha256(f"{alert.kind}|{alert.subject}|{alert.since.isoformat()}".encode()).hexdigest()[:16]
    mail = _mail(message, settings, f"alert-{trouble}.{now:%Y%m%d%H%M%S}@{settings.sender.domain}", now)
    # Reminders of the same trouble form one thread, below a mail that was never sent.
    mail["References"] = f"<alert-{trouble}@{settings.sender.domain}>"
    mail["Importance"] = "high"
    _post(mail, settings.addresses, settings, deadline, now)


def check(settings: Settings, deadline: Deadline) -> Iterator[Finding]:
    """Look whether mail could be sent, without sending any. Raises nothing.

    By SMTP every recipient is asked for, and nothing is sent. Graph can only be asked for a token.
    """
    try:
        if settings.server:
            refused = smtp.rehearse(settings.server, settings.sender.address, settings.addresses, deadline)
        elif settings.graph:
            refused = {}
            graph.sign_in(settings.graph, deadline)
    except Failure as failure:
        yield Finding("mail server", ok=False, cause=failure.cause, remedy=failure.remedy)
        return
    yield Finding("mail server", ok=True)
    if settings.server and refused:
        trouble = smtp.refused_recipients(settings.server, refused, settings.addresses)
        yield Finding("recipients", ok=False, cause=trouble.cause, remedy=trouble.remedy)


def send_digest(
    leads: Sequence[Lead],
    day: date,
    now: datetime,
    deadline: Deadline,
    settings: Settings,
    link: str = "",
    others: Sequence[str] = (),
) -> bool:
    """Send the digest of the leads of `day`, and say whether there was anything to send.

    `link` is the page of all leads; empty where its address is not known. `others` are the ids of leads that are only
    counted.

    Raises a `leads.errors.Failure` when nobody got it. The mails about single leads report a refused recipient.
    """
    composed = digest.compose(leads, day, settings.digest_zone, settings.language, link, others)
    if composed is None:
        return False
    mail_id = f"digest-{day.isoformat()}@{settings.sender.domain}"
    mail = _mail(composed, settings, mail_id, now, template="digest")
    _post(mail, settings.addresses, settings, deadline, now)
    return True


def _mail(
    message: Message | digest.Digest, settings: Settings, mail_id: str, now: datetime, template: str = "message"
) -> EmailMessage:
    mail = EmailMessage(_policy())
    mail["From"] = _address(settings.sender)
    mail["To"] = [_address(mailbox) for mailbox in settings.to]
    mail["Subject"] = header(message.subject)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{mail_id}>"
    # Without these, an absent seller's automatic answer would go to the customer.
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    values: dict[str, Any] = {item.name: getattr(message, item.name) for item in fields(message)}
    for kind in ("txt", "html"):
        text = templating.render(f"{template}.{kind}", **values)
        if kind == "txt":
            mail.set_content(text, cte="quoted-printable")
        else:
            mail.add_alternative(text, subtype="html", cte="quoted-printable")
    return mail


def header(text: str) -> str:
    """`text` fit for a header: one line, and nothing in it that looks like an encoded word already."""
    return cut(line(text, 250).replace("=?", "= ?"), 250)


def _name(name: str) -> str:
    return header(line(name, 100))


def _address(mailbox: Mailbox) -> Address:
    return Address(_name(mailbox.name), addr_spec=mailbox.address)


@cache
def _policy() -> Any:
    # Left to itself, the library would fold a long id in these two headers by encoding it, and threads would break.
    registry = HeaderRegistry()
    for name in ("references", "in-reply-to"):
        registry.map_to_type(name, cast("Any", MessageIDHeader))
    return SMTP.clone(header_factory=registry)


def _mark(address: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(address.lower().encode()).digest()).decode()[:_MARK]


def _post(
    mail: EmailMessage, recipients: Sequence[str], settings: Settings, deadline: Deadline, now: datetime
) -> dict[str, Refusal]:
    """Send `mail` and return the recipients who were refused while others got it."""
    content = mail.as_bytes()
    if settings.server:
        return smtp.send(settings.server, settings.sender.address, recipients, content, deadline)
    if settings.graph:
        graph.send(settings.graph, content, deadline, now)
    return {}
