"""Test the lists of the user's own thoughts, and the search of all thoughts."""

import re
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from pytest_django import Settings

from web.tests.conftest import CREATE, MINE, SEARCH, SESSION_COOKIE, Backend, thought

DELETE = ("DELETE", "/api/me/thoughts/7/")


def notices(response: Any) -> str:
    """Return the text of all notices on a page, without markup."""
    found = re.findall(r'<(?:div|p) class="notice[^>]*>(.*?)(?:</div>|</p>\s*(?=<))', response.text, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>|\s+", " ", part) for part in found)


@pytest.mark.parametrize("path", ["/", "/thoughts", "/thoughts/"])
def test_own_thoughts_are_listed_below_the_form(bruce: Client, backend: Backend, path: str) -> None:
    backend.answer(MINE, 200, [thought(9, text="Newest <b>"), thought(7, text="Oldest")])
    response = bruce.get(path)
    assert response.status_code == 200
    assert response.text.index("<textarea") < response.text.index("Newest &lt;b&gt;") < response.text.index("Oldest")
    assert 'action="/thoughts/9/delete"' in response.text
    assert '<time datetime="2026-01-02T03:04:05+00:00">2 Jan 2026, 03:04 UTC</time>' in response.text


@pytest.mark.parametrize("path", ["/", "/thoughts", "/thoughts/", "/thoughts/?before=5&x=%C3%A4"])
def test_anonymous_user_gets_a_login_form_that_returns_to_the_page(
    visitor: Client, backend: Backend, path: str
) -> None:
    response = visitor.get(path)
    assert response.status_code == 302
    page = visitor.get(response["Location"])
    assert f'name="next" value="{path}"' in page.text.replace("&amp;", "&")


def test_empty_list_shows_a_message(bruce: Client, backend: Backend) -> None:
    assert "You have not written anything yet" in bruce.get("/thoughts/").text


def test_page_links_keep_the_search(bruce: Client, backend: Backend) -> None:
    backend.answer(SEARCH, 200, [thought(5)], Link='</?after=5>; rel="next", </?before=9>; rel="prev"')
    page = bruce.get("/search", {"search": "100% &<"}).text
    assert 'href="/search?search=100%25+%26%3C&amp;after=5"' in page
    assert 'href="/search?search=100%25+%26%3C&amp;before=9"' in page
    backend.answer(MINE, 200, [thought(5)], Link='</?after=5>; rel="next"')
    for page in (bruce.get("/thoughts/?before=2").text, bruce.post("/thoughts/new", {"text": ""}).text):
        assert 'href="/thoughts/?after=5"' in page
        assert 'rel="prev"' not in page


def test_only_page_parameters_are_passed_on(bruce: Client, backend: Backend) -> None:
    bruce.get("/thoughts/?after=7&limit=1000&ordering=id&search=x")
    bruce.get("/search?search=x&before=7&limit=1000")
    assert backend.received[0].query == {"limit": ["20"], "ordering": ["-id"], "after": ["7"]}
    assert backend.received[1].query == {"limit": ["20"], "ordering": ["-id"], "search": ["x"], "before": ["7"]}


def test_invalid_page_parameter_is_400(bruce: Client, backend: Backend) -> None:
    wrong = {"message": "after: A valid integer is required.", "errors": {"after": ["A valid integer is required."]}}
    backend.answer(MINE, 400, wrong)
    backend.answer(SEARCH, 400, wrong)
    for path in ("/thoughts/?after=01", "/search?after=01"):
        response = bruce.get(path)
        assert response.status_code == 400
        assert "A valid integer is required" in notices(response)
        assert "<nav" in response.text


@pytest.mark.parametrize("value", ["abc", "-1", "1.0", " 1", "١", "0x1"])
@pytest.mark.parametrize("path", ["/thoughts/", "/search", "/@bruce"])
def test_page_parameter_that_is_not_a_number_is_400(bruce: Client, backend: Backend, path: str, value: str) -> None:
    response = bruce.get(path, {"after": value})
    assert response.status_code == 400
    assert "The address of this page is not valid." in notices(response)
    assert backend.calls() == []


def test_thought_is_stored_and_the_user_returns_to_the_list(bruce: Client, backend: Backend) -> None:
    response = bruce.post("/thoughts/new", {"text": "  Ümlaut 🎉 100% <b>\r\nsecond line "})
    assert (response.status_code, response["Location"]) == (302, "/thoughts/")
    (received,) = backend.received
    assert received.body == {"text": "Ümlaut 🎉 100% <b>\nsecond line"}
    assert received.headers["authorization"] == bruce.cookies[SESSION_COOKIE].value
    assert "Posted." in bruce.get("/thoughts/").text
    assert "Posted." not in bruce.get("/thoughts/").text


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "Write something first"), (" \n ", "Write something first"), ("x" * 251, "251 characters"),
     ("🎉" * 251, "251 characters")],
)  # fmt: skip
def test_invalid_thought_is_shown_again_with_the_error(bruce: Client, backend: Backend, text: str, why: str) -> None:
    response = bruce.post("/thoughts/new", {"text": text})
    assert response.status_code == 400
    assert why in notices(response)
    assert text in response.text
    assert CREATE not in backend.calls()


def test_each_line_break_counts_as_one_character(bruce: Client, backend: Backend) -> None:
    assert bruce.post("/thoughts/new", {"text": "\r\n".join("x" * 125) + "y"}).status_code == 302


@pytest.mark.parametrize(
    ("status", "body", "why", "shown", "kind"),
    [
        (400, {"message": "m", "errors": {"text": ["Not this word."]}}, "Not this word.", 400, "error"),
        (400, {"message": "Not at all.", "errors": {}}, "Not at all.", 400, "error"),
        (400, {"message": "m", "errors": {"other": ["Odd."]}}, "Odd.", 400, "error"),
        (401, {"message": "The token has expired."}, "Please log in", 401, "login"),
        (429, {"message": "Too fast."}, "You are posting too fast. Try again in 7 seconds.", 429, "slow"),
        (429, b"<html>", "You are posting too fast. Try again in 7 seconds.", 429, "slow"),
        (503, {"message": "Unavailable."}, "The thoughts service is temporarily unavailable", 503, "unavailable"),
        (500, b"<html>", "The thoughts service is temporarily unavailable", 503, "unavailable"),
    ],
)
def test_every_failure_keeps_the_typed_text_and_shows_the_reason(
    bruce: Client, backend: Backend, status: int, body: Any, why: str, shown: int, kind: str
) -> None:
    backend.answer(CREATE, status, body, Retry_After="7")
    response = bruce.post("/thoughts/new", {"text": "Typed <with> care"})
    assert response.status_code == shown
    assert why in notices(response)
    assert re.findall(r'class="notice (\w+)"', response.text) == [kind]
    assert "Typed &lt;with&gt; care</textarea>" in response.text
    assert "<nav" in response.text
    assert response.get("Retry-After") == ("7" if shown == 429 else None)


@pytest.mark.parametrize(
    ("seconds", "duration"),
    [(1, "1 second"), (90, "90 seconds"), (91, "2 minutes"), (5400, "90 minutes"), (5401, "2 hours"),
     (86_400, "24 hours")],
)  # fmt: skip
def test_posting_limit_shows_the_time_to_wait(bruce: Client, backend: Backend, seconds: int, duration: str) -> None:
    backend.answer(CREATE, 429, {"message": "Too many thoughts."}, Retry_After=str(seconds))
    response = bruce.post("/thoughts/new", {"text": "Typed with care"})
    assert f"You are posting too fast. Try again in {duration}." in notices(response)
    assert response["Retry-After"] == str(seconds)


def test_rate_limit_error_of_the_list_does_not_mention_posting(bruce: Client, backend: Backend) -> None:
    backend.answer(MINE, 429, b"<html>", Retry_After="7")
    assert "Too many attempts. Try again in 7 seconds." in notices(bruce.get("/thoughts/"))
    assert "posting" not in notices(bruce.get("/thoughts/"))


def test_typed_text_is_kept_while_the_apis_are_unavailable(bruce: Client, backends_unavailable: None) -> None:
    response = bruce.post("/thoughts/new", {"text": "Typed with care"})
    assert response.status_code == 503
    assert "Typed with care</textarea>" in response.text


def test_unanswered_post_asks_the_user_to_check_before_retrying(
    bruce: Client, backend: Backend, settings: Settings
) -> None:
    settings.BACKEND_READ_TIMEOUT = 0.2
    backend.answers[CREATE] = lambda handler: time.sleep(0.5)
    response = bruce.post("/thoughts/new", {"text": "Typed with care"})
    assert response.status_code == 503
    assert "Your thought may have been saved. Check your thoughts before you retry." in notices(response)
    assert "Typed with care</textarea>" in response.text


def test_field_with_an_error_refers_to_the_error_and_has_the_focus(bruce: Client, backend: Backend) -> None:
    field = re.search("<textarea[^>]*>", bruce.post("/thoughts/new", {"text": ""}).text)
    assert field
    assert 'aria-describedby="id_text_helptext id_text_error"' in field[0]
    assert "autofocus" in field[0]
    assert "autofocus" not in bruce.get("/thoughts/").text


def test_two_errors_of_a_field_share_one_description(bruce: Client, backend: Backend) -> None:
    errors = {"text": ["Too old.", "Too new."]}
    backend.answers[CREATE] = (400, {"message": "The input is not valid.", "errors": errors})
    text = bruce.post("/thoughts/new", {"text": "a"}).text
    described = text.partition('<div id="id_text_error">')[2].partition("</div>")[0]
    assert "Too old." in described
    assert "Too new." in described
    assert text.count("_error") == text.count("id_text_error") == 2


def test_expired_session_keeps_the_typed_thought(visitor: Client, backend: Backend) -> None:
    response = visitor.post("/thoughts/new", {"text": "Typed with care"})
    assert response.status_code == 401
    assert "Typed with care</textarea>" in response.text
    assert "Log in in a new tab" in response.text
    assert backend.calls() == []


def test_form_is_shown_even_if_the_list_is_unavailable(bruce: Client, backend: Backend) -> None:
    backend.answer(MINE, 503)
    response = bruce.get("/thoughts/")
    assert response.status_code == 503
    assert "The thoughts service is temporarily unavailable" in notices(response)
    assert "<textarea" in response.text


def test_get_request_to_the_form_url_redirects_to_the_list(bruce: Client) -> None:
    assert bruce.get("/thoughts/new")["Location"] == "/thoughts/"


def test_thought_is_deleted_and_the_user_returns_to_the_list(bruce: Client, backend: Backend) -> None:
    backend.answer(DELETE, 204)
    response = bruce.post("/thoughts/7/delete")
    assert (response.status_code, response["Location"]) == (302, "/thoughts/")
    assert backend.calls() == [DELETE]
    assert "Deleted." in bruce.get("/thoughts/").text


def test_deletion_redirects_to_the_same_page_of_the_list(bruce: Client, backend: Backend) -> None:
    backend.answer(DELETE, 204)
    backend.answer(MINE, 200, [thought(7)])
    assert 'name="next" value="/thoughts/?after=9"' in bruce.get("/thoughts/?after=9").text
    assert bruce.post("/thoughts/7/delete", {"next": "/thoughts/?after=9"})["Location"] == "/thoughts/?after=9"
    assert bruce.post("/thoughts/7/delete", {"next": "//elsewhere/"})["Location"] == "/thoughts/"


@pytest.mark.parametrize(
    ("status", "body", "shown", "title"),
    [(404, {"message": "No."}, 404, "Not found"), (503, None, 503, "Temporarily unavailable"),
     (429, None, 429, "Please wait")],
)  # fmt: skip
def test_failed_deletion_shows_an_error_page(
    bruce: Client, backend: Backend, status: int, body: Any, shown: int, title: str
) -> None:
    backend.answer(DELETE, status, body)
    response = bruce.post("/thoughts/7/delete")
    assert response.status_code == shown
    assert f"<h1>{title}</h1>" in response.text
    assert "<nav" in response.text
    # A link could only send a GET request, which deletes nothing.
    assert ">Try again</a>" not in response.text


def test_anonymous_deletion_redirects_to_the_login(visitor: Client, backend: Backend) -> None:
    response = visitor.post("/thoughts/7/delete")
    assert response["Location"] == "/login/?next=%2Fthoughts%2F"
    assert backend.calls() == []
    assert "Nothing was changed." in notices(visitor.get(response["Location"]))


def test_search_marks_matches_and_names_the_author(visitor: Client, backend: Backend) -> None:
    backend.answer(SEARCH, 200, [thought(3, username="<i>", text="Ein Café & <b>")])
    page = visitor.get("/search", {"search": "CAFE"}).text
    assert "Ein <mark>Café</mark> &amp; &lt;b&gt;" in page
    assert "&lt;i&gt;" in page
    assert 'value="CAFE"' in page
    assert "Delete" not in page


def test_search_without_results_shows_a_message(visitor: Client, backend: Backend) -> None:
    assert "No thoughts found" in visitor.get("/search?search=x").text
    assert "No thoughts yet" in visitor.get("/search").text


@pytest.mark.parametrize("text", ['"><script>', "%", "  ", "ä" * 1000, "\u202e", "'"])
def test_search_text_is_sent_unchanged_and_escaped_on_the_page(visitor: Client, backend: Backend, text: str) -> None:
    response = visitor.get("/search", {"search": text})
    assert response.status_code == 200
    assert backend.received[0].query["search"] == [text]
    assert "<script>" not in response.text.replace('<script src="', "")


@pytest.mark.parametrize("text", ["x" * 1001, "x" * 500_000, "a" + "\u0301" * 20_000 + "\u0323" * 20_000])
def test_search_of_more_than_1000_characters_shows_an_error_and_keeps_the_text(
    visitor: Client, backend: Backend, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("web.templatetags.thoughts.fold", None)
    response = visitor.get("/search", {"search": text})
    assert response.status_code == 400
    assert "A search can have up to 1000 characters. Change it and try again." in notices(response)
    assert f'value="{text}"' in response.text
    assert backend.calls() == []


@pytest.mark.parametrize("name", ["after", "before"])
@pytest.mark.parametrize("path", ["/thoughts/", "/search"])
def test_page_parameter_longer_than_an_id_is_400(bruce: Client, backend: Backend, path: str, name: str) -> None:
    response = bruce.get(path, {name: "9" * 1_000_000})
    assert response.status_code == 400
    assert "The address of this page is not valid." in notices(response)
    assert backend.calls() == []
    assert bruce.get(path, {name: str(2**63 - 1)}).status_code == 200


def test_typed_text_is_kept_at_any_length(bruce: Client, backend: Backend) -> None:
    for text in ("x" * 60_000, "a" + "\u0301" * 2000 + "\u0323" * 2000, "\r\n" * 100 + "x" * 10_000):
        body = urlencode({"text": text})
        response = bruce.post("/thoughts/new", body, content_type="application/x-www-form-urlencoded")
        assert response.status_code == 400
        assert "characters long. Shorten it to 250." in notices(response)
        assert f"{text.strip()}</textarea>" in response.text.replace("\r\n", "\n").replace("\n", "\r\n")
    assert CREATE not in backend.calls()


def test_search_too_long_for_a_url_shows_an_error(visitor: Client, backend: Backend) -> None:
    backend.answer(SEARCH, 414, b"<html>")
    response = visitor.get("/search", {"search": "'" * 1000})
    assert response.status_code == 400
    assert "The text is too long. Change it" in notices(response)


def test_failed_search_keeps_the_typed_text(visitor: Client, backends_unavailable: None) -> None:
    response = visitor.get("/search?search=tea")
    assert response.status_code == 503
    assert "The thoughts service is temporarily unavailable" in notices(response)
    assert 'value="tea"' in response.text
    assert "<nav" in response.text
