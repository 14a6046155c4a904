"""What a destination would write of a lead, without writing it."""

from __future__ import annotations

from datetime import datetime

from leads import delivery
from leads.app import App
from leads.errors import Failure, Misconfigured, Skip


def preview(app: App, lead_id: str, destination: str, now: datetime) -> str:
    """What `destination` would write of a lead now, as text; empty where no such lead is known.

    Nothing is sent, and the destination is not asked what it already holds; only the publisher's own templates are read
    where they are kept. Raises Misconfigured for an unknown destination, one without a preview, and one with wrong
    settings, and another Failure where templates cannot be read.
    """
    history = app.ledger.history(lead_id)
    if history.case is None:
        return ""
    place = delivery.enabled_place(app, destination)
    show = getattr(place.module, "preview", None)
    if show is None:
        raise Misconfigured(
            f"{place.title} has no preview.", "Look at the lead on the page instead, or at `python -m leads show ID`."
        )
    try:
        step = delivery.step(app, history, destination, place.module.KIND, now)
        text: str = show(history.case.lead, step, place.settings)
    except Skip as skip:
        return f"Nothing: {skip.reason}."
    except Failure as failure:
        failure.cause, failure.remedy = place.worded(failure.cause), place.worded(failure.remedy)
        raise
    return text
