"""Private methods of drf-spectacular. `common/tests/test_compat.py` fails when a release changes them.

It has no public method to change the schema of one field after it has added the field's validators.
https://drf-spectacular.readthedocs.io/en/latest/customization.html
"""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework.serializers import Field

from common.api.serializers import TextField


def field_schema(auto_schema: AutoSchema, field: Field[Any, Any, Any, Any], direction: Any) -> dict[str, Any]:
    """Return the schema that drf-spectacular makes of a field without extensions."""
    schema: dict[str, Any] = auto_schema._map_serializer_field(field, direction, bypass_extensions=True)
    return schema


class TextFieldAutoSchema(AutoSchema):
    """Drop the limits that drf-spectacular adds to a `TextField` whose pattern has them already."""

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        super()._insert_field_validators(field, schema)  # type: ignore[no-untyped-call]
        if isinstance(field, TextField) and field.trim_whitespace and "pattern" in schema:
            schema.pop("maxLength", None)  # it counts the spaces that are trimmed; the pattern does not
        if isinstance(field, TextField) and "oneOf" in schema:
            # drf-spectacular adds the empty text as an alternative. The pattern matches it too, and oneOf forbids both.
            schema |= schema.pop("oneOf")[0]
