"""A stand-in for Partner Center's Product Ingestion API with its sign-in, over TLS on this machine.

It answers as Microsoft's documents, its schemas and the code of large publishers say
(learn.microsoft.com/partner-center/marketplace-offers/product-ingestion-api): drafts change by jobs, secrets come back
masked, trees hold what is of no use here too, and a publication locks its offer. How a masked secret looks is not
documented; the form here is made up.
"""

from __future__ import annotations

import copy
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dev import certificate
from dev.standins.dynamics import CLIENT_ID, SECRET, TENANT_ID
from dev.standins.entra import IDENTITY_PATH, Entra, Identity, Registration
from dev.standins.server import Answer, Call, Failure, Request, Server

BASE = "/rp/product-ingestion"
RESOURCE = "https://graph.microsoft.com"
SCHEMAS = "https://schema.mp.microsoft.com/schema"
MASK = "**********"
PAGE = 3
TARGETS = ("draft", "preview", "live")
DESTINATIONS = ("none", "blob", "dynamics", "email", "httpsEndpoint", "marketo", "salesforce", "table")
SECRETS = ("storageAccountConnectionString", "applicationKey", "password")
CONNECTION = re.compile(
    r"DefaultEndpointsProtocol=https;AccountName=[a-z0-9]{3,24};AccountKey=[0-9a-zA-Z=+/]*"
    r"(;|;EndpointSuffix=(core\.chinacloudapi\.cn|core\.cloudapi\.de|core\.usgovcloudapi\.net|core\.windows\.net))?"
)
ADDRESS = re.compile(r"https://[a-zA-Z0-9/?$+-~!@#%^&*()_='.:[\]@,;]+")

Resource = dict[str, Any]


@dataclass
class Offer:
    """One product with its targets: `leads` and `titles` by target, so far as it exists there."""

    offer_id: str
    type: str = "softwareAsAService"
    alias: str = ""
    deprecated: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    leads: dict[str, Resource | None] = field(default_factory=dict)
    titles: dict[str, dict[str, str]] = field(default_factory=dict)
    submissions: list[Resource] = field(default_factory=list)
    ballast: int = 0
    """Bytes of other resources in each tree."""


@dataclass
class Job:
    """A change that was taken: it is worked on at the question after `left` more ones."""

    id: str
    resources: list[Resource]
    left: int = 1
    errors: list[Resource] = field(default_factory=list)
    result: str = "pending"


class Refused(Exception):
    """An error with its code, and perhaps the real one in its details."""

    def __init__(self, status: int, code: str, message: str, *details: Resource) -> None:
        super().__init__(message)
        self.answer = Answer(status, {"error": {"code": code, "message": message, "details": list(details)}})


class Ingestion:
    """The account: offers, jobs, and what it has to do next."""

    def __init__(self, url: str, entra: Entra, version: str = "2022-07-01") -> None:
        self.url = url
        self.entra = entra
        self.version = version
        self.members: set[str] = set()
        """Client ids that Partner Center knows, with the role Manager."""
        self.offers: list[Offer] = []
        self.jobs: dict[str, Job] = {}
        self.slow = 1
        """After how many questions a job is worked on."""
        self.next_result = ""
        self.next_errors: list[Resource] = []
        """What the next job ends with, instead of a change."""
        self.masks = MASK
        """What stands for a connection string; with `{account}` in it the account's name is left to be seen."""

    def add(self, offer_id: str, leads: Resource | None = None, *, live: bool = True, **more: Any) -> Offer:
        """Add an offer whose draft, and with `live` whose other targets too, have these customer leads."""
        titles = more.pop("titles", {"en-us": offer_id.title()})
        offer = Offer(offer_id, **more)
        offer.alias = offer.alias or f"{offer_id} (internal)"
        for target in TARGETS if live else TARGETS[:1]:
            offer.leads[target] = copy.deepcopy(leads if leads is not None else {"leadDestination": "none"})
            offer.titles[target] = dict(titles)
        offer.submissions = [{"target": {"targetType": "draft"}}]
        if live:
            offer.submissions.append(self._submission("live", "2026-01-05T07:13:06.4408032Z"))
        self.offers.append(offer)
        return offer

    def publish(self, offer: Offer, target: str = "preview", *, done: bool = True, at: str = "") -> None:
        """Publish the draft to preview, or the preview to live, or begin to."""
        made = self._submission(target, at or "2026-02-04T20:07:22.4220588Z", done=done)
        offer.submissions = [one for one in offer.submissions if one["target"]["targetType"] != target] + [made]
        if done:
            source = "draft" if target == "preview" else "preview"
            offer.leads[target] = copy.deepcopy(offer.leads[source])
            offer.titles[target] = dict(offer.titles[source])

    def answer(self, request: Request) -> Answer:
        """Answer a request to the API."""
        try:
            self._admit(request)
            return self._route(request)
        except Refused as refused:
            return refused.answer

    def _admit(self, request: Request) -> None:
        token = self.entra.holder(request.headers.get("authorization", "").removeprefix("Bearer "))
        if token is None or token.resource != RESOURCE:
            raise Refused(401, "unauthorized", "Access token validation failure.")
        if token.client_id not in self.members:
            raise Refused(403, "forbidden", "The caller is not permitted to access the account.")
        if "$version" not in request.query and "continuationToken" not in request.query:
            raise Refused(400, "badRequest", "The $version parameter is required.")

    def _route(self, request: Request) -> Answer:
        path = request.path.removeprefix(f"{BASE}/")
        if request.method == "POST" and path == "configure":
            return self._configure(request)
        if request.method != "GET":
            raise Refused(405, "badRequest", "Method not allowed.")
        kind, _, rest = path.partition("/")
        if path == "product":
            return self._products(request)
        if kind == "configure" and rest.endswith("/status"):
            return self._status(rest.removesuffix("/status"))
        if kind == "customer-leads":
            return Answer(200, self._leads(self._offer(rest), "draft"))
        if kind == "submission":
            offer = self._offer(rest)
            return Answer(200, {"value": [self._submitted(offer, one) for one in offer.submissions]})
        if kind == "resource-tree":
            return self._tree(self._offer(rest.removeprefix("product/")), request.query.get("targetType", "draft"))
        raise Refused(404, "resourceNotFound", "Not found.")

    def _offer(self, guid: str) -> Offer:
        found = next((offer for offer in self.offers if offer.id == guid), None)
        if found is None:
            raise Refused(404, "resourceNotFound", f"The product {guid} was not found.")
        return found

    def _products(self, request: Request) -> Answer:
        start = int(request.query.get("continuationToken", "0"))
        page: Resource = {"value": [self._product(offer) for offer in self.offers[start : start + PAGE]]}
        if start + PAGE < len(self.offers):
            # Without $version: the link is opaque, and is to be followed as it is.
            page["@nextLink"] = f"{self.url}{BASE}/product?continuationToken={start + PAGE}"
        return Answer(200, page)

    def _product(self, offer: Offer) -> Resource:
        product = {
            "$schema": f"{SCHEMAS}/product/{self.version}",
            "id": f"product/{offer.id}",
            "identity": {"externalId": offer.offer_id},
            "type": offer.type,
            "alias": offer.alias,
        }
        return product | ({"lifecycleState": "deprecated"} if offer.deprecated else {})

    def _leads(self, offer: Offer, target: str) -> Resource:
        leads = offer.leads.get(target)
        if leads is None:
            raise Refused(404, "resourceNotFound", "The resource was not found.")
        whole = {
            "$schema": f"{SCHEMAS}/customer-leads/{self.version}",
            "id": f"customer-leads/{offer.id}",
            "product": f"product/{offer.id}",
            **copy.deepcopy(leads),
        }
        for configuration in whole.values():
            if isinstance(configuration, dict):
                for name in SECRETS:
                    if name in configuration:
                        configuration[name] = self._masked(str(configuration[name]))
        return whole

    def _masked(self, secret: str) -> str:
        found = re.search(r"AccountName=([^;]*)", secret)
        return self.masks.format(account=found[1] if found else "")

    def _tree(self, offer: Offer, target: str) -> Answer:
        if target not in offer.titles:
            raise Refused(404, "resourceNotFound", f"The product has no {target} target.")
        resources = [self._product(offer)]
        if offer.ballast:
            plan = {
                "$schema": f"{SCHEMAS}/plan/{self.version}",
                "id": f"plan/{offer.id}/{uuid.uuid4()}",
                "alias": "x" * offer.ballast,
            }
            resources.append(plan)
        for language, title in offer.titles[target].items():
            listing = {
                "$schema": f"{SCHEMAS}/listing/{self.version}",
                "id": f"listing/{offer.id}/public/main/default/{language}",
                "product": f"product/{offer.id}",
                "languageId": language,
                "title": title,
            }
            resources.append(listing)
        if offer.leads.get(target) is not None:
            resources.append(self._leads(offer, target))
        tree = {
            "$schema": f"{SCHEMAS}/resource-tree/{self.version}",
            "root": f"product/{offer.id}",
            "target": {"targetType": target},
            "resources": resources,
        }
        return Answer(200, tree)

    def _submission(self, target: str, created: str, *, done: bool = True) -> Resource:
        return {
            "number": str(uuid.uuid4().int % 10**18),
            "target": {"targetType": target},
            "status": "completed" if done else "running",
            "result": "succeeded" if done else "pending",
            "created": created,
        }

    def _submitted(self, offer: Offer, one: Mapping[str, Any]) -> Resource:
        rest = {key: value for key, value in one.items() if key != "number"}
        return {
            "$schema": f"{SCHEMAS}/submission/{self.version}",
            "id": f"submission/{offer.id}/{one.get('number', '0')}",
            "product": f"product/{offer.id}",
            **rest,
        }

    def _configure(self, request: Request) -> Answer:
        body = request.json()
        resources = body.get("resources") if isinstance(body, dict) else None
        if not isinstance(resources, list) or "/schema/configure/" not in str(body.get("$schema", "")):
            detail = {"code": "schemaValidationError", "message": f"Not a configure payload: {json.dumps(body)[:500]}"}
            raise Refused(400, "badRequest", "The request is not valid.", detail)
        job = Job(str(uuid.uuid4()), resources, self.slow)
        job.errors, self.next_errors = self.next_errors, []
        job.result, self.next_result = self.next_result or "pending", ""
        self.jobs[job.id] = job
        return Answer(202, self._job(job, "jobId", "notStarted"))

    def _status(self, job_id: str) -> Answer:
        job = self.jobs.get(job_id)
        if job is None:
            raise Refused(404, "resourceNotFound", "The job was not found.")
        if job.left > 0:
            job.left -= 1
            return Answer(200, self._job(job, "jobID", "running"))
        if job.result == "pending":
            job.errors = job.errors or [error for one in job.resources for error in self._apply(one)]
            job.result = "failed" if job.errors else "succeeded"
        return Answer(200, self._job(job, "jobID", "completed"))

    def _job(self, job: Job, name: str, status: str) -> Resource:
        return {
            "$schema": f"{SCHEMAS}/configure-status/{self.version}",
            name: job.id,
            "jobStatus": status,
            "jobResult": job.result if status == "completed" else "pending",
            "jobStart": "2026-11-21T13:32:43.123456Z",
            "jobEnd": "0001-01-01T00:00:00",
            "errors": job.errors if status == "completed" else [],
        }

    def _apply(self, resource: Resource) -> list[Resource]:
        """Change a draft, or say why not. As Microsoft's messages do, these quote what was sent."""
        kind, _, guid = str(resource.get("id", "")).partition("/")
        offer = next((one for one in self.offers if one.id == guid), None)
        if kind != "customer-leads" or offer is None or offer.leads.get("draft") is None:
            return [{"code": "resourceNotFound", "message": f"{resource.get('id')} was not found."}]
        if any(one.get("status") in ("notStarted", "running") for one in offer.submissions):
            locked = {"code": "productLocked", "message": "The product is being published."}
            return [{"code": "conflict", "message": "The product cannot be changed.", "details": [locked]}]
        problem = self._problem(resource)
        if problem:
            detail = {"code": "schemaValidationError", "message": problem, "resourceId": resource["id"]}
            return [{"code": "invalidResource", "message": "The resource is not valid.", "details": [detail]}]
        offer.leads["draft"] = {k: v for k, v in resource.items() if k not in ("$schema", "id", "product")}
        return []

    @staticmethod
    def _problem(resource: Resource) -> str:
        way = resource.get("leadDestination")
        if way not in DESTINATIONS:
            return f"'{way}' is not a lead destination."
        others = [key for key in resource if key.endswith("LeadConfiguration") and key != f"{way}LeadConfiguration"]
        if others:
            return f"{others[0]} does not belong to '{way}'."
        settings = resource.get(f"{way}LeadConfiguration", {})
        value = str(settings.get("storageAccountConnectionString", ""))
        if way == "table" and not CONNECTION.fullmatch(value):
            return f"'{value}' does not match the pattern of a connection string."
        value = str(settings.get("httpsEndpointUrl", ""))
        if way == "httpsEndpoint" and not ADDRESS.fullmatch(value):
            return f"'{value}' does not match the pattern of an address."
        return ""


class StandIn:
    """An authority and a Partner Center account at `https://localhost:<port>`, while its `with` block lasts."""

    def __init__(self, directory: Path | str, port: int = 0) -> None:
        ca_file, server_file = certificate.server_files(Path(directory))
        self.ca_file = str(ca_file.resolve())
        self._server = Server(self._answer, server_file, port)
        self.url = f"https://localhost:{self._server.port}"
        self.reset()

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def reset(self) -> None:
        """Forget every offer, call, token and script; one app registration that Partner Center knows is left."""
        self._server.release()
        self._server.calls.clear()
        self._server.failures.clear()
        self.entra = Entra(self.url)
        self.entra.resources.add(RESOURCE)
        self.entra.registrations[CLIENT_ID] = Registration(CLIENT_ID, secrets={SECRET})
        self.account = Ingestion(self.url, self.entra)
        self.account.members.add(CLIENT_ID)

    def environ(self) -> dict[str, str]:
        """The settings with which the app signs in here with a client secret."""
        return {
            "PARTNER_CENTER_URL": f"{self.url}{BASE}",
            "PARTNER_CENTER_AUTHORITY": self.url,
            "PARTNER_CENTER_TENANT_ID": TENANT_ID,
            "PARTNER_CENTER_CLIENT_ID": CLIENT_ID,
            "PARTNER_CENTER_CLIENT_SECRET": SECRET,
            "REQUESTS_CA_BUNDLE": self.ca_file,
        }

    def identity_environ(self) -> dict[str, str]:
        """What App Service puts into the environment of an app with a managed identity."""
        return {
            "IDENTITY_ENDPOINT": f"{self.url}{IDENTITY_PATH}",
            "IDENTITY_HEADER": self.entra.identity_header,
            "REQUESTS_CA_BUNDLE": self.ca_file,
        }

    def add_identity(self, client_id: str) -> Identity:
        """Give the function app a user-assigned identity that Partner Center knows."""
        identity = Identity(client_id, str(uuid.uuid4()))
        self.entra.identities.append(identity)
        self.account.members.add(client_id)
        return identity

    @property
    def calls(self) -> list[Call]:
        """The requests to the API so far."""
        return [call for call in self._server.calls if call.path.startswith(BASE)]

    def fail(self, status: int = 503, *, body: Any = None, **more: Any) -> None:
        """Let the next requests fail, as `dev.server.Failure` describes; `times` 1 and every path without more."""
        headers = more.pop("headers", {})
        self._server.failures.append(Failure(Answer(status, body, headers), **{"path": BASE, **more}))

    def _answer(self, request: Request) -> Answer:
        if request.path.startswith(f"{BASE}/"):
            return self.account.answer(request)
        return self.entra.answer(request)


def table(account: str, key: str = "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=", **more: Any) -> Resource:
    """Customer leads that go to the table of a storage account."""
    value = f"DefaultEndpointsProtocol=https;AccountName={account};AccountKey={key};EndpointSuffix=core.windows.net"
    return {"leadDestination": "table", "tableLeadConfiguration": {"storageAccountConnectionString": value, **more}}


def https(address: str, **more: Any) -> Resource:
    """Customer leads that go to an HTTPS address."""
    return {"leadDestination": "httpsEndpoint", "httpsEndpointLeadConfiguration": {"httpsEndpointUrl": address, **more}}


def dynamics(url: str = "https://contoso.crm4.dynamics.com") -> Resource:
    """Customer leads that go to Dynamics 365."""
    settings = {
        "instanceUrl": url,
        "authentication": "azureAD",
        "applicationId": "55555555-5555-4555-8555-555555555555",
        "applicationKey": "s3cret~value",
        "directoryId": TENANT_ID,
    }
    return {"leadDestination": "dynamics", "dynamicsLeadConfiguration": settings}
