"""A start imports what its function needs and nothing else: any call may meet a cold process on a quarter core."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

WORLD = """
import json, os, sys
from datetime import UTC, datetime
import function_app
from leads.app import App
from leads.settings import read
from leads.store.testing import MemoryDoorbell, MemoryInbox, MemoryStore

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
app = App(read(os.environ), os.environ)
app.store, app.inbox, app.doorbell = MemoryStore(), MemoryInbox(), MemoryDoorbell(NOW)
BODY = json.dumps({"userDetails": {"email": "a@contoso.com", "phone": "16175555555", "country": "Italia"}}).encode()

def receive():
    from leads.intake import accept
    return accept.receive(app, BODY, NOW).id
"""
RECEIVE = "receive()"
WATCH = "from leads.intake.watch import watch; watch(app, NOW)"
SWEEP = "from leads.sweep.sweep import sweep; sweep(app, NOW); sweep(app, NOW.replace(hour=13))"
DELIVER = "id = receive(); before = set(sys.modules); from leads import delivery; delivery.deliver(app, id, {!r}, NOW)"

WORDS = {"jinja2", "tomllib"}
"""What the files of languages and the templates are read with."""
NEVER = {"aiohttp", "pycountry", "babel"}


def loaded(code: str, **environ: str) -> set[str]:
    """The modules of a new process in which this ran, with each package that they are in."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint('MODULES', *sys.modules)"],
        env={"PATH": os.environ["PATH"], "AzureWebJobsStorage": "UseDevelopmentStorage=true"} | environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.rpartition("MODULES")[2].split())


def test_what_all_functions_pay_for_is_little() -> None:
    modules = loaded("import sys, function_app")
    assert {name for name in modules if name.split(".")[0] == "leads"} == {
        "leads",
        "leads.lead",
        "leads.ncrontab",
        "leads.reader",
        "leads.settings",
        "leads.store",
        "leads.store.doorbell",
        "leads.triggers",
    }
    assert not modules & {"requests", "msal", "azure.core", "azure.data", "azure.storage"}


@pytest.mark.parametrize(
    ("work", "without"),
    [
        (
            RECEIVE,
            {
                "email_validator",
                "leads.delivery",
                "leads.sweep",
                "leads.destinations",
                "msal",
                "requests",
                "leads.intake.watch",
            },
        ),
        (WATCH, {"leads.delivery", "leads.sweep", "leads.destinations", "msal", "requests", "phonenumbers"}),
        (SWEEP, {"msal", "requests", "leads.intake.watch", "phonenumbers"}),
        (DELIVER.format("dynamics"), {"leads.sweep", "leads.intake.watch", "leads.destinations.https"}),
        (DELIVER.format("https"), {"leads.sweep", "leads.intake.watch", "leads.destinations.dynamics", "msal"}),
    ],
)
def test_what_a_function_does_not_need_its_start_does_not_import(work: str, without: set[str]) -> None:
    modules = loaded(f"{WORLD}\n{work}", LEADS_DESTINATIONS="dynamics,https")
    assert modules & (without | WORDS | NEVER) == set()


def test_words_are_read_where_words_are_made() -> None:
    code = f"{WORLD}\nid = receive(); from leads import delivery; delivery.deliver(app, id, 'console', NOW)"
    assert "tomllib" not in loaded(code, LEADS_DESTINATIONS="console,teams,email,slack")
    words = "import sys; from leads.messages import languages; languages.load('de').step(2)"
    assert "tomllib" in loaded(words)
