"""Test login sessions in the whole system.

In one test, threads share the cookies of a session. In the other, an attacker uses stolen refresh tokens.
"""

import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests

from tools.system import System

TIMEOUT = 30
THREADS = 8
SECONDS = float(os.environ.get("REFRESH_SECONDS", "5"))
REFRESH_COOKIE = re.compile(r"(__Host-)?thoughts_(\d+_)?refresh")


def log_in(system: System) -> tuple[str, str]:
    """Log in with the form, and return the name and the value of the refresh cookie."""
    with requests.Session() as browser:
        form = browser.get(f"{system.web}/login/", timeout=TIMEOUT).text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
        assert token
        data = {"username": "bruce", "password": "bruce", "csrfmiddlewaretoken": token[1]}
        page = browser.post(
            f"{system.web}/login/", data=data, headers={"Referer": f"{system.web}/login/"}, timeout=TIMEOUT
        )
        assert "Your thoughts" in page.text
        [cookie] = [each for each in browser.cookies if REFRESH_COOKIE.fullmatch(each.name)]
        return cookie.name, cookie.value or ""


def test_threads_with_a_shared_cookie_jar_stay_logged_in(system: System) -> None:
    name, value = log_in(system)
    jar = {name: value}
    until = time.monotonic() + SECONDS
    counted, lost, lock = 0, 0, threading.Lock()
    refused: list[tuple[int, str]] = []

    def browse(_: int) -> None:
        nonlocal counted, lost
        while time.monotonic() < until or counted <= 20:
            # The request has no access token, so web renews the tokens for each page.
            page = requests.get(f"{system.web}/thoughts/", cookies=dict(jar), allow_redirects=False, timeout=TIMEOUT)
            with lock:
                counted += 1
                if page.status_code != 200:
                    refused.append((page.status_code, page.headers.get("Location", "")))
                elif counted % 20 == 0:  # ignore the new token, as if the response had been lost
                    lost += 1
                elif name in page.cookies:
                    jar[name] = page.cookies[name] or ""

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(browse, range(THREADS)))
    print(f"{counted} renewals by {THREADS} threads, {lost} answers lost, {len(refused)} refused")  # noqa: T201
    assert counted > 20
    assert refused == []


def test_reuse_of_a_stolen_refresh_token_ends_the_session(system: System) -> None:
    headers = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}

    def page(name: str, value: str) -> requests.Response:
        return requests.get(
            f"{system.web}/thoughts/", cookies={name: value}, headers=headers, allow_redirects=False, timeout=TIMEOUT
        )

    def owner(name: str, value: str) -> str:
        for _ in range(3):
            answer = page(name, value)
            assert answer.status_code == 200
            value = answer.cookies[name] or ""
        return value

    (name, first), (_, second) = log_in(system), log_in(system)
    owned = owner(name, first), owner(name, second)
    # The owners have used the tokens that replaced the stolen ones. For 60 s, users_api still accepts an old token,
    # because a browser may send requests in parallel. After that, the use of an old token ends the session.
    time.sleep(62)
    url = f"{system.users}/api/token/refresh/"
    assert requests.post(url, {"refresh": first}, timeout=TIMEOUT).status_code == 401
    assert page(name, second).status_code == 302
    # Both sessions have ended, so the owners can no longer renew their tokens either.
    for value in owned:
        assert page(name, value).status_code == 302
        assert requests.post(url, {"refresh": value}, timeout=TIMEOUT).status_code == 401
