"""What a destination may raise. Each says what happened and what to do, in words that are safe to log."""

from __future__ import annotations

from leads.lead import Outcome


class Failure(Exception):
    """An expected failure of one attempt: recorded, never a crash.

    `cause` and `remedy` are whole sentences for an operator. They hold no secret, no personal data and no URL with
    its query. `remote_id` is what the destination already holds of this lead, for the next attempt to build on.
    `unanswered` says that a request may have left and no answer came, so what it did is unknown. It is False where
    nothing can have left: wrong settings, sign-in, DNS, connecting, TLS.
    """

    outcome: Outcome

    def __init__(
        self,
        cause: str,
        remedy: str = "",
        *,
        retry_after: float | None = None,
        remote_id: str = "",
        unanswered: bool = False,
    ) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy
        self.retry_after = retry_after
        self.remote_id = remote_id
        self.unanswered = unanswered


class Transient(Failure):
    """The destination is not working right now: a timeout, a broken connection, a 5xx."""

    outcome = Outcome.TRANSIENT


class Throttled(Failure):
    """The destination asks for fewer calls: 429 and the like. `retry_after` is how long to wait, in seconds."""

    outcome = Outcome.THROTTLED


class Paced(Throttled):
    """The app itself keeps to a destination's pace. Nothing was asked, so it uses up no attempt of the schedule."""


class Rejected(Failure):
    """The destination will never take this lead as it is: trying again does not help."""

    outcome = Outcome.REJECTED


class Misconfigured(Failure):
    """A person has to correct a setting, a secret or a permission; then trying again helps."""

    outcome = Outcome.MISCONFIGURED


class Skip(Exception):
    """This lead is not for this destination, which is fine. `reason` is shown to operators as it is."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
