"""Fields that an org does not take: cut or left out, each with a warning, so that the lead still arrives.

A field that an org does not show in a query is remembered for an hour, so that it costs one request an hour.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from leads import crm, log
from leads.destinations.salesforce import errors
from leads.destinations.salesforce.mapping import WHOLE, Values
from leads.transport import Response

REMEMBERED = timedelta(hours=1)
CODE = "CountryCode"
"""An org has it only with pick-lists of states and countries."""

_absent: dict[tuple[str, str], datetime] = {}


def present(names: Iterable[str], url: str, now: datetime) -> list[str]:
    """The fields of `names` without those that the org at `url` did not show within the last hour."""
    return [name for name in names if _absent.get((url, name), now) <= now]


def hidden(names: Iterable[str], url: str, now: datetime) -> None:
    """Note that the org at `url` does not show these fields."""
    for name in names:
        _absent[url, name] = now + REMEMBERED
        if name != CODE:
            _warn(name, "The org has no such field of Lead, or the app's user may not see it", ())


def fitted(row: Values, response: Response, extra: Collection[str], needed: Collection[str]) -> Values | None:
    """The row without what the answer complains about, or None where leaving fields out would not help.

    `extra` names the fields of SALESFORCE_FIELDS, `needed` those that are never left out.
    """
    if errors.code(response) not in errors.OF_A_FIELD:
        return None
    named = errors.named(response, row)
    if errors.code(response) == errors.TOO_LONG and (limit := errors.allowed_length(response)):
        shorter = {name: crm.cut(row[name], limit) for name in named if isinstance(row[name], str)}
        shorter = {name: value for name, value in shorter.items() if value != row[name] and name not in WHOLE}
        if shorter:
            return {**row, **shorter}
    culprits = named or [name for name in row if name in extra]
    if not culprits or set(culprits) & set(needed):
        return None
    for name in culprits:
        _warn(name, f"Salesforce does not take this field ({errors.code(response)})", extra)
    return {name: value for name, value in row.items() if name not in culprits}


def _warn(name: str, cause: str, extra: Collection[str]) -> None:
    remedy = f'Correct it in Salesforce, or leave the field out by "{name}": null in SALESFORCE_FIELDS.'
    if name in extra:
        remedy = "Correct SALESFORCE_FIELDS, or the permission set in Salesforce; leads arrive without it until then."
    log.event("settings_problem", setting="SALESFORCE_FIELDS", cause=f"{cause}: {name}.", remedy=remedy)
