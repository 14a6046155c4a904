"""Microsoft's Bicep compiler, where this machine has it: `bicep` on the PATH, or the one that `az bicep install` made.

It needs neither a network nor an account. What it says of the templates is asked by tests/infra and by dev.audit.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

INFRA = Path(__file__).resolve().parent.parent / "infra"


@cache
def compiler() -> str | None:
    """The compiler as a command, or None where there is none."""
    return shutil.which("bicep") or shutil.which("bicep", path=str(Path.home() / ".azure" / "bin"))


def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the compiler; findings are on standard error. Raises FileNotFoundError where there is none."""
    found = compiler()
    if found is None:
        raise FileNotFoundError("The Bicep compiler is not here: https://aka.ms/bicep-install")
    return subprocess.run(
        [found, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd, timeout=120
    )
