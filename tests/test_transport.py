"""The way out over HTTP, against servers that really are at the other end of a socket."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Barrier

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.core.rest import HttpRequest
from hypothesis import given
from hypothesis import strategies as st

from dev.certificate import app_credential, server_files
from dev.standins import https
from leads import transport
from leads.errors import Transient
from leads.store import connections
from leads.transport import BODY_LIMIT, Deadline, Response, request

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRET = "?code=hush&sig=hush"

Talk = Callable[[socket.socket], None]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def serving(*talks: Talk) -> Iterator[tuple[str, list[bytes]]]:
    """A server that has the talks, one after the other, each on its own connection; yields URL and requests."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []
    over = threading.Event()

    def run() -> None:
        for talk in talks:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    heard.append(hear(connection))
                    talk(connection)
                except OSError:
                    pass
        over.wait(5)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook{SECRET}", heard
    finally:
        over.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def hear(connection: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        got += connection.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(status: str = "200 OK", body: bytes = b"", *headers: str) -> Talk:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return lambda connection: connection.sendall("\r\n".join(lines).encode() + body)


def silence(connection: socket.socket) -> None:
    connection.recv(1)


def soon() -> Deadline:
    return Deadline.after(10)


def get(url: str, deadline: Deadline | None = None) -> Response:
    return request("GET", url, deadline=deadline or soon())


@contextmanager
def failing(match: str) -> Iterator[None]:
    """What is inside raises Transient that says so, and shows nothing of the URL but its host."""
    with pytest.raises(Transient, match=match) as failure:
        yield
    shown = f"{failure.value} {failure.value.cause} {failure.value.remedy} {failure.value!r}"
    assert "hush" not in shown
    assert "/hook" not in shown
    # A traceback that is logged shows causes and contexts, too, unless they are suppressed.
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__ or failure.value.__context__ is None


def test_an_answer_of_any_status_is_an_answer() -> None:
    for status in ("200 OK", "404 Not Found", "503 Unavailable"):
        with serving(answer(status, b'{"a": 1}', "X-Thing: yes")) as (url, _):
            got = get(url)
        assert (got.status, got.headers["x-thing"], got.json()) == (int(status[:3]), "yes", {"a": 1})


def test_method_headers_and_body_go_out_as_given() -> None:
    with serving(answer()) as (url, heard):
        request("PATCH", url, deadline=soon(), headers={"If-None-Match": "*"}, json={"name": "Ünal"})
    head, _, body = heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"PATCH /hook?code=hush&sig=hush HTTP/1.1")
    assert b"\r\nIf-None-Match: *" in head
    assert b"\r\nContent-Type: application/json" in head
    assert json.loads(body) == {"name": "Ünal"}


def test_a_form_and_bytes_go_out_as_given() -> None:
    with serving(answer(), answer()) as (url, heard):
        request("POST", url, deadline=soon(), data={"a": "1 2"})
        request("POST", url, deadline=soon(), data=b"\x00raw")
    assert heard[0].endswith(b"\r\n\r\na=1+2")
    assert heard[1].endswith(b"\r\n\r\n\x00raw")


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_redirects_are_not_followed(status: str) -> None:
    with serving(answer(), answer()) as (elsewhere, heard):
        with serving(answer(status, b"", f"Location: {elsewhere}")) as (url, _):
            got = get(url)
        assert got.status == int(status[:3])
        assert heard == []


def test_cookies_are_not_kept() -> None:
    with serving(answer("200 OK", b"", "Set-Cookie: id=1; Path=/"), answer()) as (url, heard):
        get(url)
        get(url)
    assert b"cookie" not in heard[1].lower()


def test_a_long_body_is_cut_and_its_connection_given_up() -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

    with serving(endless) as (url, _):
        got = get(url)
    assert len(got.body) == BODY_LIMIT
    assert got.json() is None


def test_a_gzip_bomb_is_bounded() -> None:
    bomb = gzip.compress(b"\0" * 200 * BODY_LIMIT)
    tracemalloc.start()
    try:
        with serving(answer("200 OK", bomb, "Content-Encoding: gzip")) as (url, _):
            got = get(url)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(got.body) == BODY_LIMIT
    assert peak < 30 * BODY_LIMIT


def test_a_compressed_body_is_read_whole() -> None:
    text = json.dumps({"text": "äöü" * 50_000}).encode()
    with serving(answer("200 OK", gzip.compress(text), "Content-Encoding: gzip")) as (url, _):
        assert get(url).body == text


def test_a_chunked_body_is_read_whole() -> None:
    def chunked(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"3\r\nabc\r\n")
        connection.sendall(b"0\r\n\r\n")

    with serving(chunked) as (url, _):
        assert get(url).body == b"abc" * 100


def test_a_connection_is_used_again() -> None:
    def twice(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        hear(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")

    with serving(twice) as (url, heard):
        assert get(url).json() == {}
        assert get(url).json() == []
    assert len(heard) == 1


def test_a_server_that_does_not_answer() -> None:
    with serving(silence) as (url, _), failing("127.0.0.1 did not answer in time"):
        get(url, Deadline.after(0.3))


def test_a_server_that_hangs_in_the_middle_of_a_body() -> None:
    def half(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        silence(connection)

    with serving(half) as (url, _), failing("127.0.0.1 did not answer in time"):
        get(url, Deadline.after(0.3))


def test_a_server_that_dribbles_does_not_outlast_the_deadline() -> None:
    clock = Clock()

    def dribble(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            clock.now += 1
            connection.sendall(b"x")

    with serving(dribble) as (url, _), failing("took longer than 30 seconds"):
        get(url, Deadline.after(30, clock))


def test_a_proxy_that_dribbles_its_headers_does_not_either(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()

    def dribble(connection: socket.socket) -> None:
        clock.now += 31  # before the first of several reads has ended
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 1000) for n in range(20)))
        connection.sendall(b"Content-Length: 0\r\n\r\n")

    with serving(dribble) as (url, _):
        monkeypatch.setenv("HTTP_PROXY", url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with failing("took longer than 30 seconds"):
            get("http://example.test/", Deadline.after(30, clock))


def test_nothing_is_sent_after_the_deadline() -> None:
    clock = Clock()
    deadline = Deadline.after(30, clock)
    clock.now += 31
    with serving(answer()) as (url, heard), failing("took longer"):
        get(url, deadline)
    assert heard == []


def test_a_deadline_tells_what_is_left() -> None:
    clock = Clock()
    deadline = Deadline.after(30, clock)
    clock.now += 10
    assert deadline.remaining() == 20


def test_nobody_listens() -> None:
    with serving() as (url, _):
        pass
    with failing("No connection to 127.0.0.1"):
        get(url)


def test_a_host_that_does_not_exist() -> None:
    with failing("No connection to nowhere.invalid"):
        get(f"https://nowhere.invalid/hook{SECRET}")


@pytest.mark.parametrize(
    "talk",
    [
        lambda _: None,
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"),
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"),
        lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"),
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 200 + b"\r\n"),
        answer("200 OK", b"this is no gzip", "Content-Encoding: gzip"),
    ],
)
def test_a_broken_answer(talk: Talk) -> None:
    with serving(talk) as (url, _), failing("127.0.0.1"):
        get(url)


def test_malformed_headers_put_no_url_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(answer("200 OK", b"{}", "No colon here", "X-After: 1")) as (url, _):
        assert get(url).status == 200
    assert "hush" not in caplog.text


def test_a_certificate_that_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with serving_tls(server_files(tmp_path)[1]) as url, failing("localhost has no certificate that this app trusts"):
        get(url)


def test_a_certificate_of_another_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private, public = app_credential()
    (tmp_path / "server.pem").write_text(private)
    (tmp_path / "trusted.pem").write_text(public)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "trusted.pem"))
    with serving_tls(tmp_path / "server.pem") as url, failing("localhost has no certificate that this app trusts"):
        get(url)


def test_trusted_certificates_are_read_once_however_many_connections_and_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server_files(tmp_path)[0]))
    read: list[object] = []
    load = ssl.SSLContext.load_verify_locations

    def noted(context: ssl.SSLContext, *arguments: object) -> None:
        read.append(arguments)
        load(context, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", noted)
    together = Barrier(16)

    with https.receiver(tmp_path) as server, ThreadPoolExecutor(16) as pool:

        def work(_: int) -> int:
            together.wait(60)
            return get(https.url(server)).status

        assert set(pool.map(work, range(16))) == {401}
        assert server.connections > 1
    assert len(read) == 1


@pytest.mark.parametrize("trusted", [False, True])
def test_storage_is_asked_for_its_certificate_like_everybody(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    if trusted:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server_files(tmp_path)[0]))
    with serving_tls(server_files(tmp_path)[1]) as url:
        sent = connections.transport(5, 5).send
        request = HttpRequest("GET", url)
        if trusted:
            assert sent(request).status_code == 204
        else:
            with pytest.raises(ServiceRequestError, match="CERTIFICATE_VERIFY_FAILED"):
                sent(request)


def test_a_certificate_that_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server_files(tmp_path)[0]))
    with serving_tls(server_files(tmp_path)[1]) as url:
        assert get(url).status == 204


def test_a_bundle_of_certificates_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with failing("The request to localhost failed"):
        get(f"https://localhost/hook{SECRET}")


def test_a_server_that_accepts_no_connection() -> None:
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        with failing("127.0.0.1 did not"):
            get(f"http://127.0.0.1:{listener.getsockname()[1]}/hook{SECRET}", Deadline.after(0.3))


def test_a_handshake_that_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, failing("127.0.0.1 did not"):
        get(f"https://127.0.0.1:{listener.getsockname()[1]}/hook{SECRET}", Deadline.after(0.3))


@pytest.mark.parametrize(
    "url", ["", "nonsense", "https://", "http://[::1", "https://a..b/hook", f"https://{'a' * 70}.x"]
)
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(Transient):
        get(url)


@given(url=st.text(max_size=40) | st.text(max_size=20).map(lambda text: f"https://{text}/hook{SECRET}"))
def test_the_host_of_any_url_can_be_shown(url: str) -> None:
    assert transport.host(url)
    assert "code=hush" not in transport.host(f"https://example.com/{url}{SECRET}")


@pytest.mark.parametrize("value", ["-1", "inf", "nan", "1.5", "soon", "0x10", "1e3", "", " ", "²", "Mon, 99 Foo 2026"])
def test_a_wait_that_is_none(value: str) -> None:
    assert Response(429, {"retry-after": value}, b"").retry_after(NOW) is None
    assert Response(429, {}, b"").retry_after(NOW) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("9" * 500, 86400),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), 0),
        (format_datetime((NOW + timedelta(seconds=90)).replace(tzinfo=None)), 90),
        (format_datetime(NOW + timedelta(days=400), usegmt=True), 86400),
        ("Sun, 01 Mar 2026 13:01:00 +0100", 60),
    ],
)
def test_a_wait_as_seconds_or_date(value: str, seconds: float) -> None:
    assert Response(429, {"retry-after": value}, b"").retry_after(NOW) == seconds


digits = st.integers(0, 10**6).map(str)
dates = st.tuples(digits, st.sampled_from(["Mar", "Feb"]), digits, digits, digits, st.sampled_from(["+", "-"]), digits)


@given(
    value=st.text(max_size=40)
    | dates.map(lambda part: f"Mon, {part[0]} {part[1]} {part[2]} {part[3]}:{part[4]}:00 {part[5]}{part[6]}")
)
def test_any_wait_is_none_or_sane(value: str) -> None:
    seconds = Response(429, {"retry-after": value}, b"").retry_after(NOW)
    assert seconds is None or 0 <= seconds <= 86400


@given(body=st.binary(max_size=200))
def test_any_body_is_json_or_none(body: bytes) -> None:
    Response(200, {}, body).json()


def test_a_deeply_nested_body_is_none() -> None:
    assert Response(200, {}, b"[" * 200_000).json() is None


@contextmanager
def serving_tls(certificate: Path) -> Iterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            try:
                connection, _ = listener.accept()
                with context.wrap_socket(connection, server_side=True) as secure:
                    hear(secure)
                    secure.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            except OSError:
                pass

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"https://localhost:{listener.getsockname()[1]}/hook{SECRET}"
        thread.join(5)
