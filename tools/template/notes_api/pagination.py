from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination


class NotePagination(CursorPagination):
    """Pages with the newest first. `next` and `previous` are the addresses of the other pages."""

    ordering = "-id"
    page_size = 100

    def paginate_queryset(self, *args: Any, **kwargs: Any) -> list[Any] | None:
        """Return a page; 404 for an invalid cursor."""
        try:
            return super().paginate_queryset(*args, **kwargs)
        except ValueError:  # a cursor that a client made up, with an id that is no number
            raise NotFound(self.invalid_cursor_message) from None
