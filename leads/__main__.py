"""The command line: `python -m leads`. docs/cli.md describes each command.

Exit codes: 0 fine, 1 a finding, 2 wrong use.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from leads import __version__
from leads.errors import Failure, Misconfigured
from leads.intake.times import Order
from leads.operate import operations
from leads.operate.cli import completion, importing, look, offers, order
from leads.operate.cli.look import FINDING, WRONG_USE, Call
from leads.operate.cli.screen import Screen
from leads.operate.sample import STEPS
from leads.transport import LONGEST_WAIT

SETTINGS_FILE = "local.settings.json"
RUNNING_FOLDER, RUNNING_FILE, RUNNING_LOCK = ".local", "settings.json", "run.lock"
"""The folder of `make run` unless LOCAL_DIR names another, its settings in there, and the lock that it holds while it
runs.
"""
CERTIFICATES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
"""Where `requests`, and OpenSSL for SMTP, look for the certificates that they trust."""

_AGO = re.compile(r"(\d{1,4})\s*([mhdw])")
_CUSTOMER = re.compile(r"[0-9a-f]{16}")
"""The first half of a lead id names its customer."""
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class SettingsFile(Exception):
    """A file of settings cannot be read."""


def environment(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    """The settings as the local host reads them: `environ` over what `make run` started over `local.settings.json`.

    Raises SettingsFile if a file is not a JSON object with an object `Values`.
    """
    merged: dict[str, str] = {}
    certificates: dict[str, str] = {}
    home = root / (environ.get("LOCAL_DIR") or RUNNING_FOLDER)
    running = home / RUNNING_FILE
    for path in (root / SETTINGS_FILE, running):
        if not path.is_file() or (path == running and not _is_held(home / RUNNING_LOCK)):
            continue
        try:
            values = json.loads(path.read_text(encoding="utf-8"))["Values"]
            merged |= {str(key): str(value) for key, value in values.items()}
            if path == running:
                # The stand-ins' certificate, which a bundle of the shell's own would not have.
                certificates = {name: merged[name] for name in CERTIFICATES if name in merged}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            cause = f"{path.name} must be a JSON object with an object 'Values'. Correct it, or delete it."
            raise SettingsFile(cause) from None
    return merged | dict(environ) | certificates


def _is_held(lock: Path) -> bool:
    """Whether somebody holds a lock. A run that was killed leaves its file behind, and not its lock."""
    try:
        import fcntl

        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):
        return False
    return False


def past(text: str) -> datetime:
    """A time as people give it: `30m`, `12h`, `7d`, `2w` ago, or a date or time in ISO 8601 (UTC without an offset)."""
    ago = _AGO.fullmatch(text.strip())
    if ago:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError("give 30m, 12h, 7d, 2w, or a date such as 2026-11-21") from None


def _words(text: str) -> str:
    """What a filter looks for. An empty one would find everything, as where a variable of the shell is not set."""
    if text.strip():
        return text
    raise argparse.ArgumentTypeError("it is empty")


def _customer(text: str) -> str:
    if "@" in text or _CUSTOMER.fullmatch(text.strip()):
        return text
    raise argparse.ArgumentTypeError("give an e-mail address")


def _limit(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= operations.LIST_LIMIT:
        return int(text)
    raise argparse.ArgumentTypeError(f"give a number from 1 to {operations.LIST_LIMIT}")


def _wait(text: str) -> int:
    if text.isdecimal() and int(text) <= LONGEST_WAIT:
        return int(text)
    raise argparse.ArgumentTypeError("give a number of seconds")


def parser() -> argparse.ArgumentParser:
    """The arguments of all commands."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="answer in JSON")
    common.add_argument("--url", default=argparse.SUPPRESS, help="use a deployed app: https://NAME.azurewebsites.net")
    common.add_argument("--key", default=argparse.SUPPRESS, help="key of its function ops; safer in LEADS_OPS_KEY")
    common.add_argument("--operator", default=argparse.SUPPRESS, help="your name, for the log; or in LEADS_OPERATOR")
    root = argparse.ArgumentParser(prog="python -m leads", description="Where is my lead?", parents=[common])
    root.add_argument("--version", action="version", version=__version__)
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Any, summary: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=summary, description=summary, parents=[common])
        made.set_defaults(run=run)
        return made

    made = command("check", look.check, "ask every part a harmless question and say what to correct")
    made.add_argument(
        "--route", metavar="FILE|ID", help="only say where the lead in a file, or with that id, goes and why"
    )
    made = command("send-test", order.send_test, "send a test lead and follow it")
    made.add_argument(
        "--step", choices=STEPS, help="what the customer did; goes to CRMs as well (default: a test lead)"
    )
    made.add_argument("--email", help="the address of that customer")
    made.add_argument("--address", help="POST it to the URL that you gave to Partner Center, with its ?code=")
    made.add_argument("--wait", type=_wait, default=60, help="seconds to follow it (default 60)")

    made = command("list", look.list_leads, "list the newest leads, personal data masked")
    _add_filters(made)
    forms = made.add_mutually_exclusive_group()
    forms.add_argument("--quarantined", action="store_true", help="what could not be read as a lead")
    forms.add_argument("--csv", action="store_true", help="for a spreadsheet; no text becomes a formula there")
    made.add_argument("--limit", type=_limit, default=50)
    made.add_argument("--after", metavar="CURSOR", help="go on where an earlier list stopped")
    made.add_argument("--reveal", action="store_true", help="show names and addresses")
    made = command("show", look.show, "show the whole story of a lead, with its personal data")
    made.add_argument("id", metavar="ID", help="a lead id, its second half, or the name of an entry of the quarantine")
    made.add_argument("--as", dest="destination", metavar="DESTINATION", help="what would be written there")

    made = command("replay", order.replay, "send leads again")
    made.add_argument("ids", metavar="ID", nargs="*", help="a lead, or an entry of the quarantine")
    _add_filters(made)
    made.add_argument("--destination", help="only to this one; also leads that were never on their way there")
    made.add_argument("--quarantined", action="store_true", help="read again what is in quarantine")
    made.add_argument("--routes", action="store_true", help="let the routes as they are decide again")
    made.add_argument("--yes", action="store_true", help="do not ask")

    made = command("skip", order.skip, "end the open deliveries to a destination that is not wanted any more")
    made.add_argument("--destination", required=True)
    made.add_argument("--yes", action="store_true", help="do not ask")

    for name, run, summary in (
        ("forget", order.forget, "erase everything kept about a customer (GDPR)"),
        ("export", look.export, "write everything kept about a customer, for the customer (GDPR)"),
    ):
        made = command(name, run, summary)
        made.add_argument(
            "who", metavar="EMAIL", help="the customer's address, a lead id, or an entry of the quarantine"
        )
        if name == "forget":
            made.add_argument("--yes", action="store_true", help="do not ask")
        else:
            made.add_argument(
                "--output", type=Path, metavar="FILE", help="write it there, and a page to read beside it"
            )

    made = command("discard", order.discard, "erase entries of the quarantine, or leads, after showing them")
    made.add_argument("ids", metavar="ID", nargs="*", help="a lead, or an entry of the quarantine")
    _add_filters(made)
    made.add_argument("--quarantined", action="store_true", help="what could not be read as a lead")
    made.add_argument("--reason", metavar="TEXT", help="with --quarantined: a part of the reason")
    made.add_argument("--yes", action="store_true", help="do not ask")

    made = command("sign-out-all", order.sign_out_all, "end every session of the page at once")
    made.add_argument("--yes", action="store_true", help="do not ask")

    made = command("import", importing.import_leads, "bring leads in from a CSV file or from old rows of the table")
    made.add_argument("file", metavar="FILE.csv", nargs="?", type=Path)
    made.add_argument(
        "--dates", type=Order, choices=Order, help="the order of day and month in the file, if no day above 12 shows it"
    )
    made.add_argument(
        "--table", metavar="NAME", help="import the rows of this watched table that are older than the app"
    )
    made.add_argument(
        "--force", action="store_true", help="also records with the customer, offer and day of a lead that is here"
    )
    made.add_argument("--yes", action="store_true", help="import; without it the command only shows what would come in")

    command("offers", offers.offers, "show where each offer of the account sends its leads")
    made = command("connect", offers.connect_offers, "point the drafts of offers at this app; never publishes")
    made.add_argument("offers", metavar="OFFER", nargs="*", help="an offer's id, as `offers` lists it")
    made.add_argument("--all", action="store_true", help="every offer that has no destination for its leads yet")
    made.add_argument("--replace", action="store_true", help="with --all: also those that go elsewhere on purpose")
    made.add_argument("--by", choices=("table", "https"), default="table", help="the way of the leads (default: table)")
    made.add_argument("--account", metavar="NAME", help="the storage account of the inbox (default: LEADS_INBOX)")
    made.add_argument("--yes", action="store_true", help="do not ask")
    made = command("completion", completion.completion, "write what completes this command in a shell")
    made.add_argument("shell", choices=completion.SHELLS)
    made.set_defaults(parser=root)
    return root


def _add_filters(made: argparse.ArgumentParser) -> None:
    states = made.add_mutually_exclusive_group()
    for state in ("open", "dead", "delivered", "skipped"):
        states.add_argument(f"--{state}", action="store_const", const=state, dest="state")
    made.add_argument("--offer", type=_words, help="a part of the offer's title or id")
    made.add_argument("--since", type=past, help="arrived since: 12h, 7d, 2026-11-21")
    made.add_argument("--customer", type=_customer, metavar="EMAIL", help="all leads of this address")


def caller(options: argparse.Namespace, environ: Mapping[str, str]) -> Call:
    """Whatever performs operations: the app in this process, or a deployed one with `--url`."""
    operator = options.operator or environ.get("LEADS_OPERATOR", "")
    if options.url:
        from leads.operate.cli.remote import Remote

        return Remote(options.url, options.key or environ.get("LEADS_OPS_KEY", ""), operator)
    from leads import settings
    from leads.app import App

    # Libraries read theirs from the process, as under the host: certificates, the managed identity.
    os.environ.update(environ)
    app = App(settings.read(environ), environ)

    def call(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if app.settings.storage is None and name not in ("checks", "check"):
            raise Misconfigured(
                "The command does not know which storage account to use.",
                "Start `make run` in another terminal, set AzureWebJobsStorage, or name a deployed app with --url.",
            )
        return operations.perform(app, name, arguments, datetime.now(UTC), operator)

    return call


def main(arguments: Sequence[str] | None = None, root: Path | None = None) -> int:
    """Run one command and return its exit code."""
    options = parser().parse_args(arguments, argparse.Namespace(json=False, url=None, key=None, operator=None))
    screen = Screen(as_json=options.json)
    # The log is for the operators of a deployed app; here the screen says it.
    logging.getLogger("leads").addHandler(logging.NullHandler())
    for chatty in ("azure", "urllib3", "msal"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    try:
        options.environ = environment(os.environ, root or Path.cwd())
        code: int = options.run(caller(options, options.environ), options, screen)
    except (operations.WrongUse, SettingsFile) as error:
        screen.trouble(str(error))
        return WRONG_USE
    except Failure as failure:
        screen.trouble(failure.cause, failure.remedy)
        return FINDING
    except ImportError as error:
        screen.trouble(
            f"The package {error.name or 'that this needs'} is not installed for this Python.",
            "Run make install, and then this command with .venv/bin/python.",
        )
        return FINDING
    except KeyboardInterrupt:
        return FINDING
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINDING
    except Exception as error:  # noqa: BLE001 - its text may quote a lead or a connection string
        from leads.operate.check import explained

        screen.trouble(*explained(error))
        return FINDING
    return code


if __name__ == "__main__":
    sys.exit(main())
