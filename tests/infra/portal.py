"""The portal's form, filled in by a test: what is on the screen, and which parameters a deployment gets.

It knows the functions that the form uses, as learn.microsoft.com describes them (create-ui-definition-functions). It is
stricter than the portal may be: an element that is hidden has no value, a path below something without a value ends the
test, and so does a value of none in the parameters. Only `if` looks at one branch alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(\d+)|([A-Za-z_]\w*)|(.))")
Element = dict[str, Any]


def parsed(expression: str) -> Any:
    """`[f(a, 'b').c]` as nested tuples. Raises AssertionError where it is none."""
    assert expression[0] == "[", expression
    assert expression[-1] == "]", expression
    tokens = [found.group().strip() for found in TOKEN.finditer(expression[1:-1])]
    tree, rest = _term(tokens)
    assert rest == [], f"{expression} goes on with {rest}"
    return tree


def _term(tokens: list[str]) -> tuple[Any, list[str]]:
    word, *rest = tokens
    if word.startswith("'"):
        return ("text", word[1:-1].replace("''", "'")), rest
    if word.isdecimal():
        return ("text", int(word)), rest
    if word in ("true", "false"):
        return ("text", word == "true"), rest
    assert re.fullmatch(r"[A-Za-z_]\w*", word), word
    assert rest[0] == "(", f"{word} is not called"
    arguments, rest = [], rest[1:]
    while rest[0] != ")":
        argument, rest = _term(rest)
        arguments.append(argument)
        assert rest[0] in ",)"
        rest = rest[rest[0] == "," :]
    tree, rest = ("call", word, *arguments), rest[1:]
    while rest[:1] == ["."]:
        tree, rest = ("dot", tree, rest[1]), rest[2:]
    return tree, rest


def paths(tree: Any) -> Iterator[tuple[str, ...]]:
    """Every path that an expression follows, from the name of a step on."""
    found: list[str] = []
    inner = tree
    while inner[0] == "dot":
        found.insert(0, inner[2])
        inner = inner[1]
    if inner[:2] == ("call", "steps"):
        yield (inner[2][1], *found)
    elif inner[0] == "call":
        for argument in inner[2:]:
            yield from paths(argument)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "and": lambda *all_of: all(all_of),
    "or": lambda *any_of: any(any_of),
    "equals": lambda one, other: one == other,
    "contains": lambda where, what: what in where,
    "concat": lambda *parts: "".join(parts),
    "split": lambda whole, by: whole.split(by),
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "parse": json.loads,
}


class Form:
    """A form, and what a person has written and chosen: by the name of an element, which is there once."""

    def __init__(self, form: dict[str, Any], given: Mapping[str, Any]) -> None:
        self.view = form["view"]
        self.given = {"scope": {"location": {"name": "westeurope"}, "resourceGroup": {"id": "/g"}}, **given}
        self.values: dict[str, Any] = {}
        self.shown: dict[str, Element] = {}
        # What is visible depends on values that depend on what is visible: from nothing until nothing more changes.
        for _ in range(4):
            self.values = {step["name"]: self._of(step["elements"]) for step in self.view["properties"]["steps"]}

    def _of(self, elements: list[Element]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for element in elements:
            name = element["name"]
            if "visible" in element and not self.value(element["visible"], hidden=True):
                self.shown.pop(name, None)
                continue
            if element["type"].endswith(".Section"):
                found[name] = self._of(element["elements"])
            elif not element["type"].endswith(("InfoBox", "TextBlock")):
                self.shown[name] = element
                found[name] = self.given.get(name, self._default(element))
        return found

    def _default(self, element: Element) -> Any:
        if element["type"].endswith("DropDown"):
            labels = {each["label"]: each["value"] for each in element["constraints"]["allowedValues"]}
            return labels[element["defaultValue"]] if "defaultValue" in element else None
        return None if element["type"].endswith("CheckBox") else element.get("defaultValue", "")

    def complaints(self) -> dict[str, str]:
        """What the form says of what was written, by element."""
        found = {}
        for name, element in self.shown.items():
            limits, value = element.get("constraints", {}), self.given.get(name, self._default(element))
            if limits.get("required") and not value:
                found[name] = "A value is required."
            elif value and "regex" in limits and not re.search(limits["regex"], value):
                found[name] = limits["validationMessage"]
        return found

    def parameters(self) -> dict[str, Any]:
        """What the deployment gets."""
        return {name: self._evaluated(value) for name, value in self.view["outputs"]["parameters"].items()}

    def _evaluated(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._evaluated(each) for name, each in value.items()}
        found = self.value(value)
        assert found is not None, f"{value} has no value"
        return found

    def value(self, expression: str, *, hidden: bool = False) -> Any:
        """The value of an expression. With `hidden`, a path below nothing is nothing: the portal asks again later."""
        return self._tree(parsed(expression), hidden)

    def _tree(self, tree: Any, hidden: bool) -> Any:
        if tree[0] == "text":
            return tree[1]
        if tree[0] == "dot":
            inner = self._tree(tree[1], hidden)
            assert inner is not None or hidden, f"{tree} is below something that is hidden"
            return None if inner is None else inner.get(tree[2])
        _, function, *arguments = tree
        if function == "steps":
            return self.values.get(arguments[0][1], None if hidden else {})
        if function == "if":
            return self._tree(arguments[1 if self._tree(arguments[0], hidden) else 2], hidden)
        return FUNCTIONS[function](*(self._tree(argument, hidden) for argument in arguments))
