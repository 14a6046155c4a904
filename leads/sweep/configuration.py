"""What is wrong with the settings of the app and of every enabled destination: one list for check, health and alert."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from leads import enabled, problems
from leads.app import App
from leads.contract import Kind
from leads.enabled import Enabled
from leads.errors import Misconfigured
from leads.messages.alert import Alert
from leads.reader import Problem
from leads.transport import Deadline


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is wrong with the settings, and what is worth knowing of them."""

    problems: tuple[Problem, ...]
    """What a person has to correct."""
    remarks: tuple[Problem, ...]
    """What has a harmless default in its place, or is worth knowing."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A destination that sends alerts."""

    name: str
    place: Enabled | None
    """None where it could not be loaded."""

    @property
    def is_sound(self) -> bool:
        """Whether its settings are as they should be."""
        return self.place is not None and not self.place.problems

    def alert(self, alert: Alert, deadline: Deadline) -> None:
        """Send an alert by it. Raises whatever keeps it from that."""
        if self.place is None:
            raise Misconfigured(f"{self.name} could not be loaded.")
        # An optional part of a destination, found by its name.
        send: Callable[[Alert, Deadline, Any], None] = getattr(self.place.module, "alert")  # noqa: B009
        send(alert, deadline, self.place.settings)


def channels(app: App) -> tuple[Channel, ...]:
    """Who gets alerts: those in LEADS_ALERTS, else every notification destination that can send any.

    While none of those in LEADS_ALERTS is as it should be, the notifications get them as well: better they than nobody.
    """
    named = tuple(_named(app))
    if any(channel.is_sound for channel in named):
        return named
    known = {channel.name for channel in named}
    return (*named, *(channel for channel in _notifications(app) if channel.name not in known))


def _named(app: App) -> Iterator[Channel]:
    for name in app.settings.alerts:
        place = _loaded(app, name)
        # One that is asked for by name may work again in an hour.
        if place is None or hasattr(place.module, "alert"):
            yield Channel(name, place)


def _notifications(app: App) -> Iterator[Channel]:
    for name in app.destinations:
        place = _loaded(app, name)
        if place is None:
            if enabled.split(name)[0] in enabled.names():
                yield Channel(name, None)
        elif hasattr(place.module, "alert") and place.module.KIND == Kind.NOTIFICATION:
            yield Channel(name, place)


def configuration(app: App) -> Configuration:
    """Everything that is wrong, each once. Reads storage only where LEADS_DESTINATIONS is lost."""
    destinations = app.destinations
    found = problems.find(app.settings, app.environ, destinations)
    silent, remarks = _who_gets_alerts(app)
    return Configuration((*found.problems, *_lost(app, destinations), *silent), (*found.warnings, *remarks))


def _loaded(app: App, name: str) -> Enabled | None:
    try:
        return enabled.read(name, app.environ)
    except Exception:  # noqa: BLE001 - one destination that cannot be loaded must not keep the others from alerting
        return None


def _lost(app: App, destinations: tuple[str, ...]) -> Iterator[Problem]:
    """LEADS_DESTINATIONS of a deployed app is gone: an accident, since the app goes by its last good value."""
    if app.names_destinations or not app.is_deployed:
        return
    named = ", ".join(destinations)
    yield Problem(
        "LEADS_DESTINATIONS",
        f"It is not set. Leads go by its last good value: {named}."
        if app.ledger.last_destinations()
        else f"It is not set. Leads go to {named} only, which nobody reads.",
        "Set it in the function app's settings.",
    )


def _who_gets_alerts(app: App) -> tuple[list[Problem], list[Problem]]:
    """Problems and remarks about who gets alerts."""
    found = channels(app)
    unable = [name for name in app.settings.alerts if name not in {channel.name for channel in found}]
    wrong = [
        Problem("LEADS_ALERTS", f"{name} cannot send alerts.", "Name a notification, such as email.") for name in unable
    ]
    if not found:
        silent = Problem(
            "LEADS_ALERTS",
            "Nobody would get an alert: no destination can send one. Alerts are only logged.",
            "Name one that can, such as email, with its own settings.",
        )
        # On one machine the log is on the developer's screen.
        return ([*wrong, silent], []) if app.is_deployed else (wrong, [silent])
    if app.settings.alerts:
        return wrong, []
    remark = Problem(
        "LEADS_ALERTS",
        f"It is not set, so these destinations get the alerts: {', '.join(channel.name for channel in found)}.",
        "Where these are salespeople, name who is on call, such as email:ops.",
    )
    return wrong, [remark]
