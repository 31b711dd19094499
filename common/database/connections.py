"""Check that PostgreSQL allows as many connections as the service may open."""

import logging
from typing import Any

from django.core import checks
from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.validation import BaseDatabaseValidation

from common import environment

# The number of connections that users other than superusers may open. `reserved_connections`
# exists since PostgreSQL 16.
# https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-MAX-CONNECTIONS
AVAILABLE = """
    SELECT sum(CASE name WHEN 'max_connections' THEN setting::int ELSE -setting::int END) FROM pg_settings
    WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
"""

logger = logging.getLogger(__name__)


class DatabaseValidation(BaseDatabaseValidation):
    """System check of PostgreSQL's connection limit.

    `manage.py check --database default` runs it, and the first worker runs it at startup.
    https://docs.djangoproject.com/en/5.2/topics/checks/#builtin-tags
    """

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Return a warning if PostgreSQL allows fewer connections than the service needs.

        Each thread keeps one connection to each database. With a management port, each process needs one more for its
        readiness checks. With a read replica, each process needs one more to check the replica. A migration needs one
        more. If the server is unreachable, there is no warning.
        """
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(AVAILABLE)
                [allowed] = cursor.fetchone()
        except (DatabaseError, InterfaceError):
            return []
        pods, workers, threads = environment.pods(), environment.workers(), environment.threads()
        extra = bool(environment.management_port()) + (len(list(connections)) > 1)
        needed = pods * workers * (threads + extra)
        if needed < allowed:
            return []
        per_worker = f"({threads} threads + {extra})" if extra else f"{threads} threads"
        message = (
            f"{pods} pods x {workers} workers x {per_worker} may open {needed} connections to the database "
            f"{self.connection.alias!r}, which allows {allowed}: raise its max_connections, or lower MAX_PODS, "
            "WEB_CONCURRENCY or THREADS"
        )
        return [checks.Warning(message, id="common.W001")]


def log_warnings() -> None:
    """Run Django's database checks, log their messages, and close the connections."""
    try:
        for message in checks.run_checks(tags=[checks.Tags.database], databases=list(connections)):
            logger.log(message.level, message.msg)
    finally:
        connections.close_all()
