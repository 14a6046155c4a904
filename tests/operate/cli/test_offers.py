"""The commands `offers` and `connect` as an operator sees them, over the app in memory and a stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dev.standins.partner_center import StandIn, dynamics, https, table
from leads import __main__ as cli
from leads import offers
from leads.errors import Misconfigured
from leads.intake import accept, watch
from leads.offers import Offer
from leads.operate import check, operations
from leads.operate.cli import azure
from leads.operate.cli import offers as commands
from tests.world import World, post, row, world

HOST = "contoso-leads.azurewebsites.net"
KEY = "bm90LWZvci1hbnlib2R5LWVsc2UtdG8tc2VlLW5vdC1ldmVuLW9uLXNjcmVlbg=="
FUNCTION_KEY = "k3y-of_receive-lead0123456789abcdefAzFu=="


class Shell:
    """Runs commands as an operator would, and remembers all that was shown."""

    def __init__(self, w: World, center: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
        self.w = w
        self.center = center
        self._capsys = capsys
        self.out = self.err = self.everything = ""

    def run(self, *arguments: str) -> int:
        code = cli.main(list(arguments))
        self.out, self.err = self._capsys.readouterr()
        self.everything += self.out + self.err
        return code

    def json(self, *arguments: str) -> tuple[int, Any]:
        code = self.run(*arguments, "--json")
        return code, json.loads(self.out)


@pytest.fixture
def shell(
    center: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Shell]:
    """An app that watches the account `leadsinbox`, reached without network; the Azure CLI knows every key."""
    monkeypatch.chdir(tmp_path)
    environ = {
        **center.environ(),
        "WEBSITE_HOSTNAME": HOST,
        "LEADS_INBOX__accountName": "leadsinbox",
        "PARTNER_CENTER_PUBLISHER": "contoso",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with world(environ=environ) as w:

        def call(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
            return operations.perform(w.app, name, json.loads(json.dumps(arguments)), w.now)

        monkeypatch.setattr(cli, "caller", lambda options, environ: call)
        monkeypatch.setattr(commands, "pause", lambda seconds: w.forward(seconds=seconds))
        monkeypatch.setattr(azure, "storage", lambda account: (KEY, f"https://{account}.table.core.windows.net/"))
        monkeypatch.setattr(azure, "function_key", lambda host: FUNCTION_KEY)
        yield Shell(w, center, capsys)


def kept(shell: Shell, offer_id: str) -> Offer:
    return next(offer for offer in offers.known(shell.w.app.ledger) if offer.offer_id == offer_id)


# offers


def test_every_verdict_with_its_words_and_exit_code(shell: Shell) -> None:
    add = shell.center.account.add
    add("planner", https(f"https://{HOST}/api/leads?code=SECRETKEY"), titles={"en-us": "Planner", "de-de": "Planer"})
    add("board", https("https://hooks.example/SECRETPATH?code=SECRETKEY"))
    add("draw", {"leadDestination": "none"})
    add("note", table("leadsinbox"))
    add("soon", live=False)
    add("gone", deprecated=True)
    code, found = shell.json("offers")
    assert code == 1
    assert [(one["offer_id"], one["verdict"]) for one in found["offers"]] == [
        ("planner", "this_app"),
        ("board", "elsewhere"),
        ("draw", "nowhere"),
        ("note", "cannot_be_compared"),
        ("soon", "never_published"),
        ("gone", "deprecated"),
    ]
    planner = found["offers"][0]
    assert (planner["id"], planner["titles"]) == ("contoso.planner", {"en-us": "Planner", "de-de": "Planer"})
    assert "virtual machines" in found["not_covered"]
    assert shell.run("offers") == 1
    for words in ("this app", "elsewhere", "nowhere", "cannot be compared", "never published", "deprecated"):
        assert words in shell.out
    assert "in de-de: Planer" in shell.out
    assert "6 offers, 2 need attention." in shell.out
    assert "SECRET" not in shell.everything
    assert not [call for call in shell.center.calls if call.method == "POST"]


@pytest.mark.parametrize(
    ("leads", "code"),
    [(https(f"https://{HOST}/api/leads?code=k"), 0), (table("leadsinbox"), 0), (dynamics(), 1)],
)
def test_only_a_finding_is_a_finding(shell: Shell, leads: dict[str, Any], code: int) -> None:
    shell.center.account.add("planner", leads)
    assert shell.run("offers") == code


def test_an_offer_that_cannot_be_read_says_why_and_hides_no_other(shell: Shell) -> None:
    for name in ("planner", "board"):
        shell.center.account.add(name, https(f"https://{HOST}/api/leads?code=k"))
    shell.center.fail(503, path="resource-tree")
    code, found = shell.json("offers")
    assert code == 1
    assert [one["verdict"] for one in found["offers"]] == ["could_not_be_read", "this_app"]
    assert "is not working" in found["offers"][0]["cause"]


def test_throttling_is_waited_out(shell: Shell) -> None:
    shell.center.account.add("planner", https(f"https://{HOST}/api/leads?code=k"))
    shell.center.fail(429, times=3, headers={"Retry-After": "20"})
    began = shell.w.now
    assert shell.run("offers") == 0
    assert (shell.w.now - began).total_seconds() == 60


def test_the_app_keeps_what_was_found_and_shows_its_last_lead(shell: Shell) -> None:
    shell.center.account.add("planner", table("leadsinbox"), titles={"en-us": "Contoso Planner"})
    shell.run("offers")
    assert "No lead of it ever came out of the table." in shell.out
    assert "Its last lead here: not known." in shell.out
    w = shell.w
    receipt = accept.receive(w.app, post(), w.now)
    case = w.app.ledger.case(receipt.id)
    assert case
    assert case.lead.offer == "contoso.planner"
    w.inbox.tables["MarketplaceLeads"] = [row("1", w.now, ProductId="contoso.planner")]
    watch.watch(w.app, w.now)
    w.drain()
    w.sweep()
    shell.run("offers")
    assert f"A lead of it came out of the table on {w.now:%Y-%m-%d %H:%M} UTC, after its last publication." in shell.out
    assert f"Its last lead here: {w.now:%Y-%m-%d %H:%M} UTC." in shell.out
    del shell.center.account.offers[0]
    shell.run("offers")
    assert offers.known(w.app.ledger) == ()


def test_without_the_app_it_still_tells_where_leads_go(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.center.account.add("planner", dynamics())

    def call(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        raise Misconfigured("The app refuses the key.", "Give the key in LEADS_OPS_KEY.")

    monkeypatch.setattr(cli, "caller", lambda options, environ: call)
    assert shell.run("offers") == 1
    assert "elsewhere" in shell.out
    assert "What the app knows of its leads is not shown: The app refuses the key." in shell.out
    assert shell.run("connect", "planner", "--yes") == 0


def test_an_address_given_is_this_app_where_nothing_else_says_it(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBSITE_HOSTNAME")
    shell.w.app.environ = {}
    shell.center.account.add("planner", https(f"https://{HOST}/api/leads?code=k"))
    assert shell.json("offers")[1]["offers"][0]["verdict"] == "cannot_be_compared"
    assert shell.json("offers", "--url", f"https://{HOST}/api/ops/?code=x")[1]["offers"][0]["verdict"] == "this_app"


@pytest.mark.parametrize(("name", "value"), [("PARTNER_CENTER_CLIENT_ID", "mine"), ("PARTNER_CENTER_TENANT_ID", "")])
def test_settings_that_are_wrong_are_named(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert shell.run("offers") == 2
    assert name in shell.err


def test_without_settings_it_says_what_to_set(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in shell.center.environ():
        if name.startswith("PARTNER_CENTER_"):
            monkeypatch.delenv(name)
    assert shell.run("offers") == 2
    assert "docs/connect.md" in shell.err


def test_a_wrong_secret_is_explained(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTNER_CENTER_CLIENT_SECRET", "wrong~secret")
    assert shell.run("offers") == 1
    assert "client secret is wrong" in shell.err
    assert "wrong~secret" not in shell.everything


def test_titles_do_nothing_to_a_terminal(shell: Shell) -> None:
    shell.center.account.add("planner", dynamics(), titles={"en-us": "Pl\x1b[31man\u202e\nner", "de": "x\x07"})
    shell.run("offers")
    assert not set(shell.out) & {"\x1b", "\u202e", "\x07"}


# connect


def test_connect_sets_the_draft_and_says_what_to_press(shell: Shell) -> None:
    planner = shell.center.account.add("planner", dynamics())
    assert shell.run("connect", "planner", "--yes") == 0
    assert "planner  Dynamics 365 (contoso.crm4.dynamics.com) → Azure Table (leadsinbox)" in shell.out
    assert "dynamicsLeadConfiguration is removed" in shell.out
    assert '"Review and publish"' in shell.out
    assert planner.leads["draft"] == table("leadsinbox", KEY)
    assert planner.leads["live"] == dynamics()
    assert kept(shell, "planner").connected_to == "Azure Table (leadsinbox)"
    shell.run("offers")
    assert "`connect` wrote Azure Table (leadsinbox) into its draft" in shell.out
    assert 'Press "Review and publish" there' in shell.out
    assert KEY not in shell.everything
    assert KEY not in str(shell.w.store.tables)


def test_by_https_it_takes_the_apps_address_and_the_functions_key(shell: Shell) -> None:
    planner = shell.center.account.add("planner", table("leadsinbox", contactEmail=["sales@contoso.com"]))
    assert shell.run("connect", "contoso.planner", "--by", "https", "--yes") == 0
    url = f"https://{HOST}/api/leads?code={FUNCTION_KEY.replace('=', '%3D')}"
    assert planner.leads["draft"] == https(url)
    assert FUNCTION_KEY[:12] not in shell.everything


def test_nothing_is_written_without_a_yes(shell: Shell) -> None:
    shell.center.account.add("planner", dynamics())
    code, found = shell.json("connect", "planner")
    assert code == 0
    assert [one["offer_id"] for one in found["would_connect"]] == ["planner"]
    assert not shell.center.account.jobs


def test_all_connects_what_goes_nowhere_and_lists_the_rest(shell: Shell) -> None:
    add = shell.center.account.add
    draw = add("draw")
    add("planner", https(f"https://{HOST}/api/leads?code=k"))
    add("board", dynamics())
    add("note", table("leadsinbox"))
    center = add("soon", live=False)
    shell.center.account.publish(add("busy"), done=False)
    code, found = shell.json("connect", "--all", "--yes")
    assert code == 0
    assert [one["offer_id"] for one in found["connected"]] == ["draw", "soon"]
    assert {one["offer_id"] for one in found["left_alone"]} == {"planner", "board", "note", "busy"}
    assert draw.leads["draft"] == center.leads["draft"] == table("leadsinbox", KEY)
    code, found = shell.json("connect", "--all", "--replace", "--yes")
    assert [one["offer_id"] for one in found["connected"]] == ["board"]


def test_one_that_is_refused_does_not_keep_the_others(shell: Shell) -> None:
    shell.center.account.publish(shell.center.account.add("busy"), done=False)
    shell.center.account.add("planner")
    shell.center.account.add("draw")
    shell.center.account.next_errors = [
        {"code": "conflict", "message": KEY, "details": [{"code": "invalidResource", "message": KEY}]}
    ]
    code, found = shell.json("connect", "busy", "planner", "draw", "--yes")
    assert code == 1
    assert [one["offer_id"] for one in found["connected"]] == ["draw"]
    assert [one["offer_id"] for one in found["failed"]] == ["busy", "planner"]
    assert "being published" in found["failed"][0]["cause"]
    assert "does not accept" in found["failed"][1]["cause"]
    assert kept(shell, "planner").connecting_since is None
    assert KEY not in shell.everything


def test_a_job_that_does_not_end_is_exit_1_and_offers_shows_it(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.center.account.add("planner")
    shell.center.account.slow = 10_000
    passed = [0.0]

    def pause(seconds: float) -> None:
        passed[0] += seconds

    monkeypatch.setattr(commands, "pause", pause)
    monkeypatch.setattr(commands, "clock", lambda: passed[0])
    assert shell.run("connect", "planner", "--yes") == 1
    assert "within ten minutes" in shell.err
    assert "`python -m leads offers`" in shell.err
    shell.run("offers")
    assert "did not learn how that ended" in shell.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Which offers?"),
        (("planner", "--all"), "Which offers?"),
        (("nobody",), "There is no offer 'nobody'"),
        (("planner", "--account", "My-Account"), "3 to 24 small letters"),
    ],
)
def test_wrong_use_is_2_and_writes_nothing(shell: Shell, arguments: tuple[str, ...], told: str) -> None:
    shell.center.account.add("planner")
    assert shell.run("connect", *arguments, "--yes") == 2
    assert told in shell.err
    assert not shell.center.account.jobs


def test_a_key_that_the_azure_cli_does_not_know_is_asked_for_without_an_echo(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = shell.center.account.add("planner")
    monkeypatch.setattr(azure, "storage", lambda account: ("", ""))
    assert shell.run("connect", "planner", "--yes") == 2
    assert "az login" in shell.err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt: KEY)
    assert shell.run("connect", "planner", "--account", "leadsinbox", "--yes") == 0
    assert planner.leads["draft"] == table("leadsinbox", KEY)
    assert KEY not in shell.everything


def test_an_account_that_this_app_does_not_watch_is_remarked(shell: Shell) -> None:
    shell.center.account.add("planner")
    assert shell.run("connect", "planner", "--account", "elsewhere", "--yes") == 0
    assert "This app does not watch elsewhere, but leadsinbox." in shell.err


# check, and the operations


def looked(shell: Shell) -> list[tuple[str, bool, str]]:
    found = check.look(shell.w.app, "partner center", datetime.now(UTC))
    return [(result.name, result.ok, result.cause) for result in found]


def test_check_says_whether_partner_center_lets_the_app_in(shell: Shell) -> None:
    assert "partner center" in check.parts(shell.w.app)
    shell.center.account.add("planner")
    assert looked(shell) == [("sign-in", True, "It lists 1 offer.")]
    shell.center.account.members.clear()
    ((_, ok, cause),) = looked(shell)
    assert not ok
    assert "does not let this app look" in cause


def test_check_leaves_partner_center_alone_without_settings() -> None:
    with world() as w:
        assert "partner center" not in check.parts(w.app)


def test_check_names_a_setting_of_partner_center_that_is_wrong() -> None:
    with world(environ={"PARTNER_CENTER_CLIENT_ID": "x", "PARTNER_CENTER_PUBLISHER": "a.b"}) as w:
        names = {result.name for result in check.look(w.app, "settings", w.now) if not result.ok}
        assert {"PARTNER_CENTER_CLIENT_ID", "PARTNER_CENTER_PUBLISHER"} <= names
        (signed_in,) = check.look(w.app, "partner center", w.now)
        assert {"PARTNER_CENTER_CLIENT_ID", "PARTNER_CENTER_PUBLISHER"} <= {
            *signed_in.waits_for,
            "PARTNER_CENTER_PUBLISHER",
        }
        assert not signed_in.failed


@pytest.mark.parametrize(
    "arguments",
    [
        {"offers": "x"},
        {"offers": [{"product": "../x"}]},
        {"offers": [{"product": "x", "titles": "{"}]},
        {"offers": [{"product": "x", "looked_at": "yesterday"}]},
        {"offers": [{}] * 2001},
    ],
)
def test_what_is_no_list_of_offers_is_wrong_use(shell: Shell, arguments: dict[str, Any]) -> None:
    with pytest.raises(operations.WrongUse):
        operations.perform(shell.w.app, "keep-offers", arguments, shell.w.now)
    assert offers.known(shell.w.app.ledger) == ()


def test_keeping_a_look_leaves_what_the_app_knows_itself(shell: Shell) -> None:
    shell.center.account.add("planner", dynamics())
    shell.run("offers")
    offers.keep(shell.w.app.ledger, kept_with(shell, alerted="elsewhere: x", publishers=("contoso",)))
    shell.run("offers")
    after = kept(shell, "planner")
    assert (after.alerted, after.publishers) == ("elsewhere: x", ("contoso",))


def kept_with(shell: Shell, **more: Any) -> Offer:
    from dataclasses import replace

    return replace(kept(shell, "planner"), **more)


@pytest.mark.parametrize("arguments", [{"product": "x", "mark": "lost"}, {"mark": "done"}, {"product": "x"}])
def test_a_mark_is_one_of_three(shell: Shell, arguments: dict[str, Any]) -> None:
    with pytest.raises(operations.WrongUse):
        operations.perform(shell.w.app, "mark-offer", arguments, shell.w.now)
