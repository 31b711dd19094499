"""Code that uses undocumented parts of gunicorn.

`common/tests/test_compat.py` fails if a new release of gunicorn changes them.
"""

import re
from collections.abc import Callable

from gunicorn import util

_QUOTED = re.compile(r": b?['\"].*", re.DOTALL)
_INVALID = re.compile(r"Invalid request from ip=(\S*): (.*)", re.DOTALL)


def set_error_writer(write_error: Callable[..., None]) -> None:
    """Make gunicorn call `write_error` to send its own error responses.

    gunicorn has no setting for that: https://github.com/benoitc/gunicorn/issues/993
    """
    util.write_error = write_error


def invalid_request(message: str) -> tuple[str, str] | None:
    """Parse gunicorn's log message about an invalid request.

    Return the client's address and the error, or None for any other message. The error does not contain the request
    data that gunicorn quotes. gunicorn's worker formats the message before it calls the logger. So the logger cannot
    remove the data from the arguments.
    """
    found = _INVALID.fullmatch(message)
    return (found[1], _QUOTED.sub("", found[2])) if found else None


def without_target(message: str) -> str:
    """Return gunicorn's log message without placeholders for request data.

    If gunicorn logs an exception, the message has placeholders for the request's method and URI. The URI contains the
    query string. Other messages are returned unchanged.
    """
    return "Error handling request" if message.startswith("Error handling request") else message
