"""Whether PostgreSQL takes all the connections that a service may open."""

import logging

from django.db import DatabaseError, InterfaceError, connections

# What is left for others than superusers; PostgreSQL has `reserved_connections` from 16 on.
# https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-MAX-CONNECTIONS
AVAILABLE = """
    SELECT sum(CASE name WHEN 'max_connections' THEN setting::int ELSE -setting::int END) FROM pg_settings
    WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
"""

logger = logging.getLogger(__name__)


def check(pods: int, workers: int, threads: int) -> None:
    """Write a warning for each PostgreSQL that takes too few connections for this many pods, workers and threads.

    A thread has one connection to each. With a read replica, a process has one more to both, with which it watches
    them. One should be left for a migration. A server that is away is not asked again.
    """
    watching = len(list(connections)) > 1
    for alias in connections:
        connection = connections[alias]
        if connection.vendor != "postgresql":
            continue
        try:
            with connection.cursor() as cursor:
                cursor.execute(AVAILABLE)
                [takes] = cursor.fetchone()
        except (DatabaseError, InterfaceError):
            continue
        finally:
            connection.close()
        most = pods * workers * (threads + watching)
        if most >= takes:
            each = f"({threads} threads + 1)" if watching else f"{threads} threads"
            logger.warning(
                f"{pods} pods x {workers} workers x {each} may open {most} connections to the database {alias!r}, "
                f"which takes {takes}: raise its max_connections, or lower MAX_PODS, WEB_CONCURRENCY or THREADS"
            )
