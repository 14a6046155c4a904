"""What operators ask and order: health, lists, stories, replay, quarantine."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads import settings as app_settings
from leads.app import App
from leads.contract import Kind
from leads.errors import Misconfigured, Rejected, Transient
from leads.intake import accept as intake
from leads.intake import normalize, watch
from leads.lead import Delivery, State, Via
from leads.operate import discard, forget, health, listing, operations, quarantine, replay, stories
from leads.operate.quarantine import NAME, entry
from leads.store.ledger import QUARANTINE, STATE
from leads.sweep import sweep
from tests.world import NOON, FakeDestination, World, failing, post, row, world

NOTES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


def accept(w: World, **changes: Any) -> str:
    return intake.receive(w.app, post(**changes), w.now).id


def of(email: str) -> dict[str, str]:
    return {"email": email, "firstName": "Ada"}


def places(found: listing.Listed) -> list[str]:
    return [summary.lead.offer_title for summary in found.leads]


def test_a_fresh_app_says_that_nothing_has_run_yet() -> None:
    with world() as w:
        state = health.health(w.app, w.now)
    assert state.status == "attention"
    assert state.last_sweep is None
    assert state.last_watch == {"MarketplaceLeads": None}
    assert [reason.cause for reason in state.reasons] == [
        "The sweep has not run yet.",
        "The watch of MarketplaceLeads has not run yet.",
    ]


def test_health_tells_which_build_runs_and_on_which_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "ROOT", tmp_path)
    (tmp_path / "build.txt").write_text("0123456789ab\n")
    health.build_id.cache_clear()
    with world() as w:
        state = health.health(w.app, w.now)
    health.build_id.cache_clear()
    assert state.build == "0123456789ab"
    assert state.python == platform.python_version()


def test_a_clone_is_no_build() -> None:
    assert health.build_id() == ""


def test_health_is_ok_when_all_is_done() -> None:
    with world() as w:
        accept(w)
        w.live(minutes=6)
        state = health.health(w.app, w.now)
    assert state.status == "ok"
    assert state.reasons == ()
    assert (state.open, state.dead, state.oldest_open_seconds) == (0, 0, 0)


def test_health_names_what_is_wrong_and_what_helps() -> None:
    with world(crm=FakeDestination(always=failing(Misconfigured)), environ={"LEADS_BACKFILL_DAYS": "many"}) as w:
        accept(w)
        w.live(hours=2)
        state = health.health(w.app, w.now)
    assert state.status == "attention"
    assert [(reason.setting, bool(reason.cause and reason.remedy)) for reason in state.reasons] == [
        ("LEADS_BACKFILL_DAYS", True),
        ("", True),
        ("", True),
    ]
    text = " ".join(reason.cause for reason in state.reasons)
    assert "open lead waits since" in text
    assert "need attention: Fake" in text
    assert state.open == 1
    assert state.oldest_open_seconds == pytest.approx(7200, abs=600)


def test_the_dead_count_until_they_are_replayed() -> None:
    with world(crm=FakeDestination(failures=[failing(Rejected)])) as w:
        lead_id = accept(w)
        w.live(minutes=11)
        assert w.app.ledger.open_line(lead_id) is None
        assert health.health(w.app, w.now).dead == 1
        replay.replay(w.app, lead_id, None, w.now)
        w.live(minutes=6)
        assert health.health(w.app, w.now).dead == 0


def test_health_tells_of_a_silent_watch_and_of_a_lost_key() -> None:
    with world() as w:
        accept(w)
        w.live(minutes=6)
        w.forward(hours=1)
        w.store.delete(STATE, STATE, "id-key")
        w.restart()
        state = health.health(w.app, w.now)
    text = " ".join(reason.cause for reason in state.reasons)
    assert "watch of MarketplaceLeads last ran" in text
    assert "id-key" in text


def test_the_list_is_by_arrival_newest_first_open_and_closed_together() -> None:
    with world(crm=FakeDestination(failures=[failing(Rejected)])) as w:
        accept(w, offerTitle="first")
        w.live(minutes=11)
        accept(w, offerTitle="second")
        w.live(days=2)
        accept(w, offerTitle="third")
        w.forward(seconds=1)
        accept(w, offerTitle="fourth")
        assert places(listing.listing(w.app, now=w.now)) == ["fourth", "third", "second", "first"]
        assert places(listing.listing(w.app, now=w.now, limit=2)) == ["fourth", "third"]
        assert places(listing.listing(w.app, now=w.now, state="dead")) == ["first"]
        assert places(listing.listing(w.app, now=w.now, state="open")) == ["fourth", "third"]
        assert places(listing.listing(w.app, now=w.now, state="delivered")) == ["second"]
        assert places(listing.listing(w.app, now=w.now, offer="IRD")) == ["third"]
        assert places(listing.listing(w.app, now=w.now, since=w.now - timedelta(hours=1))) == ["fourth", "third"]
        with pytest.raises(ValueError, match="state"):
            listing.listing(w.app, now=w.now, state="no state")


def test_leads_older_than_a_month_are_listed_too() -> None:
    with world() as w:
        accept(w, offerTitle="old")
        w.live(minutes=6)
        w.forward(days=100)
        accept(w, offerTitle="new")
        w.live(minutes=6)
        assert places(listing.listing(w.app, now=w.now)) == ["new", "old"]
        assert places(listing.listing(w.app, now=w.now, since=w.now - timedelta(days=50))) == ["new"]
        assert places(listing.listing(w.app, now=w.now, since=w.now - timedelta(days=101))) == ["new", "old"]
        assert places(listing.listing(w.app, now=w.now, offer="OLD", state="delivered")) == ["old"]


def test_an_open_lead_that_is_older_than_a_month_is_listed_once() -> None:
    with world() as w:
        lead_id = accept(w, offerTitle="old")
        w.live(minutes=6)
        w.forward(days=100)
        replay.replay(w.app, lead_id, None, w.now)
        assert places(listing.listing(w.app, now=w.now)) == ["old"]
        assert places(listing.listing(w.app, now=w.now, state="open")) == ["old"]


def test_a_customer_is_found_by_address_whatever_its_case() -> None:
    with world() as w:
        accept(w, userDetails=of("Ada@Example.com"), offerTitle="one")
        accept(w, userDetails=of("other@example.com"), offerTitle="two")
        w.live(minutes=6)
        accept(w, userDetails=of("ada@example.com"), offerTitle="three")
        found = listing.listing(w.app, now=w.now, customer="ADA@example.com")
        assert places(found) == ["three", "one"]
        assert places(listing.listing(w.app, now=w.now, customer=found.leads[0].lead.customer)) == ["three", "one"]
        assert places(listing.listing(w.app, now=w.now, customer="ada@example.com", state="open")) == ["three"]
        assert listing.listing(w.app, now=w.now, customer="no address").leads == ()


def test_an_intake_that_has_not_finished_is_listed_as_open() -> None:
    with world() as w:
        lead_id = accept(w)
        for found in list(w.store.rows("leads", lead_id[:16])):
            w.store.delete("leads", found.partition, found.key)
        (summary,) = listing.listing(w.app, now=w.now).leads
        story = stories.story(w.app, lead_id, w.now)
    assert summary.lead.id == lead_id
    assert summary.state == State.OPEN
    assert story
    assert story.lead is None
    assert story.is_open
    assert story.raw == post()


def test_a_summary_stands_as_its_worst_delivery_and_tells_the_newest_trouble() -> None:
    with world(a=FakeDestination(), b=FakeDestination(always=failing(Transient))) as w:
        accept(w)
        w.drain()
        (summary,) = listing.listing(w.app, now=w.now).leads
    assert summary.state == State.OPEN
    assert summary.trouble
    assert summary.trouble.remedy == "Correct it."


def test_a_story_tells_all() -> None:
    with world(crm=FakeDestination(failures=[failing(Transient)])) as w:
        first = accept(w, offerTitle="first")
        w.live(minutes=30)
        second = accept(w, offerTitle="second")
        story = stories.story(w.app, first, w.now)
        by_event = stories.story(w.app, first[-16:], w.now)
    assert story == by_event
    assert story
    assert story.lead
    assert story.raw == post(offerTitle="first")
    assert [attempt.outcome for attempt in story.deliveries[0].attempts] == ["transient", "ok"]
    assert story.fate == "accepted"
    assert not story.is_open
    assert [other.lead.id for other in story.others] == [second]


def test_what_is_not_known_has_no_story() -> None:
    with world() as w:
        lead_id = accept(w)
        unknown = ["", "x", lead_id.upper(), "0" * 16, f"{'0' * 16}-{lead_id[-16:]}", f"2026/11/21/{'0' * 64}.bin"]
        assert [stories.story(w.app, each, w.now) for each in unknown] == [None] * len(unknown)


def test_a_row_that_is_older_than_the_app_has_a_story_without_a_lead() -> None:
    with world() as w:
        w.inbox.tables["MarketplaceLeads"] = [row("old", w.now - timedelta(days=300))]
        w.live(minutes=1)
        event = intake.event_of_row(w.app, "MarketplaceLeads", w.inbox.tables["MarketplaceLeads"][0])
        story = stories.story(w.app, event, w.now)
    assert story
    assert (story.id, story.fate, story.lead) == (event, "backfilled", None)


def test_replay_opens_what_died_and_it_arrives() -> None:
    with world(crm=FakeDestination(failures=[failing(Rejected)]), mail=FakeDestination(Kind.NOTIFICATION)) as w:
        lead_id = accept(w)
        w.live(minutes=11)
        assert w.states() == {"crm": "dead", "mail": "delivered"}
        assert replay.replay(w.app, lead_id, None, w.now) == 1
        assert w.app.ledger.open_line(lead_id)
        assert replay.replay(w.app, lead_id, None, w.now) == 1, "so the delivered one is meant"
        assert replay.replay(w.app, lead_id, None, w.now) == 0
        w.live(minutes=40)
        assert w.states() == {"crm": "delivered", "mail": "delivered"}
        assert len(w.places["mail"].got) == 2
        assert [step.replayed for _, step in w.places["crm"].got] == [False, True]
        assert w.app.ledger.open_line(lead_id) is None
        delivery = w.app.ledger.delivery(lead_id, "crm")
        assert delivery
        assert delivery.attempt_count == 2
        assert delivery.tries == 1


def test_replay_to_one_destination_leaves_the_others_alone() -> None:
    with world(a=FakeDestination(), b=FakeDestination()) as w:
        lead_id = accept(w)
        w.drain()
        assert replay.replay(w.app, lead_id, "b", w.now) == 1
        assert w.states() == {"a": "delivered", "b": "open"}
        assert replay.replay(w.app, lead_id, "b", w.now) == 0


def test_a_replay_to_a_destination_that_was_removed_is_refused() -> None:
    crm, pager = FakeDestination(always=failing(Rejected)), FakeDestination(always=failing(Rejected))
    with world(crm=crm, pager=pager) as w:
        lead_id = accept(w)
        w.live(hours=1)
        w.app.environ = {**w.app.environ, "LEADS_DESTINATIONS": "pager"}
        w.app.settings = app_settings.read(w.app.environ)
        with pytest.raises(Misconfigured):
            replay.replay(w.app, lead_id, "crm", w.now)
        with pytest.raises(Misconfigured):
            operations.perform(w.app, "select", {"destination": "crm", "state": "dead"}, w.now)
        found = operations.perform(w.app, "select", {"state": "dead"}, w.now)
        assert found["leads"] == [{"id": lead_id, "destinations": ["pager"]}]
        assert w.states()["crm"] == "dead"
        assert replay.replay(w.app, lead_id, None, w.now) == 1
        assert w.states() == {"crm": "dead", "pager": "open"}


def test_a_corrected_setting_adds_a_delivery() -> None:
    with world(crm=FakeDestination()) as w:
        lead_id = accept(w)
        w.live(minutes=6)
        w.app.environ = {**w.app.environ, "LEADS_DESTINATIONS": "crm,console"}
        w.app = App(app_settings.read(w.app.environ), w.app.environ)
        w.app.store, w.app.inbox, w.app.doorbell = w.store, w.inbox, w.bell
        with pytest.raises(Misconfigured, match="teams"):
            replay.replay(w.app, lead_id, "teams", w.now)
        assert replay.replay(w.app, lead_id, "console", w.now) == 1
        assert replay.replay(w.app, lead_id, "console", w.now) == 0
        w.live(minutes=6)
        assert w.states() == {"crm": "delivered", "console": "delivered"}


def test_what_waits_can_be_hurried_once_its_cause_is_mended() -> None:
    with world(crm=FakeDestination(failures=[failing(Misconfigured)] * 4), mail=FakeDestination()) as w:
        lead_id = accept(w)
        w.live(hours=1)
        assert w.states() == {"crm": "open", "mail": "delivered"}
        assert replay.hurry(w.app, lead_id, "mail", w.now) == 0
        assert replay.hurry(w.app, lead_id, None, w.now) == 1
        assert replay.hurry(w.app, lead_id, None, w.now) == 0, "it is due already"
        w.drain()
        assert w.states() == {"crm": "delivered", "mail": "delivered"}
        delivery = w.app.ledger.delivery(lead_id, "crm")
        assert delivery
        assert delivery.attempt_count == 5
        assert not delivery.replayed
        assert replay.hurry(w.app, "0" * 16 + "-" + "0" * 16, None, w.now) == 0


def test_an_attempt_under_way_is_not_hurried() -> None:
    with world() as w:

        class Busy(FakeDestination):
            def send(self, lead: Any, step: Any, _: Any) -> str:
                assert replay.hurry(w.app, lead.id, None, w.now) == 0
                return super().send(lead, step, _)

        w.places["crm"] = Busy()
        accept(w)
        w.drain()
        assert w.states() == {"crm": "delivered"}


def test_what_storage_lists_as_nothing_is_empty() -> None:
    noted: Any = {"event": None, "reason": None, "via": "https", "size": "1", "at": ""}
    found = entry(f"2026/11/21/{'0' * 64}.bin", noted)
    assert (found.event, found.reason) == ("", "")


def test_replay_of_an_unknown_lead_does_nothing() -> None:
    with world() as w:
        assert replay.replay(w.app, "0" * 16 + "-" + "0" * 16, None, w.now) == 0
        assert not w.store.tables.get("journal")


@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_a_sweep_at_the_same_time_never_closes_a_replayed_lead(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with world() as w:
        lead_id = accept(w)
        w.live(minutes=6)
        save = w.app.ledger.save
        looked: list[Any] = []
        close = w.app.ledger.close

        def saved(delivery: Delivery) -> Delivery:
            monkeypatch.setattr(w.app.ledger, "save", save)
            if when == "before":
                w.sweep()
            if when == "between":  # it read the lead as finished, and closes it once the delivery is open
                monkeypatch.setattr(w.app.ledger, "close", lambda *closing: looked.append(closing))
                w.sweep()
                monkeypatch.setattr(w.app.ledger, "close", close)
            done = save(delivery)
            for closing in looked:
                close(*closing)
            if when == "after":
                w.sweep()
            return done

        monkeypatch.setattr(w.app.ledger, "save", saved)
        assert replay.replay(w.app, lead_id, None, w.now) == 1
        assert looked == [], "a line that a replay wrote is closed half an hour later at the earliest"
        assert w.app.ledger.open_line(lead_id)
        w.bell.waiting.clear()
        w.live(minutes=90)
        assert len(w.places["crm"].got) == 2


def test_a_replay_that_dies_behind_the_first_delivery_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep read the line and the finished lead, the replay opened the delivery and died, and the sweep went on."""
    with world() as w:
        lead_id = accept(w)
        w.live(minutes=6)
        save, close = w.app.ledger.save, w.app.ledger.close
        held: list[Any] = []

        def dying(delivery: Delivery) -> Delivery:
            monkeypatch.setattr(w.app.ledger, "close", lambda *closing: held.append(closing))
            w.sweep()
            save(delivery)
            raise KeyboardInterrupt

        monkeypatch.setattr(w.app.ledger, "save", dying)
        with pytest.raises(KeyboardInterrupt):
            replay.replay(w.app, lead_id, None, w.now)
        monkeypatch.setattr(w.app.ledger, "save", save)
        monkeypatch.setattr(w.app.ledger, "close", close)
        for closing in held:
            close(*closing)
        w.bell.waiting.clear()
        w.live(minutes=90)
        assert (len(w.places["crm"].got), w.app.ledger.open_line(lead_id)) == (2, None)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["replay", "drain", "sweep", "hour"]), max_size=12))
def test_whatever_the_order_a_replayed_lead_ends_delivered_and_closed(orders: list[str]) -> None:
    with world(crm=FakeDestination(failures=[failing(Rejected), failing(Transient)])) as w:
        lead_id = accept(w)
        for order in orders:
            if order == "replay":
                replay.replay(w.app, lead_id, None, w.now)
            elif order == "drain":
                w.drain()
            elif order == "sweep":
                w.sweep()
            else:
                w.forward(hours=1)
        w.live(hours=3)
        if w.states() == {"crm": "dead"}:
            replay.replay(w.app, lead_id, None, w.now)
            w.live(hours=3)
        assert w.states() == {"crm": "delivered"}
        assert w.app.ledger.open_line(lead_id) is None


def test_a_replay_while_its_lead_is_forgotten_leaves_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with world(environ={"LEADS_ROUTES": "> crm"}, crm=FakeDestination(), feed=FakeDestination()) as w:
        lead_id = accept(w)
        w.live(minutes=6)
        add = replay.add

        def too_late(*arguments: Any, **options: Any) -> bool:
            forget.forget(w.app, lead_id, w.now)
            return add(*arguments, **options)

        monkeypatch.setattr(replay, "add", too_late)
        replay.replay(w.app, lead_id, "feed", w.now)
        w.live(minutes=40)
        assert w.store.tables["leads"] == {}
        assert not list(w.app.ledger.open_lines())
        assert w.places["feed"].got == []


def test_a_lead_that_is_forgotten_while_a_sweep_closes_it_leaves_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with world(crm=FakeDestination(failures=[failing(Rejected)])) as w:
        lead_id = accept(w)
        w.drain()
        change = w.app.ledger.change

        def forgotten_first(what: str, now: datetime) -> None:
            monkeypatch.setattr(w.app.ledger, "change", change)
            forget.forget(w.app, lead_id, w.now)
            change(what, now)

        find = sweep._close_finished
        monkeypatch.setattr(
            sweep,
            "_close_finished",
            lambda run: (monkeypatch.setattr(w.app.ledger, "change", forgotten_first), find(run))[1],
        )
        w.sweep()
        assert w.store.tables["leads"] == w.store.tables["journal"] == {}
        assert w.store.containers["raw"] == {}


def test_what_came_while_the_tables_failed_is_listed_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    with world() as w:
        with monkeypatch.context() as patch:
            patch.setattr(w.store, "upsert", broken)
            intake.quarantine(w.app, b"{", Via.HTTPS, "a reason", w.now)
        assert len(operations.perform(w.app, "quarantine", {}, w.now)["entries"]) == 1


def test_a_discard_of_what_came_lately_ends_in_time_whatever_came_before_on_that_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with world() as w:
        for number in range(50):
            intake.quarantine(w.app, f"junk {number}".encode(), Via.HTTPS, "a reason", w.now)
        w.forward(hours=3)
        intake.quarantine(w.app, b"late", Via.HTTPS, "a reason", w.now)
        w.forward(minutes=1)
        looked, blobs = [], w.store.blobs

        def listing(*arguments: Any) -> Iterator[Any]:
            for blob in blobs(*arguments):
                looked.append(blob)
                yield blob

        monkeypatch.setattr(w.store, "blobs", listing)
        monkeypatch.setattr("leads.operate.discard.time.monotonic", lambda: float(len(looked)))
        cursor, found, calls = "", 0, 0
        while calls == 0 or cursor:
            before = len(looked)
            told = discard.quarantined(
                w.app,
                since=w.now - timedelta(hours=1),
                before=w.now,
                reason="",
                cursor=cursor,
                yes=False,
                seconds=10,
            )
            assert len(looked) - before <= 12, "a second for each entry"
            cursor, found, calls = told["cursor"], found + sum(told["reasons"].values()), calls + 1
    assert found == 1


def test_quarantine_lists_the_newest_first() -> None:
    with world() as w:
        for body in (b"one", b"two"):
            with pytest.raises(intake.NotALead):
                intake.receive(w.app, body, w.now)
            w.forward(days=40)
        entries = quarantine.newest(w.app, 5)
        recent = quarantine.newest(w.app, 5, w.now - timedelta(days=50))
        story = stories.story(w.app, entries[0].name, w.now)
    assert [entry.at for entry in entries] == [NOON + timedelta(days=40), NOON]
    assert [entry.size for entry in entries] == [3, 3]
    assert all(NAME.fullmatch(entry.name) for entry in entries)
    assert recent == entries[:1]
    assert story
    assert story.raw == b"two"
    assert story.quarantine == entries[0]


def test_bytes_that_can_be_read_after_all_become_a_lead_of_the_day_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    with world() as w:
        monkeypatch.setattr(normalize, "normalize", broken)
        receipt = intake.receive(w.app, post(), w.now)
        assert receipt.quarantined
        story = stories.story(w.app, receipt.id, w.now)
        assert story
        assert story.quarantine
        name = story.quarantine.name
        with pytest.raises(intake.NotALead, match="still"):
            quarantine.replay_quarantined(w.app, name, w.now)
        monkeypatch.undo()
        w.forward(days=5)
        lead_id = quarantine.replay_quarantined(w.app, name, w.now)
        assert lead_id[-16:] == receipt.id
        with pytest.raises(intake.NotALead, match="nothing with this name"):
            quarantine.replay_quarantined(w.app, name, w.now)
        w.live(minutes=6)
        (summary,) = listing.listing(w.app, now=w.now).leads
        assert summary.lead.arrived_at == NOON
        assert w.states() == {"crm": "delivered"}
        assert list(quarantine.entries(w.app)) == []


def broken(*_: Any, **__: Any) -> None:
    raise AssertionError("a bug")


def test_bytes_that_an_older_version_refused_become_a_lead_once() -> None:
    with world() as w:
        intake.quarantine(w.app, post(), Via.HTTPS, "The body is not JSON.", w.now)
        (entry,) = quarantine.entries(w.app)
        lead_id = quarantine.replay_quarantined(w.app, entry.name, w.now)
        assert w.ids() == [lead_id]
        assert accept(w) == lead_id, "the same POST again is the same event"


def test_what_is_no_lead_stays_in_quarantine() -> None:
    with world() as w:
        with pytest.raises(intake.NotALead):
            intake.receive(w.app, b"no lead", w.now)
        with pytest.raises(intake.TooLarge):
            intake.receive(w.app, b"x" * (intake.BODY_LIMIT + 1), w.now)
        entries = list(quarantine.entries(w.app))
        for entry in entries:
            with pytest.raises(intake.NotALead):
                quarantine.replay_quarantined(w.app, entry.name, w.now)
        assert list(quarantine.entries(w.app)) == entries
        for name in ("", "../raw/x", "2026/11/21/x.bin"):
            with pytest.raises(intake.NotALead):
                quarantine.replay_quarantined(w.app, name, w.now)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60), st.dictionaries(st.sampled_from(["reason", "via", "at", "size", "event"]), NOTES))
def test_any_note_beside_quarantined_bytes_can_be_listed(text: str, note: dict[str, str]) -> None:
    with world() as w:
        w.store.put_blob(QUARANTINE, f"2026/11/21/{'a' * 64}.bin", text.encode("utf-8", "replace"), note)
        (entry,) = quarantine.entries(w.app)
        assert isinstance(entry.at, datetime)
        assert stories.story(w.app, entry.name, w.now)


def test_the_sweep_notes_what_health_needs() -> None:
    with world(crm=FakeDestination(failures=[failing(Rejected)])) as w:
        accept(w)
        w.drain()
        sweep.sweep(w.app, w.now)
        assert w.app.ledger.note("sweep").values["dead"] == 1
        accept(w, offerTitle="another")
        w.drain()
        w.forward(days=15)
        sweep.sweep(w.app, w.now)
        assert w.app.ledger.note("sweep").values["dead"] == 0, "what died long ago is no news"


def test_an_app_that_has_just_begun_is_not_unwell() -> None:
    with world() as w:
        watch.watch(w.app, w.now)
        w.forward(minutes=4)
        assert health.health(w.app, w.now).status == "ok"
        w.forward(minutes=30)
        assert "The sweep has not run yet" in str(health.health(w.app, w.now).reasons)
