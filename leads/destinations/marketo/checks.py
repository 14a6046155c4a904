"""What can be known of an account before the first lead: sign-in, permissions, fields, partition, custom activity."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from leads.contract import Finding
from leads.destinations.marketo import errors, mapping
from leads.destinations.marketo.api import Api
from leads.destinations.marketo.settings import Settings
from leads.errors import Failure, Rejected
from leads.transport import Deadline

ATTRIBUTES = ("offer", "action", "text")
"""What the custom activity has to have, by API name, besides its primary attribute."""

_STANDARD = ("email", "firstName", "lastName", "company", "title", "phone", "country", "leadSource")
_FLAGS = ("unsubscribed", "doNotCall")
_NOBODY = 0
"""No person has this id, so a call about it changes nothing whatever the user may do."""


def check(settings: Settings, deadline: Deadline) -> Iterator[Finding]:
    """Look at the account without changing it, one finding at a time. Raises nothing.

    Where the sign-in fails nothing else is looked at. A form cannot be looked at with the permissions that it takes.
    """
    api = Api(settings, deadline, datetime.now(UTC))
    try:
        # A token from memory would say nothing about a secret that was changed since.
        api.token(fresh=True)
    except Failure as failure:
        yield Finding("sign-in", ok=False, cause=failure.cause, remedy=failure.remedy)
        return
    yield Finding("sign-in", ok=True)
    looks: list[tuple[str, Callable[[Api], Finding]]] = [("permissions", _may_write), ("fields", _fields)]
    if settings.mode == "rest" and settings.partition:
        looks.append(("partition", _partition))
    if settings.mode == "rest":
        looks.append(("activity", _activity))
    for name, look in looks:
        try:
            yield look(api)
        except Failure as failure:
            yield Finding(name, ok=False, cause=failure.cause, remedy=failure.remedy)


def _may_write(api: Api) -> Finding:
    """Ask to write and to read a person that nobody is: permissions are looked at before the person is."""
    request = {"action": "updateOnly", "lookupField": "id", "input": [{"id": _NOBODY, "firstName": "x"}]}
    with contextlib.suppress(Rejected):
        api.call("POST", "/rest/v1/leads.json", "let a person be written", json=request)
    with contextlib.suppress(Rejected):
        api.find("id", str(_NOBODY), ())
    return Finding("permissions", ok=True)


def _fields(api: Api) -> Finding:
    """Whether the fields that are written exist and may be set."""
    body = api.call("GET", "/rest/v1/leads/describe2.json", "show its fields")
    known = {
        str(one.get("name")): one.get("updateable") is not False
        for described in errors.records(body)
        for one in _dicts(described.get("fields"))
    }
    fields = api.settings.fields
    flags = _FLAGS if api.settings.mode == "rest" else ()
    wanted = dict.fromkeys((*_STANDARD, *flags, *fields))
    absent = [name for name in wanted if not known.get(name) and fields.get(name, "") is not None]
    if not absent:
        return Finding("fields", ok=True)
    return Finding(
        "fields",
        ok=False,
        cause=f"The account has no {', '.join(absent)} among the fields of people, or they cannot be set.",
        remedy='Correct the API name in MARKETO_FIELDS, or leave the field out there by "<field>": null. Leads arrive '
        "without it until then.",
    )


def _partition(api: Api) -> Finding:
    body = api.call("GET", "/rest/v1/leads/partitions.json", "show its partitions")
    names = [str(one.get("name")) for one in errors.records(body)]
    if api.settings.partition in names:
        return Finding("partition", ok=True)
    return Finding(
        "partition",
        ok=False,
        cause="The account has no partition of that name, or the API user may not see it.",
        remedy=f"Set MARKETO_PARTITION to one of {', '.join(names)}." if names else "Leave MARKETO_PARTITION empty.",
    )


def _activity(api: Api) -> Finding:
    """Whether the custom activity is there, approved, and has what the app writes into it."""
    number = api.settings.activity_type
    if not number:
        return Finding(
            "activity", ok=True, cause="MARKETO_ACTIVITY_TYPE_ID is not set, so Marketo gets people but no steps."
        )
    doing = "show its custom activities"
    listed = errors.records(api.call("GET", "/rest/v1/activities/external/types.json", doing))
    kind = next((one for one in listed if one.get("id") == number), None)
    if kind is None:
        others = ", ".join(f"{one.get('id')} ({one.get('apiName')})" for one in listed) or "none"
        return _wrong(
            f"The account has no custom activity {number}; it has {others}.", "Correct MARKETO_ACTIVITY_TYPE_ID."
        )
    if not str(kind.get("status", "")).startswith("approved"):
        return _wrong("The custom activity is not approved.", "Approve it in Admin > Marketo Custom Activities.")
    path = f"/rest/v1/activities/external/type/{quote(str(kind.get('apiName')), safe='')}/describe.json"
    described = errors.records(api.call("GET", path, doing))
    attributes = {str(one.get("apiName")): one for one in _dicts(described[0].get("attributes") if described else None)}
    absent = [name for name in ATTRIBUTES if name not in attributes]
    if absent:
        return _wrong(
            f"The custom activity lacks the attributes {', '.join(absent)} (API names).",
            f"Add them to it and approve it again ({errors.GUIDE}).",
        )
    if attributes["text"].get("dataType") not in ("text", None):
        return _wrong(
            f"The attribute text holds {mapping.LINE} characters only: it is of the type "
            f"{attributes['text'].get('dataType')}.",
            f"Delete the attribute and add it again with the type Text Area ({errors.GUIDE}).",
        )
    return Finding("activity", ok=True)


def _wrong(cause: str, remedy: str) -> Finding:
    return Finding("activity", ok=False, cause=cause, remedy=remedy)


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
