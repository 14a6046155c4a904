"""`make soak`: an hour of trouble in parts, each kept with its whole output, so that it can take more than one sitting.

A part that has passed is not run again until all have; `make soak AGAIN=1` begins anew. What a part printed, and the
commit that it ran on, lie in `.local/soak/`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parents[1]
KEPT = HERE / ".local" / "soak"
PYTEST = ("-m", "pytest", "-s", "-o", "addopts=--strict-markers --import-mode=importlib")
LOAD = ("-m", "tests.integration.soak", "--seconds", "0", "--rows", "0", "--rows-in-memory", "0")


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of the hour: what Python runs, and with which settings."""

    name: str
    arguments: tuple[str, ...]
    environ: dict[str, str] = field(default_factory=dict)

    def tested(self) -> Path:
        """Where a part that passed leaves its commit and its seconds."""
        return KEPT / f"{self.name}.passed"

    def output(self) -> Path:
        """Where everything lies that the part printed, also when it failed."""
        return KEPT / f"{self.name}.txt"


PARTS = (
    Part("seeds", (*PYTEST, "-n", "2", "tests/faults/test_simulation.py", "--seeds", "5000")),
    Part("crashes", (*PYTEST, "-n", "2", "tests/faults/test_crash_points.py", "--one-of", "1")),
    Part("kills-host", (*PYTEST, "tests/integration/test_kill.py", "-k", "[host]"), {"KILLS": "100"}),
    Part("kills-storage", (*PYTEST, "tests/integration/test_kill.py", "-k", "[storage]"), {"KILLS": "100"}),
    Part("stops", (*PYTEST, "tests/integration/test_storage_faults.py"), {"STOPS": "10"}),
    Part("bodies", (*PYTEST, "tests/integration/test_fuzz_http.py"), {"FUZZ": "3000"}),
    Part("flood", (*LOAD, "--seconds", "60")),
    Part("backlog-in-memory", (*LOAD, "--rows-in-memory", "50000")),
    Part("backlog", (*LOAD, "--rows", "2000")),
)


def run(part: Part) -> bool:
    """Run one part and keep what it prints; say its figures and whether it passed."""
    print(f"{part.name}: running", flush=True)
    began = time.monotonic()
    with part.output().open("w") as output:
        # As a process of its own: one that is killed takes none of the others with it.
        ended = subprocess.run(
            [sys.executable, *part.arguments],
            cwd=HERE,
            env=os.environ | part.environ,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    seconds = round(time.monotonic() - began)
    for line in part.output().read_text(errors="replace").splitlines():
        if '{"figure": ' in line:
            print(f"  {line[line.index('{') :]}")
    if ended.returncode:
        print(f"{part.name}: failed after {seconds} s. Everything that it printed is in {part.output()}", flush=True)
        return False
    part.tested().write_text(f"{commit()} after {seconds} s\n")
    print(f"{part.name}: passed after {seconds} s", flush=True)
    return True


def commit() -> str:
    """What is checked out, with `+` where files were changed since."""
    asked = ["git", "describe", "--always", "--dirty=+"]
    return subprocess.run(asked, cwd=HERE, capture_output=True, text=True, check=False).stdout.strip() or "no commit"


def main() -> None:
    """Run what has not passed yet."""
    KEPT.mkdir(parents=True, exist_ok=True)
    if os.environ.get("AGAIN") or all(part.tested().exists() for part in PARTS):
        for part in PARTS:
            part.tested().unlink(missing_ok=True)
    failed = []
    for part in PARTS:
        if part.tested().exists():
            print(f"{part.name}: passed already, on {part.tested().read_text().strip()}")
        elif not run(part):
            failed.append(part.name)
    if failed:
        raise SystemExit(f"Failed: {', '.join(failed)}. Run it again, and only these run.")
    print("All parts have passed.")


if __name__ == "__main__":
    main()
