"""Settings of the Dynamics destination: `DYNAMICS_*`, checked as far as that goes without a network."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit
from uuid import UUID

from leads.destinations.dynamics.mapping import Constant, is_path
from leads.reader import Reader

AUTHORITY = "https://login.microsoftonline.com"
LOCAL = ("localhost", "127.0.0.1", "::1")
FIXED = frozenset({"leadid", "fullname", "statecode", "statuscode", "leadqualitycode", "ownerid"})
"""Columns that DYNAMICS_FIELDS must not set: read-only, decided by the stage, or a setting of their own."""

_DOMAIN = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", re.IGNORECASE)
_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}(@odata\.bind)?")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the organization is, how to sign in, and what to write."""

    url: str = ""
    """Scheme and host of the environment, without a path."""
    tenant_id: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    """Private key and certificate, both in PEM."""
    authority: str = AUTHORITY
    managed_identity_client_id: str = ""
    federated: bool = False
    """True when a managed identity vouches for an app registration, also one in another tenant."""
    lead_source_code: int = 8
    owner: str = ""
    """`/systemusers(<guid>)` or `/teams(<guid>)`, as a bind wants it; empty leaves the owner to Dynamics."""
    follow_up: str = "none"
    match: str = "none"
    fields: Mapping[str, Constant] = field(default_factory=dict)
    """Further columns: a path into the lead, a constant, or None for "leave this column out"."""

    @classmethod
    def read(cls, reader: Reader) -> Settings:
        """Read all `DYNAMICS_*` settings; what is wrong is told to the reader and left at its default."""
        for name in ("DYNAMICS_USERNAME", "DYNAMICS_PASSWORD"):
            if reader.environ.get(name, "").strip():
                reader.problem(
                    name,
                    "Signing in with a user name and a password is not supported: it stops working with multi-factor "
                    "authentication, when the password changes and when the person leaves.",
                    "Remove it and use an app registration (DYNAMICS_CLIENT_ID with DYNAMICS_CLIENT_SECRET or "
                    "DYNAMICS_CERTIFICATE) or the managed identity; see docs/destinations/dynamics.md.",
                )
        secret = reader.text("DYNAMICS_CLIENT_SECRET")
        certificate = reader.text("DYNAMICS_CERTIFICATE").replace("\\n", "\n")
        federated = reader.choice("DYNAMICS_FEDERATED", "false", ("false", "true")) == "true"
        client_id = _guid(reader, "DYNAMICS_CLIENT_ID")
        identity = _guid(reader, "DYNAMICS_MANAGED_IDENTITY_CLIENT_ID")
        tenant = _tenant(reader)
        _credentials(reader, secret, certificate, federated=federated)
        return cls(
            url=_origin(reader),
            tenant_id=tenant,
            client_id=client_id,
            client_secret=secret,
            certificate=certificate,
            authority=_authority(reader),
            managed_identity_client_id=identity,
            federated=federated,
            lead_source_code=reader.integer("DYNAMICS_LEAD_SOURCE_CODE", 8, 1, 2_147_483_647),
            owner=_owner(reader),
            follow_up=reader.choice("DYNAMICS_FOLLOW_UP", "none", ("none", "task")),
            match=reader.choice("DYNAMICS_MATCH", "none", ("none", "email")),
            fields=_fields(reader),
        )


def _web(reader: Reader, name: str, *, required: bool = False) -> str:
    url = reader.url(name, required=required, schemes=("https", "http"))
    if url.startswith("http://") and urlsplit(url).hostname not in LOCAL:
        reader.problem(name, "It is not encrypted.", "Start it with https://.")
        return ""
    return url


def _origin(reader: Reader) -> str:
    """Scheme and host: people paste the address of a page or of the Web API."""
    parts = urlsplit(_web(reader, "DYNAMICS_URL", required=True))
    if parts.username or parts.password:
        reader.problem("DYNAMICS_URL", "It holds a user name or a password.", "Keep scheme and host only.")
        return ""
    return f"{parts.scheme}://{parts.netloc.lower()}" if parts.netloc else ""


def _authority(reader: Reader) -> str:
    return _web(reader, "DYNAMICS_AUTHORITY") or AUTHORITY


def _guid(reader: Reader, name: str) -> str:
    value = reader.text(name)
    if value and not _is_guid(value):
        reader.problem(name, "It is no GUID.", "Paste the id as the portal shows it, 36 characters with four hyphens.")
        return ""
    return value.lower()


def _is_guid(value: str) -> bool:
    return re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value) is not None


def _tenant(reader: Reader) -> str:
    value = reader.text("DYNAMICS_TENANT_ID")
    if value and not _is_guid(value) and not _DOMAIN.fullmatch(value):
        reader.problem(
            "DYNAMICS_TENANT_ID",
            "It is neither a GUID nor a domain: Entra would say that the requested tenant identifier is not valid.",
            "Paste the directory (tenant) id of the app registration.",
        )
        return ""
    return value


def _credentials(reader: Reader, secret: str, certificate: str, *, federated: bool) -> None:
    """Exactly one way to sign in, with everything that this way needs."""
    if sum((bool(secret), bool(certificate), federated)) > 1:
        reader.problem(
            "DYNAMICS_CLIENT_SECRET" if secret else "DYNAMICS_CERTIFICATE",
            "More than one of DYNAMICS_CLIENT_SECRET, DYNAMICS_CERTIFICATE and DYNAMICS_FEDERATED is set.",
            "Keep one and remove the others.",
        )
    if certificate and not ("PRIVATE KEY-----" in certificate and "BEGIN CERTIFICATE-----" in certificate):
        reader.problem(
            "DYNAMICS_CERTIFICATE",
            "It does not hold both a private key and a certificate in PEM.",
            "Paste both blocks, one after the other, with their BEGIN and END lines.",
        )
    proofs = ("DYNAMICS_CLIENT_SECRET", "DYNAMICS_CERTIFICATE")
    has = {
        name: bool(reader.environ.get(name, "").strip())
        for name in ("DYNAMICS_TENANT_ID", "DYNAMICS_CLIENT_ID", *proofs)
    }
    if secret or certificate or federated:
        for name in (name for name, given in has.items() if not given and name not in proofs):
            reader.problem(name, "It is not set.", "Paste it from the overview page of the app registration.")
    elif has["DYNAMICS_CLIENT_ID"] and not any(has[name] for name in proofs):
        reader.problem(
            "DYNAMICS_CLIENT_SECRET",
            "An app registration is named by DYNAMICS_CLIENT_ID, but nothing that proves to be it.",
            "Set DYNAMICS_CLIENT_SECRET, DYNAMICS_CERTIFICATE or DYNAMICS_FEDERATED; or remove DYNAMICS_CLIENT_ID to "
            "use the managed identity (a user-assigned one is named by DYNAMICS_MANAGED_IDENTITY_CLIENT_ID).",
        )


def _owner(reader: Reader) -> str:
    value = reader.text("DYNAMICS_OWNER").lower()
    kind, _, guid = value.partition(":")
    if not value:
        return ""
    if kind not in ("systemuser", "team") or not _is_guid(guid.strip()):
        reader.problem(
            "DYNAMICS_OWNER",
            "It is not of the form systemuser:<guid> or team:<guid>.",
            "Use one of them, or leave it empty; new records belong to the app's own user until then.",
        )
        return ""
    return f"/{kind}s({UUID(guid.strip())})"


def _fields(reader: Reader) -> Mapping[str, Constant]:
    text = reader.text("DYNAMICS_FIELDS")
    if not text:
        return MappingProxyType({})
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        reader.problem(
            "DYNAMICS_FIELDS",
            "It is no JSON object.",
            'Write it like {"new_campaign": "campaign.utm_source"}; no extra column is written until then.',
        )
        return MappingProxyType({})
    good: dict[str, Constant] = {}
    for column, value in parsed.items():
        cause = _wrong(column, value)
        if cause:
            reader.problem("DYNAMICS_FIELDS", cause, "This column is left out until it is mended.")
        else:
            good[column if "@" in column else column.lower()] = value
    return MappingProxyType(good)


def _wrong(column: str, value: object) -> str:
    if not _COLUMN.fullmatch(column):
        return f"{column!r} cannot be the name of a column."
    if column.removesuffix("@odata.bind").lower() in FIXED:
        return f"{column!r} is not for this setting: it is read-only, or the app or another setting decides it."
    if not isinstance(value, str | int | float | bool | None):
        return f"{column!r} has a value that is neither text, nor a number, nor true or false."
    if isinstance(value, float) and not math.isfinite(value):
        return f"{column!r} has a number that is none."
    if isinstance(value, str) and value.startswith(("lead.", "campaign.")) and not is_path(value):
        return f"{column!r} names a part of the lead that there is not."
    return ""
