"""What can be known of an org before the first lead: sign-in, version, fields, keys, and what the org demands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from leads.contract import Finding
from leads.destinations.salesforce import mapping, web
from leads.destinations.salesforce.api import Api
from leads.destinations.salesforce.errors import GUIDE
from leads.destinations.salesforce.settings import Settings
from leads.errors import Failure
from leads.transport import Deadline

KEY_LENGTH = 64
_TASK_FIELDS = ("Subject", "Description", "Status", "ActivityDate", "WhoId")
_PERMISSION = f"Give the permission set of the app's user {{}} ({GUIDE})."


def check(settings: Settings, deadline: Deadline) -> Iterator[Finding]:
    """Look at the org without changing it, one finding at a time. Where the sign-in fails nothing else is looked at.

    Raises nothing.
    """
    if settings.web:
        yield Finding(
            "Web-to-Lead", ok=True, cause=f"It cannot be checked: {web.ACCEPTED}. Look for the leads in Salesforce."
        )
        return
    api = Api(settings, deadline, datetime.now(UTC))
    for name, look in (("sign-in", _signed_in), ("organization", _version)):
        try:
            yield look(api)
        except Failure as failure:
            yield Finding(name, ok=False, cause=failure.cause, remedy=failure.remedy)
            return
    for kind, name, finding in (
        ("Lead", "leads", _leads),
        ("Lead", "lead key", _lead_key),
        ("Task", "steps", _steps),
        ("Task", "step key", _step_key),
        ("Contact", "contacts", _contacts),
    ):
        try:
            yield finding(settings, _described(api, kind))
        except Failure as failure:
            yield Finding(name, ok=False, cause=failure.cause, remedy=failure.remedy)


def _signed_in(api: Api) -> Finding:
    api.token()
    return Finding("sign-in", ok=True)


def _version(api: Api) -> Finding:
    answer = api.call("GET", "")
    api.parsed(answer, "show what it offers")
    used = answer.headers.get("sforce-limit-info", "").rpartition("api-usage=")[2]
    return Finding("organization", ok=True, cause=f"Calls used today, out of those allowed: {used}." if used else "")


def _described(api: Api, kind: str) -> dict[str, Any]:
    """What the user may do with an object, and its fields by name under `fields`."""
    answer = api.call("GET", f"sobjects/{kind}/describe")
    found = api.parsed(answer, f"describe its {kind.lower()}s")
    listed = found.get("fields")
    by_name = {str(one.get("name")): one for one in listed if isinstance(one, dict)} if isinstance(listed, list) else {}
    return {**found, "fields": by_name}


def _leads(settings: Settings, lead: dict[str, Any]) -> Finding:
    name = "leads"
    refused = [what for what in ("queryable", "createable", "updateable") if not lead.get(what)]
    if refused:
        return Finding(
            name,
            ok=False,
            cause=f"The app's user may not use leads: they are not {', not '.join(refused)}.",
            remedy=_PERMISSION.format("Read, Create and Edit on Lead"),
        )
    about = lead["fields"]
    standard = [*mapping.LENGTHS, *mapping.WHOLE, "Rating", *mapping.OPT_OUT]
    if "CountryCode" in about:
        standard[standard.index("Country")] = "CountryCode"
    written = {name for name in standard if settings.fields.get(name, "") is not None}
    written |= {name for name, value in settings.fields.items() if value is not None}
    absent = sorted(name for name in written if not about.get(name, {}).get("createable"))
    if absent:
        return Finding(
            name,
            ok=False,
            cause=f"The org has no {', '.join(absent)} in Lead, or the app's user may not set it. "
            "Leads arrive without it.",
            remedy='Let the permission set edit it, or leave it out by "<field>": null in SALESFORCE_FIELDS.',
        )
    demanded = sorted(
        name
        for name, one in about.items()
        if one.get("createable") and one.get("nillable") is False and not one.get("defaultedOnCreate")
        if name not in {*written, settings.lead_key}
    )
    if demanded:
        return Finding(
            name,
            ok=False,
            cause=f"The org requires {', '.join(demanded)}, which a lead does not have.",
            remedy="Set it in SALESFORCE_FIELDS, or make the field optional.",
        )
    shorter = [f"{one} ({about[one]['length']})" for one in sorted(written) if _is_shorter(one, about[one])]
    cut = f"Shorter here than usual, so longer values are cut: {', '.join(shorter)}." if shorter else ""
    return Finding(name, ok=True, cause=cut)


def _is_shorter(name: str, about: dict[str, Any]) -> bool:
    length = about.get("length")
    usual = {**mapping.LENGTHS, **mapping.WHOLE}.get(name, 0)
    return about.get("type") != "picklist" and isinstance(length, int) and 0 < length < usual


def _lead_key(settings: Settings, lead: dict[str, Any]) -> Finding:
    return _key("lead key", "SALESFORCE_LEAD_KEY", settings.lead_key, "Lead", lead)


def _step_key(settings: Settings, task: dict[str, Any]) -> Finding:
    return _key("step key", "SALESFORCE_STEP_KEY", settings.step_key, "Activity", task)


def _key(name: str, setting: str, field: str, kind: str, described: dict[str, Any]) -> Finding:
    """Whether the field keeps the app's key as it must be kept."""
    about = described["fields"].get(field)
    if about is None:
        return Finding(
            name,
            ok=False,
            cause=f"{kind} has no field {field}, or the app's user may not see it.",
            remedy=f"Make it as Text({KEY_LENGTH}), External ID and Unique, give the permission set read and edit of "
            f"it, or name another in {setting}.",
        )
    wrong = [
        words
        for words, good in (
            ("not unique, so a customer can get two records", about.get("unique")),
            ("no external id, so looking for it is slow", about.get("externalId")),
            ("not writable for the app's user", about.get("createable")),
            (f"shorter than {KEY_LENGTH} characters", _is_long_enough(about.get("length"))),
        )
        if not good
    ]
    if not wrong:
        return Finding(name, ok=True)
    return Finding(
        name,
        ok=False,
        cause=f"{field} of {kind} is {'; it is '.join(wrong)}.",
        remedy=f"Make it Text({KEY_LENGTH}), External ID and Unique, and give the permission set read and edit of it.",
    )


def _steps(_: Settings, task: dict[str, Any]) -> Finding:
    absent = [name for name in _TASK_FIELDS if not task["fields"].get(name, {}).get("createable")]
    if task.get("createable") and task.get("queryable") and not absent:
        return Finding("steps", ok=True)
    what = f" with {', '.join(absent)}" if absent and task.get("createable") else ""
    return Finding(
        "steps",
        ok=False,
        cause=f"The app's user may not make or see tasks{what}.",
        remedy=_PERMISSION.format("Edit Tasks, and edit of these fields"),
    )


def _contacts(_: Settings, contact: dict[str, Any]) -> Finding:
    if contact.get("queryable"):
        return Finding("contacts", ok=True)
    return Finding(
        "contacts",
        ok=False,
        cause="The app's user may not see contacts, so the steps of converted leads do not arrive.",
        remedy=_PERMISSION.format("Read on Contact"),
    )


def _is_long_enough(length: object) -> bool:
    return isinstance(length, int) and length >= KEY_LENGTH
