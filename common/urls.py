"""Routes that are accepted with and without their last slash, without a redirect."""

from collections.abc import Callable
from typing import Any

from django.urls.resolvers import RoutePattern, URLPattern


class OptionalSlashPattern(RoutePattern):
    """A route that also matches when its last slash is missing, or there is one too many."""

    def match(self, path: str) -> Any:
        """Return what `RoutePattern.match` does: the rest of the path and the view's arguments, or None."""
        return super().match(path) or super().match(path[:-1] if path.endswith("/") else f"{path}/")


def path(route: str, view: Callable[..., Any], name: str | None = None) -> URLPattern:
    """Return what `django.urls.path` does for a view, with the last slash optional."""
    return URLPattern(OptionalSlashPattern(route, name=name, is_endpoint=True), view, name=name)
