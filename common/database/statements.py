"""Prometheus metrics for SQL statements and database connections.

This module measures the duration of statements, and counts failed statements and connections.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.db.backends.signals import connection_created
from prometheus_client import Counter, Histogram

from common import tracing
from common.registry import REGISTRY

DURATION = Histogram(
    "database_statement_duration_seconds",
    "Seconds until the database answered a statement.",
    ["database"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    registry=REGISTRY,
)
ERRORS = Counter(
    "database_errors",
    "Statements and connections that failed, by error class.",
    ["database", "error"],
    registry=REGISTRY,
)


def measure(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Execute a statement and measure it.

    Django calls this function for each statement.

    https://docs.djangoproject.com/en/5.2/topics/db/instrumentation/
    """
    connection = context["connection"]
    alias, database = connection.alias, connection.settings_dict
    start = time.perf_counter()
    try:
        # https://opentelemetry.io/docs/specs/semconv/database/database-spans/
        with tracing.span(
            "SQL",
            db__system__name=connection.vendor,
            db__namespace=str(database["NAME"]),
            server__address=database["HOST"],
            db__query__text=sql[: tracing.MAX_SQL],
        ):
            return execute(sql, params, many, context)
    except (DatabaseError, InterfaceError) as error:
        count_error(alias, error)
        raise
    finally:
        _duration(alias).observe(time.perf_counter() - start)


def count_error(alias: str, error: Exception) -> None:
    """Count a failed statement or a failed connection to the database `alias`."""
    ERRORS.labels(alias, type(error).__name__).inc()


@functools.cache  # finding the metric by its label would take longer than measuring
def _duration(alias: str) -> Histogram:
    return DURATION.labels(alias)


def start() -> None:
    """Measure the statements of all connections that are opened from now on."""
    connection_created.connect(_measure_connection)
    # Create this counter now: Prometheus can compute a rate only for a counter that exists before the first error.
    for connection in connections.all():
        if connection.vendor != "unknown":  # Django's dummy backend, for a project without a database
            ERRORS.labels(connection.alias, OperationalError.__name__)


def _measure_connection(connection: Any, **kwargs: object) -> None:
    if measure not in connection.execute_wrappers:  # Django may reopen a connection
        connection.execute_wrappers.append(measure)
