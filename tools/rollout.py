"""Check that no request fails while pods are restarted, deleted and evicted.

    python -m tools.rollout [--context CONTEXT]

The script sends 50 requests per second through the ingress of the local overlay. Its clients log in, read and
write, through the APIs and through the pages. Meanwhile, the script restarts each service, deletes each pod, and evicts
each pod as `kubectl drain` does. The output shows how many requests were sent, answered and failed in each phase. The
exit code is 1 if a request failed. The script takes about eight minutes.

With `--busy`, two endless loops compete with the pods for the CPUs, if the pods run on this machine.
"""

import argparse
import itertools
import json
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Any

import requests

from tools import localhost
from tools.cluster import unlimited
from tools.kubectl import NAMESPACE, Kubectl, KubectlError

SERVICES = ("users-api", "thoughts-api", "web")
BUDGETS = Path(__file__).parent.parent / "k8s" / "components" / "disruption-budgets"
RATE = 50  # requests a second
LIMIT = 1200  # seconds at most
TIMEOUT = 15  # seconds for one request
TEXT = "written during a rollout"
# All clients together run at most four searches at a time. A pod of thoughts-api has five threads, and refuses a search
# while it runs four others.
SEARCHES = threading.BoundedSemaphore(4)


class User:
    """A client that is logged in to the APIs and the pages."""

    def __init__(self) -> None:
        self.http = requests.Session()
        self.http.get("http://frontend.localhost/login/", timeout=TIMEOUT).raise_for_status()
        self.web_login()
        self.login()
        self.written: list[int] = []

    def login(self) -> None:
        """Log in to the API."""
        answer = self._call("POST", "http://users.localhost/api/login/", 200, data=self._name)
        self.token = {"Authorization": answer.json()["Authorized"]}

    def search(self) -> None:
        """Search with the API."""
        with SEARCHES:
            self._call("GET", "http://thoughts.localhost/api/thoughts/?search=tea", 200)

    def own(self) -> None:
        """List the user's own thoughts with the API."""
        self._call("GET", "http://thoughts.localhost/api/me/thoughts/?limit=10", 200, headers=self.token)

    def write(self) -> None:
        """Write a thought with the API."""
        url = "http://thoughts.localhost/api/me/thoughts/"
        self.written.append(self._call("POST", url, 201, headers=self.token, data={"text": TEXT}).json()["id"])

    def delete(self) -> None:
        """Delete the oldest thought of this client with the API.

        If there is none, write one.
        """
        if not self.written:
            return self.write()
        url = f"http://thoughts.localhost/api/me/thoughts/{self.written.pop(0)}/"
        return void(self._call("DELETE", url, 204, headers=self.token))

    def web_login(self) -> None:
        """Log in to the pages."""
        self._call("POST", "http://frontend.localhost/login/", 302, data=self._name | self._csrf)

    def web_search(self) -> None:
        """Open the search page."""
        with SEARCHES:
            self._call("GET", "http://frontend.localhost/search?search=tea", 200)

    def web_own(self) -> None:
        """Open the page with the user's own thoughts."""
        self._call("GET", "http://frontend.localhost/thoughts/", 200)

    def web_write(self) -> None:
        """Write a thought with the form on the page."""
        self._call("POST", "http://frontend.localhost/thoughts/new", 302, data={"text": TEXT} | self._csrf)

    _name = {"username": "stephen", "password": "stephen"}

    @property
    def _csrf(self) -> dict[str, str]:
        token = next(str(cookie.value) for cookie in self.http.cookies if cookie.name.endswith("csrftoken"))
        return {"csrfmiddlewaretoken": token}

    def _call(self, method: str, url: str, expected: int, **kwargs: Any) -> requests.Response:
        answer = self.http.request(method, url, timeout=TIMEOUT, allow_redirects=False, **kwargs)
        if answer.status_code != expected:
            raise WrongAnswer(f"{answer.status_code} {answer.text[:60]!r}")
        return answer


class WrongAnswer(Exception):
    """The response has an unexpected status."""


def void(_: object) -> None:
    """Return None, whatever the argument is."""


# The requests, in the order in which they are sent. Of these 25, 2 log in, 3 write, 2 delete, and 18 read.
ACTS: list[Callable[[User], None]] = [
    User.login,
    *[User.search, User.own, User.write, User.web_search, User.web_own, User.delete, User.search] * 2,
    User.web_login,
    *[User.web_search, User.own, User.web_own, User.search] * 2,
    User.web_write,
]


@dataclass
class Phase:
    """The results of the requests that were sent in one phase."""

    name: str
    sent: int = 0
    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)


class Load:
    """A load generator whose request rate is constant, even if responses are slow."""

    def __init__(self, users: int = 32) -> None:
        self.phase = Phase("")
        self.stopped = threading.Event()
        self.users: queue.SimpleQueue[User] = queue.SimpleQueue()
        with ThreadPoolExecutor(4) as pool:
            for user in pool.map(lambda _: User(), range(users)):
                self.users.put(user)
        self.pool = ThreadPoolExecutor(users)
        self.sender = threading.Thread(target=self._send)

    def _send(self) -> None:
        begin = time.monotonic()
        for number, act in enumerate(itertools.cycle(ACTS)):
            due = begin + number / RATE
            if self.stopped.wait(max(0.0, due - time.monotonic())) or due > begin + LIMIT:
                return
            self.phase.sent += 1
            self.pool.submit(self._act, self.phase, act, time.monotonic())

    def _act(self, phase: Phase, act: Callable[[User], None], sent: float) -> None:
        user = self.users.get()
        try:
            act(user)
        except (requests.RequestException, WrongAnswer) as error:
            phase.failures[f"{act.__name__}: {error}"] += 1
        else:
            phase.seconds.append(time.monotonic() - sent)
        finally:
            self.users.put(user)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send requests in the background. On exit, wait for the last responses."""
        self.sender.start()
        try:
            yield
        finally:
            self.stopped.set()
            self.sender.join()
            self.pool.shutdown()


class Services(Kubectl):
    """A wrapper around kubectl that restarts, deletes and evicts a service's pods."""

    def pods(self, service: str) -> list[str]:
        """Return the names of a service's pods that are not terminating."""
        return [pod["metadata"]["name"] for pod in self._pods(service) if "deletionTimestamp" not in pod["metadata"]]

    def _pods(self, service: str) -> list[dict[str, Any]]:
        selector = f"app.kubernetes.io/name={service},app.kubernetes.io/component=server"
        pods: list[dict[str, Any]] = self.json("get", "pods", "--selector", selector)["items"]
        return pods

    def settle(self, service: str) -> None:
        """Wait until all replicas are ready and no pod is terminating."""
        self("rollout", "status", f"deployment/{service}", "--timeout=120s")
        while any("deletionTimestamp" in pod["metadata"] for pod in self._pods(service)):
            time.sleep(0.5)

    def restart(self, service: str) -> None:
        """Replace all pods, as a new release does."""
        self("rollout", "restart", f"deployment/{service}")
        self.settle(service)

    def delete_each(self, service: str) -> None:
        """Delete the pods one by one. After each deletion, wait until a new pod is ready."""
        for pod in self.pods(service):
            self("delete", "pod", pod, "--wait=true")
            self.settle(service)

    def evict_all(self, service: str) -> int:
        """Evict all pods, as `kubectl drain` does.

        Return how often the disruption budget refused an eviction.
        """
        refused = 0
        for pod in self.pods(service):
            metadata = {"name": pod, "namespace": NAMESPACE}
            eviction = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata})
            url = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
            while True:
                try:
                    self("create", "--raw", url, "--filename=-", given=eviction)
                    break
                except KubectlError as error:
                    if "disruption budget" not in str(error) and "TooManyRequests" not in str(error):
                        raise
                    refused += 1
                    time.sleep(1)
        self.settle(service)
        return refused


def phases(cluster: Services) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield each phase as a name and a function that disrupts the services."""
    yield "nothing", lambda: time.sleep(10)
    for name, act in [
        ("rollout restart", cluster.restart),
        ("delete each pod", cluster.delete_each),
        ("evict all pods", cluster.evict_all),
    ]:
        for service in SERVICES:
            yield f"{name}, {service}", partial(act, service)


def report(done: list[Phase]) -> bool:
    """Print the table of all phases, and return whether all requests succeeded."""
    print(f"{'':<32}{'sent':>7}{'answered':>10}{'failed':>8}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}")
    total = Phase("all", sum(phase.sent for phase in done), [second for phase in done for second in phase.seconds])
    for phase in done:
        total.failures += phase.failures
    for phase in [*done, total]:
        percent = quantiles(phase.seconds, n=100) if len(phase.seconds) > 1 else [0.0] * 99
        times = [f"{1000 * value:.0f}" for value in (percent[49], percent[98], max(phase.seconds, default=0))]
        counts = (phase.sent, len(phase.seconds), phase.failures.total())
        print(f"{phase.name:<32}{counts[0]:>7}{counts[1]:>10}{counts[2]:>8}{times[0]:>9}{times[1]:>9}{times[2]:>9}")
        if phase is not total:
            for failure, count in phase.failures.most_common(5):
                print(f"    {count} x {failure[:150]}")
    return total.sent == len(total.seconds)


def tidy() -> None:
    """Delete all thoughts that the clients have written."""
    user = User()
    url = "http://thoughts.localhost/api/me/thoughts/"
    while True:
        page = user.http.get(url, params={"limit": "1000", "ordering": "-id"}, headers=user.token, timeout=TIMEOUT)
        ids = [thought["id"] for thought in page.json() if thought["text"] == TEXT]
        for each in ids:
            user.http.delete(f"{url}{each}/", headers=user.token, timeout=TIMEOUT)
        if not ids:
            return


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Run this number of endless loops, each in its own process, while the block runs."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def main() -> int:
    """Scale each service to two replicas, run all phases, and scale back."""
    localhost.resolve()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--context", help="kubectl's context (default: the current one)")
    parser.add_argument("--busy", action="store_true", help="keep two CPUs of this machine busy")
    arguments = parser.parse_args()
    cluster = Services(arguments.context)
    done: list[Phase] = []
    try:
        for service in SERVICES:
            cluster("scale", f"deployment/{service}", "--replicas=2")
            cluster("apply", "--filename", str(BUDGETS / f"{service}.yaml"))
        for service in SERVICES:
            cluster.settle(service)
        load = Load()
        with unlimited(cluster), busy(2 if arguments.busy else 0), load.running():
            for name, act in phases(cluster):
                load.phase = Phase(name)
                done.append(load.phase)
                begin = time.monotonic()
                refused = act()
                refusals = f", the disruption budget refused {refused} evictions" if refused else ""
                print(f"{time.monotonic() - begin:5.1f} s  {name}{refusals}", flush=True)
        tidy()
    finally:
        for service in SERVICES:
            cluster("scale", f"deployment/{service}", "--replicas=1")
            cluster("delete", "--ignore-not-found", "--filename", str(BUDGETS / f"{service}.yaml"))
    return 0 if report(done) else 1


if __name__ == "__main__":
    sys.exit(main())
