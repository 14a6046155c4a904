"""Fields → Lead. Never raises and never drops: what cannot be understood stays as it came and is noted in `issues`."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from leads.intake import contact, countries, times
from leads.intake.contact import email_key
from leads.intake.payload import Fields
from leads.lead import Contact, Lead, Stage, Via

__all__ = ["ACTIONS", "SOURCES", "email_key", "normalize"]

FIELD_LIMIT = 8_000
"""Characters of a field. Azure Table takes 32,768 UTF-16 units, and a character has at most two of them."""
EXTRA_LIMIT = 16_000
"""Characters of `extra` as JSON text."""
ISSUE_LIMIT = 50
MARK_LIMIT = 30
CONFIRMED = timedelta(days=2)
"""A date that is this near to when the lead came, read as Microsoft writes it, leaves no doubt."""
FIRST_YEAR = 2010
"""The marketplace is younger than this; an earlier time is an empty one or a mistake."""

_TEST = re.compile(r"MSFT_TEST_\d{18}", re.ASCII)
_BAD = re.compile("[\ud800-\udfff\ufffe\uffff]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_ENDS_OF_LINES = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_OFFER_ID = re.compile(r"[^\s|]+")
_CAMPAIGNS = re.compile(r"campaigns:(.*)", re.IGNORECASE)

SOURCES = {
    "azuremarketplace": "AzureMarketplace",
    "azureportal": "AzurePortal",
    "spza": "SPZA",
    "appsource": "SPZA",
    "appsource (spza)": "SPZA",
    "testdrive": "TestDrive",
}
ACTIONS = {code.lower(): code for code in ("INS", "PLT", "DNC", "Create", "StartTestDrive")}


def normalize(fields: Fields, *, via: Via, arrived_at: datetime, stages: Mapping[str, Stage]) -> Lead:
    """Make a lead of what came. `stages` maps action codes in upper case; `id` and `raw` are left for intake to give.

    Pure: the same fields give the same lead.
    """
    return _Reading(fields, stages).lead(via, arrived_at if arrived_at.tzinfo else arrived_at.replace(tzinfo=UTC))


class _Reading:
    """One lead being read: the fields, and the issues and extra fields that come up on the way."""

    def __init__(self, fields: Fields, stages: Mapping[str, Stage]) -> None:
        self.fields = fields
        self.stages = stages
        self.issues = dict.fromkeys(fields.issues)
        self.extra = dict(fields.extra)
        self.is_test = any(
            _TEST.match(value.strip())
            for name in ("first_name", "last_name", "company", "title", "description", "lead_source", "action_code")
            if (value := getattr(fields, name))
        )

    def lead(self, via: Via, arrived_at: datetime) -> Lead:
        person = self.person()
        source, action, offer, offer_title = self.origin()
        stage = self.stage(source, action)
        message, campaign = self.description()
        created_at = self.created_at(arrived_at)
        if publisher := self.line("publisher"):
            self.extra.setdefault("PublisherDisplayName", publisher)
        extra = self.fitting("extra", self.extra, EXTRA_LIMIT)
        return Lead(
            via=via,
            arrived_at=arrived_at.astimezone(UTC),
            created_at=created_at,
            source=source,
            action=action,
            offer=offer,
            offer_title=offer_title,
            stage=stage,
            contact=person,
            message=message,
            campaign=campaign,
            is_test=self.is_test,
            do_not_contact=action == "DNC" or stage is Stage.DO_NOT_CONTACT,
            contact_withheld=not (person.name or person.email or person.phone or self.fields.contact_unread),
            extra=extra,
            issues=tuple(self.issues)[:ISSUE_LIMIT],
        )

    def note(self, name: str, what: str) -> None:
        self.issues.setdefault(f"{name}: {what}")

    def safe(self, name: str, text: str) -> str:
        """The text without what no store and no destination takes, in NFC, with its lines kept."""
        whole = _BAD.sub("\ufffd", text)
        if whole != text:
            self.note(name, "held characters that no store takes; U+FFFD stands in their place")
        return _composed(_CONTROLS.sub("", _ENDS_OF_LINES.sub("\n", whole)))

    def cut(self, name: str, text: str) -> str:
        if len(text) <= FIELD_LIMIT:
            return text
        self.note(name, f"cut to {FIELD_LIMIT} characters")
        return text[:FIELD_LIMIT]

    def line(self, name: str) -> str:
        """A field as one line with single spaces."""
        return self.cut(name, " ".join(self.safe(name, getattr(self.fields, name) or "").split()))

    def understood(self, name: str, text: str, read: Callable[[str], str | None], what: str) -> str:
        """What `read` makes of a text, else the text as it came."""
        if not text:
            return ""
        found = read(text)
        if found is None and not self.is_test:
            self.note(name, f"{what}; kept as it came")
        return text if found is None else found

    def person(self) -> Contact:
        country = self.understood("country", self.line("country"), countries.alpha2, "is not a known country")
        region = country if len(country) == 2 else ""
        return Contact(
            first_name=self.line("first_name"),
            last_name=self.line("last_name"),
            email=self.understood("email", self.line("email"), contact.email, "is not a valid address"),
            phone=self.understood(
                "phone", self.line("phone"), lambda text: contact.phone(text, region), "is not a valid number"
            ),
            country=country,
            company=self.line("company"),
            title=self.line("title"),
        )

    def origin(self) -> tuple[str, str, str, str]:
        """Source, action, offer and offer title out of `LeadSource` and the fields of their own."""
        combined, action, offer = self.line("lead_source"), self.line("action_code"), self.line("offer_id")
        title = self.line("offer_title")
        left, bar, right = (part.strip() for part in combined.partition("|"))
        source, _, code = (part.strip() for part in left.partition("-"))
        if not bar and source.lower() not in SOURCES and not _TEST.match(source):
            source, code = left, ""  # free text with a dash in it is not a pair of codes
        action = self.one_of("action", action, code)
        if _OFFER_ID.fullmatch(right):
            # the form of ProductId is not documented: where it is the second half only, the whole is better
            offer = right if right.lower().endswith(f".{offer.lower()}") else self.one_of("offer", offer, right)
        else:
            title = self.one_of("offer_title", title, right)
        source = SOURCES.get(source.lower(), source)
        if source and source not in SOURCES.values() and not self.is_test:
            self.note("source", "is not known; kept as it came")
        return source, ACTIONS.get(action.lower(), action), offer, title

    def one_of(self, name: str, own: str, combined: str) -> str:
        """The field of its own, else the part of `LeadSource`, which is kept whole where the two differ."""
        if own and combined and own.lower() != combined.lower():
            self.note(name, "is another in LeadSource, which is kept as an extra field")
            self.extra.setdefault("LeadSource", self.fields.lead_source)
        return own or combined

    def stage(self, source: str, action: str) -> Stage:
        known = self.stages.get(action.upper())
        if known is None and action and not self.is_test:
            self.note("action", "is a code that is not known; LEADS_STAGES can give it a stage")
        if source == "TestDrive" and action != "DNC":
            return Stage.TRIAL
        return known or Stage.UNKNOWN

    def description(self) -> tuple[str, dict[str, str]]:
        """The customer's own words and the campaign, out of the shapes that `Description` has."""
        text = self.safe("description", self.fields.description or "").strip()
        if _TEST.fullmatch(text):
            return "", {}
        first, _, rest = text.partition("\n")
        campaigns = _CAMPAIGNS.fullmatch(first)
        if campaigns:
            value = campaigns[1].strip()
            parameters = _parameters(value)
            if parameters is None:
                parameters = {"campaigns": value} if value else {}
            text = rest.strip()
        else:
            parameters = _parameters(text)
            if parameters is None:
                parameters = {}
            else:
                text = ""
        return self.cut("message", text), self.fitting("campaign", parameters, FIELD_LIMIT)

    def created_at(self, arrived_at: datetime) -> datetime:
        """`CreatedTime`, else the row's `Timestamp`, else arrival."""
        arrived_at = arrived_at.astimezone(UTC)

        def plausible(moment: datetime | None) -> datetime | None:
            return moment if moment and FIRST_YEAR <= moment.year <= arrived_at.year + 1 else None

        written = self.line("timestamp")
        written_at = plausible(times.moment(written))
        created = self.line("created_time")
        if created:
            created_at = plausible(self.moment("created_time", created, written_at or arrived_at))
            if created_at:
                return created_at
            self.note("created_time", "is not a plausible time; the app uses the next best")
        if written and written_at is None:
            self.note("timestamp", "is not a plausible time; the app uses the next best")
        return written_at or arrived_at

    def moment(self, name: str, text: str, near: datetime) -> datetime | None:
        """The time that a text means; of a date that can be read in two ways the one that is nearer to `near`."""
        if len(times.orders(text)) < 2:
            return times.moment(text)
        usual, other = (times.moment(text, order) for order in (times.Order.MONTH_FIRST, times.Order.DAY_FIRST))
        if usual is None or other is None:
            return usual or other
        found = min(usual, other, key=lambda moment: abs(moment - near))
        if found is other or abs(found - near) > CONFIRMED:
            order = "day" if found is other else "month"
            self.note(name, f"could be read day first or month first; {order} first is nearer to when the lead came")
        return found

    def fitting(self, name: str, values: Mapping[str, Any], limit: int) -> dict[str, Any]:
        """The values made safe, as many of them as fit into `limit` characters of JSON text."""
        kept: dict[str, Any] = {}
        size = 2
        for key, value in values.items():
            safe_key, safe_value = self.safe_json(name, key), self.safe_json(name, value)
            added = len(json.dumps({safe_key: safe_value}, ensure_ascii=False))
            if safe_key in kept or size + added > limit:
                self.note(name, "not all of it fits; the rest is in raw only")
                continue
            size += added
            kept[safe_key] = safe_value
        return kept

    def safe_json(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            return self.cut(name, self.safe(name, value))
        if isinstance(value, Mapping):
            whole = {self.safe_json(name, str(key)): self.safe_json(name, child) for key, child in value.items()}
            if len(whole) < len(value):
                self.note(name, "not all of it fits; the rest is in raw only")
            return whole
        if isinstance(value, list | tuple):
            return [self.safe_json(name, child) for child in value]
        return value


def _composed(text: str) -> str:
    """The text in NFC, unless it stacks more marks on a letter than any language does.

    Python sorts such a stack in quadratic time (a body of 240 KB took 7 seconds); 30 is the limit of the Stream-Safe
    Text Format of Unicode (UAX #15).
    """
    if text.isascii():
        return text
    stacks = groupby(text, lambda character: unicodedata.combining(character) > 0)
    if any(marks and sum(1 for _ in stack) > MARK_LIMIT for marks, stack in stacks):
        return text
    return unicodedata.normalize("NFC", text)


def _parameters(text: str) -> dict[str, str] | None:
    """The listing URL's parameters that Microsoft writes as a JSON object, or None where the text is none."""
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text, strict=False)
        return {key: child if isinstance(child, str) else json.dumps(child) for key, child in value.items()}
    except (ValueError, RecursionError):
        return None
