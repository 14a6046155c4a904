"""Marketo: one person per customer, found by the address, and each step of the customer a custom activity.

A person is made, and Marketo refuses a second one with the same address; then the one that is there is looked at, and
only what is empty is filled. A step costs two calls when it makes the person (person, activity), and otherwise three
(refused person, look, activity) or four (something is filled).

The remote id is the person's id, and behind a slash `activity` where that is left to do. In `form` mode each lead
submits a form, as Microsoft's own connector does, and the remote id is the person that Marketo names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from leads import crm, log
from leads.contract import Step
from leads.destinations.marketo import errors, mapping
from leads.destinations.marketo.api import Api, Body
from leads.destinations.marketo.mapping import Fields
from leads.destinations.marketo.settings import Settings
from leads.errors import Failure, Misconfigured, Rejected, Skip, Transient
from leads.lead import Lead

_ACTIVITY = "activity"
_SYNC = "/rest/v1/leads.json"
_SKEW = timedelta(hours=1)
"""How far Marketo's clock may be from the one that a lead's times come from."""


def record_url(lead: Lead, known: Iterable[tuple[Lead, str]], settings: Settings) -> str:
    """The page of the customer in Marketo, where MARKETO_APP_URL is set and a delivery has found out who it is.

    `known` are leads of the customer with their remote ids: this one first, then the others, newest first.
    """
    del lead
    person = next((found for _, remote_id in known if (found := _parse(remote_id)[0])), 0)
    known_site = person and settings.app_url
    return f"{settings.app_url}/leadDatabase/loadLeadDetail?leadId={person}" if known_site else ""


def preview(lead: Lead, step: Step, settings: Settings) -> str:
    """What `send` would write, as text. Raises Skip where it would write nothing."""
    del step
    _demand_address(lead)
    if settings.mode == "form":
        return "\n".join(
            [f"Form {settings.form_id}, which overwrites what is there:", *_listed(mapping.form(lead, settings))]
        )
    lines = [
        "Person (where there is one already, only what is empty is filled, and never the company):",
        *_listed(mapping.person(lead, settings)),
    ]
    if not settings.activity_type:
        return "\n".join([*lines, "No activity: MARKETO_ACTIVITY_TYPE_ID is not set, so this step is lost."])
    activity = mapping.activity(lead, 0, settings)
    values = {one["apiName"]: one["value"] for one in activity["attributes"]}
    lines += [
        f"Activity {activity['activityTypeId']} of {activity['activityDate']}, {activity['primaryAttributeValue']}:"
    ]
    return "\n".join([*lines, *_listed(values)])


def send(lead: Lead, step: Step, settings: Settings) -> str:
    """Bring the lead to its person and return the person's id.

    Raises Skip where the customer has no address that Marketo takes, and a Failure whose `remote_id` shows the next
    attempt how far this one came.
    """
    if not settings.url or not settings.client_secret:
        raise Misconfigured(
            "MARKETO_MUNCHKIN_ID, MARKETO_CLIENT_ID or MARKETO_CLIENT_SECRET is not set.", f"Set them ({errors.GUIDE})."
        )
    _demand_address(lead)
    api = Api(settings, step.deadline, step.now)
    if settings.mode == "form":
        return _submit(api, lead, step, settings)
    visit = _Visit(api, lead, step, settings, step.remote_id)
    try:
        return visit.run()
    except Failure as failure:
        failure.remote_id = visit.left
        raise


def _submit(api: Api, lead: Lead, step: Step, settings: Settings) -> str:
    """Submit the form, unless Marketo took it already. It is submitted again after a lost answer, and by a replay."""
    if step.remote_id and not step.replayed:
        return step.remote_id
    doing = "take the form"

    def submit(left: Fields) -> Body:
        request = {"formId": settings.form_id, "input": [{"leadFormFields": left}]}
        return _single(api.call("POST", "/rest/v1/leads/submitForm.json", doing, json=request))

    record = _taken(submit, mapping.form(lead, settings), {"email"}, settings)
    if record.get("status") in ("created", "updated"):
        return str(_id(record))
    reasons = record.get("reasons")
    if errors.NO_FIELD & set(errors.codes(reasons)):
        raise Misconfigured(
            "The form does not have the field email, or Marketo does not say which one it lacks.",
            "Add the fields to the form that docs/destinations/marketo.md lists.",
        )
    raise errors.failure(reasons, doing)


@dataclass
class _Visit:
    """One attempt: `left` is the remote id that a failure leaves behind."""

    api: Api
    lead: Lead
    step: Step
    settings: Settings
    left: str

    def run(self) -> str:
        """Do what is left to do of person and activity."""
        person, todo = _parse(self.step.remote_id)
        if person and not todo:
            return str(self._again(person))
        fresh = False
        if not person:
            person, fresh = self._person()
        self.left = f"{person}/{_ACTIVITY}"
        return str(self._activity(person, fresh=fresh) if self.settings.activity_type else person)

    def _again(self, person: int) -> int:
        """A replay of what arrived: it is there, or somebody deleted it, and it stays deleted."""
        found = person if self.api.find("id", str(person), ()) else self._elsewhere(person)
        if found:
            return found
        raise Rejected(
            "The person to whom this lead was delivered is no longer in Marketo: somebody deleted it.",
            "A replay does not bring back what somebody deleted; the customer's next step makes a new person.",
        )

    def _person(self) -> tuple[int, bool]:
        """The customer, and whether this attempt made the person."""
        fields = mapping.person(self.lead, self.settings)
        record = self._synced({"action": "createOnly", "lookupField": "email"} | self._partition(), fields, {"email"})
        if record.get("status") == "created":
            return _id(record), True
        reasons = record.get("reasons")
        if not errors.EXISTS & set(errors.codes(reasons)):
            if errors.NO_FIELD & set(errors.codes(reasons)):
                raise Misconfigured(
                    "Marketo does not let the API user write the field email.",
                    f"Give its role the permission to write people ({errors.GUIDE}).",
                )
            raise errors.failure(reasons, "make the person")
        found = self.api.find("email", mapping.email(self.lead), fields)
        if found is None:
            raise Misconfigured(
                "Marketo says that the person exists already, but does not show it.",
                "Give the API user's role the workspaces of all partitions, or set MARKETO_PARTITION.",
            )
        if found["several"]:
            _warn(
                "MARKETO_PARTITION",
                f"Several people in Marketo have one lead's address; the newest was taken, {found['id']}.",
                "Merge them in Marketo.",
            )
        self._fill(found, fields)
        return _id(found), False

    def _partition(self) -> Fields:
        return {"partitionName": self.settings.partition} if self.settings.partition else {}

    def _fill(self, found: Body, fields: Fields) -> None:
        """Write what is empty in a person that was there. A do-not-contact lead changes nothing in one."""
        wanted = {name: value for name, value in fields.items() if name not in mapping.NEVER_UPDATED}
        empty = {name: value for name, value in wanted.items() if found.get(name) in (None, "")}
        if not empty or self.lead.do_not_contact:
            return
        update = {"action": "updateOnly", "lookupField": "id"}
        record = self._synced(update, {"id": found["id"], **empty}, {"id"})
        reasons = record.get("reasons")
        if record.get("status") == "updated":
            return
        failed = errors.failure(reasons, "fill the person")
        if not isinstance(failed, Rejected):
            raise failed
        _warn("MARKETO_FIELDS", f"{failed.cause} The step is added all the same.", failed.remedy)

    def _synced(self, how: Fields, fields: Fields, required: Collection[str]) -> Body:
        """Write one person."""

        def write(left: Fields) -> Body:
            return _single(self.api.call("POST", _SYNC, "write the person", json={**how, "input": [left]}))

        return _taken(write, fields, required, self.settings)

    def _activity(self, person: int, *, fresh: bool) -> int:
        """Add the step's activity, once, and return the person: another one where they were merged."""
        if self.step.uncertain and not fresh:
            first = min(self.lead.created_at, self.lead.arrived_at) - _SKEW
            if self.api.has_activity(person, self.settings.activity_type, self.lead.id, first):
                return person
        doing = "add the activity"
        request = {"input": [mapping.activity(self.lead, person, self.settings)]}
        record = _single(self.api.call("POST", "/rest/v1/activities/external.json", doing, json=request))
        if record.get("status") == "added":
            return person
        found = set(errors.codes(record.get("errors")))
        if errors.NOT_FOUND in found:
            other = self._elsewhere(person)
            self.left = f"{other or person}/{_ACTIVITY}"
            return self._activity(other, fresh=False) if other else person
        if found & {"1001", "1002", "1003", *errors.NO_FIELD}:
            raise Misconfigured(
                f"Marketo's custom activity does not match what the app writes (error {', '.join(sorted(found))}).",
                f"Give it the attributes offer, action and text, and approve it ({errors.GUIDE}).",
            )
        raise errors.failure(record.get("errors"), doing)

    def _elsewhere(self, person: int) -> int:
        """The person into whom that one was merged: the address leads there. 0 where somebody deleted it."""
        found = self.api.find("email", mapping.email(self.lead), ())
        return _id(found) if found and found["id"] != person else 0


def _taken(write: Callable[[Fields], Body], fields: Fields, required: Collection[str], settings: Settings) -> Body:
    """What Marketo says of a record once it goes without what the account does not take; never without `required`."""
    left = dict(fields)
    while True:
        record = write(left)
        reasons = record.get("reasons")
        found = set(errors.codes(reasons))
        dropped = errors.named(reasons, left) if found & (errors.NO_FIELD | errors.BAD_VALUE) else []
        if found & errors.BAD_VALUE:
            shorter = {name: cut for name in settings.fields if (cut := _cut(left.get(name))) != left.get(name)}
            if shorter:
                left |= shorter
                continue
            # The types of all others are known.
            dropped = dropped or [name for name in settings.fields if name in left]
        if errors.COMPANY in found and "company" in left:
            dropped.append("company")
        dropped = [name for name in dropped if name not in required]
        if not dropped:
            return record
        for name in dropped:
            _warn(
                "MARKETO_FIELDS",
                f"Marketo does not take the field {name}.",
                f'Correct its name or value, or leave it out by "{name}": null; leads arrive without it until then.',
            )
            del left[name]


def _cut(value: Any) -> Any:
    """The value as every text field takes it."""
    return crm.cut(value, mapping.LINE) if isinstance(value, str) else value


def _warn(setting: str, cause: str, remedy: str) -> None:
    log.event("settings_problem", setting=setting, cause=cause, remedy=remedy)


def _demand_address(lead: Lead) -> None:
    if not mapping.email(lead):
        raise Skip("it came without an e-mail address that Marketo takes, which must be ASCII")


def _single(body: Body) -> Body:
    """The one record of an answer. Raises Transient where there is none."""
    found = errors.records(body)
    if found:
        return found[0]
    raise Transient("Marketo answered without a result.", "The app tries again by itself.", unanswered=True)


def _id(record: Body) -> int:
    id_: Any = record.get("id")
    if isinstance(id_, int) and not isinstance(id_, bool) and id_ > 0:
        return id_
    raise Transient("Marketo answered without the person's id.", "The app tries again by itself.", unanswered=True)


def _listed(values: Fields) -> list[str]:
    return [f"  {name}: {value}" for name, value in values.items()]


def _parse(remote_id: str) -> tuple[int, str]:
    """The person and what was left to do; 0 and nothing if the text is not a remote id of this destination."""
    person, _, todo = remote_id.partition("/")
    good = person.isascii() and person.isdecimal() and todo in ("", _ACTIVITY)
    return (int(person), todo) if good else (0, "")
