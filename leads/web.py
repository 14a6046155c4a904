"""What the HTTP routes answer: a lead's 202, and errors as problem details (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

import azure.functions as func

from leads import __version__, log
from leads.app import App
from leads.intake import accept

ALIVE = (
    "This address takes marketplace leads by POST. To test it, press Validate in the connection details of Partner "
    'Center, or send a JSON object: curl -d \'{"userDetails":{"email":"you@example.com"}}\' with this address.\n'
)


def receive_lead(app: App, request: func.HttpRequest, now: datetime) -> func.HttpResponse:
    """Answer a call of the marketplace: 202 with the lead's id once the lead is durable, and not a moment before."""
    if request.method in ("GET", "HEAD"):
        return func.HttpResponse(ALIVE, mimetype="text/plain", headers={"Cache-Control": "no-store"})
    try:
        receipt = accept.receive(app, request.get_body(), now)
    except accept.TooLarge as error:
        return problem(413, "Too large for a lead", error.reason)
    except accept.NotALead as error:
        return problem(400, "No lead", f"{error.reason} The bytes are kept; the operators are told.")
    except Exception as error:  # noqa: BLE001 - whatever failed, the caller must learn that the lead is not safe
        log.event("intake_failed", error=type(error).__name__)
        return problem(
            503,
            "The lead could not be stored",
            "Nothing was answered for yet: send it again.",
            headers={"Retry-After": "30"},
        )
    return answer(202, {"id": receipt.id})


def health(app: App, now: datetime) -> func.HttpResponse:
    """Say whether all is well, from a few stored rows: 200 when it is, else 503 with the reasons."""
    from leads.operate import health

    try:
        state = health.health(app, now)
    except Exception as error:  # noqa: BLE001 - health has to answer whatever is broken
        return answer(
            503, {"status": "failed", "version": __version__, "reasons": [f"storage: {type(error).__name__}"]}
        )
    return answer(200 if state["status"] == "ok" else 503, state)


def answer(status: int, content: Mapping[str, object]) -> func.HttpResponse:
    """Make an answer in JSON."""
    return func.HttpResponse(
        json.dumps(content), status_code=status, mimetype="application/json", headers={"Cache-Control": "no-store"}
    )


def problem(status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """Make an answer with problem details. `detail` must not quote what was sent."""
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return func.HttpResponse(
        json.dumps(content),
        status_code=status,
        mimetype="application/problem+json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
