"""OpenAPI: what drf-spectacular cannot see by itself, said once for both APIs."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema as SpectacularAutoSchema
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from common.permissions import HasStaffToken, HasToken

Error = inline_serializer(
    "Error",
    {
        "message": serializers.CharField(help_text="What went wrong."),
        "errors": serializers.DictField(
            child=serializers.ListField(child=serializers.CharField()),
            required=False,
            help_text="Why, for each field that is wrong; with 400 only.",
        ),
    },
)


class TokenAuthenticationScheme(OpenApiAuthenticationExtension):
    """Swagger's Authorize button."""

    target_class = "common.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: SpectacularAutoSchema) -> dict[str, Any]:
        """Return the OpenAPI security scheme."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class AutoSchema(SpectacularAutoSchema):
    """Adds to each operation the errors that follow from its method and permissions."""

    def get_response_serializers(self) -> Any:
        """Return the answers by status: those of the view, and the shared errors."""
        answers = super().get_response_serializers()
        if not isinstance(answers, dict):
            return answers
        permissions = self.view.get_permissions()
        statuses = [400, 503]
        if any(isinstance(permission, HasToken) for permission in permissions):
            statuses.append(401)
        if any(isinstance(permission, HasStaffToken) for permission in permissions):
            statuses.append(403)
        if "{" in self.path:
            statuses.append(404)
        if self.method in ("POST", "PUT", "PATCH"):
            statuses.append(415)
        return {**dict.fromkeys(statuses, Error), **answers}

    def get_auth(self) -> list[dict[str, list[str]]]:
        """Return the security requirement: a token where a permission asks for one."""
        if any(isinstance(permission, HasToken) for permission in self.view.get_permissions()):
            return super().get_auth()
        return []
