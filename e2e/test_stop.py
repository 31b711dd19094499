"""How a server ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from e2e.conftest import answers, free_ports
from tools.local import ROOT


def pending(process_id: int) -> int:
    """Return which signals a process has not taken yet, a bit for each."""
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("ShdPnd:")[2].split()[0], 16)


def stop(process_id: int) -> None:
    """Stop a process, and wait until it is: of two signals that it has not taken, it takes SIGTERM first."""
    os.kill(process_id, signal.SIGSTOP)
    while "\nState:\tT" not in Path(f"/proc/{process_id}/status").read_text():
        time.sleep(0.01)


def read(client: socket.socket) -> bytes:
    """Return what comes until the other side closes; close too."""
    with client, client.makefile("rb") as answer:
        return answer.read()


@pytest.mark.skipif(sys.platform != "linux", reason="only there can be seen which signals wait")
def test_sigterm_answers_all_that_have_connected_and_takes_nobody_after_them() -> None:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "gunicorn", "-c", "python:common.gunicorn_conf", "bench.constant"]
    environment = {"HOST": "127.0.0.1", "PORT": str(port), "WEB_CONCURRENCY": "1"}
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.DEVNULL) as master:
        while not answers(f"http://127.0.0.1:{port}/"):
            assert master.poll() is None
            time.sleep(0.05)
        worker = int(Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text())
        # They connect while the worker cannot take them, and the signal comes first when it can.
        stop(worker)
        waiting = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(20)]
        for client in waiting:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        os.kill(master.pid, signal.SIGTERM)
        while not pending(worker) & 1 << signal.SIGTERM - 1:
            time.sleep(0.01)
        os.kill(worker, signal.SIGCONT)
        with ThreadPoolExecutor(len(waiting)) as pool:
            for answer in pool.map(read, waiting):
                assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
                assert b"\r\nConnection: close\r\n" in answer
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=10)
        assert master.wait(timeout=30) == 0
