"""Measure the throughput with one, two and three pods of each service.

Run this script with `python -m bench.scaling`.

Simulated users (bench/people.py) send requests through the ingress of the local overlay. The number of users grows in
steps, until a request fails or until the 99th percentile of the response times exceeds a second. The output is the last
successful step for each number of pods, and the memory of one pod. The production images must be deployed:
`tilt up -- --image production`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.serve import proportional_set_size
from tools import cluster
from tools.cluster import unlimited
from tools.kubectl import Kubectl
from tools.local import ROOT

LOCUST = ROOT / ".venv" / "locust" / "bin" / "locust"
SECONDS = 30  # of each step
STEPS = (10, 20, 30, 40, 60, 80, 110, 150, 200)  # number of users in each step
TOO_SLOW = 1000  # milliseconds that the 99th percentile must not exceed


@dataclass
class Step:
    """The results for a number of users.

    Response times are in milliseconds, and `rate` is in requests per second.
    """

    users: int
    rate: float
    failed: int
    median: float
    p99: float

    @property
    def passed(self) -> bool:
        """Return whether no request failed, and the 99th percentile is low enough."""
        return not self.failed and self.p99 <= TOO_SLOW


def run(users: int, seconds: int) -> Step:
    """Run locust with this number of users for `seconds`, and return the results."""
    with tempfile.TemporaryDirectory() as folder:
        options = (f"--users={users}", f"--spawn-rate={max(5, users // 4)}", f"--run-time={seconds}s")
        report = Path(folder) / "report"
        done = subprocess.run(
            [
                *(LOCUST, "--locustfile=bench/people.py", "--host=http://127.0.0.1"),
                *("--headless", "--only-summary", f"--json-file={report}", "--reset-stats", *options),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        file = report.with_suffix(".json")
        if not file.exists():
            raise SystemExit(done.stderr)
        entries: list[dict[str, Any]] = json.loads(file.read_text())
    times: dict[float, int] = {}
    for entry in entries:
        for milliseconds, count in entry["response_times"].items():
            times[float(milliseconds)] = times.get(float(milliseconds), 0) + count
    count = sum(entry["num_requests"] for entry in entries)
    failed = sum(entry["num_failures"] for entry in entries)
    for entry in entries:
        if entry["num_failures"]:
            print(f"    {entry['method']} {entry['name']}: {entry['num_failures']} failed", file=sys.stderr)
    begin = min(entry["start_time"] for entry in entries)
    end = max(entry["last_request_timestamp"] for entry in entries)
    return Step(users, count / (end - begin), failed, percentile(times, 0.5), percentile(times, 0.99))


def memory(kubectl: Kubectl, deployment: str) -> float:
    """Return the total proportional set size of a pod's gunicorn processes, in MB."""
    script = "cd /proc; for pid in 1 $(cat 1/task/1/children); do cat $pid/smaps_rollup; done"
    return proportional_set_size(kubectl("exec", f"deployment/{deployment}", "--", "sh", "-c", script))


def percentile(times: dict[float, int], share: float) -> float:
    """Return the duration that a given fraction of the requests does not exceed.

    `share` is the fraction, from 0 to 1. `times` maps each duration to the number of requests with this duration.
    """
    wanted = share * sum(times.values())
    seen = 0
    for milliseconds in sorted(times):
        seen += times[milliseconds]
        if seen >= wanted:
            return milliseconds
    return 0.0


def report(pods: tuple[int, ...] = (1, 2, 3), seconds: int = SECONDS) -> str:
    """Measure with each number of pods, and return the table as Markdown."""
    kubectl = Kubectl()
    lines = [
        f"| pods of each | users | requests/s | failed | median ms | 99 % ms | MB of {' | '.join(cluster.IMAGES)} |",
        f"| --- | --: | --: | --: | --: | --: |{' --: |' * len(cluster.IMAGES)}",
    ]
    try:
        for number in pods:
            for name in cluster.IMAGES:
                kubectl("scale", f"deployment/{name}", f"--replicas={number}")
            cluster.wait(kubectl)
            run(STEPS[0], 10)  # the first requests of a pod are slower
            best = None
            for users in STEPS:
                step = run(users, seconds)
                print(number, step, file=sys.stderr, flush=True)
                if not step.passed:
                    break
                best = step
            figures = "none passed | | | |"
            if best:
                figures = f"{best.users} | {best.rate:.0f} | {best.failed} | {best.median:.0f} | {best.p99:.0f}"
            used = " | ".join(f"{memory(kubectl, name):.0f}" for name in cluster.IMAGES)
            lines.append(f"| {number} | {figures} | {used} |")
    finally:
        for name in cluster.IMAGES:
            kubectl("scale", f"deployment/{name}", "--replicas=1")
    note = """\
MB is the proportional set size (PSS) of gunicorn in one pod. Pods on one node share the memory of an image's files, so
each pod has a smaller PSS if there are more pods."""
    return "\n".join([*lines, "", note])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="duration of each step in seconds")
    seconds = parser.parse_args().seconds
    with unlimited(Kubectl()):
        print(report(seconds=seconds))


if __name__ == "__main__":
    main()
