"""Find Prometheus and promtool for tests. In CI, install Debian's package."""

import os
import shutil
import subprocess

import pytest


def promtool() -> str:
    """Return the path of promtool. If it is missing, skip the test, or fail it in CI."""
    return _find("promtool")


def prometheus() -> str:
    """Return the path of Prometheus. If it is missing, skip the test, or fail it in CI."""
    return _find("prometheus")


def _find(program: str) -> str:
    in_ci = bool(os.environ.get("CI"))
    if not shutil.which(program) and in_ci and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["update"], ["install", "--yes", "--no-install-recommends", "prometheus"]):
            subprocess.run(["apt-get", "--quiet", "--quiet", *command], capture_output=True, check=False)
    if path := shutil.which(program):
        return path
    reason = f"{program} is missing. To run this test, install the package prometheus of your system."
    if in_ci:
        pytest.fail(reason)
    pytest.skip(reason)
