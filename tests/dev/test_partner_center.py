"""The stand-in for Partner Center: that it behaves as documented, and that its bodies fit Microsoft's own schemas."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from dev.standins.partner_center import BASE, MASK, SCHEMAS, StandIn, dynamics, https, table
from leads import oauth, transport
from leads.transport import Deadline

SCHEMA_FILES = "PARTNER_CENTER_SCHEMAS"
"""An environment variable with the folder that holds Microsoft's schemas; without it they are not looked at."""
VERSION = "2022-03-01-preview2"
HOST = "https://product-ingestion.azureedge.net/schema"


def registry() -> Registry[Any]:
    """Microsoft's schemas together. What several of them define is taken once, and a masked secret is what ours is."""
    folder = Path(os.environ.get(SCHEMA_FILES, ""))
    if SCHEMA_FILES not in os.environ or not folder.is_dir():
        pytest.skip(f"{SCHEMA_FILES} names no folder")
    found: dict[str, Any] = {f"{HOST}/masked-secret/{VERSION}": {"type": "string", "const": MASK}}
    # In this order the last definition of a schema's address counts: that of product.json knows no other host.
    for name in ("product", "submission", "resource-tree", "customer-leads"):
        document = json.loads((folder / f"{name}.json").read_text())
        shared = {key: value for key, value in document.get("$defs", {}).items() if key.startswith("https://")}
        document["$defs"] = {key: value for key, value in document.get("$defs", {}).items() if key not in shared}
        for key, value in shared.items():
            found[key] = {one: part for one, part in value.items() if one != "$defs"}
        found[document["$id"]] = document
    for one in found.values():
        one.pop("$schema", None)
    return Registry().with_resources(
        (key, Resource.from_contents(value, default_specification=DRAFT202012)) for key, value in found.items()
    )


def problems(kind: str, body: Any) -> list[str]:
    made = Draft202012Validator({"$ref": f"{HOST}/{kind}/{VERSION}"}, registry=registry())
    return [f"{list(error.absolute_path)}: {error.message[:200]}" for error in made.iter_errors(body)]


def ask(center: StandIn, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    credentials = oauth.Credentials(
        tenant_id=center.environ()["PARTNER_CENTER_TENANT_ID"],
        client_id=center.environ()["PARTNER_CENTER_CLIENT_ID"],
        secret=center.environ()["PARTNER_CENTER_CLIENT_SECRET"],
        authority=center.url,
    )
    token = oauth.token(credentials, "https://graph.microsoft.com", deadline=Deadline.after(20))
    answer = transport.request(
        method,
        f"{center.url}{BASE}/{path}",
        deadline=Deadline.after(20),
        headers={"Authorization": f"Bearer {token}"},
        json=body,
    )
    return answer.status, answer.json()


WAYS = [
    {"leadDestination": "none"},
    table("leadsinbox"),
    table("leadsinbox", contactEmail=["sales@contoso.com"]),
    https("https://leads.contoso.com/api/leads?code=abc%3D"),
    dynamics(),
    {"leadDestination": "salesforce", "salesforceLeadConfiguration": {"objectIdentifier": "00Do0000000ZHog"}},
    {"leadDestination": "email", "emailLeadConfiguration": {"contactEmail": ["sales@contoso.com"]}},
]


@pytest.mark.parametrize("leads", WAYS, ids=lambda leads: str(leads["leadDestination"]))
def test_every_body_fits_microsofts_schemas(center: StandIn, leads: dict[str, Any]) -> None:
    offer = center.account.add("planner", leads, titles={"en-us": "Planner", "de-de": "Planer"}, ballast=10)
    center.account.publish(offer)
    center.account.publish(offer, "live", done=False)
    version = "?$version=2022-07-01"
    bodies: Iterator[tuple[str, Any]] = iter(
        [
            *(("product", one) for one in ask(center, f"product{version}")[1]["value"]),
            *(("submission", one) for one in ask(center, f"submission/{offer.id}{version}")[1]["value"]),
            ("customer-leads", ask(center, f"customer-leads/{offer.id}{version}")[1]),
            *(
                ("resource-tree", ask(center, f"resource-tree/product/{offer.id}{version}&targetType={target}")[1])
                for target in ("draft", "preview", "live")
            ),
        ]
    )
    for kind, body in bodies:
        assert problems(kind, body) == [], kind
        assert body["$schema"].startswith(SCHEMAS) if "$schema" in body else True


def test_what_connect_sends_fits_microsofts_schemas() -> None:
    from leads.operate import connect

    resource = {"$schema": f"{SCHEMAS}/customer-leads/{VERSION}", "id": "customer-leads/1", "product": "product/1"}
    key = "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U="
    for wanted in (
        *(connect.table("leadsinbox", key, suffix) for suffix in connect.SUFFIXES),
        connect.https("leads.contoso.com", "k3y-of_receive-lead0123456789=="),
    ):
        for before in WAYS:
            assert problems("customer-leads", connect.change({**resource, **before}, wanted)) == []


def test_the_schemas_would_tell(center: StandIn) -> None:
    resource = {"$schema": f"{SCHEMAS}/customer-leads/{VERSION}", "product": "product/1", "leadDestination": "table"}
    wrong = {"storageAccountConnectionString": "AccountKey=abc;AccountName=leadsinbox"}
    assert problems("customer-leads", {**resource, "tableLeadConfiguration": wrong})
    assert problems("customer-leads", {**resource, "leadDestination": "pigeon"})


def test_a_draft_changes_by_a_job_and_reaches_customers_by_publishing(center: StandIn) -> None:
    offer = center.account.add("planner", dynamics())
    resource = {"$schema": f"{SCHEMAS}/customer-leads/{VERSION}", "id": f"customer-leads/{offer.id}", **table("inbox")}
    body = {"$schema": f"{SCHEMAS}/configure/{VERSION}", "resources": [resource]}
    status, job = ask(center, "configure?$version=1", "POST", body)
    assert (status, job["jobStatus"], job["jobResult"]) == (202, "notStarted", "pending")
    states = [ask(center, f"configure/{job['jobId']}/status?$version=1")[1] for _ in range(2)]
    assert [(one["jobStatus"], one["jobResult"]) for one in states] == [
        ("running", "pending"),
        ("completed", "succeeded"),
    ]
    tree = f"resource-tree/product/{offer.id}?$version=1&targetType="
    ways = [
        next(one for one in ask(center, f"{tree}{target}")[1]["resources"] if one["id"].startswith("customer-leads/"))
        for target in ("draft", "live")
    ]
    assert [one["leadDestination"] for one in ways] == ["table", "dynamics"]
    assert ways[0]["tableLeadConfiguration"]["storageAccountConnectionString"] == MASK
    center.account.publish(offer)
    center.account.publish(offer, "live")
    assert offer.leads["live"] == table("inbox")


@pytest.mark.parametrize(
    ("path", "status"),
    [("product", 400), ("resource-tree/product/none?$version=1", 404), ("configure/none/status?$version=1", 404)],
)
def test_it_refuses_as_documented(center: StandIn, path: str, status: int) -> None:
    assert ask(center, path)[0] == status
