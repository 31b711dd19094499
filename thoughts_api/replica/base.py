"""Django's backend for PostgreSQL, for a server that may stop answering at any time.

https://docs.djangoproject.com/en/5.2/ref/databases/#subclassing-the-built-in-database-backends
"""

from typing import Any

from common.postgresql import base

PATIENCE = 1.5  # seconds for one statement; a server that answers at all ends it before, by its statement_timeout


class DatabaseWrapper(base.DatabaseWrapper):
    outages = 0  # how often the replica had been left out when the connection was last used

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a connection that raises OperationalError when a statement is not answered in time."""
        connection = super().get_new_connection(conn_params)
        base.limit(connection, PATIENCE)
        return connection
