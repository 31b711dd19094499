"""Test caching (RFC 9111) and conditional requests (RFC 9110, section 13)."""

import pytest
from rest_framework.test import APIClient

from thoughts_api.models import Thought

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/api/thoughts/", "/api/thoughts/?search=tea", "/api/thoughts/1/"])
def test_unchanged_public_response_is_304(anonymous: APIClient, path: str) -> None:
    Thought.objects.create(id=1, username="bruce", text="Tea first.")
    first = anonymous.get(path)
    assert set(first["Cache-Control"].split(", ")) == {"public", "no-cache"}

    again = anonymous.get(path, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again["ETag"] == first["ETag"]

    Thought.objects.get().delete()
    Thought.objects.create(id=1, username="bruce", text="Tea second.")
    changed = anonymous.get(path, headers={"If-None-Match": first["ETag"]})
    assert changed.status_code == 200
    assert changed["ETag"] != first["ETag"]


def test_etag_changes_when_a_link_to_a_next_page_is_added(anonymous: APIClient) -> None:
    Thought.objects.create(username="bruce", text="Tea first.")
    first = anonymous.get("/api/thoughts/?limit=1")
    Thought.objects.create(username="bruce", text="Tea second.")
    changed = anonymous.get("/api/thoughts/?limit=1", headers={"If-None-Match": first["ETag"]})
    # The body is unchanged, but the Link header is new.
    assert (changed.status_code, changed.content) == (200, first.content)
    again = anonymous.get("/api/thoughts/?limit=1", headers={"If-None-Match": changed["ETag"]})
    assert again.status_code == 304


def test_private_responses_are_not_cached(bruce: APIClient, anonymous: APIClient) -> None:
    written = bruce.post("/api/me/thoughts/", {"text": "Mine."})
    own = bruce.get("/api/me/thoughts/")
    refused = anonymous.get("/api/me/thoughts/")
    deleted = bruce.delete(f"/api/me/thoughts/{written.json()['id']}/")
    for response in (written, own, refused, deleted):
        assert set(response["Cache-Control"].split(", ")) == {"private", "no-store"}
        assert "ETag" not in response
