"""Whom a request comes from, with proxies that are believed and clients that are not."""

import ipaddress

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from common.http.addresses import client_address


@pytest.fixture(autouse=True)
def proxies(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = [ipaddress.ip_network(network) for network in ("10.0.0.0/8", "fd00::/8")]


def seen(peer: str, forwarded: str | None = None) -> str:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client_address(RequestFactory(REMOTE_ADDR=peer).get("/", headers=headers))


def test_without_a_proxy_it_is_the_peer() -> None:
    assert seen("203.0.113.7") == "203.0.113.7"
    assert seen("2001:db8::7") == "2001:db8::7"


def test_a_client_that_names_another_address_is_not_believed() -> None:
    assert seen("203.0.113.7", "198.51.100.1") == "203.0.113.7"
    assert seen("203.0.113.7", "10.0.0.1") == "203.0.113.7"


def test_nobody_is_believed_where_no_proxy_is_trusted(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = []
    assert seen("10.0.0.1", "198.51.100.1") == "10.0.0.1"


def test_a_trusted_proxy_is_believed() -> None:
    assert seen("10.0.0.1", "198.51.100.1") == "198.51.100.1"
    assert seen("fd00::1", "2001:db8::7") == "2001:db8::7"


def test_what_the_client_wrote_before_the_proxy_is_not_believed() -> None:
    assert seen("10.0.0.1", "192.0.2.66, 198.51.100.1") == "198.51.100.1"
    assert seen("10.0.0.1", "10.0.0.9, 198.51.100.1") == "198.51.100.1"


def test_a_chain_of_trusted_proxies_is_followed() -> None:
    assert seen("10.0.0.1", "192.0.2.66, 198.51.100.1, 10.0.0.3 ,10.0.0.2") == "198.51.100.1"


def test_a_client_among_the_proxies_is_itself() -> None:
    assert seen("10.0.0.1", "10.0.0.5") == "10.0.0.5"
    assert seen("10.0.0.1") == "10.0.0.1"


@pytest.mark.parametrize(
    "forwarded", ["", ",", " , ", "unknown", "_hidden", "198.51.100.1:443", "[2001:db8::7]:443", "x" * 10_000, "\x00"]
)
def test_what_is_no_address_leaves_the_peer(forwarded: str) -> None:
    assert seen("10.0.0.1", forwarded) == "10.0.0.1"


def test_an_address_has_one_spelling() -> None:
    # Or one client could be many.
    assert seen("10.0.0.1", "2001:DB8:0:0:0:0:0:7") == "2001:db8::7"
    assert seen("10.0.0.1", "fe80::1%eth0") == "fe80::1"
    assert seen("10.0.0.1", "::ffff:198.51.100.1") == "198.51.100.1"
    assert seen("::ffff:10.0.0.1", "198.51.100.1") == "198.51.100.1"


def test_a_peer_without_an_address_has_none() -> None:
    # A Unix socket.
    assert seen("") == ""
    assert seen("", "198.51.100.1") == ""
