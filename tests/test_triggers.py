"""What a caller of the HTTPS way in is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import azure.functions as func
import pytest

from leads import triggers
from leads.operate import jobs
from tests.world import PERSON, World, post, world


@pytest.fixture
def w() -> Iterator[World]:
    with world() as made:
        yield made


def call(w: World, body: bytes = b"", method: str = "POST", **headers: str) -> func.HttpResponse:
    request = func.HttpRequest(method, "https://app/api/leads?code=key", headers=headers, body=body)
    return triggers.answer_lead(w.app, request, w.now)


def content(response: func.HttpResponse) -> Any:
    return json.loads(response.get_body())


def test_a_lead_is_answered_with_202_and_its_id(w: World) -> None:
    response = call(w, post())
    assert (response.status_code, content(response)) == (202, {"id": w.ids()[0]})
    again = call(w, post())
    assert (again.status_code, content(again)) == (202, content(response))


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "", "a/b; ;"])
def test_any_content_type_is_taken(w: World, kind: str) -> None:
    assert call(w, post(), **{"Content-Type": kind}).status_code == 202


@pytest.mark.parametrize("body", [b"{}", b'{"userDetails": {}}', b'{"a": null}', b'{"userDetails": 7}'])
def test_any_json_object_is_a_lead(w: World, body: bytes) -> None:
    assert call(w, body).status_code == 202


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b"[]", 400), (b"null", 400), (b"{", 400), (b" " * 262_145, 413)]
)
def test_what_is_no_lead_is_told_as_problem_details(w: World, body: bytes, status: int) -> None:
    response = call(w, body)
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"
    told = content(response)
    assert (told["type"], told["status"]) == ("about:blank", status)
    assert told["title"]
    assert told["detail"].endswith(".")


def test_an_error_quotes_nothing_of_what_was_sent(w: World) -> None:
    told = call(w, b'{"email": "someone@contoso.com"').get_body()
    assert b"contoso" not in told


@pytest.mark.parametrize("broken", ["insert_all", "insert", "upsert", "put_blob"])
def test_a_lead_that_could_not_be_stored_is_not_answered_for(
    w: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    def fail(*_: object) -> None:
        raise ConnectionError(PERSON["email"])

    w.app.identity  # noqa: B018 - the id key was made long ago
    monkeypatch.setattr(w.store, broken, fail)
    response = call(w, post())
    assert (response.status_code, response.headers["Retry-After"]) == (503, "30")
    assert b"contoso" not in response.get_body()
    assert "contoso" not in caplog.text
    monkeypatch.undo()
    w.live(hours=2)
    assert call(w, post()).status_code == 202
    w.drain()
    assert (len(w.ids()), w.states()) == (1, {"crm": "delivered"})


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_at_the_address_changes_nothing(w: World, method: str) -> None:
    response = call(w, method=method)
    assert response.status_code == 200
    assert b"marketplace leads by POST" in response.get_body()
    assert (w.store.tables, w.store.containers) == ({}, {})


def test_health_answers_whatever_is_broken(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ConnectionError("AccountKey=secret")

    monkeypatch.setattr(w.store, "get", fail)
    response = triggers.answer_health(w.app, w.now)
    assert response.status_code == 503
    assert b"secret" not in response.get_body()
    assert content(response)["status"] == "failed"


def test_the_sweep_takes_the_jobs_of_the_page_further_whatever_became_of_it(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("The sweep could not end all of its work.")

    job = jobs.begin(w.app, "check", {}, w.now, operator="", way="key")
    monkeypatch.setattr(triggers, "app", lambda: w.app)
    monkeypatch.setattr("leads.sweep.sweep.sweep", broken)
    with pytest.raises(RuntimeError):
        triggers.sweep_open_leads(None)  # type: ignore[arg-type]
    ended = jobs.read(w.app, job.id, w.now)
    assert ended
    assert ended.phase == jobs.DONE
