"""Check which services work, for the page /status.

Anyone may open this page, so it must not cause much load. Each process checks the services at most once every `MAX_AGE`
seconds. Only one thread of the process waits for the answers, and each check has a timeout.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from web.backends import thoughts, users
from web.backends.exceptions import BackendError, BadAnswer, Unavailable

MAX_AGE = 5.0  # seconds; the next request after this time checks the services again
MAX_SHOWN_AGE = 30.0  # seconds; while one thread checks, the others do not show an older report
TIMEOUT = 1.0  # seconds to wait for an answer; opening the connection may also take BACKEND_CONNECT_TIMEOUT


class State(Enum):
    """State of a service. The value is the text on the page."""

    WORKS = "Works"
    FAILS = "Answers with errors"
    SILENT = "Does not answer"
    UNKNOWN = "Being checked"


@dataclass(frozen=True)
class Service:
    """A service that web calls.

    `check` gets a timeout in seconds, and raises a `BackendError` if the service does not work. `purpose` says what
    users do with the service.
    """

    name: str
    purpose: str
    check: Callable[[float], None]

    def state(self) -> State:
        """Check the service now, and return its state."""
        try:
            self.check(TIMEOUT)
        except BackendError as error:
            silent = isinstance(error, Unavailable) and not isinstance(error, BadAnswer)
            return State.SILENT if silent else State.FAILS
        return State.WORKS


# web calls these services. The page shows them in this order.
SERVICES = (
    Service("Thoughts", "Read, search and write thoughts", thoughts.check),
    Service("Login", "Log in, sign up and manage your account", users.check),
)


@dataclass(frozen=True)
class Report:
    """The state of each service in `SERVICES`, and the `time` of the check.

    `time` is None before the first check.
    """

    states: tuple[State, ...] = (State.UNKNOWN,) * len(SERVICES)
    time: datetime | None = None
    monotonic: float = float("-inf")  # the `time.monotonic()` of the check

    @property
    def lines(self) -> list[tuple[Service, State]]:
        """Return each service with its state."""
        return list(zip(SERVICES, self.states, strict=True))

    @property
    def title(self) -> str:
        """Return a summary in a few words."""
        if self.time is None:
            return "The services are being checked"
        return "Everything works" if set(self.states) == {State.WORKS} else "Some things do not work right now"

    def age(self) -> float:
        """Return the seconds since the check."""
        return time.monotonic() - self.monotonic


class Checker:
    """Checker of the services, which keeps the latest report of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest = Report()

    def report(self) -> Report:
        """Return the latest report.

        If it is older than `MAX_AGE`, check the services first.

        While one thread checks, the other threads do not wait. They return the latest report. If it is older than
        `MAX_SHOWN_AGE`, they return a report in which each state is `UNKNOWN`.
        """
        if self._latest.age() > MAX_AGE and self._lock.acquire(blocking=False):
            try:
                if self._latest.age() > MAX_AGE:  # another thread may have checked in the meantime
                    self._latest = _check()
            finally:
                self._lock.release()
        return self._latest if self._latest.age() <= MAX_SHOWN_AGE else Report()


def _check() -> Report:
    """Check all services at the same time."""
    with ThreadPoolExecutor(len(SERVICES)) as pool:
        # Each thread gets a copy of the context, which contains the request id for the logs.
        futures = [pool.submit(copy_context().run, service.state) for service in SERVICES]
        states = tuple(future.result() for future in futures)
    return Report(states, datetime.now(UTC), time.monotonic())


checker = Checker()
