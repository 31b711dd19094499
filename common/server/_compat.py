"""Parts of gunicorn that are not its public API. `common/tests/test_compat.py` fails when a release changes them."""

import re
from collections.abc import Callable

from gunicorn import util

_QUOTED = re.compile(r": b?['\"].*", re.DOTALL)


def set_error_writer(write_error: Callable[..., None]) -> None:
    """Make gunicorn call this function to answer requests that do not reach the application.

    There is no setting for it: https://github.com/benoitc/gunicorn/issues/993
    """
    util.write_error = write_error


def without_quotation(message: str) -> str:
    """Return a message of gunicorn's log without the bytes that it quotes of a malformed request.

    gunicorn's worker puts them into the message itself: the logger cannot tell them from its own words.
    """
    return _QUOTED.sub("", message) if message.startswith("Invalid request") else message
