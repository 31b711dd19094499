"""Clients that send half a request, or what is none, to gunicorn with the project of common's tests."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from e2e.conftest import answers, free_ports
from tools.local import ROOT

APPLICATION = "common.wsgi:get_wsgi_application()"
POST = b"POST /echo/ HTTP/1.1\r\nHost: localhost\r\n"
HALVES = [b"G", POST + b"Content-Length: 9\r\n\r\n{", POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port where it listens."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "gunicorn", "-c", "python:common.gunicorn_conf", APPLICATION]
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "common.tests.settings",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
        "THREADS": str(len(HALVES)),
    }
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            while not answers(f"http://127.0.0.1:{port}/healthz"):
                assert process.poll() is None
            yield port
        finally:
            process.terminate()


def send(port: int, request: bytes) -> socket.socket:
    """Connect, send, and return the connection."""
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.sendall(request)
    return client


def test_as_many_half_requests_as_threads_keep_nobody_waiting_for_long(port: int) -> None:
    clients = [send(port, half) for half in HALVES]
    assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10).status_code == 200
    for client in clients:
        with client:
            client.recv(1000)  # its connection is closed, or answered and closed


@pytest.mark.parametrize(
    "wrong",
    [
        b"nonsense\r\n\r\n",
        POST + b"Content-Length: abc\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nz\r\n",
        POST + b"No colon\r\n\r\n",
    ],
)
def test_what_is_not_http_is_told_so(port: int, wrong: bytes) -> None:
    with send(port, wrong) as client, client.makefile("rb") as answer:
        head, _, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'"errors": {}' in body
