"""Kill PostgreSQL under load, and check that no acknowledged write is lost.

Run this script with `python -m tools.chaos [--kills 7]`.

Clients continuously write unique texts and read lists, through the ingress of the local overlay. Meanwhile, this script
force-deletes the PostgreSQL pod of thoughts_api several times. A write is acknowledged if the API answers 201.

The output shows how many writes were acknowledged, lost, or stored twice, and lists the failures. The exit code is 1 if
a write was lost or stored twice. It is also 1 if a request failed with anything but a 503 from the API itself. Each
kill takes about 20 seconds.
"""

import argparse
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from tools import localhost
from tools.cluster import unlimited
from tools.kubectl import Kubectl, is_ready

URL = "http://thoughts.localhost"
LOGIN = "http://users.localhost/api/login/"
POSTGRES = "thoughts-postgres"
WRITERS = 8
READERS = 4
TIMEOUT = 30  # seconds for one request
BETWEEN = 5  # seconds of load before the first kill and after each recovery


@dataclass
class Outcome:
    """The clients' results: acknowledged texts, and counts of reads and failures."""

    acknowledged: list[str] = field(default_factory=list)
    read: int = 0
    refused: int = 0  # requests that the API itself answered with 503
    failures: Counter[str] = field(default_factory=Counter)  # all other failures
    lock: threading.Lock = field(default_factory=threading.Lock)


def token() -> dict[str, str]:
    """Log in, and return the Authorization header."""
    answer = requests.post(LOGIN, {"username": "bruce", "password": "bruce"}, timeout=TIMEOUT)
    answer.raise_for_status()
    return {"Authorization": answer.json()["Authorized"]}


def is_own_503(answer: requests.Response) -> bool:
    """Return whether this is a 503 from the API itself.

    An ingress would send a different body.
    """
    try:
        return answer.status_code == 503 and bool(answer.json()["message"]) and "Retry-After" in answer.headers
    except (ValueError, KeyError, TypeError):
        return False


def write(outcome: Outcome, run: str, headers: dict[str, str], stop: threading.Event) -> None:
    """Write unique texts until `stop` is set. Each begins with `run`."""
    with requests.Session() as http:
        while not stop.is_set():
            text = f"{run} {uuid.uuid4().hex}"
            _send(outcome, http, "POST", "/api/me/thoughts/", 201, text, headers=headers, json={"text": text})


def read(outcome: Outcome, stop: threading.Event) -> None:
    """Read the newest thoughts until `stop` is set."""
    with requests.Session() as http:
        while not stop.is_set():
            _send(outcome, http, "GET", "/api/thoughts/?ordering=-id&limit=5", 200, None)


def _send(
    outcome: Outcome, http: requests.Session, method: str, path: str, expected: int, text: str | None, **kwargs: Any
) -> None:
    try:
        answer = http.request(method, URL + path, timeout=TIMEOUT, **kwargs)
    except requests.RequestException as error:
        with outcome.lock:
            outcome.failures[f"{method}: {type(error).__name__}"] += 1
        return
    with outcome.lock:
        if answer.status_code == expected and text:
            outcome.acknowledged.append(text)
        elif answer.status_code == expected:
            outcome.read += 1
        elif is_own_503(answer):
            outcome.refused += 1
        else:
            outcome.failures[f"{method}: {answer.status_code} {answer.text[:60]!r}"] += 1


@contextmanager
def load(outcome: Outcome, run: str) -> Iterator[None]:
    """Write and read in background threads while the block runs."""
    headers, stop = token(), threading.Event()
    clients = [threading.Thread(target=write, args=(outcome, run, headers, stop)) for _ in range(WRITERS)]
    clients += [threading.Thread(target=read, args=(outcome, stop)) for _ in range(READERS)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        stop.set()
        for client in clients:
            client.join()


def stored(run: str, headers: dict[str, str]) -> Counter[str]:
    """Return how often the API lists each text of this run."""
    found: Counter[str] = Counter()
    url: str | None = f"{URL}/api/me/thoughts/?limit=1000"
    while url:
        answer = requests.get(url, headers=headers, timeout=TIMEOUT)
        answer.raise_for_status()
        found.update(each["text"] for each in answer.json() if each["text"].startswith(run))
        url = answer.links.get("next", {}).get("url")
    return found


def kill(kubectl: Kubectl) -> None:
    """Force-delete the PostgreSQL pod, and wait until a new pod is ready."""
    uid = kubectl.json("get", "pod", f"{POSTGRES}-0")["metadata"]["uid"]
    kubectl("delete", "pod", f"{POSTGRES}-0", "--grace-period=0", "--force")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        pods = kubectl.json("get", "pods", f"--selector=app.kubernetes.io/name={POSTGRES}")["items"]
        if any(pod["metadata"]["uid"] != uid and is_ready(pod) for pod in pods):
            return
        time.sleep(0.5)
    raise SystemExit(f"The new pod of {POSTGRES} is not ready after two minutes.")


def run(kubectl: Kubectl, kills: int) -> tuple[Outcome, Counter[str]]:
    """Kill PostgreSQL `kills` times under load.

    Return the results of the clients, and how often each text is stored at the end.
    """
    outcome, name = Outcome(), f"chaos {uuid.uuid4().hex[:8]}"
    with load(outcome, name):
        for _ in range(kills):
            time.sleep(BETWEEN)
            kill(kubectl)
        time.sleep(BETWEEN)
    return outcome, stored(name, token())


def lost_and_twice(outcome: Outcome, found: Counter[str]) -> tuple[int, int]:
    """Return the number of lost texts and the number of texts stored more than once.

    An acknowledged text is lost if it is not stored.
    """
    return sum(not found[text] for text in outcome.acknowledged), sum(count > 1 for count in found.values())


def main() -> int:
    """Run the test, print the results, and return the exit code."""
    localhost.resolve()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--context", help="kubectl's context (default: the current one)")
    parser.add_argument("--kills", type=int, default=7)
    arguments = parser.parse_args()
    kubectl = Kubectl(arguments.context)
    with unlimited(kubectl):
        outcome, found = run(kubectl, arguments.kills)
    lost, twice = lost_and_twice(outcome, found)
    print(
        f"{len(outcome.acknowledged)} acknowledged over {arguments.kills} kills: {lost} lost, {twice} stored twice; "
        f"{outcome.read} read, {outcome.refused} refused with our 503, {outcome.failures.total()} failed otherwise"
    )
    for failure, count in outcome.failures.most_common():
        print(f"    {count} x {failure}")
    return int(bool(lost or twice or outcome.failures))


if __name__ == "__main__":
    sys.exit(main())
