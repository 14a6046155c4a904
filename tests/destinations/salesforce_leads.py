"""Steps and settings for the tests of the Salesforce destination."""

from __future__ import annotations

from collections.abc import Mapping

from dev.standins.salesforce import StandIn
from leads.contract import Earlier, Step
from leads.destinations import salesforce
from leads.lead import Lead, State
from leads.reader import Reader
from leads.transport import Deadline
from tests.destinations.dynamics_leads import NOW


def step(*others: tuple[Lead, str], remote_id: str = "", replayed: bool = False, uncertain: bool = False) -> Step:
    """A step after `others`, each with the remote id that it got; one without is open."""
    return Step(
        now=NOW,
        deadline=Deadline.after(30),
        earlier=tuple(Earlier(one, State.DELIVERED if told else State.OPEN, told) for one, told in others),
        remote_id=remote_id,
        replayed=replayed,
        uncertain=uncertain,
    )


def settings(org: StandIn, **extra: str) -> salesforce.Settings:
    """The settings for the stand-in, with `SALESFORCE_<extra>` besides."""
    reader = Reader(
        {**org.environ(), **{f"SALESFORCE_{name.upper()}": value for name, value in extra.items()}}, salesforce.SETTINGS
    )
    read = salesforce.Settings.read(reader)
    assert reader.problems == []
    return read


def problems(environ: Mapping[str, str]) -> dict[str, str]:
    """Each setting that is wrong in `environ`, with what is told about it."""
    reader = Reader(environ, salesforce.SETTINGS)
    salesforce.Settings.read(reader)
    return {problem.setting: f"{problem.cause} {problem.remedy}" for problem in reader.problems}
