"""What is kept of a customer, and that nothing is left when it is forgotten."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads import settings as app_settings
from leads.app import App
from leads.intake import accept as intake
from leads.intake import normalize
from leads.lead import Via
from leads.operate import forget, quarantine, stories
from leads.store.ledger import Ledger
from tests.world import NOON, FakeDestination, World, post, row, world

ADA = "ada@example.com"


def of(email: str) -> dict[str, str]:
    return {"email": email, "firstName": "Ada", "lastName": "Lovelace"}


def accept(w: World, email: str = ADA, **changes: Any) -> str:
    return intake.receive(w.app, post(userDetails=of(email), **changes), w.now).id


def everything(w: World) -> str:
    """All that is stored, as one text in lower case."""
    rows = [str(row) for table in w.store.tables.values() for row in table.values()]
    blobs = [str(blob) for held in w.store.containers.values() for blob in held.values()]
    return "\n".join([*rows, *blobs, *map(str, w.bell.waiting)]).lower()


def test_nothing_is_left_of_a_forgotten_customer_but_the_events() -> None:
    with world() as w:
        leads = {accept(w, offerTitle="one")}
        w.live(days=3)
        leads.add(accept(w, "ADA@Example.com", offerTitle="two"))
        other = accept(w, "grace@example.com")
        with pytest.raises(intake.NotALead):
            intake.receive(w.app, b'{"email": "Ada@example.com"', w.now)
        told = forget.forget(w.app, "Ada@EXAMPLE.com", w.now)
        assert set(told["leads"]) == leads
        assert len(told["quarantine"]) == 1
        assert told["forgotten"] == 3
        left = everything(w)
        assert "ada@" not in left
        assert "lovelace" in left, "of the other customer"
        assert w.ids() == [other]
        assert {row.key for row in w.store.tables["journal"].values()} == {other}
        assert forget.forget(w.app, ADA, w.now)["forgotten"] == 0
        w.live(days=2)
        assert "ada@" not in everything(w)


def test_what_was_forgotten_does_not_come_back() -> None:
    with world() as w:
        rows = [row("a", w.now, CustomerInfo=json.dumps({"Email": ADA}))]
        w.inbox.tables["MarketplaceLeads"] = rows
        accept(w)
        w.live(minutes=6)
        assert len(w.ids()) == 2
        told = forget.forget(w.app, ADA, w.now)
        assert accept(w), "the same POST is answered, and brings nothing back"
        w.live(days=2)
        assert w.ids() == []
        assert "ada@" not in everything(w)
        assert any("RowKey a" in each["what"] for each in told["by_hand"])


def test_a_row_that_was_quarantined_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise AssertionError("a bug")

    with world() as w:
        w.inbox.tables["MarketplaceLeads"] = [row("a", w.now, CustomerInfo=json.dumps({"Email": ADA}))]
        with monkeypatch.context() as patched:
            patched.setattr(normalize, "normalize", broken)
            w.live(minutes=6)
            assert len(quarantine.quarantined(w.app, None, w.now)) == 1
            assert forget.forget(w.app, ADA, w.now)["forgotten"] == 1
            w.live(days=2)
        w.live(days=2)
        assert "ada@" not in everything(w)


def test_an_intake_that_has_not_finished_is_forgotten_too() -> None:
    with world() as w:
        lead_id = accept(w)
        for table in ("leads", "events"):
            for key in list(w.store.tables[table]):
                w.store.delete(table, *key)
        told = forget.forget(w.app, ADA, w.now)
        assert told["leads"] == [lead_id]
        w.live(days=2)
        assert "ada@" not in everything(w)
        assert w.ids() == []


def test_the_records_elsewhere_are_named_before_they_are_gone() -> None:
    with world(crm=FakeDestination(), mail=FakeDestination()) as w:
        lead_id = accept(w)
        w.drain()
        before = forget.belongings(w.app, ADA, w.now)
        told = forget.forget(w.app, ADA, w.now)
    assert told["by_hand"] == before["by_hand"]
    assert {"where": "crm", "what": f"remote-{lead_id[-16:]}"} in told["by_hand"]
    assert {each["where"] for each in told["by_hand"]} == {"crm", "mail", "Partner Center"}


def test_a_dynamics_record_is_named_with_its_page() -> None:
    guid = "0a1b2c3d-0000-0000-0000-000000000001"
    environ = {"LEADS_DESTINATIONS": "dynamics", "DYNAMICS_URL": "https://contoso.crm.dynamics.com"}
    with world(dynamics=FakeDestination()) as w:
        w.places.clear()
        w.app.environ = {**w.app.environ, **environ}
        lead_id = accept(w)
        delivery = w.app.ledger.delivery(lead_id, "dynamics")
        assert delivery
        w.app.ledger.save(replace(delivery, remote_id=guid))
        told = forget.belongings(w.app, ADA, w.now)
        assert any(f"id={guid}" in each["what"] for each in told["by_hand"])
        next_step = w.app.ledger.delivery(accept(w, offerTitle="another step"), "dynamics")
        assert next_step
        w.app.ledger.save(replace(next_step, remote_id=guid))
        assert forget.belongings(w.app, ADA, w.now)["by_hand"] == told["by_hand"], "one record is named once"


def test_a_delivery_under_way_brings_nothing_back_and_is_told() -> None:
    told: dict[str, Any] = {}

    with world() as w:

        class Slow(FakeDestination):
            def send(self, lead: Any, step: Any, _: Any) -> str:
                told.update(forget.forget(w.app, ADA, w.now))
                return "made meanwhile"

        w.places["crm"] = Slow()
        accept(w)
        w.drain()
        assert any("two minutes" in each["what"] for each in told["by_hand"])
        assert w.ids() == []
        assert "ada@" not in everything(w)


def test_another_customers_lead_that_mentions_the_address_is_told_and_left() -> None:
    with world() as w:
        mine, other = accept(w), accept(w, "grace@example.com", description="Ask my colleague ada@example.com.")
        told = forget.forget(w.app, ADA, w.now)
        assert told["leads"] == [mine]
        assert told["mentioned_in"] == [other]
        assert w.ids() == [other]
        assert forget.forget(w.app, other, w.now)["forgotten"] == 1
        assert "ada@" not in everything(w)


def test_an_address_that_is_none_is_found_as_it_stands() -> None:
    with world() as w:
        lead_id = accept(w, "ada(at)home@nowhere")
        told = forget.forget(w.app, "Ada(at)home@nowhere", w.now)
        assert told["leads"] == [lead_id]
        assert "nowhere" not in everything(w)


@pytest.mark.parametrize("who", ["", "a", "@", "example.com", "lovelace"])
def test_what_is_no_address_finds_nothing(who: str) -> None:
    with world() as w:
        accept(w)
        assert forget.forget(w.app, who, w.now)["forgotten"] == 0
        assert len(w.ids()) == 1


def test_an_international_domain_is_found_in_either_form() -> None:
    with world() as w:
        accept(w, "ada@bücher.example")
        with pytest.raises(intake.NotALead):
            intake.receive(w.app, "no json, ada@bücher.example".encode("utf-16"), w.now)
        told = forget.forget(w.app, "ada@xn--bcher-kva.example", w.now)
        assert told["forgotten"] == 2
        assert "ada@" not in everything(w)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]),
    st.booleans(),
    st.text(max_size=20),
    st.booleans(),
)
def test_an_address_is_found_in_bytes_of_any_encoding(encoding: str, upper: bool, around: str, escaped: bool) -> None:
    address = ADA.upper() if upper else ADA
    written = address.replace("@", chr(92) + "u0040") if escaped and "utf-8" in encoding else address
    text = f"{around} {written} {around}"
    with world() as w:
        intake.quarantine(w.app, text.encode(encoding, "replace"), Via.HTTPS, "a reason", w.now)
        assert forget.forget(w.app, ADA, w.now)["forgotten"] == 1
        assert quarantine.quarantined(w.app, None, w.now) == []


def test_forgetting_is_logged_without_saying_whom(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with world() as w:
        accept(w)
        caplog.clear()
        forget.forget(w.app, ADA, w.now)
    assert '"event": "forgotten"' in caplog.text
    assert "ada@" not in caplog.text


def test_real_storage_is_left_without_a_trace(azurite: str) -> None:
    environ = {"AzureWebJobsStorage": azurite, "LEADS_DESTINATIONS": "console"}
    app = App(app_settings.read(environ), environ)
    now = NOON + timedelta(days=400)
    address = "trace@erasure.example"
    receipt = intake.receive(app, post(userDetails=of(address)), now)
    with pytest.raises(intake.NotALead):
        intake.receive(app, f"no lead of {address}".encode(), now)
    told = forget.forget(app, address.upper(), now)
    assert told["leads"] == [receipt.id]
    assert told["forgotten"] == 2
    assert stories.story(app, receipt.id, now) == stories.Story(receipt.id, fate="gone")
    assert forget.belongings(app, address, now)["leads"] == []
    assert app.ledger.open_line(receipt.id) is None


def test_raw_that_no_event_is_known_of_is_forgotten_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with world() as w:
        with monkeypatch.context() as patched:
            patched.setattr(w.app.ledger, "open", crash)
            with pytest.raises(KeyboardInterrupt):
                accept(w)
            with pytest.raises(KeyboardInterrupt):
                accept(w, "grace@example.com")
        assert len(w.store.containers["raw"]) == 2
        told = forget.forget(w.app, ADA, w.now)
        assert told["forgotten"] == 1
        assert "ada@" not in everything(w)
        w.live(days=2)
        assert "ada@" not in everything(w)
        assert len(w.ids()) == 1, "the other one came in"


def test_what_comes_in_meanwhile_is_forgotten_and_told_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    with world() as w:
        first = accept(w)
        erase = Ledger.erase

        def slow(*arguments: Any) -> None:
            monkeypatch.setattr(Ledger, "erase", erase)
            accept(w, offerTitle="meanwhile")
            erase(*arguments)

        monkeypatch.setattr(Ledger, "erase", slow)
        told = forget.forget(w.app, ADA, w.now)
        assert len(told["leads"]) == 2
        assert first in told["leads"]
        assert "ada@" not in everything(w)
