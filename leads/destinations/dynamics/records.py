"""Dynamics 365 Sales: one record of the table `lead` per customer and offer, each step of the customer a note on it.

Which record a lead belongs to, and why nothing is written twice, is explained in docs/adr/0003-dynamics-records.md. A
step costs two requests when it makes the record (record, note), and otherwise two (look, note) or three (its rating
rises); a follow-up task is one more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from leads import crm
from leads.contract import Step
from leads.destinations.dynamics import columns, errors, mapping
from leads.destinations.dynamics.api import Api, is_done
from leads.destinations.dynamics.errors import Unanswered
from leads.destinations.dynamics.settings import Settings
from leads.errors import Failure, Misconfigured, Rejected, Transient
from leads.lead import Lead
from leads.transport import Response

NAMESPACE = UUID("5b0e4c52-6d0f-4f0e-9a55-3c1f0a7d9e21")
"""The project's own; another one would make second records for every customer."""

GENERATIONS = 100
"""How often a customer's record for one offer may be closed or deleted and then be made anew."""

_SELECT = "statecode,leadqualitycode,_masterid_value"
_ASKED, _NOTE, _TASK = "record", "note", "task"
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
Found = dict[str, Any] | None


def record_id(lead: Lead, generation: int = 0) -> str:
    """The GUID of the record that the lead's customer has for its offer, in lower case."""
    return str(uuid5(NAMESPACE, f"lead:{lead.customer}:{crm.offer_key(lead)}:{generation}"))


def record_url(lead: Lead, known: Iterable[tuple[Lead, str]], settings: Settings) -> str:
    """The page of the lead's record in Dynamics, as far as it can be known without asking; empty where it cannot.

    `known` are leads of the customer with their remote ids: this one first, then the others, newest first.
    """
    guid = _likely_record(lead, known, settings)
    site = settings.url.replace(".api.", ".", 1)
    return f"{site}/main.aspx?pagetype=entityrecord&etn=lead&id={guid}" if guid and site else ""


def _likely_record(lead: Lead, known: Iterable[tuple[Lead, str]], settings: Settings) -> str:
    for other, remote_id in known:
        guid, todo = _parse(remote_id)
        if guid and todo != _ASKED and (other.id == lead.id or crm.same_offer(lead, other)):
            return guid
    return "" if settings.match == "email" else record_id(lead)


def send(lead: Lead, step: Step, settings: Settings) -> str:
    """Bring the lead to its record and return the record's GUID.

    Raises a Failure whose `remote_id` shows the next attempt how far this one came: `<guid>/record` when that record
    was asked for and no answer came, `<guid>/note` or `<guid>/task` when the rest is done, nothing before that.
    """
    if not settings.url:
        raise Misconfigured("DYNAMICS_URL is not set, or is not a URL.", "Set it to the environment's address.")
    visit = _Visit(Api(settings, step.deadline, step.now, crm.private(lead)), lead, step, settings, step.remote_id)
    try:
        return visit.run()
    except Failure as failure:
        failure.remote_id = visit.left
        raise


def preview(lead: Lead, step: Step, settings: Settings) -> str:
    """What would be written, as JSON: the record where it is made, the note, and the task where one is wanted."""
    guid = record_id(lead)
    shown = {
        "the record, where there is none yet": mapping.record(
            lead, settings.lead_source_code, settings.owner, settings.fields
        ),
        "the note on it": mapping.note(lead, guid),
    }
    if settings.follow_up == "task" and not lead.do_not_contact and not lead.is_test:
        shown["the follow-up task"] = mapping.task(lead, guid, settings.owner, step.now)
    return json.dumps(shown, ensure_ascii=False, indent=2)


@dataclass
class _Visit:
    """One attempt: `left` is the remote id that a failure leaves behind."""

    api: Api
    lead: Lead
    step: Step
    settings: Settings
    left: str

    def run(self) -> str:
        """Do what is left to do of record, rating, note and task."""
        guid, todo = _parse(self.step.remote_id)
        if guid and not todo:
            return self._again(guid)
        if todo not in (_NOTE, _TASK):
            guid = self._asked(guid) if todo == _ASKED else self._record()
        if todo != _TASK:
            self.left = f"{guid}/{_NOTE}"
            if not self._append("annotations", mapping.note(self.lead, guid), guid, "add the note"):
                return guid
        if self.settings.follow_up == "task" and not self.lead.do_not_contact and not self.lead.is_test:
            self.left = f"{guid}/{_TASK}"
            task = mapping.task(self.lead, guid, self.settings.owner, self.step.now)
            self._append("tasks", task, guid, "make the follow-up task")
        return guid

    def _again(self, guid: str) -> str:
        """A replay of what arrived: it is there, or a person deleted it, and it stays deleted."""
        if self._look(guid):
            return guid
        raise Rejected(
            "The record to which this lead was delivered is no longer in Dynamics: a person deleted it.",
            "Restore it in Dynamics if it is needed. A replay does not bring back what a person deleted; the "
            "customer's next step makes a new record.",
        )

    def _asked(self, guid: str) -> str:
        """Make the record that an earlier attempt asked for; if it is there, it is this lead's, also when closed."""
        made_before = guid in self._known()
        if not made_before and self._made(guid):
            return guid
        row = self._look(guid)
        if row is None and made_before:
            return self._record()
        self._raised(guid, row)
        return guid

    def _record(self) -> str:
        """The open record that a new step belongs to, made if there is none."""
        known = {guid: _generation(self.lead, guid) for guid in self._known()}
        # All of them: a person may have deleted the newest as a duplicate and have opened an older one again.
        for guid in sorted(known, key=lambda guid: known[guid], reverse=True):
            if found := self._open(guid, self._look(guid)):
                return found
        newest = max(known.values(), default=-1)
        if found := self._matched():
            return found
        for generation in range(newest + 1, GENERATIONS):
            guid = record_id(self.lead, generation)
            if self._made(guid):
                return guid
            if found := self._open(guid, self._look(guid)):
                return found
        raise Rejected(
            f"This customer's record was closed or deleted {GENERATIONS} times.",
            "Find the rule or flow in Dynamics that closes new records at once.",
        )

    def _known(self) -> list[str]:
        """The records that the customer's other steps for this offer are on, newest first."""
        others = (*self.step.earlier, *self.step.later)
        found = [_parse(other.remote_id) for other in reversed(others) if crm.same_offer(self.lead, other.lead)]
        return list(dict.fromkeys(guid for guid, todo in found if guid and todo != _ASKED))

    def _look(self, guid: str) -> Found:
        return self.api.read(f"leads({guid})", _SELECT, "show the record")

    def _made(self, guid: str) -> bool:
        """Make the record; False where one of this id is there already."""
        settings = self.settings
        row = mapping.record(self.lead, settings.lead_source_code, settings.owner, settings.fields)
        try:
            return self._created(f"leads({guid})", row, "make the record")
        except Unanswered as error:
            if error.unanswered:
                self.left = f"{guid}/{_ASKED}"
            raise

    def _open(self, guid: str, row: Found) -> str:
        """The record if it takes this step, or the one it was merged into; else nothing."""
        for _ in range(5):
            if self._raised(guid, row):
                return guid
            master = str((row or {}).get("_masterid_value") or "").lower()
            if not _GUID.fullmatch(master):
                break
            guid, row = master, self._look(master)
        return ""

    def _raised(self, guid: str, row: Found) -> bool:
        """Raise the rating to what this step is worth, never lower it. False where the record is closed or gone."""
        wanted = None if self.lead.do_not_contact else mapping.RATING.get(self.lead.stage)
        for _ in range(3):
            if row is None or row.get("statecode"):
                return False
            if wanted is None or row.get("leadqualitycode") not in mapping.LOWER[wanted]:
                return True
            raised = self._accepted("leads", {"leadqualitycode": wanted})
            if not raised:
                return True
            match = {"If-Match": str(row.get("@odata.etag"))}
            response = self.api.call("PATCH", f"leads({guid})", row=raised, condition=match)
            if is_done(response) or self._fitted("leads", raised, response) is not None:
                return True
            row = self._look(guid)
            closed = row is None or row.get("statecode")
            if response.status != 412 and not closed:
                raise self.api.failure(response, "raise the rating")
        raise Transient(
            "The record changed each time the app tried to raise its rating.", "Nothing to do: the app tries again."
        )

    def _matched(self) -> str:
        """An open record that another system made for the same e-mail address, if those are wanted."""
        address = self.lead.contact.email.replace("'", "''")
        if self.settings.match != "email" or "@" not in address:
            return ""
        for row in self.api.find(
            "leads",
            f"emailaddress1 eq '{address}' and statecode eq 0",
            f"$select={_SELECT}&$orderby=createdon%20desc&$top=20",
            "search for the e-mail address",
        ):
            guid = str(row.get("leadid", "")).lower()
            # Version 5 marks the records that this app made: for another offer, or this one's, which is found by id.
            if _GUID.fullmatch(guid) and UUID(guid).version != 5 and (found := self._open(guid, row)):
                return found
        return ""

    def _append(self, table: str, row: mapping.Columns, guid: str, doing: str) -> bool:
        """Put a row of the lead's own next to the record, once. False where a person deleted the record."""
        key = uuid5(NAMESPACE, f"{table}:{self.lead.id}")
        try:
            self._created(f"{table}({key})", row, doing)
        except Rejected:
            if self._look(guid) is not None:
                raise
            return False
        return True

    def _created(self, path: str, row: mapping.Columns, doing: str) -> bool:
        """Create a row unless it is there (then False), without the columns that the organization does not take."""
        table = path.partition("(")[0]
        left: mapping.Columns | None = self._accepted(table, row)
        while left is not None:
            response = self.api.call("PATCH", path, row=left, condition={"If-None-Match": "*"})
            if is_done(response):
                return True
            if errors.exists(response):
                return False
            left = self._fitted(table, left, response)
        raise self.api.failure(response, doing)

    def _accepted(self, table: str, row: mapping.Columns) -> mapping.Columns:
        return columns.accepted(row, f"{self.settings.url}/{table}", self.step.now)

    def _fitted(self, table: str, row: mapping.Columns, response: Response) -> mapping.Columns | None:
        extra = self.settings.fields.keys() if table == "leads" else ()
        return columns.fitted(row, response, extra, f"{self.settings.url}/{table}", self.step.now)


def _generation(lead: Lead, guid: str) -> int:
    """Which of the lead's records this is; -1 for one that was found instead of made."""
    return next((number for number in range(GENERATIONS) if record_id(lead, number) == guid), -1)


def _parse(remote_id: str) -> tuple[str, str]:
    """The record and what was left to do; both empty if the text is not a remote id of this destination."""
    guid, _, todo = remote_id.lower().partition("/")
    good = _GUID.fullmatch(guid) and todo in ("", _ASKED, _NOTE, _TASK)
    return (guid, todo) if good else ("", "")
