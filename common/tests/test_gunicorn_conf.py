"""Test gunicorn's settings and logs."""

import os
import re
import resource
import runpy
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import InvalidChunkSize, InvalidHeader, InvalidRequestLine, LimitRequestLine

from common import environment
from common.server import gunicorn_conf
from common.server.logger import QuietLogger
from common.settings import ROOT


def test_old_metrics_files_are_deleted_at_startup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "gauge_livemin_10.db").write_bytes(b"old")
    (tmp_path / "notes.txt").write_text("another file")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")  # to restore it
    settings(monkeypatch, METRICS_DIR=str(tmp_path), WEB_CONCURRENCY="1")
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == ""
    settings(monkeypatch, METRICS_DIR=str(tmp_path), WEB_CONCURRENCY="2")
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == str(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_master_does_not_import_django() -> None:
    code = "import sys; from common.server import gunicorn_conf; print('django' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_application_is_imported_without_metrics_before_the_port_is_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    (tmp_path / "application.py").write_text(
        f"import os, pathlib\npathlib.Path({str(seen)!r}).write_text(str(os.environ.get('PROMETHEUS_MULTIPROC_DIR')))"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    gunicorn_conf.on_starting(SimpleNamespace(app=SimpleNamespace(app_uri="application:application")))
    assert seen.read_text() == "None"


def test_application_that_cannot_be_imported_aborts_startup(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.py").write_text("raise SystemExit('Invalid environment. SECRET_KEY: not set')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit, match="1"):
        gunicorn_conf.on_starting(SimpleNamespace(app=SimpleNamespace(app_uri="broken")))
    assert capfd.readouterr().err == "Invalid environment. SECRET_KEY: not set\n"


def settings(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, Any]:
    """Return gunicorn's settings for these environment variables."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(gunicorn_conf.__file__)


def test_a_variable_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "pods"
    file.write_text("7\n")
    assert settings(monkeypatch, MAX_PODS_FILE=str(file))["pods"] == 7


@pytest.mark.parametrize(("reload", "reloading"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_reload_variable_accepts_the_same_values_as_other_boolean_variables(
    monkeypatch: pytest.MonkeyPatch, reload: str, reloading: bool
) -> None:
    assert settings(monkeypatch, RELOAD=reload)["reloading"] is reloading


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MANAGEMENT_PORT", "65536"),
        ("RELOAD", "maybe"),
        ("THREADS", "0"),
        ("THREADS", "many"),
        ("PORT", "65536"),
        ("MAX_PODS_FILE", "nowhere"),
    ],
)
def test_invalid_variable_aborts_startup_with_a_one_line_message(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(SystemExit, match=rf"^Invalid environment\. .*{name}.*$"):
        settings(monkeypatch, **{name: value})


@pytest.mark.parametrize(
    ("host", "bind"), [("::", "[::]:8000"), ("::1", "[::1]:8000"), ("127.0.0.1", "127.0.0.1:8000")]
)
def test_the_host_may_be_an_ipv6_address(monkeypatch: pytest.MonkeyPatch, host: str, bind: str) -> None:
    monkeypatch.delenv("PORT", raising=False)
    assert settings(monkeypatch, HOST=host)["bind"] == bind


@pytest.mark.parametrize(("soft_limit", "expected"), [(1024, 928), (64, 9), (1_048_576, 1000)])
def test_connection_limit_leaves_file_descriptors_for_other_uses(
    monkeypatch: pytest.MonkeyPatch, soft_limit: int, expected: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft_limit, soft_limit))
    assert settings(monkeypatch, THREADS="8")["worker_connections"] == expected


def cpus(monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int = 8) -> int:
    """Return the result of `available_cpus` with these files in /sys/fs/cgroup.

    `cores` is the number of CPUs of the host.
    """

    def read_text(self: Path) -> str:
        try:
            return files[str(self.relative_to("/sys/fs/cgroup"))]
        except KeyError:
            raise FileNotFoundError(self) from None

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    return environment.available_cpus()


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 8), ("100000 100000", 1), ("50000 100000", 1), ("150000 100000", 2), ("9900000 100000", 8)],
)
def test_cpu_quota_of_a_container_is_rounded_up(monkeypatch: pytest.MonkeyPatch, quota: str, expected: int) -> None:
    assert cpus(monkeypatch, {"cpu.max": f"{quota}\n"}) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("250000", 3)])
def test_cgroup_v1_quota_is_read(monkeypatch: pytest.MonkeyPatch, quota: str, expected: int) -> None:
    files = {"cpu/cpu.cfs_quota_us": f"{quota}\n", "cpu/cpu.cfs_period_us": "100000\n"}
    assert cpus(monkeypatch, files) == expected


def test_all_cpus_are_used_without_a_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cpus(monkeypatch, {}) == 8


TIME = r"\d\d:\d\d:\d\d\.\d{3}"  # at the start of each line with LOG_FORMAT=text


def access_log(capsys: pytest.CaptureFixture[str], path: str) -> list[str]:
    """Return the lines that a request for this path adds to the access log."""
    config = Config()
    config.set("accesslog", "-")
    logger = QuietLogger(config)
    request = SimpleNamespace(path=path, headers=[("AUTHORIZATION", "Bearer secret")])
    response: Any = SimpleNamespace(status="200 OK", sent=17, headers=[("X-Request-ID", "abc")])
    environ = {
        "REQUEST_METHOD": "GET",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "PATH_INFO": path,
        "RAW_URI": f"{path}?search=private",
        "QUERY_STRING": "search=private",
    }
    logger.access(response, request, environ, timedelta(milliseconds=5))
    return [re.sub(rf"^{TIME} INFO gunicorn.access ", "", line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("path", ["/api/login/", "/healthzz"])
def test_request_is_logged_without_query_or_token(capsys: pytest.CaptureFixture[str], path: str) -> None:
    assert access_log(capsys, path) == [f"GET {path} 200 17 bytes 5 ms [abc]"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probe_is_not_logged(capsys: pytest.CaptureFixture[str], path: str) -> None:
    assert access_log(capsys, path) == []


def test_path_cannot_forge_a_log_line(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = access_log(capsys, "/x\r\nINFO gunicorn.access POST /api/login/ 200\x1b[31m\x85")
    assert line.isprintable()
    assert line.startswith(r"GET /x\r\nINFO")


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (InvalidRequestLine("GET /api/thoughts/?search=größer HTTP/1.1"), "Invalid HTTP request line"),
        (InvalidRequestLine("GET /api/thoughts/?search='größer' HTTP/1.1"), "Invalid HTTP request line"),
        (InvalidHeader("Authorization Bearer größer"), "Invalid HTTP Header"),
        (InvalidChunkSize(b"gr\xc3\xb6\xc3\x9fer"), "Invalid chunk size"),
        (LimitRequestLine(5000, 4094), "Request Line is too large (5000 > 4094)"),
    ],
)
def test_malformed_request_is_logged_without_its_content(
    capsys: pytest.CaptureFixture[str], error: Exception, logged: str
) -> None:
    logger = QuietLogger(Config())
    logger.warning(f"Invalid request from ip=192.0.2.1: {error}")
    logger.warning("Worker (pid:%s) says: %r", 7, "a quotation")
    assert [re.sub(f"^{TIME} ", "", line) for line in capsys.readouterr().err.splitlines()] == [
        f"WARNING gunicorn [-] Invalid request from 192.0.2.0/24: {logged}",
        "WARNING gunicorn [-] Worker (pid:7) says: 'a quotation'",
    ]
