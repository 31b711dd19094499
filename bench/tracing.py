"""Compare searches with and without traces: `python -m bench.tracing`.

Two servers run the same code of thoughts_api, and one of them traces a tenth of its requests. A collector in this
process receives and drops the traces, so it competes with the servers for the CPUs. The load generator sends searches
to one server and then to the other, and the order changes in each round.
"""

import argparse
import statistics
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.serve import Case, environments, gunicorn
from tools.local import PROJECTS
from tools.system import free_ports

SAMPLING = "0.1"  # the fraction of traces that are recorded
SEARCH = "/api/thoughts/?search=the"


@dataclass
class Collector:
    """An OTLP endpoint that counts the requests with traces."""

    url: str
    requests: int = 0


@contextmanager
def collector() -> Iterator[Collector]:
    """Accept traces while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            found.requests += 1
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Collector(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


def report(rounds: int, seconds: int) -> str:
    """Measure both servers in several rounds, and return the table as Markdown."""
    *ports, traced_port = free_ports(len(PROJECTS) + 1)
    with ExitStack() as stack:
        found = stack.enter_context(environments(dict(zip(PROJECTS, ports, strict=True))))
        traces = stack.enter_context(collector())
        environment = found["thoughts_api"]
        port = dict(zip(PROJECTS, ports, strict=True))["thoughts_api"]
        plain = stack.enter_context(gunicorn("thoughts_api.wsgi", environment, port))
        traced_environment = environment | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": traces.url,
            "OTEL_TRACES_SAMPLER_ARG": SAMPLING,
        }
        traced = stack.enter_context(gunicorn("thoughts_api.wsgi", traced_environment, traced_port))
        cases = [Case("without traces", [plain], SEARCH), Case(f"{float(SAMPLING):.0%} of traces", [traced], SEARCH)]
        for number in range(rounds):
            for case in cases if number % 2 else reversed(cases):
                case.round(seconds)
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    if not traces.requests:
        raise SystemExit("The collector received no traces.")
    before, after = cases
    rate = statistics.median(b / a for a, b in zip(before.rates, after.rates, strict=True))
    cpu = statistics.median(b / a for a, b in zip(before.cpu, after.cpu, strict=True))
    lines = ["| | searches/s | CPU ms each |", "| --- | --: | --: |"]
    lines += [f"| {case.name} | {case.rate:.0f} | {case.each:.2f} |" for case in cases]
    lines += [f"| ratio, median of {rounds} pairs | {rate:.3f} | {cpu:.3f} |"]
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=3, help="seconds of load for each server in a round")
    arguments = parser.parse_args()
    print(report(arguments.rounds, arguments.seconds))


if __name__ == "__main__":
    main()
