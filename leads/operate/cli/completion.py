"""Completion for shells: a text that defines the word `leads`, which is this command, and what may follow it.

`python` is what a shell sees of `python -m leads`, and completing that is not ours. So the text brings a function of
its own, and a completion that is made of the arguments as they are.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from leads.operate.cli.look import FINE, Call
from leads.operate.cli.screen import Screen

SHELLS = ("bash", "zsh", "fish")
ROOT = Path(__file__).resolve().parents[3]
"""The folder in which `leads` lies."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a command: its names, what may follow it, and what it is for."""

    names: tuple[str, ...]
    takes_value: bool
    values: tuple[str, ...]
    summary: str


@dataclass(frozen=True, slots=True)
class Command:
    """One command, and what may follow it."""

    name: str
    summary: str
    options: tuple[Option, ...]
    values: tuple[str, ...]
    """What its first argument must be one of."""


def completion(call: Call, options: Namespace, screen: Screen) -> int:
    """Write the text for a shell."""
    del call
    text = {"bash": bash, "zsh": zsh, "fish": fish}[options.shell](tuple(commands(options.parser)))
    screen.answer({"shell": options.shell, "text": text})
    screen.line(text)
    return FINE


def commands(root: ArgumentParser) -> Iterator[Command]:
    """The commands as argparse knows them."""
    (choices,) = [action for action in root._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
    summaries = {each.dest: each.help or "" for each in choices._choices_actions}  # noqa: SLF001
    for name, made in choices.choices.items():
        actions = [action for action in made._actions if action.help != argparse.SUPPRESS]  # noqa: SLF001
        first = next((action for action in actions if not action.option_strings and action.choices), None)
        yield Command(
            name,
            summaries[name],
            tuple(_option(action) for action in actions if action.option_strings),
            tuple(map(str, first.choices)) if first and first.choices else (),
        )


def _option(action: argparse.Action) -> Option:
    values = tuple(map(str, action.choices or ()))
    return Option(tuple(action.option_strings), action.nargs != 0, values, action.help or "")


def _run() -> str:
    """The command itself, whatever folder one is in."""
    return shlex.join(["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "leads"])


def bash(known: tuple[Command, ...]) -> str:
    """The text for bash."""
    cases = []
    for command in known:
        words = [name for option in command.options for name in option.names] + list(command.values)
        values = [
            f"{'|'.join(option.names)}) words={shlex.quote(' '.join(option.values))} ;;"
            for option in command.options
            if option.takes_value
        ]
        inner = "\n        ".join([f"words={shlex.quote(' '.join(words))}", 'case "$previous" in', *values, "esac"])
        cases.append(f"      {command.name})\n        {inner}\n        ;;")
    names = shlex.quote(" ".join(command.name for command in known))
    every = "\n".join(cases)
    return f"""leads() {{ {_run()} "$@"; }}
_leads() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    words={names}
  else
    case "${{COMP_WORDS[1]}}" in
{every}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _leads leads"""


def zsh(known: tuple[Command, ...]) -> str:
    """The text for zsh."""

    def quoted(text: str) -> str:
        return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")

    def spec(option: Option) -> Iterator[str]:
        for name in option.names:
            after = f":value:({' '.join(option.values)})" if option.values else ":value:_files"
            yield shlex.quote(f"{name}[{quoted(option.summary)}]{after if option.takes_value else ''}")

    cases = []
    for command in known:
        rest = f"*:value:({' '.join(command.values)})" if command.values else "*:value:_files"
        specs = [each for option in command.options for each in spec(option)]
        cases.append(f"    {command.name}) _arguments {' '.join([*specs, shlex.quote(rest)])} ;;")
    names = " ".join(shlex.quote(f"{command.name}:{quoted(command.summary)}") for command in known)
    every = "\n".join(cases)
    return f"""leads() {{ {_run()} "$@"; }}
_leads() {{
  local -a known=({names})
  if (( CURRENT == 2 )); then
    _describe command known
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
{every}
  esac
}}
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit; }}
compdef _leads leads"""


def fish(known: tuple[Command, ...]) -> str:
    """The text for fish."""

    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    begin = "complete -c leads"
    run = " ".join(map(quoted, ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "leads"]))
    lines = ["function leads", f"  {run} $argv", "end", f"{begin} -e"]
    for command in known:
        lines.append(f"{begin} -f -n __fish_use_subcommand -a {command.name} -d {quoted(command.summary)}")
        when = quoted(f"__fish_seen_subcommand_from {command.name}")
        if command.values:
            lines.append(f"{begin} -f -n {when} -a {quoted(' '.join(command.values))}")
        for option in command.options:
            names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            after = (
                f" -x -a {quoted(' '.join(option.values))}" if option.values else " -r" if option.takes_value else ""
            )
            lines.append(f"{begin} -n {when} {names}{after} -d {quoted(option.summary)}")
    return "\n".join(lines)
