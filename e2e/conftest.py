"""The started system that all tests here use.

By default it is started for them, as `make run` does, on free ports in a folder of its own. With THOUGHTS_URL,
USERS_URL and WEB_URL set, they use the system that is there: in a cluster, or in compose.
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
    """Start the Chromium of this machine; it refuses its sandbox to root."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {**browser_type_launch_args, "executable_path": str(find_or_install()), "args": sandbox}


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The system that is named in the environment, or one that is started for this session."""
    thoughts, users, web = (os.environ.get(f"{name}_URL", "").rstrip("/") for name in ("THOUGHTS", "USERS", "WEB"))
    if thoughts and users and web:
        yield System(thoughts, users, web)
        return
    started = start(tmp_path_factory.mktemp("system"))
    yield started
    stop(started)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of the tests of one file, which they may break."""
    system = start(tmp_path_factory.mktemp("own"))
    yield system
    stop(system)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Repeat what `make test` did before, so that the end of its output says it all."""
    if "STEPS" in os.environ:
        terminalreporter.section("make test")
        for line in json.loads(Path(os.environ["STEPS"]).read_text()):
            terminalreporter.line(line)
