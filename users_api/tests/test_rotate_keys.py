"""Test the steps of the command `rotate_keys`, and the option `--emergency`."""

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.management import CommandError, call_command
from pytest_django import Settings

from users_api import key_stores, rotation
from users_api.keys import _load
from users_api.management.commands import rotate_keys
from users_api.tests.conftest import write_key

START = datetime(2026, 11, 28, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    """Create a key folder for one test."""
    write_key(tmp_path / "signing.pem")
    settings.TOKENS_KEYS = tmp_path
    return tmp_path


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> "Clock":
    """Give the command a fake clock, which `sleep` advances."""
    clock = Clock()
    monkeypatch.setattr(rotate_keys, "datetime", clock)
    monkeypatch.setattr(rotate_keys, "time", clock)
    return clock


class Clock:
    """Replacement for `datetime` and `time` in the command."""

    def __init__(self) -> None:
        self.time = START
        self.slept: list[float] = []
        self.at_sleep: Callable[[], object] = lambda: None

    def now(self, zone: object) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.at_sleep()
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)


def run(*arguments: str) -> str:
    """Run the command and return its output."""
    output = StringIO()
    call_command("rotate_keys", *arguments, stdout=output)
    return output.getvalue().strip()


def kids(folder: Path) -> list[str]:
    """Return the ids of the published keys, sorted."""
    return sorted(key["kid"] for key in _load(folder).jwks["keys"])


def test_steps_are_performed_only_after_their_waiting_times(folder: Path, clock: Clock) -> None:
    old = _load(folder).kid
    assert "noted the time" in run()
    clock.time += 90 * DAY - timedelta(seconds=1)
    assert "nothing to do until 2027-02-26 12:00:00" in run()
    assert kids(folder) == [old]

    clock.time += timedelta(seconds=1)
    assert "made and published" in run()
    assert _load(folder).kid == old
    assert len(kids(folder)) == 2

    clock.time += rotation.PUBLISHED - timedelta(seconds=1)
    assert "nothing to do" in run()
    assert _load(folder).kid == old
    clock.time += timedelta(seconds=1)
    assert "the new key signs" in run()
    new = _load(folder).kid
    assert new != old
    assert kids(folder) == sorted([old, new])
    assert b"PRIVATE" not in (folder / "previous.pem").read_bytes()

    clock.time += rotation.RETIRED - timedelta(seconds=1)
    assert "nothing to do" in run()
    assert kids(folder) == sorted([old, new])
    clock.time += timedelta(seconds=1)
    assert "complete" in run()
    assert kids(folder) == [new]
    assert "nothing to do until 2027-05-27" in run()


def test_one_command_performs_all_steps_and_waits_between_them(folder: Path, clock: Clock) -> None:
    old, published = _load(folder).kid, []
    clock.at_sleep = lambda: published.append((_load(folder).kid == old, len(kids(folder))))
    assert run("--now", "--wait").count("\n") == 2
    assert clock.slept == [rotation.PUBLISHED.total_seconds(), rotation.RETIRED.total_seconds()]
    assert published == [(True, 2), (False, 2)]
    assert old not in kids(folder)


def test_old_key_is_removed_only_after_its_tokens_expire(settings: Settings) -> None:
    assert rotation.RETIRED > settings.ACCESS_TOKEN_LIFETIME + rotation.PROPAGATION


def test_emergency_option_removes_all_other_keys_immediately(folder: Path, clock: Clock) -> None:
    old = _load(folder).kid
    run("--now")
    assert len(kids(folder)) == 2
    assert "all other keys are removed" in run("--emergency")
    assert sorted(file.name for file in folder.iterdir()) == ["rotation.json", "signing.pem"]
    assert old not in kids(folder)
    assert (folder / "signing.pem").stat().st_mode & 0o777 == 0o600


def test_every_published_key_stays_published_while_files_are_written(folder: Path, clock: Clock) -> None:
    run("--now")
    before = set(kids(folder))
    clock.time += rotation.PUBLISHED

    class Watched(key_stores.Folder):
        def _write(self, file: Path, content: bytes) -> None:
            super()._write(file, content)
            assert before <= set(kids(folder))

    store = Watched(folder)
    step = rotation.advance(store.read(), clock.time, every=DAY, published=rotation.PUBLISHED, retired=rotation.RETIRED)
    assert step.files
    store.write(step.files)
    assert set(kids(folder)) == before


def test_missing_folder_is_an_error(tmp_path: Path, settings: Settings) -> None:
    settings.TOKENS_KEYS = tmp_path
    (tmp_path / "signing.pem").mkdir()
    with pytest.raises(CommandError, match="cannot be read"):
        run()


@pytest.fixture
def kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Run a fake Kubernetes API with one Secret, over TLS. Return the API's state.

    Also write the files of a service account.
    """
    signing = tmp_path / "signing.pem"
    write_key(signing)
    state = {
        "secret": {
            "metadata": {"name": "users-api-keys", "resourceVersion": "1"},
            "data": {"signing.pem": base64.b64encode(signing.read_bytes()).decode()},
        }
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, state["secret"])

        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if body["metadata"]["resourceVersion"] != state["secret"]["metadata"]["resourceVersion"]:
                return self._answer(409, {})
            state["secret"] = body
            return self._answer(200, body)

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            allowed = self.headers["Authorization"] == "Bearer the token"
            found = self.path == "/api/v1/namespaces/example/secrets/users-api-keys"
            self.send_response(status if allowed and found else 403)
            self.end_headers()
            self.wfile.write(json.dumps(body if allowed and found else {}).encode())

        def log_message(self, *args: object) -> None:
            """Print nothing."""

    account = tmp_path / "account"
    account.mkdir()
    (account / "namespace").write_text("example")
    (account / "token").write_text("the token")
    certificate(account)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(account / "ca.crt", account / "ca.key")
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setattr(key_stores, "ACCOUNT", account)
        monkeypatch.setattr(key_stores, "API", f"https://localhost:{server.server_port}")
        yield state
        server.shutdown()
        thread.join()


def certificate(folder: Path) -> None:
    """Write a self-signed certificate for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.crt").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "ca.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def test_keys_in_a_secret_are_rotated_through_the_kubernetes_api(kubernetes: dict[str, Any], clock: Clock) -> None:
    before = kubernetes["secret"]["data"]["signing.pem"]
    run("--secret", "users-api-keys", "--now")
    assert kubernetes["secret"]["data"].keys() == {"signing.pem", "next.pem", "rotation.json"}
    clock.time += rotation.PUBLISHED
    run("--secret", "users-api-keys")
    assert kubernetes["secret"]["data"].keys() == {"signing.pem", "previous.pem", "rotation.json"}
    assert kubernetes["secret"]["data"]["signing.pem"] != before


def test_secret_that_changed_after_it_was_read_is_not_overwritten(kubernetes: dict[str, Any]) -> None:
    store = key_stores.Secret("users-api-keys")
    files = store.read()
    kubernetes["secret"]["metadata"]["resourceVersion"] = "2"
    with pytest.raises(key_stores.StoreError, match="409"):
        store.write(files)


def test_missing_permission_is_an_error(kubernetes: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match="answers 403 for the Secret other"):
        run("--secret", "other")
