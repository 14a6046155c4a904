"""What can be known of an environment before the first lead: sign-in, tables, privileges, columns, options, owner."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from leads.contract import Finding
from leads.destinations.dynamics import mapping
from leads.destinations.dynamics.api import Api
from leads.destinations.dynamics.errors import GUIDE
from leads.destinations.dynamics.settings import Settings
from leads.errors import Failure
from leads.transport import Deadline

NEEDED = ("prvCreateLead", "prvReadLead", "prvWriteLead", "prvAppendToLead", "prvCreateNote", "prvAppendNote")
NEEDED_FOR_TASKS = ("prvCreateActivity", "prvAppendActivity")
NEEDED_FOR_OWNER = ("prvAssignLead",)

_LEAD = "EntityDefinitions(LogicalName='lead')"
_KIND = "Microsoft.Dynamics.CRM.{}AttributeMetadata"
_DOING = "describe itself"


def check(settings: Settings, deadline: Deadline) -> Iterator[Finding]:
    """Look at the environment without changing it, and report what a lead would meet there, one finding at a time.

    Where the sign-in fails nothing else is looked at. Raises nothing.
    """
    api = Api(settings, deadline, datetime.now(UTC))
    user = ""
    for name, look in (("sign-in", _signed_in), ("environment", _user)):
        try:
            user = look(api)
        except Failure as failure:
            yield Finding(name, ok=False, cause=failure.cause, remedy=failure.remedy)
            return
        yield Finding(name, ok=True)
    for name, finding in (
        ("lead table", _table),
        ("privileges", partial(_privileges, user=user)),
        ("columns", _columns),
        ("lead source code", _source),
        ("owner", _owner),
    ):
        try:
            yield finding(api)
        except Failure as failure:
            yield Finding(name, ok=False, cause=failure.cause, remedy=failure.remedy)


def _signed_in(api: Api) -> str:
    api.token()
    return ""


def _user(api: Api) -> str:
    return str(api.parsed(api.call("GET", "WhoAmI"), _DOING).get("UserId", ""))


def _table(api: Api) -> Finding:
    api.parsed(api.call("GET", f"{_LEAD}?$select=LogicalName"), "show its table of leads")
    return Finding("lead table", ok=True)


def _privileges(api: Api, *, user: str) -> Finding:
    settings = api.settings
    needed = NEEDED + NEEDED_FOR_TASKS * (settings.follow_up == "task") + NEEDED_FOR_OWNER * bool(settings.owner)
    names = quote(json.dumps(needed, separators=(",", ":")), safe="")
    function = "RetrieveUserSetOfPrivilegesByNames(PrivilegeNames=@p)"
    path = f"systemusers({user})/Microsoft.Dynamics.CRM.{function}?@p={names}"
    found = _list(api.parsed(api.call("GET", path), "show the application user's privileges"), "RolePrivileges")
    held = {str(one.get("PrivilegeName", "")).lower() for one in found}
    missing = [name for name in needed if name.lower() not in held]
    if not missing:
        return Finding("privileges", ok=True)
    return Finding(
        "privileges",
        ok=False,
        cause=f"The application user's security role lacks {', '.join(missing)}.",
        remedy=f"Give it a security role that has them ({GUIDE}).",
    )


def _columns(api: Api) -> Finding:
    """Whether the columns that are written exist, may be set, and are as long as usual."""
    about = {
        str(one.get("LogicalName")): one
        for one in _attributes(api, "", "LogicalName,AttributeType,IsValidForCreate,IsSecured")
    }
    lengths = {
        str(one.get("LogicalName")): int(one.get("MaxLength") or 0)
        for kind in ("String", "Memo")
        for one in _attributes(api, f"/{_KIND.format(kind)}", "LogicalName,MaxLength")
    }
    usual = {**mapping.LENGTHS, **mapping.WHOLE}
    wanted = [*usual, "leadsourcecode", "leadqualitycode", *mapping.DO_NOT]
    wanted = [name for name in wanted if api.settings.fields.get(name, "") is not None]
    # A lookup is written by the name of its navigation property, which is not the column's name.
    wanted += [name for name, value in api.settings.fields.items() if value is not None and "@" not in name]
    absent = [name for name in wanted if not about.get(name, {}).get("IsValidForCreate")]
    secured = [name for name in wanted if about.get(name, {}).get("IsSecured")]
    shorter = [f"{name} ({lengths[name]})" for name in usual if 0 < lengths.get(name, 0) < usual[name]]
    if absent:
        return Finding(
            "columns",
            ok=False,
            cause=f"The organization's table of leads does not have {', '.join(absent)}, or the app cannot set them.",
            remedy='Correct the name in DYNAMICS_FIELDS, or leave the column out there by "<column>": null.',
        )
    remarks = [
        f"Under column security, so the application user needs a profile for them: {', '.join(secured)}."
        for secured in [secured]
        if secured
    ] + [
        f"Shorter here than usual, so longer values are cut: {', '.join(shorter)}." for shorter in [shorter] if shorter
    ]
    return Finding("columns", ok=True, cause=" ".join(remarks))


def _source(api: Api) -> Finding:
    path = f"{_LEAD}/Attributes(LogicalName='leadsourcecode')/{_KIND.format('Picklist')}"
    asked = api.call("GET", f"{path}?$select=LogicalName&$expand=OptionSet($select=Options)")
    options = api.parsed(asked, "show its lead sources").get("OptionSet")
    values = [one.get("Value") for one in _list(options, "Options")]
    if not values:
        return Finding("lead source code", ok=True, cause="Dynamics did not say which lead sources it has.")
    if api.settings.lead_source_code in values:
        return Finding("lead source code", ok=True)
    return Finding(
        "lead source code",
        ok=False,
        cause=f"The organization has no lead source {api.settings.lead_source_code}.",
        remedy=f"Set DYNAMICS_LEAD_SOURCE_CODE to one of {', '.join(str(value) for value in values)}.",
    )


def _owner(api: Api) -> Finding:
    owner = api.settings.owner.lstrip("/")
    if not owner:
        return Finding("owner", ok=True)
    is_user = owner.startswith("systemusers")
    row = api.read(owner, "isdisabled" if is_user else "teamid", "show the owner of new records")
    if row is None or row.get("isdisabled"):
        return Finding(
            "owner",
            ok=False,
            cause="The owner of new records does not exist, or is disabled.",
            remedy="Set DYNAMICS_OWNER to systemuser:<guid> or team:<guid> of an enabled user or a team.",
        )
    return Finding("owner", ok=True)


def _attributes(api: Api, kind: str, select: str) -> list[dict[str, Any]]:
    found = api.parsed(api.call("GET", f"{_LEAD}/Attributes{kind}?$select={select}"), "show its columns")
    return _list(found, "value")


def _list(body: object, key: str) -> list[dict[str, Any]]:
    found = body.get(key) if isinstance(body, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
