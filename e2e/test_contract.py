"""Call the HTTP APIs like clients written for the first version of this system."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from http.client import HTTPConnection
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests

from tools.system import System

TIMEOUT = 30


def log_in(system: System, name: str) -> dict[str, str]:
    """Log in, and return the Authorization header."""
    response = requests.post(f"{system.users}/api/login/", data={"username": name, "password": name}, timeout=TIMEOUT)
    assert response.status_code == 200, response.text
    return {"Authorization": response.json()["Authorized"]}


def test_client_logs_in_writes_searches_and_deletes(system: System) -> None:
    bruce = log_in(system, "bruce")
    word = uuid4().hex

    # The body is a form, and the path has a trailing slash.
    first = requests.post(
        f"{system.thoughts}/api/me/thoughts/", data={"text": f"One {word}"}, headers=bruce, timeout=TIMEOUT
    )
    assert first.status_code == 201
    thought = first.json()
    assert set(thought) == {"id", "username", "text", "timestamp"}
    assert (thought["username"], thought["text"]) == ("bruce", f"One {word}")
    assert datetime.fromisoformat(thought["timestamp"]).utcoffset() == timedelta(0)

    # The body is JSON, and the path has no trailing slash.
    second = requests.post(
        f"{system.thoughts}/api/me/thoughts", json={"text": f"Two {word}"}, headers=bruce, timeout=TIMEOUT
    )
    assert second.status_code == 201

    # A list is a JSON array with the oldest thought first.
    found = requests.get(f"{system.thoughts}/api/thoughts/", params={"search": word.upper()}, timeout=TIMEOUT).json()
    assert found == [first.json(), second.json()]
    assert requests.get(f"{system.thoughts}/api/thoughts/{thought['id']}", timeout=TIMEOUT).json() == thought
    mine = requests.get(f"{system.thoughts}/api/me/thoughts/?limit=1000", headers=bruce, timeout=TIMEOUT).json()
    assert [item for item in mine if word in item["text"]] == found

    # At /api/me/, only the author can delete the thought. A second request finds nothing to delete.
    stephen = log_in(system, "stephen")
    own = f"{system.thoughts}/api/me/thoughts/{thought['id']}/"
    assert requests.delete(own, headers=stephen, timeout=TIMEOUT).status_code == 404
    assert requests.delete(own, headers=bruce, timeout=TIMEOUT).status_code == 204
    assert requests.delete(own, headers=bruce, timeout=TIMEOUT).status_code == 404

    # At /admin/, staff can delete the thoughts of all users. A second request succeeds too.
    anyone = f"{system.thoughts}/admin/thoughts/{second.json()['id']}/"
    assert requests.delete(anyone, timeout=TIMEOUT).status_code == 401
    assert requests.delete(anyone, headers=bruce, timeout=TIMEOUT).status_code == 403
    admin = log_in(system, "admin")
    assert [requests.delete(anyone, headers=admin, timeout=TIMEOUT).status_code for _ in range(2)] == [204, 204]
    assert requests.get(f"{system.thoughts}/api/thoughts/", params={"search": word}, timeout=TIMEOUT).json() == []


def test_staff_create_a_user_who_logs_in_refreshes_and_logs_out(system: System) -> None:
    name = f"user-{uuid4().hex[:12]}"
    password = "correct horse battery"
    created = requests.post(
        f"{system.users}/admin/users/",
        json={"username": name, "password": password},
        headers=log_in(system, "admin"),
        timeout=TIMEOUT,
    )
    assert created.status_code == 201
    assert set(created.json()) == {"id", "username", "creation"}

    tokens = requests.post(
        f"{system.users}/api/login", json={"username": name, "password": password}, timeout=TIMEOUT
    ).json()
    assert set(tokens) == {"Authorized", "refresh"}
    renewed = requests.post(f"{system.users}/api/token/refresh/", data={"refresh": tokens["refresh"]}, timeout=TIMEOUT)
    assert list(renewed.json()) == ["Authorized", "refresh"]
    assert renewed.json()["refresh"] != tokens["refresh"]
    headers = {"Authorization": renewed.json()["Authorized"]}
    assert requests.get(f"{system.thoughts}/api/me/thoughts/", headers=headers, timeout=TIMEOUT).json() == []

    # After the logout, the refresh token is refused.
    for path, status in [("api/logout/", 204), ("api/token/refresh/", 401)]:
        response = requests.post(f"{system.users}/{path}", json={"refresh": tokens["refresh"]}, timeout=TIMEOUT)
        assert response.status_code == status


def test_refresh_token_is_not_accepted_as_an_access_token(system: System) -> None:
    refresh = requests.post(
        f"{system.users}/api/login/", json={"username": "bruce", "password": "bruce"}, timeout=TIMEOUT
    ).json()["refresh"]
    response = requests.get(
        f"{system.thoughts}/api/me/thoughts/", headers={"Authorization": f"Bearer {refresh}"}, timeout=TIMEOUT
    )
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert list(response.json()) == ["message"]


@pytest.mark.parametrize("size", [5_000, 100_000])
def test_long_invalid_authorization_header_is_refused(system: System, size: int) -> None:
    headers = {"Authorization": f"Bearer {'a.' * (size // 2)}"}
    response = requests.get(f"{system.thoughts}/api/me/thoughts/", headers=headers, timeout=TIMEOUT)
    assert response.status_code in (400, 401, 431)
    assert response.json()["message"]


@pytest.mark.parametrize("at_once", [1, 8])
def test_200_logins_through_the_api_all_succeed(system: System, at_once: int) -> None:
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        tokens = list(pool.map(lambda _: log_in(system, "bruce")["Authorization"], range(200)))
    # No two logins return the same token.
    assert len(set(tokens)) == 200


@pytest.mark.parametrize("at_once", [1, 8])
def test_200_logins_through_the_page_all_succeed(system: System, at_once: int) -> None:
    def log_in_by_form(_: int) -> int:
        with requests.Session() as browser:
            form = browser.get(f"{system.web}/login/", timeout=TIMEOUT).text
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
            assert token
            page = browser.post(
                f"{system.web}/login/",
                data={"username": "stephen", "password": "stephen", "csrfmiddlewaretoken": token[1]},
                headers={"Referer": f"{system.web}/login/"},
                timeout=TIMEOUT,
            )
            assert "Your thoughts" in page.text
            return page.status_code

    with ThreadPoolExecutor(max_workers=at_once) as pool:
        assert set(pool.map(log_in_by_form, range(200))) == {200}


def test_valid_request_id_is_returned_and_an_invalid_one_replaced(system: System) -> None:
    for url in (system.thoughts, system.users, system.web):
        assert (
            requests.get(f"{url}/healthz", headers={"X-Request-ID": "abc-1"}, timeout=TIMEOUT).headers["X-Request-ID"]
            == "abc-1"
        )
        assert (
            requests.get(f"{url}/healthz", headers={"X-Request-ID": "a b<"}, timeout=TIMEOUT).headers["X-Request-ID"]
            != "a b<"
        )


@pytest.mark.parametrize("charset", ["rot13", "utf-7", "undefined", "nonsense"])
def test_charset_of_a_request_without_a_body_is_ignored(system: System, charset: str) -> None:
    headers = {"Content-Type": f"text/plain; charset={charset}"}
    for url in (f"{system.thoughts}/api/thoughts/", f"{system.users}/.well-known/jwks.json", f"{system.web}/search"):
        answer = requests.get(url, params={"search": "tea"}, headers=headers, timeout=TIMEOUT)
        assert answer.status_code == 200, url


def test_static_files_are_hashed_compressed_and_cached(system: System) -> None:
    page = requests.get(f"{system.web}/login/", timeout=TIMEOUT).text
    style = re.search(r'href="(/static/web/style\.\w+\.css)"', page)
    assert style
    response = requests.get(f"{system.web}{style[1]}", timeout=TIMEOUT)
    assert response.headers["Content-Encoding"] == "gzip"
    assert "max-age=315360000" in response.headers["Cache-Control"]
    assert "immutable" in response.headers["Cache-Control"]


@pytest.mark.parametrize("project", ["thoughts", "users", "web"])
def test_every_response_has_security_headers(system: System, project: str) -> None:
    url = getattr(system, project)
    page = requests.get(f"{url}/search" if project == "web" else f"{url}/", timeout=TIMEOUT)
    file = re.search(r'href="([^"]*/static/[^"]+\.css)"', page.text)
    assert file
    style = requests.get(f"{url}{file[1]}", timeout=TIMEOUT)
    assert style.status_code == 200
    # users_api redirects /admin/, and web redirects /thoughts/.
    paths = ("/nowhere", "/static/nothing.css", "/healthz", "/admin/", "/thoughts/")
    others = [requests.get(f"{url}{path}", allow_redirects=False, timeout=TIMEOUT) for path in paths]
    for response in (page, style, *others):
        policy = response.headers["Content-Security-Policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"} <= {*policy}
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("project", ["thoughts", "users", "web"])
@pytest.mark.parametrize("folder", ["/static", "/static/", "/static/common/", "/.git/", "/static/../settings.py"])
def test_folders_and_files_outside_static_are_not_served(system: System, project: str, folder: str) -> None:
    # Use http.client, because `requests` would remove ".." from the path.
    address = urlsplit(getattr(system, project))
    connection = HTTPConnection(address.netloc, timeout=TIMEOUT)
    connection.request("GET", folder)
    assert connection.getresponse().status in (400, 404)  # some ingresses answer 400
    connection.close()
