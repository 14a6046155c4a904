"""Settings of the e-mail destination: `EMAIL_*`, and what all messages share."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from urllib.parse import unquote, urlsplit

from leads import oauth
from leads.messages import languages
from leads.messages.languages import Language
from leads.messages.notification import Voice, plain_voice
from leads.messages.plain import is_address
from leads.oauth import Credentials
from leads.reader import Reader, Setting

MOST_RECIPIENTS = 50
"""Azure Communication Services takes no more for one mail, and a delivery's record has room to mark that many."""
GRAPH = "https://graph.microsoft.com"
SETTINGS = (
    Setting("EMAIL_TO", "Who gets the mails: addresses, separated by commas", own=True),
    Setting("EMAIL_FROM", "The sender, as `Leads <leads@contoso.com>`. With Graph: the mailbox itself"),
    Setting(
        "EMAIL_SMTP_URL",
        "The mail server: `smtp://user:password@host:587` (STARTTLS) or `smtps://user:password@host:465`",
        secret=True,
    ),
    Setting("EMAIL_GRAPH_SENDER", "Instead of SMTP: the mailbox that Microsoft Graph sends from"),
    Setting("EMAIL_GRAPH_URL", "Microsoft Graph of other clouds", GRAPH),
    *oauth.settings("EMAIL_GRAPH"),
    Setting("EMAIL_DIGEST", "`daily`: one mail each morning at seven with the leads of the day before", "none"),
    Setting("EMAIL_DIGEST_TIME_ZONE", "The time zone of the digest"),
    *languages.SETTINGS,
)
"""Every setting of the e-mail destination."""

_MAILBOX = re.compile(r'"?(?P<name>[^"<>@\x00-\x1f]*)"?\s*<(?P<bracketed>[^<>\s]+)>|(?P<bare>\S+)')


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address, and the name that stands before it."""

    address: str
    name: str = ""

    @property
    def domain(self) -> str:
        """The part after the `@`, in lower case."""
        return self.address.rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True)
class Server:
    """An SMTP server: with TLS from the first byte, or else with STARTTLS, never without."""

    host: str
    port: int
    implicit_tls: bool
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Graph:
    """A mailbox that Microsoft Graph sends from, and how to sign in."""

    sender: str
    url: str = GRAPH
    credentials: Credentials = field(default_factory=lambda: Credentials(prefix="EMAIL_GRAPH"))


@dataclass(frozen=True, slots=True)
class Settings:
    """To whom, from whom, by which way, in which language."""

    to: tuple[Mailbox, ...] = ()
    sender: Mailbox = Mailbox("leads@localhost")
    server: Server | None = None
    graph: Graph | None = None
    digest: bool = False
    digest_zone: tzinfo = UTC
    voice: Voice = field(default_factory=plain_voice)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The recipients' bare addresses."""
        return tuple(mailbox.address for mailbox in self.to)

    @property
    def language(self) -> Language:
        """The language of all messages."""
        return self.voice.language

    @classmethod
    def read(cls, reader: Reader) -> Settings:
        """Read all `EMAIL_*` settings, LEADS_LANGUAGE and LEADS_TIME_ZONE, noting every problem.

        What concerns only wording and digest is a warning.
        """
        graph = _graph(reader) if reader.text("EMAIL_GRAPH_SENDER") else None
        server = _server(reader)
        if graph and server:
            reader.problem(
                "EMAIL_SMTP_URL", "EMAIL_GRAPH_SENDER is set too.", "Remove one of them; until then the app uses SMTP."
            )
        if not graph and not server and not reader.text("EMAIL_SMTP_URL"):
            reader.problem(
                "EMAIL_SMTP_URL",
                "Neither it nor EMAIL_GRAPH_SENDER is set.",
                "Set one of the two.",
            )
        voice = Voice.read(reader)
        # What is wrong with the digest must not stop the mails.
        with reader.mildly():
            digest = reader.choice("EMAIL_DIGEST", "none", ("none", "daily")) == "daily"
            own_zone = reader.is_set("EMAIL_DIGEST_TIME_ZONE")
            zone = languages.read_zone(reader, "EMAIL_DIGEST_TIME_ZONE") if own_zone else None
        return cls(
            to=_recipients(reader),
            sender=_sender(reader, graph),
            server=server,
            graph=graph,
            digest=digest,
            digest_zone=zone or voice.zone,
            voice=voice,
        )


def _mailbox(text: str) -> Mailbox | None:
    found = _MAILBOX.fullmatch(text)
    address = (found["bracketed"] or found["bare"]) if found else ""
    return Mailbox(address, (found["name"] or "").strip()) if found and is_address(address) else None


def _recipients(reader: Reader) -> tuple[Mailbox, ...]:
    found: dict[str, Mailbox] = {}
    for number, item in enumerate(reader.items("EMAIL_TO"), 1):
        mailbox = _mailbox(item)
        if mailbox:
            found.setdefault(mailbox.address.lower(), mailbox)
        else:
            reader.problem("EMAIL_TO", f"Entry {number} cannot be an e-mail address.", "Separate addresses by commas.")
    if len(found) > MOST_RECIPIENTS:
        reader.problem(
            "EMAIL_TO",
            f"It names {len(found)} recipients. The limit is {MOST_RECIPIENTS}.",
            "Make a distribution group and name that one.",
        )
    if not reader.text("EMAIL_TO", required=True) or found:
        return tuple(found.values())
    return ()


def _sender(reader: Reader, graph: Graph | None) -> Mailbox:
    text = reader.text("EMAIL_FROM", graph.sender if graph else "", required=graph is None)
    mailbox = _mailbox(text)
    if text and not mailbox:
        reader.problem(
            "EMAIL_FROM" if reader.text("EMAIL_FROM") else "EMAIL_GRAPH_SENDER",
            "It must be an e-mail address.",
            "Write it as leads@contoso.com or Leads <leads@contoso.com>.",
        )
    return mailbox or Mailbox("leads@localhost")


def _server(reader: Reader) -> Server | None:
    text = reader.text("EMAIL_SMTP_URL")
    if not text:
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        good = (
            parts.scheme in ("smtp", "smtps")
            and bool(host)
            and not (parts.path.strip("/") or parts.query or parts.fragment)
        )
    except ValueError:
        good = False
    if not good or any(c.isspace() or not c.isprintable() for c in text):
        reader.problem(
            "EMAIL_SMTP_URL",
            "It must be of the form smtp://user:password@host:587 or smtps://user:password@host:465.",
            "Percent-encode special characters of user and password: @ as %40, : as %3A, / as %2F, # as %23, ? as %3F.",
        )
        return None
    implicit = parts.scheme == "smtps"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        reader.problem("EMAIL_SMTP_URL", "It has a user name or a password, but not both.", "Set both or neither.")
    return Server(host, port or (465 if implicit else 587), implicit, user, password)


def _graph(reader: Reader) -> Graph:
    return Graph(
        sender=reader.text("EMAIL_GRAPH_SENDER"),
        url=reader.url("EMAIL_GRAPH_URL") or GRAPH,
        credentials=oauth.read(reader, "EMAIL_GRAPH"),
    )
