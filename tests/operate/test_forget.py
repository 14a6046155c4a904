"""What is kept of a customer, and that nothing is left when it is forgotten."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads import settings as app_settings
from leads.app import App
from leads.contract import Kind
from leads.errors import Transient
from leads.intake import accept as intake
from leads.intake import normalize, payload, watch
from leads.lead import Via
from leads.operate import export, forget, operations, quarantine, stories
from leads.operate.cli import look
from leads.operate.cli.screen import Screen
from leads.store.ledger import Ledger
from tests.destinations.toys import Toy
from tests.world import NOON, FakeDestination, World, post, row, world

ADA = "ada@example.com"


def of(email: str) -> dict[str, str]:
    return {"email": email, "firstName": "Ada", "lastName": "Lovelace"}


def accept(w: World, email: str = ADA, **changes: Any) -> str:
    return intake.receive(w.app, post(userDetails=of(email), **changes), w.now).id


def forgotten(w: World, who: str = ADA) -> dict[str, Any]:
    """Forget a customer, in as many calls as that takes."""
    return look.search(partial(operations.perform, w.app, now=w.now), "forget", who, Screen())


def belongings(w: World, who: str = ADA) -> dict[str, Any]:
    return look.search(partial(operations.perform, w.app, now=w.now), "belongings", who, Screen())


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
        told = forgotten(w, "Ada@EXAMPLE.com")
        assert set(told["leads"]) == leads
        assert len(told["quarantine"]) == 1
        assert told["forgotten"] == 3
        left = everything(w)
        assert "ada@" not in left
        assert "lovelace" in left, "of the other customer"
        assert w.ids() == [other]
        assert {row.key for row in w.store.tables["journal"].values()} == {other}
        assert forgotten(w, ADA)["forgotten"] == 0
        w.live(days=2)
        assert "ada@" not in everything(w)


def test_what_was_forgotten_does_not_come_back() -> None:
    with world() as w:
        rows = [row("a", w.now, CustomerInfo=json.dumps({"Email": ADA}))]
        w.inbox.tables["MarketplaceLeads"] = rows
        accept(w)
        w.live(minutes=6)
        assert len(w.ids()) == 2
        told = forgotten(w, ADA)
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
            assert len(list(quarantine.entries(w.app))) == 1
            assert forgotten(w, ADA)["forgotten"] == 1
            w.live(days=2)
        w.live(days=2)
        assert "ada@" not in everything(w)


def test_an_intake_that_has_not_finished_is_forgotten_too() -> None:
    with world() as w:
        lead_id = accept(w)
        for table in ("leads", "events"):
            for key in list(w.store.tables[table]):
                w.store.delete(table, *key)
        told = forgotten(w, ADA)
        assert told["leads"] == [lead_id]
        w.live(days=2)
        assert "ada@" not in everything(w)
        assert w.ids() == []


def test_the_records_elsewhere_are_named_before_they_are_gone() -> None:
    with world(crm=FakeDestination(), mail=FakeDestination()) as w:
        lead_id = accept(w)
        w.drain()
        before = belongings(w)
        told = forgotten(w, ADA)
    assert told["by_hand"] == before["by_hand"]
    assert {"where": "crm", "what": f"remote-{lead_id[-16:]}"} in told["by_hand"]
    assert {each["where"] for each in told["by_hand"]} == {"crm", "mail", "Partner Center"}


@pytest.mark.parametrize("name", ["dynamics", "dynamics:emea"])
def test_a_dynamics_record_is_named_with_its_page(name: str) -> None:
    guid = "0a1b2c3d-0000-0000-0000-000000000001"
    setting = f"{name.upper().replace(':', '_')}_URL"
    environ = {"LEADS_DESTINATIONS": name, setting: "https://contoso.crm.dynamics.com"}
    with world(environ=environ, dynamics=FakeDestination()) as w:
        w.places.clear()
        lead_id = accept(w)
        delivery = w.app.ledger.delivery(lead_id, name)
        assert delivery
        w.app.ledger.save(replace(delivery, remote_id=guid))
        told = belongings(w)
        assert any(f"id={guid}" in each["what"] for each in told["by_hand"])
        next_step = w.app.ledger.delivery(accept(w, offerTitle="another step"), name)
        assert next_step
        w.app.ledger.save(replace(next_step, remote_id=guid))
        assert belongings(w)["by_hand"] == told["by_hand"], "one record is named once"


def test_a_record_of_an_instance_is_named_with_its_page() -> None:
    environ = {"LEADS_DESTINATIONS": "toy:upper", "TOY_UPPER_SHELF": "upper"}
    with world(environ=environ, toy=Toy(Kind.CRM)) as w:  # type: ignore[arg-type]
        lead_id = accept(w)
        w.drain()
        record = f"toy-{lead_id[-16:]}"
        assert {
            "where": "toy:upper",
            "what": f"{record} https://toys.example/upper/{record}",
        } in belongings(w)["by_hand"]


def test_a_delivery_under_way_brings_nothing_back_and_is_told() -> None:
    told: dict[str, Any] = {}

    with world() as w:

        class Slow(FakeDestination):
            def send(self, lead: Any, step: Any, _: Any) -> str:
                told.update(forgotten(w, ADA))
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
        told = forgotten(w, ADA)
        assert told["leads"] == [mine]
        assert told["mentioned_in"] == [other]
        assert w.ids() == [other]
        assert forgotten(w, other)["forgotten"] == 1
        assert "ada@" not in everything(w)


@pytest.mark.parametrize("stopped_at", ["keep_raw", "open", "add"])
def test_another_customers_lead_that_is_not_in_yet_is_not_lost(
    stopped_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the bytes of such a lead are there: in quarantine, in raw, or with an open line."""

    def down(*_: Any) -> None:
        raise OSError

    with world() as w:
        with monkeypatch.context() as patched:
            patched.setattr(w.app.ledger, stopped_at, down)
            w.inbox.tables["MarketplaceLeads"] = [row("bob", w.now, Description=f"My colleague {ADA} knows more.")]
            with pytest.raises(RuntimeError):
                watch.watch(w.app, w.now)
            with pytest.raises(OSError):
                accept(w, "grace@example.com", description=f"Ask my colleague {ADA}.")
        told = forgotten(w)
        assert told["forgotten"] == 0
        assert len(told["mentioned_in"]) == (2 if stopped_at == "keep_raw" else 3), "the row in the inbox as well"
        w.live(days=1)
        assert len(w.ids()) == 2, "both came in"


def test_an_address_with_a_control_character_is_hers_before_the_lead_is_in_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with world() as w:
        with monkeypatch.context() as patched:
            patched.setattr(w.app.ledger, "open", crash)
            with pytest.raises(KeyboardInterrupt):
                accept(w, f"{ADA}\0")
        assert forgotten(w)["forgotten"] == 1
        w.live(days=2)
        assert "ada@" not in everything(w), "it did not come in as a lead of hers"


def test_bytes_that_a_bug_of_ours_cannot_read_keep_nobody_from_being_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError

    with world() as w:
        monkeypatch.setattr(payload, "read", broken)
        accept(w)
        forgotten(w)
        assert "ada@" not in everything(w)


@pytest.mark.parametrize("who", [ADA, "id"])
def test_a_record_that_may_be_there_after_an_attempt_without_an_answer_is_named(who: str) -> None:
    with world(crm=FakeDestination(always=Transient("It did not answer.", "Wait.", unanswered=True))) as w:
        lead_id = accept(w)
        w.live(days=5)
        assert w.states() == {"crm": "dead"}
        told = forgotten(w, lead_id if who == "id" else who)
        (named,) = [each["what"] for each in told["by_hand"] if each["where"] == "crm"]
        assert lead_id in named


def test_the_digest_that_listed_a_customer_is_named() -> None:
    digest = SimpleNamespace(digest=True, digest_zone=ZoneInfo("Asia/Tokyo"))

    class Mail(FakeDestination):
        @property
        def Settings(self) -> Any:
            return SimpleNamespace(read=lambda _: digest)

    with world(mail=Mail(), other=FakeDestination(), environ={"LEADS_ROUTES": "> other"}) as w:
        w.forward(hours=4)
        accept(w)
        w.drain()
        assert {each["where"] for each in belongings(w)["by_hand"]} == {"other", "Partner Center"}
        w.forward(days=1)
        told = forgotten(w)
    (named,) = [each["what"] for each in told["by_hand"] if each["where"] == "mail"]
    assert "2026-11-22" in named, "the day in the time zone of the digest"


@pytest.mark.parametrize(
    "who",
    ["a", "@", "example.com", "lovelace", "ada@example,com", "ada@example", "ada example.com", "ada(at)home@nowhere"],
)
def test_what_is_neither_an_address_nor_an_id_is_wrong_use(who: str) -> None:
    """`Nothing is kept of this customer` would be passed on to the customer."""
    with world() as w:
        lead_id = accept(w, who)
        for search in (forgotten, belongings):
            with pytest.raises(operations.WrongUse) as told:
                search(w, who)
            assert len(who) < 2 or who not in str(told.value)
        assert w.ids() == [lead_id]
        assert forgotten(w, lead_id)["forgotten"] == 1, "a lead with an address that is none is forgotten by its id"


def test_a_lead_is_forgotten_by_the_second_half_of_its_id_too() -> None:
    with world() as w:
        lead_id = accept(w)
        assert forgotten(w, lead_id[-16:])["leads"] == [lead_id]
        assert w.ids() == []


def test_bytes_without_an_address_are_forgotten_by_their_name() -> None:
    with world() as w:
        for body in (b"Ada Lovelace, +39 06 1234567", b"somebody else"):
            with pytest.raises(intake.NotALead):
                intake.receive(w.app, body, w.now)
        assert forgotten(w)["forgotten"] == 0
        name = next(each.name for each in quarantine.entries(w.app) if each.size > 20)
        assert belongings(w, name)["quarantine"] == [name]
        assert forgotten(w, name)["forgotten"] == 1
        assert "lovelace" not in everything(w)
        assert len(list(quarantine.entries(w.app))) == 1
        assert forgotten(w, name)["forgotten"] == 0


@pytest.mark.parametrize(
    "written",
    [
        {"note": f"see below:\n{ADA}"},
        {"note": f"\t{ADA}\r\n"},
        {"note": {"deep": [f"x\n{ADA}"]}},
        {"note": json.dumps({"inner": f"\n{ADA}"})},
        {"note": json.dumps({"inner": json.dumps([f"\n{ADA}"])})},
        {"note": "mail=ada%40example.com&x=1"},
        {"note": "ada&#64;example.com"},
        {"note": f"\\{ADA}"},
        {"note": "ada&commat;example.com"},
        {"note": "%41DA%40example.com"},
        {"note": "&#65;da&#64;example.com"},
        {"note": "<p>Ask:\nada&#64;example.com</p>"},
        {"note": "x=1&note=%7B%22a%22%3A%22Ask%5Cnada%40example.com%22%7D"},
        {"note": "&lt;ada&amp;#64;example.com&gt;"},
    ],
)
def test_an_address_inside_of_an_unknown_field_is_found(written: dict[str, Any]) -> None:
    with world() as w:
        other = accept(w, "grace@example.com", **written)
        assert belongings(w)["mentioned_in"] == [other]
        nobody = intake.receive(w.app, json.dumps(written).encode(), w.now).id
        body = json.dumps(written)[:-1].encode()
        with pytest.raises(intake.NotALead):
            intake.receive(w.app, body, w.now)
        told = forgotten(w)
        assert (told["leads"], len(told["quarantine"])) == ([nobody], 1)
        assert w.ids() == [other]


@pytest.mark.parametrize("where", ["quarantine", "lead", "inbox"])
def test_a_number_that_python_does_not_read_keeps_nobody_from_being_forgotten(where: str) -> None:
    """Whoever has the key in Partner Center can send it, and so can a customer: `&#` and 5,000 digits are no letter."""
    junk = f"&#{'9' * 5000};"
    with world() as w:
        accept(w)
        if where == "quarantine":
            intake.quarantine(w.app, junk.encode(), Via.HTTPS, "The body is not JSON.", w.now)
        elif where == "lead":
            accept(w, "grace@example.com", description=junk)
        else:
            w.inbox.tables["MarketplaceLeads"] = [row("a", w.now, Description=junk)]
        told = forgotten(w)
        assert (told["forgotten"], told["unsearched"]) == (1, [])
        assert "ada@" not in everything(w)


def test_words_beyond_what_a_row_holds_are_searched_too() -> None:
    with world() as w:
        far = "x " * 9000 + ADA
        other = accept(w, "grace@example.com", description=far)
        third = accept(w, "emmy@example.com", odd=far)
        short = accept(w, "lise@example.com", description="x " * 9000)
        told = forgotten(w)
        assert sorted(told["mentioned_in"]) == sorted([other, third])
        assert sorted(w.ids()) == sorted([other, third, short])


def test_a_body_too_deep_to_be_read_is_the_customers_whose_address_stands_in_it() -> None:
    with world() as w:
        deep = ('{"userDetails": {"email": "ada@example.com"}, "x": ' + "[" * 150 + "]" * 150 + "}").encode()
        lead_id = intake.receive(w.app, deep, w.now).id
        assert forgotten(w)["leads"] == [lead_id]
        assert "ada@" not in everything(w)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-32", "utf-32-be"])
def test_an_address_in_wide_letters_is_found(encoding: str) -> None:
    with world() as w:
        intake.quarantine(w.app, f"x\n{ADA}!".encode(encoding), Via.HTTPS, "a reason", w.now)
        assert forgotten(w)["forgotten"] == 1


# --- The inbox -------------------------------------------------------------------------------------------------------


def inbox(w: World) -> None:
    """Rows of three years: hers from before the app and from now, one of somebody else who names her, and others."""
    w.inbox.page = 3
    rows = [
        row(f"r{number}", w.now - timedelta(days=number), CustomerInfo=json.dumps({"Email": f"c{number}@example.com"}))
        for number in range(10, 30)
    ]
    hers = {"FirstName": "Ada", "LastName": "Lovelace", "Email": "ADA@example.com"}
    rows.append(row("before", w.now - timedelta(days=900), CustomerInfo=json.dumps(hers), Description="old words"))
    rows.append(row("now", w.now, CustomerInfo=json.dumps(hers)))
    his = {"Email": "grace@example.com", "LastName": "Hopper"}
    rows.append(row("his", w.now - timedelta(days=40), CustomerInfo=json.dumps(his), Description=f"not {ADA}"))
    w.inbox.tables["MarketplaceLeads"] = rows


def test_rows_of_the_inbox_are_named_also_those_older_than_the_app_and_when_asked_again() -> None:
    with world() as w:
        inbox(w)
        w.live(minutes=6)
        for again in (False, True):
            told = forgotten(w)
            rows = [each["what"] for each in told["by_hand"] if each["where"] == "inbox table MarketplaceLeads"]
            assert [what.rpartition(" ")[2] for what in rows] == ["now", "before"]
            assert told["searched"]["rows of the inbox table MarketplaceLeads"] == 23
            assert [each for each in told["mentioned_in"] if "RowKey his" in each]
            assert bool(told["forgotten"]) != again
        assert "old words" not in str(told), "forget tells the keys only"


def test_an_inbox_that_cannot_be_read_does_not_keep_anything_from_being_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise OSError("AccountKey=secret")

    with world() as w:
        accept(w)
        monkeypatch.setattr(w.inbox, "pages", broken)
        told = forgotten(w)
        assert told["forgotten"] == 1
        (left,) = told["unsearched"]
        assert left["where"] == "inbox table MarketplaceLeads"
        assert "OSError" in left["why"]
        assert "secret" not in str(told)


# --- In many calls ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["belongings", "forget", "export"])
def test_a_search_in_the_smallest_steps_finds_the_same(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> tuple[dict[str, Any], int]:
        with world() as w:
            calls = 0

            def call(name: str, given: Any) -> dict[str, Any]:
                nonlocal calls
                calls += 1
                return operations.perform(w.app, name, given, w.now)

            inbox(w)
            w.live(minutes=6)
            for number in range(8):
                accept(w, f"someone{number}@example.com", offerTitle=str(number))
                with pytest.raises(intake.NotALead):
                    intake.receive(w.app, f"junk {number} {ADA if number % 3 == 0 else ''}".encode(), w.now)
            accept(w, offerTitle="hers")
            found = look.search(call, order, ADA, Screen())
            left = forgotten(w)["forgotten"]
            assert (left == 0) == (order == "forget")
            # Ids and random keys differ from one world to the next.
            found["leads"] = len(found["leads"])
            found["mentioned_in"] = len(found["mentioned_in"])
            for record in found.get("records", []):
                record.pop("our number", None)
                record.pop("sent to", None)
            found.get("records", []).sort(key=str)
            found["by_hand"] = len(found["by_hand"])
            return found, calls

    at_once, few = run()
    monkeypatch.setattr(forget, "SECONDS", 0)
    monkeypatch.setattr(forget, "ROWS_A_STEP", 1)
    stepwise, many = run()
    assert stepwise == at_once
    assert at_once["leads"] == 2
    assert many > 40 > few


def test_junk_by_the_thousand_does_not_keep_a_customer_from_being_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the key in Partner Center can send it. Each call ends in time, and the next goes on behind it."""
    now = 0.0
    with world() as w:
        read = w.store.get_blob

        def slow(container: str, name: str) -> Any:
            nonlocal now
            now += 0.05
            return read(container, name)

        monkeypatch.setattr(w.store, "get_blob", slow)
        monkeypatch.setattr("leads.operate.forget.time.monotonic", lambda: now)
        for number in range(1500):
            intake.quarantine(w.app, f"junk {number}".encode(), Via.HTTPS, "The body is not JSON.", w.now)
        intake.quarantine(w.app, ADA.encode(), Via.HTTPS, "The body is not JSON.", w.now)
        accept(w)
        took: list[float] = []

        def call(name: str, given: Any) -> dict[str, Any]:
            began = now
            found = operations.perform(w.app, name, given, w.now)
            took.append(now - began)
            return found

        told = look.search(call, "forget", ADA, Screen())
        assert told["forgotten"] == 2
        assert told["searched"]["entries of the quarantine"] == 1501
        assert len(took) > 3
        assert max(took) < 21, "seconds; the host and the command wait for a minute"


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "{}",
        "[]",
        "[1]",
        "[1, 2, 3, 4]",
        '[9, false, 0, ""]',
        '[1, false, 9, ""]',
        '[1, false, 4, "x"]',
        "[" * 9999,
    ],
)
def test_a_cursor_that_is_none_is_wrong_use(cursor: str) -> None:
    with world() as w:
        accept(w)
        with pytest.raises(operations.WrongUse, match="cursor"):
            operations.perform(w.app, "forget", {"who": ADA, "cursor": cursor}, w.now)
        assert len(w.ids()) == 1


# --- What a customer is given ----------------------------------------------------------------------------------------


def test_a_customer_is_given_who_what_when_where_and_what_arrived() -> None:
    with world(crm=FakeDestination(), mail=FakeDestination()) as w:
        inbox(w)
        lead_id = accept(w, actionCode="PLT", description="Please call me.", odd="Also this")
        w.drain()
        content = look.search(partial(operations.perform, w.app, now=w.now), "export", ADA, Screen())["records"]
        (record,) = [each for each in content if each.get("our number") == lead_id]
        assert record["what"] == "Contact me"
        assert record["who"]["email"] == ADA
        assert record["your words"] == "Please call me."
        assert record["also came"] == {"odd": "Also this"}
        assert record["reached us"] == w.now.isoformat()
        assert {each["where"]: each["state"] for each in record["sent to"]} == {"crm": "sent", "mail": "sent"}
        assert record["sent to"][0]["record there"].startswith("remote-")
        assert json.loads(record["as it arrived"])["userDetails"]["email"] == ADA
        rows = [each for each in content if "MarketplaceLeads" in each["what"]]
        assert [json.loads(each["as it arrived"])["RowKey"] for each in rows] == ["now", "before"]
        assert "old words" in rows[1]["as it arrived"], "the whole row"
        assert "hopper" not in str(content).lower()


def test_the_page_for_a_customer_says_the_same_and_runs_nothing() -> None:
    hostile = "<script>alert(1)</script>\u202e"
    with world() as w:
        accept(w, description=hostile, odd={"<b>": hostile})
        intake.quarantine(w.app, f"{ADA} {hostile} \x9b".encode(), Via.HTTPS, "a reason", w.now)
        records = look.search(partial(operations.perform, w.app, now=w.now), "export", ADA, Screen())["records"]
        text = export.page({"customer": ADA, "made": "2026-11-21 12:00 UTC", "records": records})
    assert "2 records" in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<script" not in text
    assert "<b>" not in text
    assert not {"\u202e", "\x9b"} & set(text)
    assert "reached us" in text
    assert "ada@example.com" in text


def test_an_international_domain_is_found_in_either_form() -> None:
    with world() as w:
        accept(w, "ada@bücher.example")
        with pytest.raises(intake.NotALead):
            intake.receive(w.app, "no json, ada@bücher.example".encode("utf-16"), w.now)
        told = forgotten(w, "ada@xn--bcher-kva.example")
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
        assert forgotten(w, ADA)["forgotten"] == 1
        assert list(quarantine.entries(w.app)) == []


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
        told = forgotten(w, ADA)
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
        told = forgotten(w, ADA)
        assert len(told["leads"]) == 2
        assert first in told["leads"]
        assert "ada@" not in everything(w)
