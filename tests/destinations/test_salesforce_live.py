"""Against a real org. Opt in: set `SALESFORCE_TEST_URL` and the other `SALESFORCE_TEST_…` settings.

Each test makes a lead of a made-up customer at example.com, which stays there: the app has no right to delete.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from leads import crm
from leads.contract import Earlier, Step
from leads.destinations import salesforce
from leads.destinations.salesforce import mapping
from leads.destinations.salesforce.api import Api, quoted
from leads.errors import Misconfigured
from leads.lead import Contact, Lead, Stage, State, Via
from leads.reader import Reader
from leads.transport import Deadline

PREFIX = "SALESFORCE_TEST_"
ENVIRON = {
    f"SALESFORCE_{name.removeprefix(PREFIX)}": value for name, value in os.environ.items() if name.startswith(PREFIX)
}

pytestmark = pytest.mark.skipif("SALESFORCE_URL" not in ENVIRON, reason=f"{PREFIX}URL is not set")


class Live:
    """The org and one customer in it."""

    def __init__(self, **extra: str) -> None:
        reader = Reader(
            {**ENVIRON, **{f"SALESFORCE_{name.upper()}": value for name, value in extra.items()}}, salesforce.SETTINGS
        )
        self.settings = salesforce.Settings.read(reader)
        assert reader.problems == []
        self.customer = uuid.uuid4().hex[:16]

    def lead(self, action: str, stage: Stage, number: int) -> Lead:
        now = datetime.now(UTC)
        return Lead(
            via=Via.HTTPS,
            arrived_at=now,
            created_at=now,
            id=f"{self.customer}-{number:016x}",
            source="SPZA",
            action=action,
            offer="contoso.live-test",
            offer_title="Live test of marketplace leads",
            stage=stage,
            contact=Contact("Ada", "Test", f"{self.customer}@example.com", "+390669812345", "IT", "Example", "Tester"),
            message="<b>Delete me</b>: I am a test of the marketplace leads app. Ω 😀 " + "long " * 600,
            campaign={"utm_source": "live-test"},
            do_not_contact=stage == Stage.DO_NOT_CONTACT,
        )

    def send(self, lead: Lead, *earlier: tuple[Lead, str], remote_id: str = "", uncertain: bool = False) -> str:
        before = tuple(Earlier(one, State.DELIVERED, told) for one, told in earlier)
        step = Step(
            datetime.now(UTC),
            Deadline.after(30),
            before,
            remote_id=remote_id,
            replayed=bool(remote_id),
            uncertain=uncertain,
        )
        return salesforce.send(lead, step, self.settings)

    def rows(self, names: tuple[str, ...], kind: str, condition: str) -> list[dict[str, Any]]:
        api = Api(self.settings, Deadline.after(30), datetime.now(UTC))
        return api.rows(api.find(names, kind, condition), "show what was written")

    def lead_row(self, id_: str) -> dict[str, Any]:
        names = ("Id", "LastName", "Rating", "Description", "HasOptedOutOfEmail", "DoNotCall", "Country")
        (row,) = self.rows(names, "Lead", f"Id = {quoted(id_)}")
        return row


@pytest.fixture
def live() -> Live:
    return Live()


def test_check_finds_nothing_wrong(live: Live) -> None:
    assert [found for found in salesforce.check(live.settings, Deadline.after(60)) if not found.ok] == []


def test_steps_of_a_customer(live: Live) -> None:
    """One record, its rating raised and never lowered, a task for each step, nothing twice."""
    first, second = live.lead("INS", Stage.INITIAL_INTEREST, 1), live.lead("PLT", Stage.ACTIVE, 2)
    id_ = live.send(first)
    row = live.lead_row(id_)
    assert (row["LastName"], row["Rating"], row["Country"]) == ("Test", "Cold", crm.country("IT"))
    assert live.send(second, (first, id_)) == id_
    assert live.lead_row(id_)["Rating"] == "Hot"
    assert live.send(first, (second, id_), uncertain=True) == id_
    assert live.send(second, remote_id=id_) == id_
    tasks = live.rows(("Id", "Description", "Status"), "Task", f"WhoId = {quoted(id_)}")
    assert len(tasks) == 2
    assert all("<b>Delete me</b>" in task["Description"] for task in tasks)


def test_the_same_again_without_any_memory(live: Live) -> None:
    one = live.lead("PLT", Stage.ACTIVE, 1)
    id_ = live.send(one)
    assert live.send(one) == id_
    stem = mapping.key_stem(one)
    assert len(live.rows(("Id",), "Lead", f"{live.settings.lead_key} LIKE {quoted(stem + '%')}")) == 1


def test_do_not_contact_sets_the_flags(live: Live) -> None:
    row = live.lead_row(live.send(live.lead("DNC", Stage.DO_NOT_CONTACT, 1)))
    assert (row["HasOptedOutOfEmail"], row["DoNotCall"]) == (True, True)


def test_an_unknown_field_is_left_out() -> None:
    live = Live(fields='{"There_Is_No_Such_Field__c": "x"}')
    assert live.lead_row(live.send(live.lead("PLT", Stage.ACTIVE, 1)))["LastName"] == "Test"


def test_a_wrong_secret_is_misconfigured(live: Live) -> None:
    if not live.settings.client_secret:
        pytest.skip("signs in without a secret")
    live.settings = replace(live.settings, client_secret="wrong")
    with pytest.raises(Misconfigured):
        live.send(live.lead("PLT", Stage.ACTIVE, 1))
