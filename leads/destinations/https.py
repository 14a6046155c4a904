"""HTTPS: every lead as JSON to an address of your own, signed as Standard Webhooks 1.0.0 says.

`webhook-id` is the lead id on each attempt and each replay, so a receiver that remembers it takes a lead once. Alerts
go to the same address, as events of their own type. docs/schemas/ has the JSON Schema of both bodies. 2xx is the only
success. Facts: github.com/standard-webhooks/standard-webhooks, `spec/standard-webhooks.md`.
"""

from __future__ import annotations

import binascii
import hashlib
import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from leads import transport
from leads.contract import Finding, Kind, Step
from leads.errors import Failure, Misconfigured, Rejected
from leads.lead import Lead
from leads.messages.alert import Alert
from leads.reader import Reader, Setting
from leads.transport import Deadline, Response

KIND = Kind.FEED
TITLE = "HTTPS"
SETTINGS = (
    Setting(
        "HTTPS_URL", "Where leads are posted. Whoever has it can post too: it counts as a secret", secret=True, own=True
    ),
    Setting(
        "HTTPS_SECRET",
        "The secret that signs them, as `whsec_…`. Two separated by a comma, the new one first, while you change it",
        secret=True,
        own=True,
    ),
)

_PREFIX = "whsec_"
_MAKE = "Make one with the line of Python in docs/destinations/https.md, and give it to the receiver too."


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to post, and what signs it."""

    url: str = field(default="", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """In the order of the setting: the new one first. Each signs."""

    @classmethod
    def read(cls, reader: Reader) -> Settings:
        """Read HTTPS_URL and HTTPS_SECRET, noting every problem."""
        # The URL is used exactly as it came: what follows a slash at its end may matter to the receiver.
        url = reader.text("HTTPS_URL") if reader.url("HTTPS_URL", required=True) else ""
        secrets = reader.items("HTTPS_SECRET")
        if not reader.is_set("HTTPS_SECRET"):
            reader.problem("HTTPS_SECRET", "It is not set, and the app does not send unsigned requests.", _MAKE)
        elif not secrets or not all(map(_is_secret, secrets)):
            reader.problem(
                "HTTPS_SECRET",
                f"It must be {_PREFIX} and 24 to 64 random bytes in Base64, or several of these separated by commas.",
                _MAKE,
            )
        return cls(url, secrets)


def send(lead: Lead, step: Step, settings: Settings) -> str:
    """Post `lead`, and return the id under which the receiver knows it: the lead id."""
    _post(lead.id, _lead_event(lead, step), step.deadline, settings, step.now)
    return lead.id


def preview(lead: Lead, step: Step, settings: Settings) -> str:
    """The id and the body, as `send` would post them."""
    del settings
    body = json.dumps(json.loads(_body(_lead_event(lead, step))), ensure_ascii=False, indent=2)
    return f"webhook-id: {lead.id}\n\n{body}"


def alert(alert: Alert, deadline: Deadline, settings: Settings) -> None:
    """Post an alert. Raises a `leads.errors.Failure` when that fails."""
    now = datetime.now(UTC)
    # A reminder of the same trouble is a new event, so its hour is part of the id.
    trouble = f"{alert.kind}|{alert.subject}|{alert.since.isoformat()}|{now:%Y%m%d%H}"
    event = {
        "type": "alert.raised",
        "timestamp": _time(now),
        "data": {"schema": "alert-1", **asdict(alert), "since": _time(alert.since)},
    }
    _post(f"alert-{hashlib.sha256(trouble.encode()).hexdigest()[:32]}", event, deadline, settings, now)


def check(settings: Settings, deadline: Deadline) -> Iterator[Finding]:
    """Look whether the address answers, by OPTIONS, which does nothing there (RFC 9110). Raises nothing."""
    try:
        answer = transport.request("OPTIONS", settings.url, deadline=deadline)
    except Failure as failure:
        yield Finding("receiver", ok=False, cause=failure.cause, remedy=failure.remedy)
        return
    remark = f"It answers ({answer.status} to OPTIONS). Only `send-test` shows whether it takes leads."
    yield Finding("receiver", ok=True, cause=remark)


def _lead_event(lead: Lead, step: Step) -> dict[str, Any]:
    return {
        "type": "lead.created",
        "timestamp": _time(lead.arrived_at),
        "data": {
            "schema": "lead-1",
            "id": lead.id,
            "customer": lead.customer,
            "arrived_at": _time(lead.arrived_at),
            "created_at": _time(lead.created_at),
            "via": lead.via.value,
            "source": lead.source,
            "action": lead.action,
            "stage": lead.stage.value,
            "offer": {"id": lead.offer, "title": lead.offer_title},
            "contact": asdict(lead.contact),
            "message": lead.message,
            "campaign": dict(lead.campaign),
            "is_test": lead.is_test,
            "is_old": step.old,
            "do_not_contact": lead.do_not_contact,
            "contact_withheld": lead.contact_withheld,
            "extra": dict(lead.extra),
            "issues": list(lead.issues),
        },
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _body(event: Mapping[str, Any]) -> str:
    """The event as JSON that every receiver can read: half a surrogate pair is not Unicode."""
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()


def _post(name: str, event: Mapping[str, Any], deadline: Deadline, settings: Settings, now: datetime) -> None:
    from standardwebhooks import Webhook

    body = _body(event)
    # The library takes any time for UTC, whatever its zone.
    moment = now.astimezone(UTC)
    answer = transport.request(
        "POST",
        settings.url,
        deadline=deadline,
        headers={
            "Content-Type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": " ".join(Webhook(secret).sign(name, moment, body) for secret in settings.secrets),
        },
        data=body.encode(),
    )
    if not 200 <= answer.status < 300:
        raise _failure(answer, now)


def _failure(answer: Response, now: datetime) -> Failure:
    passing = transport.refusal(answer, "The receiver", now)
    if passing:
        return passing
    match answer.status:
        case 413 | 422:
            return Rejected(
                f"The receiver refuses this lead ({answer.status}).",
                "Find out in the receiver why: the lead is too large, or not what it expects. Then replay the lead.",
            )
        case 401 | 403:
            return Misconfigured(
                f"The receiver does not let this app in ({answer.status}).",
                "Put the same secret into HTTPS_SECRET and into the receiver, and check the receiver's clock.",
            )
        case 410:
            return Misconfigured(
                "The receiver says that this address is gone (410).",
                "Put its new address into HTTPS_URL, or take this destination out of LEADS_DESTINATIONS.",
            )
        case status if 300 <= status < 400:
            return Misconfigured(
                f"The receiver redirects this app ({status}), and the app does not follow.",
                "Put the receiver's real address into HTTPS_URL.",
            )
        case status:
            return Misconfigured(
                f"The receiver did not take the lead ({status}).",
                "Look for the reason in the receiver's log. Check HTTPS_URL and HTTPS_SECRET.",
            )


def _is_secret(text: str) -> bool:
    if not text.startswith(_PREFIX) or not text.isascii():
        return False
    coded = text.removeprefix(_PREFIX)
    try:
        return 24 <= len(b64decode(coded + "=" * (-len(coded) % 4), validate=True)) <= 64
    except binascii.Error:
        return False
