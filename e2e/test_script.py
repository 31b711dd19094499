"""What the script of web (`app.js`) adds to the pages, in a real browser."""

import re
from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from e2e.browser import User, log_in, open_menu, write
from e2e.helpers import TIMEOUT
from tools.system import System

pytestmark = pytest.mark.usefixtures("no_page_errors")


def test_more_thoughts_are_added_below(page: Page, system: System, new_user: Callable[..., User]) -> None:
    user = new_user()
    write(system, user, [f"Thought number {number}" for number in range(45)])
    log_in(page, system, user)
    articles, more = page.get_by_role("article"), page.get_by_role("link", name="Load more")
    expect(articles).to_have_count(20)
    more.scroll_into_view_if_needed()
    first, before = articles.nth(19).inner_text(), page.evaluate("scrollY")
    more.click()
    expect(articles).to_have_count(40)
    assert articles.nth(19).inner_text() == first
    assert abs(page.evaluate("scrollY") - before) <= 1
    expect(articles.nth(20).get_by_role("link").first).to_be_focused()
    more.click()
    expect(articles).to_have_count(45)
    expect(more).to_have_count(0)
    texts = articles.locator(".text").all_inner_texts()
    assert texts == [f"Thought number {number}" for number in reversed(range(45))]

    # Open the page of a thought, then go back to the same place in the list.
    articles.nth(42).locator(".when").click()
    expect(page.locator(".single .text")).to_have_text(texts[42])
    page.go_back()
    expect(articles).to_have_count(45)
    expect(articles.nth(42)).to_be_in_viewport()


def test_link_is_followed_if_loading_more_thoughts_fails(
    page: Page, system: System, new_user: Callable[..., User]
) -> None:
    user = new_user()
    write(system, user, [f"Thought number {number}" for number in range(21)])
    log_in(page, system, user)
    more = page.get_by_role("link", name="Load more")
    failed: list[str] = []

    def fail_the_script(route: Route) -> None:
        if route.request.resource_type == "fetch":
            failed.append(route.request.url)
            route.fulfill(status=503, body="An error page")
        else:
            route.continue_()

    page.route("**/thoughts/?after=*", fail_the_script)
    more.click()
    expect(page).to_have_url(re.compile("after="))
    assert failed == [page.url]
    expect(page.get_by_role("article")).to_have_count(1)


def test_thought_is_deleted_without_leaving_the_page(page: Page, system: System, new_user: Callable[..., User]) -> None:
    user = new_user()
    write(system, user, [f"Thought number {number}" for number in range(30)])
    log_in(page, system, user)
    articles = page.get_by_role("article")
    page.get_by_role("link", name="Load more").click()
    expect(articles).to_have_count(30)
    texts = articles.locator(".text").all_inner_texts()
    articles.nth(3).locator("summary").click()
    articles.nth(24).locator("summary").click()
    expect(page.get_by_role("button", name="Delete for good")).to_have_count(1)  # the second menu closed the first
    page.get_by_role("button", name="Delete for good").click()
    expect(articles).to_have_count(29)
    expect(page.get_by_role("status").filter(has_text="Deleted.")).to_be_in_viewport()
    expect(articles.nth(24)).to_be_in_viewport()
    assert articles.locator(".text").all_inner_texts() == texts[:24] + texts[25:]
    page.reload()
    page.get_by_role("link", name="Load more").click()
    expect(articles).to_have_count(29)
    assert articles.locator(".text").all_inner_texts() == texts[:24] + texts[25:]


def test_only_thought_is_deleted(page: Page, system: System, new_user: Callable[..., User]) -> None:
    user = new_user()
    write(system, user, ["The only one"])
    log_in(page, system, user)
    page.get_by_role("article").locator("summary").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("You have not written anything yet")).to_be_visible()


def test_times_are_relative_with_the_local_time_on_hover(
    page: Page, system: System, new_user: Callable[..., User]
) -> None:
    write(system, new_user(), ["Just written"])
    page.clock.set_fixed_time("2027-06-01T12:00:00Z")
    page.route("**/search", with_time("2027-06-01T11:54:30+00:00"))
    page.goto(f"{system.web}/search")
    time = page.get_by_role("article").first.locator("time")
    expect(time).to_have_text("5 minutes ago")
    expect(time).to_have_attribute("title", re.compile(r"Tuesday.* 1 June 2027 at \d\d:54"))
    for stamp, shown in {
        "2027-06-01T11:59:30+00:00": "just now",
        "2027-06-01T10:00:00+00:00": "2 hours ago",
        "2027-05-31T11:00:00+00:00": "yesterday",
        "2027-01-31T12:00:00+00:00": "31 Jan 2027",
    }.items():
        page.unroute("**/search")
        page.route("**/search", with_time(stamp))
        page.reload()
        expect(time).to_have_text(shown)


def with_time(stamp: str) -> Callable[[Route], None]:
    """Return a handler that gives all thoughts of a page this timestamp."""

    def handler(route: Route) -> None:
        # `route.fetch` cannot resolve frontend.localhost, because tools.localhost makes only Python resolve it.
        text = requests.get(route.request.url, timeout=TIMEOUT).text
        body = re.sub(r'datetime="[^"]*"', f'datetime="{stamp}"', text)
        route.fulfill(content_type="text/html; charset=utf-8", body=body)

    return handler


@pytest.mark.parametrize("key", ["Control+Enter", "Meta+Enter"])
def test_key_sends_the_thought(page: Page, system: System, new_user: Callable[..., User], key: str) -> None:
    log_in(page, system, new_user())
    page.get_by_label("New thought").fill("Sent with a key")
    page.keyboard.press(key)
    expect(page.get_by_role("article").first).to_contain_text("Sent with a key")


def test_menu_closes_on_escape_and_on_a_click_elsewhere(
    page: Page, system: System, new_user: Callable[..., User]
) -> None:
    log_in(page, system, new_user())
    link = page.get_by_role("link", name="Account")
    open_menu(page)
    expect(link).to_be_visible()
    page.keyboard.press("Escape")
    expect(link).to_be_hidden()
    expect(page.locator(".menu summary")).to_be_focused()
    open_menu(page)
    page.get_by_role("heading", name="Your thoughts").click()
    expect(link).to_be_hidden()


def test_characters_are_counted_while_typing(page: Page, system: System, new_user: Callable[..., User]) -> None:
    log_in(page, system, new_user())
    field, hint = page.get_by_label("New thought"), page.locator("#id_text_helptext")
    expect(hint).to_have_text("Up to 250 characters. Everyone can read them.")
    field.fill("🎉")
    expect(hint).to_have_text("249 left")
    field.fill("x" * 250)
    expect(hint).to_have_text("0 left")
    field.fill("x" * 252)
    expect(hint).to_have_text("2 too many")

    page.get_by_role("button", name="Share").click()
    expect(page.get_by_role("alert")).to_contain_text("252 characters")
    expect(field).to_have_value("x" * 252)
    expect(hint).to_have_text("2 too many")
    field.fill("x" * 250)
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_role("article").first.locator(".text")).to_have_text("x" * 250)
