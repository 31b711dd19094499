"""What one worker of thoughts_api serves, against a constant JSON view in the same server: `python -m bench.serve`.

Both run in gunicorn with one worker; `wrk` asks each in turn, in short rounds, so that what else the machine does
meets both. Printed are medians over the rounds: requests in a second, their ratio to the constant view's, and the CPU
time that the worker spent on each.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from e2e.conftest import answers, free_ports
from tools import postgres
from tools.local import ROOT

CONNECTIONS = 8
CREATE = """
wrk.method = "POST"
wrk.body = '{"text": "A thought that a benchmark writes."}'
wrk.headers["Content-Type"] = "application/json"
"""


@dataclass
class Server:
    """A gunicorn with one worker."""

    url: str
    process: "subprocess.Popen[bytes]"

    def cpu(self) -> float:
        """Return the seconds of CPU that the master and its worker have used."""
        pids = [self.process.pid, *map(int, _children(self.process.pid))]
        ticks = 0
        for pid in pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@dataclass
class Case:
    """A kind of request, and what each round of it gave."""

    name: str
    server: Server
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    script: str = ""
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def round(self, seconds: float) -> None:
        """Ask for that long; any answer that is an error ends the benchmark."""
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(self.script)
            script.flush()
            headers = [f"--header={name}: {value}" for name, value in self.headers.items()]
            before = self.server.cpu()
            done = subprocess.run(
                ["wrk", "--threads=1", f"--connections={CONNECTIONS}", f"--duration={seconds}s", *headers]
                + (["--script", script.name] if self.script else [])
                + [self.server.url + self.path],
                capture_output=True,
                text=True,
                check=True,
            )
            used = self.server.cpu() - before
        if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
            raise SystemExit(f"{self.name}: {done.stdout}")
        count = int(re.search(r"(\d+) requests in", done.stdout)[1])  # type: ignore[index]
        self.rates.append(float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1]))  # type: ignore[index]
        self.cpu.append(used / count * 1000)


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@contextmanager
def gunicorn(application: str, environment: dict[str, str]) -> Iterator[Server]:
    """Start it on a free port, and end it."""
    (port,) = free_ports(1)
    environment = {"HOST": "127.0.0.1", "PORT": str(port), "WEB_CONCURRENCY": "1", **environment}
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", "python:common.gunicorn_conf", application],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = Server(f"http://127.0.0.1:{port}", process)
    try:
        while not answers(f"{server.url}/"):
            if process.poll() is not None:
                raise SystemExit(f"{application} did not start.")
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait()


def authorizations(folder: Path, *names: str) -> list[str]:
    """Make a key set at folder/jwks.json, and return an Authorization header for each user name."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "bench", "use": "sig"}
    (folder / "jwks.json").write_text(json.dumps({"keys": [jwk]}))
    now = int(time.time())
    claims = {"user_id": 1, "iss": "users-api", "iat": now, "exp": now + 3600}
    return [
        "Bearer " + jwt.encode(claims | {"username": name}, key, algorithm="RS256", headers={"kid": "bench"})
        for name in names
    ]


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each round")
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is needed to make the load (on Debian and Ubuntu: apt install wrk).")

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        reader, writer = authorizations(folder, "bruce", "writer")
        environment = {
            "DATABASE_URL": postgres.database(stack.enter_context(postgres.server()), "postgres"),
            "TOKENS_JWKS": str(folder / "jwks.json"),
            "STATIC_ROOT": str(folder / "static"),
        }
        for command in (["migrate", "--verbosity=0"], ["load_sample_data"], ["collectstatic", "--verbosity=0"]):
            subprocess.run(
                [sys.executable, "thoughts_api/manage.py", *command],
                cwd=ROOT,
                env={**os.environ, **environment},
                check=True,
            )
        thoughts = stack.enter_context(gunicorn("thoughts_api.wsgi", environment))
        constant = stack.enter_context(gunicorn("bench.constant", environment))
        cases = [
            Case("constant view", constant, "/"),
            Case("search", thoughts, "/api/thoughts/?search=the"),
            Case("own list", thoughts, "/api/me/thoughts/", {"Authorization": reader}),
            Case("one thought", thoughts, "/api/thoughts/1/"),
            Case("create", thoughts, "/api/me/thoughts/", {"Authorization": writer}, CREATE),
        ]
        for number in range(arguments.rounds):
            for case in cases:
                case.round(arguments.seconds)
            print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)

    base = statistics.median(cases[0].rates)
    print(f"| {'':<14} | requests/s | ratio | CPU ms each |\n| -------------- | ---------: | ----: | ----------: |")
    for case in cases:
        rate = statistics.median(case.rates)
        print(f"| {case.name:<14} | {rate:>10.0f} | {rate / base:>5.2f} | {statistics.median(case.cpu):>11.2f} |")


if __name__ == "__main__":
    main()
