"""Connections that are kept, and statements that have a limit.

https://docs.djangoproject.com/en/5.2/ref/databases/#subclassing-the-built-in-database-backends
"""

import select
import traceback
from typing import Any

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from common.database._compat import limit_waits
from common.database.connections import DatabaseValidation

HANGING = 0.5  # seconds after which a server that should have ended a statement itself is taken for one that hangs


class DatabaseWrapper(base.DatabaseWrapper):
    """Keeps a connection for each thread, and looks at it before each request as CONN_HEALTH_CHECKS has it.

    With STATEMENT_TIMEOUT, in seconds, among its settings, a statement that takes longer raises OperationalError: the
    server ends it, or if that hangs, it is given up half a second later.
    """

    validation_class = DatabaseValidation

    def get_connection_params(self) -> dict[str, Any]:
        """Return what psycopg is given to connect."""
        params: dict[str, Any] = super().get_connection_params()
        if seconds := self.settings_dict.get("STATEMENT_TIMEOUT"):
            own = params.get("options", "")
            params["options"] = f"{own} -c statement_timeout={round(seconds * 1000)}".strip()
        return params

    def connect(self) -> None:
        """Connect, or raise what psycopg raises: one on which the time zone could not be set must not be used."""
        try:
            super().connect()
        except Exception:
            self.close()
            raise

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a connection, or raise what psycopg raises, with nothing left open.

        Its exception would keep the socket until garbage is collected: a server that hung for a minute would find
        every try of that minute still there.
        """
        try:
            connection = super().get_new_connection(conn_params)
        except self.Database.Error as error:
            traceback.clear_frames(error.__traceback__)
            raise
        if seconds := self.settings_dict.get("STATEMENT_TIMEOUT"):
            # A process that hangs still has its packets acknowledged by its kernel: no time-out of TCP ends that wait.
            limit_waits(connection, seconds + HANGING)
        return connection

    def is_usable(self) -> bool:
        """Return whether the connection may be used again: it is open, and no statement on it was given up.

        A server that has ended it has said so: only then is it asked.
        """
        if self.connection is None or self.connection.closed:
            return False
        if self.connection.pgconn.transaction_status == TransactionStatus.ACTIVE:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0) or super().is_usable()
