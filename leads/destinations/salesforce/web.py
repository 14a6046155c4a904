"""Web-to-Lead: a form that Salesforce takes without saying what became of it. A mode of its own, never a fallback.

Salesforce Help, "Generate leads from your website" and article 000382807: 500 leads in 24 hours, more wait in a queue
of 50,000; the answer is always 200. That its header `Is-Processed` names an exception where nothing was processed is
known from public threads only.
"""

from __future__ import annotations

from leads import transport
from leads.contract import Step
from leads.destinations.salesforce import mapping
from leads.destinations.salesforce.settings import Settings
from leads.errors import Misconfigured
from leads.lead import Lead

ACCEPTED = "accepted, no proof of delivery"
"""The remote id: what every screen says of such a delivery."""


def send(lead: Lead, step: Step, settings: Settings) -> str:
    """Post the form, unless an earlier attempt was answered."""
    if step.remote_id and not step.replayed:
        return step.remote_id
    where = transport.host(settings.url)
    answer = transport.request(
        "POST",
        f"{settings.url}/servlet/servlet.WebToLead?encoding=UTF-8",
        deadline=step.deadline,
        data=mapping.form(lead, settings),
    )
    passing = transport.refusal(answer, where, step.now)
    if passing:
        raise passing
    if answer.status != 200 or "exception" in answer.headers.get("is-processed", "").lower():
        raise Misconfigured(
            f"{where} did not take the form of Web-to-Lead (HTTP {answer.status}).",
            "Set SALESFORCE_URL to https://webto.salesforce.com and SALESFORCE_OID to the organization id, and enable "
            "Web-to-Lead under Setup, without reCAPTCHA.",
        )
    return ACCEPTED
