"""What a destination would write of a lead, without writing it."""

from __future__ import annotations

from datetime import datetime

from leads import delivery
from leads.app import App
from leads.errors import Misconfigured, Skip


def preview(app: App, lead_id: str, destination: str, now: datetime) -> str:
    """What `destination` would write of a lead now, as text; empty where no such lead is known.

    Nothing is sent and nobody is asked, so what the destination already holds is not taken into account. Raises
    Misconfigured for a destination that there is none of, that has no preview, or whose settings are wrong.
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
    return text
