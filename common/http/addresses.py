"""Whom a request comes from."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the client's IP address as text.

    Proxies in the networks of the setting TRUSTED_PROXIES are believed about whom they passed on in
    X-Forwarded-For, read from its end; what a client wrote there itself is not.
    """
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
    peer = address = _parse(request.META.get("REMOTE_ADDR", ""))
    while address and hops and any(address in network for network in settings.TRUSTED_PROXIES):
        address = _parse(hops.pop())
    return str(address or peer or "")


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address in its one spelling: without a zone (RFC 4007), and IPv4 as what it is."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
