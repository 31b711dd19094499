"""Views that use the features of common."""

from typing import Any

from django.db import InterfaceError, OperationalError
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.exceptions import PermissionDenied, Throttled, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.api.exceptions import NotAuthenticated, ServiceUnavailable
from common.api.permissions import HasStaffToken, HasToken
from common.api.serializers import TextField, validated
from common.http import request_id
from common.http.addresses import client_address
from common.tokens import TokenUser

STATEMENT_TIMEOUT = OperationalError(
    "canceling statement due to statement timeout\nCONTEXT:  SQL statement \"SELECT 'my illness'\"\n"
)


class EchoSerializer(serializers.Serializer[Any]):
    text = TextField(max_length=5)


class FieldsSerializer(serializers.Serializer[Any]):
    """Text fields with various limits.

    The OpenAPI document must describe exactly what each field accepts.
    """

    plain = TextField()
    untrimmed = TextField(trim_whitespace=False)
    one = TextField(max_length=1)
    two = TextField(max_length=2)
    three = TextField(min_length=3)
    two_to_four = TextField(min_length=2, max_length=4)
    exactly_three = TextField(min_length=3, max_length=3)
    untrimmed_two_to_four = TextField(min_length=2, max_length=4, trim_whitespace=False)
    blank = TextField(required=False, allow_blank=True)
    blank_one = TextField(required=False, allow_blank=True, max_length=1)
    blank_four = TextField(required=False, allow_blank=True, max_length=4, default="")
    blank_two_to_four = TextField(required=False, allow_blank=True, allow_null=True, min_length=2, max_length=4)
    blank_untrimmed = TextField(required=False, allow_blank=True, trim_whitespace=False, min_length=2, max_length=4)
    frameworks = serializers.CharField(max_length=4)
    frameworks_blank = serializers.CharField(required=False, allow_blank=True, min_length=2, max_length=4)
    listed = serializers.ListField(child=TextField(allow_blank=True, max_length=4))


class AnswerSerializer(serializers.Serializer[Any]):
    username = serializers.CharField()


class Open(APIView):
    """Show what common knows about the request."""

    @extend_schema(responses={200: AnswerSerializer})
    def get(self, request: Request) -> Response:
        return Response(
            {
                "username": getattr(request.user, "username", None),
                "address": client_address(request),
                "headers": request_id.outgoing_headers(),
            }
        )


class Echo(APIView):
    """Return the validated body."""

    @extend_schema(request=EchoSerializer, responses={200: EchoSerializer})
    def post(self, request: Request) -> Response:
        return Response(validated(EchoSerializer, request))


class Fields(APIView):
    """Return the validated fields."""

    @extend_schema(request=FieldsSerializer, responses={200: FieldsSerializer})
    def post(self, request: Request) -> Response:
        return Response(validated(FieldsSerializer, request))


class Me(APIView):
    """Return the user of the token."""

    permission_classes = [HasToken]

    @extend_schema(responses={200: AnswerSerializer})
    def get(self, request: Request) -> Response:
        user = request.user
        assert isinstance(user, TokenUser)
        return Response({"username": user.username, "user_id": user.user_id, "is_staff": user.is_staff})


class Staff(Me):
    """Return the token's user. Only staff users may request this view."""

    permission_classes = [HasStaffToken]


class Item(APIView):
    """Return the id in the path."""

    @extend_schema(responses={200: AnswerSerializer})
    def get(self, request: Request, id: int) -> Response:
        return Response({"id": id})


class Replace(APIView):
    """Replace an object."""

    @extend_schema(request=EchoSerializer, responses={200: EchoSerializer})
    def put(self, request: Request) -> Response:
        return Response(validated(EchoSerializer, request))


class Pages(generics.ListAPIView[Any]):
    """List objects with Django REST framework's CursorPagination."""

    permission_classes = [HasToken]
    serializer_class = AnswerSerializer
    pagination_class = CursorPagination


class Raise(APIView):
    """Raise the exception named in the path."""

    exceptions = {
        "401": NotAuthenticated("Who are you?"),
        "403": PermissionDenied("Not you."),
        "429": Throttled(wait=7),
        "503": ServiceUnavailable("Unavailable."),
        "database": OperationalError("server closed the connection unexpectedly"),
        "timeout": STATEMENT_TIMEOUT,
        "unnamed": OperationalError(""),
        "interface": InterfaceError("connection already closed"),
        "field": ValidationError({"text": ["Too long.", "Too rude."]}),
        "list": ValidationError(["Too much."]),
        "nested": ValidationError({"author": {"name": ["Unknown."]}}),
        "fault": RuntimeError("a fault of ours"),
    }

    @extend_schema(exclude=True)
    def get(self, request: Request, name: str) -> Response:
        raise self.exceptions[name]
