"""A CRM that cannot repeat itself: each POST makes another note, and nothing of ours tells that it is the same again.

There are such (Web-to-Lead, Marketo's form, a ticket system). Its destination is as small as the contract lets one be,
and looks before it writes only where `Step.uncertain` says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from dev.standins.server import Answer, Request
from leads import crm, transport
from leads.contract import Kind, Step
from leads.errors import Failure, Misconfigured, Rejected, Transient
from leads.lead import Lead
from leads.reader import Reader

URL = "https://notes.example/notes"


@dataclass
class Notes:
    """The far end: every note that was ever made, as its lead and its customer's key."""

    made: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, request: Request) -> Answer:
        """Make a note, or list those of a lead."""
        if request.method == "POST":
            note = request.json()
            self.made.append((note["lead"], note["key"]))
            return Answer(201, {"id": f"note-{len(self.made)}"})
        found = [number for number, (lead, _) in enumerate(self.made, 1) if lead == request.query["lead"]]
        return Answer(200, [f"note-{number}" for number in found])


def key(lead: Lead) -> str:
    """What the notes of a customer for an offer have in common."""
    return f"{lead.customer}:{crm.offer_key(lead)}"


KIND, TITLE, SETTINGS = Kind.CRM, "Notes", ()


class Settings:
    """There is nothing to set."""

    @classmethod
    def read(cls, reader: Reader) -> None:
        """Read nothing."""


def send(lead: Lead, step: Step, settings: None) -> str:
    """Make a note, once: what an attempt without an answer may have made is looked for first."""
    if step.remote_id:
        return step.remote_id
    if step.uncertain:
        there = _asked("GET", f"{URL}?lead={lead.id}", step, 200, None)
        if not isinstance(there, list):
            raise Misconfigured("The list of notes cannot be read.", "Look what answers there.")
        if there:
            return str(there[0])
    return str(_asked("POST", URL, step, 201, {"lead": lead.id, "key": key(lead)})["id"])


def _asked(method: str, url: str, step: Step, wanted: int, body: dict[str, str] | None) -> Any:
    answer = transport.request(method, url, deadline=step.deadline, headers={}, json=body)
    if answer.status == wanted:
        return answer.json()
    failure: Failure | None = transport.refusal(answer, "The notes", step.now)
    if failure is None and answer.status == 400:
        failure = Rejected("The notes refused it.", "Look there.")
    # Whoever answers like that may have taken it, or not.
    raise failure or Transient("The notes gave an answer that cannot be read.", "Look there.", unanswered=True)


DESTINATION = SimpleNamespace(KIND=KIND, TITLE=TITLE, SETTINGS=SETTINGS, Settings=Settings, send=send)
