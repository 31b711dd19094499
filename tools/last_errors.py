"""Print the last errors of all services on the cluster: `make last-errors`."""

import re
import sys
from collections.abc import Iterable, Iterator

from tools.kubectl import Kubectl, KubectlError
from tools.projects import SERVICES

COUNT = 5  # errors of a service
LINES = 5000  # of the log of a pod
# A record of the log starts with its level. Every other line, such as one of a traceback, belongs to the record before.
ERROR = ("ERROR ", "CRITICAL ", "Traceback ")
RECORD = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL) ")


def errors(lines: Iterable[str]) -> Iterator[str]:
    """Yield the errors of a log, each with its traceback. A traceback without a record is an error too."""
    record: list[str] = []
    for line in [*lines, "INFO the end"]:
        is_error = bool(record) and record[0].startswith(ERROR)
        if RECORD.match(line) or (line.startswith("Traceback ") and not is_error):
            if is_error:
                yield "\n".join(record)
            record = []
        record.append(line)


def main(context: str | None) -> None:
    """Print the last errors of each service."""
    kubectl = Kubectl(context)
    for service in SERVICES:
        selector = f"--selector=app.kubernetes.io/name={service},app.kubernetes.io/component=server"
        log = kubectl("logs", selector, f"--tail={LINES}", "--max-log-requests=50")
        found = list(errors(log.splitlines()))[-COUNT:]
        print(f"{service}: {len(found) or 'no'} errors", *found, sep="\n", flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1] if sys.argv[1:] else None)
    except KubectlError as error:
        sys.exit(str(error))
