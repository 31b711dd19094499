"""A database backend with cheaper health checks and a time limit for statements.

The backend is a subclass of Django's PostgreSQL backend:
https://docs.djangoproject.com/en/5.2/ref/databases/#subclassing-the-built-in-database-backends
"""

import select
import traceback
from typing import Any

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from common.database._compat import limit_waits
from common.database.connections import DatabaseValidation
from common.database.statements import count_error

HANGING = 0.5  # seconds to wait after STATEMENT_TIMEOUT; a server that has not responded by then is stuck


class DatabaseWrapper(base.DatabaseWrapper):
    """Database connection that differs from that of Django's backend in two ways.

    First, the health check before each request (CONN_HEALTH_CHECKS) usually needs no query. Second, a statement that
    takes longer than STATEMENT_TIMEOUT seconds raises OperationalError. STATEMENT_TIMEOUT is an optional key of the
    database in DATABASES. Normally the server cancels the statement. If the server is stuck, the client stops waiting
    `HANGING` seconds later.
    """

    validation_class = DatabaseValidation

    def get_connection_params(self) -> dict[str, Any]:
        """Return the connection parameters for psycopg, with `statement_timeout`."""
        params: dict[str, Any] = super().get_connection_params()
        if seconds := self.settings_dict.get("STATEMENT_TIMEOUT"):
            own = params.get("options", "")
            params["options"] = f"{own} -c statement_timeout={round(seconds * 1000)}".strip()
        return params

    def connect(self) -> None:
        """Connect to the database.

        If an error occurs, close the connection and raise the error.

        Django's own method leaves the connection open if it cannot set the time zone. Django would then keep using the
        connection with the wrong time zone.
        """
        try:
            super().connect()
        except Exception:
            self.close()
            raise

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a new connection.

        If psycopg raises an error, count it, and release the socket that psycopg opened.

        If the socket were not released, the exception's traceback would keep it open until the next garbage collection.
        Each attempt to connect to an unresponsive server would leave an open socket.
        """
        try:
            connection = super().get_new_connection(conn_params)
        except self.Database.Error as error:
            count_error(self.alias, error)
            traceback.clear_frames(error.__traceback__)
            raise
        if seconds := self.settings_dict.get("STATEMENT_TIMEOUT"):
            # TCP timeouts do not detect a stuck server, because its kernel still acknowledges packets.
            limit_waits(connection, seconds + HANGING)
        return connection

    def is_usable(self) -> bool:
        """Return whether the connection can be used for the next request.

        A connection cannot be used if it is closed, or if the client has stopped waiting for the result of a statement.
        A server sends a message before it closes a connection. So this method sends a query only if there is unread
        data.
        """
        if self.connection is None or self.connection.closed:
            return False
        if self.connection.pgconn.transaction_status == TransactionStatus.ACTIVE:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0) or super().is_usable()
