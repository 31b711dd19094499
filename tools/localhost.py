"""Resolve host names that end with .localhost to 127.0.0.1.

RFC 6761, section 6.3, requires this, but not every system does it. Call `resolve` before you send requests to such a
host, or run pytest with `-p tools.localhost`.
"""

import socket
from typing import Any

_getaddrinfo = socket.getaddrinfo


def resolve() -> None:
    """Make this process resolve host names that end with .localhost."""
    socket.getaddrinfo = getaddrinfo


def pytest_configure() -> None:
    """Call `resolve` when pytest loads this module as a plugin."""
    resolve()


def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    """Call `socket.getaddrinfo`, but resolve .localhost names to 127.0.0.1."""
    name = host.decode() if isinstance(host, bytes) else host
    return _getaddrinfo("127.0.0.1" if name and name.endswith(".localhost") else host, *args, **kwargs)
