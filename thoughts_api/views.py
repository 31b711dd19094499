"""The API of thoughts_api."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.permissions import HasStaffToken, HasToken
from thoughts_api.models import Thought, ThoughtQuerySet
from thoughts_api.pagination import KeysetPagination, PageSerializer
from thoughts_api.serializers import SearchSerializer, ThoughtSerializer


@extend_schema_view(
    get=extend_schema(operation_id="list_thoughts", auth=[], parameters=[SearchSerializer, PageSerializer])
)
class ThoughtsView(generics.ListAPIView[Thought]):
    """List everyone's thoughts, or search them."""

    authentication_classes = []
    serializer_class = ThoughtSerializer
    pagination_class = KeysetPagination

    def get_queryset(self) -> ThoughtQuerySet:
        query = SearchSerializer(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        return Thought.objects.containing(query.validated_data["search"]).defer("folded")


class ThoughtView(APIView):
    authentication_classes = []

    @extend_schema(operation_id="get_thought", auth=[], responses=ThoughtSerializer)
    def get(self, request: Request, id: int) -> Response:
        """Get one thought."""
        thought = get_object_or_404(Thought.objects.defer("folded"), id=id)
        return Response(ThoughtSerializer(thought).data)


@extend_schema_view(
    get=extend_schema(operation_id="list_my_thoughts", parameters=[PageSerializer]),
    post=extend_schema(operation_id="create_thought", description="Write a thought; its author is the token's."),
)
class MyThoughtsView(generics.ListCreateAPIView[Thought]):
    """List one's own thoughts."""

    permission_classes = [HasToken]
    serializer_class = ThoughtSerializer
    pagination_class = KeysetPagination

    def get_queryset(self) -> ThoughtQuerySet:
        return Thought.objects.by(self.request.user.username).defer("folded")

    def perform_create(self, serializer: Any) -> None:
        serializer.save(username=self.request.user.username)


class MyThoughtView(APIView):
    permission_classes = [HasToken]

    @extend_schema(operation_id="delete_my_thought", responses={204: None})
    def delete(self, request: Request, id: int) -> Response:
        """Delete one of one's own thoughts."""
        deleted, _ = Thought.objects.by(request.user.username).filter(id=id).delete()
        if not deleted:
            raise NotFound("You have no thought with this id.")
        return Response(status=status.HTTP_204_NO_CONTENT)


class AdminThoughtView(APIView):
    permission_classes = [HasStaffToken]

    @extend_schema(operation_id="delete_thought", responses={204: None})
    def delete(self, request: Request, id: int) -> Response:
        """Delete anyone's thought; one that is gone already is no error."""
        Thought.objects.filter(id=id).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)
