"""`make run` as a process of its own: what it shows, and that nothing of it is left afterwards."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import certifi
import pytest
import requests
from azure.data.tables import TableServiceClient

from dev import host, run, run_samples
from dev.azurite import Azurite
from dev.run_app import Stop, _short
from dev.standins import https
from dev.standins.server import Failure, Server
from leads import enabled

ROOT = Path(__file__).resolve().parents[2]
WAIT = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def running(local: Path) -> list[str]:
    """The command lines of the processes that were started with this folder for their data."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environ, command = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
        except OSError:
            continue
        if f"LOCAL_DIR={local}".encode() in environ.split(b"\0") and command:
            found.append(command.replace(b"\0", b" ").decode())
    return found


class Run:
    """One `make run`, its output so far, and a way to wait for a line."""

    def __init__(self, local: Path, **environ: str) -> None:
        self.port = free_port()
        self.local = local
        self.lines: list[str] = []
        self._news = threading.Condition()
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("LEADS_", "DYNAMICS_"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dev.run"],
            cwd=ROOT,
            env=clean
            | {"LOCAL_DIR": str(local), "PORT": str(self.port), "LEADS_WATCH_SCHEDULE": "* * * * * *"}
            | {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "PYTHONUNBUFFERED": "1"}
            | environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()
        with self._news:
            self.lines.append("(end)")
            self._news.notify_all()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, pattern: str) -> str:
        """The first line that matches; fails with the whole output when none comes."""

        def first() -> str | None:
            return next((line for line in self.lines if re.search(pattern, line)), None)

        with self._news:
            self._news.wait_for(lambda: first() or "(end)" in self.lines, WAIT)
            found = first()
        assert found is not None, self.text
        return found

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        os.killpg(self.process.pid, number)
        code = self.process.wait(WAIT)
        self.wait_for(r"^\(end\)$")
        return code


def wait_until_nothing_runs(local: Path) -> None:
    for _ in range(400):
        if not running(local):
            return
        threading.Event().wait(0.05)
    raise AssertionError(running(local))


Start = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    runs: list[Run] = []

    def start(**environ: str) -> Run:
        runs.append(Run(tmp_path / "local", **environ))
        return runs[-1]

    yield start
    for each in runs:
        if each.process.poll() is None:
            each.end(signal.SIGKILL)
    wait_until_nothing_runs(tmp_path / "local")


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Server]:
    """A receiver that the run trusts, and that takes every lead and never answers."""
    with https.receiver(tmp_path / "local" / "standin") as server:
        server.failures.append(Failure(None, times=99, hang=True))
        yield server


@pytest.mark.skipif(not Path("/proc").exists(), reason="it looks for processes in /proc, which only Linux has")
class TestRun:
    def test_leads_arrive_and_ctrl_c_leaves_nothing(self, start: Start) -> None:
        running_ = start()
        running_.wait_for(f"http://localhost:{running_.port}/api/ops/")
        text = running_.text
        assert "Up and running" in text
        by_http, by_row = text.split("A lead comes in as a table row")
        for section in (by_http, by_row):
            assert re.search(r"accepted and kept: lead [0-9a-f]{16}-[0-9a-f]{16}", section)
            for destination in ("dynamics", "email", "teams"):
                assert f"{destination}: delivered" in section
        assert text.count("a stand-in on this machine") == 3
        shown = received(running_)
        assert shown.count("<article>") == 5, "two mails, two cards, one record with two notes"
        assert shown.count("Ada Example") >= 5
        times = [float(found) for found in re.findall(r"^ +(\d+\.\d\d) s .*delivered", text, re.MULTILINE)]
        assert max(times) < 10

        url = f"http://127.0.0.1:{running_.port}/api/leads"
        answer = requests.post(url, run_samples.CURL_BODY.encode(), timeout=WAIT)
        assert answer.status_code == 202
        running_.wait_for(f"dynamics: delivered, lead {answer.json()['id']}")
        assert "Grace Example" in received(running_)
        with ThreadPoolExecutor(50) as pool:
            at_once = list(pool.map(lambda _: requests.post(url, b'{"leadSource": "A"}', timeout=WAIT), range(50)))
        assert {again.status_code for again in at_once} == {202}
        assert len({again.json()["id"] for again in at_once}) == 1, "the same lead fifty times is one lead"

        assert len(running(running_.local)) == 3, "itself, the host and Azurite"
        assert running_.end(signal.SIGINT) == 0
        assert running(running_.local) == []
        assert "Traceback" not in running_.text

    def test_killed_and_started_again_it_has_lost_nothing(self, start: Start) -> None:
        first = start()
        first.wait_for("Up and running")
        url = f"http://127.0.0.1:{first.port}/api/leads"
        last = requests.post(url, run_samples.CURL_BODY.encode(), timeout=WAIT).json()["id"]
        kept = [last, *re.findall(r"lead ([0-9a-f]{16}-[0-9a-f]{16})", first.text)]
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
        second = start(AUTH="1")
        second.wait_for("Up and running")
        with Data(second) as tables:
            stored = {
                f"{row['PartitionKey']}-{row['RowKey']}" for row in tables.get_table_client("leads").list_entities()
            }
        assert len(set(kept)) == 3
        assert set(kept) <= stored
        assert second.end() == 0

    def test_nothing_is_sent_to_anything_real(self, start: Start) -> None:
        running_ = start(LEADS_DESTINATIONS="dynamics,teams", DYNAMICS_URL="https://org.example")
        running_.wait_for("Up and running")
        assert "the real one that DYNAMICS_URL names" in running_.text
        assert "No sample is sent, since it would go to dynamics for real" in running_.text
        assert "comes in" not in running_.text
        assert [section.partition(" <")[0] for section in sections(received(running_))] == ["Teams"]
        assert running_.end() == 0

    def test_instances_deliver_side_by_side_each_to_its_own(self, start: Start) -> None:
        names = ("email:emea", "email:us", "console:here", "console:there")
        running_ = start(
            LEADS_DESTINATIONS=",".join(names),
            EMAIL_EMEA_TO="emea@contoso.com",
            EMAIL_US_TO="us@contoso.com",
            EMAIL_FROM="Leads <leads@contoso.com>",
        )
        running_.wait_for("Up and running")
        by_http, by_row = running_.text.split("A lead comes in as a table row")
        for section in (by_http, by_row):
            for name in names:
                assert f"{name}: delivered" in section
        assert "EMAIL_EMEA_SMTP_URL or EMAIL_EMEA_GRAPH_SENDER names a real one" in running_.text
        emea, us = sections(received(running_))
        for shown, title, address, other in ((emea, "emea", "emea@", "us@"), (us, "us", "us@", "emea@")):
            assert shown.startswith(f"E-mail, {title}")
            assert shown.count("<article>") == 2
            assert shown.count(f"to {address}contoso.com") == 2
            assert f"to {other}contoso.com" not in shown
        assert running_.end() == 0

    def test_the_example_of_the_readme_shows_each_team_its_leads(self, start: Start) -> None:
        text = (ROOT / "README.md").read_text()
        (example,) = re.findall(r"^LEADS_DESTINATIONS=\S+ \\\nLEADS_ROUTES=.* make run$", text, re.MULTILINE)
        *settings, make, target = shlex.split(example.replace("\\\n", " "))
        assert (make, target) == ("make", "run")
        running_ = start(**dict(setting.split("=", 1) for setting in settings))
        running_.wait_for("Up and running")
        assert "not delivered yet" not in running_.text
        names = {"Greta", "Uma", "Gustav", "Ulysses", "Ada"}
        teams = {"Dynamics 365": names, "E-mail, emea": {"Greta"}, "E-mail, us": {"Uma", "Ada"}}
        teams["Teams, viewer"] = {"Gustav", "Ulysses"}
        for section, (title, leads) in zip(sections(received(running_)), teams.items(), strict=True):
            assert section.startswith(title)
            assert {name for name in names if f"{name} Example" in section} == leads
        assert running_.end() == 0

    def test_a_lead_arrives_at_every_destination_there_is_and_one_that_fails_or_hangs_keeps_none_waiting(
        self, start: Start, hanging: Server
    ) -> None:
        names = [name for name in enabled.names() if name != "console"]
        running_ = start(
            LEADS_DESTINATIONS=",".join(("https:broken", "https:hangs", "console", *names)),
            HTTPS_BROKEN_URL=f"https://127.0.0.1:{free_port()}",
            HTTPS_BROKEN_SECRET=https.SECRET,
            HTTPS_HANGS_URL=https.url(hanging),
            HTTPS_HANGS_SECRET=https.SECRET,
        )
        running_.wait_for("Up and running")
        url = f"http://127.0.0.1:{running_.port}/api/leads"
        lead = requests.post(url, run_samples.CURL_BODY.encode(), timeout=WAIT).json()["id"]
        for name in ("console", *names):
            running_.wait_for(f"{name}: delivered, lead {lead}")
        assert [call.status for call in hanging.calls] == [0]
        assert "https:hangs:" not in running_.text, "it holds its attempt for 20 seconds, while all others are done"
        assert f"https:broken: transient, lead {lead}" in running_.text
        assert "https:broken: delivered" not in running_.text
        assert f"the log: lead {lead}: first step of this customer" in running_.text
        found = sections(received(running_))
        assert len(found) == len(names) == 10
        for section in found:
            assert section.count("<article>") == 1
            assert "Grace" in section
        assert running_.end() == 0

    def test_a_storage_of_ones_own_is_used(self, start: Start, azurite: str) -> None:
        running_ = start(AzureWebJobsStorage=azurite)
        running_.wait_for("Up and running")
        assert "the account that AzureWebJobsStorage names" in running_.text
        assert len(running(running_.local)) == 2
        assert running_.end(signal.SIGTERM) == 0

    def test_a_port_that_is_taken_is_told(self, start: Start) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            running_ = start(PORT=str(port))
            running_.wait_for(f"Port {port} is taken by another program.")
            assert running_.process.wait(WAIT) == 1

    def test_a_missing_node_is_told(self, start: Start, tmp_path: Path) -> None:
        running_ = start(PATH=str(tmp_path))
        running_.wait_for("Install Node.js 20 or later")
        assert running_.process.wait(WAIT) == 1

    @pytest.mark.parametrize("port", ["http", "0", "65536"])
    def test_a_port_that_is_none_is_told(self, start: Start, port: str) -> None:
        running_ = start(PORT=port)
        running_.wait_for(f"PORT is {port}, which is no port.")
        assert running_.process.wait(WAIT) == 1


def received(shown: Run) -> str:
    """The page that shows what the stand-ins received."""
    page = shown.wait_for(r"http://localhost:\d+ shows what arrived where").split()[1]
    return requests.get(page, timeout=WAIT).text


def sections(page: str) -> list[str]:
    """What the page shows of each stand-in, beginning with its title."""
    return re.split(r"<h2[^>]*>", page)[1:]


class Data:
    """The tables of a run, by the ports that it shows."""

    def __init__(self, shown: Run) -> None:
        ports = re.search(r"Azurite on ports (\d+), (\d+), (\d+)", shown.text)
        assert ports
        emulator = Azurite.__new__(Azurite)
        emulator.ports = (int(ports[1]), int(ports[2]), int(ports[3]))
        self._service = TableServiceClient.from_connection_string(emulator.connection_string)

    def __enter__(self) -> TableServiceClient:
        return self._service

    def __exit__(self, *_: object) -> None:
        self._service.close()


@pytest.mark.parametrize(
    ("environ", "emulated", "reason"),
    [
        ({"LEADS_DESTINATIONS": "console, Dynamics,email,teams"}, True, ""),
        ({"LEADS_DESTINATIONS": "console", "LEADS_INBOX": "", "LEADS_INBOX_TABLES": "Some"}, True, ""),
        ({"LEADS_DESTINATIONS": "console,new,email"}, True, "it would go to new for real"),
        ({"LEADS_DESTINATIONS": "page,entra"}, True, "it would go to page and entra for real"),
        ({"LEADS_DESTINATIONS": "console", "DYNAMICS_URL": "https://org.example"}, True, ""),
        (
            {"LEADS_DESTINATIONS": "dynamics,email", "DYNAMICS_URL": "x", "EMAIL_GRAPH_SENDER": "x"},
            True,
            "it would go to dynamics and email for real",
        ),
        ({"LEADS_DESTINATIONS": "console:a,email:emea,email:us"}, True, ""),
        ({"LEADS_DESTINATIONS": "email:emea", "EMAIL_EMEA_SMTP_URL": "x"}, True, "it would go to email:emea for real"),
        ({"LEADS_DESTINATIONS": "email:emea", "EMAIL_SMTP_URL": "x"}, True, "it would go to email:emea for real"),
        ({"LEADS_DESTINATIONS": "email:emea", "EMAIL_US_SMTP_URL": "x"}, True, ""),
        ({"LEADS_DESTINATIONS": "teams:emea", "TEAMS_WEBHOOK_URL": "x"}, True, ""),
        ({"LEADS_DESTINATIONS": "new:one"}, True, "it would go to new:one for real"),
        ({"LEADS_DESTINATIONS": "console"}, False, "the storage is a real one"),
        ({"LEADS_INBOX": "UseDevelopmentStorage=true"}, True, "the storage is a real one"),
        ({"LEADS_INBOX__accountName": "inbox"}, True, "the storage is a real one"),
    ],
)
def test_samples_go_nowhere_real(environ: dict[str, str], emulated: bool, reason: str) -> None:
    assert run.reason_to_send_nothing(environ, emulated=emulated) == reason


def test_the_app_trusts_the_stand_ins_beside_everybody_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host, "LOCAL", tmp_path)
    own = tmp_path / "standin" / "ca.pem"
    (tmp_path / "company.pem").write_text("of the company")
    for environ, usual in (
        ({}, certifi.contents()),
        ({"REQUESTS_CA_BUNDLE": f"{tmp_path}/company.pem"}, "of the company"),
    ):
        trusted = run.trust(environ)
        assert set(trusted) == {"REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}
        for file in trusted.values():
            assert Path(file).read_text() == f"{usual}\n{own.read_text()}"


def test_only_one_runs_in_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host, "LOCAL", tmp_path)
    held = run.lock()
    monkeypatch.setattr(host, "GRACE_SECONDS", -9.8)
    with pytest.raises(Stop, match="already runs in this folder"):
        run.lock()
    os.close(held)
    os.close(run.lock())


def test_problems_are_told_in_a_line() -> None:
    failed = "Executed 'Functions.ops' (Failed, Id=1, Duration=2ms)\nTraceback (most recent call last):\nOSError: x"
    assert _short(failed) == "ops failed: OSError: x"
    assert _short("one\ntwo") == "one"
    assert _short("") == ""
