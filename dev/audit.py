"""The dependency audit, `make audit`: what can be known offline, and what the advisory databases know.

That every Python package is pinned by hash is not asked here: pip installs nothing else (`--require-hashes`). Offline:
the npm lock file holds a hash and no address for each package, the license of each package is listed, and so is what
the templates ask of Azure in a version of more than two years ago. Online: pip-audit asks PyPI, npm asks its registry.
The exit code is 0 when nothing was found, 1 for a finding, and 2 when nothing was found but not everything could be
asked, since this machine is offline, its registry has no advisories, or it has no Bicep compiler.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from dev import bicep, licences

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements-dev.txt", "infra/requirements-package.txt", "dev/requirements-audit.txt")
AUDITOR = ROOT / ".local" / "audit"
"""The virtual environment of pip-audit."""
SECONDS = 300
"""How long one auditor may take."""
_EXACT = re.compile(r"\d[\w.!+-]*")
_COPYLEFT = re.compile(r"\bA?GPL|Affero|(?<!Lesser )General Public License", re.IGNORECASE)


@dataclass
class Report:
    """What was found, what could not be asked, and what is good to know."""

    findings: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def code(self) -> int:
        """The exit code."""
        return 1 if self.findings else 2 if self.unasked else 0

    def text(self) -> str:
        """The report as it is printed, with its verdict in the last line."""
        lines = [
            *self.notes,
            *(f"FINDING: {finding}" for finding in self.findings),
            *(f"NOT ASKED: {reason}" for reason in self.unasked),
        ]
        verdict = {
            0: "Nothing was found.",
            1: f"Findings: {len(self.findings)}.",
            2: "Nothing was found, but not everything was asked: run it again where the advisories can be reached.",
        }
        return "\n".join([*lines, verdict[self.code]])


def note_licenses(lock: str, report: Report) -> None:
    """List the licenses of the Python packages that a lock file names. What is not installed here is passed over."""
    licenses: dict[str, str] = {}
    for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE):
        try:
            licenses[name] = licences.license_of(metadata.metadata(name))
        except metadata.PackageNotFoundError:
            continue
    _note_licenses("Python", licenses, report)


def audit_npm(package: Mapping[str, Any], lock: Mapping[str, Any], report: Report) -> None:
    """Look at `package.json` and `package-lock.json`."""
    for kind in ("dependencies", "devDependencies", "optionalDependencies"):
        for name, version in package.get(kind, {}).items():
            if not _EXACT.fullmatch(version):
                report.findings.append(f"dev/package.json: {name} is not pinned to one version.")
    licenses = {}
    for path, entry in lock.get("packages", {}).items():
        if not path:
            continue
        name = path.rpartition("node_modules/")[2]
        if "resolved" in entry:
            report.findings.append(f"dev/package-lock.json: {name} has an address to download from.")
        if not str(entry.get("integrity", "")).startswith("sha512-"):
            report.findings.append(f"dev/package-lock.json: {name} has no SHA-512 hash.")
        licenses[name] = str(entry.get("license", ""))
    _note_licenses("npm, for development only", licenses, report)


def _note_licenses(what: str, licenses: Mapping[str, str], report: Report) -> None:
    by_license: dict[str, list[str]] = {}
    for name, licence in licenses.items():
        by_license.setdefault(licence or "not declared", []).append(name)
    report.notes.append(f"Licenses, {what}:")
    for licence, names in sorted(by_license.items(), key=lambda item: (-len(item[1]), item[0])):
        shown = ", ".join(names) if len(names) <= 40 else f"{', '.join(names[:3])} and {len(names) - 3} more"
        report.notes.append(f"  {licence}: {shown}")
        if _COPYLEFT.search(licence) and not re.search("LGPL|Lesser", licence):
            report.findings.append(f"{', '.join(names)}: the license {licence} would bind this project's users.")


def read_pip_audit(output: str, report: Report) -> None:
    """Take in what pip-audit says in JSON. A package it knows nothing of was not audited, whatever its exit code."""
    try:
        dependencies = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        report.unasked.append("PyPI's advisories, for all Python packages: they could not be reached.")
        return
    skipped = [each["name"] for each in dependencies if "skip_reason" in each]
    for each in dependencies:
        for advisory in each.get("vulns", ()):
            fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
            report.findings.append(f"{each['name']} {each['version']}: {advisory['id']}, fixed in {fixed}.")
    report.notes.append(f"PyPI's advisories: {len(dependencies) - len(skipped)} packages audited.")
    if skipped:
        some = f"{', '.join(skipped[:3])}{', …' if len(skipped) > 3 else ''}"
        report.unasked.append(
            f"PyPI's advisories, for {len(skipped)} packages ({some}): there was no answer about them."
        )


def read_npm_audit(output: str, report: Report) -> None:
    """Take in what `npm audit --json` says."""
    try:
        answer = json.loads(output)
        found, total = answer["vulnerabilities"], answer["metadata"]["dependencies"]["total"]
    except (ValueError, KeyError, TypeError):
        report.unasked.append("npm's advisories, for all packages of dev/package-lock.json: they could not be reached.")
        return
    report.notes.append(f"npm's advisories: {total} packages audited.")
    for name, entry in found.items():
        titles = [cause["title"] for cause in entry["via"] if isinstance(cause, dict)]
        if titles:
            report.findings.append(f"{name} (npm, {entry['severity']}): {'; '.join(titles)}.")


def _ask_bicep(report: Report) -> None:
    """Which interfaces of Azure the templates use in a version of more than two years ago: it works, and grows old."""
    if bicep.compiler() is None:
        report.unasked.append("The versions of Azure's interfaces: the Bicep compiler is not here.")
        return
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "bicepconfig.json"
        rule = {"use-recent-api-versions": {"level": "warning"}}
        config.write_text(json.dumps({"analyzers": {"core": {"enabled": True, "rules": rule}}}), encoding="utf-8")
        said = bicep.run("lint", bicep.INFRA / "main.bicep", "--config", config).stderr
    read_bicep(said, report)


def read_bicep(said: str, report: Report) -> None:
    """Take in what the compiler says of old versions."""
    old = re.findall(
        r"use-recent-api-versions: .*? for '([\w./]+)'\. '([\w-]+)' .*? Acceptable versions: ([^\[]+)", said
    )
    found = sorted({f"{kind} {version}, now {newer.split(', ')[-1].strip()}" for kind, version, newer in old})
    report.notes.append(f"Azure's interfaces older than two years: {'; '.join(found) or 'none'}.")


def _ask_pip(report: Report) -> None:
    python = AUDITOR / "bin" / "python"
    pinned = ROOT / LOCKS[-1]
    mark = AUDITOR / "installed.txt"
    if not (mark.exists() and mark.read_bytes() == pinned.read_bytes()):
        print(f"Installing pip-audit into {AUDITOR.relative_to(ROOT)}", flush=True)
        venv.create(AUDITOR, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*command, "--require-hashes", "-r", str(pinned)], check=False, timeout=SECONDS).returncode:
            report.unasked.append("PyPI's advisories: pip-audit could not be installed; pip's reason stands above.")
            return
        mark.write_bytes(pinned.read_bytes())
    command = [str(python), "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner=off", "--format=json"]
    for name in LOCKS:
        command += ["-r", str(ROOT / name)]
    read_pip_audit(_output(command), report)


def _ask_npm(report: Report) -> None:
    npm = shutil.which("npm")
    if npm is None:
        report.unasked.append("npm's advisories: npm was not found. It comes with Node.js.")
        return
    read_npm_audit(_output([npm, "audit", "--json", "--package-lock-only", "--prefix", str(ROOT / "dev")]), report)


def _output(command: list[str]) -> str:
    """What the command prints. Both auditors say what is wrong in it, whatever their exit code."""
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def offline(root: Path = ROOT) -> Report:
    """The part that needs no network."""
    report = Report()
    note_licenses((root / LOCKS[0]).read_text(encoding="utf-8"), report)
    package, lock = ((root / "dev" / name).read_text("utf-8") for name in ("package.json", "package-lock.json"))
    audit_npm(json.loads(package), json.loads(lock), report)
    report.findings += licences.findings(licences.PAGE.read_text("utf-8"))
    return report


def main() -> int:
    """Audit, print the report and return the exit code."""
    report = offline()
    _ask_bicep(report)
    _ask_pip(report)
    _ask_npm(report)
    print(report.text())
    return report.code


if __name__ == "__main__":
    sys.exit(main())
