"""Views of the thoughts API."""

import logging
from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common import events
from common.api.caching import own, public
from common.api.permissions import HasStaffToken, HasToken
from common.api.schema import Error
from common.api.serializers import validated_query
from common.events import Event
from thoughts_api import selection, write_limit
from thoughts_api.models import Thought
from thoughts_api.pagination import KeysetPagination, PageSerializer
from thoughts_api.search import search
from thoughts_api.selection import EVERYONE, ReadPage, by_author
from thoughts_api.serializers import SearchSerializer, ThoughtSerializer

logger = logging.getLogger(__name__)


class ListView(generics.ListAPIView[Thought]):
    """Base class of the views that list thoughts. A subclass implements `page_reader`.

    The rows from the database are already the dicts that the API returns, so `list` uses no serializer.
    """

    queryset = Thought.objects.none()  # drf-spectacular needs to know the model
    serializer_class = ThoughtSerializer
    pagination_class = KeysetPagination
    paginator: KeysetPagination

    def page_reader(self) -> ReadPage:
        """Return the function that reads the rows of a page from the database."""
        raise NotImplementedError

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return a page of thoughts.

        The Link header contains links to the next and previous pages.
        """
        return self.paginator.get_paginated_response(self.paginator.paginate(self.page_reader(), request))


@public
@extend_schema_view(get=extend_schema(operation_id="list_thoughts", parameters=[SearchSerializer, PageSerializer]))
class ThoughtsView(ListView):
    """List the thoughts of all users or of one, or search them."""

    authentication_classes = []

    def page_reader(self) -> ReadPage:
        query = validated_query(SearchSerializer, self.request)
        username = query.get("username")
        return search(query["search"], EVERYONE if username is None else by_author(username))


@public
class ThoughtView(APIView):
    authentication_classes = []

    @extend_schema(operation_id="get_thought", responses=ThoughtSerializer)
    def get(self, request: Request, id: int) -> Response:
        """Get one thought."""
        thought = selection.get(id)
        if thought is None:
            raise NotFound("There is no thought with this id.")
        return Response(thought)


@own
@extend_schema_view(
    get=extend_schema(operation_id="list_my_thoughts", parameters=[PageSerializer]),
    post=extend_schema(
        operation_id="create_thought",
        description="Create a thought. Its author is the user whom the token identifies.",
        responses={201: ThoughtSerializer, 429: Error},
    ),
)
class MyThoughtsView(ListView, generics.ListCreateAPIView[Thought]):
    """List your own thoughts."""

    permission_classes = [HasToken]

    def page_reader(self) -> ReadPage:
        return by_author(self.request.user.username).page

    def perform_create(self, serializer: Any) -> None:
        username = self.request.user.username
        with transaction.atomic():
            write_limit.count(username)
            serializer.save(username=username)


@own
class MyThoughtView(APIView):
    permission_classes = [HasToken]

    @extend_schema(operation_id="delete_my_thought", responses={204: None})
    def delete(self, request: Request, id: int) -> Response:
        """Delete one of your own thoughts."""
        deleted, _ = Thought.objects.filter(id=id, username=request.user.username).delete()
        if not deleted:
            raise NotFound("You have no thought with this id.")
        return Response(status=status.HTTP_204_NO_CONTENT)


@own
class AdminThoughtView(APIView):
    permission_classes = [HasStaffToken]

    @extend_schema(operation_id="delete_thought", responses={204: None})
    def delete(self, request: Request, id: int) -> Response:
        """Delete any user's thought. Return 204 even if it does not exist."""
        with transaction.atomic():
            thought = Thought.objects.select_for_update().filter(id=id).first()
            if thought:
                thought.delete()
        if thought:
            # Log the user and the action, but no personal text (OWASP ASVS 5.0, 16.2.1 and 16.2.5).
            logger.info(
                "staff deleted a thought: %r deleted thought %s of %r", request.user.username, id, thought.username
            )
            events.record(Event.STAFF_ACTED, action="delete_thought", target=id)
        return Response(status=status.HTTP_204_NO_CONTENT)
