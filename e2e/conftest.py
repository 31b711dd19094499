"""Fixtures: the running system that the tests send requests to.

By default, a fixture starts the system as `make run` does, but on free ports and with a temporary folder. If the
variables THOUGHTS_URL, USERS_URL and WEB_URL are set, the tests use the system with these URLs, which is already
running in a cluster or in Docker Compose.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.chromium import find_or_install
from tools.system import System, start, stop


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Use the installed Chromium. As root, disable its sandbox, which Chromium does not support for root."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {**browser_type_launch_args, "executable_path": str(find_or_install()), "args": sandbox}


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Return the system whose URLs are in the environment, or start one for the whole test session."""
    thoughts, users, web = (os.environ.get(f"{name}_URL", "").rstrip("/") for name in ("THOUGHTS", "USERS", "WEB"))
    if thoughts and users and web:
        yield System(thoughts, users, web)
        return
    started = start(tmp_path_factory.mktemp("system"))
    yield started
    stop(started)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Start a system for the tests of one file. These tests may kill parts of it."""
    system = start(tmp_path_factory.mktemp("own"))
    yield system
    stop(system)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the results of the other steps again at the end of `make test`."""
    if "STEPS" in os.environ:
        terminalreporter.section("make test")
        for line in json.loads(Path(os.environ["STEPS"]).read_text()):
            terminalreporter.line(line)
