"""API views of users_api."""

from typing import Any

from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework_simplejwt.views import TokenViewBase

from common import events
from common.api.caching import own
from common.api.permissions import HasToken
from common.api.schema import Error
from common.api.serializers import validated
from common.events import Event
from users_api import services, sessions
from users_api.authentication import AccountAuthentication
from users_api.keys import jwks
from users_api.models import User
from users_api.permissions import IsStaff
from users_api.serializers import (
    JWKSSerializer,
    LoginSerializer,
    PasswordSerializer,
    RefreshSerializer,
    SessionSerializer,
    TokenRefreshSerializer,
    TokensSerializer,
    UserSerializer,
)

MAX_SESSIONS = 100  # in one response


@own
@method_decorator(sensitive_post_parameters(), name="dispatch")
class LoginView(TokenViewBase):
    serializer_class = LoginSerializer

    @extend_schema(
        operation_id="login",
        request=LoginSerializer,
        responses={200: TokensSerializer, 401: Error, 429: Error},
    )
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Log in with a user name and a password."""
        return super().post(request, *args, **kwargs)


@own
class TokenRefreshView(TokenViewBase):
    serializer_class = TokenRefreshSerializer

    @extend_schema(operation_id="refresh", request=RefreshSerializer, responses={200: TokensSerializer, 401: Error})
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Exchange a refresh token for a new access token and the next refresh token."""
        return super().post(request, *args, **kwargs)


@own
class LogoutView(APIView):
    authentication_classes = []

    @extend_schema(operation_id="logout", request=RefreshSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        """End the session to which a refresh token belongs."""
        sessions.end_by_token(validated(RefreshSerializer, request)["refresh"])
        return Response(status=status.HTTP_204_NO_CONTENT)


@own
class SessionsView(APIView):
    authentication_classes = [AccountAuthentication]
    permission_classes = [HasToken]

    @extend_schema(operation_id="sessions", responses={200: SessionSerializer(many=True)})
    def get(self, request: Request) -> Response:
        """List your sessions, most recently used first. The list has at most 100 sessions."""
        found = sessions.usable(request.user)[:MAX_SESSIONS]
        return Response(SessionSerializer(found, many=True, context={"current": request.auth}).data)

    @extend_schema(operation_id="end_sessions", responses={204: None})
    def delete(self, request: Request) -> Response:
        """End all of your sessions except this one."""
        request.user.end_sessions(keep=request.auth)
        return Response(status=status.HTTP_204_NO_CONTENT)


@own
class SessionView(APIView):
    authentication_classes = [AccountAuthentication]
    permission_classes = [HasToken]

    @extend_schema(operation_id="end_session", responses={204: None})
    def delete(self, request: Request, id: int) -> Response:
        """End one of your sessions."""
        if not sessions.end(request.user, id):
            raise NotFound("You have no session with this id.")
        return Response(status=status.HTTP_204_NO_CONTENT)


@own
@method_decorator(sensitive_post_parameters(), name="dispatch")
class PasswordView(APIView):
    authentication_classes = [AccountAuthentication]
    permission_classes = [HasToken]

    @extend_schema(operation_id="change_password", request=PasswordSerializer, responses={204: None, 429: Error})
    def post(self, request: Request) -> Response:
        """Change your password. Your other sessions end."""
        serializer = PasswordSerializer(data=request.data, context={"user": request.user})
        serializer.is_valid(raise_exception=True)
        old, new = serializer.validated_data["old_password"], serializer.validated_data["new_password"]
        services.change_password(request, request.user, request.auth, old, new)
        return Response(status=status.HTTP_204_NO_CONTENT)


@own
@method_decorator(sensitive_post_parameters(), name="dispatch")
@extend_schema_view(post=extend_schema(operation_id="create_user", description="Create an account."))
class UsersView(generics.CreateAPIView):
    """Create an account. Only for staff."""

    authentication_classes = [AccountAuthentication]
    permission_classes = [IsStaff]
    serializer_class = UserSerializer

    def perform_create(self, serializer: BaseSerializer[Any]) -> None:
        services.log_creation(self.request.user, serializer.save())


@own
@method_decorator(sensitive_post_parameters(), name="dispatch")
@extend_schema_view(
    post=extend_schema(
        operation_id="sign_up",
        description="Sign up for an account, if sign-up is open.",
        responses={201: UserSerializer, 403: Error, 429: Error},
    )
)
class SignUpView(generics.CreateAPIView):
    """Sign up for an account."""

    authentication_classes = []
    serializer_class = UserSerializer

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        services.check_sign_up(request)
        return super().create(request, *args, **kwargs)

    def perform_create(self, serializer: BaseSerializer[Any]) -> None:
        events.record(Event.ACCOUNT_CREATED, target=serializer.save().pk)


class JWKSView(APIView):
    authentication_classes = []

    @extend_schema(operation_id="jwks", responses={200: JWKSSerializer})
    def get(self, request: Request) -> Response:
        """Get the public keys that currently verify tokens."""
        return Response(jwks(), headers={"Cache-Control": "public, max-age=10"})


class StatusView(APIView):
    authentication_classes = []

    @extend_schema(operation_id="status", responses={204: None})
    def get(self, request: Request) -> Response:
        """Check whether this service can read its database."""
        User.objects.exists()
        return Response(status=status.HTTP_204_NO_CONTENT, headers={"Cache-Control": "no-store"})
