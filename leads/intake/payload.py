"""Bytes or a table row → fields, whatever their case and shape. What the values mean is for `normalize` to say.

The shapes are those of Microsoft's documents and of real payloads: camelCase over HTTPS, PascalCase in the table with
`CustomerInfo` as a text that holds JSON, and translated keys in the localized documents.
"""

from __future__ import annotations

import base64
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from leads.intake.jsontext import Kept, NotALead, Pairs, TooDeep, canonical, parse, plain, read_object

__all__ = ["Fields", "NotALead", "canonical", "read", "read_row", "read_row_bytes", "row_bytes"]

KEY_LIMIT = 64
_ALIASES = {
    "first_name": "firstname givenname nome prénom vorname nombre voornaam имя",
    "last_name": "lastname surname familyname cognome nom nachname apellido apellidos sobrenome achternaam фамилия",
    "email": "email emailaddress mail correo correoelectrónico courriel epost e-mailadresse",
    "phone": "phone phonenumber telephone telefono téléphone telefon telefone telefoon",
    "country": "country countryregion countrycode paese pays land país",
    "company": "company companyname organization organisation società société firma unternehmen empresa bedrijf",
    "title": "title jobtitle titolo titre titel título cargo",
    "lead_source": "leadsource source",
    "action_code": "actioncode action leadaction",
    "offer_id": "productid offerid",
    "offer_title": "offertitle offerdisplayname offername",
    "publisher": "publisherdisplayname publishername publisher",
    "description": "description message comment comments note notes",
    "created_time": "createdtime created createdat createdon createddate",
    "timestamp": "timestamp",
}
_CONTACT = frozenset({"first_name", "last_name", "email", "phone", "country", "company", "title"})
_CONTAINERS = frozenset({"userdetails", "customerinfo"})
_SYSTEM_COLUMNS = frozenset({"partitionkey", "rowkey", "etag"})
_TYPE = "@odata.type"


@dataclass(frozen=True, slots=True)
class Fields:
    """What came, by the design's names: texts exactly as they came, None where nothing but emptiness did."""

    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    country: str | None = None
    company: str | None = None
    title: str | None = None
    lead_source: str | None = None
    action_code: str | None = None
    offer_id: str | None = None
    offer_title: str | None = None
    publisher: str | None = None
    description: str | None = None
    created_time: str | None = None
    timestamp: str | None = None
    """When Azure wrote the row, in ISO 8601 with seven digits of a second."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Unknown keys, and whatever else had no place, as JSON values."""
    issues: tuple[str, ...] = ()
    """`<field>: <what>`, without any value and without any unknown key."""
    contact_unread: bool = False
    """True when something stands where the contact should be, but could not be read as a whole."""


def read(body: bytes) -> Fields:
    """Read the body of a POST: a JSON object in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    An object nested more than 100 levels deep gives Fields with an issue and nothing else. Raises NotALead for
    anything else.
    """
    try:
        return _fields(read_object(body))
    except TooDeep:
        return Fields(issues=("body: nested too deep to be read; see raw",), contact_unread=True)


def read_row(row: Mapping[str, object]) -> Fields:
    """Read an entity of the watched table. Gives exactly what `read_row_bytes` gives for the row's raw."""
    return read_row_bytes(row_bytes(row))


def row_bytes(row: Mapping[str, object]) -> bytes:
    """The raw of a table row: JSON with sorted keys in which no value loses its type or a digit.

    As in the service's own answers (OData), a column of a type that JSON lacks is a text with its type beside it:
    `"Count": "9007199254740993", "Count@odata.type": "Edm.Int64"`. A time keeps the seventh digit where the SDK kept
    it.
    """
    flat: dict[str, Any] = {}
    for key, value in row.items():
        flat[str(key)], kind = _encode(value)
        if kind:
            flat[f"{key}{_TYPE}"] = kind
    return json.dumps(flat, sort_keys=True, allow_nan=False).encode()


def read_row_bytes(data: bytes) -> Fields:
    """Read the raw of a table row back. Raises NotALead only for bytes that `row_bytes` did not write."""
    pairs = read_object(data)
    columns = {key for key, _ in pairs}
    kinds = {key.removesuffix(_TYPE): kind for key, kind in pairs if key.endswith(_TYPE)}
    return _fields(
        (key, int(value) if kinds.get(key) == "Edm.Int64" and _is_integer(value) else value)
        for key, value in pairs
        if not (key.endswith(_TYPE) and key.removesuffix(_TYPE) in columns)
        and not (key.casefold() in _SYSTEM_COLUMNS or key.startswith("odata."))
    )


def _fold(key: str) -> str:
    """The key without case, accents, spaces and punctuation; empty where it is longer than any key that is known."""
    if len(key) > KEY_LIMIT:
        return ""
    return "".join(c for c in unicodedata.normalize("NFKD", key.casefold()) if c.isalnum())


_KEYS = {_fold(alias): name for name, aliases in _ALIASES.items() for alias in aliases.split()}


def _fields(pairs: Iterable[tuple[str, Any]]) -> Fields:
    texts: dict[str, str] = {}
    extra = Kept()
    issues: list[str] = []
    outer: list[tuple[str, Any]] = []
    inner: list[tuple[str, Any]] = []
    unread = False
    for key, value in pairs:
        if _fold(key) not in _CONTAINERS:
            outer.append((key, value))
            continue
        contents, whole = _customer(value)
        inner += contents
        if not whole:
            unread = True
            extra.keep(key, value)
            issues.append("contact: is not a JSON object; what could be recognized in it was taken")
    for name, key, value in _ranked(inner, outer):
        text = _text(name, value)
        if not name:
            extra.keep(key, value)
        elif text is None:
            unread = unread or name in _CONTACT
            extra.keep(key, value)
            issues.append(f"{name}: is neither a text nor a number; kept as an extra field")
        elif text.strip() and texts.setdefault(name, text).strip() != text.strip():
            extra.keep(key, value)
            issues.append(f"{name}: came more than once; the first counts, the other is kept as an extra field")
    return Fields(**texts, extra=extra.values, issues=tuple(dict.fromkeys(issues)), contact_unread=unread)


def _ranked(inner: list[tuple[str, Any]], outer: list[tuple[str, Any]]) -> list[tuple[str, str, Any]]:
    """Name, key and value of everything, each side first where it knows better.

    `title` is the customer's inside of `userDetails` and may be the offer's outside. An unknown key has no name.
    """
    within = [(_KEYS.get(_fold(key), ""), key, value) for key, value in inner]
    around = [(_KEYS.get(_fold(key), ""), key, value) for key, value in outer]
    contact = [item for item in within if item[0] in _CONTACT]
    return contact + around + [item for item in within if item[0] not in _CONTACT]


def _customer(value: Any) -> tuple[Iterable[tuple[str, Any]], bool]:
    """The pairs inside `CustomerInfo` or `userDetails`, and whether all of it could be read."""
    for _ in range(4):  # JSON in a text in a text has been seen where systems are chained
        if isinstance(value, Pairs):
            return value, True
        if value is None or (isinstance(value, str) and not value.strip()):
            return (), True
        if not isinstance(value, str):
            return (), False
        try:
            value = parse(value.strip().lstrip("\ufeff"), strict=False)
        except (ValueError, RecursionError):
            return _recognized(value), False
    return (), False


def _recognized(broken: str) -> list[tuple[str, Any]]:
    """The known fields of a text that was meant to be JSON: cut off, or with a comma missing."""
    found = re.findall(r'"(\w{1,40})"\s*+:\s*+"((?:[^"\\]|\\.)*+)"', broken, re.DOTALL)
    pairs = []
    for key, literal in found:
        if _KEYS.get(_fold(key)) in _CONTACT:
            try:
                pairs.append((key, json.loads(f'"{literal}"', strict=False)))
            except ValueError:
                pairs.append((key, literal))
    return pairs


def _text(name: str, value: Any) -> str | None:
    """A known field's value as text, empty for null; None where it cannot be one."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Pairs) and name == "description":
        return json.dumps(plain(value), ensure_ascii=False)
    return None


def _is_integer(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value, re.ASCII) is not None


def _encode(value: object) -> tuple[Any, str]:
    """A column's value for JSON, and its OData type where JSON alone would lose it."""
    if hasattr(value, "edm_type") and hasattr(value, "value"):  # EntityProperty of azure-data-tables
        encoded, kind = _encode(value.value)
        declared = str(getattr(value.edm_type, "value", value.edm_type))
        if kind or declared not in {"Edm.Int64", "Edm.Guid", "Edm.DateTime", "Edm.Binary"}:
            return encoded, kind
        return str(encoded), declared
    if value is None or isinstance(value, bool | str):
        return value, ""
    if isinstance(value, int):
        if abs(value) < 2**31:
            return int(value), ""
        return (str(int(value)), "Edm.Int64") if abs(value) < 2**63 else (hex(value), "")
    if isinstance(value, float):
        return (value, "") if math.isfinite(value) else (str(value), "Edm.Double")
    if isinstance(value, datetime):
        return str(getattr(value, "tables_service_value", "") or value.isoformat()), "Edm.DateTime"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii"), "Edm.Binary"
    return str(value), "Edm.Guid" if isinstance(value, UUID) else ""
