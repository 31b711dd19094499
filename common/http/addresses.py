"""Find the IP address of the client that sent a request."""

import ipaddress
import logging
import re
import threading

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

logger = logging.getLogger(__name__)

# An address with a port or in brackets, optionally in quotes. A port after a bare IPv6 address would be ambiguous.
_HOP = re.compile(r'("?)(?:\[([^\[\]"]+)\]|([0-9.]+))(?::[0-9]{1,5})?\1')
_warned = threading.Event()


def client_address(request: HttpRequest) -> str:
    """Return the client's IP address as text.

    X-Forwarded-For is read from its end, as long as the sender is in the networks of TRUSTED_PROXIES. So a client
    cannot forge its address. Ports are dropped. If a proxy sends an invalid address, its own address is returned, and
    a warning is logged once per process.
    """
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
    peer = address = _parse(request.META.get("REMOTE_ADDR", ""))
    while address and hops and any(address in network for network in settings.TRUSTED_PROXIES):
        proxy, hop = address, hops.pop()
        address = _parse(hop)
        if address is None and not _warned.is_set():
            _warned.set()
            logger.warning(
                "The proxy %s sent an invalid address in X-Forwarded-For: %.60r. Its clients share one limit on failed "
                "logins until it sends their addresses.",
                proxy,
                hop,
            )
    return str(address or peer or "")


def _parse(text: str) -> Address | None:
    """Return the address without port and zone (RFC 4007), or None if it is invalid.

    IPv4-mapped IPv6 addresses become IPv4, so that every client has one spelling.
    """
    if hop := _HOP.fullmatch(text):
        text = hop[2] or hop[3]
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
