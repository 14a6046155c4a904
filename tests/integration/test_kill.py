"""The local host, and the storage, killed with SIGKILL while leads come in: nothing that was acknowledged is lost.

`KILLS` is how often, 10 unless set. The moment is after a random number of answers; `SEED` plays one run again.
"""

from __future__ import annotations

import logging
import os
import random
import time
from pathlib import Path

import pytest

from dev.standins.dynamics import StandIn
from tests.integration.local import (
    AT_ONCE,
    Console,
    LocalHost,
    Senders,
    Storage,
    check,
    console_sends,
    environ,
    figure,
    process,
    settle,
    until,
    write_row,
)

KILLS = int(os.environ.get("KILLS", "10"))
SEED = int(os.environ.get("SEED", "5"))


@pytest.mark.parametrize("killed", ["host", "storage"])
def test_nothing_is_lost_and_little_is_sent_twice(killed: str, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    rows = []
    console = Console()
    with Storage(tmp_path / "azurite") as storage, StandIn(tmp_path / "crm") as crm:
        settings_of = environ(storage.connection_string, crm)
        with LocalHost(tmp_path, settings_of) as host:
            victim: LocalHost | Storage = host if killed == "host" else storage
            began = time.monotonic()
            with Senders(host.port) as senders:
                for kill in range(KILLS):
                    rows.append(write_row(storage.connection_string, f"row{kill}"))
                    enough = len(senders.accepted) + chance.randint(1, 20)
                    until(lambda: len(senders.accepted) >= enough, "the next leads")  # noqa: B023
                    victim.kill()
                    victim.start()
                enough = len(senders.accepted) + 20
                until(lambda: len(senders.accepted) >= enough, "leads after the last start")
            took = time.monotonic() - began
            host.kill()
        storage.kill()
        storage.start(durable=False)
        logger = logging.getLogger("leads.console")
        logger.addHandler(console)
        logger.setLevel(logging.INFO)
        try:
            with process(settings_of) as app:
                settle(app)
                leads = check(app, senders, rows, crm).leads
        finally:
            logger.removeHandler(console)
    extra = console_sends(host, console) - len(leads)
    extra_crm = sum(call.method == "PATCH" and "annotations" in call.path for call in crm.calls) - len(leads)
    figure(
        f"{killed} killed",
        kills=KILLS,
        accepted=len(senders.accepted),
        lost=0,
        leads=len(leads),
        delivered_meanwhile=len(host.events("delivery_finished")),
        answers=dict(senders.answers),
        extra_notifications=extra,
        extra_crm_writes=extra_crm,
        extra_crm_records=0,
        seconds=round(took, 1),
    )
    assert set(senders.answers) <= {0, 202, 503}
    assert 0 <= extra <= KILLS * AT_ONCE
    assert 0 <= extra_crm <= KILLS * AT_ONCE
