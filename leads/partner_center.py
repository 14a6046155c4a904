"""Partner Center: which offers there are, where each of them sends its leads, and the draft of that set anew.

This is Microsoft's Product Ingestion API (learn.microsoft.com/partner-center/marketplace-offers/product-ingestion-api).
Its documents, its schemas and the code that large publishers run differ in spellings, so whatever comes from there is
read leniently, and people see it only in the words of this module. It was never run against a real account.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain, repeat
from typing import Any, NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

from leads import oauth, transport
from leads.errors import Failure, Misconfigured, Rejected, Throttled, Transient
from leads.oauth import Credentials
from leads.reader import Reader, Setting
from leads.transport import Deadline, Response

BASE = "https://graph.microsoft.com/rp/product-ingestion"
VERSION = "2022-07-01"
"""The newest version that a large publisher is known to ask for."""
SCHEMAS = "https://schema.mp.microsoft.com"
RESOURCE = "https://graph.microsoft.com"
"""What the sign-in is for, wherever the API stands."""
CALL_SECONDS = 60.0
"""What one call may take where nobody waits for a timer."""
TREE_LIMIT = 32 * 1024 * 1024
"""Bytes of an answer. A tree holds every plan and every language of its offer, several MiB."""
PAGES = 200
"""Pages of one list that are followed."""
JOB_SECONDS = 600.0
"""How long a change is waited for."""
INTERVALS = (2.0, 5.0, 10.0, 20.0)
"""Seconds between questions for a job's state; a minute from then on. Microsoft documents none."""

TYPES: Mapping[str, str] = {
    "azureApplication": "Azure applications",
    "azureContainer": "containers",
    "azureVirtualMachine": "virtual machines",
    "consultingService": "consulting services",
    "containerApp": "container apps",
    "coreVirtualMachine": "core virtual machines",
    "cosellOnly": "co-sell solutions",
    "dynamics365BusinessCentral": "Dynamics 365 Business Central apps",
    "dynamics365ForCustomerEngagement": "Dynamics 365 apps on Dataverse",
    "dynamics365ForOperations": "Dynamics 365 Operations apps",
    "iotEdgeModule": "IoT Edge modules",
    "managedService": "managed services",
    "powerBiApp": "Power BI apps",
    "powerBiVisual": "Power BI visuals",
    "softwareAsAService": "SaaS",
}
"""Types of offers that the API knows. Its documents promise SaaS, virtual machines and containers only."""


SETTINGS = (
    *oauth.settings("PARTNER_CENTER"),
    Setting("PARTNER_CENTER_URL", "The base of the API, with its path", BASE),
    Setting("PARTNER_CENTER_API_VERSION", "The newest version of the API to ask for", VERSION),
)
"""Every setting of this module."""
_SIGN_IN = tuple(one.name for one in oauth.settings("PARTNER_CENTER") if not one.default)
"""The settings that only people who use Partner Center set."""

_DURABLE = re.compile(r"product/([A-Za-z0-9-]{1,64})")
_JOB = re.compile(r"[A-Za-z0-9-]{1,64}")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]{0,39}")
_ACCOUNT = re.compile(r"(?:^|;)\s*AccountName=([a-z0-9]{3,24})\s*(?:;|$)", re.IGNORECASE)
_LOCAL = ("localhost", "127.0.0.1", "::1")
_AGAIN = "Try again later."
_PAGE = "Open the offer in Partner Center and save its page Customer leads once by hand: it says what is missing."
_UNKNOWN_CODE = ("Partner Center refused the change for a reason that it names {}.", _PAGE)

CODES: Mapping[str, tuple[str, str]] = {
    "businessValidationError": (
        "Partner Center does not accept the content.",
        "Check that every contact address of the offer's Customer leads is a full e-mail address. " + _PAGE,
    ),
    "collectionLimitExceeded": (
        "The offer has more of something than Partner Center allows.",
        "Remove contact addresses under Customer leads, then try again.",
    ),
    "invalidId": (
        "Partner Center does not know the offer by its id.",
        "List the offers again and use an id from that list.",
    ),
    "invalidEntityStatus": (
        "The offer is in a state in which it cannot be changed.",
        "Look at its Offer overview in Partner Center; finish or cancel what is under way there.",
    ),
    "invalidRequest": (
        "Partner Center cannot read the request.",
        "Check PARTNER_CENTER_API_VERSION; without it the version of this app is used.",
    ),
    "invalidResource": ("Partner Center does not accept the offer's Customer leads as they were sent.", _PAGE),
    "invalidState": (
        "The offer is in a state in which it cannot be changed.",
        "Wait until its publication has ended, or cancel it in Partner Center.",
    ),
    "notDeployed": (
        "The offer has not yet been published where this change applies.",
        "Publish it once in Partner Center, then try again.",
    ),
    "notSupported": (
        "The API cannot change offers of this type.",
        "Set Customer leads by hand in Partner Center.",
    ),
    "operationCanceled": ("Somebody cancelled the change.", "Ask who works on the offer, then try again."),
    "productLocked": (
        "The offer is locked, since it is being published or somebody else changes it.",
        "Wait until the publication has ended, then try again.",
    ),
    "resourceNotFound": (
        "The offer, or its Customer leads, is not there.",
        "Open the offer in Partner Center, save its page Customer leads once, then try again.",
    ),
    "schemaValidationError": (
        "The change does not have the form that this version of the API expects.",
        "Set PARTNER_CENTER_API_VERSION to a newer version, or set Customer leads by hand.",
    ),
    "conflict": ("Somebody else changes the offer at the same time.", "Wait some minutes, then try again."),
    "badRequest": ("Partner Center does not accept the request.", _PAGE),
}
"""Cause and remedy of each error code: those of Microsoft's schema, and two that stand around them."""
_OUTER = ("conflict", "badRequest")


class Target(StrEnum):
    """The three states in which an offer exists."""

    DRAFT = "draft"
    PREVIEW = "preview"
    LIVE = "live"


class Way(StrEnum):
    """Values of `leadDestination` that this app distinguishes; there are more."""

    NONE = "none"
    TABLE = "table"
    HTTPS = "httpsEndpoint"
    BLOB = "blob"
    DYNAMICS = "dynamics"


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach and to sign in to Partner Center."""

    credentials: Credentials = field(default_factory=lambda: Credentials(prefix="PARTNER_CENTER"))
    url: str = BASE
    version: str = VERSION
    wanted: bool = False
    """Whether there are any settings of a sign-in: without them this app leaves Partner Center alone."""

    @classmethod
    def read(cls, reader: Reader) -> Settings:
        """Read all settings of this module; a wrong one is noted as a problem."""
        credentials = oauth.read(reader, "PARTNER_CENTER")
        return cls(
            credentials=credentials,
            url=_base(reader),
            version=_version(reader),
            wanted=credentials.federated or any(reader.is_set(name) for name in _SIGN_IN),
        )


def _base(reader: Reader) -> str:
    name = "PARTNER_CENTER_URL"
    url = reader.url(name, schemes=("https", "http"))
    parts = urlsplit(url)
    if parts.username or parts.query or parts.fragment:
        reader.problem(name, "It contains more than an address.", "Keep only scheme, host and path.")
        return BASE
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        reader.problem(name, "It is not encrypted.", "Start it with https://.")
        return BASE
    return url or BASE


def _version(reader: Reader) -> str:
    value = reader.text("PARTNER_CENTER_API_VERSION", VERSION)
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}(-preview\d*)?", value):
        return value
    reader.problem(
        "PARTNER_CENTER_API_VERSION",
        "It must be of the form 2022-07-01 or 2022-03-01-preview3.",
        f"Remove it; until then the app uses {VERSION}.",
    )
    return VERSION


@dataclass(frozen=True, slots=True)
class Product:
    """One offer of the account."""

    id: str
    """The GUID behind `product/`."""
    offer_id: str
    """`externalId`: the part behind the dot of `publisher.offer`."""
    type: str = ""
    alias: str = ""
    """Its name inside Partner Center, which customers never see."""
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class Catalog:
    """The offers of the account, and how many entries of the list could not be read."""

    products: tuple[Product, ...]
    unread: int = 0


class Title(NamedTuple):
    """What customers call an offer in one language."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Where:
    """Where an offer sends its leads, as far as it may be shown or compared. Holds no secret."""

    way: str
    """`leadDestination`; empty where that is not a word."""
    place: str = ""
    """Storage account or host, in lower case; empty where it came masked, or is not one."""
    path: str = field(default="", repr=False)
    """Path of an HTTPS address. It is never shown: webhooks of other services keep their secret there."""
    keyed: bool = False
    """Whether an HTTPS address came with a function key."""


@dataclass(frozen=True, slots=True)
class Tree:
    """What this app wants to know of an offer's resources in one target."""

    leads: Where | None
    """None where the tree has no such resource."""
    titles: tuple[Title, ...] = ()


@dataclass(frozen=True, slots=True)
class Submission:
    """One publication of an offer."""

    target: str
    status: str = ""
    result: str = ""
    created: datetime | None = None

    @property
    def runs(self) -> bool:
        """Whether it is under way. The draft's own entry has no status, and never is."""
        return self.target in (Target.PREVIEW, Target.LIVE) and self.status in ("notStarted", "running")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What could not be read of an offer, why, and what to do."""

    part: str
    """`live`, `draft`, `preview` or `submissions`."""
    cause: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look at an offer found. A part that could not be read is among the troubles, and None here."""

    product: Product
    live: Tree | None = None
    """None where the offer is not live, too."""
    draft: Where | None = None
    preview: Where | None = None
    """Only read where the draft differs from what is live."""
    submissions: tuple[Submission, ...] = ()
    troubles: tuple[Trouble, ...] = ()

    def trouble(self, part: str) -> Trouble | None:
        """The trouble with one part."""
        return next((one for one in self.troubles if one.part == part), None)

    @property
    def publishing(self) -> bool:
        """Whether a publication is under way."""
        return any(one.runs for one in self.submissions)

    @property
    def published_at(self) -> datetime | None:
        """When the publication that is live now was begun; by its end it is older than the live state."""
        done = (one.created for one in self.submissions if one.target == Target.LIVE and one.result == "succeeded")
        return max((at for at in done if at), default=None)


@dataclass(frozen=True, slots=True)
class Job:
    """A change that Partner Center works on."""

    id: str
    status: str = ""
    result: str = ""
    codes: tuple[str, ...] = ()
    retry_after: float | None = None

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.status == "completed" or self.result in ("failed", "cancelled", "canceled")

    @property
    def succeeded(self) -> bool:
        """Whether it ended well: a cancelled job ends without errors, too."""
        return self.status == "completed" and self.result == "succeeded"


class PartnerCenter:
    """The account's API. What gets no usable answer raises a `leads.errors.Failure`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def catalog(self, deadline: Deadline) -> Catalog:
        """All offers of the account that the API lists."""
        products: dict[str, Product] = {}
        unread = 0
        for entry in self._list("product", deadline):
            product = read_product(entry)
            if product is not None:
                products[product.id] = product
            elif not (isinstance(entry, dict) and entry.get("lifecycleState") == "deleted"):
                unread += 1
        return Catalog(tuple(products.values()), unread)

    def tree(self, product: Product, target: Target, deadline: Deadline) -> Tree | None:
        """An offer's resources in one target; None where it does not exist there, which only 404 means."""
        answer = self._call("GET", f"resource-tree/product/{product.id}", deadline, targetType=target.value)
        return None if answer.status == 404 else read_tree(_document(answer))

    def customer_leads(self, product: Product, deadline: Deadline) -> dict[str, Any] | None:
        """The draft's own resource, as it came; None where there is none. It may hold secrets."""
        answer = self._call("GET", f"customer-leads/{product.id}", deadline)
        return None if answer.status == 404 else _document(answer)

    def submissions(self, product: Product, deadline: Deadline) -> tuple[Submission, ...]:
        """The offer's publications, those under way among them."""
        return tuple(read_submission(entry) for entry in self._list(f"submission/{product.id}", deadline))

    def look(self, product: Product, deadline: Deadline) -> Reading:
        """Where an offer sends its leads, live and in its drafts. Raises Throttled alone."""
        troubles: list[Trouble] = []

        def tried(part: str, read: Callable[[], Any]) -> Any:
            try:
                return read()
            except Throttled:
                raise
            except Failure as failure:
                troubles.append(Trouble(part, failure.cause, failure.remedy))
                return None

        live = tried("live", lambda: self.tree(product, Target.LIVE, deadline))
        resource = tried("draft", lambda: self.customer_leads(product, deadline))
        submissions = tried("submissions", lambda: self.submissions(product, deadline)) or ()
        draft = None if resource is None else read_where(resource)
        preview = None
        if draft is not None and (live is None or draft != live.leads):
            tree = tried("preview", lambda: self.tree(product, Target.PREVIEW, deadline))
            preview = tree.leads if tree else None
        return Reading(product, live, draft, preview, submissions, tuple(troubles))

    def configure(self, resource: Mapping[str, Any], deadline: Deadline) -> Job:
        """Ask for a change of the draft. Raises Rejected with the reasons that Partner Center gives at once."""
        # Schemas stand at one host in the documents and at another in answers: that of the resource is believed.
        host, there, _ = str(resource.get("$schema", "")).partition("/schema/")
        schema = f"{host if there else SCHEMAS}/schema/configure/{self._settings.version}"
        body = {"$schema": schema, "resources": [dict(resource)]}
        return self._job(self._call("POST", "configure", deadline, body))

    def job(self, job_id: str, deadline: Deadline) -> Job:
        """How far a change is."""
        answer = self._call("GET", f"configure/{job_id}/status", deadline)
        return replace(self._job(answer), id=job_id)

    def _job(self, answer: Response) -> Job:
        return replace(read_job(_document(answer)), retry_after=answer.retry_after(datetime.now(UTC)))

    def _list(self, path: str, deadline: Deadline) -> Iterator[Any]:
        """The entries of all pages."""
        url: str | None = self._url(path)
        seen: set[str] = set()
        while url is not None:
            if url in seen or len(seen) == PAGES:
                raise Transient("Partner Center's list of offers never ends.", _AGAIN)
            seen.add(url)
            answer = self._answered("GET", url, deadline)
            if answer.status == 404 and len(seen) == 1:
                raise Rejected(
                    f"{transport.host(url)} does not have this list (404).",
                    "Check PARTNER_CENTER_URL; without it Microsoft's own address is used.",
                )
            document = _document(answer)
            entries = document.get("value")
            if not isinstance(entries, list):
                raise _unreadable()
            yield from entries
            url = self._next(url, document)

    def _next(self, url: str, document: Mapping[str, Any]) -> str | None:
        """The address of the next page, only where it is the API's own host: the sign-in goes with it."""
        link = document.get("@nextLink") or document.get("@odata.nextLink")
        if not link:
            return None
        try:
            parts = urlsplit(urljoin(url, str(link)))
        except ValueError:
            raise _unreadable() from None
        base = urlsplit(self._settings.url)
        if (parts.scheme, parts.netloc.lower()) != (base.scheme, base.netloc.lower()):
            raise Rejected(
                "Partner Center's list continues on another host, and the app does not send its sign-in there.",
                "Check PARTNER_CENTER_URL.",
            )
        return parts.geturl()

    def _url(self, path: str, **query: str) -> str:
        asked = urlencode({"$version": self._settings.version, **query}, safe="$")
        return f"{self._settings.url}/{path}?{asked}"

    def _call(self, method: str, path: str, deadline: Deadline, body: Any = None, **query: str) -> Response:
        return self._answered(method, self._url(path, **query), deadline, body)

    def _answered(self, method: str, url: str, deadline: Deadline, body: Any = None) -> Response:
        """A success, or 404. A token that is refused is asked for anew once."""
        answer = self._sent(method, url, deadline, body, fresh=False)
        if answer.status == 401:
            answer = self._sent(method, url, deadline, body, fresh=True)
        if answer.status in (200, 201, 202, 404):
            return answer
        raise refusal(answer)

    def _sent(self, method: str, url: str, deadline: Deadline, body: Any, *, fresh: bool) -> Response:
        token = oauth.token(self._settings.credentials, RESOURCE, deadline=deadline, fresh=fresh)
        return transport.request(
            method,
            url,
            deadline=deadline,
            headers={"Accept": "application/json", "Authorization": f"Bearer {token}"},
            json=body,
            limit=TREE_LIMIT,
        )


def refusal(answer: Response) -> Failure:
    """The failure that an answer without success means. Its text is not quoted: it may hold what was sent."""
    passing = transport.refusal(answer, "Partner Center", datetime.now(UTC))
    if passing is not None:
        return passing
    detail = f"({answer.status})"
    if answer.status == 401:
        return Misconfigured(
            f"Partner Center refuses the sign-in {detail}.",
            "Check PARTNER_CENTER_TENANT_ID and PARTNER_CENTER_CLIENT_ID: the tenant must be the one that the "
            "Partner Center account is associated with.",
        )
    if answer.status == 403:
        return Misconfigured(
            f"Partner Center does not let this app look at its offers {detail}.",
            "Add the app there: Account settings > User management > Microsoft Entra applications, role Manager.",
        )
    codes = error_codes(answer.json())
    if codes:
        return rejected(codes)
    return Rejected(
        f"Partner Center refused the request {detail}.",
        "Check PARTNER_CENTER_URL and PARTNER_CENTER_API_VERSION.",
    )


def rejected(codes: tuple[str, ...]) -> Rejected:
    """The refusal that some error codes mean: every cause and every remedy once."""
    known = [CODES.get(code) or (_UNKNOWN_CODE[0].format(code), _UNKNOWN_CODE[1]) for code in codes[:5]]
    causes, remedies = (" ".join(dict.fromkeys(words)) for words in zip(*known, strict=True))
    return Rejected(f"{causes} ({', '.join(codes[:5])})", remedies)


def error_codes(document: Any) -> tuple[str, ...]:
    """The error codes in an answer or a job, also those in `details`; an outer one only where there is no other."""
    found: dict[str, None] = {}
    left = [document]
    for _ in range(1000):
        if not left:
            break
        one = left.pop(0)
        if isinstance(one, list):
            left.extend(one)
        elif isinstance(one, dict):
            code = one.get("code")
            if isinstance(code, str) and code:
                found[code if _WORD.fullmatch(code) else "unknown"] = None
            left.extend(one.get(name) for name in ("error", "errors", "details", "innerError", "innererror"))
    inner = tuple(code for code in found if code not in _OUTER)
    return inner or tuple(found)


def read_product(entry: Any) -> Product | None:
    """An entry of the list of offers; None for anything else, and for a deleted one."""
    if not isinstance(entry, dict):
        return None
    durable = _DURABLE.fullmatch(str(entry.get("id", "")))
    identity = entry.get("identity")
    identity = identity if isinstance(identity, dict) else {}
    offer_id = next((identity[name] for name in ("externalId", "externalID") if identity.get(name)), "")
    state = entry.get("lifecycleState")
    if not durable or not isinstance(offer_id, str) or not offer_id or state == "deleted":
        return None
    return Product(
        id=durable[1].lower(),
        offer_id=_line(offer_id, 100),
        type=_word(entry.get("type")),
        alias=_line(entry.get("alias"), 200),
        deprecated=state == "deprecated",
    )


def read_tree(document: Mapping[str, Any]) -> Tree:
    """What this app wants to know of a tree. Raises Transient for anything else."""
    resources = document.get("resources")
    if not isinstance(resources, list):
        raise _unreadable()
    leads: Where | None = None
    titles: dict[Title, None] = {}
    for resource in resources:
        if not isinstance(resource, dict):
            continue
        kind = _kind(resource)
        if kind == "customer-leads" and leads is None:
            leads = read_where(resource)
        elif kind == "listing" and _line(resource.get("title"), 300):
            titles[Title(_line(resource.get("languageId"), 20).lower(), _line(resource.get("title"), 300))] = None
    return Tree(leads, tuple(titles))


def _kind(resource: Mapping[str, Any]) -> str:
    """A resource's type: what its durable id begins with, else the name of its schema, on whatever host that is."""
    durable = str(resource.get("id", "")).partition("/")
    if durable[1]:
        return durable[0]
    return str(resource.get("$schema", "")).partition("/schema/")[2].partition("/")[0]


def read_where(resource: Mapping[str, Any]) -> Where:
    """Where a `customer-leads` resource sends the leads. `leadDestination` decides; another configuration is stale."""
    way = _word(resource.get("leadDestination"))
    settings = resource.get(f"{way}LeadConfiguration")
    settings = settings if isinstance(settings, dict) else {}
    if way in (Way.TABLE, Way.BLOB):
        found = _ACCOUNT.search(str(settings.get("storageAccountConnectionString", "")))
        return Where(way, found[1].lower() if found else "")
    address = {Way.HTTPS: "httpsEndpointUrl", Way.DYNAMICS: "instanceUrl"}.get(way)  # type: ignore[call-overload]
    if not address:
        return Where(way)
    try:
        parts = urlsplit(str(settings.get(address, "")).strip())
        port = f":{parts.port}" if parts.port not in (None, 443) else ""
        host = (parts.hostname or "") if parts.scheme in ("https", "http") else ""
    except ValueError:
        return Where(way)
    place = _line(f"{host}{port}", 260) if re.fullmatch(r"[\w.:-]+", host) else ""
    if way != Way.HTTPS or not place:
        return Where(way, place)
    return Where(way, place, parts.path.rstrip("/").lower(), keyed=bool(re.search(r"(?:^|&)code=[^&]", parts.query)))


def read_submission(entry: Any) -> Submission:
    """One entry of the list of publications."""
    entry = entry if isinstance(entry, dict) else {}
    target = entry.get("target")
    return Submission(
        target=_word(target.get("targetType") if isinstance(target, dict) else None),
        status=_word(entry.get("status")),
        result=_word(entry.get("result")),
        created=_moment(entry.get("created")),
    )


def read_job(document: Mapping[str, Any]) -> Job:
    """The state of a change. Raises Transient for anything else."""
    job_id = next((document[name] for name in ("jobId", "jobID") if document.get(name)), "")
    status = _word(document.get("jobStatus"))
    if not status:
        raise _unreadable()
    return Job(
        id=job_id if isinstance(job_id, str) and _JOB.fullmatch(job_id) else "",
        status=status,
        result=_word(document.get("jobResult")),
        codes=error_codes(document.get("errors")),
    )


def finish(
    client: PartnerCenter, job: Job, pause: Callable[[float], None], clock: Callable[[], float] = time.monotonic
) -> None:
    """Wait until a change is done, ten minutes at most, asking as rarely as `Retry-After` or `INTERVALS` say.

    `pause` sleeps for some seconds. Raises Rejected when it failed or was cancelled, and Transient when it did not end
    or its end cannot be learned; then nobody knows what the draft holds, and a look at it shows that.
    """
    began = clock()
    for interval in chain(INTERVALS, repeat(60.0)):
        if job.ended:
            break
        wait = interval if job.retry_after is None else max(job.retry_after, 1.0)
        if not job.id or clock() - began + wait > JOB_SECONDS:
            raise Transient(
                "Partner Center did not confirm the change within ten minutes.",
                "Look at the offer in Partner Center later, or run `python -m leads offers`: the draft stands there.",
            )
        pause(wait)
        try:
            job = client.job(job.id, Deadline.after(CALL_SECONDS))
        except (Transient, Throttled) as failure:
            job = replace(job, retry_after=failure.retry_after)
    if job.succeeded:
        return
    if job.codes:
        raise rejected(job.codes)
    if job.result in ("cancelled", "canceled"):
        raise rejected(("operationCanceled",))
    raise Rejected("Partner Center did not make the change, and gave no reason.", _PAGE)


def _document(answer: Response) -> dict[str, Any]:
    document = answer.json()
    if answer.status == 404 or not isinstance(document, dict):
        raise _unreadable()
    return document


def _unreadable() -> Transient:
    return Transient("Partner Center gave an answer that cannot be read.", _AGAIN)


def _moment(value: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(value))
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _word(value: Any) -> str:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _line(value: Any, limit: int) -> str:
    """Somebody else's words on one line, without control characters and half characters."""
    text = value[: 2 * limit] if isinstance(value, str) else ""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(text.split())[:limit]
