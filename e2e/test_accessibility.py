"""Check the accessibility of all pages, in light and dark mode.

The tests check each page in all its states, for example empty, with an error, and during an outage. The tests use
axe-core: https://github.com/dequelabs/axe-core
"""

import uuid

import pytest
from playwright.sync_api import Page, expect

from e2e.browser import Findings, fill_in, log_in, open_menu, search, share, wait_until_everything_works
from tools.system import System, answers, outage, within


@pytest.fixture(params=["light", "dark"])
def browser_context_args(request: pytest.FixtureRequest, browser_context_args: dict[str, object]) -> dict[str, object]:
    """Run each test twice, with the light and the dark colour scheme."""
    return {**browser_context_args, "color_scheme": request.param}


def test_pages_have_no_accessibility_violations(page: Page, system: System) -> None:
    look = Findings()
    page.goto(f"{system.web}/login/")
    look(page, "login")
    fill_in(page, ("stephen", f"wrong {uuid.uuid4()}"))
    look(page, "wrong password")
    page.goto(f"{system.web}/nowhere")
    look(page, "404")
    page.goto(f"{system.web}/search")
    look(page, "everyone's thoughts")
    search(page, "the")
    look(page, "found")
    search(page, uuid.uuid4().hex)
    look(page, "nothing found")
    page.goto(f"{system.web}/logout/")
    look(page, "not logged in")
    page.goto(f"{system.web}/signup/")
    look(page, "sign up")
    wait_until_everything_works(system)
    page.goto(f"{system.web}/status")
    expect(page.get_by_role("heading", name="Everything works")).to_be_visible()
    look(page, "status")
    page.goto(f"{system.web}/signup/")
    fill_in(page, ("stephen", "stephen-1"), "Sign up")
    expect(page.get_by_role("alert")).to_be_visible()
    look(page, "not signed up")

    log_in(page, system, ("stephen", "stephen"))
    expect(page.get_by_role("heading", name="Your thoughts")).to_be_visible()
    look(page, "own thoughts")
    share(page, "A thought about contrast")
    expect(page.get_by_role("status").first).to_be_visible()
    look(page, "posted")
    page.get_by_role("article").first.locator("summary").click()
    look(page, "delete?")
    open_menu(page)
    look(page, "menu")
    page.keyboard.press("Escape")
    page.goto(f"{system.web}/@stephen")
    look(page, "author")
    page.locator(".when").first.click()
    expect(page.locator(".single")).to_be_visible()
    look(page, "thought")
    page.goto(f"{system.web}/thoughts/")
    share(page, "x" * 251)
    expect(page.get_by_role("alert")).to_be_visible()
    look(page, "too long")
    page.goto(f"{system.web}/thoughts/?before=999999999")
    look(page, "empty page")
    page.goto(f"{system.web}/account/")
    look(page, "account")
    page.get_by_label("Current password").fill("wrong")
    page.get_by_label("New password").fill("short")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look(page, "password not changed")
    page.goto(f"{system.web}/logout/")
    look(page, "log out?")
    assert look.found == []


def test_error_pages_have_no_accessibility_violations(page: Page, own: System) -> None:
    look = Findings()
    assert within(60, lambda: answers(f"{own.users}/readyz") and answers(f"{own.thoughts}/readyz"))
    log_in(page, own, ("bruce", "bruce"))
    expect(page.get_by_role("heading", name="Your thoughts")).to_be_visible()
    with outage(own, "thoughts_api", "users_api"):
        page.goto(f"{own.web}/thoughts/")
        look(page, "no list")
        share(page, "Typed during the outage")
        look(page, "not stored")
        page.goto(f"{own.web}/search?search=a")
        look(page, "no search")
        page.context.clear_cookies()
        log_in(page, own, ("bruce", "bruce"), "/login/")
        look(page, "no login")
    assert look.found == []
