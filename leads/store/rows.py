"""Leads and deliveries as rows of the table `leads`, and back. Fields of another version are let be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from leads.lead import Attempt, Contact, Delivery, Lead, Outcome, Stage, State, Via, halves
from leads.store.protocol import Row, Value

_Word = TypeVar("_Word", bound=StrEnum)

ATTEMPTS_KEPT = 30
CAUSE_LIMIT = 400
"""Characters of a cause or a remedy that a recorded attempt keeps."""

_PROPERTY_UNITS = 30_000
_CONTACT = tuple(field.name for field in fields(Contact))


def time_text(moment: datetime) -> str:
    """A time as it is stored: UTC with microseconds, so that text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def time_read(text: object) -> datetime | None:
    """A time in ISO 8601, out of a row or from outside, in UTC; without an offset it is taken for UTC.

    None where there is none. Raises ValueError for anything else, OverflowError for a time beyond the calendar.
    """
    if not isinstance(text, str) or not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def known_values(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """What this version knows of the fields of a dataclass: a later one may have written others before a rollback."""
    known = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in known}


def lead_row(lead: Lead) -> Row:
    """The row of a lead: partition the customer, key the event."""
    values: dict[str, Value] = {
        "via": lead.via,
        "arrived_at": time_text(lead.arrived_at),
        "created_at": time_text(lead.created_at),
        "source": lead.source,
        "action": lead.action,
        "offer": lead.offer,
        "offer_title": lead.offer_title,
        "stage": lead.stage,
        "message": lead.message,
        "campaign": _json(lead.campaign),
        "is_test": lead.is_test,
        "do_not_contact": lead.do_not_contact,
        "contact_withheld": lead.contact_withheld,
        "old": lead.old,
        "extra": _json(lead.extra),
        "issues": _json(lead.issues),
        "route": lead.route,
        "raw": lead.raw,
    }
    values |= {name: str(value) for name, value in asdict(lead.contact).items()}
    return Row(lead.customer, lead.event, values)


def read_lead(row: Row) -> Lead:
    """The lead in a row that `lead_row` made; what is missing in it has its default."""
    value = row.values
    arrived_at = time_read(value.get("arrived_at")) or datetime.fromtimestamp(0, UTC)
    return Lead(
        id=f"{row.partition}-{row.key}",
        via=_known(Via, _text(value, "via"), Via.HTTPS),
        arrived_at=arrived_at,
        created_at=time_read(value.get("created_at")) or arrived_at,
        source=_text(value, "source"),
        action=_text(value, "action"),
        offer=_text(value, "offer"),
        offer_title=_text(value, "offer_title"),
        stage=_known(Stage, _text(value, "stage"), Stage.UNKNOWN),
        contact=Contact(**{name: _text(value, name) for name in _CONTACT}),
        message=_text(value, "message"),
        campaign=json.loads(_text(value, "campaign") or "{}"),
        is_test=value.get("is_test") is True,
        do_not_contact=value.get("do_not_contact") is True,
        contact_withheld=value.get("contact_withheld") is True,
        old=value.get("old") is True,
        extra=json.loads(_text(value, "extra") or "{}"),
        issues=tuple(json.loads(_text(value, "issues") or "[]")),
        route=_text(value, "route"),
        raw=_text(value, "raw"),
    )


def delivery_row(delivery: Delivery) -> Row:
    """The row of a delivery: partition the customer, key `event:destination`."""
    customer, event = halves(delivery.lead_id)
    values: dict[str, Value] = {
        "state": delivery.state,
        "next_at": time_text(delivery.next_at),
        "tries": delivery.tries,
        "attempts": _attempts(delivery.attempts),
        "attempt_count": delivery.attempt_count,
        "remote_id": _storable(delivery.remote_id),
        "reason": _storable(delivery.reason),
        "replayed": delivery.replayed,
        "uncertain": delivery.uncertain,
    }
    for name in ("claimed_until", "rung_at", "alerted_at", "finished_at"):
        moment = getattr(delivery, name)
        if moment is not None:
            values[name] = time_text(moment)
    return Row(customer, f"{event}:{delivery.destination}", values, delivery.etag)


def read_delivery(row: Row) -> Delivery:
    """The delivery in a row that `delivery_row` made; what is missing in it has its default."""
    value = row.values
    event, _, destination = row.key.partition(":")
    return Delivery(
        lead_id=f"{row.partition}-{event}",
        destination=destination,
        state=State(_text(value, "state") or State.OPEN),
        next_at=time_read(value.get("next_at")) or datetime.fromtimestamp(0, UTC),
        tries=int(value.get("tries", 0)),
        attempts=tuple(_attempt(item) for item in json.loads(_text(value, "attempts") or "[]")),
        attempt_count=int(value.get("attempt_count", 0)),
        claimed_until=time_read(value.get("claimed_until")),
        rung_at=time_read(value.get("rung_at")),
        alerted_at=time_read(value.get("alerted_at")),
        remote_id=_text(value, "remote_id"),
        finished_at=time_read(value.get("finished_at")),
        reason=_text(value, "reason"),
        replayed=value.get("replayed") is True,
        uncertain=value.get("uncertain") is True,
        etag=row.etag,
    )


def is_delivery(row: Row) -> bool:
    """Whether a row of the table `leads` is a delivery, not a lead."""
    return ":" in row.key


def _attempts(attempts: tuple[Attempt, ...]) -> str:
    kept = [
        {
            "at": time_text(attempt.at),
            "outcome": attempt.outcome,
            "cause": _storable(attempt.cause),
            "remedy": _storable(attempt.remedy),
            "seconds": round(attempt.seconds, 3),
        }
        for attempt in attempts[-ATTEMPTS_KEPT:]
    ]
    while len(_json(kept).encode("utf-16-le")) > 2 * _PROPERTY_UNITS:
        del kept[0]
    return _json(kept)


def _attempt(item: Mapping[str, Any]) -> Attempt:
    return Attempt(
        at=time_read(item["at"]) or datetime.fromtimestamp(0, UTC),
        outcome=_known(Outcome, item["outcome"], Outcome.TRANSIENT),
        cause=item.get("cause", ""),
        remedy=item.get("remedy", ""),
        seconds=item.get("seconds", 0.0),
    )


def _known(kind: type[_Word], text: str, otherwise: _Word) -> _Word:
    """A word of the vocabulary; `otherwise` for one that only a later version knows, after a rollback."""
    return kind(text) if text in set(kind) else otherwise


def _storable(text: str) -> str:
    """Words that may be a destination's own, as they can be stored: short, and without half characters."""
    return text[:CAUSE_LIMIT].encode("utf-8", "replace").decode()


def _json(value: Any) -> str:
    return json.dumps(value if not isinstance(value, Mapping) else dict(value), ensure_ascii=False)


def _text(values: Mapping[str, Value], name: str) -> str:
    return str(values.get(name, ""))
