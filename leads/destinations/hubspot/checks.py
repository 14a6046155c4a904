"""What can be known of an account before the first lead: the token, its scopes, the properties that are written."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from leads.contract import Finding
from leads.destinations.hubspot import errors
from leads.destinations.hubspot.api import Api
from leads.destinations.hubspot.settings import Settings
from leads.errors import Failure
from leads.transport import Deadline

_STANDARD = ("email", "firstname", "lastname", "phone", "company", "jobtitle", "country", "website")
_NOBODY = "0"
"""No contact has this id, so a request about it changes nothing whatever the token may do."""


def check(settings: Settings, deadline: Deadline) -> Iterator[Finding]:
    """Look at the account without changing it, one finding at a time. Raises nothing.

    Where the token is not accepted nothing else is looked at.
    """
    api = Api(settings, deadline, datetime.now(UTC))
    try:
        properties = _properties(api)
    except Failure as failure:
        yield Finding("token", ok=False, cause=failure.cause, remedy=failure.remedy)
        return
    yield Finding("token", ok=True)
    for name, look in (("scopes", _may_write), ("opt-out", _may_opt_out)):
        if name != "opt-out" or settings.opt_out:
            try:
                look(api)
            except Failure as failure:
                yield Finding(name, ok=False, cause=failure.cause, remedy=failure.remedy)
            else:
                yield Finding(name, ok=True)
    yield _written(settings, properties)
    if settings.key:
        yield _key(settings, properties)
    if settings.do_not_contact:
        yield _flag(settings, properties)
    if settings.stage:
        yield _stage(settings, properties)


def _properties(api: Api) -> dict[str, dict[str, Any]]:
    """All properties of contacts by internal name; this also shows whether the token works and may read them."""
    path = f"/crm/properties/{api.settings.version}/contacts"
    found = api.parsed(api.call("GET", path), "show its properties of contacts").get("results")
    listed = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return {str(one.get("name")): one for one in listed}


def _may_write(api: Api) -> None:
    """Ask to read and to write a contact that nobody has: the scopes are looked at before the contact is."""
    api.find("email", "nobody@example.com", ("email",))
    response = api.call("PATCH", api.objects(f"contacts/{_NOBODY}"), {"properties": {}})
    if response.status not in (400, 404):
        api.parsed(response, "let a contact be written")


def _may_opt_out(api: Api) -> None:
    """Ask to unsubscribe nobody."""
    path = f"/communication-preferences/{api.settings.version}/statuses/batch/unsubscribe-all?channel=EMAIL"
    response = api.call("POST", path, {"inputs": []})
    if response.status != 400:
        api.parsed(response, "unsubscribe contacts from e-mail")


def _written(settings: Settings, properties: dict[str, Any]) -> Finding:
    wanted = [*(name for name in _STANDARD if settings.fields.get(name, "") is not None), *settings.fields]
    absent = [
        name for name in dict.fromkeys(wanted) if name not in properties and settings.fields.get(name, "") is not None
    ]
    locked = [name for name in settings.fields if _is_read_only(properties.get(name, {}))]
    if not absent and not locked:
        return Finding("properties", ok=True)
    causes = [f"The account has no property {', '.join(absent)}."] if absent else []
    causes += [f"HubSpot itself sets {', '.join(locked)}."] if locked else []
    return Finding(
        "properties",
        ok=False,
        cause=" ".join(causes),
        remedy='Correct the name in HUBSPOT_FIELDS, or leave it out there by "<property>": null. Leads arrive without '
        "it until then.",
    )


def _key(settings: Settings, properties: dict[str, Any]) -> Finding:
    found = properties.get(settings.key)
    if found and found.get("hasUniqueValue") and found.get("type") == "string":
        return Finding("key", ok=True)
    cause = "does not have unique values, or is not a single-line text" if found else "does not exist"
    return Finding(
        "key",
        ok=False,
        cause=f"The property {settings.key} {cause}.",
        remedy="Make a new single-line text property of contacts and tick that its values are unique: that cannot be "
        f"set later. Put its internal name into HUBSPOT_KEY ({errors.GUIDE}).",
    )


def _flag(settings: Settings, properties: dict[str, Any]) -> Finding:
    found = properties.get(settings.do_not_contact)
    if found and (found.get("type") == "bool" or "true" in _options(found)):
        return Finding("do not contact", ok=True)
    cause = "cannot hold yes and no" if found else "does not exist"
    return Finding(
        "do not contact",
        ok=False,
        cause=f"The property {settings.do_not_contact} {cause}.",
        remedy="Make a property of contacts of the type single checkbox, and put its internal name into "
        f"HUBSPOT_DO_NOT_CONTACT ({errors.GUIDE}).",
    )


def _stage(settings: Settings, properties: dict[str, Any]) -> Finding:
    options = _options(properties.get("lifecyclestage", {}))
    if settings.stage in options or not options:
        return Finding("lifecycle stage", ok=True)
    return Finding(
        "lifecycle stage",
        ok=False,
        cause=f"The account has no lifecycle stage {settings.stage}.",
        remedy=f"Set HUBSPOT_LIFECYCLE_STAGE to one of {', '.join(options)}, or to none.",
    )


def _is_read_only(found: dict[str, Any]) -> bool:
    about = found.get("modificationMetadata")
    return bool(isinstance(about, dict) and about.get("readOnlyValue")) or bool(found.get("calculated"))


def _options(found: dict[str, Any]) -> list[str]:
    listed = found.get("options")
    return [str(one.get("value")) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
