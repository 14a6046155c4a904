"""Erasing a lead where a destination keeps it in a place that is ours, before the app forgets how to find it there."""

from __future__ import annotations

from collections.abc import Mapping

from leads import enabled
from leads.app import App
from leads.enabled import Enabled
from leads.errors import Misconfigured
from leads.lead import Delivery
from leads.store.ledger import Case
from leads.transport import SEND_SECONDS, Deadline


def places(app: App) -> Mapping[str, Enabled]:
    """The enabled destinations that keep leads in a place of ours, by name."""
    found = {}
    for name in app.destinations:
        try:
            place = enabled.read(name, app.environ)
        except (KeyError, ImportError):
            continue
        if hasattr(place.module, "erase"):
            found[name] = place
    return found


def may_hold(places: Mapping[str, Enabled], case: Case) -> bool:
    """Whether one of these may hold a lead."""
    return any(one.destination in places and _may_be_there(one) for one in case.deliveries)


def _may_be_there(one: Delivery) -> bool:
    return bool(one.remote_id or one.attempt_count or one.uncertain or one.claimed_until)


def erase(places: Mapping[str, Enabled], case: Case) -> None:
    """Erase a lead at each of these that may hold it; again is fine. Raises a `leads.errors.Failure`."""
    for one in case.deliveries:
        place = places.get(one.destination)
        if place is None or not _may_be_there(one):
            continue
        if place.problems:
            wrong = ", ".join(dict.fromkeys(problem.setting for problem in place.problems))
            raise Misconfigured(
                f"The lead cannot be erased at {one.destination}, since these settings are wrong: {wrong}.",
                "Correct them, or take the destination out of LEADS_DESTINATIONS and erase its rows by hand.",
            )
        place.module.erase(  # type: ignore[attr-defined]
            case.lead.id, one.remote_id, Deadline.after(SEND_SECONDS), place.settings
        )
