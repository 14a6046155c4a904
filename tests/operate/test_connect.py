"""Pointing an offer at this app: what is written, what stays, what is refused, and what a crash leaves."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.standins.partner_center import ADDRESS, BASE, CONNECTION, StandIn, dynamics, https, table
from leads import partner_center
from leads.errors import Failure, Misconfigured, Rejected, Throttled, Transient
from leads.offers import Offer
from leads.operate import connect, market
from leads.operate.connect import Wanted, WrongValue
from leads.operate.market import Mark
from leads.partner_center import PartnerCenter, Product, Settings, Way, Where
from leads.reader import Reader
from leads.sweep import verdict
from leads.sweep.verdict import Here
from leads.transport import Deadline

KEY = "bm90LWZvci1hbnlib2R5LWVsc2UtdG8tc2VlLW5vdC1ldmVuLW9uLXNjcmVlbg=="
FUNCTION_KEY = "k3y-of_receive-lead0123456789abcdefAzFu=="
HERE = Here(("https://contoso-leads.azurewebsites.net",), "leadsinbox")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def client(center: StandIn) -> PartnerCenter:
    return PartnerCenter(Settings.read(Reader(center.environ(), partner_center.SETTINGS)))


def soon() -> Deadline:
    return Deadline.after(20)


def product(center: StandIn) -> Product:
    return client(center).catalog(soon()).products[0]


def wanted() -> Wanted:
    return connect.table("leadsinbox", KEY)


def run(center: StandIn, what: Wanted) -> list[Mark]:
    marks: list[Mark] = []
    made = client(center)
    connect.apply(made, connect.plan(made, product(center), what, soon()), marks.append, lambda _: None)
    return marks


# What is written


@given(
    st.from_regex(r"[a-z0-9]{3,24}", fullmatch=True),
    st.binary(min_size=64, max_size=64),
    st.sampled_from(connect.SUFFIXES),
)
def test_a_connection_string_has_the_form_that_partner_center_takes(account: str, key: bytes, suffix: str) -> None:
    import base64

    made = connect.table(f" {account.upper()} ", base64.b64encode(key).decode(), suffix)
    assert CONNECTION.fullmatch(made.value)
    assert made.where == Where(Way.TABLE, account)
    assert base64.b64encode(key).decode() not in repr(made)


@pytest.mark.parametrize(
    ("account", "key", "suffix", "told"),
    [
        ("my-account", KEY, "core.windows.net", "3 to 24 small letters"),
        ("leadsinbox", "sv=2024&sig=abc", "core.windows.net", "not the key of a storage account"),
        ("leadsinbox", f"{KEY};BlobEndpoint=x", "core.windows.net", "not the key of a storage account"),
        ("leadsinbox", KEY, "storage.azure.net", "core.windows.net"),
    ],
)
def test_what_partner_center_would_refuse_is_refused_here_without_the_key(
    account: str, key: str, suffix: str, told: str
) -> None:
    with pytest.raises(WrongValue, match=re.escape(told)) as caught:
        connect.table(account, key, suffix)
    assert key not in str(caught.value)


def test_the_suffix_is_that_of_the_accounts_own_table_service() -> None:
    assert connect.suffix_of("https://leadsinbox.table.core.windows.net/\n") == "core.windows.net"
    assert connect.suffix_of("https://leadsinbox.table.core.usgovcloudapi.net/") == "core.usgovcloudapi.net"
    assert connect.suffix_of("None") == ""


@pytest.mark.parametrize(
    ("address", "value", "where"),
    [
        (
            "contoso-leads.azurewebsites.net",
            f"https://contoso-leads.azurewebsites.net/api/leads?code={FUNCTION_KEY.replace('=', '%3D')}",
            Where(Way.HTTPS, "contoso-leads.azurewebsites.net", "/api/leads", keyed=True),
        ),
        (
            "https://api.contoso.com/Market/api/leads/",
            f"https://api.contoso.com/Market/api/leads?code={FUNCTION_KEY.replace('=', '%3D')}",
            Where(Way.HTTPS, "api.contoso.com", "/market/api/leads", keyed=True),
        ),
    ],
)
def test_an_address_has_the_key_of_receive_lead(address: str, value: str, where: Where) -> None:
    made = connect.https(address, FUNCTION_KEY)
    assert (made.value, made.where) == (value, where)
    assert ADDRESS.fullmatch(made.value)
    assert FUNCTION_KEY[:10] not in repr(made)


@pytest.mark.parametrize(
    "address", ["http://leads.example", "https://leads.example/?code=x", "https://", "https://a b"]
)
def test_an_address_without_tls_or_with_a_key_is_refused(address: str) -> None:
    with pytest.raises(WrongValue):
        connect.https(address, FUNCTION_KEY)
    with pytest.raises(WrongValue, match="not a function key"):
        connect.https("https://leads.example", "short&x=1")


def test_contact_addresses_of_the_same_way_stay_and_another_way_goes() -> None:
    people: dict[str, Any] = {"contactEmail": ["sales@contoso.com"]}
    rest = {
        "$schema": "…/customer-leads/2022-03-01-preview3",
        "id": "customer-leads/x",
        "product": "product/x",
        "new": 1,
    }
    old = {**rest, **table("oldinbox", **people), "dynamicsLeadConfiguration": {}, "validations": []}
    assert connect.change(old, wanted()) == {**rest, **table("leadsinbox", KEY, **people)}
    address = connect.https("leads.example", FUNCTION_KEY)
    assert connect.change({**rest, **dynamics()}, address) == {**rest, **https(address.value)}


def test_connect_changes_the_draft_alone_and_shows_before_and_after_without_a_key(center: StandIn) -> None:
    offer = center.account.add("planner", dynamics())
    made = client(center)
    planned = connect.plan(made, product(center), wanted(), soon())
    assert verdict.name(planned.before) == "Dynamics 365 (contoso.crm4.dynamics.com)"
    assert verdict.name(planned.after) == "Azure Table (leadsinbox)"
    assert planned.stale == ("dynamicsLeadConfiguration",)
    assert KEY not in repr(planned)
    assert run(center, wanted()) == [Mark.BEGAN, Mark.DONE]
    assert offer.leads["draft"] == table("leadsinbox", KEY)
    assert offer.leads["live"] == offer.leads["preview"] == dynamics()
    assert not any("submission" in str(job.resources) for job in center.account.jobs.values())


def test_nothing_is_written_while_a_publication_runs(center: StandIn) -> None:
    offer = center.account.add("planner", dynamics())
    center.account.publish(offer, done=False)
    with pytest.raises(Rejected, match="planner is being published"):
        connect.plan(client(center), product(center), wanted(), soon())
    assert not center.account.jobs


def test_an_offer_without_the_resource_is_refused_in_words(center: StandIn) -> None:
    center.account.add("planner").leads["draft"] = None
    with pytest.raises(Rejected, match="no Customer leads that could be set"):
        connect.plan(client(center), product(center), wanted(), soon())


def test_a_publication_that_begins_in_between_is_refused_by_partner_center(center: StandIn) -> None:
    offer = center.account.add("planner", dynamics())
    made, marks = client(center), list[Mark]()
    planned = connect.plan(made, product(center), wanted(), soon())
    center.account.publish(offer, done=False)
    with pytest.raises(Rejected, match="locked"):
        connect.apply(made, planned, marks.append, lambda _: None)
    assert marks == [Mark.BEGAN, Mark.REFUSED]


@pytest.mark.parametrize(
    ("status", "failure", "marks"),
    [
        (400, Rejected, [Mark.BEGAN, Mark.REFUSED]),
        (403, Misconfigured, [Mark.BEGAN, Mark.REFUSED]),
        (429, Throttled, [Mark.BEGAN, Mark.REFUSED]),
        (503, Transient, [Mark.BEGAN]),
    ],
)
def test_only_a_definite_refusal_is_noted_as_one(
    center: StandIn, status: int, failure: type[Failure], marks: list[Mark]
) -> None:
    center.account.add("planner", dynamics())
    made, noted = client(center), list[Mark]()
    planned = connect.plan(made, product(center), wanted(), soon())
    center.fail(status, method="POST", body={"error": {"code": "invalidResource", "message": KEY}})
    with pytest.raises(failure) as caught:
        connect.apply(made, planned, noted.append, lambda _: None)
    assert noted == marks
    assert KEY not in f"{caught.value.cause}{caught.value.remedy}"


# A crash at any point


class Crash(BaseException):
    """The process ends here."""


def crashing(center: StandIn, at: int) -> tuple[Offer, bool]:
    """Connect, and crash at the step of this number. Returns what was kept, and whether it went through."""
    step = 0

    def now_and_then() -> None:
        nonlocal step
        step += 1
        if step == at:
            raise Crash

    kept = Offer(product(center).id, "planner")

    def mark(known: Mark) -> None:
        nonlocal kept
        now_and_then()
        kept = market.marked(kept, known, "Azure Table (leadsinbox)", NOW)
        now_and_then()

    def around(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            now_and_then()
            result = method(*args)
            now_and_then()
            return result

        return call

    made = client(center)
    for name in ("submissions", "customer_leads", "configure", "job"):
        setattr(made, name, around(getattr(made, name)))
    try:
        connect.apply(made, connect.plan(made, product(center), wanted(), soon()), mark, lambda _: now_and_then())
    except Crash:
        return kept, False
    return kept, True


def test_a_crash_at_any_point_leaves_a_draft_that_offers_explains(center: StandIn) -> None:
    """Either nothing was sent and nothing is said, or what was begun is told; and connecting again sets it right."""
    for at in range(1, 100):
        center.account.offers.clear()
        center.account.jobs.clear()
        offer = center.account.add("planner", table("oldinbox"))
        kept, through = crashing(center, at)
        changed = bool(center.account.jobs)
        reading = client(center).look(product(center), soon())
        judged = verdict.judge(reading, HERE)
        seen = verdict.seen(kept, reading, judged, NOW)
        said = " ".join(verdict.written(seen))
        if changed:
            assert "Azure Table (leadsinbox)" in said
            assert ("did not learn how that ended" in said) == (seen.connected_at is None)
            assert seen.press == "Review and publish"
        assert run(center, wanted()) == [Mark.BEGAN, Mark.DONE]
        assert offer.leads["draft"] == table("leadsinbox", KEY)
        if through:
            assert at > 10
            assert "did not learn" not in said
            return
    raise AssertionError("it never ended")


def test_a_refusal_takes_back_what_was_begun_and_leaves_what_was_done() -> None:
    before = Offer("x", "planner", connected_at=NOW, connected_to="HTTPS (leads.example)")
    later = NOW.replace(hour=13)
    began = market.marked(before, Mark.BEGAN, "Azure Table (leadsinbox)", later)
    assert [said.split(" ")[1] for said in verdict.written(began)] == ["wrote", "began"]
    assert market.marked(began, Mark.REFUSED, "", later) == before
    done = market.marked(began, Mark.DONE, "Azure Table (leadsinbox)", later)
    assert verdict.written(done) == (
        "`connect` wrote Azure Table (leadsinbox) into its draft on 2026-11-21 13:00 UTC.",
    )


# What --all leaves alone


@pytest.mark.parametrize(
    ("live", "draft", "why"),
    [
        (https("https://contoso-leads.azurewebsites.net/api/leads?code=k"), None, "right already"),
        (
            dynamics(),
            https("https://contoso-leads.azurewebsites.net/api/leads?code=k"),
            "draft is right already",
        ),
        (dynamics(), None, "Dynamics 365 (contoso.crm4.dynamics.com). Name it, or use --replace."),
        (dynamics(), {"leadDestination": "none"}, "Name it, or use --replace."),
        ({"leadDestination": "none"}, https("https://hooks.example/SECRET"), "HTTPS (hooks.example)."),
        (table("leadsinbox"), None, "the app cannot compare"),
        ({"leadDestination": "none"}, None, ""),
    ],
)
def test_all_leaves_alone_what_is_right_or_was_set_on_purpose(
    center: StandIn, live: dict[str, Any], draft: dict[str, Any] | None, why: str
) -> None:
    offer = center.account.add("planner", live)
    offer.leads["draft"] = draft or offer.leads["draft"]
    reading = client(center).look(product(center), soon())
    said = connect.left_alone(reading, HERE, take_over=False)
    assert why in said
    assert bool(said) == bool(why)
    assert "SECRET" not in said
    assert bool(connect.left_alone(reading, HERE, take_over=True)) == (
        bool(why) and "--replace" not in why and "HTTPS" not in why
    )


def test_all_leaves_alone_what_runs_what_cannot_be_read_and_what_is_no_more(center: StandIn) -> None:
    offer = center.account.add("planner")
    made = client(center)
    center.account.publish(offer, done=False)
    assert "publication" in connect.left_alone(made.look(product(center), soon()), HERE, take_over=True)
    center.account.publish(offer)
    reading = made.look(product(center), soon())
    assert connect.left_alone(reading, HERE, take_over=True) == ""
    assert "taken off" in connect.left_alone(
        replace(reading, product=replace(reading.product, deprecated=True)), HERE, take_over=True
    )
    center.fail(503, path="resource-tree")
    assert "could not be read" in connect.left_alone(made.look(product(center), soon()), HERE, take_over=True)
    offer.leads["draft"] = None
    assert "not have Customer leads" in connect.left_alone(made.look(product(center), soon()), HERE, take_over=True)


def test_no_call_carries_a_key_in_its_address(center: StandIn) -> None:
    center.account.add("planner", dynamics())
    run(center, connect.https("leads.example", FUNCTION_KEY))
    for call in center.calls:
        assert call.path.startswith(BASE)
        assert FUNCTION_KEY[:8] not in f"{call.path}{call.query}"
