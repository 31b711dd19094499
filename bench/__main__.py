"""`make bench`: run the benchmarks and write their output to docs/performance.md.

In that file, each benchmark has a section, which also names the machine and the date. `make bench only="serve scaling"`
runs only these two benchmarks and keeps the other sections. The command skips a benchmark whose
requirements are not met, for example if no cluster is reachable.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

from bench import images, inner_loop, sessions
from tools import cluster, postgres
from tools.e2e import Failed
from tools.kubectl import Kubectl, KubectlError
from tools.local import ROOT

FILE = ROOT / "docs" / "performance.md"
INTRODUCTION = """# Performance

`make bench` writes this page, except the last two sections. The benchmarks run on a shared machine, where the same
measurement can vary by a factor of two. So compare only figures within one table, and not figures from different
sections.

A column with the title "99 %" contains the 99th percentile: 99 % of the measured values are not higher.
"""


def nothing() -> str:
    """Return "", for a benchmark that requires nothing."""
    return ""


def overlay() -> str:
    """Return the missing requirement, or "" if the local overlay runs in a cluster."""
    running = _answers("get", "deployment", "web", "thoughts-api", "users-api")
    return "" if running else "the local overlay in a cluster (tilt up)"


def tilt() -> str:
    """Return the missing requirement, or "" if Tilt and a cluster can be used."""
    if not shutil.which(inner_loop.TILT) or not _answers("version"):
        return "Tilt and a cluster"
    return "that the running Tilt is stopped, because it starts Tilt" if inner_loop.resources() else ""


def builder() -> str:
    """Return "" if Docker can build images and a registry is running.

    Otherwise, return a description of both requirements.
    """
    try:
        cluster.docker()
        urlopen(f"http://{images.REGISTRY}/v2/", timeout=5).close()
    except (Failed, OSError):
        return f"a Docker Engine that can build images, and a registry on {images.REGISTRY}"
    return ""


def history() -> str:
    """Return the missing requirement, or "" if the repository has the commit BEFORE."""
    command = ["git", "cat-file", "-e", sessions.BEFORE]
    known = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    return "" if known.returncode == 0 else f"git's commit {sessions.BEFORE}"


def _answers(*arguments: str) -> bool:
    try:
        Kubectl()(*arguments, "--request-timeout=5s")
    except (KubectlError, subprocess.TimeoutExpired):
        return False
    return True


BENCHMARKS: dict[str, tuple[str, Callable[[], str]]] = {
    "search": ("Search among a million thoughts", nothing),
    "serve": ("One worker of each service", nothing),
    "sessions": ("Sessions", history),
    "tracing": ("Traces", nothing),
    "hostile": ("Hostile clients", nothing),
    "workers": ("gunicorn's workers", nothing),
    "images": ("The images", builder),
    "scaling": ("One, two and three pods of each service", overlay),
    "rollout": ("Requests while pods come and go", overlay),
    "chaos": ("Killed databases", overlay),
    "inner_loop": ("From a change to the new answer, with Tilt", tilt),
}

# The first paragraph of each section, by the name of the benchmark.
EXPLANATIONS = {
    "search": """\
The benchmark stores a million generated thoughts in PostgreSQL and searches for several kinds of substrings. The first
table shows the CPU time of these queries, as a percentage of the CPU time of a full scan. A deep page is a page from
the middle of the results.""",
    "serve": """\
The benchmark starts one gunicorn worker of each service, with one PostgreSQL server. The first table shows how long
each service takes to start, and its memory in MB.""",
    "sessions": """\
The benchmark compares logins and refreshes with those of an older commit, which had no sessions. "before" means that
commit, and "now" means the current one.""",
    "tracing": """\
Two servers run the same code of thoughts_api, and one of them traces a fraction of its requests. The benchmark sends
searches to each server in turn. The collector of the traces runs on the same CPUs as the servers.""",
    "hostile": """\
Each row of the first table describes one test. In the first test, there are no hostile clients. In each of the next
tests, 200 hostile clients of one kind stay connected to thoughts_api. In the last two, other clients keep all threads
of thoughts_api busy, or log in to users_api. During each test, an honest client sends one request at a time, and a
probe checks the readiness of the service. The table shows how many requests the honest client sent, and how long these
requests and the probes took.

The second table shows request bodies that are expensive to parse. First one client sends each body alone. Then eight
clients send it at the same time, to see how much memory this adds.""",
    "workers": """\
The benchmark starts thoughts_api and users_api with different numbers of gunicorn processes and threads. It measures
searches in thoughts_api, and a read from users_api, first alone and then during eight concurrent logins. "MB" is
the memory of thoughts_api. The rows in bold are close to the settings in use.""",
    "images": """\
The first table shows the size of each image. It also shows how long it takes to build and push the image after a
one-line change, and how much data is pushed. For the second table, a container of thoughts_api receives SIGTERM while
eight clients send requests. The clients first use persistent connections, then a new connection for each request.""",
    "scaling": """\
locust simulates more and more users, with one, two and three pods of each service. Each row shows the largest number
of users for which the responses stayed fast enough. locust, PostgreSQL and the cluster ran on the same two cores.""",
    "rollout": """\
The benchmark sends 50 requests per second through the ingress to two pods of each service. Meanwhile it restarts,
deletes and evicts the pods of one service after another. The first lines show how long each of these phases took.
The table shows how many requests were sent, answered and failed in each phase, and how long the requests took.""",
    "chaos": """\
Clients write and read thoughts through the ingress. Meanwhile the benchmark kills the PostgreSQL pod of thoughts_api
several times. The result shows how many acknowledged writes were lost or stored twice, and how many requests
failed.""",
    "inner_loop": """\
The first table shows how long `tilt up` takes until all resources are ready. For the second table, the benchmark edits
a file and measures the seconds until the edit has its effect. For most edits, that is a response with the new content.
Then it restores the file and measures again. Meanwhile it sends other requests to the three services, and counts those
that fail.""",
}


def machine() -> str:
    """Return a description of this machine, in one line."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    programs = postgres.find()
    printed = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True) if programs else None
    server = printed.stdout.split()[2] if printed else "?"
    name = cpu[1] if cpu else platform.machine()
    return f"{os.cpu_count()} x {name}, {memory:.0f} GB, Python {platform.python_version()}, PostgreSQL {server}"


def sections() -> dict[str, str]:
    """Return the sections of docs/performance.md, by title."""
    text = FILE.read_text() if FILE.exists() else ""
    parts = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)
    return {title: body.strip() for title, body in zip(parts[1::2], parts[2::2], strict=True)}


def main(only: list[str]) -> None:
    """Run the selected benchmarks, or all.

    Write the section of each benchmark when the benchmark finishes.
    """
    unknown = set(only) - BENCHMARKS.keys()
    if unknown:
        raise SystemExit(f"Unknown benchmark {', '.join(sorted(unknown))}. The names are {', '.join(BENCHMARKS)}.")
    for name, (title, missing) in BENCHMARKS.items():
        if only and name not in only:
            continue
        if needed := missing():
            print(f"{name}: skipped, because it requires {needed}.", flush=True)
            continue
        command = [sys.executable, "-m", f"bench.{name}"]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, flush=True)
        if done.returncode:
            raise SystemExit(f"bench.{name} exited with {done.returncode}.")
        output = done.stdout.strip() if "| --" in done.stdout else f"```\n{done.stdout.strip()}\n```"
        written = sections() | {
            title: f"`python -m bench.{name}`, {datetime.now(UTC):%Y-%m-%d}; {machine()}.\n\n"
            f"{EXPLANATIONS[name]}\n\n{output}"
        }
        # The sections that no benchmark writes come last.
        titles = {title: "" for title, _ in BENCHMARKS.values() if title in written} | written
        FILE.write_text("\n".join([INTRODUCTION, *(f"## {title}\n\n{written[title]}\n" for title in titles)]))


if __name__ == "__main__":
    main(sys.argv[1:])
