import pytest
from rest_framework.test import APIClient

from notes_api.pagination import NotePagination

pytestmark = pytest.mark.django_db

URL = "/api/notes/"


def test_user_creates_changes_and_deletes_a_note(bruce: APIClient) -> None:
    written = bruce.post(URL, {"text": "Buy tea."})
    assert written.status_code == 201
    assert list(written.json()) == ["id", "username", "text", "creation"]
    assert (written.json()["username"], written.json()["text"]) == ("bruce", "Buy tea.")
    assert bruce.get(URL).json()["results"] == [written.json()]

    one = f"{URL}{written.json()['id']}/"
    assert bruce.patch(one, {"text": "Buy coffee."}).json() == written.json() | {"text": "Buy coffee."}
    assert bruce.delete(one).status_code == 204
    assert bruce.get(one).status_code == 404


def test_notes_of_other_users_are_not_found(bruce: APIClient, stephen: APIClient) -> None:
    one = f"{URL}{bruce.post(URL, {'text': 'Buy tea.', 'username': 'stephen'}).json()['id']}/"
    assert stephen.get(URL).json()["results"] == []
    assert stephen.get(one).status_code == 404
    assert stephen.patch(one, {"text": "Buy coffee."}).status_code == 404
    assert stephen.delete(one).status_code == 404
    assert bruce.get(one).json()["text"] == "Buy tea."


def test_list_is_paginated_with_the_newest_first(bruce: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NotePagination, "page_size", 2)
    for text in ("one", "two", "three"):
        bruce.post(URL, {"text": text})
    first = bruce.get(URL).json()
    second = bruce.get(first["next"]).json()
    assert [each["text"] for each in first["results"] + second["results"]] == ["three", "two", "one"]
    assert (first["previous"], second["next"]) == (None, None)
    assert bruce.get(URL, {"cursor": "cD1ub25l"}).status_code == 404  # the cursor "p=none", in Base64


@pytest.mark.parametrize("text", ["", "  ", "x" * 251, "a\x00b", None])
def test_invalid_text_is_refused_with_the_reason(bruce: APIClient, text: str | None) -> None:
    response = bruce.post(URL, {"text": text}, format="json")
    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["text"]
    assert bruce.get(URL).json()["results"] == []


def test_responses_are_not_cached(bruce: APIClient, anonymous: APIClient) -> None:
    created = bruce.post(URL, {"text": "Buy tea."})
    one = f"{URL}{created.json()['id']}/"
    for response in (created, bruce.get(URL), bruce.get(one), anonymous.get(URL)):
        assert set(response["Cache-Control"].split(", ")) == {"private", "no-store"}
        assert "ETag" not in response


@pytest.mark.parametrize("method", ["get", "post"])
def test_request_without_a_token_is_refused(anonymous: APIClient, method: str) -> None:
    response = getattr(anonymous, method)(URL)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert list(response.json()) == ["message"]
