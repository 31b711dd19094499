"""Compare numbers of processes and threads for gunicorn.

Run this script with `python -m bench.workers`.

For each pair of numbers, the script starts thoughts_api and users_api. They all use the same PostgreSQL server. In each
round, the load generator `wrk` first sends searches to thoughts_api. Then it reads from users_api, first without other
load and then during eight concurrent logins. The figures are medians over the rounds.
"""

import argparse
import shutil
import statistics
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench.serve import Server, during_logins, environments, gunicorn, wrk
from tools.local import PROJECTS
from tools.system import free_ports

CHOICES = {
    "1 process": ["--worker-class=sync", "--threads=1"],
    "2 processes": ["--worker-class=sync", "--threads=1", "--workers=2"],
    "4 processes": ["--worker-class=sync", "--threads=1", "--workers=4"],
    "1 process of 2 threads": ["--threads=2"],
    "**1 process of 5 threads**": ["--threads=5"],
    "**1 process of 8 threads**": ["--threads=8"],
    "1 process of 16 threads": ["--threads=16"],
    "2 processes of 8 threads": ["--threads=8", "--workers=2"],
}


@dataclass
class Choice:
    """Two servers that run with the same options, and the results of the rounds."""

    name: str
    thoughts: Server
    users: Server
    searches: list[tuple[int, float, float]] = field(default_factory=list)
    reads: list[tuple[float, float]] = field(default_factory=list)

    def round(self, seconds: float) -> None:
        """Send searches for this number of seconds, then reads, and record the results."""
        self.searches.append(wrk(f"{self.thoughts.url}/api/thoughts/?search=the", seconds))
        self.reads.append(during_logins(self.users, seconds))

    def row(self) -> str:
        """Return a row of the table, with the medians and the memory."""
        _, rate, slowest = map(statistics.median, zip(*self.searches, strict=True))
        alone, during = map(statistics.median, zip(*self.reads, strict=True))
        memory = self.thoughts.memory()
        return f"| {self.name} | {rate:.0f} | {slowest:.0f} | {alone:.0f} | {during:.0f} | {memory:.0f} |"


def report(rounds: int, seconds: int) -> str:
    """Return the table as Markdown."""
    if not shutil.which("wrk"):
        raise SystemExit("Install wrk, which generates the load (on Debian and Ubuntu: apt install wrk).")
    with ExitStack() as stack:
        found = stack.enter_context(environments(dict(zip(PROJECTS, free_ports(len(PROJECTS)), strict=True))))

        def start(project: str, options: list[str]) -> Server:
            [port] = free_ports(1)
            return stack.enter_context(gunicorn(f"{project}.wsgi", found[project], port, options=options))

        choices = [
            Choice(name, start("thoughts_api", options), start("users_api", options))
            for name, options in CHOICES.items()
        ]
        for number in range(rounds):
            for choice in choices:
                choice.round(seconds)
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        head = [
            "| | searches/s | 99 % ms | read, 99 % ms | during logins | MB |",
            "| --- | --: | --: | --: | --: | --: |",
        ]
        return "\n".join([*head, *(choice.row() for choice in choices)])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="seconds of load in each part of a round")
    arguments = parser.parse_args()
    print(report(arguments.rounds, arguments.seconds))


if __name__ == "__main__":
    main()
