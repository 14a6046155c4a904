"""Settings of the Dynamics destination: `DYNAMICS_*`, checked as far as that goes without a network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import UUID

from leads import crm, oauth
from leads.crm import Constant
from leads.oauth import Credentials
from leads.reader import Reader, Setting

SETTINGS = (
    Setting("DYNAMICS_URL", "The environment, as `https://contoso.crm4.dynamics.com`", own=True),
    *oauth.settings("DYNAMICS"),
    Setting("DYNAMICS_LEAD_SOURCE_CODE", "The option value of *Lead Source* (8 is Web)", "8"),
    Setting("DYNAMICS_OWNER", "Who owns new records: `systemuser:<guid>` or `team:<guid>`. Empty: the app's own user"),
    Setting("DYNAMICS_FOLLOW_UP", "`task`: a task on the record, due in 24 hours", "none"),
    Setting("DYNAMICS_MATCH", "`email`: use an open record that another system made for the same address", "none"),
    Setting("DYNAMICS_FIELDS", "Further columns as a JSON object: a path into the lead, a constant, or `null`"),
    Setting("DYNAMICS_USERNAME", "Refused: signing in as a user is not supported", own=True),
    Setting("DYNAMICS_PASSWORD", "Refused, like the user name", secret=True, own=True),
)
"""Every setting of this destination."""
LOCAL = ("localhost", "127.0.0.1", "::1")
FIXED = frozenset({"leadid", "fullname", "statecode", "statuscode", "leadqualitycode", "ownerid"})
"""Columns that DYNAMICS_FIELDS must not set: read-only, decided by the stage, or a setting of their own."""

_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}(@odata\.bind)?")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the organization is, how to sign in, and what to write."""

    url: str = ""
    """Scheme and host of the environment, without a path."""
    credentials: Credentials = field(default_factory=lambda: Credentials(prefix="DYNAMICS"))
    lead_source_code: int = 8
    owner: str = ""
    """`/systemusers(<guid>)` or `/teams(<guid>)`, as a bind wants it; empty leaves the owner to Dynamics."""
    follow_up: str = "none"
    match: str = "none"
    fields: Mapping[str, Constant] = field(default_factory=dict)
    """Further columns: a path into the lead, a constant, or None for "leave this column out"."""

    @classmethod
    def read(cls, reader: Reader) -> Settings:
        """Read all `DYNAMICS_*` settings. A wrong one is noted as a problem and gets its default."""
        for name in ("DYNAMICS_USERNAME", "DYNAMICS_PASSWORD"):
            if reader.is_set(name):
                reader.problem(
                    name,
                    "Signing in with a user name and a password is not supported: it stops working with multi-factor "
                    "authentication, when the password changes and when the person leaves.",
                    "Remove it and use an app registration (DYNAMICS_CLIENT_ID with DYNAMICS_CLIENT_SECRET or "
                    "DYNAMICS_CERTIFICATE) or the managed identity; see docs/destinations/dynamics.md.",
                )
        return cls(
            url=_origin(reader),
            credentials=oauth.read(reader, "DYNAMICS"),
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
        reader.problem("DYNAMICS_URL", "It contains a user name or a password.", "Keep only the scheme and the host.")
        return ""
    return f"{parts.scheme}://{parts.netloc.lower()}" if parts.netloc else ""


def _owner(reader: Reader) -> str:
    value = reader.text("DYNAMICS_OWNER").lower()
    kind, _, guid = value.partition(":")
    if not value:
        return ""
    if kind not in ("systemuser", "team") or not oauth.GUID.fullmatch(guid.strip()):
        reader.problem(
            "DYNAMICS_OWNER",
            "It must look like systemuser:<guid> or team:<guid>.",
            "Correct it, or leave it empty; until then new records belong to the app's own user.",
        )
        return ""
    return f"/{kind}s({UUID(guid.strip())})"


def _fields(reader: Reader) -> Mapping[str, Constant]:
    found = crm.further_fields(reader, "DYNAMICS_FIELDS", _COLUMN, FIXED, '{"new_campaign": "campaign.utm_source"}')
    return {column if "@" in column else column.lower(): value for column, value in found.items()}
