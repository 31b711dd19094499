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
    address: str = request.META.get("REMOTE_ADDR", "")
    while _trusted(address) and hops:
        address = hops.pop()
    return address if _parse(address) else request.META.get("REMOTE_ADDR", "")


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def _trusted(address: str) -> bool:
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in settings.TRUSTED_PROXIES)
