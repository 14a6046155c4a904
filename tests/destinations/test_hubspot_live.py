"""Against a real account. Opt in: set `HUBSPOT_TEST_TOKEN` and the other `HUBSPOT_TEST_…` settings.

Each test makes contacts of made-up customers at example.com, and deletes them.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from leads.contract import Step
from leads.destinations import hubspot
from leads.destinations.hubspot.api import Api
from leads.errors import Misconfigured
from leads.lead import Contact, Lead, Stage, Via
from leads.reader import Reader
from leads.transport import Deadline

PREFIX = "HUBSPOT_TEST_"
ENVIRON = {
    f"HUBSPOT_{name.removeprefix(PREFIX)}": value for name, value in os.environ.items() if name.startswith(PREFIX)
}

pytestmark = pytest.mark.skipif("HUBSPOT_TOKEN" not in ENVIRON, reason=f"{PREFIX}TOKEN is not set")


class Live:
    """The account and one customer in it."""

    def __init__(self, **changes: str) -> None:
        reader = Reader({**ENVIRON, **changes}, hubspot.SETTINGS)
        self.settings = hubspot.Settings.read(reader)
        assert reader.problems == []
        self.customer = uuid.uuid4().hex[:16]
        self.contacts: set[str] = set()

    @property
    def api(self) -> Api:
        return Api(self.settings, Deadline.after(30), datetime.now(UTC))

    def lead(self, action: str, stage: Stage, number: int, email: str | None = None) -> Lead:
        now = datetime.now(UTC)
        address = f"{self.customer}@example.com" if email is None else email
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
            contact=Contact("Ada", "Test", address, "+390669812345", "IT", "Example", "Tester"),
            message="<b>Delete me</b>: I am a test of the marketplace leads app. Ω 😀 " + "long " * 600,
            do_not_contact=stage == Stage.DO_NOT_CONTACT,
        )

    def send(self, lead: Lead, remote_id: str = "", **more: Any) -> str:
        contact = hubspot.send(
            lead, Step(datetime.now(UTC), Deadline.after(30), remote_id=remote_id, **more), self.settings
        )
        self.contacts.add(contact)
        return contact

    def notes(self, contact: str) -> list[str]:
        return self.api.notes(contact) or []


@pytest.fixture
def live() -> Iterator[Live]:
    made = Live()
    yield made
    for contact in made.contacts:
        made.api.call("DELETE", made.api.objects(f"contacts/{contact}"))


def test_check_finds_nothing_wrong(live: Live) -> None:
    assert [found for found in hubspot.check(live.settings, Deadline.after(60)) if not found.ok] == []


def test_steps_of_a_customer(live: Live) -> None:
    first, second = live.lead("INS", Stage.INITIAL_INTEREST, 1), live.lead("PLT", Stage.ACTIVE, 2)
    contact = live.send(first)
    found = live.api.read(contact, ("email", "lastname", "country"))
    assert found is not None
    assert found["properties"]["lastname"] == "Test"
    assert found["properties"]["country"] == "Italy"
    assert live.send(second) == contact, "409, and the look by the address"
    assert live.send(second, uncertain=True) == contact
    bodies = live.notes(contact)
    assert len(bodies) == 2, "the list of associations shows what was just written"
    assert {one.id for one in (first, second) for body in bodies if one.id in body} == {first.id, second.id}
    assert live.send(first, contact, replayed=True) == contact


def test_a_customer_without_an_address(live: Live) -> None:
    if not live.settings.key:
        pytest.skip(f"{PREFIX}KEY is not set")
    one = live.lead("PLT", Stage.ACTIVE, 1, email="")
    contact = live.send(one)
    assert live.send(one, uncertain=True) == contact
    assert len(live.notes(contact)) == 1


def test_do_not_contact(live: Live) -> None:
    contact = live.send(live.lead("DNC", Stage.DO_NOT_CONTACT, 1))
    flag = live.settings.do_not_contact
    if flag:
        found = live.api.read(contact, (flag,))
        assert found is not None
        assert found["properties"][flag] == "true"


def test_a_property_that_is_not_there_is_left_out() -> None:
    made = Live(HUBSPOT_FIELDS='{"there_is_no_such_property": "x"}')
    contact = made.send(made.lead("PLT", Stage.ACTIVE, 1))
    assert made.api.read(contact, ("email",)) is not None
    made.api.call("DELETE", made.api.objects(f"contacts/{contact}"))


def test_a_wrong_token_is_misconfigured() -> None:
    made = Live(HUBSPOT_TOKEN="pat-eu1-a-wrong-token")
    with pytest.raises(Misconfigured):
        made.send(made.lead("PLT", Stage.ACTIVE, 1))
