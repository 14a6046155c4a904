"""Settings of the Marketo destination: `MARKETO_*`, checked as far as that goes without a network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from leads import crm
from leads.crm import Constant
from leads.reader import Reader, Setting

SETTINGS = (
    Setting("MARKETO_MUNCHKIN_ID", "The account, as `123-ABC-456`", own=True),
    Setting("MARKETO_CLIENT_ID", "The client id of the LaunchPoint service", own=True),
    Setting("MARKETO_CLIENT_SECRET", "The client secret of the LaunchPoint service", secret=True, own=True),
    Setting("MARKETO_MODE", "`rest`: a person, and an activity for each step; `form`: the app submits a form", "rest"),
    Setting("MARKETO_FORM_ID", "The number of the form, for `MARKETO_MODE=form`", own=True),
    Setting("MARKETO_PARTITION", "The name of the partition for new people. Empty: Marketo's default", own=True),
    Setting("MARKETO_ACTIVITY_TYPE_ID", "The number of the custom activity for steps. Empty: steps are lost", own=True),
    Setting("MARKETO_FIELDS", "Further fields as a JSON object: a path into the lead, a constant, or `null`"),
    Setting("MARKETO_APP_URL", "The address in the browser, as `https://app-ab12.marketo.com`, for links", own=True),
    Setting(
        "MARKETO_URL", "The API's address if it is not the account's own, with identity and REST below it", own=True
    ),
)
"""Every setting of this destination."""

FIXED = frozenset({"id", "email", "unsubscribed", "donotcall", "createdat", "updatedat"})
"""Fields, in lower case, that MARKETO_FIELDS must not set: keys, read-only, or flags that the action decides."""
LOCAL = ("localhost", "127.0.0.1", "::1")

_MUNCHKIN = re.compile(r"[0-9]{3}-[A-Z]{3}-[0-9]{3}")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
_CREDENTIAL = re.compile(r"[\x21-\x7e]{4,200}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the account is, how to sign in, and what to write."""

    url: str = ""
    """Scheme and host of the API, without a trailing slash."""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    mode: str = "rest"
    form_id: int = 0
    partition: str = ""
    activity_type: int = 0
    """The custom activity that a step becomes; 0 for none."""
    fields: Mapping[str, Constant] = field(default_factory=dict)
    """Further fields: a path into the lead, a constant, or None for "leave this one out"."""
    app_url: str = ""

    @classmethod
    def read(cls, reader: Reader) -> Settings:
        """Read all `MARKETO_*` settings. A wrong one is noted as a problem and gets its default."""
        mode = reader.choice("MARKETO_MODE", "rest", ("rest", "form"))
        form = _number(reader, "MARKETO_FORM_ID")
        if mode == "form" and not reader.is_set("MARKETO_FORM_ID"):
            reader.problem(
                "MARKETO_FORM_ID",
                "It is not set, and MARKETO_MODE is form.",
                "Set it to the number after the form's name in Marketo's address bar, or set MARKETO_MODE to rest.",
            )
        return cls(
            url=_address(reader),
            client_id=_credential(reader, "MARKETO_CLIENT_ID"),
            client_secret=_credential(reader, "MARKETO_CLIENT_SECRET"),
            mode=mode,
            form_id=form,
            partition=reader.text("MARKETO_PARTITION"),
            activity_type=_number(reader, "MARKETO_ACTIVITY_TYPE_ID"),
            fields=crm.further_fields(reader, "MARKETO_FIELDS", _FIELD, FIXED, '{"utmSource": "campaign.utm_source"}'),
            app_url=_web(reader, "MARKETO_APP_URL"),
        )


def _address(reader: Reader) -> str:
    """The address of the API: MARKETO_URL, else that of the account."""
    url = _web(reader, "MARKETO_URL")
    account = reader.text("MARKETO_MUNCHKIN_ID", required=not reader.is_set("MARKETO_URL")).upper()
    if account and not _MUNCHKIN.fullmatch(account):
        reader.problem(
            "MARKETO_MUNCHKIN_ID",
            "It has to look like 123-ABC-456.",
            "Copy it from Admin > Integration > Munchkin in Marketo.",
        )
        return ""
    return url or (f"https://{account.lower()}.mktorest.com" if account else "")


def _web(reader: Reader, name: str) -> str:
    """Scheme and host of a URL: people paste the address of a page, or the endpoint with `/rest` behind it."""
    parts = urlsplit(reader.url(name, schemes=("https", "http")))
    if parts.scheme == "http" and parts.hostname not in LOCAL:
        reader.problem(name, "It is not encrypted.", "Start it with https://.")
        return ""
    if parts.username or parts.password:
        reader.problem(name, "It contains a user name or a password.", "Keep only the scheme and the host.")
        return ""
    return f"{parts.scheme}://{parts.netloc.lower()}" if parts.netloc else ""


def _credential(reader: Reader, name: str) -> str:
    value = reader.text(name, required=True)
    if value and not _CREDENTIAL.fullmatch(value):
        reader.problem(
            name,
            "It contains a space or another character that Marketo's credentials never have.",
            "Copy it again from LaunchPoint.",
        )
        return ""
    return value


def _number(reader: Reader, name: str) -> int:
    value = reader.text(name)
    if not value:
        return 0
    if value.isascii() and value.isdecimal() and 0 < int(value) < 2**31:
        return int(value)
    reader.problem(name, "It must be a whole number above 0.", "Copy the number from Marketo.")
    return 0
