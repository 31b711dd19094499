"""The running system that the tests use.

By default it is started like `make run`, on free ports and in a temporary folder. If THOUGHTS_URL, USERS_URL and
WEB_URL are set, the tests use an existing system, in a cluster or in compose.
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
    """Use this machine's Chromium. As root, it must run without its sandbox."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {**browser_type_launch_args, "executable_path": str(find_or_install()), "args": sandbox}


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Return the system named in the environment, or start one for the session."""
    thoughts, users, web = (os.environ.get(f"{name}_URL", "").rstrip("/") for name in ("THOUGHTS", "USERS", "WEB"))
    if thoughts and users and web:
        yield System(thoughts, users, web)
        return
    started = start(tmp_path_factory.mktemp("system"))
    yield started
    stop(started)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Start a system for one test file, which its tests may break."""
    system = start(tmp_path_factory.mktemp("own"))
    yield system
    stop(system)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Repeat the steps of `make test` at the end of its output."""
    if "STEPS" in os.environ:
        terminalreporter.section("make test")
        for line in json.loads(Path(os.environ["STEPS"]).read_text()):
            terminalreporter.line(line)
