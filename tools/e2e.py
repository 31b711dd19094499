"""The whole-system tests against a system that runs already: in a cluster, or in compose."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tools.local import ROOT

# These start a system of their own, need none, or send what an ingress refuses first.
WITHOUT = (
    "alone",
    "bad_clients",
    "readme",
    "refused_pages",
    "reload",
    "replica",
    "rotation",
    "run",
    "schemathesis",
    "service",
    "start",
    "stop",
    "web_forms",
)


class Failed(Exception):
    """What went wrong, and what a person has to do, in one line."""


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print how long something took."""
    begin = time.monotonic()
    yield
    print(f"ok   {name:<40} {time.monotonic() - begin:5.0f} s", flush=True)


def run(*command: str, **env: str) -> None:
    """Run a command in the foreground; raise `Failed` if it does not exit with 0."""
    code = subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, check=False).returncode
    if code:
        raise Failed(f"{' '.join(command[:4])} … exited with {code}.")


def test(*more: str, thoughts: str, users: str, web: str, **env: str) -> None:
    """Run the tests, and those in further folders, against the three addresses; raise `Failed` if one fails."""
    run(
        *(sys.executable, "-m", "pytest", "-c", "e2e/pytest.ini", "-p", "no:cacheprovider", "-p", "tools.localhost"),
        *(f"--ignore=e2e/test_{name}.py" for name in WITHOUT),
        *("e2e", *more),
        THOUGHTS_URL=thoughts,
        USERS_URL=users,
        WEB_URL=web,
        **env,
    )
