"""Against real places of each kind that is no CRM (those have files of their own). Opt in by `<NAME>_TEST_…` settings.

What `EMAIL_TEST_TO` or `SLACK_TEST_WEBHOOK_URL` say is what the app reads without `_TEST`. A made-up lead and a made-up
alert are really sent; where the place is ours, the lead is erased again.
"""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime

import pytest

from leads import enabled
from leads.contract import Step
from leads.lead import Contact, Lead, Stage, Via
from leads.messages.alert import Alert
from leads.transport import Deadline

NAMES = ("email", "follow_up", "https", "slack", "table", "teams")


def environ(name: str) -> dict[str, str]:
    """The destination's settings."""
    prefix, test = f"{name.upper()}_", f"{name.upper()}_TEST_"
    return {prefix + key.removeprefix(test): value for key, value in os.environ.items() if key.startswith(test)}


def lead() -> Lead:
    now = datetime.now(UTC)
    customer = uuid.uuid4().hex[:16]
    return Lead(
        via=Via.HTTPS,
        arrived_at=now,
        created_at=now,
        id=f"{customer}-{1:016x}",
        source="SPZA",
        action="PLT",
        offer="contoso.live-test",
        offer_title="Live test of marketplace leads",
        stage=Stage.ACTIVE,
        contact=Contact("Ada", "Test", f"{customer}@example.com", "+390669812345", "IT", "Example", "Tester"),
        message="<b>Delete me</b>: I am a test of the marketplace leads app. Ω 😀 <!channel>",
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_lead_and_an_alert_arrive(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not environ(name):
        pytest.skip(f"no {name.upper()}_TEST_… is set")
    place = enabled.read(name, environ(name))
    assert place.problems == ()
    module, settings, one = place.module, place.settings, lead()
    if hasattr(module, "check"):
        assert [found for found in module.check(settings, Deadline.after(60)) if not found.ok] == []
    # The alert comes right after the lead, and a webhook of Slack takes one message a second; a few more it forgives.
    monkeypatch.setattr(module, "PAUSE", 0.0, raising=False)
    remote_id = module.send(one, Step(datetime.now(UTC), Deadline.after(30)), settings)
    assert remote_id
    if hasattr(module, "erase"):
        for _ in range(2):
            module.erase(one.id, remote_id, Deadline.after(30), settings)
    if hasattr(module, "alert"):
        about = Alert("dead", "dynamics", 1, datetime.now(UTC), "This is a test.", "Nothing to do.")
        module.alert(about, Deadline.after(30), settings)
