"""What Azure Storage answers and Azurite never does, put in below the SDKs: each would lose or delay a lead."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from urllib3 import HTTPResponse

from leads.settings import Account
from leads.store.azure import AzureStore
from leads.store.azure_inbox import AzureInbox
from leads.store.protocol import Exists, Row

Answer = requests.Response
Rule = Callable[[str, str, Callable[[], Answer]], Answer | None]


@pytest.fixture
def account(azurite: str) -> Account:
    return Account("devstoreaccount1", azurite)


@pytest.fixture
def table() -> str:
    return f"t{uuid.uuid4().hex}"


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Callable[[Rule], None]:
    """Let a rule answer a request in Azurite's place."""
    real = requests.Session.request

    def put_in(rule: Rule) -> None:
        def request(session: requests.Session, method: str, url: str, **options: Any) -> Answer:
            def go() -> Answer:
                return real(session, method, url, **options)

            made = rule(method, url, go)
            return go() if made is None else made

        monkeypatch.setattr(requests.Session, "request", request)

    return put_in


def answer(status: int, code: str, *, xml: bool = False) -> Answer:
    if xml:
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>".encode()
    else:
        body = json.dumps({"odata.error": {"code": code, "message": {"value": "m"}}}).encode()
    made = requests.Response()
    made.status_code = status
    made.headers["content-type"] = "application/xml" if xml else "application/json"
    if xml:
        made.headers["x-ms-error-code"] = code
    made.raw = HTTPResponse(io.BytesIO(body), status=status, headers=dict(made.headers), preload_content=False)
    return made


def once(matches: Callable[[str, str], bool], take_effect: bool, made: Callable[[], Answer]) -> Rule:
    done: list[int] = []

    def rule(method: str, url: str, go: Callable[[], Answer]) -> Answer | None:
        if done or not matches(method, url):
            return None
        done.append(1)
        if take_effect:
            _ = go().content
        return made()

    return rule


def test_a_container_that_is_being_deleted_is_not_taken_for_bytes_that_are_kept(
    account: Account, table: str, instead: Callable[[Rule], None]
) -> None:
    store = AzureStore(account)
    store.put_blob(table, "a", b"1", {})
    instead(lambda method, *_: answer(409, "ContainerBeingDeleted", xml=True) if method == "PUT" else None)
    with pytest.raises(Exception, match="ContainerBeingDeleted"):
        store.put_blob(table, "b", b"1", {})


def test_a_table_that_is_being_deleted_is_not_taken_for_a_row_that_is_there(
    account: Account, table: str, instead: Callable[[Rule], None]
) -> None:
    store = AzureStore(account)
    store.insert(table, Row("p", "a"))
    instead(lambda method, *_: answer(409, "TableBeingDeleted") if method != "GET" else None)
    for write in (
        lambda: store.insert(table, Row("p", "b")),
        lambda: store.insert_all(table, [Row("p", "b")]),
        lambda: store.upsert(table, Row("p", "b")),
    ):
        with pytest.raises(HttpResponseError):
            write()


def test_a_transaction_whose_answer_says_as_a_whole_that_there_is_no_table_makes_it(
    account: Account, table: str, instead: Callable[[Rule], None]
) -> None:
    store = AzureStore(account)
    instead(once(lambda _, url: "$batch" in url, False, lambda: answer(404, "TableNotFound")))
    store.insert_all(table, [Row("p", "a")])
    assert store.get(table, "p", "a")


def test_a_lead_that_was_inserted_by_the_first_of_two_tries_is_a_new_one(
    account: Account, table: str, instead: Callable[[Rule], None]
) -> None:
    store = AzureStore(account)
    store.insert_all(table, [Row("p", "other")])
    instead(once(lambda _, url: "$batch" in url, True, lambda: answer(503, "ServerBusy")))
    store.insert_all(table, [Row("p", "a", {"n": 1}), Row("p", "b", {"text": "x"})])
    with pytest.raises(Exists):
        store.insert_all(table, [Row("p", "a", {"n": 1}), Row("p", "b", {"text": "x"})])


def test_a_claim_that_was_written_by_the_first_of_two_tries_is_ours(
    account: Account, table: str, instead: Callable[[Rule], None]
) -> None:
    store = AzureStore(account)
    etag = store.insert(table, Row("p", "a", {"n": 1}))
    instead(once(lambda method, _: method in ("PUT", "PATCH"), True, lambda: answer(500, "OperationTimedOut")))
    found = store.replace(table, Row("p", "a", {"n": 2}, etag))
    assert store.get(table, "p", "a") == Row("p", "a", {"n": 2}, found)


def test_a_token_that_the_service_no_longer_knows_begins_the_reading_again(
    account: Account, table: str, instead: Callable[[Rule], None]
) -> None:
    AzureStore(account).insert(table, Row("p", "a"))
    instead(lambda _, url, __: answer(400, "InvalidInput") if "NextPartitionKey" in url else None)
    token = json.dumps({"PartitionKey": "gone", "RowKey": "gone"})
    assert [len(page.rows) for page in AzureInbox(account).pages(table, "", token)] == [1]
