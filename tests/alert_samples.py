"""An alert of each kind as the app itself words it: an app in memory gets into each kind of trouble."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache

from leads.destinations.dynamics import errors
from leads.entra_errors import of_entra
from leads.intake import accept, watch
from leads.messages.alert import Alert
from leads.offers import Offer, Verdict
from leads.sweep import alerts, drift, silence
from leads.transport import Response
from tests.world import NOON, FakeDestination, Pager, World, post, world

HOST = "contoso.azurewebsites.net"
KINDS = ("dead", "misconfigured", "quarantine", "watch_silent", "settings", "offer", "silence", "flood", "well")


def refused() -> Exception:
    """What Dynamics answers where a rule of the organization finds a duplicate."""
    error = {"error": {"code": "0x80040333", "message": "A record was not created or updated because a duplicate"}}
    answer = Response(412, {}, json.dumps(error).encode())
    return errors.failure(answer, "make the record", "contoso.crm.dynamics.com", NOON, ())


def expired() -> Exception:
    """What Entra answers where a client secret has expired."""
    error = {"error": "invalid_client", "error_description": "AADSTS7000222: The provided client secret keys"}
    return of_entra(Response(401, {}, json.dumps(error).encode()), "DYNAMICS")


def refuse(w: World, body: bytes) -> None:
    """Bytes come that are no lead."""
    with contextlib.suppress(accept.NotALead, accept.TooLarge):
        accept.receive(w.app, body, w.now)


@cache
def samples(host: str = HOST) -> Mapping[str, Alert]:
    """An alert of each kind, of an app that has this address; without one it knows none of its own."""
    mail, crm = Pager(TITLE="E-mail"), FakeDestination(TITLE="Dynamics 365")
    environ = {"LEADS_FLOOD": "3", "LEADS_ALERTS": "mail", "LEADS_BACKFILL_DAYS": "soon", "WEBSITE_HOSTNAME": host}
    with world(dynamics=crm, mail=mail, environ=environ) as w:
        watch.watch(w.app, w.now)
        for failure in (refused(), expired()):
            crm.failures = [failure]
            accept.receive(w.app, post(), w.now)
            w.drain()
            w.sweep()
            w.forward(days=1)
        w.live(hours=1, minutes=10)
        refuse(w, b"no lead")
        refuse(w, b"x" * (accept.BODY_LIMIT + 1))
        for number in range(5):
            accept.receive(w.app, post(userDetails={"email": f"{number}@example.com"}), w.now)
        w.live(minutes=70)
        for _ in range(5):
            w.forward(minutes=5)
            w.sweep()
        offer = Offer(
            "0" * 32,
            "planner",
            titles=(("en", "Contoso Planner"),),
            verdict=Verdict.ELSEWHERE,
            place="the table of contosoold",
            published_at=NOON - timedelta(days=30),
        )
        quiet = silence.Silence(date(2026, 11, 12), 8, 2)
        for alert in (drift._alert(offer, w.now), silence._alert(silence.APP, quiet, w.now)):
            alerts.send(w.app, alert)
    found: dict[str, Alert] = {}
    for alert in mail.alerts:
        found.setdefault(alert.kind, alert)
    return {kind: found[kind] for kind in KINDS}
