"""HubSpot: one contact per customer, each step of the customer a note on it.

A contact is made, and HubSpot refuses a second one for the same e-mail address; then the one that is there is looked
at, and only what is empty in it is filled. A step costs two requests when it makes the contact (contact, note), and
otherwise three (refused contact, look, note) or four (something is filled).

The remote id is the contact's id, and behind a slash what is left to do: `opt-out` and then the note, or the `note`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from leads import log
from leads.contract import Step
from leads.destinations.hubspot import api, errors, mapping
from leads.destinations.hubspot.api import Api, Record
from leads.destinations.hubspot.mapping import Properties
from leads.destinations.hubspot.settings import Settings
from leads.errors import Failure, Misconfigured, Rejected, Skip, Transient
from leads.lead import Lead
from leads.transport import Response

_OPT_OUT, _NOTE = "opt-out", "note"
_MAKE = "make the contact"


def record_url(lead: Lead, known: Iterable[tuple[Lead, str]], settings: Settings) -> str:
    """The page of the customer's contact, where HUBSPOT_ACCOUNT is set and a delivery has found out which it is.

    `known` are leads of the customer with their remote ids: this one first, then the others, newest first.
    """
    del lead
    contact = next((found for _, remote_id in known if (found := _parse(remote_id)[0])), "")
    known_account = contact and settings.account
    return f"https://app.hubspot.com/contacts/{settings.account}/record/0-1/{contact}" if known_account else ""


def preview(lead: Lead, step: Step, settings: Settings) -> str:
    """What `send` would write, as text. Raises Skip where it would write nothing."""
    del step
    address = _address(lead, settings)
    properties = mapping.contact(lead, settings, address=address)
    note = mapping.note(lead)
    lines = [
        "Contact (where there is one already, only what is empty in it is filled):",
        *(f"  {name}: {value}" for name, value in properties.items()),
    ]
    if _opts_out(lead, settings, address):
        lines += ["Unsubscribed from all e-mail, where the contact is new."]
    return "\n".join([*lines, f"Note of {note['hs_timestamp']}:", note["hs_note_body"].replace("<br>", "<br>\n")])


def send(lead: Lead, step: Step, settings: Settings) -> str:
    """Bring the lead to its contact and return the contact's id.

    Raises Skip where the customer has no address and HUBSPOT_KEY is not set, and a Failure whose `remote_id` shows the
    next attempt how far this one came.
    """
    if not settings.token:
        raise Misconfigured("HUBSPOT_TOKEN is not set.", f"Make a service key in HubSpot ({errors.GUIDE}).")
    visit = _Visit(Api(settings, step.deadline, step.now), lead, step, settings, step.remote_id)
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

    def run(self) -> str:
        """Do what is left to do of contact, opt-out and note."""
        contact, todo = _parse(self.step.remote_id)
        if contact and not todo:
            return self._again(contact)
        fresh = False
        if not contact:
            address = _address(self.lead, self.settings)
            contact, ours, fresh = self._contact(address)
            todo = _OPT_OUT if ours and _opts_out(self.lead, self.settings, address) else _NOTE
        if todo == _OPT_OUT:
            self.left = f"{contact}/{_OPT_OUT}"
            self._unsubscribe()
        self.left = f"{contact}/{_NOTE}"
        return self._note(contact, fresh=fresh)

    @property
    def _unique(self) -> tuple[str, str]:
        """The properties with a value that no other contact has."""
        return "email", self.settings.key

    def _again(self, contact: str) -> str:
        """A replay of what arrived: it is there, or a person deleted it, and it stays deleted."""
        found = contact if self.api.read(contact, ("email",)) else self._elsewhere(contact)
        if found:
            return found
        raise Rejected(
            "The contact to which this lead was delivered is no longer in HubSpot: a person deleted it.",
            "Restore it in HubSpot if it is needed. A replay does not bring back what a person deleted; the customer's "
            "next step makes a new contact.",
        )

    def _contact(self, address: str) -> tuple[str, bool, bool]:
        """The customer's contact, whether this lead made it, and whether it did so just now."""
        properties = mapping.contact(self.lead, self.settings, address=address)
        required = {"email" if address else "lastname", self.settings.key, self.settings.do_not_contact}
        response = self._written("POST", "contacts", properties, required)
        if response.status == 201:
            return api.identifier(self.api.parsed(response, _MAKE), _MAKE, self.api, response), True, True
        if errors.exists(response, self._unique):
            found = self._there(address, response)
            ours = bool(self.settings.key) and found["properties"].get(self.settings.key) == self.lead.id
            self._filled(found, properties)
            return str(found["id"]), ours, False
        wrong = errors.refused(response, properties)
        if "email" in wrong and self.settings.key:
            contact, _, fresh = self._contact("")
            return contact, False, fresh
        if "email" in wrong:
            raise Rejected(
                f"HubSpot does not take the customer's e-mail address ({wrong['email']}).",
                "Set HUBSPOT_KEY: with it the app makes a contact without the address. Then replay the lead.",
            )
        if wrong:
            raise Misconfigured(
                f"HubSpot refuses a property that the app has to write: {_named(wrong)}.",
                "Make the property in HubSpot as docs/destinations/hubspot.md says, or correct HUBSPOT_KEY or "
                "HUBSPOT_DO_NOT_CONTACT.",
            )
        raise self.api.failure(response, _MAKE)

    def _there(self, address: str, refusal: Response) -> Record:
        """The contact because of which HubSpot refused to make another one."""
        names = [*mapping.contact(self.lead, self.settings, address=address), self.settings.key or "email"]
        found = self._look(address, names)
        known = errors.existing(refusal)
        if found is None and known:
            found = self.api.read(known, names)
        if found is None or not str(found.get("id", "")).isdecimal():
            raise Transient(
                "HubSpot says that the contact exists already, but does not show it.",
                "The app tries again. If it keeps failing, let the token see all contacts.",
            )
        return found

    def _look(self, address: str, names: Collection[str]) -> Record | None:
        """The contact with the lead's address, else the one that the lead made."""
        found = self.api.find("email", address, names) if address else None
        if found is None and self.settings.key:
            found = self.api.find(self.settings.key, self.lead.id, names)
        return found

    def _elsewhere(self, contact: str) -> str:
        """The contact into which that one was merged: its address leads there. Empty where a person deleted it."""
        found = self._look(mapping.email(self.lead), ("email",))
        kept = str(found.get("id", "")) if found else ""
        return kept if kept.isdecimal() and kept != contact else ""

    def _filled(self, found: Record, properties: Properties) -> None:
        """Write what is empty in a contact that was there. A do-not-contact lead changes nothing in one."""
        wanted = mapping.fillable(properties, self.settings)
        empty = {name: value for name, value in wanted.items() if not found["properties"].get(name)}
        if not empty or self.lead.do_not_contact:
            return
        response = self._written("PATCH", f"contacts/{found['id']}", empty, ())
        if response.status == 400:
            self._warn("HUBSPOT_FIELDS", f"HubSpot does not take what would fill a contact: {', '.join(empty)}.")
        elif response.status != 200:
            raise self.api.failure(response, "fill the contact")

    def _unsubscribe(self) -> None:
        """Unsubscribe the address from all e-mail of the account. It is in the body, and again is fine."""
        doing = "unsubscribe the contact from e-mail"
        path = f"/communication-preferences/{self.settings.version}/statuses/batch/unsubscribe-all?channel=EMAIL"
        response = self.api.call("POST", path, {"inputs": [mapping.email(self.lead)]})
        if self.api.parsed(response, doing).get("errors") or response.status != 200:
            raise self.api.failure(response, doing)

    def _note(self, contact: str, *, fresh: bool) -> str:
        """Put the step's note on the contact, once, and return the contact: another one where it was merged."""
        if self.step.uncertain and not fresh:
            bodies = self.api.notes(contact)
            if bodies is None:
                return self._moved(contact)
            if any(self.lead.id in body for body in bodies):
                return contact
        association = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": api.NOTE_TO_CONTACT}
        body = {
            "properties": mapping.note(self.lead),
            "associations": [{"to": {"id": contact}, "types": [association]}],
        }
        response = self.api.call("POST", self.api.objects("notes"), body)
        if response.status == 201:
            api.identifier(self.api.parsed(response, "add the note"), "add the note", self.api, response)
            return contact
        if response.status in (400, 404) and self.api.read(contact, ("email",)) is None:
            return self._moved(contact)
        raise self.api.failure(response, "add the note")

    def _moved(self, contact: str) -> str:
        """Go on with the contact into which that one was merged; where a person deleted it, it stays deleted."""
        other = self._elsewhere(contact)
        if not other:
            return contact
        self.left = f"{other}/{_NOTE}"
        return self._note(other, fresh=False)

    def _written(self, method: str, path: str, properties: Properties, required: Collection[str]) -> Response:
        """Send the properties, without those that the account does not take; `required` ones are never left out."""
        left = dict(properties)
        while True:
            body: Record = {"properties": left} | ({"associations": []} if method == "POST" else {})
            response = self.api.call(method, self.api.objects(path), body)
            if response.status != 400 or errors.exists(response, self._unique):
                return response
            wrong = errors.refused(response, left)
            # Where HubSpot does not say which, those of HUBSPOT_FIELDS go together: the others are its own.
            named = wrong or dict.fromkeys(set(left) & set(self.settings.fields), "REFUSED")
            dropped = {name: code for name, code in named.items() if name not in required}
            if not dropped:
                return response
            for name, code in dropped.items():
                setting = "HUBSPOT_LIFECYCLE_STAGE" if name == "lifecyclestage" else "HUBSPOT_FIELDS"
                self._warn(setting, f"HubSpot does not take the property {name} ({code}).")
                del left[name]

    def _warn(self, setting: str, cause: str) -> None:
        remedy = "Correct the setting, or the property in HubSpot; leads arrive without it until then."
        log.event("settings_problem", setting=setting, cause=cause, remedy=remedy)


def _address(lead: Lead, settings: Settings) -> str:
    address = mapping.email(lead)
    if not address and not settings.key:
        raise Skip("it came without an e-mail address, and HUBSPOT_KEY is not set")
    return address


def _opts_out(lead: Lead, settings: Settings, address: str) -> bool:
    return bool(lead.do_not_contact and settings.opt_out and address)


def _named(wrong: dict[str, str]) -> str:
    return ", ".join(f"{name} ({code})" for name, code in wrong.items())


def _parse(remote_id: str) -> tuple[str, str]:
    """The contact and what was left to do; both empty if the text is not a remote id of this destination."""
    contact, _, todo = remote_id.partition("/")
    good = contact.isascii() and contact.isdecimal() and todo in ("", _OPT_OUT, _NOTE)
    return (contact, todo) if good else ("", "")
