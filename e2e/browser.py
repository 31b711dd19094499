"""Use web in a browser, as a person does."""

import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from e2e.helpers import TIMEOUT
from tools.system import System, within

User = tuple[str, str]  # name and password


def log_in(page: Page, system: System, user: User, path: str = "/") -> None:
    page.goto(f"{system.web}{path}")
    fill_in(page, user)


def fill_in(page: Page, user: User, button: str = "Log in") -> None:
    page.get_by_label("User name").fill(user[0])
    page.get_by_label("Password").fill(user[1])
    # Wait until the next page is loaded. Until then, its script does not react to clicks.
    with page.expect_navigation():
        page.get_by_role("main").get_by_role("button", name=button).click()


def open_menu(page: Page) -> None:
    """Open the menu of the account."""
    page.get_by_role("navigation", name="Main").locator("summary").click()


def share(page: Page, text: str) -> None:
    page.get_by_label("New thought").fill(text)
    with page.expect_navigation():
        page.get_by_role("button", name="Share").click()


def search(page: Page, text: str) -> None:
    page.get_by_role("searchbox").fill(text)
    with page.expect_navigation():
        page.get_by_role("button", name="Search").click()


def wait_until_everything_works(system: System) -> None:
    """Wait until the status page says that everything works.

    A check fails if an API needs longer than a second, which can happen on a busy machine. web checks again after 5
    seconds.
    """
    url = f"{system.web}/status"
    assert within(TIMEOUT, lambda: "Everything works" in requests.get(url, timeout=TIMEOUT).text)


def write(system: System, user: User, texts: list[str]) -> None:
    """Log in to the API as `user`, and create a thought for each text, in order."""
    body = {"username": user[0], "password": user[1]}
    with requests.Session() as session:
        token = session.post(f"{system.users}/api/login/", body, timeout=TIMEOUT).json()["Authorized"]
        session.headers["Authorization"] = token
        for text in texts:
            response = session.post(f"{system.thoughts}/api/me/thoughts/", json={"text": text}, timeout=TIMEOUT)
            assert response.status_code == 201, response.text


class Findings:
    """Checks pages with axe-core, and collects the violations."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.axe = Axe()

    def __call__(self, page: Page, state: str) -> None:
        """Check a page in its current state. `state` names it in the list of violations."""
        page.wait_for_load_state()
        # A notice fades out after 10 seconds. While it fades, its contrast would be too low.
        page.evaluate("document.getAnimations().forEach(each => each.cancel())")
        for violation in self.axe.run(page).response["violations"]:
            targets = [node["target"] for node in violation["nodes"]]
            self.found.append(f"{state}: {violation['impact']} {violation['id']} at {targets}: {violation['help']}")
