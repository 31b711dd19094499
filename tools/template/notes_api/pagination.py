from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination


class NotePagination(CursorPagination):
    """Pages with the newest first. `next` and `previous` are the URLs of the other pages."""

    ordering = "-id"
    page_size = 100

    def paginate_queryset(self, *args: Any, **kwargs: Any) -> list[Any] | None:
        """Return a page. Raise `NotFound` (404) if the cursor is invalid."""
        try:
            return super().paginate_queryset(*args, **kwargs)
        except ValueError:  # a forged cursor, in which the id is not a number
            raise NotFound(self.invalid_cursor_message) from None
