"""Check every documented `az` command with azure-cli's own parser: nothing is executed, nobody is signed in.

Run it with the Python of a virtual environment that has azure-cli 2.91.0: `make check-docs` makes one. Commands are
taken from the code blocks of README and docs, from infra/deploy.sh and from `leads.operate.cli.azure`; `$NAMES` and
`<placeholders>` stand for any word.
The parser is reached by azure-cli's internals, hence the fixed version.
"""

from __future__ import annotations

import importlib
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from leads.operate.cli import azure  # noqa: E402 - azure-cli's own Python runs this file, and knows no package of ours

SCRIPTS = ("infra/deploy.sh",)
_OPERATOR = re.compile(r"[();|&<>]+")
_BEFORE = {"run", "if", "!", "then", "do", "exec"}
"""Words after which a command begins."""


def documents() -> list[Path]:
    """Every file that tells people which `az` commands to run."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "infra").glob("*.md"))]
    return [page for page in pages if page.exists()] + [ROOT / script for script in SCRIPTS]


def code(file: Path) -> str:
    """The lines of a file that are commands: the code blocks of a page, the whole of a script."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        text = "\n".join(re.findall(r"^ *```[^\n]*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE))
    return re.sub(r"\\\n\s*", " ", text)


def commands(text: str) -> Iterator[list[str]]:
    """The words of every `az` command. Raises ValueError for a line whose quotes do not match."""
    for line in text.splitlines():
        if re.search(r"\baz\s+[a-z]", line) and not line.lstrip().startswith("#"):
            yield from _split(line)


def _split(line: str) -> Iterator[list[str]]:
    line = re.sub(r"<[\w -]+>|\$\w+|\$\{\w+\}", "PLACEHOLDER", line)
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();|&<>")
    lexer.whitespace_split = True
    words = list(lexer)
    for start, word in enumerate(words):
        before = words[start - 1] if start else ";"
        if "$(az " in word:
            yield from _split(word[word.index("$(") + 2 :].rpartition(")")[0])
        if word == "az" and (before in _BEFORE or _OPERATOR.fullmatch(before) or re.match(r"\w+=", before)):
            rest = words[start + 1 :]
            yield rest[: next((i for i, other in enumerate(rest) if _OPERATOR.fullmatch(other)), len(rest))]


def parse(cli: Any, words: list[str]) -> None:
    """Let azure-cli parse a command. Raises SystemExit where it would not take it."""
    invocation = cli.invocation_cls(
        cli_ctx=cli, parser_cls=cli.parser_cls, commands_loader_cls=cli.commands_loader_cls, help_cls=cli.help_cls
    )
    cli.invocation = invocation
    loader = invocation.commands_loader
    loader.load_command_table(words)
    name = invocation._rudimentary_get_command(words)  # noqa: SLF001 - there is no public way
    invocation.data["command_string"] = name
    loader.load_arguments(name)
    invocation.parser.cli_ctx = cli
    invocation.parser.load_command_table(loader)
    invocation.parser.parse_args(words)


def main() -> int:
    """Check every command; 1 if one is not valid."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"AZURE_CONFIG_DIR": folder, "AZURE_CORE_COLLECT_TELEMETRY": "0"}
        cli = importlib.import_module("azure.cli.core").get_default_cli()
        checked = wrong = 0
        every = [(str(file.relative_to(ROOT)), words) for file in documents() for words in commands(code(file))]
        every += [(azure.__name__, [*words, "--output", "tsv", "--only-show-errors"]) for words in azure.COMMANDS]
        for place, words in every:
            checked += 1
            try:
                parse(cli, words)
            except SystemExit:
                wrong += 1
                print(f"{place}: not valid: az {shlex.join(words)}", file=sys.stderr)
        print(f"{checked} az commands, {wrong} not valid")
        return 1 if wrong or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
