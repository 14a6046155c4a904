"""The vocabulary: what a lead, a delivery and an attempt are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """What the customer's action means to a seller; `leads.settings` says which action means what."""

    INITIAL_INTEREST = "initial_interest"
    TRIAL = "trial"
    ACTIVE = "active"
    DO_NOT_CONTACT = "do_not_contact"
    UNKNOWN = "unknown"


class Mark(StrEnum):
    """What the domain of a customer's address says about them. Several may apply at once."""

    OWN = "own"
    FREE = "free"
    DISPOSABLE = "disposable"


class Via(StrEnum):
    """The way by which a lead came in."""

    HTTPS = "https"
    TABLE = "table"
    IMPORT = "import"


class State(StrEnum):
    """Where a delivery stands. Only `OPEN` has work left."""

    OPEN = "open"
    DELIVERED = "delivered"
    SKIPPED = "skipped"
    DEAD = "dead"


class Outcome(StrEnum):
    """How one attempt of a delivery ended."""

    OK = "ok"
    TRANSIENT = "transient"
    THROTTLED = "throttled"
    REJECTED = "rejected"
    MISCONFIGURED = "misconfigured"


_CODES = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY "
    "BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK "
    "FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR "
    "IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK "
    "ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM "
    "PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF "
    "TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"
)
COUNTRIES = frozenset(_CODES.split())
"""The alpha-2 codes of ISO 3166-1."""


def halves(lead_id: str) -> tuple[str, str]:
    """The customer and the event that a lead id names; no event where `lead_id` is not one."""
    customer, _, event = lead_id.partition("-")
    return customer, event


@dataclass(frozen=True, slots=True)
class Contact:
    """Who the customer is. A field that did not come is the empty string."""

    first_name: str = ""
    last_name: str = ""
    email: str = ""
    """Local part as it came, domain in lower-case ASCII (IDNA); as it came when it is not an address."""
    phone: str = ""
    """E.164 (`+390669812345`); as it came when it is not a phone number."""
    country: str = ""
    """ISO 3166-1 alpha-2 (`IT`); as it came when it is not a known country."""
    company: str = ""
    title: str = ""

    @property
    def name(self) -> str:
        """First and last name, or whichever of them came."""
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True, slots=True)
class Lead:
    """One thing that a customer did, normalized. All times are aware and in UTC."""

    via: Via
    arrived_at: datetime
    created_at: datetime
    id: str = ""
    """`<customer>-<event>`, 16 hexadecimal digits each; given by intake."""
    source: str = ""
    action: str = ""
    offer: str = ""
    """`publisher.offer` as Microsoft names it; empty where only the title came."""
    offer_title: str = ""
    stage: Stage = Stage.UNKNOWN
    contact: Contact = field(default_factory=Contact)
    message: str = ""
    """The customer's own words."""
    campaign: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the listing URL by which the customer came (`mktcmpid`, `utm_source`, …)."""
    is_test: bool = False
    do_not_contact: bool = False
    contact_withheld: bool = False
    old: bool = False
    """Whether it was brought in on purpose from the past: an old record of an import, or a row older than the app.

    Decided when it comes in. A lead that waited because its table could not be read is new, however long it took.
    """
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields that this app does not know, as they came (JSON values)."""
    issues: tuple[str, ...] = ()
    """What could not be understood or kept whole: `<field>: <what>`. Holds no personal data."""
    route: str = ""
    """The route that decided where the lead goes, as `2: country=DE > email:emea`; empty where none did."""
    raw: str = ""
    """Name of the blob with the bytes as they arrived."""

    @property
    def customer(self) -> str:
        """The customer's part of the lead id."""
        return halves(self.id)[0]

    @property
    def event(self) -> str:
        """The event's part of the lead id."""
        return halves(self.id)[1]

    @property
    def offer_name(self) -> str:
        """What people call the offer: its title, else its id."""
        return self.offer_title or self.offer


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a delivery. `cause` and `remedy` are safe to show and to log."""

    at: datetime
    outcome: Outcome
    cause: str = ""
    remedy: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One lead on its way to one destination, as it is stored."""

    lead_id: str
    destination: str
    state: State
    next_at: datetime
    """When the next attempt is due. Means nothing once the delivery is finished."""
    tries: int = 0
    """Attempts since intake or the last replay: the position in the retry schedule."""
    attempts: tuple[Attempt, ...] = ()
    """The last 30 attempts, oldest first."""
    attempt_count: int = 0
    claimed_until: datetime | None = None
    rung_at: datetime | None = None
    """When the sweep last rang for it."""
    alerted_at: datetime | None = None
    """When an alert last counted its trouble."""
    remote_id: str = ""
    """What the destination calls the record, as soon as it is known."""
    finished_at: datetime | None = None
    reason: str = ""
    """Why it was skipped."""
    replayed: bool = False
    uncertain: bool = False
    """Whether an earlier attempt may have written something at the destination, and nobody knows."""
    etag: str = ""

    @property
    def last(self) -> Attempt | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None
