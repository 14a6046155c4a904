"""Leads and deliveries survive being stored: nothing is altered, nothing outgrows a property, few columns suffice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leads.lead import Attempt, Contact, Delivery, Lead, Outcome, Stage, State, Via
from leads.store.protocol import Row
from leads.store.rows import (
    ATTEMPTS_KEPT,
    CAUSE_LIMIT,
    delivery_row,
    lead_row,
    read_delivery,
    read_lead,
    time_read,
    time_text,
)
from leads.store.testing import MemoryStore

NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
times = st.datetimes(
    datetime(1900, 1, 1),  # noqa: DTZ001 - the strategy wants its limits so
    datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | text, lambda v: st.lists(v) | st.dictionaries(text, v)
)

leads = st.builds(
    Lead,
    id=st.just(f"{'a' * 16}-{'b' * 16}"),
    via=st.sampled_from(Via),
    arrived_at=times,
    created_at=times,
    source=text,
    action=text,
    offer=text,
    offer_title=text,
    stage=st.sampled_from(Stage),
    contact=st.builds(Contact, *[text] * 7),
    message=text,
    campaign=st.dictionaries(text, text, max_size=5),
    is_test=st.booleans(),
    do_not_contact=st.booleans(),
    contact_withheld=st.booleans(),
    extra=st.dictionaries(text, json_values, max_size=5),
    issues=st.lists(text, max_size=5).map(tuple),
    raw=text,
)
attempts = st.builds(
    Attempt,
    at=times,
    outcome=st.sampled_from(Outcome),
    cause=text,
    remedy=text,
    seconds=st.floats(0, 30).map(lambda seconds: round(seconds, 3)),
)
deliveries = st.builds(
    Delivery,
    lead_id=st.just(f"{'a' * 16}-{'b' * 16}"),
    destination=st.sampled_from(["dynamics", "email"]),
    state=st.sampled_from(State),
    next_at=times,
    tries=st.integers(0, 100),
    attempts=st.lists(attempts, max_size=5).map(tuple),
    attempt_count=st.integers(0, 10_000),
    claimed_until=st.none() | times,
    rung_at=st.none() | times,
    alerted_at=st.none() | times,
    remote_id=text,
    finished_at=st.none() | times,
    reason=text,
    replayed=st.booleans(),
)


def stored(row: Row) -> Row:
    """Through the twin, which refuses what Azure Table storage would."""
    store = MemoryStore()
    store.insert("leads", row)
    found = store.get("leads", row.partition, row.key)
    assert found
    return found


# Making a whole lead out of texts takes its time on a busy machine.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(leads)
def test_a_lead_comes_back_as_it_went(lead: Lead) -> None:
    assert read_lead(stored(lead_row(lead))) == lead


@given(deliveries)
def test_a_delivery_comes_back_as_it_went(delivery: Delivery) -> None:
    row = stored(delivery_row(delivery))
    assert read_delivery(row) == replace(delivery, etag=row.etag)


@given(st.lists(st.text(max_size=3000).map(lambda c: c.encode("utf-8", "replace").decode()), max_size=80))
def test_however_much_went_wrong_a_delivery_fits_its_row(causes: list[str]) -> None:
    tried = tuple(Attempt(NOON, Outcome.TRANSIENT, cause, cause) for cause in causes)
    delivery = Delivery("a-b", "crm", State.OPEN, NOON, attempts=tried)
    kept = read_delivery(stored(delivery_row(delivery))).attempts
    assert len(kept) <= ATTEMPTS_KEPT
    assert all(len(attempt.cause) <= CAUSE_LIMIT for attempt in kept)
    if causes:
        assert kept[-1].cause == causes[-1][:CAUSE_LIMIT], "the newest attempt is the one to keep"


def test_half_a_character_in_a_destinations_words_does_not_keep_an_attempt_from_being_recorded() -> None:
    tried = (Attempt(NOON, Outcome.REJECTED, "No: \ud83d", "Mend \ud83d."),)
    delivery = Delivery("a-b", "crm", State.DEAD, NOON, attempts=tried, remote_id="\ud83d", reason="\ud83d")
    assert read_delivery(stored(delivery_row(delivery))).attempts[0].cause == "No: ?"


def test_words_of_a_later_version_are_read_after_a_rollback() -> None:
    lead = read_lead(Row("a", "b", {"via": "pigeon", "stage": "enthusiastic"}))
    assert (lead.via, lead.stage) == (Via.HTTPS, Stage.UNKNOWN)
    attempts = '[{"at": "2026-11-21T12:00:00.000000Z", "outcome": "bored"}]'
    assert read_delivery(Row("a", "b:c", {"attempts": attempts})).attempts[0].outcome == Outcome.TRANSIENT


def test_the_text_of_times_is_in_the_order_of_time() -> None:
    moments = [NOON + timedelta(microseconds=step**3) for step in range(200)]
    moments += [moment.astimezone(timezone(timedelta(hours=9))) for moment in moments]
    assert sorted(moments, key=time_text) == sorted(moments)
    assert time_read(time_text(NOON)) == NOON
    assert time_read("") is None
    assert time_read(None) is None
