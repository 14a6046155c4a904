"""Check the Bicep templates without the Bicep compiler, and with it where there is one: `python -m dev.check_bicep`.

It finds syntax errors, names that are not declared or not used, properties that a resource does not have, that are
read-only or that are missing, values outside an enumeration, another API version than the one compared with, and
parameters and outputs that a module does not have. It does not know types: a compiler does, so where `bicep` or
`az bicep` can be run, every file is compiled too. `bicep_schemas.json` beside this file holds the part of Azure's
resource types that the templates touch; `--refresh AZMCP` renews it, where AZMCP is the binary of the npm package
`@azure/mcp-linux-x64` 2.0.5, which works offline.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

ROOT = Path(__file__).resolve().parent.parent
INFRA = ROOT / "infra"
SCHEMAS = Path(__file__).with_name("bicep_schemas.json")
FUNCTIONS = frozenset(
    re.findall(
        r"\w+",
        """allowed description empty filter guid items join loadTextContent map maxLength maxValue minLength minValue
        readEnvironmentVariable replace resourceGroup secure string subscription subscriptionResourceId take toObject
        union uniqueString""",
    )
)
"""The functions and decorators of Bicep that the templates may use; a new one is added here, once it is looked up."""
OUTSIDE_THE_SCHEMA = frozenset({"parent", "scope", "dependsOn"})

_PARSER = Parser(Language(tree_sitter_bicep.language()))


def parse(file: Path) -> Node:
    """The syntax tree of a .bicep file, or of a .bicepparam file, whose assignments are read as variables."""
    source = file.read_text(encoding="utf-8")
    if file.suffix == ".bicepparam":
        source = re.sub(r"^using ", "// ", source, flags=re.MULTILINE)
        source = re.sub(r"^param (\w+) =", r"var   \1 =", source, flags=re.MULTILINE)
    return _PARSER.parse(source.encode()).root_node


def text(node: Node | None) -> str:
    """The source text of a node."""
    return (node.text or b"").decode() if node else ""


def walk(node: Node) -> Iterator[Node]:
    """The node and everything under it, in the order of the source."""
    yield node
    for child in node.children:
        yield from walk(child)


def declarations(root: Node, kind: str) -> dict[str, Node]:
    """The declarations of a file by name; `kind` is parameter, variable, resource, module or output."""
    return {text(n.children[1]): n for n in root.children if n.type == f"{kind}_declaration"}


def members(obj: Node) -> dict[str, Node]:
    """The values of an object by property name, without those whose name is computed."""
    pairs = (child.named_children for child in obj.named_children if child.type == "object_property")
    return {text(pair[0]).strip("'"): pair[-1] for pair in pairs if "${" not in text(pair[0])}


def body(declaration: Node) -> Node | None:
    """The object that a resource or a module is declared with, also inside `if` and `for`."""
    return next((n for n in walk(declaration.children[-1]) if n.type == "object"), None)


def literal(declaration: Node) -> str:
    """The string behind the name: a resource's type and version, or a module's path."""
    return text(next((n for n in declaration.named_children if n.type == "string"), None)).strip("'")


class Schemas:
    """What is known of the resource types, and which part of it has been looked at."""

    def __init__(self, known: dict[str, Any]) -> None:
        self.known = known
        self.seen: dict[str, set[str]] = {}

    def check(self, kind: str, obj: Node) -> Iterator[tuple[Node, str]]:
        """Compare the object of a resource of type `kind@version` with its schema."""
        name, _, version = kind.partition("@")
        schema = self.known.get(name)
        if schema is None:
            yield obj, f"{name} is not in {SCHEMAS.name}: add it with --refresh"
            return
        if schema["version"] != version:
            yield obj, f"{name} is compared with version {schema['version']}, not {version}"
        yield from self._check_object(name, schema["root"], obj, name.rpartition("/")[2])

    def _check_object(self, name: str, kind: str, obj: Node, path: str) -> Iterator[tuple[Node, str]]:
        properties = self.known[name]["types"].get(kind)
        if properties is None:
            return
        self.seen.setdefault(name, set()).add(kind)
        given = members(obj)
        for key, value in given.items():
            if key in OUTSIDE_THE_SCHEMA:
                continue
            if key not in properties:
                yield value, f"{path} has no property {key}"
                continue
            expected, flags = properties[key]
            if "ReadOnly" in flags:
                yield value, f"{path}.{key} is read-only"
            yield from self._check_value(name, expected, value, f"{path}.{key}")
        for key, (_, flags) in properties.items():
            if "Required" in flags and key not in given:
                yield obj, f"{path} needs {key}"

    def _check_value(self, name: str, expected: str, value: Node, path: str) -> Iterator[tuple[Node, str]]:
        if value.type == "object":
            yield from self._check_object(name, expected, value, path)
        elif value.type == "ternary_expression":
            for child in value.named_children[1:]:
                yield from self._check_value(name, expected, child, path)
        elif value.type == "call_expression" and text(value).startswith("map(") and expected.endswith("[]"):
            lambdas = [child for child in walk(value) if child.type == "lambda_expression"]
            yield from self._check_value(name, expected[:-2], lambdas[0].named_children[-1], f"{path}[]")
        elif value.type in ("array", "for_statement") and expected.endswith("[]"):
            for child in value.named_children:
                if child.type == "object":
                    yield from self._check_object(name, expected[:-2], child, f"{path}[]")
        elif value.type == "string" and "|" in expected and "${" not in text(value):
            choices = [choice for part in expected.split("|") if (choice := part.strip(" '")) != "string"]
            if text(value).strip("'") not in choices:
                yield value, f"{path} is none of {', '.join(choices)}"


def check_names(root: Node, *, used_elsewhere: bool) -> Iterator[tuple[Node, str]]:
    """Names that nothing declares, and, unless they are used elsewhere, parameters and variables that nothing uses."""
    declared = {name: n for kind in ("parameter", "variable") for name, n in declarations(root, kind).items()}
    known = {*declared, *declarations(root, "resource"), *declarations(root, "module"), *FUNCTIONS}
    local = {text(n) for n in walk(root) if n.type in ("loop_variable", "loop_enumerator")}
    local |= {text(n.children[2]) for n in walk(root) if n.type == "for_statement"}
    local |= {text(n.children[0]) for n in walk(root) if n.type == "lambda_expression"}
    used = set()
    for node in walk(root):
        parent = node.parent
        if node.type != "identifier" or parent is None:
            continue
        if parent.type.endswith("_declaration") and node == parent.children[1]:
            continue
        if parent.type == "object_property" and node == parent.children[0]:
            continue
        used.add(text(node))
        if text(node) not in known and text(node) not in local:
            yield node, f"{text(node)} is not declared"
    for name, node in declared.items():
        if name not in used and not used_elsewhere:
            yield node, f"{name} is not used"


def check_module(file: Path, root: Node, name: str, declaration: Node) -> Iterator[tuple[Node, str]]:
    """Compare a module's parameters and outputs with what the file uses of them."""
    path = file.parent / literal(declaration)
    if path.suffix != ".bicep" or not path.exists():
        yield declaration, f"{literal(declaration)} is no file here"
        return
    target = parse(path)
    wanted = declarations(target, "parameter")
    obj = body(declaration)
    params = members(obj).get("params") if obj else None
    given = members(params) if params else {}
    for key in given.keys() - wanted.keys():
        yield declaration, f"{path.name} has no parameter {key}"
    for key, node in wanted.items():
        if key not in given and not any(child.type == "=" for child in node.children):
            yield declaration, f"{path.name} needs parameter {key}"
    for output in set(re.findall(rf"\b{name}\.outputs\.(\w+)", text(root))) - declarations(target, "output").keys():
        yield declaration, f"{path.name} has no output {output}"


def check(file: Path, schemas: Schemas) -> list[str]:
    """Everything that is wrong with a file, as `file:line: what`."""
    root = parse(file)
    found = [(n, f"syntax error at {text(n)[:40]!r}") for n in walk(root) if n.is_error or n.is_missing]
    found += check_names(root, used_elsewhere=file.suffix == ".bicepparam")
    for name, declaration in declarations(root, "module").items():
        found += check_module(file, root, name, declaration)
    for declaration in declarations(root, "resource").values():
        obj = body(declaration)
        if obj is not None and not any(child.type == "existing" for child in declaration.children):
            found += schemas.check(literal(declaration), obj)
    if file.suffix == ".bicepparam":
        wanted = declarations(parse(file.with_suffix(".bicep")), "parameter")
        given = declarations(root, "variable")
        found += [(node, f"there is no parameter {name}") for name, node in given.items() if name not in wanted]
    return [f"{os.path.relpath(file, ROOT)}:{node.start_point[0] + 1}: {what}" for node, what in found]


def files() -> list[Path]:
    """The templates, the main one first."""
    return [INFRA / "main.bicep", INFRA / "main.bicepparam", *sorted((INFRA / "modules").glob("*.bicep"))]


def compilers() -> list[str]:
    """The command that compiles a Bicep file on this machine, as its words; none where there is no compiler."""
    if shutil.which("bicep"):
        return ["bicep", "build", "--stdout"]
    az = ["az", "bicep", "version"]
    if shutil.which("az") and subprocess.run(az, check=False, capture_output=True).returncode == 0:
        return ["az", "bicep", "build", "--stdout", "--file"]
    return []


def load() -> Schemas:
    """The schemas as they are kept in the project."""
    return Schemas(json.loads(SCHEMAS.read_text(encoding="utf-8")))


def refresh(azmcp: str) -> None:
    """Write the schemas anew, with no more types than the templates touch. Types that azmcp lacks stay as they are."""
    kept = json.loads(SCHEMAS.read_text(encoding="utf-8")) if SCHEMAS.exists() else {}
    kinds = {literal(d).partition("@")[0] for f in files() for d in declarations(parse(f), "resource").values()}
    full = {kind: _ask(azmcp, kind) or kept.get(kind) for kind in sorted(kinds)}
    schemas = Schemas({kind: schema for kind, schema in full.items() if schema})
    for file in files():
        check(file, schemas)
    for kind, schema in schemas.known.items():
        schema["types"] = {name: schema["types"][name] for name in sorted(schemas.seen.get(kind, ()))}
    lines = json.dumps(schemas.known, indent=1, sort_keys=True) + "\n"
    SCHEMAS.write_text(re.sub(r"\[\s+(\".*\"),\s+(\".*\")\s+\]", r"[\1, \2]", lines), encoding="utf-8")


def _ask(azmcp: str, kind: str) -> dict[str, Any] | None:
    answer = subprocess.run(
        [azmcp, "bicepschema", "get", "--resource-type", kind],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "AZURE_MCP_COLLECT_TELEMETRY": "false"},
    )
    try:
        entries = json.loads(answer.stdout)["results"]["BicepSchemaResult"]
    except (ValueError, KeyError):
        return None
    resource = next(entry for entry in entries if entry["$type"] == "Resource")
    root = resource["bodyType"]
    types = {entry["name"]: entry for entry in entries if entry["$type"] == "Object"}
    if isinstance(root, dict):
        types[root["name"]] = _flat(root)
        root = root["name"]
    return {
        "version": resource["name"].partition("@")[2],
        "root": root,
        "types": {
            name: {p["name"]: [str(p["type"]), p.get("flags", "")] for p in entry.get("properties", ())}
            for name, entry in types.items()
            if not entry.get("additionalProperties") and not entry.get("additionalPropertiesType")
        },
    }


def _flat(kind: dict[str, Any]) -> dict[str, Any]:
    """A type that depends on one of its properties, as a type that has the properties of all its forms."""
    given = kind.get("properties", kind.get("baseProperties", ()))
    properties: dict[str, dict[str, Any]] = {p["name"]: p for p in given}
    for form in kind.get("elements", ()):
        for entry in form["properties"]:
            known = properties.setdefault(entry["name"], dict(entry))
            if entry["type"] not in str(known["type"]).split(" | "):
                known["type"] = f"{known['type']} | {entry['type']}"
    return {**kind, "properties": list(properties.values())}


def main() -> int:
    """Check every template; 1 if anything was found."""
    arguments = argparse.ArgumentParser(description="Check the Bicep templates.")
    arguments.add_argument("--refresh", metavar="AZMCP", help="write bicep_schemas.json anew with this binary")
    options = arguments.parse_args()
    if options.refresh:
        refresh(options.refresh)
    schemas = load()
    findings = [finding for file in files() for finding in check(file, schemas)]
    print("\n".join(findings) or f"{len(files())} files: syntax, names, properties and module parameters are right.")
    if compiler := compilers():
        compiled = subprocess.run([*compiler, str(INFRA / "main.bicep")], check=False, stdout=subprocess.DEVNULL)
        return 1 if findings or compiled.returncode else 0
    print("Not compiled: neither bicep nor az bicep is here.")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
