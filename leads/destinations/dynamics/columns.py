"""Columns that an organization does not take: left out or cut, with a warning, so that the lead still arrives.

What is refused for every lead is remembered for an hour, so that it costs one request an hour and not one a lead.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime, timedelta

from leads import crm, log
from leads.destinations.dynamics import errors
from leads.destinations.dynamics.mapping import Columns
from leads.transport import Response

OWNER = "ownerid@odata.bind"
SOURCE = "leadsourcecode"
REMEMBERED = timedelta(hours=1)

_refused: dict[tuple[str, str], datetime] = {}
_OWNER_PRIVILEGES = ("prvassign", "prvreaduser", "prvreadteam")


def accepted(row: Columns, table: str, now: datetime) -> Columns:
    """The row without the columns that the table at this address refused within the last hour."""
    return {column: value for column, value in row.items() if _refused.get((table, column), now) <= now}


def fitted(row: Columns, response: Response, extra: Collection[str], table: str, now: datetime) -> Columns | None:
    """The row without what the answer complains about, or None where leaving columns out would not help.

    `extra` names the columns that come from DYNAMICS_FIELDS, `table` is the table's address.
    """
    if errors.code(response) == errors.TOO_LONG:
        return _shortened(row, response)
    columns, cause, lasting = _culprits(row, response, extra)
    if not columns:
        return None
    for column in columns:
        _warn(column, cause, extra)
        if lasting or column == SOURCE:
            _refused[table, column] = now + REMEMBERED
    return {column: value for column, value in row.items() if column not in columns}


def _culprits(row: Columns, response: Response, extra: Collection[str]) -> tuple[list[str], str, bool]:
    """The columns to leave out, why, and whether the next lead would meet the same refusal."""
    code = errors.code(response)
    named = errors.named_columns(response, row)
    of_fields = [column for column in row if column in extra]
    if _is_about_owner(row, response):
        return [OWNER], "The owner does not exist, or the application user may not give it records", True
    if code in errors.COLUMN_SECURED:
        secured = named or [column for column in row if column == SOURCE or len(row) == 1] or of_fields
        return secured, "The application user may not set the column", True
    if code in errors.UNKNOWN_COLUMN and named:
        return named, "The organization has no such column, or it takes another kind of value", True
    if code == errors.NO_OPTION:
        chosen = named or [column for column in row if column == SOURCE] or of_fields
        return chosen, "The organization's list of options does not have the value", False
    if response.status in (400, 404) and code != errors.PLUG_IN and not errors.is_foreign(response):
        return of_fields, "Dynamics refused the record with the columns of DYNAMICS_FIELDS", False
    return [], "", False


def _is_about_owner(row: Columns, response: Response) -> bool:
    if OWNER not in row:
        return False
    code, words = errors.code(response), errors.message(response).lower()
    if code == errors.PRIVILEGE:
        return any(privilege in words for privilege in _OWNER_PRIVILEGES)
    return code == errors.NO_ACCESS or (code == errors.NO_SUCH_ROW and ("systemuser" in words or "team" in words))


def _shortened(row: Columns, response: Response) -> Columns | None:
    """The row with the named columns cut to the length that the answer allows, or without them."""
    limit = errors.allowed_length(response)
    named = [column for column in errors.named_columns(response, row) if isinstance(row[column], str)]
    if not named:
        return None
    kept = dict(row)
    for column in named:
        before = kept.pop(column)
        after = crm.cut(before, limit) if limit else ""
        if after and after != before:
            kept[column] = after
    return kept


def _warn(column: str, cause: str, extra: Collection[str]) -> None:
    setting = {OWNER: "DYNAMICS_OWNER", SOURCE: "DYNAMICS_LEAD_SOURCE_CODE"}.get(column, "DYNAMICS_FIELDS")
    remedy = "Correct the setting, or the column's security profile in Dynamics; until then leads arrive without it."
    if setting == "DYNAMICS_FIELDS" and column not in extra:
        remedy = f'Correct it in Dynamics, or leave the column out by "{_bare(column)}": null in DYNAMICS_FIELDS.'
    log.event("settings_problem", setting=setting, cause=f"{cause}: {_bare(column)}.", remedy=remedy)


def _bare(column: str) -> str:
    return re.sub(r"@.*", "", column)
