"""A month in the life of the app, in memory: for looking at the operators' page with something on it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from leads import offers
from leads.contract import Kind
from leads.errors import Misconfigured, Rejected, Throttled, Transient
from leads.intake import accept
from leads.lead import Stage, State
from leads.offers import Offer, Verdict
from leads.store.ledger import SWEEP, DayLine, Line
from leads.sweep import counting
from tests.world import NOON, FakeDestination, World, post, world

PEOPLE = (
    ("Ada", "Lovelace", "ada@analytical.example", "+442079460958", "GB", "Analytical Engines Ltd", "PLT"),
    ("Grace", "Hopper", "grace.hopper@fabrikam.example", "+12025550143", "US", "Fabrikam, Inc.", "StartTestDrive"),
    ("Marie", "Curie", "m.curie@radium.example", "+33199006543", "FR", "Radium & Fils", "INS"),
    ("عمر", "الخيام", "omar@nishapur.example", "", "IR", "رصدخانه", "Create"),
    ("Katherine", "Johnson", "k.johnson@wingtip.example", "+12025550187", "US", "Wingtip Toys", "INS"),
    ("Emmy", "Noether", "emmy@invariant.example", "+499131555018", "DE", "Invariant GmbH", "PLT"),
    ("湯川", "秀樹", "yukawa@meson.example", "+81312345678", "JP", "Meson K.K.", "INS"),
)
OFFERS = ("Contoso Planner", "Contoso Insights for Retail", "Contoso Planner")
PER_DAY = (3, 2, 0, 1, 4, 5, 3, 2, 1, 0, 3, 6, 4, 2, 2, 0, 1, 5, 7, 4, 3, 1, 0, 2, 4, 3, 5, 2, 1, 4)
COLUMN = Rejected(
    "Dynamics has no column new_region, which DYNAMICS_FIELDS names.",
    "Make the column, or correct DYNAMICS_FIELDS. Then replay.",
)
SLOW = Transient("contoso.crm4.dynamics.com did not answer in time.", "The app tries again by itself.")
BUSY = Throttled("Dynamics asked for fewer requests (429).", "Nothing to do: the app tries again when Dynamics allows.")
SECRET = Misconfigured(
    "Entra ID refused the app's secret: it has expired (AADSTS7000222).",
    "Make a new client secret in Entra ID and set DYNAMICS_CLIENT_SECRET.",
)


def offered(made: World) -> tuple[Offer, ...]:
    """Offers of every kind, as the sweep saw them."""
    now = made.now

    def offer(number: int, offer_id: str, title: str, verdict: str, **more: Any) -> Offer:
        looked = now - timedelta(minutes=7 * number) if verdict else None
        titles = (("en-us", title),)
        return Offer(f"guid-{number}", offer_id, titles=titles, verdict=verdict, looked_at=looked, **more)

    crm, table = "Dynamics 365 (contoso.crm4.dynamics.com)", "Azure Table (masked)"
    wrote = {"connected_at": now - timedelta(days=3), "connected_to": "Azure Table (leadsinbox)"}
    return (
        offer(1, "planner", "Contoso Planner", Verdict.THIS_APP, place="HTTPS (leads.contoso.com)", last_at=now),
        offer(
            2,
            "board",
            "Contoso Board",
            Verdict.ELSEWHERE,
            place=crm,
            draft="Azure Table (leadsinbox)",
            press="Review and publish",
            differs_since=now - timedelta(days=2),
        ),
        offer(3, "insights", "Contoso Insights for Retail", Verdict.NOT_COMPARABLE, place=table, **wrote),
        offer(4, "draw", "Contoso Draw", Verdict.NOWHERE, place="nowhere", unread="Partner Center is not working."),
        offer(5, "soon", "Contoso Soon", ""),
    )


def take(made: World, number: int) -> str:
    """Take in the `number`th lead of the month."""
    first, last, email, phone, country, company, action = PEOPLE[number % len(PEOPLE)]
    email = email.replace("@", f"+{number // 14}@")
    person = {"firstName": first, "lastName": last, "email": email, "phone": phone, "country": country}
    body = post(
        userDetails=person | {"company": company, "title": "Chief Scientist"},
        actionCode=action,
        leadSource="TestDrive" if action == "StartTestDrive" else "AzureMarketplace",
        offerTitle=OFFERS[number % len(OFFERS)],
        description="Could you call me next week, please?"
        if action == "PLT"
        else '{"utm_source": "newsletter", "mktcmpid": "autumn"}',
    )
    return accept.receive(made.app, body, made.now).id


@contextmanager
def month(*, well: bool = False) -> Iterator[World]:
    """Thirty days of leads to `dynamics`, `email` and `teams`. Unless all went `well`, some died and some wait."""
    dynamics = FakeDestination(TITLE="Dynamics 365")
    email = FakeDestination(KIND=Kind.NOTIFICATION, TITLE="E-mail")
    teams = FakeDestination(KIND=Kind.NOTIFICATION, TITLE="Microsoft Teams")
    with world(now=NOON - timedelta(days=29), dynamics=dynamics, email=email, teams=teams) as made:
        for one in offered(made):
            offers.keep(made.app.ledger, one)
        number = 0
        for day, count in enumerate(PER_DAY):
            made.now = made.bell.now = NOON + timedelta(days=day - 29, hours=-3)
            if not well and day in (11, 26):
                dynamics.failures = [SLOW, BUSY, COLUMN]
            for _ in range(count):
                take(made, number)
                made.forward(seconds=0.6 + number * 37 % 11 / 4)
                made.live(minutes=23)
                dynamics.always = SECRET if not well and day == 29 else None
                number += 1
        made.now = made.bell.now = NOON
        made.live(minutes=2)
        yield made


CROWD = {
    "dynamics": "Dynamics 365",
    "email": "E-mail",
    "teams": "Microsoft Teams",
    "salesforce": "Salesforce",
    "slack": "Slack",
    "hubspot": "HubSpot",
    "marketo": "Marketo",
    "https:erp": "HTTPS endpoint",
    "email:emea": "E-mail",
    "teams:sales": "Microsoft Teams",
    "table": "Azure Table",
}
BROKEN = {
    "dynamics": COLUMN,
    "slack": Misconfigured(
        "Slack refuses the webhook: it was revoked (no_service).", "Make a new one and set SLACK_WEBHOOK_URL."
    ),
    "hubspot": Misconfigured("HubSpot refuses the token (401).", "Make a new token and set HUBSPOT_TOKEN."),
    "email": Rejected("The mail server refuses the sender (550 5.7.60).", "Allow it to send as EMAIL_FROM."),
}
"""What those destinations that break say; all others do not answer in time."""


@contextmanager
def crowd(destinations: int, *, broken: Collection[str] = (), leads: int = 2000, whole: int = 24) -> Iterator[World]:
    """Thirty days of `leads` to so many destinations, known to the journal only, and then `whole` ones, each two hours.

    Those destinations that are `broken` are so while these come.
    """
    places: Any = {
        name: FakeDestination(KIND=Kind.CRM if n % 2 == 0 else Kind.NOTIFICATION, TITLE=title)
        for n, (name, title) in enumerate(list(CROWD.items())[:destinations])
    }
    with world(now=NOON - timedelta(hours=2 * whole), environ=None, **places) as made:
        note = made.app.ledger.note(SWEEP)
        values = dict(note.values)
        for number in range(leads):
            _finish(made, number)
        for ago in range(30, 2, -1):
            counting.note_open(values, ago * ago % 17, NOON - timedelta(days=ago))
        made.app.ledger.write_note(replace(note, values=values))
        for name in broken:
            places[name].always = BROKEN.get(name, Transient(f"{places[name].TITLE} did not answer in time.", ""))
        for number in range(whole):
            take(made, number)
            made.live(minutes=120)
        made.now = made.bell.now = NOON
        made.live(minutes=2)
        yield made


def _finish(made: World, number: int) -> None:
    """Write what the journal keeps of a lead that was delivered everywhere."""
    at = made.now - timedelta(minutes=20 * number % (27 * 1440), seconds=number)
    states = dict.fromkeys(made.places, State.DELIVERED)
    seconds = {name: 0.4 + (number * 7 + n * 13) % (40 + 400 * n) / 9 for n, name in enumerate(made.places)}
    line = DayLine(
        f"{number:016x}-{number:016x}",
        "raw",
        at,
        states,
        seconds,
        tuple(Stage)[number % 3],
        "",
        f"Contoso {('Planner', 'Board', 'Planner', 'Insights for Retail', 'Planner', 'Draw')[number % 6]}",
        ("US", "DE", "FR", "JP", "GB", "US", "IN", "BR", "CA", "AU", "SE", "IT")[number % 12],
    )
    made.app.ledger.close(Line(line.lead_id, "raw", at), line, made.now)
    made.app.ledger.change(f"day:{line.day}", made.now)


__all__ = ["crowd", "month", "take"]
