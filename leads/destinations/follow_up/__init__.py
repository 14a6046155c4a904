"""A reply to the customer, prepared as a draft in the seller's mailbox by Microsoft Graph. It never sends anything.

The app has no permission to send: a person reads the draft and presses Send. So a second draft after a crash harms
nobody, and nothing is looked for first. `remote_id` is where Outlook on the web shows the draft and the draft's id.
It has never run against a real tenant.
Facts: learn.microsoft.com/graph/api/user-post-messages and learn.microsoft.com/graph/api/resources/message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from leads.contract import Earlier, Finding, Kind, Step
from leads.destinations.follow_up import api, container, mapping, template
from leads.destinations.follow_up.settings import SETTINGS, Settings
from leads.errors import Failure, Misconfigured, Skip, Transient
from leads.lead import Lead, Mark, Stage, State, Via
from leads.messages import notification
from leads.transport import Deadline

__all__ = ["KIND", "SETTINGS", "TITLE", "Settings", "check", "preview", "record_url", "send"]

KIND = Kind.CUSTOMER
TITLE = "Outlook drafts"


def send(lead: Lead, step: Step, settings: Settings) -> str:
    """Make the draft of the reply to the customer, unless there is one. Raises a Failure, or Skip."""
    if step.remote_id:
        return step.remote_id
    reason = _reason_to_skip(lead, step)
    if reason:
        raise Skip(reason)
    # Rules of the kind keep out what is left: test leads, old ones, replays.
    if any(other.state == State.OPEN and _same_offer(other.lead, lead) for other in step.earlier):
        raise Transient(
            "An earlier lead of this customer for the same offer is still on its way here.",
            "Nothing to do: the app tries this one again after it.",
        )
    return api.make_draft(settings.graph, _draft(lead, step, settings), step.deadline, step.now)


def preview(lead: Lead, step: Step, settings: Settings) -> str:
    """The draft, as `send` would make it. Raises Skip, and a Failure where the publisher's templates cannot be read."""
    reason = _reason_to_skip(lead, step)
    if reason:
        raise Skip(reason)
    draft = _draft(lead, step, settings)
    (to,) = (recipient["emailAddress"] for recipient in draft["toRecipients"])
    whom = f"{to['name']} <{to['address']}>" if "name" in to else to["address"]
    return f"To: {whom}\nSubject: {draft['subject']}\n\n{draft['body']['content']}"


def check(settings: Settings, deadline: Deadline) -> Iterator[Finding]:
    """Look whether a draft could be made, without making any, and read every template. Raises nothing.

    Whether the app may write into the mailbox cannot be asked, only whether it may look into it.
    """
    now = datetime.now(UTC)
    try:
        api.look(settings.graph, deadline, now)
    except Failure as failure:
        yield Finding("mailbox", ok=False, cause=failure.cause, remedy=failure.remedy)
    else:
        yield Finding("mailbox", ok=True)
    try:
        own = container.names(settings, deadline, now)
        for name in own:
            text = container.read(settings, name, deadline, now) if template.NAME.fullmatch(name.lower()) else None
            cause = "No lead is ever answered with it." if text is None else " ".join(template.parse(name, text)[1])
            if cause:
                yield Finding(f"template {template.shown(name)}", ok=False, cause=cause, remedy=template.REMEDY)
    except Failure as failure:
        yield Finding("templates", ok=False, cause=failure.cause, remedy=failure.remedy)
    else:
        yield Finding("templates", ok=True, cause=f"{len(own)} of yours, {len(template.shipped())} of the app.")


def record_url(lead: Lead, known: Sequence[tuple[Lead, str]], settings: Settings) -> str:
    """Where Outlook on the web opens the draft of this very lead."""
    del settings
    remote_id = next((remote_id for of, remote_id in known if of.id == lead.id), "")
    host, _, draft = remote_id.partition(" ")
    if not draft:
        return ""
    return f"https://{host}/owa/?ItemID={quote(draft, safe='')}&exvsurl=1&viewmodel=ReadMessageItem"


def _reason_to_skip(lead: Lead, step: Step) -> str:
    """The reason to answer nobody; empty where there is none."""
    if lead.do_not_contact or lead.stage is Stage.DO_NOT_CONTACT:
        return "the customer is not to be contacted"
    if lead.contact_withheld:
        return "Microsoft withheld the contact data"
    if lead.via is Via.IMPORT:
        return "it was imported"
    if Mark.OWN in step.marks:
        return "the address is one of your own (LEADS_OWN_DOMAINS)"
    if not notification.reply_to(lead):
        return "there is no address that an answer can go to"
    if any(_is_made(other) and _same_offer(other.lead, lead) for other in (*step.earlier, *step.later)):
        return "there was a draft for this customer and offer already"
    return ""


def _is_made(other: Earlier) -> bool:
    return other.state == State.DELIVERED or bool(other.remote_id)


def _same_offer(one: Lead, other: Lead) -> bool:
    return (bool(one.offer) and one.offer == other.offer) or one.offer_name.casefold() == other.offer_name.casefold()


def _draft(lead: Lead, step: Step, settings: Settings) -> dict[str, Any]:
    """The draft as Graph takes it. Raises a Failure where its template cannot be read."""
    chosen = _template(lead, settings, step.deadline, step.now)
    values = mapping.values(lead, settings.seller, chosen.language)
    subject, body = chosen.filled(values)
    return mapping.draft(lead, subject, body, values["name"])


def _template(lead: Lead, settings: Settings, deadline: Deadline, now: datetime) -> template.Template:
    """The first template that fits: the publisher's before a shipped one. Raises a Failure where it cannot be read."""
    own = {name.lower(): name for name in container.names(settings, deadline, now)}
    shipped = template.shipped()
    wanted = next(name for name in template.candidates(lead) if name in own or name in shipped)
    text = container.read(settings, own[wanted], deadline, now) if wanted in own else shipped[wanted].read_text("utf-8")
    chosen, problems = template.parse(wanted, text)
    if problems:
        raise Misconfigured(f"The template {template.shown(wanted)} cannot be used. {problems[0]}", template.REMEDY)
    return chosen
