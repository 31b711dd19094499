"""Routes with an optional trailing slash, without a redirect, and lazily imported views."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.urls import get_resolver
from django.urls.resolvers import RoutePattern, URLPattern
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.module_loading import import_string

MAX_PATH_LENGTH = 2000  # characters; longer values of `next` are ignored


class OptionalSlashPattern(RoutePattern):
    """Route that also matches without its trailing slash, or with an extra one."""

    def match(self, path: str) -> Any:
        """Return a match as `RoutePattern.match` does, or None."""
        return super().match(path) or super().match(path[:-1] if path.endswith("/") else f"{path}/")


def path(route: str, view: Callable[..., Any], name: str | None = None) -> URLPattern:
    """Return a route like `django.urls.path`, with an optional trailing slash."""
    return URLPattern(OptionalSlashPattern(route, name=name, is_endpoint=True), view, name=name)


def local_path(text: str) -> str:
    """Return the text if it is a path on this site, else "". Use it for `next`.

    Two slashes start a host name; Django accepts an empty one as a path. Browsers treat a backslash as a slash, and
    ignore tabs and line breaks.
    """
    is_path = len(text) <= MAX_PATH_LENGTH and re.match(r"/(?![/\\])", text) and text.isprintable()
    return text if is_path and url_has_allowed_host_and_scheme(text, allowed_hosts=None) else ""


class LazyView:
    """Read-only class-based view, imported at its first request. Saves memory for rarely used views."""

    csrf_exempt = True

    def __init__(self, name: str, **initkwargs: Any) -> None:
        self._load = cache(lambda: import_string(name).as_view(**initkwargs))

    def load(self) -> Callable[..., HttpResponseBase]:
        """Import the view if needed, and return it."""
        view: Callable[..., HttpResponseBase] = self._load()
        return view

    def __call__(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        """Call the view. The first request waits for the import."""
        return self.load()(request, **kwargs)


def load_views(lazy: bool = False) -> None:
    """Import the URLconf and its views now, not at the first request.

    Lazy views are imported only with `lazy=True`.
    """
    for pattern in get_resolver().url_patterns:
        if lazy and isinstance(pattern.callback, LazyView):
            pattern.callback.load()
