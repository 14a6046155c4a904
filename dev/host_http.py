"""HTTP of the local host: routes, methods and keys of the functions."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import azure.functions as func
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import BaseConverter, Map, Rule
from werkzeug.utils import get_content_type
from werkzeug.wrappers import Request, Response

from dev import serving
from dev.host_functions import Function, HostError
from dev.host_keys import Keys

log = logging.getLogger("host")

BUSY = 100
"""Requests that are worked on at a time; one more gets 503. Azure adds instances, or answers 429, by its own limits."""
_ALL_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """The way to one HTTP function."""

    function: Function
    template: str
    """As in `/api/ops/{*path}`."""
    methods: tuple[str, ...]
    auth: str
    """ANONYMOUS, FUNCTION or ADMIN."""

    @classmethod
    def of(cls, function: Function, prefix: str) -> Route:
        """The route of an HTTP function under the route prefix of host.json."""
        own = str(function.trigger.get("route") or function.name)
        template = "/" + "/".join(part for part in (prefix.strip("/"), own.strip("/")) if part)
        methods = tuple(str(method).upper() for method in function.trigger.get("methods") or _ALL_METHODS)
        return cls(function, template, methods, str(function.trigger["authLevel"]).upper())

    def rules(self) -> Iterator[Rule]:
        """The same in Werkzeug's words. Raises HostError for a template that this host does not know."""
        rule = ""
        for number, part in enumerate(self.template.strip("/").split("/")):
            parameter = re.fullmatch(r"\{(\*?)(\w+)\}", part)
            if parameter is None and re.search(r"[{}<>\"]", part):
                raise HostError(f"The local host does not know routes like {self.template}.")
            if parameter is None:
                rule += f'/<word("{part}"):_{number}>'
            elif parameter[1]:
                yield Rule(rule, endpoint=self, methods=self.methods, defaults={parameter[2]: ""})
                rule += f"/<path:{parameter[2]}>"
            else:
                rule += f"/<{parameter[2]}>"
        yield Rule(rule, endpoint=self, methods=self.methods)


class _Word(BaseConverter):
    """A literal part of a route. As on Azure, its case does not matter, and it comes before parameters."""

    weight = 1

    def __init__(self, url_map: Map, word: str) -> None:
        super().__init__(url_map)
        self.regex = f"(?i:{re.escape(word)})"


class Server(serving.Server):
    """Serves the HTTP functions on 127.0.0.1. `port` 0 picks a free one. Raises OSError if it is taken."""

    def __init__(
        self, functions: Sequence[Function], prefix: str, port: int, keys: Keys | None, body_limit: int | None = None
    ) -> None:
        self.routes = [Route.of(function, prefix) for function in functions]
        self.keys = keys
        self._map = Map(
            [rule for route in self.routes for rule in route.rules()],
            converters={"word": _Word},
            strict_slashes=False,
            merge_slashes=False,
            redirect_defaults=False,
        ).bind("localhost")
        self._working = 0
        self._idle = threading.Condition()
        application = Request.application(self._answer)
        super().__init__(application, port, handler=_Handler, body_limit=body_limit or serving.BODY_LIMIT)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Count a request from its first line until its answer is sent."""
        with self._idle:
            self._working += 1
        try:
            yield
        finally:
            with self._idle:
                self._working -= 1
                self._idle.notify_all()

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until every call under way is answered; False if that takes longer than `seconds`."""
        with self._idle:
            return self._idle.wait_for(lambda: self._working == 0, seconds)

    def _answer(self, request: Request) -> Response:
        if self._working > BUSY:
            return Response(status=503, headers={"Retry-After": "1"})
        path = str(request.environ["RAW_URI"]).partition("?")[0]
        try:
            route, found = self._map.match(path, request.method)
        except (NotFound, MethodNotAllowed):
            return Response(status=404)
        # Werkzeug lets HEAD in wherever GET may come; Azure does not.
        if request.method not in route.methods:
            return Response(status=404)
        params = _joined(request.args)
        given = request.headers.get("x-functions-key") or params.get("code", "")
        if self.keys is not None and not self.keys.allow(route.function.name, route.auth, given):
            return Response(status=401)
        asked = func.HttpRequest(
            method=request.method,
            url=f"http://{request.host}{request.environ['RAW_URI']}",
            headers=dict(request.headers),
            params=params,
            route_params={name: unquote(value) for name, value in found.items() if not name.startswith("_")},
            body=request.get_data(),
        )
        try:
            return _response(route.function.run(asked, "This function was programmatically called via the host APIs."))
        except Exception:
            return Response(status=500)


class _Handler(serving.Handler):
    server: Server

    def run_wsgi(self) -> None:
        with self.server.working():
            super().run_wsgi()


def _joined(params: MultiDict[str, str]) -> dict[str, str]:
    return {name: ",".join(values) for name, values in params.lists()}


def _response(result: Any) -> Response:
    if result is None:
        return Response(status=204)
    if isinstance(result, str):
        return Response(result)
    if not isinstance(result, func.HttpResponse):
        log.error("An HTTP function must return an HttpResponse or a str, not %s.", type(result).__name__)
        return Response(status=500)
    kind = result.headers.get("Content-Type") or get_content_type(str(result.mimetype), str(result.charset))
    return Response(result.get_body(), result.status_code, list(result.headers.items()), content_type=kind)
