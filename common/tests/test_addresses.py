"""Test `client_address` with trusted proxies and with forged headers."""

import ipaddress
import threading

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from common.http import addresses
from common.http.addresses import client_address

INVALID_ADDRESSES = [
    "unknown", "_hidden", "for=198.51.100.1", "for=\"[2001:db8::7]:443\"", "x" * 10_000, "\x00", "a\nb",
    "198.51.100.1:", "198.51.100.1:x", "198.51.100.1:123456", "198.51.100.1:443:443", "198.51.100:443", "[]", "[]:443",
    "[2001:db8::7", "2001:db8::7]:443", "[2001:db8::7]443", "[2001:db8::7]:", '"', '""',
    '"198.51.100.1', '198.51.100.1"', "[[2001:db8::7]]:443", "localhost:80", "१.२.३.४:80",
]  # fmt: skip


@pytest.fixture(autouse=True)
def proxies(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = [ipaddress.ip_network(network) for network in ("10.0.0.0/8", "fd00::/8")]


def address_of(peer: str, forwarded: str | None = None) -> str:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client_address(RequestFactory(REMOTE_ADDR=peer).get("/", headers=headers))


def test_client_without_a_proxy_has_the_address_of_the_connection() -> None:
    assert address_of("203.0.113.7") == "203.0.113.7"
    assert address_of("2001:db8::7") == "2001:db8::7"


def test_forwarded_address_from_a_client_is_ignored() -> None:
    assert address_of("203.0.113.7", "198.51.100.1") == "203.0.113.7"
    assert address_of("203.0.113.7", "10.0.0.1") == "203.0.113.7"


def test_forwarded_address_is_ignored_without_trusted_proxies(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = []
    assert address_of("10.0.0.1", "198.51.100.1") == "10.0.0.1"


def test_forwarded_address_from_a_trusted_proxy_is_used() -> None:
    assert address_of("10.0.0.1", "198.51.100.1") == "198.51.100.1"
    assert address_of("fd00::1", "2001:db8::7") == "2001:db8::7"


def test_addresses_added_by_the_client_are_ignored() -> None:
    assert address_of("10.0.0.1", "192.0.2.66, 198.51.100.1") == "198.51.100.1"
    assert address_of("10.0.0.1", "10.0.0.9, 198.51.100.1") == "198.51.100.1"


def test_address_of_a_client_behind_several_trusted_proxies_is_found() -> None:
    assert address_of("10.0.0.1", "192.0.2.66, 198.51.100.1, 10.0.0.3 ,10.0.0.2") == "198.51.100.1"


def test_address_of_a_client_in_a_trusted_network_is_found() -> None:
    assert address_of("10.0.0.1", "10.0.0.5") == "10.0.0.5"
    assert address_of("10.0.0.1") == "10.0.0.1"


@pytest.mark.parametrize("forwarded", ["", ",", " , ", *INVALID_ADDRESSES])
def test_invalid_forwarded_address_is_ignored(forwarded: str) -> None:
    assert address_of("10.0.0.1", forwarded) == "10.0.0.1"


@pytest.mark.parametrize(
    ("hop", "address"),
    [
        ("203.0.113.1:4001", "203.0.113.1"),
        ("203.0.113.1:0", "203.0.113.1"),
        ("[2001:db8::1]:4001", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ('"[2001:db8::1]:4001"', "2001:db8::1"),
        ('"[2001:db8::1]"', "2001:db8::1"),
        ('"203.0.113.1:4001"', "203.0.113.1"),
        ("  203.0.113.1:4001  ", "203.0.113.1"),
        ("[fe80::1%eth0]:4001", "fe80::1"),
        ("[fe80::1%25eth0]:4001", "fe80::1"),
        ("[::ffff:203.0.113.1]:4001", "203.0.113.1"),
        # This could be an address with a port, but it is also a valid address without one, so no port is dropped.
        ("2001:db8::1:4001", "2001:db8::1:4001"),
    ],
)
def test_port_in_a_forwarded_address_is_dropped(hop: str, address: str) -> None:
    # Azure's Application Gateway sends ports.
    assert address_of("10.0.0.1", hop) == address
    assert address_of("10.0.0.1", f"192.0.2.66:1, {hop}, 10.0.0.3:8080, [fd00::2]:80") == address


@pytest.mark.parametrize("hop", INVALID_ADDRESSES)
def test_invalid_address_from_a_proxy_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, hop: str
) -> None:
    monkeypatch.setattr(addresses, "_warned", threading.Event())
    for _ in range(3):
        address_of("10.0.0.1", f"198.51.100.1, {hop}, 10.0.0.3")
    [record] = caplog.records
    assert record.levelname == "WARNING"
    line = record.getMessage()
    assert line.startswith("The proxy 10.0.0.3 sent an invalid address in X-Forwarded-For: ")
    assert line.isprintable()
    assert len(line) < 250


@pytest.mark.parametrize("forwarded", ["", "198.51.100.1", "198.51.100.1:443", "unknown, 198.51.100.1"])
def test_valid_forwarded_address_is_not_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, forwarded: str
) -> None:
    monkeypatch.setattr(addresses, "_warned", threading.Event())
    address_of("10.0.0.1", forwarded)
    address_of("203.0.113.7", "unknown")  # not a trusted proxy
    assert not caplog.records


def test_each_address_has_one_spelling() -> None:
    # With several spellings, one client could count as several.
    assert address_of("10.0.0.1", "2001:DB8:0:0:0:0:0:7") == "2001:db8::7"
    assert address_of("10.0.0.1", "fe80::1%eth0") == "fe80::1"
    assert address_of("10.0.0.1", "::ffff:198.51.100.1") == "198.51.100.1"
    assert address_of("::ffff:10.0.0.1", "198.51.100.1") == "198.51.100.1"


def test_client_on_a_unix_socket_has_no_address() -> None:
    assert address_of("") == ""
    assert address_of("", "198.51.100.1") == ""
