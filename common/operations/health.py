"""Respond to /healthz, /readyz and /metrics.

Kubernetes requests /healthz to find out whether the process responds, and /readyz to find out whether it can handle
requests. Prometheus requests /metrics.
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

import logging
import subprocess
import sys
import time
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from common.http.middleware import GetResponse, Middleware, add_security_headers
from common.operations import metrics

PERIOD = 2.0  # seconds between two readiness checks
MIGRATIONS_MISSING = "migrations are not applied"
DATABASE_UNREACHABLE = "the database cannot be reached"
NO_CONNECTION = "the database accepts connections, but not from this process"
# This code runs in a subprocess, because psycopg's ping blocks all threads of its process until the server responds.
PING = "import sys; from psycopg import pq; sys.exit(pq.PGconn.ping(sys.argv[1].encode()))"
ACCEPTS_CONNECTIONS = 0  # https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PQPING

logger = logging.getLogger(__name__)


class Readiness:
    """Readiness of this process.

    The process becomes ready when all migrations of its release have been applied. It stays ready while the database is
    down. Otherwise, all pods would become unready together, and the ingress would respond with 404 instead of our 503.
    The process becomes unready if the database accepts connections, but not from this process.
    """

    def __init__(self) -> None:
        self._migrated = False
        self._reason: str | None = "starting"

    def check(self) -> str | None:
        """Check now. Return the reason why this process is not ready, or None."""
        reason = self._check()
        if reason != self._reason:
            logger.warning("not ready: %s", reason) if reason else logger.info("ready")
        self._reason = reason
        return reason

    def last(self) -> str | None:
        """Return the result of the last check, without checking again."""
        return self._reason

    def watch(self) -> None:
        """Check every `PERIOD` seconds, in an endless loop."""
        while True:
            try:
                self.check()
            except Exception:
                logger.exception("the readiness check failed")
            time.sleep(PERIOD)

    def _check(self) -> str | None:
        if connection.vendor == "unknown":  # Django's dummy backend, for a project without a database
            return None
        try:
            self._query()
        except (DatabaseError, InterfaceError):
            if not accepts_connections():
                return None if self._migrated else DATABASE_UNREACHABLE
            try:  # again, because the database may have started after the query failed
                self._query()
            except (DatabaseError, InterfaceError):
                return NO_CONNECTION
        return None if self._migrated else MIGRATIONS_MISSING

    def _query(self) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            if not self._migrated:
                executor = MigrationExecutor(connection)
                self._migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        finally:
            connection.close_if_unusable_or_obsolete()


readiness = Readiness()


def accepts_connections() -> bool:
    """Return whether the database server accepts connections, as `pg_isready` does.

    For SQLite, always return True.
    """
    if connection.vendor != "postgresql":
        return True
    from psycopg.conninfo import make_conninfo
    from psycopg.pq import Conninfo

    known = {option.keyword.decode() for option in Conninfo.get_defaults()} - {"password", "options"}
    parameters = {name: value for name, value in connection.get_connection_params().items() if name in known}
    conninfo = make_conninfo("", **parameters)
    try:
        done = subprocess.run([sys.executable, "-c", PING, conninfo], check=False, capture_output=True, timeout=10)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == ACCEPTS_CONNECTIONS


PATHS = ("/healthz", "/readyz", "/metrics")


def answer(method: str | None, path: str, not_ready: Callable[[], str | None], accept: str = "") -> HttpResponse:
    """Return the response to a request for one of PATHS, or a 404 for another path.

    `not_ready` is `Readiness.check` or `Readiness.last`. It returns the reason why this process is not ready, or None.
    """
    path = path.removesuffix("/")
    if path not in PATHS:
        return JsonResponse({"message": f"There is nothing at this address. Try {', '.join(PATHS)}."}, status=404)
    if method not in ("GET", "HEAD"):
        allowed = {"Allow": "GET, HEAD"}
        return JsonResponse({"message": f'Method "{method}" not allowed.'}, status=405, headers=allowed)
    if path == "/metrics":
        return metrics.export(accept)
    if path == "/healthz":
        return JsonResponse({"status": "ok", "version": settings.VERSION, "commit": settings.COMMIT})
    reason = not_ready()
    return JsonResponse({"status": reason or "ok"}, status=503 if reason else 200)


class HealthMiddleware(Middleware):
    """Middleware that serves PATHS on the public port if no management port is set.

    It responds before Django checks the Host header, because probes send the IP address of the pod as Host. It ignores
    requests with X-Forwarded-For, because they come through a proxy. So clients on the internet get a 404.
    """

    def __init__(self, get_response: GetResponse) -> None:
        super().__init__(get_response)
        if settings.MANAGEMENT_PORT:
            raise MiddlewareNotUsed

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the response for one of PATHS, or call the next middleware."""
        if request.path_info.removesuffix("/") in PATHS and "HTTP_X_FORWARDED_FOR" not in request.META:
            accept = request.headers.get("Accept", "")
            return add_security_headers(answer(request.method, request.path_info, readiness.check, accept))
        return self.get_response(request)
