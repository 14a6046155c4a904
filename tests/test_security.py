"""What docs/security.md states, shown: who is let in, and what is never told."""

from __future__ import annotations

import ast
import base64
import importlib.util
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from threading import BoundedSemaphore, Event, Thread
from urllib.parse import quote, urlencode

import azure.functions as func
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dev.host_functions import Function, index
from dev.host_http import Server
from dev.host_keys import Keys
from leads import app as app_module
from leads import enabled, log, transport, triggers
from leads.errors import Transient
from leads.intake import accept
from leads.operate.page import door
from leads.reader import Reader
from leads.settings import read
from leads.transport import Deadline, Response
from tests.destinations.test_contract import CONTRACTS
from tests.world import World, post, world

ROOT = Path(__file__).resolve().parent.parent
MARK = "Zq8KcanaryX1"
KEYS = Keys(
    {name: f"{name}-own-key-{MARK}" for name in ("receive_lead", "ops", "health", "page")},
    host=f"host-key-{MARK}",
    master=f"master-key-{MARK}",
)
_slow = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# --- Who can call what -----------------------------------------------------------------------------------------------


@cache
def http_functions() -> tuple[Function, ...]:
    """Those of function_app.py. An app can be indexed once only, so this one is loaded for itself."""
    spec = importlib.util.spec_from_file_location("function_app_of_its_own", ROOT / "function_app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return tuple(function for function in index(module.app) if function.kind == "httpTrigger")


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[World, int]]:
    """The app's own triggers behind the local host with keys asked for, over the twins in memory."""
    with world() as made:
        monkeypatch.setattr("leads.app.app", lambda: made.app)
        server = Server(http_functions(), "api", 0, KEYS)
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield made, server.port
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


Asked = tuple[int, dict[str, str], bytes]


def ask(port: int, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Asked:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


ROUTES = {
    "receive_lead": ("POST", "/api/leads"),
    "health": ("GET", "/api/health"),
    "ops": ("GET", "/api/ops/"),
}


@pytest.mark.parametrize("function", ROUTES)
@pytest.mark.parametrize("key", ["receive_lead", "health", "ops", "host", "master", "none", "wrong"])
def test_a_functions_own_key_opens_that_function_alone(site: tuple[World, int], function: str, key: str) -> None:
    """So the URL in Partner Center opens nothing but the way in. A host key opens all, hence it is never handed out."""
    _, port = site
    method, path = ROUTES[function]
    value = {"host": KEYS.host, "master": KEYS.master, "none": "", "wrong": f"x{MARK}"}.get(key) or KEYS.functions.get(
        key, ""
    )
    for answer in (
        ask(port, method, f"{path}?code={value}", post()),
        ask(port, method, path, post(), {"X-Functions-Key": value}),
    ):
        assert (answer[0] != 401) == (key in (function, "host", "master"))


def test_without_a_key_only_the_door_of_the_page_answers_and_tells_nothing(site: tuple[World, int]) -> None:
    w, port = site
    lead_id = accept.receive(w.app, post(), w.now).id
    open_to_all = set()
    for method in ("GET", "POST"):
        for path in (
            "/api/leads",
            "/api/health",
            "/api/ops/",
            f"/api/ops/leads/{lead_id}",
            f"/api/page/leads/{lead_id}",
        ):
            status, _, body = ask(port, method, path, b"{}")
            assert b"contoso" not in body.lower()
            assert lead_id.encode() not in body or lead_id in path, "the form remembers the address that was typed"
            if status not in (401, 404):
                open_to_all.add((path.split("/")[2], status))
    assert open_to_all == {("page", 403)}


def test_nothing_but_the_page_is_anonymous() -> None:
    levels = {function.name: str(function.trigger["authLevel"]).upper() for function in http_functions()}
    assert levels == {"receive_lead": "FUNCTION", "health": "FUNCTION", "ops": "FUNCTION", "page": "ANONYMOUS"}


def test_no_key_and_no_query_is_ever_logged_or_answered(
    site: tuple[World, int], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    w, port = site
    caplog.set_level(logging.DEBUG)
    key = KEYS.functions["receive_lead"]
    bodies = (post(), b"", b"[]", b"{", b" " * 300_000)
    told = [ask(port, "POST", f"/api/leads?code={key}", body) for body in bodies]
    told.append(ask(port, "GET", f"/api/leads?code={key}"))
    told.append(ask(port, "GET", f"/api/ops/leads/nothing?code={KEYS.functions['ops']}&q={MARK}"))
    told.append(ask(port, "GET", f"/api/health?code={KEYS.functions['health']}"))
    told.append(ask(port, "GET", f"/api/page/leads?code={MARK}"))
    told.append(ask(port, "POST", f"/api/leads?code=wrong{MARK}", post()))

    def broken(*_: object, **__: object) -> bool:
        raise OSError(f"the storage at https://x/?sig={MARK} did not answer")

    monkeypatch.setattr(w.store, "put_blob", broken)
    told.append(ask(port, "POST", f"/api/leads?code={key}", post(description="another")))
    assert told[-1][0] == 503
    assert MARK not in caplog.text
    assert MARK not in str(told)


def sign_in(port: int, key: str, **headers: str) -> Asked:
    form = urlencode({"key": key}).encode()
    return ask(port, "POST", "/api/page/sign-in", form, {"Host": f"localhost:{port}", **headers})


@pytest.mark.parametrize("function", ["ops", "receive_lead", "health", "page"])
def test_the_form_takes_the_key_of_ops_alone(site: tuple[World, int], function: str) -> None:
    """The app asks its own route, here behind the local host, whether the key opens it."""
    _, port = site
    status, headers, _ = sign_in(port, KEYS.functions[function])
    assert status == (303 if function == "ops" else 403)
    assert ("set-cookie" in headers) == (function == "ops")
    if function == "ops":
        cookie = headers["set-cookie"].partition(";")[0]
        assert ask(port, "GET", "/api/page/leads", headers={"Host": f"localhost:{port}", "Cookie": cookie})[0] == 200


def test_more_sign_ins_than_threads_do_not_keep_a_lead_waiting(
    site: tuple[World, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker on Flex has its cores + 4 threads. Did each wait for the app's answer, no lead would be taken."""
    _, port = site
    threads = BoundedSemaphore(5)
    for name in ("receive_lead", "ops", "page"):
        whole = getattr(triggers, name)

        def limited(request: func.HttpRequest, whole: Callable[..., func.HttpResponse] = whole) -> func.HttpResponse:
            with threads:
                return whole(request)

        monkeypatch.setattr(triggers, name, limited)
    taken = Event()

    def slow(*_: object, **__: object) -> Response:
        taken.wait(door.SECONDS)
        return Response(401, {}, b"")

    with monkeypatch.context() as patched, ThreadPoolExecutor(41) as crowd:
        patched.setattr(transport, "request", slow)
        guesses = [crowd.submit(sign_in, port, f"a-guess-of-somebody-{number}") for number in range(40)]
        answered = as_completed(guesses)
        first = [next(answered).result()[0]]
        began = time.monotonic()
        status = ask(port, "POST", f"/api/leads?code={KEYS.functions['receive_lead']}", post())[0]
        seconds = time.monotonic() - began
        others = [next(answered).result()[0] for _ in range(38)]
        taken.set()
    assert (status, seconds < 2) == (202, True)
    assert {*first, *others} == {429}
    assert [guess.result()[0] for guess in guesses].count(403) == 1, "the one that was asked about"
    assert sign_in(port, KEYS.functions["ops"])[0] == 303, "and then the operator gets in"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Encoding": "gzip"},
        {"Content-Type": "text/html; charset=utf-7"},
        {"Content-Type": "x" * 8000},
        {"X-HTTP-Method-Override": "DELETE", "X-Forwarded-For": "127.0.0.1", "X-MS-CLIENT-PRINCIPAL": "e30="},
        {"Cookie": "ops_session=" + "\\" * 8000},
        {"Cookie": f"ops_session=2000000000.{'0' * 32}..{'0' * 64}"},
        {"Cookie": "=;;;=" * 1000},
        {"traceparent": "' OR 1=1", "Accept": "../../etc/passwd"},
    ],
)
def test_hostile_headers_change_nothing(site: tuple[World, int], headers: dict[str, str]) -> None:
    w, port = site
    began = time.monotonic()
    assert ask(port, "POST", f"/api/leads?code={KEYS.functions['receive_lead']}", post(), headers)[0] == 202
    assert ask(port, "GET", "/api/page/leads", headers=headers)[0] == 403
    assert len(w.ids()) == 1
    assert time.monotonic() - began < 3


def test_keys_and_signatures_are_compared_in_constant_time() -> None:
    for path in (ROOT / "leads" / "operate" / "page" / "session.py", ROOT / "dev" / "host_keys.py"):
        source = path.read_text("utf-8")
        plain = [
            ast.unparse(node)
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Compare) and any(isinstance(way, ast.Eq | ast.NotEq) for way in node.ops)
        ]
        assert [each for each in plain if re.search("sign|token|given|master", each)] == []
        assert "compare_digest" in source


@pytest.mark.parametrize("level", [logging.NOTSET + 1, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR])
def test_at_no_log_level_a_url_is_shown_with_its_query(
    site: tuple[World, int], level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Webhooks have their secret in the address, and so has the way in. Libraries log what they ask."""
    w, port = site
    caplog.set_level(level)
    address = f"http://localhost:{port}/api/leads"
    for url in (f"{address}?code={MARK}", f"{address}?code={KEYS.functions['receive_lead']}", f"{address}/{MARK}?x=1"):
        transport.request("POST", url, deadline=Deadline.after(5), data=post(offerTitle=MARK))
    with pytest.raises(Transient) as failed:
        transport.request("GET", f"http://localhost:1/hook?sig={MARK}", deadline=Deadline.after(5))
    w.live(minutes=6)
    assert MARK not in re.sub('"offer[^,]*', "", caplog.text)
    assert MARK not in str(failed.value)
    assert "?" not in caplog.text


def test_the_host_is_never_asked_to_log_queries() -> None:
    """Application Insights leaves queries out unless `enableQueryStringTracing` asks (azure-webjobs-sdk #3026)."""
    assert "querystringtracing" not in (ROOT / "host.json").read_text("utf-8").lower()


# --- What is never told ----------------------------------------------------------------------------------------------

SECRET = base64.b64encode(b"secret that must not be shown anywhere at all").decode()
PASTED = (
    f"DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey={SECRET}==;EndpointSuffix=core.windows.net",
    f"https://prod-1.westeurope.logic.azure.com:443/workflows/1/triggers/manual/paths/invoke?sp=x&sv=1.0&sig={SECRET}",
    f"smtp://leads:{SECRET}@smtp.example.com:587",
    f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
    f"abc8Q~{SECRET}",
    SECRET,
    f"{SECRET}:trial",
)
"""Secrets, as somebody may paste them into the wrong field."""


def setting_names() -> list[str]:
    """All settings that the sample or a module of the app names."""
    sample = json.loads((ROOT / "local.settings.sample.json").read_text("utf-8"))["Values"]
    code = "".join(path.read_text("utf-8") for path in (ROOT / "leads").rglob("*.py"))
    named = set(re.findall(r'"((?:LEADS|[A-Z][A-Z0-9]{3,})_[A-Z_]{2,})"', code))
    return sorted({*sample, *named} - {"FUNCTIONS_WORKER_RUNTIME", "IDENTITY_ENDPOINT"})


@pytest.mark.parametrize("name", setting_names())
@pytest.mark.parametrize("pasted", PASTED)
def test_a_secret_in_the_wrong_setting_is_not_shown(name: str, pasted: str, caplog: pytest.LogCaptureFixture) -> None:
    if pasted.isalnum() and name == "LEADS_INBOX_TABLES":
        return  # letters and digits alone may be the name of a table
    caplog.set_level(logging.DEBUG)
    environ = {"EMAIL_GRAPH_SENDER": "leads@contoso.com"} | {name: pasted}
    with world(environ=environ) as w:
        told = [str(problem) for problem in w.app.settings.problems]
        for module in map(enabled.load, CONTRACTS):
            reader = Reader(environ, module.SETTINGS)
            module.Settings.read(reader)
            told += [str(problem) for problem in (*reader.problems, *reader.warnings)]
        told.append(triggers.answer_health(w.app, w.now).get_body().decode())
        if name != "LEADS_DESTINATIONS":  # then there is none that a lead could go to
            accept.receive(w.app, post(), w.now)
            w.live(minutes=20)
        told.append(triggers.answer_health(w.app, w.now).get_body().decode())
        told.append(repr(w.app.settings))
    shown = "\n".join(told) + caplog.text
    for part in (SECRET, SECRET.lower(), SECRET[:30]):
        assert part not in shown, name


def test_what_cannot_be_a_table_is_told_of_and_not_read() -> None:
    """Names of tables are logged, and a connection string stands in the field next to them."""
    made = read({"AzureWebJobsStorage": PASTED[0], "LEADS_INBOX_TABLES": f"Good, my-table,{PASTED[0]}"})
    assert made.inbox_tables == ("Good",)
    assert [problem.cause for problem in made.problems] == [
        "'my-table' cannot be the name of an Azure table.",
        "What stands there cannot be the name of an Azure table.",
    ]
    assert read({"LEADS_INBOX_TABLES": PASTED[0]}).inbox_tables == ("MarketplaceLeads",)


@pytest.mark.parametrize("name", CONTRACTS)
def test_health_of_a_whole_configuration_holds_no_secret(name: str, tmp_path: Path) -> None:
    module = importlib.import_module(f"tests.destinations.contract_{name}")
    with module.contract(tmp_path) as contract, world(environ={**contract.environ, "LEADS_DESTINATIONS": name}) as w:
        shown = triggers.answer_health(w.app, w.now).get_body().decode() + repr(w.app) + repr(w.app.settings)
        for secret in contract.secrets:
            assert secret not in shown


BODIES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=20), inner, max_size=4)),
        max_leaves=20,
    ).map(lambda value: json.dumps(value).encode()),
)


@_slow
@given(body=BODIES)
def test_no_answer_and_no_log_line_quotes_the_body(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    marked = MARK.encode()
    for whole in (marked + body, body + marked, json.dumps({"email": MARK, "x": body.hex(), MARK: 1}).encode() + body):
        with world() as w:
            request = func.HttpRequest("POST", "https://app/api/leads", headers={}, body=whole)
            answer = triggers.answer_lead(w.app, request, w.now)
            assert answer.status_code in (202, 400)
            assert MARK not in answer.get_body().decode() + str(dict(answer.headers))
    assert MARK not in caplog.text


def test_the_log_has_one_vocabulary_and_no_other_way_in() -> None:
    """Every event is one of `leads.log.EVENTS`; nothing else of the app writes to a log or prints."""
    screens = {"screen.py", "__main__.py", "log.py", "console.py"}
    for path in sorted((ROOT / "leads").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called == "log.event":
                name = ast.literal_eval(node.args[0])
                fields = {keyword.arg for keyword in node.keywords}
                assert fields <= set(log.EVENTS[name]), f"{path.name}: {name}"
            elif path.name not in screens:
                assert called != "print", path.name
                assert not re.fullmatch(
                    r"_?(log|logger|logging)\.(debug|info|warning|error|exception|critical|log)", called
                )


# --- What the documents say ------------------------------------------------------------------------------------------


def security() -> str:
    return (ROOT / "docs" / "security.md").read_text("utf-8")


def test_the_roles_of_the_document_are_those_of_the_templates() -> None:
    templates = "".join(path.read_text("utf-8") for path in (ROOT / "infra" / "modules").glob("*.bicep"))
    assigned = set(re.findall(r"^  '([A-Z][A-Za-z ]+)': '[0-9a-f-]{36}'$", templates, re.MULTILINE))
    assert assigned == set(re.findall(r"^\| `([A-Z][A-Za-z ]+)` \|", security(), re.MULTILINE))


def test_nothing_is_reached_by_a_key_or_a_password_that_need_not_be() -> None:
    modules = {path.stem: path.read_text("utf-8") for path in (ROOT / "infra" / "modules").glob("*.bicep")}
    assert "allowSharedKeyAccess: false" in modules["state"]
    assert [name for name, text in modules.items() if "allowSharedKeyAccess: true" in text] == ["inbox"]
    for name in ("state", "inbox"):
        assert "allowBlobPublicAccess: false" in modules[name]
        assert "minimumTlsVersion: 'TLS1_2'" in modules[name]
        assert "supportsHttpsTrafficOnly: true" in modules[name]
    assert "httpsOnly: true" in modules["app"]
    assert "minTlsVersion: '1.2'" in modules["app"]
    assert modules["app"].count("allow: false") == 2, "publishing by password, in two protocols"
    assert "disableLocalAuth: true" in modules["monitoring"]


def test_every_secret_setting_has_its_rotation() -> None:
    secret = [
        name
        for name in setting_names()
        if re.search(r"SECRET|CERTIFICATE|PASSWORD|TOKEN|WEBHOOK_URL|SMTP_URL|(OPS|PRIVATE)_KEY$", name)
    ]
    assert len(secret) > 4
    for name in secret:
        assert f"`{name}`" in security(), name


def test_every_destination_says_what_it_passes_on() -> None:
    for name in enabled.names():
        assert f"`{name}`" in security(), name


def test_the_local_host_is_reached_from_this_machine_alone(site: tuple[World, int]) -> None:
    _, port = site
    assert ask(port, "GET", f"/{quote('../' * 5)}etc/passwd")[0] == 404
    assert ask(port, "GET", "/api/health", headers={"Host": f"evil.example:{port}"})[0] == 421
    source = (ROOT / "dev" / "serving.py").read_text("utf-8")
    assert 'create_server(("127.0.0.1", port)' in source


def test_what_is_shown_of_the_app_itself_holds_no_connection_string() -> None:
    made = read({"AzureWebJobsStorage": PASTED[0], "LEADS_INBOX": PASTED[0]})
    assert SECRET not in repr(made)
    assert SECRET not in repr(app_module.App(made, {"DYNAMICS_CLIENT_SECRET": SECRET}))


def test_new_keys_of_the_inbox_make_no_row_a_new_lead() -> None:
    """An event is of the account's name, table and row: so is the lead, whatever key opens the account."""
    old = read({"LEADS_INBOX": "AccountName=Contoso;AccountKey=old=="}).inbox
    new = read({"LEADS_INBOX": "AccountName=contoso;AccountKey=new=="}).inbox
    by_identity = read({"LEADS_INBOX__accountName": "contoso"}).inbox
    assert old
    assert new
    assert by_identity
    assert old.name == new.name == by_identity.name
