"""The page on Dynamics names every setting and privilege, and says what the app says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from leads.destinations import _dynamics_check, _dynamics_columns, _dynamics_errors, _dynamics_settings
from leads.entra_errors import _HELP

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/destinations/dynamics.md").read_text(encoding="utf-8")
CODE = Path(_dynamics_settings.__file__).read_text(encoding="utf-8")


def test_every_setting_is_named() -> None:
    assert set(re.findall(r"DYNAMICS_[A-Z_]+[A-Z]", CODE)) - set(re.findall(r"DYNAMICS_[A-Z_]+[A-Z]", PAGE)) == set()


def test_every_privilege_is_named_and_given() -> None:
    script = PAGE.split("<!-- set-up -->")[1].split("```")[1]
    for privilege in _dynamics_check.NEEDED:
        assert f"`{privilege}`" in PAGE
        assert f"'{privilege}'" in script
    for privilege in _dynamics_check.NEEDED_FOR_TASKS + _dynamics_check.NEEDED_FOR_OWNER:
        assert f"`{privilege}`" in PAGE


def test_there_are_at_most_twelve_commands_and_they_are_counted() -> None:
    script = PAGE.split("<!-- set-up -->")[1].split("```")[1].removeprefix("bash")
    numbers = re.findall(r"^# (\d+)\.", script, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 12)]
    lines = re.sub(r"\\\n", "", script).splitlines()
    assert len([line for line in lines if line and not line.startswith("#")]) == len(numbers)
    assert "Eleven commands" in PAGE


def test_what_is_sent_at_the_same_time_is_below_the_limit() -> None:
    queues = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))["extensions"]["queues"]
    found = re.search(
        r"^param maximumInstances int = (\d+)$", (ROOT / "infra/main.bicep").read_text("utf-8"), re.MULTILINE
    )
    assert found
    assert f"at most {found[1]} instances" in PAGE
    assert (queues["batchSize"] + queues["newBatchThreshold"]) * int(found[1]) < 52


def test_the_eight_errors_are_told_as_the_app_tells_them() -> None:
    rows = dict(re.findall(r"^\| ([1-8]) \| [^|]+ \| ([^|]+) \|", PAGE, re.MULTILINE))
    assert len(rows) == 8
    assert _dynamics_errors._NO_USER in rows["1"]
    assert "The application user may not set the column: leadsourcecode." in rows["2"]
    assert "The application user may not set the column" in Path(_dynamics_columns.__file__).read_text(encoding="utf-8")
    for number, code in (("3", 90002), ("5", 700016), ("7", 7000215)):
        assert f"{_HELP[code][0]} (AADSTS{code})" in rows[number]
    assert _dynamics_errors._MISCONFIGURED["0x80042f09"][0] in rows["4"]
    assert rows["6"].strip() in re.sub(r'"\s*\n\s*"', "", CODE)
    assert "does not answer like a Dynamics environment." in rows["8"]
