"""Take a screenshot of every page and state of web: `make screenshots`.

The script takes each screenshot at four widths, in light and dark mode, and stores it in var/screenshots/.
var/screenshots/index.html shows all of them. With `--docs`, the script takes the README's screenshots instead.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import requests
from playwright.sync_api import Browser, Page, sync_playwright

from tools.chromium import launch_options
from tools.local import PROJECTS, ROOT, Local
from tools.system import NO_LIMITS, System, answers, free_ports, start, stop

WIDTHS, SCHEMES = (320, 390, 640, 1200), ("light", "dark")
FOLDER = ROOT / "var" / "screenshots"
PASSWORD = "nanosecond-wire"  # noqa: S105
LONG_NAME = "w" * 25 + "i" * 25
THOUGHTS = [
    ("katharina", "https://example.org/" + "a-very-long-path/" * 12 + "end"),
    (LONG_NAME, "A name of 50 letters, and a short thought."),
    ("katharina", "W" * 250),
    ("katharina", "שלום עולם!"),
    ("katharina", "Read this (https://bücher.example/seiten?nr=1&lang=de), then tell me.\n\nSecond paragraph. 🎉"),
    ("katharina", "The best notebook is the one that is at hand."),
]


def create(system: System) -> None:
    """Create the users and thoughts that the pages show."""
    for name in ("katharina", LONG_NAME, "newcomer"):
        body = {"username": name, "password": PASSWORD}
        requests.post(f"{system.users}/api/users/", body, timeout=9).raise_for_status()
    for name, text in THOUGHTS:
        body = {"username": name, "password": PASSWORD}
        headers = {"Authorization": requests.post(f"{system.users}/api/login/", body, timeout=9).json()["Authorized"]}
        requests.post(f"{system.thoughts}/api/me/thoughts/", {"text": text}, headers=headers, timeout=9)


@contextmanager
def broken(system: System, var: Path) -> Iterator[str]:
    """Start a second web service, and yield its URL.

    This service cannot reach thoughts_api, and sign-up is closed.
    """
    (port,) = free_ports(1)
    ports = {name: urlsplit(url).port or 0 for name, url in zip(PROJECTS, _urls(system), strict=True)}
    environment = Local(var, ports | {"web": port}).environment("web")
    environment |= {"THOUGHTS_BACKEND_URL": "http://127.0.0.1:1", "SIGN_UP": "closed"}
    command = [sys.executable, "-m", "gunicorn", "-c", "python:common.server.gunicorn_conf", "web.wsgi"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        while not answers(f"http://localhost:{port}/readyz"):
            time.sleep(0.1)
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait()


def _urls(system: System) -> list[str]:
    return [getattr(system, project.removesuffix("_api")) for project in PROJECTS]


def log_in(page: Page, web: str, name: str, password: str = PASSWORD) -> None:
    """Log in on the login page."""
    page.goto(f"{web}/login/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    press(page, "Log in")


def press(page: Page, button: str) -> None:
    """Press a button that submits a form, and wait for the next page."""
    with page.expect_navigation():
        page.get_by_role("main").get_by_role("button", name=button).click()


def share(page: Page, text: str) -> None:
    """Submit the form for a new thought."""
    page.get_by_label("New thought").fill(text)
    press(page, "Share")


def states(page: Page, system: System, broken_web: str) -> Iterator[str]:
    """Put the page into each state, and yield the name of the state."""
    web = system.web
    for name, path in {
        "login": "/login/",
        "everyone": "/search",
        "found": "/search?search=the",
        "found-hebrew": "/search?search=שלום",
        "nothing-found": "/search?search=not-in-any-thought",
        "search-too-long": "/search?search=" + "x" * 1001,
        "address-too-long": "/search?search=" + "x" * 9000,
        "not-found": "/nowhere",
        "author": "/@katharina",
        "author-long-name": f"/@{LONG_NAME}",
        "author-unknown": "/@unknown",
        "thought": "/thoughts/1",
        "thought-missing": "/thoughts/999999",
        "sign-up": "/signup/",
        "not-logged-in": "/logout/",
        "status": "/status",
    }.items():
        page.goto(web + path)
        yield name
    log_in(page, web, "katharina", "wrong")
    yield "login-error"
    page.goto(f"{web}/signup/")
    page.get_by_label("User name").fill("katharina")
    page.get_by_label("Password").fill("short")
    press(page, "Sign up")
    yield "sign-up-error"

    log_in(page, web, "newcomer")
    yield "own-empty"
    share(page, "")
    yield "own-error"
    page.context.clear_cookies()

    log_in(page, web, "katharina")
    yield "own"
    page.locator(".thought summary").first.click()
    yield "own-delete"
    page.locator(".menu summary").click()
    yield "menu"
    share(page, "One more thought")
    yield "own-posted"
    page.get_by_role("article").first.locator("summary").click()
    page.get_by_role("button", name="Delete for good").click()
    page.get_by_text("Deleted.").wait_for()
    yield "own-deleted"
    page.goto(f"{web}/@katharina")
    yield "author-own"
    for name, path in {"account": "/account/", "log-out": "/logout/"}.items():
        page.goto(web + path)
        yield name
    page.goto(f"{web}/account/")
    page.get_by_label("Current password").fill("wrong")
    page.get_by_label("New password").fill("short")
    press(page, "Change password")
    yield "account-error"
    page.context.clear_cookies()
    page.goto(f"{web}/login/")
    page.context.clear_cookies()
    page.get_by_label("User name").fill("katharina")
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Log in")
    yield "login-expired-form"
    log_in(page, web, LONG_NAME)
    yield "own-long-name"
    page.context.clear_cookies(name=re.compile("session|refresh"))
    share(page, "Typed with care")
    yield "own-logged-out"
    page.context.clear_cookies()
    log_in(page, web, "admin", "admin")
    page.goto(f"{web}/search")
    page.locator(".thought summary").first.click()
    yield "staff-delete"
    page.context.clear_cookies()

    log_in(page, broken_web, "katharina")
    yield "own-unavailable"
    share(page, "Typed with care")
    yield "own-not-stored"
    for name, path in {
        "search-unavailable": "/search?search=tea",
        "author-unavailable": "/@katharina",
        "thought-unavailable": "/thoughts/1",
        "status-unavailable": "/status",
    }.items():
        page.goto(broken_web + path)
        yield name
    page.evaluate("document.querySelector('.menu form').action = '/thoughts/1/delete'")
    page.locator(".menu summary").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Log out").click()
    yield "delete-unavailable"
    page.goto(f"{broken_web}/logout/")
    page.context.clear_cookies(name=re.compile("csrftoken"))
    press(page, "Log out")
    yield "form-expired"
    page.context.clear_cookies()
    page.goto(f"{broken_web}/login/")
    yield "login-without-thoughts"
    page.goto(f"{broken_web}/signup/")
    yield "sign-up-closed"


def take_all(browser: Browser, system: System, broken_web: str) -> None:
    """Save a screenshot of each state, and a page that shows all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    names: list[str] = []
    for width, scheme in product(WIDTHS, SCHEMES):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page = context.new_page()
        for name in states(page, system, broken_web):
            page.wait_for_load_state()
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                print(f"{name} is wider than {width} px.", file=sys.stderr)
            page.screenshot(path=FOLDER / f"{name}-{width}-{scheme}.png", full_page=True)
            names += [] if name in names else [name]
        context.close()
    rows = ""
    for name in names:
        rows += f"<h2>{name}</h2>"
        for scheme, width in product(SCHEMES, WIDTHS):
            rows += f'<img src="{name}-{width}-{scheme}.png" width="{width // 2}" alt="">\n'
    style = "<style>body { background: #888 } img { vertical-align: top; margin: 4px }</style>"
    (FOLDER / "index.html").write_text(f"<!DOCTYPE html>{style}{rows}")
    print(f"{FOLDER / 'index.html'} shows {len(names)} states.")


def take_docs(browser: Browser, system: System) -> None:
    """Save the images of the README."""
    folder = ROOT / "docs" / "images"
    page = browser.new_page(viewport={"width": 800, "height": 595})
    log_in(page, system.web, "bruce", "bruce")
    share(page, "Notes are for finding again: https://example.org/how-to-take-notes")
    page.goto(f"{system.web}/thoughts/")
    page.screenshot(path=folder / "thoughts.png")
    phone = browser.new_page(
        viewport={"width": 390, "height": 640}, device_scale_factor=1.5, color_scheme="dark", is_mobile=True
    )
    phone.goto(f"{system.web}/search?search=one")
    phone.screenshot(path=folder / "search.png")


def main(docs: bool) -> None:
    """Start the system and a browser, and take the screenshots."""
    with ExitStack() as stack:
        var = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        system = start(var, **NO_LIMITS)
        stack.callback(stop, system)
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(**launch_options())
        if docs:
            take_docs(browser, system)
        else:
            create(system)
            take_all(browser, system, stack.enter_context(broken(system, var)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", action="store_true", help="take the images of the README")
    main(parser.parse_args().docs)
