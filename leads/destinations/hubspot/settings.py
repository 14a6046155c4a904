"""Settings of the HubSpot destination: `HUBSPOT_*`, checked as far as that goes without a network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from leads import crm
from leads.crm import Constant
from leads.reader import Reader, Setting

URL = "https://api.hubapi.com"
VERSION = "2026-03"
STAGE = "lead"

SETTINGS = (
    Setting("HUBSPOT_TOKEN", "The service key, or the access token of a private app", secret=True, own=True),
    Setting("HUBSPOT_API_VERSION", "The version of HubSpot's API, as year and month", VERSION),
    Setting("HUBSPOT_KEY", "The internal name of a contact property of your own with unique values, for the lead id"),
    Setting("HUBSPOT_LIFECYCLE_STAGE", "The lifecycle stage of new contacts by its internal name, or `none`", STAGE),
    Setting("HUBSPOT_DO_NOT_CONTACT", "The internal name of a yes-or-no property that a *do not contact* lead sets"),
    Setting("HUBSPOT_OPT_OUT", "`true`: a new contact of such a lead is unsubscribed from all e-mail too", "false"),
    Setting("HUBSPOT_FIELDS", "Further properties as a JSON object: a path into the lead, a constant, or `null`"),
    Setting("HUBSPOT_ACCOUNT", "The account's number (Hub ID), for links to contacts", own=True),
    Setting("HUBSPOT_URL", "The address of HubSpot's API", URL),
)
"""Every setting of this destination."""

PROPERTY = re.compile(r"[a-z][a-z0-9_]{0,99}")
"""What HubSpot's internal names look like."""
FIXED = frozenset({"email", "lifecyclestage", "hs_object_id", "createdate", "lastmodifieddate"})
"""Properties that HUBSPOT_FIELDS must not set: keys, read-only, or a setting of their own."""
LOCAL = ("localhost", "127.0.0.1", "::1")

_VERSION = re.compile(r"20\d\d-(0[1-9]|1[0-2])")
_TOKEN = re.compile(r"[\x21-\x7e]{10,500}")


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach the account, and what to write."""

    token: str = field(default="", repr=False)
    version: str = VERSION
    key: str = ""
    """The property with unique values that holds the id of the lead that made the contact."""
    stage: str = STAGE
    """The lifecycle stage of new contacts; empty leaves it to HubSpot."""
    do_not_contact: str = ""
    opt_out: bool = False
    fields: Mapping[str, Constant] = field(default_factory=dict)
    """Further properties: a path into the lead, a constant, or None for "leave this one out"."""
    account: str = ""
    url: str = URL
    """Scheme and host, without a trailing slash."""

    @classmethod
    def read(cls, reader: Reader) -> Settings:
        """Read all `HUBSPOT_*` settings. A wrong one is noted as a problem and gets its default."""
        key = _property(reader, "HUBSPOT_KEY")
        opt_out = reader.choice("HUBSPOT_OPT_OUT", "false", ("false", "true")) == "true"
        if opt_out and not key:
            reader.problem(
                "HUBSPOT_OPT_OUT",
                "It needs HUBSPOT_KEY: when an answer is lost, only that key shows whether the app made the contact.",
                "Make a contact property with unique values and put its internal name into HUBSPOT_KEY, or set "
                "HUBSPOT_OPT_OUT to false.",
            )
        stage = reader.text("HUBSPOT_LIFECYCLE_STAGE", STAGE)
        own = frozenset(filter(None, (key, reader.text("HUBSPOT_DO_NOT_CONTACT").lower())))
        return cls(
            token=_token(reader),
            version=_version(reader),
            key=key,
            stage="" if stage.lower() == "none" else stage,
            do_not_contact=_property(reader, "HUBSPOT_DO_NOT_CONTACT"),
            opt_out=opt_out and bool(key),
            fields=crm.further_fields(
                reader, "HUBSPOT_FIELDS", PROPERTY, FIXED | own, '{"hs_analytics_source": "campaign.utm_source"}'
            ),
            account=_account(reader),
            url=_url(reader),
        )


def _token(reader: Reader) -> str:
    value = reader.text("HUBSPOT_TOKEN", required=True)
    if value and not _TOKEN.fullmatch(value):
        reader.problem(
            "HUBSPOT_TOKEN",
            "HubSpot's tokens are longer and have no spaces.",
            "Copy the service key again, whole.",
        )
        return ""
    return value


def _version(reader: Reader) -> str:
    value = reader.text("HUBSPOT_API_VERSION", VERSION)
    if _VERSION.fullmatch(value):
        return value
    reader.problem(
        "HUBSPOT_API_VERSION", "It must be a year and a month.", f"Use {VERSION}, which the app uses until then."
    )
    return VERSION


def _property(reader: Reader, name: str) -> str:
    value = reader.text(name).lower()
    if value and not PROPERTY.fullmatch(value):
        reader.problem(
            name,
            "This cannot be the internal name of a property.",
            "Copy the internal name from the property's settings in HubSpot, next to the sign </>.",
        )
        return ""
    return value


def _account(reader: Reader) -> str:
    value = reader.text("HUBSPOT_ACCOUNT")
    if value and not (value.isascii() and value.isdecimal() and len(value) <= 15):
        reader.problem(
            "HUBSPOT_ACCOUNT",
            "It must be a number.",
            "Copy the Hub ID from the menu of your account; until then the app does not link contacts.",
        )
        return ""
    return value


def _url(reader: Reader) -> str:
    url = reader.url("HUBSPOT_URL", schemes=("https", "http"))
    if url.startswith("http://") and urlsplit(url).hostname not in LOCAL:
        reader.problem("HUBSPOT_URL", "It is not encrypted.", "Start it with https://.")
        return URL
    return url or URL
