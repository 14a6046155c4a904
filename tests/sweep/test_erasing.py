"""A destination that keeps leads in a place of ours lets go of them before the app does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from leads.contract import Kind
from leads.errors import Transient
from leads.intake import accept
from leads.operate import forget
from leads.sweep import purge
from leads.transport import Deadline
from tests.world import FakeDestination, post, world

ADA = {"email": "ada@example.com", "firstName": "Ada"}


@dataclass
class Sheet(FakeDestination):
    """A feed that keeps what it gets."""

    KIND: Kind = Kind.FEED
    erased: list[tuple[str, str]] = field(default_factory=list)
    stuck: Exception | None = None
    asked: int = 0

    def erase(self, lead_id: str, remote_id: str, deadline: Deadline, _: Any) -> None:
        assert deadline.remaining() > 0
        self.asked += 1
        if self.stuck:
            raise self.stuck
        self.erased.append((lead_id, remote_id))


def test_a_forgotten_customer_leaves_it_first_and_need_not_be_deleted_there_by_hand() -> None:
    sheet = Sheet()
    with world(table=sheet, crm=FakeDestination()) as w:
        lead_id = accept.receive(w.app, post(userDetails=ADA), w.now).id
        w.drain()
        told = forget.forget(w.app, ADA["email"], w.now)
        assert sheet.erased == [(lead_id, f"remote-{lead_id[-16:]}")]
        assert [each["where"] for each in told["by_hand"]] == ["crm", "Partner Center"]
        assert w.ids() == []


def test_while_it_cannot_be_reached_nothing_is_forgotten_and_the_operator_hears_of_it() -> None:
    sheet = Sheet(stuck=Transient("The storage account did not answer.", "Try again."))
    with world(table=sheet) as w:
        lead_id = accept.receive(w.app, post(userDetails=ADA), w.now).id
        w.drain()
        told = forget.forget(w.app, ADA["email"], w.now)
        assert told["forgotten"] == 0
        assert lead_id in told["unsearched"][0]["where"]
        assert "did not answer" in told["unsearched"][0]["why"]
        assert w.ids() == [lead_id]
        sheet.stuck = None
        assert forget.forget(w.app, ADA["email"], w.now)["forgotten"] == 1
        assert len(sheet.erased) == 1


def test_wrong_settings_of_it_are_told() -> None:
    sheet = Sheet()
    with world(table=sheet) as w:
        accept.receive(w.app, post(userDetails=ADA), w.now)
        w.drain()
        sheet.problems = (("TABLE_STORAGE", "It is not set.", "Set it."),)
        told = forget.forget(w.app, ADA["email"], w.now)
        assert "TABLE_STORAGE" in told["unsearched"][0]["why"]
        assert len(w.ids()) == 1


def test_what_it_never_got_is_not_asked_for() -> None:
    sheet = Sheet()
    with world(table=sheet) as w:
        accept.receive(w.app, post(userDetails=ADA), w.now)
        forget.forget(w.app, ADA["email"], w.now)
        assert sheet.erased == []


def test_purge_erases_there_and_keeps_what_it_cannot_erase_for_another_day() -> None:
    sheet = Sheet(stuck=Transient("No connection.", "Wait."))
    with world(table=sheet) as w:
        lead_id = accept.receive(w.app, post(userDetails=ADA), w.now).id
        w.drain()
        w.sweep()
        w.forward(days=367)
        assert purge.purge(w.app, w.now) == 0
        assert w.ids() == [lead_id]
        sheet.stuck = None
        assert purge.purge(w.app, w.now) == 1
        assert w.ids() == []
        assert sheet.erased == [(lead_id, f"remote-{lead_id[-16:]}")]


def test_one_that_hangs_is_asked_once_and_keeps_nothing_that_it_never_got() -> None:
    sheet = Sheet(stuck=Transient("The storage account did not answer in time.", "Wait."))
    with world(
        environ={"LEADS_DESTINATIONS": "table,crm", "LEADS_ROUTES": "stage=trial > crm; > table,crm"},
        table=sheet,
        crm=FakeDestination(),
    ) as w:
        for number in range(8):
            code = "StartTestDrive" if number % 2 else "INS"
            accept.receive(w.app, post(userDetails={"email": f"{number}@example.com"}, actionCode=code), w.now)
        w.drain()
        w.sweep()
        w.forward(days=367)
        assert purge.purge(w.app, w.now) == 4
        assert sheet.asked == 1, "half a minute each would outlast the sweep"
        assert len(w.ids()) == 4


def test_purge_ends_in_time_and_goes_on_with_the_next_sweep() -> None:
    with world() as w:
        for number in range(5):
            accept.receive(w.app, post(userDetails={"email": f"{number}@example.com"}), w.now)
        w.drain()
        w.sweep()
        w.forward(days=367)
        left = iter([False] * 2)
        assert purge.purge(w.app, w.now, is_late=lambda: next(left, True)) == 2
        w.sweep()
        assert w.ids() == []
