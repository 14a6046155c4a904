"""What docs/security.md states, shown: what an outsider can neither choose nor exhaust, whatever the input."""

from __future__ import annotations

import gzip
import importlib
import json
import logging
import random
import re
import socket
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leads import enabled, triggers
from leads.contract import Step
from leads.errors import Failure, Skip
from leads.intake import accept, watch
from leads.lead import Via
from leads.operate import export, listing, operations, stories
from leads.operate.page import words
from leads.reader import Reader
from leads.store import doorbell
from leads.store.ledger import QUARANTINE, RAW
from leads.store.protocol import Blob, Row
from leads.store.testing import MemoryStore
from leads.transport import Deadline
from tests.destinations.test_contract import CONTRACTS, LEAD
from tests.world import NOON, post, row, world

_slow = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

NASTY_TEXT = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "../../../../etc/passwd",
            "..%2f..%2f",
            "a/b\\c#d?e",
            "raw/2026/11/21/x.json",
            "\r\nSet-Cookie: a=b",
            "' or PartitionKey ge '",
            "x'; drop",
            "\x00\x1b[31m\u2028\u2029\x85",
            "id-key",
            "0" * 400,
            "\u0660\u0661/\u0660/\u0660",
        ]
    ),
)


@_slow
@given(
    texts=st.dictionaries(
        st.sampled_from(["leadSource", "actionCode", "offerTitle", "productId", "description"]), NASTY_TEXT
    )
)
def test_a_log_line_is_one_line_and_its_codes_are_codes(
    texts: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caplog.clear()
    with world() as w:
        accept.receive(w.app, post(**texts), w.now)
        w.drain()
        w.sweep()
    for record in caplog.records:
        line = record.getMessage()
        assert len(line.splitlines()) == 1
        fields = json.loads(line)
        for name in ("source", "action", "offer"):
            assert re.fullmatch(r"[\w.-]{0,100}", fields.get(name, ""), re.ASCII)


# --- What an outsider cannot choose ----------------------------------------------------------------------------------

_BLOB = {
    RAW: re.compile(r"\d{4}/\d{2}/\d{2}/[0-9a-f]{16}\.json", re.ASCII),
    QUARANTINE: re.compile(r"\d{4}/\d{2}/\d{2}/[0-9a-f]{64}\.bin", re.ASCII),
}
_KEY = {
    "events": re.compile(r"[0-9a-f]{16}\|event"),
    "leads": re.compile(r"[0-9a-f]{16}\|[0-9a-f]{16}(:[a-z][a-z0-9_]{0,39})?"),
    "journal": re.compile(r"(open|\d{4}-\d{2}-\d{2})\|[0-9a-f]{16}-[0-9a-f]{16}", re.ASCII),
    "state": re.compile(r"state\|[a-z][a-z0-9_:-]{0,80}"),
}


_ASKED = re.compile(
    r"|open|dead|event|state|id-key|(changed:)?day:(\d{4}-\d{2}-\d{2})?|\d{4}-\d{2}-\d{2}|[0-9a-f]{16}(-[0-9a-f]{16}|:[a-z][a-z0-9_]{0,39})?"
    r"|\d{4}/\d{2}/\d{2}/[0-9a-f]{16}\.json|\d{4}/\d{2}/\d{2}/[0-9a-f]{64}\.bin",
    re.ASCII,
)


class Watched(MemoryStore):
    """A store that refuses to be written anywhere but where the design says, and notes every name it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def _write(self, table: str, row: Row) -> str:
        assert _KEY[table].fullmatch(f"{row.partition}|{row.key}"), f"{table}: {row.partition}|{row.key}"
        return super()._write(table, row)

    def get(self, table: str, partition: str, key: str) -> Row | None:
        assert table in _KEY
        self.asked |= {partition, key}
        return super().get(table, partition, key)

    def rows(self, table: str, partition: str, start: str = "", end: str = "") -> Iterator[Row]:
        assert table in _KEY
        self.asked |= {partition, start}
        return super().rows(table, partition, start, end)

    def put_blob(self, container: str, name: str, data: bytes, metadata: Mapping[str, str]) -> bool:
        assert _BLOB[container].fullmatch(name), f"{container}/{name}"
        return super().put_blob(container, name, data, metadata)

    def get_blob(self, container: str, name: str) -> Blob | None:
        assert container in _BLOB
        self.asked.add(name)
        return super().get_blob(container, name)


ROWS = st.fixed_dictionaries(
    {"PartitionKey": NASTY_TEXT, "RowKey": NASTY_TEXT},
    optional=dict.fromkeys(("LeadSource", "CustomerInfo", "Description", "CreatedTime", "raw", "event"), NASTY_TEXT),
)


@_slow
@given(rows=st.lists(ROWS, max_size=3), texts=st.lists(NASTY_TEXT, min_size=6, max_size=6))
def test_no_input_chooses_the_name_of_a_blob_or_the_key_of_a_row(rows: list[dict[str, Any]], texts: list[str]) -> None:
    with world() as w:
        w.app.store = w.store = Watched()
        names = ("leadSource", "actionCode", "productId", "event", "id", "raw")
        accept.receive(w.app, post(**dict(zip(names, texts, strict=True)), userDetails={"email": texts[0]}), w.now)
        w.inbox.tables["MarketplaceLeads"] = [row("x", w.now) | given for given in rows]
        watch.watch(w.app, w.now)
        w.drain()
        w.sweep()


@_slow
@given(asked=NASTY_TEXT, destination=NASTY_TEXT)
def test_an_id_that_is_none_of_ours_never_reaches_the_storage(asked: str, destination: str) -> None:
    """So no id in the path of a URL or in an order of the API can name another row or blob."""
    with world() as w:
        store = Watched()
        w.app.store = w.store = store
        known = accept.receive(w.app, post(), w.now).id
        w.drain()
        store.asked.clear()
        assert stories.story(w.app, asked, w.now) is None
        for order in (
            {"id": asked},
            {"id": known, "destination": destination},
            {"name": asked},
            {"customer": asked},
            {"offer": asked},
            {"since": asked},
        ):
            for name in ("show", "replay", "replay-quarantined", "list", "select"):
                try:
                    operations.perform(w.app, name, order, w.now)
                except (operations.WrongUse, Failure):
                    continue
        assert {name for name in store.asked if not _ASKED.fullmatch(name)} == set()
        assert [r for r in store.tables["leads"].values() if ":" in r.key and not r.key.endswith(":crm")] == []


@pytest.mark.parametrize(
    "text",
    [
        '{"lead": "../../x", "destination": "crm"}',
        '{"lead": "0123456789abcdef-0123456789abcdef", "destination": "../crm"}',
        '{"lead": "0123456789abcdef-0123456789abcdef\\n", "destination": "crm"}',
        '{"lead": "٠١٢٣٤٥٦٧٨٩abcdef-0123456789abcdef", "destination": "crm"}',
        "[" * 100_000,
        "1" * 10_000,
        "null",
        "",
    ],
)
def test_a_message_that_somebody_else_put_into_the_queue_is_dropped(text: str) -> None:
    assert doorbell.read(text) is None


def test_a_destination_is_only_ever_a_module_of_ours() -> None:
    for name in ("os", "..settings", "destinations", "_smtp", "teams.os", "", "TEAMS", "console\n"):
        with pytest.raises(KeyError):
            enabled.load(name)


CANARY = "canary.invalid"


@pytest.mark.parametrize("name", CONTRACTS)
def test_no_lead_can_make_the_app_call_an_address(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app calls what its settings name, never what stands in a lead: every field of this one is an address."""
    module: Any = importlib.import_module(f"tests.destinations.contract_{name}")
    looked_up: set[str] = set()
    look_up = socket.getaddrinfo

    def noted(host: Any, *rest: Any, **more: Any) -> Any:
        looked_up.add(str(host))
        return look_up(host, *rest, **more)

    with module.contract(tmp_path) as contract:
        for setting, value in contract.environ.items():
            monkeypatch.setenv(setting, value)
        destination: Any = enabled.load(name)
        made = destination.Settings.read(Reader(contract.environ, destination.SETTINGS))
        monkeypatch.setattr(socket, "getaddrinfo", noted)
        for number, address in enumerate(
            (
                f"http://{CANARY}/x",
                f"//{CANARY}",
                f"a@{CANARY}",
                f"\\\\{CANARY}\\x",
                f"https://{CANARY}:443/?a=b#c",
                "169.254.169.254",
            )
        ):
            person = dict.fromkeys(("first_name", "last_name", "email", "company", "title", "phone"), address)
            lead = replace(
                LEAD,
                id=f"{number + 77:016x}-{number + 77:016x}",
                contact=replace(LEAD.contact, **person),
                offer=address,
                offer_title=address,
                message=address,
                source=address,
                action=address,
                campaign={"url": address, address: address},
                extra={"url": address, "webhook": {"href": address}},
            )
            told = ""
            try:
                destination.send(lead, Step(now=NOON, deadline=Deadline.after(20)), made)
            except Failure as failure:
                told = f"{failure.cause} {failure.remedy}"
            except Skip as skip:
                told = skip.reason
            assert CANARY not in told
        assert {host for host in looked_up if host not in ("localhost", "127.0.0.1", "::1")} == set()


# --- What an outsider cannot exhaust ---------------------------------------------------------------------------------

_RANDOM = random.Random(5)
_FULL = 250_000


def _body(**fields: object) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()


HEAVY: Mapping[str, bytes] = {
    "half a nested text": _body(CustomerInfo='{"a":"' * 30_000),
    "escaped quotes without an end": _body(CustomerInfo='{"email":"' + '\\"a\\":\\"' * 20_000),
    "backslashes": _body(CustomerInfo='"email":"' + "\\" * 100_000),
    "spaces before a colon": _body(CustomerInfo='"email"' + " " * 200_000),
    "a text in a text in a text": _body(CustomerInfo=json.dumps(json.dumps(json.dumps({"Email": "a" * 40_000})))),
    "angle brackets": _body(userDetails={"email": "<" * 120_000}),
    "pairs of angle brackets": _body(userDetails={"email": "<>" * 60_000}),
    "an address of at signs": _body(userDetails={"email": "a@" * 100_000}),
    "dots": _body(userDetails={"email": "a." * 100_000 + "@contoso.com"}),
    "a long domain": _body(userDetails={"email": "a@" + "ü." * 4_000 + "com"}),
    "digits for a phone": _body(userDetails={"phone": "1" * _FULL}),
    "a phone of signs": _body(userDetails={"phone": "+(-" * 80, "country": "US"}),
    "a country": _body(userDetails={"country": "a " * 100_000}),
    "marks on a letter": _body(userDetails={"firstName": "e" + "\u0301" * 100_000}),
    "marks of many classes": _body(
        description="".join(_RANDOM.choices("\u0301\u0316\u05b0\u064b\u0e38\u0f71", k=80_000))
    ),
    "marks of Hebrew": _body(description="a" + "\u05b1\u05b0" * 60_000),
    "a letter of many digits": _body(description=f"&#{'9' * 200_000};"),
    "escapes within escapes": _body(description="\\\\%25&amp;" * 20_000),
    "a campaign": _body(description="Campaigns:" + " " * 200_000 + "\r" * 20_000),
    "a time": _body(createdTime="1/" * 100_000),
    "the same key": b"{" + b",".join(b'"a":1' for _ in range(40_000)) + b"}",
    "keys that collide once kept": b"{" + b",".join(b'"a":1,"a (%d)":1' % n for n in range(14_000)) + b"}",
    "many keys": _body(**{f"key{n}": n for n in range(14_000)}),
    "a number": b'{"a":' + b"9" * _FULL + b"}",
    "many numbers": b'{"a":[' + b",".join([b"1e400"] * 40_000) + b"]}",
    "depth": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "depth within a text": _body(CustomerInfo="[" * 200_000),
    "almost a test lead": _body(description="MSFT_TEST_" * 20_000),
    "a compressed bomb": gzip.compress(bytes(30_000_000)),
    "bars": _body(leadSource="|-" * 100_000),
}


@pytest.mark.parametrize("name", HEAVY)
def test_no_body_within_the_limit_keeps_an_operator_waiting(name: str) -> None:
    """Whoever answers a customer gets what is kept of them, and whoever looks for a lead finds it."""
    text = HEAVY[name].decode("utf-8", "replace")[:7000]
    with world() as w:
        accept.quarantine(w.app, HEAVY[name][:240_000] + b" ada@example.com", Via.HTTPS, "a reason", w.now)
        person = dict.fromkeys(("firstName", "lastName", "company"), text)
        accept.receive(w.app, post(userDetails=person, offerTitle=text, description=text), w.now)
        began = time.process_time()
        found = operations.perform(w.app, "export", {"who": "ada@example.com"}, w.now)
        assert len(found["records"]) == 1
        export.page({"customer": "ada@example.com", "made": "today", **found})
        assert time.process_time() - began < 3
        began = time.process_time()
        listing.listing(w.app, now=w.now, words="ada", offer="planner")
        listing.listing(w.app, now=w.now, words="ada")
        assert time.process_time() - began < 0.1, "a search reads 150 leads"


@pytest.mark.parametrize("name", HEAVY)
def test_no_body_within_the_limit_keeps_the_app_busy(name: str) -> None:
    """Expressions that backtrack, quadratic loops, colliding keys: a quarter of a megabyte costs seconds at most."""
    assert len(HEAVY[name]) < 2 * accept.BODY_LIMIT
    body = HEAVY[name][: accept.BODY_LIMIT] if len(HEAVY[name]) > accept.BODY_LIMIT else HEAVY[name]
    text = body.decode("utf-8", "replace")
    with world() as w:
        triggers.answer_lead(
            w.app, func.HttpRequest("POST", "https://app/", headers={}, body=b'{"country":"Italia"}'), w.now
        )
        began = time.process_time()
        for whole in (HEAVY[name], body):
            request = func.HttpRequest("POST", "https://app/api/leads", headers={}, body=whole)
            assert triggers.answer_lead(w.app, request, w.now).status_code in (202, 400, 413)
        w.inbox.tables["MarketplaceLeads"] = [row("x", w.now, CustomerInfo=text, Description=text)]
        watch.watch(w.app, w.now)
        w.drain()
        assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "name",
    [
        "messages.plain.block",
        "redact.safe",
        "operate.page.words.bytes_text",
        "intake.contact.email",
        "intake.times.moment",
    ],
)
@pytest.mark.parametrize(
    "seed", ["<a@", "a%40", "?a=", "bearer ", "token=", "1 2-", "e\u0301", "\\\\www.", "a:/", "{[", "Aa1/"]
)
def test_no_text_keeps_an_expression_busy(name: str, seed: str) -> None:
    module, _, function = name.rpartition(".")
    run: Any = getattr(importlib.import_module(f"leads.{module}"), function)
    text = seed * (100_000 // len(seed))
    began = time.process_time()
    if name == "messages.plain.block":
        run(text[:8000], 4000)
    else:
        run(text.encode() if module.endswith("words") else text)
    assert time.process_time() - began < 2


def test_bytes_that_grow_when_they_are_indented_are_shown_as_they_are() -> None:
    """Quarantine shows what an attacker sent: a quarter of a megabyte must not become half a gigabyte."""
    deep = b"[" * 900 + b",".join([b"1"] * 125_000) + b"]" * 900
    tracemalloc.start()
    try:
        began = time.process_time()
        words.bytes_text(deep)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
        assert time.process_time() - began < 2
    finally:
        tracemalloc.stop()


def test_an_import_reads_watched_tables_only() -> None:
    """Where the inbox is the state account, its tables hold the id key and every lead."""
    with world() as w:
        accept.receive(w.app, post(), w.now)
        for table, rows in list(w.store.tables.items()):
            w.inbox.tables[table] = [
                {"PartitionKey": r.partition, "RowKey": r.key, "Timestamp": f"{w.now:%Y-%m-%dT%H:%M:%SZ}", **r.values}
                for r in rows.values()
            ]
        before = w.ids()
        for table in (*w.inbox.tables, "State", "$metadata", "x/../state"):
            with pytest.raises((operations.WrongUse, Failure)):
                operations.perform(w.app, "import-table", {"table": table, "yes": True}, w.now)
        assert w.ids() == before


def test_a_query_may_be_as_long_as_the_host_lets_it_be() -> None:
    with world() as w:
        for name in ("state", "offer", "customer", "since"):
            for value in ("x" * 100_000, "%" * 10_000, "a@" * 20_000):
                began, told = time.process_time(), ""
                try:
                    operations.perform(w.app, "list", {name: value, "limit": 1}, w.now)
                except operations.WrongUse as error:
                    told = str(error)
                assert value not in told
                assert time.process_time() - began < 2
