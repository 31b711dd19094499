"""The started system that all tests here use.

By default it is started for them, as `make run` does, on free ports in a folder of its own. With THOUGHTS_URL,
USERS_URL and WEB_URL set, they use the system that is there: in a cluster, or in compose.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tools.chromium import find_or_install
from tools.local import PROJECTS, ROOT

START_WITHIN = 60.0  # seconds
# For tests that send more than any person would.
NO_LIMITS = dict.fromkeys(
    [
        "LOGIN_FAILURES_PER_NAME",
        "LOGIN_FAILURES_PER_ADDRESS",
        "LOGIN_FAILURES_PER_ACCOUNT",
        "SIGN_UPS_PER_ADDRESS",
        "WRITES_PER_MINUTE",
        "WRITES_PER_DAY",
    ],
    "1000000",
)


@dataclass(frozen=True)
class System:
    """Where the three are, without a slash at the end; `process` is None for a system that was there before."""

    thoughts: str
    users: str
    web: str
    process: "subprocess.Popen[bytes] | None" = None
    log: Path | None = None


def free_ports(count: int) -> list[int]:
    """Return TCP ports of the loopback address on which nothing listens now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start(var: Path, **environment: str) -> System:
    """Start all projects with `tools.run` and return when all are ready."""
    ports = dict(zip(PROJECTS, free_ports(len(PROJECTS)), strict=True))
    var.mkdir(parents=True, exist_ok=True)
    log = var / "log"
    options = ["--ports", *map(str, ports.values())]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.run", f"--var={var}", *options],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    urls = {project: f"http://localhost:{port}" for project, port in ports.items()}
    deadline = time.monotonic() + START_WITHIN
    while not all(answers(f"{url}/readyz") for url in urls.values()):
        if process.poll() is not None or time.monotonic() > deadline:
            process.terminate()
            process.wait()
            pytest.fail(f"The system did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.1)
    return System(urls["thoughts_api"], urls["users_api"], urls["web"], process, log)


def stop(system: System) -> None:
    """End a system that `start` began, with all its processes."""
    if system.process:
        system.process.send_signal(signal.SIGTERM)
        system.process.wait(timeout=60)


def answers(url: str) -> bool:
    """Return whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Return whether the condition holds before the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def children(pid: int) -> dict[int, str]:
    """Return the command lines of a process's children by process id."""
    output = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return {int(line.split(None, 1)[0]): line.split(None, 1)[1] for line in output.splitlines() if line.strip()}


def kill(system: System, project: str) -> None:
    """Kill a project's gunicorn, with no time to say anything."""
    assert system.process
    for pid, command in children(system.process.pid).items():
        if f"{project}.wsgi" in command:
            os.killpg(pid, signal.SIGKILL)
            return
    pytest.fail(f"{project} does not run")


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
