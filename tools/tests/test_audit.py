"""Tests of the audit of the Python lock files, with the real pip-audit.

The advisory database is fake, and has the API of OSV.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tools import audit
from tools.local import ROOT

CANARY = audit.KNOWN_VULNERABLE.split("==")[0]
LOCK = "requests==2.34.2 --hash=sha256:00\nidna==3.20 --hash=sha256:00\n"


@contextmanager
def database(*vulnerable: str, fail_on: str = "") -> Iterator[list[str]]:
    """Serve an advisory database with one vulnerability for each of these packages.

    Yield the options with which pip-audit uses this database.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
            fixed = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}
            affected = {"package": {"name": name, "ecosystem": "PyPI"}, "ranges": [fixed]}
            found = {"vulns": [{"id": f"CVE-{name}", "affected": [affected]}]} if name in vulnerable else {}
            self.send_response(503 if name == fail_on else 200)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, *args: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield ["--vulnerability-service=osv", f"--osv-url=http://127.0.0.1:{server.server_port}/v1/query"]
        server.shutdown()
        thread.join()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Write a lock file with two packages, and return its path."""
    path = tmp_path / "requirements.txt"
    path.write_text(LOCK)
    return path


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call the fake database without a proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_packages_without_known_vulnerability_pass(lock: Path) -> None:
    with database(CANARY) as options:
        assert audit.audit([lock], [options]) == (True, "audited 2 packages of 1 lock files")


def test_known_vulnerability_fails_and_is_named(lock: Path) -> None:
    with database(CANARY, "idna") as options:
        passed, report = audit.audit([lock], [options])

    assert not passed
    assert report.splitlines() == [
        "idna 3.20: CVE-idna, fixed in 99.1",
        "audited 2 packages of 1 lock files: 1 vulnerable",
    ]


def test_audit_passes_and_says_not_audited_if_no_database_is_reachable(lock: Path) -> None:
    with database(CANARY, "idna") as options:
        pass  # the database stops here

    assert audit.audit([lock], [options]) == (True, audit.NOT_AUDITED)


def test_database_without_advisories_is_ignored(lock: Path) -> None:
    with database() as options:
        assert audit.audit([lock], [options]) == (True, audit.NOT_AUDITED)


def test_database_that_fails_during_the_audit_is_ignored(lock: Path) -> None:
    with database(CANARY, fail_on="idna") as options:
        assert audit.audit([lock], [options]) == (True, audit.NOT_AUDITED)


def test_next_database_is_used_if_the_first_is_unreachable(lock: Path) -> None:
    with database() as unreachable:
        pass
    with database(CANARY, "idna") as reachable:
        passed, _ = audit.audit([lock], [unreachable, reachable])

    assert not passed


def test_lock_file_without_hashes_is_an_error_even_without_a_database(lock: Path) -> None:
    lock.write_text("idna==3.20\n")

    with pytest.raises(audit.NoReport, match="does not contain a hash"):
        audit.audit([lock], [])


def test_command_exits_with_1_for_a_known_vulnerability(
    lock: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "lock_files", lambda: [lock])
    with database(CANARY, "idna") as options:
        monkeypatch.setattr(audit, "DATABASES", [options])

        assert audit.main() == 1
    assert "CVE-idna" in capsys.readouterr().out


def test_every_python_lock_file_is_audited() -> None:
    names = {str(path.relative_to(ROOT)) for path in audit.lock_files()}

    assert {"requirements-dev.txt", "requirements-test.txt", "tools/requirements-bench.txt"} < names
    assert {"users_api/requirements.txt", "thoughts_api/requirements.txt", "web/requirements.txt"} < names
