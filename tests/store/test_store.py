"""One contract for the stores: the twin in memory does what Azure storage (here Azurite) does."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from azure.core.exceptions import HttpResponseError
from urllib3.connection import HTTPConnection

from leads.settings import Account
from leads.store import connections, doorbell
from leads.store.azure import AzureStore
from leads.store.azure_inbox import AzureInbox
from leads.store.doorbell import QueueDoorbell
from leads.store.ledger import Ledger
from leads.store.protocol import Changed, Exists, Inbox, Row, Store
from leads.store.testing import MemoryDoorbell, MemoryInbox, MemoryStore

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(params=["memory", "azurite"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return MemoryStore()
    return AzureStore(Account("devstoreaccount1", request.getfixturevalue("azurite")))


@pytest.fixture
def table() -> str:
    """A name that no other test uses."""
    return f"t{uuid.uuid4().hex}"


def test_a_row_is_inserted_once(store: Store, table: str) -> None:
    assert store.get(table, "p", "k") is None
    etag = store.insert(table, Row("p", "k", {"text": "ä\n😀", "number": 7, "flag": True}))
    found = store.get(table, "p", "k")
    assert found == Row("p", "k", {"text": "ä\n😀", "number": 7, "flag": True}, etag)
    with pytest.raises(Exists):
        store.insert(table, Row("p", "k", {"text": "other"}))
    assert store.get(table, "p", "k") == found


def test_rows_are_inserted_all_or_none(store: Store, table: str) -> None:
    store.insert_all(table, [Row("p", "a"), Row("p", "b")])
    with pytest.raises(Exists):
        store.insert_all(table, [Row("p", "c"), Row("p", "b")])
    assert store.get(table, "p", "c") is None


def test_a_row_is_replaced_only_as_it_was_read(store: Store, table: str) -> None:
    first = store.insert(table, Row("p", "k", {"n": 1, "old": "x"}))
    second = store.replace(table, Row("p", "k", {"n": 2}, first))
    assert second != first
    found = store.get(table, "p", "k")
    assert found
    assert found.values == {"n": 2}, "a replaced row keeps nothing of the old one"
    with pytest.raises(Changed):
        store.replace(table, Row("p", "k", {"n": 3}, first))
    store.delete(table, "p", "k")
    with pytest.raises(Changed):
        store.replace(table, Row("p", "k", {"n": 3}, second))
    assert store.get(table, "p", "k") is None, "what was deleted is not recreated"


def test_an_upsert_changes_the_etag_even_where_it_changes_nothing(store: Store, table: str) -> None:
    store.upsert(table, Row("p", "k", {"n": 1}))
    first = store.get(table, "p", "k")
    store.upsert(table, Row("p", "k", {"n": 1}))
    second = store.get(table, "p", "k")
    assert first
    assert second
    assert first.etag != second.etag
    with pytest.raises(Changed):
        store.delete(table, "p", "k", first.etag)
    assert store.delete(table, "p", "k", second.etag), "it was there"
    assert not store.delete(table, "p", "k", second.etag)
    assert not store.delete(table, "p", "k")
    assert store.get(table, "p", "k") is None


def test_a_partition_is_read_in_order_and_by_range(store: Store, table: str) -> None:
    assert list(store.rows(table, "p")) == []
    for key in ("b", "a:x", "a", "c", "a:y"):
        store.insert(table, Row("p", key))
    store.insert(table, Row("q", "a"))
    assert [row.key for row in store.rows(table, "p")] == ["a", "a:x", "a:y", "b", "c"]
    assert [row.key for row in store.rows(table, "p", "a", "a;")] == ["a", "a:x", "a:y"]
    assert [row.key for row in store.rows(table, "p", "b")] == ["b", "c"]
    assert [row.partition for row in store.rows_before(table, "q")] == ["p"] * 5
    assert [row.partition for row in store.rows_before(table, "r", "q")] == ["q"]
    assert store.any_row(table)


def test_more_rows_than_a_page_are_all_read(store: Store, table: str) -> None:
    for start in range(0, 1100, 100):
        store.insert_all(table, [Row("p", f"{number:04}") for number in range(start, start + 100)])
    assert [row.key for row in store.rows(table, "p")] == [f"{number:04}" for number in range(1100)]


def test_a_table_that_is_not_there_is_empty(store: Store, table: str) -> None:
    assert not store.any_row(table)
    assert list(store.rows_before(table, "z")) == []
    assert not store.delete(table, "p", "k")
    with pytest.raises(Changed):
        store.replace(table, Row("p", "k", {}, 'W/"1"'))


def test_a_value_as_long_as_the_limits_of_design_is_taken(store: Store, table: str) -> None:
    store.insert(table, Row("p", "k", {"text": "😀" * 16_000}))
    found = store.get(table, "p", "k")
    assert found
    assert found.values["text"] == "😀" * 16_000


LIMITS = {
    "a key with a slash": Row("p", "a/b"),
    "a key with a backslash": Row("p", "a\\b"),
    "a key with a hash": Row("p#", "k"),
    "a key with a question mark": Row("p?", "k"),
    "a key with a control character": Row("p", "a\x1fb"),
    "a key with a control character above ASCII": Row("p", "a\x80b"),
    "a key above 1 KiB": Row("p", "k" * 513),
    "a partition above 1 KiB": Row("é" * 513, "k"),
    "a property above 64 KiB": Row("p", "k", {"text": "x" * 32_769}),
    "a property above 64 KiB in UTF-16": Row("p", "k", {"text": "😀" * 16_385}),
    "a row above 1 MiB": Row("p", "k", {f"text{number}": "é" * 32_000 for number in range(34)}),
    "a row above 1 MiB in UTF-16": Row("p", "k", {f"text{number}": "x" * 32_000 for number in range(17)}),
    "253 properties": Row("p", "k", {f"n{number}": number for number in range(253)}),
    "a name of 256 characters": Row("p", "k", {"n" * 256: 1}),
    "a name with a colon": Row("p", "k", {"email:emea": 1}),
    "a name with a dash": Row("p", "k", {"follow-up": 1}),
    "a name that begins with a digit": Row("p", "k", {"7days": 1}),
    "a number of more than 32 bits": Row("p", "k", {"n": 2**31}),
}
"""Rows that Azure refuses, as leads.store.testing says with the sources."""
AZURITE_TAKES = {
    "a row above 1 MiB in UTF-16",
    "253 properties",
    "a name of 256 characters",
    "a name with a colon",
    "a name with a dash",
    "a name that begins with a digit",
}
"""Those that Azurite 3.37 does not mind."""


@pytest.mark.parametrize("what", LIMITS)
def test_what_azure_refuses_is_refused(store: Store, table: str, what: str) -> None:
    row = LIMITS[what]
    store.insert(table, Row("p", "there"))
    if isinstance(store, AzureStore) and what in AZURITE_TAKES:
        store.insert(table, row)
        return
    # The SDK refuses a number by itself, with a TypeError.
    refused = (ValueError, TypeError, HttpResponseError)
    with pytest.raises(refused):
        store.insert(table, row)
    with pytest.raises(refused):
        store.upsert(table, row)
    with pytest.raises(refused):
        store.insert_all(table, [row])
    assert [row.key for row in store.rows_before(table, "q")] == ["there"]


def test_what_is_just_within_the_limits_is_taken(store: Store, table: str) -> None:
    names = {"n" * 255: 1, "größe": 2, "_": 3}
    row = Row("p" * 512, "k" * 512, {"text": "x" * 32_768, **names, **{f"n{number}": number for number in range(248)}})
    store.insert(table, row)
    found = store.get(table, row.partition, row.key)
    assert found
    assert found.values == row.values


def test_a_transaction_above_its_limits_is_refused(table: str) -> None:
    """By the twin only: Azurite answers such a one with what is no HTTP."""
    store = MemoryStore()
    large = {f"text{number}": "é" * 30_000 for number in range(16)}
    for rows in (
        [Row("p", f"{number:03}") for number in range(101)],
        [Row("p", f"{number}", large) for number in range(5)],
        [Row("p", "a"), Row("q", "b")],
        [Row("p", "a"), Row("p", "a")],
    ):
        with pytest.raises(ValueError, match="A transaction has at most"):
            store.insert_all(table, rows)
    assert not store.any_row(table)


def test_a_blob_is_written_once_and_kept_to_the_byte(store: Store, table: str) -> None:
    data = bytes(range(256)) * 10
    assert store.get_blob(table, "2026/11/21/a.json") is None
    assert store.put_blob(table, "2026/11/21/a.json", data, {"via": "https", "at": "2026"})
    assert not store.put_blob(table, "2026/11/21/a.json", b"other", {})
    blob = store.get_blob(table, "2026/11/21/a.json")
    assert blob
    assert (blob.data, blob.metadata) == (data, {"via": "https", "at": "2026"})
    store.put_blob(table, "2026/11/22/b.json", b"", {})
    assert [name for name, _ in store.blobs(table, "2026/", "2026/11/21/b")] == ["2026/11/22/b.json"]
    assert [name for name, _ in store.blobs(table, "2026/11/21/", "2026/11/21/a.json")] == ["2026/11/21/a.json"]
    assert list(store.blobs(table, "2026/11/21/")) == [("2026/11/21/a.json", {"via": "https", "at": "2026"})]
    store.delete_blob(table, "2026/11/21/a.json")
    store.delete_blob(table, "2026/11/21/a.json")
    assert [name for name, _ in store.blobs(table, "2026/")] == ["2026/11/22/b.json"]


def test_a_container_that_is_not_there_is_empty(store: Store, table: str) -> None:
    assert list(store.blobs(table, "")) == []
    store.delete_blob(table, "x")


def test_two_first_instances_agree_on_the_id_key(azurite: str) -> None:
    account = Account("devstoreaccount1", azurite)
    assert Ledger(AzureStore(account)).identity() == Ledger(AzureStore(account)).identity()


@pytest.fixture(params=["memory", "azurite"])
def inbox(request: pytest.FixtureRequest, table: str) -> Iterator[tuple[Inbox, Callable[[list[Row]], None]]]:
    """An inbox, and a way to write rows into its table as Microsoft does."""
    if request.param == "memory":
        memory = MemoryInbox(clock=lambda: datetime.now(UTC))

        def put(rows: list[Row]) -> None:
            stamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            memory.tables.setdefault(table, []).extend(
                {"PartitionKey": row.partition, "RowKey": row.key, "Timestamp": stamp, **row.values} for row in rows
            )

        yield memory, put
    else:
        account = Account("devstoreaccount1", request.getfixturevalue("azurite"))
        writer = AzureStore(account)

        def write(rows: list[Row]) -> None:
            for row in rows:
                writer.insert(table, row)

        yield AzureInbox(account), write


def test_an_inbox_is_read_by_partition_and_time(inbox: tuple[Inbox, Callable[[list[Row]], None]], table: str) -> None:
    box, put = inbox
    assert list(box.pages(table, "")) == []
    put([Row("11:2F21:2F2026", "a", {"ActionCode": "INS"}), Row("11:2F22:2F2026", "b")])
    rows = [row for page in box.pages(table, "PartitionKey eq '11:2F21:2F2026'") for row in page.rows]
    assert [(row["PartitionKey"], row["RowKey"], row["ActionCode"]) for row in rows] == [("11:2F21:2F2026", "a", "INS")]
    stamp = datetime.fromisoformat(rows[0]["Timestamp"])
    assert abs((datetime.now(UTC) - stamp).total_seconds()) < 60
    early = "Timestamp ge datetime'2020-01-01T00:00:00.000000Z'"
    assert sum(len(page.rows) for page in box.pages(table, early)) == 2
    late = "PartitionKey eq '11:2F21:2F2026' and Timestamp ge datetime'2099-01-01T00:00:00.000000Z'"
    assert sum(len(page.rows) for page in box.pages(table, late)) == 0


def test_an_inbox_tells_the_time(inbox: tuple[Inbox, Callable[[list[Row]], None]], table: str) -> None:
    box, put = inbox
    put([Row("p", "a")])
    (page,) = box.pages(table, "")
    assert page.served_at
    assert abs((datetime.now(UTC) - page.served_at).total_seconds()) < 60


def test_reading_an_inbox_goes_on_behind_a_token(azurite: str, table: str) -> None:
    account = Account("devstoreaccount1", azurite)
    writer = AzureStore(account)
    for start in range(0, 1300, 100):
        writer.insert_all(table, [Row("p", f"{number:04}") for number in range(start, start + 100)])
    box = AzureInbox(account)
    first = next(iter(box.pages(table, "")))
    assert (len(first.rows), bool(first.token)) == (1000, True)
    rest = list(box.pages(table, "", first.token))
    assert [row["RowKey"] for page in rest for row in page.rows] == [f"{number:04}" for number in range(1000, 1300)]
    assert rest[-1].token == ""


def test_a_message_carries_ids_only_and_comes_when_it_is_time(azurite: str) -> None:
    from azure.storage.queue import QueueClient, TextBase64DecodePolicy

    bell = QueueDoorbell(Account("devstoreaccount1", azurite))
    lead_id = f"{'a' * 16}-{'b' * 16}"
    bell.ring(lead_id, "console")
    QueueClient.from_connection_string(azurite, doorbell.QUEUE).clear_messages()
    bell.ring(lead_id, "dynamics")
    bell.ring(lead_id, "email", 3600.0)
    queue = QueueClient.from_connection_string(azurite, doorbell.QUEUE, message_decode_policy=TextBase64DecodePolicy())
    messages = list(queue.receive_messages())
    assert [doorbell.read(message.content) for message in messages] == [(lead_id, "dynamics")]
    assert messages[0].expires_on
    assert messages[0].expires_on.year > 2100, "a message never expires"
    queue.clear_messages()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[HTTPConnection]:
    """The connections that a process opens which has none yet."""
    opened: list[HTTPConnection] = []
    connect = HTTPConnection.connect

    def noted(connection: HTTPConnection) -> None:
        opened.append(connection)
        connect(connection)

    monkeypatch.setattr(HTTPConnection, "connect", noted)
    connections._session.cache_clear()
    return opened


def test_rings_go_over_one_kept_connection(azurite: str, opened: list[HTTPConnection]) -> None:
    bell = QueueDoorbell(Account("devstoreaccount1", azurite))
    for number in range(10):
        bell.ring(f"{'a' * 16}-{number:016x}", "console", 3600.0)
    assert len(opened) == 1


def test_every_thread_that_the_worker_has_keeps_its_connection(azurite: str, opened: list[HTTPConnection]) -> None:
    threads = 32
    store, together = AzureStore(Account("devstoreaccount1", azurite)), Barrier(threads)

    def work(_: int) -> None:
        for _round in range(4):
            together.wait(60)
            store.get("state", "state", "nothing")

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    assert len(opened) <= threads


def test_many_threads_share_one_store_and_one_bell(azurite: str, table: str) -> None:
    store, bell = AzureStore(Account("devstoreaccount1", azurite)), QueueDoorbell(Account("devstoreaccount1", azurite))

    def work(number: int) -> bool:
        store.put_blob(table, f"{number % 20}", b"bytes", {})
        bell.ring(f"{'a' * 16}-{number:016x}", "console", 3600.0)
        try:
            store.insert(table, Row("p", f"{number % 20}", {"n": number % 20}))
        except Exists:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(work, range(80))) == 20
    assert [row.values["n"] for row in store.rows(table, "p")] == sorted(range(20), key=str)


def test_the_twin_of_the_doorbell_rings_when_it_is_time() -> None:
    bell = MemoryDoorbell(NOW)
    bell.ring("x", "later", 60.0)
    bell.ring("x", "now")
    assert bell.take() == ("x", "now")
    assert bell.take() is None


def test_a_message_comes_back_two_minutes_after_an_exception_and_ten_after_a_killed_process() -> None:
    bell = MemoryDoorbell(NOW)
    bell.ring("x", "crm")

    def returned_after(error: BaseException) -> timedelta:
        began = bell.now

        def work(*_: str) -> None:
            assert bell.take() is None, "hidden while it is worked on"
            raise error

        with pytest.raises(type(error)):
            bell.handle(work)
        while not bell.handle(lambda *_: bell.ring("x", "crm")):
            bell.now += timedelta(seconds=30)
        return bell.now - began

    assert returned_after(RuntimeError("a bug")) == timedelta(minutes=2)
    assert returned_after(SystemExit()) == timedelta(minutes=10)
    assert bell.handle(lambda *_: None)
    assert bell.waiting == [], "what ended well is gone"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"lead": 1}', '{"lead": "a-b", "destination": "x"}', "[" * 100_000, b"\xff"]
)
def test_a_message_that_is_none_of_ours_is_none(text: str | bytes) -> None:
    assert doorbell.read(text) is None
