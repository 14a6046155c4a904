"""Which words dev/check_az.py takes for commands. That they are valid is `make check-docs`: azure-cli is large."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from dev import check_az


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("az group create --name x", ["group create --name x"]),
        ('outputs=$(run az group show --name "$group" | sort)', ["group show --name PLACEHOLDER"]),
        ("if az account show; then az login; fi", ["account show", "login"]),
        ("az a b && az c d > file", ["a b", "c d"]),
        ('key="$(az functionapp keys list)"', ["functionapp keys list"]),
        ("az x --name <your-app> --id ${id}", ["x --name PLACEHOLDER --id PLACEHOLDER"]),
        ("az x --query \"[?name=='y'].z\"", ["x --query [?name=='y'].z"]),
        ("# az no command", []),
        ("for tool in az curl python3; do", []),
        ("azd up", []),
    ],
)
def test_commands_are_found(line: str, found: list[str]) -> None:
    assert [" ".join(words) for words in check_az.commands(line)] == found


def test_only_code_blocks_of_a_page_count_and_lines_are_joined(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("az in prose\n\n```bash\naz one \\\n  --two\n```\n\n1. Item\n\n   ```bash\n   az three\n   ```\n")
    assert list(check_az.commands(check_az.code(page))) == [["one", "--two"], ["three"]]


def test_the_pages_and_the_script_have_commands() -> None:
    names = {file.name for file in check_az.documents() if list(check_az.commands(check_az.code(file)))}
    assert {"deploy.md", "upgrade.md", "which-way-in.md", "deploy.sh"} <= names


def test_azure_cli_takes_them_where_it_is_installed() -> None:
    python = check_az.ROOT / ".local" / "azure-cli" / "bin" / "python"
    if not python.exists():
        pytest.skip("azure-cli is not here: make check-docs installs it and parses every documented command")
    done = subprocess.run([python, check_az.__file__], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_scripts_are_valid_for_the_shell() -> None:
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here")
    for script in check_az.SCRIPTS:
        subprocess.run(["bash", "-n", str(check_az.ROOT / script)], check=True)
