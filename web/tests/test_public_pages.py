"""Test the login, author and thought pages, and deletion from every page."""

import re
from threading import Event
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from web.tests.conftest import LOGIN, MINE, ONE, SEARCH, SESSION_COOKIE, Backend, authorization, thought

DELETE = ("DELETE", "/api/me/thoughts/7/")
DELETE_ANY = ("DELETE", "/admin/thoughts/7/")


@pytest.fixture
def staff(visitor: Client) -> Client:
    """Return a test client in which a staff user is logged in."""
    visitor.cookies[SESSION_COOKIE] = authorization("admin", is_staff=True)
    return visitor


def test_login_page_describes_the_site_and_shows_the_newest_thoughts(visitor: Client, backend: Backend) -> None:
    backend.answer(SEARCH, 200, [thought(9, text="Newest <b>"), thought(7, text="Older")])
    page = visitor.get("/login/").text
    assert "in up to 250 characters. Everyone can read and search it." in page
    assert page.index('name="password"') < page.index("Newest &lt;b&gt;") < page.index("Older")
    assert '<a href="/search">Read all thoughts</a>' in page
    assert backend.received[0].query == {"limit": ["5"], "ordering": ["-id"]}
    assert "authorization" not in backend.received[0].headers


@pytest.mark.parametrize("status", [503, 500, 429])
def test_login_page_needs_no_thoughts(visitor: Client, backend: Backend, status: int) -> None:
    backend.answer(SEARCH, status)
    response = visitor.get("/login/")
    assert response.status_code == 200
    assert 'name="password"' in response.text
    assert "Newest thoughts" not in response.text


def test_login_page_is_shown_without_thoughts_if_the_api_does_not_answer(
    visitor: Client, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.backends.thoughts.NEWEST_TIMEOUT", 0.05)
    arrived = Event()
    backend.answers[SEARCH] = lambda handler: arrived.set()  # no answer
    response = visitor.get("/login/")
    assert response.status_code == 200
    assert 'name="password"' in response.text
    assert arrived.wait(30)
    assert backend.calls() == [SEARCH]  # no retry


def test_title_isolates_the_direction_of_names_searches_and_thoughts(visitor: Client, backend: Backend) -> None:
    hebrew = "שלום"
    backend.answer(ONE, 200, thought(7, text=hebrew))
    for path in (f"/@{hebrew}", f"/search?search={hebrew}", "/thoughts/7"):
        title = visitor.get(path).text.partition("<title>")[2].partition("</title>")[0]
        assert f"\u2068{hebrew}\u2069" in title
        assert title.endswith(" · Thoughts")


@pytest.mark.parametrize("text", ["a\u2069b", "a\u2066b", "\u2067\u2069ab"])
def test_text_cannot_end_its_isolate_in_a_title(visitor: Client, backend: Backend, text: str) -> None:
    backend.answer(ONE, 200, thought(7, text=text))
    assert "<title>\u2068ab\u2069 · Thoughts</title>" in visitor.get("/thoughts/7").text


def test_failed_login_makes_no_other_call(visitor: Client, backend: Backend) -> None:
    backend.answer(LOGIN, 401, {"message": "m"})
    visitor.post("/login/", {"username": "bruce", "password": "x"})
    assert backend.calls() == [LOGIN]


def test_author_page_lists_the_thoughts_of_one_user(visitor: Client, backend: Backend) -> None:
    backend.answer(SEARCH, 200, [thought(9)], Link='</?username=bruce&after=9>; rel="next"')
    response = visitor.get("/@bruce", {"before": "20", "limit": "1000", "username": "admin"})
    assert response.status_code == 200
    assert "Thought 9" in response.text
    assert 'href="/@bruce?limit=1000&amp;username=admin&amp;after=9"' in response.text
    assert backend.received[0].query == {
        "username": ["bruce"], "limit": ["20"], "ordering": ["-id"], "before": ["20"]
    }  # fmt: skip


@pytest.mark.parametrize("name", ["ä.b@c+d-e_f", "ünï", "x" * 50])
def test_name_links_to_the_author_and_time_links_to_the_thought(visitor: Client, backend: Backend, name: str) -> None:
    backend.answer(SEARCH, 200, [thought(7, username=name)])
    backend.answer(ONE, 200, thought(7, username=name))
    page = visitor.get("/search").text
    address = re.search('class="author" href="([^"]*)"', page)
    assert address
    assert visitor.get(address[1]).status_code == 200
    assert backend.received[-1].query["username"] == [name]
    assert re.search('class="when"\\s+href="/thoughts/7"><time datetime="2026-01-02T03:04:05', page)
    assert address[0] in visitor.get("/thoughts/7").text


@pytest.mark.parametrize("name", ["", "a/b", "\x00"])
def test_page_with_an_odd_name_from_the_api_is_shown(visitor: Client, backend: Backend, name: str) -> None:
    backend.answer(SEARCH, 200, [thought(7, username=name)])
    backend.answer(ONE, 200, thought(7, username=name))
    assert visitor.get("/search").status_code == 200
    assert visitor.get("/thoughts/7").status_code == 200


def test_author_without_thoughts_has_an_empty_page(visitor: Client, backend: Backend) -> None:
    response = visitor.get("/@unknown")
    assert response.status_code == 200
    assert "There are no thoughts by" in response.text
    assert '<a href="/search">' in response.text


def test_name_longer_than_any_user_name_is_404(visitor: Client, backend: Backend) -> None:
    assert visitor.get("/@" + "x" * 51).status_code == 404
    assert backend.calls() == []


def test_failed_author_page_offers_a_retry(visitor: Client, backend: Backend) -> None:
    backend.answer(SEARCH, 503)
    response = visitor.get("/@bruce?after=7")
    assert response.status_code == 503
    assert '<a href="/@bruce?after=7">Try again</a>' in response.text


def test_page_of_a_thought(visitor: Client, backend: Backend) -> None:
    backend.answer(ONE, 200, thought(7, text="One <b> thought"))
    response = visitor.get("/thoughts/7")
    assert response.status_code == 200
    assert "One &lt;b&gt; thought" in response.text
    assert "<title>\u2068One &lt;b&gt; thought" in response.text
    assert "Delete" not in response.text
    assert 'aria-current="page"' not in response.text


@pytest.mark.parametrize(
    ("status", "body", "shown", "title"),
    [
        (404, {"message": "No."}, 404, "Not found"),
        (503, None, 503, "Temporarily unavailable"),
        (200, {}, 503, "Temporarily unavailable"),
        (200, [thought(7)], 503, "Temporarily unavailable"),
    ],
)
def test_missing_thought_is_an_error_page(
    visitor: Client, backend: Backend, status: int, body: Any, shown: int, title: str
) -> None:
    backend.answer(ONE, status, body)
    response = visitor.get("/thoughts/7")
    assert response.status_code == shown
    assert f"<h1>{title}</h1>" in response.text
    assert (">Try again</a>" in response.text) == (shown == 503)


def one_own_thought(backend: Backend) -> None:
    """Answer each list request with a thought by bruce and one by stephen."""
    for call in (SEARCH, MINE):
        backend.answer(call, 200, [thought(7), thought(6, username="stephen")])
    backend.answer(ONE, 200, thought(7))


@pytest.mark.parametrize("path", ["/thoughts/", "/search?search=t", "/@bruce", "/thoughts/7"])
def test_own_thoughts_can_be_deleted_wherever_they_appear(bruce: Client, backend: Backend, path: str) -> None:
    one_own_thought(backend)
    page = bruce.get(path).text
    assert re.findall('action="/thoughts/([0-9]+)/delete"', page) == ["7"]
    assert page.count('<details name="delete">') == 1  # browsers keep only one `details` of this name open
    after = "/@bruce" if path == "/thoughts/7" else path
    assert f'name="next" value="{after}"' in page


def test_staff_can_delete_every_thought(staff: Client, backend: Backend) -> None:
    one_own_thought(backend)
    assert re.findall('action="/thoughts/([0-9]+)/delete"', staff.get("/search").text) == ["7", "6"]
    backend.answer(DELETE, 404, {"message": "You have no thought with this id."})
    backend.answer(DELETE_ANY, 204)
    backend.received.clear()
    response = staff.post("/thoughts/7/delete", {"next": "/search"})
    assert response["Location"] == "/search"
    assert backend.calls() == [DELETE, DELETE_ANY]
    assert {each.headers["authorization"] for each in backend.received} == {staff.cookies[SESSION_COOKIE].value}


def test_refused_deletion_shows_the_reason(staff: Client, backend: Backend) -> None:
    backend.answer(DELETE, 404, {"message": "You have no thought with this id."})
    backend.answer(DELETE_ANY, 403, {"message": "You do not have permission."})
    response = staff.post("/thoughts/7/delete")
    assert response.status_code == 403
    assert "<h1>Not allowed</h1>" in response.text
    assert "<p>You do not have permission.</p>" in response.text
    assert f"<code>{response['X-Request-ID']}</code>" in response.text


def test_other_users_cannot_delete_a_thought(bruce: Client, backend: Backend) -> None:
    backend.answer(DELETE, 404, {"message": "You have no thought with this id."})
    assert bruce.post("/thoughts/7/delete").status_code == 404
    assert backend.calls() == [DELETE]


@pytest.mark.parametrize(
    ("place", "fragment"), [("n3", "#n3"), ("", ""), ("n1234", ""), ("x", ""), ("n1\r\nX: y", ""), ("n١", "")]
)
def test_deletion_returns_to_the_same_place(bruce: Client, backend: Backend, place: str, fragment: str) -> None:
    one_own_thought(backend)
    page = bruce.get("/search").text
    assert '<article class="thought" id="n1">' in page
    assert 'name="place" value="n1"' in page
    backend.answer(DELETE, 204)
    response = bruce.post("/thoughts/7/delete", {"next": "/search?after=9", "place": place})
    assert response["Location"] == f"/search?after=9{fragment}"


def test_anonymous_deletion_redirects_to_the_login_page_with_next(visitor: Client, backend: Backend) -> None:
    response = visitor.post("/thoughts/7/delete", {"next": "/@bruce"})
    assert response["Location"] == "/login/?next=%2F%40bruce"


@pytest.mark.parametrize(
    ("path", "call", "data"),
    [
        ("/thoughts/7/delete", DELETE, {"next": "/search?a=b", "place": "n3"}),
        ("/account/sessions/delete", ("DELETE", "/api/sessions/"), {}),
        ("/account/logout-everywhere", ("DELETE", "/api/sessions/"), {}),
    ],
)
@pytest.mark.parametrize("status", [503, 429])
def test_failed_form_can_be_sent_again(
    bruce: Client, backend: Backend, path: str, call: tuple[str, str], data: dict[str, str], status: int
) -> None:
    backend.answer(call, status)
    page = bruce.post(path, data | {"password": "secret"})
    assert page.status_code == status
    form = re.search(rf'<form action="{path}" method="post">(.*?)</form>', page.text, re.DOTALL)
    assert form
    assert "Try again" in form[1]
    fields = dict(re.findall('name="([^"]*)" value="([^"]*)"', form[1]))
    assert fields.pop("csrfmiddlewaretoken")
    assert fields == data
    assert "secret" not in page.text


def test_unexpected_error_keeps_the_typed_text(
    bruce: Client, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*args: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("web.backends.thoughts.create", fault)
    response = bruce.post("/thoughts/new", {"text": "Typed <with> care"})
    assert response.status_code == 500
    assert 'name="text" value="Typed &lt;with&gt; care"' in response.text
    assert "Try again" in response.text


@pytest.mark.parametrize("path", ["/thoughts/", "/search?search=x", "/@bruce", "/thoughts/7", "/account/"])
def test_page_with_a_temporary_error_has_a_try_again_link(bruce: Client, backends_unavailable: None, path: str) -> None:
    response = bruce.get(path)
    assert response.status_code == 503
    assert re.search(rf'href="{re.escape(path)}"[^>]*>Try again</a>', response.text)


def test_every_text_has_its_own_direction(bruce: Client, backend: Backend, settings: Settings) -> None:
    settings.SIGN_UP = "open"
    hebrew = "שלום עולם!"
    backend.answer(MINE, 200, [thought(text=hebrew)])
    page = bruce.get("/thoughts/").text
    assert f'<p class="text" dir="auto">{hebrew}</p>' in page
    for tag in re.findall(r"<textarea[^>]*>|<input[^>]*type=\"search\"[^>]*>", page):
        assert 'dir="auto"' in tag
    bruce.cookies.clear()
    for path in ("/login/", "/signup/"):
        field = re.search('<input[^>]*name="username"[^>]*>', bruce.get(path).text)
        assert field
        assert 'dir="auto"' in field[0]
    assert f"<bdi>{hebrew}</bdi>" in bruce.get("/search", {"search": hebrew}).text


@pytest.mark.parametrize(
    ("path", "data", "focused"),
    [
        ("/login/", {}, "username"),
        ("/login/", {"username": "bruce"}, "password"),
        ("/login/", {"username": "bruce", "password": "wrong"}, "password"),
        ("/login/", {"username": "x" * 51, "password": "y"}, "username"),
        ("/signup/", {"username": "grace", "password": ""}, "password"),
        ("/signup/", {"username": "", "password": "x"}, "username"),
        ("/account/password", {"old_password": "x", "new_password": ""}, "new_password"),
        ("/account/password", {}, "old_password"),
    ],
)
def test_first_field_with_an_error_has_the_focus(
    visitor: Client, backend: Backend, settings: Settings, path: str, data: dict[str, str], focused: str
) -> None:
    settings.SIGN_UP = "open"
    backend.answer(LOGIN, 401, {"message": "m"})
    if "account" in path:
        visitor.cookies[SESSION_COOKIE] = authorization()
    page = visitor.post(path, data).text
    assert re.findall('<(?:input|textarea)[^>]*name="([^"]*)"[^>]*autofocus', page) == [focused]


def test_field_with_an_api_error_has_the_focus(visitor: Client, backend: Backend, settings: Settings) -> None:
    settings.SIGN_UP = "open"
    errors = {"message": "m", "errors": {"password": ["Too common."]}}
    backend.answer(("POST", "/api/users/"), 400, errors)
    page = visitor.post("/signup/", {"username": "grace", "password": "x"}).text
    assert re.findall('<input[^>]*name="([^"]*)"[^>]*autofocus', page) == ["password"]


def test_new_login_form_has_the_focus(bruce: Client, backend: Backend) -> None:
    assert "autofocus" not in bruce.get("/account/").text
    bruce.cookies.clear()
    assert re.findall('<input[^>]*name="([^"]*)"[^>]*autofocus', bruce.get("/login/").text) == ["username"]


@pytest.mark.parametrize("name", ["katharina", "w" * 50])
def test_header_has_a_menu_for_the_account(visitor: Client, backend: Backend, name: str) -> None:
    visitor.cookies[SESSION_COOKIE] = authorization(name)
    menu = re.search('<details class="menu">.*?</details>', visitor.get("/search").text, re.DOTALL)
    assert menu
    assert f"<bdi>{name}</bdi>" in menu[0]
    assert re.findall('(?:href|action)="([^"]*)"', menu[0]) == [f"/@{name}", "/account/", "/logout/"]


def test_footer_links_to_the_apis(visitor: Client, backend: Backend, settings: Settings) -> None:
    page = visitor.get("/search").text
    assert '<a href="https://thoughts.example">Thoughts API</a>' in page
    assert '<a href="https://users.example">Users API</a>' in page
    settings.THOUGHTS_PUBLIC_URL = settings.USERS_PUBLIC_URL = ""
    assert "For developers" not in visitor.get("/search").text


def test_only_staff_users_see_a_link_to_the_admin(visitor: Client, backend: Backend, settings: Settings) -> None:
    link = '<a href="https://admin.example/admin/">Admin</a>'
    visitor.cookies[SESSION_COOKIE] = authorization("bruce")
    assert link not in visitor.get("/search").text
    visitor.cookies[SESSION_COOKIE] = authorization("admin", is_staff=True)
    assert link in visitor.get("/search").text
    settings.ADMIN_PUBLIC_URL = ""
    assert ">Admin<" not in visitor.get("/search").text
