"""gunicorn's settings for all three projects: `gunicorn -c python:common.gunicorn_conf <project>.wsgi`.

https://gunicorn.org/reference/settings/
"""

import gc
import json
import math
import os
import re
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable, MutableMapping
from contextvars import copy_context
from datetime import timedelta
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import environs
from gunicorn import util
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import ThreadWorker
from prometheus_client import multiprocess

from common.reload import load_libraries, serve


def available_cpus() -> int:
    """Return how many CPUs this container or machine may use, rounded up (cgroup v2, cgroup v1, else all)."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").read_text().strip()
            period = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            quota = period = "max"
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if quota in ("max", "-1"):
        return count
    return min(count, math.ceil(int(quota) / int(period)))


# Not `common.settings.Env`: in development, what the master has imported its workers do not load anew.
_env = environs.FileAwareEnv(strip_whitespace=True)


def _read(parse: Callable[..., Any], name: str, default: object) -> Any:
    try:
        return parse(name, default)
    except ValueError as error:
        raise SystemExit(f"The environment is not right. {error}") from None


def number(name: str, default: int, least: int = 1, most: float = math.inf) -> int:
    """Return a number from the environment; ends the process with one line that names a wrong variable."""
    value = _read(_env.str, name, "")
    if value and not (value.isdecimal() and least <= int(value) <= most):
        limits = f"from {least}" if most == math.inf else f"from {least} to {most}"
        raise SystemExit(f"The environment is not right. {name}: not a number {limits}: {value!r}")
    return int(value or default)


SLOWEST_CLIENT = 5  # seconds without a byte, after which a connection is closed in the middle of a request
_QUOTED = re.compile(r": b?['\"].*", re.DOTALL)


class QuietLogger(Logger):
    """gunicorn's logger in the form of the others, without a line for each probe and each look at the metrics."""

    error_fmt = "%(levelname)s gunicorn [-] %(message)s"
    access_fmt = "%(levelname)s gunicorn.access %(message)s"

    def access(self, resp: Any, req: Any, environ: MutableMapping[str, Any], request_time: timedelta) -> None:
        """Write the line of one request; line breaks and control characters in its path are written as escapes.

        No query and no header but the request's id: neither a search nor a token is anyone's business here. gunicorn's
        own collects all headers and variables first, for any format: a twelfth of a search's CPU.
        """
        if req.path in ("/healthz", "/readyz", "/metrics"):
            return
        # What is not HTTP has no PATH_INFO.
        path = environ.get("PATH_INFO", req.path or "").encode("unicode_escape").decode()
        status = str(resp.status).split(maxsplit=1)[0]
        identifier = next((value for name, value in resp.headers if name == "X-Request-ID"), "-")
        method, milliseconds = environ.get("REQUEST_METHOD", "-"), request_time.total_seconds() * 1000
        self.access_log.info(f"{method} {path} {status} {resp.sent} bytes {milliseconds:.0f} ms [{identifier}]")

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Write a warning, without what it quotes of a request that is not HTTP: that may be a search or a token."""
        if isinstance(msg, str) and msg.startswith("Invalid request"):
            msg = _QUOTED.sub("", msg)
        super().warning(msg, *args, **kwargs)

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Write an error with its traceback; a client that is too slow is no error of ours."""
        if isinstance(sys.exc_info()[1], BlockingIOError):
            self.info("A client neither sent nor read for %s seconds.", SLOWEST_CLIENT)
        else:
            super().exception(msg, *args, **kwargs)


def write_error(sock: socket.socket, status_int: int, reason: str, mesg: str) -> None:
    """Answer what does not get as far as Django, such as a line that is too long, with the body of all errors."""
    body = json.dumps({"message": mesg or reason} | ({"errors": {}} if status_int == 400 else {}))
    head = f"HTTP/1.1 {status_int} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    util.write_nonblock(sock, f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())


util.write_error = write_error  # no setting changes it


class GracefulWorker(ThreadWorker):
    """gunicorn's worker with threads, which leaves nobody waiting in the queue of a socket that it has stopped reading.

    gunicorn's own closes its sockets last: till then the kernel goes on taking connections, and resets them in the end.
    Nor does a thread wait long for the rest of a request, or for who does not read the answer: as many such clients as
    threads would be enough for nobody else, probes among them, to be answered.
    """

    def init_process(self) -> None:
        """Start, with that limit on the sockets, from which each connection inherits it (socket(7), SO_RCVTIMEO)."""
        for listener in self.sockets:
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                listener.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", SLOWEST_CLIENT, 0))
        super().init_process()

    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Begin or stop to take connections; when it stops for good, take those that wait, and close the sockets."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                while select.select([listener], [], [], 0)[0]:
                    self.accept(listener)
                listener.close()


class SoleWorker(GracefulWorker):
    """The one worker of a server without a master, which would keep a second copy of what a worker writes into.

    A container that ends is started again, and its probes find out whether it hangs: nothing is left for a master.
    """

    def __init__(self, server: Any) -> None:
        """Take over all that a master (gunicorn's `Arbiter`) has made ready."""
        super().__init__(1, 0, server.LISTENERS, server.app, server.timeout / 2, server.cfg, server.log)
        self._earlier_signals = server.SIG_QUEUE

    def init_signals(self) -> None:
        """Take signals from now on, and end if one has come before: nobody has been answered yet."""
        super().init_signals()
        self.alive = self._earlier_signals.empty()

    def is_parent_alive(self) -> bool:
        """Return that there is no reason to end: whatever started this process is not its master."""
        return True


# A wrong environment then ends the start once, with its own message. In development, where code changes under the
# master, its workers load the code themselves, anew after each HUP.
preload_app = not _read(_env.bool, "RELOAD", False)
bind = f"{_read(_env.str, 'HOST', '0.0.0.0')}:{number('PORT', 8000, least=0, most=65535)}"  # noqa: S104
worker_class = GracefulWorker
workers = number("WEB_CONCURRENCY", available_cpus())
threads = number("THREADS", 8)
pods = number("MAX_PODS", 1)
timeout = 30
graceful_timeout = number("GRACEFUL_TIMEOUT", 20, least=0)
# Longer than an ingress keeps an idle connection (nginx 60 s, Traefik 90 s): it must be the one that closes it.
keepalive = 120
control_socket_disable = True
# Memory, not disk: a slow disk must not look like a worker that hangs.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
logger_class = QuietLogger
accesslog = "-"

if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    metrics = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    metrics.mkdir(parents=True, exist_ok=True)
    # What a container that was killed has left there. https://prometheus.github.io/client_python/multiprocess/
    for file in metrics.glob("*.db"):
        file.unlink()


def on_starting(server: Any) -> None:
    """In development, load libraries in the master, for workers to start sooner, and be ready to try changed code."""
    if not preload_app:
        load_libraries(server.app.app_uri)
        if os.fork() == 0:
            try:
                serve(server.app.app_uri)
            finally:
                os._exit(0)


def when_ready(server: Any) -> None:
    """Load before the workers are forked what they share: all views, and what a probe of the database loads.

    Where there is to be one worker, none is forked: this process is it, and ends here.
    """
    if preload_app:
        from common.urls import load_views  # Django is set up now

        load_views()
        _ask(server.app.wsgi(), "/readyz")
        # What is there is not looked through for garbage, which would copy its pages into each process.
        gc.collect()
        gc.freeze()
        if server.num_workers == 1 and server.worker_class is GracefulWorker:
            SoleWorker(server).init_process()
            # As a master does, without waiting for what takes longer than `graceful_timeout`.
            os._exit(0)


def _ask(application: Any, path: str) -> None:
    """Send a request through an application in this process, and leave no connection for workers to inherit."""
    from django.db import connections

    environ: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    # In a context of its own, which the request's id does not outlive.
    copy_context().run(application, environ, lambda status, headers: None).close()
    connections.close_all()


def post_worker_init(worker: Worker) -> None:
    """In development, load views in the worker: a file that changes before the first request is not its code.

    Lazy ones and templates are loaded beside its first requests, which do not wait for them. The first worker of all
    asks the databases, beside its work too, whether they take all connections.
    """
    if not preload_app:
        # Of both the master has nothing.
        from common.templates import load_templates
        from common.urls import load_views

        load_views()
        threading.Thread(target=load_views, kwargs={"lazy": True}, daemon=True).start()
        threading.Thread(target=load_templates, daemon=True).start()
    if worker.age == 1:
        from common import connections

        threading.Thread(target=connections.check, args=[pods, workers, threads], daemon=True).start()


def child_exit(server: object, worker: Worker) -> None:
    """Forget the gauges of a worker that ended."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.mark_process_dead(worker.pid)
