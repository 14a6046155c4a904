"""The two leads that `make run` sends, in the shapes that Microsoft uses. Each run's are new events of one customer."""

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
CURL_BODY = (
    '{"userDetails": {"firstName": "Grace", "lastName": "Example", "email": "grace@example.com"}, '
    '"leadSource": "SPZA-PLT|contoso.planner", "description": "Please call me."}'
)


def body(now: datetime) -> bytes:
    """A call as Microsoft makes it: camelCase, source and action and offer in one field."""
    return json.dumps(
        {
            "userDetails": {key[0].lower() + key[1:]: value for key, value in _PERSON.items()},
            "leadSource": "SPZA-INS|contoso.planner",
            "actionCode": "INS",
            "offerTitle": "Contoso Planner",
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
