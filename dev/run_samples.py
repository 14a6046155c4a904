"""The leads that `make run` sends, in the shapes that Microsoft uses. Each run's are new events of the same people."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any

_PERSON = {
    "FirstName": "Ada",
    "LastName": "Example",
    "Email": "ada@example.com",
    "Phone": "+39 06 6982 0001",
    "Country": "Italia",
    "Company": "Example Mills",
    "Title": "Head of Weaving",
}
_GERMANY = _PERSON | {"Phone": "+49 30 23125 001", "Country": "Germany", "Company": "Beispiel Webwaren"}
_AMERICA = _PERSON | {"Phone": "+1 202 555 0143", "Country": "United States", "Company": "Sample Textiles"}
_BUYERS = (
    ("Contoso Planner", _GERMANY | {"FirstName": "Greta", "Email": "greta@example.com"}),
    ("Contoso Planner", _AMERICA | {"FirstName": "Uma", "Email": "uma@example.com"}),
    ("Contoso Viewer", _GERMANY | {"FirstName": "Gustav", "Email": "gustav@example.com"}),
    ("Contoso Viewer", _AMERICA | {"FirstName": "Ulysses", "Email": "ulysses@example.com"}),
)
"""Two offers in two regions."""
CURL_BODY = (
    '{"userDetails": {"firstName": "Grace", "lastName": "Example", "email": "grace@example.com"}, '
    '"leadSource": "SPZA-PLT|contoso.planner", "description": "Please call me."}'
)


def one(now: datetime) -> dict[str, bytes]:
    """One body for `POST /api/leads`, by what is said of it."""
    return {"A lead comes in by HTTP": _body(_PERSON, "Contoso Planner", now)}


def routed(now: datetime) -> dict[str, bytes]:
    """Bodies of two offers and two regions, by what is said of them: enough to see routes part them."""
    return {
        f"A lead for {offer} comes in by HTTP, from {person['Country']}": _body(person, offer, now)
        for offer, person in _BUYERS
    }


def _body(person: dict[str, str], offer: str, now: datetime) -> bytes:
    """A call as Microsoft makes it: camelCase, source and action and offer in one field."""
    return json.dumps(
        {
            "userDetails": {key[0].lower() + key[1:]: value for key, value in person.items()},
            "leadSource": f"SPZA-INS|{offer.lower().replace(' ', '.')}",
            "actionCode": "INS",
            "offerTitle": offer,
            "description": f"How does it work with looms? (Sample of {now:%H:%M:%S}.)",
        }
    ).encode()


def row(now: datetime) -> dict[str, Any]:
    """A row as Microsoft writes it: PascalCase, the person as JSON in a string, the day as partition key."""
    return {
        "PartitionKey": f"{now.month}:2F{now.day}:2F{now.year}",
        "RowKey": str(uuid.uuid4()),
        "ActionCode": "PLT",
        "CreatedTime": f"{now:%m/%d/%Y %H:%M:%S}",
        "CustomerInfo": json.dumps(_PERSON),
        "Description": "Campaigns: ",
        "LeadSource": "SPZA",
        "OfferDisplayName": "Contoso Planner",
        "ProductId": "contoso.planner",
    }
