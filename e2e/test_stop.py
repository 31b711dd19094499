"""gunicorn stops gracefully, and replaces a worker that was killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools.local import ROOT
from tools.system import answers, children, free_ports, within

# In this Django project, /readyz takes 2 s and /slow takes 60 s. Each request creates a file, such as `slow.started`.
APPLICATION = """
import pathlib
import time

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path


def page(request, name=""):
    pathlib.Path(__file__).with_name(f"{name}.started").touch()
    time.sleep({"readyz": 2, "slow": 60}.get(name, 0))
    return HttpResponse("ok")


urlpatterns = [path("", page), path("<name>", page)]
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, MIDDLEWARE=[], USE_TZ=True)
application = get_wsgi_application()
"""


def pending(process_id: int) -> int:
    """Return the signals that a process has not handled yet, as a bit mask."""
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("ShdPnd:")[2].split()[0], 16)


def stop(process_id: int) -> None:
    """Suspend a process with SIGSTOP, and wait until it is suspended."""
    os.kill(process_id, signal.SIGSTOP)
    while "\nState:\tT" not in Path(f"/proc/{process_id}/status").read_text():
        time.sleep(0.01)


def read(client: socket.socket) -> bytes:
    """Read until the server closes the connection, and return what was read."""
    with client, client.makefile("rb") as answer:
        return answer.read()


def refuses(port: int) -> bool:
    """Return whether the port refuses a connection."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            return False
    except ConnectionRefusedError:
        return True


@contextmanager
def server(folder: Path, processes: int, **environment: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Start gunicorn with `APPLICATION` and this number of workers.

    The function writes `APPLICATION` to a module in `folder`. When gunicorn listens, yield its process and its port.
    """
    (folder / "slow.py").write_text(APPLICATION)
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "gunicorn", "-c", "python:common.server.gunicorn_conf", "slow"]
    environment |= {"HOST": "127.0.0.1", "PORT": str(port), "WEB_CONCURRENCY": str(processes)}
    environment["PYTHONPATH"] = str(folder)
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stderr
            assert any("Listening at" in line for line in process.stderr)
            yield process, port
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def workers(process_id: int) -> list[int]:
    """Return the process ids of the workers of a server."""
    return list(children(process_id))


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to see pending signals")
@pytest.mark.parametrize("processes", [1, 2])
def test_server_answers_connected_clients_after_sigterm_and_refuses_new_ones(tmp_path: Path, processes: int) -> None:
    with server(tmp_path, processes) as (process, port):
        assert within(20, lambda: answers(f"http://127.0.0.1:{port}/"))
        assert within(20, lambda: len(workers(process.pid)) == processes)
        # Clients connect while all workers are suspended. When the workers continue, they handle SIGTERM first.
        for worker in workers(process.pid):
            stop(worker)
        waiting = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(20)]
        for client in waiting:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        os.kill(process.pid, signal.SIGTERM)
        for worker in workers(process.pid):
            while not pending(worker) & 1 << signal.SIGTERM - 1:
                time.sleep(0.01)
        for worker in workers(process.pid):
            os.kill(worker, signal.SIGCONT)
        with ThreadPoolExecutor(len(waiting)) as pool:
            for answer in pool.map(read, waiting):
                assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
                assert b"\r\nConnection: close\r\n" in answer
        # A worker that is still importing the application closes its socket after the import.
        assert within(20, lambda: refuses(port))
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_stops_a_starting_server(tmp_path: Path, processes: int) -> None:
    with server(tmp_path, processes) as (process, _):
        process.terminate()
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize("processes", [1, 2])
def test_server_stops_within_the_graceful_timeout_after_sigterm(tmp_path: Path, processes: int) -> None:
    with server(tmp_path, processes, GRACEFUL_TIMEOUT="1") as (process, port):
        assert within(20, lambda: answers(f"http://127.0.0.1:{port}/"))
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert within(20, (tmp_path / "slow.started").exists)
            process.terminate()
            assert process.wait(timeout=30) == 0
            assert client.recv(1000) == b""


def test_killed_worker_is_replaced(tmp_path: Path) -> None:
    with server(tmp_path, 1) as (process, port):
        assert within(20, lambda: answers(f"http://127.0.0.1:{port}/"))
        [worker] = workers(process.pid)
        os.kill(worker, signal.SIGKILL)
        assert within(20, lambda: workers(process.pid) not in ([], [worker]))
        assert within(20, lambda: answers(f"http://127.0.0.1:{port}/"))
        assert process.poll() is None
