"""Leads and their stories as JSON values, for the CLI and the API."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from leads import redact
from leads.lead import Attempt, Delivery, Lead
from leads.messages import languages, notification
from leads.operate.listing import Summary
from leads.operate.quarantine import Entry
from leads.operate.stories import Story

CELL_LIMIT = 100
"""Characters of each text that a list shows; `show` has all of it."""
OTHERS_LIMIT = 50
"""Other leads of the customer that a story names, the newest."""
TEXT_LIMIT = 400_000
"""Bytes that raw may have as a JSON text. Control characters take six each; Base64 takes a third more."""


def story(found: Story) -> dict[str, Any]:
    """All that is known of a lead, with its personal data."""
    return {
        "id": found.id,
        "fate": found.fate,
        "open": found.is_open,
        "lead": _lead(found.lead) if found.lead else None,
        "deliveries": [_delivery(delivery) for delivery in found.deliveries],
        "quarantine": entry(found.quarantine) if found.quarantine else None,
        "others": [summary(other, revealed=True) for other in found.others[-OTHERS_LIMIT:]],
        **_bytes(found.raw),
    }


def summary(found: Summary, *, revealed: bool) -> dict[str, Any]:
    """A lead for lists. Names and addresses are masked unless revealed."""
    lead, trouble = found.lead, found.trouble
    return {
        "id": lead.id,
        "arrived_at": lead.arrived_at.isoformat(),
        "created_at": lead.created_at.isoformat(),
        "via": lead.via.value,
        "stage": lead.stage.value,
        "did": languages.load("en").say(f"deed.{notification.deed(lead)}.badge"),
        "source": _cell(lead.source),
        "action": _cell(lead.action),
        "offer": _cell(lead.offer),
        "offer_title": _cell(lead.offer_title),
        "name": _cell(lead.contact.name if revealed else redact.mask_name(lead.contact.name)),
        "email": _cell(lead.contact.email if revealed else redact.mask_email(lead.contact.email)),
        "company": _cell(lead.contact.company if revealed else redact.safe(lead.contact.company)),
        "is_test": lead.is_test,
        "do_not_contact": lead.do_not_contact,
        "state": found.state.value,
        "deliveries": {delivery.destination: delivery.state.value for delivery in found.deliveries},
        "cause": trouble.cause if trouble else "",
        "remedy": trouble.remedy if trouble else "",
    }


def _cell(text: str) -> str:
    return text if len(text) <= CELL_LIMIT else f"{text[: CELL_LIMIT - 1]}…"


def entry(found: Entry) -> dict[str, Any]:
    """An entry of the quarantine."""
    return {**asdict(found), "at": found.at.isoformat(), "via": found.via.value}


def _lead(lead: Lead) -> dict[str, Any]:
    contact = {name: str(value) for name, value in asdict(lead.contact).items()}
    values = {name: value for name, value in _plain(lead).items() if name != "contact"}
    return {**values, "contact": contact, "issues": list(lead.issues)}


def _delivery(delivery: Delivery) -> dict[str, Any]:
    values = {name: value for name, value in _plain(delivery).items() if name not in ("etag", "attempts", "lead_id")}
    return {**values, "attempts": [_plain(attempt) for attempt in delivery.attempts]}


def _plain(thing: Lead | Delivery | Attempt) -> dict[str, Any]:
    """The fields of a record, times as ISO 8601; what else JSON lacks is left to the caller."""
    values = ((name, getattr(thing, name)) for name in thing.__slots__)
    return {
        name: value.isoformat() if isinstance(value, datetime) else dict(value) if isinstance(value, Mapping) else value
        for name, value in values
    }


def _bytes(raw: bytes | None) -> dict[str, Any]:
    """Bytes as text where they are some, else in Base64."""
    if raw is None:
        return {"raw": None}
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = None
    if text is not None and len(json.dumps(text, ensure_ascii=False).encode()) <= TEXT_LIMIT:
        return {"raw": text}
    return {"raw": None, "raw_base64": base64.b64encode(raw).decode()}
