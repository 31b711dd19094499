"""Test gunicorn with slow, silent, broken and hostile clients.

gunicorn serves the test project of `common`.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest
import requests

from common.tests.settings import LARGE
from tools.local import ROOT
from tools.system import answers, free_ports

APPLICATION = "common.http.wsgi:get_wsgi_application()"
POST = b"POST /echo/ HTTP/1.1\r\nHost: testserver\r\n"
GET = b"GET /open/ HTTP/1.1\r\nHost: testserver\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
UNFINISHED = {
    "silent": b"",
    "a method": b"G",
    "headers": GET + b"X-Slow: ",
    "a body": POST + b"Content-Length: 9\r\n\r\n{",
    "chunks": CHUNKED + b"5\r\n{",
}
ANSWERED = {
    "closed": GET + b"Connection: close\r\n\r\n",
    "HTTP/1.0": GET.replace(b"1.1", b"1.0") + b"\r\n",
    "malformed": b"nonsense\r\n\r\n",
    "too large": POST + b"Content-Length: 9999999\r\n\r\n",
}
CLIENTS = 200
THREADS = 3


@contextmanager
def server(*before: str) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Start gunicorn, and yield the process and the port.

    `before` is prepended to the command.
    """
    (port,) = free_ports(1)
    command = [*before, sys.executable, "-m", "gunicorn", "-c", "python:common.server.gunicorn_conf", APPLICATION]
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "common.tests.settings",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
        "THREADS": str(THREADS),
    }
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            while not answers(f"http://127.0.0.1:{port}/healthz"):
                assert process.poll() is None
            yield process, port
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Start one server for all tests of this file, and return the port."""
    with server() as (_, port):
        yield port


def send(port: int, request: bytes) -> socket.socket:
    """Send bytes on a new connection, and return the connection, which stays open."""
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.sendall(request)
    return client


def read(client: socket.socket) -> bytes:
    """Read until the server closes the connection, and return what was read."""
    with client, client.makefile("rb") as answer:
        return answer.read()


def healthy(port: int) -> bool:
    """Return whether a new client gets an answer within 5 seconds."""
    return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).ok


@pytest.mark.parametrize("start", [*UNFINISHED.values(), *ANSWERED.values()], ids=[*UNFINISHED, *ANSWERED])
def test_slow_and_idle_clients_occupy_no_thread(port: int, start: bytes) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(send(port, start)) for _ in range(CLIENTS)]
        for _ in range(10):
            assert healthy(port)
        assert len(clients) == CLIENTS


def test_clients_that_do_not_read_occupy_no_thread(port: int) -> None:
    with ExitStack() as stack:
        for _ in range(20 * THREADS):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            client.sendall(b"GET /large/ HTTP/1.1\r\nHost: testserver\r\n\r\n")
        for _ in range(10):
            assert healthy(port)


def test_client_that_reads_slowly_gets_the_whole_answer(port: int) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /large/ HTTP/1.1\r\nHost: testserver\r\nConnection: close\r\n\r\n")
        received = bytearray()
        while chunk := client.recv(65536):
            received += chunk
    assert bytes(received).endswith(b"\r\n\r\n" + b"x" * LARGE)


def test_slow_requests_time_out(port: int) -> None:
    clients = {name: send(port, start) for name, start in UNFINISHED.items()}
    received = {name: read(client) for name, client in clients.items()}
    assert received.pop("silent") == b""
    for answer in received.values():
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert b'"message": "The request did not arrive in time.' in answer


@pytest.mark.parametrize("start", [UNFINISHED["a body"], UNFINISHED["chunks"]])
def test_truncated_body_is_refused(port: int, start: bytes) -> None:
    with send(port, start) as client:
        client.shutdown(socket.SHUT_WR)
        answer = client.recv(1000)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"ended too early" in answer


@pytest.mark.parametrize("length", [64 * 1024 + 1, 2_600_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_oversized_body_is_refused(port: int, length: int, chunked: bool) -> None:
    body = b"x" * length
    sent: Any = iter([body]) if chunked else body
    response = requests.post(f"http://127.0.0.1:{port}/echo/", data=sent, timeout=20)
    assert response.status_code == 413
    assert response.json() == {"message": "The body is too large. Send at most 65536 bytes."}


def test_largest_body_is_accepted_even_with_an_expect_header(port: int) -> None:
    body = b'{"text": "hello"}'.ljust(64 * 1024)
    headers = {"Content-Type": "application/json", "Expect": "100-continue"}
    response = requests.post(f"http://127.0.0.1:{port}/echo/", data=body, headers=headers, timeout=20)
    assert (response.status_code, response.json()) == (200, {"text": "hello"})


def test_100_continue_is_sent_before_the_body(port: int) -> None:
    with send(port, POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n") as client:
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    with send(
        port, GET + b"\r\n" + b"GET /healthz HTTP/1.1\r\nHost: testserver\r\nConnection: close\r\n\r\n"
    ) as client:
        answer = client.makefile("rb").read()
    assert answer.count(b"HTTP/1.1 ") == 2
    assert b'"commit": "0123abc"}' in answer.rpartition(b"HTTP/1.1 ")[2]


@pytest.mark.parametrize(("path", "chunked"), [("/open/", False), ("/echo/", False), ("/echo/", True)])
def test_connection_is_kept_open_for_the_next_request(port: int, path: str, chunked: bool) -> None:
    method, body = ("GET", None) if path == "/open/" else ("POST", b'{"text": "hello"}')
    headers = {"Content-Type": "application/json"} | ({"Transfer-Encoding": "chunked"} if chunked else {})
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.connect()
    first = connection.sock
    for _ in range(3):
        connection.request(method, path, iter([body]) if chunked else body, headers, encode_chunked=chunked)
        response = connection.getresponse()
        assert response.status == 200
        assert response.read()
        assert connection.sock is first
    connection.close()


def test_request_without_host_is_refused(port: int) -> None:
    answer = read(send(port, b"GET /healthz HTTP/1.1\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    # HTTP/1.0 does not require a Host header.
    assert b" 200 OK" in read(send(port, b"GET /healthz HTTP/1.0\r\n\r\n"))


def test_server_survives_more_connections_than_file_descriptors() -> None:
    with server("sh", "-c", 'ulimit -n 256 && exec "$0" "$@"') as (process, port), ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(send(port, GET + b"\r\n"))
        for _ in range(10):
            assert healthy(port)
        assert process.poll() is None


@pytest.mark.parametrize(
    "wrong",
    [
        b"nonsense\r\n\r\n",
        POST + b"Content-Length: abc\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nz\r\n",
        POST + b"No colon\r\n\r\n",
    ],
)
def test_invalid_http_is_400(port: int, wrong: bytes) -> None:
    with send(port, wrong) as client, client.makefile("rb") as answer:
        head, _, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'"errors": {}' in body
