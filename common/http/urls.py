"""Routes with an optional last slash, without a redirect, and views that are imported when they are asked for."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.urls import get_resolver
from django.urls.resolvers import RoutePattern, URLPattern
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.module_loading import import_string

MAX_PATH_LENGTH = 2000  # characters of a path to return to; a longer one is forgotten


class OptionalSlashPattern(RoutePattern):
    """A route that also matches when its last slash is missing, or there is one too many."""

    def match(self, path: str) -> Any:
        """Return what `RoutePattern.match` does: the rest of the path and the view's arguments, or None."""
        return super().match(path) or super().match(path[:-1] if path.endswith("/") else f"{path}/")


def path(route: str, view: Callable[..., Any], name: str | None = None) -> URLPattern:
    """Return what `django.urls.path` does for a view, with the last slash optional."""
    return URLPattern(OptionalSlashPattern(route, name=name, is_endpoint=True), view, name=name)


def local_path(text: str) -> str:
    """Return the text if it is a path on this site, such as a parameter `next` should be, else "".

    A second slash would begin a host, which Django takes for a path if it is empty. Browsers read a backslash as a
    slash, and skip tabs and line breaks.
    """
    is_path = len(text) <= MAX_PATH_LENGTH and re.match(r"/(?![/\\])", text) and text.isprintable()
    return text if is_path and url_has_allowed_host_and_scheme(text, allowed_hosts=None) else ""


class LazyView:
    """A class-based view that only reads, by its dotted name: for what few ask for and each process would load."""

    csrf_exempt = True

    def __init__(self, name: str, **initkwargs: Any) -> None:
        self._load = cache(lambda: import_string(name).as_view(**initkwargs))

    def load(self) -> Callable[..., HttpResponseBase]:
        """Return the view, imported now or before."""
        view: Callable[..., HttpResponseBase] = self._load()
        return view

    def __call__(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        """Answer as the view does; the first request waits until it is imported."""
        return self.load()(request, **kwargs)


def load_views(lazy: bool = False) -> None:
    """Import all that the URLs lead to, lazy views too if asked to; Django itself does so at the first request."""
    for pattern in get_resolver().url_patterns:
        if lazy and isinstance(pattern.callback, LazyView):
            pattern.callback.load()
