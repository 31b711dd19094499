"""Resolve every name below .localhost to this machine (RFC 6761, section 6.3), because some resolvers do not.

Import it before calls to the ingress by these names; in pytest, use `-p tools.localhost`.
"""

import socket
from typing import Any

_getaddrinfo = socket.getaddrinfo


def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    """Call `socket.getaddrinfo` with 127.0.0.1 for a name below .localhost."""
    name = host.decode() if isinstance(host, bytes) else host
    return _getaddrinfo("127.0.0.1" if name and name.endswith(".localhost") else host, *args, **kwargs)


socket.getaddrinfo = getaddrinfo
