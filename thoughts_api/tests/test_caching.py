"""What may be stored, by whom, and what is sent again: RFC 9111 and RFC 9110, section 13."""

import pytest
from rest_framework.test import APIClient

from thoughts_api.models import Thought

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/api/thoughts/", "/api/thoughts/?search=tea", "/api/thoughts/1/"])
def test_what_is_public_is_sent_again_only_when_it_has_changed(anyone: APIClient, path: str) -> None:
    Thought.objects.create(id=1, username="bruce", text="Tea first.")
    first = anyone.get(path)
    assert set(first["Cache-Control"].split(", ")) == {"public", "no-cache"}

    again = anyone.get(path, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again["ETag"] == first["ETag"]

    Thought.objects.get().delete()
    Thought.objects.create(id=1, username="bruce", text="Tea second.")
    changed = anyone.get(path, headers={"If-None-Match": first["ETag"]})
    assert changed.status_code == 200
    assert changed["ETag"] != first["ETag"]


def test_a_page_has_changed_when_there_is_one_after_it(anyone: APIClient) -> None:
    Thought.objects.create(username="bruce", text="Tea first.")
    first = anyone.get("/api/thoughts/?limit=1")
    Thought.objects.create(username="bruce", text="Tea second.")
    changed = anyone.get("/api/thoughts/?limit=1", headers={"If-None-Match": first["ETag"]})
    assert (changed.status_code, changed.content) == (200, first.content)
    again = anyone.get("/api/thoughts/?limit=1", headers={"If-None-Match": changed["ETag"]})
    assert again.status_code == 304


def test_what_is_ones_own_is_never_stored(bruce: APIClient, anyone: APIClient) -> None:
    written = bruce.post("/api/me/thoughts/", {"text": "Mine."})
    own = bruce.get("/api/me/thoughts/")
    refused = anyone.get("/api/me/thoughts/")
    deleted = bruce.delete(f"/api/me/thoughts/{written.json()['id']}/")
    for response in (written, own, refused, deleted):
        assert set(response["Cache-Control"].split(", ")) == {"private", "no-store"}
        assert "ETag" not in response
