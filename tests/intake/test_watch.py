"""New rows of the watched tables: all of them, once, whatever the keys, the clock and the paging do."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Barrier, get_ident
from typing import Any

import pytest

from leads import settings
from leads.app import App
from leads.contract import Kind
from leads.intake import accept, watch
from leads.operate import importing
from leads.store.ledger import EVENTS, JOURNAL, LEADS, STATE
from leads.store.protocol import Page, Row
from leads.store.testing import MemoryInbox
from tests.world import NOON, PERSON, FakeDestination, Noting, World, post, row, world

TABLE = "MarketplaceLeads"


@pytest.fixture
def w() -> Iterator[World]:
    with world() as made:
        yield made


def put(w: World, *rows: dict[str, Any]) -> None:
    w.inbox.tables.setdefault(TABLE, []).extend(rows)


def look(w: World, times: int = 1, **apart: float) -> None:
    for _ in range(times):
        watch.watch(w.app, w.now)
        w.forward(**(apart or {"minutes": 1}))


def keys(w: World) -> set[str]:
    """The row keys of all leads that came in, told by their addresses."""
    rows = w.store.tables.get("leads", {}).values()
    return {str(row.values["email"]).partition("@")[0] for row in rows if "email" in row.values}


def test_a_table_that_does_not_exist_yet_means_no_lead_yet(w: World) -> None:
    look(w, 3)
    put(w, row("a", w.now))
    look(w)
    assert keys(w) == {"a"}


def test_a_new_row_is_a_lead_within_one_run_and_only_once(w: World) -> None:
    look(w)
    put(w, row("a", w.now), row("b", w.now))
    look(w, 40)
    assert keys(w) == {"a", "b"}
    assert len(w.bell.waiting) == 2


def test_the_watched_table_is_read_by_day_and_not_scanned_every_minute(w: World) -> None:
    asked: list[str] = []
    pages = w.inbox.pages

    def noting(table: str, condition: str, token: str = "") -> Iterator[Page]:
        asked.append(condition)
        return pages(table, condition, token)

    put(w, row("a", w.now))
    look(w, 2)
    w.inbox.pages = noting  # type: ignore[method-assign]
    look(w, 60)
    assert {condition.partition(" and ")[0] for condition in asked} == {
        f"PartitionKey eq '11:2F{day}:2F2026'" for day in (20, 21, 22)
    }
    assert len(asked) == 180


def test_twelve_hundred_rows_of_one_partition_are_read_over_all_pages(w: World) -> None:
    look(w)
    put(w, *(row(f"r{number}", w.now) for number in range(1200)))
    look(w)
    assert len(keys(w)) == 1200


def test_a_weekend_of_downtime_is_read_day_by_day(w: World) -> None:
    look(w)
    for hours in (1, 25, 49, 60):
        put(w, row(f"after{hours}", w.now + timedelta(hours=hours)))
    w.forward(hours=63)
    look(w)
    assert keys(w) == {"after1", "after25", "after49", "after60"}


def test_the_first_run_takes_the_last_week_and_notes_what_is_older(w: World) -> None:
    put(w, *(row(f"old{days}", w.now - timedelta(days=days)) for days in (1, 6, 8, 400)))
    look(w)
    assert keys(w) == {"old1", "old6"}
    assert len(w.store.tables["events"]) == 4
    put(w, row("new", w.now))
    look(w)
    assert keys(w) == {"old1", "old6", "new"}


def test_a_first_run_over_fifty_thousand_rows_is_bounded_and_loses_none(w: World) -> None:
    start = w.now - timedelta(days=500)
    put(w, *(row(f"{number:05}", start + timedelta(minutes=10 * number)) for number in range(50_000)))
    stamps = [row["Timestamp"] for row in w.inbox.tables[TABLE]]
    recent = sum(NOON - timedelta(days=7) <= datetime.fromisoformat(stamp) <= NOON for stamp in stamps)
    w.inbox.tables[TABLE] = [r for r in w.inbox.tables[TABLE] if datetime.fromisoformat(r["Timestamp"]) <= NOON]
    rows = len(w.inbox.tables[TABLE])
    runs = 0
    while not w.store.tables.get("state", {}) or "scanned_at" not in w.app.ledger.note("watch:marketplaceleads").values:
        before = len(w.store.tables.get("events", {}))
        watch.watch(w.app, w.now)
        assert len(w.store.tables["events"]) - before <= watch.ROWS_PER_RUN + 2 * 1000
        w.forward(minutes=1)
        runs += 1
        if runs == 2:
            assert len(keys(w)) == recent, "new leads do not wait for the long scan"
    assert len(w.store.tables["events"]) == rows
    assert runs <= rows / watch.ROWS_PER_RUN + 1


def test_a_scan_that_is_interrupted_goes_on_and_finds_what_was_written_meanwhile(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "ROWS_PER_RUN", 20)
    w.inbox.page = 10
    put(w, *(row(f"k{number:03}", w.now, partition=f"strange{number:03}") for number in range(100)))
    calls: list[Page] = []
    pages = w.inbox.pages

    def breaking(table: str, condition: str, token: str = "") -> Iterator[Page]:
        for page in pages(table, condition, token):
            calls.append(page)
            if len(calls) in (3, 7, 8):
                raise ConnectionError
            yield page

    w.inbox.pages = breaking  # type: ignore[method-assign]
    for number in range(12):
        if number == 4:
            put(w, row("behind", w.now, partition="strange000"))
        with contextlib.suppress(RuntimeError):
            watch.watch(w.app, w.now)
        w.forward(minutes=1)
    look(w, 2, minutes=16)
    assert len(keys(w)) == 101


def test_keys_in_another_form_are_found_by_the_scan_every_quarter_of_an_hour(w: World) -> None:
    put(w, row("a", w.now, partition="2026-11-21"))
    look(w)
    assert keys(w) == {"a"}
    put(w, row("b", w.now, partition="leads"))
    look(w, 16)
    assert keys(w) == {"a", "b"}


def test_a_key_that_changes_its_form_is_found_within_a_day(w: World) -> None:
    put(w, row("a", w.now))
    look(w, 5)
    put(w, row("b", w.now, partition="tenant7"))
    look(w, 25, hours=1)
    assert keys(w) == {"a", "b"}
    put(w, row("c", w.now, partition="tenant7"))
    look(w, 17)
    assert keys(w) == {"a", "b", "c"}


def test_a_row_written_late_into_an_old_partition_is_found_by_the_daily_scan(w: World) -> None:
    put(w, row("a", w.now))
    look(w, 5)
    put(w, row("late", w.now, partition=watch.day_key(w.now - timedelta(days=30))))
    look(w, 26, hours=1)
    assert keys(w) == {"a", "late"}


def test_rows_with_one_timestamp_are_all_taken(w: World) -> None:
    look(w)
    stamp = w.now
    put(w, *(row(f"same{number}", stamp) for number in range(50)))
    look(w)
    put(w, *(row(f"more{number}", stamp) for number in range(50)))
    look(w)
    assert len(keys(w)) == 100


def test_a_row_edited_later_is_no_second_lead(w: World) -> None:
    put(w, row("a", w.now))
    look(w)
    w.inbox.tables[TABLE] = [row("a", w.now, Description="edited")]
    look(w)
    assert len(w.ids()) == 1


def test_two_watches_at_once_make_one_lead_of_each_row(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    put(w, *(row(f"r{number}", w.now) for number in range(10)))
    inside: list[int] = []
    pages = w.inbox.pages

    def twice(table: str, condition: str, token: str = "") -> Iterator[Page]:
        if not inside:
            inside.append(1)
            watch.watch(w.app, w.now)
        return pages(table, condition, token)

    w.inbox.pages = twice  # type: ignore[method-assign]
    look(w, 3)
    assert len(w.ids()) == 10
    assert len(w.bell.waiting) == 10


def test_the_watermark_stays_until_every_row_is_durable(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    look(w)
    before = w.app.ledger.note("watch:marketplaceleads").values["watermark"]
    put(w, row("a", w.now), row("b", w.now))
    calls: list[int] = []
    insert_all = w.store.insert_all

    def once_broken(table: str, rows: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise ConnectionError
        insert_all(table, rows)

    monkeypatch.setattr(w.store, "insert_all", once_broken)
    with pytest.raises(RuntimeError):
        watch.watch(w.app, w.now)
    assert w.app.ledger.note("watch:marketplaceleads").values["watermark"] == before
    look(w)
    w.live(minutes=10)
    assert keys(w) == {"a", "b"}


def test_a_broken_table_does_not_keep_the_others_waiting() -> None:
    with world(environ={"LEADS_INBOX_TABLES": "Broken,MarketplaceLeads"}) as w:
        pages = w.inbox.pages

        def breaking(table: str, condition: str, token: str = "") -> Iterator[Page]:
            if table == "Broken":
                raise ConnectionError
            return pages(table, condition, token)

        w.inbox.pages = breaking  # type: ignore[method-assign]
        put(w, row("a", w.now))
        with pytest.raises(RuntimeError, match="Broken"):
            watch.watch(w.app, w.now)
        assert keys(w) == {"a"}


@dataclass
class StutteringInbox(MemoryInbox):
    """Pages as Azure may send them, and Azurite never does: empty ones with a continuation token in between."""

    asked: list[str] = field(default_factory=list)

    def pages(self, table: str, condition: str, token: str = "") -> Iterator[Page]:
        for page in super().pages(table, condition, token):
            yield Page([], token or "start")
            yield Page([], token or "start")
            yield page


def test_empty_pages_with_a_token_do_not_end_the_reading(w: World) -> None:
    w.app.inbox = w.inbox = StutteringInbox(page=3)
    put(w, *(row(f"r{number}", w.now) for number in range(10)))
    look(w)
    assert len(keys(w)) == 10


@pytest.mark.parametrize("jump", [timedelta(minutes=10), timedelta(days=3)])
def test_a_clock_that_jumps_ahead_and_back_loses_no_row(w: World, jump: timedelta) -> None:
    put(w, row("a", w.now))
    look(w, 2)
    for number in range(30):
        put(w, row(f"during{number}", w.now))
        watch.watch(w.app, w.now + jump)
        w.forward(minutes=1)
    look(w, 30, hours=1)
    assert len(keys(w)) == 31


@pytest.mark.parametrize("skew", [timedelta(minutes=10), -timedelta(minutes=10)])
def test_a_clock_that_is_ten_minutes_wrong_loses_no_row(w: World, skew: timedelta) -> None:
    for number in range(60):
        put(w, row(f"r{number}", w.now))
        watch.watch(w.app, w.now + skew)
        w.forward(minutes=1)
    look(w, 2, minutes=15)
    assert len(keys(w)) == 60


@pytest.mark.parametrize(
    ("key", "is_day"),
    [
        ("11:2F21:2F2026", True),
        ("11:2F20:2F2026", True),
        ("11:2F22:2F2026", True),
        ("11:2F23:2F2026", False),
        ("21:2F11:2F2026", False),
        ("11:2f21:2f2026", False),
        ("11:2F021:2F2026", False),
        ("1:2F1:2F2026", False),
        ("2026-11-21", False),
        ("", False),
    ],
)
def test_a_key_is_a_day_only_as_microsoft_writes_the_day_of_the_row(key: str, is_day: bool) -> None:
    assert watch.is_day_of(key, "2026-11-21T12:00:00.1234567Z") is is_day


@pytest.mark.parametrize("partition", ["11:2F021:2F2026", "21:2F11:2F2026", "1:2F1:2F2026", "11:2f21:2f2026"])
def test_a_key_that_only_looks_like_a_day_is_found_within_a_quarter_of_an_hour(w: World, partition: str) -> None:
    put(w, row("a", w.now, partition=partition))
    look(w, 5)
    put(w, row("b", w.now, partition=partition))
    look(w, 16)
    assert keys(w) == {"a", "b"}


def test_the_shared_shape_of_rows_is_what_microsoft_writes(w: World) -> None:
    sample: Mapping[str, Any] = row("a", NOON)
    assert sample["PartitionKey"] == "11:2F21:2F2026"
    assert json.loads(sample["CustomerInfo"])["Email"] == "a@contoso.com"


def test_a_row_that_cannot_be_taken_keeps_no_other_waiting(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    look(w)
    before = dict(w.app.ledger.note("watch:marketplaceleads").values)
    put(w, *(row(key, w.now) for key in "abc"))
    insert_all = w.store.insert_all

    def refusing(table: str, rows: Any) -> None:
        if rows[0].values["email"] == "a@contoso.com":
            raise ValueError("a@contoso.com")
        insert_all(table, rows)

    monkeypatch.setattr(w.store, "insert_all", refusing)
    for _ in range(3):
        with pytest.raises(RuntimeError, match=r"^These tables could not be read to the end: MarketplaceLeads"):
            look(w)
    assert keys(w) == {"b", "c"}
    after = w.app.ledger.note("watch:marketplaceleads").values
    assert [after[name] for name in ("watermark", "ran_at")] == [before[name] for name in ("watermark", "ran_at")]
    monkeypatch.undo()
    look(w)
    assert keys(w) == {"a", "b", "c"}


def test_a_row_that_cannot_be_taken_is_scanned_again(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "ROWS_PER_RUN", 10)
    w.inbox.page = 10
    put(w, *(row(f"k{number:02}", w.now, partition="strange") for number in range(30)))
    insert_all = w.store.insert_all
    refused: list[int] = []

    def refusing(table: str, rows: Any) -> None:
        if rows[0].values["email"] == "k05@contoso.com" and not refused:
            refused.append(1)
            raise ConnectionError
        insert_all(table, rows)

    monkeypatch.setattr(w.store, "insert_all", refusing)
    for _ in range(7):
        with contextlib.suppress(RuntimeError):
            watch.watch(w.app, w.now)
        w.forward(minutes=1)
    assert len(keys(w)) == 30


def test_a_storage_that_refuses_every_row_ends_the_run_early(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    put(w, *(row(f"k{number:02}", w.now) for number in range(100)))
    asked: list[int] = []

    def fail(*_: object) -> None:
        asked.append(1)
        raise ConnectionError

    monkeypatch.setattr(w.store, "insert_all", fail)
    with pytest.raises(RuntimeError):
        look(w)
    assert watch.FAILURES_PER_RUN <= len(asked) < 100
    with monkeypatch.context() as patch:
        patch.setattr(watch, "ROWS_AT_ONCE", 1)
        asked.clear()
        with pytest.raises(RuntimeError):
            look(w)
        assert len(asked) == watch.FAILURES_PER_RUN


def test_a_run_without_time_still_goes_on_where_the_last_one_stopped(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "RUN_SECONDS", 0.0)
    w.inbox.page = 10
    put(w, *(row(f"k{number:02}", w.now) for number in range(30)))
    look(w)
    assert len(keys(w)) == 10
    look(w, 3)
    assert len(keys(w)) == 30


def test_a_first_run_over_ten_years_of_days_ends_in_time_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "RUN_SECONDS", 0.0)
    with world(environ={"LEADS_BACKFILL_DAYS": "60"}) as w:
        asked: list[str] = []
        pages = w.inbox.pages
        w.inbox.pages = lambda *given: asked.append(given[1]) or pages(*given)  # type: ignore[method-assign,func-returns-value]
        put(w, row("new", w.now), row("old", w.now - timedelta(days=59)))
        look(w)
        assert (len(asked), keys(w)) == (watch.DAYS_AT_LEAST, {"new"}), "each day is a question"
        look(w, 6)
        assert keys(w) == {"new", "old"}
        assert "watermark" in w.app.ledger.note("watch:marketplaceleads").values


def test_what_comes_while_the_first_runs_fail_is_not_older_than_the_app(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(w, row("a", w.now))
    with monkeypatch.context() as patch:
        patch.setattr(w.store, "put_blob", lambda *_: 1 / 0)
        with pytest.raises(RuntimeError):
            look(w)
    w.forward(days=10)
    look(w)
    assert keys(w) == {"a"}


def test_a_row_that_is_a_whole_lead_already_costs_two_reads(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    put(w, *(row(str(number), w.now) for number in range(100)))
    look(w)
    calls: list[str] = []

    def counting(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            calls.append(name)
            return real(*given)

        return call

    for name in ("insert", "insert_all", "upsert", "replace", "get", "delete", "put_blob", "get_blob"):
        monkeypatch.setattr(w.store, name, counting(name, getattr(w.store, name)))
    look(w)
    assert calls.count("get") < 210
    assert len(calls) < 220


def test_another_account_is_read_from_its_beginning(w: World) -> None:
    put(w, row("a", w.now))
    look(w, 120)
    w.app.inbox = w.inbox = MemoryInbox(account="another")
    put(w, row("b", w.now - timedelta(hours=1)))
    look(w)
    assert keys(w) == {"a", "b"}


def with_another_inbox(w: World) -> tuple[App, MemoryInbox]:
    """A process with new settings, and the account that it watches."""
    app, inbox = App(w.app.settings, w.app.environ), MemoryInbox(account="another", clock=lambda: w.bell.now)
    app.store, app.inbox, app.doorbell = w.store, inbox, w.bell
    return app, inbox


def test_an_old_process_that_still_reads_the_old_account_hides_no_row_of_the_new_one(w: World) -> None:
    app, inbox = with_another_inbox(w)
    inbox.tables[TABLE] = [row("b", w.now - timedelta(hours=1), partition="leads")]
    put(w, row("a", w.now))
    look(w)
    pages, new_pages = w.inbox.pages, inbox.pages

    def overtaken(*given: str) -> Iterator[Page]:
        """The new process takes the note over while the old one reads, and gets no further."""
        w.inbox.pages = pages  # type: ignore[method-assign]
        inbox.pages = lambda *_: 1 / 0  # type: ignore[method-assign,assignment]
        with pytest.raises(RuntimeError):
            watch.watch(app, w.now)
        return pages(*given)

    w.inbox.pages = overtaken  # type: ignore[method-assign,assignment]
    with contextlib.suppress(RuntimeError):
        watch.watch(w.app, w.now)
    inbox.pages = new_pages  # type: ignore[method-assign]
    for _ in range(25):
        watch.watch(app, w.now)
        w.forward(hours=1)
    assert keys(w) == {"a", "b"}


def test_a_note_that_two_accounts_begin_at_once_is_of_one_of_them(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app, inbox = with_another_inbox(w)
    inbox.tables[TABLE] = [row("b", w.now - timedelta(hours=1), partition="leads")]
    put(w, row("a", w.now))
    write = w.app.ledger.write_note

    def second(note: Row) -> Row:
        monkeypatch.setattr(w.app.ledger, "write_note", write)
        app.ledger.write_note(replace(note, values={**note.values, "account": "another"}))
        return write(note)

    monkeypatch.setattr(w.app.ledger, "write_note", second)
    with contextlib.suppress(RuntimeError):
        watch.watch(w.app, w.now)
    for _ in range(25):
        watch.watch(app, w.now)
        w.forward(hours=1)
    assert keys(w) == {"b"}, "the old process reads its own account from the beginning again"
    look(w)
    assert keys(w) == {"a", "b"}


def test_an_inbox_that_is_wrong_is_not_taken_for_an_empty_one(w: World) -> None:
    look(w)
    before = w.app.ledger.note("watch:marketplaceleads").values
    made = settings.read({**w.app.environ, "LEADS_INBOX": "@Microsoft.KeyVault(SecretUri=https://vault/x)"})
    assert made.inbox is None
    del w.app.inbox
    w.app.settings = made
    with pytest.raises(RuntimeError, match="Misconfigured"):
        look(w)
    assert w.app.ledger.note("watch:marketplaceleads").values == before


@pytest.mark.parametrize("table", ["Leads", "EVENTS", "journal", "State"])
def test_a_table_of_the_app_itself_is_never_watched(table: str) -> None:
    with world(environ={"LEADS_INBOX_TABLES": f"MarketplaceLeads,{table}"}) as w:
        (problem,) = w.app.settings.problems
        assert (problem.setting, table in problem.cause) == ("LEADS_INBOX_TABLES", True)
        assert w.app.settings.inbox_tables == ("MarketplaceLeads",)
        w.app.inbox = w.inbox = MemoryInbox(account="devstoreaccount1")
        w.app.settings = replace(w.app.settings, inbox_tables=("MarketplaceLeads", table))
        put(w, row("a", w.now))
        w.inbox.tables[table] = [row("own", w.now)]
        with pytest.raises(RuntimeError, match=table):
            look(w)
        assert keys(w) == {"a"}


def test_a_table_of_microsofts_may_have_the_name_of_one_of_ours() -> None:
    inbox = "DefaultEndpointsProtocol=https;AccountName=inbox;AccountKey=a2V5;EndpointSuffix=core.windows.net"
    with world(environ={"LEADS_INBOX": inbox, "LEADS_INBOX_TABLES": "Leads"}) as w:
        assert w.app.settings.problems == ()
        w.inbox.tables["Leads"] = [row("a", w.now)]
        look(w)
        assert keys(w) == {"a"}


def test_the_own_tables_are_those_of_the_ledger() -> None:
    assert {EVENTS, LEADS, JOURNAL, STATE} == settings.OWN_TABLES


def test_leads_that_waited_for_an_inbox_which_could_not_be_read_are_news() -> None:
    with world(crm=FakeDestination(), mail=FakeDestination(Kind.NOTIFICATION)) as w:
        look(w)
        put(w, row("waited", w.now, CreatedTime=f"{w.now:%Y-%m-%dT%H:%M:%SZ}"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(w.inbox, "pages", lambda *_: 1 / 0)
            with pytest.raises(RuntimeError):
                look(w)
            w.forward(days=9)
        w.live(minutes=10)
        assert w.states() == {"crm": "delivered", "mail": "delivered"}


def test_rows_from_before_the_app_are_no_news_when_they_are_brought_in() -> None:
    with world(crm=FakeDestination(), mail=FakeDestination(Kind.NOTIFICATION)) as w:
        put(w, row("old", w.now - timedelta(days=30)))
        look(w)
        importing.take_rows(w.app, TABLE, w.now, token="", skip=0, yes=True)
        w.live(minutes=10)
        assert w.states() == {"crm": "delivered", "mail": "skipped"}


def test_rows_that_wait_are_news_also_when_an_operator_is_faster_than_the_watch() -> None:
    with world(crm=FakeDestination(), mail=FakeDestination(Kind.NOTIFICATION)) as w:
        look(w)
        put(w, row("waited", w.now))
        w.forward(days=9)
        importing.take_rows(w.app, TABLE, w.now, token="", skip=0, yes=True)
        w.live(minutes=10)
        assert w.states() == {"crm": "delivered", "mail": "delivered"}


def test_a_full_table_of_old_rows_is_read_once(w: World) -> None:
    start = w.now - timedelta(days=400)
    put(w, *(row(f"{number:05}", start + timedelta(minutes=number)) for number in range(12_000)))
    calls: list[str] = []
    w.app.store = Noting(w.store, calls)
    look(w, 60)
    assert len(w.store.tables["events"]) == 12_000
    assert len(calls) < 12_000 + 60 * 5
    put(w, row("new", w.now, partition="strange"))
    look(w, 26, hours=1)
    assert keys(w) == {"new"}


def test_a_scan_by_the_clock_of_the_storage_misses_nothing_that_is_written_behind_it(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "ROWS_PER_RUN", 20)
    w.inbox.page = 10
    old = w.now - timedelta(days=400)
    put(w, *(row(f"k{number:03}", old, partition=f"strange{number:03}") for number in range(100)))
    look(w, 3)
    put(w, row("behind", w.now, partition="strange000"))
    look(w, 40)
    assert keys(w) == {"behind"}


class TestManyThreads:
    """Rows are taken several at a time, and what they share is safe."""

    def test_rows_of_one_page_are_taken_at_the_same_time(self, w: World, monkeypatch: pytest.MonkeyPatch) -> None:
        together = Barrier(watch.ROWS_AT_ONCE, timeout=20)
        put_blob = w.store.put_blob

        def meeting(*given: Any) -> bool:
            together.wait()
            return put_blob(*given)

        put(w, *(row(f"r{number}", w.now) for number in range(5 * watch.ROWS_AT_ONCE)))
        monkeypatch.setattr(w.store, "put_blob", meeting)
        look(w)
        assert len(w.ids()) == 5 * watch.ROWS_AT_ONCE

    def test_many_threads_lose_and_double_nothing(self, w: World, caplog: pytest.LogCaptureFixture) -> None:
        """The same posts and rows from all sides; customers have several leads, so partitions are shared."""
        caplog.set_level("INFO")
        people = [
            PERSON | {"email": f"p{number}@contoso.com", "country": c} for number in range(5) for c in ("IT", "F")
        ]
        bodies = [post(userDetails=person, offerTitle=str(n)) for n in range(6) for person in people]
        put(w, *(row(f"r{number}", w.now) for number in range(100)))

        def everything(_: int) -> None:
            for body in bodies:
                accept.receive(w.app, body, w.now)
            watch.watch(w.app, w.now)

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(everything, range(16)))
        assert len(w.ids()) == len(bodies) + 100
        assert len(w.bell.waiting) == len(w.ids()), "each lead was rung for once, by whoever inserted it"
        accepted = [r for r in caplog.records if '"lead_accepted"' in r.message]
        assert len(accepted) == len(w.ids())

    def test_what_is_logged_is_logged_by_the_thread_of_the_function(
        self, w: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        put(w, *(row(f"r{number}", w.now) for number in range(50)))
        look(w)
        accepted = [r for r in caplog.records if '"lead_accepted"' in r.message]
        assert {r.thread for r in accepted} == {get_ident()}
        assert len(accepted) == 50
