"""What people read, as one text: every sentence of errors, remedies, findings, help and alerts, taken from the code.

`GOLDEN=write` in the environment writes tests/golden/words.txt anew, to be read aloud and committed.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from leads.__main__ import parser

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden" / "words.txt"
SPEAK = re.compile(
    r"(?:.*\.)?(?:_?problem|Problem|Setting|Transient|Throttled|Paced|Rejected|Misconfigured|Unanswered|_Unloadable|Finding|Reason|Alert|Skip"
    r"|trouble|WrongUse|NotALead|NotFound|TooLarge|fail|_problem|_failed|confirmed|line|_Help)"
)
"""Calls whose texts reach a person."""
REFUSED = {
    r"(?<!here )\bis no\b(?! longer\b)": "say what it must be",
    r"(?<!here )\bare no\b(?! longer\b)": "say what they must be",
    r"\bis none of\b": "say: must be one of",
    r"\bhas not the\b": "say: does not have the",
    r"\bmend(?:s|ed|ing)?\b": "say: correct, repair",
    r"\bnothing that proves\b": "say what is missing",
    r"\btime is over\b": "say: has expired",
    r"\bWas an? \w+": "say: If",
    r"\bof the name\b": "say: named",
    r"\bwants (?:fewer|less)\b": "say: asks for",
    r"\btold\b": "say: said, named, shown, or who was informed",
    r"\blest\b": "say: so that … not",
    r"\bnone of (?:a|it|ours|that|these)\b": "say: is not one of",
    r"\bis tried again\b": "say: the app tries again",
    r"\bof no use\b": "say: useless, does not help",
    r"\bunforeseen\b": "say: unexpected",
    r"\bhears? of trouble\b": "say: gets alerts",
    r"\bbrings nothing back\b": "say: does not bring back",
    r"\bin another way\b": "say which way",
    r"\bis (?:everybody|nobody)'s\b": "say: is shared; belongs to no one",
    r"\b(?:has|have) come to (?:its|their) end\b": "say: is finished",
    r"\bamounts? to\b": "say: means",
    r"\b(?:has|have) to be(?:gin)?\b": "say: must",
    r"\bout of order\b": "say: is not working",
    r"\bif it (?:stays|passes|lasts)\b": "say: if it keeps failing",
    r"\bwell again\b": "say: works again",
    r"(?:\bneeds?|\{…\}) a person\b(?! deleted)": "say: needs attention",
    r"\bhangs? on\b": "say: depends on",
    r"\bneed be\b": "say: if necessary",
    r"\bmeanwhile\b": "say: until then, in the meantime",
    r"\b(?:is|are) used until then\b": "say: until then the app uses",
    r"\bknown here\b": "say who does not know it: the app, the command",
    r"\bsmall letters\b": "say: lowercase letters",
    r"\ball the same\b": "say: still",
}
NAME = re.compile(r"\b[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b")


def text_of(node: ast.expr) -> str:
    """A text as it stands in the code; what is filled in stands in braces."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "{…}" for part in node.values)
        return "".join(str(part) for part in parts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    if isinstance(node, ast.IfExp):
        return " / ".join(filter(None, (text_of(node.body), text_of(node.orelse))))
    return ""


def sentences(path: Path) -> Iterator[str]:
    """Every text of a module that reaches a person, in the order of the file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and SPEAK.fullmatch(ast.unparse(node.func)):
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            yield from filter(_is_sentence, map(text_of, given))
            if len(given) > 1 and ast.unparse(node.func).endswith(("fail", "_problem")):
                yield from filter(_is_title, [text_of(given[1])])
        elif isinstance(node, ast.Tuple):
            yield from filter(_is_sentence, map(text_of, node.elts))
        elif isinstance(node, ast.Dict):
            yield from filter(_is_sentence, map(text_of, filter(None, node.values)))
        elif isinstance(node, ast.Assign | ast.Return) and isinstance(node.value, ast.Constant | ast.JoinedStr):
            yield from filter(_is_sentence, [text_of(node.value)])


def _is_sentence(text: str) -> bool:
    return " " in text and re.search(r"[A-Z{`].*[.?)]\s*$", text.strip(), re.DOTALL) is not None


def _is_title(text: str) -> bool:
    return re.fullmatch(r"[A-Z].* .*[^.?)]", text.strip()) is not None


@cache
def written() -> str:
    """All of it, by module."""
    parts = []
    for path in sorted((ROOT / "leads").rglob("*.py")):
        found = list(dict.fromkeys(" ".join(text.split()) for text in sentences(path)))
        if found:
            parts.append("\n".join([f"# {path.relative_to(ROOT)}", *found]))
    actions = [action for action in parser()._actions if hasattr(action, "choices") and action.choices]
    helps = []
    for action in actions:
        helps += [f"{pseudo.dest}: {pseudo.help}" for pseudo in getattr(action, "_choices_actions", ())]
        for name, sub in dict(action.choices or {}).items():
            helps += [f"{name} {'/'.join(a.option_strings) or a.dest}: {a.help}" for a in sub._actions if a.help]
    parts.append("\n".join(["# python -m leads --help", *dict.fromkeys(helps)]))
    return "\n\n".join(parts) + "\n"


def test_what_people_read_is_what_was_read_aloud() -> None:
    text = written()
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(text, "utf-8")
    assert text == GOLDEN.read_text("utf-8"), "GOLDEN=write writes it anew; read what changed aloud"


@pytest.mark.parametrize("turn", REFUSED)
def test_no_sentence_sounds_translated(turn: str) -> None:
    found = [line for line in written().splitlines() if re.search(turn, line, re.IGNORECASE)]
    assert found == [], REFUSED[turn]


def test_every_remedy_says_what_to_do_on_the_page_before_it_names_a_command() -> None:
    """Whoever has no terminal reads it too. What only the command itself shows may name commands."""
    parts = re.split(r"(?m)^# ", written())
    lines = [
        line for part in parts if not part.startswith(("leads/operate/cli/", "python -m")) for line in part.splitlines()
    ]
    for line in lines:
        before, command, _ = line.partition("python -m leads")
        if command and before.strip():
            assert re.search(r"page\b|Partner Center", before), line


def test_no_sentence_says_a_setting_twice() -> None:
    for line in written().splitlines():
        names = NAME.findall(line)
        for name in set(names):
            assert not re.match(rf"{name}: .*{name}: ", line), line
