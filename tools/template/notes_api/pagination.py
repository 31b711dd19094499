from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination


class NotePagination(CursorPagination):
    """Pagination by id, newest first.

    The body has the URLs of the `next` and the `previous` page.
    """

    ordering = "-id"
    page_size = 100

    def paginate_queryset(self, *args: Any, **kwargs: Any) -> list[Any] | None:
        """Return the objects of a page. Raise `NotFound` (404) if the cursor is invalid."""
        try:
            return super().paginate_queryset(*args, **kwargs)
        except ValueError:  # the client has changed the cursor, so that its id is not a number
            raise NotFound(self.invalid_cursor_message) from None
