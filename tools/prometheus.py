"""Find Prometheus and promtool for tests. `.ci/run` installs them."""

import os
import shutil

import pytest


def promtool() -> str:
    """Return the path of promtool. If it is missing, skip the test, or fail it in CI."""
    return _find("promtool")


def prometheus() -> str:
    """Return the path of Prometheus.

    If it is missing, skip the test, or fail it in CI.
    """
    return _find("prometheus")


def _find(program: str) -> str:
    if path := shutil.which(program):
        return path
    reason = f"{program} is missing. To run this test, install the package `prometheus`."
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
