"""https://docs.djangoproject.com/en/5.2/ref/databases/#subclassing-the-built-in-database-backends"""

import select
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.db import Error
from django.db.backends.postgresql import base


def limit(connection: Any, seconds: float) -> None:
    """Let each statement of a connection of psycopg raise OperationalError when it is not answered in so many seconds.

    A process that hangs still has its packets acknowledged by its kernel: no time-out of TCP ends that wait.
    """
    connection.wait = partial(connection.wait, timeout=seconds)


class DatabaseWrapper(base.DatabaseWrapper):
    """Keeps a connection for each thread, and looks at it before each request as CONN_HEALTH_CHECKS has it."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a connection, or raise what psycopg raises, with nothing left open.

        Its exception would keep the socket until garbage is collected: a server that hung for a minute would find
        every try of that minute still there.
        """
        try:
            return super().get_new_connection(conn_params)
        except self.Database.Error as error:
            traceback.clear_frames(error.__traceback__)
            raise

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Limit the statements inside to so many seconds each; the connection is closed after an error."""
        self.ensure_connection()
        connection = self.connection
        limit(connection, seconds)
        try:
            yield
        except Error:
            self.close()
            raise
        finally:
            del connection.wait

    def is_usable(self) -> bool:
        """Return whether the connection is open. A server that has ended it has said so: only then is it asked."""
        if self.connection is None or self.connection.closed:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0) or super().is_usable()
