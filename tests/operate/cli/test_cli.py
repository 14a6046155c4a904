"""The command line, in this process and against a deployed app: answers, exit codes, and what is masked."""

from __future__ import annotations

import argparse
import contextlib
import csv
import fcntl
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import azure.functions as func
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads import __main__ as cli
from leads import transport
from leads.errors import Misconfigured, Rejected, Transient
from leads.intake import accept as intake
from leads.lead import Stage, Via
from leads.operate import api, audit, discard, listing, operations, quarantine, sample
from leads.operate.cli import look, order
from leads.operate.cli import screen as screen_module
from leads.operate.cli.remote import Remote
from leads.operate.cli.screen import Screen, block, printable
from leads.operate.page import session
from leads.store.ledger import QUARANTINE
from leads.store.rows import time_text
from leads.transport import Response
from tests.world import FakeDestination, World, failing, post, row, world

ROOT = Path(__file__).parent.parent.parent.parent
APP = "https://contoso.azurewebsites.net"
KEY = "the-key-of-ops"


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings of this checkout, and what runs in it, are nothing to the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())


class Shell:
    """Runs commands over a world, as an operator would."""

    def __init__(self, w: World, capsys: pytest.CaptureFixture[str], *before: str) -> None:
        self.w = w
        self.capsys = capsys
        self.before = before
        self.err = ""

    def run(self, *arguments: str) -> tuple[int, str]:
        code = cli.main([*self.before, *arguments])
        out, self.err = self.capsys.readouterr()
        return code, out

    def json(self, *arguments: str) -> tuple[int, Any]:
        code, out = self.run(*arguments, "--json")
        return code, json.loads(out)


def wait(w: World, seconds: float) -> None:
    w.drain()
    w.forward(seconds=seconds)


def answer(w: World, method: str, url: str, **asked: Any) -> Response:
    """What the deployed app would answer: the host's check of the key, then our own code."""
    headers = {key.lower(): value for key, value in asked["headers"].items()}
    if headers.get("x-functions-key") != KEY:
        return Response(401, {}, b"")
    path = urlsplit(url).path.removeprefix("/api/ops/")
    request = func.HttpRequest(
        method, url, headers=headers, route_params={"path": path}, body=json.dumps(asked["json"]).encode()
    )
    answered = api.answer(w.app, request, w.now)
    assert answered is not None
    assert answered.headers["Cache-Control"] == "no-store"
    return Response(answered.status_code, {}, answered.get_body())


@pytest.fixture(params=["here", "there"])
def shell(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    """A shell in front of the app in this process, and one in front of the same app over HTTP."""
    monkeypatch.setattr(order, "POLL_SECONDS", 1.0)
    with world(crm=FakeDestination(), mail=FakeDestination()) as w:
        monkeypatch.setattr(order, "pause", lambda seconds: wait(w, seconds))
        if request.param == "there":
            monkeypatch.setenv("LEADS_OPS_KEY", KEY)
            monkeypatch.setattr(transport, "request", lambda method, url, **asked: answer(w, method, url, **asked))
            yield Shell(w, capsys, "--url", APP)
        else:
            monkeypatch.setattr(
                cli, "caller", lambda *_: lambda name, given: operations.perform(w.app, name, given, w.now)
            )
            yield Shell(w, capsys)


def accept(shell: Shell, **changes: Any) -> str:
    return intake.receive(shell.w.app, post(**changes), shell.w.now).id


def test_an_empty_app_says_what_to_do(shell: Shell) -> None:
    code, out = shell.run("list")
    assert code == 0
    assert "send-test" in out
    assert shell.json("list") == (0, {"leads": [], "more": False, "cursor": "", "looked_back_to": ""})
    assert shell.run("list", "--dead") == (0, "No lead.\n")


def test_the_list_masks_and_reveals(shell: Shell) -> None:
    lead_id = accept(shell)
    code, out = shell.run("list")
    assert code == 0
    assert lead_id in out
    assert "s…@contoso.com" in out
    assert "someone@" not in out
    assert "Some" not in out
    assert "someone@contoso.com" in shell.run("list", "--reveal")[1]
    (lead,) = shell.json("list")[1]["leads"]
    assert lead["email"] == "s…@contoso.com"
    assert lead["deliveries"] == {"crm": "open", "mail": "open"}
    assert shell.json("list", "--reveal")[1]["leads"][0]["email"] == "someone@contoso.com"


def test_the_list_as_a_sheet(shell: Shell) -> None:
    lead_id = accept(shell, company="=HYPERLINK(1)")
    code, out = shell.run("list", "--csv")
    assert code == 0
    assert out.startswith('\ufeff"arrived_at"')
    head, row = csv.reader(io.StringIO(out.removeprefix("\ufeff")))
    lead = dict(zip(head, row, strict=True))
    assert lead["id"] == lead_id
    assert lead["email"] == "s…@contoso.com"
    assert lead["deliveries"] == "crm: open; mail: open"
    _, row = csv.reader(io.StringIO(shell.run("list", "--csv", "--reveal")[1]))
    assert row[head.index("email")] == "someone@contoso.com"
    assert len(shell.run("list", "--csv", "--dead")[1].splitlines()) == 1, "the names of the columns alone"
    accept(shell, email="other@contoso.com")
    code, out = shell.run("list", "--csv", "--limit", "1")
    assert code == 0
    assert len(out.splitlines()) == 2
    assert "These are 1 lead. --after '" in shell.err


def test_the_list_takes_filters(shell: Shell) -> None:
    shell.w.places["crm"].failures = [failing(Rejected)]
    dead = accept(shell, offerTitle="Planner")
    shell.w.drain()
    opened = accept(shell, offerTitle="Mixer", userDetails={"email": "ada@example.com"})

    def ids(*arguments: str) -> list[str]:
        return [lead["id"] for lead in shell.json("list", *arguments)[1]["leads"]]

    assert ids("--dead") == [dead]
    assert ids("--open") == [opened]
    assert ids("--offer", "mix") == [opened]
    assert ids("--customer", "ADA@example.com") == [opened]
    assert ids("--since", "2026-11-22") == []
    assert sorted(ids("--since", "2026-11-21")) == sorted([dead, opened])
    assert len(ids("--limit", "1")) == 1
    text = shell.run("list", "--dead")[1]
    assert "It did not work." in text
    assert "Correct it." in text
    assert "--limit" in shell.run("list", "--limit", "1")[1]


def test_show_tells_the_whole_story(shell: Shell) -> None:
    shell.w.places["crm"].failures = [failing(Transient)]
    lead_id = accept(shell, description="Please call.")
    shell.w.drain()
    code, out = shell.run("show", lead_id)
    assert code == 0
    for part in (lead_id, "someone@contoso.com", "Please call.", "transient", "It did not work.", "Correct it.", "ok"):
        assert part in out
    assert shell.run("show", lead_id[-16:])[1] == out
    story = shell.json("show", lead_id)[1]
    assert story["raw"].encode() == post(description="Please call.")
    assert story["lead"]["contact"]["email"] == "someone@contoso.com"
    assert [attempt["outcome"] for attempt in story["deliveries"][0]["attempts"]] == ["transient"]


def test_what_is_not_known_is_a_finding(shell: Shell) -> None:
    code, out = shell.run("show", "nothing")
    assert (code, out) == (1, "")
    assert "There is no lead" in shell.err
    assert shell.run("replay", "nothing")[0] == 1
    assert shell.run("export", "nobody@example.com")[0] == 1
    assert shell.run("forget", "nobody@example.com")[0] == 1


def test_quarantine_is_listed_shown_and_replayed(shell: Shell) -> None:
    with pytest.raises(intake.NotALead):
        intake.receive(shell.w.app, b"no lead \x1b[2J", shell.w.now)
    (entry,) = shell.json("list", "--quarantined")[1]["entries"]
    code, out = shell.run("list", "--quarantined")
    assert code == 0
    assert entry["name"] in out
    code, out = shell.run("show", entry["name"])
    assert code == 0
    assert "no lead" in out
    assert "\x1b" not in out
    assert shell.run("replay", entry["name"])[0] == 1
    assert "not JSON" in shell.err
    intake.quarantine(shell.w.app, post(), Via.HTTPS, "a bug of then", shell.w.now)
    code, out = shell.run("replay", "--quarantined")
    assert (code, out) == (0, "2 entries in quarantine.\nNothing was changed. Add --yes to do it.\n")
    assert len(shell.json("replay", "--quarantined")[1]["would_replay"]) == 2
    assert shell.w.ids() == []
    code, out = shell.run("replay", "--quarantined", "--yes")
    assert code == 0
    assert "1 of 2" in out
    assert len(shell.w.ids()) == 1


def test_what_lies_deep_in_quarantine_is_reached(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    intake.quarantine(shell.w.app, post(), Via.HTTPS, "a bug of then", shell.w.now)
    for number in range(4):
        shell.w.forward(minutes=1)
        intake.quarantine(shell.w.app, b"noise %d" % number, Via.HTTPS, "no lead", shell.w.now)
    assert "These are the newest 3" in shell.run("list", "--quarantined", "--limit", "3")[1]
    assert len(shell.json("list", "--quarantined", "--limit", "3")[1]["entries"]) == 3
    monkeypatch.setattr(operations, "LIST_LIMIT", 2)
    assert "1 of 5" in shell.run("replay", "--quarantined", "--yes")[1]


def test_an_older_lead_that_a_filter_means_is_reached_behind_many_that_it_does_not(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "SELECT_LIMIT", 2)
    shell.w.places["crm"].failures = [failing(Rejected)]
    oldest = accept(shell, offerTitle="oldest")
    shell.w.drain()
    shell.w.live(minutes=6)
    shell.w.places["mail"].always = failing(Rejected)
    for number in range(3):
        accept(shell, offerTitle=f"newer {number}")
        shell.w.drain()
    wanted = {"would_replay": [{"id": oldest, "destination": "crm"}]}
    assert shell.json("replay", "--dead", "--destination", "crm")[1] == wanted
    assert shell.json("replay", "--destination", "crm")[1] == wanted


@pytest.mark.parametrize("filters", [["--dead"], ["--since", "1d"], ["--offer", "x"], ["--customer", "a@example.com"]])
def test_a_filter_beside_an_id_is_not_passed_over(shell: Shell, filters: list[str]) -> None:
    lead_id = accept(shell)
    shell.w.drain()
    assert shell.run("replay", lead_id, *filters) == (2, "")
    assert set(shell.w.states().values()) == {"delivered"}


def test_a_destination_that_there_is_none_of_is_told_before_the_question(shell: Shell) -> None:
    accept(shell)
    shell.w.drain()
    code, out = shell.run("replay", "--destination", "emial")
    assert (code, out) == (1, "")
    assert "LEADS_DESTINATIONS has no 'emial'" in shell.err


def test_an_export_that_cannot_be_written_is_told(shell: Shell, tmp_path: Path) -> None:
    accept(shell)
    assert shell.run("export", "someone@contoso.com", "--output", str(tmp_path / "no/file"))[0] == 2
    assert "cannot be written" in shell.err
    file = tmp_path / "customer.json"
    told = {"written": [str(file), str(tmp_path / "customer.html")], "records": 1}
    assert shell.json("export", "someone@contoso.com", "--output", str(file)) == (0, told)


def test_an_import_in_which_something_cannot_be_read_is_a_finding(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "leads.csv"
    noise = "".join(f",{'x' * 100_000}" for _ in range(3))
    file.write_text(f"Email,Offer,a,b,c\na@example.com,Planner\n,Planner\nb@example.com,Planner{noise}\n")
    code, out = shell.run("import", str(file))
    assert code == 1
    assert "1 unreadable" in out
    assert "no contact data" in out
    assert "<>" not in out
    assert shell.run("import", str(file), "--yes")[0] == 1


def test_bytes_that_are_no_text_are_shown_as_base64(shell: Shell) -> None:
    intake.quarantine(shell.w.app, b"\xff\xfe\x00\xd8", Via.HTTPS, "a reason", shell.w.now)
    (entry,) = quarantine.entries(shell.w.app)
    assert "//4A2A==" in shell.run("show", entry.name)[1]
    assert shell.json("show", entry.name)[1]["raw_base64"] == "//4A2A=="


def test_a_large_quarantine_is_listed_once_for_a_replay_of_all_and_a_day_of_it_for_a_list(shell: Shell) -> None:
    for day, count in ((30, 450), (1, 3)):
        for number in range(count):
            at = shell.w.now - timedelta(days=day, minutes=number)
            shell.w.app.ledger.change(f"quarantine:{at:%Y-%m-%d}", at)
            shell.w.store.put_blob(QUARANTINE, f"{at:%Y/%m/%d}/{number:064x}.bin", b"x", {"at": time_text(at)})
    looked, blobs = [], shell.w.store.blobs

    def listing(container: str, prefix: str, start: str = "") -> Iterator[tuple[str, Mapping[str, str]]]:
        for blob in blobs(container, prefix, start):
            looked.append(blob[0])
            yield blob

    shell.w.store.blobs = listing  # type: ignore[method-assign]
    listed = shell.json("list", "--quarantined", "--limit", "2")[1]
    assert ([entry["name"][-5] for entry in listed["entries"]], listed["more"]) == (["0", "1"], True)
    assert len(looked) == 3, "only the newest day that has any is read"
    looked.clear()
    assert len({entry["name"] for entry in shell.json("replay", "--quarantined")[1]["would_replay"]}) == 453
    assert len(looked) < 453 + 10, "each is listed once, and one more behind every stretch"


def test_replay_by_id_and_by_filters(shell: Shell) -> None:
    shell.w.places["crm"].failures = [failing(Rejected), failing(Rejected)]
    first = accept(shell, offerTitle="one")
    second = accept(shell, offerTitle="two")
    shell.w.drain()
    code, out = shell.run("replay", first)
    assert (code, out) == (0, "1 delivery is on the way again.\n")
    code, out = shell.run("replay", "--dead")
    assert code == 0
    assert "1 lead: 1 to crm" in out
    assert "--yes" in out
    assert shell.json("replay", "--dead")[1] == {"would_replay": [{"id": second, "destination": "crm"}]}
    code, answered = shell.json("replay", "--dead", "--destination", "crm", "--yes")
    assert code == 0
    assert answered["opened"] == 1
    assert shell.json("replay", "--dead", "--yes")[1]["opened"] == 0
    shell.w.drain()
    assert [row.values["state"] for row in shell.w.store.tables["leads"].values() if ":" in row.key] == [
        "delivered"
    ] * 4


def test_replay_to_a_destination_leaves_out_what_arrived_there(shell: Shell) -> None:
    shell.w.places["crm"].failures = [failing(Rejected)]
    accept(shell, offerTitle="one")
    accept(shell, offerTitle="two")
    shell.w.drain()
    assert shell.json("replay", "--destination", "crm", "--yes")[1]["opened"] == 1
    assert shell.json("replay", "--destination", "mail", "--yes")[1]["opened"] == 0
    assert shell.json("replay", "--destination", "mail", "--delivered", "--yes")[1]["opened"] == 2


def test_what_waits_is_hurried(shell: Shell) -> None:
    shell.w.places["crm"].failures = [failing(Misconfigured)]
    accept(shell)
    shell.w.drain()
    assert shell.json("replay", "--open", "--destination", "crm", "--yes")[1]["opened"] == 1
    shell.w.drain()
    assert shell.w.states() == {"crm": "delivered", "mail": "delivered"}


def test_leads_go_to_a_destination_that_was_added(shell: Shell) -> None:
    accept(shell)
    shell.w.drain()
    w = shell.w
    object.__setattr__(w.app.settings, "destinations", ("crm", "mail", "console"))
    assert shell.json("replay", "--destination", "console", "--yes")[1]["opened"] == 1
    assert shell.run("replay", "--destination", "nowhere", "--yes")[0] == 1
    assert "LEADS_DESTINATIONS" in shell.err


def test_a_test_lead_is_followed_to_its_end(shell: Shell) -> None:
    code, out = shell.run("send-test")
    assert code == 0
    assert "crm: skipped" in out
    assert "LEADS_TEST_LEADS" in out
    code, story = shell.json("send-test", "--step", "contact-me", "--email", "ada@example.com")
    assert code == 0
    assert story["lead"]["contact"]["email"] == "ada@example.com"
    assert {delivery["state"] for delivery in story["deliveries"]} == {"delivered"}


def test_a_test_lead_that_fails_is_a_finding_with_its_reason(shell: Shell) -> None:
    shell.w.places["crm"].always = failing(Rejected)
    code, out = shell.run("send-test", "--step", "create")
    assert code == 1
    assert "crm: dead  rejected: It did not work. Correct it." in out
    shell.w.places["crm"].always = failing(Transient)
    code, _ = shell.run("send-test", "--step", "create", "--wait", "3")
    assert code == 1
    assert "Not finished after 3 seconds: crm." in shell.err


@pytest.mark.parametrize(
    ("step", "stage"),
    [
        ("contact-me", Stage.ACTIVE),
        ("get-it-now", Stage.INITIAL_INTEREST),
        ("create", Stage.ACTIVE),
        ("test-drive", Stage.TRIAL),
        ("dnc", Stage.DO_NOT_CONTACT),
        ("", Stage.INITIAL_INTEREST),
    ],
)
def test_each_step_is_what_the_marketplace_would_send(step: str, stage: Stage) -> None:
    with world() as w:
        ids = {intake.receive(w.app, sample.body(step, "", w.now), w.now).id for _ in range(2)}
        assert len(ids) == 2
        case = w.app.ledger.case(ids.pop())
    assert case
    assert case.lead.stage == stage
    assert case.lead.issues == ()
    assert case.lead.is_test == (step == "")


def test_forgetting_asks_first_and_tells_what_is_left_to_do(shell: Shell) -> None:
    lead_id = accept(shell)
    shell.w.drain()
    code, out = shell.run("forget", "someone@contoso.com")
    assert code == 0
    assert "1 lead, and 0 entries" in out
    assert shell.w.ids() == [lead_id]
    code, out = shell.run("forget", "SOMEONE@contoso.com", "--yes")
    assert code == 0
    assert f"crm: remote-{lead_id[-16:]}" in out
    assert shell.w.ids() == []
    code, out = shell.run("show", lead_id)
    assert "forgotten" in out


def test_export_is_all_that_is_kept_as_json(shell: Shell, tmp_path: Path) -> None:
    accept(shell)
    other = accept(shell, userDetails={"email": "ada@example.com"}, description="Ask someone@contoso.com.")
    with pytest.raises(intake.NotALead):
        intake.receive(shell.w.app, b"someone@contoso.com", shell.w.now)
    code, out = shell.run("export", "someone@contoso.com")
    assert other not in out
    assert "1 lead or row of others" in shell.err
    assert code == 0
    content = json.loads(out)
    assert len(content["records"]) == 2
    assert content["records"][1]["who"]["phone"] == "+16175555555"
    file = tmp_path / "out.json"
    file.touch(0o644)
    assert shell.run("export", "someone@contoso.com", "--output", str(file))[0] == 0
    assert json.loads(file.read_text())["records"] == content["records"]
    page = tmp_path / "out.html"
    assert "+16175555555" in page.read_text()
    assert {oct(each.stat().st_mode & 0o777) for each in (file, page)} == {"0o600"}, "for nobody else, also if it was"


def test_nothing_found_says_what_was_searched(shell: Shell) -> None:
    accept(shell)
    with pytest.raises(intake.NotALead):
        intake.receive(shell.w.app, b"junk", shell.w.now)
    shell.w.inbox.tables["MarketplaceLeads"] = [row("a", shell.w.now), row("b", shell.w.now)]
    for command in (["forget", "ada@example.com", "--yes"], ["export", "ada@example.com"]):
        assert shell.run(*command)[0] == 1
        assert "Nothing is kept of this customer. Looked at 1 entries of the quarantine" in shell.err
        assert "1 leads, 2 rows of the inbox table MarketplaceLeads" in shell.err


@pytest.mark.parametrize("command", [["forget", "--yes"], ["export"]])
def test_a_mistyped_address_is_wrong_use(shell: Shell, command: list[str]) -> None:
    accept(shell)
    code, out = shell.run(command[0], "someone@contoso,com", *command[1:])
    assert (code, out) == (2, "")
    assert "Give an e-mail address, a lead id" in shell.err
    assert len(shell.w.ids()) == 1


@pytest.mark.parametrize("letter", ["\x9b", "\x1b", "\x7f", "\u202e", "\u2066", "\u200e", "\ud83d"])
def test_json_moves_no_terminal_either(shell: Shell, letter: str) -> None:
    words = f"a{letter}31mb"
    lead_id = accept(shell, description=words, odd={letter: words})
    for command in (["show", lead_id, "--json"], ["export", "someone@contoso.com"], ["list", "--reveal", "--json"]):
        _, out = shell.run(*command)
        assert letter not in out
        json.loads(out)
    raw = json.loads(shell.json("show", lead_id)[1]["raw"])
    assert raw["odd"] == {letter: words}, "and nothing is lost"


# --- Discarding ------------------------------------------------------------------------------------------------------


def junk(shell: Shell, *bodies: bytes) -> list[str]:
    for body in bodies:
        with pytest.raises(intake.NotALead):
            intake.receive(shell.w.app, body, shell.w.now)
    return [each.name for each in quarantine.entries(shell.w.app)]


def test_the_quarantine_is_discarded_after_showing_what_is_in_it(shell: Shell) -> None:
    lead_id = accept(shell)
    junk(shell, b"junk 1", b"junk 2", b"[]", b"x" * 300_000)
    row_of_ours = f"{'a' * 16}"
    intake.quarantine(shell.w.app, b"{}", Via.TABLE, "could not be read: KeyError", shell.w.now, event=row_of_ours)
    shell.w.forward(minutes=1)
    code, out = shell.run("discard", "--quarantined")
    assert code == 0
    assert "2  The body is not JSON." in out
    assert "1  too large" in out
    assert "4 entries, 300014 bytes".replace("300014", "300,014") in out
    assert "1 entry stays: a row or a lead" in out
    assert len(junk(shell)) == 5, "it asks first"
    assert shell.json("discard", "--quarantined", "--reason", "not JSON", "--yes")[1]["discarded"] == 2
    assert shell.json("discard", "--quarantined", "--yes")[1]["discarded"] == 2
    (left,) = quarantine.entries(shell.w.app)
    assert left.event == row_of_ours
    assert shell.w.ids() == [lead_id]


def test_what_comes_after_the_question_is_not_discarded_unseen(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    junk(shell, b"junk 1")
    shell.w.forward(minutes=1)

    def asked(*_: Any, **__: Any) -> bool:
        shell.w.forward(minutes=1)
        junk(shell, b"a lead of somebody, with a comma missing")
        return True

    monkeypatch.setattr(Screen, "confirmed", asked)
    assert shell.run("discard", "--quarantined")[0] == 0
    assert [each.size for each in quarantine.entries(shell.w.app)] == [40]


def test_since_is_heeded(shell: Shell) -> None:
    junk(shell, b"early")
    shell.w.forward(days=2)
    junk(shell, b"late")
    shell.w.forward(minutes=1)
    since = (shell.w.now - timedelta(hours=1)).isoformat()
    assert shell.json("discard", "--quarantined", "--since", since, "--yes")[1]["discarded"] == 1
    assert len(junk(shell)) == 1


def test_thousands_are_discarded_in_calls_of_bounded_length(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    junk(shell, *(f"junk {number}".encode() for number in range(30)))
    shell.w.forward(minutes=1)
    monkeypatch.setattr(discard, "SECONDS", 0)
    assert shell.json("discard", "--quarantined", "--yes")[1]["discarded"] == 30
    assert junk(shell) == []


def test_leads_are_discarded_by_filter_after_showing_them(shell: Shell, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    robots = [accept(shell, offerTitle="Robot", description=str(number)) for number in range(3)]
    kept = accept(shell, offerTitle="Planner")
    code, out = shell.run("discard", "--offer", "robot")
    assert code == 0
    assert all(each in out for each in robots)
    assert kept not in out
    assert "someone@" not in out
    assert len(shell.w.ids()) == 4
    assert shell.run("discard", "--offer", "robot", "--yes")[0] == 0
    assert shell.w.ids() == [kept]
    assert done(caplog)[-1][:3] == ("discard", "", 3)


def test_leads_and_entries_are_discarded_by_name(shell: Shell) -> None:
    (name,) = junk(shell, b"junk")
    lead_id = accept(shell)
    code, out = shell.run("discard", name, lead_id, "0" * 16, "--yes")
    assert code == 1
    assert "2 of 3 are gone." in out
    assert "There is nothing with the id 0000000000000000." in shell.err
    assert (shell.w.ids(), junk(shell)) == ([], [])


@pytest.mark.parametrize(
    "arguments", [[], ["--yes"], ["0" * 16, "--dead"], ["someone@contoso.com", "--yes"], ["x", "--yes"]]
)
def test_discarding_everything_or_a_whole_customer_is_wrong_use(shell: Shell, arguments: list[str]) -> None:
    accept(shell)
    assert shell.run("discard", *arguments)[0] == 2
    assert len(shell.w.ids()) == 1


def done(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, int, str]]:
    """What the log says that operators did."""
    logged = [json.loads(record.getMessage()) for record in caplog.records if record.name == "leads"]
    return [
        (each["operation"], each["lead"], each["count"], each["operator"])
        for each in logged
        if each["event"] == "operation_done"
    ]


def test_who_looked_at_personal_data_is_logged(shell: Shell, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    lead_id = accept(shell)
    shell.run("list")
    shell.run("list", "--quarantined")
    assert done(caplog) == [], "what is masked can be looked at by anybody"
    for command in (["list", "--reveal"], ["show", lead_id], ["show", "0" * 16]):
        shell.run(*command)
    assert done(caplog) == [("list", "", 1, ""), ("show", lead_id, 1, "")]
    assert "someone@" not in caplog.text


def test_the_operators_name_travels_in_a_header(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setenv("LEADS_OPS_KEY", KEY)
    with world() as w:
        monkeypatch.setattr(transport, "request", lambda method, url, **asked: answer(w, method, url, **asked))
        lead_id = intake.receive(w.app, post(), w.now).id
        cli.main(["--url", APP, "--operator", "李明\r\nX: y", "show", lead_id])
        monkeypatch.setenv("LEADS_OPERATOR", "Grace Hopper")
        cli.main(["--url", APP, "show", lead_id])
    assert [name for *_, name in done(caplog)] == ["李明 X: y", "Grace Hopper"]


def test_everybody_is_signed_out(shell: Shell) -> None:
    one = session.begin(shell.w.app, shell.w.now)
    code, out = shell.run("sign-out-all")
    assert (code, "--yes" in out) == (0, True)
    assert session.begin(shell.w.app, shell.w.now).key == one.key, "it asks first"
    assert shell.run("sign-out-all", "--yes")[0] == 0
    assert session.begin(shell.w.app, shell.w.now).key != one.key


MASKED = {"check", "checks", "health", "offers", "quarantine", "route", "select"}
"""Operations that show nothing personal and change nothing."""


def test_every_operation_is_logged_or_harmless() -> None:
    assert audit.COUNTS.keys() | MASKED == operations.OPERATIONS.keys()


def test_check_route_says_where_a_lead_would_go_and_why(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "lead.json"
    file.write_bytes(post())

    def routed(text: str) -> None:
        shell.w.app.settings = replace(shell.w.app.settings, routes=text)
        shell.w.restart()

    routed("country=DE > crm; > mail")
    code, out = shell.run("check", "--route", str(file))
    assert (code, out.splitlines()[-1]) == (0, "goes to mail (route 2)")
    assert "does not match: country=DE" in out
    assert shell.json("check", "--route", str(file)) == (
        0,
        {
            "destinations": ["mail"],
            "route": 2,
            "routes": [
                {"route": 1, "text": "country=DE > crm", "matched": False, "condition": "country=DE"},
                {"route": 2, "text": "> mail", "matched": True, "condition": None},
            ],
            "problems": [],
        },
    )
    lead_id = accept(shell)
    assert shell.json("check", "--route", lead_id)[1]["route"] == 2
    routed("country=DE, AT > nowhere")
    code, told = shell.json("check", "--route", lead_id)
    assert code == 1
    assert told["destinations"] == ["crm", "mail"], "there never were readable ones"
    assert {problem["setting"] for problem in told["problems"]} == {"LEADS_ROUTES"}


def test_import_previews_then_takes(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    rows = [f"person{n}@example.com,Contoso Planner,2026-11-0{1 + n % 9},x" for n in range(105)]
    file.write_text("\n".join(["Contact email,Solution,Created date,Size", *rows]))
    code, out = shell.run("import", str(file))
    assert code == 0
    assert "105 new" in out
    assert "Size" in out
    assert "--yes" in out
    assert shell.w.ids() == []
    code, answered = shell.json("import", str(file), "--yes")
    assert (code, answered["imported"]) == (0, 105)
    assert len(shell.w.ids()) == 105
    assert shell.json("import", str(file), "--yes")[1]["imported"] == 0


def test_the_preview_of_an_import_counts_what_never_came(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "referrals.csv"
    head = "Referral ID,Contact e-mail,Solution,Created Date\n"
    file.write_text(f"{head}R-1,a@example.com,Planner,2026-03-04\nR-2,b@example.com,Planner,2026-04-04\n")
    code, out = shell.run("import", str(file))
    assert code == 0
    assert "never came by itself:    1  2026-W10  Planner" in out
    code, found = shell.json("import", str(file))
    assert found["never_came"] == [
        {"offer": "Planner", "week": "2026-W10", "count": 1},
        {"offer": "Planner", "week": "2026-W14", "count": 1},
    ]


def test_import_of_a_table_brings_old_rows_in(shell: Shell) -> None:
    shell.w.inbox.tables["MarketplaceLeads"] = [row("old", shell.w.now - timedelta(days=50))]
    shell.w.live(minutes=6)
    assert "1 backfilled" in shell.run("import", "--table", "MarketplaceLeads")[1]
    code, out = shell.run("import", "--table", "MarketplaceLeads", "--yes")
    assert code == 0
    assert "1 row came in." in out
    assert shell.json("import", "--table", "MarketplaceLeads", "--yes")[1]["rows"] == {"accepted": 1}
    assert shell.run("import", "--table", "leads", "--yes")[0] == 2, "one of our own"
    assert "LEADS_INBOX_TABLES" in shell.err
    del shell.w.inbox.tables["MarketplaceLeads"]
    assert "no row" in shell.run("import", "--table", "MarketplaceLeads")[1]


def test_check_tells_each_finding_and_its_remedy(shell: Shell) -> None:
    shell.w.live(minutes=6)
    code, out = shell.run("check")
    assert (code, "All is well." in out) == (0, True)
    shell.w.places["crm"].problems = (("CRM_URL", "It is not set.", "Set it."),)
    code, out = shell.run("check")
    assert code == 1
    assert "CRM_URL" in out
    assert "→ Set it." in out
    code, answered = shell.json("check")
    assert code == 1
    assert answered["ok"] is False
    keys = {"part", "name", "ok", "cause", "remedy", "seconds", "waits_for"}
    assert all(keys == set(result) for result in answered["results"])
    assert answered["first"] == {"part": "settings", "name": "CRM_URL", "remedy": "Set it."}


def test_check_says_a_fault_once_and_what_to_begin_with(shell: Shell) -> None:
    shell.w.live(minutes=6)
    shell.w.app.settings = replace(shell.w.app.settings, destinations=("crm", "emial"))
    code, out = shell.run("check")
    assert code == 1
    assert "Did you mean `email`?" in out
    assert out.count("FAIL") == 1
    assert re.search(r"-\s+emial\s+not asked: LEADS_DESTINATIONS first", out)
    assert "1 of 11 needs attention, 1 not asked.\nBegin with LEADS_DESTINATIONS: Did you mean `email`?" in out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["list", "--since", "yesterday"],
        ["list", "--limit", "0"],
        ["list", "--limit", "100000"],
        ["list", "--open", "--dead"],
        ["send-test", "--step", "dance"],
        ["show"],
        ["replay"],
        ["list", "--customer"],
        ["list", "--customer", ""],
        ["list", "--customer", "Ada"],
        ["replay", "--dead", "--customer", " ", "--yes"],
        ["replay", "--dead", "--offer", "", "--yes"],
        ["completion", "tcsh"],
        ["import"],
        ["import", "no-such-file.csv"],
        ["import", "file.csv", "--table", "Name"],
        ["--url", "http://contoso.azurewebsites.net", "list"],
        ["--url", "https://", "list"],
        ["--url", "https://[", "list"],
    ],
)
def test_wrong_use_is_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = cli.main(arguments)
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert capsys.readouterr().err


def test_a_file_that_is_no_table_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.csv"
    file.write_text("nothing,known\n1,2\n")
    assert cli.main(["import", str(file)]) == 2
    assert "headers" in capsys.readouterr().err


def test_the_key_never_goes_over_plain_http_nor_into_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Mapping[str, str]]] = []

    def request(_: str, url: str, *, headers: Mapping[str, str], **__: Any) -> Response:
        asked.append((url, headers))
        return Response(200, {}, b"{}")

    monkeypatch.setattr(transport, "request", request)
    Remote(f"{APP}/api/leads?code=pasted", KEY)("health", {})
    Remote("contoso.azurewebsites.net", KEY)("health", {})
    Remote("http://localhost:7071", "")("health", {})
    assert [url for url, _ in asked] == [
        f"{APP}/api/ops/api/health",
        f"{APP}/api/ops/api/health",
        "http://localhost:7071/api/ops/api/health",
    ]
    assert [headers.get("x-functions-key") for _, headers in asked] == [KEY, KEY, None]
    assert all(headers["X-Leads-Request"] == "1" for _, headers in asked)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b"", "LEADS_OPS_KEY"),
        (403, b"<html>", "LEADS_OPS_KEY"),
        (404, b"", "same version"),
        (409, b'{"detail": "Broken.", "remedy": "Correct it."}', "Broken"),
        (400, b'{"detail": "Wrong."}', "Wrong"),
        (500, b"", "answered 500"),
        (200, b"[]", "answered 200"),
        (302, b"", "answered 302"),
    ],
)
def test_every_answer_of_a_deployed_app_is_explained(
    status: int, body: bytes, error: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(transport, "request", lambda *_, **__: Response(status, {}, body))
    code = cli.main(["--url", APP, "--key", "wrong", "list"])
    assert code == (2 if status == 400 else 1)
    assert error in capsys.readouterr().err


def request(method: str = "POST", path: str = "api/list", body: bytes = b"{}", **headers: str) -> func.HttpRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return func.HttpRequest(method, f"{APP}/api/ops/{path}", headers=named, route_params={"path": path}, body=body)


def test_the_api_is_not_for_other_sites_nor_for_get() -> None:
    with world() as w:
        cases = [
            (request(), 403),
            (request(x_leads_request="2"), 403),
            (request("GET", x_leads_request="1"), 405),
            (request(x_leads_request="1", path="api/nothing"), 404),
            (request(x_leads_request="1", path="api"), 404),
            (request(x_leads_request="1", body=b"[]"), 400),
            (request(x_leads_request="1", body=b"{"), 400),
            (request(x_leads_request="1", body=b'{"limit": "many"}'), 400),
            (request(x_leads_request="1", body=b"[" * 100_000), 400),
            (request(x_leads_request="1", body=b""), 200),
        ]
        for asked, status in cases:
            answered = api.answer(w.app, asked, w.now)
            assert answered is not None
            assert answered.status_code == status
            assert answered.headers["Cache-Control"] == "no-store"
        assert api.answer(w.app, request(path=""), w.now) is None
        assert api.answer(w.app, request(path="leads/x"), w.now) is None


def test_a_failure_within_the_api_quotes_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("someone@contoso.com")

    def refused(*_: Any, **__: Any) -> None:
        raise Misconfigured("A cause.", "A remedy.")

    with world() as w:
        monkeypatch.setattr(listing, "listing", broken)
        answered = api.answer(w.app, request(x_leads_request="1"), w.now)
        monkeypatch.setattr(listing, "listing", refused)
        mended = api.answer(w.app, request(x_leads_request="1"), w.now)
    assert answered is not None
    assert answered.status_code == 503
    assert b"someone" not in answered.get_body()
    assert "someone" not in caplog.text
    assert mended is not None
    assert json.loads(mended.get_body())["remedy"] == "A remedy."


@pytest.mark.parametrize("letter", ["\x01", "ä", "\U0001f600", "a"])
def test_no_answer_is_larger_than_what_the_command_reads(letter: str) -> None:
    long = letter * (200_000 // (len(json.dumps(letter, ensure_ascii=False).encode()) - 2))
    person = dict.fromkeys(("firstName", "lastName", "company", "title"), long[:8000])
    with world() as w:
        for number in range(operations.LIST_LIMIT + 60):
            who = (person if number % 10 == 0 else {}) | {"email": "a@example.com"}
            body = json.dumps({"userDetails": who, "offerTitle": f"{number}{long[:8000]}"}, ensure_ascii=False)
            intake.receive(w.app, body.encode(), w.now)
        last = intake.receive(w.app, json.dumps({"description": long, "n": 1}, ensure_ascii=False).encode(), w.now).id
        intake.quarantine(w.app, letter.encode() * 60_000, Via.HTTPS, "a reason", w.now)
        (entry,) = quarantine.entries(w.app)
        listed = [
            summary.lead.id for summary in listing.listing(w.app, now=w.now, customer="a@example.com", limit=1).leads
        ]
        for name, arguments in (
            ("list", {"limit": operations.LIST_LIMIT, "reveal": True}),
            ("show", {"id": last}),
            ("show", {"id": listed[0]}),
            ("show", {"id": entry.name}),
            ("export", {"who": "a@example.com"}),
            ("export", {"who": entry.name}),
            ("export", {"who": last}),
        ):
            asked = request(x_leads_request="1", path=f"api/{name}", body=json.dumps(arguments).encode())
            answered = api.answer(w.app, asked, w.now)
            assert answered is not None
            assert answered.status_code == 200
            assert len(answered.get_body()) < transport.BODY_LIMIT, (name, arguments)


ARGUMENTS = st.dictionaries(
    st.sampled_from(["id", "name", "state", "since", "limit", "who", "records", "table", "token", "step", "part", "x"]),
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.text(max_size=3), max_size=2),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(set(operations.OPERATIONS) - {"check"})), ARGUMENTS)
def test_whatever_is_asked_of_the_api_it_answers_in_json(name: str, arguments: dict[str, Any]) -> None:
    with world() as w:
        intake.receive(w.app, post(), w.now)
        asked = request(x_leads_request="1", path=f"api/{name}", body=json.dumps(arguments).encode())
        answered = api.answer(w.app, asked, w.now)
        assert answered is not None
        assert answered.status_code in (200, 400, 409)
        json.loads(answered.get_body())


@pytest.mark.parametrize(
    ("status", "told"), [(202, ""), (401, "?code="), (403, "access"), (404, "/api/leads"), (500, "health")]
)
def test_a_test_lead_by_the_address_of_partner_center(
    status: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with world() as w:

        def request(method: str, url: str, *, data: bytes, **_: Any) -> Response:
            assert (method, url) == ("POST", f"{APP}/api/leads?code=secret-code")
            if status != 202:
                return Response(status, {}, b"")
            return Response(202, {}, json.dumps({"id": intake.receive(w.app, data, w.now).id}).encode())

        monkeypatch.setattr(order, "request", request)
        monkeypatch.setattr(order, "pause", lambda _: w.drain())
        monkeypatch.setattr(cli, "caller", lambda *_: lambda name, given: operations.perform(w.app, name, given, w.now))
        code = cli.main(["send-test", "--address", f"{APP}/api/leads?code=secret-code"])
        said = capsys.readouterr()
    assert code == (0 if status == 202 else 1)
    assert told in said.err
    assert "secret-code" not in said.out + said.err


def test_an_argument_that_is_no_text_does_not_break_the_answer() -> None:
    """What leaves the function is logged by the host, with its text."""
    headers = {api.HEADER.lower(): "1"}
    asked = func.HttpRequest(
        "POST", APP, headers=headers, route_params={"path": "api/replay"}, body=b'{"id": "\\ud800"}'
    )
    with world() as w:
        answered = api.answer(w.app, asked, w.now)
    assert answered is not None
    assert answered.status_code == 200
    assert json.loads(answered.get_body())["known"] is False


def test_settings_come_from_the_environment_then_from_what_runs_then_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": {"A": "file", "B": "file", "C": "file"}}))
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local/settings.json").write_text(
        json.dumps({"Values": {"A": "run", "B": "run", "REQUESTS_CA_BUNDLE": "run", "SSL_CERT_FILE": "run"}})
    )
    (tmp_path / ".local/run.lock").touch()
    assert cli.environment({"A": "env"}, tmp_path) == {"A": "env", "B": "file", "C": "file"}, "nothing runs"
    with (tmp_path / ".local/run.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = {"A": "env", "B": "run", "C": "file", "REQUESTS_CA_BUNDLE": "run", "SSL_CERT_FILE": "run"}
        shell = {"A": "env", "REQUESTS_CA_BUNDLE": "env", "SSL_CERT_FILE": "env"}
        assert cli.environment(shell, tmp_path) == running, "the stand-ins' certificates, by HTTPS and by SMTP"
    (tmp_path / "local.settings.json").write_text("[]")
    with pytest.raises(cli.SettingsFile, match=r"local\.settings\.json"):
        cli.environment({}, tmp_path)


def test_what_runs_in_another_folder_is_found_there(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "settings.json").write_text(json.dumps({"Values": {"A": "run"}}))
    with (elsewhere / "run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        given = {"LOCAL_DIR": str(elsewhere)}
        assert cli.environment(given, tmp_path) == {"A": "run", **given}


def test_a_time_before_all_times_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["list", "--since", "0001-01-01T00:00+14:00"])
    assert ended.value.code == 2
    assert "give 30m" in capsys.readouterr().err
    with world() as w, pytest.raises(operations.WrongUse, match="ISO 8601"):
        operations.perform(w.app, "list", {"since": "0001-01-01T00:00+14:00"}, w.now)


def test_times_are_given_as_people_do() -> None:
    assert cli.past("2026-11-21") == datetime(2026, 11, 21, tzinfo=UTC)
    assert cli.past("2026-11-21T12:00:00+02:00") == datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert timedelta(days=6, hours=23) < datetime.now(UTC) - cli.past("7d") < timedelta(days=7, hours=1)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_color_and_progress_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal, plain = Terminal(), io.StringIO()
    assert "\033[31m" in Screen(out=terminal).state("dead")
    assert Screen(out=plain).state("dead") == "dead"
    assert list(Screen(out=terminal, err=terminal).progress([1, 2, 3], "things")) == [1, 2, 3]
    assert "3 of 3 things" in terminal.getvalue()
    assert "━" in terminal.getvalue()
    assert list(Screen(out=plain, err=plain).progress([1, 2, 3], "things")) == [1, 2, 3]
    assert plain.getvalue() == "", "what takes seconds is nothing to a log"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Screen(out=terminal).state("dead") == "dead"


def test_long_work_writes_a_line_into_a_log_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    at = iter(range(0, 1000, 4))
    monkeypatch.setattr(screen_module, "clock", lambda: next(at))
    log, terminal = io.StringIO(), Terminal()
    assert len(list(Screen(err=log).progress(range(10), "leads"))) == 10
    lines = log.getvalue().splitlines()
    assert 2 <= len(lines) <= 5
    assert all(re.fullmatch(r"\d+ of 10 leads", line) for line in lines)
    list(Screen(as_json=True, err=terminal).progress(range(10), "leads"))
    assert terminal.getvalue() == ""


def test_without_the_library_a_terminal_gets_the_lines_of_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    at = iter(range(0, 1000, 20))
    monkeypatch.setattr(screen_module, "clock", lambda: next(at))
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    terminal = Terminal()
    assert list(Screen(err=terminal).progress([1, 2], "leads")) == [1, 2]
    assert terminal.getvalue() == "1 of 2 leads\n2 of 2 leads\n"


def at_terminal(w: World, monkeypatch: pytest.MonkeyPatch, columns: int, *arguments: str) -> list[str]:
    """The lines of a list on a terminal of so many columns."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    options = cli.parser().parse_args(["list", *arguments])
    assert look.list_leads(partial(operations.perform, w.app, now=w.now), options, Screen(out=terminal)) == 0
    return terminal.getvalue().splitlines()


def test_a_list_takes_two_lines_a_lead_at_80_columns_and_one_on_a_wide_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with world(crm=FakeDestination(), mail=FakeDestination()) as w:
        w.places["crm"].failures = [failing(Rejected)]
        company = "株式会社コントソ・インターナショナル"
        changed = post(leadSource="SPZA", actionCode="PLT", userDetails={"company": company, "email": "a@b.com"})
        lead_id = intake.receive(w.app, changed, w.now).id
        w.drain()
        head, below, first, second, *_ = at_terminal(w, monkeypatch, 80)
        assert head.split() == ["ARRIVED", "(UTC)", "WHAT", "WHO", "OFFER"]
        assert below.split() == ["DESTINATIONS", "ID"]
        assert first.startswith(f"{w.now:%Y-%m-%d %H:%M}  Contact me ")
        assert "株式会社" in first
        assert "…" in first
        assert second.split() == ["crm", "dead,", "mail", "delivered", lead_id]
        assert all(screen_module.columns(line) <= 80 for line in at_terminal(w, monkeypatch, 80)[:-1])
        assert "a@b.com" in at_terminal(w, monkeypatch, 120, "--reveal")[2]
        head, only, *_ = at_terminal(w, monkeypatch, 160)
        assert head.split()[-2:] == ["DESTINATIONS", "ID"]
        assert only.endswith(lead_id)
        assert "Contact me" in only


def test_many_destinations_fold_where_they_would_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    places: Any = {f"place{number}": FakeDestination() for number in range(11)}
    with world(**places) as w:
        w.places["place3"].failures = [failing(Rejected)]
        intake.receive(w.app, post(), w.now)
        w.drain()
        line = at_terminal(w, monkeypatch, 80)[3]
        assert line.startswith("  place3 dead, 10 delivered ")


@given(st.text(max_size=60), st.integers(1, 40))
def test_a_cell_has_exactly_the_columns_that_it_has_to_have(text: str, width: int) -> None:
    assert screen_module.columns(screen_module.fitted(printable(text), width)) == width


@given(st.text())
def test_nothing_from_outside_moves_the_terminal(text: str) -> None:
    shown = printable(text) + "".join(block(text, "  "))
    assert all(letter.isprintable() for letter in shown)


def test_the_command_works_on_real_storage(azurite: str, tmp_path: Path) -> None:
    values = {"AzureWebJobsStorage": azurite, "LEADS_DESTINATIONS": "console"}
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": values}))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LEADS_", "AzureWebJobs"))}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "leads", *arguments],
            cwd=tmp_path,
            env=clean | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    sent = run("send-test", "--wait", "0")
    assert sent.returncode == 1
    lead_id = sent.stdout.split()[2]
    listed = run("list", "--json")
    assert listed.returncode == 0
    assert lead_id in [lead["id"] for lead in json.loads(listed.stdout)["leads"]]
    shown = run("show", lead_id)
    assert shown.returncode == 0
    assert "MSFT_TEST_" in shown.stdout
    assert "\033" not in shown.stdout


def test_without_storage_the_command_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        for name in list(os.environ):
            if name.startswith("AzureWebJobs"):
                patched.delenv(name)
        assert cli.main(["list"], tmp_path) == 1
        assert "AzureWebJobsStorage" in capsys.readouterr().err
        assert cli.main(["check"], tmp_path) == 1
        assert "FAIL" in capsys.readouterr().out


def commands() -> dict[str, argparse.ArgumentParser]:
    (found,) = (action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)


def options(command: argparse.ArgumentParser) -> set[str]:
    return {option for action in command._actions for option in action.option_strings}


def test_every_command_and_option_is_documented() -> None:
    text = (ROOT / "docs/cli.md").read_text("utf-8")
    for name, command in commands().items():
        assert re.search(rf"`{name}\b", text), name
        for option in options(command) - {"-h", "--help"}:
            assert option in text, f"{name} {option}"
    for name in operations.OPERATIONS:
        assert f"`{name}`" in text
    for step in sample.STEPS:
        assert step in text


def test_every_command_that_is_named_anywhere_can_be_given() -> None:
    """In the documentation, in remedies and alerts, in the templates: what an operator is told to type exists."""
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("leads/**/*.py"), *ROOT.glob("infra/**/*.*")]
    known = commands()
    seen = set()
    for path in [*files, *ROOT.glob("leads/**/templates/**/*.html")]:
        text = path.read_text("utf-8", "replace")
        for name, rest in re.findall(r"python -m leads ([a-z][a-z-]+)([^`\n#|,.;]*)", text):
            assert name in known, f"{path.name}: {name}"
            used = set(re.findall(r"(?<!\S)--[a-z-]+", rest))
            assert used <= options(known[name]), f"{path.name}: {name} {used}"
            seen.add(name)
    assert {"list", "show", "check", "replay", "import", "forget", "export", "send-test"} <= seen


def test_make_run_tells_the_command_its_settings_as_long_as_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dev import host, run

    monkeypatch.setattr(host, "LOCAL", tmp_path / ".local")
    hold = run.lock()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, hold)
        trusted = dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), "of-the-stand-in")
        run.share(dict(os.environ) | {"LEADS_DESTINATIONS": "console"} | trusted, stack)
        file = tmp_path / ".local/settings.json"
        assert file.stat().st_mode & 0o077 == 0
        found = cli.environment(dict.fromkeys(trusted, "mine") | {"LEADS_TEST_LEADS": "ignore"}, tmp_path)
        assert found["LEADS_DESTINATIONS"] == "console"
        assert {name: found[name] for name in trusted} == trusted
        assert found["LEADS_TEST_LEADS"] == "ignore"
        assert "PATH" not in json.loads(file.read_text())["Values"]
    assert not file.exists()


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    """A command pasted with the system's Python, which has nothing installed."""
    command = [sys.executable, "-S", "-m", "leads", "check", "--url", APP]
    environ = {"PYTHONPATH": str(ROOT), "LEADS_OPS_KEY": KEY}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(r"The package \w+ is not installed for this Python\.", done.stderr)
    assert "make install" in done.stderr
