"""Calls to thoughts_api.

`authorization` is the value of the Authorization header. `page` is a dict of the query parameters that select a page.
For the first page, the dict is empty. A `Page` contains the query parameters of the next and the previous page.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings

from common.operations.slots import Slots
from web.backends import http
from web.backends.exceptions import Busy, TooManyRequests, TooManyThoughts

SERVICE = "thoughts-api"
LIMIT = 20  # thoughts on a page
NEWEST_LIMIT = 5  # thoughts on the login page
NEWEST_TIMEOUT = 1.0  # seconds; after this time, the login page is shown without thoughts

slots = Slots(settings.THREADS)  # a search may take seconds


@dataclass(frozen=True)
class Thought:
    """A thought, as thoughts_api returns it."""

    id: int
    username: str
    text: str
    timestamp: datetime

    @property
    def time(self) -> str:
        """Return the timestamp as a page shows it.

        Django's `date` filter would take ten times as long.
        """
        return f"{self.timestamp.day} {self.timestamp:%b %Y, %H:%M} UTC"


@dataclass(frozen=True)
class Page:
    """A page of thoughts.

    `previous` and `next` are the query parameters that select the previous and the next page. They are None if there is
    no such page.
    """

    thoughts: list[Thought]
    previous: dict[str, str] | None
    next: dict[str, str] | None


def search(text: str, page: dict[str, str]) -> Page:
    """Return a page of the thoughts whose text contains `text`, newest first.

    An empty text matches all thoughts, so the API lists them without a slow search. Raise `Busy` if too many searches
    are running.
    """
    if not text:
        return _page("/api/thoughts/", page)
    with slots.hold(Busy(SERVICE, "searching")):
        return _page("/api/thoughts/", {"search": text, **page})


def newest() -> list[Thought]:
    """Return the newest thoughts of all users, for the login page."""
    return _page("/api/thoughts/", {"limit": str(NEWEST_LIMIT)}, read_timeout=NEWEST_TIMEOUT).thoughts


def check(timeout: float) -> None:
    """Raise a `BackendError` if the API returns no list within `timeout` seconds.

    The API reads the list from its database, so this function also checks the database.
    """
    _page("/api/thoughts/", {"limit": "1"}, read_timeout=timeout)


def by_author(username: str, page: dict[str, str]) -> Page:
    """Return a page of a user's thoughts, newest first.

    For an unknown user, the page is empty.
    """
    return _page("/api/thoughts/", {"username": username, **page})


def get(thought_id: int) -> Thought:
    """Return a thought. Raise `NotFound` if it does not exist."""
    answer = _call("GET", f"/api/thoughts/{thought_id}/")
    try:
        return _thought(answer.body)
    except (ValueError, OverflowError):
        raise http.unexpected_body(SERVICE) from None


def mine(authorization: str, page: dict[str, str]) -> Page:
    """Return a page of the user's own thoughts, newest first."""
    return _page("/api/me/thoughts/", page, headers={"Authorization": authorization})


def create(authorization: str, text: str) -> None:
    """Store a thought. Raise `TooManyThoughts` if the user has written too many."""
    path = "/api/me/thoughts/"
    try:
        _call("POST", path, expected=201, json={"text": text}, headers={"Authorization": authorization})
    except TooManyRequests as error:
        raise TooManyThoughts(SERVICE, error.retry_after) from None


def delete(authorization: str, thought_id: int) -> None:
    """Delete one of the user's own thoughts."""
    path = f"/api/me/thoughts/{thought_id}/"
    _call("DELETE", path, expected=204, headers={"Authorization": authorization})


def delete_any(authorization: str, thought_id: int) -> None:
    """Delete any user's thought. Raise `Forbidden` unless the user is staff."""
    _call("DELETE", f"/admin/thoughts/{thought_id}/", expected=204, headers={"Authorization": authorization})


def _page(path: str, parameters: dict[str, str], **kwargs: Any) -> Page:
    answer = _call("GET", path, params={"limit": str(LIMIT), "ordering": "-id", **parameters}, **kwargs)
    if not isinstance(answer.body, list):
        raise http.unexpected_body(SERVICE)
    try:
        thoughts = [_thought(item) for item in answer.body]
        return Page(thoughts, previous=_page_parameters(answer, "prev"), next=_page_parameters(answer, "next"))
    except (ValueError, OverflowError):  # `urlsplit` raises ValueError for an invalid URL in the Link header
        raise http.unexpected_body(SERVICE) from None


def _thought(item: Any) -> Thought:
    match item:
        case {"id": int(id), "username": str(username), "text": str(text), "timestamp": str(timestamp)} if id >= 0:
            (username + text).encode()  # raises ValueError for a lone surrogate, which UTF-8 cannot encode
            return Thought(id, username, text, datetime.fromisoformat(timestamp).astimezone(UTC))
    raise ValueError("not a thought")


def _page_parameters(answer: http.Answer, rel: str) -> dict[str, str] | None:
    link = answer.links.get(rel)
    if link is None:
        return None
    query = parse_qs(urlsplit(link["url"]).query)
    return {name: query[name][0] for name in ("after", "before") if name in query}


def _call(method: str, path: str, *, expected: int = 200, **kwargs: Any) -> http.Answer:
    return http.call(SERVICE, method, settings.THOUGHTS_BACKEND_URL + path, expected=expected, **kwargs)
