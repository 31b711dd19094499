"""The API of users_api."""

from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.api.permissions import HasStaffToken
from common.api.serializers import validated
from users_api import services
from users_api.keys import jwks
from users_api.serializers import LoginSerializer, RefreshSerializer, UserSerializer

NOT_STORED = {"Cache-Control": "no-store"}  # RFC 6749 section 5.1


@method_decorator(sensitive_post_parameters(), name="dispatch")
class LoginView(APIView):
    authentication_classes = []

    def post(self, request: Request) -> Response:
        """Log in with a user name and a password."""
        data = validated(LoginSerializer, request)
        access, refresh = services.log_in(request._request, **data)
        return Response({"Authorized": f"Bearer {access}", "refresh": refresh}, headers=NOT_STORED)


class TokenRefreshView(APIView):
    authentication_classes = []

    def post(self, request: Request) -> Response:
        """Get a new access token for a refresh token."""
        access = services.refresh_access(**validated(RefreshSerializer, request))
        return Response({"Authorized": f"Bearer {access}"}, headers=NOT_STORED)


class LogoutView(APIView):
    authentication_classes = []

    def post(self, request: Request) -> Response:
        """End a refresh token."""
        services.log_out(**validated(RefreshSerializer, request))
        return Response(status=status.HTTP_204_NO_CONTENT)


@method_decorator(sensitive_post_parameters(), name="dispatch")
class UsersView(generics.CreateAPIView):
    permission_classes = [HasStaffToken]
    serializer_class = UserSerializer


class JWKSView(APIView):
    authentication_classes = []

    def get(self, request: Request) -> Response:
        """Get the public keys that verify tokens now."""
        return Response(jwks(), headers={"Cache-Control": "public, max-age=60"})
