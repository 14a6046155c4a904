"""Point the draft of an offer at this app: what it is now, what it becomes, and what is left alone.

Nothing here publishes: that would bring everything else in the draft to customers, too. The key of a storage account
or of a function is in `Wanted.value` alone, which is never shown, logged or stored.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from leads.errors import Failure, Rejected, Transient
from leads.offers import Verdict
from leads.operate.market import Mark
from leads.partner_center import CALL_SECONDS, PartnerCenter, Product, Reading, Way, Where, finish, read_where
from leads.sweep import verdict
from leads.sweep.verdict import PATH, Here
from leads.transport import Deadline

SUFFIXES = ("core.windows.net", "core.usgovcloudapi.net", "core.chinacloudapi.cn", "core.cloudapi.de")
"""Endpoint suffixes that Partner Center takes."""

# Microsoft's own patterns, from the schema of `customer-leads`: the parts stand in this order, and nothing else does.
_CONNECTION = re.compile(
    r"DefaultEndpointsProtocol=https;AccountName=[a-z0-9]{3,24};AccountKey=[0-9a-zA-Z=+/]*;EndpointSuffix=core\.[a-z.]+"
)
_ADDRESS = re.compile(r"https://[a-zA-Z0-9/?$+-~!@#%^&*()_='.:\[\]@,;]+")
_CONFIGURATION = "LeadConfiguration"


class WrongValue(ValueError):
    """What should be written is not what Partner Center takes. The text quotes no secret."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the draft should say. `value` is a secret."""

    where: Where
    value: str = field(repr=False)


def table(account: str, key: str, suffix: str = SUFFIXES[0]) -> Wanted:
    """The table of a storage account, in the form that Partner Center takes. Raises WrongValue."""
    account, key, suffix = account.strip().lower(), key.strip(), suffix.strip().strip("./").lower()
    if not re.fullmatch(r"[a-z0-9]{3,24}", account):
        raise WrongValue("A storage account has 3 to 24 small letters and digits.")
    if not re.fullmatch(r"[0-9a-zA-Z+/]{20,}={0,2}", key):
        raise WrongValue("That is not the key of a storage account. Copy key1 or key2 from its Access keys, whole.")
    if suffix not in SUFFIXES:
        raise WrongValue(f"Partner Center takes accounts at {', '.join(SUFFIXES)} only.")
    value = f"DefaultEndpointsProtocol=https;AccountName={account};AccountKey={key};EndpointSuffix={suffix}"
    if not _CONNECTION.fullmatch(value):
        raise WrongValue("That does not make a connection string that Partner Center takes.")
    return Wanted(Where(Way.TABLE, account), value)


def suffix_of(endpoint: str) -> str:
    """The suffix in the URL of an account's table service; empty where there is none."""
    host = (urlsplit(endpoint.strip()).hostname or "").partition(".table.")
    return host[2]


def https(address: str, key: str) -> Wanted:
    """This app's address for leads, with the key of its function `receive_lead`. Raises WrongValue."""
    url = address.strip()
    url = url if "://" in url else f"https://{url}"
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise WrongValue(
            "The app's address is https:// and a host, without a key, such as https://NAME.azurewebsites.net."
        )
    if not re.fullmatch(r"[\w=+/-]{16,}", key.strip()):
        raise WrongValue("That is not a function key. Copy the key of the function receive_lead, whole.")
    url = url.rstrip("/").removesuffix(PATH)
    value = f"{url}{PATH}?code={quote(key.strip(), safe='')}"
    if not _ADDRESS.fullmatch(value):
        raise WrongValue("The app's address holds characters that Partner Center does not take.")
    place, path = verdict.host_and_path(url)
    return Wanted(Where(Way.HTTPS, place, f"{path}{PATH}", keyed=True), value)


@dataclass(frozen=True, slots=True)
class Plan:
    """A change of one draft, ready to be shown and sent."""

    product: Product
    before: Where
    after: Where
    stale: tuple[str, ...]
    """Names of the configurations of another way that go."""
    resource: Mapping[str, Any] = field(repr=False)


def plan(client: PartnerCenter, product: Product, wanted: Wanted, deadline: Deadline) -> Plan:
    """Read the draft and say what becomes of it. Raises Rejected where nothing may be written now, in words."""
    if any(one.runs for one in client.submissions(product, deadline)):
        raise Rejected(
            f"{product.offer_id} is being published, and must not be changed until that is finished.",
            "Wait until its publication has ended, or cancel it in Partner Center.",
        )
    resource = client.customer_leads(product, deadline)
    if resource is None:
        raise Rejected(
            f"{product.offer_id} has no Customer leads that could be set.",
            "Open the offer in Partner Center and save its page Customer leads once; if there is no such page, offers "
            "of this type have no leads.",
        )
    changed = change(resource, wanted)
    stale = tuple(sorted(key for key in resource if key.endswith(_CONFIGURATION) and key not in changed))
    return Plan(product, read_where(resource), wanted.where, stale, changed)


def change(resource: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    """The resource as it becomes: all of it stays but the destination; a configuration of another way goes."""
    name, key = {
        Way.TABLE.value: (f"table{_CONFIGURATION}", "storageAccountConnectionString"),
        Way.HTTPS.value: (f"httpsEndpoint{_CONFIGURATION}", "httpsEndpointUrl"),
    }[wanted.where.way]
    old = resource.get(name)
    kept = dict(old) if isinstance(old, dict) else {}
    rest = {key: value for key, value in resource.items() if not key.endswith(_CONFIGURATION) and key != "validations"}
    return {**rest, "leadDestination": wanted.where.way, name: {**kept, key: wanted.value}}


def apply(
    client: PartnerCenter,
    planned: Plan,
    mark: Callable[[Mark], None],
    pause: Callable[[float], None],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Write the draft and wait until that is done. Raises the Failure that the change ended with.

    `mark` keeps what is known: BEGAN before anything is sent, then DONE or REFUSED. Where neither can be said, BEGAN
    stands, as after a crash: `offers` then says that the end is not known.
    """
    mark(Mark.BEGAN)
    try:
        finish(client, client.configure(planned.resource, Deadline.after(CALL_SECONDS)), pause, clock)
    except Transient as failure:
        raise Transient(
            f"{failure.cause} Whether Partner Center took the change is not known.",
            "Look at the offer in Partner Center, or run `python -m leads offers`: both show what is in the draft. "
            "Connecting again does no harm.",
        ) from None
    except Failure:
        mark(Mark.REFUSED)
        raise
    mark(Mark.DONE)


def left_alone(reading: Reading, here: Here, *, take_over: bool) -> str:
    """Why `--all` does not touch an offer, in a sentence; empty where it does.

    `take_over` allows it to take leads away from where somebody sent them on purpose.
    """
    if reading.product.deprecated:
        return "It was taken off the marketplace."
    if reading.troubles:
        return f"Its {reading.troubles[0].part} could not be read: {reading.troubles[0].cause}"
    if reading.publishing:
        return "A publication is under way."
    if reading.draft is None:
        return "It does not have Customer leads that could be set."
    live = verdict.compare(reading.live.leads, here)[0] if reading.live else Verdict.NEVER_PUBLISHED
    draft = verdict.compare(reading.draft, here)[0]
    if draft == Verdict.THIS_APP:
        return "It is right already." if live == draft else "Its draft is right already, and waits to be published."
    if draft == Verdict.NOT_COMPARABLE:
        return "Its draft sends leads to a place that the app cannot compare. Name the offer to set it anyway."
    if Verdict.ELSEWHERE in (draft, live) and not take_over:
        where = reading.draft if draft == Verdict.ELSEWHERE or not reading.live else reading.live.leads
        return f"It goes to {verdict.name(where or reading.draft)}. Name it, or use --replace."
    return ""
