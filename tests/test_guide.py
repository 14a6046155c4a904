"""The exercise of docs/adding-a-destination.md works as it is written: its test fails first, then passes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONFTEST = """
import pathlib
import leads.destinations
leads.destinations.__path__.append(str(pathlib.Path(__file__).parent / "written"))
"""


def run(folder: Path) -> str:
    where = ["-c", "/dev/null", "--rootdir", str(folder), str(folder / "test_line.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *where]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=120, check=False).stdout


def test_the_exercise_of_the_guide_works_as_it_is_written(tmp_path: Path) -> None:
    guide = (ROOT / "docs/adding-a-destination.md").read_text("utf-8")
    exercise = guide.partition("## The exercise")[2].partition("\n## ")[0]
    test, module = re.findall(r"```python\n(.*?)```", exercise, re.DOTALL)
    (tmp_path / "conftest.py").write_text(CONFTEST, "utf-8")
    (tmp_path / "test_line.py").write_text(test, "utf-8")
    assert "cannot import name 'line'" in run(tmp_path)
    (tmp_path / "written").mkdir()
    (tmp_path / "written/line.py").write_text(module, "utf-8")
    assert "2 passed" in run(tmp_path)
