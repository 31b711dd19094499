"""gunicorn's settings for all projects: `gunicorn -c python:common.server.gunicorn_conf <project>.wsgi`.

https://gunicorn.org/reference/settings/
"""

import gc
import importlib
import multiprocessing
import os
import resource
import threading
from pathlib import Path
from typing import Any

from gunicorn.workers.base import Worker

from common import environment
from common.server._compat import set_error_writer
from common.server.logger import QuietLogger
from common.server.reload import load_libraries, serve
from common.server.worker import BufferingWorker

reloading = environment.flag("RELOAD", False)
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
    """Stop if the application cannot start. In development, fork the process that checks changed code."""
    if reloading:
        load_libraries(server.app.app_uri)
        if os.fork() == 0:
            try:
                serve(server.app.app_uri)
            finally:
                os._exit(0)
    else:
        # The workers import the application, so that the master stays small. A process that only imports it reports an
        # invalid environment once, before the port is open.
        check = multiprocessing.get_context("fork").Process(target=_import, args=(server.app.app_uri,))
        check.start()
        check.join()
        if check.exitcode:
            raise SystemExit(check.exitcode)


def _import(application: str) -> None:
    """Import the application without writing metrics."""
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    importlib.import_module(application.partition(":")[0])


def post_worker_init(worker: Worker) -> None:
    """Import all views, and start the management port and background threads.

    Views are imported now, not at the first request: a file that changes in between must not become part of this
    worker. The first worker checks the database settings.
    """
    # Imported here, because the master imports neither Django nor this code.
    from common.http.urls import load_views
    from common.server import errors

    set_error_writer(errors.write_error)
    load_views()
    if management_port:
        from common.server import management

        management.serve(host, management_port)
    if reloading:
        from common.server.templates import load_templates

        threading.Thread(target=load_templates, daemon=True).start()
    gc.freeze()  # what is imported stays: full collections need not visit it
    if worker.age == 1:
        from common.database import connections

        threading.Thread(target=connections.log_warnings, daemon=True).start()


def child_exit(server: object, worker: Worker) -> None:
    """Remove the gauges of a worker that exited."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)
