"""gunicorn's settings for all projects.

`gunicorn -c python:common.server.gunicorn_conf <project>.wsgi` starts a project. gunicorn calls the functions in
this module as hooks: https://gunicorn.org/reference/settings/
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
from common.server.framing import MAX_LINE
from common.server.logger import QuietLogger
from common.server.reload import load_libraries, serve
from common.server.worker import BufferingWorker

reloading = environment.flag("RELOAD", False)
host = environment.text("HOST", "0.0.0.0")  # noqa: S104
port = environment.number("PORT", 8000, least=0, most=65535)
bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
management_port = environment.management_port()  # 0 if there is none
worker_class = BufferingWorker
workers = environment.workers()
threads = environment.threads()
# The maximum number of clients that are connected to a worker. It leaves enough file descriptors for files and database
# connections. If another client connects, `BufferingWorker` closes the connection that has been waiting longest.
worker_connections = max(threads + 1, min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 4 * threads - 64))
limit_request_line = MAX_LINE
sendfile = False  # with a slow client, sendfile would block a thread
pods = environment.pods()
timeout = 30
graceful_timeout = environment.number("GRACEFUL_TIMEOUT", 20, least=0)
# Seconds. An ingress closes an idle connection earlier (nginx after 60 s, Traefik after 90 s), so gunicorn never does.
# If gunicorn did, it could close a connection at the moment when the ingress sends a request, which would then fail.
keepalive = 120
control_socket_disable = True
# Each worker regularly touches a file to show the master that it is alive. On a slow disk, a worker could look stuck,
# so keep these files in memory.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
logger_class = QuietLogger
accesslog = "-"

# A single worker keeps its metrics in memory. Several workers share their metrics through files. Only gunicorn sets
# PROMETHEUS_MULTIPROC_DIR, because other commands, such as manage.py, must not add files.
if workers > 1 and (metrics_dir := environment.text("METRICS_DIR", "")):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics_dir
    metrics = Path(metrics_dir)
    metrics.mkdir(parents=True, exist_ok=True)
    # Remove the files that an earlier run left behind: https://prometheus.github.io/client_python/multiprocess/
    for file in metrics.glob("*.db"):
        file.unlink()


def on_starting(server: Any) -> None:
    """Abort startup if the application cannot be imported.

    In development, start the process that checks changed code instead.
    """
    if reloading:
        load_libraries(server.app.app_uri)
        if os.fork() == 0:
            try:
                serve(server.app.app_uri)
            finally:
                os._exit(0)
    else:
        # To save memory, the master must not import the application, so a child process imports it. If the environment
        # is invalid, the child prints one message, and the master exits before it opens the port.
        check = multiprocessing.get_context("fork").Process(target=_import, args=(server.app.app_uri,))
        check.start()
        check.join()
        if check.exitcode:
            raise SystemExit(check.exitcode)


def _import(application: str) -> None:
    """Import the application, but do not create files for metrics."""
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    importlib.import_module(application.partition(":")[0])


def post_worker_init(worker: BufferingWorker) -> None:
    """Import all views in a new worker, and start its background threads.

    If the views were imported on the first request, a worker could load files that have changed in the meantime. Only
    the first worker runs the database checks.
    """
    # The master must not import these modules, so import them here, in the worker.
    from common.http.urls import load_views
    from common.server import errors, saturation

    worker.on_tick = saturation.measure
    set_error_writer(errors.write_error)
    load_views()
    if management_port:
        from common.server import management

        management.serve(host, management_port)
    if reloading:
        from common.server.templates import load_templates

        threading.Thread(target=load_templates, daemon=True).start()
    gc.freeze()  # imported objects stay in memory, so the garbage collector need not visit them
    if worker.age == 1:
        from common.database import connections

        threading.Thread(target=connections.log_warnings, daemon=True).start()


def child_exit(server: object, worker: Worker) -> None:
    """Remove the gauges of an exited worker from the metrics."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)
