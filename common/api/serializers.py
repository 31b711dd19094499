"""Validate the query parameters and the body of a request."""

import functools
import re
from typing import Any
from urllib.parse import unquote_to_bytes

from rest_framework import serializers
from rest_framework.request import Request

from common.api.parsers import check_utf8


class TextField(serializers.CharField):
    """Text field that accepts only strings.

    Django REST framework's `CharField` also accepts numbers.
    """

    default_error_messages = {
        "max_length": "Use at most {max_length} characters.",
        "min_length": "Use at least {min_length} characters.",
    }

    def to_internal_value(self, data: Any) -> str:
        """Return the text, without surrounding spaces if `trim_whitespace` is set."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class IntegerField(serializers.IntegerField):
    """Integer field for a query parameter.

    It accepts only integers in JSON notation (RFC 8259 section 6).

    Django REST framework's `IntegerField` also accepts `1.0`, `1_0` and ` 1`.
    """

    def to_internal_value(self, data: Any) -> int:
        """Return the integer."""
        if not re.fullmatch(r"-?(0|[1-9][0-9]*)", data):
            self.fail("invalid")
        return super().to_internal_value(data)


@functools.cache  # creating the fields for each request would take as long as a database query
def _fields(serializer_class: type[serializers.Serializer[Any]]) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    return dict(serializer_class().fields)


def validated_query(serializer_class: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """Return the validated query parameters.

    Raise `ValidationError` (400) if a parameter is invalid or appears twice. Raise `ParseError` (400) if the query is
    not valid UTF-8. Django would replace the invalid bytes with U+FFFD.
    """
    check_utf8(unquote_to_bytes(request.META["QUERY_STRING"].encode("latin-1")))
    data: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    for name, field in _fields(serializer_class).items():
        values = request.query_params.getlist(name)
        if len(values) > 1:
            errors[name] = ["Give this parameter only once."]
            continue
        try:
            data[name] = field.run_validation(values[0] if values else serializers.empty)
        except serializers.SkipField:
            continue
        except serializers.ValidationError as error:
            errors[name] = error.detail
    if errors:
        raise serializers.ValidationError(errors)
    return data


def validated(serializer_class: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """Return the validated body. Raise `ValidationError` (400) for invalid fields."""
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data
    return data
