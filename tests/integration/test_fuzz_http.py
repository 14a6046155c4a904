"""Whatever is sent, the answer is the one that design §7 promises, the bytes are kept, and the app stays up and small.

Once through `leads.triggers` and the watch in memory with hypothesis, and once through the local host over a socket,
on Azurite. `FUZZ` is how many mutated bodies go over the socket, 300 unless set.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import socket
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
from azure.data.tables import EdmType, EntityProperty, TableServiceClient
from hypothesis import given, settings
from hypothesis import strategies as st

from dev.azurite import Azurite
from leads import triggers
from leads.app import App
from leads.intake import accept, watch
from leads.intake.accept import BODY_LIMIT
from leads.store.ledger import QUARANTINE, RAW
from tests.integration.local import TABLE, LocalHost, environ, figure, found, process, settle, until
from tests.world import NOON, FakeDestination, post, row, world

FUZZ = int(os.environ.get("FUZZ", "300"))
GROWTH_LIMIT = 80
"""MiB that the memory of host and app together may grow by at its peak, with 8 bodies of any content under way."""
LARGE_LIMIT = 300
"""MiB more where 8 bodies of 16 MiB are under way: the host reads them whole before the app may refuse them."""

LEAD = json.loads(post())


def sized(size: int) -> bytes:
    """A lead of exactly that many bytes."""
    frame = b'{"userDetails": {"email": "big@contoso.com"}, "description": "%s"}'
    return frame % (b"x" * (size - len(frame) + 2))


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


def changed(**person: Any) -> bytes:
    return json.dumps(LEAD | {"userDetails": LEAD["userDetails"] | person}).encode()


BODIES: dict[str, tuple[bytes, int]] = {
    "real": (post(), 202),
    "empty object": (b"{}", 202),
    "empty": (b"", 400),
    "spaces": (b" \r\n ", 400),
    "BOM alone": (b"\xef\xbb\xbf", 400),
    "null": (b"null", 400),
    "array": (b"[" + post() + b"]", 400),
    "text": (b'"lead"', 400),
    "number": (b"7", 400),
    "cut off": (post()[:-1], 400),
    "two objects": (post() + post(), 400),
    "single quotes": (b"{'email': 'a@b.co'}", 400),
    "comma at the end": (b'{"email": "a@b.co",}', 400),
    "comment": (b'{"email": "a@b.co"} // me', 400),
    "wrong types": (
        json.dumps({"userDetails": 7, "leadSource": [], "offerTitle": {}, "description": True}).encode(),
        202,
    ),
    "wrong types inside": (changed(firstName=["a"], email={"x": 1}, phone=1e300, country=None, title=False), 202),
    "UTF-8 with BOM": (b"\xef\xbb\xbf" + post(description="a"), 202),
    "UTF-16": (post(description="b").decode().encode("utf-16"), 202),
    "UTF-16 without BOM": (post(description="c").decode().encode("utf-16-be"), 202),
    "UTF-32": (post(description="d").decode().encode("utf-32"), 202),
    "half of UTF-16": (post(description="e").decode().encode("utf-16")[:-1], 400),
    "invalid UTF-8": (post().replace(b"Contoso", b"Con\xff\xfetoso"), 400),
    "overlong UTF-8": (post().replace(b"Contoso", b"Con\xc0\xaftoso"), 400),
    "Latin-1": ('{"firstName": "Søren"}'.encode("latin-1"), 400),
    "surrogates as bytes": (post().replace(b"Contoso", b"Con\xed\xa0\x80toso"), 400),
    "form": (b"firstName=Some&lastName=One&email=a%40b.co", 400),
    "multipart": (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n', 400),
    "XML": (b"<?xml version='1.0'?><lead><email>a@b.co</email></lead>", 400),
    "JavaScript": (b"<script>alert(1)</script>", 400),
    "repeated keys": (
        b'{"email": "a@b.co", "email": "c@d.co", "EMAIL": "e@f.co", "userDetails": {}, "userDetails": {}}',
        202,
    ),
    "NaN": (b'{"phone": NaN, "a": [Infinity, -Infinity, 1e999, -0]}', 202),
    "long number": (b'{"phone": ' + b"9" * 10_000 + b"}", 202),
    "10,000 deep": (nested(10_000), 202),
    "10,000 deep, beside a contact": (b'{"email": "deep@contoso.com", "a": ' + nested(10_000) + b"}", 202),
    "101 deep": (nested(101), 202),
    "100 deep": (nested(100), 202),
    "array 100,000 deep": (b"[" * 100_000, 400),
    "object of 260,000 bytes, deep without an end": (b'{"a":' * 52_000, 202),
    "lone surrogates": (b'{"firstName": "\\ud800", "email": "\\udfff@contoso.com", "\\ud83d": "\\ude00"}', 202),
    "NUL escaped": (b'{"firstName": "a\\u0000b", "email": "a\\u0000@b.co", "\\u0000": "\\u0000"}', 202),
    "NUL as byte": (b'{"firstName": "a\x00b"}', 400),
    "controls as bytes": (b'{"firstName": "a\x07b"}', 400),
    "all kinds of spaces": (b'{"firstName": "\\u00a0\\u2028\\u2029\\u200b\\ufeff\\u0085", "email": "\\u3000"}', 202),
    "right to left": (changed(firstName="\u202egro.evil", lastName="\u0627\u0644"), 202),
    "noncharacters": (b'{"firstName": "\\ufffe\\uffff\\ufdd0"}', 202),
    "names of 10,000": (changed(firstName="N" * 10_000, lastName="\U0001f600" * 10_000, email="e" * 10_000), 202),
    "keys of 10,000": (json.dumps({"k" * 10_000: 1, "\u00e9" * 10_000: 2}).encode(), 202),
    "1,000 keys": (json.dumps({f"key{n}": n for n in range(1000)}).encode(), 202),
    "1,000 columns of 200": (json.dumps({f"key{n}": "v" * 200 for n in range(1000)}).encode(), 202),
    "keys of the platform": (b'{"PartitionKey": "x", "RowKey": "y", "odata.etag": "z", "__proto__": {"a": 1}}', 202),
    "formula": (changed(firstName="=1+1", company='@SUM("A1")'), 202),
    "markup": (changed(firstName="<b>x</b>", company="'; DROP TABLE leads; --", title="{{7*7}}"), 202),
    "header injection": (changed(firstName="a\r\nBcc: b@c.de", email="a@b.co\r\nBcc: b@c.de"), 202),
    "256 KiB - 1": (sized(BODY_LIMIT - 1), 202),
    "256 KiB": (sized(BODY_LIMIT), 202),
    "256 KiB + 1": (sized(BODY_LIMIT + 1), 413),
    "16 MiB": (b"{" + b" " * (16 << 20), 413),
    "gzip": (gzip.compress(post(), mtime=0), 400),
    "gzip bomb": (gzip.compress(b"{" + b" " * (100 << 20), 9, mtime=0), 400),
    "stacked marks": (json.dumps({"firstName": "a" + "\u0301\u0316" * 40_000}, ensure_ascii=False).encode(), 202),
    "backslashes": (json.dumps({"CustomerInfo": '{"a":"' + "\\" * 60_000}).encode(), 202),
    "JSON in JSON in JSON": (json.dumps({"CustomerInfo": json.dumps(json.dumps(LEAD["userDetails"]))}).encode(), 202),
    "deep text in JSON": (json.dumps({"userDetails": '{"a":' * 20_000}).encode(), 202),
    "test lead": (post(description="MSFT_TEST_123456789012345678"), 202),
}
"""What is sent, and what is answered."""

# --- through leads.web ---


def request(content: bytes) -> func.HttpRequest:
    return func.HttpRequest(method="POST", url="http://127.0.0.1/api/leads", headers={}, body=content)


def expected(content: bytes) -> int:
    """Design §7, said once more without our own reader."""
    if len(content) > BODY_LIMIT:
        return 413
    try:
        return 202 if isinstance(json.loads(content.decode(json.detect_encoding(content))), dict) else 400
    except ValueError:
        return 400


def kept(app: App, content: bytes, lead_id: str, day: datetime) -> bool:
    """Whether the bytes are where they should be: in raw as that lead, or in quarantine."""
    if lead_id:
        blob = app.store.get_blob(RAW, f"{day:%Y/%m/%d}/{lead_id[-16:]}.json")
    else:
        # The name has the ten minutes in it as well, and of what is empty the reason.
        names = [name for name, _ in app.store.blobs(QUARANTINE, f"{day:%Y/%m/%d}/")]
        held = filter(None, (app.store.get_blob(QUARANTINE, name) for name in names))
        blob = next((one for one in held if one.data == content), None)
    return blob is not None and blob.data == content


@pytest.mark.parametrize("name", BODIES)
def test_each_body_gets_its_answer(name: str) -> None:
    content, status = BODIES[name]
    with world() as w:
        answer = triggers.answer_lead(w.app, request(content), w.now)
        said = json.loads(answer.get_body())
        assert answer.status_code == status
        assert answer.mimetype == ("application/json" if status == 202 else "application/problem+json")
        again = triggers.answer_lead(w.app, request(content), w.now + timedelta(minutes=1))
        assert (again.status_code, json.loads(again.get_body())) == (status, said), "a repeated body is answered alike"
        if status == 413:
            (note,) = [note for _, note in w.store.blobs(QUARANTINE, "")]
            assert note["size"] == str(len(content))
            return
        assert kept(w.app, content, said.get("id", ""), w.now)
        if status == 202:
            w.live(minutes=10)
            assert w.states() == {"crm": "skipped" if name == "test lead" else "delivered"}
            assert len(w.ids()) == 1


def test_a_lead_too_deep_to_be_read_says_so_to_whoever_gets_it() -> None:
    with world() as w:
        triggers.answer_lead(w.app, request(nested(10_000)), w.now)
        w.drain()
        ((lead, _),) = w.places["crm"].got
        assert lead.issues == ("body: nested too deep to be read; see raw",)
        assert not lead.contact_withheld


TEXTS = st.text(st.characters(exclude_categories=()), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda of: st.lists(of, max_size=3) | st.dictionaries(TEXTS, of, max_size=3),
    max_leaves=12,
)
KEYS = st.sampled_from([*LEAD, *LEAD["userDetails"], "CustomerInfo", "CreatedTime", "ActionCode"]) | TEXTS
OBJECTS = st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=6), max_size=8)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp500"])


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A lead with some of its bytes changed, cut out, doubled or put in."""
    content = bytearray(draw(st.sampled_from([content for content, _ in BODIES.values() if len(content) < 5_000])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        content[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4) | st.sampled_from([b'"', b"{", b"\\u"]))
    return bytes(content)


CONTENTS = (
    st.binary(max_size=300)
    | mutations()
    | st.builds(lambda value, how: json.dumps(value, ensure_ascii=False).encode(how, "replace"), OBJECTS, ENCODINGS)
    | OBJECTS.map(lambda value: json.dumps(value).encode())
)


@settings(deadline=None)
@given(st.lists(CONTENTS, min_size=1, max_size=4))
def test_any_bytes_get_the_answer_of_the_design_and_are_kept(contents: list[bytes]) -> None:
    with world() as w:
        accepted = set()
        for content in contents:
            answer = triggers.answer_lead(w.app, request(content), w.now)
            assert answer.status_code == expected(content)
            lead_id = json.loads(answer.get_body()).get("id", "")
            assert kept(w.app, content, lead_id, w.now) or lead_id in accepted
            accepted |= {lead_id} - {""}
        w.live(minutes=10)
        cases = {lead_id: w.app.ledger.case(lead_id) for lead_id in w.ids()}
        assert set(cases) == accepted
        # A CRM gets no test lead.
        meant = {lead_id for lead_id, case in cases.items() if case and not case.lead.is_test}
        assert {lead.id for lead, _ in w.places["crm"].got} == meant
        assert len(w.places["crm"].got) == len(meant)


# --- rows, through leads.intake.watch ---

COLUMNS = (
    VALUES.filter(lambda value: not isinstance(value, list | dict))
    | st.binary(max_size=30)
    | st.datetimes()
    | st.uuids()
    | st.integers(-(2**63), 2**63 - 1).map(lambda number: EntityProperty(number, EdmType.INT64))
    | OBJECTS.map(json.dumps)
    | st.sampled_from([content.decode("utf-8", "replace") for content, _ in BODIES.values() if len(content) < 30_000])
)
ROW_KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\#?'"), min_size=1, max_size=30)


@settings(deadline=None)
@given(
    st.dictionaries(
        ROW_KEYS, st.dictionaries(KEYS.filter(lambda key: key not in ("PartitionKey", "RowKey")), COLUMNS, max_size=6)
    )
)
def test_any_row_becomes_a_lead_once(columns: dict[str, dict[str, Any]]) -> None:
    with world(crm=FakeDestination()) as w:
        rows = [row(key, NOON, **(own | {"Timestamp": row("x", NOON)["Timestamp"]})) for key, own in columns.items()]
        w.inbox.tables[TABLE] = rows
        for _ in range(2):
            w.live(minutes=6)
        events = {accept.event_of_row(w.app, TABLE, one) for one in rows}
        assert {lead_id[17:] for lead_id in w.ids()} == events
        assert not w.store.containers.get(QUARANTINE), "a row was not read"
        assert len(w.places["crm"].got) == len(events)


# --- through the local host ---


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with Azurite() as running:
        yield running.connection_string


@pytest.fixture(scope="module")
def host(storage: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    # The sweep stays away: what it would do is done at the end, by a clock that is put forward.
    with LocalHost(tmp_path_factory.mktemp("host"), environ(storage, LEADS_SWEEP_SCHEDULE="0 0 0 1 1 *")) as running:
        yield running


def exchange(port: int, head: str, content: bytes = b"", *, end: bool = False) -> tuple[int, dict[str, Any]]:
    """Send these very bytes; the status and the JSON that came back. With `end` nothing more is sent afterwards."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n" + content)
        if end:
            connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answer:
            status = int(answer.readline().split()[1])
            length = 0
            while line := answer.readline().strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            return status, json.loads(answer.read(length) or b"{}")


def sent(port: int, content: bytes, *headers: str) -> tuple[int, dict[str, Any]]:
    head = "".join(f"{line}\n" for line in ["POST /api/leads HTTP/1.1", "Host: localhost", *headers])
    return exchange(port, f"{head}Content-Length: {len(content)}\n", content)


@pytest.mark.parametrize(
    ("head", "content", "end", "status"),
    [
        ("Transfer-Encoding: chunked", b"3\r\n{} \r\n0\r\n\r\n", False, 202),
        ("Transfer-Encoding: chunked", b"".join(b"1\r\n%c\r\n" % byte for byte in post()) + b"0\r\n\r\n", False, 202),
        ("Transfer-Encoding: chunked", b"3\r\n{} \r\nnonsense\r\n", False, 400),
        ("Transfer-Encoding: chunked", b"fffffffffff\r\n{}", False, 413),
        ("Transfer-Encoding: chunked", b"5\r\n{}", True, 400),
        ("Transfer-Encoding: chunked\nContent-Length: 2", b"2\r\n{}\r\n0\r\n\r\n", False, 400),
        ("Content-Length: 1000", post(), True, 400),
        ("Content-Length: 5", post(), True, 400),
        ("Content-Length: -1", post(), True, 400),
        ("Content-Length: +2", b"{}", True, 400),
        ("Content-Length: 2\nContent-Length: 3", b"{} ", True, 400),
        ("Content-Length: 99999999999999999999999", b"{}", True, 413),
        ("Content-Length: 999999999999", b"{}", True, 413),
        ("Content-Length: two", b"{}", True, 400),
        ("X: y", b"", False, 400),
    ],
)
def test_bodies_with_a_false_or_no_length(host: LocalHost, head: str, content: bytes, end: bool, status: int) -> None:
    assert exchange(host.port, f"POST /api/leads HTTP/1.1\nHost: localhost\n{head}\n", content, end=end)[0] == status
    assert sent(host.port, post())[0] == 202


def test_the_app_stays_up_and_small_whatever_is_sent(host: LocalHost, storage: str) -> None:
    chance = random.Random(7)
    small = [content for content, _ in BODIES.values() if len(content) < 5_000]
    bodies = [(content, status) for content, status in BODIES.values() if len(content) < 1 << 20]
    for _ in range(FUZZ):
        mutated = bytearray(chance.choice(small))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(mutated) + 1)
            mutated[at : at + chance.randrange(4)] = chance.randbytes(chance.randrange(4))
        bodies.append((bytes(mutated), expected(bytes(mutated))))
    large = [(b"%d" % n + b" " * (16 << 20), 413) for n in range(8)]
    kinds = ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
    assert sent(host.port, post())[0] == 202
    began = host.memory()

    def one(numbered: tuple[int, tuple[bytes, int]]) -> tuple[bytes, int, int, str]:
        number, (content, status) = numbered
        zipped = ["Content-Encoding: gzip"] if content[:2] == b"\x1f\x8b" else []
        got, said = sent(host.port, content, f"Content-Type: {kinds[number % len(kinds)]}", *zipped)
        return content, status, got, said.get("id", "")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, enumerate(bodies)))
        peak = host.memory("VmHWM")
        answers += list(pool.map(one, enumerate(large)))
    assert [(content[:60], got) for content, status, got, _ in answers if got != status] == []
    with process(environ(storage)) as app:
        ids = {lead_id for *_, lead_id in answers} - {""}
        everything = found(app)
        assert ids <= set(everything.leads), "a lead that was answered with 202 is gone"
        entries = [app.store.get_blob(QUARANTINE, name) for name, _ in app.store.blobs(QUARANTINE, "")]
        safe = set(everything.raw.values()) | {entry.data for entry in entries if entry}
        accepted = Counter(lead_id for *_, lead_id in answers if lead_id)
        for content, status, _, lead_id in answers:
            if status != 413 and accepted[lead_id] <= 1:
                assert content in safe, "bytes are gone"
        settle(app)
    figure(
        "fuzz over HTTP",
        bodies=len(answers),
        answers=dict(Counter(got for _, _, got, _ in answers)),
        lost=0,
        mib_before=round(began),
        mib_peak_up_to_256_kib=round(peak),
        mib_peak_of_8_times_16_mib=round(host.memory("VmHWM")),
        mib_after=round(host.memory()),
    )
    assert peak - began < GROWTH_LIMIT
    assert host.memory("VmHWM") - peak < LARGE_LIMIT
    assert sent(host.port, post())[0] == 202


def test_odd_rows_of_a_real_table_become_leads(host: LocalHost, storage: str) -> None:
    today = watch.day_key(datetime.now(UTC))
    contents: list[dict[str, Any]] = [
        {"CustomerInfo": content.decode("utf-8", "replace")[:30_000]}
        for content, _ in BODIES.values()
        if b"\\ud" not in content  # Azure itself takes no half of a character
    ]
    contents += [
        {"CustomerInfo": 17, "LeadSource": True, "ActionCode": uuid.uuid4(), "Description": b"\x00\xff"},
        {"CustomerInfo": datetime.now(UTC), "Phone": EntityProperty(2**62, EdmType.INT64), "Number": float("nan")},
        {f"Column{n}": "x" * 100 for n in range(200)},
        {"Ünïcode": "名前", "CreatedTime": "gestern"},
        {},
    ]
    keys = ["a b", "ä", "x'y", "100%", "a+b&c=d", "名前", "." * 200, "~", "\u00a0"]
    with TableServiceClient.from_connection_string(storage) as service:
        table = service.create_table_if_not_exists(TABLE)
        rows = [{"PartitionKey": today, "RowKey": f"row {n:03}", **own} for n, own in enumerate(contents)]
        rows += [{"PartitionKey": today, "RowKey": key, "CustomerInfo": "{}"} for key in keys]
        for one in rows:
            table.create_entity(one)
    with process(environ(storage)) as app:
        events = {accept.event_of_row(app, TABLE, one) for one in rows}
        until(lambda: events <= {lead_id[17:] for lead_id in found(app).leads}, "the watch of all rows")
        assert not [note for _, note in app.store.blobs(QUARANTINE, "") if note["via"] == "table"]


def test_no_body_of_all_these_is_in_the_log(host: LocalHost) -> None:
    assert sent(host.port, changed(firstName="Unmistakable", email="unmistakable@contoso.com"))[0] == 202
    text = Path(host.log).read_text(errors="replace")
    for personal in (
        "Unmistakable",
        "unmistakable",
        "someone@",
        "big@contoso",
        "deep@contoso",
        "DROP TABLE",
        "gro.evil",
    ):
        assert personal not in text
