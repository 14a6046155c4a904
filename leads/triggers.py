"""What each trigger of function_app.py does. What one function does not need, its start does not import."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import azure.functions as func

if TYPE_CHECKING:
    from leads.app import App

ALIVE = (
    "This address takes marketplace leads by POST. To test it, press Validate in the connection details of Partner "
    'Center, or send a JSON object: curl -d \'{"userDetails":{"email":"you@example.com"}}\' with this address.\n'
)


def receive_lead(request: func.HttpRequest) -> func.HttpResponse:
    """Answer a call of the marketplace."""
    from leads.app import app

    return answer_lead(app(), request, datetime.now(UTC))


def watch_tables(timer: func.TimerRequest) -> None:
    """Look at the watched tables. A run that comes late reads all that it missed, so `timer` does not matter."""
    from leads.app import app
    from leads.intake.watch import watch

    del timer
    watch(app(), datetime.now(UTC))


def deliver_lead(message: func.QueueMessage) -> None:
    """Look at the delivery that a message names. A message that is not ours is dropped: it holds nothing."""
    from leads import delivery
    from leads.app import app
    from leads.store import doorbell

    ids = doorbell.read(message.get_body())
    if ids:
        delivery.deliver(app(), *ids, datetime.now(UTC))


def recover_delivery(message: func.QueueMessage) -> None:
    """Bring a delivery back from the poison queue."""
    from leads import delivery
    from leads.app import app
    from leads.store import doorbell

    ids = doorbell.read(message.get_body())
    if ids:
        delivery.recover(app(), *ids, datetime.now(UTC))


def sweep_open_leads(timer: func.TimerRequest) -> None:
    """Look at the open leads. A run that comes late has the same work, so `timer` does not matter."""
    from leads.app import app
    from leads.sweep.sweep import sweep

    del timer
    try:
        sweep(app(), datetime.now(UTC))
    finally:
        from leads.operate import jobs

        jobs.go_on_all(app(), datetime.now(UTC))


def health(request: func.HttpRequest) -> func.HttpResponse:
    """Say whether all is well, or why not."""
    from leads.app import app

    del request
    return answer_health(app(), datetime.now(UTC))


def ops(request: func.HttpRequest) -> func.HttpResponse:
    """Serve the operators."""
    from leads.app import app
    from leads.operate.page import web as ops_web

    return ops_web.answer(app(), request, datetime.now(UTC))


def page(request: func.HttpRequest) -> func.HttpResponse:
    """Serve the operators' page."""
    from leads.app import app
    from leads.operate.page import web as ops_web

    return ops_web.page(app(), request, datetime.now(UTC))


def answer_lead(app: App, request: func.HttpRequest, now: datetime) -> func.HttpResponse:
    """Answer a call of the marketplace: 202 with the lead's id once the lead is durable, and not a moment before."""
    from leads import log
    from leads.intake import accept

    if request.method in ("GET", "HEAD"):
        return func.HttpResponse(ALIVE, mimetype="text/plain", headers={"Cache-Control": "no-store"})
    try:
        receipt = accept.receive(app, request.get_body(), now)
    except accept.TooLarge as error:
        return _problem(413, "Too large for a lead", error.reason)
    except accept.NotALead as error:
        return _problem(400, "Not a lead", f"{error.reason} The app kept what came and alerts the operators.")
    except Exception as error:  # noqa: BLE001 - whatever failed, the caller must learn that the lead is not safe
        log.event("intake_failed", error=type(error).__name__)
        return _problem(
            503,
            "The lead could not be stored",
            "The lead is not safe yet: send it again.",
            headers={"Retry-After": "30"},
        )
    return _answer(202, {"id": receipt.id})


def answer_health(app: App, now: datetime) -> func.HttpResponse:
    """Say whether all is well, from a few stored rows: 200 when it is, else 503 with the reasons."""
    from leads import __version__
    from leads.operate import health as of_app

    try:
        state = of_app.health(app, now)
    except Exception as error:  # noqa: BLE001 - health has to answer whatever is broken
        return _answer(503, {"status": "failed", "version": __version__, "reasons": [_unreadable(error)]})
    return _answer(200 if state.status == "ok" else 503, state.as_json())


def _unreadable(error: Exception) -> dict[str, str]:
    """Why health is unknown. The text of an error may quote a connection string."""
    return {
        "cause": f"The storage does not answer ({type(error).__name__}).",
        "remedy": "Correct AzureWebJobsStorage. The page says why when you sign in, as does `python -m leads check`.",
        "setting": "AzureWebJobsStorage",
    }


def _answer(status: int, content: Mapping[str, object]) -> func.HttpResponse:
    """Make an answer in JSON."""
    return func.HttpResponse(
        json.dumps(content), status_code=status, mimetype="application/json", headers={"Cache-Control": "no-store"}
    )


def _problem(status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """Make an answer with problem details. `detail` must not quote what was sent."""
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return func.HttpResponse(
        json.dumps(content),
        status_code=status,
        mimetype="application/problem+json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
