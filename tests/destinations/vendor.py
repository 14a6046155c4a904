"""A vendor's own specification of its API, OpenAPI 3 or Swagger 2: whether requests and answers are as it says.

The specifications are the vendors' and no part of this project. Where SCHEMAS names a folder with them, tests that need
them run; elsewhere they are skipped.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from jsonschema import Draft4Validator  # type: ignore[import-untyped]

from dev.standins.server import Answer, Request, Server

FOLDER = Path(os.environ.get("SCHEMAS", "/nonexistent"))

needs = pytest.mark.skipif(not FOLDER.is_dir(), reason="SCHEMAS names no folder with the vendors' specifications")


@contextmanager
def overheard(server: Server) -> Iterator[list[tuple[Request, Answer]]]:
    """Every request with its answer, as long as the block lasts."""
    heard: list[tuple[Request, Answer]] = []
    usual: Callable[[Request], Answer] = server._answer

    def answer(request: Request) -> Answer:
        answered = usual(request)
        heard.append((request, answered))
        return answered

    server._answer = answer
    yield heard
    server._answer = usual


def wrong(request: Request, answer: Answer, documents: list[dict[str, Any]], *, strict: bool = True) -> list[str]:
    """What of a request or its answer is not as the documents say.

    Without `strict` nothing is demanded, and names are looked at instead: Marketo's specification demands the fields of
    answers in requests, too, and calls every value of an attribute an object.
    """
    method, query, body = request.method.lower(), dict(request.query), request.json()
    if query.pop("_method", "") == "GET":
        method, query, body = "get", dict(parse_qsl(request.body.decode())), None
    for document in documents:
        for template, operations in document["paths"].items():
            if method in operations and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), request.path):
                return list(_compared(document, operations[method], query, body, answer, strict=strict))
    return [f"{method} {request.path} is nowhere"]


def _compared(
    document: dict[str, Any],
    operation: dict[str, Any],
    query: dict[str, str],
    body: Any,
    answer: Answer,
    *,
    strict: bool,
) -> Iterator[str]:
    parameters = operation.get("parameters", [])
    known = {one["name"]: one.get("required") for one in parameters if one["in"] == "query"}
    yield from (f"unknown parameter {name}" for name in query.keys() - known.keys())
    yield from (f"missing parameter {name}" for name, required in known.items() if required and name not in query)
    in_body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    in_body = in_body or next((one for one in parameters if one["in"] == "body"), None)
    if in_body:
        yield from _against(document, in_body["schema"], body, strict=strict)
    responses = operation["responses"]
    response = responses.get(str(answer.status)) or responses.get("default")
    if response is None:
        yield f"no answer has status {answer.status}"
        return
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    content = list(response.get("content", {}).values())
    schema = content[0]["schema"] if content else response.get("schema")
    if schema:
        yield from _against(document, schema, answer.body, strict=strict)


def _against(document: dict[str, Any], schema: dict[str, Any], value: Any, *, strict: bool) -> Iterator[str]:
    parts = {name: document[name] for name in ("components", "definitions") if name in document}
    whole = {**schema, **(parts if strict else _names_only(parts))}
    for error in Draft4Validator(whole).iter_errors(value):
        yield f"{'/'.join(map(str, error.absolute_path))}: {error.message}"


def _names_only(node: Any, name: str = "") -> Any:
    if isinstance(node, list):
        return [_names_only(one) for one in node]
    if not isinstance(node, dict):
        return node
    made = {key: _names_only(value, key) for key, value in node.items() if key != "required"}
    if name == "value":
        return {}
    if "properties" in made and name not in ("Lead", "LeadFormFields"):
        made["additionalProperties"] = False
    return made


def read(*files: str) -> list[dict[str, Any]]:
    """The specifications in these files below the folder."""
    return [json.loads((FOLDER / file).read_text(encoding="utf-8")) for file in files]
