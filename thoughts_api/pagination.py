"""Keyset pagination for lists of thoughts.

A page starts after the last id of the previous page. The database finds that id in its index, so a late page is read
as fast as the first. See https://use-the-index-luke.com/no-offset.
"""

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.serializers import IntegerField, validated_query
from thoughts_api.selection import MAX_ID, ReadPage, Row

LIMIT = 100
MAX_LIMIT = 1000


class PageSerializer(serializers.Serializer[Any]):
    """The query parameters that select a page of a list."""

    ordering = serializers.ChoiceField(
        ["id", "-id"], default="id", help_text="`id` lists the oldest first, `-id` the newest first."
    )
    limit = IntegerField(
        min_value=1, max_value=MAX_LIMIT, default=LIMIT, help_text=f"Thoughts per page, from 1 to {MAX_LIMIT}."
    )
    after = IntegerField(
        min_value=0, max_value=MAX_ID, required=False, help_text="Only thoughts that follow this id in the ordering."
    )
    before = IntegerField(
        min_value=0,
        max_value=MAX_ID,
        required=False,
        help_text="Only the thoughts directly before this id. With `after`, only thoughts between the two ids.",
    )


class KeysetPagination(BasePagination):
    """Pagination by `id`.

    The body is an array; the Link header (RFC 8288) has the URLs of the next and previous pages.

    The views have no queryset to paginate. They call `paginate` with a function that reads rows with SQL.
    """

    def paginate(self, read: ReadPage, request: Request) -> list[Row]:
        """Return the rows of the page that the query parameters select.

        `read` is called as `read(ids, descending, count)`. It returns up to `count` rows whose ids are in a range.
        Raise `ValidationError` (400) if a parameter is invalid.
        """
        data = validated_query(PageSerializer, request)
        after, before = data.get("after"), data.get("before")
        newest_first = data["ordering"] == "-id"
        lowest, highest = (before, after) if newest_first else (after, before)
        ids = range(0 if lowest is None else lowest + 1, MAX_ID if highest is None else highest)
        # With `before` alone, the page has the last rows before that id. Read them from that id backwards, and
        # reverse them below.
        backwards = before is not None and after is None
        descending = newest_first != backwards
        rows = read(ids, descending, data["limit"] + 1)  # the extra row shows that there is another page
        more = len(rows) > data["limit"]
        rows = rows[: data["limit"]]
        if backwards:
            rows.reverse()

        has_next = more or backwards
        has_previous = more if backwards else after is not None and before is None
        first, last = _ends(rows, before if backwards else after, descending)
        self.links = {
            "next": _link(request, "after", last) if has_next else None,
            "prev": _link(request, "before", first) if has_previous else None,
        }
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        """Return the rows as an array, with a Link header if there is another page."""
        links = ", ".join(f'<{url}>; rel="{rel}"' for rel, url in self.links.items() if url)
        return Response(data, headers={"Link": links} if links else None)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the OpenAPI schema of the body, which is the array itself."""
        return schema


def _ends(rows: Sequence[dict[str, Any]], anchor: int | None, descending: bool) -> tuple[int, int]:
    """Return the ids for the links to the previous page and to the next page.

    In the link to the previous page, the first id is the value of `before`. In the link to the next page, the second id
    is the value of `after`. `anchor` is the value of the request's `after` or `before` parameter.
    """
    if rows:
        return rows[0]["id"], rows[-1]["id"]
    # The page is empty, so there is only a link back. The linked page must include the row with the id `anchor`. But
    # `after` and `before` exclude the id that they name, so the link names the id next to `anchor`.
    back = min(max(0, (anchor or 0) + (-1 if descending else 1)), MAX_ID)
    return back, back


def _link(request: Request, name: str, value: int) -> str:
    query = request.query_params.copy()
    # If a request has both `after` and `before`, they select a range. The link changes one of them and keeps the other.
    if not ("after" in query and "before" in query):
        query.pop("after", None)
        query.pop("before", None)
    query[name] = str(value)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
