"""Leads and steps for the tests of the Dynamics destination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dev.standins.dynamics import StandIn
from leads import oauth
from leads.contract import Earlier, Step
from leads.destinations import dynamics
from leads.lead import Contact, Lead, Stage, State, Via
from leads.reader import Reader
from leads.transport import Deadline

NOW = datetime(2026, 11, 3, 16, 5, 6, tzinfo=UTC)
CUSTOMER = "a1b2c3d4e5f60718"
STAGES = {
    "PLT": Stage.ACTIVE,
    "INS": Stage.INITIAL_INTEREST,
    "Create": Stage.ACTIVE,
    "StartTestDrive": Stage.TRIAL,
    "DNC": Stage.DO_NOT_CONTACT,
    "NEW": Stage.UNKNOWN,
}
JOHN = Contact("John", "Smith", "jsmith@microsoft.com", "+14255550100", "US", "Microsoft", "CTO")


def lead(action: str = "PLT", *, event: int = 1, customer: str = CUSTOMER, **changes: Any) -> Lead:
    """A lead of John Smith for Contoso Planner; `event` numbers what he did."""
    made = Lead(
        via=Via.TABLE,
        arrived_at=NOW + timedelta(minutes=event),
        created_at=NOW + timedelta(minutes=event),
        id=f"{customer}-{event:016x}",
        source="SPZA",
        action=action,
        offer="contoso.planner",
        offer_title="Contoso Planner",
        stage=STAGES[action],
        contact=JOHN,
        message="Could you call me about prices?",
        do_not_contact=action == "DNC",
    )
    return replace(made, **changes)


def step(
    *earlier: tuple[Lead, str], remote_id: str = "", replayed: bool = False, deadline: Deadline | None = None
) -> Step:
    """A step after `earlier` ones, each with the remote id that it got."""
    return Step(
        now=NOW,
        deadline=deadline or Deadline.after(30),
        earlier=tuple(Earlier(one, State.DELIVERED, told) for one, told in earlier),
        remote_id=remote_id,
        replayed=replayed,
    )


def settings(crm: StandIn, **extra: str) -> dynamics.Settings:
    """The settings for the stand-in, with `DYNAMICS_<extra>` besides."""
    reader = Reader(
        {**crm.environ(), **{f"DYNAMICS_{name.upper()}": value for name, value in extra.items()}}, dynamics.SETTINGS
    )
    read = dynamics.Settings.read(reader)
    assert reader.problems == []
    return read


def oauth_forgets() -> None:
    """Sign in anew, as a process that just started."""
    oauth._client.cache_clear()


def problems(environ: Mapping[str, str]) -> dict[str, str]:
    """Each setting that is wrong in `environ`, with what is told about it."""
    reader = Reader(environ, dynamics.SETTINGS)
    dynamics.Settings.read(reader)
    return {problem.setting: f"{problem.cause} {problem.remedy}" for problem in reader.problems}
