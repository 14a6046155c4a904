"""The local page of `make run`: what each stand-in received, as people at the far end see it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from wsgiref.types import WSGIApplication

from werkzeug.wrappers import Request, Response

from dev.standins import StandIn, template

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; script-src 'nonce-{}'; "
    "base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)


def application(standins: Mapping[str, StandIn]) -> WSGIApplication:
    """The page as a WSGI application, for `standins` by title. It shows itself anew when something comes in."""

    @Request.application
    def answer(request: Request) -> Response:
        received = [
            (title, sorted(standin.received(), key=lambda item: item.at, reverse=True))
            for title, standin in standins.items()
        ]
        state = hashlib.sha256(repr(received).encode()).hexdigest()
        if request.path == "/state":
            return Response(state)
        if request.path != "/":
            return Response(status=404)
        nonce = secrets.token_urlsafe(16)
        text = template('{% extends "page.html" %}').render(received=received, state=state, nonce=nonce)
        return Response(text, mimetype="text/html", headers={"Content-Security-Policy": _POLICY.format(nonce)})

    return answer
