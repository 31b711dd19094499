"""Run the end-to-end tests against a system in a cluster or in Docker Compose.

The system must already be running.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tools.local import ROOT

# Do not run these files of e2e/. They start their own system, need none, or send requests that an ingress refuses.
WITHOUT = (
    "alone",
    "bad_clients",
    "error_code",
    "faults",
    "logs",
    "metrics",
    "prometheus",
    "readme",
    "refused_pages",
    "reload",
    "replica",
    "rotation",
    "run",
    "schemathesis",
    "sentry",
    "service",
    "start",
    "stop",
    "traces",
    "web_forms",
)


class Failed(Exception):
    """An error to show to the user. The message states the problem and the remedy."""


@contextmanager
def step(name: str) -> Iterator[None]:
    """Run the block, then print the name of the step and how long it took."""
    begin = time.monotonic()
    yield
    print(f"ok   {name:<40} {time.monotonic() - begin:5.0f} s", flush=True)


def run(*command: str, **env: str) -> None:
    """Run a command. Raise `Failed` if it does not exit with 0."""
    code = subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, check=False).returncode
    if code:
        raise Failed(f"{' '.join(command[:4])} … exited with {code}.")


def test(*more: str, thoughts: str, users: str, web: str, **env: str) -> None:
    """Run the tests in e2e/ and in the folders `more` against these URLs.

    Raise `Failed` if a test fails.
    """
    run(
        *(sys.executable, "-m", "pytest", "-c", "e2e/pytest.ini", "-p", "no:cacheprovider", "-p", "tools.localhost"),
        *(f"--ignore=e2e/test_{name}.py" for name in WITHOUT),
        *("e2e", *more),
        THOUGHTS_URL=thoughts,
        USERS_URL=users,
        WEB_URL=web,
        **env,
    )
