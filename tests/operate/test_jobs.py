"""Jobs: they survive a closed browser, two lookers, a crash and changed settings, and forget what is personal."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from leads.errors import Rejected
from leads.intake import accept
from leads.operate import jobs, operations, stretches
from leads.operate.jobs import ASK, DONE, DROPPED, FAILED, Job
from leads.operate.page import job_words
from leads.operate.stretches import WORK
from leads.settings import Account
from leads.store.azure import AzureStore
from leads.store.ledger import STATE
from leads.store.protocol import Changed, Exists, Row
from leads.store.rows import time_text
from tests.page import visitor
from tests.test_privacy import ADA, HERS, assert_gone, everything
from tests.world import FakeDestination, World, failing, post, world

LEADS = 6


@pytest.fixture
def dead() -> Iterator[World]:
    """Some leads that died at `crm`, which works again."""
    with world(crm=FakeDestination(always=failing(Rejected))) as made:
        for number in range(LEADS):
            person = {"email": f"p{number}@contoso.com", "firstName": "P"}
            accept.receive(made.app, post(userDetails=person), made.now)
        made.live(minutes=10)
        made.places["crm"].always = None
        yield made


def begin(w: World, kind: str, upload: bytes | None = None, **given: Any) -> Job:
    return jobs.begin(w.app, kind, given, w.now, operator="Grace", way="key", upload=upload)


def replay(w: World) -> Job:
    """A job that asks whether it may replay what died."""
    job = look(w, begin(w, "replay", state="dead", destination="crm"))
    assert (job.phase, job.found["deliveries"]) == (ASK, LEADS)
    return job


def look(w: World, job: Job, seconds: float = 60) -> Job:
    found = jobs.go_on(w.app, job.id, w.now, seconds)
    assert found
    return found


def yes(w: World, job: Job, **given: str) -> Job:
    return jobs.say_yes(w.app, job, w.now, "Grace", "key", **given)


def dead_ones(w: World) -> int:
    return sum(row.values.get("state") == "dead" for row in w.store.tables["leads"].values())


class TestGoingOn:
    def test_nothing_is_changed_before_a_yes(self, dead: World) -> None:
        replay(dead)
        for _ in range(3):
            jobs.go_on_all(dead.app, dead.now)
        assert dead_ones(dead) == LEADS

    def test_one_look_works_for_a_moment_only(self, dead: World) -> None:
        job = yes(dead, replay(dead))
        left = [dead_ones(dead)]
        while job.phase == WORK:
            job = look(dead, job, 0)
            left.append(dead_ones(dead))
        assert all(before - after <= 1 for before, after in pairwise(left)), "one delivery a step"
        assert (left[-1], job.done["deliveries"]) == (0, LEADS)

    def test_it_goes_on_when_the_browser_is_closed(self, dead: World) -> None:
        job = look(dead, yes(dead, replay(dead)), 0)
        assert job.phase == WORK
        dead.forward(minutes=5)
        jobs.go_on_all(dead.app, dead.now)
        ended = jobs.read(dead.app, job.id, dead.now)
        assert ended
        assert (ended.phase, dead_ones(dead)) == (DONE, 0)

    def test_two_who_look_at_once_do_nothing_twice(self, dead: World) -> None:
        job = yes(dead, replay(dead))
        first = jobs._save(dead.app, replace(job, busy_until=dead.now + jobs.BUSY))
        with pytest.raises(Changed):
            jobs._save(dead.app, replace(job, busy_until=dead.now + jobs.BUSY))
        assert look(dead, job) == first, "who comes meanwhile sees how it stands"
        assert dead_ones(dead) == LEADS

    def test_one_at_a_time_in_a_process(self, dead: World) -> None:
        job = yes(dead, replay(dead))
        with jobs._working:
            assert look(dead, job).phase == WORK
        assert look(dead, job).phase == DONE

    def test_a_crash_costs_a_stretch_and_no_lead(self, dead: World, monkeypatch: pytest.MonkeyPatch) -> None:
        job = look(dead, yes(dead, replay(dead)), 0)
        perform, calls = operations.perform, []

        def killed(app: Any, name: str, *given: Any) -> dict[str, Any]:
            calls.append(name)
            if len(calls) == 4:
                raise KeyboardInterrupt
            return perform(app, name, *given)

        with monkeypatch.context() as patched:
            patched.setattr(operations, "perform", killed)
            with pytest.raises(KeyboardInterrupt):
                look(dead, job)
        assert 0 < dead_ones(dead) < LEADS
        jobs.go_on_all(dead.app, dead.now)
        assert dead_ones(dead), "it is left to whoever took it, for two minutes"
        dead.forward(minutes=3)
        dead.drain()
        jobs.go_on_all(dead.app, dead.now)
        dead.live(minutes=10)
        ended = jobs.read(dead.app, job.id, dead.now)
        assert ended
        assert (ended.phase, dead_ones(dead)) == (DONE, 0)
        got = [lead.id for lead, _ in dead.places["crm"].got]
        assert all(got.count(each) == 2 for each in set(got)), "once when it died, and once more"
        assert "so it may have done more than it counted" in str(job_words.told(ended).said)

    def test_what_fails_unforeseen_goes_on_where_it_stopped_and_ends_at_last(
        self, dead: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = yes(dead, replay(dead))
        broken = dead.app.ledger.open

        def refuse(*_: Any) -> None:
            raise OSError

        monkeypatch.setattr(dead.app.ledger, "open", refuse)
        job = look(dead, job)
        assert (job.phase, job.tries) == (WORK, 1)
        monkeypatch.setattr(dead.app.ledger, "open", broken)
        assert look(dead, job, 0).tries == 0
        monkeypatch.setattr(dead.app.ledger, "open", refuse)
        for _ in range(jobs.TRIES):
            job = look(dead, job)
        assert job.phase == FAILED
        assert "OSError" in job.cause

    def test_settings_that_change_under_way(self, dead: World) -> None:
        job = yes(dead, replay(dead))
        dead.app.environ = {**dead.app.environ, "LEADS_DESTINATIONS": "elsewhere"}
        assert look(dead, job).phase == DONE, "what died is opened, and waits as any delivery to it does"

    def test_what_needs_a_destination_that_is_not_there_fails_with_its_remedy(self, dead: World) -> None:
        job = look(dead, begin(dead, "replay", state="", destination="nowhere"))
        assert job.phase == FAILED
        assert "LEADS_DESTINATIONS has no 'nowhere'." in job.cause

    def test_stopping(self, dead: World) -> None:
        job = look(dead, yes(dead, replay(dead)), 0)
        assert jobs.drop(dead.app, job, dead.now).phase == DROPPED
        left = dead_ones(dead)
        jobs.go_on_all(dead.app, dead.now)
        assert dead_ones(dead) == left > 0

    def test_stopping_what_the_sweep_is_at(self, dead: World, monkeypatch: pytest.MonkeyPatch) -> None:
        job = yes(dead, replay(dead))
        perform, calls = operations.perform, []

        def dropped(app: Any, name: str, *given: Any) -> dict[str, Any]:
            calls.append(name)
            if len(calls) == 3:
                seen = jobs.read(app, job.id, dead.now)
                assert seen
                assert jobs.drop(app, seen, dead.now).phase == DROPPED
            return perform(app, name, *given)

        monkeypatch.setattr(stretches, "ASKED_EVERY", 0.0)
        monkeypatch.setattr(operations, "perform", dropped)
        jobs.go_on_all(dead.app, dead.now)
        left = dead_ones(dead)
        assert left == LEADS - 2, "it ended with the step that was under way"
        ended = jobs.read(dead.app, job.id, dead.now)
        assert ended
        assert "so it may have done more than it counted" in str(job_words.told(ended).said)
        dead.forward(minutes=5)
        jobs.go_on_all(dead.app, dead.now)
        assert dead_ones(dead) == left

    def test_what_a_dropped_stretch_still_found_is_deleted(self, dead: World, monkeypatch: pytest.MonkeyPatch) -> None:
        job = begin(dead, "customer", who="p1@contoso.com")
        perform = operations.perform

        def dropped(app: Any, name: str, *given: Any) -> dict[str, Any]:
            seen = jobs.read(app, job.id, dead.now)
            assert seen
            jobs.drop(app, seen, dead.now)
            return perform(app, name, *given)

        monkeypatch.setattr(operations, "perform", dropped)
        jobs.go_on(dead.app, job.id, dead.now)
        dead.forward(minutes=3)
        jobs.go_on_all(dead.app, dead.now)
        assert dead.store.containers["jobs"] == {}

    def test_an_old_yes_counts_once(self, dead: World) -> None:
        job = replay(dead)
        yes(dead, job)
        with pytest.raises(Changed):
            yes(dead, job)

    def test_there_are_only_so_many(self, dead: World) -> None:
        for _ in range(jobs.AT_ONCE):
            begin(dead, "skip", destination="crm")
        with pytest.raises(jobs.TooMany):
            begin(dead, "skip", destination="crm")


class Killed(BaseException):
    """The process ended here."""


class Mortal:
    """Stands before the store, and ends the process right behind the write of a number."""

    def __init__(self, inner: Any, left: int) -> None:
        self.inner, self.left = inner, left

    def __getattr__(self, name: str) -> Any:
        def asked(*given: Any, **named: Any) -> Any:
            found = getattr(self.inner, name)(*given, **named)
            if name in WRITES:
                self.left -= 1
                if self.left == 0:
                    raise Killed
            return found

        return asked if callable(getattr(self.inner, name)) else getattr(self.inner, name)


WRITES = frozenset(("insert", "replace", "upsert", "delete", "transact", "put_blob", "delete_blob"))
CSV = b"Email,Offer,Created\n" + b"".join(b"zoe%d@else.example,Planner,2026-11-20\n" % n for n in range(3))
KILLED: dict[str, tuple[str, dict[str, Any]]] = {
    "replay": ("replay", {"state": "dead", "destination": "crm"}),
    "discard": ("discard-leads", {"offer": "planner"}),
    "forget": ("customer", {"who": "p1@contoso.com"}),
    "import": ("import", {}),
}

ENDED = {
    "replay": ["delivered", "delivered"],
    "discard": [],
    "forget": ["dead"],
    "import": ["dead", "dead", "delivered", "delivered", "delivered"],
}
"""How the deliveries of two leads that died, and of what was imported, stand at the end."""


@pytest.mark.parametrize("what", KILLED)
def test_it_may_crash_behind_any_write(what: str) -> None:
    kind, given = KILLED[what]
    for number in range(1, 100):
        with world(crm=FakeDestination(always=failing(Rejected))) as w:
            for each in range(2):
                accept.receive(w.app, post(userDetails={"email": f"p{each}@contoso.com"}), w.now)
            w.live(minutes=10)
            w.places["crm"].always = None
            mortal = Mortal(w.store, number)
            w.app.store = w.app.ledger.store = mortal
            job: Job | None = None
            for _ in range(8):
                with suppress(Killed):
                    job = job or begin(w, kind, CSV if what == "import" else None, **given)
                    job = look(w, job)
                    if job.phase == ASK:
                        yes(w, job, **({"order": "forget"} if what == "forget" else {}))
                w.forward(minutes=3)
            assert job
            assert job.phase == DONE, (number, job)
            w.app.store = w.app.ledger.store = w.store
            w.live(minutes=40)
            states = sorted(str(row.values["state"]) for row in w.store.tables["leads"].values() if ":" in row.key)
            assert states == ENDED[what], number
            w.forward(hours=2)
            jobs.go_on_all(w.app, w.now)
            assert not w.store.containers.get("jobs")
            assert what != "forget" or "p1@contoso.com" not in everything(w)
            if mortal.left > 0:
                return
    raise AssertionError("It takes more writes than that.")


class TestPersonalData:
    """What is personal in a job goes when it has ended, at the latest an hour after."""

    @pytest.fixture
    def w(self) -> Iterator[World]:
        with world() as made:
            accept.receive(made.app, post(userDetails=ADA, description="Ruft wegen der Walze an"), made.now)
            with pytest.raises(accept.NotALead):
                accept.receive(made.app, f'["{ADA["email"]}"]'.encode(), made.now)
            made.live(minutes=10)
            yield made

    def test_forgetting_leaves_nothing(self, w: World) -> None:
        job = look(w, begin(w, "customer", who=ADA["email"]))
        assert (job.phase, job.found["leads"], job.found["entries"]) == (ASK, 1, 1)
        ended = look(w, yes(w, job, order="forget"))
        assert (ended.phase, ended.done["leads"], ended.done["entries"]) == (DONE, 1, 1)
        assert_gone(w)
        assert {"Fake", "Partner Center"} <= {each.get("where") for each in ended.shown}
        w.forward(hours=2)
        jobs.go_on_all(w.app, w.now)
        later = jobs.read(w.app, job.id, w.now)
        assert later
        assert (later.shown, later.parts, w.store.containers["jobs"]) == ((), (), {})
        assert later.done["leads"] == 1, "how much it was stays"

    def test_an_export_is_gone_after_an_hour(self, w: World) -> None:
        job = look(w, yes(w, look(w, begin(w, "customer", who=ADA["email"])), order="export"))
        records = [each for one in jobs.result(w.app, job) for each in one.get("records", ())]
        assert len(records) == 2
        assert "quentzler" in str(records).lower()
        w.forward(minutes=61)
        jobs.go_on_all(w.app, w.now)
        assert w.store.containers["jobs"] == {}
        later = jobs.read(w.app, job.id, w.now)
        assert later
        with pytest.raises(jobs.Gone):
            jobs.result(w.app, later)

    def test_what_nobody_says_yes_to_is_dropped_with_all_of_it(self, w: World) -> None:
        csv = "Email,First Name,Created\nsomebody@else.example,Zebedee,3/4/2026\n"
        for job in (begin(w, "customer", who="quentzler@else.example"), begin(w, "import", csv.encode())):
            look(w, job)
        assert "zebedee" in everything(w)
        w.forward(minutes=61)
        jobs.go_on_all(w.app, w.now)
        assert [part for part in ("zebedee", "quentzler@else") if part in everything(w)] == []
        assert {job.phase for job in jobs.every(w.app)} <= {DROPPED, DONE}

    def test_an_uploaded_file_ends_with_its_job(self, w: World) -> None:
        csv = b"Email,Company,Created\nzebedee@else.example,Else,2026-11-20\n"
        job = look(w, begin(w, "import", csv))
        assert (job.phase, job.found["new"]) == (ASK, 1)
        assert list(w.store.containers["jobs"]) == [f"{job.id}/upload", f"{job.id}/records"]
        ended = look(w, yes(w, job))
        assert (ended.phase, ended.done["taken"]) == (DONE, 1)
        assert w.store.containers["jobs"] == {}

    def test_a_job_is_remembered_for_a_week(self, w: World) -> None:
        look(w, begin(w, "check"))
        w.forward(days=8)
        jobs.go_on_all(w.app, w.now)
        assert jobs.every(w.app) == []

    def test_no_part_of_hers_was_ever_logged(self, w: World, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("DEBUG")
        for order in ("export", "forget"):
            look(w, yes(w, look(w, begin(w, "customer", who=ADA["email"])), order=order))
        assert [part for part in HERS if part in caplog.text.lower()] == []
        assert '"operation": "forget"' in caplog.text
        assert '"operator": "Grace"' in caplog.text


def test_a_job_of_another_version_ends_no_other_and_is_gone_a_day_later(dead: World) -> None:
    written = [
        ("0" * 16, {"kind": "check", "phase": "done", "made_at": time_text(dead.now)}),
        ("1" * 16, {"kind": "x"}),
    ]
    for job_id, values in written:
        dead.store.insert(STATE, Row("job", job_id, values))
        dead.store.put_blob("jobs", f"{job_id}/upload", b"somebody@else.example", {})
    browser = visitor(dead)
    assert browser.open("jobs").status == 200
    assert browser.open(f"jobs/{'0' * 16}").status == 404
    job = begin(dead, "check")
    jobs.go_on_all(dead.app, dead.now)
    assert look(dead, job).phase == DONE
    assert dead.store.get(STATE, "job", "0" * 16), "the other version may come back"
    dead.forward(hours=25)
    jobs.go_on_all(dead.app, dead.now)
    assert [each.id for each in jobs.every(dead.app)] == [job.id]
    assert [row.key for row in dead.store.rows(STATE, "job")] == [job.id]
    assert "somebody@else" not in everything(dead)


@pytest.mark.parametrize("change", [{"kind": "later"}, {"phase": "later"}])
def test_a_whole_job_of_a_sort_that_this_version_does_not_know_keeps_no_page_from_its_others(
    dead: World, change: dict[str, str]
) -> None:
    begin(dead, "discard", ids=["0" * 16])
    (row,) = dead.store.rows(STATE, "job")
    dead.store.replace(STATE, replace(row, values={**row.values, **change}))
    browser = visitor(dead)
    assert browser.open("jobs").status == 200
    assert browser.open("").status == 200
    dead.forward(hours=25)
    jobs.go_on_all(dead.app, dead.now)
    assert not list(dead.store.rows(STATE, "job"))


def test_a_sweep_that_has_no_job_asks_once(dead: World) -> None:
    asked: list[str] = []
    rows = dead.store.rows

    def noted(table: str, partition: str, *given: str) -> Any:
        asked.append(f"{table}/{partition}")
        return rows(table, partition, *given)

    dead.store.rows = noted  # type: ignore[method-assign,assignment]
    jobs.go_on_all(dead.app, dead.now)
    assert asked == ["state/job"]


def test_a_job_with_much_to_list_fits_into_a_row(dead: World) -> None:
    job = begin(dead, "check")
    shown = tuple(
        {"sort": f"check {n}", "part": "x", "name": "n", "ok": True, "cause": "\u202e" * 300} for n in range(90)
    )
    kept = jobs._save(dead.app, replace(job, shown=shown, busy_until=None))
    read = jobs.read(dead.app, job.id, dead.now + timedelta(minutes=1))
    assert read
    assert read.shown == kept.shown


def test_the_real_storage_keeps_a_job_too(azurite: str) -> None:
    store = AzureStore(Account("devstoreaccount1", azurite))
    with suppress(Exists):
        store.insert("state", Row("state", "id-key", {"key": "ab" * 32}))
    with world() as w:
        w.app.store = store
        email = f"zebedee.{secrets.token_hex(6)}@else.example"
        job = look(w, begin(w, "import", f"Email,Company,Created\n{email},Else,2026-11-20\n".encode()))
        assert (job.phase, job.found) == (ASK, {"new": 1, "records": 1, "looked": 1})
        again = jobs.read(w.app, job.id, w.now)
        assert again == job
        with pytest.raises(Changed):
            jobs._save(w.app, replace(job, etag="W/\"datetime'2026-01-01T00%3A00%3A00Z'\""))
        ended = look(w, yes(w, job))
        assert (ended.phase, ended.done["taken"]) == (DONE, 1)
        assert list(store.blobs("jobs", f"{job.id}/")) == []
        assert job.id in {each.id for each in jobs.every(w.app)}
        store.delete("state", "job", job.id)
