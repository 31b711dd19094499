"""`make bench`: run the benchmarks and write their output to docs/performance.md.

Each benchmark has a section there, with the machine and the date. `make bench only="serve scaling"` runs only these and
keeps the other sections. A benchmark is skipped if it lacks a requirement.
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

`make bench` writes these sections, except the last. On a shared machine, times vary by a factor of two. Compare ratios,
and medians of rounds that alternated.
"""


def nothing() -> str:
    """Return "": the benchmark has no requirements."""
    return ""


def overlay() -> str:
    """Return "", or the requirement if the local overlay is not running."""
    there = _answers("get", "deployment", "web", "thoughts-api", "users-api")
    return "" if there else "the local overlay in a cluster (tilt up)"


def tilt() -> str:
    """Return "", or the requirement if Tilt or a cluster is missing."""
    if not shutil.which(inner_loop.TILT) or not _answers("version"):
        return "Tilt and a cluster"
    return "that the running Tilt is stopped, because it starts Tilt" if inner_loop.resources() else ""


def builder() -> str:
    """Return "", or the requirement if Docker or a registry is missing."""
    try:
        cluster.docker()
        urlopen(f"http://{images.REGISTRY}/v2/", timeout=5).close()
    except (Failed, OSError):
        return f"a Docker Engine that builds, and a registry on {images.REGISTRY}"
    return ""


def history() -> str:
    """Return "", or the requirement if git lacks the commit BEFORE."""
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
    "hostile": ("Hostile clients", nothing),
    "workers": ("gunicorn's workers", nothing),
    "images": ("The images", builder),
    "scaling": ("One, two and three pods of each service", overlay),
    "rollout": ("Requests while pods come and go", overlay),
    "chaos": ("Killed databases", overlay),
    "inner_loop": ("From a change to the new answer, with Tilt", tilt),
}


def machine() -> str:
    """Describe the machine in one line."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    programs = postgres.find()
    printed = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True) if programs else None
    server = printed.stdout.split()[2] if printed else "?"
    name = cpu[1] if cpu else platform.machine()
    return f"{os.cpu_count()} x {name}, {memory:.0f} GB, Python {platform.python_version()}, PostgreSQL {server}"


def sections() -> dict[str, str]:
    """Return the sections of the file by title."""
    text = FILE.read_text() if FILE.exists() else ""
    parts = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)
    return {title: body.strip() for title, body in zip(parts[1::2], parts[2::2], strict=True)}


def main(only: list[str]) -> None:
    """Run the selected benchmarks, or all, and write each section when it is done."""
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
            title: f"`python -m bench.{name}`, {datetime.now(UTC):%Y-%m-%d}; {machine()}.\n\n{output}"
        }
        # The sections that no benchmark writes come last.
        titles = {title: "" for title, _ in BENCHMARKS.values() if title in written} | written
        FILE.write_text("\n".join([INTRODUCTION, *(f"## {title}\n\n{written[title]}\n" for title in titles)]))


if __name__ == "__main__":
    main(sys.argv[1:])
