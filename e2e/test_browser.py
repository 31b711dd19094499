"""Test web's pages in a real browser, Chromium."""

import re
import uuid
from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from e2e.browser import (
    User,
    fill_in,
    log_in,
    open_menu,
    search,
    share,
    wait_until_everything_works,
    write,
)
from e2e.helpers import TIMEOUT
from tools.system import System, answers, outage, within

pytestmark = pytest.mark.usefixtures("no_page_errors")
SESSION_COOKIE = re.compile(r"(__Host-)?thoughts_(\d+_)?session")
PHONE = {"width": 360, "height": 740}
THOUGHT = "Grüße an Zoë 🎉 100% <b>"


def write_find_and_delete(page: Page, system: System) -> None:
    """Log in, write a thought, find it, delete it, and log out."""
    log_in(page, system, ("bruce", "bruce"))
    expect(page.get_by_role("heading", name="Your thoughts")).to_be_visible()
    share(page, THOUGHT)
    expect(page.get_by_role("status").filter(has_text="Posted.")).to_be_visible()
    expect(page.get_by_role("article").first.locator(".text")).to_have_text(THOUGHT)
    expect(page.get_by_label("New thought")).to_have_value("")

    # Search for "oë", in a different case and without the accent.
    search(page, "OE")
    found = page.get_by_role("article").filter(has_text=THOUGHT).first
    expect(found.locator("mark")).to_have_text("oë")
    expect(found).to_contain_text("bruce")
    search(page, "% <B")
    expect(page.get_by_role("article").first.locator("mark")).to_have_text("% <b")
    search(page, "🎉")
    expect(page.get_by_role("article").first.locator("mark")).to_have_text("🎉")
    search(page, f"no thought contains this {uuid.uuid4().hex}")
    expect(page.get_by_text("No thoughts found")).to_be_visible()

    page.get_by_role("link", name="Yours").click()
    mine = page.get_by_role("article").first
    expect(mine.get_by_role("button")).to_be_hidden()
    mine.locator("summary").click()  # shows a second button, which confirms the deletion
    expect(mine.locator("summary")).to_have_text("Cancel", use_inner_text=True)
    mine.locator("summary").click()
    expect(mine.get_by_role("button")).to_be_hidden()
    mine.locator("summary").click()
    mine.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("status").filter(has_text="Deleted.")).to_be_visible()
    expect(page.get_by_role("article").filter(has_text=THOUGHT)).to_have_count(0)

    open_menu(page)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_text("You are logged out")).to_be_visible()
    page.goto(f"{system.web}/thoughts/")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_thought_is_written_found_and_deleted(page: Page, system: System) -> None:
    write_find_and_delete(page, system)


class TestWithoutJavaScript:
    @pytest.fixture
    def browser_context_args(self, browser_context_args: dict[str, object]) -> dict[str, object]:
        return {**browser_context_args, "java_script_enabled": False}

    def test_thought_is_written_found_and_deleted(self, page: Page, system: System) -> None:
        write_find_and_delete(page, system)

    def test_account_is_created_and_managed(self, page: Page, system: System) -> None:
        manage_the_account(page, system, f"eve-{uuid.uuid4().hex[:8]}")

    def test_thought_that_is_too_long_is_shown_again_with_the_error(
        self, page: Page, system: System, new_user: Callable[..., User]
    ) -> None:
        log_in(page, system, new_user())
        share(page, "x" * 251)
        expect(page.get_by_role("alert")).to_contain_text("251 characters")
        expect(page.get_by_label("New thought")).to_have_value("x" * 251)

    def test_60_thoughts_are_paged_in_both_directions(
        self, page: Page, system: System, new_user: Callable[..., User]
    ) -> None:
        user = new_user()
        write(system, user, [f"Thought number {number}" for number in range(60)])
        log_in(page, system, user)

        def texts() -> list[str]:
            return page.get_by_role("article").locator(".text").all_inner_texts()

        def follow(link: Locator) -> None:
            with page.expect_navigation():  # wait until the next page is loaded
                link.click()

        older = page.get_by_role("link", name="Older")
        newer = page.get_by_role("link", name="Newer")
        expect(newer).to_have_count(0)
        pages = [texts()]
        while older.count():
            follow(older)
            pages.append(texts())
        assert len(pages) == 3
        seen = [text for each in pages for text in each]
        assert seen == [f"Thought number {number}" for number in reversed(range(60))]

        for expected in reversed(pages[:-1]):
            follow(newer)
            assert texts() == expected
        expect(newer).to_have_count(0)

    def test_deletion_returns_to_the_same_place(
        self, page: Page, system: System, new_user: Callable[..., User]
    ) -> None:
        user = new_user()
        write(system, user, [f"Thought number {number}" for number in range(20)])
        log_in(page, system, user)
        expect(page.get_by_role("article")).to_have_count(20)
        page.get_by_role("article").nth(14).locator("summary").click()
        page.get_by_role("article").nth(14).get_by_role("button", name="Delete for good").click()
        expect(page.get_by_role("article")).to_have_count(19)
        expect(page.get_by_role("article").nth(14)).to_be_in_viewport()
        expect(page.get_by_role("status").filter(has_text="Deleted.")).to_be_in_viewport()

    def test_times_are_in_utc(self, page: Page, system: System) -> None:
        page.goto(f"{system.web}/search")
        expect(page.get_by_role("article").first.locator("time")).to_contain_text("UTC")


def test_staff_user_deletes_another_users_thought(page: Page, system: System, new_user: Callable[..., User]) -> None:
    text = f"Off topic {uuid.uuid4().hex}"
    write(system, new_user(), [text])
    log_in(page, system, ("admin", "admin"))
    expect(page.get_by_role("heading", name="Your thoughts")).to_be_visible()
    search(page, text)
    page.get_by_role("article").locator("summary").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("No thoughts found")).to_be_visible()


def test_name_and_time_link_to_pages(page: Page, system: System, new_user: Callable[..., User]) -> None:
    user, other = new_user(), new_user()
    text = f"Tea {uuid.uuid4().hex}"
    write(system, user, [text, "Another thought"])
    write(system, other, [text])
    page.goto(f"{system.web}/search?search={text.split()[1]}")
    page.get_by_role("link", name=user[0]).click()
    expect(page.get_by_role("heading", name=user[0])).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(2)
    page.get_by_role("article").filter(has_text=text).locator(".when").click()
    expect(page.get_by_role("article")).to_have_count(1)
    expect(page.locator(".text")).to_have_text(text)
    page.get_by_role("link", name=f"More by {user[0]}").click()
    expect(page.get_by_role("article")).to_have_count(2)


def test_login_page_shows_the_newest_thoughts(page: Page, system: System, new_user: Callable[..., User]) -> None:
    text = f"Fresh {uuid.uuid4().hex}"
    write(system, new_user(), [text])
    page.goto(f"{system.web}/")
    expect(page.get_by_role("article").first).to_contain_text(text)
    expect(page.get_by_label("User name")).to_be_focused()
    page.get_by_role("link", name="Read all thoughts").click()
    expect(page.get_by_role("heading", name="Everyone's thoughts")).to_be_visible()


@pytest.mark.parametrize("letters", [9, 50])
@pytest.mark.parametrize("width", [320, 390, 600, 640, 1200])
def test_header_fits(page: Page, system: System, new_user: Callable[..., User], letters: int, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    log_in(page, system, new_user("w" * (letters - 8) + uuid.uuid4().hex[:8]))
    expect(page.get_by_role("heading", name="Your thoughts")).to_be_visible()
    boxes = [each.bounding_box() for each in page.get_by_role("navigation", name="Main").locator("> *").all()]
    tops = {round(box["y"] + box["height"] / 2) for box in boxes if box}
    rows = {top for top in tops if not any(0 < top - other < 20 for other in tops)}
    assert len(rows) == (1 if width == 1200 else 2)
    search, button = page.get_by_role("searchbox").bounding_box(), page.get_by_role("button", name="Search")
    assert search
    assert search["width"] >= 2 * (button.bounding_box() or search)["width"]
    assert page.locator(".menu bdi").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    open_menu(page)
    for item in ("Your public page", "Account"):
        expect(page.get_by_role("link", name=item)).to_be_in_viewport(ratio=1)


def test_right_to_left_text_gets_the_direction_rtl(page: Page, system: System, new_user: Callable[..., User]) -> None:
    user = new_user()
    write(system, user, ["שלום עולם!"])
    log_in(page, system, user)
    for element in (page.locator(".text").first, page.get_by_label("New thought"), page.get_by_role("searchbox")):
        if element.evaluate("element => 'value' in element"):
            element.fill("שלום עולם!")
        assert element.evaluate("element => getComputedStyle(element).direction") == "rtl"


def test_empty_thought_is_refused(page: Page, system: System, new_user: Callable[..., User]) -> None:
    log_in(page, system, new_user())
    expect(page.get_by_text("You have not written anything yet")).to_be_visible()
    share(page, "   ")
    expect(page.get_by_role("alert")).to_contain_text("Write something first")


def test_wrong_password_shows_an_error_and_keeps_the_name(page: Page, system: System) -> None:
    log_in(page, system, ("bruce", "wrong"))
    expect(page.get_by_role("alert")).to_contain_text("The user name or the password is wrong")
    expect(page.get_by_label("User name")).to_have_value("bruce")
    expect(page.get_by_label("Password")).to_have_value("")
    expect(page.get_by_label("Password")).to_be_focused()


def test_login_returns_to_the_requested_page(page: Page, system: System, new_user: Callable[..., User]) -> None:
    log_in(page, system, new_user(), "/thoughts/?before=5")
    expect(page).to_have_url(f"{system.web}/thoughts/?before=5")


def test_missing_access_token_is_renewed_silently(
    page: Page, context: BrowserContext, system: System, new_user: Callable[..., User]
) -> None:
    log_in(page, system, new_user())
    expect(page.get_by_role("heading", name="Your thoughts")).to_be_visible()
    context.clear_cookies(name=SESSION_COOKIE)
    share(page, "Written with a renewed session")
    expect(page.get_by_role("article").first).to_contain_text("Written with a renewed session")
    assert any(SESSION_COOKIE.fullmatch(cookie["name"]) for cookie in context.cookies())


def test_expired_session_keeps_the_text(
    page: Page, context: BrowserContext, system: System, new_user: Callable[..., User]
) -> None:
    user = new_user()
    log_in(page, system, user)
    expect(page.get_by_role("heading", name="Your thoughts")).to_be_visible()
    context.clear_cookies(name=re.compile("session|refresh"))
    share(page, "Not lost")
    expect(page.get_by_role("alert")).to_contain_text("Please log in")
    with context.expect_page() as opened:
        page.get_by_role("link", name="Log in in a new tab").click()
    fill_in(opened.value, user)
    expect(opened.value.get_by_role("heading", name="Your thoughts")).to_be_visible()
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_role("article").first).to_contain_text("Not lost")


def test_too_many_wrong_passwords_are_limited(page: Page, system: System, new_user: Callable[..., User]) -> None:
    name, password = new_user()
    for _ in range(10):
        log_in(page, system, (name, "wrong"), "/login/")
        expect(page.get_by_role("alert")).to_contain_text("wrong")
    log_in(page, system, (name, password), "/login/")
    expect(page.get_by_role("alert")).to_contain_text(re.compile(r"Please wait.*again in 1[45] minutes"))


def test_site_works_with_the_keyboard(page: Page, system: System, new_user: Callable[..., User]) -> None:
    name, password = new_user()
    page.goto(f"{system.web}/login/")
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your thoughts")).to_be_visible()
    page.wait_for_load_state()

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("New thought")).to_be_focused()
    page.keyboard.type("Written without a mouse")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article").first).to_contain_text("Written without a mouse")
    page.wait_for_load_state()

    # Each element that receives focus has a visible outline.
    names: list[str] = []
    while not names or not names[-1].startswith("Delete"):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.innerText || document.activeElement.id"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline not in ("none", ""), names[-1]
    assert names[0] == "Skip to the content"
    assert len(names) == 12
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Deleted.")).to_be_visible()


def test_pages_fit_the_screen_of_a_phone(page: Page, system: System, new_user: Callable[..., User]) -> None:
    page.set_viewport_size(PHONE)
    user = new_user("w" * 40 + uuid.uuid4().hex[:10])
    write(system, user, ["W" * 250, "A short one"])

    def fits() -> bool:
        return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))

    for path in ("/login/", "/search?search=" + "W" * 250, "/nowhere", f"/@{user[0]}"):
        page.goto(f"{system.web}{path}")
        assert fits(), path
    log_in(page, system, user)
    expect(page.get_by_role("article")).to_have_count(2)
    assert fits()
    share(page, "W" * 251)
    expect(page.get_by_role("alert")).to_be_visible()
    assert fits()
    for path in ("/logout/", "/account/", "/signup/"):
        page.goto(f"{system.web}{path}")
        assert fits(), path


def manage_the_account(page: Page, system: System, name: str) -> None:
    """Sign up, log out another device, change the password, and log out everywhere."""
    first, second = "nanosecond-wire", "another-horse-1"
    page.goto(f"{system.web}/login/")
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("User name").fill("bruce")
    page.get_by_label("Password").fill(first)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("alert")).to_contain_text("already exists")
    fill_in(page, (name, first), "Sign up")
    expect(page.get_by_role("status")).to_contain_text(f"Welcome, \u2068{name}\u2069")

    phone = requests.post(
        f"{system.users}/api/login/",
        {"username": name, "password": first},
        headers={"User-Agent": "phone"},
        timeout=TIMEOUT,
    ).json()["refresh"]
    open_menu(page)
    page.get_by_role("link", name="Account").click()
    expect(page.get_by_role("listitem").filter(has_text="This device")).to_have_count(1)
    page.get_by_role("listitem").filter(has_text="phone").get_by_role("button").click()
    expect(page.get_by_role("status")).to_contain_text("That device is logged out")
    body = {"refresh": phone}
    assert requests.post(f"{system.users}/api/token/refresh/", body, timeout=TIMEOUT).status_code == 401

    for old, outcome in ((second, "alert"), (first, "status")):
        page.get_by_label("Current password").fill(old)
        page.get_by_label("New password").fill(second)
        page.get_by_role("button", name="Change password").click()
        expect(page.get_by_role(outcome)).to_contain_text(
            "The password is wrong" if outcome == "alert" else "Your password has been changed"
        )
    page.get_by_role("button", name="Log out everywhere").click()
    expect(page.get_by_role("status")).to_contain_text("You are logged out")
    fill_in(page, (name, second))
    expect(page.get_by_role("heading", name="Your thoughts")).to_be_visible()


def test_account_is_created_and_managed(page: Page, system: System) -> None:
    manage_the_account(page, system, f"ada-{uuid.uuid4().hex[:8]}")


def test_account_created_in_the_admin_works_until_it_is_deactivated(
    page: Page, context: BrowserContext, system: System
) -> None:
    page.goto(f"{system.users}/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("admin")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Add").first.click()
    user = f"ada-{uuid.uuid4().hex[:8]}", "nanosecond-wire"
    page.get_by_label("Username").fill(user[0])
    page.get_by_label("Password", exact=False).nth(0).fill(user[1])
    page.get_by_label("Password confirmation").fill(user[1])
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()

    visitor = context.new_page()
    log_in(visitor, system, user)
    expect(visitor.get_by_role("heading", name="Your thoughts")).to_be_visible()

    page.reload()
    expect(page.locator(".field-last_login .readonly")).not_to_have_text("-")
    page.get_by_label("Active").uncheck()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()

    # thoughts_api accepts the access token for up to 15 more minutes. Delete the token's cookie, so that web must
    # renew the token. users_api refuses the renewal.
    context.clear_cookies(name=SESSION_COOKIE)
    visitor.goto(f"{system.web}/thoughts/")
    expect(visitor.get_by_role("heading", name="Log in")).to_be_visible()
    fill_in(visitor, user)
    expect(visitor.get_by_role("alert")).to_contain_text("wrong")


@pytest.mark.parametrize("width", [320, 640, 1200])
@pytest.mark.parametrize("java_script", [True, False])
def test_status_page_fits_the_window_and_can_be_reloaded(
    browser: Browser, system: System, width: int, java_script: bool
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, java_script_enabled=java_script)
    page.goto(f"{system.web}/search")
    wait_until_everything_works(system)
    page.get_by_role("contentinfo").get_by_role("link", name="Status").click()
    expect(page.get_by_role("heading", name="Everything works")).to_be_visible()
    expect(page.get_by_role("main").get_by_text("Works", exact=True)).to_have_count(3)
    expect(page.locator("time")).to_have_text("just now" if java_script else re.compile(r"\d{4}, [\d:]{8} UTC$"))
    assert page.evaluate("document.documentElement.scrollWidth") == width
    wait_until_everything_works(system)
    with page.expect_navigation():
        page.get_by_role("link", name="Check again").click()
    expect(page.get_by_role("heading", name="Everything works")).to_be_visible()
    page.close()


@pytest.mark.parametrize(("project", "path"), [("thoughts", "/api/thoughts/"), ("users", "/.well-known/jwks.json")])
def test_swagger_page_can_send_a_request(page: Page, system: System, project: str, path: str) -> None:
    page.goto(f"{getattr(system, project)}/")
    call = page.locator(f".opblock-get:has([data-path='{path}'])")
    call.get_by_role("button").first.click()
    call.get_by_role("button", name="Try it out").click()
    call.get_by_role("button", name="Execute").click()
    expect(call.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")


def test_typed_text_is_kept_during_an_outage_of_thoughts_api(page: Page, own: System) -> None:
    log_in(page, own, ("bruce", "bruce"))
    expect(page.get_by_role("article")).to_have_count(4)
    with outage(own, "thoughts_api"):
        share(page, "Typed during the outage")
        expect(page.get_by_role("alert")).to_contain_text("The thoughts service is temporarily unavailable")
        expect(page.get_by_label("New thought")).to_have_value("Typed during the outage")
        expect(page.get_by_role("navigation", name="Main")).to_be_visible()
        other = page.context.new_page()
        other.goto(f"{own.web}/search?search=tea")
        expect(other.get_by_role("alert")).to_contain_text("The thoughts service is temporarily unavailable")

    assert within(60, lambda: answers(f"{own.thoughts}/readyz"))
    share(page, "Typed during the outage")
    expect(page.get_by_role("article").first).to_contain_text("Typed during the outage")
    expect(page.get_by_role("article")).to_have_count(5)


def test_logged_in_users_can_write_during_an_outage_of_users_api(page: Page, own: System) -> None:
    log_in(page, own, ("bruce", "bruce"))
    expect(page.get_by_role("heading", name="Your thoughts")).to_be_visible()
    with outage(own, "users_api"):
        share(page, "Written without users_api")
        expect(page.get_by_role("article").first).to_contain_text("Written without users_api")

        visitor = page.context.browser.new_page()
        log_in(visitor, own, ("stephen", "stephen"), "/login/")
        expect(visitor.get_by_role("alert")).to_contain_text("The login service is temporarily unavailable")
        expect(visitor.get_by_label("User name")).to_have_value("stephen")
    assert within(60, lambda: answers(f"{own.users}/readyz"))
    fill_in(visitor, ("stephen", "stephen"))
    expect(visitor.get_by_role("heading", name="Your thoughts")).to_be_visible()
    visitor.close()
