"""Check that PostgreSQL allows as many connections as the service may open."""

import logging
from typing import Any

from django.core import checks
from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.validation import BaseDatabaseValidation

from common import environment

# Connections for users who are not superusers. `reserved_connections` exists from PostgreSQL 16 on.
# https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-MAX-CONNECTIONS
AVAILABLE = """
    SELECT sum(CASE name WHEN 'max_connections' THEN setting::int ELSE -setting::int END) FROM pg_settings
    WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
"""

logger = logging.getLogger(__name__)


class DatabaseValidation(BaseDatabaseValidation):
    """System check of PostgreSQL's connection limit. `manage.py check --database default` runs it.

    https://docs.djangoproject.com/en/5.2/topics/checks/#builtin-tags
    """

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Return a warning if PostgreSQL allows fewer connections than needed.

        Each thread has one connection to each database. Each process has one more for readiness if it has a
        management port, and one more if it watches a read replica. A migration needs one. Unreachable servers are
        skipped.
        """
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(AVAILABLE)
                [allowed] = cursor.fetchone()
        except (DatabaseError, InterfaceError):
            return []
        pods, workers, threads = environment.pods(), environment.workers(), environment.threads()
        more = bool(environment.management_port()) + (len(list(connections)) > 1)
        most = pods * workers * (threads + more)
        if most < allowed:
            return []
        each = f"({threads} threads + {more})" if more else f"{threads} threads"
        message = (
            f"{pods} pods x {workers} workers x {each} may open {most} connections to the database "
            f"{self.connection.alias!r}, which allows {allowed}: raise its max_connections, or lower MAX_PODS, "
            "WEB_CONCURRENCY or THREADS"
        )
        return [checks.Warning(message, id="common.W001")]


def log_warnings() -> None:
    """Run Django's database checks, log their messages, close the connections."""
    try:
        for message in checks.run_checks(tags=[checks.Tags.database], databases=list(connections)):
            logger.log(message.level, message.msg)
    finally:
        connections.close_all()
