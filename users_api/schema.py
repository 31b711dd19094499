"""OpenAPI descriptions of the views.

`SPECTACULAR_SETTINGS` names the generator in this module. So this module and drf-spectacular are only loaded for a
request of the document.
"""

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer, extend_schema_view

from common.api.schema import Error, SchemaGenerator
from users_api import views
from users_api.serializers import (
    JWKSSerializer,
    LoginSerializer,
    PasswordSerializer,
    RefreshSerializer,
    SessionSerializer,
    TokensSerializer,
    UserSerializer,
)

__all__ = ["SchemaGenerator"]

extend_schema_serializer(
    examples=[OpenApiExample("bruce", {"username": "bruce", "password": "bruce"}, request_only=True)]
)(LoginSerializer)

AUTHORIZED, REFRESH = "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6…", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9…"
for serializer, example in (
    (TokensSerializer, {"Authorized": AUTHORIZED, "refresh": REFRESH}),
    (RefreshSerializer, {"refresh": REFRESH}),
):
    extend_schema_serializer(examples=[OpenApiExample("bruce", example)])(serializer)

extend_schema_serializer(
    examples=[OpenApiExample("grace", {"username": "grace", "password": "nanosecond-wire"}, request_only=True)]
)(UserSerializer)

extend_schema_view(
    post=extend_schema(
        operation_id="login",
        auth=[],
        request=LoginSerializer,
        responses={200: TokensSerializer, 401: Error, 429: Error},
    )
)(views.LoginView)

extend_schema_view(
    post=extend_schema(
        operation_id="refresh", auth=[], request=RefreshSerializer, responses={200: TokensSerializer, 401: Error}
    )
)(views.TokenRefreshView)

extend_schema_view(
    post=extend_schema(operation_id="logout", auth=[], request=RefreshSerializer, responses={204: None})
)(views.LogoutView)

extend_schema_view(
    get=extend_schema(operation_id="sessions", responses={200: SessionSerializer(many=True)}),
    delete=extend_schema(operation_id="end_sessions", responses={204: None}),
)(views.SessionsView)

extend_schema_view(delete=extend_schema(operation_id="end_session", responses={204: None}))(views.SessionView)

extend_schema_view(
    post=extend_schema(operation_id="change_password", request=PasswordSerializer, responses={204: None, 429: Error})
)(views.PasswordView)

extend_schema_view(
    post=extend_schema(
        operation_id="sign_up",
        description="Sign up for an account, if sign-up is open.",
        auth=[],
        responses={201: UserSerializer, 403: Error, 429: Error},
    )
)(views.SignUpView)

extend_schema_view(post=extend_schema(operation_id="create_user", description="Create an account."))(views.UsersView)

extend_schema_view(get=extend_schema(operation_id="jwks", auth=[], responses={200: JWKSSerializer}))(views.JWKSView)
