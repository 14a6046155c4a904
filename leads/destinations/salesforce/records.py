"""One Lead of Salesforce per customer and offer, each step of the customer a completed Task on it.

The key of a record is made of customer, offer and *generation*, and stands in a unique field: two processes that make
the same record at once cannot make two. Every attempt looks first, among deleted and merged records too, so the answer
is the same whether this app remembers the record or not. The generation grows when a person deleted the record and a
new step comes. The step's Task has the lead id in a unique field, so it is made once, whichever record it is on.

A first step costs three requests (look, lead, task), a later one two or three (look, what changes, task).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from itertools import chain

from leads import crm
from leads.contract import Step
from leads.destinations.salesforce import errors, fields, mapping, web
from leads.destinations.salesforce.api import Api, quoted
from leads.destinations.salesforce.mapping import Values
from leads.destinations.salesforce.settings import Settings
from leads.errors import Failure, Misconfigured, Rejected, Transient
from leads.lead import Lead, State
from leads.transport import Response

_TASK = "task"
_ID = re.compile(r"(00Q|003)[A-Za-z0-9]{12}([A-Za-z0-9]{3})?")
_STEPS_KNOWN = 50
"""Of how many of the customer's other leads the records are looked for by id, newest first."""
_ALWAYS = ("Id", "IsDeleted", "MasterRecordId", "IsConverted", "ConvertedContactId", "LastModifiedDate")
_WANTED = ("Description", "Rating", *mapping.FILLED)
_DUPLICATES = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}
_TIMES = 3
"""How often something that changes meanwhile is looked at again within one attempt."""


def record_url(lead: Lead, known: Iterable[tuple[Lead, str]], settings: Settings) -> str:
    """The page of the lead's record in Salesforce, as far as it can be known without asking; else empty.

    `known` are leads of the customer with their remote ids: this one first, then the others, newest first.
    """
    for other, remote_id in known:
        place, _ = _parse(remote_id)
        if place and settings.url and (other.id == lead.id or crm.same_offer(lead, other)):
            return f"{settings.url}/{place}"
    return ""


def send(lead: Lead, step: Step, settings: Settings) -> str:
    """Bring the lead to its record and return the record's id: of a Lead, or of the Contact that it became.

    Raises a Failure whose `remote_id` is `<id>/task` when the record is done and the Task is left.
    """
    if settings.web:
        return web.send(lead, step, settings)
    api = Api(settings, step.deadline, step.now, crm.private(lead))
    visit = _Visit(api, lead, step, settings, step.remote_id)
    try:
        return visit.run()
    except Failure as failure:
        failure.remote_id = visit.left
        raise


@dataclass
class _Visit:
    """One attempt: `left` is the remote id that a failure leaves behind."""

    api: Api
    lead: Lead
    step: Step
    settings: Settings
    left: str
    asked: list[str] = field(default_factory=list)
    """The fields of Lead that the org shows, once it was asked."""

    def run(self) -> str:
        """Do what is left to do of record and Task."""
        place, todo = _parse(self.step.remote_id)
        if place and not todo:
            return self._again(place)
        if self.step.uncertain and (written := self._written()):
            return place or written
        if place:
            found = self._followed(self._one(place))
            if found is None:
                # A person deleted it since, and a retry does not bring it back.
                return place
            place = str(found["Id"])
        else:
            place, deleted = self._record()
            if deleted:
                return place
        self.left = f"{place}/{_TASK}"
        self._append(place)
        return place

    def _again(self, place: str) -> str:
        """A replay of what arrived: it is there, or a person deleted it, and it stays deleted."""
        found = self._followed(self._one(place))
        if found is not None:
            return str(found["Id"])
        raise Rejected(
            "The record to which this lead was delivered is no longer in Salesforce: a person deleted it.",
            "Take it out of the Recycle Bin if it is needed. A replay does not bring back what a person deleted; the "
            "customer's next step makes a new record.",
        )

    def _written(self) -> str:
        """The record on which an earlier attempt left this step's Task, also when a person deleted that since."""
        condition = f"{self.settings.step_key} = {quoted(self.lead.id)}"
        found = self.api.rows(self.api.find(("Id", "WhoId"), "Task", condition), "look for the step")
        return str(found[0].get("WhoId") or found[0].get("Id")) if found else ""

    def _record(self) -> tuple[str, bool]:
        """The record that the step belongs to, made if there is none; True where a person deleted the step's own."""
        for _ in range(_TIMES):
            rows = self._look()
            for row in rows:
                if _is_gone(row) and self.lead.id in str(row.get("Description") or ""):
                    return str(row["Id"]), True
            contacts = (self._one(place) for place in self._known("003"))
            if found := next(filter(None, map(self._taken, chain(contacts, rows))), ""):
                return found, False
            if made := self._made(1 + max((self._generation(row) for row in rows), default=-1)):
                return made, False
        raise Misconfigured(
            "Salesforce has a lead with this customer's key, but the app's user may not see it.",
            f"Give its permission set View All Records of leads ({errors.GUIDE}).",
        )

    def _look(self) -> list[Values]:
        """The leads of this customer and offer, those first that the customer's newest other steps are on."""
        key = self.settings.lead_key
        condition = f"{key} LIKE {quoted(mapping.key_stem(self.lead) + '%')}"
        known = self._known("00Q")
        if known:
            condition += f" OR Id IN ({', '.join(map(quoted, known))})"
        rows = self._leads(condition)
        newest = {id_: number for number, id_ in enumerate(known)}
        return sorted(rows, key=lambda row: (newest.get(str(row.get("Id")), len(known)), -self._generation(row)))

    def _known(self, prefix: str) -> list[str]:
        """The records that the customer's other steps for this offer are on, newest first."""
        others = (*self.step.earlier, *self.step.later)
        places = [_parse(one.remote_id)[0] for one in reversed(others) if crm.same_offer(self.lead, one.lead)]
        return list(dict.fromkeys(place for place in places if place.startswith(prefix)))[:_STEPS_KNOWN]

    def _one(self, place: str) -> Values | None:
        """The Lead or Contact of this id; None where even the Recycle Bin has none."""
        if place.startswith("00Q"):
            found = self._leads(f"Id = {quoted(place)}")
        else:
            asked = self.api.find(("Id", "IsDeleted", "MasterRecordId"), "Contact", f"Id = {quoted(place)}")
            found = self.api.rows(asked, "show the contact")
        return found[0] if found else None

    def _leads(self, condition: str) -> list[Values]:
        """The leads that meet the condition, with all fields that the org shows."""
        while True:
            self.asked = fields.present(_WANTED, self.settings.url, self.step.now)
            answer = self.api.find((*_ALWAYS, self.settings.lead_key, *self.asked), "Lead", condition)
            hidden = errors.named(answer, self.asked) if errors.code(answer) == "INVALID_FIELD" else []
            if not hidden:
                return self.api.rows(answer, "look for the lead")
            fields.hidden(hidden, self.settings.url, self.step.now)

    def _followed(self, row: Values | None) -> Values | None:
        """The record itself, the one that it was merged into, or the contact that it became; None if deleted."""
        for _ in range(5):
            if row is None or not (row.get("IsDeleted") or row.get("IsConverted")):
                return row
            # A merge deletes the record that lost.
            other = str(row.get("MasterRecordId" if row.get("IsDeleted") else "ConvertedContactId") or "")
            row = self._one(other) if _ID.fullmatch(other) else None
        return None

    def _taken(self, row: Values | None) -> str:
        """The id of the record that takes the step, brought up to date; empty where a person deleted it."""
        for _ in range(_TIMES):
            row = self._followed(row)
            if row is None:
                return ""
            place = str(row["Id"])
            if not place.startswith("00Q") or self._updated(row):
                return place
            row = self._one(place)
        raise Transient(
            "Somebody changed the record each time the app tried to write it.", "Nothing to do: the app tries again."
        )

    def _updated(self, row: Values) -> bool:
        """Fill what is empty and raise the rating; False where somebody changed the record since it was looked at."""
        wanted: Values | None = self._changes(row)
        while wanted:
            headers = {**_DUPLICATES, "Sforce-Auto-Assign": "FALSE", **_unless_changed(row)}
            answer = self.api.call("PATCH", f"sobjects/Lead/{row['Id']}", row=wanted, headers=headers)
            if answer.status in (200, 204):
                return True
            if answer.status == 412 or errors.code(answer) in errors.GONE - errors.OF_A_FIELD:
                return False
            wanted = self._without(wanted, answer, "fill in the lead")
        return True

    def _changes(self, row: Values) -> Values:
        """What this step adds to a record that is there. A do-not-contact lead changes nothing."""
        if self.lead.do_not_contact:
            return {}
        ours = self._fresh()
        empty = [name for name in mapping.FILLED if name in ours and name in row and not row[name]]
        if row.get("Country") or row.get(fields.CODE):
            empty = [name for name in empty if name not in ("Country", fields.CODE)]
        changes = {name: ours[name] for name in empty}
        rating, now = mapping.RATING.get(self.lead.stage, ""), str(row.get("Rating") or "")
        if "Rating" in row and now in self._last_written(str(row["Id"])) and _higher(rating, now) != now:
            changes["Rating"] = rating
        return changes

    def _last_written(self, place: str) -> set[str]:
        """What the app may have last written as the record's rating; anything else is a person's.

        It wrote the best of the steps that are on the record. Steps of which nobody knows how far they came may have
        written theirs as well.
        """
        best, perhaps = "", [mapping.RATING.get(self.lead.stage, "")] if self.step.uncertain else []
        for one in (*self.step.earlier, *self.step.later):
            where, rating = _parse(one.remote_id)[0], mapping.RATING.get(one.lead.stage, "")
            if not crm.same_offer(self.lead, one.lead) or one.state in (State.SKIPPED, None):
                continue
            if where == place and not one.lead.do_not_contact:
                best = _higher(best, rating)
            elif where in ("", place):
                perhaps.append(rating)
        return {best, *(_higher(best, rating) for rating in perhaps)}

    def _made(self, generation: int) -> str:
        """The id of a new lead; empty where one with its key is there already."""
        row = {**self._fresh(), self.settings.lead_key: mapping.key(self.lead, generation)}
        headers = {**_DUPLICATES, "Sforce-Auto-Assign": "TRUE"}
        return self._created("Lead", row, headers, self.settings.lead_key, "make the lead")

    def _fresh(self) -> Values:
        """The fields of a new lead, as far as the org shows them."""
        row = mapping.record(self.lead, self.settings, codes=fields.CODE in self.asked)
        return {name: value for name, value in row.items() if name not in _WANTED or name in self.asked}

    def _append(self, place: str) -> None:
        """Make the step's Task, unless it is there."""
        row, doing = mapping.task(self.lead, place, self.settings), "add the step to the record"
        self._created("Task", row, {}, self.settings.step_key, doing)

    def _created(self, kind: str, row: Values, headers: dict[str, str], key: str, doing: str) -> str:
        """The id of a new record, made without the fields that the org does not take; empty where its key is taken."""
        left = row
        while True:
            answer = self.api.call("POST", f"sobjects/{kind}", row=left, headers=headers)
            body = answer.json()
            if answer.status == 201 and isinstance(body, dict) and body.get("id"):
                return str(body["id"])
            if errors.code(answer) == errors.EXISTS and errors.named(answer, left) in ([key], []):
                return ""
            if kind == "Task" and errors.code(answer) in errors.GONE:
                raise Transient(
                    "Somebody changed the record while the app added the step to it.",
                    "Nothing to do: the app looks again.",
                )
            left = self._without(left, answer, doing)

    def _without(self, row: Values, answer: Response, doing: str) -> Values:
        """The row without what the answer refuses. Raises the failure where that would not help."""
        needed = {*mapping.REQUIRED, "WhoId", self.settings.lead_key, self.settings.step_key}
        fitted = fields.fitted(row, answer, self.settings.fields.keys(), needed)
        if fitted is None:
            raise errors.of_required(answer, mapping.REQUIRED) or self.api.failure(answer, doing)
        return fitted

    def _generation(self, row: Values) -> int:
        """Which of the customer's records this is; -1 if its key belongs to another customer or offer."""
        number = str(row.get(self.settings.lead_key) or "").removeprefix(mapping.key_stem(self.lead))
        return int(number) if number.isascii() and number.isdecimal() else -1


def _is_gone(row: Values) -> bool:
    return bool(row.get("IsDeleted")) and not row.get("MasterRecordId")


def _higher(one: str, other: str) -> str:
    """The higher of two ratings; one that an org added of its own is higher than all."""
    ranks = {name: rank for rank, name in enumerate(mapping.ORDER)}
    return max(other, one, key=lambda rating: ranks.get(rating, len(ranks)))


def _unless_changed(row: Values) -> dict[str, str]:
    """The condition that a person who saved since the look wins (REST API, Conditional Request Headers)."""
    try:
        changed = datetime.fromisoformat(str(row.get("LastModifiedDate")))
    except ValueError:
        return {}
    return {"If-Unmodified-Since": format_datetime(changed, usegmt=True)} if changed.tzinfo else {}


def _parse(remote_id: str) -> tuple[str, str]:
    """The record and what was left to do; both empty if the text is not a remote id of this destination."""
    place, _, todo = remote_id.partition("/")
    return (place, todo) if _ID.fullmatch(place) and todo in ("", _TASK) else ("", "")
