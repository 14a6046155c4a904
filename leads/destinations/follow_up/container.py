"""The publisher's templates, read from a blob container over HTTPS with the function app's managed identity.

Two requests a draft, so an edited file counts at once.
Facts: learn.microsoft.com/rest/api/storageservices/list-blobs and …/get-blob; with a token `x-ms-version` is needed.
"""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import format_datetime
from html import unescape
from urllib.parse import quote

from leads import oauth, transport
from leads.destinations.follow_up import template
from leads.destinations.follow_up.settings import Settings
from leads.errors import Failure, Misconfigured
from leads.oauth import Credentials
from leads.transport import Deadline, Response

STORAGE = "https://storage.azure.com"
VERSION = "2020-10-02"

_NAMES = re.compile(r"<Name>([^<]{1,1024})</Name>")
_MORE = re.compile(r"<NextMarker>[^<]")
_ROLE = (
    "Give the function app's managed identity the role Storage Blob Data Reader on the container in "
    "FOLLOW_UP_TEMPLATES, or empty that setting to use the app's own templates."
)


def names(settings: Settings, deadline: Deadline, now: datetime) -> tuple[str, ...]:
    """The names of all files in the container; none where there is no container. Raises a `leads.errors.Failure`."""
    if not settings.templates:
        return ()
    answer = _get(settings, "?restype=container&comp=list", deadline, now)
    text = answer.body.decode("utf-8", "replace")
    if _MORE.search(text) or len(answer.body) == transport.BODY_LIMIT:
        raise Misconfigured(
            "The container of templates has more files than the app can list at once.",
            "Keep only templates in the container that FOLLOW_UP_TEMPLATES names.",
        )
    return tuple(unescape(name) for name in _NAMES.findall(text))


def read(settings: Settings, name: str, deadline: Deadline, now: datetime) -> str:
    """The text of a file in the container. Raises a `leads.errors.Failure`."""
    answer = _get(settings, f"/{quote(name)}", deadline, now)
    if len(answer.body) > template.LARGEST:
        raise Misconfigured(f"The template {template.shown(name)} is larger than 64 KiB.", "Make it shorter.")
    try:
        return answer.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Misconfigured(f"The template {template.shown(name)} is not UTF-8.", "Save it as UTF-8.") from None


def _get(settings: Settings, path: str, deadline: Deadline, now: datetime) -> Response:
    identity = settings.graph.credentials.managed_identity_client_id
    who = Credentials(managed_identity_client_id=identity, prefix="FOLLOW_UP_GRAPH")
    try:
        token = oauth.token(who, STORAGE, deadline=deadline)
    except Misconfigured as failure:
        raise Misconfigured(f"The templates cannot be read. {failure.cause}", _ROLE) from None
    answer = transport.request(
        "GET",
        f"{settings.templates}{path}",
        deadline=deadline,
        headers={
            "Authorization": f"Bearer {token}",
            "x-ms-version": VERSION,
            "x-ms-date": format_datetime(now, usegmt=True),
        },
    )
    if answer.status != 200:
        raise _failure(settings, answer, now)
    return answer


def _failure(settings: Settings, answer: Response, now: datetime) -> Failure:
    host = transport.host(settings.templates)
    passing = transport.refusal(answer, host, now)
    if passing:
        # Nothing of the draft has left.
        passing.unanswered = False
        return passing
    return Misconfigured(f"{host} does not let the app read the templates ({answer.status}).", _ROLE)
