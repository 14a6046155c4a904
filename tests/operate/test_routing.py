"""Routes in the app: who gets a lead, why, and what a change of the routes does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from leads import problems, settings
from leads.contract import Kind
from leads.intake import accept
from leads.lead import Via
from leads.operate import operations, replay
from leads.operate.cli import look
from leads.operate.cli.screen import Screen
from leads.store.ledger import LEADS
from leads.store.protocol import Row
from tests.page import visitor
from tests.world import PERSON, FakeDestination, Pager, World, post, row, world

ROUTES = "+ > pager; country=DE,AT,CH > crm,mail:emea; offer=contoso* stage=active > mail:us; mark=own > none; > crm"


@contextmanager
def routed(text: str = ROUTES, **environ: str) -> Iterator[World]:
    names = "crm,mail:emea,mail:us,pager"
    with world(
        environ={"LEADS_DESTINATIONS": names, "LEADS_ROUTES": text, **environ},
        crm=FakeDestination(),
        mail=FakeDestination(Kind.NOTIFICATION),
        pager=FakeDestination(Kind.NOTIFICATION),
    ) as w:
        yield w


def person(**changes: str) -> dict[str, str]:
    return {**PERSON, **changes}


def change_routes(w: World, text: str) -> None:
    w.app.environ = {**w.app.environ, "LEADS_ROUTES": text}
    w.app.settings = settings.read(w.app.environ)
    w.restart()


@pytest.mark.parametrize(
    ("body", "gets"),
    [
        (post(userDetails=person(country="Germany")), {"pager", "crm", "mail:emea"}),
        (post(actionCode="PLT"), {"pager", "mail:us"}),
        (post(), {"pager", "crm"}),
        (post(userDetails=person(email="me@contoso.com")), {"pager"}),
    ],
)
def test_a_lead_goes_where_the_routes_say(body: bytes, gets: set[str]) -> None:
    with routed(LEADS_OWN_DOMAINS="contoso.com" if b"me@contoso.com" in body else "fabrikam.com") as w:
        accept.receive(w.app, body, w.now)
        w.live(minutes=10)
        assert w.states() == dict.fromkeys(gets, "delivered")
        assert not list(w.app.ledger.open_lines())


def test_the_screen_says_why() -> None:
    with routed() as w:
        receipt = accept.receive(w.app, post(userDetails=person(country="AT")), w.now)
        story = operations.perform(w.app, "show", {"id": receipt.id}, w.now)
        assert story["lead"]["route"] == "2: country=DE,AT,CH > crm,mail:emea"


def test_a_lead_that_goes_nowhere_is_closed_at_once_and_kept() -> None:
    with routed("> none") as w:
        receipt = accept.receive(w.app, post(), w.now)
        w.live(minutes=10)
        assert w.states() == {}
        assert not list(w.app.ledger.open_lines())
        (listed,) = operations.perform(w.app, "list", {}, w.now)["leads"]
        assert (listed["id"], listed["state"]) == (receipt.id, "skipped")
        assert operations.perform(w.app, "show", {"id": receipt.id}, w.now)["lead"]["route"] == "1: > none"


def test_while_a_route_cannot_be_read_the_last_readable_ones_count_and_it_is_told() -> None:
    with routed("country=US > mail:us; > crm") as w:
        w.sweep()
        change_routes(w, "country=DE, AT > nowhere")
        accept.receive(w.app, post(), w.now)
        assert set(w.states()) == {"mail:us"}
        found = problems.find(w.app.settings, w.app.environ, w.app.destinations)
        assert {problem.setting for problem in found.problems} == {"LEADS_ROUTES"}
        assert len(found.problems) >= 2, "all at once"


def test_a_reference_to_key_vault_that_is_not_resolved_sends_no_lead_elsewhere() -> None:
    with routed("country=DE > crm; > none") as w:
        w.sweep()
        change_routes(w, "@Microsoft.KeyVault(SecretUri=https://vault.example/secrets/routes)")
        w.restart()
        w.sweep()
        accept.receive(w.app, post(), w.now)
        w.live(minutes=10)
        assert w.states() == {}, "the last routes that could be read sent it nowhere"
        found = problems.find(w.app.settings, w.app.environ, w.app.destinations)
        (told,) = [problem for problem in found.problems if problem.setting == "LEADS_ROUTES"]
        assert "Key Vault" in told.cause


def test_where_there_never_were_readable_routes_everybody_gets_every_lead() -> None:
    with routed("country=DE, AT > nowhere") as w:
        accept.receive(w.app, post(), w.now)
        assert set(w.states()) == {"crm", "mail:emea", "mail:us", "pager"}


def test_decided_once_also_when_the_routes_change_on_the_way() -> None:
    with routed("> mail:us") as w:
        accept.receive(w.app, post(), w.now)
        change_routes(w, "> crm")
        w.live(minutes=10)
        assert w.states() == {"mail:us": "delivered"}


def test_every_screen_says_by_which_route(capsys: pytest.CaptureFixture[str]) -> None:
    with routed() as w:
        receipt = accept.receive(w.app, post(userDetails=person(country="Germany")), w.now)
        w.drain()
        change_routes(w, "> crm")
        decided = "2: country=DE,AT,CH > crm,mail:emea"
        assert f"Chosen by route {decided}" in visitor(w).open(f"leads/{receipt.id}").read
        story = operations.perform(w.app, "show", {"id": receipt.id}, w.now)
        assert story["lead"]["route"] == decided
        look._show_lead(story["lead"], Screen(as_json=False))
        assert f"route        {decided}" in capsys.readouterr().out


def test_check_route_explains_a_lead_of_either_way_in() -> None:
    with routed() as w:
        told = operations.perform(w.app, "route", {"text": post(actionCode="PLT").decode()}, w.now)
        assert told["destinations"] == ["mail:us", "pager"]
        assert told["route"] == 3
        assert [each["matched"] for each in told["routes"]] == [True, False, True]
        assert told["routes"][1] == {
            "route": 2,
            "text": "country=DE,AT,CH > crm,mail:emea",
            "matched": False,
            "condition": "country=DE,AT,CH",
        }
        assert told["problems"] == []
        given = {name: str(value) for name, value in row("a", w.now, ActionCode="PLT").items()}
        assert operations.perform(w.app, "route", {"text": json.dumps(given)}, w.now)["route"] == 3
        assert w.states() == {}, "nothing was sent or kept"
        with pytest.raises(operations.WrongUse, match="not a lead"):
            operations.perform(w.app, "route", {"text": "[]"}, w.now)


def test_a_replay_by_the_routes_adds_and_skips_and_repeats_nothing() -> None:
    with routed("> crm,mail:us") as w:
        w.places["mail"].always = OSError("never")
        receipt = accept.receive(w.app, post(), w.now)
        w.bell.waiting = [each for each in w.bell.waiting if each[2] == "crm"]
        w.drain()
        w.places["mail"].always = None
        change_routes(w, "> pager,crm")
        shown = operations.perform(w.app, "reroute", {"id": receipt.id}, w.now)
        assert shown == {"id": receipt.id, "known": True, "new": ["pager"], "dropped": ["mail:us"]}
        assert w.states() == {"crm": "delivered", "mail:us": "open"}, "only shown"
        operations.perform(w.app, "reroute", {"id": receipt.id, "yes": True}, w.now)
        w.live(minutes=45)
        assert w.states() == {"crm": "delivered", "mail:us": "skipped", "pager": "delivered"}
        assert len(w.places["crm"].got) == 1
        assert not list(w.app.ledger.open_lines())


def test_a_replay_to_where_a_lead_never_went_keeps_the_rules_of_the_kind() -> None:
    """No draft for a replayed lead (contract, `RULES`); people get an old one where an operator asks for it by name."""
    seller, pager = FakeDestination(Kind.CUSTOMER), Pager()
    with world(environ={"LEADS_ROUTES": "> crm"}, crm=FakeDestination(), pager=pager, follow_up=seller) as w:
        new = accept.receive(w.app, post(), w.now)
        body = post(userDetails=PERSON | {"email": "old@contoso.com"})
        old = accept.accept(
            w.app, ("0123456789abcdef", "2026/11/20/0123456789abcdef.json"), Via.HTTPS, body, w.now, old=True
        )
        w.live(minutes=10)
        change_routes(w, "> crm,pager,follow_up")
        for lead_id, found in ((new.id, ["pager"]), (old.id, [])):
            assert operations.perform(w.app, "reroute", {"id": lead_id}, w.now)["new"] == found
        replay.replay(w.app, new.id, "follow_up", w.now)
        replay.replay(w.app, old.id, "pager", w.now)
        w.drain()
        assert seller.got == []
        assert [lead.id for lead, _ in pager.got] == [old.id]


def test_a_sweep_at_the_same_time_never_closes_a_lead_that_the_routes_send_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with routed("> crm") as w:
        receipt = accept.receive(w.app, post(), w.now)
        w.live(minutes=10)
        assert w.app.ledger.open_line(receipt.id) is None
        change_routes(w, "> crm,pager")
        insert = w.store.insert

        def inserted(table: str, row: Row) -> str:
            if table == LEADS:  # the line is there, and all that the lead has is delivered
                w.sweep()
            return insert(table, row)

        monkeypatch.setattr(w.store, "insert", inserted)
        operations.perform(w.app, "reroute", {"id": receipt.id, "yes": True}, w.now)
        w.bell.waiting.clear()
        w.live(hours=2)
        assert w.states() == {"crm": "delivered", "pager": "delivered"}


def test_without_routes_nothing_is_looked_at() -> None:
    with world(crm=FakeDestination()) as w:
        accept.receive(w.app, post(), w.now)
        assert set(w.states()) == {"crm"}
        assert "routes" not in vars(w.app)
        assert "own_domains" not in vars(w.app)
