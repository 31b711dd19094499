"""Measure how much hostile clients slow down normal requests and probes.

Run this script with `python -m bench.hostile`.

The script serves thoughts_api and users_api with PostgreSQL, each with one worker and a management port. For each kind
of attack, 200 hostile clients connect. They connect again when the server closes a connection. Meanwhile, an honest
client sends normal requests, each on a new connection, and a probe calls the management port. At the end, eight clients
at a time send login requests whose bodies are expensive to parse. The script takes about three minutes.
"""

import argparse
import itertools
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from statistics import median, quantiles

import psycopg
import requests

from bench.serve import LOGIN_BODY, Server, environments, gunicorn
from tools.local import PROJECTS
from tools.system import free_ports

CLIENTS = 200
DRIP = 3.5  # seconds between two bytes
PAUSE = 0.05  # seconds between two honest requests
GET = b"GET /api/thoughts/1/ HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/thoughts/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LARGE = b"GET /static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"

LARGEST = 64 * 1024  # size in bytes of the largest body that the services accept
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
PART = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
BODIES: dict[str, tuple[str, bytes]] = {
    "2.6 MB of `[[[]],[[]],…]`": (JSON, b"[" + b"[[]]," * 520_000 + b"1]"),
    "2.6 MB of `%` in a form": (FORM, b"username=" + b"%" * 2_600_000),
    "64 KiB of `[[[]],[[]],…]`": (JSON, b"[" + b"[[]]," * (LARGEST // 5 - 1) + b"1]"),
    "64 KiB of `[[[[…`": (JSON, b"[" * LARGEST),
    "64 KiB of digits": (JSON, b'{"username": ' + b"1" * (LARGEST - 14) + b"}"),
    "64 KiB of `%` in a form": (FORM, (b"username=" + b"%" * LARGEST)[:LARGEST]),
    "64 KiB of fields in a form": (FORM, (b"a&" * LARGEST)[:LARGEST]),
    "64 KiB of parts": ("multipart/form-data; boundary=x", PART * (LARGEST // len(PART) - 1) + b"--x--\r\n"),
}

# For each kind of attack, the bytes that a client sends immediately, and the bytes that it then sends one by one.
KINDS: dict[str, tuple[bytes, bytes]] = {
    "none": (b"", b""),
    "answered, and do not close": (GET + b"Connection: close\r\n\r\n", b""),
    "HTTP/1.0, and do not close": (GET.replace(b"1.1", b"1.0") + b"\r\n", b""),
    "malformed, and do not close": (b"nonsense\r\n\r\n", b""),
    "silent": (b"", b""),
    "a byte every 3.5 s in the headers": (GET, b"X-Slow: " + b"x" * 10_000),
    "a byte every 3.5 s in the body": (POST + b"Content-Length: 10000\r\n\r\n", b"x" * 10_000),
    "a byte every 3.5 s in chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 2_000),
    "do not read a large answer": (LARGE, b""),
}


class Hostile:
    """A hostile client in a thread.

    Until `stop` is set, it connects again whenever its connection is closed.
    """

    def __init__(self, port: int, start: bytes, drip: bytes, stop: threading.Event) -> None:
        self.port, self.start, self.drip, self.stop = port, start, drip, stop
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                with socket.socket() as client:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    client.settimeout(10)
                    client.connect(("127.0.0.1", self.port))
                    client.sendall(self.start)
                    for byte in itertools.chain(self.drip, itertools.repeat(None)):
                        if self.stop.wait(DRIP):
                            return
                        if byte is not None:
                            client.sendall(bytes([byte]))
                        elif not self.drip and self.closed(client):
                            break
            except OSError:
                self.stop.wait(0.5)

    def closed(self, client: socket.socket) -> bool:
        """Return whether the server has closed the connection, without reading any data."""
        poll = select.poll()
        poll.register(client, select.POLLRDHUP)
        return bool(poll.poll(0))


def timed(action: Callable[[], object], seconds: float) -> list[float]:
    """Repeat an action for `seconds`, and return the duration of each call in ms."""
    durations, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.perf_counter()
        action()
        durations.append((time.perf_counter() - begin) * 1000)
        time.sleep(PAUSE)
    return durations


def get(url: str, expected: int = 200) -> Callable[[], None]:
    """Return a function that sends a GET request on a new connection.

    The function raises `RuntimeError` if the status is not `expected`.
    """

    def action() -> None:
        status = requests.get(url, timeout=60, headers={"Connection": "close"}).status_code
        if status != expected:
            # Do not raise SystemExit here, because a background thread would then end without a message.
            raise RuntimeError(f"{url} answered {status} instead of {expected}.")

    return action


def post(url: str, body: dict[str, str]) -> None:
    """Send a POST request, and check that it succeeds."""
    requests.post(url, body, timeout=60).raise_for_status()


def row(name: str, honest: Callable[[], object], probe: Callable[[], object], seconds: float) -> str:
    """Measure how long honest requests and probes take, and return a table row."""
    probes: list[float] = []
    watching = threading.Thread(target=lambda: probes.extend(timed(probe, seconds)))
    watching.start()
    durations = timed(honest, seconds)
    watching.join()

    def cells(each: list[float]) -> str:
        most = quantiles(each, n=100, method="inclusive")[98] if len(each) > 1 else each[0]
        return f"{median(each):.0f} | {most:.0f} | {max(each):.0f}"

    print(name, file=sys.stderr, flush=True)
    return f"| {name} | {len(durations)} | {cells(durations)} | {cells(probes)} |"


@contextmanager
def hostile(port: int, kind: str) -> Iterator[None]:
    """Attack with hostile clients of this kind while the block runs."""
    stop = threading.Event()
    if kind != "none":
        for _ in range(CLIENTS):
            Hostile(port, *KINDS[kind], stop)
        time.sleep(2)
    try:
        yield
    finally:
        stop.set()
        time.sleep(1)


@contextmanager
def repeated(action: Callable[[], object], threads: int) -> Iterator[None]:
    """Repeat an action in background threads while the block runs."""
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            action()

    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def bodies(users: Server, rounds: int = 10) -> str:
    """Send expensive bodies, and return a table with a row for each body.

    A row contains the statuses, the durations and the added memory.
    """
    lines = [
        "| Body, eight at a time | Status | One alone: median, ms | Longest | Memory added, MB |",
        "| --- | --: | --: | --: | --: |",
    ]
    url = f"{users.url}/api/login/"
    for name, (content_type, body) in BODIES.items():
        statuses: set[int] = set()

        def send(content_type: str = content_type, body: bytes = body, statuses: set[int] = statuses) -> float:
            begin = time.perf_counter()
            answer = requests.post(url, body, headers={"Content-Type": content_type}, timeout=60)
            statuses.add(answer.status_code)
            return (time.perf_counter() - begin) * 1000

        alone = [send() for _ in range(rounds)]
        before, most = users.memory(), 0.0
        with ThreadPoolExecutor(8) as pool:
            for _ in range(rounds):
                sent = [pool.submit(send) for _ in range(8)]
                while not all(each.done() for each in sent):
                    most = max(most, users.memory())
        found = ", ".join(map(str, sorted(statuses)))
        lines.append(f"| {name} | {found} | {median(alone):.0f} | {max(alone):.0f} | {max(most - before, 0):.0f} |")
        print(name, file=sys.stderr, flush=True)
    return "\n".join(lines)


def port(server: Server) -> int:
    """Return the port of a server."""
    return int(server.url.rpartition(":")[2])


def report(seconds: float, kinds: list[str]) -> str:
    """Return both tables as Markdown."""
    lines = [
        "| Hostile clients | Requests | Median, ms | 99 % | Longest | Probe: median, ms | 99 % | Longest |",
        "| --- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    *ports, thoughts_management, users_management = free_ports(len(PROJECTS) + 2)
    with ExitStack() as stack:
        found = stack.enter_context(environments(dict(zip(PROJECTS, ports, strict=True))))
        servers = {}
        for name, management in (("thoughts_api", thoughts_management), ("users_api", users_management)):
            environment = found[name] | {"MANAGEMENT_PORT": str(management), "LOG_LEVEL": "ERROR"}
            own = ports[PROJECTS.index(name)]
            path = "/.well-known/jwks.json" if name == "users_api" else "/api/thoughts/1/"
            servers[name] = stack.enter_context(gunicorn(f"{name}.wsgi", environment, own, path))
        thoughts, users = servers["thoughts_api"], servers["users_api"]
        probe = get(f"http://127.0.0.1:{thoughts_management}/readyz")
        for kind in kinds:
            with hostile(port(thoughts), kind):
                lines.append(row(kind, get(f"{thoughts.url}/api/thoughts/1/"), probe, seconds))
        with psycopg.connect(thoughts.environment["DATABASE_URL"]) as database:
            database.execute("LOCK TABLE thoughts_api_thought")
            search = get(f"{thoughts.url}/api/thoughts/1/", expected=503)
            with repeated(search, 2 * int(thoughts.environment["THREADS"])):
                lines.append(row("all threads in statements of 2 s", search, probe, seconds))
        login = partial(post, f"{users.url}/api/login/", LOGIN_BODY)
        probe = get(f"http://127.0.0.1:{users_management}/readyz")
        with repeated(login, 8):
            lines.append(row("eight logins in progress", get(f"{users.url}/.well-known/jwks.json"), probe, seconds))
        return "\n".join([*lines, "", bodies(users)])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="duration of each kind of attack in seconds")
    parser.add_argument("--kinds", nargs="*", default=[*KINDS], choices=[*KINDS], help="measure only these kinds")
    arguments = parser.parse_args()
    print(report(arguments.seconds, arguments.kinds))


if __name__ == "__main__":
    main()
