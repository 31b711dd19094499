"""Limit slow work so that each process keeps a thread free for other requests."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


class Slots:
    """A limited number of slots for slow work.

    The number of slots is `threads` minus one, but at least one. `threads` is the number of the process's threads.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._free = threading.BoundedSemaphore(max(1, threads - 1))

    @contextmanager
    def hold(self, refusal: Exception) -> Iterator[None]:
        """Occupy a slot during the `with` block.

        If no slot is free, log a warning and raise `refusal` at once. Waiting would occupy the last free thread.
        """
        if not self._free.acquire(blocking=False):
            logger.warning("%s: all but one of %s threads are doing slow work.", type(refusal).__name__, self._threads)
            raise refusal
        try:
            yield
        finally:
            self._free.release()
