"""Parts of gunicorn that are not its public API. `common/tests/test_compat.py` fails when a release changes them."""

import re
from collections.abc import Callable

from gunicorn import util

_QUOTED = re.compile(r": b?['\"].*", re.DOTALL)


def set_error_writer(write_error: Callable[..., None]) -> None:
    """Make gunicorn send its own errors with this function.

    gunicorn has no setting for it: https://github.com/benoitc/gunicorn/issues/993
    """
    util.write_error = write_error


def without_quotation(message: str) -> str:
    """Return a log message of gunicorn without the part of the request that it quotes.

    The worker formats the message before it calls the logger, so the quotation is not a separate argument.
    """
    return _QUOTED.sub("", message) if message.startswith("Invalid request") else message
