"""Calls to thoughts_api. `authorization` is the value of the header, `page` comes from a `Page`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from django.conf import settings

from web.backends import http

SERVICE = "thoughts"
LIMIT = 20  # thoughts on a page


@dataclass(frozen=True)
class Thought:
    """A thought as thoughts_api gives it."""

    id: int
    username: str
    text: str
    timestamp: datetime


@dataclass(frozen=True)
class Page:
    """A page of thoughts; `previous` and `next` are the query parameters of its neighbours, if there are any."""

    thoughts: list[Thought]
    previous: dict[str, str] | None
    next: dict[str, str] | None


def search(text: str, page: dict[str, str]) -> Page:
    """Return everyone's thoughts that have this piece of text, newest first."""
    return _page("/api/thoughts/", {"search": text, **page})


def mine(authorization: str, page: dict[str, str]) -> Page:
    """Return one's own thoughts, newest first."""
    return _page("/api/me/thoughts/", page, headers={"Authorization": authorization})


def create(authorization: str, text: str) -> None:
    """Store a thought."""
    _call("POST", "/api/me/thoughts/", json={"text": text}, headers={"Authorization": authorization})


def delete(authorization: str, thought_id: int) -> None:
    """Delete one of one's own thoughts."""
    _call("DELETE", f"/api/me/thoughts/{thought_id}/", headers={"Authorization": authorization})


def _page(path: str, parameters: dict[str, str], **kwargs: Any) -> Page:
    response = _call("GET", path, params={"limit": str(LIMIT), "ordering": "-id", **parameters}, **kwargs)
    return Page(
        thoughts=[
            Thought(item["id"], item["username"], item["text"], datetime.fromisoformat(item["timestamp"]))
            for item in http.json(SERVICE, response)
        ],
        previous=_neighbour(response, "prev"),
        next=_neighbour(response, "next"),
    )


def _neighbour(response: requests.Response, rel: str) -> dict[str, str] | None:
    link = response.links.get(rel)
    if link is None:
        return None
    query = parse_qs(urlsplit(link["url"]).query)
    return {name: query[name][0] for name in ("after", "before") if name in query}


def _call(method: str, path: str, **kwargs: Any) -> requests.Response:
    return http.call(SERVICE, method, settings.THOUGHTS_BACKEND_URL + path, **kwargs)
