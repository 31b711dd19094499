"""Code that uses an undocumented method of psycopg.

`common/tests/test_compat.py` fails if a new release of psycopg changes that method.
"""

from functools import partial
from typing import Any


def limit_waits(connection: Any, seconds: float) -> None:
    """Make a psycopg connection wait at most this many seconds for the server.

    After that time, the connection raises OperationalError. PostgreSQL's own statement_timeout is not enough,
    because a stuck server does not enforce it.
    https://www.psycopg.org/psycopg3/docs/api/connections.html
    """
    connection.wait = partial(connection.wait, timeout=seconds)
