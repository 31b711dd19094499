"""Compare the speed of each service with that of constant views.

Run this script with `python -m bench.serve`.

The constant views (bench/constant.py) always return the same response. The constant views and the services run in
gunicorn, with one worker each. The services use a temporary PostgreSQL. The load generator `wrk` sends requests to one
server after another, in short rounds. So if other programs use the CPU, they slow down all measurements alike. The
figures are medians over the rounds. The CPU time is that of the servers, and does not include `wrk`.
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
import timeit
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import jwt
import psycopg
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tools import postgres
from tools.local import PROJECTS, ROOT, Local
from tools.system import answers, free_ports

CONNECTIONS = 8
# With these settings, web refuses no search or login, and thoughts_api refuses no search or write. Both keep one
# thread free of searches. They need twice as many threads as connections, because searches that wrk abandons when it
# exits may still be running when wrk starts again.
ENOUGH_THREADS = {"THREADS": str(2 * CONNECTIONS + 1)}
UNLIMITED = ENOUGH_THREADS | {"WRITES_PER_MINUTE": "1000000", "WRITES_PER_DAY": "1000000"}
ENOUGH = 10_000  # number of requests before memory is measured for the last time
IMAGE = dict(re.findall(r"\b(GLIBC_TUNABLES)=(\S+)", (ROOT / "Dockerfile").read_text()))


def post(body: dict[str, str]) -> str:
    """Return a wrk script that sends POST requests with this body as JSON."""
    return f"""
wrk.method = "POST"
wrk.body = '{json.dumps(body)}'
wrk.headers["Content-Type"] = "application/json"
"""


CREATED = "A thought that a benchmark writes."
CREATE = post({"text": CREATED})
LOGIN_BODY = {"username": "bruce", "password": "bruce"}
LOGIN = post(LOGIN_BODY)


def proportional_set_size(rollups: str) -> float:
    """Return the total PSS in MB, given the text of /proc/<pid>/smaps_rollup files."""
    return sum(map(int, re.findall(r"^Pss: +(\d+) kB$", rollups, re.MULTILINE))) * 1024 / 1e6


@dataclass
class Server:
    """A running gunicorn with one worker.

    `start` is the number of seconds until it was ready.
    """

    url: str
    process: "subprocess.Popen[bytes]"
    environment: dict[str, str]
    start: float = 0

    def processes(self) -> list[int]:
        """Return the process ids of the master and of the worker."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def cpu(self) -> float:
        """Return the CPU seconds that the master and the worker have used so far."""
        ticks = 0
        for pid in self.processes():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Return the memory of the master and the worker, as proportional set size in MB."""
        return proportional_set_size("".join(Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.processes()))


def renewing(users: Server) -> str:
    """Log in, and return a wrk script that renews tokens.

    The script sends each refresh token only once.
    """
    url = f"{users.url}/api/login/"
    # wrk needs one token more than it has connections, because it builds one request that it does not send.
    tokens = [requests.post(url, LOGIN_BODY, timeout=9).json()["refresh"] for _ in range(CONNECTIONS + 1)]
    return f"""
local tokens = {{{", ".join(f'"{token}"' for token in tokens)}}}
local headers = {{["Content-Type"] = "application/json"}}
function request()
  return wrk.format("POST", nil, headers, '{{"refresh": "' .. table.remove(tokens, 1) .. '"}}')
end
function response(status, headers, body)
  table.insert(tokens, body:match('"refresh": ?"([^"]+)"'))
end
"""


@dataclass
class Case:
    """A kind of request, and the results of the rounds.

    The first of `servers` answers the requests. The others are servers that it calls, whose CPU time is included.
    """

    name: str
    servers: list[Server]
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    script: str | Callable[[], str] = ""
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def round(self, seconds: float) -> None:
        """Send requests for `seconds`, and record the rate and the CPU time per request."""
        script = self.script if isinstance(self.script, str) else self.script()
        before = sum(server.cpu() for server in self.servers)
        count, rate, _ = wrk(self.servers[0].url + self.path, seconds, self.headers, script)
        self.cpu.append((sum(server.cpu() for server in self.servers) - before) / count * 1000)
        self.rates.append(rate)

    @property
    def rate(self) -> float:
        """Return the median number of requests per second."""
        return statistics.median(self.rates)

    @property
    def each(self) -> float:
        """Return the median number of CPU milliseconds per request."""
        return statistics.median(self.cpu)


def wrk(url: str, seconds: float, headers: dict[str, str] | None = None, script: str = "") -> tuple[int, float, float]:
    """Send requests with wrk for this number of seconds.

    Return the number of requests, the requests per second, and the 99th percentile of the response times in
    milliseconds. Raise SystemExit if a request failed.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        done = subprocess.run(
            [
                *("wrk", "--latency", "--threads=1", f"--connections={CONNECTIONS}", f"--duration={seconds}s"),
                *(f"--header={name}: {value}" for name, value in (headers or {}).items()),
                *(["--script", file.name] if script else []),
                url,
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(f"Requests of wrk to {url} failed: {done.stdout}")
    slowest = _match(r"\n +99% +(\S+)", done.stdout)
    number = slowest.rstrip("mus")
    return (
        int(_match(r"(\d+) requests in", done.stdout)),
        float(_match(r"Requests/sec:\s+(\S+)", done.stdout)),
        float(number) * {"us": 0.001, "ms": 1, "s": 1000}[slowest.removeprefix(number)],
    )


def _match(pattern: str, output: str) -> str:
    found = re.search(pattern, output)
    if not found:
        raise SystemExit(f"The output of wrk does not match {pattern}: {output}")
    return found[1]


@contextmanager
def gunicorn(
    application: str,
    environment: dict[str, str],
    port: int,
    path: str = "/readyz",
    options: Sequence[str] = (),
    root: Path = ROOT,
) -> Iterator[Server]:
    """Run gunicorn, by default with one worker, and wait until `path` answers."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", "python:common.server.gunicorn_conf", *options, application],
        cwd=root,
        env={**os.environ, **IMAGE, **environment, "HOST": "127.0.0.1", "PORT": str(port), "WEB_CONCURRENCY": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = Server(f"http://127.0.0.1:{port}", process, environment)
    try:
        while not answers(f"{server.url}{path}"):
            if process.poll() is not None:
                raise SystemExit(f"{application} did not start.")
            time.sleep(0.02)
        server.start = time.perf_counter() - begin
        yield server
    finally:
        process.terminate()
        process.wait()


@contextmanager
def environments(ports: dict[str, int]) -> Iterator[dict[str, dict[str, str]]]:
    """Yield the environment variables of each project, for a temporary PostgreSQL.

    The databases are migrated and contain the sample data.
    """
    with tempfile.TemporaryDirectory() as folder, postgres.server() as url:
        local = Local(Path(folder), ports)
        local.make_secrets()
        found = {project: {**local.environment(project), "LOG_LEVEL": "WARNING"} for project in PROJECTS}
        found["thoughts_api"] |= UNLIMITED
        found["web"] |= ENOUGH_THREADS
        for project, environment in found.items():
            if project != "web":
                name = "postgres" if project == "users_api" else "template1"
                environment["DATABASE_URL"] = postgres.database(url, name)
            commands = [["collectstatic", "--no-input", "--verbosity=0"]]
            commands += [] if project == "web" else [["migrate", "--verbosity=0"], ["load_sample_data"]]
            for command in commands:
                subprocess.run(
                    [sys.executable, f"{project}/manage.py", *command],
                    cwd=ROOT,
                    env=environment,
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
        yield found


@contextmanager
def system() -> Iterator[tuple[dict[str, Server], Server]]:
    """Start the services with sample data, and the constant views."""
    *ports, constant = free_ports(len(PROJECTS) + 1)
    with ExitStack() as stack:
        found = stack.enter_context(environments(dict(zip(PROJECTS, ports, strict=True))))
        servers = {
            project: stack.enter_context(gunicorn(f"{project}.wsgi", environment, port))
            for (project, environment), port in zip(found.items(), ports, strict=True)
        }
        threads = {"THREADS": found["thoughts_api"]["THREADS"]}
        yield servers, stack.enter_context(gunicorn("bench.constant", threads, constant, path="/"))


def authorizations(folder: Path, *names: str) -> list[str]:
    """Write jwks.json to `folder`, and return an Authorization header for each user."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "bench", "use": "sig"}
    (folder / "jwks.json").write_text(json.dumps({"keys": [jwk]}))
    now = int(time.time())
    claims = {"user_id": 1, "iss": "users-api", "token_type": "access", "iat": now, "exp": now + 3600}
    return [
        "Bearer " + jwt.encode(claims | {"username": name}, key, algorithm="RS256", headers={"kid": "bench"})
        for name in names
    ]


def forget_created(thoughts: Server) -> None:
    """Delete the thoughts of a round, so that every round reads the same rows."""
    with psycopg.connect(thoughts.environment["DATABASE_URL"], autocommit=True) as database:
        database.execute("DELETE FROM thoughts_api_thought WHERE text = %s", [CREATED])
        database.execute("VACUUM (FULL, ANALYZE) thoughts_api_thought")


def rates(servers: dict[str, Server], constant: Server, rounds: int, seconds: float) -> str:
    """Run all cases in rounds, and return rates, ratios and CPU times as Markdown."""
    answer = requests.post(
        f"{servers['users_api'].url}/api/login/", {"username": "bruce", "password": "bruce"}, timeout=9
    )
    token = {"Authorization": answer.json()["Authorized"]}
    users, thoughts, web = ([servers[name]] for name in ("users_api", "thoughts_api", "web"))
    view = Case("constant view", [constant], "/")
    template = Case("constant template", [constant], "/template")
    search = Case("search", thoughts, "/api/thoughts/?search=the")
    one = Case("one thought", thoughts, "/api/thoughts/1/")
    own = Case("own list", thoughts, "/api/me/thoughts/?limit=10", token)
    create = Case("create", thoughts, "/api/me/thoughts/", token, CREATE)
    call = Case("the page's API call", thoughts, "/api/thoughts/?limit=20&ordering=-id&search=the")
    page = Case("web page: search", [*web, *thoughts], "/search?search=the")
    login = Case("login", users, "/api/login/", {}, LOGIN)
    renew = Case("renewing a token", users, "/api/token/refresh/", {}, lambda: renewing(servers["users_api"]))
    argon2 = Case("Argon2id alone", [constant], "/argon2")
    cases = [view, template, search, own, one, create, call, page, renew, argon2, login]
    for number in range(rounds):
        for case in cases:
            case.round(seconds)
            if case is create:
                forget_created(servers["thoughts_api"])
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)

    lines = [
        f"| {'':<20} | requests/s | ratio | CPU ms each |",
        "| -------------------- | ---------: | ----: | ----------: |",
    ]
    lines += [
        f"| {each.name:<20} | {each.rate:>10.0f} | {each.rate / view.rate:>5.2f} | {each.each:>11.2f} |"
        for each in cases
    ]
    first, again = verifying(token["Authorization"], servers["users_api"])
    whole_page, alone = page.each / (template.each + call.each), login.each / argon2.each
    return (
        "\n".join(lines)
        + f"""

The column "ratio" compares each rate with the rate of the constant view, which does no work. The database contains the
eight sample thoughts. A page of web takes {whole_page:.2f} times as much CPU as the constant template and the page's
API call together. A login takes {alone:.2f} times as much CPU as Argon2id alone. To verify a token, a process needs
{first:.3f} ms of CPU the first time, and {again:.3f} ms each later time.
"""
    )


def verifying(authorization: str, users: Server) -> tuple[float, float]:
    """Return the CPU time in ms for the first and a repeated verification of a token."""
    from django.conf import settings

    from common import tokens
    from common.tokens import keys, verification

    settings.configure(TOKENS_ISSUER="users-api")
    jwks = requests.get(f"{users.url}/.well-known/jwks.json", timeout=9).json()
    key_set = keys.KeySet(lambda: jwks)

    def first() -> None:
        verification._user.cache_clear()  # noqa: SLF001 - no public function clears this cache
        again()

    def again() -> None:
        tokens.from_header(authorization, key_set)

    def milliseconds(action: Callable[[], None]) -> float:
        repeated = timeit.repeat(action, timer=time.process_time, repeat=20, number=200)
        return statistics.median(repeated) / 200 * 1000

    return milliseconds(first), milliseconds(again)


def during_logins(users: Server, seconds: float) -> tuple[float, float]:
    """Return the 99th percentile of read times in ms: first alone, then during logins."""
    read = f"{users.url}/.well-known/jwks.json"
    alone = wrk(read, seconds)[2]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(LOGIN)
        file.flush()
        command = ["wrk", "--threads=1", f"--connections={CONNECTIONS}", f"--duration={seconds + 1}s"]
        with subprocess.Popen(
            [*command, "--script", file.name, f"{users.url}/api/login/"], stdout=subprocess.DEVNULL
        ) as logins:
            time.sleep(0.5)
            during = wrk(read, seconds)[2]
            logins.wait()
    return alone, during


def reads(users: Server, seconds: float) -> str:
    """Return a sentence about how much logins slow down reads."""
    alone, during = map(statistics.median, zip(*(during_logins(users, seconds) for _ in range(3)), strict=True))
    return (
        f"With eight concurrent clients, 99 % of reads from users_api take at most {alone:.0f} ms. While eight other"
        f" clients log in, they take at most {during:.0f} ms.\n"
    )


def connections(servers: dict[str, Server], pages: int = 1000) -> str:
    """Return a sentence about how many connections web opens to the APIs.

    The function requests `pages` pages from web, and counts the new connections.
    """
    ports = {int(servers[name].url.rpartition(":")[2]) for name in ("thoughts_api", "users_api")}

    def seen() -> set[str]:
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return {each[1] for each in lines if int(each[2].rpartition(":")[2], 16) in ports}

    with requests.Session() as session:
        url = f"{servers['web'].url}/search?search=the"
        session.get(url, timeout=9)
        before = seen()
        for _ in range(pages):
            session.get(url, timeout=9).raise_for_status()
        new = seen() - before
    return f"To serve {pages} pages, web opened {len(new)} new connections to the APIs.\n"


def weight(web: Server) -> str:
    """Return a sentence about the compressed size of a page with its static files."""
    size, compressed = 0, {"Accept-Encoding": "gzip"}
    page = requests.get(f"{web.url}/search?search=the", timeout=9).text
    paths = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    for path in ["/search?search=the", *paths]:
        with requests.get(f"{web.url}{path}", headers=compressed, timeout=9, stream=True) as answer:
            size += len(answer.raw.read(decode_content=False))
    return f"A page and its {len(paths)} static files take {size / 1000:.1f} kB when compressed.\n"


def needs(servers: dict[str, Server]) -> str:
    """Return a table with the startup time and the memory of each service.

    The table shows the memory at startup and after many requests.
    """
    lines = [
        "| | ready after s | MB at startup | after 5,000 requests | after 10,000 |",
        "| --- | --: | --: | --: | --: |",
    ]
    paths = {
        "users_api": "/.well-known/jwks.json",
        "thoughts_api": "/api/thoughts/?search=the",
        "web": "/search?search=the",
    }
    for name, path in paths.items():
        server = servers[name]
        memory = [server.memory()]
        for _ in range(2):
            count = 0
            while count < ENOUGH / 2:
                count += wrk(server.url + path, 1)[0]
            if name == "users_api":
                wrk(f"{server.url}/api/login/", 3, script=LOGIN)
                time.sleep(1)  # wait until the logins that wrk abandoned are finished
            memory.append(server.memory())
        lines.append(f"| {name} | {server.start:.1f} | {' | '.join(f'{each:.0f}' for each in memory)} |")
    lines += [
        "",
        "Memory is the proportional set size (PSS) of gunicorn, which runs as one process. After each 5,000 requests",
        "to users_api, eight clients also log in for three seconds.",
        "",
    ]
    return "\n".join(lines)


def report(rounds: int = 5, seconds: int = 3) -> str:
    """Return all tables as Markdown."""
    if not shutil.which("wrk"):
        raise SystemExit("Install wrk, which generates the load (on Debian and Ubuntu: apt install wrk).")
    with system() as (servers, constant):
        return "\n".join(
            [
                needs(servers),
                rates(servers, constant, rounds, seconds),
                reads(servers["users_api"], seconds),
                connections(servers),
                weight(servers["web"]),
            ]
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="seconds of load for each case in a round")
    arguments = parser.parse_args()
    print(report(arguments.rounds, arguments.seconds))


if __name__ == "__main__":
    main()
