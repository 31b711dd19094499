"""The address of the client that sent a request."""

import ipaddress
import logging
import re
import threading

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

logger = logging.getLogger(__name__)

# An address with a port, or in brackets, and perhaps in quotes. A bare IPv6 address has no port: it would be ambiguous.
_HOP = re.compile(r'("?)(?:\[([^\[\]"]+)\]|([0-9.]+))(?::[0-9]{1,5})?\1')
_warned = threading.Event()


def client_address(request: HttpRequest) -> str:
    """Return the client's IP address as text.

    Proxies in the networks of the setting TRUSTED_PROXIES are believed about whom they passed on in
    X-Forwarded-For, read from its end; what a client wrote there itself is not. A port is dropped. Where a proxy sends
    what is no address, its own address is returned, and the log has one warning in the life of the process.
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
                "The proxy %s sent what is no address in X-Forwarded-For: %.60r. Its clients share one limit on failed "
                "logins until it sends their addresses.",
                proxy,
                hop,
            )
    return str(address or peer or "")


def _parse(text: str) -> Address | None:
    """Return the address in its one spelling: without a port or zone (RFC 4007), and IPv4 as what it is."""
    if hop := _HOP.fullmatch(text):
        text = hop[2] or hop[3]
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
