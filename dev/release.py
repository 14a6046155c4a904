"""Make the package as a release has it: `make package` writes dist/<version>/released-package.zip and its SHA-256.

The name is the one that Microsoft's page about `onedeploy` asks for. Any Python 3.9 with pip runs this; the bytecode in
the package is made by the Python that runs it in Azure, which must be at hand.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "released-package.zip"
SOURCE = "leads/__init__.py"


def version(source: str) -> str:
    """The version that the app tells of itself. Raises ValueError where there is none."""
    found = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if not found:
        raise ValueError(f"{SOURCE} names no version.")
    return found[1]


def main() -> int:
    """Make it. The exit code is that of infra/package.py, which says why there is none."""
    runtime = json.loads((ROOT / "infra" / "runtime.json").read_text(encoding="utf-8"))["python"]
    fits = "{}.{}".format(*sys.version_info) == runtime
    python = sys.executable if fits else shutil.which(f"python{runtime}") or sys.executable
    outside = version((ROOT / SOURCE).read_text(encoding="utf-8"))
    target = ROOT / "dist" / outside / NAME
    command = [sys.executable, str(ROOT / "infra" / "package.py"), "--python", python, str(target)]
    done = subprocess.run(command, check=False)
    if done.returncode:
        return done.returncode
    with zipfile.ZipFile(target) as archive:
        inside = version(archive.read(SOURCE).decode())
    if inside != outside:
        target.unlink()
        sys.exit(f"The version in the package is {inside}, and not {outside}. Run it again while nothing changes.")
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    target.with_name(f"{NAME}.sha256").write_text(f"{digest}  {NAME}\n", encoding="ascii")
    print(f"{target.relative_to(ROOT)}\n{digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
