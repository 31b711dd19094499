"""Print the last errors of all services on the cluster: `make last-errors`."""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime

from tools.kubectl import Kubectl, KubectlError
from tools.projects import SERVICES

COUNT = 5  # errors to print for each service
LINES = 5000  # lines of each pod's log to search
# A log record starts with its time and its level. All other lines, such as those of a traceback, belong to the previous
# record.
TIME = r"(\d\d:\d\d:\d\d\.\d{3} )?"
ERROR = re.compile(rf"{TIME}(ERROR|CRITICAL|Traceback) ")
RECORD = re.compile(rf"{TIME}(DEBUG|INFO|WARNING|ERROR|CRITICAL) ")


def as_text(line: str) -> list[str]:
    """Convert a JSON log record to the lines that LOG_FORMAT=text would produce.

    Return any other line unchanged.
    """
    try:
        record = json.loads(line)
        time = f"{datetime.fromisoformat(record['time']):%H:%M:%S.%f}"[:-3]
        text = f"{time} {record['level']} {record['logger']} [{record.get('request_id', '-')}] {record['message']}"
    except (ValueError, TypeError, KeyError):
        return [line]
    return [*text.splitlines(), *record.get("exc_info", "").splitlines()]


def errors(lines: Iterable[str]) -> Iterator[str]:
    """Yield the errors of a log, each with its traceback.

    A traceback without a record is an error too.
    """
    record: list[str] = []
    for line in [*(text for each in lines for text in as_text(each)), "INFO the end"]:
        is_error = bool(record) and bool(ERROR.match(record[0]))
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
