"""gunicorn's settings for all projects: `gunicorn -c python:common.server.gunicorn_conf <project>.wsgi`.

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

# With preloading, an invalid environment stops the start with one message. In development, workers load the code
# themselves, so that a HUP reloads it.
preload_app = not environment.flag("RELOAD", False)
host = environment.text("HOST", "0.0.0.0")  # noqa: S104
port = environment.number("PORT", 8000, least=0, most=65535)
bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
management_port = environment.management_port()  # 0: none
worker_class = BufferingWorker
workers = environment.workers()
threads = environment.threads()
# Leaves file descriptors for files and database connections. Above this, the longest-waiting connection is closed.
worker_connections = max(threads + 1, min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 4 * threads - 64))
limit_request_line = 8190  # bytes, the maximum that gunicorn allows
sendfile = False  # it would block on a slow client
pods = environment.pods()
timeout = 30
graceful_timeout = environment.number("GRACEFUL_TIMEOUT", 20, least=0)
# Longer than the ingress keeps an idle connection (nginx 60 s, Traefik 90 s). The ingress must be first to close it.
keepalive = 120
control_socket_disable = True
# In memory: on a slow disk, the heartbeat could make a worker look stuck.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
logger_class = QuietLogger
accesslog = "-"

if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    metrics = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    metrics.mkdir(parents=True, exist_ok=True)
    # Remove files that a killed container has left. https://prometheus.github.io/client_python/multiprocess/
    for file in metrics.glob("*.db"):
        file.unlink()


def on_starting(server: Any) -> None:
    """In development, preload libraries and fork the process that checks code."""
    if not preload_app:
        load_libraries(server.app.app_uri)
        if os.fork() == 0:
            try:
                serve(server.app.app_uri)
            finally:
                os._exit(0)


def when_ready(server: Any) -> None:
    """Load views and database code before the fork, so that workers share the memory."""
    if preload_app:
        from django.db import connections

        from common.http.urls import load_views  # Django is set up only now
        from common.operations.health import readiness

        load_views()
        _get(server.app.wsgi(), "/readyz")
        readiness.check()
        connections.close_all()
        # The garbage collector must not touch shared pages: that would copy them into each process.
        gc.collect()
        gc.freeze()


def _get(application: Any, path: str) -> None:
    """Send a request to the application in this process."""
    environ: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    # A separate context keeps the request id from leaking.
    copy_context().run(application, environ, lambda status, headers: None).close()


def post_worker_init(worker: Worker) -> None:
    """Start the management port; in development, load the code.

    Views are loaded immediately: a file that changes before the first request must not become part of this worker.
    Lazy views and templates are loaded in background threads. The first worker runs the database checks, also in a
    background thread.
    """
    if management_port:
        from common.server import management

        management.serve(host, management_port)
    if not preload_app:
        # Imported here, because the master must not load this code.
        from common.http.urls import load_views
        from common.server.templates import load_templates

        load_views()
        threading.Thread(target=load_views, kwargs={"lazy": True}, daemon=True).start()
        threading.Thread(target=load_templates, daemon=True).start()
    if worker.age == 1:
        from common.database import connections

        threading.Thread(target=connections.log_warnings, daemon=True).start()


def child_exit(server: object, worker: Worker) -> None:
    """Remove the gauges of a worker that exited."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.mark_process_dead(worker.pid)
