"""What is kept of a customer, in words for the customer: who, what, when, where it was sent, and what arrived.

What only runs the app (claims, rings, tries) is left out. It is JSON for machines, and a page to read beside it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from leads.lead import State
from leads.messages import languages, notification
from leads.store.ledger import Case

TEMPLATES = Path(__file__).parent / "page" / "templates"
TEXT_LIMIT = 400_000
"""Bytes that what arrived may have as a JSON text. Control characters take six each; Base64 takes a third more."""

_STATES: Mapping[State, str] = {
    State.DELIVERED: "sent",
    State.OPEN: "not sent yet",
    State.SKIPPED: "not sent",
    State.DEAD: "could not be sent",
}


def of_lead(case: Case, raw: bytes | None) -> dict[str, Any]:
    """A lead with its deliveries and the bytes it was made of."""
    lead, english = case.lead, languages.load("en")
    contact = {name.replace("_", " "): str(value) for name, value in asdict(lead.contact).items() if value}
    record: dict[str, Any] = {
        "what": english.say(f"deed.{notification.deed(lead)}.badge"),
        "offer": " ".join(part for part in (lead.offer_title, lead.offer) if part),
        "when": lead.created_at.isoformat(),
        "reached us": lead.arrived_at.isoformat(),
        "came from": "-".join(part for part in (lead.source, lead.action) if part),
        "who": contact,
        "your words": lead.message,
        "campaign": dict(lead.campaign),
        "also came": dict(lead.extra),
        "do not contact": lead.do_not_contact,
        "sent to": [
            {
                "where": delivery.destination,
                "state": _STATES[delivery.state],
                "when": delivery.finished_at.isoformat() if delivery.finished_at else "",
                "record there": delivery.remote_id,
            }
            for delivery in case.deliveries
        ],
        "our number": lead.id,
    }
    kept = {name: value for name, value in record.items() if value not in ("", {}, [], False)}
    return kept | ({"as it arrived": _text(raw)} if raw is not None else {})


def of_bytes(at: datetime, data: bytes) -> dict[str, Any]:
    """Bytes that are not a lead, or not yet."""
    return {
        "what": "Something that could not be read as a request of a customer",
        "reached us": at.isoformat(),
        "as it arrived": _text(data),
    }


def of_row(table: str, row: bytes) -> dict[str, Any]:
    """A row of the table that Microsoft writes, as JSON."""
    return {"what": f"A row that Microsoft wrote into the table {table}", "as it arrived": _text(row)}


def _text(data: bytes) -> str:
    """Bytes as text where they are some, else in Base64; no more of them than an answer can hold."""
    try:
        text = data.decode()
        if len(json.dumps(text, ensure_ascii=False).encode()) <= TEXT_LIMIT:
            return text
    except UnicodeDecodeError:
        pass
    shown = base64.b64encode(data[: TEXT_LIMIT * 3 // 4]).decode()
    return f"in Base64: {shown}" + (
        f" (the first {TEXT_LIMIT * 3 // 4} of {len(data)} bytes)" if data[TEXT_LIMIT:] else ""
    )


def page(content: Mapping[str, Any]) -> str:
    """The page to read: one file of HTML that loads nothing and runs nothing."""
    from leads.messages.plain import block
    from leads.messages.templating import render

    def shown(value: object) -> str:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return block(text, 100_000, links=True)

    return render("customer.html", TEMPLATES, **content, shown=shown)
