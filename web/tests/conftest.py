"""Fixtures for a fake HTTP server that replaces both APIs, and for test clients.

Some of the test clients are logged in.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import hypothesis
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client
from jwt.algorithms import RSAAlgorithm
from pytest_django import Settings

from web.backends import http

hypothesis.settings.register_profile(
    "tests", deadline=None, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SESSION_COOKIE, REFRESH_COOKIE = "thoughts_session", "thoughts_refresh"
LOGIN = ("POST", "/api/login/")
REFRESH = ("POST", "/api/token/refresh/")
LOGOUT = ("POST", "/api/logout/")
SESSIONS = ("GET", "/api/sessions/")
END_OTHERS = ("DELETE", "/api/sessions/")
END_ONE = ("DELETE", "/api/sessions/7/")
PASSWORD = ("POST", "/api/password/")
SIGN_UP = ("POST", "/api/users/")
MINE = ("GET", "/api/me/thoughts/")
CREATE = ("POST", "/api/me/thoughts/")
SEARCH = ("GET", "/api/thoughts/")
ONE = ("GET", "/api/thoughts/7/")


def thought(id: int = 1, **changed: Any) -> dict[str, Any]:
    """Return a thought in the JSON format of thoughts_api."""
    return {"id": id, "username": "bruce", "text": f"Thought {id}", "timestamp": "2026-01-02T03:04:05Z"} | changed


def session(id: int = 1, **changed: Any) -> dict[str, Any]:
    """Return a session in the JSON format of users_api."""
    return {
        "id": id,
        "began": "2026-01-01T01:02:03Z",
        "used": "2026-01-02T03:04:05Z",
        "ends": "2026-01-05T03:04:05Z",
        "network": "192.0.2.0/24",
        "device": "Firefox on Linux",
        "current": True,
    } | changed


def authorization(username: str = "bruce", expires_in: int = 900, **claims: Any) -> str:
    """Return an Authorization header value with an access token like users_api's."""
    now = int(time.time())
    payload = {"username": username, "user_id": 1, "is_staff": False, "iss": "users-api", "iat": now}
    payload |= {"token_type": "access", "exp": now + expires_in} | claims
    return "Bearer " + jwt.encode(payload, KEY, algorithm="RS256", headers={"kid": "test"})


@dataclass
class Received:
    """A request that the fake server received."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass
class Backend:
    """The fake server, with the requests it received and the answers it gives.

    An answer is a tuple `(status, body, headers)`, or a function that receives the request handler and may return such
    a tuple.
    """

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: dict[tuple[str, str], Any] = field(default_factory=dict)
    connections: int = 0

    def answer(self, call: tuple[str, str], status: int = 200, body: Any = None, **headers: str) -> None:
        """Set the answer to a call, which is a method and a path."""
        self.answers[call] = (status, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def calls(self) -> list[tuple[str, str]]:
        """Return the method and path of each received request."""
        return [(each.method, each.path) for each in self.received]


@pytest.fixture
def backend(settings: Settings) -> Iterator[Backend]:
    """Start the fake server.

    Unless a test sets other answers, lists are empty and logins succeed.
    """
    backend = Backend()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            backend.connections += 1
            super().setup()

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ConnectionError, ValueError):  # the client closed the connection
                self.close_connection = True

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = parse_qs(url.query, keep_blank_values=True)
            headers = {name.lower(): value for name, value in self.headers.items()}
            backend.received.append(
                Received(self.command, url.path, query, headers, json.loads(body) if body else None)
            )
            answer = backend.answers.get((self.command, url.path), (404, {"message": "Nothing is here."}, {}))
            if callable(answer):
                answer = answer(self)
            if answer is not None:
                self.respond(*answer)

        do_POST = do_DELETE = do_GET  # noqa: N815

        def respond(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    backend.answer(LOGIN, 200, {"Authorized": authorization(), "refresh": "a-refresh-token"})
    backend.answer(REFRESH, 200, {"Authorized": authorization(), "refresh": "the-next-refresh-token"})
    backend.answer(LOGOUT, 204)
    backend.answer(SESSIONS, 200, [session(), session(7, current=False, device="Safari on iOS")])
    backend.answer(END_OTHERS, 204)
    backend.answer(END_ONE, 204)
    backend.answer(PASSWORD, 204)
    backend.answer(SIGN_UP, 201, {"id": 5, "username": "grace", "creation": "2026-01-02T03:04:05Z"})
    backend.answer(MINE, 200, [])
    backend.answer(CREATE, 201, thought())
    backend.answer(SEARCH, 200, [])
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        backend.url = f"http://127.0.0.1:{server.server_address[1]}"
        settings.THOUGHTS_BACKEND_URL = settings.USER_BACKEND_URL = backend.url
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield backend
        http.session().close()
        server.shutdown()
        thread.join()


@pytest.fixture
def backends_unavailable(settings: Settings) -> None:
    """Point the URLs of both APIs to a port on which no server is listening."""
    settings.THOUGHTS_BACKEND_URL = settings.USER_BACKEND_URL = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def key_set(settings: Settings) -> None:
    """Make web verify tokens with the test key."""
    jwk = RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True) | {"kid": "test", "use": "sig"}
    settings.TOKENS_JWKS = lambda: {"keys": [jwk]}


@pytest.fixture(autouse=True)
def new_session() -> Iterator[None]:
    """Give each test a new HTTP session, with new connections."""
    http._session.cache_clear()
    yield
    http.session().close()


@pytest.fixture
def visitor() -> Client:
    """Return a test client without a login.

    If a view raises an exception, the client gets the 500 page.
    """
    return Client(raise_request_exception=False)


@pytest.fixture
def bruce(visitor: Client) -> Client:
    """Return a test client in which bruce is logged in."""
    visitor.cookies[SESSION_COOKIE] = authorization()
    visitor.cookies[REFRESH_COOKIE] = "a-refresh-token"
    return visitor


@pytest.fixture
def log_in_as(visitor: Client) -> Callable[..., Client]:
    """Return a function that sets the login cookies of a test client.

    By default, the access token is expired, and a refresh token is set. If `refresh` is empty, no refresh token is set.
    """

    def log_in_as(expires_in: int = -1, refresh: str = "a-refresh-token") -> Client:
        visitor.cookies[SESSION_COOKIE] = authorization(expires_in=expires_in)
        if refresh:
            visitor.cookies[REFRESH_COOKIE] = refresh
        return visitor

    return log_in_as
