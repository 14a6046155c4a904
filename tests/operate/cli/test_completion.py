"""Completion, by the shells themselves where they are installed; bash is everywhere."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from leads import __main__ as cli
from leads import __version__
from leads.operate.cli import completion


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The text for each shell in a file."""
    folder = tmp_path_factory.mktemp("completion")
    known = tuple(completion.commands(cli.parser()))
    made = {"bash": completion.bash, "zsh": completion.zsh, "fish": completion.fish}
    for name, make in made.items():
        (folder / name).write_text(make(known), "utf-8")
    return {name: folder / name for name in made}


def run(shell: str, *arguments: str) -> str:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    return subprocess.run([shell, *arguments], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_the_text_is_written_and_its_shell_can_read_it(
    shell: str, files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["completion", shell]) == 0
    assert capsys.readouterr().out.strip() == files[shell].read_text("utf-8").strip()
    run(shell, "-n", str(files[shell]))


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_every_command_and_option_is_completed(shell: str, files: dict[str, Path]) -> None:
    text = files[shell].read_text("utf-8")
    for command in completion.commands(cli.parser()):
        assert command.name in text
        for option in command.options:
            assert option.names[-1].lstrip("-") in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["leads", "li"], "list"),
        (["leads", "list", "--qu"], "--quarantined"),
        (["leads", "send-test", "--step", "c"], "contact-me create"),
        (["leads", "completion", "b"], "bash"),
    ],
)
def test_bash_and_fish_complete(words: list[str], expected: str, files: dict[str, Path]) -> None:
    given = " ".join(f"'{word}'" for word in words)
    code = (
        f'source {files["bash"]}; COMP_WORDS=({given}); COMP_CWORD={len(words) - 1}; _leads; echo "${{COMPREPLY[@]}}"'
    )
    assert run("bash", "-c", code).split() == expected.split()
    found = run("fish", "-N", "-c", f"source {files['fish']}; complete -C {' '.join(words)!r}")
    assert [line.split("\t")[0] for line in found.splitlines()] == expected.split()


def test_zsh_knows_the_word(files: dict[str, Path]) -> None:
    code = f"autoload -Uz compinit; compinit -u -D; source {files['zsh']}; print $_comps[leads]; whence -w leads"
    assert run("zsh", "-f", "-c", code).splitlines() == ["_leads", "leads: function"]


def test_the_word_runs_the_command_from_any_folder(files: dict[str, Path], tmp_path: Path) -> None:
    assert run("bash", "-c", f"cd {tmp_path}; source {files['bash']}; leads --version").strip() == __version__
