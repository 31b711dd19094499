"""Persistent connections with cheap health checks, and statements with a time limit.

https://docs.djangoproject.com/en/5.2/ref/databases/#subclassing-the-built-in-database-backends
"""

import select
import traceback
from typing import Any

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from common.database._compat import limit_waits
from common.database.connections import DatabaseValidation

HANGING = 0.5  # seconds after STATEMENT_TIMEOUT until a server counts as unresponsive


class DatabaseWrapper(base.DatabaseWrapper):
    """Database connection with two changes to Django's backend.

    The health check before each request (CONN_HEALTH_CHECKS) usually needs no query. And a statement that takes longer
    than the setting STATEMENT_TIMEOUT, in seconds, raises OperationalError. If the server does not cancel it in time,
    the client gives up `HANGING` seconds later.
    """

    validation_class = DatabaseValidation

    def get_connection_params(self) -> dict[str, Any]:
        """Return the connection parameters for psycopg."""
        params: dict[str, Any] = super().get_connection_params()
        if seconds := self.settings_dict.get("STATEMENT_TIMEOUT"):
            own = params.get("options", "")
            params["options"] = f"{own} -c statement_timeout={round(seconds * 1000)}".strip()
        return params

    def connect(self) -> None:
        """Connect. Raise the error of psycopg, and close the connection, if setup fails.

        Django would keep a connection whose time zone could not be set.
        """
        try:
            super().connect()
        except Exception:
            self.close()
            raise

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a new connection, or raise the error of psycopg and release the socket.

        The exception's traceback would keep the socket open until the next garbage collection. An unresponsive server
        would accumulate one socket per attempt.
        """
        try:
            connection = super().get_new_connection(conn_params)
        except self.Database.Error as error:
            traceback.clear_frames(error.__traceback__)
            raise
        if seconds := self.settings_dict.get("STATEMENT_TIMEOUT"):
            # The kernel of a stuck server still acknowledges packets, so no TCP timeout applies.
            limit_waits(connection, seconds + HANGING)
        return connection

    def is_usable(self) -> bool:
        """Return whether the connection is open, and no statement on it was abandoned.

        A server that closes a connection sends a message first. So a query is needed only if there is data to read.
        """
        if self.connection is None or self.connection.closed:
            return False
        if self.connection.pgconn.transaction_status == TransactionStatus.ACTIVE:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0) or super().is_usable()
