"""The API of thoughts_api."""

from typing import Any

from django.db import transaction
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from rest_framework import generics, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.api.permissions import HasStaffToken, HasToken
from common.api.serializers import validated_query
from thoughts_api import selection, write_limit
from thoughts_api.models import Thought
from thoughts_api.pagination import KeysetPagination
from thoughts_api.search import search
from thoughts_api.selection import Page
from thoughts_api.serializers import SearchSerializer, ThoughtSerializer

# RFC 9111: what is public may be stored by anybody, to be asked for again with its ETag; what is one's own is not.
public = method_decorator(cache_control(public=True, no_cache=True), name="dispatch")
own = method_decorator(cache_control(private=True, no_store=True), name="dispatch")


class ListView(generics.ListAPIView[Thought]):
    """Answers with a page of rows, which need no serializer. A subclass says in `get_page` how to read them."""

    queryset = Thought.objects.none()  # for the schema
    serializer_class = ThoughtSerializer
    pagination_class = KeysetPagination
    paginator: KeysetPagination

    def get_page(self) -> Page:
        """Return the function that reads the rows of a page."""
        raise NotImplementedError

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer with a page, and a Link header to its neighbours."""
        return self.paginator.get_paginated_response(self.paginator.paginate(self.get_page(), request))


@public
class ThoughtsView(ListView):
    """List everyone's thoughts, or search them."""

    authentication_classes = []

    def get_page(self) -> Page:
        return search(validated_query(SearchSerializer, self.request)["search"])


@public
class ThoughtView(APIView):
    authentication_classes = []

    def get(self, request: Request, id: int) -> Response:
        """Get one thought."""
        thought = selection.get(id)
        if thought is None:
            raise NotFound("There is no thought with this id.")
        return Response(thought)


@own
class MyThoughtsView(ListView, generics.ListCreateAPIView[Thought]):
    """List one's own thoughts."""

    permission_classes = [HasToken]

    def get_page(self) -> Page:
        return selection.by_author(self.request.user.username).page

    def perform_create(self, serializer: Any) -> None:
        username = self.request.user.username
        with transaction.atomic():
            write_limit.count(username)
            serializer.save(username=username)


@own
class MyThoughtView(APIView):
    permission_classes = [HasToken]

    def delete(self, request: Request, id: int) -> Response:
        """Delete one of one's own thoughts."""
        deleted, _ = Thought.objects.filter(id=id, username=request.user.username).delete()
        if not deleted:
            raise NotFound("You have no thought with this id.")
        return Response(status=status.HTTP_204_NO_CONTENT)


@own
class AdminThoughtView(APIView):
    permission_classes = [HasStaffToken]

    def delete(self, request: Request, id: int) -> Response:
        """Delete anyone's thought; one that is gone already is no error."""
        Thought.objects.filter(id=id).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)
