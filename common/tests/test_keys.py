"""Test when the key set is loaded, and which response a request gets without it."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client, RequestFactory
from pytest_django import Settings

from common.http import request_id
from common.tests import signing
from common.tokens import keys
from common.tokens.keys import (
    FIRST_INTERVAL,
    MAX_AGE,
    MAX_IDLE,
    MIN_INTERVAL,
    KeySet,
    KeysUnavailable,
    UnknownKey,
    key_set,
)


class Clock:
    """Replacement for the module `time`. Each test sets `now`."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def monotonic(self) -> float:
        return self.now


class Source:
    """Function that returns a key set.

    It counts its calls, and raises `error` if one is set.
    """

    def __init__(self, *kids: str) -> None:
        self.answer: Any = signing.jwks(*kids)
        self.error: Exception | None = None
        self.loads = 0

    def __call__(self) -> dict[str, Any]:
        self.loads += 1
        if self.error:
            raise self.error
        answer: dict[str, Any] = self.answer
        return answer


class KeyServer(ThreadingHTTPServer):
    """HTTP server that responds with `answer` until `close` is called."""

    def __init__(self) -> None:
        self.answer = b"{}"
        self.status = 200
        self.delay = 0.0
        self.requests: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/.well-known/jwks.json"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing, because some tests expect the client to time out."""

    def close(self) -> None:
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        time.sleep(self.server.delay)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(keys, "time", clock)
    return clock


@pytest.fixture
def synchronous(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reload an expired key set in the calling thread, not in a background thread."""

    def thread(target: Callable[[], None], daemon: bool) -> SimpleNamespace:
        return SimpleNamespace(start=target)

    monkeypatch.setattr(keys, "threading", SimpleNamespace(Thread=thread, Lock=threading.Lock))


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    server = KeyServer()
    server.answer = signing.as_json(signing.jwks("ours"))
    yield server
    server.close()


@contextmanager
def raw_server(answer: bytes) -> Iterator[str]:
    """Start a server that sends these bytes to its first client. Yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/jwks.json"
        thread.join()


def me(api: Client, token: str | None = None) -> int:
    return api.get("/me/", headers={"Authorization": f"Bearer {token or signing.token()}"}).status_code


def test_keys_are_loaded_once_on_first_use() -> None:
    source = Source("ours")
    key_set = KeySet(source)
    assert source.loads == 0
    for _ in range(10):
        assert key_set.find("ours").key.public_numbers() == signing.private_key("ours").public_key().public_numbers()
    assert source.loads == 1


def test_two_overlapping_keys_are_both_accepted(api: Client, settings: Settings) -> None:
    settings.TOKENS_JWKS = Source("ours", "next")
    assert me(api, signing.token(key="ours")) == 200
    assert me(api, signing.token(key="next")) == 200


def test_new_key_is_accepted_without_a_restart(clock: Clock) -> None:
    source = Source("ours")
    key_set = KeySet(source)
    key_set.find("ours")

    source.answer = signing.jwks("ours", "next")
    clock.now += MIN_INTERVAL + 1
    assert key_set.find("next")
    assert source.loads == 2


def test_unknown_key_ids_reload_the_set_at_a_bounded_rate(clock: Clock) -> None:
    source = Source("ours")
    key_set = KeySet(source)
    # Request 100 unknown keys per second for ten times `MIN_INTERVAL`.
    for tick in range(int(10 * MIN_INTERVAL) * 100):
        clock.now += 0.01
        with pytest.raises(UnknownKey):
            key_set.find(f"unknown-{tick}")
    assert 9 <= source.loads <= 11


def test_unknown_key_does_not_delay_requests_with_known_keys(clock: Clock) -> None:
    source = Source("ours")
    key_set = KeySet(source)
    key_set.find("ours")
    entered, leave = threading.Event(), threading.Event()

    def slow() -> dict[str, Any]:
        entered.set()
        assert leave.wait(10)
        return signing.jwks("ours")

    key_set._load = slow
    clock.now += MIN_INTERVAL + 1
    with ThreadPoolExecutor() as pool:
        unknown = pool.submit(key_set.find, "unknown")
        assert entered.wait(10)
        # The load is still running.
        assert pool.submit(key_set.find, "ours").result(timeout=5)
        leave.set()
        with pytest.raises(UnknownKey):
            unknown.result(timeout=10)


def test_concurrent_threads_load_the_set_once() -> None:
    source = Source("ours")
    barrier = threading.Barrier(16)

    def load() -> dict[str, Any]:
        time.sleep(0.05)
        return source()

    key_set = KeySet(load)

    def find(_: int) -> object:
        barrier.wait()
        return key_set.find("ours")

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(find, range(16)))
    assert source.loads == 1


def test_old_keys_stay_in_use_while_the_source_is_unavailable(clock: Clock, synchronous: None) -> None:
    source = Source("ours")
    key_set = KeySet(source)
    key_set.find("ours")

    source.error = OSError("unreachable")
    for _ in range(10):
        clock.now += MAX_AGE + 1
        assert key_set.find("ours")
        with pytest.raises(UnknownKey):
            key_set.find("unknown")
    assert source.loads == 11


@pytest.mark.parametrize("answer", [{}, {"keys": None}, {"keys": 1}, {"keys": {}}, {"keys": ""}, [], None, "keys"])
def test_old_keys_stay_in_use_if_the_source_returns_no_key_set(clock: Clock, synchronous: None, answer: Any) -> None:
    source = Source("ours")
    key_set = KeySet(source)
    key_set.find("ours")
    source.answer = answer
    clock.now += MAX_AGE + 1
    assert key_set.find("ours")
    assert source.loads == 2
    assert key_set.find("ours")


def test_request_with_a_token_is_503_until_the_keys_are_loaded(api: Client, settings: Settings, clock: Clock) -> None:
    settings.TOKENS_JWKS = source = Source("ours")
    source.error = OSError("unreachable")
    for _ in range(3):
        response = api.get("/me/", headers={"Authorization": f"Bearer {signing.token()}"})
        assert response.status_code == 503
        assert list(response.json()) == ["message"]
        assert int(response["Retry-After"]) > 0
        assert "WWW-Authenticate" not in response
    # Requests that do not need a key work as usual.
    assert me(api, "rubbish") == 401
    assert api.get("/open/").status_code == 200
    assert source.loads == 1

    # Retries are frequent, because no token is accepted until a load succeeds.
    for _ in range(100):
        clock.now += FIRST_INTERVAL / 10
        assert me(api) == 503
    assert 9 <= source.loads <= 11
    source.error = None
    clock.now += FIRST_INTERVAL + 0.1
    assert me(api) == 200


def test_withdrawn_key_is_refused_after_the_set_expires(clock: Clock, synchronous: None) -> None:
    source = Source("ours", "stolen")
    key_set = KeySet(source)
    assert key_set.find("stolen")

    source.answer = signing.jwks("ours")
    clock.now += MAX_AGE - 1
    assert key_set.find("stolen")
    # After `MAX_AGE`, the first call still finds the key, but also starts a load.
    clock.now += 2
    key_set.find("stolen")
    with pytest.raises(UnknownKey):
        key_set.find("stolen")
    assert key_set.find("ours")
    assert source.loads == 2


def test_withdrawn_key_is_refused_on_the_first_request_after_an_idle_period(clock: Clock) -> None:
    source = Source("ours", "stolen")
    key_set = KeySet(source)
    assert key_set.find("stolen")
    source.answer = signing.jwks("ours")
    clock.now += MAX_IDLE + 1
    with pytest.raises(UnknownKey):
        key_set.find("stolen")


def test_only_one_failed_load_delays_requests_after_an_idle_period(clock: Clock) -> None:
    source = Source("ours")
    key_set = KeySet(source)
    key_set.find("ours")
    source.error = OSError("unreachable")
    clock.now += MAX_IDLE + 1
    for _ in range(5):
        assert key_set.find("ours")
    assert source.loads == 2


@pytest.mark.parametrize("error", [OSError("unreachable"), None])
def test_withdrawn_key_is_refused_soon_after_a_failed_load(
    clock: Clock, synchronous: None, error: Exception | None
) -> None:
    source = Source("ours", "stolen")
    key_set = KeySet(source)
    key_set.find("stolen")
    source.error, source.answer = error, {"keys": None}
    clock.now += MAX_AGE + 1
    key_set.find("stolen")
    source.error, source.answer = None, signing.jwks("ours")
    clock.now += MIN_INTERVAL + 1
    key_set.find("stolen")
    with pytest.raises(UnknownKey):
        key_set.find("stolen")


def test_expired_set_is_reloaded_in_the_background(clock: Clock) -> None:
    key_set = KeySet(Source("ours"))
    key_set.find("ours")
    entered, leave, left = threading.Event(), threading.Event(), threading.Event()
    loads = []

    def slow() -> dict[str, Any]:
        loads.append("load")
        entered.set()
        assert leave.wait(10)
        left.set()
        return signing.jwks("ours")

    key_set._load = slow
    clock.now += MAX_AGE + 1
    # None of these calls waits for the load, and only the first one starts a load.
    assert key_set.find("ours")
    assert entered.wait(10)
    for _ in range(10):
        assert key_set.find("ours")
    leave.set()
    assert left.wait(10)
    assert loads == ["load"]


def test_background_load_has_the_context_of_the_request(clock: Clock) -> None:
    request_id.begin(RequestFactory().get("/", headers={"X-Request-ID": "abc"}))
    key_set = KeySet(Source("ours"))
    key_set.find("ours")
    loaded_for: SimpleQueue[str] = SimpleQueue()

    def load() -> dict[str, Any]:
        loaded_for.put(request_id.current())
        return signing.jwks("ours")

    key_set._load = load
    clock.now += MAX_AGE + 1
    key_set.find("ours")
    assert loaded_for.get(timeout=10) == "abc"


@pytest.mark.parametrize(
    "junk",
    [
        None,
        1,
        "key",
        [],
        {},
        {"kty": "RSA"},
        {"kty": "RSA", "kid": "junk"},
        {"kty": "RSA", "kid": "junk", "n": "AQAB", "e": None},
        {"kty": "RSA", "kid": "junk", "n": "!", "e": "AQAB"},
        {"kty": "RSA", "kid": "junk", "n": 1, "e": 1},
        {"kty": "RSA", "kid": 1},
        {"kty": ["RSA"], "kid": "junk"},
        {"kty": "EC", "kid": "junk", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "oct", "kid": "junk", "k": "c2VjcmV0"},
        {"kty": "new-type", "kid": "junk"},
        # RFC 7517 section 4.4: a key with `alg` is valid for that algorithm only.
        *(
            {**signing.jwk("junk"), "alg": algorithm}
            for algorithm in ["none", "RS512", "PS256", "HS256", "ES256", "", 1, ["RS256"], {}]
        ),
    ],
)
def test_invalid_key_in_a_set_is_ignored(junk: Any) -> None:
    # RFC 7517 section 5: ignore unknown, incomplete and invalid keys.
    source = Source("ours")
    source.answer = {"keys": [junk, *source.answer["keys"], junk]}
    key_set = KeySet(source)
    assert key_set.find("ours")
    with pytest.raises(UnknownKey):
        key_set.find("junk")


def test_a_key_for_encryption_is_ignored() -> None:
    source = Source("ours")
    source.answer["keys"].append({**signing.jwk("other"), "use": "enc"})
    with pytest.raises(UnknownKey):
        KeySet(source).find("other")


def test_key_without_an_algorithm_is_accepted() -> None:
    source = Source("ours")
    del source.answer["keys"][0]["alg"]
    assert KeySet(source).find("ours")


def test_reloaded_key_is_the_same_object_unless_its_value_changed(clock: Clock, synchronous: None) -> None:
    source = Source("ours")
    key_set = KeySet(source)
    key = key_set.find("ours")
    source.answer = signing.jwks("next", "ours")
    clock.now += MAX_AGE + 1
    key_set.find("ours")
    assert source.loads == 2
    assert key_set.find("ours") is key

    source.answer = {"keys": [{**signing.jwk("next"), "kid": "ours"}]}
    clock.now += MAX_AGE + 1
    key_set.find("ours")
    assert key_set.find("ours") is not key


@pytest.mark.parametrize(
    "error", [RecursionError("deep"), AttributeError("get"), UnicodeDecodeError("utf-8", b"", 0, 1, "")]
)
def test_response_is_503_if_the_key_source_is_broken(api: Client, settings: Settings, error: Exception) -> None:
    settings.TOKENS_JWKS = source = Source("ours")
    source.error = error
    assert me(api) == 503


def test_key_set_can_be_read_from_a_file(api: Client, settings: Settings, tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "jwks.json"
    settings.TOKENS_JWKS = str(path)
    # The file does not exist yet.
    assert me(api) == 503
    # The file is incomplete.
    path.write_text('{"keys": [')
    clock.now += MIN_INTERVAL + 1
    assert me(api) == 503
    # The file is nested too deeply for the parser.
    path.write_text("[" * 100_000)
    clock.now += MIN_INTERVAL + 1
    assert me(api) == 503

    path.write_text(json.dumps(signing.jwks("ours")))
    clock.now += MIN_INTERVAL + 1
    assert me(api) == 200
    # After a successful load, the file is no longer needed.
    path.unlink()
    assert me(api) == 200


def test_key_set_is_loaded_once_from_a_url(api: Client, settings: Settings, key_server: KeyServer) -> None:
    settings.TOKENS_JWKS = key_server.url
    for _ in range(10):
        assert me(api) == 200
    assert key_server.requests == ["/.well-known/jwks.json"]


def test_old_keys_stay_in_use_after_their_server_stops(
    api: Client, settings: Settings, key_server: KeyServer, clock: Clock, synchronous: None
) -> None:
    settings.TOKENS_JWKS = key_server.url
    assert me(api) == 200
    key_server.close()
    clock.now += MAX_AGE + 1
    assert me(api) == 200
    assert me(api, signing.token(key="unknown")) == 401


@pytest.mark.parametrize(
    ("status", "answer"),
    [(500, b"{}"), (404, b"{}"), (200, b""), (200, b"<html>"), (200, b"[]"), (200, b"\xff"), (200, b"[" * 100_000)],
)
def test_response_is_503_until_the_key_server_sends_a_valid_key_set(
    api: Client, settings: Settings, key_server: KeyServer, clock: Clock, status: int, answer: bytes
) -> None:
    settings.TOKENS_JWKS = key_server.url
    good = key_server.answer
    key_server.status, key_server.answer = status, answer
    assert me(api) == 503
    key_server.status, key_server.answer = 200, good
    clock.now += MIN_INTERVAL + 1
    assert me(api) == 200


def test_response_is_503_if_the_key_server_does_not_use_http(api: Client, settings: Settings) -> None:
    with raw_server(b"SSH-2.0-OpenSSH_9.2\r\n") as url:
        settings.TOKENS_JWKS = url
        assert me(api) == 503


def test_response_is_503_if_the_response_from_the_key_server_is_truncated(api: Client, settings: Settings) -> None:
    with raw_server(b'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{"keys": [') as url:
        settings.TOKENS_JWKS = url
        assert me(api) == 503


def test_response_is_503_if_the_key_server_is_unresponsive(
    api: Client, settings: Settings, key_server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "TIMEOUT", 0.1)
    settings.TOKENS_JWKS = key_server.url
    key_server.delay = 0.5
    assert me(api) == 503


def test_process_has_one_key_set() -> None:
    assert key_set() is key_set()


def test_find_raises_keys_unavailable_if_no_key_set_was_loaded() -> None:
    with pytest.raises(KeysUnavailable):
        KeySet(dict).find("ours")


@pytest.mark.parametrize(
    "left", [[], [{"kty": "oct", "kid": "junk", "k": "c2VjcmV0"}], [{**signing.jwk("ours"), "use": "enc"}]]
)
def test_empty_set_withdraws_all_keys(
    api: Client, settings: Settings, clock: Clock, synchronous: None, caplog: pytest.LogCaptureFixture, left: list[Any]
) -> None:
    settings.TOKENS_JWKS = source = Source("ours")
    assert me(api) == 200
    source.answer = {"keys": left}
    clock.now += MAX_AGE + 1
    me(api)  # this request still uses the old set, but also starts a load
    for _ in range(3):
        assert me(api) == 401
        clock.now += MIN_INTERVAL + 1
    assert [record.getMessage() for record in caplog.records if record.name == "common.tokens.keys"] == [
        "the key set from a function has no usable key, so all tokens are refused"
    ]
    source.answer = signing.jwks("ours")
    assert me(api) == 200


def test_token_is_refused_if_the_first_key_set_is_empty(api: Client, settings: Settings, clock: Clock) -> None:
    settings.TOKENS_JWKS = source = Source()
    assert me(api) == 401
    assert me(api) == 401
    assert source.loads == 1
    clock.now += MIN_INTERVAL + 1
    assert me(api) == 401
    assert source.loads == 2


@pytest.mark.parametrize("bits", [1024, 2047])
def test_short_rsa_key_is_ignored_and_logged_once(clock: Clock, caplog: pytest.LogCaptureFixture, bits: int) -> None:
    # RFC 7518 section 3.3 requires at least 2048 bits.
    source = Source("ours")
    source.answer["keys"].append(signing.jwk(f"short-{bits}", bits))
    key_set = KeySet(source)
    for _ in range(3):
        assert key_set.find("ours")
        with pytest.raises(UnknownKey):
            key_set.find(f"short-{bits}")
        clock.now += MIN_INTERVAL + 1
    assert source.loads == 3
    assert [record.getMessage() for record in caplog.records] == [
        f"the RSA key 'short-{bits}' has fewer than 2048 bits, so it is not used"
    ]
