"""The operators' JSON API: `POST /api/ops/api/<operation>` with the arguments as a JSON object in the body.

The host has checked the function key. Everything is a POST, so that no address of a customer stands in a URL, and asks
for the header `X-Leads-Request: 1`, which no form of another site can send.
"""

from __future__ import annotations

import json
from datetime import datetime
from urllib.parse import unquote

import azure.functions as func

from leads import log
from leads.app import App
from leads.errors import Failure
from leads.operate import audit

PATH = "api/"
"""What the operations' paths begin with, below the route `ops`."""
HEADER = "X-Leads-Request"
BODY_LIMIT = 4 * 1024 * 1024
"""Bytes of arguments; an import sends its records in parts."""

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def answer(app: App, request: func.HttpRequest, now: datetime) -> func.HttpResponse | None:
    """Answer a request for an operation; None where it is for something else, which the page serves."""
    path = (request.route_params.get("path") or "").strip("/")
    if not f"{path}/".startswith(PATH):
        return None
    if request.method != "POST":
        return _problem(405, "Operations take POST only", "Send the arguments as a JSON object by POST.")
    if request.headers.get(HEADER) != "1":
        return _problem(403, "Not from our own client", f"Send the header {HEADER}: 1.")
    operator = unquote(request.headers.get(audit.HEADER, ""))
    return _perform(app, path.removeprefix(PATH), request.get_body(), now, operator)


def _perform(app: App, name: str, given: bytes, now: datetime, operator: str) -> func.HttpResponse:
    from leads.operate import check, operations

    try:
        arguments = json.loads(given or b"{}") if len(given) <= BODY_LIMIT else None
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        return _problem(400, "No arguments", f"The body must be a JSON object of {BODY_LIMIT} bytes at most.")
    if name not in operations.OPERATIONS:
        return _problem(404, "No such operation", f"There are {', '.join(sorted(operations.OPERATIONS))}.")
    try:
        content = operations.perform(app, name, arguments, now, operator)
    except operations.WrongUse as error:
        return _problem(400, "Wrong arguments", str(error))
    except Failure as failure:
        return _problem(409, "Something needs fixing", failure.cause, failure.remedy)
    except Exception as error:  # noqa: BLE001 - its text may quote a lead, and the host logs what leaves this function
        log.event("operation_failed", operation=name, error=type(error).__name__)
        return _problem(503, "It failed", *check.explained(error))
    # An argument that is no Unicode text may stand in the answer.
    body = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
    return func.HttpResponse(body, mimetype="application/json", headers=_HEADERS)


def _problem(status: int, title: str, detail: str, remedy: str = "") -> func.HttpResponse:
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, "remedy": remedy}
    return func.HttpResponse(
        json.dumps(content), status_code=status, mimetype="application/problem+json", headers=_HEADERS
    )
