"""Extend drf-spectacular, which generates the OpenAPI document from the views.

drf-spectacular cannot derive error responses, groups of operations or the patterns of text fields. This module adds
them.
"""

import re
import threading
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.generators import SchemaGenerator as SpectacularSchemaGenerator
from drf_spectacular.openapi import AutoSchema as SpectacularAutoSchema
from drf_spectacular.plumbing import force_instance
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.pagination import CursorPagination

from common.api.permissions import HasStaffToken, HasToken

Error = inline_serializer("Error", {"message": serializers.CharField(help_text="What went wrong.")})
InputError = inline_serializer(
    "InputError",
    {
        "message": serializers.CharField(help_text="What went wrong."),
        "errors": serializers.DictField(
            child=serializers.ListField(child=serializers.CharField()),
            help_text="Messages for each invalid field.",
        ),
    },
)

# The characters that str.strip() removes. In JavaScript, `\s` matches a different set, so this list is explicit.
_SPACES = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
TRIMMED = f"^[{_SPACES}]*"  # each pattern of a field that trims spaces begins with this
DESCRIPTIONS = {
    "200": "OK",
    "201": "Created",
    "204": "Done",
    "304": "Not modified. If-None-Match contains the current ETag.",
    "400": "Invalid input.",
    "401": "Not authenticated.",
    "403": "Not allowed.",
    "404": "Not found.",
    "413": "The body is larger than 64 KiB.",
    "414": "The URL is too long.",
    "415": "The body is neither JSON nor a form, or its charset is not UTF-8.",
    "429": "Too many requests.",
    "503": "A dependency of this service is unavailable.",
}
INVALID = "This value is not valid."
_RETRY_AFTER = {"description": "Seconds to wait before a retry.", "schema": {"type": "integer", "minimum": 1}}
HEADERS = {
    "401": {"WWW-Authenticate": {"description": "Authentication scheme (RFC 9110).", "schema": {"type": "string"}}},
    "429": {"Retry-After": _RETRY_AFTER},
    "503": {"Retry-After": _RETRY_AFTER},
}
ETAG = {"description": "Send this as If-None-Match in the next request (RFC 9110).", "schema": {"type": "string"}}
_lock = threading.Lock()
_documents: dict[Any, Any] = {}
LINK = {"description": "URLs of the next and previous pages, if any (RFC 8288).", "schema": {"type": "string"}}


class TokenAuthenticationScheme(OpenApiAuthenticationExtension):
    """Security scheme for access tokens. Swagger UI shows an Authorize button for it."""

    target_class = "common.api.authentication.TokenAuthentication"
    match_subclasses = True
    name = "token"

    def get_security_definition(self, auto_schema: SpectacularAutoSchema) -> dict[str, Any]:
        """Return the OpenAPI security scheme."""
        users_api = f"[Users API]({url})" if (url := getattr(settings, "USERS_PUBLIC_URL", "")) else "Users API"
        description = f"The value of `Authorized` from `POST /api/login/` of the {users_api}, without the word Bearer."
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": description}


class TextFieldPattern(OpenApiSerializerFieldExtension):
    """Extension that adds a pattern to the schema of each `TextField` in a request.

    The pattern is a regular expression that excludes NUL characters. If the field trims spaces, the pattern also limits
    the length of the trimmed text.
    """

    target_class = "common.api.serializers.TextField"

    def map_serializer_field(self, auto_schema: SpectacularAutoSchema, direction: Any) -> dict[str, Any]:
        """Return the OpenAPI schema of the field."""
        schema = {"type": "string"}
        if direction == "request":
            schema["pattern"] = (
                trimmed_pattern(self.target) if self.target.trim_whitespace else untrimmed_pattern(self.target)
            )
        return schema


class CharFieldPattern(TextFieldPattern):
    """Extension like `TextFieldPattern` for each `CharField`.

    The extension does not apply to subclasses of `CharField`, such as `EmailField`.
    """

    target_class = "rest_framework.fields.CharField"


def untrimmed_pattern(field: serializers.CharField) -> str:
    """Return the pattern of a field that does not trim spaces.

    `minLength` and `maxLength` limit the length. But if the text may also be empty, the pattern contains the minimum
    length, and `minLength` is removed.
    """
    if field.allow_blank and field.min_length:
        return rf"^([^\x00]{{{field.min_length},}})?$"
    return r"^[^\x00]*$"


def trimmed_pattern(field: serializers.CharField) -> str:
    """Return the pattern of a field that trims spaces.

    The pattern limits the length without leading and trailing spaces.
    """
    shortest, longest = field.min_length or 1, field.max_length
    edge = rf"[^\x00{_SPACES}]"  # the first or last character of the trimmed text
    text = edge
    if longest != 1:
        between = f"{max(0, shortest - 2)},{longest - 2 if longest else ''}"
        more = rf"[^\x00]{{{between}}}{edge}"
        text += more if shortest > 1 else f"({more})?"
    text += f"[{_SPACES}]*"
    return f"{TRIMMED}{f'({text})?' if field.allow_blank else text}$"


def drop_redundant_limits(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Remove length limits from schemas whose patterns already contain the limits.

    drf-spectacular adds these limits to the OpenAPI document. It then calls this function, which is listed in
    POSTPROCESSING_HOOKS: https://drf-spectacular.readthedocs.io/en/latest/customization.html
    """
    for node in _objects(result):
        # With allow_blank, drf-spectacular adds the empty string as a second alternative. If the pattern also
        # matches the empty string, remove this alternative, because `oneOf` requires exactly one match.
        match node.get("oneOf"):
            case [{"pattern": pattern} as text, {"type": "string", "maxLength": 0}] if re.search(pattern, ""):
                del node["oneOf"]
                node |= text
                node.pop("minLength", None)  # minLength would forbid the empty string
        if str(node.get("pattern")).startswith(TRIMMED):
            node.pop("maxLength", None)  # maxLength would also count the spaces that the field trims
    return result


def use_64_bits(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Give each integer without a maximum the format `int64`.

    Ids are 64 bits wide. Without the format, generated clients in Go, Java and C# would use 32-bit integers.
    https://spec.openapis.org/oas/v3.0.3#data-types
    """
    for node in _objects(result):
        if node.get("type") == "integer" and "maximum" not in node:
            node.setdefault("format", "int64")
    return result


def drop_unused_tags(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Remove the tags that no operation has.

    Swagger UI would show them as empty groups.
    """
    used = {tag for path in result["paths"].values() for operation in path.values() for tag in operation["tags"]}
    result["tags"] = [tag for tag in result.get("tags", []) if tag["name"] in used]
    return result


def _objects(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield all objects in a JSON document.

    The caller may change each object before it requests the next one.
    """
    found: list[Any] = [document]
    for node in found:  # the loop also visits the nodes that are added below
        if isinstance(node, dict):
            yield node
        found += node.values() if isinstance(node, dict) else node if isinstance(node, list) else []


class SchemaGenerator(SpectacularSchemaGenerator):
    """Generator that creates the document once per process.

    drf-spectacular itself would generate the document for each request, which is slow and not thread-safe.
    """

    def get_schema(self, request: Any = None, public: bool = False) -> Any:
        """Return the OpenAPI document. It is the same for all requests."""
        with _lock:
            if self.urlconf not in _documents:
                _documents[self.urlconf] = super().get_schema(request, public)  # type: ignore[no-untyped-call]
            return _documents[self.urlconf]


class AutoSchema(SpectacularAutoSchema):
    """OpenAPI schema of a view, with the error responses that the view can cause.

    These responses depend on the HTTP method, the parameters and the permissions of the view.
    """

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """Return the operation with all its responses, or None for an excluded view."""
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation:
            query = [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"]
            self.example_fields = [*query, *self._request_fields(), "field"]
            operation["responses"] = self._complete(operation["responses"])
        return operation

    def get_auth(self) -> list[dict[str, list[str]]]:
        """Return the security requirement for a token, or [] if the view needs no token."""
        return super().get_auth() if self._has_permission(HasToken) else []

    def get_tags(self) -> list[str]:
        """Return the operation's group, which depends on the view's permissions."""
        if self._has_permission(HasStaffToken):
            return ["For staff"]
        return ["With a token"] if self._has_permission(HasToken) else ["For everyone"]

    def get_summary(self) -> str:
        """Return the first sentence of the description."""
        return self.get_description().partition(".")[0]

    def get_paginated_name(self, serializer_name: str) -> str:
        """Return the name of a page's schema. A page is an array, not an object."""
        return f"{serializer_name}List"

    def _complete(self, responses: dict[str, Any]) -> dict[str, Any]:
        for status in self._error_statuses() | responses.keys():
            if status >= "400":
                responses[status] = {"content": {"application/json": self._error_body(status)}}
        if self.method == "GET" and "200" in responses and not self._has_permission(HasToken):
            responses["200"]["headers"] = {"ETag": ETAG}
            responses["304"] = {}
        for status, response in responses.items():
            response["description"] = DESCRIPTIONS[status]
            if status in HEADERS:
                response["headers"] = HEADERS[status]
        if self._pagination_class() and not self._has_cursor():
            responses["200"]["headers"] = responses["200"].get("headers", {}) | {"Link": LINK}
        return dict(sorted(responses.items()))

    def _error_body(self, status: str) -> dict[str, Any]:
        component = self.resolve_serializer(InputError if status == "400" else Error, "response")
        example: dict[str, Any] = {"message": "What went wrong."}
        if status == "400":
            name = self.example_fields[0]
            example = {"message": f"{name}: {INVALID}", "errors": {name: [INVALID]}}
        return {"schema": component.ref, "examples": {"AnError": {"value": example, "summary": "An error"}}}

    def _request_fields(self) -> list[str]:
        """Return the names of the fields that a request body may contain."""
        if self.method not in ("POST", "PUT", "PATCH"):
            return []
        serializer = force_instance(self.get_request_serializer())
        fields = serializer.fields if isinstance(serializer, serializers.Serializer) else {}
        return [name for name, field in fields.items() if not field.read_only]

    def _error_statuses(self) -> set[str]:
        statuses = {"503"}
        if self.method in ("POST", "PUT", "PATCH"):
            statuses |= {"400", "413", "415"}
        if self.get_override_parameters():
            statuses |= {"400", "414"}
        if "{" in self.path or self._has_cursor():
            statuses.add("404")
        if self._has_permission(HasToken):
            statuses.add("401")
        if self._has_permission(HasStaffToken):
            statuses.add("403")
        return statuses

    def _pagination_class(self) -> type | None:
        return getattr(self.view, "pagination_class", None) if self.method == "GET" else None

    def _has_cursor(self) -> bool:
        # CursorPagination sends no Link header, and responds to an invalid cursor with 404.
        return issubclass(self._pagination_class() or object, CursorPagination)

    def _has_permission(self, permission_class: type[HasToken]) -> bool:
        return any(isinstance(permission, permission_class) for permission in self.view.get_permissions())
