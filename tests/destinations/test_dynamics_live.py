"""Against a real environment. Opt in: set `DYNAMICS_TEST_URL` and the other `DYNAMICS_TEST_…` settings.

Each test makes records of a made-up customer at example.com, and deletes them where the app user may do that.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from leads.contract import Earlier, Step
from leads.destinations import dynamics
from leads.destinations.dynamics.api import Api
from leads.errors import Misconfigured
from leads.lead import Contact, Lead, Stage, State, Via
from leads.reader import Reader
from leads.transport import Deadline

PREFIX = "DYNAMICS_TEST_"
ENVIRON = {
    f"DYNAMICS_{name.removeprefix(PREFIX)}": value for name, value in os.environ.items() if name.startswith(PREFIX)
}

pytestmark = pytest.mark.skipif("DYNAMICS_URL" not in ENVIRON, reason=f"{PREFIX}URL is not set")


class Live:
    """The environment and one customer in it."""

    def __init__(self, **extra: str) -> None:
        reader = Reader(
            {**ENVIRON, **{f"DYNAMICS_{name.upper()}": value for name, value in extra.items()}}, dynamics.SETTINGS
        )
        self.settings = dynamics.Settings.read(reader)
        assert reader.problems == []
        self.customer = uuid.uuid4().hex[:16]
        self.guids: set[str] = set()

    @property
    def api(self) -> Api:
        return Api(self.settings, Deadline.after(30), datetime.now(UTC))

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

    def send(self, lead: Lead, *earlier: tuple[Lead, str], remote_id: str = "") -> str:
        before = tuple(Earlier(one, State.DELIVERED, told) for one, told in earlier)
        step = Step(datetime.now(UTC), Deadline.after(30), before, remote_id=remote_id, replayed=bool(remote_id))
        guid = dynamics.send(lead, step, self.settings)
        self.guids.add(guid)
        return guid

    def row(self, guid: str, select: str) -> dict[str, Any] | None:
        return self.api.read(f"leads({guid})", select, "show the record")

    def notes(self, guid: str) -> int:
        return len(self.api.find("annotations", f"_objectid_value eq {guid}", "$select=subject", "show the notes"))


@pytest.fixture
def live() -> Iterator[Live]:
    made = Live(follow_up="none")
    yield made
    for guid in made.guids:
        made.api.call("DELETE", f"leads({guid})")


def test_check_finds_nothing_wrong(live: Live) -> None:
    wrong = [found for found in dynamics.check(live.settings, Deadline.after(60)) if not found.ok]
    assert wrong == []


def test_steps_of_a_customer(live: Live) -> None:
    first, second = live.lead("INS", Stage.INITIAL_INTEREST, 1), live.lead("PLT", Stage.ACTIVE, 2)
    guid = live.send(first)
    assert live.send(first) == guid
    row = live.row(guid, "subject,lastname,leadqualitycode,description,address1_country")
    assert row is not None
    assert row["lastname"] == "Test"
    assert row["leadqualitycode"] == 3
    assert row["address1_country"] == "Italy"
    assert live.send(second, (first, guid)) == guid
    raised = live.row(guid, "leadqualitycode")
    assert raised is not None
    assert raised["leadqualitycode"] == 1
    assert live.send(first, (second, guid)) == guid
    assert live.notes(guid) == 2
    assert live.send(second, remote_id=guid) == guid


def test_do_not_contact_sets_the_flags(live: Live) -> None:
    guid = live.send(live.lead("DNC", Stage.DO_NOT_CONTACT, 1))
    row = live.row(guid, "donotemail,donotphone")
    assert row is not None
    assert row["donotemail"] is True
    assert row["donotphone"] is True


def test_an_unknown_column_is_left_out() -> None:
    live = Live(fields='{"new_there_is_no_such_column": "x"}')
    guid = live.send(live.lead("PLT", Stage.ACTIVE, 1))
    assert live.row(guid, "subject") is not None
    live.api.call("DELETE", f"leads({guid})")


def test_a_record_that_is_not_there(live: Live) -> None:
    assert live.row(str(uuid.uuid4()), "subject") is None


def test_a_wrong_secret_is_misconfigured(live: Live) -> None:
    if not live.settings.credentials.secret:
        pytest.skip("signs in without a secret")
    live.settings = replace(live.settings, credentials=replace(live.settings.credentials, secret="wrong"))
    with pytest.raises(Misconfigured):
        live.send(live.lead("PLT", Stage.ACTIVE, 1))
