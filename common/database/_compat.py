"""Parts of psycopg that are not its public API. `common/tests/test_compat.py` fails when a release changes them."""

from functools import partial
from typing import Any


def limit_waits(connection: Any, seconds: float) -> None:
    """Make each wait of a psycopg connection for its server raise OperationalError after some seconds.

    psycopg leaves the time limit to the server (statement_timeout), but a server that is stuck keeps none:
    https://www.psycopg.org/psycopg3/docs/api/connections.html
    """
    connection.wait = partial(connection.wait, timeout=seconds)
