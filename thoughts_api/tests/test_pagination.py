"""Test keyset pagination and its Link header (RFC 8288)."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from common.folding import fold
from thoughts_api.models import Thought
from thoughts_api.selection import MAX_ID

pytestmark = pytest.mark.django_db


def write(count: int, text: str = "Thought") -> list[int]:
    """Create `count` thoughts by bruce, and return the ids of all thoughts."""
    texts = [f"{text} {number}" for number in range(count)]
    Thought.objects.bulk_create(Thought(username="bruce", text=text, folded=fold(text)) for text in texts)
    return list(Thought.objects.order_by("id").values_list("id", flat=True))


def ids(response: Any) -> list[int]:
    assert response.status_code == 200, response.content
    return [thought["id"] for thought in response.json()]


def links(response: Any) -> dict[str, str]:
    """Return the URLs in the Link header as a dict, by relation (`next` or `prev`)."""
    return {rel: url for url, rel in re.findall(r'<([^>]*)>; rel="([^"]*)"', response.headers.get("Link", ""))}


@pytest.mark.parametrize("path", ["/api/thoughts/", "/api/me/thoughts/"])
def test_page_has_100_thoughts_by_default(bruce: APIClient, path: str) -> None:
    all_ids = write(101)
    assert ids(bruce.get(path)) == all_ids[:100]
    assert ids(bruce.get(f"{path}?limit=1")) == all_ids[:1]
    assert ids(bruce.get(f"{path}?limit=101")) == all_ids


def test_page_has_at_most_1000_thoughts(anonymous: APIClient) -> None:
    all_ids = write(1001)
    assert ids(anonymous.get("/api/thoughts/?limit=1000")) == all_ids[:1000]
    assert anonymous.get("/api/thoughts/?limit=1001").status_code == 400


def test_single_page_has_no_link(anonymous: APIClient) -> None:
    assert "Link" not in anonymous.get("/api/thoughts/")
    write(100)
    assert "Link" not in anonymous.get("/api/thoughts/")
    assert "Link" not in anonymous.get("/api/thoughts/?ordering=-id")


def test_first_page_links_only_to_next_and_last_page_only_to_prev(anonymous: APIClient) -> None:
    all_ids = write(5)
    first = anonymous.get("/api/thoughts/?limit=2")
    assert set(links(first)) == {"next"}
    second = anonymous.get(links(first)["next"])
    assert ids(second) == all_ids[2:4]
    assert set(links(second)) == {"next", "prev"}
    last = anonymous.get(links(second)["next"])
    assert ids(last) == all_ids[4:]
    assert set(links(last)) == {"prev"}


@pytest.mark.parametrize("ordering", ["id", "-id"])
def test_prev_links_return_the_same_pages(anonymous: APIClient, ordering: str) -> None:
    all_ids = write(7)
    expected = all_ids if ordering == "id" else all_ids[::-1]
    response = anonymous.get(f"/api/thoughts/?limit=3&ordering={ordering}")
    assert ids(response) == expected[:3]
    response = anonymous.get(links(response)["next"])
    assert ids(response) == expected[3:6]
    response = anonymous.get(links(response)["next"])
    assert ids(response) == expected[6:]
    response = anonymous.get(links(response)["prev"])
    assert ids(response) == expected[3:6]
    response = anonymous.get(links(response)["prev"])
    assert ids(response) == expected[:3]
    assert set(links(response)) == {"next"}


def test_full_last_page_has_no_next_link(anonymous: APIClient) -> None:
    write(4)
    response = anonymous.get("/api/thoughts/?limit=2")
    response = anonymous.get(links(response)["next"])
    assert set(links(response)) == {"prev"}
    response = anonymous.get(links(response)["prev"])
    assert set(links(response)) == {"next"}


def test_link_is_absolute_and_keeps_other_parameters(anonymous: APIClient) -> None:
    write(3, "50 % & <tea> ä,;\"'")
    query = {"search": "% & <TEA> A,;\"'", "limit": "1", "ordering": "-id", "unknown": "kept"}
    response = anonymous.get("/api/thoughts", query)
    response = anonymous.get(links(response)["next"])
    assert set(links(response)) == {"next", "prev"}
    for rel, name in [("next", "after"), ("prev", "before")]:
        url = urlsplit(links(response)[rel])
        assert (url.scheme, url.netloc, url.path) == ("http", "testserver", "/api/thoughts")
        parameters = parse_qs(url.query, strict_parsing=True)
        assert parameters == {**{key: [value] for key, value in query.items()}, name: [str(ids(response)[0])]}


def test_every_page_of_my_list_has_only_my_thoughts(bruce: APIClient) -> None:
    own = write(3)
    Thought.objects.create(username="stephen", text="Not bruce's")
    response = bruce.get("/api/me/thoughts/?limit=2")
    assert "/api/me/thoughts/?" in links(response)["next"]
    response = bruce.get(links(response)["next"])
    assert ids(response) == own[2:]
    assert set(links(response)) == {"prev"}


def test_search_results_have_pages(anonymous: APIClient) -> None:
    write(3, "Tea")
    write(3, "Coffee")
    coffee = list(Thought.objects.filter(text__startswith="Coffee").order_by("id").values_list("id", flat=True))
    response = anonymous.get("/api/thoughts/?search=coffee&limit=2")
    assert ids(response) == coffee[:2]
    response = anonymous.get(links(response)["next"])
    assert ids(response) == coffee[2:]
    assert set(links(response)) == {"prev"}


@pytest.mark.parametrize("ordering", ["id", "-id"])
def test_next_page_starts_after_a_deleted_thought(anonymous: APIClient, ordering: str) -> None:
    all_ids = write(6)
    expected = all_ids if ordering == "id" else all_ids[::-1]
    response = anonymous.get(f"/api/thoughts/?limit=2&ordering={ordering}")
    Thought.objects.filter(id__in=expected[1:3]).delete()
    assert ids(anonymous.get(links(response)["next"])) == expected[3:5]


@pytest.mark.parametrize("ordering", ["id", "-id"])
def test_empty_page_links_back(anonymous: APIClient, ordering: str) -> None:
    all_ids = write(4)
    expected = all_ids if ordering == "id" else all_ids[::-1]
    for name, edge, rel, page in [
        ("after", expected[-1], "prev", expected[2:]),
        ("before", expected[0], "next", expected[:2]),
    ]:
        response = anonymous.get(f"/api/thoughts/?limit=2&ordering={ordering}&{name}={edge}")
        assert ids(response) == []
        assert set(links(response)) == {rel}
        # The linked page includes the thought whose id the request gave as `after` or `before`.
        assert ids(anonymous.get(links(response)[rel])) == page


@pytest.mark.parametrize("ordering", ["id", "-id"])
@pytest.mark.parametrize("name", ["after", "before"])
@pytest.mark.parametrize("id", [0, MAX_ID])
def test_links_at_the_lowest_and_highest_id_work(anonymous: APIClient, ordering: str, name: str, id: int) -> None:
    write(2)
    response = anonymous.get(f"/api/thoughts/?ordering={ordering}&{name}={id}")
    assert response.status_code == 200
    for url in links(response).values():
        assert anonymous.get(url).status_code == 200


def test_link_is_https_behind_tls(anonymous: APIClient, settings: Settings) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    write(2)
    response = anonymous.get("/api/thoughts/?limit=1", headers={"X-Forwarded-Proto": "https", "Host": "localhost"})
    assert links(response)["next"].startswith("https://localhost/")


def test_head_has_the_links_of_get(anonymous: APIClient) -> None:
    write(2)
    assert anonymous.head("/api/thoughts/?limit=1")["Link"] == anonymous.get("/api/thoughts/?limit=1")["Link"]


@pytest.mark.parametrize("path", ["/api/thoughts/", "/api/me/thoughts/"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("limit", value)
            for value in ("0", "-1", "1001", "", "ten", "1.5", "1.0", "1e2", "1_0", "%201", "01", "NaN")
        ),
        *(("limit", value) for value in ("%D9%A1", "%00", "9" * 5000)),
        *(
            (name, value)
            for name in ("after", "before")
            for value in ("-1", "", "x", "1.5", "0.0", "%00", str(MAX_ID + 1), "9" * 30, "9" * 5000)
        ),
        *(("ordering", value) for value in ("", "ID", "text", "-text", "--id", "id,-id", "%00", "%F0%9F%98%80")),
    ],
)
def test_error_names_an_invalid_parameter(bruce: APIClient, path: str, name: str, value: str) -> None:
    response = bruce.get(f"{path}?{name}={value}")
    assert response.status_code == 400
    assert list(response.json()) == ["message", "errors"]
    assert list(response.json()["errors"]) == [name]


@pytest.mark.parametrize("name", ["limit", "after", "before"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_number_with_a_million_digits_is_refused(anonymous: APIClient, name: str, sign: str) -> None:
    response = anonymous.get("/api/thoughts/", {name: sign + "9" * 1_000_000})
    assert response.status_code == 400
    assert response.json()["errors"] == {name: ["String value too large."]}


def test_error_names_every_invalid_parameter(anonymous: APIClient) -> None:
    response = anonymous.get("/api/thoughts/?limit=0&after=x&before=y&ordering=z")
    assert set(response.json()["errors"]) == {"limit", "after", "before", "ordering"}


@pytest.mark.parametrize("query", ["limit=1&limit=2", "after=0&after=0", "before=9&before=", "ordering=id&ordering=id"])
@pytest.mark.parametrize("path", ["/api/thoughts/", "/api/me/thoughts/"])
def test_error_names_a_repeated_parameter(bruce: APIClient, path: str, query: str) -> None:
    response = bruce.get(f"{path}?{query}")
    assert response.status_code == 400
    assert response.json()["errors"] == {query.partition("=")[0]: ["Give this parameter only once."]}


def test_repeated_search_parameter_is_refused(anonymous: APIClient) -> None:
    response = anonymous.get("/api/thoughts/?search=a&search=b")
    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["search"]


@pytest.mark.parametrize("ordering", ["id", "-id"])
def test_links_stay_within_after_and_before(anonymous: APIClient, ordering: str) -> None:
    all_ids = write(10)
    if ordering == "-id":
        all_ids.reverse()
    between = f"/api/thoughts/?ordering={ordering}&after={all_ids[1]}&before={all_ids[8]}"
    assert ids(anonymous.get(between)) == all_ids[2:8]
    assert links(anonymous.get(between)) == {}

    response = anonymous.get(f"{between}&limit=4")
    assert ids(response) == all_ids[2:6]
    assert list(links(response)) == ["next"]
    response = anonymous.get(links(response)["next"])
    assert ids(response) == all_ids[6:8]
    assert links(response) == {}
