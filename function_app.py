"""The triggers of the app, one statement each; what they do is in `leads/`."""

import os

import azure.functions as func

from leads import settings, triggers
from leads.store.doorbell import POISON_QUEUE, QUEUE

SETTINGS = settings.read(os.environ)
STORAGE = "AzureWebJobsStorage"

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.route("leads", methods=["GET", "HEAD", "POST"])
def receive_lead(req: func.HttpRequest) -> func.HttpResponse:
    """Take a lead from the marketplace."""
    return triggers.receive_lead(req)


@app.timer_trigger("timer", SETTINGS.watch_schedule, use_monitor=True)
def watch_tables(timer: func.TimerRequest) -> None:
    """Read the new rows of the watched tables."""
    triggers.watch_tables(timer)


@app.queue_trigger("message", QUEUE, STORAGE)
def deliver_lead(message: func.QueueMessage) -> None:
    """Make the attempt that a message rings for."""
    triggers.deliver_lead(message)


@app.queue_trigger("message", POISON_QUEUE, STORAGE)
def recover_delivery(message: func.QueueMessage) -> None:
    """Put a delivery that the host gave up back on its schedule."""
    triggers.recover_delivery(message)


@app.timer_trigger("timer", SETTINGS.sweep_schedule, use_monitor=True)
def sweep_open_leads(timer: func.TimerRequest) -> None:
    """Finish what a crash or a lost message left undone."""
    triggers.sweep_open_leads(timer)


@app.route("health", methods=["GET"])
def health(req: func.HttpRequest) -> func.HttpResponse:
    """Say whether all is well, or why not."""
    return triggers.health(req)


@app.route("ops/{*path}", methods=["GET", "POST"])
def ops(req: func.HttpRequest) -> func.HttpResponse:
    """Serve the operators: the API, and the way in to the page."""
    return triggers.ops(req)


@app.route("page/{*path}", methods=["GET", "POST"], auth_level=func.AuthLevel.ANONYMOUS)
def page(req: func.HttpRequest) -> func.HttpResponse:
    """Serve the operators' page to browsers that came in by `ops`."""
    return triggers.page(req)
