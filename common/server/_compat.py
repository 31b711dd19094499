"""Code that uses undocumented parts of gunicorn.

`common/tests/test_compat.py` fails if a new release of gunicorn changes them.
"""

import re
from collections.abc import Callable

from gunicorn import util

_QUOTED = re.compile(r": b?['\"].*", re.DOTALL)


def set_error_writer(write_error: Callable[..., None]) -> None:
    """Make gunicorn call `write_error` to send its own error responses.

    gunicorn has no setting for that: https://github.com/benoitc/gunicorn/issues/993
    """
    util.write_error = write_error


def without_quotation(message: str) -> str:
    """Return one of gunicorn's log messages without the request data that it quotes.

    gunicorn's worker formats the message before it calls the logger. So the logger cannot remove the data from the
    arguments.
    """
    return _QUOTED.sub("", message) if message.startswith("Invalid request") else message
