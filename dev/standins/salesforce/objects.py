"""What the stand-in's objects are made of, and its records: the fields of Lead, Task and Contact that matter here.

Types and lengths are those of Salesforce's Object Reference. Fields that nobody may set are marked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """A field as `describe` tells of it."""

    type: str = "string"
    length: int = 0
    required: bool = False
    writable: bool = True
    unique: bool = False
    restricted: tuple[str, ...] = ()
    """The only values of a restricted pick-list."""


_READ = Field("reference", 18, writable=False)
_AUDIT = {
    "Id": Field("id", 18, writable=False),
    "IsDeleted": Field("boolean", writable=False),
    "CreatedDate": Field("datetime", writable=False),
    "LastModifiedDate": Field("datetime", writable=False),
}

OBJECTS: dict[str, dict[str, Field]] = {
    "Lead": {
        **_AUDIT,
        "MasterRecordId": _READ,
        "IsConverted": Field("boolean", writable=False),
        "ConvertedContactId": _READ,
        "Name": Field("string", 121, writable=False),
        "FirstName": Field("string", 40),
        "LastName": Field("string", 80, required=True),
        "Company": Field("string", 255, required=True),
        "Title": Field("string", 128),
        "Email": Field("email", 80),
        "Phone": Field("phone", 40),
        "Website": Field("url", 255),
        "Street": Field("textarea", 255),
        "City": Field("string", 40),
        "Country": Field("string", 80),
        "LeadSource": Field("picklist", 255),
        "Status": Field("picklist", 255),
        "Rating": Field("picklist", 255),
        "Description": Field("textarea", 32_000),
        "HasOptedOutOfEmail": Field("boolean"),
        "DoNotCall": Field("boolean"),
        "NumberOfEmployees": Field("int"),
        "OwnerId": Field("reference", 18),
    },
    "Task": {
        **_AUDIT,
        "WhoId": Field("reference", 18),
        "Subject": Field("combobox", 255),
        "Description": Field("textarea", 32_000),
        "Status": Field("picklist", 255),
        "ActivityDate": Field("date"),
        "OwnerId": Field("reference", 18),
    },
    "Contact": {
        **_AUDIT,
        "MasterRecordId": _READ,
        "LastName": Field("string", 80, required=True),
        "Email": Field("email", 80),
    },
}
PREFIXES = {"Lead": "00Q", "Task": "00T", "Contact": "003"}
KEY = Field("string", 64, unique=True)


def whole_id(fifteen: str) -> str:
    """An id of 18 characters: the last three tell which of the first 15 are capitals (Salesforce Help 000385585)."""
    groups = (fifteen[start : start + 5] for start in (0, 5, 10))
    bits = (sum(character.isupper() << place for place, character in enumerate(group)) for group in groups)
    return fifteen + "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[number] for number in bits)


def described(kind: str, fields: dict[str, Field]) -> dict[str, Any]:
    """An object as `sobjects/<kind>/describe` tells of it."""
    return {
        "name": kind,
        "createable": True,
        "updateable": True,
        "queryable": True,
        "fields": [
            {
                "name": name,
                "type": field.type,
                "length": field.length,
                "createable": field.writable,
                "updateable": field.writable,
                "nillable": not field.required,
                "defaultedOnCreate": field.type == "boolean" or name in ("Status", "OwnerId"),
                "unique": field.unique,
                "externalId": field.unique,
                "restrictedPicklist": bool(field.restricted),
                "picklistValues": [{"value": value, "active": True} for value in field.restricted],
            }
            for name, field in fields.items()
        ],
    }
