"""The dependency audit: what it calls a finding, and that it never says «nothing» when nobody could be asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dev import audit
from dev.audit import Report


def test_this_project_has_no_offline_finding() -> None:
    report = audit.offline()
    assert report.findings == []
    assert report.code == 0
    assert any("azure-core" in note for note in report.notes)


def test_an_address_a_missing_hash_and_a_range_in_the_npm_files_are_findings() -> None:
    report = Report()
    lock = {
        "packages": {
            "": {"name": "dev"},
            "node_modules/a": {"integrity": "sha512-x", "license": "MIT", "resolved": "https://example.com/a.tgz"},
            "node_modules/a/node_modules/@s/b": {"integrity": "sha1-x", "license": "GPL-3.0-only"},
        }
    }
    audit.audit_npm({"devDependencies": {"a": "^1.0.0", "b": "1.0.0"}}, lock, report)
    assert report.findings == [
        "dev/package.json: a is not pinned to one version.",
        "dev/package-lock.json: a has an address to download from.",
        "dev/package-lock.json: @s/b has no SHA-512 hash.",
        "@s/b: the license GPL-3.0-only would bind this project's users.",
    ]


def test_a_vulnerability_is_a_finding() -> None:
    report = Report()
    audit.read_pip_audit(
        json.dumps(
            {
                "dependencies": [
                    {"name": "good", "version": "1", "vulns": []},
                    {"name": "bad", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]},
                    {"name": "worse", "version": "1", "vulns": [{"id": "PYSEC-2", "fix_versions": []}]},
                ]
            }
        ),
        report,
    )
    via = [{"title": "It can be stopped by one header"}]
    audit.read_npm_audit(
        json.dumps(
            {
                "vulnerabilities": {
                    "bad": {"severity": "high", "via": via},
                    "above": {"severity": "high", "via": ["bad"]},
                },
                "metadata": {"dependencies": {"total": 9}},
            }
        ),
        report,
    )
    assert report.findings == [
        "bad 1: PYSEC-1, fixed in 2.",
        "worse 1: PYSEC-2, fixed in no version yet.",
        "bad (npm, high): It can be stopped by one header.",
    ]
    assert report.code == 1


@pytest.mark.parametrize("output", ["", "null", "[]", "{}", "Traceback", '{"message": "405", "statusCode": 405}'])
def test_an_auditor_that_could_not_ask_never_looks_like_a_good_result(output: str) -> None:
    pip, npm = Report(), Report()
    audit.read_pip_audit(output, pip)
    audit.read_npm_audit(output, npm)
    for report in (pip, npm):
        assert report.code == 2
        assert "could not be reached" in report.text()
        assert report.text().endswith("run it again where the advisories can be reached.")


def test_a_package_that_the_advisories_do_not_know_was_not_audited() -> None:
    """pip-audit itself answers exit code 0 and «No known vulnerabilities found» then."""
    report = Report()
    audit.read_pip_audit(json.dumps({"dependencies": [{"name": "a", "skip_reason": "not found"}]}), report)
    assert report.code == 2
    assert "NOT ASKED: PyPI's advisories, for 1 packages (a)" in report.text()


def test_a_finding_counts_more_than_what_was_not_asked() -> None:
    assert Report(findings=["x"], unasked=["y"]).code == 1


def test_the_auditor_and_what_it_brings_is_pinned_and_no_part_of_the_app() -> None:
    app = (audit.ROOT / "requirements-dev.txt").read_text("utf-8")
    own = (audit.ROOT / audit.LOCKS[-1]).read_text("utf-8")
    assert "pip-audit==" in own
    assert "pip-audit" not in app
    assert audit.AUDITOR.is_relative_to(audit.ROOT / ".local")
    assert Path(".local/") in {Path(line) for line in (audit.ROOT / ".gitignore").read_text("utf-8").split()}


def test_old_versions_of_azures_interfaces_are_told_and_no_finding() -> None:
    report = Report()
    line = (
        "infra/modules/app.bicep(89,42) : Warning use-recent-api-versions: Use more recent API version for "
        "'Microsoft.Web/serverfarms'. '2024-11-01' is 758 days old, should be no more than 730 days old, or the most "
        "recent. Acceptable versions: 2026-01-01, 2025-03-01 [https://aka.ms/bicep/linter-diagnostics]\n"
    )
    audit.read_bicep(line * 2, report)
    assert report.notes == [
        "Azure's interfaces older than two years: Microsoft.Web/serverfarms 2024-11-01, now 2025-03-01."
    ]
    assert report.code == 0
    audit.read_bicep("", report)
    assert report.notes[-1] == "Azure's interfaces older than two years: none."
