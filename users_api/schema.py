"""What the OpenAPI document says of the views beyond what they say themselves.

`SPECTACULAR_SETTINGS` takes the generator from here, so this is loaded, with drf-spectacular, when somebody asks for
the document; what answers other requests does without both.
"""

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer, extend_schema_view

from common.api.schema import Error, SchemaGenerator
from users_api import views
from users_api.serializers import (
    AuthorizedSerializer,
    JWKSSerializer,
    LoginSerializer,
    RefreshSerializer,
    TokensSerializer,
    UserSerializer,
)

__all__ = ["SchemaGenerator"]

extend_schema_serializer(
    examples=[OpenApiExample("bruce", {"username": "bruce", "password": "bruce"}, request_only=True)]
)(LoginSerializer)

AUTHORIZED, REFRESH = "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6…", "q3Vd0c1y5kq3o0e0m1m2v0m6i6b0v3l3xq2b6m9z5h8"
for serializer, example in (
    (TokensSerializer, {"Authorized": AUTHORIZED, "refresh": REFRESH}),
    (AuthorizedSerializer, {"Authorized": AUTHORIZED}),
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
        operation_id="refresh", auth=[], request=RefreshSerializer, responses={200: AuthorizedSerializer, 401: Error}
    )
)(views.TokenRefreshView)

extend_schema_view(
    post=extend_schema(operation_id="logout", auth=[], request=RefreshSerializer, responses={204: None})
)(views.LogoutView)

extend_schema_view(post=extend_schema(operation_id="create_user", description="Create an account."))(views.UsersView)

extend_schema_view(get=extend_schema(operation_id="jwks", auth=[], responses={200: JWKSSerializer}))(views.JWKSView)
