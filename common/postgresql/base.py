"""https://docs.djangoproject.com/en/5.2/ref/databases/#subclassing-the-built-in-database-backends"""

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Keeps a connection for each thread, and looks at it before each request as CONN_HEALTH_CHECKS has it."""

    def is_usable(self) -> bool:
        """Return whether the connection is open. A server that has ended it has said so: only then is it asked."""
        if self.connection is None or self.connection.closed:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0) or super().is_usable()
