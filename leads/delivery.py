"""One attempt of a delivery: claim, send, record, and ring again or give up.

A destination's refusal is not an exception: it is recorded, and the message is completed. Only a bug of the app or a
failure of its storage lets an exception out; then the host tries again, and at last `recover` puts the delivery back on
its schedule.

A process makes one attempt at a time at each CRM, a few at a destination that is slow, and none at one that is flooded.
"""

from __future__ import annotations

import contextlib
import random
import time
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from threading import Lock

from leads import enabled, log, retry
from leads.app import App
from leads.contract import RULES, Earlier, Flood, Kind, Link, Step
from leads.enabled import Enabled
from leads.errors import Failure, Misconfigured, Paced, Skip, Transient
from leads.lead import Attempt, Delivery, Lead, Outcome, State
from leads.store.ledger import Case, History
from leads.store.protocol import Changed
from leads.store.rows import ATTEMPTS_KEPT
from leads.transport import SEND_SECONDS, Deadline

CLAIM = timedelta(seconds=90)
SKEW = timedelta(minutes=20)
"""How far the clocks of two instances may be apart."""
BUSY_SECONDS, LONGEST_LINE = 5.0, 600.0
"""How long at least a delivery stays away from a CRM that is busy with another, and how long at most."""
SERVE_SECONDS, LINE_KEPT = 20.0, 1000
"""How long whoever has a place at a destination goes on with those who found none, and how many of these are kept."""
SLOW_SECONDS, SLOW_PLACES = 5.0, 3
"""A destination whose attempts take longer gets so many of a process's threads: the rest is for those that answer."""
FLOOD_WINDOW, FLOOD_LOOK = timedelta(hours=1), timedelta(minutes=1)
"""What is counted, and how often a process looks whether the sweep noted a flood."""
FLOOD = "flood"
"""Why a delivery was skipped that came in a flood."""
HELD = "held back for a summary, since too many leads came"
"""The reason of an open delivery that waits for a summary."""
UNLOADABLE_SECONDS = 1800.0
"""How long a delivery waits, after a package could not be loaded, until the app tries to load it again."""
EARLY = timedelta(seconds=60)
"""A message that comes this much before its time rings again for the rest; an earlier one is left to its own bell."""

_counting = Lock()


@dataclass(slots=True)
class _Line:
    """Who is served at a destination, and who found no place there. Nobody waits: each is told when to come, and is
    served before by whoever has the place then.
    """

    places: int
    """How many this process serves there at once: at a CRM always, elsewhere while it is slow."""
    under_way: int = 0
    pace: float = 0.25
    """Seconds that an attempt took there lately."""
    end: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    """When the last of those comes that were told a time."""
    missed: dict[str, None] = field(default_factory=dict)
    """The leads that found no place, in their order."""

    def enter(self) -> bool:
        """Take a place; False where all are taken."""
        with _counting:
            return self._take()

    def _take(self) -> bool:
        if self.under_way >= self.places and (self.places == 1 or self.pace > SLOW_SECONDS):
            return False
        self.under_way += 1
        return True

    def next(self) -> str:
        """Take a place for the first lead that found none, and return its id; nothing where there is no such one."""
        with _counting:
            if not self.missed or not self._take():
                return ""
            lead_id = next(iter(self.missed))
            del self.missed[lead_id]
            return lead_id

    def leave(self, seconds: float) -> None:
        """Give the place back after an attempt that took so long."""
        with _counting:
            self.under_way -= 1
            self.pace += (seconds - self.pace) / 8

    def miss(self, lead_id: str) -> None:
        """Remember a lead that found no place, unless there are too many: those come when they were told to."""
        with _counting:
            if len(self.missed) < LINE_KEPT:
                self.missed[lead_id] = None

    def turn(self, now: datetime) -> float:
        """In how many seconds a delivery that found no place may come.

        Each comes half an attempt after the one before it: a line as long as that is hardly ever idle, and costs few
        turns, whereas a crowd that comes every ten seconds grows with its square.
        """
        with _counting:
            if self.end > now + timedelta(seconds=LONGEST_LINE) + SKEW:
                # Told by a clock that ran ahead: it counts for nothing.
                self.end = now
            at = max(self.end + timedelta(seconds=self.pace / 2 / self.places), now + timedelta(seconds=BUSY_SECONDS))
            wait = (at - now).total_seconds()
            if wait > LONGEST_LINE:
                return LONGEST_LINE * (0.5 + random.random() / 2)  # noqa: S311 - spreads, hides nothing
            self.end = at
            return wait


_lines: dict[str, _Line] = {}
_sends: dict[str, deque[datetime]] = {}
"""When this process sent to each destination within the last hour; read and changed under `_counting`."""
_noted: dict[str, tuple[datetime, bool]] = {}
"""When this process last looked whether a destination is flooded, and what it found."""


class _Held(Exception):
    """The destination is flooded, so nothing is sent to it now."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self.kind = kind


def deliver(app: App, lead_id: str, destination: str, now: datetime) -> None:
    """Make the attempt of a delivery that is due, if one is due."""
    line = _line(destination)
    if line is None:
        _deliver(app, lead_id, destination, now)
    elif line.enter():
        _serve(app, line, lead_id, destination, now)
    else:
        # Waiting here would hold a thread of the process, and claiming would let the claim run out.
        app.ring(lead_id, destination, line.turn(now))
        line.miss(lead_id)


def _serve(app: App, line: _Line, lead_id: str, destination: str, now: datetime) -> None:
    """Make the attempt with the place taken, and then those of leads that found none meanwhile.

    A queue counts in whole seconds, so a crowd that was told to come one after the other comes in bunches.
    """
    began = started = time.monotonic()
    has_bell = False
    while lead_id:
        try:
            _deliver(app, lead_id, destination, now + timedelta(seconds=started - began), has_bell=has_bell)
        finally:
            line.leave(time.monotonic() - started)
        started, has_bell = time.monotonic(), True
        lead_id = line.next() if started - began < SERVE_SECONDS else ""


def _line(destination: str) -> _Line | None:
    """What keeps a crowd from a destination; None for one that cannot be loaded, to which nothing is sent."""
    kind = _kind(destination)
    return _lines.setdefault(destination, _Line(1 if RULES[kind].one_at_a_time else SLOW_PLACES)) if kind else None


def _deliver(app: App, lead_id: str, destination: str, now: datetime, *, has_bell: bool = False) -> None:
    """Make the attempt. `has_bell` says that the delivery has a message of its own still to come."""
    began = time.monotonic()
    history = app.ledger.history(lead_id)
    claimed = _claim(app, history.case, lead_id, destination, now, has_bell=has_bell)
    if claimed is None or history.case is None:
        return
    try:
        _attempt(app, claimed, history.case.lead, history, now, began)
    except Exception:
        # The host may give the message up at once, and then `recover` must find this delivery without a claim. Nobody
        # knows what was sent before the exception.
        with contextlib.suppress(Exception):
            app.ledger.save(replace(claimed, claimed_until=None, uncertain=True))
        raise


def _attempt(app: App, claimed: Delivery, lead: Lead, history: History, now: datetime, began: float) -> None:
    lead_id, destination = claimed.lead_id, claimed.destination
    started = time.monotonic()
    try:
        remote_id = _send(app, lead, claimed, history, now, began)
    except _Held as held:
        _hold(app, claimed, held.kind, lead, now)
        return
    except Skip as skip:
        _finish(app, replace(claimed, state=State.SKIPPED, reason=skip.reason), lead, now)
        return
    except Failure as failure:
        _fail(app, claimed, lead, failure, now, time.monotonic() - started)
        return
    except Exception as error:  # noqa: BLE001 - raised again, without its text
        where = traceback.extract_tb(error.__traceback__)[-1]
        # The text of an error that nobody foresaw may quote the lead, and the host logs what leaves this function.
        what = f"{type(error).__name__} in {PurePath(where.filename).name}, line {where.lineno}"
        log.event("delivery_internal_error", lead=lead_id, destination=destination, error=what)
        raise RuntimeError(f"{destination} failed unexpectedly: {what}.") from None
    attempt = Attempt(now, Outcome.OK, seconds=time.monotonic() - started)
    delivered = replace(_attempted(claimed, attempt), state=State.DELIVERED, uncertain=False)
    _finish(app, replace(delivered, remote_id=remote_id or claimed.remote_id), lead, now)


def recover(app: App, lead_id: str, destination: str, now: datetime) -> None:
    """Put a delivery back on its schedule after the host gave up its message.

    The host gives up after `maxDequeueCount` exceptions, so the app has a bug, or its storage was broken. People repair
    both, and the schedule gives them days.
    """
    delivery = app.ledger.delivery(lead_id, destination)
    if delivery is None or delivery.state != State.OPEN or is_claimed(delivery, now) or delivery.next_at > now:
        return
    case = app.ledger.case(lead_id)
    if case is None:
        return
    log.event("delivery_internal_error", lead=lead_id, destination=destination, error="given up by the host")
    failure = Transient(
        "Internal error: this app, not the destination, failed five times in a row.",
        "Look for delivery_internal_error in the logs and report it; the delivery stays on its schedule.",
    )
    _fail(app, released(delivery), case.lead, failure, now, 0.0)


def _claim(
    app: App, case: Case | None, lead_id: str, destination: str, now: datetime, *, has_bell: bool
) -> Delivery | None:
    """Take a delivery that is open, due and nobody else's, for as long as a claim lasts."""
    held = case.deliveries if case else ()
    delivery = next((one for one in held if one.destination == destination), None)
    for _ in range(3):
        if delivery is None or delivery.state != State.OPEN or is_claimed(delivery, now):
            return None
        early = delivery.next_at - now
        if early > timedelta(0):
            if early <= EARLY and not has_bell:
                app.ring(lead_id, destination, early.total_seconds())
            return None
        try:
            return app.ledger.save(replace(released(delivery), claimed_until=now + CLAIM))
        except Changed:
            delivery = app.ledger.delivery(lead_id, destination)
    return None


def released(delivery: Delivery) -> Delivery:
    """The delivery without a claim. One that was never recorded leaves it uncertain: whoever held it may have sent."""
    return replace(delivery, claimed_until=None, uncertain=delivery.uncertain or delivery.claimed_until is not None)


def is_claimed(delivery: Delivery, now: datetime) -> bool:
    """Whether a process holds a claim on this delivery. One that ends later than possible came from a fast clock."""
    return delivery.claimed_until is not None and now < delivery.claimed_until <= now + CLAIM + SKEW


def is_flooded(app: App, name: str, now: datetime) -> bool:
    """Whether a destination's leads are summed up just now: too many went there, or the sweep noted it.

    Where it is not, the lead is counted as sent. The note that the sweep writes comes every few minutes, so each
    process counts its own sends as well, and writes the note itself. The first lead of an hour costs no look.
    """
    if not app.settings.flood:
        return False
    with _counting:
        is_first = not _within_the_hour(name, now)
    if not is_first and _is_noted(app, name, now):
        return True
    with _counting:
        sends = _within_the_hour(name, now)
        if len(sends) < app.settings.flood:
            sends.append(now)
            return False
    if app.ledger.note_flood(name, now):
        log.event("flood_noted", destination=name)
    _noted[name] = (now, True)
    return True


def _within_the_hour(name: str, now: datetime) -> deque[datetime]:
    """When this process sent there; whoever calls holds `_counting`."""
    sends = _sends.setdefault(name, deque())
    # Threads begin in one order and come here in another; a time far ahead was told by a clock that counts for nothing.
    while sends and not -EARLY <= now - sends[0] < FLOOD_WINDOW:
        sends.popleft()
    return sends


def _is_noted(app: App, name: str, now: datetime) -> bool:
    looked_at, found = _noted.get(name, (now - FLOOD_LOOK, False))
    if not timedelta(0) <= now - looked_at < FLOOD_LOOK:
        found = app.ledger.is_flooded(name)
        _noted[name] = (now, found)
    return found


def quarter(now: datetime) -> datetime:
    """The next quarter of the hour."""
    return now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0) + timedelta(minutes=15)


def _hold(app: App, delivery: Delivery, kind: Kind, lead: Lead, now: datetime) -> None:
    """Keep a delivery back from a destination that is flooded: for a summary, or for good."""
    if RULES[kind].flood == Flood.SKIPPED:
        _finish(app, replace(delivery, state=State.SKIPPED, reason=FLOOD), lead, now)
        return
    with contextlib.suppress(Changed):
        app.ledger.save(replace(delivery, reason=HELD, next_at=quarter(now), claimed_until=None))


def _send(app: App, lead: Lead, delivery: Delivery, history: History, now: datetime, began: float) -> str:
    """The destination's id for the lead. Raises Failure, or Skip. `began` is when the first read did, monotonic."""
    place = enabled_place(app, delivery.destination)
    kind = place.module.KIND
    reason = _reason_to_skip(app, lead, kind, replayed=delivery.replayed)
    if reason:
        raise Skip(reason)
    if RULES[kind].flood != Flood.DELIVERED and is_flooded(app, delivery.destination, now):
        raise _Held(kind)
    with _given_back(delivery.destination, now):
        if time.monotonic() - began > CLAIM.total_seconds() - SEND_SECONDS:
            # Behind everything that is read: another process may take the claim for given up before this one has sent.
            raise RuntimeError("Reading took longer than a claim allows.")
        about = replace(step(app, history, delivery.destination, kind, now), uncertain=delivery.uncertain)
        # Read again: somebody may have recorded something since the history was read.
        about = replace(about, remote_id=delivery.remote_id, replayed=delivery.replayed)
        try:
            return place.module.send(lead, about, place.settings)
        except Failure as failure:
            failure.cause, failure.remedy = place.worded(failure.cause), place.worded(failure.remedy)
            raise
        except ImportError as error:
            # Destinations import what they send with when they send. The lead has to wait until the app is whole again.
            raise unloadable(error) from None


@contextlib.contextmanager
def _given_back(name: str, now: datetime) -> Iterator[None]:
    """Count what may have reached somebody. What was refused did not: an outage is no flood."""
    try:
        yield
    except Exception as error:
        if not (isinstance(error, Failure) and (error.unanswered or error.remote_id)):
            with _counting, contextlib.suppress(ValueError):
                _sends.setdefault(name, deque()).remove(now)
        raise


def enabled_place(app: App, name: str) -> Enabled:
    """Load a destination with its settings. Raises Misconfigured with every problem of them at once."""
    if name not in app.destinations:
        raise Misconfigured(
            f"{name} is no longer in LEADS_DESTINATIONS.",
            "Add it there again, or end these deliveries on the page (Skip), or by "
            "`python -m leads skip --destination NAME`.",
        )
    try:
        found = enabled.read(name, app.environ)
    except KeyError:
        raise Misconfigured(
            f"There is no destination named {name}.",
            f"Correct LEADS_DESTINATIONS (there are {', '.join(enabled.names())}), then bring these leads to "
            "the right one on the page (Replay), or by `python -m leads replay --destination NAME`.",
        ) from None
    except ImportError as error:
        raise unloadable(error) from None
    if found.problems:
        by_setting = {problem.setting: problem for problem in reversed(found.problems)}
        raise Misconfigured(
            " ".join(f"{setting}: {problem.cause}" for setting, problem in reversed(by_setting.items())),
            " ".join(dict.fromkeys(problem.remedy for problem in found.problems)),
        )
    return found


class _Unloadable(Misconfigured):
    """A package of ours is missing, so nothing was tried: it uses up no attempt, however long the repair takes."""


def unloadable(error: ImportError) -> Misconfigured:
    """The failure of a destination that cannot be loaded whole."""
    return _Unloadable(
        f"The package {error.name or 'that it needs'} cannot be loaded.",
        "Deploy the app again as docs/deploy.md says: its packages are missing, or are for another Python.",
    )


def _reason_to_skip(app: App, lead: Lead, kind: Kind, *, replayed: bool) -> str:
    rules, tests = RULES[kind], app.settings.test_leads
    if lead.is_test and tests not in rules.tests:
        return f"a test lead, and LEADS_TEST_LEADS is {tests}"
    if replayed and not rules.replayed:
        return "an operator replayed it, and this is made once only"
    if lead.old and not (rules.replayed_old if replayed else rules.old):
        return "it was brought in from the past (LEADS_BACKFILL_DAYS)"
    return ""


def step(app: App, history: History, destination: str, kind: Kind, now: datetime) -> Step:
    """What a destination may know besides the lead that `history` is about."""
    if history.case is None:
        raise ValueError("There is no such lead.")
    lead, held = history.case.lead, history.case.deliveries
    own = next((one for one in held if one.destination == destination), None)
    others = sorted(history.others, key=lambda case: _order(case.lead))
    return Step(
        now=now,
        deadline=Deadline.after(SEND_SECONDS),
        earlier=tuple(_earlier(case, destination) for case in others if _order(case.lead) < _order(lead)),
        later=tuple(_earlier(case, destination) for case in others if _order(case.lead) > _order(lead)),
        remote_id=own.remote_id if own else "",
        replayed=own.replayed if own else False,
        old=lead.old,
        records=tuple(_records(app, lead, history)) if kind == Kind.NOTIFICATION else (),
        marks=app.marks(lead) if kind in (Kind.NOTIFICATION, Kind.CUSTOMER) else (),
    )


def _earlier(case: Case, destination: str) -> Earlier:
    """Another lead of the customer, as a destination knows it."""
    found = next((one for one in case.deliveries if one.destination == destination), None)
    return Earlier(case.lead, found.state if found else None, found.remote_id if found else "")


def _records(app: App, lead: Lead, history: History) -> Iterator[Link]:
    """Where the lead's record is in each CRM that leads go to. A CRM's wrong setting is reported with its own leads."""
    others = sorted(history.others, key=lambda case: _order(case.lead), reverse=True)
    cases = [*([history.case] if history.case else []), *others]
    for name in app.destinations:
        try:
            place = enabled.read(name, app.environ)
        except (KeyError, ImportError):
            continue
        record_url = getattr(place.module, "record_url", None)
        if record_url is None:
            continue
        own = ((case.lead, one) for case in cases for one in case.deliveries if one.destination == name)
        url = record_url(lead, [(of, one.remote_id) for of, one in own], place.settings)
        if url:
            yield Link(place.title, url)


def _order(lead: Lead) -> tuple[datetime, datetime, str]:
    """Leads of a customer in the order in which they arrived."""
    return lead.arrived_at, lead.created_at, lead.id


def _attempted(delivery: Delivery, attempt: Attempt) -> Delivery:
    log.event(
        "delivery_attempt",
        lead=delivery.lead_id,
        destination=delivery.destination,
        attempt=delivery.attempt_count + 1,
        outcome=attempt.outcome,
        seconds=round(attempt.seconds, 3),
        cause=attempt.cause,
        remedy=attempt.remedy,
    )
    return replace(
        delivery,
        tries=delivery.tries + 1,
        attempts=(*delivery.attempts, attempt)[-ATTEMPTS_KEPT:],
        attempt_count=delivery.attempt_count + 1,
    )


def _fail(app: App, delivery: Delivery, lead: Lead, failure: Failure, now: datetime, seconds: float) -> None:
    attempt = Attempt(now, failure.outcome, failure.cause, failure.remedy, seconds)
    failed = replace(
        _attempted(delivery, attempt),
        remote_id=failure.remote_id or delivery.remote_id,
        uncertain=delivery.uncertain or failure.unanswered,
    )
    failed, wait = on_schedule(app, failed, failure, f"{delivery.lead_id}:{delivery.destination}")
    if wait is None:
        _finish(app, _given_up(failed, failure), lead, now)
        return
    next_at = now + timedelta(seconds=seconds + wait)
    try:
        app.ledger.save(replace(failed, next_at=next_at, claimed_until=None))
    except Changed:
        return
    app.ring(delivery.lead_id, delivery.destination, wait)


def _given_up(failed: Delivery, failure: Failure) -> Delivery:
    """A delivery without a further attempt: dead, unless it is a notification that some of its recipients have."""
    known = failure.outcome == Outcome.MISCONFIGURED
    if known and failure.remote_id and _kind(failed.destination) == Kind.NOTIFICATION:
        # Alerts named the others since the first attempt. Of any other failure nobody has heard yet.
        return replace(failed, state=State.DELIVERED, reason=f"Not everybody got it. {failure.cause}")
    return replace(failed, state=State.DEAD, alerted_at=None)


def _kind(destination: str) -> Kind | None:
    try:
        return enabled.load(destination).KIND
    except (KeyError, ImportError):
        return None


def on_schedule(app: App, failed: Delivery, failure: Failure, seed: str) -> tuple[Delivery, float | None]:
    """A delivery behind a failed attempt that is counted, and seconds until the next one; None where there is none.

    `seed` is what the jitter of the wait hangs on.
    """
    if isinstance(failure, _Unloadable):
        return replace(failed, tries=failed.tries - 1), UNLOADABLE_SECONDS
    if isinstance(failure, Paced):
        return replace(failed, tries=failed.tries - 1), failure.retry_after
    if failure.outcome == Outcome.REJECTED:
        return failed, None
    return failed, retry.wait(app.settings.retry_schedule, failed.tries, failure.retry_after, seed)


def _finish(app: App, delivery: Delivery, lead: Lead, now: datetime) -> None:
    try:
        app.ledger.save(replace(delivery, finished_at=now, claimed_until=None))
    except Changed:
        return
    log.event(
        "delivery_finished",
        lead=delivery.lead_id,
        destination=delivery.destination,
        state=delivery.state,
        attempts=delivery.attempt_count,
        latency_seconds=round((now - lead.arrived_at).total_seconds(), 3),
        reason=delivery.reason,
    )
