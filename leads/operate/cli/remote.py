"""The operations at a deployed app: the same names, arguments and answers, over HTTPS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from leads import transport
from leads.errors import Misconfigured, Transient
from leads.operate import audit
from leads.operate.api import HEADER
from leads.operate.operations import WrongUse
from leads.transport import Deadline

SECONDS = 60.0
"""What one operation may take."""
ANSWER_LIMIT = 16 * 1024 * 1024
"""Bytes of an answer: hundreds of offers with their titles in every language."""
_LOCAL = ("localhost", "127.0.0.1", "::1")


class Remote:
    """Calls the operations of the app at `url`. Raises WrongUse for a URL that is none, or that would bare the key."""

    def __init__(self, url: str, key: str, operator: str = "") -> None:
        try:
            parts = urlsplit(url if "://" in url else f"https://{url}")
            name, port = parts.hostname, parts.port
        except ValueError:
            name = None
        if not name:
            raise WrongUse("--url must be the app's address, such as https://NAME.azurewebsites.net.")
        if parts.scheme != "https" and not (parts.scheme == "http" and name in _LOCAL):
            raise WrongUse("--url has to start with https://, since the key travels with every call.")
        # What stands behind the host is not needed, and a pasted ?code= is not sent.
        shown = f"[{name}]" if ":" in name else name
        self._base = f"{parts.scheme}://{shown}{f':{port}' if port else ''}/api/ops/api/"
        self._headers = {HEADER: "1"} | ({"x-functions-key": key} if key else {})
        # A header takes Latin-1 only, so a name in other letters travels percent-encoded.
        self._headers |= {audit.HEADER: quote(operator, safe=" ")} if operator else {}

    def __call__(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Perform an operation there. Raises WrongUse, or a Failure with the cause and remedy that came back."""
        answer = transport.request(
            "POST",
            f"{self._base}{name}",
            deadline=Deadline.after(SECONDS),
            headers=self._headers,
            json=dict(arguments),
            limit=ANSWER_LIMIT,
        )
        said = answer.json()
        if answer.status == 200 and isinstance(said, dict):
            return said
        told = said if isinstance(said, dict) else {}
        detail, remedy = str(told.get("detail", "")), str(told.get("remedy", ""))
        if answer.status in (401, 403) and not detail:
            raise Misconfigured(
                "The app refuses the key.",
                "Give the key of its function ops (Azure portal > Functions > ops > Function keys) in LEADS_OPS_KEY.",
            )
        if answer.status == 400 and detail:
            raise WrongUse(detail)
        if detail:
            raise Misconfigured(detail, remedy)
        if answer.status == 404:
            raise Misconfigured(
                f"{transport.host(self._base)} has no such operation.",
                "Check --url, and deploy the same version there.",
            )
        raise Transient(
            f"{transport.host(self._base)} answered {answer.status}.",
            "Try again. If it keeps failing, look at /api/health.",
        )
