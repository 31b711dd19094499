"""Parts of psycopg that are not its public API. `common/tests/test_compat.py` fails when a release changes them."""

from functools import partial
from typing import Any


def limit_waits(connection: Any, seconds: float) -> None:
    """Limit how long a psycopg connection waits for the server, in seconds.

    After that, it raises OperationalError. psycopg relies on the server's statement_timeout, but a stuck
    server does not enforce it.
    https://www.psycopg.org/psycopg3/docs/api/connections.html
    """
    connection.wait = partial(connection.wait, timeout=seconds)
