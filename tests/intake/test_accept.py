"""One lead in: what a caller is told, what is kept, and what a repeat does."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from leads.errors import Misconfigured
from leads.intake import accept, normalize
from leads.lead import Lead, Via
from leads.store.ledger import Seen
from leads.store.protocol import Row
from tests.world import PERSON, FakeDestination, World, post, row, world


@pytest.fixture
def w() -> Iterator[World]:
    with world(crm=FakeDestination(), mail=FakeDestination()) as made:
        yield made


def test_a_lead_is_durable_and_rung_for_when_it_is_answered(w: World) -> None:
    body = post()
    receipt = accept.receive(w.app, body, w.now)
    customer, _, event = receipt.id.partition("-")
    assert w.ids() == [receipt.id]
    assert w.states() == {"crm": "open", "mail": "open"}
    assert w.store.containers["raw"][f"2026/11/21/{event}.json"].data == body
    assert [(lead, to) for _, lead, to in w.bell.waiting] == [(receipt.id, "crm"), (receipt.id, "mail")]
    assert len(customer) == len(event) == 16
    assert w.app.ledger.open_line(receipt.id) is not None


def test_the_same_post_again_is_the_same_lead(w: World) -> None:
    first = accept.receive(w.app, post(), w.now)
    w.forward(hours=3)
    again = accept.receive(w.app, b"\xef\xbb\xbf" + post().replace(b'", "', b'",  "'), w.now)
    assert (again.id, again.repeated) == (first.id, True)
    assert len(w.ids()) == 1
    assert len(w.bell.waiting) == 2


def test_the_same_content_on_another_day_is_another_lead(w: World) -> None:
    first = accept.receive(w.app, post(), w.now)
    w.forward(days=1)
    second = accept.receive(w.app, post(), w.now)
    assert second.id != first.id
    assert second.id[:16] == first.id[:16], "it is the same customer"


@pytest.mark.parametrize(("minutes", "same"), [(5, True), (119, True), (121, False)])
def test_a_retry_across_midnight_is_the_same_lead_for_two_hours(w: World, minutes: int, same: bool) -> None:
    w.forward(hours=11, minutes=59)
    first = accept.receive(w.app, post(), w.now)
    w.forward(minutes=minutes)
    assert (accept.receive(w.app, post(), w.now).id == first.id) is same


def test_one_customer_however_the_address_is_written(w: World) -> None:
    ids = {
        accept.receive(w.app, post(userDetails=PERSON | {"email": email}), w.now).id[:16]
        for email in ("someone@contoso.com", " Someone@CONTOSO.com ", "mailto:someone@contoso.com")
    }
    assert len(ids) == 1


def test_leads_without_an_address_are_not_one_customer(w: World) -> None:
    ids = {accept.receive(w.app, post(userDetails={}, description=text), w.now).id[:16] for text in "ab"}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"", "empty"), (b"{", "JSON"), (b"[1]", "object"), (b"a=b&c=d", "JSON"), (b"\xff\xfe{", "JSON")],
)
def test_bytes_that_are_no_lead_are_kept_in_quarantine(w: World, body: bytes, reason: str) -> None:
    with pytest.raises(accept.NotALead, match=reason):
        accept.receive(w.app, body, w.now)
    (blob,) = w.store.containers["quarantine"].values()
    assert blob.data == body
    assert reason in blob.metadata["reason"]
    assert w.ids() == []


def test_a_body_that_is_too_large_is_refused_and_noted_with_its_size(w: World) -> None:
    with pytest.raises(accept.TooLarge, match="262145"):
        accept.receive(w.app, b" " * (accept.BODY_LIMIT + 1), w.now)
    (blob,) = w.store.containers["quarantine"].values()
    assert (blob.data, blob.metadata["size"]) == (b"", "262145")


def test_the_largest_body_is_taken(w: World) -> None:
    body = post(description="x")
    body = body.replace(b"x", b"x" * (accept.BODY_LIMIT - len(body) + 1), 1)
    assert len(body) == accept.BODY_LIMIT
    assert accept.receive(w.app, body, w.now).id


def test_a_bug_in_reading_costs_no_lead(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("someone@contoso.com")

    with monkeypatch.context() as patch:
        patch.setattr(normalize, "normalize", broken)
        receipt = accept.receive(w.app, post(), w.now)
    assert receipt.quarantined
    (blob,) = w.store.containers["quarantine"].values()
    assert blob.metadata["reason"] == "could not be read: KeyError"
    w.forward(minutes=3)
    w.sweep()
    assert len(w.ids()) == 1, "the next version of the app reads it"


def test_a_bell_that_fails_costs_no_lead(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(w.bell, "ring", broken)
        accept.receive(w.app, post(), w.now)
    w.live(minutes=10)
    assert w.states() == {"crm": "delivered", "mail": "delivered"}


def test_without_the_id_key_leads_are_refused_rather_than_counted_twice(w: World) -> None:
    accept.receive(w.app, post(), w.now)
    w.store.delete("state", "state", "id-key")
    w.restart()
    with pytest.raises(Misconfigured, match="id-key"):
        accept.receive(w.app, post(), w.now)


def test_two_first_instances_agree_on_one_id_key(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    insert = w.store.insert

    def beaten(table: str, row: Row) -> str:
        insert(table, replace(row, values={"key": "ab" * 32}))
        return insert(table, row)

    monkeypatch.setattr(w.store, "insert", beaten)
    assert w.app.identity.key == bytes.fromhex("ab" * 32)
    monkeypatch.undo()
    w.restart()
    assert w.app.identity.key == bytes.fromhex("ab" * 32)


def test_the_first_lead_id_of_an_event_stands(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    event, raw = accept._event_of_post(w.app, post(), w.now)
    w.app.ledger.remember(event, Seen(f"{'0' * 16}-{event}", raw), w.now)
    w.store.put_blob("raw", raw, post(), {"via": "https", "arrived_at": "2026-11-21T12:00:00.000000Z"})
    accept.redo(w.app, raw, w.now)
    assert w.ids() == [f"{'0' * 16}-{event}"]
    assert [key for at, key in w.store.tables["journal"] if at == "open"] == [f"{'0' * 16}-{event}"]


def test_a_row_edited_later_is_the_same_lead(w: World) -> None:
    w.app.inbox = w.inbox
    first = accept.receive_row(w.app, "MarketplaceLeads", row("a", w.now), w.now)
    edited = row("a", w.now + timedelta(hours=1), Description="now with a text")
    again = accept.receive_row(w.app, "marketplaceleads", edited, w.now + timedelta(hours=2))
    assert (again.id, again.repeated) == (first.id, True)


def test_no_personal_data_in_logs_and_messages(w: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    hostile = post(leadSource="someone@contoso.com", actionCode="Some One", offerTitle="Some One")
    accept.receive(w.app, hostile, w.now)
    w.drain()
    for text in (caplog.text, json.dumps([message[1:] for message in w.bell.waiting])):
        assert not any(part in text for part in ("contoso.com", "Some One", "16175555555"))


def test_the_way_in_is_kept(w: World) -> None:
    receipt = accept.receive(w.app, post(), w.now)
    case = w.app.ledger.case(receipt.id)
    assert case
    assert case.lead.via == Via.HTTPS


def test_a_lost_id_key_puts_no_lead_into_quarantine(w: World) -> None:
    accept.receive(w.app, post(), w.now)
    _, raw = accept._event_of_post(w.app, post(offerTitle="b"), w.now)
    w.app.ledger.keep_raw(raw, post(offerTitle="b"), Via.HTTPS, w.now)
    w.store.delete("state", "state", "id-key")
    w.restart()
    with pytest.raises(Misconfigured):
        accept.redo(w.app, raw, w.now)
    assert "quarantine" not in w.store.containers


def test_a_customer_forgotten_between_the_event_and_the_lead_stays_forgotten(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = w.app.ledger.add

    def forgotten_first(lead: Lead, *given: Any) -> bool:
        w.app.ledger.erase(lead.id, "2026-11-21", lead.raw, w.now)
        return add(lead, *given)

    monkeypatch.setattr(w.app.ledger, "add", forgotten_first)
    receipt = accept.receive(w.app, post(), w.now)
    assert (w.ids(), w.states(), w.bell.waiting) == ([], {}, [])
    assert w.store.containers["raw"] == {}
    assert receipt.id, "the caller is told an id all the same"
    assert accept.receive(w.app, post(), w.now).id == receipt.id
