"""Audit the Python lock files with pip-audit: `python -m tools.audit`.

pip-audit looks up known vulnerabilities in an advisory database. A package mirror may answer instead of this database
and have no advisories. So the script first checks that the database reports the known vulnerability of an old release.
If no database does, the script prints "not audited", and the audit passes.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tools.local import ROOT

PIP_AUDIT = [sys.executable, "-m", "pip_audit", "--format=json", "--progress-spinner=off", "--disable-pip"]
DATABASES = (["--vulnerability-service=pypi"], ["--vulnerability-service=osv"])
KNOWN_VULNERABLE = "jinja2==2.10"  # CVE-2019-10906
TIMEOUT = 15  # seconds for each request to a database
NOT_AUDITED = "no advisory database reachable: not audited"

Dependency = dict[str, Any]


class NoReport(Exception):
    """pip-audit printed no report. The message is the error output of pip-audit."""


def lock_files() -> list[Path]:
    """Return all Python lock files of the repository."""
    return sorted([*ROOT.glob("requirements*.txt"), *ROOT.glob("*/requirements*.txt")])


def audit(locks: Sequence[Path], databases: Iterable[list[str]]) -> tuple[bool, str]:
    """Audit lock files.

    Return whether they passed, and a report that ends with a summary.

    Each database is given as the pip-audit options that select it. Only the first database that has advisories is
    used. Raise `NoReport` if a lock file is invalid.
    """
    files = [*(f"--requirement={lock}" for lock in locks), "--require-hashes"]
    _pip_audit([*files, "--dry-run"])
    for database in databases:
        try:
            dependencies = _pip_audit([*files, *database]) if _knows_advisories(database) else []
        except NoReport:  # the dry run accepted the lock files, so the error comes from the database
            continue
        if dependencies:
            return _report(dependencies, len(locks))
    return True, NOT_AUDITED


def _knows_advisories(database: list[str]) -> bool:
    """Return whether a database reports the vulnerability of `KNOWN_VULNERABLE`."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(KNOWN_VULNERABLE)
        file.flush()
        try:
            found = _pip_audit([f"--requirement={file.name}", "--no-deps", *database])
        except NoReport:
            return False
    return any(dependency.get("vulns") for dependency in found)


def _pip_audit(options: list[str]) -> list[Dependency]:
    """Run pip-audit with these options, and return its result for each dependency.

    Raise `NoReport` if pip-audit prints no report.
    """
    command = [*PIP_AUDIT, f"--timeout={TIMEOUT}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        dependencies: list[Dependency] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        raise NoReport(done.stderr.strip()) from None
    return dependencies


def _report(dependencies: list[Dependency], locks: int) -> tuple[bool, str]:
    skipped = [dependency["name"] for dependency in dependencies if "skip_reason" in dependency]
    vulnerable = [dependency for dependency in dependencies if dependency.get("vulns")]
    lines = [
        f"{dependency['name']} {dependency['version']}: {found['id']}, "
        f"fixed in {', '.join(found['fix_versions']) or 'no release'}"
        for dependency in vulnerable
        for found in dependency["vulns"]
    ]
    summary = f"audited {len(dependencies) - len(skipped)} packages of {locks} lock files"
    if vulnerable:
        summary += f": {len(vulnerable)} vulnerable"
    if skipped:
        summary += f"; unknown to the database: {', '.join(skipped)}"
    return not vulnerable, "\n".join([*lines, summary])


def main() -> int:
    """Print the report, and return the exit code."""
    try:
        passed, report = audit(lock_files(), DATABASES)
    except NoReport as error:
        passed, report = False, str(error)
    print(report)
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
