"""What is asked of the Azure CLI, by a program of that name in the path."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from leads.operate.cli import azure as azure_cli


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an `az` that notes its words in `asked` and answers from `answers`, or fails."""
    program = tmp_path / "az"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, pathlib, sys\n"
        f"home = pathlib.Path({str(tmp_path)!r})\n"
        "words = ' '.join(sys.argv[1:])\n"
        "(home / 'asked').open('a').write(words + '\\n')\n"
        "for begin, answer in json.loads((home / 'answers').read_text()).items():\n"
        "    if words.startswith(begin):\n"
        "        print(answer); sys.exit(0)\n"
        "print('secret', file=sys.stderr); sys.exit(3)\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def answers(az: Path, **by_words: str) -> None:
    (az / "answers").write_text(json.dumps({key.replace("_", " "): value for key, value in by_words.items()}))


def test_the_key_of_an_account_and_where_its_tables_are(az: Path) -> None:
    answers(az, storage_account_keys="a2V5", storage_account_show="https://leadsinbox.table.core.windows.net/")
    assert azure_cli.storage("leadsinbox") == ("a2V5", "https://leadsinbox.table.core.windows.net/")
    assert (az / "asked").read_text().splitlines()[0] == (
        "storage account keys list --account-name leadsinbox --query [0].value --output tsv --only-show-errors"
    )


def test_the_key_of_receive_lead_is_that_of_the_app_with_this_host(az: Path) -> None:
    answers(az, functionapp_list="contoso-leads\ncontoso-group", functionapp_function="k3y")
    assert azure_cli.function_key("leads.contoso.com") == "k3y"
    first, second = (az / "asked").read_text().splitlines()
    assert "hostNames, 'leads.contoso.com'" in first
    assert "--name contoso-leads --resource-group contoso-group --function-name receive_lead" in second


def test_a_cli_that_fails_or_knows_nothing_is_no_answer(az: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(az)
    assert azure_cli.storage("leadsinbox") == ("", "")
    assert azure_cli.function_key("leads.contoso.com") == ""
    answers(az, functionapp_list="")
    assert azure_cli.function_key("leads.contoso.com") == ""
    monkeypatch.setenv("PATH", "/nowhere")
    assert azure_cli.storage("leadsinbox") == ("", "")


def test_a_name_that_could_be_more_than_a_name_is_not_asked_about(az: Path) -> None:
    answers(az, storage="a2V5", functionapp="x y")
    assert azure_cli.storage("--help") == ("", "")
    assert azure_cli.function_key("x') || contains(name, 'y") == ""
    assert not (az / "asked").exists()
