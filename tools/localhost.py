"""Makes every name below .localhost this machine, as RFC 6761 section 6.3 has it, where the resolver does not.

Imported by what calls the ingress by these names; pytest takes it with `-p tools.localhost`.
"""

import socket
from typing import Any

_getaddrinfo = socket.getaddrinfo


def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    """Do what `socket.getaddrinfo` does."""
    name = host.decode() if isinstance(host, bytes) else host
    return _getaddrinfo("127.0.0.1" if name and name.endswith(".localhost") else host, *args, **kwargs)


socket.getaddrinfo = getaddrinfo
