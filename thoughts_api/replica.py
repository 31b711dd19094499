"""Route searches to a read replica while it is reachable and in sync.

On its first search, each process starts two threads. Once a second, one thread checks the primary, and the other checks
the replica. The primary writes all changes to its write-ahead log, and the replica replays them. The checks compare the
positions of both servers in that log. Requests do not wait for the checks.
"""

import functools
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from prometheus_client import Gauge

from common.api.errors import reason
from common.registry import REGISTRY

ALIAS = "replica"
PERIOD = 1.0  # seconds
ERRORS = (DatabaseError, InterfaceError)
# These queries return positions in the write-ahead log, in bytes. Every database user may run them.
# https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-RECOVERY-CONTROL
WRITTEN = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"
REPLAYED = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0') END"
USABLE = Gauge(
    "database_usable",
    "1 while searches use the replica, else 0.",
    ["database"],
    registry=REGISTRY,
    multiprocess_mode="livemin",
)

LAG = Gauge(
    "database_replica_lag_bytes",
    "Bytes of the write-ahead log that the replica has not replayed yet, or NaN if unknown.",
    ["database"],
    registry=REGISTRY,
    multiprocess_mode="livemostrecent",  # "livemax" cannot compare NaN with the values of other workers
)

Found = TypeVar("Found")
logger = logging.getLogger(__name__)


def read(query: Callable[[str], Found]) -> Found:
    """Run a query on the replica if it is usable, else on the primary.

    `query` receives the alias of the database. If the query fails on the replica, it runs again on the primary.
    """
    if ALIAS in settings.DATABASES and (replica := watched()).usable:
        connection: Any = connections[ALIAS]
        if getattr(connection, "outages", 0) != replica.outages:
            connection.close()  # it was opened before an outage, so it may be dead
            connection.outages = replica.outages
        try:
            return query(ALIAS)
        except ERRORS as error:
            connection.close()
            replica.remove(reason(error))
    return query(DEFAULT_DB_ALIAS)


class Replica:
    """State of the replica. `usable` is None until the first check."""

    def __init__(self, max_lag: float) -> None:
        self.max_lag = max_lag  # seconds
        self.usable: bool | None = None
        self.outages = 0  # number of times that the replica was removed from rotation
        self._written: deque[tuple[float, int]] = deque()  # (time, position of the primary), oldest first
        self._lock = threading.Lock()

    def watch(self) -> None:
        """For each server, start a thread that checks it once a second.

        With a single thread, one unresponsive server would delay the check of the other.
        """
        for check in (self.check_primary, self.check_replica):
            threading.Thread(target=_repeat, args=[check], name=check.__name__, daemon=True).start()

    def check_primary(self) -> None:
        """Query the position of the primary, and record it if the primary is reachable."""
        now = time.monotonic()
        try:
            self.record(_query(DEFAULT_DB_ALIAS, WRITTEN), now)
        except ERRORS:
            connections[DEFAULT_DB_ALIAS].close()

    def check_replica(self) -> None:
        """Check the replica, and remove it from rotation or restore it.

        If the query for the replica's position fails, remove the replica. Otherwise, `compare` decides whether to
        remove or restore the replica.
        """
        try:
            replayed = _query(ALIAS, REPLAYED)
        except ERRORS as error:
            connections[ALIAS].close()
            self.remove(reason(error))
        else:
            self.compare(replayed)

    def record(self, written: int, now: float) -> None:
        """Record that the primary was at position `written` at time `now`, in seconds.

        Drop the positions that `compare` no longer needs.
        """
        self._written.append((now, written))
        while len(self._written) > 1 and self._written[1][0] <= now - self.max_lag:
            self._written.popleft()

    def compare(self, replayed: int | None) -> None:
        """Remove the replica from rotation if it lags too much. Otherwise, restore it.

        `replayed` is the position of the replica, or None if the server is no longer a replica. The replica must have
        replayed everything that the primary had written `max_lag` seconds ago. While the primary is unreachable, no new
        positions are recorded, so the replica stays in rotation.

        The age of the last replayed change does not measure the lag, because that age also grows while the primary is
        idle.
        """
        if replayed is None:
            self.remove("it is not in recovery")
        elif self._written:
            lag = max(self._written[-1][1] - replayed, 0)
            if replayed >= self._written[0][1]:
                self._set(True, lag)
            else:
                self._set(False, lag, f"it lags by more than {self.max_lag} s")

    def remove(self, reason: str) -> None:
        """Remove the replica from rotation until a later check finds that it is usable.

        The lag is unknown until the next check that measures it.
        """
        self._set(False, math.nan, reason)

    def _set(self, usable: bool, lag: float, reason: str = "") -> None:
        with self._lock:
            before, self.usable = self.usable, usable
            self.outages += before is not False and not usable
            USABLE.labels(ALIAS).set(usable)
            # With several workers, prometheus_client cannot remove a metric's value. So set NaN.
            LAG.labels(ALIAS).set(lag)
        if usable and not before:
            logger.info("the replica is in rotation for searches")
        elif before is not False and not usable:
            logger.warning("the replica is removed from rotation: %s", reason)


_starting = threading.Lock()


def watched() -> Replica:
    """Return the state of the replica, which all threads of this process share.

    The first call starts the checks. Do not call this function at import time: gunicorn forks later, and a fork does
    not copy threads.
    """
    with _starting:
        return _watched()


@functools.cache
def _watched() -> Replica:
    replica = Replica(connections[ALIAS].settings_dict["MAX_LAG"])
    replica.watch()
    return replica


def _query(alias: str, sql: str) -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def _repeat(check: Callable[[], None]) -> None:
    while True:
        try:
            check()
        except Exception:
            logger.exception("a check of the replica failed")
        time.sleep(PERIOD)
