"""Test that a free port stays reserved for the system that a test starts."""

import socket

import pytest

from tools.system import free_ports


def test_free_port_is_reserved_for_a_server_with_so_reuseaddr() -> None:
    ports = free_ports(3)
    assert len({*ports}) == 3
    for port in ports:
        with socket.socket() as other, pytest.raises(OSError, match="Address already in use"):
            other.bind(("127.0.0.1", port))
        socket.create_server(("127.0.0.1", port)).close()
