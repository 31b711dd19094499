"""Compare logins and refreshes with those of an earlier commit.

Run this script with `python -m bench.sessions`.

The script runs two versions of users_api: that of this tree, and that of the commit BEFORE. Each has its own database.
The script sends requests to the two versions in turn. In the old version, refresh tokens were random strings, and a
refresh did not replace the refresh token.
"""

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from contextlib import ExitStack
from pathlib import Path

import requests

from bench.serve import LOGIN, LOGIN_BODY, Case, Server, gunicorn, post, renewing
from tools import postgres
from tools.local import ROOT, Local
from tools.system import free_ports

BEFORE = "faecefe"
VERIFY = """
import statistics, sys, time, timeit
from django.conf import settings
settings.configure(TOKENS_ISSUER="users-api")
import requests
from common import tokens
from common.tokens import verification
jwks = requests.get(sys.argv[1] + "/.well-known/jwks.json", timeout=9).json()
keys = tokens.KeySet(lambda: jwks)
again = lambda: tokens.from_header(sys.argv[2], keys)
first = lambda: (verification._user.cache_clear(), again())
for action in (first, again):
    repeated = timeit.repeat(action, timer=time.process_time, repeat=20, number=200)
    print(statistics.median(repeated) / 200 * 1e6)
"""


def tree(folder: Path) -> Path:
    """Write the files of the commit BEFORE to a folder, and return the folder."""
    archive = subprocess.run(["git", "archive", BEFORE], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def start(stack: ExitStack, root: Path, database_url: str, folder: Path, port: int) -> Server:
    """Start users_api from a source tree, with sample data."""
    local = Local(folder, dict.fromkeys(("users_api", "thoughts_api", "web"), port))
    local.make_secrets()
    environment = local.environment("users_api") | {"PYTHONPATH": str(root), "DATABASE_URL": database_url}
    environment["LOG_LEVEL"] = "WARNING"
    for command in (
        ["collectstatic", "--no-input", "--verbosity=0"],
        ["migrate", "--verbosity=0"],
        ["load_sample_data"],
    ):
        subprocess.run(
            [sys.executable, "users_api/manage.py", *command],
            cwd=root,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return stack.enter_context(gunicorn("users_api.wsgi", environment, port, root=root))


def verifying(root: Path, server: Server, authorization: str) -> list[float]:
    """Return the CPU time in µs for the first and a repeated verification of a token."""
    done = subprocess.run(
        [sys.executable, "-c", VERIFY, server.url, authorization],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(line) for line in done.stdout.split()]


def report(rounds: int, seconds: int) -> str:
    """Return the table as Markdown."""
    with tempfile.TemporaryDirectory() as name, postgres.server() as url, ExitStack() as stack:
        folder = Path(name)
        roots = [tree(folder / "before"), ROOT]
        ports = free_ports(3)
        before, now = (
            start(stack, root, postgres.database(url, database), folder / database, port)
            for root, database, port in zip(roots, ("postgres", "template1"), ports, strict=False)
        )
        constant = stack.enter_context(gunicorn("bench.constant", {"THREADS": "4"}, ports[2], path="/"))
        answers = [requests.post(f"{server.url}/api/login/", LOGIN_BODY, timeout=9).json() for server in (before, now)]
        refresh = "/api/token/refresh/"
        cases = [
            Case("Argon2id alone", [constant], "/argon2"),
            Case("login, before", [before], "/api/login/", {}, LOGIN),
            Case("login, now", [now], "/api/login/", {}, LOGIN),
            Case("refresh, before", [before], refresh, {}, post({"refresh": answers[0]["refresh"]})),
            Case("refresh, now, with rotation", [now], refresh, {}, lambda: renewing(now)),
        ]
        for number in range(rounds):
            for case in cases:
                case.round(seconds)
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        verified = [
            verifying(root, server, answer["Authorized"])
            for root, server, answer in zip(roots, (before, now), answers, strict=True)
        ]
    argon2, login_before, login_now, refresh_before, refresh_now = (case.each for case in cases)
    lines = ["| | requests/s | CPU ms each |", "| --- | --: | --: |"]
    lines += [f"| {case.name} | {case.rate:.0f} | {case.each:.2f} |" for case in cases]
    (first_before, again_before), (first, again) = verified
    return "\n".join(lines) + (
        f"""

A login takes {login_now / argon2:.2f} times as much CPU as Argon2id alone. Before, it took {login_before / argon2:.2f}
times as much.
A refresh takes {refresh_now / refresh_before:.2f} times as much CPU as before, and it now replaces the refresh token.
A process needs {first:.0f} µs of CPU to verify a token for the first time, and {again:.1f} µs to verify it again.
Before, it needed {first_before:.0f} and {again_before:.1f} µs. The older commit is {BEFORE}.
"""
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3, help="seconds of load for each case in a round")
    arguments = parser.parse_args()
    print(report(arguments.rounds, arguments.seconds))


if __name__ == "__main__":
    main()
