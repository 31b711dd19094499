"""Health for Kubernetes: /healthz says that the process answers, /readyz that it can serve.

https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

import logging
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from common import metrics
from common.middleware import GetResponse, Middleware

logger = logging.getLogger(__name__)


def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 with the version and the commit that run."""
    return JsonResponse({"status": "ok", "version": settings.VERSION, "commit": settings.COMMIT})


class Readiness:
    """Answers 200 when the database answers and has all migrations of this release, else 503."""

    def __init__(self) -> None:
        self._migrated = False

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a probe. Applied migrations are looked at until they are complete, then not again."""
        if connection.vendor == "unknown":  # Django's stand-in where a project has no database
            return JsonResponse({"status": "ok"})
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            if not self._migrated:
                executor = MigrationExecutor(connection)
                self._migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        except (DatabaseError, InterfaceError) as error:
            logger.warning("not ready: %s", error)
            return JsonResponse({"status": "the database does not answer"}, status=503)
        finally:
            connection.close_if_unusable_or_obsolete()
        if not self._migrated:
            return JsonResponse({"status": "migrations are not applied"}, status=503)
        return JsonResponse({"status": "ok"})


class HealthMiddleware(Middleware):
    """Answers /healthz, /readyz and /metrics before anything else looks at the request.

    A kubelet's probe names the pod by its address, which the host check would refuse. What came through an ingress,
    which adds X-Forwarded-For, is nobody's business here: there these paths do not exist.
    """

    def __init__(self, get_response: GetResponse) -> None:
        super().__init__(get_response)
        self.views: dict[str, Callable[[HttpRequest], HttpResponse]] = {
            "/healthz": healthz,
            "/readyz": Readiness(),
            "/metrics": metrics.export,
        }

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request, or pass it on."""
        view = self.views.get(request.path_info.removesuffix("/"))
        if view is None or "HTTP_X_FORWARDED_FOR" in request.META:
            return self.get_response(request)
        if request.method not in ("GET", "HEAD"):
            return JsonResponse(
                {"message": f'Method "{request.method}" not allowed.'}, status=405, headers={"Allow": "GET, HEAD"}
            )
        return view(request)
