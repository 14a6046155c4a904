"""The client of Partner Center at the wire, and what it makes of answers that nobody documented."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev import certificate
from dev.standins.partner_center import BASE, SCHEMAS, StandIn, dynamics, https, table
from leads import oauth, offers, partner_center
from leads.errors import Failure, Misconfigured, Rejected, Throttled, Transient
from leads.partner_center import (
    CODES,
    INTERVALS,
    Job,
    PartnerCenter,
    Product,
    Settings,
    Target,
    Title,
    Way,
    Where,
    error_codes,
    finish,
    read_job,
    read_product,
    read_submission,
    read_tree,
    read_where,
)
from leads.reader import Reader
from leads.transport import Deadline

GUID = "99999999-9999-4999-8999-999999999999"


def client(center: StandIn, **more: str) -> PartnerCenter:
    return PartnerCenter(settings({**center.environ(), **more}))


def reading(environ: Mapping[str, str]) -> Reader:
    return Reader(environ, (*partner_center.SETTINGS, *offers.SETTINGS))


def settings(environ: Mapping[str, str]) -> Settings:
    reader = reading(environ)
    made = Settings.read(reader)
    assert reader.problems == []
    return made


def problems(**environ: str) -> list[str]:
    reader = reading({f"PARTNER_CENTER_{name}": value for name, value in environ.items()})
    Settings.read(reader)
    offers.read_publisher(reader)
    return [str(problem) for problem in reader.problems]


def soon() -> Deadline:
    return Deadline.after(20)


# Settings


def test_without_settings_partner_center_is_left_alone() -> None:
    assert settings({}).wanted is False
    assert settings({"PARTNER_CENTER_PUBLISHER": "Contoso"}).wanted is False
    defaults = {one.name: one.default for one in partner_center.SETTINGS}
    assert settings(defaults).wanted is False
    assert settings({"PARTNER_CENTER_MANAGED_IDENTITY_CLIENT_ID": GUID}).wanted is True
    assert offers.read_publisher(reading({"PARTNER_CENTER_PUBLISHER": "Contoso"})) == "contoso"


def test_secrets_are_declared_as_such() -> None:
    declared = (*partner_center.SETTINGS, *offers.SETTINGS)
    assert {one.name for one in declared if one.secret} == {
        "PARTNER_CENTER_CLIENT_SECRET",
        "PARTNER_CENTER_CERTIFICATE",
    }


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"CLIENT_ID": GUID}, ["CLIENT_SECRET: PARTNER_CENTER_CLIENT_ID names an app registration, but there"]),
        ({"CLIENT_SECRET": "x"}, ["TENANT_ID: It is not set.", "CLIENT_ID: It is not set."]),
        ({"CLIENT_ID": "mine", "TENANT_ID": "t.example", "CLIENT_SECRET": "x"}, ["CLIENT_ID: It must be a GUID."]),
        ({"CLIENT_ID": GUID, "TENANT_ID": GUID, "CERTIFICATE": "x"}, ["CERTIFICATE: It has to hold both"]),
        ({"URL": "http://graph.microsoft.com/rp"}, ["URL: It is not encrypted."]),
        ({"URL": "https://graph.microsoft.com/rp?code=1"}, ["URL: It contains more than an address."]),
        ({"API_VERSION": "newest"}, ["API_VERSION: It must be of the form"]),
        ({"PUBLISHER": "contoso.planner"}, ["PUBLISHER: It must be a publisher id"]),
    ],
)
def test_a_setting_that_cannot_be_right_is_named_with_its_remedy(environ: dict[str, str], told: list[str]) -> None:
    found = problems(**environ)
    assert len(found) == len(told)
    for problem, begin in zip(found, told, strict=True):
        assert problem.startswith(f"PARTNER_CENTER_{begin}")


def test_no_secret_shows_in_what_settings_look_like(center: StandIn) -> None:
    made = settings(center.environ())
    assert center.environ()["PARTNER_CENTER_CLIENT_SECRET"] not in repr(made)


# Sign-in


def test_the_token_is_for_graph_wherever_the_api_stands(center: StandIn) -> None:
    client(center).catalog(soon())
    assert {token.resource for token in center.entra.tokens.values()} == {"https://graph.microsoft.com"}
    assert center.calls[0].headers["authorization"].startswith("Bearer ")
    assert center.calls[0].query == {"$version": "2022-07-01"}


def test_a_certificate_signs_in(center: StandIn) -> None:
    private, public = certificate.app_credential()
    center.entra.registrations[center.environ()["PARTNER_CENTER_CLIENT_ID"]].add_certificate(public)
    made = client(center, PARTNER_CENTER_CLIENT_SECRET="", PARTNER_CENTER_CERTIFICATE=private.replace("\n", "\\n"))
    assert made.catalog(soon()).products == ()


def test_the_managed_identity_signs_in_if_partner_center_knows_it(
    center: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = center.add_identity("66666666-6666-4666-8666-666666666666")
    for name, value in center.identity_environ().items():
        monkeypatch.setenv(name, value)
    environ = {
        "PARTNER_CENTER_URL": f"{center.url}{BASE}",
        "PARTNER_CENTER_MANAGED_IDENTITY_CLIENT_ID": identity.client_id,
    }
    assert PartnerCenter(settings(environ)).catalog(soon()).products == ()
    center.account.members.remove(identity.client_id)
    with pytest.raises(Misconfigured, match="does not let this app look") as caught:
        PartnerCenter(settings(environ)).catalog(soon())
    assert "role Manager" in caught.value.remedy


def test_a_token_that_was_revoked_is_asked_for_anew_once(center: StandIn) -> None:
    made = client(center)
    made.catalog(soon())
    center.entra.tokens.clear()
    made.catalog(soon())
    assert [call.status for call in center.calls] == [200, 401, 200]
    center.fail(401, times=2)
    with pytest.raises(Misconfigured, match="refuses the sign-in"):
        made.catalog(soon())


# The list of offers


def test_every_page_is_read_as_its_link_says(center: StandIn) -> None:
    for number in range(8):
        center.account.add(f"offer-{number}", deprecated=number == 7)
    found = client(center).catalog(soon())
    assert [product.offer_id for product in found.products] == [f"offer-{number}" for number in range(8)]
    assert [product.deprecated for product in found.products] == [False] * 7 + [True]
    assert found.products[0].alias == "offer-0 (internal)"
    assert [call.query for call in center.calls] == [
        {"$version": "2022-07-01"},
        {"continuationToken": "3"},
        {"continuationToken": "6"},
    ]


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/rp/product-ingestion/product?continuationToken=3",
        "//evil.example/product",
        "http://{host}/rp/product-ingestion/product",
        "https://{host}@evil.example/product",
        "https://{host}.evil.example/product",
        "https://user@{host}/product",
        "https://{host}\\@evil.example/product",
        "https://[::1/product",
    ],
)
def test_a_link_to_another_host_gets_no_token(center: StandIn, link: str) -> None:
    host = center.url.removeprefix("https://")
    center.fail(200, body={"value": [], "@nextLink": link.format(host=host)})
    with pytest.raises(Failure):
        client(center).catalog(soon())
    assert len(center.calls) == 1


def test_a_list_without_end_is_given_up(center: StandIn) -> None:
    center.fail(200, body={"value": [], "@nextLink": f"{center.url}{BASE}/product?continuationToken=0"}, times=9)
    with pytest.raises(Transient, match="never ends"):
        client(center).catalog(soon())
    assert len(center.calls) == 2


def test_an_entry_that_cannot_be_read_is_counted_and_hides_no_other(center: StandIn) -> None:
    good = {"id": f"product/{GUID}", "identity": {"externalID": "planner"}, "type": "softwareAsAService", "alias": "P"}
    gone = {**good, "lifecycleState": "deleted"}
    center.fail(200, body={"value": [{"id": "plan/1"}, None, good, gone, {**good, "id": "product/../../token"}]})
    found = client(center).catalog(soon())
    assert found.products == (Product(GUID, "planner", "softwareAsAService", "P"),)
    assert found.unread == 3


def test_a_wrong_base_is_not_taken_for_an_account_without_offers(center: StandIn) -> None:
    made = client(center, PARTNER_CENTER_URL=f"{center.url}{BASE}/beta")
    with pytest.raises(Rejected, match=r"does not have this list \(404\)") as caught:
        made.catalog(soon())
    assert "PARTNER_CENTER_URL" in caught.value.remedy


# One offer


def test_a_look_reads_live_draft_and_publications(center: StandIn) -> None:
    offer = center.account.add("planner", table("leadsinbox"), titles={"en-us": "Planner", "de-de": "Planer"})
    made = client(center)
    reading = made.look(made.catalog(soon()).products[0], soon())
    assert reading.troubles == ()
    assert reading.live is not None
    assert reading.live.leads == Where(Way.TABLE)
    assert reading.live.titles == (Title("en-us", "Planner"), Title("de-de", "Planer"))
    assert reading.draft == Where(Way.TABLE)
    assert reading.published_at == datetime(2026, 1, 5, 7, 13, 6, 440803, tzinfo=UTC)
    assert not reading.publishing
    assert [(call.path.removeprefix(f"{BASE}/"), call.query.get("targetType")) for call in center.calls[1:]] == [
        (f"resource-tree/product/{offer.id}", "live"),
        (f"customer-leads/{offer.id}", None),
        (f"submission/{offer.id}", None),
    ]


def test_the_preview_is_read_where_the_draft_differs(center: StandIn) -> None:
    offer = center.account.add("planner", dynamics())
    offer.leads["draft"] = https("https://leads.example/api/leads?code=abc")
    center.account.publish(offer)
    made = client(center)
    reading = made.look(made.catalog(soon()).products[0], soon())
    assert reading.preview == reading.draft == Where(Way.HTTPS, "leads.example", "/api/leads", keyed=True)
    assert reading.live is not None
    assert reading.live.leads == Where(Way.DYNAMICS, "contoso.crm4.dynamics.com")


@pytest.mark.parametrize("status", [400, 401, 403, 410, 500, 503])
def test_only_404_means_not_live(center: StandIn, status: int) -> None:
    center.account.add("planner", table("leadsinbox"), live=False)
    made = client(center)
    product = made.catalog(soon()).products[0]
    assert made.look(product, soon()).live is None
    assert made.look(product, soon()).trouble("live") is None
    center.fail(status, path="resource-tree", times=3)
    trouble = made.look(product, soon()).trouble("live")
    assert trouble is not None
    assert trouble.remedy


def test_throttling_ends_a_look_with_the_wait_that_was_asked_for(center: StandIn) -> None:
    center.account.add("planner")
    made = client(center)
    product = made.catalog(soon()).products[0]
    center.fail(429, path="submission", headers={"Retry-After": "17"})
    with pytest.raises(Throttled) as caught:
        made.look(product, soon())
    assert caught.value.retry_after == 17


def test_a_tree_of_several_mebibytes_is_read(center: StandIn) -> None:
    center.account.add("planner", https("https://leads.example/api/leads"), ballast=6 * 1024 * 1024)
    made = client(center)
    tree = made.tree(made.catalog(soon()).products[0], Target.LIVE, soon())
    assert tree is not None
    assert tree.leads == Where(Way.HTTPS, "leads.example", "/api/leads")


def test_a_tree_that_is_cut_is_not_read_as_an_offer_without_leads(
    center: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    center.account.add("planner", ballast=10_000)
    monkeypatch.setattr(partner_center, "TREE_LIMIT", 5_000)
    made = client(center)
    with pytest.raises(Transient, match="cannot be read"):
        made.tree(made.catalog(soon()).products[0], Target.LIVE, soon())


# Where leads go


@pytest.mark.parametrize(
    ("resource", "where"),
    [
        ({}, Where("")),
        ({"leadDestination": 7}, Where("")),
        ({"leadDestination": "none"}, Where("none")),
        ({"leadDestination": "carrierPigeon"}, Where("carrierPigeon")),
        (table("leadsinbox"), Where("table", "leadsinbox")),
        ({"leadDestination": "table", "tableLeadConfiguration": None}, Where("table")),
        (
            {
                "leadDestination": "table",
                "tableLeadConfiguration": {
                    "storageAccountConnectionString": "AccountName=leads;AccountKey=***;EndpointSuffix=x"
                },
            },
            Where("table", "leads"),
        ),
        (
            {
                "leadDestination": "table",
                "tableLeadConfiguration": {"storageAccountConnectionString": "AccountName=le****;AccountKey=***"},
            },
            Where("table"),
        ),
        # A configuration of another way may stand beside: the destination decides.
        ({**table("leadsinbox"), "leadDestination": "none"}, Where("none")),
        (
            https("https://Leads.Example:443/API/leads/?code=k"),
            Where("httpsEndpoint", "leads.example", "/api/leads", True),
        ),
        (https("https://leads.example:8443/"), Where("httpsEndpoint", "leads.example:8443")),
        (https("https://leads.example/api/leads?code=&x=1"), Where("httpsEndpoint", "leads.example", "/api/leads")),
        (https("********"), Where("httpsEndpoint")),
        (https("https://[::1/api"), Where("httpsEndpoint")),
        (dynamics(), Where("dynamics", "contoso.crm4.dynamics.com")),
    ],
)
def test_where_a_resource_sends_leads(resource: dict[str, Any], where: Where) -> None:
    assert read_where(resource) == where


def test_no_key_and_no_path_shows_in_what_was_read() -> None:
    where = read_where(https("https://hooks.example/services/T0/SECRETPATH?code=SECRETKEY"))
    assert "SECRET" not in repr(where).upper().replace("SECRETS", "")
    where = read_where(table("leadsinbox"))
    assert "a2V5" not in repr(where)
    assert {one.name for one in fields(Where)} == {"way", "place", "path", "keyed"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
LEADS = st.dictionaries(
    st.sampled_from(
        [
            "leadDestination",
            "tableLeadConfiguration",
            "httpsEndpointLeadConfiguration",
            "id",
            "$schema",
            "dynamicsLeadConfiguration",
        ]
    ),
    JSON
    | st.sampled_from(["table", "httpsEndpoint", "dynamics", "blob"])
    | st.fixed_dictionaries(
        {},
        optional={"httpsEndpointUrl": st.text(), "storageAccountConnectionString": st.text(), "instanceUrl": st.text()},
    ),
)
RESOURCES = st.lists(
    JSON
    | LEADS
    | st.fixed_dictionaries({"id": st.just("listing/x"), "title": JSON, "languageId": JSON})
    | LEADS.map(lambda leads: {**leads, "id": "customer-leads/x"}),
    max_size=6,
)


@given(st.dictionaries(st.sampled_from(["root", "target"]), JSON), RESOURCES)
def test_no_tree_however_strange_breaks_the_reading(rest: dict[str, Any], resources: list[Any]) -> None:
    tree = read_tree({**rest, "resources": resources})
    if tree.leads is not None:
        shown = f"{tree.leads.way}{tree.leads.place}"
        assert shown.isprintable()
        assert not set(shown) & set("?&#/@ ")
    for title in tree.titles:
        assert 0 < len(title.text) <= 300
        assert title.text.isprintable()


@given(JSON)
def test_no_entry_however_strange_breaks_the_reading(entry: Any) -> None:
    product = read_product(entry)
    assert product is None or product.offer_id
    read_submission(entry)
    assert all(code.isalnum() for code in error_codes(entry))
    if isinstance(entry, dict):
        with_status = {"jobStatus": "running", **entry}
        try:
            read_job(with_status)
        except Transient:
            assert not isinstance(with_status["jobStatus"], str) or not with_status["jobStatus"].isalnum()


def test_an_offer_is_being_published_only_by_its_preview_or_live_entry() -> None:
    def runs(target: str, status: str | None) -> bool:
        return read_submission({"target": {"targetType": target}, "status": status}).runs

    assert [runs(target, "running") for target in ("draft", "preview", "live")] == [False, True, True]
    assert [runs("preview", status) for status in ("notStarted", "completed", None)] == [True, False, False]


# Changes


def configured(center: StandIn, leads: dict[str, Any]) -> tuple[PartnerCenter, Job]:
    offer = center.account.add("planner", dynamics())
    made = client(center)
    resource = {"$schema": f"{SCHEMAS}/customer-leads/2022-03-01-preview3", "id": f"customer-leads/{offer.id}", **leads}
    return made, made.configure(resource, soon())


class Time:
    """A clock that only a pause moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def test_a_change_is_sent_with_the_schemas_host_and_waited_for(center: StandIn) -> None:
    center.account.slow = 5
    made, job = configured(center, table("leadsinbox"))
    time = Time()
    finish(made, job, time.pause, time)
    assert time.pauses == [*INTERVALS, 60.0, 60.0]
    sent = next(call for call in center.calls if call.method == "POST")
    assert sent.query == {"$version": "2022-07-01"}
    assert sent.json()["$schema"] == f"{SCHEMAS}/configure/2022-07-01"
    assert sent.json()["resources"][0]["$schema"] == f"{SCHEMAS}/customer-leads/2022-03-01-preview3"
    assert center.account.offers[0].leads["draft"] == table("leadsinbox")
    assert center.account.offers[0].leads["live"] == dynamics()


def test_retry_after_is_kept_and_trouble_with_a_question_is_not_the_end(center: StandIn) -> None:
    made, job = configured(center, table("leadsinbox"))
    center.fail(503, path="status", headers={"Retry-After": "33"})
    center.fail(429, path="status", headers={"Retry-After": "44"})
    center.fail(500, path="status")
    center.fail(404, path="status")
    time = Time()
    finish(made, job, time.pause, time)
    assert time.pauses == [2.0, 33.0, 44.0, 20.0, 60.0, 60.0]


def test_a_change_that_outlasts_ten_minutes_is_given_up_in_words(center: StandIn) -> None:
    center.account.slow = 1000
    made, job = configured(center, table("leadsinbox"))
    time = Time()
    with pytest.raises(Transient, match="within ten minutes") as caught:
        finish(made, job, time.pause, time)
    assert 500 < time.now <= 600
    assert "leads offers" in caught.value.remedy


@pytest.mark.parametrize("result", ["failed", "cancelled", "pending", "somethingNew"])
def test_success_is_succeeded_alone(center: StandIn, result: str) -> None:
    made, job = configured(center, table("leadsinbox"))
    center.fail(200, body={"jobId": job.id, "jobStatus": "completed", "jobResult": result, "errors": []}, path="status")
    with pytest.raises(Rejected) as caught:
        finish(made, job, Time().pause, Time())
    assert caught.value.remedy
    assert ("cancelled the change" in caught.value.cause) == (result == "cancelled")


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_is_explained_also_in_details_and_without_what_was_sent(center: StandIn, code: str) -> None:
    key = "bm90LWZvci1hbnlib2R5LWVsc2UtdG8tc2Vl"
    made, job = configured(center, table("leadsinbox", key))
    inner = {"code": code, "message": f"'AccountKey={key}' is not good.", "details": []}
    error = {"code": "conflict", "message": f"Sent: {key}", "details": [{"code": "badRequest", "details": [inner]}]}
    body = {"jobID": job.id, "jobStatus": "completed", "jobResult": "failed", "errors": [error]}
    center.fail(200, body=body, path="status")
    with pytest.raises(Rejected) as caught:
        finish(made, job, Time().pause, Time())
    assert CODES[code][0] in caught.value.cause
    assert CODES[code][1] in caught.value.remedy
    assert code in caught.value.cause
    assert key not in caught.value.cause + caught.value.remedy
    assert ("conflict" in caught.value.cause) == (code in ("conflict", "badRequest"))


def test_a_refusal_at_once_is_explained_like_one_of_a_job(center: StandIn) -> None:
    offer = center.account.add("planner")
    details = [{"code": "notSupported", "message": "AccountKey=abc"}, {"code": "somethingNew"}, {"code": "<b>x</b>"}]
    center.fail(400, body={"error": {"code": "badRequest", "message": "AccountKey=abc", "details": details}}, times=1)
    with pytest.raises(Rejected) as caught:
        client(center).configure({"id": f"customer-leads/{offer.id}"}, soon())
    assert "cannot change offers of this type" in caught.value.cause
    assert "(notSupported, somethingNew, unknown)" in caught.value.cause
    assert "abc" not in caught.value.cause + caught.value.remedy
    assert "<b>" not in caught.value.cause


def test_codes_nested_without_end_are_looked_at_to_an_end() -> None:
    error: dict[str, Any] = {"code": "productLocked"}
    for _ in range(5000):
        error = {"code": "conflict", "details": [error]}
    assert error_codes(error) == ("conflict",)
    assert error_codes({"errors": [{"code": "x"}] * 5000}) == ("x",)


def test_nothing_of_an_answer_is_quoted(center: StandIn) -> None:
    center.fail(418, body={"message": "AccountKey=abc; someone@example.com"})
    with pytest.raises(Rejected) as caught:
        client(center).catalog(soon())
    assert "418" in caught.value.cause
    assert "abc" not in json.dumps([caught.value.cause, caught.value.remedy])


def test_the_client_of_msal_is_shared(center: StandIn) -> None:
    client(center).catalog(soon())
    client(center).catalog(soon())
    assert center.entra.issued == 1
    oauth._client.cache_clear()
