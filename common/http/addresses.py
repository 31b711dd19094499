"""Find the IP address of the client that sent a request."""

import functools
import ipaddress
import logging
import re
import threading

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

logger = logging.getLogger(__name__)

# Matches an IPv4 address with or without a port, and an IPv6 address in brackets with or without a port. Quotes around
# them are optional. An IPv6 address without brackets cannot have a port, because that would be ambiguous.
_HOP = re.compile(r'("?)(?:\[([^\[\]"]+)\]|([0-9.]+))(?::[0-9]{1,5})?\1')
_warned = threading.Event()


def client_address(request: HttpRequest) -> str:
    """Return the IP address of the client that sent the request, without a port.

    Each proxy adds the address of its client to the end of X-Forwarded-For. So this function reads the header from its
    end, and stops at the first address that is not in TRUSTED_PROXIES. A client cannot forge its address, because
    addresses that the client writes into the header come before the address where this function stops.

    If a trusted proxy sends an invalid address, this function returns the address of the proxy that connected to this
    server. The first time that this happens in a process, the function also logs a warning.
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
                "The proxy %s sent an invalid address in X-Forwarded-For: %s characters that are not an IP address. "
                "Until it sends valid addresses, all its clients share one limit on failed logins.",
                proxy,
                len(hop),  # the text itself may contain a client's address
            )
    return str(address or peer or "")


def client_network(request: HttpRequest) -> str:
    """Return the `network` of the client's address."""
    return network(client_address(request))


@functools.lru_cache(maxsize=1024)
def network(address: str) -> str:
    """Return the /24 (IPv4) or /48 (IPv6) network of an address.

    If the address is invalid, return "". Logs and sessions contain the network instead of the address, which would
    identify a person.
    """
    parsed = _parse(address)
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False)) if parsed else ""


@functools.lru_cache(maxsize=1024)  # each request needs the address, and most come from few proxies and clients
def _parse(text: str) -> Address | None:
    """Return the address without port or zone (RFC 4007), or None if it is invalid.

    An IPv4-mapped IPv6 address becomes an IPv4 address, so that one client never counts as two.
    """
    if hop := _HOP.fullmatch(text):
        text = hop[2] or hop[3]
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
