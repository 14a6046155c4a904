"""The local host runs a small app on Azurite as Azure's host would."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import queue
import socket
import stat
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
import requests
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from dev import host as hosts
from dev import host_functions, host_timer, serving
from dev.host_functions import HostError

HOST_JSON = {
    "extensions": {
        "http": {"routePrefix": "api"},
        "queues": {
            "batchSize": 4,
            "newBatchThreshold": 2,
            "maxDequeueCount": 2,
            "maxPollingInterval": "00:00:00.2",
            "messageEncoding": "base64",
            "visibilityTimeout": "00:00:01",
        },
    }
}
WAIT = 20.0


class App:
    """A small app, and what its functions were given."""

    def __init__(self, queue_name: str = "unused") -> None:
        self.seen: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.fail: set[bytes] = set()
        self.app = app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
        note = self.seen.put

        @app.route(route="leads", methods=["GET", "HEAD", "POST"])
        def receive(req: func.HttpRequest) -> func.HttpResponse:
            note(("receive", req))
            return func.HttpResponse(
                json.dumps({"got": len(req.get_body())}), status_code=202, mimetype="application/json"
            )

        @app.route(route="leads/{id}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
        def one(req: func.HttpRequest) -> str:
            return f"one {req.route_params['id']}"

        @app.route(route="ops/{*path}", methods=["GET", "POST"], auth_level=func.AuthLevel.ADMIN)
        async def ops(req: func.HttpRequest) -> str:
            return f"ops {req.route_params['path']}"

        @app.route(route="nothing")
        def nothing(req: func.HttpRequest) -> None:
            return None

        @app.route(route="broken")
        def broken(req: func.HttpRequest) -> str:
            raise RuntimeError("as meant")

        @app.queue_trigger(arg_name="message", queue_name=queue_name, connection="AzureWebJobsStorage")
        def work(message: func.QueueMessage) -> None:
            note(("work", message))
            if message.get_body() in self.fail:
                raise RuntimeError("as meant")

        @app.queue_trigger(arg_name="message", queue_name=f"{queue_name}-poison", connection="AzureWebJobsStorage")
        def recover(message: func.QueueMessage) -> None:
            note(("recover", message))
            if message.get_body() in self.fail:
                raise RuntimeError("as meant")

    def next(self, name: str) -> Any:
        got, value = self.seen.get(timeout=WAIT)
        assert got == name
        return value


Start = Callable[..., hosts.Host]


@pytest.fixture
def start(azurite: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Start]:
    monkeypatch.setenv("AzureWebJobsStorage", azurite)
    running: list[hosts.Host] = []

    def start(app: func.FunctionApp, host_json: dict[str, Any] = HOST_JSON, *, auth: bool = False) -> hosts.Host:
        host = hosts.Host(app, host_json, tmp_path, port=0, auth=auth)
        host.start()
        running.append(host)
        return host

    yield start
    for host in running:
        assert host.stop()


@pytest.fixture
def one_host(start: Start) -> hosts.Host:
    return start(App().app)


def address(host: hosts.Host) -> str:
    return f"http://127.0.0.1:{host.server.port}"


def raw(host: hosts.Host, request: bytes, *, end: bool = False) -> bytes:
    """What the host answers to these very bytes."""
    with socket.create_connection(("127.0.0.1", host.server.port), timeout=WAIT) as connection:
        connection.sendall(request)
        if end:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


class TestHttp:
    @pytest.mark.parametrize(
        ("method", "path", "status", "text"),
        [
            ("GET", "/api/leads/7", 200, "one 7"),
            ("GET", "/API/Leads/a%2Fb%20c/", 200, "one a/b c"),
            ("GET", "/api/ops/leads/7?x=1", 200, "ops leads/7"),
            ("GET", "/api/ops/", 200, "ops "),
            ("POST", "/api/ops", 200, "ops "),
            ("GET", "/api/nothing", 204, ""),
            ("GET", "/api/broken", 500, ""),
            ("GET", "/leads/7", 404, ""),
            ("DELETE", "/api/leads/7", 404, ""),
            ("GET", "/api/leads/7/8", 404, ""),
            ("GET", "//[", 404, ""),
        ],
    )
    def test_routes_and_methods(self, start: Start, method: str, path: str, status: int, text: str) -> None:
        host = start(App().app)
        answer = raw(host, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert body == text.encode()

    def test_a_function_sees_the_request_as_it_came(self, start: Start) -> None:
        app = App()
        host = start(app.app)
        answer = requests.post(f"{address(host)}/api/leads?code=k&a=1&a=2", b"\xff{}", headers={"X-Y": "z"}, timeout=9)
        assert (answer.status_code, answer.json()) == (202, {"got": 3})
        assert answer.headers["content-type"] == "application/json"
        seen = app.next("receive")
        assert (seen.method, seen.get_body(), seen.headers["x-y"]) == ("POST", b"\xff{}", "z")
        assert seen.params == {"code": "k", "a": "1,2"}
        assert seen.url == f"{address(host)}/api/leads?code=k&a=1&a=2"

    def test_head_has_the_headers_of_get_and_no_body(self, start: Start) -> None:
        host = start(App().app)
        answer = raw(host, b"HEAD /api/leads HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"Content-Length: 10\r\n" in answer
        assert answer.endswith(b"\r\n\r\n")

    def test_fifty_requests_at_once(self, start: Start) -> None:
        app = App()
        host = start(app.app)
        statuses: queue.Queue[int] = queue.Queue()

        def send() -> None:
            statuses.put(requests.post(f"{address(host)}/api/leads", b"{}", timeout=WAIT).status_code)

        threads = [threading.Thread(target=send) for _ in range(50)]
        for thread in threads:
            thread.start()
        assert [statuses.get(timeout=WAIT) for _ in threads] == [202] * 50

    @pytest.mark.parametrize(
        ("headers", "body", "status"),
        [
            ("Transfer-Encoding: chunked", b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n", 202),
            ("Transfer-Encoding: chunked\r\nContent-Length: 3", b"3\r\nabc\r\n0\r\n\r\n", 400),
            ("Transfer-Encoding: gzip, chunked", b"0\r\n\r\n", 400),
            ("Transfer-Encoding: chunked", b"-1\r\n", 400),
            ("Transfer-Encoding: chunked", b"0x1\r\na\r\n0\r\n\r\n", 400),
            ("Transfer-Encoding: chunked", b"3\r\nabcd\r\n0\r\n\r\n", 400),
            ("Transfer-Encoding: chunked", b"ffffffff\r\n", 413),
            ("Transfer-Encoding: chunked", b"5\r\nabc", 400),
            ("Content-Length: 5", b"abcde", 202),
            ("Content-Length: 5", b"abc", 400),
            ("Content-Length: 5\r\nContent-Length: 5", b"abcde", 202),
            ("Content-Length: 5\r\nContent-Length: 4", b"abcde", 400),
            ("Content-Length: -5", b"", 400),
            ("Content-Length: +5", b"abcde", 400),
            ("Content-Length: five", b"abcde", 400),
            ("Content-Length: 999999999", b"", 413),
            ("Content-Length: 99999999999999999999999999", b"", 413),
        ],
    )
    def test_a_body_that_lies_never_reaches_the_function(
        self, start: Start, headers: str, body: bytes, status: int
    ) -> None:
        app = App()
        host = start(app.app)
        head = f"POST /api/leads HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n\r\n".encode()
        assert raw(host, head + body, end=True).startswith(b"HTTP/1.1 %d " % status)
        if status == 202:
            assert app.next("receive").get_body() == b"abcde"
        else:
            assert app.seen.empty()

    @limits(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(parts=st.lists(st.binary(min_size=1, max_size=300), max_size=5))
    def test_chunks_are_put_together(self, start: Start, parts: list[bytes]) -> None:
        app = App()
        host = start(app.app)
        head = b"POST /api/leads HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        assert raw(host, head + body).startswith(b"HTTP/1.1 202 ")
        assert app.next("receive").get_body() == b"".join(parts)

    @limits(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        request=st.one_of(
            st.binary(max_size=200),
            st.binary(max_size=100).map(lambda some: b"POST /api/leads HTTP/1.1\r\n" + some),
            st.binary(max_size=100).map(
                lambda some: b"POST /api/leads HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + some
            ),
        )
    )
    def test_nothing_that_is_sent_breaks_it(self, one_host: hosts.Host, request: bytes) -> None:
        # A client that is refused early may see a reset instead of the answer.
        with contextlib.suppress(ConnectionError):
            raw(one_host, request, end=True)
        assert requests.get(f"{address(one_host)}/api/leads/1", timeout=WAIT).text == "one 1"

    def test_a_connection_is_kept_and_pipelined_requests_are_answered_in_order(self, one_host: hosts.Host) -> None:
        first = b"POST /api/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
        last = b"GET /api/leads/7 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answer = raw(one_host, first + last)
        assert [line.split()[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/")] == [b"204", b"200"]
        assert answer.endswith(b"one 7")

    def test_who_sends_too_slowly_is_let_go(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(serving.Handler, "timeout", 0.1)
        app = App()
        answer = raw(start(app.app), b"POST /api/leads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\na")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in answer
        assert app.seen.empty()

    def test_nothing_of_a_request_is_logged(
        self, one_host: hosts.Host, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level("DEBUG")
        for target in ("/api/leads/7", "/api/broken", "/nowhere", "http://[", "/\x1b[31m"):
            head = f"GET {target}?code=Unmistakable HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            assert raw(one_host, head.encode()).startswith(b"HTTP/1.1 ")
        raw(one_host, b"GET /?code=Unmistakable\r\n\r\n")
        raw(one_host, b"Unmistakable\r\n\r\n")
        assert "Executed 'Functions.one' (Succeeded" in caplog.text
        assert "Unmistakable" not in caplog.text + "".join(capfd.readouterr())

    def test_nobody_but_this_machine_reaches_it(self, one_host: hosts.Host) -> None:
        assert one_host.server.server_address[0] == "127.0.0.1"


class TestRebinding:
    """A page of another site, whose name was made to point here, is not to read a developer's leads."""

    @pytest.mark.parametrize("auth", [False, True])
    @pytest.mark.parametrize(
        "name",
        [
            "evil.example",
            "evil.example:{port}",
            "localhost.evil.example:{port}",
            "127.0.0.1.evil.example",
            "x@localhost",
        ],
    )
    def test_a_name_of_somebody_else_is_refused(self, start: Start, tmp_path: Path, name: str, auth: bool) -> None:
        app = App()
        host = start(app.app, auth=auth)
        key = json.loads((tmp_path / "keys.json").read_text())["master"] if auth else ""
        named = {"Host": name.format(port=host.server.port), "x-functions-key": key}
        for answer in (
            requests.get(f"{address(host)}/api/leads", headers=named, timeout=9),
            requests.get(f"{address(host)}/api/leads/7", headers=named, timeout=9),
            requests.get(f"{address(host)}/nowhere", headers=named, timeout=9),
        ):
            assert (answer.status_code, answer.headers["connection"]) == (421, "close")
            assert answer.text == "This server answers requests to localhost, 127.0.0.1 and [::1] only.\n"
        assert app.seen.empty()

    def test_nor_in_the_request_line_or_twice(self, one_host: hosts.Host) -> None:
        whole = b"GET http://evil.example/api/leads/7 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        twice = b"GET /api/leads/7 HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
        for request in (whole, twice):
            assert raw(one_host, request).startswith(b"HTTP/1.1 421 ")

    @pytest.mark.parametrize(
        "name", ["localhost", "LocalHost:{port}", "127.0.0.1:{port}", "[::1]:{port}", "localhost:1"]
    )
    def test_the_names_of_this_machine_are_answered(self, one_host: hosts.Host, name: str) -> None:
        named = {"Host": name.format(port=one_host.server.port)}
        assert requests.get(f"{address(one_host)}/api/leads/7", headers=named, timeout=9).text == "one 7"


class TestKeys:
    def test_each_function_has_its_own_key(self, start: Start, tmp_path: Path) -> None:
        host = start(App().app, auth=True)
        stored = json.loads((tmp_path / "keys.json").read_text())
        own, other = stored["functions"]["receive"], stored["functions"]["nothing"]

        def status(path: str, key: str = "", header: str = "") -> int:
            url = f"{address(host)}{path}" + (f"?code={key}" if key else "")
            return requests.get(url, headers={"x-functions-key": header} if header else {}, timeout=9).status_code

        assert status("/api/leads") == 401
        assert status("/api/leads", "wrong") == 401
        assert status("/api/leads", other) == 401
        assert status("/api/leads", own) == 202
        assert status("/api/leads", header=own) == 202
        assert status("/api/leads", stored["host"]) == 202
        assert status("/api/leads", stored["master"]) == 202
        assert status("/api/leads/7") == 200, "anonymous"
        assert status("/api/ops/x", stored["host"]) == 401, "admin"
        assert status("/api/ops/x", stored["master"]) == 200

    def test_keys_are_kept_and_private(self, start: Start, tmp_path: Path) -> None:
        start(App().app, auth=True)
        path = tmp_path / "keys.json"
        first = path.read_text()
        start(App().app, auth=True)
        assert path.read_text() == first
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_no_key_is_asked_for_by_default(self, start: Start, tmp_path: Path) -> None:
        host = start(App().app)
        assert requests.get(f"{address(host)}/api/ops/x", timeout=9).status_code == 200
        assert not (tmp_path / "keys.json").exists()


def made(connection: str, name: str) -> QueueClient:
    client = QueueClient.from_connection_string(connection, name)
    client.create_queue()
    return client


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def name() -> str:
    return f"q-{uuid.uuid4().hex[:12]}"


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread does and no event tells of."""
    for _ in range(200):
        if condition():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not happen in ten seconds")


class TestQueues:
    def test_a_good_call_deletes_the_message(self, start: Start, azurite: str, name: str) -> None:
        app, client = App(name), made(azurite, name)
        start(app.app)
        client.send_message(encoded('{"lead": "a", "name": "é"}'), time_to_live=-1)
        seen = app.next("work")
        assert (seen.get_json()["name"], seen.dequeue_count) == ("é", 1)
        until(lambda: client.get_queue_properties().approximate_message_count == 0)

    def test_a_message_is_invisible_while_it_is_worked_on(self, start: Start, azurite: str, name: str) -> None:
        client = made(azurite, name)
        app = func.FunctionApp()
        working, finish = threading.Event(), threading.Event()

        @app.queue_trigger(arg_name="message", queue_name=name, connection="AzureWebJobsStorage")
        def work(message: func.QueueMessage) -> None:
            working.set()
            assert finish.wait(WAIT)

        start(app)
        client.send_message(encoded("x"))
        assert working.wait(WAIT)
        assert client.peek_messages() == []
        assert client.get_queue_properties().approximate_message_count == 1
        finish.set()
        until(lambda: client.get_queue_properties().approximate_message_count == 0)

    def test_bad_calls_wait_are_counted_and_end_in_the_poison_queue(
        self, start: Start, azurite: str, name: str
    ) -> None:
        app, client = App(name), made(azurite, name)
        app.fail = {b"bad"}
        start(app.app)
        client.send_message(encoded("bad"), time_to_live=-1)
        first, began = app.next("work"), datetime.now(UTC)
        second = app.next("work")
        assert (first.dequeue_count, second.dequeue_count) == (1, 2)
        assert datetime.now(UTC) - began > timedelta(seconds=0.5), "visibilityTimeout is waited for"
        poison = app.next("recover")
        assert poison.get_body() == b"bad"
        assert timedelta(days=6, hours=23) < poison.expiration_time - datetime.now(UTC) <= timedelta(days=7)
        until(lambda: client.get_queue_properties().approximate_message_count == 0)

    def test_a_message_comes_back_in_two_minutes_after_an_exception_and_in_ten_after_a_kill(
        self, start: Start, azurite: str, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With this project's host.json; Microsoft's listener, watched, does the same."""
        given_back: queue.Queue[int] = queue.Queue()
        update = QueueClient.update_message

        def updated(self: QueueClient, message: Any, **changes: Any) -> Any:
            given_back.put(changes["visibility_timeout"])
            return update(self, message, **changes)

        monkeypatch.setattr(QueueClient, "update_message", updated)
        app, client = App(name), made(azurite, name)
        app.fail = {b"bad"}
        start(app.app, json.loads((hosts.ROOT / "host.json").read_text()))
        client.send_message(encoded("bad"), time_to_live=-1)
        out_of_sight = app.next("work").time_next_visible - datetime.now(UTC)
        assert timedelta(minutes=9, seconds=30) < out_of_sight <= timedelta(minutes=10), "if it were killed now"
        assert given_back.get(timeout=WAIT) == 120
        until(lambda: client.get_queue_properties().approximate_message_count == 1)
        assert client.peek_messages() == []

    def test_a_poison_queue_has_no_poison_queue(self, start: Start, azurite: str, name: str) -> None:
        app, poison = App(name), made(azurite, f"{name}-poison")
        app.fail = {b"bad"}
        start(app.app)
        poison.send_message(encoded("bad"))
        app.next("recover")
        poison.send_message(encoded("good"))
        app.next("recover")
        assert poison.get_queue_properties().approximate_message_count != 0, "it stays, out of sight"
        assert poison.peek_messages() == []
        with pytest.raises(ResourceNotFoundError):
            QueueClient.from_connection_string(azurite, f"{name}-poison-poison").get_queue_properties()

    def test_what_is_not_base64_is_poison(self, start: Start, azurite: str, name: str) -> None:
        app, client = App(name), made(azurite, name)
        made(azurite, f"{name}-poison")
        start(app.app)
        client.send_message('{"plain": "text"}')
        until(lambda: client.get_queue_properties().approximate_message_count == 0)
        assert app.seen.empty()

    def test_plain_messages_where_host_json_says_so(self, start: Start, azurite: str, name: str) -> None:
        app, client = App(name), made(azurite, name)
        start(app.app, {"extensions": {"queues": {"messageEncoding": "none", "maxPollingInterval": "00:00:00.2"}}})
        client.send_message("plain")
        assert app.next("work").get_body() == b"plain"

    def test_missing_queues_are_made(self, start: Start, azurite: str, name: str) -> None:
        app = App(name)
        start(app.app)
        client = QueueClient.from_connection_string(azurite, name)

        def exists() -> bool:
            try:
                client.send_message(encoded("x"))
            except ResourceNotFoundError:
                return False
            return True

        until(exists)
        assert app.next("work").get_body() == b"x"

    @pytest.mark.parametrize(
        "queues", [{"batchSize": 64}, {"visibilityTimeout": "2 minutes"}, {"messageEncoding": "utf8"}]
    )
    def test_host_json_that_azure_refuses(self, azurite: str, tmp_path: Path, queues: dict[str, Any]) -> None:
        with pytest.raises(HostError, match=r"host\.json"):
            hosts.Host(func.FunctionApp(), {"extensions": {"queues": queues}}, tmp_path, port=0)


class TestTimers:
    NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("schedule", "following"),
        [
            ("*/5 * * * * *", "2026-11-20T12:00:05"),
            ("0 */5 * * * *", "2026-11-20T12:05:00"),
            ("30 0 9 * * MON-FRI", "2026-11-23T09:00:30"),
            ("0 0 0 13 * 5", "2027-08-13T00:00:00"),
        ],
    )
    def test_schedules(self, schedule: str, following: str) -> None:
        assert host_timer.following(host_timer.check(schedule), self.NOON).isoformat() == f"{following}+00:00"

    @pytest.mark.parametrize(
        "schedule", ["0 * * * *", "@hourly", "61 * * * * *", "0 0 0 L * *", "0 0 0 30 2 *", "", "00:00:05"]
    )
    def test_schedules_that_azure_refuses(self, schedule: str) -> None:
        with pytest.raises(HostError):
            host_timer.check(schedule)

    @given(st.text(alphabet="0123456789*/,- MONJANL#?", max_size=30))
    def test_any_schedule_is_refused_or_comes_true_later(self, schedule: str) -> None:
        try:
            host_timer.check(schedule)
        except HostError:
            return
        assert host_timer.following(schedule, self.NOON) > self.NOON

    def test_it_is_called_on_time_again_and_again(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SCHEDULE", "* * * * * *")
        seen: queue.Queue[tuple[datetime, bool]] = queue.Queue()
        app = func.FunctionApp()

        @app.timer_trigger(arg_name="timer", schedule="%SCHEDULE%")
        def tick(timer: func.TimerRequest) -> None:
            seen.put((datetime.now(UTC), timer.past_due))
            raise RuntimeError("failing changes nothing")

        start(app)
        (first, late), (second, _) = seen.get(timeout=WAIT), seen.get(timeout=WAIT)
        assert not late
        assert timedelta(seconds=0.5) < second - first < timedelta(seconds=5)

    @pytest.mark.parametrize(("schedule", "called"), [("0 0 * * * *", True), ("0 30 * * * *", False)])
    def test_one_late_call_after_a_pause(self, start: Start, tmp_path: Path, schedule: str, called: bool) -> None:
        past = (datetime.now(UTC) - timedelta(hours=9)).isoformat()
        (tmp_path / "timers.json").write_text(json.dumps({"tick": {"schedule": "0 0 * * * *", "next": past}}))
        seen: queue.Queue[bool] = queue.Queue()
        app = func.FunctionApp()

        @app.timer_trigger(arg_name="timer", schedule=schedule)
        def tick(timer: func.TimerRequest) -> None:
            seen.put(timer.past_due)

        start(app)
        if called:
            assert seen.get(timeout=WAIT) is True
        until(
            lambda: json.loads((tmp_path / "timers.json").read_text())["tick"]["next"] > datetime.now(UTC).isoformat()
        )
        assert seen.empty(), "missed calls are not made up for one by one, and a new schedule has missed none"

    def test_a_broken_monitor_file_counts_as_none(self, tmp_path: Path) -> None:
        path = tmp_path / "timers.json"
        path.write_text("{")
        assert not host_timer.Monitor(path).missed("tick", "0 0 * * * *", self.NOON)


class TestIndexing:
    def test_a_missing_setting_is_named(self, tmp_path: Path) -> None:
        app = func.FunctionApp()

        @app.timer_trigger(arg_name="timer", schedule="%NO_SUCH_SETTING%")
        def tick(timer: func.TimerRequest) -> None: ...

        with pytest.raises(HostError, match="NO_SUCH_SETTING"):
            hosts.Host(app, {}, tmp_path, port=0)

    def test_a_wrong_parameter_is_told(self) -> None:
        app = func.FunctionApp()

        @app.timer_trigger(arg_name="timer", schedule="* * * * * *")
        def tick(clock: func.TimerRequest) -> None: ...

        with pytest.raises(HostError, match="tick takes clock, but its trigger gives timer"):
            host_functions.index(app)

    def test_an_output_binding_is_not_modelled(self) -> None:
        app = func.FunctionApp()

        @app.timer_trigger(arg_name="timer", schedule="* * * * * *")
        @app.queue_output(arg_name="out", queue_name="q", connection="AzureWebJobsStorage")
        def tick(timer: func.TimerRequest, out: func.Out[str]) -> None: ...

        with pytest.raises(HostError, match="no other binding"):
            host_functions.index(app)

    def test_a_folder_without_an_app(self, tmp_path: Path) -> None:
        with pytest.raises(HostError, match=r"no function_app\.py"):
            host_functions.load(tmp_path)


class TestSettings:
    def test_environment_over_local_over_sample(self, tmp_path: Path) -> None:
        for name, values in (
            ("local.settings.sample.json", {"A": "sample", "B": "sample", "C": "sample"}),
            ("local.settings.json", {"B": "local", "C": "local"}),
        ):
            (tmp_path / name).write_text(json.dumps({"Values": values}))
        assert hosts.settings({"C": "environment"}, tmp_path) == {"A": "sample", "B": "local", "C": "environment"}

    @pytest.mark.parametrize("text", ["{", "[]", '{"Values": []}', "{}", "null"])
    def test_a_broken_file_is_named(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "local.settings.json").write_text(text)
        with pytest.raises(HostError, match=r"local\.settings\.json"):
            hosts.settings({}, tmp_path)


class TestProcess:
    """The host as a process of its own, with the app of this project."""

    @pytest.fixture
    def environ(self, azurite: str) -> dict[str, str]:
        return os.environ | {"AzureWebJobsStorage": azurite, "PORT": "0", "HOST_LOG": "json", "STOP_WITH_STDIN": "1"}

    def test_it_runs_this_project_and_ends_with_its_stdin(self, environ: dict[str, str]) -> None:
        with subprocess.Popen(
            [sys.executable, "-m", "dev.host"], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            described = json.loads(process.stdout.readline())["message"]
            for function in ("receive_lead", "watch_tables", "deliver_lead", "recover_delivery", "sweep_open_leads"):
                assert f"  {function}: " in described
            assert "[GET,HEAD,POST] http://localhost:" in described
            assert "not Azure's" in described
            process.stdin.close()
            assert process.wait(WAIT) == 0

    @pytest.mark.parametrize(
        ("setting", "told"),
        [
            ({"PORT": "70000"}, "PORT is 70000, which is no port."),
            ({"AzureWebJobsStorage": ""}, "AzureWebJobsStorage is not set."),
            ({"AzureWebJobsStorage": "no connection string"}, "cannot be read"),
        ],
    )
    def test_wrong_settings_are_told(self, environ: dict[str, str], setting: dict[str, str], told: str) -> None:
        done = self.refused(environ | setting)
        assert told in done

    @staticmethod
    def refused(environ: dict[str, str]) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "dev.host"],
            env={**environ, "HOST_LOG": "", "STOP_WITH_STDIN": ""},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1, done.stdout
        assert "Traceback" not in done.stdout
        return done.stdout

    def test_a_port_that_is_taken_is_told(self, environ: dict[str, str]) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            told = self.refused(environ | {"PORT": port})
        assert f"Port {port} of 127.0.0.1 cannot be used" in told
