"""Check that PostgreSQL allows as many connections as the service may open."""

import logging

from django.db import DatabaseError, InterfaceError, connections

# What is left for others than superusers; PostgreSQL has `reserved_connections` from 16 on.
# https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-MAX-CONNECTIONS
AVAILABLE = """
    SELECT sum(CASE name WHEN 'max_connections' THEN setting::int ELSE -setting::int END) FROM pg_settings
    WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
"""

logger = logging.getLogger(__name__)


def check(pods: int, workers: int, threads: int, management: bool = False) -> None:
    """Log a warning for each PostgreSQL that allows too few connections for this many pods, workers and threads.

    A thread has one connection to each database. A process has one more for readiness, where there is a management
    port, and one more to watch a read replica. One should be left for a migration. An unreachable server is skipped.
    """
    more = management + (len(list(connections)) > 1)
    for alias in connections:
        connection = connections[alias]
        if connection.vendor != "postgresql":
            continue
        try:
            with connection.cursor() as cursor:
                cursor.execute(AVAILABLE)
                [allowed] = cursor.fetchone()
        except (DatabaseError, InterfaceError):
            continue
        finally:
            connection.close()
        most = pods * workers * (threads + more)
        if most >= allowed:
            each = f"({threads} threads + {more})" if more else f"{threads} threads"
            logger.warning(
                f"{pods} pods x {workers} workers x {each} may open {most} connections to the database {alias!r}, "
                f"which allows {allowed}: raise its max_connections, or lower MAX_PODS, WEB_CONCURRENCY or THREADS"
            )
