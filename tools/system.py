"""Start and stop the whole system, for tests and benchmarks."""

import contextlib
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

from tools.check_machine import bind_error
from tools.local import PROJECTS, ROOT

START_WITHIN = 60.0  # seconds
# Settings for tests that send more requests than the limits per user allow.
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
    """The URLs of a running system, without a trailing slash.

    `process` is the process of `tools.run`, and `log` is the file with its output. Both are None if the tests did not
    start the system.
    """

    thoughts: str
    users: str
    web: str
    process: "subprocess.Popen[bytes] | None" = None
    log: Path | None = None


def free_ports(count: int) -> list[int]:
    """Return `count` TCP ports that are free on 127.0.0.1 and ::1.

    To reserve a port, the function opens and closes a connection to it. The port then stays in the state TIME-WAIT for
    a minute (RFC 9293, section 3.6.1). During this time, the operating system does not assign the port to a process
    that binds to port 0. But a server can listen on the port if it sets SO_REUSEADDR, as all servers of this repository
    do.
    """
    ports: list[int] = []
    while len(ports) < count:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)):
                accepted, _ = server.accept()
                accepted.close()  # before the client, because the side that closes first enters TIME-WAIT
        if not bind_error(port):
            ports.append(port)
    return ports


def start(var: Path, tree: Path = ROOT, options: tuple[str, ...] = (), **environment: str) -> System:
    """Start all projects with `tools.run` and wait until they are ready.

    `tree` is the repository or a copy, and `options` are additional options of `tools.run`. Raise RuntimeError if the
    projects are not ready within 60 seconds.
    """
    ports = dict(zip(PROJECTS, free_ports(len(PROJECTS)), strict=True))
    var.mkdir(parents=True, exist_ok=True)
    log = var / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.run", f"--var={var}", *options, "--ports", *map(str, ports.values())],
            cwd=tree,
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
            raise RuntimeError(f"The system did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.1)
    return System(urls["thoughts_api"], urls["users_api"], urls["web"], process, log)


def stop(system: System) -> None:
    """Stop a system started by `start`, with all its processes."""
    if system.process:
        system.process.send_signal(signal.SIGTERM)
        system.process.wait(timeout=60)


def answers(url: str) -> bool:
    """Return whether a GET request to this URL returns the status 200."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def within(seconds: float, condition: Callable[[], bool], pause: float = 0.1) -> bool:
    """Wait until the condition is true.

    Return False if it is still false after this number of seconds.

    `pause` is the time between two checks, in seconds.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(pause)
    return False


def children(pid: int) -> dict[int, str]:
    """Return the command line of each child process, by process id."""
    output = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return {int(line.split(None, 1)[0]): line.split(None, 1)[1] for line in output.splitlines() if line.strip()}


def kill(system: System, project: str) -> None:
    """Kill a project's gunicorn with SIGKILL. Raise RuntimeError if it is not running."""
    assert system.process
    for pid, command in children(system.process.pid).items():
        if f"{project}.wsgi" in command:
            os.killpg(pid, signal.SIGKILL)
            return
    raise RuntimeError(f"{project} is not running")


@contextlib.contextmanager
def outage(system: System, *projects: str) -> Iterator[None]:
    """Kill projects. After the block, `tools.run` restarts them.

    `tools.run` is suspended during the block, so it writes the log lines from the block only afterwards.
    """
    assert system.process
    os.kill(system.process.pid, signal.SIGSTOP)
    try:
        for project in projects:
            kill(system, project)
        yield
    finally:
        os.kill(system.process.pid, signal.SIGCONT)
