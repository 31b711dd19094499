"""Compare the HTTP latency of thoughts_api with a thousand and a million thoughts.

There are two databases on one PostgreSQL server, a small one and a large one. Each has its own thoughts_api server.
Requests are sent at a fixed rate, alternately to both servers. Every round contains requests of each kind. So if
other programs use the CPU, they slow down all measurements alike.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from random import Random

import requests

from bench.serve import authorizations, gunicorn
from bench.texts import texts
from tools import postgres
from tools.local import ROOT, Local
from tools.projects import PORTS
from tools.system import free_ports

SMALL = 1000
CLIENTS = 16  # the maximum number of concurrent requests
ROUNDS = 4
REQUESTS = 400  # the number of requests of each kind that each server gets in each round
RATE = 40  # requests per second, the total for both servers
FILL = """
import sys, django
django.setup()
from django.core.management import call_command
from bench.search import load
call_command("migrate", verbosity=0)
load(int(sys.argv[1]))
"""
Send = Callable[[requests.Session, str], requests.Response]


def kinds(tokens: list[str], random: Random) -> dict[str, Send]:
    """Return a function for each kind of request.

    Each function sends one request of its kind to a server.
    """
    common = list(islice(texts(), SMALL))  # the texts that both databases contain

    def cut(shortest: int, longest: int) -> str:
        text = random.choice(common)
        start = random.randrange(max(1, len(text) - longest))
        return text[start : start + random.randint(shortest, longest)]

    def get(path: str, **params: str) -> Send:
        return lambda session, url: session.get(f"{url}{path}", params=params, timeout=30)

    def search(substring: Callable[[], str]) -> Send:
        return lambda session, url: session.get(f"{url}/api/thoughts/", params={"search": substring()}, timeout=30)

    def own(session: requests.Session, url: str) -> requests.Response:
        return session.get(f"{url}/api/me/thoughts/", headers={"Authorization": random.choice(tokens)}, timeout=30)

    def one(session: requests.Session, url: str) -> requests.Response:
        return session.get(f"{url}/api/thoughts/{random.randint(1, SMALL)}/", timeout=30)

    single: dict[str, Send] = {
        "one thought": one,
        "one's own list": own,
        "the newest": get("/api/thoughts/", ordering="-id"),
        "a frequent search": search(lambda: random.choice(("the", "e", "a ", "и", " "))),
        "a rare search": search(lambda: cut(15, 40)),
        "an absent search": search(lambda: "".join(random.choices("etaoinqzx", k=random.randint(4, 12)))),
    }
    mixed = [*single.values(), search(lambda: cut(1, 1)), search(lambda: cut(2, 2)), search(lambda: cut(3, 8))]
    return single | {"a random mix": lambda session, url: random.choice(mixed)(session, url)}


def measure(urls: dict[str, str], send: Send) -> dict[str, list[float]]:
    """Send requests to the servers in turn, and return each server's durations in ms."""
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=CLIENTS))
    times: dict[str, list[float]] = {name: [] for name in urls}

    def timed(name: str, url: str) -> None:
        begin = time.perf_counter()
        send(session, url).raise_for_status()
        times[name].append((time.perf_counter() - begin) * 1000)

    begin = time.perf_counter()
    sent: list[Future[None]] = []
    with ThreadPoolExecutor(CLIENTS) as pool:
        for _ in range(REQUESTS):
            for name, url in urls.items():
                time.sleep(max(0.0, begin + len(sent) / RATE - time.perf_counter()))
                sent.append(pool.submit(timed, name, url))
    for each in sent:
        each.result()
    return times


def percentile(times: list[float], share: float) -> float:
    """Return the time that the given share of requests, from 0 to 1, does not exceed."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def report(database_url: str, rows: int, folder: Path) -> str:
    """Measure the response times, and return the table as Markdown.

    The database at `database_url` must already contain `rows` thoughts. This function stores keys in `folder`.
    """
    small = postgres.database(database_url, "template1")
    tokens = authorizations(folder, *(f"user{number * 7919 % 20011}" for number in range(50)))
    local = Local(folder, PORTS)
    local.make_secrets()
    environment = local.environment("thoughts_api")
    # thoughts_api keeps one thread free of searches, so it needs one more thread than there are clients.
    threads = {"THREADS": str(CLIENTS + 1)}
    environment |= threads | {"TOKENS_JWKS": f"{folder}/jwks.json", "STATIC_HASHED": "false"}
    subprocess.run(
        [sys.executable, "-c", FILL, str(SMALL)], cwd=ROOT, env=environment | {"DATABASE_URL": small}, check=True
    )
    lines = [
        f"The next table compares the response times of thoughts_api with {SMALL:,} and with {rows:,} thoughts:",
        "",
        f"| | {SMALL:,}: median ms | 99 % | {rows:,}: median ms | 99 % | ratio of the 99 % |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    with ExitStack() as stack:
        urls = {}
        for name, url in (("small", small), ("large", database_url)):
            server = gunicorn("thoughts_api.wsgi", {**environment, "DATABASE_URL": url}, free_ports(1)[0])
            urls[name] = stack.enter_context(server).url
        senders = kinds(tokens, Random(3))
        times: dict[str, dict[str, list[float]]] = {kind: {name: [] for name in urls} for kind in senders}
        for number in range(ROUNDS + 1):
            for kind, send in senders.items():
                for name, milliseconds in measure(urls, send).items():
                    if number:  # the first round is not counted, because it opens connections and fills caches
                        times[kind][name] += milliseconds
            print(f"round {number} of {ROUNDS}", file=sys.stderr, flush=True)
    for kind, both in times.items():
        at_small, at_large = both["small"], both["large"]
        small_99, large_99 = percentile(at_small, 0.99), percentile(at_large, 0.99)
        small_50, large_50 = statistics.median(at_small), statistics.median(at_large)
        figures = f"{small_50:.0f} | {small_99:.0f} | {large_50:.0f} | {large_99:.0f} | {large_99 / small_99:.1f}"
        lines.append(f"| {kind} | {figures} |")
    return "\n".join(lines)
