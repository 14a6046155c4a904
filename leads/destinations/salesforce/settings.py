"""Settings of the Salesforce destination: `SALESFORCE_*`, checked as far as that goes without a network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from leads import crm
from leads.crm import Constant
from leads.reader import Reader, Setting

SETTINGS = (
    Setting("SALESFORCE_URL", "The org's My Domain, as `https://contoso.my.salesforce.com`", own=True),
    Setting("SALESFORCE_CLIENT_ID", "The consumer key of the External Client App"),
    Setting("SALESFORCE_CLIENT_SECRET", "Its consumer secret, for the client credentials flow", secret=True, own=True),
    Setting(
        "SALESFORCE_PRIVATE_KEY",
        "Instead of the secret: the private key in PEM for the JWT bearer flow; `\\n` may stand for line breaks",
        secret=True,
        own=True,
    ),
    Setting("SALESFORCE_USERNAME", "With a private key: the user name of the app's user"),
    Setting("SALESFORCE_API_VERSION", "The version of the REST API", "66.0"),
    Setting("SALESFORCE_LEAD_KEY", "The unique text field of Lead that holds the app's key", "MarketplaceLeadKey__c"),
    Setting("SALESFORCE_STEP_KEY", "The unique text field of Activity that holds the lead id", "MarketplaceStepKey__c"),
    Setting("SALESFORCE_FIELDS", "Further fields as a JSON object: a path into the lead, a constant, or `null`"),
    Setting("SALESFORCE_MODE", "`web`: Web-to-Lead instead of the REST API, without proof of delivery", "rest"),
    Setting("SALESFORCE_OID", "The organization id, for Web-to-Lead"),
)
"""Every setting of this destination."""
FIXED = frozenset(
    {
        *("id", "name", "rating", "isconverted", "isdeleted", "masterrecordid", "convertedcontactid"),
        *("oid", "encoding", "debug", "debugemail"),
    }
)
"""Fields, in lower case, that are not for SALESFORCE_FIELDS: read-only, decided by the stage, or of the form itself."""

_LOCAL = ("localhost", "127.0.0.1", "::1")
_SHARED = ("login.salesforce.com", "test.salesforce.com")
_SITE = re.compile(r"\.(lightning\.force|my\.salesforce-setup)\.com$")
_FIELD = re.compile(r"[A-Za-z0-9]\w{0,79}", re.ASCII)
_CUSTOM_FIELD = re.compile(r"[A-Za-z]\w{0,39}__c", re.ASCII)
_VERSION = re.compile(r"v?(\d{2,3})\.0")
_OID = re.compile(r"00D[A-Za-z0-9]{12}([A-Za-z0-9]{3})?")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the org is, how to sign in, and what to write."""

    url: str = ""
    """Scheme and host, without a path."""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    """PEM; empty where the client secret signs in."""
    username: str = field(default="", repr=False)
    api_version: str = "66.0"
    lead_key: str = "MarketplaceLeadKey__c"
    step_key: str = "MarketplaceStepKey__c"
    fields: Mapping[str, Constant] = field(default_factory=dict)
    """Further fields: a path into the lead, a constant, or None for "leave this field out"."""
    web: bool = False
    """Web-to-Lead instead of the REST API."""
    oid: str = ""

    @classmethod
    def read(cls, reader: Reader) -> Settings:
        """Read all `SALESFORCE_*` settings. A wrong one is noted as a problem and gets its default."""
        web = reader.choice("SALESFORCE_MODE", "rest", ("rest", "web")) == "web"
        lead_key = _key(reader, "SALESFORCE_LEAD_KEY", "MarketplaceLeadKey__c")
        made = cls(
            url=_origin(reader, web=web),
            client_id=reader.text("SALESFORCE_CLIENT_ID", required=not web),
            client_secret=reader.text("SALESFORCE_CLIENT_SECRET"),
            private_key=reader.text("SALESFORCE_PRIVATE_KEY").replace("\\n", "\n"),
            username=reader.text("SALESFORCE_USERNAME"),
            api_version=_version(reader),
            lead_key=lead_key,
            step_key=_key(reader, "SALESFORCE_STEP_KEY", "MarketplaceStepKey__c"),
            fields=crm.further_fields(
                reader,
                "SALESFORCE_FIELDS",
                _FIELD,
                FIXED | {lead_key.lower()},
                '{"Campaign__c": "campaign.utm_source", "LeadSource": "Web"}',
            ),
            web=web,
            oid=_oid(reader, web=web),
        )
        if not web:
            _one_way_to_sign_in(reader, made)
        return made


def _one_way_to_sign_in(reader: Reader, read: Settings) -> None:
    if read.client_secret and read.private_key:
        reader.problem(
            "SALESFORCE_CLIENT_SECRET",
            "Both SALESFORCE_CLIENT_SECRET and SALESFORCE_PRIVATE_KEY are set.",
            "Keep one and remove the other.",
        )
    elif not reader.is_set("SALESFORCE_CLIENT_SECRET") and not reader.is_set("SALESFORCE_PRIVATE_KEY"):
        reader.problem(
            "SALESFORCE_CLIENT_SECRET",
            "Neither SALESFORCE_CLIENT_SECRET nor SALESFORCE_PRIVATE_KEY is set.",
            "Set the consumer secret, or a private key and SALESFORCE_USERNAME.",
        )
    if read.private_key and "PRIVATE KEY-----" not in read.private_key:
        reader.problem(
            "SALESFORCE_PRIVATE_KEY",
            "It must be a private key in PEM.",
            "Paste the whole text, from -----BEGIN PRIVATE KEY----- to the END line.",
        )
    if read.private_key and not read.username:
        reader.problem(
            "SALESFORCE_USERNAME",
            "It is not set, and a private key signs in as a user.",
            "Set it to the user name of the app's user.",
        )


def _origin(reader: Reader, *, web: bool) -> str:
    """Scheme and host: people paste the address of a page, which is on another host of the org than its API."""
    url = reader.url("SALESFORCE_URL", required=True, schemes=("https", "http"))
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if url.startswith("http://") and host not in _LOCAL:
        reader.problem("SALESFORCE_URL", "It is not encrypted.", "Start it with https://.")
    elif parts.username or parts.password:
        reader.problem("SALESFORCE_URL", "It contains a user name or a password.", "Keep only the scheme and the host.")
    elif host in _SHARED and not web:
        reader.problem(
            "SALESFORCE_URL",
            f"{host} is the same for every org; an app signs in at its org's own My Domain.",
            "Set it to the address under Setup > My Domain, as https://contoso.my.salesforce.com.",
        )
    elif url:
        return f"{parts.scheme}://{_SITE.sub('.my.salesforce.com', parts.netloc.lower())}"
    return ""


def _version(reader: Reader) -> str:
    found = _VERSION.fullmatch(reader.text("SALESFORCE_API_VERSION", "66.0"))
    if found:
        return f"{found[1]}.0"
    reader.problem("SALESFORCE_API_VERSION", "It must be a version of the API.", "Write it as 66.0, or leave it empty.")
    return "66.0"


def _key(reader: Reader, name: str, default: str) -> str:
    value = reader.text(name, default)
    if _CUSTOM_FIELD.fullmatch(value):
        return value
    reader.problem(
        name, "It must be the API name of a custom field.", f"Write it with its __c, or leave it empty for {default}."
    )
    return default


def _oid(reader: Reader, *, web: bool) -> str:
    value = reader.text("SALESFORCE_OID", required=web)
    if value and not _OID.fullmatch(value):
        reader.problem(
            "SALESFORCE_OID",
            "It must be an organization id: 15 or 18 letters and digits that begin with 00D.",
            "Copy it from Setup > Company Information.",
        )
        return ""
    return value
