"""gunicorn's settings for all projects.

To start a project: `gunicorn -c python:common.server.gunicorn_conf <project>.wsgi`. gunicorn calls the functions in
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
# The maximum number of clients that are connected to a worker. It leaves file descriptors for files and for database
# connections. If another client connects, `BufferingWorker` closes the connection that has been waiting longest.
worker_connections = max(threads + 1, min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 4 * threads - 64))
limit_request_line = 8190  # bytes, the maximum that gunicorn allows
sendfile = False  # with a slow client, sendfile would block a thread
pods = environment.pods()
timeout = 30
graceful_timeout = environment.number("GRACEFUL_TIMEOUT", 20, least=0)
# This is longer than an ingress keeps an idle connection open (nginx 60 s, Traefik 90 s). So it is always the ingress
# that closes the connection. If gunicorn closed it, a request could get lost.
keepalive = 120
control_socket_disable = True
# Workers report to the master by changing a file. On a slow disk, a worker could look stuck, so use memory.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
logger_class = QuietLogger
accesslog = "-"

# A single worker keeps its metrics in memory. Several workers share them through files. Only gunicorn sets this
# variable, because other commands, such as manage.py, must not add files.
if workers > 1 and (metrics_dir := environment.text("METRICS_DIR", "")):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics_dir
    metrics = Path(metrics_dir)
    metrics.mkdir(parents=True, exist_ok=True)
    # Remove metrics that an earlier run left behind: https://prometheus.github.io/client_python/multiprocess/
    for file in metrics.glob("*.db"):
        file.unlink()


def on_starting(server: Any) -> None:
    """Stop if the application cannot be imported.

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
        # The master must not import the application, to save memory. So import it in another process. If the
        # environment is invalid, this process prints one message, before the port is open.
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
    # The master must not import these modules, so import them here.
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
