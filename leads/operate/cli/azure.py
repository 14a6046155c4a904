"""What the Azure CLI knows that the operator is signed in with: keys, which are never shown and never arguments."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence

SECONDS = 60
"""What one command may take."""
STORAGE_KEY = ("storage", "account", "keys", "list", "--account-name", "{account}", "--query", "[0].value")
TABLE_ENDPOINT = ("storage", "account", "show", "--name", "{account}", "--query", "primaryEndpoints.table")
APP = ("functionapp", "list", "--query", "[?contains(hostNames, '{host}')].[name, resourceGroup] | [0]")
FUNCTION_KEY = (
    *("functionapp", "function", "keys", "list", "--name", "{name}", "--resource-group", "{group}"),
    *("--function-name", "receive_lead", "--query", "marketplace || default"),
)
"""`infra/deploy.sh` makes a key of that name; without it there is the one that the host makes."""

COMMANDS = (STORAGE_KEY, TABLE_ENDPOINT, APP, FUNCTION_KEY)

Az = Callable[[Sequence[str]], str]
"""Runs `az` with some words and returns what it prints; empty where it fails or is not there."""


def az(words: Sequence[str]) -> str:
    """Run the Azure CLI. What it prints may be a secret, and its errors are left to the words of whoever asks."""
    program = shutil.which("az")
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - the words are ours, and what stands in for names was checked
            [program, *words, "--output", "tsv", "--only-show-errors"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def storage(account: str, run: Az = az) -> tuple[str, str]:
    """Key and table endpoint of a storage account; empty where the CLI does not know."""
    if not re.fullmatch(r"[a-z0-9]{3,24}", account):
        return "", ""
    key = run([word.format(account=account) for word in STORAGE_KEY])
    return (key, run([word.format(account=account) for word in TABLE_ENDPOINT])) if key else ("", "")


def function_key(host: str, run: Az = az) -> str:
    """The key of `receive_lead` of the app that has this host name; empty where the CLI does not know."""
    if not re.fullmatch(r"[a-z0-9.-]+", host):
        return ""
    found = run([word.format(host=host) for word in APP]).split()
    if len(found) != 2:
        return ""
    name, group = found
    return run([word.format(name=name, group=group) for word in FUNCTION_KEY])
