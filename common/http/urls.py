"""Define routes with an optional trailing slash.

Neither form redirects to the other.
"""

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.urls.resolvers import RoutePattern, URLPattern
from django.utils.http import url_has_allowed_host_and_scheme

MAX_PATH_LENGTH = 2000  # characters; longer values of `next` are ignored


class OptionalSlashPattern(RoutePattern):
    """Route pattern that matches a path with or without a trailing slash."""

    def match(self, path: str) -> Any:
        """Return a match as `RoutePattern.match` does, or None."""
        return super().match(path) or super().match(path[:-1] if path.endswith("/") else f"{path}/")


def path(route: str, view: Callable[..., Any], name: str | None = None) -> URLPattern:
    """Return a route like `django.urls.path`, with an optional trailing slash."""
    return URLPattern(OptionalSlashPattern(route, name=name, is_endpoint=True), view, name=name)


def local_path(text: str) -> str:
    """Return the text if it is a path on this site, or else "".

    Use this function for the parameter `next`.

    Django's `url_has_allowed_host_and_scheme` accepts `//`, but in a URL, two slashes precede a host name. Browsers
    treat a backslash as a slash, and ignore tabs and line breaks. So this function refuses a text that starts with two
    slashes, or with a slash and a backslash. It also refuses tabs and line breaks.
    """
    is_path = len(text) <= MAX_PATH_LENGTH and re.match(r"/(?![/\\])", text) and text.isprintable()
    return text if is_path and url_has_allowed_host_and_scheme(text, allowed_hosts=None) else ""


def load_views() -> None:
    """Import the URLconf and all views now, not on the first request."""
    import_module(settings.ROOT_URLCONF)
