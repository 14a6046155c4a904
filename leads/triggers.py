"""What each trigger of function_app.py does. What one function does not need, its start does not import."""

from __future__ import annotations

from datetime import UTC, datetime

import azure.functions as func

from leads.app import app


def receive_lead(request: func.HttpRequest) -> func.HttpResponse:
    """Answer a call of the marketplace."""
    from leads import web

    return web.receive_lead(app(), request, datetime.now(UTC))


def watch_tables(timer: func.TimerRequest) -> None:
    """Look at the watched tables. A run that comes late reads all that it missed, so `timer` does not matter."""
    from leads.intake.watch import watch

    del timer
    watch(app(), datetime.now(UTC))


def deliver_lead(message: func.QueueMessage) -> None:
    """Look at the delivery that a message names. A message that is none of ours is dropped: it holds nothing."""
    from leads import delivery
    from leads.store import doorbell

    ids = doorbell.read(message.get_body())
    if ids:
        delivery.deliver(app(), *ids, datetime.now(UTC))


def recover_delivery(message: func.QueueMessage) -> None:
    """Bring a delivery back from the poison queue."""
    from leads import delivery
    from leads.store import doorbell

    ids = doorbell.read(message.get_body())
    if ids:
        delivery.recover(app(), *ids, datetime.now(UTC))


def sweep_open_leads(timer: func.TimerRequest) -> None:
    """Look at the open leads. A run that comes late has the same work, so `timer` does not matter."""
    from leads.sweep.sweep import sweep

    del timer
    sweep(app(), datetime.now(UTC))


def health(request: func.HttpRequest) -> func.HttpResponse:
    """Say whether all is well, or why not."""
    from leads import web

    del request
    return web.health(app(), datetime.now(UTC))


def ops(request: func.HttpRequest) -> func.HttpResponse:
    """Serve the operators."""
    from leads.operate.page import web as ops_web

    return ops_web.answer(app(), request, datetime.now(UTC))


def page(request: func.HttpRequest) -> func.HttpResponse:
    """Serve the operators' page."""
    from leads.operate.page import web as ops_web

    return ops_web.page(app(), request, datetime.now(UTC))
