"""Retention, `forget` and `export` as an auditor would look: every value of a customer, in every place there is."""

from __future__ import annotations

import base64
import io
import json
import logging
from argparse import Namespace
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from leads import delivery
from leads.errors import Rejected, Transient
from leads.intake import accept, normalize, watch
from leads.operate import operations, replay
from leads.operate.cli import look
from leads.operate.cli.screen import Screen
from leads.store.ledger import JOURNAL, LEADS, QUARANTINE, RAW
from leads.store.testing import MemoryStore
from leads.sweep import purge
from tests.world import FakeDestination, World, failing, post, row, world

ADA = {
    "firstName": "Adelheid",
    "lastName": "Quentzler",
    "email": "Adelheid.Quentzler@müller-werke.example.com",
    "phone": "+39 06 6981 2345",
    "country": "IT",
    "company": "Quentzler Walzwerke",
    "title": "Oberwalzmeisterin",
}
WORDS = "Ruft mich bitte wegen der Walze an"
CAMPAIGN = '{"utm_source": "quentzlerbrief"}'
HERS = ("adelheid", "quentzler", "66981234", "walze", "walzmeister")
"""Parts of all that is hers, in lower case."""

BOB = ADA | {"firstName": "Bob", "lastName": "Brambilla", "email": "bob@brambilla.example.org", "phone": "+12024561111"}
BOB |= {"company": "Brambilla Biciclette", "title": "Meccanico"}
HIS = ("bob@", "brambilla", "2024561111", "biciclette", "meccanico")


def everything(w: World) -> str:
    """All that is stored and all that waits, in lower case, with what is encoded decoded as well."""
    texts = [str(w.bell.waiting)]
    for table, rows in w.store.tables.items():
        texts += [f"{table} {found.partition} {found.key} {dict(found.values)}" for found in rows.values()]
    for container, blobs in w.store.containers.items():
        for blob in blobs.values():
            texts.append(f"{container} {blob.name} {dict(blob.metadata)}")
            texts += [blob.data.decode(encoding, "replace") for encoding in ("utf-8", "utf-16-le", "utf-16-be")]
            texts.append(blob.data.decode("utf-8", "replace").encode().decode("unicode_escape", "replace"))
            with suppress(ValueError):
                texts.append(base64.b64decode(blob.data, validate=True).decode("utf-8", "replace"))
    return "\n".join(texts).casefold()


def assert_gone(w: World, parts: tuple[str, ...] = HERS) -> None:
    there = everything(w)
    assert [part for part in parts if part in there] == []


def snapshot(store: MemoryStore, parts: tuple[str, ...]) -> dict[str, Any]:
    """Every row and blob of one customer: the rows of the partitions that hold one of the values, and their events."""
    partitions = {
        found.partition
        for found in store.tables[LEADS].values()
        if any(part in str(dict(found.values)).casefold() for part in parts)
    }
    return {
        "rows": {
            (table, *key): found
            for table, rows in store.tables.items()
            for key, found in rows.items()
            if found.partition in partitions or found.key[:16] in partitions
        },
        "blobs": {
            (container, name): blob
            for container, blobs in store.containers.items()
            for name, blob in blobs.items()
            if any(part in blob.data.decode("utf-8", "replace").casefold() for part in parts)
        },
    }


def order(w: World, name: str, **arguments: Any) -> dict[str, Any]:
    return operations.perform(w.app, name, arguments, w.now)


def forget(w: World, who: str) -> dict[str, Any]:
    return look.search(partial(operations.perform, w.app, now=w.now), "forget", who, Screen(err=io.StringIO()))


def export(w: World, who: str) -> str:
    shown = io.StringIO()
    with redirect_stdout(shown):
        options = Namespace(who=who, output=None)
        look.export(partial(operations.perform, w.app, now=w.now), options, Screen(as_json=True, err=io.StringIO()))
    return shown.getvalue()


def live(w: World) -> None:
    """Both customers do all there is to do: two ways in, open, delivered, dead, replayed, in quarantine."""
    for person, key in ((ADA, "a"), (BOB, "b")):
        accept.receive(w.app, post(userDetails=person, description=WORDS if person is ADA else "Ciao."), w.now)
        w.inbox.tables.setdefault("MarketplaceLeads", []).append(
            row(f"{key}-row", w.now, CustomerInfo=json.dumps({k.capitalize(): v for k, v in person.items()}))
        )
    watch.watch(w.app, w.now)
    w.drain()
    w.forward(minutes=1)
    crm = w.places["crm"]
    crm.failures += [failing(Rejected), failing(Rejected)]
    for person in (ADA, BOB):
        campaign = CAMPAIGN if person is ADA else ""
        accept.receive(w.app, post(userDetails=person, offerTitle="Other Offer", description=campaign), w.now)
    w.drain()
    w.sweep()
    first = next(lead_id for lead_id in w.ids() if w.app.ledger.case(lead_id))
    replay.replay(w.app, first, None, w.now)
    w.drain()
    w.forward(minutes=1)
    crm.failures += [failing(Transient, remote_id="half-done")] * 2
    for person in (ADA, BOB):
        accept.receive(w.app, post(userDetails=person, offerTitle="Third Offer"), w.now)
        with suppress(accept.NotALead):
            accept.receive(w.app, json.dumps([person]).encode(), w.now)
        with suppress(accept.NotALead):
            accept.receive(w.app, json.dumps([person], ensure_ascii=False).encode("utf-16"), w.now)
    w.drain()


@pytest.fixture
def w(caplog: pytest.LogCaptureFixture) -> Iterator[World]:
    caplog.set_level(logging.DEBUG)
    with world(crm=FakeDestination()) as made:
        live(made)
        yield made


def test_the_world_of_these_tests_holds_what_they_look_for(w: World) -> None:
    there = everything(w)
    assert all(part in there for part in (*HERS, *HIS))
    states = {found.values["state"] for found in w.store.tables[LEADS].values() if ":" in found.key}
    assert states == {"open", "delivered", "dead"}


def test_no_log_line_and_no_message_ever_holds_personal_data(w: World, caplog: pytest.LogCaptureFixture) -> None:
    quoting = ValueError(f"cannot write {ADA['email']} {ADA['lastName']} of {BOB['company']}")
    w.places["crm"].failures += [quoting] * 6
    accept.receive(w.app, post(userDetails=ADA, offerTitle="Fourth Offer"), w.now)
    raised = []
    for _ in range(6):
        while message := w.bell.take():
            try:
                delivery.deliver(w.app, *message, w.now)
            except RuntimeError as error:
                raised.append(error)
                w.forward(minutes=3)
                delivery.recover(w.app, *message, w.now)
        w.forward(minutes=3)
    # What leaves a function is logged by the host, with its cause and its context.
    assert len(raised) == 6
    told = " ".join(f"{error} {error.__cause__} {error.__suppress_context__}" for error in raised).casefold()
    assert "false" not in told
    assert [part for part in (*HERS, *HIS) if part in told] == []
    w.live(hours=2)
    order(w, "health")
    forget(w, ADA["email"])
    logged = caplog.text.casefold()
    assert [part for part in (*HERS, *HIS) if part in logged] == []
    assert [part for part in (*HERS, *HIS) if part in str(w.bell.waiting).casefold()] == []


@pytest.mark.parametrize(
    "who",
    [
        ADA["email"],
        ADA["email"].upper(),
        f"  {ADA['email']} ",
        "adelheid.quentzler@" + ADA["email"].partition("@")[2].encode("idna").decode(),
        f"Adelheid Quentzler <{ADA['email']}>",
    ],
)
def test_after_forget_nothing_of_the_customer_is_left(w: World, who: str) -> None:
    his = snapshot(w.store, HIS)
    told = forget(w, who)
    assert told["forgotten"] >= 4
    assert_gone(w)
    assert snapshot(w.store, HIS) == his
    w.live(hours=30)
    assert_gone(w)


def test_forgetting_again_finds_nothing_and_changes_nothing(w: World) -> None:
    forget(w, ADA["email"])
    rest = everything(w)
    assert forget(w, ADA["email"])["forgotten"] == 0
    assert everything(w) == rest


def test_what_comes_again_after_forget_brings_nothing_back(w: World) -> None:
    """The row is still in Microsoft's table, and a full scan reads it again; a POST may be sent again."""
    forget(w, ADA["email"])
    sent = len(w.places["crm"].got)
    accept.receive(w.app, post(userDetails=ADA, description=WORDS), w.now)
    w.restart()
    for _ in range(3):
        w.forward(days=1, minutes=1)
        watch.watch(w.app, w.now)
        w.sweep()
        w.drain()
    hers = [lead for lead, _ in w.places["crm"].got[sent:] if lead.contact.last_name == ADA["lastName"]]
    assert hers == []
    assert [part for part in HERS if part in str(w.store.tables).casefold()] == []


def test_a_new_lead_of_a_forgotten_customer_is_taken(w: World) -> None:
    """To be forgotten is no ban: who presses the button again is a customer again."""
    forget(w, ADA["email"])
    w.forward(days=2)
    receipt = accept.receive(w.app, post(userDetails=ADA, description="Doch noch eine Frage"), w.now)
    assert not receipt.repeated
    assert w.app.ledger.case(receipt.id)


def test_a_delivery_under_way_while_its_customer_is_forgotten_brings_nothing_back(w: World) -> None:
    class Slow(FakeDestination):
        def send(self, *given: Any) -> str:
            forget(w, ADA["email"])
            return super().send(*given)

    w.places["crm"] = Slow()
    lead_id = accept.receive(w.app, post(userDetails=ADA, offerTitle="Fifth Offer"), w.now).id
    delivery.deliver(w.app, lead_id, "crm", w.now)
    assert len(w.places["crm"].got) == 1
    assert_gone(w)
    w.live(hours=2)
    assert_gone(w)


@pytest.mark.parametrize(
    "neighbour",
    [
        "xadelheid.quentzler@müller-werke.example.com",
        "x-adelheid.quentzler@müller-werke.example.com",
        "x.adelheid.quentzler@müller-werke.example.com",
        "adelheid.quentzler@müller-werke.example.com.au",
        "adelheid.quentzler@müller-werke.example.community",
    ],
)
def test_who_has_a_similar_address_is_somebody_else(neighbour: str) -> None:
    with world() as w:
        person = BOB | {"email": neighbour}
        kept = accept.receive(w.app, post(userDetails=person), w.now).id
        for body in (json.dumps([person]), json.dumps([person], ensure_ascii=False), f"a form: email={neighbour}"):
            with pytest.raises(accept.NotALead):
                accept.receive(w.app, body.encode(), w.now)
        before = everything(w)
        assert "brambilla" not in export(w, ADA["email"]).casefold()
        assert forget(w, ADA["email"])["forgotten"] == 0
        assert everything(w) == before
        assert w.app.ledger.case(kept)


@pytest.mark.parametrize("who", ["", " ", "@", "a@", "@e", "example.com", "Quentzler", "e.", "%", "*", "0" * 33])
def test_what_is_no_address_forgets_nobody(w: World, who: str) -> None:
    before = everything(w)
    with suppress(operations.WrongUse):
        assert forget(w, who)["forgotten"] == 0
    assert everything(w) == before


def test_one_lead_can_be_forgotten_by_its_id(w: World) -> None:
    cases = {lead_id: w.app.ledger.case(lead_id) for lead_id in w.ids()}
    mine = [lead_id for lead_id, case in cases.items() if case and case.lead.contact.last_name == ADA["lastName"]]
    assert forget(w, mine[0])["forgotten"] == 1
    assert w.ids() == sorted(set(cases) - {mine[0]})
    assert not any(mine[0][17:] in name for name in w.store.containers[RAW])


def test_export_returns_everything_of_one_customer_and_nothing_of_another(w: World) -> None:
    her, him = export(w, ADA["email"]).casefold(), export(w, BOB["email"]).casefold()
    assert [part for part in HERS if part not in her] == []
    assert [part for part in HIS if part not in him] == []
    assert [part for part in HIS if part in her] == []
    assert [part for part in HERS if part in him] == []
    records = {each["our number"]: each for each in json.loads(her)["records"] if "our number" in each}
    of_hers = [c for i in w.ids() if (c := w.app.ledger.case(i)) and c.lead.contact.last_name == ADA["lastName"]]
    assert records.keys() == {case.lead.id for case in of_hers}
    for case in of_hers:
        raw = w.app.store.get_blob(RAW, case.lead.raw)
        assert raw
        assert records[case.lead.id]["as it arrived"] == raw.data.decode().casefold()
    for plumbing in ("claimed", "rung", "tries", "next_at", "etag", "attempt"):
        assert plumbing not in her
    before = everything(w)
    export(w, ADA["email"])
    assert everything(w) == before


def test_export_of_somebody_who_is_mentioned_elsewhere_names_no_other_customer(w: World) -> None:
    other = accept.receive(w.app, post(userDetails=BOB, description=f"Ask {ADA['email']}, she knows."), w.now).id
    assert "brambilla" not in export(w, ADA["email"]).casefold()
    assert forget(w, ADA["email"])["mentioned_in"] == [other]
    assert w.app.ledger.case(other), "It is another customer's lead: a person decides."


def test_forget_tells_what_it_cannot_reach(w: World) -> None:
    by_hand = forget(w, ADA["email"])["by_hand"]
    told = json.dumps(by_hand)
    assert "inbox table" in told
    assert "a-row" in told
    assert "half-done" in told
    assert "b-row" not in told


# --- Retention -------------------------------------------------------------------------------------------------------


def test_purge_leaves_nothing_of_what_is_old_and_everything_of_what_is_not(w: World) -> None:
    w.live(hours=80)
    w.inbox.tables.clear()
    w.forward(days=w.app.settings.retention_days - 10)
    young = accept.receive(w.app, post(userDetails=BOB, offerTitle="New Offer"), w.now).id
    w.drain()
    w.sweep()
    his = snapshot(w.store, ("new offer",))
    w.forward(days=11)
    w.sweep()
    assert_gone(w)
    assert w.ids() == [young]
    assert w.app.ledger.case(young)
    assert set(snapshot(w.store, ("new offer",))["blobs"]) == set(his["blobs"])
    assert [found.key for found in w.store.tables[JOURNAL].values()] == [young]


def test_quarantine_is_purged_by_its_day(w: World) -> None:
    w.forward(days=w.app.settings.retention_days)
    with pytest.raises(accept.NotALead):
        accept.receive(w.app, b"young", w.now)
    purge.purge(w.app, w.now)
    assert len(w.store.containers[QUARANTINE]) == 5
    w.forward(days=1)
    purge.purge(w.app, w.now)
    assert [blob.data for blob in w.store.containers[QUARANTINE].values()] == [b"young"]


def test_an_open_lead_outlives_its_retention() -> None:
    with world(crm=FakeDestination(always=failing(Transient)), environ={"LEADS_RETENTION_DAYS": "1"}) as w:
        lead_id = accept.receive(w.app, post(userDetails=ADA), w.now).id
        w.drain()
        w.forward(days=2)
        w.sweep()
        assert purge.purge(w.app, w.now) == 0
        assert w.app.ledger.case(lead_id)


@pytest.mark.parametrize("erased", ["purge", "forget"])
def test_what_stays_is_hashes_names_of_blobs_and_times(w: World, erased: str) -> None:
    if erased == "forget":
        forget(w, ADA["email"])
        forget(w, BOB["email"])
        w.live(hours=25)  # messages that waited for the next attempt have found nothing
    else:
        w.live(hours=80)
        w.forward(days=366)
        w.sweep()
    for found in w.store.tables["events"].values():
        assert set(found.values) <= {"lead", "raw", "fate", "seen_at"}
        assert (found.values["lead"], found.values["fate"]) == ("", "gone")
    for person in (ADA, BOB):
        customer = w.app.identity.customer(normalize.email_key(person["email"]), "")
        assert customer not in everything(w), "With the id key, an address must lead nowhere."
    assert not w.store.tables[LEADS]
    assert not w.store.tables[JOURNAL]
    assert not w.store.containers[RAW]


@pytest.mark.parametrize("step", range(6))
def test_an_erasure_that_stops_in_the_middle_is_completed_by_the_next(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Ledger.erase` under a crash before each of its deletions: the second one leaves nothing."""
    with world() as w:
        lead_id = accept.receive(w.app, post(userDetails=ADA, description=WORDS), w.now).id
        w.drain()
        w.sweep()
        calls = 0

        def crashing(real: Any) -> Any:
            def call(*given: Any, **more: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls == step + 1:
                    raise OSError("the storage is gone")
                return real(*given, **more)

            return call

        with monkeypatch.context() as patch:
            for name in ("delete", "delete_blob", "replace"):
                patch.setattr(w.store, name, crashing(getattr(w.store, name)))
            with suppress(OSError):
                day, raw = f"{w.now:%Y-%m-%d}", w.app.ledger.case(lead_id)
                w.app.ledger.erase(lead_id, day, raw.lead.raw if raw else "", w.now)
        w.restart()
        w.forward(days=w.app.settings.retention_days + 2)
        w.sweep()
        w.forward(minutes=5)
        w.sweep()
        assert_gone(w)
        assert w.ids() == []
        assert accept.receive(w.app, post(userDetails=ADA), w.now - timedelta(days=400)).id
