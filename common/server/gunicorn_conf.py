"""gunicorn's settings for all three projects: `gunicorn -c python:common.server.gunicorn_conf <project>.wsgi`.

https://gunicorn.org/reference/settings/
"""

import gc
import os
import resource
import threading
from contextvars import copy_context
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

from gunicorn.workers.base import Worker
from prometheus_client import multiprocess

from common import environment
from common.server.logger import QuietLogger
from common.server.reload import load_libraries, serve
from common.server.worker import BufferingWorker

# A wrong environment then ends the start once, with its own message. In development, where code changes under the
# master, its workers load the code themselves, anew after each HUP.
preload_app = not environment.flag("RELOAD", False)
host = environment.text("HOST", "0.0.0.0")  # noqa: S104
port = environment.number("PORT", 8000, least=0, most=65535)
bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
management_port = environment.management_port()  # 0: none
worker_class = BufferingWorker
workers = environment.workers()
threads = environment.threads()
# Room for files and database connections is left. Beyond this, the connection that has waited longest is closed.
worker_connections = max(threads + 1, min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 4 * threads - 64))
limit_request_line = 8190  # bytes, the most that gunicorn allows
sendfile = False  # it would wait for the client
pods = environment.pods()
timeout = 30
graceful_timeout = environment.number("GRACEFUL_TIMEOUT", 20, least=0)
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
    """Load before the workers are forked what they share: all views, and what a probe of the database loads."""
    if preload_app:
        from django.db import connections

        from common.http.urls import load_views  # Django is set up now
        from common.operations.health import readiness

        load_views()
        _ask(server.app.wsgi(), "/readyz")
        readiness.check()
        connections.close_all()
        # What is there is not looked through for garbage, which would copy its pages into each process.
        gc.collect()
        gc.freeze()


def _ask(application: Any, path: str) -> None:
    """Send a request through an application in this process."""
    environ: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    # In a context of its own, which the request's id does not outlive.
    copy_context().run(application, environ, lambda status, headers: None).close()


def post_worker_init(worker: Worker) -> None:
    """Start the management port, and load in development what the master has not loaded.

    Views are loaded at once: a file that changes before the first request must not become this worker's code. Lazy
    views and templates are loaded in the background. The first worker checks, in the background too, whether the
    databases allow as many connections as the service may open.
    """
    if management_port:
        from common.server import management

        management.serve(host, management_port)
    if not preload_app:
        # Of both the master has nothing.
        from common.http.urls import load_views
        from common.server.templates import load_templates

        load_views()
        threading.Thread(target=load_views, kwargs={"lazy": True}, daemon=True).start()
        threading.Thread(target=load_templates, daemon=True).start()
    if worker.age == 1:
        from common.database import connections

        threading.Thread(target=connections.log_warnings, daemon=True).start()


def child_exit(server: object, worker: Worker) -> None:
    """Forget the gauges of a worker that ended."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.mark_process_dead(worker.pid)
