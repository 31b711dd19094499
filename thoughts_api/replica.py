"""Searches on a read replica, for as long as it answers and is not far behind.

Two threads of each process ask once a second, from its first search on: how far the primary has written, and how far
the replica has replayed that. No request waits for them.
"""

import functools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from prometheus_client import Gauge

from common.api.errors import reason
from common.operations.metrics import REGISTRY

ALIAS = "replica"
PERIOD = 1.0  # seconds
ERRORS = (DatabaseError, InterfaceError)
# Positions in the write-ahead log, in bytes; anybody may ask for them.
# https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-RECOVERY-CONTROL
WRITTEN = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"
REPLAYED = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0') END"
FIT = Gauge(
    "database_fit", "1 while searches may go there.", ["database"], registry=REGISTRY, multiprocess_mode="livemin"
)

Found = TypeVar("Found")
logger = logging.getLogger(__name__)


def read(query: Callable[[str], Found]) -> Found:
    """Return what a query finds, given the alias of its database: the replica while it is fit, else the primary.

    A query that fails on the replica is asked of the primary at once.
    """
    if ALIAS in settings.DATABASES and (replica := watched()).fit:
        connection: Any = connections[ALIAS]
        if getattr(connection, "outages", 0) != replica.outages:
            connection.close()  # it may lead to a server that has ended since
            connection.outages = replica.outages
        try:
            return query(ALIAS)
        except ERRORS as error:
            connection.close()
            replica.leave_out(reason(error))
    return query(DEFAULT_DB_ALIAS)


class Replica:
    """What is known of the replica: `fit` for searches or not, None before the first look."""

    def __init__(self, max_lag: float) -> None:
        self.max_lag = max_lag  # seconds
        self.fit: bool | None = None
        self.outages = 0  # how often it was left out
        self._written: deque[tuple[float, int]] = deque()  # when the primary had written how much, oldest first
        self._lock = threading.Lock()

    def watch(self) -> None:
        """Look at both servers from now on, in a thread each: one that hangs does not hold up the other."""
        for look in (self.look_at_primary, self.look_at_replica):
            threading.Thread(target=_for_ever, args=[look], name=look.__name__, daemon=True).start()

    def look_at_primary(self) -> None:
        """Note how much the primary has written, if it answers."""
        now = time.monotonic()
        try:
            self.note(_ask(DEFAULT_DB_ALIAS, WRITTEN), now)
        except ERRORS:
            connections[DEFAULT_DB_ALIAS].close()

    def look_at_replica(self) -> None:
        """Leave the replica out or take it back."""
        try:
            replayed = _ask(ALIAS, REPLAYED)
        except ERRORS as error:
            connections[ALIAS].close()
            self.leave_out(reason(error))
        else:
            self.judge(replayed)

    def note(self, written: int, now: float) -> None:
        """Remember how much the primary had written at a time, in seconds."""
        self._written.append((now, written))
        while len(self._written) > 1 and self._written[1][0] <= now - self.max_lag:
            self._written.popleft()

    def judge(self, replayed: int | None) -> None:
        """Leave the replica out or take it back, by how much it has replayed; None says that it is no replica.

        It must have all that the primary had written `max_lag` seconds ago. When it last replayed something says
        little: nothing comes from a primary that is idle, nor from one that it has lost. While the primary does not
        answer, no more is asked of the replica than before: searches go on.
        """
        if replayed is None:
            self.leave_out("it is not in recovery")
        elif self._written and replayed >= self._written[0][1]:
            self._set(True)
        elif self._written:
            self.leave_out(f"it is more than {self.max_lag} s behind")

    def leave_out(self, reason: str) -> None:
        """Let no more searches go there, until a look finds it fit."""
        self._set(False, reason)

    def _set(self, fit: bool, reason: str = "") -> None:
        with self._lock:
            before, self.fit = self.fit, fit
            self.outages += before is not False and not fit
            FIT.labels(ALIAS).set(fit)
        if fit and not before:
            logger.info("searches go to the replica")
        elif before is not False and not fit:
            logger.warning("the replica is left out: %s", reason)


_starting = threading.Lock()


def watched() -> Replica:
    """Return the replica of this process, watched from the first call on: after gunicorn has forked."""
    with _starting:
        return _watched()


@functools.cache
def _watched() -> Replica:
    replica = Replica(connections[ALIAS].settings_dict["MAX_LAG"])
    replica.watch()
    return replica


def _ask(alias: str, question: str) -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]


def _for_ever(look: Callable[[], None]) -> None:
    while True:
        try:
            look()
        except Exception:
            logger.exception("the replica cannot be watched")
        time.sleep(PERIOD)
