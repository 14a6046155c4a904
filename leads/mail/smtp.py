"""Sending one mail by SMTP, encrypted always: STARTTLS is demanded, or TLS spoken from the first byte.

What servers answer may quote addresses and more, so only their codes (RFC 5321, RFC 3463) are passed on.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Timer
from typing import Any

from leads.errors import Failure, Misconfigured, Rejected, Throttled, Transient
from leads.mail.settings import Server
from leads.transport import SEND_SECONDS, Deadline, within

STEP_SECONDS = 10.0
"""What the server may take for one command, the mail itself excepted."""

_ENHANCED = re.compile(rb"\s*([245]\.\d{1,3}\.\d{1,3})\b")
_AGAIN = "The app tries again by itself."
_REACH = "The app tries again. If it keeps failing, check host and port in EMAIL_SMTP_URL; Azure often blocks port 25."


@dataclass(frozen=True, slots=True)
class Refusal:
    """A server's refusal: its code, and its enhanced code where it gave one."""

    code: int
    enhanced: str = ""

    @classmethod
    def of(cls, code: int, text: bytes | str) -> Refusal:
        """The refusal in an answer."""
        found = _ENHANCED.match(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
        return cls(code, found.group(1).decode() if found else "")

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced}".strip()

    @property
    def passing(self) -> bool:
        """Whether trying again later may help."""
        return 400 <= self.code < 500


def send(server: Server, sender: str, recipients: Sequence[str], mail: bytes, deadline: Deadline) -> dict[str, Refusal]:
    """Send `mail` to all `recipients` and return those whom the server refused while it took the mail for the others.

    Raises a `leads.errors.Failure` when nobody got it. When the connection breaks just before the server's last
    answer, the mail may have been taken: the next attempt repeats it under the same Message-ID.
    """
    with _session(server, sender, deadline) as client:
        refused = _address(client, server, sender, recipients, deadline)
        if len(refused) == len(recipients):
            raise refused_recipients(server, refused, recipients)
        # Servers scan a mail before they accept it; a client that gives up meanwhile sends it twice.
        _tick(client, deadline, SEND_SECONDS)
        _expect(client.data(mail), server, "mail")
        return refused


def rehearse(server: Server, sender: str, recipients: Sequence[str], deadline: Deadline) -> dict[str, Refusal]:
    """Do everything except sending a mail, and return the recipients whom the server would refuse.

    Raises a `leads.errors.Failure` when that fails.
    """
    with _session(server, sender, deadline) as client:
        return _address(client, server, sender, recipients, deadline)


def _address(
    client: smtplib.SMTP, server: Server, sender: str, recipients: Sequence[str], deadline: Deadline
) -> dict[str, Refusal]:
    """Name sender and recipients, and return those of the latter whom the server refused."""
    _expect(client.mail(sender), server, "sender")
    refused = {}
    for recipient in recipients:
        _tick(client, deadline)
        code, text = client.rcpt(recipient)
        if code == 421:
            raise _refused(server, Refusal.of(code, text))
        if code not in (250, 251):
            refused[recipient] = Refusal.of(code, text)
    return refused


class _Client(smtplib.SMTP):
    """A client that closes its connection at the deadline: smtplib's timeout starts anew with each byte from the
    server.
    """

    def __init__(self, deadline: Deadline, **where: Any) -> None:
        # A second later, so that where a timeout ends at the same moment, it has its say.
        self._end = Timer(deadline.remaining() + 1, self._shut)
        self._end.daemon = True
        self._end.start()
        super().__init__(**where)

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        # Looking up a name cannot be interrupted.
        return within(timeout, lambda: super(_Client, self)._get_socket(host, port, timeout))  # type: ignore[misc]

    def close(self) -> None:
        """Close the connection."""
        self._end.cancel()
        super().close()

    def _shut(self) -> None:
        if self.sock:
            with suppress(OSError):
                # Not TLS's own goodbye, which would wait for the server's.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class _TlsClient(_Client, smtplib.SMTP_SSL):
    """The same with TLS from the first byte."""


@contextmanager
def _session(server: Server, sender: str, deadline: Deadline) -> Iterator[smtplib.SMTP]:
    """A connection that is encrypted and signed in. What goes wrong in it becomes a `leads.errors.Failure`."""
    try:
        client = _connect(server, sender.rpartition("@")[2], deadline)
        try:
            _ready(client, server, deadline)
            yield client
            with suppress(smtplib.SMTPException, OSError):
                client.quit()
        finally:
            client.close()
    except smtplib.SMTPAuthenticationError as error:
        raise _login_refused(server, Refusal.of(error.smtp_code, error.smtp_error)) from None
    except smtplib.SMTPDataError as error:
        raise _refused(server, Refusal.of(error.smtp_code, error.smtp_error), "mail") from None
    except smtplib.SMTPResponseException as error:
        raise _refused(server, Refusal.of(error.smtp_code, error.smtp_error)) from None
    except smtplib.SMTPServerDisconnected:
        # Also a timeout while an answer is read comes as this.
        raise Transient(
            f"{server.host} did not answer in time or closed the connection.", _AGAIN, unanswered=True
        ) from None
    except ssl.SSLCertVerificationError:
        raise Misconfigured(
            f"{server.host} has no certificate that this app trusts.",
            "Check the host name in EMAIL_SMTP_URL; it must be one that the server's certificate names.",
        ) from None
    except ssl.SSLError:
        deadline.remaining()
        raise Misconfigured(
            f"{server.host} does not speak TLS as asked on port {server.port}.",
            "Use smtp:// for STARTTLS (mostly port 587) and smtps:// for TLS from the start (mostly port 465).",
        ) from None
    except TimeoutError:
        raise Transient(f"{server.host} did not answer in time.", _REACH) from None
    except OSError:
        raise Transient(f"No connection to {server.host} could be made or kept.", _REACH) from None


def _connect(server: Server, name: str, deadline: Deadline) -> smtplib.SMTP:
    seconds = min(STEP_SECONDS, deadline.remaining())
    # The name is given because smtplib would look up this machine's own, which can take long.
    where: dict[str, Any] = {"host": server.host, "port": server.port, "local_hostname": name, "timeout": seconds}
    if server.implicit_tls:
        return _TlsClient(deadline, context=ssl.create_default_context(), **where)
    return _Client(deadline, **where)


def _ready(client: smtplib.SMTP, server: Server, deadline: Deadline) -> None:
    """Encrypt and sign in."""
    _tick(client, deadline)
    client.ehlo_or_helo_if_needed()
    if not server.implicit_tls:
        if not client.has_extn("starttls"):
            raise Misconfigured(
                f"{server.host} offers no STARTTLS on port {server.port}, and nothing is sent unencrypted.",
                "Use smtps:// if the server speaks TLS from the start (mostly port 465), or another server.",
            )
        client.starttls(context=ssl.create_default_context())
        client.ehlo()
    if server.user:
        _tick(client, deadline)
        try:
            client.login(server.user, server.password)
        except smtplib.SMTPNotSupportedError:
            raise Misconfigured(
                f"{server.host} offers no way to sign in with a user name and a password.",
                "Check host and port in EMAIL_SMTP_URL, or remove user and password from it if the server needs none.",
            ) from None
    _tick(client, deadline)


def _tick(client: smtplib.SMTP, deadline: Deadline, most: float = STEP_SECONDS) -> None:
    seconds = min(most, deadline.remaining())
    if client.sock:
        client.sock.settimeout(seconds)


def _expect(answer: tuple[int, bytes], server: Server, what: str) -> None:
    code, text = answer
    if not 200 <= code < 300:
        raise _refused(server, Refusal.of(code, text), what)


def _login_refused(server: Server, refusal: Refusal) -> Failure:
    if refusal.passing:
        return Transient(f"{server.host} could not check user and password just now ({refusal}).", _AGAIN)
    return Misconfigured(
        f"{server.host} did not accept user and password ({refusal}).",
        "Check both in EMAIL_SMTP_URL, percent-encoded; ask the server's administrator whether this account may "
        "send by SMTP. For a Microsoft 365 mailbox use EMAIL_GRAPH_SENDER instead.",
    )


def _refused(server: Server, refusal: Refusal, what: str = "") -> Failure:
    """The failure in a server's answer to anything but login and recipients."""
    if refusal.code in (432, 452) or refusal.enhanced in ("4.3.1", "4.5.3", "4.7.28"):
        return Throttled(f"{server.host} asks for fewer mails for now ({refusal}).", _AGAIN)
    if refusal.passing or (what == "mail" and refusal.code < 200):
        return Transient(f"{server.host} is not working right now ({refusal}).", _AGAIN)
    if refusal.code in (530, 534, 535, 538):
        return Misconfigured(
            f"{server.host} requires its users to sign in ({refusal}).", "Put user and password into EMAIL_SMTP_URL."
        )
    if what == "sender" or refusal.code == 553 or refusal.enhanced.startswith(("5.1.", "5.7.")):
        return Misconfigured(
            f"{server.host} takes no mail from this sender ({refusal}).",
            "Check that EMAIL_FROM is an address that the account in EMAIL_SMTP_URL may send from.",
        )
    if what == "mail":
        return Rejected(
            f"{server.host} refused the mail ({refusal}).",
            "Look the code up in the server's documentation, correct the cause, then replay the lead.",
        )
    return Misconfigured(
        f"{server.host} does not serve this app ({refusal}).",
        "Check host and port in EMAIL_SMTP_URL, and ask the server's administrator to let this app in.",
    )


def refused_recipients(server: Server, refused: Mapping[str, Refusal], to: Sequence[str]) -> Failure:
    """The failure when some or all of the recipients in `to` were refused: passing only if all refusals are.

    It tells which by their places in EMAIL_TO, since an address is nothing for a log.
    """
    refusals = tuple(refused.values())
    codes = ", ".join(dict.fromkeys(str(refusal) for refusal in refusals))
    places = [str(place) for place, address in enumerate(to, 1) if address in refused]
    which = f"number {', '.join(places[:10])}{' and others' if places[10:] else ''} of EMAIL_TO"
    cause = f"{server.host} refused {len(refusals)} of {len(to)} recipients: {which} ({codes})."
    if all(refusal.code == 452 for refusal in refusals):
        return Throttled(cause, _AGAIN)
    if all(refusal.passing for refusal in refusals):
        return Transient(cause, _AGAIN)
    return Misconfigured(
        cause,
        "Check these addresses in EMAIL_TO. Recipients who already got the mail do not get it again.",
    )
