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
from leads.intake import accept, normalize, payload
from leads.lead import Lead, Via
from leads.operate import discard, health
from leads.store.ledger import Seen
from leads.store.protocol import Blob, Row
from tests.world import PERSON, FakeDestination, Noting, World, post, row, world


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
    event, raw = accept._event_of_post(w.app, post(), payload.read(post()), w.now)
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
    _, raw = accept._event_of_post(w.app, post(offerTitle="b"), payload.read(post()), w.now)
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


NOBODY = post(userDetails={"country": "US"}, description="")
"""A customer whose contact data is withheld."""


class TestTwoCustomersWhoLookTheSame:
    """A POST that names nobody says nothing by which a second customer could be told from a repeat."""

    def test_nine_hours_apart_they_are_two_leads(self, w: World) -> None:
        first = accept.receive(w.app, NOBODY, w.now)
        w.forward(hours=9)
        second = accept.receive(w.app, NOBODY, w.now)
        assert sorted([first.id, second.id]) == w.ids()
        assert not second.repeated
        assert len(w.bell.waiting) == 4

    @pytest.mark.parametrize(("minutes", "leads"), [(0, 1), (9, 1), (10, 1), (21, 2)])
    def test_a_retry_within_minutes_is_one_lead(self, w: World, minutes: int, leads: int) -> None:
        w.forward(minutes=5)
        accept.receive(w.app, NOBODY, w.now)
        w.forward(minutes=minutes)
        accept.receive(w.app, NOBODY, w.now)
        assert len(w.ids()) == leads

    def test_a_retry_across_midnight_is_one_lead(self, w: World) -> None:
        w.forward(hours=11, minutes=59)
        first = accept.receive(w.app, NOBODY, w.now)
        w.forward(minutes=3)
        assert accept.receive(w.app, NOBODY, w.now).id == first.id

    @pytest.mark.parametrize("known", ["firstName", "lastName", "email", "phone"])
    def test_who_is_named_by_anything_is_one_lead_a_day(self, w: World, known: str) -> None:
        body = post(userDetails={known: "x1"})
        first = accept.receive(w.app, body, w.now)
        w.forward(hours=9)
        assert accept.receive(w.app, body, w.now).id == first.id

    def test_equal_bytes_that_are_no_lead_are_kept_twice(self, w: World) -> None:
        for _ in range(2):
            for _ in range(2):
                with pytest.raises(accept.NotALead):
                    accept.receive(w.app, b"{", w.now)
            w.forward(hours=9)
        assert len(w.store.containers["quarantine"]) == 2


def test_bytes_that_cannot_be_read_are_kept_once_however_often_they_are_looked_at(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(normalize, "normalize", lambda *_, **__: 1 / 0)
    accept.receive(w.app, post(), w.now)
    w.live(hours=50)
    assert len(w.store.containers["quarantine"]) == 1


def test_a_bug_before_anything_is_known_of_the_bytes_costs_no_lead(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(payload, "read", lambda _: 1 / 0)
        assert accept.receive(w.app, post(), w.now).quarantined
    w.forward(minutes=3)
    w.sweep()
    assert len(w.ids()) == 1


def test_a_lead_that_could_be_kept_but_not_noted_comes_in_within_the_hour_beside_junk(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise OSError

    with pytest.raises(accept.NotALead):
        accept.receive(w.app, b"junk", w.now - timedelta(days=2))
    w.live(minutes=10)
    with monkeypatch.context() as patch:
        for name in ("keep_raw", "change"):
            patch.setattr(w.app.ledger, name, down)
        with pytest.raises(OSError):
            accept.receive(w.app, post(), w.now)
    w.live(hours=1, minutes=10)
    assert len(w.ids()) == 1


class TestTheIdKeyIsLost:
    """Each POST is refused; none of them is lost, and somebody is told."""

    @pytest.fixture
    def lost(self, w: World) -> Row:
        accept.receive(w.app, post(), w.now)
        w.drain()
        key = w.store.get("state", "state", "id-key")
        assert key
        w.store.delete("state", "state", "id-key")
        w.restart()
        return key

    def test_its_bytes_are_kept_and_come_in_once_the_key_is_back(self, w: World, lost: Row) -> None:
        for _ in range(3):  # it is sent again
            with pytest.raises(Misconfigured):
                accept.receive(w.app, post(offerTitle="b"), w.now)
            w.forward(minutes=11)
        with pytest.raises(Misconfigured):
            accept.receive(w.app, NOBODY, w.now)
        assert {blob.data for blob in w.store.containers["quarantine"].values()} == {post(offerTitle="b"), NOBODY}
        with pytest.raises(RuntimeError, match="waiting"):
            w.sweep()
        w.store.insert("state", replace(lost, etag=""))
        w.restart()
        w.forward(hours=1)
        w.live(minutes=10)
        assert len(w.ids()) == 3
        assert set(w.states().values()) == {"delivered"}
        assert w.store.containers["quarantine"] == {}

    def test_what_was_sent_again_behind_midnight_is_one_lead(self, w: World, lost: Row) -> None:
        w.forward(hours=11, minutes=59)
        for _ in range(2):
            with pytest.raises(Misconfigured):
                accept.receive(w.app, post(offerTitle="b"), w.now)
            w.forward(minutes=5)
        w.store.insert("state", replace(lost, etag=""))
        w.restart()
        assert accept.take_waiting(w.app, w.now, is_late=lambda: False) == 2
        assert len(w.ids()) == 2, "the one before the key was lost, and this one"

    @pytest.mark.parametrize(("minutes", "leads"), [(2, 2), (119, 2), (121, 3)])
    def test_what_came_again_behind_midnight_with_the_key_back_is_one_lead_with_what_waits(
        self, w: World, lost: Row, minutes: int, leads: int
    ) -> None:
        w.forward(hours=11, minutes=59)
        with pytest.raises(Misconfigured):
            accept.receive(w.app, post(offerTitle="b"), w.now)
        w.store.insert("state", replace(lost, etag=""))
        w.restart()
        w.forward(minutes=minutes)
        accept.receive(w.app, post(offerTitle="b"), w.now)
        assert accept.take_waiting(w.app, w.now, is_late=lambda: False) == 1
        assert len(w.ids()) == leads, "the one before the key was lost counts as well"

    @pytest.mark.parametrize(("minutes", "leads"), [(4, 2), (7, 2), (25, 3)])
    def test_nor_are_those_that_name_nobody_two(self, w: World, lost: Row, minutes: int, leads: int) -> None:
        w.forward(minutes=5)
        with pytest.raises(Misconfigured):
            accept.receive(w.app, NOBODY, w.now)
        w.store.insert("state", replace(lost, etag=""))
        w.restart()
        w.forward(minutes=minutes)
        accept.receive(w.app, NOBODY, w.now)
        accept.take_waiting(w.app, w.now, is_late=lambda: False)
        assert len(w.ids()) == leads

    def test_what_waits_is_taken_in_as_far_as_the_time_goes_and_one_keeps_no_other_waiting(
        self, w: World, lost: Row, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(6):
            with pytest.raises(Misconfigured):
                accept.receive(w.app, post(offerTitle=f"offer {number}"), w.now)
        w.store.insert("state", replace(lost, etag=""))
        w.restart()
        late = iter([False] * 2)
        assert accept.take_waiting(w.app, w.now, is_late=lambda: next(late, True)) == 2
        get, broken = w.store.get_blob, min(w.store.containers["quarantine"])

        def failing(container: str, name: str) -> Blob | None:
            if name == broken:
                raise ConnectionError
            return get(container, name)

        monkeypatch.setattr(w.store, "get_blob", failing)
        with pytest.raises(ConnectionError):
            accept.take_waiting(w.app, w.now, is_late=lambda: False)
        assert list(w.store.containers["quarantine"]) == [broken]

    def test_junk_of_the_day_before_keeps_no_lead_waiting_for_ever(self, w: World, lost: Row) -> None:
        for number in range(40):
            with pytest.raises(accept.NotALead):
                accept.receive(w.app, f"junk {number}".encode(), w.now)
        w.forward(days=1)
        with pytest.raises(Misconfigured):
            accept.receive(w.app, post(offerTitle="b"), w.now)
        w.store.insert("state", replace(lost, etag=""))
        w.restart()
        taken = []
        for _ in range(6):
            late = iter([False] * 10)
            taken.append(accept.take_waiting(w.app, w.now, is_late=lambda late=late: next(late, True)))  # type: ignore[misc]
        assert sum(taken) == 1
        assert len(w.ids()) == 2
        assert len(w.store.containers["quarantine"]) == 40

    def test_health_does_not_call_what_waits_no_lead(self, w: World, lost: Row) -> None:
        with pytest.raises(Misconfigured):
            accept.receive(w.app, post(offerTitle="b"), w.now)
        w.store.insert("state", replace(lost, etag=""))
        w.restart()
        w.forward(minutes=5)
        w.sweep()
        (reason,) = [each for each in health.health(w.app, w.now).reasons if each.about == "quarantine"]
        assert "could not be stored" in reason.cause
        assert "comes in by itself" in reason.remedy
        assert len(w.ids()) == 2, "it came in with that sweep"
        w.forward(minutes=5)
        w.sweep()
        assert not [each for each in health.health(w.app, w.now).reasons if each.about == "quarantine"]

    def test_what_waited_for_months_comes_in_as_well(self, w: World, lost: Row) -> None:
        with pytest.raises(Misconfigured):
            accept.receive(w.app, post(offerTitle="b"), w.now)
        w.forward(days=100)
        w.store.insert("state", replace(lost, etag=""))
        w.restart()
        w.live(hours=2)
        assert len(w.ids()) == 2
        assert w.store.containers["quarantine"] == {}

    def test_who_clears_the_quarantine_keeps_what_waits(self, w: World, lost: Row) -> None:
        del lost
        with pytest.raises(Misconfigured):
            accept.receive(w.app, post(offerTitle="b"), w.now)
        with pytest.raises(accept.NotALead):
            accept.receive(w.app, b"junk", w.now)
        told = discard.quarantined(w.app, since=None, before=w.now + timedelta(1), reason="", cursor="", yes=True)
        assert (sum(told["reasons"].values()), told["kept"]) == (1, 1)
        assert [blob.data for blob in w.store.containers["quarantine"].values()] == [post(offerTitle="b")]

    def test_the_operators_are_told_what_is_wrong(self, w: World, lost: Row, caplog: pytest.LogCaptureFixture) -> None:
        del lost
        with pytest.raises(Misconfigured):
            accept.receive(w.app, post(offerTitle="b"), w.now)
        with pytest.raises(RuntimeError):
            w.sweep()
        (alert,) = [json.loads(r.message) for r in caplog.records if '"event": "alert"' in r.message]
        assert "could not be stored when they came: 1. The row id-key of the table state is missing" in alert["cause"]
        assert "come in by themselves" in alert["remedy"]
        assert "contoso" not in caplog.text

    def test_a_table_that_fails_before_anything_is_kept_costs_no_lead(
        self, w: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        accept.receive(w.app, post(), w.now)
        w.restart()
        with monkeypatch.context() as patch:
            patch.setattr(w.store, "get", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                accept.receive(w.app, post(offerTitle="b"), w.now)
        w.live(hours=2)
        assert len(w.ids()) == 2


def test_a_body_that_is_too_large_is_told_with_its_size_and_not_as_kept(
    w: World, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(accept.TooLarge):
        accept.receive(w.app, b" " * 300_000, w.now)
    w.sweep()
    (alert,) = [json.loads(r.message) for r in caplog.records if '"event": "alert"' in r.message]
    assert "300,000 bytes" in alert["cause"]
    assert "did not keep it" in alert["remedy"]
    with pytest.raises(accept.NotALead):
        accept.receive(w.app, b"{", w.now)
    cause, remedy = accept.quarantined_words([blob.metadata for blob in w.store.containers["quarantine"].values()])
    assert ("could not be read as a lead: 1." in cause, "could not be read is kept" in remedy) == (True, True)


@pytest.mark.parametrize(
    ("offer", "logged"),
    [
        ("contoso.planner", "contoso.planner"),
        ("docusign.3701c77e-1cfa-4c56-91e6-3ed0b622145a", "docusign.3701c77e-1cfa-4c56-91e6-3ed0b622145a"),
        ("some.one", "other"),
        ("Mr-Someone.planner", "other"),
        ("16175555555", "other"),
        ("someone@contoso.com", "other"),
        ("", ""),
    ],
)
def test_an_offer_is_logged_where_it_is_one_and_names_nobody(
    w: World, caplog: pytest.LogCaptureFixture, offer: str, logged: str
) -> None:
    caplog.set_level(logging.INFO)
    accept.receive(w.app, post(productId=offer, leadSource="Lovelace", actionCode="Ada"), w.now)
    (event,) = [json.loads(r.message) for r in caplog.records if "lead_accepted" in r.message]
    assert (event["offer"], event["source"], event["action"]) == (logged, "other", "other")


def test_whoever_has_the_address_cannot_fill_the_log(w: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for number in range(300):
        with pytest.raises(accept.NotALead):
            accept.receive(w.app, b"noise %d" % number, w.now)
        accept.receive(w.app, post(), w.now)
    for name in ("quarantined", "lead_repeated"):
        assert sum(f'"event": "{name}"' in r.message for r in caplog.records) == accept.LOGGED_AN_HOUR
    assert len(w.store.containers["quarantine"]) == 300
    w.forward(hours=1)
    with pytest.raises(accept.NotALead):
        accept.receive(w.app, b"noise", w.now)
    assert '"event": "quarantined"' in caplog.records[-1].message


def test_only_who_inserted_the_lead_rings(w: World) -> None:
    """Another instance is given the same POST and gets as far as the first one in between."""
    add = w.app.ledger.add
    others: list[accept.Receipt] = []

    def overtaken(lead: Lead, *given: Any) -> bool:
        if not others:
            others.append(accept.Receipt(""))
            others[0] = accept.receive(w.app, post(), w.now)
        return add(lead, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(w.app.ledger, "add", overtaken)
        receipt = accept.receive(w.app, post(), w.now)
    assert (receipt.id, receipt.repeated, others[0].id) == (w.ids()[0], True, w.ids()[0])
    assert len(w.bell.waiting) == 2


class TestOperations:
    """What a POST costs until its 202."""

    @pytest.fixture
    def calls(self, w: World) -> list[str]:
        w.app.identity  # noqa: B018 - made once in the life of a deployment
        calls: list[str] = []
        w.restart()
        w.app.store, w.app.doorbell = Noting(w.store, calls), Noting(w.bell, calls)
        w.app.identity  # noqa: B018 - read once in a process
        calls.clear()
        return calls

    def test_a_new_lead(self, w: World, calls: list[str]) -> None:
        accept.receive(w.app, post(), w.now)
        assert calls == ["put_blob", "upsert", "insert", "insert_all", "get", "ring", "ring"]

    def test_a_new_lead_that_names_nobody_or_comes_after_midnight(self, w: World, calls: list[str]) -> None:
        accept.receive(w.app, NOBODY, w.now)
        assert calls.count("get_blob") == 1
        assert len(calls) == 8
        w.forward(hours=12, minutes=30)
        calls.clear()
        accept.receive(w.app, post(), w.now)
        assert len(calls) == 8

    def test_a_repeat(self, w: World, calls: list[str]) -> None:
        accept.receive(w.app, post(), w.now)
        calls.clear()
        accept.receive(w.app, post(), w.now)
        assert len(calls) <= 4
        assert "ring" not in calls


def test_a_post_that_comes_again_after_it_was_purged_leaves_nothing(w: World) -> None:
    lead = accept.receive(w.app, post(), w.now)
    case = w.app.ledger.case(lead.id)
    assert case
    w.app.ledger.erase(lead.id, "2026-11-21", case.lead.raw, w.now)
    assert accept.receive(w.app, post(), w.now).repeated
    assert (w.ids(), w.store.containers["raw"], w.store.tables["journal"]) == ([], {}, {})


def test_a_lead_that_is_left_behind_raw_arrived_when_its_bytes_did(w: World) -> None:
    _, raw = accept._event_of_post(w.app, post(), payload.read(post()), w.now)
    w.app.ledger.keep_raw(raw, post(), Via.IMPORT, w.now, old=True)
    w.forward(minutes=1)
    lead = accept.receive(w.app, post(), w.now)
    case = w.app.ledger.case(lead.id)
    assert case
    assert case.lead.arrived_at == w.now - timedelta(minutes=1)
    assert case.lead.old, "what was decided when it came in stands"
